/*
 * The beginning and the end of one request: a place, a connection, what is to be
 * sent on it, and whether the connection may be used again. What goes over it in
 * between is fastcgi_pump.c's affair.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "handler/fastcgi.h"
#include "handler/spare.h"
#include "handler/variables.h"

enum { MORE_VARIABLES = 4 };

static struct spare_list spare = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void give_memory(struct fastcgi_run *run)
{
    explicit_bzero(run->in, run->in_used);
    explicit_bzero(run->out, run->out_used);
    explicit_bzero(run->lines.line, sizeof run->lines.line);
    spare_give(&spare, run);
}

bool fastcgi_run_fail(struct fastcgi_run *run, struct verdict verdict)
{
    if (!run->failed)
        run->failure = verdict;
    run->failed = true;
    return false;
}

bool fastcgi_run_blame(struct fastcgi_run *run, enum backend_outcome outcome, struct verdict verdict)
{
    bool stale = run->reused && run->received == 0 && outcome != BACKEND_LATE;
    if (!run->failed && !stale)
        backends_failed(&run->lease, outcome, verdict.detail);
    return fastcgi_run_fail(run, verdict);
}

/* ---- what is sent */

static struct text joined(struct arena *arena, struct text front, struct text back)
{
    char *joined = arena_alloc(arena, front.length + back.length);
    if (front.length > 0)
        memcpy(joined, front.at, front.length);
    if (back.length > 0)
        memcpy(joined + front.length, back.at, back.length);
    return (struct text){joined, front.length + back.length};
}

/* RFC 3875, 4.1.13: with PATH_INFO it is the path. Where nothing says how far the root's own goes, it is the
 * script's address as a whole. */
static struct text script_address(const struct exchange *exchange, const struct script *script)
{
    const char *route = exchange->route_path;
    bool beneath = exchange->path_info.length > 0 || !route || text_ends_with(text_of(route), TEXT("/**"));
    return beneath ? joined(exchange->arena, exchange->script_name, script->name) : exchange->script_name;
}

static void tell_script(struct variables *variables, const struct fastcgi_settings *settings,
                        const struct script *script)
{
    const struct exchange *exchange = variables->exchange;
    struct arena *arena = exchange->arena;
    if (!settings->script.root) {
        variables_add(variables, TEXT("SCRIPT_NAME"), exchange->script_name);
        if (exchange->path_info.length > 0)
            variables_add(variables, TEXT("PATH_INFO"), exchange->path_info);
        return;
    }
    struct text root = text_of(settings->script.root);
    variables_add(variables, TEXT("SCRIPT_FILENAME"), joined(arena, root, script->name));
    variables_add(variables, TEXT("SCRIPT_NAME"), script_address(exchange, script));
    if (script->path_info.length > 0)
        variables_add(variables, TEXT("PATH_INFO"), script->path_info);
    variables_set(variables, TEXT("DOCUMENT_ROOT"), root);
}

char *const *fastcgi_variables(const struct fastcgi_settings *settings, const struct script *script,
                               const struct exchange *exchange)
{
    struct variables variables =
        variables_of(exchange, &settings->pass, MORE_VARIABLES + settings->fixed_count);
    tell_script(&variables, settings, script);
    for (size_t i = 0; i < settings->fixed_count; i++)
        variables_put(&variables, settings->fixed_environment[i]);
    return variables.items;
}

static size_t params_size(char *const *variables)
{
    size_t size = 0;
    for (; *variables; variables++) {
        struct text variable = text_of(*variables);
        size_t equals = text_find(variable, '=');
        size += record_param_size((struct text){variable.at, equals}, text_from(variable, equals + 1));
    }
    return size;
}

static void write_params(unsigned char *to, char *const *variables)
{
    for (; *variables; variables++) {
        struct text variable = text_of(*variables);
        size_t equals = text_find(variable, '=');
        to = record_write_param(to, (struct text){variable.at, equals}, text_from(variable, equals + 1));
    }
}

/* Makes room for the headers between the pieces of one stream, from its end on. */
static void cut_params(unsigned char *at, size_t size, size_t records)
{
    for (size_t i = records; i-- > 0;) {
        size_t from = i * RECORD_CONTENT_LIMIT;
        size_t content = size - from < RECORD_CONTENT_LIMIT ? size - from : RECORD_CONTENT_LIMIT;
        unsigned char *record = at + i * (RECORD_HEADER_SIZE + RECORD_CONTENT_LIMIT);
        memmove(record + RECORD_HEADER_SIZE, at + RECORD_HEADER_SIZE + from, content);
        record_write(record, RECORD_PARAMS, FASTCGI_REQUEST, content, 0);
    }
}

