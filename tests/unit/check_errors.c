/*
 * Tests of how clients are told that they are refused: what they would rather
 * have, the profiles, the page, and a policy's own words.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/file.h"
#include "http/preference.h"
#include "respond/error_body.h"
#include "respond/error_page.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define ID           "01234567-89ab-4cde-8f01-23456789abcd"

enum { FINDINGS_TEXT_SIZE = 4096 };

static struct arena *arena;
static struct exchange exchange;

static void set_up(void)
{
    arena = arena_new();
    exchange = (struct exchange){.arena = arena, .limits_told = true};
    memcpy(exchange.id, ID, REQUEST_ID_SIZE);
    exchange.request.method = TEXT("GET");
}

static void tear_down(void)
{
    arena_free(arena);
}

/* ================ preferences */

static const struct {
    const char *value, *read; /* "what=weight what=weight"; NULL: malformed */
} lists[] = {
    {"", ""},
    {" \t", ""},
    {",", ""},
    {" , ,, ", ""},
    {"a", "a=1000"},
    {"a,b", "a=1000 b=1000"},
    {" a ,\tb ", "a=1000 b=1000"},
    {"a;q=0.5", "a=500"},
    {"a;Q=0.5", "a=500"},
    {"a ; q=0.5 , b", "a=500 b=1000"},
    {"a;q=0", "a=0"},
    {"a;q=0.", "a=0"},
    {"a;q=0.001", "a=1"},
    {"a;q=0.999", "a=999"},
    {"a;q=0.25", "a=250"},
    {"a;q=1", "a=1000"},
    {"a;q=1.", "a=1000"},
    {"a;q=1.000", "a=1000"},
    {"a;level=1;q=0.3", "a=300"},
    {"a;level=1;q=0.3;x=y", "a=300"},
    {"a;x=\"b,c;d\\\"e\";q=0.3, f", "a=300 f=1000"},
    {"a;x=\"\",b", "a=1000 b=1000"},
    {"a;", "a=1000"},
    {"a;;q=0.1", "a=100"},
    {"*/*;q=0.8", "*/*=800"},
    {"a;q=2", NULL},
    {"a;q=1.001", NULL},
    {"a;q=1.5", NULL},
    {"a;q=0.0001", NULL},
    {"a;q=.5", NULL},
    {"a;q=-1", NULL},
    {"a;q=", NULL},
    {"a;q", NULL},
    {"a;q=\"0.5\"", NULL},
    {"a;q=0,5", "a=0 5=1000"},
    {"a;q=0x1", NULL},
    {"a;q= 0.5", "a=500"},
    {"a;x", NULL},
    {"a;x=\"b", NULL},
    {"a;x=\"b\\", NULL},
    {"a;x=\"b\"c", NULL},
    {"a\"b\"", NULL},
    {";q=1", NULL},
    {"a,;q=1", NULL},
    {"a;=b", NULL},
};

static const char *show(const struct preferences *preferences)
{
    const char *shown = "";
    for (size_t i = 0; i < preferences->count; i++)
        shown = arena_printf(arena, "%s%s%.*s=%u", shown, i ? " " : "",
                             TEXT_ARGUMENTS(preferences->items[i].what), preferences->items[i].weight);
    return shown;
}

START_TEST(preferences_are_read)
{
    struct preferences preferences = {.count = 7};
    bool good = preferences_read(text_of(lists[_i].value), &preferences);
    ck_assert_msg(good == (lists[_i].read != NULL), "%s", lists[_i].value);
    ck_assert_str_eq(show(&preferences), good ? lists[_i].read : "");
}
END_TEST

START_TEST(preferences_are_limited)
{
    struct preferences preferences;
    struct bytes value = bytes_new(arena, 1024);
    for (int i = 0; i < PREFERENCES_LIMIT; i++)
        bytes_printf(&value, "a%d,", i);
    ck_assert(preferences_read(bytes_text(&value), &preferences));
    ck_assert_uint_eq(preferences.count, PREFERENCES_LIMIT);
    bytes_printf(&value, "b");
    ck_assert(!preferences_read(bytes_text(&value), &preferences));
    ck_assert_uint_eq(preferences.count, 0);
}
END_TEST

/* Of languages of which the first is the default; RFC 4647, 3.4. */
static const struct {
    const char *wanted, *languages, *chosen;
} lookups[] = {
    {"", "en de fr", "en"},
    {"de", "en de fr", "de"},
    {"DE", "en de fr", "de"},
    {"de-CH", "en de fr", "de"},
    {"de-CH-1996", "en de-CH de", "de-CH"},
    {"de", "en de-CH", "en"},
    {"it, fr;q=0.5, de;q=0.7", "en de fr", "de"},
    {"fr, de", "en de fr", "fr"},
    {"fr;q=0.5, de;q=0.5", "en de fr", "fr"},
    {"*", "en de fr", "en"},
    {"*, de", "en de fr", "de"},
    {"it, *;q=0.5", "en de fr", "en"},
    {"de;q=0", "en de fr", "en"},
    {"de-CH;q=0", "en de fr", "en"},
    {"de;q=0, fr;q=0.1", "en de fr", "fr"},
    {"de-CH, de;q=0", "en de fr", "en"},
    {"de-CH, de;q=0", "en de-CH de", "de-CH"},
    {"en-GB;q=0.8, de;q=0.9", "en de", "de"},
    {"zh-Hant-TW", "en zh zh-Hant", "zh-Hant"},
    {"zh-x-a-TW", "en zh-x zh", "zh"},
    {"d", "en de", "en"},
    {"dee", "en de", "en"},
    {"-", "en de", "en"},
    {"de-", "en de", "de"},
    {"x-de", "en de", "en"},
};

