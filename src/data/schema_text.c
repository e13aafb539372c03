/*
 * Schemas and instances from JSON text, as strictly as JSON can be read: UTF-8,
 * no name twice in one object. jansson keeps no positions, so that of a fault is
 * looked for when there is one (schema_position.c).
 */
#include "config.h"

#include "data/schema.h"
#include "data/schema_position.h"

json_t *schema_json(struct text text, json_error_t *problem)
{
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    const char *at = text.at ? text.at : "";
    json_t *value = json_loadb(at, text.length, flags, problem);
    if (!value && json_error_code(problem) == json_error_numeric_overflow)
        value = json_loadb(at, text.length, flags | JSON_DECODE_INT_AS_REAL, problem);
    if (!value && problem->line < 1)
        problem->line = 1;
    if (!value && problem->column < 1)
        problem->column = 1;
    return value;
}

struct schema *schema_parse(struct text text, const struct schema_options *options,
                            struct schema_fault *fault)
{
    json_error_t problem;
    *fault = (struct schema_fault){0};
    json_t *value = schema_json(text, &problem);
    if (!value) {
        fault->line = (unsigned)problem.line;
        fault->column = (unsigned)problem.column;
        error_set(&fault->error, "is not JSON: %s", problem.text);
        return NULL;
    }
    struct schema *schema = schema_compile(value, options, fault);
    json_decref(value);
    if (!schema && fault->uri[0] == '\0')
        schema_position(text, text_of(fault->pointer), &fault->line, &fault->column);
    return schema;
}
