/*
 * The body of a request as a value: by its Content-Type and Content-Encoding,
 * out of the spool in which it is kept, which it leaves as it was.
 */
#include "config.h"

#include <stdlib.h>

#include "data/json_body.h"
#include "data/media_type.h"
#include "data/multipart.h"
#include "data/parameters.h"
#include "guard/content.h"
#include "http/content_coding.h"

enum { NAME_MOST = 256, HEAD_MOST = 4096, SPOOL_MEMORY = 64 * 1024 };

/* What a body may grow by when it is inflated, once this much has come of it. */
enum { RATIO_MOST = 100, RATIO_GRACE = 64 * 1024 };

struct reading {
    const struct content_rules *rules;
    const struct content_media *media;
    struct exchange *exchange;
    struct spool *spool; /* what is to be read */
    struct defect defect;
};

/* ---- what it is */

static struct text header(const struct exchange *exchange, const char *name)
{
    const struct text *value = headers_get(&exchange->request.headers, name);
    return value ? *value : TEXT("");
}

/* One that some seek anywhere in the header, or cut off, would make it another type for them. */
static const char *find_fault(const struct parameters *parameters, struct text type)
{
    struct text form = TEXT("application/x-www-form-urlencoded"), multipart = TEXT("multipart/form-data");
    if (text_starts_with(type, form) && !text_equal(type, form))
        return "begins like another";
    for (size_t i = 0; i < parameters->count; i++) {
        const struct parameter *item = &parameters->items[i];
        bool boundary = text_equal_ignore_case(item->name, TEXT("boundary"));
        if (boundary ? !text_equal(type, multipart) : !text_equal_ignore_case(item->name, TEXT("charset")))
            return "has a parameter that it should not have";
        if (!boundary && !text_equal_ignore_case(item->value, TEXT("utf-8")))
            return "has a charset that is not UTF-8";
    }
    return NULL;
}

static bool is_json(struct text type)
{
    return text_equal(type, TEXT("application/json")) ||
           (text_starts_with(type, TEXT("application/")) && text_ends_with(type, TEXT("+json")));
}

/* What can be read so, whatever a range admits. Of other methods than POST, CGI.pm takes a form of parts for
 * a form of pairs. */
static bool can_be(enum content_kind kind, bool exact, struct text type, struct text method)
{
    switch (kind) {
    case CONTENT_JSON:
        return is_json(type);
    case CONTENT_FORM:
        return text_equal(type, TEXT("application/x-www-form-urlencoded"));
    case CONTENT_MULTIPART:
        return text_equal(type, TEXT("multipart/form-data")) && text_equal(method, TEXT("POST"));
    case CONTENT_TEXT:
        return exact || text_starts_with(type, TEXT("text/"));
    case CONTENT_RAW:
        break;
    }
    return true;
}

const struct content_media *content_find_media(const struct content_rules *rules,
                                               const struct exchange *exchange, struct verdict *verdict)
{
    const struct content_media *best = NULL;
    struct parameters parameters;
    struct media_range stated = {0};
    const char *wrong = parameters_read(exchange->request.content_type, &parameters);
    struct text type = wrong ? TEXT("") : text_lower(exchange->arena, parameters.value);
    if (!wrong)
        wrong = find_fault(&parameters, type);
    if (!wrong && !media_type_read(type, &stated))
        wrong = "is no media type";
    for (size_t i = 0; !wrong && i < rules->media_count; i++) {
        const struct content_media *media = &rules->media[i];
        int width = media_range_width(&media->range);
        if (media_range_fits(&media->range, &stated) && (!best || width < media_range_width(&best->range)) &&
            can_be(media->kind, width == 0, type, exchange->request.method))
            best = media;
    }
    if (!best)
        *verdict = DENY(415, "body", "content_type_not_allowed",
                        wrong ? arena_printf(exchange->arena, "its Content-Type %s", wrong)
                              : "its content is none that can be judged");
    return best;
}

/* ---- kinds of bodies */

static struct text whole(struct reading *reading)
{
    struct spool *spool = reading->spool;
    char *at = arena_alloc(reading->exchange->arena, (size_t)spool->length + 1);
    size_t length = 0;
    ssize_t got;
    while ((got = spool_read(spool, at + length, (size_t)spool->length - length)) > 0)
        length += (size_t)got;
    if (got < 0 || length != spool->length)
        defect_set_failure(&reading->defect, length, "spool_failed", "the body's spool cannot be read");
    return (struct text){at, length};
}

static json_t *read_json(struct reading *reading)
{
    const struct content_rules *rules = reading->rules;
    const struct json_limits limits = {.depth = (size_t)rules->depth,
                                       .values = (size_t)rules->values,
                                       .members = (size_t)rules->values,
                                       .string = (size_t)rules->string};
    struct text text = whole(reading);
    return reading->defect.word ? NULL : json_body_read(text, &limits, &reading->defect);
}

static json_t *read_form(struct reading *reading)
{
    struct form form;
    const struct content_rules *rules = reading->rules;
    const struct form_limits limits = {
        .pairs = (size_t)rules->values, .name = NAME_MOST, .value = (size_t)rules->string};
    struct text text = whole(reading);
    struct arena *arena = reading->exchange->arena;
    if (reading->defect.word || !content_is_clear(text, &reading->defect) ||
        !form_read(text, &limits, arena, &form, &reading->defect))
        return NULL;
    return content_convert(reading->media->content, &form, &reading->defect);
}

static const struct content_file *find_file(const struct content_files *files, struct text name)
{
    for (size_t i = 0; i < files->field_count; i++)
        if (text_equal(files->fields[i].name, name))
            return &files->fields[i];
    return NULL;
}

