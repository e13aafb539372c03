/*
 * A reply on its way out: each header of the policy beside what the handler says
 * of it, in the place where it may be.
 */
#include "config.h"

#include "respond/secure_headers.h"

#include "respond/cache_control.h"
#include "respond/content_policy.h"
#include "respond/header_values.h"
#include "respond/permissions.h"
#include "respond/stricter.h"

void secure_headers_prepare(const struct secure_headers *headers, struct exchange *exchange)
{
    if (headers->nonces)
        exchange_nonce(exchange);
}

/* Whether a browser may make a document of it, whose scripts and styles a nonce admits. What has no
 * type may become one. A 304 says nothing of a document: the one that is stored keeps its nonce, so it
 * gets no new one (RFC 9111, 3.2). */
static bool is_document(const struct reply *reply)
{
    static const char *const types[] = {"text/html", "application/xhtml+xml", "image/svg+xml", "text/xml",
                                        "application/xml"};
    const struct text *type = headers_get(&reply->headers, "content-type");
    if (!type)
        return true;
    struct text name = text_trim((struct text){type->at, text_find(*type, ';')});
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text_equal_ignore_case(name, text_of(types[i])))
            return true;
    return name.length > 4 && text_equal_ignore_case(text_from(name, name.length - 4), TEXT("+xml"));
}

/* RFC 6797, 7.2, and Clear-Site-Data, 3.1: not over HTTP. What a guard answered or
 * failed clears nothing, or a logout that did not happen would look as if it had. */
static bool is_in_place(const struct exchange *exchange, struct text name)
{
    const struct reply *reply = &exchange->reply;
    if (text_equal_ignore_case(name, TEXT(TRANSPORT_SECURITY)))
        return exchange->request.secure;
    if (text_equal_ignore_case(name, TEXT(CLEAR_SITE_DATA)))
        return exchange->request.secure && exchange->verdict.kind == VERDICT_PASS && reply->status < 400 &&
               reply->status != 304;
    return true;
}

/* The value on all lines of a header (RFC 9110, 5.3), and how many there are. */
static size_t join_lines(const struct headers *headers, struct text name, struct arena *arena,
                         struct text *value)
{
    size_t count = 0;
    for (size_t i = 0; i < headers->count; i++) {
        const struct header *header = &headers->items[i];
        if (!text_equal_ignore_case(header->name, name))
            continue;
        *value = count++ == 0 ? header->value
                              : text_of(arena_printf(arena, "%.*s, %.*s", TEXT_ARGUMENTS(*value),
                                                     TEXT_ARGUMENTS(header->value)));
    }
    return count;
}

static void add_beside(struct exchange *exchange, struct text name, struct text value)
{
    struct headers *reply = &exchange->reply.headers;
    for (size_t i = 0; i < reply->count; i++)
        if (text_equal_ignore_case(reply->items[i].name, name) && text_equal(reply->items[i].value, value))
            return;
    headers_add(reply, exchange->arena, name, value);
}

static void put(struct exchange *exchange, struct text name, struct text ours)
{
    struct headers *reply = &exchange->reply.headers;
    struct text theirs;
    if (text_equal_ignore_case(name, TEXT("vary"))) { /* or a cache would mix what the handler keeps apart */
        headers_add(reply, exchange->arena, name, ours);
        headers_vary(reply, exchange->arena, NULL, 0);
        return;
    }
    if (join_lines(reply, name, exchange->arena, &theirs) == 0) {
        headers_add(reply, exchange->arena, name, ours);
        return;
    }
    if (text_equal_ignore_case(name, TEXT(PERMISSIONS_POLICY)))
        ours = permissions_join(ours, theirs, exchange->arena);
    switch (stricter_choose(name, ours, theirs)) {
    case STRICTER_OURS:
        headers_set(reply, exchange->arena, name, ours);
        break;
    case STRICTER_THEIRS:
        break;
    case STRICTER_BOTH:
        add_beside(exchange, name, ours);
        break;
    }
}

static void put_policy(const struct secure_headers *headers, struct exchange *exchange,
                       const struct header *header)
{
    struct text value = header->value;
    if (headers->nonces && content_policy_has_nonce(value)) {
        if (exchange->reply.status == 304)
            return;
        const char *nonce = is_document(&exchange->reply) ? exchange_nonce(exchange) : NULL;
        value = content_policy_fill(value, nonce, exchange->arena);
    }
    put(exchange, header->name, value);
}

static void limit_caches(const struct secure_headers *headers, struct exchange *exchange)
{
    if (headers->cache_given)
        return;
    if (headers->caching && exchange->authenticates)
        cache_control_limit(exchange, "no-store");
    else if (headers->nonces && exchange->reply.status != 304 && is_document(&exchange->reply))
        cache_control_limit(exchange, "private");
}

void secure_headers_apply(const struct secure_headers *headers, struct exchange *exchange)
{
    struct headers *reply = &exchange->reply.headers;
    bool own_page = !exchange->reply.from_handler && headers_get(reply, "content-security-policy");
    for (size_t i = 0; i < headers->remove.count; i++)
        headers_remove(reply, headers->remove.items[i]);
    for (size_t i = 0; i < headers->set.count; i++) {
        const struct header *header = &headers->set.items[i];
        if (!is_in_place(exchange, header->name)) {
            if (text_equal_ignore_case(header->name, TEXT(TRANSPORT_SECURITY)))
                headers_remove(reply, header->name);
        } else if (!header_value_is_policy(header->name)) {
            put(exchange, header->name, header->value);
        } else if (!own_page) {
            put_policy(headers, exchange, header);
        }
    }
    limit_caches(headers, exchange);
}
