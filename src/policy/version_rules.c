/*
 * Version rules: the top's `versions`. How a request is read for one is known to
 * guard/version_find.c, what dates mean to guard/lifetime.c.
 */
#include "config.h"

#include "policy/draft.h"

#include "base/clock.h"
#include "guard/media_range.h"
#include "http/reserved.h"

enum { NAME_MOST = 32 };

static bool keep_node(struct decoder *decoder, const struct node *node, void *member)
{
    (void)decoder;
    *(const struct node **)member = node;
    return true;
}

static const struct section lifetime_section = {sizeof(struct lifetime), lifetime_fields};

static const struct field fields[] = {
    {FIELD(FIELD_TEXT, version_rules, path, "path"),
     .help = "the path beneath which the next segment is the version"},
    {FIELD(FIELD_TEXT, version_rules, header, "header"), .help = "the request header that names the version"},
    {FIELD(FIELD_TEXT, version_rules, media_type, "media_type"),
     .help = "the media type of Accept that names the version"},
    {FIELD(FIELD_TEXT, version_rules, fallback, "default"),
     .help = "the version of a request that names none; without it, one must be named"},
    {FIELD(FIELD_OWN, version_rules, list, "list"), .own = keep_node, .section = &lifetime_section,
     .required = true, .expects = "a map of versions, each with its dates or {}",
     .help = "the versions by their names, with the dates of those that end"},
    {0},
};
const struct section version_section = {sizeof(struct version_rules), fields};

/* ---- how one is named */

static bool refuse(struct loader *loader, const char *key, const char *expected)
{
    return findings_add(loader->decoder.findings, FINDING_ERROR,
                        node_get(node_get(loader->root, "versions"), key), "this does not fit, expected %s",
                        expected);
}

static bool read_path(struct loader *loader, const char *path, struct versions *versions)
{
    struct text text = text_of(path);
    /* It stands in links, too. */
    if (!lifetime_is_link(text) || text.at[0] != '/' || strstr(path, "//") || strpbrk(path, "*?#%"))
        return refuse(loader, "path", "a path such as /api, in ASCII, without braces, * and %");
    if (text.at[text.length - 1] == '/')
        text.length--;
    versions->path = arena_copy(loader->decoder.arena, text.at, text.length);
    return true;
}

/* Whether it reaches those who look for a version in it. */
static bool is_kept(const struct loader *loader, struct text name)
{
    static struct text elsewhere[] = {
        {"content-length", 14}, {"content-type", 12}, {"transfer-encoding", 17}};
    static const struct texts apart = {elsewhere, sizeof elsewhere / sizeof *elsewhere};
    return !reserved_is_identity(name) && !reserved_is_forwarding(name) && !texts_have(&apart, name) &&
           !texts_have(&loader->policy->server.request.drop, name);
}

static bool read_header(struct loader *loader, const char *header, struct versions *versions)
{
    struct text name = text_of(header);
    struct text lower = text_lower(loader->decoder.arena, name);
    if (!text_is_token(name) || strchr(header, '_'))
        return refuse(loader, "header", "a header name such as API-Version");
    if (!is_kept(loader, lower))
        return refuse(loader, "header", "a header that is not dropped");
    versions->header = lower.at;
    versions->vary = header;
    return true;
}

static bool read_media_type(struct loader *loader, const char *media_type, struct versions *versions)
{
    struct media_range type;
    struct text text = text_of(media_type);
    if (!media_type_read(text, &type) || text_find(text, ';') < text.length)
        return refuse(loader, "media_type", "a media type such as application/vnd.example+json");
    if (!is_kept(loader, TEXT("accept")))
        return refuse(loader, "media_type", "none, as `request.drop` has Accept");
    const char *plus = memrchr(type.subtype.at, '+', type.subtype.length);
    size_t length = plus ? (size_t)(plus - type.subtype.at) : type.subtype.length;
    versions->media.type = type.type;
    versions->media.base = (struct text){type.subtype.at, length};
    versions->media.suffix = text_from(type.subtype, length);
    versions->vary = "Accept";
    return true;
}

