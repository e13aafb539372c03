/*
 * Deliver: a handler's reply on its way out. It goes out as it comes, or, where the
 * route's guards ask for it, is kept until it is whole and has been judged.
 */
#ifndef RESPOND_DELIVER_H
#define RESPOND_DELIVER_H

#include "guard/guard.h"
#include "handler/handler.h"

/* Before the handler begins: what would make a reply that cannot be judged is not asked
 * of it, where guards judge replies (Accept-Encoding, Range). */
void deliver_prepare(const struct guard_rules rules[], struct exchange *);

struct delivery {
    struct exchange *exchange;
    const struct handler *handler;
    void *state;                     /* of the handler, which has begun */
    const struct guard_rules *rules; /* of the route */
    void (*reported)(struct exchange *, struct verdict);
};

/* Sends a reply, whose head is ready, to its end. PASS when its head has been sent; `cut` is then
 * PASS, too, or says why the body broke off. Else nothing was sent, and the verdict is the answer. */
struct verdict deliver(const struct delivery *, struct verdict *cut);

/* What the handler says instead of what goes out, for the log: its beginning, in the arena. `whole` is
 * whether that is all. Nothing is sent. */
struct text deliver_aside(const struct handler *, void *state, struct exchange *, bool *whole);

#endif
