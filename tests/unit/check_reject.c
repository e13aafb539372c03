/*
 * Tests of the guards repeated_params, operators and markup: what is refused, and
 * what becomes of a request where a policy says so.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "policy/policy.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define JSON         "application/json"
#define FORM         "application/x-www-form-urlencoded"

static struct arena *arena;
static struct exchange exchange;

static ssize_t receive_nothing(struct channel *channel, void *to, size_t size)
{
    (void)channel;
    (void)to;
    (void)size;
    return 0;
}

static struct channel channel = {.receive = receive_nothing};

static void begin(void)
{
    arena = arena_new();
    exchange = (struct exchange){.arena = arena,
                                 .channel = &channel,
                                 .spool_folder = "/tmp",
                                 .validation_status = 400,
                                 .method_known = true,
                                 .request = {.method = TEXT("POST"), .content_length = -1}};
    exchange.body =
        (struct body){.channel = &channel, .limit = UINT64_MAX, .stated = -1, .spool = {.file = -1}};
}

static void end(void)
{
    body_close(&exchange.body);
    arena_free(arena);
}

struct sent {
    const char *query, *cookie, *type, *body; /* NULL: none */
};

static void send(const struct sent *sent)
{
    struct request *request = &exchange.request;
    struct error error = {0};
    request->target =
        text_of(arena_printf(arena, "/a%s%s", sent->query ? "?" : "", sent->query ? sent->query : ""));
    request->query = text_of(sent->query);
    request->has_query = sent->query != NULL;
    request->content_type = text_of(sent->type);
    if (sent->cookie)
        headers_set(&request->headers, arena, TEXT("cookie"), text_of(sent->cookie));
    headers_set(&request->headers, arena, TEXT("digest"), TEXT("x"));
    exchange.body.spool = spool_new(100, UINT64_MAX, "/tmp");
    exchange.body.spooled = true;
    if (sent->body)
        ck_assert(spool_write(&exchange.body.spool, sent->body, strlen(sent->body), &error));
}

static struct verdict reported;

static void report(struct exchange *seen, struct verdict verdict)
{
    ck_assert_ptr_eq(seen, &exchange);
    reported = verdict;
}

/* Both stages, with the keys of a route. */
static struct verdict judge(struct policy *policy)
{
    uint32_t passed = 0;
    const struct guard_rules *rules = policy->routes[0].guards;
    struct verdict verdict = guards_judge(rules, ON_HEAD, &exchange, &passed, report);
    return verdict.kind == VERDICT_PASS ? guards_judge(rules, ON_BODY, &exchange, &passed, report) : verdict;
}

static struct policy *policy_with(const char *keys)
{
    struct error error = {0};
    const char *text = arena_printf(
        arena, "routes:\n  - {path: /a, methods: [GET, POST], auth: none, exec: /bin/true, %s}\n", keys);
    struct policy *policy = policy_parse(text_of(text), "/p.yaml", false, &error);
    ck_assert(policy != NULL);
    if (policy->findings.errors)
        findings_print(&policy->findings, FINDING_ERROR, stderr);
    ck_assert_uint_eq(policy->findings.errors, 0);
    return policy;
}

/* "query|cookie|body" as a program would get them. */
static const char *outcome(void)
{
    const struct text *cookie = headers_get(&exchange.request.headers, "cookie");
    char body[4096];
    ssize_t length = body_read(&exchange.body, body, sizeof body);
    ck_assert_int_ge(length, 0);
    ck_assert_uint_eq(exchange.body.spool.length, (size_t)length);
    struct text target = exchange.request.target;
    ck_assert_int_eq(text_find(target, '?') < target.length, exchange.request.has_query);
    ck_assert(text_equal(text_from(target, text_find(target, '?') + 1), exchange.request.query));
    return arena_printf(arena, "%.*s|%.*s|%.*s", TEXT_ARGUMENTS(exchange.request.query),
                        TEXT_ARGUMENTS(cookie ? *cookie : TEXT("")), (int)length, body);
}

#define ALL "reject: [repeated_params, operators, markup]"
#define NOTHING                                                                                              \
    {                                                                                                        \
        NULL, NULL, NULL, NULL                                                                               \
    }

