/*
 * Content codings (RFC 9110, 8.4.1): what a body was compressed with, and how
 * it is had without, bounded in size and in how much it may grow.
 */
#ifndef HTTP_CONTENT_CODING_H
#define HTTP_CONTENT_CODING_H

#include "base/arena.h"
#include "data/defect.h"
#include "data/source.h"
#include "http/spool.h"

enum content_coding {
    CONTENT_CODING_NONE,
    CONTENT_CODING_GZIP,    /* "gzip", "x-gzip" (RFC 1952) */
    CONTENT_CODING_DEFLATE, /* "deflate": the zlib format (RFC 1950), never bare deflate */
    CONTENT_CODING_OTHER,   /* another one, or several */
};

/* Of the value of Content-Encoding, which may be empty. */
enum content_coding content_coding_of(struct text value);

struct inflate_limits {
    uint64_t size;  /* bytes that may come of it */
    uint64_t ratio; /* of what has come of it to what was read for it, at any time; at least 1 ... */
    uint64_t grace; /* ... when more bytes than this have come of it */
};

/* Inflates a body of CONTENT_CODING_GZIP or _DEFLATE behind what is in the
 * spool. The arena is worked in (about 40 KB). False with one of these
 * defects, whose offsets are those of the source; the spool then holds a part:
 *   coding_broken       not of that coding, or damaged; a preset dictionary
 *   coding_incomplete   ends too early
 *   coding_trailing     something behind the end: another member (RFC 1952, 2.2)
 *                       is read by some and not by others
 *   coding_size, coding_ratio     over a limit
 *   coding_failed       the source or the spool failed (a failure) */
bool content_coding_inflate(const struct source *, enum content_coding, const struct inflate_limits *,
                            struct arena *, struct spool *, struct defect *);

#endif
