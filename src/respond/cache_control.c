/*
 * A shared cache keeps nothing that answers a request with Authorization, unless
 * it is told to (RFC 9111, 3.5). That goes for no other way to say who is calling,
 * so it is said here, whichever way it was.
 */
#include "config.h"

#include "respond/cache_control.h"

#define NAME "Cache-Control"

/* The next directive: up to a comma that is in no quoted string. */
static bool next_directive(struct text *rest, struct text *piece)
{
    bool quoted = false;
    size_t end = 0;
    if (rest->length == 0)
        return false;
    for (; end < rest->length && (quoted || rest->at[end] != ','); end++)
        if (rest->at[end] == '"')
            quoted = !quoted;
        else if (quoted && rest->at[end] == '\\' && end + 1 < rest->length)
            end++;
    *piece = text_trim((struct text){rest->at, end});
    *rest = text_from(*rest, end + 1);
    return true;
}

bool cache_control_has(struct text value, const char *directive)
{
    struct text piece;
    bool with_argument = strcmp(directive, "s-maxage") == 0;
    while (next_directive(&value, &piece)) {
        struct text name = {piece.at, with_argument ? text_find(piece, '=') : piece.length};
        if (text_equal_ignore_case(text_trim(name), text_of(directive)))
            return true;
    }
    return false;
}

/* Whether the reply says if shared caches may have it. */
static bool is_decided(struct text value)
{
    return cache_control_has(value, "no-store") || cache_control_has(value, "private") ||
           cache_control_has(value, "public") || cache_control_has(value, "s-maxage");
}

void cache_control_limit(struct exchange *exchange, const char *least)
{
    struct headers *headers = &exchange->reply.headers;
    struct header *first = NULL;
    for (size_t i = 0; i < headers->count; i++) {
        if (!text_equal_ignore_case(headers->items[i].name, TEXT(NAME)))
            continue;
        first = first ? first : &headers->items[i];
        if (is_decided(headers->items[i].value))
            return;
    }
    if (!first || text_trim(first->value).length == 0)
        headers_set(headers, exchange->arena, TEXT(NAME), text_of(least));
    else /* in front, where no quote that never ends can take it in */
        first->value = text_of(arena_printf(exchange->arena, "private, %.*s", TEXT_ARGUMENTS(first->value)));
}
