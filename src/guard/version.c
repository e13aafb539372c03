/*
 * version: which versions of the API a route serves, and whether the one a request is for is
 * among them and has not ended. The router chooses between routes by the same bits.
 */
#include "config.h"

#include "guard/version.h"

#include "base/bytes.h"
#include "guard/guard.h"

enum { NAMES_LIMIT = 2048 };

struct version_rules {
    const struct versions *all; /* of the file */
    uint32_t bits;
};

static bool unknown(struct decoder *decoder, const struct node *node, struct text name)
{
    const struct versions *all = decoder->versions;
    const char *names[VERSIONS_LIMIT];
    struct bytes list = bytes_new(decoder->arena, NAMES_LIMIT);
    for (size_t i = 0; i < all->count; i++) {
        names[i] = all->items[i].name;
        bytes_printf(&list, "%s%s", i ? ", " : "", names[i]);
    }
    const char *nearest =
        findings_nearest(arena_copy(decoder->arena, name.at, name.length), names, all->count);
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%.*s\" is no version of `versions`, expected none or some of %.*s%s%s%s",
                        TEXT_ARGUMENTS(name), TEXT_ARGUMENTS(bytes_text(&list)),
                        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static bool decode_names(struct decoder *decoder, const struct node *node, void *member)
{
    struct version_rules *rules = member; /* its row's offset is 0 */
    const struct versions *all = decoder->versions;
    struct texts names;
    bool good = decode_texts(decoder, node, &names);
    rules->bits = 0;
    if (!all || !all->written)
        return findings_add(decoder->findings, FINDING_ERROR, node, "there are no `versions` at the top");
    if (all->count == 0) /* whose errors are told */
        return good;
    if (good && names.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected none, or versions");
    if (names.count == 1 && text_equal(names.items[0], TEXT("none")))
        return good;
    if (all->path)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "the path of the route says its version, expected none or nothing");
    for (size_t i = 0; i < names.count; i++) {
        const struct version *version = versions_get(all, names.items[i]);
        if (version)
            rules->bits |= version->bit;
        else if (names.items[i].length > 0)
            good = unknown(decoder, node->kind == NODE_LIST ? node->items[i] : node, names.items[i]);
    }
    return good;
}

static const struct field fields[] = {
    {.key = "serves",
     .type = FIELD_OWN,
     .own = decode_names,
     .expects = "none or versions of the top's versions",
     .help = "versions of the API that the route serves; without it, all"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct version_rules *rules = settings;
    const struct node *serves = node && node->kind == NODE_MAP ? node_get(node, "serves") : node;
    rules->all = decoder->versions;
    if (!serves)
        rules->bits = UINT32_MAX;
    return true;
}

uint32_t version_bits(const void *settings)
{
    const struct version_rules *rules = settings;
    return rules->bits;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct version_rules *rules = settings;
    const struct version *version = exchange->version;
    switch (exchange->version_found) {
    case VERSION_UNKNOWN:
        return DENY(rules->all->path ? 404 : 406, "version", "version_unknown", "there is no such version");
    case VERSION_MISSING:
        return DENY(400, "version", "version_missing", "no version is named, and there is no default");
    default:
        /* A route's own `retire` stands in the place of its version's. */
        if (version && exchange->lifetime == &version->lifetime &&
            lifetime_is_over(&version->lifetime, exchange_time(exchange)))
            return DENY(410, "version", "version_gone", "its sunset has passed");
        return PASS;
    }
}

const struct guard guard_version = {
    .name = "version",
    .help = "the versions of the API that a route serves",
    .stage = ON_HEAD,
    .section = {sizeof(struct version_rules), fields},
    .prepare = prepare,
    .check = check,
};
