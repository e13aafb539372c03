/*
 * Tests of the policy: what loads, what is refused and in which words, how
 * defaults merge, which route a path finds and at what cost.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t router_steps;
#define ROUTER_COUNT() ((void)router_steps++)
/* Included, not linked, so that its steps can be counted. */
#include "base/bytes.h"
#include "data/file.h"
#include "data/merge.h"
#include "guard/csrf.h"
#include "policy/route.c"

enum { FILES_LIMIT = 128, FILE_LIMIT = 64 * 1024, MUTATIONS = 1000, RELOADS = 2000 };

#define GOOD TEST_FOLDER "/data/policies/good"
#define BAD  TEST_FOLDER "/data/policies/bad"

/* ---- help for the tests */

struct files {
    char *names[FILES_LIMIT];
    size_t count;
};

static int by_name(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

/* The policies of a folder, sorted. */
static struct files list_files(const char *folder)
{
    struct files files = {.count = 0};
    DIR *stream = opendir(folder);
    ck_assert_ptr_nonnull(stream);
    for (struct dirent *entry; (entry = readdir(stream));) {
        struct text name = text_of(entry->d_name);
        if (!text_ends_with(name, TEXT(".yaml")) && !text_ends_with(name, TEXT(".json")))
            continue;
        ck_assert_uint_lt(files.count, FILES_LIMIT);
        ck_assert_int_gt(asprintf(&files.names[files.count++], "%s/%s", folder, entry->d_name), 0);
    }
    closedir(stream);
    qsort(files.names, files.count, sizeof *files.names, by_name);
    return files;
}

static void free_files(struct files *files)
{
    while (files->count)
        free(files->names[--files->count]);
}

static char *read_whole(const char *file, size_t *length)
{
    FILE *stream = fopen(file, "re");
    ck_assert_msg(stream != NULL, "cannot read %s", file);
    char *content = malloc(FILE_LIMIT);
    *length = fread(content, 1, FILE_LIMIT - 1, stream);
    content[*length] = '\0';
    fclose(stream);
    return content;
}

/* The errors as findings_print() writes them; the caller frees. */
static char *printed(const struct policy *policy, enum finding_kind kind)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    findings_print(&policy->findings, kind, stream);
    fclose(stream);
    return text;
}

static struct policy *parse(const char *content)
{
    struct error error = {0};
    struct policy *policy = policy_parse(text_of(content), "/policy.yaml", false, &error);
    ck_assert_msg(policy != NULL, "%s", error.message);
    return policy;
}

static struct policy *parse_good(const char *content)
{
    struct policy *policy = parse(content);
    char *errors = printed(policy, FINDING_ERROR);
    ck_assert_msg(policy->findings.errors == 0, "%s", errors);
    free(errors);
    return policy;
}

static const struct guard_rules *rules_of(const struct route *route, const char *name)
{
    for (size_t i = 0; guards[i]; i++)
        if (strcmp(guards[i]->name, name) == 0)
            return &route->guards[i];
    ck_abort_msg("there is no guard %s", name);
}

static const struct guard *guard_of(const char *name)
{
    for (size_t i = 0; guards[i]; i++)
        if (strcmp(guards[i]->name, name) == 0)
            return guards[i];
    ck_abort_msg("there is no guard %s", name);
}

/* The value of a header that a route sets, or NULL. */
static const char *header_of(const struct secure_headers *headers, const char *name)
{
    for (size_t i = 0; i < headers->set.count; i++)
        if (text_equal_ignore_case(headers->set.items[i].name, text_of(name)))
            return headers->set.items[i].value.at;
    return NULL;
}

static bool has_method(const struct route *route, const char *method)
{
    for (size_t i = 0; i < route->methods.count; i++)
        if (text_equal(route->methods.items[i], text_of(method)))
            return true;
    return false;
}

#define HEAD     "routes:\n  - path: /a\n    auth: none\n    exec: /usr/bin/true\n"
#define DEFAULTS "defaults: {auth: none, exec: /usr/bin/true}\nroutes:\n"

/* ---- files */

START_TEST(good_files_load)
{
    struct files files = list_files(GOOD);
    ck_assert_uint_gt(files.count, 5);
    for (size_t i = 0; i < files.count; i++) {
        struct error error = {0};
        struct policy *policy = policy_load(files.names[i], &error);
        ck_assert_msg(policy != NULL, "%s: %s", files.names[i], error.message);
        char *errors = printed(policy, FINDING_ERROR);
        ck_assert_msg(policy->findings.errors == 0, "%s", errors);
        ck_assert_uint_gt(policy->route_count, 0);
        free(errors);
        policy_free(policy);
    }
    free_files(&files);
}
END_TEST

/* Without the file's name in front of every line, and without the folder of other files. */
static void drop_name(char *text, const char *file)
{
    char *to = text;
    size_t length = strlen(file), folder = (size_t)(strrchr(file, '/') + 1 - file);
    for (char *line = text, *next; *line; line = next) {
        next = strchr(line, '\n');
        next = next ? next + 1 : line + strlen(line);
        char *from = line;
        if (strncmp(line, file, length) == 0 && line[length] == ':')
            from += length + 1;
        else if (strncmp(line, file, folder) == 0)
            from += folder;
        memmove(to, from, (size_t)(next - from));
        to += next - from;
    }
    *to = '\0';
}

START_TEST(bad_files_are_explained)
{
    struct files files = list_files(BAD);
    ck_assert_uint_gt(files.count, 15);
    for (size_t i = 0; i < files.count; i++) {
        struct error error = {0};
        char expected_file[PATH_MAX];
        size_t length;
        const char *dot = strrchr(files.names[i], '.');
        snprintf(expected_file, sizeof expected_file, "%.*s.expected", (int)(dot - files.names[i]),
                 files.names[i]);
        char *expected = read_whole(expected_file, &length);
        struct policy *policy = policy_load(files.names[i], &error);
        ck_assert_msg(policy != NULL, "%s: %s", files.names[i], error.message);
        char *errors = printed(policy, FINDING_ERROR);
        drop_name(errors, files.names[i]);
        ck_assert_uint_gt(policy->findings.errors, 0);
        ck_assert_msg(strcmp(errors, expected) == 0, "%s\n--- found\n%s--- expected\n%s", files.names[i],
                      errors, expected);
        free(errors);
        free(expected);
        policy_free(policy);
    }
    free_files(&files);
}
END_TEST

START_TEST(missing_file_is_a_finding)
{
    struct error error = {0};
    struct policy *policy = policy_load("/no-such-policy.yaml", &error);
    ck_assert_ptr_nonnull(policy);
    ck_assert_uint_gt(policy->findings.errors, 0);
    policy_free(policy);
    ck_assert_ptr_null(policy_load("/no/such/folder/policy.yaml", &error));
    ck_assert(error.set);
    policy_free(NULL);
}
END_TEST

/* For the leak checker, and for what may be kept between loads. */
START_TEST(loads_again_and_again)
{
    for (int i = 0; i < RELOADS; i++) {
        struct policy *policy = i % 2 ? parse_good(HEAD) : parse("routes: [{path: x, exce: 1}]");
        ck_assert_uint_eq(policy->program_count, i % 2 ? 1u : 0u);
        policy_free(policy);
    }
}
END_TEST

/* ---- values */

START_TEST(server_has_defaults)
{
    struct policy *policy = parse_good(HEAD);
    const struct server_rules *server = &policy->server;
    ck_assert_ptr_null(server->listen.address);
    ck_assert_uint_eq(server->request.head, 64 * 1024);
    ck_assert_uint_eq(server->request.headers, 100);
    ck_assert_uint_eq(server->request.header, 8 * 1024);
    ck_assert_uint_eq(server->request.target, 8 * 1024);
    ck_assert_uint_eq(server->request.proxies.count, 0);
    ck_assert_uint_eq(server->request.drop.count, 0);
    ck_assert_uint_eq(server->threads, 16);
    ck_assert_uint_eq(server->queue, 256);
    ck_assert_uint_eq(server->connections, 10000);
    ck_assert_uint_eq(server->timeouts.read, 30000);
    ck_assert_uint_eq(server->timeouts.write, 30000);
    ck_assert_uint_eq(server->timeouts.idle, 60000);
    ck_assert_uint_eq(server->timeouts.drain, 30000);
    ck_assert_str_eq(server->log.target, "stderr");
    ck_assert_int_eq(server->log.level, SEVERITY_INFO);
    ck_assert_ptr_null(server->store.place);
    ck_assert_ptr_null(server->user);
    ck_assert_ptr_null(server->group);
    ck_assert(server->sandbox);
    ck_assert_str_eq(server->spool, "/var/tmp");
    ck_assert_uint_eq(server->reply_spool, 64 << 20);
    ck_assert_str_eq(server->request_id_header, "X-Request-ID");
    policy_free(policy);
}
END_TEST

