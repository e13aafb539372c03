/*
 * A file becomes an API: its version, then its parts in their order, then
 * whether the schemas that were found can be used. Here is also how findings
 * are told, and how values are had from maps.
 */
#include "config.h"

#include "data/openapi_reader.h"

#include <stdlib.h>
#include <unistd.h>

/* ---- findings */

bool openapi_is_extension(const struct node *node)
{
    return text_starts_with(node->name, TEXT("x-"));
}

/* What several operations share is read for each of them, and told once. */
static bool tell(struct openapi_reader *reader, enum finding_kind kind, struct openapi_spot spot, bool key,
                 const char *format, va_list arguments)
{
    const char *before = reader->findings.file;
    const char *message = arena_vprintf(reader->arena, format, arguments);
    if (!openapi_tells(reader, arena_printf(reader->arena, "%p %s", (const void *)spot.node, message)))
        return false;
    reader->findings.file = spot.document->name;
    if (key)
        findings_add_key(&reader->findings, kind, spot.node, "%s", message);
    else
        findings_add(&reader->findings, kind, spot.node, "%s", message);
    reader->findings.file = before;
    return false;
}

bool openapi_tell(struct openapi_reader *reader, enum finding_kind kind, struct openapi_spot spot,
                  const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(reader, kind, spot, false, format, arguments);
    va_end(arguments);
    return false;
}

bool openapi_tell_key(struct openapi_reader *reader, enum finding_kind kind, struct openapi_spot spot,
                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    tell(reader, kind, spot, true, format, arguments);
    va_end(arguments);
    return false;
}

bool openapi_tells(struct openapi_reader *reader, const char *word)
{
    struct text key = text_of(word);
    if (schema_map_get(&reader->told, key))
        return false;
    schema_map_set(&reader->told, reader->arena,
                   (struct text){arena_copy(reader->arena, key.at, key.length), key.length}, reader);
    return true;
}

struct openapi_position openapi_position(struct openapi_spot spot)
{
    return (struct openapi_position){spot.document->name, spot.node->line, spot.node->column};
}

/* ---- members */

struct openapi_spot openapi_get(struct openapi_spot map, const char *key)
{
    return (struct openapi_spot){map.document, node_get(map.node, key)};
}

struct openapi_spot openapi_item(struct openapi_spot parent, size_t index)
{
    return (struct openapi_spot){parent.document, parent.node->items[index]};
}

struct openapi_spot openapi_get_kind(struct openapi_reader *reader, struct openapi_spot map, const char *key,
                                     enum node_kind kind)
{
    static const char *const expected[] = {
        [NODE_NULL] = "null", [NODE_SCALAR] = "a text", [NODE_LIST] = "a list", [NODE_MAP] = "a map"};
    struct openapi_spot spot = openapi_get(map, key);
    if (spot.node && spot.node->kind != kind) {
        openapi_tell(reader, FINDING_ERROR, spot, "expected %s", expected[kind]);
        spot.node = NULL;
    }
    return spot;
}

bool openapi_get_bool(struct openapi_reader *reader, struct openapi_spot map, const char *key, bool *value)
{
    struct openapi_spot spot = openapi_get(map, key);
    if (!spot.node)
        return false;
    return openapi_value_bool(spot.node, value) ||
           openapi_tell(reader, FINDING_ERROR, spot, "expected true or false");
}

const char *openapi_get_text(struct openapi_reader *reader, struct openapi_spot map, const char *key)
{
    struct openapi_spot spot = openapi_get_kind(reader, map, key, NODE_SCALAR);
    return spot.node ? spot.node->text.at : NULL;
}

void openapi_check_keys(struct openapi_reader *reader, struct openapi_spot map, const char *const *names)
{
    size_t count = 0;
    while (names[count])
        count++;
    for (size_t i = 0; i < map.node->count; i++) {
        struct openapi_spot member = openapi_item(map, i);
        size_t at = 0;
        while (names[at] && !text_equal(member.node->name, text_of(names[at])))
            at++;
        if (names[at] || openapi_is_extension(member.node))
            continue;
        const char *near = findings_nearest(member.node->name.at, names, count);
        if (near)
            openapi_tell_key(reader, FINDING_ERROR, member, "is not known here, did you mean \"%s\"?", near);
        else
            openapi_tell_key(reader, FINDING_ADVICE, member,
                             "is not known here, so it does nothing; names of your own begin with \"x-\"");
    }
}

