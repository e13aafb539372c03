/*
 * Limit use: what a counter says of its limit, by the rule that a policy has for
 * it, and how people and scripts read that; private to the `limit` command.
 */
#ifndef CLI_LIMIT_USE_H
#define CLI_LIMIT_USE_H

#include <stdio.h>

#include "guard/limit.h"

struct limit_use {
    struct text key;
    const struct limit *limit; /* NULL: no policy has it, and `used` to `reset` are not known */
    enum quota_algorithm algorithm;
    uint64_t used, left, units;
    uint64_t reset, banned, expires; /* microseconds from now; banned 0: it is not */
};

/* The key is in the arena. `limits` NULL: there is no policy. */
struct limit_use limit_use_of(const struct counter *, const struct limits *, struct arena *);

/* What stands before the first blank of the key. */
struct text limit_use_name(const struct limit_use *);

/* For qsort(3): by key. */
int limit_use_compare(const void *, const void *);

/* As lines, as a row of a table, and as an object on a line. */
void limit_use_print(FILE *, const struct limit_use *);
void limit_use_print_header(FILE *);
void limit_use_print_row(FILE *, const struct limit_use *);
void limit_use_print_json(FILE *, const struct limit_use *, struct arena *);

#endif
