/*
 * The FastCGI front's threads. One of them leads: it waits on the epoll set
 * that holds the listening socket and every connection without a request under
 * way, reads, and answers what needs no waiting itself, so that such a request
 * is never handed from thread to thread. Before it waits for a handler or a
 * body, it lets another thread lead; no more run at once than there are
 * processors. When every thread waits, the keeper (the first thread) reads in
 * their place: it queues what is complete and refuses what the queue cannot
 * hold. It also keeps the deadlines and takes the signals.
 */
#include "config.h"

#include "front/fastcgi.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "front/connection.h"
#include "front/serve.h"
#include "process/launcher.h"

enum { TICK_MS = 100, PAUSE_TOLD_MS = 10000, KEEPER_EVENTS = 64, LEADER_EVENTS = 16, EXTRA_PARAMS = 200 };

/* What a connection that has never sent a byte is given when the worker drains:
 * its request may be on its way, and whoever made it cannot know that it is not
 * taken any more. */
enum { FIRST_BYTE_MS = 1000 };

struct front {
    const struct policy *policy;
    struct launcher *launcher;
    struct connection_limits limits;
    int listener;
    int events; /* epoll: listener, connections */
    int alarm;  /* wakes the keeper, and the thread that leads if there is one */
    struct connection *table;
    size_t threads, capacity, processors;
    uint64_t stopped; /* when it began to drain, for the keeper alone; clock_milliseconds */
    atomic_bool over, accept_paused;
    _Atomic uint64_t pause_told; /* when that was last logged; clock_milliseconds */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t work;  /* something is queued, or nobody leads */
    struct connection *unused;
    struct connection *queue_first, *queue_last;
    size_t queued, open, used; /* used: slots of the table ever taken */
    size_t parked;             /* threads without work */
    size_t active;             /* threads that run, as far as they have not begun to wait for a handler */
    bool led;                  /* a thread waits for events, or will when it has answered */
};

/* A thread's place among the others while it serves. */
struct turn {
    struct front *front;
    bool leads, waits;
    struct connection *batch; /* complete requests it will answer next, unless it has to wait */
};

static void ring(int descriptor)
{
    uint64_t one = 1;
    if (write(descriptor, &one, sizeof one) < 0 && errno != EAGAIN)
        log_event(SEVERITY_ERROR, "internal_error", "cannot wake a thread");
}

static void watch(const struct front *front, int operation, int descriptor, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(front->events, operation, descriptor, &event) != 0)
        log_event(SEVERITY_ERROR, "internal_error", "epoll_ctl failed with error %d", errno);
}

/* ---- the table */

static size_t count_open(struct front *front)
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
static void resume_accepting(struct front *front)
{
    if (atomic_exchange(&front->accept_paused, false) && !atomic_load(&front->limits.stopping))
        watch(front, EPOLL_CTL_MOD, front->listener, EPOLLIN | EPOLLET, &front->listener);
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
        resume_accepting(front);
    if (last && atomic_load(&front->limits.stopping))
        ring(front->alarm);
}

static void close_connection(struct front *front, struct connection *connection, struct intake **spare)
{
    atomic_store(&connection->state, CONNECTION_FREE);
    connection_close(connection, spare);
    leave_place(front, connection);
}

static bool claim(struct connection *connection)
{
    int waiting = CONNECTION_WAITING;
    return atomic_compare_exchange_strong(&connection->state, &waiting, CONNECTION_CLAIMED);
}

/* Claims a connection for an event, or else tells whoever has it. One of both
 * must happen even if it begins to wait meanwhile: an edge comes only once. */
static bool claim_or_tell(struct connection *connection, bool hung_up)
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

/* ---- whose turn it is */

/* With the lock held: lets a parked thread run where there is work for it. */
static void call_thread(struct front *front)
{
    bool has_work = front->queue_first || !front->led;
    if (has_work && front->parked > 0 && front->active < front->processors)
        pthread_cond_signal(&front->work);
    else if (has_work && front->parked == 0)
        ring(front->alarm); /* the keeper where nobody leads, else the leader */
}

/* With the lock held. */
static void put(struct front *front, struct connection *connection)
{
    connection->next = NULL;
    if (front->queue_first)
        front->queue_last->next = connection;
    else
        front->queue_first = connection;
    front->queue_last = connection;
    front->queued++;
}

