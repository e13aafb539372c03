/*
 * Keywords about a value by itself: its type, equal values, numbers, strings.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "data/schema_form.h"
#include "data/schema_format.h"
#include "data/schema_value.h"

static struct text string_of(const json_t *value)
{
    return (struct text){json_string_value(value), json_string_length(value)};
}

/* ---- type */

enum { INTEGERS_ONLY = 1u << 16 }; /* beside the bits of jansson's types */

struct types {
    unsigned bits, seen; /* of jansson's types; of rows in the table below */
    const char *names;   /* "a string or null" */
};

static const struct {
    const char *name, *phrase;
    unsigned bits;
} type_names[] = {
    {"object", "an object", TYPE_BIT(JSON_OBJECT)},
    {"array", "a list", TYPE_BIT(JSON_ARRAY)},
    {"string", "a string", TYPE_BIT(JSON_STRING)},
    {"number", "a number", TYPES_NUMBER},
    {"integer", "an integer", TYPE_BIT(JSON_INTEGER) | INTEGERS_ONLY},
    {"boolean", "true or false", TYPE_BIT(JSON_TRUE) | TYPE_BIT(JSON_FALSE)},
    {"null", "null", TYPE_BIT(JSON_NULL)},
};

/* Runs only for types that are not named, or for a real number where integers are. */
static bool run_type(struct run *run, const struct check *check, const json_t *instance)
{
    const struct types *types = check->rules;
    if (json_is_real(instance) && types->bits & INTEGERS_ONLY &&
        schema_number_is_integer(schema_number_of(instance)))
        return true;
    return schema_run_fail(run, check->keyword, "must be %s", types->names);
}

static bool add_type(struct clause *clause, struct types *types, const json_t *name)
{
    for (size_t i = 0; json_is_string(name) && i < sizeof type_names / sizeof *type_names; i++) {
        if (!text_equal(string_of(name), text_of(type_names[i].name)))
            continue;
        if (types->seen & 1u << i)
            return true;
        types->seen |= 1u << i;
        types->bits |= type_names[i].bits;
        types->names = types->names ? arena_printf(schema_clause_arena(clause), "%s or %s", types->names,
                                                   type_names[i].phrase)
                                    : type_names[i].phrase;
        return true;
    }
    return schema_clause_expects(clause, name, "array, boolean, integer, null, number, object or string");
}

bool schema_compile_type(struct clause *clause)
{
    struct types *types = arena_alloc(schema_clause_arena(clause), sizeof *types);
    if (!json_is_array(clause->value) && !add_type(clause, types, clause->value))
        return false;
    for (size_t i = 0; i < json_array_size(clause->value); i++)
        if (!add_type(clause, types, json_array_get(clause->value, i)))
            return false;
    if (!types->names)
        return schema_clause_expects(clause, clause->value, "at least one type");
    schema_clause_check(clause, TYPES_ALL & ~types->bits, run_type)->rules = types;
    return true;
}

/* ---- equal values */

static bool run_const(struct run *run, const struct check *check, const json_t *instance)
{
    return schema_value_equal(check->rules, instance) ||
           schema_run_fail(run, check->keyword, "is not the one allowed value");
}

bool schema_compile_const(struct clause *clause)
{
    schema_clause_check(clause, TYPES_ALL, run_const)->rules = clause->value;
    return true;
}

struct enumeration {
    struct schema_map strings;
    const json_t **others;
    size_t count;
};

static bool run_enum(struct run *run, const struct check *check, const json_t *instance)
{
    const struct enumeration *enumeration = check->rules;
    if (json_is_string(instance) && schema_map_get(&enumeration->strings, string_of(instance)))
        return true;
    for (size_t i = 0; i < enumeration->count && !json_is_string(instance); i++)
        if (schema_value_equal(enumeration->others[i], instance))
            return true;
    return schema_run_fail(run, check->keyword, "is none of the allowed values");
}

