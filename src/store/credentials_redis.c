/*
 * Credentials in Redis: each API key is a hash, and in two sorted sets by its
 * time, of all keys and of its owner's. Changes of more than one key are scripts,
 * which are atomic. No secret ever comes here but to be judged, and no digest
 * is compared by the server.
 *
 *   fcgiguard:{keys}:key:ID       hash, the fields below
 *   fcgiguard:{keys}:all          sorted set of IDs by `created`
 *   fcgiguard:{keys}:owner:OWNER  the same of one owner
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "store/credentials_redis.h"

enum { NUMBER_SIZE = 24, LISTED_AT_ONCE = 500, TRIES = 100 };

enum field {
    ID,
    PREFIX,
    DIGEST,
    OWNER,
    ROLES,
    SCOPES,
    NOTE,
    CREATED,
    EXPIRES,
    RETIRES,
    REVOKED,
    ROTATED_FROM,
    LAST_USED,
    FIELDS
};

#define FIELD_NAMES                                                                                          \
    "'id', 'prefix', 'digest', 'owner', 'roles', 'scopes', 'note', 'created', 'expires', 'retires', "        \
    "'revoked', 'rotated_from', 'last_used'"

/* Writes what begins at ARGV[at] as the key, and into the sets, of its ID and owner. */
#define ADD_ONE                                                                                              \
    "local names = {" FIELD_NAMES "}\n"                                                                      \
    "local function add(at, key, all, owner)\n"                                                              \
    "  local fields = {}\n"                                                                                  \
    "  for i = 1, #names do\n"                                                                               \
    "    fields[2 * i - 1], fields[2 * i] = names[i], ARGV[at + i - 1]\n"                                    \
    "  end\n"                                                                                                \
    "  redis.call('HSET', key, unpack(fields))\n"                                                            \
    "  redis.call('ZADD', all, ARGV[at + 7], ARGV[at])\n"                                                    \
    "  redis.call('ZADD', owner, ARGV[at + 7], ARGV[at])\n"                                                  \
    "end\n"

