/*
 * What a schema is made of: the others that are about the same value, and what
 * follows for the whole: whether it describes properties, and which of them
 * need not be there.
 */
#include "config.h"

#include "data/openapi_bundle.h"

#include <stdlib.h>

#include "base/bytes.h"

/* Each part that is about the same value. */
struct openapi_parts {
    const struct openapi_schema *items[8], **more; /* all are in `more` where it is there */
    size_t count;
};

static void add_part(struct openapi_bundle *bundle, struct openapi_parts *parts,
                     const struct openapi_schema *schema)
{
    const size_t inner = sizeof parts->items / sizeof *parts->items;
    if (!schema)
        return;
    if (parts->count >= inner && (parts->count & (parts->count - 1)) == 0) {
        const struct openapi_schema **larger = arena_array(bundle->arena, 2 * parts->count, sizeof *larger);
        memcpy(larger, parts->count == inner ? parts->items : parts->more, parts->count * sizeof *larger);
        parts->more = larger;
    }
    (parts->more ? parts->more : parts->items)[parts->count++] = schema;
}

static void add_parts(struct openapi_bundle *bundle, struct openapi_parts *parts, const struct node *member,
                      bool many)
{
    if (!many)
        add_part(bundle, parts, openapi_schema_known(bundle->openapi->own, member));
    for (size_t i = 0; many && i < member->count; i++)
        add_part(bundle, parts, openapi_schema_known(bundle->openapi->own, member->items[i]));
}

/* With `sure` those alone that always count. */
static void find_parts(struct openapi_bundle *bundle, const struct openapi_schema *schema, bool sure,
                       struct openapi_parts *parts)
{
    const struct node *node = schema->spot.node;
    add_part(bundle, parts, schema->target);
    if (schema->target && bundle->openapi->version == OPENAPI_3_0)
        return;
    for (size_t i = 0; node->kind == NODE_MAP && i < node->count; i++) {
        const struct openapi_keyword *keyword = openapi_keyword_find(node->items[i]->name);
        if (keyword && keyword->traits & OPENAPI_IN_PLACE &&
            (strcmp(keyword->name, "allOf") == 0 || (!sure && !(keyword->traits & OPENAPI_ASKS))))
            add_parts(bundle, parts, node->items[i], keyword->kind != OPENAPI_KEYWORD_SCHEMA);
    }
}

static const struct openapi_schema *part_at(const struct openapi_parts *parts, size_t i)
{
    return parts->more ? parts->more[i] : parts->items[i];
}

static bool describes(struct openapi_bundle *bundle, struct openapi_schema *schema)
{
    const struct node *node = schema->spot.node, *properties = node_get(node, "properties"),
                      *patterns = node_get(node, "patternProperties");
    bool found = (properties && properties->count) || (patterns && patterns->count);
    if (schema->describes)
        return schema->describes > 0;
    struct openapi_parts *parts = arena_alloc(bundle->arena, sizeof *parts);
    find_parts(bundle, schema, false, parts);
    for (size_t i = 0; !found && i < parts->count; i++)
        found = describes(bundle, (struct openapi_schema *)part_at(parts, i));
    schema->describes = found ? 1 : -1;
    return found;
}

/* How many schemas can be selected beside it; those of branches are parts of it anyhow. */
static size_t count_choices(const struct openapi_schema *schema)
{
    return schema->discriminator && !schema->discriminator->branches ? schema->discriminator->count : 0;
}

bool openapi_describes(struct openapi_bundle *bundle, const struct openapi_schema *schema)
{
    bool found = describes(bundle, (struct openapi_schema *)schema);
    for (size_t i = 0; !found && i < count_choices(schema); i++)
        found = describes(bundle, (struct openapi_schema *)schema->discriminator->choices[i].schema);
    return found;
}

