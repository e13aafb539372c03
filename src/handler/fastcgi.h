/*
 * FastCGI: private to the files of the fastcgi handler. fastcgi.c has the
 * handler, fastcgi_settings.c its policy keys, fastcgi_script.c which script is
 * run, fastcgi_run.c a connection from its beginning to its end, fastcgi_pump.c
 * the bytes on it, fastcgi_reply.c what they mean, fastcgi_probe.c what is asked
 * without a request.
 */
#ifndef HANDLER_FASTCGI_H
#define HANDLER_FASTCGI_H

#include "handler/backend_address.h"
#include "handler/backends.h"
#include "handler/client_side.h"
#include "handler/error_lines.h"
#include "handler/fastcgi_reply.h"
#include "handler/fastcgi_script.h"
#include "handler/handler.h"
#include "handler/relay.h"

#define FASTCGI_NAME "fastcgi"

enum fastcgi_input { FASTCGI_STREAM, FASTCGI_SPOOL };

struct fastcgi_settings {
    struct backends_rules backends;
    struct script_rules script;
    bool keep;
    int input;                                              /* enum fastcgi_input */
    uint64_t connect_timeout, first_byte, silence, timeout; /* milliseconds */
    uint64_t max_output;                                    /* bytes of one reply's body */
    struct pairs environment;
    struct texts pass;     /* further parameters of the web server */
    struct texts steering; /* reply headers that are let through */

    /* Filled by fastcgi_prepare(): */
    struct backends *group;         /* its targets are struct backend_address */
    const char *places;             /* all of `address`, as written */
    char *const *fixed_environment; /* "NAME=value", NULL-ended */
    size_t fixed_count;
};

extern const struct handler handler_fastcgi;

/* ---- fastcgi_settings.c: the members of the handler by these names */

extern const struct field fastcgi_fields[];
bool fastcgi_prepare(void *target, struct decoder *, const struct node *);
void fastcgi_advise(const void *target, struct findings *, const struct node *);

/* ---- fastcgi_run.c */

enum { FASTCGI_INPUT_SIZE = 32 * 1024, FASTCGI_OUTPUT_SIZE = 64 * 1024 };

/* Which requests may be tried elsewhere once a backend has failed. */
enum fastcgi_again { AGAIN_NONE, AGAIN_IDEMPOTENT, AGAIN_ANY };

/* One request under way. Times are of clock_milliseconds(). */
struct fastcgi_run {
    const struct fastcgi_settings *settings;
    struct exchange *exchange;
    struct client_side client;
    struct relay relay;
    struct backend_lease lease;

    int descriptor; /* -1: closed */
    bool reused;    /* it has carried other requests before */
    bool retried;
    bool keep; /* the connection is to be used again */

    struct text head; /* BEGIN_REQUEST and PARAMS, in the arena */
    size_t head_sent; /* of it */
    bool body_ended;  /* and so will standard input, with what is in `in` */
    bool deaf;        /* the application takes no more */
    size_t fills;     /* how often `in` has been filled */
    size_t in_start, in_end;

    uint64_t now;      /* as of the last poll */
    uint64_t deadline; /* of the whole request */
    uint64_t moved_at; /* when a byte last went to the application or came from it */

    struct fastcgi_reply reply;
    struct text unread; /* of `out` */
    uint64_t received;  /* bytes on this connection */
    bool ended;         /* END_REQUEST has come */

    bool failed;
    int again;              /* enum fastcgi_again */
    struct verdict failure; /* once the head is sent, its detail alone counts */
    struct text rest;       /* of `out`: what came behind the header block */

    struct error_lines lines;
    size_t in_used, out_used; /* high-water marks: what must be wiped */
    char in[FASTCGI_INPUT_SIZE];
    char out[FASTCGI_OUTPUT_SIZE];
};

/* Connects and has the request ready to be sent. NULL with the verdict when that is not possible. */
struct fastcgi_run *fastcgi_run_start(const struct fastcgi_settings *, const struct script *,
                                      struct exchange *, struct verdict *);

/* Keeps the first verdict. Always false. */
bool fastcgi_run_fail(struct fastcgi_run *, struct verdict);

/* The same where it is the backend that has failed: at once, or BACKEND_LATE. */
bool fastcgi_run_blame(struct fastcgi_run *, enum backend_outcome, struct verdict);

/* Whether the reply with this status is the answer. Otherwise the run has failed, and another backend may
 * have a better one. */
bool fastcgi_run_accept(struct fastcgi_run *, int status);

/* Of a run that has failed before it answered: whether the request was made ready again, for another
 * backend that has a place for it and takes a connection. */
bool fastcgi_run_move(struct fastcgi_run *);

/* A connection that has been closed before anything came back: whether the request was made
 * ready again, on a new one. */
bool fastcgi_run_retry(struct fastcgi_run *);

/* Fills `in` from the body when it is empty. False when there is nothing to send in it. */
bool fastcgi_run_fill(struct fastcgi_run *);

/* Gives the place back, once nothing more is to be had: the connection is kept if nothing is left
 * on it either way. */
void fastcgi_run_release(struct fastcgi_run *);

/* Ends it, released or not. */
void fastcgi_run_stop(struct fastcgi_run *);

/* BEGIN_REQUEST, and PARAMS to their end, of "NAME=value", NULL-ended. */
struct text fastcgi_make_head(char *const *variables, bool keep, struct arena *);

/* What it says of a backend that no connection to it could be made: nothing, where it is we who lack
 * something. */
enum backend_outcome fastcgi_connect_outcome(const struct error *);

/* What an application is told, in the exchange's arena: names and values, NULL-ended. */
char *const *fastcgi_variables(const struct fastcgi_settings *, const struct script *,
                               const struct exchange *);

/* ---- fastcgi_probe.c */

extern const struct backend_calls fastcgi_calls;

/* ---- fastcgi_pump.c */

enum fastcgi_progress { FASTCGI_PIECE, FASTCGI_DONE, FASTCGI_FAILED };

/* Moves bytes both ways until there is a piece of the reply (valid until the next call), the
 * reply has ended, or the run has failed. */
enum fastcgi_progress fastcgi_pump(struct fastcgi_run *, struct text *piece);

/* Takes what has been received already and was not asked for: the end, perhaps. */
void fastcgi_pump_settle(struct fastcgi_run *);

#endif
