/*
 * Tests of JSON bodies: what is taken, what is refused with which word and at
 * which byte, the cases of JSONTestSuite, and limits hit exactly.
 */
#include "config.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "data/json_body.h"
#include "data/json_number.h"

#define CASES        TEST_FOLDER "/data/json/parsing.txt"
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LITERAL(string)                                                                                      \
    {                                                                                                        \
        string, sizeof(string) - 1                                                                           \
    }

static const struct json_limits wide = {
    .depth = 100, .values = 1000, .members = 1000, .string = 1000, .rounded = false};

static struct arena *arena;

static void begin(void)
{
    arena = arena_new();
}

static void end(void)
{
    arena_free(arena);
}

/* What is built is what jansson's own parser builds, in the same order. */
static void compare(const json_t *value, struct text text)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(17);
    json_t *other = json_loadb(text.at, text.length, JSON_DECODE_ANY, NULL);
    char *mine = json_dumps(value, flags), *theirs = json_dumps(other, flags);
    ck_assert_pstr_eq(mine, theirs);
    ck_assert_ptr_nonnull(mine);
    json_decref(other);
    free(mine);
    free(theirs);
}

/* The word of the defect, or "" when the text is taken. */
static const char *judge(struct text text, const struct json_limits *limits, struct defect *defect)
{
    /* As long as the text, so that a sanitizer sees one byte too many. */
    char *copy = malloc(text.length > 0 ? text.length : 1);
    ck_assert_ptr_nonnull(copy);
    if (text.length > 0)
        memcpy(copy, text.at, text.length);
    *defect = (struct defect){0};
    json_t *value = json_body_read((struct text){copy, text.length}, limits, defect);
    if (value)
        compare(value, (struct text){copy, text.length});
    free(copy);
    ck_assert((value != NULL) == (defect->word == NULL));
    json_decref(value);
    ck_assert(!defect->failed);
    ck_assert(!defect->word || (defect->message && defect->message[0]));
    return defect->word ? defect->word : "";
}

/* ---- what is wrong, and where */

struct row {
    struct text text;
    const char *word;
    uint64_t offset;
};

