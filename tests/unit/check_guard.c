/*
 * Tests of the guards, each from the text of a policy to its verdicts, and of
 * the loop that runs them. The channel is the only thing that is played.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "data/file.h"
#include "guard/auth_method.h"
#include "guard/guard.h"
#include "http/host.h"
#include "http/path.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FINDINGS_TEXT_SIZE = 4096, RUNS_LIMIT = 32 };

/* ---- help for the tests */

/* A client that has sent `ready` bytes of its body; then `end` says what comes. */
struct client {
    struct channel channel; /* first: a channel is its client */
    size_t ready;
    int end; /* 0: the body's end; else errno */
};

static ssize_t client_receive(struct channel *channel, void *to, size_t size)
{
    struct client *client = (struct client *)channel;
    size_t length = client->ready < size ? client->ready : size;
    if (length == 0 && client->end) {
        errno = client->end;
        return -1;
    }
    memset(to, 'x', length);
    client->ready -= length;
    return (ssize_t)length;
}

static struct arena *arena;
static struct client client;
static struct exchange exchange;

static void set_up(void)
{
    arena = arena_new();
    client = (struct client){.channel = {.receive = client_receive, .body_length = -1}};
    exchange = (struct exchange){.arena = arena, .method_known = true};
    exchange.request.method = TEXT("GET");
    exchange.request.path = exchange.request.target = TEXT("/");
    exchange.body = (struct body){.channel = &client.channel, .limit = UINT64_MAX, .spool = {.file = -1}};
}

static void tear_down(void)
{
    arena_free(arena);
}

static size_t place_of(const char *name)
{
    size_t place = 0;
    while (guards[place] && strcmp(guards[place]->name, name) != 0)
        place++;
    ck_assert_msg(guards[place] != NULL, "there is no guard %s", name);
    return place;
}

/* The rules of a guard as `policy` has them; NULL when they are refused.
 * Findings of `kind` are printed to `told`, which may be NULL. */
static void *load(const char *name, const char *policy, enum finding_kind kind, char told[FINDINGS_TEXT_SIZE])
{
    const struct guard *guard = guards[place_of(name)];
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/"};
    const struct node *node = policy ? file_parse(text_of(policy), false, &findings) : NULL;
    ck_assert_msg(!policy || node, "no YAML: %s", policy);
    void *rules = arena_alloc(arena, guard->section.size);
    bool good = !guard->section.fields || decode_section(&decoder, &guard->section, node, rules);
    if (guard->prepare && !guard->prepare(rules, &decoder, node))
        good = false;
    ck_assert_msg(good == (findings.errors == 0), "%s: %s", name, policy);
    if (good && node && guard->advise)
        guard->advise(rules, &findings, node);
    if (told) {
        memset(told, 0, FINDINGS_TEXT_SIZE);
        FILE *stream = fmemopen(told, FINDINGS_TEXT_SIZE - 1, "w");
        findings_print(&findings, kind, stream);
        fclose(stream);
    }
    return good ? rules : NULL;
}

static void *rules_of(const char *name, const char *policy)
{
    char told[FINDINGS_TEXT_SIZE];
    void *rules = load(name, policy, FINDING_ERROR, told);
    ck_assert_msg(rules != NULL, "%s: %s: %s", name, policy, told);
    return rules;
}

static struct verdict check_with(const char *name, const char *policy)
{
    return guards[place_of(name)]->check(rules_of(name, policy), &exchange);
}

/* `code` NULL: it passes. */
static void expect(struct verdict verdict, int status, const char *code, const char *about)
{
    ck_assert_msg((verdict.kind == VERDICT_PASS) == (code == NULL), "%s: %s", about,
                  verdict.code ? verdict.code : "passes");
    if (!code)
        return;
    ck_assert_msg(strcmp(verdict.code, code) == 0, "%s: %s, expected %s", about, verdict.code, code);
    ck_assert_msg(verdict.status == status, "%s: %d, expected %d", about, verdict.status, status);
}

struct bad_policy {
    const char *policy, *finding; /* the beginning of what is said */
};

static void expect_finding(const char *guard, const struct bad_policy *bad)
{
    char told[FINDINGS_TEXT_SIZE];
    ck_assert_msg(load(guard, bad->policy, FINDING_ERROR, told) == NULL, "%s: taken: %s", guard, bad->policy);
    ck_assert_msg(strncmp(told, bad->finding, strlen(bad->finding)) == 0, "%s: said %sexpected %s",
                  bad->policy, told, bad->finding);
}

static void expect_advice(const char *guard, const char *policy, const char *advice)
{
    char told[FINDINGS_TEXT_SIZE];
    ck_assert_ptr_nonnull(load(guard, policy, FINDING_ADVICE, told));
    ck_assert_msg(advice ? strstr(told, advice) != NULL : *told == '\0', "%s: said %s", policy, told);
}

/* ================ dotfiles */

static const struct {
    const char *policy, *path;
    bool passes;
} dotfiles_cases[] = {
    {NULL, "/", true},
    {NULL, "/a", true},
    {NULL, "/a/b.c", true},
    {NULL, "/a.git/config", true},
    {NULL, "/a../b", true},
    {NULL, "/a/", true},
    {NULL, "*", true},
    {NULL, "/.git", false},
    {NULL, "/.git/", false},
    {NULL, "/.git/config", false},
    {NULL, "/a/.env", false},
    {NULL, "/a/.b/c", false},
    {NULL, "/.", false},
    {NULL, "/...", false},
    {NULL, "/.well-known/acme-challenge/x", false},
    {"[]", "/.well-known/x", false},
    {".well-known", "/.well-known/x", true},
    {".well-known", "/a/.well-known", true},
    {".well-known", "/.well-known/.git", false},
    {".well-known", "/.well-known2", false},
    {".well-known", "/.well-know", false},
    {".well-known", "/.Well-Known", false},
    {"[.a, .b]", "/.a/.b", true},
    {"[.a, .b]", "/.a/.b/.c", false},
    {"{allow: [.a]}", "/.a", true},
};

