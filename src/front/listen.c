/*
 * Where the listening socket comes from: descriptor 0, systemd, or a socket of
 * our own making. A socket that somebody answers on is never taken away.
 */
#include "config.h"

#include "front/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SYSTEMD_FIRST_DESCRIPTOR = 3 }; /* sd_listen_fds(3) */

static bool is_listening(int descriptor)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value;
}

/* Out of the way of descriptors 0 to 2, which a program will get as its own. */
static int adopt(int descriptor, struct error *error)
{
    int own = fcntl(descriptor, F_DUPFD_CLOEXEC, SYSTEMD_FIRST_DESCRIPTOR);
    int flags = own < 0 ? -1 : fcntl(own, F_GETFL);
    if (flags < 0 || fcntl(own, F_SETFL, flags | O_NONBLOCK) != 0) {
        error_set_errno(error, "cannot use the listening socket on descriptor %d", descriptor);
        if (own >= 0)
            close(own);
        return -1;
    }
    return own;
}

/* sd_listen_fds(3), without its library: LISTEN_PID is ours and LISTEN_FDS 1. */
static int adopt_from_systemd(struct error *error)
{
    const char *process = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    uint64_t number;
    if (!process || !count || !text_number(text_of(process), INT32_MAX, &number) || (pid_t)number != getpid())
        return -1;
    if (strcmp(count, "1") != 0 || !is_listening(SYSTEMD_FIRST_DESCRIPTOR)) {
        error_set(error, "systemd passed %s descriptors, expected one listening socket", count);
        return -1;
    }
    int own = adopt(SYSTEMD_FIRST_DESCRIPTOR, error);
    if (own >= 0)
        close(SYSTEMD_FIRST_DESCRIPTOR);
    return own;
}

static bool user_id(const char *name, uid_t *id)
{
    uint64_t number;
    const struct passwd *entry = getpwnam(name);
    if (entry)
        *id = entry->pw_uid;
    else if (text_number(text_of(name), UINT32_MAX - 1, &number))
        *id = (uid_t)number;
    else
        return false;
    return true;
}

static bool group_id(const char *name, gid_t *id)
{
    uint64_t number;
    const struct group *entry = getgrnam(name);
    if (entry)
        *id = entry->gr_gid;
    else if (text_number(text_of(name), UINT32_MAX - 1, &number))
        *id = (gid_t)number;
    else
        return false;
    return true;
}

static bool give_away(const struct listen_rules *rules, const char *path, struct error *error)
{
    uid_t owner = (uid_t)-1;
    gid_t group = (gid_t)-1;
    if (rules->owner && !user_id(rules->owner, &owner))
        return error_set(error, "listen.owner: there is no user \"%s\"", rules->owner);
    if (rules->group && !group_id(rules->group, &group))
        return error_set(error, "listen.group: there is no group \"%s\"", rules->group);
    if ((rules->owner || rules->group) && lchown(path, owner, group) != 0)
        return error_set_errno(error, "cannot change the owner of %s", path);
    return true;
}

/* True when nobody answers at the path: it is free, or a dead socket was
 * removed. The file is only removed if it is the socket that was tried. */
static bool clear_path(const char *path, const struct sockaddr_un *address, struct error *error)
{
    struct stat file;
    if (lstat(path, &file) != 0)
        return errno == ENOENT || error_set_errno(error, "cannot look at %s", path);
    if (!S_ISSOCK(file.st_mode))
        return error_set(error, "%s exists and is not a socket", path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return error_set_errno(error, "cannot make a socket");
    int result = connect(probe, (const struct sockaddr *)address, sizeof *address);
    int reason = errno;
    close(probe);
    /* EAGAIN: its queue is full, so it lives. */
    if (result == 0 || reason != ECONNREFUSED)
        return error_set(error, "%s is in use by another process", path);
    if (unlink(path) != 0 && errno != ENOENT)
        return error_set_errno(error, "cannot remove the stale socket %s", path);
    return true;
}

/* Serializes two starts at once, by a lock on the socket's folder: between the
 * probe and the bind, nobody else may probe. */
static int lock_folder(const char *path, struct error *error)
{
    char folder[sizeof((struct sockaddr_un){0}.sun_path)];
    size_t length = (size_t)(strrchr(path, '/') - path);
    snprintf(folder, sizeof folder, "%.*s", length ? (int)length : 1, path);
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        error_set_errno(error, "cannot use the folder %s", folder);
        if (lock >= 0)
            close(lock);
        return -1;
    }
    return lock;
}

