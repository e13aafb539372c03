/*
 * When a remote key set is fetched, and for how long it serves: arithmetic on
 * times in milliseconds of one clock, without a clock, a thread or a network.
 * One rule is above all: the provider is not asked twice within a cool-down.
 */
#ifndef IDENTITY_JWKS_SCHEDULE_H
#define IDENTITY_JWKS_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define JWKS_NO_AGE UINT64_MAX

struct jwks_times {
    uint64_t refresh, stale, cooldown;
};

struct jwks_schedule {
    const struct jwks_times *times;
    bool running, wanted, has_set;
    uint64_t begun;   /* of the last fetch */
    uint64_t cool;    /* no fetch begins before */
    uint64_t due;     /* of the next fetch, where nobody wants one earlier */
    uint64_t expires; /* the set serves until then */
};

/* The first fetch is due at once. */
void jwks_schedule_start(struct jwks_schedule *, const struct jwks_times *, uint64_t now);

/* Asks for a fetch. False when none is under way and none may begin yet; that
 * is not remembered. */
bool jwks_schedule_want(struct jwks_schedule *, uint64_t now);

/* Whether to fetch now; the answer true begins it. */
bool jwks_schedule_begin(struct jwks_schedule *, uint64_t now);

/* The fetch has brought a set that may be kept for `age` (JWKS_NO_AGE: not said).
 * `chance` is any number: many workers shall not ask at the same moment. */
void jwks_schedule_succeed(struct jwks_schedule *, uint64_t now, uint64_t age, uint32_t chance);

/* It has brought nothing. */
void jwks_schedule_fail(struct jwks_schedule *, uint64_t now, uint32_t chance);

/* Whether there was a set and it may serve no longer; true once for each. */
bool jwks_schedule_expire(struct jwks_schedule *, uint64_t now);

/* When there is something to do next, if nobody asks before: a fetch, or a set
 * to be dropped. Not for while a fetch is running. */
uint64_t jwks_schedule_next(const struct jwks_schedule *);

#endif
