/*
 * Credentials in Redis: what its two files share, and nobody else includes.
 */
#ifndef STORE_CREDENTIALS_REDIS_H
#define STORE_CREDENTIALS_REDIS_H

#include "store/credentials_backend.h"
#include "store/redis_pool.h"

#define KEYS_PREFIX "fcgiguard:{keys}:" /* the braces keep all of them in one slot */

enum { CREDENTIALS_TIMEOUT_MS = 2000 };

enum script { ADD, ADD_WITHIN, REVOKE, ROTATE, USED, FETCH, REVOKE_TOKEN, REVOKE_SUBJECT, SCRIPTS };

struct store {
    struct credentials credentials;
    struct redis_pool *pool;
    const char *place;
    struct redis_script scripts[SCRIPTS];
};

static inline struct store *store_of(struct credentials *credentials)
{
    return (struct store *)credentials; /* it stands first */
}

/* A script whose reply is a number; false with an error. */
bool credentials_redis_run(struct credentials *, enum script, const struct text words[], size_t count,
                           size_t keys, long long *answer, struct error *);
redisReply *credentials_redis_call(struct credentials *, const struct text words[], size_t count,
                                   struct error *);

/* The name of a key there: the prefix, the kind ("jti:") and the name. */
struct text credentials_redis_key(struct arena *, const char *kind, struct text name);
struct text credentials_redis_number(struct arena *, int64_t);

/* A number that was written so; false where it is none. */
bool credentials_redis_parse(const redisReply *, int64_t *);

/* Sets the error to that what was found is none of ours; always false. */
bool credentials_redis_foreign(struct credentials *, struct error *);

enum credentials_result revocations_redis_revoke_token(struct credentials *, struct text jti, int64_t until,
                                                       int64_t now, struct error *);
enum credentials_result revocations_redis_revoke_subject(struct credentials *, struct text sub,
                                                         int64_t issued_before, struct error *);
enum credentials_result revocations_redis_token_is_revoked(struct credentials *, struct text jti,
                                                           struct text sub, int64_t iat, bool *revoked,
                                                           struct error *);

#endif
