/*
 * respond: answers of our own, without a program (handler/respond.h). What is
 * asked of `authorize` is answered before a handler would be.
 */
#include "config.h"

#include "handler/respond.h"

static int kind_of(const void *settings)
{
    return ((const struct respond_settings *)settings)->kind;
}

static bool needs_caller(const void *settings)
{
    return kind_of(settings) == RESPOND_KEYS;
}

static bool authorizes(const void *settings)
{
    return kind_of(settings) == RESPOND_AUTHORIZE;
}

static bool alone(const void *settings)
{
    int kind = kind_of(settings);
    return kind != RESPOND_KEYS && kind != RESPOND_READY &&
           !((const struct respond_settings *)settings)->elsewhere;
}

static bool wants_body(const void *settings, const struct exchange *exchange)
{
    return needs_caller(settings) && text_equal(exchange->request.method, TEXT("POST"));
}

static void set(struct exchange *exchange, struct text name, struct text value)
{
    headers_set(&exchange->reply.headers, exchange->arena, name, value);
}

static struct verdict begin_keys(const struct respond_settings *settings, struct exchange *exchange,
                                 struct text *body)
{
    struct verdict verdict = respond_keys(settings, exchange, body);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    exchange->reply.length = (int64_t)body->length;
    set(exchange, TEXT("Cache-Control"), TEXT("no-store"));
    if (body->length > 0)
        set(exchange, TEXT("Content-Type"), TEXT("application/json"));
    return PASS;
}

static void add_headers(const struct respond_settings *settings, struct exchange *exchange)
{
    for (size_t i = 0; i < settings->headers.count; i++)
        headers_add(&exchange->reply.headers, exchange->arena, settings->headers.items[i].name,
                    settings->headers.items[i].value);
}

static struct verdict begin_redirect(const struct respond_settings *settings, struct exchange *exchange)
{
    struct text location = respond_redirect(settings, exchange);
    if (location.length == 0)
        return DENY(414, RESPOND_NAME, "target_too_long", "the other address would be too long");
    exchange->reply = (struct reply){.status = (int)settings->status};
    add_headers(settings, exchange);
    set(exchange, TEXT("Location"), location);
    return PASS;
}

static void *begin(const void *opaque, struct exchange *exchange, struct verdict *verdict)
{
    const struct respond_settings *settings = opaque;
    struct text *body = arena_alloc(exchange->arena, sizeof *body);
    switch ((enum respond_kind)settings->kind) {
    case RESPOND_NOTHING:
    case RESPOND_AUTHORIZE:
        exchange->reply = (struct reply){.status = 204};
        break;
    case RESPOND_KEYS:
        *verdict = begin_keys(settings, exchange, body);
        break;
    case RESPOND_HEALTH:
    case RESPOND_LIVE:
    case RESPOND_READY:
        *body = respond_health(settings, exchange);
        break;
    case RESPOND_FIXED:
        *body = respond_content(settings, exchange);
        add_headers(settings, exchange);
        break;
    case RESPOND_REDIRECT:
        *verdict = begin_redirect(settings, exchange);
        break;
    }
    return verdict->kind == VERDICT_PASS ? body : NULL;
}

static bool relay(void *state, struct exchange *exchange, struct verdict *verdict)
{
    const struct text *body = state;
    if (exchange_send(exchange, *body))
        return true;
    *verdict = DENY(400, RESPOND_NAME, "client_gone", "the client is gone");
    return false;
}

static void end(void *state, struct exchange *exchange)
{
    (void)state;
    (void)exchange;
}

static const char *describe_content(const struct respond_settings *settings, const struct exchange *exchange)
{
    if (settings->elsewhere)
        return arena_printf(exchange->arena, "answers %d with %s, which is not here", (int)settings->status,
                            settings->file);
    if (settings->content.length == 0)
        return arena_printf(exchange->arena, "answers %d, and nothing else", (int)settings->status);
    return arena_printf(exchange->arena, "answers %d with %zu bytes of %s%s%s", (int)settings->status,
                        settings->content.length, settings->type, settings->file ? ", of " : "",
                        settings->file ? settings->file : "");
}

static const char *describe_redirect(const struct respond_settings *settings, const struct exchange *exchange)
{
    struct text location = respond_redirect(settings, exchange);
    return arena_printf(exchange->arena, "answers %d and sends on to %.*s", (int)settings->status,
                        TEXT_ARGUMENTS(location));
}

static const char *describe(const void *opaque, const struct exchange *exchange)
{
    const struct respond_settings *settings = opaque;
    switch ((enum respond_kind)settings->kind) {
    case RESPOND_NOTHING:
        return "answers 204, and nothing else";
    case RESPOND_AUTHORIZE:
        return "answers whether the web server may serve another request";
    case RESPOND_KEYS:
        return "makes, lists and revokes the caller's API keys";
    case RESPOND_HEALTH:
    case RESPOND_LIVE:
        return "answers that it is alive";
    case RESPOND_READY:
        return "answers whether the store and backends can be reached";
    case RESPOND_FIXED:
        return describe_content(settings, exchange);
    case RESPOND_REDIRECT:
        break;
    }
    return describe_redirect(settings, exchange);
}

const struct handler handler_respond = {
    .name = RESPOND_NAME,
    .help = "answers by itself, without a program",
    .section = {sizeof(struct respond_settings), respond_fields},
    .whole = true,
    .prepare = respond_prepare,
    .needs_caller = needs_caller,
    .authorizes = authorizes,
    .alone = alone,
    .wants_body = wants_body,
    .begin = begin,
    .relay = relay,
    .end = end,
    .describe = describe,
};
