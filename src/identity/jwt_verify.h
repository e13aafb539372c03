/*
 * A token becomes a struct jwt, or a reason why not (RFC 7519, 7.2): the form,
 * the signature, and only then the claims. Whoever is asked for a verdict many
 * times a second asks a jwt_verifier, which remembers. Where in a request the
 * token was, and what its bearer may do, is not known here.
 */
#ifndef IDENTITY_JWT_VERIFY_H
#define IDENTITY_JWT_VERIFY_H

#include "identity/jws.h"
#include "identity/jwt_claims.h"

/* A verified token. It never changes, and may be read by several threads. */
struct jwt {
    json_t *header, *claims; /* to be read, not to be referred to */
    const struct jose_algorithm *algorithm;
    struct jwt_facts facts; /* texts live as long as this does */
    _Atomic unsigned references;
};

/* JWT_GOOD and a token with one reference, or what is wrong and NULL. `now` is
 * in milliseconds since 1970. The arena holds the decoded bytes for a while. */
enum jwt_fault jwt_verify(const struct jwt_keys *, const struct jwt_rules *, struct text token, int64_t now,
                          struct arena *, struct jwt **);

/* One more reference. */
struct jwt *jwt_hold(struct jwt *);

/* Gives a reference back; the last one wipes and frees. NULL is allowed. */
void jwt_release(struct jwt *);

struct jwt_cache;

/* What one policy asks of tokens. `rules` and `cache` are the caller's; without
 * a cache every token is verified anew. */
struct jwt_verifier {
    const struct jwt_rules *rules;
    struct jwt_cache *cache;
};

/* The same answer as jwt_verify() would give, mostly without the work. */
enum jwt_fault jwt_verifier_check(const struct jwt_verifier *, const struct jwt_keys *, struct text token,
                                  int64_t now, struct arena *, struct jwt **);

#endif