START_TEST(dotfiles_judges)
{
    exchange.request.path = text_of(dotfiles_cases[_i].path);
    struct verdict verdict = check_with("dotfiles", dotfiles_cases[_i].policy);
    expect(verdict, 404, dotfiles_cases[_i].passes ? NULL : "dotfile", dotfiles_cases[_i].path);
}
END_TEST

/* An encoded dot is a dot, by way of the canonical path. */
START_TEST(dotfiles_sees_through_escapes)
{
    ck_assert_ptr_null(path_canonical(TEXT("/a/%2egit/config"), arena, &exchange.request.path));
    expect(check_with("dotfiles", NULL), 404, "dotfile", "%2egit");
    ck_assert_ptr_null(path_canonical(TEXT("/a/./b/../c"), arena, &exchange.request.path));
    expect(check_with("dotfiles", NULL), 0, NULL, "/a/./b/../c");
}
END_TEST

static const struct bad_policy dotfiles_bad[] = {
    {"git", "p:1:1: \"git\" is not a name that begins with a dot, expected one such as .well-known\n"},
    {"allow: [.a, b]", "p:1:13: allow[1]: \"b\" is not a name"},
    {"[.]", "p:1:2: [0]: \".\" is not a name"},
    {"[..]", "p:1:2: [0]: \"..\" is not a name"},
    {"[.a/b]", "p:1:2: [0]: \".a/b\" is not a name"},
    {"['']", "p:1:2: [0]: \"\" is empty"},
    {"[a, .b, c]",
     "p:1:2: [0]: \"a\" is not a name that begins with a dot, expected one such as .well-known\n"
     "p:1:9: [2]: \"c\" is not"},
    {"{alow: []}", "p:1:2: alow: this key is not known"},
};

START_TEST(dotfiles_refuses)
{
    expect_finding("dotfiles", &dotfiles_bad[_i]);
}
END_TEST

START_TEST(dotfiles_advises)
{
    expect_advice("dotfiles", ".well-known", NULL);
    expect_advice("dotfiles", "[.github]", NULL);
    expect_advice("dotfiles", ".git",
                  ".git is let through, and whoever can read a .git folder has the sources");
    expect_advice("dotfiles", "[.well-known, .env]", ".env is let through, and");
    expect_advice("dotfiles", "[.env.local]", "passwords");
    expect_advice("dotfiles", "[.htpasswd]", "password hashes");
    expect_advice("dotfiles", "[.htaccess]", ".htaccess is let through");
    expect_advice("dotfiles", "[.ssh]", "private keys");
}
END_TEST

/* ================ hosts */

static const struct {
    const char *policy;
    const char *host; /* as a client sends it; NULL: not at all */
    bool secure;
    const char *code; /* NULL: it passes */
} hosts_cases[] = {
    {"example.com", "example.com", false, NULL},
    {"example.com", "EXAMPLE.com", false, NULL},
    {"Example.COM", "example.com", false, NULL},
    {"example.com", "example.com.", false, NULL},
    {"example.com.", "example.com", false, NULL},
    {"example.com.", "example.com.", false, NULL},
    {"example.com", "example.com:80", false, NULL},
    {"example.com", "example.com:443", true, NULL},
    {"example.com", "example.com:31337", false, NULL},
    {"example.com", "example.com.:8080", false, NULL},
    {"example.com", "www.example.com", false, "host_not_allowed"},
    {"example.com", "xample.com", false, "host_not_allowed"},
    {"example.com", "notexample.com", false, "host_not_allowed"},
    {"example.com", "example.com.evil.net", false, "host_not_allowed"},
    {"example.com", "example.co", false, "host_not_allowed"},
    {"example.com", "example-com", false, "host_not_allowed"},
    {"example.com", "com", false, "host_not_allowed"},
    {"example.com", "localhost", false, "host_not_allowed"},
    {"example.com", "127.0.0.1", false, "host_not_allowed"},
    {"example.com", NULL, false, "host_missing"},
    {"'*.example.com'", NULL, false, "host_missing"},

    {"example.com:8080", "example.com:8080", false, NULL},
    {"example.com:8080", "example.com", false, "host_not_allowed"},
    {"example.com:8080", "example.com:80", false, "host_not_allowed"},
    {"example.com:8080", "example.com:808", false, "host_not_allowed"},
    {"example.com:8080", "example.com:18080", false, "host_not_allowed"},
    {"example.com:8080", "example.org:8080", false, "host_not_allowed"},
    {"example.com:80", "example.com", false, NULL},
    {"example.com:80", "example.com", true, "host_not_allowed"},
    {"example.com:80", "example.com:80", true, NULL},
    {"example.com:443", "example.com", true, NULL},
    {"example.com:443", "example.com", false, "host_not_allowed"},
    {"example.com:443", "example.com:443", false, NULL},
    {"example.com:443", "example.com:8443", true, "host_not_allowed"},

    {"'*.example.com'", "a.example.com", false, NULL},
    {"'*.example.com'", "A.Example.Com.", false, NULL},
    {"'*.example.com'", "a.b.c.example.com", false, NULL},
    {"'*.example.com'", "a.example.com:8080", false, NULL},
    {"'*.example.com'", "_dmarc.example.com", false, NULL},
    {"'*.example.com'", "example.com", false, "host_not_allowed"},
    {"'*.example.com'", "example.com.", false, "host_not_allowed"},
    {"'*.example.com'", "aexample.com", false, "host_not_allowed"},
    {"'*.example.com'", "a-example.com", false, "host_not_allowed"},
    {"'*.example.com'", "a.example.com.evil.net", false, "host_not_allowed"},
    {"'*.example.com'", "a.example.org", false, "host_not_allowed"},
    {"'*.example.com:8443'", "a.example.com:8443", false, NULL},
    {"'*.example.com:8443'", "a.example.com", true, "host_not_allowed"},
    {"'*.com'", "example.com", false, NULL},
    {"'*.com'", "com", false, "host_not_allowed"},

    {"192.0.2.1", "192.0.2.1", false, NULL},
    {"192.0.2.1", "192.0.2.1:8080", false, NULL},
    {"192.0.2.1", "192.0.2.10", false, "host_not_allowed"},
    {"192.0.2.1:80", "192.0.2.1", false, NULL},
    {"'[2001:db8::1]'", "[2001:db8::1]", false, NULL},
    {"'[2001:DB8:0:0:0:0:0:1]'", "[2001:db8::1]", false, NULL},
    {"'[2001:db8::1]'", "[2001:0DB8:0000::0001]", false, NULL},
    {"'[2001:db8::1]'", "[2001:db8::1]:8080", false, NULL},
    {"'[2001:db8::1]'", "[2001:db8::2]", false, "host_not_allowed"},
    {"'[2001:db8::1]:8080'", "[2001:db8::1]:8080", false, NULL},
    {"'[2001:db8::1]:8080'", "[2001:db8::1]", false, "host_not_allowed"},
    {"'[::1]'", "[::1]", false, NULL},
    {"'[::1]'", "localhost", false, "host_not_allowed"},
    {"'[::ffff:192.0.2.1]'", "[::ffff:c000:201]", false, NULL},

    {"[example.com, '*.example.org']", "example.com", false, NULL},
    {"[example.com, '*.example.org']", "a.example.org", false, NULL},
    {"[example.com, '*.example.org']", "a.example.com", false, "host_not_allowed"},
    {"[example.com, '*.example.org']", "example.org", false, "host_not_allowed"},
    {"['a.example.com:1', 'a.example.com:2']", "a.example.com:2", false, NULL},
    {"['a.example.com:1', 'a.example.com:2']", "a.example.com:3", false, "host_not_allowed"},
    {"{names: [localhost]}", "localhost:3000", false, NULL},
    {"xn--bcher-kva.example", "XN--bcher-kva.example", false, NULL},
};

