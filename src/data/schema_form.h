/*
 * The compiled form, for the files of the schema compiler and validator alone.
 * Everything in it lives in the schema's arena and is constant once compiled;
 * what one validation needs is in struct run, on its thread's stack.
 */
#ifndef DATA_SCHEMA_FORM_H
#define DATA_SCHEMA_FORM_H

#include "data/schema.h"
#include "data/schema_map.h"
#include "data/schema_number.h"
#include "data/schema_pattern.h"

enum { JSON_TYPE_COUNT = JSON_NULL + 1 };

/* Sets of jansson's types. */
#define TYPE_BIT(type) (1u << (type))
#define TYPES_NUMBER   (TYPE_BIT(JSON_INTEGER) | TYPE_BIT(JSON_REAL))
#define TYPES_ALL      ((1u << JSON_TYPE_COUNT) - 1)

/* A schema with a URI of its own (2020-12 core, 4.3.5), or the root without one. */
struct resource {
    const char *uri; /* absolute, without fragment; "" for none */
    const json_t *root;
    enum schema_draft draft;
    unsigned vocabularies;
    struct schema_map anchors;         /* name -> json_t; plain and dynamic ones */
    struct schema_map dynamic_anchors; /* name -> json_t; "" for $recursiveAnchor */
    struct schema_map dynamic;         /* name -> struct subschema, once compiled */
    const char *document;              /* the URI of the document it stands in, for faults */
    const json_t *document_root;
};

struct run;
struct check;
struct subschema;

typedef bool check_run(struct run *, const struct check *, const json_t *);

struct subschemas {
    const struct subschema **items;
    size_t count;
};

/* A keyword's work on an instance. */
struct check {
    check_run *run;
    const char *keyword;
    union {
        size_t limit;
        const struct subschema *subschema;
        struct subschemas list;
        const struct schema_pattern *pattern;
        const void *rules; /* of a form that only the keyword's file knows */
    };
};

enum subschema_kind { SUBSCHEMA_CHECKS, SUBSCHEMA_ALWAYS, SUBSCHEMA_NEVER };

struct subschema {
    enum subschema_kind kind;
    const struct resource *resource;
    const struct check **checks[JSON_TYPE_COUNT]; /* each list ends in NULL */
    unsigned tracks;                              /* types of which it asks what was evaluated */
};

/* Which members or items of one instance were evaluated. */
struct evaluated {
    uint64_t *bits, few[4];
    size_t count;
};

/* A step from the root of the instance to the value at hand. */
struct place {
    const struct place *parent;
    struct text name; /* at NULL: an index */
    size_t index;
};

/* The dynamic scope (2020-12 core, 7.1), innermost first. */
struct scope {
    const struct resource *resource;
    const struct scope *outer;
};

struct run {
    const struct schema *schema;
    struct schema_errors *errors; /* NULL: the first failure ends the work */
    const struct place *place;
    const struct scope *scope;
    struct evaluated *evaluated;      /* of the instance at hand; NULL: nobody asks */
    struct schema_declared *declared; /* NULL: nobody asks */
    bool aside;                       /* what is not declared is no fault */
    size_t depth, steps;
    const char *exhausted; /* the limit that was reached; then nothing is valid */
    struct schema_pattern_work work;
};

struct schema {
    struct arena *arena;
    const struct subschema *root;
    json_t *documents; /* an array that keeps what was compiled */
    struct schema_patterns *patterns;
    uint64_t seed[2]; /* of the hashes of values, which a client could aim at otherwise */
};

/* schema_run.c */

bool schema_run(struct run *, const struct subschema *, const json_t *);

/* The same without errors, and without trace in `evaluated` where it fails. */
bool schema_run_try(struct run *, const struct subschema *, const json_t *);

/* The same, on a member or an item; what only says "no" is told as `keyword`'s error. */
bool schema_run_member(struct run *, const char *keyword, const struct subschema *, struct text name,
                       const json_t *);
bool schema_run_item(struct run *, const char *keyword, const struct subschema *, size_t index,
                     const json_t *);

