/*
 * Kept connections are a stack, so that those used last are used first and the
 * rest grow old. Who waits for a place hangs an eventfd in a queue, and polls it
 * beside its client. Connections that nobody uses are closed by a thread that
 * is there only while there are some.
 */
#include "config.h"

#include "handler/backend_pool.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

struct kept_connection {
    int descriptor;
    uint64_t since;
};

struct waiter {
    struct waiter *next;
    int bell;
    bool granted;
    int descriptor; /* handed over with the place, or -1 */
};

struct backend_pool {
    pthread_mutex_t lock;
    size_t limit, used; /* places */
    uint64_t idle;
    struct kept_connection *kept; /* the oldest first; of `limit` */
    size_t kept_count;
    struct waiter *first, **last;
    bool swept; /* a thread closes what grows old */
};

struct backend_pool *backend_pool_new(struct arena *arena, size_t limit, uint64_t idle)
{
    struct backend_pool *pool = arena_alloc(arena, sizeof *pool);
    pool->limit = limit;
    pool->idle = idle;
    pool->kept = arena_array(arena, limit, sizeof *pool->kept);
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    return pool;
}

/* ---- what grows old */

/* How long until the oldest must go, having closed what must go now; locked. */
static uint64_t close_old(struct backend_pool *pool)
{
    uint64_t now = clock_milliseconds();
    size_t old = 0;
    while (old < pool->kept_count && now - pool->kept[old].since >= pool->idle)
        (void)close(pool->kept[old++].descriptor);
    pool->kept_count -= old;
    memmove(pool->kept, pool->kept + old, pool->kept_count * sizeof *pool->kept);
    return pool->kept_count > 0 ? pool->kept[0].since + pool->idle - now : 0;
}

static void *sweep(void *argument)
{
    struct backend_pool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    for (uint64_t left; (left = close_old(pool)) > 0;) {
        const struct timespec pause = {(time_t)(left / 1000), (long)(left % 1000) * 1000000L};
        pthread_mutex_unlock(&pool->lock);
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&pool->lock);
    }
    pool->swept = false;
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Without the thread they are closed when somebody looks; locked. */
static void start_sweeping(struct backend_pool *pool)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pool->swept || pthread_attr_init(&attributes) != 0)
        return;
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

/* The one that was used last, of those that are still good; locked. */
static int take_kept(struct backend_pool *pool)
{
    close_old(pool);
    while (pool->kept_count > 0) {
        int descriptor = pool->kept[--pool->kept_count].descriptor;
        if (is_silent(descriptor))
            return descriptor;
        (void)close(descriptor);
    }
    return -1;
}

static void remove_waiter(struct backend_pool *pool, const struct waiter *waiter)
{
    struct waiter **place = &pool->first;
    while (*place != waiter)
        place = &(*place)->next;
    *place = waiter->next;
    if (pool->last == &waiter->next)
        pool->last = place;
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

enum backend_place backend_pool_take(struct backend_pool *pool, const struct exchange *exchange,
                                     uint64_t deadline, int *descriptor)
{
    struct waiter waiter = {.descriptor = -1};
    *descriptor = -1;
    pthread_mutex_lock(&pool->lock);
    bool free = pool->used < pool->limit;
    if (free) {
        pool->used++;
        *descriptor = take_kept(pool);
    } else if ((waiter.bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0) {
        *pool->last = &waiter;
        pool->last = &waiter.next;
    }
    pthread_mutex_unlock(&pool->lock);
    if (free)
        return BACKEND_PLACE;
    if (waiter.bell < 0)
        return BACKEND_PLACE_NONE;
    enum backend_place place = wait_in_queue(pool, exchange, deadline, &waiter);
    *descriptor = waiter.descriptor;
    return place;
}

/* The place goes to whoever waits longest; locked. */
static bool hand_over(struct backend_pool *pool, int descriptor)
{
    struct waiter *waiter = pool->first;
    if (!waiter)
        return false;
    remove_waiter(pool, waiter);
    waiter->granted = true;
    waiter->descriptor = descriptor;
    eventfd_write(waiter->bell, 1);
    return true;
}

void backend_pool_give(struct backend_pool *pool, int descriptor)
{
    pthread_mutex_lock(&pool->lock);
    if (!hand_over(pool, descriptor)) {
        pool->used--;
        if (descriptor >= 0) {
            pool->kept[pool->kept_count++] = (struct kept_connection){descriptor, clock_milliseconds()};
            start_sweeping(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
}
