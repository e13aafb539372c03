/*
 * From an operation of an OpenAPI document to contents. What the document means is known to
 * data/openapi.h, what becomes of text to content_shape.h; here one is put in the other's words.
 */
#include "config.h"

#include "guard/content_openapi.h"

#include <stdlib.h>

enum { FILES_MOST = 100 };

static const struct openapi_view request_view = {.response = false};

static bool refuse(struct decoder *decoder, struct openapi_position position, const char *message)
{
    return findings_add_in(decoder->findings, FINDING_ERROR, position.file, position.line, position.column,
                           "%s", message);
}

/* ---- schemas */

/* Bytes that are the same for the same schema in the same view. */
struct content_key {
    const void *schema;
    uintptr_t view;
};

static struct text key_of(const struct openapi_schema *schema, struct openapi_view view, struct arena *arena)
{
    struct content_key *key = arena_alloc(arena, sizeof *key);
    *key = (struct content_key){schema, 2u * view.response + view.closed};
    return (struct text){(const char *)key, sizeof *key};
}

static bool are_same(const struct content_writing *left, const struct content_writing *right)
{
    for (; left && left->name && right->name; left++, right++)
        if (strcmp(left->name, right->name) != 0 || left->style != right->style ||
            left->explode != right->explode)
            return false;
    return left && !left->name && !right->name;
}

/* What many operations share is compiled once; with `writings`, as a form. */
static struct content *find_content(const struct decoder *decoder, struct text key,
                                    const struct content_writing *writings)
{
    struct content *content = schema_map_get(&decoder->contents->of_document, key);
    while (content && writings && !are_same(content->writings, writings))
        content = content->same;
    return content;
}

static struct content *compile(struct decoder *decoder, const struct node *node, json_t *source,
                               struct text key)
{
    struct content *content = content_compile(decoder, node, source);
    if (content) {
        content->same = schema_map_get(&decoder->contents->of_document, key);
        schema_map_set(&decoder->contents->of_document, decoder->arena, key, content);
    }
    return content;
}

const struct content *content_from_openapi(struct decoder *decoder, const struct node *node,
                                           const struct openapi *document,
                                           const struct openapi_schema *schema, struct openapi_view view)
{
    struct error error = {0};
    struct text key = key_of(schema, view, decoder->arena);
    struct content *found = find_content(decoder, key, NULL);
    if (found)
        return found;
    json_t *source = openapi_schema(document, schema, view, &error);
    if (!source) {
        refuse(decoder, openapi_schema_position(schema), error.message);
        return NULL;
    }
    return compile(decoder, node, source, key);
}

/* ---- parameters */

/* As requests have the name (http/request.h), or NULL for one that says nothing (OpenAPI 3.1.1, 4.8.12.2). */
static const char *name_of(const struct openapi_parameter *parameter, struct arena *arena)
{
    static const char *const silent[] = {"accept", "content-type", "authorization"};
    if (parameter->place != OPENAPI_HEADER)
        return parameter->name;
    struct text lower = text_lower(arena, text_of(parameter->name));
    char *name = arena_copy(arena, lower.at, lower.length);
    for (char *at = name; *at; at++)
        if (*at == '_')
            *at = '-';
    for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
        if (strcmp(name, silent[i]) == 0)
            return NULL;
    return name;
}

static bool check_name(struct decoder *decoder, const struct openapi_parameter *parameter,
                       const struct openapi_member *before, size_t count, const char *name)
{
    static const char *const unseen[] = {"content-length", "transfer-encoding", "proxy"};
    bool is_token = text_is_token(text_of(name)) && !strchr(name, '%');
    if ((parameter->place == OPENAPI_HEADER || parameter->place == OPENAPI_COOKIE) && !is_token)
        return refuse(decoder, parameter->position,
                      "no request has a header or cookie of this name, expected letters, digits and dashes");
    for (size_t i = 0; parameter->place == OPENAPI_HEADER && i < sizeof unseen / sizeof *unseen; i++)
        if (strcmp(name, unseen[i]) == 0)
            return refuse(decoder, parameter->position,
                          "this header cannot be described, as no program gets to see it");
    for (size_t i = 0; i < count; i++)
        if (strcmp(before[i].name, name) == 0)
            return refuse(decoder, parameter->position, "another header is the same for requests");
    return true;
}

