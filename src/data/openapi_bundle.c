/*
 * Schemas become JSON Schema 2020-12: one value with all that it refers to.
 * The same schema may be in it several times, because what it means depends on
 * where it is: as a part of an allOf it is not closed, and within `not` nothing
 * of it is changed.
 */
#include "config.h"

#include "data/openapi_reader.h"

#include <float.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/schema.h"
#include "data/schema_format.h"

enum { NAME_LIMIT = 80, WHOLE_LIMIT = 5000000, FAULTS_LIMIT = 20 };

/* What a schema is here. */
struct role {
    bool part;          /* of another, about the same value: that one is closed */
    bool inherited;     /* what is made of it has been selected */
    bool asks;          /* within `not` and the like */
    struct text waived; /* names that need not be there, each behind a newline, sorted */
};

struct definition {
    struct definition *next;
    const struct openapi_schema *schema;
    struct role role;
    const char *name;
};

struct bundle {
    const struct openapi *openapi;
    struct openapi_view view;
    bool whole; /* with all that neither a request nor a response may hold */
    struct arena *arena;
    json_t *definitions;
    struct schema_map known; /* schema and role -> struct definition */
    struct definition *first, **last;
    struct schema_map nodes; /* address of a json_t -> its schema, of a whole bundle */
    size_t count, limit;
};

static struct bundle bundle_new(const struct openapi *openapi, struct openapi_view view, size_t limit)
{
    return (struct bundle){.openapi = openapi,
                           .view = view,
                           .arena = arena_new(),
                           .definitions = openapi_json(json_object()),
                           .limit = limit};
}

static void set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, openapi_json(value)) != 0)
        abort();
}

static void append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, openapi_json(value)) != 0)
        abort();
}

static const struct openapi_schema *schema_at(const struct bundle *bundle, const struct node *node)
{
    return openapi_schema_known(bundle->openapi->own, node);
}

static bool is_3_0(const struct bundle *bundle)
{
    return bundle->openapi->version == OPENAPI_3_0;
}

/* ---- what a schema is made of */

/* Each part that is about the same value. */
struct parts {
    const struct openapi_schema *items[8], **more; /* all are in `more` where it is there */
    size_t count;
};

static void add_part(struct bundle *bundle, struct parts *parts, const struct openapi_schema *schema)
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

static void add_parts(struct bundle *bundle, struct parts *parts, const struct node *member, bool many)
{
    if (!many)
        add_part(bundle, parts, schema_at(bundle, member));
    for (size_t i = 0; many && i < member->count; i++)
        add_part(bundle, parts, schema_at(bundle, member->items[i]));
}

/* With `sure` those alone that always count. */
static void find_parts(struct bundle *bundle, const struct openapi_schema *schema, bool sure,
                       struct parts *parts)
{
    const struct node *node = schema->spot.node;
    const struct openapi_discriminator *discriminator = schema->discriminator;
    add_part(bundle, parts, schema->target);
    if (schema->target && is_3_0(bundle))
        return;
    for (size_t i = 0; node->kind == NODE_MAP && i < node->count; i++) {
        const struct openapi_keyword *keyword = openapi_keyword_find(node->items[i]->name);
        if (keyword && keyword->traits & OPENAPI_IN_PLACE &&
            (strcmp(keyword->name, "allOf") == 0 || (!sure && !(keyword->traits & OPENAPI_ASKS))))
            add_parts(bundle, parts, node->items[i], keyword->kind != OPENAPI_KEYWORD_SCHEMA);
    }
    for (size_t i = 0; discriminator && !discriminator->branches && i < discriminator->count; i++)
        add_part(bundle, parts, discriminator->choices[i].schema);
}

static const struct openapi_schema *part_at(const struct parts *parts, size_t i)
{
    return parts->more ? parts->more[i] : parts->items[i];
}

/* Whether it, or a part, describes properties. */
static bool describes(struct bundle *bundle, struct openapi_schema *schema)
{
    const struct node *node = schema->spot.node, *properties = node_get(node, "properties"),
                      *patterns = node_get(node, "patternProperties");
    struct parts *parts;
    if (schema->describes)
        return schema->describes > 0;
    schema->describes = -1; /* while it is looked at: one that is selected is made of this one */
    parts = arena_alloc(bundle->arena, sizeof *parts);
    find_parts(bundle, schema, false, parts);
    bool found = (properties && properties->count) || (patterns && patterns->count);
    for (size_t i = 0; !found && i < parts->count; i++)
        found = describes(bundle, (struct openapi_schema *)part_at(parts, i));
    schema->describes = found ? 1 : -1;
    return found;
}

