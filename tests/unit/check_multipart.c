/*
 * Tests of multipart/form-data: bodies as browsers and programs send them, all
 * that readers take apart differently, sources that give little at a time, and
 * bodies that are cut, long, or of very many parts.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/multipart.h"
#include "data/parameters.h"
#include "dripping.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LITERAL(string)                                                                                      \
    {                                                                                                        \
        string, sizeof(string) - 1                                                                           \
    }

#define HEAD  "Content-Disposition: form-data; name=\"a\"\r\n"
#define FIELD HEAD "\r\n"
#define FILE_ "Content-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\n\r\n"
#define END   "\r\n--b--\r\n"

static const struct multipart_limits wide = {
    .parts = 10,
    .files = 5,
    .head = 300,
    .headers = 5,
    .name = 40,
    .filename = 40,
    .field = 100,
    .file = 1000,
    .start = 4,
};

static struct arena *arena;

static void begin(void)
{
    arena = arena_new();
}

static void end(void)
{
    arena_free(arena);
}

/* ---- the boundary */

struct boundary_row {
    const char *type, *boundary; /* NULL: refused */
};

#define SEVENTY "1234567890123456789012345678901234567890123456789012345678901234567890"

static const struct boundary_row boundaries[] = {
    {"multipart/form-data; boundary=abc", "abc"},
    {"Multipart/Form-Data;boundary=abc", "abc"},
    {"multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
     "----WebKitFormBoundary7MA4YWxkTrZu0gW"},
    {"multipart/form-data; boundary=\"a b(c):d=e/f?\"", "a b(c):d=e/f?"},
    {"multipart/form-data; charset=utf-8; boundary=abc", "abc"},
    {"multipart/form-data; boundary=abc; charset=\"UTF-8\"", "abc"},
    {"multipart/form-data; boundary=" SEVENTY, SEVENTY},
    {"multipart/form-data; boundary=" SEVENTY "1", NULL},
    {"multipart/form-data", NULL},
    {"multipart/form-data;", NULL},
    {"multipart/form-data; boundary", NULL},
    {"multipart/form-data; boundary=", NULL},
    {"multipart/form-data; boundary=\"\"", NULL},
    {"multipart/form-data; boundary=\"abc", NULL},
    {"multipart/form-data; boundary=\"abc\"d", NULL},
    {"multipart/form-data; boundary=\"a\\b\"", NULL},
    {"multipart/form-data; boundary=\"abc \"", NULL},
    {"multipart/form-data; boundary=a:b", NULL},
    {"multipart/form-data; boundary='abc'", NULL},
    {"multipart/form-data; boundary=a b", NULL},
    {"multipart/form-data; boundary=a,b", NULL},
    {"multipart/form-data; boundary=\"a#b\"", NULL},
    {"multipart/form-data; boundary=a#b", NULL},
    {"multipart/form-data; boundary = abc", NULL},
    {"multipart/form-data; boundary=abc;", NULL},
    {"multipart/form-data; boundary=abc; boundary=abc", NULL},
    {"multipart/form-data; boundary=abc; Boundary=d", NULL},
    {"multipart/form-data; Boundary=abc", NULL},
    {"multipart/form-data; xboundary=abc; boundary=d", NULL},
    {"multipart/form-data; charset=latin1; boundary=abc", NULL},
    {"multipart/form-data; boundary*=utf-8''abc", NULL},
    {"multipart/form-data, multipart/form-data; boundary=abc", NULL},
    {"multipart/mixed; boundary=abc", NULL},
    {"", NULL},
};

START_TEST(test_boundary)
{
    const struct boundary_row *row = &boundaries[_i];
    struct defect defect = {0};
    struct text boundary;
    bool good = multipart_boundary(text_of(row->type), &boundary, &defect);
    ck_assert_msg(good == (row->boundary != NULL), "%s", row->type);
    if (good)
        ck_assert(text_equal(boundary, text_of(row->boundary)));
    else
        ck_assert_str_eq(defect.word, "multipart_type");
}
END_TEST

START_TEST(test_many_parameters)
{
    struct parameters parameters;
    ck_assert_ptr_null(parameters_read(TEXT("x; a=1; b=2; c=3; d=4; e=5; f=6; g=7; h=8"), &parameters));
    ck_assert_uint_eq(parameters.count, PARAMETERS_LIMIT);
    ck_assert(text_equal(*parameters_get(&parameters, "H"), TEXT("8")));
    ck_assert_ptr_null(parameters_get(&parameters, "i"));
    ck_assert_ptr_nonnull(
        parameters_read(TEXT("x; a=1; b=2; c=3; d=4; e=5; f=6; g=7; h=8; i=9"), &parameters));
}
END_TEST