START_TEST(server_values_are_read)
{
    struct error error = {0};
    struct policy *policy = policy_load(GOOD "/full.yaml", &error);
    ck_assert_ptr_nonnull(policy);
    const struct server_rules *server = &policy->server;
    ck_assert_str_eq(server->listen.address, "unix:/run/fcgiguard/guard.sock");
    ck_assert_uint_eq(server->listen.backlog, 1024);
    ck_assert_uint_eq(server->listen.mode, 0660);
    ck_assert_str_eq(server->listen.owner, "root");
    ck_assert_uint_eq(server->request.proxies.count, 4);
    ck_assert_uint_eq(server->request.target, 2048);
    ck_assert_uint_eq(server->request.drop.count, 2);
    ck_assert(text_equal(server->request.drop.items[0], TEXT("x-internal")));
    ck_assert_uint_eq(server->timeouts.idle, 60000);
    ck_assert_uint_eq(server->timeouts.drain, 500);
    ck_assert_int_eq(server->log.level, SEVERITY_NOTICE);
    ck_assert_str_eq(server->request_id_header, "X-Correlation-ID");
    char folder[PATH_MAX], target[PATH_MAX + 32];
    ck_assert_ptr_nonnull(realpath(GOOD, folder));
    snprintf(target, sizeof target, "file:%s/guard.log", folder);
    ck_assert_str_eq(server->log.target, target);
    snprintf(target, sizeof target, "%s/guard.db", folder);
    ck_assert_str_eq(server->store.place, target);
    policy_free(policy);
}
END_TEST

