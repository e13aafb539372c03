/*
 * FastCGI replies: the records that an application answers one request with,
 * taken in pieces of any size. A pure function of the bytes: what is no answer
 * to request FASTCGI_REQUEST is refused, whatever it may be.
 */
#ifndef HANDLER_FASTCGI_REPLY_H
#define HANDLER_FASTCGI_REPLY_H

#include "http/record.h"

enum {
    FASTCGI_REQUEST = 1,       /* the id of the one request on a connection */
    FASTCGI_EMPTY_LIMIT = 1000 /* records without content in a row */
};

enum fastcgi_step {
    FASTCGI_MORE,   /* all was taken, and the reply has not ended */
    FASTCGI_OUTPUT, /* a piece of standard output */
    FASTCGI_ERRORS, /* a piece of standard error */
    FASTCGI_END,    /* END_REQUEST, with its padding: `end` is known */
    FASTCGI_BROKEN, /* `fault` says why */
};

struct fastcgi_reply {
    struct record_end end;
    const char *fault; /* for the log; NULL while there is none */

    unsigned char bytes[RECORD_HEADER_SIZE]; /* of a header, or of END_REQUEST's content */
    size_t have;
    struct record record; /* the one under way, what is still to come of it */
    bool in_record, output_ended, errors_ended;
    size_t empty;
};

/* Takes from the front of `rest` up to the next step; `piece` points into it. Not to be called
 * again behind FASTCGI_END or FASTCGI_BROKEN. Steps do not depend on how the bytes were cut, but
 * for where pieces end. */
enum fastcgi_step fastcgi_reply_take(struct fastcgi_reply *, struct text *rest, struct text *piece);

#endif
