/*
 * Preparing a program at load: from what the policy says to what a start
 * needs. Everything wrong is a finding at the key it belongs to.
 */
#include "config.h"

#include "process/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include "process/environment.h"
#include "process/privileges.h"

/* What fcgiguard says itself, so that a program may believe it. */
static const char *const own_names[] = {"AUTH_TYPE",       "CONTENT_LENGTH",
                                        "CONTENT_TYPE",    "GATEWAY_INTERFACE",
                                        "HTTPS",           "PATH_INFO",
                                        "PATH_TRANSLATED", "QUERY_STRING",
                                        "REMOTE_ADDR",     "REMOTE_HOST",
                                        "REMOTE_PORT",     "REQUEST_ID",
                                        "REQUEST_METHOD",  "REQUEST_SCHEME",
                                        "REQUEST_URI",     "SCRIPT_NAME",
                                        "SERVER_ADDR",     "SERVER_NAME",
                                        "SERVER_PORT",     "SERVER_PROTOCOL",
                                        "SERVER_SOFTWARE", NULL};

/* Where a finding about a key belongs: the key's value, or the section. */
static const struct node *place(const struct node *node, const char *key)
{
    const struct node *value = node && node->kind == NODE_MAP ? node_get(node, key) : NULL;
    return value ? value : node;
}

/* Looking up a user may ask another machine, and most programs of a file are of
 * the same one. */
struct memo {
    const char *user, *group;
    struct identity identity;
};

static bool same_name(const char *one, const char *other)
{
    return one == other || (one && other && strcmp(one, other) == 0);
}

static bool find_identity(const struct program *program, struct decoder *decoder, struct identity *identity,
                          struct error *error)
{
    const struct memo *known = decoder->memo;
    if (known && same_name(known->user, program->user) && same_name(known->group, program->group)) {
        *identity = known->identity;
        return true;
    }
    if (!identity_find(program->user, program->group, decoder->arena, identity, error))
        return false;
    struct memo *memo = arena_alloc(decoder->arena, sizeof *memo);
    *memo = (struct memo){program->user, program->group, *identity};
    decoder->memo = memo;
    return true;
}

static bool prepare_identity(struct program *program, struct decoder *decoder, const struct node *node)
{
    struct identity identity;
    struct error error = {0};
    if (decoder->elsewhere)
        return true;
    if (!program->user && !program->group) {
        program->user = decoder->user;
        program->group = decoder->group;
    }
    const struct node *at = place(node, program->user ? "user" : "group");
    if (!find_identity(program, decoder, &identity, &error))
        return findings_add(decoder->findings, FINDING_ERROR, at, "%s", error.message);
    program->uid = identity.user;
    program->gid = identity.group;
    program->groups = identity.groups;
    program->group_count = identity.group_count;
    program->changes_user =
        (program->user || program->group) && (geteuid() == 0 || !identity_is_ours(&identity));
    /* Not an error: who checks a policy need not be who serves it, and a start would fail safely. */
    if (program->changes_user && geteuid() != 0)
        (void)findings_add(decoder->findings, FINDING_ADVICE, at,
                           "only root can start programs as another user, and this is not root");
    return true;
}

static bool prepare_file(const struct program *program, struct decoder *decoder, const struct node *node)
{
    struct error error = {0};
    if (!program->path == !program->root)
        return false; /* whoever read the settings has said so */
    if (decoder->elsewhere || program_check(program, &error))
        return true;
    return findings_add(decoder->findings, FINDING_ERROR, place(node, program->root ? "root" : "program"),
                        "%s", error.message);
}

/* Its rights are for the user to have whom the program runs as. */
static bool prepare_directory(const struct program *program, struct decoder *decoder, const struct node *node)
{
    struct stat status;
    if (!program->directory || decoder->elsewhere ||
        (stat(program->directory, &status) == 0 && S_ISDIR(status.st_mode)))
        return true;
    return findings_add(decoder->findings, FINDING_ERROR, place(node, "directory"), "there is no folder %s",
                        program->directory);
}

