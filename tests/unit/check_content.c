/*
 * Tests of content: the short form of schemas, how text becomes values, what is
 * told of those that do not fit, and which files may be in a form.
 */
#include "config.h"

#include <check.h>

#include "data/file.h"
#include "data/multipart.h"
#include "guard/content.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;
static struct contents contents;

static void begin(void)
{
    arena = arena_new();
    contents = (struct contents){0};
}

static void end(void)
{
    contents_free(&contents);
    arena_free(arena);
}

static const struct content *fields_of(const char *yaml, bool unknown)
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/", .contents = &contents};
    const struct node *node = file_parse(text_of(yaml), false, &findings);
    ck_assert_ptr_nonnull(node);
    const struct content *content = content_from_fields(&decoder, node, unknown);
    if (!content)
        findings_print(&findings, FINDING_ERROR, stderr);
    ck_assert_ptr_nonnull(content);
    return content;
}

static const struct content *schema_of(const char *json)
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .contents = &contents};
    const struct content *content =
        content_from_json(&decoder, NULL, json_loads(json, JSON_DECODE_ANY, NULL));
    ck_assert_msg(content != NULL, "%s", json);
    return content;
}

static struct exchange exchange_with(enum validation_details details)
{
    return (struct exchange){.arena = arena, .validation_status = 400, .validation_details = (int)details};
}

/* The details of a form that is judged; "" when it is good. */
static const char *judge_form(const struct content *content, const char *pairs, const char *in,
                              enum validation_details details)
{
    const struct form_limits limits = {.pairs = 100, .name = 100, .value = 1000};
    struct exchange exchange = exchange_with(details);
    struct defect defect = {0};
    struct form form;
    ck_assert_msg(form_read(text_of(pairs), &limits, arena, &form, &defect), "%s", pairs);
    json_t *value = content_convert(content, &form, &defect);
    struct verdict verdict =
        value ? content_judge(content, value, in, &exchange) : content_refuse(&defect, in, &exchange);
    json_decref(value);
    if (verdict.kind == VERDICT_PASS)
        return "";
    ck_assert_int_eq(verdict.kind, VERDICT_DENY);
    ck_assert_int_eq(verdict.status, 400);
    ck_assert_str_eq(verdict.code, "validation_error");
    return arena_copy(arena, exchange.details.at, exchange.details.length);
}

/* ---- fields */

