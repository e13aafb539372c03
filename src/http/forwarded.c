/*
 * The hops of a request, read from left to right: each hop that is not
 * trusted, or cannot be read, replaces what was found before it. So the last
 * such hop remains, which is the first one seen from our side.
 */
#include "config.h"

#include "http/forwarded.h"

struct hops {
    const struct networks *proxies;
    struct address client; /* not known: the hop that decides cannot be read */
    bool any;
};

static void add_hop(struct hops *hops, struct text text)
{
    struct address address;
    if (!address_parse(text, &address) || !networks_hold(hops->proxies, &address) || !hops->any)
        hops->client = address;
    hops->any = true;
}

static void break_off(struct hops *hops)
{
    hops->client = (struct address){0};
    hops->any = true;
}

static int scheme_of(struct text text)
{
    return text_equal_ignore_case(text, TEXT("https")) ? FORWARDED_SECURE : FORWARDED_PLAIN;
}

static void read_list(struct hops *hops, const struct text *value)
{
    struct text rest = value ? *value : (struct text){0}, piece;
    while (text_next(&rest, ',', &piece))
        add_hop(hops, text_trim(piece));
}

static int read_scheme(const struct text *value)
{
    int scheme = FORWARDED_SILENT;
    struct text rest = value ? *value : (struct text){0}, piece;
    while (text_next(&rest, ',', &piece))
        scheme = scheme_of(text_trim(piece));
    return scheme;
}

static bool take_byte(struct text *rest, char byte)
{
    if (rest->length == 0 || rest->at[0] != byte)
        return false;
    *rest = text_from(*rest, 1);
    return true;
}

static void skip_blanks(struct text *rest)
{
    while (take_byte(rest, ' ') || take_byte(rest, '\t'))
        continue;
}

static bool take_token(struct text *rest, struct text *token)
{
    size_t length = 0;
    while (length < rest->length && text_is_token((struct text){rest->at + length, 1}))
        length++;
    *token = (struct text){rest->at, length};
    *rest = text_from(*rest, length);
    return length > 0;
}

/* Behind the opening quote. Escapes are left in: nothing we look for has any. */
static bool take_quoted(struct text *rest, struct text *value)
{
    size_t length = 0;
    while (length < rest->length && rest->at[length] != '"')
        length += rest->at[length] == '\\' ? 2 : 1;
    if (length >= rest->length)
        return false;
    *value = (struct text){rest->at, length};
    *rest = text_from(*rest, length + 1);
    return true;
}

struct element {
    struct text node, proto;
    bool has_node, has_proto;
};

static bool note(bool *has, struct text *at, struct text value)
{
    bool first = !*has;
    *has = true;
    *at = value;
    return first;
}

/* pair = token "=" value; the same name twice is no element. */
static bool take_pair(struct text *rest, struct element *element)
{
    struct text name, value;
    if (!take_token(rest, &name) || !take_byte(rest, '='))
        return false;
    if (!(take_byte(rest, '"') ? take_quoted(rest, &value) : take_token(rest, &value)))
        return false;
    if (text_equal_ignore_case(name, TEXT("for")))
        return note(&element->has_node, &element->node, value);
    if (text_equal_ignore_case(name, TEXT("proto")))
        return note(&element->has_proto, &element->proto, value);
    return true;
}

/* RFC 7239, 4: pairs with ";" between them, up to a "," or the end. */
static bool take_element(struct text *rest, struct element *element)
{
    *element = (struct element){0};
    do {
        skip_blanks(rest);
        if (!take_pair(rest, element))
            return false;
        skip_blanks(rest);
    } while (take_byte(rest, ';'));
    return rest->length == 0 || (take_byte(rest, ',') && rest->length > 0);
}

/* One element that cannot be read spoils all: with a quote opened further left
 * a client could hide what the proxies added. */
static int read_forwarded(struct hops *hops, const struct text *value)
{
    int scheme = FORWARDED_SILENT;
    struct text rest = value ? *value : (struct text){0};
    struct element element;
    while (rest.length > 0) {
        if (!take_element(&rest, &element)) {
            break_off(hops);
            return FORWARDED_PLAIN;
        }
        add_hop(hops, element.node);
        scheme = element.has_proto ? scheme_of(element.proto) : FORWARDED_SILENT;
    }
    return scheme;
}

struct forwarded forwarded_read(const struct headers *headers, const struct networks *proxies,
                                const struct address *peer)
{
    struct hops list = {.proxies = proxies}, elements = {.proxies = proxies};
    struct forwarded forwarded = {.client = *peer};
    read_list(&list, headers_get(headers, "x-forwarded-for"));
    int one = read_scheme(headers_get(headers, "x-forwarded-proto"));
    int other = read_forwarded(&elements, headers_get(headers, "forwarded"));
    if (list.any && elements.any)
        forwarded.client = address_equal(&list.client, &elements.client) ? list.client : (struct address){0};
    else if (list.any || elements.any)
        forwarded.client = list.any ? list.client : elements.client;
    bool plain = one == FORWARDED_PLAIN || other == FORWARDED_PLAIN;
    bool secure = one == FORWARDED_SECURE || other == FORWARDED_SECURE;
    forwarded.scheme = plain ? FORWARDED_PLAIN : secure ? FORWARDED_SECURE : FORWARDED_SILENT;
    return forwarded;
}
