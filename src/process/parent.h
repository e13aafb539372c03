/*
 * Parent: the small, single-threaded process that stays. It keeps a worker
 * running, starts programs for it, takes the signals, and never parses a byte
 * that a client sent.
 *
 * A generation is what one load of the policy gave: its programs and what its
 * worker needs. SIGHUP makes a new one beside the old, whose worker drains.
 *
 *   SIGTERM, SIGINT  drain the workers within `drain`, kill what is left (half a
 *                    second later), return 0; a second one kills at once
 *   SIGHUP           load again; what does not load, or whose worker ends before it
 *                    is ready (launcher_ready()), changes nothing
 *   SIGUSR1          reopen the log here, and pass it on to the workers
 *   SIGCHLD          reap; replace a dead worker (backoff 0, then 100 ms doubling
 *                    to 5 s while it dies within 10 s of its start)
 */
#ifndef PROCESS_PARENT_H
#define PROCESS_PARENT_H

#include <stddef.h>
#include <stdint.h>

#include "process/program.h"

struct generation {
    struct program *const *programs; /* by program->index_in_policy */
    size_t program_count;
    uint64_t drain; /* milliseconds a worker has to end on SIGTERM */
    void *context;
};

struct parent_calls {
    /* Loads the policy again; NULL when that failed (and was logged). */
    struct generation *(*load)(const struct generation *current);
    /* Ends a generation whose worker has gone. */
    void (*release)(struct generation *);
    /* Runs in the forked worker until SIGTERM has drained it; its result is
     * the worker's exit status. `socket` is for launcher_remote(). Signals are
     * blocked as in the parent: SIGTERM, SIGUSR1 and the like wait for a signalfd. */
    int (*work)(struct generation *, int socket);
    /* Reopens the log. Returns the descriptor that workers are to take for it
     * (launcher_take_log()) when SIGUSR1 reaches them, or -1 for none. */
    int (*reopen)(void);
};

/* Runs until a signal ends it. `first` is owned from here on. Returns the exit
 * status for the process: 0 after SIGTERM, 1 when the very first worker could
 * not start (it was not forked, or exited with a failure within a second).
 * Children that were there before stay untouched; any that come later and are
 * not its own are taken for escaped programs and killed. */
int parent_run(struct generation *first, const struct parent_calls *);

#endif
