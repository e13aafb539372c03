/*
 * Tests of replies: which of a policy's descriptions a reply is judged by, what
 * fits, and what is left of a reply when what nobody declared is removed.
 */
#include "config.h"

#include <check.h>
#include <errno.h>

#include "base/bytes.h"
#include "data/file.h"
#include "data/json_body.h"
#include "data/json_strip.h"
#include "guard/guard.h"
#include "guard/replies.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

extern const struct guard guard_replies;

static struct arena *arena;
static struct contents contents;

static void begin(void)
{
    arena = arena_new();
    contents = (struct contents){0};
}

static void end(void)
{
    contents_free(&contents);
    arena_free(arena);
}

static json_t *value_of(const char *json)
{
    const struct json_limits limits = {100, 1000, 1000, 1000, true};
    struct defect defect = {0};
    json_t *value = json_body_read(text_of(json), &limits, &defect);
    ck_assert_msg(value != NULL, "%s: %s", json, defect.word);
    return value;
}

static const struct content *content_of(const char *json)
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .contents = &contents};
    const struct content *content =
        content_from_json(&decoder, NULL, json_loads(json, JSON_DECODE_ANY, NULL));
    ck_assert_msg(content != NULL, "%s", json);
    return content;
}

static const char *string_of(struct text text)
{
    return arena_copy(arena, text.at, text.length);
}

/* ---- statuses */

START_TEST(reads_statuses)
{
    static const struct {
        const char *text;
        int first, last; /* 0: refused */
    } cases[] = {
        {"200", 200, 200},     {"599", 599, 599}, {"4XX", 400, 499}, {"5xx", 500, 599}, {"default", 200, 599},
        {"Default", 200, 599}, {"600", 0, 0},     {"199", 0, 0},     {"1XX", 0, 0},     {"6XX", 0, 0},
        {"0200", 0, 0},        {"20", 0, 0},      {"", 0, 0},        {"2X", 0, 0},      {"XXX", 0, 0},
        {"2X0", 0, 0},         {"2XXX", 0, 0},    {" 200", 0, 0},    {"any", 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct reply_status status = {0};
        ck_assert_msg(reply_status_read(text_of(cases[i].text), &status) == (cases[i].first > 0), "%s",
                      cases[i].text);
        if (cases[i].first > 0)
            ck_assert_msg(status.first == cases[i].first && status.last == cases[i].last, "%s",
                          cases[i].text);
    }
}
END_TEST

/* ---- what is judged, by head and body */

static struct replies_rules *rules_of(const char *yaml)
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/", .contents = &contents};
    const struct node *node = file_parse(text_of(yaml), false, &findings);
    struct replies_rules *rules = arena_alloc(arena, sizeof *rules);
    ck_assert_ptr_nonnull(node);
    bool good = decode_section(&decoder, &guard_replies.section, node, rules) &&
                guard_replies.prepare(rules, &decoder, node);
    if (!good)
        findings_print(&findings, FINDING_ERROR, stderr);
    ck_assert_msg(good, "%s", yaml);
    return rules;
}

struct answer {
    const char *method;
    int status;
    const char *type, *coding, *body;
    bool fixed;
};

/* "" where it may go out as it is, "=..." for what goes out instead, else why it may not. As deliver() asks.
 */
static const char *judge(const struct replies_rules *rules, const struct answer *answer)
{
    struct exchange exchange = {.arena = arena, .reply = {.status = answer->status}};
    uint64_t most = 0;
    const char *over = NULL;
    exchange.request.method = text_of(answer->method ? answer->method : "GET");
    if (answer->type)
        headers_set(&exchange.reply.headers, arena, TEXT("Content-Type"), text_of(answer->type));
    if (answer->coding)
        headers_set(&exchange.reply.headers, arena, TEXT("Content-Encoding"), text_of(answer->coding));
    if (!guard_replies.await(rules, &exchange, &most, &over))
        return "";
    struct kept kept = {.spool = spool_new(4096, most, "/tmp"), .fixed = answer->fixed};
    struct error error = {0};
    const char *result = "";
    exchange.kept = &kept;
    if (answer->body && !spool_write(&kept.spool, answer->body, strlen(answer->body), &error)) {
        ck_assert_int_eq(error.number, EFBIG);
        result = over;
    } else {
        struct verdict verdict = guard_replies.check(rules, &exchange);
        if (verdict.kind != VERDICT_PASS) {
            ck_assert_int_eq(verdict.status, 502);
            ck_assert_str_eq(verdict.code, "reply_invalid");
            ck_assert_ptr_null(kept.instead.at);
            result = verdict.detail;
        } else if (kept.instead.at) {
            result = arena_printf(arena, "=%.*s", TEXT_ARGUMENTS(kept.instead));
        }
    }
    spool_close(&kept.spool);
    return result;
}

