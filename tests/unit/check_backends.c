/*
 * Tests of backends: health as a sequence of outcomes and times, also beside a
 * model that only counts; places by threads, with pairs of sockets for
 * connections.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "handler/backends_own.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ================ health */

enum step { GOOD, REFUSED, FAILED, LATE, UNTOLD, PROBE_GOOD, PROBE_LATE, BEGIN, CONNECTED, STEPS };

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
                                                    BACKEND_LATE, BACKEND_UNTOLD,  BACKEND_GOOD,
                                                    BACKEND_LATE};
    if (step == CONNECTED)
        return backend_health_connected(health, rules, now);
    if (step == BEGIN) {
        backend_health_begin_trial(health, now);
        return BACKEND_SAME;
    }
    const struct backend_report report = {outcomes[step], trial, health->balance};
    if (step == PROBE_GOOD || step == PROBE_LATE)
        return backend_health_probed(health, rules, report, now);
    return backend_health_report(health, rules, report, now);
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
        {12950, FAILED, false, BACKEND_UP, 0},
        {12950, FAILED, false, BACKEND_UP, 0},
        {12950, FAILED, false, BACKEND_OUT, 13450},
    };
    walk(steps, COUNT(steps));
}
END_TEST

START_TEST(one_that_comes_and_goes)
{
    static const struct health_step steps[] = {
        {0, FAILED, false, BACKEND_UP, 0},        {0, FAILED, false, BACKEND_UP, 0},
        {0, FAILED, false, BACKEND_OUT, 500},     {500, BEGIN, false, BACKEND_TRIAL, 0},
        {500, GOOD, true, BACKEND_UP, 0},         {1000, GOOD, false, BACKEND_UP, 0},
        {1500, FAILED, false, BACKEND_UP, 0},     {1500, FAILED, false, BACKEND_UP, 0},
        {1500, FAILED, false, BACKEND_OUT, 2500}, {2500, BEGIN, false, BACKEND_TRIAL, 0},
        {2500, GOOD, true, BACKEND_UP, 0},        {5499, FAILED, false, BACKEND_UP, 0},
        {5499, FAILED, false, BACKEND_UP, 0},     {5499, FAILED, false, BACKEND_OUT, 7499},
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
        {300, FAILED, true, BACKEND_OUT, 500}, {300, BEGIN, false, BACKEND_TRIAL, 0},
        {400, LATE, true, BACKEND_OUT, 900},
    };
    walk(steps, COUNT(steps));
}
END_TEST

START_TEST(a_probe_proves_nothing_of_requests)
{
    static const struct health_step steps[] = {
        {0, FAILED, false, BACKEND_UP, 0},
        {0, FAILED, false, BACKEND_UP, 0},
        {0, FAILED, false, BACKEND_OUT, 500},
        {100, BEGIN, false, BACKEND_TRIAL, 0},
        {100, PROBE_GOOD, true, BACKEND_OUT, 500},
        {500, BEGIN, false, BACKEND_TRIAL, 0},
        {500, PROBE_GOOD, true, BACKEND_UP, 0},
        {600, PROBE_GOOD, false, BACKEND_UP, 0},
        /* On trial: one request decides. */
        {600, FAILED, false, BACKEND_OUT, 1600},
        {1600, BEGIN, false, BACKEND_TRIAL, 0},
        {1600, PROBE_LATE, true, BACKEND_OUT, 3600},
        {3600, BEGIN, false, BACKEND_TRIAL, 0},
        {3600, PROBE_GOOD, true, BACKEND_UP, 0},
        {3601, GOOD, false, BACKEND_UP, 0},
        {3602, FAILED, false, BACKEND_UP, 0},
        {3602, FAILED, false, BACKEND_UP, 0},
        {3602, REFUSED, false, BACKEND_OUT, 6602},
        /* Who refused and takes a probe is back as a whole. */
        {3700, BEGIN, false, BACKEND_TRIAL, 0},
        {3700, PROBE_GOOD, true, BACKEND_UP, 0},
        {3700, FAILED, false, BACKEND_UP, 0},
        {3700, FAILED, false, BACKEND_UP, 0},
    };
    walk(steps, COUNT(steps));
}
END_TEST

static enum backend_change report(struct backend_health *health, enum backend_outcome outcome,
                                  int64_t balance)
{
    return backend_health_report(health, &three, (struct backend_report){outcome, false, balance}, 5000);
}

START_TEST(a_slow_page_is_no_slow_backend)
{
    struct backend_health health = {0};
    /* Three ask for it, six others are answered meanwhile; and again. */
    for (int64_t round = 0; round < 3; round++) {
        int64_t began = health.balance;
        for (unsigned i = 0; i < 6; i++)
            report(&health, BACKEND_GOOD, health.balance);
        for (unsigned i = 0; i < 3; i++)
            ck_assert_int_eq(report(&health, BACKEND_LATE, began), BACKEND_SAME);
    }
    /* Nobody else is answered. */
    int64_t began = health.balance;
    ck_assert_int_eq(report(&health, BACKEND_LATE, began), BACKEND_SAME);
    ck_assert_int_eq(report(&health, BACKEND_LATE, began), BACKEND_SAME);
    ck_assert_int_eq(report(&health, BACKEND_LATE, began), BACKEND_WENT_OUT);
}
END_TEST

/* One answer now and then is no reason to go on. */
START_TEST(more_late_than_good)
{
    struct backend_health health = {0};
    report(&health, BACKEND_GOOD, 0);
    ck_assert_int_eq(report(&health, BACKEND_LATE, 0), BACKEND_SAME);
    ck_assert_int_eq(report(&health, BACKEND_LATE, 0), BACKEND_SAME);
    ck_assert_int_eq(report(&health, BACKEND_LATE, 0), BACKEND_SAME);
    ck_assert_int_eq(report(&health, BACKEND_LATE, 0), BACKEND_WENT_OUT);
    /* What fails at once counts, whoever else was answered. */
    health = (struct backend_health){.balance = 100};
    ck_assert_int_eq(report(&health, BACKEND_FAILED, 0), BACKEND_SAME);
    ck_assert_int_eq(report(&health, BACKEND_FAILED, 0), BACKEND_SAME);
    ck_assert_int_eq(report(&health, BACKEND_FAILED, 0), BACKEND_WENT_OUT);
}
END_TEST