static const char *const sources[SCRIPTS] = {
    /* KEYS: the set of all, and of each its key and its owner's set. 0, or the place of one that is taken. */
    [ADD] = ADD_ONE "local seen = {}\n"
                    "for i = 2, #KEYS, 2 do\n"
                    "  if seen[KEYS[i]] or redis.call('EXISTS', KEYS[i]) == 1 then return i / 2 end\n"
                    "  seen[KEYS[i]] = true\n"
                    "end\n"
                    "for i = 2, #KEYS, 2 do\n"
                    "  add((i / 2 - 1) * #names + 1, KEYS[i], KEYS[1], KEYS[i + 1])\n"
                    "end\n"
                    "return 0\n",
    /* KEYS: the set of all, the key, its owner's set; ARGV: behind the fields, how many there may be, how
     * many usable ones, the time. 0: done; 1: taken; 2: full. */
    [ADD_WITHIN] = ADD_ONE
    "local at = #names\n"
    "local most, usable, now = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])\n"
    "if redis.call('ZCARD', KEYS[3]) >= most then return 2 end\n"
    "for _, id in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do\n"
    "  local ends = redis.call('HMGET', '" KEYS_PREFIX "key:' .. id, 'revoked', 'expires', 'retires')\n"
    "  local revoked, expires, retires = tonumber(ends[1]), tonumber(ends[2]), tonumber(ends[3])\n"
    "  if revoked == 0 and (expires == 0 or expires > now) and (retires == 0 or retires > now) then\n"
    "    usable = usable - 1\n"
    "  end\n"
    "end\n"
    "if usable <= 0 then return 2 end\n"
    "if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end\n"
    "add(1, KEYS[2], KEYS[1], KEYS[3])\n"
    "return 0\n",
    /* KEYS: the key; ARGV: the time. 0: there is none. */
    [REVOKE] = "local revoked = redis.call('HGET', KEYS[1], 'revoked')\n"
               "if not revoked then return 0 end\n"
               "if revoked == '0' then redis.call('HSET', KEYS[1], 'revoked', ARGV[1]) end\n"
               "return 1\n",
    /* KEYS: as ADD_WITHIN, and the old key; ARGV: behind the fields, when that retires, and what it was when
     * it was looked at. 0: done; 1: taken; 2: it is another by now. */
    [ROTATE] = ADD_ONE "local at = #names\n"
                       "local old = redis.call('HMGET', KEYS[4], 'revoked', 'expires', 'retires')\n"
                       "for i = 1, 3 do\n"
                       "  if old[i] ~= ARGV[at + 1 + i] then return 2 end\n"
                       "end\n"
                       "if redis.call('EXISTS', KEYS[2]) == 1 then return 1 end\n"
                       "if old[3] == '0' or tonumber(old[3]) > tonumber(ARGV[at + 1]) then\n"
                       "  redis.call('HSET', KEYS[4], 'retires', ARGV[at + 1])\n"
                       "end\n"
                       "add(1, KEYS[2], KEYS[1], KEYS[3])\n"
                       "return 0\n",
    /* KEYS: the key; ARGV: the time, and how old the last one has to be. */
    [USED] = "local last = redis.call('HGET', KEYS[1], 'last_used')\n"
             "if last and tonumber(last) <= tonumber(ARGV[2]) then\n"
             "  redis.call('HSET', KEYS[1], 'last_used', ARGV[1])\n"
             "end\n"
             "return 0\n",
    [FETCH] = "local found = {}\n"
              "for i = 1, #KEYS do found[i] = redis.call('HMGET', KEYS[i], " FIELD_NAMES ") end\n"
              "return found\n",
    /* KEYS: the token; ARGV: how long it is kept, and when it ends. */
    [REVOKE_TOKEN] = "if redis.call('TTL', KEYS[1]) < tonumber(ARGV[1]) then\n"
                     "  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[1])\n"
                     "end\n"
                     "return 0\n",
    /* KEYS: the subject; ARGV: the time. */
    [REVOKE_SUBJECT] = "local before = redis.call('GET', KEYS[1])\n"
                       "if not before or tonumber(before) < tonumber(ARGV[1]) then\n"
                       "  redis.call('SET', KEYS[1], ARGV[1])\n"
                       "end\n"
                       "return 0\n",
};

/* ---- asking */

bool credentials_redis_run(struct credentials *credentials, enum script which, const struct text words[],
                           size_t count, size_t keys, long long *answer, struct error *error)
{
    struct store *store = store_of(credentials);
    struct redis *redis = redis_pool_take(store->pool, error);
    if (!redis)
        return false;
    redisReply *reply = redis_run(redis, &store->scripts[which], words, count, keys, error);
    bool good = reply && (reply->type == REDIS_REPLY_INTEGER || redis_is_strange(redis, error));
    if (good)
        *answer = reply->integer;
    freeReplyObject(reply);
    redis_pool_return(store->pool, redis);
    return good;
}

redisReply *credentials_redis_call(struct credentials *credentials, const struct text words[], size_t count,
                                   struct error *error)
{
    struct store *store = store_of(credentials);
    struct redis *redis = redis_pool_take(store->pool, error);
    redisReply *reply = redis ? redis_call(redis, words, count, error) : NULL;
    if (redis)
        redis_pool_return(store->pool, redis);
    return reply;
}

struct text credentials_redis_key(struct arena *arena, const char *kind, struct text name)
{
    size_t length = strlen(KEYS_PREFIX) + strlen(kind) + name.length;
    char *key = arena_alloc(arena, length + 1);
    memcpy(mempcpy(stpcpy(key, KEYS_PREFIX), kind, strlen(kind)), name.at ? name.at : "", name.length);
    return (struct text){key, length};
}

struct text credentials_redis_number(struct arena *arena, int64_t number)
{
    return text_of(arena_printf(arena, "%" PRId64, number));
}

