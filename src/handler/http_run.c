/*
 * One request to one backend: what libcurl is told, what it asks back, and what
 * its results mean. When it has something to do is http_pump.c's affair.
 */
#include "config.h"

#include "handler/http.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/arena.h"

/* ---- what libcurl asks */

static size_t give_body(char *to, size_t size, size_t count, void *context)
{
    struct http_run *run = context;
    if (run->failed)
        return CURL_READFUNC_ABORT;
    ssize_t length = client_side_read(&run->side, run->now, to, size * count);
    run->body_ended = length == 0;
    if (length == BODY_WAIT)
        return CURL_READFUNC_PAUSE;
    if (length < 0) {
        http_run_fail(run, body_verdict(length));
        return CURL_READFUNC_ABORT;
    }
    run->body_read = run->body_read || length > 0;
    run->moved_at = run->now;
    return (size_t)length;
}

/* For a request that is sent again, on a new connection. */
static int rewind_body(void *context, curl_off_t offset, int origin)
{
    struct http_run *run = context;
    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_FAIL;
    if (run->exchange->body.spooled)
        spool_rewind(&run->exchange->body.spool);
    run->body_ended = false;
    return run->exchange->body.spooled || !run->body_read ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static struct ssl_st *tls_of(CURL *easy)
{
    struct curl_tlssessioninfo *session;
    bool known = curl_easy_getinfo(easy, CURLINFO_TLS_SSL_PTR, &session) == CURLE_OK &&
                 session->backend == CURLSSLBACKEND_OPENSSL;
    return known ? session->internals : NULL;
}

/* Over TLS, libcurl 8 (seen: 8.14) loops for ever where what it reads ends while it still sends. */
static bool may_have_wire(const struct http_run *run)
{
    const struct http_backend *backend = run->lease.target;
    return run->has_body && !(backend->secure && curl_version_info(CURLVERSION_NOW)->version_num >= 0x080000);
}

/* A connection is there, and the request is about to be sent. Where the kept one was closed before a
 * byte of a reply, libcurl tries another. */
static int allow_request(void *context, char *peer, char *local, int peer_port, int local_port)
{
    struct http_run *run = context;
    (void)peer, (void)local, (void)peer_port, (void)local_port;
    run->moved_at = run->now;
    run->tls = tls_of(run->easy);
    if (++run->tries > 1 || !run->reused)
        backends_connected(&run->lease);
    if (run->tries == 1 || backends_is_idempotent(run->exchange->request.method)) {
        if (may_have_wire(run))
            http_wire_begin(run->client);
        return CURL_PREREQFUNC_OK;
    }
    http_run_fail(run, FAULT(502, HTTP_NAME, "backend_unavailable",
                             "a kept connection was closed, and this method is not sent twice"));
    return CURL_PREREQFUNC_ABORT;
}

static bool take_head_end(struct http_run *run)
{
    run->head_complete = true;
    if (run->reply.length >= 0 && (uint64_t)run->reply.length > run->settings->max_output)
        return http_run_fail(run,
                             FAULT(502, HTTP_NAME, "bad_reply", "its Content-Length is over max_output"));
    return true;
}

static bool take_text(struct http_run *run, struct text line)
{
    enum http_reply_step step = HTTP_REPLY_MORE;
    if (!run->head_complete)
        step = http_reply_line(&run->reply, line);
    else if (!http_reply_trailer(&run->reply, line))
        step = HTTP_REPLY_BROKEN;
    if (step == HTTP_REPLY_BROKEN)
        return http_run_blame(run, FAULT(502, HTTP_NAME, "bad_reply", run->reply.fault));
    return step == HTTP_REPLY_MORE || take_head_end(run);
}

static size_t take_line(char *data, size_t size, size_t count, void *context)
{
    struct http_run *run = context;
    size_t length = size * count;
    run->moved_at = run->now;
    run->answers = true;
    if (run->failed)
        return length + 1;
    return take_text(run, (struct text){data, length}) ? length : length + 1;
}

static bool hand_on(struct http_run *run, struct text piece)
{
    struct verdict verdict;
    if (!relay_send(&run->relay, piece, &verdict))
        return http_run_fail(run, verdict);
    client_side_sent(&run->side, run->now);
    return true;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    struct http_run *run = context;
    size_t length = size * count;
    if (run->failed)
        return length + 1;
    run->moved_at = run->now;
    run->held = !run->relaying || !client_side_has_room(&run->side);
    if (run->held)
        return CURL_WRITEFUNC_PAUSE;
    return hand_on(run, (struct text){data, length}) ? length : length + 1;
}

/* Nothing else of libcurl tells that it has dropped something, or where chunks end: while a body is
 * being sent, it takes a connection's end for theirs. */
static int take_note(CURL *easy, curl_infotype type, char *data, size_t size, void *context)
{
    struct http_run *run = context;
    (void)easy;
    if (type == CURLINFO_TEXT && text_starts_with((struct text){data, size}, TEXT("Excess found")))
        run->excess = true;
    if (type == CURLINFO_DATA_IN && run->reply.chunked)
        http_reply_chunks(&run->reply, (struct text){data, size});
    return 0;
}

/* ---- what libcurl is told */

#define SET(option, value)                                                                                   \
    if (curl_easy_setopt(easy, (option), (value)) != CURLE_OK)                                               \
    return false

/* How long connecting may take; 0 would be five minutes to libcurl. */
static long time_to_connect(const struct http_run *run)
{
    uint64_t until = run->began_at + run->settings->connect_timeout;
    return until > run->now ? (long)(until - run->now) : 1;
}

static bool set_authorities(CURL *easy, struct text ca)
{
    struct curl_blob blob = {(void *)(uintptr_t)ca.at, ca.length, CURL_BLOB_NOCOPY};
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (ca.length == 0)
        return true;
    SET(CURLOPT_CAINFO, NULL); /* else they were trusted, too */
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CAINFO_BLOB, &blob);
    return true;
}

