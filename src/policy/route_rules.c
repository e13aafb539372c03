/*
 * Route rules: from the nodes of `defaults` and `routes` to struct route. The
 * keys of a route are the table below, one key a guard and one a handler, so
 * that a new guard or handler changes nothing here. The defaults are decoded
 * once, and every route starts as a copy of them.
 */
#include "config.h"

#include "policy/draft.h"

#include "base/bytes.h"
#include "data/file.h"
#include "data/merge.h"
#include "guard/csrf.h"

/* Of the keys below, those that are not for defaults: path, operation. */
enum { OWN_FIELDS = 2 };

enum { METHODS_LIMIT = 64, NAMES_LIMIT = 128, NAMES_TEXT_LIMIT = 1024 };

static bool has_lower_case(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] >= 'a' && text.at[i] <= 'z')
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
        else if (!texts_have(methods, method))
            methods->items[methods->count++] = method;
        /* RFC 9110, 9.1: who answers GET answers HEAD. */
        if (text_equal(method, TEXT("GET")) && !texts_have(&named, TEXT("HEAD")) &&
            !texts_have(methods, TEXT("HEAD")))
            methods->items[methods->count++] = TEXT("HEAD");
    }
    return good;
}

static bool decode_headers(struct decoder *decoder, const struct node *node, void *member)
{
    struct draft *draft = member; /* its row's offset is 0 */
    const struct node *merged = merge_headers(draft->headers, node, TEXT("preset"), decoder->arena);
    draft->headers = NULL;
    draft->route.headers = (struct secure_headers){0};
    if (!secure_headers_decode(decoder, merged, &draft->route.headers))
        return false;
    draft->headers = merged;
    secure_headers_advise(decoder->findings, node, &draft->route.headers);
    return true;
}

/* A word names a whole set, a map says what differs from that of the defaults. */
static const struct node *merge_word(struct decoder *decoder, const struct node *before,
                                     const struct node *node, const struct section *section)
{
    return node->kind == NODE_MAP ? merge_section(before, node, section, decoder->arena) : node;
}

static void decode_cookies(struct decoder *decoder, const struct field *field, const struct node *node,
                           struct draft *draft)
{
    bool map = draft->cookies && draft->cookies->kind == NODE_MAP; /* a word has no keys */
    const struct node *merged = map ? merge_word(decoder, draft->cookies, node, &cookie_section) : node;
    draft->cookies = decode_field(decoder, field, merged, draft) ? merged : NULL;
}

static void decode_errors(struct decoder *decoder, const struct field *field, const struct node *node,
                          struct draft *draft)
{
    const struct node *merged = merge_word(decoder, draft->errors, node, &error_rules_section);
    draft->errors = NULL;
    draft->route.errors = (struct error_rules){0};
    if (decode_field(decoder, field, merged, draft) && error_rules_check(&draft->route.errors, decoder, node))
        draft->errors = merged;
}

/* The place of a guard that `reject` may name, or GUARDS_LIMIT. */
static size_t find_rejecting(struct text name)
{
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->rejects && text_equal(text_of(guards[i]->name), name))
            return i;
    return GUARDS_LIMIT;
}

static bool refuse_rejecting(struct decoder *decoder, const struct node *node, struct text name)
{
    const char *names[GUARDS_LIMIT + 1];
    size_t count = 0;
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->rejects && !guards[i]->again)
            names[count++] = guards[i]->name;
    const char *nearest =
        findings_nearest(arena_printf(decoder->arena, "%.*s", TEXT_ARGUMENTS(name)), names, count);
    return findings_add(
        decoder->findings, FINDING_ERROR, node,
        "\"%.*s\" is not known, expected repeated_params, operators, markup or, alone, none%s%s%s",
        TEXT_ARGUMENTS(name), nearest ? "; did you mean \"" : "", nearest ? nearest : "",
        nearest ? "\"?" : "");
}

static bool decode_reject(struct decoder *decoder, const struct node *node, void *member)
{
    struct texts *names = member;
    bool good = decode_texts(decoder, node, names);
    if (names->count == 1 && text_equal(names->items[0], TEXT("none")))
        names->count = 0;
    else if (good && names->count == 0)
        good =
            findings_add(decoder->findings, FINDING_ERROR, node, "the list is empty, expected names or none");
    for (size_t i = 0; i < names->count; i++)
        if (names->items[i].length > 0 && find_rejecting(names->items[i]) == GUARDS_LIMIT)
            good =
                refuse_rejecting(decoder, node->kind == NODE_LIST ? node->items[i] : node, names->items[i]);
    return good;
}

