/*
 * body: how large a request's body may be: judged by its Content-Length here,
 * and by its bytes while it is read (http/body.h). And, once it is there, what
 * it may be: by the description that the route has of it.
 */
#include "config.h"

#include "guard/content_openapi.h"
#include "guard/guard.h"

#define LARGE (UINT64_C(100) << 20)
#define MB    (UINT64_C(1) << 20)

struct body_rules {
    const struct node *schema, *fields;
    int unknown;
    bool required;
    struct texts codings, types;
    struct content_files files;
    struct content_rules reading;
    bool of_operation; /* which has none where there is no media type */
    bool judged;       /* once it is there */
};

static bool keep(struct decoder *decoder, const struct node *node, void *member)
{
    (void)decoder;
    *(const struct node **)member = node;
    return true;
}

/* Their offsets are those of the whole struct, so the section begins where it does. */
static const struct field file_fields[] = {
    {FIELD(FIELD_NUMBER, body_rules, files.most, "most"), .least = 1, .most = 1000,
     .help = "how many files there may be"},
    {FIELD(FIELD_NUMBER, body_rules, files.least, "least"), .most = 1000, .help = "how many there must be"},
    {FIELD(FIELD_SIZE, body_rules, files.max, "max"), .fallback = "1mb", .least = 1,
     .help = "bytes of one file"},
    {FIELD(FIELD_TEXTS, body_rules, files.names, "names"), .least = 1, .help = "fields that files may be in"},
    {FIELD(FIELD_TEXTS, body_rules, files.types, "types"), .least = 1,
     .help = "media types they may have, by their content"},
    {FIELD(FIELD_TEXTS, body_rules, files.extensions, "extensions"), .least = 1,
     .help = "ends of names they may have"},
    {0},
};
static const struct section file_section = {sizeof(struct body_rules), file_fields};

static const struct field fields[] = {
    {FIELD(FIELD_SIZE, body_rules, reading.max, "max"), .fallback = "1mb",
     .help = "bytes of a request's body"},
    {FIELD(FIELD_OWN, body_rules, schema, "schema"), .own = keep, .displaces = "fields unknown",
     .expects = "a file of JSON Schema", .help = "what it may be, as JSON Schema says it"},
    {FIELD(FIELD_OWN, body_rules, fields, "fields"), .own = keep, .displaces = "schema",
     .expects = "a map of fields", .section = &content_field_section, .help = "what it may be, in short"},
    {FIELD(FIELD_CHOICE, body_rules, unknown, "unknown"), .choices = "refuse|allow", .fallback = "refuse",
     .help = "fields that are not among `fields`"},
    {FIELD(FIELD_BOOL, body_rules, required, "required"), .fallback = "true",
     .help = "whether POST, PUT and PATCH need a body"},
    {FIELD(FIELD_TEXTS, body_rules, types, "types"), .least = 1,
     .help = "json, form, multipart, text: what it may be written as; default json"},
    {FIELD(FIELD_TEXTS, body_rules, codings, "codings"), .help = "gzip, deflate: how it may be compressed"},
    {FIELD(FIELD_SIZE, body_rules, reading.inflated, "inflated"), .fallback = "1mb", .least = 1,
     .help = "bytes that may come of a compressed body"},
    {FIELD(FIELD_NUMBER, body_rules, reading.depth, "depth"), .fallback = "32", .least = 1, .most = 512,
     .help = "how deep JSON may be nested"},
    {FIELD(FIELD_NUMBER, body_rules, reading.values, "values"), .fallback = "10000", .least = 1,
     .most = 1000000, .help = "how many values JSON may hold, or fields a form"},
    {FIELD(FIELD_SIZE, body_rules, reading.string, "string"), .fallback = "64kb", .least = 1,
     .most = 1024 * MB, .help = "bytes of the longest string or field"},
    {.key = "files", .type = FIELD_SECTION, .section = &file_section, .help = "files of a form"},
    {0},
};

/* ---- rules */

struct word {
    const char *name;
    bool *allowed;
};

/* A list of words, each of which allows something. */
static bool read_words(struct decoder *decoder, const struct node *node, const struct texts *texts,
                       const struct word words[], const char *expected)
{
    bool good = true;
    for (size_t i = 0; i < texts->count; i++) {
        const struct word *word = words;
        while (word->name && !text_equal(texts->items[i], text_of(word->name)))
            word++;
        if (word->name)
            *word->allowed = true;
        else if (texts->items[i].length > 0) /* else that is told */
            good = findings_add(decoder->findings, FINDING_ERROR, node, "\"%.*s\" is not known, expected %s",
                                TEXT_ARGUMENTS(texts->items[i]), expected);
    }
    return good;
}

