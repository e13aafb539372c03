/*
 * What a policy says of backends: keys that handlers share, and the group that
 * is made of them.
 */
#include "config.h"

#include "handler/backends_own.h"

#include "base/arena.h"

#define HOUR_MS (UINT64_C(60) * 60 * 1000)

enum { IPV6_PREFIX = 64, STATUS_FIRST = 500, STATUS_LAST = 599 };

/* ---- keys */

static bool decode_statuses(struct decoder *decoder, const struct node *node, void *member)
{
    bool *statuses = member, good;
    struct texts texts;
    good = decode_texts(decoder, node, &texts);
    for (size_t i = 0; i < texts.count; i++) {
        uint64_t status;
        if (text_number(texts.items[i], STATUS_LAST, &status) && status >= STATUS_FIRST)
            statuses[status - STATUS_FIRST] = true;
        else
            good = findings_add(decoder->findings, FINDING_ERROR,
                                node->kind == NODE_LIST ? node->items[i] : node,
                                "\"%.*s\" is no such status, expected %d to %d",
                                TEXT_ARGUMENTS(texts.items[i]), (int)STATUS_FIRST, (int)STATUS_LAST);
    }
    return good;
}

static bool decode_probe(struct decoder *decoder, const struct node *node, void *member)
{
    static const struct text slash = {"/", 1};
    if (node->kind != NODE_SCALAR || !text_starts_with(node->text, slash) || !text_is_line(node->text) ||
        text_find(node->text, ' ') < node->text.length || text_find(node->text, '#') < node->text.length)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected a path such as /ping");
    *(const char **)member = node->text.at;
    return true;
}

static const struct field health_fields[] = {
    {FIELD(FIELD_NUMBER, backend_watch_rules, health.failures, "failures"), .fallback = "3", .least = 1,
     .most = 1000, .help = "after how many failures in a row a backend is out of service"},
    {FIELD(FIELD_DURATION, backend_watch_rules, health.out, "out"), .fallback = "10s", .least = 100,
     .most = HOUR_MS, .help = "the longest time for which it is out without a trial"},
    {FIELD(FIELD_DURATION, backend_watch_rules, health.slow_start, "slow_start"), .fallback = "0s",
     .most = HOUR_MS, .help = "for how long one that is in service again has less than its share"},
    {FIELD(FIELD_OWN, backend_watch_rules, statuses, "statuses"), .own = decode_statuses,
     .expects = "a list of statuses from 500 to 599", .help = "statuses of replies that are failures"},
    {FIELD(FIELD_OWN, backend_watch_rules, probe, "probe"), .own = decode_probe,
     .expects = "a path such as /ping", .help = "a path that is asked for to find out how a backend is"},
    {FIELD(FIELD_DURATION, backend_watch_rules, interval, "interval"), .fallback = "5s", .least = 100,
     .most = HOUR_MS, .help = "how often it is asked for"},
    {FIELD(FIELD_DURATION, backend_watch_rules, timeout, "timeout"), .fallback = "2s", .least = 100,
     .most = HOUR_MS, .help = "how long that may take"},
    {0},
};
const struct section backends_health_section = {sizeof(struct backend_watch_rules), health_fields};

/* A part of the path that is not there would be the same for all. */
static bool check_path(struct decoder *decoder, const struct node *node, const struct limit_by *by)
{
    if (by->kind != BY_PATH || !decoder->path ||
        strstr(decoder->path, arena_printf(decoder->arena, "{%s}", by->name)))
        return true;
    return findings_add(decoder->findings, FINDING_ERROR, node, "the route's path has no {%s}", by->name);
}

bool backends_balance_decode(struct decoder *decoder, const struct node *node, void *member)
{
    static const struct text hash = {"hash:", 5};
    struct backend_balance_rule *rule = member;
    struct text text = node->kind == NODE_SCALAR ? node->text : TEXT("");
    rule->kind = BALANCE_ROUND_ROBIN;
    if (text_equal(text, TEXT("round_robin")))
        return true;
    rule->kind = BALANCE_LEAST_CONNECTIONS;
    if (text_equal(text, TEXT("least_connections")))
        return true;
    if (!text_starts_with(text, hash))
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected %s", BACKENDS_BALANCE_EXPECTED);
    rule->kind = BALANCE_HASH;
    rule->key = (struct limit){.name = "", .by_count = 1, .ipv6_prefix = IPV6_PREFIX};
    return limit_by_decode(decoder, node, text_from(text, hash.length), &rule->key.by[0]) &&
           check_path(decoder, node, &rule->key.by[0]);
}

bool backends_need_caller(const struct backends_rules *rules)
{
    const struct limit_by *by = &rules->balance.key.by[0];
    return rules->balance.kind == BALANCE_HASH &&
           (by->kind == BY_CALLER || by->kind == BY_API_KEY || by->kind == BY_CLAIM);
}

/* ---- the registry */

struct backend_registry *backends_registry(struct decoder *decoder)
{
    pthread_condattr_t attributes;
    if (decoder->backends)
        return decoder->backends;
    struct backend_registry *registry = arena_alloc(decoder->arena, sizeof *registry);
    registry->arena = decoder->arena;
    pthread_mutex_init(&registry->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&registry->aging, &attributes);
    pthread_condattr_destroy(&attributes);
    decoder->backends = registry;
    return registry;
}

