/*
 * Tests of the schema validator: a table of our own, and every case, required
 * and optional, of the official JSON-Schema-Test-Suite where it is found (the
 * variable SCHEMA_SUITE names its folder, else where Debian's packages put it).
 * What does not pass is listed in data/schema/exceptions.json, with the reason.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bytes.h"
#include "data/schema.h"
#include "data/schema_format.h"
#include "data/schema_number.h"
#include "data/schema_pattern.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const suites[] = {
    "/usr/share/perl5/auto/share/dist/Test-JSON-Schema-Acceptance",
    "/usr/share/json-schema-test-suite",
};

/* ---- the suite */

static const struct {
    const char *folder;
    enum schema_draft draft;
} drafts[] = {
    {"draft2020-12", SCHEMA_DRAFT_2020_12},
    {"draft2019-09", SCHEMA_DRAFT_2019_09},
    {"draft7", SCHEMA_DRAFT_7},
    {"draft6", SCHEMA_DRAFT_6},
    {"draft4", SCHEMA_DRAFT_4},
};

struct tally {
    const char *suite;
    json_t *exceptions; /* what does not pass, and why */
    unsigned passed, excepted, failed;
    bool optional;
};

/* Read as the command reads it. */
static json_t *read_json(const char *path)
{
    static char text[4 << 20];
    json_error_t problem;
    FILE *file = fopen(path, "r");
    ck_assert_msg(file, "%s cannot be opened", path);
    size_t length = fread(text, 1, sizeof text, file);
    ck_assert_msg(!ferror(file) && length < sizeof text, "%s cannot be read", path);
    fclose(file);
    json_t *value = schema_json((struct text){text, length}, &problem);
    ck_assert_msg(value, "%s:%d: %s", path, problem.line, problem.text);
    return value;
}

static json_t *resolve_remote(void *context, const char *uri, struct error *error)
{
    static const char prefix[] = "http://localhost:1234/";
    const struct tally *tally = context;
    char path[512];
    snprintf(path, sizeof path, "%s/remotes/%s", tally->suite, uri + sizeof prefix - 1);
    if (strncmp(uri, prefix, sizeof prefix - 1) == 0 && access(path, R_OK) == 0)
        return read_json(path);
    error_set(error, "there is no such document");
    return NULL;
}

static bool is_excepted(const struct tally *tally, const char *file, const char *what)
{
    size_t index;
    json_t *row;
    json_array_foreach(tally->exceptions, index, row)
    {
        struct text end = text_of(json_string_value(json_object_get(row, "file")));
        if (text_ends_with(text_of(file), end) &&
            strcmp(what, json_string_value(json_object_get(row, "test"))) == 0)
            return true;
    }
    return false;
}

/* An exception that passes is none any more. */
static void count(struct tally *tally, bool passed, const char *file, const json_t *group, const char *what,
                  const char *why)
{
    bool excepted = is_excepted(tally, file, what);
    tally->passed += passed && !excepted;
    tally->excepted += !passed && excepted;
    tally->failed += passed == excepted;
    if (passed == excepted)
        printf("FAIL %s: %s: %s: %s\n", file, json_string_value(json_object_get(group, "description")), what,
               passed ? "passes, and is listed as an exception" : why);
}

static void run_test(struct tally *tally, const char *file, const json_t *group, const struct schema *schema,
                     const json_t *test)
{
    const char *what = json_string_value(json_object_get(test, "description"));
    bool expected = json_is_true(json_object_get(test, "valid"));
    const json_t *data = json_object_get(test, "data");
    struct arena *arena = arena_new();
    struct schema_errors errors = schema_errors_new(arena, 10);
    bool quiet = schema_validate(schema, data, NULL), loud = schema_validate(schema, data, &errors);
    count(tally, quiet == expected && loud == expected && loud == (errors.count == 0), file, group, what,
          quiet != loud  ? "differs with and without errors"
          : loud         ? "is valid"
          : errors.count ? errors.items[0].message
                         : "no error");
    arena_free(arena);
}

