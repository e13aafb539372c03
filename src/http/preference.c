/*
 * One pass over the value; the few items that fit are searched again and again
 * rather than sorted.
 */
#include "config.h"

#include "http/preference.h"

bool preference_read_weight(struct text text, unsigned *weight)
{
    static const unsigned worth[] = {100, 10, 1};
    if (text.length == 0 || text.length > 5 || (text.at[0] != '0' && text.at[0] != '1') ||
        (text.length > 1 && text.at[1] != '.'))
        return false;
    *weight = text.at[0] == '1' ? PREFERENCE_MOST : 0;
    for (size_t i = 2; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        *weight += (unsigned)(text.at[i] - '0') * worth[i - 2];
    }
    return *weight <= PREFERENCE_MOST;
}

static void skip_blanks(struct text *rest)
{
    while (rest->length > 0 && (rest->at[0] == ' ' || rest->at[0] == '\t'))
        *rest = text_from(*rest, 1);
}

static struct text take_until(struct text *rest, const char *ends)
{
    size_t length = 0;
    while (length < rest->length && !(rest->at[length] && strchr(ends, rest->at[length])))
        length++;
    struct text taken = text_trim((struct text){rest->at, length});
    *rest = text_from(*rest, length);
    return taken;
}

/* RFC 9110, 5.6.4; what is in it does not matter here. */
static bool skip_quoted(struct text *rest)
{
    size_t at = 1;
    while (at < rest->length && rest->at[at] != '"')
        at += rest->at[at] == '\\' ? 2 : 1;
    if (at >= rest->length)
        return false;
    *rest = text_from(*rest, at + 1);
    skip_blanks(rest);
    return rest->length == 0 || rest->at[0] == ';' || rest->at[0] == ',';
}

/* RFC 9110, 5.6.6. */
static bool read_parameter(struct text *rest, unsigned *weight)
{
    skip_blanks(rest);
    if (rest->length == 0 || rest->at[0] == ';' || rest->at[0] == ',')
        return true;
    struct text name = take_until(rest, "=;,");
    if (!text_is_token(name) || rest->length == 0 || rest->at[0] != '=')
        return false;
    *rest = text_from(*rest, 1);
    bool weighs = text_equal_ignore_case(name, TEXT("q"));
    if (rest->length > 0 && rest->at[0] == '"')
        return !weighs && skip_quoted(rest);
    struct text value = take_until(rest, ";,");
    return weighs ? preference_read_weight(value, weight) : text_is_token(value);
}

static bool read_item(struct text *rest, struct preference *item)
{
    *item = (struct preference){take_until(rest, ";,\""), PREFERENCE_MOST};
    if (item->what.length == 0)
        return false;
    while (rest->length > 0 && rest->at[0] == ';') {
        *rest = text_from(*rest, 1);
        if (!read_parameter(rest, &item->weight))
            return false;
    }
    return rest->length == 0 || rest->at[0] == ',';
}

bool preferences_read(struct text value, struct preferences *preferences)
{
    struct text rest = value;
    size_t count = 0;
    preferences->count = 0;
    for (skip_blanks(&rest); rest.length > 0; skip_blanks(&rest)) {
        if (rest.at[0] == ',') { /* RFC 9110, 5.6.1.2: empty elements are none */
            rest = text_from(rest, 1);
            continue;
        }
        if (count == PREFERENCES_LIMIT || !read_item(&rest, &preferences->items[count++]))
            return false;
    }
    preferences->count = count;
    return true;
}

/* ---- languages */

static bool covers(struct text range, struct text language)
{
    struct text front = {language.at, range.length};
    return language.length >= range.length && text_equal_ignore_case(range, front) &&
           (language.length == range.length || language.at[range.length] == '-');
}

/* By the longest range that covers it. */
static bool is_refused(const struct preferences *preferences, struct text language)
{
    const struct preference *longest = NULL;
    for (size_t i = 0; i < preferences->count; i++) {
        const struct preference *item = &preferences->items[i];
        if (covers(item->what, language) && (!longest || item->what.length > longest->what.length))
            longest = item;
    }
    return longest && longest->weight == 0;
}

/* Without its last subtag, and without single letters that then stand at its end (RFC 4647, 3.4). */
static struct text shorten(struct text range)
{
    size_t length = range.length;
    while (length > 0 && range.at[length - 1] != '-')
        length--;
    length -= length > 0;
    while (length >= 2 && range.at[length - 2] == '-')
        length -= 2;
    return (struct text){range.at, length};
}

static size_t look_up(const struct preferences *preferences, struct text range, const struct text languages[],
                      size_t count)
{
    for (; range.length > 0; range = shorten(range))
        for (size_t i = 0; i < count; i++)
            if (text_equal_ignore_case(range, languages[i]) && !is_refused(preferences, languages[i]))
                return i;
    return count;
}

size_t preferences_language(const struct preferences *preferences, const struct text languages[],
                            size_t count, size_t otherwise)
{
    bool done[PREFERENCES_LIMIT] = {false};
    for (size_t turn = 0; turn < preferences->count; turn++) {
        size_t best = preferences->count;
        for (size_t i = 0; i < preferences->count; i++)
            if (!done[i] && (best == preferences->count ||
                             preferences->items[i].weight > preferences->items[best].weight))
                best = i;
        if (preferences->items[best].weight == 0)
            break;
        done[best] = true;
        size_t found = look_up(preferences, preferences->items[best].what, languages, count);
        if (found < count)
            return found;
    }
    return otherwise;
}
