/*
 * The target of the backend's request. It is made of what was judged, the
 * canonical path and its captures, and never of the target as it was sent.
 */
#include "config.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "handler/http.h"
#include "http/path.h"

#define REST "/**"

/* Takes a literal part and the {name} behind it, which is empty at the end, off the front of a
 * pattern. False when a brace has no other. */
static bool take_part(struct text *pattern, struct text *literal, struct text *name)
{
    size_t open = text_find(*pattern, '{');
    struct text inner = text_from(*pattern, open + 1);
    size_t close = text_find(inner, '}');
    bool last = open == pattern->length;
    *literal = (struct text){pattern->at, open};
    *name = (struct text){inner.at, last ? 0 : close};
    *pattern = text_from(inner, close + 1);
    return text_find(*literal, '}') == literal->length && (last || (close > 0 && close < inner.length));
}

static bool path_has(const char *path, struct text name, struct arena *arena)
{
    return !path || strstr(path, arena_printf(arena, "{%.*s}", TEXT_ARGUMENTS(name)));
}

/* A path as canonical ones are, so that what is put together of it is one, too. */
static bool is_plain_path(struct text text, struct arena *arena)
{
    struct text path;
    return text_find(text, '%') == text.length && !path_canonical(text, arena, &path) &&
           text_equal(path, text);
}

/* A name that is a part of a segment could make "..". */
static const char *rewrite_fault(struct text pattern, const char *path, struct arena *arena)
{
    struct text literal, name;
    if (text_ends_with(pattern, TEXT(REST))) {
        if (path && !text_ends_with(text_of(path), TEXT(REST)))
            return "ends in /**, and the route's path does not";
        pattern.length -= strlen(REST);
    }
    if (text_find(pattern, '*') < pattern.length)
        return "has a \"*\" that is not in /** at its end";
    while (pattern.length > 0) {
        if (!take_part(&pattern, &literal, &name))
            return "has a brace without another, expected {name}";
        if (name.length > 0 && (!text_ends_with(literal, TEXT("/")) ||
                                (pattern.length > 0 && !text_starts_with(pattern, TEXT("/")))))
            return "has a {name} that is not a whole segment";
        if (name.length > 0 && !path_has(path, name, arena))
            return arena_printf(arena, "has {%.*s}, and the route's path does not", TEXT_ARGUMENTS(name));
    }
    return NULL;
}

const char *http_target_fault(const struct http_settings *settings, const char *path, struct arena *arena)
{
    struct text strip = text_of(settings->strip_prefix), rewrite = text_of(settings->rewrite);
    if (settings->rewrite && settings->strip_prefix)
        return "`rewrite` says the whole path already, expected one of rewrite and strip_prefix";
    if (settings->rewrite && !is_plain_path(rewrite, arena))
        return "is not a plain path, expected one such as /v2/{id}, without escapes and query";
    if (settings->rewrite)
        return rewrite_fault(rewrite, path, arena);
    if (!settings->strip_prefix)
        return NULL;
    if (!is_plain_path(strip, arena) || text_ends_with(strip, TEXT("/")))
        return "is not a plain path, expected one such as /api, without a slash at its end";
    struct text behind = path ? text_from(text_of(path), strip.length) : TEXT("");
    if (path && (!text_starts_with(text_of(path), strip) || (behind.length > 0 && behind.at[0] != '/')))
        return "is not what the route's path begins with";
    return NULL;
}

static struct text capture_of(const struct exchange *exchange, struct text name)
{
    for (size_t i = 0; i < exchange->capture_count; i++)
        if (text_equal(text_of(exchange->captures[i].name), name))
            return exchange->captures[i].value;
    return TEXT("");
}

static void add_rewritten(struct bytes *path, struct text pattern, const struct exchange *exchange)
{
    struct text literal, name;
    bool rest = text_ends_with(pattern, TEXT(REST));
    if (rest)
        pattern.length -= strlen(REST);
    while (pattern.length > 0 && take_part(&pattern, &literal, &name)) {
        bytes_add_text(path, literal);
        bytes_add_text(path, capture_of(exchange, name));
    }
    if (rest)
        bytes_add_text(path, exchange->rest);
}

static struct text make_path(const struct http_settings *settings, struct text prefix,
                             const struct exchange *exchange)
{
    struct text path = exchange->request.path, strip = text_of(settings->strip_prefix);
    size_t limit = prefix.length + path.length + 1;
    if (settings->rewrite) /* a name may stand in it twice */
        limit += strlen(settings->rewrite) * (path.length + 1);
    struct bytes made = bytes_new(exchange->arena, limit);
    bytes_add_text(&made, prefix);
    if (settings->rewrite)
        add_rewritten(&made, text_of(settings->rewrite), exchange);
    else
        bytes_add_text(&made, text_starts_with(path, strip) ? text_from(path, strip.length) : path);
    if (made.length == 0)
        bytes_add_text(&made, TEXT("/"));
    return bytes_text(&made);
}

/* Servlet containers drop ";x" from a segment before they decode the path and route by it: they would
 * serve another path than was judged. Encoded it is a character like any other. */
static void add_path(struct bytes *target, struct text path)
{
    while (path.length > 0) {
        struct text piece = {path.at, text_find(path, ';')};
        bytes_add_text(target, piece);
        if (piece.length < path.length)
            bytes_add_text(target, TEXT("%3B"));
        path = text_from(path, piece.length + 1);
    }
}

/* A blank would end the target (RFC 9112, 3.2), and some servers end it at bytes past ASCII. */
static void add_query(struct bytes *target, struct text query)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < query.length; i++) {
        unsigned char byte = (unsigned char)query.at[i];
        const char escape[] = {'%', digits[byte >> 4], digits[byte & 0x0f]};
        bool visible = byte > 0x20 && byte < 0x7f;
        bytes_add(target, visible ? &query.at[i] : escape, visible ? 1 : sizeof escape);
    }
}

struct text http_target(const struct http_settings *settings, const struct http_backend *backend,
                        const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    if (text_equal(request->path, TEXT("*")))
        return request->path;
    struct text path = path_encode(make_path(settings, backend->prefix, exchange), exchange->arena);
    struct bytes target = bytes_new(exchange->arena, 3 * (path.length + request->query.length) + 2);
    add_path(&target, path);
    if (request->has_query)
        bytes_add(&target, "?", 1);
    add_query(&target, request->query);
    bytes_add(&target, "", 1); /* for libcurl */
    return (struct text){target.at, target.length - 1};
}
