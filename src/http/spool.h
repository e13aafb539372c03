/*
 * Spool: bytes kept aside until somebody wants them: in memory first, then in
 * an unlinked file. Written at the end, read from the front.
 */
#ifndef HTTP_SPOOL_H
#define HTTP_SPOOL_H

#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"
#include "data/source.h"

struct spool {
    char *memory; /* malloc'ed on the first write */
    uint64_t memory_limit, limit;
    uint64_t length, read;
    int file;           /* -1 until memory_limit is passed */
    const char *folder; /* where the file is made (O_TMPFILE, or mkstemp and unlink) */
};

/* An empty spool of at most `limit` bytes, `memory_limit` of them in memory. */
struct spool spool_new(uint64_t memory_limit, uint64_t limit, const char *folder);

/* Adds all of the bytes, or none: false with an error when the limit is passed (error->number is
 * EFBIG) or the file cannot be made or written (ENOSPC ...). */
bool spool_write(struct spool *, const void *at, size_t length, struct error *);

/* Up to `size` bytes from where reading stands; 0 at the end; -1 with errno. */
ssize_t spool_read(struct spool *, void *to, size_t size);

/* What is left to read of it, for readers of any source. */
struct source spool_source(struct spool *);

/* Reading starts over. */
void spool_rewind(struct spool *);

/* Closes the file, wipes and frees the memory. The one owner calls it once;
 * calling it on a zeroed spool whose file is -1 does nothing. */
void spool_close(struct spool *);

#endif
