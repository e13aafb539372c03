/*
 * Tests of what the command test compares: a reply that was sent, and what was
 * decided, with what is expected, and the words in which a difference is told.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/arena.h"
#include "cli/test_judge.h"

static struct arena *arena;
static struct outcome outcome;
static struct expectation expected;

static void set_up(void)
{
    arena = arena_new();
    expected = (struct expectation){0};
    outcome = (struct outcome){.verdict = PASS, .route = "/a", .handler = "exec"};
}

static void tear_down(void)
{
    arena_free(arena);
}

static void refuse(int status, const char *code, const char *detail)
{
    outcome =
        (struct outcome){.verdict = DENY(status, "auth", code, detail), .status = status, .route = "/a"};
}

/* What is said of the difference; "" for none. */
static const char *judged(void)
{
    struct bytes why = bytes_new(arena, 1000);
    bool fits = outcome_fits(&outcome, &expected, &why);
    ck_assert_int_eq(fits, why.length == 0);
    return arena_copy(arena, why.at ? why.at : "", why.length);
}

static struct texts words(const char *list)
{
    struct text rest = text_of(list), word;
    struct texts texts = {arena_array(arena, strlen(list) + 1, sizeof *texts.items), 0};
    while (text_next(&rest, ' ', &word))
        texts.items[texts.count++] = word;
    return texts;
}

static void expect_header(const char *name, const char *value)
{
    struct pair *pair = arena_alloc(arena, sizeof *pair);
    *pair = (struct pair){text_of(name), text_of(value), NULL};
    expected.headers = (struct pairs){pair, 1};
}

static void send(const char *reply)
{
    outcome_read_reply(&outcome, text_of(reply), arena);
}

START_TEST(replies_are_taken_apart)
{
    send("Status: 200 OK\r\nX-A: 1\r\nSet-Cookie: a:b\r\nX-Empty:\r\n\r\na: b\r\n\r\nc");
    ck_assert_uint_eq(outcome.headers.count, 3);
    ck_assert(text_equal(*headers_get(&outcome.headers, "X-A"), TEXT("1")));
    ck_assert(text_equal(*headers_get(&outcome.headers, "Set-Cookie"), TEXT("a:b")));
    ck_assert(text_equal(*headers_get(&outcome.headers, "X-Empty"), TEXT("")));
    ck_assert(text_equal(outcome.body, TEXT("a: b\r\n\r\nc")));
}
END_TEST

START_TEST(replies_without_a_body)
{
    send("Status: 204 No Content\r\n\r\n");
    ck_assert_uint_eq(outcome.headers.count, 0);
    ck_assert_uint_eq(outcome.body.length, 0);
    send("");
    ck_assert_uint_eq(outcome.body.length, 0);
}
END_TEST

START_TEST(nothing_expected_is_nothing_different)
{
    ck_assert_str_eq(judged(), "");
    refuse(401, "unauthorized", NULL);
    ck_assert_str_eq(judged(), "");
}
END_TEST

START_TEST(pass)
{
    expected.pass = true;
    ck_assert_str_eq(judged(), "");
    outcome.status = 404; /* of the handler */
    ck_assert_str_eq(judged(), "");
    refuse(401, "unauthorized", "there is no credential");
    ck_assert_str_eq(judged(), "expected pass, found 401 unauthorized (auth: there is no credential)");
}
END_TEST

START_TEST(statuses)
{
    expected.status = 200;
    ck_assert_str_eq(judged(), "expected 200, found pass, to exec");
    outcome.status = 201;
    ck_assert_str_eq(judged(), "expected 200, found 201 from exec");
    outcome.status = 200;
    ck_assert_str_eq(judged(), "");
    refuse(401, "unauthorized", NULL);
    ck_assert_str_eq(judged(), "expected 200, found 401 unauthorized (auth)");
    expected.status = 401;
    ck_assert_str_eq(judged(), "");
}
END_TEST

START_TEST(codes)
{
    expected.code = "unauthorized";
    ck_assert_str_eq(judged(), "expected unauthorized, found pass, to exec");
    refuse(401, "invalid_token", NULL);
    ck_assert_str_eq(judged(), "expected unauthorized, found 401 invalid_token (auth)");
    expected.status = 401;
    ck_assert_str_eq(judged(), "expected 401 unauthorized, found 401 invalid_token (auth)");
    refuse(401, "unauthorized", NULL);
    ck_assert_str_eq(judged(), "");
    refuse(403, "unauthorized", NULL);
    ck_assert_str_eq(judged(), "expected 401 unauthorized, found 403 unauthorized (auth)");
}
END_TEST

