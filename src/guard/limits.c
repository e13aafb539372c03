/*
 * limits: how much a caller may use. What a route's limits ask for is taken
 * from their counters before the request goes on, all of it or nothing, and
 * what does not count in the end is given back when the reply is known. It
 * judges twice: by what is known of any request, and once more behind `auth`.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "guard/guard.h"
#include "guard/limit.h"

enum { LIMITS_MOST = DRAWS_LIMIT, LOCAL_ROWS = 100000 };
enum { RENEW_EVERY_MS = 10000, RENEW_AFTER_MS = 20000 }; /* within half a window of a slot */
#define SECOND UINT64_C(1000000)

struct limits_rules {
    const struct limit *items[LIMITS_MOST];
    size_t count;
    bool named;
    const struct limits *all;
};

/* ---- rules */

static bool unknown(struct decoder *decoder, const struct node *node)
{
    const struct limits *limits = decoder->limits;
    const char **names = arena_array(decoder->arena, limits->count + 1, sizeof *names);
    struct bytes list = bytes_new(decoder->arena, 4096);
    for (size_t i = 0; i < limits->count; i++) {
        names[i] = limits->items[i]->name;
        bytes_printf(&list, ", %s", names[i]);
    }
    const char *nearest = findings_nearest(node->text.at, names, limits->count);
    return findings_add(decoder->findings, FINDING_ERROR, node,
                        "\"%.*s\" is no limit that `limits` at the top names, expected none%.*s, or a rate "
                        "such as 100/15m%s%s%s",
                        TEXT_ARGUMENTS(node->text), TEXT_ARGUMENTS(bytes_text(&list)),
                        nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static const struct limit *find(const struct limits *limits, struct text name)
{
    for (size_t i = 0; i < limits->count; i++)
        if (text_equal(text_of(limits->items[i]->name), name))
            return limits->items[i];
    return NULL;
}

/* Two that draw on one counter would take from it twice. */
static bool is_same(const struct limit *a, const struct limit *b)
{
    bool same = strcmp(a->name, b->name) == 0 && a->by_count == b->by_count;
    for (size_t i = 0; same && i < a->by_count; i++)
        same = a->by[i].kind == b->by[i].kind && strcmp(a->by[i].name, b->by[i].name) == 0;
    return same;
}

static const struct limit *decode_own(struct decoder *decoder, const struct node *node)
{
    struct limit *limit = limit_decode(decoder, node, NULL);
    if (!limit)
        return NULL;
    limit->next = decoder->limits->own;
    decoder->limits->own = limit;
    return limit;
}

static bool add_limit(struct decoder *decoder, const struct node *node, struct limits_rules *rules)
{
    bool is_name = node->kind == NODE_SCALAR && text_find(node->text, '/') == node->text.length;
    const struct limit *limit = is_name ? find(decoder->limits, node->text) : decode_own(decoder, node);
    if (!limit)
        return is_name ? unknown(decoder, node) : false;
    for (size_t i = 0; i < rules->count; i++)
        if (is_same(rules->items[i], limit))
            return findings_add(decoder->findings, FINDING_ERROR, node, "this is named twice");
    if (rules->count == LIMITS_MOST)
        return findings_add(decoder->findings, FINDING_ERROR, node, "at most %d limits can be named",
                            (int)LIMITS_MOST);
    rules->items[rules->count++] = limit;
    return true;
}

static bool decode_limits(struct decoder *decoder, const struct node *node, void *member)
{
    struct limits_rules *rules = member; /* its row's offset is 0 */
    bool good = true;
    rules->named = true;
    if (node->kind == NODE_SCALAR && text_equal(node->text, TEXT("none")))
        return true;
    if (node->kind != NODE_LIST)
        return add_limit(decoder, node, rules);
    if (node->count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected none, or limits");
    for (size_t i = 0; i < node->count; i++)
        good = add_limit(decoder, node->items[i], rules) && good;
    return good;
}

static const struct field fields[] = {
    {.key = "use",
     .type = FIELD_OWN,
     .own = decode_limits,
     .required = true,
     .expects = "none, names of `limits` at the top, rates such as 100/15m, or maps",
     .help = "limits that the route draws on, together or not at all"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct limits_rules *rules = settings;
    rules->all = decoder->limits;
    if (rules->count == 0)
        return true;
    decoder->limits->used = true;
    return decoder->limits->store.place ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "limits are counted in a store, expected `store` at the top");
}

/* ---- what a request holds */

/* Slots that are held for long are taken again and again, so that those of a
 * process that was killed come free. */
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

/* What one of the two judgements has taken. */
struct drawn {
    struct drawn *next;
    const struct limits *all;
    struct counters *counters; /* NULL: nothing was taken */
    const struct limit *limits[DRAWS_LIMIT];
    struct draw draws[DRAWS_LIMIT];
    size_t count;
    struct taken taken;
    struct lease *lease;
    bool late;
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

static void hold(struct drawn *drawn)
{
    struct lease *lease = NULL;
    for (size_t i = 0; i < drawn->count; i++) {
        if (!drawn->limits[i]->slots)
            continue;
        if (!lease && !(lease = calloc(1, sizeof *lease)))
            abort();
        struct draw *draw = &lease->draws[lease->count];
        *draw = drawn->draws[i];
        memcpy(lease->keys[lease->count], draw->key.at, draw->key.length);
        draw->key.at = lease->keys[lease->count++];
    }
    if (!lease)
        return;
    lease->counters = drawn->counters;
    lease->time = drawn->taken.time;
    lease->renewed = clock_milliseconds();
    drawn->lease = lease;
    pthread_mutex_lock(&keeper.lock);
    link_lease(lease);
    pthread_mutex_unlock(&keeper.lock);
}

static void end_lease(struct lease *lease)
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

static bool start_keeper(struct error *error)
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

static void stop_keeper(void)
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

/* ---- all limits of a policy */

bool limits_open(struct limits *limits, struct error *error)
{
    if (!limits->used)
        return true;
    limits->counters = counters_open(&limits->store, error);
    limits->local = limits->counters ? counters_open_memory(LOCAL_ROWS) : NULL;
    return limits->counters != NULL;
}

bool limits_start(struct limits *limits, uint64_t threads, struct error *error)
{
    limits->threads = threads;
    return !limits->used || (counters_start(limits->counters, error) && start_keeper(error));
}

void limits_close(struct limits *limits)
{
    if (!limits->counters)
        return;
    stop_keeper();
    counters_close(limits->counters);
    counters_close(limits->local);
    limits->counters = limits->local = NULL;
}

/* ---- requests */

static struct drawn *collect(const struct limits_rules *rules, struct exchange *exchange, bool late)
{
    struct drawn *drawn = arena_alloc(exchange->arena, sizeof *drawn);
    drawn->late = late;
    drawn->all = rules->all;
    for (size_t i = 0; i < rules->count; i++) {
        const struct limit *limit = rules->items[i];
        if (limit->late != late || limit_excepts(limit, exchange))
            continue;
        drawn->limits[drawn->count] = limit;
        drawn->draws[drawn->count++] = (struct draw){
            .key = limit_key(limit, exchange), .quota = &limit->quota, .cost = limit_cost(limit, exchange)};
    }
    return drawn;
}

static uint64_t seconds_up(uint64_t microseconds)
{
    return microseconds / SECOND + (microseconds % SECOND != 0);
}

/* Whether the first of two answers is worse news for the caller. */
static bool is_tighter(const struct quota_answer *a, const struct quota_answer *b)
{
    if (a->admitted != b->admitted)
        return !a->admitted;
    if (!a->admitted)
        return a->retry > b->retry;
    return a->remaining != b->remaining ? a->remaining < b->remaining : a->reset > b->reset;
}

/* Of the limits that a request draws on, replies tell of the tightest. */
static void note_allowance(struct exchange *exchange, struct drawn *drawn)
{
    struct allowance *told = &exchange->allowance;
    const struct quota_answer *worst = NULL;
    for (size_t i = 0; i < drawn->count; i++) {
        const struct limit *limit = drawn->limits[i];
        struct quota_answer *answer = &drawn->taken.answers[i];
        if (limit->slots && !answer->admitted)
            answer->retry = SECOND; /* it comes free before it expires */
        if ((limit->slots && answer->admitted) || (worst && !is_tighter(answer, worst)))
            continue;
        if (told->name && told->remaining < answer->remaining && drawn->taken.admitted)
            continue; /* an earlier judgement has told of a tighter one */
        worst = answer;
        uint64_t retry = seconds_up(answer->retry == UINT64_MAX ? limit->quota.window : answer->retry);
        *told = (struct allowance){.name = limit->name,
                                   .limit = limit->quota.limit,
                                   .window = limit->slots ? 0 : seconds_up(limit->quota.window),
                                   .remaining = answer->remaining,
                                   .reset = seconds_up(answer->reset),
                                   .retry = answer->admitted ? 0
                                            : retry == 0     ? 1
                                                             : retry};
    }
}

static struct verdict refused(struct exchange *exchange, const struct drawn *drawn)
{
    for (size_t i = 0; i < drawn->count; i++) {
        const struct quota_answer *answer = &drawn->taken.answers[i];
        if (!answer->admitted)
            return DENY(429, "limits", "rate_limit_exceeded",
                        arena_printf(exchange->arena, "%.*s: %s%s", TEXT_ARGUMENTS(drawn->draws[i].key),
                                     drawn->limits[i]->rule, answer->banned ? ", banned" : ""));
    }
    return DENY(429, "limits", "rate_limit_exceeded", NULL);
}

static void give_all_back(struct drawn *drawn)
{
    if (drawn->lease)
        end_lease(drawn->lease);
    drawn->lease = NULL;
    struct draw draws[DRAWS_LIMIT];
    size_t count = 0;
    for (size_t i = 0; drawn->counters && i < drawn->count; i++)
        if (!drawn->limits[i]->slots)
            draws[count++] = drawn->draws[i];
    if (count > 0)
        counters_give_back(drawn->counters, draws, count, drawn->taken.time);
    drawn->counters = NULL;
}

/* Threads that sleep serve nobody, so only some may. */
static atomic_uint sleepers;

static bool wait_turn(struct exchange *exchange, const struct drawn *drawn)
{
    uint64_t wait = 0;
    for (size_t i = 0; i < drawn->count; i++)
        if (drawn->taken.answers[i].wait > wait)
            wait = drawn->taken.answers[i].wait;
    if (wait == 0)
        return true;
    uint64_t most = drawn->all->threads > 1 ? drawn->all->threads / 2 : 1;
    bool may = atomic_fetch_add(&sleepers, 1) < most;
    if (may) {
        const struct timespec pause = {(time_t)(wait / SECOND), (long)(wait % SECOND * 1000)};
        if (exchange->waits)
            exchange->waits(exchange);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    }
    atomic_fetch_sub(&sleepers, 1);
    return may;
}

static struct verdict settle(struct exchange *exchange, struct drawn *drawn)
{
    note_allowance(exchange, drawn);
    if (!drawn->taken.admitted) {
        drawn->counters = NULL;
        return refused(exchange, drawn);
    }
    hold(drawn);
    drawn->next = exchange->drawn;
    exchange->drawn = drawn;
    if (wait_turn(exchange, drawn))
        return PASS;
    give_all_back(drawn);
    exchange->allowance.retry = 1;
    return DENY(429, "limits", "rate_limit_exceeded", "too many requests wait for their turn already");
}

/* Nobody can say what is left. */
static struct verdict without_store(struct exchange *exchange, struct drawn *drawn,
                                    const struct error *failure)
{
    struct error error = {0};
    if (exchange->on_store_failure == STORE_FAILURE_ALLOW)
        return PASS;
    if (exchange->on_store_failure == STORE_FAILURE_DENY)
        return FAULT(503, "limits", "store_failed",
                     arena_copy(exchange->arena, failure->message, strlen(failure->message)));
    for (size_t i = 0; i < drawn->count; i++)
        drawn->draws[i].quota = &drawn->limits[i]->local;
    drawn->counters = drawn->all->local;
    if (!counters_take(drawn->counters, drawn->draws, drawn->count, &drawn->taken, &error))
        return FAULT(503, "limits", "store_failed", "the counters of this process failed");
    return settle(exchange, drawn);
}

/* explain takes nothing. */
static struct verdict preview(struct exchange *exchange, const struct drawn *drawn)
{
    struct bytes list = bytes_new(exchange->arena, 4096);
    for (size_t i = 0; i < drawn->count; i++)
        bytes_printf(&list, "%s%.*s: %llu of %s", i ? ", " : "draws on ", TEXT_ARGUMENTS(drawn->draws[i].key),
                     (unsigned long long)drawn->draws[i].cost, drawn->limits[i]->rule);
    bytes_add(&list, "", 1);
    struct verdict verdict = PASS;
    verdict.detail = list.at;
    return verdict;
}

static struct verdict judge(const struct limits_rules *rules, struct exchange *exchange, bool late)
{
    struct error error = {0};
    struct drawn *drawn = collect(rules, exchange, late);
    if (drawn->count == 0)
        return PASS;
    if (exchange->observe)
        return preview(exchange, drawn);
    drawn->counters = rules->all->counters;
    if (!counters_take(drawn->counters, drawn->draws, drawn->count, &drawn->taken, &error))
        return without_store(exchange, drawn, &error);
    return settle(exchange, drawn);
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    return judge(settings, exchange, false);
}

static struct verdict check_late(const void *settings, struct exchange *exchange)
{
    return judge(settings, exchange, true);
}

static bool counts(const struct limit *limit, int status)
{
    bool failed = status >= 400;
    return limit->count == COUNT_ALL || (limit->count == COUNT_FAILURES) == failed;
}

/* Not by its status: a web server that asks is told 403. */
static bool is_refused_by_limits(const struct verdict *verdict)
{
    return verdict->guard && strcmp(verdict->guard, "limits") == 0 &&
           strcmp(verdict->code, "rate_limit_exceeded") == 0;
}

static void let_go(struct drawn *drawn)
{
    if (drawn->lease)
        end_lease(drawn->lease);
    drawn->lease = NULL;
}

static void settle_up(struct drawn *drawn, const struct exchange *exchange)
{
    struct draw back[DRAWS_LIMIT];
    size_t count = 0;
    if (!drawn->counters)
        return;
    if (is_refused_by_limits(&exchange->verdict)) { /* together or not at all */
        give_all_back(drawn);
        return;
    }
    let_go(drawn);
    for (size_t i = 0; i < drawn->count; i++)
        if (!drawn->limits[i]->slots && !counts(drawn->limits[i], exchange->reply.status))
            back[count++] = drawn->draws[i];
    if (count > 0)
        counters_give_back(drawn->counters, back, count, drawn->taken.time);
    drawn->counters = NULL;
}

/* Of a judgement that only reported, too. */
static void finish(const void *settings, struct exchange *exchange)
{
    bool answered = exchange->reply.status > 0; /* or it was a question, whose answer is not known yet */
    (void)settings;
    for (struct drawn *drawn = exchange->drawn; drawn; drawn = drawn->next)
        if (answered)
            settle_up(drawn, exchange);
        else
            let_go(drawn);
    if (answered)
        exchange->drawn = NULL;
}

const struct guard guard_limits = {
    .name = "limits",
    .help = "how much a caller may use",
    .stage = ON_HEAD,
    .section = {sizeof(struct limits_rules), fields},
    .prepare = prepare,
    .check = check,
    .finish = finish,
};

/* The same guard's other turn: it has the same rules. */
const struct guard guard_limits_late = {
    .name = "limits",
    .help = "how much a caller may use",
    .stage = ON_HEAD,
    .again = &guard_limits,
    .check = check_late,
};