START_TEST(stores_are_named_by_scheme)
{
    static const struct {
        const char *value, *words; /* NULL: it is good */
    } cases[] = {
        {"sqlite:/tmp/guard.db", NULL},
        {"sqlite:guard.db", NULL},
        {"sqlite:/guard.db", NULL},
        {"'sqlite:'", "expected sqlite:PATH"},
        {"sqlite:/tmp/", "expected sqlite:PATH"},
        {"/tmp/guard.db", "expected sqlite:PATH"},
        {"SQLITE:/tmp/guard.db", "expected sqlite:PATH"},
        {"mysql://localhost/guard", "\"mysql://localhost/guard\" does not fit, expected sqlite:PATH"},
        {"redis://localhost:6379/0", NULL},
        {"rediss://localhost?ca=/etc/ca.pem", NULL},
        {"redis+unix:///run/redis.sock?db=1", NULL},
        {"{url: 'redis://guard@localhost', password: 'env:PATH'}", NULL},
        {"redis://localhost:x", "expected a port from 1 to 65535 behind the host"},
        {"redis+unix://run/redis.sock", "expected /PATH of a unix socket"},
        {"redis://:secret@localhost",
         "a password is not written into the URL, expected it in `store.password`"},
        {"'redis://u:sec/ret@localhost'", "expected a port"},
        {"redi://u:secret@localhost", "store: expected sqlite:PATH"},
        {"redis://u@localhost", "the URL has a user, but there is no `store.password`"},
        {"\"\"", "expected sqlite:PATH"},
        {"~", "expected"},
        {"[sqlite:/tmp/a]", "expected sqlite:PATH"},
        {"{path: /tmp/a}", "expected sqlite:PATH"},
        {"sqlite:/nowhere/at/all/guard.db", "there is no folder /nowhere/at/all"},
        {"sqlite:/dev/null/guard.db", "there is no folder /dev/null"},
        {"sqlite:/tmp", "/tmp is not a regular file"},
        {"sqlite:/dev/null", "/dev/null is not a regular file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text, "store: %s\n" HEAD, cases[i].value);
        struct policy *policy = parse(text);
        char *errors = printed(policy, FINDING_ERROR);
        ck_assert_msg((policy->findings.errors == 0) == !cases[i].words, "%s: %s", cases[i].value, errors);
        ck_assert_msg(!cases[i].words || (strstr(errors, "1:8: store: ") && strstr(errors, cases[i].words)),
                      "%s: %s", cases[i].value, errors);
        ck_assert_msg(!strstr(errors, "secret") && !strstr(errors, "ret@"), "%s", errors);
        free(errors);
        policy_free(policy);
    }
}
END_TEST

/* What one store can count exactly, another may not. */
START_TEST(log_has_a_folder)
{
    struct policy *policy = parse("log: {target: file:/nowhere/at/all.log}\n" HEAD);
    char *errors = printed(policy, FINDING_ERROR);
    ck_assert_msg(strstr(errors, "1:15: log.target: there is no folder /nowhere/at\n"), "%s", errors);
    free(errors);
    policy_free(policy);
    policy_free(parse_good("log: file:/tmp/all.log\n" HEAD));
}
END_TEST

START_TEST(limits_must_fit_the_store)
{
    static const struct {
        const char *store, *words;
    } cases[] = {{"sqlite:/tmp/guard.db", NULL},
                 {"redis://localhost", "3:11: limits.long: a burst or delay this long"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "store: %s\nlimits:\n    long: {rate: 1/1d, algorithm: gcra, burst: 30000}\n" HEAD,
                 cases[i].store);
        struct policy *policy = parse(text);
        char *errors = printed(policy, FINDING_ERROR);
        ck_assert_msg((policy->findings.errors == 0) == !cases[i].words, "%s", errors);
        ck_assert_msg(!cases[i].words || strstr(errors, cases[i].words), "%s", errors);
        free(errors);
        policy_free(policy);
    }
}
END_TEST

START_TEST(route_has_defaults)
{
    struct policy *policy = parse_good(HEAD);
    const struct route *route = &policy->routes[0];
    ck_assert_uint_eq(policy->route_count, 1);
    ck_assert_str_eq(route->path, "/a");
    ck_assert_uint_eq(route->methods.count, 3);
    ck_assert(has_method(route, "GET") && has_method(route, "HEAD") && has_method(route, "POST"));
    ck_assert(!route->report_only && !route->pass_errors);
    ck_assert_uint_gt(route->headers.set.count, 0);
    ck_assert_uint_eq(policy->headers.set.count, route->headers.set.count);
    for (size_t i = 0; guards[i]; i++) {
        bool named = strcmp(guards[i]->name, "auth") == 0; /* as every route must */
        ck_assert_msg((route->guards[i].rules != NULL) == (guards[i]->always || named), "%s",
                      guards[i]->name);
        ck_assert(!route->guards[i].report_only);
        ck_assert_int_eq(route->guards[i].node != NULL, named);
    }
    policy_free(policy);
}
END_TEST

/* A map changes single keys, a bare name all of them. */
START_TEST(errors_of_defaults_are_changed)
{
    struct policy *policy =
        parse_good("defaults:\n"
                   "  auth: none\n"
                   "  exec: /usr/bin/true\n"
                   "  errors: {profile: problem, types: 'https://a/', messages: {forbidden: No}}\n"
                   "routes:\n"
                   "  - path: /same\n"
                   "  - path: /map\n"
                   "    errors: {html: false, profile: fastapi}\n"
                   "  - path: /name\n"
                   "    errors: fastapi\n");
    const struct error_rules *none = &policy->errors, *same = &policy->routes[0].errors,
                             *map = &policy->routes[1].errors, *name = &policy->routes[2].errors;
    ck_assert(none->profile == ERROR_PROBLEM && none->html && none->types && none->count == 1);
    ck_assert(same->profile == ERROR_PROBLEM && same->html && same->types && same->count == 1);
    ck_assert(map->profile == ERROR_FASTAPI && !map->html && map->count == 1);
    ck_assert(name->profile == ERROR_FASTAPI && name->html && !name->types && name->count == 0);
    policy_free(policy);
    policy = parse_good(HEAD);
    ck_assert(policy->errors.profile == ERROR_PLAIN && policy->errors.html && policy->routes[0].errors.html);
    policy_free(policy);
}
END_TEST

START_TEST(own_keys_come_before_defaults)
{
    struct policy *policy = parse_good("defaults:\n"
                                       "  methods: [GET]\n"
                                       "  auth: none\n"
                                       "  pass_errors: true\n"
                                       "  body: {max: 2kb, mode: report}\n"
                                       "  hosts: example.com\n"
                                       "  exec: {program: /usr/bin/true, timeout: 1s}\n"
                                       "routes:\n"
                                       "  - path: /same\n"
                                       "  - path: /own\n"
                                       "    methods: [PUT]\n"
                                       "    pass_errors: false\n"
                                       "    body: 1kb\n"
                                       "    exec: {program: /usr/bin/env}\n");
    const struct route *same = &policy->routes[0], *own = &policy->routes[1];
    ck_assert(has_method(same, "GET") && has_method(same, "HEAD") && same->methods.count == 2);
    ck_assert(has_method(own, "PUT") && own->methods.count == 1);
    ck_assert(same->pass_errors && !own->pass_errors);
    ck_assert(rules_of(same, "body")->report_only);
    ck_assert(rules_of(own, "body")->report_only);
    ck_assert_ptr_ne(rules_of(same, "body")->rules, rules_of(own, "body")->rules);
    ck_assert_ptr_eq(rules_of(same, "hosts")->rules, rules_of(own, "hosts")->rules);
    ck_assert_uint_eq(policy->program_count, 2);
    ck_assert_str_eq(policy->programs[0]->path, "/usr/bin/true");
    ck_assert_str_eq(policy->programs[1]->path, "/usr/bin/env");
    ck_assert_uint_eq(policy->programs[1]->index_in_policy, 1);
    ck_assert_ptr_eq(same->handler->program(same->settings), policy->programs[0]);
    ck_assert_ptr_eq(own->handler->program(own->settings), policy->programs[1]);
    policy_free(policy);
}
END_TEST

static char *errors_of(const char *content)
{
    struct policy *policy = parse(content);
    char *errors = printed(policy, FINDING_ERROR);
    policy_free(policy);
    return errors;
}

static struct verdict judge_length(const struct route *route, int64_t length)
{
    struct exchange exchange = {.request.content_length = length};
    const struct guard_rules *body = rules_of(route, "body");
    return guard_of("body")->check(body->rules, &exchange);
}

START_TEST(limits_of_bodies_are_kept)
{
    static const char *const bodies[] = {"{fields: {a: string}}", "{depth: 8, fields: {a: string}}",
                                         "{mode: enforce}"};
    static const char *const defaults[] = {"10kb", "{max: 10kb}", "{max: 10kb, depth: 4}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        for (size_t j = 0; j < sizeof defaults / sizeof *defaults; j++) {
            char content[400];
            snprintf(
                content, sizeof content,
                "defaults: {auth: none, exec: /usr/bin/true, body: %s}\nroutes:\n"
                "  - {path: /a, body: %s}\n  - {path: /b, body: 20kb}\n  - {path: /c, body: {max: 20kb}}\n",
                defaults[j], bodies[i]);
            struct policy *policy = parse_good(content);
            ck_assert_int_eq(judge_length(&policy->routes[0], 10240).kind, VERDICT_PASS);
            ck_assert_int_eq(judge_length(&policy->routes[0], 10241).status, 413);
            for (size_t k = 1; k < 3; k++) {
                ck_assert_int_eq(judge_length(&policy->routes[k], 20480).kind, VERDICT_PASS);
                ck_assert_int_eq(judge_length(&policy->routes[k], 20481).status, 413);
            }
            policy_free(policy);
        }
}
END_TEST

START_TEST(what_keeps_out_is_kept)
{
    struct policy *policy = parse_good(
        "defaults: {auth: none, exec: /usr/bin/true, addresses: {allow: 10.0.0.0/8, deny: 10.9.0.0/16},\n"
        "           csrf: {policy: on, strict: true}, cookies: {same_site: strict, script: [a]}}\n"
        "routes:\n"
        "  - {path: /a, addresses: {deny: 10.1.0.0/16}, csrf: {origins: https://a.example},\n"
        "     cookies: {script: [b]}}\n"
        "  - {path: /b, addresses: 192.0.2.0/24, csrf: off, cookies: true}\n");
    static const struct {
        size_t route;
        const char *address;
        enum verdict_kind kind;
    } cases[] = {
        {0, "10.2.0.1", VERDICT_PASS}, {0, "192.0.2.1", VERDICT_DENY}, {0, "10.1.0.1", VERDICT_DENY},
        {0, "10.9.0.1", VERDICT_PASS}, {1, "192.0.2.1", VERDICT_PASS}, {1, "10.2.0.1", VERDICT_DENY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct exchange exchange = {0};
        const struct guard_rules *rules = rules_of(&policy->routes[cases[i].route], "addresses");
        ck_assert(address_parse(text_of(cases[i].address), &exchange.request.client));
        ck_assert_int_eq(guard_of("addresses")->check(rules->rules, &exchange).kind, cases[i].kind);
    }
    const struct route *route = &policy->routes[0];
    const struct guard_rules *csrf = rules_of(route, "csrf");
    ck_assert(csrf->rules && !csrf_is_auto(csrf->rules));
    struct exchange unsaid = {.request.method = TEXT("POST")};
    ck_assert_int_eq(guard_of("csrf")->check(csrf->rules, &unsaid).kind, VERDICT_DENY);
    ck_assert_int_eq(route->cookies.same_site, SAME_SITE_STRICT);
    ck_assert_uint_eq(route->cookies.script.count, 1);
    ck_assert(text_equal(route->cookies.script.items[0], TEXT("b")));
    ck_assert_ptr_null(rules_of(&policy->routes[1], "csrf")->rules);
    ck_assert_int_eq(policy->routes[1].cookies.same_site, SAME_SITE_LAX);
    policy_free(policy);
}
END_TEST

START_TEST(csrf_that_is_off_says_nothing_else)
{
    char *errors = errors_of("defaults: {auth: none, exec: /usr/bin/true, csrf: off}\n"
                             "routes:\n  - {path: /a, csrf: {strict: true}}\n");
    ck_assert_msg(strstr(errors, "routes[0].csrf.strict: this has no effect") != NULL, "%s", errors);
    free(errors);
}
END_TEST

START_TEST(what_is_left_out_of_defaults_is_told)
{
    static const char head[] =
        "store: sqlite:/tmp/guard.db\n"
        "limits: {general: {rate: 9/1m}, login: {rate: 5/1m, count: failures}}\n"
        "auth: {user: {api_key: {header: X-Key}}}\n"
        "defaults: {auth: user, exec: /usr/bin/true, claims: {tenant: acme}, limits: general,\n"
        "           reject: [operators, markup], cors: {origins: https://a.example, enforce: true},\n"
        "           roles: {any: a, mode: report}}\n"
        "routes:\n";
    static const struct {
        const char *route, *word; /* NULL: nothing */
    } cases[] = {
        {"claims: {plan: pro}", NULL},
        {"reject: [operators]", "routes[0].reject: this takes the place of the defaults', so \"markup\""},
        {"reject: none", NULL},
        {"reject: [markup, operators]", NULL},
        {"limits: login", "none of it counts all requests"},
        {"limits: [general, login]", NULL},
        {"limits: 7/1m", NULL},
        {"limits: none", NULL},
        {"cors: {origins: https://b.example}", NULL},
        {"cors: {origins: https://b.example, enforce: false}", "only hides replies from their scripts"},
        {"cors: off", NULL},
        {"roles: b", "routes[0].roles: what this refuses is only logged"},
        {"roles: {any: b, mode: enforce}", NULL},
        {"roles: {any: b, mode: report}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char content[800];
        snprintf(content, sizeof content, "%s  - {path: /a, %s}\n", head, cases[i].route);
        struct policy *policy = parse_good(content);
        char *advice = printed(policy, FINDING_ADVICE);
        ck_assert_msg(cases[i].word
                          ? strstr(advice, cases[i].word) != NULL
                          : strstr(advice, "takes the place") == NULL && strstr(advice, "hides") == NULL &&
                                strstr(advice, "this refuses") == NULL,
                      "%s:\n%s", cases[i].route, advice);
        free(advice);
        policy_free(policy);
    }
}
END_TEST

START_TEST(headers_merge)
{
    struct policy *policy = parse_good("defaults:\n"
                                       "  auth: none\n"
                                       "  exec: /usr/bin/true\n"
                                       "  headers: {preset: off, X-One: '1', X-Two: '2'}\n"
                                       "routes:\n"
                                       "  - {path: /a, headers: {x-two: two, X-Three: '3'}}\n"
                                       "  - {path: /b, headers: {X-One: off}}\n"
                                       "  - {path: /c, headers: off}\n"
                                       "  - {path: /d}\n"
                                       "  - {path: /e, headers: {preset: helmet}}\n");
    const struct route *routes = policy->routes;
    ck_assert_str_eq(header_of(&routes[0].headers, "X-One"), "1");
    ck_assert_str_eq(header_of(&routes[0].headers, "X-Two"), "two");
    ck_assert_str_eq(header_of(&routes[0].headers, "X-Three"), "3");
    ck_assert_ptr_null(header_of(&routes[1].headers, "X-One"));
    ck_assert_str_eq(header_of(&routes[1].headers, "X-Two"), "2");
    ck_assert_ptr_null(header_of(&routes[2].headers, "X-Two"));
    ck_assert_str_eq(header_of(&routes[3].headers, "X-Two"), "2");
    ck_assert_str_eq(header_of(&routes[4].headers, "X-Two"), "2");
    ck_assert_ptr_nonnull(header_of(&routes[4].headers, "X-Frame-Options"));
    ck_assert_ptr_null(header_of(&policy->headers, "X-Three"));
    ck_assert_str_eq(header_of(&policy->headers, "X-One"), "1");
    policy_free(policy);
    policy = parse_good("defaults: {auth: none, exec: /usr/bin/true, headers: helmet}\n"
                        "routes:\n  - {path: /a, headers: {X-One: '1'}}\n");
    ck_assert_str_eq(header_of(&policy->routes[0].headers, "X-One"), "1");
    ck_assert_ptr_nonnull(header_of(&policy->routes[0].headers, "Cross-Origin-Opener-Policy"));
    policy_free(policy);
}
END_TEST

/* ---- what a route makes of the defaults */

/* Of two keys of one section: the second, in a route, leaves nothing of the first, in the defaults. */
static const struct {
    const char *section, *first, *second;
} displacing[] = {
    {"auth", "optional", "methods"},
    {"body", "fields", "schema"},
    {"body", "unknown", "schema"},
    {"body", "schema", "fields"},
    {"cors", "use", "origins"},
    {"cors", "credentials", "origins"},
    {"cors", "private_network", "origins"},
    {"cors", "origins", "use"},
    {"cors", "credentials", "use"},
    {"cors", "methods", "use"},
    {"cors", "headers", "use"},
    {"cors", "expose", "use"},
    {"cors", "max_age", "use"},
    {"cors", "private_network", "use"},
    {"cors", "enforce", "use"},
    {"cors", "preflight_status", "use"},
    {"cors", "preflight_limit", "use"},
    {"replies", "fields", "schema"},
    {"replies", "unknown", "schema"},
    {"replies", "statuses", "schema"},
    {"replies", "schema", "fields"},
    {"replies", "statuses", "fields"},
    {"replies", "schema", "statuses"},
    {"replies", "fields", "statuses"},
    {"replies", "unknown", "statuses"},
    {"exec", "root", "program"},
    {"exec", "index", "program"},
    {"exec", "extensions", "program"},
    {"exec", "arguments", "program"},
    {"exec", "environment", "program"},
    {"exec", "allow_setuid", "program"},
    {"exec", "allow_shared_owner", "program"},
    {"exec", "steering", "program"},
    {"exec", "program", "root"},
    {"exec", "arguments", "root"},
    {"exec", "environment", "root"},
    {"exec", "allow_setuid", "root"},
    {"exec", "allow_shared_owner", "root"},
    {"exec", "steering", "root"},
    {"fastcgi", "backup", "address"},
    {"fastcgi", "environment", "address"},
    {"fastcgi", "steering", "address"},
    {"fastcgi", "environment", "root"},
    {"fastcgi", "steering", "root"},
    {"http", "backup", "url"},
    {"http", "headers", "url"},
    {"http", "steering", "url"},
    {"http", "rewrite", "strip_prefix"},
    {"http", "strip_prefix", "rewrite"},
};

static bool displaces(const char *section, const char *first, const char *second)
{
    for (size_t i = 0; i < sizeof displacing / sizeof *displacing; i++)
        if (strcmp(displacing[i].section, section) == 0 && strcmp(displacing[i].first, first) == 0 &&
            strcmp(displacing[i].second, second) == 0)
            return true;
    return false;
}

static const struct node *read_node(struct arena *arena, const char *text)
{
    struct findings findings = findings_new(arena, "f");
    const struct node *node = file_parse(text_of(text), false, &findings);
    ck_assert_msg(node != NULL, "%s", text);
    return node;
}

static void merge_pair(struct arena *arena, const char *name, const struct section *section,
                       const char *first, const char *second)
{
    const struct node *under = read_node(arena, arena_printf(arena, "{%s: 1}", first));
    const struct node *merged =
        merge_section(under, read_node(arena, arena_printf(arena, "{%s: 2}", second)), section, arena);
    const struct node *kept = node_get(merged, first), *own = node_get(merged, second);
    ck_assert_msg(own && text_equal(own->text, TEXT("2")), "%s.%s", name, second);
    if (strcmp(first, second) != 0)
        ck_assert_msg((kept != NULL) == !displaces(name, first, second),
                      "%s: %s of the defaults, %s of a route", name, first, second);
    const struct node *null = read_node(arena, arena_printf(arena, "{%s: null}", second));
    merged = merge_section(under, null, section, arena);
    ck_assert_msg((node_get(merged, first) != NULL) == (strcmp(first, second) != 0),
                  "%s: %s of the defaults, no %s", name, first, second);
}

static void merge_pairs(const char *name, const struct section *section)
{
    struct arena *arena = arena_new();
    for (const struct field *first = section->fields; first->key; first++)
        for (const struct field *second = section->fields; second->key; second++)
            if (strcmp(first->key, "*") != 0 && strcmp(second->key, "*") != 0)
                merge_pair(arena, name, section, first->key, second->key);
    for (const struct field *row = section->fields; row->key; row++)
        if (row->type == FIELD_SECTION)
            merge_pairs(row->key, row->section);
    arena_free(arena);
}

/* Every key there is, so that none is forgotten that is new. */
START_TEST(each_key_is_merged)
{
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->section.fields)
            merge_pairs(guards[i]->name, &guards[i]->section);
    for (size_t i = 0; handlers[i]; i++)
        if (!handlers[i]->whole)
            merge_pairs(handlers[i]->name, &handlers[i]->section);
    merge_pairs("cookies", &cookie_section);
    merge_pairs("errors", &error_rules_section);
}
END_TEST

/* What there is of a route's key, in one line: "a=1 b=[2 3] c={d=4}". */
static void write_node(struct bytes *line, const struct node *node)
{
    bool map = node->kind == NODE_MAP;
    if (node->kind == NODE_SCALAR)
        bytes_add_text(line, node->text);
    else
        bytes_add_text(line, map ? TEXT("{") : TEXT("["));
    for (size_t i = 0; node->kind != NODE_SCALAR && i < node->count; i++) {
        bytes_printf(line, "%s%s%s", i ? " " : "", map ? node->items[i]->name.at : "", map ? "=" : "");
        write_node(line, node->items[i]);
    }
    if (node->kind != NODE_SCALAR)
        bytes_add_text(line, map ? TEXT("}") : TEXT("]"));
}

static const struct node *node_of(const struct route *route, const char *key)
{
    return strcmp(route->handler->name, key) == 0 ? route->settings_node : rules_of(route, key)->node;
}

static const struct {
    const char *key, *defaults, *route, *merged; /* merged NULL: the key is not there */
} merging[] = {
    {"exec", "{program: /usr/bin/true, timeout: 1s, memory: 64mb}", "{program: /usr/bin/env}",
     "{timeout=1s memory=64mb program=/usr/bin/env}"},
    {"exec", "{program: /usr/bin/true, timeout: 1s}", "/usr/bin/env", "{timeout=1s program=/usr/bin/env}"},
    {"exec", "/usr/bin/true", "{timeout: 2s}", "{program=/usr/bin/true timeout=2s}"},
    {"exec", "{program: /usr/bin/true, environment: {A: '1', B: '2'}}", "{environment: {B: '3', A: null}}",
     "{program=/usr/bin/true environment={B=3}}"},
    {"exec", "{program: /usr/bin/true, arguments: [a], timeout: 1s}", "{timeout: null}",
     "{program=/usr/bin/true arguments=[a]}"},
    {"http", "{url: 'http://127.0.0.1:1', health: {failures: 9, probe: /a}, timeout: 9s}",
     "{health: {out: 1s}, headers: {X-A: b}}",
     "{url=http://127.0.0.1:1 timeout=9s health={failures=9 probe=/a out=1s} headers={X-A=b}}"},
    {"fastcgi", "{address: '127.0.0.1:1', timeout: 9s}", "'127.0.0.1:2'", "{timeout=9s address=127.0.0.1:2}"},
    {"body", "10kb", "{depth: 4, fields: {a: string}}", "{max=10kb depth=4 fields={a=string}}"},
    {"body", "{max: 10kb, mode: report}", "{mode: enforce}", "{max=10kb mode=enforce}"},
    {"body", "{max: 10kb, mode: enforce}", "20kb", "{mode=enforce max=20kb}"},
    {"body", "{fields: {a: string}, unknown: allow}", "{fields: {b: {type: integer}, a: null}}",
     "{unknown=allow fields={b={type=integer}}}"},
    {"body", "10kb", "null", NULL},
    {"parameters", "{query: {a: string}, unknown: allow}", "{query: {b: integer}}",
     "{unknown=allow query={a=string b=integer}}"},
    {"parameters", "{query: {a: {type: string, max_length: 9}}}", "{query: {a: {max_length: 3}}}",
     "{query={a={type=string max_length=3}}}"},
    {"parameters", "{query: {a: {type: integer, maximum: 9}}}", "{query: {a: integer}}",
     "{query={a={maximum=9 type=integer}}}"},
    {"body", "{fields: {a: email}}", "{fields: {a: {required: true}}}",
     "{fields={a={type=email required=true}}}"},
    {"parameters", "{query: {a: string}}", "{cookies: {b: string}, mode: report}",
     "{query={a=string} cookies={b=string} mode=report}"},
    {"parameters", "{query: {a: string}}", "null", NULL},
    {"hosts", "{names: [a.example], mode: report}", "[b.example, c.example]",
     "{mode=report names=[b.example c.example]}"},
    {"hosts", "a.example", "null", NULL},
    {"addresses", "{allow: 10.0.0.0/8, deny: 10.9.0.0/16}", "{deny: null}", "{allow=10.0.0.0/8}"},
    {"limits", "{use: 9/m, mode: report}", "[7/m, 8/h]", "{mode=report use=[7/m 8/h]}"},
    {"claims", "{tenant: acme}", "{plan: pro}", "{tenant=acme plan=pro}"},
    {"match", "{sub: '?a'}", "{tenant: '?b'}", "{sub=?a tenant=?b}"},
    {"roles", "{any: a, mode: enforce}", "b", "{mode=enforce any=b}"},
    {"auth", "{methods: u, optional: true, mode: report}", "[u, v]", "{mode=report methods=[u v]}"},
    {"auth", "{methods: u, mode: report}", "{optional: true}", "{methods=u mode=report optional=true}"},
    {"cors", "{origins: 'https://a.example', credentials: true, enforce: true}",
     "{origins: 'https://b.example'}", "{enforce=true origins=https://b.example}"},
    {"cors", "{origins: 'https://a.example', max_age: 1m}", "web", "web"},
    {"csrf", "{policy: on, origins: 'https://a.example'}", "{strict: true}",
     "{policy=on origins=https://a.example strict=true}"},
    {"markup", "{action: escape, except: [a]}", "{except: [b]}", "{action=escape except=[b]}"},
};

START_TEST(a_route_says_what_differs)
{
    struct arena *arena = arena_new();
    const char *key = merging[_i].key;
    bool handles = false;
    for (size_t i = 0; handlers[i]; i++)
        handles = handles || strcmp(handlers[i]->name, key) == 0;
    struct bytes text = bytes_new(arena, 1024), line = bytes_new(arena, 1024);
    bytes_add_text(&text, TEXT("store: sqlite:/tmp/guard.db\nauth: {u: {api_key: {header: X-U}}, "
                               "v: {api_key: {header: X-V}}}\ncors: {web: 'https://w.example'}\n"
                               "defaults: {"));
    bytes_printf(&text, "%s%s%s: %s}\nroutes:\n  - {path: /a, %s: %s}\n",
                 handles ? "" : "exec: /usr/bin/true, ", strcmp(key, "auth") == 0 ? "" : "auth: u, ", key,
                 merging[_i].defaults, key, merging[_i].route);
    struct policy *policy = parse_good(arena_printf(arena, "%.*s", TEXT_ARGUMENTS(bytes_text(&text))));
    const struct node *node = node_of(&policy->routes[0], key);
    if (node)
        write_node(&line, node);
    ck_assert_int_eq(node != NULL, merging[_i].merged != NULL);
    ck_assert_msg(!node || text_equal(bytes_text(&line), text_of(merging[_i].merged)), "%.*s",
                  TEXT_ARGUMENTS(bytes_text(&line)));
    policy_free(policy);
    arena_free(arena);
}
END_TEST

/* A route that takes away what is not there has forgotten a value, or the defaults have changed. */
START_TEST(what_is_not_there_cannot_be_taken_away)
{
    char *errors = errors_of(DEFAULTS "  - {path: /a, hosts: null, exec: {timeout: null}}\n");
    ck_assert_msg(strstr(errors, "routes[0].hosts: there is no value") != NULL, "%s", errors);
    ck_assert_msg(strstr(errors, "routes[0].exec.timeout: ") != NULL, "%s", errors);
    free(errors);
    errors =
        errors_of("defaults: {auth: none, exec: /usr/bin/true, hosts: a.example, mode: report}\nroutes:\n"
                  "  - path: /a\n    hosts:\n");
    ck_assert_msg(strstr(errors, "routes[0].hosts: there is no value") != NULL, "%s", errors);
    free(errors);
}
END_TEST

START_TEST(what_does_not_fit_into_a_route_names_it)
{
    char *errors = errors_of("defaults: {auth: none, exec: {root: /usr/bin}}\nroutes:\n"
                             "  - {path: /a, exec: {timeout: 1s}}\n  - {path: /b/**, exec: {timeout: 1s}}\n"
                             "  - {path: /c, exec: {timeout: 1s}}\n");
    ck_assert_str_eq(errors, "/policy.yaml:1:37: defaults.exec.root: the route's path names no script, "
                             "expected a path that ends in /** (at /a)\n"
                             "/policy.yaml:1:37: defaults.exec.root: the route's path names no script, "
                             "expected a path that ends in /** (at /c)\n");
    free(errors);
}
END_TEST

START_TEST(a_routes_own_keys_are_taken_away)
{
    struct policy *policy = parse_good(
        "defaults: {auth: none, exec: /usr/bin/true, mode: report, methods: [PUT], pass_errors: true,\n"
        "           headers: off, cookies: true, errors: problem, reject: markup}\n"
        "routes:\n  - {path: /a, exec: null, respond: nothing, mode: null, methods: null, headers: null,\n"
        "     pass_errors: null, cookies: null, errors: null, reject: null}\n  - path: /b\n"
        "  - {path: /c, respond: nothing, exec: null}\n");
    const struct route *route = &policy->routes[0];
    ck_assert_str_eq(route->handler->name, "respond");
    ck_assert_str_eq(policy->routes[2].handler->name, "respond");
    ck_assert(!route->report_only && !route->pass_errors && !route->cookies.given);
    ck_assert(has_method(route, "GET") && !has_method(route, "PUT"));
    ck_assert_ptr_nonnull(header_of(&route->headers, "X-Content-Type-Options"));
    ck_assert_int_eq(route->errors.profile, ERROR_PLAIN);
    ck_assert(!rules_of(route, "markup")->rules && rules_of(&policy->routes[1], "markup")->rules);
    policy_free(policy);
}
END_TEST

START_TEST(modes_of_guards_and_routes)
{
    struct policy *policy =
        parse_good(DEFAULTS "  - {path: /a, mode: report, body: {max: 1kb, mode: enforce}}\n"
                            "  - {path: /b, body: {max: 1kb, mode: report}}\n"
                            "  - {path: /c, mode: report, body: 1kb}\n");
    const struct route *routes = policy->routes;
    ck_assert(!rules_of(&routes[0], "body")->report_only);
    ck_assert(rules_of(&routes[0], "dotfiles")->report_only);
    ck_assert(rules_of(&routes[0], "methods")->report_only);
    ck_assert(rules_of(&routes[1], "body")->report_only);
    ck_assert(!rules_of(&routes[1], "dotfiles")->report_only);
    ck_assert(rules_of(&routes[2], "body")->report_only);
    ck_assert(routes[0].report_only && !routes[1].report_only);
    policy_free(policy);
}
END_TEST

START_TEST(relative_files_start_at_the_policy)
{
    char folder[] = "/tmp/check_policy.XXXXXX", file[64], program[64], named[PATH_MAX];
    struct error error = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/policy.yaml", folder);
    snprintf(program, sizeof program, "%s/run", folder);
    FILE *stream = fopen(program, "we");
    fputs("#!/bin/sh\n", stream);
    fclose(stream);
    ck_assert_int_eq(chmod(program, 0755), 0);
    stream = fopen(file, "we");
    fputs("spool: .\nroutes: [{path: /a, auth: none, exec: run}]\n", stream);
    fclose(stream);
    ck_assert_ptr_nonnull(realpath(folder, named));
    struct policy *policy = policy_load(file, &error);
    ck_assert_ptr_nonnull(policy);
    char *errors = printed(policy, FINDING_ERROR);
    ck_assert_msg(policy->findings.errors == 0, "%s", errors);
    ck_assert_int_eq(strncmp(policy->programs[0]->path, named, strlen(named)), 0);
    ck_assert_int_eq(strncmp(policy->server.spool, named, strlen(named)), 0);
    free(errors);
    policy_free(policy);
    unlink(program);
    unlink(file);
    rmdir(folder);
}
END_TEST

/* Every error of a file comes out in one run, past the limit as a count. */
START_TEST(errors_are_counted_past_the_limit)
{
    struct bytes text;
    struct arena *arena = arena_new();
    text = bytes_new(arena, FILE_LIMIT);
    bytes_add_text(&text, TEXT("routes:\n"));
    for (int i = 0; i < 300; i++)
        bytes_printf(&text, "  - {path: /a%d, auth: user, exec: /usr/bin/true}\n", i);
    bytes_add(&text, "", 1);
    struct policy *policy = parse(text.at);
    ck_assert_uint_eq(policy->findings.errors, 300);
    policy_free(policy);
    arena_free(arena);
}
END_TEST

START_TEST(advice_names_risks)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"listen: tcp:0.0.0.0:9000\n" HEAD, "other machines"},
        {"listen: tcp:127.0.0.1:9000\n" HEAD, "every user of this machine"},
        {"listen: {address: unix:/run/x, mode: 0666}\n" HEAD, "mode 0666"},
        {"listen: unix:/nowhere/at/all.sock\n" HEAD, "1:9: listen: there is no folder /nowhere/at,"},
        {"sandbox: false\n" HEAD, "sandbox: "},
        {"log: {level: debug}\n" HEAD, "debug"},
        {"store: sqlite:/tmp/guard.db\n" HEAD, "1:8: store: every user of this machine can put files beside"},
        {HEAD, "`hosts`"},
        {HEAD, "https: require"},
        {HEAD "    pass_errors: true\n", "pass_errors: "},
        {HEAD "    mode: report\n", "mode: "},
        {HEAD "    methods: [TRACE]\n", "TRACE"},
        {DEFAULTS "  - path: /**\n", "every path"},
        {DEFAULTS "  - path: /.well-known/x\n", "routes[0].path: is always refused"},
        {HEAD "    https: redirect\n", "routes[0].https: whoever writes Host"},
        {HEAD "    https: {policy: redirect}\n    hosts: {names: a.example, mode: report}\n",
         "routes[0].https: whoever writes Host"},
        {"defaults: {https: redirect, auth: none, exec: /bin/true}\nroutes:\n  - path: /a\n  - path: /b\n",
         "1:19: defaults.https: whoever writes Host decides where this leads; name the `hosts` of /a\n"},
        {"user: root\n" HEAD, "1:7: user: "},
        {"user: '0'\n" HEAD, "1:7: user: "},
        {"proxies: [10.0.0.0/8, '::/0']\n" HEAD, "everyone is believed"},
        {"proxies: 0.0.0.0/0\n" HEAD, "everyone is believed"},
        {DEFAULTS "  - path: /x\n    exec: {program: /bin/true, user: root}\n",
         "exec.user: the program runs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct policy *policy = parse_good(cases[i].text);
        char *advice = printed(policy, FINDING_ADVICE);
        ck_assert_msg(strstr(advice, cases[i].word) != NULL, "\"%s\" is not in\n%s", cases[i].word, advice);
        free(advice);
        policy_free(policy);
    }
    struct policy *policy =
        parse_good("listen: unix:/run/x\nuser: root\n" HEAD "    hosts: example.com\n    https: redirect\n"
                   "  - {path: /.well-known/x, dotfiles: .well-known, auth: none, exec: /usr/bin/true, "
                   "hosts: example.com}\n");
    char *advice = printed(policy, FINDING_ADVICE);
    ck_assert_msg(strstr(advice, "listen") == NULL && strstr(advice, "routes: ") == NULL &&
                      strstr(advice, "Host") == NULL && strstr(advice, "path: ") == NULL,
                  "%s", advice);
    free(advice);
    policy_free(policy);
}
END_TEST

