/*
 * Tests of src/store/quota.c beside a slow model that keeps every arrival in a
 * list and looks through all of it each time: a million random sequences for
 * each algorithm, at the times where it matters. A failure names its seed.
 */
#include "config.h"

#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/quota.h"

#ifdef SANITIZERS
enum { SEQUENCES = 50000 };
#else
enum { SEQUENCES = 1000000 };
#endif

__extension__ typedef __int128 exact;

enum { ARRIVALS_LIMIT = 48 };
#define CLOCK_MOST (UINT64_C(1) << 60)
#define SECOND     UINT64_C(1000000)

/* ---- random numbers, of a seed alone */

static uint64_t seed, randomness;

static uint64_t draw(void)
{
    uint64_t number = randomness += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
    return number ^ (number >> 31);
}

static uint64_t below(uint64_t bound)
{
    return draw() % bound;
}

/* From 1 to `most`, small ones and the greatest most often. */
static uint64_t some(uint64_t most)
{
    switch (below(8)) {
    case 0:
        return most;
    case 1:
        return 1 + below(most);
    case 2:
        return 1 + below(most < 1000000 ? most : 1000000);
    default:
        return 1 + below(most < 6 ? most : 6);
    }
}

static void begin_sequence(uint64_t of)
{
    seed = randomness = of;
}

#define MUST(condition)                                                                                      \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            ck_abort_msg("seed %#" PRIx64 ": %s", seed, #condition);                                         \
    } while (0)

/* ---- the model */

struct arrival {
    uint64_t time, cost; /* what is left of it */
    uint64_t begin;      /* of its window or segment */
    uint64_t window;     /* fixed: which one */
    bool given_back;     /* gcra: this is no arrival but so much given back */
};

struct model {
    const struct quota *quota;
    struct arrival arrivals[2 * ARRIVALS_LIMIT];
    size_t count;
    uint64_t begin, window; /* of the newest window or segment */
    exact banned;
    unsigned bans;
};

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t model_segment(const struct model *model)
{
    uint64_t length = model->quota->window / 16;
    return length * 16 < model->quota->window ? length + 1 : length;
}

static bool counts(const struct model *model, const struct arrival *arrival, uint64_t now)
{
    uint64_t window = model->quota->window;
    if (model->quota->algorithm == QUOTA_FIXED)
        return arrival->window == model->window && now < arrival->begin + window;
    return later(now, model->begin) < arrival->begin + model_segment(model) - 1 + window;
}

static uint64_t model_units(const struct model *model, uint64_t now)
{
    uint64_t units = 0;
    for (size_t i = 0; i < model->count; i++)
        if (counts(model, &model->arrivals[i], now))
            units += model->arrivals[i].cost;
    return units;
}

/* The theoretical arrival time, in 1/limit microseconds. */
static exact model_arrival(const struct model *model)
{
    exact arrival = 0;
    for (size_t i = 0; i < model->count; i++) {
        exact present = (exact)model->arrivals[i].time * (exact)model->quota->limit;
        exact units = (exact)model->arrivals[i].cost * (exact)model->quota->window;
        if (!model->arrivals[i].given_back)
            arrival = (arrival > present ? arrival : present) + units;
        else if (arrival > present)
            arrival = arrival - units > present ? arrival - units : present;
    }
    return arrival;
}

static exact model_ahead(const struct model *model, uint64_t now)
{
    exact ahead = model_arrival(model) - (exact)now * (exact)model->quota->limit;
    return ahead > 0 ? ahead : 0;
}

static exact model_tolerance(const struct quota *quota)
{
    exact burst = (exact)quota->burst * (exact)quota->window,
          delay = (exact)quota->delay * (exact)quota->limit;
    if (quota->delay > 0 && (quota->burst == 0 || delay < burst))
        burst = delay;
    exact most = ((exact)1 << 61) * (exact)quota->limit;
    return burst < most ? burst : most;
}

/* Bans aside. */
static bool model_admits(const struct model *model, uint64_t now, uint64_t cost)
{
    const struct quota *quota = model->quota;
    if (quota->limit == 0)
        return false;
    if (cost == 0)
        return true;
    if (quota->algorithm != QUOTA_GCRA)
        return model_units(model, now) + cost <= quota->limit;
    return model_ahead(model, now) + (exact)(cost - 1) * (exact)quota->window <= model_tolerance(quota);
}