bool schema_compile_enum(struct clause *clause)
{
    struct arena *arena = schema_clause_arena(clause);
    struct enumeration *enumeration = arena_alloc(arena, sizeof *enumeration);
    if (!json_is_array(clause->value))
        return schema_clause_expects(clause, clause->value, "a list of values");
    enumeration->others = arena_array(arena, json_array_size(clause->value), sizeof *enumeration->others);
    for (size_t i = 0; i < json_array_size(clause->value); i++) {
        json_t *value = json_array_get(clause->value, i);
        if (json_is_string(value))
            schema_map_set(&enumeration->strings, arena, string_of(value), value);
        else
            enumeration->others[enumeration->count++] = value;
    }
    schema_clause_check(clause, TYPES_ALL, run_enum)->rules = enumeration;
    return true;
}

/* ---- numbers */

struct bound {
    struct schema_number number;
    const char *text; /* as it is told */
};

static bool run_minimum(struct run *run, const struct check *check, const json_t *instance)
{
    const struct bound *bound = check->rules;
    return schema_number_compare(schema_number_of(instance), bound->number) >= 0 ||
           schema_run_fail(run, check->keyword, "must be at least %s", bound->text);
}

static bool run_maximum(struct run *run, const struct check *check, const json_t *instance)
{
    const struct bound *bound = check->rules;
    return schema_number_compare(schema_number_of(instance), bound->number) <= 0 ||
           schema_run_fail(run, check->keyword, "must be at most %s", bound->text);
}

static bool run_above(struct run *run, const struct check *check, const json_t *instance)
{
    const struct bound *bound = check->rules;
    return schema_number_compare(schema_number_of(instance), bound->number) > 0 ||
           schema_run_fail(run, check->keyword, "must be more than %s", bound->text);
}

static bool run_below(struct run *run, const struct check *check, const json_t *instance)
{
    const struct bound *bound = check->rules;
    return schema_number_compare(schema_number_of(instance), bound->number) < 0 ||
           schema_run_fail(run, check->keyword, "must be less than %s", bound->text);
}

/* With no more digits than it takes to tell it from others. */
static const char *text_of_number(const json_t *value, struct arena *arena)
{
    char text[40];
    int digits = 15;
    if (json_is_integer(value))
        return arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    do
        snprintf(text, sizeof text, "%.*g", digits, json_real_value(value));
    while (strtod(text, NULL) != json_real_value(value) && digits++ < 17);
    return arena_copy(arena, text, strlen(text));
}

static void add_bound(struct clause *clause, check_run *run)
{
    struct bound *bound = arena_alloc(schema_clause_arena(clause), sizeof *bound);
    bound->number = schema_number_of(clause->value);
    bound->text = text_of_number(clause->value, schema_clause_arena(clause));
    schema_clause_check(clause, TYPES_NUMBER, run)->rules = bound;
}

/* In draft 4 the exclusive ones are flags beside the others. */
bool schema_compile_bound(struct clause *clause)
{
    bool lower = strstr(clause->keyword, "inimum"), excluded = strncmp(clause->keyword, "exclusive", 9) == 0;
    const json_t *flag = json_object_get(clause->schema, lower ? "exclusiveMinimum" : "exclusiveMaximum");
    if (!json_is_number(clause->value))
        return schema_clause_expects(clause, clause->value, "a number");
    if (clause->resource->draft == SCHEMA_DRAFT_4) {
        if (flag && !json_is_boolean(flag))
            return schema_clause_fault(clause, "has %s beside it, expected true or false there in draft 4",
                                       lower ? "an exclusiveMinimum" : "an exclusiveMaximum");
        excluded = json_is_true(flag);
    }
    check_run *run = excluded ? (lower ? run_above : run_below) : (lower ? run_minimum : run_maximum);
    add_bound(clause, run);
    return true;
}

static bool run_multiple(struct run *run, const struct check *check, const json_t *instance)
{
    const struct bound *bound = check->rules;
    return schema_number_is_multiple(schema_number_of(instance), bound->number) ||
           schema_run_fail(run, check->keyword, "must be a multiple of %s", bound->text);
}

bool schema_compile_multiple(struct clause *clause)
{
    struct schema_number step =
        json_is_number(clause->value) ? schema_number_of(clause->value) : (struct schema_number){0};
    if (step.digits == 0 || step.negative)
        return schema_clause_expects(clause, clause->value, "a number above 0");
    add_bound(clause, run_multiple);
    return true;
}

/* ---- sizes */

