/*
 * All names and values lie in one piece of memory: they are never longer than
 * what they were written as.
 */
#include "config.h"

#include "data/form.h"

/* A name or a value, and what is said of it. */
struct kind {
    size_t limit;
    const char *word, *message;
    struct text field;
};

struct reader {
    struct text text;
    char *to; /* where what is decoded next goes */
    struct defect *defect;
};

/* The byte at `at`, which moves past it; -1 for an escape that is none. */
static int next_byte(struct text piece, size_t *at)
{
    char byte = piece.at[(*at)++];
    if (byte == '+')
        return ' ';
    if (byte != '%')
        return (unsigned char)byte;
    if (piece.length - *at < 2)
        return -1;
    int high = text_hex_value(piece.at[*at]), low = text_hex_value(piece.at[*at + 1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool decode(struct reader *reader, struct text piece, const struct kind *kind, struct text *decoded)
{
    size_t offset = (size_t)(piece.at - reader->text.at);
    *decoded = (struct text){reader->to, 0};
    for (size_t at = 0, from = 0; at < piece.length; from = at) {
        int byte = next_byte(piece, &at);
        if (byte < 0)
            return defect_set_field(reader->defect, offset + from, "form_escape",
                                    "has \"%\" without two hexadecimal digits", kind->field);
        if (byte == 0)
            return defect_set_field(reader->defect, offset + from, "form_nul", "has a NUL character",
                                    kind->field);
        if (piece.at[from] != '%' && (byte < ' ' || byte == 0x7f))
            return defect_set_field(reader->defect, offset + from, "form_control_character",
                                    "has a control character that is not escaped", kind->field);
        if (decoded->length == kind->limit)
            return defect_set_field(reader->defect, offset + from, kind->word, kind->message, kind->field);
        reader->to[decoded->length++] = (char)byte;
    }
    reader->to += decoded->length;
    return text_is_utf8(*decoded) ||
           defect_set_field(reader->defect, offset, "form_utf8", "is not UTF-8", kind->field);
}

static bool read_pair(struct reader *reader, struct text piece, const struct form_limits *limits,
                      struct form_pair *pair)
{
    size_t equals = text_find(piece, '=');
    struct kind name = {limits->name, "form_name", "has a name that is too long", {0}};
    if (!decode(reader, (struct text){piece.at, equals}, &name, &pair->name))
        return false;
    struct kind value = {limits->value, "form_value", "is too long", pair->name};
    pair->offset = (size_t)(piece.at - reader->text.at);
    pair->raw = text_from(piece, equals + 1);
    return decode(reader, pair->raw, &value, &pair->value);
}

static size_t count_pieces(struct text text)
{
    struct text piece;
    size_t count = 0;
    while (text_next(&text, '&', &piece))
        count += piece.length > 0;
    return count;
}

bool form_read(struct text text, const struct form_limits *limits, struct arena *arena, struct form *form,
               struct defect *defect)
{
    struct reader reader = {text, arena_alloc(arena, text.length), defect};
    struct text rest = text, piece;
    size_t pieces = count_pieces(text), room = pieces < limits->pairs ? pieces : limits->pairs;
    *form = (struct form){.items = arena_array(arena, room, sizeof *form->items)};
    while (text_next(&rest, '&', &piece)) {
        if (piece.length == 0)
            continue;
        if (form->count == limits->pairs)
            return defect_set(defect, (size_t)(piece.at - text.at), "form_pairs", "has too many fields");
        if (!read_pair(&reader, piece, limits, &form->items[form->count]))
            return false;
        form->count++;
    }
    return true;
}
