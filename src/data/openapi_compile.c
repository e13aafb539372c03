/*
 * Whether the values of keywords are good is found by compiling all schemas at
 * once; what the compiler says is told by the position it came from.
 */
#include "config.h"

#include "data/openapi_bundle.h"

#include <stdlib.h>

#include "data/schema.h"

enum { WHOLE_LIMIT = 5000000, FAULTS_LIMIT = 20 };

static const json_t *step(const json_t *value, const char *from, size_t length)
{
    char name[1024];
    size_t to = 0;
    for (size_t i = 0; i < length && to + 1 < sizeof name; i++)
        name[to++] = from[i] != '~' || i + 1 == length ? from[i] : from[++i] == '0' ? '~' : '/';
    name[to] = '\0';
    return json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10))
                                : json_object_get(value, name);
}

/* The innermost schema on the way of a pointer, and the value that was made of it. */
static const struct openapi_schema *find_fault(const struct openapi_bundle *bundle, const json_t *root,
                                               const char *pointer, json_t **made)
{
    const struct openapi_schema *found = NULL;
    for (const json_t *value = root; value && *pointer == '/';) {
        size_t length = strcspn(pointer + 1, "/");
        value = step(value, pointer + 1, length);
        pointer += 1 + length;
        const struct openapi_schema *schema =
            schema_map_get(&bundle->nodes, (struct text){(const char *)&value, sizeof value});
        if (schema) {
            found = schema;
            *made = (json_t *)value;
        }
    }
    return found;
}

/* False where it cannot be passed over, to look for others. */
static bool tell_fault(struct openapi_reader *reader, const struct openapi_bundle *bundle, const json_t *root,
                       const struct schema_fault *fault)
{
    json_t *made = NULL;
    const struct openapi_schema *schema = find_fault(bundle, root, fault->pointer, &made);
    struct openapi_spot spot = {reader->documents, reader->documents->root};
    if (!schema)
        return openapi_tell(reader, FINDING_ERROR, spot, "a schema cannot be used: %s", fault->error.message);
    spot = schema->spot;
    if (fault->keyword && node_get(spot.node, fault->keyword))
        spot.node = node_get(spot.node, fault->keyword);
    openapi_tell(reader, FINDING_ERROR, spot, "%s", fault->error.message);
    return json_object_clear(made) == 0;
}

static void compile(struct openapi_reader *reader, const struct openapi_bundle *bundle, json_t *root)
{
    struct schema_fault fault;
    struct schema *schema;
    for (int i = 0; i < FAULTS_LIMIT && !(schema = schema_compile(root, NULL, &fault)); i++)
        if (!tell_fault(reader, bundle, root, &fault))
            return;
    schema_free(schema);
}

void openapi_compile_schemas(struct openapi_reader *reader)
{
    struct openapi_bundle *bundle =
        openapi_bundle_new(reader->openapi, (struct openapi_view){0}, WHOLE_LIMIT);
    struct error error = {0};
    json_t *root = openapi_json(json_object());
    bundle->whole = true;
    for (const struct openapi_schema *schema = reader->first; schema; schema = schema->next)
        if (schema->wanted)
            json_decref(openapi_bundle_refer(bundle, schema, (struct openapi_role){0}));
    openapi_set(root, "$defs", json_incref(bundle->definitions));
    if (openapi_bundle_finish(bundle, &error))
        compile(reader, bundle, root);
    else
        findings_add_at(&reader->findings, FINDING_ERROR, 0, 0, "%s", error.message);
    json_decref(root);
    openapi_bundle_end(bundle);
}
