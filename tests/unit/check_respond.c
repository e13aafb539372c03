/*
 * Tests of what leaves: security headers, error bodies, what is held back of a
 * handler's reply, and the log's lines, which must be JSON whatever a client
 * or a program has written.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "data/file.h"
#include "respond/error_body.h"
#include "respond/mask.h"
#include "respond/secure_headers.h"
#include "watch/access_log.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FINDINGS_TEXT_SIZE = 4096, LONG_LENGTH = 8 * 1024, LINES_SIZE = 64 * 1024 };

static struct arena *arena;
static struct exchange exchange;
static struct error_rules rules;

static void set_up(void)
{
    arena = arena_new();
    exchange = (struct exchange){.arena = arena, .started = clock_microseconds()};
    rules = (struct error_rules){.language = "en"};
    memcpy(exchange.id, "01234567-89ab-4cde-8f01-23456789abcd", REQUEST_ID_SIZE);
    exchange.request.method = TEXT("GET");
    exchange.request.path = exchange.request.target = TEXT("/");
    exchange.request.secure = true;
}

static void tear_down(void)
{
    arena_free(arena);
}

/* All headers of the reply, as "Name: value" lines. */
static const char *reply_lines(void)
{
    const struct headers *headers = &exchange.reply.headers;
    const char *lines = "";
    for (size_t i = 0; i < headers->count; i++)
        lines = arena_printf(arena, "%s%.*s: %.*s\n", lines, TEXT_ARGUMENTS(headers->items[i].name),
                             TEXT_ARGUMENTS(headers->items[i].value));
    return lines;
}

/* Makes the reply's headers from such lines. */
static void set_reply(const char *lines)
{
    struct text rest = text_of(lines), line;
    while (text_next(&rest, '\n', &line)) {
        size_t colon = text_find(line, ':');
        headers_add(&exchange.reply.headers, arena, (struct text){line.at, colon},
                    text_from(line, colon + 2));
    }
}

static const char *reply_header(const char *name)
{
    const struct text *value = headers_get(&exchange.reply.headers, name);
    return value ? arena_copy(arena, value->at, value->length) : NULL;
}

/* ================ security headers */

static bool decode_headers(const char *policy, struct secure_headers *headers, char told[FINDINGS_TEXT_SIZE])
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/"};
    const struct node *node = file_parse(text_of(policy), policy[0] == '{' && policy[1] == '"', &findings);
    ck_assert_msg(node != NULL, "cannot be parsed: %s", policy);
    *headers = (struct secure_headers){0};
    bool good = secure_headers_decode(&decoder, node, headers);
    ck_assert_msg(good == (findings.errors == 0), "%s", policy);
    memset(told, 0, FINDINGS_TEXT_SIZE);
    FILE *stream = fmemopen(told, FINDINGS_TEXT_SIZE - 1, "w");
    findings_print(&findings, FINDING_ERROR, stream);
    fclose(stream);
    return good;
}

static void apply_headers(const char *policy)
{
    struct secure_headers headers;
    char told[FINDINGS_TEXT_SIZE];
    ck_assert_msg(decode_headers(policy, &headers, told), "%s: %s", policy, told);
    secure_headers_apply(&headers, &exchange);
}

/* To the letter: each preset against what it is named after. */
static const struct {
    const char *preset, *lines;
} presets[] = {
    {"api", "X-Content-Type-Options: nosniff\n"
            "X-Frame-Options: DENY\n"
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\n"
            "Referrer-Policy: no-referrer\n"
            "Strict-Transport-Security: max-age=31536000; includeSubDomains\n"
            "Permissions-Policy: geolocation=(), microphone=(), camera=()\n"
            "Cross-Origin-Opener-Policy: same-origin\n"
            "Cross-Origin-Resource-Policy: same-origin\n"
            "X-XSS-Protection: 0\n"},
    {"helmet", "Content-Security-Policy: default-src 'self';base-uri 'self';font-src 'self' https: data:;"
               "form-action 'self';frame-ancestors 'self';img-src 'self' data:;object-src 'none';"
               "script-src 'self';script-src-attr 'none';style-src 'self' https: 'unsafe-inline';"
               "upgrade-insecure-requests\n"
               "Cross-Origin-Opener-Policy: same-origin\n"
               "Cross-Origin-Resource-Policy: same-origin\n"
               "Origin-Agent-Cluster: ?1\n"
               "Referrer-Policy: no-referrer\n"
               "Strict-Transport-Security: max-age=31536000; includeSubDomains\n"
               "X-Content-Type-Options: nosniff\n"
               "X-DNS-Prefetch-Control: off\n"
               "X-Download-Options: noopen\n"
               "X-Frame-Options: SAMEORIGIN\n"
               "X-Permitted-Cross-Domain-Policies: none\n"
               "X-XSS-Protection: 0\n"},
    {"fastapi", "X-Content-Type-Options: nosniff\n"
                "X-Frame-Options: DENY\n"
                "X-XSS-Protection: 1; mode=block\n"
                "Strict-Transport-Security: max-age=31536000; includeSubDomains\n"
                "Content-Security-Policy: default-src 'self'\n"
                "Referrer-Policy: strict-origin-when-cross-origin\n"
                "Permissions-Policy: geolocation=(), microphone=(), camera=()\n"},
    {"nginx", "X-Frame-Options: DENY\n"
              "X-Content-Type-Options: nosniff\n"
              "X-XSS-Protection: 1; mode=block\n"
              "Strict-Transport-Security: max-age=31536000; includeSubDomains\n"
              "Content-Security-Policy: default-src 'self'\n"},
    {"off", ""},
};

