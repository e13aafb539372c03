/*
 * The rules of a remote key set.
 */
#include "config.h"

#include "guard/auth_jwks.h"

#define SECOND UINT64_C(1000)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

static bool decode_authorities(struct decoder *decoder, const struct node *node, void *member)
{
    return decode_is_elsewhere(decoder, node) || decode_file(decoder, node, JWKS_CA_LIMIT, member);
}

static const struct field fields[] = {
    {FIELD(FIELD_TEXT, jwks_rules, source.url, "url"), .required = true,
     .help = "https address of a JSON Web Key Set"},
    {FIELD(FIELD_DURATION, jwks_rules, times.refresh, "refresh"), .fallback = "1h", .least = SECOND,
     .most = 7 * DAY, .help = "how long a set is fresh"},
    {FIELD(FIELD_DURATION, jwks_rules, times.stale, "stale"), .fallback = "24h", .most = 30 * DAY,
     .help = "how much longer it serves when it cannot be fetched anew"},
    {FIELD(FIELD_DURATION, jwks_rules, times.cooldown, "cooldown"), .fallback = "30s", .least = SECOND,
     .most = HOUR, .help = "least time between two fetches"},
    {FIELD(FIELD_BOOL, jwks_rules, source.private, "private"), .fallback = "false",
     .help = "whether it may be at an address that is not of the public internet"},
    {FIELD(FIELD_OWN, jwks_rules, source.ca, "ca"), .own = decode_authorities,
     .expects = "a file with certificates in PEM",
     .help = "authorities that are trusted instead of the system's"},
    {0},
};

const struct section auth_jwks_section = {sizeof(struct jwks_rules), fields};

/* RFC 8725, 3.1: whoever publishes a secret has none. */
static bool check_algorithms(jose_set algorithms, struct decoder *decoder, const struct node *node)
{
    return !(algorithms & jose_symmetric()) ||
           findings_add(decoder->findings, FINDING_ERROR, node,
                        "HS256, HS384 and HS512 need a secret, and keys that are fetched are public");
}

bool auth_jwks_check(const struct jwks_rules *rules, jose_set algorithms, struct decoder *decoder,
                     const struct node *node)
{
    struct error error = {0};
    const struct node *url = node->kind == NODE_MAP ? node_get(node, "url") : node;
    const struct node *cooldown = node->kind == NODE_MAP ? node_get(node, "cooldown") : NULL;
    bool good = check_algorithms(algorithms, decoder, node);
    if (rules->times.cooldown > rules->times.refresh)
        good = findings_add(decoder->findings, FINDING_ERROR, cooldown ? cooldown : node,
                            "`cooldown` is longer than `refresh`");
    if (rules->source.url && !jwks_source_check(&rules->source, &error))
        good = findings_add(decoder->findings, FINDING_ERROR, url, "%s", error.message);
    return good;
}
