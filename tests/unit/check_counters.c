/*
 * Tests of the queue of counters and of the counters in memory. Behind the queue is
 * a backend that counts like the one in memory, and hangs, fails or is slow when
 * it is told: nobody may wait for it longer than the time-out, or get more than the limit.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/counters_line.h"

enum { TIMEOUT_MS = 300, THREADS = 64, SECOND = 1000000 };

/* On a busy machine: what may be late, and the time-out where none is meant. */
enum { SLACK_MS = 5000, PATIENT_MS = 30000 };

/* ---- a backend that does what it is told */

static struct backend_of_tests {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool hangs, hangs_to_connect, inside; /* under the lock */
    atomic_bool fails, fails_to_connect, is_unsure;
    _Atomic unsigned slow; /* microseconds */
    atomic_int runs, connects, tidies, closes, largest, named_gone, given_back;
    atomic_bool signals;
    _Atomic pthread_t runner; /* who has called run() last */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void hang(const bool *hangs)
{
    pthread_mutex_lock(&fake.lock);
    fake.inside = true;
    pthread_cond_broadcast(&fake.changed);
    while (*hangs)
        pthread_cond_wait(&fake.changed, &fake.lock);
    fake.inside = false;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

static void set_hanging(bool hangs)
{
    pthread_mutex_lock(&fake.lock);
    fake.hangs = hangs;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
}

/* Until run() hangs. */
static void await_hanging(void)
{
    pthread_mutex_lock(&fake.lock);
    while (!fake.inside)
        pthread_cond_wait(&fake.changed, &fake.lock);
    pthread_mutex_unlock(&fake.lock);
}

static void *fake_open(const struct counters_rules *rules, struct error *error)
{
    return counters_memory.open(rules, error);
}

static bool fake_connect(void *state, struct error *error)
{
    fake.connects++;
    hang(&fake.hangs_to_connect);
    if (fake.fails_to_connect)
        return error_set(error, "there is nobody");
    return counters_memory.connect(state, error);
}

static void look_at(const struct job *job)
{
    if (text_equal(job->draws[0].key, TEXT("gone")))
        fake.named_gone++;
    if (job->kind == JOB_GIVE_BACK)
        fake.given_back++;
}

static bool fake_run(void *state, struct job *const jobs[], size_t count, struct error *error)
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (sigismember(&blocked, SIGTERM) != 1 || sigismember(&blocked, SIGCHLD) != 1)
        fake.signals = true;
    fake.runs++;
    fake.runner = pthread_self();
    if ((int)count > fake.largest)
        fake.largest = (int)count;
    hang(&fake.hangs);
    if (fake.slow > 0)
        usleep(fake.slow);
    if (fake.fails)
        return error_set(error, "it is broken");
    for (size_t i = 0; i < count; i++)
        look_at(jobs[i]);
    return counters_memory.run(state, jobs, count, error);
}

static bool fake_was_undone(const void *state)
{
    (void)state;
    return !fake.is_unsure;
}

static bool fake_tidy(void *state, struct error *error)
{
    fake.tidies++;
    return counters_memory.tidy(state, error);
}

static void fake_close(void *state)
{
    counters_memory.close(state);
    fake.closes++;
}

static const struct counters_backend fake_backend = {
    .name = "fake",
    .open = fake_open,
    .connect = fake_connect,
    .run = fake_run,
    .was_undone = fake_was_undone,
    .tidy = fake_tidy,
    .close = fake_close,
};

static const struct counters_backend prompt_backend = {
    .name = "fake",
    .prompt = true,
    .open = fake_open,
    .connect = fake_connect,
    .run = fake_run,
    .was_undone = fake_was_undone,
    .tidy = fake_tidy,
    .close = fake_close,
};

/* ---- what all tests have */

static struct arena *arena;
static struct error error;
static struct counters *counters;
static struct taken taken;
static char log_path[] = "/tmp/check_counters.XXXXXX";

static const struct quota five = {.algorithm = QUOTA_FIXED, .limit = 5, .window = 3600ULL * SECOND};
static const struct quota two = {.algorithm = QUOTA_SLIDING, .limit = 2, .window = 3600ULL * SECOND};
static const struct quota thousand = {
    .algorithm = QUOTA_GCRA, .limit = 1, .window = 3600ULL * SECOND, .burst = 999};

static void begin(void)
{
    arena = arena_new();
    error = (struct error){0};
    counters = NULL;
    int file = mkstemp(log_path);
    ck_assert_int_ge(file, 0);
    close(file);
    ck_assert(log_open(arena_printf(arena, "file:%s", log_path), SEVERITY_DEBUG, &error));
}

static void end(void)
{
    counters_close(counters);
    unlink(log_path);
    arena_free(arena);
}

static uint64_t timeout = TIMEOUT_MS;

static void open_backend(const struct counters_backend *backend, bool thread)
{
    const struct counters_rules rules = {.place = "fake:", .timeout = timeout, .rows = 1000};
    counters = counters_open_backend(backend, &rules, &error);
    ck_assert_msg(counters != NULL, "%s", error.message);
    ck_assert_msg(!thread || counters_start(counters, &error), "%s", error.message);
}

static void open_fake(bool thread)
{
    open_backend(&fake_backend, thread);
}

static struct draw draw_of(const char *key, const struct quota *quota)
{
    return (struct draw){text_of(key), quota, 1};
}

/* Whether it was admitted; -1: it failed. */
static int take(const char *key, const struct quota *quota)
{
    const struct draw draw = draw_of(key, quota);
    error = (struct error){0};
    if (!counters_take(counters, &draw, 1, &taken, &error))
        return -1;
    return taken.admitted;
}

/* Once its thread sleeps. */
static void open_prompt(void)
{
    open_backend(&prompt_backend, true);
    do {
        usleep(1000);
        ck_assert_int_eq(take("at first", &thousand), 1);
    } while (!pthread_equal(fake.runner, pthread_self()));
    fake.runs = 0;
}

static int take_until_refused(const char *key, const struct quota *quota)
{
    int count = 0;
    while (take(key, quota) == 1)
        count++;
    return count;
}

#define ASSERT_FAILS(call, words)                                                                            \
    do {                                                                                                     \
        ck_assert_int_eq((call), -1);                                                                        \
        ck_assert_msg(error.set &&strstr(error.message, (words)), "\"%s\"", error.message);                  \
    } while (0)

static uint64_t stopwatch;

static void begin_time(void)
{
    stopwatch = clock_milliseconds();
}

#define ASSERT_TIME(least, most)                                                                             \
    do {                                                                                                     \
        uint64_t passed = clock_milliseconds() - stopwatch;                                                  \
        ck_assert_uint_ge(passed, (uint64_t)(least));                                                        \
        ck_assert_uint_le(passed, (uint64_t)(most) + SLACK_MS);                                              \
    } while (0)

/* Of a store that fails: at first, and after 100, 300, 700 ms and so on. */
static int most_connects(void)
{
    int count = 2;
    uint64_t passed = clock_milliseconds() - stopwatch;
    for (uint64_t pause = 100, at = 100; at <= passed; pause *= 2, at += pause)
        count++;
    return count;
}

/* How many lines of the log have these words. */
static int logged(const char *words)
{
    char line[LOG_LINE_SIZE];
    int count = 0;
    FILE *file = fopen(log_path, "re");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file))
        count += strstr(line, words) != NULL;
    fclose(file);
    return count;
}

