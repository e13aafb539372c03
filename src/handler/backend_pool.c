/*
 * Kept connections are a stack, so that those used last are used first and the
 * rest grow old. Who waits for a place hangs an eventfd in a queue, and polls it
 * beside its client. Connections that nobody uses are closed by a thread that
 * is there only while there are some.
 */
#include "config.h"

#include "handler/backend_pool.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

struct kept_connection {
    int descriptor;
    uint64_t until; /* clock_milliseconds */
};

struct waiter {
    struct waiter *next;
    int bell;
    size_t limit;
    bool granted;
    int descriptor; /* handed over with the place, or -1 */
};

struct backend_pool {
    pthread_mutex_t lock;
    size_t most, used;            /* places */
    struct kept_connection *kept; /* the oldest first; of `most` */
    size_t kept_count;
    struct waiter *first; /* who waits longest */
    bool swept;           /* a thread closes what grows old */
    uint64_t swept_at;    /* when it looks again, unless `sooner` comes first */
    pthread_cond_t sooner;
};

static struct backend_pool *new_pool(struct arena *arena)
{
    struct backend_pool *pool = arena_alloc(arena, sizeof *pool);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->sooner, NULL);
    return pool;
}

struct backend_pool *backend_pools_find(struct backend_pools **pools, const char *place, size_t limit,
                                        struct arena *arena)
{
    struct backend_pools *one = *pools;
    while (one && strcmp(one->place, place) != 0)
        one = one->next;
    if (!one) {
        one = arena_alloc(arena, sizeof *one);
        *one = (struct backend_pools){.next = *pools, .place = place, .pool = new_pool(arena)};
        *pools = one;
    }
    if (limit > one->pool->most) {
        one->pool->most = limit;
        one->pool->kept = arena_array(arena, limit, sizeof *one->pool->kept);
    }
    return one->pool;
}

/* ---- what grows old */

/* How long until the next one must go, having closed what must go now; locked. */
static uint64_t close_old(struct backend_pool *pool)
{
    uint64_t now = clock_milliseconds(), next = UINT64_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < pool->kept_count; i++) {
        const struct kept_connection *one = &pool->kept[i];
        if (one->until <= now) {
            (void)close(one->descriptor);
            continue;
        }
        next = one->until < next ? one->until : next;
        pool->kept[kept++] = *one;
    }
    pool->kept_count = kept;
    return kept > 0 ? next - now : 0;
}

static void *sweep(void *argument)
{
    struct backend_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (uint64_t left; (left = close_old(pool)) > 0;) {
        uint64_t at = pool->swept_at = clock_milliseconds() + left;
        const struct timespec until = {(time_t)(at / 1000), (long)(at % 1000) * 1000000L};
        pthread_cond_clockwait(&pool->sooner, &pool->lock, CLOCK_MONOTONIC, &until);
    }
    pool->swept = false;
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Has what must go at `until` closed then. Without the thread it is closed when somebody looks; locked. */
static void sweep_at(struct backend_pool *pool, uint64_t until)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pool->swept && until < pool->swept_at)
        pthread_cond_signal(&pool->sooner);
    if (pool->swept || pthread_attr_init(&attributes) != 0)
        return;
    pool->swept_at = until;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pool->swept = pthread_create(&thread, &attributes, sweep, pool) == 0;
    pthread_attr_destroy(&attributes);
}

/* ---- places */

/* What can be read from a connection that nothing was asked on is its end, or no
 * answer to anything. */
