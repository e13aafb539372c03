/*
 * Which of a handler's headers stay inside.
 */
#include "config.h"

#include "respond/mask.h"

/* Each of these makes some web server send a file, ask another address, or
 * change how it treats the reply. A "-" at the end stands for any rest. */
static const char *const steering[] = {"x-sendfile", "x-sendfile2",  "x-sendfile-", "x-lighttpd-",
                                       "x-accel-",   "x-litespeed-", "x-reproxy-"};

/* RFC 9110, 7.6.1; Status is the head's own; Variable-* would become the
 * environment of another program (FastCGI specification, 6.3). */
static const char *const structural[] = {"connection", "keep-alive", "proxy-connection",
                                         "te",         "trailer",    "transfer-encoding",
                                         "upgrade",    "status",     "variable-"};

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

/* Whether a Connection names it: then it is for the next hop only. */
static bool is_named(const struct headers *headers, struct text name)
{
    for (size_t i = 0; i < headers->count; i++) {
        struct text options = headers->items[i].value, option;
        if (!text_equal_ignore_case(headers->items[i].name, TEXT("connection")))
            continue;
        while (text_next(&options, ',', &option))
            if (text_equal_ignore_case(text_trim(option), name))
                return true;
    }
    return false;
}

static void unname_options(struct headers *headers)
{
    for (size_t i = 0; i < headers->count; i++)
        if (!text_equal_ignore_case(headers->items[i].name, TEXT("connection")) &&
            is_named(headers, headers->items[i].name))
            headers->items[i].name = TEXT("");
}

void mask_headers(struct reply *reply, const struct texts *allowed)
{
    struct headers *headers = &reply->headers;
    size_t kept = 0;
    unname_options(headers);
    for (size_t i = 0; i < headers->count; i++) {
        struct text name = headers->items[i].name;
        bool steers = is_among(name, steering, sizeof steering / sizeof *steering);
        bool hops = name.length == 0 || is_among(name, structural, sizeof structural / sizeof *structural);
        if (!hops && (!steers || (allowed && texts_have_ignore_case(allowed, name))))
            headers->items[kept++] = headers->items[i];
    }
    headers->count = kept;
}

bool mask_wants_replacement(const struct reply *reply, bool pass_errors)
{
    return reply->from_handler && reply->status >= 500 && !pass_errors;
}
