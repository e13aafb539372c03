/*
 * init: makes a first policy and all that belongs to it, from options or, on a
 * terminal, from questions, and says what is wrong with it as `check` does.
 */
#include "config.h"

#include <assert.h>
#include <stddef.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/init.h"

enum { FIRST_OPTION = 256, OPTIONS_LIMIT = 32 };

static int refuse(const struct init_option *option, const char *reason)
{
    return command_misused(&init_command, "--%s: %s", option->name, reason);
}

static int read_options(int argc, char **argv, struct init_answers *answers, bool *defaults,
                        struct arena *arena)
{
    struct option options[OPTIONS_LIMIT] = {{"defaults", no_argument, NULL, 'd'}};
    size_t count = 1;
    assert(init_option_count + 2 <= OPTIONS_LIMIT);
    for (size_t i = 0; i < init_option_count; i++)
        if (!init_options[i].only_asked)
            options[count++] =
                (struct option){init_options[i].name, required_argument, NULL, FIRST_OPTION + (int)i};
    for (int result; (result = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (result == 'd') {
            *defaults = true;
            continue;
        }
        if (result < FIRST_OPTION)
            return command_bad_option(&init_command, result, argv);
        const struct init_option *option = &init_options[result - FIRST_OPTION];
        const char *fault = init_fault(option, optarg, arena);
        if (fault)
            return refuse(option, fault);
        *init_answer(option, answers) = optarg;
    }
    if (optind < argc)
        return command_misused(&init_command, "\"%s\" is too much", argv[optind]);
    return EXIT_GOOD;
}

/* What nobody is asked for, and what options mean together. */
static int check_options(struct init_answers *answers)
{
    init_imply(answers);
    if (!answers->certificate != !answers->key)
        return command_misused(&init_command, "--certificate and --key go together");
    for (size_t i = 0; i < init_option_count; i++) {
        const struct init_option *option = &init_options[i];
        if (!*init_answer(option, answers) || init_option_applies(option, answers))
            continue;
        if (option->other == offsetof(struct init_answers, handler))
            return command_misused(&init_command, "--%s: this does not go with --%s", option->name,
                                   answers->handler);
        if (answers->auth)
            return refuse(option, "this does not go with the kind of --auth");
    }
    return EXIT_GOOD;
}

static int take_defaults(struct init_answers *answers, bool defaults, struct arena *arena)
{
    for (size_t i = 0; i < init_option_count; i++) {
        const struct init_option *option = &init_options[i];
        const char **answer = init_answer(option, answers);
        if (*answer || !option->question || !init_option_applies(option, answers))
            continue;
        if ((defaults || option->only_asked) && option->fallback)
            *answer = option->fallback(answers, arena);
        if (!*answer)
            return refuse(option, defaults
                                      ? "this has no default"
                                      : "this is needed where there is no terminal to ask on, or --defaults");
    }
    return EXIT_GOOD;
}

static int make(const struct init_answers *answers, struct arena *arena)
{
    struct init_result result;
    struct error error = {0};
    if (!init_make(answers, arena, &result, &error)) {
        fprintf(stderr, "fcgiguard: init: %s\n", error.message);
        return EXIT_BAD;
    }
    int status = command_check(result.policy, stderr);
    if (status != EXIT_GOOD) {
        fputs("fcgiguard: init: the files are written; mend them and say \"check\", or remove them and begin "
              "anew\n",
              stderr);
        return status;
    }
    fputs(result.commands, stdout);
    if (fflush(stdout) == 0)
        return EXIT_GOOD;
    perror("fcgiguard: standard output cannot be written");
    return EXIT_BAD;
}

static int run(int argc, char **argv, struct arena *arena)
{
    struct init_answers answers = {0};
    struct error error = {0};
    bool defaults = false;
    int status = read_options(argc, argv, &answers, &defaults, arena);
    if (status == EXIT_GOOD)
        status = check_options(&answers);
    if (status != EXIT_GOOD)
        return status;
    if (!defaults && isatty(STDIN_FILENO) && isatty(STDERR_FILENO)) {
        if (!init_ask(&answers, arena, &error)) {
            fprintf(stderr, "fcgiguard: init: %s\n", error.message);
            return EXIT_BAD;
        }
    } else if ((status = take_defaults(&answers, defaults, arena)) != EXIT_GOOD)
        return status;
    status = check_options(&answers);
    return status == EXIT_GOOD ? make(&answers, arena) : status;
}

static int init(int argc, char **argv)
{
    struct arena *arena = arena_new();
    int status = run(argc, argv, arena);
    arena_free(arena);
    return status;
}

const struct command init_command = {
    .name = "init",
    .usage =
        "[--server lighttpd|nginx|apache|caddy] [--host NAME]\n"
        "               [--exec PROGRAM|FOLDER | --fastcgi ADDRESS --root FOLDER [--script FILE] | --http "
        "URL]\n"
        "               [--auth none|api_key|jwt|jwks] [--jwks-url URL] [--issuer TEXT] [--audience TEXT]\n"
        "               [--path /PATH/] [--listen [ADDRESS:]PORT] [--certificate FILE --key FILE]\n"
        "               [--socket PATH] [--user NAME] [--group NAME] [--directory FOLDER] [--defaults]",
    .help = "write a first policy, and the web server's configuration for it",
    .run = init,
};
