/*
 * respond: answers of our own, without a program. `keys` lets callers make,
 * list and revoke API keys of their own (handler/respond_keys.h). What is asked
 * of `authorize` is answered before a handler would be.
 */
#include "config.h"

#include "handler/handler.h"
#include "handler/respond_keys.h"

/* In the order of the choices. */
enum { WITH_NOTHING, WITH_AUTHORIZE, WITH_KEYS };

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, respond_settings, with, "with"), .choices = "nothing|authorize|keys",
     .required = true,
     .help = "keys: callers' own API keys; authorize: may the web server serve a request; nothing: 204"},
    {FIELD(FIELD_NUMBER, respond_settings, limit, "limit"), .fallback = "20", .least = 1, .most = 1000,
     .help = "keys: how many that can be used one caller may have"},
    {FIELD(FIELD_TEXT, respond_settings, prefix, "prefix"), .fallback = "fcg",
     .help = "keys: what new ones begin with"},
    {0},
};

static bool prepare_others(struct decoder *decoder, const struct node *node)
{
    static const char *const keys[] = {"limit", "prefix"};
    bool good = true;
    for (size_t i = 0; node->kind == NODE_MAP && i < sizeof keys / sizeof *keys; i++)
        if (node_get(node, keys[i]))
            good = findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, keys[i]),
                                    "this is for `with: keys` alone");
    return good;
}

static bool prepare(void *target, struct decoder *decoder, const struct node *node)
{
    struct respond_settings *settings = target;
    settings->methods = decoder->auth;
    bool good = true;
    if (settings->with != WITH_KEYS)
        return prepare_others(decoder, node);
    if (!decoder->auth || !decoder->auth->store_path)
        good = findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is no place for keys, expected a `store` at the top");
    if (settings->prefix && !api_key_prefix_is_valid(text_of(settings->prefix)))
        good = findings_add(
            decoder->findings, FINDING_ERROR, node,
            "\"%s\" is no prefix, expected a lower-case letter, then up to 15 of a to z and 0 to 9",
            settings->prefix);
    if (decoder->auth)
        decoder->auth->stores = true;
    return good;
}

static bool needs_caller(const void *settings)
{
    return ((const struct respond_settings *)settings)->with == WITH_KEYS;
}

static bool authorizes(const void *settings)
{
    return ((const struct respond_settings *)settings)->with == WITH_AUTHORIZE;
}

static bool alone(const void *settings)
{
    return !needs_caller(settings);
}

static bool wants_body(const void *settings, const struct exchange *exchange)
{
    return needs_caller(settings) && text_equal(exchange->request.method, TEXT("POST"));
}

static void *begin(const void *settings, struct exchange *exchange, struct verdict *verdict)
{
    struct text *body = arena_alloc(exchange->arena, sizeof *body);
    exchange->reply = (struct reply){.status = 204};
    if (!needs_caller(settings))
        return body;
    *verdict = respond_keys(settings, exchange, body);
    if (verdict->kind != VERDICT_PASS)
        return NULL;
    exchange->reply.length = (int64_t)body->length;
    headers_set(&exchange->reply.headers, exchange->arena, TEXT("Cache-Control"), TEXT("no-store"));
    if (body->length > 0)
        headers_set(&exchange->reply.headers, exchange->arena, TEXT("Content-Type"),
                    TEXT("application/json"));
    return body;
}

static bool relay(void *state, struct exchange *exchange, struct verdict *verdict)
{
    const struct text *body = state;
    if (exchange_send(exchange, *body))
        return true;
    *verdict = DENY(400, "respond", "client_gone", "the client is gone");
    return false;
}

static void end(void *state, struct exchange *exchange)
{
    (void)state;
    (void)exchange;
}

static const char *describe(const void *settings, const struct exchange *exchange)
{
    static const char *const tales[] = {
        [WITH_NOTHING] = "answers 204, and nothing else",
        [WITH_AUTHORIZE] = "answers whether the web server may serve another request",
        [WITH_KEYS] = "makes, lists and revokes the caller's API keys",
    };
    (void)exchange;
    return tales[((const struct respond_settings *)settings)->with];
}

const struct handler handler_respond = {
    .name = "respond",
    .help = "answers by itself, without a program",
    .section = {sizeof(struct respond_settings), fields},
    .prepare = prepare,
    .needs_caller = needs_caller,
    .authorizes = authorizes,
    .alone = alone,
    .wants_body = wants_body,
    .begin = begin,
    .relay = relay,
    .end = end,
    .describe = describe,
};
