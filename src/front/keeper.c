/*
 * The keeper, the worker's first thread: it takes the signals, keeps the
 * deadlines, drains, and reads in the threads' place while all of them wait. It
 * serves no request.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "front/front.h"

enum { TICK_MS = 100, REST_MS = 5, KEEPER_EVENTS = 64 };

static void relieve_threads(struct front *front, struct intake **spare)
{
    struct epoll_event events[KEEPER_EVENTS];
    int count = epoll_wait(front->events, events, KEEPER_EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct connection *connection = steps_take_event(front, &events[i], spare);
        if (connection)
            steps_queue(front, connection, spare);
    }
}

/* Woken for each request, the keeper would cost as much as what it reads. A thread that is free meanwhile
 * reads for itself, and what nobody has read stays readable, so that the next wait ends at once. */
static void rest(int signals)
{
    struct pollfd item = {signals, POLLIN, 0};
    poll(&item, 1, REST_MS);
}

static void expire(struct front *front, struct connection *connection, struct intake **spare)
{
    static const struct verdict timeout = {VERDICT_DENY, 408, "request", "request_timeout",
                                           "the web server fell silent"};
    enum connection_step step = CONNECTION_CLOSE;
    if (connection_is_idle(connection) && !connection_retire(connection))
        step = connection_advance(connection, &front->limits, spare);
    else if (connection_awaits_reply(connection))
        step = steps_refuse(front, connection, timeout, spare);
    if (steps_follow(front, connection, step, spare))
        steps_queue(front, connection, spare);
}

/* A request whose small body pauses: from here on it takes a thread, unless its body is to be seen whole. */
static void begin(struct front *front, struct connection *connection, struct intake **spare)
{
    enum connection_step step = connection_advance(connection, &front->limits, spare);
    if (step == CONNECTION_READ && connection_may_begin(connection)) {
        if (steps_take_bodies(front, connection))
            step = CONNECTION_READY;
        else
            connection_wait_for_body(connection);
    }
    if (steps_follow(front, connection, step, spare))
        steps_queue(front, connection, spare);
}

static bool may_begin(struct front *front, const struct connection *connection, uint64_t now)
{
    return atomic_load(&connection->begins) <= now && turns_have_room(front);
}

static bool is_due(const struct front *front, const struct connection *connection, uint64_t now)
{
    return atomic_load(&connection->deadline) <= now ||
           (atomic_load(&front->limits.stopping) && atomic_load(&connection->grace) <= now - front->stopped);
}

/* Ends what has waited too long; when stopping, also what is idle. */
static void keep_deadlines(struct front *front, struct intake **spare)
{
    uint64_t now = clock_milliseconds();
    pthread_mutex_lock(&front->lock);
    size_t used = front->open ? front->used : 0;
    pthread_mutex_unlock(&front->lock);
    for (size_t i = 0; i < used; i++) {
        struct connection *connection = &front->table[i];
        if (atomic_load(&connection->state) != CONNECTION_WAITING ||
            (!is_due(front, connection, now) && !may_begin(front, connection, now)) ||
            !events_claim(connection))
            continue;
        if (is_due(front, connection, now))
            expire(front, connection, spare);
        else if (may_begin(front, connection, now))
            begin(front, connection, spare);
        else if (steps_advance(front, connection, spare)) /* something came in between */
            steps_queue(front, connection, spare);
    }
}

static void begin_stop(struct front *front, struct intake **spare)
{
    front->stopped = clock_milliseconds();
    atomic_store(&front->limits.stopping, true);
    epoll_ctl(front->events, EPOLL_CTL_DEL, front->listener, NULL);
    struct connection *connection = steps_accept(front, spare); /* what waited in the backlog */
    if (connection)
        steps_queue(front, connection, spare);
    keep_deadlines(front, spare);
}

static void take_signals(struct front *front, int signals, struct intake **spare)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
        struct error error = {0};
        if (info.ssi_signo == SIGUSR1 && !log_reopen(&error))
            log_event(SEVERITY_WARNING, "log_not_reopened", "%s", error.message);
        if (info.ssi_signo != SIGUSR1 && !atomic_load(&front->limits.stopping))
            begin_stop(front, spare);
    }
}

static bool is_drained(struct front *front)
{
    return atomic_load(&front->limits.stopping) && places_count(front) == 0;
}

/* The keeper's own epoll set: signals, the alarm, and, while all threads are
 * busy, the threads' set as a whole. True when everything was answered. */
bool keeper_run(struct front *front, int signals)
{
    struct intake *spare = NULL;
    int own = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event items[] = {{.events = EPOLLIN, .data.fd = signals},
                                  {.events = EPOLLIN | EPOLLET, .data.fd = front->alarm},
                                  {.events = 0, .data.fd = front->events}};
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        if (epoll_ctl(own, EPOLL_CTL_ADD, items[i].data.fd, &items[i]) != 0)
            return false;
    bool relieving = false;
    uint64_t end = UINT64_MAX, tick = clock_milliseconds();
    while (!is_drained(front) && clock_milliseconds() < end) {
        struct epoll_event event = {0};
        if (turns_need_relief(front) != relieving) {
            relieving = !relieving;
            items[2].events = relieving ? EPOLLIN : 0;
            epoll_ctl(own, EPOLL_CTL_MOD, front->events, &items[2]);
        }
        int count = epoll_wait(own, &event, 1, places_count(front) ? TICK_MS : 10 * TICK_MS);
        if (count == 1 && event.data.fd == signals)
            take_signals(front, signals, &spare);
        if (count == 1 && event.data.fd == front->events) {
            if (turns_need_relief(front))
                relieve_threads(front, &spare);
            rest(signals);
        }
        if (atomic_load(&front->limits.stopping) && end == UINT64_MAX)
            end = clock_milliseconds() + front->policy->server.timeouts.drain;
        if (clock_milliseconds() - tick < TICK_MS)
            continue;
        tick = clock_milliseconds();
        keep_deadlines(front, &spare);
        places_resume(front);
        turns_call_again(front);
    }
    close(own);
    intake_free(spare);
    return is_drained(front);
}

int keeper_open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigdelset(&set, SIGHUP); /* the parent's business */
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
