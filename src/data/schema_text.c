/*
 * Schemas and instances from JSON text, as strictly as JSON can be read: UTF-8,
 * no name twice in one object. jansson keeps no positions, so that of a fault is
 * looked for when there is one (schema_position.c).
 */
#include "config.h"

#include "base/bytes.h"
#include "data/schema.h"
#include "data/schema_position.h"

static size_t span_number(struct text text)
{
    size_t length = 0;
    while (length < text.length && text.at[length] && strchr("+-.0123456789Ee", text.at[length]))
        length++;
    return length;
}

static bool is_large_integer(struct text number)
{
    bool negative = text_starts_with(number, TEXT("-"));
    struct text digits = text_from(number, negative);
    uint64_t size;
    return strspn(digits.at, "0123456789") >= digits.length &&
           !text_number(digits, (uint64_t)INT64_MAX + negative, &size);
}

/* A copy in which integers that jansson does not hold are doubles. The text ends in a NUL. */
static struct text with_doubles(struct arena *arena, struct text text)
{
    struct bytes bytes = bytes_new(arena, SIZE_MAX);
    bool in_string = false;
    while (text.length > 0) {
        size_t length = in_string ? 0 : span_number(text);
        struct text piece = {text.at, length};
        if (length == 0) {
            in_string ^= text.at[0] == '"';
            piece.length = text.at[0] == '\\' && text.length > 1 ? 2 : 1;
        }
        bytes_add_text(&bytes, piece);
        if (length > 0 && is_large_integer(piece))
            bytes_add(&bytes, "e0", 2);
        text = text_from(text, piece.length);
    }
    return bytes_text(&bytes);
}

static json_t *load_with_doubles(struct text text, size_t flags, json_error_t *problem)
{
    struct arena *arena = arena_new();
    text = with_doubles(arena, (struct text){arena_copy(arena, text.at, text.length), text.length});
    json_t *value = json_loadb(text.at, text.length, flags, problem);
    arena_free(arena);
    return value;
}

json_t *schema_json(struct text text, json_error_t *problem)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    const char *at = text.at ? text.at : "";
    json_t *value = json_loadb(at, text.length, flags, problem);
    if (!value && json_error_code(problem) == json_error_numeric_overflow)
        value = load_with_doubles(text, flags, problem);
    if (!value && problem->line < 1)
        problem->line = 1;
    if (!value && problem->column < 1)
        problem->column = 1;
    return value;
}

struct schema *schema_parse(struct text text, const struct schema_options *options,
                            struct schema_fault *fault)
{
    json_error_t problem;
    *fault = (struct schema_fault){0};
    json_t *value = schema_json(text, &problem);
    if (!value) {
        fault->line = (unsigned)problem.line;
        fault->column = (unsigned)problem.column;
        error_set(&fault->error, "is not JSON: %s", problem.text);
        return NULL;
    }
    struct schema *schema = schema_compile(value, options, fault);
    json_decref(value);
    if (!schema && fault->uri[0] == '\0')
        schema_position(text, text_of(fault->pointer), &fault->line, &fault->column);
    return schema;
}
