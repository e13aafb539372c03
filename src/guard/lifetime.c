/*
 * Dates as a policy has them and as replies do. What is deprecated, a route or a version, is
 * not known here.
 */
#include "config.h"

#include "guard/lifetime.h"

#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"

enum { LINKS_LIMIT = 4096 };

static bool decode_time(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind == NODE_SCALAR && clock_parse_utc(node->text, member))
        return true;
    if (node->kind != NODE_SCALAR)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected a date such as 2027-01-31");
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%.*s\" is not a date, expected one such as 2027-01-31 or 2027-01-31T12:00:00Z, in "
                        "UTC",
                        TEXT_ARGUMENTS(node->text));
}

bool lifetime_is_link(struct text text)
{
    size_t colon = text_find(text, ':');
    bool rooted = text_starts_with(text, TEXT("/")) && !text_starts_with(text, TEXT("//"));
    bool absolute =
        text_is_token((struct text){text.at, colon}) && text_starts_with(text_from(text, colon), TEXT("://"));
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] <= 0x20 || text.at[i] >= 0x7f || strchr("<>\"\\^`{|}", text.at[i]))
            return false;
    return rooted || absolute;
}

static bool decode_link(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind != NODE_SCALAR || !lifetime_is_link(node->text))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "this is not a link, expected one such as https://www.example.com/migrate");
    *(const char **)member = arena_copy(decoder->arena, node->text.at, node->text.length);
    return true;
}

const struct field lifetime_fields[] = {
    {FIELD(FIELD_OWN, lifetime, deprecated, "deprecated"), .own = decode_time, .expects = "a date, in UTC",
     .help = "since when it is deprecated, or will be"},
    {FIELD(FIELD_OWN, lifetime, sunset, "sunset"), .own = decode_time, .expects = "a date, in UTC",
     .help = "when it ends: from then on the answer is 410"},
    {FIELD(FIELD_TEXT, lifetime, successor, "successor"), .help = "what takes its place"},
    {FIELD(FIELD_OWN, lifetime, link, "link"), .own = decode_link, .expects = "a link",
     .help = "a page that tells people how to go on"},
    {0},
};

/* RFC 9110, 5.6.7. */
static const char *http_date(struct arena *arena, int64_t seconds)
{
    enum { SIZE = 32 };
    struct tm parts;
    time_t time = (time_t)seconds;
    char *text = arena_alloc(arena, SIZE);
    gmtime_r(&time, &parts);
    strftime(text, SIZE, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text;
}

static void add_link(struct bytes *links, const char *link, const char *relation)
{
    bytes_printf(links, "%s<%s>; rel=\"%s\"", links->length ? ", " : "", link, relation);
}

const char *lifetime_successor(struct arena *arena, const char *uri)
{
    return arena_printf(arena, "<%s>; rel=\"successor-version\"", uri);
}

bool lifetime_complete(struct lifetime *lifetime, struct decoder *decoder, const struct node *node,
                       const char *successor)
{
    struct arena *arena = decoder->arena;
    struct bytes links = bytes_new(arena, LINKS_LIMIT);
    if (lifetime->deprecated && lifetime->sunset && lifetime->sunset < lifetime->deprecated)
        return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "sunset"),
                            "this is before `deprecated` (RFC 9745, 4)");
    if (lifetime->deprecated)
        lifetime->deprecation = text_of(arena_printf(arena, "@%lld", (long long)lifetime->deprecated));
    if (lifetime->sunset)
        lifetime->sunset_date = text_of(http_date(arena, lifetime->sunset));
    if (lifetime->link && lifetime->deprecated)
        add_link(&links, lifetime->link, "deprecation");
    if (lifetime->link && lifetime->sunset)
        add_link(&links, lifetime->link, "sunset");
    if (successor)
        bytes_printf(&links, "%s%s", links.length ? ", " : "", successor);
    lifetime->links = bytes_text(&links);
    return true;
}

bool lifetime_is_over(const struct lifetime *lifetime, int64_t now)
{
    return lifetime->sunset && now / 1000 >= lifetime->sunset;
}

void lifetime_advise(const struct lifetime *lifetime, struct findings *findings, const struct node *node)
{
    if (lifetime_is_over(lifetime, clock_wall_milliseconds()))
        findings_add(findings, FINDING_ADVICE, node_get(node, "sunset"),
                     "this has passed, so the answer is 410 to every request");
}
