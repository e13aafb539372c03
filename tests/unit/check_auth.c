/*
 * Tests of who is calling and what he may do: a policy, a request as a web
 * server tells it, and the verdict of all guards of its route.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "front/serve.h"
#include "identity/api_key.h"
#include "identity/caller.h"
#include "policy/policy.h"
#include "token_signer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SECRET       "0123456789abcdef0123456789abcdef"

static struct arena *arena;
static struct policy *policy;
static struct exchange exchange;
static char key[API_KEY_SIZE], other_key[API_KEY_SIZE], old_key[API_KEY_SIZE];

/* ---- credentials */

static const char *digest_of(char made[API_KEY_SIZE], const char **id)
{
    struct api_key parts;
    struct error error = {0};
    char digest[API_KEY_DIGEST_TEXT_SIZE];
    ck_assert(api_key_generate(TEXT("fcg"), made, &parts, &error));
    struct api_key_digest bytes = api_key_digest(&parts);
    *id = arena_printf(arena, "%.*s", TEXT_ARGUMENTS(parts.id));
    return arena_printf(arena, "%s", api_key_digest_format(&bytes, digest));
}

static const char *token(const char *claims)
{
    static const struct signer signer = {.secret = {SECRET, sizeof SECRET - 1}, .digest = "SHA256"};
    return signer_token(&signer, arena, TEXT("{\"alg\":\"HS256\"}"), text_of(claims), NULL).at;
}

static const char *claims_with(const char *more)
{
    return arena_printf(arena, "{\"iss\":\"me\",\"exp\":%lld%s%s}", (long long)time(NULL) + 600,
                        *more ? "," : "", more);
}

/* ---- policy and request */

static const char head[] =
    "auth:\n"
    "  user: {jwt: {algorithms: HS256, secret: env:TEST_SECRET, issuer: me, cookie: session,\n"
    "               roles_claim: realm.roles, environment: {USER_EMAIL: email, GROUPS: groups}}}\n"
    "  other: {jwt: {algorithms: HS256, secret: env:TEST_OTHER, header: X-Token}}\n"
    "  forwarded: {jwt: {algorithms: HS256, secret: env:TEST_SECRET, issuer: me, forward_token: true}}\n"
    "  partner: {api_key: {header: X-API-Key, cookie: key, query: api_key, basic: true, keys: [\n"
    "    {id: %s, digest: '%s', owner: alice, roles: [admin, staff], scopes: [read, write]},\n"
    "    {id: %s, digest: '%s', owner: old, expires: 2020-01-31}]}}\n"
    "  bearer: {api_key: {header: Authorization, keys: [{id: %s, digest: '%s', owner: alice}]}}\n"
    "defaults: {exec: /bin/true}\n"
    "routes:\n"
    "  - {path: /none, auth: none}\n"
    "  - {path: /user, auth: user}\n"
    "  - {path: /both, auth: [user, partner]}\n"
    "  - {path: /chain, auth: [user, other]}\n"
    "  - {path: /optional, auth: {methods: [user], optional: true}}\n"
    "  - {path: /optional/admin, auth: {methods: [user, partner], optional: true}, roles: admin}\n"
    "  - {path: /admin, auth: [user, partner], roles: [admin, root]}\n"
    "  - {path: /scopes, auth: [user, partner], scopes: [read, write]}\n"
    "  - {path: /claims, auth: [user, partner], claims: {org.plan: [pro, team], level: 3}}\n"
    "  - {path: /staff, auth: [user, partner], claims: {roles: staff}}\n"
    "  - {path: '/users/{id}', auth: [user, partner], match: {sub: '{id}'}}\n"
    "  - {path: /query, auth: [user, partner], match: {sub: '?user'}}\n"
    "  - {path: /named, auth: [user, partner], match: {sub: '?my_id'}}\n"
    "  - {path: /forwarded, auth: forwarded}\n"
    "  - {path: /bearer, auth: bearer}\n"
    "  - {path: /report, auth: {methods: user, mode: report}}\n";

