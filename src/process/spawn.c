/*
 * Starting one program. Owns the few dozen system calls between clone(2) and
 * execve(2), and their order; knows nothing of who asked or who waits.
 *
 * The child shares our memory until execve(2), while we go on. So it makes
 * system calls and nothing else, writes nothing but its own `struct spawn`,
 * and everything it reads stays as it is until it has left.
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

/* The kernel's struct rlimit64. */
struct kernel_limit {
    uint64_t current, most;
};

/* What the child needs, and what it leaves for us. */
struct spawn {
    const struct program *program;
    const char *directory;
    char **argv, **environment;
    int descriptors[3];
    uint64_t signals; /* bit N: signal N is not at its default */
    pid_t parent, process;
    volatile int failed; /* errno of the step that failed */
    const char *volatile step;
    _Atomic pid_t alive; /* 0 once the child has left our memory */
    char path[PATH_MAX], folder[PATH_MAX];
    char stack[STACK_SIZE] __attribute__((aligned(16)));
};

/* ---- in the child */

#if defined(__has_attribute) && __has_attribute(no_sanitize)
#define IN_CHILD __attribute__((no_sanitize("address", "undefined"))) static
#else
#define IN_CHILD static
#endif

/* A system call of at most four arguments (a fifth is 0) that touches nothing but registers, errno included,
 * which the child shares with us: negative results are error numbers. Where we do not know how, the child
 * does not run beside us (spawn_begin() waits). */
#if defined(__x86_64__) && defined(__LP64__)
#define RUNS_BESIDE_US true
IN_CHILD long call(long number, long a, long b, long c, long d)
{
    register long fourth __asm__("r10") = d, fifth __asm__("r8") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
#define RUNS_BESIDE_US true
IN_CHILD long call(long number, long a, long b, long c, long d)
{
    register long result __asm__("x0") = a;
    register long second __asm__("x1") = b, third __asm__("x2") = c, fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = 0, which __asm__("x8") = number;
    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(which)
                     : "memory");
    return result;
}
#else
#define RUNS_BESIDE_US false
IN_CHILD long call(long number, long a, long b, long c, long d)
{
    long result = syscall(number, a, b, c, d, 0L);
    return result < 0 ? -errno : result;
}
#endif

#define POINTER(at) ((long)(intptr_t)(at))

IN_CHILD void reset_signals(const struct spawn *spawn)
{
    const struct kernel_action standard = {{0}};
    for (int i = 1; i <= SIGNALS; i++) {
        if (spawn->signals & (UINT64_C(1) << (i - 1)))
            (void)call(SYS_rt_sigaction, i, POINTER(&standard), 0, SIGNAL_SET_SIZE);
    }
}

/* Descriptors 0 to 2, whatever numbers the three have now, and no others. */
IN_CHILD long set_descriptors(struct spawn *spawn)
{
    long result = 0;
    for (int i = 0; i < 3 && result >= 0; i++) {
        if (spawn->descriptors[i] < 3)
            result = call(SYS_fcntl, spawn->descriptors[i], F_DUPFD_CLOEXEC, 3, 0);
        if (spawn->descriptors[i] < 3 && result >= 0)
            spawn->descriptors[i] = (int)result;
    }
    for (int i = 0; i < 3 && result >= 0; i++)
        result = call(SYS_dup3, spawn->descriptors[i], i, 0, 0);
    return result < 0 ? result : call(SYS_close_range, 3, UINT32_MAX, 0, 0);
}

/* Never above a hard limit that was there before: only root could. */
IN_CHILD long set_limit(int resource, uint64_t value, uint64_t grace)
{
    struct kernel_limit now = {0}, limit = {value, value + grace};
    if (value == 0)
        return 0;
    long result = call(SYS_prlimit64, 0, resource, 0, POINTER(&now));
    if (result < 0)
        return result;
    limit.most = limit.most < now.most ? limit.most : now.most;
    limit.current = limit.current < limit.most ? limit.current : limit.most;
    return call(SYS_prlimit64, 0, resource, POINTER(&limit), 0);
}

