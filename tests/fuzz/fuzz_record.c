/*
 * Fuzz target: a stream of FastCGI records. Its headers are read and written
 * back, its PARAMS split, its GET_VALUES answered.
 */
#include "config.h"

#include <stdlib.h>

#include "base/arena.h"
#include "http/record.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct text part, struct text whole)
{
    return part.at >= whole.at && part.length <= whole.length &&
           (size_t)(part.at - whole.at) <= whole.length - part.length;
}

/* The pairs must lie in the content, one behind the other, and fill it. */
static void check_params(struct text content, size_t limit, struct arena *arena)
{
    struct params params;
    if (!record_params(content, limit, arena, &params)) {
        MUST(params.count == 0);
        return;
    }
    MUST(params.count <= limit);
    const char *end = content.at;
    for (size_t i = 0; i < params.count; i++) {
        const struct param *param = &params.items[i];
        MUST(is_inside(param->name, content) && is_inside(param->value, content));
        MUST(param->value.at == param->name.at + param->name.length);
        MUST(param->name.at >= end + 2 && param->name.at <= end + 8);
        end = param->value.at + param->value.length;
    }
    MUST(end == content.at + content.length);
}

static void check_values(struct text content, unsigned connections)
{
    static const struct text status = {"{\"pid\":1}", 9};
    unsigned char answer[RECORD_VALUES_SIZE + 9];
    bool asked = record_asks(content, text_of(RECORD_STATUS));
    size_t length = record_values(content, connections, asked ? status : TEXT(""), answer);
    if (length == 0)
        return;
    MUST(length <= sizeof answer);
    struct record record = record_read(answer);
    MUST(record.type == RECORD_GET_VALUES_RESULT && record.id == 0);
    MUST(RECORD_HEADER_SIZE + record.content + record.padding == length);
    struct arena *arena = arena_new();
    struct text result = {(const char *)answer + RECORD_HEADER_SIZE, record.content};
    struct params params;
    MUST(record_params(result, 4, arena, &params));
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    size_t at = 0;
    while (size - at >= RECORD_HEADER_SIZE) {
        unsigned char written[RECORD_HEADER_SIZE];
        struct record record = record_read(data + at);
        record_write(written, record.type, record.id, record.content, record.padding);
        struct record again = record_read(written);
        MUST(again.type == record.type && again.id == record.id && again.content == record.content &&
             again.padding == record.padding);
        at += RECORD_HEADER_SIZE;
        size_t length = record.content < size - at ? record.content : size - at;
        struct text content = {(const char *)data + at, length};
        check_params(content, record.id, arena);
        check_params(content, SIZE_MAX, arena);
        check_values(content, record.id);
        at += length;
        at += record.padding < size - at ? record.padding : size - at;
    }
    check_params((struct text){(const char *)data, size}, 100, arena);
    check_values((struct text){(const char *)data, size}, UINT32_MAX);
    arena_free(arena);
    return 0;
}
