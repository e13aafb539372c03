/*
 * CORS headers: what a reply says of whose scripts may read it (Fetch, "CORS
 * protocol"), and by what it differs for caches.
 */
#ifndef RESPOND_CORS_HEADERS_H
#define RESPOND_CORS_HEADERS_H

#include "guard/cors.h"

/* Puts them on a reply that is ready otherwise, in the place of all Access-Control-* of the handler's. With
 * rules NULL it does nothing. `request_id` is the name of the header that holds the request's id. */
void cors_headers_apply(const struct cors_rules *, struct exchange *, const char *request_id);

/* Makes exchange->reply the answer to a preflight, but for those headers; it has no body. */
void cors_answer(struct exchange *);

#endif
