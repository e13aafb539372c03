/*
 * Security headers: what every reply leaves with, and what it leaves without.
 */
#ifndef RESPOND_SECURE_HEADERS_H
#define RESPOND_SECURE_HEADERS_H

#include "data/decode.h"
#include "http/exchange.h"

struct secure_headers {
    struct headers set;  /* in policies of content, 'nonce' is the place of a reply's nonce */
    struct texts remove; /* names, lower case; Server and X-Powered-By with every preset but off */
    struct text policy;  /* the preset's Content-Security-Policy; empty: it has none */
    bool nonces;         /* some of `set` have such a place */
    bool caching;        /* replies that are for one caller say so, with every preset but off */
    bool cache_given;    /* the policy has a Cache-Control, be it off, and nothing else is said */
};

/* Decodes policy key `headers`: a preset (`api`, `helmet`, `fastapi`, `nginx`,
 * `off`) or a map {preset: NAME, Header-Name: value | off, ...} that changes
 * single headers of a preset (`api` when none is named). */
bool secure_headers_decode(struct decoder *, const struct node *, void *member);

/* Adds advice on such a node, from which, and from what it changes, the headers were made. */
void secure_headers_advise(struct findings *, const struct node *, const struct secure_headers *);

/* Before a handler begins: makes the nonce that it is told of, where the headers have one. */
void secure_headers_prepare(const struct secure_headers *, struct exchange *);

/* Puts them on the reply, each unless the handler's own value is stricter
 * (respond/stricter.h). Strict-Transport-Security only when the request came
 * by HTTPS (RFC 6797, 7.2), Clear-Site-Data only then and with what did not fail. A reply that is
 * ours and has a Content-Security-Policy keeps it alone. Replies to known callers, and
 * those with a nonce, are kept out of shared caches. Vary has the names of both. */
void secure_headers_apply(const struct secure_headers *, struct exchange *);

/* Names of the presets, for help; NULL-ended. */
extern const char *const secure_headers_presets[];

#endif
