/*
 * Multipart: multipart/form-data (RFC 7578, RFC 2046) from any source. The
 * values of fields are kept, the contents of files only pass by, so their size
 * costs no memory. Nothing is repaired: a body that two readers (PHP, Python,
 * busboy ...) may take apart in two ways is refused.
 */
#ifndef DATA_MULTIPART_H
#define DATA_MULTIPART_H

#include "base/arena.h"
#include "data/defect.h"
#include "data/source.h"

enum { MULTIPART_BOUNDARY_LIMIT = 70, MULTIPART_HEADERS_MOST = 16 };

struct multipart_limits {
    size_t parts, files;   /* files are parts, too */
    size_t head;           /* bytes of the headers of a part, with their line ends */
    size_t headers;        /* of a part, at most MULTIPART_HEADERS_MOST */
    size_t name, filename; /* bytes of one */
    size_t field;          /* bytes of a value */
    uint64_t file;         /* bytes of a file */
    size_t start;          /* so many of a file's first bytes are kept */
};

struct multipart_part {
    struct text name;
    struct text filename;    /* as it was sent: browsers write %22 for a quote, and nobody undoes that */
    struct text type;        /* media type without parameters, in lower case; empty: not stated */
    uint64_t offset, length; /* of the content in the body */
    struct text value;       /* of a field: UTF-8 without NUL */
    struct text start;       /* of a file */
    bool is_file;            /* it has a filename, which is empty where nothing was chosen */
};

struct multipart {
    struct multipart_part *items;
    size_t count;
};

/* The boundary that a Content-Type states, as a part of it; false with
 * multipart_type when it is not multipart/form-data with exactly one
 * "boundary" of 1 to 70 characters (RFC 2046, 5.1.1), and perhaps charset=utf-8. */
bool multipart_boundary(struct text content_type, struct text *boundary, struct defect *);

/* Reads all parts into the arena. False with one of these defects, of which
 * those of a part tell its name:
 *   multipart_preamble      something before the first delimiter
 *   multipart_incomplete    ends before the last delimiter does
 *   multipart_epilogue      more than a line end behind the last delimiter
 *   multipart_delimiter     "--" and the boundary, and not on a line of their own (CRLF)
 *   multipart_parts, multipart_files, multipart_head, multipart_name,
 *   multipart_filename, multipart_field, multipart_file     over a limit
 *   multipart_header        a header that is none, is folded, occurs twice, has a control
 *                           character or is not UTF-8; a content-* header but for those named here
 *   multipart_disposition   a Content-Disposition that is missing, is not form-data with a name, or
 *                           has other parameters than name and filename (filename* among them)
 *   multipart_filename      also one with a path, or one that some readers decode ("=?", %2F, %00)
 *   multipart_encoding      a Content-Transfer-Encoding (RFC 7578, 4.7)
 *   multipart_content_type  not a media type, multipart/... or message/..., of a field one that
 *                           makes it a file for some (application/octet-stream), or a charset
 *                           other than UTF-8
 *   multipart_length        a Content-Length of a part that is not its length
 *   multipart_empty         content for a file without a name
 *   multipart_nul, multipart_utf8     in the value of a field
 *   multipart_failed        the source failed (a failure)
 * Other headers of a part are passed over (RFC 7578, 4.8). */
bool multipart_read(const struct source *, struct text boundary, const struct multipart_limits *,
                    struct arena *, struct multipart *, struct defect *);

#endif
