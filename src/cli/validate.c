/*
 * validate: judges instances by a schema, for whoever writes schemas. A verdict
 * a line, and nothing of an instance in it but the names on the way to what is
 * wrong.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/bytes.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "data/file.h"
#include "data/schema.h"
#include "data/schema_position.h"

enum { INSTANCE_LIMIT = 16 << 20, ERRORS_LIMIT = 100 };

struct job {
    const char *file;
    char *const *instances; /* ended by NULL; none: standard input */
    struct schema_options options;
    struct documents documents;
    struct schema *schema;
    bool invalid; /* an instance was */
};

/* ---- verdicts */

static void add_member(struct bytes *bytes, const char *name, const char *value)
{
    bytes_printf(bytes, "\"%s\":", name);
    bytes_add_json(bytes, text_of(value));
}

/* False when it cannot be written. */
static bool tell(struct job *job, const struct schema_errors *errors)
{
    struct bytes line = bytes_new(errors->arena, SIZE_MAX);
    job->invalid |= errors->count > 0;
    bytes_printf(&line, "{\"valid\":%s,\"errors\":[", errors->count ? "false" : "true");
    for (size_t i = 0; i < errors->count; i++) {
        bytes_add_text(&line, text_of(i ? ",{" : "{"));
        add_member(&line, "pointer", errors->items[i].pointer);
        bytes_add(&line, ",", 1);
        add_member(&line, "keyword", errors->items[i].keyword);
        bytes_add(&line, ",", 1);
        add_member(&line, "message", errors->items[i].message);
        bytes_add(&line, "}", 1);
    }
    bytes_printf(&line, "]%s}\n", errors->more ? ",\"more\":true" : "");
    bool told = fwrite(line.at, 1, line.length, stdout) == line.length && fflush(stdout) == 0;
    if (!told)
        perror("fcgiguard: standard output");
    return told;
}

static bool refuse(struct job *job, struct arena *arena, const char *keyword, const char *message)
{
    struct schema_error error = {"", keyword, message};
    return tell(job, &(struct schema_errors){.arena = arena, .limit = 1, .count = 1, .items = &error});
}

/* jansson's own words are not used: they repeat what is near. */
static bool refuse_text(struct job *job, struct arena *arena, json_error_t *problem)
{
    static const struct {
        enum json_error_code code;
        const char *keyword, *message;
    } problems[] = {
        {json_error_invalid_utf8, "json", "is not UTF-8"},
        {json_error_duplicate_key, "json", "has a name twice in one object"},
        {json_error_null_byte_in_key, "limit", "has a name with NUL"},
        {json_error_stack_overflow, "limit", "is nested too deeply"},
        {json_error_numeric_overflow, "limit", "has a number that is too large"},
        {json_error_out_of_memory, "limit", "takes too much memory"},
    };
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        if (json_error_code(problem) == problems[i].code)
            return refuse(job, arena, problems[i].keyword, problems[i].message);
    return refuse(job, arena, "json",
                  arena_printf(arena, "is not JSON at line %d, column %d", problem->line, problem->column));
}

static bool judge(struct job *job, struct arena *arena, struct text text)
{
    json_error_t problem;
    json_t *instance = schema_json(text, &problem);
    if (!instance)
        return refuse_text(job, arena, &problem);
    struct schema_errors errors = schema_errors_new(arena, ERRORS_LIMIT);
    schema_validate(job->schema, instance, &errors);
    json_decref(instance);
    return tell(job, &errors);
}

/* ---- instances */

static bool judge_file(struct job *job, const char *path)
{
    struct arena *arena = arena_new();
    struct error error = {0};
    struct text text = {0};
    bool told = documents_read_file(arena, path, INSTANCE_LIMIT, &text, &error)
                    ? judge(job, arena, text)
                    : refuse(job, arena, error.number == EFBIG ? "limit" : "file", error.message);
    arena_free(arena);
    return told;
}

struct lines {
    char buffer[64 * 1024];
    size_t from, to;
    bool failed;
};

/* Up to the next newline, or the end; false when there is nothing more. */
static bool next_line(struct lines *lines, struct bytes *line)
{
    for (bool any = false;; any = true) {
        if (lines->from == lines->to) {
            ssize_t got = read(STDIN_FILENO, lines->buffer, sizeof lines->buffer);
            lines->failed = got < 0 && errno != EINTR;
            if (got == 0 || lines->failed)
                return any && !lines->failed;
            lines->from = 0;
            lines->to = got > 0 ? (size_t)got : 0;
        }
        struct text rest = {lines->buffer + lines->from, lines->to - lines->from};
        size_t end = text_find(rest, '\n');
        bytes_add(line, rest.at, end);
        lines->from += end < rest.length ? end + 1 : end;
        if (end < rest.length)
            return true;
    }
}

