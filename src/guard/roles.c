/*
 * roles: the caller must have one of these.
 */
#include "config.h"

#include "guard/auth_method.h"
#include "guard/guard.h"

struct roles_rules {
    struct texts any;
};

static const struct field fields[] = {
    {FIELD(FIELD_TEXTS, roles_rules, any, "any"), .required = true, .least = 1,
     .help = "roles of which one is enough"},
    {0},
};

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct roles_rules *rules = settings;
    const struct caller *caller = exchange->caller;
    if (!caller)
        return auth_demand();
    for (size_t i = 0; i < rules->any.count; i++)
        if (caller_has(&caller->roles, rules->any.items[i]))
            return PASS;
    return DENY(403, "roles", "forbidden", "the caller has none of the roles");
}

const struct guard guard_roles = {
    .name = "roles",
    .help = "roles of which the caller must have one",
    .stage = ON_HEAD,
    .section = {sizeof(struct roles_rules), fields},
    .check = check,
};
