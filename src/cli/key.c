/*
 * key: issues API keys, lists them and takes them back, in the store that a
 * policy names. A new key is printed once, alone, on standard output; where
 * that fails it is revoked, because nobody could ever use it.
 */
#include "config.h"

#include "cli/key.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"

static const char default_prefix[] = "fcg", default_expiry[] = "90d", default_keep[] = "24h";

/* The command line, and what it works with. */
struct job {
    const char *policy, *store_path, *store_password, *owner, *note, *roles, *scopes, *expires, *prefix,
        *keep;
    const char *argument; /* an id, or a file */
    bool json;
    int64_t now, expiry, until; /* the last two as `expires` and `keep` say */
    FILE *input;
    struct arena *arena;
    struct credentials *store;
    struct error error;
};

struct verb {
    const char *name;
    struct command command; /* for messages: its own usage */
    const char *options;    /* those that it takes, beside those that all take */
    bool wants_id, takes_file;
    bool makes_store;
    int (*run)(struct job *);
};

/* ---- what became of it */

static int failed(const struct job *job)
{
    fprintf(stderr, "fcgiguard: %s\n", job->error.message);
    return EXIT_BAD;
}

static int answer(const struct job *job, enum credentials_result result)
{
    switch (result) {
    case CREDENTIALS_DONE:
        return EXIT_GOOD;
    case CREDENTIALS_MISSING:
        fprintf(stderr, "fcgiguard: there is no key %s\n", job->argument);
        break;
    case CREDENTIALS_ENDED:
        fprintf(stderr,
                "fcgiguard: the key %s is revoked or expired, so make a new one with \"key create\"\n",
                job->argument);
        break;
    case CREDENTIALS_TAKEN:
        fputs("fcgiguard: there is a key with this id already\n", stderr);
        break;
    case CREDENTIALS_FULL: /* the command line knows no limit */
    case CREDENTIALS_FAILED:
        return failed(job);
    }
    return EXIT_BAD;
}

