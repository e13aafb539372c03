/*
 * Tests of the pure parts of the http handler, by tables: the judge of heads,
 * targets, and the headers that an application is told. Backends are talked to
 * by the end-to-end tests.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/file.h"
#include "guard/version.h"
#include "handler/http.h"
#include "identity/caller.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;

static void set_up(void)
{
    arena = arena_new();
}

static void tear_down(void)
{
    arena_free(arena);
}

/* "name=value|..." */
static const char *list(const struct headers *headers)
{
    struct bytes text = bytes_new(arena, 65536);
    for (size_t i = 0; i < headers->count; i++)
        bytes_printf(&text, "%.*s=%.*s|", TEXT_ARGUMENTS(headers->items[i].name),
                     TEXT_ARGUMENTS(headers->items[i].value));
    bytes_add(&text, "", 1);
    return text.at;
}

/* ================ heads */

struct head_case {
    const char *name;
    struct text head;
    int status; /* 0: broken */
    const char *headers;
    int64_t length;
    const char *fault; /* a part of it; NULL with status 0: it has not ended */
};

#define START "HTTP/1.1 200 OK\r\n"
#define GOOD(name_, head_, status_, headers_, length_)                                                       \
    {                                                                                                        \
        (name_), TEXT(head_), (status_), (headers_), (length_), NULL                                         \
    }
#define BAD(name_, head_, fault_)                                                                            \
    {                                                                                                        \
        (name_), TEXT(head_), 0, NULL, -1, (fault_)                                                          \
    }

