/*
 * How a request names a version: by a segment of its path, by a header, or by a media type
 * of Accept, "application/vnd.example.v2+json" or "application/vnd.example+json; version=2".
 * What becomes of a version is not known here.
 */
#include "config.h"

#include "guard/media_range.h"
#include "guard/version.h"
#include "http/preference.h"

const struct version *versions_get(const struct versions *versions, struct text name)
{
    for (size_t i = 0; i < versions->count; i++)
        if (text_equal(text_of(versions->items[i].name), name))
            return &versions->items[i];
    return NULL;
}

/* ---- the path */

static enum version_found find_in_path(const struct versions *versions, struct text path,
                                       const struct version **version)
{
    struct text base = text_of(versions->path), rest = text_from(path, base.length);
    if (!text_starts_with(path, base) || rest.length < 2 || rest.at[0] != '/')
        return VERSION_NOT_ASKED;
    rest = text_from(rest, 1);
    *version = versions_get(versions, (struct text){rest.at, text_find(rest, '/')});
    return *version ? VERSION_NAMED : VERSION_UNKNOWN;
}

/* ---- Accept */

/* One range of Accept, or what is wrong with it. */
struct range {
    struct text type;    /* "application/json", without parameters */
    struct text version; /* its parameter; at NULL: it has none */
    unsigned quality;    /* 0 to 1000 */
    bool bad;
};

/* The length of what stands in front of a mark that is not in quotes. */
static size_t find_unquoted(struct text text, char mark)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < text.length && (quoted || text.at[i] != mark); i++) {
        if (quoted && text.at[i] == '\\' && i + 1 < text.length)
            i++;
        else if (text.at[i] == '"')
            quoted = !quoted;
    }
    return i;
}

static struct text take(struct text *rest, char mark)
{
    size_t end = find_unquoted(*rest, mark);
    struct text piece = {rest->at, end};
    *rest = text_from(*rest, end + 1);
    return text_trim(piece);
}

/* A version needs no quotes, but may have them. */
static struct text unquote(struct text text)
{
    bool quoted = text.length >= 2 && text.at[0] == '"' && text.at[text.length - 1] == '"';
    return quoted ? (struct text){text.at + 1, text.length - 2} : text;
}

static void read_parameter(struct text parameter, struct range *range, bool *weighed)
{
    size_t equals = text_find(parameter, '=');
    struct text name = {parameter.at, equals}, value = text_from(parameter, equals + 1);
    if (!text_is_token(name) || value.length == 0) {
        range->bad = true;
    } else if (text_equal_ignore_case(name, TEXT("q"))) {
        range->bad |= *weighed || !preference_read_weight(value, &range->quality);
        *weighed = true;
    } else if (text_equal_ignore_case(name, TEXT("version"))) {
        range->bad |= range->version.at != NULL || !text_is_token(unquote(value));
        range->version = unquote(value);
    }
}

static struct range read_range(struct text element)
{
    struct range range = {.type = take(&element, ';'), .quality = PREFERENCE_MOST};
    bool weighed = false;
    while (element.length > 0) {
        struct text parameter = take(&element, ';');
        if (parameter.length > 0)
            read_parameter(parameter, &range, &weighed);
    }
    return range;
}

static bool is_named(const struct version *version, struct text text)
{
    struct text name = text_of(version->name);
    bool marked = text.length > 0 && (text.at[0] == 'v' || text.at[0] == 'V');
    return text_equal_ignore_case(text, name) || (marked && text_equal_ignore_case(text_from(text, 1), name));
}

static const struct version *get_loosely(const struct versions *versions, struct text text)
{
    for (size_t i = 0; i < versions->count; i++)
        if (is_named(&versions->items[i], text))
            return &versions->items[i];
    return NULL;
}

static bool begins_with(struct text text, struct text prefix)
{
    return text.length >= prefix.length &&
           text_equal_ignore_case((struct text){text.at, prefix.length}, prefix);
}

/* Whether a range is of the API's media type; then `named` says whether it names a version, and which. */
static bool is_of_family(const struct versions *versions, struct range *range, bool *named)
{
    const struct media_range_family *media = &versions->media;
    struct media_range type;
    if (!media_range_read(range->type, &type) || !text_equal_ignore_case(type.type, media->type) ||
        !begins_with(type.subtype, media->base))
        return false;
    struct text rest = text_from(type.subtype, media->base.length);
    *named = range->version.at != NULL;
    if (text_equal_ignore_case(rest, media->suffix))
        return true;
    if (rest.length < media->suffix.length + 2 || rest.at[0] != '.' ||
        !text_equal_ignore_case(text_from(rest, rest.length - media->suffix.length), media->suffix))
        return false;
    range->bad |= *named; /* twice */
    range->version = (struct text){rest.at + 1, rest.length - media->suffix.length - 1};
    *named = true;
    return true;
}

static bool covers(const struct versions *versions, struct text text)
{
    struct media_range range;
    return media_range_read(text, &range) && text_equal(range.subtype, TEXT("*")) &&
           (text_equal(range.type, TEXT("*")) || text_equal_ignore_case(range.type, versions->media.type));
}

/* What others accept besides is theirs: a range that is not of our type, or is none at all, as old
 * Java clients send, names no version. */
static enum version_found find_in_accept(const struct versions *versions, struct text accept,
                                         const struct version **version)
{
    unsigned best = 0;
    bool any = false, open = false; /* a version is named that is none; one need not be named */
    while (accept.length > 0) {
        struct range range = read_range(take(&accept, ','));
        bool named = false, ours = is_of_family(versions, &range, &named);
        if (ours && range.bad)
            return VERSION_UNKNOWN;
        const struct version *known = ours && named ? get_loosely(versions, range.version) : NULL;
        if (known && range.quality > best) {
            *version = known;
            best = range.quality;
        }
        any |= ours && named && range.quality > 0;
        open |= !named && range.quality > 0 && !range.bad && (ours || covers(versions, range.type));
    }
    if (*version)
        return VERSION_NAMED;
    return any && !open ? VERSION_UNKNOWN : VERSION_MISSING;
}

/* ---- all of them */

static enum version_found find_in_header(const struct versions *versions, const struct text *value,
                                         const struct version **version)
{
    if (!value)
        return VERSION_MISSING;
    *version = versions_get(versions, text_trim(*value));
    return *version ? VERSION_NAMED : VERSION_UNKNOWN;
}

enum version_found versions_find(const struct versions *versions, const struct request *request,
                                 const struct version **version)
{
    *version = NULL;
    if (versions->count == 0)
        return VERSION_NOT_ASKED;
    if (versions->path)
        return find_in_path(versions, request->path, version);
    const struct text *value = headers_get(&request->headers, versions->header ? versions->header : "accept");
    enum version_found found = versions->header ? find_in_header(versions, value, version)
                               : value          ? find_in_accept(versions, *value, version)
                                                : VERSION_MISSING;
    if (found != VERSION_MISSING || !versions->fallback)
        return found;
    *version = versions->fallback;
    return VERSION_DEFAULT;
}