/* ---- the document */

static bool read_version(struct openapi_reader *reader, struct openapi_spot root)
{
    struct openapi_spot version = openapi_get(root, "openapi"), swagger = openapi_get(root, "swagger");
    if (swagger.node)
        return openapi_tell(reader, FINDING_ERROR, swagger,
                            "this is Swagger, expected OpenAPI 3.0 or 3.1 (a converter makes one of it)");
    if (root.node->kind != NODE_MAP || !version.node)
        return openapi_tell(reader, FINDING_ERROR, root, "is no OpenAPI document, expected openapi: 3.1.0");
    struct text text = version.node->kind == NODE_SCALAR ? version.node->text : TEXT("");
    if (text_starts_with(text, TEXT("3.0.")))
        reader->openapi->version = OPENAPI_3_0;
    else if (text_starts_with(text, TEXT("3.1.")))
        reader->openapi->version = OPENAPI_3_1;
    else
        return openapi_tell(reader, FINDING_ERROR, version,
                            "this version is not known, expected OpenAPI 3.0 or 3.1, as 3.1.0");
    return true;
}

static void check_dialect(struct openapi_reader *reader, struct openapi_spot root)
{
    const char *dialect = openapi_get_text(reader, root, "jsonSchemaDialect");
    if (dialect && strcmp(dialect, "https://spec.openapis.org/oas/3.1/dialect/base") != 0 &&
        strcmp(dialect, "https://json-schema.org/draft/2020-12/schema") != 0)
        openapi_tell(reader, FINDING_ERROR, openapi_get(root, "jsonSchemaDialect"),
                     "this dialect is not known, expected that of OpenAPI 3.1 or JSON Schema 2020-12");
}

static void check_root(struct openapi_reader *reader, struct openapi_spot root)
{
    static const char *const names[] = {
        "openapi",  "info", "jsonSchemaDialect", "servers", "paths", "webhooks", "components",
        "security", "tags", "externalDocs",      NULL};
    static const char *const parts[] = {
        "schemas",       "responses",       "parameters", "examples",  "headers", "links",
        "requestBodies", "securitySchemes", "callbacks",  "pathItems", NULL};
    struct openapi_spot webhooks = openapi_get(root, "webhooks");
    struct openapi_spot components = openapi_get_kind(reader, root, "components", NODE_MAP);
    openapi_check_keys(reader, root, names);
    if (components.node)
        openapi_check_keys(reader, components, parts);
    if (webhooks.node)
        openapi_tell_key(reader, FINDING_ADVICE, webhooks,
                         "is left out: these are requests that others answer");
    check_dialect(reader, root);
}

static void read_all(struct openapi_reader *reader)
{
    struct openapi_spot root = {reader->documents, reader->documents->root};
    if (!read_version(reader, root))
        return;
    check_root(reader, root);
    openapi_read_schemes(reader, root);
    openapi_read_paths(reader, root);
    openapi_judge_schemas(reader);
    if (reader->findings.errors == 0)
        openapi_compile_schemas(reader);
}

static struct openapi *read_document(const struct text *content, const char *path, bool json,
                                     struct findings *findings)
{
    struct arena *arena = arena_new();
    struct openapi *openapi = arena_alloc(arena, sizeof *openapi);
    struct openapi_own *own = arena_alloc(arena, sizeof *own);
    *own = (struct openapi_own){.arena = arena};
    *openapi = (struct openapi){.file = arena_copy(arena, path, strlen(path)), .own = own};
    struct openapi_reader reader = {
        .arena = arena, .openapi = openapi, .findings = findings_new(arena, openapi->file), .folder = -1};
    reader.last = &reader.first;
    if (openapi_open(&reader, content, json))
        read_all(&reader);
    if (reader.folder >= 0)
        close(reader.folder);
    findings_take(findings, &reader.findings);
    if (reader.findings.errors == 0)
        return openapi;
    openapi_free(openapi);
    return NULL;
}

struct openapi *openapi_read(const char *path, struct findings *findings)
{
    return read_document(NULL, path, false, findings);
}

struct openapi *openapi_parse(struct text content, const char *path, bool json, struct findings *findings)
{
    return read_document(&content, path, json, findings);
}

void openapi_free(struct openapi *openapi)
{
    if (openapi)
        arena_free(openapi->own->arena);
}