bool http_set_backend(CURL *easy, const struct http_backend *backend, struct curl_slist *addresses,
                      const char *target)
{
    bool http2 = backend->secure && backend->settings->http2;
    SET(CURLOPT_URL, backend->origin);
    SET(CURLOPT_REQUEST_TARGET, target);
    SET(CURLOPT_UNIX_SOCKET_PATH, backend->socket);
    SET(CURLOPT_RESOLVE, addresses);
    SET(CURLOPT_PROTOCOLS_STR, backend->secure ? "https" : "http");
    SET(CURLOPT_PROXY, ""); /* none from the environment */
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    return set_authorities(easy, backend->settings->ca);
}

static bool set_place(const struct http_run *run, CURL *easy)
{
    const struct http_backend *backend = run->lease.target;
    SET(CURLOPT_CONNECTTIMEOUT_MS, time_to_connect(run));
    return http_set_backend(easy, backend, run->addresses,
                            http_target(run->settings, backend, run->exchange).at);
}

/* These methods state the length of a body that is not there, too (RFC 9110, 8.6). */
static bool states_length(struct text method)
{
    return text_equal(method, TEXT("POST")) || text_equal(method, TEXT("PUT")) ||
           text_equal(method, TEXT("PATCH"));
}

static bool set_method(struct http_run *run, CURL *easy)
{
    struct exchange *exchange = run->exchange;
    struct text method = exchange->request.method;
    bool head = text_equal(method, TEXT("HEAD"));
    run->has_body =
        !head && !body_is_empty(&exchange->body); /* of HEAD, one means nothing (RFC 9110, 9.3.2) */
    run->body_ended = !run->has_body;
    if (head) {
        SET(CURLOPT_NOBODY, 1L);
        return true;
    }
    if (run->has_body || states_length(method)) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)(run->has_body ? body_length(&exchange->body) : 0));
    }
    SET(CURLOPT_CUSTOMREQUEST, arena_copy(exchange->arena, method.at, method.length));
    return true;
}

static bool set_calls(struct http_run *run, CURL *easy)
{
    SET(CURLOPT_READFUNCTION, give_body);
    SET(CURLOPT_READDATA, run);
    SET(CURLOPT_SEEKFUNCTION, rewind_body);
    SET(CURLOPT_SEEKDATA, run);
    SET(CURLOPT_HEADERFUNCTION, take_line);
    SET(CURLOPT_HEADERDATA, run);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, run);
    SET(CURLOPT_PREREQFUNCTION, allow_request);
    SET(CURLOPT_PREREQDATA, run);
    SET(CURLOPT_SOCKOPTFUNCTION, http_client_opened);
    SET(CURLOPT_SOCKOPTDATA, run->client);
    SET(CURLOPT_CLOSESOCKETFUNCTION, http_client_close);
    SET(CURLOPT_CLOSESOCKETDATA, run->client);
    SET(CURLOPT_ERRORBUFFER, run->error);
    SET(CURLOPT_DEBUGFUNCTION, take_note);
    SET(CURLOPT_DEBUGDATA, run);
    SET(CURLOPT_VERBOSE, 1L);
    return true;
}

/* libcurl takes "Name;" for a header without a value, and "Name:" for one of its own not to be sent. */
static bool add_line(struct http_run *run, const char *line)
{
    struct curl_slist *longer = curl_slist_append(run->headers, line);
    if (longer)
        run->headers = longer;
    return longer != NULL;
}

static bool set_headers(struct http_run *run, CURL *easy)
{
    struct arena *arena = run->exchange->arena;
    struct headers headers = http_headers(run->settings, run->lease.target, run->exchange);
    bool good = add_line(run, "Expect:") && (headers_get(&headers, "accept") || add_line(run, "Accept:"));
    for (size_t i = 0; good && i < headers.count; i++) {
        struct text name = headers.items[i].name, value = text_trim(headers.items[i].value);
        good = add_line(run, value.length == 0 ? arena_printf(arena, "%.*s;", TEXT_ARGUMENTS(name))
                                               : arena_printf(arena, "%.*s: %.*s", TEXT_ARGUMENTS(name),
                                                              TEXT_ARGUMENTS(value)));
    }
    if (good)
        SET(CURLOPT_HTTPHEADER, run->headers);
    return good;
}

