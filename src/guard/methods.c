/*
 * methods: whether the route takes the request's method. Which route that is
 * was decided by path and method together, by the router; the policy key
 * `methods` is the router's too.
 */
#include "config.h"

#include "guard/guard.h"

static struct verdict check(const void *rules, struct exchange *exchange)
{
    (void)rules;
    if (exchange->method_known)
        return PASS;
    return DENY(405, "methods", "method_not_allowed", "no route with this path takes the method");
}

const struct guard guard_methods = {
    .name = "methods",
    .help = "the methods a route takes",
    .stage = ON_HEAD,
    .always = true,
    .section = {.size = 1},
    .check = check,
};
