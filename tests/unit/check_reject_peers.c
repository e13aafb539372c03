/*
 * What other implementations reject: tests/data/reject/express.json has what npm's hpp,
 * express-mongo-sanitize, xss-clean and validator make of requests. The same comes of the guards
 * repeated_params, operators and markup, but for what differences.json beside it lists,
 * with what comes of it here and why. How the first is made is said in make_express.mjs.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>

#include "data/inputs.h"
#include "policy/policy.h"

#define FOLDER TEST_FOLDER "/data/reject/"

enum { CASES_LEAST = 90, BODY_MOST = 4096 };

static struct arena *arena;
static struct exchange exchange;

static const char *string_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_string(value), "%s", key);
    return json_string_value(value);
}

static json_t *load(const char *name)
{
    json_error_t problem;
    json_t *value = json_load_file(name, 0, &problem);
    ck_assert_msg(value != NULL, "%s: %s", name, problem.text);
    return value;
}

/* ---- ours */

static void report(struct exchange *seen, struct verdict verdict)
{
    (void)seen;
    (void)verdict;
}

static void send(const json_t *one)
{
    struct request *request = &exchange.request;
    const char *query = string_of(one, "query"), *body = string_of(one, "body");
    struct error error = {0};
    exchange = (struct exchange){.arena = arena, .method_known = true, .validation_status = 400};
    request->method = TEXT("POST");
    request->content_length = -1;
    request->target = text_of(arena_printf(arena, "/%s%s", *query ? "?" : "", query));
    request->query = text_of(query);
    request->content_type = text_of(string_of(one, "type"));
    exchange.body = (struct body){.limit = UINT64_MAX, .stated = -1, .spooled = true};
    exchange.body.spool = spool_new(BODY_MOST, BODY_MOST, "/tmp");
    ck_assert(*body == '\0' || spool_write(&exchange.body.spool, body, strlen(body), &error));
}

static struct verdict judge(const json_t *one)
{
    struct error error = {0};
    uint32_t passed = 0;
    const char *text = arena_printf(arena, "routes: [{path: /, auth: none, exec: /bin/true, %s}]\n",
                                    string_of(one, "policy"));
    struct policy *policy = policy_parse(text_of(text), "/p.yaml", false, &error);
    ck_assert_msg(policy && policy->findings.errors == 0, "%s", text);
    const struct guard_rules *rules = policy->routes[0].guards;
    struct verdict verdict = guards_judge(rules, ON_HEAD, &exchange, &passed, report);
    if (verdict.kind == VERDICT_PASS)
        verdict = guards_judge(rules, ON_BODY, &exchange, &passed, report);
    policy_free(policy);
    return verdict;
}

/* "query|body", or "refused". */
static const char *ours(const json_t *one)
{
    char body[BODY_MOST];
    send(one);
    struct verdict verdict = judge(one);
    ssize_t length = body_read(&exchange.body, body, sizeof body);
    ck_assert_int_ge(length, 0);
    body_close(&exchange.body);
    return verdict.kind != VERDICT_PASS
               ? "refused"
               : arena_printf(arena, "%.*s|%.*s", TEXT_ARGUMENTS(exchange.request.query), (int)length, body);
}

/* ---- theirs */

/* A name with its lists left out, and its value, as one text. */
static const char *pair_of(struct text name, struct text value)
{
    struct text understood;
    (void)inputs_understand(INPUTS_FORM, name, arena, &understood); /* else it is as it is */
    return arena_printf(arena, "%.*s/%.*s=%.*s", TEXT_ARGUMENTS(understood),
                        TEXT_ARGUMENTS(text_from(understood, text_find(understood, '\0') + 1)),
                        TEXT_ARGUMENTS(value));
}

static bool is_same_form(struct text text, const json_t *pairs)
{
    static const struct form_limits limits = {.pairs = 100, .name = 100, .value = 1000};
    struct form form;
    struct defect defect = {0};
    ck_assert(form_read(text, &limits, arena, &form, &defect));
    bool same = form.count == json_array_size(pairs);
    for (size_t i = 0; same && i < form.count; i++) {
        const json_t *pair = json_array_get(pairs, i);
        const char *name = json_string_value(json_array_get(pair, 0)),
                   *value = json_string_value(json_array_get(pair, 1));
        same = strcmp(pair_of(form.items[i].name, form.items[i].value),
                      pair_of(text_of(name), text_of(value))) == 0;
    }
    return same;
}

static bool is_same(const char *outcome, const json_t *one)
{
    const json_t *got = json_object_get(one, "got");
    struct text whole = text_of(outcome), query = {whole.at, text_find(whole, '|')};
    struct text body = text_from(whole, query.length + 1);
    if (strcmp(outcome, "refused") == 0 || !is_same_form(query, json_object_get(got, "query")))
        return false;
    if (strcmp(string_of(one, "type"), "application/json") != 0)
        return is_same_form(body, json_object_get(got, "body"));
    json_t *value = json_loadb(body.at, body.length, JSON_DECODE_ANY, NULL);
    bool same = value && json_equal(value, json_object_get(got, "body"));
    json_decref(value);
    return same;
}

static const json_t *difference_of(const json_t *differences, const json_t *one)
{
    size_t i;
    const json_t *difference;
    json_array_foreach(differences, i, difference)
    {
        if (json_equal(json_object_get(difference, "case"), json_object_get(one, "case")))
            return difference;
    }
    return NULL;
}

START_TEST(others_reject_the_same)
{
    json_t *file = load(FOLDER "express.json"), *differences = load(FOLDER "differences.json");
    const json_t *cases = json_object_get(file, "cases"), *one;
    size_t i, different = 0;
    ck_assert_uint_ge(json_array_size(cases), CASES_LEAST);
    json_array_foreach(cases, i, one)
    {
        arena = arena_new();
        const json_t *difference = difference_of(differences, one);
        const char *outcome = ours(one);
        bool same = is_same(outcome, one);
        ck_assert_msg(same == !difference, "case %zu: %s", i, outcome);
        if (difference) {
            ck_assert_msg(strcmp(outcome, string_of(difference, "ours")) == 0, "case %zu: %s", i, outcome);
            ck_assert_uint_gt(strlen(string_of(difference, "why")), 10);
            different++;
        }
        arena_free(arena);
    }
    ck_assert_uint_eq(different, json_array_size(differences));
    json_decref(file);
    json_decref(differences);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reject_peers");
    TCase *cases = tcase_create("reject_peers");
    tcase_add_test(cases, others_reject_the_same);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
