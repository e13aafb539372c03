/*
 * What is longer than it was stated to be is cut, what is shorter breaks off:
 * the web server has been told a length by then.
 */
#include "config.h"

#include "handler/relay.h"

#include "base/log.h"

void relay_tell_excess(struct relay *relay, int64_t length)
{
    if (!relay->cut)
        log_event(SEVERITY_WARNING, "program_output",
                  "request %s: %s wrote more than its Content-Length of %lld, the rest is dropped",
                  relay->exchange->id, relay->who, (long long)length);
    relay->cut = true;
}

bool relay_send(struct relay *relay, struct text piece, struct verdict *verdict)
{
    struct exchange *exchange = relay->exchange;
    int64_t length = exchange->reply.length;
    relay->size += piece.length;
    if (relay->size > relay->most) {
        *verdict = FAULT(502, relay->handler, "bad_reply", "the reply is larger than max_output");
        return false;
    }
    if (length >= 0 && relay->size > (uint64_t)length)
        relay_tell_excess(relay, length);
    if (exchange_send(exchange, piece))
        return true;
    *verdict = DENY(400, relay->handler, "client_gone", "the client is gone");
    return false;
}

bool relay_is_whole(const struct relay *relay, struct verdict *verdict)
{
    const struct exchange *exchange = relay->exchange;
    int64_t length = exchange->reply.length;
    if (length < 0 || relay->size >= (uint64_t)length ||
        !reply_has_body(&exchange->reply, exchange->request.method))
        return true;
    const char *detail =
        arena_printf(exchange->arena, "%s wrote %llu bytes of the %lld that its Content-Length states",
                     relay->who, (unsigned long long)relay->size, (long long)length);
    *verdict = FAULT(502, relay->handler, "bad_reply", detail);
    return false;
}
