/*
 * Advice: settings that are legal and risky, said once each, where they stand.
 * Guards and handlers advise on their own rules; this is the rest.
 */
#include "config.h"

#include "policy/load.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/redis_url.h"

static struct findings *findings_of(const struct loader *loader)
{
    return loader->decoder.findings;
}

static bool is_loopback(struct text address)
{
    return text_starts_with(address, TEXT("tcp:127.")) || text_starts_with(address, TEXT("tcp:[::1]:"));
}

/* No error: systemd's RuntimeDirectory makes it in time. */
static void advise_folder(const struct loader *loader, const struct node *node, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *folder = arena_copy(loader->decoder.arena, path, (size_t)(slash - path));
    struct stat status;
    if (slash > path && stat(folder, &status) != 0 && errno == ENOENT)
        findings_add(
            findings_of(loader), FINDING_ADVICE, node,
            "there is no folder %s, and serve makes none: `install -d`, or RuntimeDirectory of systemd, "
            "has to, after each boot where it is in /run",
            folder);
}

static void advise_listen(const struct loader *loader)
{
    const struct listen_rules *rules = &loader->policy->server.listen;
    const struct node *node = node_get(loader->root, "listen");
    if (!rules->address || !node)
        return;
    struct text address = text_of(rules->address);
    if (text_starts_with(address, TEXT("tcp:")) && !is_loopback(address))
        findings_add(
            findings_of(loader), FINDING_ADVICE, node,
            "other machines can connect, and FastCGI knows no password; let a firewall admit the web "
            "server alone");
    if (text_starts_with(address, TEXT("tcp:")) && is_loopback(address))
        findings_add(
            findings_of(loader), FINDING_ADVICE, node,
            "every user of this machine can connect and say who the client is; a unix socket has a mode");
    if (text_starts_with(address, TEXT("unix:")) && (rules->mode & 07))
        findings_add(findings_of(loader), FINDING_ADVICE, node,
                     "mode 0%o lets every user of this machine connect and say who the client is",
                     rules->mode);
    if (text_starts_with(address, TEXT("unix:")))
        advise_folder(loader, node, rules->address + strlen("unix:"));
}

static bool is_root(const char *name)
{
    uint64_t number;
    const struct passwd *entry = getpwnam(name);
    return entry ? entry->pw_uid == 0 : text_number(text_of(name), 0, &number);
}

static bool is_everyone(const struct network *network)
{
    static const char *const all[] = {"0.0.0.0/0", "::/0"};
    struct network other;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (network_parse(text_of(all[i]), &other) && network->prefix == other.prefix &&
            address_equal(&network->base, &other.base))
            return true;
    return false;
}

static void advise_proxies(const struct loader *loader)
{
    const struct networks *proxies = &loader->policy->server.request.proxies;
    for (size_t i = 0; i < proxies->count; i++)
        if (is_everyone(&proxies->items[i])) {
            findings_add(findings_of(loader), FINDING_ADVICE, node_get(loader->root, "proxies"),
                         "everyone is believed on their address and on whether they came by HTTPS");
            return;
        }
}

static void advise_store(const struct loader *loader)
{
    const char *path = loader->policy->server.store.place;
    struct stat status;
    if (!path || redis_url_is(text_of(path)))
        return;
    const char *slash = strrchr(path, '/');
    const char *folder =
        slash == path ? "/" : arena_copy(loader->policy->arena, path, (size_t)(slash - path));
    if (stat(folder, &status) == 0 && (status.st_mode & S_IWOTH))
        findings_add(findings_of(loader), FINDING_ADVICE, node_get(loader->root, "store"),
                     "every user of this machine can put files beside the store");
}

static void advise_server(const struct loader *loader)
{
    const struct server_rules *server = &loader->policy->server;
    const struct node *root = loader->root;
    if (!server->user && geteuid() == 0)
        findings_add(findings_of(loader), FINDING_ADVICE, root,
                     "root cannot serve this policy, as it names no `user` for the worker and its programs");
    if (server->user && is_root(server->user))
        findings_add(findings_of(loader), FINDING_ADVICE, node_get(root, "user"),
                     "requests are read, and programs run, with all rights of root");
    if (!server->sandbox)
        findings_add(findings_of(loader), FINDING_ADVICE, node_get(root, "sandbox"),
                     "the worker is not confined");
    if (server->log.level == SEVERITY_DEBUG)
        findings_add(findings_of(loader), FINDING_ADVICE, node_get(root, "log"),
                     "debug lines are many, and meant for a fault under search");
}

static bool any_route_has(const struct policy *policy, const char *guard)
{
    for (size_t i = 0; guards[i]; i++)
        for (size_t j = 0; strcmp(guards[i]->name, guard) == 0 && j < policy->route_count; j++)
            if (policy->routes[j].guards[i].node)
                return true;
    return false;
}