static bool prepare_index(const struct program *program, struct decoder *decoder, const struct node *node)
{
    struct text index = text_of(program->index);
    bool fits = program->extensions.count == 0;
    if (!program->index)
        return true;
    if (!text_is_printable(index) || text_find(index, '\t') < index.length ||
        text_find(index, '/') < index.length || text_equal(index, TEXT(".")) || text_equal(index, TEXT("..")))
        return findings_add(decoder->findings, FINDING_ERROR, place(node, "index"),
                            "is not the name of a file");
    for (size_t i = 0; i < program->extensions.count; i++)
        fits = fits || text_ends_with(index, program->extensions.items[i]);
    if (!fits)
        return findings_add(decoder->findings, FINDING_ERROR, place(node, "index"),
                            "\"%s\" has none of the extensions, so it would never be started",
                            program->index);
    return true;
}

static void prepare_arguments(struct program *program, struct decoder *decoder)
{
    const struct texts *arguments = &program->arguments;
    char **argv = arena_array(decoder->arena, arguments->count + 2, sizeof *argv);
    const char *name = program->path ? program->path : program->root;
    argv[0] = arena_copy(decoder->arena, name, strlen(name));
    for (size_t i = 0; i < arguments->count; i++)
        argv[i + 1] = arena_copy(decoder->arena, arguments->items[i].at, arguments->items[i].length);
    program->argv = argv;
}

static bool is_own_name(struct text name)
{
    for (size_t i = 0; own_names[i]; i++) {
        if (text_equal(name, text_of(own_names[i])))
            return true;
    }
    return text_starts_with(name, TEXT("HTTP_"));
}

static bool prepare_value(struct decoder *decoder, const struct pair *pair, struct text *value)
{
    *value = pair->value;
    if (!text_starts_with(*value, TEXT("file:")) && !text_starts_with(*value, TEXT("env:")))
        return true;
    if (!decode_secret(decoder, pair->node, value))
        return false;
    if (text_find(*value, '\0') < value->length)
        return findings_add(decoder->findings, FINDING_ERROR, pair->node, "the secret holds a NUL byte");
    return true;
}

static char *prepare_variable(struct decoder *decoder, const struct pair *pair, bool finds_script)
{
    struct text value, name = pair->name;
    if (!environment_name_allowed(name)) {
        (void)findings_add(decoder->findings, FINDING_ERROR, pair->node,
                           "a program's environment takes no such name, expected capital letters, digits and "
                           "underscores, and not LD_*, BASH_* or IFS");
        return NULL;
    }
    if (is_own_name(name) || (finds_script && text_equal(name, TEXT("SCRIPT_FILENAME")))) {
        (void)findings_add(decoder->findings, FINDING_ERROR, pair->node,
                           "fcgiguard sets this variable itself");
        return NULL;
    }
    if (!prepare_value(decoder, pair, &value))
        return NULL;
    char *variable = arena_printf(decoder->arena, "%.*s=%.*s", TEXT_ARGUMENTS(name), TEXT_ARGUMENTS(value));
    /* One copy of a secret is what program_forget() knows of. */
    if (value.at != pair->value.at)
        explicit_bzero((char *)(uintptr_t)value.at, value.length);
    return variable;
}

bool environment_prepare(struct decoder *decoder, const struct pairs *pairs, bool finds_script,
                         char *const **environment)
{
    char **variables = arena_array(decoder->arena, pairs->count + 1, sizeof *variables);
    size_t count = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        char *variable = prepare_variable(decoder, &pairs->items[i], finds_script);
        if (variable)
            variables[count++] = variable;
    }
    *environment = variables;
    return count == pairs->count;
}

bool program_prepare(struct program *program, struct decoder *decoder, const struct node *node)
{
    /* No short cuts: a file's every fault is told in one run. */
    bool fits = prepare_identity(program, decoder, node);
    fits = prepare_file(program, decoder, node) && fits;
    fits = prepare_directory(program, decoder, node) && fits;
    fits = prepare_index(program, decoder, node) && fits;
    fits = environment_prepare(decoder, &program->environment, program->root != NULL,
                               &program->fixed_environment) &&
           fits;
    if (program->path || program->root)
        prepare_arguments(program, decoder);
    return fits;
}

void program_forget(struct program *program)
{
    static char *const nothing[] = {NULL};
    for (char *const *v = program->fixed_environment; v && *v; v++)
        explicit_bzero(*v, strlen(*v));
    program->fixed_environment = nothing;
}
