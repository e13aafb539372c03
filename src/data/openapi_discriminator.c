/*
 * Discriminators: which value of a property selects which schema. With oneOf
 * or anyOf it is one of their branches, else one of the schemas that are made of the
 * one with the discriminator by allOf (OpenAPI 3.0.3, 4.7.25). A schema that is
 * named under `mapping` is selected by these names alone, others by their own.
 */
#include "config.h"

#include "data/openapi_reader.h"

enum { GENERATIONS_LIMIT = 16, CHOICES_LIMIT = 1000 };

struct choices {
    struct openapi_reader *reader;
    struct openapi_schema *schema;
    struct openapi_spot spot; /* of the discriminator */
    struct openapi_discriminator *discriminator;
};

static bool add_choice(struct choices *choices, struct openapi_spot where, const char *value,
                       const struct openapi_schema *schema)
{
    struct openapi_discriminator *discriminator = choices->discriminator;
    if (discriminator->count == CHOICES_LIMIT)
        return openapi_tell(choices->reader, FINDING_ERROR, where, "selects among more than %d schemas",
                            (int)CHOICES_LIMIT);
    if (!discriminator->choices)
        discriminator->choices =
            arena_array(choices->reader->arena, CHOICES_LIMIT, sizeof *discriminator->choices);
    for (size_t i = 0; i < discriminator->count; i++)
        if (strcmp(discriminator->choices[i].value, value) == 0)
            return openapi_tell(choices->reader, FINDING_ERROR, where, "\"%s\" selects two schemas", value);
    discriminator->choices[discriminator->count++] = (struct openapi_choice){value, schema};
    return true;
}

static bool is_chosen(const struct choices *choices, const struct openapi_schema *schema)
{
    for (size_t i = 0; i < choices->discriminator->count; i++)
        if (choices->discriminator->choices[i].schema == schema)
            return true;
    return false;
}

/* ---- names */

static struct openapi_spot components_of(struct openapi_reader *reader)
{
    struct openapi_spot root = {reader->documents, reader->documents->root};
    return openapi_get(openapi_get(root, "components"), "schemas");
}

/* By a name among the components, or a reference. */
static struct openapi_schema *named(struct openapi_reader *reader, struct openapi_spot value)
{
    struct openapi_spot spot = openapi_get(components_of(reader), value.node->text.at);
    if (!spot.node)
        spot = openapi_resolve(reader, value, value.node->text.at);
    return spot.node ? openapi_schema_meant(reader, spot) : NULL;
}

/* The last step of a reference: Dog of #/components/schemas/Dog. */
static const char *name_in(struct openapi_reader *reader, const struct node *reference)
{
    const char *hash = strchr(reference->text.at, '#'), *slash = hash ? strrchr(hash, '/') : NULL;
    return slash && slash[1] ? arena_printf(reader->arena, "%s", slash + 1) : NULL;
}

/* ---- oneOf and anyOf */

/* What is no object has no property to select it by. */
static bool add_other(struct choices *choices, struct openapi_schema *schema, size_t most)
{
    struct openapi_discriminator *discriminator = choices->discriminator;
    if (openapi_schema_types(choices->reader, schema) & 1u << JSON_OBJECT)
        return false;
    if (!discriminator->others)
        discriminator->others = arena_array(choices->reader->arena, most, sizeof(void *));
    discriminator->others[discriminator->other_count++] = schema;
    return true;
}

static const struct openapi_schema *branch_at(struct choices *choices, struct openapi_spot spot)
{
    if (!openapi_is_mere_reference(choices->reader->openapi->version, spot.node))
        return NULL;
    return openapi_schema_meant(choices->reader, spot);
}

static void add_branches(struct choices *choices, struct openapi_spot list)
{
    for (size_t i = 0; i < list.node->count; i++) {
        struct openapi_spot spot = openapi_item(list, i);
        const struct openapi_schema *schema = branch_at(choices, spot);
        const char *name = schema ? name_in(choices->reader, node_get(spot.node, "$ref")) : NULL;
        if (add_other(choices, openapi_schema_at(choices->reader, spot), list.node->count))
            continue;
        if (schema && is_chosen(choices, schema))
            continue;
        else if (name)
            add_choice(choices, spot, name, schema);
        else
            openapi_tell(choices->reader, FINDING_ADVICE, spot,
                         "has no name by which the discriminator could select it, so it is never used");
    }
}

