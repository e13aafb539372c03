/*
 * A hash table that is filled once. It judges nothing but names.
 */
#include "config.h"

#include <assert.h>

#include "http/table.h"

static bool is_name(struct text name)
{
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.at[i];
        bool letter = (byte >= 'A' && byte <= 'Z') || byte == '_';
        if (!letter && (i == 0 || byte < '0' || byte > '9'))
            return false;
    }
    return name.length > 0;
}

/* The seed is an address, which no client knows, so nobody can choose names
 * that fall into one slot. */
static size_t slot_of(const struct table *table, struct text name)
{
    uint64_t hash = table->seed ^ name.length, word;
    for (size_t i = 0; i < name.length; i += sizeof word) {
        size_t left = name.length - i;
        word = 0;
        memcpy(&word, name.at + i, left < sizeof word ? left : sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15;
        hash ^= hash >> 32;
    }
    return (size_t)(hash >> 16) & table->mask;
}

/* The first entry of a name, or NULL; `slot` is then where it belongs. */
static struct entry *find_slot(const struct table *table, struct text name, size_t *slot)
{
    for (*slot = slot_of(table, name); table->slots[*slot]; *slot = (*slot + 1) & table->mask) {
        struct entry *entry = &table->entries[table->slots[*slot] - 1];
        if (text_equal(entry->name, name))
            return entry;
    }
    return NULL;
}

static void add(struct table *table, const struct param *param, bool header)
{
    size_t slot;
    struct entry *first = find_slot(table, param->name, &slot);
    struct entry *entry = &table->entries[table->count++];
    *entry = (struct entry){.name = param->name, .value = param->value, .header = header, .first = !first};
    if (first) {
        first->last->next = entry;
        first->last = entry;
    } else {
        entry->last = entry;
        table->slots[slot] = (uint32_t)table->count;
    }
}

void table_fill(struct table *table, const struct params *params, uint64_t header_limit, struct arena *arena)
{
    size_t slots = 64;
    assert(params->count < UINT32_MAX / 2);
    while (slots < 2 * params->count)
        slots *= 2;
    *table = (struct table){.mask = slots - 1};
    table->slots = arena_array(arena, slots, sizeof *table->slots);
    table->entries = arena_array(arena, params->count, sizeof *table->entries);
    table->seed = (uint64_t)(uintptr_t)table->entries * 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < params->count; i++) {
        const struct param *param = &params->items[i];
        bool header = text_starts_with(param->name, TEXT("HTTP_"));
        bool named = is_name(param->name) && param->name.length > (header ? strlen("HTTP_") : 0);
        if (header) {
            table->header_count++;
            table->header_name_bytes += param->name.length;
            table->bad_header_name |= !named;
        }
        if (named && (!header || table->header_count <= header_limit))
            add(table, param, header);
    }
}

const struct entry *table_find(const struct table *table, struct text name)
{
    size_t slot;
    return find_slot(table, name, &slot);
}

struct text table_value(const struct table *table, struct text name)
{
    const struct entry *entry = table_find(table, name);
    return entry ? entry->value : (struct text){0};
}
