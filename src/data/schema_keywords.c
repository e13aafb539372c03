/*
 * The table of keywords: one row for each meaning a keyword has in some drafts.
 * A keyword that is not here says nothing about validity. Cheap checks stand
 * first; those that ask what was evaluated stand last.
 */
#include "config.h"

#include "data/schema_form.h"

#define D4      (1u << SCHEMA_DRAFT_4)
#define D6      (1u << SCHEMA_DRAFT_6)
#define D7      (1u << SCHEMA_DRAFT_7)
#define D19     (1u << SCHEMA_DRAFT_2019_09)
#define D20     (1u << SCHEMA_DRAFT_2020_12)
#define ALL     (D4 | D6 | D7 | D19 | D20)
#define SINCE6  (D6 | D7 | D19 | D20)
#define SINCE7  (D7 | D19 | D20)
#define SINCE19 (D19 | D20)
#define UNTIL7  (D4 | D6 | D7)
#define UNTIL19 (UNTIL7 | D19)

const struct keyword schema_keywords[] = {
    {"type", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_type},
    {"const", SINCE6, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_const},
    {"enum", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_enum},
    {"minimum", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_bound},
    {"maximum", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_bound},
    {"exclusiveMinimum", SINCE6, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_bound},
    {"exclusiveMaximum", SINCE6, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_bound},
    {"multipleOf", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_multiple},
    {"minLength", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_length},
    {"maxLength", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_length},
    {"format", ALL, VOCABULARY_FORMAT, SHAPE_NONE, schema_compile_format},
    {"pattern", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_pattern},
    {"minItems", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_count},
    {"maxItems", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_count},
    {"minProperties", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_count},
    {"maxProperties", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_count},
    {"required", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_required},
    {"dependentRequired", SINCE19, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_dependencies},
    {"uniqueItems", ALL, VOCABULARY_VALIDATION, SHAPE_NONE, schema_compile_unique},
    /* These three are one check, which the first of them makes. */
    {"properties", ALL, VOCABULARY_APPLICATOR, SHAPE_MAP, schema_compile_members},
    {"patternProperties", ALL, VOCABULARY_APPLICATOR, SHAPE_MAP, schema_compile_members},
    {"additionalProperties", ALL, VOCABULARY_APPLICATOR, SHAPE_ONE, schema_compile_members},
    {"propertyNames", SINCE6, VOCABULARY_APPLICATOR, SHAPE_ONE, schema_compile_names},
    {"prefixItems", D20, VOCABULARY_APPLICATOR, SHAPE_LIST, schema_compile_items},
    {"items", D20, VOCABULARY_APPLICATOR, SHAPE_ONE, schema_compile_items},
    {"items", UNTIL19, VOCABULARY_APPLICATOR, SHAPE_ONE_OR_LIST, schema_compile_items},
    {"additionalItems", UNTIL19, VOCABULARY_APPLICATOR, SHAPE_ONE, NULL}, /* see "items" */
    {"contains", SINCE6, VOCABULARY_APPLICATOR, SHAPE_ONE, schema_compile_contains},
    {"$ref", ALL, VOCABULARY_CORE, SHAPE_NONE, schema_compile_reference},
    {"$dynamicRef", D20, VOCABULARY_CORE, SHAPE_NONE, schema_compile_dynamic_reference},
    {"$recursiveRef", D19, VOCABULARY_CORE, SHAPE_NONE, schema_compile_dynamic_reference},
    {"allOf", ALL, VOCABULARY_APPLICATOR, SHAPE_LIST, schema_compile_all},
    {"anyOf", ALL, VOCABULARY_APPLICATOR, SHAPE_LIST, schema_compile_any},
    {"oneOf", ALL, VOCABULARY_APPLICATOR, SHAPE_LIST, schema_compile_one},
    {"not", ALL, VOCABULARY_APPLICATOR, SHAPE_ONE, schema_compile_not},
    {"if", SINCE7, VOCABULARY_APPLICATOR, SHAPE_ONE, schema_compile_if},
    {"then", SINCE7, VOCABULARY_APPLICATOR, SHAPE_ONE, NULL},
    {"else", SINCE7, VOCABULARY_APPLICATOR, SHAPE_ONE, NULL},
    {"dependentSchemas", SINCE19, VOCABULARY_APPLICATOR, SHAPE_MAP, schema_compile_dependencies},
    {"dependencies", ALL, VOCABULARY_APPLICATOR, SHAPE_DEPENDENCIES, schema_compile_dependencies},
    {"unevaluatedItems", SINCE19, VOCABULARY_UNEVALUATED, SHAPE_ONE, schema_compile_unevaluated_items},
    {"unevaluatedProperties", SINCE19, VOCABULARY_UNEVALUATED, SHAPE_ONE,
     schema_compile_unevaluated_properties},
    {"$defs", SINCE19, VOCABULARY_CORE, SHAPE_MAP, schema_compile_definitions},
    {"definitions", ALL, VOCABULARY_CORE, SHAPE_MAP, schema_compile_definitions},
    {"contentSchema", SINCE19, VOCABULARY_CORE, SHAPE_ONE, NULL},
    {NULL, 0, 0, 0, NULL},
};
