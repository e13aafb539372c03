/*
 * Security headers: what every reply leaves with, and what it leaves without.
 */
#ifndef RESPOND_SECURE_HEADERS_H
#define RESPOND_SECURE_HEADERS_H

#include "data/decode.h"
#include "http/exchange.h"

struct secure_headers {
    struct headers set;  /* replace whatever the handler sent */
    struct texts remove; /* names, lower case; Server and X-Powered-By with every preset but off */
};

/* Decodes policy key `headers`: a preset (`api`, `helmet`, `fastapi`, `nginx`,
 * `off`) or a map {preset: NAME, Header-Name: "value" | off, ...} that changes
 * single headers of a preset (`api` when none is named). */
bool secure_headers_decode(struct decoder *, const struct node *, void *member);

/* Puts them on the reply. Strict-Transport-Security only when the request came
 * by HTTPS (RFC 6797, 7.2). */
void secure_headers_apply(const struct secure_headers *, struct exchange *);

/* Names of the presets, for help; NULL-ended. */
extern const char *const secure_headers_presets[];

#endif
