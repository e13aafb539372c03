/*
 * Tests of counters in Redis, against servers of their own: the script gives
 * the same answers as store/quota.c, whoever asks and whatever the clock does;
 * and each way in which a server can fail is an error in time, and mends itself.
 */
#include "config.h"

#include <check.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "redis_server.h"
#include "store/counters_redis.h"
#include "store/redis.h"

static struct arena *arena;
static struct error error;
static struct redis_server server, second;
static void *state;

static void begin(void)
{
    arena = arena_new();
    error = (struct error){0};
    state = NULL;
}

static void end(void)
{
    if (state)
        counters_redis.close(state);
    redis_server_end(&second);
    redis_server_end(&server);
    arena_free(arena);
}

static void *open_at(const char *url, uint64_t rows)
{
    const struct counters_rules rules = {.place = url, .timeout = 1000, .rows = rows};
    void *opened = counters_redis.open(&rules, &error);
    ck_assert_msg(opened && counters_redis.connect(opened, &error), "%s", error.message);
    return opened;
}

static void start(void)
{
    redis_server_start(&server, NULL);
    state = open_at(server.url, 1000000);
}

static void set_draw(struct job *job, size_t place, const char *key, const struct quota *quota, uint64_t cost)
{
    job->draws[place] = (struct draw){text_of(key), quota, cost};
    job->numbers[place] = counter_number(text_of(key), quota->algorithm);
    if (job->count <= place)
        job->count = place + 1;
}

static bool run_at(struct job *job, uint64_t time)
{
    struct job *const jobs[] = {job};
    error = (struct error){0};
    return counters_redis_run(state, jobs, 1, time, &error);
}

/* Takes one unit; it must be possible to say. */
static bool take(const char *key, const struct quota *quota, uint64_t cost, uint64_t time)
{
    struct job job = {.kind = JOB_TAKE};
    set_draw(&job, 0, key, quota, cost);
    ck_assert_msg(run_at(&job, time), "%s", error.message);
    return job.taken.admitted;
}

static redisReply *ask_server(const char *url, const struct text words[], size_t count)
{
    struct error own = {0};
    struct redis *redis = redis_new(url, NULL, 1000, &own);
    redisReply *reply = redis_call(redis, words, count, &own);
    ck_assert_msg(reply != NULL, "%s", own.message);
    redis_free(redis);
    return reply;
}

static long long ask_number(const char *one, const char *two)
{
    const struct text words[] = {text_of(one), text_of(two)};
    redisReply *reply = ask_server(server.url, words, two ? 2 : 1);
    long long number = reply->integer;
    freeReplyObject(reply);
    return number;
}

/* ---- beside quota.c */

static uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);

