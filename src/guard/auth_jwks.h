/*
 * jwks_url: the section of jwt for keys that are fetched. What is fetched, and
 * when, is for identity/jwks_remote.h; this reads its rules.
 */
#ifndef GUARD_AUTH_JWKS_H
#define GUARD_AUTH_JWKS_H

#include "data/decode.h"
#include "identity/jwks_remote.h"

extern const struct section auth_jwks_section; /* of struct jwks_rules */

/* Judges the decoded rules of a section that stands at `node`; false with a finding. */
bool auth_jwks_check(const struct jwks_rules *, jose_set algorithms, struct decoder *, const struct node *);

#endif
