/*
 * What a route as a whole must have, whoever wrote it: the policy, or an OpenAPI document and what
 * the policy says besides.
 */
#include "config.h"

#include "policy/draft.h"

#include <stdarg.h>

#include "base/bytes.h"
#include "guard/csrf.h"

enum { NAMES_LIMIT = 1024 };

bool route_tell(struct findings *findings, enum finding_kind kind, const struct route *route, const char *key,
                const char *format, ...)
{
    const struct openapi_operation *operation = route->operation;
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(findings->arena, format, arguments);
    va_end(arguments);
    if (operation)
        return findings_add_in(findings, kind, operation->position.file, operation->position.line,
                               operation->position.column, "%s %s%s%s%s: %s", operation->method,
                               operation->path, operation->id ? " (" : "", operation->id ? operation->id : "",
                               operation->id ? ")" : "", message);
    const struct node *node = key ? node_get(route->node, key) : NULL;
    return findings_add(findings, kind, node ? node : route->node, "%s", message);
}

static const char *handler_names(struct arena *arena)
{
    struct bytes names = bytes_new(arena, NAMES_LIMIT);
    for (size_t i = 0; handlers[i]; i++)
        bytes_printf(&names, "%s%s", i ? ", " : "", handlers[i]->name);
    bytes_add(&names, "", 1);
    return names.at;
}

/* Nothing is open because a line was forgotten, and who asks what a caller may do
 * asks who he is. */
static void check_auth(const struct route *route, struct findings *findings)
{
    static const char *const others[] = {"roles", "scopes", "claims", "match"};
    const struct guard_rules *auth = &route->guards[draft_find_guard("auth")];
    if (!auth->node)
        route_tell(
            findings, FINDING_ERROR, route, NULL,
            "the key `auth` is missing, expected none or names of the top's `auth`, here or in defaults");
    for (size_t i = 0; auth->rules && !auth_asks(auth->rules) && i < sizeof others / sizeof *others; i++) {
        const struct guard_rules *rules = &route->guards[draft_find_guard(others[i])];
        if (rules->rules)
            route_tell(findings, FINDING_ERROR, route, NULL, "`%s` asks who is calling, but `auth` is none",
                       others[i]);
    }
    const struct handler *handler = route->handler;
    if (auth->rules && !auth_asks(auth->rules) && handler && route->settings && handler->needs_caller &&
        handler->needs_caller(route->settings))
        route_tell(findings, FINDING_ERROR, route, NULL, "`%s` asks who is calling, but `auth` is none",
                   handler->name);
}

/* Who writes the key wants something checked: programs may have sessions that we do not know of. */
static void check_csrf(const struct route *route, struct findings *findings)
{
    const struct guard_rules *csrf = &route->guards[draft_find_guard("csrf")];
    const struct guard_rules *auth = &route->guards[draft_find_guard("auth")];
    if (csrf->rules && csrf->node && csrf->node->parent == route->node && csrf_is_auto(csrf->rules) &&
        auth->rules && !auth_reads_ambient(auth->rules))
        findings_add_key(findings, FINDING_ERROR, csrf->node,
                         "`auth` has no way by a cookie that could be checked, expected `policy: on` for a "
                         "program with sessions of its own");
}

static bool checks_pages(const struct route *route)
{
    const struct guard_rules *csrf = &route->guards[draft_find_guard("csrf")];
    const struct guard_rules *auth = &route->guards[draft_find_guard("auth")];
    bool ambient = auth->rules && auth_reads_ambient(auth->rules);
    if (!csrf->rules)
        return ambient;
    return !csrf_is_off(csrf->rules) && (ambient || !csrf_is_auto(csrf->rules));
}

/* Whoever says nothing of a page is a program, and passes: so would every page. */
static void check_dropped(const struct loader *loader, const struct route *route)
{
    static const char *const names[] = {"origin", "sec-fetch-site", "referer"};
    bool csrf = checks_pages(route);
    size_t count = csrf ? sizeof names / sizeof *names : route->cors ? 1 : 0;
    for (size_t i = 0; i < count; i++)
        if (texts_have(&loader->policy->server.request.drop, text_of(names[i])))
            route_tell(loader->decoder.findings, FINDING_ERROR, route, NULL,
                       "`%s` judges by %s, which `request.drop` takes away", csrf ? "csrf" : "cors",
                       names[i]);
}

static void check_handler(struct loader *loader, const struct route *route)
{
    struct findings *findings = loader->decoder.findings;
    const char *names = handler_names(loader->decoder.arena);
    const struct openapi_operation *operation = route->operation;
    if (operation && operation->id)
        route_tell(
            findings, FINDING_ERROR, route, NULL,
            "there is no handler, expected one of %s in `defaults` or beside `operation: %s` in `routes`",
            names, operation->id);
    else if (operation)
        route_tell(findings, FINDING_ERROR, route, NULL,
                   "there is no handler, expected one of %s in `defaults` or beside `path: %s` in `routes`",
                   names, route->path);
    else
        route_tell(findings, FINDING_ERROR, route, NULL,
                   "the key of a handler is missing, expected one of %s", names);
}

/* What the web server or another route answers is judged by nobody. */
static void check_replies(const struct route *route, struct findings *findings)
{
    const struct handler *handler = route->handler;
    if (!route->settings || !guards_have(route->guards, ON_REPLY, false))
        return;
    const struct texts *steering =
        handler->allowed_headers ? handler->allowed_headers(route->settings) : NULL;
    if (steering && steering->count > 0)
        route_tell(findings, FINDING_ERROR, route, NULL,
                   "`replies` is beside `%s.steering`, by which the web server sends something else",
                   handler->name);
    bool named = route->node && node_get(route->node, "replies");
    if (named && route_authorizes(route))
        route_tell(findings, FINDING_ERROR, route, NULL,
                   "`replies` is for routes with a program, and this one only says what may be served");
}

/* Of two that say it, one would be for nothing. */
static void check_cors(const struct route *route, struct findings *findings)
{
    const struct headers *set = &route->headers.set;
    const struct text prefix = TEXT("access-control-");
    for (size_t i = 0; route->cors && i < set->count; i++) {
        struct text name = set->items[i].name;
        if (name.length > prefix.length &&
            text_equal_ignore_case((struct text){name.at, prefix.length}, prefix))
            route_tell(findings, FINDING_ERROR, route, "headers",
                       "sets %.*s, which is what `cors` says, expected `cors: off` or none of it here",
                       TEXT_ARGUMENTS(name));
    }
}

void draft_check(struct loader *loader, const struct route *route)
{
    struct findings *findings = loader->decoder.findings;
    if (!route->path && !node_get(route->node, "path") && !node_get(route->node, "operation"))
        findings_add(findings, FINDING_ERROR, route->node,
                     "the key `path` is missing, expected one such as /api/users/{id}");
    check_auth(route, findings);
    check_csrf(route, findings);
    check_dropped(loader, route);
    if (!route->handler) {
        check_handler(loader, route);
        return;
    }
    check_replies(route, findings);
    check_cors(route, findings);
    bool finds =
        route->settings && route->handler->finds_script && route->handler->finds_script(route->settings);
    if (finds && !route->operation && route->path && !text_ends_with(text_of(route->path), TEXT("/**")))
        findings_add(findings, FINDING_ERROR, node_get(route->node, "path"),
                     "a script beneath a root needs a path that ends in /**");
}
