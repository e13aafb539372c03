/*
 * Route rules: from the nodes of `defaults` and `routes` to struct route. The
 * keys of a route are the table below, one key a guard and one a handler, so
 * that a new guard or handler changes nothing here. The defaults are decoded
 * once, and every route starts as a copy of them.
 */
#include "config.h"

#include "policy/load.h"

#include "base/bytes.h"
#include "data/file.h"

enum { METHODS_LIMIT = 64, NAMES_LIMIT = 128, NAMES_TEXT_LIMIT = 1024 };

/* A route while its keys are read. */
struct draft {
    struct route route;
    int mode;
    const struct node *headers; /* what route.headers was made from */
};

static bool has_lower_case(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] >= 'a' && text.at[i] <= 'z')
            return true;
    return false;
}

static bool holds(const struct texts *texts, struct text text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (text_equal(texts->items[i], text))
            return true;
    return false;
}

static bool decode_methods(struct decoder *decoder, const struct node *node, void *member)
{
    struct texts named, *methods = member;
    bool good = decode_texts(decoder, node, &named);
    if (!good && named.count == 0)
        return false;
    if (named.count == 0 || named.count > METHODS_LIMIT)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected 1 to %d methods",
                            (int)METHODS_LIMIT);
    *methods = (struct texts){arena_array(decoder->arena, named.count + 1, sizeof *methods->items), 0};
    for (size_t i = 0; i < named.count; i++) {
        struct text method = named.items[i];
        if (method.length == 0)
            continue;
        if (!text_is_token(method) || has_lower_case(method) || text_equal(method, TEXT("*")))
            good = findings_add(
                decoder->findings, FINDING_ERROR, node->kind == NODE_LIST ? node->items[i] : node,
                "\"%.*s\" is not a method, expected a word in capitals such as GET", TEXT_ARGUMENTS(method));
        else if (!holds(methods, method))
            methods->items[methods->count++] = method;
        /* RFC 9110, 9.1: who answers GET answers HEAD. */
        if (text_equal(method, TEXT("GET")) && !holds(&named, TEXT("HEAD")) && !holds(methods, TEXT("HEAD")))
            methods->items[methods->count++] = TEXT("HEAD");
    }
    return good;
}

static bool has_header(const struct node *map, struct text name)
{
    for (size_t i = 0; i < map->count; i++)
        if (text_equal_ignore_case(map->items[i]->name, name))
            return true;
    return false;
}

/* The map that says what `over` says and, for the rest, what `under` says. A
 * preset's bare name is the map {preset: NAME}. */
static const struct node *merge_headers(const struct node *under, const struct node *over,
                                        struct arena *arena)
{
    if (!under || over->kind != NODE_MAP)
        return over;
    struct node *merged = arena_alloc(arena, sizeof *merged);
    *merged = *over;
    merged->count = 0;
    merged->items = arena_array(arena, over->count + under->count + 1, sizeof *merged->items);
    if (under->kind == NODE_SCALAR && !has_header(over, TEXT("preset"))) {
        struct node *preset = arena_alloc(arena, sizeof *preset);
        *preset = *under;
        preset->name = TEXT("preset");
        merged->items[merged->count++] = preset;
    }
    for (size_t i = 0; under->kind == NODE_MAP && i < under->count; i++)
        if (!has_header(over, under->items[i]->name))
            merged->items[merged->count++] = under->items[i];
    for (size_t i = 0; i < over->count; i++)
        merged->items[merged->count++] = over->items[i];
    return merged;
}

static bool decode_headers(struct decoder *decoder, const struct node *node, void *member)
{
    struct draft *draft = member; /* its row's offset is 0 */
    const struct node *merged = merge_headers(draft->headers, node, decoder->arena);
    draft->headers = NULL;
    draft->route.headers = (struct secure_headers){0};
    if (!secure_headers_decode(decoder, merged, &draft->route.headers))
        return false;
    draft->headers = merged;
    return true;
}

