/*
 * The program on one page: a request comes in, a route is found, the guards
 * judge, a handler answers, the reply leaves with safe headers, and the log
 * says what happened. How a request arrives and how a program is started is
 * not known here.
 */
#include "config.h"

#include "front/serve.h"

#include "base/clock.h"
#include "front/authorize.h"
#include "policy/route.h"
#include "respond/cors_headers.h"
#include "respond/deliver.h"
#include "respond/error_body.h"
#include "respond/mask.h"
#include "respond/version_headers.h"
#include "watch/access_log.h"

/* What a body that a guard or a program must see whole may take in memory. */
enum { SPOOL_MEMORY = 64 * 1024 };

/* A client may be slow, but not for ever: so many silences it may take for one body. */
enum { BODY_SILENCES = 20 };

static const struct secure_headers *headers_of(const struct policy *policy, const struct exchange *exchange)
{
    return exchange->route ? &exchange->route->headers : &policy->headers;
}

static const struct error_rules *errors_of(const struct policy *policy, const struct exchange *exchange)
{
    return exchange->route ? &exchange->route->errors : &policy->errors;
}

static void dress_reply(const struct policy *policy, struct exchange *exchange)
{
    secure_headers_apply(headers_of(policy, exchange), exchange);
    version_headers_apply(&policy->versions, exchange);
    if (exchange->route) {
        set_cookie_apply(&exchange->route->cookies, exchange, access_log_reported);
        limit_headers_apply((enum limit_headers)exchange->route->limit_headers, exchange);
    }
    headers_set(&exchange->reply.headers, exchange->arena, text_of(policy->server.request_id_header),
                text_of(exchange->id));
    cors_headers_apply(exchange->route ? exchange->route->cors : policy->cors, exchange,
                       policy->server.request_id_header);
}

/* Which guards have passed; of a web server's question, too. */
struct passed {
    uint32_t guards, asked_guards;
    const struct route *asked; /* NULL: nobody asks */
};

/* Before the reply's end goes out: a client that has it may ask again at once, and
 * what this request held is free by then. */
static void release(struct exchange *exchange, struct passed *passed)
{
    if (exchange->route)
        guards_finish(exchange->route->guards, exchange, passed->guards);
    if (passed->asked)
        guards_finish(passed->asked->guards, exchange, passed->asked_guards);
    *passed = (struct passed){0};
}

/* Makes the reply to a request that no handler answers; its body. */
static struct text answer(const struct policy *policy, struct exchange *exchange)
{
    if (!cors_is_answer(&exchange->verdict))
        return error_body(errors_of(policy, exchange), exchange);
    cors_answer(exchange);
    return TEXT("");
}

/* The reply to a request that no handler answers. */
static void refuse(const struct policy *policy, struct exchange *exchange, struct verdict verdict,
                   struct passed *passed)
{
    exchange->verdict = exchange->authorizes ? authorize_refusal(verdict) : verdict;
    struct text body = answer(policy, exchange);
    dress_reply(policy, exchange);
    exchange_send_head(exchange);
    exchange_send(exchange, body);
    release(exchange, passed);
    exchange->channel->finish(exchange->channel);
}

static struct verdict collect_body(const struct policy *policy, struct exchange *exchange)
{
    if (exchange->body.spooled)
        return PASS;
    uint64_t silence = policy->server.timeouts.read;
    exchange_begin_to_wait(exchange);
    return body_collect(&exchange->body, SPOOL_MEMORY, exchange->spool_folder, silence,
                        clock_milliseconds() + BODY_SILENCES * silence);
}

static struct verdict state_body(struct exchange *exchange)
{
    struct verdict verdict = PASS;
    if (exchange->request.content_length < 0)
        exchange->request.content_length = exchange->channel->body_length;
    else if (exchange->request.content_length == 0 && exchange->channel->body_length > 0)
        /* Nobody would ever read it. */
        verdict = DENY(400, "body", "body_invalid", "there is one, and CONTENT_LENGTH is 0");
    exchange->body.stated = exchange->request.content_length;
    return verdict;
}

/* A GET or HEAD that states no body has none for any program that knows its headers alone; of other methods
 * one may come that is stated nowhere (RFC 9113, 8.1). */
static bool is_bodiless(struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    bool plain = text_equal(request->method, TEXT("GET")) || text_equal(request->method, TEXT("HEAD"));
    return (plain || request->content_length == 0) && body_is_empty(&exchange->body);
}

