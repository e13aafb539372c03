/*
 * Tests of versions of the API and of routes that end: a policy, a request as a web server tells it,
 * the verdict of all guards of its route, and what the reply says.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/clock.h"
#include "front/serve.h"
#include "policy/policy.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define LIST                                                                                                 \
    "  list:\n"                                                                                              \
    "    '0': {deprecated: 2019-01-01, sunset: 2020-01-31T12:00:00Z, successor: '2'}\n"                      \
    "    '1': {deprecated: 2026-01-01, sunset: 2199-01-01, successor: '2', link: "                           \
    "'https://d.example/x?a=b'}\n"                                                                           \
    "    '2': {}\n"                                                                                          \
    "    '3': {deprecated: 2198-01-01, successor: 'https://api3.example/'}\n"

#define ROUTES                                                                                               \
    "defaults: {auth: none, exec: /bin/true, headers: off, errors: {html: false}}\n"                         \
    "routes:\n"                                                                                              \
    "  - {path: '/all/{id}'}\n"                                                                              \
    "  - {path: /split, version: '1', methods: [GET, DELETE]}\n"                                             \
    "  - {path: /split, version: ['2', '3'], methods: [GET, PUT]}\n"                                         \
    "  - {path: /split, version: '3', methods: [DELETE], mode: report}\n"                                    \
    "  - {path: /old, version: '0'}\n"                                                                       \
    "  - {path: /none, version: none}\n"                                                                     \
    "  - {path: /own, retire: {deprecated: 2026-01-01, successor: /all/1}}\n"                                \
    "  - {path: /ended, retire: {sunset: 2020-01-01, link: 'https://d.example/'}}\n"                         \
    "  - {path: /longer, version: '0', retire: {sunset: 2199-01-01}}\n"                                      \
    "  - {path: /report, version: {mode: report}}\n"                                                         \
    "  - {path: /nearly, retire: {sunset: 2020-01-01, mode: report}}\n"

static struct arena *arena;
static struct policy *policy;
static struct exchange exchange;

static void load(const char *way, const char *routes)
{
    struct error error = {0};
    policy_free(policy);
    policy = policy_parse(text_of(arena_printf(arena, "versions:\n%s%s%s", way, LIST, routes)), "/p.yaml",
                          false, &error);
    findings_print(&policy->findings, FINDING_ERROR, stderr);
    ck_assert_uint_eq(policy->findings.errors, 0);
}

static void set_up(void)
{
    arena = arena_new();
    policy = NULL;
}

static void tear_down(void)
{
    policy_free(policy);
    policy = NULL;
    arena_free(exchange.arena);
    exchange = (struct exchange){0};
    arena_free(arena);
}

static ssize_t receive(struct channel *channel, void *to, size_t size)
{
    (void)channel;
    (void)to;
    (void)size;
    return 0;
}

/* `name` NULL: no such header. */
static void ask(const char *method, const char *target, const char *name, const char *value)
{
    static struct channel channel = {.receive = receive, .body_length = 0};
    struct param items[] = {{TEXT("REQUEST_METHOD"), text_of(method)},
                            {TEXT("REQUEST_URI"), text_of(target)},
                            {text_of(name), text_of(value)}};
    struct params params = {items, name ? 3 : 2};
    arena_free(exchange.arena);
    exchange = (struct exchange){.arena = arena_new(), .channel = &channel};
    serve_judge(policy, &exchange, &params);
    serve_preview(policy, &exchange);
}

static void expect(int status, const char *code, const char *version, const char *about)
{
    struct verdict verdict = exchange.verdict;
    ck_assert_msg((verdict.kind == VERDICT_PASS) == (code == NULL), "%s: %s", about,
                  verdict.code ? verdict.code : "passes");
    if (code)
        ck_assert_msg(verdict.status == status && strcmp(verdict.code, code) == 0, "%s: %d %s", about,
                      verdict.status, verdict.code);
    const char *found = exchange.version ? exchange.version->name : NULL;
    ck_assert_msg((found == NULL) == (version == NULL) && (!found || strcmp(found, version) == 0), "%s: %s",
                  about, found ? found : "none");
}

static const char *header(const char *name)
{
    const struct text *value = headers_get(&exchange.reply.headers, name);
    return value ? arena_printf(arena, "%.*s", TEXT_ARGUMENTS(*value)) : "";
}

/* ---- dates */

static const struct {
    const char *text;
    int64_t seconds; /* 0: it is none */
} dates[] = {
    {"2026-01-01", 1767225600},
    {"2026-01-01T00:00:00Z", 1767225600},
    {"2023-06-30T23:59:59Z", 1688169599}, /* RFC 9745, 2.1 */
    {"2024-02-29", 1709164800},
    {"1970-01-02", 86400},
    {"9999-12-31T23:59:59Z", 253402300799},
    {"2023-02-29", 0},
    {"2026-13-01", 0},
    {"2026-00-01", 0},
    {"2026-01-32", 0},
    {"2026-1-1", 0},
    {"26-01-01", 0},
    {"2026-01-01T24:00:00Z", 0},
    {"2026-01-01T23:60:00Z", 0},
    {"2026-01-01T23:59:60Z", 0},
    {"2026-01-01T00:00:00", 0},
    {"2026-01-01T00:00:00+01:00", 0},
    {"2026-01-01 00:00:00Z", 0},
    {"2026-01-01T00:00:00.5Z", 0},
    {"2026-01-01 ", 0},
    {"1970-01-01", 0},
    {"1969-12-31", 0},
    {"", 0},
    {"true", 0},
};

