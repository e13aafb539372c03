/*
 * Whom a request is asked of: a backend with a place for it, and another one
 * where that has failed and nothing speaks against asking twice.
 */
#include "config.h"

#include "handler/http.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"

bool http_run_fail(struct http_run *run, struct verdict verdict)
{
    if (!run->failed)
        run->failure = verdict;
    run->failed = true;
    return false;
}

/* Whether the connection that has failed is the one that was kept. libcurl counts no new one that was
 * refused. */
static bool is_stale(const struct http_run *run)
{
    long made = 0;
    return run->done && run->reused && !run->answers && run->result != CURLE_COULDNT_CONNECT &&
           curl_easy_getinfo(run->easy, CURLINFO_NUM_CONNECTS, &made) == CURLE_OK && made == 0;
}

enum backend_outcome http_outcome(CURL *easy, CURLcode result)
{
    long number = 0;
    if (result == CURLE_COULDNT_CONNECT)
        (void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number);
    if (number == ECONNREFUSED || number == ENOENT || number == EACCES)
        return BACKEND_REFUSED;
    /* A host that cannot be found may take its time. */
    return result == CURLE_COULDNT_CONNECT || result == CURLE_OPERATION_TIMEDOUT ? BACKEND_LATE
                                                                                 : BACKEND_FAILED;
}

const char *http_reason(CURL *easy, const struct http_backend *backend, CURLcode result, const char *text)
{
    long number = 0;
    /* libcurl speaks of a host and a port there. */
    if (backend->socket && result == CURLE_COULDNT_CONNECT &&
        curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &number) == CURLE_OK && number != 0)
        return strerror((int)number);
    return *text ? text : curl_easy_strerror(result);
}

bool http_run_blame(struct http_run *run, struct verdict verdict)
{
    bool late = verdict.status == 504 || !run->easy; /* a name that is not found may take its time */
    if (!run->failed && !is_stale(run))
        backends_failed(&run->lease, late ? BACKEND_LATE : http_outcome(run->easy, run->result),
                        verdict.detail);
    run->blamed = run->blamed || !run->failed;
    return http_run_fail(run, verdict);
}

/* ---- names */

struct curl_slist *http_addresses(const struct http_backend *backend, const struct host_addresses *found,
                                  struct arena *arena, struct error *error)
{
    char text[INET6_ADDRSTRLEN];
    struct bytes line = bytes_new(arena, 2048);
    bytes_add_text(&line, text_of(backend->looked_up));
    for (size_t i = 0; i < found->count; i++) {
        const struct host_address *one = &found->items[i];
        bool new = one->at.any.sa_family == AF_INET6;
        const void *number = new ? (const void *)&one->at.v6.sin6_addr : &one->at.v4.sin_addr;
        inet_ntop(one->at.any.sa_family, number, text, sizeof text);
        bytes_printf(&line, "%s%s%s%s", i ? "," : ":", new ? "[" : "", text, new ? "]" : "");
    }
    bytes_add(&line, "", 1);
    struct curl_slist *list = curl_slist_append(NULL, line.at);
    if (!list)
        error_set(error, "no memory for addresses");
    return list;
}

static bool find_addresses(struct http_run *run, const struct http_backend *backend)
{
    struct host_addresses found;
    struct error error = {0};
    uint64_t until = run->began_at + run->settings->connect_timeout;
    if (until > run->deadline)
        until = run->deadline;
    if (host_name_find(backend->address.name, until, &found, &error))
        run->addresses = http_addresses(backend, &found, run->exchange->arena, &error);
    if (!run->addresses) {
        const char *detail = arena_printf(run->exchange->arena, "%s", error.message);
        bool late = error.number == ETIMEDOUT;
        return http_run_blame(run, late ? FAULT(504, HTTP_NAME, "backend_timeout", detail)
                                        : FAULT(502, HTTP_NAME, "backend_unavailable", detail));
    }
    run->now = clock_milliseconds();
    if (run->reused && !host_addresses_have(&found, run->lease.connection.descriptor)) {
        http_client_free(run->client);
        run->client = http_client_new();
        run->reused = false;
    }
    return run->client != NULL;
}

