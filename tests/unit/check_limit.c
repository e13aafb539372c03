/*
 * Tests of limits as a policy says them: which counters a request draws on, how
 * much, and under which key. Counting itself is tested with the stores.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "front/serve.h"
#include "identity/caller.h"
#include "policy/policy.h"

static struct arena *arena;
static struct policy *policy;
static char drawn[2][4096];
static size_t turns;

static void observe(struct exchange *exchange, const char *guard, struct verdict verdict)
{
    (void)exchange;
    if (strcmp(guard, "limits") == 0 && turns < 2)
        snprintf(drawn[turns++], sizeof drawn[0], "%s", verdict.detail ? verdict.detail : "");
}

static ssize_t receive(struct channel *channel, void *to, size_t size)
{
    (void)channel;
    (void)to;
    (void)size;
    return 0;
}

/* A policy with one route for these limits, and what a request to it draws on. */
static const char *draws(const char *limits, const char *uri, const char *headers)
{
    static struct channel channel = {.receive = receive, .body_length = 0};
    static struct param items[32];
    struct params params = {items, 0};
    struct error error = {0};
    struct text rest = text_of(headers), line;
    const char *text = arena_printf(arena,
                                    "store: sqlite:/tmp/guard.db\n"
                                    "limits: {named: {rate: 5/15m}, other: {rate: 7/d, by: global}}\n"
                                    "defaults: {auth: none, exec: /bin/true, body: {max: 5kb}}\n"
                                    "routes:\n"
                                    "  - {path: '/a/{id}/**', methods: [GET, POST], limits: %s}\n",
                                    limits);
    policy = policy_parse(text_of(text), "/policy.yaml", false, &error);
    findings_print(&policy->findings, FINDING_ERROR, stderr);
    ck_assert_uint_eq(policy->findings.errors, 0);
    turns = 0;
    memset(drawn, 0, sizeof drawn);
    struct exchange exchange = {
        .arena = arena_new(), .channel = &channel, .observe = observe, .previews = true};
    items[params.count++] = (struct param){TEXT("REQUEST_METHOD"), TEXT("POST")};
    items[params.count++] = (struct param){TEXT("REQUEST_URI"), text_of(uri)};
    while (text_next(&rest, '\n', &line)) {
        size_t colon = text_find(line, ':');
        items[params.count++] = (struct param){{line.at, colon}, text_trim(text_from(line, colon + 1))};
    }
    struct verdict verdict = serve_judge(policy, &exchange, &params);
    ck_assert_msg(verdict.kind == VERDICT_PASS, "%s", verdict.code);
    arena_free(exchange.arena);
    policy_free(policy);
    return arena_printf(arena, "%s%s%s", drawn[0], *drawn[0] && *drawn[1] ? " | " : "", drawn[1]);
}

static void set_up(void)
{
    arena = arena_new();
}

static void tear_down(void)
{
    arena_free(arena);
}

#define HERE "REMOTE_ADDR: 192.0.2.7\nHTTP_X_TENANT: acme"

