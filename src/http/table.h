/*
 * Table: the parameters of one request by name, for request.c alone.
 */
#ifndef HTTP_TABLE_H
#define HTTP_TABLE_H

#include "http/request.h"

/* One parameter. Those of the same name are a chain that begins with the first. */
struct entry {
    struct text name, value;
    struct entry *next;
    struct entry *last; /* of the chain; kept by the first */
    bool first;
    bool header; /* HTTP_*: a header of the client's */
};

struct table {
    struct entry *entries; /* in the order of the parameters */
    size_t count;
    uint32_t *slots; /* index of a chain's first entry plus 1; 0: free */
    size_t mask;
    uint64_t seed;
    uint64_t header_count;    /* of all HTTP_* parameters */
    size_t header_name_bytes; /* of their names */
    bool bad_header_name;     /* one of them is not [A-Z][A-Z0-9_]* */
};

/* Puts all parameters in, but for those whose name no environment variable
 * can have, and no header past the limit. */
void table_fill(struct table *, const struct params *, uint64_t header_limit, struct arena *);

/* The first entry of that name, or NULL. */
const struct entry *table_find(const struct table *, struct text name);

/* The first value of that name; empty when there is none. */
struct text table_value(const struct table *, struct text name);

#endif
