/*
 * addresses: who may call, by the client's address behind trusted proxies. An
 * address that is not known is never allowed.
 */
#include "config.h"

#include "base/arena.h"
#include "guard/guard.h"

struct addresses_rules {
    struct networks allow, deny;
};

bool networks_decode(struct decoder *decoder, const struct node *node, void *member)
{
    struct networks *networks = member;
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    networks->items = arena_array(decoder->arena, texts.count, sizeof *networks->items);
    networks->count = texts.count;
    for (size_t i = 0; i < texts.count; i++)
        if (texts.items[i].length > 0 && !network_parse(texts.items[i], &networks->items[i]))
            good = findings_add(
                decoder->findings, FINDING_ERROR, node->kind == NODE_LIST ? node->items[i] : node,
                "\"%.*s\" is not a network, expected an address or one such as 192.0.2.0/24, without "
                "bits behind the prefix",
                TEXT_ARGUMENTS(texts.items[i]));
    return good;
}

static const struct field fields[] = {
    {FIELD(FIELD_OWN, addresses_rules, allow, "allow"), .own = networks_decode,
     .expects = "a list of networks", .help = "networks that may call; all others are refused"},
    {FIELD(FIELD_OWN, addresses_rules, deny, "deny"), .own = networks_decode, .expects = "a list of networks",
     .help = "networks that may not call, whatever `allow` says"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    const struct addresses_rules *rules = settings;
    if (rules->allow.count == 0 && rules->deny.count == 0)
        return findings_add(decoder->findings, FINDING_ERROR, node,
                            "both lists are empty, expected networks in `allow` or `deny`");
    return true;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct addresses_rules *rules = settings;
    const struct address *client = &exchange->request.client;
    if (!client->known)
        return DENY(403, "addresses", "address_not_allowed", "the client's address is not known");
    if (networks_hold(&rules->deny, client))
        return DENY(403, "addresses", "address_not_allowed", "the client's address is in `deny`");
    if (rules->allow.count > 0 && !networks_hold(&rules->allow, client))
        return DENY(403, "addresses", "address_not_allowed", "the client's address is not in `allow`");
    return PASS;
}

static bool is_network(const struct network *network, struct text text)
{
    struct network other;
    return network_parse(text, &other) && network->prefix == other.prefix &&
           address_equal(&network->base, &other.base);
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    static const struct text all[] = {{"0.0.0.0/0", 9}, {"::/0", 4}};
    const struct addresses_rules *rules = settings;
    for (size_t i = 0; i < rules->allow.count; i++)
        for (size_t j = 0; j < sizeof all / sizeof *all; j++)
            if (is_network(&rules->allow.items[i], all[j]))
                findings_add(findings, FINDING_ADVICE, node, "`allow` holds %s, so it keeps nobody out",
                             all[j].at);
}

const struct guard guard_addresses = {
    .name = "addresses",
    .help = "who may call, by address",
    .stage = ON_HEAD,
    .section = {sizeof(struct addresses_rules), fields},
    .prepare = prepare,
    .check = check,
    .advise = advise,
};
