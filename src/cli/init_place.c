/*
 * Where init puts what it makes, what is to be run, and as whom: absolute
 * paths, and the questions that a start of fcgiguard would ask of them.
 */
#include "config.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/init.h"
#include "process/program.h"
#include "process/sandbox.h"

enum { FOLDER_SIZE_LIMIT = 150 };

bool init_is_plain(const char *path)
{
    return strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-") ==
           strlen(path);
}

/* The folder that it is relative to can have any name. */
static const char *absolute(const char *path, struct arena *arena, struct error *error)
{
    char here[PATH_MAX];
    if (!path || path[0] == '/')
        return path;
    if (!getcwd(here, sizeof here))
        error_set_errno(error, "the current folder has no name");
    else if (!init_is_plain(here))
        error_set(error, "the current folder %.120s does not fit, expected letters, digits and / . _ + -",
                  here);
    return error->set ? NULL : arena_printf(arena, "%s/%s", here, path);
}

/* The folder without links in it, which need not be there; the one above it must be. */
static const char *resolve_folder(const char *path, struct arena *arena, struct error *error)
{
    char found[PATH_MAX];
    struct stat status;
    bool is_there = stat(path, &status) == 0;
    const char *above = is_there ? path : dirname(arena_copy(arena, path, strlen(path)));
    const char *rest = is_there ? "" : basename(arena_copy(arena, path, strlen(path)));
    if (!realpath(above, found)) {
        error_set_errno(error, "cannot use the folder %.150s", above);
        return NULL;
    }
    const char *folder =
        arena_printf(arena, "%s%s%s", strcmp(found, "/") == 0 ? "" : found, *rest ? "/" : "", rest);
    if (!init_is_plain(folder) || strlen(folder) > FOLDER_SIZE_LIMIT || *folder != '/') {
        error_set(error,
                  "the folder %.150s does not fit, expected a path of letters, digits and / . _ + -, at "
                  "most %d",
                  folder, FOLDER_SIZE_LIMIT);
        return NULL;
    }
    return folder;
}

/* The folder, or the one that it will be made in. */
static const char *present(const char *folder, struct arena *arena)
{
    struct stat status;
    return stat(folder, &status) == 0 ? folder : dirname(arena_copy(arena, folder, strlen(folder)));
}

/* Asked as that user. */
static bool user_can_enter(const char *user, const char *folder)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct error error = {0};
        _exit(privileges_drop(user, NULL, &error) && access(folder, X_OK) == 0 ? 0 : 1);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whoever can replace a policy decides what is run, so its folder has to be one that programs could be in. */
static bool check_folder(const struct init_place *place, struct arena *arena, struct error *error)
{
    const struct program folder = {.root = present(place->folder, arena)};
    struct error reason = {0};
    if (!program_check(&folder, &reason))
        return error_set(error, "this is no place for a policy: %s", reason.message);
    return !place->user || user_can_enter(place->user, folder.root) ||
           error_set(error, "the user \"%s\" cannot enter %.120s, expected --directory with another folder",
                     place->user, folder.root);
}

/* Where scripts are looked for. */
static bool check_root(const struct init_place *place, struct error *error)
{
    return !place->user || user_can_enter(place->user, place->root) ||
           error_set(error, "--root: the user \"%s\" cannot enter %.150s", place->user, place->root);
}

static bool check_exec(const struct init_place *place, struct error *error)
{
    struct program program = {.changes_user = place->user != NULL, .uid = place->uid};
    struct error reason = {0};
    *(place->exec_is_folder ? &program.root : &program.path) = place->exec;
    return program_check(&program, &reason) || error_set(error, "--exec: %s", reason.message);
}

static bool find_user(const char *answer, struct init_place *place, struct error *error)
{
    if (geteuid() != 0)
        return true;
    place->user = answer ? answer : INIT_WEB_USER;
    const struct passwd *entry = getpwnam(place->user);
    if (!entry)
        return error_set(error, "there is no user \"%s\", expected --user with whom programs are to run as",
                         place->user);
    place->uid = entry->pw_uid;
    place->gid = entry->pw_gid;
    return true;
}

bool init_find_place(const struct init_answers *answers, struct init_place *place, struct arena *arena,
                     struct error *error)
{
    struct stat status;
    place->folder = resolve_folder(answers->directory ? answers->directory : ".", arena, error);
    if (!place->folder)
        return false;
    place->socket = answers->socket ? answers->socket : arena_printf(arena, "%s/guard.sock", place->folder);
    if (strlen(place->socket) >= sizeof((struct sockaddr_un){0}.sun_path))
        return error_set(
            error, "%.150s is too long for a socket, expected --socket with a path of at most 107 letters",
            place->socket);
    place->exec = absolute(answers->exec, arena, error);
    place->root = absolute(answers->root, arena, error);
    place->certificate = absolute(answers->certificate, arena, error);
    place->key = absolute(answers->key, arena, error);
    if (error->set)
        return false;
    place->exec_is_folder = place->exec && stat(place->exec, &status) == 0 && S_ISDIR(status.st_mode);
    return find_user(answers->user, place, error) && check_folder(place, arena, error) &&
           (!place->exec || check_exec(place, error)) && (!place->root || check_root(place, error));
}
