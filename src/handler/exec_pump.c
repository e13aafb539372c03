/*
 * The pump: one poll loop between client and program. Body and reply move at
 * the same time, so that neither side waits for the other for ever; whoever
 * falls silent, goes away or stops reading is noticed here.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "handler/exec.h"

enum {
    FEED_ROUNDS = 4,  /* pieces of the body at a time, so that the reply is not kept waiting */
    GATHER_MS = 2,    /* a program that has written mostly writes more, or ends: one send for both */
    LINGER_MS = 1000, /* for output that outlives the program, held open by who left its group */
};

enum slot { CLIENT_IN, PROGRAM_IN, PROGRAM_OUT, PROGRAM_ERRORS, PROGRAM_END, CLIENT_OUT, SLOTS };

enum limit {
    LIMIT_RUN,
    LIMIT_SILENCE,
    LIMIT_CLIENT_SENDS,
    LIMIT_CLIENT_READS,
    LIMIT_LINGER,
    LIMIT_GATHER,
    LIMITS
};

static bool has_room(const struct exec_run *run)
{
    const struct channel *channel = run->exchange->channel;
    return channel->pending(channel) <= channel->pending_limit;
}

/* Whether nothing can go to the program before the client has sent more. */
static bool is_hungry(const struct exec_run *run)
{
    return run->input >= 0 && run->in_start == run->in_end && run->awaits_body;
}

static void watch(const struct exec_run *run, struct pollfd slots[SLOTS])
{
    const struct channel *channel = run->exchange->channel;
    bool hungry = is_hungry(run), room = has_room(run);
    short gone = channel->half_closes ? 0 : POLLRDHUP;
    short client = run->stuck || !room ? (short)(gone | POLLOUT) : gone;
    bool listens = hungry || (run->input < 0 && !run->heard);
    slots[CLIENT_IN] = (struct pollfd){listens ? channel->input : -1, POLLIN, 0};
    /* Hungry, it is still watched for a program that closes its input. */
    slots[PROGRAM_IN] = (struct pollfd){run->input, hungry ? 0 : POLLOUT, 0};
    slots[PROGRAM_OUT] = (struct pollfd){room ? run->output : -1, POLLIN, 0};
    slots[PROGRAM_ERRORS] = (struct pollfd){run->errors, POLLIN, 0};
    slots[PROGRAM_END] = (struct pollfd){run->ended ? -1 : run->run.descriptor, POLLIN, 0};
    slots[CLIENT_OUT] = (struct pollfd){channel->output, client, 0};
}

/* When each limit would be reached. One that does not apply is never reached. */
static void set_limits(const struct exec_run *run, uint64_t at[LIMITS])
{
    const struct exchange *exchange = run->exchange;
    bool hungry = is_hungry(run), room = has_room(run);
    for (size_t i = 0; i < LIMITS; i++)
        at[i] = UINT64_MAX;
    at[LIMIT_RUN] = run->deadline;
    if (!hungry && room)
        at[LIMIT_SILENCE] = run->moved_at + run->settings->silence;
    if (hungry && exchange->read_timeout)
        at[LIMIT_CLIENT_SENDS] = run->awaited_at + exchange->read_timeout;
    if (run->stuck && exchange->write_timeout)
        at[LIMIT_CLIENT_READS] = run->drained_at + exchange->write_timeout;
    if (run->ended && room)
        at[LIMIT_LINGER] = (run->moved_at > run->ended_at ? run->moved_at : run->ended_at) + LINGER_MS;
    if (run->gathering)
        at[LIMIT_GATHER] = run->gathered_at + GATHER_MS;
}

static void wait_for_something(struct exec_run *run, struct pollfd slots[SLOTS], const uint64_t at[LIMITS])
{
    uint64_t first = UINT64_MAX, now = run->now;
    for (size_t i = 0; i < LIMITS; i++)
        if (at[i] < first)
            first = at[i];
    uint64_t left = first > now ? first - now : 0;
    if (poll(slots, SLOTS, left > INT_MAX ? INT_MAX : (int)left) < 0)
        for (size_t i = 0; i < SLOTS; i++)
            slots[i].revents = 0;
    run->now = clock_milliseconds();
}

static struct verdict timed_out(const struct exec_run *run, const char *what, uint64_t milliseconds)
{
    const char *detail =
        arena_printf(run->exchange->arena, "%s %llu ms", what, (unsigned long long)milliseconds);
    return FAULT(504, EXEC_NAME, "program_timeout", detail);
}

