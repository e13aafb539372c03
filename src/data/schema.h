/*
 * JSON Schema: drafts 2020-12, 2019-09, 7, 6 and 4. A schema is compiled once
 * and never changes afterwards, so threads share it without a lock; an instance
 * is validated against it as often as wanted. It knows nothing of HTTP, files
 * or the network: what a reference outside of the schema means is told by the
 * caller, or the schema is refused.
 *
 * How it works: schema_load.c gives every resource and anchor its URI,
 * schema_reference.c follows references to them;
 * schema_compile.c turns each subschema into one list of checks for every JSON
 * type, by the table of keywords in schema_keywords.c; schema_run.c runs the
 * list of the instance's type. Numbers are compared as decimals
 * (schema_number.h), never as doubles. Unevaluated properties and items are
 * tracked as bits, and only where a schema asks for them.
 */
#ifndef DATA_SCHEMA_H
#define DATA_SCHEMA_H

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

enum schema_draft {
    SCHEMA_DRAFT_2020_12,
    SCHEMA_DRAFT_2019_09,
    SCHEMA_DRAFT_7,
    SCHEMA_DRAFT_6,
    SCHEMA_DRAFT_4,
};

struct schema_format;

struct schema_options {
    enum schema_draft draft;             /* of a schema that has no $schema */
    bool formats_annotate;               /* "format" says nothing about validity */
    const struct schema_format *formats; /* beside those of the specifications (schema_format.h), ended by one
                                          * without a name; NULL: none */
    const char *uri;                     /* where the schema stands, absolute; NULL: nowhere */
    /* The document at an absolute URI without a fragment, as a new reference
     * that is taken over; NULL with an error when there is none. Asked once a
     * URI, and only while compiling. Without it such references are refused. */
    json_t *(*resolve)(void *context, const char *uri, struct error *);
    void *context;
};

/* Why a schema does not compile, and where. */
struct schema_fault {
    struct error error;
    const char *keyword;   /* a literal; NULL: it is about a whole subschema */
    char uri[256];         /* of the document it is in; "" for the schema itself */
    char pointer[1024];    /* JSON Pointer of the subschema or value in it, "" where it does not fit */
    unsigned line, column; /* 1-based, in the text given to schema_parse(); else 0 */
};

struct schema;

/* Compile before a sandbox forbids new machine code: patterns are matched by
 * PCRE2's JIT where there is one.
 * The compiled schema, to be ended by schema_free(); NULL with a fault. `value`
 * is kept by reference and must not be changed while the schema lives. `options`
 * may be NULL for 2020-12 with formats that assert. */
struct schema *schema_compile(json_t *value, const struct schema_options *options, struct schema_fault *);

/* The same from JSON text (as schema_json() reads it), of which nothing is kept. */
struct schema *schema_parse(struct text, const struct schema_options *options, struct schema_fault *);

/* NULL is allowed. */
void schema_free(struct schema *);

/* The JSON value of a text, strictly: no name twice, but strings with NUL. Integers beyond 64 bits become
 * doubles. NULL with a problem, its line and column counted from 1. */
json_t *schema_json(struct text, json_error_t *problem);

/* One thing that is wrong with an instance. */
struct schema_error {
    const char *pointer; /* JSON Pointer of the value; "" is the whole instance */
    const char *keyword; /* of the schema: "required", "maxLength" */
    const char *message; /* a sentence for the sender; never holds a submitted value */
};

/* What is found, up to `limit` errors; the items live in the arena. */
struct schema_errors {
    struct arena *arena;
    size_t limit, count;
    struct schema_error *items;
    bool more; /* there were others that did not fit */
};

/* An empty list of at most `limit` (at least 1) errors. */
struct schema_errors schema_errors_new(struct arena *, size_t limit);

enum {
    SCHEMA_DEPTH_LIMIT = 1000,   /* subschemas within each other while validating */
    SCHEMA_STEP_LIMIT = 2000000, /* subschemas applied to one instance */
};

/* Whether the instance is valid; the reasons why not are added to `errors`, and
 * with NULL the first one ends the work. A limit that is reached (depth, steps,
 * a pattern that backtracks too much) is an error with the keyword "limit", whatever
 * the schema makes of it. The strings must be UTF-8, as jansson's parser leaves them. Safe from any
 * thread; the instance is only read. */
bool schema_validate(const struct schema *, const json_t *instance, struct schema_errors *errors);

/* Which members of an instance's objects are declared: one of the subschemas that apply to the object
 * has, among its properties, patternProperties, additionalProperties and unevaluatedProperties, a
 * schema for it that is not `false`. */
struct schema_declared {
    struct schema_mark *marks;
    size_t count, capacity;
};

/* As schema_validate(), and fills `declared`, which is ended by schema_declared_free() whatever comes
 * back; it is complete where the instance is valid. With `aside`, members that are not declared are no fault
 * by being there, and all of the instance is looked at whatever else is wrong with it: so it tells what is
 * declared once the others are gone; `errors` must not be NULL then. Where a limit is
 * reached, nothing is said of any object. */
bool schema_validate_declared(const struct schema *, const json_t *instance, bool aside,
                              struct schema_errors *errors, struct schema_declared *declared);

/* Whether an object of that instance may keep its member at this place in the order of iteration:
 * it is declared, or none of those keywords is there for the object. */
bool schema_declares(const struct schema_declared *, const json_t *object, size_t place);

void schema_declared_free(struct schema_declared *);

#endif
