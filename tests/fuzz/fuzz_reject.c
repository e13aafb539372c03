/*
 * Fuzz target: a query, cookies and a body as the guards repeated_params, operators and
 * markup change them. What they have made can be read again, is left as it is when it is
 * judged once more, and holds nothing that they would refuse if they were to change nothing.
 */
#include "config.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "policy/policy.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANGES = 4, SENT_MOST = 10000, CHANGED_MOST = 1 << 20 };

/* The last one refuses; of markup it is asked apart, as escaping leaves references. */
static const char policy_text[] =
    "defaults: {auth: none, exec: /bin/true}\n"
    "routes:\n"
    "  - {path: /a, repeated_params: {action: first}, operators: remove, markup: escape}\n"
    "  - {path: /b, repeated_params: {action: last}, operators: replace, markup: escape}\n"
    "  - {path: /c, markup: {action: escape, except: [a, /b/0]}, operators: {action: replace, allow: [c, "
    "/d]}}\n"
    "  - {path: /d, operators: {action: remove, dots: allow}}\n"
    "  - {path: /e, reject: [repeated_params, operators]}\n";

static struct policy *policy(void)
{
    static struct policy *loaded;
    struct error error = {0};
    if (!loaded)
        loaded = policy_parse(text_of(policy_text), "/p.yaml", false, &error);
    MUST(loaded && loaded->findings.errors == 0);
    return loaded;
}

static void report(struct exchange *exchange, struct verdict verdict)
{
    (void)exchange;
    (void)verdict;
}

static bool passes(struct exchange *exchange, size_t route)
{
    uint32_t passed = 0;
    const struct guard_rules *rules = policy()->routes[route].guards;
    exchange->rejecting = NULL;
    exchange->details = (struct text){0};
    struct verdict verdict = guards_judge(rules, ON_HEAD, exchange, &passed, report);
    if (verdict.kind == VERDICT_PASS)
        verdict = guards_judge(rules, ON_BODY, exchange, &passed, report);
    MUST(verdict.kind == VERDICT_PASS || verdict.kind == VERDICT_DENY);
    MUST(verdict.kind == VERDICT_PASS || (verdict.detail && exchange->details.length < 20000));
    return verdict.kind == VERDICT_PASS;
}

/* All that a program gets. */
static struct text gets(struct exchange *exchange)
{
    const struct text *cookie = headers_get(&exchange->request.headers, "cookie");
    struct bytes all = bytes_new(exchange->arena, CHANGED_MOST);
    char piece[4096];
    ssize_t length;
    spool_rewind(&exchange->body.spool);
    bytes_add_text(&all, exchange->request.target);
    bytes_add(&all, "\n", 1);
    bytes_add_text(&all, exchange->request.query);
    bytes_add(&all, "\n", 1);
    bytes_add_text(&all, cookie ? *cookie : (struct text){0});
    bytes_add(&all, "\n", 1);
    while ((length = body_read(&exchange->body, piece, sizeof piece)) > 0)
        bytes_add(&all, piece, (size_t)length);
    spool_rewind(&exchange->body.spool);
    return bytes_text(&all);
}

/* A line of a query, one of cookies, and the body; the first byte says what that is, and which route. */
static void make(struct exchange *exchange, struct text text, uint8_t what)
{
    static const char *const types[] = {"application/json", "application/x-www-form-urlencoded", "text/plain",
                                        "multipart/form-data; boundary=x"};
    struct error error = {0};
    struct text query = {text.at, text_find(text, '\n')};
    struct text rest = text_from(text, query.length + 1), cookie = {rest.at, text_find(rest, '\n')};
    struct text body = text_from(rest, cookie.length + 1);
    exchange->method_known = true;
    exchange->validation_status = 400;
    exchange->request.method = TEXT("POST");
    exchange->request.target = TEXT("/");
    query = (struct text){query.at, text_find(query, '\0')}; /* no target has one */
    request_replace_query(&exchange->request, query, exchange->arena);
    if (cookie.length > 0)
        headers_add(&exchange->request.headers, exchange->arena, TEXT("cookie"), cookie);
    exchange->request.content_type = text_of(types[what / CHANGES % 4]);
    exchange->body = (struct body){.limit = UINT64_MAX, .stated = -1, .spooled = true};
    exchange->body.spool = spool_new(SENT_MOST, SENT_MOST, "/tmp");
    MUST(body.length == 0 || spool_write(&exchange->body.spool, body.at, body.length, &error));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > SENT_MOST)
        return 0;
    struct exchange exchange = {.arena = arena_new(), .spool_folder = "/tmp"};
    size_t route = data[0] % CHANGES;
    make(&exchange, (struct text){(const char *)data + 1, size - 1}, data[0]);
    if (passes(&exchange, route)) {
        struct text made = gets(&exchange);
        MUST(passes(&exchange, route));
        MUST(text_equal(gets(&exchange), made));
        MUST(route > 1 || passes(&exchange, CHANGES));
        MUST(text_equal(gets(&exchange), made));
    }
    body_close(&exchange.body);
    arena_free(exchange.arena);
    return 0;
}
