/*
 * Tokens that were revoked before their time, in SQLite: single ones by `jti`
 * until they have ended by themselves, and all that a subject was issued
 * before a time. What a token is, is not known here.
 */
#include "config.h"

#include "store/credentials_sqlite.h"

/* Whether the statement, whose first two values are bound here, was run. */
static bool run(struct database *database, enum statement which, struct text name, int64_t time,
                struct error *error)
{
    sqlite3_stmt *statement = database->statements[which];
    database_bind(statement, 1, name);
    sqlite3_bind_int64(statement, 2, time);
    return database_change(database, statement, error) >= 0;
}

/* What has ended is refused without our word: the table stays as small as the tokens' lives are short. */
static bool forget_ended(struct database *database, int64_t now, struct error *error)
{
    sqlite3_stmt *statement = database->statements[FORGET_TOKENS];
    sqlite3_bind_int64(statement, 1, now - TOKEN_KEPT_SECONDS);
    return database_change(database, statement, error) >= 0;
}

enum credentials_result revocations_sqlite_revoke_token(struct credentials *credentials, struct text jti,
                                                        int64_t until, int64_t now, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    struct database *database = &store->writer;
    if (!database_enter(database, error))
        return CREDENTIALS_FAILED;
    bool done = database_begin(database, error);
    if (done) {
        bool good = forget_ended(database, now, error) && run(database, REVOKE_TOKEN, jti, until, error);
        done = database_end(database, good, error);
    }
    database_leave(database);
    return done ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}

enum credentials_result revocations_sqlite_revoke_subject(struct credentials *credentials, struct text sub,
                                                          int64_t issued_before, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    if (!database_enter(&store->writer, error))
        return CREDENTIALS_FAILED;
    bool done = run(&store->writer, REVOKE_SUBJECT, sub, issued_before, error);
    database_leave(&store->writer);
    return done ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}

enum credentials_result revocations_sqlite_token_is_revoked(struct credentials *credentials, struct text jti,
                                                            struct text sub, int64_t iat, bool *revoked,
                                                            struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    struct database *database = &store->reader;
    if (!database_enter(database, error))
        return CREDENTIALS_FAILED;
    sqlite3_stmt *statement = database->statements[LOOK_AT_TOKEN];
    database_bind(statement, 1, jti);
    database_bind(statement, 2, sub);
    sqlite3_bind_int64(statement, 3, iat);
    bool done = sqlite3_step(statement) == SQLITE_ROW || database_failed(database, error);
    if (done)
        *revoked = sqlite3_column_int(statement, 0) != 0;
    database_reset(statement);
    database_leave(database);
    return done ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}
