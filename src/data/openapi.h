/*
 * OpenAPI: what a description of an API (OpenAPI 3.0 or 3.1, YAML or JSON)
 * says of each operation, and the JSON Schemas of what it takes and gives. It
 * knows nothing of policies, routes or exchanges.
 *
 * A document is read and judged once, whole: openapi_read() refuses it, with
 * positions, when it says something that would be enforced otherwise than it is
 * written. What may be left out without opening a door (links, callbacks, examples)
 * is advice. A schema becomes a value for data/schema.h only when it is asked for,
 * by openapi_schema() and openapi_members(), because the same one means
 * something else in requests than in responses.
 *
 * References lead within the document and to files beneath the root document's
 * folder, never elsewhere. Schemas may be recursive.
 */
#ifndef DATA_OPENAPI_H
#define DATA_OPENAPI_H

#include <jansson.h>

#include "base/error.h"
#include "data/finding.h"

enum {
    OPENAPI_FILE_LIMIT = 16 << 20,   /* bytes of one file */
    OPENAPI_FILES_LIMIT = 200,       /* that one document refers to, itself included */
    OPENAPI_OPERATIONS_LIMIT = 5000, /* of one document */
    OPENAPI_SCHEMA_LIMIT = 200000,   /* values in one schema once it holds all that it refers to */
};

enum openapi_version { OPENAPI_3_0, OPENAPI_3_1 };

/* Where something stands, for messages: "api.yaml", 12, 5. */
struct openapi_position {
    const char *file;
    unsigned line, column;
};

struct openapi;

/* ---- schemas */

/* A schema of the document. What two places describe by the same `$ref` is the same
 * pointer, so that a caller can keep by it what was compiled. */
struct openapi_schema;

/* How a schema is wanted.
 *
 * In a request, a property that is readOnly is refused and not required; in a
 * response, one that is writeOnly.
 *
 * `closed` refuses properties that are not described. It is decided for each
 * object as a whole: what a schema and all that it is made of by allOf, anyOf,
 * oneOf, if/then/else, dependentSchemas and `$ref` describe, is known
 * (unevaluatedProperties: false beside them). So the parts of an allOf need not
 * know each other's properties, and of oneOf and anyOf only the branches that
 * match count; which of them match is found before, so a property of another
 * branch is refused as unknown. Where two parts describe the same property, its
 * value is closed in each of them. Left open are objects that say so
 * (additionalProperties, unevaluatedProperties) and those that describe no
 * property at all. Schemas within `not`, `if`, `contains` and `propertyNames`
 * stay as they are written: they do not describe a value but ask about it. */
struct openapi_view {
    bool response; /* else a request */
    bool closed;
};

/* One member of an object: a parameter, or a field. */
struct openapi_member {
    const char *name;
    const struct openapi_schema *schema; /* NULL: any value */
    bool required;
};

/* The schema as JSON Schema 2020-12, as a new reference: self-contained, all that it refers to is in its
 * "$defs". The formats of OpenAPI are part of it: int32, int64 and float are ranges, byte is base64.
 * NULL with an error when it is too large. Not for several threads at once. Each part of every schema of a
 * document that was read compiles. */
json_t *openapi_schema(const struct openapi *, const struct openapi_schema *, struct openapi_view,
                       struct error *);

/* The same for an object of these members and, unless `others`, no more. */
json_t *openapi_members(const struct openapi *, const struct openapi_member *, size_t count, bool others,
                        struct openapi_view, struct error *);

struct openapi_position openapi_schema_position(const struct openapi_schema *);

/* ---- what operations take and give */

enum openapi_place { OPENAPI_PATH, OPENAPI_QUERY, OPENAPI_HEADER, OPENAPI_COOKIE };

/* simple: a,b,c in paths and headers; form: in queries, cookies and form bodies;
 * deepObject: name[key]=value in queries and form bodies. Others are refused. */
enum openapi_style { OPENAPI_SIMPLE, OPENAPI_FORM, OPENAPI_DEEP_OBJECT };

struct openapi_parameter {
    const char *name; /* of a header: as it is written */
    enum openapi_place place;
    enum openapi_style style;
    bool explode;
    bool required;       /* always, in a path */
    bool allow_empty;    /* allowEmptyValue: in a query "name" and "name=" fit whatever the schema says */
    bool allow_reserved; /* in a query: characters of RFC 3986, 2.2 need not be escaped */
    bool json;           /* described by `content`: the text is JSON, and style and explode say nothing */
    bool deprecated;
    const struct openapi_schema *schema; /* never NULL */
    struct openapi_position position;
};

