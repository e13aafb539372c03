/*
 * What an algorithm of limits has to say: the units it has at most, what is left
 * of them, and when so many will be there again. Admitting, refusing and
 * banning follow from these in quota.c and are the same for all. It is
 * internal to quota*.c, with the sums that do not overflow.
 */
#ifndef STORE_QUOTA_ARITHMETIC_H
#define STORE_QUOTA_ARITHMETIC_H

#include "store/quota.h"

__extension__ typedef unsigned __int128 wide;

/* Bans are no part of it, and costs are not 0. */
struct arithmetic {
    uint64_t (*most)(const struct quota *);
    uint64_t (*left)(const struct quota *, const struct quota_state *, uint64_t now);

    /* When a cost is there that is more than what is left and no more than the most. */
    uint64_t (*due)(const struct quota *, const struct quota_state *, uint64_t cost);

    /* What is admitted now has to wait so long; NULL: it never has. */
    uint64_t (*wait)(const struct quota *, const struct quota_state *, uint64_t now);

    uint64_t (*expiry)(const struct quota *, const struct quota_state *);
    void (*take)(const struct quota *, struct quota_state *, uint64_t now, uint64_t cost);
    void (*give_back)(const struct quota *, struct quota_state *, uint64_t taken, uint64_t now,
                      uint64_t cost);
};

extern const struct arithmetic quota_fixed, quota_sliding, quota_gcra;

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t greatest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static inline uint64_t narrow(wide number, uint64_t most)
{
    return number < most ? (uint64_t)number : most;
}

static inline uint64_t whole_up(wide number, uint64_t divisor)
{
    return narrow((number + divisor - 1) / divisor, UINT64_MAX);
}

#endif