static const struct {
    const char *keys;
    struct sent sent;
    const char *guard, *told; /* NULL: it passes as it was sent; a part of the detail or of the details */
} judged[] = {
    {ALL, NOTHING, NULL, NULL},
    {ALL, {"a=1&b=%3C3", "c=d", JSON, "{\"a\":[\"x\",{\"b\":\"<3\"}],\"c\":1.0}"}, NULL, NULL},
    {ALL, {NULL, NULL, FORM, "a[x]=1&a[y]=2&b=O'Brien"}, NULL, NULL},
    {"reject: none", {"a=1&a=2&$x=<b", NULL, JSON, "{\"$gt\":1}"}, NULL, NULL},
    {"mode: enforce", {"a=1&a=2&$x=<b", NULL, "image/png", "x"}, NULL, NULL},
    /* what cannot be read */
    {ALL, {"a=%", NULL, NULL, NULL}, "repeated_params", "{\"in\":\"query\",\"field\":\"a\""},
    {ALL, {"a=1;$x=2", NULL, NULL, NULL}, "repeated_params", "semicolon"},
    {ALL, {NULL, NULL, JSON, "{\"a\":"}, "repeated_params", "json_incomplete"},
    {ALL, {NULL, NULL, FORM, "a=%ff"}, "repeated_params", "form_utf8"},
    {ALL, {NULL, NULL, "image/png", "x"}, "repeated_params", "none that can be judged"},
    {ALL ", content_types: image/*", {NULL, NULL, "image/png", "x"}, "repeated_params", "none that can"},
    {ALL ", content_types: image/png", {NULL, NULL, "image/png", "x"}, NULL, NULL},
    {ALL ", content_types: text/plain", {NULL, NULL, "text/plain", "a < b"}, NULL, NULL},
    {ALL ", content_types: text/plain",
     {NULL, NULL, "text/plain", "a<b"},
     "markup",
     "{\"in\":\"body\",\"field\":\"\""},
    {"reject: markup", {NULL, NULL, "text/html", "<b>"}, "markup", "markup"},
    {"reject: operators", {NULL, NULL, "text/plain", "x"}, "operators", "none that can"},
    {ALL, {NULL, NULL, "application/json; charset=utf-16", "{}"}, "repeated_params", "charset"},
    {ALL ", body: {depth: 2}", {NULL, NULL, JSON, "[[[]]]"}, "repeated_params", "json_depth"},
    {ALL ", body: {codings: gzip}", {NULL, NULL, JSON, "{}"}, NULL, NULL},
    {ALL ", body: {string: 3b}", {NULL, NULL, FORM, "a=1234"}, "repeated_params", "form_value"},
    {ALL ", body: {values: 2}", {NULL, NULL, FORM, "a=1&b=2&c=3"}, "repeated_params", "form_pairs"},
    /* repeated_params */
    {"reject: repeated_params",
     {"a=1&a=1", NULL, NULL, NULL},
     "repeated_params",
     "\"field\":\"a\",\"error\":\"is sent more"},
    {"reject: repeated_params", {"a=1&a[]=2", NULL, NULL, NULL}, "repeated_params", "param_repeated"},
    {"reject: repeated_params", {"a[0]=1&a[1]=2", NULL, NULL, NULL}, "repeated_params", "param_repeated"},
    {"reject: repeated_params", {"a.b=1&a_b=2", NULL, NULL, NULL}, "repeated_params", "param_repeated"},
    {"reject: repeated_params", {"+a=1&a=2", NULL, NULL, NULL}, "repeated_params", "param_repeated"},
    {"reject: repeated_params", {"%61=1&a=2", NULL, NULL, NULL}, "repeated_params", "param_repeated"},
    {"reject: repeated_params", {"a=1&a[x]=2", NULL, NULL, NULL}, "repeated_params", "\"field\":\"a[x]\""},
    {"reject: repeated_params", {"a[%09]=1&a[%0A]=2", NULL, NULL, NULL}, "repeated_params", "param_repeated"},
    {"reject: repeated_params", {"a[b]c=1", NULL, NULL, NULL}, "repeated_params", "param_brackets"},
    {"reject: repeated_params", {"a=1&A=2&ab=3&a_b=4", "c=1; c=2", NULL, NULL}, NULL, NULL},
    {"reject: repeated_params",
     {NULL, NULL, FORM, "a=1&a=2"},
     "repeated_params",
     "{\"in\":\"body\",\"field\":\"/a\""},
    {"reject: repeated_params", {"a=1", NULL, FORM, "a=2"}, "repeated_params", "\"field\":\"/a\""},
    {"reject: repeated_params", {"a=1", NULL, JSON, "{\"a\":1}"}, NULL, NULL},
    {"reject: repeated_params",
     {NULL, NULL, JSON, "[{\"a\":1,\"\\u0061\":1}]"},
     "repeated_params",
     "\"field\":\"/0/a\""},
    {"repeated_params: {allow: [tag, a.b]}", {"tag=1&tag[]=2&a_b=1&a.b=2", NULL, FORM, "tag=3"}, NULL, NULL},
    {"repeated_params: {allow: tag}", {"tags=1&tags=2", NULL, NULL, NULL}, "repeated_params", "tags"},
    {"repeated_params: {allow: tag}", {NULL, NULL, JSON, "{\"tag\":1,\"tag\":2}"}, "repeated_params", "tag"},
    {"repeated_params: {action: last}", {"a=1", NULL, FORM, "a=2"}, "repeated_params", "param_repeated"},
    {"repeated_params: {action: last}",
     {"a=1&a[x]=2", NULL, NULL, NULL},
     "repeated_params",
     "param_repeated"},
    /* operators */
    {"reject: operators", {"$gt=1", NULL, NULL, NULL}, "operators", "{\"in\":\"query\",\"field\":\"$gt\""},
    {"reject: operators", {"a[%24gt]=1", NULL, NULL, NULL}, "operators", "a[$gt]"},
    {"reject: operators", {"a[+$gt]=1", NULL, NULL, NULL}, "operators", "operator_name"},
    {"reject: operators", {"a[$gt=1", NULL, NULL, NULL}, "operators", "operator_name"},
    {"reject: operators", {"a[b.c]=1", NULL, NULL, NULL}, "operators", "operator_name"},
    {"reject: operators", {"a%2Eb", NULL, NULL, NULL}, "operators", "operator_name"},
    {"reject: operators", {"a$=$1.5&b[c$]=1&price$=2", NULL, NULL, NULL}, NULL, NULL},
    {"reject: operators",
     {NULL, "a=1; $b=2", NULL, NULL},
     "operators",
     "{\"in\":\"cookie\",\"field\":\"$b\""},
    {"reject: operators", {NULL, "a=1,%24b=2", NULL, NULL}, "operators", "operator_name"},
    {"reject: operators", {NULL, "connect.sid=x", NULL, NULL}, "operators", "operator_name"},
    {"reject: operators", {NULL, "a=j:{\"b\":{\"$gt\":1}}", NULL, NULL}, "operators", "\"field\":\"a\""},
    {"reject: operators",
     {NULL, "a=j%3A%7B%22%5Cu0024gt%22%3A1%7D", NULL, NULL},
     "operators",
     "\"field\":\"a\""},
    {"reject: operators", {NULL, "a=j:{x}", NULL, NULL}, "operators", "cookie_json"},
    {"reject: operators", {NULL, "a=\"j:{%22$gt%22:1}\"", NULL, NULL}, "operators", "\"field\":\"a\""},
    {"reject: operators", {NULL, "a=\"j:{%22$gt%22:1}x", NULL, NULL}, "operators", "\"field\":\"a\""},
    {"reject: operators", {NULL, "a=\"j:[1,2]\"", NULL, NULL}, "operators", "cookie_json"},
    {"reject: operators", {NULL, "a=\"j:{}\"; b=\"; c=\"j:\"; d=\"\"", NULL, NULL}, NULL, NULL},
    {"reject: operators", {NULL, "a=j:x; b=j:[1]; c=j:", NULL, NULL}, NULL, NULL},
    {"reject: operators",
     {NULL, NULL, JSON, "{\"a\":[0,{\"b/c~\":{\"\\u0024gt\":1}}]}"},
     "operators",
     "\"/a/1/b~1c~0/$gt\""},
    {"reject: operators", {NULL, NULL, JSON, "{\"a.b\":1,\"$c\":[{\"$d\":1}]}"}, "operators", "/$c/0/$d"},
    {"reject: operators",
     {NULL, NULL, JSON, "{\"a\":\"$gt\",\"b\":\"x.y\",\"c$\":1,\"d[$e]\":1}"},
     NULL,
     NULL},
    {"reject: operators", {NULL, NULL, FORM, "a[$ne]="}, "operators", "/a[$ne]"},
    {"operators: {allow: [connect.sid, openid.mode, /filter]}",
     {"openid.mode=x", "connect.sid=x", JSON, "{\"filter\":{\"$or\":[{\"a.b\":1}]}}"},
     NULL,
     NULL},
    {"operators: {allow: [/filter/0]}", {NULL, NULL, JSON, "{\"filter\":[{\"a.b\":1}]}"}, NULL, NULL},
    {"operators: {allow: [/filter/0]}",
     {NULL, NULL, JSON, "{\"filter\":[1,{\"a.b\":1}]}"},
     "operators",
     "/filter/1/a.b"},
    {"operators: {allow: [/filter]}",
     {NULL, NULL, JSON, "{\"filters\":{\"$or\":1}}"},
     "operators",
     "/filters/$or"},
    {"operators: {allow: [/filter]}", {"filter[$or]=1", NULL, NULL, NULL}, "operators", "filter[$or]"},
    {"operators: {allow: [filter]}", {"filter[$or]=1", NULL, NULL, NULL}, NULL, NULL},
    {"operators: {dots: allow}", {"a.b=1&c[d.e]=2", "connect.sid=x", JSON, "{\"a.b.$c\":1}"}, NULL, NULL},
    {"operators: {dots: allow}", {"a.$b=1&$c.d=2", NULL, NULL, NULL}, "operators", "\"$c.d\""},
    {"operators: replace", {"_a=1&$a=2", NULL, NULL, NULL}, "operators", "operator_twin"},
    {"operators: replace", {"_a=1", NULL, FORM, "$a=2"}, "operators", "operator_twin"},
    {"operators: replace", {NULL, NULL, JSON, "{\"$a\":1,\"_a\":2}"}, "operators", "operator_twin"},
    {"operators: remove", {NULL, "a=j:{\"$b\":1}", NULL, NULL}, "operators", "\"field\":\"a\""},
    /* markup */
    {"reject: markup",
     {"a=%3Cb", NULL, NULL, NULL},
     "markup",
     "{\"in\":\"query\",\"field\":\"a\",\"error\":\"may be taken"},
    {"reject: markup", {"%3Cb=1", NULL, NULL, NULL}, "markup", "markup_name"},
    {"reject: markup", {NULL, "a=%3Cb", NULL, NULL}, "markup", "cookie"},
    {"reject: markup", {NULL, "a=<b", NULL, NULL}, "markup", "cookie"},
    {"reject: markup", {NULL, "a=%22+onx%3d1", NULL, NULL}, "markup", "cookie"},
    {"reject: markup", {NULL, "a=\"\\074b\\076\"", NULL, NULL}, "markup", "cookie"},
    {"markup: escape", {NULL, "a=<b \\074b", NULL, NULL}, "markup", "markup:"},
    {"markup: escape", {NULL, "a=%22+onx%3d1", NULL, NULL}, "markup", "markup:"},
    {"reject: markup", {NULL, "a=1+1; b=c:\\d", NULL, NULL}, NULL, NULL},
    {"reject: markup", {NULL, "a=j:\"\\u003cb\"", NULL, NULL}, "markup", "cookie"},
    {"reject: markup", {NULL, NULL, JSON, "\"\\u003cscript>\""}, "markup", "{\"in\":\"body\",\"field\":\"\""},
    {"reject: markup", {NULL, NULL, JSON, "{\"a\":[\"<b\"],\"<c\":1}"}, "markup", "\"/a/0\""},
    {"reject: markup", {NULL, NULL, FORM, "a=javascript%3Ax"}, "markup", "/a"},
    {"markup: {except: [password, /code]}",
     {"password=<b", NULL, JSON, "{\"x\":[{\"password\":\"<b\"}],\"code\":[\"<c\",{\"d\":\"<e\"}]}"},
     NULL,
     NULL},
    {"markup: {except: [password, /code]}",
     {NULL, NULL, JSON, "{\"x\":{\"code\":\"<b\"}}"},
     "markup",
     "/x/code"},
    {"markup: {except: [/a]}", {"a=<b", NULL, NULL, NULL}, "markup", "query"},
    {"markup: {except: a}", {NULL, NULL, FORM, "a[x]=<b&b=1"}, NULL, NULL},
    {"markup: escape", {"a=javascript:x", NULL, NULL, NULL}, "markup", "markup:"},
    {"markup: escape", {"%3Cb=x", NULL, NULL, NULL}, "markup", "markup_name"},
    {"markup: escape", {NULL, NULL, "text/plain", "<b"}, "markup", "markup:"},
    {"markup: escape", {"a=&b=%26lt%3Bc", NULL, NULL, NULL}, NULL, NULL},
};

