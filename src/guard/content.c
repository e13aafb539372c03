/*
 * Descriptions of content, how text becomes the values they are about, and
 * what is told of values that do not fit.
 */
#include "config.h"

#include "guard/content.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "data/file.h"
#include "data/json_body.h"
#include "guard/presented.h"

enum { ERRORS_TOLD = 20, FIELD_MOST = 200, DETAILS_LIMIT = 16 * 1024, REFERENCES_MOST = 16 };

/* ---- a policy's */

void contents_free(struct contents *contents)
{
    for (struct content *content = contents->first, *next; content; content = next) {
        next = content->next;
        schema_free(content->schema);
        json_decref(content->source);
        free(content);
    }
    contents->first = NULL;
}

/* Takes over the reference to the source. */
static const struct content *keep(struct contents *contents, struct schema *schema, json_t *source)
{
    struct content *content = malloc(sizeof *content);
    if (!content)
        abort(); /* as an arena would */
    *content = (struct content){schema, source, contents->first};
    contents->first = content;
    return content;
}

const struct content *content_from_file(struct decoder *decoder, const struct node *node)
{
    struct schema_fault fault = {0};
    struct text text;
    json_error_t problem;
    if (!decode_file(decoder, node, FILE_SIZE_LIMIT, &text))
        return NULL;
    struct schema *schema = schema_parse(text, NULL, &fault);
    json_t *source = schema ? schema_json(text, &problem) : NULL;
    if (source)
        return keep(decoder->contents, schema, source);
    schema_free(schema);
    findings_add(decoder->findings, FINDING_ERROR, node, "%.*s:%u:%u: %s%s%s", TEXT_ARGUMENTS(node->text),
                 fault.line, fault.column, fault.keyword ? fault.keyword : "", fault.keyword ? ": " : "",
                 fault.error.message);
    return NULL;
}

const struct content *content_from_json(struct decoder *decoder, const struct node *node, json_t *source)
{
    static const struct schema_options options = {.formats = content_formats};
    struct schema_fault fault = {0};
    struct schema *schema = schema_compile(source, &options, &fault);
    if (schema)
        return keep(decoder->contents, schema, source);
    json_decref(source);
    findings_add(decoder->findings, FINDING_ERROR, node, "%s", fault.error.message);
    return NULL;
}

/* ---- from text to values */

static const json_t *step(const json_t *from, struct text word)
{
    char name[FIELD_MOST];
    size_t length = 0;
    for (size_t i = 0; i < word.length && length + 1 < sizeof name; i++) {
        bool escaped = word.at[i] == '~' && i + 1 < word.length;
        name[length++] = escaped ? (char)(word.at[++i] == '1' ? '/' : '~') : word.at[i];
    }
    name[length] = '\0';
    return json_is_array(from) ? json_array_get(from, strtoul(name, NULL, 10)) : json_object_get(from, name);
}

/* The schema that a "$ref" to a place in the same one leads to; NULL where there is none. */
static const json_t *follow(const json_t *root, const json_t *schema)
{
    for (int i = 0; schema && i < REFERENCES_MOST; i++) {
        const json_t *reference = json_object_get(schema, "$ref");
        struct text rest = text_of(json_is_string(reference) ? json_string_value(reference) : "");
        if (!text_starts_with(rest, TEXT("#/")))
            return schema;
        schema = root;
        for (rest = text_from(rest, 1); schema && rest.length > 0;) {
            rest = text_from(rest, 1);
            size_t end = text_find(rest, '/');
            schema = step(schema, (struct text){rest.at, end});
            rest = text_from(rest, end);
        }
    }
    return schema;
}

static bool has_type(const json_t *schema, const char *type)
{
    const json_t *types = json_object_get(schema, "type");
    const json_t *item;
    size_t i;
    if (json_is_string(types))
        return strcmp(json_string_value(types), type) == 0;
    json_array_foreach(types, i, item) if (json_is_string(item) &&
                                           strcmp(json_string_value(item), type) == 0) return true;
    return false;
}

