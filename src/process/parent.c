/*
 * The parent's loop: one epoll set with a signalfd and the workers' sockets.
 * Single-threaded, and nothing in it waits for anybody but the loop itself and
 * a child on its way to execve(2).
 */
#include "config.h"

#include "process/parent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "process/children.h"
#include "process/message.h"
#include "process/runs.h"
#include "process/workers.h"

enum {
    SIGNALS_TAG = 0,
    EVENTS_AT_ONCE = 32,
    LAUNCHES_AT_ONCE = 8, /* of one worker, before others have their turn */
    SWEEP_EVERY_MS = 1000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_LAST_MS = 5000,
    SHORT_LIFE_MS = 10000,
    STILLBORN_MS = 1000, /* a first worker that fails within this could not start at all */
    LAST_SWEEP_MS = 2000,
};

struct parent {
    const struct parent_calls *calls;
    struct generation *current;
    struct generation *next; /* loaded, and its worker is not ready yet; or NULL */
    bool again;              /* and was asked for in the meantime */
    struct workers workers;
    struct runs *runs;
    struct children children;
    int epoll, signals;
    bool stopping;
    int status;
    unsigned short_lives; /* of workers, in a row */
    uint64_t restart_at;  /* when a dead worker is to be replaced; 0: none is missing */
    uint64_t sweep_at;    /* not before */
    bool ran;             /* something ended since the last sweep */
};

/* ---- workers */

static void backoff(struct parent *parent, uint64_t lived)
{
    uint64_t wait = 0;
    parent->short_lives = lived < SHORT_LIFE_MS ? parent->short_lives + 1 : 1;
    for (unsigned i = 1; i < parent->short_lives && wait < BACKOFF_LAST_MS; i++)
        wait = wait == 0 ? BACKOFF_FIRST_MS : 2 * wait;
    parent->restart_at = clock_milliseconds() + (wait < BACKOFF_LAST_MS ? wait : BACKOFF_LAST_MS);
}

static void restart(struct parent *parent)
{
    parent->restart_at = 0;
    if (!workers_start(&parent->workers, parent->current))
        backoff(parent, 0);
}

/* Loads again, and starts a worker with that. Until it is ready, the old one
 * serves on: a policy that loads may still be one that no worker can start with. */
static void reload(struct parent *parent)
{
    parent->again = parent->next != NULL;
    if (parent->next || parent->stopping)
        return;
    struct generation *loaded = parent->calls->load(parent->current);
    struct worker *worker = loaded ? workers_start(&parent->workers, loaded) : NULL;
    if (worker) {
        workers_await(worker);
        parent->next = loaded;
    } else if (loaded) {
        parent->calls->release(loaded);
    }
}

static void refuse_next(struct parent *parent)
{
    struct generation *refused = parent->next;
    parent->next = NULL;
    parent->calls->release(refused); /* and its log with it */
    if (!parent->stopping)
        log_event(SEVERITY_ERROR, "policy_refused", "no worker could start with the new policy");
    if (parent->again)
        reload(parent);
}

/* The new policy's worker serves: the old one is to end. */
static void worker_ready(struct parent *parent, struct worker *worker)
{
    struct generation *old = parent->current;
    if (worker->generation != parent->next || parent->stopping)
        return;
    workers_ready(worker);
    parent->current = parent->next;
    parent->next = NULL;
    parent->restart_at = 0;
    parent->short_lives = 0;
    struct worker *last = workers_of(&parent->workers, old);
    if (last)
        workers_drain(last);
    else
        parent->calls->release(old);
    log_event(SEVERITY_NOTICE, "policy_reloaded", "a new worker serves the new policy");
    if (parent->again)
        reload(parent);
}

static bool is_stillborn(const struct worker *worker, uint64_t lived, int status)
{
    return worker->id == 1 && worker->kill_at == 0 && lived < STILLBORN_MS && WIFEXITED(status) &&
           WEXITSTATUS(status) != 0;
}

static void worker_ended(struct parent *parent, struct worker *worker, int status)
{
    struct generation *generation = worker->generation;
    uint64_t lived = clock_milliseconds() - worker->started;
    bool stillborn = is_stillborn(worker, lived, status);
    runs_kill(parent->runs, worker->id);
    workers_bury(&parent->workers, worker, status);
    if (generation == parent->next) {
        refuse_next(parent);
    } else if (generation != parent->current) {
        parent->calls->release(generation);
    } else if (stillborn) {
        parent->status = 1;
        parent->stopping = true;
    } else if (!parent->stopping) {
        backoff(parent, lived);
    }
}

/* Whoever does such a thing is no worker of ours any more. */
static void disown(struct parent *parent, struct worker *worker)
{
    (void)kill(worker->process, SIGKILL);
    runs_kill(parent->runs, worker->id);
    workers_hang_up(&parent->workers, worker);
}

