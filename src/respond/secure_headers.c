/*
 * The presets, and how a policy changes them. Values are those of the stacks
 * they are named after, to the letter.
 */
#include "config.h"

#include "respond/secure_headers.h"

#include "base/arena.h"
#include "respond/content_policy.h"
#include "respond/header_names.h"
#include "respond/header_values.h"

enum { HEADERS_LIMIT = 100 }; /* more than any reply should have */

struct preset_header {
    const char *name, *value;
};

/* For programs that answer other programs: nothing of a reply is ever a page. */
static const struct preset_header api[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
    {"Referrer-Policy", "no-referrer"},
    {TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"},
    {"Permissions-Policy", "geolocation=(), microphone=(), camera=()"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"X-XSS-Protection", "0"},
    {0},
};

/* helmet 8 with its defaults. */
static const struct preset_header helmet[] = {
    {"Content-Security-Policy",
     "default-src 'self';base-uri 'self';font-src 'self' https: data:;form-action 'self';"
     "frame-ancestors 'self';img-src 'self' data:;object-src 'none';script-src 'self';"
     "script-src-attr 'none';style-src 'self' https: 'unsafe-inline';upgrade-insecure-requests"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Origin-Agent-Cluster", "?1"},
    {"Referrer-Policy", "no-referrer"},
    {TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-DNS-Prefetch-Control", "off"},
    {"X-Download-Options", "noopen"},
    {"X-Frame-Options", "SAMEORIGIN"},
    {"X-Permitted-Cross-Domain-Policies", "none"},
    {"X-XSS-Protection", "0"},
    {0},
};

/* The usual middleware of a FastAPI application. */
static const struct preset_header fastapi[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"X-XSS-Protection", "1; mode=block"},
    {TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"},
    {"Content-Security-Policy", "default-src 'self'"},
    {"Referrer-Policy", "strict-origin-when-cross-origin"},
    {"Permissions-Policy", "geolocation=(), microphone=(), camera=()"},
    {0},
};

/* The usual add_header lines of an nginx gateway. */
static const struct preset_header nginx[] = {
    {"X-Frame-Options", "DENY"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-XSS-Protection", "1; mode=block"},
    {TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains"},
    {"Content-Security-Policy", "default-src 'self'"},
    {0},
};

static const struct preset_header off[] = {{0}};

const char *const secure_headers_presets[] = {"api", "helmet", "fastapi", "nginx", "off", NULL};
static const struct preset_header *const presets[] = {api, helmet, fastapi, nginx, off};

/* What tells an attacker where to look. */
static struct text telling[] = {{"server", 6}, {"x-powered-by", 12}};

static bool apply_preset(struct decoder *decoder, const struct node *node, struct text name,
                         struct secure_headers *headers)
{
    for (size_t i = 0; secure_headers_presets[i]; i++) {
        if (!text_equal(text_of(secure_headers_presets[i]), name))
            continue;
        for (const struct preset_header *header = presets[i]; header->name; header++)
            headers_add(&headers->set, decoder->arena, text_of(header->name), text_of(header->value));
        const struct text *policy = headers_get(&headers->set, CONTENT_POLICY);
        headers->policy = policy ? *policy : (struct text){0};
        if (presets[i] != off)
            headers->remove = (struct texts){telling, sizeof telling / sizeof *telling};
        headers->caching = presets[i] != off;
        return true;
    }
    const char *word = arena_copy(decoder->arena, name.at, name.length);
    size_t count = sizeof presets / sizeof *presets;
    const char *nearest = findings_nearest(word, secure_headers_presets, count);
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%s\" is not a preset, expected one of api, helmet, fastapi, nginx, off%s%s%s",
                        word, nearest ? "; did you mean \"" : "", nearest ? nearest : "",
                        nearest ? "\"?" : "");
}

/* What says how the reply is built, or belongs to the handler alone. */
static bool is_structural(struct text name)
{
    static const char *const names[] = {
        "status",        "content-length", "content-type",      "content-encoding",
        "content-range", "connection",     "transfer-encoding", "set-cookie",
        "location",      "date",           "trailer",           "te",
        "upgrade",       "keep-alive",     "proxy-connection"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_equal_ignore_case(name, text_of(names[i])))
            return true;
    return false;
}

static bool is_off(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->plain &&
           (text_equal(node->text, TEXT("off")) || text_equal(node->text, TEXT("false")));
}

static bool apply_header(struct decoder *decoder, const struct node *node, struct secure_headers *headers)
{
    struct text name = node->name;
    if (!text_is_token(name))
        return findings_add_key(decoder->findings, FINDING_ERROR, node, "this is not a header's name");
    if (is_structural(name))
        return findings_add_key(
            decoder->findings, FINDING_ERROR, node,
            "this header is the handler's and the server's, expected one that only guards");
    if (text_equal_ignore_case(name, TEXT("cache-control")))
        headers->cache_given = true;
    if (is_off(node)) {
        headers_remove(&headers->set, name);
        return true;
    }
    struct text value;
    if (!header_value_decode(decoder, node, headers->policy, &value))
        return false;
    headers_set(&headers->set, decoder->arena, name, value);
    return true;
}

/* Two that differ only in case are one header (RFC 9110, 5.1); `preset` is none. */
static bool check_name(struct decoder *decoder, const struct node *map, size_t at)
{
    const struct node *node = map->items[at];
    if (text_equal_ignore_case(node->name, TEXT("preset")))
        return findings_add_key(decoder->findings, FINDING_ERROR, node,
                                "this key is not known; did you mean \"preset\"?");
    for (size_t i = 0; i < at; i++)
        if (text_equal_ignore_case(map->items[i]->name, node->name))
            return findings_add_key(decoder->findings, FINDING_ERROR, node,
                                    "this header stands here already, in line %u", map->items[i]->name_line);
    return true;
}

static bool has_nonces(const struct headers *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (header_value_is_policy(set->items[i].name) && content_policy_has_nonce(set->items[i].value))
            return true;
    return false;
}

bool secure_headers_decode(struct decoder *decoder, const struct node *node, void *member)
{
    struct secure_headers *headers = member;
    bool good = true;
    if (node->kind == NODE_SCALAR)
        return apply_preset(decoder, node, node->text, headers);
    if (node->kind != NODE_MAP)
        return findings_add(
            decoder->findings, FINDING_ERROR, node,
            "this does not fit, expected api, helmet, fastapi, nginx, off, or a map of headers");
    if (node->count > HEADERS_LIMIT)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected at most %d headers",
                            (int)HEADERS_LIMIT);
    const struct node *preset = node_get(node, "preset");
    if (!apply_preset(decoder, preset ? preset : node, preset ? preset->text : TEXT("api"), headers))
        good = false;
    for (size_t i = 0; i < node->count; i++)
        if (!text_equal(node->items[i]->name, TEXT("preset")) &&
            !(check_name(decoder, node, i) && apply_header(decoder, node->items[i], headers)))
            good = false;
    headers->nonces = good && has_nonces(&headers->set);
    return good;
}

/* Reporting API, 3.2; Report-To is what it was called before. */
static bool has_endpoints(const struct headers *set)
{
    return headers_get(set, "reporting-endpoints") || headers_get(set, "report-to");
}

static bool reports_to(const struct headers *set, struct text name)
{
    static const char word[] = "report-to";
    for (size_t i = 0; i < set->count; i++)
        if (text_equal_ignore_case(set->items[i].name, name))
            return memmem(set->items[i].value.at, set->items[i].value.length, word, sizeof word - 1) != NULL;
    return false;
}

void secure_headers_advise(struct findings *findings, const struct node *node,
                           const struct secure_headers *headers)
{
    for (size_t i = 0; node->kind == NODE_MAP && i < node->count; i++) {
        const struct node *item = node->items[i];
        if (is_off(item) || text_equal(item->name, TEXT("preset")))
            continue;
        header_name_advise(findings, item);
        header_value_advise(findings, item, headers->policy);
        if (!has_endpoints(&headers->set) && reports_to(&headers->set, item->name))
            findings_add(findings, FINDING_ADVICE, item,
                         "where this reports to is in no Reporting-Endpoints, unless the handler sends one");
    }
}
