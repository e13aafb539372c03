/*
 * The sandbox of a worker: Landlock for what it may open, seccomp for what it
 * may ask the kernel at all. Knows nothing of why a path is allowed.
 */
#include "config.h"

#include "process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LINUX_LANDLOCK_H
#include <linux/landlock.h>
#endif

/* ---- Landlock: files */

#ifdef HAVE_LINUX_LANDLOCK_H

/* Rights that the header of Linux 6.1 does not name yet. */
#define ACCESS_REFER    (UINT64_C(1) << 13) /* version 2 */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14) /* version 3 */

enum { LANDLOCK_FIRST_RIGHTS = 13 }; /* version 1: the bits below this one */

static const uint64_t readable = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
static const uint64_t writable = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                 LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                 LANDLOCK_ACCESS_FS_REMOVE_FILE | ACCESS_REFER | ACCESS_TRUNCATE;
static const uint64_t for_files =
    LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE;

static uint64_t rights_of_version(long version)
{
    uint64_t rights = (UINT64_C(1) << LANDLOCK_FIRST_RIGHTS) - 1;
    if (version >= 2)
        rights |= ACCESS_REFER;
    if (version >= 3)
        rights |= ACCESS_TRUNCATE;
    return rights;
}

static bool allow_path(int rules, const char *path, uint64_t rights, bool may_miss, struct error *error)
{
    struct stat status;
    struct landlock_path_beneath_attr beneath = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (beneath.parent_fd < 0)
        return (may_miss && errno == ENOENT) ||
               error_set_errno(error, "cannot open %.200s for the sandbox", path);
    bool done = fstat(beneath.parent_fd, &status) == 0;
    beneath.allowed_access = done && S_ISDIR(status.st_mode) ? rights : rights & for_files;
    done = done && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
    if (!done)
        error_set_errno(error, "cannot allow %.200s in the sandbox", path);
    (void)close(beneath.parent_fd);
    return done;
}

/* For the resolver (resolv.conf may be a link into /run) and for TLS. The
 * modules that nsswitch.conf may name are not here: without them it goes on to
 * what the C library has itself, files and DNS. */
static const char *const network_files[] = {"/etc/resolv.conf",
                                            "/etc/hosts",
                                            "/etc/host.conf",
                                            "/etc/nsswitch.conf",
                                            "/etc/gai.conf",
                                            "/etc/services",
                                            "/run/systemd/resolve",
                                            "/run/resolvconf",
                                            "/run/NetworkManager",
                                            "/etc/ssl/certs",
                                            "/etc/ssl/cert.pem",
                                            "/etc/ssl/openssl.cnf",
                                            "/etc/pki",
                                            "/usr/lib/ssl",
                                            "/usr/share/ca-certificates",
                                            "/usr/local/share/ca-certificates",
                                            NULL};

static bool allow_paths(int rules, const struct sandbox_paths *paths, uint64_t known, struct error *error)
{
    for (const char *const *path = paths->readable; path && *path; path++) {
        if (!allow_path(rules, *path, readable & known, true, error))
            return false;
    }
    for (const char *const *path = network_files; paths->network && *path; path++) {
        if (!allow_path(rules, *path, readable & known, true, error))
            return false;
    }
    for (const char *const *path = paths->writable; path && *path; path++) {
        if (!allow_path(rules, *path, writable & known, false, error))
            return false;
    }
    return true;
}

static bool restrict_files(const struct sandbox_paths *paths, struct error *error)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0) /* not built in, or not enabled: seccomp alone then */
        return errno == ENOSYS || errno == EOPNOTSUPP || error_set_errno(error, "cannot ask for Landlock");
    const struct landlock_ruleset_attr all = {.handled_access_fs = rights_of_version(version)};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (rules < 0)
        return error_set_errno(error, "cannot make a Landlock ruleset");
    bool done = allow_paths(rules, paths, all.handled_access_fs, error) &&
                (syscall(SYS_landlock_restrict_self, rules, 0) == 0 ||
                 error_set_errno(error, "cannot enter the Landlock ruleset"));
    (void)close(rules);
    return done;
}

