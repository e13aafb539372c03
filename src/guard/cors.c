/*
 * cors: judges the origin of a request. It has two turns: the first refuses, where
 * the rules say so, and the second answers preflights, which is no refusal and so
 * is done by a route that only reports, too.
 */
#include "config.h"

#include "guard/cors.h"
#include "guard/guard.h"

/* ---- what a request is */

bool cors_is_preflight(const struct request *request, struct text *asked)
{
    const struct text *method = headers_get(&request->headers, "access-control-request-method");
    *asked = method ? *method : (struct text){0};
    return text_equal(request->method, TEXT("OPTIONS")) && method && headers_get(&request->headers, "origin");
}

enum cors_origin cors_judge_origin(const struct cors *cors, const struct request *request,
                                   struct text *origin)
{
    const struct text *sent = headers_get(&request->headers, "origin");
    *origin = sent ? *sent : (struct text){0};
    if (!sent)
        return CORS_NO_ORIGIN;
    if (cors->origins.any || (cors->origins.opaque && text_equal(*sent, TEXT("null"))))
        return CORS_ALLOWED;
    for (size_t i = 0; i < cors->origins.count; i++)
        if (origin_fits(&cors->origins.items[i], *sent))
            return CORS_ALLOWED;
    return CORS_REFUSED;
}

bool cors_allows_method(const struct cors_rules *rules, struct text method)
{
    const struct cors_names *names = &rules->cors->methods;
    bool own = names->items.count == 0 && !names->all;
    return names->all || texts_have(own ? &rules->methods : &names->items, method) ||
           text_equal(method, TEXT("GET")) || text_equal(method, TEXT("HEAD")) ||
           text_equal(method, TEXT("POST"));
}

static bool allows_header(const struct cors_names *names, struct text name)
{
    bool covered = names->all && !text_equal_ignore_case(name, TEXT("authorization"));
    return names->asked || covered || texts_have_ignore_case(&names->items, name);
}

bool cors_next_header(const struct cors *cors, struct text *rest, struct text *name, bool *good)
{
    if (rest->length > CORS_ASKED_MOST || !text_next(rest, ',', name))
        return false;
    *name = text_trim(*name);
    *good = text_is_token(*name) && allows_header(&cors->headers, *name);
    return true;
}

bool cors_is_answer(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_ANSWER && strcmp(verdict->guard, "cors") == 0;
}

bool cors_is_granted(const struct verdict *verdict)
{
    return cors_is_answer(verdict) && strcmp(verdict->code, "preflight") == 0;
}

/* ---- the two turns */

static struct verdict passes(struct exchange *exchange, enum cors_origin origin, bool own)
{
    static const char *const words[] = {"the request has no origin", "the origin is allowed",
                                        "the origin is not allowed"};
    struct verdict verdict = PASS;
    if (exchange->observe)
        verdict.detail = own ? "the origin is the request's own" : words[origin];
    return verdict;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct cors_rules *rules = settings;
    const struct cors *cors = rules->cors;
    struct text origin, asked;
    enum cors_origin judged = cors_judge_origin(cors, &exchange->request, &origin);
    bool own = judged == CORS_REFUSED && origin_is_own(origin, &exchange->request);
    if (cors->enforce && judged == CORS_REFUSED && !own)
        return DENY(403, "cors", "origin_not_allowed", "the origin is not allowed");
    if (exchange->authorizes || !cors_is_preflight(&exchange->request, &asked))
        return passes(exchange, judged, own);
    return limit_uses_take(&cors->preflight_limit, exchange, false);
}

/* NULL: the browser will send what it asks about. */
static const char *refusal_of(const struct cors_rules *rules, const struct request *request,
                              struct text asked)
{
    struct text origin, name;
    bool good = true;
    const struct text *headers = headers_get(&request->headers, "access-control-request-headers");
    struct text rest = headers ? *headers : (struct text){0};
    if (cors_judge_origin(rules->cors, request, &origin) != CORS_ALLOWED)
        return "the origin is not allowed";
    if (!cors_allows_method(rules, asked))
        return "the method is not allowed";
    while (good && cors_next_header(rules->cors, &rest, &name, &good))
        ;
    return good && rest.length == 0 ? NULL : "a header is not allowed";
}

/* A web server that asks has nothing to answer with, and must not let it through instead: a program that does
 * not look at the method would serve whoever says OPTIONS. To it this is a request as any other. */
static struct verdict answer(const void *settings, struct exchange *exchange)
{
    const struct cors_rules *rules = settings;
    struct text asked;
    if (exchange->authorizes || !cors_is_preflight(&exchange->request, &asked))
        return PASS;
    const char *refusal = refusal_of(rules, &exchange->request, asked);
    return (struct verdict){VERDICT_ANSWER, rules->cors->preflight_status == 0 ? 204 : 200, "cors",
                            refusal ? "preflight_refused" : "preflight", refusal};
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    const struct cors_rules *rules = settings;
    (void)node;
    if (rules->cors == &rules->own)
        cors_advise(rules->cors, findings);
}

const struct guard guard_cors = {
    .name = "cors",
    .help = "whose scripts may read a route's replies",
    .stage = ON_HEAD,
    .section = {sizeof(struct cors_rules), cors_route_fields},
    .prepare = cors_prepare,
    .check = check,
    .advise = advise,
};

const struct guard guard_cors_answer = {
    .name = "cors",
    .help = "whose scripts may read a route's replies",
    .stage = ON_HEAD,
    .again = &guard_cors,
    .check = answer,
    .serves = true,
};
