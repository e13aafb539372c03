/*
 * From what an OpenAPI document asks of callers to the rules of the guards auth and scopes. The rules
 * are made of nodes, as if somebody had written them, so that there is one way to read them.
 */
#include "config.h"

#include "policy/draft.h"

#include "base/bytes.h"

enum { NAMES_MOST = 16, NAMES_LIMIT = 1024 };

/* ---- schemes */

static const char *names_of_ways(const struct loader *loader)
{
    struct bytes names = bytes_new(loader->decoder.arena, NAMES_LIMIT);
    const struct auth_methods *methods = &loader->policy->auth;
    for (size_t i = 0; i < methods->count; i++)
        bytes_printf(&names, "%s%s", i ? ", " : "", methods->items[i].name);
    return names.length ? arena_copy(loader->decoder.arena, names.at, names.length) : "none";
}

static bool is_way(const struct loader *loader, struct text name)
{
    const struct auth_methods *methods = &loader->policy->auth;
    for (size_t i = 0; i < methods->count; i++)
        if (text_equal(text_of(methods->items[i].name), name))
            return true;
    return false;
}

static bool decode_ways(struct loader *loader, const struct node *node, struct scheme_ways *ways)
{
    struct decoder *decoder = &loader->decoder;
    if (!decode_texts(decoder, node, &ways->names))
        return false;
    ways->none = ways->names.count == 1 && text_equal(ways->names.items[0], TEXT("none"));
    if (ways->none)
        ways->names.count = 0;
    else if (ways->names.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected none or names of the top's `auth`");
    for (size_t i = 0; i < ways->names.count; i++)
        if (!is_way(loader, ways->names.items[i]))
            return findings_add(
                decoder->findings, FINDING_ERROR, node->kind == NODE_LIST ? node->items[i] : node,
                "\"%.*s\" is no way to authenticate that `auth` at the top names, expected one of %s",
                TEXT_ARGUMENTS(ways->names.items[i]), names_of_ways(loader));
    return true;
}

static struct scheme_ways *find_scheme(struct loader *loader, struct text name)
{
    const struct openapi *document = loader->policy->openapi;
    for (size_t i = 0; i < document->scheme_count; i++)
        if (text_equal(text_of(document->schemes[i].name), name))
            return &loader->ways[i];
    return NULL;
}

static void load_line(struct loader *loader, const struct node *node)
{
    const struct openapi *document = loader->policy->openapi;
    struct scheme_ways *ways = find_scheme(loader, node->name);
    if (ways) {
        ways->known = true; /* also where it is wrong, which is told */
        decode_ways(loader, node, ways);
        return;
    }
    const char **names = arena_array(loader->decoder.arena, document->scheme_count, sizeof *names);
    for (size_t i = 0; i < document->scheme_count; i++)
        names[i] = document->schemes[i].name;
    const char *nearest = findings_nearest(node->name.at, names, document->scheme_count);
    findings_add_key(loader->decoder.findings, FINDING_ERROR, node,
                     "the OpenAPI document has no such security scheme%s%s%s",
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static bool looks_there(const struct places *places, const struct openapi_scheme *scheme)
{
    const char *place = scheme->place == OPENAPI_HEADER   ? places->header
                        : scheme->place == OPENAPI_COOKIE ? places->cookie
                                                          : places->query;
    struct text name = text_of(scheme->parameter);
    return place && (scheme->place == OPENAPI_HEADER ? text_equal_ignore_case(text_of(place), name)
                                                     : text_equal(text_of(place), name));
}

/* Who keeps to the document would be told that there is no credential. */
static void advise_place(struct loader *loader, const struct openapi_scheme *scheme,
                         const struct scheme_ways *ways)
{
    const struct auth_methods *methods = &loader->policy->auth;
    bool found = scheme->type != OPENAPI_API_KEY || ways->names.count == 0;
    for (size_t i = 0; !found && i < methods->count; i++) {
        const struct auth_method *method = &methods->items[i];
        found = method->rules && texts_have(&ways->names, text_of(method->name)) &&
                looks_there(method->kind->places(method->rules), scheme);
    }
    if (!found)
        findings_add_in(loader->decoder.findings, FINDING_ADVICE, scheme->position.file,
                        scheme->position.line, scheme->position.column,
                        "the `auth` of the policy for %s does not look where it is said to be, in %s",
                        scheme->name, scheme->parameter);
}

void openapi_security_load(struct loader *loader)
{
    const struct openapi *document = loader->policy->openapi;
    const struct node *map = loader->openapi.auth;
    loader->ways = arena_array(loader->decoder.arena, document->scheme_count, sizeof *loader->ways);
    for (size_t i = 0; map && map->kind == NODE_MAP && i < map->count; i++)
        load_line(loader, map->items[i]);
    for (size_t i = 0; i < document->scheme_count; i++) {
        struct text name = text_of(document->schemes[i].name);
        if (!loader->ways[i].known && is_way(loader, name)) {
            struct text *same = arena_alloc(loader->decoder.arena, sizeof *same);
            *same = name;
            loader->ways[i] = (struct scheme_ways){.names = {same, 1}, .known = true};
        }
        advise_place(loader, &document->schemes[i], &loader->ways[i]);
    }
}

/* ---- what an operation asks for */

struct demand {
    struct text names[NAMES_MOST]; /* of the top's `auth`; one is enough */
    size_t count;
    bool nobody; /* may call, too */
    struct texts scopes;
    const char *problem; /* guards cannot express it; NULL: they can */
    bool failed;         /* which is told */
};

static bool are_same(const struct texts *left, const struct texts *right)
{
    bool same = true;
    for (size_t i = 0; i < left->count; i++)
        same = same && texts_have(right, left->items[i]);
    for (size_t i = 0; i < right->count; i++)
        same = same && texts_have(left, right->items[i]);
    return same;
}

static const struct scheme_ways *ways_of(struct loader *loader, const struct openapi_scheme *scheme)
{
    struct scheme_ways *ways = find_scheme(loader, text_of(scheme->name));
    if (ways->known || ways->told)
        return ways;
    ways->told = true;
    findings_add_in(loader->decoder.findings, FINDING_ERROR, scheme->position.file, scheme->position.line,
                    scheme->position.column,
                    "no `auth` at the top of the policy is called %s, expected one, or `openapi: {auth: {%s: "
                    "NAME}}` with none or one of %s",
                    scheme->name, scheme->name, names_of_ways(loader));
    return ways;
}

static void add_name(struct demand *demand, struct text name)
{
    for (size_t i = 0; i < demand->count; i++)
        if (text_equal(demand->names[i], name))
            return;
    if (demand->count == NAMES_MOST)
        demand->problem = "more ways than a route can have";
    else
        demand->names[demand->count++] = name;
}

/* What is left to programs is not asked for here. */
static void add_alternative(struct loader *loader, const struct openapi_alternative *alternative,
                            struct demand *demand, bool first)
{
    const struct openapi_requirement *asked = NULL;
    const struct texts *scopes = &(const struct texts){0};
    for (size_t i = 0; i < alternative->count; i++) {
        const struct scheme_ways *ways = ways_of(loader, alternative->items[i].scheme);
        demand->failed = demand->failed || !ways->known;
        if (ways->none)
            continue;
        if (asked)
            demand->problem = "two security schemes together";
        asked = &alternative->items[i];
        scopes = &asked->scopes;
        for (size_t k = 0; k < ways->names.count; k++)
            add_name(demand, ways->names.items[k]);
    }
    demand->nobody = demand->nobody || !asked;
    if (!first && !are_same(&demand->scopes, scopes))
        demand->problem = "alternatives with different scopes";
    if (first)
        demand->scopes = *scopes;
}

static struct demand demand_of(struct loader *loader, const struct openapi_operation *operation)
{
    struct demand demand = {.nobody = operation->security_count == 0};
    for (size_t i = 0; i < operation->security_count; i++)
        add_alternative(loader, &operation->security[i], &demand, i == 0);
    return demand;
}

/* ---- as nodes */

static const struct node *auth_node(const struct loader *loader, const struct demand *demand)
{
    struct node *map = openapi_make_node(loader, NODE_MAP, "auth", 2);
    struct node *methods = openapi_make_node(loader, NODE_LIST, "methods", demand->count + 1);
    for (size_t i = 0; i < demand->count; i++)
        openapi_add_text(loader, methods, NULL, demand->names[i]);
    if (demand->count == 0)
        openapi_add_text(loader, methods, NULL, TEXT("none"));
    map->items[map->count++] = methods;
    if (demand->count > 0 && demand->nobody)
        openapi_add_text(loader, map, "optional", TEXT("true"));
    return map;
}

static const struct node *all_of(const struct node *scopes)
{
    return scopes && scopes->kind == NODE_MAP ? node_get(scopes, "all") : scopes;
}

/* Those of the document and, besides, those of the policy. */
static const struct node *scopes_node(struct loader *loader, const struct demand *demand,
                                      const struct node *written, const struct node *defaults)
{
    struct texts named = {0};
    bool is_map = written && written->kind == NODE_MAP;
    const struct node *own = all_of(written), *all = own ? own : all_of(defaults);
    if (demand->scopes.count == 0 || (all && !decode_texts(&loader->decoder, all, &named)))
        return written;
    struct node *map = openapi_make_node(loader, NODE_MAP, "scopes", 2);
    struct node *list = openapi_make_node(loader, NODE_LIST, "all", demand->scopes.count + named.count);
    for (size_t i = 0; i < demand->scopes.count; i++)
        openapi_add_text(loader, list, NULL, demand->scopes.items[i]);
    for (size_t i = 0; i < named.count; i++)
        if (!texts_have(&demand->scopes, named.items[i]))
            openapi_add_text(loader, list, NULL, named.items[i]);
    map->items[map->count++] = list;
    if (is_map && node_get(written, "mode"))
        map->items[map->count++] = (struct node *)node_get(written, "mode");
    return map;
}

/* ---- an entry's own auth */

static bool is_true(const struct node *node)
{
    return node && node->kind == NODE_SCALAR && text_equal(node->text, TEXT("true"));
}

static bool is_among(const struct demand *demand, struct text name)
{
    for (size_t i = 0; i < demand->count; i++)
        if (text_equal(demand->names[i], name))
            return true;
    return false;
}

/* It may ask for less ways than the document knows, and never for nobody where that asks for somebody. */
static bool check_entry(struct loader *loader, const struct route *route, const struct demand *demand,
                        const struct node *node)
{
    struct findings *findings = loader->decoder.findings;
    const struct node *methods = node->kind == NODE_MAP ? node_get(node, "methods") : node;
    bool optional = node->kind == NODE_MAP && is_true(node_get(node, "optional"));
    struct texts names = {0};
    if (methods && !decode_texts(&loader->decoder, methods, &names))
        return true; /* the guard tells what is missing */
    bool asks = demand->problem || demand->count > 0;
    bool none = names.count == 1 && text_equal(names.items[0], TEXT("none"));
    if (asks && (none || (optional && (demand->problem || !demand->nobody))))
        return findings_add(
            findings, FINDING_ERROR, node,
            "the OpenAPI document asks who calls %s %s; to leave that to the program, say none "
            "in `openapi.auth`",
            route->operation->method, route->operation->path);
    for (size_t i = 0; !demand->problem && demand->count > 0 && i < names.count; i++)
        if (!is_among(demand, names.items[i]))
            return findings_add(
                findings, FINDING_ERROR, node,
                "the OpenAPI document does not let callers of %s %s come by \"%.*s\"; expected "
                "some of its own ways, or a line in `openapi.auth`",
                route->operation->method, route->operation->path, TEXT_ARGUMENTS(names.items[i]));
    return true;
}

/* ---- */

static void apply_auth(struct loader *loader, struct draft *draft, const struct demand *demand,
                       const struct node *entry)
{
    struct findings *findings = loader->decoder.findings;
    struct route *route = &draft->route;
    struct guard_rules *rules = &route->guards[draft_find_guard("auth")];
    bool asks = demand->problem || demand->count > 0, said = entry || rules->node;
    if (entry && !check_entry(loader, route, demand, entry))
        return;
    if (demand->problem && (!entry || (entry->kind == NODE_MAP && !node_get(entry, "methods")))) {
        route_tell(findings, FINDING_ERROR, route, NULL,
                   "guards cannot express its security, %s, expected an entry in `routes` that says `auth`",
                   demand->problem);
        return;
    }
    if (asks)
        *rules = (struct guard_rules){0}; /* whom the defaults let in is not whom the document does */
    if (!demand->problem && (asks || !said))
        draft_guard(loader, draft, "auth", auth_node(loader, demand));
    if (entry)
        draft_guard(loader, draft, "auth", entry);
    if (!asks && !said)
        route_tell(findings, FINDING_ADVICE, route, NULL,
                   "anybody may call it, as the document asks for nobody, and no `auth` does");
}

bool openapi_security_apply(struct loader *loader, struct draft *draft, const struct node *entry)
{
    size_t errors = loader->decoder.findings->errors;
    struct demand demand = demand_of(loader, draft->route.operation);
    const struct node *auth = entry ? node_get(entry, "auth") : NULL;
    const struct node *scopes = entry ? node_get(entry, "scopes") : NULL;
    struct guard_rules *rules = &draft->route.guards[draft_find_guard("scopes")];
    const struct node *defaults = rules->node;
    bool said = scopes != NULL;
    if (!demand.failed)
        apply_auth(loader, draft, &demand, auth);
    if (demand.problem)
        demand.scopes.count = 0; /* the entry says what is asked for */
    if (!said)
        scopes = defaults;
    if (!said && demand.scopes.count > 0 && scopes && node_get(scopes, "mode"))
        route_tell(loader->decoder.findings, FINDING_ERROR, &draft->route, NULL,
                   "the document asks for scopes, and the `scopes` of `defaults` have a `mode` of their own, "
                   "expected `scopes` in its entry");
    if (demand.scopes.count > 0)
        *rules = (struct guard_rules){0};
    if (!demand.failed && (demand.scopes.count > 0 || said))
        draft_guard(loader, draft, "scopes", scopes_node(loader, &demand, scopes, defaults));
    return !demand.failed && loader->decoder.findings->errors == errors;
}