START_TEST(requests_are_judged)
{
    struct policy *policy = policy_with(judged[_i].keys);
    const struct sent *sent = &judged[_i].sent;
    send(sent);
    struct verdict verdict = judge(policy);
    if (!judged[_i].guard) {
        const char *same = arena_printf(arena, "%s|%s|%s", sent->query ? sent->query : "",
                                        sent->cookie ? sent->cookie : "", sent->body ? sent->body : "");
        ck_assert_msg(verdict.kind == VERDICT_PASS, "%s: %s", verdict.guard, verdict.detail);
        ck_assert_str_eq(outcome(), same);
        ck_assert_ptr_nonnull(headers_get(&exchange.request.headers, "digest"));
    } else {
        const char *told = arena_printf(arena, "%s %.*s", verdict.detail, TEXT_ARGUMENTS(exchange.details));
        ck_assert_int_eq(verdict.kind, VERDICT_DENY);
        ck_assert_str_eq(verdict.guard, judged[_i].guard);
        ck_assert_str_eq(verdict.code,
                         exchange.details.length ? "validation_error" : "content_type_not_allowed");
        ck_assert_int_eq(verdict.status, exchange.details.length ? 400 : 415);
        ck_assert_msg(strstr(told, judged[_i].told) != NULL, "%s", told);
    }
    policy_free(policy);
}
END_TEST