static const struct {
    const char *fields, *form, *wrong; /* what is said of the field a; NULL: nothing */
} field_rows[] = {
    {"{a: string}", "a=x", NULL},
    {"{a: string}", "", NULL},
    {"{a: string}", "a=12", NULL},
    {"{a: {required: true}}", "", "is required"},
    {"{a: {required: true}}", "a=", NULL},
    {"{a: {min_length: 2}}", "a=x", "must have at least 2 characters"},
    {"{a: {min_length: 2}}", "a=%C3%A9%C3%A9", NULL},
    {"{a: {max_length: 2}}", "a=%C3%A9%C3%A9", NULL},
    {"{a: {max_length: 2}}", "a=xyz", "must have at most 2 characters"},
    {"{a: {pattern: '^[^<>]*$'}}", "a=1+%3C+2", "does not have the required form"},
    {"{a: {pattern: '^[^<>]*$'}}", "a=O'Brien", NULL},
    {"{a: {enum: [x, 'y z']}}", "a=y+z", NULL},
    {"{a: {enum: [x, 'y z']}}", "a=y", "is none of the allowed values"},
    {"{a: email}", "a=someone%40example.com", NULL},
    {"{a: email}", "a=someone", "is not an e-mail address"},
    {"{a: uuid}", "a=45657faa-9c49-41ec-8325-edf26d906ad7", NULL},
    {"{a: uuid}", "a=45657faa", "is not a UUID"},
    {"{a: integer}", "a=12", NULL},
    {"{a: integer}", "a=-12", NULL},
    {"{a: integer}", "a=9223372036854775807", NULL},
    {"{a: integer}", "a=9223372036854775808", "must be an integer"},
    {"{a: integer}", "a=12.0", "must be an integer"},
    {"{a: integer}", "a=012", "must be an integer"},
    {"{a: integer}", "a=%2B12", "must be an integer"},
    {"{a: integer}", "a=+12", "must be an integer"},
    {"{a: integer}", "a=12+", "must be an integer"},
    {"{a: integer}", "a=-", "must be an integer"},
    {"{a: integer}", "a=", "must be an integer"},
    {"{a: integer}", "a=1e3", "must be an integer"},
    {"{a: integer}", "a=0x10", "must be an integer"},
    {"{a: integer}", "a=true", "must be an integer"},
    {"{a: {type: integer, minimum: 18}}", "a=17", "must be at least 18"},
    {"{a: {type: integer, minimum: 18}}", "a=18", NULL},
    {"{a: {type: number, maximum: 0.3}}", "a=0.3", NULL},
    {"{a: {type: number, maximum: 0.3}}", "a=0.30001", "must be at most 0.3"},
    {"{a: number}", "a=1e3", NULL},
    {"{a: number}", "a=-0.5", NULL},
    {"{a: number}", "a=.5", "must be a number"},
    {"{a: number}", "a=NaN", "must be a number"},
    {"{a: number}", "a=1e999", "must be a number"},
    {"{a: boolean}", "a=true", NULL},
    {"{a: boolean}", "a=false", NULL},
    {"{a: boolean}", "a=True", "must be true or false"},
    {"{a: boolean}", "a=1", "must be true or false"},
    {"{a: date}", "a=2026-02-28", NULL},
    {"{a: date}", "a=2026-02-29", "is not a date"},
    {"{a: date-time}", "a=2026-02-28T12:00:00Z", NULL},
    {"{a: date-time}", "a=2026-02-28", "is not a date and time"},
    {"{a: ip}", "a=192.0.2.1", NULL},
    {"{a: ip}", "a=2001:db8::1", NULL},
    {"{a: ip}", "a=192.0.2", "is not an IP address"},
    {"{a: password}", "a=", "must have at least 1 character"},
    {"{a: {type: password, require: [upper]}}", "a=x", "is not a text with an upper-case letter"},
    {"{a: {type: password, require: [lower]}}", "a=X", "is not a text with a lower-case letter"},
    {"{a: {type: password, require: [digit]}}", "a=X", "is not a text with a digit"},
    {"{a: {type: password, require: [special]}}", "a=X1y", "is not a text with a special character"},
    {"{a: {type: password, require: [upper, lower, digit, special]}}", "a=Xy1-", NULL},
    {"{a: {type: password, require: [special]}}", "a=%C3%A9", "is not a text with a special character"},
    {"{a: url}", "a=http://localhost/x", NULL},
    {"{a: url}", "a=HTTPS://example.com", NULL},
    {"{a: url}", "a=ftp://example.com/", "is not an http or https URL"},
    {"{a: url}", "a=javascript:alert(1)", "is not an http or https URL"},
    {"{a: url}", "a=http:///x", "is not an http or https URL"},
    {"{a: url}", "a=http://a%40b/", "is not an http or https URL"},
    {"{a: url}", "a=http://a%0Ab/", "is not an http or https URL"},
    {"{a: {type: url, https: true}}", "a=http://example.com/", "is not an https URL"},
    {"{a: {type: url, https: true}}", "a=https://example.com/", NULL},
    {"{a: string}", "a=x&a=y", "is sent more than once"},
};

START_TEST(fields_are_judged)
{
    const char *said = judge_form(fields_of(field_rows[_i].fields, false), field_rows[_i].form, "body",
                                  VALIDATION_DETAILS_FULL);
    if (!field_rows[_i].wrong) {
        ck_assert_msg(!*said, "%s with %s: %s", field_rows[_i].fields, field_rows[_i].form, said);
        return;
    }
    const char *begin_of_all = "[{\"in\":\"body\",\"field\":\"/a\",\"error\":\"";
    ck_assert_msg(strncmp(said, begin_of_all, strlen(begin_of_all)) == 0 &&
                      strstr(said, field_rows[_i].wrong),
                  "%s with %s: %s", field_rows[_i].fields, field_rows[_i].form, said);
}
END_TEST

