/*
 * hosts: the names a route answers to. A request for another host is refused,
 * so that no link, cache entry or redirect can be made with a name of somebody
 * else's choosing.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"
#include "http/host.h"

struct pattern {
    struct host host; /* the name below the "*." of a wildcard */
    bool wildcard;
};

struct patterns {
    struct pattern *items;
    size_t count;
};

struct hosts_rules {
    struct patterns names;
};

static bool read_pattern(struct text text, struct arena *arena, struct pattern *pattern)
{
    pattern->wildcard = text_starts_with(text, TEXT("*."));
    if (!host_parse(text_from(text, pattern->wildcard ? 2 : 0), arena, &pattern->host))
        return false;
    struct address address;
    return !pattern->wildcard || !address_parse(pattern->host.name, &address);
}

static bool decode_patterns(struct decoder *decoder, const struct node *node, void *member)
{
    struct patterns *patterns = member;
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    if (good && texts.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "there is no host, expected at least one");
    patterns->items = arena_array(decoder->arena, texts.count, sizeof *patterns->items);
    patterns->count = texts.count;
    for (size_t i = 0; i < texts.count; i++)
        if (texts.items[i].length > 0 && !read_pattern(texts.items[i], decoder->arena, &patterns->items[i]))
            good = findings_add(decoder->findings, FINDING_ERROR,
                                node->kind == NODE_LIST ? node->items[i] : node,
                                "\"%.*s\" is not a host, expected one such as example.com, *.example.com, "
                                "192.0.2.1 or [2001:db8::1], with or without a :port",
                                TEXT_ARGUMENTS(texts.items[i]));
    return good;
}

static const struct field fields[] = {
    {FIELD(FIELD_OWN, hosts_rules, names, "names"), .required = true, .own = decode_patterns,
     .expects = "a list of hosts",
     .help = "hosts the route answers to: names, *.names, addresses, each with or without a port"},
    {0},
};

/* A wildcard stands for one label or more, never for none. */
static bool name_fits(const struct pattern *pattern, struct text name)
{
    struct text base = pattern->host.name;
    if (!pattern->wildcard)
        return text_equal(name, base);
    return name.length > base.length + 1 && text_ends_with(name, base) &&
           name.at[name.length - base.length - 1] == '.';
}

/* A pattern without a port takes any. A request without one has its scheme's, or that at which the web
 * server took it: Debian's nginx hands a Host on without its port. */
static bool port_fits(const struct pattern *pattern, const struct request *request)
{
    struct text port = pattern->host.port;
    if (port.length == 0 || request->host_port.length > 0)
        return port.length == 0 || text_equal(port, request->host_port);
    return text_equal(port, request->secure ? TEXT("443") : TEXT("80")) ||
           text_equal(port, request_server_param(request, "SERVER_PORT"));
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct hosts_rules *rules = settings;
    const struct request *request = &exchange->request;
    if (request->host.length == 0)
        return DENY(400, "hosts", "host_missing", "the request names no host");
    for (size_t i = 0; i < rules->names.count; i++)
        if (name_fits(&rules->names.items[i], request->host) && port_fits(&rules->names.items[i], request))
            return PASS;
    return DENY(400, "hosts", "host_not_allowed", "the request is for another host");
}

const struct guard guard_hosts = {
    .name = "hosts",
    .help = "the hosts a route answers to",
    .stage = ON_HEAD,
    .section = {sizeof(struct hosts_rules), fields},
    .check = check,
};
