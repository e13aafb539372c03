/*
 * Forms and cookies are lists of pairs, in which nothing holds anything; JSON
 * is read in inputs_json.c. All of them are written in the same way.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/inputs.h"

/* What may become of a byte: "%3B" of each in "&quot;" for a quote. */
enum { GROWTH_MOST = 24 };

static struct span span_of(struct text whole, struct text part)
{
    size_t start = (size_t)(part.at - whole.at);
    return (struct span){(uint32_t)start, (uint32_t)(start + part.length)};
}

/* ---- forms */

bool inputs_read_form(struct text text, const struct form_limits *limits, struct arena *arena,
                      struct inputs *inputs, struct defect *defect)
{
    struct form form;
    assert(text.length < INT32_MAX);
    if (!form_read(text, limits, arena, &form, defect))
        return false;
    *inputs =
        (struct inputs){INPUTS_FORM, text, arena_array(arena, form.count, sizeof *inputs->items), form.count};
    for (size_t i = 0; i < form.count; i++) {
        struct text piece = text_from(text, form.items[i].offset);
        piece.length = text_find(piece, '&');
        size_t equals = text_find(piece, '=');
        struct text value = {piece.at + (equals < piece.length ? equals + 1 : equals), 0};
        value.length = (size_t)(piece.at + piece.length - value.at);
        inputs->items[i] = (struct input){.name = form.items[i].name,
                                          .value = form.items[i].value,
                                          .parent = INPUT_TOP,
                                          .after = (uint32_t)i + 1,
                                          .whole = span_of(text, piece),
                                          .key = span_of(text, (struct text){piece.at, equals}),
                                          .content = span_of(text, value),
                                          .is_named = true,
                                          .is_text = true};
    }
    return true;
}

/* ---- cookies */

/* What is no escape stays as it is. */
static struct text decode(struct text text, struct arena *arena)
{
    if (text_find(text, '%') == text.length)
        return text;
    char *decoded = arena_alloc(arena, text.length), *to = decoded;
    for (size_t i = 0; i < text.length; i++) {
        bool escape = text.at[i] == '%' && text.length - i > 2 && text_hex_value(text.at[i + 1]) >= 0 &&
                      text_hex_value(text.at[i + 2]) >= 0;
        int byte = escape ? text_hex_value(text.at[i + 1]) << 4 | text_hex_value(text.at[i + 2]) : text.at[i];
        *to++ = (char)byte;
        i += escape ? 2 : 0;
    }
    return (struct text){decoded, (size_t)(to - decoded)};
}

/* Takes what stands behind a backslash. */
static char take_quoted(struct text *rest)
{
    unsigned byte = 0;
    size_t digits = 0;
    while (digits < 3 && digits < rest->length && rest->at[digits] >= '0' && rest->at[digits] <= '7')
        byte = byte << 3 | (unsigned)(rest->at[digits++] - '0');
    if (digits < 3)
        byte = (unsigned char)rest->at[0];
    *rest = text_from(*rest, digits == 3 ? 3 : 1);
    return (char)(byte & 0xff);
}

struct text inputs_reread_cookie(struct text text, struct arena *arena)
{
    char *reread = arena_alloc(arena, text.length + 1), *to = reread;
    while (text.length > 0) {
        char byte = text.at[0];
        text = text_from(text, 1);
        *to++ = byte == '\\' && text.length > 0 ? take_quoted(&text) : (char)(byte == '+' ? ' ' : byte);
    }
    return (struct text){reread, (size_t)(to - reread)};
}

/* Behind an "=" or without one; the blanks around it are none of its own. */
static struct input read_cookie(struct text text, struct text piece, struct arena *arena)
{
    size_t equals = text_find(piece, '=');
    bool is_named = equals < piece.length;
    struct text key = text_trim((struct text){piece.at, is_named ? equals : 0});
    struct text value = text_trim((struct text){piece.at + (is_named ? equals + 1 : 0), 0});
    value = text_trim((struct text){value.at, (size_t)(piece.at + piece.length - value.at)});
    return (struct input){.name = decode(key, arena),
                          .value = decode(value, arena),
                          .parent = INPUT_TOP,
                          .whole = span_of(text, piece),
                          .key = span_of(text, key),
                          .content = span_of(text, value),
                          .is_named = is_named,
                          .is_text = true};
}

