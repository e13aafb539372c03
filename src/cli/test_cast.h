/*
 * Cast: who stands in for what a request meets behind the guards, and for its
 * caller. Nothing is decided here, started or asked.
 */
#ifndef CLI_TEST_CAST_H
#define CLI_TEST_CAST_H

#include "cli/story.h"
#include "cli/test_file.h"

enum { TEST_CAST_LIMIT = 16 };

struct test_cast {
    struct handler handlers[TEST_CAST_LIMIT]; /* by place in `handlers` and `auth_kinds` */
    struct auth_kind kinds[TEST_CAST_LIMIT];
    struct auth_methods *methods;  /* of the policy */
    const struct auth_kind **real; /* of its ways, by place */
};

/* One request, and what is played in it: the exchange's owner. */
struct playing {
    struct test_stage *stage;
    const struct test_cast *cast;
    const struct test_case *test;
    struct story story;
};

/* Puts a handler that answers what the case says in the place of the route's, unless that needs nobody. */
void test_cast_handler(struct test_cast *, struct route *);
bool test_cast_answers(const struct route *);

/* Makes each way believe PLAYED_CREDENTIAL where the case has a caller who comes by it. */
void test_cast_methods(struct test_cast *, struct auth_methods *, struct arena *);

#endif
