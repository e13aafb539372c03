/*
 * The limits that count in windows, fixed and sliding. Both forget by time
 * alone, so that a state is never read only to be cleaned.
 */
#include "config.h"

#include "store/quota_arithmetic.h"

#include <string.h>

static uint64_t plain_most(const struct quota *quota)
{
    return quota->limit;
}

/* ---- fixed */

/* A window goes on where all that was taken in it was given back: it began with the first request. */
static uint64_t fixed_end(const struct quota *quota, const struct quota_state *state)
{
    bool begun = state->part > 0 || state->time > 0;
    return begun ? narrow((wide)state->time + quota->window, INT64_MAX) : 0;
}

static uint64_t fixed_left(const struct quota *quota, const struct quota_state *state, uint64_t now)
{
    return less(quota->limit, now < fixed_end(quota, state) ? state->part : 0);
}

static uint64_t fixed_due(const struct quota *quota, const struct quota_state *state, uint64_t cost)
{
    (void)cost;
    return fixed_end(quota, state);
}

static void fixed_take(const struct quota *quota, struct quota_state *state, uint64_t now, uint64_t cost)
{
    if (now >= fixed_end(quota, state)) {
        state->time = greatest(now, state->time);
        state->part = 0;
    }
    state->part = narrow((wide)state->part + cost, UINT32_MAX);
}

static void fixed_give_back(const struct quota *quota, struct quota_state *state, uint64_t taken,
                            uint64_t now, uint64_t cost)
{
    (void)now;
    if (taken >= state->time && taken < fixed_end(quota, state))
        state->part = less(state->part, cost);
}

const struct arithmetic quota_fixed = {
    .most = plain_most,
    .left = fixed_left,
    .due = fixed_due,
    .expiry = fixed_end,
    .take = fixed_take,
    .give_back = fixed_give_back,
};

/* ---- sliding */

/* Rounded up, so that sixteen of them are never shorter than the window. */
static uint64_t segment_length(const struct quota *quota)
{
    return (quota->window + QUOTA_SEGMENTS - 2) / (QUOTA_SEGMENTS - 1);
}

/* When the last moment of a segment is a window ago. */
static uint64_t segment_end(const struct quota *quota, const struct quota_state *state, size_t segment)
{
    uint64_t length = segment_length(quota);
    wide newest = (wide)state->time + length - 1 + quota->window;
    return newest > segment * length ? narrow(newest - segment * length, INT64_MAX) : 0;
}

static uint64_t sliding_left(const struct quota *quota, const struct quota_state *state, uint64_t now)
{
    now = greatest(now, state->time);
    uint64_t units = 0;
    for (size_t i = 0; i < QUOTA_SEGMENTS && now < segment_end(quota, state, i); i++)
        units += state->segments[i];
    return less(quota->limit, units);
}

static uint64_t sliding_due(const struct quota *quota, const struct quota_state *state, uint64_t cost)
{
    uint64_t units = 0;
    for (size_t i = 0; i < QUOTA_SEGMENTS; i++)
        if ((units += state->segments[i]) > quota->limit - cost)
            return segment_end(quota, state, i);
    return 0;
}

static uint64_t sliding_expiry(const struct quota *quota, const struct quota_state *state)
{
    for (size_t i = 0; i < QUOTA_SEGMENTS; i++)
        if (state->segments[i] > 0)
            return segment_end(quota, state, i);
    return 0;
}

/* Makes the newest segment the one of `now`. Where nothing counts any more it begins then, so
 * that who comes seldom waits no longer than the window. */
static void sliding_advance(const struct quota *quota, struct quota_state *state, uint64_t now)
{
    if (now >= sliding_expiry(quota, state)) {
        state->time = greatest(now, state->time);
        memset(state->segments, 0, sizeof state->segments);
        return;
    }
    uint64_t steps = less(now, state->time) / segment_length(quota);
    state->time += steps * segment_length(quota);
    size_t by = (size_t)least(steps, QUOTA_SEGMENTS);
    memmove(state->segments + by, state->segments, (QUOTA_SEGMENTS - by) * sizeof *state->segments);
    memset(state->segments, 0, by * sizeof *state->segments);
}

static void sliding_take(const struct quota *quota, struct quota_state *state, uint64_t now, uint64_t cost)
{
    sliding_advance(quota, state, now);
    state->segments[0] = (uint32_t)narrow((wide)state->segments[0] + cost, UINT32_MAX);
}

static void sliding_give_back(const struct quota *quota, struct quota_state *state, uint64_t taken,
                              uint64_t now, uint64_t cost)
{
    (void)now;
    uint64_t length = segment_length(quota);
    if (taken >= state->time + length)
        return;
    uint64_t segment = (less(state->time, taken) + length - 1) / length;
    if (segment < QUOTA_SEGMENTS)
        state->segments[segment] = (uint32_t)less(state->segments[segment], cost);
}

const struct arithmetic quota_sliding = {
    .most = plain_most,
    .left = sliding_left,
    .due = sliding_due,
    .expiry = sliding_expiry,
    .take = sliding_take,
    .give_back = sliding_give_back,
};