static bool read_codings(struct decoder *decoder, const struct node *node, struct body_rules *rules)
{
    struct content_rules *reading = &rules->reading;
    const struct word words[] = {{"gzip", &reading->gzip}, {"deflate", &reading->deflate}, {0}};
    return read_words(decoder, node_get(node, "codings"), &rules->codings, words, "gzip or deflate");
}

enum { KINDS = 4, TYPES_OF_KINDS = 5 };

static bool read_types(struct decoder *decoder, const struct node *node, const struct texts *types,
                       bool kinds[KINDS])
{
    const struct word words[] = {{"json", &kinds[CONTENT_JSON]},
                                 {"form", &kinds[CONTENT_FORM]},
                                 {"multipart", &kinds[CONTENT_MULTIPART]},
                                 {"text", &kinds[CONTENT_TEXT]},
                                 {0}};
    kinds[CONTENT_JSON] = types->count == 0;
    return read_words(decoder, node_get(node, "types"), types, words, "json, form, multipart or text");
}

/* All of one content. */
static void set_media(struct body_rules *rules, const bool kinds[KINDS], const struct content *content,
                      struct arena *arena)
{
    static const struct {
        const char *range;
        enum content_kind kind;
    } rows[TYPES_OF_KINDS] = {
        {"application/json", CONTENT_JSON},
        {"application/*+json", CONTENT_JSON},
        {"application/x-www-form-urlencoded", CONTENT_FORM},
        {"multipart/form-data", CONTENT_MULTIPART},
        {"text/*", CONTENT_TEXT},
    };
    struct content_media *media = arena_array(arena, TYPES_OF_KINDS, sizeof *media);
    for (size_t i = 0; i < TYPES_OF_KINDS; i++) {
        struct content_media *item = &media[rules->reading.media_count];
        if (!kinds[rows[i].kind])
            continue;
        *item = (struct content_media){.kind = rows[i].kind, .content = content, .files = rules->files};
        media_range_read(text_of(rows[i].range), &item->range);
        rules->reading.media_count++;
    }
    rules->reading.media = media;
    rules->judged = true;
}

/* What is said of a content that is not described would be without effect, but how it is read for `reject`.
 */
static bool check_alone(struct decoder *decoder, const struct node *node)
{
    static const char *const keys[] = {"unknown", "required", "types", "files"};
    bool good = true;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const struct node *item = node_get(node, keys[i]);
        if (item)
            good = findings_add_key(decoder->findings, FINDING_ERROR, item,
                                    "this is for a body with `schema` or `fields`");
    }
    return good;
}

static bool check_files(struct decoder *decoder, const struct node *node, struct body_rules *rules)
{
    struct content_files *files = &rules->files;
    struct texts *lists[] = {&files->types, &files->extensions};
    for (size_t list = 0; list < 2; list++)
        for (size_t i = 0; i < lists[list]->count; i++)
            lists[list]->items[i] = text_lower(decoder->arena, lists[list]->items[i]);
    for (size_t i = 0; i < files->types.count; i++)
        if (text_find(files->types.items[i], '/') == files->types.items[i].length)
            return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "files"),
                                "\"%.*s\" is no media type, expected one such as image/png or image/*",
                                TEXT_ARGUMENTS(files->types.items[i]));
    for (size_t i = 0; i < files->extensions.count; i++)
        if (!text_starts_with(files->extensions.items[i], TEXT(".")))
            return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "files"),
                                "\"%.*s\" does not fit, expected an end of names such as .png",
                                TEXT_ARGUMENTS(files->extensions.items[i]));
    return files->least <= files->most ||
           findings_add(decoder->findings, FINDING_ERROR, node_get(node, "files"),
                        "`least` is more than `most`");
}

static bool check_own_files(struct decoder *decoder, const struct node *node, const struct body_rules *rules,
                            bool multipart)
{
    const struct node *files = node_get(node, "files");
    if (files && rules->files.most == 0)
        return findings_add(decoder->findings, FINDING_ERROR, files,
                            "the key `most` is missing, expected a whole number, 1 to 1000");
    return !files || multipart ||
           findings_add_key(decoder->findings, FINDING_ERROR, files,
                            "files come with `types: multipart`, which is not there");
}

static bool prepare_own(struct body_rules *rules, struct decoder *decoder, const struct node *node)
{
    bool kinds[KINDS] = {0};
    if (rules->schema && rules->fields)
        return findings_add_key(decoder->findings, FINDING_ERROR, rules->fields,
                                "this is beside `schema`, expected one of them");
    if (!rules->schema && !rules->fields)
        return node == NULL || node->kind != NODE_MAP ||
               (check_alone(decoder, node) && read_codings(decoder, node, rules));
    if (rules->schema && node_get(node, "unknown"))
        return findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, "unknown"),
                                "this is for `fields`; a schema has additionalProperties");
    bool good = read_codings(decoder, node, rules) && read_types(decoder, node, &rules->types, kinds) &&
                check_own_files(decoder, node, rules, kinds[CONTENT_MULTIPART]) &&
                check_files(decoder, node, rules);
    const struct content *content =
        rules->schema
            ? content_from_file(decoder, rules->schema, kinds[CONTENT_FORM] || kinds[CONTENT_MULTIPART])
            : content_from_fields(decoder, rules->fields, rules->unknown != 0);
    if (content)
        set_media(rules, kinds, content, decoder->arena);
    return good && content;
}

