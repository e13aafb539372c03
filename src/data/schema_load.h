/*
 * Documents and what is named in them: resources by URI, anchors, and the value
 * that a reference means. Known to the compiler alone.
 */
#ifndef DATA_SCHEMA_LOAD_H
#define DATA_SCHEMA_LOAD_H

#include "data/schema_form.h"

struct loader {
    struct arena *arena;
    const struct schema_options *options;
    struct schema_fault *fault;
    json_t *documents;         /* an array that owns them */
    struct schema_map fetched; /* uri -> json_t, of documents from elsewhere */
    struct schema_map by_uri;  /* uri -> struct resource */
    struct schema_map by_root; /* address of a json_t -> struct resource */
    /* Told of each dynamic anchor. */
    void (*found)(void *context, struct resource *, struct text name, const json_t *);
    void *context;
};

/* Takes a document (its reference is kept by `documents`) that stands at `uri`;
 * NULL with a fault. */
struct resource *schema_load(struct loader *, json_t *document, const char *uri, enum schema_draft);

/* A document from elsewhere, which the loader owns; NULL with an error. */
json_t *schema_load_fetch(struct loader *, const char *uri, struct error *);

/* Where a reference stands. */
struct origin {
    const struct resource *resource;
    const json_t *subschema;
    const char *keyword;
};

/* The value that a reference means, and the resource it is in; NULL with a fault.
 * `*dynamic` is the name of its dynamic anchor, or NULL. */
const json_t *schema_load_reference(struct loader *, const struct origin *, const char *reference,
                                    struct resource **, const char **dynamic);

/* Sets the fault, at a keyword (NULL: none) of a subschema of the resource's document. Always false. */
bool schema_load_fault(struct loader *, const struct resource *, const json_t *subschema, const char *keyword,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same about a value of the keyword: what it is, and what was `expected`. Always false. */
bool schema_load_expects(struct loader *, const struct resource *, const json_t *subschema,
                         const char *keyword, const json_t *value, const char *expected);

/* The schema about schemas at a URI, as a new reference, or NULL (schema_meta.c). */
json_t *schema_meta(const char *uri);

#endif
