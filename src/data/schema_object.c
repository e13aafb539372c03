/*
 * Keywords about objects. "properties", "patternProperties" and
 * "additionalProperties" are one check, since a member is looked up once.
 */
#include "config.h"

#include "data/schema_form.h"

static struct text string_of(const json_t *value)
{
    return (struct text){json_string_value(value), json_string_length(value)};
}

static struct text name_of(void *at)
{
    return (struct text){json_object_iter_key(at), json_object_iter_key_len(at)};
}

/* jansson's iterators want an object that could be changed. */
static json_t *iterable(const json_t *object)
{
    return (json_t *)object;
}

/* ---- required */

static bool run_required(struct run *run, const struct check *check, const json_t *instance)
{
    const struct texts *names = check->rules;
    bool valid = true;
    for (size_t i = 0; i < names->count; i++) {
        if (json_object_getn(instance, names->items[i].at, names->items[i].length))
            continue;
        valid = schema_run_fail_at(run, check->keyword, names->items[i], "is required");
        if (schema_run_stops(run))
            break;
    }
    return valid;
}

static bool take_names(struct clause *clause, const json_t *value, struct texts *names)
{
    if (!json_is_array(value))
        return schema_clause_expects(clause, value, "a list of names");
    names->items = arena_array(schema_clause_arena(clause), json_array_size(value), sizeof *names->items);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *name = json_array_get(value, i);
        if (!json_is_string(name))
            return schema_clause_expects(clause, name, "a name, which is a string");
        names->items[names->count++] = string_of(name);
    }
    return true;
}

bool schema_compile_required(struct clause *clause)
{
    struct texts *names = arena_alloc(schema_clause_arena(clause), sizeof *names);
    if (!take_names(clause, clause->value, names))
        return false;
    schema_clause_check(clause, TYPE_BIT(JSON_OBJECT), run_required)->rules = names;
    return true;
}

/* ---- members */

struct pattern_rule {
    const struct schema_pattern *pattern;
    const struct subschema *subschema;
};

struct members {
    struct schema_map properties; /* name -> struct subschema */
    struct pattern_rule *patterns;
    size_t pattern_count;
    const struct subschema *additional; /* NULL: anything, and not evaluated */
};

/* One member while it is looked at. */
struct member {
    struct text name;
    const json_t *value;
    bool known;   /* one of the keywords is about it */
    bool refused; /* by a schema that is `false` */
};

static bool run_on_member(struct run *run, const char *keyword, const struct subschema *subschema,
                          struct member *member)
{
    bool never = subschema->kind == SUBSCHEMA_NEVER;
    member->known = true;
    member->refused |= never;
    return (never && run->aside) || schema_run_member(run, keyword, subschema, member->name, member->value);
}

/* Whether the member fits the patterns that its name matches. */
static bool run_patterns(struct run *run, const struct members *members, struct member *member)
{
    bool valid = true;
    for (size_t i = 0; i < members->pattern_count && !run->exhausted; i++) {
        const struct pattern_rule *rule = &members->patterns[i];
        if (schema_run_match(run, rule->pattern, member->name))
            valid &= run_on_member(run, "patternProperties", rule->subschema, member);
    }
    return valid && !run->exhausted;
}

static bool run_one_member(struct run *run, const struct members *members, struct member *member)
{
    const struct subschema *property = schema_map_get(&members->properties, member->name);
    bool valid = !property || run_on_member(run, "properties", property, member);
    if (members->pattern_count > 0)
        valid &= run_patterns(run, members, member);
    if (!member->known && members->additional)
        valid &= run_on_member(run, "additionalProperties", members->additional, member);
    return valid;
}

static bool run_members(struct run *run, const struct check *check, const json_t *instance)
{
    json_t *object = iterable(instance);
    bool valid = true;
    size_t index = 0;
    schema_declare_object(run, instance);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at), index++) {
        struct member member = {.name = name_of(at), .value = json_object_iter_value(at)};
        bool fits = run_one_member(run, check->rules, &member);
        if (member.known)
            schema_evaluated_mark(run, index);
        if (member.known && !member.refused)
            schema_declare(run, instance, index);
        valid &= fits;
        if (!fits && schema_run_stops(run))
            break;
    }
    return valid;
}

static bool take_properties(struct clause *clause, const json_t *value, struct members *members)
{
    json_t *object = iterable(value);
    if (value && !json_is_object(value))
        return schema_clause_expects(clause, value, "an object of schemas");
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const struct subschema *subschema = schema_clause_subschema(clause, json_object_iter_value(at));
        if (!subschema)
            return false;
        schema_map_set(&members->properties, schema_clause_arena(clause), name_of(at), (void *)subschema);
    }
    return true;
}

static bool take_patterns(struct clause *clause, const json_t *value, struct members *members)
{
    json_t *object = iterable(value);
    if (value && !json_is_object(value))
        return schema_clause_expects(clause, value, "an object of schemas");
    members->patterns =
        arena_array(schema_clause_arena(clause), json_object_size(value), sizeof *members->patterns);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        struct pattern_rule *rule = &members->patterns[members->pattern_count++];
        rule->pattern = schema_clause_pattern(clause, name_of(at));
        rule->subschema = rule->pattern ? schema_clause_subschema(clause, json_object_iter_value(at)) : NULL;
        if (!rule->subschema)
            return false;
    }
    return true;
}

