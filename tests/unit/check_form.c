/*
 * Tests of forms: pairs as browsers send them, and what is refused at which byte.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/form.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LITERAL(string)                                                                                      \
    {                                                                                                        \
        string, sizeof(string) - 1                                                                           \
    }

static const struct form_limits wide = {.pairs = 10, .name = 20, .value = 20};

static struct arena *arena;

static void begin(void)
{
    arena = arena_new();
}

static void end(void)
{
    arena_free(arena);
}

/* From memory as long as the text, so that a sanitizer sees one byte too many. */
static bool read_exactly(struct text text, const struct form_limits *limits, struct form *form,
                         struct defect *defect)
{
    char *copy = malloc(text.length > 0 ? text.length : 1);
    ck_assert_ptr_nonnull(copy);
    if (text.length > 0)
        memcpy(copy, text.at, text.length);
    *defect = (struct defect){0};
    bool good = form_read((struct text){copy, text.length}, limits, arena, form, defect);
    memset(copy, '#', text.length); /* nothing of it is kept */
    free(copy);
    ck_assert(good == !defect->word);
    return good;
}

struct good_row {
    struct text text;
    const char *pairs; /* each as offset:name=value, */
};

static const struct good_row good_rows[] = {
    {LITERAL(""), ""},
    {LITERAL("a=1"), "0:a=1,"},
    {LITERAL("a=1&b=2&a=3"), "0:a=1,4:b=2,8:a=3,"},
    {LITERAL("&&a=1&&b&"), "2:a=1,7:b=,"},
    {LITERAL("a"), "0:a=,"},
    {LITERAL("a="), "0:a=,"},
    {LITERAL("=b"), "0:=b,"},
    {LITERAL("="), "0:=,"},
    {LITERAL("a==b="), "0:a==b=,"},
    {LITERAL("a+b=c+d"), "0:a b=c d,"},
    {LITERAL("a%2bb=c%2Bd"), "0:a+b=c+d,"},
    {LITERAL("a%26b=c%3Dd"), "0:a&b=c=d,"},
    {LITERAL("a;b=c;d=e"), "0:a;b=c;d=e,"},
    {LITERAL("a=%C3%A4%e2%82%ac"), "0:a=\xc3\xa4\xe2\x82\xac,"},
    {LITERAL("a=\xc3\xa4"), "0:a=\xc3\xa4,"},
    {LITERAL("a=%c3\xa4"), "0:a=\xc3\xa4,"},
    {LITERAL("a=line%0D%0Aline"), "0:a=line\r\nline,"},
    {LITERAL("a=%2541"), "0:a=%41,"},
    {LITERAL("a=b c"), "0:a=b c,"},
    {LITERAL("a[b]=c&a.b=d"), "0:a[b]=c,7:a.b=d,"},
    {LITERAL("a=%ef%bb%bf"), "0:a=\xef\xbb\xbf,"},
};

START_TEST(test_good)
{
    const struct good_row *row = &good_rows[_i];
    struct form form;
    struct defect defect;
    struct bytes pairs = bytes_new(arena, 1000);
    ck_assert_msg(read_exactly(row->text, &wide, &form, &defect), "%s", defect.word);
    for (size_t i = 0; i < form.count; i++)
        bytes_printf(&pairs, "%zu:%.*s=%.*s,", form.items[i].offset, TEXT_ARGUMENTS(form.items[i].name),
                     TEXT_ARGUMENTS(form.items[i].value));
    ck_assert_str_eq(arena_copy(arena, pairs.at, pairs.length), row->pairs);
}
END_TEST

struct bad_row {
    struct text text;
    const char *word, *field;
    uint64_t offset;
};

static const struct bad_row bad_rows[] = {
    {LITERAL("a=%"), "form_escape", "a", 2},
    {LITERAL("a=%4"), "form_escape", "a", 2},
    {LITERAL("b=1&a=%4g"), "form_escape", "a", 6},
    {LITERAL("a=%%41"), "form_escape", "a", 2},
    {LITERAL("a=%u0041"), "form_escape", "a", 2},
    {LITERAL("%=1"), "form_escape", "", 0},
    {LITERAL("a%4=1"), "form_escape", "", 1},
    {LITERAL("a=%4&b=1"), "form_escape", "a", 2},
    {LITERAL("a=%+1"), "form_escape", "a", 2},
    {LITERAL("a=%00"), "form_nul", "a", 2},
    {LITERAL("a%00b=1"), "form_nul", "", 1},
    {LITERAL("a=b\0c"), "form_nul", "a", 3},
    {LITERAL("a=1\n"), "form_control_character", "a", 3},
    {LITERAL("a=1\r\nb=2"), "form_control_character", "a", 3},
    {LITERAL("a\t=1"), "form_control_character", "", 1},
    {LITERAL("a=\x7f"), "form_control_character", "a", 2},
    {LITERAL("a=%ff"), "form_utf8", "a", 2},
    {LITERAL("a=\xff"), "form_utf8", "a", 2},
    {LITERAL("a=1%c0%af"), "form_utf8", "a", 2},
    {LITERAL("a=%ed%a0%80"), "form_utf8", "a", 2},
    {LITERAL("b=2&a=%e2%82&c"), "form_utf8", "a", 6},
    {LITERAL("%c3=%a4"), "form_utf8", "", 0},
    {LITERAL("a&b&c&d&e&f&g&h&i&j&k"), "form_pairs", "", 20},
    {LITERAL("123456789012345678901=1"), "form_name", "", 20},
    {LITERAL("a=123456789012345678901"), "form_value", "a", 22},
    {LITERAL("a=1234567890123456789%41%41"), "form_value", "a", 24},
};

START_TEST(test_bad)
{
    const struct bad_row *row = &bad_rows[_i];
    struct form form;
    struct defect defect;
    ck_assert(!read_exactly(row->text, &wide, &form, &defect));
    ck_assert_str_eq(defect.word, row->word);
    ck_assert_uint_eq(defect.offset, row->offset);
    ck_assert(text_equal(defect.field, text_of(row->field)));
    ck_assert(defect.message && !defect.failed);
}
END_TEST

/* At the limits all is well. */
START_TEST(test_limits)
{
    struct form form;
    struct defect defect;
    ck_assert(read_exactly(TEXT("a&b&&c&d&e&f&g&h&i&j&"), &wide, &form, &defect));
    ck_assert_uint_eq(form.count, 10);
    ck_assert(read_exactly(TEXT("12345678901234567890=1234567890123456789%41"), &wide, &form, &defect));
    struct form_limits none = {0};
    ck_assert(read_exactly(TEXT("&&"), &none, &form, &defect));
    ck_assert(!read_exactly(TEXT("a"), &none, &form, &defect));
    ck_assert_str_eq(defect.word, "form_pairs");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("form");
    TCase *tests = tcase_create("form");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, test_good, 0, COUNT(good_rows));
    tcase_add_loop_test(tests, test_bad, 0, COUNT(bad_rows));
    tcase_add_test(tests, test_limits);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
