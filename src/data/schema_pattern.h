/*
 * Patterns as ECMA-262 writes them with the flag "u" (and what people write
 * without it), matched by PCRE2 within limits: a pattern that backtracks too
 * much is no match but a refusal.
 */
#ifndef DATA_SCHEMA_PATTERN_H
#define DATA_SCHEMA_PATTERN_H

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

struct schema_pattern;  /* one compiled pattern; immutable */
struct schema_patterns; /* the patterns of one schema */

/* What one thread needs while it matches; starts as zeros. */
struct schema_pattern_work {
    void *data, *context;
    unsigned retries; /* matches that took more than their length explains */
};

struct schema_patterns *schema_patterns_new(struct arena *);

/* Ends the patterns; what is in the arena stays there. NULL is allowed. */
void schema_patterns_free(struct schema_patterns *);

/* The same pattern twice is compiled once. NULL with an error when it is none. */
const struct schema_pattern *schema_pattern_compile(struct schema_patterns *, struct arena *, struct text,
                                                    struct error *);

enum pattern_result { PATTERN_MATCHES, PATTERN_DIFFERS, PATTERN_EXHAUSTED };

/* Whether the pattern is found anywhere in the text, which must be UTF-8. */
enum pattern_result schema_pattern_match(const struct schema_pattern *, struct schema_pattern_work *,
                                         struct text);

void schema_pattern_work_free(struct schema_pattern_work *);

/* Whether the text is a pattern of ECMA-262. */
bool schema_pattern_is_valid(struct text);

#endif