IN_CHILD long set_limits(const struct program *program)
{
    long result = set_limit(RLIMIT_CPU, program->cpu, 1); /* SIGXCPU, and a second later SIGKILL */
    result = result < 0 ? result : set_limit(RLIMIT_AS, program->memory, 0);
    result = result < 0 ? result : set_limit(RLIMIT_NOFILE, program->files, 0);
    result = result < 0 ? result : set_limit(RLIMIT_NPROC, program->processes, 0);
    return result < 0 ? result : set_limit(RLIMIT_FSIZE, program->file_size, 0);
}

IN_CHILD long set_user(const struct program *program)
{
    unsigned user[3] = {0}, group[3] = {0};
    long uid = (long)program->uid, gid = (long)program->gid, result;
    if (!program->changes_user)
        return 0;
    if ((result = call(CALL_SETGROUPS, (long)program->group_count, POINTER(program->groups), 0, 0)) < 0 ||
        (result = call(CALL_SETRESGID, gid, gid, gid, 0)) < 0 ||
        (result = call(CALL_SETRESUID, uid, uid, uid, 0)) < 0 ||
        (result = call(CALL_GETRESUID, POINTER(&user[0]), POINTER(&user[1]), POINTER(&user[2]), 0)) < 0 ||
        (result = call(CALL_GETRESGID, POINTER(&group[0]), POINTER(&group[1]), POINTER(&group[2]), 0)) < 0)
        return result;
    for (int i = 0; i < 3; i++) {
        if (user[i] != program->uid || group[i] != program->gid)
            return -EPERM;
    }
    /* It must not come back. */
    return program->uid == 0 || call(CALL_SETRESUID, -1, 0, -1, 0) < 0 ? 0 : -EPERM;
}

/* After the change of user, which would undo it; not for good if we died before it. */
IN_CHILD long die_with_parent(const struct spawn *spawn)
{
    long result = call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    if (result < 0)
        return result;
    return call(SYS_getppid, 0, 0, 0, 0) == spawn->parent ? 0 : -ESRCH;
}

IN_CHILD long gain_nothing(const struct program *program)
{
    return program->allow_setuid ? 0 : call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0);
}

IN_CHILD long unblock_signals(void)
{
    const uint64_t none = 0;
    return call(SYS_rt_sigprocmask, SIG_SETMASK, POINTER(&none), 0, SIGNAL_SET_SIZE);
}

IN_CHILD int failed(struct spawn *spawn, long result, const char *step)
{
    spawn->step = step;
    spawn->failed = (int)-result;
    return 127;
}

