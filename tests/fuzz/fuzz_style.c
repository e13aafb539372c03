/*
 * Fuzz target: the query of an operation. The first byte chooses how its parameters are written, the
 * rest is the query. What is made of it is an object whose members are described or were sent under their
 * name, or there is one fault with a word; and described objects and lists hold nothing
 * that was not sent.
 */
#include "config.h"

#include <stdlib.h>

#include "guard/content.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema[] =
    "{\"properties\":{\"n\":{\"type\":\"integer\"},\"b\":{\"type\":\"boolean\"},\"l\":{\"type\":\"array\","
    "\"items\":{"
    "\"type\":\"number\"}},\"o\":{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"integer\"},\"t\":{"
    "\"type\":\"array\"}}},"
    "\"p\":{\"allOf\":[{\"$ref\":\"#/properties/o\"}],\"additionalProperties\":{\"type\":\"integer\"}}}}";

static bool is_sent(const struct form *form, struct text name)
{
    for (size_t i = 0; i < form->count; i++)
        if (text_equal(form->items[i].name, name))
            return true;
    return false;
}

static void check_value(const struct shape *shape, const struct form *form, json_t *value)
{
    const char *key;
    size_t length;
    json_t *member;
    MUST(json_is_object(value));
    json_object_keylen_foreach(value, key, length, member)
    {
        struct text name = {key, length};
        MUST(shape_find(shape, name) || is_sent(form, name));
        MUST(!json_is_array(member) || json_array_size(member) > 0 || shape_find(shape, name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct form_limits limits = {.pairs = 32, .name = 64, .value = 1024};
    if (size < 1)
        return 0;
    enum content_style style = data[0] % (STYLE_JSON + 1);
    bool explode = data[0] & 0x40, empty = data[0] & 0x80;
    const struct content_writing writings[] = {{"n", STYLE_FORM, true, empty},
                                               {"l", style, explode, empty},
                                               {"o", style, explode, false},
                                               {"p", style, !explode, empty},
                                               {0}};
    struct arena *arena = arena_new();
    json_t *source = json_loads(schema, 0, NULL);
    const struct shape_references references = {shape_find_local, source};
    struct content content = {.trims = explode};
    struct error error = {0};
    struct defect defect = {0};
    struct form form;
    struct text query = {(const char *)data + 1, size - 1};
    MUST(source && shape_make(source, &references, writings, arena, &content.shape, &error));
    if (form_read(query, &limits, arena, &form, &defect)) {
        json_t *value = content_convert(&content, &form, &defect);
        MUST(!value == !!defect.word);
        if (value)
            check_value(&content.shape, &form, value);
        json_decref(value);
    }
    json_decref(source);
    arena_free(arena);
    return 0;
}
