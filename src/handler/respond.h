/*
 * Respond: private to the files of the handler that answers by itself.
 * respond.c has the handler, respond_settings.c its policy keys,
 * respond_content.c bodies and who has them already, respond_redirect.c other
 * addresses, respond_health.c whether we can work, and respond_keys.c API keys
 * of callers: POST makes one of the caller's, GET lists his, DELETE revokes one.
 * Nobody reaches those of others, and no key may more, or lasts longer, than who
 * asks for it.
 */
#ifndef HANDLER_RESPOND_H
#define HANDLER_RESPOND_H

#include <time.h>

#include "guard/auth_method.h"
#include "guard/limit.h"
#include "handler/handler.h"

#define RESPOND_NAME "respond"

/* The first are in the order of the choices of `with`. */
enum respond_kind {
    RESPOND_NOTHING,
    RESPOND_AUTHORIZE,
    RESPOND_KEYS,
    RESPOND_HEALTH,
    RESPOND_LIVE,
    RESPOND_READY,
    RESPOND_FIXED,
    RESPOND_REDIRECT,
};

/* A part of another address: what the policy says, and what of the request's path follows. */
struct respond_piece {
    struct text literal;
    const char *capture; /* NULL: none */
    bool rest;           /* what the route's ** has matched */
    bool in_query;
};

struct respond_target {
    struct respond_piece *pieces;
    size_t count;
    struct text fragment; /* with its "#"; may be empty */
    bool has_query;
};

struct respond_settings {
    int kind; /* enum respond_kind; by `with`, or by which other keys are there */

    uint64_t limit; /* keys */
    const char *prefix;
    const struct auth_methods *methods; /* with the store, once that is open */

    uint64_t status;
    struct pairs headers;
    struct text content; /* of fixed ones; may be empty */
    bool json;           /* it was written as a map or list */
    const char *file;    /* NULL: there is none */
    bool elsewhere;      /* it is not here, and the policy is for another machine */
    const char *type;
    const char *tag; /* ETag; NULL: whoever has it cannot tell */
    time_t modified; /* of the file; 0: there is none */
    const char *modified_date;

    const char *redirect;
    struct respond_target target;
    int query; /* 0: drop, 1: keep */

    struct backend_registry *backends; /* of the file; they are there once all of it is read */
    const struct limits *limits;       /* with the counters, once they are open; NULL: there are none */
    struct respond_checks *checks;
};

/* ---- respond_settings.c: the members of the handler by these names */

extern const struct field respond_fields[];
bool respond_prepare(void *settings, struct decoder *, const struct node *);

/* ---- respond_content.c */

enum { RESPOND_BODY_LIMIT = 64 * 1024, RESPOND_FILE_LIMIT = 1024 * 1024 };

/* Reads the file, and finds the type and the tag of the content; false with findings. */
bool respond_content_prepare(struct respond_settings *, struct decoder *, const struct node *);

/* Makes the reply, whose status becomes 304 where the client has the content; the body. */
struct text respond_content(const struct respond_settings *, struct exchange *);

/* ---- respond_redirect.c */

/* Reads `redirect` into `target`; false with a finding. */
bool respond_redirect_prepare(struct respond_settings *, struct decoder *, const struct node *);

/* The other address for this request, percent-encoded, in its arena; empty: it is too long. */
struct text respond_redirect(const struct respond_settings *, const struct exchange *);

/* ---- respond_health.c */

/* What is asked at most once a second, and what it said; in the arena. */
struct respond_checks *respond_checks_new(struct arena *);

/* Makes the reply, 200 or 503; the body. It may wait as long as the store lets it. */
struct text respond_health(const struct respond_settings *, struct exchange *);

/* ---- respond_keys.c */

/* PASS with status and body of the reply (in the exchange's arena, empty for
 * 204), or what is answered instead: validation_error with
 * exchange->details, 401, 404, 405, 409 too_many_keys, 503 store_failed. */
struct verdict respond_keys(const struct respond_settings *, struct exchange *, struct text *body);

#endif
