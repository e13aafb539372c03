/*
 * The keys of respond: which kind of answer they make, that no key of another
 * kind is beside them, and what a reply can hold. What a file or another address
 * must be like is known to the files of these kinds.
 */
#include "config.h"

#include "handler/respond.h"

#include <jansson.h>

#include "data/openapi.h"
#include "handler/backends.h"

enum { HEADERS_MOST = 50, HEADER_VALUE_MOST = 4096 };

/* A text, or what becomes JSON: settings->content. */
static bool decode_body(struct decoder *decoder, const struct node *node, void *member)
{
    struct respond_settings *settings = member; /* its row's offset is 0 */
    if (node->kind == NODE_SCALAR && node->text.length == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "the text is empty, expected one, or no `body` at all");
    settings->json = node->kind != NODE_SCALAR;
    if (settings->json) {
        json_t *value = openapi_value(node);
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        json_decref(value);
        if (!text)
            return findings_add(decoder->findings, FINDING_ERROR, node, "this cannot be written as JSON");
        settings->content = text_of(arena_copy(decoder->arena, text, strlen(text)));
        free(text);
    } else {
        settings->content = node->text;
    }
    return settings->content.length <= RESPOND_BODY_LIMIT ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "this is larger than 64kb, expected `file` for what is");
}

const struct field respond_fields[] = {
    {FIELD(FIELD_CHOICE, respond_settings, kind, "with"),
     .choices = "nothing|authorize|keys|health|live|ready",
     .help = "keys: callers' own API keys; authorize: may the web server serve a request; nothing: 204; "
             "health, live: we answer; ready: the store does, too"},
    {FIELD(FIELD_NUMBER, respond_settings, limit, "limit"), .fallback = "20", .least = 1, .most = 1000,
     .help = "keys: how many that can be used one caller may have"},
    {FIELD(FIELD_TEXT, respond_settings, prefix, "prefix"), .fallback = "fcg",
     .help = "keys: what new ones begin with"},
    {FIELD(FIELD_NUMBER, respond_settings, status, "status"), .least = 200, .most = 599,
     .help = "of the reply: 200 where it is left out, of a redirect 308"},
    {FIELD(FIELD_PAIRS, respond_settings, headers, "headers"), .help = "of the reply"},
    {.key = "body",
     .type = FIELD_OWN,
     .own = decode_body,
     .expects = "a text, or a map or list for JSON",
     .help = "what is answered"},
    {FIELD(FIELD_FILE, respond_settings, file, "file"),
     .help = "what is answered, read when the policy is loaded"},
    {FIELD(FIELD_TEXT, respond_settings, type, "type"), .help = "Content-Type of body or file"},
    {FIELD(FIELD_TEXT, respond_settings, redirect, "redirect"),
     .help = "another address, with {name} and ** of the route's path"},
    {FIELD(FIELD_CHOICE, respond_settings, query, "query"), .fallback = "drop", .choices = "drop|keep",
     .help = "redirect: whether the request's query goes on"},
    {0},
};

/* ---- kinds */

#define KIND(kind) (1u << (kind))

/* For which kinds a key is. */
static const struct {
    const char *key;
    unsigned kinds;
    const char *expected;
} belongs[] = {
    {"limit", KIND(RESPOND_KEYS), "`with: keys` alone"},
    {"prefix", KIND(RESPOND_KEYS), "`with: keys` alone"},
    {"status", KIND(RESPOND_FIXED) | KIND(RESPOND_REDIRECT), "a body, a file or a redirect"},
    {"headers", KIND(RESPOND_FIXED) | KIND(RESPOND_REDIRECT), "a status, a body, a file or a redirect"},
    {"type", KIND(RESPOND_FIXED), "a body or a file alone"},
    {"query", KIND(RESPOND_REDIRECT), "a `redirect` alone"},
};

/* Which of the keys is there that make an answer; NULL with a finding unless it is one. */
static const char *find_maker(struct decoder *decoder, const struct node *node)
{
    static const char *const makers[] = {"with", "body", "file", "redirect"};
    const char *found = NULL;
    if (node->kind != NODE_MAP)
        return "with";
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        const struct node *maker = node_get(node, makers[i]);
        if (maker && found) {
            findings_add_key(decoder->findings, FINDING_ERROR, maker,
                             "this is beside `%s`, expected one of with, body, file and redirect", found);
            return NULL;
        }
        found = maker ? makers[i] : found;
    }
    if (!found && node_get(node, "status"))
        found = "status";
    if (!found)
        findings_add(decoder->findings, FINDING_ERROR, node,
                     "nothing says what is answered, expected one of with, status, body, file and redirect");
    return found;
}

static bool check_keys(struct decoder *decoder, const struct node *node, int kind)
{
    bool good = true;
    for (size_t i = 0; node->kind == NODE_MAP && i < sizeof belongs / sizeof *belongs; i++)
        if (node_get(node, belongs[i].key) && !(belongs[i].kinds & KIND(kind)))
            good = findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, belongs[i].key),
                                    "this is for %s", belongs[i].expected);
    return good;
}

/* ---- what a reply can hold */