START_TEST(slow_start)
{
    struct backend_health health = {0};
    const struct backend_health_rules at_once = {.failures = 1, .out = 500};
    ck_assert_uint_eq(backend_health_share(&health, &three, 5), 1000); /* it was never out */
    backend_health_report(&health, &at_once, (struct backend_report){BACKEND_FAILED, false, 0}, 0);
    ck_assert(!backend_health_is_due(&health, 499) && backend_health_is_due(&health, 500));
    backend_health_begin_trial(&health, 500);
    ck_assert(!backend_health_is_due(&health, 1000));
    backend_health_report(&health, &at_once, (struct backend_report){BACKEND_GOOD, true, 0}, 1000);
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
    uint64_t failures, pauses, at, back;
    bool refuses, quick, early, asked;
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
        bool probe = event->step == PROBE_GOOD || event->step == PROBE_LATE;
        bool good = event->step == GOOD || event->step == PROBE_GOOD;
        bool late = event->step == LATE || event->step == PROBE_LATE;
        bool bad = event->step == REFUSED || event->step == FAILED || late;
        bool tried = m.state == BACKEND_TRIAL && event->trial && event->step != CONNECTED;
        if (event->step == BEGIN) {
            m.state = BACKEND_TRIAL;
            m.early = event->trial;
        } else if (event->step == CONNECTED && m.state == BACKEND_TRIAL && m.refuses) {
            m.state = BACKEND_UP;
            m.failures = rules->failures - 1;
            m.back = event->now;
        } else if (tried && event->step == PROBE_GOOD && m.asked) {
            m.state = m.early ? BACKEND_OUT : BACKEND_UP;
            m.failures = m.early ? m.failures : rules->failures - 1;
            m.back = m.early ? m.back : event->now;
        } else if (tried && good) {
            m = (struct model){.state = BACKEND_UP, .pauses = m.pauses, .back = event->now};
        } else if (tried) {
            m.state = BACKEND_OUT;
            m.pauses += bad && !m.early;
            if (bad && (!m.early || late))
                m.at = event->now + pause_after(m.pauses, rules->out);
            m.refuses = bad ? event->step == REFUSED : m.refuses;
            m.quick = bad ? !late : m.quick;
            m.asked = bad && !probe ? event->step != REFUSED : m.asked;
        } else if (m.state == BACKEND_UP && good && !(probe && m.asked)) {
            m.failures = 0;
            m.asked = false;
        } else if (m.state == BACKEND_UP && bad && ++m.failures == rules->failures) {
            m.state = BACKEND_OUT;
            m.refuses = event->step == REFUSED;
            m.quick = !late;
            m.asked = probe ? m.asked : event->step != REFUSED;
            m.pauses = event->now - m.back < rules->out ? m.pauses + 1 : 1;
            m.at = event->now + pause_after(m.pauses, rules->out);
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
    *event = (struct event){now, (enum step)draw(seed, STEPS), false};
    bool out = health->state == BACKEND_OUT, due = backend_health_is_due(health, now);
    if (event->step == BEGIN) {
        event->trial = !due;
        *tried = out && (due || health->quick);
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
        ck_assert(
            health.state != BACKEND_OUT ||
            (health.trial_at == model.at && health.refuses == model.refuses && health.quick == model.quick));
        states[health.state]++;
    }
    ck_assert(states[BACKEND_UP] && states[BACKEND_OUT] && states[BACKEND_TRIAL]);
}
END_TEST

/* ================ groups */

enum { LONG = 60000 };

static struct arena *arena;
static struct findings findings;
static struct decoder decoder;
static struct channel silent = {.output = -1};

/* The arena lives as long as the process: a thread may look after kept connections. */
static void set_up(void)
{
    struct error error = {0};
    arena = arena_new();
    findings = findings_new(arena, "test");
    decoder = (struct decoder){.arena = arena, .findings = &findings};
    ck_assert(log_open("file:/dev/null", SEVERITY_DEBUG, &error));
}

/* A target is its own name. */
static bool parse_name(void *context, struct text text, struct backend_named *named, struct error *error)
{
    (void)context;
    const char *name = arena_copy(arena, text.at, text.length);
    *named = (struct backend_named){.place = name, .manner = "test", .target = name};
    return !text_equal(text, TEXT("bad")) || error_set(error, "is bad, expected better");
}

static struct texts words_of(const char *words)
{
    struct texts texts = {arena_array(arena, BACKENDS_MOST + 1, sizeof *texts.items), 0};
    struct text rest = text_of(words), word;
    while (text_next(&rest, ' ', &word))
        texts.items[texts.count++] = word;
    return texts;
}

static struct backends_rules *rules_of(const char *addresses, uint64_t connections)
{
    struct backends_rules *rules = arena_alloc(arena, sizeof *rules);
    rules->addresses = words_of(addresses);
    rules->connections = connections;
    rules->queue_timeout = LONG;
    rules->retries = 1;
    rules->retry_budget = 20;
    rules->health.health = (struct backend_health_rules){.failures = 1, .out = LONG};
    return rules;
}

static struct backends *group_of(const struct backends_rules *rules)
{
    static const struct node node = {.kind = NODE_SCALAR};
    return backends_prepare(&decoder, rules, &node, "address", parse_name, NULL);
}

static struct exchange plain_exchange(void)
{
    return (struct exchange){.arena = arena, .channel = &silent};
}

static struct backend_lease lease_of(struct backends *group, struct exchange *exchange)
{
    return (struct backend_lease){.group = group, .exchange = exchange, .repeatable = true};
}

/* Takes at once, or not at all. */
static enum backend_place take(struct backend_lease *lease)
{
    return backends_take(lease, 0);
}

static void give(struct backend_lease *lease, enum backend_outcome outcome)
{
    lease->outcome = outcome;
    backends_give(lease, BACKEND_NO_CONNECTION, 0);
}

/* The name of the one that a request of its own goes to, which ends with that outcome; "": to none. */
static const char *ask(struct backends *group, enum backend_outcome outcome)
{
    struct exchange exchange = plain_exchange();
    struct backend_lease lease = lease_of(group, &exchange);
    if (take(&lease) != BACKEND_PLACE)
        return "";
    const char *name = lease.target;
    give(&lease, outcome);
    return name;
}

static void send_out(struct backends *group, const char *name, enum backend_outcome outcome)
{
    for (size_t i = 0; i < 100; i++) {
        struct exchange exchange = plain_exchange();
        struct backend_lease lease = lease_of(group, &exchange);
        ck_assert_int_eq(take(&lease), BACKEND_PLACE);
        bool found = strcmp(lease.target, name) == 0;
        give(&lease, found ? outcome : BACKEND_GOOD);
        if (found)
            return;
    }
    ck_abort_msg("%s was never asked", name);
}

static struct backend_view view_of(const char *name)
{
    struct backend_view views[BACKENDS_MOST];
    size_t count = backends_look(decoder.backends, views, BACKENDS_MOST);
    for (size_t i = 0; i < count; i++)
        if (strcmp(views[i].place, name) == 0)
            return views[i];
    ck_abort_msg("there is no %s", name);
}

static void sleep_ms(long milliseconds)
{
    const struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

START_TEST(faults_of_a_group)
{
    struct backends_rules *rules = rules_of("a b a", 1);
    ck_assert_ptr_null(group_of(rules));
    ck_assert_uint_eq(findings.errors, 1);
    rules = rules_of("b", 1);
    rules->backups = words_of("a b");
    ck_assert_ptr_null(group_of(rules));
    ck_assert_uint_eq(findings.errors, 2);
    ck_assert_ptr_null(group_of(rules_of("a bad c", 1)));
    ck_assert_uint_eq(findings.errors, 3);
    struct backends_rules *one = rules_of("x", 1), *other = rules_of("x", 1);
    one->health.probe = "/ping";
    other->health.probe = "/pong";
    ck_assert_ptr_nonnull(group_of(one));
    ck_assert_ptr_nonnull(group_of(rules_of("x", 1))); /* says nothing of it */
    ck_assert_ptr_null(group_of(other));
}
END_TEST

START_TEST(round_robin_is_even)
{
    struct backends *group = group_of(rules_of("a b c", 5));
    unsigned counts[3] = {0};
    for (size_t i = 0; i < 30; i++)
        counts[ask(group, BACKEND_GOOD)[0] - 'a']++;
    for (size_t i = 0; i < 3; i++)
        ck_assert_uint_eq(counts[i], 10);
}
END_TEST

START_TEST(full_ones_are_passed_over)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("a b", 1));
    struct backend_lease first = lease_of(group, &exchange), second = first, third = first;
    ck_assert_int_eq(take(&first), BACKEND_PLACE);
    const char *name = first.target, *other = ask(group, BACKEND_GOOD);
    ck_assert_str_ne(name, other);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), other);
    ck_assert_int_eq(take(&second), BACKEND_PLACE);
    ck_assert_int_eq(take(&third), BACKEND_PLACE_BUSY);
    ck_assert_uint_eq(view_of(name).requests, 1);
    give(&first, BACKEND_GOOD);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), name);
    give(&second, BACKEND_GOOD);
}
END_TEST

