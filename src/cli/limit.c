/*
 * limit: tells what callers have used of their limits, from the counters of the
 * store that a policy names, and resets it. The rules are the policy's; without
 * one it is told what the counters know by themselves.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/limit_use.h"
#include "store/redis_url.h"

/* People wait longer for a store than requests do. */
enum { PATIENCE_MS = 20000, ROWS_UNKNOWN = 1000000 };

/* The command line, and what it works with. */
struct job {
    const char *policy_file, *store_path, *name;
    struct text key;
    bool json;
    struct arena *arena;
    struct policy *policy;
    struct counters *counters;
    struct limit_use *items; /* that are not over, sorted */
    size_t count, room;
    struct error error;
};

struct verb {
    const char *name;
    struct command command; /* for messages: its own usage */
    bool takes_key, takes_name;
    int (*run)(struct job *);
};

/* ---- what became of it */

static int failed(const struct job *job)
{
    fprintf(stderr, "fcgiguard: %s\n", job->error.message);
    return EXIT_BAD;
}

static int missing(const struct job *job)
{
    if (job->name)
        fprintf(stderr, "fcgiguard: there is no counter of the limit \"%s\"\n", job->name);
    else
        fprintf(stderr, "fcgiguard: there is no counter \"%.*s\"\n", TEXT_ARGUMENTS(job->key));
    return EXIT_BAD;
}

static int finish_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_GOOD;
    perror("fcgiguard: standard output cannot be written");
    return EXIT_BAD;
}

/* ---- counters */

static struct limit_use *new_item(struct job *job)
{
    if (job->count == job->room) {
        job->room = job->room ? 2 * job->room : 64;
        job->items = reallocarray(job->items, job->room, sizeof *job->items);
        if (!job->items)
            abort();
    }
    return &job->items[job->count++];
}

static bool may_be_key(struct text text)
{
    return text.length > 0 && text.length <= COUNTER_KEY_SIZE && text_is_line(text);
}

/* Whoever can write to a store can write what he likes into a key, which is for a terminal. */
static bool collect(void *context, const struct counter *counter)
{
    struct job *job = context;
    const struct text name = {counter->key.at, text_find(counter->key, ' ')};
    if (counter->expires > counter->now && may_be_key(counter->key) &&
        (!job->name || text_equal(name, text_of(job->name))))
        *new_item(job) = limit_use_of(counter, job->policy ? &job->policy->limits : NULL, job->arena);
    return true;
}

/* Those of the key, of the limit, or all. */
static bool find(struct job *job)
{
    if (!counters_list(job->counters, job->key, collect, job, &job->error))
        return false;
    if (job->count > 0)
        qsort(job->items, job->count, sizeof *job->items, limit_use_compare);
    return true;
}

/* ---- the verbs */

static void print_json(const struct job *job)
{
    struct arena *arena = arena_new();
    for (size_t i = 0; i < job->count; i++) {
        limit_use_print_json(stdout, &job->items[i], arena);
        arena_reset(arena);
    }
    arena_free(arena);
}

static int list(struct job *job)
{
    if (!find(job))
        return failed(job);
    if (job->json)
        print_json(job);
    else if (job->count > 0)
        limit_use_print_header(stdout);
    for (size_t i = 0; i < job->count && !job->json; i++)
        limit_use_print_row(stdout, &job->items[i]);
    return finish_output();
}

static int show(struct job *job)
{
    if (!find(job))
        return failed(job);
    if (job->count == 0)
        return missing(job);
    if (job->json)
        print_json(job);
    for (size_t i = 0; i < job->count && !job->json; i++) {
        fputs(i ? "\n" : "", stdout);
        limit_use_print(stdout, &job->items[i]);
    }
    return finish_output();
}

/* One at a time, so that requests can be counted between them. */
static bool forget(struct job *job, size_t *done)
{
    for (size_t i = 0; i < job->count; i++) {
        bool again = i > 0 && text_equal(job->items[i].key, job->items[i - 1].key); /* both are gone */
        int count = again ? 0 : counters_reset(job->counters, job->items[i].key, &job->error);
        if (count < 0)
            return false;
        *done += (size_t)count;
    }
    return true;
}

static int reset(struct job *job)
{
    size_t done = 0;
    if (!find(job))
        return failed(job);
    if (job->count == 0)
        return missing(job);
    if (!forget(job, &done)) {
        if (done > 0)
            fprintf(stderr, "fcgiguard: %zu of %zu counters are reset, then it failed\n", done, job->count);
        return failed(job);
    }
    if (job->json)
        printf("{\"reset\":%zu}\n", done);
    else if (job->name)
        printf("%zu %s of %s reset\n", done, done == 1 ? "counter" : "counters", job->name);
    else
        printf("%.*s is reset\n", TEXT_ARGUMENTS(job->key));
    return finish_output();
}

