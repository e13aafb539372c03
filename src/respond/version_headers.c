/*
 * The dates are those of the exchange's lifetime; whose they are is not known here.
 */
#include "config.h"

#include "respond/version_headers.h"

static void set(struct exchange *exchange, struct text name, struct text value)
{
    if (value.length > 0)
        headers_set(&exchange->reply.headers, exchange->arena, name, value);
}

void version_headers_apply(const struct versions *versions, struct exchange *exchange)
{
    const struct lifetime *lifetime = exchange->lifetime;
    struct headers *headers = &exchange->reply.headers;
    if (exchange->version_found != VERSION_NOT_ASKED && versions->vary)
        headers_vary(headers, exchange->arena, &versions->vary, 1);
    if (!lifetime)
        return;
    set(exchange, TEXT("Deprecation"), lifetime->deprecation);
    set(exchange, TEXT("Sunset"), lifetime->sunset_date);
    if (lifetime->links.length > 0) /* beside the handler's own */
        headers_add(headers, exchange->arena, TEXT("Link"), lifetime->links);
}