static bool soon(int (*count)(void))
{
    for (int i = 0; i < 400; i++) {
        if (count())
            return true;
        usleep(10000);
    }
    return false;
}

/* ---- threads that ask */

struct asker {
    pthread_t thread;
    const char *key;
    struct quota quota;
    int result, admitted, attempts;
    struct error error;
};

/* With its own memory, which it frees at once: nobody may look at it later. */
static void *ask(void *context)
{
    struct asker *asker = context;
    for (int i = 0; i < asker->attempts; i++) {
        struct taken own;
        struct quota *quota = malloc(sizeof *quota);
        char *key = strdup(asker->key);
        if (!quota || !key)
            abort();
        *quota = asker->quota;
        const struct draw draw = draw_of(key, quota);
        asker->error = (struct error){0};
        asker->result = counters_take(counters, &draw, 1, &own, &asker->error) ? own.admitted : -1;
        asker->admitted += asker->result == 1;
        memset(key, 0, strlen(key));
        free(key);
        free(quota);
    }
    return NULL;
}

static void start_asker(struct asker *asker, const char *key, const struct quota *quota, int attempts)
{
    *asker = (struct asker){.key = key, .quota = *quota, .attempts = attempts};
    ck_assert_int_eq(pthread_create(&asker->thread, NULL, ask, asker), 0);
}

/* 'R' runs, 'S' sleeps. */
static char state_of(const char *task)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", task);
    FILE *file = fopen(path, "re");
    const char *end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
    if (file)
        fclose(file);
    return end ? end[2] : ' ';
}

static bool all_others_sleep(void)
{
    int awake = -1; /* but this one */
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (const struct dirent *entry; (entry = readdir(tasks));)
        awake += *entry->d_name != '.' && state_of(entry->d_name) != 'S';
    closedir(tasks);
    return awake == 0;
}

