/*
 * What was made is taken back by its name in the folder's descriptor, and only
 * what this process has made itself: O_EXCL and mkdirat(2) say so.
 */
#include "config.h"

#include "cli/new_files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_MODE = 0755 };

static int open_folder(const char *path, bool *made, struct error *error)
{
    *made = mkdir(path, FOLDER_MODE) == 0;
    if (!*made && errno != EEXIST) {
        error_set_errno(error, "cannot make the folder %.180s", path);
        return -1;
    }
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        error_set_errno(error, "cannot use the folder %.180s", path);
        return -1;
    }
    return folder;
}

/* Before anything is made, so that the message names what a person has to decide about. */
static bool check_absent(int folder, const char *path, const struct new_file *files, size_t count,
                         struct error *error)
{
    struct stat status;
    for (size_t i = 0; i < count; i++) {
        if (fstatat(folder, files[i].name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            return error_set(error, "%.150s/%.32s is there already, and is not overwritten", path,
                             files[i].name);
        if (errno != ENOENT)
            return error_set_errno(error, "cannot look at %.150s/%.32s", path, files[i].name);
    }
    return true;
}

static bool write_all(int file, const char *content)
{
    for (size_t rest = strlen(content); rest > 0;) {
        ssize_t done = write(file, content, rest);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        content += done;
        rest -= (size_t)done;
    }
    return true;
}

/* The mode is set again, as umask(2) has taken of it. */
static bool finish(int file, const struct new_file *new)
{
    bool owned = new->owner == (uid_t)-1 || fchown(file, new->owner, new->group) == 0;
    return owned && fchmod(file, new->mode) == 0 && fsync(file) == 0;
}

static bool make(int folder, const struct new_file *new, bool *made)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    if (new->content)
        flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    else if (!(*made = mkdirat(folder, new->name, 0700) == 0))
        return false;
    int file = openat(folder, new->name, flags, 0600);
    if (file < 0)
        return false;
    *made = true;
    bool good = (!new->content || write_all(file, new->content)) && finish(file, new);
    int reason = errno;
    if (close(file) != 0 && good)
        return false;
    errno = reason;
    return good;
}

static void take_back(int folder, const struct new_file *files, size_t count)
{
    while (count-- > 0)
        unlinkat(folder, files[count].name, files[count].content ? 0 : AT_REMOVEDIR);
}

static const int fatal_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static bool asked_to_end(void)
{
    sigset_t pending;
    sigpending(&pending);
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++)
        if (sigismember(&pending, fatal_signals[i]))
            return true;
    return false;
}

static bool make_all(int folder, const char *path, const struct new_file *files, size_t count,
                     struct error *error)
{
    size_t made = 0;
    for (size_t i = 0; i < count && !error->set; i++) {
        bool is_made = false;
        if (!make(folder, &files[i], &is_made))
            error_set_errno(error, "cannot make %.150s/%.32s", path, files[i].name);
        else if (asked_to_end())
            error_set(error, "interrupted");
        made += is_made;
    }
    if (error->set)
        take_back(folder, files, made);
    return !error->set;
}

bool new_files_make(const char *path, const struct new_file *files, size_t count, struct error *error)
{
    sigset_t fatal, before;
    bool made_folder;
    sigemptyset(&fatal);
    for (size_t i = 0; i < sizeof fatal_signals / sizeof *fatal_signals; i++)
        sigaddset(&fatal, fatal_signals[i]);
    sigprocmask(SIG_BLOCK, &fatal, &before);
    int folder = open_folder(path, &made_folder, error);
    bool good = folder >= 0 && check_absent(folder, path, files, count, error) &&
                make_all(folder, path, files, count, error);
    if (!good && made_folder)
        rmdir(path);
    if (folder >= 0)
        close(folder);
    sigprocmask(SIG_SETMASK, &before, NULL); /* which ends the process where a signal is pending */
    return good;
}