static uint64_t any(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

/* Numbers of all sizes, not large ones alone. */
static uint64_t any_size(uint64_t most)
{
    uint64_t number = any(most) >> any(40);
    return number > most ? most : number;
}

static struct quota any_quota(enum quota_algorithm algorithm)
{
    static const uint64_t windows[] = {1, 7, 1000, 1000000, 60000000, UINT64_C(3600000000), QUOTA_TIME_MOST};
    struct quota quota = {.algorithm = algorithm};
    struct error ignored;
    do {
        quota.limit = any(20) == 0 ? 0 : any(3) == 0 ? any_size(QUOTA_LIMIT_MOST) : 1 + any(20);
        quota.window = any(2) ? windows[any(7)] : 1 + any_size(QUOTA_TIME_MOST - 1);
        quota.burst = algorithm != QUOTA_GCRA || any(4) == 0 ? 0
                      : any(3)                               ? any(20)
                                                             : any_size(QUOTA_LIMIT_MOST);
        quota.delay = algorithm != QUOTA_GCRA || any(2) == 0 ? 0 : any_size(QUOTA_TIME_MOST);
        quota.ban =
            any(3) ? 0 : 1 + any_size(2 * quota.window < QUOTA_TIME_MOST ? 2 * quota.window : quota.window);
        quota.ban_most = any(2) ? 0 : any_size(QUOTA_TIME_MOST);
        ignored = (struct error){0};
    } while (!counters_redis_fits(&quota, &ignored));
    return quota;
}

static void assert_same(const struct quota *quota, const struct quota_answer *here,
                        const struct quota_answer *there)
{
    const char *is =
        arena_printf(arena, "%d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, there->admitted,
                     there->banned, there->wait, there->remaining, there->reset, there->retry);
    const char *should =
        arena_printf(arena, "%d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, here->admitted,
                     here->banned, here->wait, here->remaining, here->reset, here->retry);
    ck_assert_msg(strcmp(is, should) == 0,
                  "%s in place of %s; algorithm %d limit %" PRIu64 " window %" PRIu64 " burst %" PRIu64
                  " delay %" PRIu64 " ban %" PRIu64 " to %" PRIu64,
                  is, should, quota->algorithm, quota->limit, quota->window, quota->burst, quota->delay,
                  quota->ban, quota->ban_most);
}

enum { MODEL_KEYS = 64, MODEL_JOBS = 128, MODEL_ROUNDS = 1000, MODEL_RENEWAL = 50, TAKEN_KEPT = 8 };

struct model {
    struct quota quotas[MODEL_KEYS];
    char keys[MODEL_KEYS][32];
    struct quota_state states[MODEL_KEYS];
    uint64_t now, taken[TAKEN_KEPT];
};

static void model_job(struct model *model, struct job *job)
{
    memset(job, 0, sizeof *job);
    job->kind = any(4) ? JOB_TAKE : any(2) ? JOB_GIVE_BACK : JOB_RENEW;
    job->time = job->kind == JOB_TAKE ? 0 : model->taken[any(TAKEN_KEPT)];
    size_t first = any(MODEL_KEYS), count = any(3) ? 1 : 1 + any(DRAWS_LIMIT);
    for (size_t i = 0; i < count; i++) {
        size_t which = (first + i) % MODEL_KEYS;
        const struct quota *quota = &model->quotas[which];
        uint64_t most = quota->limit > 3 && quota->limit < QUOTA_COST_MOST ? quota->limit / 3 : 3;
        uint64_t cost = any(10) == 0 ? 0 : any(30) == 0 ? any_size(QUOTA_COST_MOST) : 1 + any(most);
        if (job->kind == JOB_RENEW && cost > most)
            cost = 1; /* so that no sum leaves what is exact, which nobody has admitted */
        set_draw(job, i, model->keys[which], quota, cost);
    }
}

/* What the backends in memory and in SQLite do. */
static void model_run(struct model *model, const struct job *job, struct taken *taken)
{
    bool admitted = true;
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        struct quota_state *one = &model->states[draw->quota - model->quotas];
        if (job->kind != JOB_TAKE) {
            quota_give_back(draw->quota, one, job->time, model->now, draw->cost);
            if (job->kind == JOB_RENEW)
                quota_take(draw->quota, one, model->now, draw->cost);
            continue;
        }
        taken->answers[i] = quota_judge(draw->quota, one, model->now, draw->cost);
        admitted = admitted && taken->answers[i].admitted;
        if (!taken->answers[i].admitted && quota_refuse(draw->quota, one, model->now))
            taken->answers[i] = quota_judge(draw->quota, one, model->now, draw->cost);
    }
    taken->admitted = admitted;
    for (size_t i = 0; job->kind == JOB_TAKE && admitted && i < job->count; i++)
        quota_take(job->draws[i].quota, &model->states[job->draws[i].quota - model->quotas], model->now,
                   job->draws[i].cost);
}

static void renew_model(struct model *model, enum quota_algorithm algorithm, int round)
{
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        model->quotas[i] = any_quota(algorithm);
        snprintf(model->keys[i], sizeof model->keys[i], "limit %d %zu", round, i);
        model->states[i] = (struct quota_state){0};
    }
}

static void move_clock(struct model *model)
{
    uint64_t window = model->quotas[any(MODEL_KEYS)].window;
    uint64_t step = any(4) == 0 ? 0 : any(2) ? any(window / 16 + 1) : any(3 * window + 1);
    model->now += step < UINT64_C(1000000000000) ? step : any(UINT64_C(1000000000000));
    model->taken[any(TAKEN_KEPT)] = model->now;
}

