/*
 * Request: what of a case a web server would have sent, and the credential that
 * stands for the case's caller, in the place where the policy has it presented.
 */
#ifndef CLI_TEST_REQUEST_H
#define CLI_TEST_REQUEST_H

#include "cli/play.h"
#include "cli/test_file.h"

#define PLAYED_CREDENTIAL "played.by.fcgiguard.test" /* of a form that every place takes */

/* The way by which a caller comes; NULL: there is none of that name, or more than one where none is named. */
const struct auth_method *test_request_method(const struct auth_methods *, const struct test_caller *);

/* Whether a case's caller and role fit the policy, or else findings. */
bool test_request_check(const struct policy *, const struct test_case *, struct findings *);

/* The request of a case that has been checked. Its parts are in the arena, or the case's. */
void test_request_make(const struct auth_methods *, const struct test_case *, struct arena *, struct play *);

#endif
