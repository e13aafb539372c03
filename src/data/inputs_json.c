/*
 * JSON as a list of its values. A scan has found it to be JSON before, so
 * that nothing is judged here, and depth costs no stack.
 */
#include "config.h"

#include <assert.h>

#include "data/inputs.h"

struct walk {
    struct text text;
    size_t at;
    struct arena *arena;
    struct inputs *inputs;
};

static char next(const struct walk *walk)
{
    return walk->at < walk->text.length ? walk->text.at[walk->at] : '\0';
}

static void skip_blanks(struct walk *walk)
{
    while (walk->at < walk->text.length && strchr(" \t\r\n", walk->text.at[walk->at]))
        walk->at++;
}

/* ---- strings */

static uint32_t code_of(const char *digits)
{
    uint32_t code = 0;
    for (size_t i = 0; i < 4; i++)
        code = code << 4 | (uint32_t)text_hex_value(digits[i]);
    return code;
}

static char *put_code(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *to++ = (char)((0xffU << (7 - more)) | code >> 6 * more); /* RFC 3629, 3 */
    while (more-- > 0)
        *to++ = (char)(0x80 | (code >> 6 * more & 0x3f));
    return to;
}

/* Takes the escape at the front of `rest`; no escape is shorter than what it stands for. */
static char *undo_escape(struct text *rest, char *to)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    char letter = rest->at[1];
    if (letter != 'u') {
        const char *found = strchr(letters, letter);
        *to = found ? meanings[found - letters] : letter;
        *rest = text_from(*rest, 2);
        return to + 1;
    }
    uint32_t code = code_of(rest->at + 2);
    bool pair = code >= 0xd800 && code < 0xdc00;
    if (pair)
        code = 0x10000 + ((code - 0xd800) << 10) + (code_of(rest->at + 8) - 0xdc00);
    *rest = text_from(*rest, pair ? 12 : 6);
    return put_code(to, code);
}

static struct text decode(struct text written, struct arena *arena)
{
    if (text_find(written, '\\') == written.length)
        return written;
    char *decoded = arena_alloc(arena, written.length), *to = decoded;
    while (written.length > 0) {
        if (written.at[0] == '\\') {
            to = undo_escape(&written, to);
        } else {
            *to++ = written.at[0];
            written = text_from(written, 1);
        }
    }
    return (struct text){decoded, (size_t)(to - decoded)};
}

static struct text take_string(struct walk *walk, struct span *span)
{
    size_t start = walk->at++;
    while (walk->text.at[walk->at] != '"')
        walk->at += walk->text.at[walk->at] == '\\' ? 2 : 1;
    *span = (struct span){(uint32_t)start, (uint32_t)++walk->at};
    return decode((struct text){walk->text.at + start + 1, walk->at - start - 2}, walk->arena);
}

/* ---- values */

/* The name of the next value, where it has one, and the place for it. */
static struct input *begin(struct walk *walk, uint32_t parent)
{
    struct inputs *inputs = walk->inputs;
    struct input *item = &inputs->items[inputs->count++];
    skip_blanks(walk);
    item->parent = parent;
    item->whole.start = (uint32_t)walk->at;
    if (parent != INPUT_TOP)
        item->index = inputs->items[parent].held++;
    item->is_named = parent != INPUT_TOP && walk->text.at[inputs->items[parent].content.start] == '{';
    if (item->is_named) {
        item->name = take_string(walk, &item->key);
        skip_blanks(walk);
        walk->at++; /* the colon */
        skip_blanks(walk);
    }
    item->content.start = (uint32_t)walk->at;
    return item;
}

static void end(struct walk *walk, struct input *item)
{
    item->whole.end = item->content.end = (uint32_t)walk->at;
    item->after = (uint32_t)walk->inputs->count;
}

/* Whether it holds something, which then stands next. */
static bool opens(struct walk *walk)
{
    if (next(walk) != '{' && next(walk) != '[')
        return false;
    walk->at++;
    skip_blanks(walk);
    if (next(walk) != '}' && next(walk) != ']')
        return true;
    walk->at++;
    return false;
}

static void take_scalar(struct walk *walk, struct input *item)
{
    if (walk->at > item->content.start) /* an empty array or object */
        return;
    item->is_text = next(walk) == '"';
    if (item->is_text)
        item->value = take_string(walk, &item->content);
    while (next(walk) && !strchr(",]} \t\r\n", next(walk)))
        walk->at++;
}

/* Behind a value: ends what ends here. The parent of the next one, INPUT_TOP at the end. */
static uint32_t close(struct walk *walk, uint32_t parent)
{
    while (parent != INPUT_TOP) {
        skip_blanks(walk);
        if (walk->text.at[walk->at++] == ',')
            break;
        struct input *item = &walk->inputs->items[parent];
        end(walk, item);
        parent = item->parent;
    }
    return parent;
}

static size_t count_at_most(struct text text, size_t most)
{
    size_t count = 1;
    for (size_t i = 0; i < text.length && count < most; i++)
        count += memchr(",[{", text.at[i], 3) != NULL;
    return count;
}

bool inputs_read_json(struct text text, const struct json_limits *limits, struct arena *arena,
                      struct inputs *inputs, struct defect *defect)
{
    struct walk walk = {.text = text, .arena = arena, .inputs = inputs};
    uint32_t parent = INPUT_TOP;
    assert(text.length < INT32_MAX);
    if (!json_scan(text, limits, defect))
        return false;
    size_t room = count_at_most(text, limits->values);
    *inputs = (struct inputs){INPUTS_JSON, text, arena_array(arena, room, sizeof *inputs->items), 0};
    do {
        struct input *item = begin(&walk, parent);
        if (opens(&walk)) {
            parent = (uint32_t)(item - inputs->items);
            continue;
        }
        take_scalar(&walk, item);
        end(&walk, item);
        parent = close(&walk, parent);
    } while (parent != INPUT_TOP);
    return true;
}
