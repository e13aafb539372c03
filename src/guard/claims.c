/*
 * claims: what the caller's claims must be, or have in them.
 */
#include "config.h"

#include "guard/auth_method.h"
#include "guard/guard.h"

enum { CLAIMS_LIMIT = 32 };

struct claim {
    const char *path;
    struct texts values;
};

struct claims_rules {
    struct claim claims[CLAIMS_LIMIT];
    size_t count;
};

static bool decode_claim(struct decoder *decoder, const struct node *node, void *target)
{
    struct claims_rules *rules = target;
    if (rules->count == CLAIMS_LIMIT)
        return findings_add(decoder->findings, FINDING_ERROR, node, "at most %d claims can be named",
                            (int)CLAIMS_LIMIT);
    struct claim *claim = &rules->claims[rules->count++];
    claim->path = node->name.at;
    return decode_texts(decoder, node, &claim->values) &&
           (claim->values.count > 0 ||
            findings_add(decoder->findings, FINDING_ERROR, node, "expected at least one text"));
}

static const struct field fields[] = {
    {.key = "*",
     .type = FIELD_OWN,
     .own = decode_claim,
     .expects = "a text or a list of texts",
     .help = "what the claim must be or have"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    const struct claims_rules *rules = settings;
    return rules->count > 0 || node->kind != NODE_MAP ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "expected a map of at least one claim, such as {tenant: acme}");
}

static bool holds(const struct claim *claim, const struct caller *caller)
{
    const json_t *value = caller_claim(caller->claims, claim->path);
    for (size_t i = 0; i < claim->values.count; i++)
        if (caller_claim_has(value, claim->values.items[i]))
            return true;
    return false;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct claims_rules *rules = settings;
    if (!exchange->caller)
        return auth_demand();
    for (size_t i = 0; i < rules->count; i++)
        if (!holds(&rules->claims[i], exchange->caller))
            return DENY(403, "claims", "forbidden",
                        arena_printf(exchange->arena, "the claim %s is not what is asked for",
                                     rules->claims[i].path));
    return PASS;
}

const struct guard guard_claims = {
    .name = "claims",
    .help = "what the caller's claims must be or have in them",
    .stage = ON_HEAD,
    .section = {sizeof(struct claims_rules), fields},
    .prepare = prepare,
    .check = check,
};
