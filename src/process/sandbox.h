/*
 * Sandbox: what a worker may still do once it is set up: no program is
 * started, no file opened but those named, no privilege gained.
 */
#ifndef PROCESS_SANDBOX_H
#define PROCESS_SANDBOX_H

#include "base/error.h"
#include "base/text.h"

struct sandbox_paths {
    const char *const *readable; /* NULL-ended; files or folders */
    const char *const *writable; /* folders: spool, log, store */
    bool network;                /* TCP and UDP, and the files that names and certificates are found by */
};

/* Drops to a user and group (and its supplementary groups) for good; no-op for
 * NULLs, and for those this process has already. A signal at the parent's death
 * (PR_SET_PDEATHSIG) stays asked for. */
bool privileges_drop(const char *user, const char *group, struct error *);

/* no_new_privs, no core dumps or tracing by the same user, Landlock (where the
 * kernel has it) and a seccomp filter, for this process and every thread it
 * makes. Call before threads. A readable path that does not exist is passed
 * over. False with an error when the kernel refuses what it should know. */
bool sandbox_enter(const struct sandbox_paths *, struct error *);

#endif