#define STORE_USAGE "[-c|--policy FILE | --store FILE] [--json]"
#define VERB(name_, usage_)                                                                                  \
    .name = (name_), .command = {.name = "limit " name_, .usage = usage_ " " STORE_USAGE}

static const struct verb verbs[] = {
    {VERB("list", "[--limit NAME]"), .takes_name = true, .run = list},
    {VERB("show", "KEY"), .takes_key = true, .run = show},
    {VERB("reset", "KEY | --limit NAME"), .takes_key = true, .takes_name = true, .run = reset},
};

/* ---- the command line */

/* What does not fit is not repeated: it may be nothing for a terminal. */
static int check_arguments(const struct verb *verb, const struct job *job, int count)
{
    if (!verb->takes_key && count > 0)
        return command_misused(&verb->command, "it takes no argument but options");
    if (count > 1)
        return command_misused(&verb->command, "it takes one argument: a key with blanks needs quotes");
    if (job->name && count > 0)
        return command_misused(&verb->command, "a key and --limit exclude each other");
    if (verb->takes_key && !job->name && count == 0)
        return command_misused(&verb->command, "the key of a counter is missing");
    if (count > 0 && !may_be_key(job->key))
        return command_misused(&verb->command,
                               "this is no key of a counter, expected 1 to %d bytes as `list` prints them",
                               (int)COUNTER_KEY_SIZE);
    if (job->name && (!may_be_key(text_of(job->name)) || strchr(job->name, ' ')))
        return command_misused(&verb->command,
                               "this is no name of a limit, expected what stands before the first blank of a "
                               "key");
    if (job->policy_file && job->store_path)
        return command_misused(&verb->command, "--policy and --store exclude each other");
    return EXIT_GOOD;
}

static int read_options(const struct verb *verb, struct job *job, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"policy", required_argument, NULL, 'c'},
        {"store", required_argument, NULL, 'S'},  {"limit", required_argument, NULL, 'l'},
        {"json", no_argument, NULL, 'j'},         {0}};
    for (int letter; (letter = getopt_long(argc, argv, ":c:", options, NULL)) != -1;) {
        if (letter == '?' || letter == ':')
            return command_bad_option(&verb->command, letter, argv);
        if (letter == 'l' && !verb->takes_name)
            return command_misused(&verb->command, "it takes no --limit");
        if (letter == 'j')
            job->json = true;
        else
            *(letter == 'c' ? &job->policy_file : letter == 'S' ? &job->store_path : &job->name) = optarg;
    }
    job->key = text_of(optind < argc ? argv[optind] : NULL);
    return check_arguments(verb, job, argc - optind);
}

/* ---- the store */

static const char *absolute(const struct job *job, struct error *error)
{
    char *folder = *job->store_path == '/' ? NULL : getcwd(NULL, 0);
    if (*job->store_path == '/')
        return job->store_path;
    if (!folder) {
        error_set_errno(error, "cannot tell the folder of the store %.120s", job->store_path);
        return NULL;
    }
    const char *path = arena_printf(job->arena, "%s/%s", folder, job->store_path);
    free(folder);
    return path;
}

static bool find_rules(struct job *job, struct counters_rules *rules)
{
    *rules = (struct counters_rules){.rows = ROWS_UNKNOWN};
    const char *password = NULL;
    if (job->store_path)
        rules->place = redis_url_is(text_of(job->store_path)) ? job->store_path : absolute(job, &job->error);
    else if (command_store(job->policy, job->arena, &password, &job->error))
        *rules = job->policy->server.store;
    rules->timeout = PATIENCE_MS;
    return rules->place != NULL;
}

static int run_with_store(const struct verb *verb, struct job *job)
{
    struct counters_rules rules;
    if (!job->store_path &&
        !(job->policy = command_load(job->policy_file ? job->policy_file : DEFAULT_POLICY)))
        return EXIT_BAD;
    if (!find_rules(job, &rules) || !counters_are_there(&rules, &job->error) ||
        !(job->counters = counters_open(&rules, &job->error)))
        return failed(job);
    return verb->run(job);
}

static int limit(int argc, char **argv)
{
    struct job job = {0};
    if (argc < 2)
        return command_misused(&limit_command, "it is not said what to do");
    const struct verb *verb =
        command_find_verb(&limit_command, argv[1], verbs, sizeof *verbs, sizeof verbs / sizeof *verbs);
    if (!verb)
        return EXIT_USAGE;
    job.arena = arena_new();
    int status = read_options(verb, &job, argc - 1, argv + 1);
    if (status == EXIT_GOOD)
        status = run_with_store(verb, &job);
    counters_close(job.counters);
    policy_free(job.policy);
    free(job.items);
    arena_free(job.arena);
    return status;
}

const struct command limit_command = {
    .name = "limit",
    .usage = "list [--limit NAME]\n"
             "           show KEY\n"
             "           reset KEY | --limit NAME\n"
             "           each with [-c|--policy FILE] or [--store FILE], and [--json]",
    .help = "tell what callers have used of their limits, and reset it",
    .run = limit,
};
