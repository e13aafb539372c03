/*
 * Which of a handler's headers stay inside.
 */
#include "config.h"

#include "respond/mask.h"

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
        bool hops = name.length == 0 || header_is_of_connection(name);
        if (!hops && (!header_steers(name) || (allowed && texts_have_ignore_case(allowed, name))))
            headers->items[kept++] = headers->items[i];
    }
    headers->count = kept;
}

bool mask_wants_replacement(const struct reply *reply, bool pass_errors)
{
    return reply->from_handler && reply->status >= 500 && !pass_errors;
}
