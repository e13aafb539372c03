/*
 * Source: bytes from somewhere, in order and once: memory, a spool, a file.
 */
#ifndef DATA_SOURCE_H
#define DATA_SOURCE_H

#include <sys/types.h>

#include "base/text.h"

struct source {
    /* Up to `size` bytes, at least one; 0 at the end; below 0 when it fails. */
    ssize_t (*read)(void *context, void *to, size_t size);
    void *context;
};

/* Of what is left of the text, which it moves along. */
struct source source_of(struct text *);

#endif