static bool output_is_written(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

static int finish_output(void)
{
    if (output_is_written())
        return EXIT_GOOD;
    perror("fcgiguard: standard output cannot be written");
    return EXIT_BAD;
}

/* ---- the verbs */

/* Prints a key that is in the store by now. */
static int hand_over(struct job *job, const struct credential *key, const char *secret)
{
    char text[KEY_TIME_SIZE];
    if (job->json) {
        key_print_json(stdout, key, secret, job->now);
        putchar('\n');
    } else
        puts(secret);
    if (!output_is_written()) {
        perror("fcgiguard: the new key could not be printed, so it is revoked");
        if (credentials_revoke(job->store, key->id, job->now, &job->error) != CREDENTIALS_DONE)
            failed(job);
        return EXIT_BAD;
    }
    if (!job->json)
        fprintf(stderr, "fcgiguard: key %.*s of %.*s, expires: %s; it is not shown again\n",
                TEXT_ARGUMENTS(key->id), TEXT_ARGUMENTS(key->owner),
                key_format_time(key->expires, "never", text));
    return EXIT_GOOD;
}

static int make_key(struct job *job, struct credential *key,
                    enum credentials_result (*keep)(struct job *, struct credential *))
{
    char secret[API_KEY_SIZE];
    struct api_key parts;
    struct text prefix = text_of(job->prefix ? job->prefix : default_prefix);
    if (!api_key_generate(prefix, secret, &parts, &job->error))
        return failed(job);
    key->id = parts.id;
    key->prefix = parts.prefix;
    key->digest = api_key_digest(&parts);
    key->created = job->now;
    int status = answer(job, keep(job, key));
    if (status == EXIT_GOOD)
        status = hand_over(job, key, secret);
    explicit_bzero(secret, sizeof secret);
    return status;
}

static enum credentials_result keep_new(struct job *job, struct credential *key)
{
    return credentials_add(job->store, key, 1, NULL, &job->error);
}

static struct credential as_asked(const struct job *job)
{
    struct credential key = {
        .owner = text_of(job->owner), .note = text_of(job->note), .expires = job->expiry};
    if (job->roles)
        key.roles = key_split(job->roles, job->arena);
    if (job->scopes)
        key.scopes = key_split(job->scopes, job->arena);
    return key;
}

static int create(struct job *job)
{
    struct credential key = as_asked(job);
    return make_key(job, &key, keep_new);
}

static enum credentials_result keep_next(struct job *job, struct credential *key)
{
    return credentials_rotate(job->store, text_of(job->argument), job->now, job->until, job->arena, key,
                              &job->error);
}

static int rotate(struct job *job)
{
    struct credential old, key = {.expires = job->expires ? job->expiry : SAME_LIFETIME};
    enum credentials_result result =
        credentials_find(job->store, text_of(job->argument), job->arena, &old, &job->error);
    if (result != CREDENTIALS_DONE)
        return answer(job, result);
    /* The prefix of a key never changes, so it can be taken before the change. */
    job->prefix = arena_copy(job->arena, old.prefix.at, old.prefix.length);
    return make_key(job, &key, keep_next);
}

static int list(struct job *job)
{
    struct credential *items;
    size_t count;
    enum credentials_result result =
        credentials_list(job->store, text_of(job->owner), job->arena, &items, &count, &job->error);
    if (result != CREDENTIALS_DONE)
        return answer(job, result);
    if (!job->json && count)
        key_print_header(stdout);
    for (size_t i = 0; i < count && !job->json; i++)
        key_print_row(stdout, &items[i], job->now);
    for (size_t i = 0; i < count && job->json; i++) {
        fputs(i ? ",\n" : "[\n", stdout);
        key_print_json(stdout, &items[i], NULL, job->now);
    }
    if (job->json)
        puts(count ? "\n]" : "[]");
    return finish_output();
}

static int show(struct job *job)
{
    struct credential key;
    enum credentials_result result =
        credentials_find(job->store, text_of(job->argument), job->arena, &key, &job->error);
    if (result != CREDENTIALS_DONE)
        return answer(job, result);
    if (job->json) {
        key_print_json(stdout, &key, NULL, job->now);
        putchar('\n');
    } else
        key_print(stdout, &key, job->now);
    return finish_output();
}

static int revoke_key(struct job *job)
{
    enum credentials_result result =
        credentials_revoke(job->store, text_of(job->argument), job->now, &job->error);
    if (result != CREDENTIALS_DONE)
        return answer(job, result);
    if (job->json)
        return show(job);
    printf("%s is revoked\n", job->argument);
    return finish_output();
}

static int import(struct job *job)
{
    const char *name = job->argument ? job->argument : "standard input";
    struct key_import keys;
    size_t taken = 0;
    if (!key_import_read(job->input, name, job->now, job->arena, &keys))
        return EXIT_BAD;
    enum credentials_result result = credentials_add(job->store, keys.items, keys.count, &taken, &job->error);
    if (result == CREDENTIALS_TAKEN) {
        fprintf(stderr,
                "fcgiguard: %s:%zu: there is a key with this id already\n"
                "fcgiguard: %s: nothing was imported\n",
                name, keys.lines[taken], name);
        return EXIT_BAD;
    }
    if (result != CREDENTIALS_DONE)
        return answer(job, result);
    printf(job->json ? "{\"imported\":%zu}\n" : "%zu imported\n", keys.count);
    return finish_output();
}

#define STORE_USAGE  "[-c|--policy FILE | --store FILE] [--json]"
#define CREATE_USAGE "--owner NAME [--note TEXT] [--roles A,B] [--scopes A,B]"
#define VERB(name_, usage_)                                                                                  \
    .name = (name_), .command = {.name = "key " name_, .usage = usage_ " " STORE_USAGE}

static const struct verb verbs[] = {
    {VERB("create", CREATE_USAGE " [--expires 90d|DATE|never] [--prefix WORD]"), .options = "onrsep",
     .makes_store = true, .run = create},
    {VERB("list", "[--owner NAME]"), .options = "o", .run = list},
    {VERB("show", "ID"), .options = "", .wants_id = true, .run = show},
    {VERB("rotate", "ID [--keep 24h] [--expires 90d|DATE|never]"), .options = "ke", .wants_id = true,
     .run = rotate},
    {VERB("revoke", "ID"), .options = "", .wants_id = true, .run = revoke_key},
    {VERB("import", "[FILE]"), .options = "", .takes_file = true, .makes_store = true, .run = import},
};

/* ---- the command line */

static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                        {"policy", required_argument, NULL, 'c'},
                                        {"store", required_argument, NULL, 'S'},
                                        {"json", no_argument, NULL, 'j'},
                                        {"owner", required_argument, NULL, 'o'},
                                        {"note", required_argument, NULL, 'n'},
                                        {"name", required_argument, NULL, 'n'},
                                        {"roles", required_argument, NULL, 'r'},
                                        {"scopes", required_argument, NULL, 's'},
                                        {"expires", required_argument, NULL, 'e'},
                                        {"prefix", required_argument, NULL, 'p'},
                                        {"keep", required_argument, NULL, 'k'},
                                        {0}};

static const char *option_name(int letter)
{
    size_t place = 0;
    while (options[place].val != letter)
        place++;
    return options[place].name;
}

static const char **member_of(struct job *job, int letter)
{
    switch (letter) {
    case 'c':
        return &job->policy;
    case 'S':
        return &job->store_path;
    case 'o':
        return &job->owner;
    case 'n':
        return &job->note;
    case 'r':
        return &job->roles;
    case 's':
        return &job->scopes;
    case 'e':
        return &job->expires;
    case 'p':
        return &job->prefix;
    default:
        return letter == 'k' ? &job->keep : NULL;
    }
}

/* What an id looks like is said without repeating what may be a key. */
static int check_argument(const struct verb *verb, struct job *job, int argc, char **argv)
{
    int most = verb->wants_id || verb->takes_file ? 1 : 0;
    job->argument = argc > 0 ? argv[0] : NULL;
    if (argc > most)
        return command_misused(&verb->command, "it takes %s",
                               most ? "one argument" : "no argument but options");
    if (!verb->wants_id)
        return EXIT_GOOD;
    if (!job->argument)
        return command_misused(&verb->command, "the id of a key is missing");
    if (api_key_id_is_valid(text_of(job->argument)))
        return EXIT_GOOD;
    return command_misused(&verb->command,
                           "this is not the id of a key, expected the %d characters between the two "
                           "underscores; where a whole key was given, others may have seen it: revoke it",
                           (int)API_KEY_ID_LENGTH);
}

