/*
 * Presented: where in a request a credential can stand, how it is found there,
 * and how it is taken out again before any program sees the request. What the
 * credential is worth is not known here.
 */
#ifndef GUARD_PRESENTED_H
#define GUARD_PRESENTED_H

#include "http/exchange.h"

/* All names as the policy has them, the header's in lower case; NULL: not there. */
struct places {
    const char *header; /* by itself; in "authorization" behind one of `schemes` */
    const char *schemes[2];
    bool basic; /* the user name of Authorization: Basic, with an empty password (RFC 7617) */
    const char *cookie;
    const char *query;
};

enum presented {
    PRESENTED_NOT,
    PRESENTED_ONCE,
    PRESENTED_WRONG, /* more than one, or not in the form of its place (RFC 6750, 3.1: invalid_request) */
};

/* Looks into all of the places. The credential's text lives as long as the request. */
enum presented presented_find(const struct places *, const struct exchange *, struct text *credential);

/* Whether one stands where browsers put it by themselves, whatever page made them ask: in a cookie, or in
 * Authorization: Basic. */
bool presented_is_ambient(const struct places *, const struct exchange *);

/* Takes what stands there out of the request: the header, the cookie, and the
 * parameter, from the query and the target. */
void presented_remove(const struct places *, struct exchange *);

/* The value of a parameter of a query, decoded (application/x-www-form-urlencoded);
 * how often it is there: the value is the first one's. */
size_t presented_parameter(struct text query, const char *name, struct arena *, struct text *value);

/* Whether programs could read the one name as the other: PHP makes "_" of dots and blanks, "[" begins what
 * belongs to a name. */
bool presented_reads_as(struct text, struct text name);

/* Whether every program finds at most one parameter of that name, with one value:
 * some end a parameter at ";", too, and some take several names for one. */
bool presented_is_clear(struct text query, const char *name, struct arena *);

#endif
