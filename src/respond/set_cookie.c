/*
 * A cookie is taken apart and written again with one blank behind each ";".
 * Attributes that browsers ignore are left out; of those that stand more than
 * once, and of which the last counts, the last is kept.
 */
#include "config.h"

#include "respond/set_cookie.h"

#include "base/bytes.h"

/* RFC 6265bis, 5.6: bytes of name and value, and of an attribute's value. */
enum { PAIR_LIMIT = 4096, ATTRIBUTE_LIMIT = 1024, ATTRIBUTES_LIMIT = 32 };
enum { HARDENING = 3, HARDENING_BYTES = 64 }; /* attributes that are added, and their bytes */

struct attribute {
    struct text name, value;
    bool has_value;
};

struct cookie {
    struct text name, value;
    struct attribute attributes[ATTRIBUTES_LIMIT + HARDENING];
    size_t count;
};

/* ---- the policy's key */

static const struct field cookie_fields[] = {
    {FIELD(FIELD_BOOL, cookie_rules, secure, "secure"), .fallback = "true",
     .help = "cookies come back by HTTPS only"},
    {FIELD(FIELD_BOOL, cookie_rules, http_only, "http_only"), .fallback = "true",
     .help = "scripts of a page cannot read them"},
    {FIELD(FIELD_CHOICE, cookie_rules, same_site, "same_site"), .choices = "off|lax|strict",
     .fallback = "lax", .help = "at least how far requests of other sites bring them"},
    {FIELD(FIELD_TEXTS, cookie_rules, script, "script"),
     .help = "names of cookies that scripts read, in spite of http_only"},
    {FIELD(FIELD_TEXTS, cookie_rules, cross, "cross"),
     .help = "names of cookies for other sites, in spite of same_site"},
    {0},
};
const struct section cookie_section = {sizeof(struct cookie_rules), cookie_fields};

static bool check_names(struct decoder *decoder, const struct node *node, const struct texts *names,
                        bool wanted, const char *key)
{
    bool good = true;
    for (size_t i = 0; i < names->count; i++)
        if (names->items[i].length > 0 && !text_is_token(names->items[i]))
            good = findings_add(decoder->findings, FINDING_ERROR, node_get(node, key),
                                "\"%.*s\" is not a cookie's name", TEXT_ARGUMENTS(names->items[i]));
    if (names->count > 0 && !wanted)
        good = findings_add(decoder->findings, FINDING_ERROR, node_get(node, key),
                            "there is nothing that these would be spared from");
    return good;
}

bool set_cookie_decode(struct decoder *decoder, const struct node *node, void *member)
{
    struct cookie_rules *rules = member;
    *rules = (struct cookie_rules){0};
    bool word = node->kind == NODE_SCALAR && node->plain;
    if (word && (text_equal(node->text, TEXT("off")) || text_equal(node->text, TEXT("false"))))
        return true;
    if (node->kind != NODE_MAP && !(word && text_equal(node->text, TEXT("true"))))
        return findings_add(
            decoder->findings, FINDING_ERROR, node,
            "this does not fit, expected true, off, or a map with secure, http_only, same_site");
    rules->given = true;
    bool good = decode_section(decoder, &cookie_section, node, rules);
    good = check_names(decoder, node, &rules->script, rules->http_only, "script") && good;
    return check_names(decoder, node, &rules->cross, rules->same_site != SAME_SITE_OFF, "cross") && good;
}

/* ---- reading */

/* One that browsers do not know is kept, for they ignore it; of Path and the like the last counts. */
static void add_attribute(struct cookie *cookie, struct text piece)
{
    size_t equals = text_find(piece, '=');
    struct attribute attribute = {.name = text_trim((struct text){piece.at, equals}),
                                  .value = text_trim(text_from(piece, equals + 1)),
                                  .has_value = equals < piece.length};
    if (attribute.name.length == 0 || attribute.value.length > ATTRIBUTE_LIMIT)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < cookie->count; i++)
        if (!text_equal_ignore_case(cookie->attributes[i].name, attribute.name))
            cookie->attributes[kept++] = cookie->attributes[i];
    cookie->count = kept;
    cookie->attributes[cookie->count++] = attribute;
}

/* False with a reason when browsers would drop it, or it is nothing a server may send. */
static bool read_cookie(struct text value, struct cookie *cookie, const char **fault)
{
    size_t end = text_find(value, ';'), equals;
    struct text pair = {value.at, end}, rest = text_from(value, end + 1), piece;
    *cookie = (struct cookie){0};
    if (!text_is_printable(value))
        return *fault = "it has a control character", false;
    equals = text_find(pair, '=');
    cookie->name = text_trim((struct text){pair.at, equals});
    cookie->value = text_trim(text_from(pair, equals + 1));
    if (equals == pair.length || cookie->name.length == 0)
        return *fault = "it has no name", false;
    if (cookie->name.length + cookie->value.length > PAIR_LIMIT)
        return *fault = "its name and value are longer than 4096 bytes", false;
    while (text_next(&rest, ';', &piece)) {
        if (cookie->count == ATTRIBUTES_LIMIT)
            return *fault = "it has too many attributes", false;
        add_attribute(cookie, piece);
    }
    return true;
}

