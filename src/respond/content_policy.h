/*
 * Content policy: a Content-Security-Policy (CSP Level 3, W3C) as a policy file
 * has it, a map of directives or the header's own text. It becomes the header's
 * value; where a reply's nonce is to stand, that has 'nonce'.
 */
#ifndef RESPOND_CONTENT_POLICY_H
#define RESPOND_CONTENT_POLICY_H

#include "data/decode.h"

/* Decodes one. Whatever a browser would ignore, or read as something else than
 * was meant, is a finding. `preset`: the text that a map with `preset: true` begins with; empty: there is
 * none. `reports`: it is of the header that only reports. */
bool content_policy_decode(struct decoder *, const struct node *, struct text preset, bool reports,
                           struct text *value);

/* Adds advice on a policy that has been decoded: what is legal and protects from little. */
void content_policy_advise(struct findings *, const struct node *, struct text preset, bool reports);

/* Whether a value has a place for a nonce. */
bool content_policy_has_nonce(struct text value);

/* The value with the nonce in its places; without it there where `nonce` is NULL. In the arena. */
struct text content_policy_fill(struct text value, const char *nonce, struct arena *);

#endif
