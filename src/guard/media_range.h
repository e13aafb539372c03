/*
 * Media ranges: which media types a rule is about (RFC 9110, 12.5.1, without
 * parameters).
 */
#ifndef GUARD_MEDIA_RANGE_H
#define GUARD_MEDIA_RANGE_H

#include "base/text.h"

struct media_range {
    struct text type, subtype; /* point into the text that was read */
};

/* The type and subtype of a Content-Type; its parameters do not matter here. False when
 * it is malformed, or has a star: that is a token's character (RFC 9110, 5.6.2) and in no type's
 * name (RFC 6838, 4.2). */
bool media_type_read(struct text value, struct media_range *type);

/* A range: a type without parameters; a star only for both parts, for a whole
 * subtype ("image/" and "*"), or before its suffix ("application/" and "*+json"). */
bool media_range_read(struct text, struct media_range *);

/* Whether a type that was read is in it, case ignored. */
bool media_range_fits(const struct media_range *, const struct media_range *type);

#endif
