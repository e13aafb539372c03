/*
 * A growing buffer in an arena. Outgrown blocks stay in the arena until it is
 * reset, so capacity doubles.
 */
#include "config.h"

#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

enum { FIRST_CAPACITY = 256 };

struct bytes bytes_new(struct arena *arena, size_t limit)
{
    return (struct bytes){.arena = arena, .limit = limit};
}

/* Room for `length` more bytes, or NULL when the limit is in the way. */
static char *make_room(struct bytes *bytes, size_t length)
{
    if (bytes->full || length > bytes->limit - bytes->length) {
        bytes->full = true;
        return NULL;
    }
    if (length > bytes->capacity - bytes->length) {
        size_t capacity = bytes->capacity ? bytes->capacity : FIRST_CAPACITY;
        while (capacity < bytes->length + length)
            capacity = capacity > SIZE_MAX / 2 ? bytes->length + length : capacity * 2;
        char *larger = arena_alloc(bytes->arena, capacity);
        if (bytes->length)
            memcpy(larger, bytes->at, bytes->length);
        bytes->at = larger;
        bytes->capacity = capacity;
    }
    return bytes->at + bytes->length;
}

void bytes_add(struct bytes *bytes, const void *at, size_t length)
{
    char *to = length ? make_room(bytes, length) : NULL;
    if (!to)
        return;
    memcpy(to, at, length);
    bytes->length += length;
}

void bytes_add_text(struct bytes *bytes, struct text text)
{
    bytes_add(bytes, text.at, text.length);
}

void bytes_printf(struct bytes *bytes, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *string = arena_vprintf(bytes->arena, format, arguments);
    va_end(arguments);
    bytes_add(bytes, string, strlen(string));
}

/* The escape for the character at the front (`length` bytes of UTF-8), or NULL. */
static const char *escape_of(struct text rest, size_t length, char buffer[8])
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    unsigned char c = (unsigned char)rest.at[0];
    const char *mark = c ? strchr(plain, c) : NULL;
    if (length == 0)
        return "\\ufffd";
    if (length == 3 && memcmp(rest.at, "\xe2\x80\xa8", 3) == 0)
        return "\\u2028";
    if (length == 3 && memcmp(rest.at, "\xe2\x80\xa9", 3) == 0)
        return "\\u2029";
    if (mark && length == 1)
        snprintf(buffer, 8, "\\%c", letters[mark - plain]);
    else if (length == 1 && (c < 0x20 || c == 0x7f))
        snprintf(buffer, 8, "\\u%04x", c);
    else
        return NULL;
    return buffer;
}

void bytes_add_json(struct bytes *bytes, struct text text)
{
    char buffer[8];
    size_t start = bytes->length;
    bytes_add(bytes, "\"", 1);
    while (text.length > 0 && !bytes->full) {
        size_t plain = text_plain_run(text);
        bytes_add(bytes, text.at, plain);
        text = text_from(text, plain);
        if (text.length == 0)
            break;
        size_t length = text_utf8_sequence(text);
        const char *escape = escape_of(text, length, buffer);
        if (escape)
            bytes_add(bytes, escape, strlen(escape));
        else
            bytes_add(bytes, text.at, length);
        text = text_from(text, length ? length : 1);
    }
    bytes_add(bytes, "\"", 1);
    if (bytes->full)
        bytes->length = start;
}

struct text bytes_text(const struct bytes *bytes)
{
    return (struct text){bytes->at, bytes->length};
}
