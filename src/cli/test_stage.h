/*
 * Stage: a policy whose requests are played. They go the way of any request, by
 * front/serve.h; what is played besides them is the caller of a case, the reply of its
 * handler, and the time. No program is started, no server asked, no store opened.
 */
#ifndef CLI_TEST_STAGE_H
#define CLI_TEST_STAGE_H

#include <stdio.h>

#include "cli/test_file.h"
#include "cli/test_judge.h"
#include "policy/policy.h"

struct test_stage;

/* Takes the policy, which must have no errors; test_stage_free() ends both. NULL with an error. */
struct test_stage *test_stage_new(struct policy *, struct error *);
void test_stage_free(struct test_stage *);

const struct policy *test_stage_policy(const struct test_stage *);

/* Plays all requests of a case. Whether each became what is expected of it; `why` says what
 * was not, and `story`, if not NULL, takes the story of the request that failed. */
bool test_stage_play(struct test_stage *, const struct test_case *, struct bytes *why, FILE *story);

/* Calls `tell` for each route that no request has reached; how many those are. */
size_t test_stage_uncovered(const struct test_stage *,
                            void (*tell)(const struct policy *, const struct route *));

#endif
