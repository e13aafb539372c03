/*
 * Error bodies: how a client is told that it was refused, or that something
 * failed. Never a path, a version, a value the client sent, or a detail of the
 * verdict.
 */
#ifndef RESPOND_ERROR_BODY_H
#define RESPOND_ERROR_BODY_H

#include "http/exchange.h"
#include "respond/error_rules.h"

/* Makes exchange->reply the answer for exchange->verdict (not PASS) with its Content-Type,
 * Cache-Control: no-store, Vary where it depends on the client's wishes and, for 405, Allow; for a redirect,
 * Location. Returns the body, JSON of the rules' profile or a page; empty where none may follow. */
struct text error_body(const struct error_rules *, struct exchange *);

/* The codes that there are; NULL past the last. */
const char *error_code(size_t);

/* The sentence for a code ("The request's body is too large"); one for its
 * status when the code has none of its own. */
const char *error_message(const char *code, int status);

#endif
