/*
 * The fastcgi handler: a request is handed to an application that listens
 * somewhere, by FastCGI in the role of the web server, and what it answers is
 * checked before it goes out. php-fpm is one of them, and the one that needs to
 * be told which script to run.
 */
#include "config.h"

#include "base/arena.h"
#include "base/log.h"
#include "handler/cgi_reply.h"
#include "handler/fastcgi.h"

static const struct texts *fastcgi_allowed_headers(const void *settings)
{
    return &((const struct fastcgi_settings *)settings)->steering;
}

static bool fastcgi_finds_script(const void *settings)
{
    const struct script_rules *rules = &((const struct fastcgi_settings *)settings)->script;
    return rules->root && !rules->script;
}

static bool fastcgi_needs_network(const void *settings)
{
    const struct backends *group = ((const struct fastcgi_settings *)settings)->group;
    const struct backend_address *address;
    for (size_t i = 0; (address = backends_target(group, i)); i++)
        if (backend_address_needs_network(address))
            return true;
    return false;
}

static bool fastcgi_needs_caller(const void *settings)
{
    return backends_need_caller(&((const struct fastcgi_settings *)settings)->backends);
}

/* Without CONTENT_LENGTH applications take a body for an empty one. */
static bool fastcgi_wants_body(const void *settings, const struct exchange *exchange)
{
    int64_t length = body_length(&exchange->body);
    return length < 0 || (((const struct fastcgi_settings *)settings)->input == FASTCGI_SPOOL && length > 0);
}

static bool find_script(const struct fastcgi_settings *settings, const struct exchange *exchange,
                        struct script *script, struct verdict *verdict)
{
    const char *detail = NULL;
    enum script_found found = SCRIPT_FOUND;
    *script = (struct script){0};
    if (settings->script.root)
        found = fastcgi_script_find(&settings->script, exchange->path_info, exchange->arena, script, &detail);
    if (found == SCRIPT_NOT_FOUND)
        *verdict = DENY(404, FASTCGI_NAME, "script_not_found", detail);
    else if (found == SCRIPT_FAILED)
        *verdict = FAULT(500, FASTCGI_NAME, "internal_error", detail);
    return found == SCRIPT_FOUND;
}

static const char *fastcgi_describe(const void *rules, const struct exchange *exchange)
{
    const struct fastcgi_settings *settings = rules;
    struct script script;
    struct verdict verdict = PASS;
    if (!find_script(settings, exchange, &script, &verdict))
        return arena_printf(exchange->arena, "answers %d %s: %s", verdict.status, verdict.code,
                            verdict.detail);
    if (!settings->script.root)
        return arena_printf(exchange->arena, "asks the application at %s", settings->places);
    return arena_printf(exchange->arena, "asks the application at %s for %s%.*s%s%.*s", settings->places,
                        settings->script.root, TEXT_ARGUMENTS(script.name),
                        script.path_info.length > 0 ? " with " : "", TEXT_ARGUMENTS(script.path_info));
}

static bool reply_fault(struct fastcgi_run *run, const char *detail)
{
    return fastcgi_run_fail(run, FAULT(502, FASTCGI_NAME, "bad_reply", detail));
}

static bool read_head(struct fastcgi_run *run, struct cgi_reply *reply)
{
    enum cgi_reply_step step = CGI_REPLY_MORE;
    while (step == CGI_REPLY_MORE) {
        struct text piece;
        size_t used;
        enum fastcgi_progress progress = fastcgi_pump(run, &piece);
        if (progress == FASTCGI_FAILED)
            return false;
        if (progress == FASTCGI_DONE)
            return reply_fault(run, reply->size == 0
                                        ? "the application ended the request before it wrote a header"
                                        : "the application ended the request inside its header block");
        step = cgi_reply_feed(reply, piece, &used);
        run->rest = text_from(piece, used);
    }
    if (step == CGI_REPLY_BROKEN)
        return reply_fault(run, reply->fault);
    if (reply->length >= 0 && (uint64_t)reply->length > run->settings->max_output)
        return reply_fault(run, "its Content-Length is over max_output");
    return true;
}

/* Web servers take a reply without any header of CGI's, so some applications write none. */
static struct cgi_reply new_reply(struct exchange *exchange)
{
    struct cgi_reply reply = cgi_reply_new(exchange->arena);
    reply.may_be_bare = true;
    return reply;
}

static void *fastcgi_begin(const void *settings, struct exchange *exchange, struct verdict *verdict)
{
    struct script script;
    if (!find_script(settings, exchange, &script, verdict))
        return NULL;
    struct fastcgi_run *run = fastcgi_run_start(settings, &script, exchange, verdict);
    if (!run)
        return NULL;
    struct cgi_reply reply = new_reply(exchange);
    while (!read_head(run, &reply) || !fastcgi_run_accept(run, reply.status)) {
        if (!fastcgi_run_move(run)) {
            *verdict = run->failure;
            fastcgi_run_stop(run);
            return NULL;
        }
        reply = new_reply(exchange);
    }
    exchange->reply = (struct reply){
        .status = reply.status, .headers = reply.headers, .length = reply.length, .from_handler = true};
    return run;
}

static bool hand_on(struct fastcgi_run *run, struct text piece)
{
    struct verdict verdict;
    if (!relay_send(&run->relay, piece, &verdict))
        return fastcgi_run_fail(run, verdict);
    client_side_sent(&run->client, run->now);
    return true;
}

static bool fastcgi_relay(void *state, struct exchange *exchange, struct verdict *verdict)
{
    struct fastcgi_run *run = state;
    struct text piece = run->rest;
    (void)exchange;
    while (hand_on(run, piece) && fastcgi_pump(run, &piece) == FASTCGI_PIECE)
        ;
    if (!run->failed && !relay_is_whole(&run->relay, verdict))
        fastcgi_run_fail(run, *verdict);
    if (run->failed)
        *verdict = run->failure;
    /* A client that has the reply's end may ask again at once. */
    fastcgi_run_release(run);
    return !run->failed;
}

/* What only the end tells. */
static void fastcgi_end(void *state, struct exchange *exchange)
{
    struct fastcgi_run *run = state;
    fastcgi_pump_settle(run);
    if (run->ended && run->reply.end.application_status != 0)
        log_event(SEVERITY_WARNING, "program_end", "request %s: the application ended it with status %lu",
                  exchange->id, (unsigned long)run->reply.end.application_status);
    if (run->ended && !run->failed && run->unread.length > 0)
        log_event(SEVERITY_WARNING, "program_output",
                  "request %s: the application wrote behind the end of its reply; the connection is closed",
                  exchange->id);
    fastcgi_run_stop(run);
}

const struct handler handler_fastcgi = {
    .name = FASTCGI_NAME,
    .help = "asks an application that listens by FastCGI, as php-fpm does",
    .section = {sizeof(struct fastcgi_settings), fastcgi_fields},
    .prepare = fastcgi_prepare,
    .advise = fastcgi_advise,
    .finds_script = fastcgi_finds_script,
    .needs_network = fastcgi_needs_network,
    .needs_caller = fastcgi_needs_caller,
    .wants_body = fastcgi_wants_body,
    .begin = fastcgi_begin,
    .relay = fastcgi_relay,
    .end = fastcgi_end,
    .allowed_headers = fastcgi_allowed_headers,
    .describe = fastcgi_describe,
};