START_TEST(the_script_reckons_as_we_do)
{
    static struct job jobs[MODEL_JOBS];
    struct job *pointers[MODEL_JOBS];
    struct model model = {.now = UINT64_C(1764000000000000)};
    size_t admitted = 0, refused = 0, draws = 0;
    start();
    for (int round = 0; round < MODEL_ROUNDS; round++) {
        if (round % MODEL_RENEWAL == 0)
            renew_model(&model, (enum quota_algorithm)_i, round);
        move_clock(&model);
        for (size_t i = 0; i < MODEL_JOBS; i++) {
            model_job(&model, &jobs[i]);
            pointers[i] = &jobs[i];
        }
        ck_assert_msg(counters_redis_run(state, pointers, MODEL_JOBS, model.now, &error), "%s",
                      error.message);
        for (size_t i = 0; i < MODEL_JOBS; i++) {
            struct taken expected = {0};
            ck_assert_uint_eq(jobs[i].taken.time, model.now);
            model_run(&model, &jobs[i], &expected);
            for (size_t j = 0; jobs[i].kind == JOB_TAKE && j < jobs[i].count; j++, draws++)
                assert_same(jobs[i].draws[j].quota, &expected.answers[j], &jobs[i].taken.answers[j]);
            if (jobs[i].kind == JOB_TAKE) {
                ck_assert_int_eq(jobs[i].taken.admitted, expected.admitted);
                admitted += expected.admitted;
                refused += !expected.admitted;
            }
        }
    }
    ck_assert_uint_gt(admitted, MODEL_ROUNDS * MODEL_JOBS / 20); /* it has not tested one of them alone */
    ck_assert_uint_gt(refused, MODEL_ROUNDS * MODEL_JOBS / 20);
}
END_TEST

/* What could not be exact is refused, and what is just below is exact. */
START_TEST(rules_that_cannot_be_exact_are_refused)
{
    const struct quota day = {QUOTA_GCRA, 1, UINT64_C(86400000000), 26062, 0, 0, 0};
    struct quota longer = day, many = {QUOTA_GCRA, 1000000000, 1, 1000000000, 0, 0, 0};
    const struct quota delay = {QUOTA_GCRA, QUOTA_LIMIT_MOST, 1, 0, QUOTA_TIME_MOST, 0, 0};
    longer.burst++;
    start();
    ck_assert(counters_redis_fits(&day, &error));
    ck_assert(counters_redis_fits(&many, &error));
    ck_assert(!counters_redis_fits(&longer, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "71 years"));
    ck_assert(!counters_redis_fits(&delay, &error));
    struct job job = {.kind = JOB_TAKE};
    set_draw(&job, 0, "k", &longer, 1);
    ck_assert(!run_at(&job, 0));
    ck_assert_ptr_nonnull(strstr(error.message, "71 years"));
    struct quota_state mine = {0};
    const uint64_t now = UINT64_C(1764000000000000);
    for (int i = 0; i < 2; i++) {
        const struct quota *quota = i ? &many : &day;
        const char *key = i ? "many" : "day";
        mine = (struct quota_state){0};
        for (uint64_t cost = i ? 999983 : 5003; cost > 0; cost /= i ? 1 : 7) {
            job = (struct job){.kind = JOB_TAKE};
            set_draw(&job, 0, key, quota, cost);
            struct quota_answer answer = quota_judge(quota, &mine, now, cost);
            if (answer.admitted)
                quota_take(quota, &mine, now, cost);
            ck_assert_msg(run_at(&job, now), "%s", error.message);
            assert_same(quota, &answer, &job.taken.answers[0]);
            if (!answer.admitted)
                break;
        }
    }
}
END_TEST

/* Here delays are a whole number of units, and 1/limit microseconds more or less: a division of
 * doubles takes one for the other. */
