/*
 * Tests of remote key sets, where no network is needed: which addresses are
 * public, which URLs are taken, what a Cache-Control grants, and when a set is
 * fetched and serves. The transfers are tested end to end, by test_jwks.py.
 */
#include "config.h"

#include <check.h>

#include "http/public_address.h"
#include "identity/jwks_fetch.h"
#include "identity/jwks_remote.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* ---- addresses */

static const struct {
    const char *text;
    bool public;
} addresses[] = {
    {"1.1.1.1", true},
    {"8.8.8.8", true},
    {"9.255.255.255", true},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.128.0.0", true},
    {"126.255.255.255", true},
    {"128.0.0.0", true},
    {"169.253.255.255", true},
    {"169.255.0.0", true},
    {"172.15.255.255", true},
    {"172.32.0.0", true},
    {"192.0.1.0", true},
    {"192.167.255.255", true},
    {"192.169.0.0", true},
    {"198.17.255.255", true},
    {"198.20.0.0", true},
    {"223.255.255.255", true},
    {"2606:4700:4700::1111", true},
    {"2001:4860:4860::8888", true},
    {"2a00::1", true},
    {"2001:200::1", true},
    {"::ffff:8.8.8.8", true},
    {"0.0.0.0", false},
    {"0.1.2.3", false},
    {"10.0.0.0", false},
    {"10.255.255.255", false},
    {"100.64.0.0", false},
    {"100.127.255.255", false},
    {"127.0.0.1", false},
    {"127.255.255.255", false},
    {"169.254.0.0", false},
    {"169.254.169.254", false},
    {"169.254.255.255", false},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"192.0.0.1", false},
    {"192.0.2.1", false},
    {"192.168.0.0", false},
    {"192.168.255.255", false},
    {"198.18.0.1", false},
    {"198.19.255.255", false},
    {"198.51.100.1", false},
    {"203.0.113.1", false},
    {"224.0.0.1", false},
    {"239.255.255.255", false},
    {"240.0.0.1", false},
    {"255.255.255.255", false},
    {"::", false},
    {"::1", false},
    {"::2", false},
    {"::127.0.0.1", false}, /* IPv4-compatible */
    {"::8.8.8.8", false},
    {"::ffff:0.0.0.0", false},
    {"::ffff:127.0.0.1", false},
    {"::ffff:10.1.2.3", false},
    {"::ffff:192.168.1.1", false},
    {"::ffff:169.254.169.254", false},
    {"64:ff9b::7f00:1", false}, /* NAT64 */
    {"64:ff9b:1::1", false},
    {"100::1", false},
    {"2001::1", false}, /* Teredo */
    {"2001:2::1", false},
    {"2001:20::1", false},
    {"2001:db8::1", false},
    {"2002:7f00:1::", false}, /* 6to4 of 127.0.0.1 */
    {"3fff::1", false},
    {"4000::1", false},
    {"5f00::1", false},
    {"fc00::1", false},
    {"fd12:3456::1", false},
    {"fe80::1", false},
    {"febf::1", false},
    {"fec0::1", false},
    {"ff02::1", false},
    {"ffff::1", false},
};

START_TEST(address_is_judged)
{
    struct address address;
    ck_assert(address_parse(text_of(addresses[_i].text), &address));
    ck_assert_msg(address_is_public(&address) == addresses[_i].public, "%s", addresses[_i].text);
}
END_TEST

START_TEST(no_address_is_not_public)
{
    ck_assert(!address_is_public(&(struct address){.known = false}));
}
END_TEST

/* ---- URLs */

