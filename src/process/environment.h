/*
 * Environment: what a program finds in its environment, rebuilt for each start
 * from three sources that are not equally trusted, so that no name is there
 * twice. Consumers disagree on which of two equal names counts.
 */
#ifndef PROCESS_ENVIRONMENT_H
#define PROCESS_ENVIRONMENT_H

#include "process/launcher.h"
#include "process/program.h"

/* Whether a variable of this name may reach a program at all: [A-Z_][A-Z0-9_]*,
 * and none that steers the loader or the shell (LD_*, BASH_*, IFS). */
bool environment_name_allowed(struct text name);

/* A policy's own variables, whose values may be secrets, as "NAME=value", NULL-ended, in the
 * decoder's arena. False with findings: for names that fcgiguard sets itself, SCRIPT_FILENAME
 * among them where it finds the script. */
bool environment_prepare(struct decoder *, const struct pairs *, bool finds_script, char *const **);

/* The environment for one start, NULL-ended: what follows from `file`, the
 * program that will run, and from the first `used` bytes of launch->script,
 * which named it; then the policy's own; then the launch's. The first of equal
 * names stays. One block for the caller to free(); its strings point into the
 * program and the launch. NULL when memory runs out. */
char **environment_build(const struct program *, const struct launch *, const char *file, size_t used);

#endif
