/*
 * content_types: the media types a route takes. A request without a body has
 * none to be judged.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"

struct media_type {
    struct text type, subtype;
};
struct media_types {
    struct media_type *items;
    size_t count;
};

struct content_types_rules {
    struct media_types types;
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

static bool has_star(struct text text)
{
    return text_find(text, '*') < text.length;
}

/* A type without parameters; a star only for a whole subtype or before its suffix. */
static bool read_pattern(struct text text, struct media_type *pattern)
{
    if (!read_media_type(text, pattern) || text_find(text, ';') < text.length || has_star(pattern->type))
        return false;
    struct text subtype = pattern->subtype, suffix = text_from(subtype, 2);
    bool is_suffix = text_starts_with(subtype, TEXT("*+")) && suffix.length > 0 && !has_star(suffix);
    return !has_star(subtype) || text_equal(subtype, TEXT("*")) || is_suffix;
}

static bool decode_types(struct decoder *decoder, const struct node *node, void *member)
{
    struct media_types *types = member;
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    if (good && texts.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is no type, expected at least one");
    types->items = arena_array(decoder->arena, texts.count, sizeof *types->items);
    types->count = texts.count;
    for (size_t i = 0; i < texts.count; i++)
        if (texts.items[i].length > 0 && !read_pattern(texts.items[i], &types->items[i]))
            good = findings_add(
                decoder->findings, FINDING_ERROR, node->kind == NODE_LIST ? node->items[i] : node,
                "\"%.*s\" is not a media type, expected one such as application/json, image/* or "
                "application/*+json",
                TEXT_ARGUMENTS(texts.items[i]));
    return good;
}

static const struct field fields[] = {
    {FIELD(FIELD_OWN, content_types_rules, types, "types"), .required = true, .own = decode_types,
     .expects = "a list of media types",
     .help = "media types a body may have: application/json, image/*, application/*+json"},
    {0},
};

static bool fits(const struct media_type *pattern, const struct media_type *media)
{
    return text_equal_ignore_case(pattern->type, media->type) &&
           subtype_fits(pattern->subtype, media->subtype);
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct content_types_rules *rules = settings;
    struct media_type media;
    if (body_is_empty(&exchange->body))
        return PASS;
    /* A star is a token's character (RFC 9110, 5.6.2) and in no type's name (RFC 6838, 4.2). */
    if (!read_media_type(exchange->request.content_type, &media) || has_star(media.subtype))
        return DENY(415, "content_types", "content_type_not_allowed",
                    "the body's type is missing or malformed");
    bool good = false;
    for (size_t i = 0; i < rules->types.count; i++) {
        const struct media_type *pattern = &rules->types.items[i];
        bool fit = fits(pattern, &media);
        good = good || fit;
        exchange->type_named = exchange->type_named || (fit && !has_star(pattern->subtype));
    }
    if (good)
        return PASS;
    return DENY(415, "content_types", "content_type_not_allowed", "the body's type is not in content_types");
}

const struct guard guard_content_types = {
    .name = "content_types",
    .help = "the media types a route takes",
    .stage = ON_HEAD,
    .section = {sizeof(struct content_types_rules), fields},
    .check = check,
};