/* What nginx of Debian makes of "Host: example.com:8080". */
START_TEST(hosts_knows_the_port_of_the_server)
{
    struct param port = {TEXT("SERVER_PORT"), TEXT("8080")};
    exchange.request.host = TEXT("example.com");
    exchange.request.server = (struct params){&port, 1};
    expect(check_with("hosts", "example.com:8080"), 0, NULL, "the server's port");
    expect(check_with("hosts", "example.com:80"), 0, NULL, "the scheme's");
    expect(check_with("hosts", "example.com:8081"), 400, "host_not_allowed", "another");
    exchange.request.host_port = TEXT("8081");
    expect(check_with("hosts", "example.com:8080"), 400, "host_not_allowed", "the host names one");
    expect(check_with("hosts", "example.com:8081"), 0, NULL, "that one");
}
END_TEST

START_TEST(hosts_judges)
{
    struct host host = {0};
    char about[256];
    if (hosts_cases[_i].host)
        ck_assert(host_parse(text_of(hosts_cases[_i].host), arena, &host));
    exchange.request.host = host.name;
    exchange.request.host_port = host.port;
    exchange.request.secure = hosts_cases[_i].secure;
    snprintf(about, sizeof about, "%s for %s", hosts_cases[_i].policy,
             hosts_cases[_i].host ? hosts_cases[_i].host : "nobody");
    expect(check_with("hosts", hosts_cases[_i].policy), 400, hosts_cases[_i].code, about);
}
END_TEST

#define NOT_A_HOST                                                                                           \
    "is not a host, expected one such as example.com, *.example.com, 192.0.2.1 or [2001:db8::1], with or "   \
    "without a :port\n"

static const struct bad_policy hosts_bad[] = {
    {"'*'", "p:1:1: \"*\" " NOT_A_HOST},
    {"[example.com, 'a b']", "p:1:15: [1]: \"a b\" " NOT_A_HOST},
    {"names: [example.com, '*.*.example.com']", "p:1:22: names[1]: \"*.*.example.com\" " NOT_A_HOST},
    {"['a.*.example.com']", "p:1:2: [0]: \"a.*.example.com\" is not"},
    {"['*example.com']", "p:1:2: [0]: \"*example.com\" is not"},
    {"['*.']", "p:1:2: [0]: \"*.\" is not"},
    {"['*.192.0.2.1']", "p:1:2: [0]: \"*.192.0.2.1\" is not"},
    {"['*.[::1]']", "p:1:2: [0]: \"*.[::1]\" is not"},
    {"['::1']", "p:1:2: [0]: \"::1\" is not"},
    {"['[::1']", "p:1:2: [0]: \"[::1\" is not"},
    {"['[::g]']", "p:1:2: [0]: \"[::g]\" is not"},
    {"['example.com:']", "p:1:2: [0]: \"example.com:\" is not"},
    {"['example.com:0']", "p:1:2: [0]: \"example.com:0\" is not"},
    {"['example.com:65536']", "p:1:2: [0]: \"example.com:65536\" is not"},
    {"['example.com:http']", "p:1:2: [0]: \"example.com:http\" is not"},
    {"['example..com']", "p:1:2: [0]: \"example..com\" is not"},
    {"['.example.com']", "p:1:2: [0]: \".example.com\" is not"},
    {"['https://example.com']", "p:1:2: [0]: \"https://example.com\" is not"},
    {"['example.com/a']", "p:1:2: [0]: \"example.com/a\" is not"},
    {"['user@example.com']", "p:1:2: [0]: \"user@example.com\" is not"},
    {"['b\xc3\xbc"
     "cher.example']",
     "p:1:2: [0]: \"b\xc3\xbc"
     "cher.example\" is not"},
    {"['256.0.0.1']", "p:1:2: [0]: \"256.0.0.1\" is not"},
    {"['127.1']", "p:1:2: [0]: \"127.1\" is not"},
    {"['']", "p:1:2: [0]: \"\" is empty"},
    {"[]", "p:1:1: there is no host, expected at least one\n"},
    {"{names: []}", "p:1:9: names: there is no host"},
    {"{}", "p:1:1: the key `names` is missing, expected a list of hosts\n"},
    {"{name: example.com}", "p:1:1: the key `names` is missing, expected a list of hosts\np:1:2: name: this "
                            "key is not known, expected one of names; did you mean \"names\"?"},
    {"['', a b]", "p:1:2: [0]: \"\" is empty, expected a text\np:1:6: [1]: \"a b\" " NOT_A_HOST},
    {"[a.example, '-', b_c, ':80']", "p:1:23: [3]: \":80\" is not"},
};