static bool is_same(const struct backend *backend, const struct backend_named *named)
{
    return strcmp(backend->place, named->place) == 0 && strcmp(backend->manner, named->manner) == 0;
}

static struct backend *find_backend(struct backend_registry *registry, const struct backend_named *named)
{
    struct backend **place = &registry->first;
    while (*place && !is_same(*place, named))
        place = &(*place)->next;
    if (!*place) {
        *place = arena_alloc(registry->arena, sizeof **place);
        **place = (struct backend){.registry = registry,
                                   .number = registry->count++,
                                   .place = named->place,
                                   .manner = named->manner,
                                   .target = named->target,
                                   .calls = named->calls};
    }
    return *place;
}

static void make_room(struct backend *backend, uint64_t connections)
{
    if (connections <= backend->most)
        return;
    backend->most = connections;
    backend->kept = arena_array(backend->registry->arena, connections, sizeof *backend->kept);
}

static bool is_probed_so(const struct backend *backend, const struct backend_watch_rules *rules,
                         const void *target)
{
    const struct backend_watch_rules *other = &backend->probing->rules->health;
    return strcmp(rules->probe, other->probe) == 0 && rules->interval == other->interval &&
           rules->timeout == other->timeout &&
           (!backend->calls->asks_alike || backend->calls->asks_alike(target, backend->target));
}

/* ---- groups */

/* What there is while a group is made. */
struct making {
    struct decoder *decoder;
    struct backends *group;
    bool (*parse)(void *context, struct text, struct backend_named *, struct error *);
    void *context;
};

static bool add_backend(const struct making *making, const struct backend_named *named,
                        const struct node *node)
{
    struct findings *findings = making->decoder->findings;
    struct backends *group = making->group;
    const struct backend_watch_rules *watch = &group->rules->health;
    struct backend *backend = find_backend(group->registry, named);
    for (size_t i = 0; i < group->count; i++)
        if (group->members[i].backend == backend)
            return findings_add(findings, FINDING_ERROR, node, "%s is there already", named->place);
    if (group->count == BACKENDS_MOST)
        return findings_add(findings, FINDING_ERROR, node,
                            "is one too many, expected at most %d with `backup`", (int)BACKENDS_MOST);
    group->members[group->count++] = (struct member){
        .backend = backend, .target = named->target, .seed = backends_hash(text_of(named->place))};
    make_room(backend, group->rules->connections);
    if (watch->probe && backend->probing && !is_probed_so(backend, watch, named->target))
        return findings_add(findings, FINDING_ERROR, node, "another route probes %s otherwise", named->place);
    if (watch->probe && !backend->probing) {
        backend->probing = group;
        backend->target = named->target;
    }
    if (group->rules->warm > (backend->warming ? backend->warming->rules->warm : 0))
        backend->warming = group;
    return true;
}

static bool add_all(const struct making *making, const struct texts *texts, const struct node *node)
{
    bool good = true;
    for (size_t i = 0; i < texts->count; i++) {
        const struct node *item = node->kind == NODE_LIST && i < node->count ? node->items[i] : node;
        struct backend_named named = {0};
        struct error error = {0};
        if (texts->items[i].length == 0) /* is a finding already */
            good = false;
        else if (!making->parse(making->context, texts->items[i], &named, &error))
            good = findings_add(making->decoder->findings, FINDING_ERROR, item, "\"%.*s\" %s",
                                TEXT_ARGUMENTS(texts->items[i]), error.message);
        else
            good = add_backend(making, &named, item) && good;
    }
    return good;
}

static const struct node *value_of(const struct node *section, const char *key)
{
    const struct node *value = section->kind == NODE_MAP ? node_get(section, key) : NULL;
    return value ? value : section;
}

static bool check_warm(struct decoder *decoder, const struct backends_rules *rules,
                       const struct node *section)
{
    return rules->warm <= rules->connections ||
           findings_add(decoder->findings, FINDING_ERROR, value_of(section, "warm"),
                        "is more than `connections`, which is %llu", (unsigned long long)rules->connections);
}

struct backends *backends_prepare(
    struct decoder *decoder, const struct backends_rules *rules, const struct node *section, const char *key,
    bool (*parse)(void *context, struct text, struct backend_named *, struct error *), void *context)
{
    struct backends *group = arena_alloc(decoder->arena, sizeof *group);
    const struct making making = {decoder, group, parse, context};
    group->registry = backends_registry(decoder);
    group->rules = rules;
    group->reserve = rules->retry_budget > 0 ? RESERVE_MOST : 0;
    bool good = check_warm(decoder, rules, section);
    good = add_all(&making, &rules->addresses, value_of(section, key)) && good;
    group->own = group->count;
    good = add_all(&making, &rules->backups, value_of(section, "backup")) && good;
    if (!good || group->own == 0)
        return NULL;
    group->next = group->registry->groups;
    group->registry->groups = group;
    return group;
}

const void *backends_target(const struct backends *group, size_t index)
{
    return index < group->count ? group->members[index].target : NULL;
}