static const struct row rows[] = {
    {LITERAL(""), "json_empty", 0},
    {LITERAL(" \t\r\n"), "json_empty", 4},
    {LITERAL("\xef\xbb\xbf{}"), "json_bom", 0},
    {LITERAL("\xef\xbb"), "json_syntax", 0},
    {LITERAL("{"), "json_incomplete", 1},
    {LITERAL("[1,"), "json_incomplete", 3},
    {LITERAL("[1"), "json_incomplete", 2},
    {LITERAL("{\"a\""), "json_incomplete", 4},
    {LITERAL("{\"a\":"), "json_incomplete", 5},
    {LITERAL("{\"a\":1"), "json_incomplete", 6},
    {LITERAL("{\"a\":1,"), "json_incomplete", 7},
    {LITERAL("\"abc"), "json_incomplete", 4},
    {LITERAL("-"), "json_incomplete", 1},
    {LITERAL("1.e"), "json_number", 2},
    {LITERAL("1e"), "json_incomplete", 2},
    {LITERAL("1e+"), "json_incomplete", 3},
    {LITERAL("[]]"), "json_trailing", 2},
    {LITERAL("{} {}"), "json_trailing", 3},
    {LITERAL("[] \0"), "json_trailing", 3},
    {LITERAL("1 2"), "json_trailing", 2},
    {LITERAL("1\0"), "json_trailing", 1}, /* jansson passes over this NUL */
    {LITERAL("[1\0]"), "json_syntax", 2},
    {LITERAL("01"), "json_trailing", 1},
    {LITERAL("[01]"), "json_syntax", 2},
    {LITERAL("[1,]"), "json_syntax", 3},
    {LITERAL("[,1]"), "json_syntax", 1},
    {LITERAL("[1 2]"), "json_syntax", 3},
    {LITERAL("[1}"), "json_syntax", 2},
    {LITERAL("{\"a\":1]"), "json_syntax", 6},
    {LITERAL("{a:1}"), "json_syntax", 1},
    {LITERAL("{'a':1}"), "json_syntax", 1},
    {LITERAL("{\"a\" 1}"), "json_syntax", 5},
    {LITERAL("{\"a\":1,}"), "json_syntax", 7},
    {LITERAL("{1:1}"), "json_syntax", 1},
    {LITERAL("[1]//"), "json_trailing", 3},
    {LITERAL("/**/[]"), "json_syntax", 0},
    {LITERAL("True"), "json_syntax", 0},
    {LITERAL("nul"), "json_syntax", 0},
    {LITERAL("nulls"), "json_trailing", 4},
    {LITERAL("NaN"), "json_syntax", 0},
    {LITERAL("-Infinity"), "json_number", 1},
    {LITERAL("\f[]"), "json_syntax", 0},
    {LITERAL("\xc2\xa0[]"), "json_syntax", 0},
    {LITERAL("\0"), "json_syntax", 0},
    {LITERAL("\"\xff\""), "json_utf8", 1},
    {LITERAL("\"12345678\xc0\xaf\""), "json_utf8", 9},
    {LITERAL("\"\xed\xa0\x80\""), "json_utf8", 1},
    {LITERAL("\"\xe2\x82\""), "json_utf8", 1},
    {LITERAL("\"\xf4\x90\x80\x80\""), "json_utf8", 1},
    {LITERAL("{\"\xff\":1}"), "json_utf8", 2},
    {LITERAL("\"a\nb\""), "json_control_character", 2},
    {LITERAL("\"a\0b\""), "json_control_character", 2},
    {LITERAL("\"12345678\x1f\""), "json_control_character", 9},
    {LITERAL("\"\\x41\""), "json_escape", 1},
    {LITERAL("\"\\'\""), "json_escape", 1},
    {LITERAL("\"\\u12g4\""), "json_escape", 1},
    {LITERAL("\"\\u12"), "json_escape", 1},
    {LITERAL("\"\\\0\""), "json_escape", 1},
    {LITERAL("\"\\"), "json_escape", 1},
    {LITERAL("\"\\ud800\""), "json_surrogate", 1},
    {LITERAL("\"\\ud800\\n\""), "json_surrogate", 1},
    {LITERAL("\"\\ud800\\ud800\""), "json_surrogate", 1},
    {LITERAL("\"\\udc00\""), "json_surrogate", 1},
    {LITERAL("\"a\\udc00\\ud800\""), "json_surrogate", 2},
    {LITERAL("\"\\u0000\""), "json_nul", 1},
    {LITERAL("{\"a\\u0000\":1}"), "json_nul", 3},
    {LITERAL("[9223372036854775808]"), "json_number_range", 1},
    {LITERAL("{\"a\":1,\"a\":2}"), "json_duplicate", 10},
    {LITERAL("{\"a\":1,\"\\u0061\":2}"), "json_duplicate", 15},
    {LITERAL("[{\"b\":{\"a\":1,\"a\":1}}]"), "json_duplicate", 16},
    {LITERAL("[1, 2.5, \"\\u00e4\\ud83d\\ude00 \xc3\xa4\", true, false, null, {\"\": {}}, [[]]]"), "", 0},
    {LITERAL(" 1 "), "", 0},
    {LITERAL("\"\x7f\""), "", 0},
    {LITERAL("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\uD800\\uDC00\"]"), "", 0},
    {LITERAL("{\"a\":{\"a\":{\"a\":1}},\"A\":2}"), "", 0},
};

START_TEST(test_words)
{
    const struct row *row = &rows[_i];
    struct defect defect;
    ck_assert_str_eq(judge(row->text, &wide, &defect), row->word);
    ck_assert_uint_eq(defect.offset, row->offset);
}
END_TEST

/* Every text cut at every byte is refused, or was a whole number before. */
START_TEST(test_cut)
{
    static const char whole[] =
        "{\"a\\n\\u00e4\": [1, -2.5e+3, true, {\"b\": \"\xc3\xa4\\ud83d\\ude00\"}, null]}";
    struct defect defect;
    ck_assert_str_eq(judge(text_of(whole), &wide, &defect), "");
    for (size_t length = 0; length < sizeof whole - 1; length++)
        ck_assert_str_ne(judge((struct text){whole, length}, &wide, &defect), "");
}
END_TEST

