/*
 * Intake: the state of one request under way on a FastCGI connection; private
 * to intake.c (its life), inbox.c (what comes in), outbox.c (what goes out) and
 * connection.c (what that means for the connection).
 */
#ifndef FRONT_INTAKE_H
#define FRONT_INTAKE_H

#include "base/arena.h"
#include "front/connection.h"

enum {
    INTAKE_IN_SIZE = 32 * 1024, /* of a body that fits, no thread waits for it */
    INTAKE_OUT_SIZE = 64 * 1024,
    INTAKE_HEAD_SIZE = 4 * 1024, /* at first */
    INTAKE_VALUES_SIZE = 512,    /* of one GET_VALUES */
};

struct intake {
    struct channel channel; /* first: a channel is its intake */
    const struct connection_limits *limits;
    struct arena *arena;
    struct connection *connection;
    int descriptor;

    /* The request. */
    unsigned id;     /* 0: none has begun */
    bool authorizer; /* its role: it has no body, and no end of one */
    bool keep, params_done, stdin_done, head_too_large;
    bool discard;        /* answered already: the rest of its body is dropped */
    uint64_t discarded;  /* bytes of it */
    bool broken;         /* the peer broke the protocol, or is gone */
    bool begun;          /* a part of its reply has been written */
    bool finished;       /* its reply is complete */
    bool aborted;        /* the reply broke off: close the connection */
    bool shut;           /* nothing more is sent, and the peer was told */
    bool waits_for_body; /* it is not to be served before its body is here */
    char *head;          /* the PARAMS stream; malloc'ed */
    size_t head_length, head_capacity;

    /* The record being read. */
    unsigned char header[RECORD_HEADER_SIZE];
    size_t header_length;
    struct record record;
    size_t content_left, padding_left;
    unsigned char values[INTAKE_VALUES_SIZE]; /* BEGIN_REQUEST and GET_VALUES content */
    size_t values_length;

    /* in[body_start, body_end) is the body, in[raw_start, raw_end) records yet to be read. */
    size_t body_start, body_end, raw_start, raw_end;
    size_t in_used; /* high-water mark: what must be wiped */

    /* Sent in this order: the spool's rest, then out[out_start, out_end). */
    struct spool spool;
    bool spool_broken;
    size_t out_start, out_end;
    size_t open_record; /* where the header of the unfinished STDOUT record stands, or SIZE_MAX */
    unsigned char in[INTAKE_IN_SIZE];
    unsigned char out[INTAKE_OUT_SIZE];
};

/* intake.c: its life. */
struct intake *intake_take(struct connection *, const struct connection_limits *, struct intake **spare);
void intake_begin(struct intake *, const struct connection_limits *); /* the next request */
void intake_add_to_head(struct intake *, const unsigned char *at, size_t length);
void intake_release(struct connection *, struct intake **spare); /* if the connection has one */

/* inbox.c: the channel's way in. */
ssize_t inbox_receive(struct channel *, void *to, size_t size);

/* One read from the socket; false when nothing came (errno EAGAIN) or nothing
 * more will come (broken). */
bool inbox_fill(struct intake *);

/* Reads the records in the buffer, up to the end of the request at most. */
void inbox_parse(struct intake *);
bool inbox_has_ended(const struct intake *); /* the request has */

/* connection.c: ends the peer's side. On a unix socket this makes its next write
 * fail, so that it knows its request is not taken; what it wrote before can
 * still be read. */
void connection_shut(struct connection *);

/* outbox.c: the channel's way out. */
void outbox_open(struct intake *); /* an empty spool */
bool outbox_send(struct channel *, struct text data);
bool outbox_flush(struct channel *);
uint64_t outbox_pending(const struct channel *);
void outbox_finish(struct channel *);
void outbox_abort(struct channel *);

/* Queues one whole record between those of the reply. */
void outbox_record(struct intake *, const unsigned char *record, size_t length);

#endif