static bool is_silent(int descriptor)
{
    char byte;
    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* The same descriptor; closed, and -1, when it is no longer good. */
static int silent_one(int descriptor)
{
    if (is_silent(descriptor))
        return descriptor;
    (void)close(descriptor);
    return -1;
}

/* The one that was used last, of those that are still good; locked. */
static int take_kept(struct backend_pool *pool)
{
    int descriptor = -1;
    close_old(pool);
    while (descriptor < 0 && pool->kept_count > 0)
        descriptor = silent_one(pool->kept[--pool->kept_count].descriptor);
    return descriptor;
}

/* No more wait than there are threads. */
static void add_waiter(struct backend_pool *pool, struct waiter *waiter)
{
    struct waiter **place = &pool->first;
    while (*place)
        place = &(*place)->next;
    *place = waiter;
}

static void remove_waiter(struct backend_pool *pool, const struct waiter *waiter)
{
    struct waiter **place = &pool->first;
    while (*place != waiter)
        place = &(*place)->next;
    *place = waiter->next;
}

/* Whether the bell has rung; false: the time is over or the client has gone (`gone`). */
static bool wait_for_bell(int bell, const struct exchange *exchange, uint64_t deadline, bool *gone)
{
    const struct channel *channel = exchange->channel;
    short left = channel->half_closes ? 0 : POLLRDHUP;
    for (uint64_t now; (now = clock_milliseconds()) < deadline;) {
        struct pollfd items[] = {{bell, POLLIN, 0}, {channel->output, left, 0}};
        uint64_t most = deadline - now;
        if (poll(items, 2, most > INT_MAX ? INT_MAX : (int)most) < 0)
            continue;
        if (items[0].revents)
            return true;
        *gone = items[1].revents != 0 || channel->gone;
        if (*gone)
            return false;
    }
    return false;
}

static enum backend_place wait_in_queue(struct backend_pool *pool, const struct exchange *exchange,
                                        uint64_t deadline, struct waiter *waiter)
{
    bool gone = false;
    wait_for_bell(waiter->bell, exchange, deadline, &gone);
    pthread_mutex_lock(&pool->lock);
    if (!waiter->granted)
        remove_waiter(pool, waiter);
    pthread_mutex_unlock(&pool->lock);
    (void)close(waiter->bell);
    if (waiter->granted)
        return BACKEND_PLACE;
    return gone ? BACKEND_PLACE_GONE : BACKEND_PLACE_NONE;
}

enum backend_place backend_pool_take(struct backend_pool *pool, size_t limit, const struct exchange *exchange,
                                     uint64_t deadline, int *descriptor)
{
    struct waiter waiter = {.limit = limit, .descriptor = -1};
    *descriptor = -1;
    pthread_mutex_lock(&pool->lock);
    assert(limit <= pool->most);
    bool free = pool->used < limit;
    if (free) {
        pool->used++;
        *descriptor = take_kept(pool);
    } else if ((waiter.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0) {
        add_waiter(pool, &waiter);
    }
    pthread_mutex_unlock(&pool->lock);
    if (free)
        return BACKEND_PLACE;
    if (waiter.bell < 0)
        return BACKEND_PLACE_NONE;
    enum backend_place place = wait_in_queue(pool, exchange, deadline, &waiter);
    *descriptor = waiter.descriptor >= 0 ? silent_one(waiter.descriptor) : -1;
    return place;
}

/* The place goes to whoever waits longest, of those for whom there are not too many; locked. */
static bool hand_over(struct backend_pool *pool, int descriptor)
{
    struct waiter *waiter = pool->first;
    while (waiter && pool->used > waiter->limit)
        waiter = waiter->next;
    if (!waiter)
        return false;
    remove_waiter(pool, waiter);
    waiter->granted = true;
    waiter->descriptor = descriptor;
    eventfd_write(waiter->bell, 1);
    return true;
}

void backend_pool_give(struct backend_pool *pool, int descriptor, uint64_t idle)
{
    pthread_mutex_lock(&pool->lock);
    if (!hand_over(pool, descriptor)) {
        pool->used--;
        if (descriptor >= 0) {
            uint64_t until = clock_milliseconds() + idle;
            pool->kept[pool->kept_count++] = (struct kept_connection){descriptor, until};
            sweep_at(pool, until);
        }
    }
    pthread_mutex_unlock(&pool->lock);
}