static const struct attribute *find(const struct cookie *cookie, const char *name)
{
    for (size_t i = 0; i < cookie->count; i++)
        if (text_equal_ignore_case(cookie->attributes[i].name, text_of(name)))
            return &cookie->attributes[i];
    return NULL;
}

/* ---- prefixes of names (4.1.3): what they promise is there, or browsers drop it */

struct prefix {
    const char *prefix;
    bool host, http_only; /* without Domain and for all paths; not for scripts */
};

static const struct prefix prefixes[] = {{"__Host-Http-", true, true},
                                         {"__Http-", false, true},
                                         {"__Host-", true, false},
                                         {"__Secure-", false, false}};

static const struct prefix *find_prefix(struct text name)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct text prefix = text_of(prefixes[i].prefix);
        if (name.length >= prefix.length &&
            text_equal_ignore_case((struct text){name.at, prefix.length}, prefix))
            return &prefixes[i];
    }
    return NULL;
}

static bool keeps_to_host(const struct cookie *cookie)
{
    const struct attribute *path = find(cookie, "Path");
    return !find(cookie, "Domain") && path && text_equal(path->value, TEXT("/"));
}

/* ---- hardening */

static void set(struct cookie *cookie, const char *name, const char *value)
{
    const struct attribute attribute = {text_of(name), text_of(value), *value != '\0'};
    const struct attribute *old = find(cookie, name);
    if (old)
        cookie->attributes[old - cookie->attributes] = attribute;
    else
        cookie->attributes[cookie->count++] = attribute;
}

static int same_site_of(const struct cookie *cookie)
{
    const struct attribute *attribute = find(cookie, "SameSite");
    if (attribute && text_equal_ignore_case(attribute->value, TEXT("Strict")))
        return SAME_SITE_STRICT;
    return attribute && text_equal_ignore_case(attribute->value, TEXT("Lax")) ? SAME_SITE_LAX : SAME_SITE_OFF;
}

/* Other sites' cookies, and those in parts of their own, exist with Secure only (5.7; CHIPS). */
static bool needs_secure(const struct cookie *cookie)
{
    const struct attribute *site = find(cookie, "SameSite");
    return (site && text_equal_ignore_case(site->value, TEXT("None"))) || find(cookie, "Partitioned");
}

static void harden(const struct cookie_rules *rules, struct cookie *cookie, const struct prefix *prefix)
{
    static const char *const words[] = {"", "Lax", "Strict"};
    bool spared = texts_have(&rules->cross, cookie->name);
    if (!spared && same_site_of(cookie) < rules->same_site)
        set(cookie, "SameSite", words[rules->same_site]);
    if (rules->secure || prefix || needs_secure(cookie))
        set(cookie, "Secure", "");
    if ((rules->http_only && !texts_have(&rules->script, cookie->name)) || (prefix && prefix->http_only))
        set(cookie, "HttpOnly", "");
}

static struct text write_cookie(const struct cookie *cookie, size_t limit, struct arena *arena)
{
    struct bytes value = bytes_new(arena, limit);
    bytes_add_text(&value, cookie->name);
    bytes_add(&value, "=", 1);
    bytes_add_text(&value, cookie->value);
    for (size_t i = 0; i < cookie->count; i++) {
        const struct attribute *attribute = &cookie->attributes[i];
        bytes_add(&value, "; ", 2);
        bytes_add_text(&value, attribute->name);
        if (attribute->has_value)
            bytes_add(&value, "=", 1);
        bytes_add_text(&value, attribute->value);
    }
    return bytes_text(&value);
}

struct text set_cookie_harden(const struct cookie_rules *rules, struct text value, struct arena *arena,
                              const char **fault)
{
    struct cookie cookie;
    *fault = NULL;
    if (!read_cookie(value, &cookie, fault))
        return (struct text){0};
    const struct prefix *prefix = find_prefix(cookie.name);
    if (prefix && prefix->host && !keeps_to_host(&cookie)) {
        *fault = "its name begins with __Host-, which goes with Path=/ and no Domain";
        return (struct text){0};
    }
    harden(rules, &cookie, prefix);
    return write_cookie(&cookie, value.length + ATTRIBUTES_LIMIT + HARDENING_BYTES, arena);
}

void set_cookie_apply(const struct cookie_rules *rules, struct exchange *exchange,
                      void (*dropped)(struct exchange *, struct verdict))
{
    struct headers *headers = &exchange->reply.headers;
    size_t kept = 0;
    if (!rules->given)
        return;
    for (size_t i = 0; i < headers->count; i++) {
        struct header header = headers->items[i];
        const char *fault = NULL;
        if (text_equal_ignore_case(header.name, TEXT("set-cookie")))
            header.value = set_cookie_harden(rules, header.value, exchange->arena, &fault);
        if (!fault)
            headers->items[kept++] = header;
        else if (dropped)
            dropped(exchange, DENY(exchange->reply.status, "cookies", "cookie_dropped", fault));
    }
    headers->count = kept;
}
