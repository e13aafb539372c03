/*
 * Parameters: those of a path and of an operation as one list, in which each
 * has a place, a style and a schema.
 */
#include "config.h"

#include "data/openapi_reader.h"

static const char *const place_names[] = {[OPENAPI_PATH] = "path",
                                          [OPENAPI_QUERY] = "query",
                                          [OPENAPI_HEADER] = "header",
                                          [OPENAPI_COOKIE] = "cookie"};

/* ---- style */

bool openapi_read_style(struct openapi_reader *reader, struct openapi_spot owner, enum openapi_place place,
                        enum openapi_style *style)
{
    static const char *const names[] = {
        [OPENAPI_SIMPLE] = "simple", [OPENAPI_FORM] = "form", [OPENAPI_DEEP_OBJECT] = "deepObject"};
    bool pairs = place == OPENAPI_QUERY || place == OPENAPI_COOKIE;
    const char *name = openapi_get_text(reader, owner, "style");
    *style = pairs ? OPENAPI_FORM : OPENAPI_SIMPLE;
    if (!name || strcmp(name, names[*style]) == 0)
        return true;
    if (place == OPENAPI_QUERY && strcmp(name, names[OPENAPI_DEEP_OBJECT]) == 0) {
        *style = OPENAPI_DEEP_OBJECT;
        return true;
    }
    return openapi_tell(reader, FINDING_ERROR, openapi_get(owner, "style"),
                        "the style \"%s\" is not supported here, expected %s%s", name, names[*style],
                        place == OPENAPI_QUERY ? " or deepObject" : "");
}

/* ---- one parameter */

static bool read_place(struct openapi_reader *reader, struct openapi_spot spot,
                       struct openapi_parameter *parameter)
{
    const char *in = openapi_get_text(reader, spot, "in");
    for (enum openapi_place place = OPENAPI_PATH; in && place <= OPENAPI_COOKIE; place++) {
        if (strcmp(in, place_names[place]) == 0) {
            parameter->place = place;
            return true;
        }
    }
    return openapi_tell(reader, FINDING_ERROR, spot,
                        "lacks an \"in\" that is known: path, query, header or cookie");
}

/* OpenAPI 3.1.0, 4.8.12.2.2: exactly one media type. */
static bool read_content(struct openapi_reader *reader, struct openapi_spot content,
                         struct openapi_parameter *parameter)
{
    if (content.node->kind != NODE_MAP || content.node->count != 1)
        return openapi_tell(reader, FINDING_ERROR, content, "expected exactly one media type");
    struct openapi_spot media = openapi_item(content, 0);
    struct text type = text_lower(reader->arena, media.node->name);
    struct openapi_spot schema = openapi_get(media, "schema");
    if (!text_equal(type, TEXT("application/json")) && !text_ends_with(type, TEXT("+json")))
        return openapi_tell_key(reader, FINDING_ERROR, media,
                                "a parameter cannot be read as this, expected application/json");
    if (!schema.node)
        return openapi_tell(reader, FINDING_ERROR, media, "lacks \"schema\"");
    parameter->json = true;
    parameter->schema = openapi_schema_meant(reader, schema);
    return parameter->schema;
}

/* What the style can say. */
static bool fits_style(struct openapi_reader *reader, struct openapi_spot spot,
                       const struct openapi_parameter *parameter, struct openapi_schema *schema)
{
    unsigned object = 1u << JSON_OBJECT;
    if (parameter->style == OPENAPI_DEEP_OBJECT && !(openapi_schema_types(reader, schema) & object))
        return openapi_tell(reader, FINDING_ERROR, openapi_get(spot, "style"),
                            "deepObject is for objects, and the schema describes none");
    return true;
}

static bool read_schema(struct openapi_reader *reader, struct openapi_spot spot,
                        struct openapi_parameter *parameter)
{
    struct openapi_spot schema = openapi_get(spot, "schema"), content = openapi_get(spot, "content");
    if (!schema.node == !content.node)
        return openapi_tell(reader, FINDING_ERROR, spot, "expected either \"schema\" or \"content\"");
    if (content.node)
        return read_content(reader, content, parameter);
    if (!openapi_read_style(reader, spot, parameter->place, &parameter->style))
        return false;
    parameter->explode = parameter->style == OPENAPI_FORM;
    openapi_get_bool(reader, spot, "explode", &parameter->explode);
    struct openapi_schema *meant = openapi_schema_meant(reader, schema);
    parameter->schema = meant;
    return meant && fits_style(reader, spot, parameter, meant);
}

static void read_flags(struct openapi_reader *reader, struct openapi_spot spot,
                       struct openapi_parameter *parameter)
{
    struct openapi_spot empty = openapi_get(spot, "allowEmptyValue");
    openapi_get_bool(reader, spot, "required", &parameter->required);
    openapi_get_bool(reader, spot, "deprecated", &parameter->deprecated);
    openapi_get_bool(reader, spot, "allowEmptyValue", &parameter->allow_empty);
    openapi_get_bool(reader, spot, "allowReserved", &parameter->allow_reserved);
    if (parameter->allow_empty && parameter->place != OPENAPI_QUERY) {
        parameter->allow_empty = false;
        openapi_tell_key(reader, FINDING_ADVICE, empty, "does nothing but in a query");
    }
}