/* Whether it is readOnly in a request, or writeOnly in a response. */
static bool is_guarded(struct bundle *bundle, struct openapi_schema *schema)
{
    bool response = bundle->view.response, own = false;
    signed char *known = &schema->guarded[response];
    const struct node *flag = node_get(schema->spot.node, response ? "writeOnly" : "readOnly");
    if (bundle->whole)
        return false;
    if (*known)
        return *known > 0;
    *known = -1;
    if (schema->target && is_3_0(bundle))
        flag = NULL;
    if (flag)
        openapi_value_bool(flag, &own);
    struct parts *parts = arena_alloc(bundle->arena, sizeof *parts);
    if (!schema->discriminator)
        find_parts(bundle, schema, true, parts);
    for (size_t i = 0; !own && i < parts->count; i++)
        own = is_guarded(bundle, (struct openapi_schema *)part_at(parts, i));
    *known = own ? 1 : -1;
    return own;
}

/* ---- names that need not be there */

static bool is_waived(struct text waived, struct text name)
{
    struct text item;
    waived = text_from(waived, 1);
    while (text_next(&waived, '\n', &item))
        if (text_equal(item, name))
            return true;
    return false;
}

static void add_waived(struct bundle *bundle, const struct openapi_schema *schema, struct schema_map *seen,
                       json_t *names)
{
    const struct node *properties = node_get(schema->spot.node, "properties");
    struct text key = {(const char *)&schema->spot.node, sizeof schema->spot.node};
    if (schema_map_get(seen, key))
        return;
    schema_map_set(seen, bundle->arena, key, (void *)schema);
    if (schema->target && is_3_0(bundle))
        properties = NULL;
    for (size_t i = 0; properties && i < properties->count; i++) {
        struct openapi_schema *child = (struct openapi_schema *)schema_at(bundle, properties->items[i]);
        if (child && is_guarded(bundle, child))
            set(names, properties->items[i]->name.at, json_true());
    }
    struct parts *parts = arena_alloc(bundle->arena, sizeof *parts);
    find_parts(bundle, schema, true, parts);
    for (size_t i = 0; i < parts->count; i++)
        add_waived(bundle, part_at(parts, i), seen, names);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name with a newline is not waived: nobody has one. */
static struct text join_names(struct bundle *bundle, json_t *names)
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

/* Those of the whole, and its own: what is not sent cannot be required. */
static struct text waived_in(struct bundle *bundle, const struct openapi_schema *schema, struct role role)
{
    struct schema_map seen = {0};
    if (bundle->whole || !bundle->openapi->own->guarded[bundle->view.response])
        return role.waived;
    json_t *names = openapi_json(json_object());
    struct text rest = text_from(role.waived, 1), name;
    while (role.part && text_next(&rest, '\n', &name))
        set(names, arena_copy(bundle->arena, name.at, name.length), json_true());
    if (!role.asks)
        add_waived(bundle, schema, &seen, names);
    struct text waived = join_names(bundle, names);
    waived.at = arena_copy(bundle->arena, waived.at, waived.length);
    json_decref(names);
    return waived;
}

/* ---- definitions */

/* "User", or "User.7" where that is taken; of characters that a pointer can hold as they are. */
static const char *name_of(struct bundle *bundle, const struct openapi_schema *schema)
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

static const struct definition *define(struct bundle *bundle, const struct openapi_schema *schema,
                                       struct role role)
{
    if (!role.part)
        role.waived = (struct text){0};
    const char *key = arena_printf(bundle->arena, "%p %d%d%d%.*s", (const void *)schema, role.part,
                                   role.inherited, role.asks, TEXT_ARGUMENTS(role.waived));
    struct definition *definition = schema_map_get(&bundle->known, text_of(key));
    if (definition)
        return definition;
    definition = arena_alloc(bundle->arena, sizeof *definition);
    *definition = (struct definition){NULL, schema, role, name_of(bundle, schema)};
    set(bundle->definitions, definition->name, json_true()); /* its place */
    schema_map_set(&bundle->known, bundle->arena, text_of(key), definition);
    *bundle->last = definition;
    bundle->last = &definition->next;
    return definition;
}

static json_t *refer(struct bundle *bundle, const struct openapi_schema *schema, struct role role)
{
    while (schema->target && openapi_is_mere_reference(bundle->openapi->version, schema->spot.node))
        schema = schema->target;
    const char *name = define(bundle, schema, role)->name;
    bundle->count++;
    return json_sprintf("#/$defs/%s", name);
}

static json_t *reference(struct bundle *bundle, const struct openapi_schema *schema, struct role role)
{
    json_t *object = openapi_json(json_object());
    set(object, "$ref", refer(bundle, schema, role));
    return object;
}

/* ---- keywords */

struct making {
    struct bundle *bundle;
    const struct openapi_schema *schema;
    struct role role;
    json_t *object;
    json_t *all;  /* what becomes its allOf */
    bool selects; /* its discriminator does, instead of oneOf or anyOf */
};

static json_t *translate(struct bundle *, const struct openapi_schema *, struct role);

/* What is no schema is left as it is, for the compiler to tell of. */
static json_t *child(struct making *making, const struct node *node, struct role role)
{
    const struct openapi_schema *schema = schema_at(making->bundle, node);
    return schema ? translate(making->bundle, schema, role) : openapi_value(node);
}

static json_t *children(struct making *making, const struct node *node, struct role role, bool guards)
{
    json_t *result = openapi_json(node->kind == NODE_MAP ? json_object() : json_array());
    for (size_t i = 0; i < node->count; i++) {
        struct openapi_schema *schema =
            guards ? (struct openapi_schema *)schema_at(making->bundle, node->items[i]) : NULL;
        json_t *value =
            schema && is_guarded(making->bundle, schema) ? json_false() : child(making, node->items[i], role);
        if (node->kind == NODE_MAP)
            set(result, node->items[i]->name.at, value ? value : json_null());
        else
            append(result, value ? value : json_null());
    }
    return result;
}

static json_t *required_of(struct making *making, const struct node *node)
{
    json_t *list = openapi_value(node);
    for (size_t i = json_array_size(list); making->role.waived.length > 0 && i-- > 0;) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name && is_waived(making->role.waived, text_of(name)))
            json_array_remove(list, i);
    }
    return list;
}

