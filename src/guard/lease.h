/*
 * Lease: slots (`concurrency`) that a request holds until it is answered. They
 * are kept in the store by renewing them, so that those of a process that was
 * killed come free within LEASE_WINDOW.
 */
#ifndef GUARD_LEASE_H
#define GUARD_LEASE_H

#include "store/counters.h"

/* Of a slot's quota, in microseconds. */
#define LEASE_WINDOW UINT64_C(60000000)

struct lease;

/* Takes over `count` (1 to DRAWS_LIMIT) draws that the counters have admitted at `time`, with
 * copies of their keys; their quotas live longer than the lease. Never NULL: it
 * ends the process when there is no memory. */
struct lease *lease_begin(struct counters *, const struct draw draws[], size_t count, uint64_t time);

/* Gives the slots back and frees the lease. */
void lease_end(struct lease *);

/* The one thread that renews leases. False with an error when it cannot be made. Stopping it
 * leaves leases that have not ended to themselves; where it does not run it does nothing. */
bool leases_start(struct error *);
void leases_stop(void);

#endif
