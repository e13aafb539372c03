/*
 * Load: what the files that read a policy share while they do; private to
 * policy.c, server_rules.c, route_rules.c and advice.c.
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

struct loader {
    struct policy *policy;
    struct decoder decoder;
    const struct node *root;
    const struct node *auth, *limits, *defaults, *routes; /* as they stand in the file; NULL: not there */
    struct guard_section guard_sections[GUARDS_LIMIT];    /* made when first used */
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

/* A route's own keys; guards and handlers come on top of them. Fills
 * policy->routes, ->headers and ->programs. */
extern const struct section route_section;
bool route_rules_load(struct loader *);

/* Adds advice on settings that are legal and risky. */
void advice_give(const struct loader *);

#endif
