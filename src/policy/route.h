/*
 * Router: from a canonical path and a method to a route, by a tree of path
 * segments, so that the cost depends on the path's length and not on how many
 * routes there are.
 *
 * A pattern is "/" and segments: literal text, {name} for exactly one segment,
 * and, last only, ** for any rest, the empty one included (behind "/git/" it
 * matches "/git", "/git/" and "/git/a/b"). At each segment a literal is tried before
 * {name} and {name} before **; the search goes back to what it passed over, at
 * most once a segment and kind. A trailing slash counts: "/a" is not "/a/".
 */
#ifndef POLICY_ROUTE_H
#define POLICY_ROUTE_H

#include "http/exchange.h"

struct policy;
struct router;

/* Methods that a program may be asked by before anybody has written down which: those of the
 * policy's `undocumented`. */
extern const struct texts router_common_methods;

/* Builds the tree of policy->routes; findings for bad patterns, for repeated
 * {name}s, and for two routes with the same pattern and a method in common. */
bool router_build(struct policy *);

/* Finds the route and fills exchange->route, method_known, allow, captures,
 * script_name and path_info from exchange->request. PASS when there is a route
 * with this path, whatever its methods (the methods guard judges them; HEAD
 * goes where GET does, a preflight where the request would that it asks about), or the
 * policy's `undocumented` takes it; else DENY 404 route_not_found. */
struct verdict router_find(const struct router *, struct exchange *);

#endif
