/*
 * Counters in Redis: what the backend, its script and their test share.
 *
 * A counter is a string with a time to live, "fcgiguard:{limits}:" and the 16
 * hexadecimal digits of its number: the letter of its algorithm, its state and when it
 * expires in decimal numbers, a line feed and its readable key. The braces keep all of them in one slot.
 *
 * Lua has doubles alone. All that the script reckons with stays below 2^53,
 * where they are exact: 1/limit microseconds, which would not, are pairs of whole
 * microseconds and a rest, and what is made of a rule alone is made here.
 */
#ifndef STORE_COUNTERS_REDIS_H
#define STORE_COUNTERS_REDIS_H

#include "store/counters_backend.h"

/* Whether Redis can count by this rule exactly: callers of gcra may be at most 71 years ahead of
 * the rate, and take 2^30 units at once. False with an error. */
bool counters_redis_fits(const struct quota *, struct error *);

/* What the backend's run() does, at a time of the caller's in place of the server's, so that what
 * is said of time can be tested; 0: at the server's. */
bool counters_redis_run(void *state, struct job *const jobs[], size_t count, uint64_t time, struct error *);

extern const char counters_redis_script[];

/* The numbers that the script gets of each rule, in this order. */
enum quota_number {
    NUMBER_ALGORITHM,
    NUMBER_LIMIT,
    NUMBER_WINDOW,
    NUMBER_BAN,
    NUMBER_BAN_MOST,
    NUMBER_MOST,           /* units there are */
    NUMBER_SEGMENT,        /* sliding: how long one is */
    NUMBER_TOLERANCE,      /* gcra: whole microseconds, */
    NUMBER_TOLERANCE_REST, /* and 1/limit microseconds beside them */
    NUMBER_UNIT,           /* gcra: how long a unit is, in the same way */
    NUMBER_UNIT_REST,
    NUMBER_DELAYS, /* gcra: whether what is ahead of the rate waits */
    QUOTA_NUMBERS
};

#endif
