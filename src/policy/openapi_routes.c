/*
 * Operations of an OpenAPI document as routes: each starts from the defaults, takes the keys of its
 * entry in `routes`, and then what the document says of it.
 */
#include "config.h"

#include "policy/draft.h"

#include "guard/content_openapi.h"
#include "policy/route.h"

/* What `routes` says of an operation, read once for all that it is for. */
struct entry {
    const struct node *node; /* NULL: nothing */
    struct draft draft;
    bool good, used;
};

struct operations {
    struct loader *loader;
    const struct openapi *document;
    const char **paths;     /* by operation, with the base in front */
    struct entry **entries; /* by operation; NULL: none */
    const struct draft *defaults;
    const struct node *body, *parameters; /* of the defaults */
};

/* ---- paths */

static const char *base_of(const struct loader *loader, const struct openapi_operation *operation)
{
    return loader->openapi.base ? loader->openapi.base : operation->base;
}

static const char *path_of(const struct loader *loader, const struct openapi_operation *operation)
{
    return arena_printf(loader->decoder.arena, "%s%s", base_of(loader, operation), operation->path);
}

static const char *text_under(const struct node *map, const char *key)
{
    const struct node *node = node_get(map, key);
    return node && node->kind == NODE_SCALAR ? node->text.at : NULL;
}

static bool is_path_of(const struct loader *loader, const struct openapi_operation *operation,
                       const char *path)
{
    const char *base = base_of(loader, operation);
    size_t length = strlen(base);
    return strncmp(path, base, length) == 0 && strcmp(path + length, operation->path) == 0;
}

bool openapi_routes_have(const struct loader *loader, const struct node *entry)
{
    const struct openapi *document = loader->policy->openapi;
    const char *path = text_under(entry, "path");
    if (node_get(entry, "operation"))
        return loader->openapi.file != NULL;
    for (size_t i = 0; document && path && i < document->operation_count; i++)
        if (is_path_of(loader, &document->operations[i], path))
            return true;
    return false;
}

size_t openapi_routes_count(const struct loader *loader)
{
    return loader->policy->openapi ? loader->policy->openapi->operation_count : 0;
}

/* ---- entries */

static struct entry *read_entry(struct operations *operations, const struct node *node, const char *path)
{
    struct loader *loader = operations->loader;
    struct findings *findings = loader->decoder.findings;
    struct entry *entry = arena_alloc(loader->decoder.arena, sizeof *entry);
    size_t errors = findings->errors;
    *entry = (struct entry){.node = node, .draft = *operations->defaults};
    entry->draft.route.node = node;
    loader->decoder.path = path;
    findings->within = node;
    findings->about = path;
    draft_apply(loader, &entry->draft, node, DRAFT_OPERATION);
    findings->within = NULL;
    if (node_get(node, "operation") && node_get(node, "path"))
        findings_add_key(findings, FINDING_ERROR, node_get(node, "path"),
                         "this is beside `operation`, expected one of them");
    entry->good = findings->errors == errors;
    return entry;
}

static void set_entry(struct operations *operations, size_t at, struct entry *entry)
{
    struct entry *before = operations->entries[at];
    if (before)
        findings_add(operations->loader->decoder.findings, FINDING_ERROR, entry->node,
                     "this operation has an entry in line %u already", before->node->line);
    operations->entries[at] = entry;
    entry->used = true;
}

