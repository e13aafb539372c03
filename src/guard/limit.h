/*
 * Limit: one limit of a policy, named at its top or written in a route: how
 * much, of whom, and what counts. It makes the counter's key of a request;
 * counting is the guard's and the store's work (guard/limits.c, store/counters.h).
 */
#ifndef GUARD_LIMIT_H
#define GUARD_LIMIT_H

#include "base/bytes.h"
#include "data/decode.h"
#include "http/exchange.h"
#include "store/counters.h"

enum { LIMIT_BY_MOST = 8 };

enum limit_count { COUNT_ALL, COUNT_FAILURES, COUNT_SUCCESSES };

struct limit_by {
    enum { BY_ADDRESS, BY_CALLER, BY_API_KEY, BY_CLAIM, BY_HEADER, BY_PATH, BY_ROUTE, BY_GLOBAL } kind;
    const char *name; /* of the claim, the header or the part of the path */
};

struct limit {
    const char *name;   /* begins the counter's key: "login", "/search:2/s" */
    const char *rule;   /* for people: "5/15m", "2 at once" */
    struct quota quota; /* in the store */
    struct quota local; /* in this process, while the store is out */
    bool slots;         /* `concurrency`: what is taken is held by the request */
    bool late;          /* can only be judged behind `auth` and `body` */
    struct limit_by by[LIMIT_BY_MOST];
    size_t by_count;
    uint64_t ipv6_prefix;
    int count; /* enum limit_count */
    uint64_t cost;
    bool cost_is_body;
    struct networks except_addresses;
    struct texts except_roles;
    const struct node *node;
    const struct limit *next; /* of `own` */
};

/* All limits of a policy, and where they are counted. */
struct limits {
    struct limit **items; /* those that have names */
    size_t count;
    const struct limit *own;     /* those that stand in routes */
    const struct node *node;     /* the top's map of names, also of those with errors; NULL: none */
    struct counters_rules store; /* place NULL: the policy names none */
    uint64_t local_share;        /* percent */
    bool used;                   /* by a route */
    struct counters *counters;   /* NULL: not opened */
    struct counters *local;
    uint64_t threads; /* that serve */
};

/* Limits that are drawn on together or not at all. */
enum { LIMIT_USES_MOST = DRAWS_LIMIT };
struct limit_uses {
    const struct limit *items[LIMIT_USES_MOST];
    size_t count;
    const struct limits *all;
};

/* A member of that type (FIELD_OWN): none, names of the top's `limits`, rates, or maps. */
bool limit_uses_decode(struct decoder *, const struct node *, void *member);

/* Once it is decoded: false with a finding when there is no store to count in. */
bool limit_uses_prepare(struct limit_uses *, struct decoder *, const struct node *);

/* Takes what the request costs from those that can be judged at once, or, `late`, from the others: PASS, or
 * 429 or 503. What was taken waits in exchange->drawn for the guard `limits` to end. */
struct verdict limit_uses_take(const struct limit_uses *, struct exchange *, bool late);

/* A limit as `limits.NAME` at the top or a map or rate in a route has it. NULL
 * with findings. `name` NULL: it is called by `decoder->path` and its rate. */
struct limit *limit_decode(struct decoder *, const struct node *, const char *name);

/* One of what `by` lists. False with a finding. */
bool limit_by_decode(struct decoder *, const struct node *, struct text, struct limit_by *);

/* The keys of a limit, for `fcgiguard help` and the test of the man page. */
extern const struct section limit_section;

/* Whether the limit is not for this request (`except`). */
bool limit_excepts(const struct limit *, const struct exchange *);

/* The counter's key: the name and by whom, each word without blanks; what is
 * empty stays empty, what is too long becomes a digest of it. In the exchange's arena. */
struct text limit_key(const struct limit *, const struct exchange *);

/* A value as a word of a key: without blanks, and as a digest where it is too long. */
void limit_key_add(struct bytes *key, struct text value);

/* The limit that has counters with such a key, or NULL. */
const struct limit *limits_find(const struct limits *, struct text key, enum quota_algorithm);

uint64_t limit_cost(const struct limit *, const struct exchange *);

/* In a process that serves, as auth_methods_open() and auth_methods_start(); they
 * do nothing where no route has limits. */
bool limits_open(struct limits *, struct error *);
bool limits_start(struct limits *, uint64_t threads, struct error *);
void limits_close(struct limits *);

/* Whether the counters, which are open, can be written now; false with an error. It waits as
 * counters_take() does. */
bool limits_reach(const struct limits *, struct error *);

#endif
