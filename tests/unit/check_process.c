/*
 * Tests of process/: what a started program finds, what is never started, the
 * launch message under attack, a real parent with workers, and the sandbox.
 * Many of them need root to say anything and are cut short without it.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "process/environment.h"
#include "process/launcher.h"
#include "process/message.h"
#include "process/parent.h"
#include "process/privileges.h"
#include "process/program.h"
#include "process/sandbox.h"
#include "process/spawn.h"

/* Milliseconds for what has to come, also where 600 programs start on a busy machine. */
enum { PATIENCE = 40000 };

/* ---- a folder, scripts in it, and programs */

static char folder[PATH_MAX];
static struct arena *arena;
static struct findings findings;

static void make_folder(void)
{
    struct error error = {0};
    (void)snprintf(folder, sizeof folder, "/tmp/check_process.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chmod(folder, 0755), 0);
    arena = arena_new();
    findings = findings_new(arena, "policy.yaml");
    ck_assert(log_open("file:/dev/null", SEVERITY_DEBUG, &error));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void remove_folder(void)
{
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(arena);
}

static char *path_of(const char *name)
{
    return arena_printf(arena, "%s/%s", folder, name);
}

static char *write_file(const char *name, mode_t mode, const char *content)
{
    char *path = path_of(name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(write(file, content, strlen(content)), (ssize_t)strlen(content));
    ck_assert_int_eq(close(file), 0);
    ck_assert_int_eq(chmod(path, mode), 0);
    return path;
}

static char *write_script(const char *name, const char *body)
{
    return write_file(name, 0755, arena_printf(arena, "#!/bin/sh\n%s\n", body));
}

static void make_subfolder(const char *name, mode_t mode)
{
    ck_assert_int_eq(mkdir(path_of(name), 0700), 0);
    ck_assert_int_eq(chmod(path_of(name), mode), 0);
}

static const char *read_file(const char *path)
{
    static char content[8192];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? 0 : read(file, content, sizeof content - 1);
    if (file >= 0)
        (void)close(file);
    content[length > 0 ? length : 0] = '\0';
    return content;
}

static bool prepare(struct program *program)
{
    static const struct node nowhere = {.kind = NODE_MAP, .line = 1, .column = 1};
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = folder};
    return program_prepare(program, &decoder, &nowhere);
}

static struct program fixed_program(const char *path)
{
    struct program program = {.path = path};
    ck_assert(prepare(&program));
    return program;
}

static void set_arguments(struct program *program, struct text *items, size_t count)
{
    program->arguments = (struct texts){.items = items, .count = count};
    ck_assert(prepare(program));
}

/* ---- one start, by spawn_program() */

static char *no_environment[] = {NULL};

struct result {
    int number; /* errno of what kept it from starting, or 0 */
    int status;
    char output[16384];
    char message[256];
};

static size_t read_all(int descriptor, char *to, size_t size)
{
    size_t length = 0;
    for (ssize_t got; length < size - 1 && (got = read(descriptor, to + length, size - 1 - length)) > 0;)
        length += (size_t)got;
    to[length] = '\0';
    return length;
}

static struct result run_launch(const struct program *program, struct launch launch)
{
    static struct result result;
    struct error error = {0};
    int output[2], input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    result = (struct result){0};
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    launch.input = input;
    launch.output = launch.errors = output[1];
    if (!launch.environment)
        launch.environment = no_environment;
    pid_t child = spawn_program(program, &launch, &error);
    (void)close(output[1]);
    (void)close(input);
    if (child > 0) {
        read_all(output[0], result.output, sizeof result.output);
        ck_assert_int_eq(waitpid(child, &result.status, 0), child);
    }
    (void)close(output[0]);
    result.number = error.number;
    (void)snprintf(result.message, sizeof result.message, "%s", error.message);
    ck_assert_int_eq(child < 0, error.set);
    return result;
}

static struct result run_fixed(const struct program *program)
{
    return run_launch(program, (struct launch){0});
}

static struct result run_script(const char *body)
{
    struct program program = fixed_program(write_script("script", body));
    return run_fixed(&program);
}

START_TEST(spawn_runs_a_script)
{
    struct text arguments[] = {TEXT("one"), TEXT("two words")};
    struct program program = {.path = write_script("script", "echo \"$0|$1|$2\"; pwd; echo bad >&2; exit 3")};
    set_arguments(&program, arguments, 2);
    struct result result = run_fixed(&program);
    ck_assert_int_eq(result.number, 0);
    ck_assert_int_eq(WEXITSTATUS(result.status), 3);
    ck_assert_str_eq(result.output, arena_printf(arena, "%s|one|two words\n%s\nbad\n", program.path, folder));
}
END_TEST

START_TEST(spawn_leaves_three_descriptors)
{
    struct text arguments[] = {TEXT("/proc/self/fd")};
    struct program program = {.path = "/bin/ls"};
    set_arguments(&program, arguments, 1);
    int stray = open("/dev/null", O_RDONLY); /* not CLOEXEC, on purpose */
    ck_assert_int_ge(fcntl(stray, F_DUPFD, 100), 100);
    ck_assert_str_eq(run_fixed(&program).output, "0\n1\n2\n3\n"); /* 3 is the folder that ls reads */
}
END_TEST

/* Input, output and errors come as 2, 0 and 1. */
static int spawn_crossed(const struct program *program, int input, int output)
{
    struct error error = {0};
    struct launch launch = {.input = 2, .output = 0, .errors = 1, .environment = no_environment};
    int status, others = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (dup2(input, 2) < 0 || dup2(output, 0) < 0 || dup2(others, 1) < 0)
        return 1;
    pid_t child = spawn_program(program, &launch, &error);
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

START_TEST(spawn_takes_low_descriptors)
{
    struct program program = fixed_program(write_script("script", "cat; echo lost >&2"));
    int input[2], output[2], status;
    char text[64];
    ck_assert_int_eq(pipe2(input, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(output, O_CLOEXEC), 0);
    ck_assert_int_eq(write(input[1], "through", 7), 7);
    (void)close(input[1]);
    pid_t child = fork();
    if (child == 0)
        _exit(spawn_crossed(&program, input[0], output[1]));
    (void)close(output[1]);
    read_all(output[0], text, sizeof text);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_str_eq(text, "through");
}
END_TEST

static int by_name(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static char *sorted_lines(char *text)
{
    char *lines[256], *all = arena_printf(arena, "%s", "");
    size_t count = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) && *line && count < 256;)
        lines[count++] = line;
    qsort(lines, count, sizeof *lines, by_name);
    for (size_t i = 0; i < count; i++)
        all = arena_printf(arena, "%s%s\n", all, lines[i]);
    return all;
}

START_TEST(spawn_sets_the_environment_exactly)
{
    struct pair items[] = {{.name = TEXT("FROM_POLICY"), .value = TEXT("policy")},
                           {.name = TEXT("BOTH"), .value = TEXT("policy wins")}};
    char *environment[] = {"ONCE=1", "BOTH=launch",  "TWICE=first", "TWICE=second",
                           "EMPTY=", "TWICE_=other", NULL};
    struct program program = {.path = "/usr/bin/env", .environment = {items, 2}};
    ck_assert(prepare(&program));
    ck_assert_int_eq(setenv("OURS", "stays here", 1), 0);
    struct result result = run_launch(&program, (struct launch){.environment = environment});
    ck_assert_str_eq(sorted_lines(result.output),
                     "BOTH=policy wins\nEMPTY=\nFROM_POLICY=policy\nONCE=1\n"
                     "SCRIPT_FILENAME=/usr/bin/env\nTWICE=first\nTWICE_=other\n");
}
END_TEST

START_TEST(spawn_removes_every_duplicate)
{
    char *environment[LAUNCH_VARIABLES_LIMIT + 1];
    for (int i = 0; i < LAUNCH_VARIABLES_LIMIT; i++)
        environment[i] = arena_printf(arena, "NAME_%d=%d", i % 300, i);
    environment[LAUNCH_VARIABLES_LIMIT] = NULL;
    struct program program = fixed_program("/usr/bin/env");
    struct launch launch = {.environment = environment};
    char **built = environment_build(&program, &launch, "/usr/bin/env", 0);
    size_t count = 0;
    for (; built[count]; count++) {
        if (count > 0) /* the first of equal names stays */
            ck_assert_str_eq(built[count], environment[count - 1]);
    }
    ck_assert_uint_eq(count, 301);
    free(built);
}
END_TEST

START_TEST(spawn_makes_a_process_group)
{
    struct result result = run_script("cut -d' ' -f1,5 /proc/$$/stat");
    long process, group;
    ck_assert_int_eq(sscanf(result.output, "%ld %ld", &process, &group), 2);
    ck_assert_int_eq(process, group);
    ck_assert_int_ne(group, getpgrp());
}
END_TEST

START_TEST(spawn_resets_signals_and_umask)
{
    sigset_t set;
    (void)sigfillset(&set);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    for (int i = 1; i < 32; i++)
        (void)signal(i, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)umask(0);
    struct result result = run_script("cat /proc/self/status; umask");
    ck_assert_ptr_nonnull(strstr(result.output, "\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n"
                                                "SigCgt:\t0000000000000000\n"));
    ck_assert_ptr_nonnull(strstr(result.output, "\n0022\n"));
    /* Here nothing has changed. */
    ck_assert_ptr_eq(signal(SIGPIPE, SIG_IGN), SIG_IGN);
    ck_assert_int_eq(sigprocmask(SIG_BLOCK, NULL, &set), 0);
    ck_assert_int_eq(sigismember(&set, SIGUSR2), 1);
}
END_TEST

START_TEST(spawn_sets_limits)
{
    struct program program = {
        .path = write_script("script", "ulimit -t; ulimit -v; ulimit -n; ulimit -p; ulimit -f"),
        .cpu = 7,
        .memory = 1 << 30,
        .files = 33,
        .processes = 4321,
        .file_size = 1 << 20,
    };
    ck_assert(prepare(&program));
    ck_assert_str_eq(run_fixed(&program).output, "7\n1048576\n33\n4321\n2048\n");
}
END_TEST

START_TEST(spawn_keeps_hard_limits)
{
    struct rlimit limit = {.rlim_cur = 50, .rlim_max = 60};
    struct program program = {.path = write_script("script", "ulimit -Sn; ulimit -Hn"), .files = 1000};
    ck_assert(prepare(&program));
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_str_eq(run_fixed(&program).output, "60\n60\n");
}
END_TEST

START_TEST(spawn_ends_what_uses_too_much_time)
{
    struct program program = {.path = write_script("script", "while :; do :; done"), .cpu = 1};
    ck_assert(prepare(&program));
    struct result result = run_fixed(&program);
    ck_assert(WIFSIGNALED(result.status));
    ck_assert_int_eq(WTERMSIG(result.status), SIGXCPU);
}
END_TEST

START_TEST(spawn_changes_the_user)
{
    if (geteuid() != 0)
        return;
    struct program program = {.path = write_script("script", "id -ur; id -u; id -gr; id -g; id -G"),
                              .user = "nobody"};
    ck_assert(prepare(&program));
    ck_assert_str_eq(run_fixed(&program).output, "65534\n65534\n65534\n65534\n65534\n");
    program.user = "4711";
    program.group = "4712";
    ck_assert(prepare(&program));
    ck_assert_str_eq(run_fixed(&program).output, "4711\n4711\n4712\n4712\n4712\n");
    ck_assert_int_eq(geteuid(), 0);
    program.user = "4711"; /* has no entry, and no group is given */
    program.group = NULL;
    ck_assert(!prepare(&program));
}
END_TEST

START_TEST(spawn_enters_the_folder_as_the_user)
{
    if (geteuid() != 0)
        return;
    make_subfolder("private", 0700);
    struct program program = {
        .path = write_script("script", "pwd"), .user = "nobody", .directory = path_of("private")};
    ck_assert(prepare(&program));
    ck_assert_int_eq(run_fixed(&program).number, EACCES);
    program.directory = "/";
    ck_assert_str_eq(run_fixed(&program).output, "/\n");
    program.directory = path_of("missing");
    ck_assert_int_eq(run_fixed(&program).number, ENOEXEC);
}
END_TEST

START_TEST(spawn_gives_no_privileges)
{
    struct program program = {.path = write_script("script", "grep NoNewPrivs /proc/self/status")};
    ck_assert(prepare(&program));
    ck_assert_str_eq(run_fixed(&program).output, "NoNewPrivs:\t1\n");
    program.allow_setuid = true;
    ck_assert_str_eq(run_fixed(&program).output, "NoNewPrivs:\t0\n");
}
END_TEST

START_TEST(spawn_says_why_not)
{
    static const struct {
        const char *content;
        int number;
    } cases[] = {
        {"#!/no/such/interpreter\n", ENOEXEC},
        {"#!/etc/passwd\n", EACCES},
        {"", ENOEXEC},
        {"echo no interpreter is named\n", ENOEXEC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct program program = fixed_program(write_file("script", 0755, cases[i].content));
        struct result result = run_fixed(&program);
        ck_assert_int_eq(result.number, cases[i].number);
        ck_assert_ptr_nonnull(strstr(result.message, "cannot execute"));
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
    }
}
END_TEST

START_TEST(spawn_checks_a_fixed_program_again)
{
    struct program program = fixed_program(write_script("script", "echo ran"));
    ck_assert_str_eq(run_fixed(&program).output, "ran\n");
    ck_assert_int_eq(chmod(program.path, 0775), 0);
    ck_assert_int_eq(run_fixed(&program).number, EACCES);
    ck_assert_int_eq(unlink(program.path), 0);
    ck_assert_int_eq(run_fixed(&program).number, ENOENT);
}
END_TEST

START_TEST(spawn_fails_when_no_process_is_left)
{
    struct program program = fixed_program(write_script("script", "echo ran"));
    struct rlimit none = {0}, before;
    bool was_root = geteuid() == 0; /* whom no such limit stops */
    if (was_root) {
        ck_assert_int_eq(chown(program.path, 65534, 65534), 0);
        ck_assert_int_eq(chown(folder, 65534, 65534), 0);
        ck_assert_int_eq(setresuid(65534, 65534, 0), 0);
    }
    ck_assert_int_eq(getrlimit(RLIMIT_NPROC, &before), 0);
    none.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &none), 0);
    ck_assert_int_eq(run_fixed(&program).number, EAGAIN);
    ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &before), 0);
    ck_assert_str_eq(run_fixed(&program).output, "ran\n");
    if (was_root)
        ck_assert_int_eq(setresuid(0, 0, 0), 0);
}
END_TEST