static bool redirects(uint64_t status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static bool check_status(struct respond_settings *settings, struct decoder *decoder, const struct node *node)
{
    const struct node *status = node_get(node, "status");
    bool sends_on = settings->kind == RESPOND_REDIRECT;
    if (settings->status == 0) {
        settings->status = sends_on ? 308 : 200;
        return true;
    }
    if (sends_on != redirects(settings->status))
        return findings_add(decoder->findings, FINDING_ERROR, status,
                            sends_on ? "%d is no redirect, expected 301, 302, 303, 307 or 308"
                                     : "%d says where to go, expected `redirect` beside it",
                            (int)settings->status);
    if (settings->status == 206)
        return findings_add(decoder->findings, FINDING_ERROR, status,
                            "206 is a part that was asked for, expected 200");
    bool empty = settings->status == 204 || settings->status == 205 || settings->status == 304;
    if (empty && (node_get(node, "body") || node_get(node, "file")))
        return findings_add(decoder->findings, FINDING_ERROR, status,
                            "a reply of %d has no body, expected no `body` and no `file`",
                            (int)settings->status);
    return true;
}

/* Written from elsewhere, or the work of whoever carries the reply. */
static const char *expected_instead(struct text name)
{
    static const struct {
        const char *name, *expected;
    } ours[] = {
        {"content-type", "`type`"},
        {"location", "`redirect`"},
        {"status", "`status`"},
        {"etag", "none, because it is made of the content"},
        {"last-modified", "none, because it is the file's"},
        {"content-length", "none, because it is counted"},
        {"content-encoding", "none"},
        {"content-range", "none"},
        {"accept-ranges", "none"},
        {"date", "none, because the web server sets it"},
    };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (text_equal_ignore_case(name, text_of(ours[i].name)))
            return ours[i].expected;
    return header_is_of_connection(name) || header_steers(name) ? "none: it is for servers, not for clients"
                                                                : NULL;
}

static bool check_header(struct decoder *decoder, const struct pairs *headers, size_t at)
{
    const struct pair *header = &headers->items[at];
    const char *expected = expected_instead(header->name);
    if (!text_is_token(header->name))
        return findings_add_key(decoder->findings, FINDING_ERROR, header->node,
                                "this is not a header's name");
    if (expected)
        return findings_add_key(decoder->findings, FINDING_ERROR, header->node,
                                "this header is not set here, expected %s", expected);
    for (size_t i = 0; i < at; i++)
        if (text_equal_ignore_case(headers->items[i].name, header->name))
            return findings_add_key(decoder->findings, FINDING_ERROR, header->node,
                                    "this header stands here already, in line %u",
                                    headers->items[i].node->name_line);
    struct text trimmed = text_trim(header->value);
    if (header->node->kind == NODE_SCALAR &&
        (header->value.length == 0 || trimmed.length != header->value.length ||
         header->value.length > HEADER_VALUE_MOST || !header_value_is_safe(header->value)))
        return findings_add(decoder->findings, FINDING_ERROR, header->node,
                            "this is no header's value, expected 1 to %d characters on one line",
                            (int)HEADER_VALUE_MOST);
    return true;
}

static bool check_headers(const struct respond_settings *settings, struct decoder *decoder,
                          const struct node *node)
{
    const struct pairs *headers = &settings->headers;
    bool good = headers->count <= HEADERS_MOST ||
                findings_add(decoder->findings, FINDING_ERROR, node_get(node, "headers"),
                             "expected at most %d headers", (int)HEADERS_MOST);
    for (size_t i = 0; i < headers->count && i < HEADERS_MOST; i++)
        good = check_header(decoder, headers, i) && good;
    return good;
}

/* ---- each kind */

static bool prepare_keys(struct respond_settings *settings, struct decoder *decoder, const struct node *node)
{
    bool good = true;
    if (!decoder->auth || !decoder->auth->store_path)
        good = findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is no place for keys, expected a `store` at the top");
    if (settings->prefix && !api_key_prefix_is_valid(text_of(settings->prefix)))
        good = findings_add(
            decoder->findings, FINDING_ERROR, node,
            "\"%s\" is no prefix, expected a lower-case letter, then up to 15 of a to z and 0 to 9",
            settings->prefix);
    if (decoder->auth)
        decoder->auth->stores = true;
    return good;
}

bool respond_prepare(void *target, struct decoder *decoder, const struct node *node)
{
    struct respond_settings *settings = target;
    const char *maker = find_maker(decoder, node);
    if (!maker)
        return false;
    if (strcmp(maker, "redirect") == 0)
        settings->kind = RESPOND_REDIRECT;
    else if (strcmp(maker, "with") != 0)
        settings->kind = RESPOND_FIXED;
    settings->methods = decoder->auth;
    settings->limits = decoder->limits;
    settings->backends = backends_registry(decoder);
    bool good = check_keys(decoder, node, settings->kind);
    switch ((enum respond_kind)settings->kind) {
    case RESPOND_KEYS:
        return prepare_keys(settings, decoder, node) && good;
    case RESPOND_FIXED:
        good = check_status(settings, decoder, node) && good;
        good = check_headers(settings, decoder, node) && good;
        return respond_content_prepare(settings, decoder, node) && good;
    case RESPOND_REDIRECT:
        good = check_status(settings, decoder, node) && good;
        good = check_headers(settings, decoder, node) && good;
        return respond_redirect_prepare(settings, decoder, node) && good;
    case RESPOND_READY:
        settings->checks = respond_checks_new(decoder->arena);
        return good;
    case RESPOND_NOTHING:
    case RESPOND_AUTHORIZE:
    case RESPOND_HEALTH:
    case RESPOND_LIVE:
        break;
    }
    return good;
}
