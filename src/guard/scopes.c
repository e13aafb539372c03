/*
 * scopes: the caller must have all of these (RFC 6750, 3.1).
 */
#include "config.h"

#include "guard/auth_method.h"
#include "guard/guard.h"
#include "store/credential.h"

struct scopes_rules {
    struct texts all;
};

static const struct field fields[] = {
    {FIELD(FIELD_TEXTS, scopes_rules, all, "all"), .required = true, .least = 1,
     .help = "scopes that are all needed"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    const struct scopes_rules *rules = settings;
    bool good = true;
    for (size_t i = 0; i < rules->all.count; i++)
        if (rules->all.items[i].length > 0 && !credential_word_is_valid(rules->all.items[i]))
            good = findings_add(decoder->findings, FINDING_ERROR, node,
                                "\"%.*s\" is no scope, expected a word without blanks, quotes and commas",
                                TEXT_ARGUMENTS(rules->all.items[i]));
    return good;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct scopes_rules *rules = settings;
    const struct caller *caller = exchange->caller;
    if (!caller)
        return auth_demand();
    for (size_t i = 0; i < rules->all.count; i++) {
        if (caller_has(&caller->scopes, rules->all.items[i]))
            continue;
        struct text wanted = caller_join(&rules->all, exchange->arena);
        exchange->challenge =
            text_of(arena_printf(exchange->arena, "%s error=\"insufficient_scope\", scope=\"%.*s\"",
                                 caller->scheme, TEXT_ARGUMENTS(wanted)));
        return DENY(403, "scopes", "insufficient_scope", "the caller lacks a scope");
    }
    return PASS;
}

const struct guard guard_scopes = {
    .name = "scopes",
    .help = "scopes of which the caller must have all",
    .stage = ON_HEAD,
    .section = {sizeof(struct scopes_rules), fields},
    .prepare = prepare,
    .check = check,
};
