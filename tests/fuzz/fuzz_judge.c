/*
 * Fuzz target: what is said of a request by its host, the way it took, the page it came from and its
 * version. The bytes are, line by line, the values below. A redirect leads to a host that is allowed,
 * what a page of another site sent is refused, and nothing of a client is in a reply but the target of
 * a redirect.
 */
#include "config.h"

#include <stdlib.h>

#include "base/arena.h"
#include "front/serve.h"
#include "http/host.h"
#include "policy/policy.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const lines[] = {
    "REQUEST_METHOD", "REQUEST_URI",         "HTTP_HOST",   "HTTP_FORWARDED", "HTTP_X_FORWARDED_PROTO",
    "HTTPS",          "HTTP_SEC_FETCH_SITE", "HTTP_ORIGIN", "HTTP_REFERER",   "HTTP_API_VERSION",
    "HTTP_ACCEPT",    "HTTP_AUTHORIZATION",  "HTTP_COOKIE", "SERVER_PORT",    "HTTP_X_FORWARDED_FOR",
};
enum { LINES = sizeof lines / sizeof *lines };

#define LIST                                                                                                 \
    "list: {'1': {deprecated: 2020-01-01, sunset: 2020-02-01, successor: '2', link: 'https://d.example/'}, " \
    "'2': {}, '3': {deprecated: 2020-01-01, successor: 'https://n.example/'}}}\n"
#define ROUTES                                                                                               \
    "defaults: {auth: none, exec: /bin/true, methods: [GET, POST, OPTIONS], errors: {html: false}}\n"        \
    "proxies: [127.0.0.1, '::1']\n"                                                                          \
    "routes:\n"                                                                                              \
    "  - {path: /**, hosts: [a.example, '*.b.example', 192.0.2.1, '[2001:db8::1]', 'c.example:81'],\n"       \
    "     https: redirect}\n"                                                                                \
    "  - {path: /own/**, csrf: {policy: on, origins: ['https://a.example', 'x-y://z']}}\n"                   \
    "  - {path: /strict/**, csrf: {policy: on, strict: true, same_site: true}}\n"

static const char *const texts[] = {
    ROUTES,
    "versions: {header: API-Version, default: '2', " LIST ROUTES,
    "versions: {media_type: application/vnd.v+json, " LIST ROUTES,
    "versions: {path: /own, " LIST ROUTES,
};
enum { POLICIES = sizeof texts / sizeof *texts };

static struct policy *policies[POLICIES];

static ssize_t receive(struct channel *channel, void *to, size_t size)
{
    (void)channel;
    (void)to;
    (void)size;
    return 0;
}

static bool is_allowed(struct text name)
{
    return text_equal(name, TEXT("a.example")) || text_ends_with(name, TEXT(".b.example")) ||
           text_equal(name, TEXT("192.0.2.1")) || text_equal(name, TEXT("[2001:db8::1]")) ||
           text_equal(name, TEXT("c.example"));
}

static void check_redirect(const struct exchange *exchange)
{
    const struct text *location = headers_get(&exchange->reply.headers, "location");
    MUST((location != NULL) == (exchange->reply.status == 308));
    if (!location)
        return;
    struct text rest = text_from(*location, strlen("https://"));
    MUST(text_starts_with(*location, TEXT("https://")) && !exchange->request.secure);
    MUST(is_allowed((struct text){rest.at, text_find(rest, '/')}));
    MUST(!headers_get(&exchange->request.headers, "authorization"));
    for (size_t i = 0; i < location->length; i++)
        MUST(location->at[i] > 0x20 && location->at[i] < 0x7f);
}

/* What is set by the policy alone. */
static void check_headers(const struct exchange *exchange)
{
    static const char *const links[] = {
        "<https://d.example/>; rel=\"deprecation\", <https://d.example/>; rel=\"sunset\", ",
        "<https://n.example/>; rel=\"successor-version\""};
    const struct headers *headers = &exchange->reply.headers;
    for (size_t i = 0; i < headers->count; i++) {
        struct text name = headers->items[i].name, value = headers->items[i].value;
        MUST(header_value_is_safe(value));
        MUST(!text_equal_ignore_case(name, TEXT("link")) || text_starts_with(value, text_of(links[0])) ||
             text_equal(value, text_of(links[1])));
        MUST(!text_equal_ignore_case(name, TEXT("deprecation")) || text_equal(value, TEXT("@1577836800")));
        MUST(!text_equal_ignore_case(name, TEXT("vary")) || text_equal(value, TEXT("API-Version")) ||
             text_equal(value, TEXT("Accept")));
    }
}

static void check_origin(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    const struct text *site = headers_get(&request->headers, "sec-fetch-site");
    const struct text *origin = headers_get(&request->headers, "origin");
    if (exchange->verdict.kind != VERDICT_PASS || !text_equal(request->method, TEXT("POST")) ||
        text_equal(text_of(exchange->route_path), TEXT("/**")))
        return;
    bool strict = text_equal(text_of(exchange->route_path), TEXT("/strict/**"));
    bool ours = site && (text_equal(*site, TEXT("same-origin")) || text_equal(*site, TEXT("none")));
    MUST(!site || ours || text_equal(*site, TEXT("same-site")) || text_equal(*site, TEXT("cross-site")));
    MUST(!site || ours || (strict ? text_equal(*site, TEXT("same-site")) : origin != NULL));
    MUST(!origin || site || text_find(*origin, ':') < origin->length);
    MUST(!strict || site || origin || headers_get(&request->headers, "referer"));
}

static void check_version(const struct policy *policy, const struct exchange *exchange)
{
    const struct version *version = exchange->version;
    const struct text *sent = headers_get(&exchange->request.headers, "api-version");
    MUST(!version || policy->versions.count > 0);
    if (exchange->verdict.kind == VERDICT_PASS && exchange->route->versions)
        MUST(version ? !lifetime_is_over(&version->lifetime, exchange_time(exchange))
                     : exchange->version_found == VERSION_NOT_ASKED);
    if (version && policy->versions.header)
        MUST(sent ? text_equal(text_trim(*sent), text_of(version->name))
                  : version == policy->versions.fallback);
}

static void judge(const struct policy *policy, struct text content)
{
    static struct channel channel = {.receive = receive, .body_length = 0};
    struct exchange exchange = {.arena = arena_new(), .channel = &channel};
    struct param items[LINES + 1] = {{TEXT("REMOTE_ADDR"), TEXT("127.0.0.1")}};
    struct params params = {items, 1};
    struct text line;
    for (size_t i = 0; i < LINES && text_next(&content, '\n', &line); i++)
        if (line.length > 0)
            items[params.count++] = (struct param){text_of(lines[i]), line};
    serve_judge(policy, &exchange, &params);
    serve_preview(policy, &exchange);
    check_redirect(&exchange);
    check_headers(&exchange);
    if (exchange.route) {
        check_origin(&exchange);
        check_version(policy, &exchange);
    }
    arena_free(exchange.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    for (size_t i = 0; i < POLICIES; i++) {
        if (!policies[i])
            policies[i] = policy_parse(text_of(texts[i]), "/p.yaml", false, &error);
        MUST(policies[i] && policies[i]->findings.errors == 0);
        judge(policies[i], (struct text){(const char *)data, size});
    }
    return 0;
}