START_TEST(languages_are_looked_up)
{
    struct preferences preferences;
    struct text languages[4], rest = text_of(lookups[_i].languages);
    size_t count = 0;
    while (text_next(&rest, ' ', &languages[count]))
        count++;
    ck_assert(preferences_read(text_of(lookups[_i].wanted), &preferences));
    size_t chosen = preferences_language(&preferences, languages, count, 0);
    ck_assert_msg(text_equal(languages[chosen], text_of(lookups[_i].chosen)), "%s of %s: %.*s",
                  lookups[_i].wanted, lookups[_i].languages, TEXT_ARGUMENTS(languages[chosen]));
}
END_TEST

#define CHROMIUM                                                                                             \
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"      \
    "application/signed-exchange;v=b3;q=0.7"

static const struct {
    const char *accept;
    bool page;
} accepts[] = {
    {NULL, false},
    {"", false},
    {"*/*", false},
    {CHROMIUM, true},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true}, /* Firefox, Safari */
    {"text/html, application/xhtml+xml, image/jxr, */*", false},               /* as much of all */
    {"text/html", true},
    {"TEXT/HTML", true},
    {"text/html;charset=utf-8", true},
    {"text/html;q=0.1", true},
    {"text/html;q=0", false},
    {"text/*", true},
    {"text/plain", false},
    {"text/plain, */*;q=0.5", false},
    {"application/json", false},
    {"application/json, text/plain, */*", false},              /* axios */
    {"application/json, text/javascript, */*; q=0.01", false}, /* jQuery */
    {"application/json, text/html", false},
    {"application/json;q=0.9, text/html", true},
    {"application/json, text/html;q=0.9", false},
    {"application/problem+json, text/html;q=0.9", false},
    {"application/vnd.api.v2+json, text/html;q=0.9", false},
    {"application/*, text/html;q=0.9", false},
    {"*/*, text/html;q=0.9", false},
    {"*/*;q=0.1, text/html;q=0.2", true},
    {"text/html, */*;q=0.9, application/json;q=0.95", true},
    {"text/html;q=0.5, text/*;q=0.9", true},
    {"text/html;q=0, text/*", false},
    {"application/json;q=0, */*", true},
    {"text/html;level=1;q=0.3, text/html;q=0.7, */*;q=0.5", true},
    {"text/html, text/html;q=2", false},
    {"text/html, *; q=.2, */*; q=.2", false}, /* HttpURLConnection: malformed */
    {"text/html/x", false},
    {"html", false},
    {"text/html\"", false},
};

START_TEST(pages_are_for_those_who_prefer_them)
{
    struct headers headers = {0};
    if (accepts[_i].accept)
        headers_add(&headers, arena, TEXT("accept"), text_of(accepts[_i].accept));
    ck_assert_msg(error_page_wanted(&headers) == accepts[_i].page, "%s", accepts[_i].accept);
}
END_TEST

/* ================ the key `errors` */

static bool decode(const char *policy, struct error_rules *rules, char told[FINDINGS_TEXT_SIZE])
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/"};
    const struct node *node = file_parse(text_of(policy), false, &findings);
    ck_assert_msg(node != NULL, "cannot be parsed: %s", policy);
    *rules = (struct error_rules){0};
    bool good = decode_section(&decoder, &error_rules_section, node, rules);
    good = good && error_rules_check(rules, &decoder, node);
    ck_assert_msg(good == (findings.errors == 0), "%s", policy);
    memset(told, 0, FINDINGS_TEXT_SIZE);
    FILE *stream = fmemopen(told, FINDINGS_TEXT_SIZE - 1, "w");
    findings_print(&findings, FINDING_ERROR, stream);
    fclose(stream);
    return good;
}

static struct error_rules rules_of(const char *policy)
{
    struct error_rules rules;
    char told[FINDINGS_TEXT_SIZE];
    ck_assert_msg(decode(policy, &rules, told), "%s: %s", policy, told);
    return rules;
}