static const struct {
    const char *url;
    bool private;
    const char *error; /* part of it; NULL: taken */
} urls[] = {
    {"https://login.example.com/keys.json", false, NULL},
    {"https://login.example.com", false, NULL},
    {"https://login.example.com:8443/a/b?c=d", false, NULL},
    {"https://8.8.8.8/keys", false, NULL},
    {"https://[2606:4700:4700::1111]/keys", false, NULL},
    {"https://127.0.0.1:8443/keys", true, NULL},
    {"https://[::1]/keys", true, NULL},
    {"https://localhost/", false, NULL}, /* a name is judged by what it leads to */
    {"", false, "not an https:// address"},
    {"http://login.example.com/keys", false, "not an https:// address"},
    {"HTTP://login.example.com/keys", false, "not an https:// address"},
    {"file:///etc/passwd", false, "not an https:// address"},
    {"ftp://example.com/", false, "not an https:// address"},
    {"//example.com/", false, "not an https:// address"},
    {"example.com/keys", false, "not an https:// address"},
    {"https://", false, "not an https:// address"},
    {"https:///keys", false, "not an https:// address"},
    {"https://example.com:99999/", false, "not an address"},
    {"https://example.com:port/", false, "not an address"},
    {"https://user@example.com/", false, "user or password"},
    {"https://user:password@example.com/", false, "user or password"},
    {"https://:password@example.com/", false, "user or password"},
    {"https://example.com/#keys", false, "fragment"},
    {"https://example.com/a b", false, "character"},
    {"https://example.com/a\r\nHost: b", false, "character"},
    {"https://example.com\\@10.0.0.1/", false, "character"},
    {"https://ex\xc3\xa4mple.com/", false, "character"},
    {"https://127.0.0.1/keys", false, "not a public"},
    {"https://127.1/keys", false, "not a public"},
    {"https://2130706433/keys", false, "not a public"},
    {"https://0x7f.1/keys", false, "not a public"},
    {"https://0/keys", false, "not a public"},
    {"https://10.0.0.1/keys", false, "not a public"},
    {"https://169.254.169.254/latest", false, "not a public"},
    {"https://[::1]/keys", false, "not a public"},
    {"https://[::ffff:10.0.0.1]/keys", false, "not a public"},
    {"https://[fd00::1]/keys", false, "not a public"},
};

START_TEST(url_is_judged)
{
    struct error error = {0};
    const struct jwks_source source = {.url = urls[_i].url, .private = urls[_i].private};
    bool good = jwks_source_check(&source, &error);
    ck_assert_msg(good == !urls[_i].error, "%s: %s", urls[_i].url, error.message);
    ck_assert_msg(good || strstr(error.message, urls[_i].error), "%s: %s", urls[_i].url, error.message);
}
END_TEST

START_TEST(long_url_is_refused)
{
    char url[JWKS_URL_LIMIT + 2];
    struct error error = {0};
    memset(url, 'a', sizeof url);
    memcpy(url, "https://example.com/", 20);
    url[sizeof url - 1] = '\0';
    ck_assert(!jwks_source_check(&(struct jwks_source){.url = url}, &error));
    url[JWKS_URL_LIMIT] = '\0';
    error = (struct error){0};
    ck_assert_msg(jwks_source_check(&(struct jwks_source){.url = url}, &error), "%s", error.message);
}
END_TEST

