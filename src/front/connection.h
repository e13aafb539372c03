/*
 * Connection: one FastCGI connection of a web server, as bytes in and bytes
 * out. It assembles one request at a time, carries the exchange's channel, and
 * sees the connection through to the next request or to its end. Nothing here
 * blocks, and nothing here knows of threads, of epoll or of what a request means.
 */
#ifndef FRONT_CONNECTION_H
#define FRONT_CONNECTION_H

#include <stdatomic.h>

#include "http/channel.h"
#include "http/record.h"
#include "http/spool.h"

struct connection_limits {
    uint64_t head;          /* bytes of all parameters */
    uint64_t reply_spool;   /* of one reply to a slow client */
    const char *folder;     /* for the spool's file */
    uint64_t write_timeout; /* milliseconds; waited only when the spool is full or broken */
    unsigned connections;   /* what GET_VALUES is told */
    bool authorizer;        /* requests in that role are taken */
    struct text (*tell_status)(void *teller, struct arena *); /* what GET_VALUES is told, at most 24 KB */
    void *teller;
    atomic_bool stopping; /* the request that is answered is the last of its connection */
};

/* What one request takes while it is under way. Idle connections have none. */
struct intake;

/* Where a connection stands; events.c and places.c alone write it. */
enum connection_state {
    CONNECTION_FREE,
    CONNECTION_WAITING, /* for an event or its deadline; whoever gets it claims it */
    CONNECTION_CLAIMED,
    CONNECTION_MISSED,     /* claimed, and an event came before it was waiting again */
    CONNECTION_MISSED_END, /* the same, and the peer has ended its side */
};

struct connection {
    int descriptor;
    bool served; /* has answered a request */
    _Atomic int state;
    uint32_t armed;            /* what epoll was told to wait for; 0: not known to it */
    bool may_have_more;        /* the last read may have left bytes, or the end, in the socket */
    bool hung_up;              /* the peer has ended its side; bytes may come before that end */
    bool retired;              /* we have ended the peer's side, which thus tells nothing of the peer */
    _Atomic uint64_t deadline; /* while waiting; clock_milliseconds */
    _Atomic uint64_t grace;    /* while waiting: milliseconds it may go on so when the worker drains */
    _Atomic uint64_t begins;   /* while waiting: when it is served as it is; clock_milliseconds */
    struct intake *intake;     /* NULL while idle */
    struct connection *next;   /* in the queue, or in the free list */
};

enum connection_step {
    CONNECTION_READ,      /* wait until it can be read */
    CONNECTION_WRITE,     /* wait until it can be written (or read) */
    CONNECTION_READY,     /* a request can be served */
    CONNECTION_TOO_LARGE, /* its head is over the limit: refuse it */
    CONNECTION_CLOSE,     /* it is over */
};

/* Takes what the peer has sent, and sends what is pending. Idle connections
 * that become readable get an intake from `spare` or a new one. */
enum connection_step connection_advance(struct connection *, const struct connection_limits *,
                                        struct intake **spare);

/* For a request that is CONNECTION_READY: its channel, its arena, its
 * role and its parameters (false: they are malformed). */
struct channel *connection_channel(struct connection *);
struct arena *connection_arena(struct connection *);
bool connection_authorizes(const struct connection *); /* it asks in the role of an authorizer */
bool connection_params(struct connection *, size_t limit, struct params *);

/* After the reply: forgets the request but not what is still on its way, and
 * says what comes next. A kept connection may have its next request here
 * already, even if it is to serve no more: then it must be retired. */
enum connection_step connection_settle(struct connection *, const struct connection_limits *,
                                       struct intake **spare);

/* Gives an idle connection up: false when a request has come in after all, so
 * that it must be served. On a unix socket no request can be lost in between:
 * one that is not served is one that the peer could not write to its end. */
bool connection_retire(struct connection *);

/* Whether a request has begun that has no reply yet. */
bool connection_awaits_reply(const struct connection *);

/* Whether all parameters of a request are here, and kept. */
bool connection_has_head(const struct connection *);

/* Whether the whole request is here, its body included. */
bool connection_is_complete(const struct connection *);

/* Whether a request is here but for the rest of its body, and may be served without. */
bool connection_may_begin(const struct connection *);

/* Says of such a request that it is to wait for all of its body. */
void connection_wait_for_body(struct connection *);

/* Whether it would read what comes in now, rather than leave it for later. */
bool connection_takes_input(const struct connection *);

/* Whether the peer has given up behind a request that is complete. */
bool connection_is_abandoned(const struct connection *);

/* Whether it is between two requests. */
bool connection_is_idle(const struct connection *);

/* Closes the descriptor and gives the intake to `spare` (or frees it). */
void connection_close(struct connection *, struct intake **spare);

void intake_free(struct intake *);

#endif