START_TEST(least_connections)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a b c", 5);
    rules->balance.kind = BALANCE_LEAST_CONNECTIONS;
    struct backends *group = group_of(rules);
    struct backend_lease held[6];
    for (size_t i = 0; i < 6; i++) {
        held[i] = lease_of(group, &exchange);
        ck_assert_int_eq(take(&held[i]), BACKEND_PLACE);
    }
    for (const char *name = "a\0b\0c\0"; *name; name += 2)
        ck_assert_uint_eq(view_of(name).requests, 2);
    const char *freed = held[3].target;
    give(&held[3], BACKEND_GOOD);
    for (size_t i = 0; i < 5; i++)
        ck_assert_str_eq(ask(group, BACKEND_GOOD), freed);
}
END_TEST

/* ---- by hash */

static const char *ask_for_once(struct backends *group, unsigned key, enum backend_outcome outcome)
{
    struct exchange exchange = plain_exchange();
    const struct text name = TEXT("x-key");
    headers_add(&exchange.request.headers, arena, name, text_of(arena_printf(arena, "key %u", key)));
    struct backend_lease lease = lease_of(group, &exchange);
    if (take(&lease) != BACKEND_PLACE)
        return "";
    const char *target = lease.target;
    give(&lease, outcome);
    return target;
}

static const char *ask_for(struct backends *group, unsigned key)
{
    return ask_for_once(group, key, BACKEND_GOOD);
}

static struct backends *hashing_group(const char *addresses)
{
    struct backends_rules *rules = rules_of(addresses, 1);
    rules->balance.kind = BALANCE_HASH;
    rules->balance.key = (struct limit){.name = "", .by_count = 1, .by = {{BY_HEADER, "x-key"}}};
    return group_of(rules);
}

enum { KEYS = 600 };

START_TEST(hash_is_for_all_times_the_same)
{
    struct backends *group = hashing_group("a b c");
    unsigned counts[3] = {0};
    for (unsigned key = 0; key < KEYS; key++) {
        const char *name = ask_for(group, key);
        counts[name[0] - 'a']++;
        ck_assert_str_eq(name, ask_for(group, key));
    }
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(counts[i] > KEYS / 3 - 60 && counts[i] < KEYS / 3 + 60, "%u", counts[i]);
    /* Of another process, in another order. */
    ck_assert_str_eq(ask_for(hashing_group("c a b"), 7), ask_for(group, 7));
    ck_assert_str_eq(ask_for(group, 1), "c");
    ck_assert_str_eq(ask_for(group, 3), "a");
}
END_TEST

START_TEST(hash_moves_only_what_it_must)
{
    struct backends *group = hashing_group("a b c d");
    const char *before[KEYS];
    unsigned moved[4] = {0};
    for (unsigned key = 0; key < KEYS; key++)
        before[key] = ask_for(group, key);
    const char *gone = ask_for_once(group, 3, BACKEND_LATE);
    ck_assert_str_eq(gone, before[3]);
    for (unsigned key = 0; key < KEYS; key++) {
        const char *name = ask_for(group, key);
        ck_assert_str_ne(name, gone);
        if (strcmp(before[key], gone) == 0)
            moved[name[0] - 'a']++;
        else
            ck_assert_str_eq(name, before[key]);
    }
    for (size_t i = 0; i < 4; i++)
        ck_assert((moved[i] == 0) == (gone[0] == (char)('a' + i)));
}
END_TEST

START_TEST(hash_goes_on_where_it_is_full)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = hashing_group("a b");
    headers_add(&exchange.request.headers, arena, TEXT("x-key"), TEXT("key 5"));
    struct backend_lease lease = lease_of(group, &exchange);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    ck_assert_str_ne(ask_for(group, 5), lease.target);
    give(&lease, BACKEND_GOOD);
    ck_assert_str_eq(ask_for(group, 5), ask_for(group, 5));
}
END_TEST

/* ---- out of service */

START_TEST(one_that_is_out_is_not_asked)
{
    struct backends *group = group_of(rules_of("a b", 1));
    uint64_t begun = clock_milliseconds();
    send_out(group, "a", BACKEND_LATE);
    const char *asked[5];
    for (size_t i = 0; i < COUNT(asked); i++)
        asked[i] = ask(group, BACKEND_GOOD);
    send_out(group, "b", BACKEND_LATE);
    const char *last = ask(group, BACKEND_GOOD);
    const struct backend_view a = view_of("a"), b = view_of("b");
    if (clock_milliseconds() - begun >= BACKEND_PAUSE_FIRST)
        return; /* a trial was due, on a busy machine */
    for (size_t i = 0; i < COUNT(asked); i++)
        ck_assert_str_eq(asked[i], "b");
    ck_assert_str_eq(last, "");
    ck_assert_int_eq(a.state, BACKEND_OUT);
    ck_assert_uint_ge(b.trial_in_ms + 500, a.trial_in_ms);
}
END_TEST

START_TEST(one_trial_at_a_time)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a", 5);
    rules->health.health.out = 1;
    struct backends *group = group_of(rules);
    struct backend_lease trial = lease_of(group, &exchange);
    send_out(group, "a", BACKEND_LATE);
    sleep_ms(3);
    ck_assert_int_eq(take(&trial), BACKEND_PLACE);
    ck_assert_int_eq(view_of("a").state, BACKEND_TRIAL);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "");
    give(&trial, BACKEND_UNTOLD); /* its client went away */
    trial = lease_of(group, &exchange);
    ck_assert_int_eq(take(&trial), BACKEND_PLACE);
    backends_connected(&trial); /* which says nothing of one that took connections all the time */
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "");
    backends_answered(&trial, 200);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "a"); /* while it is still sending its body */
    backends_failed(&trial, BACKEND_FAILED, "it broke off");
    backends_give(&trial, BACKEND_NO_CONNECTION, 0);
    ck_assert_int_eq(view_of("a").state, BACKEND_OUT);
    ck_assert_str_eq(view_of("a").reason, "it broke off");
}
END_TEST

