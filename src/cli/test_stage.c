/*
 * The policy is this process's own, so what is played takes its place in it:
 * handlers that would start or ask something, and the ways to authenticate,
 * which believe one credential more. The code that serves knows of neither.
 */
#include "config.h"

#include "cli/test_stage.h"

#include <stdlib.h>

#include "base/clock.h"
#include "cli/story.h"
#include "front/serve.h"

enum { COUNTERS = 100000, REPLY_LIMIT = 64 << 20, KINDS_LIMIT = 16, HANDLERS_LIMIT = 16, PIECE = 16 * 1024 };

#define PLAYED_CREDENTIAL "played.by.fcgiguard.test" /* of a form that every place takes */

struct played_route {
    struct route *route;
    struct guard_rules replies[GUARDS_LIMIT]; /* of those that judge replies */
    bool reached;
};

struct test_stage {
    struct policy *policy;
    struct handler handlers[HANDLERS_LIMIT];
    struct auth_kind kinds[KINDS_LIMIT];
    const struct auth_kind **real; /* of the policy's ways, by place */
    struct played_route *routes;
    size_t route_count;
    int64_t now;    /* milliseconds since 1970 */
    uint64_t clock; /* of the counters */
};

/* One request, and what is played in it: the exchange's owner. */
struct playing {
    struct test_stage *stage;
    const struct test_case *test;
    struct story story;
};

/* ---- handlers */

static struct verdict read_all(struct body *body)
{
    char piece[PIECE];
    ssize_t length;
    while ((length = body_read(body, piece, sizeof piece)) > 0)
        ;
    return length < 0 ? body_verdict(length) : PASS;
}

static void answer(const struct test_reply *played, struct exchange *exchange)
{
    struct reply *reply = &exchange->reply;
    *reply = (struct reply){.status = played->node ? (int)played->status : 200,
                            .length = (int64_t)played->content.text.length,
                            .from_handler = true};
    for (size_t i = 0; i < played->headers.count; i++)
        headers_add(&reply->headers, exchange->arena, played->headers.items[i].name,
                    played->headers.items[i].value);
    if (played->content.json && !headers_get(&reply->headers, "content-type"))
        headers_set(&reply->headers, exchange->arena, TEXT("Content-Type"), TEXT("application/json"));
}

static void *begin(const void *settings, struct exchange *exchange, struct verdict *verdict)
{
    struct playing *playing = exchange->owner;
    (void)settings;
    *verdict = read_all(&exchange->body);
    if (verdict->kind == VERDICT_PASS)
        playing->story.script = play_find_script(exchange, verdict);
    if (verdict->kind != VERDICT_PASS)
        return NULL;
    answer(&playing->test->reply, exchange);
    return playing;
}

static bool relay(void *state, struct exchange *exchange, struct verdict *verdict)
{
    const struct playing *playing = state;
    if (exchange_send(exchange, playing->test->reply.content.text))
        return true;
    *verdict = DENY(400, exchange->route->handler->name, "client_gone", "the reply does not fit");
    return false;
}

static void end(void *state, struct exchange *exchange)
{
    (void)state;
    (void)exchange;
}

static void play_handler(struct test_stage *stage, struct route *route)
{
    size_t i = 0;
    if (route->handler->alone && route->handler->alone(route->settings))
        return;
    while (handlers[i] != route->handler)
        i++;
    struct handler *played = &stage->handlers[i];
    *played = *route->handler;
    played->begin = begin;
    played->relay = relay;
    played->end = end;
    route->handler = played;
}

/* ---- callers */

struct held {
    void (*release)(void *what);
    void *what;
};

static void release(void *what)
{
    struct held *held = what;
    if (held && held->release && held->what)
        held->release(held->what);
}

static void release_claims(void *claims)
{
    json_decref(claims);
}

