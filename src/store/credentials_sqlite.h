/*
 * Credentials in SQLite: what its two files share, and nobody else includes.
 */
#ifndef STORE_CREDENTIALS_SQLITE_H
#define STORE_CREDENTIALS_SQLITE_H

#include "store/credentials.h"
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
struct credentials {
    struct database reader, writer;
};

#endif
