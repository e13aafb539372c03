/*
 * Contents: media types of requests and responses, how each is read, and the
 * properties of forms.
 */
#include "config.h"

#include "data/openapi_reader.h"

#include "data/parameters.h"

/* ---- media types */

static bool is_json(struct text type)
{
    return text_equal(type, TEXT("application/json")) ||
           (text_starts_with(type, TEXT("application/")) && text_ends_with(type, TEXT("+json")));
}

static bool is_range(struct text type)
{
    return text_ends_with(type, TEXT("/*"));
}

/* type/subtype of RFC 9110, 8.3.1, or a range of 12.5.1. */
static bool is_media_type(struct text type)
{
    size_t slash = text_find(type, '/');
    struct text subtype = text_from(type, slash + 1);
    return text_is_token((struct text){type.at, slash}) && text_is_token(subtype) &&
           (type.at[0] != '*' || text_equal(subtype, TEXT("*")));
}

static enum openapi_body body_of(struct openapi_reader *reader, struct text type,
                                 struct openapi_schema *schema)
{
    unsigned types = schema ? openapi_schema_types(reader, schema) : 0;
    if (is_json(type))
        return OPENAPI_JSON;
    if (text_equal(type, TEXT("application/x-www-form-urlencoded")))
        return OPENAPI_FORM_BODY;
    if (text_equal(type, TEXT("multipart/form-data")))
        return OPENAPI_MULTIPART;
    if (!schema && text_starts_with(type, TEXT("text/")))
        return OPENAPI_TEXT;
    if (!schema || openapi_schema_is_empty(schema) || openapi_schema_is_binary(reader, schema))
        return OPENAPI_RAW;
    if (types == 1u << JSON_STRING)
        return OPENAPI_TEXT;
    bool json = text_equal(type, TEXT("*/*")) || text_equal(type, TEXT("application/*"));
    return json ? OPENAPI_JSON : OPENAPI_UNREAD;
}

/* ---- properties of forms */

static struct openapi_encoding *find_encoding(struct openapi_content *content, struct text name)
{
    for (size_t i = 0; i < content->encoding_count; i++)
        if (text_equal(text_of(content->encodings[i].name), name))
            return &content->encodings[i];
    return NULL;
}

/* What is neither a text nor a file is JSON in multipart (OpenAPI 3.1.0, 4.8.15). */
static void set_defaults(struct openapi_reader *reader, struct openapi_content *content,
                         struct openapi_encoding *encoding, struct openapi_schema *schema)
{
    struct openapi_spot items = openapi_get(schema->spot, "items");
    unsigned types = openapi_schema_types(reader, schema);
    *encoding = (struct openapi_encoding){.name = schema->spot.node->name.at,
                                          .style = OPENAPI_FORM,
                                          .explode = true,
                                          .position = openapi_position(schema->spot)};
    if (types == 1u << JSON_ARRAY && items.node) {
        schema = openapi_schema_at(reader, items);
        types = openapi_schema_types(reader, schema);
    }
    encoding->file = content->body == OPENAPI_MULTIPART && types & 1u << JSON_STRING &&
                     openapi_schema_is_binary(reader, schema);
    encoding->json = content->body == OPENAPI_MULTIPART && types == 1u << JSON_OBJECT;
}

struct properties {
    struct openapi_reader *reader;
    struct openapi_content *content;
    size_t capacity;
    struct schema_map seen;  /* schemas by the address of their node */
    struct schema_map names; /* those that are there */
};

static void add_property(struct properties *properties, struct openapi_spot spot)
{
    struct openapi_content *content = properties->content;
    if (schema_map_get(&properties->names, spot.node->name))
        return;
    schema_map_set(&properties->names, properties->reader->arena, spot.node->name, (void *)spot.node);
    if (content->encoding_count == properties->capacity) {
        properties->capacity = properties->capacity ? 2 * properties->capacity : 16;
        struct openapi_encoding *larger =
            arena_array(properties->reader->arena, properties->capacity, sizeof *larger);
        if (content->encoding_count)
            memcpy(larger, content->encodings, content->encoding_count * sizeof *larger);
        content->encodings = larger;
    }
    struct openapi_encoding *encoding = &content->encodings[content->encoding_count++];
    set_defaults(properties->reader, content, encoding, openapi_schema_at(properties->reader, spot));
    encoding->name = spot.node->name.at;
}

