/*
 * Client side: the half of a pump that faces the client: its body on the way
 * in, its reply on the way out, and whether it is still there. Whoever pumps
 * polls these descriptors beside those of its backend.
 */
#ifndef HANDLER_CLIENT_SIDE_H
#define HANDLER_CLIENT_SIDE_H

#include <poll.h>

#include "http/exchange.h"

enum { CLIENT_IN, CLIENT_OUT, CLIENT_SLOTS };

/* Times are of clock_milliseconds(). */
struct client_side {
    struct exchange *exchange;
    const char *handler;  /* its name, for verdicts */
    bool awaits_body;     /* the client must send before the body goes on */
    bool gathering;       /* the channel may hold bytes it has not tried to send */
    bool heard;           /* the client has sent something behind the body */
    bool stuck;           /* the client did not take all there was for it */
    bool behind;          /* the channel holds more than a client leaves that only is busy */
    bool may_catch_up;    /* it gets no more for now, for it may yet catch up */
    uint64_t awaited_at;  /* since when `awaits_body` */
    uint64_t behind_at;   /* since when `behind` */
    uint64_t gathered_at; /* since when `gathering` */
    uint64_t drained_at;  /* when the client last took something */
};

/* As body_read(), and takes note of who has to wait. */
ssize_t client_side_read(struct client_side *, uint64_t now, void *to, size_t size);

/* Whether more may be handed to the channel. */
bool client_side_has_room(const struct client_side *);

/* The descriptors to poll. `hungry`: nothing can go on before the client sends more of its
 * body; `sated`: no more of the body is wanted. */
void client_side_watch(const struct client_side *, bool hungry, bool sated, struct pollfd[CLIENT_SLOTS]);

/* When one of its limits will be reached at the earliest. */
uint64_t client_side_limit(const struct client_side *, bool hungry);

/* Tells that the channel was given something to send. */
void client_side_sent(struct client_side *, uint64_t now);

/* Does what poll(2) says is to be done. False when the client is gone. */
bool client_side_serve(struct client_side *, bool sated, const struct pollfd[CLIENT_SLOTS], uint64_t now);

/* Whether one of its limits has been reached, which ends the exchange with this verdict. */
bool client_side_is_late(const struct client_side *, bool hungry, uint64_t now, struct verdict *);

#endif
