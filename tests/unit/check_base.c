/*
 * Tests of src/base: what the other folders take for granted of memory, text,
 * buffers, errors, clocks and the log.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct text text_at(const char *at, size_t length)
{
    return (struct text){at, length};
}

static void assert_text(struct text found, const char *expected)
{
    ck_assert_msg(text_equal(found, text_of(expected)), "\"%.*s\" instead of \"%s\"", TEXT_ARGUMENTS(found),
                  expected);
}

/* ---- arena */

static bool is_zero(const char *at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (at[i])
            return false;
    return true;
}

START_TEST(arena_gives_zeroed_aligned_memory)
{
    static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 100, 4096, 16 * 1024, 16 * 1024 + 1, 1 << 20, 3};
    struct arena *arena = arena_new();
    char *before = NULL;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *at = arena_alloc(arena, sizes[i]);
        ck_assert_ptr_nonnull(at);
        ck_assert_ptr_ne(at, before);
        ck_assert_uint_eq((uintptr_t)at % _Alignof(max_align_t), 0);
        ck_assert(is_zero(at, sizes[i]));
        memset(at, 0xff, sizes[i]);
        before = at;
    }
    arena_free(arena);
}
END_TEST

START_TEST(arena_pieces_do_not_overlap)
{
    enum { PIECES = 2000 };
    struct arena *arena = arena_new();
    unsigned char *pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = arena_alloc(arena, 1 + i % 97);
        memset(pieces[i], (int)(i % 251), 1 + i % 97);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t j = 0; j < 1 + i % 97; j++)
            ck_assert_uint_eq(pieces[i][j], i % 251);
    arena_free(arena);
}
END_TEST

START_TEST(arena_is_wiped_and_used_again)
{
    struct arena *arena = arena_new();
    for (int round = 0; round < 3; round++) {
        char *secret = arena_copy(arena, "hunter2", 7);
        ck_assert_str_eq(secret, "hunter2");
        memset(arena_alloc(arena, 100000), 'x', 100000);
        arena_reset(arena);
        char *again = arena_alloc(arena, 15000);
        ck_assert_ptr_eq(again, secret); /* the first block is kept */
        ck_assert(is_zero(again, 15000));
        arena_reset(arena);
    }
    arena_free(arena);
    arena_free(NULL);
}
END_TEST

START_TEST(arena_copies_and_formats)
{
    struct arena *arena = arena_new();
    char *copy = arena_copy(arena, "a\0b", 3);
    ck_assert_mem_eq(copy, "a\0b\0", 4);
    ck_assert_str_eq(arena_copy(arena, NULL, 0), "");
    ck_assert_str_eq(arena_printf(arena, "%s-%d", "x", 42), "x-42");
    ck_assert_str_eq(arena_printf(arena, "%s", ""), "");
    ck_assert_uint_eq(strlen(arena_printf(arena, "%050000d", 1)), 50000);
    uint64_t *numbers = arena_array(arena, 5, sizeof *numbers);
    ck_assert(is_zero((char *)numbers, 5 * sizeof *numbers));
    ck_assert_ptr_nonnull(arena_array(arena, 0, 8));
    arena_free(arena);
}
END_TEST

START_TEST(arena_array_checks_the_product)
{
    struct arena *arena = arena_new();
    arena_array(arena, SIZE_MAX / 16 + 2, 16); /* would be 16 bytes; aborts */
    arena_free(arena);
}
END_TEST

START_TEST(arena_alloc_checks_the_size)
{
    struct arena *arena = arena_new();
    arena_alloc(arena, SIZE_MAX - 3); /* aborts */
    arena_free(arena);
}
END_TEST

/* ---- text */

START_TEST(texts_compare)
{
    static const struct {
        const char *a, *b;
        bool equal, ignoring_case, starts, ends;
    } rows[] = {
        {"", "", true, true, true, true},
        {"a", "", false, false, true, true},
        {"", "a", false, false, false, false},
        {"abc", "abc", true, true, true, true},
        {"abc", "ABC", false, true, false, false},
        {"abc", "ab", false, false, true, false},
        {"abc", "bc", false, false, false, true},
        {"abc", "abcd", false, false, false, false},
        {"[", "{", false, false, false, false}, /* 0x20 apart, and no letters */
        {"@", "`", false, false, false, false},
        {"\xc3\x84", "\xc3\xa4", false, false, false, false}, /* only ASCII folds */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text a = text_of(rows[i].a), b = text_of(rows[i].b);
        ck_assert_msg(text_equal(a, b) == rows[i].equal, "row %zu", i);
        ck_assert_msg(text_equal_ignore_case(a, b) == rows[i].ignoring_case, "row %zu", i);
        ck_assert_msg(text_starts_with(a, b) == rows[i].starts, "row %zu", i);
        ck_assert_msg(text_ends_with(a, b) == rows[i].ends, "row %zu", i);
    }
    ck_assert(!text_equal(text_at("a\0b", 3), text_at("a\0c", 3)));
    ck_assert(text_equal(text_of(NULL), TEXT("")));
    ck_assert(text_starts_with(text_of(NULL), text_of(NULL)));
}
END_TEST

