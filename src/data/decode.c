/*
 * From nodes to members, row by row of a table. Nothing here knows what any
 * key is for.
 */
#include "config.h"

#include "data/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "data/file.h"

enum { SECRET_LIMIT = 64 * 1024, QUOTE_LIMIT = 60, EXPECTATION_LIMIT = 1024, CHOICES_LIMIT = 16 };

/* ---- numbers with units */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit sizes[] = {{"tb", UINT64_C(1) << 40}, {"gb", 1 << 30}, {"mb", 1 << 20},
                                    {"kb", 1 << 10},           {"b", 1},        {NULL, 0}};
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"ms", 1},
                                        {"m", 60000},    {"s", 1000},    {NULL, 0}};

static bool decode_units(struct text text, const struct unit units[], uint64_t *value)
{
    size_t digits = 0;
    while (digits < text.length && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    struct text unit = text_from(text, digits);
    if (!text_number((struct text){text.at, digits}, UINT64_MAX, value))
        return false;
    if (unit.length == 0)
        return *value == 0; /* units are written out, but nothing is nothing */
    for (; units->name; units++)
        if (text_equal(unit, text_of(units->name)))
            return !__builtin_mul_overflow(*value, units->factor, value);
    return false;
}

bool decode_size(struct text text, uint64_t *bytes)
{
    return decode_units(text, sizes, bytes);
}

bool decode_duration(struct text text, uint64_t *milliseconds)
{
    return decode_units(text, durations, milliseconds);
}

static const char *format_units(struct arena *arena, uint64_t value, const struct unit units[])
{
    const struct unit *best = NULL;
    for (; units->name; units++)
        if (value % units->factor == 0 && (!best || units->factor > best->factor))
            best = units;
    if (value == 0 || !best)
        return "0";
    return arena_printf(arena, "%llu%s", (unsigned long long)(value / best->factor), best->name);
}

static const char *format_value(const struct field *field, struct arena *arena, uint64_t value)
{
    if (field->type == FIELD_SIZE)
        return format_units(arena, value, sizes);
    if (field->type == FIELD_DURATION)
        return format_units(arena, value, durations);
    return arena_printf(arena, "%llu", (unsigned long long)value);
}

/* ---- what may be written */

static const char *expected_kind(const struct field *field, struct arena *arena)
{
    switch (field->type) {
    case FIELD_TEXT:
        return "a text";
    case FIELD_BOOL:
        return "true or false";
    case FIELD_NUMBER:
        return "a whole number";
    case FIELD_SIZE:
        return "a size such as 512b, 10kb, 4mb or 1gb";
    case FIELD_DURATION:
        return "a duration such as 500ms, 30s, 15m, 1h or 7d";
    case FIELD_MODE:
        return "an octal file mode such as 0660";
    case FIELD_TEXTS:
        return "a list of texts";
    case FIELD_PAIRS:
        return "a map of texts";
    case FIELD_FILE:
        return "a file's path";
    case FIELD_OWN:
        return field->expects ? field->expects : "a value";
    case FIELD_CHOICE:
    case FIELD_SECTION:
        break;
    }
    struct bytes list = bytes_new(arena, EXPECTATION_LIMIT);
    struct text choices = text_of(field->choices), choice;
    if (field->type == FIELD_CHOICE) {
        while (text_next(&choices, '|', &choice))
            bytes_printf(&list, "%s%.*s", list.length ? ", " : "one of ", TEXT_ARGUMENTS(choice));
    } else {
        for (const struct field *row = field->section->fields; row->key; row++)
            bytes_printf(&list, "%s%s", list.length ? ", " : "a map with ", row->key);
        bytes_printf(&list, ", or %s", decode_expectation(field->section->fields, arena));
    }
    return arena_copy(arena, list.at, list.length);
}

const char *decode_expectation(const struct field *field, struct arena *arena)
{
    const char *kind = expected_kind(field, arena);
    bool ranged = field->type == FIELD_NUMBER || field->type == FIELD_SIZE || field->type == FIELD_DURATION;
    if (ranged && field->most)
        return arena_printf(arena, "%s, %s to %s", kind, format_value(field, arena, field->least),
                            format_value(field, arena, field->most));
    if (ranged && field->least)
        return arena_printf(arena, "%s, at least %s", kind, format_value(field, arena, field->least));
    return kind;
}

/* `"value" is not right, expected ...`; the value is cut, and a map or list only named. */
static bool refuse(struct decoder *decoder, const struct field *field, const struct node *node,
                   const char *what)
{
    const char *expected = decode_expectation(field, decoder->arena);
    if (node->kind == NODE_NULL)
        return findings_add(decoder->findings, FINDING_ERROR, node, "there is no value, expected %s",
                            expected);
    if (node->kind != NODE_SCALAR)
        return findings_add(decoder->findings, FINDING_ERROR, node, "a %s does not fit here, expected %s",
                            node->kind == NODE_LIST ? "list" : "map", expected);
    struct text quoted = text_cut(node->text, QUOTE_LIMIT);
    return findings_add(decoder->findings, FINDING_ERROR, node, "\"%.*s%s\" %s, expected %s",
                        TEXT_ARGUMENTS(quoted), quoted.length < node->text.length ? "..." : "", what,
                        expected);
}

static bool refuse_empty(struct decoder *decoder, const struct field *field, const struct node *node)
{
    return findings_add(decoder->findings, FINDING_ERROR, node, "the list is empty, expected at least %llu",
                        (unsigned long long)field->least);
}

/* ---- one type each */

static bool is_text(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->text.length > 0;
}

static bool decode_in_range(struct decoder *decoder, const struct field *field, const struct node *node,
                            uint64_t *value)
{
    bool good = is_text(node);
    uint64_t number = 0;
    if (field->type == FIELD_NUMBER)
        good = good && node->plain && text_number(node->text, UINT64_MAX, &number);
    else if (field->type == FIELD_SIZE)
        good = good && decode_size(node->text, &number);
    else
        good = good && decode_duration(node->text, &number);
    if (!good)
        return refuse(decoder, field, node, "does not fit");
    if (number < field->least)
        return refuse(decoder, field, node, "is too small");
    if (field->most && number > field->most)
        return refuse(decoder, field, node, "is too large");
    *value = number;
    return true;
}

static bool decode_bool(struct decoder *decoder, const struct field *field, const struct node *node,
                        bool *value)
{
    bool yes = is_text(node) && node->plain && text_equal(node->text, TEXT("true"));
    if (!yes && !(is_text(node) && node->plain && text_equal(node->text, TEXT("false"))))
        return refuse(decoder, field, node, "is neither");
    *value = yes;
    return true;
}

static bool decode_mode(struct decoder *decoder, const struct field *field, const struct node *node,
                        unsigned *value)
{
    unsigned mode = 0;
    bool good = is_text(node) && node->text.length <= 4;
    for (size_t i = 0; good && i < node->text.length; i++) {
        good = node->text.at[i] >= '0' && node->text.at[i] <= '7';
        mode = mode * 8 + (unsigned)(node->text.at[i] - '0');
    }
    if (!good || mode > 0777)
        return refuse(decoder, field, node, "is not one");
    *value = mode;
    return true;
}

static bool decode_choice(struct decoder *decoder, const struct field *field, const struct node *node,
                          int *value)
{
    const char *names[CHOICES_LIMIT];
    struct text choices = text_of(field->choices), choice;
    size_t count = 0;
    while (count < CHOICES_LIMIT && text_next(&choices, '|', &choice)) {
        if (is_text(node) && text_equal(node->text, choice)) {
            *value = (int)count;
            return true;
        }
        names[count++] = arena_copy(decoder->arena, choice.at, choice.length);
    }
    const char *nearest = is_text(node) ? findings_nearest(node->text.at, names, count) : NULL;
    if (nearest)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "\"%s\" is not known, expected %s; did you mean \"%s\"?", node->text.at,
                            decode_expectation(field, decoder->arena), nearest);
    return refuse(decoder, field, node, "is not known");
}

