/*
 * Fuzz target: a multipart body, its first line a Content-Type. What is taken
 * keeps to the limits, lies in the body, has the boundary nowhere, and is the
 * same however little the source gives at a time. The byte before tells how little.
 */
#include "config.h"

#include <stdlib.h>

#include "../unit/dripping.h"
#include "data/multipart.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct multipart_limits limits = {
    .parts = 8,
    .files = 4,
    .head = 200,
    .headers = 6,
    .name = 32,
    .filename = 32,
    .field = 64,
    .file = 128,
    .start = 16,
};

static void check_part(const struct multipart_part *part, struct text body, struct text boundary)
{
    MUST(part->offset <= body.length && part->length <= body.length - part->offset);
    struct text content = {body.at + part->offset, (size_t)part->length};
    struct text behind = text_from(body, (size_t)(part->offset + part->length));
    MUST(text_starts_with(behind, TEXT("\r\n--")) && text_starts_with(text_from(behind, 4), boundary));
    for (size_t i = 0; i < content.length; i++)
        MUST(!text_starts_with(text_from(content, i), TEXT("--")) ||
             !text_starts_with(text_from(content, i + 2), boundary));
    MUST(part->name.length > 0 && part->name.length <= limits.name && text_is_line(part->name));
    if (part->is_file) {
        MUST(part->length <= limits.file && part->filename.length <= limits.filename);
        MUST(text_starts_with(content, part->start) && part->start.length <= limits.start);
    } else {
        MUST(text_equal(part->value, content) && part->length <= limits.field && text_is_utf8(content));
    }
}

static void check_same(const struct multipart *a, const struct multipart *b)
{
    MUST(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        MUST(a->items[i].offset == b->items[i].offset && a->items[i].length == b->items[i].length);
        MUST(text_equal(a->items[i].name, b->items[i].name));
        MUST(text_equal(a->items[i].filename, b->items[i].filename));
        MUST(text_equal(a->items[i].type, b->items[i].type));
        MUST(text_equal(a->items[i].value, b->items[i].value));
        MUST(text_equal(a->items[i].start, b->items[i].start));
    }
}

static void check_body(struct text body, struct text boundary, size_t piece, struct arena *arena)
{
    struct dripping whole = {body, SIZE_MAX, false}, drops = {body, piece, false};
    struct source source = {dripping_read, &whole}, other = {dripping_read, &drops};
    struct multipart multipart, again;
    struct defect defect = {0}, same = {0};
    bool good = multipart_read(&source, boundary, &limits, arena, &multipart, &defect);
    MUST(multipart_read(&other, boundary, &limits, arena, &again, &same) == good);
    MUST(good == !defect.word && !defect.failed);
    if (!good) {
        MUST(strcmp(defect.word, same.word) == 0 && defect.offset == same.offset);
        MUST(defect.message && defect.offset <= body.length && text_equal(defect.field, same.field));
        return;
    }
    MUST(multipart.count <= limits.parts);
    for (size_t i = 0; i < multipart.count; i++)
        check_part(&multipart.items[i], body, boundary);
    check_same(&multipart, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct text input = {(const char *)data + 1, size - 1}, boundary;
    size_t line = text_find(input, '\n');
    struct arena *arena = arena_new();
    struct defect defect = {0};
    if (multipart_boundary((struct text){input.at, line}, &boundary, &defect))
        check_body(text_from(input, line + 1), boundary, (size_t)data[0] + 1, arena);
    else
        MUST(strcmp(defect.word, "multipart_type") == 0);
    arena_free(arena);
    return 0;
}