/* How a body of a media type is read. */
enum openapi_body {
    OPENAPI_JSON,      /* application/json, +json; a range of everything whose schema wants more than text */
    OPENAPI_FORM_BODY, /* application/x-www-form-urlencoded */
    OPENAPI_MULTIPART, /* multipart/form-data */
    OPENAPI_TEXT,      /* text of any kind, as a string */
    OPENAPI_RAW,       /* bytes: nothing is described, or a string of format binary */
    OPENAPI_UNREAD, /* cannot be judged by its schema (XML, say): told as advice, to be refused in requests */
};

/* One property of a form or multipart body. Those that the document does not
 * name under `encoding` have the defaults, and are there when the schema names them. */
struct openapi_encoding {
    const char *name;
    struct texts types; /* contentType, in lower case: of the part; none: any */
    enum openapi_style style;
    bool explode;
    bool json; /* the text is JSON (contentType, or the default for an object in multipart) */
    bool file; /* a string of format binary, or a list of such: in multipart a file */
    struct openapi_position position;
};

struct openapi_content {
    struct text type; /* in lower case, without parameters: "application/json"; of ranges, too */
    enum openapi_body body;
    const struct openapi_schema *schema; /* NULL: nothing is said of it */
    struct openapi_encoding *encodings;  /* of forms and multipart */
    size_t encoding_count;
    struct openapi_position position;
};

struct openapi_contents {
    struct openapi_content *items;
    size_t count;
};

struct openapi_response {
    const char *status;               /* "200", "2XX", "default" */
    unsigned least, most;             /* 200 to 200, 200 to 299, 100 to 999; the narrowest that fits counts */
    struct openapi_contents contents; /* none: no content */
    struct openapi_position position;
};

/* ---- security */

enum openapi_scheme_type {
    OPENAPI_API_KEY,
    OPENAPI_HTTP, /* `scheme` says which: "bearer", "basic" */
    OPENAPI_OAUTH2,
    OPENAPI_OPENID_CONNECT,
};

struct openapi_scheme {
    const char *name; /* in securitySchemes */
    enum openapi_scheme_type type;
    const char *scheme;       /* of HTTP: in lower case; else NULL */
    enum openapi_place place; /* of an API key: query, header or cookie */
    const char *parameter;    /* of an API key: the name it is sent under; else NULL */
    struct openapi_position position;
};

struct openapi_requirement {
    const struct openapi_scheme *scheme;
    struct texts scopes; /* all of them are needed */
    struct openapi_position position;
};

/* All of its requirements together; none: anybody. */
struct openapi_alternative {
    struct openapi_requirement *items;
    size_t count;
};

/* ---- operations */

/* A template is segments: a literal text, or the name of a parameter. */
struct openapi_segment {
    struct text literal;   /* as requests have it once decoded; empty only in "/", and last behind a slash */
    const char *parameter; /* or NULL */
};

struct openapi_operation {
    const char *method; /* in upper case */
    const char
        *path; /* the template as it is written; operations of one path may name its parameters differently */
    struct openapi_segment *segments;
    size_t segment_count;
    const char *base; /* path of the first server that counts for it, without a slash at its end: "", "/v1" */
    const char *id;   /* operationId; NULL: none */
    bool deprecated;
    struct openapi_parameter *parameters; /* those of the path, then its own */
    size_t parameter_count;
    struct openapi_contents body; /* none: no body is described */
    bool body_required;
    struct openapi_response *responses;
    size_t response_count;
    struct openapi_alternative *security; /* one is enough; none at all: anybody */
    size_t security_count;
    struct openapi_position position; /* of the method's key */
};

struct openapi {
    enum openapi_version version;
    const char *file;                     /* as it was named */
    struct openapi_operation *operations; /* in the document's order */
    size_t operation_count;
    struct openapi_scheme *schemes;
    size_t scheme_count;
    struct openapi_own *own; /* of the reader */
};

/* Reads a document, JSON when its name ends in ".json" and YAML otherwise; NULL with
 * at least one finding of an error when it cannot be used. Findings are added
 * under the name of the file they are in: of others than the root, its folder
 * as in `path` and the name from there. Nothing of the result is in their arena. */
struct openapi *openapi_read(const char *path, struct findings *);

/* The same for a root that is in memory, as if it stood at `path`. */
struct openapi *openapi_parse(struct text content, const char *path, bool json, struct findings *);

/* NULL is allowed. What openapi_schema() gave out is not touched. */
void openapi_free(struct openapi *);

/* The JSON of a node, as a new reference, by the core schema of YAML 1.2 (10.3). Never NULL. */
json_t *openapi_value(const struct node *);

#endif