START_TEST(texts_are_cut)
{
    assert_text(text_trim(TEXT(" \t a b\t ")), "a b");
    assert_text(text_trim(TEXT("a\r\n")), "a\r\n"); /* OWS is spaces and tabs */
    assert_text(text_trim(TEXT(" \t")), "");
    assert_text(text_trim(text_of(NULL)), "");
    assert_text(text_from(TEXT("abc"), 1), "bc");
    assert_text(text_from(TEXT("abc"), 3), "");
    assert_text(text_from(TEXT("abc"), 99), "");
    assert_text(text_from(text_of(NULL), 1), "");
    assert_text(text_cut(TEXT("abc"), 3), "abc");
    assert_text(text_cut(TEXT("abc"), 2), "ab");
    assert_text(text_cut(TEXT("abc"), 0), "");
    assert_text(text_cut(TEXT("a\xe2\x82\xac"), 4), "a\xe2\x82\xac");
    assert_text(text_cut(TEXT("a\xe2\x82\xac"), 3), "a");
    assert_text(text_cut(TEXT("a\xe2\x82\xac"), 2), "a");
    assert_text(text_cut(TEXT("\x80\x80\x80"), 2), "");
    ck_assert_uint_eq(text_find(TEXT("abcb"), 'b'), 1);
    ck_assert_uint_eq(text_find(TEXT("abc"), 'x'), 3);
    ck_assert_uint_eq(text_find(text_at("a\0b", 3), '\0'), 1);
    ck_assert_uint_eq(text_find(text_of(NULL), 'x'), 0);
}
END_TEST

START_TEST(pieces_come_one_by_one)
{
    static const struct {
        const char *list, *joined;
    } rows[] = {{"", ""}, {"a", "<a>"}, {"a,,b", "<a><><b>"}, {",a", "<><a>"}, {"a,", "<a>"}, {",", "<>"}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text rest = text_of(rows[i].list), piece;
        char joined[64] = "";
        while (text_next(&rest, ',', &piece))
            snprintf(joined + strlen(joined), sizeof joined - strlen(joined), "<%.*s>",
                     TEXT_ARGUMENTS(piece));
        ck_assert_str_eq(joined, rows[i].joined);
    }
}
END_TEST

START_TEST(text_is_lowered)
{
    struct arena *arena = arena_new();
    struct text lower = text_lower(arena, TEXT("X-Forwarded_FOR \xc3\x84@[Z"));
    ck_assert_str_eq(lower.at, "x-forwarded_for \xc3\x84@[z");
    ck_assert_uint_eq(text_lower(arena, text_of(NULL)).length, 0);
    arena_free(arena);
}
END_TEST

START_TEST(numbers_are_read)
{
    static const struct {
        const char *text;
        uint64_t limit;
        bool good;
        uint64_t number;
    } rows[] = {
        {"0", 0, true, 0},
        {"007", 7, true, 7},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"99999999999999999999999", UINT64_MAX, false, 0},
        {"", UINT64_MAX, false, 0},
        {"-1", UINT64_MAX, false, 0},
        {"+1", UINT64_MAX, false, 0},
        {" 1", UINT64_MAX, false, 0},
        {"1 ", UINT64_MAX, false, 0},
        {"0x10", UINT64_MAX, false, 0},
        {"1e3", UINT64_MAX, false, 0},
        {"1.0", UINT64_MAX, false, 0},
        {"\xd9\xa1", UINT64_MAX, false, 0}, /* an Arabic digit */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t number = 12345;
        ck_assert_msg(text_number(text_of(rows[i].text), rows[i].limit, &number) == rows[i].good, "\"%s\"",
                      rows[i].text);
        ck_assert_uint_eq(number, rows[i].good ? rows[i].number : 12345);
    }
    uint64_t number;
    ck_assert(!text_number(text_at("1\0", 2), 10, &number));
}
END_TEST

