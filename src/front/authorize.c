/*
 * The request that is asked about stands in parameters, because those come from
 * the web server alone: a client's headers can say anything, and reach us with
 * the question. Only a trusted proxy's headers are believed.
 */
#include "config.h"

#include "front/authorize.h"

#include "identity/caller.h"
#include "policy/route.h"
#include "respond/mask.h"

#define NAME "authorize"

enum { REPLACED = 4 }; /* parameters, at most */

static bool answers(const struct route *route)
{
    return route && route_authorizes(route);
}

bool authorize_is_asked(const struct policy *policy, const struct exchange *exchange)
{
    if (exchange->route || exchange->request.path.length == 0)
        return answers(exchange->route);
    struct exchange probe = *exchange; /* refused before it had a route */
    return router_find(policy->router, &probe).kind == VERDICT_PASS && answers(probe.route);
}

/* ---- the other request */

static struct text find(const struct params *params, struct text name)
{
    for (size_t i = 0; i < params->count; i++)
        if (text_equal(params->items[i].name, name))
            return params->items[i].value;
    return (struct text){0};
}

static struct params copy(const struct params *params, struct arena *arena)
{
    struct params made = {arena_array(arena, params->count + REPLACED, sizeof *made.items), params->count};
    if (params->count)
        memcpy(made.items, params->items, params->count * sizeof *made.items);
    return made;
}

static void replace(struct params *params, struct text name, struct text value)
{
    size_t kept = 0;
    for (size_t i = 0; i < params->count; i++)
        if (!text_equal(params->items[i].name, name))
            params->items[kept++] = params->items[i];
    params->items[kept++] = (struct param){name, value};
    params->count = kept;
}

/* The web server has the body and keeps it, so CONTENT_LENGTH is missing or that of the question. */
static void replace_length(struct params *params)
{
    struct text length = find(params, TEXT("HTTP_CONTENT_LENGTH"));
    replace(params, TEXT("CONTENT_LENGTH"), length);
}

struct params authorize_params(const struct exchange *exchange, const struct params *params)
{
    struct params made = copy(params, exchange->arena);
    replace_length(&made);
    return made;
}

/* One request, as one kind of web server tells of it; false when it does not. */
static bool read_pair(const struct headers *headers, const char *uri, const char *method, struct text *target,
                      struct text *verb)
{
    const struct text *first = headers_get(headers, uri), *second = headers_get(headers, method);
    *target = first ? *first : (struct text){0};
    *verb = second ? *second : (struct text){0};
    return first || second;
}

/* Of two that tell, one could be the client's word, which its proxy let pass. */
static bool read_proxy(const struct request *request, struct params *original)
{
    struct text uri, method, other_uri, other_method;
    const struct headers *headers = &request->headers;
    bool forwarded = read_pair(headers, "x-forwarded-uri", "x-forwarded-method", &uri, &method);
    bool other = read_pair(headers, "x-original-uri", "x-original-method", &other_uri, &other_method);
    const struct text *host = headers_get(headers, "x-forwarded-host");
    if (!request->through_proxy || forwarded == other)
        return false;
    replace(original, TEXT("REQUEST_URI"), forwarded ? uri : other_uri);
    replace(original, TEXT("REQUEST_METHOD"), forwarded ? method : other_method);
    if (forwarded && host) /* beside the other pair it would be the client's own */
        replace(original, TEXT("HTTP_HOST"), *host);
    return true;
}

static void forget(struct exchange *exchange)
{
    exchange->route = NULL;
    exchange->route_path = NULL;
    exchange->method_known = exchange->authenticates = false;
    exchange->version = NULL;
    exchange->lifetime = NULL;
    exchange->version_found = 0;
    exchange->allow = exchange->script_name = exchange->path_info = exchange->rest = (struct text){0};
    exchange->capture_count = 0;
    exchange->caller = NULL;
    exchange->told = (struct texts){0};
    exchange->details = exchange->challenge = (struct text){0};
    exchange->body.limit = UINT64_MAX;
    exchange->reading = NULL;
    exchange->rejecting = NULL;
    exchange->type_named = false;
}

