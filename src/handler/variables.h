/*
 * Variables: what handlers tell an application of its request, by the names of
 * RFC 3875, 4.1, and nothing else, whatever the web server sends. How they get
 * there, and what only one kind of application is told, is the handlers' affair.
 */
#ifndef HANDLER_VARIABLES_H
#define HANDLER_VARIABLES_H

#include "http/exchange.h"

struct variables {
    const struct exchange *exchange;
    char **items; /* "NAME=value", NULL-ended, in the exchange's arena; no name twice */
    size_t count;
};

/* Whether it is a name that the request itself gives its value (HTTP_*, QUERY_STRING ...). */
bool variable_is_reserved(struct text name);

/* What every application is told: all but SCRIPT_NAME, SCRIPT_FILENAME, PATH_INFO and
 * PATH_TRANSLATED. There is room for `more` that the caller adds. */
struct variables variables_of(const struct exchange *, const struct texts *pass, size_t more);

/* Adds one whose name is not there yet. Names that no environment takes, and values with a NUL
 * or an end of line, are left out. */
void variables_add(struct variables *, struct text name, struct text value);

/* The same, in the place of what is there by this name. */
void variables_set(struct variables *, struct text name, struct text value);

/* The same with one of the policy's own, "NAME=value", which may have more than one line and must
 * outlive the exchange. */
void variables_put(struct variables *, char *variable);

#endif
