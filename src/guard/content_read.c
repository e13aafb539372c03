/*
 * The body of a request as a value: by its Content-Type and Content-Encoding,
 * out of the spool in which it is kept, which it leaves as it was.
 */
#include "config.h"

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
    const struct content *content;
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

/* One that some seek anywhere in the header, or cut off, would make it another type for them. */
static const char *find_fault(const struct parameters *parameters, struct text type)
{
    struct text form = TEXT("application/x-www-form-urlencoded"), multipart = TEXT("multipart/form-data");
    size_t slash = text_find(type, '/');
    if (!text_is_token((struct text){type.at, slash}) || !text_is_token(text_from(type, slash + 1)))
        return "is no media type";
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

static struct verdict read_type(struct content_source *source, const struct exchange *exchange)
{
    struct parameters parameters;
    struct arena *arena = exchange->arena;
    source->stated = exchange->request.content_type;
    const char *wrong = parameters_read(source->stated, &parameters);
    if (!wrong) {
        source->type = text_lower(arena, parameters.value);
        wrong = find_fault(&parameters, source->type);
    }
    return wrong ? DENY(415, NULL, "content_type_not_allowed",
                        arena_printf(arena, "its Content-Type %s", wrong))
                 : PASS;
}

bool content_is_json(struct text type)
{
    return text_equal(type, TEXT("application/json")) ||
           (text_starts_with(type, TEXT("application/")) && text_ends_with(type, TEXT("+json")));
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
    return content_convert(reading->content, &form, arena, &reading->defect);
}

static bool take_part(struct reading *reading, const struct multipart_part *part, struct form *form,
                      uint64_t *files)
{
    if (!part->is_file) {
        form->items[form->count++] =
            (struct form_pair){.name = part->name, .value = part->value, .offset = (size_t)part->offset};
        return true;
    }
    *files += part->filename.length > 0; /* or it is a browser's field in which nothing was chosen */
    if (content_describes(reading->content, part->name, reading->exchange->arena))
        return defect_set_field(&reading->defect, part->offset, "file_unexpected",
                                "is a file, and none is expected", part->name);
    return content_judge_file(&reading->rules->files, part, reading->exchange->arena, &reading->defect);
}

static json_t *read_multipart(struct reading *reading)
{
    const struct content_rules *rules = reading->rules;
    const struct content_files *allowed = &rules->files;
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
    return content_convert(reading->content, &form, arena, &reading->defect);
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

static json_t *read_kind(struct reading *reading, struct verdict *verdict)
{
    const struct content_rules *rules = reading->rules;
    /* Of other methods CGI.pm takes a form of parts for a form of pairs. */
    bool is_post = text_equal(reading->exchange->request.method, TEXT("POST"));
    if (rules->json && content_is_json(reading->source.type))
        return read_json(reading);
    if (rules->form && text_equal(reading->source.type, TEXT("application/x-www-form-urlencoded")))
        return read_form(reading);
    if (rules->multipart && is_post && text_equal(reading->source.type, TEXT("multipart/form-data")))
        return read_multipart(reading);
    if (rules->text && text_starts_with(reading->source.type, TEXT("text/")))
        return read_text(reading);
    *verdict = DENY(415, NULL, "content_type_not_allowed", "its content is none that can be judged");
    return NULL;
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
    struct verdict verdict = read_type(source, exchange);
    return verdict.kind == VERDICT_PASS ? undo_coding(rules, exchange, source) : verdict;
}

void content_close(struct content_source *source, struct exchange *exchange)
{
    spool_close(&source->inflated);
    spool_rewind(&exchange->body.spool);
}

json_t *content_read(const struct content_rules *rules, const struct content *content,
                     struct exchange *exchange, struct verdict *verdict)
{
    struct reading reading = {.rules = rules, .content = content, .exchange = exchange};
    json_t *value = NULL;
    *verdict = content_open(rules, exchange, &reading.source);
    if (verdict->kind == VERDICT_PASS) {
        value = read_kind(&reading, verdict);
        if (!value && verdict->kind == VERDICT_PASS)
            *verdict = content_refuse(&reading.defect, "body", exchange);
    }
    content_close(&reading.source, exchange);
    return value;
}
