/*
 * Redis: one connection to a Redis or Valkey server. Owns how it is reached,
 * who we are there, time-outs, and the words for what can be wrong with it.
 * What is kept there is known to its users alone. hiredis writes commands and
 * reads replies; the bytes between go by redis_stream.h, because the hiredis of
 * Debian 12 has no TLS, and none has a deadline for a whole command.
 */
#ifndef STORE_REDIS_H
#define STORE_REDIS_H

#include <hiredis/hiredis.h>

#include "base/error.h"
#include "base/text.h"

struct redis;

/* A Lua script, which is sent whole only to a server that does not know it yet. */
struct redis_script {
    const char *source;
    char digest[41];
};
struct redis_script redis_script(const char *source);

/* For one thread at a time, and not connected yet. `password` may be NULL; one in the URL
 * counts where it is. Each of the calls below takes at most `timeout` milliseconds.
 * NULL with an error where the URL or its certificates are wrong. */
struct redis *redis_new(const char *url, const char *password, uint64_t timeout, struct error *);
void redis_free(struct redis *);

/* A further connection to the same server, which must be freed before the first one. It
 * reads no file, so that it can be made in a sandbox. */
struct redis *redis_another(const struct redis *);

/* Where it is, without user and password. */
const char *redis_place(const struct redis *);

/* Connects anew, and makes sure that the server is one that keeps what it is given.
 * Not needed: a call connects where nothing is connected, or the server has gone since the last one. */
bool redis_connect(struct redis *, struct error *);

/* Connects if that is needed, as each call does. */
bool redis_ready(struct redis *, struct error *);

/* One command and its reply, which is freed by freeReplyObject(). NULL with an error when
 * there was none, or the reply is an error; then it is not connected any more. */
redisReply *redis_call(struct redis *, const struct text words[], size_t count, struct error *);

/* Runs a script; the first `keys` of the words are the names of keys. */
redisReply *redis_run(struct redis *, const struct redis_script *, const struct text words[], size_t count,
                      size_t keys, struct error *);

/* Whether the last script was carried out, or nobody knows; one that ended with an error was not. */
bool redis_may_have_run(const struct redis *);

/* For replies that are none of what the script can say; always false. */
bool redis_is_strange(const struct redis *, struct error *);

#endif
