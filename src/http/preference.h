/*
 * Preferences: what a client would rather have, by the weights in its Accept or
 * Accept-Language (RFC 9110, 12.4.2). What there is to have, others know.
 */
#ifndef HTTP_PREFERENCE_H
#define HTTP_PREFERENCE_H

#include "base/text.h"

enum { PREFERENCES_LIMIT = 32, PREFERENCE_MOST = 1000 };

struct preference {
    struct text what; /* points into the header's value, without parameters */
    unsigned weight;  /* in thousandths; 0: not acceptable */
};
struct preferences {
    struct preference items[PREFERENCES_LIMIT];
    size_t count;
};

/* Reads a weight, "0" to "1" with at most three digits behind the point, in thousandths (RFC 9110, 12.4.2).
 * False when it is none. */
bool preference_read_weight(struct text, unsigned *weight);

/* Reads a header's value. False, with nothing preferred, when it is malformed or has more items
 * than fit. */
bool preferences_read(struct text value, struct preferences *);

/* Which of `count` languages it is by lookup (RFC 4647, 3.4): its index, or `otherwise` when no range
 * leads to one. Case does not matter; "*" leads to none. */
size_t preferences_language(const struct preferences *, const struct text languages[], size_t count,
                            size_t otherwise);

#endif