static const struct {
    const char *policy, *finding;
} bad_rules[] = {
    {"plane", "p:1:1: \"plane\" is not known, expected one of plain, problem, fastapi"},
    {"{profile: rfc9457}", "p:1:11: profile: \"rfc9457\" is not known"},
    {"{html: 1}", "p:1:8: html: \"1\" is neither, expected true or false\n"},
    {"{htlm: true}", "p:1:2: htlm: this key is not known"},
    {"{messages: {forbiden: x}}",
     "p:1:13: messages.forbiden: there is no such code; did you mean \"forbidden\"?\n"},
    {"{messages: {xyz: x}}", "p:1:13: messages.xyz: there is no such code\n"},
    {"{messages: {page_bck: x}}",
     "p:1:13: messages.page_bck: there is no such code; did you mean \"page_back\"?\n"},
    {"{messages: x}", "p:1:12: messages: expected a map of codes, each with a text or a map of languages\n"},
    {"{messages: {forbidden: ''}}",
     "p:1:24: messages.forbidden: this is not a message, expected one line of"},
    {"{messages: {forbidden: [x]}}", "p:1:24: messages.forbidden: this is not a message"},
    {"{messages: {forbidden: \"a\\nb\"}}", "p:1:24: messages.forbidden: this is not a message"},
    {"{messages: {forbidden: \"a\\e[0m\"}}", "p:1:24: messages.forbidden: this is not a message"},
    {"{messages: {forbidden: \"a\\x85\"}}", "p:1:24: messages.forbidden: this is not a message"},
    {"{messages: {forbidden: \"a\\u202eb\"}}", "p:1:24: messages.forbidden: this is not a message"},
    {"{messages: {forbidden: {}}}", "p:1:24: messages.forbidden: expected 1 to 32 languages\n"},
    {"{messages: {forbidden: {english: {a: b}}}}",
     "p:1:34: messages.forbidden.english: this is not a message"},
    {"{messages: {forbidden: {e: x}}}", "p:1:25: messages.forbidden.e: this is not a language"},
    {"{messages: {forbidden: {en_US: x}}}", "p:1:25: messages.forbidden.en_US: this is not a language"},
    {"{messages: {forbidden: {en-: x}}}", "p:1:25: messages.forbidden.en-: this is not a language"},
    {"{messages: {forbidden: {'en\"><script>': x}}}",
     "p:1:25: messages.forbidden.en\"><script>: this is not a"},
    {"{messages: {forbidden: {en: x, EN: y}}}",
     "p:1:32: messages.forbidden.EN: this language stands here already\n"},
    {"{language: de, messages: {forbidden: {fr: x}}}",
     "p:1:1: the message of forbidden is missing in de, which is the `language`\n"},
    {"{language: english please}",
     "p:1:12: language: this is not a language, expected a tag such as en or pt-BR\n"},
    {"{messages: {page_retry_days: x}}",
     "p:1:30: messages.page_retry_days: the number is missing, expected {n} where it is to stand\n"},
    {"{types: 'https://example.com/problems/'}", "p:1:2: types: this is for the profile problem\n"},
    {"{profile: problem, types: 'http://example.com/'}",
     "p:1:27: types: this does not fit, expected the front of a"},
    {"{profile: problem, types: 'https://example.com/problems'}", "p:1:27: types: this does not fit"},
    {"{profile: problem, types: 'https:///'}", "p:1:27: types: this does not fit"},
    {"{profile: problem, types: 'https://a/\"/'}", "p:1:27: types: this does not fit"},
    {"{profile: problem, types: 'https://a/ /'}", "p:1:27: types: this does not fit"},
};

START_TEST(rules_refuse)
{
    struct error_rules rules;
    char told[FINDINGS_TEXT_SIZE];
    const char *policy = bad_rules[_i].policy, *finding = bad_rules[_i].finding;
    ck_assert_msg(!decode(policy, &rules, told), "taken: %s", policy);
    ck_assert_msg(strncmp(told, finding, strlen(finding)) == 0, "%s: said %s", policy, told);
}
END_TEST

START_TEST(rules_limit_messages)
{
    struct error_rules rules;
    char told[FINDINGS_TEXT_SIZE], words[502];
    memset(words, 'x', sizeof words);
    ck_assert(decode(arena_printf(arena, "{messages: {forbidden: %.500s}}", words), &rules, told));
    ck_assert(!decode(arena_printf(arena, "{messages: {forbidden: %.501s}}", words), &rules, told));
}
END_TEST

START_TEST(rules_have_defaults)
{
    struct error_rules rules = rules_of("plain");
    ck_assert(rules.profile == ERROR_PLAIN && rules.html && !rules.types && rules.count == 0);
    ck_assert_str_eq(rules.language, "en");
    rules = rules_of("{profile: problem, html: false, types: 'https://example.com/p#'}");
    ck_assert(rules.profile == ERROR_PROBLEM && !rules.html);
    ck_assert_str_eq(rules.types, "https://example.com/p#");
}
END_TEST

