/*
 * The profiles. What is told of single fields comes as a JSON list of the
 * program's own, and is put into each profile's words.
 */
#include "config.h"

#include <assert.h>
#include <jansson.h>

#include "respond/error_body.h"
#include "respond/error_telling.h"

/* draft-ietf-httpapi-ratelimit-headers-11, 5.1: not registered yet, so under the name it asks for. */
#define QUOTA_TYPE  "https://iana.org/assignments/http-problem-types#quota-exceeded"
#define QUOTA_TITLE "Request cannot be satisfied as assigned quota has been exceeded"

enum { POINTER_MOST = 4096 };

static void add_member(struct bytes *body, const char *name, struct text value)
{
    bytes_printf(body, "\"%s\":", name);
    bytes_add_json(body, value);
}

static void add_retry(struct bytes *body, const struct error_telling *telling)
{
    if (telling->limited)
        bytes_printf(body, ",\"retryAfter\":%.*s", TEXT_ARGUMENTS(telling->retry_after));
}

/* ---- plain */

static void add_plain(struct bytes *body, const struct error_telling *telling)
{
    const struct exchange *exchange = telling->exchange;
    bytes_add(body, "{", 1);
    add_member(body, "error", text_of(exchange->verdict.code));
    bytes_add(body, ",", 1);
    add_member(body, "message", telling->sentence.text);
    bytes_add(body, ",", 1);
    add_member(body, "requestId", text_of(exchange->id));
    if (exchange->details.length > 0) {
        bytes_add_text(body, TEXT(",\"details\":"));
        bytes_add_text(body, exchange->details);
    }
    add_retry(body, telling);
    bytes_add(body, "}\n", 2);
}

/* ---- fields */

struct field_fault {
    struct text in, field, why; /* a JSON Pointer in bodies, else a name */
};

static struct text string_at(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return (struct text){json_string_value(value), json_string_length(value)};
}

static bool is_body(const struct field_fault *fault)
{
    return text_equal(fault->in, TEXT("body"));
}

/* All of them, as `add` writes each; false, with nothing added, when there are none. */
static bool add_faults(struct bytes *body, const char *opening, const struct exchange *exchange,
                       void (*add)(struct bytes *, const struct field_fault *))
{
    json_t *list = exchange->details.length > 0
                       ? json_loadb(exchange->details.at, exchange->details.length, 0, NULL)
                       : NULL;
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        const struct field_fault fault = {string_at(item, "in"), string_at(item, "field"),
                                          string_at(item, "error")};
        bytes_add_text(body, i == 0 ? text_of(opening) : TEXT(","));
        add(body, &fault);
    }
    if (count > 0)
        bytes_add(body, "]", 1);
    json_decref(list);
    return count > 0;
}

/* ---- problem */

