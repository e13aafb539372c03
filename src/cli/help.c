/*
 * help: lists commands and the keys of a policy, from the tables that read it,
 * so that it cannot differ from what is read.
 */
#include "config.h"

#include "cli/command.h"

enum { KEYS_LIMIT = 512, KEY_LIMIT = 256, KEY_WIDTH = 25, TYPE_WIDTH = 9, DEFAULT_WIDTH = 19 };

struct keys {
    struct arena *arena;
    const char *names[KEYS_LIMIT];
    const struct field *fields[KEYS_LIMIT];
    size_t count;
};

static void collect(void *context, const char *key, const struct field *field)
{
    struct keys *keys = context;
    if (keys->count == KEYS_LIMIT)
        return;
    struct field *copy = arena_alloc(keys->arena, sizeof *copy);
    *copy = *field;
    keys->names[keys->count] = arena_copy(keys->arena, key, strlen(key));
    keys->fields[keys->count++] = copy;
}

static const char *type_name(enum field_type type)
{
    static const char *const names[] = {
        [FIELD_TEXT] = "text",     [FIELD_BOOL] = "bool",         [FIELD_NUMBER] = "number",
        [FIELD_SIZE] = "size",     [FIELD_DURATION] = "duration", [FIELD_MODE] = "mode",
        [FIELD_CHOICE] = "choice", [FIELD_TEXTS] = "list",        [FIELD_PAIRS] = "map",
        [FIELD_FILE] = "file",     [FIELD_SECTION] = "map",       [FIELD_OWN] = "value",
    };
    return names[type];
}

static const char *fallback_text(const struct field *field)
{
    return field->fallback ? field->fallback : field->required ? "(required)" : "-";
}

static void print_row(const char *key, const struct field *field)
{
    printf("  %-*s %-*s %-*s %s\n", KEY_WIDTH, key, TYPE_WIDTH, type_name(field->type), DEFAULT_WIDTH,
           field->type == FIELD_SECTION ? "" : fallback_text(field), field->help ? field->help : "");
}

static int print_all(const struct keys *keys)
{
    puts("usage: fcgiguard COMMAND [OPTION]...\n\nCommands:");
    for (size_t i = 0; commands[i]; i++)
        printf("  %-8s %s\n%s%s%s", commands[i]->name, commands[i]->help,
               *commands[i]->usage ? "           " : "", commands[i]->usage, *commands[i]->usage ? "\n" : "");
    puts("\nOptions:\n  -h, --help     print this\n  -V, --version  print the version\n\nKeys of a policy, "
         "with type and "
         "default; \"fcgiguard help KEY\" tells more:");
    for (size_t i = 0; i < keys->count; i++)
        print_row(keys->names[i], keys->fields[i]);
    return EXIT_GOOD;
}

static int print_names(const struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        puts(keys->names[i]);
    return EXIT_GOOD;
}

static bool is_beneath(const char *key, const char *section)
{
    size_t length = strlen(section);
    return strncmp(key, section, length) == 0 && key[length] == '.';
}

static void print_key(const struct keys *keys, size_t at)
{
    const struct field *field = keys->fields[at];
    printf("%s: %s\n", keys->names[at], field->help ? field->help : "");
    if (field->type != FIELD_SECTION)
        printf("  value:   %s\n  default: %s\n", decode_expectation(field, keys->arena),
               fallback_text(field));
    else if (field->section->fields[0].key)
        printf("  A value that is no map stands for %s.%s.\n", keys->names[at],
               field->section->fields[0].key);
    for (size_t i = at + 1; i < keys->count; i++)
        if (is_beneath(keys->names[i], keys->names[at]))
            print_row(keys->names[i], keys->fields[i]);
}

/* Keys of files that are no policies. Each item of a list stands under the list's key. */
static void print_section(const struct section *section, const char *prefix)
{
    for (const struct field *field = section->fields; field->key; field++) {
        char key[KEY_LIMIT];
        snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", field->key);
        print_row(key, field);
        if (field->section)
            print_section(field->section, key);
    }
}

static void print_command(const struct command *command)
{
    printf("%s: %s\nusage: fcgiguard %s%s%s\n", command->name, command->help, command->name,
           *command->usage ? " " : "", command->usage);
    if (command->file) {
        puts("\nKeys of its files, with type and default:");
        print_section(command->file, "");
    }
}

static int print_one(const struct keys *keys, const char *word)
{
    bool known = false; /* "version" is both */
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->name, word) == 0) {
            print_command(commands[i]);
            known = true;
        }
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->names[i], word) == 0) {
            printf("%s", known ? "\n" : "");
            print_key(keys, i);
            known = true;
        }
    if (known)
        return EXIT_GOOD;
    const char *nearest = findings_nearest(word, keys->names, keys->count);
    fprintf(stderr, "fcgiguard: there is no key or command \"%s\"%s%s%s\n", word,
            nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    return EXIT_USAGE;
}

static int help(int argc, char **argv)
{
    static const struct option options[] = {{"keys", no_argument, NULL, 'k'}, {0}};
    bool names = false;
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        if (option != 'k')
            return command_bad_option(&help_command, option, argv);
        names = true;
    }
    if (argc - optind > 1)
        return command_misused(&help_command, "\"%s\" is too much", argv[optind + 1]);
    struct keys keys = {.arena = arena_new()};
    policy_describe(collect, &keys);
    int status = names            ? print_names(&keys)
                 : optind == argc ? print_all(&keys)
                                  : print_one(&keys, argv[optind]);
    arena_free(keys.arena);
    return status;
}

const struct command help_command = {
    .name = "help",
    .usage = "[KEY|COMMAND]",
    .help = "list commands and keys, or tell about one",
    .run = help,
};
