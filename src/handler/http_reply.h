/*
 * HTTP replies: the head of an HTTP backend's reply (RFC 9112, 4 and 5), line
 * by line. It knows nothing of connections. What a backend writes is not
 * trusted: whatever servers would read in different ways is refused.
 */
#ifndef HANDLER_HTTP_REPLY_H
#define HANDLER_HTTP_REPLY_H

#include "http/headers.h"

/* Of all heads of one reply, the interim ones (1xx) and the trailers included. */
enum { HTTP_REPLY_SIZE_LIMIT = 64 * 1024, HTTP_REPLY_HEADERS_LIMIT = 200 };

enum http_reply_step {
    HTTP_REPLY_MORE,     /* the head has not ended yet */
    HTTP_REPLY_COMPLETE, /* status, headers and length are known */
    HTTP_REPLY_BROKEN,   /* `fault` says why */
};

enum http_chunk_part {
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK_EXTENSION,
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_TRAILER,
    HTTP_CHUNK_NONE
};

struct http_reply {
    int status;             /* 200 to 599 */
    struct headers headers; /* without Content-Length and Transfer-Encoding; names as written */
    int64_t length;         /* Content-Length, or -1 */
    const char *fault;      /* for the log; what the backend wrote is cut and escaped in it */

    struct arena *arena;
    size_t size, count;
    bool started;   /* the status line is known */
    bool chunkable; /* its version of HTTP has transfer codings: it is 1.1 */
    bool chunked;
    bool has_type, has_location;

    enum http_chunk_part part; /* which a body in chunks goes on with; HTTP_CHUNK_NONE: it has ended */
    uint64_t part_size;        /* of the chunk, or of the line in the trailers */
};

/* An empty one; the arena must outlive it. */
struct http_reply http_reply_new(struct arena *);

/* Takes the next line, with the LF or CRLF that ends it; the empty one ends the head. Interim
 * heads are passed over. Not to be called again once it has returned anything but HTTP_REPLY_MORE. */
enum http_reply_step http_reply_line(struct http_reply *, struct text line);

/* Takes a line of the trailers, which come behind a head that is complete. False with a fault: they
 * are too many. */
bool http_reply_trailer(struct http_reply *, struct text line);

/* Follows a body in chunks to its end, by what the backend sends of it (RFC 9112, 7.1). It does not
 * check them: of one that is broken, it means nothing. */
void http_reply_chunks(struct http_reply *, struct text piece);

#endif