/* ---- bodies */

static bool read_drips(struct text body, size_t piece, const struct multipart_limits *limits,
                       struct multipart *multipart, struct defect *defect)
{
    struct dripping dripping = {body, piece, false};
    struct source source = {dripping_read, &dripping};
    *defect = (struct defect){0};
    bool good = multipart_read(&source, TEXT("b"), limits, arena, multipart, defect);
    ck_assert(good == !defect->word && !defect->failed);
    return good;
}

/* The offsets are those of the contents. */
static void check_offsets(const struct multipart *multipart, struct text body)
{
    for (size_t i = 0; i < multipart->count; i++) {
        const struct multipart_part *part = &multipart->items[i];
        struct text content = part->is_file ? part->start : part->value;
        ck_assert_uint_le(part->offset + part->length, body.length);
        ck_assert(part->is_file || part->length == content.length);
        ck_assert(memcmp(body.at + part->offset, content.at, content.length) == 0);
        ck_assert(memcmp(body.at + part->offset + part->length, "\r\n--b", 5) == 0);
    }
}

/* Each part as offset+length name=value, or name<filename|type|start>. */
static const char *describe(const struct multipart *multipart)
{
    struct bytes to = bytes_new(arena, 1 << 20);
    for (size_t i = 0; i < multipart->count; i++) {
        const struct multipart_part *part = &multipart->items[i];
        bytes_printf(&to, "%llu+%llu ", (unsigned long long)part->offset, (unsigned long long)part->length);
        bytes_add_text(&to, part->name);
        if (part->is_file)
            bytes_printf(&to, "<%.*s|%.*s|%.*s>,", TEXT_ARGUMENTS(part->filename), TEXT_ARGUMENTS(part->type),
                         TEXT_ARGUMENTS(part->start));
        else
            bytes_printf(&to, "=%.*s,", TEXT_ARGUMENTS(part->value));
        ck_assert(!part->is_file || !part->value.at);
    }
    return arena_copy(arena, to.at, to.length);
}

struct good_row {
    const char *body, *parts;
};

static const struct good_row good_rows[] = {
    {"--b--", ""},
    {"--b--\r\n", ""},
    {"--b\r\n" FIELD "1" END, "49+1 a=1,"},
    {"--b\r\n" FIELD "1\r\n--b--", "49+1 a=1,"},
    {"--b\r\n" FIELD END, "49+0 a=,"},
    {"--b\r\n" FIELD "1\r\n--b\r\n" FIELD "2" END, "49+1 a=1,101+1 a=2,"},
    {"--b\r\n" FIELD "\r\n\r\n" END, "49+4 a=\r\n\r\n,"},
    {"--b\r\n" FIELD "x\r\n--\r\n--a\r\n-b" END, "49+14 a=x\r\n--\r\n--a\r\n-b,"},
    {"--b\r\n" FIELD "\xc3\xa4" END, "49+2 a=\xc3\xa4,"},
    {"--b\r\n" FIELD "\r" END, "49+1 a=\r,"},
    {"--b\r\n" FIELD "\n" END, "49+1 a=\n,"},
    {"--b\r\n" FIELD "-" END, "49+1 a=-,"},
    {"--b\r\n" FILE_ "hello" END, "67+5 f<x.txt||hell>,"},
    {"--b\r\n" FILE_ "he" END, "67+2 f<x.txt||he>,"},
    {"--b\r\n" FILE_ "\xff\xfe\x80" END, "67+3 f<x.txt||\xff\xfe\x80>,"},
    {"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n"
     "Content-Type: application/octet-stream\r\n\r\n" END,
     "102+0 f<|application/octet-stream|>,"},
    {"--b\r\ncontent-disposition:FORM-DATA;name=a;filename=b.c\r\nCONTENT-TYPE:Text/HTML; charset=latin1"
     "\r\n\r\n1" END,
     "98+1 a<b.c|text/html|1>,"},
    {"--b\r\nX-Own: 1\r\n" HEAD "Content-Type: text/plain; charset=UTF-8\r\nContent-Length: 2\r\n\r\n12" END,
     "119+2 a=12,"},
    {"--b\r\nContent-Disposition: form-data; filename=\"50%.txt\"; name=\"f[]\"\r\n\r\n" END,
     "71+0 f[]<50%.txt||>,"},
    {"--b\r\nContent-Disposition: form-data; name=\"a%22b\"; filename=\"a%22b; c='d'.txt\"\r\n\r\n" END,
     "82+0 a%22b<a%22b; c='d'.txt||>,"},
    {"--b\r\nContent-Disposition: form-data; name=\"\xc3\xa4\"; filename=\"\xe2\x82\xac\"\r\n\r\n" END,
     "66+0 \xc3\xa4<\xe2\x82\xac||>,"},
    {"--b\r\nContent-Disposition: form-data; name=\"_charset_\"\r\n\r\nUTF-8" END, "57+5 _charset_=UTF-8,"},
};

