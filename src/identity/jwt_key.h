/*
 * The keys a policy verifies tokens with. Each is made ready for every one of
 * the policy's algorithms that it fits, and can serve no other (RFC 8725, 3.1
 * and 3.2). Only public keys and secrets come in: a private key is refused,
 * because whoever can read it here could sign. Where keys come from, and when
 * they are fetched anew, is not known here.
 */
#ifndef IDENTITY_JWT_KEY_H
#define IDENTITY_JWT_KEY_H

#include "base/arena.h"
#include "base/error.h"
#include "identity/jose.h"
#include "identity/signature.h"

enum {
    JWT_KEYS_LIMIT = 64,          /* keys of a set that can be used */
    JWT_KEY_FILE_LIMIT = 1 << 18, /* bytes of PEM or of a JWKS */
    JWKS_COUNT_LIMIT = 512        /* keys of a JWKS, usable or not */
};

struct jwt_key {
    struct text id;                                  /* "kid", or empty */
    struct signature_check *checks[JOSE_ALGORITHMS]; /* NULL: the key does not serve it */
};

struct jwt_keys;

/* An empty set for these algorithms. It is filled by the functions below, and
 * from its first verification on never changed again. Seeds jansson's tables,
 * so that a sandboxed process need not. */
struct jwt_keys *jwt_keys_new(jose_set algorithms);

/* One more reference; for a set that may be replaced while it is in use. */
struct jwt_keys *jwt_keys_hold(struct jwt_keys *);

/* Gives a reference back, and with the last one frees and wipes all; NULL is allowed. */
void jwt_keys_release(struct jwt_keys *);

/* Each adds keys, or is false with an error and leaves the set as it was.
 *
 * A secret for the HS algorithms, shorter than the digest of none of them
 * (RFC 7518, 3.2). One that is PEM is refused: it is a file in the wrong place. */
bool jwt_keys_add_secret(struct jwt_keys *, struct text secret, struct text id, struct error *);

/* Exactly one PEM block: a public key or an X.509 certificate. Of a
 * certificate only key and key usage count, not its dates nor who signed it. */
bool jwt_keys_add_pem(struct jwt_keys *, struct text pem, struct text id, struct error *);

/* A public key of OpenSSL; takes a reference of its own. */
bool jwt_keys_add_public(struct jwt_keys *, EVP_PKEY *, struct text id, struct error *);

/* All keys of a JWKS (RFC 7517, 5) that can be used and serve one of the
 * algorithms; there must be one. The others are skipped. */
bool jwt_keys_add_jwks(struct jwt_keys *, struct text json, struct error *);

size_t jwt_keys_count(const struct jwt_keys *);
const struct jwt_key *jwt_keys_get(const struct jwt_keys *, size_t index);

/* How many keys of the JWKS were skipped, and why the first was ("" when none). */
size_t jwt_keys_skipped(const struct jwt_keys *, const char **reason);

/* The algorithms it was made for. */
jose_set jwt_keys_algorithms(const struct jwt_keys *);

/* A number that no other set of this process has or had. */
uint64_t jwt_keys_generation(const struct jwt_keys *);

#endif
