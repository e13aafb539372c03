/*
 * Sweeping up escaped grandchildren, by the kernel's list of our children.
 */
#include "config.h"

#include "process/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls `visit` for each child of our main thread, which inherits the orphans. */
static void each_child(void (*visit)(void *context, pid_t), void *context)
{
    char path[64], buffer[4096];
    (void)snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return; /* a kernel without CONFIG_PROC_CHILDREN: groups are killed all the same */
    pid_t process = 0;
    for (ssize_t length; (length = read(file, buffer, sizeof buffer)) > 0;) {
        for (ssize_t i = 0; i < length; i++) {
            if (buffer[i] >= '0' && buffer[i] <= '9') {
                process = process * 10 + (buffer[i] - '0'); /* the kernel's own numbers: they fit */
            } else {
                if (process > 0)
                    visit(context, process);
                process = 0;
            }
        }
    }
    if (process > 0)
        visit(context, process);
    (void)close(file);
}

static void keep(void *context, pid_t process)
{
    struct children *children = context;
    if (children->count < CHILDREN_KEPT)
        children->kept[children->count++] = process;
}

bool children_adopt(struct children *children)
{
    children->count = 0;
    each_child(keep, children);
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0;
}

struct sweep {
    const struct children *children;
    bool (*is_known)(const void *context, pid_t);
    const void *context;
    size_t killed, escaped;
};

/* Dead already, and only waiting to be reaped. */
static bool is_zombie(pid_t process)
{
    siginfo_t dead = {0};
    return waitid(P_PID, (id_t)process, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 && dead.si_pid == process;
}

static void sweep_one(void *context, pid_t process)
{
    struct sweep *sweep = context;
    for (size_t i = 0; i < sweep->children->count; i++) {
        if (sweep->children->kept[i] == process)
            return;
    }
    if (sweep->is_known(sweep->context, process) || is_zombie(process))
        return;
    /* A group that it leads is its own; another could be ours, or one that was
     * killed a moment ago and is not quite dead. */
    bool leads = getpgid(process) == process;
    (void)kill(leads ? -process : process, SIGKILL);
    sweep->killed++;
    sweep->escaped += leads || getsid(process) != getsid(0);
}

size_t children_sweep(const struct children *children, bool (*is_known)(const void *context, pid_t),
                      const void *context, size_t *escaped)
{
    struct sweep sweep = {.children = children, .is_known = is_known, .context = context};
    each_child(sweep_one, &sweep);
    *escaped = sweep.escaped;
    return sweep.killed;
}