static struct inputs room_for_cookies(struct text text, struct arena *arena)
{
    size_t room = 1;
    for (size_t i = 0; i < text.length; i++)
        room += text.at[i] == ';' || text.at[i] == ',';
    return (struct inputs){INPUTS_COOKIES, text, arena_array(arena, room, sizeof(struct input)), 0};
}

void inputs_read_cookies(struct text text, struct arena *arena, struct inputs *inputs)
{
    assert(text.length < INT32_MAX);
    *inputs = room_for_cookies(text, arena);
    for (struct text rest = text; rest.length > 0;) {
        size_t length = 0;
        while (length < rest.length && !memchr(";,", rest.at[length], 2))
            length++;
        struct text piece = text_trim((struct text){rest.at, length});
        rest = text_from(rest, length + 1);
        if (piece.length == 0)
            continue;
        struct input *item = &inputs->items[inputs->count++];
        *item = read_cookie(text, piece, arena);
        item->after = (uint32_t)inputs->count;
    }
}

/* ---- writing */

struct writer {
    const struct inputs *inputs;
    struct bytes bytes;
    size_t at;      /* so much of the text has been written, or left out */
    uint32_t *ends; /* of each that holds others, the end of the last one that stays; 0: none yet */
    uint32_t top_end;
};

static void copy_up_to(struct writer *writer, size_t end)
{
    assert(end >= writer->at);
    bytes_add(&writer->bytes, writer->inputs->text.at + writer->at, end - writer->at);
    writer->at = end;
}

static void write_escaped(struct bytes *bytes, struct text text, const char *plain)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.at[i];
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || (byte && strchr(plain, byte));
        const char escape[] = {'%', digits[(unsigned char)byte >> 4], digits[byte & 0x0f]};
        bytes_add(bytes, good ? &byte : escape, good ? 1 : sizeof escape);
    }
}

static void write_new(struct writer *writer, struct span old, struct text new)
{
    copy_up_to(writer, old.start);
    if (writer->inputs->kind == INPUTS_JSON)
        bytes_add_json(&writer->bytes, new);
    else /* a "+" in a cookie is a blank for some and not for others: it stays */
        write_escaped(&writer->bytes, new, writer->inputs->kind == INPUTS_COOKIES ? "-._~+" : "-._~");
    writer->at = old.end;
}

/* With the separator before it or, where nothing that stays is before it, the one behind it. */
static void leave_out(struct writer *writer, const struct input *item, uint32_t before)
{
    const struct inputs *inputs = writer->inputs;
    const struct input *next = item->after < inputs->count ? &inputs->items[item->after] : NULL;
    size_t stays = before > 0 ? before : item->whole.start;
    if (stays > writer->at) /* else another one before it was left out, too */
        copy_up_to(writer, stays);
    writer->at = before == 0 && next && next->parent == item->parent ? next->whole.start : item->whole.end;
}

struct text inputs_write(const struct inputs *inputs, struct arena *arena)
{
    assert(inputs->kind == INPUTS_FORM || inputs->kind == INPUTS_COOKIES || inputs->kind == INPUTS_JSON);
    struct writer writer = {.inputs = inputs,
                            .bytes = bytes_new(arena, GROWTH_MOST * inputs->text.length + 1),
                            .ends = arena_array(arena, inputs->count, sizeof(uint32_t))};
    for (size_t i = 0; i < inputs->count;) {
        const struct input *item = &inputs->items[i];
        uint32_t *before = item->parent == INPUT_TOP ? &writer.top_end : &writer.ends[item->parent];
        if (item->dropped) {
            leave_out(&writer, item, *before);
            i = item->after;
            continue;
        }
        *before = item->whole.end;
        if (item->renamed)
            write_new(&writer, item->key, item->name);
        if (item->changed)
            write_new(&writer, item->content, item->value);
        i++;
    }
    copy_up_to(&writer, inputs->text.length);
    assert(!writer.bytes.full);
    return bytes_text(&writer.bytes);
}
