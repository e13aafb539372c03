/*
 * URIs: split, joined and cleaned of dot segments. Whether one is well-formed is
 * a question for schema_format.c.
 */
#include "config.h"

#include "data/schema_uri.h"

#include "base/bytes.h"

struct uri {
    struct text scheme, authority, path, query; /* with ":" and "?", with "//"; at NULL: not there */
};

static struct text take(struct text *rest, size_t length)
{
    struct text piece = {rest->at, length};
    *rest = text_from(*rest, length);
    return piece;
}

static size_t span_until(struct text text, const char *marks)
{
    size_t length = 0;
    while (length < text.length && !(text.at[length] && strchr(marks, text.at[length])))
        length++;
    return length;
}

static struct uri split(struct text rest)
{
    struct uri uri = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
    rest.length = text_find(rest, '#');
    size_t colon = span_until(rest, ":/?");
    if (colon > 0 && colon < rest.length && rest.at[colon] == ':')
        uri.scheme = take(&rest, colon + 1);
    if (text_starts_with(rest, TEXT("//")))
        uri.authority = take(&rest, 2 + span_until(text_from(rest, 2), "/?"));
    uri.path = take(&rest, span_until(rest, "?"));
    if (rest.length > 0)
        uri.query = rest;
    return uri;
}

/* RFC 3986, 5.2.4, on a buffer that is long enough. */
static void remove_dots(struct text path, char *to, size_t *length)
{
    size_t used = 0;
    while (path.length > 0) {
        size_t end = 1 + span_until(text_from(path, 1), "/");
        struct text segment = take(&path, end);
        bool last = path.length == 0;
        if (text_equal(segment, TEXT("/..")) || text_equal(segment, TEXT("/."))) {
            if (segment.length == 3)
                while (used > 0 && to[--used] != '/')
                    continue;
            if (last)
                to[used++] = '/';
            continue;
        }
        memcpy(to + used, segment.at, segment.length);
        used += segment.length;
    }
    *length = used;
}

static struct text merge(struct arena *arena, struct uri base, struct text path)
{
    size_t keep = base.path.length;
    while (keep > 0 && base.path.at[keep - 1] != '/')
        keep--;
    if (keep == 0 && base.authority.at)
        return text_of(arena_printf(arena, "/%.*s", TEXT_ARGUMENTS(path)));
    return text_of(
        arena_printf(arena, "%.*s%.*s", (int)keep, base.path.at ? base.path.at : "", TEXT_ARGUMENTS(path)));
}

static void resolve_path(struct arena *arena, struct uri base, struct uri *uri)
{
    if (uri->path.length == 0) {
        uri->path = base.path;
        if (!uri->query.at)
            uri->query = base.query;
        return;
    }
    if (uri->path.at[0] != '/')
        uri->path = merge(arena, base, uri->path);
}

const char *schema_uri_resolve(struct arena *arena, const char *base_text, struct text reference)
{
    struct uri base = split(text_of(base_text)), uri = split(reference);
    if (!uri.scheme.at) {
        uri.scheme = base.scheme;
        if (!uri.authority.at) {
            uri.authority = base.authority;
            resolve_path(arena, base, &uri);
        }
    }
    struct text path = uri.path;
    if (path.length > 0 && path.at[0] == '/') {
        char *clean = arena_alloc(arena, path.length + 1);
        remove_dots(path, clean, &path.length);
        path.at = clean;
    }
    return arena_printf(arena, "%.*s%.*s%.*s%.*s", TEXT_ARGUMENTS(uri.scheme), TEXT_ARGUMENTS(uri.authority),
                        TEXT_ARGUMENTS(path), TEXT_ARGUMENTS(uri.query));
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool schema_uri_fragment(struct arena *arena, struct text reference, struct text *fragment)
{
    struct text rest = text_from(reference, text_find(reference, '#') + 1);
    char *to = arena_alloc(arena, rest.length + 1);
    size_t length = 0;
    for (size_t i = 0; i < rest.length; i++) {
        to[length++] = rest.at[i];
        if (rest.at[i] != '%')
            continue;
        int high = i + 2 < rest.length ? hex(rest.at[i + 1]) : -1, low = high < 0 ? -1 : hex(rest.at[i + 2]);
        if (low < 0)
            return false;
        to[length - 1] = (char)(high * 16 + low);
        i += 2;
    }
    *fragment = (struct text){to, length};
    return true;
}
