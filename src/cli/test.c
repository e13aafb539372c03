/*
 * test: plays the requests of test files against their policies, and says what
 * became otherwise than expected. For the machines of those who write policies:
 * without a server, and nothing that the policy names is started or asked.
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "cli/test_file.h"
#include "cli/test_request.h"
#include "cli/test_stage.h"

enum { WHY_LIMIT = 64 * 1024 };

struct session {
    const char *policy; /* instead of what files name */
    bool verbose, uncovered;
    struct arena *arena;
    struct {
        const char *path;
        struct test_stage *stage; /* NULL: it does not load */
    } * stages;                   /* one for each policy */
    size_t stage_count;
    size_t passed, failed;
    int status;
};

/* ---- policies */

static struct test_stage *open_stage(const char *file)
{
    struct error error = {0};
    struct policy *policy = command_load_elsewhere(file);
    struct test_stage *stage = policy ? test_stage_new(policy, &error) : NULL;
    if (policy && !stage)
        fprintf(stderr, "fcgiguard: %s\n", error.message);
    return stage;
}

/* Files that test the same policy share its stage, and what of it they reach. */
static struct test_stage *find_stage(struct session *session, const char *file)
{
    char resolved[PATH_MAX];
    const char *path = realpath(file, resolved) ? resolved : file;
    for (size_t i = 0; i < session->stage_count; i++)
        if (strcmp(session->stages[i].path, path) == 0)
            return session->stages[i].stage;
    struct test_stage *stage = open_stage(file);
    session->stages[session->stage_count].path = arena_copy(session->arena, path, strlen(path));
    session->stages[session->stage_count++].stage = stage;
    return stage;
}

static void tell_uncovered(const struct policy *policy, const struct route *route)
{
    const struct openapi_operation *operation = route->operation;
    if (operation)
        printf("%s:%u: %s: no case reaches it\n", operation->position.file, operation->position.line,
               route->path);
    else
        printf("%s:%u: %s: no case reaches it\n", policy->file, route->node->line, route->path);
}

static void close_stages(struct session *session)
{
    for (size_t i = 0; i < session->stage_count; i++) {
        struct test_stage *stage = session->stages[i].stage;
        if (stage && session->uncovered && test_stage_uncovered(stage, tell_uncovered) > 0 &&
            session->status == EXIT_GOOD)
            session->status = EXIT_BAD;
        if (stage)
            test_stage_free(stage);
    }
}

/* ---- files */

static void play(struct session *session, struct test_stage *stage, const char *file,
                 const struct test_case *test)
{
    char *story = NULL;
    size_t length;
    struct arena *arena = arena_new();
    struct bytes why = bytes_new(arena, WHY_LIMIT);
    FILE *to = session->verbose ? open_memstream(&story, &length) : NULL;
    bool good = test_stage_play(stage, test, &why, to);
    if (to)
        fclose(to);
    if (good)
        session->passed++;
    else
        printf("%s:%u:%u: %s: %.*s\n%s", file, test->node->line, test->node->column, test->name,
               TEXT_ARGUMENTS(bytes_text(&why)), story ? story : "");
    session->failed += !good;
    free(story);
    arena_free(arena);
}

/* The file, and the stage of its policy, which is NULL where that does not load; false with findings. */
static bool read_file(struct session *session, struct test_file *file, const char *name,
                      struct test_stage **stage)
{
    *stage = NULL;
    if (!test_file_read(file, name, session->arena))
        return false;
    const char *policy = session->policy ? session->policy : file->policy;
    if (!policy)
        return findings_add_at(&file->findings, FINDING_ERROR, 1, 1,
                               "the key `policy` is missing, expected a file's path, or the option -c");
    *stage = find_stage(session, policy);
    bool good = true;
    for (size_t i = 0; *stage && i < file->count; i++)
        good = test_request_check(test_stage_policy(*stage), &file->cases[i], &file->findings) && good;
    return good;
}

/* What is wrong with a file is the fault of whoever asks, not the policy's. */
static int run_file(struct session *session, const char *name)
{
    struct test_file file;
    struct test_stage *stage;
    if (!read_file(session, &file, name, &stage)) {
        findings_print(&file.findings, FINDING_ERROR, stderr);
        return EXIT_USAGE;
    }
    if (!stage)
        return EXIT_BAD;
    size_t failed = session->failed;
    for (size_t i = 0; i < file.count; i++)
        play(session, stage, name, &file.cases[i]);
    return session->failed > failed ? EXIT_BAD : EXIT_GOOD;
}

static void run_files(struct session *session, int count, char **names)
{
    size_t left_out = 0;
    session->stages = arena_array(session->arena, (size_t)count, sizeof *session->stages);
    for (int i = 0; i < count; i++) {
        size_t played = session->passed + session->failed;
        int status = run_file(session, names[i]);
        left_out += session->passed + session->failed == played;
        if (status > session->status)
            session->status = status;
    }
    close_stages(session);
    printf("%zu passed, %zu failed", session->passed, session->failed);
    if (left_out > 0)
        printf(", %zu file%s not played", left_out, left_out == 1 ? "" : "s");
    putchar('\n');
}

static int test(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"uncovered", no_argument, NULL, 'u'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {0}};
    struct session session = {.status = EXIT_GOOD};
    struct error error = {0};
    for (int option; (option = getopt_long(argc, argv, ":c:uv", options, NULL)) != -1;) {
        if (option == 'c')
            session.policy = optarg;
        else if (option == 'u')
            session.uncovered = true;
        else if (option == 'v')
            session.verbose = true;
        else
            return command_bad_option(&test_command, option, argv);
    }
    if (optind == argc)
        return command_misused(&test_command, "a file of cases is needed");
    session.arena = arena_new();
    log_open("stderr", SEVERITY_ERROR, &error); /* what is logged of requests is told here */
    run_files(&session, argc - optind, argv + optind);
    arena_free(session.arena);
    return session.status;
}

const struct command test_command = {
    .name = "test",
    .usage = "[-c|--config POLICY] [-u|--uncovered] [-v|--verbose] FILE...",
    .help = "play requests of a file, and say what became otherwise than expected",
    .file = &test_file_section,
    .run = test,
};