static bool enqueue(struct front *front, struct connection *connection)
{
    pthread_mutex_lock(&front->lock);
    bool room = front->queued < front->policy->server.queue + front->parked;
    if (room) {
        put(front, connection);
        call_thread(front);
    }
    pthread_mutex_unlock(&front->lock);
    return room;
}

static struct connection *next_of_batch(struct turn *turn)
{
    struct connection *connection = turn->batch;
    if (connection)
        turn->batch = connection->next;
    return connection;
}

/* The exchange begins to wait for a handler or a body: another thread's turn. */
static void begin_to_wait(struct exchange *exchange)
{
    struct turn *turn = exchange->owner;
    struct front *front = turn->front;
    if (turn->waits)
        return;
    turn->waits = true;
    pthread_mutex_lock(&front->lock);
    assert(front->active > 0);
    front->active--;
    if (turn->leads)
        front->led = false;
    turn->leads = false;
    /* These few are let in whatever the queue's limit is: they were accepted. */
    for (struct connection *connection; (connection = next_of_batch(turn));)
        put(front, connection);
    call_thread(front);
    pthread_mutex_unlock(&front->lock);
}

static bool has_queue(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    bool has = front->queue_first != NULL;
    pthread_mutex_unlock(&front->lock);
    return has;
}

/* With the lock held. */
static struct connection *dequeue(struct front *front)
{
    struct connection *connection = front->queue_first;
    if (connection) {
        assert(front->queued > 0);
        front->queue_first = connection->next;
        front->queued--;
    }
    return connection;
}

/* Whether nobody reads what comes in, and nobody can but the keeper. */
static bool needs_relief(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    bool needed = !front->led && (front->parked == 0 || front->active >= front->processors);
    pthread_mutex_unlock(&front->lock);
    return needed;
}

/* ---- one connection */

static struct exchange new_exchange(const struct front *front, struct connection *connection,
                                    struct turn *turn)
{
    const struct timeouts *timeouts = &front->policy->server.timeouts;
    return (struct exchange){.arena = connection_arena(connection),
                             .channel = connection_channel(connection),
                             .started = clock_microseconds(),
                             .launcher = front->launcher,
                             .waits = turn ? begin_to_wait : NULL,
                             .owner = turn,
                             .spool_folder = front->policy->server.spool,
                             .read_timeout = timeouts->read,
                             .write_timeout = timeouts->write};
}

static enum connection_step settle(struct front *front, struct connection *connection, struct intake **spare)
{
    connection->served = true;
    return connection_settle(connection, &front->limits, spare);
}

static enum connection_step answer(struct turn *turn, struct connection *connection, struct intake **spare)
{
    struct front *front = turn->front;
    struct exchange exchange = new_exchange(front, connection, turn);
    struct params params;
    if (connection_params(connection, front->policy->server.request.headers + EXTRA_PARAMS, &params))
        serve_exchange(front->policy, &exchange, &params);
    else
        serve_refusal(front->policy, &exchange,
                      DENY(400, "request", "request_invalid", "its parameters are malformed or too many"));
    return settle(front, connection, spare);
}