START_TEST(presets_are_exact)
{
    apply_headers(presets[_i].preset);
    ck_assert_str_eq(reply_lines(), presets[_i].lines);
    ck_assert_str_eq(secure_headers_presets[_i], presets[_i].preset);
}
END_TEST

START_TEST(presets_are_all_tested)
{
    ck_assert_ptr_null(secure_headers_presets[COUNT(presets)]);
}
END_TEST

/* RFC 6797, 7.2. */
START_TEST(presets_without_https)
{
    exchange.request.secure = false;
    set_reply("Strict-Transport-Security: max-age=1\n");
    apply_headers(presets[_i].preset);
    if (strcmp(presets[_i].preset, "off") == 0)
        ck_assert_str_eq(reply_lines(), "Strict-Transport-Security: max-age=1\n");
    else
        ck_assert_ptr_null(reply_header("strict-transport-security"));
    exchange.request.secure = true;
    apply_headers(presets[_i].preset);
    ck_assert_ptr_nonnull(reply_header("strict-transport-security"));
}
END_TEST

START_TEST(presets_replace_the_handlers)
{
    set_reply("x-frame-options: ALLOWALL\nSet-Cookie: a=1\nX-FRAME-OPTIONS: SAMEORIGIN\nSet-Cookie: b=2\n"
              "server: secret/1.0\nX-Powered-By: PHP/5.2\n");
    apply_headers("nginx");
    ck_assert_str_eq(reply_header("x-frame-options"), "DENY");
    ck_assert_uint_eq(headers_remove(&exchange.reply.headers, TEXT("X-Frame-Options")), 1);
    ck_assert_uint_eq(headers_remove(&exchange.reply.headers, TEXT("Set-Cookie")), 2);
    ck_assert_ptr_null(reply_header("server"));
    ck_assert_ptr_null(reply_header("x-powered-by"));
}
END_TEST

START_TEST(preset_off_changes_nothing)
{
    static const char lines[] = "Server: s\nX-Powered-By: p\nX-Frame-Options: ALLOWALL\n";
    set_reply(lines);
    apply_headers("off");
    ck_assert_str_eq(reply_lines(), lines);
}
END_TEST

/* What a map makes of a handler's own "X-Frame-Options: HANDLER" and "Server: s". */
static const struct {
    const char *policy, *header, *value; /* NULL: it is not there */
} map_cases[] = {
    {"{}", "x-frame-options", "DENY"},
    {"{}", "referrer-policy", "no-referrer"},
    {"preset: nginx", "content-security-policy", "default-src 'self'"},
    {"preset: nginx", "referrer-policy", NULL},
    {"X-Frame-Options: SAMEORIGIN", "x-frame-options", "SAMEORIGIN"},
    {"X-Frame-Options: SAMEORIGIN", "x-content-type-options", "nosniff"},
    {"x-frame-options: SAMEORIGIN", "x-frame-options", "SAMEORIGIN"},
    {"X-Frame-Options: off", "x-frame-options", "HANDLER"},
    {"X-Frame-Options: false", "x-frame-options", "HANDLER"},
    {"x-frame-OPTIONS: off", "x-frame-options", "HANDLER"},
    {"X-Own: 'off'", "x-own", "off"},
    {"Referrer-Policy: off", "referrer-policy", NULL},
    {"{preset: helmet, Origin-Agent-Cluster: off}", "origin-agent-cluster", NULL},
    {"{preset: helmet, X-DNS-Prefetch-Control: 'on'}", "x-dns-prefetch-control", "on"},
    {"{preset: off, X-Own: '1'}", "x-own", "1"},
    {"{preset: off, X-Own: '1'}", "server", "s"},
    {"{preset: off, X-Own: '1'}", "x-frame-options", "HANDLER"},
    {"{X-Own: '1', preset: off}", "x-content-type-options", NULL},
    {"{preset: fastapi, Permissions-Policy: 'camera=()'}", "permissions-policy", "camera=()"},
    {"{Strict-Transport-Security: max-age=60}", "strict-transport-security", "max-age=60"},
    {"{X-Own: off}", "x-own", NULL},
    {"{X-Own: 1}", "x-own", "1"},
    {"{X-Own: true}", "x-own", "true"},
    {"{X-Frame-Options: off}", "server", NULL},
    {"{Server: off}", "server", NULL},
    {"{Server: mine}", "server", "mine"},
    {"{\"X-Frame-Options\": false}", "x-frame-options", "HANDLER"},
    {"{\"preset\": \"nginx\", \"X-Frame-Options\": \"SAMEORIGIN\"}", "x-frame-options", "SAMEORIGIN"},
};

START_TEST(maps_change_single_headers)
{
    set_reply("X-Frame-Options: HANDLER\nServer: s\n");
    apply_headers(map_cases[_i].policy);
    const char *value = reply_header(map_cases[_i].header), *expected = map_cases[_i].value;
    bool same = value && expected ? strcmp(value, expected) == 0 : value == expected;
    ck_assert_msg(same, "%s: %s is %s", map_cases[_i].policy, map_cases[_i].header, value ? value : "absent");
}
END_TEST

START_TEST(maps_heed_https)
{
    exchange.request.secure = false;
    apply_headers("{preset: off, strict-transport-security: max-age=60}");
    ck_assert_str_eq(reply_lines(), "");
}
END_TEST