/* Hosts that a program must not be sent to, in all the ways they are written. */
static const struct {
    const char *url;
    bool is_public;
} url_rows[] = {
    {"https://example.com/", true},
    {"https://example.com:8443/a?b#c", true},
    {"https://93.184.216.34/", true},
    {"https://[2606:2800:220:1:248:1893:25c8:1946]/", true},
    {"https://localhost/", false},
    {"https://LOCALHOST./", false},
    {"https://a.localhost/", false},
    {"https://printer.local/", false},
    {"https://metadata.google.internal/", false},
    {"https://intranet/", false},
    {"https://router.lan/", false},
    {"https://127.0.0.1/", false},
    {"https://127.1/", false},
    {"https://2130706433/", false},
    {"https://0x7f000001/", false},
    {"https://127.0.0.0x1/", false},
    {"https://0177.0.0.1/", false},
    {"https://10.0.0.1/", false},
    {"https://172.16.0.1/", false},
    {"https://192.168.1.1/", false},
    {"https://169.254.169.254/latest/meta-data/", false},
    {"https://100.64.0.1/", false},
    {"https://0.0.0.0/", false},
    {"https://224.0.0.1/", false},
    {"https://[::1]/", false},
    {"https://[::]/", false},
    {"https://[fe80::1]/", false},
    {"https://[fd00:ec2::254]/", false},
    {"https://[::ffff:127.0.0.1]/", false},
    {"https://[::ffff:a9fe:a9fe]/", false},
    {"https://[64:ff9b::7f00:1]/", false},
    {"https://user@example.com/", false},
    {"https://example.com@127.0.0.1/", false},
    {"https://example.com\\@127.0.0.1/", false},
    {"https://127.0.0.1%2f.example.com/", false},
    {"https://", false},
    {"//example.com/", false},
};

START_TEST(a_public_url_leads_to_no_private_host)
{
    const struct content *content = fields_of("{a: {type: url, https: true, public: true}}", false);
    json_t *value = json_pack("{s:s}", "a", url_rows[_i].url);
    struct exchange exchange = exchange_with(VALIDATION_DETAILS_FULL);
    struct verdict verdict = content_judge(content, value, "body", &exchange);
    json_decref(value);
    ck_assert_msg((verdict.kind == VERDICT_PASS) == url_rows[_i].is_public, "%s", url_rows[_i].url);
}
END_TEST

START_TEST(unknown_fields_are_refused_unless_allowed)
{
    const char *said =
        judge_form(fields_of("{a: string}", false), "a=1&b=2", "query", VALIDATION_DETAILS_FULL);
    ck_assert_ptr_nonnull(strstr(said, "\"in\":\"query\",\"field\":\"b\""));
    ck_assert_str_eq(judge_form(fields_of("{a: string}", true), "a=1&b=2", "query", VALIDATION_DETAILS_FULL),
                     "");
}
END_TEST

START_TEST(all_that_is_wrong_is_told)
{
    const struct content *content = fields_of("{a: integer, b: {required: true}, c: email}", false);
    const char *full = judge_form(content, "a=x&c=y&d=z", "body", VALIDATION_DETAILS_FULL);
    ck_assert_ptr_nonnull(strstr(full, "\"/a\""));
    ck_assert_ptr_nonnull(strstr(full, "\"/b\""));
    ck_assert_ptr_nonnull(strstr(full, "\"/c\""));
    ck_assert_ptr_nonnull(strstr(full, "\"/d\""));
    const char *fields = judge_form(content, "a=x", "body", VALIDATION_DETAILS_FIELDS);
    ck_assert_ptr_nonnull(strstr(fields, "{\"in\":\"body\",\"field\":\"/a\"}"));
    ck_assert_ptr_null(strstr(fields, "error"));
    ck_assert_str_eq(judge_form(content, "a=x", "body", VALIDATION_DETAILS_NONE), "");
}
END_TEST

