/*
 * Plain SQLite: a connection for each caller, WAL, a busy time-out, and for each check
 * one statement, which counts up to the limit.
 */
#include "plain.h"

#include <sqlite3.h>
#include <stdlib.h>

struct connection {
    sqlite3 *database;
    sqlite3_stmt *check;
};

static sqlite3_stmt *prepare(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        fail("plain SQLite", sqlite3_errmsg(database));
    return statement;
}

static void *open_file(const char *place)
{
    static const char sql[] =
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        "CREATE TABLE IF NOT EXISTS counters (key TEXT PRIMARY KEY, count INTEGER NOT NULL,"
        " begin INTEGER NOT NULL) STRICT, WITHOUT ROWID;";
    struct connection *made = calloc(1, sizeof *made);
    if (!made || sqlite3_open(place, &made->database) != SQLITE_OK)
        fail("cannot open", place);
    sqlite3_busy_timeout(made->database, PLAIN_TIMEOUT_MS);
    if (sqlite3_exec(made->database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail("plain SQLite", sqlite3_errmsg(made->database));
    made->check =
        prepare(made->database, "INSERT INTO counters VALUES (?1, 1, unixepoch()) ON CONFLICT (key)"
                                " DO UPDATE SET count = count + 1 WHERE count < ?2 RETURNING count");
    return made;
}

static bool check(void *connection, struct text key, uint64_t limit)
{
    const struct connection *self = connection;
    sqlite3_bind_text(self->check, 1, key.at, (int)key.length, SQLITE_STATIC);
    sqlite3_bind_int64(self->check, 2, (int64_t)limit);
    int result = sqlite3_step(self->check);
    bool admitted = result == SQLITE_ROW;
    if (admitted)
        result = sqlite3_step(self->check);
    if (result != SQLITE_DONE)
        fail("plain SQLite", sqlite3_errmsg(self->database));
    sqlite3_reset(self->check);
    return admitted;
}

static uint64_t count(void *connection, uint64_t limit)
{
    const struct connection *self = connection;
    sqlite3_stmt *sum = prepare(self->database, "SELECT coalesce(sum(min(count, ?1)), 0) FROM counters");
    sqlite3_bind_int64(sum, 1, (int64_t)limit);
    sqlite3_step(sum);
    uint64_t counted = (uint64_t)sqlite3_column_int64(sum, 0);
    sqlite3_finalize(sum);
    return counted;
}

static void forget(void *connection)
{
    const struct connection *self = connection;
    if (sqlite3_exec(self->database, "DELETE FROM counters", NULL, NULL, NULL) != SQLITE_OK)
        fail("plain SQLite", sqlite3_errmsg(self->database));
}

static void close_file(void *connection)
{
    struct connection *self = connection;
    sqlite3_finalize(self->check);
    sqlite3_close(self->database);
    free(self);
}

const struct plain plain_sqlite = {"SQLite", open_file, check, count, forget, close_file};