START_TEST(units_are_counted_exactly)
{
    static const struct quota quotas[] = {
        {QUOTA_GCRA, 999999937, UINT64_C(31622399999999), 0, UINT64_C(19482584382551), 0, 0},
        {QUOTA_GCRA, 999999937, UINT64_C(31622399999999), 0, UINT64_C(31622399999999), 0, 0},
        {QUOTA_GCRA, 999999937, UINT64_C(31622399999999), 0, UINT64_C(12139815617448), 0, 0},
        {QUOTA_GCRA, 999999929, UINT64_C(31536000000001), 0, UINT64_C(19238484365517), 0, 0},
        {QUOTA_GCRA, 999999929, UINT64_C(31536000000001), 0, UINT64_C(31536000000001), 0, 0},
        {QUOTA_GCRA, 999999929, UINT64_C(31536000000001), 0, UINT64_C(12297515634484), 0, 0},
        {QUOTA_GCRA, 7919, UINT64_C(31622399999987), 0, UINT64_C(25588627250905), 0, 0},
        {QUOTA_GCRA, 7919, UINT64_C(31622399999987), 0, UINT64_C(31622399999987), 0, 0},
        {QUOTA_GCRA, 7919, UINT64_C(31622399999987), 0, UINT64_C(6033772749082), 0, 0},
        {QUOTA_GCRA, 1000000000, UINT64_C(31622399999999), 0, UINT64_C(18973439968377), 0, 0},
        {QUOTA_GCRA, 1000000000, UINT64_C(31622399999999), 0, UINT64_C(31622399999999), 0, 0},
        {QUOTA_GCRA, 1000000000, UINT64_C(31622399999999), 0, UINT64_C(12648960031622), 0, 0},
        {QUOTA_GCRA, 65537, UINT64_C(86400000001), 0, UINT64_C(76724708181), 0, 0},
        {QUOTA_GCRA, 65537, UINT64_C(86400000001), 0, UINT64_C(86400000001), 0, 0},
        {QUOTA_GCRA, 65537, UINT64_C(86400000001), 0, UINT64_C(9675291820), 0, 0},
        {QUOTA_GCRA, 982830239, UINT64_C(31000000000003), 0, UINT64_C(19424863505855), 0, 0},
        {QUOTA_GCRA, 982830239, UINT64_C(31000000000003), 0, UINT64_C(31000000000003), 0, 0},
        {QUOTA_GCRA, 982830239, UINT64_C(31000000000003), 0, UINT64_C(11575136494148), 0, 0},
    };
    static const uint64_t costs[] = {1, 1, 999983, 32768, 32767, 65535, 999999, 3};
    const uint64_t now = UINT64_C(1764000000000000);
    start();
    for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++) {
        struct quota_state mine = {0};
        for (size_t j = 0; j < 40; j++) {
            const uint64_t cost = costs[j % 8], time = now + 10000 * i + j * j;
            struct job job = {.kind = JOB_TAKE};
            set_draw(&job, 0, arena_printf(arena, "rule %zu", i), &quotas[i], cost);
            struct quota_answer answer = quota_judge(&quotas[i], &mine, time, cost);
            if (answer.admitted)
                quota_take(&quotas[i], &mine, time, cost);
            ck_assert_msg(run_at(&job, time), "%s", error.message);
            assert_same(&quotas[i], &answer, &job.taken.answers[0]);
        }
    }
}
END_TEST

/* ---- time */

static const struct quota ten = {QUOTA_FIXED, 10, 3600 * UINT64_C(1000000), 0, 0, 0, 0};

static uint64_t time_said(uint64_t forced)
{
    struct job job = {.kind = JOB_TAKE};
    set_draw(&job, 0, "clock", &ten, 0);
    ck_assert_msg(run_at(&job, forced), "%s", error.message);
    return job.taken.time;
}

START_TEST(a_clock_that_is_set_back_waits_or_goes_on)
{
    const uint64_t now = UINT64_C(1764000000000000), minute = 60000000;
    start();
    ck_assert_uint_eq(time_said(now), now);
    ck_assert_uint_eq(time_said(now + 5), now + 5);
    ck_assert_uint_eq(time_said(now - 1000000), now + 5); /* never back */
    ck_assert_uint_eq(time_said(now + 5 - minute), now + 5);
    ck_assert_uint_eq(time_said(now + 4), now + 5);
    ck_assert_uint_eq(time_said(now + 6), now + 6);
    ck_assert_uint_eq(time_said(now + 5 - minute), now + 6); /* nor still for long */
    ck_assert_uint_eq(time_said(now + 5 - minute + 7), now + 13);
    ck_assert_uint_eq(time_said(now - minute), now + 13);
}
END_TEST

