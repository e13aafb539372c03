/*
 * Limit headers: what a reply says of the tightest limit of its request.
 */
#ifndef RESPOND_LIMIT_HEADERS_H
#define RESPOND_LIMIT_HEADERS_H

#include "http/exchange.h"

enum limit_headers {
    LIMIT_HEADERS_DRAFT,  /* RateLimit, RateLimit-Policy: draft-ietf-httpapi-ratelimit-headers-10 */
    LIMIT_HEADERS_LEGACY, /* RateLimit-Limit, -Remaining, -Reset: its revisions up to 06 */
    LIMIT_HEADERS_NONE,
};

/* Sets them, in the place of the handler's own, where the exchange has an allowance. */
void limit_headers_apply(enum limit_headers, struct exchange *);

#endif