static const struct {
    const char *keys;
    struct sent sent;
    const char *outcome;
} changed[] = {
    {"repeated_params: {action: first}", {"a=1&b=2&a=3&a[]=4", NULL, NULL, NULL}, "a=1&b=2||"},
    {"repeated_params: {action: last}", {"a=1&b=%32&a=3&a[]=4", NULL, NULL, NULL}, "b=%32&a[]=4||"},
    {"repeated_params: {action: last}", {NULL, NULL, FORM, "a=1&b=2&+a=3"}, "||b=2&+a=3"},
    {"repeated_params: {action: first}",
     {NULL, NULL, JSON, "{\"a\":1.50, \"b\":[], \"a\":2}"},
     "||{\"a\":1.50, \"b\":[]}"},
    {"repeated_params: {action: last}",
     {NULL, NULL, JSON, "[{\"a\":1.50, \"b\":[], \"a\":2}]"},
     "||[{\"b\":[], \"a\":2}]"},
    {"operators: remove", {"$a=1", NULL, NULL, NULL}, "||"},
    {"operators: remove",
     {"b=1&a[$gt]=&c=2", "a=1; $b=2; c.d=3", JSON, "{\"a\":{\"$gt\":\"\"},\"b\":1e2}"},
     "b=1&c=2|a=1|{\"a\":{},\"b\":1e2}"},
    {"operators: remove", {NULL, "$b=2", FORM, "$where=x"}, "||"},
    {"operators: replace",
     {"a[$$gt]=x&b.c=+1", "connect.sid=s:1", JSON, "{\"$a\":{\"b.c.\":1},\"d$\":0}"},
     "a%5B_%24gt%5D=x&b_c=+1|connect_sid=s:1|{\"_a\":{\"b_c_\":1},\"d$\":0}"},
    {"operators: {action: remove, allow: [$a]}", {"$a=1&$b=2", NULL, NULL, NULL}, "$a=1||"},
    {"markup: escape",
     {"a=%3Cb%3E&c='&d=%3C3", "x=<i>; y=\"1\"", JSON,
      "{\"a\":\"<b \\\"x'\\u00e9&\",\"c\":\"O'Brien\", \"n\": 1.0}"},
     "a=%26lt%3Bb%26gt%3B&c='&d=%3C3|x=%26lt%3Bi%26gt%3B; y=\"1\"|"
     "{\"a\":\"&lt;b &quot;x&#x27;\xc3\xa9&amp;\",\"c\":\"O'Brien\", \"n\": 1.0}"},
    {"markup: escape", {NULL, NULL, FORM, "a=%22+onx%3D1&b=2"}, "||a=%26quot%3B%20onx%3D1&b=2"},
    {"markup: escape", {NULL, NULL, JSON, "\"javascript&colon;x\""}, "||\"javascript&amp;colon;x\""},
    {"markup: {action: escape, except: p}", {"p=<b&q=<b", NULL, NULL, NULL}, "p=<b&q=%26lt%3Bb||"},
    {ALL ", repeated_params: {action: first}, operators: remove, markup: escape",
     {"a=1&a=2&$b=<c&d=<e", NULL, FORM, "x.y=1&z=<b&z=<c"},
     "a=1&d=%26lt%3Be||z=%26lt%3Bb"},
};

