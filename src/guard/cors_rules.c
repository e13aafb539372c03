/*
 * The keys of CORS as a whole: one of the top's by its name, what does not go
 * together, and what is risky.
 */
#include "config.h"

#include "base/bytes.h"
#include "guard/cors.h"

enum { LIST_LIMIT = 4096 };

/* ---- use */

static bool unknown(struct decoder *decoder, const struct node *node)
{
    const struct node *map = decoder->cors ? decoder->cors->node : NULL;
    if (map && node_get(map, node->text.at))
        return false; /* it is there, and has an error of its own */
    size_t count = map ? map->count : 0;
    const char **names = arena_array(decoder->arena, count + 1, sizeof *names);
    struct bytes list = bytes_new(decoder->arena, LIST_LIMIT);
    for (size_t i = 0; i < count; i++) {
        names[i] = map->items[i]->name.at;
        bytes_printf(&list, ", %s", names[i]);
    }
    const char *nearest = findings_nearest(node->text.at, names, count);
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%.*s\" is nothing that `cors` at the top names, expected off%.*s, or a map with "
                        "`origins`%s%s%s",
                        TEXT_ARGUMENTS(node->text), TEXT_ARGUMENTS(bytes_text(&list)),
                        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

bool cors_decode_use(struct decoder *decoder, const struct node *node, void *member)
{
    const struct cors **used = member;
    const struct cors_all *all = decoder->cors;
    if (node->kind != NODE_SCALAR)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected off, a name of `cors` at the top, or a map with `origins`");
    if (text_equal(node->text, TEXT("off")))
        return true;
    for (size_t i = 0; all && i < all->count; i++)
        if (text_equal(text_of(all->items[i]->name), node->text))
            *used = all->items[i];
    return *used || unknown(decoder, node);
}

/* ---- what does not go together */

static const struct node *place(const struct node *node, const char *key)
{
    const struct node *item = node_get(node, key);
    return item ? item : node;
}

static bool error(struct decoder *decoder, const struct node *node, const char *key, const char *message)
{
    return findings_add(decoder->findings, FINDING_ERROR, place(node, key), "%s", message);
}

/* Fetch, "CORS protocol and credentials": a "*" is then a name and no wildcard. */
static bool check_credentials(const struct cors *cors, struct decoder *decoder, const struct node *node)
{
    const struct {
        const char *key, *instead;
        bool all;
    } lists[] = {{"methods", "the names of methods, or no key for those of the route", cors->methods.all},
                 {"headers", "names, or reflect", cors->headers.all},
                 {"expose", "names", cors->expose.all}};
    bool good = true;
    if (!cors->credentials)
        return true;
    if (cors->origins.any)
        good = error(decoder, node, "origins",
                     "with `credentials`, any site could read what its visitors may, and browsers refuse "
                     "\"*\"; expected the origins by name");
    if (cors->origins.opaque)
        good = error(decoder, node, "origins",
                     "with `credentials`, \"null\" lets any site read what its visitors may, as every "
                     "sandboxed frame has that origin; expected others");
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (lists[i].all)
            good = findings_add(decoder->findings, FINDING_ERROR, place(node, lists[i].key),
                                "with `credentials`, \"*\" is the name of nothing to a browser, expected %s",
                                lists[i].instead);
    return good;
}

static bool complete(struct cors *cors, struct decoder *decoder, const struct node *node)
{
    bool good = check_credentials(cors, decoder, node);
    bool has_origins = cors->origins.count > 0 || cors->origins.any || cors->origins.opaque;
    cors->node = node;
    if (!has_origins && node->kind == NODE_MAP && !node_get(node, "origins"))
        good = findings_add(decoder->findings, FINDING_ERROR, node,
                            "the key `origins` is missing, expected those whose scripts may read replies");
    if (cors->origins.any && cors->private_network)
        good = error(decoder, node, "private_network",
                     "with \"*\" as `origins`, any site could reach into the private network, expected "
                     "origins by name");
    if (cors->origins.any && cors->enforce)
        good = error(decoder, node, "enforce", "this refuses nobody, as `origins` is \"*\"");
    if (cors->max_age % 1000 != 0)
        good = error(decoder, node, "max_age", "expected whole seconds");
    return good;
}

struct cors *cors_decode(struct decoder *decoder, const struct node *node, const char *name)
{
    struct cors *cors = arena_alloc(decoder->arena, sizeof *cors);
    bool good = decode_section(decoder, &cors_section, node, cors);
    cors->name = name;
    return complete(cors, decoder, node) && good ? cors : NULL;
}

static bool stands_alone(struct decoder *decoder, const struct node *node)
{
    bool good = true;
    for (size_t i = 0; node->kind == NODE_MAP && i < node->count; i++)
        if (!text_equal(node->items[i]->name, TEXT("use")) && !text_equal(node->items[i]->name, TEXT("mode")))
            good = findings_add_key(decoder->findings, FINDING_ERROR, node->items[i],
                                    "this is beside `use`, expected it in the top's `cors`");
    return good;
}

bool cors_prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct cors_rules *rules = settings;
    if (node->kind != NODE_MAP || node_get(node, "use"))
        return stands_alone(decoder, node);
    rules->cors = &rules->own;
    return complete(&rules->own, decoder, node);
}

const struct cors_rules *cors_bind(const struct cors_rules *rules, const struct texts *methods,
                                   struct arena *arena)
{
    if (!rules || !rules->cors)
        return NULL;
    struct cors_rules *bound = arena_alloc(arena, sizeof *bound);
    *bound = (struct cors_rules){.cors = rules->cors, .methods = *methods};
    return bound;
}

/* ---- what is risky */

void cors_advise(const struct cors *cors, struct findings *findings)
{
    const struct node *node = place(cors->node, "origins");
    if (cors->origins.opaque)
        findings_add(findings, FINDING_ADVICE, node,
                     "any site can make a frame whose origin is \"null\", so this is every site");
    if (cors->headers.all && !texts_have_ignore_case(&cors->headers.items, TEXT("authorization")))
        findings_add(findings, FINDING_ADVICE, place(cors->node, "headers"),
                     "\"*\" is all headers but Authorization, which browsers want by its name beside it");
}
