/*
 * When a store that failed is opened again, and what is logged of it.
 */
#include "config.h"

#include "store/counters_connection.h"

#include <assert.h>

#include "base/clock.h"
#include "base/log.h"

enum { FIRST_PAUSE_MS = 100 };

void counters_connection_report(struct counters_connection *connection, const char *message)
{
    if (atomic_exchange(&connection->reported, true))
        return;
    atomic_store(&connection->since, clock_milliseconds());
    log_event(SEVERITY_ERROR, "store_failed", "%s", message);
}

void counters_connection_lose(struct counters_connection *connection, uint64_t count)
{
    if (count > 0)
        atomic_fetch_add(&connection->lost, count);
}

static void report_back(struct counters_connection *connection)
{
    if (!atomic_load_explicit(&connection->reported, memory_order_relaxed) ||
        !atomic_exchange(&connection->reported, false))
        return;
    uint64_t out = clock_milliseconds() - atomic_load(&connection->since);
    uint64_t lost = atomic_exchange(&connection->lost, 0);
    log_event(SEVERITY_NOTICE, "store_back",
              "the store of limits is back after %llu.%03llu seconds; %llu were not given back",
              (unsigned long long)(out / 1000), (unsigned long long)(out % 1000), (unsigned long long)lost);
}

/* The first attempt after a failure comes soon, then ever later. One that connected and failed
 * again soon after, as with a full disk, goes on in that row. */
static bool fail(struct counters_connection *connection, const struct error *error)
{
    const uint64_t now = clock_milliseconds(), most = COUNTERS_RETRY_MOST_MS;
    if (connection->connected && now - connection->opened > most)
        connection->pause = 0;
    const uint64_t next = connection->pause == 0 ? FIRST_PAUSE_MS : connection->pause * 2;
    connection->pause = next < most ? next : most;
    connection->retry = now + connection->pause;
    connection->connected = false;
    connection->error = *error;
    counters_connection_report(connection, error->message);
    return false;
}

bool counters_connection_open(struct counters_connection *connection, struct error *error)
{
    if (!connection->backend->connect(connection->state, error))
        return fail(connection, error);
    connection->connected = true;
    connection->opened = clock_milliseconds();
    return true;
}

bool counters_connection_run(struct counters_connection *connection, struct job *const jobs[], size_t count,
                    struct error *error)
{
    assert(connection->connected);
    if (!connection->backend->run(connection->state, jobs, count, error))
        return fail(connection, error);
    report_back(connection); /* only now: a full disk can be opened */
    return true;
}

bool counters_connection_tidy(struct counters_connection *connection, struct error *error)
{
    assert(connection->connected);
    if (!connection->backend->tidy(connection->state, error))
        return fail(connection, error);
    report_back(connection);
    return true;
}

void counters_connection_close(struct counters_connection *connection)
{
    connection->backend->close(connection->state);
}
