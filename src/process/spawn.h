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

/* Starts a program of the policy for a launch. The child is the leader of a
 * process group of its own, has descriptors 0 to 2 only, default signals, an
 * empty signal mask, umask 022, the program's limits, user, groups and folder,
 * and the environment of environment_build(). It is killed when the caller's
 * process dies. Returns its process id, or -1 with an error whose number is as
 * for program_open(), or the errno of the step that failed in the child. Which
 * signals are ignored must be settled before the first call. */
pid_t spawn_program(const struct program *, const struct launch *, struct error *);

#endif
