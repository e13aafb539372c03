/*
 * Quota: see quota.h. Each algorithm says what it would have at most, what is
 * left of it now and when so much will be there again; admitting, refusing and
 * banning follow from these three and are the same for all. All integers
 * are exact: gcra counts in 1/limit microseconds, where a unit lasts `window`.
 */
#include "config.h"

#include "store/quota.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

/* Microseconds that a caller of gcra may be ahead of the rate, at most: 73,000 years. With it and
 * a clock that is below it no time is ever cut to 63 bits, as databases want them. */
#define AHEAD_MOST (UINT64_C(1) << 61)

struct arithmetic {
    uint64_t (*most)(const struct quota *);                                           /* units there are */
    uint64_t (*left)(const struct quota *, const struct quota_state *, uint64_t now); /* of them */
    uint64_t (*due)(const struct quota *, const struct quota_state *,
                    uint64_t cost);                                       /* when: more than left */
    uint64_t (*expiry)(const struct quota *, const struct quota_state *); /* bans aside */
    void (*take)(const struct quota *, struct quota_state *, uint64_t now, uint64_t cost);
    void (*give_back)(const struct quota *, struct quota_state *, uint64_t taken, uint64_t now,
                      uint64_t cost);
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t greatest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t narrow(wide number, uint64_t most)
{
    return number < most ? (uint64_t)number : most;
}

static uint64_t whole_up(wide number, uint64_t divisor)
{
    return narrow((number + divisor - 1) / divisor, UINT64_MAX);
}

/* ---- fixed */

static uint64_t plain_most(const struct quota *quota)
{
    return quota->limit;
}

static uint64_t fixed_end(const struct quota *quota, const struct quota_state *state)
{
    return state->part > 0 ? narrow((wide)state->time + quota->window, INT64_MAX) : 0;
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

/* ---- gcra, in 1/limit microseconds */

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

/* ---- all of them */

static const struct arithmetic *arithmetic_of(const struct quota *quota)
{
    static const struct arithmetic algorithms[] = {
        [QUOTA_FIXED] = {plain_most, fixed_left, fixed_due, fixed_end, fixed_take, fixed_give_back},
        [QUOTA_SLIDING] = {plain_most, sliding_left, sliding_due, sliding_expiry, sliding_take,
                           sliding_give_back},
        [QUOTA_GCRA] = {gcra_most, gcra_left, gcra_due, gcra_expiry, gcra_take, gcra_give_back},
    };
    assert(quota->algorithm <= QUOTA_GCRA);
    assert(quota->window > 0 && quota->window <= QUOTA_TIME_MOST);
    assert(quota->limit <= QUOTA_LIMIT_MOST);
    return &algorithms[quota->algorithm];
}

/* Microseconds until so much can be taken, bans aside. */
static uint64_t time_to(const struct quota *quota, const struct quota_state *state, uint64_t now,
                        uint64_t cost)
{
    const struct arithmetic *algorithm = arithmetic_of(quota);
    if (cost <= algorithm->left(quota, state, now))
        return 0;
    return cost > algorithm->most(quota) ? UINT64_MAX : less(algorithm->due(quota, state, cost), now);
}

static uint64_t ban_left(const struct quota *quota, const struct quota_state *state, uint64_t now)
{
    return quota->ban > 0 ? less(state->banned, now) : 0;
}

static uint64_t ban_length(const struct quota *quota, uint32_t bans_before)
{
    uint64_t most = greatest(quota->ban, quota->ban_most);
    return bans_before > 63 || quota->ban > most >> bans_before ? most : quota->ban << bans_before;
}

/* A ban makes the next one longer until as long again has passed. */
static uint64_t ban_forgotten(const struct quota *quota, const struct quota_state *state)
{
    if (quota->ban == 0 || state->bans == 0)
        return quota->ban > 0 ? state->banned : 0;
    return narrow((wide)state->banned + ban_length(quota, state->bans - 1), INT64_MAX);
}

struct quota_answer quota_judge(const struct quota *quota, const struct quota_state *state, uint64_t now,
                                uint64_t cost)
{
    const struct arithmetic *algorithm = arithmetic_of(quota);
    struct quota_answer answer = {0};
    uint64_t ban = ban_left(quota, state, now);
    answer.banned = ban > 0;
    uint64_t time = quota->limit > 0 ? time_to(quota, state, now, cost) : UINT64_MAX;
    answer.admitted = !answer.banned && time == 0;
    struct quota_state after = *state;
    if (answer.admitted)
        quota_take(quota, &after, now, cost);
    else
        answer.retry = greatest(ban, time);
    if (answer.admitted && cost > 0 && quota->algorithm == QUOTA_GCRA && quota->delay > 0)
        answer.wait = whole_up(gcra_ahead(quota, state, now), quota->limit);
    answer.remaining = answer.banned ? 0 : algorithm->left(quota, &after, now);
    answer.reset = greatest(ban, time_to(quota, &after, now, algorithm->most(quota)));
    return answer;
}

void quota_take(const struct quota *quota, struct quota_state *state, uint64_t now, uint64_t cost)
{
    if (cost > 0)
        arithmetic_of(quota)->take(quota, state, now, cost);
}

bool quota_refuse(const struct quota *quota, struct quota_state *state, uint64_t now)
{
    if (quota->ban == 0 || ban_left(quota, state, now) > 0)
        return false;
    if (now >= ban_forgotten(quota, state))
        state->bans = 0;
    state->banned = narrow((wide)now + ban_length(quota, state->bans), INT64_MAX);
    if (state->bans < UINT32_MAX)
        state->bans++;
    return true;
}

void quota_give_back(const struct quota *quota, struct quota_state *state, uint64_t taken, uint64_t now,
                     uint64_t cost)
{
    arithmetic_of(quota)->give_back(quota, state, taken, now, cost);
}

uint64_t quota_expiry(const struct quota *quota, const struct quota_state *state)
{
    uint64_t expiry = greatest(arithmetic_of(quota)->expiry(quota, state), state->time);
    return least(greatest(expiry, ban_forgotten(quota, state)), INT64_MAX);
}

/* ---- as bytes: how many numbers and whether a ban follows, the time, the numbers, the ban */

enum { HAS_BAN = 0x80 };

static unsigned char *put(unsigned char *to, uint64_t number, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (unsigned char)(number >> (8 * i));
    return to + bytes;
}

static uint64_t get(const unsigned char **from, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number |= (uint64_t)(*from)[i] << (8 * i);
    *from += bytes;
    return number;
}

size_t quota_write(const struct quota_state *state, enum quota_algorithm algorithm,
                   unsigned char to[QUOTA_BYTES])
{
    bool ban = state->banned > 0 || state->bans > 0, sliding = algorithm == QUOTA_SLIDING;
    uint32_t part = (uint32_t)least(state->part, UINT32_MAX);
    const uint32_t *numbers = sliding ? state->segments : &part;
    size_t count = sliding ? QUOTA_SEGMENTS : 1;
    while (count > 0 && numbers[count - 1] == 0)
        count--;
    unsigned char *at = put(to, count | (ban ? HAS_BAN : 0), 1);
    at = put(at, least(state->time, INT64_MAX), 8);
    for (size_t i = 0; i < count; i++)
        at = put(at, numbers[i], 4);
    if (ban)
        at = put(put(at, state->banned, 8), state->bans, 4);
    return (size_t)(at - to);
}

bool quota_read(struct quota_state *state, enum quota_algorithm algorithm, const unsigned char *from,
                size_t length)
{
    *state = (struct quota_state){0};
    if (length == 0)
        return false;
    size_t count = *from & (HAS_BAN - 1), most = algorithm == QUOTA_SLIDING ? QUOTA_SEGMENTS : 1;
    bool ban = *from & HAS_BAN;
    if (count > most || length != 1 + 8 + 4 * count + (ban ? 8 + 4 : 0))
        return false;
    from++;
    uint32_t numbers[QUOTA_SEGMENTS] = {0};
    struct quota_state found = {.time = get(&from, 8)};
    for (size_t i = 0; i < count; i++)
        numbers[i] = (uint32_t)get(&from, 4);
    if (ban) {
        found.banned = get(&from, 8);
        found.bans = (uint32_t)get(&from, 4);
    }
    if (algorithm == QUOTA_SLIDING)
        memcpy(found.segments, numbers, sizeof found.segments);
    else
        found.part = numbers[0];
    if (found.time > INT64_MAX || found.banned > INT64_MAX || (count > 0 && numbers[count - 1] == 0) ||
        (ban && found.banned == 0 && found.bans == 0))
        return false;
    *state = found;
    return true;
}
