/*
 * Policy: the file an owner writes, loaded and checked, immutable afterwards.
 * Everything in it lives in its arena.
 */
#ifndef POLICY_POLICY_H
#define POLICY_POLICY_H

#include "base/log.h"
#include "data/openapi.h"
#include "guard/auth_method.h"
#include "guard/content.h"
#include "guard/cors.h"
#include "guard/guard.h"
#include "guard/limit.h"
#include "guard/version.h"
#include "handler/handler.h"
#include "process/program.h"
#include "respond/error_rules.h"
#include "respond/limit_headers.h"
#include "respond/secure_headers.h"
#include "respond/set_cookie.h"

struct listen_rules {    /* policy key `listen` */
    const char *address; /* "unix:/path" or "tcp:HOST:PORT"; NULL: given by whoever starts us */
    unsigned mode;       /* of a unix socket; default 0660 */
    const char *owner, *group;
    uint64_t backlog;
};

struct server_rules { /* keys at the top of the file */
    struct listen_rules listen;
    struct request_rules request; /* `request`, and `proxies` in it */
    uint64_t threads, queue, connections;
    struct timeouts {
        uint64_t read, write, idle, drain; /* milliseconds */
    } timeouts;
    struct log_rules {
        const char *target;
        int level; /* enum severity */
    } log;
    struct counters_rules store; /* its place is that of keys, too; NULL: there is none */
    uint64_t local_share;        /* percent */
    const char *user, *group;    /* the worker's */
    bool authorizer;             /* FastCGI's role of one is taken */
    bool sandbox;
    const char *spool;             /* folder for bodies that do not fit in memory */
    uint64_t reply_spool;          /* bytes of one reply kept aside for a client that reads slowly */
    const char *request_id_header; /* name of the reply's header, "X-Request-ID" */
};

struct route {
    const char *path;                        /* as written: "/api/users/{id}" */
    struct texts methods;                    /* upper case; HEAD is added to GET */
    struct guard_rules guards[GUARDS_LIMIT]; /* by place in `guards` */
    const struct handler *handler;
    void *settings;
    const struct node *settings_node; /* what they were made from */
    struct secure_headers headers;
    const struct cors_rules *cors; /* NULL: off */
    struct cookie_rules cookies;
    struct error_rules errors;
    int on_store_failure;            /* enum store_failure */
    int validation_status;           /* 0: 400, 1: 422 */
    int validation_details;          /* enum validation_details */
    int limit_headers;               /* enum limit_headers */
    uint32_t versions;               /* bits of those of the API that it serves; 0: it has none */
    const struct lifetime *lifetime; /* its own; NULL: none but that of a version */
    bool pass_errors;                /* the handler's own 5xx bodies go out */
    bool report_only;
    const struct node *node;                   /* for messages */
    const struct openapi_operation *operation; /* NULL: it is the policy's own */
    size_t base;                               /* of an operation: so much of its path is SCRIPT_NAME */
};

struct policy {
    struct arena *arena;
    const char *file;
    struct server_rules server;
    struct route *routes;
    size_t route_count;
    struct route *undocumented; /* what goes beneath the base of operations, and to none; NULL: nothing */
    struct router *router;
    struct secure_headers headers; /* of replies to requests that have no route: the defaults' */
    const struct cors_rules *cors; /* the same */
    struct error_rules errors;     /* the same */
    struct program **programs;
    size_t program_count;
    struct auth_methods auth; /* ways to authenticate */
    struct limits limits;
    struct cors_all cors_all;
    struct versions versions;
    struct contents contents;
    struct openapi *openapi;           /* NULL: there is none */
    struct backend_registry *backends; /* of all handlers (handler/backends.h); NULL: there are none */
    struct findings findings;          /* advice is left here; errors too when loading failed */
};

/* Whether a web server asks there whether it may serve another request. */
bool route_authorizes(const struct route *);

/* Whether a guard of the route judges bodies. */
bool route_needs_body(const struct route *);

/* Loads and checks a policy file. NULL on errors that are not about its text
 * (error set), else a policy; when findings.errors is not 0 it must only be
 * asked for its findings. End it with policy_free(). */
struct policy *policy_load(const char *file, struct error *);

/* The same for a policy that is for another machine and only tested here: programs, users, folders, keys
 * and secrets that it names need not be here. It must not be served. */
struct policy *policy_load_elsewhere(const char *file, struct error *);

/* The same for text in memory that stands for `file` (tests, fuzzing). */
struct policy *policy_parse(struct text content, const char *file, bool json, struct error *);

void policy_free(struct policy *);

/* Every table of the policy, for `fcgiguard help` and the test of the man
 * page: calls `visit` for each key with its full name ("listen.mode",
 * "exec.cpu"; keys of routes without a prefix). */
void policy_describe(void (*visit)(void *context, const char *key, const struct field *), void *context);

#endif