static enum connection_step refuse(struct front *front, struct connection *connection, struct verdict verdict,
                                   struct intake **spare)
{
    struct exchange exchange = new_exchange(front, connection, NULL);
    serve_refusal(front->policy, &exchange, verdict);
    return settle(front, connection, spare);
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

/* Tells epoll what to wait for. Events are edges, so that a connection on which
 * one request follows another costs no call here: only what changes is told,
 * and an edge is made again where bytes may have been left unread. */
static void arm(struct front *front, struct connection *connection, uint32_t events)
{
    bool again = (events & EPOLLIN) && connection->may_have_more;
    if (connection->armed == events && !again)
        return;
    watch(front, connection->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, connection->descriptor, events,
          connection);
    connection->armed = events;
}

/* Bytes that nobody will read yet must not wake a thread again and again. */
static uint32_t events_of(const struct connection *connection, enum connection_step step)
{
    uint32_t input = connection_takes_input(connection) ? EPOLLIN | EPOLLRDHUP : 0u;
    return EPOLLET | input | (step == CONNECTION_WRITE ? EPOLLOUT : 0u);
}

/* Lets a claimed connection wait; false when an event has come already, so
 * that whoever claimed it must go on. */
static bool await(struct front *front, struct connection *connection, enum connection_step step)
{
    atomic_store(&connection->deadline, clock_milliseconds() + patience(front, connection, step));
    atomic_store(&connection->grace, grace_of(connection));
    arm(front, connection, events_of(connection, step));
    int claimed = CONNECTION_CLAIMED;
    if (atomic_compare_exchange_strong(&connection->state, &claimed, CONNECTION_WAITING))
        return true;
    if (atomic_exchange(&connection->state, CONNECTION_CLAIMED) == CONNECTION_MISSED_END)
        connection->hung_up = true;
    return false;
}

/* Follows a claimed connection step by step until it waits, is closed (both
 * false), or has a request to be served (true). */
static bool follow(struct front *front, struct connection *connection, enum connection_step step,
                   struct intake **spare)
{
    for (;;) {
        if (step == CONNECTION_READY) {
            /* A body that is still coming is the serving thread's alone. */
            if (connection->armed && !connection_is_complete(connection))
                arm(front, connection, EPOLLET);
            return true;
        }
        if (step == CONNECTION_TOO_LARGE) {
            step =
                refuse(front, connection,
                       DENY(431, "request", "head_too_large", "its parameters are over request.head"), spare);
            continue;
        }
        if (step == CONNECTION_READ && connection_is_idle(connection) && connection->served &&
            atomic_load(&front->limits.stopping) && connection_retire(connection))
            step = CONNECTION_CLOSE;
        if (step == CONNECTION_CLOSE) {
            close_connection(front, connection, spare);
            return false;
        }
        if (await(front, connection, step))
            return false;
        step = connection_advance(connection, &front->limits, spare);
    }
}

static bool advance(struct front *front, struct connection *connection, struct intake **spare)
{
    return follow(front, connection, connection_advance(connection, &front->limits, spare), spare);
}

/* For a request that the caller cannot serve itself. */
static void queue_or_refuse(struct front *front, struct connection *connection, struct intake **spare)
{
    static const struct verdict overloaded = {VERDICT_DENY, 503, "request", "overloaded",
                                              "the queue is full"};
    while (!enqueue(front, connection))
        if (!follow(front, connection, refuse(front, connection, overloaded, spare), spare))
            return;
}

/* ---- what wakes a thread */

static int accept_descriptor(const struct front *front)
{
    int descriptor;
    do
        descriptor = accept4(front->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (descriptor < 0 && (errno == EINTR || errno == ECONNABORTED));
    return descriptor;
}

/* The next connection that waits, claimed; NULL when there is none, or no place
 * for it: then it stays in the backlog. */
static struct connection *accept_one(struct front *front)
{
    struct connection *connection = take_place(front);
    if (!connection) {
        pause_accepting(front, "the policy's `connections` are all open");
        if (count_open(front) < front->capacity) /* one has been closed just before it could know */
            resume_accepting(front);
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

/* Takes every connection that waits. All but the last go to the epoll set, for
 * the other threads; the last one is read here and now. The result has a
 * request to be served, or is NULL. */
static struct connection *accept_connections(struct front *front, struct intake **spare)
{
    struct connection *last = NULL, *connection;
    while (!atomic_load(&front->over) && (connection = accept_one(front))) {
        if (last && follow(front, last, CONNECTION_READ, spare))
            queue_or_refuse(front, last, spare);
        last = connection;
    }
    return last && advance(front, last, spare) ? last : NULL;
}

/* What an event asks for; a connection with a request to be served, or NULL. */
static struct connection *handle_event(struct front *front, const struct epoll_event *event,
                                       struct intake **spare)
{
    if (event->data.ptr == &front->listener)
        return accept_connections(front, spare);
    if (event->data.ptr == &front->alarm)
        return NULL;
    struct connection *connection = event->data.ptr;
    bool hung_up = event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    return claim_or_tell(connection, hung_up) && advance(front, connection, spare) ? connection : NULL;
}

static void serve_connection(struct turn *turn, struct connection *connection, struct intake **spare)
{
    /* What follows on a kept connection is no better than what has waited. */
    while (follow(turn->front, connection, answer(turn, connection, spare), spare))
        if (turn->batch || has_queue(turn->front)) {
            queue_or_refuse(turn->front, connection, spare);
            return;
        }
}

/* Waits for events, and collects the requests that are complete. */
static void lead(struct turn *turn, struct intake **spare)
{
    struct front *front = turn->front;
    struct epoll_event events[LEADER_EVENTS];
    int count = epoll_wait(front->events, events, LEADER_EVENTS, -1);
    for (int i = 0; i < count; i++) {
        struct connection *connection = handle_event(front, &events[i], spare);
        if (connection) {
            connection->next = turn->batch;
            turn->batch = connection;
        }
    }
    pthread_mutex_lock(&front->lock);
    front->active++;
    /* As many as it could take: there is work for two. */
    if (count == LEADER_EVENTS) {
        turn->leads = front->led = false;
        call_thread(front);
    }
    pthread_mutex_unlock(&front->lock);
}

/* With the lock held: finds a queued request, or the lead, or a place to park. */
static void find_work(struct turn *turn)
{
    struct front *front = turn->front;
    while (!atomic_load(&front->over)) {
        bool may_run = front->active < front->processors;
        if (may_run && (turn->batch = dequeue(front))) {
            turn->batch->next = NULL;
            front->active++;
            if (front->parked > 0)
                call_thread(front); /* there may be work for one more */
            return;
        }
        if (may_run && !front->led) {
            turn->leads = front->led = true;
            return;
        }
        front->parked++;
        pthread_cond_wait(&front->work, &front->lock);
        front->parked--;
    }
}

/* With the lock held. */
static void end_turn(const struct turn *turn)
{
    struct front *front = turn->front;
    if (turn->leads)
        front->led = false;
    if (turn->waits)
        return;
    assert(front->active > 0);
    front->active--;
}

static void *thread_main(void *argument)
{
    struct front *front = argument;
    struct intake *spare = NULL;
    pthread_mutex_lock(&front->lock);
    for (;;) {
        struct turn turn = {.front = front};
        find_work(&turn);
        pthread_mutex_unlock(&front->lock);
        bool was_queued = turn.batch != NULL;
        if (turn.leads)
            lead(&turn, &spare);
        else if (!was_queued)
            break; /* it is over */
        for (struct connection *connection; (connection = next_of_batch(&turn));) {
            if (was_queued && connection_is_abandoned(connection))
                close_connection(front, connection, &spare);
            else
                serve_connection(&turn, connection, &spare);
        }
        pthread_mutex_lock(&front->lock);
        end_turn(&turn);
    }
    intake_free(spare);
    return NULL;
}

/* ---- the keeper */

static void relieve_threads(struct front *front, struct intake **spare)
{
    struct epoll_event events[KEEPER_EVENTS];
    int count = epoll_wait(front->events, events, KEEPER_EVENTS, 0);
    for (int i = 0; i < count; i++) {
        struct connection *connection = handle_event(front, &events[i], spare);
        if (connection)
            queue_or_refuse(front, connection, spare);
    }
}

static void expire(struct front *front, struct connection *connection, struct intake **spare)
{
    static const struct verdict timeout = {VERDICT_DENY, 408, "request", "request_timeout",
                                           "the web server fell silent"};
    enum connection_step step = CONNECTION_CLOSE;
    if (connection_is_idle(connection) && !connection_retire(connection))
        step = connection_advance(connection, &front->limits, spare);
    else if (connection_awaits_reply(connection))
        step = refuse(front, connection, timeout, spare);
    if (follow(front, connection, step, spare))
        queue_or_refuse(front, connection, spare);
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
        if (atomic_load(&connection->state) != CONNECTION_WAITING || !is_due(front, connection, now) ||
            !claim(connection))
            continue;
        if (is_due(front, connection, now))
            expire(front, connection, spare);
        else if (advance(front, connection, spare)) /* something came in between */
            queue_or_refuse(front, connection, spare);
    }
}

static void begin_stop(struct front *front, struct intake **spare)
{
    front->stopped = clock_milliseconds();
    atomic_store(&front->limits.stopping, true);
    epoll_ctl(front->events, EPOLL_CTL_DEL, front->listener, NULL);
    struct connection *connection = accept_connections(front, spare); /* what waited in the backlog */
    if (connection)
        queue_or_refuse(front, connection, spare);
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
    return atomic_load(&front->limits.stopping) && count_open(front) == 0;
}

/* The keeper's own epoll set: signals, the alarm, and, while all threads are
 * busy, the threads' set as a whole. True when everything was answered. */
static bool keep(struct front *front, int signals)
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
        if (needs_relief(front) != relieving) {
            relieving = !relieving;
            items[2].events = relieving ? EPOLLIN : 0;
            epoll_ctl(own, EPOLL_CTL_MOD, front->events, &items[2]);
        }
        int count = epoll_wait(own, &event, 1, count_open(front) ? TICK_MS : 10 * TICK_MS);
        if (count == 1 && event.data.fd == signals)
            take_signals(front, signals, &spare);
        if (count == 1 && event.data.fd == front->events && needs_relief(front))
            relieve_threads(front, &spare);
        if (atomic_load(&front->limits.stopping) && end == UINT64_MAX)
            end = clock_milliseconds() + front->policy->server.timeouts.drain;
        if (clock_milliseconds() - tick < TICK_MS)
            continue;
        tick = clock_milliseconds();
        keep_deadlines(front, &spare);
        resume_accepting(front);
    }
    close(own);
    intake_free(spare);
    return is_drained(front);
}

static int take_over_signals(void)
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

static size_t count_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (size_t)count : 1;
}