static void run_group(struct tally *tally, const char *file, const json_t *group,
                      const struct schema_options *options)
{
    struct schema_fault fault;
    size_t index;
    json_t *test, *tests = json_object_get(group, "tests");
    struct schema *schema = schema_compile(json_object_get(group, "schema"), options, &fault);
    json_array_foreach(tests, index, test)
    {
        if (schema)
            run_test(tally, file, group, schema, test);
        else
            count(tally, false, file, group, json_string_value(json_object_get(test, "description")),
                  fault.error.message);
    }
    schema_free(schema);
}

static void run_file(struct tally *tally, const char *path, enum schema_draft draft)
{
    const char *name = path + strlen(tally->suite);
    struct schema_options options = {.draft = draft, .resolve = resolve_remote, .context = tally};
    options.formats_annotate = !tally->optional; /* there format.json tells that they only annotate */
    json_t *group, *groups = read_json(path);
    size_t index;
    json_array_foreach(groups, index, group) run_group(tally, name, group, &options);
    json_decref(groups);
}

static void run_folder(struct tally *tally, const char *path, enum schema_draft draft)
{
    struct dirent **entries;
    int total = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < total; i++) {
        char inner[600];
        const char *name = entries[i]->d_name;
        snprintf(inner, sizeof inner, "%s/%s", path, name);
        if (strstr(name, ".json"))
            run_file(tally, inner, draft);
        else if (tally->optional && name[0] != '.')
            run_folder(tally, inner, draft);
        free(entries[i]);
    }
    if (total >= 0)
        free(entries);
}

static void run_suite(const char *suite)
{
    unsigned failed = 0, passed = 0;
    json_t *exceptions = read_json(TEST_FOLDER "/data/schema/exceptions.json");
    for (size_t i = 0; i < COUNT(drafts); i++) {
        char path[512];
        struct tally required = {.suite = suite, .exceptions = exceptions}, optional = required;
        optional.optional = true;
        snprintf(path, sizeof path, "%s/tests/%s", suite, drafts[i].folder);
        if (access(path, R_OK) != 0)
            continue;
        run_folder(&required, path, drafts[i].draft);
        strcat(path, "/optional");
        run_folder(&optional, path, drafts[i].draft);
        printf("%s: %s: required %u of %u, optional %u of %u and %u excepted\n", suite, drafts[i].folder,
               required.passed, required.passed + required.failed, optional.passed,
               optional.passed + optional.failed, optional.excepted);
        ck_assert_uint_eq(required.excepted, 0);
        failed += required.failed + optional.failed;
        passed += required.passed;
    }
    json_decref(exceptions);
    ck_assert_uint_eq(failed, 0);
    ck_assert_uint_gt(passed, 0);
}

START_TEST(test_suite)
{
    const char *named = getenv("SCHEMA_SUITE");
    const char *suite = named ? named : suites[_i];
    if ((named && _i > 0) || access(suite, R_OK) != 0) {
        printf("skipped: there is no %s\n", suite);
        return;
    }
    run_suite(suite);
}
END_TEST

/* ---- our own */

