/*
 * Schemas as they are written: each is found once, judged once, and leads to
 * others. What would be enforced otherwise than it reads is told here; whether
 * the values of keywords are good is left to the compiler of schemas.
 */
#include "config.h"

#include "data/openapi_reader.h"

#include "data/schema_format.h"

/* ---- the schemas that were found */

struct openapi_schema *openapi_schema_known(const struct openapi_own *own, const struct node *node)
{
    return schema_map_get(&own->schemas, (struct text){(const char *)&node, sizeof node});
}

struct openapi_schema *openapi_schema_at(struct openapi_reader *reader, struct openapi_spot spot)
{
    struct openapi_own *own = reader->openapi->own;
    struct openapi_schema *schema = openapi_schema_known(own, spot.node);
    if (schema)
        return schema;
    schema = arena_alloc(reader->arena, sizeof *schema);
    schema->spot = spot;
    schema_map_set(&own->schemas, reader->arena,
                   (struct text){(const char *)&schema->spot.node, sizeof schema->spot.node}, schema);
    *reader->last = schema;
    reader->last = &schema->next;
    return schema;
}

/* Until 3.0 a $ref replaces all beside it; later that counts, too. */
bool openapi_is_mere_reference(enum openapi_version version, const struct node *node)
{
    if (!node_get(node, "$ref"))
        return false;
    for (size_t i = 0; version != OPENAPI_3_0 && i < node->count; i++) {
        const struct openapi_keyword *keyword = openapi_keyword_find(node->items[i]->name);
        bool guards = text_equal(node->items[i]->name, TEXT("readOnly")) ||
                      text_equal(node->items[i]->name, TEXT("writeOnly")) ||
                      text_equal(node->items[i]->name, TEXT("discriminator"));
        if (guards || (keyword && keyword->kind != OPENAPI_KEYWORD_NOTE))
            return false;
    }
    return true;
}

const struct openapi_schema *openapi_schema_target(struct openapi_reader *reader,
                                                   struct openapi_schema *schema)
{
    struct openapi_spot reference = openapi_get(schema->spot, "$ref");
    if (schema->resolved || !reference.node)
        return schema->target;
    schema->resolved = true;
    if (reference.node->kind != NODE_SCALAR) {
        openapi_tell(reader, FINDING_ERROR, reference, "expected a reference");
        return NULL;
    }
    struct openapi_spot spot = openapi_resolve(reader, reference, reference.node->text.at);
    if (spot.node)
        schema->target = openapi_schema_at(reader, spot);
    return schema->target;
}

struct openapi_schema *openapi_schema_meant(struct openapi_reader *reader, struct openapi_spot spot)
{
    struct openapi_schema *schema = openapi_schema_at(reader, spot);
    for (int hops = 0; openapi_is_mere_reference(reader->openapi->version, schema->spot.node); hops++) {
        const struct openapi_schema *target = openapi_schema_target(reader, schema);
        if (hops == OPENAPI_HOPS_LIMIT)
            openapi_tell(reader, FINDING_ERROR, spot,
                         "the reference leads to itself, or through too many others");
        if (!target || hops == OPENAPI_HOPS_LIMIT)
            return NULL;
        schema = (struct openapi_schema *)target;
    }
    schema->wanted = true;
    return schema;
}

bool openapi_schema_is_empty(const struct openapi_schema *schema)
{
    for (size_t i = 0; i < schema->spot.node->count; i++) {
        const struct openapi_keyword *keyword = openapi_keyword_find(schema->spot.node->items[i]->name);
        if (keyword && (keyword->kind != OPENAPI_KEYWORD_NOTE || strcmp(keyword->name, "$ref") == 0))
            return false;
    }
    return schema->spot.node->kind == NODE_MAP;
}

/* ---- types */