bool decode_texts(struct decoder *decoder, const struct node *node, struct texts *texts)
{
    static const struct field any = {.type = FIELD_TEXTS}, one = {.type = FIELD_TEXT};
    bool good = true;
    *texts = (struct texts){0};
    if (node->kind == NODE_NULL || node->kind == NODE_MAP)
        return refuse(decoder, &any, node, "does not fit");
    size_t count = node->kind == NODE_LIST ? node->count : 1;
    texts->items = arena_array(decoder->arena, count, sizeof *texts->items);
    texts->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct node *item = node->kind == NODE_LIST ? node->items[i] : node;
        if (is_text(item))
            texts->items[i] = item->text;
        else
            good = refuse(decoder, &one, item, "is empty");
    }
    return good;
}

static bool decode_pairs(struct decoder *decoder, const struct field *field, const struct node *node,
                         struct pairs *pairs)
{
    static const struct field one = {.type = FIELD_TEXT};
    bool good = true;
    if (node->kind != NODE_MAP)
        return refuse(decoder, field, node, "does not fit");
    pairs->items = arena_array(decoder->arena, node->count, sizeof *pairs->items);
    pairs->count = node->count;
    for (size_t i = 0; i < node->count; i++) {
        const struct node *item = node->items[i];
        pairs->items[i] = (struct pair){item->name, item->text, item};
        if (item->kind != NODE_SCALAR)
            good = refuse(decoder, &one, item, "does not fit");
    }
    return good;
}

