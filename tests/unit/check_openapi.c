/*
 * Tests of descriptions of APIs: what is read from them, what is refused and
 * in which words, and which values their schemas admit in requests and
 * responses.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/openapi.h"
#include "data/schema.h"

enum { FILES_LIMIT = 128, FILE_LIMIT = 64 * 1024, MUTATIONS = 2000 };

#define GOOD TEST_FOLDER "/data/openapi/good"
#define BAD  TEST_FOLDER "/data/openapi/bad"

/* ---- help for the tests */

static struct arena *arena;
static struct findings findings;

static void begin(void)
{
    arena = arena_new();
    findings = findings_new(arena, "api");
}

static void end(void)
{
    arena_free(arena);
}

/* Findings as they are printed, without the folder's name; the caller frees. */
static char *printed(enum finding_kind kind, const char *folder)
{
    char *text = NULL;
    size_t size = 0, length = strlen(folder);
    FILE *stream = open_memstream(&text, &size);
    findings_print(&findings, kind, stream);
    fclose(stream);
    for (char *at = text; length > 0 && (at = strstr(at, folder));)
        memmove(at, at + length, strlen(at + length) + 1);
    return text;
}

static struct openapi *parse(const char *content)
{
    return openapi_parse(text_of(content), "/no such folder/api.yaml", false, &findings);
}

static struct openapi *parse_good(const char *content)
{
    struct openapi *openapi = parse(content);
    char *errors = printed(FINDING_ERROR, "");
    ck_assert_msg(openapi != NULL, "%.1000s\n%.1000s", content, errors);
    free(errors);
    return openapi;
}

static const struct openapi_operation *operation_at(const struct openapi *openapi, const char *id)
{
    for (size_t i = 0; i < openapi->operation_count; i++)
        if (openapi->operations[i].id && strcmp(openapi->operations[i].id, id) == 0)
            return &openapi->operations[i];
    ck_abort_msg("there is no operation %s", id);
}

static const struct openapi_parameter *parameter_at(const struct openapi_operation *operation,
                                                    const char *name)
{
    for (size_t i = 0; i < operation->parameter_count; i++)
        if (strcmp(operation->parameters[i].name, name) == 0)
            return &operation->parameters[i];
    ck_abort_msg("there is no parameter %s", name);
}

static const struct openapi_content *content_at(const struct openapi_contents *contents, const char *type)
{
    for (size_t i = 0; i < contents->count; i++)
        if (text_equal(contents->items[i].type, text_of(type)))
            return &contents->items[i];
    ck_abort_msg("there is no content %s", type);
}

static const struct openapi_encoding *encoding_at(const struct openapi_content *content, const char *name)
{
    for (size_t i = 0; i < content->encoding_count; i++)
        if (strcmp(content->encodings[i].name, name) == 0)
            return &content->encodings[i];
    ck_abort_msg("there is no encoding %s", name);
}

static bool value_fits(json_t *value, const char *instance)
{
    struct schema_fault fault;
    json_error_t problem;
    ck_assert_ptr_nonnull(value);
    struct schema *schema = schema_compile(value, NULL, &fault);
    ck_assert_msg(schema != NULL, "%s: %s", fault.pointer, fault.error.message);
    json_t *json = schema_json(text_of(instance), &problem);
    ck_assert_msg(json != NULL, "%s: %s", instance, problem.text);
    bool valid = schema_validate(schema, json, NULL);
    json_decref(json);
    json_decref(value);
    schema_free(schema);
    return valid;
}

static bool fits(const struct openapi *openapi, const struct openapi_schema *schema, struct openapi_view view,
                 const char *instance)
{
    struct error error = {0};
    return value_fits(openapi_schema(openapi, schema, view, &error), instance);
}

/* ---- files */