static unsigned type_bits(struct text name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = {
        {"object", 1u << JSON_OBJECT},
        {"array", 1u << JSON_ARRAY},
        {"string", 1u << JSON_STRING},
        {"integer", 1u << JSON_INTEGER},
        {"number", 1u << JSON_INTEGER | 1u << JSON_REAL},
        {"boolean", 1u << JSON_TRUE | 1u << JSON_FALSE},
        {"null", 1u << JSON_NULL},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (text_equal(name, text_of(types[i].name)))
            return types[i].bits;
    return 0;
}

static unsigned own_types(const struct node *type)
{
    unsigned bits = 0;
    if (!type)
        return OPENAPI_ANY_TYPE;
    if (type->kind == NODE_SCALAR)
        return type_bits(type->text);
    for (size_t i = 0; i < type->count; i++)
        bits |= type_bits(type->items[i]->kind == NODE_NULL ? TEXT("null") : type->items[i]->text);
    return bits;
}

static unsigned types_of_list(struct openapi_reader *reader, struct openapi_spot list, bool all)
{
    unsigned types = all ? OPENAPI_ANY_TYPE : 0;
    if (!list.node || list.node->kind != NODE_LIST || list.node->count == 0)
        return OPENAPI_ANY_TYPE;
    for (size_t i = 0; i < list.node->count; i++) {
        unsigned one = openapi_schema_types(reader, openapi_schema_at(reader, openapi_item(list, i)));
        types = all ? types & one : types | one;
    }
    return types;
}

/* Null is not told apart: it is a type beside others. */
unsigned openapi_schema_types(struct openapi_reader *reader, struct openapi_schema *schema)
{
    if (schema->typed)
        return schema->types;
    if (reader->nesting > OPENAPI_COMPOSITION_LIMIT) /* the judge tells of it */
        return OPENAPI_ANY_TYPE;
    reader->nesting++;
    schema->typed = true;
    schema->types = OPENAPI_ANY_TYPE; /* for one that is made of itself, which the judge tells of */
    unsigned types = own_types(node_get(schema->spot.node, "type"));
    struct openapi_schema *target = (struct openapi_schema *)openapi_schema_target(reader, schema);
    bool alone = target && reader->openapi->version == OPENAPI_3_0;
    if (alone)
        types = OPENAPI_ANY_TYPE;
    if (target)
        types &= openapi_schema_types(reader, target);
    if (!alone)
        types &= types_of_list(reader, openapi_get(schema->spot, "allOf"), true) &
                 types_of_list(reader, openapi_get(schema->spot, "anyOf"), false) &
                 types_of_list(reader, openapi_get(schema->spot, "oneOf"), false);
    reader->nesting--;
    schema->types = types == 1u << JSON_NULL ? types : types & ~(1u << JSON_NULL);
    return schema->types;
}

bool openapi_schema_is_binary(struct openapi_reader *reader, struct openapi_schema *schema)
{
    for (int hops = 0; hops < OPENAPI_HOPS_LIMIT; hops++) {
        const struct openapi_schema *target = openapi_schema_target(reader, schema);
        if (!target)
            break;
        schema = (struct openapi_schema *)target;
    }
    const struct node *format = node_get(schema->spot.node, "format");
    if (format && text_equal(format->text, TEXT("binary")))
        return openapi_schema_types(reader, schema) == 1u << JSON_STRING;
    return node_get(schema->spot.node, "contentMediaType") &&
           !node_get(schema->spot.node, "contentEncoding") &&
           openapi_schema_types(reader, schema) & 1u << JSON_STRING;
}

/* ---- judging */

static void check_format(struct openapi_reader *reader, struct openapi_spot schema)
{
    static const char *const own[] = {"int32", "int64", "float", "double", "binary", "password"};
    struct openapi_spot format = openapi_get(schema, "format");
    if (!format.node || format.node->kind != NODE_SCALAR || schema_format_find(format.node->text))
        return;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (text_equal(format.node->text, text_of(own[i])))
            return;
    if (openapi_tells(reader, arena_printf(reader->arena, "format %s", format.node->text.at)))
        openapi_tell(reader, FINDING_ADVICE, format,
                     "the format \"%s\" is not known, so it checks nothing, here and elsewhere",
                     format.node->text.at);
}

static void check_nullable(struct openapi_reader *reader, struct openapi_spot schema)
{
    struct openapi_spot nullable = openapi_get(schema, "nullable"), values = openapi_get(schema, "enum");
    bool is = false, null = false;
    if (!openapi_get_bool(reader, schema, "nullable", &is) || !is)
        return;
    for (size_t i = 0; values.node && i < values.node->count; i++)
        null |= values.node->items[i]->kind == NODE_NULL;
    if (reader->openapi->version != OPENAPI_3_0)
        openapi_tell_key(reader, FINDING_ADVICE, nullable,
                         "does nothing in OpenAPI 3.1, so null is refused; expected the type \"null\"");
    else if (!node_get(schema.node, "type"))
        openapi_tell_key(reader, FINDING_ADVICE, nullable,
                         "does nothing without \"type\" beside it (OpenAPI 3.0.3, 4.7.24)");
    else if (values.node && !null)
        openapi_tell_key(reader, FINDING_ADVICE, nullable,
                         "null is refused all the same, because it is not in \"enum\"");
}

/* Without "type" the other keywords let all through that is of no concern to them. */
static void check_type(struct openapi_reader *reader, struct openapi_spot schema)
{
    struct openapi_spot properties = openapi_get(schema, "properties"), items = openapi_get(schema, "items");
    struct openapi_spot found = properties.node ? properties : items;
    bool part = schema.node->parent && schema.node->parent->kind == NODE_LIST; /* of an allOf, mostly */
    if (found.node && !part && !node_get(schema.node, "type") && !node_get(schema.node, "allOf"))
        openapi_tell(reader, FINDING_ADVICE, schema,
                     "has \"%s\" but no \"type\", so any value that is no %s fits, whatever it holds",
                     found.node->name.at, properties.node ? "object" : "array");
}

static void check_dialect(struct openapi_reader *reader, struct openapi_spot schema)
{
    struct openapi_spot dialect = openapi_get(schema, "$schema");
    if (dialect.node && dialect.node->kind == NODE_SCALAR &&
        !text_equal(dialect.node->text, TEXT("https://json-schema.org/draft/2020-12/schema")) &&
        !text_equal(dialect.node->text, TEXT("https://spec.openapis.org/oas/3.1/dialect/base")))
        openapi_tell(reader, FINDING_ERROR, dialect, "this dialect is not known here, expected 2020-12");
}

static void tell_unknown(struct openapi_reader *reader, struct openapi_spot member)
{
    const char *names[64], *name = member.node->name.at;
    size_t count = 0;
    if (openapi_is_extension(member.node))
        return;
    for (const struct openapi_keyword *keyword = openapi_keywords; keyword->name && count < 64; keyword++)
        if (keyword->kind != OPENAPI_KEYWORD_REFUSED)
            names[count++] = keyword->name;
    const char *near = findings_nearest(name, names, count);
    if (near)
        openapi_tell_key(reader, FINDING_ERROR, member, "is no keyword of schemas, did you mean \"%s\"?",
                         near);
    else if (openapi_tells(reader, arena_printf(reader->arena, "keyword %s", name)))
        openapi_tell_key(reader, FINDING_ADVICE, member,
                         "is no keyword of schemas, so it does nothing, here and elsewhere");
}

static bool is_schema(const struct node *node)
{
    bool value;
    return node->kind == NODE_MAP || openapi_value_bool(node, &value);
}

/* Values that are no schemas are left to the compiler, which tells what it expects. */
static void find_schemas(struct openapi_reader *reader, const struct openapi_keyword *keyword,
                         struct openapi_spot member)
{
    bool list = keyword->kind == OPENAPI_KEYWORD_LIST && member.node->kind == NODE_LIST;
    bool map = keyword->kind == OPENAPI_KEYWORD_MAP && member.node->kind == NODE_MAP;
    if (keyword->kind == OPENAPI_KEYWORD_SCHEMA && is_schema(member.node))
        openapi_schema_at(reader, member);
    for (size_t i = 0; (list || map) && i < member.node->count; i++)
        if (is_schema(member.node->items[i]))
            openapi_schema_at(reader, openapi_item(member, i));
}

static void judge_keyword(struct openapi_reader *reader, struct openapi_spot member)
{
    const struct openapi_keyword *keyword = openapi_keyword_find(member.node->name);
    if (!keyword) {
        tell_unknown(reader, member);
        return;
    }
    if (keyword->kind == OPENAPI_KEYWORD_REFUSED) {
        openapi_tell_key(reader, FINDING_ERROR, member, "is not supported, expected %s", keyword->instead);
        return;
    }
    if (keyword->traits & OPENAPI_SINCE_3_1 && keyword->kind != OPENAPI_KEYWORD_NOTE &&
        reader->openapi->version == OPENAPI_3_0 && openapi_tells(reader, keyword->name))
        openapi_tell_key(reader, FINDING_ADVICE, member,
                         "is a keyword of OpenAPI 3.1 and not of 3.0; it counts as if it were");
    find_schemas(reader, keyword, member);
}

/* OpenAPI 3.0.3, 4.7.23.1 */
static void judge_siblings(struct openapi_reader *reader, struct openapi_spot schema)
{
    static const char *const guards[] = {"nullable", "readOnly", "writeOnly", "discriminator"};
    for (size_t i = 0; i < schema.node->count; i++) {
        struct openapi_spot member = openapi_item(schema, i);
        const struct openapi_keyword *keyword = openapi_keyword_find(member.node->name);
        bool counts = keyword && keyword->kind != OPENAPI_KEYWORD_NOTE;
        for (size_t j = 0; j < sizeof guards / sizeof *guards; j++)
            counts = counts || text_equal(member.node->name, text_of(guards[j]));
        if (counts)
            openapi_tell_key(reader, FINDING_ADVICE, member,
                             "does nothing beside $ref in OpenAPI 3.0; expected it beside allOf: [$ref]");
    }
}

static void judge(struct openapi_reader *reader, struct openapi_schema *schema)
{
    struct openapi_spot spot = schema->spot;
    bool value;
    if (!is_schema(spot.node)) {
        openapi_tell(reader, FINDING_ERROR, spot, "expected a schema");
        return;
    }
    if (openapi_value_bool(spot.node, &value))
        return;
    openapi_schema_target(reader, schema);
    if (node_get(spot.node, "$ref") && reader->openapi->version == OPENAPI_3_0) {
        judge_siblings(reader, spot);
        return;
    }
    for (size_t i = 0; i < spot.node->count; i++)
        judge_keyword(reader, openapi_item(spot, i));
    check_format(reader, spot);
    check_nullable(reader, spot);
    check_type(reader, spot);
    check_dialect(reader, spot);
    reader->openapi->own->guarded[0] |= openapi_get_bool(reader, spot, "readOnly", &value) && value;
    reader->openapi->own->guarded[1] |= openapi_get_bool(reader, spot, "writeOnly", &value) && value;
    openapi_read_discriminator(reader, schema);
}

/* ---- what is made of itself */

static unsigned height_of(struct openapi_reader *, struct openapi_schema *, unsigned depth);

static unsigned height_of_parts(struct openapi_reader *reader, struct openapi_spot member,
                                const struct openapi_keyword *keyword, unsigned depth)
{
    unsigned height = 0;
    bool many = keyword->kind != OPENAPI_KEYWORD_SCHEMA;
    for (size_t i = 0; i < (many ? member.node->count : 1); i++) {
        struct openapi_schema *part =
            openapi_schema_known(reader->openapi->own, many ? member.node->items[i] : member.node);
        unsigned one = part ? height_of(reader, part, depth + 1) : 0;
        height = one > height ? one : height;
    }
    return height;
}

/* How many schemas it is made of in a row. No value could be judged by one that is made of itself. */
static unsigned height_of(struct openapi_reader *reader, struct openapi_schema *schema, unsigned depth)
{
    unsigned height = 0;
    if (schema->left)
        return schema->height;
    if (schema->entered || depth > OPENAPI_COMPOSITION_LIMIT) {
        openapi_tell(reader, FINDING_ERROR, schema->spot,
                     schema->entered ? "is made of itself, so that no value could be judged"
                                     : "is made of too many schemas that are made of each other");
        return 0;
    }
    schema->entered = true;
    if (schema->target)
        height = height_of(reader, (struct openapi_schema *)schema->target, depth + 1);
    for (size_t i = 0; i < schema->spot.node->count; i++) {
        struct openapi_spot member = openapi_item(schema->spot, i);
        const struct openapi_keyword *keyword =
            schema->spot.node->kind == NODE_MAP ? openapi_keyword_find(member.node->name) : NULL;
        unsigned one = keyword && keyword->traits & OPENAPI_IN_PLACE
                           ? height_of_parts(reader, member, keyword, depth)
                           : 0;
        height = one > height ? one : height;
    }
    schema->left = true;
    schema->height = height + 1;
    if (schema->height > OPENAPI_COMPOSITION_LIMIT)
        openapi_tell(reader, FINDING_ERROR, schema->spot,
                     "is made of too many schemas that are made of each other");
    return schema->height;
}

void openapi_judge_schemas(struct openapi_reader *reader)
{
    for (struct openapi_schema *schema = reader->first; schema; schema = schema->next)
        judge(reader, schema);
    for (struct openapi_schema *schema = reader->first; schema; schema = schema->next)
        height_of(reader, schema, 0);
}
