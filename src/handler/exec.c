/*
 * The exec handler: a program is run for each request, told of it as RFC 3875
 * has it, and what it answers is checked before it goes out. How a program is
 * started, and as whom, is known to src/process alone.
 */
#include "config.h"

#include "base/arena.h"
#include "base/log.h"
#include "handler/exec.h"

enum {
    SILENT_PATIENCE_MS = 1000, /* for a program to end that has closed its output without a reply */
    UNHEARD_PATIENCE_MS = 100, /* once nobody wants the rest of its reply */
};

static struct program *exec_program(void *rules)
{
    return &((struct exec_settings *)rules)->program;
}

static bool exec_finds_script(const void *rules)
{
    return ((const struct exec_settings *)rules)->program.root != NULL;
}

static const struct texts *exec_allowed_headers(const void *rules)
{
    return &((const struct exec_settings *)rules)->steering;
}

static const char *exec_describe(const void *rules, const struct exchange *exchange)
{
    const struct program *program = &((const struct exec_settings *)rules)->program;
    if (!program->root)
        return arena_printf(exchange->arena, "runs %s", program->path);
    return arena_printf(exchange->arena, "runs the program beneath %s that %.*s names", program->root,
                        TEXT_ARGUMENTS(exchange->path_info));
}

static bool exec_wants_body(const void *rules, const struct exchange *exchange)
{
    return ((const struct exec_settings *)rules)->input == EXEC_SPOOL && body_length(&exchange->body) != 0;
}

static bool reply_fault(struct exec_run *run, const char *detail)
{
    exec_run_fail(run, FAULT(502, EXEC_NAME, "bad_reply", detail));
    return false;
}

/* "ended with status 1", "was killed by signal 9". */
static const char *how_it_ended(const struct exec_run *run)
{
    char how[LAUNCH_HOW_SIZE];
    return arena_printf(run->exchange->arena, "%s", launcher_how_it_ended(run->end.status, how));
}

/* The program closed its output, and there is no reply. */
static bool explain_silence(struct exec_run *run, const struct cgi_reply *reply)
{
    const char *how = "closed its output";
    bool ended = exec_run_settle(run, SILENT_PATIENCE_MS);
    if (run->failed)
        return false;
    if (ended)
        how = how_it_ended(run);
    return reply_fault(
        run, arena_printf(run->exchange->arena, "the program %s %s", how,
                          reply->size == 0 ? "before it wrote a header" : "inside its header block"));
}

static bool read_head(struct exec_run *run, struct cgi_reply *reply)
{
    enum cgi_reply_step step = CGI_REPLY_MORE;
    while (step == CGI_REPLY_MORE) {
        struct text piece;
        size_t used;
        enum exec_progress progress = exec_pump(run, &piece);
        if (progress == EXEC_CLOSED)
            return explain_silence(run, reply);
        if (progress == EXEC_FAILED)
            return false;
        step = cgi_reply_feed(reply, piece, &used);
        run->rest = text_from(piece, used);
    }
    if (step == CGI_REPLY_BROKEN)
        return reply_fault(run, reply->fault);
    if (reply->length >= 0 && (uint64_t)reply->length > run->settings->max_output)
        return reply_fault(run, "its Content-Length is over max_output");
    return true;
}

static void *exec_begin(const void *rules, struct exchange *exchange, struct verdict *verdict)
{
    struct exec_run *run = exec_run_start(rules, exchange, verdict);
    if (!run)
        return NULL;
    exec_pump_feed(run);
    struct cgi_reply reply = cgi_reply_new(exchange->arena);
    if (!read_head(run, &reply)) {
        *verdict = run->failure;
        exec_run_stop(run);
        return NULL;
    }
    exchange->reply = (struct reply){
        .status = reply.status, .headers = reply.headers, .length = reply.length, .from_handler = true};
    return run;
}

static bool hand_on(struct exec_run *run, struct text piece)
{
    struct verdict verdict;
    if (!relay_send(&run->relay, piece, &verdict)) {
        exec_run_fail(run, verdict);
        return false;
    }
    client_side_sent(&run->client, run->now);
    return true;
}

static bool exec_relay(void *state, struct exchange *exchange, struct verdict *verdict)
{
    struct exec_run *run = state;
    struct text piece = run->rest;
    (void)exchange;
    while (hand_on(run, piece) && exec_pump(run, &piece) == EXEC_OUTPUT)
        ;
    if (!run->failed && !relay_is_whole(&run->relay, verdict))
        exec_run_fail(run, *verdict);
    run->complete = !run->failed;
    if (!run->complete)
        *verdict = run->failure;
    return run->complete;
}

/* What only the end tells. A program that was killed here has said nothing by it. */
static void log_end(const struct exec_run *run)
{
    const struct exchange *exchange = run->exchange;
    if (run->failed || run->left)
        return;
    if (run->ended && run->end.status != 0)
        log_event(SEVERITY_WARNING, "program_end", "request %s: the program %s", exchange->id,
                  how_it_ended(run));
    else if (!run->ended && run->complete)
        log_event(SEVERITY_WARNING, "program_end",
                  "request %s: the program still ran %d ms after its reply, and was stopped", exchange->id,
                  LAUNCH_LEFT_MS);
}

static void exec_end(void *state, struct exchange *exchange)
{
    struct exec_run *run = state;
    if (!run->failed && !exchange->channel->gone && !exec_run_leave(run))
        exec_run_settle(run, run->complete ? LAUNCH_LEFT_MS : UNHEARD_PATIENCE_MS);
    log_end(run);
    exec_run_stop(run);
}

const struct handler handler_exec = {
    .name = EXEC_NAME,
    .help = "runs a program for each request (CGI/1.1, RFC 3875)",
    .section = {sizeof(struct exec_settings), exec_fields},
    .prepare = exec_prepare,
    .advise = exec_advise,
    .program = exec_program,
    .finds_script = exec_finds_script,
    .wants_body = exec_wants_body,
    .begin = exec_begin,
    .relay = exec_relay,
    .end = exec_end,
    .allowed_headers = exec_allowed_headers,
    .describe = exec_describe,
};
