/*
 * Fuzz target: a compressed body. The first byte says of what coding it is and
 * into how large pieces it is cut; what is taken keeps to the limits and is
 * what zlib makes of it in one go.
 */
#include "config.h"

#include <stdlib.h>
#include <zlib.h>

#include "../unit/dripping.h"
#include "http/content_coding.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

enum { SIZE_LIMIT = 100000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct inflate_limits limits = {.size = SIZE_LIMIT, .ratio = 300, .grace = 1000};

static void check_same(struct text body, bool gzip, struct spool *spool)
{
    static unsigned char expected[SIZE_LIMIT + 1];
    static char got[SIZE_LIMIT + 1];
    z_stream stream = {.next_in = (unsigned char *)body.at, .avail_in = (unsigned)body.length};
    MUST(inflateInit2(&stream, gzip ? 31 : 15) == Z_OK);
    stream.next_out = expected;
    stream.avail_out = sizeof expected;
    MUST(inflate(&stream, Z_FINISH) == Z_STREAM_END && stream.avail_in == 0);
    MUST(stream.total_out == spool->length);
    MUST(spool_read(spool, got, sizeof got) == (ssize_t)spool->length);
    MUST(memcmp(got, expected, (size_t)spool->length) == 0);
    inflateEnd(&stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct text body = {(const char *)data + 1, size - 1};
    bool gzip = data[0] & 1;
    struct dripping dripping = {body, (size_t)(data[0] >> 1) + 1, false};
    struct source source = {dripping_read, &dripping};
    struct spool spool = spool_new(SIZE_LIMIT, SIZE_LIMIT, NULL);
    struct arena *arena = arena_new();
    struct defect defect = {0};
    bool good = content_coding_inflate(&source, gzip ? CONTENT_CODING_GZIP : CONTENT_CODING_DEFLATE, &limits,
                                       arena, &spool, &defect);
    MUST(good == !defect.word && !defect.failed && spool.length <= limits.size);
    MUST(spool.length <= limits.grace || spool.length / limits.ratio <= body.length);
    if (good)
        check_same(body, gzip, &spool);
    else
        MUST(defect.message && defect.offset <= body.length);
    spool_close(&spool);
    arena_free(arena);
    return 0;
}
