/*
 * The headers of one part, for multipart.c alone.
 */
#ifndef DATA_MULTIPART_HEAD_H
#define DATA_MULTIPART_HEAD_H

#include "data/multipart.h"

struct multipart_head {
    bool has_length;
    uint64_t length; /* as a Content-Length states it */
};

/* Reads the lines of a block, which begins at `offset` of the body, into the
 * part's name, filename, type and is_file, in the arena; false with a defect. */
bool multipart_head_read(struct text block, uint64_t offset, const struct multipart_limits *, struct arena *,
                         struct multipart_part *, struct multipart_head *, struct defect *);

#endif
