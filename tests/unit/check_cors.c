/*
 * Tests of CORS: origins against patterns, what a policy may say, which route a
 * preflight finds, and the headers of replies, from a web server's parameters to
 * the reply's head. What a program answers is played by headers that are there.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/log.h"
#include "front/serve.h"
#include "http/host.h"
#include "policy/policy.h"
#include "respond/cors_headers.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define APP          "https://app.example.com"
#define LABEL_64     "0123456789012345678901234567890123456789012345678901234567890123"

enum { FINDINGS_TEXT_SIZE = 8192, PARAMS_LIMIT = 32, HEADS_LIMIT = 8192 };

static struct arena *arena;

static void set_up(void)
{
    struct error error = {0};
    arena = arena_new();
    ck_assert(log_open("file:/dev/null", SEVERITY_INFO, &error));
}

static void tear_down(void)
{
    arena_free(arena);
}

/* ================ origins */

static const struct {
    const char *pattern, *origin;
    bool fits;
} fits[] = {
    {APP, APP, true},
    {APP, APP "/", false},
    {APP, APP ":443", false},
    {APP, APP ":8443", false},
    {APP, "http://app.example.com", false},
    {APP, "https://App.example.com", false},
    {APP, "HTTPS://app.example.com", false},
    {APP, APP ".evil.net", false},
    {APP, APP ".", false},
    {APP, "https://evil.net#app.example.com", false},
    {APP, "https://evil.net?" APP, false},
    {APP, "https://app.example.com@evil.net", false},
    {APP, "https://evil-app.example.com", false},
    {APP, " " APP, false},
    {APP, APP " ", false},
    {APP, APP ", " APP, false},
    {APP, "https://app_example.com", false},
    {APP, "https://appXexample.com", false},
    {APP, "null", false},
    {APP, "", false},
    {APP, "*", false},
    {"http://localhost:3000", "http://localhost:3000", true},
    {"http://localhost:3000", "http://localhost", false},
    {"http://localhost:3000", "http://localhost:30000", false},
    {"http://127.0.0.1:3000", "http://127.0.0.1:3000", true},
    {"http://[::1]:3000", "http://[::1]:3000", true},
    {"http://[::1]:3000", "http://[::2]:3000", false},
    {"capacitor://localhost", "capacitor://localhost", true},
    {"chrome-extension://abcdefghijklmnopabcdefghijklmnop",
     "chrome-extension://abcdefghijklmnopabcdefghijklmnop", true},
    {"safari-web-extension://1A2B-3C", "safari-web-extension://1A2B-3C", true},
    {"safari-web-extension://1A2B-3C", "safari-web-extension://1a2b-3c", false},
    {"https://*.example.com", "https://a.example.com", true},
    {"https://*.example.com", "https://a.b.example.com", true},
    {"https://*.example.com", "https://a_b-c.1.example.com", true},
    {"https://*.example.com", "https://example.com", false},
    {"https://*.example.com", "https://.example.com", false},
    {"https://*.example.com", "https://a..example.com", false},
    {"https://*.example.com", "https://*.example.com", false},
    {"https://*.example.com", "https://aexample.com", false},
    {"https://*.example.com", "https://a-example.com", false},
    {"https://*.example.com", "https://a.example.com.", false},
    {"https://*.example.com", "https://a.example.com:443", false},
    {"https://*.example.com", "https://a.example.com:8443", false},
    {"https://*.example.com", "http://a.example.com", false},
    {"https://*.example.com", "https://A.example.com", false},
    {"https://*.example.com", "https://a.example.com/", false},
    {"https://*.example.com", "https://evil.net/.example.com", false},
    {"https://*.example.com", "https://evil.net?.example.com", false},
    {"https://*.example.com", "https://evil.net#.example.com", false},
    {"https://*.example.com", "https://evil.net\\.example.com", false},
    {"https://*.example.com", "https://evil.net:80.example.com", false},
    {"https://*.example.com", "https://user@a.example.com", false},
    {"https://*.example.com", "https://evil.net%00.example.com", false},
    {"https://*.example.com", "https://evil.net`.example.com", false},
    {"https://*.example.com", "https://evil.net,.example.com", false},
    {"https://*.example.com", "https://evil.net .example.com", false},
    {"https://*.example.com", "https://a.example.com evil", false},
    {"https://*.example.com", "https://\xc3\xa9.example.com", false},
    {"https://*.example.com", "https://" LABEL_64 ".example.com", false},
    {"https://*.example.com", "null", false},
    {"https://*.example.com:8443", "https://a.example.com:8443", true},
    {"https://*.example.com:8443", "https://a.example.com", false},
    {"https://*.example.com:8443", "https://a.example.com:08443", false},
    {"http://*.localhost:8080", "http://a.localhost:8080", true},
};

START_TEST(patterns_fit)
{
    struct origin_pattern pattern;
    ck_assert_msg(origin_pattern_parse(text_of(fits[_i].pattern), &pattern), "%s", fits[_i].pattern);
    ck_assert_msg(origin_fits(&pattern, text_of(fits[_i].origin)) == fits[_i].fits, "%s, %s",
                  fits[_i].pattern, fits[_i].origin);
}
END_TEST

static const char *const no_origins[] = {
    "",
    "null",
    "*",
    "https",
    "https:",
    "https:/",
    "https://",
    "https:///",
    "://a",
    "a://",
    "//a",
    "https://a/",
    "https://a?",
    "https://a#",
    "https://a:",
    "https://a:0",
    "https://a:65536",
    "https://a:01",
    "https://a:443",
    "http://a:80",
    "https://a:8o",
    "https://a:1:2",
    "https://[::1",
    "https://::1",
    "https://[::1]x",
    "https://[::1]:443",
    "https://[0::1]",
    "https://[::A]",
    "https://1.2.3",
    "https://0x7f.1",
    "https://a b",
    "https://a..b",
    "https://.a",
    "https://a.",
    "1https://a",
    "ht_tp://a",
    "Https://a",
    "https://A",
    "ftp://a/b",
    "x://a b",
    "https://*.a",
};

