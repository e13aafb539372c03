/*
 * From the patterns of ECMA-262 to those of PCRE2.
 */
#ifndef DATA_SCHEMA_PATTERN_ECMA_H
#define DATA_SCHEMA_PATTERN_ECMA_H

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

/* The same pattern as PCRE2 writes it, in the arena; false with an error for
 * what ECMA-262 does not have. What neither knows is left for PCRE2 to refuse. */
bool schema_pattern_rewrite(struct arena *, struct text pattern, struct text *rewritten, struct error *);

#endif
