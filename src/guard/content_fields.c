/*
 * The short form of a schema: a map of fields and what each must be. It becomes
 * a JSON Schema of one object, so that there is one way to judge.
 */
#include "config.h"

#include <stdlib.h>

#include "data/schema_pattern.h"
#include "guard/content.h"

enum { FIELDS_MOST = 1000, LENGTH_MOST = 1000000, KINDS_MOST = 4 };

enum field_kind {
    FIELD_IS_STRING,
    FIELD_IS_EMAIL,
    FIELD_IS_UUID,
    FIELD_IS_URL,
    FIELD_IS_INTEGER,
    FIELD_IS_NUMBER,
    FIELD_IS_BOOLEAN,
    FIELD_IS_DATE,
    FIELD_IS_DATE_TIME,
    FIELD_IS_IP,
    FIELD_IS_PASSWORD,
};

struct written {
    int type;
    bool required, https, public;
    uint64_t min_length, max_length;
    const char *pattern;
    const struct node *minimum, *maximum;
    struct texts values, require;
};

static const char *const kinds_of_characters[] = {"upper", "lower", "digit", "special"};

static bool decode_require(struct decoder *decoder, const struct node *node, void *member)
{
    struct texts *texts = member;
    bool good = decode_texts(decoder, node, texts);
    if (good && (texts->count == 0 || texts->count > KINDS_MOST))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected 1 to 4 of upper, lower, digit, special");
    for (size_t i = 0; good && i < texts->count; i++) {
        bool known = false;
        for (size_t k = 0; k < KINDS_MOST; k++)
            known = known || text_equal(texts->items[i], text_of(kinds_of_characters[k]));
        if (!known)
            good = findings_add(decoder->findings, FINDING_ERROR,
                                node->kind == NODE_LIST ? node->items[i] : node,
                                "\"%.*s\" is not known, expected upper, lower, digit or special",
                                TEXT_ARGUMENTS(texts->items[i]));
    }
    return good;
}

static bool decode_bound(struct decoder *decoder, const struct node *node, void *member)
{
    json_t *value = node->kind == NODE_SCALAR && node->plain
                        ? json_loadb(node->text.at, node->text.length, JSON_DECODE_ANY, NULL)
                        : NULL;
    bool good = json_is_number(value);
    json_decref(value);
    *(const struct node **)member = node;
    return good || findings_add(decoder->findings, FINDING_ERROR, node,
                                "expected a number of JSON, such as 18 or -0.5");
}

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, written, type, "type"),
     .choices = "string|email|uuid|url|integer|number|boolean|date|date-time|ip|password",
     .fallback = "string", .help = "what the field must be"},
    {FIELD(FIELD_BOOL, written, required, "required"), .fallback = "false",
     .help = "whether it must be there"},
    {FIELD(FIELD_NUMBER, written, min_length, "min_length"), .most = LENGTH_MOST,
     .help = "characters at least"},
    {FIELD(FIELD_NUMBER, written, max_length, "max_length"), .least = 1, .most = LENGTH_MOST,
     .help = "characters at most"},
    {FIELD(FIELD_TEXT, written, pattern, "pattern"),
     .help = "regular expression of ECMA-262 to be found in it"},
    {FIELD(FIELD_OWN, written, minimum, "minimum"), .own = decode_bound, .expects = "a number",
     .help = "the least number"},
    {FIELD(FIELD_OWN, written, maximum, "maximum"), .own = decode_bound, .expects = "a number",
     .help = "the largest number"},
    {FIELD(FIELD_TEXTS, written, values, "enum"), .least = 1, .help = "the values there may be"},
    {FIELD(FIELD_BOOL, written, https, "https"), .fallback = "false", .help = "url: not http"},
    {FIELD(FIELD_BOOL, written, public, "public"), .fallback = "false",
     .help = "url: not of a private, local or reserved host"},
    {FIELD(FIELD_OWN, written, require, "require"), .own = decode_require,
     .expects = "upper, lower, digit, special", .help = "password: characters there must be"},
    {0},
};
const struct section content_field_section = {sizeof(struct written), fields};

/* ---- what does not go together */

static bool is_number(const struct written *written)
{
    return written->type == FIELD_IS_INTEGER || written->type == FIELD_IS_NUMBER;
}

static bool is_text(const struct written *written)
{
    return !is_number(written) && written->type != FIELD_IS_BOOLEAN;
}

static json_t *number_of(const struct node *node)
{
    return json_loadb(node->text.at, node->text.length, JSON_DECODE_ANY, NULL);
}

static bool check_range(struct decoder *decoder, const struct node *node, const struct written *written)
{
    if (!written->minimum || !written->maximum)
        return true;
    json_t *least = number_of(written->minimum), *most = number_of(written->maximum);
    bool good = json_number_value(least) <= json_number_value(most);
    json_decref(least);
    json_decref(most);
    return good || findings_add(decoder->findings, FINDING_ERROR, node, "`minimum` is more than `maximum`");
}