START_TEST(others_are_no_origins)
{
    struct origin origin;
    ck_assert_msg(!origin_parse(text_of(no_origins[_i]), &origin), "%s", no_origins[_i]);
}
END_TEST

START_TEST(origins_are_bounded)
{
    struct origin origin;
    char text[300] = "x://";
    memset(text + 4, 'a', 253);
    ck_assert(origin_parse(text_of(text), &origin));
    text[4 + 253] = 'a';
    ck_assert(!origin_parse(text_of(text), &origin));
    ck_assert(origin_parse(TEXT("a1234567890123456789012345678901://a"), &origin));
    ck_assert(!origin_parse(TEXT("a12345678901234567890123456789012://a"), &origin));
    ck_assert(!origin_parse(TEXT("https://a\0b"), &origin));
    ck_assert(!origin_parse(TEXT("https://a\0"), &origin));
}
END_TEST

static const struct {
    const char *written, *correct;
} corrections[] = {
    {"https://Example.COM", "https://example.com"},
    {"https://example.com/", "https://example.com"},
    {"https://example.com/app?x#y", "https://example.com"},
    {"https://example.com:443", "https://example.com"},
    {"http://example.com:80/", "http://example.com"},
    {"http://example.com:443", "http://example.com:443"},
    {"example.com", "https://example.com"},
    {"example.com:8443", "https://example.com:8443"},
    {"example.com.", "https://example.com"},
    {"http://[0:0::1]:80", "http://[::1]"},
    {"https://b\xc3\xbc.example", ""},
    {"https://a b", ""},
    {"https://*", ""},
    {"", ""},
};

START_TEST(origins_are_corrected)
{
    struct text correct = origin_correct(text_of(corrections[_i].written), arena);
    ck_assert_msg(text_equal(correct, text_of(corrections[_i].correct)), "%s: %.*s", corrections[_i].written,
                  TEXT_ARGUMENTS(correct));
}
END_TEST

static const struct {
    const char *origin, *host;
    const char *port; /* of the web server */
    bool secure, own;
} owns[] = {
    {"https://a.example", "a.example", "443", true, true},
    {"https://a.example", "a.example:443", "443", true, true},
    {"https://a.example", "A.example.", "443", true, true},
    {"http://a.example", "a.example", "80", false, true},
    {"http://a.example:8080", "a.example:8080", "8080", false, true},
    {"http://a.example:8080", "a.example", "8080", false, true},
    {"https://a.example", "a.example", "8080", true, true},
    {"http://[::1]:81", "[::1]:81", "81", false, true},
    {"http://[::1]", "[::1]", "80", false, true},
    {"http://a.example", "a.example", "443", true, false},
    {"https://a.example", "a.example", "80", false, false},
    {"https://a.example:8443", "a.example", "443", true, false},
    {"https://a.example", "a.example:8443", "443", true, false},
    {"https://a.example:8444", "a.example:8443", "8444", true, false},
    {"https://b.example", "a.example", "443", true, false},
    {"https://a.example.evil", "a.example", "443", true, false},
    {"https://a.example", "", "443", true, false},
    {"null", "null", "443", true, false},
    {"https://", "", "443", true, false},
};

START_TEST(own_origin_is_known)
{
    struct host host = {0};
    struct param port = {TEXT("SERVER_PORT"), text_of(owns[_i].port)};
    ck_assert(!*owns[_i].host || host_parse(text_of(owns[_i].host), arena, &host));
    struct request request = {
        .host = host.name, .host_port = host.port, .secure = owns[_i].secure, .server = {&port, 1}};
    ck_assert_msg(origin_is_own(text_of(owns[_i].origin), &request) == owns[_i].own, "%s at %s",
                  owns[_i].origin, owns[_i].host);
}
END_TEST

/* ================ Vary */

static const struct {
    const char *sent[3];
    const char *vary;
} varies[] = {
    {{NULL}, "Origin, X-A"},
    {{"Accept"}, "Accept, Origin, X-A"},
    {{"Accept-Encoding,Cookie", "accept"}, "Accept-Encoding, Cookie, accept, Origin, X-A"},
    {{"origin", "ORIGIN , x-a"}, "origin, x-a"},
    {{" , ,", ""}, "Origin, X-A"},
    {{"Origins, X-Origin"}, "Origins, X-Origin, Origin, X-A"},
    {{"*"}, "*"},
    {{"Accept", "*"}, "*"},
};

START_TEST(vary_is_merged)
{
    static const char *const names[] = {"Origin", "X-A"};
    struct headers headers = {0};
    for (size_t i = 0; varies[_i].sent[i]; i++)
        headers_add(&headers, arena, i ? TEXT("vary") : TEXT("Vary"), text_of(varies[_i].sent[i]));
    headers_add(&headers, arena, TEXT("X"), TEXT("Accept"));
    headers_vary(&headers, arena, names, COUNT(names));
    ck_assert_uint_eq(headers.count, 2);
    const struct text *vary = headers_get(&headers, "vary");
    ck_assert_msg(text_equal(*vary, text_of(varies[_i].vary)), "%.*s", TEXT_ARGUMENTS(*vary));
}
END_TEST

/* Ever more names cost ever more, and no cache has a use for them. */
START_TEST(vary_has_an_end)
{
    static const char *const names[] = {"Origin"};
    for (int count = 60; count < 70; count++) {
        struct headers headers = {0};
        struct bytes sent = bytes_new(arena, 1024);
        for (int i = 0; i < count; i++)
            bytes_printf(&sent, "%sx-%d", i ? "," : "", i);
        headers_add(&headers, arena, TEXT("Vary"), bytes_text(&sent));
        headers_vary(&headers, arena, names, 1);
        const struct text *vary = headers_get(&headers, "vary");
        ck_assert_int_eq(text_equal(*vary, TEXT("*")), count >= 64);
        ck_assert(count >= 64 || text_ends_with(*vary, TEXT(", Origin")));
    }
}
END_TEST

/* ================ policies */

static struct policy *parse(const char *text)
{
    struct error error = {0};
    struct policy *policy = policy_parse(text_of(text), "/p", false, &error);
    ck_assert_msg(policy != NULL, "%s", error.message);
    return policy;
}