START_TEST(tokens_are_told)
{
    static const char allowed[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool expected = c && strchr(allowed, c) != NULL;
        ck_assert_msg(text_is_token(text_at(&byte, 1)) == expected, "byte %d", c);
    }
    ck_assert(!text_is_token(TEXT("")));
    ck_assert(text_is_token(TEXT("X-Request-ID")));
    ck_assert(!text_is_token(TEXT("X Request")));
}
END_TEST

START_TEST(utf8_is_checked)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"", true},
        {"plain\x7f", true},
        {"\xc2\x80\xdf\xbf", true},
        {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", true},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", true},
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\xaf", false},         /* overlong "/" */
        {"\xc1\xbf", false},         /* overlong */
        {"\xe0\x80\xaf", false},     /* overlong "/" */
        {"\xe0\x9f\xbf", false},     /* overlong */
        {"\xf0\x80\x80\xaf", false}, /* overlong "/" */
        {"\xf0\x8f\xbf\xbf", false}, /* overlong */
        {"\xed\xa0\x80", false},     /* surrogate */
        {"\xed\xbf\xbf", false},     /* surrogate */
        {"\xf4\x90\x80\x80", false}, /* past U+10FFFF */
        {"\xf5\x80\x80\x80", false},
        {"\xff", false},
        {"\xfe", false},
        {"\xc2", false}, /* cut off */
        {"\xe2\x82", false},
        {"\xf0\x90\x80", false},
        {"\xc2"
         "a",
         false},
        {"\xe2\x82"
         "a",
         false},
        {"\xf0\x90\x80"
         "a",
         false},
        {"a\xc2\x80\x80", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_msg(text_is_utf8(text_of(rows[i].text)) == rows[i].good, "row %zu", i);
    ck_assert(text_is_utf8(text_at("a\0b", 3)));
    ck_assert_uint_eq(text_utf8_sequence(TEXT("\xe2\x82\xac!")), 3);
    ck_assert_uint_eq(text_utf8_sequence(TEXT("a")), 1);
    ck_assert_uint_eq(text_utf8_sequence(TEXT("")), 0);
    ck_assert_uint_eq(text_utf8_sequence(TEXT("\xe2\x82")), 0);
}
END_TEST

START_TEST(a_line_has_nothing_that_moves_a_terminal)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = {
        {"", true},
        {"plain \"text\" ~", true},
        {"\xc2\xa0\xc3\xb6\xe2\x82\xac\xf0\x9f\x94\x91", true},
        {"\xe2\x80\xaf", true}, /* U+202F, a blank */
        {"a\tb", false},
        {"a\nb", false},
        {"\x1b[2J", false},
        {"\x7f", false},
        {"a\xc2\x80", false},
        {"\xc2\x9f", false},
        {"\xe2\x80\x8e", false}, /* marks of direction */
        {"\xe2\x80\x8f", false},
        {"\xe2\x80\xa8", false}, /* ends of line and paragraph */
        {"\xe2\x80\xa9", false},
        {"\xe2\x80\xae", false}, /* right to left from here */
        {"\xe2\x81\xa6", false},
        {"\xe2\x81\xa9", false},
        {"a\xff", false},
        {"a\xc3", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_msg(text_is_line(text_of(rows[i].text)) == rows[i].good, "row %zu", i);
    ck_assert(!text_is_line(text_at("a\0b", 3)));
    ck_assert(text_is_line((struct text){NULL, 0}));
    ck_assert(!text_is_control(TEXT("")));
}
END_TEST

/* ---- bytes */

START_TEST(bytes_grow_to_their_limit)
{
    struct arena *arena = arena_new();
    struct bytes bytes = bytes_new(arena, 1000);
    ck_assert_uint_eq(bytes_text(&bytes).length, 0);
    for (int i = 0; i < 1000; i++)
        bytes_add(&bytes, "x", 1);
    ck_assert(!bytes.full);
    ck_assert_uint_eq(bytes.length, 1000);
    bytes_add(&bytes, "", 0);
    ck_assert(!bytes.full);
    bytes_add(&bytes, "y", 1);
    ck_assert(bytes.full);
    ck_assert_uint_eq(bytes.length, 1000);
    ck_assert_uint_eq(text_find(bytes_text(&bytes), 'y'), 1000);
    arena_free(arena);
}
END_TEST

START_TEST(what_does_not_fit_is_left_out_whole)
{
    struct arena *arena = arena_new();
    struct bytes bytes = bytes_new(arena, 5);
    bytes_add_text(&bytes, TEXT("abc"));
    bytes_add_text(&bytes, TEXT("def"));
    assert_text(bytes_text(&bytes), "abc");
    ck_assert(bytes.full);
    bytes_add_text(&bytes, TEXT("d")); /* would fit, but what went before it is missing */
    assert_text(bytes_text(&bytes), "abc");

    bytes = bytes_new(arena, 5);
    bytes_printf(&bytes, "%d%s", 1234, "5");
    assert_text(bytes_text(&bytes), "12345");
    ck_assert(!bytes.full);

    bytes = bytes_new(arena, 5);
    bytes_add_json(&bytes, TEXT("abcd"));
    assert_text(bytes_text(&bytes), "");
    ck_assert(bytes.full);

    bytes = bytes_new(arena, 0);
    bytes_add_text(&bytes, text_of(NULL));
    ck_assert(!bytes.full);
    bytes_add(&bytes, "x", 1);
    ck_assert(bytes.full);
    arena_free(arena);
}
END_TEST

START_TEST(json_strings_are_escaped)
{
    static const struct {
        struct text text;
        const char *json;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"plain /", 7}, "\"plain /\""},
        {{"\"\\", 2}, "\"\\\"\\\\\""},
        {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
        {{"\0\x01\x1f", 3}, "\"\\u0000\\u0001\\u001f\""},
        {{"\x7f", 1}, "\"\\u007f\""},
        {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {{"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", 9}, "\"\\u2028\\u2029\xe2\x80\xaa\""},
        {{"a\xff"
          "b",
          3},
         "\"a\\ufffdb\""},
        {{"\xe2\x82", 2}, "\"\\ufffd\\ufffd\""},
        {{"\xc0\xaf", 2}, "\"\\ufffd\\ufffd\""},
        {{"\xed\xa0\x80", 3}, "\"\\ufffd\\ufffd\\ufffd\""},
    };
    struct arena *arena = arena_new();
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct bytes bytes = bytes_new(arena, 1000);
        bytes_add_json(&bytes, rows[i].text);
        assert_text(bytes_text(&bytes), rows[i].json);
    }
    arena_free(arena);
}
END_TEST