static bool check_keys(struct decoder *decoder, const struct node *node, const struct written *written)
{
    const struct {
        const char *key, *types;
        bool fits;
    } rows[] = {
        {"min_length", "texts", is_text(written)},
        {"max_length", "texts", is_text(written)},
        {"pattern", "texts", is_text(written)},
        {"enum", "texts", is_text(written)},
        {"minimum", "an integer or number", is_number(written)},
        {"maximum", "an integer or number", is_number(written)},
        {"https", "a url", written->type == FIELD_IS_URL},
        {"public", "a url", written->type == FIELD_IS_URL},
        {"require", "a password", written->type == FIELD_IS_PASSWORD},
    };
    bool good = true;
    for (size_t i = 0; node->kind == NODE_MAP && i < sizeof rows / sizeof *rows; i++) {
        const struct node *item = node_get(node, rows[i].key);
        if (item && !rows[i].fits)
            good = findings_add_key(decoder->findings, FINDING_ERROR, item, "this is for %s alone",
                                    rows[i].types);
    }
    if (written->max_length && written->min_length > written->max_length)
        good = findings_add(decoder->findings, FINDING_ERROR, node, "`min_length` is more than `max_length`");
    return good && check_range(decoder, node, written);
}

/* ---- as a schema */

static void set(json_t *schema, const char *key, json_t *value)
{
    if (!value || json_object_set_new(schema, key, value) != 0)
        abort(); /* as an arena would */
}

static const char *format_of(const struct written *written)
{
    static const char *const formats[] = {
        [FIELD_IS_EMAIL] = "email",         [FIELD_IS_UUID] = "uuid", [FIELD_IS_DATE] = "date",
        [FIELD_IS_DATE_TIME] = "date-time", [FIELD_IS_IP] = "ip",     [FIELD_IS_PASSWORD] = NULL};
    if (written->type == FIELD_IS_URL)
        return written->public  ? written->https ? "public-https-url" : "public-url"
               : written->https ? "https-url"
                                : "url";
    return formats[written->type];
}

/* What a password must hold: one after the other, so that each is told. */
static void add_required_characters(json_t *schema, const struct written *written)
{
    json_t *all = json_array();
    for (size_t i = 0; i < written->require.count; i++)
        json_array_append_new(all, json_pack("{s:s+}", "format", "with-", written->require.items[i].at));
    set(schema, "allOf", all);
}

static void add_text_rules(json_t *schema, const struct written *written)
{
    uint64_t least = written->type == FIELD_IS_PASSWORD && written->min_length == 0 ? 1 : written->min_length;
    if (format_of(written))
        set(schema, "format", json_string(format_of(written)));
    if (least > 0)
        set(schema, "minLength", json_integer((json_int_t)least));
    if (written->max_length > 0)
        set(schema, "maxLength", json_integer((json_int_t)written->max_length));
    if (written->pattern)
        set(schema, "pattern", json_string(written->pattern));
    if (written->require.count > 0)
        add_required_characters(schema, written);
    if (written->values.count == 0)
        return;
    json_t *values = json_array();
    for (size_t i = 0; i < written->values.count; i++)
        json_array_append_new(values, content_convert_text(written->values.items[i]));
    set(schema, "enum", values);
}

static json_t *schema_of(const struct written *written)
{
    json_t *schema = json_object();
    set(schema, "type",
        json_string(written->type == FIELD_IS_INTEGER   ? "integer"
                    : written->type == FIELD_IS_NUMBER  ? "number"
                    : written->type == FIELD_IS_BOOLEAN ? "boolean"
                                                        : "string"));
    if (is_text(written))
        add_text_rules(schema, written);
    if (written->minimum)
        set(schema, "minimum", number_of(written->minimum));
    if (written->maximum)
        set(schema, "maximum", number_of(written->maximum));
    return schema;
}

/* NULL with findings. */
static json_t *field_of(struct decoder *decoder, const struct node *node, bool *required)
{
    struct written written = {0};
    if (!decode_section(decoder, &content_field_section, node, &written) ||
        !check_keys(decoder, node, &written))
        return NULL;
    const struct node *pattern = written.pattern ? node_get(node, "pattern") : NULL;
    if (pattern && !schema_pattern_is_valid(text_of(written.pattern))) {
        findings_add(decoder->findings, FINDING_ERROR, pattern, "\"%s\" is no regular expression of ECMA-262",
                     written.pattern);
        return NULL;
    }
    *required = written.required;
    return schema_of(&written);
}

static bool add_fields(struct decoder *decoder, const struct node *map, json_t *properties, json_t *required)
{
    bool good = true;
    for (size_t i = 0; i < map->count; i++) {
        bool is_required = false;
        const struct node *node = map->items[i];
        json_t *field = field_of(decoder, node, &is_required);
        good = good && field;
        if (field)
            set(properties, node->name.at, field);
        if (is_required)
            json_array_append_new(required, content_convert_text(node->name));
    }
    return good;
}

const struct content *content_from_fields(struct decoder *decoder, const struct node *node, bool unknown)
{
    if (node->kind != NODE_MAP || node->count == 0 || node->count > FIELDS_MOST) {
        findings_add(decoder->findings, FINDING_ERROR, node, "expected a map of 1 to %d fields",
                     (int)FIELDS_MOST);
        return NULL;
    }
    json_t *schema = json_object(), *properties = json_object(), *required = json_array();
    bool good = add_fields(decoder, node, properties, required);
    set(schema, "type", json_string("object"));
    set(schema, "properties", properties);
    set(schema, "required", required);
    if (!unknown)
        set(schema, "additionalProperties", json_false());
    if (good)
        return content_from_json(decoder, node, schema);
    json_decref(schema);
    return NULL;
}