static const char *told(const struct policy *policy, enum finding_kind kind)
{
    char *text = arena_alloc(arena, FINDINGS_TEXT_SIZE);
    FILE *stream = fmemopen(text, FINDINGS_TEXT_SIZE - 1, "w");
    findings_print(&policy->findings, kind, stream);
    fclose(stream);
    return text;
}

/* One route with a map of `cors`. */
static const char *with_rules(const char *rules)
{
    return arena_printf(arena, "defaults: {auth: none, exec: /bin/true}\nroutes:\n- {path: /a, cors: %s}\n",
                        rules);
}

#define SHOWN "expected one such as " APP ", http://localhost:8080, https://*.example.com, null or *"

static const struct {
    const char *rules, *finding; /* the part of it behind its position */
} bad[] = {
    {"{credentials: true}",
     "cors: the key `origins` is missing, expected those whose scripts may read replies"},
    {"{origins: []}", "cors.origins: expected 1 to 1000 origins"},
    {"wbe", "cors: \"wbe\" is nothing that `cors` at the top names, expected off, or a map with `origins`"},
    {"[a]", "cors: expected off, a name of `cors` at the top, or a map with `origins`"},
    {"{use: off, credentials: true}",
     "cors.credentials: this is beside `use`, expected it in the top's `cors`"},
    {"{origins: https://Example.com}",
     "cors.origins: \"https://Example.com\" has capitals, and browsers send none, " SHOWN
     "; did you mean \"https://example.com\"?"},
    {"{origins: https://example.com/}",
     "cors.origins: \"https://example.com/\" has a path or a slash at its end, which no origin has, " SHOWN
     "; did you mean \"https://example.com\"?"},
    {"{origins: 'https://example.com:443'}",
     "cors.origins: \"https://example.com:443\" has its scheme's own port, which browsers leave out, " SHOWN
     "; did you mean \"https://example.com\"?"},
    {"{origins: example.com}",
     "cors.origins: \"example.com\" has no scheme, " SHOWN "; did you mean \"https://example.com\"?"},
    {"{origins: 'https://example.com, https://example.org'}", "cors.origins: \"https://example.com, "
                                                              "https://example.org\" has a path"},
    {"{origins: 'file:///x'}",
     "cors.origins: \"file:///x\" is \"null\" to a browser, as of every file, " SHOWN},
    {"{origins: 'file://a'}", "cors.origins: \"file://a\" is \"null\" to a browser"},
    {"{origins: 'https://app-*.example.com'}",
     "cors.origins: \"https://app-*.example.com\" has a * that does not stand for whole labels"},
    {"{origins: 'https://*'}", "cors.origins: \"https://*\" has a *"},
    {"{origins: 'https://*example.com'}", "cors.origins: \"https://*example.com\" has a *"},
    {"{origins: 'https://a.*.example.com'}", "cors.origins: \"https://a.*.example.com\" has a *"},
    {"{origins: 'https://*.*.example.com'}", "cors.origins: \"https://*.*.example.com\" has a *"},
    {"{origins: '*.example.com'}", "cors.origins: \"*.example.com\" has no scheme"},
    {"{origins: 'https://*.192.0.2.1'}", "cors.origins: \"https://*.192.0.2.1\" has a *"},
    {"{origins: 'capacitor://*.example.com'}", "cors.origins: \"capacitor://*.example.com\" has a *"},
    {"{origins: 'https://*.com'}",
     "cors.origins: anybody can have a name below com, expected the domain of one owner"},
    {"{origins: 'https://*.co.uk'}", "cors.origins: anybody can have a name below co.uk"},
    {"{origins: 'https://*.github.io:8443'}", "cors.origins: anybody can have a name below github.io"},
    {"{origins: [https://a.example, https://a.example]}", "cors.origins[1]: this origin stands here already"},
    {"{origins: ['*', https://a.example]}", "cors.origins: \"*\" is every origin, expected it alone"},
    {"{origins: '*', credentials: true}",
     "cors.origins: with `credentials`, any site could read what its visitors may"},
    {"{origins: ['null', https://a.example], credentials: true}",
     "cors.origins: with `credentials`, \"null\" lets any site read what its visitors may, as every "
     "sandboxed "
     "frame has that origin"},
    {"{origins: https://a.example, credentials: true, methods: '*'}",
     "cors.methods: with `credentials`, \"*\" is the name of nothing to a browser"},
    {"{origins: https://a.example, credentials: true, headers: '*'}",
     "cors.headers: with `credentials`, \"*\" is the name of nothing to a browser, expected names, or "
     "reflect"},
    {"{origins: https://a.example, credentials: true, expose: '*'}",
     "cors.expose: with `credentials`, \"*\" is the name of nothing to a browser, expected names"},
    {"{origins: '*', private_network: true}", "cors.private_network: with \"*\" as `origins`, any site"},
    {"{origins: '*', enforce: true}", "cors.enforce: this refuses nobody, as `origins` is \"*\""},
    {"{origins: https://a.example, methods: [TRACE]}",
     "cors.methods[0]: \"TRACE\" is a method that no browser lets a script send"},
    {"{origins: https://a.example, methods: connect}",
     "cors.methods: \"connect\" is a method that no browser"},
    {"{origins: https://a.example, methods: [put]}", "cors.methods[0]: \"put\" is not a method"},
    {"{origins: https://a.example, methods: ['A B']}", "cors.methods[0]: \"A B\" is not a method"},
    {"{origins: https://a.example, methods: [PUT, PUT]}", "cors.methods[1]: \"PUT\" stands here already"},
    {"{origins: https://a.example, methods: []}", "cors.methods: there is no method"},
    {"{origins: https://a.example, headers: [Cookie]}",
     "cors.headers[0]: \"Cookie\" is a header that no script can set"},
    {"{origins: https://a.example, headers: [Sec-Fetch-Site]}",
     "cors.headers[0]: \"Sec-Fetch-Site\" is a header that"},
    {"{origins: https://a.example, headers: [Proxy-X]}",
     "cors.headers[0]: \"Proxy-X\" is a header that no script"},
    {"{origins: https://a.example, headers: ['X A']}", "cors.headers[0]: \"X A\" is not a header's name"},
    {"{origins: https://a.example, headers: [X-A, x-a]}", "cors.headers[1]: \"x-a\" stands here already"},
    {"{origins: https://a.example, headers: ['*', '*']}", "cors.headers[1]: \"*\" stands here already"},
    {"{origins: https://a.example, headers: [reflect, X-A], methods: {}}",
     "cors.methods: a map does not fit here"},
    {"{origins: https://a.example, expose: [Set-Cookie]}",
     "cors.expose[0]: \"Set-Cookie\" is a header that no script can read"},
    {"{origins: https://a.example, max_age: 2d}", "cors.max_age: \"2d\" is too large"},
    {"{origins: https://a.example, max_age: 1500ms}", "cors.max_age: expected whole seconds"},
    {"{origins: https://a.example, max_age: 600}", "cors.max_age: \"600\" does not fit"},
    {"{origins: https://a.example, preflight_status: 201}", "cors.preflight_status: \"201\" is not known"},
    {"{origins: https://a.example, preflight_limit: 5/m}",
     "cors.preflight_limit: limits are counted in a store, expected `store` at the top"},
    {"{origins: https://a.example, preflight_limit: {concurrency: 2}}",
     "cors.preflight_limit: a preflight is answered at once and to anybody, expected a rate"},
    {"{origins: https://a.example, preflight_limit: {rate: 5/m, by: caller}}",
     "cors.preflight_limit: a preflight is answered at once and to anybody, expected a rate"},
    {"{origins: https://a.example, preflight_limit: {rate: 5/m, count: failures}}",
     "cors.preflight_limit: a preflight is answered at once and to anybody, expected a rate"},
    {"{origin: https://a.example}", "cors.origin: this key is not known"},
};