/* A fixed window ends with its time alone; 0 is no time that one begins at. */
static bool model_has_begun(const struct model *model, uint64_t now)
{
    if (model->quota->algorithm == QUOTA_FIXED && model->begin > 0)
        return now < model->begin + model->quota->window;
    return model_units(model, now) > 0;
}

static void model_take(struct model *model, uint64_t now, uint64_t cost)
{
    if (cost == 0)
        return;
    if (model->quota->algorithm != QUOTA_GCRA && !model_has_begun(model, now)) {
        model->begin = later(now, model->begin);
        model->window++;
    } else if (model->quota->algorithm == QUOTA_SLIDING) {
        while (now >= model->begin + model_segment(model)) /* never many: something counts */
            model->begin += model_segment(model);
    }
    model->arrivals[model->count++] =
        (struct arrival){.time = now, .cost = cost, .begin = model->begin, .window = model->window};
}

static void model_give_back(struct model *model, uint64_t taken, uint64_t now, uint64_t cost)
{
    if (model->quota->algorithm == QUOTA_GCRA) {
        model->arrivals[model->count++] = (struct arrival){.time = now, .cost = cost, .given_back = true};
        return;
    }
    uint64_t length = model->quota->algorithm == QUOTA_FIXED ? model->quota->window : model_segment(model);
    for (size_t i = 0; i < model->count; i++) {
        struct arrival *arrival = &model->arrivals[i];
        bool newest = model->quota->algorithm == QUOTA_SLIDING || arrival->window == model->window;
        if (!newest || taken < arrival->begin || taken - arrival->begin >= length)
            continue;
        uint64_t part = arrival->cost < cost ? arrival->cost : cost;
        arrival->cost -= part;
        cost -= part;
    }
}

static exact model_ban_length(const struct quota *quota, unsigned before)
{
    exact length = (exact)quota->ban, most = (exact)later(quota->ban, quota->ban_most);
    while (before-- > 0 && length < most)
        length *= 2;
    return length < most ? length : most;
}

static bool model_refuse(struct model *model, uint64_t now)
{
    if (model->quota->ban == 0 || (exact)now < model->banned)
        return false;
    if (model->bans > 0 && (exact)now >= model->banned + model_ban_length(model->quota, model->bans - 1))
        model->bans = 0;
    model->banned = (exact)now + model_ban_length(model->quota, model->bans++);
    return true;
}

/* ---- a sequence */

struct sequence {
    struct quota quota;
    struct quota_state state;
    struct model model;
    uint64_t now, most;
    struct quota_answer last;
    struct {
        uint64_t time, cost;
    } taken[ARRIVALS_LIMIT];
    size_t count;
};

static struct quota some_quota(enum quota_algorithm algorithm)
{
    struct quota quota = {.algorithm = algorithm, .limit = some(QUOTA_LIMIT_MOST)};
    quota.window = some(QUOTA_TIME_MOST);
    if (below(4) == 0)
        quota.window = 1 + below(200);
    if (below(32) == 0)
        quota.limit = 0;
    if (below(2) == 0)
        quota.burst = some(QUOTA_LIMIT_MOST);
    if (below(3) == 0)
        quota.delay = below(2) ? some(QUOTA_TIME_MOST) : 1 + below(4 * quota.window);
    if (below(6) == 0)
        quota.ban = some(QUOTA_TIME_MOST);
    if (below(2) == 0)
        quota.ban_most = below(2) ? some(QUOTA_TIME_MOST) : quota.ban * below(9);
    return quota;
}

/* A while that is as long as something. */
static uint64_t some_while(const struct sequence *sequence)
{
    const struct quota *quota = &sequence->quota;
    switch (below(9)) {
    case 0:
        return sequence->last.retry < CLOCK_MOST ? sequence->last.retry : 1;
    case 1:
        return sequence->last.reset < CLOCK_MOST ? sequence->last.reset : 1;
    case 2:
        return quota->window;
    case 3:
        return quota->window / 16 * below(18);
    case 4:
        return quota->limit > 0 ? quota->window * below(4) / quota->limit : 1;
    case 5:
        return below(40) == 0 ? draw() >> 8 : below(1000);
    case 6:
        return quota->ban * below(3);
    default:
        return below(4);
    }
}