/* Adds an error at the place at hand; always false. */
bool schema_run_fail(struct run *, const char *keyword, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for the check's keyword, at the member `name`. */
bool schema_run_fail_at(struct run *, const char *keyword, struct text name, const char *message);

/* Ends the validation: `reason` is a literal. Always false. */
bool schema_run_exhaust(struct run *, const char *reason);

/* Counts work, in steps; false when there was too much. */
bool schema_run_spend(struct run *, size_t steps);

/* Whether a failed check ends the work. */
bool schema_run_stops(const struct run *);

bool schema_run_match(struct run *, const struct schema_pattern *, struct text);

/* schema_declared.c: that an object's members are spoken of, and that one of them is declared. */
void schema_declare_object(struct run *, const json_t *object);
void schema_declare(struct run *, const json_t *object, size_t place);

/* Takes back what was declared since: what declared it does not apply. */
size_t schema_declared_since(const struct run *);
void schema_declared_undo(struct run *, size_t since);

void schema_declared_sort(struct schema_declared *);

void schema_evaluated_mark(struct run *, size_t index);
void schema_evaluated_mark_all(struct run *);

/* ---- what a keyword's compile function works with (schema_compile.c) */

struct compiler;

/* The keyword at hand: its name, its value, and the schema it stands in. */
struct clause {
    struct compiler *compiler;
    struct subschema *subschema;
    const struct resource *resource;
    const char *keyword;
    const json_t *value;
    const json_t *schema;
};

/* Adds a check for instances of these types; to be filled in. */
struct check *schema_clause_check(struct clause *, unsigned types, check_run *);

struct arena *schema_clause_arena(const struct clause *);

/* The subschema of a value in the same resource; NULL with a fault when it is
 * neither an object nor a boolean. */
const struct subschema *schema_clause_subschema(struct clause *, const json_t *value);

/* The same where draft 4 takes booleans, too. */
const struct subschema *schema_clause_boolean_or_subschema(struct clause *, const json_t *value);

/* Those of a list, which must not be empty. */
bool schema_clause_subschemas(struct clause *, const json_t *value, struct subschemas *);

/* What a reference of the resource at hand names; NULL with a fault. `dynamic`,
 * when it is not NULL, becomes the name of the dynamic anchor if it is one. */
const struct subschema *schema_clause_reference(struct clause *, const char *reference, const char **dynamic);

/* NULL with a fault. */
const struct schema_pattern *schema_clause_pattern(struct clause *, struct text);

/* Sets the fault of the keyword at hand; always false. */
bool schema_clause_fault(struct clause *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a value, the keyword's own or one within it: what it is, and what was `expected`. Always
 * false. */
bool schema_clause_expects(struct clause *, const json_t *value, const char *expected);

bool schema_clause_asserts_formats(const struct clause *);

/* A format of the options' or of the specifications, or NULL. */
struct schema_format;
const struct schema_format *schema_clause_format(const struct clause *, struct text name);

/* ---- the keywords (schema_keywords.c) */

enum vocabulary {
    VOCABULARY_CORE = 1,
    VOCABULARY_APPLICATOR = 2,
    VOCABULARY_UNEVALUATED = 4,
    VOCABULARY_VALIDATION = 8,
    VOCABULARY_FORMAT = 16,
    VOCABULARY_ALL = 31,
};

/* Where there are subschemas in a keyword's value. */
enum shape { SHAPE_NONE, SHAPE_ONE, SHAPE_LIST, SHAPE_ONE_OR_LIST, SHAPE_MAP, SHAPE_DEPENDENCIES };

struct keyword {
    const char *name;
    unsigned drafts; /* bits of enum schema_draft */
    enum vocabulary vocabulary;
    enum shape shape;
    bool (*compile)(struct clause *); /* NULL: nothing to check */
};

/* Ends in a row without a name; in the order in which the checks run. */
extern const struct keyword schema_keywords[];

bool schema_compile_definitions(struct clause *);
bool schema_compile_type(struct clause *);
bool schema_compile_const(struct clause *);
bool schema_compile_enum(struct clause *);
bool schema_compile_bound(struct clause *);
bool schema_compile_multiple(struct clause *);
bool schema_compile_length(struct clause *);
bool schema_compile_pattern(struct clause *);
bool schema_compile_format(struct clause *);
bool schema_compile_count(struct clause *);
bool schema_compile_unique(struct clause *);
bool schema_compile_items(struct clause *);
bool schema_compile_contains(struct clause *);
bool schema_compile_unevaluated_items(struct clause *);
bool schema_compile_required(struct clause *);
bool schema_compile_members(struct clause *);
bool schema_compile_names(struct clause *);
bool schema_compile_dependencies(struct clause *);
bool schema_compile_unevaluated_properties(struct clause *);
bool schema_compile_reference(struct clause *);
bool schema_compile_dynamic_reference(struct clause *);
bool schema_compile_all(struct clause *);
bool schema_compile_any(struct clause *);
bool schema_compile_one(struct clause *);
bool schema_compile_not(struct clause *);
bool schema_compile_if(struct clause *);

#endif