/* ---- description */

struct described {
    struct arena *arena;
    const char *keys[512];
    size_t count;
};

static void collect_key(void *context, const char *key, const struct field *field)
{
    struct described *described = context;
    ck_assert_uint_lt(described->count, 512);
    ck_assert_msg(field->help && *field->help, "%s has no help", key);
    ck_assert_msg(field->help[strlen(field->help) - 1] != '.', "%s: its help ends in a full stop", key);
    ck_assert_msg(field->type != FIELD_OWN || field->expects, "%s does not say what it expects", key);
    ck_assert_msg(field->type != FIELD_CHOICE || field->choices, "%s has no choices", key);
    bool twice = strcmp(key, "auth") == 0 || strcmp(key, "limits") == 0 ||
                 strcmp(key, "cors") == 0; /* at the top and in a route */
    for (size_t i = 0; !twice && i < described->count; i++)
        ck_assert_str_ne(described->keys[i], key);
    described->keys[described->count++] = arena_copy(described->arena, key, strlen(key));
}

START_TEST(every_key_is_described_once)
{
    static const char *const expected[] = {"listen",     "listen.address", "timeouts.idle", "routes",
                                           "path",       "auth",           "body",          "body.max",
                                           "hosts.mode", "exec",           "exec.cpu",      "headers"};
    struct described described = {.arena = arena_new()};
    policy_describe(collect_key, &described);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        size_t at = 0;
        while (at < described.count && strcmp(described.keys[at], expected[i]) != 0)
            at++;
        ck_assert_msg(at < described.count, "%s is not described", expected[i]);
    }
    arena_free(described.arena);
}
END_TEST

