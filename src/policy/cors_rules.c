/*
 * CORS rules: the top's `cors`, a map of names. What one says is known to
 * guard/cors_policy.c.
 */
#include "config.h"

#include "policy/load.h"

enum { CORS_MOST = 1000 };

static bool is_name(struct text name)
{
    return rules_name_good(name) && !text_equal(name, TEXT("off"));
}

static void load_one(struct loader *loader, const struct node *node)
{
    struct decoder *decoder = &loader->decoder;
    struct cors_all *all = &loader->policy->cors_all;
    bool named = is_name(node->name);
    if (!named)
        findings_add_key(decoder->findings, FINDING_ERROR, node,
                         "expected a name of letters, digits, - and _, at most %d, and not none or off",
                         (int)RULES_NAME_MOST);
    decoder->path = arena_printf(decoder->arena, "cors.%s", node->name.at);
    struct cors *cors = cors_decode(decoder, node, node->name.at);
    decoder->path = NULL;
    if (!cors || !named)
        return;
    all->items[all->count++] = cors;
    cors_advise(cors, decoder->findings);
}

void cors_rules_load(struct loader *loader)
{
    struct cors_all *all = &loader->policy->cors_all;
    const struct node *map = loader->cors;
    loader->decoder.cors = all;
    if (!map)
        return;
    if (map->kind != NODE_MAP || map->count == 0 || map->count > CORS_MOST) {
        findings_add(loader->decoder.findings, FINDING_ERROR, map,
                     "expected a map of 1 to %d names, each with `origins`", (int)CORS_MOST);
        return;
    }
    all->node = map;
    all->items = arena_array(loader->decoder.arena, map->count, sizeof(struct cors *));
    for (size_t i = 0; i < map->count; i++)
        load_one(loader, map->items[i]);
}
