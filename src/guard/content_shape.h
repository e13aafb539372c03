/*
 * Shapes: what text can become by a schema, found once when the policy is
 * loaded, so that no request has to look for it in the schema. And styles: how
 * lists and objects are written as text (OpenAPI 3.1.1, 4.8.12).
 */
#ifndef GUARD_CONTENT_SHAPE_H
#define GUARD_CONTENT_SHAPE_H

#include <jansson.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

enum content_style {
    STYLE_FORM,   /* a=1&a=2 or a=1,2; an object's members as fields of their own, or a=x,1,y,2 */
    STYLE_SIMPLE, /* 1,2; x,1,y,2 or x=1,y=2 */
    STYLE_DEEP,   /* a[x]=1&a[y]=2 */
    STYLE_JSON,   /* the text is JSON; with `explode` each item of a list is a text of its own */
};

/* How one field is written; where nothing is said of a field, as a form with `explode`. */
struct content_writing {
    const char *name;
    enum content_style style;
    bool explode;
    bool allow_empty; /* an empty text is one, whatever else the schema wants */
};

enum {
    SHAPE_STRING = 1,
    SHAPE_INTEGER = 2,
    SHAPE_NUMBER = 4,
    SHAPE_BOOLEAN = 8,
    SHAPE_ARRAY = 16,
    SHAPE_OBJECT = 32,
};

struct shape {
    unsigned types;             /* SHAPE_*; none: a string */
    const struct shape *items;  /* of an array */
    const struct shape *others; /* of an object: its members that are not named; NULL: there are none */
    struct shape_member *members;
    size_t count; /* sorted by name */
};

struct shape_member {
    struct text name;
    struct content_writing writing;
    struct shape shape;
};

/* Where references lead: the schema that one in a schema means, or NULL. */
struct shape_references {
    const json_t *(*find)(const void *context, const json_t *schema, const char *reference);
    const void *context;
};

/* The shape of a schema that has an object at its top, in the arena. `writings` (ended by one without a
 * name) say how its members are written; with NULL no text becomes an object. False with an error where
 * the schema branches too much to be followed. */
bool shape_make(const json_t *schema, const struct shape_references *, const struct content_writing *writings,
                struct arena *, struct shape *, struct error *);

/* The member of that name, or NULL. */
const struct shape_member *shape_find(const struct shape *, struct text name);

/* The schema that a "$ref" to a place in the document `context` leads to (RFC 6901, 6), for
 * shape_references.find. */
const json_t *shape_find_local(const void *context, const json_t *schema, const char *reference);

#endif
