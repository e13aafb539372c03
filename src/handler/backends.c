/*
 * Places: taking one, waiting for one, giving it back with what the request came
 * to. Who waits hangs an eventfd in the registry's queue, and polls it beside its
 * client. What is to be done without the lock is noted as news until it is open.
 */
#include "config.h"

#include "handler/backends_own.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

struct waiter {
    struct waiter *next;
    int bell;
    struct backend_lease *lease;
    enum choice choice; /* CHOICE_WAIT as long as it is in the queue */
};

struct news {
    struct waiter *ring; /* they have left the queue */
    struct backend *backend;
    enum backend_change change;
    uint64_t lasted;
    char reason[BACKEND_REASON_SIZE];
};

/* ---- places, with the lock */

static bool may_retry(const struct backend_lease *lease)
{
    const struct backends *group = lease->group;
    return (uint64_t)__builtin_popcountll(lease->tried) <= group->rules->retries && group->reserve >= 100;
}

/* A retry is paid for when it has its place: one that waits in vain asks nobody. */
static enum choice claim(struct backend_lease *lease, uint64_t now)
{
    size_t index;
    bool again = lease->tried != 0;
    enum choice choice = again && !may_retry(lease) ? CHOICE_NONE : backends_choose(lease, now, &index);
    if (choice != CHOICE_PLACE)
        return choice;
    if (again)
        lease->group->reserve -= 100;
    const struct member *member = &lease->group->members[index];
    struct backend *backend = member->backend;
    backend->used++;
    lease->backend = backend;
    lease->target = member->target;
    lease->connection = backend_take_kept(backend);
    lease->tried |= UINT64_C(1) << index;
    lease->outcome = BACKEND_UNTOLD;
    lease->reason = NULL;
    lease->balance = backend->health.balance;
    if (lease->exchange && lease->group->count > 1)
        lease->exchange->backend = backend->place;
    lease->trial = backend->health.state != BACKEND_UP;
    if (lease->trial)
        backend_health_begin_trial(&backend->health, now);
    return choice;
}

static bool has_member(const struct backends *group, const struct backend *backend)
{
    for (size_t i = 0; i < group->count; i++)
        if (group->members[i].backend == backend)
            return true;
    return false;
}

/* Looks again at those who wait, until one of them has the place that became free; at all of them, where
 * more than that has changed. */
static void serve_queue(const struct backend *backend, bool all, uint64_t now, struct news *news)
{
    struct waiter **place = &backend->registry->waiting;
    bool more = true;
    while (more && *place) {
        struct waiter *waiter = *place;
        if (has_member(waiter->lease->group, backend))
            waiter->choice = claim(waiter->lease, now);
        if (waiter->choice == CHOICE_WAIT) {
            place = &waiter->next;
            continue;
        }
        *place = waiter->next;
        waiter->next = news->ring;
        news->ring = waiter;
        more = all || waiter->lease->backend != backend;
    }
}

static void note_change(struct backend *backend, enum backend_change change, uint64_t lasted,
                        struct news *news)
{
    news->backend = backend;
    news->change = change;
    news->lasted = lasted;
    memcpy(news->reason, backend->reason, sizeof news->reason);
}

/* ---- news, without it */

static void tell(struct news *news)
{
    const uint64_t one = 1;
    for (struct waiter *waiter = news->ring, *next; waiter; waiter = next) {
        next = waiter->next;
        (void)!write(waiter->bell, &one, sizeof one); /* it is gone by this */
    }
    if (news->change == BACKEND_WENT_OUT) {
        log_event(SEVERITY_WARNING, "backend_out", "%s is out of service: %s", news->backend->place,
                  news->reason);
        backend_drop_kept(news->backend);
    } else if (news->change == BACKEND_CAME_BACK) {
        log_event(SEVERITY_NOTICE, "backend_back", "%s is in service again, after %llu ms",
                  news->backend->place, (unsigned long long)news->lasted);
    }
}

/* ---- waiting */

