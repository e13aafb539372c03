/*
 * Bare Redis by hiredis: a connection for each caller and for each check one call, of the
 * script that is in most tutorials: INCR, and PEXPIRE for the first. It counts
 * beyond the limit, too. It knows no TLS.
 */
#include "plain.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/redis_url.h"

enum { DIGEST_SIZE = 40 };

#define KEYS "plain-bench:"

struct connection {
    redisContext *redis;
    char digest[DIGEST_SIZE + 1], window[24];
};

static redisReply *expect(const struct connection *self, redisReply *reply, int type)
{
    if (!reply || reply->type != type)
        fail("bare Redis", !reply                             ? self->redis->errstr
                           : reply->type == REDIS_REPLY_ERROR ? reply->str
                                                              : "an answer that makes no sense");
    return reply;
}

static redisContext *connect_to(const struct redis_url *url)
{
    const struct timeval timeout = {PLAIN_TIMEOUT_MS / 1000, 0};
    if (url->tls)
        fail("bare Redis is measured without TLS", NULL);
    redisContext *redis = url->path
                              ? redisConnectUnixWithTimeout(url->path, timeout)
                              : redisConnectWithTimeout(url->host, (int)strtol(url->port, NULL, 10), timeout);
    if (!redis || redis->err)
        fail("bare Redis", redis ? redis->errstr : "no memory");
    redisSetTimeout(redis, timeout);
    return redis;
}

static void sign_in(const struct connection *self, const struct redis_url *url)
{
    if (url->password)
        freeReplyObject(expect(
            self, redisCommand(self->redis, "AUTH %s %s", url->user ? url->user : "default", url->password),
            REDIS_REPLY_STATUS));
    freeReplyObject(
        expect(self, redisCommand(self->redis, "SELECT %d", (int)url->database), REDIS_REPLY_STATUS));
}

static void *open_server(const char *place)
{
    static const char script[] = "local count = redis.call('INCR', KEYS[1])\n"
                                 "if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end\n"
                                 "return count";
    struct connection *made = calloc(1, sizeof *made);
    struct arena *arena = arena_new();
    struct redis_url url = {0};
    struct error error = {0};
    if (!made || !redis_url_parse(text_of(place), arena, &url, &error))
        fail("bare Redis", error.message);
    made->redis = connect_to(&url);
    sign_in(made, &url);
    redisReply *loaded =
        expect(made, redisCommand(made->redis, "SCRIPT LOAD %s", script), REDIS_REPLY_STRING);
    snprintf(made->digest, sizeof made->digest, "%s", loaded->str);
    snprintf(made->window, sizeof made->window, "%d", PLAIN_WINDOW_MS);
    freeReplyObject(loaded);
    arena_free(arena);
    return made;
}

static bool check(void *connection, struct text key, uint64_t limit)
{
    const struct connection *self = connection;
    char named[128];
    int length = snprintf(named, sizeof named, KEYS "%.*s", TEXT_ARGUMENTS(key));
    const char *words[] = {"EVALSHA", self->digest, "1", named, self->window};
    const size_t lengths[] = {7, DIGEST_SIZE, 1, (size_t)length, strlen(self->window)};
    redisReply *reply = expect(self, redisCommandArgv(self->redis, 5, words, lengths), REDIS_REPLY_INTEGER);
    bool admitted = (uint64_t)reply->integer <= limit;
    freeReplyObject(reply);
    return admitted;
}

/* In one call: SCAN may meet a key twice. */
static uint64_t walk(const struct connection *self, const char *script, uint64_t limit)
{
    char most[24];
    snprintf(most, sizeof most, "%llu", (unsigned long long)limit);
    redisReply *reply = expect(self, redisCommand(self->redis, "EVAL %s 0 %s %s", script, KEYS "*", most),
                               REDIS_REPLY_STRING);
    uint64_t sum = strtoull(reply->str, NULL, 10);
    freeReplyObject(reply);
    return sum;
}

static uint64_t count(void *connection, uint64_t limit)
{
    return walk(connection,
                "local sum = 0\n"
                "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do\n"
                "  sum = sum + math.min(tonumber(redis.call('GET', key)), tonumber(ARGV[2]))\n"
                "end\n"
                "return string.format('%.0f', sum)",
                limit);
}

static void forget(void *connection)
{
    walk(connection,
         "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('UNLINK', key) end\n"
         "return '0'",
         0);
}

static void close_server(void *connection)
{
    struct connection *self = connection;
    redisFree(self->redis);
    free(self);
}

const struct plain plain_redis = {"Redis", open_server, check, count, forget, close_server};