static bool read_way(struct loader *loader, const struct version_rules *rules, struct versions *versions)
{
    const struct node *node = node_get(loader->root, "versions");
    int ways = (rules->path != NULL) + (rules->header != NULL) + (rules->media_type != NULL);
    if (ways != 1)
        return findings_add(loader->decoder.findings, FINDING_ERROR, node,
                            "expected exactly one of `path`, `header` and `media_type`");
    if (rules->path)
        return read_path(loader, rules->path, versions);
    return rules->header ? read_header(loader, rules->header, versions)
                         : read_media_type(loader, rules->media_type, versions);
}

/* ---- which there are */

static bool is_name(struct text name)
{
    for (size_t i = 0; i < name.length; i++)
        if (!((name.at[i] >= 'a' && name.at[i] <= 'z') || (name.at[i] >= 'A' && name.at[i] <= 'Z') ||
              (name.at[i] >= '0' && name.at[i] <= '9') || strchr("-._", name.at[i])))
            return false;
    return name.length > 0 && name.length <= NAME_MOST && name.at[0] != '.' &&
           !text_equal(name, TEXT("none"));
}

static void load_version(struct loader *loader, const struct node *node, struct versions *versions)
{
    struct decoder *decoder = &loader->decoder;
    struct version *version = &versions->items[versions->count];
    *version = (struct version){.name = node->name.at, .bit = UINT32_C(1) << versions->count};
    versions->count++;
    if (!is_name(node->name))
        findings_add_key(decoder->findings, FINDING_ERROR, node,
                         "expected a name of letters, digits, - . and _, at most %d, and not none",
                         (int)NAME_MOST);
    if (node->kind != NODE_MAP)
        findings_add(decoder->findings, FINDING_ERROR, node,
                     "expected a map of `deprecated`, `sunset` and others, or {}");
    else
        decode_section(decoder, &lifetime_section, node, &version->lifetime);
}

/* Where versions have one address, the link says by what it is asked for there (RFC 8288, 3.4). */
static const char *link_to(const struct loader *loader, const struct version *version)
{
    const struct versions *versions = &loader->policy->versions;
    struct arena *arena = loader->decoder.arena;
    const struct media_range_family *media = &versions->media;
    if (versions->path)
        return lifetime_successor(arena, arena_printf(arena, "%s/%s", versions->path, version->name));
    if (versions->header)
        return arena_printf(arena, "<>; rel=\"successor-version\"; %s=\"%s\"", versions->header,
                            version->name);
    return arena_printf(arena, "<>; rel=\"successor-version\"; type=\"%.*s/%.*s%.*s;version=%s\"",
                        TEXT_ARGUMENTS(media->type), TEXT_ARGUMENTS(media->base),
                        TEXT_ARGUMENTS(media->suffix), version->name);
}

static void complete_version(struct loader *loader, const struct node *node, struct version *version)
{
    struct decoder *decoder = &loader->decoder;
    const char *successor = version->lifetime.successor, *link = NULL;
    const struct version *next =
        successor ? versions_get(&loader->policy->versions, text_of(successor)) : NULL;
    if (next == version && next)
        findings_add(decoder->findings, FINDING_ERROR, node_get(node, "successor"),
                     "this is the version itself");
    else if (next)
        link = link_to(loader, next);
    else if (successor && lifetime_is_link(text_of(successor)))
        link = lifetime_successor(decoder->arena, successor);
    else if (successor)
        findings_add(decoder->findings, FINDING_ERROR, node_get(node, "successor"),
                     "this is neither a version of the list nor a link such as https://api.example.com/v2");
    if (lifetime_complete(&version->lifetime, decoder, node, link))
        lifetime_advise(&version->lifetime, decoder->findings, node);
}

static void load_list(struct loader *loader, const struct node *list)
{
    struct versions *versions = &loader->policy->versions;
    if (list->kind != NODE_MAP || list->count == 0 || list->count > VERSIONS_LIMIT) {
        findings_add(loader->decoder.findings, FINDING_ERROR, list, "expected a map of 1 to %d versions",
                     (int)VERSIONS_LIMIT);
        return;
    }
    versions->items = arena_array(loader->decoder.arena, list->count, sizeof *versions->items);
    for (size_t i = 0; i < list->count; i++)
        load_version(loader, list->items[i], versions);
    for (size_t i = 0; i < list->count; i++)
        complete_version(loader, list->items[i], &versions->items[i]);
}

