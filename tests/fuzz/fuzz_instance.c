/*
 * Fuzzing of instances: the first byte chooses one of the schemas below, which
 * have every keyword and format between them and are compiled once; the rest is
 * an instance. The verdict must be the same with and without a list of errors,
 * which must have an item exactly when the instance is refused, and every item
 * must point at something that can be in the instance.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "data/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With ' for ". */
static const char *const texts[] = {
    "{'properties':{'a':{'type':['integer','null'],'minimum':-3,'maximum':1e3,'multipleOf':0.01},"
    "'b':{'enum':[1,'x',[1.0],{'a':null}]},'c':{'const':{'a':[1,2]}},"
    "'d':{'exclusiveMinimum':9007199254740993,'exclusiveMaximum':1e30}},"
    "'patternProperties':{'^x-':{'minLength':2,'maxLength':5,'pattern':'^[\\\\w-]+$'}},"
    "'additionalProperties':{'type':'string'},'required':['a'],'minProperties':1,'maxProperties':5,"
    "'propertyNames':{'maxLength':9},'dependentRequired':{'b':['c']},"
    "'dependentSchemas':{'c':{'required':['d']}}}",

    "{'prefixItems':[{'type':'integer'},{'uniqueItems':true}],'contains':{'type':'string'},"
    "'minContains':1,'maxContains':2,'minItems':1,'maxItems':9,"
    "'unevaluatedItems':{'uniqueItems':true,'items':{'type':['array','number']}}}",

    "{'$dynamicAnchor':'node','type':['object','null','integer'],"
    "'anyOf':[{'properties':{'l':{'$dynamicRef':'#node'}}},{'required':['v']}],"
    "'oneOf':[{'properties':{'r':{'$ref':'#'}}},{'required':['v','r']}],"
    "'if':{'required':['v']},'then':{'properties':{'v':{'type':'integer'}}},"
    "'else':{'properties':{'w':true}},'not':{'required':['x','y']},"
    "'unevaluatedProperties':{'type':'boolean'}}",

    "{'properties':{'date-time':{'format':'date-time'},'date':{'format':'date'},'time':{'format':'time'},"
    "'duration':{'format':'duration'},'email':{'format':'email'},'idn-email':{'format':'idn-email'},"
    "'hostname':{'format':'hostname'},'idn-hostname':{'format':'idn-hostname'},'ipv4':{'format':'ipv4'},"
    "'ipv6':{'format':'ipv6'},'uri':{'format':'uri'},'uri-reference':{'format':'uri-reference'},"
    "'iri':{'format':'iri'},'iri-reference':{'format':'iri-reference'},'uuid':{'format':'uuid'},"
    "'regex':{'format':'regex'},'json-pointer':{'format':'json-pointer'},"
    "'relative-json-pointer':{'format':'relative-json-pointer'},'uri-template':{'format':'uri-template'}}}",

    "{'$schema':'https://json-schema.org/draft/2019-09/schema','$recursiveAnchor':true,"
    "'type':['array','object','number'],'items':[{'$recursiveRef':'#'},{'type':'number'}],"
    "'additionalItems':{'items':{'type':'object'}},'properties':{'a':{'$recursiveRef':'#'}},"
    "'unevaluatedProperties':false,'unevaluatedItems':false}",

    "{'$schema':'http://json-schema.org/draft-04/schema#','minimum':1,'exclusiveMinimum':true,'maximum':9,"
    "'multipleOf':0.1,'dependencies':{'a':['b'],'b':{'properties':{'c':{'type':'integer'}}}},"
    "'items':[{'$ref':'#'}],'additionalItems':false}",

    "{'uniqueItems':true,'items':{'$ref':'#'},'additionalProperties':{'$ref':'#'}}",
};

enum { COUNT = sizeof texts / sizeof *texts };

static const struct schema *schema_at(size_t index)
{
    static struct schema *schemas[COUNT];
    if (!schemas[index]) {
        struct schema_fault fault;
        char *text = strdup(texts[index]);
        for (char *quote = text; (quote = strchr(quote, '\''));)
            *quote = '"';
        schemas[index] = schema_parse(text_of(text), NULL, &fault);
        free(text);
    }
    assert(schemas[index]);
    return schemas[index];
}

static void judge(const struct schema *schema, const json_t *instance)
{
    struct arena *arena = arena_new();
    struct schema_errors all = schema_errors_new(arena, 100), one = schema_errors_new(arena, 1);
    bool valid = schema_validate(schema, instance, NULL);
    bool with_all = schema_validate(schema, instance, &all),
         with_one = schema_validate(schema, instance, &one);
    assert(valid == with_one && one.count == !valid);
    assert(with_all == valid && (all.count == 0) == valid);
    for (size_t i = 0; i < all.count; i++) {
        const struct schema_error *error = &all.items[i];
        assert(error->pointer[0] == '/' || error->pointer[0] == '\0');
        assert(error->keyword[0] && error->message[0]);
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_error_t problem;
    if (size < 1)
        return 0;
    const struct schema *schema = schema_at(data[0] % COUNT);
    json_t *instance = schema_json((struct text){(const char *)data + 1, size - 1}, &problem);
    if (instance)
        judge(schema, instance);
    json_decref(instance);
    return 0;
}