START_TEST(trials_are_for_what_can_be_repeated)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a b", 5);
    rules->health.health.out = LONG;
    struct backends *group = group_of(rules);
    send_out(group, "a", BACKEND_LATE);
    sleep_ms(510); /* it is due, and overdue in as long again */
    struct backend_lease once = lease_of(group, &exchange), again = once;
    once.repeatable = false;
    ck_assert_int_eq(take(&once), BACKEND_PLACE);
    if (view_of("a").for_ms < 1000)
        ck_assert_str_eq(once.target, "b");
    ck_assert_int_eq(take(&again), BACKEND_PLACE);
    ck_assert(strcmp(again.target, "a") == 0 || view_of("a").for_ms >= 1000);
    give(&once, BACKEND_GOOD);
    give(&again, BACKEND_GOOD);
}
END_TEST

START_TEST(statuses)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a", 5);
    rules->health.statuses[503 - 500] = true;
    struct backends *group = group_of(rules);
    static const int all[] = {500, 200, 404, 599, 503};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct backend_lease lease = lease_of(group, &exchange);
        ck_assert_int_eq(take(&lease), BACKEND_PLACE);
        backends_answered(&lease, all[i]);
        backends_give(&lease, BACKEND_NO_CONNECTION, 0);
        ck_assert_int_eq(view_of("a").state, all[i] == 503 ? BACKEND_OUT : BACKEND_UP);
    }
    ck_assert_str_eq(view_of("a").reason, "it answered with status 503");
}
END_TEST

START_TEST(a_status_that_another_may_not_give)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a b", 5);
    rules->health.statuses[503 - 500] = true;
    struct backends *group = group_of(rules);
    struct backend_lease lease = lease_of(group, &exchange);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    ck_assert(backends_answered(&lease, 500));
    ck_assert(!backends_answered(&lease, 503));
    backends_give(&lease, BACKEND_NO_CONNECTION, 0);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    ck_assert(backends_answered(&lease, 503)); /* nobody is left */
    backends_give(&lease, BACKEND_NO_CONNECTION, 0);
}
END_TEST

START_TEST(slow_start_gives_a_tenth)
{
    struct backends_rules *rules = rules_of("a b", 50);
    rules->balance.kind = _i ? BALANCE_LEAST_CONNECTIONS : BALANCE_ROUND_ROBIN;
    rules->health.health = (struct backend_health_rules){.failures = 1, .out = 1, .slow_start = 3600000};
    struct backends *group = group_of(rules);
    struct exchange exchange = plain_exchange();
    struct backend_lease held[22];
    send_out(group, "a", BACKEND_LATE);
    sleep_ms(3);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "a");
    for (size_t i = 0; i < COUNT(held); i++) {
        held[i] = lease_of(group, &exchange);
        ck_assert_int_eq(take(&held[i]), BACKEND_PLACE);
    }
    ck_assert_uint_ge(view_of("a").requests, 1);
    ck_assert_uint_le(view_of("a").requests, 3);
    for (size_t i = 0; i < COUNT(held); i++)
        give(&held[i], BACKEND_GOOD);
}
END_TEST

START_TEST(slow_start_of_keys)
{
    struct backends *group = hashing_group("a b");
    struct backends_rules *rules = rules_of("a b", 1);
    rules->balance = (struct backend_balance_rule){BALANCE_HASH,
                                                   {.name = "", .by_count = 1, .by = {{BY_HEADER, "x-key"}}}};
    rules->health.health = (struct backend_health_rules){.failures = 1, .out = 1, .slow_start = 3600000};
    struct backends *slow = group_of(rules);
    const char *before[KEYS];
    unsigned mine = 0, back = 0;
    for (unsigned key = 0; key < KEYS; key++)
        before[key] = ask_for(group, key);
    unsigned key = 0;
    while (strcmp(before[key], "a") != 0)
        key++;
    ask_for_once(slow, key, BACKEND_LATE);
    sleep_ms(3);
    ck_assert_str_eq(ask_for(slow, 0), "a"); /* the trial */
    for (key = 0; key < KEYS; key++) {
        bool now = strcmp(ask_for(slow, key), "a") == 0, then = strcmp(before[key], "a") == 0;
        ck_assert(then || !now);
        mine += then;
        back += now;
    }
    ck_assert_msg(back > mine / 20 && back < mine / 5, "%u of %u", back, mine);
}
END_TEST

START_TEST(backups)
{
    struct backends_rules *rules = rules_of("a b", 5);
    rules->backups = words_of("x y");
    rules->health.health.out = 1;
    struct backends *group = group_of(rules);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_lt(ask(group, BACKEND_GOOD)[0], 'x');
    struct exchange exchange = plain_exchange();
    struct backend_lease first = lease_of(group, &exchange), second = first, third = first;
    ck_assert_int_eq(take(&first), BACKEND_PLACE);
    ck_assert_int_eq(take(&second), BACKEND_PLACE);
    give(&first, BACKEND_LATE);
    give(&second, BACKEND_LATE);
    ck_assert_int_eq(view_of("a").state, BACKEND_OUT);
    ck_assert_int_eq(view_of("b").state, BACKEND_OUT);
    sleep_ms(3);
    first = second = third;
    ck_assert_int_eq(take(&first), BACKEND_PLACE); /* trials of both */
    ck_assert_int_eq(take(&second), BACKEND_PLACE);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_ge(ask(group, BACKEND_GOOD)[0], 'x');
    give(&first, BACKEND_GOOD);
    give(&second, BACKEND_GOOD);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_lt(ask(group, BACKEND_GOOD)[0], 'x');
}
END_TEST

/* ---- retries */

START_TEST(retries_go_elsewhere)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a b c", 5);
    rules->retries = 2;
    rules->health.health.failures = 100;
    struct backend_lease lease = lease_of(group_of(rules), &exchange);
    const char *seen[3];
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(take(&lease), BACKEND_PLACE);
        seen[i] = lease.target;
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(seen[i], seen[k]);
        give(&lease, BACKEND_LATE);
    }
    ck_assert_int_eq(take(&lease), BACKEND_PLACE_NONE);
    rules = rules_of("a b c", 5);
    lease = lease_of(group_of(rules), &exchange);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    give(&lease, BACKEND_GOOD);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    give(&lease, BACKEND_GOOD);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE_NONE); /* `retries` is 1 */
}
END_TEST