static void set_words(json_t *claims, const char *name, const struct texts *words)
{
    json_t *list = json_array();
    for (size_t i = 0; i < words->count; i++)
        json_array_append_new(list, json_stringn(words->items[i].at, words->items[i].length));
    json_object_set_new(claims, name, list);
}

static json_t *make_claims(const struct test_caller *as)
{
    json_t *claims = as->claims ? openapi_value(as->claims) : json_object();
    if (!json_object_get(claims, "sub"))
        json_object_set_new(claims, "sub", json_string(as->name));
    if (as->roles.count > 0)
        set_words(claims, "roles", &as->roles);
    if (as->scopes.count > 0)
        set_words(claims, "scope", &as->scopes);
    return claims;
}

static size_t find_method(const struct test_stage *stage, const void *rules)
{
    size_t i = 0;
    while (stage->policy->auth.items[i].rules != rules)
        i++;
    return i;
}

static struct verdict identify(const void *rules, struct credentials *store, struct text credential,
                               struct exchange *exchange, struct caller *caller, void **result)
{
    const struct playing *playing = exchange->owner;
    const struct test_stage *stage = playing->stage;
    const struct test_caller *as = &playing->test->as;
    const struct auth_kind *real = stage->real[find_method(stage, rules)];
    struct held *held = arena_alloc(exchange->arena, sizeof *held);
    *result = held;
    if (!as->node || !text_equal(credential, TEXT(PLAYED_CREDENTIAL))) {
        held->release = real->release;
        return real->identify(rules, store, credential, exchange, caller, &held->what);
    }
    json_t *claims = make_claims(as);
    *held = (struct held){release_claims, claims};
    caller->name = text_of(as->name);
    caller->roles = as->roles;
    caller->scopes = as->scopes;
    caller->claims = claims;
    return PASS;
}

static void play_method(struct test_stage *stage, size_t place)
{
    struct auth_method *method = &stage->policy->auth.items[place];
    size_t i = 0;
    while (auth_kinds[i] != method->kind)
        i++;
    struct auth_kind *played = &stage->kinds[i];
    *played = *method->kind;
    played->identify = identify;
    played->release = release;
    stage->real[place] = method->kind;
    method->kind = played;
}

/* The way by which the case's caller comes; NULL: there is none of that name. */
static const struct auth_method *method_of(const struct test_stage *stage, const struct test_caller *as)
{
    const struct auth_methods *methods = &stage->policy->auth;
    for (size_t i = 0; as->method && i < methods->count; i++)
        if (strcmp(methods->items[i].name, as->method) == 0)
            return &methods->items[i];
    return !as->method && methods->count == 1 ? methods->items : NULL;
}

/* ---- the stage */

static void add_route(struct test_stage *stage, struct route *route)
{
    struct played_route *played = &stage->routes[stage->route_count++];
    played->route = route;
    memcpy(played->replies, route->guards, sizeof played->replies);
    play_handler(stage, route);
}

struct test_stage *test_stage_new(struct policy *policy, struct error *error)
{
    struct test_stage *stage = calloc(1, sizeof *stage);
    if (!stage)
        abort(); /* as an arena would */
    stage->policy = policy;
    stage->routes = arena_array(policy->arena, policy->route_count + 1, sizeof *stage->routes);
    for (size_t i = 0; i < policy->route_count; i++)
        add_route(stage, &policy->routes[i]);
    if (policy->undocumented)
        add_route(stage, policy->undocumented);
    policy->auth.store_path = NULL;
    stage->real = arena_array(policy->arena, policy->auth.count, sizeof(struct auth_kind *));
    for (size_t i = 0; i < policy->auth.count; i++)
        play_method(stage, i);
    if (auth_methods_open(&policy->auth, error))
        return stage;
    test_stage_free(stage);
    return NULL;
}

void test_stage_free(struct test_stage *stage)
{
    policy_free(stage->policy);
    free(stage);
}

