/*
 * Cache control: what caches may do with a reply that is for one caller. Whether
 * it is one is not decided here.
 */
#ifndef RESPOND_CACHE_CONTROL_H
#define RESPOND_CACHE_CONTROL_H

#include "http/exchange.h"

/* Whether a Cache-Control (RFC 9111, 5.2) has a directive, by its name in lower case, without
 * field names behind it: private="x" is not "private". */
bool cache_control_has(struct text value, const char *directive);

/* Says `least` ("no-store", "private") where the reply says nothing of caches. Where it does, but
 * not whether shared ones may have it, `private` is added. */
void cache_control_limit(struct exchange *, const char *least);

#endif