/* Until all who ask wait for their answers. */
static void await_askers(void)
{
    for (int quiet = 0; quiet < 3; quiet = all_others_sleep() ? quiet + 1 : 0)
        usleep(2000);
}

static void join_asker(struct asker *asker)
{
    ck_assert_int_eq(pthread_join(asker->thread, NULL), 0);
}

static int ask_by_many(const char *key, const struct quota *quota, int attempts)
{
    static struct asker askers[THREADS];
    int admitted = 0;
    for (int i = 0; i < THREADS; i++)
        start_asker(&askers[i], key, quota, attempts);
    for (int i = 0; i < THREADS; i++) {
        join_asker(&askers[i]);
        ck_assert_msg(askers[i].result >= 0, "%s", askers[i].error.message);
        admitted += askers[i].admitted;
    }
    return admitted;
}

/* ---- counting */

START_TEST(a_number_is_the_same_for_ever)
{
    /* The first 63 bits of SHA-256 of a byte for the algorithm and the key: what is on disks. */
    ck_assert_int_eq(counter_number(TEXT("login address=192.0.2.7"), QUOTA_FIXED), 3839964173380452198);
    ck_assert_int_eq(counter_number(TEXT("login address=192.0.2.7"), QUOTA_SLIDING), 2272264619156536460);
    ck_assert_int_eq(counter_number(TEXT("login address=192.0.2.7"), QUOTA_GCRA), 515729475171325620);
}
END_TEST

START_TEST(a_place_is_known_or_refused)
{
    const struct counters_rules rules = {.place = "postgres://x", .timeout = 1, .rows = 1};
    ck_assert_ptr_null(counters_open(&rules, &error));
    ck_assert_ptr_nonnull(strstr(error.message, "\"postgres://x\" is no place"));
}
END_TEST

START_TEST(the_limit_is_admitted_and_no_more)
{
    counters = counters_open_memory(100);
    ck_assert_int_eq(take_until_refused("a", &five), 5);
    ck_assert(taken.answers[0].retry > 0 && taken.answers[0].retry <= five.window);
    ck_assert_int_eq(take_until_refused("b", &two), 2);
    ck_assert_int_eq(take_until_refused("a", &two), 2); /* another algorithm is another counter */
}
END_TEST

START_TEST(a_clock_can_be_played)
{
    uint64_t now = 1000ULL * SECOND;
    counters = counters_open_played(100, &now);
    ck_assert_int_eq(take_until_refused("a", &five), 5);
    ck_assert_uint_eq(taken.answers[0].retry, five.window);
    now += five.window - 1;
    ck_assert_int_eq(take_until_refused("a", &five), 0);
    ck_assert_uint_eq(taken.answers[0].retry, 1);
    now += 1;
    ck_assert_int_eq(take_until_refused("a", &five), 5);
}
END_TEST

START_TEST(a_refusal_may_ban)
{
    struct quota quota = {.algorithm = QUOTA_FIXED, .limit = 1, .window = 1, .ban = 3600ULL * SECOND};
    counters = counters_open_memory(100);
    quota.window = SECOND;
    ck_assert_int_eq(take_until_refused("a", &quota), 1);
    ck_assert(taken.answers[0].banned);
    ck_assert_uint_gt(taken.answers[0].retry, 3500ULL * SECOND);
}
END_TEST

START_TEST(all_are_taken_or_none)
{
    const struct draw draws[] = {draw_of("wide", &five), draw_of("narrow", &two)};
    counters = counters_open_memory(100);
    for (int i = 0; i < 10; i++) {
        ck_assert(counters_take(counters, draws, 2, &taken, &error));
        ck_assert_int_eq(taken.admitted, i < 2);
        ck_assert(taken.answers[0].admitted);
        ck_assert_int_eq(taken.answers[1].admitted, i < 2);
    }
    ck_assert_int_eq(take_until_refused("wide", &five), 3);
}
END_TEST

START_TEST(what_is_given_back_can_be_taken_again)
{
    const struct draw draws[] = {draw_of("a", &five), draw_of("b", &two)};
    open_fake(_i > 0);
    ck_assert(counters_take(counters, draws, 2, &taken, &error));
    ck_assert(taken.admitted);
    uint64_t time = taken.time;
    ck_assert_int_eq(take_until_refused("a", &five), 4);
    ck_assert_int_eq(take_until_refused("b", &two), 1);
    counters_give_back(counters, draws, 2, time);
    ck_assert_int_eq(take_until_refused("a", &five), 1);
    ck_assert_int_eq(take_until_refused("b", &two), 1);
    counters_give_back(counters, (const struct draw[]){draw_of("unknown", &five)}, 1, time);
    ck_assert_int_eq(take_until_refused("unknown", &five), 5);
}
END_TEST

