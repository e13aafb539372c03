/*
 * The format of test files: its tables, and the values that have a notation of
 * their own.
 */
#include "config.h"

#include "cli/test_file.h"

#include <limits.h>
#include <stdlib.h>

#include "base/clock.h"
#include "data/file.h"
#include "data/openapi.h"
#include "http/address.h"

enum { BODY_LIMIT = 64 << 20 };

#define AFTER_MOST (10 * 365 * UINT64_C(86400000))

#define OWN(struct_, member_, key_, own_, expects_, help_)                                                   \
    {                                                                                                        \
        FIELD(FIELD_OWN, struct_, member_, key_), .own = (own_), .expects = (expects_), .help = (help_)      \
    }

static bool refuse(struct decoder *decoder, const struct node *node, const char *expected)
{
    if (node->kind != NODE_SCALAR)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected %s", expected);
    return findings_add(decoder->findings, FINDING_ERROR, node, "\"%.*s\" does not fit, expected %s",
                        TEXT_ARGUMENTS(node->text), expected);
}

/* ---- bodies */

static bool decode_body(struct decoder *decoder, const struct node *node, void *member)
{
    struct test_content *content = member;
    if (node->kind != NODE_SCALAR)
        return refuse(decoder, node, "a text");
    content->text = node->text;
    return true;
}

static bool decode_body_file(struct decoder *decoder, const struct node *node, void *member)
{
    return decode_file(decoder, node, BODY_LIMIT, &((struct test_content *)member)->text);
}

static bool decode_json(struct decoder *decoder, const struct node *node, void *member)
{
    json_t *value = openapi_value(node);
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text)
        abort(); /* as an arena would */
    *(struct test_content *)member =
        (struct test_content){{arena_copy(decoder->arena, text, strlen(text)), strlen(text)}, true};
    free(text);
    json_decref(value);
    return true;
}

#define BODY_FIELDS(struct_, whose_)                                                                         \
    OWN(struct_, content, "body", decode_body, "a text", whose_ " body"),                                    \
        OWN(struct_, content, "body_file", decode_body_file, "a file's path",                                \
            "a file that is the body, relative to this one"),                                                \
        OWN(struct_, content, "json", decode_json, "any value", "a value that is the body, as JSON")

/* ---- expectations */

static const char status_expected[] = "pass, a status, a code, or a status and a code";

static bool decode_status(struct decoder *decoder, const struct node *node, void *member)
{
    struct expectation *expectation =
        (struct expectation *)((char *)member - offsetof(struct expectation, pass));
    struct text rest = node->text, word;
    size_t words = 0;
    bool good = node->kind == NODE_SCALAR && rest.length > 0;
    while (good && text_next(&rest, ' ', &word)) {
        bool number = word.length > 0 && word.at[0] >= '0' && word.at[0] <= '9';
        if (number)
            good = words == 0 && text_number(word, 599, &expectation->status) && expectation->status >= 200;
        else if (text_equal(word, TEXT("pass")))
            good = words == 0 && rest.length == 0 && (expectation->pass = true);
        else
            good = word.length > 0 && rest.length == 0 &&
                   (expectation->code = arena_copy(decoder->arena, word.at, word.length)) != NULL;
        words++;
    }
    return good || refuse(decoder, node, status_expected);
}

static const struct field expect_fields[] = {
    OWN(expectation, pass, "status", decode_status, status_expected,
        "pass (it is handed over), the status, the code, or both"),
    {FIELD(FIELD_TEXT, expectation, code, "code"), .help = "the code of the refusal"},
    {FIELD(FIELD_TEXT, expectation, guard, "guard"), .help = "who refuses: a guard, request, path, route"},
    {FIELD(FIELD_TEXT, expectation, route, "route"), .help = "the path of the route, as in the policy"},
    {FIELD(FIELD_TEXT, expectation, handler, "handler"), .help = "what it is handed over to"},
    {FIELD(FIELD_TEXT, expectation, caller, "caller"), .help = "who is calling"},
    {FIELD(FIELD_PAIRS, expectation, headers, "headers"), .help = "headers of the reply, with their values"},
    {FIELD(FIELD_TEXTS, expectation, present, "present"), .help = "headers that the reply has"},
    {FIELD(FIELD_TEXTS, expectation, absent, "absent"), .help = "headers that the reply has not"},
    {FIELD(FIELD_TEXTS, expectation, contains, "contains"), .help = "texts that are in the reply's body"},
    {FIELD(FIELD_TEXTS, expectation, lacks, "lacks"), .help = "texts that are not in the reply's body"},
    {FIELD(FIELD_TEXTS, expectation, reports, "reports"), .help = "codes that guards only report"},
    {0},
};
static const struct section expect_section = {sizeof(struct expectation), expect_fields};

