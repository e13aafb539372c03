/*
 * Router: a tree whose places are path segments. Literal segments are found by
 * hash, so a place with ten thousand of them costs what a place with one does.
 * A search enters each place at most once, because a place belongs to one
 * position in the path. Nothing here knows what a route does.
 */
#include "config.h"

#include <assert.h>
#include <stdarg.h>

#include "policy/route.h"

#include "base/bytes.h"
#include "policy/load.h"

/* Counts steps of a search; the unit test defines it. */
#ifndef ROUTER_COUNT
#define ROUTER_COUNT() ((void)0)
#endif

enum { SEGMENTS_LIMIT = 64, BRANCHES_AT_FIRST = 4, METHODS_AT_FIRST = 4, ALLOW_LIMIT = 8192 };

struct pattern {
    struct text segments[SEGMENTS_LIMIT]; /* without a last ** */
    size_t count;
    const char *names[CAPTURES_LIMIT];
    size_t name_count;
    bool rest;                 /* ends in ** */
    const struct route *route; /* whose it is */
};

/* One route at its place; its {name}s may be called otherwise than its neighbour's. */
struct entry {
    const struct route *route;
    const char *const *names;
    size_t name_count;
};

/* The routes with one pattern, by method. */
struct leaf {
    struct {
        struct text method;
        const struct entry *entry;
    } * methods;
    size_t count, capacity;
    struct text allow; /* of all versions */
    bool versioned;    /* some of them are for some versions alone */
    struct leaf *next; /* of the router's list */
};

struct branch {
    uint32_t hash;
    struct text segment;
    struct place *place; /* NULL: an empty slot */
};

struct place {
    struct branch *branches; /* open addressing, a power of two, at most half full */
    size_t branch_count, branch_capacity;
    struct place *any; /* {name} */
    struct leaf *here; /* patterns that end here */
    struct leaf *rest; /* patterns that end in ** here */
};

struct router {
    struct arena *arena;
    struct place root;
    struct leaf *leaves;
    const struct versions *versions;
    const struct route *undocumented;
    struct texts bases; /* beneath which it is for what no route has */
};

static uint32_t hash_text(struct text text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * 16777619u;
    return hash;
}

/* The slot of a segment, or the empty one where it would go. */
static struct branch *find_branch(const struct place *place, struct text segment)
{
    if (!place->branches)
        return NULL;
    uint32_t hash = hash_text(segment);
    size_t mask = place->branch_capacity - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct branch *branch = &place->branches[i];
        ROUTER_COUNT();
        if (!branch->place || (branch->hash == hash && text_equal(branch->segment, segment)))
            return branch;
    }
}

static void grow_branches(struct router *router, struct place *place)
{
    struct place old = *place;
    place->branch_capacity = old.branch_capacity ? 2 * old.branch_capacity : BRANCHES_AT_FIRST;
    place->branches = arena_array(router->arena, place->branch_capacity, sizeof *place->branches);
    for (size_t i = 0; i < old.branch_capacity; i++)
        if (old.branches[i].place)
            *find_branch(place, old.branches[i].segment) = old.branches[i];
}

static struct place *enter_branch(struct router *router, struct place *place, struct text segment)
{
    if (2 * (place->branch_count + 1) > place->branch_capacity)
        grow_branches(router, place);
    struct branch *branch = find_branch(place, segment);
    if (!branch->place) {
        place->branch_count++;
        *branch =
            (struct branch){hash_text(segment), segment, arena_alloc(router->arena, sizeof *branch->place)};
    }
    return branch->place;
}

/* ---- patterns */

static bool is_name(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return text.length > 0;
}

static const char *expected_instead(unsigned char c)
{
    switch (c) {
    case '*':
        return "no \"*\" but a last segment **";
    case '{':
    case '}':
        return "no brace but a whole segment {name}";
    case '?':
    case '#':
        return "a path without query and fragment";
    case '\\':
        return "no backslash";
    case '%':
        return "no \"%\", because paths are compared decoded";
    default:
        return c < 0x20 || c == 0x7f ? "no control character" : NULL;
    }
}