START_TEST(the_servers_time_is_told)
{
    start();
    uint64_t before = (uint64_t)clock_wall_milliseconds() * 1000, said = time_said(0);
    ck_assert_uint_ge(said + 1000, before);
    ck_assert_uint_le(said, ((uint64_t)clock_wall_milliseconds() + 1) * 1000);
}
END_TEST

START_TEST(a_clock_that_is_none_is_an_error)
{
    const struct text words[] = {TEXT("SET"), TEXT("fcgiguard:{limits}:clock"), TEXT("soon")};
    struct job job = {.kind = JOB_TAKE};
    start();
    freeReplyObject(ask_server(server.url, words, 3));
    set_draw(&job, 0, "k", &ten, 1);
    ck_assert(!run_at(&job, 0));
    ck_assert_msg(strstr(error.message, "somebody else has written") != NULL, "%s", error.message);
}
END_TEST

/* ---- what is kept */

START_TEST(a_job_is_all_or_nothing)
{
    static const struct quota three = {QUOTA_FIXED, 3, 3600 * UINT64_C(1000000), 0, 0, 0, 0};
    struct job job = {.kind = JOB_TAKE};
    start();
    set_draw(&job, 0, "a", &ten, 1);
    set_draw(&job, 1, "b", &three, 1);
    for (int i = 0; i < 6; i++) {
        ck_assert(run_at(&job, 0));
        ck_assert_int_eq(job.taken.admitted, i < 3);
        ck_assert(job.taken.answers[0].admitted);
    }
    for (int i = 0; i < 8; i++)
        ck_assert_int_eq(take("a", &ten, 1, 0), i < 7);
}
END_TEST

START_TEST(counters_expire_by_themselves)
{
    static const struct quota soon = {QUOTA_FIXED, 2, 2000000, 0, 0, 0, 0};
    start();
    ck_assert(take("a", &soon, 2, 0));
    ck_assert(!take("a", &soon, 1, 0));
    ck_assert_int_eq(ask_number("DBSIZE", NULL), 2); /* and the clock */
    usleep(2100000);
    ck_assert(take("a", &soon, 1, 0));
    for (int i = 0; i < 1500 && ask_number("DBSIZE", NULL) > 1; i++)
        usleep(20000);
    ck_assert_int_eq(ask_number("DBSIZE", NULL), 1);
    static const struct quota sliding = {QUOTA_SLIDING, 10, 3600 * UINT64_C(1000000), 0, 0, 0, 0};
    struct job job = {.kind = JOB_TAKE};
    set_draw(&job, 0, "b", &sliding, 3);
    ck_assert(run_at(&job, 0));
    job.kind = JOB_GIVE_BACK;
    job.time = job.taken.time;
    ck_assert(run_at(&job, 0));
    ck_assert_int_eq(ask_number("DBSIZE", NULL), 1); /* nothing is kept of nothing */
}
END_TEST

START_TEST(new_keys_share_a_counter_when_there_are_too_many)
{
    redis_server_start(&server, NULL);
    state = open_at(server.url, 4);
    ck_assert(take("login a", &ten, 9, 0));
    ck_assert(take("login b", &ten, 9, 0));
    ck_assert(take("login c", &ten, 9, 0));
    ck_assert(take("login d", &ten, 9, 0)); /* with the clock there are four: this and the next share */
    ck_assert(take("login e", &ten, 1, 0));
    ck_assert(!take("login f", &ten, 1, 0));
    ck_assert(!take("login d", &ten, 1, 0));
    ck_assert(take("login a", &ten, 1, 0)); /* and nobody is pushed out */
    ck_assert(!take("login a", &ten, 1, 0));
    ck_assert(take("other f", &ten, 1, 0));
    ck_assert_int_eq(ask_number("DBSIZE", NULL), 6);
    ck_assert_int_eq(counters_redis.reset(state, TEXT("login *"), &error), 1);
    struct job both = {.kind = JOB_TAKE};
    set_draw(&both, 0, "login y", &ten, 3);
    set_draw(&both, 1, "login z", &ten, 3);
    ck_assert(run_at(&both, 0) && both.taken.admitted);
    ck_assert(!take("login d", &ten, 5, 0)); /* both were taken from the one that they share */
    ck_assert(take("login d", &ten, 4, 0));
}
END_TEST

