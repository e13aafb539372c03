/*
 * content_types: the media types a route takes. A request without a body has
 * none to be judged.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"
#include "guard/media_range.h"

struct media_ranges {
    struct media_range *items;
    size_t count;
};

struct content_types_rules {
    struct media_ranges types;
};

static bool decode_types(struct decoder *decoder, const struct node *node, void *member)
{
    struct media_ranges *types = member;
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    if (good && texts.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is no type, expected at least one");
    types->items = arena_array(decoder->arena, texts.count, sizeof *types->items);
    types->count = texts.count;
    for (size_t i = 0; i < texts.count; i++)
        if (texts.items[i].length > 0 && (!media_range_read(texts.items[i], &types->items[i]) ||
                                          text_equal(types->items[i].type, TEXT("*"))))
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

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct content_types_rules *rules = settings;
    struct media_range media;
    if (body_is_empty(&exchange->body))
        return PASS;
    if (!media_type_read(exchange->request.content_type, &media))
        return DENY(415, "content_types", "content_type_not_allowed",
                    "the body's type is missing or malformed");
    bool good = false;
    for (size_t i = 0; i < rules->types.count; i++) {
        const struct media_range *pattern = &rules->types.items[i];
        bool fit = media_range_fits(pattern, &media);
        good = good || fit;
        exchange->type_named =
            exchange->type_named || (fit && text_find(pattern->subtype, '*') == pattern->subtype.length);
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
