/*
 * check: says whether a policy can be used, and what in it is legal but risky.
 */
#include "config.h"

#include "cli/command.h"

static int report(const struct policy *policy, bool quiet)
{
    const struct findings *findings = &policy->findings;
    findings_print(findings, FINDING_ERROR, stderr);
    if (quiet)
        return findings->errors ? EXIT_BAD : EXIT_GOOD;
    if (findings->advice)
        puts("advice:");
    findings_print(findings, FINDING_ADVICE, stdout);
    if (findings->errors)
        printf("%s: %zu error%s\n", policy->file, findings->errors, findings->errors == 1 ? "" : "s");
    else
        printf("%s: %zu route%s, no errors\n", policy->file, policy->route_count,
               policy->route_count == 1 ? "" : "s");
    return findings->errors ? EXIT_BAD : EXIT_GOOD;
}

static int check(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"quiet", no_argument, NULL, 'q'}, {0}};
    const char *file = DEFAULT_POLICY;
    bool quiet = false;
    for (int option; (option = getopt_long(argc, argv, ":c:q", options, NULL)) != -1;) {
        if (option == 'c')
            file = optarg;
        else if (option == 'q')
            quiet = true;
        else
            return command_bad_option(&check_command, option, argv);
    }
    if (optind < argc)
        return command_misused(&check_command, "\"%s\" is too much", argv[optind]);
    struct error error = {0};
    struct policy *policy = policy_load(file, &error);
    if (!policy) {
        fprintf(stderr, "fcgiguard: %s\n", error.message);
        return EXIT_BAD;
    }
    int status = report(policy, quiet);
    policy_free(policy);
    return status;
}

const struct command check_command = {
    .name = "check",
    .usage = "[-c|--config FILE] [-q|--quiet]",
    .help = "say what is wrong or risky in a policy",
    .run = check,
};
