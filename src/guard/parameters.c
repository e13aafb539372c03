/*
 * parameters: what a request brings beside its body. Each kind is judged as
 * one object, whose values are text until its description says otherwise.
 */
#include "config.h"

#include <strings.h>

#include "guard/content_openapi.h"
#include "guard/guard.h"

enum { QUERY, PATH, HEADERS, COOKIES, KINDS };
enum { PAIRS_MOST = 1000, NAME_MOST = 256, VALUE_MOST = 64 * 1024 };

static const char *const places[KINDS] = {"query", "path", "header", "cookie"};

struct parameters_rules {
    const struct node *nodes[KINDS];
    int unknown;
    const struct content *contents[KINDS];
    const struct content *described[KINDS]; /* by an OpenAPI document; judged besides */
};

static bool keep(struct decoder *decoder, const struct node *node, void *member)
{
    *(const struct node **)member = node;
    return (node->kind == NODE_SCALAR && node->text.length > 0) || node->kind == NODE_MAP ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "expected a map of fields, or a file of JSON Schema");
}

#define KIND(place_, key_, help_)                                                                            \
    {                                                                                                        \
        FIELD(FIELD_OWN, parameters_rules, nodes[place_], key_),                                             \
            .own = keep, .each = &content_field_section,                                                     \
            .expects = "a map of fields, or a file of JSON Schema", .help = help_                            \
    }
static const struct field fields[] = {
    KIND(QUERY, "query", "what the query may be"),
    KIND(PATH, "path", "what the {name}s of the path may be"),
    KIND(HEADERS, "headers", "what headers may be"),
    KIND(COOKIES, "cookies", "what cookies may be"),
    {FIELD(FIELD_CHOICE, parameters_rules, unknown, "unknown"), .choices = "refuse|allow",
     .fallback = "refuse", .help = "parameters of the query that are not described"},
    {0},
};

/* Names of headers are in lower case, as the request has them. */
static bool check_names(struct decoder *decoder, const struct node *map, int kind)
{
    bool good = true;
    for (size_t i = 0; map->kind == NODE_MAP && i < map->count; i++) {
        struct text name = map->items[i]->name;
        char braced[NAME_MOST];
        int length = snprintf(braced, sizeof braced, "{%.*s}", TEXT_ARGUMENTS(name));
        if (kind == HEADERS &&
            (!text_equal(name, text_lower(decoder->arena, name)) || !text_is_token(name) ||
             text_find(name, '_') < name.length || text_equal(name, TEXT("content-type")) ||
             text_equal(name, TEXT("content-length")) || text_equal(name, TEXT("proxy"))))
            good = findings_add_key(
                decoder->findings, FINDING_ERROR, map->items[i],
                "expected the name of a header in lower case, with dashes, and neither content-type, "
                "content-length nor proxy");
        else if (kind == PATH &&
                 (length < 0 || length >= NAME_MOST || !decoder->path || !strstr(decoder->path, braced)))
            good = findings_add_key(decoder->findings, FINDING_ERROR, map->items[i],
                                    "the route's path has no %s", braced);
    }
    return good;
}

