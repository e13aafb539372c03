/*
 * Request: the one canonical form of what the web server said, made once from
 * FastCGI parameters or CGI meta-variables (RFC 3875, 4.1). Everything behind
 * it, the program included, sees this form and never the parameters.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/arena.h"
#include "http/address.h"
#include "http/headers.h"
#include "http/verdict.h"

struct param {
    struct text name, value;
};
struct params {
    struct param *items;
    size_t count;
};

/* Policy key `request`, and `proxies`. */
struct request_rules {
    uint64_t head;    /* bytes of all parameters; the front enforces it while reading */
    uint64_t headers; /* count of headers */
    uint64_t header;  /* bytes of one value */
    uint64_t target;  /* bytes of REQUEST_URI */
    struct networks proxies;
    struct texts drop; /* further header names that are dropped, lower case */
};

struct request {
    struct text method;    /* a token, case kept */
    struct text target;    /* REQUEST_URI as sent, with an absolute form's scheme and authority removed */
    struct text path;      /* canonical, see path_canonical(); or "*", for OPTIONS only */
    struct text query;     /* as sent, without the "?"; empty when there is none */
    bool has_query;        /* "/x?" has an empty one */
    struct text host;      /* lower case, without port, brackets or trailing dot; empty when there was none */
    struct text host_port; /* digits, or empty */
    bool secure;           /* came by HTTPS, as the web server or a trusted proxy says */
    bool through_proxy;    /* the peer is a trusted proxy */
    struct address peer;   /* who connected to the web server */
    struct address client; /* who asked: the rightmost hop that is not a trusted proxy (http/forwarded.h) */
    struct headers headers;   /* without Content-Type, Content-Length, Transfer-Encoding; Host canonical */
    struct text content_type; /* as sent, or empty */
    int64_t content_length;   /* -1: not stated (chunked), the body ends where it ends */
    struct params server;     /* the web server's own parameters that are not headers, first of each name,
                                 without those whose value has control characters */
};

/* Builds the request. All parts live in the arena or point into the params.
 * Refuses (DENY 400 and the like, guard "request" or "path") when
 *   method_invalid         REQUEST_METHOD is missing or no token
 *   target_missing         there is no REQUEST_URI (414 target_too_long when over the limit)
 *   target_invalid         the query has a control character or "#"
 *   path_*                 see path_canonical(); path_not_absolute also for what is neither
 *                          a path nor an http URI nor, with OPTIONS, "*" (RFC 9112, 3.2)
 *   header_name            a HTTP_* name is not [A-Z][A-Z0-9_]*
 *   header_value           a value has NUL, CR, LF or another control character
 *   header_duplicate       the same name twice and not a list, or with a twin that
 *                          differs only in dash and underscore (a server that joins
 *                          lines itself names a header twice only for a twin; with
 *                          nginx's underscores_in_headers twins cannot be told apart)
 *   headers_too_many, header_too_large   (431)
 *   host_invalid, host_duplicate
 *   content_length_invalid no number, or at odds with HTTP_CONTENT_LENGTH
 *   transfer_encoding      HTTP_TRANSFER_ENCODING together with HTTP_CONTENT_LENGTH (with
 *                          CONTENT_LENGTH alone it is a chunked body that the web server
 *                          has measured), or not "chunked"
 * Dropped without a word: Proxy (httpoxy), and every name by which programs
 * learn an identity (Remote-User, X-Remote-User, Auth-Type, X-Forwarded-User,
 * SSL-Client-* ...; http/reserved.c) and `rules->drop`. X-Forwarded-*, Forwarded,
 * X-Real-IP and the like are dropped unless the peer is a trusted proxy.
 * After a refusal the request holds what could be read, for the log. */
struct verdict request_read(struct request *, const struct params *, const struct request_rules *,
                            struct arena *);

/* Puts another query in the place of the request's, in its target, too; where it is empty there is none. */
void request_replace_query(struct request *, struct text query, struct arena *);

/* A server parameter that is not a header (SERVER_NAME); empty when absent. */
struct text request_server_param(const struct request *, const char *name);

#endif
