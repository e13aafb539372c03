/*
 * Which addresses are of the public internet: an address that a stranger may
 * have chosen (in DNS, say) must not lead back into one's own machine or network.
 */
#ifndef HTTP_PUBLIC_ADDRESS_H
#define HTTP_PUBLIC_ADDRESS_H

#include "http/address.h"

/* Whether it is a unicast address of the public internet; false for one that is
 * not known. An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4,
 * Teredo) is never, unless it is the mapped form of a public one, which is that
 * address here. */
bool address_is_public(const struct address *);

#endif
