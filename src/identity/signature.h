/*
 * One key made ready for one algorithm, so that a verification neither parses
 * a key nor looks up an algorithm. Whether a key may serve an algorithm is
 * decided here, when the two are put together, and never again: what does not
 * exist cannot be confused. It knows nothing of tokens.
 */
#ifndef IDENTITY_SIGNATURE_H
#define IDENTITY_SIGNATURE_H

#include <openssl/evp.h>

#include "identity/jose.h"

struct signature_check;

/* Whether the key is of the algorithm's type and curve (RFC 7518, 3; RFC 8725, 3.1). */
bool signature_key_fits(const struct jose_algorithm *, EVP_PKEY *);

/* A check with a public key that fits; takes a reference to the key. NULL when
 * OpenSSL cannot do it. The caller ends it with signature_check_free(). */
struct signature_check *signature_check_new(const struct jose_algorithm *, EVP_PKEY *);

/* The same with a secret (JOSE_OCT), which is copied. */
struct signature_check *signature_check_new_secret(const struct jose_algorithm *, struct text secret);

/* Whether `signature` is that of `content`. Safe from any thread. */
bool signature_check_run(const struct signature_check *, struct text content, struct text signature);

void signature_check_free(struct signature_check *); /* NULL is allowed */

#endif
