/*
 * A connection to Redis: it is made when it is needed, and dropped after every
 * error, so that nothing is ever read that answers an older question.
 */
#include "config.h"

#include "store/redis.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "store/redis_stream.h"

enum { READ_SIZE = 16 * 1024, SCRIPT_WORDS = 3, DIGEST_SIZE = 20 };

struct redis {
    struct arena *arena; /* of the URL; NULL: that of another */
    struct redis_url url;
    const char *password;
    uint64_t timeout;
    struct redis_stream stream;
    redisReader *reader;
    bool may_have_run;
};

/* ---- what a server can say against us */

static const struct {
    const char *word, *meaning;
} refusals[] = {
    {"WRONGPASS", "does not accept the user or password"},
    {"ERR invalid password", "does not accept the password"},
    {"ERR Client sent AUTH", "wants no password, but one is set"},
    {"ERR AUTH <password> called without", "wants no password, but one is set"},
    {"NOAUTH", "wants a password"},
    {"NOPERM", "does not let this user run the commands or reach the keys that are needed"},
    {"ERR DB index", "has no database of this number"},
    {"ERR invalid DB", "has no database of this number"},
    {"ERR SELECT is not allowed", "has no database of this number"},
    {"ERR max number of clients", "has as many connections as it allows"},
    {"READONLY", "is a replica, which can only be read"},
    {"OOM", "has no memory left, and takes no changes (maxmemory)"},
    {"LOADING", "is still loading its data"},
    {"BUSY", "is busy with a script of somebody"},
    {"MISCONF", "cannot save its data on disk, and takes no changes"},
    {"MASTERDOWN", "is a replica that has lost its master"},
    {"NOREPLICAS", "has too few replicas, and takes no changes"},
    {"CLUSTERDOWN", "is part of a cluster, which is not supported"},
    {"MOVED", "is part of a cluster, which is not supported"},
    {"CROSSSLOT", "is part of a cluster, which is not supported"},
    {"WRONGTYPE", "has keys of ours that somebody else has written"},
    {"FOREIGN", "has keys of ours that somebody else has written"}, /* as our scripts say */
    {"-DENIED", "is in protected mode: it wants a password, or connections from its own machine"},
};

/* A word at the front, or behind what a server puts in front of a script's error. */
static bool says(const char *message, const char *word)
{
    const char *at = strstr(message, word);
    return at && (at == message || at[-1] == '-' || at[-1] == ' ');
}

/* Servers repeat the arguments of what they do not know, which may be secrets: only
 * their first words are told, and of what was said to a password none. */
static bool refused(const struct redis *redis, const char *message, bool secret, struct error *error)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (says(message, refusals[i].word))
            return error_set(error, "the server %.120s %s", redis->url.place, refusals[i].meaning);
    struct text shown = text_cut(text_of(message), 80);
    shown.length = text_find(shown, ',');
    if (secret || !text_is_line(shown))
        shown = TEXT("an error");
    return error_set(error, "the server %.100s answers %.*s", redis->url.place, TEXT_ARGUMENTS(shown));
}

bool redis_is_strange(const struct redis *redis, struct error *error)
{
    return error_set(error, "the server %.120s gives an answer that makes no sense", redis->url.place);
}

/* ---- one command */

static void drop(struct redis *redis)
{
    redis_stream_close(&redis->stream);
    if (redis->reader)
        redisReaderFree(redis->reader);
    redis->reader = NULL;
}

static bool send_command(struct redis *redis, const struct text words[], size_t count, uint64_t deadline,
                         struct error *error)
{
    const char **at = calloc(count, sizeof *at);
    size_t *lengths = calloc(count, sizeof *lengths);
    char *command = NULL;
    if (!at || !lengths || count > INT32_MAX)
        abort();
    for (size_t i = 0; i < count; i++) {
        at[i] = words[i].at ? words[i].at : "";
        lengths[i] = words[i].length;
    }
    long long length = redisFormatCommandArgv(&command, (int)count, at, lengths);
    if (length < 0)
        abort();
    bool sent = redis_stream_write(&redis->stream, command, (size_t)length, deadline, error);
    explicit_bzero(command, (size_t)length);
    redisFreeCommand(command);
    free(lengths);
    free(at);
    return sent;
}

