/*
 * Tests of when the addresses of a name are looked up, of whom waits meanwhile, and
 * of how long they serve; name servers are asked by the end-to-end tests.
 */
#include "config.h"

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "handler/host_name.h"

enum { NOW = 1000000 };

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

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

static int listen_at(union any_address *at, int family)
{
    socklen_t length = sizeof *at;
    int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    *at = (union any_address){.any.sa_family = (sa_family_t)family};
    if (family == AF_INET)
        at->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        at->v6.sin6_addr = in6addr_loopback;
    bool good = listener >= 0 && bind(listener, &at->any, length) == 0 && listen(listener, 1) == 0 &&
                getsockname(listener, &at->any, &length) == 0;
    ck_assert(good || family == AF_INET6); /* which not every machine has */
    return good ? listener : -1;
}

/* By the addresses that a request has found, so that nobody asks for them again. */
START_TEST(a_connection_is_to_one_of_the_addresses)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct host_addresses found = {.count = 2};
    union any_address at;
    int listener = listen_at(&at, families[_i]), client;
    if (listener < 0)
        return;
    client = socket(families[_i], SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = families[_i] == AF_INET ? sizeof at.v4 : sizeof at.v6;
    ck_assert_int_eq(connect(client, &at.any, length), 0);
    found.items[0].at.v4.sin_family = AF_INET;
    found.items[0].at.v4.sin_addr.s_addr = htonl(0xc0000201);
    found.items[1].at.v6.sin6_family = AF_INET6;
    found.items[1].at.v6.sin6_addr.s6_addr[0] = 0x20;
    ck_assert(!host_addresses_have(&found, client));
    memcpy(&found.items[1].at, &at, length);
    ck_assert(host_addresses_have(&found, client));
    found.count = 1;
    ck_assert(!host_addresses_have(&found, client));
    ck_assert(host_addresses_have(&found, -1));
    close(client);
    close(listener);
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
    tcase_add_loop_test(times, a_connection_is_to_one_of_the_addresses, 0, 2);
    tcase_add_loop_test(times, times_to_live_have_bounds, 0, 5);
    suite_add_tcase(suite, times);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
