/*
 * c-ares asks, because the C library tells no time to live and cannot be told a
 * deadline. A channel is made for each question, so that a changed resolv.conf is
 * read.
 */
#include "config.h"

#include "handler/host_name.h"

#include <ares.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    RENEWAL_MS = 1000,  /* how long the caller who asks waits, where he has other addresses */
    SOCKETS_LIMIT = 32, /* of one question; c-ares asks one server after the other */
};

struct host_name {
    const char *host;
    char port[8];
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t told;
    struct host_times times;
    struct host_addresses addresses;
    int failure; /* ARES_..., of the last question */
};

/* ---- time */

enum host_step host_times_look(struct host_times *times, uint64_t now)
{
    if (times->known && now >= times->dead)
        times->known = false;
    if (now >= times->expires && !times->asking) {
        times->asking = true;
        return HOST_ASK;
    }
    if (times->known)
        return HOST_USE;
    return times->asking ? HOST_WAIT : HOST_FAIL;
}

void host_times_found(struct host_times *times, uint64_t now, uint64_t ttl)
{
    ttl = ttl < HOST_TTL_LEAST ? HOST_TTL_LEAST : ttl > HOST_TTL_MOST ? HOST_TTL_MOST : ttl;
    *times = (struct host_times){.known = true, .expires = now + ttl, .dead = now + ttl + HOST_STALE};
}

void host_times_failed(struct host_times *times, uint64_t now)
{
    times->asking = false;
    times->failed = true;
    times->expires = now + HOST_RETRY;
}

/* ---- one question */

struct answer {
    bool complete;
    int status;
    uint64_t ttl; /* milliseconds */
    struct host_addresses addresses;
};

static void take_answer(void *context, int status, int timeouts, struct ares_addrinfo *result)
{
    struct answer *answer = context;
    (void)timeouts;
    answer->complete = true;
    answer->status = status;
    for (const struct ares_addrinfo_node *node = result ? result->nodes : NULL; node; node = node->ai_next) {
        struct host_address *to = &answer->addresses.items[answer->addresses.count];
        uint64_t ttl = node->ai_ttl > 0 ? (uint64_t)node->ai_ttl * 1000 : 0;
        if (answer->addresses.count == HOST_ADDRESSES_LIMIT || node->ai_addrlen > sizeof to->at)
            continue;
        answer->ttl = answer->addresses.count == 0 || ttl < answer->ttl ? ttl : answer->ttl;
        memcpy(&to->at, node->ai_addr, node->ai_addrlen);
        to->length = node->ai_addrlen;
        answer->addresses.count++;
    }
    for (const struct ares_addrinfo_cname *alias = result ? result->cnames : NULL; alias; alias = alias->next)
        if (alias->ttl >= 0 && (uint64_t)alias->ttl * 1000 < answer->ttl)
            answer->ttl = (uint64_t)alias->ttl * 1000;
    ares_freeaddrinfo(result);
}

/* The sockets that a channel waits for. */
struct sockets {
    struct pollfd items[SOCKETS_LIMIT];
    nfds_t count;
};

/* What c-ares wants to know of a socket now; of a closed one, nothing. */
static void note_socket(void *context, ares_socket_t socket, int readable, int writable)
{
    struct sockets *sockets = context;
    short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    nfds_t i = 0;
    while (i < sockets->count && sockets->items[i].fd != socket)
        i++;
    if (!events && i < sockets->count)
        sockets->items[i] = sockets->items[--sockets->count];
    if (!events || i == SOCKETS_LIMIT)
        return;
    sockets->items[i] = (struct pollfd){socket, events, 0};
    if (i == sockets->count)
        sockets->count++;
}

/* Waits for one of the channel's sockets, or for its own clock, and lets it go on. */
static void go_on(ares_channel channel, const struct sockets *sockets, uint64_t left)
{
    struct sockets waited = *sockets; /* the channel changes its own as it goes on */
    struct timeval most = {(time_t)(left / 1000), (suseconds_t)(left % 1000) * 1000}, next;
    const struct timeval *time = ares_timeout(channel, &most, &next);
    long pause = time->tv_sec * 1000L + time->tv_usec / 1000 + 1;
    if (poll(waited.items, waited.count, pause > INT_MAX ? INT_MAX : (int)pause) <= 0)
        ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    for (nfds_t i = 0; i < waited.count; i++) {
        const struct pollfd *item = &waited.items[i];
        if (item->revents)
            ares_process_fd(channel, item->revents & ~POLLOUT ? item->fd : ARES_SOCKET_BAD,
                            item->revents & POLLOUT ? item->fd : ARES_SOCKET_BAD);
    }
}