/* ---- scripts beneath a root */

static void make_tree(void)
{
    make_subfolder("root", 0755);
    make_subfolder("root/shop", 0755);
    make_subfolder("root/shop/deep", 0755);
    make_subfolder("root/empty", 0755);
    make_subfolder("root/shared", 0775);
    write_script("root/hello.cgi", "env");
    write_script("root/data.txt", "echo not a script");
    write_script("root/index.cgi", "env");
    write_script("root/shop/index.cgi", "env");
    write_script("root/shop/deep/buy.cgi", "env");
    write_script("root/shared/any.cgi", "env");
    write_script("outside.cgi", "env");
    write_file("root/plain.cgi", 0644, "#!/bin/sh\n");
    write_file("root/group.cgi", 0775, "#!/bin/sh\n");
    write_file("root/others.cgi", 0757, "#!/bin/sh\n");
    write_file("root/setuid.cgi", 04755, "#!/bin/sh\n");
    write_file("root/setgid.cgi", 02755, "#!/bin/sh\n");
    ck_assert_int_eq(mkfifo(path_of("root/fifo.cgi"), 0755), 0);
    ck_assert_int_eq(symlink("../outside.cgi", path_of("root/out.cgi")), 0);
    ck_assert_int_eq(symlink(path_of("outside.cgi"), path_of("root/absolute.cgi")), 0);
    ck_assert_int_eq(symlink("shop/deep/buy.cgi", path_of("root/in.cgi")), 0);
    ck_assert_int_eq(symlink("shared/any.cgi", path_of("root/inshared.cgi")), 0);
    ck_assert_int_eq(symlink("loop.cgi", path_of("root/loop.cgi")), 0);
    ck_assert_int_eq(symlink("/proc/self/exe", path_of("root/magic.cgi")), 0);
    ck_assert_int_eq(symlink("..", path_of("root/up")), 0);
}

static struct program root_program(void)
{
    static struct text extensions[] = {TEXT(".pl"), TEXT(".cgi")};
    make_tree();
    struct program program = {.root = path_of("root"), .index = "index.cgi", .extensions = {extensions, 2}};
    ck_assert(prepare(&program));
    return program;
}

static const struct walk {
    const char *script, *file;
    size_t used;
    int number;
} walks[] = {
    {"/hello.cgi", "root/hello.cgi", 10, 0},
    {"/hello.cgi/", "root/hello.cgi", 10, 0},
    {"/hello.cgi/a/b", "root/hello.cgi", 10, 0},
    {"/hello.cgi/a/../b", "root/hello.cgi", 10, 0},
    {"", "root/index.cgi", 0, 0},
    {"/", "root/index.cgi", 1, 0},
    {"/shop", "root/shop/index.cgi", 5, 0},
    {"/shop/", "root/shop/index.cgi", 6, 0},
    {"/shop/deep/buy.cgi/x", "root/shop/deep/buy.cgi", 18, 0},
    {"/in.cgi/x", "root/shop/deep/buy.cgi", 7, 0},
    {"/missing.cgi", NULL, 0, ENOENT},
    {"/missing/hello.cgi", NULL, 0, ENOENT},
    {"/shop/missing", NULL, 0, ENOENT},
    {"/shop/deep", NULL, 0, ENOENT},
    {"/empty/", NULL, 0, ENOENT},
    {"/data.txt", NULL, 0, ENOENT},
    {"/fifo.cgi", NULL, 0, ENOENT},
    {"hello.cgi", NULL, 0, ENOENT},
    {"/../outside.cgi", NULL, 0, ENOENT},
    {"/shop/../hello.cgi", NULL, 0, ENOENT},
    {"/./hello.cgi", NULL, 0, ENOENT},
    {"//hello.cgi", NULL, 0, ENOENT},
    {"/shop//index.cgi", NULL, 0, ENOENT},
    {"/shop//", NULL, 0, ENOENT},
    {"/plain.cgi", NULL, 0, EACCES},
    {"/group.cgi", NULL, 0, EACCES},
    {"/others.cgi", NULL, 0, EACCES},
    {"/setuid.cgi", NULL, 0, EACCES},
    {"/setgid.cgi", NULL, 0, EACCES},
    {"/shared/any.cgi", NULL, 0, EACCES},
    {"/inshared.cgi", NULL, 0, EACCES},
    {"/out.cgi", NULL, 0, EACCES},
    {"/absolute.cgi", NULL, 0, EACCES},
    {"/loop.cgi", NULL, 0, EACCES},
    {"/magic.cgi", NULL, 0, EACCES},
    {"/up/outside.cgi", NULL, 0, EACCES},
};

START_TEST(open_walks_beneath_the_root)
{
    struct program program = root_program();
    for (size_t i = 0; i < sizeof walks / sizeof *walks; i++) {
        struct error error = {0};
        char resolved[PATH_MAX] = "";
        size_t used;
        int file = program_open(&program, text_of(walks[i].script), resolved, &used, &error);
        ck_assert_msg((file >= 0) == (walks[i].file != NULL), "%s: %s", walks[i].script, error.message);
        if (file >= 0) {
            ck_assert_str_eq(resolved, path_of(walks[i].file));
            ck_assert_uint_eq(used, walks[i].used);
            ck_assert_int_eq(close(file), 0);
        } else {
            ck_assert_msg(error.number == walks[i].number, "%s: %s", walks[i].script, error.message);
        }
    }
    ck_assert_int_eq(close(dup(0)), 0);
}
END_TEST

/* As a user whom modes stop. */
START_TEST(closed_folders_have_no_scripts)
{
    static const char *const paths[] = {"/shop", "/shop/", "/shop/index.cgi", "/shop/deep/buy.cgi/x",
                                        "/in.cgi"};
    struct program program = root_program();
    bool is_root = geteuid() == 0;
    ck_assert_int_eq(chmod(path_of("root/shop"), 0), 0);
    ck_assert(!is_root || seteuid(65534) == 0);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct error error = {0};
        char resolved[PATH_MAX];
        size_t used;
        ck_assert_int_eq(program_open(&program, text_of(paths[i]), resolved, &used, &error), -1);
        ck_assert_msg(error.number == ENOENT && strstr(error.message, "may not be searched"), "%s: %s",
                      paths[i], error.message);
    }
    ck_assert(!is_root || seteuid(0) == 0);
    ck_assert_int_eq(chmod(path_of("root/shop"), 0755), 0);
}
END_TEST

START_TEST(open_refuses_odd_names)
{
    struct program program = root_program();
    struct error error = {0};
    char resolved[PATH_MAX];
    size_t used;
    ck_assert_int_eq(program_open(&program, TEXT("/hello.cgi\0/x"), resolved, &used, &error), -1);
    ck_assert_int_eq(error.number, ENOENT);
    char *lengthy = arena_alloc(arena, 60001);
    memset(lengthy, 'a', 60000);
    lengthy[0] = '/';
    error = (struct error){0};
    ck_assert_int_eq(program_open(&program, text_of(lengthy), resolved, &used, &error), -1);
    ck_assert_int_eq(error.number, ENOENT);
    lengthy[300] = '\0';
    error = (struct error){0};
    ck_assert_int_eq(program_open(&program, text_of(lengthy), resolved, &used, &error), -1);
    ck_assert_int_eq(error.number, ENOENT);
}
END_TEST

START_TEST(open_without_index_or_extensions)
{
    struct program program = root_program();
    struct error error = {0};
    char resolved[PATH_MAX];
    size_t used;
    program.index = NULL;
    ck_assert_int_eq(program_open(&program, TEXT("/shop"), resolved, &used, &error), -1);
    ck_assert_int_eq(error.number, ENOENT);
    program.extensions = (struct texts){0};
    error = (struct error){0};
    int file = program_open(&program, TEXT("/data.txt"), resolved, &used, &error);
    ck_assert_int_ge(file, 0);
    (void)close(file);
}
END_TEST

START_TEST(open_judges_owners)
{
    if (geteuid() != 0)
        return;
    struct program program = root_program();
    struct launch launch = {.script = TEXT("/hello.cgi")};
    ck_assert_int_eq(chown(path_of("root/hello.cgi"), 4711, 4711), 0);
    ck_assert_int_eq(run_launch(&program, launch).number, EACCES);
    program.user = "4711"; /* its own file: fine */
    program.group = "4711";
    ck_assert(prepare(&program));
    ck_assert_int_eq(run_launch(&program, launch).number, 0);
    program.user = "4712";
    ck_assert(prepare(&program));
    ck_assert_int_eq(run_launch(&program, launch).number, EACCES);
    program.allow_shared_owner = true;
    ck_assert_int_eq(run_launch(&program, launch).number, 0);
    program.allow_shared_owner = false; /* a folder's owner decides what is in it */
    ck_assert_int_eq(chown(path_of("root/hello.cgi"), 0, 0), 0);
    ck_assert_int_eq(chown(path_of("root"), 4711, 4711), 0);
    ck_assert_int_eq(run_launch(&program, launch).number, EACCES);
}
END_TEST