/* OpenAPI 3.1.1, 4.8.12.2, allowEmptyValue: an empty text fits besides. */
static void allow_empty(json_t *source, const char *name)
{
    json_t *properties = json_object_get(source, "properties");
    json_t *either = json_pack("{s:[{s:s},O]}", "anyOf", "const", "", json_object_get(properties, name));
    if (!either || json_object_set_new(properties, name, either) != 0)
        abort(); /* as an arena would */
}

static struct content_writing writing_of(const struct openapi_parameter *parameter, const char *name)
{
    return (struct content_writing){.name = name,
                                    .style = parameter->json                           ? STYLE_JSON
                                             : parameter->style == OPENAPI_SIMPLE      ? STYLE_SIMPLE
                                             : parameter->style == OPENAPI_DEEP_OBJECT ? STYLE_DEEP
                                                                                       : STYLE_FORM,
                                    .explode = parameter->explode && !parameter->json,
                                    .allow_empty = parameter->allow_empty};
}

/* Those of one place, in the words of both. */
struct named {
    struct openapi_member *members;
    struct content_writing *writings;
    size_t count;
};

static bool name_parameters(struct decoder *decoder, enum openapi_place place, struct named *named)
{
    const struct openapi_operation *operation = decoder->described->operation;
    bool good = true;
    *named = (struct named){
        .members = arena_array(decoder->arena, operation->parameter_count, sizeof *named->members),
        .writings = arena_array(decoder->arena, operation->parameter_count + 1, sizeof *named->writings)};
    for (size_t i = 0; i < operation->parameter_count; i++) {
        const struct openapi_parameter *parameter = &operation->parameters[i];
        const char *name = parameter->place == place ? name_of(parameter, decoder->arena) : NULL;
        if (!name)
            continue;
        good = check_name(decoder, parameter, named->members, named->count, name) && good;
        named->writings[named->count] = writing_of(parameter, name);
        named->members[named->count++] =
            (struct openapi_member){name, parameter->schema, parameter->required};
    }
    return good;
}

/* What text can become does not change by what an empty one may be. */
static const struct content *content_written(struct decoder *decoder, const struct node *node, json_t *source,
                                             const struct named *named, bool trims)
{
    struct shape shape;
    bool shaped = content_shape(decoder, node, source, named->writings, &shape);
    for (size_t i = 0; i < named->count; i++)
        if (named->writings[i].allow_empty)
            allow_empty(source, named->writings[i].name);
    struct content *content = content_compile(decoder, node, source);
    if (!content || !shaped)
        return NULL;
    content->shape = shape;
    content->trims = trims;
    return content;
}

bool content_of_parameters(struct decoder *decoder, const struct node *node, enum openapi_place place,
                           bool others, const struct content **content)
{
    const struct described *described = decoder->described;
    struct named named;
    struct error error = {0};
    *content = NULL;
    if (!name_parameters(decoder, place, &named))
        return false;
    if (named.count == 0 && others)
        return true;
    json_t *source =
        openapi_members(described->document, named.members, named.count, others, request_view, &error);
    if (!source)
        return refuse(decoder, described->operation->position, error.message);
    *content = content_written(decoder, node, source, &named, place == OPENAPI_HEADER);
    return *content != NULL;
}

/* ---- bodies */

static enum content_kind kind_of(const struct openapi_content *content)
{
    switch (content->body) {
    case OPENAPI_JSON:
        return CONTENT_JSON;
    case OPENAPI_FORM_BODY:
        return CONTENT_FORM;
    case OPENAPI_MULTIPART:
        return CONTENT_MULTIPART;
    case OPENAPI_TEXT:
        return CONTENT_TEXT;
    case OPENAPI_RAW:
        return CONTENT_RAW;
    case OPENAPI_UNREAD:
        break;
    }
    return CONTENT_UNREAD;
}

