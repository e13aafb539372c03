/*
 * Nodes: what a YAML or JSON file says, with the position of every piece. The
 * tree is the one model both readers make; it knows nothing of what keys mean.
 * Scalars keep their text until a field asks for a type.
 */
#ifndef DATA_NODE_H
#define DATA_NODE_H

#include "base/text.h"

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
    enum node_kind kind;
    bool plain;                /* scalar without quotes: may be a number or a boolean */
    unsigned line, column;     /* 1-based, of the first character */
    struct text text;          /* of a scalar; NUL-terminated, without NUL inside */
    size_t count;              /* of children: list items or map values */
    struct node **items;       /* children in the file's order */
    const struct node *parent; /* NULL at the root */
    struct text name;          /* the key it stands under in a map; NUL-terminated */
    unsigned name_line, name_column;
    size_t index; /* its place in a list */
};

/* The value under `key`, or NULL. */
const struct node *node_get(const struct node *map, const char *key);

/* "routes[2].body.max"; "" for the root. In the arena. */
const char *node_path(const struct node *, struct arena *);

#endif
