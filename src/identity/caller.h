/*
 * Caller: who is calling, as a guard has found out. It is the same for tokens
 * and keys: a name, roles, scopes, and claims as JSON.
 */
#ifndef IDENTITY_CALLER_H
#define IDENTITY_CALLER_H

#include <jansson.h>

#include "base/arena.h"
#include "base/text.h"

/* What a program is told besides. */
struct caller_variable {
    struct text name, value;
};

/* Its texts live as long as the request or the claims. */
struct caller {
    const char *method; /* the name of the way in the policy */
    const char *scheme; /* CGI's AUTH_TYPE: "Bearer", "ApiKey" */
    struct text name;   /* CGI's REMOTE_USER; may be empty */
    struct texts roles, scopes;
    const json_t *claims; /* an object */
    struct text key;      /* the id of an API key, else empty */
    struct caller_variable *variables;
    size_t variable_count;
    int64_t expires; /* of the credential; seconds since 1970, 0: never */
    bool ambient;    /* it came where browsers put one by themselves, whatever page made them ask */
};

/* The claim of that name, or at that path with dots between the names, in an
 * object; NULL when there is none. A whole name wins over a path. */
const json_t *caller_claim(const json_t *claims, const char *path);

/* The words of a claim: a list of texts, or one text with blanks between words.
 * Anything else has none. In the arena. */
struct texts caller_words(const json_t *claim, struct arena *);

/* Whether a claim is that text, or is a list that has it. Numbers and booleans
 * are compared as JSON writes them. */
bool caller_claim_has(const json_t *claim, struct text);

/* The text of a claim for a program: a text as it is, a list of texts joined by
 * blanks where each can be a word, else JSON. In the arena; empty with NULL for
 * no claim. */
struct text caller_claim_text(const json_t *claim, struct arena *);

/* All of the words without blanks and control characters, joined by blanks. In the arena. */
struct text caller_join(const struct texts *, struct arena *);

bool caller_has(const struct texts *, struct text);

#endif