static const struct {
    const char *policy, *finding;
} bad_headers[] = {
    {"strict", "p:1:1: \"strict\" is not a preset, expected one of api, helmet, fastapi, nginx, off\n"},
    {"API", "p:1:1: \"API\" is not a preset"},
    {"[api]", "p:1:1: this does not fit, expected api, helmet, fastapi, nginx, off, or a map of headers\n"},
    {"preset: strict", "p:1:9: preset: \"strict\" is not a preset"},
    {"preset: {}", "p:1:9: preset: \"\" is not a preset"},
    {"'X Y': z", "p:1:1: X Y: this is not a header's name\n"},
    {"'X:Y': z", "p:1:1: X:Y: this is not a header's name\n"},
    {"\"X\\nY\": z", "p:1:1: "},
    {"'': z", "p:1:1: "},
    {"'X-\xc3\xb6': z", "p:1:1: "},
    {"X-Own: \"a\\nSet-Cookie: b\"",
     "p:1:8: X-Own: this is not a header's value, expected one line of text, or off\n"},
    {"X-Own: \"a\\rb\"", "p:1:8: X-Own: this is not a header's value"},
    {"X-Own: \"a\\x7f\"", "p:1:8: X-Own: this is not a header's value"},
    {"X-Own: ''", "p:1:8: X-Own: this is not a header's value"},
    {"X-Own:", "p:1:7: X-Own: this is not a header's value"},
    {"X-Own: [a]", "p:1:8: X-Own: this is not a header's value"},
    {"X-Own: {a: b}", "p:1:8: X-Own: this is not a header's value"},
    {"Status: '200'", "p:1:1: Status: this header is the handler's and the server's"},
    {"content-length: '1'", "p:1:1: content-length: this header is"},
    {"Transfer-Encoding: chunked", "p:1:1: Transfer-Encoding: this header is"},
    {"Connection: close", "p:1:1: Connection: this header is"},
    {"Set-Cookie: a=b", "p:1:1: Set-Cookie: this header is"},
    {"LOCATION: /", "p:1:1: LOCATION: this header is"},
    {"Date: now", "p:1:1: Date: this header is"},
    {"{X-A: b, X-B: c, x-a: d}", "p:1:18: x-a: this header stands here already, in line 1\n"},
    {"X-A: b\nX-a: off\n", "p:2:1: X-a: this header stands here already, in line 1\n"},
    {"Preset: helmet", "p:1:1: Preset: this key is not known; did you mean \"preset\"?\n"},
    {"Date: off", "p:1:1: Date: this header is"},
    {"{preset: strict, 'X Y': z, Date: now}",
     "p:1:10: preset: \"strict\" is not a preset, expected one of api, helmet, "
     "fastapi, nginx, off\np:1:18: X Y: this is not a header's name\n"
     "p:1:28: Date: this header"},
};

START_TEST(maps_are_limited)
{
    struct secure_headers headers;
    char told[FINDINGS_TEXT_SIZE];
    struct bytes policy = bytes_new(arena, 4096);
    for (int i = 0; i < 100; i++)
        bytes_printf(&policy, "X-%d: a\n", i);
    ck_assert(decode_headers(arena_copy(arena, policy.at, policy.length), &headers, told));
    bytes_printf(&policy, "X: a\n");
    ck_assert(!decode_headers(arena_copy(arena, policy.at, policy.length), &headers, told));
    ck_assert_str_eq(told, "p:1:1: expected at most 100 headers\n");
}
END_TEST

START_TEST(maps_refuse)
{
    struct secure_headers headers;
    char told[FINDINGS_TEXT_SIZE];
    const char *policy = bad_headers[_i].policy, *finding = bad_headers[_i].finding;
    ck_assert_msg(!decode_headers(policy, &headers, told), "taken: %s", policy);
    ck_assert_msg(strncmp(told, finding, strlen(finding)) == 0, "%s: said %s", policy, told);
}
END_TEST

/* ================ error bodies */

static json_t *parse(struct text text)
{
    json_error_t error;
    json_t *object = json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(json_is_object(object), "%s: %.*s", error.text, TEXT_ARGUMENTS(text));
    return object;
}

static const char *string_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

START_TEST(error_body_is_exact)
{
    exchange.verdict = DENY(413, "body", "body_too_large", "a detail for the log");
    set_reply("X-Handler: secret\n");
    exchange.reply.from_handler = true;
    struct text body = error_body(&rules, &exchange);
    ck_assert_str_eq(arena_copy(arena, body.at, body.length),
                     "{\"error\":\"body_too_large\",\"message\":\"The request's body is too large\","
                     "\"requestId\":\"01234567-89ab-4cde-8f01-23456789abcd\"}\n");
    ck_assert_str_eq(reply_lines(), "Content-Type: application/json\nCache-Control: no-store\n");
    ck_assert_int_eq(exchange.reply.status, 413);
    ck_assert_int_eq(exchange.reply.length, (int64_t)body.length);
    ck_assert(!exchange.reply.from_handler);
}
END_TEST

/* Every code that the program gives has a sentence that is not only its
 * status's reason. One that is missing here is missing in the manual too. */
