/*
 * Forwarded: what trusted proxies say of who asked, and how, in Forwarded
 * (RFC 7239) and X-Forwarded-For and -Proto.
 */
#ifndef HTTP_FORWARDED_H
#define HTTP_FORWARDED_H

#include "http/address.h"
#include "http/headers.h"

struct forwarded {
    struct address client;
    enum { FORWARDED_SILENT, FORWARDED_PLAIN, FORWARDED_SECURE } scheme;
};

/* For a request whose `peer` is one of `proxies`. The client is the rightmost
 * hop that is no trusted proxy: what stands left of it is hearsay. It is the
 * leftmost hop when all are trusted, and the peer when there is no report.
 *
 * A report that cannot be read as far as it is needed, or two headers that
 * name different clients, leave the client unknown, never the proxy that
 * reported: or a client could borrow a trusted address by sending nonsense.
 *
 * The scheme is that of the last report; FORWARDED_SECURE only when every
 * header that names one says https. */
struct forwarded forwarded_read(const struct headers *, const struct networks *proxies,
                                const struct address *peer);

#endif