static const struct {
    const char *schema, *instance, *pointer, *keyword; /* pointer NULL: valid */
} cases[] = {
    {"{'type':'integer'}", "1.0", NULL, NULL},
    {"{'type':'integer'}", "1.5", "", "type"},
    {"{'multipleOf':0.01}", "4.35", NULL, NULL},
    {"{'multipleOf':0.01}", "1.1e15", NULL, NULL},
    {"{'multipleOf':0.01}", "4.351", "", "multipleOf"},
    {"{'maximum':9007199254740992}", "9007199254740993", "", "maximum"},
    {"{'minimum':-9223372036854775808}", "-9223372036854775808", NULL, NULL},
    {"{'properties':{'a/b':{'items':{'type':'null'}}}}", "{'a/b':[null,1]}", "/a~1b/1", "type"},
    {"{'required':['x']}", "{}", "/x", "required"},
    {"{'additionalProperties':false}", "{'x':1}", "/x", "additionalProperties"},
    {"{'$ref':'#'}", "1", "", "limit"},
    {"{'not':{'$ref':'#/not'}}", "1", "", "limit"},
    {"{'not':{'pattern':'^(a+)+$'}}", "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'", "", "limit"},
    {"{'uniqueItems':true}", "[1,2,3,4,5,6,7,8,9,{'a':1,'b':[2]},{'b':[2.0],'a':1}]", "", "uniqueItems"},
    {"{'uniqueItems':true}", "[1,2,3,4,5,6,7,8,9,{'a':1,'b':[2]},{'b':[2.5],'a':1}]", NULL, NULL},
    {"{'maxLength':2}", "'\\u00e4\\ud83d\\ude00'", NULL, NULL},
    {"{'anyOf':[{'type':'null'},{'$ref':'#/$defs/o'}],'$defs':{'o':{'type':'object','required':['x']}}}",
     "{}", "/x", "required"},
    {"{'oneOf':[{'type':'string'},{'type':'array','items':{'type':'integer'}}]}", "[1,'a']", "/1", "type"},
    {"{'oneOf':[{'minItems':3},{'type':'array','items':{'type':'integer'}}]}", "[1,'a']", "", "oneOf"},
    {"{'anyOf':[{'type':'integer'},{'type':'string'}]}", "[]", "", "anyOf"},
    {"{'enum':['a',1,[2]]}", "[2.0]", NULL, NULL},
    {"{'enum':['a',1,[2]]}", "'b'", "", "enum"},
    {"{'format':'regex'}", "'(?<a'", "", "format"},
    {"{'properties':{'a':true},'unevaluatedProperties':false}", "{'a':1,'b':2}", "/b",
     "unevaluatedProperties"},
    {"{'enum':['a\\u0000b']}", "'a\\u0000b'", NULL, NULL},
    {"{'enum':['a\\u0000b']}", "'a'", "", "enum"},
    {"{'pattern':'^a\\u0000$'}", "'a\\u0000'", NULL, NULL},
    {"{'maximum':18446744073709551615}", "9223372036854775807", NULL, NULL},
    {"{'maximum':18446744073709551615}", "28446744073709551615", "", "maximum"},
    {"{'type':'integer'}", "123456789012345678901234567890", NULL, NULL},
    {"{'enum':[12345678901234567890,9007199254740993]}", "9007199254740993", NULL, NULL},
    {"{'const':9007199254740993}", "9007199254740992", "", "const"},
    {"{'items':{'enum':[-9223372036854775809,'18446744073709551616','\\\\','\\'1',1e19]}}",
     "[-9223372036854775809,'18446744073709551616','\\\\','\\'1',10000000000000000000]", NULL, NULL},
    {"{'items':{'const':-9223372036854775808}}", "[-9223372036854775808,18446744073709551616]", "/1",
     "const"},
    {"{'type':['string','null','string']}", "null", NULL, NULL},
};

/* JSON with ' for ". */
static char *json_of(const char *text)
{
    char *copy = strdup(text);
    for (char *at = copy; *at; at++)
        if (*at == '\'')
            *at = '"';
    return copy;
}

START_TEST(test_case)
{
    struct schema_fault fault;
    char *text = json_of(cases[_i].schema), *data = json_of(cases[_i].instance);
    struct schema *schema = schema_parse(text_of(text), NULL, &fault);
    ck_assert_msg(schema, "%s: %s", text, fault.error.message);
    json_error_t problem;
    json_t *instance = schema_json(text_of(data), &problem);
    struct arena *arena = arena_new();
    struct schema_errors errors = schema_errors_new(arena, 1);
    ck_assert_ptr_nonnull(instance);
    ck_assert_msg(schema_validate(schema, instance, &errors) == (cases[_i].pointer == NULL), "%s: %s", text,
                  data);
    ck_assert_int_eq(schema_validate(schema, instance, NULL), cases[_i].pointer == NULL);
    ck_assert_uint_eq(errors.count, cases[_i].pointer != NULL);
    if (cases[_i].pointer) {
        ck_assert_str_eq(errors.items[0].pointer, cases[_i].pointer);
        ck_assert_str_eq(errors.items[0].keyword, cases[_i].keyword);
    }
    arena_free(arena);
    json_decref(instance);
    schema_free(schema);
    free(text);
    free(data);
}
END_TEST