START_TEST(requests_are_changed)
{
    struct policy *policy = policy_with(changed[_i].keys);
    send(&changed[_i].sent);
    struct verdict verdict = judge(policy);
    ck_assert_msg(verdict.kind == VERDICT_PASS, "%s: %s", verdict.guard, verdict.detail);
    ck_assert_str_eq(outcome(), changed[_i].outcome);
    /* Once more: what was made of it stays. */
    exchange.rejecting = NULL;
    ck_assert_int_eq(judge(policy).kind, VERDICT_PASS);
    ck_assert_str_eq(outcome(), changed[_i].outcome);
    policy_free(policy);
}
END_TEST

START_TEST(nothing_is_changed_where_it_cannot_be)
{
    struct policy *policy = policy_with(changed[_i].keys);
    send(&changed[_i].sent);
    exchange.authorizes = true;
    ck_assert_int_eq(judge(policy).kind, VERDICT_DENY);
    policy_free(policy);
}
END_TEST

START_TEST(reports_change_nothing)
{
    const struct sent *sent = &changed[_i].sent;
    struct policy *policy = policy_with(arena_printf(arena, "mode: report, %s", changed[_i].keys));
    const char *same = arena_printf(arena, "%s|%s|%s", sent->query ? sent->query : "",
                                    sent->cookie ? sent->cookie : "", sent->body ? sent->body : "");
    reported = (struct verdict){0};
    send(sent);
    ck_assert_int_eq(judge(policy).kind, VERDICT_PASS);
    ck_assert_int_eq(reported.kind, VERDICT_DENY);
    ck_assert_str_eq(outcome(), same);
    ck_assert_uint_eq(exchange.details.length, 0);
    policy_free(policy);
}
END_TEST

