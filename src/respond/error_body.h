/*
 * Error bodies: the one JSON form in which a client is told that it was
 * refused, or that something failed. Never a path, a version, a value the
 * client sent, or a detail of the verdict.
 */
#ifndef RESPOND_ERROR_BODY_H
#define RESPOND_ERROR_BODY_H

#include "http/exchange.h"

/* Makes exchange->reply the answer for exchange->verdict (not PASS) with its
 * Content-Type, Cache-Control: no-store and, for 405, Allow; for a redirect,
 * Location. Returns the body: {"error": code, "message": text, "requestId": id}. */
struct text error_body(struct exchange *);

/* The sentence for a code ("The request's body is too large"); one for its
 * status when the code has none of its own. */
const char *error_message(const char *code, int status);

#endif
