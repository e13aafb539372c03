/*
 * A claimed connection step by step, until it waits again, is closed or has a
 * request to be served; and the request from its parameters to serve.c. It is
 * the same for whichever thread has claimed it.
 */
#include "config.h"

#include "base/clock.h"
#include "front/front.h"
#include "front/serve.h"

enum { EXTRA_PARAMS = 200 };

static struct exchange new_exchange(const struct front *front, struct connection *connection,
                                    struct turn *turn)
{
    const struct timeouts *timeouts = &front->policy->server.timeouts;
    return (struct exchange){.arena = connection_arena(connection),
                             .channel = connection_channel(connection),
                             .started = clock_microseconds(),
                             .launcher = front->launcher,
                             .waits = turn ? turns_wait : NULL,
                             .owner = turn,
                             .spool_folder = front->policy->server.spool,
                             .authorizer = connection_authorizes(connection),
                             .read_timeout = timeouts->read,
                             .write_timeout = timeouts->write};
}

static enum connection_step settle(struct front *front, struct connection *connection, struct intake **spare)
{
    connection->served = true;
    return connection_settle(connection, &front->limits, spare);
}

static bool read_params(const struct front *front, struct connection *connection, struct params *params)
{
    return connection_params(connection, front->policy->server.request.headers + EXTRA_PARAMS, params);
}

static enum connection_step answer(struct turn *turn, struct connection *connection, struct intake **spare)
{
    struct front *front = turn->front;
    struct exchange exchange = new_exchange(front, connection, turn);
    struct params params;
    if (read_params(front, connection, &params))
        serve_exchange(front->policy, &exchange, &params);
    else
        serve_refusal(front->policy, &exchange, NULL,
                      DENY(400, "request", "request_invalid", "its parameters are malformed or too many"));
    return settle(front, connection, spare);
}

enum connection_step steps_refuse(struct front *front, struct connection *connection, struct verdict verdict,
                                  struct intake **spare)
{
    struct exchange exchange = new_exchange(front, connection, NULL);
    struct params params;
    bool known = connection_has_head(connection) && read_params(front, connection, &params);
    serve_refusal(front->policy, &exchange, known ? &params : NULL, verdict);
    return settle(front, connection, spare);
}

bool steps_take_bodies(struct front *front, struct connection *connection)
{
    struct exchange exchange = new_exchange(front, connection, NULL);
    struct params params;
    bool take =
        read_params(front, connection, &params) && serve_takes_body(front->policy, &exchange, &params);
    arena_reset(connection_arena(connection));
    return take;
}

/* Follows a claimed connection step by step until it waits, is closed (both
 * false), or has a request to be served (true). */
bool steps_follow(struct front *front, struct connection *connection, enum connection_step step,
                  struct intake **spare)
{
    for (;;) {
        if (step == CONNECTION_READY) {
            /* A body that is still coming is the serving thread's alone. */
            if (connection->armed && !connection_is_complete(connection))
                events_arm(front, connection, EPOLLET);
            return true;
        }
        if (step == CONNECTION_TOO_LARGE) {
            step = steps_refuse(
                front, connection,
                DENY(431, "request", "head_too_large", "its parameters are over request.head"), spare);
            continue;
        }
        if (step == CONNECTION_READ && connection_is_idle(connection) && connection->served &&
            atomic_load(&front->limits.stopping) && connection_retire(connection))
            step = CONNECTION_CLOSE;
        if (step == CONNECTION_CLOSE) {
            places_close(front, connection, spare);
            return false;
        }
        if (events_await(front, connection, step))
            return false;
        step = connection_advance(connection, &front->limits, spare);
    }
}

bool steps_advance(struct front *front, struct connection *connection, struct intake **spare)
{
    return steps_follow(front, connection, connection_advance(connection, &front->limits, spare), spare);
}

/* For a request that the caller cannot serve itself. */
void steps_queue(struct front *front, struct connection *connection, struct intake **spare)
{
    static const struct verdict overloaded = {VERDICT_DENY, 503, "request", "overloaded",
                                              "the queue is full"};
    while (!turns_queue(front, connection))
        if (!steps_follow(front, connection, steps_refuse(front, connection, overloaded, spare), spare))
            return;
}

/* Takes every connection that waits. All but the last go to the epoll set, for
 * the other threads; the last one is read here and now. The result has a
 * request to be served, or is NULL. */
struct connection *steps_accept(struct front *front, struct intake **spare)
{
    struct connection *last = NULL, *connection;
    while (!atomic_load(&front->over) && (connection = places_accept(front))) {
        if (last && steps_follow(front, last, CONNECTION_READ, spare))
            steps_queue(front, last, spare);
        last = connection;
    }
    return last && steps_advance(front, last, spare) ? last : NULL;
}

/* What an event asks for; a connection with a request to be served, or NULL. */
struct connection *steps_take_event(struct front *front, const struct epoll_event *event,
                                    struct intake **spare)
{
    if (event->data.ptr == &front->listener)
        return steps_accept(front, spare);
    if (event->data.ptr == &front->alarm)
        return NULL;
    struct connection *connection = event->data.ptr;
    bool hung_up = event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    return events_claim_or_tell(connection, hung_up) && steps_advance(front, connection, spare) ? connection
                                                                                                : NULL;
}

void steps_serve(struct turn *turn, struct connection *connection, struct intake **spare)
{
    /* What follows on a kept connection is no better than what has waited. */
    while (steps_follow(turn->front, connection, answer(turn, connection, spare), spare))
        if (turn->batch || turns_have_queue(turn->front)) {
            turns_put_back(turn->front, connection);
            return;
        }
}
