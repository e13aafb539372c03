/*
 * Backends: which of several a request goes to, how many each has at once, who
 * is next when there are as many, and which connections to them are kept
 * meanwhile. Shared by threads; knows nothing of what is said on a connection.
 *
 * A policy has one registry: what an address can do, and how it fares, is the
 * same for all who name it. A handler's settings have a group of addresses, with
 * rules of their own. A request has a lease, which holds one place at a time:
 *
 *     struct backend_lease lease = {.group = ..., .exchange = ..., .repeatable = ...};
 *     if (backends_take(&lease, until) != BACKEND_PLACE) -> backends_verdict()
 *     lease.target, lease.connection    whom to ask, and a kept connection, if there is one
 *     backends_connected()              a new connection has been made
 *     backends_answered()               the reply's head is good
 *     backends_failed()                 or it is not
 *     backends_give()                   always, once; then perhaps backends_take() again: another one
 *
 * backends_settings.c has the policy's keys, backends_choose.c whom a request goes to, backends_kept.c
 * the connections, backends.c the places, backends_watch.c what is done without a request.
 */
#ifndef HANDLER_BACKENDS_H
#define HANDLER_BACKENDS_H

#include "data/decode.h"
#include "guard/limit.h"
#include "handler/backend_health.h"
#include "http/exchange.h"

enum { BACKENDS_MOST = 64 }; /* addresses of one group, those that are for need only included */
enum { BACKEND_REASON_SIZE = 128 };

struct backend;          /* one address */
struct backend_registry; /* all of a policy, in its arena */
struct backends;         /* a group */

/* ---- what a policy says */

enum backend_balance { BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS, BALANCE_HASH };

struct backends_rules {
    struct texts addresses, backups; /* as written */
    struct backend_balance_rule {
        enum backend_balance kind;
        struct limit key; /* of BALANCE_HASH */
    } balance;
    uint64_t connections;   /* at once, to each */
    uint64_t queue_timeout; /* milliseconds */
    uint64_t retries;       /* on how many others */
    uint64_t retry_budget;  /* percent of requests */
    uint64_t warm;          /* connections to each, opened beforehand */
    uint64_t idle;          /* milliseconds: how long one may be kept */
    struct backend_watch_rules {
        struct backend_health_rules health; /* the first member: their offsets are the same */
        bool statuses[100];                 /* of 500 to 599: count as failures */
        const char *probe;                  /* a path; NULL: there are no probes */
        uint64_t interval, timeout;         /* milliseconds */
    } health;
};

/* The rows of a handler's table that are about these, all but the first one's and `connections`. */
extern const struct section backends_health_section;
bool backends_balance_decode(struct decoder *, const struct node *, void *member);
#define BACKENDS_BALANCE_EXPECTED "round_robin, least_connections or hash:KEY with a KEY as in a limit's `by`"
#define BACKENDS_FIELDS(struct_, member_)                                                                    \
    {FIELD(FIELD_TEXTS, struct_, member_.backups, "backup"),                                                 \
     .help = "where else it listens, for when none of the others is in service"},                            \
        {FIELD(FIELD_OWN, struct_, member_.balance, "balance"), .own = backends_balance_decode,              \
         .fallback = "round_robin", .expects = BACKENDS_BALANCE_EXPECTED,                                    \
         .help = "which backend a request goes to"},                                                         \
        {FIELD(FIELD_DURATION, struct_, member_.queue_timeout, "queue_timeout"), .fallback = "5s",           \
         .least = 100, .most = UINT64_C(24) * 60 * 60 * 1000,                                                \
         .help = "how long a request may wait until one of connections is free"},                            \
        {FIELD(FIELD_NUMBER, struct_, member_.retries, "retries"), .fallback = "1", .most = 8,               \
         .help = "on how many other backends a request may be tried, where that is safe"},                   \
        {FIELD(FIELD_NUMBER, struct_, member_.retry_budget, "retry_budget"), .fallback = "20", .most = 100,  \
         .help = "how many retries there may be, in percent of requests"},                                   \
    {                                                                                                        \
        FIELD(FIELD_SECTION, struct_, member_.health, "health"),                                             \
            .section = &backends_health_section,                                                             \
            .help = "when a backend is out of service, and when it is in service again"                      \
    }

/* A connection that is kept, or may be. */
struct backend_connection {
    int descriptor;             /* -1: there is none */
    void *owner;                /* what it is a part of, as libcurl's; NULL: it is all there is */
    void (*close)(void *owner); /* ends the owner and the connection; NULL: close(2) does */
};
#define BACKEND_NO_CONNECTION ((struct backend_connection){.descriptor = -1})

/* What a handler does where there is no request, in a thread that may wait. */
struct backend_calls {
    /* Asks for `probe` on the connection that is given, or on a new one where that is none or stale; leaves
     * one that may be kept. An error where it does not turn out well. */
    enum backend_outcome (*probe)(const void *target, const struct backend_watch_rules *,
                                  struct backend_connection *, struct error *);

