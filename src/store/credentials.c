/*
 * Credentials, whatever they are kept in: which kind of store a place names,
 * and what is refused before a store is asked.
 */
#include "config.h"

#include "store/credentials_backend.h"
#include "store/redis_url.h"

struct credentials *credentials_open(const char *place, const char *password, struct error *error)
{
    const struct credentials_backend *backend =
        redis_url_is(text_of(place)) ? &credentials_redis : &credentials_sqlite;
    return backend->open(place, password, error);
}

void credentials_close(struct credentials *store)
{
    if (store)
        store->backend->close(store);
}

/* ---- API keys */

enum key_answer credentials_check(struct credentials *store, struct text presented, int64_t now,
                                  struct arena *arena, struct credential *credential, struct error *error)
{
    struct api_key key;
    enum api_key_form form = api_key_parse(presented, &key);
    if (form != API_KEY_GOOD)
        return form == API_KEY_MISTYPED ? KEY_MISTYPED : KEY_MALFORMED;
    return store->backend->check(store, &key, now, arena, credential, error);
}

enum credentials_result credentials_used(struct credentials *store, const struct credential *credential,
                                         int64_t now, struct error *error)
{
    if (credential->last_used > now - LAST_USED_SECONDS)
        return CREDENTIALS_DONE;
    return store->backend->used(store, credential, now, error);
}

enum credentials_result credentials_find(struct credentials *store, struct text id, struct arena *arena,
                                         struct credential *credential, struct error *error)
{
    return store->backend->find(store, id, arena, credential, error);
}

enum credentials_result credentials_list(struct credentials *store, struct text owner, struct arena *arena,
                                         struct credential **items, size_t *count, struct error *error)
{
    return store->backend->list(store, owner, arena, items, count, error);
}

enum credentials_result credentials_add(struct credentials *store, const struct credential *items,
                                        size_t count, size_t *taken, struct error *error)
{
    for (size_t i = 0; i < count; i++)
        if (!credential_is_valid(&items[i], error))
            return CREDENTIALS_FAILED;
    return store->backend->add(store, items, count, taken, error);
}

enum credentials_result credentials_add_within(struct credentials *store, const struct credential *credential,
                                               int64_t now, const struct credentials_limit *limit,
                                               struct error *error)
{
    if (!credential_is_valid(credential, error))
        return CREDENTIALS_FAILED;
    return store->backend->add_within(store, credential, now, limit, error);
}

enum credentials_result credentials_revoke(struct credentials *store, struct text id, int64_t now,
                                           struct error *error)
{
    return store->backend->revoke(store, id, now, error);
}

void credentials_take_over(struct credential *next, const struct credential *old)
{
    next->prefix = old->prefix;
    next->owner = old->owner;
    next->note = old->note;
    next->roles = old->roles;
    next->scopes = old->scopes;
    next->rotated_from = old->id;
    if (next->expires == SAME_LIFETIME)
        next->expires = old->expires ? next->created + (old->expires - old->created) : 0;
}

enum credentials_result credentials_rotate(struct credentials *store, struct text id, int64_t now,
                                           int64_t until, struct arena *arena, struct credential *next,
                                           struct error *error)
{
    return store->backend->rotate(store, id, now, until, arena, next, error);
}

/* ---- tokens */

static bool is_name(struct text name, const char *what, struct error *error)
{
    return (name.length > 0 && name.length <= TOKEN_NAME_LIMIT) ||
           error_set(error, "a %s to revoke has 1 to %d bytes", what, (int)TOKEN_NAME_LIMIT);
}

enum credentials_result credentials_revoke_token(struct credentials *store, struct text jti, int64_t until,
                                                 int64_t now, struct error *error)
{
    if (!is_name(jti, "jti", error))
        return CREDENTIALS_FAILED;
    return store->backend->revoke_token(store, jti, until, now, error);
}

enum credentials_result credentials_revoke_subject(struct credentials *store, struct text sub,
                                                   int64_t issued_before, struct error *error)
{
    if (!is_name(sub, "sub", error))
        return CREDENTIALS_FAILED;
    return store->backend->revoke_subject(store, sub, issued_before, error);
}

enum credentials_result credentials_token_is_revoked(struct credentials *store, struct text jti,
                                                     struct text sub, int64_t iat, bool *revoked,
                                                     struct error *error)
{
    return store->backend->token_is_revoked(store, jti, sub, iat, revoked, error);
}
