/*
 * The nodes of both maps stay as they are; those of the result are shared with
 * them or copies, so that findings about them name the place where they stand.
 */
#include "config.h"

#include "data/merge.h"

static bool has(const struct node *map, struct text name)
{
    for (size_t i = 0; i < map->count; i++)
        if (text_equal_ignore_case(map->items[i]->name, name))
            return true;
    return false;
}

const struct node *merge_maps(const struct node *under, const struct node *over, struct text bare,
                              struct arena *arena)
{
    if (!under || over->kind != NODE_MAP)
        return over;
    struct node *merged = arena_alloc(arena, sizeof *merged);
    *merged = *over;
    merged->count = 0;
    merged->items = arena_array(arena, over->count + under->count + 1, sizeof *merged->items);
    if (under->kind == NODE_SCALAR && !has(over, bare)) {
        struct node *named = arena_alloc(arena, sizeof *named);
        *named = *under;
        named->name = bare;
        merged->items[merged->count++] = named;
    }
    for (size_t i = 0; under->kind == NODE_MAP && i < under->count; i++)
        if (!has(over, under->items[i]->name))
            merged->items[merged->count++] = under->items[i];
    for (size_t i = 0; i < over->count; i++)
        merged->items[merged->count++] = over->items[i];
    return merged;
}

static struct node *copy_node(const struct node *node, const struct node *parent, struct arena *arena)
{
    struct node *copy = arena_alloc(arena, sizeof *copy);
    *copy = *node;
    copy->parent = parent;
    return copy;
}

/* A section's node as a map, of which a short form says the first key. */
static struct node *spell_out(const struct node *node, const struct section *section, size_t room,
                              struct arena *arena)
{
    struct node *map = copy_node(node, node->parent, arena);
    bool is_map = node->kind == NODE_MAP;
    map->kind = NODE_MAP;
    map->count = is_map ? node->count : 1;
    map->items = arena_array(arena, map->count + room, sizeof *map->items);
    for (size_t i = 0; i < map->count; i++)
        map->items[i] = copy_node(is_map ? node->items[i] : node, map, arena);
    if (!is_map)
        map->items[0]->name = text_of(section->fields->key);
    return map;
}

const struct node *merge_kept(const struct node *under, const struct node *over, const char *const *kept,
                              const struct section *section, struct arena *arena)
{
    size_t room = 0;
    while (kept && kept[room])
        room++;
    if (!under || !over || room == 0 || over == under || over->kind == NODE_NULL || under->kind == NODE_NULL)
        return over;
    const struct node *defaults = spell_out(under, section, 0, arena);
    struct node *merged = spell_out(over, section, room, arena);
    size_t own = merged->count;
    for (size_t i = 0; i < room; i++)
        if (!node_get(merged, kept[i]) && node_get(defaults, kept[i]))
            merged->items[merged->count++] = (struct node *)node_get(defaults, kept[i]);
    return merged->count > own ? merged : over;
}