START_TEST(retries_have_a_budget)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a b", 5);
    rules->health.health.failures = 1000000;
    struct backends *group = group_of(rules);
    unsigned retries[2] = {0};
    for (size_t i = 0; i < 1000; i++) {
        struct backend_lease lease = lease_of(group, &exchange);
        ck_assert_int_eq(take(&lease), BACKEND_PLACE);
        give(&lease, BACKEND_LATE);
        if (take(&lease) != BACKEND_PLACE)
            continue;
        retries[i >= 500]++;
        give(&lease, BACKEND_LATE);
    }
    ck_assert_msg(retries[0] >= 195 && retries[0] <= 205, "%u", retries[0]); /* 100, and 20 of a hundred */
    ck_assert_msg(retries[1] == 100, "%u", retries[1]);
    rules = rules_of("a b", 5);
    rules->retry_budget = 0;
    struct backend_lease lease = lease_of(group_of(rules), &exchange);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    give(&lease, BACKEND_GOOD);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE_NONE);
}
END_TEST

/* All that the reserve of a group has are had after them. */
START_TEST(a_retry_that_waits_in_vain_costs_nothing)
{
    enum { RESERVE = 100, TIMES = 2 * RESERVE };
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a b", 1);
    rules->health.health.failures = 1000000;
    rules->retry_budget = 1;
    struct backends *group = group_of(rules);
    struct backend_lease others = lease_of(group, &exchange), lease;
    for (size_t i = 0; i < TIMES; i++) {
        lease = lease_of(group, &exchange);
        ck_assert_int_eq(take(&lease), BACKEND_PLACE);
        others = lease_of(group, &exchange);
        ck_assert_int_eq(take(&others), BACKEND_PLACE);
        give(&lease, BACKEND_LATE);
        ck_assert_int_eq(backends_take(&lease, clock_milliseconds()), BACKEND_PLACE_BUSY);
        give(&others, BACKEND_GOOD);
    }
    for (size_t i = 0; i < RESERVE; i++) {
        lease = lease_of(group, &exchange);
        ck_assert_int_eq(take(&lease), BACKEND_PLACE);
        give(&lease, BACKEND_LATE);
        ck_assert_int_eq(take(&lease), BACKEND_PLACE);
        give(&lease, BACKEND_LATE);
    }
}
END_TEST

/* ================ places and connections */

/* Our end of a connection; the other is put in `peer`. */
static struct backend_connection connection(int *peer)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    *peer = ends[1];
    return (struct backend_connection){.descriptor = ends[0]};
}

static void keep(struct backend_lease *lease, struct backend_connection one, uint64_t idle)
{
    lease->outcome = BACKEND_GOOD;
    backends_give(lease, one, idle);
}

START_TEST(places_are_the_backend_s)
{
    struct exchange exchange = plain_exchange();
    struct backends *narrow = group_of(rules_of("x", 1)), *wide = group_of(rules_of("x", 2));
    struct backend_lease one = lease_of(narrow, &exchange), two = lease_of(wide, &exchange);
    ck_assert_int_eq(take(&one), BACKEND_PLACE);
    ck_assert_str_eq(ask(narrow, BACKEND_GOOD), "");
    ck_assert_int_eq(take(&two), BACKEND_PLACE);
    give(&one, BACKEND_GOOD);
    ck_assert_str_eq(ask(narrow, BACKEND_GOOD), "");
    ck_assert_str_eq(ask(wide, BACKEND_GOOD), "x");
    give(&two, BACKEND_GOOD);
    send_out(wide, "x", BACKEND_LATE);
    ck_assert_str_eq(ask(wide, BACKEND_GOOD), ""); /* it is out for all */
    ck_assert_str_eq(ask(narrow, BACKEND_GOOD), "");
}
END_TEST

START_TEST(what_is_good_is_kept)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("x", 3));
    struct backend_connection ours[3];
    struct backend_lease leases[3];
    int peers[3];
    char byte;
    for (size_t i = 0; i < 3; i++) {
        ours[i] = connection(&peers[i]);
        leases[i] = lease_of(group, &exchange);
        ck_assert_int_eq(take(&leases[i]), BACKEND_PLACE);
        ck_assert_int_eq(leases[i].connection.descriptor, -1);
    }
    for (size_t i = 0; i < 3; i++) {
        keep(&leases[i], ours[i], LONG);
        leases[i] = lease_of(group, &exchange);
    }
    ck_assert_uint_eq(view_of("x").kept, 3);
    /* The last of them has been closed, the one before has bytes that nobody asked for. */
    close(peers[2]);
    ck_assert_int_eq(write(peers[1], "x", 1), 1);
    ck_assert_int_eq(take(&leases[0]), BACKEND_PLACE);
    ck_assert_int_eq(leases[0].connection.descriptor, ours[0].descriptor);
    ck_assert_int_eq(take(&leases[1]), BACKEND_PLACE);
    ck_assert_int_eq(leases[1].connection.descriptor, -1);
    ck_assert(read(peers[1], &byte, 1) < 0 && errno == ECONNRESET); /* closed on our side, unread */
    /* Going out of service closes what is kept. */
    keep(&leases[0], ours[0], LONG);
    give(&leases[1], BACKEND_FAILED);
    ck_assert_int_eq(read(peers[0], &byte, 1), 0);
    ck_assert_uint_eq(view_of("x").kept, 0);
}
END_TEST

static void count_end(void *owner)
{
    ++*(int *)owner;
}

START_TEST(what_is_idle_is_closed)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("x y", 2));
    struct backend_lease late = lease_of(group, &exchange), soon = late, none = late;
    int peer, other, third, ended = 0;
    struct backend_connection one = connection(&peer), two = connection(&other), owned = connection(&third);
    ck_assert_int_eq(take(&late), BACKEND_PLACE);
    ck_assert_int_eq(take(&soon), BACKEND_PLACE);
    ck_assert_int_eq(take(&none), BACKEND_PLACE);
    keep(&late, one, LONG);
    sleep_ms(20); /* so that the thread waits for it already */
    keep(&soon, two, 20);
    struct pollfd item = {.fd = other, .events = POLLIN};
    ck_assert_int_eq(poll(&item, 1, LONG), 1); /* without anybody asking */
    owned.owner = &ended;
    owned.close = count_end;
    keep(&none, owned, 0);
    ck_assert_int_eq(ended, 1);
    ck_assert_uint_eq(view_of("x").kept + view_of("y").kept, 1);
}
END_TEST

static bool is_swept(void)
{
    pthread_mutex_lock(&decoder.backends->lock);
    bool swept = decoder.backends->swept;
    pthread_mutex_unlock(&decoder.backends->lock);
    return swept;
}

/* A thread for each request would cost more than the connection saves. */
START_TEST(nobody_looks_after_what_is_kept_in_any_case)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("x", 2);
    int peers[2];
    rules->warm = 1;
    struct backend_lease one = lease_of(group_of(rules), &exchange), other = one;
    struct backend_connection kept = connection(&peers[0]);
    for (size_t i = 0; i < 100; i++) {
        ck_assert_int_eq(take(&one), BACKEND_PLACE);
        ck_assert_int_eq(one.connection.descriptor, i > 0 ? kept.descriptor : -1);
        keep(&one, kept, 1);
        ck_assert(!is_swept());
        one = lease_of(one.group, &exchange);
    }
    ck_assert_int_eq(take(&one), BACKEND_PLACE);
    ck_assert_int_eq(take(&other), BACKEND_PLACE);
    keep(&one, kept, LONG);
    ck_assert(!is_swept());
    keep(&other, connection(&peers[1]), LONG);
    ck_assert(is_swept());
}
END_TEST

