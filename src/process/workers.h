/*
 * Workers: the forked processes that serve, each with its generation of the
 * policy and its socket to the parent. Owns how one is started, drained and
 * buried; when that is done is the parent's loop to say.
 */
#ifndef PROCESS_WORKERS_H
#define PROCESS_WORKERS_H

#include <sys/types.h>

#include "process/launcher.h"
#include "process/parent.h"

struct worker {
    struct worker *next;
    uint64_t id; /* never used twice; 1 is the first */
    pid_t process;
    int socket; /* -1: it hung up, or is not listened to any more */
    struct generation *generation;
    uint64_t started; /* clock_milliseconds() */
    bool starts;      /* it has until kill_at to be ready */
    uint64_t kill_at; /* when it has to be gone; 0: it serves */

    struct untold *untold, **untold_end; /* answers for which its socket has had no room yet */
    size_t untold_count;
    uint64_t stuck_at; /* when it has not taken any of them for too long; 0: there are none */
};

struct workers {
    const struct parent_calls *calls;
    int epoll;                     /* sockets are watched here, by id, which is never 0 */
    void (*forget)(void *context); /* closes, in the fork, what is the parent's alone */
    void *context;
    uint64_t last_id;
    struct worker *list;
};

/* Forks a worker for a generation; NULL when that failed (and was logged). */
struct worker *workers_start(struct workers *, struct generation *);

struct worker *workers_find(const struct workers *, uint64_t id);
struct worker *workers_find_process(const struct workers *, pid_t);

/* The one that serves this generation, or NULL. */
struct worker *workers_of(const struct workers *, const struct generation *);

/* Gives it a minute to be ready, and takes that back. */
void workers_await(struct worker *);
void workers_ready(struct worker *);

/* Asks it to drain; it is killed at `kill_at` of workers_kill_late(). */
void workers_drain(struct worker *);

/* Answers a launch of its, now or as soon as there is room. Never waits: to wait
 * for one would keep all others waiting. False when it leaves too many unread. */
bool workers_answer(struct workers *, struct worker *, uint32_t run, const struct program_end *);

/* Sends what there is room for now. */
void workers_answer_rest(struct workers *, struct worker *);

/* Kills those that should be gone, or take no answers. Returns when the next one should, or 0. */
uint64_t workers_kill_late(struct workers *, uint64_t now);

/* The earlier of two times, where 0 is never. */
uint64_t workers_earlier(uint64_t one, uint64_t other);

/* Listens to it no more, and drops what it was not told. */
void workers_hang_up(struct workers *, struct worker *);

/* Says how it ended, closes and frees. Its generation is the caller's to end. */
void workers_bury(struct workers *, struct worker *, int status);

/* Closes all sockets and frees, in a fork. */
void workers_close(struct workers *);

#endif