START_TEST(what_was_sent_is_not_repeated)
{
    const struct content *content =
        fields_of("{a: {enum: [x]}, b: email, c: {pattern: '^x$'}, d: integer, e: {max_length: 3}}", false);
    const char *said =
        judge_form(content, "a=SECRET&b=SECRET&c=SECRET&d=SECRET&e=SECRET", "body", VALIDATION_DETAILS_FULL);
    ck_assert(*said);
    ck_assert_ptr_null(strstr(said, "SECRET"));
}
END_TEST

START_TEST(a_long_name_is_cut)
{
    char form[100];
    memset(form, 'n', sizeof form - 1);
    form[sizeof form - 1] = '\0';
    const char *said = judge_form(fields_of("{a: string}", false), form, "body", VALIDATION_DETAILS_FULL);
    ck_assert_uint_lt(strlen(said), 400);
}
END_TEST

/* ---- schemas */

static const struct {
    const char *schema, *form, *value;
} convert_rows[] = {
    {"{}", "a=1&b=true", "{\"a\":\"1\",\"b\":\"true\"}"},
    {"{\"properties\":{\"a\":{\"type\":\"integer\"}}}", "a=1&b=1", "{\"a\":1,\"b\":\"1\"}"},
    {"{\"properties\":{\"a\":{\"type\":[\"integer\",\"null\"]}}}", "a=1", "{\"a\":1}"},
    {"{\"properties\":{\"a\":{\"type\":[\"integer\",\"string\"]}}}", "a=1", "{\"a\":\"1\"}"},
    {"{\"properties\":{\"a\":{\"type\":[\"boolean\",\"number\"]}}}", "a=true", "{\"a\":true}"},
    {"{\"properties\":{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}}", "a=1&a=x",
     "{\"a\":[1,\"x\"]}"},
    {"{\"properties\":{\"a\":{\"type\":\"array\"}}}", "a=1", "{\"a\":[\"1\"]}"},
    {"{\"properties\":{\"a\":{\"$ref\":\"#/$defs/n~1m\"}},\"$defs\":{\"n/m\":{\"type\":\"number\"}}}",
     "a=0.5", "{\"a\":0.5}"},
    {"{\"$ref\":\"#/$defs/x\",\"$defs\":{\"x\":{\"properties\":{\"a\":{\"type\":\"integer\"}}}}}", "a=1",
     "{\"a\":1}"},
    {"{\"properties\":{\"a\":{\"$ref\":\"#/properties/a\"}}}", "a=1", "{\"a\":\"1\"}"},
    {"true", "a=1", "{\"a\":\"1\"}"},
};

START_TEST(text_becomes_what_the_schema_wants)
{
    const struct form_limits limits = {.pairs = 100, .name = 100, .value = 1000};
    struct defect defect = {0};
    struct form form;
    const struct content *content = schema_of(convert_rows[_i].schema);
    ck_assert(form_read(text_of(convert_rows[_i].form), &limits, arena, &form, &defect));
    json_t *value = content_convert(content, &form, &defect);
    ck_assert_ptr_nonnull(value);
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(text, convert_rows[_i].value);
    free(text);
    json_decref(value);
}
END_TEST

/* ---- styles: the rows of OpenAPI 3.1.1, 4.8.12.4, and what is beside them */

#define COLOR(schema_) "{\"properties\":{\"color\":" schema_ "}}"
#define LIST           COLOR("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}")
#define NUMBERS        COLOR("{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}")
#define INNER                                                                                                \
    "{\"type\":\"object\",\"properties\":{\"R\":{\"type\":\"integer\"},\"G\":{\"type\":\"integer\"},\"T\":{" \
    "\"type\":"                                                                                              \
    "\"array\",\"items\":{\"type\":\"boolean\"}}}}"
#define RGB  COLOR(INNER)
#define OPEN COLOR("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}")
#define MAYBE                                                                                                \
    COLOR("{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"},{\"allOf\":[{\"$ref\":\"#/properties/"     \
          "x\"}]}]},\"x\":{"                                                                                 \
          "\"const\":true}")

enum { PLAIN, EXPLODE, EMPTY };