START_TEST(a_changed_body_has_no_digest)
{
    struct policy *policy = policy_with("operators: remove");
    send(&(struct sent){NULL, NULL, FORM, "$a=1&b=2"});
    ck_assert_int_eq(judge(policy).kind, VERDICT_PASS);
    ck_assert_ptr_null(headers_get(&exchange.request.headers, "digest"));
    policy_free(policy);
}
END_TEST

/* The description behind judges what was made of it. */
START_TEST(what_was_changed_is_judged_then)
{
    struct policy *policy = policy_with("markup: escape, parameters: {query: {a: {max_length: 4}}}");
    send(&(struct sent){"a=<b", NULL, NULL, NULL});
    ck_assert_str_eq(judge(policy).guard, "parameters");
    policy_free(policy);
    end();
    begin();
    policy = policy_with("operators: remove, body: {fields: {a: {required: true}}}");
    send(&(struct sent){NULL, NULL, JSON, "{\"a\":\"x\",\"$b\":1}"});
    ck_assert_int_eq(judge(policy).kind, VERDICT_PASS);
    ck_assert_str_eq(outcome(), "||{\"a\":\"x\"}");
    policy_free(policy);
}
END_TEST

START_TEST(files_and_parts_are_judged_by_their_names)
{
    static const struct {
        const char *part, *guard;
    } rows[] = {
        {"name=\"a\"\r\n\r\nx", NULL},
        {"name=\"a\"; filename=\"b.png\"\r\n\r\n<b>", NULL},
        {"name=\"a\"\r\n\r\n<b>", "markup"},
        {"name=\"a\"; filename=\"<b>\"\r\n\r\nx", "markup"},
        {"name=\"$a\"; filename=\"b\"\r\n\r\nx", "operators"},
        {"name=\"b[]\"; filename=\"b\"\r\n\r\nx", "repeated_params"},
        {"name=\"q\"\r\n\r\nx", "repeated_params"},
    };
    struct policy *policy = policy_with(ALL);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *body = arena_printf(arena,
                                        "--x\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n1\r\n"
                                        "--x\r\nContent-Disposition: form-data; %s\r\n--x--\r\n",
                                        rows[i].part);
        send(&(struct sent){"q=1", NULL, "multipart/form-data; boundary=x", body});
        struct verdict verdict = judge(policy);
        if (!rows[i].guard)
            ck_assert_msg(verdict.kind == VERDICT_PASS, "%s", verdict.detail);
        else
            ck_assert_msg(verdict.kind == VERDICT_DENY && strcmp(verdict.guard, rows[i].guard) == 0, "%s",
                          rows[i].part);
        body_close(&exchange.body);
        exchange.rejecting = NULL;
    }
    exchange.body.spool.file = -1;
    exchange.body.spool.memory = NULL;
    policy_free(policy);
}
END_TEST