/* What a document says of a body is not said again. */
static bool describe(struct body_rules *rules, struct decoder *decoder, const struct node *node)
{
    static const char *const said[] = {"schema", "fields", "unknown", "required", "types"};
    bool good = true;
    for (size_t i = 0; node && i < sizeof said / sizeof *said; i++)
        if (node_get(node, said[i]))
            good = findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, said[i]),
                                    "the OpenAPI document says what the body may be");
    const struct node *files = node ? node_get(node, "files") : NULL;
    static const char *const of_files[] = {"least", "names", "types"};
    for (size_t i = 0; files && i < sizeof of_files / sizeof *of_files; i++)
        if (node_get(files, of_files[i]))
            good = findings_add_key(decoder->findings, FINDING_ERROR, node_get(files, of_files[i]),
                                    "the OpenAPI document says which files there may be");
    good = good && read_codings(decoder, node, rules) && check_files(decoder, node, rules) &&
           content_of_body(decoder, node, &rules->files, &rules->reading);
    rules->required = decoder->described->operation->body_required;
    rules->of_operation = true;
    rules->judged = rules->required;
    for (size_t i = 0; i < rules->reading.media_count; i++)
        rules->judged = rules->judged || rules->reading.media[i].kind != CONTENT_RAW;
    return good;
}

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    return decoder->described ? describe(settings, decoder, node) : prepare_own(settings, decoder, node);
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    const struct body_rules *rules = settings;
    const struct node *max = node_get(node, "max");
    if (rules->reading.max > LARGE && (!max || max->parent == node))
        findings_add(
            findings, FINDING_ADVICE, node,
            "bodies of more than 100mb are let through, and a few of them at once fill memory or disk");
}

/* ---- requests */

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct body_rules *rules = settings;
    int64_t length = exchange->request.content_length;
    exchange->body.limit = rules->reading.max;
    exchange->reading = &rules->reading;
    if (length > 0 && (uint64_t)length > rules->reading.max)
        return DENY(413, "body", "body_too_large", "its Content-Length is over body.max");
    struct verdict verdict = PASS;
    if (exchange->previews)
        verdict.detail =
            arena_printf(exchange->arena, "at most %llu bytes", (unsigned long long)rules->reading.max);
    if (!rules->of_operation || body_is_empty(&exchange->body))
        return verdict;
    const struct content_media *media = content_find_media(&rules->reading, exchange, &verdict);
    exchange->type_named = media && media->kind == CONTENT_RAW && media_range_width(&media->range) == 0;
    return verdict;
}

static bool is_judged(const void *settings)
{
    const struct body_rules *rules = settings;
    return rules->judged;
}

static bool needs_body(struct text method)
{
    return text_equal(method, TEXT("POST")) || text_equal(method, TEXT("PUT")) ||
           text_equal(method, TEXT("PATCH"));
}

static struct verdict check_content(const void *settings, struct exchange *exchange)
{
    const struct body_rules *rules = settings;
    struct defect missing = {.word = "body_missing", .message = "is missing"};
    struct verdict verdict = PASS;
    if (exchange->previews && exchange->body.spool.length == 0) { /* explain was given none */
        verdict.detail = "judges the body, which is not here";
        return verdict;
    }
    if (exchange->body.spool.length == 0)
        return rules->required && (rules->of_operation || needs_body(exchange->request.method))
                   ? content_refuse(&missing, "body", exchange)
                   : PASS;
    const struct content_media *media = content_find_media(&rules->reading, exchange, &verdict);
    if (!media || media->kind == CONTENT_RAW)
        return verdict;
    json_t *value = content_read(&rules->reading, media, exchange, &verdict);
    if (!value)
        return verdict;
    if (media->content)
        verdict = content_judge(media->content, value, "body", exchange);
    json_decref(value);
    return verdict;
}

const struct guard guard_body = {
    .name = "body",
    .help = "how large a request's body may be, and what it may be",
    .stage = ON_HEAD,
    .always = true,
    .section = {sizeof(struct body_rules), fields},
    .prepare = prepare,
    .check = check,
    .advise = advise,
};

/* The same guard's other turn: it has the same rules. */
const struct guard guard_body_late = {
    .name = "body",
    .help = "how large a request's body may be, and what it may be",
    .stage = ON_BODY,
    .again = &guard_body,
    .wanted = is_judged,
    .check = check_content,
};
