/*
 * A walk through a schema, along its references and branches, no deeper than
 * text can nest: a list or an object, with lists in it.
 */
#include "config.h"

#include "guard/content_shape.h"

#include <stdlib.h>

#include "data/schema_map.h"

enum { LEVELS_MOST = 3, REFERENCES_MOST = 16, BRANCHES_MOST = 16, STEPS_MOST = 20000, NAME_MOST = 256 };

struct maker {
    const struct shape_references *references;
    struct arena *arena;
    bool nested;  /* objects in objects are wanted */
    size_t steps; /* what was looked at: branches of branches could be without number */
};

static bool goes_on(struct maker *maker)
{
    return maker->steps <= STEPS_MOST && maker->steps++ < STEPS_MOST;
}

/* ---- references */

static const json_t *step(const json_t *from, struct text word)
{
    char name[NAME_MOST];
    size_t length = 0;
    for (size_t i = 0; i < word.length; i++) {
        bool escaped = word.at[i] == '~' && i + 1 < word.length;
        if (length + 1 == sizeof name)
            return NULL;
        name[length++] = escaped ? (char)(word.at[++i] == '1' ? '/' : '~') : word.at[i];
    }
    name[length] = '\0';
    return json_is_array(from) ? json_array_get(from, strtoul(name, NULL, 10)) : json_object_get(from, name);
}

const json_t *shape_find_local(const void *context, const json_t *schema, const char *reference)
{
    const json_t *found = context;
    struct text rest = text_of(reference);
    (void)schema;
    if (!text_starts_with(rest, TEXT("#/")))
        return NULL;
    for (rest = text_from(rest, 1); found && rest.length > 0;) {
        rest = text_from(rest, 1);
        size_t end = text_find(rest, '/');
        found = step(found, (struct text){rest.at, end});
        rest = text_from(rest, end);
    }
    return found;
}

static const json_t *follow(struct maker *maker, const json_t *schema)
{
    for (int i = 0; schema && i < REFERENCES_MOST; i++) {
        const json_t *reference = json_object_get(schema, "$ref");
        const json_t *meant =
            json_is_string(reference)
                ? maker->references->find(maker->references->context, schema, json_string_value(reference))
                : NULL;
        if (!meant)
            return schema;
        schema = meant;
    }
    return schema;
}

/* The nth of the schemas that a value has to fit or may fit instead; NULL behind the last. */
static const json_t *branch(const json_t *schema, size_t n)
{
    static const char *const keywords[] = {"allOf", "anyOf", "oneOf"};
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        const json_t *list = json_object_get(schema, keywords[i]);
        if (n < json_array_size(list))
            return json_array_get(list, n);
        n -= json_array_size(list);
    }
    return NULL;
}

/* ---- types */

static unsigned type_named(const char *name)
{
    static const struct {
        const char *name;
        unsigned type;
    } rows[] = {{"string", SHAPE_STRING},   {"integer", SHAPE_INTEGER}, {"number", SHAPE_NUMBER},
                {"boolean", SHAPE_BOOLEAN}, {"array", SHAPE_ARRAY},     {"object", SHAPE_OBJECT}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].type;
    return 0;
}

static unsigned type_of_value(const json_t *value)
{
    return json_is_string(value)    ? SHAPE_STRING
           : json_is_integer(value) ? SHAPE_INTEGER
           : json_is_real(value)    ? SHAPE_NUMBER
           : json_is_boolean(value) ? SHAPE_BOOLEAN
                                    : 0;
}

/* What the schema itself says. */
static unsigned own_types(const json_t *schema)
{
    const json_t *type = json_object_get(schema, "type"), *values = json_object_get(schema, "enum"), *item;
    unsigned types = 0;
    size_t i;
    if (json_is_string(type))
        return type_named(json_string_value(type));
    json_array_foreach(type, i, item) if (json_is_string(item)) types |= type_named(json_string_value(item));
    if (type)
        return types;
    if (json_is_object(json_object_get(schema, "properties")))
        return SHAPE_OBJECT;
    if (json_is_object(json_object_get(schema, "items")))
        return SHAPE_ARRAY;
    json_array_foreach(values, i, item) types |= type_of_value(item);
    return types | type_of_value(json_object_get(schema, "const"));
}

static unsigned types_of(struct maker *maker, const json_t *schema, int depth)
{
    schema = follow(maker, schema);
    unsigned types = own_types(schema);
    bool own = types != 0;
    const json_t *item;
    for (size_t i = 0; !own && depth < BRANCHES_MOST && (item = branch(schema, i)) && goes_on(maker); i++)
        types |= types_of(maker, item, depth + 1);
    return types;
}

/* ---- lists and objects */

static struct shape make(struct maker *, const json_t *, int level);