START_TEST(test_good)
{
    static const size_t pieces[] = {1, 2, 3, 7, 100000};
    const struct good_row *row = &good_rows[_i];
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct multipart multipart;
        struct defect defect;
        ck_assert_msg(read_drips(text_of(row->body), pieces[i], &wide, &multipart, &defect), "%s: %s",
                      row->body, defect.word);
        ck_assert_str_eq(describe(&multipart), row->parts);
        check_offsets(&multipart, text_of(row->body));
    }
}
END_TEST

/* Cut anywhere a body is incomplete, but without its last line end. */
START_TEST(test_cut)
{
    struct text body = text_of(good_rows[_i].body);
    if (!text_ends_with(body, TEXT("\r\n")))
        return;
    for (size_t length = 0; length < body.length; length++) {
        struct multipart multipart;
        struct defect defect;
        char *copy = malloc(length + 1);
        ck_assert_ptr_nonnull(copy);
        memcpy(copy, body.at, length);
        bool good = read_drips((struct text){copy, length}, 100000, &wide, &multipart, &defect);
        free(copy);
        if (length == body.length - 1)
            ck_assert_str_eq(defect.word, "multipart_epilogue"); /* half a line end */
        else if (length == body.length - 2)
            ck_assert(good);
        else
            ck_assert_str_eq(defect.word, "multipart_incomplete");
        if (!good && length < body.length - 1)
            ck_assert_uint_eq(defect.offset, length);
    }
}
END_TEST

struct bad_row {
    struct text body;
    const char *word, *field;
    uint64_t offset;
};

#define DISPOSITION(rest) LITERAL("--b\r\nContent-Disposition: " rest "\r\n\r\n" END)
#define HEADERS(rest)     LITERAL("--b\r\n" HEAD rest "\r\n\r\n" END)
#define CONTENT(rest)     LITERAL("--b\r\n" FIELD rest END)