bool openapi_is_guarded(struct openapi_bundle *bundle, struct openapi_schema *schema)
{
    bool response = bundle->view.response, own = false;
    signed char *known = &schema->guarded[response];
    const struct node *flag = node_get(schema->spot.node, response ? "writeOnly" : "readOnly");
    if (bundle->whole)
        return false;
    if (*known)
        return *known > 0;
    if (schema->target && bundle->openapi->version == OPENAPI_3_0)
        flag = NULL;
    if (flag)
        openapi_value_bool(flag, &own);
    struct openapi_parts *parts = arena_alloc(bundle->arena, sizeof *parts);
    find_parts(bundle, schema, true, parts);
    for (size_t i = 0; !own && i < parts->count; i++)
        own = openapi_is_guarded(bundle, (struct openapi_schema *)part_at(parts, i));
    *known = own ? 1 : -1;
    return own;
}

/* ---- names that need not be there */

bool openapi_is_waived(struct text waived, struct text name)
{
    struct text item;
    waived = text_from(waived, 1);
    while (text_next(&waived, '\n', &item))
        if (text_equal(item, name))
            return true;
    return false;
}

static void add_waived(struct openapi_bundle *bundle, const struct openapi_schema *schema,
                       struct schema_map *seen, json_t *names)
{
    const struct node *properties = node_get(schema->spot.node, "properties");
    struct text key = {(const char *)&schema->spot.node, sizeof schema->spot.node};
    if (schema_map_get(seen, key))
        return;
    schema_map_set(seen, bundle->arena, key, (void *)schema);
    if (schema->target && bundle->openapi->version == OPENAPI_3_0)
        properties = NULL;
    for (size_t i = 0; properties && i < properties->count; i++) {
        struct openapi_schema *child = openapi_schema_known(bundle->openapi->own, properties->items[i]);
        if (child && openapi_is_guarded(bundle, child))
            openapi_set(names, properties->items[i]->name.at, json_true());
    }
    struct openapi_parts *parts = arena_alloc(bundle->arena, sizeof *parts);
    find_parts(bundle, schema, true, parts);
    for (size_t i = 0; i < parts->count; i++)
        add_waived(bundle, part_at(parts, i), seen, names);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name with a newline is not waived: nobody has one. */
static struct text join_names(struct openapi_bundle *bundle, json_t *names)
{
    struct bytes bytes = bytes_new(bundle->arena, SIZE_MAX);
    size_t count = json_object_size(names), at = 0;
    const char **sorted = arena_array(bundle->arena, count, sizeof *sorted), *name;
    json_t *value;
    json_object_foreach(names, name, value) sorted[at++] = name;
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 0; i < count; i++)
        if (!strchr(sorted[i], '\n'))
            bytes_printf(&bytes, "\n%s", sorted[i]);
    return bytes_text(&bytes);
}

struct text openapi_waived_in(struct openapi_bundle *bundle, const struct openapi_schema *schema,
                              struct openapi_role role)
{
    struct schema_map seen = {0};
    if (bundle->whole || !bundle->openapi->own->guarded[bundle->view.response])
        return role.waived;
    json_t *names = openapi_json(json_object());
    struct text rest = text_from(role.waived, 1), name;
    while (role.part && text_next(&rest, '\n', &name))
        openapi_set(names, arena_copy(bundle->arena, name.at, name.length), json_true());
    if (!role.asks)
        add_waived(bundle, schema, &seen, names);
    for (size_t i = 0; !role.asks && !role.inherited && i < count_choices(schema); i++)
        add_waived(bundle, schema->discriminator->choices[i].schema, &seen, names);
    struct text waived = join_names(bundle, names);
    waived.at = arena_copy(bundle->arena, waived.at, waived.length);
    json_decref(names);
    return waived;
}

bool openapi_has_parts(struct openapi_bundle *bundle, const struct openapi_schema *schema)
{
    struct openapi_parts *parts = arena_alloc(bundle->arena, sizeof *parts);
    find_parts(bundle, schema, false, parts);
    return parts->count > 0;
}
