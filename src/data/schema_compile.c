/*
 * Compilation: a queue of subschemas, each turned into its checks by the table
 * of keywords. A reference puts what it means into the queue, so neither
 * recursive schemas nor long chains of them make this recurse.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>
#include <sys/random.h>

#include "data/schema_format.h"
#include "data/schema_load.h"
#include "data/schema_uri.h"

enum { CHECK_LIMIT = 96 };

/* What a subschema is known by: the same value means something else in another resource. */
struct identity {
    const json_t *value;
    const struct resource *resource;
};

struct pending {
    struct identity identity;
    struct subschema *subschema;
    struct pending *next;
};

struct compiler {
    struct loader loader;
    struct schema *schema;
    struct schema_map by_identity; /* struct identity -> struct subschema */
    struct pending *first, **last;
    struct {
        unsigned types;
        struct check *check;
    } fresh[CHECK_LIMIT]; /* of the subschema at hand, in order */
    size_t count;
};

/* ---- what keywords ask for */

struct arena *schema_clause_arena(const struct clause *clause)
{
    return clause->compiler->schema->arena;
}

struct check *schema_clause_check(struct clause *clause, unsigned types, check_run *run)
{
    struct compiler *compiler = clause->compiler;
    assert(compiler->count < CHECK_LIMIT);
    struct check *check = arena_alloc(compiler->schema->arena, sizeof *check);
    check->run = run;
    check->keyword = clause->keyword;
    compiler->fresh[compiler->count].types = types;
    compiler->fresh[compiler->count++].check = check;
    return check;
}

bool schema_clause_fault(struct clause *clause, const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return schema_load_fault(&clause->compiler->loader, clause->resource, clause->schema, clause->keyword,
                             "%s", message);
}

bool schema_clause_expects(struct clause *clause, const json_t *value, const char *expected)
{
    return schema_load_expects(&clause->compiler->loader, clause->resource, clause->schema, clause->keyword,
                               value, expected);
}

static struct subschema *subschema_of(struct compiler *compiler, const json_t *value,
                                      const struct resource *resource)
{
    struct arena *arena = compiler->schema->arena;
    struct identity identity = {value, resource};
    struct subschema *subschema =
        schema_map_get(&compiler->by_identity, (struct text){(const char *)&identity, sizeof identity});
    if (subschema)
        return subschema;
    struct pending *pending = arena_alloc(arena, sizeof *pending);
    subschema = arena_alloc(arena, sizeof *subschema);
    subschema->resource = resource;
    if (json_is_boolean(value))
        subschema->kind = json_is_true(value) ? SUBSCHEMA_ALWAYS : SUBSCHEMA_NEVER;
    *pending = (struct pending){identity, subschema, NULL};
    *compiler->last = pending;
    compiler->last = &pending->next;
    schema_map_set(&compiler->by_identity, arena,
                   (struct text){(const char *)&pending->identity, sizeof pending->identity}, subschema);
    return subschema;
}

static const struct subschema *take_subschema(struct clause *clause, const json_t *value, bool booleans)
{
    struct compiler *compiler = clause->compiler;
    if (!json_is_object(value) && !(booleans && json_is_boolean(value))) {
        schema_clause_expects(clause, value,
                              booleans ? "a schema: an object or a boolean" : "a schema: an object");
        return NULL;
    }
    const struct resource *own =
        schema_map_get(&compiler->loader.by_root, (struct text){(const char *)&value, sizeof value});
    return subschema_of(compiler, value, own && json_is_object(value) ? own : clause->resource);
}

const struct subschema *schema_clause_subschema(struct clause *clause, const json_t *value)
{
    return take_subschema(clause, value, clause->resource->draft != SCHEMA_DRAFT_4);
}

const struct subschema *schema_clause_boolean_or_subschema(struct clause *clause, const json_t *value)
{
    return take_subschema(clause, value, true);
}

bool schema_clause_subschemas(struct clause *clause, const json_t *value, struct subschemas *list)
{
    if (!json_is_array(value) || json_array_size(value) == 0)
        return schema_clause_expects(clause, value, "a list of schemas");
    list->count = json_array_size(value);
    list->items = arena_array(schema_clause_arena(clause), list->count, sizeof *list->items);
    for (size_t i = 0; i < list->count; i++) {
        list->items[i] = schema_clause_subschema(clause, json_array_get(value, i));
        if (!list->items[i])
            return false;
    }
    return true;
}

const struct subschema *schema_clause_reference(struct clause *clause, const char *reference,
                                                const char **dynamic)
{
    struct resource *resource;
    const char *name;
    struct origin origin = {clause->resource, clause->schema, clause->keyword};
    const json_t *value =
        schema_load_reference(&clause->compiler->loader, &origin, reference, &resource, &name);
    if (!value)
        return NULL;
    if (dynamic)
        *dynamic = name;
    struct clause other = *clause;
    other.resource = resource;
    return schema_clause_subschema(&other, value);
}

const struct schema_pattern *schema_clause_pattern(struct clause *clause, struct text text)
{
    struct compiler *compiler = clause->compiler;
    struct error error = {0};
    const struct schema_pattern *pattern =
        schema_pattern_compile(compiler->schema->patterns, compiler->schema->arena, text, &error);
    if (!pattern)
        schema_clause_fault(clause, "%s", error.message);
    return pattern;
}

