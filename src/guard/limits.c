/*
 * limits: how much a caller may use. What a route's limits ask for is taken
 * from their counters before the request goes on, all of it or nothing, and
 * what does not count in the end is given back when the reply is known. It
 * judges twice: by what is known of any request, and once more behind `auth`.
 */
#include "config.h"

#include <stdatomic.h>
#include <time.h>

#include "base/bytes.h"
#include "guard/guard.h"
#include "guard/lease.h"
#include "guard/limit.h"

enum { LOCAL_ROWS = 100000 };
#define SECOND UINT64_C(1000000)

/* ---- rules */

static bool unknown(struct decoder *decoder, const struct node *node)
{
    const struct limits *limits = decoder->limits;
    bool is_none = text_equal(node->text, TEXT("none"));
    if (!is_none && limits->node && node_get(limits->node, node->text.at))
        return false; /* it is there, and has an error of its own */
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

/* Else all requests of the route would share one counter. The defaults are for paths of any kind. */
static bool has_captures(struct decoder *decoder, const struct node *node, const struct limit *limit)
{
    for (size_t i = 0; decoder->path && i < limit->by_count; i++) {
        const char *name = limit->by[i].name;
        if (limit->by[i].kind == BY_PATH &&
            !strstr(decoder->path, arena_printf(decoder->arena, "{%s}", name)))
            return findings_add(decoder->findings, FINDING_ERROR, node,
                                "this counts by path:%s, and the path %s has no {%s}", name, decoder->path,
                                name);
    }
    return true;
}

static bool add_limit(struct decoder *decoder, const struct node *node, struct limit_uses *rules)
{
    bool is_name = node->kind == NODE_SCALAR && text_find(node->text, '/') == node->text.length;
    const struct limit *limit = is_name ? find(decoder->limits, node->text) : decode_own(decoder, node);
    if (!limit)
        return is_name ? unknown(decoder, node) : false;
    if (!has_captures(decoder, node, limit))
        return false;
    for (size_t i = 0; i < rules->count; i++)
        if (is_same(rules->items[i], limit))
            return findings_add(decoder->findings, FINDING_ERROR, node, "this is named twice");
    if (rules->count == LIMIT_USES_MOST)
        return findings_add(decoder->findings, FINDING_ERROR, node, "at most %d limits can be named",
                            (int)LIMIT_USES_MOST);
    rules->items[rules->count++] = limit;
    return true;
}

bool limit_uses_decode(struct decoder *decoder, const struct node *node, void *member)
{
    struct limit_uses *rules = member;
    bool good = true;
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
     .own = limit_uses_decode,
     .required = true,
     .expects = "none, names of `limits` at the top, rates such as 100/15m, or maps",
     .help = "limits that the route draws on, together or not at all"},
    {0},
};

bool limit_uses_prepare(struct limit_uses *rules, struct decoder *decoder, const struct node *node)
{
    rules->all = decoder->limits;
    if (rules->count == 0)
        return true;
    decoder->limits->used = true;
    return decoder->limits->store.place ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "limits are counted in a store, expected `store` at the top");
}

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    return limit_uses_prepare(settings, decoder, node);
}

/* ---- what a request has taken */

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

/* Those of the draws that are slots. */
static void hold(struct drawn *drawn)
{
    struct draw slots[DRAWS_LIMIT];
    size_t count = 0;
    for (size_t i = 0; i < drawn->count; i++)
        if (drawn->limits[i]->slots)
            slots[count++] = drawn->draws[i];
    if (count > 0)
        drawn->lease = lease_begin(drawn->counters, slots, count, drawn->taken.time);
}

static void let_go(struct drawn *drawn)
{
    if (drawn->lease)
        lease_end(drawn->lease);
    drawn->lease = NULL;
}

static bool counts(const struct limit *limit, int status)
{
    bool failed = status >= 400;
    return limit->count == COUNT_ALL || (limit->count == COUNT_FAILURES) == failed;
}