/* ---- who waits */

struct taker {
    struct exchange exchange;
    struct backend_lease lease;
    enum backend_place place;
    pthread_t thread;
};

static void *take_one(void *argument)
{
    struct taker *taker = argument;
    taker->place = backends_take(&taker->lease, clock_milliseconds() + LONG);
    return NULL;
}

static void start_taker(struct taker *taker, struct backends *group)
{
    taker->exchange = plain_exchange();
    taker->lease = lease_of(group, &taker->exchange);
    ck_assert_int_eq(pthread_create(&taker->thread, NULL, take_one, taker), 0);
}

static void wait_for_waiting(const char *name, uint64_t count)
{
    while (view_of(name).waiting < count)
        sleep_ms(1);
}

START_TEST(who_waits_longest_is_next)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("x", 1));
    struct backend_lease lease = lease_of(group, &exchange);
    struct taker takers[4];
    int peer;
    struct backend_connection one = connection(&peer);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    for (size_t i = 0; i < COUNT(takers); i++) {
        start_taker(&takers[i], group);
        wait_for_waiting("x", i + 1);
    }
    for (size_t i = 0; i < COUNT(takers); i++) {
        keep(i ? &takers[i - 1].lease : &lease, one, LONG);
        pthread_join(takers[i].thread, NULL);
        ck_assert_int_eq(takers[i].place, BACKEND_PLACE);
        ck_assert_int_eq(takers[i].lease.connection.descriptor, one.descriptor);
        ck_assert_uint_eq(view_of("x").waiting, COUNT(takers) - 1 - i);
    }
    give(&takers[3].lease, BACKEND_GOOD);
    ck_assert_uint_eq(view_of("x").requests, 0);
}
END_TEST

START_TEST(whom_the_place_does_not_serve_goes_on_waiting)
{
    struct exchange exchange = plain_exchange();
    struct backends *both = group_of(rules_of("x y", 1)), *one = group_of(rules_of("y", 1));
    struct backend_lease x = lease_of(both, &exchange), y = x;
    struct taker first, second;
    ck_assert_int_eq(take(&x), BACKEND_PLACE);
    ck_assert_int_eq(take(&y), BACKEND_PLACE);
    if (strcmp(x.target, "y") == 0) {
        struct backend_lease other = x;
        x = y;
        y = other;
    }
    start_taker(&first, one);
    wait_for_waiting("y", 1);
    start_taker(&second, both);
    wait_for_waiting("x", 1);
    give(&x, BACKEND_GOOD); /* nothing for the first */
    pthread_join(second.thread, NULL);
    ck_assert_int_eq(second.place, BACKEND_PLACE);
    ck_assert_uint_eq(view_of("y").waiting, 1);
    give(&y, BACKEND_GOOD);
    pthread_join(first.thread, NULL);
    ck_assert_str_eq(first.lease.target, "y");
    give(&first.lease, BACKEND_GOOD);
    give(&second.lease, BACKEND_GOOD);
}
END_TEST

START_TEST(a_client_that_leaves_is_forgotten)
{
    int peer, client = connection(&peer).descriptor;
    struct channel leaving = {.output = client};
    struct exchange exchange = {.arena = arena, .channel = &leaving};
    struct backends *group = group_of(rules_of("x", 1));
    struct backend_lease lease = lease_of(group, &exchange), late = lease;
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    close(peer);
    ck_assert_int_eq(backends_take(&late, clock_milliseconds() + LONG), BACKEND_PLACE_GONE);
    ck_assert_uint_eq(view_of("x").waiting, 0);
    give(&lease, BACKEND_GOOD);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "x");
    close(client);
}
END_TEST

START_TEST(who_waits_for_one_that_goes_out_is_told)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("x", 1));
    struct backend_lease lease = lease_of(group, &exchange);
    struct taker takers[3];
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    for (size_t i = 0; i < COUNT(takers); i++)
        start_taker(&takers[i], group);
    wait_for_waiting("x", COUNT(takers));
    give(&lease, BACKEND_LATE);
    for (size_t i = 0; i < COUNT(takers); i++) {
        pthread_join(takers[i].thread, NULL);
        ck_assert_int_eq(takers[i].place, BACKEND_PLACE_NONE);
    }
}
END_TEST

START_TEST(who_waits_has_the_trial_that_becomes_due)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("x y", 1);
    rules->health.health.out = 300;
    struct backends *group = group_of(rules);
    struct backend_lease busy = lease_of(group, &exchange);
    struct taker taker;
    send_out(group, "y", BACKEND_LATE);
    ck_assert_int_eq(take(&busy), BACKEND_PLACE);
    if (strcmp(busy.target, "y") == 0) { /* it took very long to come here */
        give(&busy, BACKEND_LATE);
        busy = lease_of(group, &exchange);
        ck_assert_int_eq(take(&busy), BACKEND_PLACE);
    }
    start_taker(&taker, group);
    pthread_join(taker.thread, NULL);
    ck_assert_int_eq(taker.place, BACKEND_PLACE);
    ck_assert(taker.lease.trial);
    ck_assert_str_eq(taker.lease.target, "y");
    give(&taker.lease, BACKEND_GOOD);
    give(&busy, BACKEND_GOOD);
}
END_TEST

/* All but the one that finds out wait for what it finds. */
START_TEST(one_that_refused_is_back_for_all)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("x", 5));
    struct backend_lease lease = lease_of(group, &exchange);
    struct taker takers[3];
    send_out(group, "x", BACKEND_REFUSED);
    ck_assert_str_eq(ask(group, BACKEND_REFUSED), "x"); /* without a pause */
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    for (size_t i = 0; i < COUNT(takers); i++)
        start_taker(&takers[i], group);
    wait_for_waiting("x", COUNT(takers));
    backends_connected(&lease);
    for (size_t i = 0; i < COUNT(takers); i++) {
        pthread_join(takers[i].thread, NULL);
        ck_assert_int_eq(takers[i].place, BACKEND_PLACE);
        give(&takers[i].lease, BACKEND_GOOD);
    }
    give(&lease, BACKEND_GOOD);
    ck_assert_int_eq(view_of("x").state, BACKEND_UP);
}
END_TEST

/* Nobody waits for the one that finds out, who may take his time. */
START_TEST(one_that_breaks_off_is_tried_at_once)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("x", 5));
    struct backend_lease lease = lease_of(group, &exchange), other = lease;
    send_out(group, "x", BACKEND_FAILED);
    ck_assert_str_eq(ask(group, BACKEND_FAILED), "x"); /* without a pause */
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    backends_connected(&lease);
    ck_assert_int_eq(backends_take(&other, clock_milliseconds() + LONG), BACKEND_PLACE_NONE);
    backends_answered(&lease, 200);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "x");
    give(&lease, BACKEND_GOOD);
}
END_TEST