START_TEST(hosts_refuses)
{
    expect_finding("hosts", &hosts_bad[_i]);
}
END_TEST

/* All that is wrong is said at once. */
START_TEST(hosts_refuses_each)
{
    static const struct bad_policy bad = {"- '*'\n- example.com\n- a/b\n",
                                          "p:1:3: [0]: \"*\" " NOT_A_HOST "p:3:3: [2]: \"a/b\" " NOT_A_HOST};
    expect_finding("hosts", &bad);
}
END_TEST

/* ================ https */

static const struct {
    const char *policy, *method, *host;
    bool secure;
    int status; /* 0: it passes */
} https_cases[] = {
    {NULL, "GET", "example.com", false, 0},
    {"off", "GET", "example.com", false, 0},
    {"off", "POST", "example.com", false, 0},
    {"require", "GET", "example.com", true, 0},
    {"require", "GET", "example.com", false, 403},
    {"require", "HEAD", "example.com", false, 403},
    {"require", "POST", "example.com", false, 403},
    {"require", "GET", "", false, 403},
    {"require", "GET", "", true, 0},
    {"redirect", "GET", "example.com", true, 0},
    {"redirect", "POST", "example.com", true, 0},
    {"redirect", "GET", "example.com", false, 308},
    {"redirect", "HEAD", "example.com", false, 308},
    {"redirect", "POST", "example.com", false, 403},
    {"redirect", "PUT", "example.com", false, 403},
    {"redirect", "DELETE", "example.com", false, 403},
    {"redirect", "OPTIONS", "example.com", false, 403},
    {"redirect", "get", "example.com", false, 403},
    {"redirect", "GETX", "example.com", false, 403},
    {"redirect", "GET", "", false, 403},
    {"{policy: redirect}", "GET", "[::1]", false, 308},
};

START_TEST(https_judges)
{
    exchange.request.method = text_of(https_cases[_i].method);
    exchange.request.host = text_of(https_cases[_i].host);
    exchange.request.secure = https_cases[_i].secure;
    struct verdict verdict = check_with("https", https_cases[_i].policy);
    int status = https_cases[_i].status;
    const char *code = status == 308 ? "https_redirect" : "https_required";
    expect(verdict, status, status ? code : NULL, https_cases[_i].method);
    enum verdict_kind kind = status == 0 ? VERDICT_PASS : status == 308 ? VERDICT_ANSWER : VERDICT_DENY;
    ck_assert_int_eq(verdict.kind, kind);
}
END_TEST

static const struct auth_kind *api_key_kind(void)
{
    size_t i = 0;
    while (strcmp(auth_kinds[i]->name, "api_key") != 0)
        i++;
    return auth_kinds[i];
}

static struct verdict redirect_with(const char *header, const char *query)
{
    static struct header headers[1];
    static const char way[] = "{api_key: {header: X-API-Key, query: key, cookie: key, keys: []}}";
    struct findings findings = findings_new(arena, "p");
    struct auth_method method = {.kind = api_key_kind(), .name = "api"};
    struct auth_methods methods = {&method, 1, false, NULL, NULL, NULL};
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/", .auth = &methods};
    const struct node *node = file_parse(text_of(way), false, &findings);
    const struct guard *https = guards[place_of("https")];
    void *rules = arena_alloc(arena, https->section.size);
    method.rules = arena_alloc(arena, method.kind->section.size);
    ck_assert(decode_section(&decoder, &method.kind->section, node_get(node, "api_key"), method.rules));
    ck_assert(method.kind->prepare(method.rules, &decoder, node));
    ck_assert(
        decode_section(&decoder, &https->section, file_parse(TEXT("redirect"), false, &findings), rules));
    ck_assert(https->prepare(rules, &decoder, node));
    size_t colon = text_find(text_of(header), ':');
    headers[0] = (struct header){{header, colon}, text_trim(text_from(text_of(header), colon + 1))};
    exchange.request.headers = (struct headers){headers, colon > 0, 1};
    exchange.request.host = TEXT("example.com");
    exchange.request.query = text_of(query);
    return https->check(rules, &exchange);
}

/* Its sender would go on with what has leaked. */
START_TEST(https_redirects_no_credential)
{
    expect(redirect_with("", ""), 308, "https_redirect", "none");
    expect(redirect_with("authorization: Bearer x", ""), 403, "https_required", "a token");
    expect(redirect_with("authorization: ", ""), 403, "https_required", "an empty one");
    expect(redirect_with("x-api-key: x", ""), 403, "https_required", "a key");
    expect(redirect_with("x-api-key: ", ""), 403, "https_required", "an empty one");
    expect(redirect_with("x-other: x", ""), 308, "https_redirect", "another header");
    expect(redirect_with("", "a=b&key=x"), 403, "https_required", "a key in the query");
    expect(redirect_with("", "keys=x"), 308, "https_redirect", "another parameter");
    expect(redirect_with("cookie: key=x", ""), 308, "https_redirect", "a cookie");
    ck_assert_ptr_null(exchange.caller);
}
END_TEST

static const struct bad_policy https_bad[] = {
    {"on", "p:1:1: \"on\" is not known, expected one of off, require, redirect\n"},
    {"true", "p:1:1: \"true\" is not known"},
    {"Require", "p:1:1: \"Require\" is not known"},
    {"[require]", "p:1:1: a list does not fit here"},
};

START_TEST(https_refuses)
{
    expect_finding("https", &https_bad[_i]);
}
END_TEST

/* ================ addresses */