/* ---- who calls, and what is answered */

static bool decode_claims(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind != NODE_MAP)
        return refuse(decoder, node, "a map of claims");
    *(const struct node **)member = node;
    return true;
}

static const struct field caller_fields[] = {
    {FIELD(FIELD_TEXT, test_caller, name, "name"), .required = true, .help = "the caller's name"},
    {FIELD(FIELD_TEXT, test_caller, method, "method"),
     .help = "the name of the way in the policy's auth, where there is more than one"},
    {FIELD(FIELD_CHOICE, test_caller, place, "place"), .fallback = "first",
     .choices = "first|header|cookie|query|basic",
     .help = "where his credential stands: in the first place of the way, or in that"},
    {FIELD(FIELD_TEXTS, test_caller, roles, "roles"), .help = "roles of the caller"},
    {FIELD(FIELD_TEXTS, test_caller, scopes, "scopes"), .help = "scopes of the caller"},
    OWN(test_caller, claims, "claims", decode_claims, "a map of claims", "further claims of the caller"),
    {0},
};
static const struct section caller_section = {sizeof(struct test_caller), caller_fields};

static const struct field reply_fields[] = {
    {FIELD(FIELD_NUMBER, test_reply, status, "status"), .fallback = "200", .least = 200, .most = 599,
     .help = "the handler's status"},
    {FIELD(FIELD_PAIRS, test_reply, headers, "headers"), .help = "the handler's headers"},
    BODY_FIELDS(test_reply, "the handler's"),
    {0},
};
static const struct section reply_section = {sizeof(struct test_reply), reply_fields};

/* ---- cases */

static bool decode_request(struct decoder *decoder, const struct node *node, void *member)
{
    struct test_case *test = (struct test_case *)((char *)member - offsetof(struct test_case, method));
    size_t blank = node->kind == NODE_SCALAR ? text_find(node->text, ' ') : 0;
    if (node->kind != NODE_SCALAR || blank == 0 || blank + 1 >= node->text.length)
        return refuse(decoder, node, "a method and a path, such as GET /api/users?page=2");
    test->method = arena_copy(decoder->arena, node->text.at, blank);
    test->target = node->text.at + blank + 1;
    return true;
}

static bool decode_address(struct decoder *decoder, const struct node *node, void *member)
{
    struct address address;
    if (node->kind != NODE_SCALAR || !address_parse(node->text, &address))
        return refuse(decoder, node, "an address");
    *(const char **)member = node->text.at;
    return true;
}

static bool decode_time(struct decoder *decoder, const struct node *node, void *member)
{
    int64_t seconds;
    if (node->kind != NODE_SCALAR || !clock_parse_utc(node->text, &seconds))
        return refuse(decoder, node, "a time in UTC, such as 2027-01-31T12:00:00Z");
    *(int64_t *)member = seconds * 1000;
    return true;
}

#define REQUEST_FIELDS                                                                                       \
    {FIELD(FIELD_TEXT, test_case, host, "host"), .help = "the header Host"},                                 \
        {FIELD(FIELD_BOOL, test_case, https, "https"), .help = "whether it comes by HTTPS"},                 \
        OWN(test_case, address, "address", decode_address, "an address", "where it comes from"),             \
        {FIELD(FIELD_PAIRS, test_case, headers, "headers"), .help = "headers of the request"},               \
        {FIELD(FIELD_PAIRS, test_case, parameters, "parameters"),                                            \
         .help = "parameters of the web server that are no headers, as ORIGINAL_URI"},                       \
        OWN(test_case, at, "at", decode_time, "a time in UTC, such as 2027-01-31T12:00:00Z",                 \
            "when it comes; now where nothing is said")

static const struct field defaults_fields[] = {REQUEST_FIELDS, {0}};
static const struct section defaults_section = {sizeof(struct test_case), defaults_fields};