static const struct {
    const char *schema, *pointer, *keyword, *message;
    unsigned line, column;
} faults[] = {
    {"{'type':'text'}", "/type", "type", "is \"text\", expected array,", 1, 9},
    {"{'type':['null',\n7]}", "/type/1", "type", "is 7, expected array,", 2, 1},
    {"{'type':'string\\u0000'}", "/type", "type", "expected array,", 1, 9},
    {"{\n 'properties': {\n  'a': {'pattern': '('}}}", "/properties/a/pattern", "pattern", "does not compile",
     3, 20},
    {"{'properties':{'a':{},\n'b':5}}", "/properties/b", "properties", "is 5, expected a schema", 2, 5},
    {"{'properties':{'a':{},\n'b':null}}", "/properties", "properties", "is null, expected a schema", 1, 15},
    {"{'$ref':'#/nowhere'}", "/$ref", "$ref", "leads nowhere", 1, 9},
    {"{'$ref':'http://example.com/x'}", "/$ref", "$ref", "leads nowhere", 1, 9},
    {"{'$ref':'#\\u0000'}", "/$ref", "$ref", "expected a reference", 1, 9},
    {"{'$ref':'#%zz'}", "/$ref", "$ref", "broken escape", 1, 9},
    {"{'minLength':-1}", "/minLength", "minLength", "is -1, expected an integer that is not negative", 1, 14},
    {"{'contains':true,'minContains':'x'}", "/minContains", "minContains", "is \"x\", expected an integer", 1,
     32},
    {"{'required':['a',1]}", "/required/1", "required", "is 1, expected a name", 1, 18},
    {"{'allOf':[]}", "/allOf", "allOf", "is an empty list, expected", 1, 10},
    {"{'$schema':'http://example.com/'}", "/$schema", "$schema", "dialect", 1, 12},
    {"{'$schema':5}", "/$schema", "$schema", "is 5, expected the URI", 1, 12},
    {"[]", "", NULL, "is an empty list, expected a schema", 1, 1},
    {"{", "", NULL, "is not JSON", 1, 1},
    {"{'a':1,'a':2}", "", NULL, "is not JSON", 1, 10},
    {"{'pattern':'(?>a)'}", "/pattern", "pattern", "ECMA-262", 1, 12},
    {"{'properties':{'a/~b':{'items':[\n{'enum':1}]}}}", "/properties/a~1~0b/items", "items",
     "is a list, expected a schema", 1, 32},
    {"{'$schema':'http://json-schema.org/draft-07/schema#','properties':{'a/"
     "~b':{'items':[true,\n{'enum':1}]}}}",
     "/properties/a~1~0b/items/1/enum", "enum", "expected a list", 2, 9},
    {"{'$schema':'http://json-schema.org/draft-04/schema#','minimum':1,'exclusiveMinimum':1}", "/minimum",
     "minimum", "draft 4", 1, 64},
    {"{'$defs':{'a':{'$anchor':'x'},'b':{'$anchor':'x'}}}", "/$defs/b", NULL, "named twice", 1, 35},
    {"{'$defs':{'a':{'$anchor':''}}}", "/$defs/a/$anchor", "$anchor", "expected a name", 1, 26},
    {"{'$defs':{'a':{'$dynamicAnchor':'x\\u0000'}}}", "/$defs/a/$dynamicAnchor", "$dynamicAnchor",
     "expected a name", 1, 33},
    {"{'$defs':{'a':{'$id':'x:y'},'b':{'$id':'x:y'}}}", "/$defs/b/$id", "$id", "another subschema", 1, 40},
};