/* Where nobody knows the handler's reply, there is nothing to be judged. */
static void set_replies(struct test_stage *stage, bool judged)
{
    for (size_t i = 0; i < stage->route_count; i++)
        for (size_t k = 0; guards[k]; k++)
            if (guards[k]->stage == ON_REPLY)
                stage->routes[i].route->guards[k] =
                    judged ? stage->routes[i].replies[k] : (struct guard_rules){0};
}

static void set_time(struct test_stage *stage, const struct test_case *test)
{
    if (test->goes_on)
        stage->now += (int64_t)test->after;
    else
        stage->now = test->at ? test->at : clock_wall_milliseconds();
    stage->clock = (uint64_t)stage->now * 1000;
}

static void begin_case(struct test_stage *stage, const struct test_case *test)
{
    struct limits *limits = &stage->policy->limits;
    set_time(stage, test);
    set_replies(stage, test->reply.node);
    if (!limits->used || test->goes_on)
        return;
    limits_close(limits);
    limits->counters = counters_open_played(COUNTERS, &stage->clock);
}

/* ---- requests */

static void add_header(struct play *play, struct header *list, const char *name, struct text value)
{
    list[play->header_count++] = (struct header){text_of(name), value};
}

static struct header *find_header(struct play *play, struct header *list, const char *name)
{
    for (size_t i = 0; i < play->header_count; i++)
        if (text_equal_ignore_case(list[i].name, text_of(name)))
            return &list[i];
    return NULL;
}

/* Where the way of the caller looks for credentials. */
static void add_credential(struct play *play, struct header *list, const struct places *places,
                           struct arena *arena)
{
    const char *credential = PLAYED_CREDENTIAL;
    if (places->header) {
        bool scheme = strcmp(places->header, "authorization") == 0;
        add_header(play, list, places->header,
                   text_of(arena_printf(arena, "%s%s%s", scheme ? places->schemes[0] : "", scheme ? " " : "",
                                        credential)));
    } else if (places->cookie) {
        struct header *cookie = find_header(play, list, "cookie");
        const char *own = arena_printf(arena, "%s=%s", places->cookie, credential);
        if (cookie)
            cookie->value = text_of(arena_printf(arena, "%.*s; %s", TEXT_ARGUMENTS(cookie->value), own));
        else
            add_header(play, list, "cookie", text_of(own));
    } else if (places->query) {
        play->target = arena_printf(arena, "%s%c%s=%s", play->target, strchr(play->target, '?') ? '&' : '?',
                                    places->query, credential);
    } else {
        add_header(play, list, "authorization",
                   TEXT("Basic cGxheWVkLmJ5LmZjZ2lndWFyZC50ZXN0Og==")); /* PLAYED_CREDENTIAL and a colon */
    }
}

static void make_play(const struct test_stage *stage, const struct test_case *test, struct arena *arena,
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
    if (test->as.node) {
        const struct auth_method *method = method_of(stage, &test->as);
        add_credential(play, list, method->kind->places(method->rules), arena);
    }
}

