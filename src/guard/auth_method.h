/*
 * Ways to authenticate: the policy's `auth` at its top. A kind (jwt, api_key)
 * makes a caller of a credential; a method is a kind with its rules, under the
 * name that routes refer to.
 */
#ifndef GUARD_AUTH_METHOD_H
#define GUARD_AUTH_METHOD_H

#include "data/decode.h"
#include "guard/presented.h"
#include "identity/caller.h"
#include "store/credentials.h"

struct auth_kind {
    const char *name; /* policy key = file name behind "auth_" */
    const char *help;
    const char *scheme; /* AUTH_TYPE, and what is asked for in WWW-Authenticate */
    struct section section;

    /* Checks and completes the decoded rules. */
    bool (*prepare)(void *rules, struct decoder *, const struct node *);

    /* Whether it can do without the policy's store. */
    bool (*needs_store)(const void *rules);

    const struct places *(*places)(const void *rules);
    const struct pairs *(*variables)(const void *rules); /* what programs are told besides; NULL: nothing */
    bool (*forwards)(const void *rules); /* leaves the credential in the request; NULL: never */

    /* Judges a credential; `store` is NULL where the policy has none. On PASS
     * the caller is complete but for `method` and `scheme`, and `*held` may be
     * something to give to release() when the request is over. */
    struct verdict (*identify)(const void *rules, struct credentials *store, struct text credential,
                               struct exchange *, struct caller *, void **held);
    void (*release)(void *held);

    /* Whether it asks other machines once it is started; NULL: never. */
    bool (*needs_network)(const void *rules);

    /* Makes what one process needs and threads share; NULL when that is nothing. */
    bool (*open)(void *rules, struct error *);

    /* Makes threads of its own, for a process with that many threads that serve;
     * without it, what is opened is there and never fresh. NULL when that is nothing. */
    bool (*start)(void *rules, size_t threads, struct error *);

    /* Frees what the rules hold, opened or not, prepared well or not; NULL when that is nothing. */
    void (*close)(void *rules);
};

extern const struct auth_kind *const auth_kinds[]; /* ended by NULL (guard/auth.c) */

struct auth_method {
    const char *name;
    const struct auth_kind *kind;
    void *rules;
    const struct node *node;
    bool used; /* by a route */
};

struct auth_methods {
    struct auth_method *items;
    size_t count;
    bool stores;            /* the store is needed, whatever the methods */
    const char *store_path; /* a place of credentials_open(); NULL: none */
    const char *store_password;
    struct credentials *store;
};

/* Whether the rules of the guard `auth` are more than none. */
bool auth_asks(const void *rules);

/* Where the credential of the one or other of their ways stands; NULL: there are no more. */
const struct places *auth_place(const void *rules, size_t at);

/* Whether one of its ways looks where browsers put credentials by themselves (presented_is_ambient). */
bool auth_reads_ambient(const void *rules);

/* For guards that need a caller where there is none: the refusal of a request
 * without credentials. */
struct verdict auth_demand(void);

/* In a process that serves: after its last fork, and before it is confined. */
bool auth_methods_open(struct auth_methods *, struct error *);

/* Behind that, in a process that serves more than one request, once it is confined. */
bool auth_methods_start(struct auth_methods *, size_t threads, struct error *);

/* Whether a method that a route uses asks other machines. */
bool auth_methods_need_network(const struct auth_methods *);

/* Frees what was opened and what the rules hold. */
void auth_methods_close(struct auth_methods *);

#endif
