/*
 * Tests of backends: health as a sequence of outcomes and times, also beside a
 * model that only counts.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "handler/backend_health.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ================ health */

enum step { GOOD, REFUSED, FAILED, UNTOLD, BEGIN, CONNECTED };

struct health_step {
    uint64_t now;
    enum step step;
    bool trial;
    enum backend_state state; /* behind it */
    uint64_t trial_at;        /* while out */
};

static const struct backend_health_rules three = {.failures = 3, .out = 3000, .slow_start = 10000};

static enum backend_change take_step(struct backend_health *health, const struct backend_health_rules *rules,
                                     enum step step, bool trial, uint64_t now)
{
    static const enum backend_outcome outcomes[] = {BACKEND_GOOD, BACKEND_REFUSED, BACKEND_FAILED,
                                                    BACKEND_UNTOLD};
    if (step == CONNECTED)
        return backend_health_connected(health, rules, now);
    if (step == BEGIN)
        backend_health_begin_trial(health, now);
    return step == BEGIN ? BACKEND_SAME : backend_health_report(health, rules, trial, outcomes[step], now);
}

static void walk(const struct health_step *steps, size_t count)
{
    struct backend_health health = {0};
    for (size_t i = 0; i < count; i++) {
        enum backend_state before = health.state;
        enum backend_change change = take_step(&health, &three, steps[i].step, steps[i].trial, steps[i].now);
        ck_assert_msg(health.state == steps[i].state, "step %zu: state %d", i, health.state);
        ck_assert_msg(health.state != BACKEND_OUT || health.trial_at == steps[i].trial_at,
                      "step %zu: trial at %llu", i, (unsigned long long)health.trial_at);
        enum backend_change wanted = before == BACKEND_UP && health.state == BACKEND_OUT  ? BACKEND_WENT_OUT
                                     : before != BACKEND_UP && health.state == BACKEND_UP ? BACKEND_CAME_BACK
                                                                                          : BACKEND_SAME;
        ck_assert_msg(change == wanted, "step %zu: change %d", i, change);
    }
}

START_TEST(failures_in_a_row)
{
    static const struct health_step steps[] = {
        {1000, FAILED, false, BACKEND_UP, 0},
        {1001, FAILED, false, BACKEND_UP, 0},
        {1002, GOOD, false, BACKEND_UP, 0},
        {1003, FAILED, false, BACKEND_UP, 0},
        {1004, UNTOLD, false, BACKEND_UP, 0},
        {1005, REFUSED, false, BACKEND_UP, 0},
        {1006, FAILED, false, BACKEND_OUT, 1506},
        /* What was under way says nothing any more. */
        {1007, FAILED, false, BACKEND_OUT, 1506},
        {1008, GOOD, false, BACKEND_OUT, 1506},
    };
    walk(steps, COUNT(steps));
}
END_TEST

START_TEST(pauses_double_up_to_out)
{
    static const struct health_step steps[] = {
        {0, FAILED, false, BACKEND_UP, 0},
        {0, FAILED, false, BACKEND_UP, 0},
        {0, FAILED, false, BACKEND_OUT, 500},
        {500, BEGIN, false, BACKEND_TRIAL, 0},
        {600, FAILED, false, BACKEND_TRIAL, 0},
        {700, FAILED, true, BACKEND_OUT, 1700},
        {1700, BEGIN, false, BACKEND_TRIAL, 0},
        {1700, UNTOLD, true, BACKEND_OUT, 1700},
        {1800, BEGIN, false, BACKEND_TRIAL, 0},
        {1800, REFUSED, true, BACKEND_OUT, 3800},
        {3800, BEGIN, false, BACKEND_TRIAL, 0},
        {3900, FAILED, true, BACKEND_OUT, 6900},
        {6900, BEGIN, false, BACKEND_TRIAL, 0},
        {6900, FAILED, true, BACKEND_OUT, 9900},
        {9900, BEGIN, false, BACKEND_TRIAL, 0},
        {9950, GOOD, true, BACKEND_UP, 0},
        /* As if nothing had been. */
        {9960, FAILED, false, BACKEND_UP, 0},
        {9960, FAILED, false, BACKEND_UP, 0},
        {9960, FAILED, false, BACKEND_OUT, 10460},
    };
    walk(steps, COUNT(steps));
}
END_TEST

