/*
 * Limits of another implementation: tests/data/limits/express.json has what npm's
 * express-rate-limit has decided on arrivals and replies, and the same comes out
 * of store/quota.c. How the file is made is said in make_express.mjs beside it.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/quota.h"

#define DECISIONS   TEST_FOLDER "/data/limits/express.json"
#define MILLISECOND UINT64_C(1000)

/* Where the clock of a schedule begins: early and late. */
static const uint64_t beginnings[] = {1, UINT64_C(86400) * 1000000, UINT64_C(1) << 60};

enum { TAKES_MOST = 100, KEYS = 3, TAKES_LEAST = 4000, REFUSED_LEAST = 1000, GIVEN_BACK_LEAST = 400 };

static struct tally {
    size_t takes, refused, given_back;
} tally;

struct replay {
    const json_t *schedule;
    struct quota quota;
    struct quota_state states[KEYS];
    struct {
        uint64_t time;
        int key;
        bool admitted;
    } taken[TAKES_MOST];
    size_t takes;
};

static uint64_t number_of(const json_t *json)
{
    ck_assert(json_is_integer(json) && json_integer_value(json) >= 0);
    return (uint64_t)json_integer_value(json);
}

static const char *string_of(const json_t *json)
{
    ck_assert(json_is_string(json));
    return json_string_value(json);
}

static bool counts(const struct replay *replay, const char *what)
{
    return strcmp(string_of(json_object_get(replay->schedule, "count")), what) == 0;
}

static void take(struct replay *replay, const json_t *event, uint64_t now)
{
    const char *key = string_of(json_array_get(event, 2));
    int number = key[1] - '0';
    ck_assert(key[0] == 'k' && number >= 0 && number < KEYS && replay->takes < TAKES_MOST);
    struct quota_state *state = &replay->states[number];
    struct quota_answer answer = quota_judge(&replay->quota, state, now, 1);
    bool admitted = json_is_true(json_array_get(event, 3));
    const char *count = string_of(json_object_get(replay->schedule, "count"));
    uint64_t seed = number_of(json_object_get(replay->schedule, "seed"));
    ck_assert_msg(answer.admitted == admitted, "count %s, seed %d, take %zu: %s", count, (int)seed,
                  replay->takes, admitted ? "refused" : "admitted");
    ck_assert_uint_eq(answer.remaining, number_of(json_array_get(event, 4)));
    if (replay->quota.limit > 0) { /* with 0 we know of no window */
        ck_assert_uint_eq(answer.reset, number_of(json_array_get(event, 5)) * MILLISECOND);
        ck_assert_uint_eq((answer.retry + 999999) / 1000000, number_of(json_array_get(event, 6)));
    }
    if (answer.admitted)
        quota_take(&replay->quota, state, now, 1);
    replay->taken[replay->takes].time = now;
    replay->taken[replay->takes].key = number;
    replay->taken[replay->takes++].admitted = answer.admitted;
    tally.takes++;
    tally.refused += answer.admitted ? 0 : 1;
}

/* As guard/limits.c: a failure is a status of 400 and up. */
static void reply(struct replay *replay, const json_t *event, uint64_t now)
{
    uint64_t which = number_of(json_array_get(event, 2)), status = number_of(json_array_get(event, 3));
    ck_assert(which < replay->takes && replay->taken[which].admitted);
    if (counts(replay, "failures") ? status >= 400 : counts(replay, "successes") ? status < 400 : true)
        return;
    struct quota_state *state = &replay->states[replay->taken[which].key];
    quota_give_back(&replay->quota, state, replay->taken[which].time, now, 1);
    tally.given_back++;
}

static void run_schedule(const json_t *schedule, uint64_t beginning)
{
    struct replay replay = {.schedule = schedule, .quota = {.algorithm = QUOTA_FIXED}};
    replay.quota.limit = number_of(json_object_get(schedule, "limit"));
    replay.quota.window = number_of(json_object_get(schedule, "window")) * MILLISECOND;
    size_t index;
    const json_t *event;
    json_array_foreach(json_object_get(schedule, "events"), index, event)
    {
        uint64_t now = beginning + number_of(json_array_get(event, 1)) * MILLISECOND;
        if (strcmp(string_of(json_array_get(event, 0)), "take") == 0)
            take(&replay, event, now);
        else
            reply(&replay, event, now);
    }
}

START_TEST(decisions_are_those_of_express_rate_limit)
{
    json_error_t error;
    size_t index;
    const json_t *schedule;
    json_t *file = json_load_file(DECISIONS, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(file != NULL, "%s: %s", DECISIONS, error.text);
    tally = (struct tally){0};
    json_array_foreach(json_object_get(file, "schedules"), index, schedule)
    {
        run_schedule(schedule, beginnings[_i]);
    }
    json_decref(file);
    /* A file that has lost half of itself would be good, too. */
    ck_assert_uint_ge(tally.takes, TAKES_LEAST);
    ck_assert_uint_ge(tally.refused, REFUSED_LEAST);
    ck_assert_uint_ge(tally.given_back, GIVEN_BACK_LEAST);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits of others");
    TCase *cases = tcase_create("express-rate-limit");
    tcase_add_loop_test(cases, decisions_are_those_of_express_rate_limit, 0,
                        sizeof beginnings / sizeof *beginnings);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