bool credentials_redis_parse(const redisReply *reply, int64_t *number)
{
    char *end;
    if (reply->type != REDIS_REPLY_STRING || reply->len == 0 || reply->len >= NUMBER_SIZE)
        return false;
    errno = 0;
    *number = strtoll(reply->str, &end, 10);
    return errno == 0 && end == reply->str + reply->len && strchr("-0123456789", reply->str[0]);
}

bool credentials_redis_foreign(struct credentials *credentials, struct error *error)
{
    return error_set(error, "the store %.120s has keys of ours that somebody else has written",
                     store_of(credentials)->place);
}

/* ---- hashes */

/* What a key is judged by; false when it cannot be one of ours. */
static bool read_facts(const redisReply *reply, struct credential *credential)
{
    *credential = (struct credential){0};
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != FIELDS)
        return false;
    for (size_t i = 0; i < FIELDS; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return false;
    if (reply->element[DIGEST]->len != API_KEY_DIGEST_SIZE)
        return false;
    memcpy(credential->digest.bytes, reply->element[DIGEST]->str, API_KEY_DIGEST_SIZE);
    return credentials_redis_parse(reply->element[CREATED], &credential->created) &&
           credentials_redis_parse(reply->element[EXPIRES], &credential->expires) &&
           credentials_redis_parse(reply->element[RETIRES], &credential->retires) &&
           credentials_redis_parse(reply->element[REVOKED], &credential->revoked) &&
           credentials_redis_parse(reply->element[LAST_USED], &credential->last_used);
}

static struct text read_text(const redisReply *reply, enum field field, struct arena *arena)
{
    const redisReply *value = reply->element[field];
    return (struct text){arena_copy(arena, value->str, value->len), value->len};
}

/* Each word has a line feed behind it. */
static struct texts read_words(const redisReply *reply, enum field field, struct arena *arena)
{
    struct text rest = read_text(reply, field, arena), word;
    struct texts words = {0};
    size_t lines = 0;
    for (size_t i = 0; i < rest.length; i++)
        lines += rest.at[i] == '\n';
    words.items = arena_array(arena, lines + 1, sizeof *words.items);
    while (words.count <= lines && text_next(&rest, '\n', &word))
        words.items[words.count++] = word;
    return words;
}

static void read_texts(const redisReply *reply, struct arena *arena, struct credential *credential)
{
    credential->id = read_text(reply, ID, arena);
    credential->prefix = read_text(reply, PREFIX, arena);
    credential->owner = read_text(reply, OWNER, arena);
    credential->note = read_text(reply, NOTE, arena);
    credential->roles = read_words(reply, ROLES, arena);
    credential->scopes = read_words(reply, SCOPES, arena);
    credential->rotated_from = read_text(reply, ROTATED_FROM, arena);
}

static struct text join_words(struct arena *arena, const struct texts *words)
{
    struct bytes lines = bytes_new(arena, CREDENTIAL_WORDS_LIMIT * (CREDENTIAL_TEXT_LIMIT + 1));
    for (size_t i = 0; i < words->count; i++) {
        bytes_add_text(&lines, words->items[i]);
        bytes_add(&lines, "\n", 1);
    }
    assert(!lines.full);
    return bytes_text(&lines);
}

static void write_fields(struct arena *arena, const struct credential *credential, struct text words[FIELDS])
{
    words[ID] = credential->id;
    words[PREFIX] = credential->prefix;
    words[DIGEST] = (struct text){(const char *)credential->digest.bytes, API_KEY_DIGEST_SIZE};
    words[OWNER] = credential->owner;
    words[ROLES] = join_words(arena, &credential->roles);
    words[SCOPES] = join_words(arena, &credential->scopes);
    words[NOTE] = credential->note;
    words[CREATED] = credentials_redis_number(arena, credential->created);
    words[EXPIRES] = credentials_redis_number(arena, credential->expires);
    words[RETIRES] = credentials_redis_number(arena, credential->retires);
    words[REVOKED] = credentials_redis_number(arena, credential->revoked);
    words[ROTATED_FROM] = credential->rotated_from;
    words[LAST_USED] = credentials_redis_number(arena, credential->last_used);
}