static void move_clock(struct sequence *sequence)
{
    uint64_t step = some_while(sequence) + below(3);
    step = step > 0 ? step - below(2) : 0;
    if (below(3) == 0)
        step = 0;
    if (below(12) == 0)
        sequence->now -= step < sequence->now ? step : sequence->now;
    else if (step < CLOCK_MOST && sequence->now + step < CLOCK_MOST)
        sequence->now += step;
}

static uint64_t some_cost(const struct sequence *sequence)
{
    uint64_t cost = below(4);
    if (below(6) == 0)
        cost = sequence->last.remaining + below(3);
    else if (below(8) == 0)
        cost = sequence->most - below(2);
    else if (below(8) == 0)
        cost = below(QUOTA_COST_MOST);
    return cost < QUOTA_COST_MOST ? cost : QUOTA_COST_MOST;
}

static bool all_admit(const struct sequence *sequence, uint64_t now, uint64_t cost)
{
    bool model = model_admits(&sequence->model, now, cost) && (exact)now >= sequence->model.banned;
    MUST(quota_judge(&sequence->quota, &sequence->state, now, cost).admitted == model);
    return model;
}

/* What is left is left, and no more. */
static void must_remain(const struct sequence *sequence, uint64_t remaining)
{
    if (remaining > 0)
        MUST(model_admits(&sequence->model, sequence->now, remaining));
    if (remaining < UINT64_MAX)
        MUST(!model_admits(&sequence->model, sequence->now, remaining + 1));
}

static void must_reset(const struct sequence *sequence, uint64_t reset)
{
    if (sequence->quota.limit == 0)
        return;
    MUST(reset < UINT64_MAX);
    MUST(all_admit(sequence, sequence->now + reset, sequence->most));
    if (reset > 0)
        MUST(!all_admit(sequence, sequence->now + reset - 1, sequence->most));
}

static void must_retry(const struct sequence *sequence, uint64_t retry, uint64_t cost)
{
    MUST(retry > 0);
    MUST((retry == UINT64_MAX) == (sequence->quota.limit == 0 || cost > sequence->most));
    if (retry == UINT64_MAX)
        return;
    MUST(all_admit(sequence, sequence->now + retry, cost));
    MUST(!all_admit(sequence, sequence->now + retry - 1, cost));
}

static void pass_through_bytes(struct sequence *sequence)
{
    unsigned char bytes[QUOTA_BYTES];
    struct quota_state found;
    size_t length = quota_write(&sequence->state, sequence->quota.algorithm, bytes);
    MUST(length <= sizeof bytes);
    MUST(quota_read(&found, sequence->quota.algorithm, bytes, length));
    MUST(memcmp(&found, &sequence->state, sizeof found) == 0);
}

static void give_some_back(struct sequence *sequence)
{
    size_t at = below(sequence->count);
    uint64_t cost = below(sequence->taken[at].cost + 1);
    uint64_t taken = sequence->taken[at].time;
    sequence->taken[at].cost -= cost;
    uint64_t before = quota_judge(&sequence->quota, &sequence->state, sequence->now, 0).remaining;
    quota_give_back(&sequence->quota, &sequence->state, taken, sequence->now, cost);
    uint64_t after = quota_judge(&sequence->quota, &sequence->state, sequence->now, 0).remaining;
    MUST(after >= before && after - before <= cost);
    model_give_back(&sequence->model, taken, sequence->now, cost);
}

static void ask(struct sequence *sequence)
{
    const struct quota *quota = &sequence->quota;
    uint64_t cost = some_cost(sequence);
    exact ahead = model_ahead(&sequence->model, sequence->now);
    struct quota_answer answer = quota_judge(quota, &sequence->state, sequence->now, cost);
    MUST(answer.admitted == all_admit(sequence, sequence->now, cost));
    MUST(answer.banned == ((exact)sequence->now < sequence->model.banned));
    if (answer.admitted) {
        MUST(answer.retry == 0);
        exact wait = quota->algorithm == QUOTA_GCRA && quota->delay > 0 && cost > 0 ? ahead : 0;
        MUST((exact)answer.wait * (exact)quota->limit >= wait);
        MUST(((exact)answer.wait - 1) * (exact)quota->limit < wait);
        MUST(answer.wait <= quota->delay);
        quota_take(quota, &sequence->state, sequence->now, cost);
        model_take(&sequence->model, sequence->now, cost);
        sequence->taken[sequence->count].time = sequence->now;
        sequence->taken[sequence->count++].cost = cost;
    } else {
        MUST(answer.wait == 0);
        must_retry(sequence, answer.retry, cost);
    }
    if (answer.banned)
        MUST(answer.remaining == 0);
    else
        must_remain(sequence, answer.remaining);
    must_reset(sequence, answer.reset);
    sequence->last = answer;
    if (!answer.admitted)
        MUST(quota_refuse(quota, &sequence->state, sequence->now) ==
             model_refuse(&sequence->model, sequence->now));
}