static const json_t *find_items(struct maker *maker, const json_t *schema, int depth)
{
    schema = follow(maker, schema);
    const json_t *items = json_object_get(schema, "items"), *item;
    for (size_t i = 0; !items && depth < BRANCHES_MOST && (item = branch(schema, i)) && goes_on(maker); i++)
        items = find_items(maker, item, depth + 1);
    return items;
}

static size_t count_members(struct maker *maker, const json_t *schema, int depth)
{
    schema = follow(maker, schema);
    size_t count = json_object_size(json_object_get(schema, "properties"));
    const json_t *item;
    for (size_t i = 0; depth < BRANCHES_MOST && (item = branch(schema, i)) && goes_on(maker); i++)
        count += count_members(maker, item, depth + 1);
    return count;
}

/* An object while its members are added. */
struct making {
    struct maker *maker;
    struct shape *shape;
    struct schema_map names; /* -> the member */
    size_t room;
    int level;
};

static void add_member(struct making *making, const char *name, const json_t *schema)
{
    struct arena *arena = making->maker->arena;
    struct shape *shape = making->shape, made = make(making->maker, schema, making->level + 1);
    struct shape_member *member = schema_map_get(&making->names, text_of(name));
    if (member) {
        member->shape.types |= made.types; /* of another branch */
        return;
    }
    if (shape->count == making->room)
        return; /* the steps have run out in between */
    size_t length = strlen(name);
    member = &shape->members[shape->count++];
    *member = (struct shape_member){{arena_copy(arena, name, length), length}, {.explode = true}, made};
    schema_map_set(&making->names, arena, member->name, member);
}

static void add_members(struct making *making, const json_t *schema, int depth)
{
    const char *name;
    json_t *value;
    const json_t *item;
    struct maker *maker = making->maker;
    struct shape *shape = making->shape;
    schema = follow(maker, schema);
    json_object_foreach(json_object_get(schema, "properties"), name, value)
    {
        if (!goes_on(maker))
            return;
        add_member(making, name, value);
    }
    const json_t *others = json_object_get(schema, "additionalProperties");
    if (others && !json_is_false(others) && !shape->others) {
        struct shape *made = arena_alloc(maker->arena, sizeof *made);
        *made = make(maker, others, making->level + 1);
        shape->others = made;
    }
    for (size_t i = 0; depth < BRANCHES_MOST && (item = branch(schema, i)) && goes_on(maker); i++)
        add_members(making, item, depth + 1);
}

static int compare(const void *left, const void *right)
{
    const struct text *a = &((const struct shape_member *)left)->name;
    const struct text *b = &((const struct shape_member *)right)->name;
    size_t length = a->length < b->length ? a->length : b->length;
    int order = length > 0 ? memcmp(a->at, b->at, length) : 0;
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

static struct shape make_object(struct maker *maker, const json_t *schema, int level)
{
    struct shape shape = {.types = SHAPE_OBJECT};
    struct making making = {.maker = maker, .shape = &shape, .level = level};
    making.room = count_members(maker, schema, 0);
    shape.members = arena_array(maker->arena, making.room, sizeof *shape.members);
    add_members(&making, schema, 0);
    if (shape.count > 1)
        qsort(shape.members, shape.count, sizeof *shape.members, compare);
    return shape;
}

static struct shape make(struct maker *maker, const json_t *schema, int level)
{
    struct shape shape = {0};
    unsigned types = types_of(maker, schema, 0);
    if (level == LEVELS_MOST) /* text does not nest so deep */
        types &= ~(unsigned)(SHAPE_ARRAY | SHAPE_OBJECT);
    if (!maker->nested)
        types &= ~(unsigned)SHAPE_OBJECT;
    if (types & SHAPE_OBJECT)
        shape = make_object(maker, schema, level);
    if (types & SHAPE_ARRAY) {
        struct shape *items = arena_alloc(maker->arena, sizeof *items);
        *items = make(maker, find_items(maker, schema, 0), level + 1);
        shape.items = items;
    }
    shape.types = types;
    return shape;
}

/* ---- */

static struct shape_member *find(const struct shape *shape, struct text name)
{
    struct shape_member wanted = {.name = name};
    return shape->count ? bsearch(&wanted, shape->members, shape->count, sizeof *shape->members, compare)
                        : NULL;
}

static void set_writings(struct shape *shape, const struct content_writing *writings)
{
    for (; writings && writings->name; writings++) {
        struct shape_member *member = find(shape, text_of(writings->name));
        if (member)
            member->writing = *writings;
    }
}

bool shape_make(const json_t *schema, const struct shape_references *references,
                const struct content_writing *writings, struct arena *arena, struct shape *shape,
                struct error *error)
{
    struct maker maker = {references, arena, writings != NULL, 0};
    *shape = make_object(&maker, schema, 0);
    set_writings(shape, writings);
    return maker.steps < STEPS_MOST || error_set(error, "the schema has too many branches");
}

const struct shape_member *shape_find(const struct shape *shape, struct text name)
{
    return find(shape, name);
}