START_TEST(lists_are_told_apart)
{
    static const char *const files[] = {"harmless.json", "markup.json"};
    for (size_t file = 0; file < COUNT(files); file++) {
        char *path = arena_printf(arena, "%s/data/reject/%s", TEST_FOLDER, files[file]);
        json_t *list = json_load_file(path, 0, NULL);
        struct policy *policy = policy_with(ALL);
        ck_assert_uint_ge(json_array_size(list), 50);
        for (size_t i = 0; i < json_array_size(list); i++) {
            json_t *body = json_pack("{s:[O]}", "a", json_array_get(list, i));
            char *text = json_dumps(body, JSON_COMPACT);
            send(&(struct sent){NULL, NULL, JSON, text});
            ck_assert_msg((judge(policy).kind == VERDICT_PASS) == (file == 0), "%s", text);
            body_close(&exchange.body);
            exchange.rejecting = NULL;
            json_decref(body);
            free(text);
        }
        policy_free(policy);
        json_decref(list);
    }
    exchange.body.spool.file = -1;
    exchange.body.spool.memory = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reject");
    TCase *cases = tcase_create("reject");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_loop_test(cases, requests_are_judged, 0, COUNT(judged));
    tcase_add_loop_test(cases, requests_are_changed, 0, COUNT(changed));
    tcase_add_loop_test(cases, nothing_is_changed_where_it_cannot_be, 0, COUNT(changed));
    tcase_add_loop_test(cases, reports_change_nothing, 0, COUNT(changed));
    tcase_add_test(cases, a_changed_body_has_no_digest);
    tcase_add_test(cases, what_was_changed_is_judged_then);
    tcase_add_test(cases, files_and_parts_are_judged_by_their_names);
    tcase_add_test(cases, lists_are_told_apart);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
