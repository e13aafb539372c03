/*
 * The nodes of both maps stay as they are; those of the result are shared with
 * them or copies, so that findings about them name the place where they stand.
 */
#include "config.h"

#include "data/merge.h"

bool merge_is_null(const struct node *node)
{
    return node->kind == NODE_NULL && node->text.length > 0;
}

static const struct node *get_ignore_case(const struct node *map, struct text name)
{
    for (size_t i = 0; i < map->count; i++)
        if (text_equal_ignore_case(map->items[i]->name, name))
            return map->items[i];
    return NULL;
}

static struct node *copy_node(const struct node *node, const struct node *parent, struct arena *arena)
{
    struct node *copy = arena_alloc(arena, sizeof *copy);
    *copy = *node;
    copy->parent = parent;
    return copy;
}

/* A node as a map, of which a short form says the key `first`. */
static struct node *spell_out(const struct node *node, struct text first, struct arena *arena)
{
    struct node *map = copy_node(node, node->parent, arena);
    bool is_map = node->kind == NODE_MAP;
    map->kind = NODE_MAP;
    map->count = is_map ? node->count : 1;
    map->items = arena_array(arena, map->count, sizeof *map->items);
    for (size_t i = 0; i < map->count; i++)
        map->items[i] = copy_node(is_map ? node->items[i] : node, map, arena);
    if (!is_map)
        map->items[0]->name = first;
    return map;
}

const struct node *merge_headers(const struct node *under, const struct node *over, struct text bare,
                                 struct arena *arena)
{
    if (!under || over->kind != NODE_MAP)
        return over;
    const struct node *defaults = spell_out(under, bare, arena);
    struct node *merged = copy_node(over, over->parent, arena);
    merged->count = 0;
    merged->items = arena_array(arena, over->count + defaults->count, sizeof *merged->items);
    for (size_t i = 0; i < defaults->count; i++)
        if (!get_ignore_case(over, defaults->items[i]->name))
            merged->items[merged->count++] = defaults->items[i];
    for (size_t i = 0; i < over->count; i++)
        if (!merge_is_null(over->items[i]) || !get_ignore_case(defaults, over->items[i]->name))
            merged->items[merged->count++] = over->items[i];
    return merged;
}

static bool names_key(const char *keys, struct text key)
{
    struct text rest = text_of(keys), word;
    while (text_next(&rest, ' ', &word))
        if (text_equal(word, key))
            return true;
    return false;
}

/* `section` NULL: the names are the user's own. */
static const struct field *row_of(const struct section *section, struct text key)
{
    return section ? decode_find_field(section, key) : NULL;
}

static bool is_displaced(const struct section *section, const struct node *over, struct text key)
{
    for (size_t i = 0; i < over->count; i++) {
        const struct field *row = row_of(section, over->items[i]->name);
        if (row && row->displaces && !merge_is_null(over->items[i]) && names_key(row->displaces, key))
            return true;
    }
    return false;
}

static struct node *merge_maps(const struct node *under, const struct node *over,
                               const struct section *section, const struct section *each,
                               struct arena *arena);

static struct node *merge_value(const struct node *under, struct node *over, const struct field *row,
                                const struct section *each, struct arena *arena)
{
    bool maps = under->kind == NODE_MAP && over->kind == NODE_MAP;
    const struct section *section = row && row->type == FIELD_SECTION ? row->section : each;
    if (section && under->kind != NODE_NULL && over->kind != NODE_NULL) {
        struct text first = text_of(section->fields->key);
        return merge_maps(spell_out(under, first, arena), spell_out(over, first, arena), section, NULL,
                          arena);
    }
    each = !row ? NULL : row->section ? row->section : row->each;
    return maps ? merge_maps(under, over, NULL, each, arena) : over;
}

/* `each` is the section of every item, where the names are the user's own; NULL: there is none. */
static struct node *merge_maps(const struct node *under, const struct node *over,
                               const struct section *section, const struct section *each, struct arena *arena)
{
    struct node *merged = copy_node(over, over->parent, arena);
    merged->count = 0;
    merged->items = arena_array(arena, under->count + over->count, sizeof *merged->items);
    for (size_t i = 0; i < under->count; i++)
        if (!node_get(over, under->items[i]->name.at) && !is_displaced(section, over, under->items[i]->name))
            merged->items[merged->count++] = under->items[i];
    for (size_t i = 0; i < over->count; i++) {
        struct node *item = over->items[i];
        const struct node *before = node_get(under, item->name.at);
        if (before && merge_is_null(item))
            continue;
        struct node *value =
            before ? merge_value(before, item, row_of(section, item->name), each, arena) : item;
        if (value == item)
            value = copy_node(item, merged, arena);
        value->parent = merged;
        merged->items[merged->count++] = value;
    }
    return merged;
}

/* Whether the defaults have added nothing to the map. */
static bool is_same(const struct node *merged, const struct node *over)
{
    bool same = merged->count == over->count;
    for (size_t i = 0; same && i < over->count; i++)
        same = merged->items[i]->kind == over->items[i]->kind &&
               merged->items[i]->items == over->items[i]->items &&
               text_equal(merged->items[i]->name, over->items[i]->name);
    return same;
}

const struct node *merge_section(const struct node *under, const struct node *over,
                                 const struct section *section, struct arena *arena)
{
    if (!under || !over || over == under || over->kind == NODE_NULL || under->kind == NODE_NULL)
        return over;
    bool named = strcmp(section->fields->key, "*") == 0;
    if (named && (under->kind != NODE_MAP || over->kind != NODE_MAP))
        return over;
    struct text first = text_of(section->fields->key);
    const struct node *own = spell_out(over, first, arena);
    const struct node *merged = merge_maps(spell_out(under, first, arena), own, section, NULL, arena);
    return is_same(merged, own) ? over : merged;
}
