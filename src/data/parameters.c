/*
 * One pass from semicolon to semicolon.
 */
#include "config.h"

#include "data/parameters.h"

static struct text skip_blanks(struct text text)
{
    while (text.length > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = text_from(text, 1);
    return text;
}

/* Takes a token or a quoted string off the front. */
static const char *take_value(struct text *rest, struct text *value)
{
    bool quoted = rest->length > 0 && rest->at[0] == '"';
    if (quoted) {
        *rest = text_from(*rest, 1);
        value->at = rest->at;
        value->length = text_find(*rest, '"');
        if (value->length == rest->length)
            return "has a quoted string that does not end";
        *rest = text_from(*rest, value->length + 1);
        return text_find(*value, '\\') < value->length ? "has a backslash in a quoted string" : NULL;
    }
    size_t length = text_find(*rest, ';');
    *value = text_trim((struct text){rest->at, length});
    *rest = text_from(*rest, length);
    return text_is_token(*value) && text_find(*value, '\'') == value->length
               ? NULL
               : "has a parameter whose value is not a token or quoted";
}

/* From behind a semicolon. */
static const char *take_parameter(struct text *rest, struct parameters *parameters)
{
    struct parameter parameter;
    *rest = skip_blanks(*rest);
    size_t length = text_find(*rest, '=');
    parameter.name = (struct text){rest->at, length};
    if (!text_is_token(parameter.name) || length == rest->length)
        return "has a semicolon without a parameter behind it";
    *rest = text_from(*rest, length + 1);
    const char *fault = take_value(rest, &parameter.value);
    *rest = skip_blanks(*rest);
    if (fault)
        return fault;
    if (rest->length > 0 && rest->at[0] != ';')
        return "has something behind a quoted string";
    for (size_t i = 0; i < parameters->count; i++)
        if (text_equal_ignore_case(parameters->items[i].name, parameter.name))
            return "has a parameter twice";
    if (parameters->count == PARAMETERS_LIMIT)
        return "has too many parameters";
    parameters->items[parameters->count++] = parameter;
    return NULL;
}

const char *parameters_read(struct text text, struct parameters *parameters)
{
    size_t length = text_find(text, ';');
    struct text rest = text_from(text, length);
    *parameters = (struct parameters){.value = text_trim((struct text){text.at, length})};
    while (rest.length > 0) {
        rest = text_from(rest, 1);
        const char *fault = take_parameter(&rest, parameters);
        if (fault)
            return fault;
    }
    return NULL;
}

const struct text *parameters_get(const struct parameters *parameters, const char *name)
{
    for (size_t i = 0; i < parameters->count; i++)
        if (text_equal_ignore_case(parameters->items[i].name, text_of(name)))
            return &parameters->items[i].value;
    return NULL;
}
