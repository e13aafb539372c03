/*
 * Credentials in SQLite: what its two files share, and nobody else includes.
 */
#ifndef STORE_CREDENTIALS_SQLITE_H
#define STORE_CREDENTIALS_SQLITE_H

#include "store/credentials_backend.h"
#include "store/database.h"

enum statement {
    FIND,
    LIST,
    COUNT,
    ADD,
    REVOKE,
    RETIRE,
    USED,
    REVOKE_TOKEN,
    FORGET_TOKENS,
    REVOKE_SUBJECT,
    LOOK_AT_TOKEN,
    STATEMENTS
};

/* Two connections, so that a request's look never waits for somebody's change. */
struct sqlite {
    struct credentials credentials;
    struct database reader, writer;
};

static inline struct sqlite *sqlite_of(struct credentials *credentials)
{
    return (struct sqlite *)credentials; /* it stands first */
}

enum credentials_result revocations_sqlite_revoke_token(struct credentials *, struct text jti, int64_t until,
                                                        int64_t now, struct error *);
enum credentials_result revocations_sqlite_revoke_subject(struct credentials *, struct text sub,
                                                          int64_t issued_before, struct error *);
enum credentials_result revocations_sqlite_token_is_revoked(struct credentials *, struct text jti,
                                                            struct text sub, int64_t iat, bool *revoked,
                                                            struct error *);

#endif
