/*
 * Version headers: what replies say of the version they are of, and of its end.
 */
#ifndef RESPOND_VERSION_HEADERS_H
#define RESPOND_VERSION_HEADERS_H

#include "guard/version.h"
#include "http/exchange.h"

/* Sets Deprecation (RFC 9745) and Sunset (RFC 8594), adds to Link (RFC 8288) what belongs to them, and to
 * Vary the header that a version was looked for in. */
void version_headers_apply(const struct versions *, struct exchange *);

#endif
