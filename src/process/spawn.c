/*
 * Starting one program. Owns the few dozen system calls between clone(2) and
 * execve(2), and their order; knows nothing of who asked or who waits.
 *
 * The child shares our memory until execve(2), so it makes system calls and
 * nothing else, by syscall(2) where glibc's own function would tell every
 * thread (set*id) or change what it keeps in our memory (signals).
 */
#include "config.h"

#include "process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process/environment.h"

/* Where ids once had 16 bits, the calls with 32 have names of their own. */
#ifdef SYS_setresuid32
#define CALL_SETGROUPS SYS_setgroups32
#define CALL_SETRESGID SYS_setresgid32
#define CALL_SETRESUID SYS_setresuid32
#define CALL_GETRESGID SYS_getresgid32
#define CALL_GETRESUID SYS_getresuid32
#else
#define CALL_SETGROUPS SYS_setgroups
#define CALL_SETRESGID SYS_setresgid
#define CALL_SETRESUID SYS_setresuid
#define CALL_GETRESGID SYS_getresgid
#define CALL_GETRESUID SYS_getresuid
#endif

enum {
    STACK_SIZE = 32 * 1024,
    SIGNALS = 64, /* of the kernel; its set is 8 bytes */
    SIGNAL_SET_SIZE = SIGNALS / 8,
    NUDGE_MS = 10, /* between two looks at a child that has not got to execve(2) */
    NUDGES = 1000, /* that many, and it is killed */
};

/* The kernel's struct sigaction begins with the handler; zero is the default. */
struct kernel_action {
    unsigned long words[8];
};

/* What the child needs, and what it leaves for us. */
struct start {
    const struct program *program;
    const char *path, *folder;
    char *const *argv, *const *environment;
    int descriptors[3];
    uint64_t signals; /* bit N: signal N is not at its default */
    pid_t parent;
    volatile int failed; /* errno of the step that failed */
    const char *volatile step;
};

/* ---- in the child */

#if defined(__has_attribute) && __has_attribute(no_sanitize)
#define IN_CHILD __attribute__((no_sanitize("address", "undefined"))) static
#else
#define IN_CHILD static
#endif

IN_CHILD void reset_signals(const struct start *start)
{
    const struct kernel_action standard = {{0}};
    for (int i = 1; i <= SIGNALS; i++) {
        if (start->signals & (UINT64_C(1) << (i - 1)))
            (void)syscall(SYS_rt_sigaction, i, &standard, NULL, SIGNAL_SET_SIZE);
    }
}

/* Descriptors 0 to 2, whatever numbers the three have now, and no others. */
IN_CHILD bool set_descriptors(struct start *start)
{
    for (int i = 0; i < 3; i++) {
        if (start->descriptors[i] < 3)
            start->descriptors[i] = fcntl(start->descriptors[i], F_DUPFD_CLOEXEC, 3);
        if (start->descriptors[i] < 0)
            return false;
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(start->descriptors[i], i) < 0)
            return false;
    }
    return close_range(3, ~0u, 0) == 0;
}

/* Never above a hard limit that was there before: only root could. */
IN_CHILD bool set_limit(int resource, uint64_t value, uint64_t grace)
{
    struct limit {
        uint64_t soft, hard; /* as prlimit64 has it everywhere */
    } now, limit;
    if (value == 0)
        return true;
    if (syscall(SYS_prlimit64, 0, resource, NULL, &now) != 0)
        return false;
    limit.hard = value < UINT64_MAX - grace && value + grace < now.hard ? value + grace : now.hard;
    limit.soft = value < limit.hard ? value : limit.hard;
    return syscall(SYS_prlimit64, 0, resource, &limit, NULL) == 0;
}

IN_CHILD bool set_limits(const struct program *program)
{
    return set_limit(RLIMIT_CPU, program->cpu, 1) && /* SIGXCPU, and a second later SIGKILL */
           set_limit(RLIMIT_AS, program->memory, 0) && set_limit(RLIMIT_NOFILE, program->files, 0) &&
           set_limit(RLIMIT_NPROC, program->processes, 0) && set_limit(RLIMIT_FSIZE, program->file_size, 0);
}

IN_CHILD bool set_user(const struct program *program)
{
    unsigned user[3], group[3];
    if (!program->changes_user)
        return true;
    if (syscall(CALL_SETGROUPS, program->group_count, program->groups) != 0 ||
        syscall(CALL_SETRESGID, program->gid, program->gid, program->gid) != 0 ||
        syscall(CALL_SETRESUID, program->uid, program->uid, program->uid) != 0)
        return false;
    if (syscall(CALL_GETRESUID, &user[0], &user[1], &user[2]) != 0 ||
        syscall(CALL_GETRESGID, &group[0], &group[1], &group[2]) != 0)
        return false;
    errno = EPERM;
    for (int i = 0; i < 3; i++) {
        if (user[i] != program->uid || group[i] != program->gid)
            return false;
    }
    /* It must not come back. */
    return program->uid == 0 || syscall(CALL_SETRESUID, -1, 0, -1) != 0;
}

/* After the change of user, which would undo it; not for good if we died before it. */
IN_CHILD bool die_with_parent(const struct start *start)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return false;
    errno = ESRCH;
    return getppid() == start->parent;
}

IN_CHILD bool gain_nothing(const struct program *program)
{
    return program->allow_setuid || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

IN_CHILD bool unblock_signals(void)
{
    const uint64_t none = 0;
    return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, SIGNAL_SET_SIZE) == 0;
}

IN_CHILD int failed(struct start *start, const char *step)
{
    start->failed = errno ? errno : EINVAL;
    start->step = step;
    return 127;
}

