/*
 * Backend pool: how many requests one backend has at once, who is next when
 * there are as many, and which connections to it are kept meanwhile. Shared by
 * threads; knows nothing of what is said on a connection.
 */
#ifndef HANDLER_BACKEND_POOL_H
#define HANDLER_BACKEND_POOL_H

#include "http/exchange.h"

struct backend_pool;

/* The pools of one policy, by address. */
struct backend_pools {
    struct backend_pools *next;
    const char *place;
    struct backend_pool *pool;
};

/* The pool of an address: one for all who ask it, for what it can do at once does not depend on
 * which route does. `limit` is the most connections that the caller will ever take. All of it is
 * in the arena. Not to be called once the pool is used. */
struct backend_pool *backend_pools_find(struct backend_pools **, const char *place, size_t limit,
                                        struct arena *);

enum backend_place {
    BACKEND_PLACE,      /* it must be given back */
    BACKEND_PLACE_NONE, /* none was free in time */
    BACKEND_PLACE_GONE, /* the client went away meanwhile */
};

/* Takes a place, first come, first served, where no more than `limit` are taken then, whoever
 * has them; waits at most until `deadline` (clock_milliseconds). `descriptor` is a kept connection
 * that is silent and open as far as can be told, or -1. */
enum backend_place backend_pool_take(struct backend_pool *, size_t limit, const struct exchange *,
                                     uint64_t deadline, int *descriptor);

/* Gives the place back, with a connection to keep, or -1. A kept one is closed when nobody has
 * used it for `idle` milliseconds. */
void backend_pool_give(struct backend_pool *, int descriptor, uint64_t idle);

#endif
