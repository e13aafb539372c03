/*
 * Bytes: a buffer that grows in an arena up to a stated limit. What does not
 * fit sets `full` and is left out whole, so a writer may append many pieces
 * and look once.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/text.h"

struct bytes {
    struct arena *arena;
    char *at;
    size_t length, capacity, limit;
    bool full;
};

/* An empty buffer of at most `limit` bytes. Nothing to free: the arena owns it. */
struct bytes bytes_new(struct arena *, size_t limit);

void bytes_add(struct bytes *, const void *at, size_t length);
void bytes_add_text(struct bytes *, struct text);
void bytes_printf(struct bytes *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string with its quotes (RFC 8259, 7). Control characters, `"`, `\`,
 * DEL and U+2028/2029 are escaped; bytes that are not UTF-8 become U+FFFD. */
void bytes_add_json(struct bytes *, struct text);

/* What is in it, as text; valid until the next append. */
struct text bytes_text(const struct bytes *);

#endif