/* What does not count with that status of the reply; with 0, all of it. */
static void give_back(struct drawn *drawn, int status)
{
    struct draw draws[DRAWS_LIMIT];
    size_t count = 0;
    if (!drawn->counters)
        return;
    let_go(drawn);
    for (size_t i = 0; i < drawn->count; i++)
        if (!drawn->limits[i]->slots && (status == 0 || !counts(drawn->limits[i], status)))
            draws[count++] = drawn->draws[i];
    if (count > 0)
        counters_give_back(drawn->counters, draws, count, drawn->taken.time);
    drawn->counters = NULL;
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
    return !limits->used || (counters_start(limits->counters, error) && leases_start(error));
}

void limits_close(struct limits *limits)
{
    if (!limits->counters)
        return;
    leases_stop();
    counters_close(limits->counters);
    counters_close(limits->local);
    limits->counters = limits->local = NULL;
}

/* A counter of its own, which no limit has. */
bool limits_reach(const struct limits *limits, struct error *error)
{
    static const struct quota quota = {.algorithm = QUOTA_FIXED, .limit = QUOTA_LIMIT_MOST, .window = SECOND};
    const struct draw draw = {.key = TEXT("ready"), .quota = &quota, .cost = 1};
    struct taken taken;
    return counters_take(limits->counters, &draw, 1, &taken, error);
}

/* ---- requests */

static struct drawn *collect(const struct limit_uses *rules, struct exchange *exchange, bool late)
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

/* Threads that sleep serve nobody, so only some may. */
static atomic_uint sleepers;

static bool wait_turn(struct exchange *exchange, const struct drawn *drawn)
{
    uint64_t wait = 0;
    if (exchange->played_time) /* which would not go on */
        return true;
    for (size_t i = 0; i < drawn->count; i++)
        if (drawn->taken.answers[i].wait > wait)
            wait = drawn->taken.answers[i].wait;
    if (wait == 0)
        return true;
    uint64_t most = drawn->all->threads > 1 ? drawn->all->threads / 2 : 1;
    bool may = atomic_fetch_add(&sleepers, 1) < most;
    if (may) {
        const struct timespec pause = {(time_t)(wait / SECOND), (long)(wait % SECOND * 1000)};
        exchange_begin_to_wait(exchange);
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
    give_back(drawn, 0);
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

struct verdict limit_uses_take(const struct limit_uses *rules, struct exchange *exchange, bool late)
{
    struct error error = {0};
    struct drawn *drawn = collect(rules, exchange, late);
    if (drawn->count == 0)
        return PASS;
    if (exchange->previews)
        return preview(exchange, drawn);
    drawn->counters = rules->all->counters;
    exchange_begin_to_wait(exchange); /* the disk may hang */
    if (!counters_take(drawn->counters, drawn->draws, drawn->count, &drawn->taken, &error))
        return without_store(exchange, drawn, &error);
    return settle(exchange, drawn);
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    return limit_uses_take(settings, exchange, false);
}

static struct verdict check_late(const void *settings, struct exchange *exchange)
{
    return limit_uses_take(settings, exchange, true);
}

/* Not by its status: a web server that asks is told 403. */
static bool is_refused_by_limits(const struct verdict *verdict)
{
    return verdict->guard && strcmp(verdict->guard, "limits") == 0 &&
           strcmp(verdict->code, "rate_limit_exceeded") == 0;
}

/* Of a judgement that only reported, too. */
static void finish(const void *settings, struct exchange *exchange)
{
    bool answered = exchange->reply.status > 0; /* or it was a question, whose answer is not known yet */
    /* Together or not at all. */
    int status = is_refused_by_limits(&exchange->verdict) ? 0 : exchange->reply.status;
    (void)settings;
    for (struct drawn *drawn = exchange->drawn; drawn; drawn = drawn->next)
        if (answered)
            give_back(drawn, status);
        else
            let_go(drawn);
    if (answered)
        exchange->drawn = NULL;
}

const struct guard guard_limits = {
    .name = "limits",
    .help = "how much a caller may use",
    .stage = ON_HEAD,
    .section = {sizeof(struct limit_uses), fields},
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
