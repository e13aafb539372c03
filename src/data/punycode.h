/*
 * Punycode (RFC 3492): labels of internationalized names as ASCII. It knows
 * nothing of which labels there may be.
 */
#ifndef DATA_PUNYCODE_H
#define DATA_PUNYCODE_H

#include <stdint.h>

#include "base/text.h"

/* A label of the domain name system has at most 63 bytes. */
enum { PUNYCODE_LIMIT = 64 };

struct punycode_points {
    uint32_t at[PUNYCODE_LIMIT];
    size_t count;
};

/* False when it is none, or has more points than fit. */
bool punycode_decode(struct text, struct punycode_points *);

/* The length of what is written to `to`, which has PUNYCODE_LIMIT bytes; SIZE_MAX when it does not fit. */
size_t punycode_encode(const struct punycode_points *, char *to);

#endif