static void worker_lies(struct parent *parent, struct worker *worker, const char *reason)
{
    log_event(SEVERITY_ERROR, "launch_malformed", "worker %ld asked for a program with %s and is killed",
              (long)worker->process, reason);
    disown(parent, worker);
}

/* Without the answer a request would wait for ever. */
static void answer(struct parent *parent, struct worker *worker, uint32_t run, const struct program_end *end)
{
    if (workers_answer(&parent->workers, worker, run, end))
        return;
    log_event(SEVERITY_ERROR, "worker_stuck", "worker %ld takes no answers and is killed",
              (long)worker->process);
    disown(parent, worker);
}

static void launch(struct parent *parent, struct worker *worker, struct message *message)
{
    const struct generation *generation = worker->generation;
    struct program_end end = {0};
    uint32_t run = message->run;
    if (message->launch.program >= generation->program_count) {
        worker_lies(parent, worker, "an unknown number");
        runs_put_message(parent->runs, message);
    } else if (!runs_start(parent->runs, worker->id, generation->programs[message->launch.program], message,
                           &end)) {
        answer(parent, worker, run, &end);
    }
}

/* Takes one message; false when there is none to come for now. */
static bool hear(struct parent *parent, struct worker *worker)
{
    static const struct program_end starved = {EMFILE, 0, "the parent has too many open files"};
    struct error error = {0};
    struct message *message = runs_message(parent->runs);
    enum message_result result = message_receive(worker->socket, message, &error);
    if (result == MESSAGE_LAUNCH) {
        launch(parent, worker, message);
        return worker->socket >= 0;
    }
    if (result == MESSAGE_END) {
        runs_kill(parent->runs, worker->id);
        workers_hang_up(&parent->workers, worker);
    } else if (result == MESSAGE_STOP) {
        runs_stop(parent->runs, worker->id, message->run);
    } else if (result == MESSAGE_READY) {
        worker_ready(parent, worker);
    } else if (result == MESSAGE_STARVED) {
        answer(parent, worker, message->run, &starved);
    } else if (result == MESSAGE_BAD) {
        worker_lies(parent, worker, error.message);
    }
    runs_put_message(parent->runs, message);
    return result != MESSAGE_NONE && worker->socket >= 0;
}

static void hear_worker(struct parent *parent, uint64_t id)
{
    struct worker *worker = workers_find(&parent->workers, id);
    if (!worker || worker->socket < 0)
        return;
    workers_answer_rest(&parent->workers, worker);
    for (int i = 0; i < LAUNCHES_AT_ONCE && hear(parent, worker); i++)
        ;
}

/* ---- signals */

static void reopen(struct parent *parent)
{
    struct error error = {0};
    int log = parent->calls->reopen();
    for (struct worker *worker = parent->workers.list; worker; worker = worker->next) {
        /* One that hung up has no log to come. */
        if (log >= 0 && worker->socket >= 0 && !message_pass(worker->socket, log, &error))
            log_event(SEVERITY_WARNING, "log_not_reopened", "%s", error.message);
        (void)kill(worker->process, SIGUSR1);
    }
}

/* The second time, whoever asks has lost patience. */
static void stop(struct parent *parent)
{
    uint64_t now = clock_milliseconds();
    for (struct worker *worker = parent->workers.list; worker; worker = worker->next) {
        if (!parent->stopping && worker->kill_at == 0)
            workers_drain(worker);
        else if (parent->stopping && worker->kill_at != UINT64_MAX)
            worker->kill_at = now;
    }
    if (!parent->stopping)
        log_event(SEVERITY_NOTICE, "stopping", "the workers drain");
    parent->stopping = true;
}

static void tell_end(struct parent *parent, const struct run_ended *ended)
{
    struct worker *worker = workers_find(&parent->workers, ended->owner);
    if (worker)
        answer(parent, worker, ended->run, &ended->end);
}

/* One dead child, if there is any. It is looked at before it is reaped: only
 * while it is a zombie its group's number cannot be given to others. */
static bool reap_one(struct parent *parent)
{
    siginfo_t dead = {0};
    int status;
    if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0)
        return false;
    runs_kill_rest(parent->runs, dead.si_pid);
    if (waitpid(dead.si_pid, &status, WNOHANG) != dead.si_pid)
        return false;
    struct run_ended ended;
    struct worker *worker = workers_find_process(&parent->workers, dead.si_pid);
    if (runs_end(parent->runs, dead.si_pid, status, &ended))
        tell_end(parent, &ended);
    else if (worker)
        worker_ended(parent, worker, status);
    parent->ran = true;
    return true;
}

static void reap(struct parent *parent)
{
    while (reap_one(parent))
        ;
}

