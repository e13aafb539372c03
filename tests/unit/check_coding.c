/*
 * Tests of content codings: what is inflated, in pieces of all sizes, and what
 * is refused: cut, damaged, trailing, too large, growing too much.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/bytes.h"
#include "dripping.h"
#include "http/content_coding.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { RAW = -15, ZLIB = 15, GZIP = 31 }; /* window bits of zlib's formats */

static const struct inflate_limits wide = {.size = 1 << 20, .ratio = 2000, .grace = 0};

static struct arena *arena;
static struct spool spool = {.file = -1};

static void begin(void)
{
    arena = arena_new();
}

static void end(void)
{
    spool_close(&spool);
    arena_free(arena);
}

static struct text compress_as(struct text text, int format)
{
    z_stream stream = {0};
    size_t room = text.length + 1000;
    char *bytes = arena_alloc(arena, room);
    ck_assert_int_eq(deflateInit2(&stream, 9, Z_DEFLATED, format, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)text.at;
    stream.avail_in = (unsigned)text.length;
    stream.next_out = (unsigned char *)bytes;
    stream.avail_out = (unsigned)room;
    ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t length = room - stream.avail_out;
    deflateEnd(&stream);
    return (struct text){bytes, length};
}

static const char *inflate_as(struct text body, enum content_coding coding, size_t piece,
                              const struct inflate_limits *limits, struct defect *defect)
{
    struct dripping dripping = {body, piece, false};
    struct source source = {dripping_read, &dripping};
    spool_close(&spool);
    spool = spool_new(1 << 21, 1 << 21, NULL);
    *defect = (struct defect){0};
    bool good = content_coding_inflate(&source, coding, limits, arena, &spool, defect);
    ck_assert(good == !defect->word && !defect->failed);
    ck_assert(good || (defect->message && defect->offset <= body.length));
    ck_assert_uint_le(spool.length, limits->size);
    return good ? "" : defect->word;
}

static struct text spooled(void)
{
    char *bytes = arena_alloc(arena, (size_t)spool.length);
    ssize_t length = spool_read(&spool, bytes, (size_t)spool.length);
    ck_assert_int_eq(length, (ssize_t)spool.length);
    return (struct text){bytes, (size_t)length};
}

static struct text zeros(size_t length)
{
    return (struct text){arena_alloc(arena, length), length};
}

/* Hard to compress. */
static struct text noise(size_t length)
{
    char *bytes = arena_alloc(arena, length);
    uint64_t state = 1;
    for (size_t i = 0; i < length; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        bytes[i] = (char)(state >> 56);
    }
    return (struct text){bytes, length};
}

START_TEST(test_names)
{
    static const struct {
        const char *value;
        enum content_coding coding;
    } rows[] = {
        {"", CONTENT_CODING_NONE},
        {"identity", CONTENT_CODING_NONE},
        {"gzip", CONTENT_CODING_GZIP},
        {" GZip ", CONTENT_CODING_GZIP},
        {"x-gzip", CONTENT_CODING_GZIP},
        {"deflate", CONTENT_CODING_DEFLATE},
        {"br", CONTENT_CODING_OTHER},
        {"zstd", CONTENT_CODING_OTHER},
        {"gzip, gzip", CONTENT_CODING_OTHER},
        {"gzip,", CONTENT_CODING_OTHER},
        {"gzip;q=1", CONTENT_CODING_OTHER},
        {"identity, gzip", CONTENT_CODING_OTHER},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_msg(content_coding_of(text_of(rows[i].value)) == rows[i].coding, "%s", rows[i].value);
}
END_TEST

START_TEST(test_good)
{
    static const size_t pieces[] = {1, 2, 1000, 16384, 100000};
    struct text texts[] = {TEXT(""), TEXT("hello"), noise(100000), zeros(300000), noise(16384)};
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t j = 0; j < COUNT(pieces); j++) {
            struct defect defect;
            ck_assert_str_eq(
                inflate_as(compress_as(texts[i], GZIP), CONTENT_CODING_GZIP, pieces[j], &wide, &defect), "");
            ck_assert(text_equal(spooled(), texts[i]));
            ck_assert_str_eq(
                inflate_as(compress_as(texts[i], ZLIB), CONTENT_CODING_DEFLATE, pieces[j], &wide, &defect),
                "");
            ck_assert(text_equal(spooled(), texts[i]));
        }
}
END_TEST

/* From a spool, and with a name and a comment in the header, as gzip(1) writes one. */
START_TEST(test_header)
{
    static const char named[] =
        "\x1f\x8b\x08\x18\0\0\0\0\0\x03x.txt\0remark\0\x01\x02\0\xfd\xffhi\xac\x2a\x93\xd8"
        "\x02\0\0\0";
    struct defect defect;
    ck_assert_str_eq(
        inflate_as((struct text){named, sizeof named - 1}, CONTENT_CODING_GZIP, 3, &wide, &defect), "");
    ck_assert(text_equal(spooled(), TEXT("hi")));
    struct error error = {0};
    struct spool body = spool_new(100, 100, NULL);
    ck_assert(spool_write(&body, named, sizeof named - 1, &error));
    struct source source = spool_source(&body);
    spool_close(&spool);
    spool = spool_new(100, 100, NULL);
    ck_assert(content_coding_inflate(&source, CONTENT_CODING_GZIP, &wide, arena, &spool, &defect));
    ck_assert(text_equal(spooled(), TEXT("hi")));
    spool_close(&body);
}
END_TEST

START_TEST(test_wrong_format)
{
    struct defect defect;
    struct text text = noise(1000);
    ck_assert_str_eq(inflate_as(compress_as(text, RAW), CONTENT_CODING_DEFLATE, 999, &wide, &defect),
                     "coding_broken");
    ck_assert_str_eq(inflate_as(compress_as(text, GZIP), CONTENT_CODING_DEFLATE, 999, &wide, &defect),
                     "coding_broken");
    ck_assert_str_eq(inflate_as(compress_as(text, ZLIB), CONTENT_CODING_GZIP, 999, &wide, &defect),
                     "coding_broken");
    ck_assert_str_eq(inflate_as(text, CONTENT_CODING_GZIP, 999, &wide, &defect), "coding_broken");
    /* RFC 1950, 2.2: FDICT. */
    ck_assert_str_eq(
        inflate_as((struct text){"\x78\xbb\0\0\0\1\x03\0", 8}, CONTENT_CODING_DEFLATE, 999, &wide, &defect),
        "coding_broken");
}
END_TEST

START_TEST(test_cut)
{
    struct text text = compress_as(noise(300), GZIP);
    struct defect defect;
    for (size_t length = 0; length < text.length; length++) {
        ck_assert_str_eq(inflate_as((struct text){text.at, length}, CONTENT_CODING_GZIP, 7, &wide, &defect),
                         "coding_incomplete");
        ck_assert_uint_eq(defect.offset, length);
    }
}
END_TEST

/* A changed bit is found, but in the parts of the header that say nothing (time, system). */
START_TEST(test_damaged)
{
    struct text text = compress_as(noise(300), GZIP);
    struct defect defect;
    for (size_t i = 0; i < text.length; i++) {
        char *copy = arena_copy(arena, text.at, text.length);
        copy[i] ^= 0x04;
        const char *word =
            inflate_as((struct text){copy, text.length}, CONTENT_CODING_GZIP, 7, &wide, &defect);
        ck_assert_msg((*word != '\0') == (i < 4 || i > 9), "%zu: %s", i, word);
    }
}
END_TEST

START_TEST(test_trailing)
{
    struct text text = compress_as(TEXT("hello"), GZIP);
    struct defect defect;
    char *twice = arena_alloc(arena, 2 * text.length);
    memcpy(twice, text.at, text.length);
    memcpy(twice + text.length, text.at, text.length);
    for (size_t length = text.length + 1; length <= 2 * text.length; length++)
        for (size_t piece = 1; piece <= length; piece++) {
            ck_assert_str_eq(
                inflate_as((struct text){twice, length}, CONTENT_CODING_GZIP, piece, &wide, &defect),
                "coding_trailing");
            ck_assert_uint_eq(defect.offset, text.length);
        }
}
END_TEST

START_TEST(test_limits)
{
    struct defect defect;
    struct text text = compress_as(zeros(100000), GZIP); /* about 130 bytes */
    struct inflate_limits limits = {.size = 100000, .ratio = 1100, .grace = 0};
    ck_assert_str_eq(inflate_as(text, CONTENT_CODING_GZIP, SIZE_MAX, &limits, &defect), "");
    limits.size--;
    ck_assert_str_eq(inflate_as(text, CONTENT_CODING_GZIP, SIZE_MAX, &limits, &defect), "coding_size");
    limits = (struct inflate_limits){.size = 100000, .ratio = 500, .grace = 99999};
    ck_assert_str_eq(inflate_as(text, CONTENT_CODING_GZIP, SIZE_MAX, &limits, &defect), "coding_ratio");
    limits.grace = 100000;
    ck_assert_str_eq(inflate_as(text, CONTENT_CODING_GZIP, SIZE_MAX, &limits, &defect), "");
    limits.grace = 20000;
    ck_assert_str_eq(inflate_as(text, CONTENT_CODING_GZIP, 1, &limits, &defect), "coding_ratio");
    ck_assert_uint_lt(spool.length, 60000); /* it did not wait for the end */
}
END_TEST

START_TEST(test_failures)
{
    struct text text = compress_as(noise(1000), GZIP);
    struct dripping dripping = {{text.at, 500}, 100, true};
    struct source source = {dripping_read, &dripping};
    struct defect defect = {0};
    spool = spool_new(2000, 2000, NULL);
    ck_assert(!content_coding_inflate(&source, CONTENT_CODING_GZIP, &wide, arena, &spool, &defect));
    ck_assert_str_eq(defect.word, "coding_failed");
    ck_assert(defect.failed);
    /* A spool that wants a file and has no folder. */
    spool_close(&spool);
    spool = spool_new(10, 2000, NULL);
    source = source_of(&text);
    defect = (struct defect){0};
    ck_assert(!content_coding_inflate(&source, CONTENT_CODING_GZIP, &wide, arena, &spool, &defect));
    ck_assert(defect.failed);
    /* A spool that is smaller than the limit. */
    spool_close(&spool);
    spool = spool_new(10, 10, NULL);
    text = compress_as(noise(1000), GZIP);
    defect = (struct defect){0};
    ck_assert(!content_coding_inflate(&source, CONTENT_CODING_GZIP, &wide, arena, &spool, &defect));
    ck_assert_str_eq(defect.word, "coding_size");
    ck_assert(!defect.failed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("coding");
    TCase *tests = tcase_create("coding");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, test_names);
    tcase_add_test(tests, test_good);
    tcase_add_test(tests, test_header);
    tcase_add_test(tests, test_wrong_format);
    tcase_add_test(tests, test_cut);
    tcase_add_test(tests, test_damaged);
    tcase_add_test(tests, test_trailing);
    tcase_add_test(tests, test_limits);
    tcase_add_test(tests, test_failures);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
