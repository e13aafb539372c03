/*
 * Fills templates. They are part of the program, so a fault in one is a bug.
 */
#include "config.h"

#include "cli/template.h"

#include <assert.h>

#include "base/bytes.h"

enum { RESULT_LIMIT = 65536 };

static const struct template_value *find(const struct template_values *values, struct text name)
{
    for (size_t i = 0; i < values->count; i++)
        if (text_equal(text_of(values->items[i].name), name))
            return &values->items[i];
    return NULL;
}

void template_set(struct template_values *values, const char *name, const char *value)
{
    assert(values->count < TEMPLATE_VALUES_LIMIT && !find(values, text_of(name)));
    values->items[values->count++] = (struct template_value){name, value};
}

static bool has_value(const struct template_values *values, struct text name)
{
    const struct template_value *found = find(values, name);
    assert(found);
    return found->value != NULL;
}

/* Takes the condition off a line's front; false where it leaves the line out. */
static bool wants(const struct template_values *values, struct text *line)
{
    bool positive = text_starts_with(*line, TEXT("@?"));
    if (!positive && !text_starts_with(*line, TEXT("@!")))
        return true;
    struct text rest = text_from(*line, 2);
    size_t end = text_find(rest, '@');
    assert(end < rest.length);
    *line = text_from(rest, end + 1);
    return has_value(values, (struct text){rest.at, end}) == positive;
}

static void add_line(struct bytes *bytes, struct text line, const struct template_values *values)
{
    while (line.length > 0) {
        size_t at = text_find(line, '@');
        bytes_add(bytes, line.at, at);
        if (at == line.length)
            break;
        line = text_from(line, at + 1);
        size_t end = text_find(line, '@');
        assert(end < line.length);
        struct text name = {line.at, end};
        assert(has_value(values, name));
        bytes_add_text(bytes, text_of(find(values, name)->value));
        line = text_from(line, end + 1);
    }
    bytes_add_text(bytes, TEXT("\n"));
}

const char *template_fill(const char *text, const struct template_values *values, struct arena *arena)
{
    struct bytes bytes = bytes_new(arena, RESULT_LIMIT);
    struct text rest = text_of(text), line;
    while (text_next(&rest, '\n', &line))
        if (wants(values, &line))
            add_line(&bytes, line, values);
    assert(!bytes.full);
    return arena_copy(arena, bytes.at, bytes.length);
}
