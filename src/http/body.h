/*
 * Body: a request's body on its way in. It counts, enforces the limit and the
 * stated length, and hides whether the bytes come from the client or, once a
 * guard had to see them, from a spool.
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "http/channel.h"
#include "http/spool.h"
#include "http/verdict.h"

struct body {
    struct channel *channel;
    uint64_t limit;    /* of all bytes; set by the "body" guard, else UINT64_MAX */
    int64_t stated;    /* Content-Length, or -1 */
    uint64_t received; /* from the channel so far */
    bool ended;        /* the client's last byte has been received */
    bool peeked;       /* by body_is_empty(): `first` is received and not yet read */
    char first;
    bool spooled; /* spool holds all of it */
    struct spool spool;
};

/* What body_read() returns below 0. */
enum {
    BODY_WAIT = -1,   /* nothing yet: poll channel->input */
    BODY_GONE = -2,   /* the client is gone */
    BODY_OVER = -3,   /* over the limit: 413 */
    BODY_BROKEN = -4, /* shorter or longer than stated, or the peer broke the protocol: 400 */
    BODY_FAILED = -5, /* the spool failed: 500 */
};

/* Up to `size` bytes; 0 at the end, else one of the above. */
ssize_t body_read(struct body *, void *to, size_t size);

/* Receives all of it into the spool, waiting at most `silence` milliseconds
 * for each piece and until `deadline` (clock_milliseconds) for the whole.
 * Denies with guard "body": 413 body_too_large, 400 body_incomplete or
 * body_invalid, 408 body_timeout; faults 500 spool_failed. */
struct verdict body_collect(struct body *, uint64_t memory_limit, const char *folder, uint64_t silence,
                            uint64_t deadline);

/* Whether it is known by now that there is no body. Where no length is stated
 * this looks for a first byte, without waiting: nginx states none for requests
 * without a body, and none for a chunked body that it does not buffer. */
bool body_is_empty(struct body *);

/* How many bytes the body will have, or -1 when only its end will tell. */
int64_t body_length(const struct body *);

/* Puts other bytes in the place of a body that has been collected; its length is theirs, whatever the limit
 * was. False with an error when they cannot be kept: the body is then as it was. */
bool body_replace(struct body *, struct text, struct error *);

/* The verdict for what body_read() returned below BODY_WAIT. */
struct verdict body_verdict(ssize_t result);

void body_close(struct body *);

#endif