/* Which words a client gets for `forbidden`, and in which language they are said to be. */
static const struct {
    const char *policy, *wanted, *message, *language;
    bool varies;
} translations[] = {
    {"plain", "de", "This request is not allowed", NULL, false},
    {"{messages: {forbidden: Go}}", "de", "Go", "en", false},
    {"{messages: {forbidden: Go}, language: de}", "en", "Go", "de", false},
    {"{messages: {forbidden: {de: Nein}}}", "de-AT", "Nein", "de", true},
    {"{messages: {forbidden: {de: Nein}}}", "fr", "This request is not allowed", "en", true},
    {"{messages: {forbidden: {de: Nein}}}", NULL, "This request is not allowed", "en", true},
    {"{messages: {forbidden: {de: Nein, en: No}}}", NULL, "No", "en", true},
    {"{messages: {forbidden: {de: Nein, en: No}}, language: DE}", NULL, "Nein", "de", true},
    {"{messages: {forbidden: {de: Nein, en: No}}, language: de}", "en", "No", "en", true},
    {"{messages: {forbidden: {de: Nein, en: No}}}", "de;q=2", "No", "en", true},
    {"{messages: {forbidden: {de: Nein, en: No}}}", "de;q=0, *", "No", "en", true},
    {"{messages: {unauthorized: {de: Nein, en: No}}}", "de", "This request is not allowed", NULL, false},
};

static const char *header(const char *name)
{
    const struct text *value = headers_get(&exchange.reply.headers, name);
    return value ? arena_copy(arena, value->at, value->length) : NULL;
}

static void expect_header(const char *name, const char *expected)
{
    const char *value = header(name);
    ck_assert_msg((value == NULL) == (expected == NULL), "%s is %s", name, value ? value : "absent");
    if (expected)
        ck_assert_str_eq(value, expected);
}

static const char *body_of(const struct error_rules *rules)
{
    struct text body = error_body(rules, &exchange);
    return arena_copy(arena, body.at ? body.at : "", body.length);
}

static void want(const char *name, const char *value)
{
    if (value)
        headers_set(&exchange.request.headers, arena, text_of(name), text_of(value));
}

START_TEST(words_are_chosen)
{
    struct error_rules rules = rules_of(translations[_i].policy);
    exchange.verdict = DENY(403, "roles", "forbidden", NULL);
    want("accept-language", translations[_i].wanted);
    json_t *object = json_loads(body_of(&rules), 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(object, "message")), translations[_i].message);
    expect_header("content-language", translations[_i].language);
    expect_header("vary", translations[_i].varies ? "Accept, Accept-Language" : "Accept");
    json_decref(object);
}
END_TEST

/* ================ profiles */

#define TWO_FIELDS                                                                                           \
    "[{\"in\":\"body\",\"field\":\"/items/0/a~1b\",\"error\":\"is required\"},"                              \
    "{\"in\":\"query\",\"field\":\"q\",\"error\":\"must be a string\"}]"

