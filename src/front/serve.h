/*
 * Serve: one exchange from start to end.
 */
#ifndef FRONT_SERVE_H
#define FRONT_SERVE_H

#include "http/exchange.h"
#include "policy/policy.h"

/* Answers one request. The exchange has its arena, channel, launcher, time-outs
 * and start time; `params` is what the web server said. Everything the request
 * took is given back on return but the arena and the channel. */
void serve_exchange(const struct policy *, struct exchange *, const struct params *);

/* Answers without judging the request: what the front itself refuses (503 overloaded,
 * 431 head_too_large, 408 request_timeout). `params` is what is known of it, for the form
 * of the answer alone; NULL: nothing. */
void serve_refusal(const struct policy *, struct exchange *, const struct params *, struct verdict);

/* Whether a request's body is handed on as it comes, or never read. False where it is to be seen whole, by a
 * guard or by its handler, where the request is refused whatever its body is, and where the web server may send
 * a body bit by bit though nobody has told it to: then nobody need wait for it. */
bool serve_takes_body(const struct policy *, struct exchange *, const struct params *);

/* The decision only, for explain: everything up to the handler, and the reply's
 * headers as they would be for `status` (of the verdict where it is a refusal). */
struct verdict serve_judge(const struct policy *, struct exchange *, const struct params *);
void serve_preview(const struct policy *, struct exchange *);

#endif
