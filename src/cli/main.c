/*
 * Main: from the command line to a command. Started as a CGI program it does
 * not look at its arguments, because a query can become arguments (RFC 3875, 4.4).
 */
#include "config.h"

#include <assert.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/command.h"
#include "front/cgi.h"

const struct command *const commands[] = {
    &serve_command, &check_command, &explain_command, &status_command,   &init_command, &test_command,
    &key_command,   &limit_command, &token_command,   &validate_command, &help_command, &version_command,
    NULL,
};

static int version(int argc, char **argv)
{
    if (argc > 1)
        return command_misused(&version_command, "\"%s\" is too much", argv[1]);
    puts("fcgiguard " PACKAGE_VERSION);
    return EXIT_GOOD;
}

const struct command version_command = {
    .name = "version",
    .usage = "",
    .help = "print the version",
    .run = version,
};

int command_misused(const struct command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "fcgiguard: %s%s", command ? command->name : "", command ? ": " : "");
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    if (command)
        fprintf(stderr, "\nusage: fcgiguard %s%s%s\n", command->name, *command->usage ? " " : "",
                command->usage);
    else
        fputs("\nusage: fcgiguard COMMAND [OPTION]...; \"fcgiguard help\" lists commands\n", stderr);
    return EXIT_USAGE;
}

int command_bad_option(const struct command *command, int result, char **argv)
{
    const char *last = argv[optind - 1];
    if (result == ':')
        return command_misused(command, "option \"%s\" lacks its value", last);
    if (optopt == 0)
        return command_misused(command, "option \"%s\" is not known", last);
    if (strncmp(last, "--", 2) == 0 && strchr(last, '='))
        return command_misused(command, "option \"%s\" takes no value", last);
    return command_misused(command, "option \"-%c\" is not known", optopt);
}

static struct policy *load(const char *file, bool elsewhere)
{
    struct error error = {0};
    struct policy *policy = elsewhere ? policy_load_elsewhere(file, &error) : policy_load(file, &error);
    if (!policy) {
        fprintf(stderr, "fcgiguard: %s\n", error.message);
        return NULL;
    }
    if (policy->findings.errors == 0)
        return policy;
    findings_print(&policy->findings, FINDING_ERROR, stderr);
    policy_free(policy);
    return NULL;
}

struct policy *command_load(const char *file)
{
    return load(file, false);
}

struct policy *command_load_elsewhere(const char *file)
{
    return load(file, true);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

const void *command_find_verb(const struct command *command, const char *word, const void *verbs, size_t size,
                              size_t count)
{
    const char *names[16];
    assert(count <= sizeof names / sizeof *names);
    for (size_t i = 0; i < count; i++) {
        const char *const *verb = (const void *)((const char *)verbs + i * size);
        names[i] = *verb;
        if (strcmp(names[i], word) == 0)
            return verb;
    }
    const char *nearest = findings_nearest(word, names, count);
    command_misused(command, "there is no \"%s\"%s%s%s", word, nearest ? "; did you mean \"" : "",
                    nearest ? nearest : "", nearest ? "\"?" : "");
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof *commands];
    size_t count = 0;
    for (; commands[count]; count++)
        names[count] = commands[count]->name;
    const char *nearest = findings_nearest(name, names, count);
    return command_misused(NULL, "\"%s\" is not a command%s%s%s", name, nearest ? "; did you mean \"" : "",
                           nearest ? nearest : "", nearest ? "\"?" : "");
}

static int help_about(const char *word)
{
    char *arguments[] = {(char *)help_command.name, (char *)word, NULL};
    optind = 0;
    return help_command.run(word ? 2 : 1, arguments);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
    json_object_seed(0); /* before there are threads: so that nobody can choose names that collide */
    if (cgi_is_wanted())
        return serve_cgi();
    opterr = 0;
    int option = getopt_long(argc, argv, "+hV", options, NULL);
    if (option == 'h')
        return help_about(NULL);
    if (option == 'V')
        return version(1, NULL);
    if (option != -1)
        return command_bad_option(NULL, option, argv);
    if (optind == argc)
        return command_misused(NULL, "no command is given");
    const struct command *command = find_command(argv[optind]);
    if (!command)
        return unknown_command(argv[optind]);
    argc -= optind;
    argv += optind;
    if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0))
        return help_about(command->name);
    optind = 0; /* getopt_long() starts over */
    return command->run(argc, argv);
}