static bool judge_lines(struct job *job)
{
    struct lines lines = {.from = 0};
    bool told = true;
    while (told) {
        struct arena *arena = arena_new();
        struct bytes line = bytes_new(arena, INSTANCE_LIMIT);
        bool there = next_line(&lines, &line);
        if (there)
            told = line.full ? refuse(job, arena, "limit", "is a line of more than 16 MB")
                             : judge(job, arena, bytes_text(&line));
        arena_free(arena);
        if (!there)
            break;
    }
    if (lines.failed)
        perror("fcgiguard: standard input");
    return told && !lines.failed;
}

/* ---- the schema */

/* What the fault is about may stand in a document that the schema refers to. */
static void print_fault(struct job *job, struct schema_fault *fault)
{
    const char *path = job->file;
    struct error error = {0};
    struct text text = {0};
    if (fault->uri[0] && documents_read(&job->documents, fault->uri, &text, &path, &error))
        schema_position(text, text_of(fault->pointer), &fault->line, &fault->column);
    else if (fault->uri[0])
        path = fault->uri;
    struct findings findings = findings_new(job->documents.arena, path);
    findings_add_at(&findings, FINDING_ERROR, fault->line, fault->column, "%s%s%s",
                    fault->keyword ? fault->keyword : "", fault->keyword ? ": " : "", fault->error.message);
    findings_print(&findings, FINDING_ERROR, stderr);
}

static bool load(struct job *job)
{
    struct schema_fault fault = {0};
    struct text text = {0};
    if (documents_read_file(job->documents.arena, job->file, FILE_SIZE_LIMIT, &text, &fault.error))
        job->schema = schema_parse(text, &job->options, &fault);
    if (!job->schema)
        print_fault(job, &fault);
    return job->schema;
}

/* ---- the command line */

static bool read_draft(const char *name, enum schema_draft *draft)
{
    static const char *const names[] = {
        [SCHEMA_DRAFT_2020_12] = "2020-12",
        [SCHEMA_DRAFT_2019_09] = "2019-09",
        [SCHEMA_DRAFT_7] = "7",
        [SCHEMA_DRAFT_6] = "6",
        [SCHEMA_DRAFT_4] = "4",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return *draft = (enum schema_draft)i, true;
    return false;
}

static int read_arguments(struct job *job, int argc, char **argv)
{
    static const struct option options[] = {{"draft", required_argument, NULL, 'd'},
                                            {"no-format", no_argument, NULL, 'n'},
                                            {"resolve", required_argument, NULL, 'r'},
                                            {0}};
    struct error error = {0};
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (option == 'd' && !read_draft(optarg, &job->options.draft))
            return command_misused(&validate_command, "\"%s\" is not 4, 6, 7, 2019-09 or 2020-12", optarg);
        if (option == 'r' && !documents_add(&job->documents, optarg, &error))
            return command_misused(&validate_command, "%s", error.message);
        if (option == 'n')
            job->options.formats_annotate = true;
        if (option == ':' || option == '?')
            return command_bad_option(&validate_command, option, argv);
    }
    if (optind == argc)
        return command_misused(&validate_command, "a schema is needed");
    job->file = argv[optind];
    job->instances = argv + optind + 1;
    return EXIT_GOOD;
}

static int judge_all(struct job *job)
{
    bool told = *job->instances || judge_lines(job);
    for (char *const *instance = job->instances; told && *instance; instance++)
        told = judge_file(job, *instance);
    return told && !job->invalid ? EXIT_GOOD : EXIT_BAD;
}

static int validate(int argc, char **argv)
{
    struct arena *arena = arena_new();
    struct job job = {.options = {.resolve = documents_resolve}};
    job.documents =
        (struct documents){arena, arena_array(arena, (size_t)argc, sizeof *job.documents.items), 0};
    job.options.context = &job.documents;
    int status = read_arguments(&job, argc, argv);
    if (status == EXIT_GOOD)
        status = load(&job) ? judge_all(&job) : EXIT_USAGE;
    schema_free(job.schema);
    documents_close(&job.documents);
    arena_free(arena);
    return status;
}

const struct command validate_command = {
    .name = "validate",
    .usage = "[--draft DRAFT] [--no-format] [--resolve URI=FOLDER]... SCHEMA [INSTANCE...]",
    .help = "judge JSON by a JSON Schema",
    .run = validate,
};