static const struct bad_row bad_rows[] = {
    {LITERAL(""), "multipart_incomplete", "", 0},
    {LITERAL("\r\n--b--"), "multipart_preamble", "", 0},
    {LITERAL("x\r\n--b--"), "multipart_preamble", "", 0},
    {LITERAL("--c--"), "multipart_preamble", "", 0},
    {LITERAL("--b--x"), "multipart_epilogue", "", 5},
    {LITERAL("--b--\n"), "multipart_epilogue", "", 5},
    {LITERAL("--b--\r\n\r\n"), "multipart_epilogue", "", 5},
    {LITERAL("--b\n"), "multipart_incomplete", "", 4},
    {LITERAL("--b\nx"), "multipart_delimiter", "", 3},
    {LITERAL("--b \r\n"), "multipart_delimiter", "", 3},
    {LITERAL("--bc\r\n" FIELD "1" END), "multipart_delimiter", "", 3},
    {LITERAL("--b-\r\n"), "multipart_delimiter", "", 3},
    /* The boundary in contents: begins a line, or does for some, or stands within one. */
    {CONTENT("1\r\n--bc"), "multipart_delimiter", "", 55},
    {CONTENT("1\r\n--b \r\n2"), "multipart_delimiter", "", 55},
    {CONTENT("1\r\n--b-x"), "multipart_delimiter", "", 55},
    {CONTENT("1\n--b\n2"), "multipart_delimiter", "a", 51},
    {CONTENT("1\r--b\r2"), "multipart_delimiter", "a", 51},
    {CONTENT("1--b"), "multipart_delimiter", "a", 50},
    {CONTENT("--b"), "multipart_delimiter", "a", 49},
    {CONTENT("\n--b"), "multipart_delimiter", "a", 50},
    {LITERAL("--b\r\n" HEAD "--b: x\r\n\r\n1" END), "multipart_delimiter", "", 47},
    /* Headers. */
    {LITERAL("--b\r\n\r\n1" END), "multipart_disposition", "", 5},
    {LITERAL("--b\r\nX: y\r\n\r\n1" END), "multipart_disposition", "", 5},
    {LITERAL("--b\r\nContent-Disposition: form-data; name=\"a\"\n\r\n\r\n1" END), "multipart_header", "", 5},
    {LITERAL("--b\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\n1" END), "multipart_disposition",
     "", 5},
    {HEADERS("X: a\r\n b"), "multipart_header", "a", 53},
    {HEADERS("\tX: a"), "multipart_header", "a", 47},
    {HEADERS("X : a"), "multipart_header", "a", 47},
    {HEADERS(": a"), "multipart_header", "a", 47},
    {HEADERS("X"), "multipart_header", "a", 47},
    {HEADERS("X: a\rY: b"), "multipart_header", "a", 47},
    {HEADERS("X: a\nY: b"), "multipart_header", "a", 47},
    {HEADERS("X: a\0b"), "multipart_header", "a", 47},
    {HEADERS("X: \xff"), "multipart_header", "a", 47},
    {HEADERS("X: a\r\nx: b"), "multipart_header", "a", 53},
    {HEADERS("Content-Disposition: form-data; name=\"b\""), "multipart_header", "a", 47},
    {HEADERS("Content-Transfer-Encoding: base64"), "multipart_encoding", "a", 47},
    {HEADERS("Content-Encoding: gzip"), "multipart_header", "a", 47},
    {HEADERS("Content-Length: 1"), "multipart_length", "a", 68},
    {HEADERS("Content-Length: -1"), "multipart_length", "a", 47},
    {HEADERS("A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5"), "multipart_head", "a", 71},
    {HEADERS("Content-Type: multipart/mixed; boundary=c"), "multipart_content_type", "a", 47},
    {HEADERS("Content-Type: message/rfc822"), "multipart_content_type", "a", 47},
    {HEADERS("Content-Type: application/x-www-form-urlencoded"), "multipart_content_type", "a", 47},
    {HEADERS("Content-Type: text"), "multipart_content_type", "a", 47},
    {HEADERS("Content-Type: "), "multipart_header", "a", 47},
    {HEADERS("X: "), "multipart_header", "a", 47},
    {HEADERS("Content-Type: text/plain; charset=latin1"), "multipart_content_type", "a", 5},
    {HEADERS("Content-Type: Application/Octet-Stream"), "multipart_content_type", "a", 5},
    /* Content-Disposition. */
    {DISPOSITION("form-data"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; filename=\"a\""), "multipart_disposition", "", 5},
    {DISPOSITION("attachment; name=\"a\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"; name=\"b\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"; NAME=\"b\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"b\"; filename=\"c\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"; filename*=utf-8''b"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"b\"; filename*=utf-8''b"), "multipart_disposition", "",
     5},
    {DISPOSITION("form-data; name=\"a\"; filename*=\"b\""), "multipart_disposition", "a", 5},
    {DISPOSITION("form-data; name*0=\"a\"; name*1=\"b\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"; size=1"), "multipart_disposition", "a", 5},
    {DISPOSITION("form-data; name=\"a"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"b"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\";"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\" filename=\"b\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\\\"b\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name='a'"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=a b"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name =a"), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"=?utf-8?q?a?=\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\tb\""), "multipart_header", "", 5},
    {DISPOSITION("form-data; name=\"12345678901234567890123456789012345678901\""), "multipart_name", "", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"12345678901234567890123456789012345678901\""),
     "multipart_filename", "a", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"../b\""), "multipart_filename", "a", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"..\""), "multipart_filename", "a", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"C:\\b\""), "multipart_disposition", "", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"b%2Fc\""), "multipart_filename", "a", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"b.php%00.png\""), "multipart_filename", "a", 5},
    {DISPOSITION("form-data; name=\"a\"; filename=\"=?utf-8?b?Li4v?=\""), "multipart_filename", "a", 5},
    /* Contents. */
    {CONTENT("1\0"), "multipart_nul", "a", 50},
    {CONTENT("\xff"), "multipart_utf8", "a", 49},
    {LITERAL("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\"\r\n\r\nx" END),
     "multipart_empty", "f", 62},
    {LITERAL("--b\r\nContent-Disposition: form-data; name=\"_charset_\"\r\n\r\nlatin1" END),
     "multipart_content_type", "_charset_", 57},
};

