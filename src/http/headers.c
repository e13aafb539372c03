/*
 * Header lists and what may stand in one. Searches are linear: a list is as
 * long as the policy's limit on headers at most, and made without searching.
 */
#include "config.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "http/headers.h"

const struct text *headers_get(const struct headers *headers, const char *name)
{
    struct text wanted = text_of(name);
    for (size_t i = 0; i < headers->count; i++)
        if (text_equal_ignore_case(headers->items[i].name, wanted))
            return &headers->items[i].value;
    return NULL;
}

void headers_add(struct headers *headers, struct arena *arena, struct text name, struct text value)
{
    if (headers->count == headers->capacity) {
        size_t capacity = headers->capacity ? 2 * headers->capacity : 16;
        struct header *items = arena_array(arena, capacity, sizeof *items);
        if (headers->count > 0)
            memcpy(items, headers->items, headers->count * sizeof *items);
        headers->items = items;
        headers->capacity = capacity;
    }
    headers->items[headers->count++] = (struct header){name, value};
}

void headers_set(struct headers *headers, struct arena *arena, struct text name, struct text value)
{
    size_t kept = 0;
    bool done = false;
    for (size_t i = 0; i < headers->count; i++) {
        bool same = text_equal_ignore_case(headers->items[i].name, name);
        if (same && done)
            continue;
        headers->items[kept++] = same ? (struct header){name, value} : headers->items[i];
        done |= same;
    }
    headers->count = kept;
    if (!done)
        headers_add(headers, arena, name, value);
}

size_t headers_remove(struct headers *headers, struct text name)
{
    size_t kept = 0;
    for (size_t i = 0; i < headers->count; i++)
        if (!text_equal_ignore_case(headers->items[i].name, name))
            headers->items[kept++] = headers->items[i];
    size_t removed = headers->count - kept;
    headers->count = kept;
    return removed;
}

/* Each name is looked for among all others, so there is an end to them. */
enum { VARY_MOST = 100 };

static bool list_has(struct text list, struct text name)
{
    struct text item;
    while (text_next(&list, ',', &item))
        if (text_equal_ignore_case(text_trim(item), name))
            return true;
    return false;
}

static void add_to_list(struct bytes *list, struct text name)
{
    if (name.length == 0 || list_has(bytes_text(list), name))
        return;
    if (list->length > 0)
        bytes_add(list, ", ", 2);
    bytes_add_text(list, name);
}

void headers_vary(struct headers *headers, struct arena *arena, const char *const names[], size_t count)
{
    size_t size = 0, seen = 0;
    for (size_t i = 0; i < headers->count; i++)
        if (text_equal_ignore_case(headers->items[i].name, TEXT("vary")))
            size += 2 * headers->items[i].value.length + 2; /* "a,b" grows to "a, b" */
    for (size_t i = 0; i < count; i++)
        size += strlen(names[i]) + 2;
    struct bytes list = bytes_new(arena, size);
    for (size_t i = 0; i < headers->count; i++) {
        struct text value = headers->items[i].value, item;
        if (text_equal_ignore_case(headers->items[i].name, TEXT("vary")))
            while (seen < VARY_MOST && text_next(&value, ',', &item)) {
                add_to_list(&list, text_trim(item));
                seen += text_trim(item).length > 0;
            }
    }
    for (size_t i = 0; i < count; i++)
        add_to_list(&list, text_of(names[i]));
    bool any = seen == VARY_MOST || list_has(bytes_text(&list), TEXT("*"));
    if (list.length > 0)
        headers_set(headers, arena, TEXT("Vary"), any ? TEXT("*") : bytes_text(&list));
}

struct text header_of_variable(struct text variable, struct arena *arena)
{
    char *name = arena_copy(arena, variable.at, variable.length);
    for (size_t i = 0; i < variable.length; i++) {
        bool begins = i == 0 || name[i - 1] == '-';
        if (name[i] == '_')
            name[i] = '-';
        else if (!begins && name[i] >= 'A' && name[i] <= 'Z')
            name[i] = (char)(name[i] - 'A' + 'a');
    }
    return (struct text){name, variable.length};
}

bool header_value_is_safe(struct text value)
{
    return text_is_printable(value);
}

/* Sorted. Fields that RFC 9110 and its extensions define as lists, and the
 * X-Forwarded ones that every proxy treats so. Transfer-Encoding is left out on
 * purpose: two of them are nothing but an attempt at smuggling. */
static const char *const lists[] = {
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "access-control-request-headers",
    "baggage",
    "cache-control",
    "cdn-loop",
    "connection",
    "content-digest",
    "content-encoding",
    "content-language",
    "cookie",
    "digest",
    "expect",
    "forwarded",
    "if-match",
    "if-none-match",
    "keep-alive",
    "link",
    "pragma",
    "prefer",
    "priority",
    "repr-digest",
    "sec-ch-ua",
    "sec-ch-ua-full-version-list",
    "sec-websocket-extensions",
    "sec-websocket-protocol",
    "signature",
    "signature-input",
    "te",
    "tracestate",
    "trailer",
    "upgrade",
    "via",
    "want-content-digest",
    "want-digest",
    "want-repr-digest",
    "warning",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
};

static int compare(const void *key, const void *item)
{
    const struct text *name = key;
    const char *other = *(const char *const *)item;
    size_t length = strlen(other);
    int order = memcmp(name->at, other, name->length < length ? name->length : length);
    if (order == 0 && name->length != length)
        order = name->length < length ? -1 : 1;
    return order;
}

bool header_is_list(struct text name)
{
    return name.length > 0 &&
           bsearch(&name, lists, sizeof lists / sizeof *lists, sizeof *lists, compare) != NULL;
}

/* ---- what stays inside */

/* Each of these makes some web server send a file, ask another address, or
 * change how it treats the reply. A "-" at the end stands for any rest. */
static const char *const steering[] = {"x-sendfile", "x-sendfile2",  "x-sendfile-", "x-lighttpd-",
                                       "x-accel-",   "x-litespeed-", "x-reproxy-"};

/* RFC 9110, 7.6.1, and 11.7: what a proxy says to its own client only; Status is the head's own; Variable-*
 * would become the environment of another program (FastCGI specification, 6.3). */
static const char *const of_connection[] = {"connection",
                                            "keep-alive",
                                            "proxy-connection",
                                            "proxy-authenticate",
                                            "proxy-authentication-info",
                                            "te",
                                            "trailer",
                                            "transfer-encoding",
                                            "upgrade",
                                            "status",
                                            "variable-"};

static bool is_among(struct text name, const char *const names[], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text known = text_of(names[i]);
        bool is_prefix = known.at[known.length - 1] == '-';
        if (name.length >= known.length && (is_prefix || name.length == known.length) &&
            text_equal_ignore_case((struct text){name.at, known.length}, known))
            return true;
    }
    return false;
}

bool header_steers(struct text name)
{
    return is_among(name, steering, sizeof steering / sizeof *steering);
}

bool header_is_of_connection(struct text name)
{
    return is_among(name, of_connection, sizeof of_connection / sizeof *of_connection);
}
