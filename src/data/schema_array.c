/*
 * Keywords about arrays.
 */
#include "config.h"

#include <stdlib.h>

#include "data/schema_form.h"
#include "data/schema_value.h"

/* ---- items, by the place they have */

struct items {
    struct subschemas first;      /* of the first items, one each */
    const struct subschema *rest; /* of the others; NULL: anything, and not evaluated */
    const char *rest_keyword;
};

static bool run_items(struct run *run, const struct check *check, const json_t *instance)
{
    const struct items *items = check->rules;
    size_t count = json_array_size(instance);
    bool valid = true;
    if (!items->rest && count > items->first.count)
        count = items->first.count;
    for (size_t i = 0; i < count; i++) {
        bool first = i < items->first.count;
        const struct subschema *subschema = first ? items->first.items[i] : items->rest;
        schema_evaluated_mark(run, i);
        if (schema_run_item(run, first ? check->keyword : items->rest_keyword, subschema, i,
                            json_array_get(instance, i)))
            continue;
        valid = false;
        if (schema_run_stops(run))
            break;
    }
    return valid;
}

static bool take_items(struct clause *clause, const json_t *first, const json_t *rest,
                       const char *rest_keyword)
{
    struct items *items = arena_alloc(schema_clause_arena(clause), sizeof *items);
    struct clause part = *clause;
    items->rest_keyword = part.keyword = rest_keyword;
    if (json_array_size(first) > 0 && !schema_clause_subschemas(clause, first, &items->first))
        return false;
    if (rest && !(items->rest = schema_clause_boolean_or_subschema(&part, rest)))
        return false;
    schema_clause_check(clause, TYPE_BIT(JSON_ARRAY), run_items)->rules = items;
    return true;
}

/* Until 2019-09 a list under "items" is what "prefixItems" is now. */
bool schema_compile_items(struct clause *clause)
{
    if (clause->resource->draft != SCHEMA_DRAFT_2020_12)
        return json_is_array(clause->value)
                   ? take_items(clause, clause->value, json_object_get(clause->schema, "additionalItems"),
                                "additionalItems")
                   : take_items(clause, NULL, clause->value, "items");
    const json_t *first = json_object_get(clause->schema, "prefixItems");
    bool second = first && strcmp(clause->keyword, "items") == 0;
    if (first && (!json_is_array(first) || json_array_size(first) == 0))
        return schema_clause_expects(clause, first, "a list of schemas");
    return second || take_items(clause, first, json_object_get(clause->schema, "items"), "items");
}

/* ---- contains */

struct contains {
    const struct subschema *subschema;
    size_t least, most;
    bool evaluates; /* since 2020-12 */
};

static bool run_contains(struct run *run, const struct check *check, const json_t *instance)
{
    const struct contains *contains = check->rules;
    struct schema_errors *errors = run->errors;
    size_t found = 0;
    run->errors = NULL;
    for (size_t i = 0; i < json_array_size(instance) && !run->exhausted; i++) {
        size_t since = schema_declared_since(run);
        if (!schema_run_item(run, check->keyword, contains->subschema, i, json_array_get(instance, i))) {
            schema_declared_undo(run, since);
            continue;
        }
        found++;
        if (contains->evaluates)
            schema_evaluated_mark(run, i);
        if (!run->evaluated && !run->declared && found >= contains->least && contains->most == SIZE_MAX)
            break;
    }
    run->errors = errors;
    if (found < contains->least)
        return schema_run_fail(run, contains->least == 1 ? check->keyword : "minContains",
                               "has too few items of the required form");
    return found <= contains->most ||
           schema_run_fail(run, "maxContains", "has too many items of the counted form");
}

static bool take_count(struct clause *clause, const char *keyword, size_t *count)
{
    const json_t *value = json_object_get(clause->schema, keyword);
    if (!value || clause->resource->draft > SCHEMA_DRAFT_2019_09 ||
        !(clause->resource->vocabularies & VOCABULARY_VALIDATION))
        return true;
    struct clause part = *clause;
    part.keyword = keyword;
    double number = json_number_value(value);
    if (!json_is_number(value) || number < 0 || number > 1e15 || (double)(size_t)number < number)
        return schema_clause_expects(&part, value, "an integer that is not negative");
    *count = (size_t)number;
    return true;
}