static int check_values(const struct verb *verb, struct job *job)
{
    uint64_t keep;
    bool creates = verb->run == create;
    if (creates && (!job->owner || !*job->owner))
        return command_misused(&verb->command, "--owner is missing");
    if (job->policy && job->store_path)
        return command_misused(&verb->command, "--policy and --store exclude each other");
    if (job->prefix && !api_key_prefix_is_valid(text_of(job->prefix)))
        return command_misused(&verb->command,
                               "the prefix does not fit, expected a lower-case letter, then up to %d of a to "
                               "z and 0 to 9",
                               (int)API_KEY_PREFIX_LIMIT - 1);
    const char *expires = job->expires ? job->expires : default_expiry;
    if (!key_parse_expiry(text_of(expires), job->now, &job->expiry))
        return command_misused(&verb->command,
                               "\"%s\" does not fit --expires, expected a duration such as 90d, a date to "
                               "come such as 2027-01-31, or never",
                               expires);
    if (!decode_duration(text_of(job->keep ? job->keep : default_keep), &keep) || keep / 1000 > INT32_MAX)
        return command_misused(&verb->command, "\"%s\" does not fit --keep, expected a duration such as 24h",
                               job->keep);
    job->until = job->now + (int64_t)(keep / 1000);
    struct credential asked = as_asked(job);
    if (creates && !credential_is_valid(&asked, &job->error))
        return command_misused(&verb->command, "%s", job->error.message);
    return EXIT_GOOD;
}

static int read_options(const struct verb *verb, struct job *job, int argc, char **argv)
{
    for (int letter; (letter = getopt_long(argc, argv, ":c:", options, NULL)) != -1;) {
        const char **member = member_of(job, letter);
        if (letter == '?' || letter == ':')
            return command_bad_option(&verb->command, letter, argv);
        if (!strchr("cSj", letter) && !strchr(verb->options, letter))
            return command_misused(&verb->command, "it takes no --%s", option_name(letter));
        if (member)
            *member = optarg;
        else
            job->json = true;
    }
    int status = check_argument(verb, job, argc - optind, argv + optind);
    return status == EXIT_GOOD ? check_values(verb, job) : status;
}

/* ---- the store */

static bool find_store(struct job *job)
{
    if (job->store_path)
        return true;
    const char *file = job->policy ? job->policy : DEFAULT_POLICY;
    struct policy *policy = command_load(file);
    if (!policy)
        return false;
    job->store_path = command_store(policy, job->arena, &job->store_password, &job->error);
    if (!job->store_path)
        failed(job);
    policy_free(policy);
    return job->store_path != NULL;
}

static int run_with_store(const struct verb *verb, struct job *job)
{
    job->input = stdin;
    if (verb->takes_file && job->argument && !(job->input = fopen(job->argument, "re"))) {
        fprintf(stderr, "fcgiguard: cannot read %s: %m\n", job->argument);
        return EXIT_BAD;
    }
    if (!find_store(job))
        return EXIT_BAD;
    if (!verb->makes_store && !command_store_is_there(job->store_path)) {
        fprintf(stderr, "fcgiguard: cannot find the store %s: %m\n", job->store_path);
        return EXIT_BAD;
    }
    job->store = credentials_open(job->store_path, job->store_password, &job->error);
    if (!job->store)
        return failed(job);
    int status = verb->run(job);
    credentials_close(job->store);
    return status;
}

static int key(int argc, char **argv)
{
    struct job job = {.now = clock_wall_milliseconds() / 1000};
    if (argc < 2)
        return command_misused(&key_command, "it is not said what to do");
    const struct verb *verb =
        command_find_verb(&key_command, argv[1], verbs, sizeof *verbs, sizeof verbs / sizeof *verbs);
    if (!verb)
        return EXIT_USAGE;
    signal(SIGPIPE, SIG_IGN); /* a key that nobody reads is revoked */
    job.arena = arena_new();
    int status = read_options(verb, &job, argc - 1, argv + 1);
    if (status == EXIT_GOOD)
        status = run_with_store(verb, &job);
    if (job.input && job.input != stdin)
        (void)fclose(job.input);
    arena_free(job.arena);
    return status;
}

const struct command key_command = {
    .name = "key",
    .usage = "create " CREATE_USAGE "\n"
             "               [--expires 90d|DATE|never] [--prefix WORD]\n"
             "           list [--owner NAME]\n"
             "           show ID\n"
             "           rotate ID [--keep 24h] [--expires 90d|DATE|never]\n"
             "           revoke ID\n"
             "           import [FILE]\n"
             "           each with [-c|--policy FILE] or [--store FILE], and [--json]",
    .help = "issue API keys, list them and take them back",
    .run = key,
};
