/*
 * Maps from bytes to pointers, in an arena: filled while a schema is compiled,
 * only read afterwards.
 */
#ifndef DATA_SCHEMA_MAP_H
#define DATA_SCHEMA_MAP_H

#include "base/arena.h"
#include "base/text.h"

struct schema_map {
    struct schema_map_entry *entries; /* NULL while empty */
    size_t capacity, count;           /* capacity is a power of two */
};

/* The value under `key`, or NULL. */
void *schema_map_get(const struct schema_map *, struct text key);

/* Sets the value (not NULL) under `key`, of which the bytes are not copied. */
void schema_map_set(struct schema_map *, struct arena *, struct text key, void *value);

#endif
