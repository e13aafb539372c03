/*
 * The table of keywords: those of OpenAPI 3.0, and those that 3.1 has beside
 * them from JSON Schema 2020-12.
 */
#include "config.h"

#include "data/openapi_reader.h"

#define NEW      OPENAPI_SINCE_3_1
#define IN_PLACE OPENAPI_IN_PLACE
#define ASKS     OPENAPI_ASKS

const struct openapi_keyword openapi_keywords[] = {
    {"type", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"enum", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"const", OPENAPI_KEYWORD_VALUE, NEW, NULL},
    {"multipleOf", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"maximum", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"minimum", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"exclusiveMaximum", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"exclusiveMinimum", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"maxLength", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"minLength", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"pattern", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"format", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"maxItems", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"minItems", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"uniqueItems", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"maxContains", OPENAPI_KEYWORD_VALUE, NEW, NULL},
    {"minContains", OPENAPI_KEYWORD_VALUE, NEW, NULL},
    {"maxProperties", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"minProperties", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"required", OPENAPI_KEYWORD_VALUE, 0, NULL},
    {"dependentRequired", OPENAPI_KEYWORD_VALUE, NEW, NULL},
    {"properties", OPENAPI_KEYWORD_MAP, 0, NULL},
    {"patternProperties", OPENAPI_KEYWORD_MAP, NEW, NULL},
    {"additionalProperties", OPENAPI_KEYWORD_SCHEMA, 0, NULL},
    {"propertyNames", OPENAPI_KEYWORD_SCHEMA, NEW | ASKS, NULL},
    {"items", OPENAPI_KEYWORD_SCHEMA, 0, NULL},
    {"prefixItems", OPENAPI_KEYWORD_LIST, NEW, NULL},
    {"contains", OPENAPI_KEYWORD_SCHEMA, NEW | ASKS, NULL},
    {"unevaluatedItems", OPENAPI_KEYWORD_SCHEMA, NEW, NULL},
    {"unevaluatedProperties", OPENAPI_KEYWORD_SCHEMA, NEW, NULL},
    {"allOf", OPENAPI_KEYWORD_LIST, IN_PLACE, NULL},
    {"anyOf", OPENAPI_KEYWORD_LIST, IN_PLACE, NULL},
    {"oneOf", OPENAPI_KEYWORD_LIST, IN_PLACE, NULL},
    {"not", OPENAPI_KEYWORD_SCHEMA, IN_PLACE | ASKS, NULL},
    {"if", OPENAPI_KEYWORD_SCHEMA, NEW | IN_PLACE | ASKS, NULL},
    {"then", OPENAPI_KEYWORD_SCHEMA, NEW | IN_PLACE, NULL},
    {"else", OPENAPI_KEYWORD_SCHEMA, NEW | IN_PLACE, NULL},
    {"dependentSchemas", OPENAPI_KEYWORD_MAP, NEW | IN_PLACE, NULL},
    {"$ref", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"discriminator", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"nullable", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"readOnly", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"writeOnly", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"title", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"description", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"default", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"example", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"examples", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"xml", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"externalDocs", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"deprecated", OPENAPI_KEYWORD_NOTE, 0, NULL},
    {"contentMediaType", OPENAPI_KEYWORD_NOTE, NEW, NULL},
    {"contentEncoding", OPENAPI_KEYWORD_NOTE, NEW, NULL},
    {"contentSchema", OPENAPI_KEYWORD_NOTE, NEW, NULL},
    {"$schema", OPENAPI_KEYWORD_NOTE, NEW, NULL},
    {"$comment", OPENAPI_KEYWORD_NOTE, NEW, NULL},
    {"$defs", OPENAPI_KEYWORD_NOTE, NEW, NULL},
    {"definitions", OPENAPI_KEYWORD_NOTE, NEW, NULL},
    {"$id", OPENAPI_KEYWORD_REFUSED, 0, "references by files and pointers"},
    {"$anchor", OPENAPI_KEYWORD_REFUSED, 0, "references by files and pointers"},
    {"$dynamicAnchor", OPENAPI_KEYWORD_REFUSED, 0, "references by files and pointers"},
    {"$dynamicRef", OPENAPI_KEYWORD_REFUSED, 0, "$ref"},
    {"$recursiveAnchor", OPENAPI_KEYWORD_REFUSED, 0, "references by files and pointers"},
    {"$recursiveRef", OPENAPI_KEYWORD_REFUSED, 0, "$ref"},
    {"$vocabulary", OPENAPI_KEYWORD_REFUSED, 0, "the vocabulary of OpenAPI"},
    {"dependencies", OPENAPI_KEYWORD_REFUSED, 0, "dependentRequired or dependentSchemas"},
    {"additionalItems", OPENAPI_KEYWORD_REFUSED, 0, "prefixItems and items"},
    {NULL, OPENAPI_KEYWORD_NOTE, 0, NULL},
};

const struct openapi_keyword *openapi_keyword_find(struct text name)
{
    for (const struct openapi_keyword *keyword = openapi_keywords; keyword->name; keyword++)
        if (text_equal(text_of(keyword->name), name))
            return keyword;
    return NULL;
}
