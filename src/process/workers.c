/*
 * Starting, draining and burying workers.
 */
#include "config.h"

#include "process/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "process/message.h"

enum {
    /* A worker ends by itself within `drain`, and what it has left to end a
     * little later; then it is told to. */
    DRAIN_GRACE_MS = LAUNCH_LEFT_MS + 500,
    START_MS = 60000,
    STUCK_MS = 10000,
    UNTOLD_LIMIT = 4096,
};

struct untold {
    struct untold *next;
    uint32_t run;
    struct program_end end;
};

/* In the fork. The parent's own secrets and descriptors stay the parent's. */
static void work(struct workers *workers, struct generation *generation, int socket, pid_t parent)
{
    /* Without a parent there is no program to start and nobody to tell us. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(1);
    workers->forget(workers->context);
    for (size_t i = 0; i < generation->program_count; i++)
        program_forget(generation->programs[i]);
    _exit(workers->calls->work(generation, socket));
}

static bool watch(const struct workers *workers, const struct worker *worker, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (worker->untold ? EPOLLOUT : 0u), .data.u64 = worker->id};
    return epoll_ctl(workers->epoll, operation, worker->socket, &event) == 0;
}

static bool fork_worker(struct workers *workers, struct worker *worker)
{
    int sockets[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
        return false;
    worker->socket = sockets[0];
    worker->process = watch(workers, worker, EPOLL_CTL_ADD) ? fork() : -1;
    if (worker->process == 0) {
        (void)close(sockets[0]);
        work(workers, worker->generation, sockets[1], parent);
    }
    int number = errno;
    (void)close(sockets[1]);
    if (worker->process < 0)
        (void)close(sockets[0]);
    errno = number;
    return worker->process > 0;
}

struct worker *workers_start(struct workers *workers, struct generation *generation)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        abort();
    worker->id = ++workers->last_id;
    worker->untold_end = &worker->untold;
    worker->generation = generation;
    worker->started = clock_milliseconds();
    if (!fork_worker(workers, worker)) {
        log_event(SEVERITY_ERROR, "worker_not_started", "cannot start a worker: %s", strerror(errno));
        free(worker);
        return NULL;
    }
    worker->next = workers->list;
    workers->list = worker;
    log_event(SEVERITY_INFO, "worker_started", "worker %ld has started", (long)worker->process);
    return worker;
}

struct worker *workers_find(const struct workers *workers, uint64_t id)
{
    struct worker *worker = workers->list;
    while (worker && worker->id != id)
        worker = worker->next;
    return worker;
}

struct worker *workers_find_process(const struct workers *workers, pid_t process)
{
    struct worker *worker = workers->list;
    while (worker && worker->process != process)
        worker = worker->next;
    return worker;
}

struct worker *workers_of(const struct workers *workers, const struct generation *generation)
{
    struct worker *worker = workers->list;
    while (worker && worker->generation != generation)
        worker = worker->next;
    return worker;
}

void workers_await(struct worker *worker)
{
    worker->starts = true;
    worker->kill_at = clock_milliseconds() + START_MS;
}

void workers_ready(struct worker *worker)
{
    worker->starts = false;
    worker->kill_at = 0;
}

void workers_drain(struct worker *worker)
{
    worker->starts = false;
    worker->kill_at = clock_milliseconds() + worker->generation->drain + DRAIN_GRACE_MS;
    (void)kill(worker->process, SIGTERM);
}

/* ---- answers */

/* False when there is no room now. One that has hung up takes everything: it
 * will be noticed by that. */
static bool send_now(const struct worker *worker, uint32_t run, const struct program_end *end)
{
    struct error error = {0};
    return message_answer(worker->socket, run, end, &error) || error.number != EAGAIN;
}

bool workers_answer(struct workers *workers, struct worker *worker, uint32_t run,
                    const struct program_end *end)
{
    if (worker->socket < 0 || (!worker->untold && send_now(worker, run, end)))
        return true;
    struct untold *untold = worker->untold_count < UNTOLD_LIMIT ? malloc(sizeof *untold) : NULL;
    if (!untold)
        return false;
    *untold = (struct untold){NULL, run, *end};
    *worker->untold_end = untold;
    worker->untold_end = &untold->next;
    if (worker->untold_count++ == 0) {
        worker->stuck_at = clock_milliseconds() + STUCK_MS;
        (void)watch(workers, worker, EPOLL_CTL_MOD);
    }
    return true;
}

static void drop_first(struct worker *worker)
{
    struct untold *first = worker->untold;
    worker->untold = first->next;
    worker->untold_count--;
    free(first);
    if (!worker->untold)
        worker->untold_end = &worker->untold;
}

void workers_answer_rest(struct workers *workers, struct worker *worker)
{
    size_t before = worker->untold_count;
    while (worker->untold && send_now(worker, worker->untold->run, &worker->untold->end))
        drop_first(worker);
    if (worker->untold_count < before)
        worker->stuck_at = worker->untold ? clock_milliseconds() + STUCK_MS : 0;
    if (before > 0 && !worker->untold)
        (void)watch(workers, worker, EPOLL_CTL_MOD);
}

static void drop_untold(struct worker *worker)
{
    while (worker->untold)
        drop_first(worker);
    worker->stuck_at = 0;
}

/* ---- ends */

static void kill_stuck(struct worker *worker, uint64_t now)
{
    if (worker->stuck_at == 0 || worker->stuck_at > now)
        return;
    log_event(SEVERITY_ERROR, "worker_stuck", "worker %ld takes no answers and is killed",
              (long)worker->process);
    (void)kill(worker->process, SIGKILL);
    worker->stuck_at = 0;
}

uint64_t workers_earlier(uint64_t one, uint64_t other)
{
    if (one == 0 || other == 0)
        return one + other;
    return one < other ? one : other;
}

uint64_t workers_kill_late(struct workers *workers, uint64_t now)
{
    uint64_t next = 0;
    for (struct worker *worker = workers->list; worker; worker = worker->next) {
        kill_stuck(worker, now);
        next = workers_earlier(next, worker->stuck_at);
        if (worker->kill_at != 0 && worker->kill_at <= now) {
            log_event(SEVERITY_WARNING, "worker_killed", "worker %ld did not %s in time",
                      (long)worker->process, worker->starts ? "start" : "drain");
            (void)kill(worker->process, SIGKILL);
            worker->kill_at = UINT64_MAX; /* once is enough; its end is told by SIGCHLD */
        }
        if (worker->kill_at != UINT64_MAX)
            next = workers_earlier(next, worker->kill_at);
    }
    return next;
}

void workers_hang_up(struct workers *workers, struct worker *worker)
{
    if (worker->socket < 0)
        return;
    (void)epoll_ctl(workers->epoll, EPOLL_CTL_DEL, worker->socket, NULL);
    (void)close(worker->socket);
    worker->socket = -1;
    drop_untold(worker);
}

static void tell_end(const struct worker *worker, int status)
{
    if (WIFSIGNALED(status))
        log_event(SEVERITY_ERROR, "worker_died", "worker %ld was ended by signal %d", (long)worker->process,
                  WTERMSIG(status));
    else
        log_event(WEXITSTATUS(status) == 0 ? SEVERITY_INFO : SEVERITY_ERROR, "worker_ended",
                  "worker %ld ended with status %d", (long)worker->process, WEXITSTATUS(status));
}

void workers_bury(struct workers *workers, struct worker *worker, int status)
{
    struct worker **place = &workers->list;
    while (*place != worker)
        place = &(*place)->next;
    *place = worker->next;
    tell_end(worker, status);
    workers_hang_up(workers, worker);
    free(worker);
}

void workers_close(struct workers *workers)
{
    while (workers->list) {
        struct worker *worker = workers->list;
        workers->list = worker->next;
        if (worker->socket >= 0)
            (void)close(worker->socket);
        drop_untold(worker);
        free(worker);
    }
}