/* Whether the bell has rung; false: the time is over or the client has gone (`gone`). */
static bool wait_for_bell(int bell, const struct exchange *exchange, uint64_t until, bool *gone)
{
    const struct channel *channel = exchange->channel;
    short left = channel->half_closes ? 0 : POLLRDHUP;
    for (uint64_t now; (now = clock_milliseconds()) < until;) {
        struct pollfd items[] = {{bell, POLLIN, 0}, {channel->output, left, 0}};
        uint64_t most = until - now;
        if (poll(items, 2, most > INT_MAX ? INT_MAX : (int)most) < 0)
            continue;
        if (items[0].revents)
            return true;
        *gone = items[1].revents != 0 || channel->gone;
        if (*gone)
            return false;
    }
    return false;
}

/* No more wait than there are threads. */
static void join_queue(struct backend_registry *registry, struct waiter *waiter)
{
    struct waiter **place = &registry->waiting;
    while (*place)
        place = &(*place)->next;
    *place = waiter;
}

static void leave_queue(struct backend_registry *registry, const struct waiter *waiter)
{
    struct waiter **place = &registry->waiting;
    while (*place != waiter)
        place = &(*place)->next;
    *place = waiter->next;
}

/* Whoever has taken a waiter out of the queue will ring its bell, and nothing of it may end before. */
static void await_bell(int bell)
{
    struct pollfd item = {bell, POLLIN, 0};
    uint64_t rung;
    while (read(bell, &rung, sizeof rung) < 0)
        poll(&item, 1, -1);
}

/* A backend that is out comes to be due for a trial by time alone, of which nobody tells. */
static enum choice look_again(struct waiter *waiter, bool ends)
{
    struct backend_registry *registry = waiter->lease->group->registry;
    pthread_mutex_lock(&registry->lock);
    bool taken_out = waiter->choice != CHOICE_WAIT;
    if (!taken_out && !ends)
        waiter->choice = claim(waiter->lease, clock_milliseconds());
    enum choice choice = waiter->choice;
    if (!taken_out && (ends || choice != CHOICE_WAIT))
        leave_queue(registry, waiter);
    pthread_mutex_unlock(&registry->lock);
    if (taken_out)
        await_bell(waiter->bell);
    return choice;
}

/* One for each thread, which waits for one place at a time, and ends no wait before it has heard
 * whoever took it out of the queue: so it is silent when the next wait begins. */
static int own_bell(void)
{
    static _Thread_local int bell = -1;
    if (bell < 0)
        bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell;
}

static enum choice wait_in_queue(struct backend_lease *lease, uint64_t until, bool *gone)
{
    struct backend_registry *registry = lease->group->registry;
    struct waiter waiter = {.bell = own_bell(), .lease = lease};
    if (waiter.bell < 0)
        return CHOICE_WAIT;
    pthread_mutex_lock(&registry->lock);
    enum choice choice = waiter.choice = claim(lease, clock_milliseconds());
    if (choice == CHOICE_WAIT)
        join_queue(registry, &waiter);
    pthread_mutex_unlock(&registry->lock);
    for (bool ends = false; choice == CHOICE_WAIT && !ends;) {
        uint64_t soon = clock_milliseconds() + BACKEND_PAUSE_FIRST;
        wait_for_bell(waiter.bell, lease->exchange, soon < until ? soon : until, gone);
        ends = *gone || clock_milliseconds() >= until;
        choice = look_again(&waiter, ends);
    }
    return choice;
}

/* ---- taking */

/* A kept connection may have been closed meanwhile, or say what nobody has asked for. */
static void check_kept(struct backend_lease *lease)
{
    struct backend *backend = lease->backend;
    while (lease->connection.descriptor >= 0 && !backend_connection_is_silent(lease->connection)) {
        backend_connection_close(lease->connection);
        pthread_mutex_lock(&backend->registry->lock);
        lease->connection = backend_take_kept(backend);
        pthread_mutex_unlock(&backend->registry->lock);
    }
}

static void grow_reserve(struct backends *group)
{
    uint64_t reserve = group->reserve + group->rules->retry_budget;
    group->reserve = reserve < RESERVE_MOST ? reserve : RESERVE_MOST;
}

