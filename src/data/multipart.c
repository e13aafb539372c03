/*
 * A window moves over the body. The delimiter is sought as "--" and the
 * boundary, wherever it stands: readers disagree on which line ends and blanks
 * may be around it, so anywhere but on a line of its own it is refused.
 */
#include "config.h"

#include <assert.h>

#include "base/bytes.h"
#include "data/multipart.h"
#include "data/multipart_head.h"

enum { WINDOW_LEAST = 16 * 1024 };

struct reader {
    const struct source *source;
    const struct multipart_limits *limits;
    struct arena *arena;
    struct multipart *multipart;
    struct defect *defect;
    struct text delimiter; /* "--" and the boundary */
    struct text name;      /* of the part that is being read */
    char *window;
    size_t size, from, to; /* what is not yet read stands between `from` and `to` */
    uint64_t offset;       /* of the byte at `from` */
    bool ended;
    struct bytes field;
    size_t room, files; /* of multipart->items; how many parts are files */
};

static bool refuse_at(struct reader *reader, uint64_t offset, const char *word, const char *message)
{
    return defect_set_field(reader->defect, offset, word, message, reader->name);
}

static bool refuse(struct reader *reader, const char *word, const char *message)
{
    return refuse_at(reader, reader->offset, word, message);
}

static bool refuse_end(struct reader *reader)
{
    return refuse_at(reader, reader->offset + (reader->to - reader->from), "multipart_incomplete",
                     "ends before the last delimiter does");
}

/* ---- the window */

static struct text available(const struct reader *reader)
{
    return (struct text){reader->window + reader->from, reader->to - reader->from};
}

/* Until so many bytes are available, or the body has ended. */
static bool fill(struct reader *reader, size_t need)
{
    assert(need <= reader->size);
    if (reader->to - reader->from < need && reader->from > 0) {
        memmove(reader->window, reader->window + reader->from, reader->to - reader->from);
        reader->to -= reader->from;
        reader->from = 0;
    }
    while (!reader->ended && reader->to - reader->from < need) {
        ssize_t got = reader->source->read(reader->source->context, reader->window + reader->to,
                                           reader->size - reader->to);
        if (got < 0)
            return defect_set_failure(reader->defect, reader->offset, "multipart_failed",
                                      "could not be read");
        reader->ended = got == 0;
        reader->to += (size_t)got;
    }
    return true;
}

static void skip(struct reader *reader, size_t length)
{
    assert(length <= reader->to - reader->from);
    reader->from += length;
    reader->offset += length;
}

/* ---- the content of a part */

/* The next bytes are content. */
static bool take(struct reader *reader, struct multipart_part *part, size_t length)
{
    struct text piece = {available(reader).at, length};
    if (part->is_file) {
        if (length > reader->limits->file - part->length)
            return refuse_at(reader, part->offset + reader->limits->file, "multipart_file",
                             "is a file that is too large");
        size_t more = reader->limits->start - part->start.length;
        more = more < length ? more : length;
        if (more > 0)
            memcpy((char *)part->start.at + part->start.length, piece.at, more);
        part->start.length += more;
    } else {
        bytes_add_text(&reader->field, piece);
        if (reader->field.full)
            return refuse_at(reader, part->offset + reader->limits->field, "multipart_field", "is too long");
    }
    part->length += length;
    skip(reader, length);
    return true;
}

static bool finish_field(struct reader *reader, struct multipart_part *part)
{
    struct text value = bytes_text(&reader->field);
    if (text_find(value, '\0') < value.length)
        return refuse_at(reader, part->offset + text_find(value, '\0'), "multipart_nul",
                         "has a NUL character");
    if (!text_is_utf8(value))
        return refuse_at(reader, part->offset, "multipart_utf8", "is not UTF-8");
    /* RFC 7578, 4.6: it would be the charset of the other parts. */
    if (text_equal(part->name, TEXT("_charset_")) && !text_equal_ignore_case(value, TEXT("utf-8")))
        return refuse_at(reader, part->offset, "multipart_content_type", "is a charset other than UTF-8");
    part->value = (struct text){arena_copy(reader->arena, value.at, value.length), value.length};
    return true;
}

static bool finish(struct reader *reader, struct multipart_part *part, const struct multipart_head *head)
{
    if (head->has_length && head->length != part->length)
        return refuse_at(reader, part->offset, "multipart_length", "has a Content-Length that is wrong");
    if (!part->is_file)
        return finish_field(reader, part);
    return part->filename.length > 0 || part->length == 0 ||
           refuse_at(reader, part->offset, "multipart_empty", "has content for a file without a name");
}

/* Up to and with the delimiter, whose first byte is the `at`th of what is available. */
static bool end_content(struct reader *reader, struct multipart_part *part, size_t at)
{
    bool ends = at >= 2 && memcmp(available(reader).at + at - 2, "\r\n", 2) == 0;
    if (!take(reader, part, ends ? at - 2 : at))
        return false;
    if (!ends)
        return refuse(reader, "multipart_delimiter", "has the boundary where it ends nothing");
    skip(reader, 2 + reader->delimiter.length);
    return true;
}

