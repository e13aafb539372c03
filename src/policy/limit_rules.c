/*
 * Limit rules: the top's `limits`, a map of names to limits. What a limit says
 * is known to guard/limit.c.
 */
#include "config.h"

#include "policy/load.h"

enum { LIMITS_MOST = 1000 };

void limit_rules_load(struct loader *loader)
{
    struct policy *policy = loader->policy;
    struct limits *limits = &policy->limits;
    struct decoder *decoder = &loader->decoder;
    const struct node *map = loader->limits;
    limits->store = policy->server.store;
    limits->local_share = policy->server.local_share;
    decoder->limits = limits;
    if (!map)
        return;
    if (map->kind != NODE_MAP || map->count == 0 || map->count > LIMITS_MOST) {
        findings_add(decoder->findings, FINDING_ERROR, map, "expected a map of 1 to %d names of limits",
                     (int)LIMITS_MOST);
        return;
    }
    limits->node = map;
    limits->items = arena_array(policy->arena, map->count, sizeof(struct limit *));
    for (size_t i = 0; i < map->count; i++) {
        const struct node *node = map->items[i];
        bool named = rules_name_good(node->name) && !text_equal(node->name, TEXT("defaults"));
        if (!named)
            findings_add_key(
                decoder->findings, FINDING_ERROR, node,
                "expected a name of letters, digits, - and _, at most %d, and not none or defaults",
                (int)RULES_NAME_MOST);
        struct limit *limit = limit_decode(decoder, node, node->name.at);
        if (limit && named)
            limits->items[limits->count++] = limit;
    }
}