START_TEST(what_is_held_is_renewed)
{
    const struct quota one = {.algorithm = QUOTA_FIXED, .limit = 1, .window = 2 * SECOND};
    const struct draw draw = draw_of("a", &one);
    open_fake(_i > 0);
    ck_assert_int_eq(take("a", &one), 1);
    uint64_t time = taken.time;
    for (int i = 0; i < 3; i++) {
        usleep((useconds_t)one.window + 1000);
        uint64_t next = counters_renew(counters, &draw, 1, time);
        ck_assert_uint_ge(next, time + one.window);
        time = next;
        ck_assert_int_eq(take("a", &one), 0);
    }
    counters_give_back(counters, &draw, 1, time);
    ck_assert_int_eq(take("a", &one), 1);
}
END_TEST

START_TEST(many_threads_get_the_limit_and_no_more)
{
    if (_i == 0)
        counters = counters_open_memory(100);
    else
        open_fake(true);
    ck_assert_int_eq(ask_by_many("hot", &thousand, 100), 1000);
    ck_assert_int_eq(take("hot", &thousand), 0);
}
END_TEST

/* ---- counters in memory */

START_TEST(new_keys_share_a_counter_when_it_is_full)
{
    counters = counters_open_memory(10);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(take(arena_printf(arena, "login %d", i), &five), 1);
    /* An attacker with ever new keys gets one limit, and each other limit has its own. */
    int admitted = 0;
    for (int i = 10; i < 3000; i++)
        admitted += take(arena_printf(arena, "login %d", i), &five);
    ck_assert_int_eq(admitted, 5);
    ck_assert_int_eq(take("other 1", &five), 1);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(take_until_refused(arena_printf(arena, "login %d", i), &five), 4);
}
END_TEST

/* Where they share a counter, the draws of one job are counted one after another. */
START_TEST(draws_on_one_shared_counter_are_all_counted)
{
    const struct draw draws[] = {draw_of("login a", &five), draw_of("login b", &five)};
    int admitted = 0;
    counters = counters_open_memory(1);
    ck_assert_int_eq(take("x", &five), 1);
    for (int i = 0; i < 10; i++) {
        ck_assert(counters_take(counters, draws, 2, &taken, &error));
        admitted += taken.admitted;
    }
    ck_assert_int_eq(admitted, 2);
    ck_assert_int_eq(take_until_refused("login c", &five), 1);
}
END_TEST

START_TEST(more_limits_than_can_share_are_still_limited)
{
    int admitted = 0;
    counters = counters_open_memory(1);
    for (int i = 0; i < 3000; i++)
        admitted += take(arena_printf(arena, "limit%d x", i), &two);
    ck_assert_int_eq(admitted, 1 + 1024 + 2);
}
END_TEST

START_TEST(long_keys_share_a_counter_too)
{
    char key[COUNTER_KEY_SIZE + 1] = {0};
    memset(key, 'x', COUNTER_KEY_SIZE);
    counters = counters_open_memory(1);
    ck_assert_int_eq(take("a", &two), 1);
    ck_assert_int_eq(take_until_refused(key, &two), 2);
}
END_TEST

START_TEST(what_has_expired_makes_room)
{
    const struct quota brief = {.algorithm = QUOTA_FIXED, .limit = 1, .window = 1000};
    counters = counters_open_memory(10);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++)
            ck_assert_int_eq(take(arena_printf(arena, "login %d %d", round, i), &brief), 1);
        usleep(2000);
    }
}
END_TEST

struct listed {
    int count, most;
    uint64_t part;
};

static bool count_listed(void *context, const struct counter *counter)
{
    struct listed *listed = context;
    listed->count++;
    listed->part = counter->state.part;
    ck_assert_uint_gt(counter->expires, counter->now);
    return listed->count < listed->most;
}

START_TEST(counters_are_listed_and_forgotten)
{
    static const struct {
        const char *key;
        int most, count;
    } rows[] = {{"", 100, 3}, {"", 2, 2}, {"a", 100, 2}, {"b", 100, 1}, {"c", 100, 0}};
    counters = counters_open_memory(10);
    take("a", &five);
    take("a", &two);
    take("b", &five);
    take("b", &five);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct listed listed = {.most = rows[i].most};
        ck_assert(counters_list(counters, text_of(rows[i].key), count_listed, &listed, &error));
        ck_assert_int_eq(listed.count, rows[i].count);
        if (rows[i].key[0] == 'b')
            ck_assert_uint_eq(listed.part, 2);
    }
    ck_assert_int_eq(counters_reset(counters, TEXT("c"), &error), 0);
    ck_assert_int_eq(counters_reset(counters, TEXT("a"), &error), 2);
    ck_assert_int_eq(take_until_refused("a", &five), 5);
    ck_assert_int_eq(take_until_refused("b", &five), 3);
}
END_TEST

