/*
 * Fuzz target: the headers of a program's reply, as lines, beside those of a policy. The first byte says
 * of the request what counts. What leaves can be sent, is never weaker than the policy, and is
 * not changed by another turn.
 */
#include "config.h"

#include <stdlib.h>

#include "data/file.h"
#include "respond/cache_control.h"
#include "respond/secure_headers.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

static const char policy[] =
    "{preset: helmet, Referrer-Policy: strict-origin-when-cross-origin, Cross-Origin-Opener-Policy: "
    "same-origin-allow-popups, Cross-Origin-Embedder-Policy: credentialless, Cross-Origin-Resource-Policy: "
    "same-site, Permissions-Policy: {camera: [], usb: [self, 'https://a.example'], midi: '*'}, "
    "Content-Security-Policy: {default-src: [self, nonce]}, Clear-Site-Data: cookies}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_lines(struct headers *headers, struct text lines, struct arena *arena)
{
    struct text line;
    while (text_next(&lines, '\n', &line)) {
        size_t colon = text_find(line, ':');
        struct text name = {line.at, colon}, value = text_trim(text_from(line, colon + 1));
        if (text_is_token(name) && header_value_is_safe(value)) /* as handlers' replies are read */
            headers_add(headers, arena, name, value);
    }
}

static size_t count(const struct headers *headers, const char *name, const char *value)
{
    size_t found = 0;
    for (size_t i = 0; i < headers->count; i++)
        found += text_equal_ignore_case(headers->items[i].name, text_of(name)) &&
                 (!value || text_equal(headers->items[i].value, text_of(value)));
    return found;
}

/* One line, with a word that browsers know: they take neither another case nor what is no parameter. */
static bool is_one_of(const struct headers *headers, const char *name, struct text first, struct text second)
{
    const struct text *value = headers_get(headers, name);
    if (!value || count(headers, name, NULL) != 1)
        return false;
    struct text word = {value->at, text_find(*value, ';')};
    return text_equal(word, first) || text_equal(word, second);
}

static void check(const struct exchange *exchange, const char *content_policy)
{
    const struct headers *headers = &exchange->reply.headers;
    for (size_t i = 0; i < headers->count; i++)
        MUST(header_value_is_safe(headers->items[i].value));
    MUST(count(headers, "Content-Security-Policy", content_policy) == 1);
    MUST(count(headers, "X-Frame-Options", NULL) == 1 &&
         count(headers, "X-Content-Type-Options", "nosniff") == 1);
    MUST(count(headers, "Strict-Transport-Security", NULL) == exchange->request.secure);
    MUST(!exchange->request.secure || count(headers, "Clear-Site-Data", "\"cookies\"") >= 1);
    MUST(count(headers, "Server", NULL) == 0);
    MUST(is_one_of(headers, "cross-origin-opener-policy", TEXT("same-origin-allow-popups"),
                   TEXT("same-origin")));
    MUST(is_one_of(headers, "cross-origin-embedder-policy", TEXT("credentialless"), TEXT("require-corp")));
    MUST(is_one_of(headers, "cross-origin-resource-policy", TEXT("same-site"), TEXT("same-origin")));
    const struct text *permissions = headers_get(headers, "permissions-policy");
    MUST(permissions && count(headers, "Permissions-Policy", NULL) == 1);
    MUST(text_starts_with(*permissions, TEXT("camera=(), usb=")));
    if (exchange->authenticates)
        MUST(count(headers, "Cache-Control", NULL) >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *arena = arena_new();
    struct findings findings = findings_new(arena, "policy");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/"};
    struct secure_headers headers = {0};
    MUST(secure_headers_decode(&decoder, file_parse(text_of(policy), false, &findings), &headers));
    struct exchange exchange = {
        .arena = arena, .authenticates = data[0] & 1, .reply = {.status = 200, .from_handler = true}};
    exchange.request.secure = data[0] & 2;
    read_lines(&exchange.reply.headers, (struct text){(const char *)data + 1, size - 1}, arena);
    headers_set(&exchange.reply.headers, arena, TEXT("content-type"), TEXT("text/html"));
    secure_headers_apply(&headers, &exchange);
    const char *content_policy = arena_printf(arena, "default-src 'self' 'nonce-%s'", exchange.nonce);
    check(&exchange, content_policy);
    struct text before = reply_head(&exchange.reply, arena);
    secure_headers_apply(&headers, &exchange);
    MUST(text_equal(reply_head(&exchange.reply, arena), before));
    arena_free(arena);
    return 0;
}
