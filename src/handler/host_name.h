/*
 * Host name: the addresses of one name, looked up again when their time to live
 * is over. Shared by threads: one of them asks, and the others go on with what
 * was known before, as do all where nobody answers (RFC 8767). Names are found in
 * /etc/hosts and by DNS.
 */
#ifndef HANDLER_HOST_NAME_H
#define HANDLER_HOST_NAME_H

#include <netinet/in.h>

#include "base/arena.h"
#include "base/error.h"

enum { HOST_ADDRESSES_LIMIT = 16 };

struct host_address {
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};
struct host_addresses {
    size_t count;
    struct host_address items[HOST_ADDRESSES_LIMIT]; /* the best first (RFC 6724) */
};

/* ---- when a name is asked for: arithmetic on milliseconds of one clock */

#define HOST_TTL_LEAST 1000u               /* for names with none, as those of /etc/hosts */
#define HOST_TTL_MOST  (60u * 60 * 1000)   /* longer is often a mistake */
#define HOST_RETRY     1000u               /* after a failure */
#define HOST_STALE     (24u * 3600 * 1000) /* how long addresses serve that cannot be renewed */

struct host_times {
    bool known, failed; /* there are addresses; the last question failed */
    bool asking;
    uint64_t expires; /* until then nobody asks */
    uint64_t dead;    /* until then the addresses serve */
};
enum host_step {
    HOST_USE,  /* what is known */
    HOST_ASK,  /* it is for the caller to ask, and to tell the result */
    HOST_WAIT, /* somebody asks, and nothing is known */
    HOST_FAIL, /* nothing is known, and it failed a short time ago */
};
enum host_step host_times_look(struct host_times *, uint64_t now);
void host_times_found(struct host_times *, uint64_t now, uint64_t ttl);
void host_times_failed(struct host_times *, uint64_t now);

/* ---- a name */

struct host_name;

/* Nothing is asked yet. `host` must live as long; it is in the arena, as all of it. */
struct host_name *host_name_new(const char *host, uint16_t port, struct arena *);

/* Its addresses with the port, at least one. False with an error, whose number is ETIMEDOUT
 * where `deadline` (clock_milliseconds) was reached. */
bool host_name_find(struct host_name *, uint64_t deadline, struct host_addresses *, struct error *);

/* Whether the peer of a connected socket is one of them. True where nobody can tell. */
bool host_addresses_have(const struct host_addresses *, int descriptor);

/* Whether it is one of the name's addresses; they are looked up again where their
 * time is over, as by host_name_find(). True where nobody can tell. */
bool host_name_leads_to(struct host_name *, int descriptor, uint64_t deadline);

#endif
