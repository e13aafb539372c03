/*
 * Schemas become JSON Schema 2020-12: one value with all that it refers to.
 */
#include "config.h"

#include "data/openapi_bundle.h"

#include <float.h>
#include <stdlib.h>

#include "data/schema_format.h"

enum { NAME_LIMIT = 80 };

struct openapi_bundle *openapi_bundle_new(const struct openapi *openapi, struct openapi_view view,
                                          size_t limit)
{
    struct arena *arena = arena_new();
    struct openapi_bundle *bundle = arena_alloc(arena, sizeof *bundle);
    *bundle = (struct openapi_bundle){.openapi = openapi,
                                      .view = view,
                                      .arena = arena,
                                      .definitions = openapi_json(json_object()),
                                      .limit = limit};
    bundle->last = &bundle->first;
    return bundle;
}

void openapi_bundle_end(struct openapi_bundle *bundle)
{
    json_decref(bundle->definitions);
    arena_free(bundle->arena);
}

/* ---- definitions */

/* "User", or "User.7" where that is taken; of characters that a pointer can hold as they are. */
static const char *name_of(struct openapi_bundle *bundle, const struct openapi_schema *schema)
{
    const struct text name = schema->spot.node->name;
    char base[NAME_LIMIT + 1];
    size_t length = 0;
    for (size_t i = 0; i < name.length && length < NAME_LIMIT; i++) {
        char c = name.at[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
            c == '-')
            base[length++] = c;
    }
    base[length] = '\0';
    if (length > 0 && !json_object_get(bundle->definitions, base))
        return arena_copy(bundle->arena, base, length);
    return arena_printf(bundle->arena, "%s.%zu", base, json_object_size(bundle->definitions));
}

static const struct openapi_definition *define(struct openapi_bundle *bundle,
                                               const struct openapi_schema *schema, struct openapi_role role)
{
    if (!role.part)
        role.waived = (struct text){0};
    const char *key = arena_printf(bundle->arena, "%p %d%d%d%.*s", (const void *)schema, role.part,
                                   role.inherited, role.asks, TEXT_ARGUMENTS(role.waived));
    struct openapi_definition *definition = schema_map_get(&bundle->known, text_of(key));
    if (definition)
        return definition;
    definition = arena_alloc(bundle->arena, sizeof *definition);
    *definition = (struct openapi_definition){NULL, schema, role, name_of(bundle, schema)};
    openapi_set(bundle->definitions, definition->name, json_true()); /* its place */
    schema_map_set(&bundle->known, bundle->arena, text_of(key), definition);
    *bundle->last = definition;
    bundle->last = &definition->next;
    return definition;
}

json_t *openapi_bundle_refer(struct openapi_bundle *bundle, const struct openapi_schema *schema,
                             struct openapi_role role)
{
    while (schema->target && openapi_is_mere_reference(bundle->openapi->version, schema->spot.node))
        schema = schema->target;
    const char *name = define(bundle, schema, role)->name;
    bundle->count++;
    return json_sprintf("#/$defs/%s", name);
}

static json_t *reference(struct openapi_bundle *bundle, const struct openapi_schema *schema,
                         struct openapi_role role)
{
    json_t *object = openapi_json(json_object());
    openapi_set(object, "$ref", openapi_bundle_refer(bundle, schema, role));
    return object;
}

/* ---- keywords */

struct making {
    struct openapi_bundle *bundle;
    const struct openapi_schema *schema;
    struct openapi_role role;
    json_t *object;
    json_t *all;  /* what becomes its allOf */
    bool selects; /* its discriminator does, instead of oneOf or anyOf */
};

static json_t *translate(struct openapi_bundle *, const struct openapi_schema *, struct openapi_role);

/* What is no schema is left as it is, for the compiler to tell of. */
static json_t *child(struct making *making, const struct node *node, struct openapi_role role)
{
    const struct openapi_schema *schema = openapi_schema_known(making->bundle->openapi->own, node);
    return schema ? translate(making->bundle, schema, role) : openapi_value(node);
}

