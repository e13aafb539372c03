/*
 * New files: some files and folders in one folder, all of them or none. What is
 * there already is never changed.
 */
#ifndef CLI_NEW_FILES_H
#define CLI_NEW_FILES_H

#include <sys/types.h>

#include "base/error.h"

struct new_file {
    const char *name;    /* in the folder, without a slash */
    const char *content; /* NULL: it is a folder */
    mode_t mode;
    uid_t owner; /* (uid_t)-1: whoever makes it */
    gid_t group;
};

/* Makes them in `folder`, an absolute path, which is made with mode 0755 where it
 * is missing. False with an error, and with nothing left behind, where one of
 * them is there already, something fails, or a signal asks the process to end,
 * which does end it then. */
bool new_files_make(const char *folder, const struct new_file *, size_t count, struct error *);

#endif
