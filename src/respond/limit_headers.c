/*
 * Limit headers, in the notation of the draft (RFC 9651 items) or the older one.
 */
#include "config.h"

#include "respond/limit_headers.h"

static void set(struct exchange *exchange, const char *name, const char *value)
{
    headers_set(&exchange->reply.headers, exchange->arena, text_of(name), text_of(value));
}

/* RFC 9651, 3.3.3; a name has neither control characters nor others than ASCII. */
static const char *quote(struct arena *arena, const char *name)
{
    char *quoted = arena_alloc(arena, 2 * strlen(name) + 3), *end = quoted;
    *end++ = '"';
    for (; *name; name++) {
        if (*name == '"' || *name == '\\')
            *end++ = '\\';
        *end++ = *name;
    }
    *end++ = '"';
    *end = '\0';
    return quoted;
}

static const char *number(struct arena *arena, uint64_t value)
{
    return arena_printf(arena, "%llu", (unsigned long long)value);
}

void limit_headers_apply(enum limit_headers kind, struct exchange *exchange)
{
    const struct allowance *allowance = &exchange->allowance;
    struct arena *arena = exchange->arena;
    if (!allowance->name || allowance->window == 0 || kind == LIMIT_HEADERS_NONE)
        return;
    const char *limit = number(arena, allowance->limit), *window = number(arena, allowance->window);
    const char *remaining = number(arena, allowance->remaining), *reset = number(arena, allowance->reset);
    if (kind == LIMIT_HEADERS_DRAFT) {
        const char *name = quote(arena, allowance->name);
        set(exchange, "RateLimit-Policy", arena_printf(arena, "%s;q=%s;w=%s", name, limit, window));
        set(exchange, "RateLimit", arena_printf(arena, "%s;r=%s;t=%s", name, remaining, reset));
        return;
    }
    set(exchange, "RateLimit-Limit", limit);
    set(exchange, "RateLimit-Remaining", remaining);
    set(exchange, "RateLimit-Reset", reset);
}