static const struct {
    const char *schema;
    enum content_style style;
    int more;
    const char *form, *value; /* or the word of what is wrong */
} style_rows[] = {
    {LIST, STYLE_FORM, EXPLODE, "color=blue&color=black", "{\"color\":[\"blue\",\"black\"]}"},
    {LIST, STYLE_FORM, EXPLODE, "color=blue,black", "{\"color\":[\"blue,black\"]}"},
    {LIST, STYLE_FORM, PLAIN, "color=blue,black,brown", "{\"color\":[\"blue\",\"black\",\"brown\"]}"},
    {LIST, STYLE_FORM, PLAIN, "color=blue%2Cblack%2cbrown", "{\"color\":[\"blue\",\"black\",\"brown\"]}"},
    {LIST, STYLE_FORM, PLAIN, "color=blue%2Cblack,brown", "content_separator"},
    {LIST, STYLE_FORM, PLAIN, "color=blue&color=black", "content_repeated"},
    {LIST, STYLE_FORM, PLAIN, "color=", "{\"color\":[\"\"]}"},
    {LIST, STYLE_FORM, PLAIN, "color=a,", "{\"color\":[\"a\",\"\"]}"},
    {LIST, STYLE_FORM, PLAIN, "color[]=blue", "content_name"},
    {LIST, STYLE_SIMPLE, PLAIN, "color=blue,black", "{\"color\":[\"blue\",\"black\"]}"},
    {LIST, STYLE_SIMPLE, EXPLODE, "color=blue,black", "{\"color\":[\"blue\",\"black\"]}"},
    {LIST, STYLE_JSON, PLAIN, "color=[\"blue\",%22black%22]", "{\"color\":[\"blue\",\"black\"]}"},
    {LIST, STYLE_JSON, EXPLODE, "color=\"blue\"&color=2", "{\"color\":[\"blue\",2]}"},
    {LIST, STYLE_JSON, PLAIN, "color=[\"blue\"", "content_json"},
    {LIST, STYLE_JSON, PLAIN, "color=", "content_json"},
    {LIST, STYLE_JSON, PLAIN, "color={\"a\":1,\"a\":2}", "content_json"},
    {LIST, STYLE_JSON, PLAIN, "color=[]&color=[]", "content_repeated"},
    {NUMBERS, STYLE_FORM, PLAIN, "color=1,02,-3", "{\"color\":[1,\"02\",-3]}"},
    {NUMBERS, STYLE_FORM, PLAIN, "color=1,%202", "{\"color\":[1,\" 2\"]}"},
    {NUMBERS, STYLE_FORM, EMPTY, "color=", "{\"color\":\"\"}"},
    {NUMBERS, STYLE_FORM, EMPTY, "color=&color=", "content_repeated"},
    {RGB, STYLE_FORM, PLAIN, "color=R,100,G,200", "{\"color\":{\"G\":200,\"R\":100}}"},
    {RGB, STYLE_FORM, PLAIN, "color=R,100,T,true,T,false", "{\"color\":{\"R\":100,\"T\":[true,false]}}"},
    {RGB, STYLE_FORM, PLAIN, "color=R,100,R,200", "content_repeated"},
    {RGB, STYLE_FORM, PLAIN, "color=R,100,G", "content_object"},
    {RGB, STYLE_FORM, PLAIN, "color=", "content_object"},
    {RGB, STYLE_FORM, PLAIN, "color=x,y", "{\"color\":{\"x\":\"y\"}}"},
    {RGB, STYLE_FORM, EXPLODE, "R=100&G=200", "{\"color\":{\"G\":200,\"R\":100}}"},
    {RGB, STYLE_FORM, EXPLODE, "R=100&T=true&T=x", "{\"color\":{\"R\":100,\"T\":[true,\"x\"]}}"},
    {RGB, STYLE_FORM, EXPLODE, "R=100&R=200", "content_repeated"},
    {RGB, STYLE_FORM, EXPLODE, "R[]=100", "content_name"},
    {RGB, STYLE_FORM, EXPLODE, "color=1", "{\"color\":\"1\"}"},
    {RGB, STYLE_FORM, EXPLODE, "color=1&R=1", "content_repeated"},
    {RGB, STYLE_FORM, EXPLODE, "x=1", "{\"x\":\"1\"}"},
    {RGB, STYLE_FORM, EXPLODE, "", "{}"},
    {OPEN, STYLE_FORM, EXPLODE, "R=100&x=2", "{\"color\":{\"R\":100,\"x\":2}}"},
    {RGB, STYLE_SIMPLE, PLAIN, "color=R,100,G,200", "{\"color\":{\"G\":200,\"R\":100}}"},
    {RGB, STYLE_SIMPLE, EXPLODE, "color=R=100,G=200", "{\"color\":{\"G\":200,\"R\":100}}"},
    {RGB, STYLE_SIMPLE, EXPLODE, "color=R=100,G", "content_object"},
    {RGB, STYLE_DEEP, EXPLODE, "color[R]=100&color%5BG%5D=200", "{\"color\":{\"G\":200,\"R\":100}}"},
    {RGB, STYLE_DEEP, EXPLODE, "color[T]=true&color[T]=false", "{\"color\":{\"T\":[true,false]}}"},
    {RGB, STYLE_DEEP, EXPLODE, "color[x]=100", "{\"color\":{\"x\":\"100\"}}"},
    {RGB, STYLE_DEEP, EXPLODE, "color[R]=1&color[R]=2", "content_repeated"},
    {RGB, STYLE_DEEP, EXPLODE, "color=1", "{\"color\":\"1\"}"},
    {RGB, STYLE_DEEP, EXPLODE, "color=1&color[R]=2", "content_repeated"},
    {RGB, STYLE_DEEP, EXPLODE, "color[R]=2&color=1", "content_repeated"},
    {RGB, STYLE_DEEP, EXPLODE, "color[R][a]=1", "content_name"},
    {RGB, STYLE_DEEP, EXPLODE, "color[]=1", "content_name"},
    {RGB, STYLE_DEEP, EXPLODE, "color[R=1", "content_name"},
    {RGB, STYLE_DEEP, EXPLODE, "color[R]x=1", "content_name"},
    {RGB, STYLE_DEEP, EXPLODE, "colo[r]=1", "{\"colo[r]\":\"1\"}"},
    {MAYBE, STYLE_FORM, EXPLODE, "color=12", "{\"color\":12}"},
    {MAYBE, STYLE_FORM, EXPLODE, "color=true", "{\"color\":true}"},
    {MAYBE, STYLE_FORM, EXPLODE, "color=null", "{\"color\":\"null\"}"},
    {COLOR("{\"enum\":[1,2]}"), STYLE_FORM, EXPLODE, "color=2", "{\"color\":2}"},
    {COLOR("{\"enum\":[1,\"2\"]}"), STYLE_FORM, EXPLODE, "color=2", "{\"color\":\"2\"}"},
};

