/*
 * A source that gives at most so many bytes at a time, and may fail at its end.
 */
#ifndef TESTS_DRIPPING_H
#define TESTS_DRIPPING_H

#include "data/source.h"

struct dripping {
    struct text rest;
    size_t piece;
    bool broken;
};

static inline ssize_t dripping_read(void *context, void *to, size_t size)
{
    struct dripping *dripping = context;
    if (size > dripping->piece)
        size = dripping->piece;
    if (size > dripping->rest.length)
        size = dripping->rest.length;
    if (size == 0 && dripping->broken)
        return -1;
    if (size > 0)
        memcpy(to, dripping->rest.at, size);
    dripping->rest = text_from(dripping->rest, size);
    return (ssize_t)size;
}

#endif
