/*
 * Program: what the policy allows to be started, and as whom. Filled by the
 * exec handler's fields at load; the parent keeps its own copy and takes
 * nothing of it from the worker.
 */
#ifndef PROCESS_PROGRAM_H
#define PROCESS_PROGRAM_H

#include "base/error.h"
#include "data/decode.h"

struct program {
    const char *path;         /* a fixed program, absolute; or NULL and: */
    const char *root;         /* a folder; the script is found beneath it */
    struct texts arguments;   /* behind the program's own name */
    const char *index;        /* file tried when the script path names a folder; may be NULL */
    struct texts extensions;  /* ".cgi": only such scripts; empty: any */
    const char *user, *group; /* names or numbers; NULL: the policy's own, else as fcgiguard itself */
    const char *directory;    /* working directory; NULL: the program's own folder */
    struct pairs environment; /* set for every run; values may be secrets */
    bool allow_setuid;        /* start files with set-user-id or set-group-id bits */
    bool allow_shared_owner;  /* skip the check of who owns the script (see program_check) */
    uint64_t cpu, memory, files, processes, file_size; /* rlimits; 0: inherited */

    /* Filled by program_prepare(): */
    unsigned uid, gid;
    unsigned *groups;
    size_t group_count;
    bool changes_user;
    char *const *argv;              /* argv[0] is replaced by the script's path */
    char *const *fixed_environment; /* "NAME=value", NULL-ended */
    unsigned index_in_policy;
};

/* Resolves user and group, checks the fixed program or the root as
 * program_check does, and builds argv and environment. False with findings. */
bool program_prepare(struct program *, struct decoder *, const struct node *);

/* The checks of program_open() for what stays the same: the fixed program, or
 * the root, and all folders above (a sticky bit is enough for those). False with
 * an error. */
bool program_check(const struct program *, struct error *);

/* Whether the fixed program's file is still fit to be started: what one system
 * call can tell, for each start. Its folders were checked at load, and none but
 * their owners can have changed what lies in them. An error as of program_open(). */
bool program_recheck(const struct program *, struct error *);

/* Wipes the program's own environment, which may hold secrets, where nothing is
 * ever started: in a worker. */
void program_forget(struct program *);

/* Opens and checks what is to be run (openat2 beneath the root, no magic
 * links; suexec's rules): a regular file, executable, not writable by group or others, nor its
 * folder; owned by root or by the user it runs as; no set-id bits unless
 * allowed. `script` is the path beneath the root, already canonical, with a
 * leading slash; ignored for a fixed program. Returns an O_PATH descriptor of
 * the file, its absolute path in `resolved` (size PATH_MAX) and the length of
 * the part of `script` that named it in `used` (the rest is PATH_INFO); or -1
 * with an error whose number is ENOENT (not found), EACCES (refused, the
 * message says by which rule) or another. */
int program_open(const struct program *, struct text script, char *resolved, size_t *used, struct error *);

#endif
