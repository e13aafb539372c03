/*
 * The pump: one poll loop between the client and libcurl's connections. Body and
 * reply move at the same time, so that neither side waits for the other for
 * ever; whoever falls silent, goes away or stops reading is noticed here.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/arena.h"
#include "base/clock.h"
#include "handler/http.h"

enum { GATHER_MS = 2 }; /* a backend that has written mostly writes more, or ends: one send for both */

enum slot { CLIENT_IN, CLIENT_OUT, BACKEND, SLOTS = BACKEND + HTTP_SOCKETS_LIMIT };

enum limit {
    LIMIT_RUN,
    LIMIT_SILENCE,
    LIMIT_CLIENT_SENDS,
    LIMIT_CLIENT_READS,
    LIMIT_GATHER,
    LIMIT_LIBCURL,
    LIMITS
};

bool http_pump_has_room(const struct http_run *run)
{
    const struct channel *channel = run->exchange->channel;
    return channel->pending(channel) <= channel->pending_limit;
}

static void watch(const struct http_run *run, struct pollfd slots[SLOTS])
{
    const struct channel *channel = run->exchange->channel;
    const struct http_client *client = run->client;
    short gone = channel->half_closes ? 0 : POLLRDHUP;
    bool wants = run->stuck || !http_pump_has_room(run);
    bool listens = run->awaits_body || (run->body_ended && !run->heard);
    slots[CLIENT_IN] = (struct pollfd){listens ? channel->input : -1, POLLIN, 0};
    slots[CLIENT_OUT] = (struct pollfd){channel->output, (short)(wants ? gone | POLLOUT : gone), 0};
    for (size_t i = 0; i < client->socket_count; i++) {
        int what = client->sockets[i].what;
        short events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
        slots[BACKEND + i] = (struct pollfd){client->sockets[i].descriptor, events, 0};
    }
}

/* When each limit would be reached. One that does not apply is never reached. */
static void set_limits(const struct http_run *run, uint64_t at[LIMITS])
{
    const struct exchange *exchange = run->exchange;
    long timer;
    for (size_t i = 0; i < LIMITS; i++)
        at[i] = UINT64_MAX;
    at[LIMIT_RUN] = run->deadline;
    if (!run->awaits_body && http_pump_has_room(run))
        at[LIMIT_SILENCE] = run->moved_at + run->settings->silence;
    if (run->awaits_body && exchange->read_timeout)
        at[LIMIT_CLIENT_SENDS] = run->awaited_at + exchange->read_timeout;
    if (run->stuck && exchange->write_timeout)
        at[LIMIT_CLIENT_READS] = run->drained_at + exchange->write_timeout;
    if (run->gathering)
        at[LIMIT_GATHER] = run->gathered_at + GATHER_MS;
    if (curl_multi_timeout(run->client->multi, &timer) == CURLM_OK && timer >= 0)
        at[LIMIT_LIBCURL] = run->now + (uint64_t)timer;
}

static void wait_for_something(struct http_run *run, struct pollfd slots[SLOTS], size_t count,
                               const uint64_t at[LIMITS])
{
    uint64_t first = UINT64_MAX, now = run->now;
    for (size_t i = 0; i < LIMITS; i++)
        if (at[i] < first)
            first = at[i];
    uint64_t left = first > now ? first - now : 0;
    if (poll(slots, count, left > INT_MAX ? INT_MAX : (int)left) < 0)
        for (size_t i = 0; i < count; i++)
            slots[i].revents = 0;
    run->now = clock_milliseconds();
}

static bool time_out(struct http_run *run, const char *what, uint64_t milliseconds)
{
    const char *detail =
        arena_printf(run->exchange->arena, "%s %llu ms", what, (unsigned long long)milliseconds);
    return http_run_fail(run, FAULT(504, HTTP_NAME, "backend_timeout", detail));
}

