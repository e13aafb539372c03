/*
 * A JSON Web Signature in its compact form (RFC 7515, 7.1): taken apart, its
 * header judged, its signature verified. What the payload says is not looked
 * at here, and keys that a token brings along (jwk, jku, x5c, x5u) never are.
 */
#ifndef IDENTITY_JWS_H
#define IDENTITY_JWS_H

#include <jansson.h>

#include "base/arena.h"
#include "identity/jwt_fault.h"
#include "identity/jwt_key.h"

enum {
    JWS_SIZE_LIMIT = 16 * 1024, /* bytes of a token */
    JWS_TRIES_LIMIT = 8         /* keys tried where no "kid" selects one */
};

struct jws {
    json_t *header; /* a reference of the caller's */
    const struct jose_algorithm *algorithm;
    const struct jwt_key *key; /* whose signature it is; lives as long as the set */
    struct text payload;       /* in the arena, any bytes */
};

/* JWT_GOOD and all members set, or what is wrong and nothing set. The words
 * come from the form, algorithm and key part of the faults. */
enum jwt_fault jws_verify(const struct jwt_keys *, struct text token, struct arena *, struct jws *);

#endif