static const struct {
    int status;
    const char *code;
} codes[] = {
    {400, "body_incomplete"},
    {400, "body_invalid"},
    {408, "body_timeout"},
    {413, "body_too_large"},
    {400, "client_gone"},
    {408, "client_stalled"},
    {400, "content_length_invalid"},
    {415, "content_type_not_allowed"},
    {404, "dotfile"},
    {431, "head_too_large"},
    {400, "header_duplicate"},
    {400, "header_name"},
    {431, "header_too_large"},
    {400, "header_value"},
    {431, "headers_too_many"},
    {400, "host_duplicate"},
    {400, "host_invalid"},
    {400, "host_missing"},
    {400, "host_not_allowed"},
    {308, "https_redirect"},
    {403, "https_required"},
    {500, "internal_error"},
    {400, "method_invalid"},
    {405, "method_not_allowed"},
    {503, "overloaded"},
    {400, "path_above_root"},
    {400, "path_bad_escape"},
    {400, "path_bad_utf8"},
    {400, "path_control_character"},
    {400, "path_encoded_slash"},
    {400, "path_fragment"},
    {400, "path_not_absolute"},
    {400, "path_nul"},
    {503, "backend_busy"},
    {504, "backend_timeout"},
    {502, "backend_unavailable"},
    {502, "bad_reply"},
    {502, "program_failed"},
    {504, "program_timeout"},
    {400, "request_invalid"},
    {408, "request_timeout"},
    {404, "route_not_found"},
    {404, "script_not_found"},
    {500, "spool_failed"},
    {400, "target_invalid"},
    {400, "target_missing"},
    {414, "target_too_long"},
    {400, "transfer_encoding"},
    {403, "address_not_allowed"},
    {403, "forbidden"},
};

START_TEST(codes_have_sentences)
{
    exchange.verdict = DENY(codes[_i].status, "guard", codes[_i].code, "the detail");
    exchange.allow = TEXT("GET, HEAD");
    json_t *object = parse(error_body(&rules, &exchange));
    const char *message = string_of(object, "message");
    ck_assert_uint_eq(json_object_size(object), 3);
    ck_assert_str_eq(string_of(object, "error"), codes[_i].code);
    ck_assert_str_eq(string_of(object, "requestId"), exchange.id);
    ck_assert_str_ne(message, reply_reason(codes[_i].status));
    ck_assert_msg(strlen(message) > 10 && message[0] >= 'A' && message[0] <= 'Z', "%s", message);
    ck_assert_msg(strstr(message, "detail") == NULL && message[strlen(message) - 1] != '.', "%s", message);
    ck_assert_int_eq(reply_header("allow") != NULL, codes[_i].status == 405);
    ck_assert_int_eq(reply_header("retry-after") != NULL, codes[_i].status == 503);
    ck_assert_ptr_null(reply_header("location"));
    json_decref(object);
}
END_TEST

START_TEST(unknown_codes_have_a_sentence)
{
    ck_assert_str_eq(error_message("no_such_code", 404), "Not Found");
    ck_assert_str_eq(error_message("no_such_code", 599), "The request was refused");
    ck_assert_str_eq(error_message("", 0), "The request was refused");
}
END_TEST

START_TEST(error_405_says_what_is_allowed)
{
    exchange.verdict = DENY(405, "methods", "method_not_allowed", NULL);
    exchange.allow = TEXT("GET, HEAD, POST");
    error_body(&rules, &exchange);
    ck_assert_str_eq(reply_header("allow"), "GET, HEAD, POST");
}
END_TEST

/* A handler that says when to come back knows better. */
START_TEST(error_keeps_when_to_retry)
{
    exchange.reply = (struct reply){.status = 503, .from_handler = true};
    headers_add(&exchange.reply.headers, exchange.arena, TEXT("Retry-After"), TEXT("120"));
    headers_add(&exchange.reply.headers, exchange.arena, TEXT("X-Trace"), TEXT("main.py:7"));
    exchange.verdict = FAULT(503, "exec", "internal_error", NULL);
    error_body(&rules, &exchange);
    ck_assert_str_eq(reply_header("retry-after"), "120");
    ck_assert_ptr_null(reply_header("x-trace"));
}
END_TEST

START_TEST(error_503_says_when)
{
    exchange.verdict = FAULT(503, "front", "overloaded", NULL);
    error_body(&rules, &exchange);
    ck_assert_str_eq(reply_header("retry-after"), "1");
}
END_TEST

/* Nothing that was sent comes back. */
START_TEST(errors_echo_nothing)
{
    struct request *request = &exchange.request;
    request->method = request->path = request->target = request->query = TEXT("MARK");
    request->host = request->content_type = TEXT("MARK");
    headers_add(&request->headers, arena, TEXT("MARK"), TEXT("MARK"));
    exchange.route_path = "MARK";
    for (size_t i = 0; i < COUNT(codes); i++) {
        exchange.verdict = DENY(codes[i].status, "MARK", codes[i].code, "MARK");
        struct text body = error_body(&rules, &exchange);
        ck_assert_ptr_null(memmem(body.at, body.length, "MARK", 4));
        ck_assert_ptr_null(strstr(reply_lines(), "MARK"));
    }
}
END_TEST

static const struct {
    const char *host, *port, *target, *location;
} redirects[] = {
    {"example.com", "", "/", "https://example.com/"},
    {"example.com", "80", "/a", "https://example.com/a"},
    {"example.com", "8080", "/a", "https://example.com/a"},
    {"2001:db8::1", "", "/a", "https://[2001:db8::1]/a"},
    {"192.0.2.1", "80", "/a", "https://192.0.2.1/a"},
    {"example.com", "", "/a/../b?x=%2F&y=a+b", "https://example.com/a/../b?x=%2F&y=a+b"},
    {"example.com", "", "//evil.example/", "https://example.com//evil.example/"},
    {"example.com", "", "/%0d%0aSet-Cookie:x", "https://example.com/%0d%0aSet-Cookie:x"},
    {"example.com", "", "/\xc3\xa4?\"<>\\^`{|}", "https://example.com/%C3%A4?%22%3C%3E%5C%5E%60%7B%7C%7D"},
    {"example.com", "", "/a b", "https://example.com/a%20b"},
    {"example.com", "", "/\r\nX: y", "https://example.com/%0D%0AX:%20y"},
    {"example.com", "", "/a@b:c;d,e!$&'()*+=~_-.", "https://example.com/a@b:c;d,e!$&'()*+=~_-."},
};