/* Those of a schema and of all that it is made of. */
static void collect(struct properties *properties, struct openapi_schema *schema, unsigned depth)
{
    static const char *const parts[] = {"allOf", "anyOf", "oneOf"};
    struct openapi_spot map = openapi_get(schema->spot, "properties");
    const struct openapi_schema *target = openapi_schema_target(properties->reader, schema);
    struct text key = {(const char *)&schema->spot.node, sizeof schema->spot.node};
    if (depth > OPENAPI_COMPOSITION_LIMIT ||
        schema_map_get(&properties->seen, key)) /* the judge tells of it */
        return;
    schema_map_set(&properties->seen, properties->reader->arena, key, schema);
    if (target)
        collect(properties, (struct openapi_schema *)target, depth + 1);
    for (size_t i = 0; map.node && map.node->kind == NODE_MAP && i < map.node->count; i++)
        add_property(properties, openapi_item(map, i));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct openapi_spot list = openapi_get(schema->spot, parts[i]);
        for (size_t j = 0; list.node && list.node->kind == NODE_LIST && j < list.node->count; j++)
            collect(properties, openapi_schema_at(properties->reader, openapi_item(list, j)), depth + 1);
    }
}

static void read_types(struct openapi_reader *reader, struct openapi_spot spot,
                       struct openapi_encoding *encoding)
{
    const char *written = openapi_get_text(reader, spot, "contentType");
    struct text rest = text_of(written), type;
    size_t count = 1;
    for (const char *at = written; at && *at; at++)
        count += *at == ',';
    if (!written)
        return;
    encoding->types.items = arena_array(reader->arena, count, sizeof *encoding->types.items);
    encoding->json = encoding->file = true;
    while (text_next(&rest, ',', &type)) {
        struct parameters parameters;
        type = text_lower(reader->arena, text_trim(type));
        if (parameters_read(type, &parameters) || !is_media_type(parameters.value)) {
            openapi_tell(reader, FINDING_ERROR, openapi_get(spot, "contentType"), "expected media types");
            return;
        }
        encoding->types.items[encoding->types.count++] = parameters.value;
        encoding->json = encoding->json && is_json(parameters.value);
        encoding->file = encoding->file && !is_json(parameters.value) &&
                         !text_starts_with(parameters.value, TEXT("text/"));
    }
}

static void read_encoding(struct openapi_reader *reader, struct openapi_spot spot,
                          struct openapi_content *content)
{
    static const char *const names[] = {"contentType", "headers", "style", "explode", "allowReserved", NULL};
    struct openapi_encoding *encoding = find_encoding(content, spot.node->name);
    struct openapi_spot headers = openapi_get(spot, "headers");
    if (spot.node->kind != NODE_MAP || !encoding) {
        openapi_tell_key(reader, FINDING_ERROR, spot,
                         encoding ? "expected a map" : "the schema has no property of this name");
        return;
    }
    bool file = encoding->file;
    encoding->position = openapi_position(spot);
    openapi_check_keys(reader, spot, names);
    openapi_read_style(reader, spot, OPENAPI_QUERY, &encoding->style);
    encoding->explode = encoding->style == OPENAPI_FORM;
    openapi_get_bool(reader, spot, "explode", &encoding->explode);
    read_types(reader, spot, encoding);
    encoding->file = content->body == OPENAPI_MULTIPART && (file || encoding->file);
    encoding->json = encoding->json && !encoding->file;
    if (headers.node)
        openapi_tell_key(reader, FINDING_ADVICE, headers, "headers of parts are not judged");
}

static void read_encodings(struct openapi_reader *reader, struct openapi_spot media,
                           struct openapi_schema *schema, struct openapi_content *content)
{
    struct openapi_spot map = openapi_get_kind(reader, media, "encoding", NODE_MAP);
    if (content->body != OPENAPI_FORM_BODY && content->body != OPENAPI_MULTIPART) {
        if (map.node)
            openapi_tell_key(reader, FINDING_ADVICE, map, "does nothing but for forms");
        return;
    }
    struct properties properties = {.reader = reader, .content = content};
    if (schema)
        collect(&properties, schema, 0);
    for (size_t i = 0; map.node && i < map.node->count; i++)
        read_encoding(reader, openapi_item(map, i), content);
}

/* ---- contents */

static void tell_unread(struct openapi_reader *reader, struct openapi_spot media, bool request)
{
    openapi_tell_key(reader, FINDING_ADVICE, media,
                     request ? "cannot be judged by a schema, so requests of this media type are refused"
                             : "cannot be judged by a schema, so replies of this media type are not judged");
}

static bool read_media(struct openapi_reader *reader, struct openapi_spot media, bool request,
                       struct openapi_content *content)
{
    static const char *const names[] = {"schema", "example", "examples", "encoding", NULL};
    struct parameters parameters;
    struct openapi_spot spot = openapi_get(media, "schema");
    struct text type = text_lower(reader->arena, media.node->name);
    if (media.node->kind != NODE_MAP)
        return openapi_tell(reader, FINDING_ERROR, media, "expected a map");
    if (parameters_read(type, &parameters) || !is_media_type(parameters.value))
        return openapi_tell_key(reader, FINDING_ERROR, media, "is no media type, expected one as text/html");
    openapi_check_keys(reader, media, names);
    struct openapi_schema *schema = spot.node ? openapi_schema_meant(reader, spot) : NULL;
    if (spot.node && !schema)
        return false;
    *content = (struct openapi_content){
        .type = parameters.value, .schema = schema, .position = openapi_position(media)};
    content->body = body_of(reader, content->type, schema);
    if (content->body == OPENAPI_UNREAD)
        tell_unread(reader, media, request);
    else if (content->body == OPENAPI_JSON && is_range(content->type) && schema)
        openapi_tell_key(reader, FINDING_ADVICE, media, "is read as JSON alone, as its schema is of values");
    read_encodings(reader, media, schema, content);
    return true;
}

