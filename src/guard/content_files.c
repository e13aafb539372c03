/*
 * The files of a form: where they may be, and what.
 */
#include "config.h"

#include "data/media_type.h"
#include "data/multipart.h"
#include "guard/content.h"

static bool is_plain_text(struct text start)
{
    for (size_t i = 0; i < start.length; i++) {
        unsigned char byte = (unsigned char)start.at[i];
        if (byte == 0x7f || (byte < 0x20 && !memchr("\t\n\f\r\x1b", byte, 5)))
            return false;
    }
    /* It may end within a character. */
    return text_is_utf8(text_cut(start, start.length < MEDIA_TYPE_BYTES ? start.length : start.length - 1));
}

static struct text type_of(const struct multipart_part *part)
{
    const char *type = media_type_sniff(part->start);
    return text_of(type ? type : is_plain_text(part->start) ? "text/plain" : "application/octet-stream");
}

/* "image/png", or "image/" followed by "*". */
static bool is_of(struct text type, const struct texts *types)
{
    for (size_t i = 0; i < types->count; i++) {
        struct text pattern = types->items[i];
        bool any = text_ends_with(pattern, TEXT("/*"));
        if (any ? text_starts_with(type, (struct text){pattern.at, pattern.length - 1})
                : text_equal(type, pattern))
            return true;
    }
    return false;
}

static bool has_name(struct text name, const struct texts *names)
{
    for (size_t i = 0; i < names->count; i++)
        if (text_equal(name, names->items[i]))
            return true;
    return false;
}

static bool has_extension(struct text filename, const struct texts *extensions, struct arena *arena)
{
    struct text lower = text_lower(arena, filename);
    for (size_t i = 0; i < extensions->count; i++)
        if (text_ends_with(lower, extensions->items[i]))
            return true;
    return false;
}

/* By what it holds and by what it is said to be. */
static bool is_typed(const struct multipart_part *part, const struct texts *types)
{
    return types->count == 0 ||
           (is_of(type_of(part), types) && (part->type.length == 0 || is_of(part->type, types)));
}

static bool fits_field(const struct content_files *files, const struct multipart_part *part)
{
    for (size_t i = 0; i < files->field_count; i++)
        if (text_equal(files->fields[i].name, part->name))
            return is_typed(part, &files->fields[i].types);
    return true;
}

bool content_judge_file(const struct content_files *files, const struct multipart_part *part,
                        struct arena *arena, struct defect *defect)
{
    const char *word = NULL, *message = NULL;
    if (files->most == 0) {
        word = "file_unexpected";
        message = "is a file, and none is expected";
    } else if (files->names.count > 0 && !has_name(part->name, &files->names)) {
        word = "file_unexpected";
        message = "is a file, and none is expected in this field";
    } else if (part->filename.length == 0) {
        return true; /* nothing was chosen */
    } else if (files->extensions.count > 0 && !has_extension(part->filename, &files->extensions, arena)) {
        word = "file_extension";
        message = "is a file with a name that is not allowed";
    } else if (!is_typed(part, &files->types) || !fits_field(files, part)) {
        word = "file_type";
        message = "is a file of a type that is not allowed";
    }
    return !word || defect_set_field(defect, part->offset, word, message, part->name);
}