START_TEST(dates_are_read)
{
    int64_t seconds = 0;
    bool good = clock_parse_utc(text_of(dates[_i].text), &seconds);
    ck_assert_msg(good == (dates[_i].seconds != 0), "%s", dates[_i].text);
    if (good)
        ck_assert_int_eq(seconds, dates[_i].seconds);
}
END_TEST

/* ---- by a header */

#define BY_HEADER "  header: Api-Version\n  default: '2'\n"
#define NAME      "HTTP_API_VERSION"

static const struct {
    const char *method, *path, *value; /* NULL: no header */
    int status;                        /* 0: it passes */
    const char *code, *version;
} header_cases[] = {
    {"GET", "/all/7", NULL, 0, NULL, "2"},
    {"GET", "/all/7", "1", 0, NULL, "1"},
    {"GET", "/all/7", " 1 ", 0, NULL, "1"},
    {"GET", "/all/7", "3", 0, NULL, "3"},
    {"GET", "/all/7", "0", 410, "version_gone", "0"},
    {"GET", "/all/7", "4", 406, "version_unknown", NULL},
    {"GET", "/all/7", "", 406, "version_unknown", NULL},
    {"GET", "/all/7", "v1", 406, "version_unknown", NULL},
    {"GET", "/all/7", "1, 2", 406, "version_unknown", NULL},
    {"GET", "/all/7", "01", 406, "version_unknown", NULL},
    {"GET", "/all/7", "none", 406, "version_unknown", NULL},
    {"GET", "/split", "1", 0, NULL, "1"},
    {"GET", "/split", "2", 0, NULL, "2"},
    {"GET", "/split", "3", 0, NULL, "3"},
    {"GET", "/split", NULL, 0, NULL, "2"},
    {"GET", "/split", "0", 410, "version_gone", "0"},
    {"GET", "/split", "9", 406, "version_unknown", NULL},
    {"PUT", "/split", "1", 405, "method_not_allowed", "1"},
    {"PUT", "/split", "3", 0, NULL, "3"},
    {"DELETE", "/split", "2", 405, "method_not_allowed", "2"},
    {"DELETE", "/split", "1", 0, NULL, "1"},
    {"DELETE", "/split", "3", 0, NULL, "3"},
    {"GET", "/old", "0", 410, "version_gone", "0"},
    {"GET", "/old", NULL, 404, "route_not_found", "2"},
    {"GET", "/none", "9", 0, NULL, NULL},
    {"GET", "/none", "0", 0, NULL, NULL},
    {"GET", "/own", "1", 0, NULL, "1"},
    {"GET", "/ended", NULL, 410, "gone", "2"},
    {"GET", "/ended", "9", 406, "version_unknown", NULL},
    {"GET", "/longer", "0", 0, NULL, "0"},
    {"GET", "/report", "9", 0, NULL, NULL},
    {"GET", "/report", "0", 0, NULL, "0"},
    {"GET", "/nearly", NULL, 0, NULL, "2"},
    {"GET", "/missing", "1", 404, "route_not_found", "1"},
};

START_TEST(header_names_the_version)
{
    char about[128];
    load(BY_HEADER, ROUTES);
    ask(header_cases[_i].method, header_cases[_i].path, header_cases[_i].value ? NAME : NULL,
        header_cases[_i].value);
    snprintf(about, sizeof about, "%s %s %s", header_cases[_i].method, header_cases[_i].path,
             header_cases[_i].value ? header_cases[_i].value : "without");
    expect(header_cases[_i].status, header_cases[_i].code, header_cases[_i].version, about);
}
END_TEST

START_TEST(version_has_its_routes)
{
    load(BY_HEADER, ROUTES);
    ask("GET", "/split", NAME, "1");
    ck_assert_ptr_eq(exchange.route, &policy->routes[1]);
    ask("GET", "/split", NAME, "3");
    ck_assert_ptr_eq(exchange.route, &policy->routes[2]);
    ask("HEAD", "/split", NULL, NULL);
    ck_assert_ptr_eq(exchange.route, &policy->routes[2]);
    ask("PUT", "/split", NAME, "1");
    ck_assert_str_eq(header("allow"), "GET, HEAD, DELETE");
    ask("POST", "/split", NAME, "2");
    ck_assert_str_eq(header("allow"), "GET, HEAD, PUT");
    ck_assert_ptr_eq(exchange.route, &policy->routes[2]);
    ask("POST", "/split", NAME, "3"); /* refused by the one that enforces */
    ck_assert_str_eq(header("allow"), "GET, HEAD, PUT, DELETE");
    ck_assert_ptr_eq(exchange.route, &policy->routes[2]);
    ask("POST", "/split", NAME, "9"); /* none twice */
    ck_assert_str_eq(header("allow"), "GET, HEAD, DELETE, PUT");
}
END_TEST