static const struct {
    const char *policy;
    struct verdict verdict;
    const char *details;
    struct allowance allowance;
    const char *type, *body;
} bodies[] = {
    {"plain",
     {VERDICT_DENY, 403, "roles", "forbidden", "d"},
     NULL,
     {0},
     "application/json",
     "{\"error\":\"forbidden\",\"message\":\"This request is not allowed\",\"requestId\":\"" ID "\"}\n"},
    {"plain",
     {VERDICT_DENY, 400, "body", "validation_error", "d"},
     TWO_FIELDS,
     {0},
     "application/json",
     "{\"error\":\"validation_error\",\"message\":\"The request's content is not valid\",\"requestId\":\"" ID
     "\",\"details\":" TWO_FIELDS "}\n"},
    {"plain",
     {VERDICT_DENY, 429, "limits", "rate_limit_exceeded", "d"},
     NULL,
     {"login", 5, 900, 0, 9, 9},
     "application/json",
     "{\"error\":\"rate_limit_exceeded\",\"message\":\"Too many requests, please try again later\","
     "\"requestId\":\"" ID "\",\"retryAfter\":9}\n"},
    {"problem",
     {VERDICT_DENY, 403, "roles", "forbidden", "d"},
     NULL,
     {0},
     "application/problem+json",
     "{\"type\":\"about:blank\",\"title\":\"Forbidden\",\"status\":403,"
     "\"detail\":\"This request is not allowed\",\"instance\":\"urn:uuid:" ID "\",\"code\":\"forbidden\","
     "\"requestId\":\"" ID "\"}\n"},
    {"problem",
     {VERDICT_DENY, 422, "body", "validation_error", "d"},
     TWO_FIELDS,
     {0},
     "application/problem+json",
     "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\",\"status\":422,"
     "\"detail\":\"The request's content is not valid\",\"instance\":\"urn:uuid:" ID
     "\",\"code\":\"validation_error\",\"requestId\":\"" ID "\",\"errors\":["
     "{\"detail\":\"is required\",\"pointer\":\"#/items/0/a~1b\"},"
     "{\"detail\":\"must be a string\",\"in\":\"query\",\"name\":\"q\"}]}\n"},
    {"problem",
     {VERDICT_DENY, 429, "limits", "rate_limit_exceeded", "d"},
     NULL,
     {"log\"in", 5, 900, 0, 9, 9},
     "application/problem+json",
     "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\","
     "\"title\":\"Request cannot be satisfied as assigned quota has been exceeded\",\"status\":429,"
     "\"detail\":\"Too many requests, please try again later\",\"instance\":\"urn:uuid:" ID
     "\",\"code\":\"rate_limit_exceeded\",\"requestId\":\"" ID
     "\",\"retryAfter\":9,\"violated-policies\":[\"log\\\"in\"]}\n"},
    {"{profile: problem, types: 'https://example.com/p/'}",
     {VERDICT_DENY, 403, "roles", "forbidden", "d"},
     NULL,
     {0},
     "application/problem+json",
     "{\"type\":\"https://example.com/p/forbidden\",\"title\":\"This request is not allowed\",\"status\":403,"
     "\"instance\":\"urn:uuid:" ID "\",\"code\":\"forbidden\",\"requestId\":\"" ID "\"}\n"},
    {"{profile: problem, types: 'https://example.com/p/', messages: {forbidden: No}}",
     {VERDICT_DENY, 403, "roles", "forbidden", "d"},
     NULL,
     {0},
     "application/problem+json",
     "{\"type\":\"https://example.com/p/forbidden\",\"title\":\"This request is not allowed\",\"status\":403,"
     "\"detail\":\"No\",\"instance\":\"urn:uuid:" ID "\",\"code\":\"forbidden\",\"requestId\":\"" ID "\"}\n"},
    {"fastapi",
     {VERDICT_DENY, 404, "route", "route_not_found", "d"},
     NULL,
     {0},
     "application/json",
     "{\"detail\":\"Not Found\"}"},
    {"fastapi",
     {VERDICT_DENY, 405, "route", "method_not_allowed", "d"},
     NULL,
     {0},
     "application/json",
     "{\"detail\":\"Method Not Allowed\"}"},
    {"fastapi",
     {VERDICT_DENY, 413, "body", "body_too_large", "d"},
     NULL,
     {0},
     "application/json",
     "{\"detail\":\"The request's body is too large\"}"},
    {"{profile: fastapi, messages: {forbidden: Not for you}}",
     {VERDICT_DENY, 403, "roles", "forbidden", "d"},
     NULL,
     {0},
     "application/json",
     "{\"detail\":\"Not for you\"}"},
    {"fastapi",
     {VERDICT_DENY, 422, "body", "validation_error", "d"},
     TWO_FIELDS,
     {0},
     "application/json",
     "{\"detail\":[{\"type\":\"missing\",\"loc\":[\"body\",\"items\",0,\"a/b\"],\"msg\":\"Field required\"},"
     "{\"type\":\"value_error\",\"loc\":[\"query\",\"q\"],\"msg\":\"must be a string\"}]}"},
    {"fastapi",
     {VERDICT_DENY, 422, "body", "validation_error", "d"},
     "[{\"in\":\"body\",\"field\":\"\"},{\"in\":\"body\",\"field\":\"/name\",\"error\":\"m\"},"
     "{\"in\":\"header\",\"field\":\"x-a\",\"error\":\"e\"}]",
     {0},
     "application/json",
     "{\"detail\":[{\"type\":\"value_error\",\"loc\":[\"body\"],\"msg\":\"Invalid value\"},"
     "{\"type\":\"value_error\",\"loc\":[\"body\",\"name\"],\"msg\":\"m\"},"
     "{\"type\":\"value_error\",\"loc\":[\"header\",\"x-a\"],\"msg\":\"e\"}]}"},
    {"fastapi",
     {VERDICT_DENY, 422, "body", "validation_error", "d"},
     NULL,
     {0},
     "application/json",
     "{\"detail\":\"The request's content is not valid\"}"},
    {"fastapi",
     {VERDICT_DENY, 429, "limits", "rate_limit_exceeded", "d"},
     NULL,
     {"login", 5, 60, 0, 9, 9},
     "application/json",
     "{\"error\":\"Rate limit exceeded: 5 per 1 minute\"}"},
    {"fastapi",
     {VERDICT_DENY, 429, "limits", "rate_limit_exceeded", "d"},
     NULL,
     {"x", 100, 900, 0, 9, 9},
     "application/json",
     "{\"error\":\"Rate limit exceeded: 100 per 15 minute\"}"},
    {"fastapi",
     {VERDICT_DENY, 429, "limits", "rate_limit_exceeded", "d"},
     NULL,
     {"x", 3, 0, 0, 9, 9},
     "application/json",
     "{\"error\":\"Rate limit exceeded: Too many requests, please try again later\"}"},
    {"{profile: fastapi, messages: {rate_limit_exceeded: Slow down}}",
     {VERDICT_DENY, 429, "limits", "rate_limit_exceeded", "d"},
     NULL,
     {"x", 3, 9, 0, 9, 9},
     "application/json",
     "{\"error\":\"Rate limit exceeded: Slow down\"}"},
};

START_TEST(profiles_are_exact)
{
    struct error_rules rules = rules_of(bodies[_i].policy);
    exchange.verdict = bodies[_i].verdict;
    exchange.details = text_of(bodies[_i].details);
    exchange.allowance = bodies[_i].allowance;
    const char *body = body_of(&rules);
    ck_assert_str_eq(body, bodies[_i].body);
    expect_header("content-type", bodies[_i].type);
    expect_header("cache-control", "no-store");
    ck_assert_int_eq(exchange.reply.length, (int64_t)strlen(body));
    json_t *object = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(object);
    json_decref(object);
}
END_TEST