IN_CHILD int become_program(void *context)
{
    struct start *start = context;
    const struct program *program = start->program;
    if (setpgid(0, 0) != 0)
        return failed(start, "cannot make a process group for");
    reset_signals(start);
    if (!set_descriptors(start))
        return failed(start, "cannot set the descriptors of");
    if (!set_limits(program))
        return failed(start, "cannot set the limits of");
    (void)umask(022);
    if (!set_user(program))
        return failed(start, "cannot change the user of");
    if (chdir(start->folder) != 0) /* as that user: root's rights are not the program's */
        return failed(start, "cannot enter the folder of");
    if (!die_with_parent(start) || !gain_nothing(program) || !unblock_signals())
        return failed(start, "cannot prepare");
    (void)execve(start->path, start->argv, start->environment);
    return failed(start, "cannot execute");
}

/* ---- in the caller */

/* Signals that are not at their default. Asking for all of them takes a tenth
 * of the time of a start, so it is done once. Bit 63 (signal 64) marks that. */
static uint64_t changed_signals(void)
{
    static _Atomic uint64_t known;
    uint64_t signals = atomic_load_explicit(&known, memory_order_relaxed);
    if (signals != 0)
        return signals;
    signals = UINT64_C(1) << (SIGNALS - 1);
    for (int i = 1; i < SIGNALS; i++) {
        struct kernel_action action = {{0}};
        if (syscall(SYS_rt_sigaction, i, NULL, &action, SIGNAL_SET_SIZE) == 0 && action.words[0] != 0)
            signals |= UINT64_C(1) << (i - 1);
    }
    atomic_store_explicit(&known, signals, memory_order_relaxed);
    return signals;
}

/* Waits until the child has left our memory, by execve(2) or by its end; the
 * kernel then clears `alive` and wakes us. vfork(2) would wait the same way but
 * without a limit: from the change of user on, that user may send the child a
 * SIGSTOP (kill -STOP -1) and would hold us up with it for good. */
static void wait_for_child(pid_t child, const _Atomic pid_t *alive)
{
    const struct timespec nudge = {.tv_nsec = NUDGE_MS * 1000000L};
    for (int count = 0; atomic_load_explicit(alive, memory_order_acquire) != 0; count++) {
        if (count > 0)
            (void)kill(child, count < NUDGES ? SIGCONT : SIGKILL);
        (void)syscall(SYS_futex, alive, FUTEX_WAIT, child, &nudge, NULL, 0);
    }
}

static pid_t clone_child(struct start *start, struct error *error)
{
    char stack[STACK_SIZE] __attribute__((aligned(16)));
    _Atomic pid_t alive = 0;
    pid_t child =
        clone(become_program, stack + sizeof stack,
              CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD, start, &alive, NULL, &alive);
    if (child < 0) {
        error_set_errno(error, "cannot make a process for %.160s", start->path);
        return -1;
    }
    wait_for_child(child, &alive);
    if (start->failed == 0)
        return child;
    (void)waitpid(child, NULL, 0);
    errno = start->failed;
    error_set_errno(error, "%s %.160s", start->step, start->path);
    if (error->number == ENOENT) /* the file was found: its interpreter or folder is missing */
        error->number = ENOEXEC;
    return -1;
}

/* No handler of ours may run in the child, and none in us while the child uses
 * our memory; so all signals wait. */
static pid_t start_child(struct start *start, struct error *error)
{
    const uint64_t all = ~UINT64_C(0);
    uint64_t before;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_SET_SIZE) != 0) {
        error_set_errno(error, "cannot block signals");
        return -1;
    }
    pid_t child = clone_child(start, error);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_SET_SIZE);
    return child;
}

/* The program's arguments with the script's own path in front. */
static char **build_arguments(const struct program *program, char *path)
{
    size_t count = 0;
    while (program->argv[count])
        count++;
    char **argv = malloc((count + 1) * sizeof *argv);
    if (argv) {
        memcpy(argv, program->argv, (count + 1) * sizeof *argv);
        argv[0] = path;
    }
    return argv;
}

/* Finds what to run; its path in `path` (size PATH_MAX). */
static bool find(const struct program *program, const struct launch *launch, char *path, size_t *used,
                 struct error *error)
{
    if (program->root) {
        int file = program_open(program, launch->script, path, used, error);
        if (file >= 0)
            (void)close(file); /* program_open() tells why the path is enough */
        return file >= 0;
    }
    *used = 0;
    (void)snprintf(path, PATH_MAX, "%s", program->path);
    return program_recheck(program, error);
}

static void folder_of(const char *path, char *folder)
{
    size_t length = (size_t)(strrchr(path, '/') - path);
    memcpy(folder, path, length);
    folder[length] = '\0';
    if (length == 0)
        memcpy(folder, "/", 2);
}

pid_t spawn_program(const struct program *program, const struct launch *launch, struct error *error)
{
    char path[PATH_MAX], folder[PATH_MAX];
    size_t used;
    if (!find(program, launch, path, &used, error))
        return -1;
    folder_of(path, folder);

    pid_t child = -1;
    char **argv = build_arguments(program, path);
    char **environment = environment_build(program, launch, path, used);
    struct start start = {
        .program = program,
        .path = path,
        .folder = program->directory ? program->directory : folder,
        .argv = argv,
        .environment = environment,
        .descriptors = {launch->input, launch->output, launch->errors},
        .signals = changed_signals(),
        .parent = getpid(),
    };
    if (argv && environment)
        child = start_child(&start, error);
    else
        error_set_errno(error, "no memory to start %.160s", path);
    free(environment);
    free(argv);
    return child;
}