/* Of the routes of one version, too, whatever their order. */
START_TEST(enforcing_route_refuses_methods)
{
    load("  header: API-Version\n", "defaults: {auth: none, exec: /bin/true, headers: off}\n"
                                    "routes:\n"
                                    "  - {path: /a, version: '1', methods: [GET], mode: report}\n"
                                    "  - {path: /a, version: '2', methods: [GET]}\n"
                                    "  - {path: /a, version: '1', methods: [PUT]}\n");
    ask("POST", "/a", NAME, "1");
    ck_assert_ptr_eq(exchange.route, &policy->routes[2]);
    expect(405, "method_not_allowed", "1", "POST");
}
END_TEST

/* A browser cannot say a version before it may. */
START_TEST(preflight_has_no_version)
{
    static const char routes[] =
        "defaults: {auth: none, exec: /bin/true, headers: off, errors: {html: false}}\n"
        "cors: {web: {origins: ['https://a.example'], headers: [API-Version]}}\n"
        "routes:\n"
        "  - {path: /one, version: '1', methods: [PUT], cors: web}\n"
        "  - {path: /both, version: '1', methods: [PUT], cors: web}\n"
        "  - {path: /both, version: '2', methods: [PUT], cors: web}\n";
    static struct channel channel = {.receive = receive, .body_length = 0};
    static struct param items[] = {{TEXT("REQUEST_METHOD"), TEXT("OPTIONS")},
                                   {TEXT("HTTP_ORIGIN"), TEXT("https://a.example")},
                                   {TEXT("HTTP_ACCESS_CONTROL_REQUEST_METHOD"), TEXT("PUT")},
                                   {TEXT("HTTP_ACCESS_CONTROL_REQUEST_HEADERS"), TEXT("api-version")},
                                   {TEXT("REQUEST_URI"), TEXT("/one")}};
    for (int i = 0; i < 4; i++) {
        load(i % 2 ? "  header: API-Version\n" : BY_HEADER, routes);
        items[4].value = i < 2 ? TEXT("/one") : TEXT("/both");
        arena_free(exchange.arena);
        exchange = (struct exchange){.arena = arena_new(), .channel = &channel};
        serve_judge(policy, &exchange, &(struct params){items, 5});
        serve_preview(policy, &exchange);
        ck_assert_int_eq(exchange.reply.status, 204);
        ck_assert_str_eq(header("access-control-allow-headers"), "API-Version");
        ask("PUT", "/one", NAME, "1");
        expect(0, NULL, "1", "what it has asked about");
    }
}
END_TEST

/* What the web server asks about says which version it is for, and not the question. */
START_TEST(question_has_no_version)
{
    load("  header: API-Version\n", "defaults: {auth: none, headers: off}\n"
                                    "routes:\n"
                                    "  - {path: /ask, respond: authorize}\n"
                                    "  - {path: /own, respond: authorize, version: '2'}\n");
    ask("GET", "/ask", NAME, "9");
    expect(0, NULL, NULL, "an unknown version");
    ask("GET", "/ask", NAME, "0");
    expect(0, NULL, NULL, "one that has ended");
    ask("GET", "/ask", NULL, NULL);
    expect(0, NULL, NULL, "none");
    ask("GET", "/own", NAME, "9");
    expect(406, "version_unknown", NULL, "one that is asked for all the same");
}
END_TEST

START_TEST(default_may_be_missing)
{
    load("  header: API-Version\n", ROUTES);
    ask("GET", "/all/7", NULL, NULL);
    expect(400, "version_missing", NULL, "no version");
    ck_assert_str_eq(header("vary"), "API-Version");
    ask("GET", "/none", NULL, NULL);
    expect(0, NULL, NULL, "no version, and none is needed");
    ask("GET", "/all/7", NAME, "2");
    expect(0, NULL, "2", "a version");
}
END_TEST

/* ---- what replies say */

START_TEST(reply_tells_of_the_end)
{
    load(BY_HEADER, ROUTES);
    ask("GET", "/all/7", NAME, "1");
    ck_assert_str_eq(header("deprecation"), "@1767225600");
    ck_assert_str_eq(header("sunset"), "Tue, 01 Jan 2199 00:00:00 GMT");
    ck_assert_str_eq(header("link"), "<https://d.example/x?a=b>; rel=\"deprecation\", "
                                     "<https://d.example/x?a=b>; rel=\"sunset\", "
                                     "<>; rel=\"successor-version\"; api-version=\"2\"");
    ck_assert_str_eq(header("vary"), "Api-Version");
    ask("PUT", "/split", NAME, "1"); /* a refusal */
    ck_assert_str_eq(header("deprecation"), "@1767225600");
    ask("GET", "/all/7", NAME, "0");
    ck_assert_int_eq(exchange.reply.status, 410);
    ck_assert_str_eq(header("sunset"), "Fri, 31 Jan 2020 12:00:00 GMT");
    ck_assert_str_eq(header("link"), "<>; rel=\"successor-version\"; api-version=\"2\"");
    ask("GET", "/all/7", NAME, "3");
    ck_assert_str_eq(header("deprecation"), "@7195046400");
    ck_assert_str_eq(header("sunset"), "");
    ck_assert_str_eq(header("link"), "<https://api3.example/>; rel=\"successor-version\"");
    ask("GET", "/all/7", NAME, "2");
    ck_assert_str_eq(header("deprecation"), "");
    ck_assert_str_eq(header("link"), "");
    ck_assert_str_eq(header("vary"), "Api-Version");
    ask("GET", "/none", NAME, "1");
    ck_assert_str_eq(header("deprecation"), "");
    ck_assert_str_eq(header("vary"), "");
    ask("GET", "/all/7", NAME, "9");
    ck_assert_str_eq(header("vary"), "Api-Version");
}
END_TEST