static const struct field route_fields[] = {
    {FIELD(FIELD_TEXT, draft, route.path, "path"), .required = true,
     .help = "which paths: literal segments, {name} for one, a last ** for any rest"},
    {FIELD(FIELD_TEXT, draft, operation, "operation"),
     .help = "an operationId of the OpenAPI document, in the place of `path`"},
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
    {FIELD(FIELD_SECTION, draft, route.cookies, "cookies"), .section = &cookie_section,
     .own = set_cookie_decode, .help = "what a handler's cookies are to have"},
    {FIELD(FIELD_SECTION, draft, route.errors, "errors"), .section = &error_rules_section,
     .fallback = "plain", .help = "how clients are told that they are refused"},
    {FIELD(FIELD_CHOICE, draft, route.on_store_failure, "on_store_failure"), .choices = "deny|allow|local",
     .fallback = "deny", .help = "what becomes of requests with limits while the store is out"},
    {FIELD(FIELD_CHOICE, draft, route.validation_status, "validation_status"), .choices = "400|422",
     .fallback = "400", .help = "the status of validation_error"},
    {FIELD(FIELD_CHOICE, draft, route.validation_details, "validation_details"),
     .choices = "full|fields|none", .fallback = "full", .help = "what is said of content that is refused"},
    {FIELD(FIELD_OWN, draft, reject, "reject"), .own = decode_reject,
     .expects = "none or a list of repeated_params, operators, markup",
     .help = "input that is refused wherever it is: by the guards of these names"},
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

size_t draft_find_guard(const char *key)
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
    if (to->rules) /* or what it has is told already */
        node = merge_section(to->node, node, &extended->section, decoder->arena);
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
    if (route->handler == handler && route->settings && !handler->whole)
        node = merge_section(route->settings_node, node, &handler->section, decoder->arena);
    route->handler = handler;
    route->settings = NULL;
    route->settings_node = node;
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
    for (const struct field *field = route_fields + (defaults ? OWN_FIELDS : 0); field->key; field++)
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

/* Who is named judges, by his own key's rules or by the defaults of the program; who is not does not. */
static void apply_reject(struct loader *loader, struct draft *draft, const struct node *map)
{
    const struct node *node = node_get(map, "reject");
    for (size_t i = 0; node && guards[i]; i++) {
        struct guard_rules *rules = &draft->route.guards[i];
        const struct node *written = node_get(map, guards[i]->name);
        const struct node *own = written && !merge_is_null(written) ? written : NULL;
        if (!guards[i]->rejects)
            continue;
        bool named = texts_have(&draft->reject, text_of(guards[i]->name));
        if (!named && own)
            findings_add_key(loader->decoder.findings, FINDING_ERROR, own,
                             "this is not among those of `reject`");
        if (!named)
            *rules = (struct guard_rules){0};
        else if (!rules->rules && !own)
            decode_guard(loader, i, NULL, rules);
    }
}

/* Of a document these say what is described, too. */
static bool is_of_operations(size_t guard)
{
    static const char *const keys[] = {"auth", "scopes", "body", "parameters", "replies"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (guard < GUARDS_LIMIT && strcmp(guards[guard]->name, keys[i]) == 0)
            return true;
    return false;
}

static void decode_fallback(struct loader *loader, const struct field *field, struct draft *draft)
{
    const struct node *fallback =
        field->fallback ? file_parse(text_of(field->fallback), false, loader->decoder.findings) : NULL;
    if (fallback)
        decode_field(&loader->decoder, field, fallback, draft);
}

/* What a route has of a key where nobody says anything. */
static void take_away(struct loader *loader, struct draft *draft, const char *key)
{
    const struct field *field = find_field(key);
    size_t guard = draft_find_guard(key);
    if (guard < GUARDS_LIMIT) {
        draft->route.guards[guard] = (struct guard_rules){0};
        if (guards[guard]->always || texts_have(&draft->reject, text_of(key)))
            decode_guard(loader, guard, NULL, &draft->route.guards[guard]);
    } else if (!field) {
        if (draft->route.handler == find_handler(key))
            draft->route.handler = NULL;
    } else if (strcmp(key, "reject") == 0) {
        draft->reject.count = 0; /* for apply_reject() */
    } else {
        draft->headers = strcmp(key, "headers") == 0 ? NULL : draft->headers;
        draft->errors = strcmp(key, "errors") == 0 ? NULL : draft->errors;
        if (strcmp(key, "cookies") == 0) {
            draft->cookies = NULL;
            draft->route.cookies = (struct cookie_rules){0};
        }
        decode_fallback(loader, field, draft);
    }
}

/* Whether a route says that it has nothing of what the defaults have. */
static bool takes_away(const struct loader *loader, const struct node *item, enum draft_keys keys)
{
    size_t guard = draft_find_guard(item->name.at);
    bool known = find_field(item->name.at) || find_handler(item->name.at) || guard < GUARDS_LIMIT;
    if (keys == DRAFT_DEFAULTS || (keys == DRAFT_OPERATION && is_of_operations(guard)))
        return false;
    return merge_is_null(item) && known && loader->defaults && node_get(loader->defaults, item->name.at);
}

static void apply_key(struct loader *loader, struct draft *draft, const struct node *item,
                      enum draft_keys keys, const char **handler_before)
{
    const struct field *field = find_field(item->name.at);
    const struct handler *handler = find_handler(item->name.at);
    size_t guard = draft_find_guard(item->name.at);
    if (keys == DRAFT_OPERATION && field && strcmp(field->key, "methods") == 0)
        findings_add_key(loader->decoder.findings, FINDING_ERROR, item,
                         "the OpenAPI document names the methods of its operations");
    else if (takes_away(loader, item, keys))
        return take_away(loader, draft, item->name.at);
    else if (field && strcmp(field->key, "errors") == 0)
        decode_errors(&loader->decoder, field, item, draft);
    else if (field && strcmp(field->key, "cookies") == 0)
        decode_cookies(&loader->decoder, field, item, draft);
    else if (field && !(keys == DRAFT_DEFAULTS && field < route_fields + OWN_FIELDS))
        decode_field(&loader->decoder, field, item, draft);
    else if (guard < GUARDS_LIMIT && keys == DRAFT_OPERATION && is_of_operations(guard))
        return;
    else if (guard < GUARDS_LIMIT)
        decode_guard(loader, guard, item, &draft->route.guards[guard]);
    else if (!handler)
        unknown_key(loader, item, keys == DRAFT_DEFAULTS);
    else if (*handler_before)
        findings_add_key(loader->decoder.findings, FINDING_ERROR, item,
                         "a second handler beside `%s`, expected one", *handler_before);
    else
        decode_handler(loader, handler, item, &draft->route);
    if (handler && !*handler_before)
        *handler_before = handler->name;
}

void draft_apply(struct loader *loader, struct draft *draft, const struct node *map, enum draft_keys keys)
{
    const char *handler = NULL;
    for (size_t i = 0; i < map->count; i++)
        apply_key(loader, draft, map->items[i], keys, &handler);
    apply_reject(loader, draft, map);
}

void draft_guard(struct loader *loader, struct draft *draft, const char *key, const struct node *node)
{
    size_t guard = draft_find_guard(key);
    decode_guard(loader, guard, node, &draft->route.guards[guard]);
}

void draft_guard_default(struct loader *loader, const char *key, struct guard_rules *rules)
{
    decode_guard(loader, draft_find_guard(key), NULL, rules);
}

/* What a route is before anybody says anything. */
static struct draft begin_draft(struct loader *loader)
{
    struct draft draft = {0};
    for (const struct field *field = route_fields; field->key; field++)
        decode_fallback(loader, field, &draft);
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->always)
            decode_guard(loader, i, NULL, &draft.route.guards[i]);
    return draft;
}

static bool names_mode(const struct node *node)
{
    return node && node->kind == NODE_MAP && node_get(node, "mode");
}

static const struct cors_rules *cors_of(struct loader *loader, const struct route *route)
{
    const struct cors_rules *rules = route->guards[draft_find_guard("cors")].rules;
    return cors_bind(rules, &route->methods, loader->decoder.arena);
}

/* A route that a web server asks has no browser before it. */
static void bind_cors(struct loader *loader, struct route *route)
{
    struct guard_rules *rules = &route->guards[draft_find_guard("cors")];
    bool asked = route_authorizes(route);
    if (asked && rules->rules && node_get(route->node, "cors") && cors_of(loader, route))
        findings_add_key(loader->decoder.findings, FINDING_ERROR, node_get(route->node, "cors"),
                         "web servers ask here and no browser does, expected it in the routes that are asked "
                         "about");
    route->cors = asked ? NULL : cors_of(loader, route);
    rules->rules = (void *)route->cors;
}

/* Callers that browsers tell by themselves are checked where nobody says anything; without them, there
 * is nothing to check. */
static void settle_csrf(struct loader *loader, struct route *route)
{
    struct guard_rules *rules = &route->guards[draft_find_guard("csrf")];
    const struct guard_rules *auth = &route->guards[draft_find_guard("auth")];
    bool ambient = auth->rules && auth_reads_ambient(auth->rules);
    if (!rules->node && ambient)
        draft_guard_default(loader, "csrf", rules);
    if (rules->rules && (csrf_is_off(rules->rules) || (csrf_is_auto(rules->rules) && !ambient)))
        rules->rules = NULL;
    if (rules->rules)
        rules->rules = csrf_bind(rules->rules, route->cors ? route->cors->cors : NULL, loader->decoder.arena);
}

void draft_finish(struct loader *loader, const struct draft *draft, struct route *route)
{
    *route = draft->route;
    route->report_only = draft->mode != 0;
    bind_cors(loader, route);
    draft_check(loader, route);
    settle_csrf(loader, route);
    version_rules_apply(loader, route);
    route->lifetime = route->guards[draft_find_guard("retire")].rules;
    for (size_t i = 0; guards[i]; i++)
        if (guards[i]->again) {
            route->guards[i] = route->guards[draft_find_guard(guards[i]->name)];
            if (route->guards[i].rules && guards[i]->wanted && !guards[i]->wanted(route->guards[i].rules))
                route->guards[i].rules = NULL;
        }
    for (size_t i = 0; guards[i]; i++)
        if (!names_mode(route->guards[i].node) || guards[i]->serves)
            route->guards[i].report_only = route->report_only && !guards[i]->serves;
}

/* What is said of bodies that nobody judges would be without effect. */
static void check_judged(struct loader *loader, const struct route *route, const struct node *map)
{
    static const char *const keys[] = {"depth", "values", "string", "codings", "inflated"};
    const struct node *body = node_get(map, "body");
    for (size_t i = 0; body && body->kind == NODE_MAP && i < sizeof keys / sizeof *keys; i++) {
        const struct node *item = node_get(body, keys[i]);
        bool described = node_get(body, "schema") || node_get(body, "fields"); /* perhaps wrongly */
        if (item && !described && !route_needs_body(route))
            findings_add_key(
                loader->decoder.findings, FINDING_ERROR, item,
                "this is for a body that is judged, by its `schema` or `fields`, or by `reject`");
    }
}

static void load_route(struct loader *loader, const struct draft *defaults, const struct node *map,
                       struct route *route)
{
    struct draft draft = *defaults;
    if (map->kind != NODE_MAP) {
        findings_add(loader->decoder.findings, FINDING_ERROR, map, "expected a map of a route's keys");
        return;
    }
    const struct node *path = node_get(map, "path"), *operation = node_get(map, "operation");
    if (operation)
        findings_add_key(loader->decoder.findings, FINDING_ERROR, operation,
                         "there is no `openapi` at the top that could have operations");
    draft.route.node = map;
    loader->decoder.path = path && path->kind == NODE_SCALAR ? path->text.at : "";
    loader->decoder.findings->within = map;
    loader->decoder.findings->about = loader->decoder.path;
    draft_apply(loader, &draft, map, DRAFT_ROUTE);
    loader->decoder.findings->within = NULL;
    draft_finish(loader, &draft, route);
    check_judged(loader, route, map);
}

static void load_routes(struct loader *loader, const struct draft *defaults)
{
    struct policy *policy = loader->policy;
    const struct node *list = loader->routes;
    size_t count = list ? list->count : 0;
    if (loader->openapi.file && !policy->openapi)
        return; /* which are routes of its own, and which entries for operations, is not known */
    policy->routes = arena_array(policy->arena, count + openapi_routes_count(loader), sizeof *policy->routes);
    for (size_t i = 0; i < count; i++)
        if (!openapi_routes_have(loader, list->items[i]))
            load_route(loader, defaults, list->items[i], &policy->routes[policy->route_count++]);
    openapi_routes_load(loader, defaults);
}

bool route_rules_load(struct loader *loader)
{
    struct policy *policy = loader->policy;
    struct findings *findings = loader->decoder.findings;
    const struct node *list = loader->routes;
    size_t errors = findings->errors;
    struct draft defaults = begin_draft(loader);
    if (loader->defaults && loader->defaults->kind == NODE_MAP)
        draft_apply(loader, &defaults, loader->defaults, DRAFT_DEFAULTS);
    else if (loader->defaults)
        findings_add(findings, FINDING_ERROR, loader->defaults, "expected a map of a route's keys");
    policy->headers = defaults.route.headers;
    policy->cors = cors_of(loader, &defaults.route);
    policy->errors = defaults.route.errors;
    if (!list && !node_get(loader->root, "openapi") && loader->root->kind == NODE_MAP)
        findings_add(findings, FINDING_ERROR, loader->root,
                     "the key `routes` is missing, expected a list of routes, or an `openapi`");
    else if (list && (list->kind != NODE_LIST || list->count == 0))
        findings_add(findings, FINDING_ERROR, list, "expected a list of at least one route");
    else
        load_routes(loader, &defaults);
    return findings->errors == errors;
}