START_TEST(authorities_must_be_certificates)
{
    static const char *const key =
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
        "-----END PUBLIC KEY-----\n";
    const char *const wrong[] = {"x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key};
    for (int i = 0; i < COUNT(wrong); i++) {
        struct error error = {0};
        const struct jwks_source source = {.url = "https://example.com/", .ca = text_of(wrong[i])};
        ck_assert(!jwks_source_check(&source, &error));
        ck_assert_ptr_nonnull(strstr(error.message, "no certificate"));
    }
}
END_TEST

/* ---- Cache-Control */

static const struct {
    const char *value;
    uint64_t age;
} ages[] = {
    {"", JWKS_NO_AGE},
    {"public", JWKS_NO_AGE},
    {"no-store", JWKS_NO_AGE}, /* says nothing of how long */
    {"s-maxage=5", JWKS_NO_AGE},
    {"xmax-age=5", JWKS_NO_AGE},
    {"max-age=60", 60000},
    {"MAX-AGE=60", 60000},
    {"public, max-age=15, stale-while-revalidate=15", 15000},
    {"max-age=\"7\"", 7000},
    {"max-age=60, max-age=5", 5000},
    {"max-age=0", 0},
    {"max-age", 0},
    {"max-age=", 0},
    {"max-age=-1", 0},
    {"max-age=1.5", 0},
    {"max-age=x", 0},
    {"max-age=99999999999999999999999999", 0},
    {"max-age=31536000000", UINT64_C(31536000000000)},
};

START_TEST(age_is_read)
{
    ck_assert_msg(jwks_age(text_of(ages[_i].value)) == ages[_i].age, "%s", ages[_i].value);
}
END_TEST

/* ---- the schedule */

static const struct jwks_times times = {.refresh = 10000, .stale = 5000, .cooldown = 1000};
static struct jwks_schedule schedule;

static void start_schedule(void)
{
    jwks_schedule_start(&schedule, &times, 100);
}

/* A fetch from 100 to 200. */
static void first(uint64_t age)
{
    ck_assert(jwks_schedule_begin(&schedule, 100));
    jwks_schedule_succeed(&schedule, 200, age, 0);
}

START_TEST(fetches_at_once)
{
    ck_assert_uint_eq(jwks_schedule_next(&schedule), 100);
    ck_assert(jwks_schedule_begin(&schedule, 100));
    ck_assert(!jwks_schedule_begin(&schedule, 100));
    ck_assert(!jwks_schedule_begin(&schedule, 100000)); /* one at a time */
    ck_assert(jwks_schedule_want(&schedule, 101));      /* it is under way */
}
END_TEST

START_TEST(refreshes_before_expiry)
{
    first(JWKS_NO_AGE);
    ck_assert_uint_eq(jwks_schedule_next(&schedule), 200 + 8000);
    ck_assert(!jwks_schedule_begin(&schedule, 8199));
    ck_assert(jwks_schedule_begin(&schedule, 8200));
}
END_TEST

START_TEST(jitter_stays_within_a_tenth)
{
    for (uint32_t chance = 0; chance < 5000; chance += 7) {
        start_schedule();
        ck_assert(jwks_schedule_begin(&schedule, 100));
        jwks_schedule_succeed(&schedule, 200, JWKS_NO_AGE, chance);
        ck_assert_uint_ge(schedule.due, 8200);
        ck_assert_uint_le(schedule.due, 9200);
        ck_assert_uint_lt(schedule.due, schedule.expires - times.stale);
    }
}
END_TEST

START_TEST(age_shortens_and_never_lengthens)
{
    static const struct {
        uint64_t age, due, expires;
    } rows[] = {
        {JWKS_NO_AGE, 8200, 15200}, {20000, 8200, 15200}, {10000, 8200, 15200},
        {5000, 4200, 10200},        {1000, 1100, 6200},   {0, 1100, 6200},
    };
    for (int i = 0; i < COUNT(rows); i++) {
        start_schedule();
        first(rows[i].age);
        ck_assert_uint_eq(schedule.due, rows[i].due);
        ck_assert_uint_eq(schedule.expires, rows[i].expires);
    }
}
END_TEST

START_TEST(want_waits_for_the_cool_down)
{
    first(JWKS_NO_AGE);
    ck_assert(!jwks_schedule_want(&schedule, 1099));
    ck_assert(!jwks_schedule_begin(&schedule, 1100)); /* what was refused is forgotten */
    ck_assert(jwks_schedule_want(&schedule, 1100));
    ck_assert_uint_le(jwks_schedule_next(&schedule), 1100);
    ck_assert(jwks_schedule_begin(&schedule, 1100));
    jwks_schedule_succeed(&schedule, 1150, JWKS_NO_AGE, 0);
    ck_assert(!jwks_schedule_want(&schedule, 2099));
    ck_assert(jwks_schedule_want(&schedule, 2100));
}
END_TEST

START_TEST(storm_begins_one_fetch_a_cool_down)
{
    unsigned fetches = 0;
    for (uint64_t now = 100; now < 100 + 20 * 1000; now++) {
        jwks_schedule_want(&schedule, now);
        if (jwks_schedule_begin(&schedule, now)) {
            fetches++;
            if (fetches % 2)
                jwks_schedule_succeed(&schedule, now, 0, (uint32_t)now);
            else
                jwks_schedule_fail(&schedule, now, (uint32_t)now);
        }
    }
    ck_assert_uint_eq(fetches, 20);
}
END_TEST

START_TEST(failure_is_tried_again_after_the_cool_down)
{
    ck_assert(jwks_schedule_begin(&schedule, 100));
    jwks_schedule_fail(&schedule, 300, 0);
    ck_assert(!jwks_schedule_expire(&schedule, 300)); /* there never was a set */
    ck_assert_uint_eq(jwks_schedule_next(&schedule), 1300);
    ck_assert(!jwks_schedule_want(&schedule, 1099));
    ck_assert(jwks_schedule_want(&schedule, 1100));
    ck_assert(jwks_schedule_begin(&schedule, 1100));
}
END_TEST

START_TEST(failure_of_what_was_wanted_changes_no_plan)
{
    first(JWKS_NO_AGE);
    ck_assert(jwks_schedule_want(&schedule, 2000));
    ck_assert(jwks_schedule_begin(&schedule, 2000));
    jwks_schedule_fail(&schedule, 2100, 0);
    ck_assert_uint_eq(jwks_schedule_next(&schedule), 8200);
    ck_assert_uint_eq(schedule.expires, 15200);
}
END_TEST

START_TEST(set_serves_for_a_bounded_time)
{
    first(JWKS_NO_AGE);
    uint64_t now = jwks_schedule_next(&schedule);
    unsigned fetches = 0;
    while (!jwks_schedule_expire(&schedule, now)) {
        ck_assert_uint_lt(now, 15200);
        ck_assert(jwks_schedule_begin(&schedule, now));
        jwks_schedule_fail(&schedule, now, 0);
        ck_assert_uint_gt(jwks_schedule_next(&schedule), now); /* it never spins */
        now = jwks_schedule_next(&schedule);
        fetches++;
    }
    ck_assert_uint_eq(now, 15200);
    ck_assert_uint_eq(fetches, 7);
    ck_assert(!jwks_schedule_expire(&schedule, now + 1)); /* told once */
    ck_assert_uint_ge(jwks_schedule_next(&schedule), now);
}
END_TEST

/* ---- a remote that nobody has started */

START_TEST(remote_without_a_thread_has_no_keys)
{
    static const struct jwks_rules rules = {{.url = "https://login.example.com/"}, {3600000, 0, 30000}};
    struct error error = {0};
    struct jwks_remote *remote = jwks_remote_new(&rules, jose_bit(jose_find(TEXT("RS256"))), &error);
    ck_assert_ptr_nonnull(remote);
    ck_assert(!jwks_remote_is_started(remote));
    struct jwt_keys *keys = jwks_remote_keys(remote);
    ck_assert_uint_eq(jwt_keys_count(keys), 0);
    ck_assert(!jwks_remote_renew(remote, jwt_keys_generation(keys), &(struct jwks_patience){NULL, NULL}));
    jwt_keys_release(keys);
    jwks_remote_free(remote);
    jwks_remote_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jwks");
    TCase *pure = tcase_create("judgement");
    tcase_add_loop_test(pure, address_is_judged, 0, COUNT(addresses));
    tcase_add_test(pure, no_address_is_not_public);
    tcase_add_loop_test(pure, url_is_judged, 0, COUNT(urls));
    tcase_add_test(pure, long_url_is_refused);
    tcase_add_test(pure, authorities_must_be_certificates);
    tcase_add_loop_test(pure, age_is_read, 0, COUNT(ages));
    suite_add_tcase(suite, pure);
    TCase *plan = tcase_create("schedule");
    tcase_add_checked_fixture(plan, start_schedule, NULL);
    tcase_add_test(plan, fetches_at_once);
    tcase_add_test(plan, refreshes_before_expiry);
    tcase_add_test(plan, jitter_stays_within_a_tenth);
    tcase_add_test(plan, age_shortens_and_never_lengthens);
    tcase_add_test(plan, want_waits_for_the_cool_down);
    tcase_add_test(plan, storm_begins_one_fetch_a_cool_down);
    tcase_add_test(plan, failure_is_tried_again_after_the_cool_down);
    tcase_add_test(plan, failure_of_what_was_wanted_changes_no_plan);
    tcase_add_test(plan, set_serves_for_a_bounded_time);
    suite_add_tcase(suite, plan);
    TCase *remote = tcase_create("remote");
    tcase_add_test(remote, remote_without_a_thread_has_no_keys);
    suite_add_tcase(suite, remote);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
