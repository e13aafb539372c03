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
    struct content_source source;
    struct defect defect;
};

/* ---- what it is */

static struct text header(const struct exchange *exchange, const char *name)
{
    const struct text *value = headers_get(&exchange->request.headers, name);
    return value ? *value : TEXT("");
}

/* One that some seek anywhere in the header, or cut off, would make it another type for them. CGI.pm and PHP
 * know a form by these very bytes at its front. */
static const char *find_fault(struct text stated, const struct parameters *parameters, struct text type)
{
    struct text form = TEXT("application/x-www-form-urlencoded"), multipart = TEXT("multipart/form-data");
    if (text_starts_with(type, form) && !text_equal(type, form))
        return "begins like another";
    if ((text_equal(type, form) || text_equal(type, multipart)) && !text_starts_with(stated, type))
        return "is not in lower case";
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

/* The media type, in lower case. NULL, or what is wrong with Content-Type. */
static const char *read_type(const struct exchange *exchange, struct text *type, struct media_range *range)
{
    struct parameters parameters;
    const char *wrong = parameters_read(exchange->request.content_type, &parameters);
    *type = wrong ? TEXT("") : text_lower(exchange->arena, parameters.value);
    if (!wrong)
        wrong = find_fault(exchange->request.content_type, &parameters, *type);
    return wrong || media_type_read(*type, range) ? wrong : "is no media type";
}

bool content_is_json(struct text type)
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
        return content_is_json(type);
    case CONTENT_FORM:
        return text_equal(type, TEXT("application/x-www-form-urlencoded"));
    case CONTENT_MULTIPART:
        return text_equal(type, TEXT("multipart/form-data")) && text_equal(method, TEXT("POST"));
    case CONTENT_TEXT:
        return exact || text_starts_with(type, TEXT("text/"));
    case CONTENT_RAW:
        return true;
    case CONTENT_UNREAD:
        break;
    }
    return false;
}

const struct content_media *content_find_media(const struct content_rules *rules,
                                               const struct exchange *exchange, struct verdict *verdict)
{
    const struct content_media *best = NULL;
    struct media_range stated = {0};
    struct text type;
    const char *wrong = read_type(exchange, &type, &stated);
    for (size_t i = 0; !wrong && i < rules->media_count; i++) {
        const struct content_media *media = &rules->media[i];
        int width = media_range_width(&media->range);
        if (media_range_fits(&media->range, &stated) && (!best || width < media_range_width(&best->range)))
            best = media;
    }
    /* What the narrowest asks is not left out for a wider one (OpenAPI 3.1.0, 4.8.13.1). */
    if (best && !can_be(best->kind, media_range_width(&best->range) == 0, type, exchange->request.method))
        best = NULL;
    if (!best)
        *verdict = DENY(415, NULL, "content_type_not_allowed",
                        wrong ? arena_printf(exchange->arena, "its Content-Type %s", wrong)
                              : "its content is none that can be judged");
    return best;
}

/* ---- kinds of bodies */

struct text content_whole(struct content_source *source, struct arena *arena, struct defect *defect)
{
    struct spool *spool = source->spool;
    char *at = arena_alloc(arena, (size_t)spool->length + 1);
    size_t length = 0;
    ssize_t got;
    while ((got = spool_read(spool, at + length, (size_t)spool->length - length)) > 0)
        length += (size_t)got;
    if (got >= 0 && length == spool->length)
        return (struct text){at, length};
    defect_set_failure(defect, length, "spool_failed", "the body's spool cannot be read");
    return TEXT("");
}

static struct text whole(struct reading *reading)
{
    return content_whole(&reading->source, reading->exchange->arena, &reading->defect);
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
    const struct source source = spool_source(reading->source.spool);
    struct multipart multipart;
    struct text boundary;
    uint64_t files = 0;
    if (!multipart_boundary(reading->source.stated, &boundary, &reading->defect) ||
        !multipart_read(&source, boundary, &limits, arena, &multipart, &reading->defect))
        return NULL;
    struct form form = {.items = arena_array(arena, multipart.count, sizeof *form.items)};
    for (size_t i = 0; i < multipart.count; i++)
        if (!take_part(reading, &multipart.items[i], &form, &files))
            return NULL;
    if (files < allowed->least) {
        defect_set(&reading->defect, reading->source.spool->length, "files_missing", "has too few files");
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
    case CONTENT_UNREAD:
        break;
    }
    abort(); /* it is not to be read */
}

/* ---- compressed bodies */

static struct verdict inflate_body(const struct content_rules *rules, struct exchange *exchange,
                                   enum content_coding coding, struct content_source *source)
{
    const struct inflate_limits limits = {.size = rules->inflated, .ratio = RATIO_MOST, .grace = RATIO_GRACE};
    const struct source compressed = spool_source(source->spool);
    struct defect defect = {0};
    source->inflated = spool_new(SPOOL_MEMORY, rules->inflated, exchange->spool_folder);
    if (content_coding_inflate(&compressed, coding, &limits, exchange->arena, &source->inflated, &defect)) {
        spool_rewind(&source->inflated);
        source->spool = &source->inflated;
        source->coded = true;
        return PASS;
    }
    if (strcmp(defect.word, "coding_size") == 0 || strcmp(defect.word, "coding_ratio") == 0)
        return DENY(413, NULL, "body_too_large", defect.message);
    return content_refuse(&defect, "body", exchange);
}

static struct verdict undo_coding(const struct content_rules *rules, struct exchange *exchange,
                                  struct content_source *source)
{
    enum content_coding coding = content_coding_of(header(exchange, "content-encoding"));
    bool allowed = coding == CONTENT_CODING_NONE || (coding == CONTENT_CODING_GZIP && rules->gzip) ||
                   (coding == CONTENT_CODING_DEFLATE && rules->deflate);
    if (!allowed)
        return DENY(415, NULL, "content_coding_not_allowed", "its Content-Encoding is not in body.codings");
    return coding == CONTENT_CODING_NONE ? PASS : inflate_body(rules, exchange, coding, source);
}

struct verdict content_open(const struct content_rules *rules, struct exchange *exchange,
                            struct content_source *source)
{
    *source = (struct content_source){.spool = &exchange->body.spool, .inflated = {.file = -1}};
    spool_rewind(&exchange->body.spool);
    if (exchange->body.spool.length > rules->max) /* where that is only reported */
        return DENY(413, NULL, "body_too_large", "it is over body.max");
    struct media_range range;
    const char *wrong = read_type(exchange, &source->type, &range);
    source->stated = exchange->request.content_type;
    return wrong ? DENY(415, NULL, "content_type_not_allowed",
                        arena_printf(exchange->arena, "its Content-Type %s", wrong))
                 : undo_coding(rules, exchange, source);
}

void content_close(struct content_source *source, struct exchange *exchange)
{
    spool_close(&source->inflated);
    spool_rewind(&exchange->body.spool);
}

json_t *content_read(const struct content_rules *rules, const struct content_media *media,
                     struct exchange *exchange, struct verdict *verdict)
{
    struct reading reading = {.rules = rules, .media = media, .exchange = exchange};
    json_t *value = NULL;
    *verdict = content_open(rules, exchange, &reading.source);
    if (verdict->kind == VERDICT_PASS) {
        value = read_kind(&reading);
        if (!value)
            *verdict = content_refuse(&reading.defect, "body", exchange);
    }
    content_close(&reading.source, exchange);
    return value;
}