/* ---- routes */

#define ROUTES                                                                                               \
    DEFAULTS                                                                                                 \
    "  - path: /\n"                                                                                          \
    "  - path: /a\n"                                                                                         \
    "  - path: /a/\n"                                                                                        \
    "  - path: /a/{x}\n"                                                                                     \
    "  - path: /a/{x}/c\n"                                                                                   \
    "  - path: /a/b/d\n"                                                                                     \
    "  - path: /git/**\n"                                                                                    \
    "  - path: /git/info\n"                                                                                  \
    "  - path: /git/{repo}/{file}/raw\n"                                                                     \
    "  - {path: '/u/{id}', methods: [GET]}\n"                                                                \
    "  - {path: '/u/{name}', methods: [PUT, DELETE]}\n"                                                      \
    "  - path: /deep/{one}/x\n"                                                                              \
    "  - path: /deep/{one}/{two}/y\n"                                                                        \
    "  - path: /deep/**\n"                                                                                   \
    "  - path: /größe/a b\n"

static const struct {
    const char *path, *method, *route; /* route NULL: none */
    const char *script_name, *path_info, *captures;
} lookups[] = {
    {"/", "GET", "/", "/", "", ""},
    {"/a", "GET", "/a", "/a", "", ""},
    {"/a/", "GET", "/a/", "/a/", "", ""},
    {"/A", "GET", NULL, NULL, NULL, NULL},
    {"/aa", "GET", NULL, NULL, NULL, NULL},
    {"/a/q", "GET", "/a/{x}", "/a/q", "", "x=q"},
    {"/a/q/", "GET", NULL, NULL, NULL, NULL},
    {"/a/b", "GET", "/a/{x}", "/a/b", "", "x=b"},
    {"/a/b/d", "GET", "/a/b/d", "/a/b/d", "", ""},
    /* The literal b leads nowhere, so {x} is tried after all. */
    {"/a/b/c", "GET", "/a/{x}/c", "/a/b/c", "", "x=b"},
    {"/a//c", "GET", NULL, NULL, NULL, NULL},
    {"/git", "GET", "/git/**", "/git", "", ""},
    {"/git/", "GET", "/git/**", "/git", "/", ""},
    {"/git/info", "GET", "/git/info", "/git/info", "", ""},
    {"/git/info/refs", "GET", "/git/**", "/git", "/info/refs", ""},
    {"/git/x/y/raw", "GET", "/git/{repo}/{file}/raw", "/git/x/y/raw", "", "repo=x file=y"},
    {"/git/x/y/cooked", "GET", "/git/**", "/git", "/x/y/cooked", ""},
    {"/gitx", "GET", NULL, NULL, NULL, NULL},
    {"/u/7", "GET", "/u/{id}", "/u/7", "", "id=7"},
    {"/u/7", "HEAD", "/u/{id}", "/u/7", "", "id=7"},
    {"/u/7", "PUT", "/u/{name}", "/u/7", "", "name=7"},
    {"/deep/1/2/y", "GET", "/deep/{one}/{two}/y", "/deep/1/2/y", "", "one=1 two=2"},
    {"/deep/1/2/z", "GET", "/deep/**", "/deep", "/1/2/z", ""},
    {"/größe/a b", "GET", "/größe/a b", "/größe/a b", "", ""},
    {"/{x}", "GET", NULL, NULL, NULL, NULL},
    {"/a/{x}", "GET", "/a/{x}", "/a/{x}", "", "x={x}"},
    {"/a/**", "GET", "/a/{x}", "/a/**", "", "x=**"},
};

