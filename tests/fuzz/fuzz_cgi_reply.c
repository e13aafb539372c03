/*
 * Fuzzing of the CGI reply parser: the first byte says into how large pieces
 * the rest is cut. The result must be that of the whole, and what is accepted
 * must be fit to be sent.
 */
#include "config.h"

#include <assert.h>
#include <stdint.h>

#include "base/arena.h"
#include "handler/cgi_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum cgi_reply_step feed(struct cgi_reply *reply, struct text output, size_t piece, size_t *used)
{
    enum cgi_reply_step step = CGI_REPLY_MORE;
    for (*used = 0; *used < output.length && step == CGI_REPLY_MORE;) {
        struct text next = text_from(output, *used);
        size_t taken;
        if (next.length > piece)
            next.length = piece;
        step = cgi_reply_feed(reply, next, &taken);
        assert(taken <= next.length);
        assert(step != CGI_REPLY_MORE || taken == next.length);
        *used += taken;
    }
    return step;
}

static void check_complete(const struct cgi_reply *reply)
{
    assert(reply->status >= 200 && reply->status <= 599);
    assert(reply->length >= -1);
    assert(reply->headers.count <= CGI_REPLY_HEADERS_LIMIT);
    for (size_t i = 0; i < reply->headers.count; i++) {
        assert(text_is_token(reply->headers.items[i].name));
        assert(header_value_is_safe(reply->headers.items[i].value));
    }
}

static void check_same(const struct cgi_reply *whole, const struct cgi_reply *split)
{
    assert(whole->status == split->status && whole->length == split->length);
    assert(text_equal(text_of(whole->fault), text_of(split->fault)));
    assert(whole->headers.count == split->headers.count);
    for (size_t i = 0; i < whole->headers.count; i++) {
        assert(text_equal(whole->headers.items[i].name, split->headers.items[i].name));
        assert(text_equal(whole->headers.items[i].value, split->headers.items[i].value));
    }
}

/* A log line may hold it as it is. */
static void check_fault(struct text fault)
{
    assert(fault.length > 0 && fault.length < 256);
    for (size_t i = 0; i < fault.length; i++)
        assert(fault.at[i] >= 0x20 && fault.at[i] < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct text output = {(const char *)data + 1, size - 1};
    struct arena *arena = arena_new();
    struct cgi_reply whole = cgi_reply_new(arena), split = cgi_reply_new(arena);
    size_t whole_used, split_used;
    enum cgi_reply_step step = feed(&whole, output, SIZE_MAX, &whole_used);
    enum cgi_reply_step split_step = feed(&split, output, (size_t)data[0] + 1, &split_used);
    assert(step == split_step);
    if (step != CGI_REPLY_BROKEN)
        assert(whole_used == split_used);
    check_same(&whole, &split);
    if (step == CGI_REPLY_COMPLETE)
        check_complete(&whole);
    if (step == CGI_REPLY_BROKEN)
        check_fault(text_of(whole.fault));
    arena_free(arena);
    return 0;
}
