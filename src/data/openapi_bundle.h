/*
 * Bundles: a JSON Schema 2020-12 while it is made of the schemas of a document.
 * The same schema may be in one several times, because what it means depends
 * on where it is: as a part of an allOf it is not closed, and within `not`
 * nothing of it is changed. Known to openapi_bundle.c, openapi_parts.c and
 * openapi_compile.c alone.
 */
#ifndef DATA_OPENAPI_BUNDLE_H
#define DATA_OPENAPI_BUNDLE_H

#include "data/openapi_reader.h"

/* What a schema is here. */
struct openapi_role {
    bool part;          /* of another, about the same value: that one is closed */
    bool inherited;     /* what is made of it has been selected */
    bool asks;          /* within `not` and the like */
    struct text waived; /* names that need not be there, each behind a newline, sorted */
};

struct openapi_definition {
    struct openapi_definition *next;
    const struct openapi_schema *schema;
    struct openapi_role role;
    const char *name;
};

struct openapi_bundle {
    const struct openapi *openapi;
    struct openapi_view view;
    bool whole; /* with all that neither a request nor a response may hold */
    struct arena *arena;
    json_t *definitions;
    struct schema_map known; /* schema and role -> struct openapi_definition */
    struct openapi_definition *first, **last;
    struct schema_map nodes; /* address of a json_t -> its schema, of a whole bundle */
    size_t count, limit;
};

/* To be ended by openapi_bundle_end(). */
struct openapi_bundle *openapi_bundle_new(const struct openapi *, struct openapi_view, size_t limit);
void openapi_bundle_end(struct openapi_bundle *);

/* The reference to a schema, which becomes a definition. */
json_t *openapi_bundle_refer(struct openapi_bundle *, const struct openapi_schema *, struct openapi_role);

/* All definitions, of which each may lead to others; false when it is too large. */
bool openapi_bundle_finish(struct openapi_bundle *, struct error *);

/* ---- openapi_parts.c */

/* Whether other schemas are about the same value. */
bool openapi_has_parts(struct openapi_bundle *, const struct openapi_schema *);

/* Whether it, a part, or a schema that its discriminator selects, describes properties. */
bool openapi_describes(struct openapi_bundle *, const struct openapi_schema *);

/* Whether it is readOnly in a request, or writeOnly in a response. */
bool openapi_is_guarded(struct openapi_bundle *, struct openapi_schema *);

/* The names that need not be there, because they must not: those of the whole that it is a part of, and its
 * own. */
struct text openapi_waived_in(struct openapi_bundle *, const struct openapi_schema *, struct openapi_role);
bool openapi_is_waived(struct text waived, struct text name);

#endif