#else

static bool restrict_files(const struct sandbox_paths *paths, struct error *error)
{
    (void)paths;
    (void)error;
    return true;
}

#endif

/* ---- seccomp: calls */

/* What a worker with threads needs, and what glibc needs under it. A name that
 * an architecture has not is passed over by libseccomp. */
static const int allowed_calls[] = {
    /* memory */
    SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(membarrier), SCMP_SYS(mincore), SCMP_SYS(mlock),
    SCMP_SYS(mlock2), SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(msync),
    SCMP_SYS(munlock), SCMP_SYS(munmap),
    /* threads, time, signals to itself */
    SCMP_SYS(arch_prctl), SCMP_SYS(clock_getres), SCMP_SYS(clock_getres_time64), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_gettime64), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_nanosleep_time64), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(futex), SCMP_SYS(futex_time64), SCMP_SYS(get_robust_list),
    SCMP_SYS(getcpu), SCMP_SYS(getitimer), SCMP_SYS(gettimeofday), SCMP_SYS(nanosleep), SCMP_SYS(pause),
    SCMP_SYS(restart_syscall), SCMP_SYS(rseq), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(rt_sigtimedwait_time64), SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getattr), SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_yield),
    SCMP_SYS(set_robust_list), SCMP_SYS(set_thread_area), SCMP_SYS(set_tid_address), SCMP_SYS(setitimer),
    SCMP_SYS(sigaltstack), SCMP_SYS(sigreturn), SCMP_SYS(time), SCMP_SYS(timer_create),
    SCMP_SYS(timer_delete), SCMP_SYS(timer_settime), SCMP_SYS(timer_settime64), SCMP_SYS(times),
    /* about itself and the machine */
    SCMP_SYS(getegid), SCMP_SYS(getegid32), SCMP_SYS(geteuid), SCMP_SYS(geteuid32), SCMP_SYS(getgid),
    SCMP_SYS(getgid32), SCMP_SYS(getgroups), SCMP_SYS(getgroups32), SCMP_SYS(getpgid), SCMP_SYS(getpgrp),
    SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getrandom), SCMP_SYS(getresgid), SCMP_SYS(getresgid32),
    SCMP_SYS(getresuid), SCMP_SYS(getresuid32), SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(getsid),
    SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(getuid32), SCMP_SYS(sysinfo), SCMP_SYS(ugetrlimit),
    SCMP_SYS(uname),
    /* waiting and descriptors */
    SCMP_SYS(_newselect), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(dup2),
    SCMP_SYS(dup3), SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_wait), SCMP_SYS(eventfd),
    SCMP_SYS(eventfd2), SCMP_SYS(fcntl), SCMP_SYS(fcntl64), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(poll),
    SCMP_SYS(ppoll), SCMP_SYS(ppoll_time64), SCMP_SYS(pselect6), SCMP_SYS(select), SCMP_SYS(signalfd),
    SCMP_SYS(signalfd4), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_gettime), SCMP_SYS(timerfd_settime),
    /* reading, writing, files; which ones is for Landlock and the file modes to say */
    SCMP_SYS(_llseek), SCMP_SYS(access), SCMP_SYS(copy_file_range), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(fadvise64), SCMP_SYS(fallocate), SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(fdatasync),
    SCMP_SYS(flock), SCMP_SYS(fstat), SCMP_SYS(fstat64), SCMP_SYS(fstatat64), SCMP_SYS(fstatfs),
    SCMP_SYS(fstatfs64), SCMP_SYS(fsync), SCMP_SYS(ftruncate), SCMP_SYS(ftruncate64), SCMP_SYS(getcwd),
    SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(lseek),
    SCMP_SYS(lstat), SCMP_SYS(lstat64), SCMP_SYS(newfstatat), SCMP_SYS(open), SCMP_SYS(openat),
    SCMP_SYS(openat2), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(read), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(readv), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(sendfile),
    SCMP_SYS(sendfile64), SCMP_SYS(splice), SCMP_SYS(stat), SCMP_SYS(stat64), SCMP_SYS(statfs),
    SCMP_SYS(statfs64), SCMP_SYS(statx), SCMP_SYS(umask), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
    SCMP_SYS(write), SCMP_SYS(writev),
    /* sockets; socket() itself is below */
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(getpeername),
    SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(listen), SCMP_SYS(recv), SCMP_SYS(recvfrom),
    SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg), SCMP_SYS(send), SCMP_SYS(sendmmsg), SCMP_SYS(sendmsg),
    SCMP_SYS(sendto), SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(socketpair)};

