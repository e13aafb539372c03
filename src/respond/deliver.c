/*
 * What is kept is a spool of this file's own, on the stack of the one call that
 * fills, judges and sends it.
 */
#include "config.h"

#include "respond/deliver.h"

enum { KEPT_MEMORY = 64 * 1024, ASIDE_MOST = 4 * 1024 };

void deliver_prepare(const struct guard_rules rules[], struct exchange *exchange)
{
    if (!guards_have(rules, ON_REPLY, false))
        return;
    headers_remove(&exchange->request.headers, TEXT("accept-encoding"));
    headers_remove(&exchange->request.headers, TEXT("range"));
}

/* What was said of the bytes that are replaced (RFC 9530, and older headers for the same). */
static void undress(struct exchange *exchange)
{
    static const char *const headers[] = {"etag",   "content-md5",    "content-range",
                                          "digest", "content-digest", "repr-digest"};
    struct reply *reply = &exchange->reply;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        headers_remove(&reply->headers, text_of(headers[i]));
    bool has_body = reply_has_body(reply, exchange->request.method);
    reply->length = has_body ? (int64_t)exchange->kept->instead.length : -1;
}

/* Why what is kept may not go out, the handler having done its part; PASS: it may. */
static struct verdict judge_kept(const struct delivery *delivery, const struct kept *kept, const char *over,
                                 struct verdict broken)
{
    uint32_t passed = 0;
    if (kept->over)
        return DENY(502, "replies", "reply_invalid", over);
    if (kept->failed)
        return FAULT(500, "replies", "spool_failed", "the reply could not be kept");
    if (broken.kind != VERDICT_PASS)
        return broken;
    return guards_judge(delivery->rules, ON_REPLY, delivery->exchange, &passed, delivery->reported);
}

static struct verdict send_kept(struct exchange *exchange, struct verdict cut)
{
    if (exchange->kept->instead.at)
        undress(exchange);
    if (!exchange_send_kept(exchange) && cut.kind == VERDICT_PASS)
        cut = DENY(400, "replies", "client_gone", "the client is gone, or the spool");
    return cut;
}

static struct verdict deliver_kept(const struct delivery *delivery, uint64_t most, const char *over,
                                   bool fixed, struct verdict *cut)
{
    struct exchange *exchange = delivery->exchange;
    struct kept kept = {.spool = spool_new(KEPT_MEMORY, most, exchange->spool_folder), .fixed = fixed};
    exchange->kept = &kept;
    delivery->handler->relay(delivery->state, exchange, cut);
    struct verdict verdict = judge_kept(delivery, &kept, over, *cut);
    if (fixed && (kept.over || kept.failed)) /* it is under way already */
        delivery->reported(exchange, verdict);
    else if (fixed || verdict.kind == VERDICT_PASS)
        *cut = send_kept(exchange, *cut);
    else
        exchange->sent = 0;
    exchange->kept = NULL;
    spool_close(&kept.spool);
    return fixed ? PASS : verdict;
}

struct verdict deliver(const struct delivery *delivery, struct verdict *cut)
{
    uint64_t most;
    const char *over;
    struct exchange *exchange = delivery->exchange;
    const struct guard_rules *awaiting = guards_await(delivery->rules, exchange, &most, &over);
    *cut = PASS;
    if (awaiting)
        return deliver_kept(delivery, most, over, awaiting->report_only, cut);
    if (!exchange_send_head(exchange))
        *cut = DENY(400, delivery->handler->name, "client_gone", "the client is gone");
    else
        delivery->handler->relay(delivery->state, exchange, cut);
    return PASS;
}

struct text deliver_aside(const struct handler *handler, void *state, struct exchange *exchange, bool *whole)
{
    struct kept kept = {.spool = spool_new(KEPT_MEMORY, KEPT_MEMORY, exchange->spool_folder)};
    struct verdict cut = PASS;
    char *said = arena_alloc(exchange->arena, ASIDE_MOST);
    exchange->kept = &kept;
    *whole = handler->relay(state, exchange, &cut) && !kept.over && !kept.failed;
    exchange->kept = NULL;
    exchange->sent = 0;
    spool_rewind(&kept.spool);
    ssize_t length = spool_read(&kept.spool, said, ASIDE_MOST);
    *whole = *whole && length >= 0 && kept.spool.length == (uint64_t)length;
    spool_close(&kept.spool);
    return (struct text){said, length > 0 ? (size_t)length : 0};
}
