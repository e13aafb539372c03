/*
 * Relay: a handler's body on its way to the exchange, held against the reply's
 * Content-Length and the policy's limit.
 */
#ifndef HANDLER_RELAY_H
#define HANDLER_RELAY_H

#include "http/exchange.h"

struct relay {
    struct exchange *exchange;
    const char *handler; /* its name, for verdicts */
    const char *who;     /* wrote it: "the program" */
    uint64_t most;       /* max_output */
    uint64_t size;       /* so far */
    bool cut;            /* it is more than its Content-Length, and that was logged */
};

/* Sends the next piece. False with the verdict: too large, or the client is gone. */
bool relay_send(struct relay *, struct text piece, struct verdict *);

/* Logs, but once, that there is more than this length, which was stated. */
void relay_tell_excess(struct relay *, int64_t length);

/* Whether what has ended is all that was stated; else the verdict says what is missing. */
bool relay_is_whole(const struct relay *, struct verdict *);

#endif
