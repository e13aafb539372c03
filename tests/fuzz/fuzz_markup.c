/*
 * Fuzz target: texts that may be markup. What is escaped holds nothing that would be
 * escaped, and only a URL of script stays one.
 */
#include "config.h"

#include <stdlib.h>

#include "data/markup.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {(const char *)data, size};
    struct arena *arena = arena_new();
    enum markup markup = markup_of(text, arena);
    struct text escaped = markup_escape(text, arena);
    enum markup after = markup_of(escaped, arena);
    MUST(after < MARKUP_RAW || markup == MARKUP_SCRIPT);
    MUST(markup != MARKUP_NONE || after <= MARKUP_REFERENCE);
    for (size_t i = 0; i < escaped.length; i++)
        MUST(!memchr("<>\"'", escaped.at[i], 4));
    arena_free(arena);
    return 0;
}
