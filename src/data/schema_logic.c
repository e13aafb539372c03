/*
 * Keywords that apply other subschemas to the same instance: references,
 * all, any, one and none of several, and conditions.
 */
#include "config.h"

#include "data/schema_form.h"

static bool run_subschema(struct run *run, const struct check *check, const json_t *instance)
{
    return schema_run(run, check->subschema, instance);
}

static bool is_reference(const json_t *value)
{
    return json_is_string(value) && strlen(json_string_value(value)) == json_string_length(value);
}

bool schema_compile_reference(struct clause *clause)
{
    if (!is_reference(clause->value))
        return schema_clause_expects(clause, clause->value, "a reference, which is a string");
    const struct subschema *subschema =
        schema_clause_reference(clause, json_string_value(clause->value), NULL);
    if (!subschema)
        return false;
    schema_clause_check(clause, TYPES_ALL, run_subschema)->subschema = subschema;
    return true;
}

struct dynamic {
    const struct subschema *first; /* where the reference leads as it stands */
    struct text name;
};

/* The outermost resource of the dynamic scope that has the anchor decides. */
static bool run_dynamic(struct run *run, const struct check *check, const json_t *instance)
{
    const struct dynamic *dynamic = check->rules;
    const struct subschema *subschema = dynamic->first;
    for (const struct scope *scope = run->scope; scope; scope = scope->outer) {
        const struct subschema *other = schema_map_get(&scope->resource->dynamic, dynamic->name);
        if (other)
            subschema = other;
    }
    return schema_run(run, subschema, instance);
}

bool schema_compile_dynamic_reference(struct clause *clause)
{
    const char *name = NULL;
    if (!is_reference(clause->value))
        return schema_clause_expects(clause, clause->value, "a reference, which is a string");
    const struct subschema *first = schema_clause_reference(clause, json_string_value(clause->value), &name);
    if (!first)
        return false;
    if (!name) {
        schema_clause_check(clause, TYPES_ALL, run_subschema)->subschema = first;
        return true;
    }
    struct dynamic *dynamic = arena_alloc(schema_clause_arena(clause), sizeof *dynamic);
    *dynamic = (struct dynamic){first, text_of(name)};
    schema_clause_check(clause, TYPES_ALL, run_dynamic)->rules = dynamic;
    return true;
}

/* Compiled though nothing may refer to them, so that a fault in one is told. */
bool schema_compile_definitions(struct clause *clause)
{
    if (!json_is_object(clause->value))
        return schema_clause_expects(clause, clause->value, "an object of schemas");
    json_t *object = (json_t *)clause->value;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        if (!schema_clause_subschema(clause, json_object_iter_value(at)))
            return false;
    return true;
}

static bool run_all(struct run *run, const struct check *check, const json_t *instance)
{
    bool valid = true;
    for (size_t i = 0; i < check->list.count; i++) {
        if (schema_run(run, check->list.items[i], instance))
            continue;
        valid = false;
        if (schema_run_stops(run))
            break;
    }
    return valid;
}

bool schema_compile_all(struct clause *clause)
{
    struct subschemas list;
    if (!schema_clause_subschemas(clause, clause->value, &list))
        return false;
    schema_clause_check(clause, TYPES_ALL, run_all)->list = list;
    return true;
}

/* Whether a form refuses this type of value before it looks at anything else. */
static bool refuses_type(const struct subschema *subschema, const json_t *instance)
{
    for (int hops = 0; hops < 10 && subschema->kind == SUBSCHEMA_CHECKS; hops++) {
        const struct check *first = subschema->checks[json_typeof(instance)][0];
        if (!first || first->run != run_subschema)
            return first && strcmp(first->keyword, "type") == 0;
        subschema = first->subschema;
    }
    return subschema->kind == SUBSCHEMA_NEVER;
}

/* None fits. When one form only is for this type of value, as where null is
 * allowed beside an object, its errors say more than that. Always false. */