bool schema_compile_contains(struct clause *clause)
{
    struct contains *contains = arena_alloc(schema_clause_arena(clause), sizeof *contains);
    contains->least = 1;
    contains->most = SIZE_MAX;
    contains->evaluates = clause->resource->draft == SCHEMA_DRAFT_2020_12;
    contains->subschema = schema_clause_subschema(clause, clause->value);
    if (!contains->subschema || !take_count(clause, "minContains", &contains->least) ||
        !take_count(clause, "maxContains", &contains->most))
        return false;
    schema_clause_check(clause, TYPE_BIT(JSON_ARRAY), run_contains)->rules = contains;
    return true;
}

/* ---- uniqueItems */

enum { FEW_ITEMS = 8, HASHES_PER_STEP = 4 };

struct hashed {
    uint64_t hash;
    const json_t *value;
};

static int compare_hashes(const void *a, const void *b)
{
    uint64_t left = ((const struct hashed *)a)->hash, right = ((const struct hashed *)b)->hash;
    return left < right ? -1 : left > right;
}

static bool are_few_unique(const json_t *list)
{
    for (size_t i = 1; i < json_array_size(list); i++)
        for (size_t k = 0; k < i; k++)
            if (schema_value_equal(json_array_get(list, i), json_array_get(list, k)))
                return false;
    return true;
}

/* Each level of a nested list is hashed with all that is below it, so that is work to be counted. */
static bool hash_items(struct run *run, const json_t *list, struct hashed *items)
{
    size_t values = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        items[i].value = json_array_get(list, i);
        items[i].hash = schema_value_hash(items[i].value, run->schema->seed, &values);
    }
    return schema_run_spend(run, values / HASHES_PER_STEP);
}

/* The hash is keyed, so values of one hash are equal but for an accident. */
static bool are_hashes_unique(struct hashed *items, size_t count)
{
    qsort(items, count, sizeof *items, compare_hashes);
    for (size_t i = 1; i < count; i++)
        for (size_t k = i; k-- > 0 && items[k].hash == items[i].hash;)
            if (schema_value_equal(items[k].value, items[i].value))
                return false;
    return true;
}

static bool run_unique(struct run *run, const struct check *check, const json_t *instance)
{
    size_t count = json_array_size(instance);
    bool unique;
    if (count <= FEW_ITEMS) {
        unique = are_few_unique(instance);
    } else {
        struct hashed *items = calloc(count, sizeof *items);
        if (!items)
            return schema_run_exhaust(run, "takes too much memory to be checked");
        unique = hash_items(run, instance, items) && are_hashes_unique(items, count);
        free(items);
    }
    return unique || schema_run_fail(run, check->keyword, "has two items that are equal");
}

bool schema_compile_unique(struct clause *clause)
{
    if (!json_is_boolean(clause->value))
        return schema_clause_expects(clause, clause->value, "true or false");
    if (json_is_true(clause->value))
        schema_clause_check(clause, TYPE_BIT(JSON_ARRAY), run_unique);
    return true;
}

/* ---- unevaluatedItems */

static bool run_unevaluated(struct run *run, const struct check *check, const json_t *instance)
{
    struct evaluated *evaluated = run->evaluated;
    bool valid = true;
    for (size_t i = 0; i < json_array_size(instance); i++) {
        if (evaluated->bits[i / 64] >> i % 64 & 1)
            continue;
        if (schema_run_item(run, check->keyword, check->subschema, i, json_array_get(instance, i)))
            continue;
        valid = false;
        if (schema_run_stops(run))
            break;
    }
    schema_evaluated_mark_all(run);
    return valid;
}

bool schema_compile_unevaluated_items(struct clause *clause)
{
    const struct subschema *subschema = schema_clause_subschema(clause, clause->value);
    if (!subschema)
        return false;
    clause->subschema->tracks |= TYPE_BIT(JSON_ARRAY);
    schema_clause_check(clause, TYPE_BIT(JSON_ARRAY), run_unevaluated)->subschema = subschema;
    return true;
}
