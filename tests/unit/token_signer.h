/*
 * A signer of tokens for tests and benchmarks. It signs whatever it is given,
 * with whatever key under whatever name: most of what it makes is wrong on
 * purpose, and truly signed.
 */
#ifndef TESTS_TOKEN_SIGNER_H
#define TESTS_TOKEN_SIGNER_H

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/text.h"

/* How to sign: a key with a digest (NULL for EdDSA), or a secret. */
struct signer {
    EVP_PKEY *key;
    struct text secret;
    const char *digest;
    bool pss;
    int salt;    /* PSS: 0 for as long as the digest, else what OpenSSL takes */
    size_t half; /* ECDSA: bytes of r and of s; 0 leaves the signature as it is */
};

/* The bytes of a signature. Ends the process when OpenSSL cannot make it. */
struct text signer_sign(const struct signer *, struct arena *, struct text content);

/* A token. `shape` is its form: %h and %p are the encoded header and payload,
 * %s the signature of all before the last dot, %n the same in another spelling
 * (unused bits set). NULL is "%h.%p.%s". */
struct text signer_token(const struct signer *, struct arena *, struct text header, struct text payload,
                         const char *shape);

/* The public key as PEM, and as the members of a JWK: "\"kty\":\"EC\",...". */
struct text signer_pem(EVP_PKEY *, struct arena *);
const char *signer_jwk(EVP_PKEY *, struct arena *);

#endif
