/*
 * Exchange: one request and its reply, from the first byte to the log line.
 * It owns the request's arena; whoever made it ends it.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include "http/body.h"
#include "http/reply.h"
#include "http/request.h"

enum { REQUEST_ID_SIZE = 37 }; /* RFC 9562, version 4, as text with its NUL */
enum { CAPTURES_LIMIT = 32 };
enum { NONCE_SIZE = 33 }; /* 128 bits as hexadecimal digits, with its NUL */

struct capture {
    const char *name;  /* of a {name} in the route's path */
    struct text value; /* decoded */
};

enum store_failure { STORE_FAILURE_DENY, STORE_FAILURE_ALLOW, STORE_FAILURE_LOCAL };

enum validation_details { VALIDATION_DETAILS_FULL, VALIDATION_DETAILS_FIELDS, VALIDATION_DETAILS_NONE };

/* What is left of the tightest limit that a request draws on; times in seconds. */
struct allowance {
    const char *name; /* NULL: there is none */
    uint64_t limit;   /* units a window */
    uint64_t window;  /* 0: a limit of requests at once */
    uint64_t remaining;
    uint64_t reset;
    uint64_t retry; /* 0: it was admitted */
};

/* A reply's body that is kept until it has been judged, by whoever owns the spool. */
struct kept {
    struct spool spool;
    bool fixed;          /* it goes out as it is, and when it does not fit in the spool, at once */
    bool over, failed;   /* it did not fit, or the spool failed */
    struct text instead; /* goes out in its place; at NULL: nothing does */
};

struct exchange {
    struct arena *arena;
    struct channel *channel;
    char id[REQUEST_ID_SIZE];
    char nonce[NONCE_SIZE]; /* of the reply's Content-Security-Policy; "" until exchange_nonce() */
    uint64_t started;       /* clock_microseconds */

    struct request request;
    struct body body;

    const struct route *route; /* NULL until found */
    const char *route_path;    /* the route's path as the policy has it */
    const char *backend;       /* of several: the address of the one that was asked last */
    bool method_known;         /* the route was found by path and method */
    struct text allow;         /* methods of all routes with this path, "GET, HEAD, POST" */
    struct text script_name;   /* the part of the path before path_info, without trailing "/" */
    struct text path_info;     /* what ** matched, or stands behind the base of an OpenAPI document */
    struct text rest;          /* what ** matched, with its leading "/"; empty when there is no ** */
    struct capture captures[CAPTURES_LIMIT];
    size_t capture_count;

    const struct version *version; /* of the API, that is asked for (guard/version.h); NULL: none */
    int version_found;             /* enum version_found */
    const struct lifetime
        *lifetime; /* of the route or the version (guard/lifetime.h); NULL: no end is known */

    bool authorizer;        /* asked in FastCGI's role of an authorizer */
    bool authorizes;        /* the web server serves what is asked about: 2xx, 401 or 403 */
    bool authenticates;     /* the route asks who is calling, if it does not insist */
    struct caller *caller;  /* who that is (identity/caller.h); NULL: nobody that we know */
    struct texts told;      /* variables that tell of callers, whether this one has them or not */
    struct held *held;      /* what the guard `auth` has to give back */
    int on_store_failure;   /* enum store_failure: of counters */
    int validation_status;  /* of validation_error */
    int validation_details; /* enum validation_details */
    struct drawn *drawn;    /* what the guard `limits` has to give back */
    const struct content_rules *reading; /* how a body is read (guard/content.h); NULL until `body` says */
    struct rejecting *rejecting;         /* what was read to be judged (guard/reject.h) */
    bool type_named;                     /* a guard of types names the body's very type */
    bool reports;                        /* the guard that judges only reports, so it changes nothing */
    struct allowance allowance;
    bool limits_told;      /* replies may say which limit it is, and how large */
    struct text details;   /* of a refusal for what was sent: a JSON list; may be empty */
    struct text challenge; /* WWW-Authenticate of a refusal; may be empty */

    struct verdict verdict; /* the first that was not PASS, or PASS */
    struct reply reply;
    struct kept *kept; /* takes the body in the place of the channel; NULL: nobody does */
    uint64_t sent;     /* body bytes handed to the channel, or kept */
    bool head_sent;    /* the reply can no longer be changed */

    struct launcher *launcher; /* who starts programs (process/launcher.h) */
    const char *spool_folder;
    uint64_t read_timeout, write_timeout; /* milliseconds of silence */

    /* Takes a line of a program's standard error; NULL: it goes to the log as it is. */
    void (*program_line)(const struct exchange *, const char *handler, struct text line);

    /* Told before the exchange waits for a body, a handler or keys; may be NULL. */
    void (*waits)(struct exchange *);
    void *owner; /* whose exchange it is */
    bool single; /* the process serves no other */

    /* Told what each guard says, for explain and test; NULL: nobody is. */
    void (*observe)(struct exchange *, const char *guard, struct verdict);
    void *observer;
    bool previews; /* explain: nothing is counted, and no body that is not given is missed */

    /* The time that is played, in milliseconds since 1970, for test, where it stands still;
     * 0: it is that of the clock. */
    int64_t played_time;
};

/* Fills `id` from the system's random numbers. */
void exchange_make_id(struct exchange *);

/* The reply's nonce (CSP Level 3, 2.3.1), made of random numbers when first asked for. */
const char *exchange_nonce(struct exchange *);

/* Milliseconds since 1970: when it is judged. */
int64_t exchange_time(const struct exchange *);

/* Tells that the exchange is about to wait for something (`waits`). */
void exchange_begin_to_wait(struct exchange *);

/* Sends the reply's head, once. */
bool exchange_send_head(struct exchange *);

/* Sends body bytes; cut to the reply's length where one is stated, and dropped
 * where no body may follow. False when the client is gone, or what is kept does not fit. */
bool exchange_send(struct exchange *, struct text data);

/* Sends the head and what was kept; from now on the body goes out as it comes. False when
 * the client is gone or the spool cannot be read. */
bool exchange_send_kept(struct exchange *);

#endif
