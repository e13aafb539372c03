/*
 * The signature algorithms of JOSE, and what each asks of a key (RFC 7518, 3;
 * RFC 8037, 3.1; RFC 9864). This table is all there is: "none" is not in it,
 * and is refused as any other unknown name is.
 */
#ifndef IDENTITY_JOSE_H
#define IDENTITY_JOSE_H

#include "base/text.h"

enum jose_key_type { JOSE_OCT, JOSE_RSA, JOSE_EC, JOSE_OKP };

struct jose_algorithm {
    const char *name;        /* "alg"; names differ in case */
    enum jose_key_type type; /* "kty" of its keys */
    const char *curve;       /* "crv" of its keys, NULL where any of the type will do */
    const char *digest;      /* as OpenSSL calls it; NULL for JOSE_OKP */
    size_t digest_size;      /* bytes */
    size_t signature_size;   /* bytes; 0 where the key decides */
    bool pss;                /* JOSE_RSA: RSASSA-PSS instead of RSASSA-PKCS1-v1_5 */
};

enum { JOSE_ALGORITHMS = 15 };
extern const struct jose_algorithm jose_algorithms[JOSE_ALGORITHMS];

/* A set of algorithms: bit i stands for jose_algorithms[i]. */
typedef uint32_t jose_set;

/* The algorithm of exactly that name, or NULL. */
const struct jose_algorithm *jose_find(struct text name);

/* Its place in the table, and the set of it alone. */
size_t jose_index(const struct jose_algorithm *);
jose_set jose_bit(const struct jose_algorithm *);

/* All algorithms with secrets (HS256, HS384, HS512). */
jose_set jose_symmetric(void);

/* "oct", "RSA", "EC" or "OKP". */
const char *jose_key_type_name(enum jose_key_type);

#endif
