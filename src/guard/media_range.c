/*
 * Types are compared as they are written: what they mean is not known here.
 */
#include "config.h"

#include "guard/media_range.h"

static bool has_star(struct text text)
{
    return text_find(text, '*') < text.length;
}

/* RFC 9110, 8.3.1: type "/" subtype, and parameters. */
static bool split(struct text value, struct media_range *media)
{
    struct text whole = text_trim((struct text){value.at, text_find(value, ';')});
    size_t slash = text_find(whole, '/');
    media->type = (struct text){whole.at, slash};
    media->subtype = text_from(whole, slash + 1);
    return text_is_token(media->type) && text_is_token(media->subtype);
}

bool media_type_read(struct text value, struct media_range *type)
{
    return split(value, type) && !has_star(type->type) && !has_star(type->subtype);
}

bool media_range_read(struct text text, struct media_range *range)
{
    if (!split(text, range) || text_find(text, ';') < text.length)
        return false;
    struct text subtype = range->subtype, suffix = text_from(subtype, 2);
    bool all = text_equal(subtype, TEXT("*"));
    bool is_suffix = text_starts_with(subtype, TEXT("*+")) && suffix.length > 0 && !has_star(suffix);
    if (has_star(range->type))
        return all && text_equal(range->type, TEXT("*"));
    return !has_star(subtype) || all || is_suffix;
}

/* "*+json" is for any with that structured suffix (RFC 6838, 4.2.8). */
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

bool media_range_fits(const struct media_range *range, const struct media_range *type)
{
    return (text_equal(range->type, TEXT("*")) || text_equal_ignore_case(range->type, type->type)) &&
           subtype_fits(range->subtype, type->subtype);
}
