/*
 * Addresses: IPv4 and IPv6 addresses and networks in one form, 16 bytes, with
 * IPv4 mapped (RFC 4291, 2.5.5.2), so that ::ffff:192.0.2.1 is 192.0.2.1.
 */
#ifndef HTTP_ADDRESS_H
#define HTTP_ADDRESS_H

#include "base/text.h"

struct address {
    bool known; /* false: a peer on a unix socket, or text that is no address */
    unsigned char bytes[16];
};
struct network {
    struct address base;
    unsigned prefix; /* 0 to 128, of the mapped form */
};
struct networks {
    struct network *items;
    size_t count;
};

enum { ADDRESS_TEXT_SIZE = 46 };

/* Reads "192.0.2.1", "2001:db8::1" or "[2001:db8::1]", each also with ":port"
 * (IPv6 then only in brackets), as in X-Forwarded-For and RFC 7239. No zone
 * ids, no leading zeros, no short IPv4 forms. False when it is none of these. */
bool address_parse(struct text, struct address *);

/* RFC 5952; "unknown" for one that is not known. Returns `to`. */
const char *address_format(const struct address *, char to[ADDRESS_TEXT_SIZE]);

/* Reads "192.0.2.0/24", "2001:db8::/32" or a single address. False when it is
 * none, or has bits set behind its prefix. */
bool network_parse(struct text, struct network *);

/* Whether one of the networks holds the address; an unknown one is in none.
 * IPv4 addresses are only in networks written as IPv4 (or within
 * ::ffff:0:0/96): ::/0 is all of IPv6 and nothing else. */
bool networks_hold(const struct networks *, const struct address *);

bool address_equal(const struct address *, const struct address *);

#endif