static struct exchange look_up(const struct policy *policy, const char *method, const char *path,
                               struct verdict *verdict)
{
    struct exchange exchange = {.request = {.method = text_of(method), .path = text_of(path)}};
    *verdict = router_find(policy->router, &exchange);
    return exchange;
}

static void captures_text(const struct exchange *exchange, char *to, size_t size)
{
    size_t length = 0;
    *to = '\0';
    for (size_t i = 0; i < exchange->capture_count; i++)
        length += (size_t)snprintf(to + length, size - length, "%s%s=%.*s", i ? " " : "",
                                   exchange->captures[i].name, TEXT_ARGUMENTS(exchange->captures[i].value));
}

START_TEST(path_finds_route)
{
    struct policy *policy = parse_good(ROUTES);
    struct verdict verdict;
    struct exchange exchange = look_up(policy, lookups[_i].method, lookups[_i].path, &verdict);
    if (!lookups[_i].route) {
        ck_assert_int_eq(verdict.kind, VERDICT_DENY);
        ck_assert_int_eq(verdict.status, 404);
        ck_assert_str_eq(verdict.code, "route_not_found");
        ck_assert_ptr_null(exchange.route);
    } else {
        char captures[256];
        ck_assert_int_eq(verdict.kind, VERDICT_PASS);
        ck_assert_str_eq(exchange.route->path, lookups[_i].route);
        ck_assert(exchange.method_known);
        ck_assert(text_equal(exchange.script_name, text_of(lookups[_i].script_name)));
        ck_assert(text_equal(exchange.path_info, text_of(lookups[_i].path_info)));
        captures_text(&exchange, captures, sizeof captures);
        ck_assert_str_eq(captures, lookups[_i].captures);
    }
    policy_free(policy);
}
END_TEST

