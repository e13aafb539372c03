/*
 * A body's bytes are counted as they come in, and every outcome but a piece of
 * body is final: what was over, short or broken once stays so.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/body.h"

enum { PIECE_SIZE = 16 * 1024 };

static bool is_stated(const struct body *body)
{
    return body->stated >= 0;
}

/* 0, or what must be said of what has come so far. */
static ssize_t judge(const struct body *body)
{
    if (body->received > body->limit || (is_stated(body) && (uint64_t)body->stated > body->limit))
        return BODY_OVER;
    if (is_stated(body) && body->received > (uint64_t)body->stated)
        return BODY_BROKEN;
    if (is_stated(body) && body->ended && body->received < (uint64_t)body->stated)
        return BODY_BROKEN;
    return 0;
}

static ssize_t result_of_errno(void)
{
    switch (errno) {
    case EAGAIN:
        return BODY_WAIT;
    case EPROTO:
        return BODY_BROKEN;
    default:
        return BODY_GONE;
    }
}

static ssize_t receive(struct body *body, char *to, size_t size)
{
    size_t before = 0;
    if (body->peeked) {
        to[before++] = body->first;
        body->peeked = false;
    }
    ssize_t length = 0;
    if (before < size)
        length = body->channel->receive(body->channel, to + before, size - before);
    if (length < 0 && before == 0)
        return result_of_errno();
    if (length < 0) /* it will be said again */
        length = 0;
    body->received += before + (uint64_t)length;
    body->ended = before == 0 && length == 0;
    ssize_t verdict = judge(body);
    return verdict < 0 ? verdict : (ssize_t)before + length;
}

ssize_t body_read(struct body *body, void *to, size_t size)
{
    assert(size > 0);
    if (body->spooled) {
        ssize_t length = spool_read(&body->spool, to, size);
        return length < 0 ? BODY_FAILED : length;
    }
    ssize_t verdict = judge(body);
    if (verdict < 0 || body->ended)
        return verdict;
    return receive(body, to, size);
}

bool body_is_empty(struct body *body)
{
    if (body->spooled)
        return body->spool.length == 0;
    if (is_stated(body))
        return body->stated == 0;
    if (body->peeked || body->received > 0)
        return false;
    if (body->ended)
        return true;
    ssize_t length = body->channel->receive(body->channel, &body->first, 1);
    body->peeked = length > 0;
    body->ended = length == 0;
    return body->ended;
}

int64_t body_length(const struct body *body)
{
    if (body->spooled)
        return (int64_t)body->spool.length;
    if (is_stated(body))
        return body->stated;
    return body->ended ? (int64_t)body->received : -1;
}

/* False when nothing came in time. */
static bool wait_for_input(const struct channel *channel, uint64_t silence, uint64_t deadline)
{
    struct pollfd input = {.fd = channel->input, .events = POLLIN | POLLRDHUP};
    uint64_t now = clock_milliseconds(), start = now;
    while (now < deadline && now - start < silence) {
        uint64_t left = silence - (now - start);
        if (left > deadline - now)
            left = deadline - now;
        int ready = poll(&input, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0 || (ready < 0 && errno != EINTR))
            return true; /* an error shows when reading */
        now = clock_milliseconds();
    }
    return false;
}

static struct verdict keep_piece(struct body *body, const char *piece, size_t length)
{
    struct error error = {0};
    if (spool_write(&body->spool, piece, length, &error))
        return PASS;
    if (error.number == EFBIG)
        return body_verdict(BODY_OVER);
    log_event(SEVERITY_ERROR, "spool_failed", "%s", error.message);
    return body_verdict(BODY_FAILED);
}

struct verdict body_collect(struct body *body, uint64_t memory_limit, const char *folder, uint64_t silence,
                            uint64_t deadline)
{
    if (body->spooled)
        return PASS;
    body->spool = spool_new(memory_limit, body->limit, folder);
    char piece[PIECE_SIZE];
    size_t used = 0; /* of it, as long as nothing is refused */
    ssize_t length;
    while ((length = body_read(body, piece, sizeof piece)) != 0) {
        struct verdict verdict;
        if (length > 0 && (size_t)length > used)
            used = (size_t)length;
        if (length > 0)
            verdict = keep_piece(body, piece, (size_t)length);
        else if (length != BODY_WAIT)
            verdict = body_verdict(length);
        else if (!wait_for_input(body->channel, silence, deadline))
            verdict = DENY(408, "body", "body_timeout", "the rest of the body did not come in time");
        else
            continue;
        if (verdict.kind != VERDICT_PASS) {
            explicit_bzero(piece, sizeof piece);
            return verdict;
        }
    }
    explicit_bzero(piece, used);
    spool_rewind(&body->spool);
    body->spooled = true;
    return PASS;
}

bool body_replace(struct body *body, struct text text, struct error *error)
{
    assert(body->spooled);
    struct spool spool = spool_new(body->spool.memory_limit, text.length, body->spool.folder);
    if (!spool_write(&spool, text.at, text.length, error)) {
        spool_close(&spool);
        return false;
    }
    spool_close(&body->spool);
    body->spool = spool;
    spool_rewind(&body->spool);
    return true;
}

struct verdict body_verdict(ssize_t result)
{
    switch (result) {
    case BODY_OVER:
        return DENY(413, "body", "body_too_large", "over the limit");
    case BODY_GONE:
        return DENY(400, "body", "body_incomplete", "the client went away before the end of its body");
    case BODY_BROKEN:
        return DENY(400, "body", "body_invalid", "not as long as stated, or no proper end");
    default:
        assert(result == BODY_FAILED);
        return FAULT(500, "body", "spool_failed", "the body could not be kept");
    }
}

void body_close(struct body *body)
{
    spool_close(&body->spool);
}