static bool open_front(struct front *front)
{
    const struct server_rules *server = &front->policy->server;
    front->limits = (struct connection_limits){.head = server->request.head,
                                               .reply_spool = server->reply_spool,
                                               .folder = server->spool,
                                               .write_timeout = server->timeouts.write,
                                               .connections = (unsigned)server->connections};
    front->threads = server->threads;
    front->processors = count_processors();
    front->capacity = server->connections;
    front->table = calloc(front->capacity, sizeof *front->table);
    front->events = epoll_create1(EPOLL_CLOEXEC);
    front->alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!front->table || front->events < 0 || front->alarm < 0)
        return false;
    watch(front, EPOLL_CTL_ADD, front->alarm, EPOLLIN | EPOLLET, &front->alarm);
    watch(front, EPOLL_CTL_ADD, front->listener, EPOLLIN | EPOLLET, &front->listener);
    return true;
}

/* All threads or none, and only then does the parent hear that they serve. None
 * of them gets the lock before, so a worker that fails here has taken no request. */
static bool start_threads(struct front *front, pthread_t *threads, size_t *count)
{
    struct error error = {0};
    int failure = 0;
    pthread_mutex_lock(&front->lock);
    while (*count < front->threads && failure == 0) {
        failure = pthread_create(&threads[*count], NULL, thread_main, front);
        *count += failure == 0;
    }
    bool good = failure == 0 ? launcher_ready(front->launcher, &error)
                             : error_set(&error, "cannot make thread %zu of %zu: %s", *count + 1,
                                         front->threads, strerror(failure));
    if (!good)
        atomic_store(&front->over, true);
    pthread_mutex_unlock(&front->lock);
    if (!good)
        log_event(SEVERITY_ERROR, "start_failed", "%s", error.message);
    return good;
}