static const char *absolute(const struct decoder *decoder, struct text path)
{
    if (path.at[0] == '/')
        return arena_copy(decoder->arena, path.at, path.length);
    return arena_printf(decoder->arena, "%s/%.*s", decoder->folder, TEXT_ARGUMENTS(path));
}

bool decode_field(struct decoder *decoder, const struct field *field, const struct node *node, void *target)
{
    void *member = (char *)target + field->offset;
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_FILE:
        if (!is_text(node))
            return refuse(decoder, field, node, "is empty");
        *(const char **)member = field->type == FIELD_FILE ? absolute(decoder, node->text) : node->text.at;
        return true;
    case FIELD_BOOL:
        return decode_bool(decoder, field, node, member);
    case FIELD_NUMBER:
    case FIELD_SIZE:
    case FIELD_DURATION:
        return decode_in_range(decoder, field, node, member);
    case FIELD_MODE:
        return decode_mode(decoder, field, node, member);
    case FIELD_CHOICE:
        return decode_choice(decoder, field, node, member);
    case FIELD_TEXTS:
        return decode_texts(decoder, node, member) &&
               (((struct texts *)member)->count >= field->least || refuse_empty(decoder, field, node));
    case FIELD_PAIRS:
        return decode_pairs(decoder, field, node, member);
    case FIELD_SECTION:
        if (node->kind == NODE_NULL)
            return refuse(decoder, field, node, "");
        return field->own ? field->own(decoder, node, member)
                          : decode_section(decoder, field->section, node, member);
    case FIELD_OWN:
        if (node->kind == NODE_NULL)
            return refuse(decoder, field, node, "");
        return field->own(decoder, node, member);
    }
    abort(); /* a row without a type */
}

/* ---- sections */

/* A default goes the same way as what a user writes. */
static bool decode_default(struct decoder *decoder, const struct field *field, void *target)
{
    struct node scalar = {.kind = NODE_SCALAR, .plain = true};
    const struct node *node = &scalar;
    if (!field->fallback) {
        if (field->type != FIELD_SECTION)
            return true;
        /* A section that is left out still has its members' defaults, where none is required. */
        for (const struct field *row = field->section->fields; row->key; row++)
            if (row->required)
                return true;
        return decode_section(decoder, field->section, NULL, (char *)target + field->offset);
    }
    scalar.text = text_of(field->fallback);
    if (strchr("[{", field->fallback[0]))
        node = file_parse(scalar.text, false, decoder->findings);
    return node && decode_field(decoder, field, node, target);
}

static size_t count_fields(const struct section *section)
{
    size_t count = 0;
    while (section->fields[count].key)
        count++;
    return count;
}

