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

static uint64_t load_8(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static uint64_t load_4(const char *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* All of up to 8 bytes; loads that overlap are faster than a copy of unknown length. */
static uint64_t load_short(struct text key)
{
    const unsigned char *at = (const unsigned char *)key.at;
    if (key.length >= 4)
        return load_4(key.at) << 32 | load_4(key.at + key.length - 4);
    return key.length ? (uint64_t)at[0] << 16 | (uint64_t)at[key.length / 2] << 8 | at[key.length - 1] : 0;
}

/* Of the length and 24 bytes, front, middle and back: names differ there. */
static uint32_t hash_of(struct text key)
{
    const uint64_t odd = 0x9e3779b97f4a7c15;
    size_t length = key.length;
    if (length <= 8)
        return (uint32_t)(((load_short(key) ^ (uint64_t)length << 56) * odd) >> 32);
    uint64_t hash = (load_8(key.at) ^ length) * odd;
    hash = (hash ^ load_8(key.at + (length - 8) / 2)) * odd;
    hash = (hash ^ hash >> 32 ^ load_8(key.at + length - 8)) * odd;
    return (uint32_t)(hash >> 32);
}

static bool is_key(const struct schema_map_entry *entry, struct text key)
{
    return entry->key.length == key.length &&
           (key.length == 0 || memcmp(entry->key.at, key.at, key.length) == 0);
}

static struct schema_map_entry *find(const struct schema_map *map, struct text key, uint32_t hash)
{
    size_t mask = map->capacity - 1, at = hash & mask;
    while (map->entries[at].value && !(map->entries[at].hash == hash && is_key(&map->entries[at], key)))
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
