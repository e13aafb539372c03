/*
 * CGI replies: the header block at the front of a CGI program's output
 * (RFC 3875, 6), taken in pieces of any size. It knows nothing of where the
 * bytes come from. What programs write is not trusted: whatever servers would
 * read in different ways is refused.
 */
#ifndef HANDLER_CGI_REPLY_H
#define HANDLER_CGI_REPLY_H

#include "base/bytes.h"
#include "http/headers.h"

enum { CGI_REPLY_SIZE_LIMIT = 64 * 1024, CGI_REPLY_HEADERS_LIMIT = 200 };

enum cgi_reply_step {
    CGI_REPLY_MORE,     /* the block has not ended yet */
    CGI_REPLY_COMPLETE, /* status, headers and length are known */
    CGI_REPLY_BROKEN,   /* `fault` says why */
};

struct cgi_reply {
    int status;             /* 200 to 599 */
    struct headers headers; /* without Status and Content-Length; names as written */
    int64_t length;         /* Content-Length, or -1 */
    const char *fault;      /* for the log; what the program wrote is cut and escaped in it */

    bool may_be_bare; /* set by the caller: none of Content-Type, Location and Status is 200 */

    struct arena *arena;
    struct bytes line; /* one that has not ended yet */
    size_t size, count;
    bool has_type, has_location;
};

/* An empty one; the arena must outlive it. */
struct cgi_reply cgi_reply_new(struct arena *);

/* Takes the next piece of output. `used` tells how much of it belongs to the
 * block: what is behind it is the body. Not to be called again once it has
 * returned anything but CGI_REPLY_MORE. The result does not depend on how the
 * output was cut into pieces. */
enum cgi_reply_step cgi_reply_feed(struct cgi_reply *, struct text piece, size_t *used);

#endif
