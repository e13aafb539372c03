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
    LINGER_MS = 1000, /* for output that outlives the program, held open by who left its group */
};

enum slot { PROGRAM_IN = CLIENT_SLOTS, PROGRAM_OUT, PROGRAM_ERRORS, PROGRAM_END, SLOTS };

enum limit { LIMIT_RUN, LIMIT_SILENCE, LIMIT_CLIENT, LIMIT_LINGER, LIMITS };

/* Whether nothing can go to the program before the client has sent more. */
static bool is_hungry(const struct exec_run *run)
{
    return run->input >= 0 && run->in_start == run->in_end && run->client.awaits_body;
}

static void watch(const struct exec_run *run, struct pollfd slots[SLOTS])
{
    bool hungry = is_hungry(run), room = client_side_has_room(&run->client);
    client_side_watch(&run->client, hungry, run->input < 0, slots);
    /* Hungry, it is still watched for a program that closes its input. */
    slots[PROGRAM_IN] = (struct pollfd){run->input, hungry ? 0 : POLLOUT, 0};
    slots[PROGRAM_OUT] = (struct pollfd){room ? run->output : -1, POLLIN, 0};
    slots[PROGRAM_ERRORS] = (struct pollfd){run->errors, POLLIN, 0};
    slots[PROGRAM_END] = (struct pollfd){run->ended ? -1 : run->run.descriptor, POLLIN, 0};
}

/* When each limit would be reached. One that does not apply is never reached. */
static void set_limits(const struct exec_run *run, uint64_t at[LIMITS])
{
    bool hungry = is_hungry(run), room = client_side_has_room(&run->client);
    for (size_t i = 0; i < LIMITS; i++)
        at[i] = UINT64_MAX;
    at[LIMIT_RUN] = run->deadline;
    if (!hungry && room)
        at[LIMIT_SILENCE] = run->moved_at + run->settings->silence;
    at[LIMIT_CLIENT] = client_side_limit(&run->client, hungry);
    if (run->ended && room)
        at[LIMIT_LINGER] = (run->moved_at > run->ended_at ? run->moved_at : run->ended_at) + LINGER_MS;
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
    struct verdict late;
    if (run->now >= at[LIMIT_RUN])
        return exec_run_fail(run, timed_out(run, "the program ran for more than", settings->timeout));
    if (client_side_is_late(&run->client, is_hungry(run), run->now, &late))
        return exec_run_fail(run, late);
    if (run->now >= at[LIMIT_SILENCE])
        return exec_run_fail(run, timed_out(run, "the program was silent for", settings->silence));
    if (run->now >= at[LIMIT_LINGER]) {
        exec_run_close(&run->output);
        return EXEC_CLOSED;
    }
    return EXEC_NOTHING;
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

static enum exec_progress turn(struct exec_run *run, struct text *piece)
{
    struct pollfd slots[SLOTS];
    uint64_t at[LIMITS];
    if (!client_side_has_room(&run->client) || is_hungry(run))
        run->moved_at = run->now; /* it is the client who keeps the program waiting */
    watch(run, slots);
    set_limits(run, at);
    wait_for_something(run, slots, at);
    if (!client_side_serve(&run->client, run->input < 0, slots, run->now))
        return exec_run_fail(run, DENY(400, EXEC_NAME, "client_gone", "the client is gone"));
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
