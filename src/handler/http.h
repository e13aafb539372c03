/*
 * HTTP: private to the files of the http handler. http.c has the handler,
 * http_settings.c its policy keys, http_target.c and http_request.c what a
 * backend is asked, http_reply.c the judge of what it answers, http_try.c whom
 * it is asked of, http_run.c what libcurl is told and tells, http_pump.c the
 * bytes, http_wire.c those of a request with a body, http_client.c libcurl's
 * memory.
 */
#ifndef HANDLER_HTTP_H
#define HANDLER_HTTP_H

#include <curl/curl.h>

#include "handler/backend_address.h"
#include "handler/backends.h"
#include "handler/client_side.h"
#include "handler/handler.h"
#include "handler/http_reply.h"
#include "handler/relay.h"

#define HTTP_NAME "http"

enum http_input { HTTP_STREAM, HTTP_SPOOL };

struct http_settings {
    struct backends_rules backends;
    const char *host; /* "client", "backend", or a name */
    const char *strip_prefix, *rewrite;
    int input;                                              /* enum http_input */
    uint64_t connect_timeout, first_byte, silence, timeout; /* milliseconds */
    uint64_t max_output;                                    /* bytes of one reply's body */
    bool http2;
    struct text ca;       /* PEM; empty: the system's certificates */
    struct pairs headers; /* as the policy has them */
    struct texts steering;

    /* What http_prepare() makes of it. */
    struct backends *group; /* its targets are struct http_backend */
    struct headers set;     /* `headers`, with what secrets hold */
};

/* One of `url` or `backup`. */
struct http_backend {
    const struct http_settings *settings;
    const char *origin;    /* "http://127.0.0.1:3000" */
    const char *socket;    /* of a unix socket; NULL: there is none */
    const char *authority; /* its own Host */
    struct backend_address address;
    const char *looked_up; /* "example.com:80", with a name */
    struct text prefix;    /* of paths, decoded, without a slash at its end */
    bool secure;
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
struct text http_target(const struct http_settings *, const struct http_backend *, const struct exchange *);

/* ---- http_request.c: pure */

/* Whether fcgiguard alone says what stands under this name (lower case): the policy must not. */
bool http_header_is_ours(struct text name);

/* The headers of the request, all but Content-Length, each name once. In the exchange's arena. */
struct headers http_headers(const struct http_settings *, const struct http_backend *,
                            const struct exchange *);

/* ---- http_client.c */

enum { HTTP_SOCKETS_LIMIT = 8 };

/* What libcurl needs for one request at a time, with the connection it keeps. */
struct http_client {
    CURLM *multi;
    struct http_socket {
        curl_socket_t descriptor;
        int what; /* CURL_POLL_IN and so on */
    } sockets[HTTP_SOCKETS_LIMIT];
    size_t socket_count;
    curl_socket_t opened[HTTP_SOCKETS_LIMIT]; /* and not closed: more than one while connecting */
    size_t opened_count;
    struct http_wire *wire;
    bool stuck;  /* libcurl might have sent something on the wire, and has not */
    bool reset;  /* the wire's connection was reset, not ended */
    bool unread; /* the wire ended with bytes that libcurl has not read */
};

/* NULL: there is no memory. */
struct http_client *http_client_new(void);

/* Closes its connection. Of NULL, nothing. */
void http_client_free(void *client);

/* What libcurl calls when it has opened a socket, and to close it; the context is the client. */
int http_client_opened(void *client, curl_socket_t, curlsocktype);
int http_client_close(void *client, curl_socket_t);

/* ---- http_wire.c: to libcurl, a send that fails is the end, with an answer unread that came before. So
 * while a request with a body is under way, libcurl has one end of a pair of sockets in the place of its
 * connection, and the pump carries what comes and goes between the two. */

enum { HTTP_WIRE_NEAR, HTTP_WIRE_FAR, HTTP_WIRE_SLOTS };

/* On the connection, of which there must be one. Without memory or descriptors there is no wire, and such
 * an answer may be lost. */
void http_wire_begin(struct http_client *);

/* The descriptors to poll; -1 where there is no wire. */
void http_wire_watch(const struct http_client *, struct pollfd[HTTP_WIRE_SLOTS]);

/* Takes what poll(2) says has come, and hands it to libcurl. True when there was something. */
bool http_wire_take(struct http_client *, const struct pollfd[HTTP_WIRE_SLOTS]);

/* Sends what libcurl has sent. True when the backend has taken something. */
bool http_wire_send(struct http_client *);

/* Whether nothing more comes on the connection, and libcurl can read all that came. */
bool http_wire_has_ended(const struct http_client *);

/* Whether, besides, nothing more can be sent on it. */
bool http_wire_is_dead(const struct http_client *);

/* Gives libcurl its connection back. False when that must not be kept. */
bool http_wire_end(struct http_client *);

/* Ends it where libcurl is about to close this descriptor. */
void http_wire_close(struct http_client *, curl_socket_t);

/* ---- http_try.c */

/* One request under way, in the exchange's arena. Times are of clock_milliseconds(). */
struct http_run {
    const struct http_settings *settings;
    struct exchange *exchange;
    struct client_side side;
    struct relay relay;
    struct backend_lease lease;
    uint64_t deadline; /* of the whole exchange with backends */