static bool is_branch(struct choices *choices, struct openapi_spot list, const struct openapi_schema *schema)
{
    for (size_t i = 0; i < list.node->count; i++)
        if (branch_at(choices, openapi_item(list, i)) == schema)
            return true;
    return false;
}

static void add_mapping(struct choices *choices, struct openapi_spot list)
{
    struct openapi_spot mapping = openapi_get_kind(choices->reader, choices->spot, "mapping", NODE_MAP);
    for (size_t i = 0; mapping.node && i < mapping.node->count; i++) {
        struct openapi_spot value = openapi_item(mapping, i);
        bool text = value.node->kind == NODE_SCALAR;
        const struct openapi_schema *schema = text ? named(choices->reader, value) : NULL;
        if (!text)
            openapi_tell(choices->reader, FINDING_ERROR, value, "expected a reference or a name");
        else if (schema && list.node && !is_branch(choices, list, schema))
            openapi_tell(choices->reader, FINDING_ERROR, value, "is none of the schemas under \"%s\"",
                         list.node->name.at);
        else if (schema)
            add_choice(choices, value, value.node->name.at, schema);
    }
}

/* ---- allOf */

static bool is_made_of(struct openapi_reader *reader, struct openapi_spot spot,
                       const struct schema_map *family)
{
    struct openapi_spot list = openapi_get(spot, "allOf");
    for (size_t i = 0; list.node && list.node->kind == NODE_LIST && i < list.node->count; i++) {
        struct openapi_spot item = openapi_item(list, i);
        if (!node_get(item.node, "$ref"))
            continue;
        const struct openapi_schema *target = openapi_schema_target(reader, openapi_schema_at(reader, item));
        if (target && schema_map_get(family, (struct text){(const char *)&target->spot.node, sizeof(void *)}))
            return true;
    }
    return false;
}

/* Those among the components, and those made of them. */
static void add_family(struct choices *choices)
{
    struct openapi_reader *reader = choices->reader;
    struct openapi_spot components = components_of(reader);
    struct schema_map family = {0};
    bool grown = true;
    const struct node *const *own = (const struct node *const *)&choices->schema->spot.node;
    schema_map_set(&family, reader->arena, (struct text){(const char *)own, sizeof *own}, choices->schema);
    for (int i = 0; grown && components.node && i < GENERATIONS_LIMIT; i++) {
        grown = false;
        for (size_t j = 0; j < components.node->count; j++) {
            struct openapi_spot spot = openapi_item(components, j);
            struct text key = {(const char *)&components.node->items[j], sizeof spot.node};
            if (schema_map_get(&family, key) || !is_made_of(reader, spot, &family))
                continue;
            schema_map_set(&family, reader->arena, key, reader);
            grown = true;
        }
    }
    for (size_t j = 0;
         components.node && (family.count > 1 || choices->discriminator->count) && j < components.node->count;
         j++) {
        struct openapi_spot spot = openapi_item(components, j);
        if (!schema_map_get(&family, (struct text){(const char *)&spot.node, sizeof spot.node}))
            continue;
        struct openapi_schema *schema = openapi_schema_at(reader, spot);
        if (!is_chosen(choices, schema))
            add_choice(choices, spot, spot.node->name.at, schema);
    }
}

/* ---- both */

void openapi_read_discriminator(struct openapi_reader *reader, struct openapi_schema *schema)
{
    static const char *const names[] = {"propertyName", "mapping", NULL};
    struct openapi_spot spot = openapi_get_kind(reader, schema->spot, "discriminator", NODE_MAP);
    struct openapi_spot list = openapi_get(schema->spot, "oneOf");
    if (!list.node)
        list = openapi_get(schema->spot, "anyOf");
    if (list.node && list.node->kind != NODE_LIST)
        list.node = NULL;
    if (!spot.node)
        return;
    openapi_check_keys(reader, spot, names);
    struct openapi_discriminator *discriminator = arena_alloc(reader->arena, sizeof *discriminator);
    struct choices choices = {reader, schema, spot, discriminator};
    discriminator->property = openapi_get_text(reader, spot, "propertyName");
    discriminator->branches = list.node;
    if (!discriminator->property) {
        openapi_tell(reader, FINDING_ERROR, spot, "lacks \"propertyName\"");
        return;
    }
    add_mapping(&choices, list);
    if (list.node)
        add_branches(&choices, list);
    else
        add_family(&choices);
    if (discriminator->count)
        schema->discriminator = discriminator;
    else
        openapi_tell_key(reader, FINDING_ADVICE, spot, "selects nothing: no schema is made of this one");
}