START_TEST(a_style_is_read_as_it_is_written)
{
    const struct form_limits limits = {.pairs = 100, .name = 100, .value = 1000};
    const char *row = style_rows[_i].form;
    const struct content_writing writings[] = {
        {"color", style_rows[_i].style, style_rows[_i].more == EXPLODE, style_rows[_i].more == EMPTY}, {0}};
    json_t *schema = json_loads(style_rows[_i].schema, 0, NULL);
    const struct shape_references references = {shape_find_local, schema};
    struct content content = {0};
    struct error error = {0};
    struct defect defect = {0};
    struct form form;
    ck_assert_msg(schema && shape_make(schema, &references, writings, arena, &content.shape, &error), "%s",
                  style_rows[_i].schema);
    ck_assert(form_read(text_of(row), &limits, arena, &form, &defect));
    json_t *value = content_convert(&content, &form, &defect);
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    ck_assert_str_eq(text ? text : defect.word, style_rows[_i].value);
    free(text);
    json_decref(value);
    json_decref(schema);
}
END_TEST

START_TEST(a_schema_of_too_many_branches_is_refused)
{
    json_t *schema = json_loads("{\"$ref\":\"#/x\",\"x\":{\"anyOf\":[{\"$ref\":\"#/x\"},{\"$ref\":\"#/x\"},{"
                                "\"$ref\":\"#/x\"}]}}",
                                0, NULL);
    const struct shape_references references = {shape_find_local, schema};
    struct shape shape;
    struct error error = {0};
    ck_assert(!shape_make(schema, &references, NULL, arena, &shape, &error));
    ck_assert_str_eq(error.message, "the schema has too many branches");
    json_decref(schema);
}
END_TEST

