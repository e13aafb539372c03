/*
 * Validation: runs the checks of a subschema on an instance, keeps the place
 * and the dynamic scope, collects errors, and tracks what was evaluated where a
 * schema asks for it. What a keyword means is not known here.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/schema_form.h"

struct schema_errors schema_errors_new(struct arena *arena, size_t limit)
{
    return (struct schema_errors){.arena = arena, .limit = limit};
}

bool schema_run_stops(const struct run *run)
{
    return run->exhausted || !run->errors || (run->errors->more && !run->aside);
}

/* ---- errors */

static void add_name(struct bytes *pointer, struct text name)
{
    for (size_t i = 0; i < name.length; i++) {
        if (name.at[i] == '~' || name.at[i] == '/')
            bytes_add(pointer, name.at[i] == '~' ? "~0" : "~1", 2);
        else
            bytes_add(pointer, name.at + i, 1);
    }
}

static const char *pointer_of(const struct place *place, struct arena *arena)
{
    const struct place *steps[SCHEMA_DEPTH_LIMIT + 2];
    size_t count = 0, size = 1;
    for (; place && count < sizeof steps / sizeof *steps; place = place->parent) {
        size += 21 + 2 * place->name.length;
        steps[count++] = place;
    }
    struct bytes pointer = bytes_new(arena, size);
    while (count-- > 0) {
        bytes_add(&pointer, "/", 1);
        if (steps[count]->name.at)
            add_name(&pointer, steps[count]->name);
        else
            bytes_printf(&pointer, "%zu", steps[count]->index);
    }
    return arena_copy(arena, pointer.at, pointer.length);
}

static void add_error(struct run *run, const char *keyword, const char *message)
{
    struct schema_errors *errors = run->errors;
    if (!errors || errors->more)
        return;
    if (errors->count == errors->limit) {
        errors->more = true;
        return;
    }
    if (!errors->items)
        errors->items = arena_array(errors->arena, errors->limit, sizeof *errors->items);
    errors->items[errors->count++] =
        (struct schema_error){pointer_of(run->place, errors->arena), keyword, message};
}

bool schema_run_fail(struct run *run, const char *keyword, const char *format, ...)
{
    if (!schema_run_stops(run) && !run->errors->more) {
        va_list arguments;
        va_start(arguments, format);
        add_error(run, keyword, arena_vprintf(run->errors->arena, format, arguments));
        va_end(arguments);
    }
    return false;
}

bool schema_run_fail_at(struct run *run, const char *keyword, struct text name, const char *message)
{
    if (!schema_run_stops(run)) {
        struct place place = {run->place, {name.at ? name.at : "", name.length}, 0};
        run->place = &place;
        add_error(run, keyword, message);
        run->place = place.parent;
    }
    return false;
}

bool schema_run_exhaust(struct run *run, const char *reason)
{
    if (!run->exhausted)
        run->exhausted = reason;
    return false;
}

bool schema_run_spend(struct run *run, size_t steps)
{
    run->steps += steps;
    return run->steps <= SCHEMA_STEP_LIMIT || schema_run_exhaust(run, "takes too much work to be checked");
}

bool schema_run_match(struct run *run, const struct schema_pattern *pattern, struct text text)
{
    enum pattern_result result = schema_pattern_match(pattern, &run->work, text);
    if (result == PATTERN_EXHAUSTED)
        return schema_run_exhaust(run, "takes too much work to be matched by a pattern");
    return result == PATTERN_MATCHES;
}

/* ---- what was evaluated */

void schema_evaluated_mark(struct run *run, size_t index)
{
    if (run->evaluated && index < run->evaluated->count)
        run->evaluated->bits[index / 64] |= (uint64_t)1 << index % 64;
}

void schema_evaluated_mark_all(struct run *run)
{
    if (run->evaluated)
        memset(run->evaluated->bits, 0xff, (run->evaluated->count + 63) / 64 * sizeof *run->evaluated->bits);
}

static bool evaluated_begin(struct evaluated *evaluated, const json_t *instance)
{
    evaluated->count = json_is_object(instance) ? json_object_size(instance) : json_array_size(instance);
    size_t words = (evaluated->count + 63) / 64;
    evaluated->bits = evaluated->few;
    memset(evaluated->few, 0, sizeof evaluated->few);
    if (words > sizeof evaluated->few / sizeof *evaluated->few)
        evaluated->bits = calloc(words, sizeof *evaluated->bits);
    return evaluated->bits != NULL;
}

static void evaluated_end(struct evaluated *evaluated, struct evaluated *outer)
{
    if (outer)
        for (size_t i = 0; i < (evaluated->count + 63) / 64; i++)
            outer->bits[i] |= evaluated->bits[i];
    if (evaluated->bits != evaluated->few)
        free(evaluated->bits);
}

/* ---- running */

