/*
 * Handlers that read the body and answer what the case says, and ways to
 * authenticate that believe one credential more. The policy is this process's own, so they
 * take the places of the real ones in it, and the code that serves knows of neither.
 */
#include "config.h"

#include "cli/test_cast.h"

#include <assert.h>

#include "cli/test_request.h"

enum { PIECE = 16 * 1024 };

/* ---- handlers */

static struct verdict read_all(struct body *body)
{
    char piece[PIECE];
    ssize_t length;
    while ((length = body_read(body, piece, sizeof piece)) > 0)
        ;
    return length < 0 ? body_verdict(length) : PASS;
}

/* Where nobody knows what, it is nothing, which no guard minds. */
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
    struct verdict found = PASS;
    *verdict = read_all(&exchange->body);
    if (verdict->kind == VERDICT_PASS)
        playing->story.script = play_find_script(exchange, &found);
    if (found.status == 404) /* that it may be started is for another machine to say */
        *verdict = found;
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

void test_cast_handler(struct test_cast *cast, struct route *route)
{
    size_t i = 0;
    if (route->handler->alone && route->handler->alone(route->settings))
        return;
    while (handlers[i] != route->handler)
        i++;
    assert(i < TEST_CAST_LIMIT);
    struct handler *played = &cast->handlers[i];
    *played = *route->handler;
    played->begin = begin;
    played->relay = relay;
    played->end = end;
    route->handler = played;
}

bool test_cast_answers(const struct route *route)
{
    return route->handler->begin == begin;
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

static size_t find_method(const struct test_cast *cast, const void *rules)
{
    size_t i = 0;
    while (cast->methods->items[i].rules != rules)
        i++;
    return i;
}

static void tell_variables(const struct auth_method *method, struct caller *caller, struct arena *arena)
{
    static const struct pairs none;
    const struct pairs *pairs = method->kind->variables ? method->kind->variables(method->rules) : &none;
    caller->variables = arena_array(arena, pairs->count, sizeof *caller->variables);
    for (size_t i = 0; i < pairs->count; i++) {
        const json_t *claim = caller_claim(caller->claims, pairs->items[i].value.at);
        struct text value = caller_claim_text(claim, arena);
        if (value.at)
            caller->variables[caller->variable_count++] =
                (struct caller_variable){pairs->items[i].name, value};
    }
}

static void play_caller(const struct auth_method *method, const struct test_caller *as, struct arena *arena,
                        struct caller *caller)
{
    caller->name = text_of(as->name);
    caller->roles = as->roles;
    caller->scopes = as->scopes;
    caller->claims = make_claims(as);
    tell_variables(method, caller, arena);
}

static struct verdict identify(const void *rules, struct credentials *store, struct text credential,
                               struct exchange *exchange, struct caller *caller, void **result)
{
    const struct playing *playing = exchange->owner;
    const struct test_cast *cast = playing->cast;
    const struct test_caller *as = &playing->test->as;
    const size_t place = find_method(cast, rules);
    const struct auth_method *method = &cast->methods->items[place];
    struct held *held = arena_alloc(exchange->arena, sizeof *held);
    *result = held;
    if (!as->node || method != test_request_method(cast->methods, as) ||
        !text_equal(credential, TEXT(PLAYED_CREDENTIAL))) {
        held->release = cast->real[place]->release;
        return cast->real[place]->identify(rules, store, credential, exchange, caller, &held->what);
    }
    play_caller(method, as, exchange->arena, caller);
    *held = (struct held){release_claims, (void *)(uintptr_t)caller->claims};
    return PASS;
}

static void play_method(struct test_cast *cast, size_t place)
{
    struct auth_method *method = &cast->methods->items[place];
    size_t i = 0;
    while (auth_kinds[i] != method->kind)
        i++;
    assert(i < TEST_CAST_LIMIT);
    struct auth_kind *played = &cast->kinds[i];
    *played = *method->kind;
    played->identify = identify;
    played->release = release;
    cast->real[place] = method->kind;
    method->kind = played;
}

void test_cast_methods(struct test_cast *cast, struct auth_methods *methods, struct arena *arena)
{
    cast->methods = methods;
    cast->real = arena_array(arena, methods->count, sizeof(struct auth_kind *));
    for (size_t i = 0; i < methods->count; i++)
        play_method(cast, i);
}