static const struct {
    const char *policy;
    const char *client; /* NULL: not known */
    bool passes;
} addresses_cases[] = {
    {"192.0.2.0/24", "192.0.2.1", true},
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.0/24", "192.0.1.255", false},
    {"192.0.2.0/24", "::ffff:192.0.2.1", true},
    {"192.0.2.0/24", "::192.0.2.1", false},
    {"192.0.2.0/24", NULL, false},
    {"192.0.2.7", "192.0.2.7", true},
    {"192.0.2.7", "192.0.2.8", false},
    {"'2001:db8::/32'", "2001:db8:ffff::1", true},
    {"'2001:db8::/32'", "2001:db9::", false},
    {"'2001:db8::/32'", "192.0.2.1", false},
    {"'::1'", "::1", true},
    {"'::1'", "127.0.0.1", false},
    {"'::/0'", "2001:db8::1", true},
    {"'::/0'", "192.0.2.1", false},
    {"0.0.0.0/0", "192.0.2.1", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"0.0.0.0/0", NULL, false},
    {"[0.0.0.0/0, '::/0']", NULL, false},
    {"[10.0.0.0/8, '2001:db8::/32']", "10.1.2.3", true},
    {"[10.0.0.0/8, '2001:db8::/32']", "2001:db8::1", true},
    {"[10.0.0.0/8, '2001:db8::/32']", "11.1.2.3", false},
    {"deny: [10.0.0.0/8]", "10.1.2.3", false},
    {"deny: [10.0.0.0/8]", "11.1.2.3", true},
    {"deny: [10.0.0.0/8]", "2001:db8::1", true},
    {"deny: [10.0.0.0/8]", "::ffff:10.0.0.1", false},
    {"deny: [10.0.0.0/8]", NULL, false},
    {"deny: 192.0.2.1", "192.0.2.1", false},
    {"{allow: [10.0.0.0/8], deny: [10.0.0.0/16]}", "10.1.0.1", true},
    {"{allow: [10.0.0.0/8], deny: [10.0.0.0/16]}", "10.0.0.1", false},
    {"{allow: [10.0.0.0/16], deny: [10.0.0.0/8]}", "10.0.0.1", false},
    {"{allow: [10.0.0.0/8], deny: [10.0.0.0/16]}", "11.0.0.1", false},
    {"{allow: [], deny: [10.0.0.0/8]}", "11.0.0.1", true},
};

START_TEST(addresses_judges)
{
    const char *client_address = addresses_cases[_i].client;
    if (client_address)
        ck_assert(address_parse(text_of(client_address), &exchange.request.client));
    /* Who connected does not matter, only who asks. */
    ck_assert(address_parse(TEXT("10.0.0.1"), &exchange.request.peer));
    expect(check_with("addresses", addresses_cases[_i].policy), 403,
           addresses_cases[_i].passes ? NULL : "address_not_allowed", addresses_cases[_i].policy);
}
END_TEST

static const struct bad_policy addresses_bad[] = {
    {"{}", "p:1:1: both lists are empty, expected networks in `allow` or `deny`\n"},
    {"[]", "p:1:1: both lists are empty"},
    {"{allow: [], deny: []}", "p:1:1: both lists are empty"},
    {"localhost",
     "p:1:1: \"localhost\" is not a network, expected an address or one such as 192.0.2.0/24, without "
     "bits behind the prefix\n"},
    {"[10.0.0.0/8, 10.0.0.1/8]", "p:1:14: [1]: \"10.0.0.1/8\" is not a network"},
    {"allow: [10.0.0.0/33]", "p:1:9: allow[0]: \"10.0.0.0/33\" is not a network"},
    {"deny: ['2001:db8::/129']", "p:1:8: deny[0]: \"2001:db8::/129\" is not a network"},
    {"deny: [10.0.0]", "p:1:8: deny[0]: \"10.0.0\" is not a network"},
    {"deny: [010.0.0.1]", "p:1:8: deny[0]: \"010.0.0.1\" is not a network"},
    {"deny: ['fe80::1%eth0']", "p:1:8: deny[0]: \"fe80::1%eth0\" is not a network"},
    {"deny: [{}]", "p:1:8: deny[0]: a map does not fit here"},
    {"denied: [10.0.0.0/8]",
     "p:1:1: denied: this key is not known, expected one of allow, deny\np:1:1: both lists are empty"},
    {"{allow: ['', x]}",
     "p:1:10: allow[0]: \"\" is empty, expected a text\np:1:14: allow[1]: \"x\" is not a network"},
};

START_TEST(addresses_refuses)
{
    expect_finding("addresses", &addresses_bad[_i]);
}
END_TEST

START_TEST(addresses_advises)
{
    expect_advice("addresses", "10.0.0.0/8", NULL);
    expect_advice("addresses", "'2001:db8::/96'", NULL);
    expect_advice("addresses", "'64:ff9b::/96'", NULL);
    expect_advice("addresses", "deny: 0.0.0.0/0", NULL);
    expect_advice("addresses", "[0.0.0.0/8, '::/8']", NULL);
    expect_advice("addresses", "0.0.0.0/0", "`allow` holds 0.0.0.0/0, so it keeps nobody out");
    expect_advice("addresses", "[10.0.0.0/8, '::/0']", "`allow` holds ::/0");
    expect_advice("addresses", "'::ffff:0:0/96'", "`allow` holds 0.0.0.0/0");
}
END_TEST

/* ================ methods */

START_TEST(methods_judges)
{
    expect(check_with("methods", NULL), 0, NULL, "known");
    exchange.method_known = false;
    expect(check_with("methods", NULL), 405, "method_not_allowed", "unknown");
}
END_TEST

/* The key `methods` is the router's. */
START_TEST(methods_has_no_key)
{
    ck_assert_ptr_null(guards[place_of("methods")]->section.fields);
    ck_assert(guards[place_of("methods")]->always);
}
END_TEST

/* ================ body */

static const struct {
    const char *policy;
    int64_t length;
    uint64_t limit;
    bool passes;
} body_cases[] = {
    {NULL, -1, 1 << 20, true},
    {NULL, 0, 1 << 20, true},
    {NULL, 1 << 20, 1 << 20, true},
    {NULL, (1 << 20) + 1, 1 << 20, false},
    {"10kb", 10 << 10, 10 << 10, true},
    {"10kb", (10 << 10) + 1, 10 << 10, false},
    {"10kb", INT64_MAX, 10 << 10, false},
    {"{max: 1b}", 1, 1, true},
    {"{max: 1b}", 2, 1, false},
    {"0", 0, 0, true},
    {"0", -1, 0, true},
    {"0b", 1, 0, false},
    {"4gb", INT64_C(4) << 30, UINT64_C(4) << 30, true},
};

