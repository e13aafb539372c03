/*
 * The order in which guards judge, and the loop that lets them.
 */
#include "config.h"

#include "guard/guard.h"

extern const struct guard guard_dotfiles, guard_hosts, guard_https, guard_addresses, guard_cors,
    guard_cors_answer, guard_methods, guard_version, guard_retire, guard_limits, guard_body,
    guard_content_types, guard_auth, guard_csrf, guard_roles, guard_scopes, guard_claims,
    guard_repeated_params, guard_operators, guard_markup, guard_match, guard_parameters, guard_limits_late,
    guard_repeated_params_late, guard_operators_late, guard_markup_late, guard_body_late, guard_replies;

/* What may change the request stands in front of all that judges what is in it. */
const struct guard *const guards[] = {
    &guard_dotfiles,
    &guard_hosts,
    &guard_https,
    &guard_addresses,
    &guard_cors,
    &guard_cors_answer,
    &guard_methods,
    &guard_version,
    &guard_retire,
    &guard_limits,
    &guard_body,
    &guard_content_types,
    &guard_auth,
    &guard_csrf,
    &guard_roles,
    &guard_scopes,
    &guard_claims,
    &guard_repeated_params,
    &guard_operators,
    &guard_markup,
    &guard_match,
    &guard_parameters,
    &guard_limits_late,
    &guard_repeated_params_late,
    &guard_operators_late,
    &guard_markup_late,
    &guard_body_late,
    &guard_replies,
    NULL,
};

_Static_assert(sizeof guards / sizeof *guards <= GUARDS_LIMIT, "a bit of `passed` for each guard");

size_t guards_count(void)
{
    return sizeof guards / sizeof *guards - 1;
}

bool guards_have(const struct guard_rules rules[], enum stage stage, bool enforced)
{
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->stage == stage && rules[i].rules && !(enforced && rules[i].report_only))
            return true;
    return false;
}

const struct guard_rules *guards_await(const struct guard_rules rules[], const struct exchange *exchange,
                                       uint64_t *most, const char **over)
{
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->stage == ON_REPLY && rules[i].rules &&
            guards[i]->await(rules[i].rules, exchange, most, over))
            return &rules[i];
    return NULL;
}

/* A guard that only reports leaves the body's limit as it was, or reading the
 * body would enforce it all the same, and says nothing to the client. */
static struct verdict judge_one(const struct guard *guard, const struct guard_rules *rules,
                                struct exchange *exchange)
{
    uint64_t limit = exchange->body.limit;
    struct text details = exchange->details;
    exchange->reports = rules->report_only;
    struct verdict verdict = guard->check(rules->rules, exchange);
    if (rules->report_only) {
        exchange->body.limit = limit;
        exchange->details = details;
    }
    if (!verdict.guard)
        verdict.guard = guard->name;
    if (exchange->observe)
        exchange->observe(exchange, guard->name, verdict);
    return verdict;
}

struct verdict guards_judge(const struct guard_rules rules[], enum stage stage, struct exchange *exchange,
                            uint32_t *passed, void (*reported)(struct exchange *, struct verdict))
{
    for (size_t i = 0; guards[i]; i++) {
        if (guards[i]->stage != stage || !rules[i].rules)
            continue;
        struct verdict verdict = judge_one(guards[i], &rules[i], exchange);
        if (verdict.kind != VERDICT_PASS && !rules[i].report_only)
            return verdict;
        if (verdict.kind != VERDICT_PASS)
            reported(exchange, verdict);
        *passed |= UINT32_C(1) << i;
    }
    return PASS;
}

void guards_finish(const struct guard_rules rules[], struct exchange *exchange, uint32_t passed)
{
    for (size_t i = guards_count(); i-- > 0;)
        if ((passed >> i & 1) && guards[i]->finish)
            guards[i]->finish(rules[i].rules, exchange);
}