START_TEST(reply_tells_of_a_route)
{
    load(BY_HEADER, ROUTES);
    ask("GET", "/own", NAME, "1");
    ck_assert_str_eq(header("deprecation"), "@1767225600");
    ck_assert_str_eq(header("sunset"), "");
    ck_assert_str_eq(header("link"), "</all/1>; rel=\"successor-version\"");
    ask("GET", "/ended", NULL, NULL);
    ck_assert_str_eq(header("deprecation"), "");
    ck_assert_str_eq(header("sunset"), "Wed, 01 Jan 2020 00:00:00 GMT");
    ck_assert_str_eq(header("link"), "<https://d.example/>; rel=\"sunset\"");
    ask("GET", "/nearly", NULL, NULL);
    ck_assert_str_eq(header("sunset"), "Wed, 01 Jan 2020 00:00:00 GMT");
}
END_TEST

/* ---- by a path */

static const struct {
    const char *path;
    int status;
    const char *code, *version;
} path_cases[] = {
    {"/api/1/users", 0, NULL, "1"},
    {"/api/2/users", 0, NULL, "2"},
    {"/api//2/./users", 0, NULL, "2"},
    {"/api/0/users", 410, "version_gone", "0"},
    {"/api/0/removed", 410, "version_gone", "0"},
    {"/api/0", 410, "version_gone", "0"},
    {"/api/1/missing", 404, "route_not_found", "1"},
    {"/api/9/users", 404, "version_unknown", NULL},
    {"/api/users", 404, "version_unknown", NULL},
    {"/api/health", 0, NULL, NULL},
    {"/api", 404, "route_not_found", NULL},
    {"/api/", 404, "route_not_found", NULL},
    {"/apix/1/users", 404, "route_not_found", NULL},
    {"/api/3/any", 0, NULL, "3"},
    {"/api/0/any", 410, "version_gone", "0"},
    {"/api/8/any", 404, "version_unknown", NULL},
    {"/api/8/open", 0, NULL, NULL},
    {"/1/users", 404, "route_not_found", NULL},
};

static const char path_routes[] =
    "defaults: {auth: none, exec: /bin/true, headers: off, errors: {html: false}}\n"
    "routes:\n"
    "  - {path: /api/0/users}\n"
    "  - {path: /api/1/users}\n"
    "  - {path: /api/2/users}\n"
    "  - {path: /api/health}\n"
    "  - {path: '/api/{any}/any'}\n"
    "  - {path: '/api/{any}/open', version: none}\n";

START_TEST(path_names_the_version)
{
    load(_i % 2 ? "  path: /api\n" : "  path: /api/\n", path_routes);
    ask("GET", path_cases[_i].path, NULL, NULL);
    expect(path_cases[_i].status, path_cases[_i].code, path_cases[_i].version, path_cases[_i].path);
    ck_assert_str_eq(header("vary"), "");
}
END_TEST

START_TEST(path_has_a_successor)
{
    load("  path: /api\n", path_routes);
    ask("GET", "/api/0/removed", NULL, NULL);
    ck_assert_str_eq(header("sunset"), "Fri, 31 Jan 2020 12:00:00 GMT");
    ck_assert_str_eq(header("link"), "</api/2>; rel=\"successor-version\"");
    ask("GET", "/api/1/missing", NULL, NULL);
    ck_assert_str_eq(header("deprecation"), "@1767225600");
    ask("GET", "/api/health", NULL, NULL);
    ck_assert_str_eq(header("deprecation"), "");
}
END_TEST

START_TEST(path_may_be_the_root)
{
    load("  path: /\n", "defaults: {auth: none, exec: /bin/true}\nroutes:\n  - {path: /**}\n");
    ask("GET", "/1/x", NULL, NULL);
    expect(0, NULL, "1", "/1/x");
    ask("GET", "/9/x", NULL, NULL);
    expect(404, "version_unknown", NULL, "/9/x");
    ask("GET", "/", NULL, NULL);
    expect(0, NULL, NULL, "/");
}
END_TEST

