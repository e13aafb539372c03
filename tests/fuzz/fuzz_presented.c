/*
 * Fuzz target: credentials in a request. The bytes are, line by line, an
 * Authorization header, a header of our own, a Cookie header and a query. What
 * was found lies in none of them once it was taken out.
 */
#include "config.h"

#include <stdlib.h>

#include "base/arena.h"
#include "guard/presented.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add(struct exchange *exchange, struct text name, struct text value)
{
    if (value.length > 0)
        headers_add(&exchange->request.headers, exchange->arena, name, value);
}

static void judge(const struct places *places, struct text lines)
{
    struct exchange exchange = {.arena = arena_new()};
    struct text authorization = {0}, own = {0}, cookie = {0}, credential;
    (void)text_next(&lines, '\n', &authorization);
    (void)text_next(&lines, '\n', &own);
    (void)text_next(&lines, '\n', &cookie);
    add(&exchange, TEXT("authorization"), authorization);
    add(&exchange, TEXT("x-api-key"), own);
    add(&exchange, TEXT("cookie"), cookie);
    char *target = arena_alloc(exchange.arena, lines.length + 4);
    memcpy(target, "/a?", 3);
    if (lines.length > 0)
        memcpy(target + 3, lines.at, lines.length);
    exchange.request.target = (struct text){target, lines.length + 3};
    exchange.request.query = (struct text){target + 3, lines.length};
    exchange.request.has_query = true;
    enum presented found = presented_find(places, &exchange, &credential);
    MUST(found != PRESENTED_ONCE || credential.length > 0);
    presented_remove(places, &exchange);
    MUST(presented_find(places, &exchange, &credential) == PRESENTED_NOT);
    const struct request *request = &exchange.request;
    MUST(text_starts_with(request->target, TEXT("/a")));
    MUST(request->query.length <= lines.length && request->target.length <= lines.length + 3);
    arena_free(exchange.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct places all[] = {
        {.header = "authorization", .schemes = {"Bearer"}, .cookie = "session"},
        {.header = "authorization", .schemes = {"Bearer", "ApiKey"}, .basic = true, .query = "key"},
        {.header = "x-api-key", .basic = true, .cookie = "session", .query = "api_key"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        judge(&all[i], (struct text){(const char *)data, size});
    return 0;
}
