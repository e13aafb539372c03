/*
 * The pump: one poll loop between the client and libcurl's connections. Body and
 * reply move at the same time, so that neither side waits for the other for
 * ever; whoever falls silent, goes away or stops reading is noticed here.
 */
#include "config.h"

#include <limits.h>
#include <poll.h>

#include "base/arena.h"
#include "base/clock.h"
#include "handler/http.h"

enum slot { WIRE = CLIENT_SLOTS, BACKEND = WIRE + HTTP_WIRE_SLOTS, SLOTS = BACKEND + HTTP_SOCKETS_LIMIT };

enum deadline { LIMIT_RUN, LIMIT_SILENCE, LIMIT_CLIENT, LIMIT_LIBCURL, LIMITS };

static bool is_hungry(const struct http_run *run)
{
    return run->side.awaits_body;
}

/* With HTTP/2, libcurl asks for room on the connection while the backend takes no more of the body. */
static void watch(const struct http_run *run, struct pollfd slots[SLOTS])
{
    const struct http_client *client = run->client;
    int out = client->stuck ? 0 : CURL_POLL_OUT;
    client_side_watch(&run->side, is_hungry(run), run->body_ended, slots);
    http_wire_watch(client, slots + WIRE);
    for (size_t i = 0; i < client->socket_count; i++) {
        int what = client->sockets[i].what;
        short events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & out ? POLLOUT : 0));
        slots[BACKEND + i] = (struct pollfd){client->sockets[i].descriptor, events, 0};
    }
}

/* How long the backend may be silent now. */
static uint64_t patience(const struct http_run *run)
{
    return run->answers ? run->settings->silence : run->settings->first_byte;
}

/* When each limit would be reached. One that does not apply is never reached. */
static void set_limits(const struct http_run *run, uint64_t at[LIMITS])
{
    long timer;
    for (size_t i = 0; i < LIMITS; i++)
        at[i] = UINT64_MAX;
    at[LIMIT_RUN] = run->deadline;
    if (!is_hungry(run) && client_side_has_room(&run->side))
        at[LIMIT_SILENCE] = run->moved_at + patience(run);
    at[LIMIT_CLIENT] = client_side_limit(&run->side, is_hungry(run));
    if (curl_multi_timeout(run->client->multi, &timer) == CURLM_OK && timer >= 0)
        at[LIMIT_LIBCURL] = run->now + (uint64_t)timer;
}

/* What is due already, as libcurl's first step is, waits for nobody and asks nothing. */
static void wait_for_something(struct http_run *run, struct pollfd slots[SLOTS], size_t count,
                               const uint64_t at[LIMITS])
{
    uint64_t first = UINT64_MAX, now = run->now;
    for (size_t i = 0; i < LIMITS; i++)
        if (at[i] < first)
            first = at[i];
    uint64_t left = first > now ? first - now : 0;
    if (left == 0)
        return;
    if (poll(slots, count, left > INT_MAX ? INT_MAX : (int)left) < 0)
        for (size_t i = 0; i < count; i++)
            slots[i].revents = 0;
    run->now = clock_milliseconds();
}

static struct verdict timed_out(const struct http_run *run, const char *what, uint64_t milliseconds)
{
    return FAULT(504, HTTP_NAME, "backend_timeout",
                 arena_printf(run->exchange->arena, "%s %llu ms", what, (unsigned long long)milliseconds));
}

static bool expire(struct http_run *run, const uint64_t at[LIMITS])
{
    struct verdict verdict;
    if (run->now >= at[LIMIT_RUN])
        return http_run_fail(run, timed_out(run, "the request took more than", run->settings->timeout));
    if (client_side_is_late(&run->side, is_hungry(run), run->now, &verdict))
        return http_run_fail(run, verdict);
    if (run->now >= at[LIMIT_SILENCE])
        return http_run_blame(run, timed_out(run, "the backend was silent for", patience(run)));
    return true;
}

static bool serve_client(struct http_run *run, const struct pollfd slots[SLOTS])
{
    return client_side_serve(&run->side, run->body_ended, slots, run->now) ||
           http_run_fail(run, DENY(400, HTTP_NAME, "client_gone", "the client is gone"));
}

/* ---- libcurl */

static bool take_code(struct http_run *run, bool good)
{
    return (good && !run->failed) ||
           http_run_fail(run, FAULT(500, HTTP_NAME, "internal_error", "libcurl has failed"));
}