static bool run_checks(struct run *run, const struct check *const *checks, const json_t *instance)
{
    bool valid = true;
    for (; *checks; checks++) {
        if ((*checks)->run(run, *checks, instance))
            continue;
        valid = false;
        if (schema_run_stops(run))
            break;
    }
    return valid && !run->exhausted;
}

/* With bits of its own, which the outer ones get when it is valid. */
static bool run_tracked(struct run *run, const struct subschema *subschema, const json_t *instance)
{
    struct evaluated evaluated, *outer = run->evaluated;
    if (!evaluated_begin(&evaluated, instance))
        return schema_run_exhaust(run, "takes too much memory to be checked");
    run->evaluated = &evaluated;
    bool valid = run_checks(run, subschema->checks[json_typeof(instance)], instance);
    run->evaluated = outer;
    evaluated_end(&evaluated, valid ? outer : NULL);
    return valid;
}

static bool run_in_scope(struct run *run, const struct subschema *subschema, const json_t *instance)
{
    if (subschema->tracks & TYPE_BIT(json_typeof(instance)))
        return run_tracked(run, subschema, instance);
    return run_checks(run, subschema->checks[json_typeof(instance)], instance);
}

bool schema_run(struct run *run, const struct subschema *subschema, const json_t *instance)
{
    if (subschema->kind == SUBSCHEMA_ALWAYS)
        return true;
    if (subschema->kind == SUBSCHEMA_NEVER)
        return schema_run_fail(run, "false", "is not allowed");
    if (!*subschema->checks[json_typeof(instance)])
        return true;
    if (run->depth >= SCHEMA_DEPTH_LIMIT)
        return schema_run_exhaust(run, "is nested too deeply to be checked");
    if (!schema_run_spend(run, 1))
        return false;
    struct scope scope = {subschema->resource, run->scope};
    if (!scope.outer || scope.outer->resource != scope.resource)
        run->scope = &scope;
    run->depth++;
    bool valid = run_in_scope(run, subschema, instance);
    run->depth--;
    run->scope = scope.outer;
    return valid;
}

bool schema_run_try(struct run *run, const struct subschema *subschema, const json_t *instance)
{
    struct schema_errors *errors = run->errors;
    struct evaluated evaluated, *outer = run->evaluated;
    size_t since = schema_declared_since(run);
    if (outer && !evaluated_begin(&evaluated, instance))
        return schema_run_exhaust(run, "takes too much memory to be checked");
    run->errors = NULL;
    run->evaluated = outer ? &evaluated : NULL;
    bool valid = schema_run(run, subschema, instance);
    run->errors = errors;
    run->evaluated = outer;
    if (outer)
        evaluated_end(&evaluated, valid ? outer : NULL);
    if (!valid)
        schema_declared_undo(run, since);
    return valid;
}

static bool run_at(struct run *run, const char *keyword, const struct subschema *subschema,
                   struct place *place, const json_t *instance)
{
    struct evaluated *evaluated = run->evaluated;
    run->place = place;
    run->evaluated = NULL;
    bool valid = subschema->kind == SUBSCHEMA_NEVER ? schema_run_fail(run, keyword, "is not allowed")
                                                    : schema_run(run, subschema, instance);
    run->evaluated = evaluated;
    run->place = place->parent;
    return valid;
}

bool schema_run_member(struct run *run, const char *keyword, const struct subschema *subschema,
                       struct text name, const json_t *value)
{
    if (subschema->kind == SUBSCHEMA_ALWAYS)
        return true;
    struct place place = {run->place, name, 0};
    return run_at(run, keyword, subschema, &place, value);
}

bool schema_run_item(struct run *run, const char *keyword, const struct subschema *subschema, size_t index,
                     const json_t *value)
{
    if (subschema->kind == SUBSCHEMA_ALWAYS)
        return true;
    struct place place = {run->place, {NULL, 0}, index};
    return run_at(run, keyword, subschema, &place, value);
}

static bool validate(struct run *run, const json_t *instance)
{
    struct schema_errors *errors = run->errors;
    bool valid = schema_run(run, run->schema->root, instance);
    schema_pattern_work_free(&run->work);
    if (!run->exhausted)
        return valid;
    if (errors && errors->count < errors->limit) {
        run->place = NULL;
        errors->more = false;
        add_error(run, "limit", run->exhausted);
    }
    return false;
}

bool schema_validate(const struct schema *schema, const json_t *instance, struct schema_errors *errors)
{
    struct run run = {.schema = schema, .errors = errors};
    return validate(&run, instance);
}

bool schema_validate_declared(const struct schema *schema, const json_t *instance, bool aside,
                              struct schema_errors *errors, struct schema_declared *declared)
{
    struct run run = {.schema = schema, .errors = errors, .declared = declared, .aside = aside};
    *declared = (struct schema_declared){0};
    bool valid = validate(&run, instance);
    if (run.exhausted)
        declared->count = 0;
    schema_declared_sort(declared);
    return valid;
}