struct text fastcgi_make_head(char *const *variables, bool keep, struct arena *arena)
{
    size_t size = params_size(variables);
    size_t records = (size + RECORD_CONTENT_LIMIT - 1) / RECORD_CONTENT_LIMIT;
    size_t length = RECORD_BEGIN_SIZE + size + (records + 1) * RECORD_HEADER_SIZE;
    unsigned char *head = arena_alloc(arena, length), *params = head + RECORD_BEGIN_SIZE;
    record_write_begin(head, FASTCGI_REQUEST, ROLE_RESPONDER, keep ? RECORD_KEEP_CONNECTION : 0);
    write_params(params + RECORD_HEADER_SIZE, variables);
    cut_params(params, size, records);
    record_write(head + length - RECORD_HEADER_SIZE, RECORD_PARAMS, FASTCGI_REQUEST, 0, 0);
    return (struct text){(const char *)head, length};
}

/* A record of what there is of the body, and an empty one behind its end. */
bool fastcgi_run_fill(struct fastcgi_run *run)
{
    const size_t most = sizeof run->in - (size_t)2 * RECORD_HEADER_SIZE;
    unsigned char *in = (unsigned char *)run->in;
    size_t filled = 0;
    ssize_t length = 0;
    if (run->in_start < run->in_end)
        return true;
    if (run->body_ended || run->failed)
        return false;
    while (filled < most &&
           (length = client_side_read(&run->client, run->now, run->in + RECORD_HEADER_SIZE + filled,
                                      most - filled)) > 0)
        filled += (size_t)length;
    if (length < BODY_WAIT) {
        run->in_used = sizeof run->in; /* what came before the fault is in it */
        return fastcgi_run_fail(run, body_verdict(length));
    }
    run->body_ended = filled < most && length == 0;
    if (filled == 0 && !run->body_ended)
        return false;
    run->in_start = run->in_end = 0;
    if (filled > 0) {
        record_write(in, RECORD_STDIN, FASTCGI_REQUEST, filled, 0);
        run->in_end = RECORD_HEADER_SIZE + filled;
    }
    if (run->body_ended) {
        record_write(in + run->in_end, RECORD_STDIN, FASTCGI_REQUEST, 0, 0);
        run->in_end += RECORD_HEADER_SIZE;
    }
    if (run->in_used < run->in_end)
        run->in_used = run->in_end;
    run->fills++;
    return true;
}

/* ---- the connection */

/* Of a connection that ends unanswered nobody can tell whether the request was acted upon, so one
 * that asking twice is not as good as asking once has a new one. */
static void take_no_used_one(struct fastcgi_run *run)
{
    if (run->descriptor < 0 || backends_is_idempotent(run->exchange->request.method))
        return;
    (void)close(run->descriptor);
    run->descriptor = -1;
}

static enum backend_place take_place(struct fastcgi_run *run)
{
    enum backend_place place = backends_take(&run->lease, run->deadline);
    run->now = run->moved_at = run->client.awaited_at = clock_milliseconds();
    run->descriptor = run->lease.connection.descriptor;
    take_no_used_one(run);
    if (run->descriptor >= 0 && !backend_address_is_at(run->lease.target, run->descriptor,
                                                       run->now + run->settings->connect_timeout)) {
        (void)close(run->descriptor);
        run->descriptor = -1;
    }
    run->reused = run->descriptor >= 0;
    return place;
}

enum backend_outcome fastcgi_connect_outcome(const struct error *error)
{
    switch (error->number) {
    case ECONNREFUSED:
    case ENOENT:
    case EACCES:
        return BACKEND_REFUSED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return BACKEND_UNTOLD;
    default: /* a name or a host that cannot be found may take its time */
        return BACKEND_LATE;
    }
}

static bool connect_anew(struct fastcgi_run *run)
{
    struct error error = {0};
    uint64_t until = run->now + run->settings->connect_timeout;
    run->descriptor =
        backend_address_connect(run->lease.target, until < run->deadline ? until : run->deadline, &error);
    run->now = run->moved_at = clock_milliseconds();
    if (run->descriptor >= 0) {
        backends_connected(&run->lease);
        return true;
    }
    const char *detail = arena_printf(run->exchange->arena, "%s", error.message);
    bool late = error.number == ETIMEDOUT;
    backends_failed(&run->lease, fastcgi_connect_outcome(&error), detail);
    run->again = AGAIN_ANY;
    return fastcgi_run_fail(run, late ? FAULT(504, FASTCGI_NAME, "backend_timeout", detail)
                                      : FAULT(502, FASTCGI_NAME, "backend_unavailable", detail));
}

static bool has_body_at_hand(const struct fastcgi_run *run)
{
    return run->fills <= 1 || run->exchange->body.spooled;
}

static bool may_ask_again(const struct fastcgi_run *run)
{
    return run->reused && !run->retried && run->received == 0 && has_body_at_hand(run);
}

static void rewind_body(struct fastcgi_run *run)
{
    run->in_start = 0;
    if (run->fills <= 1)
        return;
    spool_rewind(&run->exchange->body.spool);
    run->in_end = run->fills = 0;
    run->body_ended = false;
}

