/*
 * Fuzz target: any bytes as a description of an API, JSON when they begin with
 * a brace, else YAML. What is read without errors must be fit for use: each
 * schema compiles, in requests and in responses, closed and open.
 */
#include "config.h"

#include <stdlib.h>

#include "data/openapi.h"
#include "data/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compile(const struct openapi *openapi, const struct openapi_schema *schema)
{
    for (int i = 0; schema && i < 4; i++) {
        struct error error = {0};
        struct schema_fault fault;
        json_t *value = openapi_schema(openapi, schema,
                                       (struct openapi_view){.response = i & 1, .closed = i & 2}, &error);
        if (!value)
            continue; /* it is too large */
        struct schema *compiled = schema_compile(value, NULL, &fault);
        if (!compiled)
            abort();
        schema_validate(compiled, value, NULL);
        schema_free(compiled);
        json_decref(value);
    }
}

static void compile_contents(const struct openapi *openapi, const struct openapi_contents *contents)
{
    for (size_t i = 0; i < contents->count; i++)
        compile(openapi, contents->items[i].schema);
}

static void use(const struct openapi *openapi)
{
    for (size_t i = 0; i < openapi->operation_count; i++) {
        const struct openapi_operation *operation = &openapi->operations[i];
        if (!operation->method || !operation->path || !operation->base || operation->segment_count == 0)
            abort();
        for (size_t j = 0; j < operation->parameter_count; j++)
            compile(openapi, operation->parameters[j].schema);
        compile_contents(openapi, &operation->body);
        for (size_t j = 0; j < operation->response_count; j++)
            compile_contents(openapi, &operation->responses[j].contents);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct findings findings = findings_new(arena, "api");
    struct text content = {(const char *)data, size};
    bool json = size > 0 && data[0] == '{';
    struct openapi *openapi = openapi_parse(content, "/no such folder/api", json, &findings);
    if (!openapi != (findings.errors > 0))
        abort();
    if (openapi)
        use(openapi);
    openapi_free(openapi);
    arena_free(arena);
    return 0;
}