static json_t *range(json_t *least, json_t *most)
{
    json_t *object = openapi_json(json_object());
    set(object, "minimum", least);
    set(object, "maximum", most);
    return object;
}

static void add_format(struct making *making, const struct node *node)
{
    if (node->kind != NODE_SCALAR)
        set(making->object, "format", openapi_value(node));
    else if (text_equal(node->text, TEXT("int32")))
        append(making->all, range(json_integer(INT32_MIN), json_integer(INT32_MAX)));
    else if (text_equal(node->text, TEXT("int64")))
        append(making->all, range(json_integer(INT64_MIN), json_integer(INT64_MAX)));
    else if (text_equal(node->text, TEXT("float")))
        append(making->all, range(json_real(-(double)FLT_MAX), json_real((double)FLT_MAX)));
    else if (schema_format_find(node->text))
        set(making->object, "format", json_string(node->text.at));
}

static json_t *type_of(struct making *making, const struct node *node)
{
    json_t *type = openapi_value(node);
    bool nullable = false;
    const struct node *flag = node_get(making->schema->spot.node, "nullable");
    if (!is_3_0(making->bundle) || !flag || !openapi_value_bool(flag, &nullable) || !nullable)
        return type;
    json_t *list = json_is_array(type) ? type : openapi_json(json_array());
    if (list != type)
        append(list, type);
    append(list, json_string("null"));
    return list;
}

/* A bound and, in 3.0, a flag beside it that says whether it is exclusive. */
static void add_bound(struct making *making, const struct node *node, const char *name, const char *exclusive)
{
    bool flag = false;
    const struct node *beside = node_get(making->schema->spot.node, exclusive);
    bool is_flag = is_3_0(making->bundle) && beside && openapi_value_bool(beside, &flag);
    json_t *value = openapi_value(node);
    set(making->object, is_flag && flag ? exclusive : name, value ? value : json_null());
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
    if (strncmp(name, "exclusive", 9) == 0 && is_3_0(making->bundle) && openapi_value_bool(node, &flag))
        return;
    value = strcmp(name, "type") == 0       ? type_of(making, node)
            : strcmp(name, "required") == 0 ? required_of(making, node)
                                            : openapi_value(node);
    set(making->object, name, value ? value : json_null());
}

