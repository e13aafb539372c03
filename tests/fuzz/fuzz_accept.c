/*
 * Fuzz target: what a client would rather have. The first line is an Accept, the
 * second an Accept-Language. Whatever they are, the answer is one of the few
 * that there are, and nothing of the client's own.
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/arena.h"
#include "respond/error_body.h"
#include "respond/error_page.h"

#define MUST(condition) ((condition) ? (void)0 : abort())
#define COUNT(array)    (sizeof(array) / sizeof *(array))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct text languages[] = {{"en", 2}, {"de", 2}, {"zh-Hant", 7}};
static struct text tags[] = {{"de", 2}, {"zh-Hant", 7}};
static struct text texts[] = {{"Nein & <nie>", 12}, {"\xe4\xb8\x8d", 3}};
static struct error_words words[] = {{"forbidden", {tags, COUNT(tags)}, {texts, COUNT(texts)}}};

static struct text answer(const struct error_rules *rules, struct exchange *exchange, struct text accept,
                          struct text language)
{
    headers_set(&exchange->request.headers, exchange->arena, TEXT("accept"), accept);
    headers_set(&exchange->request.headers, exchange->arena, TEXT("accept-language"), language);
    return error_body(rules, exchange);
}

static bool same(struct text one, struct text other)
{
    return text_equal(one, other);
}

/* The answers that there are, from clients whose wishes are plain. */
static bool is_known(const struct error_rules *rules, struct exchange *exchange, struct text body,
                     const struct headers *headers)
{
    static const struct text accepts[] = {{"*/*", 3}, {"text/html", 9}};
    for (size_t i = 0; i < COUNT(accepts); i++)
        for (size_t j = 0; j < COUNT(languages); j++) {
            bool equal = same(body, answer(rules, exchange, accepts[i], languages[j]));
            const struct headers *known = &exchange->reply.headers;
            for (size_t k = 0; k < headers->count && equal; k++)
                equal = known->count == headers->count &&
                        same(headers->items[k].name, known->items[k].name) &&
                        same(headers->items[k].value, known->items[k].value);
            if (equal)
                return true;
        }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct text rest = {(const char *)data, size}, accept = {0};
    struct exchange exchange = {.arena = arena, .id = "01234567-89ab-4cde-8f01-23456789abcd"};
    text_next(&rest, '\n', &accept);
    exchange.verdict = DENY(403, "guard", "forbidden", NULL);
    for (int profile = ERROR_PLAIN; profile <= ERROR_FASTAPI; profile++) {
        const struct error_rules rules = {
            .profile = profile, .html = true, .language = "en", .words = words, .count = COUNT(words)};
        struct text body = answer(&rules, &exchange, accept, rest);
        struct headers headers = exchange.reply.headers;
        bool page = text_equal(*headers_get(&headers, "content-type"), TEXT(ERROR_PAGE_TYPE));
        json_t *object = json_loadb(body.at, body.length, 0, NULL);
        MUST(page != json_is_object(object));
        MUST(!page || !memmem(body.at, body.length, "<nie>", 5));
        json_decref(object);
        MUST(is_known(&rules, &exchange, body, &headers));
    }
    arena_free(arena);
    return 0;
}
