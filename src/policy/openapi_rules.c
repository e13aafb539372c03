/*
 * The top's `openapi`: which document there is, and what is made of it. What its operations
 * become is known to openapi_routes.c.
 */
#include "config.h"

#include "policy/draft.h"

#include <errno.h>
#include <unistd.h>

/* As paths of requests are, once they are decoded: a template has no fixed length. */
static bool is_base(struct text base)
{
    static const char none[] = "{}*?#%\\";
    struct text rest = base, segment;
    for (size_t i = 0; i < base.length; i++)
        if (memchr(none, base.at[i], sizeof none - 1))
            return false;
    while (text_next(&rest, '/', &segment))
        if (text_equal(segment, TEXT(".")) || text_equal(segment, TEXT("..")) ||
            (segment.length == 0 && segment.at > base.at))
            return false;
    return base.length == 0 || base.at[0] == '/';
}

static bool decode_base(struct decoder *decoder, const struct node *node, void *member)
{
    struct text base = node->text;
    while (node->kind == NODE_SCALAR && base.length > 0 && base.at[base.length - 1] == '/')
        base.length--;
    if (node->kind != NODE_SCALAR || node->text.length == 0 || !is_base(base))
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "expected a path such as /v1, without names in braces, or / for nothing");
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

static const struct node *file_node(const struct loader *loader)
{
    const struct node *node = node_get(loader->root, "openapi");
    return node_get(node, "file") ? node_get(node, "file") : node;
}

/* As the policy was named, so that both look alike in messages. */
static const char *named_file(const struct loader *loader)
{
    const char *file = file_node(loader)->text.at;
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
    const char *file = named_file(loader);
    if (access(file, R_OK) != 0) { /* told where it is named */
        findings_add(&policy->findings, FINDING_ERROR, file_node(loader), "%s cannot be read: %s",
                     file_node(loader)->text.at, strerror(errno));
        return;
    }
    policy->openapi = openapi_read(file, &policy->findings);
    if (policy->openapi)
        openapi_security_load(loader);
}