static const struct field route_fields[] = {
    {FIELD(FIELD_TEXT, draft, route.path, "path"), .required = true,
     .help = "which paths: literal segments, {name} for one, a last ** for any rest"},
    {FIELD(FIELD_OWN, draft, route.methods, "methods"), .own = decode_methods,
     .expects = "a list of methods in capitals", .fallback = "[GET, HEAD, POST]",
     .help = "which methods; HEAD comes with GET"},
    {FIELD(FIELD_CHOICE, draft, mode, "mode"), .choices = "enforce|report", .fallback = "enforce",
     .help = "report: what guards refuse is logged and goes on; also in each guard's map"},
    {.key = "headers",
     .type = FIELD_OWN,
     .own = decode_headers,
     .expects = "api, helmet, fastapi, nginx, off, or a map of preset and single headers",
     .fallback = "api",
     .help = "security headers of every reply"},
    {FIELD(FIELD_CHOICE, draft, route.on_store_failure, "on_store_failure"), .choices = "deny|allow|local",
     .fallback = "deny", .help = "what becomes of requests with limits while the store is out"},
    {FIELD(FIELD_CHOICE, draft, route.validation_status, "validation_status"), .choices = "400|422",
     .fallback = "400", .help = "the status of validation_error"},
    {FIELD(FIELD_CHOICE, draft, route.validation_details, "validation_details"),
     .choices = "full|fields|none", .fallback = "full", .help = "what is said of content that is refused"},
    {FIELD(FIELD_CHOICE, draft, route.limit_headers, "limit_headers"), .choices = "draft|legacy|none",
     .fallback = "draft", .help = "what replies say of the tightest limit"},
    {FIELD(FIELD_BOOL, draft, route.pass_errors, "pass_errors"), .fallback = "false",
     .help = "let the handler's own bodies of 5xx replies through"},
    {0},
};
const struct field guard_mode = {.key = "mode",
                                 .type = FIELD_CHOICE,
                                 .choices = "enforce|report",
                                 .help = "what the route's `mode` says, for this guard alone"};

const struct section route_section = {sizeof(struct draft), route_fields};

static const struct field *find_field(const char *key)
{
    for (const struct field *field = route_fields; field->key; field++)
        if (strcmp(field->key, key) == 0)
            return field;
    return NULL;
}

static const struct handler *find_handler(const char *key)
{
    for (size_t i = 0; handlers[i]; i++)
        if (strcmp(handlers[i]->name, key) == 0)
            return handlers[i];
    return NULL;
}

/* The place of a guard that has a key of its own, or GUARDS_LIMIT. */
static size_t find_guard(const char *key)
{
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->section.fields && strcmp(guards[i]->name, key) == 0)
            return i;
    return GUARDS_LIMIT;
}

static struct guard_section extend_section(const struct section *section, struct arena *arena)
{
    size_t count = 0, offset = (section->size + sizeof(int) - 1) / sizeof(int) * sizeof(int);
    while (section->fields && section->fields[count].key)
        count++;
    struct field *fields = arena_array(arena, count + 2, sizeof *fields);
    if (count)
        memcpy(fields, section->fields, count * sizeof *fields);
    fields[count] = guard_mode;
    fields[count].offset = offset;
    return (struct guard_section){{offset + sizeof(int), fields}, offset};
}

static bool was_prepared(struct loader *loader, bool prepared, size_t errors, const struct node *node)
{
    if (!prepared && loader->decoder.findings->errors == errors)
        findings_add(loader->decoder.findings, FINDING_ERROR, node, "these rules cannot be used");
    return prepared;
}

/* `node` NULL: the guard's own defaults. */
static void decode_guard(struct loader *loader, size_t place, const struct node *node, struct guard_rules *to)
{
    const struct guard *guard = guards[place];
    struct decoder *decoder = &loader->decoder;
    struct guard_section *extended = &loader->guard_sections[place];
    if (!extended->section.fields)
        *extended = extend_section(&guard->section, decoder->arena);
    char *rules = arena_alloc(decoder->arena, extended->section.size);
    size_t errors = decoder->findings->errors;
    *to = (struct guard_rules){.node = node};
    bool good = decode_section(decoder, &extended->section, node, rules);
    /* A wrong key does not hide what else is wrong. */
    if (guard->prepare && !was_prepared(loader, guard->prepare(rules, decoder, node), errors, node))
        good = false;
    if (!good)
        return;
    int mode;
    memcpy(&mode, rules + extended->mode, sizeof mode);
    to->rules = rules;
    to->report_only = mode != 0;
    if (guard->advise && node)
        guard->advise(rules, decoder->findings, node);
}

static void collect_program(struct policy *policy, struct program *program)
{
    size_t count = policy->program_count;
    if ((count & (count - 1)) == 0) { /* full at every power of two */
        struct program **programs = arena_array(policy->arena, count ? 2 * count : 1, sizeof *programs);
        if (count)
            memcpy(programs, policy->programs, count * sizeof *programs);
        policy->programs = programs;
    }
    program->index_in_policy = (unsigned)count;
    policy->programs[policy->program_count++] = program;
}

