/*
 * What epoll is told of a connection, and whose it is when something happens:
 * it waits, until a deadline, or one thread has claimed it. Events are edges, so
 * none may be lost between the two. What follows on an event is not known here.
 */
#include "config.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "front/front.h"

/* What a connection that has never sent a byte is given when the worker drains:
 * its request may be on its way, and whoever made it cannot know that it is not
 * taken any more. */
enum { FIRST_BYTE_MS = 1000 };

/* A body that pauses for so long may be one that is made bit by bit, and never whole. */
enum { BODY_PAUSE_MS = 200 };

void events_ring(int alarm)
{
    uint64_t one = 1;
    if (write(alarm, &one, sizeof one) < 0 && errno != EAGAIN)
        log_event(SEVERITY_ERROR, "internal_error", "cannot wake a thread");
}

void events_watch(const struct front *front, int operation, int descriptor, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(front->events, operation, descriptor, &event) != 0)
        log_event(SEVERITY_ERROR, "internal_error", "epoll_ctl failed with error %d", errno);
}

bool events_claim(struct connection *connection)
{
    int waiting = CONNECTION_WAITING;
    return atomic_compare_exchange_strong(&connection->state, &waiting, CONNECTION_CLAIMED);
}

bool events_claim_or_tell(struct connection *connection, bool hung_up)
{
    int state = atomic_load(&connection->state), next;
    do {
        if (state == CONNECTION_FREE)
            return false; /* a stale event */
        if (state == CONNECTION_WAITING)
            next = CONNECTION_CLAIMED;
        else
            next = hung_up || state == CONNECTION_MISSED_END ? CONNECTION_MISSED_END : CONNECTION_MISSED;
    } while (!atomic_compare_exchange_weak(&connection->state, &state, next));
    if (next != CONNECTION_CLAIMED)
        return false;
    connection->hung_up |= hung_up;
    return true;
}

static uint64_t patience(const struct front *front, const struct connection *connection,
                         enum connection_step step)
{
    const struct timeouts *timeouts = &front->policy->server.timeouts;
    if (step == CONNECTION_WRITE)
        return timeouts->write;
    return connection_is_idle(connection) ? timeouts->idle : timeouts->read;
}

/* How long a connection may go on waiting when the worker drains. Requests that
 * have begun have their own deadline, and timeouts.drain. */
static uint64_t grace_of(const struct connection *connection)
{
    if (!connection_is_idle(connection))
        return UINT64_MAX;
    return connection->served ? 0 : FIRST_BYTE_MS;
}

/* When a request whose body pauses may be served without the rest of it. */
static uint64_t beginning_of(const struct connection *connection, enum connection_step step)
{
    bool may = step == CONNECTION_READ && connection_may_begin(connection);
    return may ? clock_milliseconds() + BODY_PAUSE_MS : UINT64_MAX;
}

/* Tells epoll what to wait for. Events are edges, so that a connection on which
 * one request follows another costs no call here: only what changes is told,
 * and an edge is made again where bytes may have been left unread. */
void events_arm(struct front *front, struct connection *connection, uint32_t events)
{
    bool again = (events & EPOLLIN) && connection->may_have_more;
    if (connection->armed == events && !again)
        return;
    events_watch(front, connection->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection->descriptor, events,
                 connection);
    connection->armed = events;
}

/* Bytes that nobody will read yet must not wake a thread again and again. */
static uint32_t events_of(const struct connection *connection, enum connection_step step)
{
    uint32_t input = connection_takes_input(connection) ? EPOLLIN | EPOLLRDHUP : 0u;
    return EPOLLET | input | (step == CONNECTION_WRITE ? EPOLLOUT : 0u);
}

bool events_await(struct front *front, struct connection *connection, enum connection_step step)
{
    atomic_store(&connection->deadline, clock_milliseconds() + patience(front, connection, step));
    atomic_store(&connection->grace, grace_of(connection));
    atomic_store(&connection->begins, beginning_of(connection, step));
    events_arm(front, connection, events_of(connection, step));
    int claimed = CONNECTION_CLAIMED;
    if (atomic_compare_exchange_strong(&connection->state, &claimed, CONNECTION_WAITING))
        return true;
    if (atomic_exchange(&connection->state, CONNECTION_CLAIMED) == CONNECTION_MISSED_END)
        connection->hung_up = true;
    return false;
}