START_TEST(bad_rules_are_explained)
{
    struct policy *policy = parse(with_rules(bad[_i].rules));
    const char *errors = told(policy, FINDING_ERROR);
    const char *expected = arena_printf(arena, ": routes[0].%s", bad[_i].finding);
    ck_assert_msg(strstr(errors, expected) != NULL, "%s: said %sexpected %s", bad[_i].rules, errors,
                  bad[_i].finding);
    policy_free(policy);
}
END_TEST

static const struct {
    const char *policy, *advice; /* NULL: none of `cors` */
} advised[] = {
    {"cors: {a: https://a.example}\ndefaults: {cors: a}\n", NULL},
    {"cors: {a: 'null'}\ndefaults: {cors: a}\n",
     "cors.a: any site can make a frame whose origin is \"null\""},
    {"cors: {a: https://a.example}\n", "cors.a: no route names it"},
    {"cors: {a: {origins: '*', headers: '*'}}\ndefaults: {cors: a}\n",
     "cors.a.headers: \"*\" is all headers but"},
    {"cors: {a: {origins: '*', headers: ['*', Authorization]}}\ndefaults: {cors: a}\n", NULL},
    {"cors: {a: {origins: http://a.example, credentials: true}}\ndefaults: {cors: a, https: require}\n",
     "cors.a.origins: whoever is on the way to http://a.example, which is not encrypted, can read what its "
     "visitors may of /a"},
    {"cors: {a: {origins: http://a.example, credentials: true}}\ndefaults: {cors: a, https: redirect}\n",
     NULL},
    {"cors: {a: {origins: http://a.example}}\ndefaults: {cors: a, https: require}\n", NULL},
    {"cors: {a: {origins: ['http://localhost:3000', 'http://127.0.0.1'], credentials: true}}\n"
     "defaults: {cors: a, https: require}\n",
     NULL},
    {"store: sqlite:/tmp/x.db\nauth: {k: {api_key: {header: X-Key}}}\n"
     "defaults: {auth: k, cors: {origins: https://a.example}}\n",
     "defaults.cors: scripts cannot send x-key, by which callers say who they are at /a; name it in "
     "`headers`"},
    {"store: sqlite:/tmp/x.db\nauth: {k: {api_key: {header: X-Key}}}\n"
     "defaults: {auth: k, cors: {origins: https://a.example, headers: [x-key]}}\n",
     NULL},
    {"versions: {header: API-Version, default: '1', list: {'1': {}, '2': {}}}\n"
     "defaults: {version: ['1', '2'], cors: {origins: https://a.example}}\n",
     "defaults.cors: scripts cannot send api-version, by which requests name a version at /a; name it"},
};

START_TEST(risky_rules_are_advised)
{
    const char *text = arena_printf(
        arena, "%sroutes:\n- {path: /a, exec: /bin/true%s}\n- {path: /b, respond: nothing, auth: none}\n",
        advised[_i].policy, strstr(advised[_i].policy, "auth: k") ? "" : ", auth: none");
    struct policy *policy = parse(text);
    ck_assert_msg(policy->findings.errors == 0, "%s", told(policy, FINDING_ERROR));
    const char *advice = told(policy, FINDING_ADVICE);
    const char *found = strstr(advice, advised[_i].advice ? advised[_i].advice : "cors");
    ck_assert_msg((found != NULL) == (advised[_i].advice != NULL), "%s: said %s", text, advice);
    policy_free(policy);
}
END_TEST