/* ---- numbers */

struct number_row {
    const char *text;
    enum json_number strict, rounded;
};

#define GOOD      JSON_NUMBER_GOOD
#define RANGE     JSON_NUMBER_RANGE
#define PRECISION JSON_NUMBER_PRECISION

static const struct number_row numbers[] = {
    {"0", GOOD, GOOD},
    {"-0", GOOD, GOOD},
    {"999999999999999999", GOOD, GOOD},
    {"9223372036854775807", GOOD, GOOD},
    {"9223372036854775808", RANGE, RANGE},
    {"-9223372036854775808", GOOD, GOOD},
    {"-9223372036854775809", RANGE, RANGE},
    {"10000000000000000000", RANGE, RANGE},
    {"18446744073709551616", RANGE, RANGE},
    {"100000000000000000000000000000000000000000", RANGE, RANGE},
    {"0.1", GOOD, GOOD},
    {"-0.0", GOOD, GOOD},
    {"1.0", GOOD, GOOD},
    {"1.10", GOOD, GOOD},
    {"1e3", GOOD, GOOD},
    {"1E-7", GOOD, GOOD},
    {"0.30000000000000004", GOOD, GOOD},         /* 0.1 + 0.2 */
    {"0.3000000000000000", GOOD, GOOD},          /* 0.3 */
    {"0.30000000000000001", PRECISION, GOOD},    /* reads as 0.3 */
    {"0.10000000000000000555", PRECISION, GOOD}, /* the same double as 0.1 */
    {"123456789012345678.0", PRECISION, GOOD},
    {"9007199254740992.0", GOOD, GOOD},
    {"9007199254740993.0", PRECISION, GOOD}, /* 2^53 + 1 */
    {"1000000000000000000000000000000.0", GOOD, GOOD},
    {"0.000000000000000000000000000000000000001", GOOD, GOOD},
    {"1.7976931348623157e308", GOOD, GOOD},
    {"1.7976931348623159e308", RANGE, GOOD},
    {"1e309", RANGE, GOOD},
    {"1e400", RANGE, GOOD},
    {"-1e99999999999999999999999999", RANGE, GOOD},
    {"0e99999999999999999999999999", GOOD, GOOD},
    {"0.000e-400", GOOD, GOOD},
    {"2.2250738585072014e-308", GOOD, GOOD},
    {"2.225073858507201e-308", RANGE, GOOD}, /* the largest subnormal one */
    {"5e-324", RANGE, GOOD},
    {"4.9e-324", RANGE, GOOD},
    {"3e-324", RANGE, GOOD},
    {"1e-324", RANGE, GOOD},
    {"1e-400", RANGE, GOOD},
    {"1e-99999999999999999999999999", RANGE, GOOD},
    {"3.141592653589793", GOOD, GOOD},
    {"3.14159265358979323846", PRECISION, GOOD},
    {"1.2345678901234567", GOOD, GOOD},
    {"100e-2", GOOD, GOOD},
};

START_TEST(test_numbers)
{
    const struct number_row *row = &numbers[_i];
    struct text text = text_of(row->text);
    size_t length;
    ck_assert_int_eq(json_number_judge(text, false, &length), row->strict);
    ck_assert_uint_eq(length, text.length);
    ck_assert_int_eq(json_number_judge(text, true, &length), row->rounded);
}
END_TEST

/* Where rounding is allowed, infinity still is not, whoever finds it. */
START_TEST(test_rounded)
{
    struct json_limits limits = wide;
    struct defect defect;
    limits.rounded = true;
    ck_assert_str_eq(judge(TEXT("[3.14159265358979323846, 1e-400]"), &limits, &defect), "");
    ck_assert_str_eq(judge(TEXT("[1, -1e400]"), &limits, &defect), "json_number_range");
    ck_assert_str_eq(judge(TEXT("[9223372036854775808]"), &limits, &defect), "json_number_range");
}
END_TEST