static json_t *children(struct making *making, const struct node *node, struct openapi_role role, bool guards)
{
    json_t *result = openapi_json(node->kind == NODE_MAP ? json_object() : json_array());
    for (size_t i = 0; i < node->count; i++) {
        struct openapi_schema *schema =
            guards
                ? (struct openapi_schema *)openapi_schema_known(making->bundle->openapi->own, node->items[i])
                : NULL;
        json_t *value = schema && openapi_is_guarded(making->bundle, schema)
                            ? json_false()
                            : child(making, node->items[i], role);
        if (node->kind == NODE_MAP)
            openapi_set(result, node->items[i]->name.at, value);
        else
            openapi_append(result, value);
    }
    return result;
}

static json_t *required_of(struct making *making, const struct node *node)
{
    json_t *list = openapi_value(node);
    for (size_t i = json_array_size(list); making->role.waived.length > 0 && i-- > 0;) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && openapi_is_waived(making->role.waived, text_of(name)))
            json_array_remove(list, i);
    }
    return list;
}

static json_t *range(json_t *least, json_t *most)
{
    json_t *object = openapi_json(json_object());
    openapi_set(object, "minimum", least);
    openapi_set(object, "maximum", most);
    return object;
}

static void add_format(struct making *making, const struct node *node)
{
    if (node->kind != NODE_SCALAR)
        openapi_set(making->object, "format", openapi_value(node));
    else if (text_equal(node->text, TEXT("int32")))
        openapi_append(making->all, range(json_integer(INT32_MIN), json_integer(INT32_MAX)));
    else if (text_equal(node->text, TEXT("int64")))
        openapi_append(making->all, range(json_integer(INT64_MIN), json_integer(INT64_MAX)));
    else if (text_equal(node->text, TEXT("float")))
        openapi_append(making->all, range(json_real(-(double)FLT_MAX), json_real((double)FLT_MAX)));
    else if (schema_format_find(node->text))
        openapi_set(making->object, "format", json_string(node->text.at));
}

static json_t *type_of(struct making *making, const struct node *node)
{
    json_t *type = openapi_value(node);
    bool nullable = false;
    const struct node *flag = node_get(making->schema->spot.node, "nullable");
    if (making->bundle->openapi->version != OPENAPI_3_0 || !flag || !openapi_value_bool(flag, &nullable) ||
        !nullable)
        return type;
    json_t *list = json_is_array(type) ? type : openapi_json(json_array());
    if (list != type)
        openapi_append(list, type);
    openapi_append(list, json_string("null"));
    return list;
}

/* A bound and, in 3.0, a flag beside it that says whether it is exclusive. */
static void add_bound(struct making *making, const struct node *node, const char *name, const char *exclusive)
{
    bool flag = false;
    const struct node *beside = node_get(making->schema->spot.node, exclusive);
    bool is_flag =
        making->bundle->openapi->version == OPENAPI_3_0 && beside && openapi_value_bool(beside, &flag);
    json_t *value = openapi_value(node);
    openapi_set(making->object, is_flag && flag ? exclusive : name, value);
}

static void add_value(struct making *making, const struct node *node)
{
    const char *name = node->name.at;
    json_t *value = NULL;
    bool flag;
    making->bundle->count += 1 + node->count;
    if (strcmp(name, "format") == 0) {
        add_format(making, node);
        return;
    }
    if (strcmp(name, "minimum") == 0 || strcmp(name, "maximum") == 0) {
        add_bound(making, node, name, name[1] == 'i' ? "exclusiveMinimum" : "exclusiveMaximum");
        return;
    }
    if (strncmp(name, "exclusive", 9) == 0 && making->bundle->openapi->version == OPENAPI_3_0 &&
        openapi_value_bool(node, &flag))
        return;
    value = strcmp(name, "type") == 0       ? type_of(making, node)
            : strcmp(name, "required") == 0 ? required_of(making, node)
                                            : openapi_value(node);
    openapi_set(making->object, name, value);
}

