/*
 * csrf: whether a browser was made to send a request by a page of another origin
 * (cross-site request forgery). Browsers say so in Sec-Fetch-Site, and before they
 * did in Origin or Referer; no page can write these. What a request does is not
 * known here: GET, HEAD and OPTIONS are taken for safe (RFC 9110, 9.2.1).
 */
#include "config.h"

#include "guard/csrf.h"
#include "guard/guard.h"
#include "identity/caller.h"

enum csrf_policy { CSRF_AUTO, CSRF_ON, CSRF_OFF };

struct origins {
    struct origin_pattern *items;
    size_t count;
};

struct csrf_rules {
    int policy;
    struct origins origins;
    const struct cors_origins *scripts; /* whose scripts may send credentials; NULL: nobody's */
    bool same_site, strict;
};

static bool refuse_origin(struct decoder *decoder, const struct node *node, struct text text)
{
    struct text correct = origin_correct(text, decoder->arena);
    bool other = correct.length > 0 && !text_equal(correct, text) && !text_equal(text, TEXT("null"));
    if (!other)
        correct = (struct text){0};
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%.*s\" is not an origin as browsers send it, expected one such as "
                        "https://app.example.com or https://*.example.com%s%.*s%s",
                        TEXT_ARGUMENTS(text_cut(text, 100)), other ? "; did you mean \"" : "",
                        TEXT_ARGUMENTS(correct), other ? "\"?" : "");
}

static bool decode_origins(struct decoder *decoder, const struct node *node, void *member)
{
    struct origins *origins = member;
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    origins->items = arena_array(decoder->arena, texts.count, sizeof *origins->items);
    origins->count = texts.count;
    for (size_t i = 0; i < texts.count; i++)
        if (texts.items[i].length > 0 && !origin_pattern_parse(texts.items[i], &origins->items[i]))
            good = refuse_origin(decoder, node->kind == NODE_LIST ? node->items[i] : node, texts.items[i]);
    return good;
}

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, csrf_rules, policy, "policy"), .fallback = "auto", .choices = "auto|on|off",
     .help = "which requests are checked: of callers that browsers tell by themselves, all, or none"},
    {FIELD(FIELD_OWN, csrf_rules, origins, "origins"), .own = decode_origins, .expects = "a list of origins",
     .help = "other origins whose pages may send requests"},
    {FIELD(FIELD_BOOL, csrf_rules, same_site, "same_site"), .fallback = "false",
     .help = "let pages of the same site send requests, other hosts below its domain"},
    {FIELD(FIELD_BOOL, csrf_rules, strict, "strict"), .fallback = "false",
     .help = "refuse requests that do not say where they come from"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    static const char *const others[] = {"origins", "same_site", "strict"};
    const struct csrf_rules *rules = settings;
    bool good = true;
    for (size_t i = 0; rules->policy == CSRF_OFF && i < sizeof others / sizeof *others; i++) {
        const struct node *other = node_get(node, others[i]);
        if (other && other->parent == node)
            good = findings_add_key(decoder->findings, FINDING_ERROR, other,
                                    "this has no effect, as the `policy` is off");
    }
    return good;
}

static bool is_among(const struct origin_pattern *items, size_t count, struct text origin)
{
    for (size_t i = 0; i < count; i++)
        if (origin_fits(&items[i], origin))
            return true;
    return false;
}

static bool is_listed(const struct csrf_rules *rules, struct text origin)
{
    return is_among(rules->origins.items, rules->origins.count, origin) ||
           (rules->scripts && is_among(rules->scripts->items, rules->scripts->count, origin));
}

/* A web server behind one that ends TLS may not know of HTTPS, so a page that came by it is
 * no other origin; but one that came by HTTP is, for who came by HTTPS. */
static bool is_own(const struct request *request, struct text origin)
{
    struct request encrypted = *request;
    encrypted.secure = true;
    return origin_is_own(origin, request) || origin_is_own(origin, &encrypted);
}

/* Of a Referer only what an Origin would be. */
static struct text cut_path(struct text referer)
{
    size_t end = text_find(referer, ':');
    if (text_starts_with(text_from(referer, end), TEXT("://")))
        end += strlen("://");
    while (end < referer.length && !strchr("/?#", referer.at[end]))
        end++;
    return (struct text){referer.at, end};
}

static struct verdict refuse(const char *detail)
{
    return DENY(403, "csrf", "csrf_refused", detail);
}

/* What the browser itself makes of the page's origin and ours. */
static struct verdict judge_site(const struct csrf_rules *rules, struct text site, bool listed)
{
    bool same_site = text_equal(site, TEXT("same-site"));
    if (text_equal(site, TEXT("same-origin")) || text_equal(site, TEXT("none")))
        return PASS;
    if (!same_site && !text_equal(site, TEXT("cross-site")))
        return refuse("Sec-Fetch-Site has none of its values");
    if (listed || (same_site && rules->same_site))
        return PASS;
    return refuse(same_site ? "a page of another host of the same site sent it"
                            : "a page of another site sent it");
}

static bool is_safe(struct text method)
{
    return text_equal(method, TEXT("GET")) || text_equal(method, TEXT("HEAD")) ||
           text_equal(method, TEXT("OPTIONS"));
}

static struct verdict judge(const struct csrf_rules *rules, const struct request *request)
{
    const struct text *site = headers_get(&request->headers, "sec-fetch-site");
    const struct text *origin = headers_get(&request->headers, "origin");
    const struct text *referer = headers_get(&request->headers, "referer");
    if (site)
        return judge_site(rules, *site, origin && is_listed(rules, *origin));
    if (!origin && !referer)
        return rules->strict ? refuse("nothing says what page sent it") : PASS;
    struct text from = origin ? *origin : cut_path(*referer);
    if (is_own(request, from) || is_listed(rules, from))
        return PASS;
    return refuse(origin ? "Origin is that of another page" : "Referer is that of another page");
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct csrf_rules *rules = settings;
    bool asked = rules->policy == CSRF_ON ||
                 (rules->policy == CSRF_AUTO && exchange->caller && exchange->caller->ambient);
    return asked && !is_safe(exchange->request.method) ? judge(rules, &exchange->request) : PASS;
}

bool csrf_is_auto(const void *settings)
{
    const struct csrf_rules *rules = settings;
    return rules->policy == CSRF_AUTO;
}

bool csrf_is_off(const void *settings)
{
    const struct csrf_rules *rules = settings;
    return rules->policy == CSRF_OFF;
}

void *csrf_bind(const void *settings, const struct cors *cors, struct arena *arena)
{
    struct csrf_rules *rules = arena_alloc(arena, sizeof *rules);
    memcpy(rules, settings, sizeof *rules);
    rules->scripts = cors && cors->credentials ? &cors->origins : NULL;
    return rules;
}

const struct guard guard_csrf = {
    .name = "csrf",
    .help = "whether a page of another origin made a browser send a request",
    .stage = ON_HEAD,
    .section = {sizeof(struct csrf_rules), fields},
    .prepare = prepare,
    .check = check,
};