static int bind_unix(const struct listen_rules *rules, const struct sockaddr_un *address, struct error *error)
{
    const char *path = address->sun_path;
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) {
        error_set_errno(error, "cannot make a socket");
        return -1;
    }
    /* Closed to all until its owner and mode are right: nothing can connect
     * before listen(2), and the mode is set while binding. */
    mode_t mask = umask(0777);
    bool bound = bind(listener, (const struct sockaddr *)address, sizeof *address) == 0;
    umask(mask);
    if (!bound)
        error_set_errno(error, "cannot bind %s", path);
    else if (give_away(rules, path, error) && chmod(path, rules->mode) != 0)
        error_set_errno(error, "cannot change the mode of %s", path);
    else if (!error->set && listen(listener, (int)rules->backlog) != 0)
        error_set_errno(error, "cannot listen on %s", path);
    if (!error->set)
        return listener;
    if (bound)
        unlink(path);
    close(listener);
    return -1;
}

static int open_unix(const struct listen_rules *rules, const char *path, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (path[0] != '/' || length >= sizeof address.sun_path) {
        error_set(error, "listen: \"%s\" is not an absolute path of at most %zu bytes", path,
                  sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, length);
    int lock = lock_folder(path, error);
    if (lock < 0)
        return -1;
    int listener = clear_path(path, &address, error) ? bind_unix(rules, &address, error) : -1;
    close(lock);
    return listener;
}

/* "127.0.0.1:9000" and "[::1]:9000": numbers only, so that no resolver is asked. */
static int open_tcp(const struct listen_rules *rules, const char *text, struct error *error)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    bool brackets = text[0] == '[' && colon && colon > text && colon[-1] == ']';
    const char *start = text + (brackets ? 1 : 0);
    size_t length = colon ? (size_t)(colon - start) - (brackets ? 1 : 0) : 0;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (length == 0 || length >= sizeof host) {
        error_set(error, "listen: \"tcp:%s\" is not tcp:ADDRESS:PORT", text);
        return -1;
    }
    memcpy(host, start, length);
    host[length] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        error_set(error, "listen: \"tcp:%s\" is not tcp:ADDRESS:PORT", text);
        return -1;
    }
    int on = 1;
    int listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener, found->ai_addr, found->ai_addrlen) != 0 ||
        listen(listener, (int)rules->backlog) != 0) {
        error_set_errno(error, "cannot listen on tcp:%s", text);
        if (listener >= 0)
            close(listener);
        listener = -1;
    }
    freeaddrinfo(found);
    return listener;
}

int listen_open(const struct listen_rules *rules, struct error *error)
{
    if (is_listening(STDIN_FILENO))
        return adopt(STDIN_FILENO, error);
    int listener = adopt_from_systemd(error);
    if (listener >= 0 || error->set)
        return listener;
    if (!rules->address) {
        error_set(error,
                  "there is nothing to listen on: the policy has no `listen`, and descriptor 0 is not a "
                  "listening socket");
        return -1;
    }
    struct text address = text_of(rules->address);
    if (text_starts_with(address, TEXT("unix:")))
        return open_unix(rules, rules->address + 5, error);
    if (text_starts_with(address, TEXT("tcp:")))
        return open_tcp(rules, rules->address + 4, error);
    error_set(error, "listen: \"%s\" is neither unix:PATH nor tcp:ADDRESS:PORT", rules->address);
    return -1;
}

void listen_close(const struct listen_rules *rules, int listener)
{
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    struct stat file;
    if (rules->address && text_starts_with(text_of(rules->address), TEXT("unix:")) &&
        getsockname(listener, (struct sockaddr *)&address, &size) == 0 && address.sun_family == AF_UNIX &&
        strcmp(address.sun_path, rules->address + 5) == 0 && lstat(address.sun_path, &file) == 0 &&
        S_ISSOCK(file.st_mode))
        unlink(address.sun_path);
    close(listener);
}