/* ---- files */

static const struct text png = {"\x89PNG\r\n\x1a\n", 8};

static struct multipart_part file_of(struct text start, const char *type, const char *filename)
{
    return (struct multipart_part){.name = TEXT("f"),
                                   .filename = text_of(filename),
                                   .type = text_of(type),
                                   .start = start,
                                   .is_file = true};
}

static struct texts list_of(const char *item)
{
    struct texts texts = {arena_array(arena, 1, sizeof(struct text)), item ? 1 : 0};
    if (item)
        texts.items[0] = text_of(item);
    return texts;
}

START_TEST(files_are_judged_by_name_and_content)
{
    static const struct {
        const char *names, *types, *extensions, *content, *stated, *filename, *word;
    } rows[] = {
        {NULL, NULL, NULL, "x", "", "a.txt", NULL},
        {"f", "image/png", ".png", NULL, "image/png", "a.PNG", NULL},
        {"f", "image/*", NULL, NULL, "image/png", "a", NULL},
        {"g", NULL, NULL, NULL, "image/png", "a.png", "file_unexpected"},
        {NULL, "image/jpeg", NULL, NULL, "image/jpeg", "a.jpg", "file_type"},
        {NULL, "image/png", NULL, NULL, "text/html", "a.png", "file_type"},
        {NULL, "image/png", NULL, "<html>", "image/png", "a.png", "file_type"},
        {NULL, "image/*", NULL, "image", "image/png", "a.png", "file_type"},
        {NULL, "text/plain", NULL, "just text", "", "a.txt", NULL},
        {NULL, "text/plain", NULL, "\x01\x02", "", "a.txt", "file_type"},
        {NULL, "application/octet-stream", NULL, "\x01\x02", "", "a.bin", NULL},
        {NULL, NULL, ".png", NULL, "", "a.png.php", "file_extension"},
        {NULL, NULL, ".png", NULL, "", "png", "file_extension"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct defect defect = {0};
        const struct content_files files = {.most = 1,
                                            .names = list_of(rows[i].names),
                                            .types = list_of(rows[i].types),
                                            .extensions = list_of(rows[i].extensions)};
        const struct multipart_part part =
            file_of(rows[i].content ? text_of(rows[i].content) : png, rows[i].stated, rows[i].filename);
        ck_assert_int_eq(content_judge_file(&files, &part, arena, &defect), rows[i].word == NULL);
        if (rows[i].word)
            ck_assert_str_eq(defect.word, rows[i].word);
    }
    const struct content_files plain = {.most = 1, .types = list_of("text/plain")};
    const struct multipart_part nul = file_of((struct text){"a\0b", 3}, "", "a.txt");
    ck_assert(!content_judge_file(&plain, &nul, arena, &(struct defect){0}));
    struct defect defect = {0};
    const struct multipart_part part = file_of(png, "", "a.png");
    ck_assert(!content_judge_file(&(struct content_files){0}, &part, arena, &defect));
    ck_assert_str_eq(defect.word, "file_unexpected");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("content");
    TCase *cases = tcase_create("content");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_loop_test(cases, fields_are_judged, 0, (int)COUNT(field_rows));
    tcase_add_loop_test(cases, a_public_url_leads_to_no_private_host, 0, (int)COUNT(url_rows));
    tcase_add_test(cases, unknown_fields_are_refused_unless_allowed);
    tcase_add_test(cases, all_that_is_wrong_is_told);
    tcase_add_test(cases, what_was_sent_is_not_repeated);
    tcase_add_test(cases, a_long_name_is_cut);
    tcase_add_loop_test(cases, text_becomes_what_the_schema_wants, 0, (int)COUNT(convert_rows));
    tcase_add_loop_test(cases, a_style_is_read_as_it_is_written, 0, (int)COUNT(style_rows));
    tcase_add_test(cases, a_schema_of_too_many_branches_is_refused);
    tcase_add_test(cases, files_are_judged_by_name_and_content);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