static const char *const profiles[] = {"plain", "problem", "fastapi"};

/* Names of fields are told, and some web servers call our JSON HTML. */
START_TEST(profiles_have_no_markup)
{
    struct error_rules rules = rules_of(profiles[_i]);
    exchange.verdict = DENY(400, "parameters", "validation_error", NULL);
    exchange.details = TEXT("[{\"in\":\"query\",\"field\":\"<script>&\",\"error\":\"is not allowed\"}]");
    const char *body = body_of(&rules);
    ck_assert_ptr_nonnull(strstr(body, "\"\\u003cscript\\u003e\\u0026\""));
    ck_assert_ptr_null(strpbrk(body, "<>&"));
    json_t *object = json_loads(body, 0, NULL);
    ck_assert_ptr_nonnull(object);
    json_decref(object);
}
END_TEST

START_TEST(profiles_keep_headers)
{
    struct error_rules rules = rules_of(profiles[_i]);
    exchange.verdict = DENY(405, "route", "method_not_allowed", NULL);
    exchange.allow = TEXT("GET, HEAD");
    body_of(&rules);
    expect_header("allow", "GET, HEAD");
    exchange.verdict = DENY(401, "auth", "unauthorized", NULL);
    exchange.challenge = TEXT("Bearer");
    body_of(&rules);
    expect_header("www-authenticate", "Bearer");
    exchange.verdict = DENY(429, "limits", "rate_limit_exceeded", NULL);
    exchange.allowance = (struct allowance){"x", 1, 60, 0, 7, 7};
    body_of(&rules);
    expect_header("retry-after", "7");
    exchange.request.host = TEXT("example.com");
    exchange.request.target = TEXT("/a");
    exchange.verdict = (struct verdict){VERDICT_ANSWER, 308, "https", "https_redirect", NULL};
    body_of(&rules);
    expect_header("location", "https://example.com/a");
}
END_TEST

/* Nobody is told of limits that replies do not tell of. */
START_TEST(limits_stay_untold)
{
    exchange.limits_told = false;
    exchange.verdict = DENY(429, "limits", "rate_limit_exceeded", NULL);
    exchange.allowance = (struct allowance){"secret", 5, 60, 0, 9, 9};
    for (size_t i = 0; i < COUNT(profiles); i++) {
        struct error_rules rules = rules_of(profiles[i]);
        const char *body = body_of(&rules);
        ck_assert_msg(!strstr(body, "secret") && !strstr(body, "5 per"), "%s", body);
    }
}
END_TEST

START_TEST(bodies_are_not_for_all_statuses)
{
    static const int statuses[] = {204, 304};
    struct error_rules rules = rules_of("plain");
    want("accept", "text/html");
    exchange.verdict = (struct verdict){VERDICT_ANSWER, statuses[_i], "cors", "preflight", NULL};
    ck_assert_str_eq(body_of(&rules), "");
    ck_assert_int_eq(exchange.reply.length, -1);
    expect_header("content-type", NULL);
    expect_header("content-language", NULL);
}
END_TEST

/* As many fields as are told, with as much to escape as there can be. */
START_TEST(details_of_any_size)
{
    struct bytes details = bytes_new(arena, 20 * 1024);
    for (int i = 0; i < 20; i++) {
        bytes_printf(&details, "%s{\"in\":\"body\",\"field\":\"", i ? "," : "[");
        for (int j = 0; j < 100; j++)
            bytes_printf(&details, "/\\u0001");
        bytes_printf(&details, "\",\"error\":\"is required\"}");
    }
    bytes_printf(&details, "]");
    ck_assert(!details.full);
    exchange.verdict = DENY(400, "body", "validation_error", NULL);
    exchange.details = bytes_text(&details);
    struct error_rules rules = rules_of(profiles[_i]);
    json_t *object = json_loads(body_of(&rules), 0, NULL);
    ck_assert_ptr_nonnull(object);
    json_decref(object);
}
END_TEST

/* ================ the page */

static const char *page_of(const char *policy, int status, const char *code)
{
    struct error_rules rules = rules_of(policy);
    want("accept", CHROMIUM);
    exchange.verdict = DENY(status, "guard", code, "DETAIL");
    const char *page = body_of(&rules);
    expect_header("content-type", "text/html; charset=utf-8");
    expect_header("cache-control", "no-store");
    ck_assert_int_eq(exchange.reply.length, (int64_t)strlen(page));
    ck_assert_uint_lt(strlen(page), 3 * 1024);
    ck_assert_msg(strstr(page, ID) && !strstr(page, "DETAIL"), "%s", page);
    return page;
}

/* The Content-Security-Policy lets in what stands in the page, byte for byte. */
START_TEST(page_has_its_styles_hash)
{
    unsigned char digest[EVP_MAX_MD_SIZE], encoded[2 * EVP_MAX_MD_SIZE];
    unsigned length;
    const char *page = page_of("plain", 403, "forbidden");
    const char *start = strstr(page, "<style>") + strlen("<style>"), *end = strstr(page, "</style>");
    ck_assert(start < end);
    ck_assert_int_eq(EVP_Digest(start, (size_t)(end - start), digest, &length, EVP_sha256(), NULL), 1);
    EVP_EncodeBlock(encoded, digest, (int)length);
    const char *expected =
        arena_printf(arena,
                     "default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; "
                     "frame-ancestors 'none'",
                     encoded);
    expect_header("content-security-policy", expected);
}
END_TEST

