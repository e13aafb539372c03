/*
 * Privileges: who a process or a program is to be, looked up once by name, and
 * the one-way step there. privileges_drop() is declared in process/sandbox.h.
 */
#ifndef PROCESS_PRIVILEGES_H
#define PROCESS_PRIVILEGES_H

#include <sys/types.h>

#include "base/arena.h"
#include "base/error.h"

struct identity {
    uid_t user;
    gid_t group;
    gid_t *groups; /* as initgroups(3) sets them; in the arena */
    size_t group_count;
};

/* Looks up a user and a group, names or numbers. Without a user, it is the
 * one of this process; without a group, the user's own. False with an error. */
bool identity_find(const char *user, const char *group, struct arena *, struct identity *, struct error *);

/* Whether this process is that user and group already, and nothing but that. */
bool identity_is_ours(const struct identity *);

#endif
