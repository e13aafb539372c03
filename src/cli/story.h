/*
 * Story: what was decided of one request, step by step, for people. It listens
 * while the guards judge, and decides nothing.
 */
#ifndef CLI_STORY_H
#define CLI_STORY_H

#include <stdio.h>

#include "cli/play.h"

/* Of a request, and of one that it asks about. */
enum { STORY_MOST = 2 * GUARDS_LIMIT };

struct story {
    struct {
        const char *guard;
        struct verdict verdict;
        bool reported; /* the guard only reports */
    } items[STORY_MOST];
    size_t count;
    const char *script; /* that would run; NULL: none is looked for, or there is none */
};

/* For exchange->observe, with the story as its observer. */
void story_observe(struct exchange *, const char *guard, struct verdict);

/* Tells of an exchange that has been judged and has its reply's headers; each line begins with `indent`. */
void story_tell(const struct policy *, const struct play *, const struct exchange *, const char *indent,
                FILE *);

#endif