START_TEST(page_can_be_off)
{
    struct error_rules rules = rules_of("{html: false}");
    want("accept", CHROMIUM);
    exchange.verdict = DENY(403, "roles", "forbidden", NULL);
    body_of(&rules);
    expect_header("content-type", "application/json");
    expect_header("content-security-policy", NULL);
    expect_header("vary", NULL);
}
END_TEST

START_TEST(page_is_for_all_profiles)
{
    page_of(profiles[_i], 404, "route_not_found");
    expect_header("vary", "Accept");
}
END_TEST

START_TEST(page_escapes_messages)
{
    const char *page =
        page_of("{messages: {forbidden: '</title><script>\"&''', page_ask: '<i>{n}</i>'}}", 403, "forbidden");
    ck_assert_ptr_nonnull(strstr(page, "<h1>&#60;/title&#62;&#60;script&#62;&#34;&#38;'</h1>"));
    ck_assert_ptr_nonnull(strstr(page, "<p>&#60;i&#62;{n}&#60;/i&#62;</p>"));
    ck_assert_ptr_null(strstr(page, "<script"));
}
END_TEST

START_TEST(page_may_run_from_right_to_left)
{
    const char *page =
        page_of("{messages: {forbidden: {en: No, ar: '\xd9\x84\xd8\xa7'}}, language: ar}", 403, "forbidden");
    ck_assert_ptr_nonnull(strstr(page, "<html lang=\"ar\">"));
    ck_assert_ptr_nonnull(strstr(page, "<main dir=\"auto\">"));
    ck_assert_ptr_nonnull(strstr(page, "<code dir=\"ltr\">"));
}
END_TEST

START_TEST(page_is_ascii)
{
    const char *page =
        page_of("{messages: {forbidden: '\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80'}}", 403, "forbidden");
    ck_assert_ptr_nonnull(strstr(page, "<h1>&#228;&#8364;&#128512;</h1>"));
    for (const char *at = page; *at; at++)
        ck_assert_int_eq(*at & 0x80, 0);
}
END_TEST

static const struct {
    int status;
    const char *code, *retry_after, *advice; /* 429: of the limit, else of the handler */
} advices[] = {
    {401, "unauthorized", NULL, "Please sign in, then try again."},
    {403, "forbidden", NULL, "If you think you should have access, ask those who run this site."},
    {404, "route_not_found", NULL, "Please check the address, or go back to the page you came from."},
    {413, "body_too_large", NULL, "Please go back to the page you came from."},
    {500, "internal_error", NULL, "This is not your fault. Please try again in a few minutes."},
    {503, "overloaded", NULL, "You can try again in a few seconds."},
    {503, "internal_error", "120", "You can try again in 2 minutes."},
    {503, "internal_error", "Fri, 31 Dec 1999 23:59:59 GMT",
     "This is not your fault. Please try again in a few minutes."},
    {503, "internal_error", "99999999999999999999",
     "This is not your fault. Please try again in a few minutes."},
    {502, "bad_reply", "120", "This is not your fault. Please try again in a few minutes."},
    {429, "rate_limit_exceeded", "1", "You can try again in a few seconds."},
    {429, "rate_limit_exceeded", "5", "You can try again in a few seconds."},
    {429, "rate_limit_exceeded", "6", "You can try again in 6 seconds."},
    {429, "rate_limit_exceeded", "90", "You can try again in 90 seconds."},
    {429, "rate_limit_exceeded", "91", "You can try again in 2 minutes."},
    {429, "rate_limit_exceeded", "120", "You can try again in 2 minutes."},
    {429, "rate_limit_exceeded", "121", "You can try again in 3 minutes."},
    {429, "rate_limit_exceeded", "5400", "You can try again in 90 minutes."},
    {429, "rate_limit_exceeded", "5401", "You can try again in 2 hours."},
    {429, "rate_limit_exceeded", "129600", "You can try again in 36 hours."},
    {429, "rate_limit_exceeded", "129601", "You can try again in 2 days."},
};

START_TEST(page_says_what_to_do)
{
    if (advices[_i].status == 429)
        exchange.allowance = (struct allowance){.retry = strtoull(advices[_i].retry_after, NULL, 10)};
    else if (advices[_i].retry_after)
        headers_add(&exchange.reply.headers, arena, TEXT("Retry-After"), text_of(advices[_i].retry_after));
    const char *page = page_of("plain", advices[_i].status, advices[_i].code);
    const char *advice = arena_printf(arena, "<p>%s</p>", advices[_i].advice);
    ck_assert_msg(strstr(page, advice) != NULL, "%s: %s", advices[_i].advice, page);
}
END_TEST

