/*
 * References to URIs (RFC 3986, 5.2), as far as schemas need them: which
 * document is meant, and which part of it.
 */
#ifndef DATA_SCHEMA_URI_H
#define DATA_SCHEMA_URI_H

#include "base/arena.h"
#include "base/text.h"

/* `reference` seen from `base` ("" for none), without its fragment. */
const char *schema_uri_resolve(struct arena *, const char *base, struct text reference);

/* What stands behind "#", percent-decoded; empty when there is none. False when
 * an escape is broken. */
bool schema_uri_fragment(struct arena *, struct text reference, struct text *fragment);

#endif