static bool take_limit(struct clause *clause, unsigned types, check_run *run)
{
    struct schema_number number = json_is_number(clause->value) ? schema_number_of(clause->value)
                                                                : (struct schema_number){1, -1, false};
    if (number.negative || !schema_number_is_integer(number))
        return schema_clause_expects(clause, clause->value, "an integer that is not negative");
    size_t limit = json_is_integer(clause->value) ? (size_t)json_integer_value(clause->value) : SIZE_MAX;
    if (json_is_real(clause->value) && json_real_value(clause->value) < 1e18)
        limit = (size_t)json_real_value(clause->value);
    schema_clause_check(clause, types, run)->limit = limit;
    return true;
}

/* In code points, as RFC 8259 counts characters. */
static size_t length_of(const json_t *string)
{
    const char *at = json_string_value(string);
    size_t count = 0;
    for (size_t i = 0, length = json_string_length(string); i < length; i++)
        count += ((unsigned char)at[i] & 0xc0) != 0x80;
    return count;
}

static bool run_min_length(struct run *run, const struct check *check, const json_t *instance)
{
    size_t least = json_string_length(instance) / 4; /* no character takes more bytes */
    return least >= check->limit || length_of(instance) >= check->limit ||
           schema_run_fail(run, check->keyword, "must have at least %zu character%s", check->limit,
                           check->limit == 1 ? "" : "s");
}

static bool run_max_length(struct run *run, const struct check *check, const json_t *instance)
{
    return json_string_length(instance) <= check->limit || length_of(instance) <= check->limit ||
           schema_run_fail(run, check->keyword, "must have at most %zu character%s", check->limit,
                           check->limit == 1 ? "" : "s");
}

bool schema_compile_length(struct clause *clause)
{
    bool least = clause->keyword[1] == 'i';
    return take_limit(clause, TYPE_BIT(JSON_STRING), least ? run_min_length : run_max_length);
}

static bool run_least(struct run *run, const struct check *check, const json_t *instance)
{
    bool object = json_is_object(instance);
    return (object ? json_object_size(instance) : json_array_size(instance)) >= check->limit ||
           schema_run_fail(run, check->keyword, "must have at least %zu %s", check->limit,
                           object ? "members" : "items");
}

static bool run_most(struct run *run, const struct check *check, const json_t *instance)
{
    bool object = json_is_object(instance);
    return (object ? json_object_size(instance) : json_array_size(instance)) <= check->limit ||
           schema_run_fail(run, check->keyword, "must have at most %zu %s", check->limit,
                           object ? "members" : "items");
}

bool schema_compile_count(struct clause *clause)
{
    bool least = clause->keyword[1] == 'i';
    unsigned type = strstr(clause->keyword, "Items") ? TYPE_BIT(JSON_ARRAY) : TYPE_BIT(JSON_OBJECT);
    return take_limit(clause, type, least ? run_least : run_most);
}

/* ---- strings */

static bool run_pattern(struct run *run, const struct check *check, const json_t *instance)
{
    return schema_run_match(run, check->pattern, string_of(instance)) ||
           schema_run_fail(run, check->keyword, "does not have the required form");
}

bool schema_compile_pattern(struct clause *clause)
{
    if (!json_is_string(clause->value))
        return schema_clause_expects(clause, clause->value, "a string");
    const struct schema_pattern *pattern = schema_clause_pattern(clause, string_of(clause->value));
    if (!pattern)
        return false;
    schema_clause_check(clause, TYPE_BIT(JSON_STRING), run_pattern)->pattern = pattern;
    return true;
}

static bool run_format(struct run *run, const struct check *check, const json_t *instance)
{
    const struct schema_format *format = check->rules;
    return format->fits(string_of(instance)) ||
           schema_run_fail(run, check->keyword, "is not %s", format->phrase);
}

bool schema_compile_format(struct clause *clause)
{
    if (!json_is_string(clause->value))
        return schema_clause_expects(clause, clause->value, "a string");
    const struct schema_format *format = schema_clause_format(clause, string_of(clause->value));
    if (format && schema_clause_asserts_formats(clause))
        schema_clause_check(clause, TYPE_BIT(JSON_STRING), run_format)->rules = format;
    return true;
}