static const struct field case_fields[] = {
    {FIELD(FIELD_OWN, test_case, method, "request"), .own = decode_request, .required = true,
     .expects = "a method and a path, such as GET /api/users?page=2",
     .help = "method and target of the request"},
    {FIELD(FIELD_TEXT, test_case, name, "name"), .help = "what is told when it fails"},
    REQUEST_FIELDS,
    {FIELD(FIELD_CHOICE, test_case, role, "role"), .fallback = "responder", .choices = "responder|authorizer",
     .help = "what the web server asks of it: an answer, or whether it may serve the request itself"},
    BODY_FIELDS(test_case, "the request's"),
    {FIELD(FIELD_SECTION, test_case, as, "as"), .section = &caller_section,
     .help = "who is calling, without a credential"},
    {FIELD(FIELD_SECTION, test_case, reply, "reply"), .section = &reply_section,
     .help = "what the handler answers"},
    {FIELD(FIELD_DURATION, test_case, after, "after"), .most = AFTER_MOST,
     .help = "it goes on where the case above has ended, so much later"},
    {FIELD(FIELD_NUMBER, test_case, repeat, "repeat"), .fallback = "1", .least = 1, .most = TEST_REPEAT_MOST,
     .help = "how often it is sent"},
    {FIELD(FIELD_SECTION, test_case, before, "before"), .section = &expect_section,
     .help = "what becomes of all but the last"},
    {FIELD(FIELD_SECTION, test_case, expect, "expect"), .section = &expect_section, .required = true,
     .help = "what becomes of it, or of the last"},
    {0},
};
static const struct section case_section = {sizeof(struct test_case), case_fields};

/* ---- the file */

struct top {
    const char *policy;
    struct test_case defaults;
    const struct node *cases;
};

static bool keep_list(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind != NODE_LIST || node->count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected a list of cases, at least one");
    *(const struct node **)member = node;
    return true;
}

static const struct field top_fields[] = {
    {FIELD(FIELD_FILE, top, policy, "policy"), .help = "the policy, relative to this file"},
    {FIELD(FIELD_SECTION, top, defaults, "defaults"), .section = &defaults_section,
     .help = "what requests have that do not say otherwise"},
    {FIELD(FIELD_OWN, top, cases, "cases"), .own = keep_list, .required = true, .section = &case_section,
     .expects = "a list of cases", .help = "requests, and what is expected of each"},
    {0},
};
const struct section test_file_section = {sizeof(struct top), top_fields};

static bool names_both(const struct node *node, const char *one, const char *other)
{
    return node_get(node, one) && node_get(node, other);
}

static bool has_header(const struct pairs *headers, struct text name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (text_equal_ignore_case(headers->items[i].name, name))
            return true;
    return false;
}

/* Those of the defaults whose names it has not. */
static struct pairs merge_headers(const struct pairs *defaults, const struct pairs *own, struct arena *arena)
{
    struct pairs merged = {arena_array(arena, defaults->count + own->count + 1, sizeof *merged.items), 0};
    for (size_t i = 0; i < defaults->count; i++)
        if (!has_header(own, defaults->items[i].name))
            merged.items[merged.count++] = defaults->items[i];
    for (size_t i = 0; i < own->count; i++)
        merged.items[merged.count++] = own->items[i];
    return merged;
}

static bool check_headers(struct decoder *decoder, const struct pairs *headers)
{
    bool good = true;
    for (size_t i = 0; i < headers->count; i++) {
        const struct pair *pair = &headers->items[i];
        if (!text_is_token(pair->name))
            good =
                findings_add_key(decoder->findings, FINDING_ERROR, pair->node, "this is no name of a header");
        for (size_t k = 0; k < i; k++)
            if (text_equal_ignore_case(headers->items[k].name, pair->name))
                good = findings_add_key(decoder->findings, FINDING_ERROR, pair->node,
                                        "this header stands here twice");
    }
    return good;
}

static bool check_host(struct decoder *decoder, const struct node *node, const struct pairs *headers)
{
    const struct node *host = node_get(node, "host");
    return !host || !has_header(headers, TEXT("host")) ||
           findings_add(decoder->findings, FINDING_ERROR, host, "the headers name a host, too");
}

static bool check_content(struct decoder *decoder, const struct node *node)
{
    if (!names_both(node, "body", "json") && !names_both(node, "body", "body_file") &&
        !names_both(node, "json", "body_file"))
        return true;
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "expected only one of body, body_file and json");
}

