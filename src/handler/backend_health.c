/*
 * The circuit breaker of one backend.
 */
#include "config.h"

#include "handler/backend_health.h"

#include <assert.h>

bool backend_health_is_due(const struct backend_health *health, uint64_t now)
{
    return health->state == BACKEND_OUT && now >= health->trial_at;
}

void backend_health_begin_trial(struct backend_health *health, uint64_t now)
{
    assert(health->state == BACKEND_OUT);
    health->early = now < health->trial_at;
    health->state = BACKEND_TRIAL;
}

static enum backend_change come_back(struct backend_health *health, uint64_t now)
{
    health->state = BACKEND_UP;
    health->eases = true;
    health->since = now;
    return BACKEND_CAME_BACK;
}

static void pause_for_longer(struct backend_health *health, const struct backend_health_rules *rules)
{
    uint64_t pause = health->pause ? 2 * health->pause : BACKEND_PAUSE_FIRST;
    health->pause = pause < rules->out ? pause : rules->out;
}

enum backend_change backend_health_connected(struct backend_health *health,
                                             const struct backend_health_rules *rules, uint64_t now)
{
    if (health->state != BACKEND_TRIAL || !health->refuses)
        return BACKEND_SAME;
    health->failures = rules->failures - 1;
    return come_back(health, now);
}

static void note_kind(struct backend_health *health, enum backend_outcome outcome)
{
    health->asked = outcome != BACKEND_REFUSED;
    health->refuses = outcome == BACKEND_REFUSED;
    health->quick = outcome != BACKEND_LATE;
}

static enum backend_change end_trial(struct backend_health *health, const struct backend_health_rules *rules,
                                     enum backend_outcome outcome, uint64_t now)
{
    health->state = BACKEND_OUT;
    if (outcome == BACKEND_UNTOLD)
        return BACKEND_SAME;
    health->failures++;
    note_kind(health, outcome);
    if (!health->early)
        pause_for_longer(health, rules);
    if (!health->early || !health->quick)
        health->trial_at = now + health->pause;
    return BACKEND_SAME;
}

static enum backend_change count_failure(struct backend_health *health,
                                         const struct backend_health_rules *rules,
                                         enum backend_outcome outcome, uint64_t now)
{
    if (++health->failures < rules->failures)
        return BACKEND_SAME;
    /* One that comes back only to fail again is left alone for longer each time. */
    if (now - health->since >= rules->out)
        health->pause = 0;
    pause_for_longer(health, rules);
    health->state = BACKEND_OUT;
    note_kind(health, outcome);
    health->since = now;
    health->trial_at = now + health->pause;
    return BACKEND_WENT_OUT;
}

/* Else whoever knows a slow page could take the application from all others by it. */
static bool is_slow_page(const struct backend_health *health, const struct backend_report *report)
{
    return report->outcome == BACKEND_LATE && health->balance > report->balance;
}

enum backend_change backend_health_report(struct backend_health *health,
                                          const struct backend_health_rules *rules,
                                          struct backend_report report, uint64_t now)
{
    bool tried = report.trial && health->state == BACKEND_TRIAL, slow_page = is_slow_page(health, &report);
    health->balance += (report.outcome == BACKEND_GOOD) - (report.outcome == BACKEND_LATE);
    if (tried && report.outcome != BACKEND_GOOD)
        return end_trial(health, rules, report.outcome, now);
    if (report.outcome == BACKEND_UNTOLD || (health->state != BACKEND_UP && !tried) || slow_page)
        return BACKEND_SAME;
    if (report.outcome != BACKEND_GOOD)
        return count_failure(health, rules, report.outcome, now);
    health->failures = 0;
    health->asked = false;
    return tried ? come_back(health, now) : BACKEND_SAME;
}

enum backend_change backend_health_probed(struct backend_health *health,
                                          const struct backend_health_rules *rules,
                                          struct backend_report report, uint64_t now)
{
    const struct backend_health before = *health;
    bool tried = report.trial && health->state == BACKEND_TRIAL;
    if (!health->asked || report.outcome != BACKEND_GOOD) {
        report.balance = before.balance;
        enum backend_change change = backend_health_report(health, rules, report, now);
        health->asked = before.asked;
        health->balance = before.balance;
        return change;
    }
    if (tried && !health->early) {
        health->failures = rules->failures - 1;
        return come_back(health, now);
    }
    if (tried)
        health->state = BACKEND_OUT;
    return BACKEND_SAME;
}

unsigned backend_health_share(const struct backend_health *health, const struct backend_health_rules *rules,
                              uint64_t now)
{
    const unsigned least = BACKEND_SHARE_WHOLE / 10;
    uint64_t passed = now - health->since;
    if (!health->eases || passed >= rules->slow_start)
        return BACKEND_SHARE_WHOLE;
    return least + (unsigned)((BACKEND_SHARE_WHOLE - least) * passed / rules->slow_start);
}