START_TEST(one_that_refuses)
{
    static const struct health_step steps[] = {
        {0, REFUSED, false, BACKEND_UP, 0},
        {0, REFUSED, false, BACKEND_UP, 0},
        {0, REFUSED, false, BACKEND_OUT, 500},
        /* Early trials that find the same make nobody wait longer. */
        {100, BEGIN, false, BACKEND_TRIAL, 0},
        {100, REFUSED, true, BACKEND_OUT, 500},
        {200, BEGIN, false, BACKEND_TRIAL, 0},
        {200, CONNECTED, false, BACKEND_UP, 0},
        /* One more failure, and the next time out is longer. */
        {210, FAILED, false, BACKEND_OUT, 1210},
        /* It does not refuse any more: a connection proves nothing. */
        {1210, BEGIN, false, BACKEND_TRIAL, 0},
        {1210, CONNECTED, false, BACKEND_TRIAL, 0},
        {1220, GOOD, true, BACKEND_UP, 0},
        {1230, CONNECTED, false, BACKEND_UP, 0},
    };
    walk(steps, COUNT(steps));
}
END_TEST

START_TEST(an_early_trial_that_finds_worse)
{
    static const struct health_step steps[] = {
        {0, REFUSED, false, BACKEND_UP, 0},    {0, REFUSED, false, BACKEND_UP, 0},
        {0, REFUSED, false, BACKEND_OUT, 500}, {100, BEGIN, false, BACKEND_TRIAL, 0},
        {400, FAILED, true, BACKEND_OUT, 900},
    };
    walk(steps, COUNT(steps));
}
END_TEST

START_TEST(slow_start)
{
    struct backend_health health = {0};
    const struct backend_health_rules at_once = {.failures = 1, .out = 500};
    ck_assert_uint_eq(backend_health_share(&health, &three, 5), 1000); /* it was never out */
    backend_health_report(&health, &at_once, false, BACKEND_FAILED, 0);
    ck_assert(!backend_health_is_due(&health, 499) && backend_health_is_due(&health, 500));
    backend_health_begin_trial(&health, 500);
    ck_assert(!backend_health_is_due(&health, 1000));
    backend_health_report(&health, &at_once, true, BACKEND_GOOD, 1000);
    ck_assert_uint_eq(backend_health_share(&health, &three, 1000), 100);
    ck_assert_uint_eq(backend_health_share(&health, &three, 6000), 550);
    ck_assert_uint_eq(backend_health_share(&health, &three, 10999), 999);
    ck_assert_uint_eq(backend_health_share(&health, &three, 11000), 1000);
    ck_assert_uint_eq(backend_health_share(&health, &at_once, 1000), 1000);
}
END_TEST

/* ---- beside a model: everything that happened is kept, and looked through each time */

enum { EVENTS = 400 };

struct event {
    uint64_t now;
    enum step step;
    bool trial; /* BEGIN: an early one */
};

struct model {
    enum backend_state state;
    uint64_t failures, pauses, at;
    bool refuses, early;
};

static uint64_t pause_after(uint64_t pauses, uint64_t most)
{
    uint64_t pause = 500;
    for (uint64_t i = 1; i < pauses && pause < most; i++)
        pause *= 2;
    return pause < most ? pause : most;
}