/* ---- error */

START_TEST(the_first_error_wins)
{
    struct error error = {0};
    ck_assert(!error_set(&error, "number %d", 1));
    ck_assert(error.set);
    ck_assert_int_eq(error.number, 0);
    ck_assert_str_eq(error.message, "number 1");
    errno = ENOENT;
    ck_assert(!error_set_errno(&error, "number %d", 2));
    ck_assert(!error_set(&error, "number %d", 3));
    ck_assert_str_eq(error.message, "number 1");
    ck_assert_int_eq(error.number, 0);
}
END_TEST

START_TEST(errors_keep_errno)
{
    struct error error = {0};
    errno = ENOENT;
    ck_assert(!error_set_errno(&error, "cannot open %s", "/x"));
    ck_assert_str_eq(error.message, "cannot open /x: No such file or directory");
    ck_assert_int_eq(error.number, ENOENT);

    struct error unknown = {0};
    errno = 99999;
    error_set_errno(&unknown, "odd");
    ck_assert_str_eq(unknown.message, "odd: unknown error");
}
END_TEST

START_TEST(long_errors_are_cut)
{
    static char longer[1000];
    memset(longer, 'x', sizeof longer - 1);
    struct error error = {0};
    error_set(&error, "%s", longer);
    ck_assert_uint_eq(strlen(error.message), sizeof error.message - 1);
    struct error again = {0};
    errno = EPERM;
    error_set_errno(&again, "%s", longer);
    ck_assert_uint_eq(strlen(again.message), sizeof again.message - 1);
    ck_assert_int_eq(again.number, EPERM);
}
END_TEST

/* ---- clock */

