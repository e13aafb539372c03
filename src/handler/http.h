/*
 * HTTP: private to the files of the http handler. http.c has the handler,
 * http_settings.c its policy keys, http_target.c and http_request.c what a
 * backend is asked, http_reply.c the judge of what it answers, http_pool.c the
 * connections, http_run.c one request's start and end, http_pump.c its bytes.
 */
#ifndef HANDLER_HTTP_H
#define HANDLER_HTTP_H

#include <curl/curl.h>

#include "handler/client_side.h"
#include "handler/handler.h"
#include "handler/http_reply.h"
#include "handler/relay.h"

#define HTTP_NAME "http"

enum http_input { HTTP_STREAM, HTTP_SPOOL };

struct http_settings {
    const char *url;  /* as the policy has it */
    const char *host; /* "client", "backend", or a name */
    const char *strip_prefix, *rewrite;
    int input;                                                    /* enum http_input */
    uint64_t connect_timeout, first_byte, silence, timeout, idle; /* milliseconds */
    uint64_t max_output;                                          /* bytes of one reply's body */
    uint64_t connections;                                         /* requests at once */
    bool http2;
    struct text ca;       /* PEM; empty: the system's certificates */
    struct pairs headers; /* as the policy has them */
    struct texts steering;

    /* What http_prepare() makes of it. */
    const char *origin;    /* "http://127.0.0.1:3000" */
    const char *socket;    /* of a unix socket; NULL: there is none */
    const char *authority; /* the backend's own Host */
    struct text prefix;    /* of paths, decoded, without a slash at its end */
    bool secure;
    struct headers set; /* `headers`, with what secrets hold */

    struct http_pool *pool; /* once it is open */
};

extern const struct handler handler_http;

/* ---- http_settings.c: the members of the handler by these names */

extern const struct field http_fields[];
bool http_prepare(void *target, struct decoder *, const struct node *);
void http_advise(const void *target, struct findings *, const struct node *);

/* ---- http_target.c: pure */

/* What is wrong with `strip_prefix` or `rewrite` for a route with this path (NULL: unknown yet);
 * NULL: nothing. In the arena. */
const char *http_target_fault(const struct http_settings *, const char *path, struct arena *);

/* The request target (RFC 9112, 3.2): the canonical path, rewritten and encoded, and the query. */
struct text http_target(const struct http_settings *, const struct exchange *);

/* ---- http_request.c: pure */

/* Whether fcgiguard alone says what stands under this name (lower case): the policy must not. */
bool http_header_is_ours(struct text name);

/* The headers of the request, all but Content-Length, each name once. In the exchange's arena. */
struct headers http_headers(const struct http_settings *, const struct exchange *);

/* ---- http_pool.c */

enum { HTTP_SOCKETS_LIMIT = 8 };

/* What libcurl needs for one request at a time, with the connection it keeps. */
struct http_client {
    struct http_client *next; /* in the list of spare ones */
    CURLM *multi;
    curl_socket_t connection; /* the one that is kept */
    uint64_t idle_since;
    struct http_socket {
        curl_socket_t descriptor;
        int what; /* CURL_POLL_IN and so on */
    } sockets[HTTP_SOCKETS_LIMIT];
    size_t socket_count;
};

/* One for each backend, however many routes name it with the same settings. */
struct http_pool *http_pool_open(const struct http_settings *);

/* A client whose connection, if it has one, was used a short time ago. NULL with the verdict. */
struct http_client *http_pool_take(struct http_pool *, struct verdict *);

/* Gives it back; its connection is closed unless the exchange went well to its end. */
void http_pool_give(struct http_pool *, struct http_client *, bool reusable);

/* ---- http_run.c */

/* One request under way, in the exchange's arena. Times are of clock_milliseconds(). */
struct http_run {
    const struct http_settings *settings;
    struct exchange *exchange;
    struct client_side side;
    struct relay relay;
    struct http_client *client;
    CURL *easy; /* a new one: libcurl 7.88 takes the last header line of the request before for this one's */
    struct curl_slist *headers;
    char error[CURL_ERROR_SIZE];
    unsigned tries; /* how often the request was sent */

    struct http_reply reply;
    bool head_complete;
    bool relaying;    /* the body may go out */
    bool whole;       /* no more of the body will come, or is wanted */
    bool added, done; /* libcurl has the request; it has ended it, by `result` */
    CURLcode result;

    bool has_body;   /* of the request */
    bool body_ended; /* nothing more is to be read of it */
    bool body_read;  /* some of it was */
    bool held;       /* libcurl keeps body of the reply until there is room */
    bool excess;     /* libcurl has dropped what was behind the body of the reply */

    uint64_t now;      /* as of the last poll */
    uint64_t deadline; /* of the whole exchange with the backend */
    uint64_t moved_at; /* when a byte last went to the backend or came from it */

    bool failed;
    struct verdict failure; /* once the head is sent, its detail alone counts */
};

/* Begins the request. NULL with the verdict when that is not possible. */
struct http_run *http_run_start(const struct http_settings *, struct exchange *, struct verdict *);

/* Keeps the first verdict. Always false. */
bool http_run_fail(struct http_run *, struct verdict);

/* Takes how libcurl ended the request, whose `result` is known. False when the run has failed. */
bool http_run_take_end(struct http_run *);

/* Ends the request whatever its state, and gives the client back; once is enough. */
void http_run_stop(struct http_run *);

/* ---- http_pump.c */

/* Moves bytes both ways until the head is complete (before the run relays), or until the reply is
 * whole. False when the run has failed. */
bool http_pump_head(struct http_run *);
bool http_pump_body(struct http_run *);

#endif
