/*
 * Maps with open addressing, at most half full. Only the schema's author puts
 * keys in, so the hash needs no secret; a client's keys are only looked for.
 */
#include "config.h"

#include "data/schema_map.h"

struct schema_map_entry {
    struct text key;
    void *value; /* NULL: free */
    uint32_t hash;
};

static uint32_t hash_of(struct text key)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < key.length; i++)
        hash = (hash ^ (unsigned char)key.at[i]) * 16777619u;
    return hash;
}

static struct schema_map_entry *find(const struct schema_map *map, struct text key, uint32_t hash)
{
    size_t mask = map->capacity - 1, at = hash & mask;
    while (map->entries[at].value &&
           !(map->entries[at].hash == hash && text_equal(map->entries[at].key, key)))
        at = (at + 1) & mask;
    return &map->entries[at];
}

void *schema_map_get(const struct schema_map *map, struct text key)
{
    return map->capacity ? find(map, key, hash_of(key))->value : NULL;
}

static void grow(struct schema_map *map, struct arena *arena)
{
    struct schema_map old = *map;
    map->capacity = old.capacity ? old.capacity * 2 : 8;
    map->entries = arena_array(arena, map->capacity, sizeof *map->entries);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.entries[i].value)
            *find(map, old.entries[i].key, old.entries[i].hash) = old.entries[i];
}

void schema_map_set(struct schema_map *map, struct arena *arena, struct text key, void *value)
{
    if ((map->count + 1) * 2 > map->capacity)
        grow(map, arena);
    uint32_t hash = hash_of(key);
    struct schema_map_entry *entry = find(map, key, hash);
    map->count += !entry->value;
    *entry = (struct schema_map_entry){key, value, hash};
}