static bool refuse_key(struct decoder *decoder, const struct section *section, const struct node *node)
{
    size_t count = count_fields(section);
    const char **names = arena_array(decoder->arena, count, sizeof *names);
    struct bytes list = bytes_new(decoder->arena, EXPECTATION_LIMIT);
    for (size_t i = 0; i < count; i++) {
        names[i] = section->fields[i].key;
        bytes_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest = findings_nearest(node->name.at, names, count);
    if (nearest)
        return findings_add_key(decoder->findings, FINDING_ERROR, node,
                                "this key is not known, expected one of %.*s; did you mean \"%s\"?",
                                TEXT_ARGUMENTS(bytes_text(&list)), nearest);
    return findings_add_key(decoder->findings, FINDING_ERROR, node,
                            "this key is not known, expected one of %.*s", TEXT_ARGUMENTS(bytes_text(&list)));
}

const struct field *decode_find_field(const struct section *section, struct text key)
{
    const struct field *any = NULL;
    for (const struct field *field = section->fields; field->key; field++) {
        if (text_equal(text_of(field->key), key))
            return field;
        if (strcmp(field->key, "*") == 0)
            any = field;
    }
    return any;
}

static bool decode_keys(struct decoder *decoder, const struct section *section, const struct node *map,
                        void *target)
{
    bool good = true;
    for (size_t i = 0; i < map->count; i++) {
        const struct field *field = decode_find_field(section, map->items[i]->name);
        if (!(field ? decode_field(decoder, field, map->items[i], target)
                    : refuse_key(decoder, section, map->items[i])))
            good = false;
    }
    return good;
}

static bool miss_key(struct decoder *decoder, const struct field *field, const struct node *node)
{
    const char *expected = decode_expectation(field, decoder->arena);
    if (!node)
        return findings_add_at(decoder->findings, FINDING_ERROR, 1, 1, "the key `%s` is missing, expected %s",
                               field->key, expected);
    return findings_add(decoder->findings, FINDING_ERROR, node, "the key `%s` is missing, expected %s",
                        field->key, expected);
}

bool decode_section(struct decoder *decoder, const struct section *section, const struct node *node,
                    void *target)
{
    bool good = true;
    bool is_map = node && node->kind == NODE_MAP;
    for (const struct field *field = section->fields; field->key; field++) {
        bool is_written = is_map ? node_get(node, field->key) != NULL : node && field == section->fields;
        if (is_written)
            continue;
        if (field->required)
            good = miss_key(decoder, field, node);
        else if (!decode_default(decoder, field, target))
            good = false;
    }
    if (is_map)
        return decode_keys(decoder, section, node, target) && good;
    if (node && section->fields->key && strcmp(section->fields->key, "*") == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected a map of keys, each with %s",
                            section->fields->expects);
    return (!node || decode_field(decoder, section->fields, node, target)) && good;
}

/* ---- files and secrets */

static bool refuse_file(struct decoder *decoder, const struct node *node, const char *name, const char *what)
{
    return findings_add(decoder->findings, FINDING_ERROR, node, "%s %s", name, what);
}

static const char *judge_file(struct decoder *decoder, const struct stat *status, uint64_t limit, bool secret)
{
    if (!S_ISREG(status->st_mode))
        return "is not a regular file";
    if (secret && (status->st_mode & (S_IROTH | S_IWOTH)))
        return "can be read or written by everybody, expected mode 0640 or 0600";
    if ((uint64_t)status->st_size > limit)
        return arena_printf(decoder->arena, "is larger than %s", format_units(decoder->arena, limit, sizes));
    return NULL;
}

static bool read_whole(struct decoder *decoder, const struct node *node, const char *path, uint64_t limit,
                       bool secret, struct text *content)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0 || fstat(file, &status) != 0) {
        const char *reason = strerrordesc_np(errno);
        if (file >= 0)
            close(file);
        return findings_add(decoder->findings, FINDING_ERROR, node, "%s cannot be read: %s", path, reason);
    }
    const char *problem = judge_file(decoder, &status, limit, secret);
    char *bytes = problem ? NULL : arena_alloc(decoder->arena, (size_t)status.st_size + 1);
    ssize_t length = bytes ? read(file, bytes, (size_t)status.st_size) : 0;
    close(file);
    if (length < 0)
        problem = "cannot be read";
    if (problem)
        return refuse_file(decoder, node, path, problem);
    *content = (struct text){bytes, (size_t)length};
    return length > 0 || refuse_file(decoder, node, path, "is empty");
}

bool decode_file(struct decoder *decoder, const struct node *node, uint64_t limit, struct text *content)
{
    static const struct field row = {.type = FIELD_FILE};
    if (!is_text(node))
        return refuse(decoder, &row, node, "does not fit");
    return read_whole(decoder, node, absolute(decoder, node->text), limit, false, content);
}

static bool read_secret_file(struct decoder *decoder, const struct node *node, const char *path,
                             struct text *secret)
{
    if (!read_whole(decoder, node, path, SECRET_LIMIT, true, secret))
        return false;
    if (secret->at[secret->length - 1] == '\n')
        secret->length -= secret->length > 1 && secret->at[secret->length - 2] == '\r' ? 2 : 1;
    return secret->length > 0 || refuse_file(decoder, node, path, "is empty");
}

bool decode_is_elsewhere(const struct decoder *decoder, const struct node *node)
{
    struct text name = node->text;
    if (!decoder->elsewhere || !is_text(node))
        return false;
    if (text_starts_with(name, TEXT("env:"))) {
        const char *value = getenv(name.at + 4);
        return name.length > 4 && (!value || !*value);
    }
    struct text path = text_starts_with(name, TEXT("file:")) ? text_from(name, 5) : name;
    return path.length > 0 && access(absolute(decoder, path), R_OK) != 0;
}

bool decode_secret(struct decoder *decoder, const struct node *node, struct text *secret)
{
    static const struct field row = {.type = FIELD_OWN, .expects = "file:PATH or env:NAME"};
    struct text name = node->text;
    bool is_named = text_starts_with(name, TEXT("file:")) || text_starts_with(name, TEXT("env:"));
    if (is_named && decode_is_elsewhere(decoder, node)) {
        *secret = TEXT("");
        return true;
    }
    if (is_text(node) && text_starts_with(name, TEXT("file:")) && name.length > 5)
        return read_secret_file(decoder, node, absolute(decoder, text_from(name, 5)), secret);
    if (!is_text(node) || !text_starts_with(name, TEXT("env:")) || name.length == 4) {
        /* What stands here may be the secret itself: it is not repeated. */
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "this is not the name of a secret, expected %s", row.expects);
    }
    const char *value = getenv(name.at + 4);
    if (!value || !*value)
        return refuse_file(decoder, node, name.at + 4,
                           value ? "is empty in the environment" : "is not in the environment");
    *secret = text_of(arena_copy(decoder->arena, value, strlen(value)));
    return true;
}