START_TEST(the_next_one_finds_out)
{
    struct exchange exchange = plain_exchange();
    struct backends *group = group_of(rules_of("x", 5));
    struct backend_lease lease = lease_of(group, &exchange);
    struct taker taker;
    send_out(group, "x", BACKEND_REFUSED);
    ck_assert_int_eq(take(&lease), BACKEND_PLACE);
    start_taker(&taker, group);
    wait_for_waiting("x", 1);
    give(&lease, BACKEND_REFUSED);
    pthread_join(taker.thread, NULL);
    ck_assert_int_eq(taker.place, BACKEND_PLACE);
    ck_assert(taker.lease.trial);
    give(&taker.lease, BACKEND_LATE); /* which is worse */
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "");
}
END_TEST

/* ================ without a request */

static struct {
    atomic_int outcome, probed, opened, peers[64];
    atomic_bool closes;       /* what is opened */
    atomic_bool held, inside; /* no probe ends; one has seen that */
} fake;

static enum backend_outcome fake_probe(const void *target, const struct backend_watch_rules *rules,
                                       struct backend_connection *connection, struct error *error)
{
    (void)target;
    (void)rules;
    (void)connection;
    error_set(error, "so it is said");
    atomic_fetch_add(&fake.probed, 1);
    for (bool held = true; held; sleep_ms(held)) {
        held = atomic_load(&fake.held);
        atomic_store(&fake.inside, held);
    }
    return (enum backend_outcome)atomic_load(&fake.outcome);
}

static struct backend_connection fake_open(const void *target, uint64_t deadline, struct error *error)
{
    int peer;
    (void)target;
    (void)deadline;
    (void)error;
    struct backend_connection one = connection(&peer);
    if (atomic_load(&fake.closes)) {
        close(peer);
        return one;
    }
    size_t number = (size_t)atomic_fetch_add(&fake.opened, 1);
    ck_assert_uint_lt(number, COUNT(fake.peers));
    atomic_store(&fake.peers[number], peer);
    return one;
}

static bool parse_watched(void *context, struct text text, struct backend_named *named, struct error *error)
{
    static const struct backend_calls calls = {.probe = fake_probe, .open = fake_open};
    bool good = parse_name(context, text, named, error);
    named->calls = &calls;
    return good;
}

static struct backends *watched_group(struct backends_rules *rules)
{
    static const struct node node = {.kind = NODE_SCALAR};
    struct error error = {0};
    struct backends *group = backends_prepare(&decoder, rules, &node, "address", parse_watched, NULL);
    ck_assert_ptr_nonnull(group);
    ck_assert(backends_start(decoder.backends, &error));
    return group;
}

static void wait_for_state(const char *name, enum backend_state state)
{
    while (view_of(name).state != state)
        sleep_ms(1);
}

START_TEST(probes_decide)
{
    struct backends_rules *rules = rules_of("a", 1);
    rules->health = (struct backend_watch_rules){
        .health = {.failures = 2, .out = 1}, .probe = "/ping", .interval = 5, .timeout = 1000};
    atomic_store(&fake.outcome, BACKEND_GOOD);
    struct backends *group = watched_group(rules);
    while (atomic_load(&fake.probed) < 3)
        sleep_ms(1);
    ck_assert_int_eq(view_of("a").state, BACKEND_UP);
    atomic_store(&fake.outcome, BACKEND_LATE);
    while (view_of("a").state == BACKEND_UP)
        sleep_ms(1);
    ck_assert_str_eq(view_of("a").reason, "so it is said");
    sleep_ms(10);
    ck_assert_str_eq(ask(group, BACKEND_GOOD), ""); /* no request is a trial, however long it is out */
    atomic_store(&fake.outcome, BACKEND_GOOD);
    wait_for_state("a", BACKEND_UP);
    while (strcmp(ask(group, BACKEND_GOOD), "a") != 0) /* a probe has the only place now and then */
        sleep_ms(1);
}
END_TEST

static void hold_probe(void)
{
    atomic_store(&fake.held, true);
    while (!atomic_load(&fake.inside))
        sleep_ms(1);
}

START_TEST(a_probe_puts_on_trial_what_requests_sent_out)
{
    struct backends_rules *rules = rules_of("a", 5);
    rules->health = (struct backend_watch_rules){
        .health = {.failures = 3, .out = 1}, .probe = "/ping", .interval = 5, .timeout = 1000};
    rules->health.statuses[503 - 500] = true;
    atomic_store(&fake.outcome, BACKEND_GOOD);
    struct backends *group = watched_group(rules);
    hold_probe();
    for (size_t i = 0; i < 3; i++)
        ck_assert_str_eq(ask(group, BACKEND_FAILED), "a");
    ck_assert_int_eq(view_of("a").state, BACKEND_OUT);
    atomic_store(&fake.held, false);
    wait_for_state("a", BACKEND_UP);
    hold_probe();
    ck_assert_uint_eq(view_of("a").failures, 2);
    ck_assert_str_eq(ask(group, BACKEND_FAILED), "a");
    ck_assert_int_eq(view_of("a").state, BACKEND_OUT);
    atomic_store(&fake.held, false);
    wait_for_state("a", BACKEND_UP);
    hold_probe();
    ck_assert_str_eq(ask(group, BACKEND_GOOD), "a");
    ck_assert_uint_eq(view_of("a").failures, 0);
    ck_assert_str_eq(ask(group, BACKEND_FAILED), "a");
    ck_assert_int_eq(view_of("a").state, BACKEND_UP);
    atomic_store(&fake.held, false);
}
END_TEST

START_TEST(no_probe_where_all_places_are_taken)
{
    struct exchange exchange = plain_exchange();
    struct backends_rules *rules = rules_of("a", 1);
    rules->health.probe = "/ping";
    rules->health.interval = 2;
    atomic_store(&fake.outcome, BACKEND_LATE);
    struct backend_lease lease;
    rules->health.health.failures = 1000000;
    lease = lease_of(watched_group(rules), &exchange);
    ck_assert_int_eq(backends_take(&lease, clock_milliseconds() + LONG), BACKEND_PLACE);
    int probed = atomic_load(&fake.probed);
    sleep_ms(30);
    ck_assert_int_le(atomic_load(&fake.probed), probed);
    give(&lease, BACKEND_GOOD);
    while (atomic_load(&fake.probed) == probed)
        sleep_ms(1);
}
END_TEST

START_TEST(warm_connections_are_held)
{
    struct backends_rules *rules = rules_of("a", 4);
    rules->warm = 2;
    rules->idle = 1;
    watched_group(rules);
    while (view_of("a").kept < 2)
        sleep_ms(1);
    sleep_ms(20);
    const struct backend_view view = view_of("a");   /* one may be looked at */
    ck_assert_uint_eq(view.kept + view.requests, 2); /* beyond their time */
    ck_assert_int_eq(atomic_load(&fake.opened), 2);
    close(atomic_load(&fake.peers[0])); /* is noticed and made good */
    while (atomic_load(&fake.opened) < 3)
        sleep_ms(1);
    while (view_of("a").kept != 2)
        sleep_ms(1);
}
END_TEST