START_TEST(body_judges)
{
    exchange.request.content_length = body_cases[_i].length;
    expect(check_with("body", body_cases[_i].policy), 413, body_cases[_i].passes ? NULL : "body_too_large",
           body_cases[_i].policy ? body_cases[_i].policy : "default");
    ck_assert_uint_eq(exchange.body.limit, body_cases[_i].limit);
}
END_TEST

/* What states no length is stopped while it is read. */
START_TEST(body_limits_reading)
{
    char buffer[64];
    ssize_t length;
    uint64_t all = 0;
    client.ready = 100;
    exchange.request.content_length = exchange.body.stated = -1;
    expect(check_with("body", "99b"), 0, NULL, "chunked");
    while ((length = body_read(&exchange.body, buffer, sizeof buffer)) > 0)
        all += (uint64_t)length;
    ck_assert_int_eq(length, BODY_OVER);
    ck_assert_uint_le(all, 99);
}
END_TEST

static const struct bad_policy body_bad[] = {
    {"10", "p:1:1: \"10\" does not fit, expected a size"},
    {"10kg", "p:1:1: \"10kg\" does not fit, expected a size"},
    {"-1b", "p:1:1: \"-1b\" does not fit"},
    {"99999999999999999999gb", "p:1:1: \"99999999999999999999gb\" does not fit"},
    {"{limit: 10kb}", "p:1:2: limit: this key is not known, expected one of max"},
};

START_TEST(body_refuses)
{
    expect_finding("body", &body_bad[_i]);
}
END_TEST

START_TEST(body_advises)
{
    expect_advice("body", "100mb", NULL);
    expect_advice("body", "101mb", "p:1:1: bodies of more than 100mb are let through");
    expect_advice("body", "{max: 1tb}", "bodies of more than 100mb");
}
END_TEST

/* ================ content types */

static const struct {
    const char *policy, *type;
    bool passes;
} content_types_cases[] = {
    {"application/json", "application/json", true},
    {"application/json", "Application/JSON", true},
    {"APPLICATION/Json", "application/json", true},
    {"application/json", "application/json; charset=utf-8", true},
    {"application/json", "application/json;charset=utf-8", true},
    {"application/json", "application/json ;charset=\"a;b\"", true},
    {"application/json", " application/json\t", true},
    {"application/json", "application/json;", true},
    {"application/json", "application/jsonp", false},
    {"application/json", "application/jso", false},
    {"application/json", "xapplication/json", false},
    {"application/json", "application/problem+json", false},
    {"application/json", "text/json", false},
    {"application/json", "text/plain; application/json", false},
    {"application/json", "", false},
    {"application/json", "application", false},
    {"application/json", "application/", false},
    {"application/json", "/json", false},
    {"application/json", "/", false},
    {"application/json", "application//json", false},
    {"application/json", "application/json/x", false},
    {"application/json", "application /json", false},
    {"application/json", "application/ json", false},
    {"application/json", "application/json, text/plain", false},
    {"application/json", "application/json text/plain", false},
    {"application/json", "application/\"json\"", false},
    {"application/json", ";application/json", false},
    {"application/json", "*/*", false},
    {"application/json", "application/*", false},
    {"application/json", "application/js\xc3\xb6n", false},

    {"image/*", "image/png", true},
    {"image/*", "IMAGE/svg+xml; x=y", true},
    {"image/*", "image/", false},
    {"image/*", "image", false},
    {"image/*", "image/*", false},
    {"image/*", "imagex/png", false},
    {"image/*", "text/png", false},

    {"application/*+json", "application/problem+json", true},
    {"application/*+json", "application/vnd.api+JSON; ext=a", true},
    {"application/*+json", "application/a+b+json", true},
    {"application/*+json", "application/json", false},
    {"application/*+json", "application/+json", false},
    {"application/*+json", "application/problem+jsonx", false},
    {"application/*+json", "application/problem-json", false},
    {"application/*+json", "text/problem+json", false},
    {"application/*+json", "application/*+json", false},

    {"[application/json, text/plain]", "text/plain", true},
    {"[application/json, text/plain]", "application/json", true},
    {"[application/json, text/plain]", "application/plain", false},
    {"{types: [multipart/form-data]}", "multipart/form-data; boundary=x", true},
};

START_TEST(content_types_judges)
{
    exchange.request.content_type = text_of(content_types_cases[_i].type);
    exchange.body.stated = 1;
    expect(check_with("content_types", content_types_cases[_i].policy), 415,
           content_types_cases[_i].passes ? NULL : "content_type_not_allowed", content_types_cases[_i].type);
}
END_TEST

/* Whether there is a body, where the type does not fit. */
static const struct {
    int64_t stated;
    size_t ready;
    int end;
    bool passes;
} presence_cases[] = {
    {0, 0, 0, true},   {1, 1, 0, false},       {1, 0, EAGAIN, false},        {-1, 0, 0, true},
    {-1, 1, 0, false}, {-1, 0, EAGAIN, false}, {-1, 0, ECONNABORTED, false},
};

START_TEST(content_types_needs_a_body)
{
    exchange.request.content_type = TEXT("text/plain");
    exchange.body.stated = presence_cases[_i].stated;
    client.ready = presence_cases[_i].ready;
    client.end = presence_cases[_i].end;
    expect(check_with("content_types", "application/json"), 415,
           presence_cases[_i].passes ? NULL : "content_type_not_allowed", "presence");
}
END_TEST

/* The byte that it looked at is not lost. */
START_TEST(content_types_leaves_the_body)
{
    char buffer[8];
    exchange.request.content_type = TEXT("application/json");
    exchange.body.stated = -1;
    client.ready = 3;
    expect(check_with("content_types", "application/json"), 0, NULL, "chunked");
    size_t all = 0;
    for (ssize_t length; (length = body_read(&exchange.body, buffer, sizeof buffer)) > 0;)
        all += (size_t)length;
    ck_assert_uint_eq(all, 3);
}
END_TEST

#define NOT_A_TYPE                                                                                           \
    "is not a media type, expected one such as application/json, image/* or application/*+json\n"