/* However a route is written, who asks beneath the path asks for a version. */
static const struct {
    const char *path;
    int status;
    const char *code, *version;
} wide_cases[] = {
    {"/api/0/users", 410, "version_gone", "0"},
    {"/api/1/users", 0, NULL, "1"},
    {"/api/9/users", 404, "version_unknown", NULL},
    {"/api/1", 0, NULL, "1"},
    {"/api/0/open", 0, NULL, NULL},
    {"/api", 0, NULL, NULL},
    {"/api/", 0, NULL, NULL},
    {"/about/0/users", 0, NULL, NULL},
    {"/about", 0, NULL, NULL},
    {"/api/0/captured/7", 410, "version_gone", "0"},
    {"/web/0/captured/7", 0, NULL, NULL},
    {"/api/2/captured/7", 0, NULL, "2"},
};

START_TEST(path_may_be_in_wide_routes)
{
    load("  path: /api\n", "defaults: {auth: none, exec: /bin/true, headers: off, errors: {html: false}}\n"
                           "routes:\n"
                           "  - {path: /**}\n"
                           "  - {path: '/{area}/{any}/captured/{id}'}\n"
                           "  - {path: '/{area}/0/open', version: none}\n");
    ask("GET", wide_cases[_i].path, NULL, NULL);
    expect(wide_cases[_i].status, wide_cases[_i].code, wide_cases[_i].version, wide_cases[_i].path);
}
END_TEST

/* ---- preflights */

static void ask_before(const char *path, const char *version, bool authorizer)
{
    static struct channel channel = {.receive = receive, .body_length = 0};
    struct param items[] = {{TEXT("REQUEST_METHOD"), TEXT("OPTIONS")},
                            {TEXT("HTTP_ORIGIN"), TEXT("https://a.example")},
                            {TEXT("HTTP_ACCESS_CONTROL_REQUEST_METHOD"), TEXT("GET")},
                            {TEXT("REQUEST_URI"), text_of(path)},
                            {TEXT(NAME), text_of(version)}};
    arena_free(exchange.arena);
    exchange = (struct exchange){.arena = arena_new(), .channel = &channel, .authorizer = authorizer};
    serve_judge(policy, &exchange, &(struct params){items, *version ? 5 : 4});
    serve_preview(policy, &exchange);
}

/* Its path says it all the same. */
START_TEST(preflight_has_the_version_of_its_path)
{
    load("  path: /api\n", path_routes);
    ask_before("/api/0/removed", "", false);
    expect(410, "version_gone", "0", "a version that has ended");
    ask_before("/api/9/users", "", false);
    expect(404, "version_unknown", NULL, "no version");
}
END_TEST

/* What a web server asks about may look like one, and is served by it. */
START_TEST(preflight_is_none_where_a_web_server_asks)
{
    load("  header: API-Version\n", "defaults: {auth: none, exec: /bin/true, methods: [GET, OPTIONS]}\n"
                                    "routes: [{path: /a}]\n");
    ask_before("/a", "0", true);
    expect(410, "version_gone", "0", "a version that has ended");
    ask_before("/a", "1", true);
    expect(0, NULL, "1", "a version");
}
END_TEST

/* ---- the end */

START_TEST(end_comes_with_its_first_second)
{
    const struct lifetime ending = {.sunset = 1767225600}, endless = {.deprecated = 1};
    ck_assert(!lifetime_is_over(&ending, INT64_C(1767225599999)));
    ck_assert(lifetime_is_over(&ending, INT64_C(1767225600000)));
    ck_assert(!lifetime_is_over(&endless, INT64_MAX));
}
END_TEST

/* ---- by a media type */

#define V "application/vnd.example"

static const struct {
    const char *accept; /* NULL: none */
    int status;
    const char *version;
} accept_cases[] = {
    {NULL, 0, "2"},
    {"*/*", 0, "2"},
    {"application/*", 0, "2"},
    {"text/html", 0, "2"},
    {"", 0, "2"},
    {V "+json", 0, "2"},
    {V ".1+json", 0, "1"},
    {V ".v1+json", 0, "1"},
    {V ".V1+JSON", 0, "1"},
    {"APPLICATION/VND.EXAMPLE.V1+json", 0, "1"},
    {V "+json;version=1", 0, "1"},
    {V "+json ; Version=\"1\"", 0, "1"},
    {V "+json;version=v1;charset=utf-8", 0, "1"},
    {V ".v3+json;q=0.1, */*", 0, "3"},
    {V ".v1+json;q=0.5, " V ".v3+json;q=0.9", 0, "3"},
    {V ".v1+json, " V ".v3+json", 0, "1"},
    {V ".v1+json;q=0, " V ".v3+json;q=0.001", 0, "3"},
    {V ".v9+json, " V ".v3+json;q=0.2", 0, "3"},
    {V ".v9+json, */*;q=0.1", 0, "2"},
    {V ".v9+json, " V "+json", 0, "2"},
    {V ".v9+json, application/*", 0, "2"},
    {V ".v9+json, */*;q=0", 406, NULL},
    {V ".v9+json, text/html", 406, NULL},
    {V ".v9+json", 406, NULL},
    {V "+json;version=9", 406, NULL},
    {V "+json;version=vv1", 406, NULL},
    {V ".v0+json", 410, "0"},
    {V ".v9+json;q=0", 0, "2"},
    /* Of others. */
    {V "2.v1+json", 0, "2"},
    {V ".v1+xml", 0, "2"},
    {V ".v1", 0, "2"},
    {V "x+json;version=1", 0, "2"},
    {"text/vnd.example.v1+json", 0, "2"},
    {"text/html;x=\"," V ".v1+json\"", 0, "2"},
    {"text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", 0, "2"},
    {",,", 0, "2"},
    {"a;b;c", 0, "2"},
    /* Not in their form. */
    {V ".v1+json;q=2", 406, NULL},
    {V ".v1+json;q=1.001", 406, NULL},
    {V ".v1+json;q=0.1234", 406, NULL},
    {V ".v1+json;q=", 406, NULL},
    {V ".v1+json;q=0.5;q=0.6", 406, NULL},
    {V ".v1+json;version=1", 406, NULL},
    {V "+json;version=1;version=2", 406, NULL},
    {V "+json;version=", 406, NULL},
    {V "+json;version", 406, NULL},
    {V "+json;version=\"1", 406, NULL},
    {V "+json;=1", 406, NULL},
    {V "..+json", 406, NULL},
};