static struct verdict judge(const struct policy *policy, struct exchange *exchange,
                            const struct params *params, uint32_t *passed)
{
    struct verdict verdict =
        request_read(&exchange->request, params, &policy->server.request, exchange->arena);
    struct verdict stated = PASS;
    if (exchange->authorizes)
        authorize_state_body(exchange, params);
    else
        stated = state_body(exchange);
    if (verdict.kind == VERDICT_PASS)
        verdict = stated;
    if (verdict.kind == VERDICT_PASS)
        verdict = router_find(policy->router, exchange);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    const struct route *route = exchange->route;
    exchange->route_path = route->path;
    if (route == policy->undocumented)
        access_log_reported(exchange,
                            DENY(404, "route", "undocumented", "no operation of the document has it"));
    exchange->on_store_failure = route->on_store_failure;
    exchange->validation_status = route->validation_status == 0 ? 400 : 422;
    exchange->validation_details = route->validation_details;
    exchange->limits_told = route->limit_headers != LIMIT_HEADERS_NONE;
    verdict = guards_judge(route->guards, ON_HEAD, exchange, passed, access_log_reported);
    if (verdict.kind == VERDICT_PASS && exchange->authorizes && guards_have(route->guards, ON_REPLY, true))
        return DENY(403, "authorize", "body_unseen", "its route judges replies, which are not here");
    if (verdict.kind != VERDICT_PASS || !route_needs_body(route))
        return verdict;
    if (exchange->authorizes && !is_bodiless(exchange))
        return DENY(403, "authorize", "body_unseen", "its route judges the body, which is not here");
    if (!exchange->authorizes)
        verdict = collect_body(policy, exchange);
    if (verdict.kind == VERDICT_PASS)
        verdict = guards_judge(route->guards, ON_BODY, exchange, passed, access_log_reported);
    return verdict;
}

static void begin_exchange(struct exchange *exchange)
{
    if (!exchange->started)
        exchange->started = clock_microseconds();
    exchange_make_id(exchange);
    exchange->program_line = access_log_program;
    exchange->authorizes = exchange->authorizer;
    exchange->body.channel = exchange->channel;
    exchange->body.limit = UINT64_MAX;
    exchange->body.spool.file = -1;
}

/* nginx may take the end of a connection for the end of a reply, but not FCGI_END_REQUEST before all that was
 * stated has come. Others take that for the end, whatever was stated. */
static bool server_counts(const struct exchange *exchange)
{
    struct text server = request_server_param(&exchange->request, "SERVER_SOFTWARE");
    return exchange->reply.length >= 0 && text_starts_with(server, TEXT("nginx"));
}

static void end_reply(struct exchange *exchange, struct verdict cut, struct passed *passed)
{
    release(exchange, passed);
    if (cut.kind == VERDICT_PASS) {
        exchange->channel->finish(exchange->channel);
        return;
    }
    exchange->channel->counts = server_counts(exchange);
    exchange->channel->abort(exchange->channel);
    exchange->verdict =
        FAULT(exchange->reply.status, exchange->route->handler->name, "reply_cut", cut.detail);
}

/* What the handler says of its own error goes to the log alone, where somebody looks for the reason. */
static struct verdict withhold(const struct handler *handler, void *state, struct exchange *exchange)
{
    if (access_log_wants_original()) {
        bool whole;
        struct text body = deliver_aside(handler, state, exchange, &whole);
        access_log_original(exchange, handler->name, body, whole);
    }
    return FAULT(exchange->reply.status, handler->name, "internal_error", "the handler's own error");
}

/* The handler's reply, from its first header to its last byte. */
static struct verdict hand_over(const struct policy *policy, struct exchange *exchange, struct passed *passed)
{
    const struct route *route = exchange->route;
    const struct handler *handler = route->handler;
    struct verdict verdict = PASS;
    if (handler->wants_body && handler->wants_body(route->settings, exchange))
        verdict = collect_body(policy, exchange);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    exchange_begin_to_wait(exchange);
    deliver_prepare(route->guards, exchange);
    secure_headers_prepare(&route->headers, exchange);
    void *state = handler->begin(route->settings, exchange, &verdict);
    if (!state)
        return verdict;
    const struct texts *allowed = handler->allowed_headers ? handler->allowed_headers(route->settings) : NULL;
    mask_headers(&exchange->reply, allowed);
    if (mask_wants_replacement(&exchange->reply, route->pass_errors)) {
        verdict = withhold(handler, state, exchange);
    } else {
        const struct delivery delivery = {exchange, handler, state, route->guards, access_log_reported};
        struct verdict cut;
        dress_reply(policy, exchange);
        verdict = deliver(&delivery, &cut);
        if (verdict.kind == VERDICT_PASS)
            end_reply(exchange, cut, passed);
    }
    handler->end(state, exchange);
    return verdict;
}

