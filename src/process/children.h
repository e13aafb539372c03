/*
 * Children: the processes that have become ours because their parents died
 * (PR_SET_CHILD_SUBREAPER), having left their program's process group, as
 * setsid(1) and daemons do. A program ends with all it started, so they are
 * killed.
 */
#ifndef PROCESS_CHILDREN_H
#define PROCESS_CHILDREN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { CHILDREN_KEPT = 64 };

/* Children that were there before anything was started: not ours to kill. */
struct children {
    pid_t kept[CHILDREN_KEPT];
    size_t count;
};

/* Makes this process the one that inherits, and notes who is there already. */
bool children_adopt(struct children *);

/* Kills every child, but those kept and those that `is_known` knows. Returns
 * how many lived, and in `escaped` how many of those had left the group they
 * were started in; they are still to be reaped. The children of those will be
 * ours only then, so it may take several sweeps. */
size_t children_sweep(const struct children *, bool (*is_known)(const void *context, pid_t),
                      const void *context, size_t *escaped);

#endif
