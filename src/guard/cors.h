/*
 * CORS: which origins' scripts may read a route's replies (Fetch, "CORS
 * protocol"). The rules, and what they make of a request; what is written on
 * a reply is the work of respond/cors_headers.c.
 */
#ifndef GUARD_CORS_H
#define GUARD_CORS_H

#include "guard/limit.h"
#include "http/origin.h"

struct cors_origins {
    struct origin_pattern *items;
    size_t count;
    bool any;    /* "*" */
    bool opaque; /* "null" */
};

struct cors_names {
    struct texts items; /* as written, without the words for all */
    bool all;           /* "*": whatever it is */
    bool asked;         /* `reflect`: those that are asked for */
};

/* One of the top's `cors`, or one that stands in a route. */
struct cors {
    const char *name; /* NULL: it has none */
    struct cors_origins origins;
    bool credentials;
    struct cors_names methods; /* empty: those of the route */
    struct cors_names headers, expose;
    uint64_t max_age; /* milliseconds */
    bool private_network, enforce;
    int preflight_status; /* 0: 204, 1: 200 */
    struct limit_uses preflight_limit;
    const struct node *node;
};

/* Those that have names. */
struct cors_all {
    struct cors **items;
    size_t count;
    const struct node *node; /* the top's map, also of those with errors; NULL: none */
};

/* What a route has of it: the rules of the guard `cors`. */
struct cors_rules {
    struct cors own;         /* what stands in the route; first, for the table of fields */
    const struct cors *cors; /* NULL: off */
    struct texts methods;    /* of the route */
};

/* One of the top's `cors`. NULL with findings. */
struct cors *cors_decode(struct decoder *, const struct node *, const char *name);

/* Their keys: of one of the top's, and of a route. */
extern const struct section cors_section;
extern const struct field cors_route_fields[];

/* The key `use`: a name of the top's, or off (FIELD_OWN of struct cors_rules). */
bool cors_decode_use(struct decoder *, const struct node *, void *member);

/* What the keys of a route say together, once they are decoded. False with findings. */
bool cors_prepare(void *rules, struct decoder *, const struct node *);

/* The rules of the guard for one route; NULL where they say off. In the arena. */
const struct cors_rules *cors_bind(const struct cors_rules *, const struct texts *methods, struct arena *);

/* Advice on what is legal and risky. */
void cors_advise(const struct cors *, struct findings *);

/* Whether it is a preflight request (Fetch, "CORS-preflight request"); `asked` is then the method that it
 * asks about. */
bool cors_is_preflight(const struct request *, struct text *asked);

enum cors_origin { CORS_NO_ORIGIN, CORS_ALLOWED, CORS_REFUSED };

/* What the rules say of the request's origin, which is `origin` unless there is none. */
enum cors_origin cors_judge_origin(const struct cors *, const struct request *, struct text *origin);

/* Whether a script may send a method; those that need no preflight always may (Fetch, "CORS-safelisted
 * method"). */
bool cors_allows_method(const struct cors_rules *, struct text method);

/* Takes the next name off the front of a request's Access-Control-Request-Headers; false when nothing is
 * left, or too much: scripts ask for less, and what is reflected has to fit into a reply's head, of which
 * nginx takes 4 KiB. `good` when it is one that the rules allow. */
enum { CORS_ASKED_MOST = 1024 };
bool cors_next_header(const struct cors *, struct text *rest, struct text *name, bool *good);

/* Whether a verdict is the answer to a preflight; and to one after which the browser will send what it
 * has asked about. */
bool cors_is_answer(const struct verdict *);
bool cors_is_granted(const struct verdict *);

#endif