/* The web server asks whether it may serve a request itself: that one is judged in
 * the place of the question. What the question holds is let go before, for it may want the same. */
static struct verdict judge_original(const struct policy *policy, struct exchange *exchange,
                                     const struct params *params, struct passed *passed)
{
    struct params original;
    guards_finish(exchange->route->guards, exchange, passed->guards);
    *passed = (struct passed){.asked_guards = passed->guards, .asked = exchange->route};
    struct verdict verdict = authorize_original(exchange, params, &original);
    return verdict.kind == VERDICT_PASS ? judge(policy, exchange, &original, &passed->guards) : verdict;
}

static struct verdict judge_any(const struct policy *policy, struct exchange *exchange,
                                const struct params *params, struct passed *passed)
{
    if (exchange->authorizer) {
        struct params own = authorize_params(exchange, params);
        return judge(policy, exchange, &own, &passed->guards);
    }
    struct verdict verdict = judge(policy, exchange, params, &passed->guards);
    exchange->authorizes = authorize_is_asked(policy, exchange);
    if (exchange->authorizes && verdict.kind == VERDICT_PASS)
        verdict = judge_original(policy, exchange, params, passed);
    return verdict;
}

static struct verdict let_through(const struct policy *policy, struct exchange *exchange,
                                  struct passed *passed)
{
    struct verdict verdict = authorize_judge(exchange);
    if (verdict.kind != VERDICT_PASS)
        return verdict;
    authorize_reply(exchange);
    if (!exchange->authorizer)
        dress_reply(policy, exchange);
    exchange_send_head(exchange);
    release(exchange, passed);
    exchange->channel->finish(exchange->channel);
    return PASS;
}

void serve_exchange(const struct policy *policy, struct exchange *exchange, const struct params *params)
{
    struct passed passed = {0};
    begin_exchange(exchange);
    struct verdict verdict = judge_any(policy, exchange, params, &passed);
    if (verdict.kind == VERDICT_PASS)
        verdict = exchange->authorizes ? let_through(policy, exchange, &passed)
                                       : hand_over(policy, exchange, &passed);
    if (verdict.kind != VERDICT_PASS)
        refuse(policy, exchange, verdict, &passed);
    body_close(&exchange->body);
    access_log_write(exchange);
}

void serve_refusal(const struct policy *policy, struct exchange *exchange, const struct params *params,
                   struct verdict verdict)
{
    struct passed passed = {0};
    begin_exchange(exchange);
    if (params &&
        request_read(&exchange->request, params, &policy->server.request, exchange->arena).kind ==
            VERDICT_PASS &&
        router_find(policy->router, exchange).kind == VERDICT_PASS)
        exchange->route_path = exchange->route->path;
    refuse(policy, exchange, verdict, &passed);
    access_log_write(exchange);
}

/* These send a body bit by bit only where they are told to. Of others it is no more than a slow client's. */
static bool server_means_it(const struct exchange *exchange)
{
    struct text server = request_server_param(&exchange->request, "SERVER_SOFTWARE");
    return text_starts_with(server, TEXT("nginx")) || text_starts_with(server, TEXT("lighttpd"));
}

bool serve_takes_body(const struct policy *policy, struct exchange *exchange, const struct params *params)
{
    begin_exchange(exchange);
    if (request_read(&exchange->request, params, &policy->server.request, exchange->arena).kind !=
            VERDICT_PASS ||
        !server_means_it(exchange) || router_find(policy->router, exchange).kind != VERDICT_PASS ||
        route_needs_body(exchange->route))
        return false;
    const struct handler *handler = exchange->route->handler;
    exchange->body.stated = exchange->request.content_length;
    return !handler->wants_body || !handler->wants_body(exchange->route->settings, exchange);
}

struct verdict serve_judge(const struct policy *policy, struct exchange *exchange,
                           const struct params *params)
{
    uint32_t passed = 0;
    begin_exchange(exchange);
    exchange->verdict = judge(policy, exchange, params, &passed);
    if (exchange->route)
        guards_finish(exchange->route->guards, exchange, passed);
    return exchange->verdict;
}

void serve_preview(const struct policy *policy, struct exchange *exchange)
{
    if (exchange->verdict.kind == VERDICT_PASS)
        exchange->reply.status = 200;
    else
        answer(policy, exchange);
    dress_reply(policy, exchange);
}
