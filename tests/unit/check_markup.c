/*
 * Tests of markup: what a browser could take for markup or script, over the lists
 * of tests/data/reject, and what escaping makes of it.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>

#include "data/markup.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;

static void begin(void)
{
    arena = arena_new();
}

static void end(void)
{
    arena_free(arena);
}

static json_t *list_of(const char *name, size_t least)
{
    char path[1000];
    snprintf(path, sizeof path, "%s/data/reject/%s", TEST_FOLDER, name);
    json_t *list = json_load_file(path, 0, NULL);
    ck_assert_msg(json_array_size(list) >= least, "%s", path);
    return list;
}

static struct text text_at(const json_t *list, size_t i)
{
    const json_t *item = json_array_get(list, i);
    ck_assert(json_is_string(item));
    return (struct text){json_string_value(item), json_string_length(item)};
}

START_TEST(harmless_texts_pass)
{
    json_t *list = list_of("harmless.json", 50);
    for (size_t i = 0; i < json_array_size(list); i++)
        ck_assert_msg(markup_of(text_at(list, i), arena) == MARKUP_NONE, "%s", text_at(list, i).at);
    json_decref(list);
}
END_TEST

START_TEST(payloads_do_not)
{
    json_t *list = list_of("markup.json", 50);
    for (size_t i = 0; i < json_array_size(list); i++)
        ck_assert_msg(markup_of(text_at(list, i), arena) != MARKUP_NONE, "%s", text_at(list, i).at);
    json_decref(list);
}
END_TEST

/* What is escaped is nothing that would be escaped again, and only a script's URL stays one. */
START_TEST(escaping_ends_it)
{
    json_t *list = list_of("markup.json", 50);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct text text = text_at(list, i);
        enum markup before = markup_of(text, arena), after = markup_of(markup_escape(text, arena), arena);
        ck_assert_msg(after < MARKUP_RAW || before == MARKUP_SCRIPT, "%s", text.at);
    }
    json_decref(list);
}
END_TEST

static const struct {
    const char *text;
    enum markup markup;
} rows[] = {
    {"", MARKUP_NONE},
    {"<", MARKUP_NONE},
    {"a <", MARKUP_NONE},
    {"<1", MARKUP_NONE},
    {"<<a", MARKUP_RAW},
    {"<A", MARKUP_RAW},
    {"<\xc3\xa9", MARKUP_NONE},
    {"</", MARKUP_RAW},
    {"&lt;a", MARKUP_REFERENCE},
    {"&lt;a <b", MARKUP_RAW},
    {"&lt; a", MARKUP_NONE},
    {"&lt", MARKUP_NONE},
    {"&amp;lt;a", MARKUP_NONE},
    {"&#60;a", MARKUP_REFERENCE},
    {"&#x3Ca", MARKUP_NONE}, /* a is a digit: U+3CA */
    {"&#x3C;a", MARKUP_REFERENCE},
    {"&#9999999999999999999960;a", MARKUP_NONE},
    {"&#;a", MARKUP_NONE},
    {"&#x;a", MARKUP_NONE},
    {"javascript:", MARKUP_SCRIPT},
    {"javascript :", MARKUP_NONE},
    {"xjavascript:", MARKUP_NONE},
    {"javascript:<b>", MARKUP_SCRIPT},
    {"javascript&colon;", MARKUP_LINK},
    {"javascript&colon;<b>", MARKUP_LINK},
    {"data:", MARKUP_NONE},
    {"data:text/plain,x", MARKUP_NONE},
    {"data:text/html", MARKUP_SCRIPT},
    {"data:\ttext/ht\nml,", MARKUP_SCRIPT},
    {"\" onx=", MARKUP_RAW},
    {"onx=\"", MARKUP_NONE},
    {"\" on=", MARKUP_NONE},
    {"\" on-x=", MARKUP_NONE},
    {"\" xonx=", MARKUP_NONE},
    {"\" onx", MARKUP_NONE},
    {"\" onx y=1", MARKUP_NONE},
    {"\" onx \n=", MARKUP_RAW},
    {"'a=b onx=", MARKUP_RAW},
    {"' href=data:text/html,", MARKUP_RAW},
    {"' href=x", MARKUP_NONE},
    {"\" href=\"java&#115;cript:x", MARKUP_RAW},
    {"' href=&#1;javascript&colon;x", MARKUP_RAW},
    {"' href='&#x20;data&colon;text&sol;html,x", MARKUP_RAW},
    {"' href=&quot;javascript:", MARKUP_NONE},
    {"&#1;&#32;javascript:", MARKUP_LINK},
    {"&quot; onx=1", MARKUP_NONE}, /* it ends no attribute */
};

START_TEST(it_is_read_as_browsers_do)
{
    ck_assert_msg(markup_of(text_of(rows[_i].text), arena) == rows[_i].markup, "%s", rows[_i].text);
}
END_TEST

START_TEST(all_five_are_escaped)
{
    struct text escaped = markup_escape(TEXT("a<b>&\"'\0z"), arena);
    ck_assert(text_equal(escaped, TEXT("a&lt;b&gt;&amp;&quot;&#x27;\0z")));
    ck_assert_uint_eq(markup_escape(TEXT(""), arena).length, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("markup");
    TCase *cases = tcase_create("markup");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_test(cases, harmless_texts_pass);
    tcase_add_test(cases, payloads_do_not);
    tcase_add_test(cases, escaping_ends_it);
    tcase_add_loop_test(cases, it_is_read_as_browsers_do, 0, COUNT(rows));
    tcase_add_test(cases, all_five_are_escaped);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