static void load_default(struct loader *loader, const char *name)
{
    struct versions *versions = &loader->policy->versions;
    const struct node *node = node_get(node_get(loader->root, "versions"), "default");
    versions->fallback = versions_get(versions, text_of(name));
    if (versions->path)
        findings_add(loader->decoder.findings, FINDING_ERROR, node,
                     "a path names its version always, expected no default beside `path`");
    else if (!versions->fallback)
        findings_add(loader->decoder.findings, FINDING_ERROR, node, "this is no version of the list");
    else if (lifetime_is_over(&versions->fallback->lifetime, clock_wall_milliseconds()))
        findings_add(loader->decoder.findings, FINDING_ADVICE, node,
                     "this has ended, so the answer is 410 to whoever names no version");
}

void version_rules_load(struct loader *loader)
{
    const struct version_rules *rules = &loader->versions;
    loader->decoder.versions = &loader->policy->versions;
    if (!node_get(loader->root, "versions"))
        return;
    loader->policy->versions.written = true;
    read_way(loader, rules, &loader->policy->versions);
    if (rules->list)
        load_list(loader, rules->list);
    if (rules->list && rules->fallback)
        load_default(loader, rules->fallback);
}

/* ---- routes */

static bool is_rest(struct text segment)
{
    return text_equal(segment, TEXT("**"));
}

static bool is_capture(struct text segment)
{
    return segment.length > 0 && segment.at[0] == '{';
}

/* Whether a route has paths with that version; with NULL, with any that there is. */
static bool has_version(const struct versions *versions, const char *path, const struct version *which)
{
    struct text base = text_from(text_of(versions->path), 1), rest = text_from(text_of(path), 1), wanted,
                segment;
    while (text_next(&base, '/', &wanted)) {
        if (!text_next(&rest, '/', &segment))
            return false;
        if (is_rest(segment))
            return true;
        if (!is_capture(segment) && !text_equal(segment, wanted))
            return false;
    }
    if (!text_next(&rest, '/', &segment))
        return false;
    const struct version *version = versions_get(versions, segment);
    return is_rest(segment) || is_capture(segment) || (version && (!which || version == which));
}

static bool serves(const struct route *route, const struct versions *versions, const struct version *version)
{
    bool is_there = !versions->path || !route->path || has_version(versions, route->path, version);
    return (route->versions & version->bit) && is_there;
}

void version_rules_advise(const struct loader *loader)
{
    const struct policy *policy = loader->policy;
    const struct versions *versions = &policy->versions;
    for (size_t i = 0; i < versions->count; i++) {
        const struct version *version = &versions->items[i];
        bool served = policy->undocumented && serves(policy->undocumented, versions, version);
        for (size_t j = 0; j < policy->route_count && !served; j++)
            served = serves(&policy->routes[j], versions, version);
        if (!served && !lifetime_is_over(&version->lifetime, clock_wall_milliseconds()))
            findings_add_key(loader->decoder.findings, FINDING_ADVICE, loader->versions.list->items[i],
                             "no route serves it");
    }
}

void version_rules_apply(struct loader *loader, struct route *route)
{
    const struct versions *versions = &loader->policy->versions;
    struct guard_rules *rules = &route->guards[draft_find_guard("version")];
    if (versions->count > 0 && !rules->node)
        draft_guard_default(loader, "version", rules);
    bool elsewhere = versions->path && route->path && !has_version(versions, route->path, NULL);
    /* Where a web server asks, the version is that of what it asks about. */
    bool asked = route_authorizes(route) && !node_get(route->node, "version");
    if (elsewhere || asked)
        rules->rules = NULL;
    route->versions = rules->rules ? version_bits(rules->rules) : 0;
    if (route->versions == 0)
        rules->rules = NULL;
}