/* ---- looking */

/* The fields of one key; NULL with an error, `missing` when there is no such key. */
static redisReply *fetch(struct credentials *credentials, struct text id, bool *missing, struct error *error)
{
    struct arena *arena = arena_new();
    const struct text words[2 + FIELDS] = {TEXT("HMGET"),    credentials_redis_key(arena, "key:", id),
                                           TEXT("id"),       TEXT("prefix"),
                                           TEXT("digest"),   TEXT("owner"),
                                           TEXT("roles"),    TEXT("scopes"),
                                           TEXT("note"),     TEXT("created"),
                                           TEXT("expires"),  TEXT("retires"),
                                           TEXT("revoked"),  TEXT("rotated_from"),
                                           TEXT("last_used")};
    redisReply *reply = credentials_redis_call(credentials, words, 2 + FIELDS, error);
    arena_free(arena);
    *missing = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == FIELDS;
    for (size_t i = 0; *missing && i < FIELDS; i++)
        *missing = reply->element[i]->type == REDIS_REPLY_NIL;
    return reply;
}

static enum credentials_result find(struct credentials *credentials, struct text id, struct arena *arena,
                                    struct credential *credential, struct error *error)
{
    bool missing;
    enum credentials_result result = CREDENTIALS_FAILED;
    redisReply *reply = fetch(credentials, id, &missing, error);
    if (!reply)
        return CREDENTIALS_FAILED;
    if (missing) {
        result = CREDENTIALS_MISSING;
    } else if (read_facts(reply, credential)) {
        read_texts(reply, arena, credential);
        result = CREDENTIALS_DONE;
    } else {
        credentials_redis_foreign(credentials, error);
    }
    freeReplyObject(reply);
    return result;
}

static enum key_answer check(struct credentials *credentials, const struct api_key *key, int64_t now,
                             struct arena *arena, struct credential *credential, struct error *error)
{
    bool missing;
    struct credential found;
    enum key_answer answer = KEY_UNDECIDED;
    redisReply *reply = fetch(credentials, key->id, &missing, error);
    if (!reply)
        return KEY_UNDECIDED;
    if (missing)
        answer = credential_judge(key, NULL, now);
    else if (read_facts(reply, &found))
        answer = credential_judge(key, &found, now);
    else
        credentials_redis_foreign(credentials, error);
    if (answer == KEY_GOOD) {
        read_texts(reply, arena, &found);
        *credential = found;
    }
    freeReplyObject(reply);
    return answer;
}

/* Fetches some keys by their IDs, which are strings. */
static bool fetch_some(struct credentials *credentials, redisReply *const ids[], size_t count,
                       struct arena *arena, struct credential *items, struct error *error)
{
    struct store *store = store_of(credentials);
    struct text keys[LISTED_AT_ONCE];
    for (size_t i = 0; i < count; i++)
        keys[i] = credentials_redis_key(arena, "key:", (struct text){ids[i]->str, ids[i]->len});
    struct redis *redis = redis_pool_take(store->pool, error);
    if (!redis)
        return false;
    redisReply *reply = redis_run(redis, &store->scripts[FETCH], keys, count, count, error);
    redis_pool_return(store->pool, redis);
    bool good = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == count;
    for (size_t i = 0; good && i < count; i++) {
        good = read_facts(reply->element[i], &items[i]);
        if (good)
            read_texts(reply->element[i], arena, &items[i]);
    }
    if (reply && !good)
        credentials_redis_foreign(credentials, error);
    freeReplyObject(reply);
    return good;
}

