/*
 * Walks a JSON text that was found valid towards one value of it; only when
 * something is wrong with a schema, so it need not be fast.
 */
#include "config.h"

#include "data/schema_position.h"

struct cursor {
    struct text all;
    size_t at;
};

static char look(const struct cursor *cursor)
{
    return cursor->at < cursor->all.length ? cursor->all.at[cursor->at] : '\0';
}

static void skip_blanks(struct cursor *cursor)
{
    while (look(cursor) && strchr(" \t\r\n,:", look(cursor)))
        cursor->at++;
}

static struct text skip_string(struct cursor *cursor)
{
    size_t from = ++cursor->at;
    while (look(cursor) && look(cursor) != '"')
        cursor->at += look(cursor) == '\\' ? 2 : 1;
    struct text string = text_from(cursor->all, from);
    string.length = cursor->at > from ? cursor->at - from : 0;
    if (string.length > cursor->all.length - from)
        string.length = cursor->all.length - from;
    cursor->at++;
    return string;
}

static void skip_value(struct cursor *cursor)
{
    size_t depth = 0;
    do {
        char c = look(cursor);
        if (c == '"') {
            skip_string(cursor);
        } else if (c && strchr("{[", c)) {
            depth++;
            cursor->at++;
        } else if (c && strchr("}]", c)) {
            depth--;
            cursor->at++;
        } else {
            while (look(cursor) && !strchr(",:{}[]\" \t\r\n", look(cursor)))
                cursor->at++;
        }
        if (depth > 0)
            skip_blanks(cursor);
    } while (depth > 0 && look(cursor));
}

/* Whether a member is called what a step of the pointer says (RFC 6901, 4). A
 * name with escapes of JSON is not found; then the position is that of its object. */
static bool is_named(struct text key, struct text step)
{
    for (; key.length > 0 && step.length > 0; key = text_from(key, 1)) {
        bool escaped = step.at[0] == '~' && step.length > 1;
        char c = !escaped ? step.at[0] : step.at[1] == '0' ? '~' : '/';
        if (key.at[0] != c)
            return false;
        step = text_from(step, escaped ? 2 : 1);
    }
    return key.length == 0 && step.length == 0;
}

/* Into the container at hand, to its member or item of that name. */
static bool enter(struct cursor *cursor, struct text name)
{
    char kind = look(cursor);
    uint64_t index = 0;
    if ((kind != '{' && kind != '[') || (kind == '[' && !text_number(name, SIZE_MAX, &index)))
        return false;
    cursor->at++;
    for (skip_blanks(cursor); look(cursor) && !strchr("}]", look(cursor)); skip_blanks(cursor)) {
        if (kind == '{') {
            struct text key = skip_string(cursor);
            skip_blanks(cursor);
            if (is_named(key, name))
                return true;
        } else if (index-- == 0) {
            return true;
        }
        skip_value(cursor);
    }
    return false;
}

void schema_position(struct text json, struct text pointer, unsigned *line, unsigned *column)
{
    struct cursor cursor = {json, 0};
    struct text name;
    size_t found;
    skip_blanks(&cursor);
    found = cursor.at;
    pointer = text_from(pointer, 1);
    while (text_next(&pointer, '/', &name) && enter(&cursor, name))
        found = cursor.at;
    *line = *column = 1;
    for (size_t i = 0; i < found; i++) {
        if (json.at[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)json.at[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}
