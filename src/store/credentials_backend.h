/*
 * What a kind of store has to do for credentials; what does not depend on it is
 * in store/credentials.c. Arguments, results and errors are those of credentials.h.
 */
#ifndef STORE_CREDENTIALS_BACKEND_H
#define STORE_CREDENTIALS_BACKEND_H

#include "store/credentials.h"

/* Stands first in what open() makes. */
struct credentials {
    const struct credentials_backend *backend;
};

/* Credentials that come here are valid, names of tokens neither empty nor too long. */
struct credentials_backend {
    struct credentials *(*open)(const char *place, const char *password, struct error *);
    void (*close)(struct credentials *);

    /* Judges a key by what is under its id; texts are only fetched of one that is good. */
    enum key_answer (*check)(struct credentials *, const struct api_key *, int64_t now, struct arena *,
                             struct credential *, struct error *);

    enum credentials_result (*find)(struct credentials *, struct text id, struct arena *, struct credential *,
                                    struct error *);
    enum credentials_result (*list)(struct credentials *, struct text owner, struct arena *,
                                    struct credential **items, size_t *count, struct error *);
    enum credentials_result (*add)(struct credentials *, const struct credential *items, size_t count,
                                   size_t *taken, struct error *);
    enum credentials_result (*add_within)(struct credentials *, const struct credential *, int64_t now,
                                          const struct credentials_limit *, struct error *);
    enum credentials_result (*revoke)(struct credentials *, struct text id, int64_t now, struct error *);
    enum credentials_result (*rotate)(struct credentials *, struct text id, int64_t now, int64_t until,
                                      struct arena *, struct credential *next, struct error *);
    enum credentials_result (*used)(struct credentials *, const struct credential *, int64_t now,
                                    struct error *);
    enum credentials_result (*revoke_token)(struct credentials *, struct text jti, int64_t until, int64_t now,
                                            struct error *);
    enum credentials_result (*revoke_subject)(struct credentials *, struct text sub, int64_t issued_before,
                                              struct error *);
    enum credentials_result (*token_is_revoked)(struct credentials *, struct text jti, struct text sub,
                                                int64_t iat, bool *revoked, struct error *);
};

/* What `next` takes over of the key that it replaces. */
void credentials_take_over(struct credential *next, const struct credential *old);

extern const struct credentials_backend credentials_sqlite, credentials_redis;

#endif