START_TEST(times_are_written)
{
    static const struct {
        int64_t milliseconds;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {951782400999, "2000-02-29T00:00:00.999Z"},
        {1769860800000, "2026-01-31T12:00:00.000Z"},
        {4102444799042, "2099-12-31T23:59:59.042Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
        {-1, "1970-01-01T00:00:00.000Z"},
        {INT64_MIN, "1970-01-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char time[CLOCK_RFC3339_SIZE];
        ck_assert_ptr_eq(clock_rfc3339(rows[i].milliseconds, time), time);
        ck_assert_str_eq(time, rows[i].text);
    }
}
END_TEST

START_TEST(clocks_go_on)
{
    uint64_t milliseconds = clock_milliseconds(), microseconds = clock_microseconds();
    int64_t wall = clock_wall_milliseconds();
    usleep(20000);
    ck_assert_uint_ge(clock_milliseconds() - milliseconds, 19);
    ck_assert_uint_lt(clock_milliseconds() - milliseconds, 10000);
    ck_assert_uint_ge(clock_microseconds() - microseconds, 20000);
    ck_assert_int_ge(clock_wall_milliseconds(), wall);
    ck_assert_int_gt(wall, INT64_C(1600000000000));
}
END_TEST

/* ---- log */

static char folder[64];
static char path[80], target[100];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/check_base.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(target, sizeof target, "file:%s", path);
}

static void remove_folder(void)
{
    char other[100];
    snprintf(other, sizeof other, "%s.1", path);
    unlink(path);
    unlink(other);
    rmdir(folder);
}

static char *read_file(const char *name)
{
    static char content[1 << 20];
    int file = open(name, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(file, 0);
    ssize_t length = read(file, content, sizeof content - 1);
    ck_assert_int_ge(length, 0);
    content[length] = '\0';
    close(file);
    return content;
}

static void open_log(enum severity least)
{
    struct error error = {0};
    ck_assert_msg(log_open(target, least, &error), "%s", error.message);
}

START_TEST(severities_have_names)
{
    ck_assert_str_eq(severity_name(SEVERITY_DEBUG), "debug");
    ck_assert_str_eq(severity_name(SEVERITY_INFO), "info");
    ck_assert_str_eq(severity_name(SEVERITY_NOTICE), "notice");
    ck_assert_str_eq(severity_name(SEVERITY_WARNING), "warning");
    ck_assert_str_eq(severity_name(SEVERITY_ERROR), "error");
}
END_TEST

START_TEST(log_file_takes_lines)
{
    struct stat status;
    umask(0);
    open_log(SEVERITY_NOTICE);
    ck_assert(!log_wants(SEVERITY_INFO));
    ck_assert(log_wants(SEVERITY_NOTICE));
    log_line(SEVERITY_INFO, TEXT("{\"lost\":1}"));
    log_line(SEVERITY_NOTICE, TEXT("{\"kept\":1}"));
    log_line(SEVERITY_ERROR, TEXT("{\"kept\":2}"));
    ck_assert_str_eq(read_file(path), "{\"kept\":1}\n{\"kept\":2}\n");
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0640);
    ck_assert_int_eq(fcntl(log_descriptor(), F_GETFD), FD_CLOEXEC);
    open_log(SEVERITY_DEBUG); /* appends */
    log_line(SEVERITY_DEBUG, TEXT("{}"));
    ck_assert_str_eq(read_file(path), "{\"kept\":1}\n{\"kept\":2}\n{}\n");
}
END_TEST

START_TEST(log_line_may_be_as_long_as_its_size)
{
    static char longest[LOG_LINE_SIZE];
    open_log(SEVERITY_INFO);
    memset(longest, 'x', sizeof longest);
    log_line(SEVERITY_INFO, text_at(longest, LOG_LINE_SIZE - 1));
    ck_assert_uint_eq(strlen(read_file(path)), LOG_LINE_SIZE);
}
END_TEST

START_TEST(log_line_that_is_too_long_is_a_bug)
{
    static char longer[LOG_LINE_SIZE];
    memset(longer, 'x', sizeof longer);
    log_line(SEVERITY_ERROR, text_at(longer, LOG_LINE_SIZE)); /* aborts */
}
END_TEST

START_TEST(events_are_objects)
{
    char time[CLOCK_RFC3339_SIZE];
    open_log(SEVERITY_INFO);
    log_event(SEVERITY_DEBUG, "hidden", "nothing");
    log_event(SEVERITY_WARNING, "reload_failed", "line %d: \"%s\"\n", 3, "\x1b[31m");
    char *line = read_file(path);
    ck_assert_uint_eq(strspn(line + strlen("{\"time\":\""), "0123456789-T:.Z"), CLOCK_RFC3339_SIZE - 1);
    ck_assert_ptr_nonnull(strstr(line, "\",\"level\":\"warning\",\"event\":\"reload_failed\","
                                       "\"message\":\"line 3: \\\"\\u001b[31m\\\"\\n\"}\n"));
    ck_assert_ptr_null(strstr(line, "hidden"));
    clock_rfc3339(clock_wall_milliseconds(), time);
    ck_assert_mem_eq(line + strlen("{\"time\":\""), time, strlen("2026-"));
}
END_TEST

START_TEST(long_events_are_cut)
{
    static char longer[10000];
    open_log(SEVERITY_INFO);
    memset(longer, 0xff, sizeof longer - 1); /* each byte becomes \ufffd */
    log_event(SEVERITY_ERROR, "long", "%s", longer);
    char *line = read_file(path);
    size_t length = strlen(line);
    ck_assert_uint_gt(length, 1000);
    ck_assert_uint_le(length, LOG_LINE_SIZE);
    ck_assert_str_eq(line + length - 3, "\"}\n");
}
END_TEST

START_TEST(log_follows_a_rotation)
{
    struct error error = {0};
    char rotated[100];
    snprintf(rotated, sizeof rotated, "%s.1", path);
    open_log(SEVERITY_INFO);
    log_line(SEVERITY_INFO, TEXT("{\"n\":1}"));
    ck_assert_int_eq(rename(path, rotated), 0);
    log_line(SEVERITY_INFO, TEXT("{\"n\":2}"));
    int before = log_descriptor();
    ck_assert(log_reopen(&error));
    ck_assert_int_eq(log_descriptor(), before); /* a sandbox knows it by its number */
    ck_assert_int_eq(fcntl(before, F_GETFD), FD_CLOEXEC);
    log_line(SEVERITY_INFO, TEXT("{\"n\":3}"));
    ck_assert_str_eq(read_file(rotated), "{\"n\":1}\n{\"n\":2}\n");
    ck_assert_str_eq(read_file(path), "{\"n\":3}\n");

    unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0); /* cannot be opened to write */
    ck_assert(!log_reopen(&error));
    ck_assert_ptr_nonnull(strstr(error.message, path));
    log_line(SEVERITY_INFO, TEXT("{\"n\":4}")); /* to the old file, which has no name */
    ck_assert_int_ge(fcntl(log_descriptor(), F_GETFL), 0);
    rmdir(path);
}
END_TEST