START_TEST(test_bad)
{
    static const size_t pieces[] = {1, 2, 3, 7, 100000};
    const struct bad_row *row = &bad_rows[_i];
    for (size_t i = 0; i < COUNT(pieces); i++) {
        struct multipart multipart;
        struct defect defect;
        ck_assert(!read_drips(row->body, pieces[i], &wide, &multipart, &defect));
        ck_assert_str_eq(defect.word, row->word);
        ck_assert_msg(text_equal(defect.field, text_of(row->field)), "%.*s", TEXT_ARGUMENTS(defect.field));
        ck_assert_uint_eq(defect.offset, row->offset);
        ck_assert(defect.message && defect.message[0]);
    }
}
END_TEST

START_TEST(test_source_fails)
{
    struct text body = text_of(good_rows[2].body);
    for (size_t length = 0; length < body.length - 2; length++) {
        struct dripping dripping = {{body.at, length}, 5, true};
        struct source source = {dripping_read, &dripping};
        struct multipart multipart;
        struct defect defect = {0};
        ck_assert(!multipart_read(&source, TEXT("b"), &wide, arena, &multipart, &defect));
        ck_assert_str_eq(defect.word, "multipart_failed");
        ck_assert(defect.failed);
    }
}
END_TEST

/* ---- limits */

/* "--b CRLF head CRLF CRLF" and x as often as wanted, and the end. */
static struct text body_of(const char *head, size_t length, size_t parts)
{
    size_t one = strlen(head) + length + 7;
    char *body = arena_alloc(arena, parts * one + 20), *at = body;
    for (size_t i = 0; i < parts; i++) {
        at = stpcpy(at, i ? "\r\n--b\r\n" : "--b\r\n");
        at = stpcpy(at, head);
        memset(at, 'x', length);
        at += length;
    }
    at = stpcpy(at, &END[parts ? 0 : 2]);
    return (struct text){body, (size_t)(at - body)};
}

static const char *judge(struct text body, const struct multipart_limits *limits)
{
    struct multipart multipart;
    struct defect defect;
    return read_drips(body, SIZE_MAX, limits, &multipart, &defect) ? "" : defect.word;
}

START_TEST(test_limits)
{
    struct multipart_limits limits = wide;
    ck_assert_str_eq(judge(body_of(FIELD, 0, 10), &limits), "");
    ck_assert_str_eq(judge(body_of(FIELD, 0, 11), &limits), "multipart_parts");
    ck_assert_str_eq(judge(body_of(FILE_, 0, 5), &limits), "");
    ck_assert_str_eq(judge(body_of(FILE_, 0, 6), &limits), "multipart_files");
    ck_assert_str_eq(judge(body_of(FIELD, 100, 2), &limits), "");
    ck_assert_str_eq(judge(body_of(FIELD, 101, 2), &limits), "multipart_field");
    ck_assert_str_eq(judge(body_of(FILE_, 1000, 2), &limits), "");
    ck_assert_str_eq(judge(body_of(FILE_, 1001, 2), &limits), "multipart_file");
    limits.head = sizeof HEAD - 1;
    ck_assert_str_eq(judge(body_of(FIELD, 0, 1), &limits), "");
    limits.head--;
    ck_assert_str_eq(judge(body_of(FIELD, 0, 1), &limits), "multipart_head");
    limits.head = 0;
    ck_assert_str_eq(judge(body_of(FIELD, 0, 1), &limits), "multipart_head");
    limits.parts = 0;
    ck_assert_str_eq(judge(body_of(FIELD, 0, 0), &limits), "");
    ck_assert_str_eq(judge(body_of(FIELD, 0, 1), &limits), "multipart_parts");
    limits = wide;
    limits.headers = 1;
    ck_assert_str_eq(judge(body_of(FIELD, 0, 1), &limits), "");
    limits.start = limits.file = limits.field = 0;
    ck_assert_str_eq(judge(body_of(FILE_, 0, 1), &limits), "");
    ck_assert_str_eq(judge(body_of(FILE_, 1, 1), &limits), "multipart_file");
    ck_assert_str_eq(judge(body_of(FIELD, 1, 1), &limits), "multipart_field");
}
END_TEST