bool fastcgi_run_retry(struct fastcgi_run *run)
{
    if (!may_ask_again(run))
        return false;
    (void)close(run->descriptor);
    run->descriptor = -1;
    run->retried = true;
    run->deaf = run->reused = false;
    run->head_sent = 0;
    rewind_body(run);
    return connect_anew(run);
}

static bool may_move(const struct fastcgi_run *run)
{
    bool again = run->again == AGAIN_ANY ||
                 (run->again == AGAIN_IDEMPOTENT && backends_is_idempotent(run->exchange->request.method));
    return again && has_body_at_hand(run) && run->now < run->deadline;
}

bool fastcgi_run_accept(struct fastcgi_run *run, int status)
{
    run->again = AGAIN_IDEMPOTENT;
    if (backends_answered(&run->lease, status) || !may_move(run))
        return true;
    return fastcgi_run_fail(run, FAULT(503, FASTCGI_NAME, "backend_unavailable", run->lease.reason));
}

static void leave_backend(struct fastcgi_run *run)
{
    if (run->descriptor >= 0)
        (void)close(run->descriptor);
    run->descriptor = -1;
    backends_give(&run->lease, BACKEND_NO_CONNECTION, 0);
}

static void make_ready_again(struct fastcgi_run *run)
{
    run->failed = run->retried = run->deaf = run->ended = false;
    run->again = AGAIN_NONE;
    run->head_sent = 0;
    run->received = 0;
    run->reply = (struct fastcgi_reply){0};
    run->unread = run->rest = (struct text){0};
    rewind_body(run);
}

bool fastcgi_run_move(struct fastcgi_run *run)
{
    while (may_move(run)) {
        struct verdict failure = run->failure;
        leave_backend(run);
        enum backend_place place = take_place(run);
        if (place != BACKEND_PLACE) {
            if (place == BACKEND_PLACE_GONE)
                run->failure = backends_verdict(&run->lease, run->exchange, place, FASTCGI_NAME);
            return false;
        }
        make_ready_again(run);
        log_event(SEVERITY_INFO, "backend_retry", "request %s is tried on another backend: %s",
                  run->exchange->id, failure.detail);
        if (run->descriptor >= 0 || connect_anew(run))
            return true;
    }
    return false;
}

static bool reach_backend(struct fastcgi_run *run)
{
    enum backend_place place = take_place(run);
    if (place != BACKEND_PLACE)
        return fastcgi_run_fail(run, backends_verdict(&run->lease, run->exchange, place, FASTCGI_NAME));
    return run->descriptor >= 0 || connect_anew(run) || fastcgi_run_move(run);
}

struct fastcgi_run *fastcgi_run_start(const struct fastcgi_settings *settings, const struct script *script,
                                      struct exchange *exchange, struct verdict *verdict)
{
    struct fastcgi_run *run = spare_take(&spare, sizeof *run);
    if (!run) {
        *verdict = FAULT(500, FASTCGI_NAME, "internal_error", "no memory for a request");
        return NULL;
    }
    memset(run, 0, offsetof(struct fastcgi_run, in));
    run->settings = settings;
    run->exchange = exchange;
    run->client = (struct client_side){.exchange = exchange, .handler = FASTCGI_NAME};
    run->relay = (struct relay){.exchange = exchange,
                                .handler = FASTCGI_NAME,
                                .who = "the application",
                                .most = settings->max_output};
    run->lines.handler = FASTCGI_NAME;
    run->descriptor = -1;
    run->lease = (struct backend_lease){.group = settings->group, .exchange = exchange};
    run->now = run->moved_at = clock_milliseconds();
    run->deadline = run->now + settings->timeout;
    run->keep = settings->keep && !exchange->single;
    run->head = fastcgi_make_head(fastcgi_variables(settings, script, exchange), run->keep, exchange->arena);
    /* For a body that is known to be wrong nobody need be asked. */
    fastcgi_run_fill(run);
    run->lease.repeatable =
        backends_is_idempotent(exchange->request.method) && (run->body_ended || exchange->body.spooled);
    if (!run->failed && reach_backend(run))
        return run;
    *verdict = run->failure;
    fastcgi_run_stop(run);
    return NULL;
}

/* Nothing may be on its way in either direction. */
static bool is_clean(const struct fastcgi_run *run)
{
    return run->keep && run->ended && !run->failed && !run->deaf && run->unread.length == 0 &&
           run->head_sent == run->head.length && run->body_ended && run->in_start == run->in_end;
}

void fastcgi_run_release(struct fastcgi_run *run)
{
    if (run->descriptor < 0 || !is_clean(run)) {
        leave_backend(run);
        return;
    }
    const struct backend_connection kept = {.descriptor = run->descriptor};
    run->descriptor = -1;
    backends_give(&run->lease, kept, run->settings->backends.idle);
}

void fastcgi_run_stop(struct fastcgi_run *run)
{
    error_lines_end(&run->lines, run->exchange);
    fastcgi_run_release(run);
    give_memory(run);
}