START_TEST(redirects_go_to_the_same_target)
{
    exchange.request.host = text_of(redirects[_i].host);
    exchange.request.host_port = text_of(redirects[_i].port);
    exchange.request.target = text_of(redirects[_i].target);
    exchange.verdict = (struct verdict){VERDICT_ANSWER, 308, "https", "https_redirect", NULL};
    json_decref(parse(error_body(&rules, &exchange)));
    ck_assert_int_eq(exchange.reply.status, 308);
    ck_assert_str_eq(reply_header("location"), redirects[_i].location);
}
END_TEST

/* ================ mask */

static const struct {
    const char *allowed; /* separated by commas */
    const char *before, *after;
} mask_cases[] = {
    {"", "Content-Type: a/b\nSet-Cookie: a\nSet-Cookie: b\nX-Own: c\n",
     "Content-Type: a/b\nSet-Cookie: a\nSet-Cookie: b\nX-Own: c\n"},
    {"", "X-Sendfile: /etc/passwd\nX-A: b\n", "X-A: b\n"},
    {"", "x-SENDFILE: /etc/passwd\n", ""},
    {"", "X-Sendfile2: /a 0-1\nX-SENDFILE-TEMPORARY: /a\n", ""},
    {"", "X-LIGHTTPD-send-file: /a\nX-LIGHTTPD-send-tempfile: /a\nX-Lighttpd-Other: b\n", ""},
    {"",
     "X-Accel-Redirect: /a\nX-Accel-Buffering: no\nX-Accel-Charset: a\nX-Accel-Expires: 1\n"
     "X-Accel-Limit-Rate: 1\nx-accel-anything: b\n",
     ""},
    {"", "X-Reproxy-URL: http://a/\nX-LiteSpeed-Location: /a\n", ""},
    {"", "X-Sendfiles: a\nX-Accelerate: b\nX-Accel: c\nX-Lighttpd: d\nMy-X-Sendfile: e\n",
     "X-Sendfiles: a\nX-Accelerate: b\nX-Accel: c\nX-Lighttpd: d\nMy-X-Sendfile: e\n"},
    {"",
     "Connection: close\nKeep-Alive: a\nProxy-Connection: b\nTE: c\nTrailer: d\n"
     "Transfer-Encoding: chunked\nUpgrade: e\n",
     ""},
    {"", "Status: 200\nVariable-REMOTE_USER: root\nvariable-: x\n", ""},
    {"", "X-A: b\nConnection: x-a, X-B\nX-B: c\nX-C: d\n", "X-C: d\n"},
    {"", "Connection: X-A\nX-A: b\nConnection: , x-c\t,close\nX-C: d\nX-D: e\n", "X-D: e\n"},
    {"", "Connection: connection, X-A\nX-A: b\nX-B: c\n", "X-B: c\n"},
    {"", "Connection: X\nX-A: b\n", "X-A: b\n"},
    {"X-Sendfile", "X-Sendfile: /a\nX-Accel-Redirect: /a\n", "X-Sendfile: /a\n"},
    {"x-accel-redirect", "X-Accel-Redirect: /a\nX-Accel-Expires: 1\n", "X-Accel-Redirect: /a\n"},
    {"X-Sendfile,X-Accel-Redirect", "X-Accel-Redirect: /a\nX-Sendfile: /b\n",
     "X-Accel-Redirect: /a\nX-Sendfile: /b\n"},
    {"X-Accel", "X-Accel-Redirect: /a\n", ""},
    {"X-Accel-", "X-Accel-Redirect: /a\n", ""},
    {"Connection,Transfer-Encoding,Status,Variable-A",
     "Connection: a\nTransfer-Encoding: b\nStatus: c\nVariable-A: d\n", ""},
    {"X-Sendfile", "X-Sendfile: /a\nConnection: x-sendfile\n", ""},
    {"", "", ""},
};

START_TEST(mask_holds_back)
{
    struct text items[8], rest = text_of(mask_cases[_i].allowed);
    struct texts allowed = {items, 0};
    while (text_next(&rest, ',', &items[allowed.count]))
        allowed.count++;
    set_reply(mask_cases[_i].before);
    mask_headers(&exchange.reply, &allowed);
    ck_assert_str_eq(reply_lines(), mask_cases[_i].after);
}
END_TEST

START_TEST(mask_without_a_list)
{
    set_reply("X-Sendfile: /a\nX-A: b\n");
    mask_headers(&exchange.reply, NULL);
    ck_assert_str_eq(reply_lines(), "X-A: b\n");
}
END_TEST

static const struct {
    int status;
    bool from_handler, pass_errors, replaced;
} replacement_cases[] = {
    {200, true, false, false},  {499, true, false, false}, {500, true, false, true},
    {502, true, false, true},   {599, true, false, true},  {500, true, true, false},
    {500, false, false, false},
};

START_TEST(mask_replaces_errors)
{
    struct reply reply = {.status = replacement_cases[_i].status,
                          .from_handler = replacement_cases[_i].from_handler};
    ck_assert_int_eq(mask_wants_replacement(&reply, replacement_cases[_i].pass_errors),
                     replacement_cases[_i].replaced);
}
END_TEST

/* ================ log lines */

static int log_file; /* without a name, so that a test that fails leaves nothing */

static const char *log_target(void)
{
    return arena_printf(arena, "file:/proc/self/fd/%d", log_file);
}

static void open_log(void)
{
    struct error error = {0};
    set_up();
    log_file = memfd_create("log", MFD_CLOEXEC);
    ck_assert_int_ge(log_file, 0);
    ck_assert_msg(log_open(log_target(), SEVERITY_DEBUG, &error), "%s", error.message);
}