/* A file that is described as a field is there as an empty text, to be counted and missed. */
static bool take_part(struct reading *reading, const struct multipart_part *part, struct form *form,
                      uint64_t *files)
{
    const struct content_media *media = reading->media;
    bool is_chosen = part->filename.length > 0; /* or it is a browser's field in which nothing was chosen */
    bool is_field = find_file(&media->files, part->name) != NULL;
    if (!part->is_file && is_field)
        return defect_set_field(&reading->defect, part->offset, "file_missing", "must be a file", part->name);
    if (!part->is_file || (is_field && is_chosen))
        form->items[form->count++] = (struct form_pair){.name = part->name,
                                                        .value = part->is_file ? TEXT("") : part->value,
                                                        .offset = (size_t)part->offset};
    if (!part->is_file)
        return true;
    *files += is_chosen;
    if (!is_field && content_describes(media->content, part->name))
        return defect_set_field(&reading->defect, part->offset, "file_unexpected",
                                "is a file, and none is expected", part->name);
    return content_judge_file(&media->files, part, reading->exchange->arena, &reading->defect);
}

static json_t *read_multipart(struct reading *reading)
{
    const struct content_rules *rules = reading->rules;
    const struct content_files *allowed = &reading->media->files;
    struct arena *arena = reading->exchange->arena;
    const struct multipart_limits limits = {.parts = (size_t)rules->values,
                                            .files = (size_t)(allowed->most > 0 ? allowed->most : 1),
                                            .head = HEAD_MOST,
                                            .headers = MULTIPART_HEADERS_MOST,
                                            .name = NAME_MOST,
                                            .filename = NAME_MOST,
                                            .field = (size_t)rules->string,
                                            .file = allowed->max,
                                            .start = MEDIA_TYPE_BYTES};
    const struct source source = spool_source(reading->spool);
    struct multipart multipart;
    struct text boundary;
    uint64_t files = 0;
    if (!multipart_boundary(reading->exchange->request.content_type, &boundary, &reading->defect) ||
        !multipart_read(&source, boundary, &limits, arena, &multipart, &reading->defect))
        return NULL;
    struct form form = {.items = arena_array(arena, multipart.count, sizeof *form.items)};
    for (size_t i = 0; i < multipart.count; i++)
        if (!take_part(reading, &multipart.items[i], &form, &files))
            return NULL;
    if (files < allowed->least) {
        defect_set(&reading->defect, reading->spool->length, "files_missing", "has too few files");
        return NULL;
    }
    return content_convert(reading->media->content, &form, &reading->defect);
}

static json_t *read_text(struct reading *reading)
{
    struct text text = whole(reading);
    if (reading->defect.word)
        return NULL;
    if (text.length > reading->rules->string)
        defect_set(&reading->defect, 0, "text_length", "is too long");
    else if (!text_is_utf8(text) || memchr(text.at, '\0', text.length))
        defect_set(&reading->defect, 0, "text_utf8", "is not text in UTF-8");
    else
        return content_convert_text(text);
    return NULL;
}

static json_t *read_kind(struct reading *reading)
{
    switch (reading->media->kind) {
    case CONTENT_JSON:
        return read_json(reading);
    case CONTENT_FORM:
        return read_form(reading);
    case CONTENT_MULTIPART:
        return read_multipart(reading);
    case CONTENT_TEXT:
        return read_text(reading);
    case CONTENT_RAW:
        break;
    }
    abort(); /* it is not to be read */
}

/* ---- compressed bodies */

static struct verdict inflate_body(struct reading *reading, enum content_coding coding,
                                   struct spool *inflated)
{
    struct exchange *exchange = reading->exchange;
    const struct inflate_limits limits = {
        .size = reading->rules->inflated, .ratio = RATIO_MOST, .grace = RATIO_GRACE};
    const struct source source = spool_source(reading->spool);
    *inflated = spool_new(SPOOL_MEMORY, reading->rules->inflated, exchange->spool_folder);
    if (content_coding_inflate(&source, coding, &limits, exchange->arena, inflated, &reading->defect)) {
        spool_rewind(inflated);
        reading->spool = inflated;
        return PASS;
    }
    const char *word = reading->defect.word;
    if (strcmp(word, "coding_size") == 0 || strcmp(word, "coding_ratio") == 0)
        return DENY(413, "body", "body_too_large", reading->defect.message);
    return content_refuse(&reading->defect, "body", exchange);
}

static struct verdict undo_coding(struct reading *reading, struct spool *inflated)
{
    enum content_coding coding = content_coding_of(header(reading->exchange, "content-encoding"));
    bool allowed = coding == CONTENT_CODING_NONE || (coding == CONTENT_CODING_GZIP && reading->rules->gzip) ||
                   (coding == CONTENT_CODING_DEFLATE && reading->rules->deflate);
    if (!allowed)
        return DENY(415, "body", "content_coding_not_allowed", "its Content-Encoding is not in body.codings");
    return coding == CONTENT_CODING_NONE ? PASS : inflate_body(reading, coding, inflated);
}

json_t *content_read(const struct content_rules *rules, const struct content_media *media,
                     struct exchange *exchange, struct verdict *verdict)
{
    struct reading reading = {
        .rules = rules, .media = media, .exchange = exchange, .spool = &exchange->body.spool};
    struct spool inflated = {.file = -1};
    json_t *value = NULL;
    spool_rewind(&exchange->body.spool);
    *verdict = undo_coding(&reading, &inflated);
    if (verdict->kind == VERDICT_PASS) {
        value = read_kind(&reading);
        if (!value)
            *verdict = content_refuse(&reading.defect, "body", exchange);
    }
    spool_close(&inflated);
    spool_rewind(&exchange->body.spool);
    return value;
}
