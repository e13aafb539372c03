/*
 * Nodes as JSON values. What JSON itself writes is read by the strict reader;
 * the other spellings are those of YAML's core schema.
 */
#include "config.h"

#include "data/openapi_reader.h"

#include <math.h>
#include <stdlib.h>

#include "data/json_number.h"
#include "data/schema.h"

json_t *openapi_json(json_t *value)
{
    if (!value)
        abort();
    return value;
}

void openapi_set(json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, openapi_json(value)) != 0)
        abort();
}

void openapi_append(json_t *list, json_t *value)
{
    if (json_array_append_new(list, openapi_json(value)) != 0)
        abort();
}

bool openapi_value_bool(const struct node *node, bool *value)
{
    static const char *const words[] = {"false", "False", "FALSE", "true", "True", "TRUE"};
    for (size_t i = 0; node->kind == NODE_SCALAR && node->plain && i < 6; i++) {
        if (!text_equal(node->text, text_of(words[i])))
            continue;
        *value = i >= 3;
        return true;
    }
    return false;
}

static bool is_json_number(struct text text)
{
    size_t length;
    enum json_number judged = json_number_judge(text, true, &length);
    return judged != JSON_NUMBER_MALFORMED && length == text.length;
}

/* 0x1f and 0o17; the C library reads more than YAML does. */
static bool read_based(const char *text, long long *value)
{
    int base = text[0] != '0' ? 0 : text[1] == 'x' ? 16 : text[1] == 'o' ? 8 : 0;
    const char *digits = base == 16 ? "0123456789abcdefABCDEF" : "01234567";
    char *end;
    if (base == 0 || text[2] == '\0' || strspn(text + 2, digits) != strlen(text + 2) || strlen(text) > 17)
        return false;
    *value = strtoll(text + 2, &end, base);
    return *end == '\0';
}

/* Digits with a point, a sign or an exponent in places where JSON has none: +1, 007, .5, 1. */
static bool read_decimal(const char *text, double *value)
{
    const char *at = text + strspn(text, "+-");
    size_t whole = strspn(at, "0123456789"), fraction = 0;
    if (at - text > 1)
        return false;
    at += whole;
    if (*at == '.') {
        fraction = strspn(at + 1, "0123456789");
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return false;
    if (*at == 'e' || *at == 'E') {
        at += 1 + (at[1] == '+' || at[1] == '-');
        if (!*at)
            return false;
        at += strspn(at, "0123456789");
    }
    if (*at)
        return false;
    *value = strtod(text, NULL);
    return true;
}

/* A number that JSON has not, as .inf or 1e999, stays the text that it is: no number is equal to it. */
static json_t *number_or_string(const struct node *node)
{
    json_error_t problem;
    json_t *value = is_json_number(node->text) ? schema_json(node->text, &problem) : NULL;
    long long integer;
    double real;
    if (value)
        return value;
    if (read_based(node->text.at, &integer))
        return openapi_json(json_integer(integer));
    if (!read_decimal(node->text.at, &real) || !isfinite(real))
        return openapi_json(json_stringn(node->text.at, node->text.length));
    return real == trunc(real) && fabs(real) < 1e15 ? openapi_json(json_integer((json_int_t)real))
                                                    : openapi_json(json_real(real));
}

static json_t *list_of(const struct node *node)
{
    json_t *list = openapi_json(json_array());
    for (size_t i = 0; i < node->count; i++)
        openapi_append(list, openapi_value(node->items[i]));
    return list;
}

static json_t *map_of(const struct node *node)
{
    json_t *map = openapi_json(json_object());
    for (size_t i = 0; i < node->count; i++)
        openapi_set(map, node->items[i]->name.at, openapi_value(node->items[i]));
    return map;
}

json_t *openapi_value(const struct node *node)
{
    bool value;
    if (node->kind == NODE_NULL)
        return json_null();
    if (node->kind == NODE_LIST)
        return list_of(node);
    if (node->kind == NODE_MAP)
        return map_of(node);
    if (openapi_value_bool(node, &value))
        return json_boolean(value);
    return node->plain ? number_or_string(node)
                       : openapi_json(json_stringn(node->text.at, node->text.length));
}