static void add_schemas(struct making *making, const struct openapi_keyword *keyword, const struct node *node)
{
    struct openapi_role role = {.asks = making->role.asks || keyword->traits & OPENAPI_ASKS};
    bool guards = !role.asks && (strcmp(keyword->name, "properties") == 0 ||
                                 strcmp(keyword->name, "patternProperties") == 0);
    if (keyword->traits & OPENAPI_IN_PLACE && !role.asks) {
        role.part = true;
        role.inherited = strcmp(keyword->name, "allOf") == 0;
        role.waived = making->role.waived;
    }
    bool many = keyword->kind != OPENAPI_KEYWORD_SCHEMA;
    json_t *value = many && node->kind != NODE_SCALAR && node->kind != NODE_NULL
                        ? children(making, node, role, guards)
                        : child(making, node, role);
    if (strcmp(keyword->name, "allOf") == 0 && json_is_array(value)) {
        if (json_array_size(value) == 0) /* for the compiler to tell of */
            openapi_set(making->object, "allOf", json_incref(value));
        if (json_array_extend(making->all, value) != 0)
            abort();
        json_decref(value);
        return;
    }
    openapi_set(making->object, keyword->name, value);
}

/* ---- discriminators */

static json_t *if_selected(struct making *making, const struct openapi_choice *choice, const char *property)
{
    struct openapi_role role = {.part = true, .inherited = true, .waived = making->role.waived};
    json_t *rule = json_pack("{s:{s:[s],s:{s:{s:s}}}}", "if", "required", property, "properties", property,
                             "const", choice->value);
    openapi_set(openapi_json(rule), "then", reference(making->bundle, choice->schema, role));
    making->bundle->count += 5;
    return rule;
}

/* What an object must be: selected, and what it is selected for. */
static json_t *selected(struct making *making)
{
    const struct openapi_discriminator *discriminator = making->schema->discriminator;
    json_t *values = openapi_json(json_array()), *rules = openapi_json(json_array());
    for (size_t i = 0; i < discriminator->count; i++) {
        openapi_append(values, json_string(discriminator->choices[i].value));
        openapi_append(rules, if_selected(making, &discriminator->choices[i], discriminator->property));
    }
    return json_pack("{s:s,s:[s],s:{s:{s:o}},s:o}", "type", "object", "required", discriminator->property,
                     "properties", discriminator->property, "enum", values, "allOf", rules);
}

static void add_selection(struct making *making)
{
    const struct openapi_discriminator *discriminator = making->schema->discriminator;
    struct openapi_role role = {.part = true, .waived = making->role.waived};
    json_t *object = openapi_json(selected(making)), *others = openapi_json(json_array());
    for (size_t i = 0; i < discriminator->other_count; i++)
        openapi_append(others, reference(making->bundle, discriminator->others[i], role));
    if (discriminator->other_count > 0)
        object = json_pack("{s:{s:s},s:o,s:{s:O}}", "if", "type", "object", "then", object, "else", "anyOf",
                           others);
    json_decref(others);
    openapi_append(making->all, object);
}

static bool selects(const struct making *making)
{
    const struct openapi_discriminator *discriminator = making->schema->discriminator;
    return discriminator && !making->role.asks && (discriminator->branches || !making->role.inherited) &&
           !openapi_is_waived(making->role.waived, text_of(discriminator->property));
}

static bool is_selected_instead(const struct making *making, const char *keyword)
{
    const struct node *node = making->schema->spot.node;
    if (!making->selects || !making->schema->discriminator->branches)
        return false;
    return strcmp(keyword, node_get(node, "oneOf") ? "oneOf" : "anyOf") == 0;
}

/* ---- one schema */

static void add_keywords(struct making *making)
{
    const struct node *node = making->schema->spot.node;
    for (size_t i = 0; i < node->count; i++) {
        const struct openapi_keyword *keyword = openapi_keyword_find(node->items[i]->name);
        if (!keyword || is_selected_instead(making, keyword->name))
            continue;
        if (keyword->kind == OPENAPI_KEYWORD_VALUE)
            add_value(making, node->items[i]);
        else if (keyword->kind != OPENAPI_KEYWORD_NOTE && keyword->kind != OPENAPI_KEYWORD_REFUSED)
            add_schemas(making, keyword, node->items[i]);
    }
}

static void close_object(struct making *making)
{
    const struct node *node = making->schema->spot.node;
    bool said = node_get(node, "additionalProperties") || node_get(node, "unevaluatedProperties");
    bool wanted = making->bundle->view.closed && !making->role.part && !making->role.asks && !said;
    if (!wanted || !openapi_describes(making->bundle, making->schema))
        return;
    /* Alone, the cheaper keyword says the same. */
    bool alone = !making->selects && !openapi_has_parts(making->bundle, making->schema);
    openapi_set(making->object, alone ? "additionalProperties" : "unevaluatedProperties", json_false());
}