    /* What follows is of one of them. */
    struct http_client *client;
    CURL *easy; /* a new one: libcurl 7.88 takes the last header line of the request before for this one's */
    struct curl_slist *headers, *addresses;
    char error[CURL_ERROR_SIZE];
    bool reused;        /* the client has kept a connection */
    unsigned tries;     /* on how many connections the request was sent */
    struct ssl_st *tls; /* of the last of them; NULL: it has none */

    struct http_reply reply;
    bool answers; /* something of it has come */
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
    uint64_t began_at; /* this backend was chosen */
    uint64_t moved_at; /* when a byte last went to the backend or came from it */

    bool failed, blamed;    /* the second: by the backend */
    bool rejected;          /* its reply is one that another backend may better */
    struct verdict failure; /* once the head is sent, its detail alone counts */
};

/* Begins the request. NULL with the verdict when that is not possible. */
struct http_run *http_run_start(const struct http_settings *, struct exchange *, struct verdict *);

/* Of a run that has failed before it answered: whether the request was begun again, on another backend. */
bool http_run_move(struct http_run *);

/* Keeps the first verdict. Always false. */
bool http_run_fail(struct http_run *, struct verdict);

/* The same where it is the backend that has failed. */
bool http_run_blame(struct http_run *, struct verdict);

/* What a result of libcurl's that is an error says of a backend. */
enum backend_outcome http_outcome(CURL *, CURLcode);

/* The same for people; `text` is what libcurl has written of it. It lasts as long as that does. */
const char *http_reason(CURL *, const struct http_backend *, CURLcode, const char *text);

/* What keeps libcurl from looking up the backend's name, whose addresses were found. The list is the
 * caller's; NULL with an error. */
struct curl_slist *http_addresses(const struct http_backend *, const struct host_addresses *, struct arena *,
                                  struct error *);

/* Whether the reply, whose head is complete, is the answer. Otherwise the run has failed, and another
 * backend may have a better one. */
bool http_run_accept(struct http_run *);

/* Ends the request whatever its state, and gives its place back; once is enough. */
void http_run_stop(struct http_run *);

/* ---- http_run.c */

/* Hands the request to libcurl, for the backend that the lease is of. False: there is no memory. */
bool http_run_add(struct http_run *);

/* Takes how libcurl ended the request, whose `result` is known. False when the run has failed. */
bool http_run_take_end(struct http_run *);

/* Takes the request away from libcurl, and frees all that was for it: the connection that can be kept, or
 * none. */
struct backend_connection http_run_remove(struct http_run *);

/* Tells libcurl all that is the same for each request to a backend. False: there is no memory. */
bool http_set_backend(CURL *, const struct http_backend *, struct curl_slist *addresses, const char *target);

/* ---- http_probe.c */

extern const struct backend_calls http_calls;

/* ---- http_pump.c */

/* Moves bytes both ways until the head is complete (before the run relays), or until the reply is
 * whole. False when the run has failed. */
bool http_pump_head(struct http_run *);
bool http_pump_body(struct http_run *);

#endif
