/*
 * Path items and operations. A template is taken apart into segments here,
 * and what no path of a request could be is refused.
 */
#include "config.h"

#include "data/openapi_reader.h"

#include "base/bytes.h"

enum { SHAPE_LIMIT = 8192 };

static const struct {
    const char *key, *method;
} methods[] = {
    {"get", "GET"},         {"put", "PUT"},   {"post", "POST"},   {"delete", "DELETE"},
    {"options", "OPTIONS"}, {"head", "HEAD"}, {"patch", "PATCH"}, {"trace", "TRACE"},
};
enum { METHOD_COUNT = sizeof methods / sizeof *methods };

struct paths {
    struct openapi_reader *reader;
    struct openapi_spot root;
    const char *base;         /* of the document's servers */
    const char *shape;        /* of the template at hand, without names: "/a/{}" */
    struct schema_map shapes; /* a shape, also behind a method -> the node of the first */
    struct schema_map ids;    /* operationId -> its node */
    size_t capacity;
};

/* ---- templates */

static const char *expected_literal(struct text segment, bool last)
{
    if (segment.length == 0)
        return last ? NULL : "no empty segment";
    if (text_equal(segment, TEXT(".")) || text_equal(segment, TEXT("..")))
        return "no segment of dots";
    for (size_t i = 0; i < segment.length; i++) {
        if (strchr("{}", segment.at[i]))
            return "a parameter to be a whole segment, as /a/{b}/c";
        if (strchr("?#\\%*", segment.at[i]))
            return "no \"?\", \"#\", \"\\\", \"*\" or \"%\" (paths are compared decoded)";
    }
    return text_is_line(segment) ? NULL : "no control character";
}

static bool add_segment(struct paths *paths, struct openapi_spot spot, struct openapi_operation *path,
                        struct text segment, bool last)
{
    struct openapi_segment *added = &path->segments[path->segment_count++];
    size_t brace = text_find(text_from(segment, 1), '{');
    bool whole = segment.length > 2 && segment.at[0] == '{' && text_find(segment, '}') == segment.length - 1;
    if (whole && 1 + brace == segment.length) {
        added->parameter = arena_copy(paths->reader->arena, segment.at + 1, segment.length - 2);
        for (size_t i = 0; i + 1 < path->segment_count; i++)
            if (path->segments[i].parameter && strcmp(path->segments[i].parameter, added->parameter) == 0)
                return openapi_tell_key(paths->reader, FINDING_ERROR, spot, "{%s} is there twice",
                                        added->parameter);
        return true;
    }
    added->literal = segment;
    const char *expected = expected_literal(segment, last);
    return !expected || openapi_tell_key(paths->reader, FINDING_ERROR, spot,
                                         "the segment \"%.*s\" cannot be matched, expected %s",
                                         TEXT_ARGUMENTS(segment), expected);
}

static bool read_template(struct paths *paths, struct openapi_spot spot, struct openapi_operation *path)
{
    struct text rest = spot.node->name;
    size_t slashes = 0;
    if (rest.length == 0 || rest.at[0] != '/')
        return openapi_tell_key(paths->reader, FINDING_ERROR, spot, "expected a path that begins with \"/\"");
    for (size_t i = 0; i < rest.length; i++)
        slashes += rest.at[i] == '/';
    path->path = rest.at;
    path->segments = arena_array(paths->reader->arena, slashes, sizeof *path->segments);
    while (rest.length > 0) {
        rest = text_from(rest, 1);
        struct text segment = {rest.at, text_find(rest, '/')};
        rest = text_from(rest, segment.length);
        if (!add_segment(paths, spot, path, segment, rest.length == 0))
            return false;
    }
    return true;
}

static bool read_shape(struct paths *paths, struct openapi_spot spot, const struct openapi_operation *path)
{
    struct bytes shape = bytes_new(paths->reader->arena, SHAPE_LIMIT);
    for (size_t i = 0; i < path->segment_count; i++) {
        bytes_add(&shape, "/", 1);
        bytes_add_text(&shape, path->segments[i].parameter ? TEXT("{}") : path->segments[i].literal);
    }
    paths->shape = arena_copy(paths->reader->arena, shape.at, shape.length);
    return !shape.full || openapi_tell_key(paths->reader, FINDING_ERROR, spot, "is too long");
}

/* The path that had this shape first; NULL for the first one itself. */
static const struct node *take_shape(struct paths *paths, const char *method, struct openapi_spot path)
{
    struct text key = text_of(arena_printf(paths->reader->arena, "%s%s", method, paths->shape));
    const struct node *other = schema_map_get(&paths->shapes, key);
    if (!other)
        schema_map_set(&paths->shapes, paths->reader->arena, key, (void *)path.node);
    return other;
}

/* ---- operations */

static void check_id(struct paths *paths, struct openapi_spot spot, struct openapi_operation *operation)
{
    struct openapi_spot id = openapi_get(spot, "operationId");
    operation->id = openapi_get_text(paths->reader, spot, "operationId");
    if (!operation->id)
        return;
    if (!*operation->id)
        openapi_tell(paths->reader, FINDING_ERROR, id, "expected a name");
    struct text key = text_of(operation->id);
    const struct node *other = schema_map_get(&paths->ids, key);
    if (other)
        openapi_tell(paths->reader, FINDING_ERROR, id, "the operation in line %u has this operationId, too",
                     other->line);
    else
        schema_map_set(&paths->ids, paths->reader->arena, key, (void *)id.node);
}

