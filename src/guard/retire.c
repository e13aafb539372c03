/*
 * retire: the end of a route. What its replies say until then is written by others,
 * who read the same rules.
 */
#include "config.h"

#include "guard/guard.h"
#include "guard/lifetime.h"

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct lifetime *rules = settings;
    bool dated = !node || node->kind != NODE_MAP || node_get(node, "deprecated") || node_get(node, "sunset");
    if (!dated)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is no date, expected `deprecated`, `sunset` or both");
    if (rules->successor && !lifetime_is_link(text_of(rules->successor)))
        return findings_add(decoder->findings, FINDING_ERROR, node_get(node, "successor"),
                            "this is not a link, expected one such as /api/v2/users");
    return lifetime_complete(rules, decoder, node,
                             rules->successor ? lifetime_successor(decoder->arena, rules->successor) : NULL);
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    bool over = lifetime_is_over(settings, exchange_time(exchange));
    return over ? DENY(410, "retire", "gone", "its sunset has passed") : PASS;
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    lifetime_advise(settings, findings, node);
}

const struct guard guard_retire = {
    .name = "retire",
    .help = "since when a route is deprecated, and when it ends",
    .stage = ON_HEAD,
    .section = {sizeof(struct lifetime), lifetime_fields},
    .prepare = prepare,
    .check = check,
    .advise = advise,
};
