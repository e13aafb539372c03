/*
 * Content source: one word of a Content-Security-Policy's directive, in the
 * grammar of CSP Level 3, 2.3 and 6. Which directives there are is known here,
 * too, and which words each takes; how a policy file writes them is not.
 */
#ifndef RESPOND_CONTENT_SOURCE_H
#define RESPOND_CONTENT_SOURCE_H

#include "base/text.h"

enum directive_kind {
    DIRECTIVE_SOURCES,            /* hosts, schemes, 'self' or 'none' */
    DIRECTIVE_CODE,               /* and nonces, hashes and the keywords for scripts and styles */
    DIRECTIVE_CODE_OF_ATTRIBUTES, /* the same but nonces: attributes have none */
    DIRECTIVE_SANDBOX,
    DIRECTIVE_FLAG, /* it stands alone */
    DIRECTIVE_URIS,
    DIRECTIVE_GROUP,
    DIRECTIVE_SINKS,    /* require-trusted-types-for */
    DIRECTIVE_POLICIES, /* trusted-types */
    DIRECTIVE_WEBRTC,
};

struct directive {
    const char *name;
    enum directive_kind kind;
    bool enforced; /* it has no effect in a policy that only reports */
};

/* The directive of this name (lower case), or NULL. */
const struct directive *directive_find(struct text name);

/* The one whose name is nearest to it, or NULL. */
const char *directive_nearest(const char *name);

/* What is wrong with a word of a directive's value, or NULL; then `*written` is how the header has it.
 * With `bare`, keywords, nonces and hashes may stand without their quotes. All of it is in the arena. */
struct arena;
const char *content_source_fault(const struct directive *, struct text word, bool bare, struct arena *,
                                 struct text *written);

/* Whether a written word is a hash. */
bool content_source_is_hash(struct text written);

#endif
