/*
 * Both launchers: the worker's asks the parent (process/remote.h), the local
 * one spawns and keeps a pidfd.
 */
#include "config.h"

#include "process/launcher.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "process/children.h"
#include "process/message.h"
#include "process/remote.h"
#include "process/spawn.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

struct launcher {
    struct remote *remote; /* NULL: local */
    struct program *const *programs;
    size_t count;
    struct children children;
};

static struct launcher *launcher_new(void)
{
    struct launcher *launcher = calloc(1, sizeof *launcher);
    if (!launcher)
        abort();
    return launcher;
}

struct launcher *launcher_remote(int socket)
{
    struct launcher *launcher = launcher_new();
    launcher->remote = remote_new(socket);
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
    return remote_ready(launcher->remote, error);
}

int launcher_take_log(struct launcher *launcher, struct error *error)
{
    return remote_take_log(launcher->remote, error);
}

static bool start_local(const struct launcher *launcher, const struct launch *launch, struct run *run,
                        struct error *error)
{
    if (launch->program >= launcher->count)
        return error_set(error, "there is no program %u", launch->program);
    if (!message_fits(launch, error))
        return false;
    pid_t process = spawn_program(launcher->programs[launch->program], launch, error);
    if (process < 0)
        return false;
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
    return launcher->remote ? remote_start(launcher->remote, launch, run, error)
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
    return run->place ? remote_end(run, end) : end_local(run, end);
}

bool launcher_leave(struct run *run, const char *request)
{
    return run->place && remote_leave(run, request);
}

static void stop_local(const struct run *run)
{
    (void)kill(-run->process, SIGKILL);
    (void)kill(run->process, SIGKILL); /* it may have moved to another group */
    while (waitpid(run->process, NULL, 0) < 0 && errno == EINTR)
        ;
    if (run->descriptor >= 0)
        (void)close(run->descriptor);
}

void launcher_stop(struct run *run)
{
    if (run->place)
        remote_stop(run);
    else
        stop_local(run);
    *run = (struct run){.descriptor = -1};
}

const char *launcher_how_it_ended(int status, char buffer[LAUNCH_HOW_SIZE])
{
    if (WIFSIGNALED(status))
        (void)snprintf(buffer, LAUNCH_HOW_SIZE, "was killed by signal %d", WTERMSIG(status));
    else
        (void)snprintf(buffer, LAUNCH_HOW_SIZE, "ended with status %d", WEXITSTATUS(status));
    return buffer;
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
    if (launcher->remote)
        remote_close(launcher->remote);
    else
        end_children(launcher);
    free(launcher);
}