/* ---- the queue */

START_TEST(a_batch_grows_with_those_who_wait)
{
    open_fake(true);
    fake.slow = 3000;
    ask_by_many("a", &thousand, 10);
    ck_assert_int_ge(fake.largest, THREADS / 4);
    ck_assert(!fake.signals);
}
END_TEST

START_TEST(an_answer_comes_at_once)
{
    open_fake(true);
    fake.slow = 200; /* the caller sleeps before it is there */
    begin_time();
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(take("a", &thousand), 1);
    ASSERT_TIME(0, 100);
}
END_TEST

static int has_tidied(void)
{
    return fake.tidies > 0;
}

START_TEST(it_tidies_when_there_is_nothing_to_do)
{
    open_fake(true);
    ck_assert_int_eq(take("a", &five), 1);
    ck_assert(soon(has_tidied));
}
END_TEST

START_TEST(it_tidies_under_load)
{
    open_backend(_i < 2 ? &fake_backend : &prompt_backend, _i > 0);
    begin_time();
    while (clock_milliseconds() < stopwatch + 2500 || fake.tidies < 2)
        ck_assert_int_eq(take("a", &(struct quota){.limit = 1000000000, .window = SECOND}), 1);
    ck_assert_int_le(fake.tidies, 2 + (int)(clock_milliseconds() - stopwatch) / 1000);
}
END_TEST

static int is_back(void)
{
    return logged("\"store_back\"") == 1;
}

START_TEST(nobody_waits_longer_than_the_time_out)
{
    struct asker asker, late;
    open_fake(true);
    set_hanging(true);
    start_asker(&asker, "a", &five, 1);
    await_hanging();
    start_asker(&late, "gone", &five, 1);
    begin_time();
    ASSERT_FAILS(take("gone", &five), "has not answered");
    ASSERT_TIME(TIMEOUT_MS - 1, TIMEOUT_MS);
    join_asker(&asker);
    join_asker(&late);
    ck_assert_int_eq(asker.result, -1);
    ck_assert_int_eq(late.result, -1);
    /* It is known that it hangs. */
    begin_time();
    for (int i = 0; i < 20; i++)
        ASSERT_FAILS(take("gone", &five), "has not answered");
    ASSERT_TIME(0, 10);
    ck_assert_int_eq(logged("\"store_failed\""), 1);
    ck_assert_int_eq(logged("\"store_back\""), 0);
    set_hanging(false);
    ck_assert(soon(is_back));
    ck_assert_int_eq(take("b", &five), 1);
    ck_assert_int_eq(fake.named_gone, 0);
    ck_assert_int_eq(logged("\"store_failed\""), 1);
}
END_TEST

START_TEST(who_has_left_is_forgotten)
{
    open_fake(true);
    for (int round = 0; round < 3; round++) {
        struct asker askers[8];
        set_hanging(true);
        for (int i = 0; i < 8; i++)
            start_asker(&askers[i], "a", &thousand, 1);
        for (int i = 0; i < 8; i++)
            join_asker(&askers[i]);
        set_hanging(false);
        while (take("b", &thousand) < 0)
            usleep(1000);
    }
    ck_assert_int_eq(ask_by_many("c", &thousand, 20), 1000);
    /* More where this machine hangs, too. */
    ck_assert_int_ge(logged("\"store_failed\""), 3);
    ck_assert_int_eq(logged("\"store_back\""), logged("\"store_failed\""));
}
END_TEST

START_TEST(a_store_that_hangs_at_first_is_told)
{
    pthread_mutex_lock(&fake.lock);
    fake.hangs_to_connect = true;
    pthread_mutex_unlock(&fake.lock);
    open_fake(true);
    ASSERT_FAILS(take("a", &five), "has not answered");
    begin_time();
    for (int i = 0; i < 20; i++)
        ASSERT_FAILS(take("a", &five), "has not answered");
    ASSERT_TIME(0, TIMEOUT_MS);
    ck_assert_int_eq(logged("\"store_failed\""), 1);
    pthread_mutex_lock(&fake.lock);
    fake.hangs_to_connect = false;
    pthread_cond_broadcast(&fake.changed);
    pthread_mutex_unlock(&fake.lock);
    ck_assert(soon(is_back));
    ck_assert_int_eq(take("a", &five), 1);
}
END_TEST

