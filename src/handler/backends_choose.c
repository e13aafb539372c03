/*
 * Whom a request goes to. Sets of members are bits, so that each rule makes a
 * smaller set of a larger one, and the last takes one of it.
 */
#include "config.h"

#include "handler/backends_own.h"

static size_t first_of(uint64_t set)
{
    return (size_t)__builtin_ctzll(set);
}

#define EACH(member, set)                                                                                    \
    for (uint64_t left_ = (set), member; left_ && ((member) = first_of(left_), true); left_ &= left_ - 1)

static unsigned share(const struct backends *group, size_t member, uint64_t now)
{
    return backend_health_share(&group->members[member].backend->health, &group->rules->health.health, now);
}

/* ---- kinds of balance */

/* Smooth weighted round robin: whoever has waited longest for its share. */
static size_t take_turn(struct backends *group, uint64_t set, uint64_t now)
{
    size_t best = first_of(set);
    int64_t all = 0;
    if ((set & (set - 1)) == 0)
        return best;
    EACH(member, set)
    {
        int64_t part = share(group, member, now);
        group->members[member].credit += part;
        all += part;
        if (group->members[member].credit > group->members[best].credit)
            best = member;
    }
    group->members[best].credit -= all;
    return best;
}

/* Those with the fewest requests for their share, if this one went to them. */
static uint64_t least_busy(const struct backends *group, uint64_t set, uint64_t now)
{
    uint64_t least = UINT64_MAX, found = 0;
    EACH(member, set)
    {
        uint64_t used = group->members[member].backend->used + 1;
        uint64_t load = used * BACKEND_SHARE_WHOLE * BACKEND_SHARE_WHOLE / share(group, member, now);
        if (load < least)
            found = 0;
        if (load <= least)
            found |= UINT64_C(1) << member;
        least = load < least ? load : least;
    }
    return found;
}

/* Each bit of the result depends on all bits (the end of MurmurHash3). */
static uint64_t mixed(uint64_t bits)
{
    bits = (bits ^ bits >> 33) * UINT64_C(0xff51afd7ed558ccd);
    bits = (bits ^ bits >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return bits ^ bits >> 33;
}

/* FNV-1a. */
uint64_t backends_hash(struct text text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * UINT64_C(0x100000001b3);
    return mixed(hash);
}

/* Rendezvous hashing: the highest number, which for no two members depends on a third. A member in slow
 * start takes a part of its keys, more and more of them. */
static size_t highest(const struct backends *group, uint64_t set, uint64_t key, uint64_t now)
{
    size_t best = first_of(set), best_whole = BACKENDS_MOST;
    uint64_t most = 0, most_whole = 0;
    EACH(member, set)
    {
        uint64_t number = mixed(key ^ group->members[member].seed);
        bool takes = mixed(number) % BACKEND_SHARE_WHOLE < share(group, member, now);
        if (number >= most) {
            best = member;
            most = number;
        }
        if (takes && number >= most_whole) {
            best_whole = member;
            most_whole = number;
        }
    }
    return best_whole < BACKENDS_MOST ? best_whole : best;
}

static size_t pick(const struct backend_lease *lease, uint64_t set, uint64_t now)
{
    struct backends *group = lease->group;
    switch (group->rules->balance.kind) {
    case BALANCE_HASH:
        return highest(group, set, lease->key, now);
    case BALANCE_LEAST_CONNECTIONS:
        return take_turn(group, least_busy(group, set, now), now);
    case BALANCE_ROUND_ROBIN:
        break;
    }
    return take_turn(group, set, now);
}

/* ---- who is there */

struct sets {
    uint64_t up, free;     /* in service; with a free place */
    uint64_t due, overdue; /* for a trial; for as long as they were out */
    uint64_t quick, asked; /* out, and quick to try; somebody finds out whether they still refuse */
};

static struct sets look(const struct backend_lease *lease, uint64_t now)
{
    struct sets sets = {0};
    const struct backends *group = lease->group;
    for (size_t i = 0; i < group->count; i++) {
        const struct backend *backend = group->members[i].backend;
        const struct backend_health *health = &backend->health;
        uint64_t bit = UINT64_C(1) << i;
        bool due = !backend->probing && backend_health_is_due(health, now);
        if (lease->tried & bit)
            continue;
        sets.up |= health->state == BACKEND_UP ? bit : 0;
        sets.free |= backend->used < group->rules->connections ? bit : 0;
        sets.due |= due ? bit : 0;
        sets.overdue |= due && now - health->trial_at >= health->pause ? bit : 0;
        sets.quick |= health->state == BACKEND_OUT && health->quick ? bit : 0;
        sets.asked |= health->state == BACKEND_TRIAL && health->refuses ? bit : 0;
    }
    return sets;
}

static size_t longest_out(const struct backends *group, uint64_t set)
{
    size_t best = first_of(set);
    EACH(member, set)
    if (group->members[member].backend->health.trial_at < group->members[best].backend->health.trial_at)
        best = member;
    return best;
}

enum choice backends_choose(const struct backend_lease *lease, uint64_t now, size_t *member)
{
    const struct backends *group = lease->group;
    const struct sets sets = look(lease, now);
    const uint64_t own = group->own < 64 ? (UINT64_C(1) << group->own) - 1 : UINT64_MAX;
    const uint64_t tiers[] = {own, ~own};
    for (size_t i = 0; i < 2; i++) {
        uint64_t trials = (lease->repeatable ? sets.due : sets.overdue) & sets.free & tiers[i];
        uint64_t ready = sets.up & sets.free & tiers[i];
        if (trials || ready) {
            *member = trials ? longest_out(group, trials) : pick(lease, ready, now);
            return CHOICE_PLACE;
        }
        if (sets.up & tiers[i])
            return CHOICE_WAIT;
    }
    uint64_t last = sets.due & sets.free ? sets.due & sets.free : sets.quick & sets.free;
    if (!last)
        return sets.asked ? CHOICE_WAIT : CHOICE_NONE;
    *member = longest_out(group, last);
    return CHOICE_PLACE;
}

bool backends_another_is_up(const struct backend_lease *lease, uint64_t now)
{
    return look(lease, now).up != 0;
}