static json_t *make(struct making *making)
{
    const struct openapi_schema *target = making->schema->target;
    struct openapi_role part = making->role;
    making->object = openapi_json(json_object());
    making->all = openapi_json(json_array());
    part.part = !part.asks;
    making->role.waived = openapi_waived_in(making->bundle, making->schema, making->role);
    part.waived = making->role.waived;
    making->selects = selects(making);
    if (target)
        openapi_set(making->object, "$ref", openapi_bundle_refer(making->bundle, target, part));
    add_keywords(making);
    if (making->selects)
        add_selection(making);
    if (json_array_size(making->all) > 0)
        openapi_set(making->object, "allOf", json_incref(making->all));
    json_decref(making->all);
    close_object(making);
    return making->object;
}

static json_t *translate(struct openapi_bundle *bundle, const struct openapi_schema *schema,
                         struct openapi_role role)
{
    struct making making = {.bundle = bundle, .schema = schema, .role = role};
    bool value;
    bundle->count++;
    if (bundle->count > bundle->limit)
        return json_true(); /* it is not going to be used */
    if (openapi_value_bool(schema->spot.node, &value))
        return json_boolean(value);
    json_t *object = schema->target && openapi_is_mere_reference(bundle->openapi->version, schema->spot.node)
                         ? reference(bundle, schema->target, role)
                         : make(&making);
    if (bundle->whole) {
        json_t **key = arena_alloc(bundle->arena, sizeof *key);
        *key = object;
        schema_map_set(&bundle->nodes, bundle->arena, (struct text){(const char *)key, sizeof *key},
                       (void *)schema);
    }
    return object;
}

/* ---- a bundle */

/* All definitions, of which each may lead to others; false when it is too large. */
bool openapi_bundle_finish(struct openapi_bundle *bundle, struct error *error)
{
    for (struct openapi_definition *at = bundle->first; at && bundle->count <= bundle->limit; at = at->next)
        openapi_set(bundle->definitions, at->name, translate(bundle, at->schema, at->role));
    if (bundle->count <= bundle->limit)
        return true;
    return error_set(error, "the schema and all that it refers to are more than %zu values", bundle->limit);
}

static json_t *end(struct openapi_bundle *bundle, json_t *value, struct error *error)
{
    if (!openapi_bundle_finish(bundle, error)) {
        json_decref(value);
        value = NULL;
    } else if (json_object_size(bundle->definitions) > 0) {
        openapi_set(value, "$defs", json_incref(bundle->definitions));
    }
    openapi_bundle_end(bundle);
    return value;
}

json_t *openapi_schema(const struct openapi *openapi, const struct openapi_schema *schema,
                       struct openapi_view view, struct error *error)
{
    struct openapi_bundle *bundle = openapi_bundle_new(openapi, view, OPENAPI_SCHEMA_LIMIT);
    json_t *value = translate(bundle, schema, (struct openapi_role){0});
    if (json_is_boolean(value))
        value = openapi_json(json_is_true(value) ? json_object() : json_pack("{s:{}}", "not"));
    return end(bundle, value, error);
}

json_t *openapi_members(const struct openapi *openapi, const struct openapi_member *members, size_t count,
                        bool others, struct openapi_view view, struct error *error)
{
    struct openapi_bundle *bundle = openapi_bundle_new(openapi, view, OPENAPI_SCHEMA_LIMIT);
    json_t *properties = openapi_json(json_object()), *required = openapi_json(json_array());
    for (size_t i = 0; i < count; i++) {
        const struct openapi_schema *schema = members[i].schema;
        openapi_set(properties, members[i].name,
                    schema ? translate(bundle, schema, (struct openapi_role){0}) : json_true());
        if (members[i].required)
            openapi_append(required, json_string(members[i].name));
    }
    json_t *object =
        json_pack("{s:s,s:o,s:o}", "type", "object", "properties", properties, "required", required);
    if (!others)
        openapi_set(openapi_json(object), "additionalProperties", json_false());
    return end(bundle, openapi_json(object), error);
}

struct openapi_position openapi_schema_position(const struct openapi_schema *schema)
{
    return openapi_position(schema->spot);
}