static redisReply *read_reply(struct redis *redis, uint64_t deadline, struct error *error)
{
    char bytes[READ_SIZE];
    void *reply = NULL;
    for (;;) {
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            redis_is_strange(redis, error);
            return NULL;
        }
        if (reply)
            return reply;
        size_t count = redis_stream_read(&redis->stream, bytes, sizeof bytes, deadline, error);
        if (count == 0)
            return NULL;
        if (redisReaderFeed(redis->reader, bytes, count) != REDIS_OK)
            abort(); /* no memory */
    }
}

/* The reply, errors included; NULL with an error, and not connected, when there was none. */
static redisReply *exchange(struct redis *redis, const struct text words[], size_t count, uint64_t deadline,
                            struct error *error)
{
    redisReply *reply = NULL;
    if (send_command(redis, words, count, deadline, error))
        reply = read_reply(redis, deadline, error);
    if (!reply)
        drop(redis);
    return reply;
}

/* The reply, if it is no error. */
static redisReply *judge(struct redis *redis, redisReply *reply, bool secret, struct error *error)
{
    if (!reply || reply->type != REDIS_REPLY_ERROR)
        return reply;
    refused(redis, reply->str, secret, error);
    freeReplyObject(reply);
    drop(redis);
    return NULL;
}

/* ---- connecting */

static bool do_command(struct redis *redis, const struct text words[], size_t count, uint64_t deadline,
                       bool secret, struct error *error)
{
    redisReply *reply = judge(redis, exchange(redis, words, count, deadline, error), secret, error);
    if (reply)
        freeReplyObject(reply);
    return reply != NULL;
}

static bool authenticate(struct redis *redis, uint64_t deadline, struct error *error)
{
    const struct text with_user[] = {TEXT("AUTH"), text_of(redis->url.user), text_of(redis->password)};
    const struct text alone[] = {TEXT("AUTH"), text_of(redis->password)};
    if (!redis->password)
        return true;
    return redis->url.user ? do_command(redis, with_user, 3, deadline, true, error)
                           : do_command(redis, alone, 2, deadline, true, error);
}

static bool select_database(struct redis *redis, uint64_t deadline, struct error *error)
{
    char number[24];
    snprintf(number, sizeof number, "%lu", (unsigned long)redis->url.database);
    const struct text words[] = {TEXT("SELECT"), text_of(number)};
    return redis->url.database == 0 || do_command(redis, words, 2, deadline, false, error);
}

/* Whether a field of INFO is there with another value. */
static bool field_differs(struct text info, struct text name, struct text value)
{
    struct text line;
    while (text_next(&info, '\n', &line)) {
        if (line.length > 0 && line.at[line.length - 1] == '\r')
            line.length--;
        if (text_starts_with(line, name))
            return !text_equal(text_from(line, name.length), value);
    }
    return false;
}

/* A server that makes room for itself would forget who was revoked and what was used. A user
 * that may not ask for INFO is believed to know. */
static bool check_eviction(struct redis *redis, uint64_t deadline, struct error *error)
{
    const struct text words[] = {TEXT("INFO"), TEXT("memory")};
    redisReply *reply = exchange(redis, words, 2, deadline, error);
    if (!reply)
        return false;
    struct text info = reply->type == REDIS_REPLY_STRING ? (struct text){reply->str, reply->len} : TEXT("");
    bool evicts = field_differs(info, TEXT("maxmemory:"), TEXT("0")) &&
                  field_differs(info, TEXT("maxmemory_policy:"), TEXT("noeviction"));
    freeReplyObject(reply);
    if (!evicts)
        return true;
    drop(redis);
    return error_set(error,
                     "the server %.120s removes keys when its memory is full; its maxmemory-policy "
                     "must be noeviction",
                     redis->url.place);
}

static bool connect_before(struct redis *redis, uint64_t deadline, struct error *error)
{
    const struct text ping[] = {TEXT("PING")};
    drop(redis);
    if (!redis_stream_connect(&redis->stream, deadline, error))
        return false;
    redis->reader = redisReaderCreate();
    if (!redis->reader)
        abort();
    return authenticate(redis, deadline, error) && do_command(redis, ping, 1, deadline, false, error) &&
           select_database(redis, deadline, error) && check_eviction(redis, deadline, error);
}