static void end_threads(struct front *front, pthread_t *threads, size_t count)
{
    atomic_store(&front->over, true);
    /* Readable for good, so that no thread waits again. */
    watch(front, EPOLL_CTL_MOD, front->alarm, EPOLLIN, &front->alarm);
    ring(front->alarm);
    pthread_mutex_lock(&front->lock);
    pthread_cond_broadcast(&front->work);
    pthread_mutex_unlock(&front->lock);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* True when everything was answered, so that no thread has anything left to do. */
static bool serve(struct front *front, int signals)
{
    bool drained = keep(front, signals);
    if (!drained)
        log_event(SEVERITY_WARNING, "drain_timeout", "%zu connections were still open after timeouts.drain",
                  count_open(front));
    return drained;
}

int fastcgi_serve(const struct policy *policy, int listener, struct launcher *launcher)
{
    /* Static: threads that do not end in time may still look at it. */
    static struct front front;
    front.policy = policy;
    front.listener = listener;
    front.launcher = launcher;
    pthread_mutex_init(&front.lock, NULL);
    pthread_cond_init(&front.work, NULL);
    int signals = take_over_signals();
    size_t count = 0;
    pthread_t *threads = calloc(policy->server.threads, sizeof *threads);
    if (signals < 0 || !threads || !open_front(&front)) {
        log_event(SEVERITY_ERROR, "start_failed", "cannot set up the front: error %d", errno);
        return 1;
    }
    bool started = start_threads(&front, threads, &count);
    if (started && !serve(&front, signals))
        return 0;
    end_threads(&front, threads, count);
    free(threads);
    free(front.table);
    close(front.events);
    close(front.alarm);
    close(signals);
    return started ? 0 : 1;
}
