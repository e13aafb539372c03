/*
 * Findings: everything that is wrong, or risky, in a file, each with its
 * position and key, collected in one run and printed in the file's order:
 *
 *   policy.yaml:12:5: routes[0].body.max: "10kg" is not a size, expected a number with b, kb, mb or gb
 */
#ifndef DATA_FINDING_H
#define DATA_FINDING_H

#include <stdio.h>

#include "data/node.h"

enum { FINDINGS_LIMIT = 100 }; /* past it, findings are only counted */

enum finding_kind { FINDING_ERROR, FINDING_ADVICE };

struct findings {
    struct arena *arena;
    const char *file; /* as the user named it; of what is added from now on */
    /* While it is set, an error that stands outside of it says whom it is about. */
    const struct node *within;
    const char *about;
    struct finding *first;
    size_t errors, advice; /* counted also past the limit */
};

/* Nothing found yet. The arena and the file's name must outlive it. */
struct findings findings_new(struct arena *, const char *file);

/* Adds a finding that is not there yet at a node's value (`findings_add`) or at its key
 * (`findings_add_key`). The message is one sentence without a full stop; it
 * must not hold a secret. Always false, for `return findings_add(...)`. */
bool findings_add(struct findings *, enum finding_kind, const struct node *, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool findings_add_key(struct findings *, enum finding_kind, const struct node *, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The same at a position that has no node (a syntax error). Line 0: the whole file. */
bool findings_add_at(struct findings *, enum finding_kind, unsigned line, unsigned column, const char *format,
                     ...) __attribute__((format(printf, 5, 6)));

/* The same in another file, whose name must outlive the findings, too. */
bool findings_add_in(struct findings *, enum finding_kind, const char *file, unsigned line, unsigned column,
                     const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Copies all of another list, whose arena may end before. */
void findings_take(struct findings *, const struct findings *from);

/* Prints all of one kind, sorted by file and position; the last line says how many more there are. */
void findings_print(const struct findings *, enum finding_kind, FILE *);

/* The nearest of `count` names to `word`, whatever the case of letters (Damerau-Levenshtein distance at most
 * 2 and less than half the word's length), or NULL: for "did you mean". */
const char *findings_nearest(const char *word, const char *const *names, size_t count);

#endif