START_TEST(open_allows_setuid_when_told)
{
    struct program program = root_program();
    struct error error = {0};
    char resolved[PATH_MAX];
    size_t used;
    program.allow_setuid = true;
    int file = program_open(&program, TEXT("/setuid.cgi"), resolved, &used, &error);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(close(file), 0);
}
END_TEST

static bool has_line(const char *text, const char *line)
{
    size_t length = strlen(line);
    for (const char *at = text; (at = strstr(at, line)); at += length) {
        if ((at == text || at[-1] == '\n') && at[length] == '\n')
            return true;
    }
    return false;
}

START_TEST(root_splits_the_path)
{
    struct program program = root_program();
    char *environment[] = {"DOCUMENT_ROOT=/srv/www", "PATH_INFO=/forged",  "SCRIPT_FILENAME=/forged",
                           "SCRIPT_NAME=/forged",    "PATH_TRANSLATED=/x", NULL};
    struct launch launch = {
        .script = TEXT("/hello.cgi/a/b"), .script_name = TEXT("/cgi"), .environment = environment};
    struct result result = run_launch(&program, launch);
    ck_assert(has_line(result.output, "SCRIPT_NAME=/cgi/hello.cgi"));
    ck_assert(has_line(result.output, "PATH_INFO=/a/b"));
    ck_assert(has_line(result.output, "PATH_TRANSLATED=/srv/www/a/b"));
    ck_assert(has_line(result.output, arena_printf(arena, "SCRIPT_FILENAME=%s", path_of("root/hello.cgi"))));
    ck_assert_ptr_null(strstr(result.output, "forged"));

    environment[0] = "OTHER=x";
    launch.script = TEXT("/hello.cgi");
    result = run_launch(&program, launch);
    ck_assert(has_line(result.output, "SCRIPT_NAME=/cgi/hello.cgi"));
    ck_assert_ptr_null(strstr(result.output, "PATH_INFO"));
    ck_assert_ptr_null(strstr(result.output, "PATH_TRANSLATED"));
}
END_TEST

/* ---- at load */

static bool is_prepared(struct program program)
{
    findings = findings_new(arena, "policy.yaml");
    bool done = prepare(&program);
    /* That there is one of the two is for the handler to say. */
    ck_assert_int_eq(done, findings.errors == 0 && !program.path != !program.root);
    return done;
}

START_TEST(prepare_refuses_bad_files)
{
    make_tree();
    make_subfolder("open", 0777);
    write_script("open/x", "");
    make_subfolder("sticky", 01777);
    make_subfolder("sticky/mine", 0755);
    write_script("sticky/mine/x", "");
    write_script("sticky/x", "");
    make_subfolder("open/inner", 0755);
    write_script("open/inner/x", "");
    ck_assert_int_eq(symlink("../outside.cgi", path_of("open/link")), 0);
    ck_assert_int_eq(symlink("open/inner/x", path_of("link")), 0);
    ck_assert_int_eq(symlink("outside.cgi", path_of("good")), 0);
    static const struct {
        const char *name;
        bool fits;
    } files[] = {
        {"outside.cgi", true},     {"good", true},
        {"sticky/mine/x", true},   {"missing", false},
        {"root", false},           {"root/plain.cgi", false},
        {"root/group.cgi", false}, {"root/setuid.cgi", false},
        {"root/fifo.cgi", false},  {"open/x", false},
        {"sticky/x", false},       {"open/inner/x", false},
        {"open/link", false},      {"link", false},
        {"outside.cgi/x", false},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        ck_assert_msg(is_prepared((struct program){.path = path_of(files[i].name)}) == files[i].fits, "%s",
                      files[i].name);
    ck_assert(is_prepared((struct program){.root = path_of("root")}));
    ck_assert(!is_prepared((struct program){.root = path_of("missing")}));
    ck_assert(!is_prepared((struct program){.root = path_of("outside.cgi")}));
    ck_assert(!is_prepared((struct program){.root = path_of("open")}));
    ck_assert(!is_prepared((struct program){.root = path_of("open/inner")}));
    ck_assert(!is_prepared((struct program){0}));
    ck_assert(!is_prepared((struct program){.path = path_of("good"), .root = path_of("root")}));
}
END_TEST

START_TEST(prepare_refuses_bad_settings)
{
    struct program good = {.path = write_script("script", "")};
    ck_assert(is_prepared(good));
    struct program bad = good;
    bad.user = "no-such-user-here";
    ck_assert(!is_prepared(bad));
    bad = good;
    bad.group = "no-such-group-here";
    ck_assert(!is_prepared(bad));
    bad.group = "4294967295"; /* -1 */
    ck_assert(!is_prepared(bad));
    bad = good;
    bad.index = "a/b";
    ck_assert(!is_prepared(bad));
    bad.index = "..";
    ck_assert(!is_prepared(bad));
    struct text extensions[] = {TEXT(".cgi")};
    bad.index = "index.pl";
    bad.extensions = (struct texts){extensions, 1};
    ck_assert(!is_prepared(bad));
    bad.index = "index.cgi";
    ck_assert(is_prepared(bad));
    bad = good;
    bad.directory = path_of("missing");
    ck_assert(!is_prepared(bad));
    bad.directory = good.path;
    ck_assert(!is_prepared(bad));
    bad.directory = path_of("");
    ck_assert(is_prepared(bad));
}
END_TEST

/* Programs of one file are looked up once for each user, and get their own's ids. */
START_TEST(prepare_tells_users_apart)
{
    static const char *const users[] = {NULL, "0", "0", "nobody", NULL, "0"};
    static const struct node nowhere = {.kind = NODE_MAP, .line = 1, .column = 1};
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = folder, .user = "nobody"};
    unsigned nobody = getpwnam("nobody")->pw_uid;
    if (geteuid() != 0)
        return;
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        struct program program = {.path = "/bin/true", .user = users[i]};
        ck_assert(program_prepare(&program, &decoder, &nowhere));
        ck_assert_uint_eq(program.uid, users[i] && users[i][0] == '0' ? 0 : nobody);
    }
}
END_TEST

START_TEST(prepare_judges_names)
{
    static const struct {
        const char *name;
        bool fits;
    } names[] = {
        {"A", true},
        {"_", true},
        {"PATH", true},
        {"A_1", true},
        {"REDIRECT_STATUS", true},
        {"REQUEST_ID", false},
        {"SERVER_ADDR", false},
        {"", false},
        {"1A", false},
        {"a", false},
        {"A-B", false},
        {"A=B", false},
        {"A B", false},
        {"LD_PRELOAD", false},
        {"BASH_ENV", false},
        {"IFS", false},
        {"HTTP_HOST", false},
        {"PATH_INFO", false},
        {"QUERY_STRING", false},
        {"CONTENT_LENGTH", false},
        {"BASH_FUNC_ls%%", false},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        static const struct node nowhere = {.kind = NODE_SCALAR, .line = 1, .column = 1};
        struct pair pair = {.name = text_of(names[i].name), .value = TEXT("x"), .node = &nowhere};
        struct program program = {.path = "/bin/true", .environment = {&pair, 1}};
        ck_assert_msg(is_prepared(program) == names[i].fits, "%s", names[i].name);
    }
}
END_TEST

START_TEST(forget_wipes_the_environment)
{
    struct pair pair = {.name = TEXT("SECRET"), .value = TEXT("do not tell")};
    struct program program = {.path = "/bin/true", .environment = {&pair, 1}};
    ck_assert(prepare(&program));
    const char *variable = program.fixed_environment[0];
    ck_assert_str_eq(variable, "SECRET=do not tell");
    program_forget(&program);
    for (size_t i = 0; i < 18; i++)
        ck_assert_int_eq(variable[i], 0);
    ck_assert_ptr_null(program.fixed_environment[0]);
}
END_TEST

/* ---- messages */

static struct message *message;

static void make_message(void)
{
    make_folder();
    message = calloc(1, sizeof *message);
}

static void free_message(void)
{
    free(message);
    remove_folder();
}

static size_t put_message(struct message_header header, const char *rest, size_t length)
{
    memcpy(message->buffer, &header, sizeof header);
    if (length > 0)
        memcpy(message->buffer + sizeof header, rest, length);
    return sizeof header + length;
}

static bool parses(struct message_header header, const char *rest, size_t length)
{
    struct error error = {0};
    return message_parse(message, put_message(header, rest, length), &error);
}

START_TEST(parse_takes_what_fits)
{
    struct message_header header = {MESSAGE_LAUNCH_VERSION, 77, 9, 2, 4, 10};
    ck_assert(parses(header, "/a/cgiA=1\0BC=x=", 16));
    ck_assert_uint_eq(message->run, 77);
    ck_assert_uint_eq(message->launch.program, 9);
    ck_assert(text_equal(message->launch.script, TEXT("/a")));
    ck_assert(text_equal(message->launch.script_name, TEXT("/cgi")));
    ck_assert_str_eq(message->launch.environment[0], "A=1");
    ck_assert_str_eq(message->launch.environment[1], "BC=x=");
    ck_assert_ptr_null(message->launch.environment[2]);
    ck_assert(parses((struct message_header){MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 0}, "", 0));
    ck_assert_ptr_null(message->launch.environment[0]);
}
END_TEST

START_TEST(parse_refuses_what_does_not)
{
    static const struct {
        struct message_header header;
        const char *rest;
        size_t length;
    } cases[] = {
        {{MESSAGE_LAUNCH_VERSION + 1, 0, 0, 0, 0, 0}, "", 0},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 0}, "x", 1},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 1, 0, 0}, "", 0},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 4}, "A=1", 3},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, UINT32_MAX, 1, 0}, "", 0},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, UINT32_MAX, UINT32_MAX, UINT32_MAX}, "xyz", 3},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 3}, "A=1", 3}, /* no NUL */
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 2}, "A", 2},   /* no "=" */
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 1}, "", 1},    /* nothing at all */
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 3}, "=1", 3},  /* no name */
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 4}, "a=1", 4},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 7}, "A-B=1\0", 7},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 14}, "LD_PRELOAD=/x", 14},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 12}, "BASH_ENV=/x", 12},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 18}, "BASH_FUNC_ls%%=()", 18},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 2, 0, 0}, "a/", 2}, /* no leading slash */
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 3, 0, 0}, "/\0a", 3},
        {{MESSAGE_LAUNCH_VERSION, 0, 0, 0, 3, 0}, "/\0a", 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(!parses(cases[i].header, cases[i].rest, cases[i].length), "case %zu", i);
    struct error error = {0};
    for (size_t length = 0; length < sizeof(struct message_header); length++)
        ck_assert(!message_parse(message, length, &error));
}
END_TEST

START_TEST(parse_refuses_too_many_variables)
{
    struct message_header header = {MESSAGE_LAUNCH_VERSION, 0, 0, 0, 0, 3 * LAUNCH_VARIABLES_LIMIT};
    char *block = arena_alloc(arena, 3 * (LAUNCH_VARIABLES_LIMIT + 1));
    for (size_t i = 0; i <= LAUNCH_VARIABLES_LIMIT; i++)
        memcpy(block + 3 * i, "A=", 3);
    ck_assert(parses(header, block, header.environment));
    header.environment += 3;
    ck_assert(!parses(header, block, header.environment));
}
END_TEST