const struct schema_format *schema_clause_format(const struct clause *clause, struct text name)
{
    const struct schema_format *own = clause->compiler->loader.options->formats;
    for (; own && own->name; own++)
        if (text_equal(text_of(own->name), name))
            return own;
    return schema_format_find(name);
}

bool schema_clause_asserts_formats(const struct clause *clause)
{
    return !clause->compiler->loader.options->formats_annotate;
}

/* ---- the queue */

/* One list of checks for each type, of those that mind it. */
static void keep_checks(struct compiler *compiler, struct subschema *subschema)
{
    for (unsigned type = 0; type < JSON_TYPE_COUNT; type++) {
        size_t count = 0;
        const struct check **list =
            arena_array(compiler->schema->arena, compiler->count + 1, sizeof *subschema->checks[type]);
        for (size_t i = 0; i < compiler->count; i++)
            if (compiler->fresh[i].types & TYPE_BIT(type))
                list[count++] = compiler->fresh[i].check;
        subschema->checks[type] = list;
    }
    if (compiler->count == 0)
        subschema->kind = SUBSCHEMA_ALWAYS;
}

/* Until draft 7, $ref hides everything beside it. */
static bool hides_others(enum schema_draft draft, const json_t *value)
{
    return draft != SCHEMA_DRAFT_2020_12 && draft != SCHEMA_DRAFT_2019_09 && json_object_get(value, "$ref");
}

static bool compile_keyword(struct compiler *compiler, const struct pending *pending,
                            const struct keyword *row)
{
    const struct resource *resource = pending->identity.resource;
    const json_t *value = json_object_get(pending->identity.value, row->name);
    bool applies = value && row->drafts & 1u << resource->draft && row->vocabulary & resource->vocabularies;
    if (!applies || !row->compile)
        return true;
    struct clause clause = {compiler, pending->subschema,     resource, row->name,
                            value,    pending->identity.value};
    return row->compile(&clause);
}

static bool compile_one(struct compiler *compiler, const struct pending *pending)
{
    const json_t *value = pending->identity.value;
    bool hidden = hides_others(pending->identity.resource->draft, value);
    compiler->count = 0;
    if (json_is_boolean(value))
        return true;
    for (const struct keyword *row = schema_keywords; row->name; row++)
        if ((!hidden || strcmp(row->name, "$ref") == 0) && !compile_keyword(compiler, pending, row))
            return false;
    keep_checks(compiler, pending->subschema);
    return true;
}

static void add_dynamic(void *context, struct resource *resource, struct text name, const json_t *value)
{
    struct compiler *compiler = context;
    schema_map_set(&resource->dynamic, compiler->schema->arena, name,
                   subschema_of(compiler, value, resource));
}

static bool compile(struct compiler *compiler, json_t *value)
{
    const struct schema_options *options = compiler->loader.options;
    struct schema *schema = compiler->schema;
    const char *uri = options->uri ? schema_uri_resolve(schema->arena, "", text_of(options->uri)) : "";
    if (json_array_append(schema->documents, value) != 0)
        return error_set(&compiler->loader.fault->error, "there is no memory for the schema");
    struct resource *resource = schema_load(&compiler->loader, value, uri, options->draft);
    if (!resource)
        return false;
    struct clause clause = {compiler, NULL, resource, NULL, value, value};
    schema->root = schema_clause_subschema(&clause, value);
    if (!schema->root)
        return false;
    for (const struct pending *pending = compiler->first; pending; pending = pending->next)
        if (!compile_one(compiler, pending))
            return false;
    return true;
}

struct schema *schema_compile(json_t *value, const struct schema_options *options, struct schema_fault *fault)
{
    static const struct schema_options defaults;
    struct arena *arena = arena_new();
    struct schema *schema = arena_alloc(arena, sizeof *schema);
    *fault = (struct schema_fault){0};
    schema->arena = arena;
    schema->documents = json_array();
    schema->patterns = schema_patterns_new(arena);
    if (getrandom(schema->seed, sizeof schema->seed, 0) != (ssize_t)sizeof schema->seed)
        error_set_errno(&fault->error, "cannot get random bytes");
    struct arena *scratch = arena_new();
    struct compiler *compiler = arena_alloc(scratch, sizeof *compiler);
    compiler->schema = schema;
    compiler->last = &compiler->first;
    compiler->loader = (struct loader){.arena = arena,
                                       .options = options ? options : &defaults,
                                       .fault = fault,
                                       .documents = schema->documents,
                                       .found = add_dynamic,
                                       .context = compiler};
    bool compiled = schema->documents && !fault->error.set && compile(compiler, value);
    arena_free(scratch);
    if (compiled)
        return schema;
    error_set(&fault->error, "there is no memory for the schema");
    schema_free(schema);
    return NULL;
}

void schema_free(struct schema *schema)
{
    if (!schema)
        return;
    schema_patterns_free(schema->patterns);
    json_decref(schema->documents);
    arena_free(schema->arena);
}
