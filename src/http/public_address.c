/*
 * The special-purpose address registries of IANA (RFC 6890), as a list.
 */
#include "config.h"

#include "http/public_address.h"

static const char *const reserved[] = {
    "0.0.0.0/8",       /* this network, and unspecified */
    "10.0.0.0/8",      /* private, RFC 1918 */
    "100.64.0.0/10",   /* carrier-grade NAT, RFC 6598 */
    "127.0.0.0/8",     /* loopback */
    "169.254.0.0/16",  /* link-local, and the metadata of clouds */
    "172.16.0.0/12",   /* private */
    "192.0.0.0/24",    /* protocol assignments */
    "192.0.2.0/24",    /* documentation */
    "192.88.99.0/24",  /* 6to4 relays, gone */
    "192.168.0.0/16",  /* private */
    "198.18.0.0/15",   /* benchmarks */
    "198.51.100.0/24", /* documentation */
    "203.0.113.0/24",  /* documentation */
    "224.0.0.0/4",     /* multicast */
    "240.0.0.0/4",     /* reserved, and broadcast */
    "2001::/23",       /* protocol assignments: Teredo, ORCHID, benchmarks */
    "2001:db8::/32",   /* documentation */
    "2002::/16",       /* 6to4: an IPv4 address within */
    "3fff::/20",       /* documentation */
};

static bool is_in(const struct address *address, const char *text)
{
    struct network network;
    return network_parse(text_of(text), &network) && networks_hold(&(struct networks){&network, 1}, address);
}

bool address_is_public(const struct address *address)
{
    /* Of IPv6, all that is not 2000::/3 is loopback, unspecified, NAT64,
     * unique-local, link-local, multicast or nobody's. */
    if (!is_in(address, "0.0.0.0/0") && !is_in(address, "2000::/3"))
        return false;
    for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
        if (is_in(address, reserved[i]))
            return false;
    return true;
}
