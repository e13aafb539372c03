/*
 * The FastCGI front's threads. One of them leads: it waits on the epoll set
 * that holds the listening socket and every connection without a request under
 * way, reads, and answers what needs no waiting itself, so that such a request
 * is never handed from thread to thread. Before it waits for a handler or a
 * body, it lets another thread lead. Waking one costs more than the rest of that
 * turn, so a thread that has waited stands by: it waits for events beside the one
 * that leads. No more run at once than there are processors, but for that one.
 * When every thread waits, the keeper (the first thread) reads in their place: it
 * queues what is complete and refuses what the queue cannot hold. It also keeps the
 * deadlines and takes the signals.
 */
#include "config.h"

#include "front/fastcgi.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "front/front.h"
#include "process/launcher.h"
#include "watch/status.h"

enum { LEADER_EVENTS = 16 };

/* Waits for events, and collects the requests that are complete. */
static void lead(struct turn *turn, struct intake **spare)
{
    struct front *front = turn->front;
    struct epoll_event events[LEADER_EVENTS];
    int count = epoll_wait(front->events, events, LEADER_EVENTS, -1);
    for (int i = 0; i < count; i++) {
        struct connection *connection = steps_take_event(front, &events[i], spare);
        if (connection) {
            connection->next = turn->batch;
            turn->batch = connection;
        }
    }
    pthread_mutex_lock(&front->lock);
    front->active++;
    /* As many as it could take: there is work for two. */
    if (count == LEADER_EVENTS) {
        turns_leave_lead(turn);
        turns_call(front);
    } else {
        pthread_mutex_unlock(&front->lock);
    }
}

static void *thread_main(void *argument)
{
    struct front *front = argument;
    struct intake *spare = NULL;
    bool waited = false;
    pthread_mutex_lock(&front->lock);
    for (;;) {
        struct turn turn = {.front = front, .stands_by = waited};
        turns_find(&turn);
        bool was_queued = turn.batch != NULL;
        if (turn.leads)
            lead(&turn, &spare);
        else if (!was_queued)
            break; /* it is over */
        for (struct connection *connection; (connection = turns_next(&turn));) {
            if (was_queued && connection_is_abandoned(connection))
                places_close(front, connection, &spare);
            else
                steps_serve(&turn, connection, &spare);
        }
        pthread_mutex_lock(&front->lock);
        turns_end(&turn);
        waited = turn.waits;
    }
    intake_free(spare);
    return NULL;
}

static size_t count_processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (size_t)count : 1;
}

/* A thread that leads serves nobody. */
static struct text tell_status(void *teller, struct arena *arena)
{
    struct front *front = teller;
    struct status_counts counts = {.started = front->started,
                                   .threads = front->threads,
                                   .draining = atomic_load(&front->limits.stopping)};
    pthread_mutex_lock(&front->lock);
    counts.busy = front->threads - front->parked - front->leaders;
    counts.queued = front->queued;
    counts.connections = front->open;
    pthread_mutex_unlock(&front->lock);
    return status_write(&counts, front->policy->backends, arena);
}

static bool open_front(struct front *front)
{
    const struct server_rules *server = &front->policy->server;
    front->limits = (struct connection_limits){.head = server->request.head,
                                               .reply_spool = server->reply_spool,
                                               .folder = server->spool,
                                               .write_timeout = server->timeouts.write,
                                               .connections = (unsigned)server->connections,
                                               .authorizer = server->authorizer,
                                               .tell_status = tell_status,
                                               .teller = front};
    front->started = clock_milliseconds();
    front->threads = server->threads;
    front->processors = count_processors();
    front->capacity = server->connections;
    front->table = calloc(front->capacity, sizeof *front->table);
    front->events = epoll_create1(EPOLL_CLOEXEC);
    front->alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!front->table || front->events < 0 || front->alarm < 0)
        return false;
    events_watch(front, EPOLL_CTL_ADD, front->alarm, EPOLLIN | EPOLLET, &front->alarm);
    events_watch(front, EPOLL_CTL_ADD, front->listener, EPOLLIN | EPOLLET, &front->listener);
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
    events_watch(front, EPOLL_CTL_MOD, front->alarm, EPOLLIN, &front->alarm);
    events_ring(front->alarm);
    pthread_mutex_lock(&front->lock);
    pthread_cond_broadcast(&front->work);
    pthread_mutex_unlock(&front->lock);
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

/* True when everything was answered, so that no thread has anything left to do. */
static bool serve(struct front *front, int signals)
{
    bool drained = keeper_run(front, signals);
    if (!drained)
        log_event(SEVERITY_WARNING, "drain_timeout", "%zu connections were still open after timeouts.drain",
                  places_count(front));
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
    int signals = keeper_open_signals();
    size_t count = 0;
    pthread_t *threads = calloc(policy->server.threads, sizeof *threads);
    if (signals < 0 || !threads || !open_front(&front)) {
        log_event(SEVERITY_ERROR, "start_failed", "cannot set up the front: error %d", errno);
        free(threads);
        return 1;
    }
    bool started = start_threads(&front, threads, &count);
    if (started && !serve(&front, signals)) {
        free(threads); /* only the list: they run on until the process ends */
        return 0;
    }
    end_threads(&front, threads, count);
    launcher_close(launcher);
    free(threads);
    free(front.table);
    close(front.events);
    close(front.alarm);
    close(signals);
    return started ? 0 : 1;
}