static const struct head_case head_cases[] = {
    GOOD("nothing said", START "\r\n", 200, "", -1),
    GOOD("LF", "HTTP/1.1 200 OK\nA: b\n\n", 200, "A=b|", -1),
    GOOD("HTTP/1.0", "HTTP/1.0 404 Not Found\r\n\r\n", 404, "", -1),
    GOOD("HTTP/2", "HTTP/2 200 \r\nA: b\r\n\r\n", 200, "A=b|", -1),
    GOOD("no reason", "HTTP/1.1 200\r\n\r\n", 200, "", -1),
    GOOD("odd reason", "HTTP/1.1 599 \xff : x\r\n\r\n", 599, "", -1),
    GOOD("length", START "content-LENGTH: 007\r\n\r\n", 200, "", 7),
    GOOD("chunked", START "Transfer-Encoding: CHUNKED\r\nA: b\r\n\r\n", 200, "A=b|", -1),
    GOOD("blanks", START "A: \t b c \t\r\nB:\r\nC:d\r\n\r\n", 200, "A=b c|B=|C=d|", -1),
    GOOD("cookies", START "Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n", 200, "Set-Cookie=a|Set-Cookie=b|", -1),
    GOOD("interim",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 X\r\nLink: a\r\nContent-Length: x\r\n\r\n" START
         "A: b\r\n\r\n",
         200, "A=b|", -1),
    GOOD("204 with a length", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", 204, "", 0),
    BAD("nothing", "", NULL),
    BAD("not ended", START "A: b\r\n", NULL),
    BAD("interim alone", "HTTP/1.1 100 Continue\r\n\r\n", NULL),
    BAD("not HTTP", "hello\r\n", "not one of HTTP/1.1"),
    BAD("an empty line first", "\r\n" START "\r\n", "status line"),
    BAD("lower case", "http/1.1 200 OK\r\n\r\n", "not one of"),
    BAD("HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", "not one of"),
    BAD("two blanks", "HTTP/1.1  200 OK\r\n\r\n", "no status"),
    BAD("status 99", "HTTP/1.1 099 OK\r\n\r\n", "no status"),
    BAD("status 600", "HTTP/1.1 600 OK\r\n\r\n", "no status"),
    BAD("status of two digits", "HTTP/1.1 20\r\n\r\n", "no status"),
    BAD("status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", "no status"),
    BAD("status 101", "HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
    BAD("status 407", "HTTP/1.1 407 No\r\n\r\n", "credentials"),
    BAD("two lengths", START "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "second Content-Length"),
    BAD("a list of lengths", START "Content-Length: 1, 1\r\n\r\n", "not a number"),
    BAD("length and coding", START "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "together"),
    BAD("coding and length", START "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", "together"),
    BAD("gzip", START "Transfer-Encoding: gzip\r\n\r\n", "not chunked"),
    BAD("chunked twice", START "Transfer-Encoding: chunked, chunked\r\n\r\n", "not chunked"),
    BAD("two codings", START "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "second"),
    BAD("coding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "not in HTTP/1.1"),
    BAD("coding in HTTP/2", "HTTP/2 200\r\nTransfer-Encoding: chunked\r\n\r\n", "not in HTTP/1.1"),
    BAD("coding with 204", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", "204"),
    BAD("folded", START "A: b\r\n c\r\n\r\n", "begins with a blank"),
    BAD("no colon", START "A\r\n\r\n", "no colon"),
    BAD("blank before the colon", START "A : b\r\n\r\n", "not a token"),
    BAD("no name", START ": b\r\n\r\n", "not a token"),
    BAD("CR", START "A: b\rc\r\n\r\n", "control character"),
    BAD("CR at the end", START "A: b\r\r\n\r\n", "control character"),
    BAD("NUL", START "A: b\0c\r\n\r\n", "control character"),
    BAD("escape", "HTTP/1.1 200 \x1b[2J\r\n\r\n", "control character"),
    BAD("two types", START "Content-Type: a\r\ncontent-type: a\r\n\r\n", "second Content-Type"),
    BAD("two locations", START "Location: a\r\nLocation: a\r\n\r\n", "second Location"),
};

static enum http_reply_step judge(struct http_reply *reply, struct text head)
{
    enum http_reply_step step = HTTP_REPLY_MORE;
    while (step == HTTP_REPLY_MORE && head.length > 0) {
        size_t end = text_find(head, '\n');
        struct text line = {head.at, end < head.length ? end + 1 : end};
        step = http_reply_line(reply, line);
        head = text_from(head, line.length);
    }
    return step;
}

START_TEST(heads)
{
    const struct head_case *test = &head_cases[_i];
    struct http_reply reply = http_reply_new(arena);
    enum http_reply_step step = judge(&reply, test->head);
    if (test->status) {
        ck_assert_msg(step == HTTP_REPLY_COMPLETE, "%s: %s", test->name, reply.fault);
        ck_assert_int_eq(reply.status, test->status);
        ck_assert_int_eq(reply.length, test->length);
        ck_assert_str_eq(list(&reply.headers), test->headers);
    } else if (test->fault) {
        ck_assert_msg(step == HTTP_REPLY_BROKEN, "%s: not refused", test->name);
        ck_assert_msg(strstr(reply.fault, test->fault), "%s: %s", test->name, reply.fault);
    } else {
        ck_assert_msg(step == HTTP_REPLY_MORE, "%s: has ended", test->name);
    }
}
END_TEST

static enum http_reply_step repeat(struct http_reply *reply, const char *line, size_t count)
{
    enum http_reply_step step = http_reply_line(reply, TEXT(START));
    for (size_t i = 0; i < count && step == HTTP_REPLY_MORE; i++)
        step = http_reply_line(reply, text_of(line));
    return step;
}

START_TEST(limits_of_heads)
{
    struct http_reply reply = http_reply_new(arena);
    ck_assert_int_eq(repeat(&reply, "A: b\r\n", HTTP_REPLY_HEADERS_LIMIT), HTTP_REPLY_MORE);
    ck_assert_int_eq(http_reply_line(&reply, TEXT("A: b\r\n")), HTTP_REPLY_BROKEN);
    reply = http_reply_new(arena);
    char *line = arena_alloc(arena, HTTP_REPLY_SIZE_LIMIT + 2);
    memset(line, 'a', HTTP_REPLY_SIZE_LIMIT + 1);
    memcpy(line, "A: ", 3);
    ck_assert_int_eq(repeat(&reply, line, 1), HTTP_REPLY_BROKEN);
    reply = http_reply_new(arena);
    enum http_reply_step step = HTTP_REPLY_MORE;
    for (size_t i = 0; i < 100000 && step == HTTP_REPLY_MORE; i++)
        step = judge(&reply, TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
    ck_assert_int_eq(step, HTTP_REPLY_BROKEN);
}
END_TEST

START_TEST(limits_of_trailers)
{
    struct http_reply reply = http_reply_new(arena);
    ck_assert_int_eq(judge(&reply, TEXT(START "A: b\r\n\r\n")), HTTP_REPLY_COMPLETE);
    for (size_t i = 1; i < HTTP_REPLY_HEADERS_LIMIT; i++)
        ck_assert(http_reply_trailer(&reply, TEXT("A: b\r\n")));
    ck_assert(!http_reply_trailer(&reply, TEXT("A: b\r\n")));
    ck_assert_ptr_nonnull(strstr(reply.fault, "trailers"));
    reply = http_reply_new(arena);
    ck_assert_int_eq(judge(&reply, TEXT(START "\r\n")), HTTP_REPLY_COMPLETE);
    struct text line = {arena_alloc(arena, HTTP_REPLY_SIZE_LIMIT), HTTP_REPLY_SIZE_LIMIT - reply.size};
    ck_assert(http_reply_trailer(&reply, line));
    ck_assert(!http_reply_trailer(&reply, TEXT("A")));
}
END_TEST

static const struct chunks_case {
    const char *text;
    bool ended;
} chunks_cases[] = {
    {"0\r\n\r\n", true},
    {"0\n\n", true},
    {"2\r\nok\r\n0\r\n\r\n", true},
    {"00A;b=c\r\n0\r\n\r\n0\r\n\r\n\r\n000;a=\"0\"\r\nA: b\r\nC: d\r\n\r\n", true},
    {"0\r\n\r\nrest", true},
    {"", false},
    {"0", false},
    {"0\r\n", false},
    {"0\r\nA: b\r\n", false},
    {"5\r\n0\r\n\r\n", false},
    {"5\r\n0\r\n\r\n\r\n", false},
    {"1;0\r\no\r\n10\r\n\r\n", false},
};

START_TEST(ends_of_chunks)
{
    const struct chunks_case *test = &chunks_cases[_i];
    size_t length = strlen(test->text);
    for (size_t step = 1; step <= length + 1; step++) {
        struct http_reply reply = http_reply_new(arena);
        for (size_t at = 0; at < length; at += step)
            http_reply_chunks(&reply,
                              (struct text){test->text + at, length - at < step ? length - at : step});
        ck_assert_int_eq(reply.part == HTTP_CHUNK_NONE, test->ended);
    }
}
END_TEST

/* ================ targets */

static struct http_settings *settings_of(const char *yaml, const char *path)
{
    struct http_settings *settings = arena_alloc(arena, sizeof *settings);
    struct findings findings = findings_new(arena, "test.yaml");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/", .path = path};
    const struct node *node = file_parse(text_of(yaml), false, &findings);
    bool good = node && decode_section(&decoder, &handler_http.section, node, settings) &&
                handler_http.prepare(settings, &decoder, node);
    if (!good)
        findings_print(&findings, FINDING_ERROR, stderr);
    ck_assert(good);
    return settings;
}

static const struct http_backend *first_of(const struct http_settings *settings)
{
    return backends_target(settings->group, 0);
}

struct target_case {
    const char *settings, *route, *path, *query, *rest, *id;
    const char *target;
};

#define URL "url: 'http://h:1"
static const struct target_case target_cases[] = {
    {"{" URL "'}", "/**", "/a b/%", NULL, "", "", "/a%20b/%25"},
    {"{" URL "'}", "/**", "/a", "b=%zz c\"\xc3", "", "", "/a?b=%zz%20c\"%C3"},
    {"{" URL "'}", "/**", "/a", "", "", "", "/a?"},
    {"{" URL "'}", "/**", "*", NULL, "", "", "*"},
    {"{" URL "'}", "/**", "/a;b/;/c;", "d;e", "", "", "/a%3Bb/%3B/c%3B?d;e"},
    {"{" URL "/p;q', rewrite: '/v2;3/{id}/**'}", "/a/{id}/**", "/a/7;/b;", NULL, "/b;", "7;",
     "/p%3Bq/v2%3B3/7%3B/b%3B"},
    {"{" URL "/'}", "/**", "/a", NULL, "", "", "/a"},
    {"{" URL "/x%20y/'}", "/**", "/a", NULL, "", "", "/x%20y/a"},
    {"{" URL "/x', strip_prefix: /api}", "/api/**", "/api", NULL, "", "", "/x"},
    {"{" URL "', strip_prefix: /api}", "/api/**", "/api", NULL, "", "", "/"},
    {"{" URL "', strip_prefix: /api}", "/api/**", "/api/", NULL, "", "", "/"},
    {"{" URL "', strip_prefix: /api}", "/api/**", "/api/a/b/", NULL, "", "", "/a/b/"},
    {"{" URL "', rewrite: '/v2/{id}'}", "/a/{id}", "/a/7", "x", "", "7", "/v2/7?x"},
    {"{" URL "', rewrite: '/{id}/{id}/x'}", "/a/{id}", "/a/a b", NULL, "", "a b", "/a%20b/a%20b/x"},
    {"{" URL "/p', rewrite: '/v2/{id}/**'}", "/a/{id}/**", "/a/7/b/", NULL, "/b/", "7", "/p/v2/7/b/"},
    {"{" URL "', rewrite: '/v2/**'}", "/a/**", "/a", NULL, "", "", "/v2"},
};

START_TEST(targets)
{
    const struct target_case *test = &target_cases[_i];
    struct exchange exchange = {.arena = arena, .rest = text_of(test->rest)};
    exchange.request.path = text_of(test->path);
    exchange.request.query = text_of(test->query);
    exchange.request.has_query = test->query != NULL;
    exchange.captures[0] = (struct capture){"id", text_of(test->id)};
    exchange.capture_count = 1;
    const struct http_settings *settings = settings_of(test->settings, test->route);
    struct text target = http_target(settings, first_of(settings), &exchange);
    ck_assert_str_eq(target.at, test->target);
}
END_TEST

/* ================ headers */

static struct exchange exchange_of(void)
{
    struct exchange exchange = {.arena = arena, .id = "the-id"};
    exchange.request.client = (struct address){0};
    ck_assert(address_parse(TEXT("192.0.2.1"), &exchange.request.client));
    return exchange;
}

static void add(struct exchange *exchange, const char *name, const char *value)
{
    headers_add(&exchange->request.headers, arena, text_of(name), text_of(value));
}

#define WAY                                                                                                  \
    "Via=1.1 fcgiguard|X-Forwarded-For=192.0.2.1|X-Real-IP=192.0.2.1|X-Forwarded-Proto=http|"                \
    "Forwarded=for=192.0.2.1;proto=http|X-Request-ID=the-id|"

START_TEST(headers_of_nobody)
{
    struct exchange exchange = exchange_of();
    struct http_settings *settings = settings_of("{" URL "'}", NULL);
    struct headers headers = http_headers(settings, first_of(settings), &exchange);
    ck_assert_str_eq(list(&headers), "Host=h:1|" WAY);
    exchange.request.client = (struct address){0};
    settings = settings_of("{url: 'unix:/a'}", NULL);
    headers = http_headers(settings, first_of(settings), &exchange);
    ck_assert_str_eq(list(&headers), "Host=localhost|Via=1.1 fcgiguard|X-Forwarded-Proto=http|"
                                     "Forwarded=for=unknown;proto=http|X-Request-ID=the-id|");
}
END_TEST

START_TEST(headers_of_a_caller)
{
    struct exchange exchange = exchange_of();
    struct text told[] = {TEXT("USER_EMAIL"), TEXT("TEAM"), TEXT("HOST"), TEXT("COOKIE")};
    struct text words[] = {TEXT("a"), TEXT("b")};
    struct caller_variable variables[] = {
        {TEXT("USER_EMAIL"), TEXT("a@b")}, {TEXT("HOST"), TEXT("evil")}, {TEXT("COOKIE"), TEXT("a=1")}};
    struct caller caller = {.method = "user",
                            .scheme = "Bearer",
                            .name = TEXT("x\r\nY: z"),
                            .roles = {words, 2},
                            .variables = variables,
                            .variable_count = COUNT(variables)};
    struct version version = {.name = "2"};
    exchange.authenticates = true;
    exchange.told = (struct texts){told, COUNT(told)};
    add(&exchange, "team", "forged");
    add(&exchange, "user-email", "forged");
    add(&exchange, "api-version", "1");
    add(&exchange, "x-kept", "1");
    struct http_settings *settings = settings_of("{" URL "'}", NULL);
    struct headers headers = http_headers(settings, first_of(settings), &exchange);
    ck_assert_str_eq(list(&headers), "Host=h:1|api-version=1|x-kept=1|" WAY);
    exchange.caller = &caller;
    exchange.version = &version;
    memcpy(exchange.nonce, "abc", sizeof "abc");
    headers = http_headers(settings, first_of(settings), &exchange);
    ck_assert_str_eq(list(&headers), "Host=h:1|x-kept=1|" WAY
                                     "Auth-Type=Bearer|Auth-Method=user|Auth-Roles=a b|API-Version=2|"
                                     "CSP-Nonce=abc|User-Email=a@b|Cookie=a=1|");
}
END_TEST

START_TEST(headers_that_are_ours)
{
    static const char *const ours[] = {"connection", "host",         "transfer-encoding", "x-forwarded-for",
                                       "forwarded",  "x-real-ip",    "remote-user",       "auth-roles",
                                       "via",        "x-request-id", "api-version"};
    static const char *const others[] = {"authorization", "cookie", "content-type", "accept", "x-tenant"};
    for (size_t i = 0; i < COUNT(ours); i++)
        ck_assert_msg(http_header_is_ours(text_of(ours[i])), "%s", ours[i]);
    for (size_t i = 0; i < COUNT(others); i++)
        ck_assert_msg(!http_header_is_ours(text_of(others[i])), "%s", others[i]);
}
END_TEST

START_TEST(what_explain_tells)
{
    struct exchange exchange = exchange_of();
    exchange.request.path = TEXT("/a");
    struct http_settings *settings = settings_of("'https://h'", NULL);
    ck_assert_str_eq(handler_http.describe(settings, &exchange), "asks https://h for /a");
    ck_assert(handler_http.needs_network(settings));
    settings = settings_of("'unix:/run/a'", NULL);
    ck_assert_str_eq(handler_http.describe(settings, &exchange), "asks unix:/run/a for /a");
    ck_assert(!handler_http.needs_network(settings));
}
END_TEST

/* ================ backends */

START_TEST(several_backends)
{
    struct exchange exchange = exchange_of();
    exchange.request.path = TEXT("/a");
    struct http_settings *settings =
        settings_of("{url: ['http://h:1/x/', 'unix:/run/a'], backup: 'https://[::1]', host: backend}", NULL);
    ck_assert_str_eq(handler_http.describe(settings, &exchange),
                     "asks http://h:1 for /x/a, or unix:/run/a for /a, or https://[::1] for /a");
    ck_assert(handler_http.needs_network(settings));
    ck_assert(!handler_http.needs_caller(settings));
    static const char *const hosts[] = {"h:1", "localhost", "[::1]"};
    for (size_t i = 0; i < COUNT(hosts); i++) {
        const struct headers headers = http_headers(settings, backends_target(settings->group, i), &exchange);
        ck_assert(text_equal(*headers_get(&headers, "host"), text_of(hosts[i])));
    }
    settings = settings_of("{url: ['unix:/run/a', 'unix:/run/b'], balance: 'hash:caller'}", NULL);
    ck_assert(!handler_http.needs_network(settings));
    ck_assert(handler_http.needs_caller(settings));
}
END_TEST

static const char *looked_up(const char *url)
{
    const struct http_backend *backend = first_of(settings_of(url, NULL));
    return backend->address.name ? backend->looked_up : "nothing";
}

START_TEST(what_is_looked_up)
{
    ck_assert_str_eq(looked_up("'http://H.example.'"), "h.example:80");
    ck_assert_str_eq(looked_up("'https://h.example/x'"), "h.example:443");
    ck_assert_str_eq(looked_up("'https://h.example:8443'"), "h.example:8443");
    ck_assert_str_eq(looked_up("'http://127.0.0.1:1'"), "nothing");
    ck_assert_str_eq(looked_up("'http://[::1]'"), "nothing");
    ck_assert_str_eq(looked_up("'unix:/a'"), "nothing");
}
END_TEST

struct advice_case {
    const char *settings;
    size_t count;
};

static const struct advice_case advice_cases[] = {{"'http://127.0.0.1:1'", 0},
                                                  {"'http://127.9.9.9'", 0},
                                                  {"'http://localhost'", 0},
                                                  {"'http://[::1]:8'", 0},
                                                  {"'https://h'", 0},
                                                  {"'unix:/a'", 0},
                                                  {"'http://h'", 1},
                                                  {"'http://10.0.0.1'", 1},
                                                  {"['http://h', 'https://h', 'http://g']", 1},
                                                  {"{url: 'unix:/a', backup: ['http://h', 'unix:/b']}", 1},
                                                  {"'http://[::2]'", 1},
                                                  {"'http://localhost.x'", 1}};

START_TEST(advice)
{
    struct findings findings = findings_new(arena, "test.yaml");
    const struct node node = {.kind = NODE_SCALAR};
    handler_http.advise(settings_of(advice_cases[_i].settings, NULL), &findings, &node);
    ck_assert_msg(findings.advice == advice_cases[_i].count, "%s", advice_cases[_i].settings);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http handler");
    TCase *cases = tcase_create("http handler");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, heads, 0, COUNT(head_cases));
    tcase_add_test(cases, limits_of_heads);
    tcase_add_test(cases, limits_of_trailers);
    tcase_add_loop_test(cases, ends_of_chunks, 0, COUNT(chunks_cases));
    tcase_add_loop_test(cases, targets, 0, COUNT(target_cases));
    tcase_add_test(cases, headers_of_nobody);
    tcase_add_test(cases, headers_of_a_caller);
    tcase_add_test(cases, headers_that_are_ours);
    tcase_add_test(cases, what_explain_tells);
    tcase_add_test(cases, several_backends);
    tcase_add_test(cases, what_is_looked_up);
    tcase_add_loop_test(cases, advice, 0, COUNT(advice_cases));
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
