/*
 * The reader of strangers' JSON.
 */
#include "config.h"

#include "identity/strict_json.h"

#include "data/json_body.h"

json_t *strict_json_object(struct text text)
{
    /* How long it may be is the caller's to say. */
    static const struct json_limits limits = {
        .depth = STRICT_JSON_DEPTH_LIMIT,
        .values = SIZE_MAX,
        .members = SIZE_MAX,
        .string = SIZE_MAX,
        .rounded = true,
    };
    struct defect defect = {0};
    json_t *value = json_body_read(text, &limits, &defect);
    if (value && !json_is_object(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

bool strict_json_string(const json_t *object, const char *key, struct text *string)
{
    const json_t *value = json_object_get(object, key);
    *string = (struct text){json_string_value(value), json_string_length(value)};
    return !value || json_is_string(value);
}

static void wipe_strings(json_t *value)
{
    size_t index;
    const char *key;
    json_t *member;
    if (json_is_string(value)) /* jansson's own buffer, which nobody else reads any more */
        explicit_bzero((char *)json_string_value(value), json_string_length(value));
    json_array_foreach(value, index, member)
    {
        wipe_strings(member);
    }
    json_object_foreach(value, key, member)
    {
        wipe_strings(member);
    }
}

void strict_json_wipe(json_t *value)
{
    if (!value)
        return;
    wipe_strings(value);
    json_decref(value);
}
