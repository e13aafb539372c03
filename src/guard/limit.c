/*
 * One limit: what a policy may say of it.
 */
#include "config.h"

#include "guard/limit.h"

#include "base/bytes.h"
#include "guard/guard.h"
#include "guard/lease.h"
#include "identity/caller.h"

#define SECOND UINT64_C(1000000)

static bool refuse(struct decoder *decoder, const struct node *node, const char *expected)
{
    if (node->kind != NODE_SCALAR)
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected %s", expected);
    return findings_add(decoder->findings, FINDING_ERROR, node, "\"%.*s\" does not fit, expected %s",
                        TEXT_ARGUMENTS(node->text), expected);
}

static const char rate_expected[] =
    "a rate such as 100/15m, 5/s or 1000/day, at most 1000000000 in 1s to 366d";

static bool read_period(struct text text, uint64_t *microseconds)
{
    static const struct {
        const char *word;
        uint64_t seconds;
    } words[] = {{"s", 1},    {"second", 1},  {"m", 60},    {"minute", 60},
                 {"h", 3600}, {"hour", 3600}, {"d", 86400}, {"day", 86400}};
    uint64_t milliseconds;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (text_equal(text, text_of(words[i].word))) {
            *microseconds = words[i].seconds * SECOND;
            return true;
        }
    if (!decode_duration(text, &milliseconds) || milliseconds < 1000 || milliseconds > QUOTA_TIME_MOST / 1000)
        return false;
    *microseconds = milliseconds * 1000;
    return true;
}

/* What is written with more zeros in front would not fit into the key of a counter. */
enum { RATE_SIZE = 32 };

static bool read_rate(struct text text, struct quota *quota)
{
    size_t slash = text_find(text, '/');
    struct text number = {text.at, slash};
    return text.length <= RATE_SIZE && slash < text.length &&
           text_number(number, QUOTA_LIMIT_MOST, &quota->limit) &&
           read_period(text_from(text, slash + 1), &quota->window);
}

/* What the table fills; `limit` is made of it. */
struct written {
    const struct node *rate;
    uint64_t concurrency;
    int algorithm;
    uint64_t burst, delay;
    struct limit_by by[LIMIT_BY_MOST];
    size_t by_count;
    uint64_t ipv6_prefix;
    int count;
    uint64_t cost;
    bool cost_is_body;
    struct {
        uint64_t length, most;
    } ban;
    struct {
        struct networks addresses;
        struct texts roles;
    } except;
};

static bool keep_rate(struct decoder *decoder, const struct node *node, void *member)
{
    struct quota quota;
    if (node->kind != NODE_SCALAR || !read_rate(node->text, &quota))
        return refuse(decoder, node, rate_expected);
    *(const struct node **)member = node;
    return true;
}

static const char by_expected[] =
    "address, caller, api_key, claim:NAME, header:NAME, path:NAME, route or global";

/* Credentials are no names of people, and would be shown by `fcgiguard limit list`. */
static bool is_secret_header(struct text name)
{
    static const char *const names[] = {"authorization", "proxy-authorization", "cookie", "x-api-key"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_equal_ignore_case(name, text_of(names[i])))
            return true;
    return false;
}

bool limit_by_decode(struct decoder *decoder, const struct node *node, struct text text, struct limit_by *by)
{
    static const char *const words[] = {
        "address", "caller", "api_key", "claim:", "header:", "path:", "route", "global"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct text word = text_of(words[i]);
        bool named = word.at[word.length - 1] == ':';
        if (named ? !text_starts_with(text, word) || text.length == word.length : !text_equal(text, word))
            continue;
        struct text name = named ? text_from(text, word.length) : TEXT("");
        by->kind = (__typeof__(by->kind))i;
        by->name = arena_copy(decoder->arena, name.at, name.length);
        if (by->kind == BY_HEADER && (!text_is_token(name) || name.length > 64))
            return refuse(decoder, node, "a header name of at most 64 bytes");
        if (by->kind == BY_HEADER && is_secret_header(name))
            return findings_add(decoder->findings, FINDING_ERROR, node,
                                "%s holds credentials, expected caller or api_key instead", by->name);
        if (name.length > 64 || !text_is_line(name))
            return refuse(decoder, node, "a name of at most 64 bytes on one line");
        return true;
    }
    return refuse(decoder, node, by_expected);
}

static bool decode_by(struct decoder *decoder, const struct node *node, void *member)
{
    struct written *written = (void *)((char *)member - offsetof(struct written, by));
    struct texts texts;
    bool good = decode_texts(decoder, node, &texts);
    if (texts.count > LIMIT_BY_MOST || (good && texts.count == 0))
        return findings_add(decoder->findings, FINDING_ERROR, node, "expected 1 to %d of %s",
                            (int)LIMIT_BY_MOST, by_expected);
    for (size_t i = 0; i < texts.count; i++)
        good = texts.items[i].length > 0 &&
               limit_by_decode(decoder, node->kind == NODE_LIST ? node->items[i] : node, texts.items[i],
                               &written->by[i]) &&
               good;
    written->by_count = texts.count;
    return good;
}

