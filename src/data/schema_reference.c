/*
 * References: from the text of one to the value it means, by the identifiers
 * and anchors that schema_load.c found, or along a JSON Pointer.
 */
#include "config.h"

#include "data/schema_load.h"
#include "data/schema_uri.h"

static struct text key_of(const json_t *const *value)
{
    return (struct text){(const char *)value, sizeof *value};
}

static struct resource *find_resource(struct loader *loader, const struct origin *origin, const char *uri)
{
    struct resource *resource = schema_map_get(&loader->by_uri, text_of(uri));
    if (resource)
        return resource;
    struct error error = {0};
    json_t *document = *uri ? schema_load_fetch(loader, uri, &error) : NULL;
    if (!document) {
        schema_load_fault(loader, origin->resource, origin->subschema, origin->keyword,
                          "the reference to %.80s leads nowhere%s%.160s", uri, error.set ? ": " : "",
                          error.message);
        return NULL;
    }
    return schema_load(loader, document, uri, loader->options->draft);
}

/* One step of a JSON Pointer (RFC 6901). */
static const json_t *step(struct arena *arena, const json_t *value, struct text token)
{
    uint64_t index;
    if (json_is_array(value))
        return text_number(token, SIZE_MAX, &index) && (token.length == 1 || token.at[0] != '0')
                   ? json_array_get(value, (size_t)index)
                   : NULL;
    char *name = arena_alloc(arena, token.length + 1);
    size_t length = 0;
    for (size_t i = 0; i < token.length; i++) {
        name[length++] = token.at[i];
        if (token.at[i] == '~' && i + 1 < token.length && (token.at[i + 1] == '0' || token.at[i + 1] == '1'))
            name[length - 1] = token.at[++i] == '0' ? '~' : '/';
    }
    return json_object_getn(value, name, length);
}

static const json_t *follow(struct loader *loader, struct text pointer, struct resource **resource)
{
    const json_t *value = (*resource)->root;
    while (value && pointer.length > 0) {
        pointer = text_from(pointer, 1);
        size_t end = text_find(pointer, '/');
        value = step(loader->arena, value, (struct text){pointer.at, end});
        pointer = text_from(pointer, end);
        struct resource *inner = schema_map_get(&loader->by_root, key_of(&value));
        if (inner && json_is_object(value))
            *resource = inner;
    }
    return value;
}

const json_t *schema_load_reference(struct loader *loader, const struct origin *origin, const char *reference,
                                    struct resource **resource, const char **dynamic)
{
    struct text fragment;
    const json_t *value = NULL;
    *dynamic = NULL;
    *resource = find_resource(loader, origin,
                              schema_uri_resolve(loader->arena, origin->resource->uri, text_of(reference)));
    if (!*resource)
        return NULL;
    if (!schema_uri_fragment(loader->arena, text_of(reference), &fragment)) {
        schema_load_fault(loader, origin->resource, origin->subschema, origin->keyword,
                          "the reference has a broken escape");
        return NULL;
    }
    if (fragment.length == 0 || fragment.at[0] == '/') {
        value = follow(loader, fragment, resource);
        if (fragment.length == 0 && schema_map_get(&(*resource)->dynamic_anchors, TEXT("")))
            *dynamic = "";
    } else {
        value = schema_map_get(&(*resource)->anchors, fragment);
        if (schema_map_get(&(*resource)->dynamic_anchors, fragment))
            *dynamic = fragment.at;
    }
    if (!value)
        schema_load_fault(loader, origin->resource, origin->subschema, origin->keyword,
                          "the reference %.100s leads nowhere", reference);
    return value;
}