static void advise_routes(const struct loader *loader)
{
    const struct policy *policy = loader->policy;
    const struct node *routes = loader->routes ? loader->routes : node_get(loader->root, "openapi");
    if (!any_route_has(policy, "hosts"))
        findings_add_key(findings_of(loader), FINDING_ADVICE, routes,
                         "no route names its `hosts`, so whatever a client writes in Host is served");
    if (!any_route_has(policy, "https"))
        findings_add_key(findings_of(loader), FINDING_ADVICE, routes,
                         "no route says `https: require`, so requests without encryption are served");
}

static bool names_method(const struct route *route, struct text method)
{
    for (size_t i = 0; i < route->methods.count; i++)
        if (text_equal(route->methods.items[i], method))
            return true;
    return false;
}

static bool says(const struct node *map, const char *key, struct text value)
{
    const struct node *node = node_get(map, key);
    return node && node->kind == NODE_SCALAR && text_equal(node->text, value);
}

/* Keys that a route and the defaults may have; said once where they stand. */
static void advise_keys(const struct loader *loader, const struct node *map)
{
    struct findings *findings = findings_of(loader);
    if (says(map, "pass_errors", TEXT("true")))
        findings_add(findings, FINDING_ADVICE, node_get(map, "pass_errors"),
                     "what a handler tells of its own faults reaches the client");
    if (says(map, "mode", TEXT("report")))
        findings_add(findings, FINDING_ADVICE, node_get(map, "mode"), "what guards refuse is only logged");
}

/* The place of a guard in a route's rules. */
static const struct guard_rules *rules_of(const struct route *route, const char *guard)
{
    size_t place = 0;
    while (strcmp(guards[place]->name, guard) != 0)
        place++;
    return &route->guards[place];
}

static void advise_hidden(const struct loader *loader, const struct route *route)
{
    const struct guard_rules *dotfiles = rules_of(route, "dotfiles");
    struct exchange exchange = {.request.path = text_of(route->path)};
    if (dotfiles->rules && !dotfiles->report_only &&
        guards[dotfiles - route->guards]->check(dotfiles->rules, &exchange).kind != VERDICT_PASS)
        route_tell(
            findings_of(loader), FINDING_ADVICE, route, "path",
            "is always refused, as it has a name that begins with a dot and `dotfiles` does not allow");
}

static bool changes_things(const struct route *route)
{
    for (size_t i = 0; i < route->methods.count; i++)
        if (!text_equal(route->methods.items[i], TEXT("GET")) &&
            !text_equal(route->methods.items[i], TEXT("HEAD")) &&
            !text_equal(route->methods.items[i], TEXT("OPTIONS")))
            return true;
    return false;
}

static void advise_csrf(const struct loader *loader, const struct route *route)
{
    const struct guard_rules *auth = rules_of(route, "auth"), *csrf = rules_of(route, "csrf");
    if (auth->rules && auth_reads_ambient(auth->rules) && changes_things(route) &&
        (!csrf->rules || csrf->report_only))
        route_tell(findings_of(loader), FINDING_ADVICE, route, csrf->node ? "csrf" : NULL,
                   "browsers send its callers' credentials whatever page made them ask, and `csrf` refuses "
                   "none of that");
}

static bool holds(const struct node *list, const struct node *item)
{
    if (list->kind != NODE_LIST)
        return list->kind == NODE_SCALAR && item->kind == NODE_SCALAR && text_equal(list->text, item->text);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i]->kind == NODE_SCALAR && text_equal(list->items[i]->text, item->text))
            return true;
    return false;
}

/* What a route's list leaves out; to say `none` is a decision. */
static void advise_rejected(const struct loader *loader, const struct node *map)
{
    const struct node *own = node_get(map, "reject"), *before = node_get(loader->defaults, "reject");
    bool lists = own && before && before->kind == NODE_LIST && own->kind != NODE_NULL;
    for (size_t i = 0; lists && !says(map, "reject", TEXT("none")) && i < before->count; i++)
        if (before->items[i]->kind == NODE_SCALAR && !holds(own, before->items[i]))
            findings_add_key(findings_of(loader), FINDING_ADVICE, own,
                             "this takes the place of the defaults', so \"%.*s\" is not asked for here; "
                             "repeat it where it is",
                             TEXT_ARGUMENTS(before->items[i]->text));
}

static bool counts_all(const struct route *route)
{
    const struct limit_uses *uses = rules_of(route, "limits")->rules;
    for (size_t i = 0; uses && i < uses->count; i++)
        if (uses->items[i]->count == COUNT_ALL && !uses->items[i]->slots)
            return true;
    return false;
}