/* RFC 6901, 6, of a pointer that is JSON's already. */
static void add_fragment(struct bytes *body, struct text pointer)
{
    static const char digits[] = "0123456789ABCDEF", allowed[] = "-._~!$&'()*+,;=:@/?";
    bytes_add_text(body, TEXT("\"#"));
    for (size_t i = 0; i < pointer.length; i++) {
        unsigned char byte = (unsigned char)pointer.at[i];
        const char escape[] = {'%', digits[byte >> 4], digits[byte & 0x0f]};
        bool alphanumeric =
            (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
        bool plain = alphanumeric || (byte && strchr(allowed, byte));
        bytes_add(body, plain ? (const void *)&pointer.at[i] : escape, plain ? 1 : sizeof escape);
    }
    bytes_add(body, "\"", 1);
}

static void add_problem_fault(struct bytes *body, const struct field_fault *fault)
{
    bytes_add(body, "{", 1);
    if (fault->why.length > 0) {
        add_member(body, "detail", fault->why);
        bytes_add(body, ",", 1);
    }
    if (is_body(fault)) {
        bytes_add_text(body, TEXT("\"pointer\":"));
        add_fragment(body, fault->field);
    } else {
        add_member(body, "in", fault->in);
        bytes_add(body, ",", 1);
        add_member(body, "name", fault->field);
    }
    bytes_add(body, "}", 1);
}

/* Whether the title is the program's own sentence. */
static bool is_titled(const struct error_telling *telling)
{
    return telling->rules->types && !telling->limited;
}

/* Type and title: of the limit's problem, of the policy's own by code, or none but the status (RFC 9457,
 * 4.2.1). */
static void add_type(struct bytes *body, const struct error_telling *telling)
{
    const struct verdict *verdict = &telling->exchange->verdict;
    const char *ours = error_message(verdict->code, verdict->status), *reason = reply_reason(verdict->status);
    if (telling->limited) {
        bytes_printf(body, "\"type\":\"" QUOTA_TYPE "\",\"title\":\"" QUOTA_TITLE "\"");
    } else if (is_titled(telling)) {
        bytes_printf(body, "\"type\":\"%s%s\",", telling->rules->types, verdict->code);
        add_member(body, "title", text_of(ours));
    } else {
        bytes_add_text(body, TEXT("\"type\":\"about:blank\","));
        add_member(body, "title", text_of(*reason ? reason : ours));
    }
}

static void add_problem(struct bytes *body, const struct error_telling *telling)
{
    const struct exchange *exchange = telling->exchange;
    bytes_add(body, "{", 1);
    add_type(body, telling);
    bytes_printf(body, ",\"status\":%d,", exchange->verdict.status);
    if (!is_titled(telling) || telling->sentence.own) {
        add_member(body, "detail", telling->sentence.text);
        bytes_add(body, ",", 1);
    }
    bytes_printf(body, "\"instance\":\"urn:uuid:%s\",", exchange->id);
    add_member(body, "code", text_of(exchange->verdict.code));
    bytes_add(body, ",", 1);
    add_member(body, "requestId", text_of(exchange->id));
    add_faults(body, ",\"errors\":[", exchange, add_problem_fault);
    add_retry(body, telling);
    if (telling->limited && exchange->limits_told && exchange->allowance.name) {
        bytes_add_text(body, TEXT(",\"violated-policies\":["));
        bytes_add_json(body, text_of(exchange->allowance.name));
        bytes_add(body, "]", 1);
    }
    bytes_add(body, "}\n", 2);
}

/* ---- fastapi */

/* What FastAPI, Starlette and their usual extensions say where they refuse the same. */
static const struct {
    const char *code, *detail;
} fastapi_details[] = {
    {"dotfile", "Not Found"},
    {"forbidden", "Insufficient permissions"},
    {"host_not_allowed", "Invalid host header"},
    {"insufficient_scope", "Not enough permissions"},
    {"internal_error", "Internal Server Error"},
    {"invalid_token", "Invalid token"},
    {"method_not_allowed", "Method Not Allowed"},
    {"route_not_found", "Not Found"},
    {"script_not_found", "Not Found"},
    {"token_expired", "Token has expired"},
    {"unauthorized", "Not authenticated"},
};

static struct text fastapi_detail(const struct error_telling *telling)
{
    const char *code = telling->exchange->verdict.code;
    for (size_t i = 0; !telling->sentence.own && i < sizeof fastapi_details / sizeof *fastapi_details; i++)
        if (strcmp(fastapi_details[i].code, code) == 0)
            return text_of(fastapi_details[i].detail);
    return telling->sentence.text;
}

static bool is_number(struct text text)
{
    uint64_t number;
    return text_number(text, UINT32_MAX, &number) && (text.length == 1 || text.at[0] != '0');
}

/* One part of a JSON Pointer without its escapes (RFC 6901, 4). */
static void add_part(struct bytes *body, struct text part)
{
    struct bytes plain = bytes_new(body->arena, POINTER_MOST);
    bytes_add(body, ",", 1);
    if (is_number(part)) {
        bytes_add_text(body, part);
        return;
    }
    for (size_t i = 0; i < part.length; i++) {
        bool escaped = part.at[i] == '~' && i + 1 < part.length;
        char byte = escaped ? (part.at[++i] == '1' ? '/' : '~') : part.at[i];
        bytes_add(&plain, &byte, 1);
    }
    bytes_add_json(body, bytes_text(&plain));
}

static void add_location(struct bytes *body, const struct field_fault *fault)
{
    struct text rest = fault->field;
    bytes_add_text(body, TEXT("\"loc\":["));
    bytes_add_json(body, fault->in);
    if (!is_body(fault)) {
        bytes_add(body, ",", 1);
        bytes_add_json(body, fault->field);
    } else {
        if (rest.length > 0 && rest.at[0] == '/')
            rest = text_from(rest, 1);
        for (struct text part; text_next(&rest, '/', &part);)
            add_part(body, part);
    }
    bytes_add(body, "]", 1);
}

static void add_fastapi_fault(struct bytes *body, const struct field_fault *fault)
{
    bool missing = text_equal(fault->why, TEXT("is required"));
    struct text message = missing ? TEXT("Field required") : fault->why;
    bytes_printf(body, "{\"type\":\"%s\",", missing ? "missing" : "value_error");
    add_location(body, fault);
    bytes_add(body, ",", 1);
    add_member(body, "msg", message.length > 0 ? message : TEXT("Invalid value"));
    bytes_add(body, "}", 1);
}

/* As the library of slowapi writes a limit: "5 per 1 minute". */
static struct text limit_text(const struct allowance *allowance, struct arena *arena)
{
    static const struct {
        const char *name;
        uint64_t seconds;
    } units[] = {{"day", 24 * 60 * 60}, {"hour", 60 * 60}, {"minute", 60}, {"second", 1}};
    size_t i = 0;
    while (allowance->window % units[i].seconds != 0)
        i++;
    return text_of(arena_printf(arena, "%llu per %llu %s", (unsigned long long)allowance->limit,
                                (unsigned long long)(allowance->window / units[i].seconds), units[i].name));
}

static void add_slowapi(struct bytes *body, const struct error_telling *telling)
{
    const struct exchange *exchange = telling->exchange;
    const struct allowance *allowance = &exchange->allowance;
    struct text what = telling->sentence.text;
    if (!telling->sentence.own && exchange->limits_told && allowance->name && allowance->window > 0)
        what = limit_text(allowance, exchange->arena);
    bytes_add(body, "{", 1);
    add_member(body, "error",
               text_of(arena_printf(exchange->arena, "Rate limit exceeded: %.*s", TEXT_ARGUMENTS(what))));
    bytes_add(body, "}", 1);
}

static void add_fastapi(struct bytes *body, const struct error_telling *telling)
{
    if (telling->limited) {
        add_slowapi(body, telling);
        return;
    }
    if (!add_faults(body, "{\"detail\":[", telling->exchange, add_fastapi_fault)) {
        bytes_add(body, "{", 1);
        add_member(body, "detail", fastapi_detail(telling));
    }
    bytes_add(body, "}", 1);
}

/* There are web servers that call a body HTML, whatever it is: characters of markup, which only strings
 * have, are escaped. */
static void add_harmless(struct bytes *body, struct text json)
{
    for (size_t from = 0, at = 0; at <= json.length; at++) {
        bool harmful = at < json.length && memchr("<>&", json.at[at], 3);
        if (!harmful && at < json.length)
            continue;
        bytes_add(body, json.at + from, at - from);
        if (harmful)
            bytes_printf(body, "\\u%04x", (unsigned)json.at[at]);
        from = at + 1;
    }
}

void error_json_add(struct bytes *body, const struct error_telling *telling)
{
    static void (*const profiles[])(struct bytes *, const struct error_telling *) = {
        [ERROR_PLAIN] = add_plain,
        [ERROR_PROBLEM] = add_problem,
        [ERROR_FASTAPI] = add_fastapi,
    };
    struct bytes json = bytes_new(body->arena, body->limit);
    profiles[telling->rules->profile](&json, telling);
    assert(!json.full);
    add_harmless(body, bytes_text(&json));
}

struct text error_json_type(const struct error_rules *rules)
{
    return rules->profile == ERROR_PROBLEM ? TEXT("application/problem+json") : TEXT("application/json");
}