static bool read_content(struct reader *reader, struct multipart_part *part)
{
    /* So much may be the beginning of a line end and a delimiter. */
    size_t hold = 2 + reader->delimiter.length - 1;
    reader->field.length = 0;
    part->offset = reader->offset;
    if (part->is_file)
        part->start.at = arena_alloc(reader->arena, reader->limits->start);
    for (;;) {
        struct text rest = available(reader);
        const char *found = memmem(rest.at, rest.length, reader->delimiter.at, reader->delimiter.length);
        if (found)
            return end_content(reader, part, (size_t)(found - rest.at));
        if (reader->ended) /* how it was cut into pieces must not decide what is wrong */
            return take(reader, part, rest.length) && refuse_end(reader);
        if (rest.length > hold && !take(reader, part, rest.length - hold))
            return false;
        if (!fill(reader, hold + 1))
            return false;
    }
}

/* ---- parts */

static struct multipart_part *add_part(struct reader *reader)
{
    struct multipart *multipart = reader->multipart;
    if (multipart->count == reader->room) {
        reader->room = reader->room ? 2 * reader->room : 8;
        struct multipart_part *items = arena_array(reader->arena, reader->room, sizeof *items);
        if (multipart->count > 0)
            memcpy(items, multipart->items, multipart->count * sizeof *items);
        multipart->items = items;
    }
    return &multipart->items[multipart->count++];
}

/* The headers, without the empty line behind them. */
static bool find_head(struct reader *reader, struct text *block)
{
    size_t most = reader->limits->head + 2;
    *block = (struct text){0};
    if (!fill(reader, most))
        return false;
    struct text rest = available(reader);
    if (text_starts_with(rest, TEXT("\r\n")))
        return refuse(reader, "multipart_disposition", "has a part without headers");
    const char *end =
        rest.length > 0 ? memmem(rest.at, rest.length < most ? rest.length : most, "\r\n\r\n", 4) : NULL;
    if (!end && rest.length < most)
        return refuse_end(reader);
    if (!end)
        return refuse(reader, "multipart_head", "has a part with too many bytes of headers");
    *block = (struct text){rest.at, (size_t)(end - rest.at)};
    const char *inside = memmem(rest.at, block->length, reader->delimiter.at, reader->delimiter.length);
    return !inside || refuse_at(reader, reader->offset + (uint64_t)(inside - rest.at), "multipart_delimiter",
                                "has the boundary where it ends nothing");
}

static bool read_part(struct reader *reader)
{
    struct multipart_head head = {0};
    struct text block;
    if (reader->multipart->count == reader->limits->parts)
        return refuse(reader, "multipart_parts", "has too many parts");
    if (!find_head(reader, &block))
        return false;
    struct multipart_part *part = add_part(reader);
    if (!multipart_head_read(block, reader->offset, reader->limits, reader->arena, part, &head,
                             reader->defect))
        return false;
    reader->name = part->name;
    if (part->is_file && reader->files++ == reader->limits->files)
        return refuse(reader, "multipart_files", "has too many files");
    skip(reader, block.length + 4);
    bool good = read_content(reader, part) && finish(reader, part, &head);
    reader->name = (struct text){0};
    return good;
}

/* Behind the last delimiter. */
static bool read_end(struct reader *reader)
{
    if (!fill(reader, 3))
        return false;
    struct text rest = available(reader);
    return rest.length == 0 || text_equal(rest, TEXT("\r\n")) ||
           refuse(reader, "multipart_epilogue", "has something behind the last delimiter");
}

/* Behind a delimiter: whether a part follows, or the end. */
static bool read_mark(struct reader *reader, bool *last)
{
    if (!fill(reader, 2))
        return false;
    struct text rest = available(reader);
    *last = text_starts_with(rest, TEXT("--"));
    if (rest.length < 2)
        return refuse_end(reader);
    if (!*last && !text_starts_with(rest, TEXT("\r\n")))
        return refuse(reader, "multipart_delimiter", "has a delimiter that does not end its line");
    skip(reader, 2);
    return true;
}

static bool read_first(struct reader *reader)
{
    if (!fill(reader, reader->delimiter.length))
        return false;
    struct text rest = available(reader);
    if (rest.length < reader->delimiter.length && text_starts_with(reader->delimiter, rest))
        return refuse_end(reader);
    if (!text_starts_with(rest, reader->delimiter))
        return refuse(reader, "multipart_preamble", "does not begin with the delimiter");
    skip(reader, reader->delimiter.length);
    return true;
}

static bool read_body(struct reader *reader)
{
    bool last;
    if (!read_first(reader))
        return false;
    for (;;) {
        if (!read_mark(reader, &last))
            return false;
        if (last)
            return read_end(reader);
        if (!read_part(reader))
            return false;
    }
}

bool multipart_read(const struct source *source, struct text boundary, const struct multipart_limits *limits,
                    struct arena *arena, struct multipart *multipart, struct defect *defect)
{
    assert(boundary.length > 0 && boundary.length <= MULTIPART_BOUNDARY_LIMIT);
    assert(limits->head < SIZE_MAX / 4);
    struct reader reader = {
        .source = source,
        .limits = limits,
        .arena = arena,
        .multipart = multipart,
        .defect = defect,
        .size = 2 * limits->head > WINDOW_LEAST ? 2 * limits->head : WINDOW_LEAST,
        .field = bytes_new(arena, limits->field),
    };
    *multipart = (struct multipart){0};
    reader.delimiter = text_of(arena_printf(arena, "--%.*s", TEXT_ARGUMENTS(boundary))); /* it has no NUL */
    reader.window = arena_alloc(arena, reader.size);
    return read_body(&reader);
}