static uint64_t hash_key(const struct backend_lease *lease)
{
    const struct backend_balance_rule *balance = &lease->group->rules->balance;
    return balance->kind == BALANCE_HASH ? backends_hash(limit_key(&balance->key, lease->exchange)) : 0;
}

enum backend_place backends_take(struct backend_lease *lease, uint64_t deadline)
{
    struct backend_registry *registry = lease->group->registry;
    uint64_t until = clock_milliseconds() + lease->group->rules->queue_timeout;
    bool first = lease->tried == 0, gone = false;
    lease->connection = BACKEND_NO_CONNECTION;
    if (first)
        lease->key = hash_key(lease);
    pthread_mutex_lock(&registry->lock);
    if (first)
        grow_reserve(lease->group);
    enum choice choice = claim(lease, clock_milliseconds());
    pthread_mutex_unlock(&registry->lock);
    if (choice == CHOICE_WAIT)
        choice = wait_in_queue(lease, until < deadline ? until : deadline, &gone);
    if (choice == CHOICE_PLACE) {
        check_kept(lease);
        return BACKEND_PLACE;
    }
    return gone ? BACKEND_PLACE_GONE : choice == CHOICE_WAIT ? BACKEND_PLACE_BUSY : BACKEND_PLACE_NONE;
}

/* ---- what it came to */

void backends_failed(struct backend_lease *lease, enum backend_outcome outcome, const char *reason)
{
    lease->outcome = outcome;
    lease->reason = reason;
}

/* What a lease says now, of a backend whose trial it may be; with the lock. */
static bool settle(struct backend_lease *lease, uint64_t now, struct news *news)
{
    struct backend *backend = lease->backend;
    uint64_t since = backend->health.since;
    bool trial = lease->trial;
    if (lease->reason)
        snprintf(backend->reason, sizeof backend->reason, "%s", lease->reason);
    const struct backend_health_rules *rules = &lease->group->rules->health.health;
    const struct backend_report report = {lease->outcome, trial, lease->balance};
    enum backend_change change = lease->exchange
                                     ? backend_health_report(&backend->health, rules, report, now)
                                     : backend_health_probed(&backend->health, rules, report, now);
    lease->trial = false;
    note_change(backend, change, now - since, news);
    return trial || change != BACKEND_SAME;
}

void backends_connected(struct backend_lease *lease)
{
    struct backend *backend = lease->backend;
    struct news news = {0};
    if (!lease->trial)
        return;
    pthread_mutex_lock(&backend->registry->lock);
    uint64_t now = clock_milliseconds(), since = backend->health.since;
    enum backend_change change =
        backend_health_connected(&backend->health, &lease->group->rules->health.health, now);
    note_change(backend, change, now - since, &news);
    lease->trial = change == BACKEND_SAME;
    serve_queue(backend, true, now, &news);
    pthread_mutex_unlock(&backend->registry->lock);
    tell(&news);
}

/* Without waiting for its end: the rest of the reply may take a long time. */
static void end_trial(struct backend_lease *lease)
{
    struct backend *backend = lease->backend;
    struct news news = {0};
    pthread_mutex_lock(&backend->registry->lock);
    uint64_t now = clock_milliseconds();
    settle(lease, now, &news);
    serve_queue(backend, true, now, &news);
    pthread_mutex_unlock(&backend->registry->lock);
    lease->outcome = BACKEND_UNTOLD;
    tell(&news);
}

static bool may_ask_another(const struct backend_lease *lease)
{
    struct backend_registry *registry = lease->group->registry;
    pthread_mutex_lock(&registry->lock);
    bool may = may_retry(lease) && backends_another_is_up(lease, clock_milliseconds());
    pthread_mutex_unlock(&registry->lock);
    return may;
}

bool backends_answered(struct backend_lease *lease, int status)
{
    bool bad = status >= 500 && status <= 599 && lease->group->rules->health.statuses[status - 500];
    lease->outcome = bad ? BACKEND_FAILED : BACKEND_GOOD;
    if (bad)
        lease->reason = arena_printf(lease->exchange->arena, "it answered with status %d", status);
    if (lease->trial)
        end_trial(lease);
    return !bad || !may_ask_another(lease);
}