START_TEST(accept_names_the_version)
{
    load("  media_type: " V "+json\n  default: '2'\n", ROUTES);
    ask("GET", "/all/7", accept_cases[_i].accept ? "HTTP_ACCEPT" : NULL, accept_cases[_i].accept);
    int status = accept_cases[_i].status;
    expect(status,
           status == 406 ? "version_unknown"
           : status      ? "version_gone"
                         : NULL,
           accept_cases[_i].version, accept_cases[_i].accept ? accept_cases[_i].accept : "none");
    ck_assert_str_eq(header("vary"), "Accept");
}
END_TEST

START_TEST(media_type_may_be_plain)
{
    load("  media_type: application/json\n", ROUTES);
    ask("GET", "/all/7", "HTTP_ACCEPT", "application/json; version=1");
    expect(0, NULL, "1", "version=1");
    ck_assert_str_eq(header("link"), "<https://d.example/x?a=b>; rel=\"deprecation\", "
                                     "<https://d.example/x?a=b>; rel=\"sunset\", "
                                     "<>; rel=\"successor-version\"; type=\"application/json;version=2\"");
    ask("GET", "/all/7", "HTTP_ACCEPT", "application/json");
    expect(400, "version_missing", NULL, "no version");
    ask("GET", "/all/7", "HTTP_ACCEPT", "application/json;version=9, */*");
    expect(400, "version_missing", NULL, "no version that is known");
}
END_TEST

/* ---- policies */

#define ROUTE   "routes: [{path: /a, auth: none, exec: /bin/true}]\n"
#define R(keys) "routes: [{path: /a, auth: none, exec: /bin/true, " keys "}]\n"

