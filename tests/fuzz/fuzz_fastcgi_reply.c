/*
 * Fuzzing of what a FastCGI application sends: the first byte says into how large
 * pieces the rest is cut. Outcome, streams and what is left over must be those of
 * the whole, and standard output must not hold more than was sent.
 */
#include "config.h"

#include <assert.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "handler/fastcgi_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum fastcgi_step step;
    struct bytes output, errors;
    size_t left;
    struct fastcgi_reply reply;
};

static struct outcome take(struct text all, size_t piece_size, struct arena *arena)
{
    struct outcome outcome = {.step = FASTCGI_MORE,
                              .output = bytes_new(arena, all.length + 1),
                              .errors = bytes_new(arena, all.length + 1)};
    bool over = false;
    while (!over && all.length > 0) {
        struct text rest = {all.at, all.length < piece_size ? all.length : piece_size};
        size_t before = rest.length;
        do {
            struct text piece = {0};
            size_t had = rest.length;
            outcome.step = fastcgi_reply_take(&outcome.reply, &rest, &piece);
            assert(rest.length <= had && piece.length <= had - rest.length);
            over = outcome.step == FASTCGI_END || outcome.step == FASTCGI_BROKEN;
            assert(outcome.step != FASTCGI_MORE || rest.length == 0);
            assert((outcome.step == FASTCGI_OUTPUT || outcome.step == FASTCGI_ERRORS) == (piece.length > 0));
            bytes_add_text(outcome.step == FASTCGI_ERRORS ? &outcome.errors : &outcome.output, piece);
        } while (!over && outcome.step != FASTCGI_MORE);
        all = text_from(all, before - rest.length);
    }
    assert(!outcome.output.full && !outcome.errors.full);
    outcome.left = over ? all.length : 0;
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct arena *arena = arena_new();
    struct text all = {(const char *)data + 1, size - 1};
    struct outcome whole = take(all, SIZE_MAX, arena), split = take(all, (size_t)data[0] + 1, arena);
    assert(whole.step == split.step && whole.left == split.left);
    assert(text_equal(bytes_text(&whole.output), bytes_text(&split.output)));
    assert(text_equal(bytes_text(&whole.errors), bytes_text(&split.errors)));
    assert((whole.step == FASTCGI_BROKEN) == (whole.reply.fault != NULL));
    assert(text_equal(text_of(whole.reply.fault), text_of(split.reply.fault)));
    if (whole.step == FASTCGI_END) {
        assert(whole.reply.end.application_status == split.reply.end.application_status);
        assert(whole.reply.end.protocol_status == split.reply.end.protocol_status);
    }
    arena_free(arena);
    return 0;
}