/* OpenAPI 3.1.0, 4.8.12.2: these are described elsewhere. */
static bool is_described_elsewhere(const struct openapi_parameter *parameter)
{
    static const char *const names[] = {"accept", "content-type", "authorization"};
    for (size_t i = 0; parameter->place == OPENAPI_HEADER && i < sizeof names / sizeof *names; i++)
        if (text_equal_ignore_case(text_of(parameter->name), text_of(names[i])))
            return true;
    return false;
}

/* False where it is none, or is left out. */
static bool read_parameter(struct openapi_reader *reader, struct openapi_spot spot,
                           struct openapi_parameter *parameter)
{
    static const char *const names[] = {
        "name",    "in",      "description",   "required", "deprecated", "allowEmptyValue",
        "style",   "explode", "allowReserved", "schema",   "example",    "examples",
        "content", NULL};
    spot = openapi_follow(reader, spot);
    if (!spot.node)
        return false;
    openapi_check_keys(reader, spot, names);
    *parameter = (struct openapi_parameter){.name = openapi_get_text(reader, spot, "name"),
                                            .position = openapi_position(spot)};
    if (!parameter->name || !*parameter->name)
        return openapi_tell(reader, FINDING_ERROR, spot, "lacks \"name\"");
    if (!read_place(reader, spot, parameter))
        return false;
    if (is_described_elsewhere(parameter))
        return openapi_tell(reader, FINDING_ADVICE, spot,
                            "is left out: this header is described by content or security");
    if (parameter->place == OPENAPI_HEADER && !text_is_token(text_of(parameter->name)))
        return openapi_tell(reader, FINDING_ERROR, spot, "\"%s\" is no name of a header", parameter->name);
    read_flags(reader, spot, parameter);
    if (parameter->place == OPENAPI_PATH && !parameter->required)
        return openapi_tell(reader, FINDING_ERROR, spot, "lacks \"required: true\", as it is in a path");
    return read_schema(reader, spot, parameter);
}

/* ---- lists */

static bool is_same(const struct openapi_parameter *a, const struct openapi_parameter *b)
{
    struct text name = text_of(a->name), other = text_of(b->name);
    return a->place == b->place &&
           (a->place == OPENAPI_HEADER ? text_equal_ignore_case(name, other) : text_equal(name, other));
}

/* Those of an operation replace those of its path; in one list there is each once. */
static void add(struct openapi_reader *reader, struct openapi_spot spot, struct openapi_operation *operation,
                size_t shared, const struct openapi_parameter *parameter)
{
    for (size_t i = 0; i < operation->parameter_count; i++) {
        struct openapi_parameter *other = &operation->parameters[i];
        if (!is_same(other, parameter))
            continue;
        if (i >= shared)
            openapi_tell(reader, FINDING_ERROR, spot, "the parameter \"%s\" is in this list twice",
                         parameter->name);
        *other = *parameter;
        return;
    }
    operation->parameters[operation->parameter_count++] = *parameter;
}

static void read_list(struct openapi_reader *reader, struct openapi_spot list,
                      struct openapi_operation *operation)
{
    size_t shared = operation->parameter_count;
    struct openapi_parameter parameter;
    for (size_t i = 0; list.node && i < list.node->count; i++)
        if (read_parameter(reader, openapi_item(list, i), &parameter))
            add(reader, openapi_item(list, i), operation, shared, &parameter);
}

static bool is_in_path(const struct openapi_operation *operation, const char *name)
{
    for (size_t i = 0; i < operation->segment_count; i++)
        if (operation->segments[i].parameter && strcmp(operation->segments[i].parameter, name) == 0)
            return true;
    return false;
}

static bool is_described(const struct openapi_operation *operation, const char *name)
{
    for (size_t i = 0; i < operation->parameter_count; i++)
        if (operation->parameters[i].place == OPENAPI_PATH &&
            strcmp(operation->parameters[i].name, name) == 0)
            return true;
    return false;
}

static void check_path(struct openapi_reader *reader, struct openapi_spot spot,
                       const struct openapi_operation *operation)
{
    for (size_t i = 0; i < operation->segment_count; i++) {
        const char *name = operation->segments[i].parameter;
        if (name && !is_described(operation, name))
            openapi_tell_key(reader, FINDING_ERROR, spot, "lacks the parameter \"%s\" of its path", name);
    }
    for (size_t i = 0; i < operation->parameter_count; i++) {
        const struct openapi_parameter *parameter = &operation->parameters[i];
        if (parameter->place == OPENAPI_PATH && !is_in_path(operation, parameter->name))
            openapi_tell_key(reader, FINDING_ERROR, spot, "has a parameter \"%s\" that its path has not",
                             parameter->name);
    }
}

void openapi_read_parameters(struct openapi_reader *reader, struct openapi_spot shared,
                             struct openapi_spot own, struct openapi_operation *operation)
{
    size_t errors = reader->findings.errors;
    struct openapi_spot first = openapi_get_kind(reader, shared, "parameters", NODE_LIST),
                        second = openapi_get_kind(reader, own, "parameters", NODE_LIST);
    size_t count = (first.node ? first.node->count : 0) + (second.node ? second.node->count : 0);
    operation->parameters = arena_array(reader->arena, count, sizeof *operation->parameters);
    read_list(reader, first, operation);
    read_list(reader, second, operation);
    if (reader->findings.errors == errors) /* one that was refused seems to be missing */
        check_path(reader, own, operation);
}
