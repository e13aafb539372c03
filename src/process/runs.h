/*
 * Runs: the programs this process has started for its workers and not yet
 * buried. A run begins with a launch message and ends when its leader's status
 * was collected; in between, its worker may have it stopped, or die, and the
 * group is killed. Knows no signals and no sockets: what is to be answered it
 * gives back.
 */
#ifndef PROCESS_RUNS_H
#define PROCESS_RUNS_H

#include <sys/types.h>

#include "process/message.h"
#include "process/program.h"

struct runs;

/* None yet. Ends the process without memory. */
struct runs *runs_new(void);

/* A message to receive a launch in. It goes back by runs_start() or by
 * runs_put_message(). Ends the process without memory. */
struct message *runs_message(struct runs *);
void runs_put_message(struct runs *, struct message *);

/* Starts the program of a message; false with the end that it has come to when
 * it cannot. The message is taken over, and its descriptors are closed. `owner`
 * is the worker's. */
bool runs_start(struct runs *, uint64_t owner, const struct program *, struct message *,
                struct program_end *);

/* Kills the group of a worker's run, if there still is one by that number. */
void runs_stop(const struct runs *, uint64_t owner, uint32_t run);

/* The leader is dead but not yet reaped: kills what is left of its group, which
 * cannot belong to anybody else before that. */
void runs_kill_rest(const struct runs *, pid_t leader);

/* What a worker is to be told of a run that has ended. */
struct run_ended {
    uint64_t owner;
    uint32_t run;
    struct program_end end;
};

/* The leader was reaped: forgets the run. False when it is none of ours. */
bool runs_end(struct runs *, pid_t leader, int status, struct run_ended *);

/* Kills all groups of a worker; of all for owner 0. */
void runs_kill(const struct runs *, uint64_t owner);

/* Whether the process, or its group, is that of a run. */
bool runs_know(const struct runs *, pid_t process);

size_t runs_count(const struct runs *);

/* Overwrites what was asked of us, all of it: for a fork, in which nothing runs. */
void runs_wipe(struct runs *);

/* Frees, and kills nobody: for a fork, and at the end. */
void runs_free(struct runs *);

#endif