static bool expire(struct http_run *run, const uint64_t at[LIMITS])
{
    const struct http_settings *settings = run->settings;
    if (run->now >= at[LIMIT_RUN])
        return time_out(run, "the request took more than", settings->timeout);
    if (run->now >= at[LIMIT_CLIENT_SENDS])
        return http_run_fail(run, DENY(408, "body", "body_timeout", "the client stopped sending its body"));
    if (run->now >= at[LIMIT_CLIENT_READS])
        return http_run_fail(run, DENY(408, HTTP_NAME, "client_stalled", "the client stopped reading"));
    if (run->now >= at[LIMIT_SILENCE])
        return time_out(run, "the backend was silent for", settings->silence);
    return true;
}

/* ---- the client */

void http_pump_sent(struct http_run *run)
{
    const struct channel *channel = run->exchange->channel;
    if (run->stuck || run->gathering || channel->pending(channel) == 0)
        return;
    run->gathering = true;
    run->gathered_at = run->now;
}

static bool flush(struct http_run *run)
{
    struct channel *channel = run->exchange->channel;
    uint64_t before = channel->pending(channel);
    bool here = channel->flush(channel);
    uint64_t after = channel->pending(channel);
    if (after < before || !run->stuck)
        run->drained_at = run->now;
    run->stuck = after > 0 && !channel->holds;
    run->gathering = false;
    return here;
}

/* What a client sends behind its body can only be that it gives up
 * (FCGI_ABORT_REQUEST); one look, for anything else would stay there. */
static void listen_to_client(struct http_run *run, short events)
{
    char byte;
    struct channel *channel = run->exchange->channel;
    if (!run->body_ended || run->heard || !events)
        return;
    run->heard = true;
    if (channel->receive(channel, &byte, 1) < 0 && errno == ECONNABORTED)
        channel->gone = true;
}

static bool serve_client(struct http_run *run, short events, const uint64_t at[LIMITS])
{
    /* POLLRDHUP only comes where watch() asked for it. */
    bool here = !run->exchange->channel->gone && !(events & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
    if (here && ((events & POLLOUT) || run->now >= at[LIMIT_GATHER]))
        here = flush(run);
    return here || http_run_fail(run, DENY(400, HTTP_NAME, "client_gone", "the client is gone"));
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
    bool body = run->awaits_body && heard;
    bool reply = run->held && run->relaying && http_pump_has_room(run);
    if (!body && !reply)
        return true;
    run->awaits_body = run->awaits_body && !body;
    run->held = run->held && !reply;
    int paused = (run->awaits_body ? CURLPAUSE_SEND : 0) | (run->held ? CURLPAUSE_RECV : 0);
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
    for (size_t i = BACKEND; i < count && code == CURLM_OK; i++) {
        short events = slots[i].revents;
        int mask = (events & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) |
                   (events & POLLOUT ? CURL_CSELECT_OUT : 0) |
                   (events & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0);
        if (mask && has_socket(client, slots[i].fd))
            code = curl_multi_socket_action(client->multi, slots[i].fd, mask, &running);
    }
    if (run->now >= at[LIMIT_LIBCURL] && code == CURLM_OK)
        code = curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    return take_code(run, code == CURLM_OK);
}

/* A backend may answer before it has read the whole body, and never read the rest. */
static bool is_answered(const struct http_run *run)
{
    const struct exchange *exchange = run->exchange;
    if (!run->relaying || !run->has_body || run->body_ended)
        return false;
    return !reply_has_body(&exchange->reply, exchange->request.method) ||
           (run->reply.length >= 0 && run->body_size >= (uint64_t)run->reply.length);
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
    return true;
}

/* ---- both */

static bool turn(struct http_run *run)
{
    struct pollfd slots[SLOTS];
    uint64_t at[LIMITS];
    if (!http_pump_has_room(run) || run->awaits_body)
        run->moved_at = run->now; /* it is the client who keeps the backend waiting */
    if (!resume(run, false))
        return false;
    size_t count = BACKEND + run->client->socket_count;
    watch(run, slots);
    set_limits(run, at);
    wait_for_something(run, slots, count, at);
    listen_to_client(run, slots[CLIENT_IN].revents);
    if (!serve_client(run, slots[CLIENT_OUT].revents, at))
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
