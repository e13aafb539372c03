/*
 * Defect: what is wrong with a body or a query, and where, for whoever sent it.
 * Readers of JSON, forms and the like share it, so that one guard can tell of
 * all of them. It never quotes what was sent, but for the name of a field.
 */
#ifndef DATA_DEFECT_H
#define DATA_DEFECT_H

#include "base/text.h"

struct defect {
    const char *word;    /* stable: "json_depth"; NULL: nothing is wrong */
    const char *message; /* a sentence without a full stop, such as "is nested too deeply" */
    uint64_t offset;     /* of the byte where it shows */
    struct text field;   /* the name it belongs to, in the arena of the reader; empty: the whole */
    bool failed;         /* not the sender's fault: something of ours failed */
};

/* Always false, for `return defect_set(...)`. The first defect counts. */
bool defect_set(struct defect *, uint64_t offset, const char *word, const char *message);

/* The same of one field. */
bool defect_set_field(struct defect *, uint64_t offset, const char *word, const char *message,
                      struct text field);

/* The same for what is no fault of the sender's. */
bool defect_set_failure(struct defect *, uint64_t offset, const char *word, const char *message);

#endif