static void take_signals(struct parent *parent)
{
    struct signalfd_siginfo list[8];
    ssize_t length = read(parent->signals, list, sizeof list);
    for (size_t i = 0; length > 0 && i < (size_t)length / sizeof list[0]; i++) {
        switch (list[i].ssi_signo) {
        case SIGCHLD:
            reap(parent);
            break;
        case SIGHUP:
            reload(parent);
            break;
        case SIGUSR1:
            reopen(parent);
            break;
        default:
            stop(parent);
        }
    }
}

static int open_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        (void)sigaddset(&set, taken[i]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    /* Ignored by whoever started us, SIGCHLD would reap our children before us. */
    (void)signal(SIGCHLD, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- time */

static bool is_ours(const void *context, pid_t process)
{
    const struct parent *parent = context;
    return workers_find_process(&parent->workers, process) || runs_know(parent->runs, process);
}

static size_t sweep(struct parent *parent)
{
    size_t escaped, killed = children_sweep(&parent->children, is_ours, parent, &escaped);
    if (escaped > 0)
        log_event(SEVERITY_WARNING, "programs_escaped",
                  "%zu processes left their program's group, outlived it and were killed", escaped);
    return killed;
}

/* Does what is due. Returns how long to wait for events, in milliseconds. */
static int take_time(struct parent *parent)
{
    uint64_t now = clock_milliseconds();
    if (parent->restart_at != 0 && parent->restart_at <= now && !parent->stopping)
        restart(parent);
    if (parent->ran && parent->sweep_at <= now) {
        parent->ran = sweep(parent) > 0;
        parent->sweep_at = now + SWEEP_EVERY_MS;
    }
    uint64_t next = workers_kill_late(&parent->workers, now);
    if (!parent->stopping)
        next = workers_earlier(next, parent->restart_at);
    if (parent->ran)
        next = workers_earlier(next, parent->sweep_at);
    if (next == 0)
        return -1;
    return next <= now ? 0 : (int)(next - now < 60000 ? next - now : 60000);
}

/* ---- the loop */

static void take_events(struct parent *parent, int timeout)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(parent->epoll, events, EVENTS_AT_ONCE, timeout);
    for (int i = 0; i < count; i++) {
        uint64_t tag = events[i].data.u64;
        if (tag == SIGNALS_TAG)
            take_signals(parent);
        else
            hear_worker(parent, tag);
    }
}

static void close_parent(struct parent *parent)
{
    workers_close(&parent->workers);
    runs_free(parent->runs);
    (void)close(parent->signals);
    (void)close(parent->epoll);
}

static void forget_programs(const struct generation *generation)
{
    for (size_t i = 0; generation && i < generation->program_count; i++)
        program_forget(generation->programs[i]);
}

/* In the forked worker: it must keep no secrets, nor what other workers were
 * asked and told. */
static void forget(void *context)
{
    struct parent *parent = context;
    forget_programs(parent->current);
    forget_programs(parent->next);
    for (struct worker *worker = parent->workers.list; worker; worker = worker->next)
        forget_programs(worker->generation);
    runs_wipe(parent->runs);
    close_parent(parent);
}

static bool open_parent(struct parent *parent)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SIGNALS_TAG};
    parent->signals = open_signals();
    parent->epoll = epoll_create1(EPOLL_CLOEXEC);
    parent->runs = runs_new();
    parent->workers =
        (struct workers){.calls = parent->calls, .epoll = parent->epoll, .forget = forget, .context = parent};
    return parent->signals >= 0 && parent->epoll >= 0 && children_adopt(&parent->children) &&
           epoll_ctl(parent->epoll, EPOLL_CTL_ADD, parent->signals, &event) == 0;
}

/* Everything that was started ends with us, what has run away included. */
static void end_programs(struct parent *parent)
{
    uint64_t until = clock_milliseconds() + LAST_SWEEP_MS;
    struct pollfd signals = {.fd = parent->signals, .events = POLLIN};
    struct signalfd_siginfo dropped;
    runs_kill(parent->runs, 0);
    reap(parent);
    while ((sweep(parent) > 0 || runs_count(parent->runs) > 0) && clock_milliseconds() < until) {
        (void)poll(&signals, 1, 10);
        while (read(parent->signals, &dropped, sizeof dropped) > 0)
            ;
        reap(parent);
    }
    reap(parent);
}

static int run(struct parent *parent)
{
    if (!workers_start(&parent->workers, parent->current))
        return 1;
    while (!parent->stopping || parent->workers.list)
        take_events(parent, take_time(parent));
    return parent->status;
}

int parent_run(struct generation *first, const struct parent_calls *calls)
{
    struct parent parent = {.calls = calls, .current = first};
    int status = 1;
    if (open_parent(&parent)) {
        status = run(&parent);
        end_programs(&parent);
    } else {
        log_event(SEVERITY_ERROR, "not_started", "cannot set up the parent process: %s", strerror(errno));
    }
    calls->release(parent.current);
    close_parent(&parent);
    return status;
}
