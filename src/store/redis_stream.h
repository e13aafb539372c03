/*
 * Redis stream: bytes to and from a server, by TCP, TLS or a unix socket, each
 * step before a deadline. Knows nothing of what the bytes mean.
 */
#ifndef STORE_REDIS_STREAM_H
#define STORE_REDIS_STREAM_H

#include <openssl/ssl.h>

#include "store/redis_url.h"

struct lookup;

/* Deadlines are times of clock_milliseconds(). It must stay where it is. */
struct redis_stream {
    const struct redis_url *url;
    SSL_CTX *trust; /* of TLS; made once, because a sandbox has no place for files */
    int descriptor; /* -1: not connected */
    SSL *tls;
    struct lookup *lookup; /* of a name; one that has been given up goes on until it ends */
};

/* Not connected yet; `url` must outlive it. False with an error when certificates cannot be
 * read. End it with redis_stream_free() in both cases. */
bool redis_stream_new(struct redis_stream *, const struct redis_url *url, struct error *);
void redis_stream_free(struct redis_stream *);

/* Another one with the same certificates. */
void redis_stream_share(struct redis_stream *, const struct redis_stream *first, const struct redis_url *);

/* Connects; it must not be connected. */
bool redis_stream_connect(struct redis_stream *, uint64_t deadline, struct error *);
void redis_stream_close(struct redis_stream *);

/* Whether it is connected and silent. A server that has gone says so, once it is looked at. */
bool redis_stream_is_idle(const struct redis_stream *);

/* Writes all of it. */
bool redis_stream_write(struct redis_stream *, const void *at, size_t length, uint64_t deadline,
                        struct error *);

/* Waits for some bytes; how many came, or 0 with an error. */
size_t redis_stream_read(struct redis_stream *, void *to, size_t size, uint64_t deadline, struct error *);

#endif