static void set_up(void)
{
    const char *id, *old_id, *digest, *old_digest;
    struct error error = {0};
    arena = arena_new();
    ck_assert_int_eq(setenv("TEST_SECRET", SECRET, 1), 0);
    ck_assert_int_eq(setenv("TEST_OTHER", "ffffffffffffffffffffffffffffffff", 1), 0);
    digest = digest_of(key, &id);
    old_digest = digest_of(old_key, &old_id);
    (void)digest_of(other_key, &(const char *){NULL});
    char *text = arena_printf(arena, head, id, digest, old_id, old_digest, id, digest);
    policy = policy_parse(text_of(text), "/policy.yaml", false, &error);
    findings_print(&policy->findings, FINDING_ERROR, stderr);
    ck_assert_uint_eq(policy->findings.errors, 0);
    ck_assert(auth_methods_open(&policy->auth, &error));
}

static void tear_down(void)
{
    policy_free(policy);
    arena_free(exchange.arena);
    exchange = (struct exchange){0};
    arena_free(arena);
}

static ssize_t receive(struct channel *channel, void *to, size_t size)
{
    (void)channel;
    (void)to;
    (void)size;
    return 0;
}

/* A request; `headers` as "NAME: value" lines with the names of parameters. */
static struct verdict ask(const char *target, const char *headers)
{
    static struct channel channel = {.receive = receive, .body_length = 0};
    static struct param items[32];
    struct params params = {items, 0};
    struct text rest = text_of(headers), line;
    size_t query = text_find(text_of(target), '?');
    arena_free(exchange.arena);
    exchange = (struct exchange){.arena = arena_new(), .channel = &channel};
    items[params.count++] = (struct param){TEXT("REQUEST_METHOD"), TEXT("GET")};
    items[params.count++] = (struct param){TEXT("REQUEST_URI"), text_of(target)};
    items[params.count++] = (struct param){TEXT("QUERY_STRING"), text_from(text_of(target), query + 1)};
    while (text_next(&rest, '\n', &line)) {
        size_t colon = text_find(line, ':');
        items[params.count++] = (struct param){{line.at, colon}, text_trim(text_from(line, colon + 1))};
    }
    return serve_judge(policy, &exchange, &params);
}

static const char *header(const char *name)
{
    const struct text *value = headers_get(&exchange.request.headers, name);
    return value ? arena_printf(arena, "%.*s", TEXT_ARGUMENTS(*value)) : NULL;
}

static void expect(struct verdict verdict, int status, const char *code, const char *about)
{
    ck_assert_msg((verdict.kind == VERDICT_PASS) == (code == NULL), "%s: %s %s", about,
                  verdict.code ? verdict.code : "passes", verdict.detail ? verdict.detail : "");
    if (code)
        ck_assert_msg(verdict.status == status && strcmp(verdict.code, code) == 0, "%s: %d %s", about,
                      verdict.status, verdict.code);
}

static void expect_caller(const char *name, const char *method)
{
    ck_assert_ptr_nonnull(exchange.caller);
    ck_assert_msg(text_equal(exchange.caller->name, text_of(name)), "%.*s",
                  TEXT_ARGUMENTS(exchange.caller->name));
    ck_assert_str_eq(exchange.caller->method, method);
}

static void expect_challenge(const char *challenge)
{
    ck_assert_msg(text_equal(exchange.challenge, text_of(challenge)), "%.*s",
                  TEXT_ARGUMENTS(exchange.challenge));
}

static const char *bearer(const char *more)
{
    return arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s", token(claims_with(more)));
}

static const char *api_key_header(const char *which)
{
    return arena_printf(arena, "HTTP_X_API_KEY: %s", which);
}

/* ---- auth */

START_TEST(none_is_anybody)
{
    expect(ask("/none", ""), 0, NULL, "none");
    ck_assert_ptr_null(exchange.caller);
    expect(ask("/none", "HTTP_AUTHORIZATION: Bearer x"), 0, NULL, "none");
    ck_assert_str_eq(header("authorization"), "Bearer x");
}
END_TEST

START_TEST(a_caller_needs_a_credential)
{
    expect(ask("/user", ""), 401, "unauthorized", "nothing");
    expect_challenge("Bearer");
    expect(ask("/both", ""), 401, "unauthorized", "nothing");
    expect_challenge("Bearer, ApiKey, Basic realm=\"api\", charset=\"UTF-8\"");
    expect(ask("/user", bearer("\"sub\":\"bob\"")), 0, NULL, "a token");
    expect_caller("bob", "user");
    ck_assert_ptr_null(header("authorization"));
    expect(ask("/both", api_key_header(key)), 0, NULL, "a key");
    expect_caller("alice", "partner");
    ck_assert_ptr_null(header("x-api-key"));
    expect(ask("/user", bearer("")), 0, NULL, "a token without sub");
    expect_caller("", "user");
}
END_TEST