struct listed {
    size_t count, stop_at;
    uint64_t units;
    bool found;
};

static bool note(void *context, const struct counter *counter)
{
    struct listed *listed = context;
    listed->count++;
    listed->units += counter->state.part + counter->state.segments[0];
    listed->found = listed->found || text_equal(counter->key, TEXT("limit 7"));
    ck_assert_uint_gt(counter->expires, counter->now);
    ck_assert_uint_le(counter->expires, counter->now + 2 * ten.window);
    return listed->count != listed->stop_at;
}

START_TEST(counters_are_listed_and_forgotten)
{
    static const struct quota sliding = {QUOTA_SLIDING, 10, 3600 * UINT64_C(1000000), 0, 0, 0, 0};
    const struct text words[] = {TEXT("SET"), TEXT("another"), TEXT("x")};
    struct listed listed = {0};
    start();
    for (int i = 0; i < 2500; i++)
        take(arena_printf(arena, "limit %d", i), &ten, 2, 0);
    take("limit 7", &sliding, 5, 0);
    freeReplyObject(ask_server(server.url, words, 3));
    ck_assert_msg(counters_redis.list(state, TEXT(""), note, &listed, &error), "%s", error.message);
    ck_assert_uint_eq(listed.count, 2501);
    ck_assert_uint_eq(listed.units, 5005);
    ck_assert(listed.found);
    listed = (struct listed){0};
    ck_assert(counters_redis.list(state, TEXT("limit 7"), note, &listed, &error));
    ck_assert_uint_eq(listed.count, 2);
    ck_assert_uint_eq(listed.units, 7);
    listed = (struct listed){.stop_at = 3};
    ck_assert(counters_redis.list(state, TEXT(""), note, &listed, &error));
    ck_assert_uint_eq(listed.count, 3);
    listed = (struct listed){0};
    ck_assert(counters_redis.list(state, TEXT("nobody"), note, &listed, &error));
    ck_assert_uint_eq(listed.count, 0);
    ck_assert_int_eq(counters_redis.reset(state, TEXT("limit 7"), &error), 2);
    ck_assert_int_eq(counters_redis.reset(state, TEXT("limit 7"), &error), 0);
    ck_assert_int_eq(counters_redis.reset(state, TEXT(""), &error), 0);
    ck_assert(take("limit 7", &ten, 10, 0));
}
END_TEST

static const char *const foreign[] = {"",
                                      "x",
                                      "f",
                                      "f 1 2 3 4\nk",
                                      "f 1 2 3 4 5",
                                      "s 1 2 3 4 5\nk",
                                      "g 1 2 3 4 5\nk",
                                      "f 1 2 3 4 5 6\nk",
                                      "f 1 -2 3 4 5\nk",
                                      "f 1 2\n 3 4 5"};

START_TEST(what_somebody_else_has_written_is_an_error)
{
    struct job job = {.kind = JOB_TAKE};
    struct listed listed = {0};
    start();
    set_draw(&job, 0, "k", &ten, 1);
    const struct text words[] = {
        TEXT("SET"), text_of(arena_printf(arena, "fcgiguard:{limits}:%016" PRIx64, (uint64_t)job.numbers[0])),
        text_of(foreign[_i])};
    freeReplyObject(ask_server(server.url, words, 3));
    ck_assert(!run_at(&job, 0));
    ck_assert_msg(strstr(error.message, "somebody else has written") != NULL, "%s", error.message);
    error = (struct error){0};
    bool good = counters_redis.list(state, TEXT("k"), note, &listed, &error);
    ck_assert(listed.count == 0 && (!good || foreign[_i][0] == 'g'));
    ck_assert_int_eq(counters_redis.reset(state, TEXT("k"), &error), 1);
    ck_assert(take("k", &ten, 1, 0));
}
END_TEST

/* ---- many */

enum { PROCESSES = 4, THREADS = 4, ATTEMPTS = 200, LIMIT = 1000 };
static const struct quota thousand = {QUOTA_FIXED, LIMIT, 3600 * UINT64_C(1000000), 0, 0, 0, 0};

