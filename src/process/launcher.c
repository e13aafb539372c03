/*
 * Both launchers. The remote one sends a message and keeps the lifeline; the
 * local one spawns and keeps a pidfd. A start that failed here is told the same
 * way as one that failed in the parent, so a run has only two forms.
 */
#include "config.h"

#include "process/launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/children.h"
#include "process/message.h"
#include "process/spawn.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum {
    SEND_BUFFER = 512 * 1024, /* two of the largest messages; the kernel may allow less */
    SEND_PATIENCE_S = 10,     /* a parent that takes no message for so long is stuck */
};

struct launcher {
    int socket; /* -1: local */
    struct program *const *programs;
    size_t count;
    struct children children;
};

static struct launcher *launcher_new(void)
{
    struct launcher *launcher = calloc(1, sizeof *launcher);
    if (!launcher)
        abort();
    launcher->socket = -1;
    return launcher;
}

struct launcher *launcher_remote(int socket)
{
    const int size = SEND_BUFFER;
    const struct timeval patience = {.tv_sec = SEND_PATIENCE_S};
    struct launcher *launcher = launcher_new();
    launcher->socket = socket;
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return launcher;
}

struct launcher *launcher_local(struct program *const programs[], size_t count)
{
    struct launcher *launcher = launcher_new();
    launcher->programs = programs;
    launcher->count = count;
    /* Ignored by whoever started us, it would reap our children before us. */
    (void)signal(SIGCHLD, SIG_DFL);
    (void)children_adopt(&launcher->children);
    return launcher;
}

bool launcher_ready(struct launcher *launcher, struct error *error)
{
    return message_send_ready(launcher->socket, error);
}

int launcher_take_log(struct launcher *launcher, struct error *error)
{
    return message_take(launcher->socket, error);
}

static bool make_lifeline(int ends[2], struct error *error)
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 ||
           error_set_errno(error, "cannot make a socket pair");
}

static bool start_remote(const struct launcher *launcher, const struct launch *launch, struct run *run,
                         struct error *error)
{
    int ends[2];
    if (!make_lifeline(ends, error))
        return false;
    bool sent = message_send(launcher->socket, launch, ends[1], error);
    (void)close(ends[1]);
    if (!sent)
        (void)close(ends[0]);
    else
        *run = (struct run){.descriptor = ends[0]};
    return sent;
}

/* A run that has ended before it began: its end waits in the lifeline. */
static bool tell_failure(const struct error *cause, struct run *run, struct error *error)
{
    int ends[2];
    struct program_end end = {.started = cause->number ? cause->number : EIO};
    (void)snprintf(end.reason, sizeof end.reason, "%s", cause->message);
    if (!make_lifeline(ends, error))
        return false;
    (void)send(ends[1], &end, sizeof end, MSG_NOSIGNAL);
    (void)close(ends[1]);
    *run = (struct run){.descriptor = ends[0]};
    return true;
}

static bool start_local(const struct launcher *launcher, const struct launch *launch, struct run *run,
                        struct error *error)
{
    struct error cause = {0};
    if (launch->program >= launcher->count)
        return error_set(error, "there is no program %u", launch->program);
    if (!message_fits(launch, error))
        return false;
    pid_t process = spawn_program(launcher->programs[launch->program], launch, &cause);
    if (process < 0)
        return tell_failure(&cause, run, error);
    *run = (struct run){.descriptor = (int)syscall(SYS_pidfd_open, process, 0), .process = process};
    if (run->descriptor >= 0)
        return true;
    error_set_errno(error, "cannot watch the program");
    launcher_stop(run);
    return false;
}

bool launcher_start(struct launcher *launcher, const struct launch *launch, struct run *run,
                    struct error *error)
{
    return launcher->socket >= 0 ? start_remote(launcher, launch, run, error)
                                 : start_local(launcher, launch, run, error);
}

/* Whether there is something to read before the time is up. */
static bool wait_readable(int descriptor, uint64_t milliseconds)
{
    struct pollfd one = {.fd = descriptor, .events = POLLIN};
    uint64_t now = clock_milliseconds(), until = now + milliseconds;
    for (;; now = clock_milliseconds()) {
        uint64_t left = now < until ? until - now : 0;
        int ready = poll(&one, 1, left < 60000 ? (int)left : 60000);
        if (ready > 0)
            return true;
        if ((ready == 0 && left <= 60000) || (ready < 0 && errno != EINTR))
            return false;
    }
}

static int end_remote(const struct run *run, struct program_end *end)
{
    /* Left where it is, so that to ask twice is harmless. */
    ssize_t length = recv(run->descriptor, end, sizeof *end, MSG_DONTWAIT | MSG_PEEK);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (length != (ssize_t)sizeof *end)
        return -1;
    end->reason[sizeof end->reason - 1] = '\0';
    return 1;
}

static int status_of(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return (info->si_status & 0x7f) | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

static int end_local(const struct run *run, struct program_end *end)
{
    siginfo_t info = {0};
    /* Not reaped before launcher_stop(): until then the group is surely ours. */
    if (waitid(P_PIDFD, (id_t)run->descriptor, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
        return -1;
    if (info.si_pid == 0)
        return 0;
    (void)kill(-run->process, SIGKILL);
    *end = (struct program_end){.status = status_of(&info)};
    return 1;
}

int launcher_end(struct run *run, uint64_t milliseconds, struct program_end *end)
{
    if (!wait_readable(run->descriptor, milliseconds))
        return 0;
    return run->process == 0 ? end_remote(run, end) : end_local(run, end);
}

void launcher_stop(struct run *run)
{
    if (run->process != 0) {
        (void)kill(-run->process, SIGKILL);
        (void)kill(run->process, SIGKILL); /* it may have moved to another group */
        while (waitpid(run->process, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (run->descriptor >= 0)
        (void)close(run->descriptor);
    *run = (struct run){.descriptor = -1};
}

static bool nobody(const void *context, pid_t process)
{
    (void)context;
    (void)process;
    return false;
}

static void reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

/* Groups that were never stopped, and what has left its group. */
static void end_children(const struct launcher *launcher)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    size_t escaped;
    for (int tries = 0; tries < 1000 && children_sweep(&launcher->children, nobody, NULL, &escaped) > 0;
         tries++) {
        (void)nanosleep(&pause, NULL);
        reap();
    }
    reap();
}

void launcher_close(struct launcher *launcher)
{
    if (launcher->socket >= 0)
        (void)close(launcher->socket);
    else
        end_children(launcher);
    free(launcher);
}
