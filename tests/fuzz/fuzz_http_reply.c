/*
 * Fuzzing of the judge of HTTP heads, line by line as libcurl hands them over.
 * What is accepted must be fit to be sent, and have one length at most.
 */
#include "config.h"

#include <assert.h>
#include <stdint.h>

#include "base/arena.h"
#include "handler/http_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_complete(const struct http_reply *reply)
{
    assert(reply->status >= 200 && reply->status <= 599 && reply->status != 101);
    assert(reply->length >= -1 && !(reply->chunked && reply->length >= 0));
    assert(reply->headers.count <= HTTP_REPLY_HEADERS_LIMIT && reply->size <= HTTP_REPLY_SIZE_LIMIT);
    for (size_t i = 0; i < reply->headers.count; i++) {
        assert(text_is_token(reply->headers.items[i].name));
        assert(header_value_is_safe(reply->headers.items[i].value));
        assert(!text_equal_ignore_case(reply->headers.items[i].name, TEXT("content-length")));
        assert(!text_equal_ignore_case(reply->headers.items[i].name, TEXT("transfer-encoding")));
    }
}

/* A log line may hold it as it is. */
static void check_fault(struct text fault)
{
    assert(fault.length > 0 && fault.length < 256);
    for (size_t i = 0; i < fault.length; i++)
        assert(fault.at[i] >= 0x20 && fault.at[i] < 0x7f);
}

static struct text take_line(struct text *rest)
{
    size_t end = text_find(*rest, '\n');
    struct text line = {rest->at, end < rest->length ? end + 1 : end};
    *rest = text_from(*rest, line.length);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text head = {(const char *)data, size};
    struct arena *arena = arena_new();
    struct http_reply reply = http_reply_new(arena);
    enum http_reply_step step = HTTP_REPLY_MORE;
    while (step == HTTP_REPLY_MORE && head.length > 0)
        step = http_reply_line(&reply, take_line(&head));
    if (step == HTTP_REPLY_COMPLETE)
        check_complete(&reply);
    while (step == HTTP_REPLY_COMPLETE && head.length > 0)
        if (!http_reply_trailer(&reply, take_line(&head)))
            step = HTTP_REPLY_BROKEN;
    if (step == HTTP_REPLY_COMPLETE)
        check_complete(&reply);
    if (step == HTTP_REPLY_BROKEN)
        check_fault(text_of(reply.fault));
    arena_free(arena);
    return 0;
}
