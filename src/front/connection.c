/*
 * What becomes of a connection: the next step after what has come in or gone
 * out, the turn from one request to the next, and its end.
 */
#include "config.h"

#include <sys/socket.h>
#include <unistd.h>

#include "front/intake.h"

enum { READS_LIMIT = 16 }; /* at a time: a peer that never stops sending must not keep a thread */

/* Whether so much of the request is here that a thread need not wait for it. */
static bool is_ready(const struct intake *intake)
{
    return intake->params_done && (intake->stdin_done || intake->raw_end == INTAKE_IN_SIZE);
}

static enum connection_step next_step(const struct intake *intake)
{
    bool pending = outbox_pending(&intake->channel) > 0;
    if (intake->channel.gone)
        return CONNECTION_CLOSE;
    if (intake->broken || intake->aborted)
        return pending ? CONNECTION_WRITE : CONNECTION_CLOSE;
    if (intake->head_too_large && !intake->discard)
        return CONNECTION_TOO_LARGE;
    if (!intake->discard && is_ready(intake))
        return CONNECTION_READY;
    return pending ? CONNECTION_WRITE : CONNECTION_READ;
}

/* The next step; a connection that holds nothing gives its intake back. */
static enum connection_step rest(struct connection *connection, struct intake **spare)
{
    struct intake *intake = connection->intake;
    enum connection_step step = next_step(intake);
    if (step == CONNECTION_READ && intake->id == 0 && intake->header_length == 0)
        intake_release(connection, spare);
    return step;
}

/* The request is behind us, its reply sent and its body read: on to the next. */
static enum connection_step turn_over(struct connection *connection, const struct connection_limits *limits,
                                      struct intake **spare)
{
    struct intake *intake = connection->intake;
    if (!intake->keep)
        return CONNECTION_CLOSE;
    intake_begin(intake, limits);
    inbox_parse(intake);
    outbox_flush(&intake->channel);
    return rest(connection, spare);
}

static bool is_behind(const struct intake *intake)
{
    return intake->discard && inbox_has_ended(intake) && !intake->broken && !intake->aborted &&
           !intake->channel.gone && outbox_pending(&intake->channel) == 0;
}

static bool wants_more(const struct intake *intake)
{
    if (intake->broken || intake->channel.gone || inbox_has_ended(intake))
        return false;
    return intake->discard || (!is_ready(intake) && !intake->head_too_large);
}

/* nginx, where it keeps no connections, sends no more of a body once a reply has begun, and hands on
 * a small one at the connection's end alone. */
static void end_output(struct intake *intake)
{
    if (!intake->discard || intake->keep || intake->shut || outbox_pending(&intake->channel) > 0)
        return;
    intake->shut = true;
    shutdown(intake->descriptor, SHUT_WR);
}

enum connection_step connection_advance(struct connection *connection, const struct connection_limits *limits,
                                        struct intake **spare)
{
    if (!connection->intake)
        connection->intake = intake_take(connection, limits, spare);
    struct intake *intake = connection->intake;
    for (size_t reads = 0; reads < READS_LIMIT && wants_more(intake) && inbox_fill(intake); reads++)
        continue;
    /* Once: what this sends decides whether the request is behind us. */
    outbox_flush(&intake->channel);
    if (is_behind(intake))
        return turn_over(connection, limits, spare);
    end_output(intake);
    return rest(connection, spare);
}

enum connection_step connection_settle(struct connection *connection, const struct connection_limits *limits,
                                       struct intake **spare)
{
    struct intake *intake = connection->intake;
    arena_reset(intake->arena);
    intake->discard = true;
    intake->keep = intake->keep && !intake->head_too_large;
    intake->body_start = intake->body_end;
    inbox_parse(intake);
    return connection_advance(connection, limits, spare);
}

void connection_shut(struct connection *connection)
{
    connection->retired = true;
    shutdown(connection->descriptor, SHUT_RD);
}

static bool has_input(const struct connection *connection)
{
    char byte;
    return recv(connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool connection_retire(struct connection *connection)
{
    if (has_input(connection)) /* and the rest of it must get through as well */
        return false;
    connection_shut(connection);
    return !has_input(connection);
}

bool connection_awaits_reply(const struct connection *connection)
{
    const struct intake *intake = connection->intake;
    return intake && intake->id != 0 && !intake->discard && !intake->broken;
}

bool connection_has_head(const struct connection *connection)
{
    const struct intake *intake = connection->intake;
    return intake && intake->params_done && !intake->head_too_large;
}

bool connection_is_complete(const struct connection *connection)
{
    return connection->intake && connection->intake->stdin_done;
}

bool connection_may_begin(const struct connection *connection)
{
    return connection_awaits_reply(connection) && connection_has_head(connection) &&
           !connection->intake->stdin_done && !connection->intake->waits_for_body;
}

void connection_wait_for_body(struct connection *connection)
{
    connection->intake->waits_for_body = true;
}

bool connection_takes_input(const struct connection *connection)
{
    const struct intake *intake = connection->intake;
    return !intake || !(intake->broken || intake->aborted || inbox_has_ended(intake));
}

bool connection_is_abandoned(const struct connection *connection)
{
    char byte;
    return !connection->retired && recv(connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool connection_is_idle(const struct connection *connection)
{
    return connection->intake == NULL;
}

void connection_close(struct connection *connection, struct intake **spare)
{
    intake_release(connection, spare);
    close(connection->descriptor);
    connection->descriptor = -1;
}

struct channel *connection_channel(struct connection *connection)
{
    struct intake *intake = connection->intake;
    intake->channel.half_closes = connection->retired; /* its end is our doing, and no sign that it is gone */
    intake->channel.body_length = intake->stdin_done ? (int64_t)(intake->body_end - intake->body_start) : -1;
    return &intake->channel;
}

struct arena *connection_arena(struct connection *connection)
{
    return connection->intake->arena;
}

bool connection_authorizes(const struct connection *connection)
{
    return connection->intake->authorizer;
}

bool connection_params(struct connection *connection, size_t limit, struct params *params)
{
    struct intake *intake = connection->intake;
    struct text head = {intake->head, intake->head_length};
    return record_params(head, limit, intake->arena, params);
}