/* What is expected of a literal that no request's path could have; NULL when it is good. */
static const char *expected_literal(struct text segment)
{
    if (segment.length == 0)
        return "no empty segment";
    if (text_equal(segment, TEXT(".")) || text_equal(segment, TEXT("..")))
        return "no segment of dots";
    const char *expected = NULL;
    for (size_t i = 0; i < segment.length && !expected; i++)
        expected = expected_instead((unsigned char)segment.at[i]);
    return expected || text_is_utf8(segment) ? expected : "UTF-8";
}

static bool refuse(const struct pattern *pattern, struct findings *findings, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool refuse(const struct pattern *pattern, struct findings *findings, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *message = arena_vprintf(findings->arena, format, arguments);
    va_end(arguments);
    return route_tell(findings, FINDING_ERROR, pattern->route, "path", "%s", message);
}

/* The parameters of a document may be called anything. */
static bool add_name(struct pattern *pattern, struct text name, struct findings *findings)
{
    if (!is_name(name) && !pattern->route->operation)
        return refuse(pattern, findings, "{%.*s} is not a name, expected letters, digits and \"_\" in braces",
                      TEXT_ARGUMENTS(name));
    if (pattern->name_count == CAPTURES_LIMIT)
        return refuse(pattern, findings, "there are more than %d names in braces", (int)CAPTURES_LIMIT);
    for (size_t i = 0; i < pattern->name_count; i++)
        if (text_equal(text_of(pattern->names[i]), name))
            return refuse(pattern, findings, "{%s} is there twice", pattern->names[i]);
    pattern->names[pattern->name_count++] = arena_copy(findings->arena, name.at, name.length);
    return true;
}

static bool is_capture(struct text segment)
{
    return segment.length >= 2 && segment.at[0] == '{' && segment.at[segment.length - 1] == '}';
}

static bool add_segment(struct pattern *pattern, struct text segment, bool last, struct findings *findings)
{
    if (last && text_equal(segment, TEXT("**"))) {
        pattern->rest = true;
        return true;
    }
    if (pattern->count == SEGMENTS_LIMIT)
        return refuse(pattern, findings, "there are more than %d segments", (int)SEGMENTS_LIMIT);
    pattern->segments[pattern->count++] = segment;
    if (is_capture(segment))
        return add_name(pattern, (struct text){segment.at + 1, segment.length - 2}, findings);
    const char *expected = last && segment.length == 0 ? NULL : expected_literal(segment);
    return !expected || refuse(pattern, findings, "the segment \"%.*s\" does not fit, expected %s",
                               TEXT_ARGUMENTS(segment), expected);
}

static bool read_pattern(struct pattern *pattern, struct text path, struct findings *findings)
{
    if (path.length == 0 || path.at[0] != '/')
        return refuse(pattern, findings, "\"%.*s\" does not begin with \"/\"", TEXT_ARGUMENTS(path));
    for (size_t at = 0; at < path.length;) {
        size_t length = text_find(text_from(path, at + 1), '/');
        struct text segment = {path.at + at + 1, length};
        at += 1 + length;
        if (!add_segment(pattern, segment, at == path.length, findings))
            return false;
    }
    return true;
}

/* ---- building */

static struct leaf *find_leaf(struct router *router, const struct pattern *pattern)
{
    struct place *place = &router->root;
    for (size_t i = 0; i < pattern->count; i++) {
        if (!is_capture(pattern->segments[i])) {
            place = enter_branch(router, place, pattern->segments[i]);
            continue;
        }
        if (!place->any)
            place->any = arena_alloc(router->arena, sizeof *place->any);
        place = place->any;
    }
    struct leaf **leaf = pattern->rest ? &place->rest : &place->here;
    if (!*leaf) {
        *leaf = arena_alloc(router->arena, sizeof **leaf);
        (*leaf)->next = router->leaves;
        router->leaves = *leaf;
    }
    return *leaf;
}

/* What serves no version in particular serves each. */
static uint32_t versions_of(const struct entry *entry)
{
    assert(entry);
    return entry->route->versions ? entry->route->versions : UINT32_MAX;
}

/* `versions`: bits, one of which it must serve. */
static const struct entry *entry_for(const struct leaf *leaf, struct text method, uint32_t versions)
{
    for (size_t i = 0; i < leaf->count; i++)
        if (text_equal(leaf->methods[i].method, method) && (versions_of(leaf->methods[i].entry) & versions))
            return leaf->methods[i].entry;
    return NULL;
}

static void add_method(struct router *router, struct leaf *leaf, struct text method,
                       const struct entry *entry)
{
    if (leaf->count == leaf->capacity) {
        size_t capacity = leaf->capacity ? 2 * leaf->capacity : METHODS_AT_FIRST;
        void *methods = arena_array(router->arena, capacity, sizeof *leaf->methods);
        if (leaf->count)
            memcpy(methods, leaf->methods, leaf->count * sizeof *leaf->methods);
        leaf->methods = methods;
        leaf->capacity = capacity;
    }
    leaf->methods[leaf->count].method = method;
    leaf->methods[leaf->count++].entry = entry;
}

/* "in line 12", or "in api.yaml:12:5". */
static const char *place_of(const struct route *route, struct arena *arena)
{
    const struct openapi_operation *operation = route->operation;
    if (!operation)
        return arena_printf(arena, "in line %u", node_get(route->node, "path")->line);
    return arena_printf(arena, "in %s:%u:%u", operation->position.file, operation->position.line,
                        operation->position.column);
}

static const struct cors *cors_of(const struct route *route)
{
    return route->cors ? route->cors->cors : NULL;
}

/* A preflight does not say which version it asks about, so no two may answer it in their own ways. */
static bool check_preflights(const struct route *route, const struct entry *other, struct findings *findings)
{
    return !other || cors_of(other->route) == cors_of(route) ||
           route_tell(findings, FINDING_ERROR, route, "cors",
                      "the route of another version %s has not the same: a preflight is for both, expected "
                      "one name of the top's `cors`",
                      place_of(other->route, findings->arena));
}

static bool add_route(struct router *router, const struct route *route, struct findings *findings)
{
    struct pattern pattern = {.route = route};
    if (!read_pattern(&pattern, text_of(route->path), findings))
        return false;
    struct entry *entry = arena_alloc(router->arena, sizeof *entry);
    const char **names = arena_array(router->arena, pattern.name_count, sizeof *names);
    for (size_t i = 0; i < pattern.name_count; i++)
        names[i] = pattern.names[i];
    *entry = (struct entry){route, names, pattern.name_count};
    struct leaf *leaf = find_leaf(router, &pattern);
    const struct entry *twin = NULL;
    bool good = true;
    leaf->versioned = leaf->versioned || versions_of(entry) != UINT32_MAX;
    for (size_t i = 0; i < route->methods.count && good && !twin; i++) {
        twin = entry_for(leaf, route->methods.items[i], versions_of(entry));
        good =
            twin || check_preflights(route, entry_for(leaf, route->methods.items[i], UINT32_MAX), findings);
        if (twin)
            route_tell(findings, FINDING_ERROR, route, "path", "%.*s of this path is %s already",
                       TEXT_ARGUMENTS(route->methods.items[i]), place_of(twin->route, findings->arena));
        else
            add_method(router, leaf, route->methods.items[i], entry);
    }
    return good && !twin;
}

/* The paths that stand in front of those of operations, each once. */
static void set_bases(struct router *router, const struct policy *policy)
{
    router->undocumented = policy->undocumented;
    router->bases.items = arena_array(router->arena, policy->route_count, sizeof(struct text));
    for (size_t i = 0; policy->undocumented && i < policy->route_count; i++) {
        const struct route *route = &policy->routes[i];
        struct text base = {route->path, route->base};
        bool known = !route->operation;
        for (size_t k = 0; !known && k < router->bases.count; k++)
            known = text_equal(router->bases.items[k], base);
        if (!known)
            router->bases.items[router->bases.count++] = base;
    }
}

static struct text allow_of(const struct leaf *leaf, uint32_t versions, struct arena *arena)
{
    struct bytes allow = bytes_new(arena, ALLOW_LIMIT);
    for (size_t i = 0; i < leaf->count; i++) {
        struct text method = leaf->methods[i].method;
        const struct entry *entry = leaf->methods[i].entry;
        bool once = entry_for(leaf, method, versions) == entry;
        if (once && (versions_of(entry) & versions))
            bytes_printf(&allow, "%s%.*s", allow.length ? ", " : "", TEXT_ARGUMENTS(method));
    }
    return bytes_text(&allow);
}

bool router_build(struct policy *policy)
{
    struct router *router = arena_alloc(policy->arena, sizeof *router);
    bool good = true;
    router->arena = policy->arena;
    router->versions = &policy->versions;
    for (size_t i = 0; i < policy->route_count; i++)
        if (policy->routes[i].path && !add_route(router, &policy->routes[i], &policy->findings))
            good = false;
    for (struct leaf *leaf = router->leaves; leaf; leaf = leaf->next)
        leaf->allow = allow_of(leaf, UINT32_MAX, router->arena);
    set_bases(router, policy);
    policy->router = router;
    return good;
}

/* ---- searching */

struct search {
    struct text path;
    struct text values[SEGMENTS_LIMIT];
    size_t value_count;
    size_t matched; /* bytes of the path in front of what ** matched */
};

/* `at` is the "/" in front of the next segment, or the path's end. */
static const struct leaf *descend(struct search *search, const struct place *place, size_t at)
{
    ROUTER_COUNT();
    search->matched = at;
    if (at == search->path.length)
        return place->here ? place->here : place->rest;
    struct text segment = {search->path.at + at + 1, text_find(text_from(search->path, at + 1), '/')};
    size_t next = at + 1 + segment.length;
    const struct branch *branch = find_branch(place, segment);
    const struct leaf *leaf = branch && branch->place ? descend(search, branch->place, next) : NULL;
    if (!leaf && place->any && segment.length > 0) {
        search->values[search->value_count++] = segment;
        leaf = descend(search, place->any, next);
        if (!leaf)
            search->value_count--;
    }
    if (!leaf && place->rest) {
        search->matched = at;
        leaf = place->rest;
    }
    return leaf;
}

static struct text common[] = {{"GET", 3},   {"HEAD", 4},   {"POST", 4},   {"PUT", 3},
                               {"PATCH", 5}, {"DELETE", 6}, {"OPTIONS", 7}};
const struct texts router_common_methods = {common, sizeof common / sizeof *common};

/* Where no route has the path, or operations have it alone and not by this method. */
static bool find_undocumented(const struct router *router, const struct leaf *leaf, struct exchange *exchange)
{
    struct text path = exchange->request.path;
    bool own = leaf && !leaf->methods[0].entry->route->operation;
    for (size_t i = 0;
         !own && texts_have(&router_common_methods, exchange->request.method) && i < router->bases.count;
         i++) {
        struct text base = router->bases.items[i];
        if (!text_starts_with(path, base) || (path.length > base.length && path.at[base.length] != '/'))
            continue;
        exchange->route = router->undocumented;
        exchange->method_known = true;
        exchange->script_name = base;
        exchange->path_info = text_from(path, base.length);
        return true;
    }
    return false;
}

/* Whose guards refuse a method that none of the routes has: not those that only report, where one enforces.
 */
static const struct entry *strictest(const struct leaf *leaf, uint32_t versions)
{
    const struct entry *found = NULL;
    for (size_t i = 0; i < leaf->count; i++) {
        const struct entry *entry = leaf->methods[i].entry;
        if (!(versions_of(entry) & versions))
            continue;
        if (!entry->route->report_only)
            return entry;
        found = found ? found : entry;
    }
    return found;
}

/* Where the request goes whose method `known` then says that a route has. A preflight goes where what it asks
 * about would, and is answered there or, where that route has no CORS, by nobody: not for it by another. */
static const struct entry *find_entry(const struct leaf *leaf, const struct exchange *exchange,
                                      uint32_t versions, bool *known)
{
    struct text asked;
    const struct entry *entry = entry_for(leaf, exchange->request.method, versions), *other = NULL;
    if (!exchange->authorizes && cors_is_preflight(&exchange->request, &asked))
        other = entry_for(leaf, asked, versions);
    if (other && (other->route->cors || !entry)) {
        *known = other->route->cors != NULL;
        return other;
    }
    *known = entry != NULL;
    return entry;
}

/* `versions`: the bit of the one that is asked for; all bits where none is known. */
static struct verdict find(const struct router *router, struct exchange *exchange, uint32_t versions)
{
    struct search search = {.path = exchange->request.path};
    const struct leaf *leaf = descend(&search, &router->root, 0);
    if (leaf && leaf->count == 0)
        leaf = NULL;
    bool known = false;
    const struct entry *entry = leaf ? find_entry(leaf, exchange, versions, &known) : NULL;
    if (!entry && find_undocumented(router, leaf, exchange))
        return PASS;
    if (!leaf)
        return DENY(404, "route", "route_not_found", "no route has this path");
    exchange->method_known = known;
    if (!entry)
        entry = strictest(leaf, versions);
    if (!entry)
        return DENY(404, "route", "route_not_found", "no route of this version has this path");
    size_t matched = entry->route->operation ? entry->route->base : search.matched;
    exchange->route = entry->route;
    exchange->allow = leaf->versioned ? allow_of(leaf, versions, exchange->arena) : leaf->allow;
    exchange->script_name = (struct text){search.path.at, matched};
    exchange->path_info = text_from(search.path, matched);
    exchange->rest = text_from(search.path, search.matched);
    exchange->capture_count = entry->name_count;
    for (size_t i = 0; i < entry->name_count; i++)
        exchange->captures[i] = (struct capture){entry->names[i], search.values[i]};
    return PASS;
}

/* A browser that asks by a preflight does not say the version that it will ask for: it is answered for all
 * that have one address. */
static enum version_found find_version(const struct versions *versions, const struct exchange *exchange,
                                       const struct version **version)
{
    struct text asked;
    *version = NULL;
    if (!versions->path && !exchange->authorizes && cors_is_preflight(&exchange->request, &asked))
        return VERSION_NOT_ASKED;
    return versions_find(versions, &exchange->request, version);
}

/* Where the path says the version, what is not there is of that version, too. */
static struct verdict tell_missing(const struct router *router, const struct exchange *exchange,
                                   struct verdict verdict)
{
    if (router->versions->path && exchange->version_found == VERSION_UNKNOWN)
        return DENY(404, "route", "version_unknown", "there is no such version");
    if (exchange->lifetime && lifetime_is_over(exchange->lifetime, exchange_time(exchange)))
        return DENY(410, "route", "version_gone", "its sunset has passed");
    return verdict;
}

struct verdict router_find(const struct router *router, struct exchange *exchange)
{
    const struct version *version;
    exchange->version_found = (int)find_version(router->versions, exchange, &version);
    bool chosen = version && !router->versions->path;
    struct verdict verdict = find(router, exchange, chosen ? version->bit : UINT32_MAX);
    const struct route *route = exchange->route;
    bool found = verdict.kind == VERDICT_PASS;
    if (found && !route->versions) {
        exchange->version_found = VERSION_NOT_ASKED;
        version = NULL;
    }
    exchange->version = version;
    exchange->lifetime = found && route->lifetime ? route->lifetime : version ? &version->lifetime : NULL;
    return found ? verdict : tell_missing(router, exchange, verdict);
}
