/*
 * Tests of the guard csrf: a policy, a request as a web server tells it, and the verdict of all
 * guards of its route; beside the rules of Go's net/http.CrossOriginProtection.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "front/serve.h"
#include "identity/api_key.h"
#include "policy/policy.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;
static struct policy *policy;
static struct exchange exchange;
static char key[API_KEY_SIZE];

static const char head[] =
    "auth:\n"
    "  web: {api_key: {cookie: session, keys: [{id: %s, digest: '%s', owner: ann}]}}\n"
    "  api: {api_key: {header: X-API-Key, keys: [{id: %s, digest: '%s', owner: ann}]}}\n"
    "  basic: {api_key: {basic: true, keys: [{id: %s, digest: '%s', owner: ann}]}}\n"
    "defaults: {exec: /bin/true, methods: [GET, POST, PUT, OPTIONS]}\n"
    "routes:\n"
    "  - {path: /own, auth: none, csrf: on}\n"
    "  - {path: /listed, auth: none, csrf: {policy: on, origins: ['https://app.example.com',\n"
    "     'http://localhost:3000', 'capacitor://localhost', 'https://[2001:db8::1]:8443']}}\n"
    "  - {path: /wide, auth: none, csrf: {policy: on, origins: ['https://*.example.org']}}\n"
    "  - {path: /cors, auth: none, csrf: on, cors: {origins: ['https://spa.example'], credentials: "
    "true}}\n"
    "  - {path: /scripts, auth: none, csrf: on, cors: {origins: ['https://spa.example']}}\n"
    "  - {path: /site, auth: none, csrf: {policy: on, same_site: true}}\n"
    "  - {path: /strict, auth: none, csrf: {policy: on, strict: true}}\n"
    "  - {path: /web, auth: web}\n"
    "  - {path: /both, auth: [api, web]}\n"
    "  - {path: /optional, auth: {methods: web, optional: true}}\n"
    "  - {path: /basic, auth: basic}\n"
    "  - {path: /api, auth: api}\n"
    "  - {path: /off, auth: web, csrf: off}\n"
    "  - {path: /report, auth: web, csrf: {mode: report}}\n"
    "  - {path: /open, auth: none}\n";

static void set_up(void)
{
    struct api_key parts;
    struct error error = {0};
    char digest[API_KEY_DIGEST_TEXT_SIZE];
    arena = arena_new();
    ck_assert(api_key_generate(TEXT("fcg"), key, &parts, &error));
    struct api_key_digest bytes = api_key_digest(&parts);
    const char *id = arena_printf(arena, "%.*s", TEXT_ARGUMENTS(parts.id));
    api_key_digest_format(&bytes, digest);
    char *text = arena_printf(arena, head, id, digest, id, digest, id, digest);
    policy = policy_parse(text_of(text), "/policy.yaml", false, &error);
    findings_print(&policy->findings, FINDING_ERROR, stderr);
    ck_assert_uint_eq(policy->findings.errors, 0);
    ck_assert(auth_methods_open(&policy->auth, &error));
}

static void tear_down(void)
{
    policy_free(policy);
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

/* `headers` as "NAME: value" lines with the names of parameters; NULL: no such header. */
static struct verdict ask(const char *method, const char *target, const char *headers)
{
    static struct channel channel = {.receive = receive, .body_length = 0};
    static struct param items[32];
    struct params params = {items, 0};
    struct text rest = text_of(headers), line;
    arena_free(exchange.arena);
    exchange = (struct exchange){.arena = arena_new(), .channel = &channel};
    items[params.count++] = (struct param){TEXT("REQUEST_METHOD"), text_of(method)};
    items[params.count++] = (struct param){TEXT("REQUEST_URI"), text_of(target)};
    while (text_next(&rest, '\n', &line)) {
        size_t colon = text_find(line, ':');
        items[params.count++] = (struct param){{line.at, colon}, text_trim(text_from(line, colon + 1))};
    }
    return serve_judge(policy, &exchange, &params);
}