static bool ready_before(struct redis *redis, uint64_t deadline, struct error *error)
{
    return redis_stream_is_idle(&redis->stream) || connect_before(redis, deadline, error);
}

bool redis_connect(struct redis *redis, struct error *error)
{
    return connect_before(redis, clock_milliseconds() + redis->timeout, error);
}

bool redis_ready(struct redis *redis, struct error *error)
{
    return ready_before(redis, clock_milliseconds() + redis->timeout, error);
}

/* ---- calls */

redisReply *redis_call(struct redis *redis, const struct text words[], size_t count, struct error *error)
{
    uint64_t deadline = clock_milliseconds() + redis->timeout;
    if (!ready_before(redis, deadline, error))
        return NULL;
    return judge(redis, exchange(redis, words, count, deadline, error), false, error);
}

struct redis_script redis_script(const char *source)
{
    struct redis_script script = {.source = source};
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!EVP_Digest(source, strlen(source), digest, &length, EVP_sha1(), NULL) || length != DIGEST_SIZE)
        abort();
    for (unsigned i = 0; i < length; i++)
        snprintf(script.digest + 2 * i, 3, "%02x", digest[i]);
    return script;
}

redisReply *redis_run(struct redis *redis, const struct redis_script *script, const struct text words[],
                      size_t count, size_t keys, struct error *error)
{
    uint64_t deadline = clock_milliseconds() + redis->timeout;
    char number[24];
    assert(keys <= count);
    redis->may_have_run = false;
    if (!ready_before(redis, deadline, error))
        return NULL;
    struct text *all = calloc(count + SCRIPT_WORDS, sizeof *all);
    if (!all)
        abort();
    snprintf(number, sizeof number, "%zu", keys);
    all[0] = TEXT("EVALSHA");
    all[1] = text_of(script->digest);
    all[2] = text_of(number);
    memcpy(all + SCRIPT_WORDS, words, count * sizeof *all);
    redisReply *reply = exchange(redis, all, count + SCRIPT_WORDS, deadline, error);
    if (reply && reply->type == REDIS_REPLY_ERROR && says(reply->str, "NOSCRIPT")) {
        freeReplyObject(reply);
        all[0] = TEXT("EVAL");
        all[1] = text_of(script->source);
        reply = exchange(redis, all, count + SCRIPT_WORDS, deadline, error);
    }
    free(all);
    redis->may_have_run = !reply || reply->type != REDIS_REPLY_ERROR;
    return judge(redis, reply, false, error);
}

/* ---- beginning and end */

struct redis *redis_new(const char *url, const char *password, uint64_t timeout, struct error *error)
{
    struct redis *redis = calloc(1, sizeof *redis);
    if (!redis)
        abort();
    redis->arena = arena_new();
    redis->timeout = timeout;
    redis->stream.descriptor = -1;
    bool good = redis_url_parse(text_of(url), redis->arena, &redis->url, error);
    if (password)
        redis->password = arena_copy(redis->arena, password, strlen(password));
    else if (good)
        redis->password = redis->url.password;
    if (good && redis->url.user && !redis->password)
        good = error_set(error, "the store %.120s has a user, but no password", redis->url.place);
    if (good && redis_stream_new(&redis->stream, &redis->url, error))
        return redis;
    redis_free(redis);
    return NULL;
}

struct redis *redis_another(const struct redis *redis)
{
    struct redis *other = calloc(1, sizeof *other);
    if (!other)
        abort();
    *other = (struct redis){.url = redis->url, .password = redis->password, .timeout = redis->timeout};
    redis_stream_share(&other->stream, &redis->stream, &other->url);
    return other;
}

void redis_free(struct redis *redis)
{
    if (!redis)
        return;
    drop(redis);
    redis_stream_free(&redis->stream);
    arena_free(redis->arena);
    free(redis);
}

bool redis_may_have_run(const struct redis *redis)
{
    return redis->may_have_run;
}

const char *redis_place(const struct redis *redis)
{
    return redis->url.place;
}
