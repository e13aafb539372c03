/*
 * What the parts of the reader of OpenAPI documents share: the files that were
 * read, the schemas in them, and how something is told by its position. Known
 * to src/data/openapi*.c alone.
 *
 *   openapi.c            a file becomes an API
 *   openapi_file.c       files, and what references mean
 *   openapi_paths.c      path items, operations, templates
 *   openapi_parameter.c  parameters
 *   openapi_content.c    bodies, responses
 *   openapi_security.c   security schemes and requirements, servers
 *   openapi_keywords.c   the table of keywords
 *   openapi_schema.c     judges schemas, and finds all that they are made of
 *   openapi_discriminator.c  which value selects which schema
 *   openapi_bundle.c     schemas become JSON Schema 2020-12
 *   openapi_parts.c      what a schema is made of
 *   openapi_compile.c    whether the values of keywords are good
 *   openapi_value.c      nodes become JSON
 */
#ifndef DATA_OPENAPI_READER_H
#define DATA_OPENAPI_READER_H

#include "base/arena.h"
#include "data/openapi.h"
#include "data/schema_map.h"

enum {
    OPENAPI_HOPS_LIMIT = 32,         /* references that lead to references */
    OPENAPI_COMPOSITION_LIMIT = 100, /* schemas made of each other by allOf and the like, in a row */
};

struct openapi_document {
    struct openapi_document *next;
    const char *path;        /* from the root's folder, without "." and ".." */
    const char *name;        /* for messages */
    const struct node *root; /* NULL: it cannot be read, which has been told */
};

/* A node and the document it is in; without a node nothing is there. */
struct openapi_spot {
    struct openapi_document *document;
    const struct node *node;
};

/* Which schema a value of the discriminating property selects. */
struct openapi_choice {
    const char *value;
    const struct openapi_schema *schema;
};

struct openapi_discriminator {
    const char *property;
    struct openapi_choice *choices;
    size_t count;
    bool branches;                        /* of oneOf or anyOf; else of schemas made of this one by allOf */
    const struct openapi_schema **others; /* branches of which no object is, as null or a list */
    size_t other_count;
};

struct openapi_schema {
    struct openapi_spot spot;
    struct openapi_schema *next;         /* in the order in which they were found */
    const struct openapi_schema *target; /* of its $ref */
    struct openapi_discriminator *discriminator;
    bool wanted;                         /* by a parameter or a content, as a whole */
    bool resolved, typed, entered, left; /* has been looked at: its $ref, its types, what it is made of */
    unsigned types;                      /* see openapi_schema_types() */
    unsigned height;                     /* of what it is made of */
    signed char describes, guarded[2];   /* once bundled: 1 yes, -1 no; guarded in requests, in responses */
};

struct openapi_own {
    struct arena *arena;
    struct schema_map schemas; /* address of a node -> struct openapi_schema */
    bool guarded[2];           /* something is readOnly, something is writeOnly */
};

struct openapi_reader {
    struct arena *arena;
    struct openapi *openapi;
    struct findings findings;
    int folder;                         /* of the root, or -1 until another file is read */
    struct openapi_document *documents; /* the root is the first */
    size_t document_count;
    struct openapi_schema *first, **last;
    unsigned nesting;          /* of openapi_schema_types() */
    struct schema_map told;    /* what is told once */
    struct schema_map indexes; /* address of a large map -> its members by name */
};

/* ---- openapi.c */

