/*
 * What a check of a limit is compared with: what one would write without fcgiguard, on
 * the same kind of store. Each caller has a connection of its own and waits for each
 * check; what it counts is read back by the benchmark, which trusts none of them.
 */
#ifndef BENCH_PLAIN_H
#define BENCH_PLAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct plain {
    const char *name;
    void *(*open)(const char *place);
    bool (*check)(void *connection, struct text key, uint64_t limit); /* whether it is admitted */
    uint64_t (*count)(void *connection, uint64_t limit);              /* of all keys, as far as admitted */
    void (*forget)(void *connection);                                 /* what all runs have counted */
    void (*close)(void *connection);
};

extern const struct plain plain_sqlite, plain_redis;

enum { PLAIN_TIMEOUT_MS = 10000, PLAIN_WINDOW_MS = 3600 * 1000 };

/* Ends the benchmark; `why` may be NULL. */
_Noreturn void fail(const char *what, const char *why);

#endif