START_TEST(a_store_that_fails_is_opened_again)
{
    open_fake(_i > 0);
    ck_assert_int_eq(take("a", &five), 1);
    ck_assert_int_eq(fake.connects, 1);
    fake.fails = true;
    fake.fails_to_connect = true;
    begin_time();
    ASSERT_FAILS(take("a", &five), "it is broken");
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(take("a", &five), -1);
    ASSERT_TIME(0, 10);
    ck_assert_int_eq(logged("\"store_failed\""), 1);
    for (int i = 0; i < 3000 && take("a", &five) < 0 && !strstr(error.message, "there is nobody"); i++)
        usleep(10000);
    for (int i = 0; i < 10; i++)
        ASSERT_FAILS(take("a", &five), "there is nobody");
    ck_assert_int_ge(fake.connects, 2);
    ck_assert_int_le(fake.connects, most_connects());
    counters_give_back(counters, (const struct draw[]){draw_of("a", &five)}, 1, taken.time);
    counters_give_back(counters, (const struct draw[]){draw_of("a", &five)}, 1, taken.time);
    fake.fails = false;
    fake.fails_to_connect = false;
    for (int i = 0; i < 300 && take("a", &five) < 0; i++)
        usleep(10000);
    /* What was to be given back is kept in line, or lost where there is none. */
    ck_assert_int_eq(take_until_refused("a", &five), _i > 0 ? 4 : 3);
    ck_assert_int_eq(fake.given_back, _i > 0 ? 2 : 0);
    ck_assert_int_eq(logged("\"store_failed\""), 1);
    ck_assert_int_eq(logged("it is broken"), 1);
    ck_assert_int_eq(logged(_i > 0 ? "0 were not given back" : "2 were not given back"), 1);
    ck_assert(is_back());
}
END_TEST

/* Where nobody knows whether it was carried out, it is not tried again. */
START_TEST(what_could_not_be_given_back_is_tried_again)
{
    const bool certain = _i > 0;
    const struct draw draw = draw_of("a", &five);
    fake.is_unsure = !certain;
    open_fake(true);
    ck_assert_int_eq(take("a", &five), 1);
    set_hanging(true);
    counters_give_back(counters, &draw, 1, taken.time);
    await_hanging();
    fake.fails = true;
    set_hanging(false);
    while (!logged("\"store_failed\""))
        usleep(1000);
    while (certain && fake.connects < 4) /* and in vain for some time */
        usleep(1000);
    ck_assert_int_eq(fake.given_back, 0);
    fake.fails = false;
    ck_assert(soon(is_back));
    ck_assert_int_eq(take_until_refused("a", &five), certain ? 5 : 4);
    ck_assert_int_eq(fake.given_back, certain ? 1 : 0);
    ck_assert_int_eq(logged("1 were not given back"), certain ? 0 : 1);
}
END_TEST

START_TEST(what_is_kept_to_be_given_back_has_a_bound)
{
    const struct draw draw = draw_of("a", &five);
    open_fake(true);
    fake.fails = fake.fails_to_connect = true;
    ck_assert_int_eq(take("a", &five), -1);
    for (int i = 0; i < COUNTERS_JOBS_MOST; i++)
        counters_give_back(counters, &draw, 1, 1);
    fake.fails = fake.fails_to_connect = false;
    ck_assert(soon(is_back));
    while (take("b", &thousand) < 0)
        usleep(1000);
    ck_assert_int_eq(fake.given_back, COUNTERS_JOBS_MOST / 2);
    ck_assert_int_eq(logged("2048 were not given back"), 1);
}
END_TEST

START_TEST(all_of_a_batch_that_fails_have_failed)
{
    struct asker askers[8];
    timeout = PATIENT_MS;
    open_fake(true);
    set_hanging(true);
    for (int i = 0; i < 8; i++) {
        start_asker(&askers[i], "a", &five, 1);
        if (i == 0)
            await_hanging(); /* seven wait for the next batch */
    }
    await_askers();
    fake.fails = true;
    begin_time();
    set_hanging(false);
    for (int i = 0; i < 8; i++) {
        join_asker(&askers[i]);
        ck_assert_int_eq(askers[i].result, -1);
        ck_assert_str_eq(askers[i].error.message, "it is broken");
    }
    ASSERT_TIME(0, 10);
    ck_assert_int_eq(fake.runs, 1);
    fake.fails = false;
    ck_assert(soon(is_back)); /* though nobody asks */
    ck_assert_int_eq(take_until_refused("a", &five), 5);
}
END_TEST

/* As with a full disk: it can be opened, and fails at the first write. */
START_TEST(a_store_that_only_seems_to_be_back_is_logged_once)
{
    open_fake(true);
    fake.fails = true;
    begin_time();
    while (clock_milliseconds() < stopwatch + 1500 || fake.connects < 3) {
        ck_assert_int_eq(take("a", &five), -1);
        usleep(1000);
    }
    ck_assert_int_le(fake.connects, most_connects());
    ck_assert_int_eq(logged("\"store_failed\""), 1);
    ck_assert_int_eq(logged("\"store_back\""), 0);
}
END_TEST