static enum credentials_result list(struct credentials *credentials, struct text owner, struct arena *arena,
                                    struct credential **items, size_t *count, struct error *error)
{
    struct text set = owner.length > 0 ? credentials_redis_key(arena, "owner:", owner)
                                       : credentials_redis_key(arena, "all", TEXT(""));
    const struct text words[] = {TEXT("ZRANGE"), set, TEXT("0"), TEXT("-1")};
    redisReply *ids = credentials_redis_call(credentials, words, 4, error);
    if (!ids)
        return CREDENTIALS_FAILED;
    bool good = ids->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; good && i < ids->elements; i++)
        good = ids->element[i]->type == REDIS_REPLY_STRING;
    if (!good)
        credentials_redis_foreign(credentials, error);
    *count = good ? ids->elements : 0;
    *items = arena_array(arena, *count, sizeof **items);
    for (size_t i = 0; good && i < *count; i += LISTED_AT_ONCE) {
        size_t some = *count - i < LISTED_AT_ONCE ? *count - i : LISTED_AT_ONCE;
        good = fetch_some(credentials, ids->element + i, some, arena, *items + i, error);
    }
    freeReplyObject(ids);
    return good ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}

/* ---- changing */

static enum credentials_result add(struct credentials *credentials, const struct credential *items,
                                   size_t count, size_t *taken, struct error *error)
{
    struct arena *arena = arena_new();
    struct text *words = arena_array(arena, 1 + (2 + FIELDS) * count, sizeof *words);
    struct text *fields = words + 1 + 2 * count;
    long long place = 0;
    words[0] = credentials_redis_key(arena, "all", TEXT(""));
    for (size_t i = 0; i < count; i++) {
        words[1 + 2 * i] = credentials_redis_key(arena, "key:", items[i].id);
        words[2 + 2 * i] = credentials_redis_key(arena, "owner:", items[i].owner);
        write_fields(arena, &items[i], fields + FIELDS * i);
    }
    bool done = credentials_redis_run(credentials, ADD, words, 1 + (2 + FIELDS) * count, 1 + 2 * count,
                                      &place, error);
    arena_free(arena);
    if (done && place > 0 && taken)
        *taken = (size_t)place - 1;
    return !done ? CREDENTIALS_FAILED : place > 0 ? CREDENTIALS_TAKEN : CREDENTIALS_DONE;
}

static enum credentials_result add_within(struct credentials *credentials,
                                          const struct credential *credential, int64_t now,
                                          const struct credentials_limit *limit, struct error *error)
{
    enum { KEYS = 3, NUMBERS = 3 };
    static const enum credentials_result results[] = {CREDENTIALS_DONE, CREDENTIALS_TAKEN, CREDENTIALS_FULL};
    struct arena *arena = arena_new();
    long long answer = 0;
    struct text words[KEYS + FIELDS + NUMBERS] = {credentials_redis_key(arena, "all", TEXT("")),
                                                  credentials_redis_key(arena, "key:", credential->id),
                                                  credentials_redis_key(arena, "owner:", credential->owner)};
    write_fields(arena, credential, words + KEYS);
    words[KEYS + FIELDS] = text_of(arena_printf(arena, "%" PRIu64, limit->all));
    words[KEYS + FIELDS + 1] = text_of(arena_printf(arena, "%" PRIu64, limit->usable));
    words[KEYS + FIELDS + 2] = credentials_redis_number(arena, now);
    bool done =
        credentials_redis_run(credentials, ADD_WITHIN, words, KEYS + FIELDS + NUMBERS, KEYS, &answer, error);
    arena_free(arena);
    return done && answer >= 0 && answer <= 2 ? results[answer] : CREDENTIALS_FAILED;
}

static enum credentials_result revoke(struct credentials *credentials, struct text id, int64_t now,
                                      struct error *error)
{
    struct arena *arena = arena_new();
    long long found = 0;
    const struct text words[] = {credentials_redis_key(arena, "key:", id),
                                 credentials_redis_number(arena, now)};
    bool done = credentials_redis_run(credentials, REVOKE, words, 2, 1, &found, error);
    arena_free(arena);
    return !done ? CREDENTIALS_FAILED : found ? CREDENTIALS_DONE : CREDENTIALS_MISSING;
}

