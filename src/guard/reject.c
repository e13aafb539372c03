/*
 * Everything is read again once something of it was changed: so it is the very
 * bytes of the program that are judged last.
 */
#include "config.h"

#include "guard/reject.h"

#include "base/bytes.h"
#include "base/log.h"
#include "data/multipart.h"

enum { PAIRS_MOST = 1000, NAME_MOST = 256, VALUE_MOST = 64 * 1024, HEAD_MOST = 4096, FIELD_MOST = 256 };

/* What was read, in the exchange until something of it is changed; NULL: not yet. */
struct rejecting {
    struct reject_part *query, *body;
    struct reject_part *cookies; /* and behind it what is JSON in them */
    size_t cookie_parts;
};

/* ---- in front of the body */

static struct json_limits json_limits_of(const struct exchange *exchange)
{
    const struct content_rules *rules = exchange->reading;
    return (struct json_limits){.depth = (size_t)rules->depth,
                                .values = (size_t)rules->values,
                                .members = (size_t)rules->values,
                                .string = (size_t)rules->string,
                                .rounded = true};
}

/* npm's cookie-parser takes what stands behind "j:" for JSON, and a text where it is none. npm's cookie takes
 * a quote off the front before, and the last byte with it. */
static bool find_json(const struct input *cookie, struct text *json)
{
    struct text value = cookie->value;
    if (value.length > 1 && value.at[0] == '"')
        value = (struct text){value.at + 1, value.length - 2};
    *json = text_from(value, 2);
    return value.length > 2 && text_starts_with(value, TEXT("j:")) && strchr("{[\" \t\r\n", value.at[2]);
}

static bool read_json_cookies(struct exchange *exchange, const struct inputs *cookies,
                              struct reject_part *parts, size_t *count, struct defect *defect)
{
    const struct json_limits limits = json_limits_of(exchange);
    for (size_t i = 0; i < cookies->count; i++) {
        const struct input *cookie = &cookies->items[i];
        struct reject_part *part = &parts[*count];
        struct defect wrong = {0};
        struct text json;
        if (!find_json(cookie, &json))
            continue;
        *part = (struct reject_part){.in = "cookie", .fixed = true, .cookie = cookie->name};
        if (!inputs_read_json(json, &limits, exchange->arena, &part->inputs, &wrong))
            return defect_set_field(defect, 0, "cookie_json", "has JSON that may be read in two ways",
                                    cookie->name);
        ++*count;
    }
    return true;
}

static struct rejecting *kept(struct exchange *exchange)
{
    if (!exchange->rejecting)
        exchange->rejecting = arena_alloc(exchange->arena, sizeof *exchange->rejecting);
    return exchange->rejecting;
}

static struct verdict read_query(struct exchange *exchange)
{
    static const struct form_limits limits = {.pairs = PAIRS_MOST, .name = NAME_MOST, .value = VALUE_MOST};
    struct rejecting *rejecting = kept(exchange);
    struct text query = exchange->request.query;
    struct defect defect = {0};
    if (rejecting->query)
        return PASS;
    struct reject_part *part = arena_alloc(exchange->arena, sizeof *part);
    part->in = "query";
    if (!content_is_clear(query, &defect) ||
        !inputs_read_form(query, &limits, exchange->arena, &part->inputs, &defect))
        return content_refuse(&defect, part->in, exchange);
    rejecting->query = part;
    return PASS;
}

static struct verdict read_cookies(struct exchange *exchange)
{
    struct rejecting *rejecting = kept(exchange);
    const struct text *header = headers_get(&exchange->request.headers, "cookie");
    struct inputs cookies;
    struct defect defect = {0};
    size_t count = 1;
    if (!header || rejecting->cookies)
        return PASS;
    inputs_read_cookies(*header, exchange->arena, &cookies);
    struct reject_part *parts = arena_array(exchange->arena, cookies.count + 1, sizeof *parts);
    parts[0] = (struct reject_part){.inputs = cookies, .in = "cookie"};
    if (!read_json_cookies(exchange, &cookies, parts, &count, &defect))
        return content_refuse(&defect, "cookie", exchange);
    rejecting->cookies = parts;
    rejecting->cookie_parts = count;
    return PASS;
}

const struct reject_part *reject_query(struct exchange *exchange)
{
    return read_query(exchange).kind == VERDICT_PASS ? exchange->rejecting->query : NULL;
}