START_TEST(root_rest_takes_everything)
{
    struct policy *policy = parse_good(DEFAULTS "  - path: /**\n  - path: /x\n");
    struct verdict verdict;
    struct exchange exchange = look_up(policy, "GET", "/y/z", &verdict);
    ck_assert_int_eq(verdict.kind, VERDICT_PASS);
    ck_assert(text_equal(exchange.script_name, TEXT("")));
    ck_assert(text_equal(exchange.path_info, TEXT("/y/z")));
    exchange = look_up(policy, "GET", "/", &verdict);
    ck_assert(text_equal(exchange.path_info, TEXT("/")));
    exchange = look_up(policy, "GET", "/x", &verdict);
    ck_assert_str_eq(exchange.route->path, "/x");
    policy_free(policy);
}
END_TEST

/* A known path with an unknown method is still a route: the methods guard answers. */
START_TEST(unknown_method_keeps_route)
{
    struct policy *policy = parse_good(ROUTES);
    struct verdict verdict;
    struct exchange exchange = look_up(policy, "PATCH", "/u/7", &verdict);
    ck_assert_int_eq(verdict.kind, VERDICT_PASS);
    ck_assert(!exchange.method_known);
    ck_assert_ptr_nonnull(exchange.route);
    ck_assert(text_equal(exchange.allow, TEXT("GET, HEAD, PUT, DELETE")));
    exchange = look_up(policy, "get", "/a", &verdict);
    ck_assert(!exchange.method_known);
    ck_assert(text_equal(exchange.allow, TEXT("GET, HEAD, POST")));
    policy_free(policy);
}
END_TEST

/* `count` routes of every kind, in one folder and in many. */
static struct policy *many_routes(size_t count)
{
    struct arena *arena = arena_new();
    struct bytes text = bytes_new(arena, 1 << 20);
    bytes_add_text(&text, TEXT(DEFAULTS));
    for (size_t i = 0; i < count / 2; i++)
        bytes_printf(&text, "  - path: /api/item%zu\n  - path: /g%zu/{id}/edit/**\n", i, i);
    bytes_add(&text, "", 1);
    ck_assert(!text.full);
    struct policy *policy = parse_good(text.at);
    ck_assert_uint_eq(policy->route_count, count);
    arena_free(arena);
    return policy;
}

/* The mean number of steps of a few hundred lookups. */
static double mean_steps(const struct policy *policy, size_t count)
{
    size_t lookups_made = 0;
    router_steps = 0;
    for (size_t i = 0; i < count / 2; i += count / 2 < 100 ? 1 : count / 200) {
        char path[64];
        struct verdict verdict;
        snprintf(path, sizeof path, "/api/item%zu", i);
        struct exchange exchange = look_up(policy, "GET", path, &verdict);
        ck_assert_int_eq(verdict.kind, VERDICT_PASS);
        ck_assert_str_eq(exchange.route->path, path);
        snprintf(path, sizeof path, "/g%zu/7/edit/more/of/it", i);
        look_up(policy, "GET", path, &verdict);
        ck_assert_int_eq(verdict.kind, VERDICT_PASS);
        look_up(policy, "GET", "/nothing/like/it", &verdict);
        ck_assert_int_eq(verdict.kind, VERDICT_DENY);
        lookups_made += 3;
    }
    return (double)router_steps / (double)lookups_made;
}

START_TEST(lookup_cost_does_not_grow_with_routes)
{
    struct policy *few = many_routes(10), *many = many_routes(10000);
    double cost_few = mean_steps(few, 10), cost_many = mean_steps(many, 10000);
    /* Places entered plus slots of hash tables looked at, whatever the machine. */
    ck_assert_msg(cost_few > 2, "%f steps are too few to be true", cost_few);
    ck_assert_msg(cost_many < cost_few * 1.5 + 1, "10 routes: %f steps, 10,000 routes: %f", cost_few,
                  cost_many);
    policy_free(few);
    policy_free(many);
}
END_TEST