static void tell_unknown(struct operations *operations, const struct node *node, const char *id)
{
    const struct openapi *document = operations->document;
    struct loader *loader = operations->loader;
    const char **names = arena_array(loader->decoder.arena, document->operation_count, sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < document->operation_count; i++)
        if (document->operations[i].id)
            names[count++] = document->operations[i].id;
    const char *nearest = findings_nearest(id, names, count);
    findings_add(loader->decoder.findings, FINDING_ERROR, node,
                 "the OpenAPI document has no operation with this operationId%s%s%s",
                 nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

/* Its place; their count: there is none. */
static size_t find_operation(const struct operations *operations, const char *id)
{
    size_t at = 0;
    for (; at < operations->document->operation_count; at++) {
        const char *own = operations->document->operations[at].id;
        if (own && strcmp(own, id) == 0)
            break;
    }
    return at;
}

static void assign_operation(struct operations *operations, const struct node *node)
{
    const char *id = text_under(node, "operation");
    size_t count = operations->document->operation_count, at = id ? find_operation(operations, id) : count;
    struct entry *entry = id ? read_entry(operations, node, at < count ? operations->paths[at] : "") : NULL;
    if (at < count)
        set_entry(operations, at, entry);
    if (!id)
        findings_add(operations->loader->decoder.findings, FINDING_ERROR, node_get(node, "operation"),
                     "expected an operationId of the OpenAPI document");
    else if (!entry->used)
        tell_unknown(operations, node_get(node, "operation"), id);
}

static void assign_path(struct operations *operations, const struct node *node)
{
    struct entry *entry = read_entry(operations, node, text_under(node, "path"));
    for (size_t i = 0; i < operations->document->operation_count; i++) {
        struct entry *before = operations->entries[i];
        bool fits =
            is_path_of(operations->loader, &operations->document->operations[i], text_under(node, "path"));
        if (fits && (!before || !node_get(before->node, "operation")))
            set_entry(operations, i, entry);
    }
    if (!entry->used)
        findings_add(operations->loader->decoder.findings, FINDING_ERROR, node,
                     "all operations of this path have an entry by `operation`, so this one says nothing");
}

/* Those by operation first: what they name is not for the others. */
static void assign_entries(struct operations *operations)
{
    const struct node *list = operations->loader->routes;
    for (size_t i = 0; list && i < list->count; i++)
        if (node_get(list->items[i], "operation"))
            assign_operation(operations, list->items[i]);
    for (size_t i = 0; list && i < list->count; i++)
        if (!node_get(list->items[i], "operation") && openapi_routes_have(operations->loader, list->items[i]))
            assign_path(operations, list->items[i]);
}

/* ---- operations */

/* Whatever their parameters are called. */
static bool have_same_path(const struct loader *loader, const struct openapi_operation *left,
                           const struct openapi_operation *right)
{
    bool same = left->segment_count == right->segment_count &&
                strcmp(base_of(loader, left), base_of(loader, right)) == 0;
    for (size_t i = 0; same && i < left->segment_count; i++)
        same = !left->segments[i].parameter == !right->segments[i].parameter &&
               (left->segments[i].parameter ||
                text_equal(left->segments[i].literal, right->segments[i].literal));
    return same;
}

/* RFC 9110, 9.1: who answers GET answers HEAD; here unless another operation does. */
static struct texts methods_of(const struct operations *operations, size_t at)
{
    const struct openapi *document = operations->document;
    const struct openapi_operation *operation = &document->operations[at];
    struct texts methods = {arena_array(operations->loader->decoder.arena, 2, sizeof *methods.items), 0};
    bool has_head = strcmp(operation->method, "GET") != 0;
    for (size_t i = 0; !has_head && i < document->operation_count; i++)
        has_head = strcmp(document->operations[i].method, "HEAD") == 0 &&
                   have_same_path(operations->loader, &document->operations[i], operation);
    methods.items[methods.count++] = text_of(operation->method);
    if (!has_head)
        methods.items[methods.count++] = TEXT("HEAD");
    return methods;
}

static const struct node *own_or(const struct entry *entry, const char *key, const struct node *other)
{
    const struct node *own = entry ? node_get(entry->node, key) : NULL;
    return own ? own : other;
}

/* What `openapi.replies` says and, before it, what the entry does. */
static void describe_replies(struct loader *loader, struct draft *draft, const struct node *entry)
{
    static const char *const modes[] = {[REPLIES_REPORT] = "report", [REPLIES_ENFORCE] = "enforce"};
    const struct node *written = entry ? node_get(entry, "replies") : NULL;
    int wanted = loader->openapi.replies;
    if (wanted == REPLIES_IGNORE || (written && written->kind != NODE_MAP)) {
        if (written)
            draft_guard(loader, draft, "replies", written);
        return;
    }
    struct node *map = openapi_make_node(loader, NODE_MAP, "replies", written ? written->count + 1 : 1);
    for (size_t i = 0; written && i < written->count; i++)
        map->items[map->count++] = written->items[i];
    if (wanted == REPLIES_STRIP && !node_get(written, "strip"))
        openapi_add_text(loader, map, "strip", TEXT("true"));
    if (wanted != REPLIES_STRIP && !node_get(written, "mode"))
        openapi_add_text(loader, map, "mode", text_of(modes[wanted]));
    draft->route.guards[draft_find_guard("replies")] = (struct guard_rules){0}; /* see usable() */
    draft_guard(loader, draft, "replies", map);
}

static void load_operation(struct operations *operations, size_t at)
{
    struct loader *loader = operations->loader;
    const struct openapi_operation *operation = &operations->document->operations[at];
    const struct entry *entry = operations->entries[at];
    const struct described described = {operations->document, operation, loader->openapi.unknown_fields != 0};
    struct draft draft = entry ? entry->draft : *operations->defaults;
    if (entry && !entry->good)
        return; /* which is told */
    if (!entry)
        draft.route.node = node_get(loader->root, "openapi");
    draft.route.path = operations->paths[at];
    draft.route.operation = operation;
    draft.route.base = strlen(base_of(loader, operation));
    draft.route.methods = methods_of(operations, at);
    loader->decoder.path = draft.route.path;
    if (!openapi_security_apply(loader, &draft, entry ? entry->node : NULL))
        return;
    loader->decoder.described = &described;
    draft_guard(loader, &draft, "body", own_or(entry, "body", operations->body));
    draft_guard(loader, &draft, "parameters", own_or(entry, "parameters", operations->parameters));
    describe_replies(loader, &draft, entry ? entry->node : NULL);
    loader->decoder.described = NULL;
    draft_finish(loader, &draft, &loader->policy->routes[loader->policy->route_count++]);
}

/* ---- what no operation has */

static void load_undocumented(struct operations *operations)
{
    struct loader *loader = operations->loader;
    struct policy *policy = loader->policy;
    const struct node *node = node_get(node_get(loader->root, "openapi"), "undocumented");
    struct draft draft = *operations->defaults;
    if (!draft.route.handler || !draft.route.guards[draft_find_guard("auth")].node) {
        findings_add(
            loader->decoder.findings, FINDING_ERROR, node,
            "what is not documented goes to the handler of `defaults` by their `auth`, expected both "
            "there");
        return;
    }
    draft.route.node = node;
    draft.route.path = "/**"; /* beneath the bases */
    draft.route.methods = router_common_methods;
    policy->undocumented = arena_alloc(policy->arena, sizeof *policy->undocumented);
    draft_finish(loader, &draft, policy->undocumented);
    const struct guard_rules *auth = &draft.route.guards[draft_find_guard("auth")];
    if (auth->rules && !auth_asks(auth->rules))
        findings_add(loader->decoder.findings, FINDING_ADVICE, node,
                     "paths that are not documented are open to anybody, also where a program takes one for "
                     "another that is not");
}

/* ---- the defaults */

/* Said once: each operation has its own. */
static const struct node *usable(struct loader *loader, const char *key, const char *const *said)
{
    const struct node *node = loader->defaults ? node_get(loader->defaults, key) : NULL;
    bool good = true;
    for (; node && *said; said++)
        if (node_get(node, *said))
            good = findings_add_key(loader->decoder.findings, FINDING_ERROR, node_get(node, *said),
                                    "the OpenAPI document says this of its operations, expected it in routes "
                                    "of the policy's own");
    return good ? node : NULL;
}

void openapi_routes_load(struct loader *loader, const struct draft *defaults)
{
    static const char *const of_body[] = {"schema", "fields", "unknown", "required", "types", NULL};
    static const char *const of_parameters[] = {"query", "path", NULL};
    static const char *const of_replies[] = {"schema", "fields", "unknown", "statuses", NULL};
    struct operations operations = {
        .loader = loader, .document = loader->policy->openapi, .defaults = defaults};
    if (!operations.document)
        return;
    size_t count = operations.document->operation_count;
    operations.paths = arena_array(loader->decoder.arena, count, sizeof *operations.paths);
    operations.entries = arena_array(loader->decoder.arena, count, sizeof *operations.entries);
    operations.body = usable(loader, "body", of_body);
    operations.parameters = usable(loader, "parameters", of_parameters);
    if (loader->openapi.replies != REPLIES_IGNORE)
        usable(loader, "replies", of_replies);
    for (size_t i = 0; i < count; i++)
        operations.paths[i] = path_of(loader, &operations.document->operations[i]);
    assign_entries(&operations);
    for (size_t i = 0; i < count; i++)
        load_operation(&operations, i);
    if (loader->openapi.undocumented)
        load_undocumented(&operations);
}