static bool fail_with_reason(struct run *run, const struct check *check, const json_t *instance)
{
    const struct subschema *only = NULL;
    size_t count = 0;
    for (size_t i = 0; i < check->list.count && !schema_run_stops(run); i++) {
        if (refuses_type(check->list.items[i], instance))
            continue;
        only = check->list.items[i];
        count++;
    }
    if (count != 1 || schema_run(run, only, instance))
        schema_run_fail(run, check->keyword, "fits none of the allowed forms");
    return false;
}

static bool run_any(struct run *run, const struct check *check, const json_t *instance)
{
    bool valid = false;
    for (size_t i = 0; i < check->list.count && !run->exhausted; i++) {
        valid |= schema_run_try(run, check->list.items[i], instance);
        if (valid && !run->evaluated && !run->declared) /* each that fits tells what it has evaluated */
            break;
    }
    return valid || fail_with_reason(run, check, instance);
}

bool schema_compile_any(struct clause *clause)
{
    struct subschemas list;
    if (!schema_clause_subschemas(clause, clause->value, &list))
        return false;
    schema_clause_check(clause, TYPES_ALL, run_any)->list = list;
    return true;
}

/* Forms that only what they do not declare tells apart may all fit while that is put aside. */
static bool run_one(struct run *run, const struct check *check, const json_t *instance)
{
    size_t fits = 0;
    for (size_t i = 0; i < check->list.count && (fits < 2 || run->aside) && !run->exhausted; i++)
        fits += schema_run_try(run, check->list.items[i], instance);
    if (fits == 1 || (fits > 1 && run->aside))
        return true;
    return fits ? schema_run_fail(run, check->keyword,
                                  "fits more than one of the forms that exclude each other")
                : fail_with_reason(run, check, instance);
}

bool schema_compile_one(struct clause *clause)
{
    struct subschemas list;
    if (!schema_clause_subschemas(clause, clause->value, &list))
        return false;
    schema_clause_check(clause, TYPES_ALL, run_one)->list = list;
    return true;
}

static bool run_not(struct run *run, const struct check *check, const json_t *instance)
{
    struct evaluated *evaluated = run->evaluated;
    size_t since = schema_declared_since(run);
    run->evaluated = NULL;
    bool fits = schema_run_try(run, check->subschema, instance);
    run->evaluated = evaluated;
    schema_declared_undo(run, since);
    return !fits || schema_run_fail(run, check->keyword, "has a form that is not allowed");
}

bool schema_compile_not(struct clause *clause)
{
    const struct subschema *subschema = schema_clause_subschema(clause, clause->value);
    if (!subschema)
        return false;
    schema_clause_check(clause, TYPES_ALL, run_not)->subschema = subschema;
    return true;
}

struct condition {
    const struct subschema *when, *then, *otherwise; /* the latter two may be NULL */
};

static bool run_if(struct run *run, const struct check *check, const json_t *instance)
{
    const struct condition *condition = check->rules;
    const struct subschema *next =
        schema_run_try(run, condition->when, instance) ? condition->then : condition->otherwise;
    return !next || run->exhausted || schema_run(run, next, instance);
}

bool schema_compile_if(struct clause *clause)
{
    const json_t *then = json_object_get(clause->schema, "then");
    const json_t *otherwise = json_object_get(clause->schema, "else");
    struct condition *condition = arena_alloc(schema_clause_arena(clause), sizeof *condition);
    condition->when = schema_clause_subschema(clause, clause->value);
    condition->then = then ? schema_clause_subschema(clause, then) : NULL;
    condition->otherwise = otherwise ? schema_clause_subschema(clause, otherwise) : NULL;
    if (!condition->when || (then && !condition->then) || (otherwise && !condition->otherwise))
        return false;
    schema_clause_check(clause, TYPES_ALL, run_if)->rules = condition;
    return true;
}
