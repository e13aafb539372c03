/*
 * Advice on CORS that takes more than its own keys to give: what else a route
 * says, and whether any route has it. Each is said once of each rules.
 */
#include "config.h"

#include "policy/draft.h"

static bool may_send(const struct cors *cors, const char *header)
{
    bool good = true;
    struct text rest = text_of(header), name;
    return !cors_next_header(cors, &rest, &name, &good) || good;
}

/* A header that requests are to have and scripts cannot send; `why` they are to. */
static const char *find_unsent(const struct policy *policy, const struct cors *cors,
                               const struct route *route, const char **why)
{
    const struct places *places;
    const void *auth = route->guards[draft_find_guard("auth")].rules;
    const char *version = route->versions ? policy->versions.header : NULL;
    *why = "callers say who they are";
    for (size_t i = 0; auth && (places = auth_place(auth, i)); i++)
        if (!may_send(cors, places->header))
            return places->header;
    *why = "requests name a version";
    return may_send(cors, version) ? NULL : version;
}

static bool requires_https(const struct route *route)
{
    const struct node *node = route->guards[draft_find_guard("https")].node;
    const struct node *said = node && node->kind == NODE_MAP ? node_get(node, "policy") : node;
    return said && said->kind == NODE_SCALAR && text_equal(said->text, TEXT("require"));
}

/* Of this machine: nobody is in between. */
static bool is_loopback(struct text host)
{
    return text_equal(host, TEXT("localhost")) || text_ends_with(host, TEXT(".localhost")) ||
           text_equal(host, TEXT("[::1]")) || text_starts_with(host, TEXT("127."));
}

static const struct origin_pattern *find_plain(const struct cors *cors)
{
    for (size_t i = 0; i < cors->origins.count; i++) {
        const struct origin *origin = &cors->origins.items[i].origin;
        if (text_equal(origin->scheme, TEXT("http")) && !is_loopback(origin->host))
            return &cors->origins.items[i];
    }
    return NULL;
}

static const struct node *place(const struct cors *cors, const char *key)
{
    const struct node *node = node_get(cors->node, key);
    return node ? node : cors->node;
}

/* Whether there was something to say. */
static bool advise_headers(const struct policy *policy, const struct cors *cors, const struct route *route,
                           struct findings *findings)
{
    const char *why, *header = find_unsent(policy, cors, route, &why);
    if (header)
        findings_add(findings, FINDING_ADVICE, place(cors, "headers"),
                     "scripts cannot send %s, by which %s at %s; name it in `headers`", header, why,
                     route->path);
    return header;
}

static bool advise_plain(const struct cors *cors, const struct route *route, struct findings *findings)
{
    const struct origin_pattern *plain = cors->credentials && requires_https(route) ? find_plain(cors) : NULL;
    if (plain)
        findings_add(findings, FINDING_ADVICE, place(cors, "origins"),
                     "whoever is on the way to %.*s, which is not encrypted, can read what its visitors may "
                     "of %s",
                     TEXT_ARGUMENTS(plain->text), route->path);
    return plain;
}

static void advise_named(const struct policy *policy, const struct cors *cors, struct findings *findings)
{
    bool used = false, headers = false, plain = false;
    for (size_t i = 0; i < policy->route_count; i++) {
        const struct route *route = &policy->routes[i];
        if (!route->cors || route->cors->cors != cors)
            continue;
        used = true;
        headers = headers || advise_headers(policy, cors, route, findings);
        plain = plain || advise_plain(cors, route, findings);
    }
    if (!used && !(policy->cors && policy->cors->cors == cors))
        findings_add_key(findings, FINDING_ADVICE, cors->node, "no route names it");
}

/* Who is refused where nobody says anything is only not told to scripts here. */
static void advise_enforce(const struct loader *loader)
{
    const struct policy *policy = loader->policy;
    const struct cors *before = policy->cors ? policy->cors->cors : NULL;
    for (size_t i = 0; before && before->enforce && i < policy->route_count; i++) {
        const struct route *route = &policy->routes[i];
        const struct node *own = node_get(route->node, "cors");
        if (own && route->cors && !route->cors->cors->enforce)
            findings_add_key(loader->decoder.findings, FINDING_ADVICE, own,
                             "the defaults' `cors` refuses other origins, and this only hides replies from "
                             "their scripts");
    }
}

void cors_advice_give(const struct loader *loader)
{
    const struct policy *policy = loader->policy;
    struct findings *findings = loader->decoder.findings;
    const struct cors *told_headers = NULL, *told_plain = NULL;
    advise_enforce(loader);
    for (size_t i = 0; i < policy->cors_all.count; i++)
        advise_named(policy, policy->cors_all.items[i], findings);
    for (size_t i = 0; i < policy->route_count; i++) {
        const struct route *route = &policy->routes[i];
        const struct cors *cors = route->cors ? route->cors->cors : NULL;
        if (!cors || cors->name)
            continue;
        if (cors != told_headers && advise_headers(policy, cors, route, findings))
            told_headers = cors;
        if (cors != told_plain && advise_plain(cors, route, findings))
            told_plain = cors;
    }
}
