/*
 * Spawn: one program started safely, as cheaply as the kernel can (a child that
 * shares the caller's memory until it is the program, as after vfork(2): nothing
 * is copied, whatever the caller's size).
 */
#ifndef PROCESS_SPAWN_H
#define PROCESS_SPAWN_H

#include <sys/types.h>

#include "process/launcher.h"
#include "process/program.h"

/* A start under way. */
struct spawn;

/* Starts a program of the policy for a launch. The child is the leader of a
 * process group of its own, has descriptors 0 to 2 only, default signals, an
 * empty signal mask, umask 022, the program's limits, user, groups and folder,
 * and the environment of environment_build(). It is killed when the caller's
 * process dies. Which signals are ignored must be settled before the first call.
 * NULL with an error whose number is as for program_open(). What the launch
 * points at must stay as it is until the start is freed; its descriptors may
 * be closed at once. */
struct spawn *spawn_begin(const struct program *, const struct launch *, struct error *);

/* Its process id. */
pid_t spawn_process(const struct spawn *);

/* Once the process is dead (looked at, or reaped): whether it ever became the
 * program; else false with the errno of the step that failed. */
bool spawn_succeeded(const struct spawn *, struct error *);

/* Frees it; waits for a child that is still on its way. NULL is allowed. */
void spawn_free(struct spawn *);

/* The same for a caller that waits: returns the process id once the program
 * runs, or -1 with an error, also when a step failed in the child. */
pid_t spawn_program(const struct program *, const struct launch *, struct error *);

#endif
