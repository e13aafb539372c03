/*
 * The queue between threads that ask a store of counters and the one thread that
 * asks it for all of them: what waits is carried out at once, as one job of the
 * backend. It owns the thread, the jobs and all waiting; when to connect again
 * and what to log is the link's.
 */
#ifndef STORE_COUNTERS_QUEUE_H
#define STORE_COUNTERS_QUEUE_H

#include "store/counters_link.h"

struct counters_queue;

/* Makes the thread; the link is its own from now on. `orphan` is called with `context` by
 * the thread when it comes back after counters_queue_stop() has left it behind. NULL with an error. */
struct counters_queue *counters_queue_start(struct counters_link *, uint64_t timeout_ms,
                                            void (*orphan)(void *), void *context, struct error *);

/* Waits until the job is carried out, at most for the time-out; false with an error when it was not. */
bool counters_queue_ask(struct counters_queue *, const struct job *, struct taken *, struct error *);

/* The same without waiting for it, and without a word when it cannot be. */
void counters_queue_tell(struct counters_queue *, const struct job *);

/* Fails all who wait, carries out what was told and closes the link. A backend that hangs gets a
 * second: then false, and the thread stays behind with all it may still touch. */
bool counters_queue_stop(struct counters_queue *);

#endif