START_TEST(test_fault)
{
    struct schema_fault fault;
    char *text = json_of(faults[_i].schema);
    ck_assert_ptr_null(schema_parse(text_of(text), NULL, &fault));
    ck_assert_msg(strstr(fault.error.message, faults[_i].message), "%s: %s", text, fault.error.message);
    ck_assert_str_eq(fault.pointer, faults[_i].pointer);
    ck_assert_uint_eq(fault.line, faults[_i].line);
    if (faults[_i].keyword)
        ck_assert_uint_eq(fault.column, faults[_i].column);
    ck_assert_pstr_eq(fault.keyword, faults[_i].keyword);
    free(text);
}
END_TEST

#define LONG_LABEL "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
    const char *format, *good, *bad;
} formats[] = {
    {"date-time", "2024-02-29T23:59:60z", "2023-02-29T00:00:00Z"},
    {"date-time", "1998-12-31T15:59:60.123-08:00", "1998-12-31T22:59:60Z"},
    {"date", "2000-02-29", "1900-02-29"},
    {"time", "00:00:00.0+00:00", "12:00:00"},
    {"duration", "P1Y2M3DT4H5M6S", "P1YT"},
    {"duration", "P2W", "P1Y2W"},
    {"duration", "PT1H5M", "PT1H5S"},
    {"email", "o'neil+x@example.com", "a@b@example.com"},
    {"email", "\"a b\"@[127.0.0.1]", ".a@example.com"},
    {"email", "a@[ipv6:::1]", "a@[ipv6]"},
    {"idn-email", "\xc3\xa4@\xc3\xb6.example", "\xc3\xa4"},
    {"hostname", "a-1.example", "a_b.example"},
    {"hostname", "xn--nxasmq6b", "xn--x"},
    {"hostname", "r3---sn.example", "xn--0ca24w"},
    {"hostname", "xn--NXASMQ6B", "xn--nxasmq6b.\xc3\xa4"},
    {"idn-hostname", "\xc3\xb6sterreich.example", "\xe3\x80\xae"},
    {"idn-hostname", "\xc3\x96sterreich.example", "r3---sn.example"},
    {"idn-hostname", "\xef\xbc\x91\xef\xbc\x92", "\xd9\xa0\xd9\xa1"}, /* fullwidth; Arabic-Indic */
    {"idn-hostname",
     "a\xe2\x80\x8b"
     "b",
     "\xe2\x80\x8b"},                                                   /* zero width */
    {"idn-hostname", "\xef\xbd\x98\xef\xbd\x8e--nxasmq6b", "xn---9uc"}, /* fullwidth "xn"; not as encoded */
    {"idn-hostname", "a.\xd7\x90", "0a.\xd7\x90"},                      /* beside a Hebrew label */
    {"idn-hostname", "\xd8\xa8\xd9\xa0.\xd8\xa8\xdb\xb0", "a\xd7\x90"},
    {"idn-hostname", LONG_LABEL "." LONG_LABEL "." LONG_LABEL ".aaa",
     LONG_LABEL "." LONG_LABEL "." LONG_LABEL "." LONG_LABEL},
    {"ipv4", "255.0.0.1", "127.0.0.01"},
    {"ipv6", "::ffff:1.2.3.4", "::1%eth0"},
    {"uri", "http://[::1]:80/a?b#c", "/a"},
    {"uri", "urn:a:b", "http://a b/"},
    {"uri-reference", "../a?b", "a\\b"},
    {"iri", "http://\xc3\xa4.example/", "\xc3\xa4"},
    {"uri-template", "/a{?x,y*}{z:3}", "/a{"},
    {"uri-template", "it's{a.b}", "{a..b}"},
    {"uri-template", "{a.b*}", "{.a.}"},
    {"uuid", "123E4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000"},
    {"byte", "", "a"},
    {"byte", "+/aZ09==", "aGk"},
    {"byte", "aGk=", "a=k="},
    {"byte", "aGkh", "aGk\n"},
    {"json-pointer", "/a~0~1/", "a"},
    {"relative-json-pointer", "1/a", "01/a"},
    {"regex", "^\\d+$", "a)"},
};

START_TEST(test_format)
{
    const struct schema_format *format = schema_format_find(text_of(formats[_i].format));
    ck_assert_ptr_nonnull(format);
    ck_assert(format->fits(text_of(formats[_i].good)));
    ck_assert(!format->fits(text_of(formats[_i].bad)));
}
END_TEST

