/*
 * One JSON Web Key (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2): its members become
 * a public key of OpenSSL or a secret, with what the key says of its own use.
 * Which keys a policy wants is not known here.
 */
#ifndef IDENTITY_JWK_H
#define IDENTITY_JWK_H

#include <jansson.h>
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/error.h"
#include "identity/jose.h"

enum {
    RSA_BITS_LEAST = 2048,       /* RFC 7518, 3.3 */
    RSA_BITS_MOST = 8192,        /* more would cost a caller nothing and us much */
    RSA_EXPONENT_BITS_MOST = 64, /* as OpenSSL has it for long keys */
    JWK_ID_LIMIT = 256,          /* bytes of "kid" */
    JWK_SECRET_LIMIT = 1024      /* bytes of "k" */
};

struct jwk {
    struct text id;      /* "kid", or empty */
    jose_set algorithms; /* "alg": that one; without it, all */
    EVP_PKEY *public;    /* or NULL: a secret. The caller frees it. */
    struct text secret;
};

/* Reads a key into the arena. False with an error when it cannot be used: an
 * unknown type, a member that is missing or malformed, a key that is not for
 * verifying, an RSA key that is too short. */
bool jwk_read(const json_t *object, struct arena *, struct jwk *, struct error *);

/* Whether it holds a private key, which has no business here. */
bool jwk_is_private(const json_t *object);

/* Whether the numbers of an RSA key are within bounds and odd, the exponent
 * being over 1, and the point of any other is on its curve. */
bool jwk_check_public(EVP_PKEY *, struct error *);

#endif
