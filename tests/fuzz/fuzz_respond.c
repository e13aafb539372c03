/*
 * Fuzz target: a request's target, and what it says of what the client has, through the answers of
 * respond. Whatever is sent, another address is at the policy's own host, holds no byte that ends a
 * header or an attribute, and a content is sent whole or not at all.
 */
#include "config.h"

#include <stdlib.h>

#include "policy/policy.h"
#include "policy/route.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SENT_MOST = 20000, LINES = 3 };

static const char policy_text[] =
    "request: {header: 64kb, target: 16kb}\n"
    "defaults: {auth: none}\n"
    "routes:\n"
    "  - {path: '/a/{id}', respond: {redirect: 'https://www.example.com/x/{id}?a={id}#f', query: keep}}\n"
    "  - {path: '/b/{id}/**', respond: {redirect: '/x/{id}/**', query: keep}}\n"
    "  - {path: '/f/**', respond: {redirect: '/**', status: 302}}\n"
    "  - {path: /c, respond: {body: hello}}\n"
    "  - {path: /d, respond: {file: /etc/os-release, type: text/plain}}\n";

static struct policy *policy(void)
{
    static struct policy *loaded;
    struct error error = {0};
    if (!loaded)
        loaded = policy_parse(text_of(policy_text), "/p.yaml", false, &error);
    MUST(loaded && loaded->findings.errors == 0);
    return loaded;
}

static void check_address(struct text address, const char *path)
{
    struct text begin = text_of(path[1] == 'a' ? "https://www.example.com/x/" : path[1] == 'b' ? "/x/" : "/");
    MUST(text_starts_with(address, begin) && !text_starts_with(address, TEXT("//")));
    for (size_t i = 0; i < address.length; i++)
        MUST(address.at[i] > 0x20 && address.at[i] < 0x7f && !strchr("\"<>\\^`{|}", address.at[i]));
    if (path[1] == 'a') /* one segment, one parameter, one fragment */
        MUST(text_find(text_from(address, begin.length), '/') >
                 text_find(text_from(address, begin.length), '?') &&
             address.length - text_find(address, '#') == 2);
}

static void check_answer(const struct exchange *exchange, struct text body)
{
    const struct reply *reply = &exchange->reply;
    const char *path = exchange->route->path;
    const struct text *location = NULL;
    if (exchange->verdict.kind != VERDICT_PASS) {
        MUST(exchange->verdict.status == 414);
        return;
    }
    for (size_t i = 0; i < reply->headers.count; i++)
        if (text_equal(reply->headers.items[i].name, TEXT("Location")))
            location = &reply->headers.items[i].value;
    MUST((location != NULL) == (reply->status == 308 || reply->status == 302));
    if (location)
        check_address(*location, path);
    else
        MUST(reply->status == 304 ? reply->length == -1 && body.length == 0
                                  : reply->status == 200 && reply->length == (int64_t)body.length);
    reply_head(reply, exchange->arena);
}

/* The target, If-None-Match and If-Modified-Since, a line each. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text sent[LINES] = {{0}}, rest = {(const char *)data, size};
    if (size > SENT_MOST)
        return 0;
    for (size_t i = 0; i < LINES; i++)
        text_next(&rest, '\n', &sent[i]);
    struct param items[] = {{TEXT("REQUEST_METHOD"), TEXT("GET")}, {TEXT("REQUEST_URI"), sent[0]}};
    struct params params = {items, 2};
    struct exchange exchange = {.arena = arena_new()};
    struct verdict read = request_read(&exchange.request, &params, &policy()->server.request, exchange.arena);
    if (read.kind == VERDICT_PASS && router_find(policy()->router, &exchange).kind == VERDICT_PASS) {
        const struct route *route = exchange.route;
        /* Beside all that reads headers: bytes that none would have got through. */
        if (sent[1].length > 0)
            headers_add(&exchange.request.headers, exchange.arena, TEXT("if-none-match"), sent[1]);
        if (sent[2].length > 0)
            headers_add(&exchange.request.headers, exchange.arena, TEXT("if-modified-since"), sent[2]);
        const struct text *body = route->handler->begin(route->settings, &exchange, &exchange.verdict);
        check_answer(&exchange, body ? *body : TEXT(""));
    }
    arena_free(exchange.arena);
    return 0;
}