/* ---- options */

static json_t *resolve_own(void *context, const char *uri, struct error *error)
{
    unsigned *asked = context;
    ++*asked;
    if (strcmp(uri, "http://example.com/schemas/b.json") == 0)
        return json_pack("{s{s{ss}}}", "$defs", "c", "type", "string");
    error_set(error, "there is no such file");
    return NULL;
}

START_TEST(test_resolve)
{
    static const char good[] =
        "{\"properties\":{\"a\":{\"$ref\":\"b.json#/$defs/c\"},\"b\":{\"$ref\":\"b.json\"}}}";
    static const char bad[] = "{\"$ref\":\"c.json\"}";
    unsigned asked = 0;
    struct schema_options options = {.uri = "http://example.com/schemas/a.json", .resolve = resolve_own};
    struct schema_fault fault;
    options.context = &asked;
    struct schema *schema = schema_parse(text_of(good), &options, &fault);
    ck_assert_msg(schema, "%s", fault.error.message);
    ck_assert_uint_eq(asked, 1);
    json_t *instance = json_pack("{si}", "a", 1);
    ck_assert(!schema_validate(schema, instance, NULL));
    json_decref(instance);
    schema_free(schema);
    ck_assert_ptr_null(schema_parse(text_of(bad), &options, &fault));
    ck_assert_str_eq(fault.uri, "");
    ck_assert_uint_eq(fault.column, 9);
    ck_assert_str_eq(
        fault.error.message,
        "the reference to http://example.com/schemas/c.json leads nowhere: there is no such file");
}
END_TEST

START_TEST(test_options)
{
    struct schema_options options = {.draft = SCHEMA_DRAFT_4, .formats_annotate = true};
    struct schema_fault fault;
    struct schema *schema =
        schema_parse(TEXT("{\"maximum\":1,\"exclusiveMaximum\":true,\"format\":\"date\"}"), &options, &fault);
    ck_assert_msg(schema, "%s", fault.error.message);
    json_t *one = json_integer(1), *text = json_string("x");
    ck_assert(!schema_validate(schema, one, NULL));
    ck_assert(schema_validate(schema, text, NULL));
    json_decref(one);
    json_decref(text);
    schema_free(schema);
}
END_TEST

/* An instance is so many levels, and a list of so many nulls in them. */
static const struct {
    const char *schema, *opening, *closing;
    size_t levels, nulls;
} labours[] = {
    {"{'uniqueItems':true,'items':{'$ref':'#'}}", "[1,2,3,4,5,6,7,8,", "]", 490, 200000},
    {"{'properties':{'a':{'$ref':'#'}}}", "{\"a\":", "}", 1100, 1},
    {"{'$ref':'#/$defs/a','$defs':{'a':{'anyOf':[{'items':{'$ref':'#/$defs/a'}},{'items':{'$ref':'#/$defs/"
     "a'}}"
     "],'not':{'type':'null'}}}}",
     "[", "]", 40, 1},
};

static json_t *labour(struct arena *arena, size_t index)
{
    struct bytes bytes = bytes_new(arena, SIZE_MAX);
    json_error_t problem;
    for (size_t i = 0; i < labours[index].levels; i++)
        bytes_add_text(&bytes, text_of(labours[index].opening));
    for (size_t i = 0; i < labours[index].nulls; i++)
        bytes_add_text(&bytes, text_of(i == 0 ? "[null" : ",null"));
    bytes_add_text(&bytes, TEXT("]"));
    for (size_t i = 0; i < labours[index].levels; i++)
        bytes_add_text(&bytes, text_of(labours[index].closing));
    json_t *value = schema_json(bytes_text(&bytes), &problem);
    ck_assert_msg(value, "%s", problem.text);
    return value;
}