/* A finding at a value, or at its key; always false. */
bool openapi_tell(struct openapi_reader *, enum finding_kind, struct openapi_spot, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool openapi_tell_key(struct openapi_reader *, enum finding_kind, struct openapi_spot, const char *format,
                      ...) __attribute__((format(printf, 4, 5)));

/* Whether something is to be told: the first time for each word. */
bool openapi_tells(struct openapi_reader *, const char *word);

struct openapi_position openapi_position(struct openapi_spot);

/* What stands under a key, or nothing. */
struct openapi_spot openapi_get(struct openapi_spot, const char *key);
struct openapi_spot openapi_item(struct openapi_spot, size_t);

/* The same of a kind (NODE_SCALAR: text), and a finding when it is another; nothing where it is not there. */
struct openapi_spot openapi_get_kind(struct openapi_reader *, struct openapi_spot, const char *key,
                                     enum node_kind);

/* False, and `*value` untouched, where there is no such key; a finding when it is no boolean. */
bool openapi_get_bool(struct openapi_reader *, struct openapi_spot, const char *key, bool *value);

/* The text under a key, or NULL. */
const char *openapi_get_text(struct openapi_reader *, struct openapi_spot, const char *key);

/* Tells of keys of a map that are none of `names` (ended by NULL) and do not begin with "x-". */
void openapi_check_keys(struct openapi_reader *, struct openapi_spot, const char *const *names);

bool openapi_is_extension(const struct node *);

/* ---- openapi_file.c */

/* Reads the root, from its file where no content is given; false with a finding. */
bool openapi_open(struct openapi_reader *, const struct text *content, bool json);

/* What a reference in this document means; nothing with a finding at `where`. */
struct openapi_spot openapi_resolve(struct openapi_reader *, struct openapi_spot where,
                                    const char *reference);

/* A map, where it has a $ref the one that is meant; nothing with a finding. */
struct openapi_spot openapi_follow(struct openapi_reader *, struct openapi_spot);

/* ---- openapi_paths.c, openapi_security.c, openapi_parameter.c, openapi_content.c */

void openapi_read_paths(struct openapi_reader *, struct openapi_spot root);
void openapi_read_schemes(struct openapi_reader *, struct openapi_spot root);
void openapi_read_security(struct openapi_reader *, struct openapi_spot list, struct openapi_operation *);

/* The path of the first server in a list under `servers`, or `fallback` where there is no list. */
const char *openapi_read_servers(struct openapi_reader *, struct openapi_spot owner, const char *fallback);

/* Parameters of a path item and of an operation in it. */
void openapi_read_parameters(struct openapi_reader *, struct openapi_spot shared, struct openapi_spot own,
                             struct openapi_operation *);

void openapi_read_body(struct openapi_reader *, struct openapi_spot body, struct openapi_operation *);
void openapi_read_responses(struct openapi_reader *, struct openapi_spot map, struct openapi_operation *);

/* The style under `style`; false with a finding for one that is not supported, or not at this place. */
bool openapi_read_style(struct openapi_reader *, struct openapi_spot owner, enum openapi_place,
                        enum openapi_style *);

/* ---- openapi_schema.c */

/* The schema at a spot, which is to be judged once; never NULL. */
struct openapi_schema *openapi_schema_at(struct openapi_reader *, struct openapi_spot);

/* The same, or what it is a mere reference to; NULL with a finding. */
struct openapi_schema *openapi_schema_meant(struct openapi_reader *, struct openapi_spot);

/* What its $ref means, looked up at most once; NULL when it has none, or with a finding. */
const struct openapi_schema *openapi_schema_target(struct openapi_reader *, struct openapi_schema *);

/* Judges all that were found, and those that they lead to. */
void openapi_judge_schemas(struct openapi_reader *);

/* Whether beside a $ref nothing else counts. */
bool openapi_is_mere_reference(enum openapi_version, const struct node *);

enum openapi_keyword_kind {
    OPENAPI_KEYWORD_NOTE,    /* says nothing about validity */
    OPENAPI_KEYWORD_VALUE,   /* a value, as it is */
    OPENAPI_KEYWORD_SCHEMA,  /* a schema */
    OPENAPI_KEYWORD_LIST,    /* a list of schemas */
    OPENAPI_KEYWORD_MAP,     /* a map of schemas */
    OPENAPI_KEYWORD_REFUSED, /* would have to be obeyed, and is not */
};

enum openapi_keyword_trait {
    OPENAPI_SINCE_3_1 = 1,
    OPENAPI_IN_PLACE = 2, /* its schemas are about the same value */
    OPENAPI_ASKS = 4,     /* they do not describe a value but ask about it */
};

struct openapi_keyword {
    const char *name;
    enum openapi_keyword_kind kind;
    unsigned traits;
    const char *instead; /* of one that is refused: what is expected */
};

/* Ended by a row without a name. */
extern const struct openapi_keyword openapi_keywords[];
const struct openapi_keyword *openapi_keyword_find(struct text name);

/* The schema that was found at a node, or NULL. */
struct openapi_schema *openapi_schema_known(const struct openapi_own *, const struct node *);

/* JSON types as bits, in the order of json_type. */
enum { OPENAPI_ANY_TYPE = 0xff };

/* The types that a value may have by `type`, through $ref and allOf, oneOf, anyOf. */
unsigned openapi_schema_types(struct openapi_reader *, struct openapi_schema *);

/* Whether it is of bytes: a string of format binary, or of a media type and no encoding. */
bool openapi_schema_is_binary(struct openapi_reader *, struct openapi_schema *);

/* Whether it says nothing about validity. */
bool openapi_schema_is_empty(const struct openapi_schema *);

/* ---- openapi_discriminator.c */

void openapi_read_discriminator(struct openapi_reader *, struct openapi_schema *);

/* ---- openapi_compile.c */

/* All schemas at once, compiled, so that what is wrong with a keyword's value is told by its position. */
void openapi_compile_schemas(struct openapi_reader *);

/* ---- openapi_value.c */

/* Whether it is a plain true or false. */
bool openapi_value_bool(const struct node *, bool *);

/* A new reference that is there: without memory the process ends, as with an arena. */
json_t *openapi_json(json_t *);

/* Put into an object or a list; the reference is taken over. */
void openapi_set(json_t *object, const char *key, json_t *);
void openapi_append(json_t *list, json_t *);

#endif
