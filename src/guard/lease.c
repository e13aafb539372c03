/*
 * Lease: slots that a request holds until it is answered. Those that are held
 * for long are taken again and again by one thread, so that those of a process
 * that was killed come free.
 */
#include "config.h"

#include "guard/lease.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

enum { RENEW_EVERY_MS = 10000, RENEW_AFTER_MS = 20000 }; /* within half of LEASE_WINDOW */

struct lease {
    struct lease *next, **place;
    struct counters *counters;
    struct draw draws[DRAWS_LIMIT];
    size_t count;
    uint64_t time;    /* of the store */
    uint64_t renewed; /* clock_milliseconds */
    bool renewing, ended;
    char keys[DRAWS_LIMIT][COUNTER_KEY_SIZE];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    pthread_t thread;
    bool runs, stops;
    struct lease *leases;
} keeper = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void link_lease(struct lease *lease)
{
    lease->next = keeper.leases;
    lease->place = &keeper.leases;
    if (lease->next)
        lease->next->place = &lease->next;
    keeper.leases = lease;
}

static void unlink_lease(struct lease *lease)
{
    *lease->place = lease->next;
    if (lease->next)
        lease->next->place = lease->place;
}

struct lease *lease_begin(struct counters *counters, const struct draw draws[], size_t count, uint64_t time)
{
    struct lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        abort();
    lease->counters = counters;
    lease->count = count;
    lease->time = time;
    lease->renewed = clock_milliseconds();
    for (size_t i = 0; i < count; i++) {
        lease->draws[i] = draws[i];
        memcpy(lease->keys[i], draws[i].key.at, draws[i].key.length);
        lease->draws[i].key.at = lease->keys[i];
    }
    pthread_mutex_lock(&keeper.lock);
    link_lease(lease);
    pthread_mutex_unlock(&keeper.lock);
    return lease;
}

void lease_end(struct lease *lease)
{
    pthread_mutex_lock(&keeper.lock);
    bool renewing = lease->renewing;
    lease->ended = true;
    if (!renewing)
        unlink_lease(lease);
    pthread_mutex_unlock(&keeper.lock);
    if (renewing) /* the keeper sees to the rest */
        return;
    counters_give_back(lease->counters, lease->draws, lease->count, lease->time);
    free(lease);
}

/* The lock is held, but for the time in which the store is asked. */
static void renew(struct lease *lease, uint64_t now)
{
    lease->renewing = true;
    pthread_mutex_unlock(&keeper.lock);
    uint64_t time = counters_renew(lease->counters, lease->draws, lease->count, lease->time);
    pthread_mutex_lock(&keeper.lock);
    lease->renewing = false;
    lease->time = time;
    lease->renewed = now;
    if (!lease->ended)
        return;
    unlink_lease(lease);
    counters_give_back(lease->counters, lease->draws, lease->count, lease->time);
    free(lease);
}

static struct lease *find_due(uint64_t now)
{
    for (struct lease *lease = keeper.leases; lease; lease = lease->next)
        if (now >= lease->renewed + RENEW_AFTER_MS) /* it may have begun after `now` */
            return lease;
    return NULL;
}

static void *keep(void *unused)
{
    pthread_mutex_lock(&keeper.lock);
    while (!keeper.stops) {
        struct lease *lease;
        struct timespec until;
        uint64_t now = clock_milliseconds();
        while (!keeper.stops && (lease = find_due(now)))
            renew(lease, now);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += RENEW_EVERY_MS / 1000;
        if (!keeper.stops)
            pthread_cond_timedwait(&keeper.ended, &keeper.lock, &until);
    }
    pthread_mutex_unlock(&keeper.lock);
    return unused;
}

bool leases_start(struct error *error)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper.ended, &attributes);
    pthread_condattr_destroy(&attributes);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int result = pthread_create(&keeper.thread, NULL, keep, NULL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = result;
    keeper.runs = result == 0;
    return keeper.runs || error_set_errno(error, "cannot make a thread");
}

void leases_stop(void)
{
    if (!keeper.runs)
        return;
    pthread_mutex_lock(&keeper.lock);
    keeper.stops = true;
    pthread_cond_signal(&keeper.ended);
    pthread_mutex_unlock(&keeper.lock);
    pthread_join(keeper.thread, NULL);
    pthread_cond_destroy(&keeper.ended);
    keeper.runs = keeper.stops = false;
}