START_TEST(tokens_are_refused)
{
    const char *expired =
        arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s",
                     token(arena_printf(arena, "{\"iss\":\"me\",\"exp\":%lld}", (long long)time(NULL) - 5)));
    const char *good = token(claims_with(""));
    const struct {
        const char *headers;
        int status;
        const char *code;
    } rows[] = {
        {expired, 401, "token_expired"},
        {"HTTP_AUTHORIZATION: Bearer a.b.c", 401, "invalid_token"},
        {"HTTP_AUTHORIZATION: Bearer", 400, "invalid_request"},
        {"HTTP_AUTHORIZATION: Bearer ", 400, "invalid_request"},
        {"HTTP_AUTHORIZATION: Basic YTpi", 401, "unauthorized"},
        {"HTTP_AUTHORIZATION: Bearerx", 401, "unauthorized"},
        {"HTTP_AUTHORIZATION: Digest x", 401, "unauthorized"},
        {arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s, Bearer %s", good, good), 400, "invalid_request"},
        {arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s %s", good, good), 400, "invalid_request"},
        {arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s\nHTTP_COOKIE: session=%s", good, good), 400,
         "invalid_request"},
        {arena_printf(arena, "HTTP_COOKIE: session=%s; session=%s", good, good), 400, "invalid_request"},
        {arena_printf(arena, "HTTP_COOKIE: session="), 400, "invalid_request"},
        {arena_printf(arena, "HTTP_X_TOKEN: %s", good), 401, "unauthorized"},
        {arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s=", good), 401, "invalid_token"},
        {bearer("\"aud\":\"somebody\""), 401, "invalid_token"},
        {bearer("\"iss\":\"me\""), 401, "invalid_token"}, /* twice */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        expect(ask("/user", rows[i].headers), rows[i].status, rows[i].code,
               arena_printf(arena, "row %zu", i));
        ck_assert_ptr_null(exchange.caller);
    }
    expect(ask("/user", expired), 401, "token_expired", "expired");
    expect_challenge("Bearer error=\"invalid_token\", error_description=\"the token has expired\"");
    expect(ask("/user?access_token=x", arena_printf(arena, "HTTP_X: y")), 401, "unauthorized",
           "in the query");
}
END_TEST

START_TEST(tokens_may_be_written_in_several_ways)
{
    const char *good = token(claims_with("\"sub\":\"bob\""));
    expect(ask("/user", arena_printf(arena, "HTTP_AUTHORIZATION: bearer   %s", good)), 0, NULL, "lower case");
    expect(ask("/user", arena_printf(arena, "HTTP_COOKIE: a=1; session=%s; b=2", good)), 0, NULL, "a cookie");
    ck_assert_str_eq(header("cookie"), "a=1; b=2");
    expect(ask("/user", arena_printf(arena, "HTTP_COOKIE: session=%s", good)), 0, NULL, "one cookie");
    ck_assert_ptr_null(header("cookie"));
    expect(ask("/forwarded", arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s", good)), 0, NULL,
           "forwarded");
    ck_assert_str_eq(header("authorization"), arena_printf(arena, "Bearer %s", good));
}
END_TEST

START_TEST(keys_are_refused)
{
    char typo[API_KEY_SIZE];
    memcpy(typo, key, sizeof typo);
    typo[30] = typo[30] == '0' ? '1' : '0';
    const char *const wrong[] = {typo, other_key, old_key, "x", "fcg_a_b", arena_printf(arena, "%sx", key)};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        expect(ask("/both", api_key_header(wrong[i])), 401, "invalid_token", wrong[i]);
        ck_assert_ptr_null(exchange.caller);
        ck_assert_ptr_null(header("x-api-key"));
    }
    expect(ask("/both", ""), 401, "unauthorized", "none");
    expect(ask("/both", "HTTP_X_API_KEY:"), 400, "invalid_request", "empty");
    expect(ask(arena_printf(arena, "/both?api_key=%s", key), api_key_header(key)), 400, "invalid_request",
           "two");
    expect(ask(arena_printf(arena, "/both?api_key=%s&api_key=%s", key, key), ""), 400, "invalid_request",
           "twice");
}
END_TEST

static const char *basic(const char *pair)
{
    unsigned char encoded[512];
    (void)EVP_EncodeBlock(encoded, (const unsigned char *)pair, (int)strlen(pair));
    return arena_printf(arena, "HTTP_AUTHORIZATION: Basic %s", (char *)encoded);
}

START_TEST(keys_may_stand_in_several_places)
{
    expect(ask("/both", arena_printf(arena, "HTTP_COOKIE: key=%s; x=y", key)), 0, NULL, "cookie");
    ck_assert_str_eq(header("cookie"), "x=y");
    expect(ask("/both", basic(arena_printf(arena, "%s:", key))), 0, NULL, "basic");
    ck_assert_ptr_null(header("authorization"));
    expect(ask("/both", basic(arena_printf(arena, "%s:x", key))), 400, "invalid_request", "a password");
    expect(ask("/both", basic(key)), 400, "invalid_request", "no colon");
    expect(ask("/both", "HTTP_AUTHORIZATION: Basic !!!!"), 400, "invalid_request", "no base64");
    expect(ask("/bearer", arena_printf(arena, "HTTP_AUTHORIZATION: Bearer %s", key)), 0, NULL, "bearer");
    expect(ask("/bearer", arena_printf(arena, "HTTP_AUTHORIZATION: ApiKey %s", key)), 0, NULL, "apikey");
    expect(ask("/bearer", api_key_header(key)), 401, "unauthorized", "another header");
}
END_TEST

START_TEST(keys_are_taken_out_of_the_query)
{
    static const struct {
        const char *before, *after, *target;
    } rows[] = {
        {"?api_key=%s", "", "/both"},
        {"?a=1&api_key=%s&b=2", "a=1&b=2", "/both?a=1&b=2"},
        {"?api%%5Fkey=%s&a=%%20", "a=%20", "/both?a=%20"},
        {"?%%61pi_key=%s", "", "/both"},
        {"?&&api_key=%s", "&", "/both?&"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *query = arena_printf(arena, rows[i].before, key);
        expect(ask(arena_printf(arena, "/both%s", query), ""), 0, NULL, query);
        ck_assert_msg(text_equal(exchange.request.target, text_of(rows[i].target)), "row %zu: %.*s", i,
                      TEXT_ARGUMENTS(exchange.request.target));
        ck_assert(text_equal(exchange.request.query, text_of(rows[i].after)));
        ck_assert_int_eq(exchange.request.has_query, *rows[i].after != '\0');
    }
}
END_TEST

START_TEST(several_ways_are_tried_in_turn)
{
    const char *user = bearer("\"sub\":\"bob\"");
    expect(ask("/both", arena_printf(arena, "%s\n%s", user, api_key_header(key))), 0, NULL, "both are good");
    expect_caller("bob", "user");
    expect(ask("/both", arena_printf(arena, "%s\n%s", user, api_key_header(other_key))), 0, NULL,
           "first is good");
    ck_assert_ptr_null(header("x-api-key"));
    expect(ask("/both", arena_printf(arena, "HTTP_AUTHORIZATION: Bearer a.b.c\n%s", api_key_header(key))), 0,
           NULL, "second is good");
    expect_caller("alice", "partner");
    expect(
        ask("/both", arena_printf(arena, "HTTP_AUTHORIZATION: Bearer a.b.c\n%s", api_key_header(other_key))),
        401, "invalid_token", "none is good");
    expect(ask("/chain", user), 0, NULL, "the first of two");
    expect(ask("/chain", arena_printf(arena, "HTTP_X_TOKEN: %s", token(claims_with("")))), 401,
           "invalid_token", "by another secret");
}
END_TEST

START_TEST(optional_admits_nobody_but_no_wrong_one)
{
    expect(ask("/optional", ""), 0, NULL, "nobody");
    ck_assert_ptr_null(exchange.caller);
    ck_assert(exchange.authenticates);
    expect(ask("/optional", "HTTP_AUTHORIZATION: Bearer a.b.c"), 401, "invalid_token", "wrong");
    expect(ask("/optional", bearer("\"sub\":\"bob\"")), 0, NULL, "somebody");
    expect_caller("bob", "user");
    expect(ask("/optional/admin", ""), 401, "unauthorized", "nobody is no admin");
    expect_challenge("Bearer, ApiKey, Basic realm=\"api\", charset=\"UTF-8\"");
    expect(ask("/optional/admin", api_key_header(key)), 0, NULL, "an admin");
    expect(ask("/report", ""), 0, NULL, "only reported");
    expect(ask("/report", "HTTP_AUTHORIZATION: Bearer a.b.c"), 0, NULL, "only reported");
    ck_assert_ptr_null(exchange.caller);
    ck_assert_ptr_null(header("authorization"));
}
END_TEST

/* ---- what a caller may do */

START_TEST(what_a_token_allows)
{
    static const struct {
        const char *target, *claims;
        int status;
        const char *code;
    } rows[] = {
        {"/admin", "\"realm\":{\"roles\":[\"admin\"]}", 0, NULL},
        {"/admin", "\"realm\":{\"roles\":[\"x\",\"root\"]}", 0, NULL},
        {"/admin", "\"realm\":{\"roles\":\"x root\"}", 0, NULL},
        {"/admin", "\"realm.roles\":[\"admin\"]", 0, NULL},
        {"/admin", "\"realm.roles\":[],\"realm\":{\"roles\":[\"admin\"]}", 403, "forbidden"},
        {"/admin", "\"roles\":[\"admin\"]", 403, "forbidden"},
        {"/admin", "\"realm\":{\"roles\":[\"Admin\",\"administrator\"]}", 403, "forbidden"},
        {"/admin", "\"realm\":{\"roles\":[[\"admin\"]]}", 403, "forbidden"},
        {"/admin", "\"realm\":[\"admin\"]", 403, "forbidden"},
        {"/admin", "\"realm\":{\"roles\":{\"admin\":true}}", 403, "forbidden"},
        {"/scopes", "\"scope\":\"read write\"", 0, NULL},
        {"/scopes", "\"scope\":[\"write\",\"read\",\"more\"]", 0, NULL},
        {"/scopes", "\"scope\":\"read\"", 403, "insufficient_scope"},
        {"/scopes", "\"scope\":\"readwrite\"", 403, "insufficient_scope"},
        {"/scopes", "\"scope\":\"read\\twrite\"", 403, "insufficient_scope"},
        {"/scopes", "\"scope\":7", 403, "insufficient_scope"},
        {"/claims", "\"org\":{\"plan\":\"pro\"},\"level\":3", 0, NULL},
        {"/claims", "\"org\":{\"plan\":[\"x\",\"team\"]},\"level\":\"3\"", 0, NULL},
        {"/claims", "\"org.plan\":\"pro\",\"level\":[3]", 0, NULL},
        {"/claims", "\"org\":{\"plan\":\"pro\"}", 403, "forbidden"},
        {"/claims", "\"org\":{\"plan\":\"free\"},\"level\":3", 403, "forbidden"},
        {"/claims", "\"org\":{\"plan\":\"pro\"},\"level\":3.5", 403, "forbidden"},
        {"/claims", "\"org\":\"plan\",\"level\":3", 403, "forbidden"},
        {"/claims", "\"org\":{\"plan\":null},\"level\":3", 403, "forbidden"},
        {"/users/bob", "\"sub\":\"bob\"", 0, NULL},
        {"/users/b%6fb", "\"sub\":\"bob\"", 0, NULL},
        {"/users/bob", "\"sub\":\"bobo\"", 403, "forbidden"},
        {"/users/Bob", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/users/bob", "\"x\":1", 403, "forbidden"},
        {"/query?user=bob", "\"sub\":\"bob\"", 0, NULL},
        {"/query?a=b&us%65r=b%6fb", "\"sub\":\"bob\"", 0, NULL},
        {"/query?user=bob&user=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=alice&user=bob", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=", "\"sub\":\"\"", 401, "invalid_token"},
        {"/query?user=", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?a=1;b=2&user=bob&users=x&us[er]=y&xuser=z", "\"sub\":\"bob\"", 0, NULL},
        {"/query?user=bob%3bx", "\"sub\":\"bob;x\"", 0, NULL},
        {"/query?user=bob;x", "\"sub\":\"bob;x\"", 403, "forbidden"},
        {"/query?a=1;user=alice&user=bob", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=bob&a=1;us%65r=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=bob&;user", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=bob&user[]=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user%5bx%5d=alice&user=bob", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=bob&+user=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=bob&%20%20user=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?user=bob&user%00x=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/named?my_id=bob", "\"sub\":\"bob\"", 0, NULL},
        {"/named?my_id=bob&my.id=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/named?my_id=bob&my+id=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/named?my_id=bob&my[id=alice", "\"sub\":\"bob\"", 403, "forbidden"},
        {"/query?USER=bob", "\"sub\":\"bob\"", 403, "forbidden"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        expect(ask(rows[i].target, bearer(rows[i].claims)), rows[i].status, rows[i].code,
               arena_printf(arena, "row %zu: %s %s", i, rows[i].target, rows[i].claims));
    expect(ask("/scopes", bearer("\"scope\":\"read\"")), 403, "insufficient_scope", "scope");
    expect_challenge("Bearer error=\"insufficient_scope\", scope=\"read write\"");
}
END_TEST

START_TEST(what_a_key_allows)
{
    const char *good = api_key_header(key);
    expect(ask("/admin", good), 0, NULL, "a role");
    expect(ask("/scopes", good), 0, NULL, "scopes");
    expect(ask("/staff", good), 0, NULL, "roles as a claim");
    expect(ask("/users/alice", good), 0, NULL, "his own");
    expect(ask("/users/bob", good), 403, "forbidden", "another's");
    expect(ask("/claims", good), 403, "forbidden", "no such claim");
}
END_TEST

/* ---- claims as texts */

START_TEST(claims_become_texts)
{
    static const struct {
        const char *json, *path, *text; /* NULL: none */
    } rows[] = {
        {"{\"a\":\"x y\"}", "a", "x y"},
        {"{\"a\":[\"x\",\"y\"]}", "a", "x y"},
        {"{\"a\":[\"x y\",\"z\"]}", "a", "[\"x y\",\"z\"]"},
        {"{\"a\":[\"\"]}", "a", "[\"\"]"},
        {"{\"a\":[]}", "a", NULL},
        {"{\"a\":7}", "a", "7"},
        {"{\"a\":true}", "a", "true"},
        {"{\"a\":null}", "a", NULL},
        {"{\"a\":{\"c\":1,\"b\":2}}", "a", "{\"b\":2,\"c\":1}"},
        {"{\"a\":{\"b\":{\"c\":\"d\"}}}", "a.b.c", "d"},
        {"{\"a.b\":{\"c\":\"d\"}}", "a.b.c", "d"},
        {"{\"a.b.c\":\"e\",\"a\":{\"b\":{\"c\":\"d\"}}}", "a.b.c", "e"},
        {"{\"https://x.example/r\":\"d\"}", "https://x.example/r", "d"},
        {"{\"a\":1}", "b", NULL},
        {"{\"a\":1}", "a.b", NULL},
        {"{\"a\":1}", ".", NULL},
        {"{\"\":{\"\":1}}", ".", "1"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        json_t *claims = json_loads(rows[i].json, 0, NULL);
        struct text text = caller_claim_text(caller_claim(claims, rows[i].path), arena);
        ck_assert_msg((text.at != NULL) == (rows[i].text != NULL), "row %zu", i);
        ck_assert_msg(!rows[i].text || text_equal(text, text_of(rows[i].text)), "row %zu: %.*s", i,
                      TEXT_ARGUMENTS(text));
        json_decref(claims);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *requests = tcase_create("requests");
    tcase_add_checked_fixture(requests, set_up, tear_down);
    tcase_add_test(requests, none_is_anybody);
    tcase_add_test(requests, a_caller_needs_a_credential);
    tcase_add_test(requests, tokens_are_refused);
    tcase_add_test(requests, tokens_may_be_written_in_several_ways);
    tcase_add_test(requests, keys_are_refused);
    tcase_add_test(requests, keys_may_stand_in_several_places);
    tcase_add_test(requests, keys_are_taken_out_of_the_query);
    tcase_add_test(requests, several_ways_are_tried_in_turn);
    tcase_add_test(requests, optional_admits_nobody_but_no_wrong_one);
    tcase_add_test(requests, what_a_token_allows);
    tcase_add_test(requests, what_a_key_allows);
    tcase_add_test(requests, claims_become_texts);
    suite_add_tcase(suite, requests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
