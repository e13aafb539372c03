/*
 * Test file: what somebody expects of a policy, as a list of cases: a request,
 * and what is to become of it. It knows no policy, and plays nothing.
 */
#ifndef CLI_TEST_FILE_H
#define CLI_TEST_FILE_H

#include "data/decode.h"

enum { TEST_REPEAT_MOST = 10000 };

struct test_content {
    struct text text; /* at NULL: there is none */
    bool json;        /* its type goes without saying */
};

/* What is expected of one reply; of what is not written, anything. */
struct expectation {
    const struct node *node; /* NULL: nothing is expected */
    bool pass;               /* it is handed over */
    uint64_t status;         /* 0: any */
    const char *code;
    const char *guard, *route, *handler, *caller;
    struct pairs headers;
    struct texts present, absent; /* names of headers */
    struct texts contains, lacks; /* of the body */
    struct texts reports;         /* codes that are only reported */
};

/* Where a credential stands: in the first place where the way looks for one, or in that. */
enum test_place { TEST_FIRST, TEST_HEADER, TEST_COOKIE, TEST_QUERY, TEST_BASIC };

/* A caller who needs no credential. */
struct test_caller {
    const struct node *node; /* NULL: there is none */
    const char *name, *method;
    int place; /* enum test_place */
    struct texts roles, scopes;
    const struct node *claims;
};

/* What the handler answers. */
struct test_reply {
    const struct node *node; /* NULL: nobody knows */
    uint64_t status;
    struct pairs headers;
    struct test_content content;
};

/* FastCGI's roles. */
enum test_role { TEST_RESPONDER, TEST_AUTHORIZER };

struct test_case {
    const struct node *node;
    const char *name; /* the request where it has none */
    const char *method, *target;
    const char *host, *address; /* host NULL: as the headers say */
    bool https;
    int role; /* enum test_role */
    struct pairs headers, parameters;
    struct test_content content;
    struct test_caller as;
    struct test_reply reply;
    int64_t at;   /* milliseconds since 1970; 0: now */
    bool goes_on; /* where the case above has ended, `after` milliseconds later */
    uint64_t after;
    uint64_t repeat;
    struct expectation before, expect; /* of the last request, and of those before it */
};

struct test_file {
    struct findings findings;
    const char *policy; /* absolute; NULL: it names none */
    struct test_case *cases;
    size_t count;
};

/* Its keys, for help. */
extern const struct section test_file_section;

/* Reads a file into an arena; false with findings of errors. */
bool test_file_read(struct test_file *, const char *file, struct arena *);

#endif
