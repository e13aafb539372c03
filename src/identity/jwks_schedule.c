/*
 * The arithmetic of refreshing. All durations are bounded by the policy, so
 * that sums cannot wrap.
 */
#include "config.h"

#include "identity/jwks_schedule.h"

#include <assert.h>

/* Up to a tenth of the time. */
static uint64_t jitter(uint64_t time, uint32_t chance)
{
    return chance % (time / 10 + 1);
}

void jwks_schedule_start(struct jwks_schedule *schedule, const struct jwks_times *times, uint64_t now)
{
    *schedule = (struct jwks_schedule){.times = times, .due = now, .cool = now};
}

bool jwks_schedule_want(struct jwks_schedule *schedule, uint64_t now)
{
    if (schedule->running)
        return true;
    if (now < schedule->cool)
        return false;
    schedule->wanted = true;
    return true;
}

bool jwks_schedule_begin(struct jwks_schedule *schedule, uint64_t now)
{
    if (schedule->running || now < schedule->cool || (now < schedule->due && !schedule->wanted))
        return false;
    schedule->running = true;
    schedule->wanted = false;
    schedule->begun = now;
    schedule->cool = now + schedule->times->cooldown;
    return true;
}

void jwks_schedule_succeed(struct jwks_schedule *schedule, uint64_t now, uint64_t age, uint32_t chance)
{
    const struct jwks_times *times = schedule->times;
    assert(schedule->running && times->cooldown <= times->refresh);
    uint64_t fresh = age < times->cooldown ? times->cooldown : age < times->refresh ? age : times->refresh;
    schedule->running = false;
    schedule->has_set = true;
    /* Before it expires, so that a slow answer leaves no gap. */
    schedule->due = now + fresh / 5 * 4 + jitter(fresh, chance);
    if (schedule->due < schedule->cool)
        schedule->due = schedule->cool;
    schedule->expires = now + fresh + times->stale;
}

void jwks_schedule_fail(struct jwks_schedule *schedule, uint64_t now, uint32_t chance)
{
    uint64_t cooldown = schedule->times->cooldown, due = now + cooldown + jitter(cooldown, chance);
    assert(schedule->running);
    schedule->running = false;
    if (!schedule->has_set || due > schedule->due)
        schedule->due = due;
}

bool jwks_schedule_expire(struct jwks_schedule *schedule, uint64_t now)
{
    bool expired = schedule->has_set && now >= schedule->expires;
    schedule->has_set = schedule->has_set && !expired;
    return expired;
}

uint64_t jwks_schedule_next(const struct jwks_schedule *schedule)
{
    uint64_t fetch = schedule->wanted ? schedule->cool : schedule->due;
    return schedule->has_set && schedule->expires < fetch ? schedule->expires : fetch;
}
