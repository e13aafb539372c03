/*
 * Idle connections in a stack, so that those used last are used first.
 */
#include "config.h"

#include "store/redis_pool.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

/* After a connection could not be made, all are refused for so long. */
enum { IDLE_MOST = 64, REFUSED_MS = 250 };

struct redis_pool {
    pthread_mutex_t lock;
    struct redis *first; /* which the others are made after, and never connected */
    struct redis *idle[IDLE_MOST];
    size_t count;
    uint64_t refused_until;
    struct error failure;
};

struct redis_pool *redis_pool_new(const char *url, const char *password, uint64_t timeout,
                                  struct error *error)
{
    struct redis *first = redis_new(url, password, timeout, error);
    if (!first)
        return NULL;
    struct redis_pool *pool = calloc(1, sizeof *pool);
    if (!pool)
        abort();
    pool->first = first;
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

void redis_pool_free(struct redis_pool *pool)
{
    while (pool->count > 0)
        redis_free(pool->idle[--pool->count]);
    redis_free(pool->first);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

const char *redis_pool_place(const struct redis_pool *pool)
{
    return redis_place(pool->first);
}

static bool is_refused(struct redis_pool *pool, struct error *error)
{
    return clock_milliseconds() < pool->refused_until && !error_set(error, "%s", pool->failure.message);
}

struct redis *redis_pool_take(struct redis_pool *pool, struct error *error)
{
    struct error failure = {0};
    struct redis *redis = NULL;
    pthread_mutex_lock(&pool->lock);
    bool refused = is_refused(pool, error);
    if (!refused)
        redis = pool->count > 0 ? pool->idle[--pool->count] : redis_another(pool->first);
    pthread_mutex_unlock(&pool->lock);
    if (refused || redis_ready(redis, &failure))
        return redis;
    pthread_mutex_lock(&pool->lock);
    pool->failure = failure;
    pool->refused_until = clock_milliseconds() + REFUSED_MS;
    pthread_mutex_unlock(&pool->lock);
    redis_pool_return(pool, redis);
    error_set(error, "%s", failure.message);
    return NULL;
}

void redis_pool_return(struct redis_pool *pool, struct redis *redis)
{
    pthread_mutex_lock(&pool->lock);
    bool room = pool->count < IDLE_MOST;
    if (room)
        pool->idle[pool->count++] = redis;
    pthread_mutex_unlock(&pool->lock);
    if (!room)
        redis_free(redis);
}