static int fetch(void *context, struct error *error)
{
    int passed = *(int *)context;
    if (passed < 0)
        error_set(error, "nothing was passed");
    return passed;
}

/* As a worker does, which may not open the file. */
START_TEST(log_takes_a_descriptor_over)
{
    struct error error = {0};
    char other[100];
    int passed = -1;
    snprintf(other, sizeof other, "%s.2", path);
    open_log(SEVERITY_INFO);
    log_reopen_by(fetch, &passed);
    ck_assert(!log_reopen(&error));
    ck_assert_ptr_nonnull(strstr(error.message, "nothing"));
    log_line(SEVERITY_INFO, TEXT("{\"n\":1}"));
    passed = open(other, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    error = (struct error){0};
    ck_assert_msg(log_reopen(&error), "%s", error.message);
    ck_assert_int_lt(fcntl(passed, F_GETFD), 0);
    ck_assert_int_eq(fcntl(log_descriptor(), F_GETFD), FD_CLOEXEC);
    log_line(SEVERITY_INFO, TEXT("{\"n\":2}"));
    log_reopen_by(NULL, NULL);
    ck_assert_str_eq(read_file(path), "{\"n\":1}\n");
    ck_assert_str_eq(read_file(other), "{\"n\":2}\n");
    unlink(other);
}
END_TEST

START_TEST(log_that_cannot_be_opened_changes_nothing)
{
    static const char *const bad[] = {"file:/no/such/folder/log", "file:", "stdout", "", "syslog "};
    open_log(SEVERITY_WARNING);
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct error error = {0};
        ck_assert_msg(!log_open(bad[i], SEVERITY_DEBUG, &error), "\"%s\"", bad[i]);
        ck_assert(error.set);
        ck_assert_uint_gt(strlen(error.message), 10);
    }
    ck_assert(!log_wants(SEVERITY_INFO));
    log_line(SEVERITY_ERROR, TEXT("{}"));
    ck_assert_str_eq(read_file(path), "{}\n");
    struct error error = {0};
    ck_assert(log_open("stderr", SEVERITY_INFO, &error));
    ck_assert_int_eq(log_descriptor(), STDERR_FILENO);
    ck_assert(log_reopen(&error));
    ck_assert(log_open("syslog", SEVERITY_INFO, &error));
    ck_assert_int_eq(log_descriptor(), -1);
    ck_assert(log_reopen(&error));
    log_line(SEVERITY_INFO, TEXT("{}"));
}
END_TEST

START_TEST(log_to_a_fifo_nobody_reads_is_refused)
{
    struct error error = {0};
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert(!log_open(target, SEVERITY_INFO, &error)); /* and does not wait */
    ck_assert_int_eq(error.number, ENXIO);
}
END_TEST

/* Puts the write end of a pipe in the place of standard error. */
static int pipe_errors(void)
{
    struct error error = {0};
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    close(ends[1]);
    ck_assert(log_open("stderr", SEVERITY_INFO, &error));
    return ends[0];
}

