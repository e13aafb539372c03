/*
 * Programs: suexec's questions about a file and its folders, asked at load and
 * again at each start, and the search for a script beneath a root. Opens
 * nothing but by O_PATH, and starts nothing.
 */
#include "config.h"

#include "process/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/beneath.h"
#include "process/environment.h"
#include "process/privileges.h"

/* A rule was broken: the error says which, its number says EACCES. */
#define refuse(error, ...) (error_set((error), __VA_ARGS__), (error)->number = EACCES, false)

static bool not_found(struct error *error, const char *what)
{
    error_set(error, "%s", what);
    error->number = ENOENT;
    return false;
}

/* ---- the rules */

static uid_t runs_as(const struct program *program)
{
    return program->changes_user ? program->uid : geteuid();
}

static bool owner_fits(const struct program *program, const struct stat *status)
{
    return program->allow_shared_owner || status->st_uid == 0 || status->st_uid == runs_as(program);
}

static bool check_owner(const struct program *program, const struct stat *status, const char *path,
                        struct error *error)
{
    if (!owner_fits(program, status))
        return refuse(error, "%.160s is owned by user %u, not by root or user %u that it runs as", path,
                      (unsigned)status->st_uid, (unsigned)runs_as(program));
    return true;
}

static bool check_file(const struct program *program, const struct stat *status, const char *path,
                       struct error *error)
{
    if (!S_ISREG(status->st_mode))
        return refuse(error, "%.200s is not a regular file", path);
    if (!(status->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return refuse(error, "%.200s is not executable", path);
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return refuse(error, "%.200s can be written by its group or by others", path);
    if (!program->allow_setuid && (status->st_mode & (S_ISUID | S_ISGID)))
        return refuse(error, "%.200s has a set-user-id or set-group-id bit", path);
    return check_owner(program, status, path, error);
}

static bool check_folder(const struct program *program, const struct stat *status, const char *path,
                         struct error *error)
{
    if (!S_ISDIR(status->st_mode))
        return refuse(error, "%.200s is not a folder", path);
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return refuse(error, "the folder %.180s can be written by its group or by others", path);
    return check_owner(program, status, path, error);
}

/* Cuts a path to that of its folder; false at "/". */
static bool cut_to_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || path[1] == '\0')
        return false;
    slash[slash == path] = '\0';
    return true;
}

/* The folder as check_folder() wants it. In those above, a sticky bit is
 * enough (/tmp): what lies there is moved by its owner only. */
static bool check_folders_up(const struct program *program, const char *folder, struct error *error)
{
    char path[PATH_MAX];
    struct stat status;
    if (snprintf(path, sizeof path, "%s", folder) >= (int)sizeof path)
        return refuse(error, "the folder's name is too long");
    for (bool first = true;; first = false) {
        if (stat(path, &status) != 0)
            return error_set_errno(error, "cannot look at the folder %.180s", path);
        if (!first && (status.st_mode & S_ISVTX))
            status.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
        if (!check_folder(program, &status, path, error))
            return false;
        if (!cut_to_folder(path))
            return true;
    }
}

static bool cannot_open(const char *path, struct error *error)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return error_set(error, "there is no %.200s", path), error->number = ENOENT, false;
    return error_set_errno(error, "cannot look at %.180s", path);
}

/* All there is to check of a fixed program: its file, the folder the name
 * stands in, and the folder the file stands in where the name is a link. */
static bool check_fixed(const struct program *program, struct error *error)
{
    char real[PATH_MAX], folder[PATH_MAX], real_folder[PATH_MAX];
    struct stat status;
    if (!realpath(program->path, real) || stat(real, &status) != 0)
        return cannot_open(program->path, error);
    if (!check_file(program, &status, real, error))
        return false;
    if (snprintf(folder, sizeof folder, "%s", program->path) >= (int)sizeof folder ||
        !cut_to_folder(folder) || !cut_to_folder(real) || !realpath(folder, real_folder))
        return cannot_open(folder, error);
    return check_folders_up(program, real, error) &&
           (strcmp(real, real_folder) == 0 || check_folders_up(program, real_folder, error));
}

static bool check_root(const struct program *program, struct error *error)
{
    char real[PATH_MAX];
    if (!realpath(program->root, real))
        return cannot_open(program->root, error);
    return check_folders_up(program, real, error);
}

bool program_check(const struct program *program, struct error *error)
{
    return program->root ? check_root(program, error) : check_fixed(program, error);
}

bool program_recheck(const struct program *program, struct error *error)
{
    struct stat status;
    if (stat(program->path, &status) != 0)
        return cannot_open(program->path, error);
    return check_file(program, &status, program->path, error);
}

/* ---- the search beneath a root */

static int cannot_open_beneath(const char *path, struct error *error)
{
    if (errno == EXDEV || errno == ELOOP)
        (void)refuse(error, "%.160s leads out of the root", path);
    else if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
        (void)not_found(error, "there is no such script");
    else if (errno == EACCES) /* which paths lead there is the client's choice, and no fault to be told */
        (void)not_found(error, "a folder on the way may not be searched");
    else
        error_set_errno(error, "cannot open %.160s beneath the root", path);
    return -1;
}

static bool extension_fits(const struct program *program, struct text name)
{
    for (size_t i = 0; i < program->extensions.count; i++) {
        struct text extension = program->extensions.items[i];
        if (name.length > extension.length && text_ends_with(name, extension))
            return true;
    }
    return program->extensions.count == 0;
}

