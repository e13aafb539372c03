/*
 * A case from its beginning to the comparison. Counters are in memory and follow
 * the clock of the case; who takes part besides is for cli/test_cast.h to say.
 */
#include "config.h"

#include "cli/test_stage.h"

#include <stdlib.h>

#include "base/clock.h"
#include "cli/test_cast.h"
#include "cli/test_request.h"
#include "front/serve.h"

enum { COUNTERS = 100000, REPLY_LIMIT = 64 << 20 };

#define CLOCK_BEGIN (10000 * UINT64_C(86400000000)) /* microseconds, whole days */

struct test_stage {
    struct policy *policy;
    struct test_cast cast;
    bool *reached;  /* of the policy's routes, by place */
    int64_t now;    /* milliseconds since 1970 */
    uint64_t clock; /* of the counters, in microseconds */
};

/* ---- the stage */

struct test_stage *test_stage_new(struct policy *policy, struct error *error)
{
    struct test_stage *stage = calloc(1, sizeof *stage);
    if (!stage)
        abort(); /* as an arena would */
    stage->policy = policy;
    stage->reached = arena_array(policy->arena, policy->route_count, sizeof *stage->reached);
    for (size_t i = 0; i < policy->route_count; i++)
        test_cast_handler(&stage->cast, &policy->routes[i]);
    if (policy->undocumented)
        test_cast_handler(&stage->cast, policy->undocumented);
    policy->auth.store_path = NULL;
    test_cast_methods(&stage->cast, &policy->auth, policy->arena);
    if (auth_methods_open(&policy->auth, error))
        return stage;
    test_stage_free(stage);
    return NULL;
}

void test_stage_free(struct test_stage *stage)
{
    policy_free(stage->policy);
    free(stage);
}

const struct policy *test_stage_policy(const struct test_stage *stage)
{
    return stage->policy;
}

/* Counters have a clock of their own: where their windows lie does not depend on when a test is run. */
static void set_time(struct test_stage *stage, const struct test_case *test)
{
    if (test->goes_on) {
        stage->now += (int64_t)test->after;
        stage->clock += test->after * 1000;
        return;
    }
    stage->now = test->at ? test->at : clock_wall_milliseconds();
    stage->clock = CLOCK_BEGIN;
}

static void begin_case(struct test_stage *stage, const struct test_case *test)
{
    struct limits *limits = &stage->policy->limits;
    set_time(stage, test);
    if (!limits->used || test->goes_on)
        return;
    limits_close(limits);
    limits->counters = counters_open_played(COUNTERS, &stage->clock);
}

/* ---- what became of them */

static void note_reports(struct outcome *outcome, const struct exchange *exchange,
                         const struct playing *playing)
{
    const struct story *story = &playing->story;
    const struct route *route = exchange->route;
    outcome->reports = arena_array(exchange->arena, story->count + 1, sizeof *outcome->reports);
    if (route && route == playing->stage->policy->undocumented)
        outcome->reports[outcome->report_count++] = "undocumented";
    for (size_t i = 0; i < story->count; i++)
        if (story->items[i].verdict.kind != VERDICT_PASS && story->items[i].reported)
            outcome->reports[outcome->report_count++] = story->items[i].verdict.code;
}

static struct outcome outcome_of(const struct playing *playing, const struct exchange *exchange,
                                 struct text sent)
{
    struct outcome outcome = {.verdict = exchange->verdict, .status = exchange->reply.status};
    const struct caller *caller = exchange->caller;
    const struct route *route = exchange->route;
    outcome.route = exchange->route_path;
    if (route && exchange->verdict.kind == VERDICT_PASS)
        outcome.handler = route->handler->name;
    if (outcome.handler && test_cast_answers(route) && !playing->test->reply.node && !exchange->authorizes)
        outcome.status = 0;
    if (caller)
        outcome.caller = caller->name;
    outcome_read_reply(&outcome, sent, exchange->arena);
    note_reports(&outcome, exchange, playing);
    return outcome;
}

/* Of two routes where the web server asks about another request. */
static void observe(struct exchange *exchange, const char *guard, struct verdict verdict)
{
    const struct playing *playing = exchange->owner;
    const struct policy *policy = playing->stage->policy;
    if (exchange->method_known && exchange->route != policy->undocumented)
        playing->stage->reached[exchange->route - policy->routes] = true;
    story_observe(exchange, guard, verdict);
}

static bool play_one(struct test_stage *stage, const struct test_case *test,
                     const struct expectation *expected, struct bytes *why, FILE *story)
{
    struct playing playing = {.stage = stage, .cast = &stage->cast, .test = test};
    struct play play;
    struct bytes sent;
    struct play_channel channel = play_channel_new(test->content.text, &sent);
    struct exchange exchange = play_exchange(stage->policy, &channel);
    sent = bytes_new(exchange.arena, REPLY_LIMIT);
    exchange.spool_folder = P_tmpdir; /* the policy's is elsewhere */
    exchange.authorizer = test->role == TEST_AUTHORIZER;
    exchange.owner = &playing;
    exchange.observe = observe;
    exchange.observer = &playing.story;
    exchange.played_time = stage->now;
    test_request_make(&stage->policy->auth, test, exchange.arena, &play);
    struct params params = play_params(&play, exchange.arena);
    serve_exchange(stage->policy, &exchange, &params);
    struct outcome outcome = outcome_of(&playing, &exchange, bytes_text(&sent));
    bool fits = !expected->node || outcome_fits(&outcome, expected, why);
    if (!fits && story)
        story_tell(stage->policy, &play, &exchange, "    ", story);
    play_end(&exchange);
    return fits;
}

bool test_stage_play(struct test_stage *stage, const struct test_case *test, struct bytes *why, FILE *story)
{
    begin_case(stage, test);
    for (uint64_t i = 1; i <= test->repeat; i++) {
        if (play_one(stage, test, i < test->repeat ? &test->before : &test->expect, why, story))
            continue;
        if (test->repeat > 1)
            bytes_printf(why, " (request %d of %d)", (int)i, (int)test->repeat);
        return false;
    }
    return true;
}

size_t test_stage_uncovered(const struct test_stage *stage,
                            void (*tell)(const struct policy *, const struct route *))
{
    size_t count = 0;
    for (size_t i = 0; i < stage->policy->route_count; i++) {
        if (stage->reached[i])
            continue;
        tell(stage->policy, &stage->policy->routes[i]);
        count++;
    }
    return count;
}
