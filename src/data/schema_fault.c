/*
 * Faults: what is wrong with a schema, in words and as a JSON Pointer. A value
 * does not know where it stands, so it is looked for when there is a fault.
 */
#include "config.h"

#include <stdio.h>

#include "data/schema_load.h"

static bool find_pointer(const json_t *value, const json_t *target, struct text *pointer, size_t size);

/* On, if `value`, which stands under `name`, is or holds the target. */
static bool find_below(const json_t *value, const char *name, const json_t *target, struct text *pointer,
                       size_t size)
{
    char *to = (char *)pointer->at;
    size_t before = pointer->length, at = before;
    to[at++] = '/';
    for (; *name && at + 3 < size; name++) {
        bool escaped = *name == '~' || *name == '/'; /* RFC 6901, 3 */
        to[at++] = escaped ? '~' : *name;
        if (escaped)
            to[at++] = *name == '~' ? '0' : '1';
    }
    pointer->length = at;
    if (!*name && at + 3 < size && find_pointer(value, target, pointer, size))
        return true;
    pointer->length = before;
    return false;
}

/* Writes the way to `target` behind `pointer`; false when there is none that fits. */
static bool find_pointer(const json_t *value, const json_t *target, struct text *pointer, size_t size)
{
    json_t *object = (json_t *)value; /* jansson's iterators want it so */
    if (value == target)
        return true;
    for (size_t i = 0; i < json_array_size(value); i++) {
        char name[24];
        snprintf(name, sizeof name, "%zu", i);
        if (find_below(json_array_get(value, i), name, target, pointer, size))
            return true;
    }
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at))
        if (find_below(json_object_iter_value(at), json_object_iter_key(at), target, pointer, size))
            return true;
    return false;
}

static size_t write_pointer(struct schema_fault *fault, const struct resource *resource, const json_t *value)
{
    struct text pointer = {fault->pointer, 0};
    find_pointer(resource->document_root, value, &pointer, sizeof fault->pointer);
    fault->pointer[pointer.length] = '\0';
    return pointer.length;
}

bool schema_load_fault(struct loader *loader, const struct resource *resource, const json_t *value,
                       const char *keyword, const char *format, ...)
{
    struct schema_fault *fault = loader->fault;
    char message[256];
    va_list arguments;
    if (fault->error.set)
        return false;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (resource->document_root != json_array_get(loader->documents, 0))
        snprintf(fault->uri, sizeof fault->uri, "%s", resource->document);
    fault->keyword = keyword;
    size_t length = write_pointer(fault, resource, value);
    if (keyword)
        snprintf(fault->pointer + length, sizeof fault->pointer - length, "/%s", keyword);
    return error_set(&fault->error, "%s", message);
}

/* "is 5, expected a string"; true, false and null cannot be found again, for there is one of each. */
bool schema_load_expects(struct loader *loader, const struct resource *resource, const json_t *subschema,
                         const char *keyword, const json_t *value, const char *expected)
{
    char text[40];
    const char *what = json_is_object(value)        ? "an object"
                       : json_array_size(value) > 0 ? "a list"
                       : json_is_array(value)       ? "an empty list"
                                                    : "a string";
    size_t length = json_dumpb(value, text, sizeof text, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    bool scalar = !json_is_object(value) && !json_is_array(value), first = !loader->fault->error.set;
    if (scalar && length > 0 && length < sizeof text) {
        text[length] = '\0';
        what = text;
    }
    schema_load_fault(loader, resource, subschema, keyword, "is %s, expected %s", what, expected);
    if (first && !json_is_boolean(value) && !json_is_null(value))
        write_pointer(loader->fault, resource, value);
    return false;
}
