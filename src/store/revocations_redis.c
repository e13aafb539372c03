/*
 * Tokens that were revoked before their time, in Redis: single ones by `jti`,
 * which the server forgets well after they have ended by themselves, and by
 * subject the time before which everything issued is revoked.
 *
 *   fcgiguard:{keys}:jti:JTI   when it ends
 *   fcgiguard:{keys}:sub:SUB   issued before
 */
#include "config.h"

#include "store/credentials_redis.h"

#define LIFE_MOST (INT64_C(100) * 366 * 86400)

enum credentials_result revocations_redis_revoke_token(struct credentials *credentials, struct text jti,
                                                       int64_t until, int64_t now, struct error *error)
{
    struct arena *arena = arena_new();
    long long answer;
    int64_t life = until <= now ? 0 : now < 0 || until - now > LIFE_MOST ? LIFE_MOST : until - now;
    const struct text words[] = {credentials_redis_key(arena, "jti:", jti),
                                 credentials_redis_number(arena, life + TOKEN_KEPT_SECONDS),
                                 credentials_redis_number(arena, until)};
    bool done = credentials_redis_run(credentials, REVOKE_TOKEN, words, 3, 1, &answer, error);
    arena_free(arena);
    return done ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}

enum credentials_result revocations_redis_revoke_subject(struct credentials *credentials, struct text sub,
                                                         int64_t issued_before, struct error *error)
{
    struct arena *arena = arena_new();
    long long answer;
    const struct text words[] = {credentials_redis_key(arena, "sub:", sub),
                                 credentials_redis_number(arena, issued_before)};
    bool done = credentials_redis_run(credentials, REVOKE_SUBJECT, words, 2, 1, &answer, error);
    arena_free(arena);
    return done ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}

/* An empty name is nobody's, and none is ever written under one. */
enum credentials_result revocations_redis_token_is_revoked(struct credentials *credentials, struct text jti,
                                                           struct text sub, int64_t iat, bool *revoked,
                                                           struct error *error)
{
    struct arena *arena = arena_new();
    const struct text words[] = {TEXT("MGET"), credentials_redis_key(arena, "jti:", jti),
                                 credentials_redis_key(arena, "sub:", sub)};
    redisReply *reply = credentials_redis_call(credentials, words, 3, error);
    arena_free(arena);
    if (!reply)
        return CREDENTIALS_FAILED;
    int64_t before = INT64_MIN;
    bool good =
        reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
        (reply->element[1]->type == REDIS_REPLY_NIL || credentials_redis_parse(reply->element[1], &before));
    if (good)
        *revoked = reply->element[0]->type != REDIS_REPLY_NIL ||
                   (reply->element[1]->type != REDIS_REPLY_NIL && before > iat);
    else
        credentials_redis_foreign(credentials, error);
    freeReplyObject(reply);
    return good ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}
