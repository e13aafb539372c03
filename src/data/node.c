/*
 * Finding one's way in a tree of nodes.
 */
#include "config.h"

#include "data/node.h"

#include "base/arena.h"
#include "base/bytes.h"

enum { PATH_LIMIT = 1024 };

const struct node *node_get(const struct node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (text_equal(map->items[i]->name, text_of(key)))
            return map->items[i];
    return NULL;
}

static void add_path(struct bytes *path, const struct node *node)
{
    if (!node->parent)
        return;
    add_path(path, node->parent);
    if (node->parent->kind == NODE_LIST) {
        bytes_printf(path, "[%zu]", node->index);
        return;
    }
    if (path->length > 0)
        bytes_add(path, ".", 1);
    bytes_add_text(path, node->name);
}

const char *node_path(const struct node *node, struct arena *arena)
{
    struct bytes path = bytes_new(arena, PATH_LIMIT);
    add_path(&path, node);
    return arena_copy(arena, path.at, path.length);
}
