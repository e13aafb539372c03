/*
 * Status: how a worker and the backends of its policy are, as JSON, for
 * `fcgiguard status`.
 */
#ifndef WATCH_STATUS_H
#define WATCH_STATUS_H

#include "base/bytes.h"
#include "handler/backends.h"

/* Of the front. Times are of clock_milliseconds(). */
struct status_counts {
    uint64_t started;
    size_t threads, busy; /* how many there are, and serve */
    size_t queued;        /* requests that wait for a thread */
    size_t connections;   /* of web servers */
    bool draining;
};

/* {"version","pid","uptime_seconds","draining","threads","busy","queued","connections","backends":[...]}, in
 * the arena, at most STATUS_LIMIT bytes: "backends_left_out" tells how many did not fit. */
enum { STATUS_LIMIT = 24 * 1024 };
struct text status_write(const struct status_counts *, struct backend_registry *, struct arena *);

#endif
