/*
 * The source that reads from memory.
 */
#include "config.h"

#include "data/source.h"

static ssize_t read_text(void *context, void *to, size_t size)
{
    struct text *text = context;
    if (size > text->length)
        size = text->length;
    if (size > 0)
        memcpy(to, text->at, size);
    *text = text_from(*text, size);
    return (ssize_t)size;
}

struct source source_of(struct text *text)
{
    return (struct source){read_text, text};
}