static void add_schemas(struct making *making, const struct openapi_keyword *keyword, const struct node *node)
{
    struct role role = {.asks = making->role.asks || keyword->traits & OPENAPI_ASKS};
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
            set(making->object, "allOf", json_incref(value));
        if (json_array_extend(making->all, value) != 0)
            abort();
        json_decref(value);
        return;
    }
    set(making->object, keyword->name, value ? value : json_null());
}

/* ---- discriminators */

static json_t *if_selected(struct making *making, const struct openapi_choice *choice, const char *property)
{
    struct role role = {.part = true, .inherited = true, .waived = making->role.waived};
    json_t *rule = json_pack("{s:{s:[s],s:{s:{s:s}}}}", "if", "required", property, "properties", property,
                             "const", choice->value);
    set(openapi_json(rule), "then", reference(making->bundle, choice->schema, role));
    making->bundle->count += 5;
    return rule;
}

static void add_selection(struct making *making)
{
    const struct openapi_discriminator *discriminator = making->schema->discriminator;
    json_t *values = openapi_json(json_array());
    for (size_t i = 0; i < discriminator->count; i++)
        append(values, json_string(discriminator->choices[i].value));
    json_t *type = openapi_json(json_pack("[s]", "object"));
    if (discriminator->null)
        append(type, json_string("null"));
    json_t *rule = json_pack("{s:o,s:[s],s:{s:{s:o}}}", "type", type, "required", discriminator->property,
                             "properties", discriminator->property, "enum", values);
    append(making->all, rule);
    for (size_t i = 0; i < discriminator->count; i++)
        append(making->all, if_selected(making, &discriminator->choices[i], discriminator->property));
}

static bool selects(const struct making *making)
{
    const struct openapi_discriminator *discriminator = making->schema->discriminator;
    return discriminator && !making->role.asks && (discriminator->branches || !making->role.inherited) &&
           !is_waived(making->role.waived, text_of(discriminator->property));
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
    if (!wanted || !describes(making->bundle, (struct openapi_schema *)making->schema))
        return;
    struct parts *parts = arena_alloc(making->bundle->arena, sizeof *parts);
    find_parts(making->bundle, making->schema, false, parts);
    bool alone = parts->count == 0 && !making->selects; /* then the cheaper keyword says the same */
    set(making->object, alone ? "additionalProperties" : "unevaluatedProperties", json_false());
}

static json_t *make(struct making *making)
{
    const struct openapi_schema *target = making->schema->target;
    struct role part = making->role;
    making->object = openapi_json(json_object());
    making->all = openapi_json(json_array());
    part.part = !part.asks;
    making->role.waived = waived_in(making->bundle, making->schema, making->role);
    part.waived = making->role.waived;
    making->selects = selects(making);
    if (target)
        set(making->object, "$ref", refer(making->bundle, target, part));
    add_keywords(making);
    if (making->selects)
        add_selection(making);
    if (json_array_size(making->all) > 0)
        set(making->object, "allOf", json_incref(making->all));
    json_decref(making->all);
    close_object(making);
    return making->object;
}

static json_t *translate(struct bundle *bundle, const struct openapi_schema *schema, struct role role)
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
static bool finish(struct bundle *bundle, struct error *error)
{
    for (struct definition *at = bundle->first; at && bundle->count <= bundle->limit; at = at->next)
        set(bundle->definitions, at->name, translate(bundle, at->schema, at->role));
    if (bundle->count <= bundle->limit)
        return true;
    return error_set(error, "the schema and all that it refers to are more than %zu values", bundle->limit);
}

static json_t *end(struct bundle *bundle, json_t *value, struct error *error)
{
    if (!finish(bundle, error)) {
        json_decref(value);
        value = NULL;
    } else if (json_object_size(bundle->definitions) > 0) {
        set(value, "$defs", json_incref(bundle->definitions));
    }
    json_decref(bundle->definitions);
    arena_free(bundle->arena);
    return value;
}

json_t *openapi_schema(const struct openapi *openapi, const struct openapi_schema *schema,
                       struct openapi_view view, struct error *error)
{
    struct bundle bundle = bundle_new(openapi, view, OPENAPI_SCHEMA_LIMIT);
    bundle.last = &bundle.first;
    json_t *value = translate(&bundle, schema, (struct role){0});
    if (json_is_boolean(value))
        value = openapi_json(json_is_true(value) ? json_object() : json_pack("{s:{}}", "not"));
    return end(&bundle, value, error);
}

