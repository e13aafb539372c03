/*
 * Commands: what stands behind `fcgiguard COMMAND`. One file has one command
 * and one entry here.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <getopt.h>
#include <stdio.h>

#include "policy/policy.h"

enum { EXIT_GOOD, EXIT_BAD, EXIT_USAGE };

struct command {
    const char *name;
    const char *usage;                 /* its options and arguments */
    const char *help;                  /* one line without a full stop */
    const struct section *file;        /* keys of the files it reads, for help; NULL: none */
    int (*run)(int argc, char **argv); /* argv[0] is the command; the result is the exit status */
};

extern const struct command serve_command, check_command, explain_command, init_command, test_command,
    key_command, limit_command, status_command, token_command, validate_command, help_command,
    version_command;

/* All of them, ended by NULL (main.c). */
extern const struct command *const commands[];

/* Where the policy is when nobody says so. */
#define DEFAULT_POLICY SYSTEM_CONFIGURATION_FOLDER "/fcgiguard.yaml"

/* Says on standard error what was wrong with the command line, and how it
 * should be; always EXIT_USAGE. */
int command_misused(const struct command *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for the option getopt_long() has just refused with `result`; the
 * list of short options begins with ":". */
int command_bad_option(const struct command *, int result, char **argv);

/* The one of `count` structs of `size` bytes, each beginning with its name (const char *), that a
 * command's second word names; NULL once standard error is told that there is none, and which is nearest. */
const void *command_find_verb(const struct command *, const char *word, const void *verbs, size_t size,
                              size_t count);

/* The policy, or NULL once its errors are on standard error. */
struct policy *command_load(const char *file);

/* The same by policy_load_elsewhere(). */
struct policy *command_load_elsewhere(const char *file);

/* Does what `check` does with a policy: errors on standard error, advice and how it ended in `story`,
 * which may be NULL. The exit status. */
int command_check(const char *file, FILE *story);

/* The place of the policy's store, in the arena, and its password where it has one; NULL with an error
 * when it names none. Root becomes the worker's user, so that a new store is the worker's. */
const char *command_store(const struct policy *, struct arena *, const char **password, struct error *);

/* False with errno for a file that is not there; whether a server is there turns out when it is asked. */
bool command_store_is_there(const char *place);

/* This process is a CGI program: serves the one request (serve.c). */
int serve_cgi(void);

#endif
