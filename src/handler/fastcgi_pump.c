/*
 * The pump: one poll loop between client and application. Body and reply move at
 * the same time, so that neither side waits for the other for ever; whoever
 * falls silent, goes away or stops reading is noticed here.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/clock.h"
#include "handler/fastcgi.h"

enum { FEED_ROUNDS = 4 }; /* pieces of the body at a time, so that the reply is not kept waiting */
enum { BACKEND = CLIENT_SLOTS, SLOTS };

/* Whether nothing can go to the application before the client has sent more. */
static bool is_hungry(const struct fastcgi_run *run)
{
    return !run->deaf && run->head_sent == run->head.length && run->in_start == run->in_end &&
           !run->body_ended && run->client.awaits_body;
}

/* Whether no more of the body is wanted. While nothing has come back it may be, on another
 * connection. */
static bool is_sated(const struct fastcgi_run *run)
{
    return run->body_ended || (run->deaf && run->received > 0);
}

static bool has_to_send(const struct fastcgi_run *run)
{
    bool sent = run->head_sent == run->head.length && run->in_start == run->in_end;
    return !run->deaf && (!sent || (!run->body_ended && !run->client.awaits_body));
}

/* ---- to the application */

static ssize_t send_some(const struct fastcgi_run *run)
{
    struct iovec pieces[] = {
        {(char *)(uintptr_t)run->head.at + run->head_sent, run->head.length - run->head_sent},
        {(char *)(uintptr_t)run->in + run->in_start, run->in_end - run->in_start}};
    const struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    return sendmsg(run->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void note_sent(struct fastcgi_run *run, size_t length)
{
    size_t head = run->head.length - run->head_sent;
    if (head > length)
        head = length;
    run->head_sent += head;
    run->in_start += length - head;
    run->moved_at = run->now;
}

static void feed(struct fastcgi_run *run)
{
    for (size_t i = 0; i < FEED_ROUNDS && !run->deaf && !run->failed; i++) {
        bool more = fastcgi_run_fill(run);
        if (run->failed || (!more && run->head_sent == run->head.length))
            return;
        ssize_t length = send_some(run);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        /* It wants no more, which is its right; what it has answered is still to be read. */
        run->deaf = length < 0;
        if (length >= 0)
            note_sent(run, (size_t)length);
    }
}

/* ---- from the application */

static bool fail(struct fastcgi_run *run, int status, const char *code, const char *detail)
{
    return fastcgi_run_blame(run, BACKEND_FAILED, FAULT(status, FASTCGI_NAME, code, detail));
}

static bool lose(struct fastcgi_run *run)
{
    if (fastcgi_run_retry(run)) {
        feed(run);
        return !run->failed;
    }
    if (run->failed)
        return false;
    if (run->received == 0) {
        run->again = run->head_sent == 0 ? AGAIN_ANY : AGAIN_IDEMPOTENT;
        return fail(run, 502, "backend_unavailable", "the application closed the connection unanswered");
    }
    return fail(run, 502, "bad_reply", "the application closed the connection inside its reply");
}

static bool receive(struct fastcgi_run *run)
{
    ssize_t length = recv(run->descriptor, run->out, sizeof run->out, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (length <= 0)
        return lose(run);
    run->unread = (struct text){run->out, (size_t)length};
    if (run->out_used < run->unread.length)
        run->out_used = run->unread.length;
    run->received += run->unread.length;
    run->moved_at = run->now;
    return true;
}

/* What the application says of the request as a whole (FastCGI specification, 5.5). */
static bool judge_end(struct fastcgi_run *run)
{
    run->ended = true;
    switch (run->reply.end.protocol_status) {
    case END_COMPLETE:
        return true;
    case END_OVERLOADED: /* without having done anything */
        run->again = AGAIN_ANY;
        return fastcgi_run_fail(
            run, FAULT(503, FASTCGI_NAME, "backend_busy", "the application says that it is overloaded"));
    case END_CANT_MULTIPLEX:
        return fail(run, 502, "bad_reply", "the application says that it cannot multiplex");
    case END_UNKNOWN_ROLE:
        return fail(run, 502, "bad_reply", "the application says that it is no responder");
    default:
        return fail(run, 502, "bad_reply", "the application ends with a status that nobody knows");
    }
}

/* Of what has been received, up to the next piece of output. False when more must come. */
static bool read_records(struct fastcgi_run *run, enum fastcgi_progress *progress, struct text *piece)
{
    for (;;) {
        switch (fastcgi_reply_take(&run->reply, &run->unread, piece)) {
        case FASTCGI_MORE:
            return false;
        case FASTCGI_OUTPUT:
            *progress = FASTCGI_PIECE;
            return true;
        case FASTCGI_ERRORS:
            error_lines_take(&run->lines, run->exchange, *piece);
            break;
        case FASTCGI_END:
            *progress = judge_end(run) ? FASTCGI_DONE : FASTCGI_FAILED;
            return true;
        case FASTCGI_BROKEN:
            fail(run, 502, "bad_reply", run->reply.fault);
            *progress = FASTCGI_FAILED;
            return true;
        }
    }
}

/* ---- time */

static uint64_t falls_silent_at(const struct fastcgi_run *run)
{
    const struct fastcgi_settings *settings = run->settings;
    return run->moved_at + (run->received == 0 ? settings->first_byte : settings->silence);
}

static struct verdict timed_out(const struct fastcgi_run *run, const char *what, uint64_t milliseconds)
{
    return FAULT(504, FASTCGI_NAME, "backend_timeout",
                 arena_printf(run->exchange->arena, "%s %llu ms", what, (unsigned long long)milliseconds));
}

static bool is_in_time(struct fastcgi_run *run, bool waits_for_client)
{
    struct verdict late;
    if (run->now >= run->deadline)
        return fastcgi_run_fail(run, timed_out(run, "the request took more than", run->settings->timeout));
    if (client_side_is_late(&run->client, is_hungry(run), run->now, &late))
        return fastcgi_run_fail(run, late);
    if (waits_for_client || run->now < falls_silent_at(run))
        return true;
    if (run->received > 0)
        return fastcgi_run_blame(run, BACKEND_LATE,
                                 timed_out(run, "the application was silent for", run->settings->silence));
    run->again = AGAIN_IDEMPOTENT;
    return fastcgi_run_blame(
        run, BACKEND_LATE,
        timed_out(run, "the application did not answer within", run->settings->first_byte));
}

static void wait_for_something(struct fastcgi_run *run, struct pollfd slots[SLOTS], bool waits_for_client)
{
    uint64_t first = client_side_limit(&run->client, is_hungry(run)), silent = falls_silent_at(run);
    if (run->deadline < first)
        first = run->deadline;
    if (!waits_for_client && silent < first)
        first = silent;
    uint64_t left = first > run->now ? first - run->now : 0;
    if (poll(slots, SLOTS, left > INT_MAX ? INT_MAX : (int)left) < 0)
        for (size_t i = 0; i < SLOTS; i++)
            slots[i].revents = 0;
    run->now = clock_milliseconds();
}

/* ---- the loop */

static bool turn(struct fastcgi_run *run)
{
    struct pollfd slots[SLOTS];
    bool room = client_side_has_room(&run->client), waits_for_client = !room || is_hungry(run);
    short events = (short)((room ? POLLIN : 0) | (has_to_send(run) ? POLLOUT : 0));
    if (waits_for_client)
        run->moved_at = run->now; /* it is the client who keeps the application waiting */
    client_side_watch(&run->client, is_hungry(run), is_sated(run), slots);
    slots[BACKEND] = (struct pollfd){events ? run->descriptor : -1, events, 0};
    wait_for_something(run, slots, waits_for_client);
    if (!client_side_serve(&run->client, is_sated(run), slots, run->now))
        return fastcgi_run_fail(run, DENY(400, FASTCGI_NAME, "client_gone", "the client is gone"));
    if ((slots[BACKEND].revents & POLLOUT) || slots[CLIENT_IN].revents)
        feed(run);
    if (!run->failed && room && (slots[BACKEND].revents & (POLLIN | POLLHUP | POLLERR)))
        receive(run);
    return !run->failed && is_in_time(run, waits_for_client);
}

enum fastcgi_progress fastcgi_pump(struct fastcgi_run *run, struct text *piece)
{
    enum fastcgi_progress progress = FASTCGI_FAILED;
    if (run->ended)
        return run->failed ? FASTCGI_FAILED : FASTCGI_DONE;
    if (run->head_sent == 0)
        feed(run);
    while (!run->failed && !read_records(run, &progress, piece) && turn(run))
        ;
    return run->failed ? FASTCGI_FAILED : progress;
}

void fastcgi_pump_settle(struct fastcgi_run *run)
{
    enum fastcgi_progress progress = FASTCGI_PIECE;
    struct text piece;
    while (!run->failed && !run->ended && read_records(run, &progress, &piece))
        ;
}