static bool decode_cost(struct decoder *decoder, const struct node *node, void *member)
{
    struct written *written = (void *)((char *)member - offsetof(struct written, cost));
    written->cost = 1;
    written->cost_is_body = node->kind == NODE_SCALAR && text_equal(node->text, TEXT("body"));
    if (!written->cost_is_body &&
        (node->kind != NODE_SCALAR || !text_number(node->text, QUOTA_COST_MOST, &written->cost) ||
         written->cost == 0))
        return refuse(decoder, node, "a number from 1 to 1000000, or body");
    return true;
}

enum { DAY_MS = 24 * 3600 * 1000 };

static const struct field ban_fields[] = {
    {FIELD(FIELD_DURATION, written, ban.length, "for"), .required = true, .least = 1000,
     .most = UINT64_C(366) * DAY_MS, .help = "how long who is refused is refused"},
    {FIELD(FIELD_DURATION, written, ban.most, "most"), .most = UINT64_C(366) * DAY_MS,
     .help = "each further ban is twice as long, up to this"},
    {0},
};
/* Their offsets are those of the whole struct, so the section begins where it does. */
static const struct section ban_section = {sizeof(struct written), ban_fields};

static const struct field except_fields[] = {
    {FIELD(FIELD_OWN, written, except.addresses, "addresses"), .own = networks_decode,
     .expects = "a list of networks", .help = "clients that do not count"},
    {FIELD(FIELD_TEXTS, written, except.roles, "roles"), .help = "callers with one of these do not count"},
    {0},
};
static const struct section except_section = {sizeof(struct written), except_fields};

static const struct field fields[] = {
    {FIELD(FIELD_OWN, written, rate, "rate"), .own = keep_rate, .expects = "a rate such as 100/15m or 5/s",
     .help = "how many in how long"},
    {FIELD(FIELD_NUMBER, written, concurrency, "concurrency"), .least = 1, .most = 100000,
     .help = "how many at once, in the place of a rate"},
    {FIELD(FIELD_CHOICE, written, algorithm, "algorithm"), .choices = "sliding|fixed|gcra",
     .fallback = "sliding", .help = "in any span of that length, in windows, or one at a time"},
    {FIELD(FIELD_NUMBER, written, burst, "burst"), .most = QUOTA_LIMIT_MOST,
     .help = "gcra: how many may come ahead of the rate"},
    {FIELD(FIELD_DURATION, written, delay, "delay"), .most = 10000,
     .help = "gcra: what is ahead of the rate waits for its turn, at most so long"},
    {FIELD(FIELD_OWN, written, by, "by"), .own = decode_by, .expects = by_expected, .fallback = "address",
     .help = "whose use is counted"},
    {FIELD(FIELD_NUMBER, written, ipv6_prefix, "ipv6_prefix"), .fallback = "64", .least = 16, .most = 128,
     .help = "how many bits of an IPv6 address are one caller"},
    {FIELD(FIELD_CHOICE, written, count, "count"), .choices = "all|failures|successes", .fallback = "all",
     .help = "what is not given back once it is answered"},
    {FIELD(FIELD_OWN, written, cost, "cost"), .own = decode_cost, .expects = "a number, or body",
     .fallback = "1", .help = "how much a request takes; body: one for each 1024 bytes"},
    {.key = "ban",
     .type = FIELD_SECTION,
     .section = &ban_section,
     .help = "how long who is refused stays so"},
    {.key = "except", .type = FIELD_SECTION, .section = &except_section, .help = "who does not count"},
    {0},
};
const struct section limit_section = {sizeof(struct written), fields};

static bool is_late(const struct limit *limit)
{
    bool late = limit->cost_is_body || limit->except_roles.count > 0;
    for (size_t i = 0; i < limit->by_count; i++)
        late = late || limit->by[i].kind == BY_CALLER || limit->by[i].kind == BY_API_KEY ||
               limit->by[i].kind == BY_CLAIM;
    return late;
}

static bool check_algorithm(struct decoder *decoder, const struct node *node, const struct written *written)
{
    static const char *const keys[] = {"burst", "delay", "algorithm", "count", "cost", "ban"};
    bool good = true;
    for (size_t i = 0; node->kind == NODE_MAP && i < sizeof keys / sizeof *keys; i++) {
        const struct node *item = node_get(node, keys[i]);
        if (item && written->concurrency)
            good = findings_add_key(decoder->findings, FINDING_ERROR, item, "this is for a `rate` alone");
        else if (item && i < 2 && written->algorithm != 2)
            good = findings_add_key(decoder->findings, FINDING_ERROR, item,
                                    "this is for `algorithm: gcra` alone");
    }
    if (written->ban.most && written->ban.most < written->ban.length)
        good = findings_add(decoder->findings, FINDING_ERROR, node_get(node, "ban"),
                            "`most` is less than `for`");
    return good;
}

