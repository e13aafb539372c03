/*
 * The table of started programs. A dense array without order: there are as many
 * as requests at work, and each is looked for once.
 */
#include "config.h"

#include "process/runs.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process/spawn.h"

/* Far more than two workers have threads; what asks for more has lost its mind
 * or its owner. */
enum { RUNS_LIMIT = 4096, SPARE_LIMIT = 64 };

struct running {
    uint64_t tag; /* never used twice, so that no late event finds another run */
    uint64_t owner;
    pid_t leader; /* process id, and that of its group */
    int lifeline; /* -1: nobody wants to know any more */
    struct spawn *spawn;
    struct message *message; /* what the start reads until it is over */
};

struct runs {
    int epoll;
    size_t count;
    uint64_t last_tag;
    struct message *spare[SPARE_LIMIT]; /* they are large, and so are kept for the next */
    size_t spare_count;
    struct running list[RUNS_LIMIT];
};

struct runs *runs_new(int epoll)
{
    struct runs *runs = calloc(1, sizeof *runs);
    if (!runs)
        abort();
    runs->epoll = epoll;
    return runs;
}

struct message *runs_message(struct runs *runs)
{
    if (runs->spare_count > 0)
        return runs->spare[--runs->spare_count];
    struct message *message = malloc(sizeof *message);
    if (!message)
        abort();
    return message;
}

void runs_put_message(struct runs *runs, struct message *message)
{
    message_close(message);
    if (runs->spare_count < SPARE_LIMIT)
        runs->spare[runs->spare_count++] = message;
    else
        free(message);
}

static void tell(int lifeline, const struct program_end *end)
{
    /* It never waits: who does not take the answer goes without. */
    (void)send(lifeline, end, sizeof *end, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void runs_refuse(struct message *message, int number, const char *reason)
{
    struct program_end end = {.started = number ? number : EIO};
    (void)snprintf(end.reason, sizeof end.reason, "%s", reason);
    if (message->lifeline < 0)
        return;
    tell(message->lifeline, &end);
    (void)close(message->lifeline);
    message->lifeline = -1;
}

/* Out of epoll by hand: closing does not do it while the worker has a copy. */
static void drop_lifeline(struct runs *runs, struct running *run)
{
    if (run->lifeline < 0)
        return;
    (void)epoll_ctl(runs->epoll, EPOLL_CTL_DEL, run->lifeline, NULL);
    (void)close(run->lifeline);
    run->lifeline = -1;
}

static bool watch(const struct runs *runs, int lifeline, uint64_t tag)
{
    struct epoll_event event = {.events = 0, .data.u64 = tag}; /* EPOLLHUP comes unasked */
    return epoll_ctl(runs->epoll, EPOLL_CTL_ADD, lifeline, &event) == 0;
}

static void start(struct runs *runs, uint64_t owner, const struct program *program, struct message *message)
{
    struct error error = {0};
    struct spawn *spawn = spawn_begin(program, &message->launch, &error);
    if (!spawn) {
        (void)epoll_ctl(runs->epoll, EPOLL_CTL_DEL, message->lifeline, NULL);
        runs_refuse(message, error.number, error.message);
        runs_put_message(runs, message);
        return;
    }
    runs->list[runs->count++] = (struct running){.tag = runs->last_tag,
                                                 .owner = owner,
                                                 .leader = spawn_process(spawn),
                                                 .lifeline = message->lifeline,
                                                 .spawn = spawn,
                                                 .message = message};
    message->lifeline = -1;
    message_close(message);
}

static void refuse(struct runs *runs, struct message *message, int number, const char *reason)
{
    runs_refuse(message, number, reason);
    runs_put_message(runs, message);
}

void runs_start(struct runs *runs, uint64_t owner, const struct program *program, struct message *message)
{
    if (runs->count == RUNS_LIMIT)
        refuse(runs, message, EAGAIN, "too many programs are running");
    else if (!watch(runs, message->lifeline, ++runs->last_tag))
        refuse(runs, message, errno, "cannot watch the lifeline");
    else
        start(runs, owner, program, message);
}

/* The leader by itself, too: it may have moved to another group of our session
 * (setpgid(2)). Until it is reaped, both numbers are its own. */
static void kill_group(const struct running *run)
{
    (void)kill(-run->leader, SIGKILL);
    (void)kill(run->leader, SIGKILL);
}

void runs_hang_up(struct runs *runs, uint64_t tag)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->list[i].tag == tag) {
            kill_group(&runs->list[i]);
            drop_lifeline(runs, &runs->list[i]);
            return;
        }
    }
}

static struct running *find(const struct runs *runs, pid_t leader)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->list[i].leader == leader)
            return (struct running *)(uintptr_t)&runs->list[i];
    }
    return NULL;
}

bool runs_kill_rest(const struct runs *runs, pid_t leader)
{
    const struct running *run = find(runs, leader);
    if (run)
        kill_group(run);
    return run != NULL;
}

void runs_end(struct runs *runs, pid_t leader, int status)
{
    struct running *run = find(runs, leader);
    if (!run)
        return;
    struct program_end end = {.status = status};
    struct error error = {0};
    if (!spawn_succeeded(run->spawn, &error)) {
        end.started = error.number;
        (void)snprintf(end.reason, sizeof end.reason, "%s", error.message);
    }
    if (run->lifeline >= 0)
        tell(run->lifeline, &end);
    drop_lifeline(runs, run);
    spawn_free(run->spawn);
    runs_put_message(runs, run->message);
    *run = runs->list[--runs->count];
}

void runs_kill(struct runs *runs, uint64_t owner)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (owner == 0 || runs->list[i].owner == owner) {
            kill_group(&runs->list[i]);
            drop_lifeline(runs, &runs->list[i]);
        }
    }
}

bool runs_know(const struct runs *runs, pid_t process)
{
    return find(runs, process) != NULL || find(runs, getpgid(process)) != NULL;
}

size_t runs_count(const struct runs *runs)
{
    return runs->count;
}

void runs_free(struct runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->list[i].lifeline >= 0)
            (void)close(runs->list[i].lifeline);
    }
    /* What starts still read is left to them: the process ends, or it is a
     * fork in which they do not run. */
    while (runs->spare_count > 0)
        free(runs->spare[--runs->spare_count]);
    free(runs);
}
