/*
 * Host: the authority a request is for, in one spelling.
 */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

#include "base/text.h"

struct host {
    struct text name; /* lower case, without brackets and trailing dot; an IPv6 address as in RFC 5952 */
    struct text port; /* digits, 1 to 65535 without leading zeros, or empty */
};

/* Reads "example.com", "192.0.2.1" or "[2001:db8::1]", each also with ":port".
 * Names are letters, digits, "-" and "_" in labels of 1 to 63 characters, 253
 * in all; what else RFC 3986 allows (percent, "'", ";" ...) is in no host's
 * name but in many attacks. A name whose last label is a number must be an
 * IPv4 address. False when it is none of these. */
bool host_parse(struct text, struct arena *, struct host *);

/* Whether a name, or an IPv6 address in brackets, is in the spelling that host_parse() gives it. */
bool host_is_canonical(struct text);

/* The two together, with brackets where they are needed. */
struct text host_format(const struct host *, struct arena *);

#endif