static void close_log(void)
{
    struct error error = {0};
    ck_assert(log_open("stderr", SEVERITY_INFO, &error));
    close(log_file);
    tear_down();
}

/* What has been written, and it must be whole lines. */
static struct text log_lines(void)
{
    char *lines = arena_alloc(arena, LINES_SIZE);
    ssize_t length = pread(log_file, lines, LINES_SIZE, 0);
    ck_assert(length >= 0 && length < LINES_SIZE && (length == 0 || lines[length - 1] == '\n'));
    return (struct text){lines, (size_t)length};
}

/* The only line there is; each byte of it may be printed on a terminal. */
static json_t *only_line(void)
{
    struct text lines = log_lines(), line;
    ck_assert(text_next(&lines, '\n', &line));
    ck_assert_msg(lines.length == 0, "more than one line");
    ck_assert_uint_lt(line.length, LOG_LINE_SIZE);
    ck_assert(text_is_utf8(line));
    for (size_t i = 0; i < line.length; i++) {
        unsigned char byte = (unsigned char)line.at[i],
                      next = i + 1 < line.length ? (unsigned char)line.at[i + 1] : 0;
        ck_assert_msg(byte >= 0x20 && byte != 0x7f && !(byte == 0xc2 && next < 0xa0), "byte %zu", i);
    }
    return parse(line);
}

static void expect_string(const json_t *object, const char *key, const char *expected)
{
    const char *value = string_of(object, key);
    ck_assert_msg((value == NULL) == (expected == NULL), "%s is %s", key, value ? value : "absent");
    if (expected)
        ck_assert_str_eq(value, expected);
}

START_TEST(log_has_all_of_a_request)
{
    ck_assert(address_parse(TEXT("192.0.2.1"), &exchange.request.client));
    headers_add(&exchange.request.headers, arena, TEXT("user-agent"), TEXT("curl/8"));
    headers_add(&exchange.request.headers, arena, TEXT("cookie"), TEXT("secret"));
    headers_add(&exchange.request.headers, arena, TEXT("authorization"), TEXT("secret"));
    exchange.request.path = TEXT("/api/users/7");
    exchange.request.target = TEXT("/api/./users/7?token=secret");
    exchange.request.query = TEXT("token=secret");
    exchange.route_path = "/api/users/{id}";
    exchange.reply.status = 200;
    exchange.sent = 123;
    exchange.started = clock_microseconds() - 1500;
    access_log_write(&exchange);
    ck_assert_ptr_null(memmem(log_lines().at, log_lines().length, "secret", 6));
    json_t *line = only_line();
    ck_assert_uint_eq(strlen(string_of(line, "time")), CLOCK_RFC3339_SIZE - 1);
    expect_string(line, "level", "info");
    expect_string(line, "event", "request");
    expect_string(line, "requestId", exchange.id);
    expect_string(line, "method", "GET");
    expect_string(line, "path", "/api/users/7");
    expect_string(line, "address", "192.0.2.1");
    expect_string(line, "userAgent", "curl/8");
    expect_string(line, "route", "/api/users/{id}");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "status")), 200);
    ck_assert_int_eq(json_integer_value(json_object_get(line, "sent")), 123);
    double duration = json_real_value(json_object_get(line, "duration"));
    ck_assert_msg(duration >= 1.5 && duration < 10000, "%f", duration);
    ck_assert_uint_eq(json_object_size(line), 12);
    json_decref(line);
}
END_TEST

START_TEST(log_has_the_refusal)
{
    exchange.reply.status = 403;
    exchange.verdict = DENY(403, "addresses", "address_not_allowed", "said \"no\"\n");
    access_log_write(&exchange);
    json_t *line = only_line();
    expect_string(line, "level", "notice");
    expect_string(line, "guard", "addresses");
    expect_string(line, "code", "address_not_allowed");
    expect_string(line, "detail", "said \"no\"\n");
    expect_string(line, "address", "unknown");
    expect_string(line, "userAgent", NULL);
    expect_string(line, "route", NULL);
    json_decref(line);
}
END_TEST

static const struct {
    enum verdict_kind kind;
    int status;
    const char *level;
} levels[] = {
    {VERDICT_PASS, 200, "info"},     {VERDICT_PASS, 302, "info"},     {VERDICT_PASS, 404, "info"},
    {VERDICT_PASS, 401, "notice"},   {VERDICT_PASS, 403, "notice"},   {VERDICT_PASS, 429, "notice"},
    {VERDICT_PASS, 500, "warning"},  {VERDICT_PASS, 503, "warning"},  {VERDICT_ANSWER, 308, "info"},
    {VERDICT_DENY, 404, "notice"},   {VERDICT_DENY, 413, "notice"},   {VERDICT_DENY, 503, "warning"},
    {VERDICT_FAULT, 502, "warning"}, {VERDICT_FAULT, 200, "warning"},
};

START_TEST(log_has_levels)
{
    exchange.reply.status = levels[_i].status;
    exchange.verdict = (struct verdict){levels[_i].kind, levels[_i].status, "guard", "code", NULL};
    access_log_write(&exchange);
    json_t *line = only_line();
    expect_string(line, "level", levels[_i].level);
    expect_string(line, "code", levels[_i].kind == VERDICT_PASS ? NULL : "code");
    expect_string(line, "detail", NULL);
    json_decref(line);
}
END_TEST

START_TEST(log_leaves_out_what_is_not_wanted)
{
    struct error error = {0};
    ck_assert(log_open(log_target(), SEVERITY_ERROR, &error));
    exchange.reply.status = 500;
    access_log_write(&exchange);
    access_log_reported(&exchange, DENY(403, "g", "c", NULL));
    access_log_program(&exchange, "exec", TEXT("line"));
    ck_assert_uint_eq(log_lines().length, 0);
}
END_TEST