START_TEST(who_decides)
{
    expected.guard = "auth";
    ck_assert_str_eq(judged(), "expected guard auth, found none");
    refuse(401, "unauthorized", NULL);
    ck_assert_str_eq(judged(), "");
    expected = (struct expectation){.route = "/b", .handler = "exec", .caller = "ann"};
    ck_assert_str_eq(judged(), "expected route /b, found /a; expected handler exec, found none; "
                               "expected caller ann, found none");
    outcome = (struct outcome){.route = "/b", .handler = "exec", .caller = TEXT("ann")};
    ck_assert_str_eq(judged(), "");
    outcome.caller = TEXT("anna");
    ck_assert_str_eq(judged(), "expected caller ann, found anna");
}
END_TEST

START_TEST(header_values)
{
    send("Status: 200 OK\r\nX-A: 1\r\nx-a: 2\r\nX-Star: *\r\n\r\n");
    expect_header("x-A", "1");
    ck_assert_str_eq(judged(), "");
    expect_header("X-a", "2");
    ck_assert_str_eq(judged(), "");
    expect_header("X-A", "12");
    ck_assert_str_eq(judged(), "expected X-A: 12, found 1");
    expect_header("X-A", "*"); /* is a value as any other */
    ck_assert_str_eq(judged(), "expected X-A: *, found 1");
    expect_header("X-Star", "*");
    ck_assert_str_eq(judged(), "");
    expect_header("X-B", "1");
    ck_assert_str_eq(judged(), "expected X-B: 1, found none");
}
END_TEST

START_TEST(headers_there_and_not)
{
    send("Status: 200 OK\r\nX-A: 1\r\nX-B:\r\n\r\n");
    expected.present = words("x-a X-B");
    expected.absent = words("X-C X");
    ck_assert_str_eq(judged(), "");
    expected.present = words("X-A X-C");
    expected.absent = words("x-a");
    ck_assert_str_eq(judged(), "expected a header X-C, found none; expected no header x-a, found 1");
}
END_TEST

START_TEST(bodies)
{
    expected.contains = words("bc d");
    ck_assert_str_eq(judged(),
                     "expected a body with \"bc\", found none; expected a body with \"d\", found none");
    send("Status: 200 OK\r\n\r\nabc\x01\r\nd");
    ck_assert_str_eq(judged(), "");
    expected.contains = words("x");
    expected.lacks = words("y a");
    ck_assert_str_eq(judged(),
                     "expected a body with \"x\", found abc   d; expected a body without \"a\", found it");
}
END_TEST

START_TEST(long_values_are_cut)
{
    char reply[1000] = "Status: 200 OK\r\n\r\n";
    memset(reply + strlen(reply), 'a', 900);
    send(reply);
    expected.contains = words("b");
    const char *why = judged();
    ck_assert_uint_lt(strlen(why), 300);
    ck_assert_ptr_nonnull(strstr(why, "aaa..."));
}
END_TEST

START_TEST(reports)
{
    const char *reported[] = {"one", "two"};
    expected.reports = words("two");
    ck_assert_str_eq(judged(), "expected a report of two, found none");
    outcome.reports = reported;
    outcome.report_count = 2;
    ck_assert_str_eq(judged(), "");
    expected.reports = words("one three");
    ck_assert_str_eq(judged(), "expected a report of three, found one, two");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("test_command");
    TCase *tests = tcase_create("judge");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, replies_are_taken_apart);
    tcase_add_test(tests, replies_without_a_body);
    tcase_add_test(tests, nothing_expected_is_nothing_different);
    tcase_add_test(tests, pass);
    tcase_add_test(tests, statuses);
    tcase_add_test(tests, codes);
    tcase_add_test(tests, who_decides);
    tcase_add_test(tests, header_values);
    tcase_add_test(tests, headers_there_and_not);
    tcase_add_test(tests, bodies);
    tcase_add_test(tests, long_values_are_cut);
    tcase_add_test(tests, reports);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
