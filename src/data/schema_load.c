/*
 * Loading: walks a document along the keywords that hold subschemas, and notes
 * each identifier and anchor; "$id" within an enum or an unknown keyword is not
 * one.
 */
#include "config.h"

#include "data/schema_load.h"

#include "data/schema_uri.h"

enum { NESTING_LIMIT = 500 };

static const struct {
    const char *uri;
    enum schema_draft draft;
} dialects[] = {
    {"https://json-schema.org/draft/2020-12/schema", SCHEMA_DRAFT_2020_12},
    {"https://json-schema.org/draft/2019-09/schema", SCHEMA_DRAFT_2019_09},
    {"http://json-schema.org/draft-07/schema", SCHEMA_DRAFT_7},
    {"http://json-schema.org/draft-06/schema", SCHEMA_DRAFT_6},
    {"http://json-schema.org/draft-04/schema", SCHEMA_DRAFT_4},
};

static bool is_modern(enum schema_draft draft)
{
    return draft == SCHEMA_DRAFT_2020_12 || draft == SCHEMA_DRAFT_2019_09;
}

static struct text key_kept(struct arena *arena, const json_t *value)
{
    return (struct text){arena_copy(arena, &value, sizeof value), sizeof value};
}

static struct text string_of(const json_t *value)
{
    return (struct text){json_string_value(value), json_string_length(value)};
}

/* ---- dialects */

static bool take_vocabularies(struct loader *loader, struct resource *resource, const json_t *meta)
{
    static const struct {
        const char *end;
        unsigned vocabularies;
    } known[] = {
        {"/vocab/core", VOCABULARY_CORE},
        {"/vocab/applicator", VOCABULARY_APPLICATOR},
        {"/vocab/unevaluated", VOCABULARY_UNEVALUATED},
        {"/vocab/validation", VOCABULARY_VALIDATION},
        {"/vocab/format-annotation", VOCABULARY_FORMAT},
        {"/vocab/format-assertion", VOCABULARY_FORMAT},
        {"/vocab/format", VOCABULARY_FORMAT},
        {"/vocab/content", 0},
        {"/vocab/meta-data", 0},
    };
    json_t *vocabularies = json_object_get(meta, "$vocabulary");
    const char *uri;
    json_t *required;
    if (!json_is_object(vocabularies))
        return true;
    resource->vocabularies = VOCABULARY_CORE;
    if (resource->draft == SCHEMA_DRAFT_2019_09) /* there they are of the applicator vocabulary */
        resource->vocabularies |= VOCABULARY_UNEVALUATED;
    json_object_foreach(vocabularies, uri, required)
    {
        size_t i = 0, count = sizeof known / sizeof *known;
        while (i < count && !text_ends_with(text_of(uri), text_of(known[i].end)))
            i++;
        if (i < count)
            resource->vocabularies |= known[i].vocabularies;
        else if (json_is_true(required))
            return schema_load_fault(loader, resource, resource->root, "$schema",
                                     "needs a vocabulary that is not known");
    }
    return true;
}

static bool find_dialect(struct text uri, enum schema_draft *draft)
{
    if (text_ends_with(uri, TEXT("#")))
        uri.length--;
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++) {
        if (text_equal(uri, text_of(dialects[i].uri))) {
            *draft = dialects[i].draft;
            return true;
        }
    }
    return false;
}

json_t *schema_load_fetch(struct loader *loader, const char *uri, struct error *error)
{
    const struct schema_options *options = loader->options;
    json_t *document = schema_map_get(&loader->fetched, text_of(uri));
    if (document)
        return document;
    document = schema_meta(uri);
    if (!document && options->resolve)
        document = options->resolve(options->context, uri, error);
    else if (!document)
        error_set(error, "it is not in the schema, and nothing is fetched");
    if (!document || json_array_append_new(loader->documents, document) != 0)
        return NULL;
    schema_map_set(&loader->fetched, loader->arena, text_of(uri), document);
    return document;
}

/* A dialect of somebody's own: its "$schema" tells the draft. */
static bool take_own_dialect(struct loader *loader, struct resource *resource, const json_t *name)
{
    const char *uri = schema_uri_resolve(loader->arena, resource->uri, string_of(name));
    struct error error = {0};
    const json_t *meta = schema_load_fetch(loader, uri, &error);
    if (!meta)
        return schema_load_fault(loader, resource, resource->root, "$schema",
                                 "the dialect is not known, expected draft 4, 6, 7, 2019-09 or 2020-12");
    const json_t *base = json_object_get(meta, "$schema");
    if (!json_is_string(base) || !find_dialect(string_of(base), &resource->draft))
        return schema_load_fault(loader, resource, resource->root, "$schema",
                                 "the dialect is of no known draft");
    return take_vocabularies(loader, resource, meta);
}

static bool take_dialect(struct loader *loader, struct resource *resource, const json_t *value)
{
    const json_t *name = json_object_get(value, "$schema");
    if (!name)
        return true;
    if (!json_is_string(name))
        return schema_load_expects(loader, resource, resource->root, "$schema", name, "the URI of a dialect");
    resource->vocabularies = VOCABULARY_ALL;
    return find_dialect(string_of(name), &resource->draft) || take_own_dialect(loader, resource, name);
}

/* ---- the walk */

static bool walk(struct loader *, struct resource *, const json_t *, size_t depth);

static bool walk_list(struct loader *loader, struct resource *resource, const json_t *list, size_t depth)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!walk(loader, resource, json_array_get(list, i), depth))
            return false;
    return true;
}

static bool walk_map(struct loader *loader, struct resource *resource, const json_t *map, size_t depth)
{
    json_t *object = (json_t *)map; /* jansson's iterators want it so */
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        if (!walk(loader, resource, json_object_iter_value(at), depth))
            return false;
    return true;
}