bool test_stage_check(const struct test_stage *stage, const struct test_case *test, struct findings *findings)
{
    const struct test_caller *as = &test->as;
    const struct auth_methods *methods = &stage->policy->auth;
    if (!as->node)
        return true;
    const struct auth_method *method = method_of(stage, as);
    if (!method && as->method) {
        const char **names = arena_array(findings->arena, methods->count, sizeof *names);
        for (size_t i = 0; i < methods->count; i++)
            names[i] = methods->items[i].name;
        const char *nearest = findings_nearest(as->method, names, methods->count);
        return findings_add(findings, FINDING_ERROR, node_get(as->node, "method"),
                            "\"%s\" is no way to authenticate of the policy%s%s%s", as->method,
                            nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
    }
    if (!method)
        return findings_add(findings, FINDING_ERROR, as->node,
                            methods->count == 0 ? "the policy has no way to authenticate"
                                                : "the policy has several ways to authenticate, expected "
                                                  "`method` to name one");
    const struct places *places = method->kind->places(method->rules);
    const char *header = places->header                    ? places->header
                         : places->cookie || places->query ? NULL
                                                           : "authorization";
    for (size_t i = 0; header && i < test->headers.count; i++)
        if (text_equal_ignore_case(test->headers.items[i].name, text_of(header)))
            return findings_add(findings, FINDING_ERROR, as->node,
                                "the request has a header %s, where the caller's credential would be",
                                header);
    return true;
}

/* ---- what became of them */

static void note_reports(struct outcome *outcome, const struct exchange *exchange, const struct story *story)
{
    outcome->reports = arena_array(exchange->arena, GUARDS_LIMIT, sizeof *outcome->reports);
    for (size_t i = 0; i < story->count; i++)
        if (story->items[i].verdict.kind != VERDICT_PASS && exchange->route &&
            story_only_reports(exchange->route, story->items[i].guard))
            outcome->reports[outcome->report_count++] = story->items[i].verdict.code;
}

static struct outcome outcome_of(const struct playing *playing, const struct exchange *exchange,
                                 struct text sent)
{
    struct outcome outcome = {.verdict = exchange->verdict, .status = exchange->reply.status};
    const struct caller *caller = exchange->caller;
    const struct route *route = exchange->route;
    outcome.route = exchange->route_path;
    if (route && exchange->verdict.kind == VERDICT_PASS)
        outcome.handler = route->handler->name;
    if (outcome.handler && route->handler->begin == begin && !playing->test->reply.node &&
        !exchange->authorizes)
        outcome.status = 0;
    if (caller)
        outcome.caller = caller->name;
    outcome_read_reply(&outcome, sent, exchange->arena);
    note_reports(&outcome, exchange, &playing->story);
    return outcome;
}

static void note_reached(struct test_stage *stage, const struct route *route)
{
    for (size_t i = 0; i < stage->route_count; i++)
        if (stage->routes[i].route == route)
            stage->routes[i].reached = true;
}

static bool play_one(struct test_stage *stage, const struct test_case *test,
                     const struct expectation *expected, struct bytes *why, FILE *story)
{
    struct playing playing = {.stage = stage, .test = test};
    struct play play;
    struct bytes sent;
    struct play_channel channel = play_channel_new(test->content.text, &sent);
    struct exchange exchange = play_exchange(stage->policy, &channel);
    sent = bytes_new(exchange.arena, REPLY_LIMIT);
    exchange.owner = &playing;
    exchange.observe = story_observe;
    exchange.observer = &playing.story;
    exchange.played_time = stage->now;
    make_play(stage, test, exchange.arena, &play);
    struct params params = play_params(&play, exchange.arena);
    serve_exchange(stage->policy, &exchange, &params);
    struct outcome outcome = outcome_of(&playing, &exchange, bytes_text(&sent));
    note_reached(stage, exchange.route);
    bool fits = !expected->node || outcome_fits(&outcome, expected, why);
    if (!fits && story)
        story_tell(stage->policy, &play, &exchange, "    ", story);
    play_end(&exchange);
    return fits;
}

bool test_stage_play(struct test_stage *stage, const struct test_case *test, struct bytes *why, FILE *story)
{
    begin_case(stage, test);
    for (uint64_t i = 1; i <= test->repeat; i++) {
        if (play_one(stage, test, i < test->repeat ? &test->before : &test->expect, why, story))
            continue;
        if (test->repeat > 1)
            bytes_printf(why, " (request %d of %d)", (int)i, (int)test->repeat);
        return false;
    }
    return true;
}

size_t test_stage_uncovered(const struct test_stage *stage,
                            void (*tell)(const struct policy *, const struct route *))
{
    size_t count = 0;
    for (size_t i = 0; i < stage->route_count; i++) {
        const struct played_route *played = &stage->routes[i];
        if (played->reached || played->route == stage->policy->undocumented)
            continue;
        tell(stage->policy, played->route);
        count++;
    }
    return count;
}