static void decode_handler(struct loader *loader, const struct handler *handler, const struct node *node,
                           struct route *route)
{
    struct decoder *decoder = &loader->decoder;
    size_t errors = decoder->findings->errors;
    route->handler = handler;
    route->settings = NULL;
    void *settings = arena_alloc(decoder->arena, handler->section.size);
    bool good = decode_section(decoder, &handler->section, node, settings);
    if (handler->prepare && !was_prepared(loader, handler->prepare(settings, decoder, node), errors, node))
        good = false;
    if (!good)
        return;
    route->settings = settings;
    if (handler->advise)
        handler->advise(settings, decoder->findings, node);
    struct program *program = handler->program ? handler->program(settings) : NULL;
    if (program)
        collect_program(loader->policy, program);
}

static void unknown_key(struct loader *loader, const struct node *item, bool defaults)
{
    const char *names[NAMES_LIMIT];
    size_t count = 0;
    struct bytes list = bytes_new(loader->decoder.arena, NAMES_TEXT_LIMIT);
    for (const struct field *field = route_fields + (defaults ? 1 : 0); field->key; field++)
        names[count++] = field->key;
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->section.fields)
            names[count++] = guards[i]->name;
    for (size_t i = 0; handlers[i] && count < NAMES_LIMIT; i++)
        names[count++] = handlers[i]->name;
    for (size_t i = 0; i < count; i++)
        bytes_printf(&list, "%s%s", i ? ", " : "", names[i]);
    const char *nearest = findings_nearest(item->name.at, names, count);
    findings_add_key(loader->decoder.findings, FINDING_ERROR, item,
                     "this key is not known, expected one of %.*s%s%s%s", TEXT_ARGUMENTS(bytes_text(&list)),
                     nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static void apply_keys(struct loader *loader, struct draft *draft, const struct node *map, bool defaults)
{
    const char *first_handler = NULL;
    for (size_t i = 0; i < map->count; i++) {
        const struct node *item = map->items[i];
        const char *key = item->name.at;
        const struct field *field = find_field(key);
        const struct handler *handler = find_handler(key);
        size_t guard = find_guard(key);
        if (field && !(defaults && field == route_fields))
            decode_field(&loader->decoder, field, item, draft);
        else if (guard < GUARDS_LIMIT)
            decode_guard(loader, guard, item, &draft->route.guards[guard]);
        else if (!handler)
            unknown_key(loader, item, defaults);
        else if (first_handler)
            findings_add_key(loader->decoder.findings, FINDING_ERROR, item,
                             "a second handler beside `%s`, expected one", first_handler);
        else
            decode_handler(loader, handler, item, &draft->route);
        if (handler && !first_handler)
            first_handler = key;
    }
}

/* What a route is before anybody says anything. */
static struct draft begin_draft(struct loader *loader)
{
    struct draft draft = {0};
    for (const struct field *field = route_fields; field->key; field++) {
        const struct node *fallback =
            field->fallback ? file_parse(text_of(field->fallback), false, loader->decoder.findings) : NULL;
        if (fallback)
            decode_field(&loader->decoder, field, fallback, &draft);
    }
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->always)
            decode_guard(loader, i, NULL, &draft.route.guards[i]);
    return draft;
}

static bool names_mode(const struct node *node)
{
    return node && node->kind == NODE_MAP && node_get(node, "mode");
}

static const char *handler_names(struct arena *arena)
{
    struct bytes names = bytes_new(arena, NAMES_TEXT_LIMIT);
    for (size_t i = 0; handlers[i]; i++)
        bytes_printf(&names, "%s%s", i ? ", " : "", handlers[i]->name);
    bytes_add(&names, "", 1);
    return names.at;
}

/* Nothing is open because a line was forgotten, and who asks what a caller may do
 * asks who he is. */
