/*
 * The credential is placed as the way's own table of places has it, so that it is
 * found, and taken out again, as any other is.
 */
#include "config.h"

#include "cli/test_request.h"

#include "policy/policy.h"

const struct auth_method *test_request_method(const struct auth_methods *methods,
                                              const struct test_caller *as)
{
    for (size_t i = 0; as->method && i < methods->count; i++)
        if (strcmp(methods->items[i].name, as->method) == 0)
            return &methods->items[i];
    return !as->method && methods->count == 1 ? methods->items : NULL;
}

static bool refuse_method(const struct auth_methods *methods, const struct test_caller *as,
                          struct findings *findings)
{
    const char **names = arena_array(findings->arena, methods->count, sizeof *names);
    if (methods->count == 0)
        return findings_add(findings, FINDING_ERROR, as->node, "the policy has no way to authenticate");
    if (!as->method)
        return findings_add(findings, FINDING_ERROR, as->node,
                            "the policy has several ways to authenticate, expected `method` to name one");
    for (size_t i = 0; i < methods->count; i++)
        names[i] = methods->items[i].name;
    const char *nearest = findings_nearest(as->method, names, methods->count);
    return findings_add(findings, FINDING_ERROR, node_get(as->node, "method"),
                        "\"%s\" is no way to authenticate of the policy%s%s%s", as->method,
                        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* TEST_FIRST for one that the way has not. */
static enum test_place place_of(const struct places *places, const struct test_caller *as)
{
    const bool has[] = {[TEST_HEADER] = places->header,
                        [TEST_COOKIE] = places->cookie,
                        [TEST_QUERY] = places->query,
                        [TEST_BASIC] = places->basic};
    if (as->place != TEST_FIRST)
        return has[as->place] ? (enum test_place)as->place : TEST_FIRST;
    enum test_place place = TEST_HEADER;
    while (!has[place] && place < TEST_BASIC)
        place++;
    return place;
}

static const char *header_of(const struct places *places, enum test_place place)
{
    return place == TEST_HEADER ? places->header : place == TEST_BASIC ? "authorization" : NULL;
}

static bool check_caller(const struct auth_methods *methods, const struct test_case *test,
                         struct findings *findings)
{
    if (!test->as.node)
        return true;
    const struct auth_method *method = test_request_method(methods, &test->as);
    if (!method)
        return refuse_method(methods, &test->as, findings);
    const struct places *places = method->kind->places(method->rules);
    const enum test_place place = place_of(places, &test->as);
    if (place == TEST_FIRST)
        return findings_add(findings, FINDING_ERROR, node_get(test->as.node, "place"),
                            "%s looks for no credential there", method->name);
    const char *header = header_of(places, place);
    for (size_t i = 0; header && i < test->headers.count; i++)
        if (text_equal_ignore_case(test->headers.items[i].name, text_of(header)))
            return findings_add(findings, FINDING_ERROR, test->as.node,
                                "the request has a header %s, where the caller's credential would be",
                                header);
    return true;
}

static void add_header(struct play *play, struct header *list, const char *name, struct text value)
{
    list[play->header_count++] = (struct header){text_of(name), value};
}

/* FastCGI specification, 6.3. */
static bool check_role(const struct policy *policy, const struct test_case *test, struct findings *findings)
{
    const struct node *role = node_get(test->node, "role");
    if (test->role != TEST_AUTHORIZER)
        return true;
    if (!policy->server.authorizer)
        return findings_add(findings, FINDING_ERROR, role,
                            "the policy takes no such role, expected `authorizer: true` in it");
    return !test->content.text.at ||
           findings_add(findings, FINDING_ERROR, role, "an authorizer is not given the body");
}

bool test_request_check(const struct policy *policy, const struct test_case *test, struct findings *findings)
{
    bool good = check_role(policy, test, findings);
    return check_caller(&policy->auth, test, findings) && good;
}

static struct header *find_header(struct play *play, struct header *list, const char *name)
{
    for (size_t i = 0; i < play->header_count; i++)
        if (text_equal_ignore_case(list[i].name, text_of(name)))
            return &list[i];
    return NULL;
}

static void add_cookie(struct play *play, struct header *list, const char *own, struct arena *arena)
{
    struct header *cookie = find_header(play, list, "cookie");
    if (cookie)
        cookie->value = text_of(arena_printf(arena, "%.*s; %s", TEXT_ARGUMENTS(cookie->value), own));
    else
        add_header(play, list, "cookie", text_of(own));
}

static void add_credential(struct play *play, struct header *list, const struct places *places,
                           enum test_place place, struct arena *arena)
{
    bool scheme = places->header && strcmp(places->header, "authorization") == 0;
    if (place == TEST_HEADER)
        add_header(play, list, places->header,
                   text_of(arena_printf(arena, "%s%s" PLAYED_CREDENTIAL, scheme ? places->schemes[0] : "",
                                        scheme ? " " : "")));
    else if (place == TEST_COOKIE)
        add_cookie(play, list, arena_printf(arena, "%s=" PLAYED_CREDENTIAL, places->cookie), arena);
    else if (place == TEST_QUERY)
        play->target = arena_printf(arena, "%s%c%s=" PLAYED_CREDENTIAL, play->target,
                                    strchr(play->target, '?') ? '&' : '?', places->query);
    else /* the user of Basic (RFC 7617): the base64 of PLAYED_CREDENTIAL and a colon */
        add_header(play, list, "authorization", TEXT("Basic cGxheWVkLmJ5LmZjZ2lndWFyZC50ZXN0Og=="));
}

void test_request_make(const struct auth_methods *methods, const struct test_case *test, struct arena *arena,
                       struct play *play)
{
    enum { OWN_HEADERS = 3 };
    size_t count = test->headers.count + OWN_HEADERS;
    struct header *list = arena_array(arena, count, sizeof *list);
    *play = (struct play){.method = test->method,
                          .target = test->target,
                          .address = test->address,
                          .secure = test->https,
                          .body = test->content.text,
                          .headers = list,
                          .parameters = test->parameters.items,
                          .parameter_count = test->parameters.count};
    for (size_t i = 0; i < test->headers.count; i++)
        list[play->header_count++] =
            (struct header){test->headers.items[i].name, test->headers.items[i].value};
    if (test->host)
        add_header(play, list, "host", text_of(test->host));
    if (test->content.json && !find_header(play, list, "content-type"))
        add_header(play, list, "content-type", TEXT("application/json"));
    if (!test->as.node)
        return;
    const struct auth_method *method = test_request_method(methods, &test->as);
    const struct places *places = method->kind->places(method->rules);
    add_credential(play, list, places, place_of(places, &test->as), arena);
}
