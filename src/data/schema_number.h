/*
 * Decimals: the numbers of JSON as they were written, not as doubles. Those of
 * jansson hold an int64 exactly; a double stands for the shortest decimal that
 * reads as it, which is the number written as long as that had no more than 15
 * significant digits. Sums are never needed, so 64 bits of digits and an
 * exponent do for every comparison and for multipleOf, without rounding.
 */
#ifndef DATA_SCHEMA_NUMBER_H
#define DATA_SCHEMA_NUMBER_H

#include <jansson.h>

#include "base/text.h"

/* digits * 10^exponent; digits end in no zero, and zero has exponent 0 and no sign. */
struct schema_number {
    uint64_t digits;
    int exponent;
    bool negative;
};

/* Of a JSON number (json_is_number). */
struct schema_number schema_number_of(const json_t *);

/* Below, equal or above 0, as `a` is to `b`. */
int schema_number_compare(struct schema_number a, struct schema_number b);

/* Whether `a` is an integer times `b`, which is not 0. */
bool schema_number_is_multiple(struct schema_number a, struct schema_number b);

bool schema_number_is_integer(struct schema_number);

/* Whether jansson keeps the number that this JSON number's text says, so that
 * it can be refused at the door instead of being changed in silence. */
bool schema_number_survives(struct text);

/* Reads a JSON number's text; false when it has more than 19 significant digits
 * or an exponent past +-9999. */
bool schema_number_read(struct text, struct schema_number *);

#endif