static void set_quota(struct limit *limit, const struct written *written)
{
    static const enum quota_algorithm algorithms[] = {QUOTA_SLIDING, QUOTA_FIXED, QUOTA_GCRA};
    struct quota *quota = &limit->quota;
    limit->slots = written->concurrency > 0;
    if (limit->slots)
        *quota =
            (struct quota){.algorithm = QUOTA_SLIDING, .limit = written->concurrency, .window = LEASE_WINDOW};
    else
        read_rate(written->rate->text, quota);
    if (!limit->slots)
        quota->algorithm = algorithms[written->algorithm];
    quota->burst = written->burst;
    quota->delay = written->delay * 1000;
    quota->ban = written->ban.length * 1000;
    quota->ban_most = written->ban.most * 1000;
}

static void set_local(struct limit *limit, uint64_t share)
{
    uint64_t most = limit->quota.limit * share / 100;
    limit->local = limit->quota;
    limit->local.limit = most == 0 && limit->quota.limit > 0 ? 1 : most;
    limit->local.burst = limit->quota.burst * share / 100;
}

/* Without blanks, and short, for it begins a key. */
static const char *name_of_route(struct decoder *decoder, const struct limit *limit)
{
    struct bytes name = bytes_new(decoder->arena, COUNTER_KEY_SIZE);
    limit_key_add(&name, text_of(decoder->path ? decoder->path : "defaults"));
    bytes_printf(&name, ":%s", limit->slots ? "concurrency" : limit->rule);
    bytes_add(&name, "", 1);
    return name.at;
}

static struct limit *make(struct decoder *decoder, const struct node *node, const char *name,
                          const struct written *written)
{
    const struct limits *all = decoder->limits;
    struct limit *limit = arena_alloc(decoder->arena, sizeof *limit);
    set_quota(limit, written);
    set_local(limit, all->local_share);
    limit->rule = limit->slots
                      ? arena_printf(decoder->arena, "%llu at once", (unsigned long long)written->concurrency)
                      : arena_copy(decoder->arena, written->rate->text.at, written->rate->text.length);
    limit->name = name ? name : name_of_route(decoder, limit);
    memcpy(limit->by, written->by, sizeof limit->by);
    limit->by_count = written->by_count;
    limit->ipv6_prefix = written->ipv6_prefix;
    limit->count = written->count;
    limit->cost = written->cost;
    limit->cost_is_body = written->cost_is_body;
    limit->except_addresses = written->except.addresses;
    limit->except_roles = written->except.roles;
    limit->late = is_late(limit);
    limit->node = node;
    return limit;
}

/* Not every store can count every rule. */
static bool fits(struct decoder *decoder, const struct limit *limit)
{
    struct error error = {0};
    const char *place = decoder->limits->store.place;
    return !place || counters_fit(place, &limit->quota, &error) ||
           findings_add(decoder->findings, FINDING_ERROR, limit->node, "%s", error.message);
}

struct limit *limit_decode(struct decoder *decoder, const struct node *node, const char *name)
{
    struct written written = {0};
    if (!decode_section(decoder, &limit_section, node, &written))
        return NULL;
    if (!written.rate == !written.concurrency) {
        findings_add(decoder->findings, FINDING_ERROR, node, "expected one of `rate` and `concurrency`");
        return NULL;
    }
    if (!check_algorithm(decoder, node, &written))
        return NULL;
    struct limit *limit = make(decoder, node, name, &written);
    return fits(decoder, limit) ? limit : NULL;
}

/* ---- requests */

bool limit_excepts(const struct limit *limit, const struct exchange *exchange)
{
    if (networks_hold(&limit->except_addresses, &exchange->request.client))
        return true;
    for (size_t i = 0; exchange->caller && i < limit->except_roles.count; i++)
        if (caller_has(&exchange->caller->roles, limit->except_roles.items[i]))
            return true;
    return false;
}

uint64_t limit_cost(const struct limit *limit, const struct exchange *exchange)
{
    int64_t stated = exchange->body.stated;
    if (!limit->cost_is_body)
        return limit->cost;
    uint64_t bytes = stated < 0 ? exchange->body.limit : (uint64_t)stated;
    uint64_t units = bytes / 1024 + (bytes % 1024 != 0);
    return units == 0 ? 1 : units > QUOTA_COST_MOST ? QUOTA_COST_MOST : units;
}
