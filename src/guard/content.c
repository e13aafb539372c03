/*
 * Descriptions of content, and what is told of values that do not fit them.
 */
#include "config.h"

#include "guard/content_openapi.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "data/file.h"

enum { ERRORS_TOLD = 20, FIELD_MOST = 200, DETAILS_LIMIT = 16 * 1024 };

/* ---- a policy's */

void contents_free(struct contents *contents)
{
    for (struct content *content = contents->first, *next; content; content = next) {
        next = content->next;
        schema_free(content->schema);
        json_decref(content->source);
        free(content);
    }
    *contents = (struct contents){0};
}

/* Takes over the reference to the source, and the schema, also where it fails. */
static struct content *keep(struct decoder *decoder, struct schema *schema, json_t *source)
{
    struct content *content = malloc(sizeof *content);
    if (!content)
        abort(); /* as an arena would */
    *content = (struct content){.schema = schema, .source = source, .next = decoder->contents->first};
    decoder->contents->first = content;
    return content;
}

/* Of an operation that the policy says nothing about there is no node. */
static bool refuse_source(struct decoder *decoder, const struct node *node, const char *message)
{
    if (node)
        return findings_add(decoder->findings, FINDING_ERROR, node, "%s", message);
    const struct openapi_operation *operation = decoder->described->operation;
    return findings_add_in(decoder->findings, FINDING_ERROR, operation->position.file,
                           operation->position.line, operation->position.column, "%s %s: %s",
                           operation->method, operation->path, message);
}

bool content_shape(struct decoder *decoder, const struct node *node, const json_t *source,
                   const struct content_writing *writings, struct shape *shape)
{
    const struct shape_references references = {shape_find_local, source};
    struct error error = {0};
    return shape_make(source, &references, writings, decoder->arena, shape, &error) ||
           refuse_source(decoder, node, error.message);
}

const struct content *content_from_file(struct decoder *decoder, const struct node *node, bool text)
{
    struct schema_fault fault = {0};
    struct text content;
    json_error_t problem;
    if (!decode_file(decoder, node, FILE_SIZE_LIMIT, &content))
        return NULL;
    struct schema *schema = schema_parse(content, NULL, &fault);
    json_t *source = schema ? schema_json(content, &problem) : NULL;
    if (source) {
        struct content *kept = keep(decoder, schema, source);
        return !text || content_shape(decoder, node, source, NULL, &kept->shape) ? kept : NULL;
    }
    schema_free(schema);
    findings_add(decoder->findings, FINDING_ERROR, node, "%.*s:%u:%u: %s%s%s", TEXT_ARGUMENTS(node->text),
                 fault.line, fault.column, fault.keyword ? fault.keyword : "", fault.keyword ? ": " : "",
                 fault.error.message);
    return NULL;
}

struct content *content_compile(struct decoder *decoder, const struct node *node, json_t *source)
{
    static const struct schema_options options = {.formats = content_formats};
    struct schema_fault fault = {0};
    struct schema *schema = schema_compile(source, &options, &fault);
    if (schema)
        return keep(decoder, schema, source);
    json_decref(source);
    refuse_source(decoder, node, fault.error.message);
    return NULL;
}

const struct content *content_from_json(struct decoder *decoder, const struct node *node, json_t *source)
{
    struct content *content = content_compile(decoder, node, source);
    return content && content_shape(decoder, node, source, NULL, &content->shape) ? content : NULL;
}

/* ---- what is told */

struct telling {
    struct bytes bytes;
    const char *in;
    bool reasons, pointers; /* why; fields are pointers, not names of parameters */
    size_t count;
};

static struct text cut(struct text field)
{
    return text_cut(field, FIELD_MOST);
}

static void tell(struct telling *telling, struct text field, const char *message)
{
    if (telling->bytes.length > DETAILS_LIMIT - 6 * FIELD_MOST - 1024) /* what may come of one with escapes */
        return;
    if (!telling->pointers && field.length > 0 && field.at[0] == '/')
        field = text_from(field, 1);
    bytes_printf(&telling->bytes, "%s{\"in\":\"%s\",\"field\":", telling->count++ ? "," : "[", telling->in);
    bytes_add_json(&telling->bytes, cut(field));
    if (telling->reasons) {
        bytes_add_text(&telling->bytes, TEXT(",\"error\":"));
        bytes_add_json(&telling->bytes, text_of(message));
    }
    bytes_add_text(&telling->bytes, TEXT("}"));
}

static struct telling begin_telling(const char *in, const struct exchange *exchange)
{
    return (struct telling){.bytes = bytes_new(exchange->arena, DETAILS_LIMIT),
                            .in = in,
                            .reasons = exchange->validation_details == VALIDATION_DETAILS_FULL,
                            .pointers = strcmp(in, "body") == 0};
}

static struct verdict refuse(struct telling *telling, const char *detail, struct exchange *exchange)
{
    bytes_add_text(&telling->bytes, TEXT("]"));
    if (exchange->validation_details != VALIDATION_DETAILS_NONE && !telling->bytes.full)
        exchange->details = bytes_text(&telling->bytes);
    return DENY(exchange->validation_status, NULL, "validation_error", detail);
}

struct verdict content_judge(const struct content *content, const json_t *value, const char *in,
                             struct exchange *exchange)
{
    struct schema_errors errors = schema_errors_new(exchange->arena, ERRORS_TOLD);
    if (schema_validate(content->schema, value, &errors))
        return PASS;
    struct telling telling = begin_telling(in, exchange);
    for (size_t i = 0; i < errors.count; i++)
        tell(&telling, text_of(errors.items[i].pointer), errors.items[i].message);
    const struct schema_error *first = &errors.items[0];
    return refuse(&telling,
                  arena_printf(exchange->arena, "%s %.200s: %s", in, first->pointer, first->message),
                  exchange);
}

static void tell_defect(struct telling *telling, const struct defect *defect, struct arena *arena)
{
    struct text field = cut(defect->field);
    const char *message = defect->message;
    if (telling->pointers && field.length > 0)
        field = text_of(arena_printf(arena, "/%.*s", TEXT_ARGUMENTS(field)));
    if (strncmp(defect->word, "json_", 5) == 0)
        message = arena_printf(arena, "%s, at byte %llu", message, (unsigned long long)defect->offset);
    tell(telling, field, message);
}

struct verdict content_refuse_all(const struct defect defects[], size_t count, const char *in,
                                  struct exchange *exchange)
{
    struct telling telling = begin_telling(in, exchange);
    if (defects[0].failed)
        return FAULT(500, NULL, "internal_error", defects[0].message);
    for (size_t i = 0; i < count && i < ERRORS_TOLD; i++)
        tell_defect(&telling, &defects[i], exchange->arena);
    return refuse(&telling, arena_printf(exchange->arena, "%s: %s", defects[0].word, defects[0].message),
                  exchange);
}

struct verdict content_refuse(const struct defect *defect, const char *in, struct exchange *exchange)
{
    return content_refuse_all(defect, 1, in, exchange);
}