/* Calls that only a worker in other hands makes. */
static const int deadly_calls[] = {SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace),
                                   SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev)};

/* Allowed for some values of one argument. */
struct call {
    int number;
    struct scmp_arg_cmp argument;
};

static bool add(scmp_filter_ctx filter, uint32_t action, int number)
{
    return seccomp_rule_add(filter, action, number, 0) == 0;
}

static bool add_if(scmp_filter_ctx filter, uint32_t action, const struct call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (seccomp_rule_add_array(filter, action, calls[i].number, 1, &calls[i].argument) != 0)
            return false;
    }
    return true;
}

static struct scmp_arg_cmp has_bits(unsigned argument, uint64_t mask, uint64_t value)
{
    return (struct scmp_arg_cmp){
        .arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

/* All arguments that are looked at here are ints: the kernel ignores the upper
 * half of the register, and a caller may leave anything there. */
static struct scmp_arg_cmp is(unsigned argument, uint64_t value)
{
    return has_bits(argument, UINT32_MAX, value);
}

#if defined(__s390__) || defined(__s390x__)
enum { CLONE_FLAGS = 1 }; /* clone(2): there the stack comes first */
#else
enum { CLONE_FLAGS = 0 };
#endif

#ifdef SANITIZERS

/* The sanitizers' runtime asks for more than we do, and not for the same with
 * every compiler: so here only what must not be is refused. */
static const uint32_t standard = SCMP_ACT_ALLOW;

static bool add_rules(scmp_filter_ctx filter, bool network)
{
    const uint64_t self = (uint64_t)getpid();
    const struct call refused[] = {
        {SCMP_SYS(clone), has_bits(CLONE_FLAGS, CLONE_THREAD, 0)},
        {SCMP_SYS(kill), {.arg = 0, .op = SCMP_CMP_NE, .datum_a = self}},
        {SCMP_SYS(tgkill), {.arg = 0, .op = SCMP_CMP_NE, .datum_a = self}},
    };
    (void)allowed_calls;
    (void)is;
    (void)network;
    return add_if(filter, SCMP_ACT_ERRNO(EPERM), refused, sizeof refused / sizeof *refused) &&
           add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fork)) &&
           add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(vfork)) &&
           add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tkill));
}

#else

static const uint32_t standard = SCMP_ACT_ERRNO(EPERM);

/* TCP and UDP, and nothing else that IPv4 and IPv6 have. */
static bool add_network(scmp_filter_ctx filter)
{
    enum { TYPE_BITS = 0xf }; /* beside them are SOCK_CLOEXEC and SOCK_NONBLOCK */
    static const unsigned kinds[][3] = {
        {AF_INET, SOCK_STREAM, 0},  {AF_INET, SOCK_STREAM, IPPROTO_TCP},
        {AF_INET, SOCK_DGRAM, 0},   {AF_INET, SOCK_DGRAM, IPPROTO_UDP},
        {AF_INET6, SOCK_STREAM, 0}, {AF_INET6, SOCK_STREAM, IPPROTO_TCP},
        {AF_INET6, SOCK_DGRAM, 0},  {AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const struct scmp_arg_cmp arguments[] = {is(0, kinds[i][0]), has_bits(1, TYPE_BITS, kinds[i][1]),
                                                 is(2, kinds[i][2])};
        if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, arguments) != 0)
            return false;
    }
    return true;
}

