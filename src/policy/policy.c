/*
 * Policy: a file's way from its text to struct policy, in order: nodes, the
 * top's keys, routes, the router, and advice. Every step goes on after errors
 * of the one before as far as that makes sense, so that one run tells them all.
 */
#include "config.h"

#include "policy/policy.h"

#include <limits.h>
#include <stdlib.h>

#include "data/file.h"
#include "policy/load.h"
#include "policy/route.h"

enum { KEY_LIMIT = 256 };

/* The absolute folder of a file that itself need not be there. */
static const char *folder_of(const char *file, struct arena *arena, struct error *error)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');
    const char *named = slash == file ? "/" : slash ? arena_copy(arena, file, (size_t)(slash - file)) : ".";
    if (realpath(named, folder))
        return arena_copy(arena, folder, strlen(folder));
    error_set_errno(error, "cannot find the folder of %s", file);
    return NULL;
}

static struct policy *new_policy(const char *file)
{
    struct arena *arena = arena_new();
    struct policy *policy = arena_alloc(arena, sizeof *policy);
    policy->arena = arena;
    policy->file = arena_copy(arena, file, strlen(file));
    policy->findings = findings_new(arena, policy->file);
    return policy;
}

static void load_nodes(struct policy *policy, const char *folder, bool elsewhere, const struct node *root)
{
    struct findings *findings = &policy->findings;
    struct loader loader = {.policy = policy,
                            .decoder = {.arena = policy->arena,
                                        .findings = findings,
                                        .folder = folder,
                                        .elsewhere = elsewhere,
                                        .contents = &policy->contents},
                            .root = root};
    if (!root)
        return;
    if (server_rules_load(&loader)) { /* else the user may be one that does not exist */
        loader.decoder.user = policy->server.user;
        loader.decoder.group = policy->server.group;
    }
    auth_rules_load(&loader);
    limit_rules_load(&loader);
    cors_rules_load(&loader);
    version_rules_load(&loader);
    openapi_rules_load(&loader);
    route_rules_load(&loader);
    policy->backends = loader.decoder.backends;
    router_build(policy);
    if (findings->errors == 0)
        advice_give(&loader);
}

static struct policy *load(const char *file, bool elsewhere, struct error *error)
{
    struct policy *policy = new_policy(file);
    const char *folder = folder_of(file, policy->arena, error);
    if (!folder) {
        policy_free(policy);
        return NULL;
    }
    load_nodes(policy, folder, elsewhere, file_read(policy->file, &policy->findings));
    return policy;
}

struct policy *policy_load(const char *file, struct error *error)
{
    return load(file, false, error);
}

struct policy *policy_load_elsewhere(const char *file, struct error *error)
{
    return load(file, true, error);
}

struct policy *policy_parse(struct text content, const char *file, bool json, struct error *error)
{
    struct policy *policy = new_policy(file);
    const char *folder = folder_of(file, policy->arena, error);
    if (!folder) {
        policy_free(policy);
        return NULL;
    }
    load_nodes(policy, folder, false, file_parse(content, json, &policy->findings));
    return policy;
}

bool route_authorizes(const struct route *route)
{
    const struct handler *handler = route->handler;
    return handler && route->settings && handler->authorizes && handler->authorizes(route->settings);
}

bool route_needs_body(const struct route *route)
{
    return guards_have(route->guards, ON_BODY, false);
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    auth_methods_close(&policy->auth);
    limits_close(&policy->limits);
    contents_free(&policy->contents);
    openapi_free(policy->openapi);
    arena_free(policy->arena);
}

/* ---- what there is to say */

struct visitor {
    void (*visit)(void *context, const char *key, const struct field *);
    void *context;
};

static void describe_fields(const struct visitor *visitor, const char *prefix, const struct field *fields)
{
    for (const struct field *field = fields; field && field->key; field++) {
        char key[KEY_LIMIT];
        snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", field->key);
        visitor->visit(visitor->context, key, field);
        if (field->type == FIELD_OWN && field->section) {
            snprintf(key, sizeof key, "%s%s%s.NAME", prefix, *prefix ? "." : "", field->key);
            describe_fields(visitor, key, field->section->fields);
        }
        if (field->type == FIELD_SECTION)
            describe_fields(visitor, key, field->section->fields);
    }
}

/* A guard or handler is a section under its name. */
static void describe_section(const struct visitor *visitor, const char *name, const char *help,
                             const struct section *section)
{
    const struct field fields[] = {{.key = name, .type = FIELD_SECTION, .help = help, .section = section},
                                   {0}};
    describe_fields(visitor, "", fields);
}

static void describe_guard(const struct visitor *visitor, const struct guard *guard)
{
    char key[KEY_LIMIT];
    describe_section(visitor, guard->name, guard->help, &guard->section);
    snprintf(key, sizeof key, "%s.%s", guard->name, guard_mode.key);
    visitor->visit(visitor->context, key, &guard_mode);
}

void policy_describe(void (*visit)(void *context, const char *key, const struct field *), void *context)
{
    const struct visitor visitor = {visit, context};
    describe_fields(&visitor, "", server_section.fields);
    describe_fields(&visitor, "", route_section.fields);
    for (size_t i = 0; auth_kinds[i]; i++) {
        const struct auth_kind *kind = auth_kinds[i];
        char name[KEY_LIMIT];
        snprintf(name, sizeof name, "auth.NAME.%s", kind->name);
        describe_section(&visitor, name, kind->help, &kind->section);
    }
    describe_section(&visitor, "limits.NAME", "one limit of the top's limits, or of a route's",
                     &limit_section);
    describe_section(&visitor, "cors.NAME", "one of the top's cors", &cors_section);
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->section.fields)
            describe_guard(&visitor, guards[i]);
    for (size_t i = 0; handlers[i]; i++)
        describe_section(&visitor, handlers[i]->name, handlers[i]->help, &handlers[i]->section);
}
