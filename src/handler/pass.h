/*
 * Pass: what of a web server's own parameters and of an application's steering
 * headers a policy lets through; the same for every handler that tells
 * variables.
 */
#ifndef HANDLER_PASS_H
#define HANDLER_PASS_H

#include "data/decode.h"

/* Whether every name of the section's key `pass` may be handed on, and is there once. False with
 * findings. */
bool pass_check(const struct texts *, struct decoder *, const struct node *section);

/* Whether every name of the section's key `steering` is that of a header that steers some web server
 * (header_steers()), and is there once. False with findings. */
bool steering_check(const struct texts *, struct decoder *, const struct node *section);

/* Where the n-th text of a list under a key stands, for findings; a list of one may be written as
 * a scalar. */
const struct node *pass_item(const struct node *section, const char *key, size_t n);

#endif