static const struct {
    const char *limits, *uri, *headers, *draws;
} rows[] = {
    {"none", "/a/1/b", HERE, ""},
    {"named", "/a/1/b", HERE, "draws on named address=192.0.2.7: 1 of 5/15m"},
    {"[named, other]", "/a/1/b", HERE, "draws on named address=192.0.2.7: 1 of 5/15m, other: 1 of 7/d"},
    {"10/1m", "/a/1/b", HERE, "draws on /a/{id}/**:10/1m address=192.0.2.7: 1 of 10/1m"},
    {"[{rate: 1/s, by: [route, address]}]", "/a/1/b", HERE,
     "draws on /a/{id}/**:1/s route=/a/{id}/** address=192.0.2.7: 1 of 1/s"},
    {"[{rate: 1/s, by: 'header:X-Tenant'}]", "/a/1/b", HERE,
     "draws on /a/{id}/**:1/s header:X-Tenant=acme: 1 of 1/s"},
    {"[{rate: 1/s, by: 'header:X-None'}]", "/a/1/b", HERE,
     "draws on /a/{id}/**:1/s header:X-None=: 1 of 1/s"},
    {"[{rate: 1/s, by: 'path:id'}]", "/a/x%20y%25%3D/b", HERE,
     "draws on /a/{id}/**:1/s path:id=x%20y%25%3D: 1 of 1/s"},
    {"[{rate: 1/s, by: caller}]", "/a/1/b", HERE, "draws on /a/{id}/**:1/s address=192.0.2.7: 1 of 1/s"},
    {"[{rate: 1/s, by: api_key}]", "/a/1/b", HERE, "draws on /a/{id}/**:1/s address=192.0.2.7: 1 of 1/s"},
    {"[{rate: 1/s, by: 'claim:org.id'}]", "/a/1/b", HERE, "draws on /a/{id}/**:1/s claim:org.id=: 1 of 1/s"},
    {"named", "/a/1/b", "REMOTE_ADDR: ::ffff:192.0.2.7", "draws on named address=192.0.2.7: 1 of 5/15m"},
    {"named", "/a/1/b", "REMOTE_ADDR: 2001:db8:1:2:3:4:5:6",
     "draws on named address=2001:db8:1:2::/64: 1 of 5/15m"},
    {"[{rate: 1/s, ipv6_prefix: 48}]", "/a/1/b", "REMOTE_ADDR: 2001:db8:1:2:3:4:5:6",
     "draws on /a/{id}/**:1/s address=2001:db8:1::/48: 1 of 1/s"},
    {"[{rate: 1/s, ipv6_prefix: 57}]", "/a/1/b", "REMOTE_ADDR: 2001:db8:1:ffff:3:4:5:6",
     "draws on /a/{id}/**:1/s address=2001:db8:1:ff80::/57: 1 of 1/s"},
    {"[{rate: 1/s, ipv6_prefix: 128}]", "/a/1/b", "REMOTE_ADDR: 2001:db8::6",
     "draws on /a/{id}/**:1/s address=2001:db8::6: 1 of 1/s"},
    {"named", "/a/1/b", "REMOTE_ADDR: ", "draws on named address=unknown: 1 of 5/15m"},
    {"[{rate: 100/h, cost: 7}]", "/a/1/b", HERE, "draws on /a/{id}/**:100/h address=192.0.2.7: 7 of 100/h"},
    {"[{rate: 100/h, cost: body}]", "/a/1/b", HERE "\nCONTENT_LENGTH: 0",
     "draws on /a/{id}/**:100/h address=192.0.2.7: 1 of 100/h"},
    {"[{rate: 100/h, cost: body}]", "/a/1/b", HERE "\nCONTENT_LENGTH: 1024",
     "draws on /a/{id}/**:100/h address=192.0.2.7: 1 of 100/h"},
    {"[{rate: 100/h, cost: body}]", "/a/1/b", HERE "\nCONTENT_LENGTH: 1025",
     "draws on /a/{id}/**:100/h address=192.0.2.7: 2 of 100/h"},
    {"[{concurrency: 2}]", "/a/1/b", HERE,
     "draws on /a/{id}/**:concurrency address=192.0.2.7: 1 of 2 at once"},
    {"[{rate: 1/s, except: 192.0.2.0/24}]", "/a/1/b", HERE, ""},
    {"[{rate: 1/s, except: 192.0.3.0/24}]", "/a/1/b", HERE,
     "draws on /a/{id}/**:1/s address=192.0.2.7: 1 of 1/s"},
    {"[named, {rate: 1/s, by: caller}]", "/a/1/b", HERE,
     "draws on named address=192.0.2.7: 1 of 5/15m | draws on /a/{id}/**:1/s address=192.0.2.7: 1 of 1/s"},
};

START_TEST(requests_draw)
{
    ck_assert_str_eq(draws(rows[_i].limits, rows[_i].uri, rows[_i].headers), rows[_i].draws);
}
END_TEST

/* What is too long is as good as a name of its own, and never longer than a key may be. */
START_TEST(long_values_are_digests)
{
    char one[8001], other[8001], found[2][512];
    memset(one, 'x', sizeof one - 1);
    memset(other, 'x', sizeof other - 1);
    one[8000] = other[8000] = '\0';
    other[7999] = 'y';
    const char *const values[] = {one, other};
    for (size_t i = 0; i < 2; i++)
        snprintf(found[i], sizeof found[i], "%s",
                 draws("[{rate: 1/s, by: 'header:X-Tenant'}]", "/a/1/b",
                       arena_printf(arena, "HTTP_X_TENANT: %s", values[i])));
    ck_assert_str_ne(found[0], found[1]);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_ptr_nonnull(strstr(found[i], "header:X-Tenant=#"));
        ck_assert_uint_lt(strlen(found[i]), 128);
    }
    const char *all = draws(
        "[{rate: 1/s, by: ['header:A', 'header:B', 'header:C', 'header:D', 'header:E', 'header:F']}]",
        "/a/1/b",
        arena_printf(
            arena, "HTTP_A: %.60s\nHTTP_B: %.60s\nHTTP_C: %.60s\nHTTP_D: %.60s\nHTTP_E: %.60s\nHTTP_F: %.60s",
            one, one, one, one, one, one));
    ck_assert_msg(strstr(all, "draws on /a/{id}/**:1/s #") == all, "%s", all);
    ck_assert_uint_lt(strlen(all), COUNTER_KEY_SIZE);
}
END_TEST