/* Of headers and cookies only those are judged that `properties` names, so nothing else may speak of them. */
static bool check_described(struct decoder *decoder, const struct node *node, const struct content *content)
{
    static const char *const others[] = {"$ref", "$dynamicRef",       "allOf", "anyOf", "oneOf",
                                         "not",  "patternProperties", "if"};
    bool good = json_is_object(json_object_get(content->source, "properties")) &&
                !json_is_object(json_object_get(content->source, "additionalProperties"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        good = good && !json_object_get(content->source, others[i]);
    return good || findings_add(decoder->findings, FINDING_ERROR, node,
                                "a schema of headers or cookies is to name them in `properties` alone");
}

/* What a document says is not said again; headers and cookies there may be besides. */
static bool describe(struct parameters_rules *rules, struct decoder *decoder, const struct node *node)
{
    static const enum openapi_place of_kind[] = {[QUERY] = OPENAPI_QUERY,
                                                 [PATH] = OPENAPI_PATH,
                                                 [HEADERS] = OPENAPI_HEADER,
                                                 [COOKIES] = OPENAPI_COOKIE};
    bool good = true;
    for (int i = 0; i < KINDS; i++) {
        if (rules->nodes[i] && (i == QUERY || i == PATH))
            good = findings_add_key(decoder->findings, FINDING_ERROR, rules->nodes[i],
                                    "the OpenAPI document says what this may be, expected headers, cookies, "
                                    "unknown or mode");
        bool others = i != QUERY || rules->unknown != 0;
        good = content_of_parameters(decoder, node, of_kind[i], others, &rules->described[i]) && good;
    }
    return good;
}

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct parameters_rules *rules = settings;
    bool good = true, any = decoder->described != NULL;
    if (any && !describe(rules, decoder, node))
        return false;
    for (int i = 0; i < KINDS; i++) {
        const struct node *item = rules->nodes[i];
        any = any || item;
        if (!item || (item->kind != NODE_MAP && item->kind != NODE_SCALAR))
            continue;
        if (item->kind == NODE_SCALAR)
            rules->contents[i] = content_from_file(decoder, item, true);
        else if (check_names(decoder, item, i))
            rules->contents[i] =
                content_from_fields(decoder, item, i == HEADERS || i == COOKIES || rules->unknown != 0);
        good = good && rules->contents[i];
        if (item->kind == NODE_SCALAR && rules->contents[i] && (i == HEADERS || i == COOKIES))
            good = check_described(decoder, item, rules->contents[i]) && good;
    }
    return any ? good
               : findings_add(decoder->findings, FINDING_ERROR, node,
                              "expected one of query, path, headers and cookies");
}

/* ---- requests */

static bool read_query(struct exchange *exchange, struct form *form, struct defect *defect)
{
    static const struct form_limits limits = {.pairs = PAIRS_MOST, .name = NAME_MOST, .value = VALUE_MOST};
    return content_is_clear(exchange->request.query, defect) &&
           form_read(exchange->request.query, &limits, exchange->arena, form, defect);
}

static struct form make_form(struct exchange *exchange, size_t count)
{
    return (struct form){.items = arena_array(exchange->arena, count, sizeof(struct form_pair))};
}

static bool add_pair(struct form *form, struct text name, struct text value, struct defect *defect)
{
    if (!text_is_utf8(name) || !text_is_utf8(value) || memchr(value.at, '\0', value.length))
        return defect_set_field(defect, 0, "parameter_utf8", "is not text in UTF-8",
                                text_is_utf8(name) ? name : TEXT(""));
    form->items[form->count++] = (struct form_pair){.name = name, .value = value};
    return true;
}

/* A segment of the path, as it was sent, with commas of which some are escaped; empty when there is none. */
static struct text find_mixed(struct text target)
{
    struct text rest = {target.at, text_find(target, '?')}, segment;
    while (text_next(&rest, '/', &segment)) {
        bool raw = text_find(segment, ',') < segment.length, escaped = false;
        for (size_t i = 0; i + 2 < segment.length; i++)
            escaped = escaped || strncasecmp(segment.at + i, "%2c", 3) == 0;
        if (raw && escaped)
            return segment;
    }
    return TEXT("");
}

static bool read_path(struct exchange *exchange, struct form *form, struct defect *defect)
{
    struct text mixed = find_mixed(exchange->request.target);
    bool good = true;
    *form = make_form(exchange, exchange->capture_count);
    for (size_t i = 0; good && i < exchange->capture_count; i++) {
        good = add_pair(form, text_of(exchange->captures[i].name), exchange->captures[i].value, defect);
        if (good)
            form->items[i].raw = mixed;
    }
    return good;
}

/* Only those that are described: the others are none of ours. */
static bool read_headers(const struct content *content, struct exchange *exchange, struct form *form,
                         struct defect *defect)
{
    const struct headers *headers = &exchange->request.headers;
    bool good = true;
    *form = make_form(exchange, headers->count);
    for (size_t i = 0; good && i < headers->count; i++) {
        struct text name = text_lower(exchange->arena, headers->items[i].name);
        if (content_describes(content, name))
            good = add_pair(form, name, headers->items[i].value, defect);
    }
    return good;
}

/* RFC 6265, 4.2.1: cookie-pair. What is not in this form is taken apart differently by programs, some of
 * which decode names and values. */
static bool is_clear_cookie(struct text name, struct text value, bool described)
{
    static const char unclear[] = " \t,\"\\";
    for (size_t i = 0; i < value.length; i++)
        if (memchr(unclear, value.at[i], sizeof unclear - 1) || (described && strchr("%+", value.at[i])))
            return false;
    return text_is_token(name) && text_find(name, '%') == name.length;
}

/* RFC 6265, 5.4: "a=1; b=2". */
static bool read_cookies(const struct content *content, struct exchange *exchange, struct form *form,
                         struct defect *defect)
{
    const struct text *header = headers_get(&exchange->request.headers, "cookie");
    struct text rest = header ? *header : TEXT(""), piece;
    bool good = true;
    size_t count = 1;
    for (size_t i = 0; i < rest.length; i++)
        count += rest.at[i] == ';';
    *form = make_form(exchange, count);
    while (good && text_next(&rest, ';', &piece)) {
        piece = text_trim(piece);
        size_t equals = text_find(piece, '=');
        struct text name = text_trim((struct text){piece.at, equals});
        struct text value = text_trim(text_from(piece, equals + 1));
        bool described = content_describes(content, name);
        if (piece.length == 0)
            continue;
        if (!is_clear_cookie(name, value, described) || (!described && content_disguises(content, name)))
            good = defect_set_field(defect, 0, "cookie_unclear", "is a cookie that may be read in two ways",
                                    described ? name : TEXT(""));
        else if (described)
            good = add_pair(form, name, value, defect);
    }
    return good;
}

static bool read_kind(int kind, const struct content *content, struct exchange *exchange, struct form *form,
                      struct defect *defect)
{
    switch (kind) {
    case QUERY:
        return read_query(exchange, form, defect);
    case PATH:
        return read_path(exchange, form, defect);
    case HEADERS:
        return read_headers(content, exchange, form, defect);
    default:
        return read_cookies(content, exchange, form, defect);
    }
}

static struct verdict judge(const struct content *content, int kind, struct exchange *exchange)
{
    struct form form = {0};
    struct defect defect = {0};
    json_t *value = NULL;
    if (read_kind(kind, content, exchange, &form, &defect))
        value = content_convert(content, &form, &defect);
    if (!value)
        return content_refuse(&defect, places[kind], exchange);
    struct verdict verdict = content_judge(content, value, places[kind], exchange);
    json_decref(value);
    return verdict;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct parameters_rules *rules = settings;
    struct verdict verdict = PASS;
    for (int i = 0; i < KINDS && verdict.kind == VERDICT_PASS; i++) {
        if (rules->described[i])
            verdict = judge(rules->described[i], i, exchange);
        if (rules->contents[i] && verdict.kind == VERDICT_PASS)
            verdict = judge(rules->contents[i], i, exchange);
    }
    return verdict;
}

const struct guard guard_parameters = {
    .name = "parameters",
    .help = "what the query, the path, headers and cookies may be",
    .stage = ON_HEAD,
    .section = {sizeof(struct parameters_rules), fields},
    .prepare = prepare,
    .check = check,
};