/* ---- what holds for whole sequences */

/* In no span as long as the window more than the limit. A clock that steps back counts as standing. */
static void must_keep_to_the_window(const struct sequence *sequence)
{
    uint64_t times[2 * ARRIVALS_LIMIT], newest = 0;
    const struct model *model = &sequence->model;
    for (size_t i = 0; i < model->count; i++)
        times[i] = newest = later(newest, model->arrivals[i].time);
    for (size_t i = 0; i < model->count; i++) {
        uint64_t units = 0;
        for (size_t j = i; j < model->count && times[j] < times[i] + sequence->quota.window; j++)
            units += model->arrivals[j].cost;
        MUST(units <= sequence->quota.limit);
    }
}

/* From each arrival to each, no more than the rate gives in that time, the burst and one; what
 * was given back in between aside. */
static void must_keep_to_the_rate(const struct sequence *sequence)
{
    const struct model *model = &sequence->model;
    exact window = (exact)sequence->quota.window, limit = (exact)sequence->quota.limit;
    for (size_t i = 0; i < model->count; i++) {
        exact units = 0;
        for (size_t j = i; j < model->count; j++) {
            units += model->arrivals[j].given_back ? -(exact)model->arrivals[j].cost
                                                   : (exact)model->arrivals[j].cost;
            exact span = (exact)model->arrivals[j].time - (exact)model->arrivals[i].time;
            if (!model->arrivals[i].given_back && !model->arrivals[j].given_back)
                MUST(units * window <= span * limit + model_tolerance(&sequence->quota) + window);
        }
    }
}

static void must_be_equal(const struct sequence *sequence, const struct quota_state *state, uint64_t now)
{
    static const struct quota_state none;
    const uint64_t costs[] = {0, 1, 2, sequence->quota.limit, sequence->quota.limit + 1, sequence->most};
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        struct quota_answer a = quota_judge(&sequence->quota, state, now, costs[i]);
        struct quota_answer b = quota_judge(&sequence->quota, &none, now, costs[i]);
        MUST(a.admitted == b.admitted && a.banned == b.banned && a.wait == b.wait);
        MUST(a.remaining == b.remaining && a.reset == b.reset && a.retry == b.retry);
    }
    struct quota_state refused = *state, first = none;
    MUST(quota_refuse(&sequence->quota, &refused, now) == quota_refuse(&sequence->quota, &first, now));
    MUST(sequence->quota.ban == 0 || (refused.banned == first.banned && refused.bans == first.bans));
}

static void must_expire(const struct sequence *sequence, const struct quota_state *state)
{
    uint64_t expiry = quota_expiry(&sequence->quota, state);
    must_be_equal(sequence, state, expiry);
    must_be_equal(sequence, state, expiry + 1 + below(1000));
    must_be_equal(sequence, state, expiry + some_while(sequence));
}

static void one_sequence(enum quota_algorithm algorithm)
{
    static struct sequence sequence;
    memset(&sequence.state, 0, sizeof sequence.state);
    sequence.quota = some_quota(algorithm);
    sequence.model.quota = &sequence.quota;
    sequence.model.count = sequence.count = 0;
    sequence.model.begin = sequence.model.window = sequence.model.bans = 0;
    sequence.model.banned = 0;
    sequence.now = draw() >> (14 + below(50));
    sequence.last = quota_judge(&sequence.quota, &sequence.state, sequence.now, 0);
    sequence.most = sequence.last.remaining;
    must_remain(&sequence, sequence.most);
    size_t length = below(16) == 0 ? ARRIVALS_LIMIT : 1 + below(6);
    for (size_t i = 0; i < length; i++) {
        if (sequence.count > 0 && sequence.model.count + length - i < 2 * ARRIVALS_LIMIT && below(5) == 0)
            give_some_back(&sequence);
        ask(&sequence);
        move_clock(&sequence);
    }
    if (below(4) == 0) {
        pass_through_bytes(&sequence);
        must_expire(&sequence, &sequence.state);
    }
    if (algorithm == QUOTA_SLIDING)
        must_keep_to_the_window(&sequence);
    if (algorithm == QUOTA_GCRA)
        must_keep_to_the_rate(&sequence);
}