static bool check_expectation(struct decoder *decoder, struct expectation *expectation,
                              const struct node *node)
{
    expectation->node = node;
    if (!node)
        return true;
    if (node->kind == NODE_MAP && node->count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "nothing is expected, so it could not fail");
    const struct node *status = node_get(node, "status");
    bool has_code = status && (expectation->pass || text_find(status->text, ' ') < status->text.length ||
                               expectation->status == 0);
    if (has_code && node_get(node, "code"))
        return findings_add(decoder->findings, FINDING_ERROR, status, "expected a number beside `code`");
    if (expectation->pass && expectation->guard)
        return findings_add(decoder->findings, FINDING_ERROR, node, "nobody refuses what is handed over");
    return true;
}

static bool check_case(struct decoder *decoder, struct test_case *test, const struct test_case *above)
{
    const struct node *node = test->node, *after = node_get(node, "after");
    const struct node *before = node_get(node, "before");
    bool good = check_host(decoder, node, &test->headers);
    good = check_headers(decoder, &test->headers) && good;
    good = check_content(decoder, node) && good;
    good = check_expectation(decoder, &test->expect, node_get(node, "expect")) && good;
    good = check_expectation(decoder, &test->before, before) && good;
    if (test->reply.node)
        good =
            check_content(decoder, test->reply.node) && check_headers(decoder, &test->reply.headers) && good;
    if (after && !above)
        good = findings_add(decoder->findings, FINDING_ERROR, after, "there is no case above");
    if (after && node_get(node, "at"))
        good = findings_add(decoder->findings, FINDING_ERROR, after, "expected only one of at and after");
    if (before && test->repeat < 2)
        good = findings_add(decoder->findings, FINDING_ERROR, before,
                            "there is only one request, expected `repeat`");
    return good;
}

static bool read_case(struct decoder *decoder, const struct node *node, const struct top *top,
                      struct test_case *test, const struct test_case *above)
{
    if (node->kind != NODE_MAP)
        return refuse(decoder, node, "a map with request and expect");
    *test = top->defaults;
    test->headers = (struct pairs){0};
    test->node = node;
    if (!decode_section(decoder, &case_section, node, test))
        return false;
    test->as.node = node_get(node, "as");
    test->reply.node = node_get(node, "reply");
    test->goes_on = node_get(node, "after") != NULL;
    if (!test->name)
        test->name = node_get(node, "request")->text.at;
    if (!check_case(decoder, test, above))
        return false;
    if (has_header(&test->headers, TEXT("host")))
        test->host = NULL;
    test->headers = merge_headers(&top->defaults.headers, &test->headers, decoder->arena);
    return true;
}

static const char *folder_of(const char *file, struct arena *arena)
{
    char path[PATH_MAX];
    if (!realpath(file, path))
        return NULL;
    char *slash = strrchr(path, '/');
    return slash == path ? "/" : arena_copy(arena, path, (size_t)(slash - path));
}

bool test_file_read(struct test_file *tests, const char *file, struct arena *arena)
{
    *tests = (struct test_file){.findings = findings_new(arena, file)};
    struct decoder decoder = {.arena = arena, .findings = &tests->findings, .folder = folder_of(file, arena)};
    struct top top = {.defaults.address = "127.0.0.1"};
    const struct node *root = file_read(file, &tests->findings);
    if (!root || !decoder.folder)
        return false;
    if (root->kind != NODE_MAP)
        return refuse(&decoder, root, "a map with policy and cases");
    bool good = decode_section(&decoder, &test_file_section, root, &top);
    const struct node *defaults = node_get(root, "defaults");
    if (defaults && defaults->kind == NODE_MAP) {
        good = check_host(&decoder, defaults, &top.defaults.headers) && good;
        good = check_headers(&decoder, &top.defaults.headers) && good;
    }
    tests->policy = top.policy;
    tests->cases = arena_array(arena, top.cases ? top.cases->count : 0, sizeof *tests->cases);
    for (size_t i = 0; top.cases && i < top.cases->count; i++) {
        struct test_case *test = &tests->cases[tests->count++];
        good = read_case(&decoder, top.cases->items[i], &top, test, i > 0 ? test - 1 : NULL) && good;
    }
    return good;
}