static const struct {
    const char *text, *finding;
} bad[] = {
    {"versions: {header: V, path: /a, list: {a: {}}}\n" ROUTE, "1:11: versions: expected exactly one of"},
    {"versions: {list: {a: {}}}\n" ROUTE, "expected exactly one of"},
    {"versions: {header: V}\n" ROUTE, "versions: the key `list` is missing"},
    {"versions: {header: V, list: {}}\n" ROUTE, "versions.list: expected a map of 1 to 32 versions"},
    {"versions: {header: V, list: [a]}\n" ROUTE, "versions.list: expected a map of 1 to 32 versions"},
    {"versions: {header: V, list: {a: }}\n" ROUTE, "versions.list.a"},
    {"versions: {header: V, list: {none: {}}}\n" ROUTE, "versions.list.none: expected a name"},
    {"versions: {header: V, list: {'a b': {}}}\n" ROUTE, "expected a name"},
    {"versions: {header: V, list: {a: {sunst: 2026-01-01}}}\n" ROUTE, "did you mean \"sunset\"?"},
    {"versions: {header: V, list: {a: {sunset: 2026-02-30}}}\n" ROUTE,
     "versions.list.a.sunset: \"2026-02-30\" is not a date"},
    {"versions: {header: V, list: {a: {deprecated: true}}}\n" ROUTE, "\"true\" is not a date"},
    {"versions: {header: V, list: {a: {deprecated: 2026-02-02, sunset: 2026-02-01}}}\n" ROUTE,
     "versions.list.a.sunset: this is before `deprecated`"},
    {"versions: {header: V, list: {a: {successor: b}}}\n" ROUTE,
     "versions.list.a.successor: this is neither"},
    {"versions: {header: V, list: {a: {successor: a}}}\n" ROUTE, "successor: this is the version itself"},
    {"versions: {header: V, list: {a: {successor: '//evil.example/'}}}\n" ROUTE,
     "successor: this is neither"},
    {"versions: {header: V, list: {a: {link: 'https://a.example/>; rel=x'}}}\n" ROUTE,
     "link: this is not a link"},
    {"versions: {header: V, list: {a: {link: docs}}}\n" ROUTE, "link: this is not a link"},
    {"versions: {header: V, default: b, list: {a: {}}}\n" ROUTE, "versions.default: this is no version"},
    {"versions: {path: /api, default: a, list: {a: {}}}\n" ROUTE, "versions.default: a path names"},
    {"versions: {path: api, list: {a: {}}}\n" ROUTE, "versions.path: this does not fit"},
    {"versions: {path: '/api/{v}', list: {a: {}}}\n" ROUTE, "versions.path: this does not fit"},
    {"versions: {header: 'A B', list: {a: {}}}\n" ROUTE, "versions.header: this does not fit"},
    {"versions: {header: API_Version, list: {a: {}}}\n" ROUTE, "versions.header: this does not fit"},
    {"versions: {header: X-Forwarded-Version, list: {a: {}}}\n" ROUTE,
     "expected a header that is not dropped"},
    {"request: {drop: [api-version]}\nversions: {header: API-Version, list: {a: {}}}\n" ROUTE,
     "versions.header: this does not fit, expected a header that is not dropped"},
    {"versions: {header: Content-Type, list: {a: {}}}\n" ROUTE, "expected a header that is not dropped"},
    {"request: {drop: [Accept]}\nversions: {media_type: a/b, list: {a: {}}}\n" ROUTE,
     "versions.media_type: this does not fit, expected none, as `request.drop` has Accept"},
    {"versions: {path: '/a>', list: {a: {}}}\n" ROUTE, "versions.path: this does not fit"},
    {"versions: {path: '/\xc3\xa4', list: {a: {}}}\n" ROUTE, "versions.path: this does not fit"},
    {"versions: {media_type: json, list: {a: {}}}\n" ROUTE, "versions.media_type: this does not fit"},
    {"versions: {media_type: application/*, list: {a: {}}}\n" ROUTE,
     "versions.media_type: this does not fit"},
    {"versions: {media_type: 'a/b; c=d', list: {a: {}}}\n" ROUTE, "versions.media_type: this does not fit"},
    {R("version: a"), "version: there are no `versions` at the top"},
    {"versions: {header: V, list: {one: {}}}\n" R("version: oen"), "did you mean \"one\"?"},
    {"versions: {header: V, list: {one: {}}}\n" R("version: []"), "version: expected none, or versions"},
    {"versions: {header: V, list: {one: {}}}\n" R("version: [one, none]"), "\"none\" is no version"},
    {"versions: {path: /, list: {one: {}}}\n" R("version: one"), "the path of the route says its version"},
    {R("retire: {}"), "retire: there is no date"},
    {R("retire: soon"), "\"soon\" is not a date"},
    {R("retire: {sunset: 2026-01-01, successor: b}"), "retire.successor: this is not a link"},
    {R("retire: {deprecated: 2026-01-02, sunset: 2026-01-01}"), "retire.sunset: this is before `deprecated`"},
    {"versions: {header: V, list: {a: {}, b: {}}}\ndefaults: {auth: none, exec: /bin/true}\n"
     "routes: [{path: /a, version: a}, {path: /a, version: [b, a]}]\n",
     "GET of this path is in line 3 already"},
    {"versions: {header: V, list: {a: {}, b: {}}}\ndefaults: {auth: none, exec: /bin/true}\n"
     "routes: [{path: /a, version: a}, {path: /a}]\n",
     "GET of this path is in line 3 already"},
    {"versions: {header: V, list: {a: {}, b: {}}}\ndefaults: {auth: none, exec: /bin/true}\n"
     "routes: [{path: /a, version: none}, {path: /a, version: b}]\n",
     "GET of this path is in line 3 already"},
};

#define TWINS(first, second)                                                                                 \
    "versions: {header: V, list: {a: {}, b: {}}}\ncors: {web: {origins: 'https://a.example'}}\n"             \
    "defaults: {auth: none, exec: /bin/true, cors: {origins: 'https://b.example'}}\n"                        \
    "routes: [{path: /a, version: a" first "}, {path: /a, version: b" second "}]\n"

/* A preflight is for all versions of a path. */
static const struct {
    const char *text;
    bool good;
} twins[] = {
    {TWINS("", ""), true},
    {TWINS(", cors: web", ", cors: web"), true},
    {TWINS(", cors: off", ", cors: off"), true},
    {TWINS(", cors: web, methods: [PUT]", ", cors: off, methods: [GET]"), true},
    {TWINS("", ", cors: web"), false},
    {TWINS(", cors: off", ", cors: web"), false},
    {TWINS(", cors: web", ", cors: off"), false},
    {TWINS(", cors: web, methods: [GET, PUT]", ", cors: off, methods: [PUT]"), false},
};

static char *told(const char *text, enum finding_kind kind, size_t *errors)
{
    struct error error = {0};
    char *findings = NULL;
    size_t size;
    struct policy *loaded = policy_parse(text_of(text), "/p.yaml", false, &error);
    FILE *stream = open_memstream(&findings, &size);
    findings_print(&loaded->findings, kind, stream);
    fclose(stream);
    *errors = loaded->findings.errors;
    policy_free(loaded);
    return findings;
}

START_TEST(bad_policies_are_refused)
{
    size_t errors;
    char *findings = told(bad[_i].text, FINDING_ERROR, &errors);
    ck_assert_msg(errors > 0, "taken: %s", bad[_i].text);
    ck_assert_msg(strstr(findings, bad[_i].finding) != NULL, "%s: said %s", bad[_i].text, findings);
    free(findings);
}
END_TEST

