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
#include <unistd.h>

#include "process/spawn.h"

/* Far more than two workers have threads; what asks for more has lost its mind
 * or its owner. */
enum { RUNS_LIMIT = 4096, SPARE_LIMIT = 64 };

struct running {
    uint64_t owner;
    uint32_t run;
    pid_t leader; /* process id, and that of its group */
    struct spawn *spawn;
    struct message *message; /* what the start reads until it is over */
};

struct runs {
    size_t count;
    struct message *spare[SPARE_LIMIT]; /* they are large, and so are kept for the next */
    size_t spare_count;
    struct running list[RUNS_LIMIT];
};

struct runs *runs_new(void)
{
    struct runs *runs = calloc(1, sizeof *runs);
    if (!runs)
        abort();
    return runs;
}

struct message *runs_message(struct runs *runs)
{
    if (runs->spare_count > 0)
        return runs->spare[--runs->spare_count];
    struct message *message = malloc(sizeof *message);
    if (!message)
        abort();
    message->length = 0;
    return message;
}

void runs_put_message(struct runs *runs, struct message *message)
{
    message_close(message);
    message_wipe(message);
    if (runs->spare_count < SPARE_LIMIT)
        runs->spare[runs->spare_count++] = message;
    else
        free(message);
}

static bool refuse(struct runs *runs, struct message *message, struct program_end *end,
                   const struct error *error)
{
    end->started = error->number ? error->number : EIO;
    (void)snprintf(end->reason, sizeof end->reason, "%s", error->message);
    runs_put_message(runs, message);
    return false;
}

bool runs_start(struct runs *runs, uint64_t owner, const struct program *program, struct message *message,
                struct program_end *end)
{
    struct error error = {0};
    struct spawn *spawn = NULL;
    if (runs->count == RUNS_LIMIT)
        error = (struct error){true, EAGAIN, "too many programs are running"};
    else
        spawn = spawn_begin(program, &message->launch, &error);
    if (!spawn)
        return refuse(runs, message, end, &error);
    runs->list[runs->count++] = (struct running){.owner = owner,
                                                 .run = message->run,
                                                 .leader = spawn_process(spawn),
                                                 .spawn = spawn,
                                                 .message = message};
    message_close(message);
    return true;
}

/* The leader by itself, too: it may have moved to another group of our session
 * (setpgid(2)). Until it is reaped, both numbers are its own. */
static void kill_group(const struct running *run)
{
    (void)kill(-run->leader, SIGKILL);
    (void)kill(run->leader, SIGKILL);
}

void runs_stop(const struct runs *runs, uint64_t owner, uint32_t run)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (runs->list[i].owner == owner && runs->list[i].run == run)
            kill_group(&runs->list[i]);
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

void runs_kill_rest(const struct runs *runs, pid_t leader)
{
    if (find(runs, leader))
        (void)kill(-leader, SIGKILL);
}

bool runs_end(struct runs *runs, pid_t leader, int status, struct run_ended *ended)
{
    struct running *run = find(runs, leader);
    struct error error = {0};
    if (!run)
        return false;
    *ended = (struct run_ended){.owner = run->owner, .run = run->run, .end = {.status = status}};
    if (!spawn_succeeded(run->spawn, &error)) {
        ended->end.started = error.number;
        (void)snprintf(ended->end.reason, sizeof ended->end.reason, "%s", error.message);
    }
    spawn_free(run->spawn);
    runs_put_message(runs, run->message);
    *run = runs->list[--runs->count];
    return true;
}

void runs_kill(const struct runs *runs, uint64_t owner)
{
    for (size_t i = 0; i < runs->count; i++) {
        if (owner == 0 || runs->list[i].owner == owner)
            kill_group(&runs->list[i]);
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

void runs_wipe(struct runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        message_wipe(runs->list[i].message);
}

void runs_free(struct runs *runs)
{
    /* What starts still read is left to them: the process ends, or it is a
     * fork in which they do not run. */
    while (runs->spare_count > 0)
        free(runs->spare[--runs->spare_count]);
    free(runs);
}
