/*
 * Tokens that were found good, remembered by all threads of a process: a
 * bounded table by the SHA-256 of a token's exact bytes and the generation of
 * the keys that verified it. It holds no token, only what was in it, and
 * nothing past its exp. The rules a token was judged by are not in its key, so
 * each policy's rules want a table of their own.
 */
#ifndef IDENTITY_JWT_CACHE_H
#define IDENTITY_JWT_CACHE_H

#include "base/text.h"

enum {
    JWT_CACHE_ENTRIES = 1024,
    JWT_CACHE_ENTRIES_MOST = 1 << 20,
    JWT_CACHE_TOKEN_LIMIT = 8 * 1024, /* bytes; a longer token is not worth the memory */
    JWT_CACHE_DIGEST_SIZE = 32
};

struct jwt;
struct jwt_cache;

struct jwt_cache_key {
    uint8_t digest[JWT_CACHE_DIGEST_SIZE];
    uint64_t generation;
};

/* A table for about that many tokens (rounded up); freed by jwt_cache_free(). */
struct jwt_cache *jwt_cache_new(size_t entries);
void jwt_cache_free(struct jwt_cache *); /* NULL is allowed */

/* The key of a token; false when OpenSSL cannot make a digest. */
bool jwt_cache_key(struct text token, uint64_t generation, struct jwt_cache_key *);

/* A new reference to the token, or NULL when it is not there or past its exp. */
struct jwt *jwt_cache_find(struct jwt_cache *, const struct jwt_cache_key *, int64_t now);

/* Remembers a token (with a reference of its own) until its exp or until others
 * need the place: one that has expired, else the one not asked for longest
 * among WAYS. Takes the same time however full the table is. */
void jwt_cache_add(struct jwt_cache *, const struct jwt_cache_key *, struct jwt *, int64_t now);

/* Forgets and wipes everything. */
void jwt_cache_clear(struct jwt_cache *);

#endif
