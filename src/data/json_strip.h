/*
 * JSON without some of its members, and otherwise as it was written: numbers
 * keep their digits, strings their escapes, and what there is between them stays.
 */
#ifndef DATA_JSON_STRIP_H
#define DATA_JSON_STRIP_H

#include <jansson.h>

#include "base/arena.h"
#include "base/text.h"

/* Whether the member at this place of an object, in the order of iteration, stays. */
typedef bool json_strip_stays(const void *context, const json_t *object, size_t place);

/* The text without the members that do not stay, in the arena. `value` is what
 * json_body_read() has made of all of the text. */
struct text json_strip(struct text, const json_t *value, json_strip_stays *, const void *context,
                       struct arena *);

#endif