struct taker {
    struct counters *counters;
    size_t admitted, failed;
};

static void *take_many(void *context)
{
    struct taker *taker = context;
    struct draw draw = {TEXT("hot key"), &thousand, 1};
    for (int i = 0; i < ATTEMPTS; i++) {
        struct taken taken;
        struct error own = {0};
        if (counters_take(taker->counters, &draw, 1, &taken, &own))
            taker->admitted += taken.admitted;
        else
            taker->failed++;
    }
    return NULL;
}

static int take_in_threads(const char *url, int report)
{
    struct error own = {0};
    const struct counters_rules rules = {.place = url, .timeout = 5000, .rows = 1000};
    struct counters *counters = counters_open(&rules, &own);
    struct taker takers[THREADS];
    pthread_t threads[THREADS];
    size_t sums[2] = {0};
    if (!counters || !counters_start(counters, &own))
        return 1;
    for (int i = 0; i < THREADS; i++) {
        takers[i] = (struct taker){.counters = counters};
        if (pthread_create(&threads[i], NULL, take_many, &takers[i]) != 0)
            return 2;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sums[0] += takers[i].admitted;
        sums[1] += takers[i].failed;
    }
    counters_close(counters);
    return write(report, sums, sizeof sums) == sizeof sums ? 0 : 3;
}

START_TEST(many_processes_and_threads_get_the_limit_and_no_more)
{
    int report[2];
    size_t sums[2], admitted = 0, failed = 0;
    redis_server_start(&server, NULL);
    ck_assert_int_eq(pipe(report), 0);
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0)
            _exit(take_in_threads(server.url, report[1]));
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        ck_assert_int_gt(wait(&status), 0);
        ck_assert_int_eq(read(report[0], sums, sizeof sums), sizeof sums);
        admitted += sums[0];
        failed += sums[1];
    }
    ck_assert_uint_eq(failed, 0);
    ck_assert_uint_eq(admitted, LIMIT);
}
END_TEST

/* Two servers in turn, the clock of one a minute behind: the window is the same for both. */
START_TEST(two_clocks_are_one)
{
    const uint64_t now = UINT64_C(1764000000000000), behind = 60000000;
    size_t admitted = 0;
    start();
    for (int i = 0; i < 40; i++)
        admitted += take("k", &ten, 1, i % 2 ? now : now - behind);
    ck_assert_uint_eq(admitted, 10);
}
END_TEST

/* ---- failures */

static bool try_take(uint64_t *took)
{
    struct job job = {.kind = JOB_TAKE};
    uint64_t before = clock_milliseconds();
    set_draw(&job, 0, "k", &ten, 1);
    bool good = run_at(&job, 0);
    *took = clock_milliseconds() - before;
    ck_assert_msg(*took < 20000, "it took %lu ms", (unsigned long)*took);
    return good;
}

START_TEST(a_server_that_is_killed_comes_back)
{
    uint64_t took;
    start();
    ck_assert(try_take(&took));
    redis_server_kill(&server);
    ck_assert(!try_take(&took));
    ck_assert(!counters_redis.connect(state, &error));
    redis_server_start(&server, NULL);
    error = (struct error){0};
    ck_assert(counters_redis.connect(state, &error));
    ck_assert(try_take(&took)); /* the script is not there any more */
}
END_TEST

START_TEST(a_server_that_is_paused_comes_back)
{
    uint64_t took;
    start();
    ck_assert(try_take(&took));
    kill(server.process, SIGSTOP);
    ck_assert(!try_take(&took));
    ck_assert(strstr(error.message, "did not answer in time"));
    error = (struct error){0};
    ck_assert(!counters_redis.connect(state, &error));
    kill(server.process, SIGCONT);
    error = (struct error){0};
    ck_assert(counters_redis.connect(state, &error));
    ck_assert(try_take(&took));
}
END_TEST