static size_t drain(int descriptor, char *to, size_t size)
{
    size_t length = 0;
    struct pollfd ready = {.fd = descriptor, .events = POLLIN};
    while (length < size - 1 && poll(&ready, 1, 0) == 1) {
        ssize_t got = read(descriptor, to + length, size - 1 - length);
        ck_assert_int_gt(got, 0);
        length += (size_t)got;
    }
    to[length] = '\0';
    return length;
}

/* Splits into lines; each must be whole. Returns how many there are. */
static size_t count_lines(char *content, const char *beginning)
{
    size_t count = 0;
    for (char *line = content, *end; *line; line = end + 1, count++) {
        end = strchr(line, '\n');
        ck_assert_msg(end != NULL, "no end: %.80s", line);
        *end = '\0';
        ck_assert_msg(strncmp(line, beginning, strlen(beginning)) == 0 && end[-1] == '}', "not whole: %.80s",
                      line);
    }
    return count;
}

START_TEST(a_reader_that_stopped_costs_little)
{
    static char object[2000], content[1 << 20];
    enum { LINES = 33 }; /* a pipe of 64 KiB takes 32 of these, or fewer by pages */
    int reader = pipe_errors();
    snprintf(object, sizeof object, "{\"x\":\"%01990d\"}", 0);
    size_t size = strlen(object);
    ck_assert_int_gt(fcntl(reader, F_SETPIPE_SZ, 65536), 0);
    size_t sent = 0;
    uint64_t before = 0;
    for (int held = -1, holds = 0; holds > held && sent < 10 * LINES; sent++) {
        held = holds;
        before = clock_milliseconds();
        log_line(SEVERITY_INFO, text_at(object, size));
        ck_assert_int_eq(ioctl(reader, FIONREAD, &holds), 0);
    }
    ck_assert_uint_lt(sent, 10 * LINES); /* it was full once */
    ck_assert_uint_ge(clock_milliseconds() - before, LOG_PATIENCE_MS - 1);
    ck_assert_uint_lt(clock_milliseconds() - before, 100 * LOG_PATIENCE_MS);
    log_line(SEVERITY_INFO, text_at(object, size));
    log_line(SEVERITY_INFO, text_at(object, size));
    size_t kept = sent - 1, dropped = 3;
    drain(reader, content, sizeof content);
    ck_assert_uint_eq(count_lines(content, "{\"x\":\"000"), kept);

    log_line(SEVERITY_INFO, TEXT("{\"after\":1}"));
    log_line(SEVERITY_INFO, TEXT("{\"after\":2}"));
    drain(reader, content, sizeof content);
    char expected[100];
    snprintf(
        expected, sizeof expected,
        "\",\"level\":\"warning\",\"event\":\"lines_dropped\",\"count\":%zu}\n{\"after\":1}\n{\"after\":2}\n",
        dropped);
    ck_assert_mem_eq(content, "{\"time\":\"", 9);
    ck_assert_str_eq(content + 9 + CLOCK_RFC3339_SIZE - 1, expected);
    close(reader);
}
END_TEST

START_TEST(a_reader_that_left_does_no_harm)
{
    char content[1000];
    signal(SIGPIPE, SIG_IGN);
    close(pipe_errors());
    uint64_t before = clock_milliseconds();
    for (int i = 0; i < 3; i++)
        log_line(SEVERITY_INFO, TEXT("{}"));
    ck_assert_uint_lt(clock_milliseconds() - before, 100 * LOG_PATIENCE_MS);
    int reader = pipe_errors();
    log_line(SEVERITY_INFO, TEXT("{}"));
    drain(reader, content, sizeof content);
    ck_assert_ptr_nonnull(strstr(content, "\"event\":\"lines_dropped\",\"count\":3}\n{}\n"));
    close(reader);
}
END_TEST

/* A file size limit cuts a write as a full disk does. */
START_TEST(a_full_disk_tears_no_later_line)
{
    static const struct rlimit small = {100, RLIM_INFINITY}, large = {RLIM_INFINITY, RLIM_INFINITY};
    static char object[90];
    signal(SIGXFSZ, SIG_IGN);
    open_log(SEVERITY_INFO);
    snprintf(object, sizeof object, "{\"x\":\"%050d\"}", 0);
    log_line(SEVERITY_INFO, text_of(object));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    log_line(SEVERITY_INFO, text_of(object)); /* 41 bytes of it fit */
    log_line(SEVERITY_INFO, text_of(object));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
    log_line(SEVERITY_INFO, TEXT("{\"after\":1}"));
    char *content = read_file(path);
    ck_assert_int_eq(content[100], '\n'); /* behind the torn line */
    ck_assert_mem_eq(content + 101, "{\"time\":\"", 9);
    ck_assert_ptr_nonnull(strstr(content + 101, "\"lines_dropped\",\"count\":2}\n{\"after\":1}\n"));
}
END_TEST