static void make_pair(int sockets[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
}

static char **large_environment(size_t bytes)
{
    size_t count = bytes / 1024;
    char **environment = arena_array(arena, count + 2, sizeof *environment);
    for (size_t i = 0; i < count; i++) {
        environment[i] = arena_alloc(arena, 1024);
        memset(environment[i], 'x', 1023);
        memcpy(environment[i], "NAME=", 5);
    }
    return environment;
}

START_TEST(message_carries_the_largest)
{
    int sockets[2];
    struct error error = {0};
    make_pair(sockets);
    char *path = arena_alloc(arena, LAUNCH_SCRIPT_LIMIT + 1);
    memset(path, '/', LAUNCH_SCRIPT_LIMIT);
    struct launch launch = {.program = 3,
                            .script = {path, LAUNCH_SCRIPT_LIMIT / 2},
                            .script_name = {path, LAUNCH_SCRIPT_LIMIT / 2},
                            .environment = large_environment(LAUNCH_ENVIRONMENT_LIMIT),
                            .output = 1,
                            .errors = 2};
    ck_assert_int_eq(message_receive(sockets[1], message, &error), MESSAGE_NONE);
    ck_assert_msg(message_send(sockets[0], &launch, 2047, &error), "%s", error.message);
    ck_assert_int_eq(message_receive(sockets[1], message, &error), MESSAGE_LAUNCH);
    ck_assert_uint_eq(message->run, 2047);
    ck_assert_uint_eq(message->launch.program, 3);
    ck_assert_uint_eq(message->launch.script.length, LAUNCH_SCRIPT_LIMIT / 2);
    ck_assert_uint_eq(strlen(message->launch.environment[95]), 1023);
    ck_assert_ptr_null(message->launch.environment[96]);
    ck_assert_int_eq(fcntl(message->launch.errors, F_GETFD), FD_CLOEXEC);
    message_close(message);
    ck_assert_int_eq(message->launch.errors, -1);

    launch.environment = large_environment(LAUNCH_ENVIRONMENT_LIMIT + 1024);
    ck_assert(!message_send(sockets[0], &launch, 2047, &error));
    ck_assert_int_eq(error.number, E2BIG);
    error = (struct error){0};
    launch.environment = no_environment;
    launch.script.length++;
    ck_assert(!message_send(sockets[0], &launch, 2047, &error));
    ck_assert_int_eq(error.number, E2BIG);
    (void)close(sockets[0]);
    ck_assert_int_eq(message_receive(sockets[1], message, &error), MESSAGE_END);
}
END_TEST

START_TEST(message_is_not_sent_when_malformed)
{
    static const struct {
        const char *variable;
        struct text script, script_name;
    } cases[] = {
        {"lower=1", TEXT("/a"), TEXT("/b")}, {"HTTP_X.Y=1", TEXT("/a"), TEXT("/b")},
        {"NOTHING", TEXT("/a"), TEXT("/b")}, {"LD_PRELOAD=/x", TEXT("/a"), TEXT("/b")},
        {"A=1", TEXT("a"), TEXT("/b")},      {"A=1", TEXT("/a\0b"), TEXT("/b")},
        {"A=1", TEXT("/a"), TEXT("/b\0")},
    };
    int sockets[2];
    make_pair(sockets);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        char *environment[] = {(char *)(uintptr_t)cases[i].variable, NULL};
        struct launch launch = {
            .environment = environment, .script = cases[i].script, .script_name = cases[i].script_name};
        ck_assert(!message_send(sockets[0], &launch, 0, &error));
        ck_assert_int_eq(error.number, EINVAL);
        ck_assert_int_eq(message_receive(sockets[1], message, &error), MESSAGE_NONE);
    }
}
END_TEST

/* Sends raw bytes with descriptors; as a worker in other hands would. */
static void send_raw(int socket, const void *bytes, size_t length, const int *descriptors, size_t count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(16 * sizeof(int))];
    } control = {.header = {.cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS,
                            .cmsg_len = CMSG_LEN(count * sizeof(int))}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length};
    struct msghdr raw = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
        raw.msg_control = control.room;
        raw.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    (void)sendmsg(socket, &raw, MSG_NOSIGNAL);
}

static size_t count_descriptors(const char *path)
{
    size_t count = 0;
    DIR *listing = opendir(path);
    ck_assert_ptr_nonnull(listing);
    while (readdir(listing))
        count++;
    (void)closedir(listing);
    return count;
}

START_TEST(message_counts_descriptors)
{
    const struct message_header header = {.version = MESSAGE_LAUNCH_VERSION};
    int sockets[2], local[2], pipes[2];
    make_pair(sockets);
    make_pair(local);
    ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
    int internet = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct {
        int descriptors[5];
        size_t count;
        enum message_result result;
    } cases[] = {
        {{0, 1, 2}, 3, MESSAGE_LAUNCH},
        {{pipes[0], pipes[1], local[1]}, 3, MESSAGE_LAUNCH},
        {{0}, 0, MESSAGE_BAD},
        {{0, 1}, 2, MESSAGE_BAD},
        {{0, 1, 2, 0}, 4, MESSAGE_BAD},
        {{0, 1, 2, 0, 1}, 5, MESSAGE_BAD},
        {{internet, 1, 2}, 3, MESSAGE_BAD},
        {{0, 1, internet}, 3, MESSAGE_BAD},
    };
    size_t before = count_descriptors("/proc/self/fd");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        send_raw(sockets[0], &header, sizeof header, cases[i].descriptors, cases[i].count);
        ck_assert_msg(message_receive(sockets[1], message, &error) == cases[i].result, "case %zu", i);
        message_close(message);
        ck_assert_uint_eq(count_descriptors("/proc/self/fd"), before);
    }
}
END_TEST

START_TEST(message_survives_a_full_table)
{
    const struct message_header header = {.version = MESSAGE_LAUNCH_VERSION};
    int sockets[2];
    struct error error = {0};
    struct rlimit limit;
    make_pair(sockets);
    const int descriptors[] = {0, 1, 2};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    enum message_result result = MESSAGE_STARVED;
    int starved = 0;
    for (rlim_t room = 3; room < 100 && result == MESSAGE_STARVED; room++) {
        struct rlimit few = {.rlim_cur = room, .rlim_max = limit.rlim_max};
        send_raw(sockets[0], &header, sizeof header, descriptors, 3);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
        result = message_receive(sockets[1], message, &error);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        starved += result == MESSAGE_STARVED;
        message_close(message);
    }
    ck_assert_int_eq(result, MESSAGE_LAUNCH);
    ck_assert_int_ge(starved, 3);
}
END_TEST

/* What is a header alone has no descriptors, and nothing in it but what it means. */
START_TEST(message_tells_the_short_ones_apart)
{
    static const struct {
        struct message_header header;
        size_t descriptors;
        enum message_result result;
    } cases[] = {
        {{.version = MESSAGE_STOP_VERSION, .run = 5}, 0, MESSAGE_STOP},
        {{.version = MESSAGE_READY_VERSION}, 0, MESSAGE_READY},
        {{.version = MESSAGE_READY_VERSION, .run = 5}, 0, MESSAGE_BAD},
        {{.version = MESSAGE_READY_VERSION}, 1, MESSAGE_BAD},
        {{.version = MESSAGE_STOP_VERSION, .run = 5}, 3, MESSAGE_BAD},
        {{.version = MESSAGE_STOP_VERSION, .program = 1}, 0, MESSAGE_BAD},
        {{.version = MESSAGE_STOP_VERSION, .script = 1}, 0, MESSAGE_BAD},
        {{.version = MESSAGE_STOP_VERSION, .environment = 1}, 0, MESSAGE_BAD},
    };
    static const int descriptors[] = {0, 1, 2};
    int sockets[2];
    make_pair(sockets);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error = {0};
        send_raw(sockets[0], &cases[i].header, sizeof cases[i].header, descriptors, cases[i].descriptors);
        ck_assert_msg(message_receive(sockets[1], message, &error) == cases[i].result, "case %zu", i);
        message_close(message);
    }
    struct error error = {0};
    ck_assert(message_send_stop(sockets[0], 9, &error));
    ck_assert_int_eq(message_receive(sockets[1], message, &error), MESSAGE_STOP);
    ck_assert_uint_eq(message->run, 9);
    ck_assert(message_send_ready(sockets[0], &error));
    ck_assert_int_eq(message_receive(sockets[1], message, &error), MESSAGE_READY);
}
END_TEST

START_TEST(message_answers)
{
    struct program_end end = {.started = ENOENT, .status = 3};
    struct message_news news;
    struct error error = {0};
    int sockets[2];
    make_pair(sockets);
    ck_assert_int_eq(message_hear(sockets[1], &news), 0);
    memset(end.reason, 'r', sizeof end.reason - 1);
    for (size_t length = sizeof end.reason; length-- > 0;) {
        end.reason[length] = '\0';
        ck_assert(message_answer(sockets[0], 12, &end, &error));
        ck_assert_int_eq(message_hear(sockets[1], &news), 1);
        ck_assert_int_eq(news.descriptor, -1);
        ck_assert_uint_eq(news.run, 12);
        ck_assert_int_eq(news.end.started, ENOENT);
        ck_assert_int_eq(news.end.status, 3);
        ck_assert_str_eq(news.end.reason, end.reason);
    }
    /* It never waits for one who does not listen. */
    int answers = 0;
    while (message_answer(sockets[0], 12, &end, &error))
        ck_assert_int_lt(answers++, 100000);
    ck_assert_int_eq(error.number, EAGAIN);
    ck_assert_int_ge(answers, 100);
    (void)close(sockets[0]);
    while (answers-- > 0)
        ck_assert_int_eq(message_hear(sockets[1], &news), 1);
    ck_assert_int_eq(message_hear(sockets[1], &news), -1);
}
END_TEST

START_TEST(message_passes_the_log)
{
    struct message_news news;
    struct error error = {0};
    struct rlimit limit, none = {0};
    int sockets[2];
    make_pair(sockets);
    size_t before = count_descriptors("/proc/self/fd");
    ck_assert(message_pass(sockets[0], 2, &error));
    ck_assert_int_eq(message_hear(sockets[1], &news), 1);
    ck_assert_int_ge(news.descriptor, 0);
    ck_assert_int_eq(fcntl(news.descriptor, F_GETFD), FD_CLOEXEC);
    (void)close(news.descriptor);

    /* One that found no room is lost; the parent is not. */
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none.rlim_max = limit.rlim_max;
    ck_assert(message_pass(sockets[0], 2, &error));
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int heard = message_hear(sockets[1], &news);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(heard, 1);
    ck_assert_int_eq(news.descriptor, -1);
    ck_assert_uint_eq(news.run, MESSAGE_NO_RUN);
    ck_assert_uint_eq(count_descriptors("/proc/self/fd"), before);
}
END_TEST

/* ---- launching from this process */

static bool is_gone(long process)
{
    return kill((pid_t)process, 0) != 0 && errno == ESRCH;
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static bool is_gone_soon(long process)
{
    for (int i = 0; i < 400 && !is_gone(process); i++)
        nap();
    return is_gone(process);
}

/* Waits for the numbers that a script writes to a file of its folder. */
static bool read_numbers(const char *name, long *numbers, int count)
{
    for (int tries = 0; tries < 400; tries++) {
        const char *content = read_file(path_of(name));
        if (strstr(content, "done") &&
            sscanf(content, "%ld %ld", &numbers[0], &numbers[count > 1 ? 1 : 0]) >= count)
            return true;
        nap();
    }
    return false;
}

/* A leader with a grandchild that ignores what can be ignored. */
static const char *family = "trap '' HUP TERM INT PIPE\nrm -f family\n(sh -c 'sleep 1000') & echo $$ $! > x; "
                            "echo done >> x; mv x family; wait";
/* One that leaves the group, and the session. */
static const char *escape =
    "rm -f escaped\nsetsid sh -c 'echo $$ > y; echo done >> y; mv y escaped; exec sleep 1000' "
    "</dev/null >/dev/null 2>&1 &\nwhile ! test -f escaped; do sleep 0.01; done; exit 5";

static struct launch quiet_launch(unsigned program)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    return (struct launch){
        .program = program, .environment = no_environment, .input = null, .output = null, .errors = null};
}

