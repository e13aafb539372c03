/*
 * Quota: see quota.h. Judging, refusing and banning, from what each algorithm
 * has left and when it has more (quota_arithmetic.h).
 */
#include "config.h"

#include "store/quota_arithmetic.h"

#include <assert.h>

static const struct arithmetic *arithmetic_of(const struct quota *quota)
{
    static const struct arithmetic *const algorithms[] = {
        [QUOTA_FIXED] = &quota_fixed,
        [QUOTA_SLIDING] = &quota_sliding,
        [QUOTA_GCRA] = &quota_gcra,
    };
    assert(quota->algorithm <= QUOTA_GCRA);
    assert(quota->window > 0 && quota->window <= QUOTA_TIME_MOST);
    assert(quota->limit <= QUOTA_LIMIT_MOST);
    return algorithms[quota->algorithm];
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
    if (answer.admitted && cost > 0 && algorithm->wait)
        answer.wait = algorithm->wait(quota, state, now);
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