START_TEST(warm_connections_that_are_closed_at_once)
{
    struct backends_rules *rules = rules_of("a", 4);
    rules->warm = 2;
    rules->health.probe = "/ping";
    rules->health.interval = 2;
    atomic_store(&fake.closes, true);
    watched_group(rules);
    while (atomic_load(&fake.probed) < 5) /* there is time for other things */
        sleep_ms(1);
}
END_TEST

/* ================ many threads */

enum { THREADS = 12, ROUNDS = 400, NAMES = 3, LIMIT = 2 };

static struct {
    struct backends *group;
    atomic_int used[NAMES], trials[NAMES], none, placed;
} crowd;

static void work_with(struct backend_lease *lease, unsigned *seed)
{
    const size_t name = (size_t)(*(const char *)lease->target - 'a');
    int peer;
    ck_assert_int_le(atomic_fetch_add(&crowd.used[name], 1) + 1, LIMIT);
    bool trial = lease->trial, good = draw(seed, 3) > 0;
    if (trial)
        ck_assert_int_eq(atomic_fetch_add(&crowd.trials[name], 1), 0);
    struct backend_connection one = lease->connection;
    if (draw(seed, 2))
        sched_yield();
    if (trial) /* before another may begin */
        atomic_fetch_sub(&crowd.trials[name], 1);
    if (one.descriptor < 0) {
        one = connection(&peer);
        close(draw(seed, 2) ? peer : dup(peer)); /* which leaves one of them open */
        backends_connected(lease);
    }
    if (good)
        backends_answered(lease, 200);
    else if (draw(seed, 4))
        backends_failed(lease, (enum backend_outcome)(BACKEND_REFUSED + draw(seed, 3)), "so it was drawn");
    atomic_fetch_sub(&crowd.used[name], 1);
    atomic_fetch_add(&crowd.placed, 1);
    backends_give(lease, one, draw(seed, 2) ? 1 : LONG);
}

static void *be_one_of_many(void *argument)
{
    unsigned seed = (unsigned)(size_t)argument;
    struct arena *own = arena_new();
    struct exchange exchange = {.arena = own, .channel = &silent};
    for (size_t i = 0; i < ROUNDS; i++) {
        struct backend_lease lease = lease_of(crowd.group, &exchange);
        enum backend_place place = BACKEND_PLACE;
        for (size_t tries = 0; tries < 2 && place == BACKEND_PLACE; tries++) {
            place = backends_take(&lease, clock_milliseconds() + LONG);
            ck_assert(place == BACKEND_PLACE || place == BACKEND_PLACE_NONE);
            if (place == BACKEND_PLACE)
                work_with(&lease, &seed);
            else
                atomic_fetch_add(&crowd.none, 1);
        }
        const struct backend_view view = view_of("a");
        ck_assert_uint_le(view.requests, LIMIT);
        ck_assert_uint_le(view.for_ms, 60 * LONG);
    }
    arena_free(own);
    return NULL;
}

START_TEST(many_threads)
{
    pthread_t threads[THREADS];
    struct backends_rules *rules = rules_of("a b c", LIMIT);
    rules->health.health = (struct backend_health_rules){.failures = 3, .out = 1, .slow_start = 2};
    rules->balance.kind = _i ? BALANCE_LEAST_CONNECTIONS : BALANCE_ROUND_ROBIN;
    crowd.group = group_of(rules);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, be_one_of_many, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < NAMES; i++) {
        const struct backend_view view = view_of((const char *[]){"a", "b", "c"}[i]);
        ck_assert_uint_eq(view.requests, 0);
        ck_assert_uint_eq(view.waiting, 0);
        ck_assert_uint_le(view.kept, LIMIT);
        ck_assert_int_ne(view.state, BACKEND_TRIAL);
    }
    ck_assert_int_gt(crowd.placed, ROUNDS);
}
END_TEST

/* ================ */

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set_up, NULL);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void add_group_tests(Suite *suite)
{
    TCase *groups = add_case(suite, "groups");
    tcase_add_test(groups, faults_of_a_group);
    tcase_add_test(groups, round_robin_is_even);
    tcase_add_test(groups, full_ones_are_passed_over);
    tcase_add_test(groups, least_connections);
    tcase_add_test(groups, hash_is_for_all_times_the_same);
    tcase_add_test(groups, hash_moves_only_what_it_must);
    tcase_add_test(groups, hash_goes_on_where_it_is_full);
    tcase_add_test(groups, one_that_is_out_is_not_asked);
    tcase_add_test(groups, one_trial_at_a_time);
    tcase_add_test(groups, trials_are_for_what_can_be_repeated);
    tcase_add_test(groups, statuses);
    tcase_add_test(groups, a_status_that_another_may_not_give);
    tcase_add_loop_test(groups, slow_start_gives_a_tenth, 0, 2);
    tcase_add_test(groups, slow_start_of_keys);
    tcase_add_test(groups, backups);
    tcase_add_test(groups, retries_go_elsewhere);
    tcase_add_test(groups, retries_have_a_budget);
    tcase_add_test(groups, a_retry_that_waits_in_vain_costs_nothing);
}

static void add_place_tests(Suite *suite)
{
    TCase *places = add_case(suite, "places");
    tcase_add_test(places, places_are_the_backend_s);
    tcase_add_test(places, what_is_good_is_kept);
    tcase_add_test(places, what_is_idle_is_closed);
    tcase_add_test(places, nobody_looks_after_what_is_kept_in_any_case);
    tcase_add_test(places, who_waits_longest_is_next);
    tcase_add_test(places, whom_the_place_does_not_serve_goes_on_waiting);
    tcase_add_test(places, a_client_that_leaves_is_forgotten);
    tcase_add_test(places, who_waits_for_one_that_goes_out_is_told);
    tcase_add_test(places, who_waits_has_the_trial_that_becomes_due);
    tcase_add_test(places, one_that_refused_is_back_for_all);
    tcase_add_test(places, one_that_breaks_off_is_tried_at_once);
    tcase_add_test(places, the_next_one_finds_out);
    tcase_add_test(places, probes_decide);
    tcase_add_test(places, a_probe_puts_on_trial_what_requests_sent_out);
    tcase_add_test(places, no_probe_where_all_places_are_taken);
    tcase_add_test(places, warm_connections_are_held);
    tcase_add_test(places, warm_connections_that_are_closed_at_once);
    tcase_add_loop_test(places, many_threads, 0, 2);
}

static Suite *backends_suite(void)
{
    Suite *suite = suite_create("backends");
    TCase *health = tcase_create("health");
    tcase_add_test(health, failures_in_a_row);
    tcase_add_test(health, pauses_double_up_to_out);
    tcase_add_test(health, one_that_comes_and_goes);
    tcase_add_test(health, one_that_refuses);
    tcase_add_test(health, an_early_trial_that_finds_worse);
    tcase_add_test(health, a_probe_proves_nothing_of_requests);
    tcase_add_test(health, a_slow_page_is_no_slow_backend);
    tcase_add_test(health, more_late_than_good);
    tcase_add_test(health, slow_start);
    tcase_add_loop_test(health, as_the_model, 0, 100);
    suite_add_tcase(suite, health);
    add_group_tests(suite);
    add_place_tests(suite);
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
