/*
 * Runs: the programs this process has started for its workers and not yet
 * buried. A run begins with a launch message and ends when its leader's status
 * was collected; in between, its worker may hang up or die, and the group is
 * killed. Knows epoll, for the lifelines; knows no signals and no workers.
 */
#ifndef PROCESS_RUNS_H
#define PROCESS_RUNS_H

#include <sys/types.h>

#include "process/message.h"
#include "process/program.h"

struct runs;

/* None yet; lifelines will be watched in `epoll`. Ends the process without memory. */
struct runs *runs_new(int epoll);

/* A message to receive a launch in. It goes back by runs_start() or by
 * runs_put_message(). Ends the process without memory. */
struct message *runs_message(struct runs *);
void runs_put_message(struct runs *, struct message *);

/* Starts the program of a message, or answers why not. The message is taken
 * over, and its descriptors are closed. `owner` is the worker's. */
void runs_start(struct runs *, uint64_t owner, const struct program *, struct message *);

/* Answers a launch that cannot be tried, and closes the lifeline. */
void runs_refuse(struct message *, int number, const char *reason);

/* The lifeline that epoll knows by `tag` was hung up: kills that group. */
void runs_hang_up(struct runs *, uint64_t tag);

/* The leader is dead but not yet reaped: kills what is left of its group, which
 * cannot belong to anybody else before that. True when it is one of ours. */
bool runs_kill_rest(const struct runs *, pid_t leader);

/* It was reaped: tells the worker, and forgets the run. */
void runs_end(struct runs *, pid_t leader, int status);

/* Kills all groups of a worker and closes their lifelines; of all for owner 0. */
void runs_kill(struct runs *, uint64_t owner);

/* Whether the process, or its group, is that of a run. */
bool runs_know(const struct runs *, pid_t process);

size_t runs_count(const struct runs *);

/* Closes the lifelines without a word and frees: for a fork, and at the end. */
void runs_free(struct runs *);

#endif