/* ---- the body */

static bool read_form(struct text text, struct exchange *exchange, struct inputs *inputs,
                      struct defect *defect)
{
    const struct form_limits limits = {.pairs = (size_t)exchange->reading->values,
                                       .name = NAME_MOST,
                                       .value = (size_t)exchange->reading->string};
    return content_is_clear(text, defect) && inputs_read_form(text, &limits, exchange->arena, inputs, defect);
}

/* The value of a file is its name. */
static bool read_parts(struct content_source *source, struct exchange *exchange, struct inputs *inputs,
                       struct defect *defect)
{
    const struct multipart_limits limits = {.parts = (size_t)exchange->reading->values,
                                            .files = (size_t)exchange->reading->values,
                                            .head = HEAD_MOST,
                                            .headers = MULTIPART_HEADERS_MOST,
                                            .name = NAME_MOST,
                                            .filename = NAME_MOST,
                                            .field = (size_t)exchange->reading->string,
                                            .file = UINT64_MAX,
                                            .start = 1};
    const struct source bytes = spool_source(source->spool);
    struct multipart multipart;
    struct text boundary;
    if (!multipart_boundary(source->stated, &boundary, defect) ||
        !multipart_read(&bytes, boundary, &limits, exchange->arena, &multipart, defect))
        return false;
    *inputs = (struct inputs){.kind = INPUTS_PARTS,
                              .items = arena_array(exchange->arena, multipart.count, sizeof *inputs->items),
                              .count = multipart.count};
    for (size_t i = 0; i < multipart.count; i++) {
        const struct multipart_part *part = &multipart.items[i];
        inputs->items[i] = (struct input){.name = part->name,
                                          .value = part->is_file ? part->filename : part->value,
                                          .parent = INPUT_TOP,
                                          .after = (uint32_t)i + 1,
                                          .is_named = true,
                                          .is_text = true};
    }
    return true;
}

static bool read_text(struct text text, struct exchange *exchange, struct inputs *inputs,
                      struct defect *defect)
{
    if (text.length > exchange->reading->string)
        return defect_set(defect, 0, "text_length", "is too long");
    if (!text_is_utf8(text) || memchr(text.at, '\0', text.length))
        return defect_set(defect, 0, "text_utf8", "is not text in UTF-8");
    *inputs = (struct inputs){INPUTS_TEXT, text, arena_alloc(exchange->arena, sizeof *inputs->items), 1};
    inputs->items[0] = (struct input){.value = text, .parent = INPUT_TOP, .after = 1, .is_text = true};
    return true;
}

static enum inputs_kind kind_of(struct text type, bool texts, const struct exchange *exchange)
{
    /* Of other methods CGI.pm takes a form of parts for a form of pairs. */
    bool is_post = text_equal(exchange->request.method, TEXT("POST"));
    if (content_is_json(type))
        return INPUTS_JSON;
    if (text_equal(type, TEXT("application/x-www-form-urlencoded")))
        return INPUTS_FORM;
    if (text_equal(type, TEXT("multipart/form-data")))
        return is_post ? INPUTS_PARTS : INPUTS_NOTHING;
    return texts && text_starts_with(type, TEXT("text/")) ? INPUTS_TEXT : INPUTS_NOTHING;
}

static bool read_kind(enum inputs_kind kind, struct content_source *source, struct exchange *exchange,
                      struct inputs *inputs, struct defect *defect)
{
    if (kind == INPUTS_PARTS)
        return read_parts(source, exchange, inputs, defect);
    struct text text = content_whole(source, exchange->arena, defect);
    const struct json_limits limits = json_limits_of(exchange);
    if (defect->word)
        return false;
    switch (kind) {
    case INPUTS_JSON:
        return inputs_read_json(text, &limits, exchange->arena, inputs, defect);
    case INPUTS_FORM:
        return read_form(text, exchange, inputs, defect);
    default:
        return read_text(text, exchange, inputs, defect);
    }
}