/* Where there is no canonical path, the one that was sent, without its query. */
static const struct {
    const char *target, *path;
} refused_paths[] = {
    {"/%00", "/%00"},
    {"/a%2fb?token=secret", "/a%2fb"},
    {"/\x01\x1b[2J?x", "/\x01\x1b[2J"},
    {"http:evil", "http:evil"},
    {"?secret", ""},
    {"", ""},
};

START_TEST(log_has_the_refused_path)
{
    exchange.request.path = (struct text){0};
    exchange.request.target = text_of(refused_paths[_i].target);
    exchange.reply.status = 400;
    exchange.verdict = DENY(400, "path", "path_nul", NULL);
    access_log_write(&exchange);
    json_t *line = only_line();
    expect_string(line, "path", refused_paths[_i].path);
    json_decref(line);
}
END_TEST

/* What a client or a program may write, and what a reader of the log gets. */
static const struct {
    struct text sent;
    const char *read;
} hostile[] = {
    {{"", 0}, ""},
    {{NULL, 0}, ""},
    {{"\"", 1}, "\""},
    {{"\\", 1}, "\\"},
    {{"\",\"status\":200,\"x\":\"", 20}, "\",\"status\":200,\"x\":\""},
    {{"a\r\nb", 4}, "a\r\nb"},
    {{"\n{\"event\":\"request\"}\n", 21}, "\n{\"event\":\"request\"}\n"},
    {{"\t\b\f", 3}, "\t\b\f"},
    {{"\x1b[31m", 5}, "\x1b[31m"},
    {{"\x7f", 1}, "\x7f"},
    {{"\xc2\x9b"
      "31m",
      5},
     "\xc2\x9b"
     "31m"},
    {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
    {{"a\xff"
      "b",
      3},
     "a\xef\xbf\xbd"
     "b"},
    {{"\xc0\xaf", 2}, "\xef\xbf\xbd\xef\xbf\xbd"},
    {{"\xed\xa0\x80", 3}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {{"\xf4\x90\x80\x80", 4}, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    {{"\xe2\x82", 2}, "\xef\xbf\xbd\xef\xbf\xbd"},
    {{"%s%n%99999d", 11}, "%s%n%99999d"},
    {{"</script>", 9}, "</script>"},
};

/* All fields at once. */
static void write_everywhere(struct text text, bool cut_off)
{
    char *string = arena_copy(arena, text.at ? text.at : "", text.length);
    struct request *request = &exchange.request;
    request->method = request->path = request->target = text;
    headers_add(&request->headers, arena, TEXT("user-agent"), text);
    exchange.route_path = string;
    exchange.reply.status = 599;
    exchange.sent = INT64_MAX;
    exchange.started = 0;
    exchange.verdict = FAULT(599, cut_off ? string : "guard", cut_off ? string : "code", string);
    access_log_write(&exchange);
}

START_TEST(log_survives_requests)
{
    write_everywhere(hostile[_i].sent, false);
    json_t *line = only_line();
    expect_string(line, "method", hostile[_i].read);
    expect_string(line, "path", hostile[_i].read);
    expect_string(line, "userAgent", hostile[_i].read);
    expect_string(line, "route", hostile[_i].read);
    expect_string(line, "detail", hostile[_i].read);
    expect_string(line, "code", "code");
    ck_assert_int_eq(json_integer_value(json_object_get(line, "status")), 599);
    json_decref(line);
}
END_TEST

START_TEST(log_survives_programs)
{
    access_log_program(&exchange, "exec", hostile[_i].sent);
    json_t *line = only_line();
    expect_string(line, "event", "program");
    expect_string(line, "level", "warning");
    expect_string(line, "requestId", exchange.id);
    expect_string(line, "handler", "exec");
    expect_string(line, "line", hostile[_i].read);
    ck_assert_uint_eq(json_object_size(line), 6);
    json_decref(line);
}
END_TEST

START_TEST(log_survives_nul)
{
    access_log_program(&exchange, "exec", TEXT("a\0b"));
    struct text lines = log_lines();
    ck_assert_ptr_nonnull(memmem(lines.at, lines.length, "\"a\\u0000b\"", 10));
    ck_assert_ptr_null(memchr(lines.at, '\0', lines.length));
}
END_TEST

/* One character over and over: every length of an escape, and every way to cut one. */
static const char *const repeated[] = {
    "a", "\"", "\\", "\n", "\x01", "\x7f", "\xff", "\xc2\x80", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
};
enum { SHIFTS = 7 };

static struct text repeat(const char *character, size_t shift)
{
    size_t size = strlen(character);
    char *text = arena_alloc(arena, LONG_LENGTH + SHIFTS);
    memset(text, 'x', shift);
    for (size_t i = 0; i < LONG_LENGTH; i++)
        text[shift + i] = character[i % size];
    return (struct text){text, shift + LONG_LENGTH / size * size};
}

/* Bytes as they stand in the line, between the quotes. */
static size_t written_length(const char *key)
{
    struct text lines = log_lines();
    const char *quoted = arena_printf(arena, "\"%s\":\"", key);
    const char *start = memmem(lines.at, lines.length, quoted, strlen(quoted));
    ck_assert_ptr_nonnull(start);
    start += strlen(quoted);
    const char *end = start;
    while (*end != '"')
        end += *end == '\\' ? 2 : 1;
    return (size_t)(end - start);
}

static const struct {
    const char *key;
    size_t budget;
} budgets[] = {
    {"method", 64}, {"path", 1024}, {"userAgent", 256}, {"route", 256},
    {"guard", 64},  {"code", 64},   {"detail", 512},
};

START_TEST(log_cuts_requests)
{
    for (size_t shift = 0; shift < SHIFTS; shift++) {
        ck_assert_int_eq(ftruncate(log_file, 0), 0);
        exchange.request.headers.count = 0;
        write_everywhere(repeat(repeated[_i], shift), true);
        json_t *line = only_line();
        for (size_t i = 0; i < COUNT(budgets); i++) {
            size_t length = written_length(budgets[i].key);
            const char *value = string_of(line, budgets[i].key);
            ck_assert_msg(text_ends_with(text_of(value), TEXT("\xe2\x80\xa6")), "%s: %s", budgets[i].key,
                          value);
            ck_assert_uint_le(length, budgets[i].budget);
            ck_assert_uint_gt(length,
                              budgets[i].budget - 9); /* no escape is longer than 6, and the mark is 3 */
        }
        ck_assert_int_eq(json_integer_value(json_object_get(line, "status")), 599);
        json_decref(line);
    }
}
END_TEST

START_TEST(log_cuts_programs)
{
    for (size_t shift = 0; shift < SHIFTS; shift++) {
        ck_assert_int_eq(ftruncate(log_file, 0), 0);
        access_log_program(&exchange, "exec", repeat(repeated[_i], shift));
        json_t *line = only_line();
        const char *value = string_of(line, "line");
        ck_assert(text_ends_with(text_of(value), TEXT("\xe2\x80\xa6")));
        ck_assert_uint_gt(written_length("line"), 1024);
        json_decref(line);
    }
}
END_TEST

/* What fits exactly is not cut. */
START_TEST(log_cuts_no_more_than_it_must)
{
    exchange.request.path = (struct text){repeat("a", 0).at, 1000};
    exchange.reply.status = 200;
    access_log_write(&exchange);
    json_t *line = only_line();
    ck_assert_uint_eq(strlen(string_of(line, "path")), 1000);
    json_decref(line);
}
END_TEST

START_TEST(log_has_what_was_only_reported)
{
    exchange.request.path = TEXT("/.git");
    exchange.route_path = "/**";
    exchange.verdict = PASS;
    access_log_reported(&exchange, DENY(404, "dotfiles", "dotfile", "a name begins with a dot"));
    json_t *line = only_line();
    expect_string(line, "event", "reported");
    expect_string(line, "level", "notice");
    expect_string(line, "requestId", exchange.id);
    expect_string(line, "guard", "dotfiles");
    expect_string(line, "code", "dotfile");
    expect_string(line, "detail", "a name begins with a dot");
    expect_string(line, "path", "/.git");
    expect_string(line, "route", "/**");
    ck_assert_ptr_null(json_object_get(line, "status"));
    json_decref(line);
}
END_TEST

#define ADD_TABLE(test, table) tcase_add_loop_test(cases, test, 0, (int)COUNT(table))

static void add_headers(Suite *suite)
{
    TCase *cases = tcase_create("secure headers");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD_TABLE(presets_are_exact, presets);
    ADD_TABLE(presets_without_https, presets);
    tcase_add_test(cases, presets_are_all_tested);
    tcase_add_test(cases, presets_replace_the_handlers);
    tcase_add_test(cases, preset_off_changes_nothing);
    ADD_TABLE(maps_change_single_headers, map_cases);
    ADD_TABLE(maps_refuse, bad_headers);
    tcase_add_test(cases, maps_heed_https);
    tcase_add_test(cases, maps_are_limited);
    suite_add_tcase(suite, cases);
}

static void add_errors_and_mask(Suite *suite)
{
    TCase *cases = tcase_create("error bodies");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD_TABLE(codes_have_sentences, codes);
    ADD_TABLE(redirects_go_to_the_same_target, redirects);
    tcase_add_test(cases, error_body_is_exact);
    tcase_add_test(cases, unknown_codes_have_a_sentence);
    tcase_add_test(cases, error_405_says_what_is_allowed);
    tcase_add_test(cases, error_503_says_when);
    tcase_add_test(cases, error_keeps_when_to_retry);
    tcase_add_test(cases, errors_echo_nothing);
    suite_add_tcase(suite, cases);
    cases = tcase_create("mask");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD_TABLE(mask_holds_back, mask_cases);
    ADD_TABLE(mask_replaces_errors, replacement_cases);
    tcase_add_test(cases, mask_without_a_list);
    suite_add_tcase(suite, cases);
}

static void add_log(Suite *suite)
{
    TCase *cases = tcase_create("access log");
    tcase_add_checked_fixture(cases, open_log, close_log);
    tcase_add_test(cases, log_has_all_of_a_request);
    tcase_add_test(cases, log_has_the_refusal);
    ADD_TABLE(log_has_levels, levels);
    ADD_TABLE(log_has_the_refused_path, refused_paths);
    ADD_TABLE(log_survives_requests, hostile);
    ADD_TABLE(log_survives_programs, hostile);
    ADD_TABLE(log_cuts_requests, repeated);
    ADD_TABLE(log_cuts_programs, repeated);
    tcase_add_test(cases, log_survives_nul);
    tcase_add_test(cases, log_cuts_no_more_than_it_must);
    tcase_add_test(cases, log_leaves_out_what_is_not_wanted);
    tcase_add_test(cases, log_has_what_was_only_reported);
    suite_add_tcase(suite, cases);
}

int main(void)
{
    Suite *suite = suite_create("respond");
    add_headers(suite);
    add_errors_and_mask(suite);
    add_log(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
