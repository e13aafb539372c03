/*
 * Places for connections: the table of those that are open, how one comes from
 * the listening socket to its place, and how it leaves. Where there is no place,
 * no connection is taken, and it waits in the backlog.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "front/front.h"

enum { PAUSE_TOLD_MS = 10000 };

size_t places_count(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    size_t count = front->open;
    pthread_mutex_unlock(&front->lock);
    return count;
}

/* A place in the table, or NULL: so many are open. */
static struct connection *take_place(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    struct connection *connection = front->unused;
    if (connection)
        front->unused = connection->next;
    else if (front->used < front->capacity)
        connection = &front->table[front->used++];
    if (connection)
        front->open++;
    pthread_mutex_unlock(&front->lock);
    return connection;
}

static void pause_accepting(struct front *front, const char *why)
{
    uint64_t now = clock_milliseconds(), told = atomic_load(&front->pause_told);
    atomic_store(&front->accept_paused, true);
    if ((told == 0 || now - told >= PAUSE_TOLD_MS) &&
        atomic_compare_exchange_strong(&front->pause_told, &told, now))
        log_event(SEVERITY_WARNING, "accept_paused", "no further connection is taken for now: %s", why);
}

/* What waits in the backlog makes a new edge. */
void places_resume(struct front *front)
{
    if (atomic_exchange(&front->accept_paused, false) && !atomic_load(&front->limits.stopping))
        events_watch(front, EPOLL_CTL_MOD, front->listener, EPOLLIN | EPOLLET, &front->listener);
}

static void leave_place(struct front *front, struct connection *connection)
{
    pthread_mutex_lock(&front->lock);
    connection->next = front->unused;
    front->unused = connection;
    assert(front->open > 0);
    bool last = --front->open == 0;
    pthread_mutex_unlock(&front->lock);
    if (atomic_load(&front->accept_paused))
        places_resume(front);
    if (last && atomic_load(&front->limits.stopping))
        events_ring(front->alarm);
}

void places_close(struct front *front, struct connection *connection, struct intake **spare)
{
    atomic_store(&connection->state, CONNECTION_FREE);
    connection_close(connection, spare);
    leave_place(front, connection);
}

static int accept_descriptor(const struct front *front)
{
    int descriptor;
    do
        descriptor = accept4(front->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (descriptor < 0 && (errno == EINTR || errno == ECONNABORTED));
    return descriptor;
}

struct connection *places_accept(struct front *front)
{
    struct connection *connection = take_place(front);
    if (!connection) {
        pause_accepting(front, "the policy's `connections` are all open");
        if (places_count(front) < front->capacity) /* one has been closed just before it could know */
            places_resume(front);
        return NULL;
    }
    int descriptor = accept_descriptor(front);
    if (descriptor < 0) {
        int reason = errno;
        leave_place(front, connection);
        if (reason != EAGAIN)
            pause_accepting(front,
                            reason == EMFILE || reason == ENFILE ? "out of descriptors" : "accept failed");
        return NULL;
    }
    connection->descriptor = descriptor;
    connection->armed = 0;
    connection->served = false;
    connection->may_have_more = connection->hung_up = connection->retired = false;
    atomic_store(&connection->state, CONNECTION_CLAIMED);
    return connection;
}
