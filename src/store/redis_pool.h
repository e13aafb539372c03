/*
 * Redis pool: connections to one server for many threads, as many as are at it
 * at once. While the server cannot be reached, nobody waits for it in turn.
 */
#ifndef STORE_REDIS_POOL_H
#define STORE_REDIS_POOL_H

#include "store/redis.h"

struct redis_pool;

/* As redis_new(); nothing is connected yet. */
struct redis_pool *redis_pool_new(const char *url, const char *password, uint64_t timeout, struct error *);
void redis_pool_free(struct redis_pool *);

/* As redis_place(). */
const char *redis_pool_place(const struct redis_pool *);

/* A connection of the caller's own, which is ready; give it back by redis_pool_return().
 * NULL with an error when there is none to be had. */
struct redis *redis_pool_take(struct redis_pool *, struct error *);
void redis_pool_return(struct redis_pool *, struct redis *);

#endif