START_TEST(sequences_are_as_in_the_model)
{
    for (uint64_t i = 0; i < SEQUENCES; i++) {
        begin_sequence(((uint64_t)_i << 32) + i);
        one_sequence((enum quota_algorithm)_i);
    }
}
END_TEST

/* ---- bytes */

enum { RANDOM_BYTES = SEQUENCES / 4 };

/* Whatever is read can be counted with: UBSan says if not. */
static void use_all(const struct quota *quota, struct quota_state *state, uint64_t now)
{
    const uint64_t costs[] = {0, 1, some(QUOTA_COST_MOST), UINT64_MAX};
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        struct quota_answer answer = quota_judge(quota, state, now, costs[i]);
        MUST(answer.admitted || answer.retry > 0);
        MUST(answer.remaining <= quota_judge(quota, &(struct quota_state){0}, 0, 0).remaining);
        if (!answer.admitted && answer.retry < UINT64_MAX - now && now < CLOCK_MOST) {
            MUST(quota_judge(quota, state, now + answer.retry, costs[i]).admitted);
            MUST(!quota_judge(quota, state, now + answer.retry - 1, costs[i]).admitted);
        }
        quota_take(quota, state, now, costs[i]);
        quota_give_back(quota, state, below(2) ? now : draw(), now, costs[i]);
        quota_refuse(quota, state, now);
        MUST(quota_expiry(quota, state) <= INT64_MAX);
    }
    unsigned char bytes[QUOTA_BYTES];
    MUST(quota_read(state, quota->algorithm, bytes, quota_write(state, quota->algorithm, bytes)));
}

START_TEST(any_bytes_are_refused_or_counted_with)
{
    enum quota_algorithm algorithm = (enum quota_algorithm)_i;
    size_t accepted = 0;
    for (uint64_t i = 0; i < RANDOM_BYTES; i++) {
        begin_sequence(((uint64_t)(_i + 8) << 32) + i);
        unsigned char bytes[QUOTA_BYTES], again[QUOTA_BYTES];
        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (unsigned char)(below(3) ? draw() : 0xff * below(2));
        size_t count = below(19);
        bool ban = below(2);
        size_t length = below(4) ? 1 + 8 + 4 * count + (ban ? 12 : 0) : below(sizeof bytes + 1);
        bytes[0] = below(4) ? (unsigned char)(count | (ban ? 0x80 : 0)) : bytes[0];
        struct quota_state state;
        if (!quota_read(&state, algorithm, bytes, length)) {
            MUST(memcmp(&state, &(struct quota_state){0}, sizeof state) == 0);
            continue;
        }
        accepted++;
        MUST(quota_write(&state, algorithm, again) == length && memcmp(bytes, again, length) == 0);
        struct quota quota = some_quota(algorithm);
        use_all(&quota, &state, below(3) ? draw() >> (4 + below(60)) : UINT64_MAX - below(2));
    }
    ck_assert_msg(accepted > RANDOM_BYTES / 100, "only %zu were accepted", accepted);
}
END_TEST