/* The state after all of them, from the beginning. */
static struct model replay(const struct event *events, size_t count, const struct backend_health_rules *rules)
{
    struct model m = {0};
    for (size_t i = 0; i < count; i++) {
        const struct event *event = &events[i];
        bool bad = event->step == REFUSED || event->step == FAILED;
        if (event->step == BEGIN) {
            m.state = BACKEND_TRIAL;
            m.early = event->trial;
        } else if (event->step == CONNECTED && m.state == BACKEND_TRIAL && m.refuses) {
            m.state = BACKEND_UP;
            m.failures = rules->failures - 1;
        } else if (m.state == BACKEND_TRIAL && event->trial && event->step == GOOD) {
            m = (struct model){.state = BACKEND_UP};
        } else if (m.state == BACKEND_TRIAL && event->trial && event->step != CONNECTED) {
            m.state = BACKEND_OUT;
            m.pauses += bad && !m.early;
            if (bad && !(m.early && event->step == REFUSED))
                m.at = event->now + pause_after(m.pauses, rules->out);
            m.refuses = bad ? event->step == REFUSED : m.refuses;
        } else if (m.state == BACKEND_UP && event->step == GOOD) {
            m.failures = m.pauses = 0;
        } else if (m.state == BACKEND_UP && bad && ++m.failures == rules->failures) {
            m.state = BACKEND_OUT;
            m.refuses = event->step == REFUSED;
            m.at = event->now + pause_after(++m.pauses, rules->out);
        }
    }
    return m;
}

static unsigned draw(unsigned *seed, unsigned below)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % below;
}

/* What may happen next; false: that cannot be. */
static bool invent(struct event *event, const struct backend_health *health, bool *tried, unsigned *seed,
                   uint64_t now)
{
    *event = (struct event){now, (enum step)draw(seed, 6), false};
    bool out = health->state == BACKEND_OUT, due = backend_health_is_due(health, now);
    if (event->step == BEGIN) {
        event->trial = !due;
        *tried = out && (due || health->refuses);
        return *tried;
    }
    event->trial = *tried && event->step != CONNECTED && draw(seed, 2);
    if (event->trial || (event->step == CONNECTED && health->refuses))
        *tried = false;
    return event->step != CONNECTED || health->state == BACKEND_TRIAL;
}

START_TEST(as_the_model)
{
    unsigned seed = (unsigned)_i + 1, states[3] = {0};
    const struct backend_health_rules rules = {
        .failures = 1 + draw(&seed, 4), .out = 100 + draw(&seed, 5000), .slow_start = 0};
    struct backend_health health = {0};
    struct event events[EVENTS];
    size_t count = 0;
    bool tried = false;
    for (uint64_t now = 0; count < EVENTS;) {
        now += draw(&seed, 4) ? 0 : draw(&seed, 2000);
        struct event *event = &events[count];
        bool before = tried;
        if (!invent(event, &health, &tried, &seed, now)) {
            tried = before;
            continue;
        }
        count++;
        take_step(&health, &rules, event->step, event->trial, now);
        const struct model model = replay(events, count, &rules);
        ck_assert_msg(health.state == model.state, "seed %d, event %zu", _i, count);
        ck_assert_uint_eq(health.failures < rules.failures, model.failures < rules.failures);
        ck_assert(health.state != BACKEND_OUT ||
                  (health.trial_at == model.at && health.refuses == model.refuses));
        states[health.state]++;
    }
    ck_assert(states[BACKEND_UP] && states[BACKEND_OUT] && states[BACKEND_TRIAL]);
}
END_TEST

/* ================ */

static Suite *backends_suite(void)
{
    Suite *suite = suite_create("backends");
    TCase *health = tcase_create("health");
    tcase_add_test(health, failures_in_a_row);
    tcase_add_test(health, pauses_double_up_to_out);
    tcase_add_test(health, one_that_refuses);
    tcase_add_test(health, an_early_trial_that_finds_worse);
    tcase_add_test(health, slow_start);
    tcase_add_loop_test(health, as_the_model, 0, 100);
    suite_add_tcase(suite, health);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(backends_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