static bool set_up(struct http_run *run)
{
    CURL *easy = run->easy = curl_easy_init();
    return easy && set_place(run, easy) && set_method(run, easy) && set_calls(run, easy) &&
           set_headers(run, easy);
}

bool http_run_add(struct http_run *run)
{
    run->added = set_up(run) && curl_multi_add_handle(run->client->multi, run->easy) == CURLM_OK;
    return run->added;
}

/* ---- end */

static const char *reason(const struct http_run *run)
{
    return arena_printf(run->exchange->arena, "%s",
                        http_reason(run->easy, run->lease.target, run->result, run->error));
}

/* Whether something came that is no HTTP. */
static bool is_strange(CURLcode result)
{
    switch (result) {
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_FUNCTION_ARGUMENT: /* a folded line with none before it */
    case CURLE_UNSUPPORTED_PROTOCOL:  /* HTTP/0.9 */
    case CURLE_OUT_OF_MEMORY:         /* a line over libcurl's limit */
#if LIBCURL_VERSION_NUM >= 0x080600
    case CURLE_TOO_LARGE:
#endif
        return true;
    default:
        return false;
    }
}

static struct verdict verdict_of_result(const struct http_run *run)
{
    if (run->result == CURLE_OK)
        return FAULT(502, HTTP_NAME, "bad_reply", "the connection was closed inside the reply's head");
    if (run->result == CURLE_OPERATION_TIMEDOUT)
        return FAULT(504, HTTP_NAME, "backend_timeout", reason(run));
    return FAULT(502, HTTP_NAME, run->answers ? "bad_reply" : "backend_unavailable", reason(run));
}

/* Whether a reset has ended a body that only the connection's end can; to libcurl, both are an end. */
static bool is_cut(const struct http_run *run)
{
    long version = 0;
    const struct reply reply = {.status = run->reply.status};
    return run->client->reset && !run->reply.chunked && run->reply.length < 0 &&
           reply_has_body(&reply, run->exchange->request.method) &&
           curl_easy_getinfo(run->easy, CURLINFO_HTTP_VERSION, &version) == CURLE_OK &&
           version < CURL_HTTP_VERSION_2_0;
}

bool http_run_take_end(struct http_run *run)
{
    run->done = run->whole = true;
    if (run->result == CURLE_OK && run->head_complete && is_cut(run))
        run->result = CURLE_RECV_ERROR;
    if (run->result == CURLE_OK && run->head_complete)
        return !run->failed;
    run->answers = run->answers || is_strange(run->result);
    return http_run_blame(run, verdict_of_result(run));
}

/* A reply without a body does not show where it ends: some applications send one all the same. */
static bool is_reusable(const struct http_run *run)
{
    const struct reply reply = {.status = run->reply.status};
    return run->done && !run->failed && run->result == CURLE_OK &&
           reply_has_body(&reply, run->exchange->request.method);
}

/* What libcurl has not read is still there; of TLS, that may be the connection's own. */
static bool has_excess(const struct http_run *run, curl_socket_t connection)
{
    const struct http_backend *backend = run->lease.target;
    char byte;
    return run->excess || (connection != CURL_SOCKET_BAD && !backend->secure &&
                           (run->client->unread || recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0));
}

static void tell_excess(struct http_run *run, curl_socket_t connection)
{
    const struct reply reply = {.status = run->reply.status};
    if (run->reply.length >= 0 && reply_has_body(&reply, run->exchange->request.method) &&
        has_excess(run, connection))
        relay_tell_excess(&run->relay, run->reply.length);
}

/* libcurl reads no more than it was told of, and what has been decrypted besides is behind no descriptor: the
 * next request would take it for its reply. */
static bool has_leftover(const struct http_run *run)
{
    return run->tls && SSL_has_pending(run->tls);
}

struct backend_connection http_run_remove(struct http_run *run)
{
    struct http_client *client = run->client;
    curl_socket_t descriptor = CURL_SOCKET_BAD;
    bool reusable = is_reusable(run);
    if (reusable)
        (void)curl_easy_getinfo(run->easy, CURLINFO_ACTIVESOCKET, &descriptor);
    reusable = http_wire_end(client) && reusable && descriptor != CURL_SOCKET_BAD && !has_leftover(run);
    tell_excess(run, descriptor);
    if (run->added)
        reusable = curl_multi_remove_handle(client->multi, run->easy) == CURLM_OK && reusable;
    curl_easy_cleanup(run->easy);
    curl_slist_free_all(run->headers);
    curl_slist_free_all(run->addresses);
    run->client = NULL;
    if (reusable)
        return (struct backend_connection){descriptor, client, http_client_free};
    http_client_free(client);
    return BACKEND_NO_CONNECTION;
}