static void check_auth(struct loader *loader, const struct route *route, const struct node *map)
{
    static const char *const others[] = {"roles", "scopes", "claims", "match"};
    struct findings *findings = loader->decoder.findings;
    const struct guard_rules *auth = &route->guards[find_guard("auth")];
    if (!auth->node)
        findings_add(
            findings, FINDING_ERROR, map,
            "the key `auth` is missing, expected none or names of the top's `auth`, here or in defaults");
    for (size_t i = 0; auth->rules && !auth_asks(auth->rules) && i < sizeof others / sizeof *others; i++) {
        const struct guard_rules *rules = &route->guards[find_guard(others[i])];
        if (rules->rules)
            findings_add(findings, FINDING_ERROR, map, "`%s` asks who is calling, but `auth` is none",
                         others[i]);
    }
    const struct handler *handler = route->handler;
    if (auth->rules && !auth_asks(auth->rules) && handler && route->settings && handler->needs_caller &&
        handler->needs_caller(route->settings))
        findings_add(findings, FINDING_ERROR, map, "`%s` asks who is calling, but `auth` is none",
                     handler->name);
}

/* What the web server or another route answers is judged by nobody. */
static void check_replies(struct loader *loader, const struct route *route, const struct node *map)
{
    struct findings *findings = loader->decoder.findings;
    const struct handler *handler = route->handler;
    if (!route->settings || !guards_have(route->guards, ON_REPLY, false))
        return;
    const struct texts *steering =
        handler->allowed_headers ? handler->allowed_headers(route->settings) : NULL;
    if (steering && steering->count > 0)
        findings_add(findings, FINDING_ERROR, map,
                     "`replies` is beside `%s.steering`, by which the web server sends something else",
                     handler->name);
    if (node_get(map, "replies") && handler->authorizes && handler->authorizes(route->settings))
        findings_add(findings, FINDING_ERROR, map,
                     "`replies` is for routes with a program, and this one only says what may be served");
}

/* What a route as a whole must have. */
static void check_route(struct loader *loader, const struct draft *draft, const struct node *map)
{
    struct findings *findings = loader->decoder.findings;
    const struct route *route = &draft->route;
    if (!route->path && !node_get(map, "path"))
        findings_add(findings, FINDING_ERROR, map,
                     "the key `path` is missing, expected one such as /api/users/{id}");
    check_auth(loader, route, map);
    if (!route->handler) {
        findings_add(findings, FINDING_ERROR, map, "the key of a handler is missing, expected one of %s",
                     handler_names(loader->decoder.arena));
        return;
    }
    check_replies(loader, route, map);
    const struct program *program =
        route->settings && route->handler->program ? route->handler->program(route->settings) : NULL;
    if (program && program->root && route->path && !text_ends_with(text_of(route->path), TEXT("/**")))
        findings_add(findings, FINDING_ERROR, node_get(map, "path"),
                     "a script beneath a root needs a path that ends in /**");
}

static void load_route(struct loader *loader, const struct draft *defaults, const struct node *map,
                       struct route *route)
{
    struct draft draft = *defaults;
    if (map->kind != NODE_MAP) {
        findings_add(loader->decoder.findings, FINDING_ERROR, map, "expected a map of a route's keys");
        return;
    }
    const struct node *path = node_get(map, "path");
    draft.route.node = map;
    loader->decoder.path = path && path->kind == NODE_SCALAR ? path->text.at : "";
    apply_keys(loader, &draft, map, false);
    check_route(loader, &draft, map);
    *route = draft.route;
    route->report_only = draft.mode != 0;
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->again) {
            route->guards[i] = route->guards[find_guard(guards[i]->name)];
            if (route->guards[i].rules && guards[i]->wanted && !guards[i]->wanted(route->guards[i].rules))
                route->guards[i].rules = NULL;
        }
    for (size_t i = 0; guards[i]; i++)
        if (!names_mode(route->guards[i].node))
            route->guards[i].report_only = route->report_only;
}

bool route_rules_load(struct loader *loader)
{
    struct policy *policy = loader->policy;
    struct findings *findings = loader->decoder.findings;
    const struct node *list = loader->routes;
    size_t errors = findings->errors;
    struct draft defaults = begin_draft(loader);
    if (loader->defaults && loader->defaults->kind == NODE_MAP)
        apply_keys(loader, &defaults, loader->defaults, true);
    else if (loader->defaults)
        findings_add(findings, FINDING_ERROR, loader->defaults, "expected a map of a route's keys");
    policy->headers = defaults.route.headers;
    if (list && (list->kind != NODE_LIST || list->count == 0))
        findings_add(findings, FINDING_ERROR, list, "expected a list of at least one route");
    if (!list || list->kind != NODE_LIST)
        return findings->errors == errors;
    policy->routes = arena_array(policy->arena, list->count, sizeof *policy->routes);
    for (size_t i = 0; i < list->count; i++)
        load_route(loader, &defaults, list->items[i], &policy->routes[policy->route_count++]);
    return findings->errors == errors;
}
