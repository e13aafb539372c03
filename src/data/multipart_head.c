/*
 * Which headers a part may have, and what they may say. Readers differ in
 * backslashes, in encoded words (RFC 2047), in extended parameters (RFC 8187),
 * in paths and in charsets; so none of these is taken.
 */
#include "config.h"

#include "data/multipart_head.h"

#include "data/parameters.h"

struct lines {
    struct text block;
    uint64_t offset;
    const struct multipart_limits *limits;
    struct arena *arena;
    struct multipart_part *part;
    struct multipart_head *head;
    struct defect *defect;
    struct text names[MULTIPART_HEADERS_MOST], line;
    size_t count;
    bool has_disposition, other_charset;
};

static bool refuse(struct lines *lines, const char *word, const char *message)
{
    uint64_t offset = lines->offset + (uint64_t)(lines->line.at - lines->block.at);
    return defect_set_field(lines->defect, offset, word, message, lines->part->name);
}

static struct text keep(struct lines *lines, struct text text)
{
    return (struct text){arena_copy(lines->arena, text.at, text.length), text.length};
}

static bool contains(struct text text, const char *piece)
{
    return text.length > 0 && memmem(text.at, text.length, piece, strlen(piece));
}

/* ---- Content-Disposition */

/* Readers that take a path off, or decode what browsers do not mean, see another name. */
static bool is_plain_filename(struct text name)
{
    static const char *const pieces[] = {"/", "\\", "%2f", "%2F", "%5c", "%5C", "%00", "=?"};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        if (contains(name, pieces[i]))
            return false;
    return !text_equal(name, TEXT(".")) && !text_equal(name, TEXT(".."));
}

static bool read_filename(struct lines *lines, const struct text *filename)
{
    if (!filename)
        return true;
    if (filename->length > lines->limits->filename)
        return refuse(lines, "multipart_filename", "has a file name that is too long");
    if (!is_plain_filename(*filename))
        return refuse(lines, "multipart_filename", "has a file name with a path or with an encoding");
    lines->part->filename = keep(lines, *filename);
    lines->part->is_file = true;
    return true;
}

static bool read_disposition(struct lines *lines, struct text value)
{
    struct parameters parameters;
    const char *fault = parameters_read(value, &parameters);
    if (fault)
        return refuse(lines, "multipart_disposition", fault);
    const struct text *name = parameters_get(&parameters, "name");
    const struct text *filename = parameters_get(&parameters, "filename");
    if (!text_equal_ignore_case(parameters.value, TEXT("form-data")) || !name || name->length == 0 ||
        contains(*name, "=?"))
        return refuse(lines, "multipart_disposition", "has a part that is not form-data with a name");
    if (name->length > lines->limits->name)
        return refuse(lines, "multipart_name", "has a name that is too long");
    lines->part->name = keep(lines, *name);
    lines->has_disposition = true;
    for (size_t i = 0; i < parameters.count; i++) /* some seek the words as they are written here */
        if (!text_equal(parameters.items[i].name, TEXT("name")) &&
            !text_equal(parameters.items[i].name, TEXT("filename")))
            return refuse(lines, "multipart_disposition", "has parameters other than name and filename");
    if (parameters.count != (filename ? 2 : 1))
        return refuse(lines, "multipart_disposition", "has parameters other than name and filename");
    return read_filename(lines, filename);
}

/* ---- other headers */

static bool read_type(struct lines *lines, struct text value)
{
    struct parameters parameters;
    const char *fault = parameters_read(value, &parameters);
    size_t slash = text_find(parameters.value, '/');
    if (fault || !text_is_token((struct text){parameters.value.at, slash}) ||
        !text_is_token(text_from(parameters.value, slash + 1)))
        return refuse(lines, "multipart_content_type", fault ? fault : "has what is not a media type");
    struct text type = text_lower(lines->arena, parameters.value);
    if (text_starts_with(type, TEXT("multipart/")) || text_starts_with(type, TEXT("message/")) ||
        text_equal(type, TEXT("application/x-www-form-urlencoded"))) /* Python's cgi reads fields out of it */
        return refuse(lines, "multipart_content_type", "has parts within a part");
    const struct text *charset = parameters_get(&parameters, "charset");
    lines->other_charset = charset && !text_equal_ignore_case(*charset, TEXT("utf-8"));
    lines->part->type = type;
    return true;
}

static bool read_length(struct lines *lines, struct text value)
{
    lines->head->has_length = true;
    return text_number(value, INT64_MAX, &lines->head->length) ||
           refuse(lines, "multipart_length", "has a Content-Length that is not a number");
}

static bool read_header(struct lines *lines, struct text name, struct text value)
{
    if (text_equal_ignore_case(name, TEXT("content-disposition")))
        return read_disposition(lines, value);
    if (text_equal_ignore_case(name, TEXT("content-type")))
        return read_type(lines, value);
    if (text_equal_ignore_case(name, TEXT("content-length")))
        return read_length(lines, value);
    if (text_equal_ignore_case(name, TEXT("content-transfer-encoding")))
        return refuse(lines, "multipart_encoding", "has a Content-Transfer-Encoding");
    struct text front = {name.at, name.length < strlen("content-") ? name.length : strlen("content-")};
    return !text_equal_ignore_case(front, TEXT("content-")) ||
           refuse(lines, "multipart_header", "has a header about content that is not known");
}

static bool read_line(struct lines *lines)
{
    size_t colon = text_find(lines->line, ':');
    struct text name = {lines->line.at, colon};
    if (!text_is_line(lines->line) || colon == lines->line.length || !text_is_token(name))
        return refuse(lines, "multipart_header", "has what is not a header");
    for (size_t i = 0; i < lines->count; i++)
        if (text_equal_ignore_case(lines->names[i], name))
            return refuse(lines, "multipart_header", "has a header twice");
    if (lines->count == lines->limits->headers || lines->count == MULTIPART_HEADERS_MOST)
        return refuse(lines, "multipart_head", "has too many headers in a part");
    lines->names[lines->count++] = name;
    if (text_trim(text_from(lines->line, colon + 1)).length ==
        0) /* CGI.pm takes the next line for its value */
        return refuse(lines, "multipart_header", "has a header without a value");
    return read_header(lines, name, text_trim(text_from(lines->line, colon + 1)));
}

/* What only both headers together tell. */
static bool judge(struct lines *lines)
{
    const struct multipart_part *part = lines->part;
    lines->line = lines->block;
    if (!lines->has_disposition)
        return refuse(lines, "multipart_disposition", "has a part without Content-Disposition");
    if (!part->is_file && text_equal(part->type, TEXT("application/octet-stream")))
        return refuse(lines, "multipart_content_type", "has a file without a file name");
    return part->is_file || !lines->other_charset ||
           refuse(lines, "multipart_content_type", "has a charset other than UTF-8");
}

bool multipart_head_read(struct text block, uint64_t offset, const struct multipart_limits *limits,
                         struct arena *arena, struct multipart_part *part, struct multipart_head *head,
                         struct defect *defect)
{
    struct lines lines = {
        .block = block,
        .offset = offset,
        .limits = limits,
        .arena = arena,
        .part = part,
        .head = head,
        .defect = defect,
    };
    struct text rest = block;
    while (rest.length > 0) {
        const char *end = memmem(rest.at, rest.length, "\r\n", 2);
        size_t length = end ? (size_t)(end - rest.at) : rest.length;
        lines.line = (struct text){rest.at, length};
        if (!read_line(&lines))
            return false;
        rest = text_from(rest, length + 2);
    }
    return judge(&lines);
}