static bool add_rules(scmp_filter_ctx filter, bool network)
{
    const uint64_t self = (uint64_t)getpid();
    const struct call some[] = {
        {SCMP_SYS(clone), has_bits(CLONE_FLAGS, CLONE_THREAD, CLONE_THREAD)},
        {SCMP_SYS(kill), is(0, self)},
        {SCMP_SYS(tgkill), is(0, self)}, /* abort(3), pthread_kill(3) */
        {SCMP_SYS(rt_sigqueueinfo), is(0, self)},
        {SCMP_SYS(prlimit64), is(0, 0)},
        {SCMP_SYS(socket), is(0, AF_UNIX)}, /* syslog(3) */
        {SCMP_SYS(ioctl), is(1, FIONREAD)},
        {SCMP_SYS(ioctl), is(1, FIONBIO)},
        {SCMP_SYS(ioctl), is(1, TCGETS)}, /* isatty(3) */
        {SCMP_SYS(prctl), is(0, PR_SET_NAME)},
        {SCMP_SYS(prctl), is(0, PR_GET_NAME)},
        {SCMP_SYS(prctl), is(0, PR_SET_PDEATHSIG)},
        {SCMP_SYS(prctl), is(0, PR_GET_PDEATHSIG)},
        {SCMP_SYS(prctl), is(0, PR_GET_DUMPABLE)},
        {SCMP_SYS(prctl), is(0, PR_GET_NO_NEW_PRIVS)},
        {SCMP_SYS(prctl), is(0, 0x53564d41)}, /* PR_SET_VMA: malloc names its memory */
    };
    for (size_t i = 0; i < sizeof allowed_calls / sizeof *allowed_calls; i++) {
        if (!add(filter, SCMP_ACT_ALLOW, allowed_calls[i]))
            return false;
    }
    return add_if(filter, SCMP_ACT_ALLOW, some, sizeof some / sizeof *some) &&
           (!network || add_network(filter));
}

#endif

static bool fill_filter(scmp_filter_ctx filter, bool network)
{
    for (size_t i = 0; i < sizeof deadly_calls / sizeof *deadly_calls; i++) {
        if (!add(filter, SCMP_ACT_KILL_PROCESS, deadly_calls[i]))
            return false;
    }
    /* The flags of clone3(2) are in memory, where no filter sees them; told that
     * it is not there, glibc takes clone(2). */
    return add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3)) && add_rules(filter, network);
}

static bool restrict_calls(bool network, struct error *error)
{
    scmp_filter_ctx filter = seccomp_init(standard);
    if (!filter)
        return error_set(error, "cannot make a seccomp filter");
    int result = -EINVAL;
    bool done = fill_filter(filter, network);
    if (done) {
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree; older ones keep the list */
        result = seccomp_load(filter);
    }
    seccomp_release(filter);
    if (result == 0)
        return true;
    errno = -result;
    return error_set_errno(error, done ? "cannot load the seccomp filter" : "cannot fill the seccomp filter");
}

/* ---- both */

static void *end_thread(void *result)
{
    pthread_exit(result);
}

/* The C library loads libgcc_s.so.1 when a thread first ends by pthread_exit(3), as those do
 * that ask name servers (getaddrinfo_a(3)). In here it could not, which ends the process. */
static bool load_library_of_threads(struct error *error)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, end_thread, NULL);
    if (errno != 0)
        return error_set_errno(error, "cannot make a thread");
    errno = pthread_join(thread, NULL);
    return errno == 0 || error_set_errno(error, "cannot wait for a thread");
}

bool sandbox_enter(const struct sandbox_paths *paths, struct error *error)
{
    if (paths->network && !load_library_of_threads(error))
        return false;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_set_errno(error, "cannot set no_new_privs");
#ifndef SANITIZERS
    /* Programs may run as the worker's user: none of them shall read its memory. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return error_set_errno(error, "cannot hide the worker's memory");
#endif
    return restrict_files(paths, error) && restrict_calls(paths->network, error);
}
