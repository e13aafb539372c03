/*
 * One GET of a JSON Web Key Set by HTTPS, by libcurl: what is connected to, how
 * long it may take and how much may come. It follows no redirect, knows no
 * proxy and keeps nothing. What the bytes mean is not known here.
 */
#ifndef IDENTITY_JWKS_FETCH_H
#define IDENTITY_JWKS_FETCH_H

#include <stdatomic.h>

#include "base/error.h"
#include "base/text.h"

enum {
    JWKS_SIZE_LIMIT = 256 * 1024, /* bytes of body */
    JWKS_HEAD_LIMIT = 32 * 1024,  /* bytes of header lines, of all answers of one fetch */
    JWKS_URL_LIMIT = 2048,
    JWKS_CA_LIMIT = 1 << 20, /* bytes of PEM */
    JWKS_CONNECT_MS = 5000,
    JWKS_TOTAL_MS = 10000
};

struct jwks_source {
    const char *url;
    bool private;   /* addresses that are not public are allowed */
    struct text ca; /* PEM; empty: the system's certificates */
};

struct jwks_answer {
    char body[JWKS_SIZE_LIMIT];
    size_t length;
    uint64_t age; /* milliseconds it may be kept, or JWKS_NO_AGE */
};

/* Once in a process, before threads are made and before it is confined; and its
 * counterpart. */
bool jwks_fetch_open(struct error *);
void jwks_fetch_close(void);

/* Whether it is an HTTPS address of the form that is fetched, and its `ca` has certificates. */
bool jwks_source_check(const struct jwks_source *, struct error *);

/* Fetches; false with an error for all but an answer with status 200. Ends
 * within about a second once `*stop` is true. */
bool jwks_fetch(const struct jwks_source *, const atomic_bool *stop, struct jwks_answer *, struct error *);

/* The milliseconds that a value of Cache-Control grants (RFC 9111, 5.2.2), or
 * JWKS_NO_AGE when it says nothing of it. */
uint64_t jwks_age(struct text value);

#endif