    /* Whether both are probed by the same request, with the same path; NULL: always. */
    bool (*asks_alike)(const void *target, const void *other);

    /* Whether it takes a connection, which is closed; false with an error. */
    bool (*reach)(const void *target, uint64_t deadline, struct error *);

    /* A new connection, or none with an error. NULL: the handler has no `warm`. */
    struct backend_connection (*open)(const void *target, uint64_t deadline, struct error *);
};

/* What one text of the policy means to a handler. */
struct backend_named {
    const char *place; /* the address, and its name in the log */
    /* Of speaking to it, "fastcgi": one backend for all who give the same place and manner. */
    const char *manner;
    const void *target; /* what the handler needs to reach it, in the arena */
    const struct backend_calls *calls;
};

/* The file's registry, which is made where there is none yet. */
struct backend_registry *backends_registry(struct decoder *);

/* Makes a group of what the rules say, with findings at `key` and `backup` of the section. `parse` is the
 * handler's: false with an error that ends a sentence which begins with the text. NULL with findings. */
struct backends *
backends_prepare(struct decoder *, const struct backends_rules *, const struct node *section, const char *key,
                 bool (*parse)(void *context, struct text, struct backend_named *, struct error *),
                 void *context);

/* The member's targets, for a handler's own questions: NULL past the last. */
const void *backends_target(const struct backends *, size_t index);

/* Whether whom a request goes to depends on who is calling (handler->needs_caller). */
bool backends_need_caller(const struct backends_rules *);

/* ---- requests */

struct backend_lease {
    /* Whoever asks says: */
    struct backends *group;
    struct exchange *exchange;
    bool repeatable; /* it may be tried elsewhere if it fails, so it is one for trials */

    /* What it holds: */
    const void *target;                   /* NULL: nothing */
    struct backend_connection connection; /* silent and open as far as can be told, or none */

    /* Of backends.c: */
    struct backend *backend;
    size_t member;
    bool trial;
    int64_t balance;
    uint64_t tried; /* bits of members */
    uint64_t key;   /* of BALANCE_HASH */
    enum backend_outcome outcome;
    const char *reason;
};

enum backend_place {
    BACKEND_PLACE,      /* it must be given back */
    BACKEND_PLACE_BUSY, /* none was free in time */
    BACKEND_PLACE_NONE, /* no backend is in service; of a lease that was given back: no other may be tried */
    BACKEND_PLACE_GONE, /* the client went away meanwhile */
};

/* Takes a place of one of the group's backends, first come, first served; waits at most `queue_timeout`, and
 * not past `deadline` (clock_milliseconds). With a lease that was given back it is a retry: of a backend that
 * it has not tried, as the group's `retries` and its budget allow. */
enum backend_place backends_take(struct backend_lease *, uint64_t deadline);

/* A new connection has been made, and may show that a backend is back. Costs nothing else. */
void backends_connected(struct backend_lease *);

/* The reply's status has come: counts for the backend, or against it where the policy says so. False if it
 * does, and a backend is in service that may be asked instead. */
bool backends_answered(struct backend_lease *, int status);

/* The backend has failed, if it is not the connection that was kept which has. The reason must live until
 * the lease is given back. Counts then; it may be called after backends_answered(). */
void backends_failed(struct backend_lease *, enum backend_outcome, const char *reason);

/* Gives the place back, if there is one, with a connection to keep for `idle` milliseconds or none. The
 * connection is the registry's from now on, and is closed where it is not kept. */
void backends_give(struct backend_lease *, struct backend_connection, uint64_t idle);

/* The answer for a place that was not had: 503 with Retry-After among the headers of the exchange's reply,
 * or 400 client_gone. */
struct verdict backends_verdict(const struct backend_lease *, struct exchange *, enum backend_place,
                                const char *handler);

/* Whether a method may be carried out twice (RFC 9110, 9.2.2). */
bool backends_is_idempotent(struct text method);

/* ---- for whoever looks */

struct backend_view {
    const char *place;
    enum backend_state state;
    uint64_t for_ms;                  /* how long it has been so; 0: since the process began */
    uint64_t requests;                /* at once */
    uint64_t waiting;                 /* requests that would take one of its places */
    uint64_t kept;                    /* connections */
    uint64_t failures;                /* in a row */
    uint64_t trial_in_ms;             /* while out: until its next trial */
    char reason[BACKEND_REASON_SIZE]; /* of its last failure; "": there was none */
};

/* Fills at most `room` views; how many backends there are. The registry may be NULL: none. */
size_t backends_look(struct backend_registry *, struct backend_view *, size_t room);

/* Whether each group has a backend that takes a connection or, where it is probed, is in service. Asks each
 * once at most, and waits for it as long as `patience` (milliseconds). False with an error that names one. */
bool backends_reach(const struct backend_registry *, uint64_t patience, struct arena *, struct error *);

/* In a process that serves, once it is confined: starts a thread for each backend that is probed, or has warm
 * connections; they end with the process. The registry may be NULL: none. False with an error. */
bool backends_start(struct backend_registry *, struct error *);

#endif