/* Each code that there is, in each form. */
START_TEST(all_codes_have_all_forms)
{
    size_t count = 0;
    for (; error_code(count); count++) {
        struct error_rules rules = rules_of(profiles[_i]);
        exchange.verdict = DENY(400, "guard", error_code(count), NULL);
        headers_remove(&exchange.request.headers, TEXT("accept"));
        json_t *object = json_loads(body_of(&rules), JSON_REJECT_DUPLICATES, NULL);
        ck_assert_msg(json_is_object(object), "%s", error_code(count));
        json_decref(object);
        const char *sentence = error_message(error_code(count), 400);
        const char *page = page_of(profiles[_i], 400, error_code(count));
        ck_assert_msg(strstr(page, arena_printf(arena, "<h1>%s</h1>", sentence)) != NULL, "%s", page);
    }
    ck_assert_uint_gt(count, 60);
}
END_TEST

#define GERMAN                                                                                               \
    "{messages: {forbidden: {de: Nein, fr: Non}, page_ask: {de: Fragen Sie}, page_reference: {de: Nummer}}}"

/* A page is in one language, as far as there are words. */
static const struct {
    const char *policy, *wanted, *parts[4];
} page_languages[] = {
    {GERMAN, "de", {"<html lang=\"de\">", "<h1>Nein</h1>", "<p>Fragen Sie</p>", "<span>Nummer</span>"}},
    {GERMAN, "en", {"<html lang=\"en\">", "<h1>This request", "<p>If you think", "<span>If you ask"}},
    {GERMAN,
     "fr",
     {"<html lang=\"fr\">", "<h1>Non</h1>", "<p lang=\"en\" dir=\"auto\">If you",
      "<span lang=\"en\" dir=\"auto\">If"}},
    {"{language: de, messages: {page_ask: Fragen Sie}}",
     "de",
     {"<html lang=\"en\">", "<h1>This request", "<p>If you think", "<span>If you ask"}},
    {"{language: de, messages: {forbidden: Nein, page_ask: Fragen Sie}}",
     "en",
     {"<html lang=\"de\">", "<h1>Nein</h1>", "<p>Fragen Sie</p>", "<span lang=\"en\" dir=\"auto\">If"}},
};

START_TEST(page_has_one_language)
{
    want("accept-language", page_languages[_i].wanted);
    const char *page = page_of(page_languages[_i].policy, 403, "forbidden");
    for (size_t i = 0; i < COUNT(page_languages[_i].parts); i++)
        ck_assert_msg(strstr(page, page_languages[_i].parts[i]) != NULL, "%s: %s",
                      page_languages[_i].parts[i], page);
}
END_TEST

START_TEST(page_counts_in_any_language)
{
    exchange.allowance = (struct allowance){.retry = 600};
    const char *page = page_of("{messages: {page_retry_minutes: 'In {n} <b>Minuten</b> wieder'}}", 429,
                               "rate_limit_exceeded");
    ck_assert_ptr_nonnull(strstr(page, "<p>In 10 &#60;b&#62;Minuten&#60;/b&#62; wieder</p>"));
}
END_TEST

#define ADD_TABLE(test, table) tcase_add_loop_test(cases, test, 0, (int)COUNT(table))

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *cases = tcase_create(name);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    suite_add_tcase(suite, cases);
    return cases;
}

static void add_rules(Suite *suite)
{
    TCase *cases = add_case(suite, "preferences");
    ADD_TABLE(preferences_are_read, lists);
    ADD_TABLE(languages_are_looked_up, lookups);
    ADD_TABLE(pages_are_for_those_who_prefer_them, accepts);
    tcase_add_test(cases, preferences_are_limited);
    cases = add_case(suite, "rules");
    ADD_TABLE(rules_refuse, bad_rules);
    ADD_TABLE(words_are_chosen, translations);
    tcase_add_test(cases, rules_limit_messages);
    tcase_add_test(cases, rules_have_defaults);
}

static void add_bodies(Suite *suite)
{
    TCase *cases = add_case(suite, "profiles");
    ADD_TABLE(profiles_are_exact, bodies);
    ADD_TABLE(profiles_keep_headers, profiles);
    ADD_TABLE(profiles_have_no_markup, profiles);
    ADD_TABLE(details_of_any_size, profiles);
    tcase_add_test(cases, limits_stay_untold);
    tcase_add_loop_test(cases, bodies_are_not_for_all_statuses, 0, 2);
    cases = add_case(suite, "page");
    ADD_TABLE(page_says_what_to_do, advices);
    ADD_TABLE(page_is_for_all_profiles, profiles);
    ADD_TABLE(all_codes_have_all_forms, profiles);
    ADD_TABLE(page_has_one_language, page_languages);
    tcase_add_test(cases, page_has_its_styles_hash);
    tcase_add_test(cases, page_can_be_off);
    tcase_add_test(cases, page_escapes_messages);
    tcase_add_test(cases, page_may_run_from_right_to_left);
    tcase_add_test(cases, page_is_ascii);
    tcase_add_test(cases, page_counts_in_any_language);
}

int main(void)
{
    Suite *suite = suite_create("errors");
    add_rules(suite);
    add_bodies(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