void backends_give(struct backend_lease *lease, struct backend_connection connection, uint64_t idle)
{
    struct backend *backend = lease->backend;
    struct news news = {0};
    if (!backend)
        return;
    pthread_mutex_lock(&backend->registry->lock);
    uint64_t now = clock_milliseconds();
    bool all = settle(lease, now, &news);
    bool keep = connection.descriptor >= 0 && idle > 0 && backend->health.state == BACKEND_UP;
    backend->used--;
    if (keep)
        backend_keep(backend, connection, now + idle);
    serve_queue(backend, all, now, &news);
    pthread_mutex_unlock(&backend->registry->lock);
    if (!keep)
        backend_connection_close(connection);
    lease->backend = NULL;
    lease->target = NULL;
    tell(&news);
}

bool backends_is_idempotent(struct text method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (text_equal(method, text_of(methods[i])))
            return true;
    return false;
}

/* ---- those who are refused, and those who look */

/* Milliseconds until the first trial of one that is out; 0 where there is none to wait for. */
static uint64_t until_trial(const struct backends *group, uint64_t now)
{
    uint64_t first = UINT64_MAX;
    for (size_t i = 0; i < group->count; i++) {
        const struct backend_health *health = &group->members[i].backend->health;
        uint64_t trial_at = health->trial_at;
        if (group->members[i].backend->probing && trial_at > now + BACKEND_PROBE_OUT)
            trial_at = now + BACKEND_PROBE_OUT;
        if (health->state == BACKEND_OUT && trial_at < first)
            first = trial_at;
    }
    return first == UINT64_MAX || first < now ? 0 : first - now;
}

static void say_when(const struct backend_lease *lease, struct exchange *exchange)
{
    const struct backends *group = lease->group;
    pthread_mutex_lock(&group->registry->lock);
    uint64_t seconds = (until_trial(group, clock_milliseconds()) + 999) / 1000;
    pthread_mutex_unlock(&group->registry->lock);
    const char *text = arena_printf(exchange->arena, "%llu", (unsigned long long)(seconds ? seconds : 1));
    headers_set(&exchange->reply.headers, exchange->arena, TEXT("retry-after"), text_of(text));
}

struct verdict backends_verdict(const struct backend_lease *lease, struct exchange *exchange,
                                enum backend_place place, const char *handler)
{
    if (place == BACKEND_PLACE_GONE)
        return DENY(400, handler, "client_gone", "the client is gone");
    if (place == BACKEND_PLACE_BUSY)
        return FAULT(503, handler, "backend_busy", "no connection became free within queue_timeout");
    say_when(lease, exchange);
    return FAULT(503, handler, "backend_unavailable", "no backend is in service");
}

static uint64_t count_waiting(const struct backend *backend)
{
    uint64_t count = 0;
    for (const struct waiter *waiter = backend->registry->waiting; waiter; waiter = waiter->next)
        count += has_member(waiter->lease->group, backend);
    return count;
}

static struct backend_view view_of(const struct backend *backend, uint64_t now)
{
    const struct backend_health *health = &backend->health;
    struct backend_view view = {.place = backend->place,
                                .state = health->state,
                                .for_ms = health->since ? now - health->since : 0,
                                .requests = backend->used,
                                .waiting = count_waiting(backend),
                                .kept = backend->kept_count,
                                .failures = health->failures};
    if (health->state == BACKEND_OUT && health->trial_at > now)
        view.trial_in_ms = health->trial_at - now;
    memcpy(view.reason, backend->reason, sizeof view.reason);
    return view;
}

size_t backends_look(struct backend_registry *registry, struct backend_view *views, size_t room)
{
    size_t count = 0;
    if (!registry)
        return 0;
    pthread_mutex_lock(&registry->lock);
    uint64_t now = clock_milliseconds();
    for (const struct backend *backend = registry->first; backend; backend = backend->next, count++)
        if (count < room)
            views[count] = view_of(backend, now);
    pthread_mutex_unlock(&registry->lock);
    return count;
}
