/*
 * Lifetimes: since when a part of an API is deprecated, when it ends, and what takes its
 * place, with what clients are told of it (RFC 9745, 8594, 5829).
 */
#ifndef GUARD_LIFETIME_H
#define GUARD_LIFETIME_H

#include "data/decode.h"

struct lifetime {
    int64_t deprecated, sunset; /* seconds since 1970; 0: not said */
    const char *successor;      /* a URI; of a version its name, too; NULL: none */
    const char *link;           /* URI of a page for people; NULL: none */

    /* What replies say; empty where they do not. */
    struct text deprecation, sunset_date, links;
};

extern const struct field lifetime_fields[];

/* Whether a text may stand as a URI in Link: it begins with a scheme or one "/". */
bool lifetime_is_link(struct text);

/* Checks the decoded dates and makes what replies say. `successor` is the link to the successor, in its
 * angle brackets and with what stands behind the relation, or NULL. False with a finding. */
bool lifetime_complete(struct lifetime *, struct decoder *, const struct node *, const char *successor);

/* "<URI>; rel="successor-version"", for lifetime_complete(). */
const char *lifetime_successor(struct arena *, const char *uri);

/* Whether its end has come at that time, in milliseconds since 1970. */
bool lifetime_is_over(const struct lifetime *, int64_t now);

/* Adds advice where the end has come already, by the system's clock. */
void lifetime_advise(const struct lifetime *, struct findings *, const struct node *);

#endif