static const struct {
    const char *what;
    enum quota_algorithm algorithm;
    size_t length;
    const char *bytes;
} not_ours[] = {
    {"nothing", QUOTA_FIXED, 0, ""},
    {"no time", QUOTA_FIXED, 8, "\0\1\0\0\0\0\0\0"},
    {"a byte too many", QUOTA_FIXED, 10, "\0\1\0\0\0\0\0\0\0\0"},
    {"two numbers where one is", QUOTA_FIXED, 17, "\2\1\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0"},
    {"two numbers where one is", QUOTA_GCRA, 17, "\2\1\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0"},
    {"a number cut short", QUOTA_GCRA, 12, "\1\1\0\0\0\0\0\0\0\1\0\0"},
    {"a last number that is 0", QUOTA_SLIDING, 13, "\1\1\0\0\0\0\0\0\0\0\0\0\0"},
    {"a time of 64 bits", QUOTA_FIXED, 9, "\0\0\0\0\0\0\0\0\x80"},
    {"a ban that is none", QUOTA_FIXED, 21, "\x80\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"},
    {"a ban of 64 bits", QUOTA_FIXED, 21, "\x80\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\1\0\0\0"},
    {"a ban cut short", QUOTA_FIXED, 20, "\x80\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0"},
    {"an unknown flag", QUOTA_FIXED, 9, "\x40\1\0\0\0\0\0\0\0"},
};

START_TEST(bytes_that_are_not_ours_are_refused)
{
    struct quota_state state;
    ck_assert_msg(!quota_read(&state, not_ours[_i].algorithm, (const unsigned char *)not_ours[_i].bytes,
                              not_ours[_i].length),
                  "%s", not_ours[_i].what);
}
END_TEST

START_TEST(bytes_stay_the_same_over_versions)
{
    const struct quota_state state = {
        .time = 0x0102030405060708, .part = 0x11121314, .banned = 0x21, .bans = 2};
    static const unsigned char expected[] = {0x81, 8, 7, 6, 5, 4, 3, 2, 1, 0x14, 0x13, 0x12, 0x11,
                                             0x21, 0, 0, 0, 0, 0, 0, 0, 2, 0,    0,    0};
    unsigned char bytes[QUOTA_BYTES];
    ck_assert_mem_eq(bytes, expected, quota_write(&state, QUOTA_GCRA, bytes));
    ck_assert_uint_eq(quota_write(&state, QUOTA_GCRA, bytes), sizeof expected);
    const struct quota_state segments = {.time = 1, .segments = {0, 0x0304}};
    static const unsigned char sliding[] = {2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0};
    ck_assert_uint_eq(quota_write(&segments, QUOTA_SLIDING, bytes), sizeof sliding);
    ck_assert_mem_eq(bytes, sliding, sizeof sliding);
}
END_TEST

/* ---- what people expect, in seconds */

enum step_kind { END, ASK, GIVE };

struct step {
    enum step_kind kind;
    double at;
    uint64_t cost;
    bool admitted;
    double wait_or_retry; /* -1: never */
    uint64_t remaining;
    double reset; /* GIVE: when it was taken */
};

struct story {
    const char *what;
    struct quota quota;
    struct step steps[12];
};

#define TEN_A_MINUTE .limit = 10, .window = 60 * SECOND
#define ONE_A_SECOND .limit = 1, .window = SECOND