/* A canonical path has no other segments; beneath the root holds without this too. */
static bool segment_fits(struct text segment)
{
    return segment.length > 0 && !text_equal(segment, TEXT(".")) && !text_equal(segment, TEXT("..")) &&
           text_find(segment, '\0') == segment.length;
}

struct search {
    const struct program *program;
    struct text script;
    int root;
    size_t used;         /* of the script, so far */
    char path[PATH_MAX]; /* that part, without its leading slash */
    size_t length;       /* of the path */
    struct stat status;  /* of what the path names */
};

/* Appends a segment to the path. */
static bool extend(struct search *search, struct text segment)
{
    size_t slash = search->length > 0;
    if (segment.length >= sizeof search->path - search->length - slash)
        return false;
    if (slash)
        search->path[search->length++] = '/';
    memcpy(search->path + search->length, segment.at, segment.length);
    search->length += segment.length;
    search->path[search->length] = '\0';
    return true;
}

/* Opens what the path names and learns what it is. */
static int look(struct search *search, struct error *error)
{
    int file = beneath_open(search->root, search->path, O_PATH);
    if (file < 0)
        return cannot_open_beneath(search->path, error);
    if (fstat(file, &search->status) == 0)
        return file;
    error_set_errno(error, "cannot look at %.180s", search->path);
    (void)close(file);
    return -1;
}

static int take(struct search *search, int file, struct text name, struct error *error)
{
    if (S_ISREG(search->status.st_mode) && extension_fits(search->program, name))
        return file;
    (void)not_found(error, S_ISREG(search->status.st_mode) ? "the file has none of the extensions of scripts"
                                                           : "there is no such script");
    (void)close(file);
    return -1;
}

/* The whole script path names a folder. */
static int find_index(struct search *search, struct error *error)
{
    struct text index = text_of(search->program->index);
    if (index.length == 0 || !extend(search, index)) {
        (void)not_found(error, "the path names a folder");
        return -1;
    }
    search->used = search->script.length;
    int file = look(search, error);
    return file < 0 ? -1 : take(search, file, index, error);
}

/* From the root down, until a segment names something that is not a folder. */
static int find_script(struct search *search, struct error *error)
{
    struct text rest = text_from(search->script, 1);
    while (search->used + 1 < search->script.length) {
        size_t length = text_find(rest, '/');
        struct text segment = {rest.at, length};
        if (!segment_fits(segment) || !extend(search, segment)) {
            (void)not_found(error, "no script has such a path");
            return -1;
        }
        int file = look(search, error);
        if (file < 0)
            return -1;
        search->used += 1 + length;
        if (!S_ISDIR(search->status.st_mode))
            return take(search, file, segment, error);
        (void)close(file);
        rest = text_from(rest, length + 1);
    }
    return find_index(search, error);
}

static bool find_name(int file, char *resolved, struct error *error)
{
    char link[32];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, resolved, PATH_MAX);
    if (length < 0)
        return error_set_errno(error, "cannot find the script's own name");
    if (length >= PATH_MAX || resolved[0] != '/')
        return refuse(error, "the script has no name that can be used");
    resolved[length] = '\0';
    return true;
}

/* Every folder from the script's own up to the root, which may be another than
 * the one asked for where a link led there. With them and the file writable by
 * none but those who may decide what is run, the name is as good as the
 * descriptor: nobody else can put another file in its place before execve(2). */
static bool check_folders_to_root(const struct program *program, int root, const char *resolved,
                                  struct error *error)
{
    char path[PATH_MAX];
    struct stat top, status;
    if (fstat(root, &top) != 0)
        return error_set_errno(error, "cannot look at the root");
    memcpy(path, resolved, strlen(resolved) + 1);
    while (cut_to_folder(path)) {
        if (stat(path, &status) != 0)
            return error_set_errno(error, "cannot look at the folder %.180s", path);
        if (!check_folder(program, &status, path, error))
            return false;
        if (status.st_dev == top.st_dev && status.st_ino == top.st_ino)
            return true;
    }
    return refuse(error, "%.160s is not beneath the root", resolved);
}

static int open_script(const struct program *program, struct text script, char *resolved, size_t *used,
                       struct error *error)
{
    struct search search = {.program = program, .script = script};
    if (script.length > 0 && script.at[0] != '/') {
        (void)not_found(error, "no script has such a path");
        return -1;
    }
    search.root = open(program->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (search.root < 0) {
        error_set_errno(error, "cannot open the root %.180s", program->root);
        if (error->number == ENOENT) /* it was there at load: not the caller's mistake */
            error->number = EIO;
        return -1;
    }
    int file = find_script(&search, error);
    if (file >= 0 &&
        !(find_name(file, resolved, error) && check_file(program, &search.status, resolved, error) &&
          check_folders_to_root(program, search.root, resolved, error))) {
        (void)close(file);
        file = -1;
    }
    (void)close(search.root);
    *used = search.used;
    return file;
}

static int open_fixed(const struct program *program, char *resolved, struct error *error)
{
    struct stat status;
    int file = open(program->path, O_PATH | O_CLOEXEC);
    if (file < 0) {
        (void)cannot_open(program->path, error);
        return -1;
    }
    if (snprintf(resolved, PATH_MAX, "%s", program->path) < PATH_MAX && fstat(file, &status) == 0 &&
        check_file(program, &status, resolved, error))
        return file;
    error_set_errno(error, "cannot look at %.180s", program->path);
    (void)close(file);
    return -1;
}

int program_open(const struct program *program, struct text script, char *resolved, size_t *used,
                 struct error *error)
{
    *used = 0;
    return program->root ? open_script(program, script, resolved, used, error)
                         : open_fixed(program, resolved, error);
}