/* A digest is not what somebody else can write, and neither is another part of a key. */
START_TEST(values_do_not_look_like_others)
{
    static const char *const odd[] = {"#0123456789abcdef", "a b", "a=b", "a address=192.0.2.1", "%41"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        const char *found = draws("[{rate: 1/s, by: 'header:X-Tenant'}]", "/a/1/b",
                                  arena_printf(arena, "HTTP_X_TENANT: %s", odd[i]));
        const char *value = strstr(found, "X-Tenant=") + strlen("X-Tenant=");
        size_t length = strcspn(value, ":");
        ck_assert_msg(!memchr(value, '#', length) && !memchr(value, ' ', length) &&
                          !memchr(value, '=', length),
                      "%s", found);
    }
}
END_TEST

static const struct {
    const char *rate;
    uint64_t limit, seconds;
} rates[] = {{"100/15m", 100, 900},
             {"5/s", 5, 1},
             {"5/second", 5, 1},
             {"1/minute", 1, 60},
             {"1/m", 1, 60},
             {"1/h", 1, 3600},
             {"1/hour", 1, 3600},
             {"1/d", 1, 86400},
             {"0/day", 0, 86400},
             {"1/366d", 1, 31622400},
             {"1000000000/1s", 1000000000, 1}};

START_TEST(rates_are_read)
{
    struct error error = {0};
    const char *text =
        arena_printf(arena,
                     "store: sqlite:/tmp/guard.db\nlimits: {x: {rate: %s, algorithm: gcra, burst: 4, "
                     "delay: 2s, ban: {for: 1m, most: 1h}}}\n"
                     "routes: [{path: /, auth: none, exec: /bin/true, limits: x}]\n",
                     rates[_i].rate);
    policy = policy_parse(text_of(text), "/policy.yaml", false, &error);
    findings_print(&policy->findings, FINDING_ERROR, stderr);
    ck_assert_uint_eq(policy->findings.errors, 0);
    const struct quota *quota = &policy->limits.items[0]->quota, *local = &policy->limits.items[0]->local;
    ck_assert_uint_eq(quota->limit, rates[_i].limit);
    ck_assert_uint_eq(quota->window, rates[_i].seconds * 1000000);
    ck_assert_uint_eq(quota->burst, 4);
    ck_assert_uint_eq(quota->delay, 2000000);
    ck_assert_uint_eq(quota->ban, 60000000);
    ck_assert_uint_eq(quota->ban_most, UINT64_C(3600000000));
    ck_assert_uint_eq(local->limit, rates[_i].limit == 1 ? 1 : rates[_i].limit / 2);
    ck_assert_uint_eq(local->burst, 2);
    policy_free(policy);
}
END_TEST

#define LONG_RATE "000000000000000000000000000000005/s"
static const char *const bad_rates[] = {
    "100",  "/s",   "5/",    "x/s",   "5/x",  "5/0s",   "5/999ms", "5/367d", "-1/s", "1000000001/s",
    "5 /s", "5/ s", "5/s/s", "1.5/s", "5/1w", "'5/s '", "''",      "[5/s]",  "5/m5", LONG_RATE};

START_TEST(bad_rates_are_refused)
{
    struct error error = {0};
    const char *text = arena_printf(arena,
                                    "store: sqlite:/tmp/guard.db\nlimits: {x: {rate: %s}}\n"
                                    "routes: [{path: /, auth: none, exec: /bin/true}]\n",
                                    bad_rates[_i]);
    policy = policy_parse(text_of(text), "/policy.yaml", false, &error);
    ck_assert_uint_ge(policy->findings.errors, 1);
    policy_free(policy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limit");
    TCase *cases = tcase_create("limits");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, requests_draw, 0, sizeof rows / sizeof *rows);
    tcase_add_test(cases, long_values_are_digests);
    tcase_add_test(cases, values_do_not_look_like_others);
    tcase_add_loop_test(cases, rates_are_read, 0, sizeof rates / sizeof *rates);
    tcase_add_loop_test(cases, bad_rates_are_refused, 0, sizeof bad_rates / sizeof *bad_rates);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