static const struct story stories[] = {
    {"a fixed window begins with its first request",
     {.algorithm = QUOTA_FIXED, .limit = 2, .window = 60 * SECOND},
     {{ASK, 100, 1, true, 0, 1, 60},
      {ASK, 130, 1, true, 0, 0, 30},
      {ASK, 159, 1, false, 1, 0, 1},
      {ASK, 160, 1, true, 0, 1, 60}}},
    {"a fixed window takes what still fits",
     {.algorithm = QUOTA_FIXED, TEN_A_MINUTE},
     {{ASK, 0, 8, true, 0, 2, 60},
      {ASK, 1, 3, false, 59, 2, 59},
      {ASK, 1, 2, true, 0, 0, 59},
      {ASK, 1, 11, false, -1, 0, 59},
      {ASK, 1, 0, true, 0, 0, 59}}},
    {"what is given back to a window that has ended stays there",
     {.algorithm = QUOTA_FIXED, TEN_A_MINUTE},
     {{ASK, 0, 8, true, 0, 2, 60},
      {GIVE, 10, 8, .reset = 0},
      {ASK, 20, 10, true, 0, 0, 60},
      {ASK, 80, 10, true, 0, 0, 60},
      {GIVE, 81, 10, .reset = 20},
      {ASK, 81, 1, false, 59, 0, 59}}},
    {"a clock that steps back opens no window",
     {.algorithm = QUOTA_FIXED, .limit = 1, .window = 60 * SECOND},
     {{ASK, 1000, 1, true, 0, 0, 60}, {ASK, 500, 1, false, 560, 0, 560}}},
    {"a sliding window has no edge where twice the limit gets through",
     {.algorithm = QUOTA_SLIDING, .limit = 2, .window = 16 * SECOND},
     {{ASK, 0, 1, true, 0, 1, 16.999999},
      {ASK, 15.5, 1, true, 0, 0, 16.499999},
      {ASK, 16, 1, false, 0.999999, 0, 15.999999},
      {ASK, 17, 1, true, 0, 0, 16.999999},
      {ASK, 31, 1, false, 0.999999, 0, 2.999999}}},
    {"a sliding window gets back what was taken then",
     {.algorithm = QUOTA_SLIDING, .limit = 2, .window = 16 * SECOND},
     {{ASK, 0, 1, true, 0, 1, 16.999999},
      {ASK, 5.5, 1, true, 0, 0, 16.499999},
      {GIVE, 9, 1, .reset = 5.5},
      {ASK, 9, 1, true, 0, 0, 16.999999},
      {GIVE, 30, 1, .reset = 0},
      {ASK, 25.9, 2, false, 0.099999, 1, 0.099999}}},
    {"limit_req without a burst: one, then the next when its time has come",
     {.algorithm = QUOTA_GCRA, ONE_A_SECOND},
     {{ASK, 10, 1, true, 0, 0, 1},
      {ASK, 10.5, 1, false, 0.5, 0, 0.5},
      {ASK, 10.999999, 1, false, 0.000001, 0, 0.000001},
      {ASK, 11, 1, true, 0, 0, 1},
      {ASK, 11, 2, false, -1, 0, 1}}},
    {"limit_req burst=2 nodelay: three at once",
     {.algorithm = QUOTA_GCRA, ONE_A_SECOND, .burst = 2},
     {{ASK, 10, 1, true, 0, 2, 1},
      {ASK, 10, 1, true, 0, 1, 2},
      {ASK, 10, 1, true, 0, 0, 3},
      {ASK, 10, 1, false, 1, 0, 3},
      {ASK, 11, 1, true, 0, 0, 3},
      {ASK, 14, 3, true, 0, 0, 3},
      {ASK, 14, 2, false, 2, 0, 3}}},
    {"limit_req burst=2: three at once, of which two wait",
     {.algorithm = QUOTA_GCRA, ONE_A_SECOND, .burst = 2, .delay = 60 * SECOND},
     {{ASK, 10, 1, true, 0, 2, 1},
      {ASK, 10, 1, true, 1, 1, 2},
      {ASK, 10.25, 1, true, 1.75, 0, 2.75},
      {ASK, 10.25, 1, false, 0.75, 0, 2.75}}},
    {"a delay shorter than the burst is what one waits",
     {.algorithm = QUOTA_GCRA, ONE_A_SECOND, .burst = 5, .delay = 1500000},
     {{ASK, 10, 1, true, 0, 1, 0.5}, {ASK, 10, 1, true, 1, 0, 1.5}, {ASK, 10, 1, false, 0.5, 0, 1.5}}},
    {"a third of a second is exact",
     {.algorithm = QUOTA_GCRA, .limit = 3, .window = SECOND},
     {{ASK, 0, 1, true, 0, 0, 0.333334},
      {ASK, 0.333333, 1, false, 0.000001, 0, 0.000001},
      {ASK, 0.333334, 1, true, 0, 0, 0.333334}}},
    {"what is given back is not more than is ahead",
     {.algorithm = QUOTA_GCRA, ONE_A_SECOND, .burst = 2},
     {{ASK, 10, 3, true, 0, 0, 3},
      {GIVE, 11, 1, .reset = 10},
      {ASK, 11, 0, true, 0, 2, 1},
      {GIVE, 11.5, 2, .reset = 10},
      {ASK, 11.5, 3, true, 0, 0, 3},
      {GIVE, 20, 3, .reset = 11.5},
      {ASK, 20, 4, false, -1, 3, 0}}},
    {"a limit of 0 is for nobody",
     {.algorithm = QUOTA_GCRA, .limit = 0, .window = SECOND, .burst = 5},
     {{ASK, 10, 0, false, -1, 0, 0}, {ASK, 11, 1, false, -1, 0, 0}}},
    {"bans double up to the most, and begin anew when as long has passed in peace",
     {.algorithm = QUOTA_FIXED, .limit = 1, .window = SECOND, .ban = 10 * SECOND, .ban_most = 30 * SECOND},
     {{ASK, 0, 2, false, -1, 1, 0}, /* banned to 10 */
      {ASK, 5, 1, false, 5, 0, 5},
      {ASK, 10, 2, false, -1, 1, 0}, /* to 30 */
      {ASK, 11, 0, false, 19, 0, 19},
      {ASK, 49.9, 2, false, -1, 1, 0}, /* to 79.9 */
      {ASK, 79.8, 1, false, 0.1, 0, 0.1},
      {ASK, 79.9, 1, true, 0, 0, 1},
      {ASK, 109.9, 2, false, -1, 1, 0}, /* to 119.9 */
      {ASK, 119, 1, false, 0.9, 0, 0.9},
      {ASK, 119.9, 1, true, 0, 0, 1}}},
    {"without a greater most no ban doubles",
     {.algorithm = QUOTA_FIXED, .limit = 1, .window = SECOND, .ban = 10 * SECOND, .ban_most = SECOND},
     {{ASK, 0, 2, false, -1, 1, 0},
      {ASK, 10, 2, false, -1, 1, 0},
      {ASK, 15, 1, false, 5, 0, 5},
      {ASK, 20, 1, true, 0, 0, 1}}},
};