/* The shortest decimal of a double is taken, a longer one for the same double is not. */
START_TEST(test_written_doubles)
{
    uint64_t bits = UINT64_C(0x9e3779b97f4a7c15);
    for (int i = 0; i < 20000; i++) {
        char text[48];
        double value;
        size_t length;
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&value, &bits, sizeof value);
        if (!(value - value == 0)) /* infinite, or no number */
            continue;
        int precision = -1;
        do
            snprintf(text, sizeof text, "%.*e", ++precision, value);
        while (strtod(text, NULL) != value);
        if (fabs(value) < DBL_MIN) {
            ck_assert_msg(json_number_judge(text_of(text), false, &length) == RANGE, "%s", text);
            continue;
        }
        ck_assert_msg(json_number_judge(text_of(text), false, &length) == GOOD, "%s", text);
        snprintf(text, sizeof text, "%.16e", value);
        if (precision < 16 && text[strcspn(text, "e") - 1] != '0')
            ck_assert_msg(json_number_judge(text_of(text), false, &length) == PRECISION, "%s", text);
    }
}
END_TEST

/* Few digits, which are read without the C library, and the least that it is asked for. */
START_TEST(test_short_reals)
{
    struct json_limits limits = wide;
    struct defect defect;
    uint64_t bits = UINT64_C(0x9e3779b97f4a7c15);
    limits.rounded = true;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        int fraction = 1 + (int)(bits % 16), digits = 1 + (int)(bits / 16 % 17);
        long whole = (long)(bits >> 8) % (long)pow(10, digits);
        snprintf(text, sizeof text, "[-%ld.%0*ld, %ld]", whole, fraction, whole % (long)pow(10, fraction),
                 whole);
        ck_assert_str_eq(judge(text_of(text), &limits, &defect), "");
    }
}
END_TEST

