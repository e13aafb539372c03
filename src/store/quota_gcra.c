/*
 * The limits that have a rate. All is counted in 1/limit microseconds, in which
 * a unit lasts `window`, so that no division ever rounds what is kept.
 */
#include "config.h"

#include "store/quota_arithmetic.h"

/* Microseconds that a caller of gcra may be ahead of the rate, at most: 73,000 years. With it and
 * a clock that is below it no time is ever cut to 63 bits, as databases want them. */
#define AHEAD_MOST (UINT64_C(1) << 61)

/* How far ahead of the rate the last unit may be. */
static wide gcra_tolerance(const struct quota *quota)
{
    wide burst = (wide)quota->burst * quota->window, delay = (wide)quota->delay * quota->limit;
    wide tolerance = quota->delay == 0 || (quota->burst > 0 && burst < delay) ? burst : delay;
    wide most = (wide)AHEAD_MOST * quota->limit;
    return tolerance < most ? tolerance : most;
}

static wide gcra_arrival(const struct quota *quota, const struct quota_state *state)
{
    return (wide)state->time * quota->limit + least(state->part, quota->limit - 1);
}

static wide gcra_ahead(const struct quota *quota, const struct quota_state *state, uint64_t now)
{
    wide arrival = gcra_arrival(quota, state), present = (wide)now * quota->limit;
    return arrival > present ? arrival - present : 0;
}

static void gcra_set(const struct quota *quota, struct quota_state *state, wide arrival)
{
    state->time = narrow(arrival / quota->limit, INT64_MAX);
    state->part = (uint64_t)(arrival % quota->limit);
}

static uint64_t gcra_most(const struct quota *quota)
{
    return quota->limit > 0 ? narrow(gcra_tolerance(quota) / quota->window + 1, UINT64_MAX) : 0;
}

static uint64_t gcra_left(const struct quota *quota, const struct quota_state *state, uint64_t now)
{
    if (quota->limit == 0)
        return 0;
    wide tolerance = gcra_tolerance(quota), ahead = gcra_ahead(quota, state, now);
    return ahead <= tolerance ? narrow((tolerance - ahead) / quota->window + 1, UINT64_MAX) : 0;
}

static uint64_t gcra_due(const struct quota *quota, const struct quota_state *state, uint64_t cost)
{
    wide last = gcra_arrival(quota, state) + (wide)(cost - 1) * quota->window;
    wide tolerance = gcra_tolerance(quota);
    return last > tolerance ? whole_up(last - tolerance, quota->limit) : 0;
}

static uint64_t gcra_wait(const struct quota *quota, const struct quota_state *state, uint64_t now)
{
    return quota->delay > 0 ? whole_up(gcra_ahead(quota, state, now), quota->limit) : 0;
}

static uint64_t gcra_expiry(const struct quota *quota, const struct quota_state *state)
{
    return quota->limit > 0 ? whole_up(gcra_arrival(quota, state), quota->limit) : 0;
}

static void gcra_take(const struct quota *quota, struct quota_state *state, uint64_t now, uint64_t cost)
{
    if (quota->limit > 0)
        gcra_set(quota, state,
                 (wide)now * quota->limit + gcra_ahead(quota, state, now) + (wide)cost * quota->window);
}

static void gcra_give_back(const struct quota *quota, struct quota_state *state, uint64_t taken, uint64_t now,
                           uint64_t cost)
{
    (void)taken;
    wide ahead = quota->limit > 0 ? gcra_ahead(quota, state, now) : 0, given = (wide)cost * quota->window;
    if (ahead > 0)
        gcra_set(quota, state, (wide)now * quota->limit + (ahead > given ? ahead - given : 0));
}

const struct arithmetic quota_gcra = {
    .most = gcra_most,
    .left = gcra_left,
    .due = gcra_due,
    .wait = gcra_wait,
    .expiry = gcra_expiry,
    .take = gcra_take,
    .give_back = gcra_give_back,
};