static struct run start(struct launcher *launcher, const struct launch *launch)
{
    struct run run = {.descriptor = -1};
    struct error error = {0};
    ck_assert_msg(launcher_start(launcher, launch, &run, &error), "%s", error.message);
    return run;
}

START_TEST(local_tells_the_end)
{
    struct program ends = fixed_program(write_script("ends", "sleep 0.2; exit 7"));
    struct program dies = fixed_program(write_script("dies", "kill -9 $$"));
    struct program *const programs[] = {&ends, &dies};
    struct launcher *launcher = launcher_local(programs, 2);
    struct launch launch = quiet_launch(0);
    struct program_end end;
    struct error error = {0};
    struct run run = start(launcher, &launch);
    ck_assert_int_gt(run.process, 0);
    ck_assert_int_eq(launcher_end(&run, 0, &end), 0);
    ck_assert_int_eq(launcher_end(&run, 20, &end), 0);
    ck_assert_int_eq(launcher_end(&run, PATIENCE, &end), 1);
    ck_assert_int_eq(launcher_end(&run, PATIENCE, &end), 1);
    ck_assert_int_eq(end.started, 0);
    ck_assert_int_eq(WEXITSTATUS(end.status), 7);
    launcher_stop(&run);
    launch.program = 1;
    run = start(launcher, &launch);
    ck_assert_int_eq(launcher_end(&run, PATIENCE, &end), 1);
    ck_assert(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGKILL);
    launcher_stop(&run);
    launch.program = 2;
    ck_assert(!launcher_start(launcher, &launch, &run, &error));
    launcher_close(launcher);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(local_tells_why_not)
{
    struct program program = fixed_program(write_script("script", ""));
    struct program *const programs[] = {&program};
    struct launcher *launcher = launcher_local(programs, 1);
    struct launch launch = quiet_launch(0);
    struct error error = {0};
    struct run run;
    ck_assert_int_eq(unlink(program.path), 0);
    size_t before = count_descriptors("/proc/self/fd");
    ck_assert(!launcher_start(launcher, &launch, &run, &error));
    ck_assert_int_eq(error.number, ENOENT);
    ck_assert_ptr_nonnull(strstr(error.message, program.path));
    ck_assert_uint_eq(count_descriptors("/proc/self/fd"), before);
    launcher_close(launcher);
}
END_TEST

START_TEST(local_kills_the_family)
{
    struct program program = fixed_program(write_script("script", family));
    struct program *const programs[] = {&program};
    struct launcher *launcher = launcher_local(programs, 1);
    struct launch launch = quiet_launch(0);
    long numbers[2];
    struct run run = start(launcher, &launch);
    ck_assert(read_numbers("family", numbers, 2));
    ck_assert(!is_gone(numbers[1]));
    launcher_stop(&run);
    ck_assert(is_gone(numbers[0]));
    launcher_close(launcher);
    ck_assert(is_gone_soon(numbers[1]));
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

/* A program may leave its own group for that of whoever started it. */
static const char leaves[] = "exec perl -e 'setpgrp(0, getpgrp(getppid())) or exit 1; open(F, q(>x)); "
                             "print F $$, qq(\\n), getpgrp, qq(\\ndone\\n); close F; rename q(x), q(left); "
                             "sleep 1000'";

START_TEST(local_kills_what_left_its_group)
{
    struct program program = fixed_program(write_script("script", leaves));
    struct program *const programs[] = {&program};
    struct launcher *launcher = launcher_local(programs, 1);
    struct launch launch = quiet_launch(0);
    long numbers[2];
    struct run run = start(launcher, &launch);
    ck_assert(read_numbers("left", numbers, 2));
    ck_assert_int_eq(numbers[1], getpgrp());
    launcher_stop(&run);
    ck_assert(is_gone(numbers[0]));
    launcher_close(launcher);
}
END_TEST

START_TEST(local_kills_the_rest_at_the_end)
{
    struct program program =
        fixed_program(write_script("script", "sleep 1000 & echo $! > pid; echo done >> pid"));
    struct program *const programs[] = {&program};
    struct launcher *launcher = launcher_local(programs, 1);
    struct launch launch = quiet_launch(0);
    struct program_end end;
    long number;
    struct run run = start(launcher, &launch);
    ck_assert_int_eq(launcher_end(&run, PATIENCE, &end), 1);
    ck_assert(read_numbers("pid", &number, 1));
    launcher_stop(&run);
    launcher_close(launcher);
    ck_assert(is_gone_soon(number));
}
END_TEST

START_TEST(local_kills_what_escaped)
{
    struct program program = fixed_program(write_script("script", escape));
    struct program *const programs[] = {&program};
    /* A child from before is not ours to kill. */
    pid_t before = fork();
    if (before == 0) {
        (void)pause();
        _exit(0);
    }
    struct launcher *launcher = launcher_local(programs, 1);
    struct launch launch = quiet_launch(0);
    struct program_end end;
    long number;
    struct run run = start(launcher, &launch);
    ck_assert_int_eq(launcher_end(&run, PATIENCE, &end), 1);
    ck_assert_int_eq(WEXITSTATUS(end.status), 5);
    ck_assert(read_numbers("escaped", &number, 1));
    ck_assert(!is_gone(number));
    launcher_stop(&run);
    launcher_close(launcher);
    ck_assert(is_gone(number));
    ck_assert_int_eq(waitpid(before, NULL, WNOHANG), 0);
    ck_assert_int_eq(kill(before, SIGKILL), 0);
    ck_assert_int_eq(waitpid(before, NULL, 0), before);
}
END_TEST

/* ---- a real parent */

/* What a test asks the worker to do, and what it hears back. */
struct order {
    char what;
    unsigned program, number;
};
struct answer {
    int result; /* of launcher_start() or launcher_end() */
    struct program_end end;
    long process; /* of the worker */
    int generation;
};

enum { PROGRAMS = 6 };
enum { ENDS, FAMILY, ESCAPES, MISSING, SECRET, SLEEPS };

static int control[2];
static pid_t parent;
static struct program programs[PROGRAMS];
static struct program *const program_list[PROGRAMS] = {&programs[0], &programs[1], &programs[2],
                                                       &programs[3], &programs[4], &programs[5]};
static uint64_t drain = 5000;

static void note(const char *name)
{
    int file = open(path_of(name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)!write(file, "x", 1);
    (void)close(file);
}

static size_t noted(const char *name)
{
    return strlen(read_file(path_of(name)));
}

static struct generation *make_generation(int number)
{
    struct generation *generation = calloc(1, sizeof *generation);
    *generation = (struct generation){.programs = program_list, .program_count = PROGRAMS, .drain = drain};
    generation->context = (void *)(intptr_t)number;
    return generation;
}

static struct generation *load(const struct generation *current)
{
    if (strcmp(read_file(path_of("policy")), "bad") == 0)
        return NULL;
    return make_generation((int)(intptr_t)current->context + 1);
}

static void release(struct generation *generation)
{
    note("released");
    free(generation);
}

static int reopen(void)
{
    note("reopened");
    return open(path_of("log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* Malformed messages, by number; the descriptors are right but for the last ones. */
enum { LIES = 7 };

static void lie(int socket, unsigned number)
{
    struct message_header header = {.version = MESSAGE_LAUNCH_VERSION};
    static char large[MESSAGE_LIMIT + 1];
    static const int descriptors[] = {0, 1, 2, 0};
    size_t length = sizeof header, count = 3;
    switch (number) {
    case 0:
        header.program = PROGRAMS;
        break;
    case 1:
        header.version++;
        break;
    case 2:
        length = 3;
        break;
    case 3:
        header.environment = 1000;
        break;
    case 4:
        length = sizeof large;
        break;
    case 5:
        count = 2;
        break;
    default:
        count = 4;
    }
    memcpy(large, &header, sizeof header);
    send_raw(socket, large, length, descriptors, count);
}

enum { MANY = 600 };

struct working {
    struct launcher *launcher;
    int socket;
    struct run run;
    struct run many[MANY];
    size_t many_count;
    bool stubborn;
    struct answer answer;
};

static void work_launch(struct working *working, unsigned program)
{
    struct error error = {0};
    struct launch launch = quiet_launch(program);
    (void)close(launch.output);
    launch.output = launch.errors = open(path_of("output"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    launch.input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    working->answer.result = launcher_start(working->launcher, &launch, &working->run, &error);
    working->answer.end.started = error.number;
    (void)close(launch.input);
    (void)close(launch.output);
}

static void work_many(struct working *working, unsigned program, unsigned count)
{
    struct error error = {0};
    struct launch launch = quiet_launch(program);
    while (working->many_count < count &&
           launcher_start(working->launcher, &launch, &working->many[working->many_count], &error))
        working->many_count++;
    working->answer.result = (int)working->many_count;
    (void)close(launch.input);
}

static bool work_order(struct working *working, const struct order *order)
{
    struct answer *answer = &working->answer;
    switch (order->what) {
    case 'S':
        work_launch(working, order->program);
        break;
    case 'L':
        work_launch(working, order->program);
        answer->result = launcher_end(&working->run, PATIENCE, &answer->end);
        launcher_stop(&working->run);
        break;
    case 'E':
        answer->result = launcher_end(&working->run, PATIENCE, &answer->end);
        launcher_stop(&working->run);
        break;
    case 'K':
        launcher_stop(&working->run);
        break;
    case 'N':
        work_many(working, order->program, order->number);
        break;
    case 'W':
        answer->result = 0;
        for (size_t i = 0; i < working->many_count; i++) {
            answer->result += launcher_end(&working->many[i], PATIENCE, &answer->end) == 1;
            launcher_stop(&working->many[i]);
        }
        break;
    case 'V':
        answer->result = launcher_leave(&working->run, "r1");
        break;
    case 'M':
        lie(working->socket, order->number);
        return false;
    case 'B': /* more than it will ever hear the answers of */
        for (unsigned i = 0; i < 6000; i++)
            send_raw(working->socket, &(struct message_header){MESSAGE_LAUNCH_VERSION, i, MISSING, 0, 0, 0},
                     sizeof(struct message_header), (const int[]){0, 1, 2}, 3);
        return false;
    case 'X':
        _exit((int)order->number);
    case 'I':
        working->stubborn = true;
        break;
    case 'G': /* the log that the parent has opened */
        answer->result = launcher_take_log(working->launcher, &(struct error){0});
        if (answer->result >= 0) {
            (void)!write(answer->result, "taken", 5);
            (void)close(answer->result);
        }
        break;
    case 'F': /* the secret that only the parent may know */
        answer->result = programs[SECRET].fixed_environment[0] != NULL;
        break;
    default:
        break;
    }
    return true;
}

static int work(struct generation *generation, int socket)
{
    static struct working working;
    struct order order;
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    working.launcher = launcher_remote(socket);
    working.socket = socket;
    working.answer.generation = (int)(intptr_t)generation->context;
    working.answer.process = getpid();
    if (working.answer.generation == -1 || strcmp(read_file(path_of("policy")), "unusable") == 0)
        return 3;
    if (strcmp(read_file(path_of("policy")), "deaf") != 0)
        (void)launcher_ready(working.launcher, &(struct error){0});
    for (;;) {
        struct pollfd polled[] = {{.fd = control[1], .events = POLLIN}, {.fd = signals, .events = POLLIN}};
        (void)poll(polled, 2, -1);
        if (polled[1].revents) {
            struct signalfd_siginfo info;
            (void)!read(signals, &info, sizeof info);
            note("terminated");
            if (!working.stubborn)
                break;
        }
        if (recv(control[1], &order, sizeof order, MSG_DONTWAIT) == (ssize_t)sizeof order &&
            work_order(&working, &order))
            (void)send(control[1], &working.answer, sizeof working.answer, MSG_NOSIGNAL);
    }
    launcher_close(working.launcher);
    return 0;
}

static const struct parent_calls calls = {.load = load, .release = release, .work = work, .reopen = reopen};

static void start_parent(int generation)
{
    struct timeval patience = {.tv_sec = 8};
    make_pair(control);
    ck_assert_int_eq(setsockopt(control[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    parent = fork();
    if (parent == 0) {
        (void)close(control[0]);
        _exit(parent_run(make_generation(generation), &calls));
    }
    (void)close(control[1]);
}

static void ask(char what, unsigned program, unsigned number)
{
    struct order order = {.what = what, .program = program, .number = number};
    ck_assert_int_eq(send(control[0], &order, sizeof order, MSG_NOSIGNAL), (ssize_t)sizeof order);
}

static struct answer tell(char what, unsigned program)
{
    struct answer answer = {0};
    ask(what, program, 0);
    ck_assert_int_eq(recv(control[0], &answer, sizeof answer, 0), (ssize_t)sizeof answer);
    return answer;
}

static long worker(void)
{
    return tell('P', 0).process;
}

static void make_parent(void)
{
    make_folder();
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* to see what it leaves behind */
    programs[ENDS] = fixed_program(write_script("ends", "echo hello; exit 7"));
    programs[FAMILY] = fixed_program(write_script("makes-family", family));
    programs[ESCAPES] = fixed_program(write_script("escapes", escape));
    programs[MISSING] = fixed_program(write_script("missing", ""));
    ck_assert_int_eq(unlink(programs[MISSING].path), 0);
    static struct pair secret = {.name = TEXT("SECRET"), .value = TEXT("hidden")};
    programs[SECRET] =
        (struct program){.path = write_script("secret", "echo $SECRET"), .environment = {&secret, 1}};
    ck_assert(prepare(&programs[SECRET]));
    programs[SLEEPS] = fixed_program(write_script("sleeps", "exec sleep 1000"));
    start_parent(1);
    (void)worker(); /* so that a signal finds it ready */
}

static int parent_status(void)
{
    int status = 0;
    for (int i = 0; i < 4000; i++) {
        if (waitpid(parent, &status, WNOHANG) == parent) {
            parent = 0;
            return status;
        }
        nap();
    }
    return -1;
}

static void stop_parent(void)
{
    if (parent > 0) {
        ck_assert_int_eq(kill(parent, SIGTERM), 0);
        ck_assert_int_eq(parent_status(), 0);
    }
}

static void end_parent(void)
{
    stop_parent();
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    remove_folder();
}

static const char *children_of_parent(void)
{
    return read_file(arena_printf(arena, "/proc/%ld/task/%ld/children", (long)parent, (long)parent));
}

/* Once it has closed the last ones, which it does after the worker was told. */
static size_t descriptors_of_parent(void)
{
    const char *path = arena_printf(arena, "/proc/%ld/fd", (long)parent);
    size_t count = 0;
    for (int same = 0; same < 10; nap()) {
        size_t now = count_descriptors(path);
        same = now == count ? same + 1 : 0;
        count = now;
    }
    return count;
}

START_TEST(parent_starts_programs)
{
    struct answer answer = tell('L', ENDS);
    ck_assert_int_eq(answer.result, 1);
    ck_assert_int_eq(answer.end.started, 0);
    ck_assert_int_eq(WEXITSTATUS(answer.end.status), 7);
    ck_assert_str_eq(read_file(path_of("output")), "hello\n");
    answer = tell('L', MISSING);
    ck_assert_int_eq(answer.result, 1);
    ck_assert_int_eq(answer.end.started, ENOENT);
    ck_assert_ptr_nonnull(strstr(answer.end.reason, "missing"));
}
END_TEST

START_TEST(parent_keeps_secrets_from_the_worker)
{
    ck_assert_int_eq(tell('F', 0).result, 0);
    ck_assert_int_eq(tell('L', SECRET).result, 1);
    ck_assert_str_eq(read_file(path_of("output")), "hidden\n");
}
END_TEST

START_TEST(parent_kills_the_family)
{
    long numbers[2];
    ck_assert_int_eq(tell('S', FAMILY).result, 1);
    ck_assert(read_numbers("family", numbers, 2));
    tell('K', 0);
    ck_assert(is_gone_soon(numbers[0]));
    ck_assert(is_gone_soon(numbers[1]));
}
END_TEST

START_TEST(parent_kills_what_left_its_group)
{
    write_script("makes-family", leaves);
    long numbers[2];
    ck_assert_int_eq(tell('S', FAMILY).result, 1);
    ck_assert(read_numbers("left", numbers, 2));
    ck_assert_int_ne(numbers[0], numbers[1]);
    tell('K', 0);
    ck_assert(is_gone_soon(numbers[0]));
}
END_TEST

START_TEST(parent_kills_what_escaped)
{
    long number;
    struct answer answer = tell('L', ESCAPES);
    ck_assert_int_eq(WEXITSTATUS(answer.end.status), 5);
    ck_assert(read_numbers("escaped", &number, 1));
    ck_assert(is_gone_soon(number));
    ck_assert_int_gt(worker(), 0);
    /* The next of a busy second. */
    ck_assert_int_eq(tell('L', ESCAPES).result, 1);
    ck_assert(read_numbers("escaped", &number, 1));
    ck_assert(is_gone_soon(number));
}
END_TEST

/* What was left to end, and does not, is stopped; and no worker is short of places for it. */
START_TEST(parent_stops_what_was_left)
{
    long number;
    write_script("makes-family", "echo $$ > x; echo done >> x; mv x family; exec sleep 1000");
    for (int i = 0; i < 3; i++) {
        (void)unlink(path_of("family"));
        ck_assert_int_eq(tell('S', FAMILY).result, 1);
        ck_assert(read_numbers("family", &number, 1));
        ck_assert_int_eq(tell('V', 0).result, 1);
        ck_assert(!is_gone(number));
    }
    ck_assert(is_gone_soon(number));
    for (int left = 0; left < 17; left++) { /* as many as may be left at once, and one */
        ck_assert_int_eq(tell('S', SLEEPS).result, 1);
        ck_assert_int_eq(tell('V', 0).result, left < 16);
    }
    tell('K', 0);
    ck_assert_int_eq(tell('L', ENDS).result, 1);
}
END_TEST

/* A worker that waits for what was left ends when it has ended. */
START_TEST(parent_drains_what_was_left)
{
    long number, process = worker();
    write_script("makes-family", "echo $$ > x; echo done >> x; mv x family; sleep 0.3; echo > ended");
    ck_assert_int_eq(tell('S', FAMILY).result, 1);
    ck_assert(read_numbers("family", &number, 1));
    ck_assert_int_eq(tell('V', 0).result, 1);
    ck_assert_int_eq(kill(parent, SIGTERM), 0);
    ck_assert_int_eq(parent_status(), 0);
    ck_assert(is_gone(process));
    ck_assert(is_gone(number));
    ck_assert_int_eq(access(path_of("ended"), F_OK), 0);
}
END_TEST

/* More answers than a socket holds: they wait for a worker that is only slow. */
START_TEST(parent_tells_of_many_ends_at_once)
{
    struct answer answer;
    write_script("sleeps", "read line < gate");
    ck_assert_int_eq(mkfifo(path_of("gate"), 0600), 0);
    long process = worker();
    ask('N', SLEEPS, MANY);
    ck_assert_int_eq(recv(control[0], &answer, sizeof answer, 0), (ssize_t)sizeof answer);
    ck_assert_int_eq(answer.result, MANY);
    int gate = open(path_of("gate"), O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(tell('L', ENDS).result, 1); /* by now all have been started */
    ck_assert_int_eq(kill((pid_t)process, SIGSTOP), 0);
    for (int i = 0; i < 50; i++)
        nap();
    (void)close(gate);
    const char *only = arena_printf(arena, "%ld ", process);
    for (int i = 0; i < 2000 && strcmp(children_of_parent(), only) != 0; i++)
        nap();
    ck_assert_str_eq(children_of_parent(), only);
    ck_assert_int_eq(kill((pid_t)process, SIGCONT), 0);
    ck_assert_int_eq(tell('W', 0).result, MANY);
    ck_assert_int_eq(worker(), process);
    ck_assert_int_eq(tell('L', ENDS).result, 1);
}
END_TEST

START_TEST(parent_replaces_a_deaf_worker)
{
    write_file("policy", 0644, "deaf");
    ask('X', 0, 0);
    long before = worker();
    write_file("policy", 0644, "good");
    ask('B', 0, 0);
    ck_assert(is_gone_soon(before));
    ck_assert_int_ne(worker(), before);
    ck_assert_int_eq(tell('L', ENDS).result, 1);
}
END_TEST

/* A background job of a program that still runs is in its group: left alone. */
START_TEST(parent_leaves_orphans_of_what_runs)
{
    write_script("makes-family",
                 "rm -f family\n(sh -c 'sleep 1000 & echo $$ $! > x')\necho done >> x; mv x family; wait; "
                 "sleep 1000");
    long numbers[2];
    ck_assert_int_eq(tell('S', FAMILY).result, 1);
    ck_assert(read_numbers("family", numbers, 2));
    for (int i = 0; i < 150; i++)
        nap();
    ck_assert(!is_gone(numbers[1]));
    tell('K', 0);
    ck_assert(is_gone_soon(numbers[1]));
}
END_TEST

START_TEST(parent_replaces_a_liar)
{
    long before = worker();
    size_t descriptors = descriptors_of_parent();
    ask('M', 0, (unsigned)_i);
    ck_assert(is_gone_soon(before));
    long after = worker();
    ck_assert_int_ne(before, after);
    ck_assert_int_eq(tell('L', ENDS).result, 1);
    ck_assert_uint_eq(descriptors_of_parent(), descriptors);
}
END_TEST

START_TEST(parent_replaces_a_dead_worker)
{
    long numbers[2], before = worker();
    ck_assert_int_eq(tell('S', FAMILY).result, 1);
    ck_assert(read_numbers("family", numbers, 2));
    ck_assert_int_eq(kill((pid_t)before, SIGKILL), 0);
    ck_assert(is_gone_soon(numbers[0]));
    ck_assert(is_gone_soon(numbers[1]));
    long after = worker();
    ck_assert_int_ne(before, after);
    ck_assert_int_eq(tell('L', ENDS).result, 1);
}
END_TEST

START_TEST(parent_takes_its_time_with_broken_workers)
{
    uint64_t began = clock_milliseconds();
    for (int i = 0; i < 4; i++) { /* 0, 100, 200 and 400 ms */
        (void)worker();
        ask('X', 0, 0);
    }
    (void)worker();
    uint64_t took = clock_milliseconds() - began;
    ck_assert_uint_ge(took, 690);
    ck_assert_uint_le(took, 30000);
}
END_TEST

START_TEST(parent_reloads)
{
    struct answer before = tell('P', 0);
    ck_assert_int_eq(before.generation, 1);
    write_file("policy", 0644, "bad");
    ck_assert_int_eq(kill(parent, SIGHUP), 0);
    for (int i = 0; i < 20; i++)
        nap();
    struct answer same = tell('P', 0);
    ck_assert_int_eq(same.process, before.process);
    ck_assert_uint_eq(noted("released"), 0);

    write_file("policy", 0644, "good");
    ck_assert_int_eq(kill(parent, SIGHUP), 0);
    ck_assert(is_gone_soon(before.process));
    struct answer after = tell('P', 0);
    ck_assert_int_eq(after.generation, 2);
    ck_assert_int_eq(tell('L', ENDS).result, 1);
    ck_assert_uint_eq(noted("terminated"), 1);
    for (int i = 0; i < 100 && noted("released") == 0; i++)
        nap();
    ck_assert_uint_eq(noted("released"), 1);
    ck_assert_int_eq(kill((pid_t)after.process, SIGKILL), 0); /* it is the new one that is replaced */
    ck_assert(is_gone_soon(after.process));
    ck_assert_int_eq(tell('P', 0).generation, 2);
}
END_TEST

/* What loads, and is no use to a worker, must not cost the worker that there is. */
START_TEST(parent_keeps_a_worker_until_the_next_is_ready)
{
    struct answer before = tell('P', 0);
    write_file("policy", 0644, "unusable");
    ck_assert_int_eq(kill(parent, SIGHUP), 0);
    for (int i = 0; i < 400 && noted("released") == 0; i++)
        nap();
    ck_assert_uint_eq(noted("released"), 1);
    ck_assert_uint_eq(noted("terminated"), 0);
    struct answer same = tell('P', 0);
    ck_assert_int_eq(same.process, before.process);
    ck_assert_int_eq(tell('L', ENDS).result, 1);

    write_file("policy", 0644, "good");
    ck_assert_int_eq(kill(parent, SIGHUP), 0);
    ck_assert(is_gone_soon(before.process));
    ck_assert_int_eq(tell('P', 0).generation, 2);
    ck_assert_uint_eq(noted("terminated"), 1);
}
END_TEST

START_TEST(parent_reopens_logs)
{
    (void)worker();
    ck_assert_int_lt(tell('G', 0).result, 0);
    for (unsigned times = 1; times <= 2; times++) { /* the last one counts */
        ck_assert_int_eq(kill(parent, SIGUSR1), 0);
        for (int i = 0; i < 100 && noted("reopened") < times; i++)
            nap();
        ck_assert_uint_eq(noted("reopened"), times);
    }
    (void)tell('L', ENDS); /* by then it was passed, too */
    ck_assert_int_ge(tell('G', 0).result, 0);
    ck_assert_str_eq(read_file(path_of("log")), "taken");
    ck_assert_int_lt(tell('G', 0).result, 0);
    ck_assert_int_eq(tell('L', ENDS).result, 1);
}
END_TEST

START_TEST(parent_drains)
{
    long process = worker();
    ck_assert_int_eq(tell('S', SLEEPS).result, 1);
    ck_assert_int_eq(kill(parent, _i ? SIGINT : SIGTERM), 0);
    ck_assert_int_eq(parent_status(), 0);
    ck_assert(is_gone(process));
    ck_assert_uint_eq(noted("terminated"), 1);
    ck_assert_uint_eq(noted("released"), 1);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nothing of it came to us */
}
END_TEST

START_TEST(parent_drains_no_longer_than_it_should)
{
    stop_parent();
    drain = 300;
    start_parent(1);
    (void)worker();
    (void)tell('I', 0);
    uint64_t began = clock_milliseconds();
    ck_assert_int_eq(kill(parent, SIGTERM), 0);
    ck_assert_int_eq(parent_status(), 0);
    ck_assert_uint_ge(clock_milliseconds() - began, 300);
}
END_TEST

START_TEST(parent_stops_at_once_when_told_twice)
{
    stop_parent();
    drain = 300000;
    start_parent(1);
    (void)worker();
    (void)tell('I', 0);
    size_t before = noted("terminated");
    ck_assert_int_eq(kill(parent, SIGTERM), 0);
    for (int i = 0; i < 2000 && noted("terminated") == before; i++)
        nap();
    ck_assert_int_eq(kill(parent, SIGTERM), 0);
    ck_assert_int_eq(parent_status(), 0);
}
END_TEST

START_TEST(parent_ends_when_no_worker_starts)
{
    stop_parent();
    start_parent(-1);
    int status = parent_status();
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    ck_assert_uint_eq(noted("released"), 2);
}
END_TEST

START_TEST(parent_dies_and_takes_all_along)
{
    long process = worker();
    long number;
    write_script("makes-family", "echo $$ > x; echo done >> x; mv x family; exec sleep 1000");
    ck_assert_int_eq(tell('S', FAMILY).result, 1);
    ck_assert(read_numbers("family", &number, 1));
    ck_assert_int_eq(kill(parent, SIGKILL), 0);
    ck_assert_int_eq(waitpid(parent, NULL, 0), parent);
    parent = 0;
    for (int i = 0; i < 400 && waitpid(-1, NULL, WNOHANG) >= 0; i++)
        nap();
    ck_assert(is_gone(process));
    ck_assert(is_gone(number));
    ck_assert_uint_eq(noted("terminated"), 1);
}
END_TEST

START_TEST(parent_leaves_nothing_behind)
{
    const char *only = arena_printf(arena, "%ld ", worker());
    size_t before = descriptors_of_parent();
    for (unsigned i = 0; i < 200; i++)
        ck_assert_int_eq(tell('L', i % 10 == 9 ? MISSING : ENDS).result, 1);
    for (int i = 0; i < 100 && strcmp(children_of_parent(), only) != 0; i++)
        nap();
    ck_assert_str_eq(children_of_parent(), only);
    ck_assert_uint_eq(descriptors_of_parent(), before);
}
END_TEST

START_TEST(parent_survives_a_full_table)
{
    struct rlimit limit, few = {0};
    (void)worker();
    ck_assert_int_eq(prlimit(parent, RLIMIT_NOFILE, NULL, &limit), 0);
    few.rlim_max = limit.rlim_max;
    int answered = 0;
    for (few.rlim_cur = 0; few.rlim_cur < 20; few.rlim_cur++) {
        ck_assert_int_eq(prlimit(parent, RLIMIT_NOFILE, &few, NULL), 0);
        struct answer answer = tell('L', ENDS);
        if (answer.result == 1 && answer.end.started == EMFILE)
            answered++;
    }
    ck_assert_int_gt(answered, 0);
    ck_assert_int_eq(prlimit(parent, RLIMIT_NOFILE, &limit, NULL), 0);
    ck_assert_int_eq(tell('L', ENDS).end.started, 0);
}
END_TEST

START_TEST(parent_survives_a_storm)
{
    (void)worker();
    for (int i = 0; i < 2000; i++)
        ck_assert_int_eq(kill(parent, i % 2 ? SIGCHLD : SIGUSR1), 0);
    ck_assert_int_eq(WEXITSTATUS(tell('L', ENDS).end.status), 7);
}
END_TEST

/* A user who may signal the child before it is the program must not stop us. It can hold up a start of its
 * own for 10 s: where there are few processes, each SIGCONT is at once followed by the next SIGSTOP. */
START_TEST(parent_is_not_held_up_by_a_stop)
{
    if (geteuid() != 0)
        return;
    stop_parent();
    struct program program = {.path = "/bin/true", .user = "4713", .group = "4713"};
    ck_assert(prepare(&program));
    pid_t attacker = fork();
    if (attacker == 0) {
        if (setresgid(4713, 4713, 4713) != 0 || setresuid(4713, 4713, 4713) != 0)
            _exit(1);
        for (;;)
            (void)kill(-1, SIGSTOP); /* every process of that user, but not itself */
    }
    struct launch launch = quiet_launch(0);
    uint64_t began = clock_milliseconds();
    for (int i = 0; i < 300 && clock_milliseconds() - began < 20000; i++) {
        struct error error = {0};
        uint64_t start = clock_milliseconds();
        pid_t child = spawn_program(&program, &launch, &error);
        ck_assert_int_gt(child, 0);
        ck_assert_uint_lt(clock_milliseconds() - start, 20000);
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
    }
    ck_assert_int_eq(kill(attacker, SIGKILL), 0);
    ck_assert_int_eq(waitpid(attacker, NULL, 0), attacker);
}
END_TEST

/* ---- privileges */

static int in_fork(int (*probe)(void))
{
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(probe());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return (__LINE__ % 200) + 50;                                                                    \
    } while (0)

static int drop_to_nobody(void)
{
    struct error error = {0};
    int number = 0;
    gid_t groups[8];
    EXPECT(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
    EXPECT(privileges_drop("nobody", NULL, &error));
    EXPECT(getuid() == 65534 && geteuid() == 65534 && getegid() == 65534);
    EXPECT(getgroups(8, groups) == 1 && groups[0] == 65534);
    EXPECT(setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0);
    EXPECT(prctl(PR_GET_PDEATHSIG, &number) == 0 && number == SIGTERM);
    EXPECT(privileges_drop("nobody", NULL, &error)); /* what it is already */
    EXPECT(!privileges_drop("root", NULL, &error) && error.set);
    return 0;
}

static int drop_nothing(void)
{
    struct error error = {0};
    uid_t user = geteuid();
    EXPECT(privileges_drop(NULL, NULL, &error) && !error.set && geteuid() == user);
    EXPECT(!privileges_drop("no-such-user-here", NULL, &error) && error.set && geteuid() == user);
    error = (struct error){0};
    EXPECT(!privileges_drop(NULL, "no-such-group-here", &error) && error.set);
    return 0;
}

static int drop_group_only(void)
{
    struct error error = {0};
    gid_t groups[8];
    EXPECT(privileges_drop(NULL, "nogroup", &error));
    EXPECT(getuid() == 0 && getegid() == 65534);
    EXPECT(getgroups(8, groups) == 1 && groups[0] == 65534);
    return 0;
}

START_TEST(privileges_are_dropped)
{
    ck_assert_int_eq(in_fork(drop_nothing), 0);
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(in_fork(drop_to_nobody), 0);
    ck_assert_int_eq(in_fork(drop_group_only), 0);
}
END_TEST

/* ---- sandbox */

static bool as_nobody; /* set for the second round */

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1u) >= 1;
}

static bool enter(void)
{
    struct error error = {0};
    const char *readable[] = {path_of("readable"), path_of("one"), path_of("absent"), NULL};
    const char *writable[] = {path_of("spool"), NULL};
    const struct sandbox_paths paths = {.readable = readable, .writable = writable};
    return (!as_nobody || privileges_drop("nobody", NULL, &error)) && sandbox_enter(&paths, &error);
}

static int probe_exec(void)
{
    EXPECT(enter());
    char *const argv[] = {(char *)"true", NULL};
    (void)execve("/bin/true", argv, argv + 1);
    return 1;
}

static int probe_execveat(void)
{
    EXPECT(enter());
    (void)syscall(SYS_execveat, AT_FDCWD, "/bin/true", NULL, NULL, 0);
    return 1;
}

static int probe_ptrace(void)
{
    EXPECT(enter());
    (void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
    return 1;
}

static int probe_memory(void)
{
    EXPECT(enter());
    (void)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
    return 1;
}

static int probe_processes(void)
{
    EXPECT(enter());
    EXPECT(fork() < 0 && errno == EPERM);
#ifdef SYS_fork
    EXPECT(syscall(SYS_fork) < 0 && errno == EPERM);
    EXPECT(syscall(SYS_vfork) < 0 && errno == EPERM);
#endif
    EXPECT(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL) < 0 && errno == EPERM);
    EXPECT(syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS);
    EXPECT(kill(getppid(), 0) < 0 && errno == EPERM);
    EXPECT(kill(-1, 0) < 0 && errno == EPERM);
    EXPECT(kill(0, 0) < 0 && errno == EPERM);
    EXPECT(syscall(SYS_tgkill, getppid(), getppid(), 0) < 0 && errno == EPERM);
    EXPECT(syscall(SYS_tkill, getppid(), 0) < 0 && errno == EPERM);
    EXPECT(kill(getpid(), 0) == 0);
    EXPECT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    return 0;
}

static int probe_abort(void)
{
    EXPECT(enter());
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}

static int probe_other_files(void)
{
    EXPECT(enter());
    EXPECT(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    EXPECT(open(path_of("secret"), O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
    EXPECT(open(path_of("readable/file"), O_WRONLY | O_CLOEXEC) < 0);
    EXPECT(open(path_of("readable/new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0);
    EXPECT(open(path_of("one"), O_WRONLY | O_CLOEXEC) < 0);
    EXPECT(truncate(path_of("one"), 0) < 0);
    EXPECT(unlink(path_of("readable/file")) < 0);
    EXPECT(mkdir(path_of("spool/folder"), 0700) < 0);
    EXPECT(symlink("/etc/passwd", path_of("spool/link")) < 0);
    EXPECT(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0);
    return 0;
}

static int probe_files(void)
{
    char content[8] = "";
    EXPECT(enter());
    int file = open(path_of("readable/file"), O_RDONLY | O_CLOEXEC);
    EXPECT(file >= 0 && read(file, content, sizeof content) == 4);
    EXPECT(open(path_of("one"), O_RDONLY | O_CLOEXEC) >= 0);
    file = open(path_of("spool"), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    EXPECT(file >= 0 && pwrite(file, "spooled", 7, 0) == 7 && pread(file, content, 7, 0) == 7);
    EXPECT(ftruncate(file, 3) == 0 && lseek(file, 0, SEEK_END) == 3);
    file = open(path_of("spool/new"), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640);
    EXPECT(file >= 0 && write(file, "line\n", 5) == 5 && fsync(file) == 0);
    EXPECT(rename(path_of("spool/new"), path_of("spool/old")) == 0);
    EXPECT(open(path_of("spool/old"), O_RDWR | O_TRUNC | O_CLOEXEC) >= 0);
    EXPECT(unlink(path_of("spool/old")) == 0);
    return 0;
}

static void *thread_body(void *context)
{
    char *block = malloc(1 << 20);
    memset(block, 1, 1 << 20);
    *(int *)context += block[17];
    free(block);
    return context;
}

static int probe_threads(void)
{
    EXPECT(enter());
    for (int i = 0; i < 8; i++) {
        pthread_t thread;
        int sum = 0;
        void *result;
        EXPECT(pthread_create(&thread, NULL, thread_body, &sum) == 0);
        EXPECT(pthread_join(thread, &result) == 0 && sum == 1);
    }
    return 0;
}

static int probe_sockets(void)
{
    int sockets[2];
    struct error error = {0};
    EXPECT(enter());
    EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
    struct launch launch = {.output = 1, .errors = 2, .environment = no_environment};
    EXPECT(message_send(sockets[0], &launch, 2047, &error));
    EXPECT(message_receive(sockets[1], message, &error) == MESSAGE_LAUNCH);
    EXPECT(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
#ifndef SANITIZERS
    EXPECT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno == EPERM);
    EXPECT(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 && errno == EPERM);
    EXPECT(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0) < 0 && errno == EPERM);
    EXPECT(syscall(SYS_unshare, 0) < 0 && errno == EPERM);
    EXPECT(syscall(SYS_memfd_create, "x", 0) < 0 && errno == EPERM);
#endif
    return 0;
}

#ifndef SANITIZERS
static bool refused(int domain, int type, int protocol)
{
    return socket(domain, type | SOCK_CLOEXEC, protocol) < 0 && errno == EPERM;
}
#endif

static int probe_network(void)
{
    struct error error = {0};
    const char *writable[] = {path_of("spool"), NULL};
    const struct sandbox_paths paths = {.writable = writable, .network = true};
    EXPECT((!as_nobody || privileges_drop("nobody", NULL, &error)) && sandbox_enter(&paths, &error));
    EXPECT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP) >= 0);
    EXPECT(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
    EXPECT(socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT);
    EXPECT(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP) >= 0 || errno == EAFNOSUPPORT);
    EXPECT(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
    EXPECT(open("/etc/nsswitch.conf", O_RDONLY | O_CLOEXEC) >= 0 || errno == ENOENT);
    if (has_landlock()) {
        EXPECT(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
        EXPECT(open(path_of("secret"), O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
        EXPECT(open("/etc/nsswitch.conf", O_WRONLY | O_CLOEXEC) < 0);
    }
#ifndef SANITIZERS
    EXPECT(refused(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    EXPECT(refused(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
    EXPECT(refused(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
    EXPECT(refused(AF_INET6, SOCK_SEQPACKET, 0));
    EXPECT(refused(AF_PACKET, SOCK_DGRAM, 0));
    EXPECT(refused(AF_NETLINK, SOCK_RAW, 0));
#endif
    return 0;
}

static int probe_missing_folder(void)
{
    struct error error = {0};
    const char *writable[] = {path_of("absent"), NULL};
    const struct sandbox_paths paths = {.writable = writable};
    return sandbox_enter(&paths, &error) || !error.set;
}

static void make_sandbox(void)
{
    make_message();
    make_subfolder("readable", 0755);
    make_subfolder("spool", 0777);
    write_file("readable/file", 0666, "text");
    write_file("one", 0666, "text");
    write_file("secret", 0666, "text");
}

START_TEST(sandbox_holds)
{
    static const struct {
        int (*probe)(void);
        int result;
        bool by_landlock;
    } probes[] = {
        {probe_exec, 1000 + SIGSYS, false},
        {probe_execveat, 1000 + SIGSYS, false},
        {probe_ptrace, 1000 + SIGSYS, false},
        {probe_memory, 1000 + SIGSYS, false},
        {probe_processes, 0, false},
        {probe_abort, 1000 + SIGABRT, false},
        {probe_other_files, 0, true},
        {probe_files, 0, false},
        {probe_threads, 0, false},
        {probe_sockets, 0, false},
        {probe_network, 0, false},
        {probe_missing_folder, 0, true},
    };
    as_nobody = _i == 1;
    if (as_nobody && geteuid() != 0)
        return;
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        if (probes[i].by_landlock && !has_landlock())
            continue;
        int result = in_fork(probes[i].probe);
        ck_assert_msg(result == probes[i].result, "probe %zu gave %d", i, result);
    }
}
END_TEST

/* ---- the suite */

static void add_spawn(Suite *suite)
{
    TCase *spawning = tcase_create("spawn");
    tcase_add_checked_fixture(spawning, make_folder, remove_folder);
    tcase_add_test(spawning, spawn_runs_a_script);
    tcase_add_test(spawning, spawn_leaves_three_descriptors);
    tcase_add_test(spawning, spawn_takes_low_descriptors);
    tcase_add_test(spawning, spawn_sets_the_environment_exactly);
    tcase_add_test(spawning, spawn_removes_every_duplicate);
    tcase_add_test(spawning, spawn_makes_a_process_group);
    tcase_add_test(spawning, spawn_resets_signals_and_umask);
    tcase_add_test(spawning, spawn_sets_limits);
    tcase_add_test(spawning, spawn_keeps_hard_limits);
    tcase_add_test(spawning, spawn_ends_what_uses_too_much_time);
    tcase_add_test(spawning, spawn_changes_the_user);
    tcase_add_test(spawning, spawn_enters_the_folder_as_the_user);
    tcase_add_test(spawning, spawn_gives_no_privileges);
    tcase_add_test(spawning, spawn_says_why_not);
    tcase_add_test(spawning, spawn_checks_a_fixed_program_again);
    tcase_add_test(spawning, spawn_fails_when_no_process_is_left);
    suite_add_tcase(suite, spawning);
}

static void add_program(Suite *suite)
{
    TCase *opening = tcase_create("program");
    tcase_add_checked_fixture(opening, make_folder, remove_folder);
    tcase_add_test(opening, open_walks_beneath_the_root);
    tcase_add_test(opening, closed_folders_have_no_scripts);
    tcase_add_test(opening, open_refuses_odd_names);
    tcase_add_test(opening, open_without_index_or_extensions);
    tcase_add_test(opening, open_judges_owners);
    tcase_add_test(opening, open_allows_setuid_when_told);
    tcase_add_test(opening, root_splits_the_path);
    tcase_add_test(opening, prepare_refuses_bad_files);
    tcase_add_test(opening, prepare_refuses_bad_settings);
    tcase_add_test(opening, prepare_tells_users_apart);
    tcase_add_test(opening, prepare_judges_names);
    tcase_add_test(opening, forget_wipes_the_environment);
    suite_add_tcase(suite, opening);
}

static void add_message(Suite *suite)
{
    TCase *messages = tcase_create("message");
    tcase_add_checked_fixture(messages, make_message, free_message);
    tcase_add_test(messages, parse_takes_what_fits);
    tcase_add_test(messages, parse_refuses_what_does_not);
    tcase_add_test(messages, parse_refuses_too_many_variables);
    tcase_add_test(messages, message_carries_the_largest);
    tcase_add_test(messages, message_is_not_sent_when_malformed);
    tcase_add_test(messages, message_counts_descriptors);
    tcase_add_test(messages, message_survives_a_full_table);
    tcase_add_test(messages, message_tells_the_short_ones_apart);
    tcase_add_test(messages, message_answers);
    tcase_add_test(messages, message_passes_the_log);
    suite_add_tcase(suite, messages);
}

static void add_launcher(Suite *suite)
{
    TCase *local = tcase_create("local launcher");
    tcase_add_checked_fixture(local, make_folder, remove_folder);
    tcase_add_test(local, local_tells_the_end);
    tcase_add_test(local, local_tells_why_not);
    tcase_add_test(local, local_kills_the_family);
    tcase_add_test(local, local_kills_what_left_its_group);
    tcase_add_test(local, local_kills_the_rest_at_the_end);
    tcase_add_test(local, local_kills_what_escaped);
    suite_add_tcase(suite, local);
}

static void add_parent(Suite *suite)
{
    TCase *parents = tcase_create("parent");
    tcase_add_checked_fixture(parents, make_parent, end_parent);
    tcase_add_test(parents, parent_starts_programs);
    tcase_add_test(parents, parent_keeps_secrets_from_the_worker);
    tcase_add_test(parents, parent_kills_the_family);
    tcase_add_test(parents, parent_kills_what_left_its_group);
    tcase_add_test(parents, parent_kills_what_escaped);
    tcase_add_test(parents, parent_stops_what_was_left);
    tcase_add_test(parents, parent_drains_what_was_left);
    tcase_add_test(parents, parent_leaves_orphans_of_what_runs);
    tcase_add_loop_test(parents, parent_replaces_a_liar, 0, LIES);
    tcase_add_test(parents, parent_tells_of_many_ends_at_once);
    tcase_add_test(parents, parent_replaces_a_deaf_worker);
    tcase_add_test(parents, parent_replaces_a_dead_worker);
    tcase_add_test(parents, parent_takes_its_time_with_broken_workers);
    tcase_add_test(parents, parent_reloads);
    tcase_add_test(parents, parent_keeps_a_worker_until_the_next_is_ready);
    tcase_add_test(parents, parent_reopens_logs);
    tcase_add_loop_test(parents, parent_drains, 0, 2);
    tcase_add_test(parents, parent_drains_no_longer_than_it_should);
    tcase_add_test(parents, parent_stops_at_once_when_told_twice);
    tcase_add_test(parents, parent_ends_when_no_worker_starts);
    tcase_add_test(parents, parent_dies_and_takes_all_along);
    tcase_add_test(parents, parent_leaves_nothing_behind);
    tcase_add_test(parents, parent_survives_a_full_table);
    tcase_add_test(parents, parent_survives_a_storm);
    tcase_add_test(parents, parent_is_not_held_up_by_a_stop);
    suite_add_tcase(suite, parents);
}

static void add_sandbox(Suite *suite)
{
    TCase *sandbox = tcase_create("sandbox");
    tcase_add_checked_fixture(sandbox, make_sandbox, free_message);
    tcase_add_test(sandbox, privileges_are_dropped);
    tcase_add_loop_test(sandbox, sandbox_holds, 0, 2);
    suite_add_tcase(suite, sandbox);
}

int main(void)
{
    Suite *suite = suite_create("process");
    add_spawn(suite);
    add_program(suite);
    add_message(suite);
    add_launcher(suite);
    add_parent(suite);
    add_sandbox(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
