/*
 * redis-server as a child that dies with its parent.
 */
#include "config.h"

#include "redis_server.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPTIONS_MOST = 48, TRIES = 1000, PAUSE_US = 10000 };

const char *const redis_server_strict[] = {
    "--user", "default", "on",      "nopass", "~fcgiguard:*", "resetchannels", "-@all",
    "+ping",  "+info",   "+select", "+eval",  "+evalsha",     "+time",         "+get",
    "+set",   "+del",    "+mget",   "+ttl",   "+scan",        "+dbsize",       "+exists",
    "+hset",  "+hget",   "+hmget",  "+zadd",  "+zcard",       "+zrange",       NULL};

bool redis_server_is_installed(void)
{
    const char *path = getenv("PATH");
    char *folders = strdup(path ? path : "/usr/bin"), *rest = folders, *folder;
    bool found = false;
    while (!found && (folder = strsep(&rest, ":"))) {
        char file[512];
        snprintf(file, sizeof file, "%s/redis-server", folder);
        found = access(file, X_OK) == 0;
    }
    free(folders);
    return found;
}

/* A name that belongs to one process at a time, until it ends. */
static bool claim_name(int port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "fcgiguard-test-port-%d", port);
    int holder = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(holder, (struct sockaddr *)&name, sizeof name) == 0)
        return true;
    close(holder);
    return false;
}

int redis_server_port(void)
{
    for (int port = 8000; port < 11000; port++) { /* no outgoing connection is given one of these */
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool is_free = bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
        close(probe);
        if (is_free && claim_name(port))
            return port;
    }
    ck_abort_msg("no port is free");
}

static void run(const struct redis_server *server, const char *const options[], pid_t parent)
{
    static const char *const always[] = {"--unixsocket", "s",         "--save", "",  "--daemonize",
                                         "no",           "--logfile", "log",    NULL};
    const char *arguments[OPTIONS_MOST] = {"redis-server", "--port", "0"};
    size_t count = 3;
    for (size_t i = 0; always[i]; i++)
        arguments[count++] = always[i];
    for (size_t i = 0; options && options[i] && count < OPTIONS_MOST - 1; i++)
        arguments[count++] = options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || chdir(server->folder) != 0)
        _exit(1);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execvp("redis-server", (char *const *)arguments);
    _exit(127);
}

static bool answers(const struct redis_server *server)
{
    char reply[8] = {0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", server->folder);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0 &&
                write(descriptor, "PING\r\n", 6) == 6 && read(descriptor, reply, sizeof reply - 1) > 0 &&
                strncmp(reply, "-LOADING", 8) != 0;
    close(descriptor);
    return good;
}

void redis_server_start(struct redis_server *server, const char *const options[])
{
    if (server->folder[0] == 0) {
        strcpy(server->folder, "/tmp/check_redis.XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(server->folder));
        snprintf(server->url, sizeof server->url, "redis+unix://%s/s", server->folder);
    }
    pid_t parent = getpid();
    server->process = fork();
    if (server->process == 0)
        run(server, options, parent);
    for (int i = 0; i < TRIES; i++) {
        if (answers(server))
            return;
        ck_assert_msg(waitpid(server->process, NULL, WNOHANG) == 0, "redis-server has ended, see %s/log",
                      server->folder);
        usleep(PAUSE_US);
    }
    ck_abort_msg("redis-server does not answer");
}

void redis_server_kill(struct redis_server *server)
{
    if (server->process > 0) {
        kill(server->process, SIGKILL);
        waitpid(server->process, NULL, 0);
    }
    server->process = 0;
}

static void remove_folder(const char *folder)
{
    DIR *entries = opendir(folder);
    char file[512];
    for (struct dirent *entry; entries && (entry = readdir(entries));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(file, sizeof file, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_DIR)
            remove_folder(file);
        else
            unlink(file);
    }
    if (entries)
        closedir(entries);
    rmdir(folder);
}

void redis_server_end(struct redis_server *server)
{
    redis_server_kill(server);
    if (server->folder[0])
        remove_folder(server->folder);
    server->folder[0] = 0;
}