/* A client's value can make some schemas work hard, but not for long. */
START_TEST(test_labour)
{
    struct schema_fault fault;
    struct arena *arena = arena_new();
    struct schema_errors errors = schema_errors_new(arena, 1);
    char *text = json_of(labours[_i].schema);
    struct schema *schema = schema_parse(text_of(text), NULL, &fault);
    ck_assert_msg(schema, "%s: %s", text, fault.error.message);
    json_t *instance = labour(arena, (size_t)_i);
    ck_assert(!schema_validate(schema, instance, &errors));
    ck_assert_str_eq(errors.items[0].keyword, "limit");
    json_decref(instance);
    schema_free(schema);
    arena_free(arena);
    free(text);
}
END_TEST

/* All errors up to the bound, none of which tells what was sent. */
START_TEST(test_errors)
{
    static const char text[] = "{\"required\":[\"r\"],\"additionalProperties\":{\"type\":\"integer\"}}";
    struct schema_fault fault;
    struct arena *arena = arena_new();
    struct schema *schema = schema_parse(text_of(text), NULL, &fault);
    json_t *instance = json_pack("{ssssss}", "a", "secret", "b", "secret", "c", "secret");
    for (size_t limit = 1; limit <= 5; limit++) {
        struct schema_errors errors = schema_errors_new(arena, limit);
        ck_assert(!schema_validate(schema, instance, &errors));
        ck_assert_uint_eq(errors.count, limit < 4 ? limit : 4);
        ck_assert_int_eq(errors.more, limit < 4);
        for (size_t i = 0; i < errors.count; i++)
            ck_assert_ptr_null(strstr(errors.items[i].message, "secret"));
    }
    json_decref(instance);
    schema_free(schema);
    arena_free(arena);
}
END_TEST

static const struct {
    const char *a, *b; /* from small to large, apart from what follows a "=" */
} ordered[] = {
    {"-1e308", "-9223372036854775808"},
    {"-9223372036854775808", "-9223372036854775807"},
    {"-0.1", "0"},
    {"0", "1e-300"},
    {"0.1", "0.10000000000000002"},
    {"9223372036854775806", "9223372036854775807"},
    {"9223372036854775807", "1e19"},
    {"=-0.0", "0"},
    {"=1.0", "1"},
    {"=1e2", "100"},
    {"=100000000000000000e1", "1000000000000000000"},
};

static struct schema_number number_of(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(value);
    struct schema_number number = schema_number_of(value);
    json_decref(value);
    return number;
}

static const struct {
    const char *pattern, *text;
    bool matches;
} patterns[] = {
    {"^[\\w-.]+$", "a-b.c", true},
    {"^[\\w-.]+$", "a,b", false},
    {"^[a-z\\s-']+$", "o'neil x-y", true},
    {"^[+-\\d]+$", "+1-2", true},
    {"^[+-\\d]+$", "1,2", false},
    {"^[\\s\\-]$", "-", true},
    {"^[[]$", "[", true},
    {"^[[:alpha:]]$", "a]", true},
    {"^.$", "\xe2\x80\xa8", false},
    {"^.$", "\xf0\x9f\x98\x80", true},
    {"^\\s$", "\xef\xbb\xbf", true},
    {"^[^\\S]$", "\xe2\x80\xa9", true},
    {"^\\d$", "\xd9\xa1", false},
    {"^\\ud83d\\ude00$", "\xf0\x9f\x98\x80", true},
    {"^\\u0041\\x42\\u{43}$", "ABC", true},
    {"^\\p{Lu}\\p{Script=Greek}$", "A\xce\xb1", true},
    {"a$", "a\n", false},
    {"[^]", "x", true},
    {"(?<y>a)\\k<y>", "aa", true},
};

START_TEST(test_pattern)
{
    struct arena *arena = arena_new();
    struct error error = {0};
    struct schema_patterns *all = schema_patterns_new(arena);
    struct schema_pattern_work work = {0};
    const struct schema_pattern *pattern =
        schema_pattern_compile(all, arena, text_of(patterns[_i].pattern), &error);
    ck_assert_msg(pattern, "%s: %s", patterns[_i].pattern, error.message);
    ck_assert_int_eq(schema_pattern_match(pattern, &work, text_of(patterns[_i].text)),
                     patterns[_i].matches ? PATTERN_MATCHES : PATTERN_DIFFERS);
    schema_pattern_work_free(&work);
    schema_patterns_free(all);
    arena_free(arena);
}
END_TEST

