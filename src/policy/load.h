/*
 * Load: what the files that read a policy share while they do; private to
 * src/policy.
 */
#ifndef POLICY_LOAD_H
#define POLICY_LOAD_H

#include "guard/auth_method.h"
#include "policy/policy.h"

/* Rules with `mode` behind them: a guard's table with one row more. */
struct guard_section {
    struct section section;
    size_t mode; /* offset */
};

/* Its row. What it says is the route's `mode` where it is not written. */
extern const struct field guard_mode;

enum openapi_replies { REPLIES_IGNORE, REPLIES_REPORT, REPLIES_ENFORCE, REPLIES_STRIP };

struct openapi_rules { /* policy key `openapi` */
    const char *file;  /* NULL: there is none */
    const char *base;  /* NULL: as the document says */
    const struct node *auth;
    int unknown_fields; /* 0: they are allowed, 1: refused */
    int undocumented;   /* 0: refused, 1: reported */
    int replies;        /* enum openapi_replies */
};
extern const struct section openapi_section;

struct version_rules { /* policy key `versions` */
    const char *path, *header, *media_type, *fallback;
    const struct node *list; /* NULL: there are none */
};
extern const struct section version_section;

/* How callers pass a security scheme of the document. */
struct scheme_ways {
    struct texts names; /* of the top's `auth` */
    bool none;          /* it is left to the program */
    bool known, told;   /* by a line or an auth that is called alike; that it is not */
};

struct loader {
    struct policy *policy;
    struct decoder decoder;
    const struct node *root;
    const struct node *auth, *limits, *cors, *defaults,
        *routes; /* as they stand in the file; NULL: not there */
    struct openapi_rules openapi;
    struct version_rules versions;
    struct scheme_ways *ways;                          /* by place in policy->openapi->schemes */
    struct guard_section guard_sections[GUARDS_LIMIT]; /* made when first used */
};

/* The keys at the top of the file, and their part of the work: fills
 * policy->server and finds `defaults` and `routes`. */
extern const struct section server_section;
bool server_rules_load(struct loader *);

/* Whether what `auth` and `limits` name may be called so: letters, digits, - and _, and not none. */
enum { RULES_NAME_MOST = 64 };
bool rules_name_good(struct text name);

/* The top's `auth`: fills policy->auth. */
void auth_rules_load(struct loader *);

/* The top's `limits`: fills policy->limits. */
void limit_rules_load(struct loader *);

/* The top's `cors`: fills policy->cors_all. */
void cors_rules_load(struct loader *);

/* The top's `versions`: fills policy->versions. */
void version_rules_load(struct loader *);

/* Reads the document of the top's `openapi`, where there is one: fills policy->openapi. */
void openapi_rules_load(struct loader *);

/* A route's own keys; guards and handlers come on top of them. Fills
 * policy->routes, ->undocumented, ->headers and ->programs. */
extern const struct section route_section;
bool route_rules_load(struct loader *);

/* Adds a finding about a route: where its path, or with NULL where it stands, is in the policy, or
 * its operation in the document. Always false. */
bool route_tell(struct findings *, enum finding_kind, const struct route *, const char *key,
                const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds advice on settings that are legal and risky. */
void advice_give(const struct loader *);
void cors_advice_give(const struct loader *);
void version_rules_advise(const struct loader *);

#endif