/* Lets it go on with what it had to stop for. */
static bool resume(struct http_run *run, bool heard)
{
    struct client_side *side = &run->side;
    bool body = side->awaits_body && heard;
    bool reply = run->held && run->relaying && client_side_has_room(side);
    if (!body && !reply)
        return true;
    side->awaits_body = side->awaits_body && !body;
    run->held = run->held && !reply;
    run->client->stuck = false;
    int paused = (side->awaits_body ? CURLPAUSE_SEND : 0) | (run->held ? CURLPAUSE_RECV : 0);
    return take_code(run, curl_easy_pause(run->easy, paused) == CURLE_OK);
}

static bool has_socket(const struct http_client *client, curl_socket_t descriptor)
{
    for (size_t i = 0; i < client->socket_count; i++)
        if (client->sockets[i].descriptor == descriptor)
            return true;
    return false;
}

static bool serve_backend(struct http_run *run, const struct pollfd slots[SLOTS], size_t count,
                          const uint64_t at[LIMITS])
{
    struct http_client *client = run->client;
    int running;
    CURLMcode code = CURLM_OK;
    bool came = http_wire_take(client, slots + WIRE), offered = false;
    for (size_t i = BACKEND; i < count && code == CURLM_OK; i++) {
        short events = slots[i].revents | (came ? slots[i].events & POLLIN : 0);
        int mask = (events & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
                   (events & POLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);
        offered = offered || (mask & CURL_CSELECT_OUT);
        if (mask && has_socket(client, slots[i].fd))
            code = curl_multi_socket_action(client->multi, slots[i].fd, mask, &running);
    }
    if (run->now >= at[LIMIT_LIBCURL] && code == CURLM_OK)
        code = curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    bool moved = http_wire_send(client) || came;
    if (moved)
        run->moved_at = run->now;
    client->stuck = client->wire && !moved && (offered || client->stuck);
    return take_code(run, code == CURLM_OK);
}

/* A backend may answer before it has read the whole body, and never read the rest. */
static bool is_answered(const struct http_run *run)
{
    const struct exchange *exchange = run->exchange;
    if (!run->relaying || !run->has_body || (run->body_ended && !http_wire_is_dead(run->client)))
        return false;
    if (run->reply.chunked)
        return run->reply.part == HTTP_CHUNK_NONE && !run->held;
    return !reply_has_body(&exchange->reply, exchange->request.method) ||
           (run->reply.length >= 0 && run->relay.size >= (uint64_t)run->reply.length);
}

static bool is_framed(const struct http_run *run)
{
    return run->reply.chunked || run->reply.length >= 0;
}

/* Whether libcurl has taken all that came on a connection, and would only wait to send more. */
static bool is_over(const struct http_run *run)
{
    const struct http_client *client = run->client;
    bool ended =
        http_wire_is_dead(client) || (run->head_complete && !is_framed(run) && http_wire_has_ended(client));
    if (run->whole || run->held || (run->head_complete && !run->relaying) || !ended)
        return false;
    for (size_t i = 0; i < client->socket_count; i++)
        if (client->sockets[i].what & CURL_POLL_IN)
            return false;
    return true;
}

static bool look_for_end(struct http_run *run)
{
    int left;
    const CURLMsg *message = curl_multi_info_read(run->client->multi, &left);
    if (message && message->msg == CURLMSG_DONE) {
        run->result = message->data.result;
        return http_run_take_end(run);
    }
    run->whole = run->whole || is_answered(run);
    if (!is_over(run))
        return true;
    run->result = is_framed(run) ? CURLE_RECV_ERROR : CURLE_OK;
    return http_run_take_end(run);
}

/* ---- both */

static bool turn(struct http_run *run)
{
    struct pollfd slots[SLOTS];
    uint64_t at[LIMITS];
    if (!client_side_has_room(&run->side) || is_hungry(run))
        run->moved_at = run->now; /* it is the client who keeps the backend waiting */
    if (!resume(run, false))
        return false;
    size_t count = BACKEND + run->client->socket_count;
    watch(run, slots);
    set_limits(run, at);
    wait_for_something(run, slots, count, at);
    if (!serve_client(run, slots))
        return false;
    bool went_on = resume(run, slots[CLIENT_IN].revents) && serve_backend(run, slots, count, at);
    if (!look_for_end(run) || !went_on)
        return false;
    if (run->whole)
        return true;
    set_limits(run, at);
    return expire(run, at);
}

bool http_pump_head(struct http_run *run)
{
    while (!run->head_complete && !run->failed)
        turn(run);
    return !run->failed;
}

bool http_pump_body(struct http_run *run)
{
    run->relaying = true;
    while (!run->whole && !run->failed)
        turn(run);
    return !run->failed;
}