struct verdict authorize_original(struct exchange *exchange, const struct params *params,
                                  struct params *original)
{
    struct text uri = find(params, TEXT("ORIGINAL_URI")), method = find(params, TEXT("ORIGINAL_METHOD"));
    *original = copy(params, exchange->arena);
    replace_length(original);
    if (uri.length > 0 || method.length > 0) {
        replace(original, TEXT("REQUEST_URI"), uri);
        replace(original, TEXT("REQUEST_METHOD"), method);
    } else if (!read_proxy(&exchange->request, original)) {
        return DENY(403, NAME, "original_missing",
                    "neither parameters nor a trusted proxy tell of a request");
    }
    if (find(original, TEXT("REQUEST_URI")).length == 0 || find(original, TEXT("REQUEST_METHOD")).length == 0)
        return DENY(403, NAME, "original_missing", "only one of its target and its method is told");
    forget(exchange);
    return PASS;
}

void authorize_state_body(struct exchange *exchange, const struct params *params)
{
    exchange->body.stated = exchange->request.content_length;
    /* Apache tells no authorizer of a length. One that has begun elsewhere is not empty. */
    if (exchange->body.stated < 0 && (find(params, TEXT("HTTP_TRANSFER_ENCODING")).length > 0 ||
                                      exchange->request.content_type.length > 0))
        exchange->body.received = 1;
}

/* ---- the answer */

struct verdict authorize_judge(const struct exchange *exchange)
{
    const struct caller *caller = exchange->caller;
    if (answers(exchange->route))
        return DENY(403, NAME, "forbidden", "what is asked about is the question itself");
    if (caller && !header_value_is_safe(caller->name))
        return DENY(403, NAME, "forbidden", "the caller's name cannot be told in a header");
    return PASS;
}

struct verdict authorize_refusal(struct verdict verdict)
{
    if (verdict.status != 401)
        verdict.status = 403;
    if (verdict.kind == VERDICT_ANSWER)
        verdict.kind = VERDICT_DENY;
    return verdict;
}

static void tell(struct exchange *exchange, struct text variable, struct text value)
{
    struct arena *arena = exchange->arena;
    struct text name;
    if (!header_value_is_safe(value) && exchange->authorizer)
        return;
    if (!header_value_is_safe(value))
        value = TEXT("");
    if (exchange->authorizer) /* FastCGI specification, 6.3 */
        name = text_of(arena_printf(arena, "Variable-%.*s", TEXT_ARGUMENTS(variable)));
    else
        name = header_of_variable(variable, arena);
    headers_set(&exchange->reply.headers, arena, name, value);
}

/* Of nobody it is told that he is nobody, and of a claim that is not there that it
 * is empty: nginx and Caddy would else keep what they have, be it the client's own
 * word. An environment begins empty. */
static void tell_caller(struct exchange *exchange, const struct caller *caller)
{
    if (exchange->authorizer && caller->name.length == 0 && !caller->method)
        return;
    if (!exchange->authorizer || caller->name.length > 0)
        tell(exchange, TEXT("REMOTE_USER"), caller->name);
    tell(exchange, TEXT("AUTH_TYPE"), text_of(caller->scheme ? caller->scheme : ""));
    tell(exchange, TEXT("AUTH_METHOD"), text_of(caller->method ? caller->method : ""));
    tell(exchange, TEXT("AUTH_ROLES"), caller_join(&caller->roles, exchange->arena));
    tell(exchange, TEXT("AUTH_SCOPES"), caller_join(&caller->scopes, exchange->arena));
}

void authorize_reply(struct exchange *exchange)
{
    static const struct caller nobody;
    const struct caller *caller = exchange->caller;
    /* Apache hands every other header of an authorizer on to the client. */
    exchange->reply = (struct reply){.status = exchange->authorizer ? 200 : 204, .length = -1};
    for (size_t i = 0; !exchange->authorizer && i < exchange->told.count; i++)
        tell(exchange, exchange->told.items[i], TEXT(""));
    for (size_t i = 0; caller && i < caller->variable_count; i++)
        tell(exchange, caller->variables[i].name, caller->variables[i].value);
    if (!exchange->authorizer)
        mask_headers(&exchange->reply, NULL);
    if (!exchange->authorizer)
        headers_set(&exchange->reply.headers, exchange->arena, TEXT("Cache-Control"), TEXT("no-store"));
    tell_caller(exchange, caller ? caller : &nobody);
}
