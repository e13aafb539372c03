/*
 * Tests of when the addresses of a name are looked up, of whom waits meanwhile, and
 * of how long they serve; name servers are asked by the end-to-end tests.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "handler/host_name.h"

enum { NOW = 1000000 };

START_TEST(nothing_is_known_at_first)
{
    struct host_times times = {0};
    ck_assert_int_eq(host_times_look(&times, NOW), HOST_ASK);
    ck_assert_int_eq(host_times_look(&times, NOW), HOST_WAIT);
    host_times_failed(&times, NOW);
    ck_assert_int_eq(host_times_look(&times, NOW), HOST_FAIL);
    ck_assert_int_eq(host_times_look(&times, NOW + HOST_RETRY - 1), HOST_FAIL);
    ck_assert_int_eq(host_times_look(&times, NOW + HOST_RETRY), HOST_ASK);
}
END_TEST

START_TEST(addresses_serve_for_their_time)
{
    struct host_times times = {0};
    ck_assert_int_eq(host_times_look(&times, NOW), HOST_ASK);
    host_times_found(&times, NOW, 30000);
    ck_assert_int_eq(host_times_look(&times, NOW), HOST_USE);
    ck_assert_int_eq(host_times_look(&times, NOW + 29999), HOST_USE);
    ck_assert_int_eq(host_times_look(&times, NOW + 30000), HOST_ASK);
    ck_assert_int_eq(host_times_look(&times, NOW + 30000), HOST_USE); /* another asks */
}
END_TEST

START_TEST(old_addresses_serve_while_none_are_found)
{
    struct host_times times = {0};
    uint64_t now = NOW + 30000;
    host_times_found(&times, NOW, 30000);
    ck_assert_int_eq(host_times_look(&times, now), HOST_ASK);
    host_times_failed(&times, now);
    ck_assert_int_eq(host_times_look(&times, now), HOST_USE);
    ck_assert_int_eq(host_times_look(&times, now + HOST_RETRY), HOST_ASK);
    host_times_failed(&times, now + HOST_RETRY);
    ck_assert_int_eq(host_times_look(&times, now + HOST_STALE - 1), HOST_ASK);
    host_times_failed(&times, now + HOST_STALE - 1);
    ck_assert_int_eq(host_times_look(&times, now + HOST_STALE), HOST_FAIL);
    ck_assert(!times.known);
}
END_TEST

START_TEST(times_to_live_have_bounds)
{
    static const uint64_t cases[][2] = {{0, HOST_TTL_LEAST},
                                        {999, HOST_TTL_LEAST},
                                        {5000, 5000},
                                        {HOST_TTL_MOST, HOST_TTL_MOST},
                                        {UINT32_MAX * UINT64_C(1000), HOST_TTL_MOST}};
    struct host_times times = {.asking = true, .failed = true};
    host_times_found(&times, NOW, cases[_i][0]);
    ck_assert(times.known && !times.asking && !times.failed);
    ck_assert_int_eq(host_times_look(&times, NOW + cases[_i][1] - 1), HOST_USE);
    ck_assert_int_eq(host_times_look(&times, NOW + cases[_i][1]), HOST_ASK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("names");
    TCase *times = tcase_create("times");
    tcase_add_test(times, nothing_is_known_at_first);
    tcase_add_test(times, addresses_serve_for_their_time);
    tcase_add_test(times, old_addresses_serve_while_none_are_found);
    tcase_add_loop_test(times, times_to_live_have_bounds, 0, 5);
    suite_add_tcase(suite, times);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
