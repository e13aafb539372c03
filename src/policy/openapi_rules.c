/*
 * The top's `openapi`: which document there is, and what is made of it. What its operations
 * become is known to openapi_routes.c.
 */
#include "config.h"

#include "policy/draft.h"

static bool decode_base(struct decoder *decoder, const struct node *node, void *member)
{
    struct text base = node->text;
    if (node->kind != NODE_SCALAR || base.length == 0 || base.at[0] != '/')
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected a path such as /v1, or / for nothing");
    while (base.length > 0 && base.at[base.length - 1] == '/')
        base.length--;
    *(const char **)member = arena_copy(decoder->arena, base.at, base.length);
    return true;
}

static bool keep_node(struct decoder *decoder, const struct node *node, void *member)
{
    *(const struct node **)member = node;
    return node->kind == NODE_MAP ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "expected a map of security schemes, each with none or names of the top's `auth`");
}

static const struct field fields[] = {
    {FIELD(FIELD_FILE, openapi_rules, file, "file"), .required = true,
     .help = "the document, of OpenAPI 3.0 or 3.1"},
    {FIELD(FIELD_OWN, openapi_rules, base, "base"), .own = decode_base, .expects = "a path such as /v1",
     .help = "what stands in front of its paths; default as it says"},
    {FIELD(FIELD_OWN, openapi_rules, auth, "auth"), .own = keep_node,
     .expects = "a map of security schemes, each with none or names of the top's `auth`",
     .help = "ways to pass its security schemes; those called alike need no line"},
    {FIELD(FIELD_CHOICE, openapi_rules, unknown_fields, "unknown_fields"), .choices = "allow|refuse",
     .fallback = "allow", .help = "fields of bodies that it does not describe"},
    {FIELD(FIELD_CHOICE, openapi_rules, undocumented, "undocumented"), .choices = "refuse|report",
     .fallback = "refuse", .help = "paths and methods beneath its base that it does not have"},
    {FIELD(FIELD_CHOICE, openapi_rules, replies, "replies"), .choices = "ignore|report|enforce|strip",
     .fallback = "ignore", .help = "replies that are not as it says"},
    {0},
};
const struct section openapi_section = {sizeof(struct openapi_rules), fields};

struct node *openapi_make_node(const struct loader *loader, enum node_kind kind, const char *name,
                               size_t room)
{
    struct node *node = arena_alloc(loader->decoder.arena, sizeof *node);
    *node = *node_get(loader->root, "openapi"); /* where it stands */
    node->kind = kind;
    node->plain = true;
    node->count = 0;
    node->items = arena_array(loader->decoder.arena, room, sizeof *node->items);
    if (name)
        node->name = text_of(name);
    return node;
}

void openapi_add_text(const struct loader *loader, struct node *to, const char *name, struct text text)
{
    struct node *item = openapi_make_node(loader, NODE_SCALAR, name, 0);
    item->text = text_of(arena_copy(loader->decoder.arena, text.at, text.length));
    to->items[to->count++] = item;
}

/* As the policy was named, so that both look alike in messages. */
static const char *named_file(const struct loader *loader)
{
    const struct node *node = node_get(loader->root, "openapi");
    const char *file = node_get(node, "file") ? node_get(node, "file")->text.at : node->text.at;
    const char *slash = strrchr(loader->policy->file, '/');
    if (file[0] == '/' || !slash)
        return file;
    return arena_printf(loader->decoder.arena, "%.*s/%s", (int)(slash - loader->policy->file),
                        loader->policy->file, file);
}

void openapi_rules_load(struct loader *loader)
{
    struct policy *policy = loader->policy;
    if (!loader->openapi.file)
        return;
    policy->openapi = openapi_read(named_file(loader), &policy->findings);
    if (policy->openapi)
        openapi_security_load(loader);
}
