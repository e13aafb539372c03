/*
 * Fuzzing of schemas: the first line is a schema, the rest an instance. The
 * verdict must be the same with and without a list of errors, which must have
 * an item exactly when the instance is refused; and a schema that does not
 * compile must say why. The first byte chooses the draft.
 */
#include "config.h"

#include <assert.h>

#include "data/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_instance(const struct schema *schema, struct text text)
{
    json_error_t problem;
    json_t *instance = schema_json(text, &problem);
    if (!instance)
        return;
    struct arena *arena = arena_new();
    struct schema_errors all = schema_errors_new(arena, 100), one = schema_errors_new(arena, 1);
    bool valid = schema_validate(schema, instance, NULL);
    bool with_all = schema_validate(schema, instance, &all),
         with_one = schema_validate(schema, instance, &one);
    assert(valid == with_one && one.count == !valid);
    /* Whoever looks for all errors may run into a limit that the first one hides; that is a refusal, too. */
    assert(with_all == valid && (all.count == 0) == valid);
    arena_free(arena);
    json_decref(instance);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct text text = {(const char *)data + 1, size - 1};
    struct schema_options options = {.draft = data[0] % (SCHEMA_DRAFT_4 + 1)};
    struct schema_fault fault;
    size_t end = text_find(text, '\n');
    struct schema *schema = schema_parse((struct text){text.at, end}, &options, &fault);
    if (schema)
        check_instance(schema, text_from(text, end + 1));
    else
        assert(fault.error.set && fault.error.message[0]);
    schema_free(schema);
    return 0;
}
