/*
 * Handler: the program or service that a request is handed to once every
 * guard has passed. It talks to its kind of backend and to the exchange, and
 * knows nothing of guards, policies or security headers.
 */
#ifndef HANDLER_HANDLER_H
#define HANDLER_HANDLER_H

#include "data/decode.h"
#include "http/exchange.h"

struct handler {
    const char *name; /* policy key = file name = log word */
    const char *help;
    struct section section; /* of the settings; the first field takes short forms */

    /* A route's are one thing as a whole: nothing of those of the defaults is in them. */
    bool whole;

    bool (*prepare)(void *settings, struct decoder *, const struct node *);
    void (*advise)(const void *settings, struct findings *, const struct node *);

    /* The program the parent may start for these settings (process/program.h),
     * or NULL for handlers that start none. */
    struct program *(*program)(void *settings);

    /* Whether a route with these settings must ask who is calling; NULL: never. */
    bool (*needs_caller)(const void *settings);

    /* Whether requests of such a route ask about another one, which is judged in
     * its place: begin() is never called then. NULL: never. */
    bool (*authorizes)(const void *settings);

    /* Whether it answers by itself, without a program, another server or the store; NULL: never. */
    bool (*alone)(const void *settings);

    /* Whether what ** matched names a script, so that the route's path must end in it; NULL: never. */
    bool (*finds_script)(const void *settings);

    /* Whether it connects to other machines or to ports of this one, which a sandbox must
     * leave open; NULL: never. */
    bool (*needs_network)(const void *settings);

    /* Once in a process that serves, before it is confined and makes threads; NULL: there is
     * nothing to be done. False with an error. */
    bool (*open)(void *settings, struct error *);

    /* Whether the whole body must be at hand before begin(). */
    bool (*wants_body)(const void *settings, const struct exchange *);

    /* Names of steering reply headers (X-Sendfile and its kin) that these settings
     * let through; NULL, or a NULL result, for none. */
    const struct texts *(*allowed_headers)(const void *settings);

    /* Starts the work and goes on until the reply's status and headers are
     * known, in exchange->reply (from_handler set). Returns a state for the
     * two below, or NULL with the verdict to answer instead (502, 504 ...). */
    void *(*begin)(const void *settings, struct exchange *, struct verdict *);

    /* Sends the reply's body with exchange_send() as it comes, to its end.
     * False when it broke off: the reply is then cut short, and the verdict's detail says
     * why for the log; where nothing of it was sent yet, the verdict is the answer. */
    bool (*relay)(void *state, struct exchange *, struct verdict *);

    /* Ends the work whatever its state, leaves no process or descriptor. May
     * add to the log what only the end tells (an exit status). */
    void (*end)(void *state, struct exchange *);

    /* What it would do, in a line, for explain. In the exchange's arena. */
    const char *(*describe)(const void *settings, const struct exchange *);
};

/* All handlers, ended by NULL (handler/list.c). */
extern const struct handler *const handlers[];

#endif
