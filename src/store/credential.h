/*
 * Credential: what is known of one API key, and whether a key that somebody
 * presents is that one and still good. Pure functions; where a credential is
 * kept (credentials.h, or a policy) is not known here.
 */
#ifndef STORE_CREDENTIAL_H
#define STORE_CREDENTIAL_H

#include "base/error.h"
#include "identity/api_key.h"

enum { CREDENTIAL_TEXT_LIMIT = 256, CREDENTIAL_WORDS_LIMIT = 64 };

/* Times are seconds since 1970; 0 stands for never. */
struct credential {
    struct text id;
    struct text prefix;
    struct api_key_digest digest;
    struct text owner, note;
    struct texts roles, scopes;
    int64_t created, expires, revoked, last_used;
    int64_t retires;          /* it was rotated, and ends then */
    struct text rotated_from; /* the id of the key that this one replaces; empty: of none */
};

enum key_answer {
    KEY_GOOD,
    KEY_MALFORMED, /* no key at all */
    KEY_MISTYPED,  /* a key, but for a typo */
    KEY_UNKNOWN,   /* there is no such key: which of id and secret is wrong must not be told */
    KEY_EXPIRED,   /* this and the next are only said of a key whose secret was right */
    KEY_REVOKED,
    KEY_UNDECIDED, /* the store could not say, so it is refused */
};

/* Judges a key that was presented by what was found under its id, NULL for
 * nothing. It makes one digest and one comparison whatever was found, so that
 * time does not tell which ids there are: call it for each key that parses. */
enum key_answer credential_judge(const struct api_key *presented, const struct credential *found,
                                 int64_t now);

/* When a key ends by itself: the earlier of `expires` and `retires`; 0: never. */
int64_t credential_end(const struct credential *);

/* Whether a new credential may be kept: an owner, texts that are UTF-8 on one
 * line and not too long, few words enough. False with an error that names the
 * field. The id and the prefix are judged by api_key.h. */
bool credential_is_valid(const struct credential *, struct error *);

/* Whether a role or scope can be kept, and put in a list with blanks or commas: a
 * scope-token of RFC 6749, 3.3, without commas. */
bool credential_word_is_valid(struct text);

#endif