bool schema_compile_members(struct clause *clause)
{
    const json_t *properties = json_object_get(clause->schema, "properties");
    const json_t *patterns = json_object_get(clause->schema, "patternProperties");
    const json_t *additional = json_object_get(clause->schema, "additionalProperties");
    const char *first = properties ? "properties" : patterns ? "patternProperties" : "additionalProperties";
    if (strcmp(clause->keyword, first) != 0)
        return true; /* the check is there already */
    struct members *members = arena_alloc(schema_clause_arena(clause), sizeof *members);
    struct clause part = *clause;
    part.keyword = "properties";
    if (!take_properties(&part, properties, members))
        return false;
    part.keyword = "patternProperties";
    if (!take_patterns(&part, patterns, members))
        return false;
    part.keyword = "additionalProperties";
    if (additional && !(members->additional = schema_clause_boolean_or_subschema(&part, additional)))
        return false;
    schema_clause_check(clause, TYPE_BIT(JSON_OBJECT), run_members)->rules = members;
    return true;
}

/* ---- names */

static bool run_names(struct run *run, const struct check *check, const json_t *instance)
{
    json_t *object = iterable(instance);
    bool valid = true;
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        struct text name = name_of(at);
        json_t *string = json_stringn_nocheck(name.at, name.length);
        if (!string)
            return schema_run_exhaust(run, "takes too much memory to be checked");
        struct evaluated *evaluated = run->evaluated;
        run->evaluated = NULL;
        bool fits = schema_run_try(run, check->subschema, string);
        run->evaluated = evaluated;
        json_decref(string);
        if (fits)
            continue;
        valid = schema_run_fail_at(run, check->keyword, name, "has a name that is not allowed");
        if (schema_run_stops(run))
            break;
    }
    return valid;
}

bool schema_compile_names(struct clause *clause)
{
    const struct subschema *subschema = schema_clause_subschema(clause, clause->value);
    if (!subschema)
        return false;
    schema_clause_check(clause, TYPE_BIT(JSON_OBJECT), run_names)->subschema = subschema;
    return true;
}

/* ---- dependencies */

struct dependency {
    struct text name;
    const struct subschema *subschema; /* NULL: names */
    struct texts names;
};

struct dependencies {
    struct dependency *items;
    size_t count;
};

static bool run_dependency(struct run *run, const struct check *check, const struct dependency *dependency,
                           const json_t *instance)
{
    bool valid = true;
    if (dependency->subschema)
        return schema_run(run, dependency->subschema, instance);
    for (size_t i = 0; i < dependency->names.count; i++) {
        struct text name = dependency->names.items[i];
        if (!json_object_getn(instance, name.at, name.length))
            valid = schema_run_fail_at(run, check->keyword, name, "is required beside another member");
    }
    return valid;
}

static bool run_dependencies(struct run *run, const struct check *check, const json_t *instance)
{
    const struct dependencies *dependencies = check->rules;
    bool valid = true;
    for (size_t i = 0; i < dependencies->count; i++) {
        const struct dependency *dependency = &dependencies->items[i];
        if (!json_object_getn(instance, dependency->name.at, dependency->name.length) ||
            run_dependency(run, check, dependency, instance))
            continue;
        valid = false;
        if (schema_run_stops(run))
            break;
    }
    return valid;
}

bool schema_compile_dependencies(struct clause *clause)
{
    json_t *object = iterable(clause->value);
    if (!json_is_object(object))
        return schema_clause_expects(clause, object, "an object");
    bool schemas = strcmp(clause->keyword, "dependentRequired") != 0;
    bool names = strcmp(clause->keyword, "dependentSchemas") != 0;
    struct dependencies *dependencies = arena_alloc(schema_clause_arena(clause), sizeof *dependencies);
    dependencies->items =
        arena_array(schema_clause_arena(clause), json_object_size(object), sizeof *dependencies->items);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        struct dependency *dependency = &dependencies->items[dependencies->count++];
        const json_t *value = json_object_iter_value(at);
        dependency->name = name_of(at);
        if (!schemas || (names && json_is_array(value))) {
            if (!take_names(clause, value, &dependency->names))
                return false;
        } else if (!(dependency->subschema = schema_clause_subschema(clause, value))) {
            return false;
        }
    }
    schema_clause_check(clause, TYPE_BIT(JSON_OBJECT), run_dependencies)->rules = dependencies;
    return true;
}

/* ---- unevaluatedProperties */

static bool run_unevaluated(struct run *run, const struct check *check, const json_t *instance)
{
    json_t *object = iterable(instance);
    struct evaluated *evaluated = run->evaluated;
    bool valid = true;
    size_t index = 0;
    schema_declare_object(run, instance);
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at), index++) {
        if (evaluated->bits[index / 64] >> index % 64 & 1)
            continue;
        struct member member = {.name = name_of(at), .value = json_object_iter_value(at)};
        bool fits = run_on_member(run, check->keyword, check->subschema, &member);
        if (!member.refused)
            schema_declare(run, instance, index);
        valid &= fits;
        if (!fits && schema_run_stops(run))
            break;
    }
    schema_evaluated_mark_all(run);
    return valid;
}

bool schema_compile_unevaluated_properties(struct clause *clause)
{
    const struct subschema *subschema = schema_clause_subschema(clause, clause->value);
    if (!subschema)
        return false;
    clause->subschema->tracks |= TYPE_BIT(JSON_OBJECT);
    schema_clause_check(clause, TYPE_BIT(JSON_OBJECT), run_unevaluated)->subschema = subschema;
    return true;
}