static void ask(const struct host_name *name, uint64_t deadline, struct answer *answer)
{
    const struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NUMERICSERV};
    struct sockets sockets = {.count = 0};
    struct ares_options options = {.sock_state_cb = note_socket, .sock_state_cb_data = &sockets};
    ares_channel channel;
    *answer = (struct answer){.status = ares_init_options(&channel, &options, ARES_OPT_SOCK_STATE_CB)};
    if (answer->status != ARES_SUCCESS)
        return;
    ares_getaddrinfo(channel, name->host, name->port, &hints, take_answer, answer);
    for (uint64_t now; !answer->complete && (now = clock_milliseconds()) < deadline;)
        go_on(channel, &sockets, deadline - now);
    ares_destroy(channel); /* what is still asked ends here, as ARES_EDESTRUCTION */
    if (answer->status == ARES_SUCCESS && answer->addresses.count == 0)
        answer->status = ARES_ENODATA;
}

/* ---- the name */

struct host_name *host_name_new(const char *host, uint16_t port, struct arena *arena)
{
    struct host_name *name = arena_alloc(arena, sizeof *name);
    *name = (struct host_name){.host = host};
    snprintf(name->port, sizeof name->port, "%u", (unsigned)port);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&name->told, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&name->lock, NULL);
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        abort();
    return name;
}

/* Locked. What is out is logged once, until it is back. */
static void take(struct host_name *name, const struct answer *answer)
{
    uint64_t now = clock_milliseconds();
    if (answer->status == ARES_SUCCESS) {
        if (name->times.failed && name->times.known)
            log_event(SEVERITY_NOTICE, "name_found", "%.253s was found again", name->host);
        name->addresses = answer->addresses;
        host_times_found(&name->times, now, answer->ttl);
    } else {
        if (!name->times.failed && name->times.known)
            log_event(SEVERITY_WARNING, "name_not_found",
                      "cannot look up %.253s again: %s; the addresses it had serve on", name->host,
                      ares_strerror(answer->status));
        name->failure = answer->status;
        host_times_failed(&name->times, now);
    }
    pthread_cond_broadcast(&name->told);
}

/* Locked, but while it asks. */
static void ask_unlocked(struct host_name *name, uint64_t deadline)
{
    struct answer answer;
    uint64_t early = clock_milliseconds() + RENEWAL_MS;
    bool renews = name->times.known && early < deadline;
    pthread_mutex_unlock(&name->lock);
    ask(name, renews ? early : deadline, &answer);
    pthread_mutex_lock(&name->lock);
    take(name, &answer);
}

static bool fail(const struct host_name *name, int status, struct error *error)
{
    if (status == ARES_EDESTRUCTION || status == ARES_ETIMEOUT) {
        error_set(error, "%.253s could not be looked up in time", name->host);
        error->number = ETIMEDOUT;
        return false;
    }
    return error_set(error, "cannot look up %.253s: %s", name->host, ares_strerror(status));
}

bool host_name_find(struct host_name *name, uint64_t deadline, struct host_addresses *addresses,
                    struct error *error)
{
    const struct timespec end = {(time_t)(deadline / 1000), (long)(deadline % 1000) * 1000000L};
    bool late = false;
    pthread_mutex_lock(&name->lock);
    enum host_step step = host_times_look(&name->times, clock_milliseconds());
    if (step == HOST_ASK)
        ask_unlocked(name, deadline);
    while (step == HOST_WAIT && name->times.asking && !late)
        late = pthread_cond_timedwait(&name->told, &name->lock, &end) == ETIMEDOUT;
    bool known = name->times.known;
    int failure = late ? ARES_ETIMEOUT : name->failure;
    if (known)
        *addresses = name->addresses;
    pthread_mutex_unlock(&name->lock);
    return known || fail(name, failure, error);
}

static bool is_at(const struct host_address *address, const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;
    if (address->at.any.sa_family != peer->ss_family)
        return false;
    return peer->ss_family == AF_INET
               ? v4->sin_addr.s_addr == address->at.v4.sin_addr.s_addr
               : memcmp(&v6->sin6_addr, &address->at.v6.sin6_addr, sizeof v6->sin6_addr) == 0;
}

bool host_addresses_have(const struct host_addresses *addresses, int descriptor)
{
    struct sockaddr_storage peer = {0};
    socklen_t length = sizeof peer;
    if (getpeername(descriptor, (struct sockaddr *)&peer, &length) != 0)
        return true; /* what is wrong turns out by itself */
    for (size_t i = 0; i < addresses->count; i++)
        if (is_at(&addresses->items[i], &peer))
            return true;
    return false;
}

bool host_name_leads_to(struct host_name *name, int descriptor, uint64_t deadline)
{
    struct host_addresses found;
    struct error error = {0};
    return !host_name_find(name, deadline, &found, &error) || host_addresses_have(&found, descriptor);
}
