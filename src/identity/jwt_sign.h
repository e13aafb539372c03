/*
 * Signing tokens, for people who try out a policy. What a server does is
 * verifying: nothing that serves requests includes this.
 */
#ifndef IDENTITY_JWT_SIGN_H
#define IDENTITY_JWT_SIGN_H

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/error.h"
#include "identity/jose.h"

/* A token in its compact form (RFC 7515, 7.1), in the arena. `key` is private
 * and fits the algorithm, or NULL for one with a secret, which is as long as
 * the digest at least. False with an error when it is not so. */
bool jwt_sign(const struct jose_algorithm *, EVP_PKEY *key, struct text secret, struct text header,
              struct text claims, struct arena *, struct text *token, struct error *);

#endif