START_TEST(giving_back_never_waits)
{
    struct asker asker;
    const struct draw draw = draw_of("a", &five);
    timeout = PATIENT_MS;
    open_fake(true);
    set_hanging(true);
    start_asker(&asker, "a", &five, 1);
    await_hanging();
    for (int i = 0; i < COUNTERS_JOBS_MOST - 1; i++)
        counters_give_back(counters, &draw, 1, 1);
    ASSERT_FAILS(take("a", &five), "overloaded");
    counters_give_back(counters, &draw, 1, 1);
    set_hanging(false);
    join_asker(&asker);
    while (take("b", &thousand) < 0)
        usleep(1000);
    ck_assert_int_eq(fake.given_back, COUNTERS_JOBS_MOST - 1);
    ck_assert_int_le(fake.largest, BATCH_LIMIT);
}
END_TEST

/* ---- one who leads */

START_TEST(who_finds_nobody_in_line_leads)
{
    open_prompt();
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(take("a", &thousand), 1);
        ck_assert(pthread_equal(fake.runner, pthread_self()));
    }
    ck_assert_int_eq(ask_by_many("b", &thousand, 20), 1000);
}
END_TEST

START_TEST(who_comes_while_one_leads_is_served_by_the_thread)
{
    struct asker askers[8];
    timeout = PATIENT_MS;
    open_prompt();
    set_hanging(true);
    for (int i = 0; i < 8; i++) {
        start_asker(&askers[i], "a", &five, 1);
        if (i == 0)
            await_hanging();
    }
    await_askers();
    ck_assert_int_eq(fake.runs, 1);
    set_hanging(false);
    int admitted = 0;
    for (int i = 0; i < 8; i++) {
        join_asker(&askers[i]);
        ck_assert_int_ge(askers[i].result, 0);
        admitted += askers[i].admitted;
    }
    ck_assert_int_eq(admitted, 5);
    ck_assert_int_eq(fake.runs, 2);
    ck_assert_int_eq(fake.largest, 7);
}
END_TEST

START_TEST(nobody_waits_for_one_who_leads)
{
    struct asker asker;
    open_prompt();
    set_hanging(true);
    start_asker(&asker, "a", &five, 1);
    await_hanging();
    begin_time();
    ASSERT_FAILS(take("gone", &five), "has not answered");
    ASSERT_TIME(TIMEOUT_MS / 2, TIMEOUT_MS); /* from when he began */
    begin_time();
    for (int i = 0; i < 20; i++)
        ASSERT_FAILS(take("gone", &five), "has not answered");
    ASSERT_TIME(0, 10);
    ck_assert_int_eq(logged("\"store_failed\""), 1);
    set_hanging(false);
    join_asker(&asker);
    ck_assert_int_eq(asker.result, 1);
    while (take("b", &thousand) < 0)
        usleep(1000);
    ck_assert_int_eq(fake.named_gone, 0);
}
END_TEST

START_TEST(when_one_who_leads_fails_it_is_opened_again)
{
    open_prompt();
    int connects = fake.connects;
    fake.fails = true;
    ASSERT_FAILS(take("a", &five), "it is broken");
    ck_assert(pthread_equal(fake.runner, pthread_self()));
    fake.fails = false;
    ck_assert(soon(is_back)); /* though nobody asks */
    ck_assert_int_gt(fake.connects, connects);
    ck_assert_int_eq(take_until_refused("a", &five), 5);
}
END_TEST

/* ---- closing */

START_TEST(what_was_given_back_is_carried_out_before_it_closes)
{
    const struct draw draw = draw_of("a", &five);
    open_fake(true);
    fake.slow = 10000;
    for (int i = 0; i < 1000; i++)
        counters_give_back(counters, &draw, 1, 1);
    counters_close(counters);
    counters = NULL;
    ck_assert_int_eq(fake.given_back, 1000);
    ck_assert_int_eq(fake.closes, 1);
}
END_TEST

static int has_closed(void)
{
    return fake.closes;
}

