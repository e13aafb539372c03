/*
 * Backend address: where an application listens, and how to reach it by a
 * socket that never blocks. Knows nothing of what is said there.
 */
#ifndef HANDLER_BACKEND_ADDRESS_H
#define HANDLER_BACKEND_ADDRESS_H

#include <netinet/in.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "handler/host_name.h"

struct backend_address {
    const char *place;      /* in one way for each address, however the policy writes it */
    struct host_name *name; /* NULL where the address is known: */
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_un unix_path;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } at;
};

/* "unix:/PATH", "HOST:PORT" or "[V6]:PORT", also behind "tcp:". Texts are in the arena. False
 * with an error that says what was expected. */
bool backend_address_parse(struct text, struct arena *, struct backend_address *, struct error *);

/* Whether sockets for it are TCP's, which a sandbox must allow. */
bool backend_address_needs_network(const struct backend_address *);

/* Whether a connected socket still leads there: a name may have other addresses by now. May ask a
 * name server, up to the deadline. */
bool backend_address_is_at(const struct backend_address *, int descriptor, uint64_t deadline);

/* Whether it takes a connection, which is closed at once. As backend_address_connect(). */
bool backend_address_reach(const struct backend_address *, uint64_t deadline, struct error *);

/* A connected socket, non-blocking and close-on-exec; -1 with an error, whose number is
 * ETIMEDOUT where `deadline` (clock_milliseconds) was reached. */
int backend_address_connect(const struct backend_address *, uint64_t deadline, struct error *);

#endif