IN_CHILD int become_program(void *context)
{
    struct spawn *spawn = context;
    const struct program *program = spawn->program;
    long result = call(SYS_setpgid, 0, 0, 0, 0);
    if (result < 0)
        return failed(spawn, result, "cannot make a process group for");
    reset_signals(spawn);
    if ((result = set_descriptors(spawn)) < 0)
        return failed(spawn, result, "cannot set the descriptors of");
    if ((result = set_limits(program)) < 0)
        return failed(spawn, result, "cannot set the limits of");
    (void)call(SYS_umask, 022, 0, 0, 0);
    if ((result = set_user(program)) < 0)
        return failed(spawn, result, "cannot change the user of");
    /* As that user: root's rights are not the program's. */
    if ((result = call(SYS_chdir, POINTER(spawn->directory), 0, 0, 0)) < 0)
        return failed(spawn, result, "cannot enter the folder of");
    if ((result = die_with_parent(spawn)) < 0 || (result = gain_nothing(program)) < 0 ||
        (result = unblock_signals()) < 0)
        return failed(spawn, result, "cannot prepare");
    result = call(SYS_execve, POINTER(spawn->path), POINTER(spawn->argv), POINTER(spawn->environment), 0);
    return failed(spawn, result, "cannot execute");
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
static void wait_for_child(struct spawn *spawn)
{
    const struct timespec nudge = {.tv_nsec = NUDGE_MS * 1000000L};
    pid_t process = spawn->process;
    for (int count = 0; atomic_load_explicit(&spawn->alive, memory_order_acquire) != 0; count++) {
        if (count > 0)
            (void)kill(process, count < NUDGES ? SIGCONT : SIGKILL);
        (void)syscall(SYS_futex, &spawn->alive, FUTEX_WAIT, process, &nudge, NULL, 0);
    }
}

/* No handler of ours may run in the child; so all signals wait until it has
 * reset them. Ours come back at once: they have no handlers that could be
 * disturbed by what the child does, which is in `spawn` alone. */
static bool start_child(struct spawn *spawn, struct error *error)
{
    const uint64_t all = ~UINT64_C(0);
    const int flags = CLONE_VM | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
    uint64_t before;
    if (syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, SIGNAL_SET_SIZE) != 0)
        return error_set_errno(error, "cannot block signals");
    spawn->process = clone(become_program, spawn->stack + sizeof spawn->stack, flags, spawn, &spawn->alive,
                           NULL, &spawn->alive);
    if (spawn->process < 0)
        error_set_errno(error, "cannot make a process for %.160s", spawn->path);
    else if (!RUNS_BESIDE_US)
        wait_for_child(spawn);
    /* The child does so, too: whoever comes first, its group can be killed. */
    if (spawn->process > 0)
        (void)setpgid(spawn->process, spawn->process);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, SIGNAL_SET_SIZE);
    return spawn->process > 0;
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

struct spawn *spawn_begin(const struct program *program, const struct launch *launch, struct error *error)
{
    size_t used;
    struct spawn *spawn = malloc(sizeof *spawn);
    if (!spawn) {
        error_set_errno(error, "no memory to start a program");
        return NULL;
    }
    memset(spawn, 0, offsetof(struct spawn, path));
    if (!find(program, launch, spawn->path, &used, error)) {
        spawn_free(spawn);
        return NULL;
    }
    folder_of(spawn->path, spawn->folder);
    spawn->program = program;
    spawn->directory = program->directory ? program->directory : spawn->folder;
    spawn->argv = build_arguments(program, spawn->path);
    spawn->environment = environment_build(program, launch, spawn->path, used);
    spawn->descriptors[0] = launch->input;
    spawn->descriptors[1] = launch->output;
    spawn->descriptors[2] = launch->errors;
    spawn->signals = changed_signals();
    spawn->parent = getpid();
    if (!spawn->argv || !spawn->environment)
        error_set_errno(error, "no memory to start %.160s", spawn->path);
    if (error->set || !start_child(spawn, error)) {
        spawn_free(spawn);
        return NULL;
    }
    return spawn;
}

pid_t spawn_process(const struct spawn *spawn)
{
    return spawn->process;
}

bool spawn_succeeded(const struct spawn *spawn, struct error *error)
{
    if (spawn->failed == 0)
        return true;
    errno = spawn->failed;
    error_set_errno(error, "%s %.160s", spawn->step, spawn->path);
    if (error->number == ENOENT) /* the file was found: its interpreter or folder is missing */
        error->number = ENOEXEC;
    return false;
}

void spawn_free(struct spawn *spawn)
{
    if (!spawn)
        return;
    if (spawn->process > 0)
        wait_for_child(spawn);
    free(spawn->environment);
    free(spawn->argv);
    free(spawn);
}

pid_t spawn_program(const struct program *program, const struct launch *launch, struct error *error)
{
    struct spawn *spawn = spawn_begin(program, launch, error);
    if (!spawn)
        return -1;
    wait_for_child(spawn);
    pid_t process = spawn->process;
    if (!spawn_succeeded(spawn, error)) {
        (void)waitpid(process, NULL, 0);
        process = -1;
    }
    spawn_free(spawn);
    return process;
}