/* A replica takes the master's place: with its counters, and without our script. */
START_TEST(a_replica_takes_over)
{
    uint64_t took;
    const char *port = arena_printf(arena, "%d", redis_server_port());
    redis_server_start(&server, (const char *const[]){"--port", port, "--bind", "127.0.0.1", NULL});
    redis_server_start(&second, (const char *const[]){"--replicaof", "127.0.0.1", port,
                                                      "--repl-diskless-sync-delay", "0", NULL});
    state = open_at(server.url, 1000);
    for (int i = 0; i < 9; i++)
        ck_assert(try_take(&took));
    const struct text size[] = {TEXT("DBSIZE")};
    for (int i = 0; i < 500; i++) {
        redisReply *reply = ask_server(second.url, size, 1);
        long long keys = reply->integer;
        freeReplyObject(reply);
        if (keys == 2)
            break;
        usleep(20000);
    }
    const struct text wait[] = {TEXT("WAIT"), TEXT("1"), TEXT("900")};
    freeReplyObject(ask_server(server.url, wait, 3));
    counters_redis.close(state);
    state = open_at(second.url, 1000);
    ck_assert(!try_take(&took));
    ck_assert_msg(strstr(error.message, "a replica, which can only be read") != NULL, "%s", error.message);
    redis_server_kill(&server);
    const struct text promote[] = {TEXT("REPLICAOF"), TEXT("NO"), TEXT("ONE")};
    freeReplyObject(ask_server(second.url, promote, 3));
    error = (struct error){0};
    ck_assert(counters_redis.connect(state, &error));
    ck_assert(try_take(&took));
    ck_assert(try_take(&took));
    ck_assert(!take("k", &ten, 1, 0));
}
END_TEST

START_TEST(few_rights_are_enough)
{
    struct listed listed = {0};
    redis_server_start(&server, redis_server_strict);
    state = open_at(server.url, 3);
    for (int i = 0; i < 5; i++)
        ck_assert(take(arena_printf(arena, "limit %d", i), &ten, 2, 0));
    ck_assert_msg(counters_redis.list(state, TEXT(""), note, &listed, &error), "%s", error.message);
    ck_assert_uint_eq(listed.count, 3); /* the last three share one */
    ck_assert_int_eq(counters_redis.reset(state, TEXT("limit 0"), &error), 1);
}
END_TEST

START_TEST(a_server_that_is_not_there_may_come)
{
    const struct counters_rules rules = {.place = "redis+unix:///nowhere/s", .timeout = 1000, .rows = 10};
    const struct counters_rules wrong = {.place = "redis://h:x", .timeout = 1000, .rows = 10};
    state = counters_redis.open(&rules, &error);
    ck_assert_ptr_nonnull(state);
    ck_assert(!counters_redis.connect(state, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "cannot connect"));
    error = (struct error){0};
    ck_assert_ptr_null(counters_redis.open(&wrong, &error));
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("counters_redis");
    TCase *tests = tcase_create("counters_redis");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, the_script_reckons_as_we_do, QUOTA_FIXED, QUOTA_GCRA + 1);
    tcase_add_test(tests, rules_that_cannot_be_exact_are_refused);
    tcase_add_test(tests, units_are_counted_exactly);
    tcase_add_test(tests, a_clock_that_is_set_back_waits_or_goes_on);
    tcase_add_test(tests, the_servers_time_is_told);
    tcase_add_test(tests, a_clock_that_is_none_is_an_error);
    tcase_add_test(tests, a_job_is_all_or_nothing);
    tcase_add_test(tests, counters_expire_by_themselves);
    tcase_add_test(tests, new_keys_share_a_counter_when_there_are_too_many);
    tcase_add_test(tests, counters_are_listed_and_forgotten);
    tcase_add_loop_test(tests, what_somebody_else_has_written_is_an_error, 0, COUNT(foreign));
    tcase_add_test(tests, many_processes_and_threads_get_the_limit_and_no_more);
    tcase_add_test(tests, two_clocks_are_one);
    tcase_add_test(tests, a_server_that_is_killed_comes_back);
    tcase_add_test(tests, a_server_that_is_paused_comes_back);
    tcase_add_test(tests, a_replica_takes_over);
    tcase_add_test(tests, few_rights_are_enough);
    tcase_add_test(tests, a_server_that_is_not_there_may_come);
    suite_add_tcase(suite, tests);
    if (!redis_server_is_installed()) {
        fputs("check_counters_redis: redis-server is not installed\n", stderr);
        return 77; /* skipped */
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