static const char *const no_patterns[] = {
    "(",   "[",    "a**",   "a{2}+",   "(?>a)",        "(?i)a", "(?#a)",    "(*FAIL)",
    "\\a", "\\Z",  "\\K",   "\\Qa\\E", "\\p{Nothing}", "\\pL",  "(?P<a>b)", "\\",
    "\\C", "(?<a", "[b-a]", "(?R)",    "(?1)",         "(?|a)",
};

START_TEST(test_no_pattern)
{
    ck_assert(!schema_pattern_is_valid(text_of(no_patterns[_i])));
}
END_TEST

START_TEST(test_number_order)
{
    bool equal = ordered[_i].a[0] == '=';
    struct schema_number a = number_of(ordered[_i].a + equal), b = number_of(ordered[_i].b), read;
    ck_assert_int_eq(schema_number_compare(a, b), equal ? 0 : -1);
    ck_assert_int_eq(schema_number_compare(b, a), equal ? 0 : 1);
    ck_assert(schema_number_read(text_of(ordered[_i].b), &read));
    ck_assert_int_eq(schema_number_compare(read, b), 0);
}
END_TEST

static const struct {
    const char *number, *step;
    bool multiple;
} multiples[] = {
    {"0", "0.01", true},
    {"19.99", "0.01", true},
    {"0.3", "0.1", true},
    {"1.1", "0.1", true},
    {"0.35", "0.1", false},
    {"9007199254740993", "2", false},
    {"1e308", "0.5", true},
    {"1e308", "0.123456789", false},
    {"-4.5", "1.5", true},
    {"9223372036854775807", "7", true},
    {"9223372036854775806", "7", false},
    {"0.0075", "0.0001", true},
    {"0.00751", "0.0001", false},
};

START_TEST(test_number_multiple)
{
    bool multiple = schema_number_is_multiple(number_of(multiples[_i].number), number_of(multiples[_i].step));
    ck_assert_int_eq(multiple, multiples[_i].multiple);
}
END_TEST

static const struct {
    const char *text;
    bool survives;
} survivors[] = {
    {"9223372036854775807", true},
    {"9223372036854775808", false},
    {"-9223372036854775808", true},
    {"-9223372036854775809", false},
    {"0.1", true},
    {"123456789.012345", true},
    {"0.12345678901234567890", false},
    {"1e308", true},
    {"1e400", false},
    {"1e-400", false},
    {"1e99999", false},
    {"0e99999", false},
    {"10000000000000000000000000000000000000000", false},
};

START_TEST(test_number_survives)
{
    ck_assert_int_eq(schema_number_survives(text_of(survivors[_i].text)), survivors[_i].survives);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema");
    TCase *own = tcase_create("own"), *official = tcase_create("official");
    setvbuf(stdout, NULL, _IOLBF, 0);
    tcase_add_loop_test(own, test_case, 0, COUNT(cases));
    tcase_add_loop_test(own, test_fault, 0, COUNT(faults));
    tcase_add_loop_test(own, test_number_order, 0, COUNT(ordered));
    tcase_add_loop_test(own, test_number_multiple, 0, COUNT(multiples));
    tcase_add_loop_test(own, test_number_survives, 0, COUNT(survivors));
    tcase_add_loop_test(own, test_pattern, 0, COUNT(patterns));
    tcase_add_loop_test(own, test_no_pattern, 0, COUNT(no_patterns));
    tcase_add_loop_test(own, test_format, 0, COUNT(formats));
    tcase_add_test(own, test_resolve);
    tcase_add_test(own, test_options);
    tcase_add_test(own, test_errors);
    tcase_add_loop_test(own, test_labour, 0, COUNT(labours));
    suite_add_tcase(suite, own);
    tcase_add_loop_test(official, test_suite, 0, COUNT(suites));
    suite_add_tcase(suite, official);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
