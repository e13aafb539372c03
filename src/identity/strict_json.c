/*
 * The reader of strangers' JSON.
 */
#include "config.h"

#include "identity/strict_json.h"

/* jansson recurses 2048 levels deep; this is counted before it starts. Brackets
 * in strings are told apart, all else is jansson's to judge. */
static bool depth_is_within(struct text text, size_t limit)
{
    size_t depth = 0;
    bool string = false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (c == '"')
            string = !string;
        else if (string && c == '\\')
            i++;
        else if (!string && (c == '{' || c == '[') && ++depth > limit)
            return false;
        else if (!string && (c == '}' || c == ']') && depth-- == 0)
            return false;
    }
    return true;
}

json_t *strict_json_object(struct text text)
{
    if (text.length == 0 || !depth_is_within(text, STRICT_JSON_DEPTH_LIMIT))
        return NULL;
    /* Without JSON_ALLOW_NUL a string cannot hold one. */
    json_t *value = json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES, NULL);
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