static const char *const edges[] = {
    "-0.0",
    "0.0",
    "-0",
    "0e5",
    "-9223372036854775808",
    "9223372036854775807",
    "999999999999999999",
    "1000000000000000000",
    "0.000000000000001",
    "999999999999999.0",
    "9007199254740993.0",
    "1e22",
    "1E-22",
    "123456789012345.6",
    "0.1000000000000000000000000000000000000000000000000000000000000000000000000001",
    "\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "{\"\\u00e9\\\"\":\"\\\"\",\"b\":[{},[],{\"c\":{}}]}",
    "[ [ ] , { } , \"\" ]",
};

START_TEST(test_edges)
{
    struct json_limits limits = wide;
    struct defect defect;
    limits.rounded = true;
    ck_assert_str_eq(judge(text_of(edges[_i]), &limits, &defect), "");
}
END_TEST

/* ---- limits */

struct limit_row {
    const char *text;
    struct json_limits most; /* the smallest limits that take it */
};

static const struct limit_row limit_rows[] = {
    {"1", {0, 1, 0, 0, false}},
    {"\"abc\"", {0, 1, 0, 3, false}},
    {"\"\\u00e4\\n\\ud83d\\ude00\"", {0, 1, 0, 7, false}},
    {"\"\xc3\xa4\"", {0, 1, 0, 2, false}},
    {"[]", {1, 1, 0, 0, false}},
    {"{}", {1, 1, 0, 0, false}},
    {"[[],[[]]]", {3, 4, 0, 0, false}},
    {"{\"ab\":{\"c\":1,\"d\":2},\"e\":[1,2,3]}", {2, 8, 2, 2, false}},
    {"[{\"a\":1},{\"b\":1},{\"c\":1,\"d\":1,\"e\":1}]", {2, 9, 3, 1, false}},
};

START_TEST(test_limits)
{
    const struct limit_row *row = &limit_rows[_i];
    struct text text = text_of(row->text);
    struct defect defect;
    ck_assert_str_eq(judge(text, &row->most, &defect), "");
    struct json_limits less = row->most;
    if (less.depth-- > 0)
        ck_assert_str_eq(judge(text, &less, &defect), "json_depth");
    less = row->most;
    if (less.values-- > 0)
        ck_assert_str_eq(judge(text, &less, &defect), "json_values");
    less = row->most;
    if (less.members-- > 0)
        ck_assert_str_eq(judge(text, &less, &defect), "json_members");
    less = row->most;
    if (less.string-- > 0)
        ck_assert_str_eq(judge(text, &less, &defect), "json_string");
}
END_TEST

START_TEST(test_deepest)
{
    struct json_limits limits = wide;
    struct defect defect;
    char text[2 * JSON_DEPTH_MOST + 2];
    limits.depth = JSON_DEPTH_MOST;
    memset(text, '[', JSON_DEPTH_MOST);
    memset(text + JSON_DEPTH_MOST, ']', JSON_DEPTH_MOST);
    ck_assert_str_eq(judge((struct text){text, sizeof text - 2}, &limits, &defect), "");
    memset(text, '[', JSON_DEPTH_MOST + 1);
    memset(text + JSON_DEPTH_MOST + 1, ']', JSON_DEPTH_MOST + 1);
    ck_assert_str_eq(judge((struct text){text, sizeof text}, &limits, &defect), "json_depth");
    ck_assert_uint_eq(defect.offset, JSON_DEPTH_MOST);
}
END_TEST

/* ---- JSONTestSuite */

/* Valid JSON that is refused all the same. */
static const struct {
    const char *name, *word;
} exceptions[] = {
    {"y_object_duplicated_key", "json_duplicate"},
    {"y_object_duplicated_key_and_value", "json_duplicate"},
    {"y_object_escaped_null_in_key", "json_nul"},
    {"y_string_null_escape", "json_nul"},
};

static const char *expected_word(const char *name)
{
    for (size_t i = 0; i < COUNT(exceptions); i++)
        if (strcmp(exceptions[i].name, name) == 0)
            return exceptions[i].word;
    return "";
}

/* The bytes that a line writes, `count` times. */
static struct text unescape(struct text line, size_t count)
{
    char *bytes = arena_array(arena, line.length + 1, count);
    size_t length = 0;
    for (size_t i = 0; i < line.length; i++) {
        char byte = line.at[i];
        if (byte == '\\' && line.at[++i] == 'x') {
            byte = (char)(text_hex_value(line.at[i + 1]) << 4 | text_hex_value(line.at[i + 2]));
            i += 2;
        }
        bytes[length++] = byte;
    }
    for (size_t i = 1; i < count; i++)
        memcpy(bytes + i * length, bytes, length);
    return (struct text){bytes, length * count};
}

START_TEST(test_suite)
{
    struct json_limits limits = wide;
    struct defect defect;
    char line[4096], name[256];
    size_t cases = 0, count;
    int start;
    FILE *file = fopen(CASES, "re");
    ck_assert_ptr_nonnull(file);
    limits.values = 1000000;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        ck_assert_int_eq(sscanf(line, "%255s %zu%n", name, &count, &start), 2);
        const char *word = judge(unescape(text_of(line + start + 1), count), &limits, &defect);
        if (name[0] == 'y')
            ck_assert_msg(strcmp(word, expected_word(name)) == 0, "%s: %s", name, word);
        if (name[0] == 'n')
            ck_assert_msg(*word && strcmp(word, "json_duplicate") != 0, "%s", name);
        cases++;
    }
    fclose(file);
    ck_assert_uint_eq(cases, 318);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("json");
    TCase *tests = tcase_create("body");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, test_words, 0, COUNT(rows));
    tcase_add_test(tests, test_cut);
    tcase_add_loop_test(tests, test_numbers, 0, COUNT(numbers));
    tcase_add_test(tests, test_rounded);
    tcase_add_test(tests, test_written_doubles);
    tcase_add_test(tests, test_short_reals);
    tcase_add_loop_test(tests, test_edges, 0, COUNT(edges));
    tcase_add_loop_test(tests, test_limits, 0, COUNT(limit_rows));
    tcase_add_test(tests, test_deepest);
    tcase_add_test(tests, test_suite);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
