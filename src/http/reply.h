/*
 * Reply: status and headers of an answer on its way out, and how its body is
 * delimited. Sending a body is the exchange's work.
 */
#ifndef HTTP_REPLY_H
#define HTTP_REPLY_H

#include "base/arena.h"
#include "http/headers.h"

struct reply {
    int status;             /* 200 to 599 */
    struct headers headers; /* Content-Length only here as a number: */
    int64_t length;         /* body bytes, or -1 when not known; sent as Content-Length */
    bool from_handler;      /* status and headers are the handler's own */
};

/* "Not Found"; "" for a status nobody registered. */
const char *reply_reason(int status);

/* Whether a body may follow: not for 204 and 304, nor for a HEAD request. */
bool reply_has_body(const struct reply *, struct text method);

/* The header block as CGI and FastCGI want it (RFC 3875, 6.3): one
 * "Status: 404 Not Found", each header, Content-Length, an empty line. */
struct text reply_head(const struct reply *, struct arena *);

#endif
