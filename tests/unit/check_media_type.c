/*
 * Tests of media types by content: each known one, its bytes cut, and what is
 * only like it.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "data/media_type.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LITERAL(string)                                                                                      \
    {                                                                                                        \
        string, sizeof(string) - 1                                                                           \
    }

struct row {
    struct text bytes; /* the least that is enough */
    const char *type;
};

static const struct row rows[] = {
    {LITERAL("%PDF-"), "application/pdf"},
    {LITERAL("%!PS-Adobe-"), "application/postscript"},
    {LITERAL("GIF87a"), "image/gif"},
    {LITERAL("GIF89a"), "image/gif"},
    {LITERAL("\x89PNG\r\n\x1a\n"), "image/png"},
    {LITERAL("\xff\xd8\xff"), "image/jpeg"},
    {LITERAL("RIFF\x12\x34\x56\x78WEBPVP"), "image/webp"},
    {LITERAL("RIFF\x12\x34\x56\x78WAVE"), "audio/wave"},
    {LITERAL("RIFF\0\0\0\0AVI "), "video/avi"},
    {LITERAL("FORM\0\0\0\1AIFF"), "audio/aiff"},
    {LITERAL("BM"), "image/bmp"},
    {LITERAL("\0\0\1\0"), "image/x-icon"},
    {LITERAL("ID3"), "audio/mpeg"},
    {LITERAL("OggS\0"), "application/ogg"},
    {LITERAL("MThd\0\0\0\6"), "audio/midi"},
    {LITERAL("wOF2"), "font/woff2"},
    {LITERAL("\x1f\x8b\x08"), "application/x-gzip"},
    {LITERAL("PK\3\4"), "application/zip"},
    {LITERAL("Rar \x1a\7\0"), "application/x-rar-compressed"},
    {LITERAL("\0\0\0\x10"
             "ftypmp42\0\0\0\0"),
     "video/mp4"},
    {LITERAL("\0\0\0\x18"
             "ftypisom\0\0\2\0isommp41"),
     "video/mp4"},
    {LITERAL("\0\0\0\x1c"
             "ftypavif"),
     "image/avif"},
    {LITERAL("\0\0\0\x1c"
             "ftypheic"),
     "image/heic"},
    {LITERAL("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm"), "video/webm"},
    {LITERAL("<html>"), "text/html"},
    {LITERAL("<HTML "), "text/html"},
    {LITERAL("<!DocType hTmL>"), "text/html"},
    {LITERAL(" \t\r\n\f<script>"), "text/html"},
    {LITERAL("\xef\xbb\xbf<script\n"), "text/html"},
    {LITERAL("<a/"), "text/html"},
    {LITERAL("<!--"), "text/html"},
    {LITERAL("<?xml"), "text/xml"},
    {LITERAL("<svg "), "image/svg+xml"},
    {LITERAL("\n<SVG\n"), "image/svg+xml"},
};

/* Each from memory of its own size, so that a sanitizer sees one byte too many. */
static const char *sniff(struct text bytes)
{
    char *copy = malloc(bytes.length > 0 ? bytes.length : 1);
    ck_assert_ptr_nonnull(copy);
    if (bytes.length > 0)
        memcpy(copy, bytes.at, bytes.length);
    const char *type = media_type_sniff((struct text){copy, bytes.length});
    free(copy);
    return type;
}

START_TEST(test_known)
{
    const struct row *row = &rows[_i];
    char longer[64] = {0};
    ck_assert_str_eq(sniff(row->bytes), row->type);
    memcpy(longer, row->bytes.at, row->bytes.length);
    ck_assert_str_eq(sniff((struct text){longer, sizeof longer}), row->type);
    for (size_t length = 0; length < row->bytes.length; length++)
        ck_assert_msg(!sniff((struct text){row->bytes.at, length}), "%zu", length);
}
END_TEST

static const struct text unknown[] = {
    LITERAL(""),
    LITERAL("hello, world"),
    LITERAL("{\"a\": 1}"),
    LITERAL("x<html>"),
    LITERAL("<htmlx>"),
    LITERAL("<svgx>"),
    LITERAL("<pre>"),
    LITERAL(" %PDF-"),
    LITERAL("\x89PNG\n\x1a\n...."),
    LITERAL("RIFF....WEBX...."),
    LITERAL("\xff\xfe<\0h\0t\0m\0l\0>\0"),
    LITERAL("\0\0\0\x10"
            "ftypisom\0\0\0\0"),
    LITERAL("\0\0\0\x10"
            "ftypisommp42"), /* not a brand but its version */
    LITERAL("\0\0\0\x12"
            "ftypmp42\0\0\0\0\0\0"), /* not a multiple of 4 */
    LITERAL("\0\0\0\x20"
            "ftypmp42\0\0\0\0"), /* longer than the file */
    LITERAL("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska"),
};

START_TEST(test_unknown)
{
    ck_assert_ptr_null(sniff(unknown[_i]));
}
END_TEST

START_TEST(test_svg_behind_prolog)
{
    ck_assert_str_eq(sniff(TEXT("<?xml version=\"1.0\"?>\n<!-- a < b -->\n<!DOCTYPE svg><svg>")),
                     "image/svg+xml");
    ck_assert_str_eq(sniff(TEXT("<?xml version=\"1.0\"?><rss><svgx>")), "text/xml");
}
END_TEST

/* MPEG 1 at 128 kbit/s and 44.1 kHz: 417 bytes a frame; MPEG 2 at 64 and 22.05: 208. */
START_TEST(test_mp3)
{
    static const struct {
        char head[4];
        size_t frame;
    } frames[] = {{"\xff\xfb\x90\x00", 417}, {"\xff\xfb\x92\x00", 418}, {"\xff\xf3\x80\x00", 208}};
    for (size_t i = 0; i < COUNT(frames); i++) {
        char bytes[500] = {0};
        size_t frame = frames[i].frame;
        memcpy(bytes, frames[i].head, 4);
        ck_assert_ptr_null(sniff((struct text){bytes, sizeof bytes}));
        memcpy(bytes + frame, frames[i].head, 4);
        ck_assert_str_eq(sniff((struct text){bytes, frame + 4}), "audio/mpeg");
        ck_assert_ptr_null(sniff((struct text){bytes, frame + 3}));
        for (int bad = 0; bad < 3; bad++) { /* version, layer, rate */
            char copy[sizeof bytes];
            memcpy(copy, bytes, sizeof copy);
            copy[bad < 2 ? 1 : 2] = bad == 0 ? '\xeb' : bad == 1 ? '\xfd' : '\xf0';
            ck_assert_ptr_null(sniff((struct text){copy, sizeof copy}));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("media_type");
    TCase *tests = tcase_create("media_type");
    tcase_add_loop_test(tests, test_known, 0, COUNT(rows));
    tcase_add_loop_test(tests, test_unknown, 0, COUNT(unknown));
    tcase_add_test(tests, test_svg_behind_prolog);
    tcase_add_test(tests, test_mp3);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