/* Where there is nothing to judge and that is well, the part stays NULL. */
static struct verdict read_open(struct content_source *source, bool texts, struct exchange *exchange)
{
    struct reject_part *part = arena_alloc(exchange->arena, sizeof *part);
    struct defect defect = {0};
    enum inputs_kind kind = kind_of(source->type, texts, exchange);
    bool judged = kind != INPUTS_NOTHING || text_equal(source->type, TEXT("multipart/form-data"));
    if (!judged && exchange->type_named)
        return PASS;
    if (kind == INPUTS_NOTHING)
        return DENY(415, NULL, "content_type_not_allowed",
                    "its content is none that can be judged, and content_types does not name it");
    if (kind != INPUTS_PARTS && source->spool->length >= INT32_MAX)
        return DENY(413, NULL, "body_too_large", "it is too large to be judged");
    if (!read_kind(kind, source, exchange, &part->inputs, &defect))
        return content_refuse(&defect, "body", exchange);
    part->in = "body";
    part->fixed = source->coded || kind == INPUTS_PARTS || kind == INPUTS_TEXT;
    kept(exchange)->body = part;
    return PASS;
}

static struct verdict read_body(bool texts, struct exchange *exchange)
{
    struct content_source source;
    struct reject_part *body = kept(exchange)->body;
    if (body && (texts || body->inputs.kind != INPUTS_TEXT))
        return PASS;
    struct verdict verdict = content_open(exchange->reading, exchange, &source);
    if (verdict.kind == VERDICT_PASS)
        verdict = read_open(&source, texts, exchange);
    content_close(&source, exchange);
    return verdict;
}

/* ---- what becomes of it */

bool reject_may_change(const struct rejection *rejection)
{
    return !rejection->part->fixed && !rejection->exchange->authorizes && !rejection->exchange->reports;
}

