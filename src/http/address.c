/*
 * Addresses as text and back. Strict on purpose: a form that two programs may
 * read differently (leading zeros, "127.1", zone ids) is no address here.
 */
#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "http/address.h"

enum { PORT_LIMIT = 65535, PORT_DIGITS = 5, V4_PREFIX = 96, V6_BITS = 128 };

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct address *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

/* An address alone: no brackets, no port. */
static bool parse_bare(struct text text, struct address *address)
{
    char copy[ADDRESS_TEXT_SIZE];
    *address = (struct address){0};
    if (text.length == 0 || text.length >= sizeof copy || text_find(text, '\0') < text.length)
        return false;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    if (inet_pton(AF_INET, copy, address->bytes + sizeof mapped) == 1)
        memcpy(address->bytes, mapped, sizeof mapped);
    else if (inet_pton(AF_INET6, copy, address->bytes) != 1)
        return false;
    address->known = true;
    return true;
}

static bool is_port(struct text text)
{
    uint64_t port;
    return text.length <= PORT_DIGITS && text_number(text, PORT_LIMIT, &port);
}

static bool parse_bracketed(struct text text, struct address *address)
{
    size_t end = text_find(text, ']');
    if (end == text.length)
        return false;
    struct text inner = {text.at + 1, end - 1}, port = text_from(text, end + 1);
    return text_find(inner, ':') < inner.length &&
           (port.length == 0 || (port.at[0] == ':' && is_port(text_from(port, 1)))) &&
           parse_bare(inner, address);
}

bool address_parse(struct text text, struct address *address)
{
    *address = (struct address){0};
    if (text.length > 0 && text.at[0] == '[')
        return parse_bracketed(text, address);
    size_t colon = text_find(text, ':');
    struct text rest = text_from(text, colon + 1);
    if (colon < text.length && text_find(rest, ':') == rest.length) /* exactly one: IPv4 and a port */
        return is_port(rest) && parse_bare((struct text){text.at, colon}, address);
    return parse_bare(text, address);
}

/* The longest run of at least two zero groups, the first of equals (RFC 5952, 4.2). */
static void find_zeros(const unsigned groups[8], int *start, int *length)
{
    *start = -1;
    *length = 1;
    for (int i = 0; i < 8; i++) {
        int end = i;
        while (end < 8 && groups[end] == 0)
            end++;
        if (end - i > *length) {
            *start = i;
            *length = end - i;
        }
    }
}

static void format_v6(const unsigned char bytes[16], char to[ADDRESS_TEXT_SIZE])
{
    unsigned groups[8];
    for (int i = 0; i < 8; i++)
        groups[i] = (unsigned)bytes[2 * i] << 8 | bytes[2 * i + 1];
    int start, length;
    find_zeros(groups, &start, &length);
    char *end = to;
    for (int i = 0; i < 8; i++) {
        size_t room = (size_t)(to + ADDRESS_TEXT_SIZE - end);
        if (i == start) {
            end += snprintf(end, room, "::");
            i += length - 1;
        } else {
            bool first = i == 0 || i == start + length;
            end += snprintf(end, room, "%s%x", first ? "" : ":", groups[i]);
        }
    }
}

static char *format_byte(char *to, unsigned byte)
{
    if (byte >= 100)
        *to++ = (char)('0' + byte / 100);
    if (byte >= 10)
        *to++ = (char)('0' + byte / 10 % 10);
    *to++ = (char)('0' + byte % 10);
    return to;
}

static void format_v4(const unsigned char bytes[4], char *to)
{
    for (int i = 0; i < 4; i++) {
        to = format_byte(to, bytes[i]);
        *to++ = i < 3 ? '.' : '\0';
    }
}

const char *address_format(const struct address *address, char to[ADDRESS_TEXT_SIZE])
{
    const unsigned char *v4 = address->bytes + sizeof mapped;
    if (!address->known)
        snprintf(to, ADDRESS_TEXT_SIZE, "unknown");
    else if (is_v4(address))
        format_v4(v4, to);
    else
        format_v6(address->bytes, to);
    return to;
}

static bool is_base(const struct network *network)
{
    for (unsigned bit = network->prefix; bit < V6_BITS; bit++)
        if (network->base.bytes[bit / 8] & 0x80 >> bit % 8)
            return false;
    return true;
}

bool network_parse(struct text text, struct network *network)
{
    size_t slash = text_find(text, '/');
    struct text base = {text.at, slash}, prefix = text_from(text, slash + 1);
    uint64_t bits;
    if (!parse_bare(base, &network->base))
        return false;
    network->prefix = V6_BITS;
    if (slash == text.length)
        return true;
    unsigned offset = text_find(base, ':') == base.length ? V4_PREFIX : 0;
    bool padded = prefix.length > 1 && prefix.at[0] == '0';
    if (padded || !text_number(prefix, V6_BITS - offset, &bits))
        return false;
    network->prefix = offset + (unsigned)bits;
    return is_base(network);
}

static bool holds(const struct network *network, const struct address *address)
{
    unsigned whole = network->prefix / 8, rest = network->prefix % 8;
    /* The mapped range lies within ::/0 by its bytes only: an IPv6 network
     * says nothing of IPv4. */
    if (is_v4(address) && network->prefix < V4_PREFIX)
        return false;
    if (memcmp(network->base.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || (network->base.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

bool networks_hold(const struct networks *networks, const struct address *address)
{
    if (!address->known)
        return false;
    for (size_t i = 0; i < networks->count; i++)
        if (holds(&networks->items[i], address))
            return true;
    return false;
}

bool address_equal(const struct address *one, const struct address *other)
{
    return one->known && other->known && memcmp(one->bytes, other->bytes, sizeof one->bytes) == 0;
}
