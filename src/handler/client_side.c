/*
 * A client may be slow both ways, and whoever works for it must not count that
 * against its backend. The time limits on the client itself are here.
 */
#include "config.h"

#include "handler/client_side.h"

#include <errno.h>

enum { GATHER_MS = 2 }; /* who has written mostly writes more, or ends: one send for both */

/* A web server that is merely busy takes what there is soon: waiting for it costs less than a file does. */
enum { AHEAD_MOST = 48 * 1024, BEHIND_MS = 50 };

ssize_t client_side_read(struct client_side *side, uint64_t now, void *to, size_t size)
{
    ssize_t length = body_read(&side->exchange->body, to, size);
    bool waits = length == BODY_WAIT;
    if (waits && !side->awaits_body)
        side->awaited_at = now;
    side->awaits_body = waits;
    return length;
}

bool client_side_has_room(const struct client_side *side)
{
    const struct channel *channel = side->exchange->channel;
    return channel->pending(channel) <= channel->pending_limit && !side->may_catch_up;
}

void client_side_watch(const struct client_side *side, bool hungry, bool sated,
                       struct pollfd slots[CLIENT_SLOTS])
{
    const struct channel *channel = side->exchange->channel;
    short gone = channel->half_closes ? 0 : POLLRDHUP;
    short out = side->stuck || !client_side_has_room(side) ? (short)(gone | POLLOUT) : gone;
    bool listens = hungry || (sated && !side->heard);
    slots[CLIENT_IN] = (struct pollfd){listens ? channel->input : -1, POLLIN, 0};
    slots[CLIENT_OUT] = (struct pollfd){channel->output, out, 0};
}

static uint64_t sends_until(const struct client_side *side, bool hungry)
{
    uint64_t timeout = side->exchange->read_timeout;
    return hungry && timeout ? side->awaited_at + timeout : UINT64_MAX;
}

static uint64_t reads_until(const struct client_side *side)
{
    uint64_t timeout = side->exchange->write_timeout;
    return side->stuck && timeout ? side->drained_at + timeout : UINT64_MAX;
}

static uint64_t gathers_until(const struct client_side *side)
{
    return side->gathering ? side->gathered_at + GATHER_MS : UINT64_MAX;
}

uint64_t client_side_limit(const struct client_side *side, bool hungry)
{
    uint64_t first = sends_until(side, hungry), reads = reads_until(side), gathers = gathers_until(side);
    if (reads < first)
        first = reads;
    if (gathers < first)
        first = gathers;
    return side->may_catch_up && side->behind_at + BEHIND_MS < first ? side->behind_at + BEHIND_MS : first;
}

/* Takes note of whether the client is behind, and is to be waited for. */
static void look_behind(struct client_side *side, uint64_t now)
{
    const struct channel *channel = side->exchange->channel;
    bool behind = !channel->holds && channel->pending(channel) > AHEAD_MOST;
    if (behind && !side->behind)
        side->behind_at = now;
    side->behind = behind;
    side->may_catch_up = behind && now < side->behind_at + BEHIND_MS;
}

void client_side_sent(struct client_side *side, uint64_t now)
{
    const struct channel *channel = side->exchange->channel;
    look_behind(side, now);
    if (side->stuck || side->gathering || channel->pending(channel) == 0)
        return;
    side->gathering = true;
    side->gathered_at = now;
}

static bool flush(struct client_side *side, uint64_t now)
{
    struct channel *channel = side->exchange->channel;
    uint64_t before = channel->pending(channel);
    bool here = channel->flush(channel);
    uint64_t after = channel->pending(channel);
    if (after < before || !side->stuck)
        side->drained_at = now;
    side->stuck = after > 0 && !channel->holds;
    side->gathering = false;
    return here;
}

/* What a client sends when no more of its body is wanted can only be that it gives
 * up (FCGI_ABORT_REQUEST); one look, for anything else would stay there. */
static void listen_to_client(struct client_side *side, bool sated, short events)
{
    char byte;
    struct channel *channel = side->exchange->channel;
    if (!sated || side->heard || !events)
        return;
    side->heard = true;
    if (channel->receive(channel, &byte, 1) < 0 && errno == ECONNABORTED)
        channel->gone = true;
}

bool client_side_serve(struct client_side *side, bool sated, const struct pollfd slots[CLIENT_SLOTS],
                       uint64_t now)
{
    short events = slots[CLIENT_OUT].revents;
    listen_to_client(side, sated, slots[CLIENT_IN].revents);
    /* POLLRDHUP only comes where client_side_watch() asked for it. */
    bool here = !side->exchange->channel->gone && !(events & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
    if (here && ((events & POLLOUT) || now >= gathers_until(side)))
        here = flush(side, now);
    look_behind(side, now);
    return here;
}

bool client_side_is_late(const struct client_side *side, bool hungry, uint64_t now, struct verdict *verdict)
{
    if (now >= sends_until(side, hungry))
        *verdict = DENY(408, "body", "body_timeout", "the client stopped sending its body");
    else if (now >= reads_until(side))
        *verdict = DENY(408, side->handler, "client_stalled", "the client stopped reading");
    else
        return false;
    return true;
}