static json_t *number_of(struct text text, bool integer)
{
    static const struct json_limits limits = {.depth = 1, .values = 1, .members = 1, .string = 1};
    struct defect defect = {0};
    bool digits = text.length > 0 && (text.at[0] == '-' || (text.at[0] >= '0' && text.at[0] <= '9'));
    for (size_t i = 1; integer && i < text.length; i++)
        digits = digits && text.at[i] >= '0' && text.at[i] <= '9';
    if (!digits || strchr(" \t\r\n", text.at[text.length - 1]))
        return NULL;
    return json_body_read(text, &limits, &defect);
}

json_t *content_convert_text(struct text text)
{
    json_t *value = json_stringn(text.at, text.length);
    if (!value)
        abort(); /* it is UTF-8: there is no memory */
    return value;
}

static json_t *convert(const json_t *schema, struct text text)
{
    json_t *value = NULL;
    if (!schema || has_type(schema, "string"))
        return content_convert_text(text);
    if (has_type(schema, "integer") || has_type(schema, "number"))
        value = number_of(text, !has_type(schema, "number"));
    if (!value && has_type(schema, "boolean"))
        value = text_equal(text, TEXT("true"))    ? json_true()
                : text_equal(text, TEXT("false")) ? json_false()
                                                  : NULL;
    return value ? value : content_convert_text(text);
}

static const json_t *properties_of(const struct content *content)
{
    return json_object_get(follow(content->source, content->source), "properties");
}

bool content_is_clear(struct text pairs, struct defect *defect)
{
    size_t at = text_find(pairs, ';');
    return at == pairs.length || defect_set(defect, at, "content_semicolon",
                                            "has a raw semicolon, which some take for the end of a value");
}

bool content_describes(const struct content *content, struct text name, struct arena *arena)
{
    return json_object_get(properties_of(content), arena_copy(arena, name.at, name.length)) != NULL;
}

bool content_disguises(const struct content *content, struct text name)
{
    const char *key;
    json_t *value;
    bool plain = true;
    for (size_t i = 0; i < name.length; i++)
        plain = plain && !memchr(" .[_", name.at[i], 4);
    if (!plain)
        json_object_foreach((json_t *)properties_of(content), key,
                            value) if (presented_reads_as(name, text_of(key))) return true;
    return false;
}

/* Names and values are UTF-8: it fails only where there is no memory. */
static void put(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, value) != 0)
        abort();
}

static bool add(const struct content *content, json_t *object, const struct form_pair *pair,
                struct arena *arena, struct defect *defect)
{
    const char *name = arena_copy(arena, pair->name.at, pair->name.length);
    const json_t *property = json_object_get(properties_of(content), name);
    const json_t *schema = follow(content->source, property);
    json_t *before = json_object_get(object, name);
    if (!property && content_disguises(content, pair->name))
        return defect_set_field(defect, pair->offset, "content_name",
                                "has a name that may be taken for another's", pair->name);
    if (schema && has_type(schema, "array")) {
        const json_t *items = follow(content->source, json_object_get(schema, "items"));
        if (!before)
            put(object, name, before = json_array());
        if (json_array_append_new(before, convert(items, pair->value)) != 0)
            abort();
        return true;
    }
    if (before)
        return defect_set_field(defect, pair->offset, "content_repeated", "is sent more than once",
                                pair->name);
    put(object, name, convert(schema, pair->value));
    return true;
}

json_t *content_convert(const struct content *content, const struct form *form, struct arena *arena,
                        struct defect *defect)
{
    json_t *object = json_object();
    if (!object)
        abort();
    for (size_t i = 0; i < form->count; i++)
        if (!add(content, object, &form->items[i], arena, defect)) {
            json_decref(object);
            return NULL;
        }
    return object;
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