static bool walk_keywords(struct loader *loader, struct resource *resource, const json_t *schema,
                          size_t depth)
{
    for (const struct keyword *row = schema_keywords; row->name; row++) {
        const json_t *value = row->shape == SHAPE_NONE ? NULL : json_object_get(schema, row->name);
        if (!value || !(row->drafts & 1u << resource->draft))
            continue;
        bool list = json_is_array(value) && (row->shape == SHAPE_LIST || row->shape == SHAPE_ONE_OR_LIST);
        bool map = row->shape == SHAPE_MAP || row->shape == SHAPE_DEPENDENCIES;
        if (!(list  ? walk_list(loader, resource, value, depth)
              : map ? walk_map(loader, resource, value, depth)
                    : walk(loader, resource, value, depth)))
            return false;
    }
    return true;
}

static bool add_anchor(struct loader *loader, struct resource *resource, struct text name,
                       const json_t *value, bool dynamic)
{
    const json_t *known = schema_map_get(&resource->anchors, name);
    if (known && known != value)
        return schema_load_fault(loader, resource, value, dynamic ? "$dynamicAnchor" : NULL,
                                 "the anchor is named twice");
    schema_map_set(&resource->anchors, loader->arena, name, (void *)value);
    if (dynamic) {
        schema_map_set(&resource->dynamic_anchors, loader->arena, name, (void *)value);
        loader->found(loader->context, resource, name, value);
    }
    return true;
}

/* Text that is a part of URIs, too. */
static bool is_name(const json_t *value)
{
    return json_string_length(value) > 0 && strlen(json_string_value(value)) == json_string_length(value);
}

static bool add_anchors(struct loader *loader, struct resource *resource, const json_t *value)
{
    if (!is_modern(resource->draft))
        return true;
    const json_t *anchor = json_object_get(value, "$anchor"),
                 *dynamic = json_object_get(value, "$dynamicAnchor");
    if (anchor && !is_name(anchor))
        return schema_load_expects(loader, resource, value, "$anchor", anchor, "a name");
    if (anchor && !add_anchor(loader, resource, string_of(anchor), value, false))
        return false;
    if (resource->draft == SCHEMA_DRAFT_2019_09)
        return !(value == resource->root && json_is_true(json_object_get(value, "$recursiveAnchor"))) ||
               add_anchor(loader, resource, TEXT(""), value, true);
    if (dynamic && !is_name(dynamic))
        return schema_load_expects(loader, resource, value, "$dynamicAnchor", dynamic, "a name");
    return !dynamic || add_anchor(loader, resource, string_of(dynamic), value, true);
}

static struct resource *new_resource(struct loader *loader, const struct resource *outer, const json_t *root,
                                     const char *uri)
{
    struct resource *resource = arena_alloc(loader->arena, sizeof *resource);
    resource->uri = uri;
    resource->root = root;
    resource->draft = outer->draft;
    resource->vocabularies = outer->vocabularies;
    resource->document = outer->document;
    resource->document_root = outer->document_root;
    schema_map_set(&loader->by_root, loader->arena, key_kept(loader->arena, root), resource);
    return resource;
}

/* The resource that the value's identifier begins, or the one it is in. */
static struct resource *identify(struct loader *loader, struct resource *outer, const json_t *value)
{
    bool modern = is_modern(outer->draft);
    const char *keyword = outer->draft == SCHEMA_DRAFT_4 ? "id" : "$id";
    const json_t *id = json_object_get(value, keyword);
    if (json_object_get(value, "$schema")) /* another draft may name it otherwise */
        id = id ? id : json_object_get(value, outer->draft == SCHEMA_DRAFT_4 ? "$id" : "id");
    if (!json_is_string(id) || (!modern && json_object_get(value, "$ref")))
        return outer;
    struct text name = string_of(id);
    size_t hash = text_find(name, '#');
    if (!modern && hash + 1 < name.length &&
        !add_anchor(loader, outer, text_from(name, hash + 1), value, false))
        return NULL;
    if (hash == 0)
        return outer;
    const char *uri = schema_uri_resolve(loader->arena, outer->uri, name);
    struct resource *resource = schema_map_get(&loader->by_uri, text_of(uri));
    if (resource && resource->root != value && resource->root != outer->root) {
        schema_load_fault(loader, outer, value, keyword, "is the URI of another subschema, too");
        return NULL;
    }
    if (outer->root == value) /* the root of a document names itself */
        resource = outer;
    else
        resource = new_resource(loader, outer, value, uri);
    resource->uri = uri;
    schema_map_set(&loader->by_uri, loader->arena, text_of(uri), resource);
    return resource == outer || take_dialect(loader, resource, value) ? resource : NULL;
}

static bool walk(struct loader *loader, struct resource *resource, const json_t *value, size_t depth)
{
    if (!json_is_object(value))
        return true;
    if (depth > NESTING_LIMIT)
        return schema_load_fault(loader, resource, value, NULL, "is nested too deeply");
    resource = identify(loader, resource, value);
    return resource && add_anchors(loader, resource, value) &&
           walk_keywords(loader, resource, value, depth + 1);
}

struct resource *schema_load(struct loader *loader, json_t *document, const char *uri,
                             enum schema_draft draft)
{
    struct resource outer = {
        .draft = draft, .vocabularies = VOCABULARY_ALL, .document = uri, .document_root = document};
    struct resource *resource = new_resource(loader, &outer, document, uri);
    schema_map_set(&loader->by_uri, loader->arena, text_of(uri), resource);
    if (!take_dialect(loader, resource, document) || !walk(loader, resource, document, 0))
        return NULL;
    return resource;
}