/* Every segment has a literal and a {name} to try: each place is entered once. */
START_TEST(backtracking_is_bounded)
{
    struct arena *arena = arena_new();
    struct bytes text = bytes_new(arena, 1 << 20);
    enum { DEPTH = 10 };
    bytes_add_text(&text, TEXT(DEFAULTS));
    for (unsigned bits = 0; bits < 1u << DEPTH; bits++) {
        bytes_add_text(&text, TEXT("  - path: '"));
        for (unsigned i = 0; i < DEPTH; i++)
            bytes_printf(&text, bits >> i & 1 ? "/a" : "/{n%u}", i);
        bytes_add_text(&text, TEXT("/end'\n"));
    }
    bytes_add(&text, "", 1);
    struct policy *policy = parse_good(text.at);
    struct verdict verdict;
    router_steps = 0;
    look_up(policy, "GET", "/a/a/a/a/a/a/a/a/a/a/missed", &verdict);
    ck_assert_int_eq(verdict.kind, VERDICT_DENY);
    ck_assert_uint_lt(router_steps, 8u << DEPTH);
    policy_free(policy);
    arena_free(arena);
}
END_TEST

START_TEST(long_paths_are_found_at_once)
{
    struct policy *policy = parse_good(DEFAULTS "  - path: /x/{a}/{b}/**\n");
    char path[32768];
    struct verdict verdict;
    for (size_t i = 0; i + 1 < sizeof path; i += 2)
        memcpy(path + i, "/x", 2);
    path[sizeof path - 1] = '\0';
    router_steps = 0;
    struct exchange exchange = look_up(policy, "GET", path, &verdict);
    ck_assert_int_eq(verdict.kind, VERDICT_PASS);
    ck_assert_uint_eq(exchange.script_name.length, strlen("/x/x/x"));
    ck_assert_uint_lt(router_steps, 16);
    policy_free(policy);
}
END_TEST

START_TEST(too_many_segments_are_refused)
{
    struct arena *arena = arena_new();
    struct bytes text = bytes_new(arena, FILE_LIMIT);
    bytes_add_text(&text, TEXT(DEFAULTS "  - path: "));
    for (int i = 0; i < SEGMENTS_LIMIT + 1; i++)
        bytes_add_text(&text, TEXT("/a"));
    bytes_add_text(&text, TEXT("\n  - path: "));
    for (int i = 0; i < CAPTURES_LIMIT + 1; i++)
        bytes_printf(&text, "/{n%d}", i);
    bytes_add(&text, "\n", 2);
    struct policy *policy = parse(text.at);
    ck_assert_uint_eq(policy->findings.errors, 2);
    policy_free(policy);
    arena_free(arena);
}
END_TEST

/* ---- mutations */

static uint64_t random_state = 20260131;

static size_t random_below(size_t bound)
{
    random_state ^= random_state << 13; /* xorshift64: the same on every machine */
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return bound ? (size_t)(random_state % bound) : 0;
}

static size_t line_at(const char *text, size_t length, size_t at, size_t *end)
{
    size_t start = at;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    for (*end = at; *end < length && text[*end] != '\n';)
        ++*end;
    return start;
}

static size_t swap_lines(char *text, size_t length)
{
    size_t end_one, end_two, start_one = line_at(text, length, random_below(length), &end_one);
    size_t start_two = line_at(text, length, random_below(length), &end_two);
    if (start_one >= start_two)
        return length;
    char copy[FILE_LIMIT];
    char *to = copy;
    to = mempcpy(to, text + start_two, end_two - start_two);
    to = mempcpy(to, text + end_one, start_two - end_one);
    to = mempcpy(to, text + start_one, end_one - start_one);
    memcpy(text + start_one, copy, (size_t)(to - copy));
    return length;
}

/* One change; returns the new length. `text` has room for FILE_LIMIT bytes. */
static size_t mutate(char *text, size_t length)
{
    static const char marks[] = " :-[]{}#&*!|>'\"%@`\n\t,/.0a\0\xff";
    if (length < 2)
        return length;
    size_t at = random_below(length);
    size_t piece = 1 + random_below(length - at < 40 ? length - at : 40);
    switch (random_below(6)) {
    case 0:
        text[at] = (char)(text[at] ^ (1 << random_below(8)));
        return length;
    case 1:
        text[at] = marks[random_below(sizeof marks)];
        return length;
    case 2:
        memmove(text + at, text + at + piece, length - at - piece);
        return length - piece;
    case 3:
        if (length + piece >= FILE_LIMIT)
            return length;
        memmove(text + at + piece, text + at, length - at);
        return length + piece;
    case 4:
        return random_below(4) ? length : at;
    default:
        return swap_lines(text, length);
    }
}

START_TEST(mutated_policies_load_or_say_why)
{
    struct files files = list_files(GOOD);
    size_t loaded = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        const char *file = files.names[(size_t)i % files.count];
        size_t length;
        char *text = read_whole(file, &length);
        for (size_t changes = 1 + random_below(4); changes > 0; changes--)
            length = mutate(text, length);
        struct error error = {0};
        struct policy *policy = policy_parse((struct text){text, length}, file,
                                             text_ends_with(text_of(file), TEXT(".json")), &error);
        ck_assert_ptr_nonnull(policy);
        if (policy->findings.errors > 0) {
            char *errors = printed(policy, FINDING_ERROR);
            unsigned line = 0, column = 0;
            size_t folder = (size_t)(strrchr(file, '/') + 1 - file); /* of another file that it names */
            bool own = strncmp(errors, file, strlen(file)) == 0;
            ck_assert_msg(own || strncmp(errors, file, folder) == 0 || errors[0] == '/', "%s", errors);
            ck_assert_msg(
                !own || (sscanf(errors + strlen(file), ":%u:%u: ", &line, &column) == 2 && line && column),
                "no position: %s", errors);
            free(errors);
        } else {
            struct verdict verdict;
            look_up(policy, "GET", "/hello", &verdict);
            loaded++;
        }
        policy_free(policy);
        free(text);
    }
    /* Neither all nor nothing, or the mutations are not worth their name. */
    ck_assert_uint_gt(loaded, MUTATIONS / 50);
    ck_assert_uint_lt(loaded, MUTATIONS - MUTATIONS / 50);
    free_files(&files);
}
END_TEST

static TCase *new_group(Suite *suite, const char *name)
{
    TCase *group = tcase_create(name);
    suite_add_tcase(suite, group);
    return group;
}

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *files = new_group(suite, "files");
    tcase_add_test(files, good_files_load);
    tcase_add_test(files, bad_files_are_explained);
    tcase_add_test(files, missing_file_is_a_finding);
    tcase_add_test(files, loads_again_and_again);
    tcase_add_test(files, errors_are_counted_past_the_limit);
    tcase_add_test(files, mutated_policies_load_or_say_why);
    TCase *values = new_group(suite, "values");
    tcase_add_test(values, server_has_defaults);
    tcase_add_test(values, server_values_are_read);
    tcase_add_test(values, stores_are_named_by_scheme);
    tcase_add_test(values, log_has_a_folder);
    tcase_add_test(values, limits_must_fit_the_store);
    tcase_add_test(values, route_has_defaults);
    tcase_add_test(values, own_keys_come_before_defaults);
    tcase_add_test(values, errors_of_defaults_are_changed);
    tcase_add_test(values, headers_merge);
    tcase_add_test(values, each_key_is_merged);
    tcase_add_loop_test(values, a_route_says_what_differs, 0, sizeof merging / sizeof *merging);
    tcase_add_test(values, what_is_not_there_cannot_be_taken_away);
    tcase_add_test(values, what_does_not_fit_into_a_route_names_it);
    tcase_add_test(values, a_routes_own_keys_are_taken_away);
    tcase_add_test(values, modes_of_guards_and_routes);
    tcase_add_test(values, relative_files_start_at_the_policy);
    tcase_add_test(values, limits_of_bodies_are_kept);
    tcase_add_test(values, what_keeps_out_is_kept);
    tcase_add_test(values, csrf_that_is_off_says_nothing_else);
    tcase_add_test(values, what_is_left_out_of_defaults_is_told);
    tcase_add_test(values, advice_names_risks);
    tcase_add_test(values, every_key_is_described_once);
    TCase *routes = new_group(suite, "routes");
    tcase_add_loop_test(routes, path_finds_route, 0, sizeof lookups / sizeof *lookups);
    tcase_add_test(routes, root_rest_takes_everything);
    tcase_add_test(routes, unknown_method_keeps_route);
    tcase_add_test(routes, lookup_cost_does_not_grow_with_routes);
    tcase_add_test(routes, backtracking_is_bounded);
    tcase_add_test(routes, long_paths_are_found_at_once);
    tcase_add_test(routes, too_many_segments_are_refused);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