enum { WRITERS = 4, LINES_EACH = 500 };

static void *write_lines(void *context)
{
    char object[300];
    int writer = *(int *)context;
    for (int i = 0; i < LINES_EACH; i++) {
        snprintf(object, sizeof object, "{\"writer\":%d,\"x\":\"%0200d\"}", writer, i);
        log_line(SEVERITY_INFO, text_of(object));
    }
    return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
    pthread_t threads[WRITERS];
    int numbers[WRITERS];
    struct error error = {0};
    open_log(SEVERITY_INFO);
    for (int i = 0; i < WRITERS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < 20; i++)
        ck_assert(log_reopen(&error));
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(count_lines(read_file(path), "{\"writer\":"), WRITERS * LINES_EACH);
}
END_TEST

/* ---- suite */

static void add_memory_tests(Suite *suite)
{
    TCase *arena = tcase_create("arena");
    tcase_add_test(arena, arena_gives_zeroed_aligned_memory);
    tcase_add_test(arena, arena_pieces_do_not_overlap);
    tcase_add_test(arena, arena_is_wiped_and_used_again);
    tcase_add_test(arena, arena_copies_and_formats);
    tcase_add_test_raise_signal(arena, arena_array_checks_the_product, SIGABRT);
    tcase_add_test_raise_signal(arena, arena_alloc_checks_the_size, SIGABRT);
    suite_add_tcase(suite, arena);

    TCase *bytes = tcase_create("bytes");
    tcase_add_test(bytes, bytes_grow_to_their_limit);
    tcase_add_test(bytes, what_does_not_fit_is_left_out_whole);
    tcase_add_test(bytes, json_strings_are_escaped);
    suite_add_tcase(suite, bytes);
}

static void add_text_tests(Suite *suite)
{
    TCase *text = tcase_create("text");
    tcase_add_test(text, texts_compare);
    tcase_add_test(text, texts_are_cut);
    tcase_add_test(text, pieces_come_one_by_one);
    tcase_add_test(text, text_is_lowered);
    tcase_add_test(text, numbers_are_read);
    tcase_add_test(text, tokens_are_told);
    tcase_add_test(text, utf8_is_checked);
    tcase_add_test(text, a_line_has_nothing_that_moves_a_terminal);
    suite_add_tcase(suite, text);

    TCase *others = tcase_create("errors and clocks");
    tcase_add_test(others, the_first_error_wins);
    tcase_add_test(others, errors_keep_errno);
    tcase_add_test(others, long_errors_are_cut);
    tcase_add_test(others, times_are_written);
    tcase_add_test(others, clocks_go_on);
    suite_add_tcase(suite, others);
}

static void add_log_tests(Suite *suite)
{
    TCase *log = tcase_create("log");
    tcase_add_checked_fixture(log, make_folder, remove_folder);
    tcase_add_test(log, severities_have_names);
    tcase_add_test(log, log_file_takes_lines);
    tcase_add_test(log, log_line_may_be_as_long_as_its_size);
    tcase_add_test(log, events_are_objects);
    tcase_add_test(log, long_events_are_cut);
    tcase_add_test(log, log_follows_a_rotation);
    tcase_add_test(log, log_takes_a_descriptor_over);
    tcase_add_test(log, log_that_cannot_be_opened_changes_nothing);
    tcase_add_test(log, log_to_a_fifo_nobody_reads_is_refused);
    tcase_add_test(log, a_reader_that_stopped_costs_little);
    tcase_add_test(log, a_reader_that_left_does_no_harm);
    tcase_add_test(log, a_full_disk_tears_no_later_line);
    tcase_add_test(log, lines_of_threads_do_not_mix);
    suite_add_tcase(suite, log);

    TCase *bugs = tcase_create("log, bugs"); /* without a folder, which an abort would leave */
    tcase_add_test_raise_signal(bugs, log_line_that_is_too_long_is_a_bug, SIGABRT);
    suite_add_tcase(suite, bugs);
}

int main(void)
{
    Suite *suite = suite_create("base");
    add_memory_tests(suite);
    add_text_tests(suite);
    add_log_tests(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