json_t *openapi_members(const struct openapi *openapi, const struct openapi_member *members, size_t count,
                        bool others, struct openapi_view view, struct error *error)
{
    struct bundle bundle = bundle_new(openapi, view, OPENAPI_SCHEMA_LIMIT);
    bundle.last = &bundle.first;
    json_t *properties = openapi_json(json_object()), *required = openapi_json(json_array());
    for (size_t i = 0; i < count; i++) {
        const struct openapi_schema *schema = members[i].schema;
        set(properties, members[i].name, schema ? translate(&bundle, schema, (struct role){0}) : json_true());
        if (members[i].required)
            append(required, json_string(members[i].name));
    }
    json_t *object =
        json_pack("{s:s,s:o,s:o}", "type", "object", "properties", properties, "required", required);
    if (!others)
        set(openapi_json(object), "additionalProperties", json_false());
    return end(&bundle, openapi_json(object), error);
}

struct openapi_position openapi_schema_position(const struct openapi_schema *schema)
{
    return openapi_position(schema->spot);
}

/* ---- what is wrong with values of keywords */

static const json_t *step(const json_t *value, const char *from, size_t length)
{
    char name[1024];
    size_t to = 0;
    for (size_t i = 0; i < length && to + 1 < sizeof name; i++)
        name[to++] = from[i] != '~' || i + 1 == length ? from[i] : from[++i] == '0' ? '~' : '/';
    name[to] = '\0';
    return json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10))
                                : json_object_get(value, name);
}

/* The innermost schema on the way of a pointer, and the value that was made of it. */
static const struct openapi_schema *find_fault(const struct bundle *bundle, const json_t *root,
                                               const char *pointer, json_t **made)
{
    const struct openapi_schema *found = NULL;
    for (const json_t *value = root; value && *pointer == '/';) {
        size_t length = strcspn(pointer + 1, "/");
        value = step(value, pointer + 1, length);
        pointer += 1 + length;
        const struct openapi_schema *schema =
            schema_map_get(&bundle->nodes, (struct text){(const char *)&value, sizeof value});
        if (schema) {
            found = schema;
            *made = (json_t *)value;
        }
    }
    return found;
}

/* False where it cannot be passed over, to look for others. */
static bool tell_fault(struct openapi_reader *reader, const struct bundle *bundle, const json_t *root,
                       const struct schema_fault *fault)
{
    json_t *made = NULL;
    const struct openapi_schema *schema = find_fault(bundle, root, fault->pointer, &made);
    struct openapi_spot spot = {reader->documents, reader->documents->root};
    if (!schema)
        return openapi_tell(reader, FINDING_ERROR, spot, "a schema cannot be used: %s", fault->error.message);
    spot = schema->spot;
    if (fault->keyword && node_get(spot.node, fault->keyword))
        spot.node = node_get(spot.node, fault->keyword);
    openapi_tell(reader, FINDING_ERROR, spot, "%s", fault->error.message);
    return json_object_clear(made) == 0;
}

static void compile(struct openapi_reader *reader, const struct bundle *bundle, json_t *root)
{
    struct schema_fault fault;
    struct schema *schema;
    for (int i = 0; i < FAULTS_LIMIT && !(schema = schema_compile(root, NULL, &fault)); i++)
        if (!tell_fault(reader, bundle, root, &fault))
            return;
    schema_free(schema);
}

void openapi_compile_schemas(struct openapi_reader *reader)
{
    struct bundle bundle = bundle_new(reader->openapi, (struct openapi_view){0}, WHOLE_LIMIT);
    struct error error = {0};
    bundle.last = &bundle.first;
    bundle.whole = true;
    for (const struct openapi_schema *schema = reader->first; schema; schema = schema->next)
        if (schema->wanted)
            refer(&bundle, schema, (struct role){0});
    json_t *root = openapi_json(json_object());
    if (finish(&bundle, &error)) {
        set(root, "$defs", json_incref(bundle.definitions));
        compile(reader, &bundle, root);
    } else {
        findings_add_at(&reader->findings, FINDING_ERROR, 0, 0, "%s", error.message);
    }
    json_decref(root);
    json_decref(bundle.definitions);
    arena_free(bundle.arena);
}