/* The body is no longer the one that they are about (RFC 9530, RFC 1864). */
static void forget_digests(struct exchange *exchange)
{
    static const char *const names[] = {"content-md5", "content-digest", "repr-digest", "digest"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        headers_remove(&exchange->request.headers, text_of(names[i]));
}

static struct verdict change(const struct reject_part *part, struct exchange *exchange)
{
    struct text text = inputs_write(&part->inputs, exchange->arena);
    struct headers *headers = &exchange->request.headers;
    struct error error = {0};
    exchange->rejecting = NULL;
    if (strcmp(part->in, "query") == 0) {
        request_replace_query(&exchange->request, text, exchange->arena);
    } else if (strcmp(part->in, "cookie") == 0) {
        headers_remove(headers, TEXT("cookie"));
        if (text_trim(text).length > 0)
            headers_add(headers, exchange->arena, TEXT("cookie"), text);
    } else {
        forget_digests(exchange);
        if (!body_replace(&exchange->body, text, &error)) {
            log_event(SEVERITY_ERROR, "spool_failed", "%s", error.message);
            return FAULT(500, NULL, "spool_failed", "the changed body could not be kept");
        }
    }
    return PASS;
}

static struct verdict judge(reject_look *look, const void *rules, struct reject_part *part,
                            struct exchange *exchange)
{
    struct rejection rejection = {.exchange = exchange, .part = part};
    look(rules, &rejection);
    if (rejection.count > 0)
        return content_refuse_all(rejection.defects, rejection.count, part->in, exchange);
    return rejection.changed ? change(part, exchange) : PASS;
}

struct verdict reject_judge_query(reject_look *look, const void *rules, struct exchange *exchange)
{
    struct verdict verdict = read_query(exchange);
    return verdict.kind == VERDICT_PASS ? judge(look, rules, exchange->rejecting->query, exchange) : verdict;
}

struct verdict reject_judge_cookies(reject_look *look, const void *rules, struct exchange *exchange)
{
    struct verdict verdict = read_cookies(exchange);
    const struct rejecting rejecting = *exchange->rejecting;
    for (size_t i = 0; verdict.kind == VERDICT_PASS && i < rejecting.cookie_parts; i++)
        verdict = judge(look, rules, &rejecting.cookies[i], exchange);
    return verdict;
}

struct verdict reject_judge_body(reject_look *look, const void *rules, bool texts, struct exchange *exchange)
{
    struct verdict verdict = PASS;
    if (body_is_empty(&exchange->body)) {
        verdict.detail =
            exchange->previews ? "judges the body, which is not here" : NULL; /* explain was given none */
        return verdict;
    }
    verdict = read_body(texts, exchange);
    struct reject_part *body = verdict.kind == VERDICT_PASS ? exchange->rejecting->body : NULL;
    return body ? judge(look, rules, body, exchange) : verdict;
}

/* ---- names */

/* From the top to the input itself; how many those are. */
static size_t find_chain(const struct inputs *inputs, const struct input *input,
                         const struct input *chain[JSON_DEPTH_MOST + 1])
{
    size_t count = 0;
    for (const struct input *item = input; item;
         item = item->parent == INPUT_TOP ? NULL : &inputs->items[item->parent])
        if (inputs->kind != INPUTS_JSON || item->parent != INPUT_TOP)
            count++;
    size_t at = count;
    for (const struct input *item = input; at > 0; item = &inputs->items[item->parent])
        chain[--at] = item;
    return count;
}

static void add_token(struct bytes *pointer, const struct input *input)
{
    bytes_add(pointer, "/", pointer->length > 0 ? 1 : 0);
    if (!input->is_named)
        bytes_printf(pointer, "%u", input->index);
    struct text rest = input->name;
    while (input->is_named && rest.length > 0) {
        size_t plain = 0;
        while (plain < rest.length && rest.at[plain] != '~' && rest.at[plain] != '/')
            plain++;
        bytes_add(pointer, rest.at, plain);
        if (plain < rest.length)
            bytes_add(pointer, rest.at[plain] == '~' ? "~0" : "~1", 2);
        rest = text_from(rest, plain + 1);
    }
}

/* A JSON Pointer without its first slash, or the name of a parameter. */
static struct text field_of(const struct reject_part *part, const struct input *input, struct arena *arena)
{
    const struct input *chain[JSON_DEPTH_MOST + 1];
    struct bytes pointer = bytes_new(arena, FIELD_MOST);
    if (part->cookie.length > 0 || strcmp(part->in, "body") != 0)
        return part->cookie.length > 0 ? part->cookie : input->name;
    size_t count = find_chain(&part->inputs, input, chain);
    for (size_t i = 0; i < count; i++)
        if (part->inputs.kind != INPUTS_TEXT)
            add_token(&pointer, chain[i]);
    return bytes_text(&pointer);
}

void reject_note(struct rejection *rejection, const struct input *input, const char *word,
                 const char *message)
{
    if (rejection->count == REJECTIONS_MOST)
        return;
    struct text field = field_of(rejection->part, input, rejection->exchange->arena);
    defect_set_field(&rejection->defects[rejection->count++], input->key.start, word, message, field);
}

/* Whether a token of a pointer is the input's name or place. */
static bool is_token(struct text token, const struct input *input)
{
    char digits[16] = "";
    if (!input->is_named) {
        snprintf(digits, sizeof digits, "%u", input->index);
        return text_equal(token, text_of(digits));
    }
    struct text name = input->name;
    for (; token.length > 0 && name.length > 0; name = text_from(name, 1)) {
        bool escaped = token.at[0] == '~' && token.length > 1;
        char byte = escaped ? (token.at[1] == '1' ? '/' : '~') : token.at[0];
        if (byte != name.at[0])
            return false;
        token = text_from(token, escaped ? 2 : 1);
    }
    return token.length == 0 && name.length == 0;
}

static bool leads_to(struct text pointer, const struct input *const chain[], size_t count)
{
    size_t depth = 0;
    while (pointer.length > 0) {
        pointer = text_from(pointer, 1);
        size_t end = text_find(pointer, '/');
        if (depth == count || !is_token((struct text){pointer.at, end}, chain[depth++]))
            return false;
        pointer = text_from(pointer, end);
    }
    return true;
}

static bool has_name(struct text wanted, const struct reject_part *part, const struct input *input)
{
    struct text name = input->name;
    if (part->inputs.kind != INPUTS_JSON && !text_equal(wanted, name))
        name.length = text_find(name, '[');
    return input->is_named && text_equal(wanted, name);
}

bool reject_is_named(const struct texts *names, const struct reject_part *part, const struct input *input)
{
    const struct input *chain[JSON_DEPTH_MOST + 1];
    if (names->count == 0)
        return false;
    size_t count = find_chain(&part->inputs, input, chain);
    bool in_body = strcmp(part->in, "body") == 0;
    for (size_t i = 0; i < names->count; i++) {
        struct text name = names->items[i];
        if (name.at[0] == '/' && in_body && leads_to(name, chain, count))
            return true;
        if (part->cookie.length > 0 && text_equal(name, part->cookie))
            return true;
        for (size_t k = 0; k < count; k++)
            if (has_name(name, part, chain[k]))
                return true;
    }
    return false;
}
