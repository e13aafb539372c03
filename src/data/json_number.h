/*
 * JSON numbers as text: whether they are well formed, and whether jansson
 * keeps what they say. An integer is kept in 64 bits, a real number when the
 * shortest decimal that reads as its double is the one that was written, as it
 * is for all that JavaScript, Python and the like write.
 */
#ifndef DATA_JSON_NUMBER_H
#define DATA_JSON_NUMBER_H

#include "base/text.h"

enum json_number {
    JSON_NUMBER_GOOD,
    JSON_NUMBER_MALFORMED,
    JSON_NUMBER_RANGE,     /* too large, or so small (subnormal) that digits are lost */
    JSON_NUMBER_PRECISION, /* more digits than a double keeps */
};

/* Judges the number at the front of the text; `length` is that of the number,
 * or how far it was well formed. With `rounded` a real number may lose digits,
 * and only jansson tells whether it is too large. */
enum json_number json_number_judge(struct text, bool rounded, size_t *length);

#endif