static const struct bad_policy content_types_bad[] = {
    {"json", "p:1:1: \"json\" " NOT_A_TYPE},
    {"[application/json, '*/*']", "p:1:20: [1]: \"*/*\" " NOT_A_TYPE},
    {"types: ['*/json']", "p:1:9: types[0]: \"*/json\" " NOT_A_TYPE},
    {"['app*/json']", "p:1:2: [0]: \"app*/json\" is not"},
    {"['application/*json']", "p:1:2: [0]: \"application/*json\" is not"},
    {"['application/js*']", "p:1:2: [0]: \"application/js*\" is not"},
    {"['application/*+']", "p:1:2: [0]: \"application/*+\" is not"},
    {"['application/*+*']", "p:1:2: [0]: \"application/*+*\" is not"},
    {"['application/**']", "p:1:2: [0]: \"application/**\" is not"},
    {"['application/']", "p:1:2: [0]: \"application/\" is not"},
    {"['/json']", "p:1:2: [0]: \"/json\" is not"},
    {"['application/json; charset=utf-8']", "p:1:2: [0]: \"application/json; charset=utf-8\" is not"},
    {"['a/b, c/d']", "p:1:2: [0]: \"a/b, c/d\" is not"},
    {"[]", "p:1:1: there is no type, expected at least one\n"},
    {"{}", "p:1:1: the key `types` is missing, expected a list of media types\n"},
    {"['']", "p:1:2: [0]: \"\" is empty"},
    {"[a, image/*, b]", "p:1:2: [0]: \"a\" " NOT_A_TYPE "p:1:14: [2]: \"b\" " NOT_A_TYPE},
};

START_TEST(content_types_refuses)
{
    expect_finding("content_types", &content_types_bad[_i]);
}
END_TEST

/* ================ the order, and the loop */

START_TEST(order_is_as_agreed)
{
    static const char *const names[] = {
        "dotfiles",  "hosts",   "https",  "addresses",  "cors",   "cors",
        "methods",   "version", "retire", "limits",     "body",   "content_types",
        "auth",      "csrf",    "roles",  "scopes",     "claims", "repeated_params",
        "operators", "markup",  "match",  "parameters", "limits", "repeated_params",
        "operators", "markup",  "body",   "replies"};
    ck_assert_uint_eq(guards_count(), COUNT(names));
    for (size_t i = 0; i < COUNT(names); i++)
        ck_assert_str_eq(guards[i]->name, names[i]);
    ck_assert_ptr_null(guards[COUNT(names)]);
}
END_TEST

START_TEST(guards_are_complete)
{
    for (size_t i = 0; guards[i]; i++) {
        ck_assert_ptr_nonnull(guards[i]->check);
        ck_assert_msg(guards[i]->help && *guards[i]->help, "%s", guards[i]->name);
        ck_assert_uint_gt(guards[i]->again ? guards[i]->again->section.size : guards[i]->section.size, 0);
        for (const struct field *field = guards[i]->section.fields; field && field->key; field++)
            ck_assert_msg(field->help != NULL, "%s.%s", guards[i]->name, field->key);
    }
}
END_TEST

static struct {
    const char *guard;
    struct verdict verdict;
} runs[RUNS_LIMIT];
static size_t run_count, report_count;
static struct verdict reports[RUNS_LIMIT];

static void observe(struct exchange *seen, const char *guard, struct verdict verdict)
{
    ck_assert_ptr_eq(seen, &exchange);
    runs[run_count].guard = guard;
    runs[run_count++].verdict = verdict;
}

static void report(struct exchange *seen, struct verdict verdict)
{
    ck_assert_ptr_eq(seen, &exchange);
    reports[report_count++] = verdict;
}

static struct guard_rules all_rules[GUARDS_LIMIT];

static void use(const char *guard, const char *policy, bool report_only)
{
    all_rules[place_of(guard)] = (struct guard_rules){rules_of(guard, policy), report_only, NULL};
}

static void begin_runs(void)
{
    run_count = report_count = 0;
    memset(all_rules, 0, sizeof all_rules);
    exchange.observe = observe;
}

static uint32_t bit(const char *guard)
{
    return UINT32_C(1) << place_of(guard);
}

START_TEST(loop_skips_what_is_not_used)
{
    uint32_t passed = 0;
    begin_runs();
    ck_assert_int_eq(guards_judge(all_rules, ON_HEAD, &exchange, &passed, report).kind, VERDICT_PASS);
    ck_assert_uint_eq(run_count, 0);
    ck_assert_uint_eq(passed, 0);
}
END_TEST

START_TEST(loop_goes_in_order)
{
    uint32_t passed = 0;
    begin_runs();
    use("body", NULL, false);
    use("methods", NULL, false);
    use("dotfiles", NULL, false);
    ck_assert_int_eq(guards_judge(all_rules, ON_HEAD, &exchange, &passed, report).kind, VERDICT_PASS);
    ck_assert_uint_eq(run_count, 3);
    ck_assert_str_eq(runs[0].guard, "dotfiles");
    ck_assert_str_eq(runs[1].guard, "methods");
    ck_assert_str_eq(runs[2].guard, "body");
    ck_assert_uint_eq(passed, bit("dotfiles") | bit("methods") | bit("body"));
    ck_assert_uint_eq(report_count, 0);
}
END_TEST

START_TEST(loop_stops_at_the_first)
{
    uint32_t passed = 0;
    begin_runs();
    exchange.request.host = TEXT("evil.example");
    exchange.method_known = false;
    use("dotfiles", NULL, false);
    use("hosts", "example.com", false);
    use("methods", NULL, false);
    struct verdict verdict = guards_judge(all_rules, ON_HEAD, &exchange, &passed, report);
    expect(verdict, 400, "host_not_allowed", "the first");
    ck_assert_str_eq(verdict.guard, "hosts");
    ck_assert_uint_eq(run_count, 2);
    ck_assert_str_eq(runs[1].verdict.code, "host_not_allowed");
    ck_assert_uint_eq(passed, bit("dotfiles"));
}
END_TEST