static struct openapi_operation *new_operation(struct paths *paths)
{
    struct openapi *openapi = paths->reader->openapi;
    if (openapi->operation_count == paths->capacity) {
        paths->capacity = paths->capacity ? 2 * paths->capacity : 64;
        struct openapi_operation *larger = arena_array(paths->reader->arena, paths->capacity, sizeof *larger);
        if (openapi->operation_count)
            memcpy(larger, openapi->operations, openapi->operation_count * sizeof *larger);
        openapi->operations = larger;
    }
    return &openapi->operations[openapi->operation_count++];
}

/* What a client is sure to meet is judged; that requests of this method mostly have no body is only said. */
static void read_body(struct openapi_reader *reader, struct openapi_spot spot,
                      struct openapi_operation *operation)
{
    struct openapi_spot body = openapi_get(spot, "requestBody");
    if (!body.node)
        return;
    if (strcmp(operation->method, "GET") == 0 || strcmp(operation->method, "HEAD") == 0 ||
        strcmp(operation->method, "TRACE") == 0)
        openapi_tell_key(reader, FINDING_ADVICE, body, "a body of %s has no meaning (RFC 9110, 9.3)",
                         operation->method);
    openapi_read_body(reader, body, operation);
}

/* What an operation is known by, and there is only one of. */
static void check_shape(struct paths *paths, struct openapi_spot path, struct openapi_spot spot,
                        const char *method)
{
    const struct node *other = take_shape(paths, method, path);
    if (other)
        openapi_tell_key(paths->reader, FINDING_ERROR, spot,
                         "the path %s has this method, and is the same but for names of parameters",
                         other->name.at);
}

static void read_operation(struct paths *paths, struct openapi_spot item, struct openapi_spot spot,
                           struct openapi_operation path, const char *method)
{
    static const char *const names[] = {
        "tags",      "summary",   "description", "externalDocs", "operationId", "parameters", "requestBody",
        "responses", "callbacks", "deprecated",  "security",     "servers",     NULL};
    struct openapi_reader *reader = paths->reader;
    if (reader->openapi->operation_count == OPENAPI_OPERATIONS_LIMIT) {
        if (openapi_tells(reader, "operations"))
            openapi_tell_key(reader, FINDING_ERROR, spot, "there are more than %d operations",
                             (int)OPENAPI_OPERATIONS_LIMIT);
        return;
    }
    if (spot.node->kind != NODE_MAP) {
        openapi_tell(reader, FINDING_ERROR, spot, "expected a map");
        return;
    }
    struct openapi_operation *operation = new_operation(paths);
    struct openapi_spot callbacks = openapi_get(spot, "callbacks"), security = openapi_get(spot, "security");
    *operation = path;
    operation->method = method;
    operation->position =
        (struct openapi_position){spot.document->name, spot.node->name_line, spot.node->name_column};
    openapi_check_keys(reader, spot, names);
    check_id(paths, spot, operation);
    openapi_get_bool(reader, spot, "deprecated", &operation->deprecated);
    operation->base = openapi_read_servers(reader, spot, path.base);
    openapi_read_parameters(reader, item, spot, operation);
    read_body(reader, spot, operation);
    openapi_read_responses(reader, openapi_get_kind(reader, spot, "responses", NODE_MAP), operation);
    openapi_read_security(reader, security.node ? security : openapi_get(paths->root, "security"), operation);
    if (callbacks.node)
        openapi_tell_key(reader, FINDING_ADVICE, callbacks,
                         "is left out: these are requests that others answer");
}

/* ---- path items */

static void read_item(struct paths *paths, struct openapi_spot spot)
{
    static const char *const names[] = {"summary", "description", "get",  "put",   "post",
                                        "delete",  "options",     "head", "patch", "trace",
                                        "servers", "parameters",  NULL};
    struct openapi_operation path = {0};
    bool good = read_template(paths, spot, &path) && read_shape(paths, spot, &path);
    struct openapi_spot item = openapi_follow(paths->reader, spot);
    if (!good || !item.node)
        return;
    const struct node *other = take_shape(paths, "", spot);
    if (other) /* OpenAPI 3.1.0, 4.8.8.2: must not be; it is clear all the same */
        openapi_tell_key(paths->reader, FINDING_ADVICE, spot,
                         "is the same as the path %s, but for names of parameters", other->name.at);
    openapi_check_keys(paths->reader, item, names);
    path.base = openapi_read_servers(paths->reader, item, paths->base);
    for (size_t i = 0; i < item.node->count; i++) {
        struct openapi_spot member = openapi_item(item, i);
        for (size_t j = 0; j < METHOD_COUNT; j++)
            if (text_equal(member.node->name, text_of(methods[j].key))) {
                check_shape(paths, spot, member, methods[j].method);
                read_operation(paths, item, member, path, methods[j].method);
            }
    }
}

void openapi_read_paths(struct openapi_reader *reader, struct openapi_spot root)
{
    struct paths paths = {.reader = reader, .root = root};
    struct openapi_spot map = openapi_get_kind(reader, root, "paths", NODE_MAP);
    paths.base = openapi_read_servers(reader, root, "");
    for (size_t i = 0; map.node && i < map.node->count; i++)
        if (!openapi_is_extension(map.node->items[i]))
            read_item(&paths, openapi_item(map, i));
    if (reader->openapi->operation_count == 0 && reader->findings.errors == 0)
        openapi_tell(reader, FINDING_ERROR, map.node ? map : root, "describes no operation");
}