static void read_contents(struct openapi_reader *reader, struct openapi_spot map, bool request,
                          struct openapi_contents *contents)
{
    contents->items = arena_array(reader->arena, map.node->count, sizeof *contents->items);
    for (size_t i = 0; i < map.node->count; i++) {
        struct openapi_content *content = &contents->items[contents->count];
        struct openapi_spot media = openapi_item(map, i);
        if (openapi_is_extension(media.node) || !read_media(reader, media, request, content))
            continue;
        for (size_t j = 0; j < contents->count; j++)
            if (text_equal(contents->items[j].type, content->type))
                openapi_tell_key(reader, FINDING_ERROR, media,
                                 "this media type is there twice (parameters do not count)");
        contents->count++;
    }
}

static bool is_readable(const struct openapi_contents *contents)
{
    for (size_t i = 0; i < contents->count; i++)
        if (contents->items[i].body != OPENAPI_UNREAD)
            return true;
    return false;
}

void openapi_read_body(struct openapi_reader *reader, struct openapi_spot body,
                       struct openapi_operation *operation)
{
    static const char *const names[] = {"description", "content", "required", NULL};
    body = openapi_follow(reader, body);
    if (!body.node)
        return;
    openapi_check_keys(reader, body, names);
    openapi_get_bool(reader, body, "required", &operation->body_required);
    struct openapi_spot content = openapi_get_kind(reader, body, "content", NODE_MAP);
    if (!content.node || content.node->count == 0) {
        openapi_tell(reader, FINDING_ERROR, body, "lacks \"content\"");
        return;
    }
    size_t errors = reader->findings.errors;
    read_contents(reader, content, true, &operation->body);
    if (reader->findings.errors == errors && !is_readable(&operation->body))
        openapi_tell_key(reader, FINDING_ERROR, content,
                         "no media type is one that can be judged: expected JSON, a form or text");
}

/* "200", "2XX", "default" */
static bool read_status(const char *text, struct openapi_response *response)
{
    uint64_t number;
    response->status = text;
    response->least = 100;
    response->most = 999;
    if (strcmp(text, "default") == 0)
        return true;
    if (strlen(text) != 3 || text[0] < '1' || text[0] > '5')
        return false;
    response->least = (unsigned)(text[0] - '0') * 100;
    response->most = response->least + 99;
    if (strcmp(text + 1, "XX") == 0)
        return true;
    if (!text_number(text_of(text), 599, &number))
        return false;
    response->least = response->most = (unsigned)number;
    return true;
}

static bool read_response(struct openapi_reader *reader, struct openapi_spot spot,
                          struct openapi_response *response)
{
    static const char *const names[] = {"description", "headers", "content", "links", NULL};
    if (!read_status(spot.node->name.at, response))
        return openapi_tell_key(reader, FINDING_ERROR, spot,
                                "is no status, expected one as 200, 2XX or \"default\"");
    spot = openapi_follow(reader, spot);
    if (!spot.node)
        return false;
    struct openapi_spot content = openapi_get_kind(reader, spot, "content", NODE_MAP),
                        headers = openapi_get(spot, "headers"), links = openapi_get(spot, "links");
    openapi_check_keys(reader, spot, names);
    response->position = openapi_position(spot);
    if (content.node)
        read_contents(reader, content, false, &response->contents);
    if (headers.node && openapi_tells(reader, "headers"))
        openapi_tell_key(reader, FINDING_ADVICE, headers,
                         "headers of replies are not judged, here and elsewhere");
    if (links.node && openapi_tells(reader, "links"))
        openapi_tell_key(reader, FINDING_ADVICE, links, "links are left out, here and elsewhere");
    return true;
}

void openapi_read_responses(struct openapi_reader *reader, struct openapi_spot map,
                            struct openapi_operation *operation)
{
    if (!map.node)
        return;
    operation->responses = arena_array(reader->arena, map.node->count, sizeof *operation->responses);
    for (size_t i = 0; i < map.node->count; i++)
        if (!openapi_is_extension(map.node->items[i]) &&
            read_response(reader, openapi_item(map, i), &operation->responses[operation->response_count]))
            operation->response_count++;
}