static const struct content_writing *writings_of(const struct openapi_content *content, struct arena *arena)
{
    struct content_writing *writings = arena_array(arena, content->encoding_count + 1, sizeof *writings);
    for (size_t i = 0; i < content->encoding_count; i++) {
        const struct openapi_encoding *encoding = &content->encodings[i];
        writings[i] = (struct content_writing){
            .name = encoding->name,
            .style = encoding->json && !encoding->file        ? STYLE_JSON
                     : encoding->style == OPENAPI_DEEP_OBJECT ? STYLE_DEEP
                                                              : STYLE_FORM,
            .explode = encoding->file ||
                       (encoding->explode && (!encoding->json || content->body == OPENAPI_MULTIPART))};
    }
    return writings;
}

/* What is of no type in particular may be of any. */
static struct texts types_of_file(const struct openapi_encoding *encoding)
{
    for (size_t i = 0; i < encoding->types.count; i++)
        if (text_equal(encoding->types.items[i], TEXT("application/octet-stream")) ||
            text_equal(encoding->types.items[i], TEXT("*/*")))
            return (struct texts){0};
    return encoding->types;
}

static struct content_files files_of(const struct openapi_content *content, const struct content_files *said,
                                     struct arena *arena)
{
    struct content_files files = *said;
    struct content_file *fields = arena_array(arena, content->encoding_count, sizeof *fields);
    files.names = (struct texts){arena_array(arena, content->encoding_count, sizeof(struct text)), 0};
    for (size_t i = 0; i < content->encoding_count; i++) {
        const struct openapi_encoding *encoding = &content->encodings[i];
        if (!encoding->file)
            continue;
        fields[files.field_count++] = (struct content_file){text_of(encoding->name), types_of_file(encoding)};
        files.names.items[files.names.count++] = text_of(encoding->name);
    }
    files.fields = fields;
    if (files.field_count == 0)
        files.most = 0;
    else if (files.most == 0)
        files.most = FILES_MOST;
    return files;
}

/* A form is read by an object, whatever is said of it. */
static const struct content *form_content(struct decoder *decoder, const struct node *node,
                                          const struct openapi_content *content)
{
    const struct described *described = decoder->described;
    const struct openapi_view view = {.closed = described->closed};
    const struct content_writing *writings = writings_of(content, decoder->arena);
    struct text key = key_of(content->schema, view, decoder->arena);
    struct content *made = find_content(decoder, key, writings);
    struct error error = {0};
    if (made)
        return made;
    json_t *source = content->schema ? openapi_schema(described->document, content->schema, view, &error)
                                     : openapi_members(described->document, NULL, 0, true, view, &error);
    if (!source) {
        refuse(decoder, content->position, error.message);
        return NULL;
    }
    made = compile(decoder, node, source, key);
    if (!made || !content_shape(decoder, node, source, writings, &made->shape))
        return NULL;
    made->writings = writings;
    return made;
}

static bool add_media(struct decoder *decoder, const struct node *node, const struct openapi_content *content,
                      const struct content_files *files, struct content_media *media)
{
    const struct described *described = decoder->described;
    *media = (struct content_media){.kind = kind_of(content)};
    if (!media_range_read(content->type, &media->range))
        return refuse(decoder, content->position,
                      "this is no media type, expected one such as application/json or image/*");
    if (media->kind == CONTENT_FORM || media->kind == CONTENT_MULTIPART)
        media->content = form_content(decoder, node, content);
    else if (media->kind != CONTENT_RAW && media->kind != CONTENT_UNREAD && content->schema)
        media->content = content_from_openapi(decoder, node, described->document, content->schema,
                                              (struct openapi_view){.closed = described->closed});
    else
        return true;
    if (media->kind == CONTENT_MULTIPART)
        media->files = files_of(content, files, decoder->arena);
    return media->content != NULL;
}

bool content_of_body(struct decoder *decoder, const struct node *node, const struct content_files *files,
                     struct content_rules *rules)
{
    const struct openapi_contents *body = &decoder->described->operation->body;
    struct content_media *media = arena_array(decoder->arena, body->count, sizeof *media);
    bool good = true;
    rules->media = media;
    for (size_t i = 0; i < body->count; i++)
        good = add_media(decoder, node, &body->items[i], files, &media[rules->media_count++]) && good;
    return good;
}
