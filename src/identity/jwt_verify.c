/*
 * Verification from bytes to claims, with and without a memory.
 */
#include "config.h"

#include "identity/jwt_verify.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "identity/jwt_cache.h"
#include "identity/strict_json.h"

struct jwt *jwt_hold(struct jwt *jwt)
{
    atomic_fetch_add_explicit(&jwt->references, 1, memory_order_relaxed);
    return jwt;
}

void jwt_release(struct jwt *jwt)
{
    if (!jwt || atomic_fetch_sub_explicit(&jwt->references, 1, memory_order_acq_rel) != 1)
        return;
    strict_json_wipe(jwt->header);
    strict_json_wipe(jwt->claims);
    free(jwt);
}

/* Takes over the header and the claims, also when they are refused. */
static enum jwt_fault judge_claims(const struct jwt_rules *rules, const struct jws *jws, json_t *claims,
                                   int64_t now, struct jwt **result)
{
    struct jwt_facts facts;
    struct jwt *jwt = NULL;
    enum jwt_fault fault = claims ? jwt_claims_check(rules, jws->header, claims, now, &facts) : JWT_PAYLOAD;
    if (fault == JWT_GOOD && !(jwt = malloc(sizeof *jwt)))
        abort(); /* as an arena would */
    if (!jwt) {
        strict_json_wipe(jws->header);
        strict_json_wipe(claims);
        return fault;
    }
    *jwt = (struct jwt){.header = jws->header, .claims = claims, .algorithm = jws->algorithm, .facts = facts};
    atomic_init(&jwt->references, 1);
    *result = jwt;
    return JWT_GOOD;
}

enum jwt_fault jwt_verify(const struct jwt_keys *keys, const struct jwt_rules *rules, struct text token,
                          int64_t now, struct arena *arena, struct jwt **result)
{
    struct jws jws;
    *result = NULL;
    enum jwt_fault fault = jws_verify(keys, token, arena, &jws);
    if (fault != JWT_GOOD)
        return fault;
    return judge_claims(rules, &jws, strict_json_object(jws.payload), now, result);
}

/* A remembered token was good but for the time, which goes on. */
static enum jwt_fault judge_again(const struct jwt_rules *rules, int64_t now, struct jwt **result)
{
    enum jwt_fault fault = jwt_claims_check_times(rules, &(*result)->facts, now);
    if (fault != JWT_GOOD) {
        jwt_release(*result);
        *result = NULL;
    }
    return fault;
}

enum jwt_fault jwt_verifier_check(const struct jwt_verifier *verifier, const struct jwt_keys *keys,
                                  struct text token, int64_t now, struct arena *arena, struct jwt **result)
{
    struct jwt_cache_key key;
    *result = NULL;
    if (!verifier->cache)
        return jwt_verify(keys, verifier->rules, token, now, arena, result);
    if (token.length > JWS_SIZE_LIMIT)
        return JWT_TOO_LONG;
    if (!jwt_cache_key(token, jwt_keys_generation(keys), &key))
        return jwt_verify(keys, verifier->rules, token, now, arena, result);
    if ((*result = jwt_cache_find(verifier->cache, &key, now)) != NULL)
        return judge_again(verifier->rules, now, result);
    enum jwt_fault fault = jwt_verify(keys, verifier->rules, token, now, arena, result);
    if (fault == JWT_GOOD && token.length <= JWT_CACHE_TOKEN_LIMIT)
        jwt_cache_add(verifier->cache, &key, *result, now);
    return fault;
}
