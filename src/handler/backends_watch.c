/*
 * What is done without a request: probes, which find out how a backend is, and
 * connections that are opened before they are needed. A thread for each backend
 * that has either, for one that does not answer must not keep others waiting.
 */
#include "config.h"

#include "handler/backends_own.h"

#include <time.h>

#include "base/arena.h"
#include "base/clock.h"

enum { WARM_PATIENCE = 2000 };

/* ---- probes */

/* Like a request: with a place, and on a connection that is kept, which the application may have nobody else
 * to serve beside. False where all places are taken: requests enough find out how it is. */
static bool begin_probe(struct backend_lease *lease, struct backend *backend)
{
    *lease = (struct backend_lease){
        .group = backend->probing, .backend = backend, .connection = BACKEND_NO_CONNECTION};
    pthread_mutex_lock(&backend->registry->lock);
    bool free = backend->used < backend->most && backend->health.state != BACKEND_TRIAL;
    if (free) {
        backend->used++;
        lease->connection = backend_take_kept(backend);
        lease->trial = backend->health.state == BACKEND_OUT;
        if (lease->trial)
            backend_health_begin_trial(&backend->health, clock_milliseconds());
    }
    pthread_mutex_unlock(&backend->registry->lock);
    return free;
}

/* Whether it went well. A success in service makes up for probes that failed before it, and not for what
 * requests came to meanwhile. */
static bool probe(struct backend *backend, bool failing)
{
    const struct backends_rules *rules = backend->probing->rules;
    struct backend_lease lease;
    struct error error = {0};
    if (!begin_probe(&lease, backend))
        return !failing;
    struct backend_connection connection = lease.connection;
    enum backend_outcome outcome =
        backend->calls->probe(backend->target, &rules->health, &connection, &error);
    bool good = outcome == BACKEND_GOOD, counts = !good || failing || lease.trial;
    backends_failed(&lease, counts ? outcome : BACKEND_UNTOLD, good ? NULL : error.message);
    backends_give(&lease, connection, rules->idle);
    return good;
}

static bool is_up(struct backend *backend)
{
    pthread_mutex_lock(&backend->registry->lock);
    bool up = backend->health.state == BACKEND_UP;
    pthread_mutex_unlock(&backend->registry->lock);
    return up;
}

/* ---- warm connections */

/* Takes a place for one that is too few, or for a look at the one that was not used for the longest time. */
static bool begin_warming(struct backend_lease *lease, struct backend *backend)
{
    *lease = (struct backend_lease){
        .group = backend->warming, .backend = backend, .connection = BACKEND_NO_CONNECTION};
    pthread_mutex_lock(&backend->registry->lock);
    bool few = backend->used + backend->kept_count < backend->warming->rules->warm;
    bool begin = backend->used < backend->most && (few || backend->kept_count > 0);
    if (begin)
        backend->used++;
    if (begin && !few)
        lease->connection = backend_take_oldest(backend);
    pthread_mutex_unlock(&backend->registry->lock);
    return begin;
}

/* Whether one has been opened, so that there may be more to do. */
static bool warm_up(struct backend *backend)
{
    const struct backends_rules *rules = backend->warming->rules;
    struct backend_lease lease;
    struct error error = {0};
    if (!begin_warming(&lease, backend))
        return false;
    struct backend_connection connection = lease.connection;
    bool good = connection.descriptor >= 0 && backend_connection_is_silent(connection);
    if (!good) {
        backend_connection_close(connection);
        connection = backend->calls->open(backend->target, clock_milliseconds() + WARM_PATIENCE, &error);
    }
    backends_give(&lease, connection, rules->idle);
    return !good && connection.descriptor >= 0;
}

/* What is closed as soon as it is opened must not keep the thread from all else. */
static void warm_all(struct backend *backend)
{
    for (uint64_t left = backend->warming->rules->warm; left > 0 && warm_up(backend); left--)
        ;
}

/* ---- whether they are there */

/* What one has said; many groups may have it. */
struct reached {
    bool asked, good;
    struct error cause;
};

/* Only a request shows that one that is out and not probed is back, and none may come before it is told to
 * be ready: so that it takes connections is enough. */
static bool reaches(struct backend *backend, uint64_t patience, struct error *error)
{
    if (backend->probing)
        return is_up(backend) || error_set(error, "%.120s is out of service", backend->place);
    return backend->calls->reach(backend->target, clock_milliseconds() + patience, error);
}

static bool reaches_group(const struct backends *group, uint64_t patience, struct reached *all,
                          struct error *error)
{
    struct error causes = {0};
    for (size_t i = 0; i < group->count; i++) {
        struct backend *backend = group->members[i].backend;
        struct reached *one = &all[backend->number];
        if (!one->asked)
            one->good = reaches(backend, patience, &one->cause);
        one->asked = true;
        if (one->good)
            return true;
        error_set(&causes, "%s", one->cause.message);
    }
    return error_set(error, "%s", causes.message);
}

bool backends_reach(const struct backend_registry *registry, uint64_t patience, struct arena *arena,
                    struct error *error)
{
    struct reached *reached = arena_array(arena, registry->count, sizeof *reached);
    const struct backends *group = registry->groups;
    while (group && reaches_group(group, patience, reached, error))
        group = group->next;
    return !group;
}

/* ---- the thread */

static void *watch(void *argument)
{
    struct backend *backend = argument;
    uint64_t asked_at = 0;
    bool failing = false;
    for (;;) {
        uint64_t interval = backend->probing ? backend->probing->rules->health.interval : BACKEND_PROBE_OUT;
        uint64_t pause = interval < BACKEND_PROBE_OUT ? interval : BACKEND_PROBE_OUT;
        const struct timespec time = {(time_t)(pause / 1000), (long)(pause % 1000) * 1000000L};
        bool up = is_up(backend);
        if (backend->probing && (!up || failing || clock_milliseconds() - asked_at >= interval)) {
            asked_at = clock_milliseconds();
            failing = !probe(backend, failing);
        }
        if (up && backend->warming)
            warm_all(backend);
        nanosleep(&time, NULL);
    }
    return NULL;
}

static bool start_watching(struct backend *backend, const pthread_attr_t *attributes, struct error *error)
{
    pthread_t thread;
    int cause = pthread_create(&thread, attributes, watch, backend);
    return cause == 0 ||
           error_set(error, "cannot start a thread that watches %s: %s", backend->place, strerror(cause));
}

bool backends_start(struct backend_registry *registry, struct error *error)
{
    pthread_attr_t attributes;
    bool good = true;
    if (!registry)
        return true;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (struct backend *backend = registry->first; backend && good; backend = backend->next)
        if (backend->probing || backend->warming)
            good = start_watching(backend, &attributes, error);
    pthread_attr_destroy(&attributes);
    return good;
}