START_TEST(loop_stops_at_an_answer)
{
    uint32_t passed = 0;
    begin_runs();
    exchange.request.host = TEXT("example.com");
    exchange.method_known = false;
    use("https", "redirect", false);
    use("methods", NULL, false);
    struct verdict verdict = guards_judge(all_rules, ON_HEAD, &exchange, &passed, report);
    ck_assert_int_eq(verdict.kind, VERDICT_ANSWER);
    ck_assert_int_eq(verdict.status, 308);
    ck_assert_uint_eq(run_count, 1);
}
END_TEST

START_TEST(loop_reports_and_goes_on)
{
    uint32_t passed = 0;
    begin_runs();
    exchange.request.host = TEXT("evil.example");
    exchange.request.path = TEXT("/.git");
    exchange.method_known = false;
    use("dotfiles", NULL, true);
    use("hosts", "example.com", true);
    use("https", "redirect", true);
    use("methods", NULL, false);
    struct verdict verdict = guards_judge(all_rules, ON_HEAD, &exchange, &passed, report);
    expect(verdict, 405, "method_not_allowed", "behind those that only report");
    ck_assert_uint_eq(report_count, 3);
    ck_assert_str_eq(reports[0].code, "dotfile");
    ck_assert_str_eq(reports[1].code, "host_not_allowed");
    ck_assert_str_eq(reports[2].code, "https_redirect");
    ck_assert_uint_eq(run_count, 4);
}
END_TEST

/* It would refuse after all, while the body is read. */
START_TEST(loop_reports_without_a_limit)
{
    uint32_t passed = 0;
    begin_runs();
    exchange.request.content_length = 2000;
    use("body", "1kb", true);
    ck_assert_int_eq(guards_judge(all_rules, ON_HEAD, &exchange, &passed, report).kind, VERDICT_PASS);
    ck_assert_uint_eq(report_count, 1);
    ck_assert_str_eq(reports[0].code, "body_too_large");
    ck_assert(exchange.body.limit == UINT64_MAX);
    use("body", "1kb", false);
    expect(guards_judge(all_rules, ON_HEAD, &exchange, &passed, report), 413, "body_too_large", "enforced");
    ck_assert_uint_eq(exchange.body.limit, 1024);
}
END_TEST

START_TEST(loop_knows_stages)
{
    uint32_t passed = 0;
    begin_runs();
    exchange.method_known = false;
    use("methods", NULL, false);
    ck_assert_int_eq(guards_judge(all_rules, ON_BODY, &exchange, &passed, report).kind, VERDICT_PASS);
    ck_assert_uint_eq(run_count, 0);
}
END_TEST

/* None of the guards has a finish yet: nothing must be called through NULL. */
START_TEST(loop_finishes)
{
    uint32_t passed = 0;
    begin_runs();
    use("dotfiles", NULL, false);
    use("methods", NULL, false);
    ck_assert_int_eq(guards_judge(all_rules, ON_HEAD, &exchange, &passed, report).kind, VERDICT_PASS);
    guards_finish(all_rules, &exchange, passed);
    guards_finish(all_rules, &exchange, 0);
    guards_finish(all_rules, &exchange, UINT32_MAX);
}
END_TEST

#define ADD_TABLE(test, table) tcase_add_loop_test(cases, test, 0, (int)COUNT(table))

static TCase *new_cases(Suite *suite, const char *name)
{
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    suite_add_tcase(suite, cases);
    return cases;
}

static void add_paths_and_hosts(Suite *suite)
{
    TCase *cases = new_cases(suite, "dotfiles");
    ADD_TABLE(dotfiles_judges, dotfiles_cases);
    ADD_TABLE(dotfiles_refuses, dotfiles_bad);
    tcase_add_test(cases, dotfiles_sees_through_escapes);
    tcase_add_test(cases, dotfiles_advises);
    cases = new_cases(suite, "hosts");
    ADD_TABLE(hosts_judges, hosts_cases);
    tcase_add_test(cases, hosts_knows_the_port_of_the_server);
    ADD_TABLE(hosts_refuses, hosts_bad);
    tcase_add_test(cases, hosts_refuses_each);
    cases = new_cases(suite, "https");
    ADD_TABLE(https_judges, https_cases);
    tcase_add_test(cases, https_redirects_no_credential);
    ADD_TABLE(https_refuses, https_bad);
    cases = new_cases(suite, "addresses");
    ADD_TABLE(addresses_judges, addresses_cases);
    ADD_TABLE(addresses_refuses, addresses_bad);
    tcase_add_test(cases, addresses_advises);
}

static void add_methods_and_bodies(Suite *suite)
{
    TCase *cases = new_cases(suite, "methods");
    tcase_add_test(cases, methods_judges);
    tcase_add_test(cases, methods_has_no_key);
    cases = new_cases(suite, "body");
    ADD_TABLE(body_judges, body_cases);
    ADD_TABLE(body_refuses, body_bad);
    tcase_add_test(cases, body_limits_reading);
    tcase_add_test(cases, body_advises);
    cases = new_cases(suite, "content_types");
    ADD_TABLE(content_types_judges, content_types_cases);
    ADD_TABLE(content_types_needs_a_body, presence_cases);
    ADD_TABLE(content_types_refuses, content_types_bad);
    tcase_add_test(cases, content_types_leaves_the_body);
}

static void add_loop(Suite *suite)
{
    TCase *cases = new_cases(suite, "loop");
    tcase_add_test(cases, order_is_as_agreed);
    tcase_add_test(cases, guards_are_complete);
    tcase_add_test(cases, loop_skips_what_is_not_used);
    tcase_add_test(cases, loop_goes_in_order);
    tcase_add_test(cases, loop_stops_at_the_first);
    tcase_add_test(cases, loop_stops_at_an_answer);
    tcase_add_test(cases, loop_reports_and_goes_on);
    tcase_add_test(cases, loop_reports_without_a_limit);
    tcase_add_test(cases, loop_knows_stages);
    tcase_add_test(cases, loop_finishes);
}

int main(void)
{
    Suite *suite = suite_create("guard");
    add_paths_and_hosts(suite);
    add_methods_and_bodies(suite);
    add_loop(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
