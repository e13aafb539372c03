/*
 * Mask: what of a handler's reply must not reach the client: headers that
 * steer the web server, and bodies of server errors.
 */
#ifndef RESPOND_MASK_H
#define RESPOND_MASK_H

#include "http/exchange.h"

/* Removes headers by which a reply steers a web server (X-Sendfile,
 * X-LIGHTTPD-send-file, X-Accel-*, X-Sendfile2, X-LIGHTTPD-*), except those in
 * `allowed`, and hop-by-hop ones (RFC 9110, 7.6.1). */
void mask_headers(struct reply *, const struct texts *allowed);

/* Whether the handler's body is to be replaced by error_body(): a 5xx of its
 * own, unless the route lets them through. */
bool mask_wants_replacement(const struct reply *, bool pass_errors);

#endif
