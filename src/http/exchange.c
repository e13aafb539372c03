/*
 * What is common to all exchanges: their name, and the way their reply goes
 * out. Head first and once, and no more body than was promised. Where the
 * bytes go is the channel's business.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "http/exchange.h"

enum { RANDOM_BYTES = 16, RANDOM_SIZE = 64 * RANDOM_BYTES };

static const char digits[] = "0123456789abcdef";

/* One system call does for 64 numbers of a thread. Never used before a fork,
 * so no two processes draw the same numbers. */
struct random_pool {
    unsigned char bytes[RANDOM_SIZE];
    size_t left;
};
static _Thread_local struct random_pool pool;

static void fill_pool(void)
{
    while (pool.left < RANDOM_SIZE) {
        ssize_t length = getrandom(pool.bytes + pool.left, RANDOM_SIZE - pool.left, 0);
        if (length > 0)
            pool.left += (size_t)length;
        else if (errno != EINTR)
            abort(); /* there is no kernel this runs on without it */
    }
}

/* RANDOM_BYTES that nobody else gets. */
static unsigned char *draw(void)
{
    if (pool.left == 0)
        fill_pool();
    pool.left -= RANDOM_BYTES;
    return pool.bytes + pool.left;
}

const char *exchange_nonce(struct exchange *exchange)
{
    if (exchange->nonce[0])
        return exchange->nonce;
    unsigned char *bytes = draw();
    for (size_t i = 0; i < RANDOM_BYTES; i++) {
        exchange->nonce[2 * i] = digits[bytes[i] >> 4];
        exchange->nonce[2 * i + 1] = digits[bytes[i] & 0x0f];
    }
    return exchange->nonce;
}

void exchange_make_id(struct exchange *exchange)
{
    unsigned char *uuid = draw();
    uuid[6] = (unsigned char)((uuid[6] & 0x0f) | 0x40); /* RFC 9562, 5.4: version 4 */
    uuid[8] = (unsigned char)((uuid[8] & 0x3f) | 0x80); /* and its variant */
    char *to = exchange->id;
    for (size_t i = 0; i < RANDOM_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = digits[uuid[i] >> 4];
        *to++ = digits[uuid[i] & 0x0f];
    }
    *to = '\0';
}

int64_t exchange_time(const struct exchange *exchange)
{
    return exchange->played_time ? exchange->played_time : clock_wall_milliseconds();
}

void exchange_begin_to_wait(struct exchange *exchange)
{
    if (exchange->waits)
        exchange->waits(exchange);
}

bool exchange_send_head(struct exchange *exchange)
{
    assert(!exchange->head_sent);
    exchange->head_sent = true;
    return exchange->channel->send(exchange->channel, reply_head(&exchange->reply, exchange->arena));
}

bool exchange_send_kept(struct exchange *exchange)
{
    enum { PIECE = 16 * 1024 };
    struct kept *kept = exchange->kept;
    char piece[PIECE];
    ssize_t length = 0;
    exchange->kept = NULL;
    exchange->sent = 0;
    if (!exchange_send_head(exchange))
        return false;
    if (kept->instead.at)
        return exchange_send(exchange, kept->instead);
    spool_rewind(&kept->spool);
    while ((length = spool_read(&kept->spool, piece, sizeof piece)) > 0)
        if (!exchange_send(exchange, (struct text){piece, (size_t)length}))
            return false;
    return length == 0;
}

/* What does not fit ends it, or all that was kept goes out. */
static bool keep(struct exchange *exchange, struct text data)
{
    struct kept *kept = exchange->kept;
    struct error error = {0};
    exchange->sent += data.length;
    if (spool_write(&kept->spool, data.at, data.length, &error))
        return true;
    kept->over = error.number == EFBIG;
    kept->failed = !kept->over;
    return kept->fixed && exchange_send_kept(exchange) && exchange_send(exchange, data);
}

bool exchange_send(struct exchange *exchange, struct text data)
{
    const struct reply *reply = &exchange->reply;
    struct channel *channel = exchange->channel;
    assert(exchange->head_sent || exchange->kept);
    if (!reply_has_body(reply, exchange->request.method))
        return !channel->gone;
    if (reply->length >= 0) {
        uint64_t left = (uint64_t)reply->length - exchange->sent;
        if (data.length > left)
            data.length = (size_t)left;
    }
    if (data.length == 0)
        return !channel->gone;
    if (exchange->kept)
        return keep(exchange, data);
    exchange->sent += data.length;
    return channel->send(channel, data);
}
