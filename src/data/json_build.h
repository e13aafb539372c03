/*
 * jansson's values out of JSON that has been judged. It does not judge again:
 * that a text is JSON, and how much of it, is json_scan's to say.
 */
#ifndef DATA_JSON_BUILD_H
#define DATA_JSON_BUILD_H

#include <jansson.h>

#include "data/defect.h"

/* A new reference to the value of a text that json_scan() has taken; NULL with a defect:
 *   json_duplicate      an object has a name twice; the offset is behind the second
 *   json_number_range   a real number is too large for a double, as it may be where they are rounded
 *   json_failed         there is no memory (a failure) */
json_t *json_build(struct text, struct defect *);

#endif