START_TEST(versions_answer_preflights_alike)
{
    size_t errors;
    char *findings = told(twins[_i].text, FINDING_ERROR, &errors);
    ck_assert_msg((errors == 0) == twins[_i].good, "%s: said %s", twins[_i].text, findings);
    ck_assert_msg(twins[_i].good ||
                      strstr(findings, "the route of another version in line 4 has not the same"),
                  "said %s", findings);
    free(findings);
}
END_TEST

START_TEST(ends_that_have_passed_are_told)
{
    size_t errors;
    char *findings = told(
        "versions: {header: V, default: a, list: {a: {sunset: 2020-01-01}, b: {sunset: 2199-01-01}}}\n" R(
            "retire: {sunset: 2020-01-01}"),
        FINDING_ADVICE, &errors);
    ck_assert_uint_eq(errors, 0);
    ck_assert_msg(strstr(findings, "versions.list.a.sunset: this has passed") != NULL, "%s", findings);
    ck_assert_msg(strstr(findings, "versions.default: this has ended") != NULL, "%s", findings);
    ck_assert_msg(strstr(findings, "retire.sunset: this has passed") != NULL, "%s", findings);
    ck_assert_ptr_null(strstr(findings, "list.b"));
    free(findings);
}
END_TEST

/* A version that is called otherwise in the paths never ends. */
static const struct {
    const char *text, *advice;
} unserved[] = {
    {"versions: {path: /a, list: {'1': {}}}\nroutes: [{path: /a/v1/**, auth: none, exec: /bin/true}]\n",
     "versions.list.1: no route serves it"},
    {"versions: {path: /a, list: {v1: {}}}\nroutes: [{path: /a/v1/**, auth: none, exec: /bin/true}]\n", NULL},
    {"versions: {path: /a, list: {v1: {}}}\nroutes: [{path: '/a/{any}', auth: none, exec: /bin/true}]\n",
     NULL},
    {"versions: {path: /a, list: {v1: {}, v2: {}}}\nroutes: [{path: /a/v1/x, auth: none, exec: /bin/true}]\n",
     "versions.list.v2: no route serves it"},
    {"versions: {path: /a, list: {v1: {}, v2: {sunset: 2020-01-01}}}\n"
     "routes: [{path: /a/v1/x, auth: none, exec: /bin/true}]\n",
     NULL},
    {"versions: {header: V, list: {a: {}, b: {}}}\n" R("version: a"), "versions.list.b: no route serves it"},
    {"versions: {header: V, list: {a: {}, b: {}}}\n" ROUTE, NULL},
    {"versions: {header: V, list: {a: {}}}\n" R("version: none"), "versions.list.a: no route serves it"},
};

START_TEST(versions_without_routes_are_told)
{
    size_t errors;
    char *findings = told(unserved[_i].text, FINDING_ADVICE, &errors);
    const char *advice = unserved[_i].advice ? unserved[_i].advice : "no route serves";
    ck_assert_uint_eq(errors, 0);
    ck_assert_msg((strstr(findings, advice) != NULL) == (unserved[_i].advice != NULL), "%s: said %s",
                  unserved[_i].text, findings);
    free(findings);
}
END_TEST

static TCase *new_cases(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    suite_add_tcase(suite, tests);
    return tests;
}

int main(void)
{
    Suite *suite = suite_create("version");
    TCase *tests = new_cases(suite, "versions");
    tcase_add_loop_test(tests, dates_are_read, 0, COUNT(dates));
    tcase_add_loop_test(tests, header_names_the_version, 0, COUNT(header_cases));
    tcase_add_test(tests, version_has_its_routes);
    tcase_add_test(tests, enforcing_route_refuses_methods);
    tcase_add_test(tests, preflight_has_no_version);
    tcase_add_test(tests, question_has_no_version);
    tcase_add_test(tests, default_may_be_missing);
    tcase_add_test(tests, reply_tells_of_the_end);
    tcase_add_test(tests, reply_tells_of_a_route);
    tcase_add_loop_test(tests, path_names_the_version, 0, COUNT(path_cases));
    tcase_add_test(tests, path_has_a_successor);
    tcase_add_test(tests, path_may_be_the_root);
    tcase_add_test(tests, preflight_has_the_version_of_its_path);
    tcase_add_test(tests, preflight_is_none_where_a_web_server_asks);
    tcase_add_test(tests, end_comes_with_its_first_second);
    tcase_add_loop_test(tests, path_may_be_in_wide_routes, 0, COUNT(wide_cases));
    tcase_add_loop_test(tests, accept_names_the_version, 0, COUNT(accept_cases));
    tcase_add_test(tests, media_type_may_be_plain);
    tests = new_cases(suite, "policies");
    tcase_add_loop_test(tests, bad_policies_are_refused, 0, COUNT(bad));
    tcase_add_loop_test(tests, versions_answer_preflights_alike, 0, COUNT(twins));
    tcase_add_test(tests, ends_that_have_passed_are_told);
    tcase_add_loop_test(tests, versions_without_routes_are_told, 0, COUNT(unserved));
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