static uint64_t microseconds(double seconds)
{
    return seconds < 0 ? UINT64_MAX : (uint64_t)(seconds * 1e6 + 0.5);
}

static void follow(const struct story *story, const struct step *step, struct quota_state *state)
{
    uint64_t now = microseconds(step->at);
    if (step->kind == GIVE) {
        quota_give_back(&story->quota, state, microseconds(step->reset), now, step->cost);
        return;
    }
    struct quota_answer answer = quota_judge(&story->quota, state, now, step->cost);
    ck_assert_msg(answer.admitted == step->admitted &&
                      (answer.admitted ? answer.wait : answer.retry) == microseconds(step->wait_or_retry) &&
                      answer.remaining == step->remaining && answer.reset == microseconds(step->reset),
                  "%s: at %g, cost %" PRIu64 ": %s, waits %" PRIu64 ", retry %" PRIu64 ", %" PRIu64
                  " remain, reset %" PRIu64,
                  story->what, step->at, step->cost, answer.admitted ? "admitted" : "refused", answer.wait,
                  answer.retry, answer.remaining, answer.reset);
    if (answer.admitted)
        quota_take(&story->quota, state, now, step->cost);
    else
        quota_refuse(&story->quota, state, now);
}

START_TEST(stories_end_as_people_expect)
{
    struct quota_state state = {0};
    for (const struct step *step = stories[_i].steps; step->kind != END; step++)
        follow(&stories[_i], step, &state);
}
END_TEST

START_TEST(a_rule_without_a_ban_knows_of_none)
{
    struct quota quota = {.algorithm = QUOTA_FIXED, .limit = 1, .window = SECOND, .ban = SECOND};
    struct quota_state state = {0};
    ck_assert(quota_refuse(&quota, &state, 5));
    ck_assert(!quota_judge(&quota, &state, 5, 1).admitted);
    quota.ban = 0;
    ck_assert(quota_judge(&quota, &state, 5, 1).admitted);
    ck_assert(!quota_refuse(&quota, &state, 5));
    ck_assert_uint_eq(quota_expiry(&quota, &state), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quota");
    TCase *tests = tcase_create("quota");
    tcase_add_loop_test(tests, stories_end_as_people_expect, 0, (int)(sizeof stories / sizeof *stories));
    tcase_add_test(tests, a_rule_without_a_ban_knows_of_none);
    tcase_add_loop_test(tests, sequences_are_as_in_the_model, QUOTA_FIXED, QUOTA_GCRA + 1);
    tcase_add_loop_test(tests, any_bytes_are_refused_or_counted_with, QUOTA_FIXED, QUOTA_GCRA + 1);
    tcase_add_loop_test(tests, bytes_that_are_not_ours_are_refused, 0,
                        (int)(sizeof not_ours / sizeof *not_ours));
    tcase_add_test(tests, bytes_stay_the_same_over_versions);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