START_TEST(names_are_of_the_top)
{
    static const struct {
        const char *policy, *finding;
    } cases[] = {
        {"cors: []\n", ":1:7: cors: expected a map of 1 to 1000 names, each with `origins`"},
        {"cors: {}\n", ":1:7: cors: expected a map of 1 to 1000 names"},
        {"cors: {off: https://a.example}\n", ":1:8: cors.off: expected a name of letters, digits, - and _"},
        {"cors: {none: https://a.example}\n", ":1:8: cors.none: expected a name of letters"},
        {"cors: {a b: https://a.example}\n", ":1:8: cors.a b: expected a name of letters"},
        {"cors: {web: {credentials: true}}\n", ":1:13: cors.web: the key `origins` is missing"},
        {"cors: {web: {use: a}}\n", "cors.web.use: this key is not known"},
        {"cors: {web: https://a.example}\ndefaults: {cors: wbe}\n",
         "defaults.cors: \"wbe\" is nothing that `cors` at the top names, expected off, web, or a map with "
         "`origins`; "
         "did you mean \"web\"?"},
        {"cors: {web: https://a.example}\ndefaults: {headers: {Access-Control-Max-Age: '1'}, cors: web}\n",
         "sets Access-Control-Max-Age, which is what `cors` says"},
        {"cors: {web: https://a.example}\nroutes:\n- {path: /q, auth: none, respond: authorize, cors: web}\n",
         "routes[0].cors: web servers ask here and no browser does"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *routes = "routes:\n- {path: /a, auth: none, respond: nothing}\n";
        struct policy *policy = parse(
            arena_printf(arena, "%s%s", cases[i].policy, strstr(cases[i].policy, "routes") ? "" : routes));
        const char *errors = told(policy, FINDING_ERROR);
        ck_assert_msg(strstr(errors, cases[i].finding) != NULL, "%s: said %s", cases[i].policy, errors);
        policy_free(policy);
    }
}
END_TEST

/* ================ requests */

static const char policy_text[] =
    "authorizer: true\n"
    "cors:\n"
    "  web: {origins: [" APP ", 'https://*.example.org'], credentials: true, expose: [ETag], max_age: 1h}\n"
    "  open: {origins: 'null', headers: reflect, private_network: true, max_age: 0}\n"
    "  any: {origins: '*', methods: '*', headers: ['*', Authorization], expose: '*'}\n"
    "defaults: {auth: none, errors: {html: false}, exec: /bin/true, cors: web}\n"
    "routes:\n"
    "- {path: /web, methods: [GET, PUT]}\n"
    "- {path: /two, methods: [GET]}\n"
    "- {path: /two, methods: [PUT], cors: {origins: https://b.example, preflight_status: 200}}\n"
    "- {path: /two, methods: [POST], cors: off}\n"
    "- {path: /two, methods: [OPTIONS], cors: off}\n"
    "- {path: /half, methods: [GET]}\n"
    "- {path: /half, methods: [POST], cors: off}\n"
    "- {path: /open, cors: open}\n"
    "- {path: /any, cors: any}\n"
    "- {path: /off, cors: off}\n"
    "- {path: /strict, cors: {origins: " APP ", enforce: true}}\n"
    "- {path: /tried, cors: {origins: " APP ", enforce: true, mode: report}}\n"
    "- {path: /report, mode: report, hosts: b.example, cors: {origins: " APP ", enforce: true}}\n"
    "- {path: /closed, addresses: {deny: 0.0.0.0/0}}\n"
    "- {path: /_ask, respond: authorize}\n";

static struct policy *policy;

static void load_policy(void)
{
    set_up();
    policy = parse(policy_text);
    ck_assert_msg(policy->findings.errors == 0, "%s", told(policy, FINDING_ERROR));
}

static void free_policy(void)
{
    policy_free(policy);
    tear_down();
}

static ssize_t receive_nothing(struct channel *channel, void *to, size_t size)
{
    (void)channel;
    (void)to;
    (void)size;
    return 0;
}

static struct channel channel = {.input = -1, .output = -1, .receive = receive_nothing, .body_length = -1};

/* "Origin: x\nName: value" to HTTP_ORIGIN and so on. */
static void add_headers(struct params *params, const char *lines)
{
    struct text rest = text_of(lines), line;
    while (text_next(&rest, '\n', &line)) {
        size_t colon = text_find(line, ':');
        char *name = arena_printf(arena, "HTTP_%.*s", (int)colon, line.at);
        for (char *at = name; *at; at++)
            *at = *at == '-' ? '_' : *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        params->items[params->count++] = (struct param){text_of(name), text_from(line, colon + 2)};
    }
}

/* What comes of a request: the verdict, and the reply as it would be but for a body. */
static struct exchange asked(const char *method, const char *path, const char *headers, bool authorizer)
{
    struct param items[PARAMS_LIMIT] = {{TEXT("REQUEST_METHOD"), text_of(method)},
                                        {TEXT("REQUEST_URI"), text_of(path)},
                                        {TEXT("REMOTE_ADDR"), TEXT("192.0.2.1")},
                                        {TEXT("HTTP_HOST"), TEXT("a.example")}};
    struct params params = {items, 4};
    struct exchange exchange = {
        .arena = arena, .channel = &channel, .spool_folder = "/tmp", .authorizer = authorizer};
    add_headers(&params, headers);
    serve_judge(policy, &exchange, &params);
    serve_preview(policy, &exchange);
    return exchange;
}

/* An error's body has a form and a language, too. */
static void add_vary(struct bytes *lines, const struct exchange *exchange, struct text value)
{
    struct text name;
    const char *before = "Vary: ";
    bool refused = exchange->verdict.kind != VERDICT_PASS;
    while (text_next(&value, ',', &name)) {
        name = text_trim(name);
        if (refused && (text_equal(name, TEXT("Accept")) || text_equal(name, TEXT("Accept-Language"))))
            continue;
        bytes_printf(lines, "%s%.*s", before, TEXT_ARGUMENTS(name));
        before = ", ";
    }
    if (before[0] == ',')
        bytes_add(lines, "\n", 1);
}

/* The reply's headers that are of CORS, one a line. */
static const char *granted(const struct exchange *exchange)
{
    struct bytes lines = bytes_new(arena, HEADS_LIMIT);
    for (size_t i = 0; i < exchange->reply.headers.count; i++) {
        const struct header *header = &exchange->reply.headers.items[i];
        struct text front = {header->name.at, header->name.length < 15 ? header->name.length : 15};
        if (text_equal(front, TEXT("Access-Control-")))
            bytes_printf(&lines, "%.*s: %.*s\n", TEXT_ARGUMENTS(text_from(header->name, 15)),
                         TEXT_ARGUMENTS(header->value));
        else if (text_equal(header->name, TEXT("Vary")))
            add_vary(&lines, exchange, header->value);
    }
    bytes_add(&lines, "", 1);
    return lines.at;
}

#define ASKED(origin_, method_) "Origin: " origin_ "\nAccess-Control-Request-Method: " method_
#define READ                    "Allow-Credentials: true\nExpose-Headers: ETag, X-Request-ID\n"
#define PREFLIGHT               "Vary: Origin, Access-Control-Request-Method\n"
#define WEB(methods_)                                                                                        \
    PREFLIGHT "Allow-Origin: " APP "\nAllow-Credentials: true\nAllow-Methods: " methods_                     \
              "\nAllow-Headers: Authorization, Content-Type\nMax-Age: 3600\n"

static const struct {
    const char *method, *path, *headers;
    int status;
    const char *code; /* NULL: it passes */
    const char *granted;
} requests[] = {
    /* others than preflights */
    {"GET", "/web", "", 200, NULL, "Vary: Origin\n"},
    {"GET", "/web", "Origin: " APP, 200, NULL, "Vary: Origin\nAllow-Origin: " APP "\n" READ},
    {"HEAD", "/web", "Origin: " APP, 200, NULL, "Vary: Origin\nAllow-Origin: " APP "\n" READ},
    {"GET", "/web", "Origin: https://x.y.example.org", 200, NULL,
     "Vary: Origin\nAllow-Origin: https://x.y.example.org\n" READ},
    {"GET", "/web", "Origin: https://example.org", 200, NULL, "Vary: Origin\n"},
    {"GET", "/web", "Origin: null", 200, NULL, "Vary: Origin\n"},
    {"GET", "/web", "Origin: *", 200, NULL, "Vary: Origin\n"},
    {"GET", "/web", "Origin: ", 200, NULL, "Vary: Origin\n"},
    {"GET", "/web", "Origin: " APP "\nAccess-Control-Request-Method: PUT", 200, NULL,
     "Vary: Origin\nAllow-Origin: " APP "\n" READ},
    {"DELETE", "/web", "Origin: " APP, 405, "method_not_allowed",
     "Vary: Origin\nAllow-Origin: " APP "\n" READ},
    {"OPTIONS", "/web", "Origin: " APP, 405, "method_not_allowed", PREFLIGHT "Allow-Origin: " APP "\n" READ},
    {"OPTIONS", "/web", "Access-Control-Request-Method: PUT", 405, "method_not_allowed", PREFLIGHT},
    {"GET", "/closed", "Origin: " APP, 403, "address_not_allowed",
     "Vary: Origin\nAllow-Origin: " APP "\n" READ},
    {"GET", "/nowhere", "Origin: " APP, 404, "route_not_found", "Vary: Origin\nAllow-Origin: " APP "\n" READ},
    {"GET", "/nowhere", "", 404, "route_not_found", "Vary: Origin\n"},
    {"GET", "/web%zz", "Origin: " APP, 400, "path_bad_escape", "Vary: Origin\nAllow-Origin: " APP "\n" READ},
    {"GET", "/web", "Origin: " APP "\nOrigin: " APP, 400, "header_duplicate", "Vary: Origin\n"},
    {"GET", "/off", "Origin: " APP, 200, NULL, ""},
    {"GET", "/any", "", 200, NULL, "Allow-Origin: *\nExpose-Headers: *\n"},
    {"GET", "/any", "Origin: nonsense", 200, NULL, "Allow-Origin: *\nExpose-Headers: *\n"},
    {"GET", "/open", "Origin: null", 200, NULL,
     "Vary: Origin\nAllow-Origin: null\nExpose-Headers: X-Request-ID\n"},
    /* preflights */
    {"OPTIONS", "/web", ASKED(APP, "PUT"), 204, "preflight", WEB("GET, HEAD, PUT")},
    {"OPTIONS", "/web", ASKED(APP, "GET"), 204, "preflight", WEB("GET, HEAD, PUT")},
    {"OPTIONS", "/web", ASKED(APP, "POST"), 204, "preflight", WEB("GET, HEAD, PUT")}, /* safelisted */
    {"OPTIONS", "/web", ASKED(APP, "DELETE"), 204, "preflight_refused", WEB("GET, HEAD, PUT")},
    {"OPTIONS", "/web", ASKED(APP, "put"), 204, "preflight_refused", WEB("GET, HEAD, PUT")},
    {"OPTIONS", "/web", ASKED(APP, "PUT") "\nAccess-Control-Request-Headers: content-type,authorization", 204,
     "preflight", WEB("GET, HEAD, PUT")},
    {"OPTIONS", "/web", ASKED(APP, "PUT") "\nAccess-Control-Request-Headers: content-type, x-other", 204,
     "preflight_refused", WEB("GET, HEAD, PUT")},
    {"OPTIONS", "/web", ASKED(APP, "PUT") "\nAccess-Control-Request-Private-Network: true", 204, "preflight",
     WEB("GET, HEAD, PUT")},
    {"OPTIONS", "/web", ASKED("https://evil.net", "PUT"), 204, "preflight_refused", PREFLIGHT},
    {"OPTIONS", "/web", ASKED("null", "PUT"), 204, "preflight_refused", PREFLIGHT},
    {"OPTIONS", "/closed", ASKED(APP, "GET"), 403, "address_not_allowed",
     PREFLIGHT "Allow-Origin: " APP "\n" READ},
    {"OPTIONS", "/nowhere", ASKED(APP, "GET"), 404, "route_not_found",
     PREFLIGHT "Allow-Origin: " APP "\n" READ},
    {"OPTIONS", "/two", ASKED(APP, "GET"), 204, "preflight", WEB("GET, HEAD")},
    {"OPTIONS", "/two", ASKED(APP, "PUT"), 200, "preflight_refused", PREFLIGHT},
    {"OPTIONS", "/two", ASKED("https://b.example", "PUT"), 200, "preflight",
     PREFLIGHT "Allow-Origin: https://b.example\nAllow-Methods: PUT\nAllow-Headers: Authorization, "
               "Content-Type\nMax-Age: 600\n"},
    {"OPTIONS", "/two", ASKED(APP, "POST"), 200, NULL, ""},
    {"OPTIONS", "/two", ASKED(APP, "DELETE"), 200, NULL, ""},
    {"OPTIONS", "/two", "Origin: " APP, 200, NULL, ""},
    {"OPTIONS", "/half", ASKED(APP, "GET"), 204, "preflight", WEB("GET, HEAD")},
    {"OPTIONS", "/half", ASKED(APP, "POST"), 405, "method_not_allowed", ""},
    {"OPTIONS", "/off", ASKED(APP, "GET"), 405, "method_not_allowed", ""},
    {"OPTIONS", "/any", ASKED("https://b.example", "DELETE") "\nAccess-Control-Request-Headers: x-a", 204,
     "preflight",
     PREFLIGHT "Allow-Origin: *\nAllow-Methods: *\nAllow-Headers: Authorization, *\nMax-Age: 600\n"},
    {"OPTIONS", "/any", "", 405, "method_not_allowed", PREFLIGHT "Allow-Origin: *\nExpose-Headers: *\n"},
    {"OPTIONS", "/open",
     ASKED("null",
           "GET") "\nAccess-Control-Request-Headers: X-A, x-b\nAccess-Control-Request-Private-Network: true",
     204, "preflight",
     "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
     "Access-Control-Request-Private-Network\n"
     "Allow-Origin: null\nAllow-Methods: GET, HEAD, POST\nAllow-Headers: x-a, x-b\nMax-Age: 0\n"
     "Allow-Private-Network: true\n"},
    {"OPTIONS", "/open",
     ASKED("null", "GET") "\nAccess-Control-Request-Headers: a b, <x>, "
                          ",ok\nAccess-Control-Request-Private-Network: yes",
     204, "preflight_refused",
     "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers, "
     "Access-Control-Request-Private-Network\n"
     "Allow-Origin: null\nAllow-Methods: GET, HEAD, POST\nAllow-Headers: ok\nMax-Age: 0\n"},
    /* enforced */
    {"GET", "/strict", "", 200, NULL, "Vary: Origin\n"},
    {"GET", "/strict", "Origin: " APP, 200, NULL,
     "Vary: Origin\nAllow-Origin: " APP "\nExpose-Headers: X-Request-ID\n"},
    {"POST", "/strict", "Origin: http://a.example", 200, NULL, "Vary: Origin\n"},
    {"POST", "/strict", "Origin: https://a.example", 403, "origin_not_allowed", "Vary: Origin\n"},
    {"GET", "/strict", "Origin: https://evil.net", 403, "origin_not_allowed", "Vary: Origin\n"},
    {"GET", "/strict", "Origin: null", 403, "origin_not_allowed", "Vary: Origin\n"},
    {"GET", "/strict", "Origin: " APP " " APP, 403, "origin_not_allowed", "Vary: Origin\n"},
    {"OPTIONS", "/strict", ASKED("https://evil.net", "GET"), 403, "origin_not_allowed", PREFLIGHT},
    {"DELETE", "/strict", "Origin: https://evil.net", 403, "origin_not_allowed", "Vary: Origin\n"},
    /* reported */
    {"GET", "/tried", "Origin: https://evil.net", 200, NULL, "Vary: Origin\n"},
    {"OPTIONS", "/tried", ASKED("https://evil.net", "GET"), 204, "preflight_refused", PREFLIGHT},
    {"GET", "/report", "Origin: https://evil.net", 200, NULL, "Vary: Origin\n"},
    {"OPTIONS", "/report", ASKED(APP, "GET"), 204, "preflight",
     PREFLIGHT "Allow-Origin: " APP "\nAllow-Methods: GET, HEAD, POST\nAllow-Headers: Authorization, "
               "Content-Type\nMax-Age: 600\n"},
    /* a web server's question itself */
    {"OPTIONS", "/_ask", ASKED(APP, "GET"), 405, "method_not_allowed", ""},
};

START_TEST(requests_are_answered)
{
    struct exchange exchange = asked(requests[_i].method, requests[_i].path, requests[_i].headers, false);
    const char *code = requests[_i].code, *about = requests[_i].headers;
    bool passes = exchange.verdict.kind == VERDICT_PASS;
    ck_assert_msg(passes == !code, "%s %s: %s", requests[_i].path, about,
                  passes ? "passes" : exchange.verdict.code);
    ck_assert_msg(!code || strcmp(exchange.verdict.code, code) == 0, "%s %s: %s", requests[_i].path, about,
                  exchange.verdict.code);
    ck_assert_msg(exchange.reply.status == requests[_i].status, "%s %s: %d", requests[_i].path, about,
                  exchange.reply.status);
    ck_assert_msg(strcmp(granted(&exchange), requests[_i].granted) == 0,
                  "%s %s %s\n--- has\n%s--- expected\n%s", requests[_i].method, requests[_i].path, about,
                  granted(&exchange), requests[_i].granted);
    bool answered = exchange.verdict.kind == VERDICT_ANSWER;
    ck_assert(!answered ||
              (exchange.reply.length == 0 && !headers_get(&exchange.reply.headers, "content-type")));
}
END_TEST

/* 405 says of the path what it always did. */
START_TEST(allow_is_as_ever)
{
    struct exchange exchange = asked("OPTIONS", "/half", ASKED(APP, "POST"), false);
    ck_assert(text_equal(*headers_get(&exchange.reply.headers, "allow"), TEXT("GET, HEAD, POST")));
}
END_TEST

/* To who only asks a preflight is a request as any other, so that it opens no way around the guards. */
START_TEST(authorizers_answer_no_preflight)
{
    struct exchange exchange = asked("OPTIONS", "/web", ASKED(APP, "PUT"), true);
    ck_assert_str_eq(exchange.verdict.code, "method_not_allowed");
    exchange = asked("OPTIONS", "/strict", ASKED("https://evil.net", "GET"), true);
    ck_assert_str_eq(exchange.verdict.code, "origin_not_allowed");
    exchange = asked("OPTIONS", "/two", ASKED(APP, "GET"), true);
    ck_assert_int_eq(exchange.verdict.kind, VERDICT_PASS);
    ck_assert(exchange.route->cors == NULL);
}
END_TEST

START_TEST(too_much_is_not_reflected)
{
    for (size_t count = CORS_ASKED_MOST / 2 - 1; count <= CORS_ASKED_MOST / 2; count++) {
        char *names = arena_alloc(arena, 2 * count + 1);
        for (size_t i = 0; i < count; i++)
            memcpy(names + 2 * i, "a,", 2);
        const char *headers =
            arena_printf(arena, "%s\nAccess-Control-Request-Headers: %sb", ASKED("null", "GET"), names);
        struct exchange exchange = asked("OPTIONS", "/open", headers, false);
        const struct text *allowed = headers_get(&exchange.reply.headers, "access-control-allow-headers");
        bool short_enough = 2 * count + 1 <= CORS_ASKED_MOST;
        ck_assert_str_eq(exchange.verdict.code, short_enough ? "preflight" : "preflight_refused");
        ck_assert(short_enough ? allowed && allowed->length == 3 * count + 1 : !allowed);
    }
}
END_TEST

/* What a program says of it does not count, and what it says of caches does. */
START_TEST(a_programs_own_are_replaced)
{
    static const char *const sent[][2] = {{"Access-Control-Allow-Origin", "*"},
                                          {"access-control-allow-credentials", "true"},
                                          {"ACCESS-CONTROL-MAX-AGE", "5"},
                                          {"Access-Control-", "x"},
                                          {"Access-Controls", "kept"},
                                          {"Vary", "Accept, origin"},
                                          {"vary", "Cookie"},
                                          {"RateLimit", "x"},
                                          {"Link", "</b>"}};
    struct exchange exchange = asked("GET", "/web", "Origin: " APP, false);
    exchange.reply.headers = (struct headers){0};
    for (size_t i = 0; i < COUNT(sent); i++)
        headers_add(&exchange.reply.headers, arena, text_of(sent[i][0]), text_of(sent[i][1]));
    cors_headers_apply(exchange.route->cors, &exchange, "X-Id");
    ck_assert_str_eq(granted(&exchange),
                     "Vary: Accept, origin, Cookie\nAllow-Origin: " APP
                     "\nAllow-Credentials: true\nExpose-Headers: ETag, RateLimit, Link\n");
    ck_assert_uint_eq(exchange.reply.headers.count, 7);
    headers_set(&exchange.reply.headers, arena, TEXT("Vary"), TEXT("*"));
    cors_headers_apply(exchange.route->cors, &exchange, "X-Id");
    ck_assert(text_equal(*headers_get(&exchange.reply.headers, "vary"), TEXT("*")));
}
END_TEST

/* ================ operations */

static const char document[] =
    "{\"openapi\": \"3.1.0\", \"info\": {\"title\": \"t\", \"version\": \"1\"}, \"paths\": {\"/a\": {"
    "\"get\": {\"responses\": {\"200\": {\"description\": \"x\"}}}, "
    "\"put\": {\"operationId\": \"putA\", \"responses\": {\"200\": {\"description\": \"x\"}}}}}}";

/* Each operation is a route, whatever its neighbours of the path say; what none has is the defaults'. */
START_TEST(operations_are_routes)
{
    static const struct {
        const char *path, *method, *origin, *code, *methods;
    } cases[] = {
        {"/api/a", "GET", APP, "preflight", "GET, HEAD"},
        {"/api/a", "PUT", APP, "preflight_refused", NULL},
        {"/api/a", "PUT", "https://b.example", "preflight", "PUT"},
        {"/api/a", "PATCH", APP, "preflight", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"/api/b/c", "DELETE", APP, "preflight", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"/api/b/c", "PROPFIND", APP, "preflight_refused", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
        {"/b", "GET", APP, "route_not_found", NULL},
    };
    char file[] = "/tmp/check_cors-XXXXXX.json";
    int descriptor = mkstemps(file, 5);
    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq((int)write(descriptor, document, strlen(document)), (int)strlen(document));
    close(descriptor);
    policy_free(policy);
    policy = parse(arena_printf(
        arena,
        "openapi: {file: %s, base: /api, undocumented: report}\n"
        "defaults: {auth: none, errors: {html: false}, exec: /bin/true, cors: {origins: " APP "}}\n"
        "routes: [{operation: putA, cors: {origins: https://b.example}}]\n",
        file));
    unlink(file);
    ck_assert_msg(policy->findings.errors == 0, "%s", told(policy, FINDING_ERROR));
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *headers = arena_printf(arena, "Origin: %s\nAccess-Control-Request-Method: %s",
                                           cases[i].origin, cases[i].method);
        struct exchange exchange = asked("OPTIONS", cases[i].path, headers, false);
        ck_assert_msg(strcmp(exchange.verdict.code, cases[i].code) == 0, "%zu: %s", i, exchange.verdict.code);
        const struct text *methods = headers_get(&exchange.reply.headers, "access-control-allow-methods");
        ck_assert_msg(cases[i].methods ? methods && text_equal(*methods, text_of(cases[i].methods))
                                       : !methods,
                      "%zu: %.*s", i, TEXT_ARGUMENTS(methods ? *methods : TEXT("none")));
    }
}
END_TEST

#define ADD_TABLE(test_, table_) tcase_add_loop_test(cases, test_, 0, (int)COUNT(table_))

int main(void)
{
    Suite *suite = suite_create("cors");
    TCase *cases = tcase_create("origins");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD_TABLE(patterns_fit, fits);
    ADD_TABLE(others_are_no_origins, no_origins);
    tcase_add_test(cases, origins_are_bounded);
    ADD_TABLE(origins_are_corrected, corrections);
    ADD_TABLE(own_origin_is_known, owns);
    ADD_TABLE(vary_is_merged, varies);
    tcase_add_test(cases, vary_has_an_end);
    ADD_TABLE(bad_rules_are_explained, bad);
    ADD_TABLE(risky_rules_are_advised, advised);
    tcase_add_test(cases, names_are_of_the_top);
    suite_add_tcase(suite, cases);
    cases = tcase_create("requests");
    tcase_add_checked_fixture(cases, load_policy, free_policy);
    ADD_TABLE(requests_are_answered, requests);
    tcase_add_test(cases, allow_is_as_ever);
    tcase_add_test(cases, authorizers_answer_no_preflight);
    tcase_add_test(cases, too_much_is_not_reflected);
    tcase_add_test(cases, a_programs_own_are_replaced);
    tcase_add_test(cases, operations_are_routes);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
