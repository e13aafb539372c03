/*
 * Judging: whether what became of a request is what a test file expects. Pure
 * comparison; how a request is played is not known here.
 */
#ifndef CLI_TEST_JUDGE_H
#define CLI_TEST_JUDGE_H

#include "base/bytes.h"
#include "cli/test_file.h"
#include "http/headers.h"
#include "http/verdict.h"

struct outcome {
    struct verdict verdict; /* PASS: it was handed over */
    int status;             /* of the reply; 0: the handler's, which nobody knows */
    struct headers headers; /* of the reply, and its body */
    struct text body;
    const char *route, *handler; /* NULL: none was found, or it was not handed over */
    struct text caller;          /* empty: nobody */
    const char **reports;        /* codes that were only reported */
    size_t report_count;
};

/* Takes apart what was sent to the client: header block and body. In the arena. */
void outcome_read_reply(struct outcome *, struct text sent, struct arena *);

/* Adds "expected A, found B" to `why` for all that differs, joined by "; ". Whether nothing does. */
bool outcome_fits(const struct outcome *, const struct expectation *, struct bytes *why);

#endif
