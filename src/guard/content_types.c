/*
 * content_types: the media types a route takes. A request without a body has
 * none to be judged.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"

struct content_types_rules {
    struct texts types;
};

static const struct field fields[] = {
    {FIELD(FIELD_TEXTS, content_types_rules, types, "types"),
     .help = "media types a body may have: application/json, image/*, application/*+json"},
    {0},
};

struct media_type {
    struct text type, subtype;
};

/* RFC 9110, 8.3.1: type "/" subtype, and parameters, which do not matter here. */
static bool read_media_type(struct text value, struct media_type *media)
{
    struct text whole = text_trim((struct text){value.at, text_find(value, ';')});
    size_t slash = text_find(whole, '/');
    media->type = (struct text){whole.at, slash};
    media->subtype = text_from(whole, slash + 1);
    return text_is_token(media->type) && text_is_token(media->subtype);
}

/* "*" for any subtype, "*+json" for any with that structured suffix (RFC 6838, 4.2.8). */
static bool subtype_fits(struct text pattern, struct text subtype)
{
    if (text_equal(pattern, TEXT("*")))
        return true;
    if (!text_starts_with(pattern, TEXT("*+")))
        return text_equal_ignore_case(pattern, subtype);
    struct text suffix = text_from(pattern, 1);
    return subtype.length > suffix.length &&
           text_equal_ignore_case(text_from(subtype, subtype.length - suffix.length), suffix);
}

static bool pattern_is_good(struct text text)
{
    struct media_type media;
    if (!read_media_type(text, &media) || text_find(text, ';') < text.length || text_find(media.type, '*') < media.type.length)
        return false;
    size_t star = text_find(media.subtype, '*');
    return star == media.subtype.length ||
           (star == 0 && (media.subtype.length == 1 || (media.subtype.length > 2 && media.subtype.at[1] == '+')));
}

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    const struct content_types_rules *rules = settings;
    bool good = true;
    if (rules->types.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node, "there is no type, expected at least one");
    for (size_t i = 0; i < rules->types.count; i++)
        if (!pattern_is_good(rules->types.items[i]))
            good = findings_add(decoder->findings, FINDING_ERROR, node,
                                "\"%.*s\" is not a media type, expected one such as application/json, image/* or "
                                "application/*+json",
                                TEXT_ARGUMENTS(rules->types.items[i]));
    return good;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct content_types_rules *rules = settings;
    const struct request *request = &exchange->request;
    struct media_type media, pattern;
    if (request->content_length == 0)
        return PASS;
    if (!read_media_type(request->content_type, &media))
        return DENY(415, "content_types", "content_type_not_allowed", "the body's type is missing or malformed");
    for (size_t i = 0; i < rules->types.count; i++)
        if (read_media_type(rules->types.items[i], &pattern) && text_equal_ignore_case(pattern.type, media.type) &&
            subtype_fits(pattern.subtype, media.subtype))
            return PASS;
    return DENY(415, "content_types", "content_type_not_allowed", "the body's type is not in content_types");
}

const struct guard guard_content_types = {
    .name = "content_types",
    .help = "the media types a route takes",
    .stage = ON_HEAD,
    .section = {sizeof(struct content_types_rules), fields},
    .prepare = prepare,
    .check = check,
};
