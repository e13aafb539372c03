/*
 * check: says whether a policy can be used, and what in it is legal but risky;
 * or the same of a description of an API.
 */
#include "config.h"

#include "cli/command.h"
#include "cli/operations.h"
#include "data/openapi.h"

static int report(const struct policy *policy, FILE *story)
{
    const struct findings *findings = &policy->findings;
    findings_print(findings, FINDING_ERROR, stderr);
    if (!story)
        return findings->errors ? EXIT_BAD : EXIT_GOOD;
    if (findings->advice)
        fputs("advice:\n", story);
    findings_print(findings, FINDING_ADVICE, story);
    if (findings->errors)
        fprintf(story, "%s: %zu error%s\n", policy->file, findings->errors, findings->errors == 1 ? "" : "s");
    else
        fprintf(story, "%s: %zu route%s, no errors\n", policy->file, policy->route_count,
                policy->route_count == 1 ? "" : "s");
    return findings->errors ? EXIT_BAD : EXIT_GOOD;
}

int command_check(const char *file, FILE *story)
{
    struct error error = {0};
    struct policy *policy = policy_load(file, &error);
    if (!policy) {
        fprintf(stderr, "fcgiguard: %s\n", error.message);
        return EXIT_BAD;
    }
    int status = report(policy, story);
    policy_free(policy);
    return status;
}

static int check_openapi(const char *file, bool quiet)
{
    struct arena *arena = arena_new();
    struct findings findings = findings_new(arena, file);
    struct openapi *openapi = openapi_read(file, &findings);
    findings_print(&findings, FINDING_ERROR, stderr);
    if (findings.advice && !quiet)
        puts("advice:");
    if (!quiet)
        findings_print(&findings, FINDING_ADVICE, stdout);
    if (openapi && !quiet)
        operations_print(openapi, stdout);
    else if (!quiet)
        printf("%s: %zu error%s\n", file, findings.errors, findings.errors == 1 ? "" : "s");
    int status = openapi ? EXIT_GOOD : EXIT_BAD;
    openapi_free(openapi);
    arena_free(arena);
    return status;
}

static int check(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"openapi", required_argument, NULL, 'o'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {0}};
    const char *file = NULL, *api = NULL;
    bool quiet = false;
    for (int option; (option = getopt_long(argc, argv, ":c:q", options, NULL)) != -1;) {
        if (option == 'c')
            file = optarg;
        else if (option == 'o')
            api = optarg;
        else if (option == 'q')
            quiet = true;
        else
            return command_bad_option(&check_command, option, argv);
    }
    if (optind < argc)
        return command_misused(&check_command, "\"%s\" is too much", argv[optind]);
    if (file && api)
        return command_misused(&check_command, "--config and --openapi do not go together");
    if (api)
        return check_openapi(api, quiet);
    return command_check(file ? file : DEFAULT_POLICY, quiet ? NULL : stdout);
}

const struct command check_command = {
    .name = "check",
    .usage = "[-c|--config FILE | --openapi FILE] [-q|--quiet]",
    .help = "say what is wrong or risky in a policy or an API's description",
    .run = check,
};
