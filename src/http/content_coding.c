/*
 * zlib does the work and checks the sums at the end. It allocates in the
 * arena, so nothing is left of a body when the request's memory is wiped.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <zlib.h>

#include "http/content_coding.h"

enum {
    PIECE_SIZE = 16 * 1024,
    WINDOW_BITS = 15,
    GZIP_WRAPPER = 16, /* added to the window bits: gzip and nothing else */
};

enum content_coding content_coding_of(struct text value)
{
    value = text_trim(value);
    if (value.length == 0 || text_equal_ignore_case(value, TEXT("identity")))
        return CONTENT_CODING_NONE;
    if (text_equal_ignore_case(value, TEXT("gzip")) || text_equal_ignore_case(value, TEXT("x-gzip")))
        return CONTENT_CODING_GZIP;
    if (text_equal_ignore_case(value, TEXT("deflate")))
        return CONTENT_CODING_DEFLATE;
    return CONTENT_CODING_OTHER;
}

struct work {
    const struct source *source;
    const struct inflate_limits *limits;
    struct spool *spool;
    struct defect *defect;
    z_stream stream;
    uint64_t received, produced;
    bool ended;
    unsigned char input[PIECE_SIZE], output[PIECE_SIZE];
};

static void *allocate(void *arena, unsigned count, unsigned size)
{
    return arena_array(arena, count, size);
}

static void release(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static uint64_t consumed(const struct work *work)
{
    return work->received - work->stream.avail_in;
}

static bool refuse(struct work *work, const char *word, const char *message)
{
    return defect_set(work->defect, consumed(work), word, message);
}

static bool fail(struct work *work)
{
    return defect_set_failure(work->defect, consumed(work), "coding_failed", "could not be kept");
}

/* More input, where there is none left. */
static bool receive(struct work *work)
{
    if (work->stream.avail_in > 0 || work->ended)
        return true;
    ssize_t got = work->source->read(work->source->context, work->input, sizeof work->input);
    if (got < 0)
        return fail(work);
    work->ended = got == 0;
    work->received += (uint64_t)got;
    work->stream.next_in = work->input;
    work->stream.avail_in = (unsigned)got;
    return true;
}

static bool keep(struct work *work, size_t length)
{
    struct error error = {0};
    work->produced += length;
    if (work->produced > work->limits->size)
        return refuse(work, "coding_size", "is too large when it is inflated");
    if (work->produced > work->limits->grace && work->produced / work->limits->ratio > consumed(work))
        return refuse(work, "coding_ratio", "grows too much when it is inflated");
    if (length == 0 || spool_write(work->spool, work->output, length, &error))
        return true;
    return error.number == EFBIG ? refuse(work, "coding_size", "is too large when it is inflated")
                                 : fail(work);
}

/* One step, and whether it was the last. */
static bool step(struct work *work, bool *last)
{
    work->stream.next_out = work->output;
    work->stream.avail_out = sizeof work->output;
    int result = inflate(&work->stream, Z_NO_FLUSH);
    *last = result == Z_STREAM_END;
    if (result == Z_MEM_ERROR)
        return fail(work);
    if (result == Z_BUF_ERROR && work->ended)
        return refuse(work, "coding_incomplete", "ends before the compressed data does");
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
        return refuse(work, "coding_broken", "is not what its Content-Encoding says");
    return keep(work, sizeof work->output - work->stream.avail_out);
}

static bool inflate_all(struct work *work)
{
    for (bool last = false; !last;)
        if (!receive(work) || !step(work, &last))
            return false;
    if (!receive(work))
        return false;
    return work->stream.avail_in == 0 ||
           refuse(work, "coding_trailing", "has something behind the compressed data");
}

bool content_coding_inflate(const struct source *source, enum content_coding coding,
                            const struct inflate_limits *limits, struct arena *arena, struct spool *spool,
                            struct defect *defect)
{
    struct work *work = arena_alloc(arena, sizeof *work);
    assert(coding == CONTENT_CODING_GZIP || coding == CONTENT_CODING_DEFLATE);
    assert(limits->ratio > 0);
    *work = (struct work){.source = source, .limits = limits, .spool = spool, .defect = defect};
    work->stream.zalloc = allocate;
    work->stream.zfree = release;
    work->stream.opaque = arena;
    if (inflateInit2(&work->stream, WINDOW_BITS + (coding == CONTENT_CODING_GZIP ? GZIP_WRAPPER : 0)) != Z_OK)
        return fail(work);
    bool good = inflate_all(work);
    inflateEnd(&work->stream);
    return good;
}
