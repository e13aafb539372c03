/*
 * When a store that failed is opened again, and what is logged of it.
 */
#include "config.h"

#include "store/counters_link.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"

enum { FIRST_PAUSE_MS = 100 };

void counters_link_report(struct counters_link *link, const char *message)
{
    if (atomic_exchange(&link->reported, true))
        return;
    atomic_store(&link->since, clock_milliseconds());
    log_event(SEVERITY_ERROR, "store_failed", "%s", message);
}

void counters_link_lose(struct counters_link *link, uint64_t count)
{
    if (count > 0)
        atomic_fetch_add(&link->lost, count);
}

static void report_back(struct counters_link *link)
{
    if (!atomic_load_explicit(&link->reported, memory_order_relaxed) ||
        !atomic_exchange(&link->reported, false))
        return;
    uint64_t out = clock_milliseconds() - atomic_load(&link->since);
    uint64_t lost = atomic_exchange(&link->lost, 0);
    log_event(SEVERITY_NOTICE, "store_back",
              "the store of limits is back after %llu.%03llu seconds; %llu were not given back",
              (unsigned long long)(out / 1000), (unsigned long long)(out % 1000), (unsigned long long)lost);
}

/* The first attempt after a failure comes soon, then ever later. One that connected and failed
 * again soon after, as with a full disk, goes on in that row. */
static bool fail(struct counters_link *link, const struct error *error)
{
    const uint64_t now = clock_milliseconds(), most = COUNTERS_RETRY_MOST_MS;
    if (link->connected && now - link->opened > most)
        link->pause = 0;
    const uint64_t next = link->pause == 0 ? FIRST_PAUSE_MS : link->pause * 2;
    link->pause = next < most ? next : most;
    link->retry = now + link->pause;
    link->connected = false;
    link->error = *error;
    counters_link_report(link, error->message);
    return false;
}

bool counters_link_open(struct counters_link *link, struct error *error)
{
    if (!link->backend->connect(link->state, error))
        return fail(link, error);
    link->connected = true;
    link->opened = clock_milliseconds();
    return true;
}

bool counters_link_run(struct counters_link *link, struct job *const jobs[], size_t count,
                       struct error *error)
{
    assert(link->connected);
    if (!link->backend->run(link->state, jobs, count, error))
        return fail(link, error);
    report_back(link); /* only now: a full disk can be opened */
    return true;
}

bool counters_link_tidy(struct counters_link *link, struct error *error)
{
    assert(link->connected);
    if (!link->backend->tidy(link->state, error))
        return fail(link, error);
    report_back(link);
    return true;
}

void counters_link_close(struct counters_link *link)
{
    link->backend->close(link->state);
}
