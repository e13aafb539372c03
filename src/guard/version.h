/*
 * Versions of the API: which there are, how a request names one, and which it named.
 */
#ifndef GUARD_VERSION_H
#define GUARD_VERSION_H

#include "guard/lifetime.h"
#include "http/request.h"

enum { VERSIONS_LIMIT = 32 }; /* each has a bit */

struct version {
    const char *name;
    uint32_t bit;
    struct lifetime lifetime;
};

struct versions {
    /* How a request names one: exactly one of the three. */
    const char *path;   /* beneath which the next segment is the version, without its last "/"; may be "" */
    const char *header; /* in lower case */
    struct media_range_family {
        struct text type, base, suffix; /* "application", "vnd.example", "+json"; base at NULL: not by it */
    } media;

    const char *vary;               /* the header it depends on; NULL: the path */
    const struct version *fallback; /* where none is named; NULL: one must be */
    struct version *items;
    size_t count; /* 0: the policy has none */
    bool written; /* it has the key, perhaps with errors */
};

enum version_found {
    VERSION_NOT_ASKED, /* the policy has none, or the request is for a route without */
    VERSION_NAMED,
    VERSION_DEFAULT,
    VERSION_MISSING, /* none is named, and there is no default */
    VERSION_UNKNOWN,
};

/* Which version a request is for; NULL when none is known. A pure function of its path, or of
 * one header. */
enum version_found versions_find(const struct versions *, const struct request *, const struct version **);

/* By its very name; NULL when there is none. */
const struct version *versions_get(const struct versions *, struct text name);

/* Of the rules of the guard `version`: the bits of those that a route serves; 0: it has no version. */
uint32_t version_bits(const void *settings);

#endif
