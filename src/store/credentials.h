/*
 * Credentials: the digests of API keys and what is known of each, and the
 * tokens that were revoked before their time, in a store that all who use it
 * see at once: a SQLite file by every process of this machine, a Redis server
 * by every machine. No secret is in it, and nothing is cached: a key
 * that was revoked is found revoked by the next look. What is wrong with a
 * store is an error, never an empty answer.
 */
#ifndef STORE_CREDENTIALS_H
#define STORE_CREDENTIALS_H

#include "base/arena.h"
#include "store/credential.h"

enum {
    LAST_USED_SECONDS = 60,     /* last_used is written at most so often for a key */
    TOKEN_NAME_LIMIT = 1024,    /* longest `jti` and `sub` that can be revoked */
    SAME_LIFETIME = -1,         /* `expires` of a key that is to last as long as the one it replaces */
    TOKEN_KEPT_SECONDS = 86400, /* how long a revoked token is kept past its end, for clocks that differ */
};

/* What became of a look or a change. */
enum credentials_result {
    CREDENTIALS_DONE,
    CREDENTIALS_MISSING, /* there is no such key */
    CREDENTIALS_TAKEN,   /* there is a key with this id already */
    CREDENTIALS_ENDED,   /* the key is revoked or expired */
    CREDENTIALS_FULL,    /* the owner has as many keys as he may */
    CREDENTIALS_FAILED,  /* the store could not say: the error does */
};

struct credentials;

/* How many keys one owner may have. */
struct credentials_limit {
    uint64_t usable, all;
};

/* Opens a store by its place: the path of a file, or a redis:, rediss: or redis+unix: URL, whose
 * `password` may be NULL. Open it after a fork, never before one; any thread may use it,
 * and looks do not wait for changes. Close it with credentials_close().
 *
 * A file is made when it is not there, with mode 0600. NULL with an error when it cannot be opened,
 * belongs to another user, is open to others, is no store, is damaged or was made
 * by a newer program; or when a URL is wrong. That a server is not there is no error,
 * because it may come: until then nothing can be said. */
struct credentials *credentials_open(const char *place, const char *password, struct error *);
void credentials_close(struct credentials *);

/* Judges the text of a key that somebody presents: the one way from a request
 * to a caller. Fills `credential` only for KEY_GOOD, and the error only for
 * KEY_UNDECIDED. Texts are in the arena. */
enum key_answer credentials_check(struct credentials *, struct text presented, int64_t now, struct arena *,
                                  struct credential *, struct error *);

/* Notes that a key was used, unless that was noted in the minute before or
 * another process is writing just now: it never waits. */
enum credentials_result credentials_used(struct credentials *, const struct credential *, int64_t now,
                                         struct error *);

/* One key by its id; its texts are in the arena. */
enum credentials_result credentials_find(struct credentials *, struct text id, struct arena *,
                                         struct credential *, struct error *);

/* All keys, the oldest first; `owner` empty: of everybody. */
enum credentials_result credentials_list(struct credentials *, struct text owner, struct arena *,
                                         struct credential **items, size_t *count, struct error *);

/* Adds all of the keys, each valid, or none; when it is TAKEN, `taken` (may be
 * NULL) is the place of the first whose id is. */
enum credentials_result credentials_add(struct credentials *, const struct credential *items, size_t count,
                                        size_t *taken, struct error *);

/* Adds a key where its owner has fewer than the limit, else FULL: counted and
 * added in one step, whoever else adds at the same time. */
enum credentials_result credentials_add_within(struct credentials *, const struct credential *, int64_t now,
                                               const struct credentials_limit *, struct error *);

/* Revokes a key for good. A key that is revoked already stays as it is: DONE. */
enum credentials_result credentials_revoke(struct credentials *, struct text id, int64_t now, struct error *);

/* In one step, adds `next` with the prefix, owner, note, roles and scopes of
 * the key `id`, which ends at `until` at the latest. `next` brings id, digest,
 * created and expires, and holds afterwards what was taken over. */
enum credentials_result credentials_rotate(struct credentials *, struct text id, int64_t now, int64_t until,
                                           struct arena *, struct credential *next, struct error *);

/* Revokes one token by its `jti`; `until` is when it ends by itself. */
enum credentials_result credentials_revoke_token(struct credentials *, struct text jti, int64_t until,
                                                 int64_t now, struct error *);

/* Revokes what was issued to a subject before a time; never takes back an earlier call. */
enum credentials_result credentials_revoke_subject(struct credentials *, struct text sub,
                                                   int64_t issued_before, struct error *);

/* Whether a token is revoked: DONE with the answer, or FAILED. An empty `jti`
 * or `sub` stands for none; a token that does not say when it was issued
 * (`iat` INT64_MIN) counts as issued before everything. */
enum credentials_result credentials_token_is_revoked(struct credentials *, struct text jti, struct text sub,
                                                     int64_t iat, bool *revoked, struct error *);

#endif