START_TEST(closing_does_not_wait_for_a_store_that_hangs)
{
    static struct asker askers[8];
    const struct counters_rules rules = {.place = "fake:", .timeout = 60000, .rows = 1000};
    counters = counters_open_backend(&fake_backend, &rules, &error);
    ck_assert(counters_start(counters, &error));
    set_hanging(true);
    for (int i = 0; i < 8; i++) {
        start_asker(&askers[i], "a", &five, 1);
        if (i == 0)
            await_hanging();
    }
    await_askers();
    counters_give_back(counters, (const struct draw[]){draw_of("a", &five)}, 1, 1);
    begin_time();
    counters_close(counters);
    counters = NULL;
    ASSERT_TIME(900, 1000);
    for (int i = 0; i < 8; i++) {
        join_asker(&askers[i]);
        ck_assert_int_eq(askers[i].result, -1);
    }
    ASSERT_TIME(900, 1000);
    ck_assert_int_eq(fake.closes, 0);
    set_hanging(false);
    ck_assert(soon(has_closed));
    ck_assert_int_eq(fake.runs, 1);
    usleep(20000); /* its memory is freed behind that */
}
END_TEST

START_TEST(closing_does_not_wait_for_one_who_leads)
{
    struct asker askers[8];
    timeout = PATIENT_MS;
    open_prompt();
    set_hanging(true);
    for (int i = 0; i < 8; i++) {
        start_asker(&askers[i], "a", &five, 1);
        if (i == 0)
            await_hanging();
    }
    await_askers();
    begin_time();
    counters_close(counters);
    counters = NULL;
    ASSERT_TIME(900, 1000);
    for (int i = 1; i < 8; i++) {
        join_asker(&askers[i]);
        ck_assert_int_eq(askers[i].result, -1);
    }
    ck_assert_int_eq(fake.closes, 0);
    set_hanging(false);
    join_asker(&askers[0]);
    ck_assert_int_eq(askers[0].result, 1);
    ck_assert(soon(has_closed));
    usleep(20000); /* its memory is freed behind that */
}
END_TEST

START_TEST(closing_at_once_is_quick)
{
    for (int i = 0; i < 200; i++) {
        open_fake(true);
        counters_close(counters);
        counters = NULL;
    }
    ck_assert_int_eq(fake.closes, 200);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("counters");
    TCase *tests = tcase_create("counters");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, a_number_is_the_same_for_ever);
    tcase_add_test(tests, a_place_is_known_or_refused);
    tcase_add_test(tests, the_limit_is_admitted_and_no_more);
    tcase_add_test(tests, a_clock_can_be_played);
    tcase_add_test(tests, a_refusal_may_ban);
    tcase_add_test(tests, all_are_taken_or_none);
    tcase_add_loop_test(tests, what_is_given_back_can_be_taken_again, 0, 2);
    tcase_add_loop_test(tests, what_is_held_is_renewed, 0, 2);
    tcase_add_loop_test(tests, many_threads_get_the_limit_and_no_more, 0, 2);
    tcase_add_test(tests, new_keys_share_a_counter_when_it_is_full);
    tcase_add_test(tests, draws_on_one_shared_counter_are_all_counted);
    tcase_add_test(tests, more_limits_than_can_share_are_still_limited);
    tcase_add_test(tests, long_keys_share_a_counter_too);
    tcase_add_test(tests, what_has_expired_makes_room);
    tcase_add_test(tests, counters_are_listed_and_forgotten);
    tcase_add_test(tests, a_batch_grows_with_those_who_wait);
    tcase_add_test(tests, an_answer_comes_at_once);
    tcase_add_test(tests, it_tidies_when_there_is_nothing_to_do);
    tcase_add_loop_test(tests, it_tidies_under_load, 0, 3);
    tcase_add_test(tests, nobody_waits_longer_than_the_time_out);
    tcase_add_test(tests, who_has_left_is_forgotten);
    tcase_add_test(tests, a_store_that_hangs_at_first_is_told);
    tcase_add_loop_test(tests, a_store_that_fails_is_opened_again, 0, 2);
    tcase_add_loop_test(tests, what_could_not_be_given_back_is_tried_again, 0, 2);
    tcase_add_test(tests, what_is_kept_to_be_given_back_has_a_bound);
    tcase_add_test(tests, all_of_a_batch_that_fails_have_failed);
    tcase_add_test(tests, a_store_that_only_seems_to_be_back_is_logged_once);
    tcase_add_test(tests, giving_back_never_waits);
    tcase_add_test(tests, what_was_given_back_is_carried_out_before_it_closes);
    tcase_add_test(tests, closing_does_not_wait_for_a_store_that_hangs);
    tcase_add_test(tests, who_finds_nobody_in_line_leads);
    tcase_add_test(tests, who_comes_while_one_leads_is_served_by_the_thread);
    tcase_add_test(tests, nobody_waits_for_one_who_leads);
    tcase_add_test(tests, when_one_who_leads_fails_it_is_opened_again);
    tcase_add_test(tests, closing_does_not_wait_for_one_who_leads);
    tcase_add_test(tests, closing_at_once_is_quick);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
