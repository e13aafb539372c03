/*
 * Backend pool: how many requests one backend has at once, who is next when
 * there are as many, and which connections to it are kept meanwhile. Shared by
 * threads; knows nothing of what is said on a connection.
 */
#ifndef HANDLER_BACKEND_POOL_H
#define HANDLER_BACKEND_POOL_H

#include "http/exchange.h"

struct backend_pool;

/* An empty pool of at most `limit` connections, in the arena; a kept one is closed when nobody has
 * used it for `idle` milliseconds. */
struct backend_pool *backend_pool_new(struct arena *, size_t limit, uint64_t idle);

enum backend_place {
    BACKEND_PLACE,      /* it must be given back */
    BACKEND_PLACE_NONE, /* none was free in time */
    BACKEND_PLACE_GONE, /* the client went away meanwhile */
};

/* Takes a place, first come, first served, waiting at most until `deadline` (clock_milliseconds).
 * `descriptor` is a kept connection that is silent and open as far as can be told, or -1. */
enum backend_place backend_pool_take(struct backend_pool *, const struct exchange *, uint64_t deadline,
                                     int *descriptor);

/* Gives the place back, with a connection to keep, or -1. */
void backend_pool_give(struct backend_pool *, int descriptor);

#endif
