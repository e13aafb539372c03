/*
 * Kept connections are a stack, so that those used last are used first and the
 * rest grow old. Those that nobody uses are closed by a thread that is there
 * only while there are some.
 */
#include "config.h"

#include "handler/backends_own.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { BATCH = 32 };

void backend_connection_close(struct backend_connection connection)
{
    if (connection.close)
        connection.close(connection.owner);
    else if (connection.descriptor >= 0)
        (void)close(connection.descriptor);
}

bool backend_connection_is_silent(struct backend_connection connection)
{
    char byte;
    return recv(connection.descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct backend_connection backend_take_kept(struct backend *backend)
{
    return backend->kept_count > 0 ? backend->kept[--backend->kept_count].connection : BACKEND_NO_CONNECTION;
}

static size_t warm(const struct backend *backend)
{
    return backend->warming ? backend->warming->rules->warm : 0;
}

struct backend_connection backend_take_oldest(struct backend *backend)
{
    if (backend->kept_count == 0)
        return BACKEND_NO_CONNECTION;
    struct backend_connection oldest = backend->kept[0].connection;
    memmove(backend->kept, backend->kept + 1, --backend->kept_count * sizeof *backend->kept);
    return oldest;
}

/* ---- what grows old */

/* Takes what must go now; how many. `next`: when the next one must. With the lock. */
static size_t take_old(struct backend_registry *registry, struct backend_connection old[BATCH],
                       uint64_t *next)
{
    uint64_t now = clock_milliseconds();
    size_t count = 0;
    *next = UINT64_MAX;
    for (struct backend *backend = registry->first; backend; backend = backend->next) {
        size_t kept = 0,
               spare = backend->kept_count > warm(backend) ? backend->kept_count - warm(backend) : 0;
        for (size_t i = 0; i < backend->kept_count; i++) {
            const struct kept_connection *one = &backend->kept[i];
            if (spare > 0 && one->until <= now && count < BATCH) {
                old[count++] = one->connection;
                spare--;
                continue;
            }
            if (spare > 0)
                *next = one->until < *next ? one->until : *next;
            backend->kept[kept++] = *one;
        }
        backend->kept_count = kept;
    }
    return count;
}

static void wait_until(struct backend_registry *registry, uint64_t time)
{
    const struct timespec until = {(time_t)(time / 1000), (long)(time % 1000) * 1000000L};
    registry->swept_at = time;
    pthread_cond_timedwait(&registry->aging, &registry->lock, &until);
}

static void *sweep(void *argument)
{
    struct backend_registry *registry = argument;
    struct backend_connection old[BATCH];
    uint64_t next;
    pthread_mutex_lock(&registry->lock);
    for (size_t count; (count = take_old(registry, old, &next)) > 0 || next < UINT64_MAX;) {
        if (count == 0) {
            wait_until(registry, next);
            continue;
        }
        pthread_mutex_unlock(&registry->lock);
        while (count > 0)
            backend_connection_close(old[--count]);
        pthread_mutex_lock(&registry->lock);
    }
    registry->swept = false;
    pthread_mutex_unlock(&registry->lock);
    return NULL;
}

/* Without the thread they stay until somebody uses them. */
static void start_sweeping(struct backend_registry *registry)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    registry->swept_at = 0;
    registry->swept = pthread_create(&thread, &attributes, sweep, registry) == 0;
    pthread_attr_destroy(&attributes);
}

void backend_keep(struct backend *backend, struct backend_connection connection, uint64_t until)
{
    struct backend_registry *registry = backend->registry;
    backend->kept[backend->kept_count++] = (struct kept_connection){connection, until};
    if (registry->swept && until < registry->swept_at)
        pthread_cond_signal(&registry->aging);
    else if (!registry->swept && backend->kept_count > warm(backend))
        start_sweeping(registry);
}

void backend_drop_kept(struct backend *backend)
{
    struct backend_connection batch[BATCH];
    size_t count;
    do {
        count = 0;
        pthread_mutex_lock(&backend->registry->lock);
        while (backend->health.state != BACKEND_UP && backend->kept_count > 0 && count < BATCH)
            batch[count++] = backend_take_kept(backend);
        pthread_mutex_unlock(&backend->registry->lock);
        for (size_t i = 0; i < count; i++)
            backend_connection_close(batch[i]);
    } while (count == BATCH);
}
