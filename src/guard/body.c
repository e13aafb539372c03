/*
 * body: how large a request's body may be: judged by its Content-Length here,
 * and by its bytes while it is read (http/body.h). And, once it is there, what
 * it may be: by the description that the route has of it.
 */
#include "config.h"

#include "guard/content.h"
#include "guard/guard.h"

#define LARGE (UINT64_C(100) << 20)
#define MB    (UINT64_C(1) << 20)

struct body_rules {
    const struct node *schema, *fields;
    int unknown;
    bool required;
    struct texts codings, types;
    struct content_rules reading;
    const struct content *content; /* NULL: whatever it is */
};

static bool keep(struct decoder *decoder, const struct node *node, void *member)
{
    (void)decoder;
    *(const struct node **)member = node;
    return true;
}

/* Their offsets are those of the whole struct, so the section begins where it does. */
static const struct field file_fields[] = {
    {FIELD(FIELD_NUMBER, body_rules, reading.files.most, "most"), .required = true, .least = 1, .most = 1000,
     .help = "how many files there may be"},
    {FIELD(FIELD_NUMBER, body_rules, reading.files.least, "least"), .most = 1000,
     .help = "how many there must be"},
    {FIELD(FIELD_SIZE, body_rules, reading.files.max, "max"), .fallback = "1mb", .least = 1,
     .help = "bytes of one file"},
    {FIELD(FIELD_TEXTS, body_rules, reading.files.names, "names"), .least = 1,
     .help = "fields that files may be in"},
    {FIELD(FIELD_TEXTS, body_rules, reading.files.types, "types"), .least = 1,
     .help = "media types they may have, by their content"},
    {FIELD(FIELD_TEXTS, body_rules, reading.files.extensions, "extensions"), .least = 1,
     .help = "ends of names they may have"},
    {0},
};
static const struct section file_section = {sizeof(struct body_rules), file_fields};

static const struct field fields[] = {
    {FIELD(FIELD_SIZE, body_rules, reading.max, "max"), .fallback = "1mb",
     .help = "bytes of a request's body"},
    {FIELD(FIELD_OWN, body_rules, schema, "schema"), .own = keep, .expects = "a file of JSON Schema",
     .help = "what it may be, as JSON Schema says it"},
    {FIELD(FIELD_OWN, body_rules, fields, "fields"), .own = keep, .expects = "a map of fields",
     .section = &content_field_section, .help = "what it may be, in short"},
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

static bool read_types(struct decoder *decoder, const struct node *node, struct body_rules *rules)
{
    struct content_rules *reading = &rules->reading;
    const struct word words[] = {{"json", &reading->json},
                                 {"form", &reading->form},
                                 {"multipart", &reading->multipart},
                                 {"text", &reading->text},
                                 {0}};
    reading->json = rules->types.count == 0;
    if (!read_words(decoder, node_get(node, "types"), &rules->types, words, "json, form, multipart or text"))
        return false;
    return reading->files.most == 0 || reading->multipart ||
           findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, "files"),
                            "files come with `types: multipart`, which is not there");
}

/* What is said of a content that is not described would be without effect. */
static bool check_alone(struct decoder *decoder, const struct node *node)
{
    static const char *const keys[] = {"unknown", "required", "types", "codings", "inflated", "files"};
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
    struct content_files *files = &rules->reading.files;
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

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct body_rules *rules = settings;
    if (rules->schema && rules->fields)
        return findings_add_key(decoder->findings, FINDING_ERROR, rules->fields,
                                "this is beside `schema`, expected one of them");
    if (!rules->schema && !rules->fields)
        return node == NULL || node->kind != NODE_MAP || check_alone(decoder, node);
    if (rules->schema && node_get(node, "unknown"))
        return findings_add_key(decoder->findings, FINDING_ERROR, node_get(node, "unknown"),
                                "this is for `fields`; a schema has additionalProperties");
    bool good = read_codings(decoder, node, rules) && read_types(decoder, node, rules) &&
                check_files(decoder, node, rules);
    rules->content = rules->schema ? content_from_file(decoder, rules->schema)
                                   : content_from_fields(decoder, rules->fields, rules->unknown != 0);
    return good && rules->content;
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    const struct body_rules *rules = settings;
    if (rules->reading.max > LARGE)
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
    return PASS;
}

static bool is_described(const void *settings)
{
    const struct body_rules *rules = settings;
    return rules->content != NULL;
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
    if (exchange->observe) { /* explain has none */
        verdict.detail = "judges the body, which is not here";
        return verdict;
    }
    if (exchange->body.spool.length == 0)
        return rules->required && needs_body(exchange->request.method)
                   ? content_refuse(&missing, "body", exchange)
                   : PASS;
    json_t *value = content_read(&rules->reading, rules->content, exchange, &verdict);
    if (!value)
        return verdict;
    verdict = content_judge(rules->content, value, "body", exchange);
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
    .wanted = is_described,
    .check = check_content,
};