START_TEST(test_many_parts)
{
    struct multipart_limits limits = wide;
    struct multipart multipart;
    struct defect defect;
    limits.parts = 100000;
    ck_assert(read_drips(body_of(FIELD, 3, 100000), SIZE_MAX, &limits, &multipart, &defect));
    ck_assert_uint_eq(multipart.count, 100000);
    for (size_t i = 0; i < multipart.count; i++)
        ck_assert(text_equal(multipart.items[i].value, TEXT("xxx")));
    limits.parts--;
    ck_assert_str_eq(judge(body_of(FIELD, 3, 100000), &limits), "multipart_parts");
}
END_TEST

/* Contents as long as a window and a little less or more, in lines that begin as the delimiter does. */
START_TEST(test_window)
{
    struct multipart_limits limits = wide;
    limits.field = 1 << 20;
    for (size_t length = 16 * 1024 - 80; length < 16 * 1024 + 10; length++) {
        struct multipart multipart;
        struct defect defect;
        struct text body = body_of(FIELD, length, 2);
        for (size_t i = 0; i + 4 <= length; i += 5)
            memcpy((char *)body.at + 49 + i, "\r\n--", 4);
        ck_assert(read_drips(body, SIZE_MAX, &limits, &multipart, &defect));
        ck_assert_uint_eq(multipart.items[0].length, length);
        ck_assert_uint_eq(multipart.items[1].length, length);
        ck_assert(memcmp(multipart.items[0].value.at, body.at + 49, length) == 0);
    }
}
END_TEST

/* A file larger than any memory that would be used for it. */
struct endless {
    uint64_t left;
    struct text head, tail;
};

static ssize_t read_endless(void *context, void *to, size_t size)
{
    struct endless *endless = context;
    struct text *text = endless->head.length > 0 ? &endless->head : &endless->tail;
    if (endless->head.length == 0 && endless->left > 0) {
        if (size > endless->left)
            size = (size_t)endless->left;
        memset(to, '-', size);
        endless->left -= size;
        return (ssize_t)size;
    }
    return source_of(text).read(text, to, size);
}

START_TEST(test_large_file)
{
    uint64_t length = UINT64_C(200) << 20;
    struct endless endless = {length, TEXT("--b\r\n" FILE_), TEXT(END)};
    struct source source = {read_endless, &endless};
    struct multipart_limits limits = wide;
    struct multipart multipart;
    struct defect defect = {0};
    limits.file = length;
    ck_assert(multipart_read(&source, TEXT("b"), &limits, arena, &multipart, &defect));
    ck_assert_uint_eq(multipart.items[0].length, length);
    ck_assert(text_equal(multipart.items[0].start, TEXT("----")));
}
END_TEST

/* Boundaries of dashes, and the longest one. */
START_TEST(test_odd_boundaries)
{
    static const char *const all[] = {"-", "--", "----", "'()+_,-./:=?", SEVENTY};
    for (size_t i = 0; i < COUNT(all); i++) {
        struct text body = text_of(arena_printf(
            arena, "--%s\r\n" FIELD "1-\r\n--%s\r\n" FIELD "2\r\n--%s--\r\n", all[i], all[i], all[i]));
        struct source source = source_of(&body);
        struct multipart multipart;
        struct defect defect = {0};
        ck_assert_msg(multipart_read(&source, text_of(all[i]), &wide, arena, &multipart, &defect), "%s",
                      defect.word);
        ck_assert_uint_eq(multipart.count, 2);
        ck_assert(text_equal(multipart.items[0].value, TEXT("1-")));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("multipart");
    TCase *tests = tcase_create("multipart");
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_loop_test(tests, test_boundary, 0, COUNT(boundaries));
    tcase_add_test(tests, test_many_parameters);
    tcase_add_loop_test(tests, test_good, 0, COUNT(good_rows));
    tcase_add_loop_test(tests, test_cut, 0, COUNT(good_rows));
    tcase_add_loop_test(tests, test_bad, 0, COUNT(bad_rows));
    tcase_add_test(tests, test_source_fails);
    tcase_add_test(tests, test_limits);
    tcase_add_test(tests, test_many_parts);
    tcase_add_test(tests, test_window);
    tcase_add_test(tests, test_large_file);
    tcase_add_test(tests, test_odd_boundaries);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
