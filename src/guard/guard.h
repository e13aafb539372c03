/*
 * Guard: one check of a request, or of its reply. It decides, and does nothing else: it sends
 * nothing, logs nothing and starts nothing. Wherever it can be, the check is a
 * pure function of its rules and the exchange.
 */
#ifndef GUARD_GUARD_H
#define GUARD_GUARD_H

#include "base/error.h"
#include "data/decode.h"
#include "http/exchange.h"

enum stage { ON_HEAD, ON_BODY, ON_REPLY };

struct guard {
    const char *name; /* policy key = file name = log word = test name */
    const char *help; /* one line for `fcgiguard help` */
    enum stage stage;
    struct section section; /* of the rules; the first field takes short forms */

    /* Whether it judges routes that do not name it, with its default rules. */
    bool always;

    /* Checks and completes the decoded rules; NULL when there is nothing to do.
     * It is asked even where a key did not fit, whose member is zero or in part
     * then. A false without a finding becomes one at the guard's key. */
    bool (*prepare)(void *rules, struct decoder *, const struct node *);

    struct verdict (*check)(const void *rules, struct exchange *);

    /* Of ON_REPLY: whether the body of a handler's reply, whose head is known, must be
     * kept (exchange->kept) for check(); at most so many bytes, and `over` is what is wrong,
     * for the log, when more come. Where it need not, the guard is not asked. */
    bool (*await)(const void *rules, const struct exchange *, uint64_t *most, const char **over);

    /* Called in reverse order for the guards that passed, when the reply's
     * status is known; for a web server's question once before, with a status of 0, when
     * what it asks about is judged. NULL when there is nothing to do. */
    void (*finish)(const void *rules, struct exchange *);

    /* A route's key `reject` names it, too. */
    bool rejects;

    /* It is another turn of this guard, with the rules of that, and has no key. */
    const struct guard *again;

    /* Of another turn: whether the rules leave it anything to judge; NULL: always. */
    bool (*wanted)(const void *rules);

    /* Of another turn: what it answers is no refusal, so it answers where it only reports, too. */
    bool serves;

    /* Risky but legal rules: adds advice; NULL when there are none. */
    void (*advise)(const void *rules, struct findings *, const struct node *);
};

/* For fields whose member is a struct networks (FIELD_OWN): addresses and networks. */
bool networks_decode(struct decoder *, const struct node *, void *member);

/* What a route has of one guard. */
struct guard_rules {
    void *rules;             /* NULL: the route does not use the guard */
    bool report_only;        /* mode: report, of the guard or its route */
    const struct node *node; /* where they stand; NULL for defaults of the program */
};

/* All guards in the order they judge, ended by NULL (guard/order.c). */
extern const struct guard *const guards[];
enum { GUARDS_LIMIT = 32 };
size_t guards_count(void);

/* Whether there are rules for this stage; `enforced`: other than those that only report. */
bool guards_have(const struct guard_rules rules[], enum stage, bool enforced);

/* The rules that want the reply's body to be kept, with what their await() says; NULL: none do. */
const struct guard_rules *guards_await(const struct guard_rules rules[], const struct exchange *,
                                       uint64_t *most, const char **over);

/* Runs the guards of one stage over the exchange, in order, until one does not
 * pass. A guard that only reports is told to `reported` and
 * does not stop the rest. Marks which passed in `passed` (a bit a guard). */
struct verdict guards_judge(const struct guard_rules rules[], enum stage, struct exchange *, uint32_t *passed,
                            void (*reported)(struct exchange *, struct verdict));

/* Calls finish for those that passed, last first. */
void guards_finish(const struct guard_rules rules[], struct exchange *, uint32_t passed);

#endif