static void advise_limits(const struct loader *loader, const struct route *route)
{
    const struct node *limits = node_get(route->node, "limits");
    if (limits && node_get(loader->defaults, "limits") && rules_of(route, "limits")->rules &&
        !counts_all(route) && !says(route->node, "limits", TEXT("none")))
        findings_add_key(findings_of(loader), FINDING_ADVICE, limits,
                         "this takes the place of the defaults' limits, and none of it counts all requests");
}

/* Who writes rules expects them to refuse. */
static void advise_reports(const struct loader *loader, const struct route *route)
{
    for (size_t i = 0; guards[i]; i++) {
        const struct node *own = node_get(route->node, guards[i]->name);
        const struct node *mode = node_get(route->guards[i].node, "mode");
        const struct node *before = node_get(node_get(loader->defaults, guards[i]->name), "mode");
        if (own && mode && before && !guards[i]->again && mode->line == before->line &&
            mode->column == before->column && text_equal(mode->text, TEXT("report")))
            findings_add_key(findings_of(loader), FINDING_ADVICE, own,
                             "what this refuses is only logged, as the defaults' `mode` for it is report");
    }
}

static void advise_route(const struct loader *loader, const struct route *route)
{
    advise_csrf(loader, route);
    advise_reports(loader, route);
    if (strcmp(route->path, "/**") == 0)
        route_tell(findings_of(loader), FINDING_ADVICE, route, "path", "admits every path of the site");
    if (names_method(route, TEXT("TRACE")) || names_method(route, TEXT("CONNECT")))
        route_tell(findings_of(loader), FINDING_ADVICE, route, "path",
                   "TRACE and CONNECT are no methods for programs");
    advise_hidden(loader, route);
    advise_limits(loader, route);
}

/* A client's Host then decides where the redirect leads, for others, too, where
 * it gets into a cache. Rules of the defaults are spoken of once. */
static void advise_redirects(const struct loader *loader)
{
    const struct node *told = NULL;
    for (size_t i = 0; i < loader->policy->route_count; i++) {
        const struct route *route = &loader->policy->routes[i];
        const struct guard_rules *hosts = rules_of(route, "hosts");
        const struct node *node = rules_of(route, "https")->node;
        bool redirects = node && (node->kind == NODE_MAP ? says(node, "policy", TEXT("redirect"))
                                                         : text_equal(node->text, TEXT("redirect")));
        if (!redirects || node == told || (hosts->rules && !hosts->report_only))
            continue;
        if (node->parent == loader->defaults)
            told = node;
        findings_add(findings_of(loader), FINDING_ADVICE, node,
                     "whoever writes Host decides where this leads; name the `hosts` of %s", route->path);
    }
}

/* A web server that only asks keeps the body. */
static void advise_authorizer(const struct loader *loader)
{
    const struct policy *policy = loader->policy;
    bool asked = policy->server.authorizer;
    for (size_t i = 0; i < policy->route_count; i++)
        asked = asked || route_authorizes(&policy->routes[i]);
    for (size_t i = 0; asked && i < policy->route_count; i++)
        if (route_needs_body(&policy->routes[i]))
            route_tell(findings_of(loader), FINDING_ADVICE, &policy->routes[i], NULL,
                       "this judges the body, so a web server that only asks gets 403, but for a GET or "
                       "HEAD without one");
        else if (guards_have(policy->routes[i].guards, ON_REPLY, true))
            route_tell(findings_of(loader), FINDING_ADVICE, &policy->routes[i], NULL,
                       "this judges replies, so a web server that only asks whether it may serve gets 403");
}

static void advise_auth(const struct loader *loader)
{
    const struct auth_methods *methods = &loader->policy->auth;
    for (size_t i = 0; i < methods->count; i++) {
        const struct auth_method *method = &methods->items[i];
        const struct places *places = method->kind->places(method->rules);
        if (!method->used)
            findings_add_key(findings_of(loader), FINDING_ADVICE, method->node, "no route names it");
        if (places->query)
            findings_add(findings_of(loader), FINDING_ADVICE, method->node,
                         "keys in a query end up in the logs and histories of all that see the address");
    }
}

void advice_give(const struct loader *loader)
{
    advise_listen(loader);
    advise_server(loader);
    advise_store(loader);
    advise_auth(loader);
    advise_authorizer(loader);
    advise_proxies(loader);
    advise_routes(loader);
    advise_redirects(loader);
    cors_advice_give(loader);
    version_rules_advise(loader);
    if (loader->defaults)
        advise_keys(loader, loader->defaults);
    for (size_t i = 0; loader->routes && i < loader->routes->count; i++) {
        advise_keys(loader, loader->routes->items[i]);
        advise_rejected(loader, loader->routes->items[i]);
    }
    for (size_t i = 0; i < loader->policy->route_count; i++)
        advise_route(loader, &loader->policy->routes[i]);
}