enum rotation { ROTATED, NEXT_IS_TAKEN, CHANGED_MEANWHILE };

static bool rotate_seen(struct credentials *credentials, const struct credential *old, int64_t until,
                        struct arena *arena, const struct credential *next, long long *answer,
                        struct error *error)
{
    enum { KEYS = 4, NUMBERS = 4 };
    struct text words[KEYS + FIELDS + NUMBERS] = {
        credentials_redis_key(arena, "all", TEXT("")), credentials_redis_key(arena, "key:", next->id),
        credentials_redis_key(arena, "owner:", next->owner), credentials_redis_key(arena, "key:", old->id)};
    write_fields(arena, next, words + KEYS);
    words[KEYS + FIELDS] = credentials_redis_number(arena, until);
    words[KEYS + FIELDS + 1] = credentials_redis_number(arena, old->revoked);
    words[KEYS + FIELDS + 2] = credentials_redis_number(arena, old->expires);
    words[KEYS + FIELDS + 3] = credentials_redis_number(arena, old->retires);
    return credentials_redis_run(credentials, ROTATE, words, KEYS + FIELDS + NUMBERS, KEYS, answer, error);
}

/* What is looked at here is looked at again by the script, which gives up where it has changed. */
static enum credentials_result rotate(struct credentials *credentials, struct text id, int64_t now,
                                      int64_t until, struct arena *arena, struct credential *next,
                                      struct error *error)
{
    for (int i = 0; i < TRIES; i++) {
        struct credential old;
        long long answer = 0;
        enum credentials_result result = find(credentials, id, arena, &old, error);
        if (result != CREDENTIALS_DONE)
            return result;
        int64_t ends = credential_end(&old);
        if (old.revoked || (ends && ends <= now))
            return CREDENTIALS_ENDED;
        credentials_take_over(next, &old);
        if (!rotate_seen(credentials, &old, until, arena, next, &answer, error))
            return CREDENTIALS_FAILED;
        if (answer != CHANGED_MEANWHILE)
            return answer == ROTATED ? CREDENTIALS_DONE : CREDENTIALS_TAKEN;
    }
    error_set(error, "the key is being changed by others all the time; try again");
    return CREDENTIALS_FAILED;
}

static enum credentials_result used(struct credentials *credentials, const struct credential *credential,
                                    int64_t now, struct error *error)
{
    struct arena *arena = arena_new();
    long long answer;
    const struct text words[] = {credentials_redis_key(arena, "key:", credential->id),
                                 credentials_redis_number(arena, now),
                                 credentials_redis_number(arena, now - LAST_USED_SECONDS)};
    bool done = credentials_redis_run(credentials, USED, words, 3, 1, &answer, error);
    arena_free(arena);
    return done ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}

/* ---- beginning and end */

static struct credentials *open_store(const char *place, const char *password, struct error *error)
{
    struct redis_pool *pool = redis_pool_new(place, password, CREDENTIALS_TIMEOUT_MS, error);
    if (!pool)
        return NULL;
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    *store =
        (struct store){.credentials = {&credentials_redis}, .pool = pool, .place = redis_pool_place(pool)};
    for (size_t i = 0; i < SCRIPTS; i++)
        store->scripts[i] = redis_script(sources[i]);
    return &store->credentials;
}

static void close_store(struct credentials *credentials)
{
    struct store *store = store_of(credentials);
    redis_pool_free(store->pool);
    free(store);
}

const struct credentials_backend credentials_redis = {
    .open = open_store,
    .close = close_store,
    .check = check,
    .find = find,
    .list = list,
    .add = add,
    .add_within = add_within,
    .revoke = revoke,
    .rotate = rotate,
    .used = used,
    .revoke_token = revocations_redis_revoke_token,
    .revoke_subject = revocations_redis_revoke_subject,
    .token_is_revoked = revocations_redis_token_is_revoked,
};