static void expect(struct verdict verdict, bool passes, const char *about)
{
    ck_assert_msg((verdict.kind == VERDICT_PASS) == passes, "%s: %s", about,
                  verdict.code ? verdict.code : "passes");
    if (!passes)
        ck_assert_msg(verdict.status == 403 && strcmp(verdict.code, "csrf_refused") == 0 &&
                          strcmp(verdict.guard, "csrf") == 0,
                      "%s: %d %s", about, verdict.status, verdict.code);
}

#define HOST  "HTTP_HOST: example.com\n"
#define HTTPS "HTTPS: on\n" HOST

static const struct {
    const char *method, *path, *headers;
    bool passes;
} cases[] = {
    /* Sec-Fetch-Site decides alone where it is. */
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: same-origin", true},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: none", true},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: same-site", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: https://example.com", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: same-origin\nHTTP_ORIGIN: null", true},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: same-origin\nHTTP_ORIGIN: https://internal", true},
    {"PUT", "/own", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", false},
    /* What is none of its values. */
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: ", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: Same-Origin", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: same-origin, none", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: same-origin, same-origin", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: same-origin;a=b", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: \"same-origin\"", false},
    {"POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: x\nHTTP_ORIGIN: https://example.com", false},
    /* Methods that change nothing. */
    {"GET", "/own", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", true},
    {"HEAD", "/own", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", true},
    {"OPTIONS", "/own", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", true},
    /* Origin where it is not. */
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://example.com", true},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: HTTPS://EXAMPLE.com", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://example.com:443", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://example.com:8443", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: http://example.com", false},
    {"POST", "/own", HOST "HTTP_ORIGIN: http://example.com", true},
    {"POST", "/own", HOST "HTTP_ORIGIN: http://example.com:80", false},
    {"POST", "/own", HOST "HTTP_ORIGIN: https://example.com", true},
    {"POST", "/own", "HTTP_HOST: example.com:8080\nHTTP_ORIGIN: http://example.com:8080", true},
    {"POST", "/own", "HTTP_HOST: example.com:8080\nHTTP_ORIGIN: http://example.com", false},
    {"POST", "/own", "HTTP_HOST: example.com:8080\nHTTP_ORIGIN: http://example.com:8081", false},
    {"POST", "/own", HOST "SERVER_PORT: 8080\nHTTP_ORIGIN: http://example.com:8080", true}, /* nginx */
    {"POST", "/own", HOST "SERVER_PORT: 8080\nHTTP_ORIGIN: http://example.com", true},
    {"POST", "/own", HOST "SERVER_PORT: 8080\nHTTP_ORIGIN: http://example.com:8081", false},
    {"POST", "/own", "HTTP_HOST: [0:0::1]:8080\nHTTP_ORIGIN: http://[::1]:8080", true},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://www.example.com", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://example.com.evil.net", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://evil.net", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: null", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: ", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: example.com", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://example.com/", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://example.com https://evil.net", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://user@example.com", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: ftp://example.com", false},
    {"POST", "/own", "HTTPS: on\nHTTP_ORIGIN: https://example.com", false}, /* for no host */
    /* An absolute target's host is the request's. */
    {"POST", "http://example.com/own", "HTTP_HOST: evil.net\nHTTP_ORIGIN: http://evil.net", false},
    {"POST", "http://example.com/own", "HTTP_HOST: evil.net\nHTTP_ORIGIN: http://example.com", true},
    /* Referer where there is neither; never before Origin. */
    {"POST", "/own", HTTPS "HTTP_REFERER: https://example.com/form?x#y", true},
    {"POST", "/own", HTTPS "HTTP_REFERER: https://example.com", true},
    {"POST", "/own", HTTPS "HTTP_REFERER: https://example.com?x", true},
    {"POST", "/own", HTTPS "HTTP_REFERER: https://evil.net/https://example.com/", false},
    {"POST", "/own", HTTPS "HTTP_REFERER: https://example.com@evil.net/", false},
    {"POST", "/own", HTTPS "HTTP_REFERER: about:blank", false},
    {"POST", "/own", HTTPS "HTTP_REFERER: ", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: null\nHTTP_REFERER: https://example.com/", false},
    {"POST", "/own", HTTPS "HTTP_ORIGIN: https://example.com\nHTTP_REFERER: https://evil.net/", true},
    /* Nothing at all: no browser. */
    {"POST", "/own", HTTPS, true},
    {"POST", "/strict", HTTPS, false},
    {"GET", "/strict", HTTPS, true},
    {"POST", "/strict", HTTPS "HTTP_ORIGIN: https://example.com", true},
    {"POST", "/strict", HTTPS "HTTP_SEC_FETCH_SITE: none", true},
    /* Origins that are listed. */
    {"POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: https://app.example.com", true},
    {"POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: same-site\nHTTP_ORIGIN: https://app.example.com", true},
    {"POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: http://app.example.com", false},
    {"POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: https://evil.net", false},
    {"POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_REFERER: https://app.example.com/",
     false},
    {"POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", false},
    {"POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: x\nHTTP_ORIGIN: https://app.example.com", false},
    {"POST", "/listed", HTTPS "HTTP_ORIGIN: http://localhost:3000", true},
    {"POST", "/listed", HTTPS "HTTP_ORIGIN: http://localhost", false},
    {"POST", "/listed", HTTPS "HTTP_ORIGIN: capacitor://localhost", true},
    {"POST", "/listed", HTTPS "HTTP_ORIGIN: https://localhost", false},
    {"POST", "/listed", HTTPS "HTTP_ORIGIN: https://[2001:db8::1]:8443", true},
    {"POST", "/listed", HTTPS "HTTP_REFERER: https://app.example.com/x", true},
    {"POST", "/wide", HTTPS "HTTP_ORIGIN: https://a.b.example.org", true},
    {"POST", "/wide", HTTPS "HTTP_ORIGIN: https://example.org", false},
    /* Origins whose scripts may send credentials. */
    {"POST", "/cors", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: https://spa.example", true},
    {"POST", "/cors", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: https://evil.net", false},
    {"POST", "/cors", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: null", false},
    {"POST", "/scripts", HTTPS "HTTP_SEC_FETCH_SITE: cross-site\nHTTP_ORIGIN: https://spa.example", false},
    /* Pages of the same site. */
    {"POST", "/site", HTTPS "HTTP_SEC_FETCH_SITE: same-site", true},
    {"POST", "/site", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", false},
    {"POST", "/site", HTTPS "HTTP_ORIGIN: https://www.example.com", false},
    /* Where nobody asks. */
    {"POST", "/open", HTTPS "HTTP_SEC_FETCH_SITE: cross-site", true},
};

START_TEST(csrf_judges)
{
    char about[256];
    snprintf(about, sizeof about, "%s %s %s", cases[_i].method, cases[_i].path, cases[_i].headers);
    expect(ask(cases[_i].method, cases[_i].path, cases[_i].headers), cases[_i].passes, about);
}
END_TEST

/* The table of Go 1.25's TestCrossOriginProtectionSecFetchSite, for https://example.com. */
static const struct {
    const char *method, *site, *origin;
    bool passes;
} go_cases[] = {
    {"POST", "same-origin", "", true},
    {"POST", "none", "", true},
    {"POST", "cross-site", "", false},
    {"POST", "same-site", "", false},
    {"POST", "", "", true},
    {"POST", "", "https://example.com", true},
    {"POST", "", "https://attacker.example", false},
    {"POST", "", "null", false},
    {"GET", "cross-site", "", true},
    {"HEAD", "cross-site", "", true},
    {"OPTIONS", "cross-site", "", true},
    {"PUT", "cross-site", "", false},
};

START_TEST(csrf_is_as_in_go)
{
    bool site = *go_cases[_i].site, origin = *go_cases[_i].origin;
    const char *headers = arena_printf(arena, HTTPS "%s%s\n%s%s", site ? "HTTP_SEC_FETCH_SITE: " : "",
                                       go_cases[_i].site, origin ? "HTTP_ORIGIN: " : "", go_cases[_i].origin);
    struct verdict verdict = ask(go_cases[_i].method, "/own", headers);
    expect(verdict, go_cases[_i].passes, headers);
}
END_TEST

/* Where Go's rules, which compare hosts alone, and ours part; ours refuse more. */
START_TEST(csrf_is_not_as_in_go)
{
    /* Go cannot tell an HTTP page from an HTTPS one, and takes an empty header for none. */
    expect(ask("POST", "/own", HTTPS "HTTP_ORIGIN: http://example.com"), false, "another scheme");
    expect(ask("POST", "/own", HTTPS "HTTP_SEC_FETCH_SITE: "), false, "an empty Sec-Fetch-Site");
    expect(ask("POST", "/own", HTTPS "HTTP_ORIGIN: "), false, "an empty Origin");
    /* Go lets a listed origin pass whatever Sec-Fetch-Site is, and never reads Referer. */
    expect(ask("POST", "/listed", HTTPS "HTTP_SEC_FETCH_SITE: x\nHTTP_ORIGIN: https://app.example.com"),
           false, "no value of Sec-Fetch-Site");
    expect(ask("POST", "/own", HTTPS "HTTP_REFERER: https://evil.net/"), false, "another Referer");
}
END_TEST

#define CROSS HTTPS "HTTP_SEC_FETCH_SITE: cross-site\n"

static struct verdict ask_as(const char *path, const char *place)
{
    return ask("POST", path, arena_printf(arena, CROSS "%s%s", place, key));
}

/* base64 of "KEY:" */
static const char *basic(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *pair = arena_printf(arena, "%s:", key);
    size_t length = strlen(pair);
    char *text = arena_alloc(arena, (length + 2) / 3 * 4 + 1), *to = text;
    for (size_t i = 0; i < length; i += 3) {
        unsigned group = 0;
        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (i + k < length ? (unsigned char)pair[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            *to++ = i + k > length ? '=' : digits[group >> (18 - 6 * k) & 63];
    }
    return text;
}

START_TEST(csrf_is_for_cookies)
{
    expect(ask_as("/web", "HTTP_COOKIE: session="), false, "a cookie");
    expect(ask_as("/both", "HTTP_COOKIE: session="), false, "a cookie beside another way");
    expect(ask_as("/both", "HTTP_X_API_KEY: "), true, "the other way");
    expect(ask_as("/optional", "HTTP_COOKIE: session="), false, "a cookie that need not be there");
    expect(ask("POST", "/optional", CROSS), true, "none");
    expect(ask_as("/api", "HTTP_X_API_KEY: "), true, "a header");
    expect(ask_as("/off", "HTTP_COOKIE: session="), true, "csrf: off");
    expect(ask_as("/report", "HTTP_COOKIE: session="), true, "mode: report");
    expect(ask("POST", "/basic", arena_printf(arena, CROSS "HTTP_AUTHORIZATION: Basic %s", basic())), false,
           "Basic");
    ck_assert_ptr_nonnull(exchange.caller);
    const char *cookie = arena_printf(arena, CROSS "HTTP_COOKIE: session=%s", key);
    expect(ask("GET", "/web", cookie), true, "GET");
    ck_assert_ptr_nonnull(exchange.caller);
}
END_TEST

/* ---- policies */

static const struct {
    const char *route, *error, *advice;
} policies[] = {
    {"auth: web", NULL, NULL},
    {"auth: web, csrf: off", NULL, "`csrf` refuses none of that"},
    {"auth: web, csrf: off, methods: [GET]", NULL, NULL},
    {"auth: web, csrf: {mode: report}", NULL, "`csrf` refuses none of that"},
    {"auth: web, mode: report", NULL, "`csrf` refuses none of that"},
    {"auth: none, csrf: on", NULL, NULL},
    {"auth: none, csrf: off", NULL, NULL},
    {"auth: none, csrf: auto", "`auth` has no way by a cookie that could be checked", NULL},
    {"auth: none, csrf: {origins: ['https://a.example']}", "`auth` has no way by a cookie", NULL},
    {"auth: api, csrf: {strict: true}", "`auth` has no way by a cookie", NULL},
    {"auth: none, csrf: yes", "\"yes\" is not known, expected one of auto, on, off", NULL},
    {"auth: none, csrf: {policy: on, origins: ['https://a.example/']}", "is not an origin", NULL},
    {"auth: none, csrf: {policy: on, origins: ['null']}", "is not an origin", NULL},
    {"auth: none, csrf: {policy: on, origins: ['*']}", "is not an origin", NULL},
    {"auth: none, csrf: {policy: on, origins: [a.example]}", "is not an origin", NULL},
    {"auth: none, csrf: {policy: on, origins: ['https://*.a.example']}", NULL, NULL},
    {"auth: none, csrf: {policy: on, origins: ['https://A.example:443']}",
     "did you mean \"https://a.example\"?", NULL},
    {"auth: none, csrf: {policy: on, origin: x}", "did you mean \"origins\"?", NULL},
    {"auth: web}\nrequest: {drop: [Origin]", "`csrf` judges by origin, which `request.drop` takes away",
     NULL},
    {"auth: web}\nrequest: {drop: [Sec-Fetch-Site]", "`csrf` judges by sec-fetch-site", NULL},
    {"auth: none, csrf: on}\nrequest: {drop: [Referer]", "`csrf` judges by referer", NULL},
    {"auth: none, cors: {origins: 'https://a.example'}}\nrequest: {drop: [Origin]",
     "`cors` judges by origin, which `request.drop` takes away", NULL},
    {"auth: api}\nrequest: {drop: [Origin, Sec-Fetch-Site, Referer]", NULL, NULL},
};

START_TEST(csrf_policies)
{
    static const char text[] =
        "auth:\n  web: {api_key: {cookie: session, keys: [{id: 0123456789abcdef, digest: "
        "'sha256:0000000000000000000000000000000000000000000000000000000000000000', owner: a}]}}\n"
        "  api: {api_key: {keys: [{id: 0123456789abcdef, digest: "
        "'sha256:0000000000000000000000000000000000000000000000000000000000000000', owner: a}]}}\n"
        "routes:\n  - {path: /a, exec: /bin/true, %s}\n";
    struct error error = {0};
    char *told = NULL;
    size_t size;
    char *content = arena_printf(arena, text, policies[_i].route);
    struct policy *loaded = policy_parse(text_of(content), "/p.yaml", false, &error);
    FILE *stream = open_memstream(&told, &size);
    findings_print(&loaded->findings, policies[_i].error ? FINDING_ERROR : FINDING_ADVICE, stream);
    fclose(stream);
    ck_assert_msg((loaded->findings.errors != 0) == (policies[_i].error != NULL), "%s: %s",
                  policies[_i].route, told);
    const char *words = policies[_i].error ? policies[_i].error : policies[_i].advice;
    ck_assert_msg(words ? strstr(told, words) != NULL : !strstr(told, "csrf"), "%s: %s", policies[_i].route,
                  told);
    free(told);
    policy_free(loaded);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("csrf");
    TCase *tests = tcase_create("csrf");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, csrf_judges, 0, COUNT(cases));
    tcase_add_loop_test(tests, csrf_is_as_in_go, 0, COUNT(go_cases));
    tcase_add_test(tests, csrf_is_not_as_in_go);
    tcase_add_test(tests, csrf_is_for_cookies);
    tcase_add_loop_test(tests, csrf_policies, 0, COUNT(policies));
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
