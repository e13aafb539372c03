/*
 * Auth rules: the top's `auth`, a map of names to ways to authenticate. A way
 * is a map with the one key that says of which kind it is.
 */
#include "config.h"

#include "policy/load.h"

enum { METHODS_MOST = 64 };

static const struct auth_kind *find_kind(struct text name)
{
    for (size_t i = 0; auth_kinds[i]; i++)
        if (text_equal(text_of(auth_kinds[i]->name), name))
            return auth_kinds[i];
    return NULL;
}

bool rules_name_good(struct text name)
{
    for (size_t i = 0; i < name.length; i++)
        if (!((name.at[i] >= 'a' && name.at[i] <= 'z') || (name.at[i] >= 'A' && name.at[i] <= 'Z') ||
              (name.at[i] >= '0' && name.at[i] <= '9') || name.at[i] == '_' || name.at[i] == '-'))
            return false;
    return name.length > 0 && name.length <= RULES_NAME_MOST && !text_equal(name, TEXT("none"));
}

static bool decode_kind(struct loader *loader, const struct node *node, struct auth_method *method)
{
    struct decoder *decoder = &loader->decoder;
    const struct auth_kind *kind = method->kind;
    method->rules = arena_alloc(decoder->arena, kind->section.size);
    bool good = decode_section(decoder, &kind->section, node, method->rules);
    good = kind->prepare(method->rules, decoder, node) && good;
    if (good && kind->needs_store(method->rules) && !loader->policy->server.store.place)
        good = findings_add(decoder->findings, FINDING_ERROR, node,
                            "there are no keys, expected `keys` here or a `store` at the top");
    return good;
}

static void load_method(struct loader *loader, const struct node *node, struct auth_method *method)
{
    struct findings *findings = loader->decoder.findings;
    const struct node *first = node->kind == NODE_MAP && node->count > 0 ? node->items[0] : NULL;
    *method = (struct auth_method){.name = node->name.at, .node = node};
    if (!rules_name_good(node->name))
        findings_add_key(findings, FINDING_ERROR, node,
                         "expected a name of letters, digits, - and _, at most %d, and not none",
                         (int)RULES_NAME_MOST);
    method->kind = first ? find_kind(first->name) : NULL;
    if (!method->kind) {
        findings_add(findings, FINDING_ERROR, first ? first : node, "expected a map with jwt or api_key");
        method->kind = auth_kinds[0]; /* for the routes that name it */
        return;
    }
    if (node->count > 1)
        findings_add_key(findings, FINDING_ERROR, node->items[1], "a second key beside `%s`, expected one",
                         method->kind->name);
    decode_kind(loader, first, method);
}

void auth_rules_load(struct loader *loader)
{
    struct policy *policy = loader->policy;
    const struct node *map = loader->auth;
    policy->auth.store_path = policy->server.store.place;
    policy->auth.store_password = policy->server.store.password;
    loader->decoder.auth = &policy->auth;
    if (!map)
        return;
    if (map->kind != NODE_MAP || map->count == 0 || map->count > METHODS_MOST) {
        findings_add(loader->decoder.findings, FINDING_ERROR, map,
                     "expected a map of 1 to %d names, each with jwt or api_key", (int)METHODS_MOST);
        return;
    }
    policy->auth.items = arena_array(policy->arena, map->count, sizeof *policy->auth.items);
    for (size_t i = 0; i < map->count; i++)
        load_method(loader, map->items[i], &policy->auth.items[policy->auth.count++]);
}
