/*
 * The link to a store of counters: its backend, when it is opened again
 * after a failure, and what the log hears of that: once that it failed, once
 * that it is back. It knows nothing of threads: one at a time may use it, but
 * for counters_link_report() and counters_link_lose().
 */
#ifndef STORE_COUNTERS_LINK_H
#define STORE_COUNTERS_LINK_H

#include <stdatomic.h>

#include "store/counters_backend.h"

struct counters_link {
    const struct counters_backend *backend;
    void *state; /* of the backend */
    bool connected;
    uint64_t opened;    /* clock_milliseconds() when it was connected last */
    uint64_t pause;     /* milliseconds from the last attempt to the next */
    uint64_t retry;     /* of clock_milliseconds(), when it is due; 0: now */
    struct error error; /* why it is not connected, after an attempt */

    atomic_bool reported;
    _Atomic uint64_t since; /* clock_milliseconds() when it was reported */
    _Atomic uint64_t lost;  /* give-backs that nobody could carry out */
};

/* Logs store_failed unless that was done already. */
void counters_link_report(struct counters_link *, const char *message);

/* Counts give-backs that were dropped, for the line that says it is back. */
void counters_link_lose(struct counters_link *, uint64_t count);

/* Attempts to connect, due or not. */
bool counters_link_open(struct counters_link *, struct error *);

/* Carries out jobs; what was asked of a backend and failed ends the link. */
bool counters_link_run(struct counters_link *, struct job *const jobs[], size_t count, struct error *);
bool counters_link_tidy(struct counters_link *, struct error *);

void counters_link_close(struct counters_link *);

#endif
