/*
 * Stricter: which of two values of a header protects more, the policy's or the
 * handler's own. What is not comparable is not stricter.
 */
#ifndef RESPOND_STRICTER_H
#define RESPOND_STRICTER_H

#include "base/text.h"

enum stricter {
    STRICTER_OURS,   /* or the same, or not comparable */
    STRICTER_THEIRS, /* the handler's value is stricter, and weaker in no respect */
    STRICTER_BOTH,   /* browsers heed each header line, so both together are stricter than one */
};

/* Of a header by its name. `theirs` has its lines joined with ", ". */
enum stricter stricter_choose(struct text name, struct text ours, struct text theirs);

#endif
