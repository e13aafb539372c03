/*
 * The environment of a started program (RFC 3875, 4.1). Owns the order of its
 * sources and the removal of duplicates; knows nothing of what the values mean
 * and checks none: the launch's names were checked where they came in.
 */
#include "config.h"

#include "process/environment.h"

#include <assert.h>
#include <stdlib.h>

enum { OWN_VARIABLES = 4 };

struct builder {
    char **variables; /* room for all of them and the NULL */
    size_t count;
    char *room;        /* for the strings that are made here */
    uint64_t seen[16]; /* by a hash of the name: a clear bit means that the name is new */
};

bool environment_name_allowed(struct text name)
{
    if (name.length == 0 || (name.at[0] >= '0' && name.at[0] <= '9'))
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return !text_starts_with(name, TEXT("LD_")) && !text_starts_with(name, TEXT("BASH_")) &&
           !text_equal(name, TEXT("IFS"));
}

/* FNV-1a; also gives the length of the name with its "=". */
static unsigned name_hash(const char *variable, size_t *length)
{
    uint32_t hash = 2166136261u;
    size_t i = 0;
    while (variable[i] && variable[i] != '=')
        hash = (hash ^ (unsigned char)variable[i++]) * 16777619u;
    *length = i + (variable[i] == '=');
    return (hash ^ (hash >> 16)) % 1024;
}

static bool is_there(const struct builder *builder, const char *variable, size_t length)
{
    for (size_t i = 0; i < builder->count; i++) {
        if (strncmp(builder->variables[i], variable, length) == 0)
            return true;
    }
    return false;
}

/* Adds a variable unless its name is there. */
static void add(struct builder *builder, char *variable)
{
    size_t length;
    unsigned hash = name_hash(variable, &length);
    uint64_t bit = UINT64_C(1) << (hash % 64);
    if ((builder->seen[hash / 64] & bit) && is_there(builder, variable, length))
        return;
    builder->seen[hash / 64] |= bit;
    builder->variables[builder->count++] = variable;
}

/* Adds NAME=first second; `name` comes with its "=". */
static void add_made(struct builder *builder, struct text name, struct text first, struct text second)
{
    char *made = builder->room;
    struct text parts[] = {name, first, second};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].length > 0)
            memcpy(builder->room, parts[i].at, parts[i].length);
        builder->room += parts[i].length;
    }
    *builder->room++ = '\0';
    add(builder, made);
}

static struct text value_of(char *const *variables, struct text name)
{
    for (; *variables; variables++) {
        if (strncmp(*variables, name.at, name.length) == 0)
            return text_of(*variables + name.length);
    }
    return TEXT("");
}

static struct text document_root(const struct program *program, const struct launch *launch)
{
    struct text name = TEXT("DOCUMENT_ROOT=");
    struct text root = value_of(program->fixed_environment, name);
    return root.length > 0 ? root : value_of(launch->environment, name);
}

/* What only the search beneath the root tells (RFC 3875, 4.1.5, 4.1.6 and 4.1.13). */
static void add_script(struct builder *builder, const struct launch *launch, struct text root, size_t used)
{
    struct text rest = text_from(launch->script, used);
    add_made(builder, TEXT("SCRIPT_NAME="), launch->script_name, (struct text){launch->script.at, used});
    if (rest.length > 0)
        add_made(builder, TEXT("PATH_INFO="), rest, TEXT(""));
    if (rest.length > 0 && root.length > 0)
        add_made(builder, TEXT("PATH_TRANSLATED="), root, rest);
}

static bool is_name_of_script(const char *variable)
{
    return strncmp(variable, "PATH_INFO=", 10) == 0 || strncmp(variable, "PATH_TRANSLATED=", 16) == 0;
}

static size_t count_of(char *const *variables)
{
    size_t count = 0;
    while (variables[count])
        count++;
    return count;
}

char **environment_build(const struct program *program, const struct launch *launch, const char *file,
                         size_t used)
{
    struct text path = text_of(file), root = document_root(program, launch);
    size_t count = count_of(program->fixed_environment) + count_of(launch->environment) + OWN_VARIABLES + 1;
    /* Names and NULs of the four that are made here take less than 100 bytes. */
    size_t room = 100 + path.length + launch->script_name.length + 3 * launch->script.length + root.length;
    assert(used <= launch->script.length || !program->root);

    char **variables = malloc(count * sizeof *variables + room);
    if (!variables)
        return NULL;
    struct builder builder = {.variables = variables, .room = (char *)(variables + count)};
    if (program->root) {
        add_made(&builder, TEXT("SCRIPT_FILENAME="), path, TEXT(""));
        add_script(&builder, launch, root, used);
    }
    for (char *const *v = program->fixed_environment; *v; v++)
        add(&builder, *v);
    /* A policy may say otherwise here: php-cgi as a fixed program wants the script's name. */
    if (!program->root)
        add_made(&builder, TEXT("SCRIPT_FILENAME="), path, TEXT(""));
    for (char *const *v = launch->environment; *v; v++) {
        if (!program->root || !is_name_of_script(*v))
            add(&builder, *v);
    }
    builder.variables[builder.count] = NULL;
    return variables;
}