/* ---- one backend */

static void forget_try(struct http_run *run)
{
    run->side.awaits_body = false;
    *run = (struct http_run){.settings = run->settings,
                             .exchange = run->exchange,
                             .side = run->side,
                             .relay = run->relay,
                             .lease = run->lease,
                             .deadline = run->deadline,
                             .reply = http_reply_new(run->exchange->arena)};
    run->now = run->began_at = run->moved_at = clock_milliseconds();
}

static bool begin_try(struct http_run *run)
{
    const struct http_backend *backend = run->lease.target;
    forget_try(run);
    run->client = run->lease.connection.owner;
    run->reused = run->client != NULL;
    if (!run->client)
        run->client = http_client_new();
    bool good = run->client && (!backend->address.name || find_addresses(run, backend));
    return (good && http_run_add(run)) ||
           http_run_fail(run, FAULT(500, HTTP_NAME, "internal_error", "libcurl cannot be set up"));
}

/* ---- all of them */

static bool is_body_at_hand(const struct http_run *run)
{
    return !run->body_read || run->exchange->body.spooled;
}

/* What may have been acted upon is not asked for twice, unless asking twice is as good as once. */
static bool may_move(const struct http_run *run)
{
    bool again = run->tries == 0 || backends_is_idempotent(run->exchange->request.method);
    return (run->rejected || (run->blamed && !run->answers)) && again && is_body_at_hand(run) &&
           run->now < run->deadline;
}

bool http_run_accept(struct http_run *run)
{
    if (backends_answered(&run->lease, run->reply.status) ||
        !backends_is_idempotent(run->exchange->request.method) || !is_body_at_hand(run))
        return true;
    run->rejected = true;
    return http_run_fail(run, FAULT(503, HTTP_NAME, "backend_unavailable", run->lease.reason));
}

bool http_run_move(struct http_run *run)
{
    while (may_move(run)) {
        struct verdict failure = run->failure;
        if (run->body_read)
            spool_rewind(&run->exchange->body.spool);
        http_run_stop(run);
        enum backend_place place = backends_take(&run->lease, run->deadline);
        if (place == BACKEND_PLACE_GONE)
            run->failure = backends_verdict(&run->lease, run->exchange, place, HTTP_NAME);
        if (place != BACKEND_PLACE)
            return false;
        log_event(SEVERITY_INFO, "backend_retry", "request %s is tried on another backend: %s",
                  run->exchange->id, failure.detail);
        if (begin_try(run))
            return true;
    }
    return false;
}

struct http_run *http_run_start(const struct http_settings *settings, struct exchange *exchange,
                                struct verdict *verdict)
{
    struct http_run *run = arena_alloc(exchange->arena, sizeof *run);
    *run = (struct http_run){.settings = settings, .exchange = exchange};
    run->side = (struct client_side){.exchange = exchange, .handler = HTTP_NAME};
    run->relay = (struct relay){
        .exchange = exchange, .handler = HTTP_NAME, .who = "the application", .most = settings->max_output};
    run->lease = (struct backend_lease){.group = settings->group, .exchange = exchange};
    run->lease.repeatable = backends_is_idempotent(exchange->request.method) &&
                            (exchange->body.spooled || body_is_empty(&exchange->body));
    run->deadline = clock_milliseconds() + settings->timeout;
    enum backend_place place = backends_take(&run->lease, run->deadline);
    if (place != BACKEND_PLACE)
        http_run_fail(run, backends_verdict(&run->lease, exchange, place, HTTP_NAME));
    else if (begin_try(run) || http_run_move(run))
        return run;
    *verdict = run->failure;
    http_run_stop(run);
    return NULL;
}

void http_run_stop(struct http_run *run)
{
    struct backend_connection kept = run->client ? http_run_remove(run) : BACKEND_NO_CONNECTION;
    backends_give(&run->lease, kept, run->exchange->single ? 0 : run->settings->backends.idle);
}
