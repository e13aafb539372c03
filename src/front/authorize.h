/*
 * Authorize: answers about requests that the web server serves itself. It asks
 * by FastCGI's role of an authorizer, or by a request of its own to a route
 * that responds `authorize`. What is decided is the policy's affair.
 */
#ifndef FRONT_AUTHORIZE_H
#define FRONT_AUTHORIZE_H

#include "http/exchange.h"
#include "policy/policy.h"

/* Whether the request, read well or not, is for a route that responds `authorize`. */
bool authorize_is_asked(const struct policy *, const struct exchange *);

/* The parameters of the request that is asked about, and the exchange as it was
 * before that other request had a route. DENY 403 original_missing when nobody
 * who may say so has said which one it is. */
struct verdict authorize_original(struct exchange *, const struct params *, struct params *original);

/* The same for the role of an authorizer, whose parameters are the request's own. */
struct params authorize_params(const struct exchange *, const struct params *);

/* What is known of the body of a request that is elsewhere. */
void authorize_state_body(struct exchange *, const struct params *);

/* What is left to be refused once all guards have passed. */
struct verdict authorize_judge(const struct exchange *);

/* A verdict as these web servers understand it: 401 stays, all else is 403. */
struct verdict authorize_refusal(struct verdict);

/* The reply that lets the request through, with who is calling in its headers. */
void authorize_reply(struct exchange *);

#endif