static void expect(const struct replies_rules *rules, const struct answer *answer, const char *expected)
{
    const char *result = judge(rules, answer);
    bool same =
        *expected && *expected != '=' ? strstr(result, expected) != NULL : strcmp(result, expected) == 0;
    ck_assert_msg(same, "%s %d %s %s: \"%s\", expected \"%s\"", answer->method ? answer->method : "GET",
                  answer->status, answer->type ? answer->type : "-", answer->body ? answer->body : "-",
                  result, expected);
}

START_TEST(good_replies_alone_by_the_short_form)
{
    const struct replies_rules *rules =
        rules_of("{fields: {id: {type: integer, required: true}}, max: 100b, values: 9}");
    static const struct {
        struct answer answer;
        const char *expected;
    } cases[] = {
        {{NULL, 200, "application/json", NULL, "{\"id\":1}", false}, ""},
        {{NULL, 201, "application/problem+json; charset=UTF-8", NULL, " {\"id\":1.0}\n", false}, ""},
        {{NULL, 200, "application/json", "identity", "{\"id\":1}", false}, ""},
        {{NULL, 200, "application/json", NULL, "{\"id\":\"1\"}", false}, "/id: type: "},
        {{NULL, 200, "application/json", NULL, "{}", false}, "/id: required: "},
        {{NULL, 200, "application/json", NULL, "{\"id\":1,\"x\":2}", false}, "/x: additionalProperties: "},
        {{NULL, 200, "application/json", NULL, "{\"id\":1", false}, "json_incomplete: "},
        {{NULL, 200, "application/json", NULL, "{\"id\":1,\"id\":1}", false}, "json_duplicate: "},
        {{NULL, 200, "application/json", NULL, "{\"id\":1}\n{\"id\":2}\n", false}, "json_trailing: "},
        {{NULL, 200, "application/json", NULL, "\"\xff\"", false}, "json_utf8: "},
        {{NULL, 200, "application/json", NULL, "[1,1,1,1,1,1,1,1,1]", false}, "json_values: "},
        {{NULL, 200, "application/json", NULL, "", false}, "json_empty: "},
        {{NULL, 200, "application/json", NULL,
          "{\"id\":1}                                                                                        "
          "     ",
          false},
         "over replies.max"},
        {{NULL, 200, "application/json; charset=utf-16", NULL, "{\"id\":1}", false},
         "none that can be judged"},
        {{NULL, 200, "application/json", "gzip", "{\"id\":1}", false}, "Content-Encoding"},
        {{NULL, 200, "text/html", NULL, "x", false}, "not described"},
        {{NULL, 200, "application/x-ndjson", NULL, "{\"id\":1}\n", false}, "not described"},
        {{NULL, 200, NULL, NULL, "x", false}, "missing"},
        {{NULL, 200, "text/html", NULL, "", false}, ""},
        {{NULL, 204, NULL, NULL, NULL, false}, ""},
        {{NULL, 304, "application/json", NULL, NULL, false}, ""},
        {{"HEAD", 200, "application/json", NULL, NULL, false}, ""},
        {{NULL, 404, "text/html", NULL, "not here", false}, ""},
        {{NULL, 302, NULL, NULL, NULL, false}, ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect(rules, &cases[i].answer, cases[i].expected);
}
END_TEST

START_TEST(the_closest_status_counts)
{
    const struct replies_rules *rules = rules_of("statuses: {4XX: {fields: {error: string}}, '404': none, "
                                                 "'410': any, '200': {fields: {id: integer}}}");
    static const struct {
        struct answer answer;
        const char *expected;
    } cases[] = {
        {{NULL, 200, "application/json", NULL, "{\"id\":1}", false}, ""},
        {{NULL, 400, "application/json", NULL, "{\"error\":\"x\"}", false}, ""},
        {{NULL, 400, "application/json", NULL, "{\"id\":1}", false}, "/id"},
        {{NULL, 404, "application/json", NULL, "{\"error\":\"x\"}", false}, "none is described"},
        {{NULL, 404, "application/json", NULL, "", false}, ""},
        {{NULL, 410, "text/plain", "gzip", "gone", false}, ""},
        {{NULL, 302, "text/html", NULL, "moved", false}, "status is not described"},
        {{NULL, 302, NULL, NULL, "", false}, ""},
        {{NULL, 500, "text/html", NULL, "x", false}, "status is not described"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        expect(rules, &cases[i].answer, cases[i].expected);
}
END_TEST

START_TEST(types_can_be_many)
{
    struct reply_type types[3] = {{.content = content_of("{\"type\":\"integer\"}")},
                                  {.content = NULL},
                                  {.content = content_of("false")}};
    struct reply_status statuses[] = {{.first = 200, .last = 299, .types = types, .type_count = 3}};
    const struct replies_rules rules = {.max = 100, .values = 10, .statuses = statuses, .status_count = 1};
    ck_assert(media_range_read(TEXT("application/json"), &types[0].range));
    ck_assert(media_range_read(TEXT("text/csv"), &types[1].range));
    ck_assert(media_range_read(TEXT("*/*"), &types[2].range));
    expect(&rules, &(struct answer){.status = 200, .type = "application/json", .body = "1"}, "");
    expect(&rules, &(struct answer){.status = 200, .type = "application/json", .body = "\"\""}, "type");
    expect(&rules, &(struct answer){.status = 200, .type = "text/csv", .coding = "gzip", .body = "a,b"}, "");
    expect(&rules, &(struct answer){.status = 200, .type = "text/html", .body = "x"},
           "none that can be judged");
    expect(&rules, &(struct answer){.status = 200, .type = "application/x+json", .body = "1"},
           "false: is not allowed");
}
END_TEST

/* ---- what is removed */

static const struct {
    const char *schema, *value, *rest; /* rest "!...": refused with this; NULL: nothing is removed */
} strips[] = {
    {"{\"properties\":{\"a\":true}}", "{\"a\":1,\"b\":2}", "{\"a\":1}"},
    {"{\"properties\":{\"a\":true}}", "{\"b\":2,\"a\":1}", "{\"a\":1}"},
    {"{\"properties\":{\"a\":true}}", "{\"b\":2}", "{}"},
    {"{\"properties\":{\"a\":true}}", " { \"b\" : 2 , \"a\" :\t1.0e0 , \"c\":[{}] } ",
     " { \"a\" :\t1.0e0 } "},
    {"{\"properties\":{\"a\":true}}", "{\"a\\u0020\":1,\"\\u0061\":\"}\\\"]\",\"c\":\"\\\\\"}",
     "{\"\\u0061\":\"}\\\"]\"}"},
    {"{\"properties\":{\"a\":true}}", "{}", NULL},
    {"{\"properties\":{\"a\":true}}", "[{\"b\":1}]", NULL},
    {"{\"type\":\"object\"}", "{\"b\":1}", NULL},
    {"true", "{\"b\":1}", NULL},
    {"{\"additionalProperties\":false}", "{\"b\":1,\"c\":{}}", "{}"},
    {"{\"additionalProperties\":true}", "{\"b\":1}", NULL},
    {"{\"additionalProperties\":{\"properties\":{\"a\":true}}}", "{\"b\":{\"a\":1,\"x\":1}}",
     "{\"b\":{\"a\":1}}"},
    {"{\"patternProperties\":{\"^x-\":true}}", "{\"x-a\":1,\"y\":2}", "{\"x-a\":1}"},
    {"{\"properties\":{\"a\":{\"properties\":{\"b\":true}}}}", "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"b\":1}}",
     "{\"a\":{\"b\":1}}"},
    {"{\"items\":{\"properties\":{\"a\":true}}}", "[{\"a\":1,\"b\":2},{\"b\":1},3]", "[{\"a\":1},{},3]"},
    {"{\"properties\":{\"a\":false}}", "{\"a\":1}", "{}"},
    {"{\"properties\":{\"a\":false},\"additionalProperties\":true}", "{\"a\":1,\"b\":2}", "{\"b\":2}"},
    {"{\"properties\":{\"a\":true},\"additionalProperties\":false}", "{\"a\":1,\"b\":2}", "{\"a\":1}"},
    {"{\"properties\":{\"a\":true},\"unevaluatedProperties\":false}", "{\"a\":1,\"b\":2}", "{\"a\":1}"},
    {"{\"allOf\":[{\"properties\":{\"a\":true}},{\"properties\":{\"b\":true}}]}", "{\"a\":1,\"b\":2,\"c\":3}",
     "{\"a\":1,\"b\":2}"},
    {"{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{\"properties\":{\"a\":{\"$ref\":\"#\"}}}}}",
     "{\"a\":{\"a\":{\"b\":1}},\"b\":1}", "{\"a\":{\"a\":{}}}"},
    {"{\"anyOf\":[{\"properties\":{\"k\":{\"const\":1},\"a\":true}},{\"properties\":{\"k\":{\"const\":2},"
     "\"b\":true}}]}",
     "{\"k\":1,\"a\":1,\"b\":2}", "{\"k\":1,\"a\":1}"},
    {"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":1},\"a\":true},\"additionalProperties\":false},"
     "{\"properties\":{\"k\":{\"const\":2},\"b\":true},\"additionalProperties\":false}]}",
     "{\"k\":2,\"a\":1,\"b\":2,\"c\":3}", "{\"k\":2,\"b\":2}"},
    {"{\"oneOf\":[{\"properties\":{\"a\":true},\"additionalProperties\":false,\"required\":[\"a\"]},"
     "{\"properties\":{\"b\":true},\"additionalProperties\":false,\"required\":[\"b\"]}]}",
     "{\"a\":1,\"secret\":2}", "{\"a\":1}"},
    {"{\"if\":{\"properties\":{\"k\":{\"const\":1}}},\"then\":{\"properties\":{\"a\":true}},\"else\":{"
     "\"properties\":{\"b\":true}}}",
     "{\"k\":1,\"a\":1,\"b\":1}", "{\"k\":1,\"a\":1}"},
    {"{\"properties\":{\"k\":true},\"if\":{\"properties\":{\"k\":{\"const\":1}}},\"then\":{\"properties\":{"
     "\"a\":true}},\"else\":{"
     "\"properties\":{\"b\":true}}}",
     "{\"k\":2,\"a\":1,\"b\":1}", "{\"k\":2,\"b\":1}"},
    {"{\"not\":{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]}}", "{\"a\":2,\"b\":1}", NULL},
    {"{\"dependentSchemas\":{\"a\":{\"properties\":{\"a\":true,\"b\":true}}},\"properties\":{\"a\":true}}",
     "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"b\":2}"},
    {"{\"contains\":{\"properties\":{\"a\":{\"const\":1}},\"required\":[\"a\"]}}",
     "[{\"a\":1,\"x\":1},{\"a\":2,\"x\":1}]", "[{\"a\":1},{\"a\":2,\"x\":1}]"},
    {"{\"properties\":{\"a\":true},\"required\":[\"b\"]}", "{\"a\":1,\"b\":2}", "!/b: required"},
    {"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1,\"b\":2}", "!/a: type"},
    {"{\"properties\":{\"a\":true},\"maxProperties\":1}", "{\"a\":1,\"b\":2}", "{\"a\":1}"},
    {"{\"properties\":{\"a\":true},\"propertyNames\":{\"maxLength\":1}}", "{\"a\":1,\"secret\":2}",
     "{\"a\":1}"},
    /* In the strict view only B fits, and it says nothing of a: that goes, too. */
    {"{\"anyOf\":[{\"properties\":{\"a\":true},\"additionalProperties\":false},{\"properties\":{\"b\":true},"
     "\"required\":[\"b\"]}]}",
     "{\"a\":1,\"b\":2}", "{\"b\":2}"},
};

START_TEST(strips_what_is_not_declared)
{
    const char *schema = strips[_i].schema, *rest = strips[_i].rest, *expected = "";
    struct reply_type type = {.content = content_of(schema)};
    struct reply_status status = {.first = 200, .last = 200, .types = &type, .type_count = 1};
    const struct replies_rules rules = {
        .max = 1000, .values = 100, .strip = true, .statuses = &status, .status_count = 1};
    ck_assert(media_range_read(TEXT("application/json"), &type.range));
    if (rest)
        expected = *rest == '!' ? rest + 1 : arena_printf(arena, "=%s", rest);
    expect(&rules, &(struct answer){.status = 200, .type = "application/json", .body = strips[_i].value},
           expected);
    if (!rest || *rest == '!')
        return;
    /* What is left is left as it is, and where nothing may be changed it is told. */
    expect(&rules, &(struct answer){.status = 200, .type = "application/json", .body = rest}, "");
    expect(
        &rules,
        &(struct answer){.status = 200, .type = "application/json", .body = strips[_i].value, .fixed = true},
        "is not declared");
}
END_TEST

START_TEST(a_head_is_not_that_of_what_is_stripped)
{
    const struct replies_rules *rules = rules_of("{fields: {id: integer}, strip: true}");
    expect(rules, &(struct answer){.method = "HEAD", .status = 200, .type = "application/json"}, "=");
    expect(rules,
           &(struct answer){.method = "HEAD", .status = 200, .type = "application/json", .fixed = true}, "");
    expect(rules, &(struct answer){.method = "HEAD", .status = 404, .type = "application/json"}, "");
    expect(rules,
           &(struct answer){.status = 200, .type = "application/json", .body = "{\"x/y\":1}", .fixed = true},
           "/x~1y: is not declared");
}
END_TEST

START_TEST(nothing_is_stripped_by_half_of_a_judgement)
{
    enum { LEVELS = 400 };
    struct reply_type type = {
        .content = content_of("{\"properties\":{\"a\":{\"allOf\":[{\"allOf\":[{\"$ref\":\"#\"}]}]}}}")};
    struct reply_status status = {.first = 200, .last = 200, .types = &type, .type_count = 1};
    const struct replies_rules rules = {
        .max = 10000, .values = 1000, .strip = true, .statuses = &status, .status_count = 1};
    struct bytes body = bytes_new(arena, 10000);
    ck_assert(media_range_read(TEXT("application/json"), &type.range));
    for (int i = 0; i < LEVELS; i++)
        bytes_printf(&body, "{\"x\":1,\"a\":");
    bytes_printf(&body, "1");
    for (int i = 0; i < LEVELS; i++)
        bytes_printf(&body, "}");
    bytes_add(&body, "", 1);
    expect(&rules, &(struct answer){.status = 200, .type = "application/json", .body = body.at}, ": limit: ");
}
END_TEST

static bool all_stay(const void *context, const json_t *object, size_t place)
{
    (void)context;
    return json_is_object(object) && place < json_object_size(object);
}

static bool none_stay(const void *context, const json_t *object, size_t place)
{
    (void)context;
    (void)object;
    (void)place;
    return false;
}

START_TEST(stripping_keeps_the_rest_as_it_was)
{
    static const struct {
        const char *text, *none;
    } cases[] = {
        {"1e5", "1e5"},
        {" null ", " null "},
        {"\"{\\\"}\"", "\"{\\\"}\""},
        {"[ ]", "[ ]"},
        {"{ }", "{ }"},
        {"[1 , [ 2,{\"a\":[]} ] ]\n", "[1 , [ 2,{} ] ]\n"},
        {"{\"a\":{\"b\":1,\"c\":-0.00},\"d\":[true]}", "{}"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        json_t *value = value_of(cases[i].text);
        ck_assert_str_eq(string_of(json_strip(text_of(cases[i].text), value, all_stay, NULL, arena)),
                         cases[i].text);
        ck_assert_str_eq(string_of(json_strip(text_of(cases[i].text), value, none_stay, NULL, arena)),
                         cases[i].none);
        json_decref(value);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("replies");
    TCase *group = tcase_create("replies");
    tcase_add_checked_fixture(group, begin, end);
    tcase_add_test(group, reads_statuses);
    tcase_add_test(group, good_replies_alone_by_the_short_form);
    tcase_add_test(group, the_closest_status_counts);
    tcase_add_test(group, types_can_be_many);
    tcase_add_loop_test(group, strips_what_is_not_declared, 0, (int)COUNT(strips));
    tcase_add_test(group, nothing_is_stripped_by_half_of_a_judgement);
    tcase_add_test(group, a_head_is_not_that_of_what_is_stripped);
    tcase_add_test(group, stripping_keeps_the_rest_as_it_was);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