static enum exec_progress expire(struct exec_run *run, const uint64_t at[LIMITS])
{
    const struct exec_settings *settings = run->settings;
    if (run->now >= at[LIMIT_RUN])
        return exec_run_fail(run, timed_out(run, "the program ran for more than", settings->timeout));
    if (run->now >= at[LIMIT_CLIENT_SENDS])
        return exec_run_fail(run, DENY(408, "body", "body_timeout", "the client stopped sending its body"));
    if (run->now >= at[LIMIT_CLIENT_READS])
        return exec_run_fail(run, DENY(408, EXEC_NAME, "client_stalled", "the client stopped reading"));
    if (run->now >= at[LIMIT_SILENCE])
        return exec_run_fail(run, timed_out(run, "the program was silent for", settings->silence));
    if (run->now >= at[LIMIT_LINGER]) {
        exec_run_close(&run->output);
        return EXEC_CLOSED;
    }
    return EXEC_NOTHING;
}

void exec_pump_sent(struct exec_run *run)
{
    const struct channel *channel = run->exchange->channel;
    if (run->stuck || run->gathering || channel->pending(channel) == 0)
        return;
    run->gathering = true;
    run->gathered_at = run->now;
}

static bool flush(struct exec_run *run)
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

void exec_pump_feed(struct exec_run *run)
{
    for (size_t i = 0; i < FEED_ROUNDS && run->input >= 0 && exec_run_fill(run); i++) {
        if (run->in_start == run->in_end) {
            exec_run_close(&run->input);
            return;
        }
        ssize_t length = write(run->input, run->in + run->in_start, run->in_end - run->in_start);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (length < 0) {
            /* The program wants no more of it, which is its right. */
            exec_run_close(&run->input);
            return;
        }
        run->in_start += (size_t)length;
        run->moved_at = run->now;
    }
}

static enum exec_progress read_output(struct exec_run *run, short events, struct text *piece)
{
    ssize_t length = 0;
    if (events & POLLIN)
        length = read(run->output, run->out, sizeof run->out);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return EXEC_NOTHING;
    if (length <= 0) {
        exec_run_close(&run->output);
        return EXEC_CLOSED;
    }
    *piece = (struct text){run->out, (size_t)length};
    if (run->out_used < piece->length)
        run->out_used = piece->length;
    run->moved_at = run->now;
    return EXEC_OUTPUT;
}

/* What a client sends when the program wants no more can only be that it gives
 * up (FCGI_ABORT_REQUEST); one look, for anything else would stay there. */
static void listen_to_client(struct exec_run *run, short events)
{
    char byte;
    struct channel *channel = run->exchange->channel;
    if (run->input >= 0 || run->heard || !events)
        return;
    run->heard = true;
    if (channel->receive(channel, &byte, 1) < 0 && errno == ECONNABORTED)
        channel->gone = true;
}

static bool serve_client(struct exec_run *run, short events, const uint64_t at[LIMITS])
{
    /* POLLRDHUP only comes where watch() asked for it. */
    bool here = !run->exchange->channel->gone && !(events & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
    if (here && ((events & POLLOUT) || run->now >= at[LIMIT_GATHER]))
        here = flush(run);
    if (!here)
        exec_run_fail(run, DENY(400, EXEC_NAME, "client_gone", "the client is gone"));
    return here;
}

static enum exec_progress turn(struct exec_run *run, struct text *piece)
{
    struct pollfd slots[SLOTS];
    uint64_t at[LIMITS];
    if (!has_room(run) || is_hungry(run))
        run->moved_at = run->now; /* it is the client who keeps the program waiting */
    watch(run, slots);
    set_limits(run, at);
    wait_for_something(run, slots, at);
    listen_to_client(run, slots[CLIENT_IN].revents);
    if (!serve_client(run, slots[CLIENT_OUT].revents, at))
        return EXEC_FAILED;
    if (slots[PROGRAM_ERRORS].revents & POLLIN)
        exec_run_read_errors(run);
    else if (slots[PROGRAM_ERRORS].revents)
        exec_run_close(&run->errors);
    if (slots[PROGRAM_END].revents && !exec_run_take_end(run))
        return EXEC_FAILED;
    if (slots[PROGRAM_IN].revents & POLLERR)
        exec_run_close(&run->input);
    else if (slots[PROGRAM_IN].revents || slots[CLIENT_IN].revents)
        exec_pump_feed(run);
    if (run->failed)
        return EXEC_FAILED;
    if (slots[PROGRAM_OUT].revents && run->now < run->deadline)
        return read_output(run, slots[PROGRAM_OUT].revents, piece);
    set_limits(run, at);
    return expire(run, at);
}

enum exec_progress exec_pump(struct exec_run *run, struct text *piece)
{
    enum exec_progress progress = EXEC_NOTHING;
    while (progress == EXEC_NOTHING)
        progress = run->failed ? EXEC_FAILED : turn(run, piece);
    return progress;
}
