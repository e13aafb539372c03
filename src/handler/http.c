/*
 * The http handler: a request is sent to an HTTP application, and what that
 * answers is checked before it goes out. Connections, and when there is
 * something to read, are libcurl's to know.
 */
#include "config.h"

#include "handler/http.h"

#include "base/arena.h"

static const struct texts *allowed_headers(const void *rules)
{
    return &((const struct http_settings *)rules)->steering;
}

static const char *describe(const void *rules, const struct exchange *exchange)
{
    const struct http_settings *settings = rules;
    const struct http_backend *backend;
    const char *text = "asks ";
    for (size_t i = 0; (backend = backends_target(settings->group, i)); i++) {
        struct text target = http_target(settings, backend, exchange);
        text = arena_printf(exchange->arena, "%s%s%s%s for %.*s", text, i ? ", or " : "",
                            backend->socket ? "unix:" : "",
                            backend->socket ? backend->socket : backend->origin, TEXT_ARGUMENTS(target));
    }
    return text;
}

/* Many applications take a body without a stated length for an empty one (RFC 3875 knows no other,
 * and those behind WSGI and its kin none either), so it gets one. */
static bool wants_body(const void *rules, const struct exchange *exchange)
{
    int64_t length = body_length(&exchange->body);
    return ((const struct http_settings *)rules)->input == HTTP_SPOOL ? length != 0 : length < 0;
}

static bool needs_network(const void *rules)
{
    const struct backends *group = ((const struct http_settings *)rules)->group;
    const struct http_backend *backend;
    for (size_t i = 0; (backend = backends_target(group, i)); i++)
        if (!backend->socket)
            return true;
    return false;
}

static bool needs_caller(const void *rules)
{
    return backends_need_caller(&((const struct http_settings *)rules)->backends);
}

static bool open_libcurl(void *rules, struct error *error)
{
    (void)rules;
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK || error_set(error, "libcurl cannot be used");
}

/* One sends back what it got, secrets of ours included; the other opens a tunnel. */
static bool is_refused(struct text method)
{
    return text_equal(method, TEXT("TRACE")) || text_equal(method, TEXT("CONNECT"));
}

static void *begin(const void *rules, struct exchange *exchange, struct verdict *verdict)
{
    if (is_refused(exchange->request.method)) {
        *verdict = DENY(405, HTTP_NAME, "method_not_allowed", "TRACE and CONNECT are not forwarded");
        return NULL;
    }
    struct http_run *run = http_run_start(rules, exchange, verdict);
    if (!run)
        return NULL;
    while (!http_pump_head(run) || !http_run_accept(run)) {
        if (http_run_move(run))
            continue;
        *verdict = run->failure;
        http_run_stop(run);
        return NULL;
    }
    exchange->reply = (struct reply){.status = run->reply.status,
                                     .headers = run->reply.headers,
                                     .length = run->reply.length,
                                     .from_handler = true};
    return run;
}

static bool relay(void *state, struct exchange *exchange, struct verdict *verdict)
{
    struct http_run *run = state;
    (void)exchange;
    if (!http_pump_body(run)) {
        *verdict = run->failure;
        return false;
    }
    http_run_stop(run); /* before the client, who has all then, asks again */
    return true;
}

static void end(void *state, struct exchange *exchange)
{
    (void)exchange;
    http_run_stop(state);
}

const struct handler handler_http = {
    .name = HTTP_NAME,
    .help = "asks an HTTP application, by HTTP/1.1 or HTTP/2",
    .section = {sizeof(struct http_settings), http_fields},
    .prepare = http_prepare,
    .advise = http_advise,
    .needs_network = needs_network,
    .needs_caller = needs_caller,
    .open = open_libcurl,
    .wants_body = wants_body,
    .allowed_headers = allowed_headers,
    .begin = begin,
    .relay = relay,
    .end = end,
    .describe = describe,
};