static int by_name(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* Names of the documents in a folder, sorted; the caller frees each. */
static size_t list_files(const char *folder, char *names[FILES_LIMIT])
{
    size_t count = 0;
    DIR *stream = opendir(folder);
    ck_assert_ptr_nonnull(stream);
    for (struct dirent *entry; (entry = readdir(stream));) {
        struct text name = text_of(entry->d_name);
        if (!text_ends_with(name, TEXT(".yaml")) && !text_ends_with(name, TEXT(".json")))
            continue;
        ck_assert_uint_lt(count, FILES_LIMIT);
        names[count++] = strdup(entry->d_name);
    }
    closedir(stream);
    qsort(names, count, sizeof *names, by_name);
    return count;
}

/* The content of "NAME.expected" beside a document, "" where there is none. */
static char *expected_of(const char *folder, const char *name)
{
    char path[PATH_MAX], *content = calloc(1, FILE_LIMIT);
    snprintf(path, sizeof path, "%s/%.*s.expected", folder, (int)(strrchr(name, '.') - name), name);
    FILE *stream = fopen(path, "re");
    if (stream) {
        ck_assert_uint_lt(fread(content, 1, FILE_LIMIT - 1, stream), FILE_LIMIT - 1);
        fclose(stream);
    }
    return content;
}

static void check_file(const char *folder, const char *name, enum finding_kind kind)
{
    char path[PATH_MAX], prefix[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(prefix, sizeof prefix, "%s/", folder);
    begin();
    struct openapi *openapi = openapi_read(path, &findings);
    char *expected = expected_of(folder, name), *found = printed(kind, prefix),
         *errors = printed(FINDING_ERROR, prefix);
    ck_assert_msg(!openapi == (kind == FINDING_ERROR), "%s: %s", name, errors);
    ck_assert_msg(strcmp(found, expected) == 0, "%s\n--- found\n%s--- expected\n%s", name, found, expected);
    ck_assert_uint_eq(findings.errors > 0, kind == FINDING_ERROR);
    openapi_free(openapi);
    end();
    free(expected);
    free(errors);
    free(found);
}

static void check_files(const char *folder, size_t least, enum finding_kind kind)
{
    char *names[FILES_LIMIT];
    size_t count = list_files(folder, names);
    ck_assert_uint_ge(count, least);
    for (size_t i = 0; i < count; i++) {
        check_file(folder, names[i], kind);
        free(names[i]);
    }
}

START_TEST(bad_files_are_explained)
{
    check_files(BAD, 15, FINDING_ERROR);
}
END_TEST

/* Links are not kept by archives of the source, so this one is made. */
START_TEST(links_that_lead_out_are_refused)
{
    char folder[] = "/tmp/check_openapi.XXXXXX", path[PATH_MAX], link[PATH_MAX];
    static const char content[] = "openapi: 3.1.0\ninfo: {title: t, version: '1'}\n"
                                  "paths:\n  /f: {$ref: out.yaml}\n";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/api.yaml", folder);
    snprintf(link, sizeof link, "%s/out.yaml", folder);
    FILE *stream = fopen(path, "we");
    ck_assert_ptr_nonnull(stream);
    ck_assert_int_ge(fputs(content, stream), 0);
    ck_assert_int_eq(fclose(stream), 0);
    ck_assert_int_eq(symlink("/etc/passwd", link), 0);
    begin();
    ck_assert_ptr_null(openapi_read(path, &findings));
    char *found = printed(FINDING_ERROR, "");
    ck_assert_msg(strstr(found, "4:14: paths./f.$ref: the file out.yaml leads out of the document's folder"),
                  "%s", found);
    free(found);
    end();
    unlink(link);
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(good_files_are_advised_on)
{
    check_files(GOOD, 4, FINDING_ADVICE);
}
END_TEST

START_TEST(missing_file_is_a_finding)
{
    begin();
    ck_assert_ptr_null(openapi_read("/no/such/folder/api.yaml", &findings));
    char *found = printed(FINDING_ERROR, "");
    ck_assert_str_eq(found, "/no/such/folder/api.yaml: cannot be opened: No such file or directory\n");
    free(found);
    openapi_free(NULL);
    end();
}
END_TEST

/* ---- operations */

START_TEST(operations_are_read)
{
    begin();
    struct openapi *openapi = openapi_read(GOOD "/pets.yaml", &findings);
    ck_assert_ptr_nonnull(openapi);
    ck_assert_int_eq(openapi->version, OPENAPI_3_0);
    ck_assert_uint_eq(openapi->operation_count, 5);
    const struct openapi_operation *list = operation_at(openapi, "listPets");
    ck_assert_str_eq(list->method, "GET");
    ck_assert_str_eq(list->path, "/pets");
    ck_assert_str_eq(list->base, "/v1");
    ck_assert_uint_eq(list->segment_count, 1);
    ck_assert_str_eq(list->position.file, GOOD "/pets.yaml");
    ck_assert_uint_eq(list->position.line, 10);
    ck_assert_uint_eq(list->position.column, 5);
    ck_assert(!list->deprecated);
    ck_assert_uint_eq(list->body.count, 0);
    const struct openapi_operation *show = operation_at(openapi, "showPet");
    ck_assert_uint_eq(show->segment_count, 2);
    ck_assert(text_equal(show->segments[0].literal, TEXT("pets")));
    ck_assert_ptr_null(show->segments[0].parameter);
    ck_assert_str_eq(show->segments[1].parameter, "pet-id");
    ck_assert(show->deprecated);
    openapi_free(openapi);
    end();
}
END_TEST

START_TEST(parameters_are_read)
{
    begin();
    struct openapi *openapi = openapi_read(GOOD "/pets.yaml", &findings);
    const struct openapi_operation *list = operation_at(openapi, "listPets"),
                                   *show = operation_at(openapi, "showPet");
    const struct openapi_parameter *limit = parameter_at(list, "limit"), *tags = parameter_at(list, "tags"),
                                   *filter = parameter_at(list, "filter"),
                                   *where = parameter_at(list, "where"),
                                   *trace = parameter_at(show, "X-Trace"), *id = parameter_at(show, "pet-id");
    ck_assert_int_eq(limit->place, OPENAPI_QUERY);
    ck_assert_int_eq(limit->style, OPENAPI_FORM);
    ck_assert(limit->explode && !limit->required && limit->allow_empty);
    ck_assert(fits(openapi, limit->schema, (struct openapi_view){0}, "100"));
    ck_assert(!fits(openapi, limit->schema, (struct openapi_view){0}, "101"));
    ck_assert(!tags->explode && tags->required);
    ck_assert_int_eq(filter->style, OPENAPI_DEEP_OBJECT);
    ck_assert(where->json && fits(openapi, where->schema, (struct openapi_view){0}, "{\"a\": 1}"));
    ck_assert_int_eq(id->place, OPENAPI_PATH);
    ck_assert_int_eq(id->style, OPENAPI_SIMPLE);
    ck_assert(id->required && !id->explode);
    /* The operation's replaces that of the path, whatever the case of a header. */
    ck_assert(!trace->required);
    ck_assert_uint_eq(show->parameter_count, 3);
    ck_assert_int_eq(parameter_at(show, "session")->place, OPENAPI_COOKIE);
    openapi_free(openapi);
    end();
}
END_TEST

START_TEST(contents_are_read)
{
    begin();
    struct openapi *openapi = openapi_read(GOOD "/pets.yaml", &findings);
    const struct openapi_operation *add = operation_at(openapi, "addPet"),
                                   *upload = operation_at(openapi, "upload"),
                                   *list = operation_at(openapi, "listPets");
    const struct openapi_content *json = content_at(&add->body, "application/json"),
                                 *form = content_at(&add->body, "application/x-www-form-urlencoded"),
                                 *xml = content_at(&add->body, "application/xml"),
                                 *parts = content_at(&upload->body, "multipart/form-data");
    ck_assert(add->body_required && !upload->body_required);
    ck_assert_int_eq(json->body, OPENAPI_JSON);
    ck_assert_int_eq(form->body, OPENAPI_FORM_BODY);
    ck_assert_int_eq(xml->body, OPENAPI_UNREAD);
    ck_assert_ptr_eq(json->schema, form->schema);
    ck_assert_int_eq(content_at(&upload->body, "image/png")->body, OPENAPI_RAW);
    ck_assert_int_eq(content_at(&upload->body, "text/plain")->body, OPENAPI_TEXT);
    ck_assert_int_eq(content_at(&upload->body, "application/octet-stream")->body, OPENAPI_RAW);
    ck_assert_int_eq(parts->body, OPENAPI_MULTIPART);
    ck_assert_uint_eq(parts->encoding_count, 4);
    ck_assert(encoding_at(parts, "photo")->file && !encoding_at(parts, "photo")->json);
    ck_assert(text_equal(encoding_at(parts, "photo")->types.items[1], TEXT("image/jpeg")));
    ck_assert(encoding_at(parts, "more")->file);
    ck_assert(encoding_at(parts, "about")->json && !encoding_at(parts, "about")->file);
    ck_assert(!encoding_at(parts, "note")->json && !encoding_at(parts, "note")->file);
    ck_assert(encoding_at(form, "name")->explode);
    ck_assert_uint_eq(list->response_count, 3);
    ck_assert_str_eq(list->responses[0].status, "200");
    ck_assert_uint_eq(list->responses[0].least, 200);
    ck_assert_uint_eq(list->responses[0].most, 200);
    ck_assert_uint_eq(list->responses[1].least, 400);
    ck_assert_uint_eq(list->responses[1].most, 499);
    ck_assert_uint_eq(list->responses[2].most, 999);
    ck_assert_ptr_eq(list->responses[1].contents.items[0].schema,
                     list->responses[2].contents.items[0].schema);
    openapi_free(openapi);
    end();
}
END_TEST

START_TEST(security_is_read)
{
    begin();
    struct openapi *openapi = openapi_read(GOOD "/pets.yaml", &findings);
    const struct openapi_operation *list = operation_at(openapi, "listPets"),
                                   *add = operation_at(openapi, "addPet"),
                                   *show = operation_at(openapi, "showPet");
    ck_assert_uint_eq(openapi->scheme_count, 3);
    ck_assert_uint_eq(add->security_count, 1);
    ck_assert_uint_eq(add->security[0].count, 1);
    ck_assert_str_eq(add->security[0].items[0].scheme->name, "key");
    ck_assert_int_eq(add->security[0].items[0].scheme->type, OPENAPI_API_KEY);
    ck_assert_int_eq(add->security[0].items[0].scheme->place, OPENAPI_HEADER);
    ck_assert_str_eq(add->security[0].items[0].scheme->parameter, "X-Key");
    ck_assert_uint_eq(list->security_count, 0);
    ck_assert_uint_eq(show->security_count, 3);
    ck_assert_uint_eq(show->security[0].count, 2);
    ck_assert_str_eq(show->security[0].items[0].scheme->scheme, "bearer");
    ck_assert_int_eq(show->security[1].items[0].scheme->type, OPENAPI_OAUTH2);
    ck_assert_uint_eq(show->security[1].items[0].scopes.count, 2);
    ck_assert(text_equal(show->security[1].items[0].scopes.items[1], TEXT("write")));
    ck_assert_uint_eq(show->security[2].count, 0);
    openapi_free(openapi);
    end();
}
END_TEST

/* Files that refer to each other, and back to the root. */
START_TEST(references_lead_to_other_files)
{
    static const char good[] = "{\"name\": \"Rex\", \"friends\": [{\"name\": \"Tom\", \"friends\": []}]}",
                      bad[] = "{\"name\": \"Rex\", \"friends\": [{\"name\": 1}]}";
    begin();
    struct openapi *openapi = openapi_read(GOOD "/split.json", &findings);
    ck_assert_ptr_nonnull(openapi);
    const struct openapi_operation *add = operation_at(openapi, "addPet");
    const struct openapi_schema *schema = content_at(&add->body, "application/json")->schema;
    ck_assert_str_eq(openapi_schema_position(schema).file, GOOD "/pets/pet.yaml");
    ck_assert(fits(openapi, schema, (struct openapi_view){0}, good));
    ck_assert(!fits(openapi, schema, (struct openapi_view){0}, bad));
    ck_assert_str_eq(add->parameters[0].position.file, GOOD "/pets/common.yaml");
    openapi_free(openapi);
    end();
}
END_TEST

/* ---- servers */

START_TEST(servers_give_a_base)
{
    static const struct {
        const char *servers, *base;
    } cases[] = {
        {"[]", ""},
        {"[{url: /}]", ""},
        {"[{url: /v1/}]", "/v1"},
        {"[{url: v1}]", "/v1"},
        {"[{url: 'https://api.example.com'}]", ""},
        {"[{url: 'https://api.example.com/a/b?c=/d#/e'}]", "/a/b"},
        {"[{url: 'https://{host}/{base}/x', variables: {host: {default: a.b}, base: {default: v2}}}]",
         "/v2/x"},
        {"[{url: '//example.com/v3'}]", "/v3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *document;
        ck_assert_int_gt(
            asprintf(&document, "{openapi: 3.1.0, servers: %s, paths: {/a: {get: {}}}}", cases[i].servers),
            0);
        begin();
        struct openapi *openapi = parse_good(document);
        ck_assert_str_eq(openapi->operations[0].base, cases[i].base);
        openapi_free(openapi);
        end();
        free(document);
    }
}
END_TEST

/* ---- schemas */

struct judged {
    const char *version, *schemas; /* of which T is the one that is judged */
    struct openapi_view view;
    const char *instance;
    bool valid;
};

static void judge(const struct judged *judged)
{
    char *document;
    ck_assert_int_gt(
        asprintf(&document,
                 "{openapi: %s, paths: {/a: {post: {requestBody: {content: {application/json: {schema: "
                 "{$ref: '#/components/schemas/T'}}}}, responses: {'200': {content: {application/json: "
                 "{schema: {$ref: '#/components/schemas/T'}}}}}}}}, components: {schemas: {%s}}}",
                 judged->version, judged->schemas),
        0);
    begin();
    struct openapi *openapi = parse_good(document);
    const struct openapi_operation *operation = &openapi->operations[0];
    ck_assert_ptr_eq(operation->body.items[0].schema, operation->responses[0].contents.items[0].schema);
    ck_assert_msg(
        fits(openapi, operation->body.items[0].schema, judged->view, judged->instance) == judged->valid,
        "%s, %s%s: %s is %s", judged->schemas, judged->view.response ? "response" : "request",
        judged->view.closed ? ", closed" : "", judged->instance, judged->valid ? "refused" : "admitted");
    openapi_free(openapi);
    end();
    free(document);
}

#define OLD "3.0.3"
#define NEW "3.1.0"
#define REQUEST                                                                                              \
    {                                                                                                        \
        .response = false                                                                                    \
    }
#define RESPONSE                                                                                             \
    {                                                                                                        \
        .response = true                                                                                     \
    }
#define CLOSED                                                                                               \
    {                                                                                                        \
        .closed = true                                                                                       \
    }

static const struct judged keywords[] = {
    {OLD, "T: {type: string, nullable: true}", REQUEST, "null", true},
    {OLD, "T: {type: string}", REQUEST, "null", false},
    {OLD, "T: {nullable: true, allOf: [{type: string}]}", REQUEST, "null", false},
    {OLD, "T: {type: string, nullable: true, enum: [a, null]}", REQUEST, "null", true},
    {OLD, "T: {type: string, nullable: true, enum: [a]}", REQUEST, "null", false},
    {NEW, "T: {type: [string, 'null']}", REQUEST, "null", true},
    {NEW, "T: {type: string, nullable: true}", REQUEST, "null", false},
    {OLD, "T: {minimum: 1, exclusiveMinimum: true}", REQUEST, "1", false},
    {OLD, "T: {minimum: 1, exclusiveMinimum: false}", REQUEST, "1", true},
    {OLD, "T: {minimum: 1, exclusiveMinimum: false}", REQUEST, "0", false},
    {OLD, "T: {maximum: 1, exclusiveMaximum: true}", REQUEST, "1", false},
    {OLD, "T: {maximum: 1, exclusiveMaximum: true}", REQUEST, "0", true},
    {NEW, "T: {exclusiveMinimum: 1}", REQUEST, "1", false},
    {OLD, "T: {type: integer, format: int32}", REQUEST, "2147483647", true},
    {OLD, "T: {type: integer, format: int32}", REQUEST, "2147483648", false},
    {OLD, "T: {type: integer, format: int32, minimum: 0}", REQUEST, "-1", false},
    {OLD, "T: {type: integer, format: int64}", REQUEST, "-9223372036854775808", true},
    {OLD, "T: {type: integer, format: int64}", REQUEST, "9223372036854775808", false},
    {OLD, "T: {type: number, format: float}", REQUEST, "3.4e38", true},
    {OLD, "T: {type: number, format: float}", REQUEST, "3.5e38", false},
    {OLD, "T: {type: number, format: double}", REQUEST, "1e300", true},
    {OLD, "T: {type: string, format: byte}", REQUEST, "\"aGk=\"", true},
    {OLD, "T: {type: string, format: byte}", REQUEST, "\"aGk\"", false},
    {OLD, "T: {type: string, format: byte}", REQUEST, "\"a=k=\"", false},
    {OLD, "T: {type: string, format: password}", REQUEST, "\"x\"", true},
    {OLD, "T: {type: string, format: date}", REQUEST, "\"x\"", false},
    {OLD, "T: {$ref: '#/components/schemas/S', maxLength: 1}, S: {type: string}", REQUEST, "\"ab\"", true},
    {NEW, "T: {$ref: '#/components/schemas/S', maxLength: 1}, S: {type: string}", REQUEST, "\"ab\"", false},
    {NEW, "T: {$ref: '#/components/schemas/S', maxLength: 1}, S: {type: string}", REQUEST, "1", false},
    {OLD, "T: {const: a}", REQUEST, "\"b\"", false},
    {NEW, "T: {prefixItems: [{type: string}], items: false}", REQUEST, "[\"a\"]", true},
    {NEW, "T: {prefixItems: [{type: string}], items: false}", REQUEST, "[\"a\", 1]", false},
    {NEW, "T: true", REQUEST, "1", true},
    {NEW, "T: false", REQUEST, "1", false},
    {OLD, "T: {enum: [0x10, +1, 007, .5, 'true', true, ~, 1.0]}", REQUEST, "16", true},
    {OLD, "T: {enum: [0x10, +1, 007, .5, 'true', true, ~, 1.0]}", REQUEST, "7", true},
    {OLD, "T: {enum: [0x10, +1, 007, .5, 'true', true, ~, 1.0]}", REQUEST, "0.5", true},
    {OLD, "T: {enum: [0x10, +1, 007, .5, 'true', true, ~, 1.0]}", REQUEST, "\"true\"", true},
    {OLD, "T: {enum: [0x10, +1, 007, .5, 'true', true, ~, 1.0]}", REQUEST, "null", true},
    {OLD, "T: {enum: [0x10, +1, 007, .5, 'true', true, ~, 1.0]}", REQUEST, "\"1\"", false},
    {OLD, "T: {type: object, properties: {a: {type: string}, n: {$ref: '#/components/schemas/T'}}}", REQUEST,
     "{\"n\": {\"n\": {\"a\": \"x\"}}}", true},
    {OLD, "T: {type: object, properties: {a: {type: string}, n: {$ref: '#/components/schemas/T'}}}", REQUEST,
     "{\"n\": {\"n\": {\"a\": 1}}}", false},
    {OLD, "T: {$ref: '#/components/schemas/a~1b%20~0'}, 'a/b ~': {type: string}", REQUEST, "1", false},
};

START_TEST(keywords_are_kept)
{
    judge(&keywords[_i]);
}
END_TEST

#define GUARDED                                                                                              \
    "T: {type: object, required: [id, pw, n], properties: {id: {type: integer, readOnly: true}, "            \
    "pw: {type: string, writeOnly: true}, n: {type: string}}}"
#define SPLIT                                                                                                \
    "T: {allOf: [{$ref: '#/components/schemas/B'}, {required: [id, n]}]}, B: {type: object, required: "      \
    "[id], "                                                                                                 \
    "properties: {id: {$ref: '#/components/schemas/I'}, n: {}}}, I: {type: integer, readOnly: true}"
#define FALSE_NOT                                                                                            \
    "T: {type: object, not: {required: [id], properties: {id: {type: integer, readOnly: true}}}}"

static const struct judged directions[] = {
    {OLD, GUARDED, REQUEST, "{\"n\": \"a\", \"pw\": \"b\"}", true},
    {OLD, GUARDED, REQUEST, "{\"n\": \"a\", \"pw\": \"b\", \"id\": 1}", false},
    {OLD, GUARDED, REQUEST, "{\"n\": \"a\"}", false},
    {OLD, GUARDED, RESPONSE, "{\"n\": \"a\", \"id\": 1}", true},
    {OLD, GUARDED, RESPONSE, "{\"n\": \"a\", \"id\": 1, \"pw\": \"b\"}", false},
    {OLD, GUARDED, RESPONSE, "{\"n\": \"a\"}", false},
    /* Required in one part of an allOf, readOnly in another, by a reference. */
    {OLD, SPLIT, REQUEST, "{\"n\": 1}", true},
    {OLD, SPLIT, REQUEST, "{\"n\": 1, \"id\": 1}", false},
    {OLD, SPLIT, REQUEST, "{}", false},
    {OLD, SPLIT, RESPONSE, "{\"n\": 1}", false},
    {OLD, SPLIT, RESPONSE, "{\"n\": 1, \"id\": 1}", true},
    {NEW,
     "T: {type: object, properties: {a: {$ref: '#/components/schemas/S', readOnly: true}}}, S: {type: "
     "string}",
     REQUEST, "{\"a\": \"x\"}", false},
    {NEW,
     "T: {type: object, properties: {a: {$ref: '#/components/schemas/S', readOnly: true}}}, S: {type: "
     "string}",
     RESPONSE, "{\"a\": \"x\"}", true},
    {OLD,
     "T: {type: object, properties: {a: {readOnly: true, allOf: [{$ref: '#/components/schemas/S'}]}}}, S: {}",
     REQUEST, "{\"a\": \"x\"}", false},
    /* What asks is not changed: it would let more through. */
    {OLD, FALSE_NOT, REQUEST, "{\"id\": 1}", false},
};

START_TEST(directions_differ)
{
    judge(&directions[_i]);
}
END_TEST

#define NESTED "T: {type: object, properties: {a: {type: object, properties: {b: {}}}}}"
#define PARTS                                                                                                \
    "T: {allOf: [{$ref: '#/components/schemas/B'}, {type: object, properties: {c: {}}}]}, "                  \
    "B: {type: object, properties: {b: {}}}"
#define EITHER                                                                                               \
    "T: {type: object, properties: {k: {}}, oneOf: [{type: object, required: [b], properties: {b: {}}}, "    \
    "{type: object, required: [c], properties: {c: {}}}]}"

static const struct judged closings[] = {
    {OLD, NESTED, CLOSED, "{\"a\": {\"b\": 1}}", true},
    {OLD, NESTED, CLOSED, "{\"a\": {\"b\": 1}, \"x\": 1}", false},
    {OLD, NESTED, CLOSED, "{\"a\": {\"b\": 1, \"x\": 1}}", false},
    {OLD, NESTED, REQUEST, "{\"a\": {\"b\": 1, \"x\": 1}}", true},
    {OLD, PARTS, CLOSED, "{\"b\": 1, \"c\": 1}", true},
    {OLD, PARTS, CLOSED, "{\"b\": 1, \"c\": 1, \"d\": 1}", false},
    {OLD, EITHER, CLOSED, "{\"b\": 1, \"k\": 1}", true},
    {OLD, EITHER, CLOSED, "{\"b\": 1, \"x\": 1}", false},
    {OLD, EITHER, CLOSED, "{\"b\": 1, \"c\": 1}", false},
    {OLD, "T: {type: object}", CLOSED, "{\"x\": 1}", true},
    {OLD, "T: {type: object, additionalProperties: true, properties: {a: {}}}", CLOSED, "{\"x\": 1}", true},
    {OLD, "T: {type: object, additionalProperties: {type: integer}, properties: {a: {}}}", CLOSED,
     "{\"x\": \"1\"}", false},
    {OLD, "T: {type: array, items: {type: object, properties: {a: {}}}}", CLOSED, "[{\"a\": 1}, {\"x\": 1}]",
     false},
    {OLD, "T: {type: object, properties: {n: {$ref: '#/components/schemas/T'}}}", CLOSED,
     "{\"n\": {\"n\": {\"x\": 1}}}", false},
    {NEW, "T: {$ref: '#/components/schemas/S', properties: {a: {}}}, S: {type: object, properties: {b: {}}}",
     CLOSED, "{\"a\": 1, \"b\": 1}", true},
    {NEW, "T: {$ref: '#/components/schemas/S', properties: {a: {}}}, S: {type: object, properties: {b: {}}}",
     CLOSED, "{\"a\": 1, \"x\": 1}", false},
    {NEW, "T: {type: object, properties: {a: {}}, if: {required: [a]}, then: {properties: {b: {}}}}", CLOSED,
     "{\"a\": 1, \"b\": 1}", true},
    {NEW, "T: {type: object, properties: {a: {}}, if: {required: [a]}, then: {properties: {b: {}}}}", CLOSED,
     "{\"b\": 1}", false},
    /* Closing what is under `not` would let more through. */
    {OLD, "T: {type: object, properties: {a: {}, b: {}}, not: {required: [a], properties: {a: {}}}}", CLOSED,
     "{\"a\": 1, \"b\": 1}", false},
};

START_TEST(objects_are_closed)
{
    judge(&closings[_i]);
}
END_TEST

#define BRANCHES                                                                                             \
    "Cat: {type: object, required: [kind, claws], properties: {kind: {type: string}, claws: {type: "         \
    "integer}}}, "                                                                                           \
    "Dog: {type: object, required: [kind], properties: {kind: {type: string}, bark: {type: string}}}"
#define BY_NAME                                                                                              \
    "T: {oneOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}], discriminator: "   \
    "{propertyName: kind}}, " BRANCHES
#define BY_MAPPING                                                                                           \
    "T: {anyOf: [{$ref: '#/components/schemas/Cat'}, {$ref: '#/components/schemas/Dog'}], discriminator: "   \
    "{propertyName: kind, mapping: {tom: Cat, felix: '#/components/schemas/Cat'}}}, " BRANCHES
#define FAMILY                                                                                               \
    "T: {type: object, required: [kind], properties: {kind: {type: string}}, discriminator: {propertyName: " \
    "kind}}, "                                                                                               \
    "Cat: {allOf: [{$ref: '#/components/schemas/T'}, {type: object, required: [claws], properties: {claws: " \
    "{type: integer}}}]}, Lion: {allOf: [{$ref: '#/components/schemas/Cat'}, {properties: {mane: {}}}]}"
#define OR_NULL                                                                                              \
    "T: {oneOf: [{$ref: '#/components/schemas/Cat'}, {type: 'null'}], discriminator: {propertyName: "        \
    "kind}}, " BRANCHES

#define OR_LIST                                                                                              \
    "T: {oneOf: [{$ref: '#/components/schemas/Cats'}, {$ref: '#/components/schemas/Cat'}], discriminator: "  \
    "{propertyName: kind}}, Cats: {type: array, items: {$ref: '#/components/schemas/Cat'}}, " BRANCHES

static const struct judged selections[] = {
    {OLD, BY_NAME, REQUEST, "{\"kind\": \"Cat\", \"claws\": 1}", true},
    {OLD, BY_NAME, REQUEST, "{\"kind\": \"Cat\", \"bark\": \"x\"}", false},
    {OLD, BY_NAME, REQUEST, "{\"kind\": \"Dog\", \"bark\": \"x\"}", true},
    {OLD, BY_NAME, REQUEST, "{\"kind\": \"Cow\", \"claws\": 1}", false},
    {OLD, BY_NAME, REQUEST, "{\"claws\": 1}", false},
    {OLD, BY_NAME, REQUEST, "[]", false},
    {OLD, BY_NAME, CLOSED, "{\"kind\": \"Dog\", \"bark\": \"x\"}", true},
    {OLD, BY_NAME, CLOSED, "{\"kind\": \"Dog\", \"claws\": 1}", false},
    {OLD, BY_MAPPING, REQUEST, "{\"kind\": \"tom\", \"claws\": 1}", true},
    {OLD, BY_MAPPING, REQUEST, "{\"kind\": \"felix\", \"claws\": 1}", true},
    {OLD, BY_MAPPING, REQUEST, "{\"kind\": \"tom\"}", false},
    {OLD, BY_MAPPING, REQUEST, "{\"kind\": \"Cat\", \"claws\": 1}", false},
    {OLD, BY_MAPPING, REQUEST, "{\"kind\": \"Dog\"}", true},
    {OLD, FAMILY, REQUEST, "{\"kind\": \"Cat\", \"claws\": 1}", true},
    {OLD, FAMILY, REQUEST, "{\"kind\": \"Cat\"}", false},
    {OLD, FAMILY, REQUEST, "{\"kind\": \"Lion\", \"claws\": 1, \"mane\": 1}", true},
    {OLD, FAMILY, REQUEST, "{\"kind\": \"Lion\", \"mane\": 1}", false},
    {OLD, FAMILY, REQUEST, "{\"kind\": \"T\"}", true},
    {OLD, FAMILY, REQUEST, "{\"kind\": \"Cow\"}", false},
    {OLD, FAMILY, CLOSED, "{\"kind\": \"Lion\", \"claws\": 1, \"mane\": 1}", true},
    {OLD, FAMILY, CLOSED, "{\"kind\": \"Cat\", \"claws\": 1, \"mane\": 1}", false},
    {NEW, OR_NULL, REQUEST, "null", true},
    {NEW, OR_NULL, REQUEST, "{\"kind\": \"Cat\", \"claws\": 1}", true},
    {NEW, OR_NULL, REQUEST, "{\"kind\": \"Dog\"}", false},
    {NEW, OR_NULL, REQUEST, "[]", false},
    {OLD, OR_LIST, REQUEST, "[{\"kind\": \"Cat\", \"claws\": 1}]", true},
    {OLD, OR_LIST, REQUEST, "[{\"kind\": \"Cat\"}]", false},
    {OLD, OR_LIST, REQUEST, "{\"kind\": \"Cat\", \"claws\": 1}", true},
    {OLD, OR_LIST, REQUEST, "{\"kind\": \"Cats\"}", false},
    {OLD, OR_LIST, CLOSED, "{\"kind\": \"Cat\", \"claws\": 1, \"x\": 1}", false},
    {OLD, OR_LIST, REQUEST, "1", false},
};

START_TEST(discriminators_select)
{
    judge(&selections[_i]);
}
END_TEST

START_TEST(members_become_an_object)
{
    struct error error = {0};
    begin();
    struct openapi *openapi = openapi_read(GOOD "/pets.yaml", &findings);
    const struct openapi_operation *list = operation_at(openapi, "listPets");
    const struct openapi_member members[] = {{"limit", parameter_at(list, "limit")->schema, false},
                                             {"tags", parameter_at(list, "tags")->schema, true},
                                             {"any", NULL, false}};
    static const struct {
        const char *instance;
        bool others, valid;
    } cases[] = {
        {"{\"tags\": [\"a\"], \"limit\": 1, \"any\": {}}", false, true},
        {"{\"limit\": 1}", false, false},
        {"{\"tags\": [\"a\"], \"limit\": 101}", false, false},
        {"{\"tags\": [\"a\"], \"x\": 1}", false, false},
        {"{\"tags\": [\"a\"], \"x\": 1}", true, true},
        {"[]", true, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value =
            openapi_members(openapi, members, 3, cases[i].others, (struct openapi_view){0}, &error);
        ck_assert_msg(value_fits(value, cases[i].instance) == cases[i].valid, "%s", cases[i].instance);
    }
    openapi_free(openapi);
    end();
}
END_TEST

/* ---- limits */

/* A chain of schemas by `format`, whose "%d"s are the number of one and of the next. */
static char *chain(const char *format, int count)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    fputs("openapi: 3.0.0\npaths: {/a: {post: {requestBody: {content: {application/json: {schema: {$ref: "
          "'#/components/schemas/S0'}}}}}}}\ncomponents:\n  schemas:\n",
          stream);
    for (int i = 0; i < count; i++)
        fprintf(stream, format, i, i + 1, i + 1);
    fprintf(stream, "    S%d: {type: string}\n", count);
    fclose(stream);
    return text;
}

static void check_refusal(const char *content, const char *words)
{
    begin();
    struct openapi *openapi = parse(content);
    char *found = printed(FINDING_ERROR, "");
    ck_assert_ptr_null(openapi);
    ck_assert_msg(strstr(found, words) != NULL, "%s instead of %s", found, words);
    free(found);
    end();
}

START_TEST(limits_are_told)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    fputs("openapi: 3.0.0\npaths:\n", stream);
    for (int i = 0; i <= OPENAPI_OPERATIONS_LIMIT; i++)
        fprintf(stream, "  /a/%d: {get: {}}\n", i);
    fclose(stream);
    check_refusal(text, "there are more than 5000 operations");
    free(text);
}
END_TEST

/* Long ways from schema to schema neither take the stack nor grow by branching. */
START_TEST(long_chains_are_bounded)
{
    begin();
    char *properties =
        chain("    S%d: {type: object, properties: {a: {$ref: '#/components/schemas/S%d'}}}\n", 3000);
    struct openapi *openapi = parse_good(properties);
    const struct openapi_schema *schema = openapi->operations[0].body.items[0].schema;
    ck_assert(fits(openapi, schema, (struct openapi_view){.closed = true}, "{\"a\": {\"a\": {}}}"));
    ck_assert(!fits(openapi, schema, (struct openapi_view){.closed = true}, "{\"a\": {\"a\": {\"b\": 1}}}"));
    openapi_free(openapi);
    free(properties);
    end();
    char *parts = chain("    S%d: {allOf: [{$ref: '#/components/schemas/S%d'}]}\n", 60000);
    check_refusal(parts, "is made of too many schemas that are made of each other");
    free(parts);
    char *references = chain("    S%d: {$ref: '#/components/schemas/S%d'}\n", 3000);
    check_refusal(references, "the reference leads to itself");
    free(references);
    begin();
    char *doubled = chain(
        "    S%d: {allOf: [{$ref: '#/components/schemas/S%d'}, {$ref: '#/components/schemas/S%d'}]}\n", 40);
    openapi = parse_good(doubled);
    json_t *value = openapi_schema(openapi, openapi->operations[0].body.items[0].schema,
                                   (struct openapi_view){.closed = true}, &(struct error){0});
    ck_assert_ptr_nonnull(value);
    ck_assert_uint_eq(json_object_size(json_object_get(value, "$defs")), 40);
    json_decref(value);
    openapi_free(openapi);
    free(doubled);
    end();
}
END_TEST

START_TEST(large_schemas_are_refused)
{
    char *text = NULL;
    size_t size = 0;
    struct error error = {0};
    FILE *stream = open_memstream(&text, &size);
    fputs("openapi: 3.0.0\npaths: {/a: {post: {requestBody: {content: {application/json: {schema: {enum: [",
          stream);
    for (int i = 0; i < OPENAPI_SCHEMA_LIMIT; i++)
        fputs("0,", stream);
    fputs("]}}}}}}}\n", stream);
    fclose(stream);
    begin();
    struct openapi *openapi = parse_good(text);
    ck_assert_ptr_null(openapi_schema(openapi, openapi->operations[0].body.items[0].schema,
                                      (struct openapi_view){0}, &error));
    ck_assert_str_eq(error.message, "the schema and all that it refers to are more than 200000 values");
    openapi_free(openapi);
    end();
    free(text);
}
END_TEST

/* A byte is changed here and there: it is read, or refused with words. */
START_TEST(mutations_are_survived)
{
    static const char bytes[] = "{}[]:,'\"#&*-$/~%x0\n \x80";
    char *content = calloc(1, FILE_LIMIT);
    FILE *stream = fopen(GOOD "/pets.yaml", "re");
    ck_assert_ptr_nonnull(stream);
    size_t length = fread(content, 1, FILE_LIMIT - 1, stream);
    fclose(stream);
    uint64_t random = 7;
    for (int i = 0; i < MUTATIONS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t at = (size_t)(random >> 33) % length;
        char before = content[at];
        content[at] = bytes[(random >> 20) % (sizeof bytes - 1)];
        begin();
        struct openapi *openapi =
            openapi_parse((struct text){content, length}, "/no/api.yaml", false, &findings);
        ck_assert(!openapi == (findings.errors > 0));
        openapi_free(openapi);
        end();
        content[at] = before;
    }
    free(content);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("openapi");
    TCase *tests = tcase_create("openapi");
    tcase_add_test(tests, bad_files_are_explained);
    tcase_add_test(tests, links_that_lead_out_are_refused);
    tcase_add_test(tests, good_files_are_advised_on);
    tcase_add_test(tests, missing_file_is_a_finding);
    tcase_add_test(tests, operations_are_read);
    tcase_add_test(tests, parameters_are_read);
    tcase_add_test(tests, contents_are_read);
    tcase_add_test(tests, security_is_read);
    tcase_add_test(tests, references_lead_to_other_files);
    tcase_add_test(tests, servers_give_a_base);
    tcase_add_loop_test(tests, keywords_are_kept, 0, COUNT(keywords));
    tcase_add_loop_test(tests, directions_differ, 0, COUNT(directions));
    tcase_add_loop_test(tests, objects_are_closed, 0, COUNT(closings));
    tcase_add_loop_test(tests, discriminators_select, 0, COUNT(selections));
    tcase_add_test(tests, members_become_an_object);
    tcase_add_test(tests, limits_are_told);
    tcase_add_test(tests, long_chains_are_bounded);
    tcase_add_test(tests, large_schemas_are_refused);
    tcase_add_test(tests, mutations_are_survived);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
