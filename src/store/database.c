/*
 * SQLite files of ours: what is opened is a regular file of this user that
 * nobody else may read, with our mark, a version we know and sound pages.
 */
#include "config.h"

#include "store/database.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what went wrong */

bool database_damaged(const struct database *database, struct error *error)
{
    return error_set(error, "the store %.120s is damaged; restore it from a copy", database->path);
}

static bool unwritable(const struct database *database, struct error *error)
{
    return error_set(error,
                     "the store %.120s cannot be written: it, its folder or its file system is read-only",
                     database->path);
}

static bool full(const struct database *database, struct error *error)
{
    return error_set(error, "there is no room left for the store %.120s; nothing was changed",
                     database->path);
}

static bool is_full(int number)
{
    return number == ENOSPC || number == EDQUOT;
}

bool database_failed(struct database *database, struct error *error)
{
    int code = sqlite3_extended_errcode(database->handle);
    const char *path = database->path;
    int number = sqlite3_system_errno(database->handle);
    database->damaged |= (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
    if ((code & 0xff) == SQLITE_IOERR && is_full(number))
        return full(database, error);
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, "the store %.120s is locked by another process for too long; try again",
                         path);
    case SQLITE_CORRUPT:
        return database_damaged(database, error);
    case SQLITE_NOTADB:
        return error_set(error, "%.120s is no store, or a damaged one", path);
    case SQLITE_FULL:
        return full(database, error);
    case SQLITE_READONLY:
        return unwritable(database, error);
    case SQLITE_CANTOPEN:
        return error_set(error, "the store %.120s cannot be opened; its folder must be writable, too", path);
    default:
        return error_set(error, "the store %.120s failed: %.60s (%d)", path, sqlite3_errstr(code), code);
    }
}

bool database_is_busy(const struct database *database)
{
    return (sqlite3_errcode(database->handle) & 0xff) == SQLITE_BUSY;
}

/* A file that was deleted or replaced goes on working for those who have it
 * open, and nobody else sees what they see. */
bool database_is_there(const struct database *database, struct error *error)
{
    struct stat status;
    if (stat(database->path, &status) != 0)
        return error_set_errno(error, "the store %.120s is gone", database->path);
    if (status.st_dev != database->device || status.st_ino != database->file)
        return error_set(error, "the store %.120s was replaced by another file; a reload takes that one",
                         database->path);
    return true;
}

/* ---- the file */

/* The same path without links on the way, which SQLITE_OPEN_NOFOLLOW would
 * refuse, too: only the file itself may not be one. */
static char *plain_path(const char *path, struct error *error)
{
    char folder[PATH_MAX], *plain;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char *named = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (!named)
        abort();
    bool found = realpath(named, folder) != NULL;
    free(named);
    if (!found) {
        error_set_errno(error, "cannot find the folder of the store %.120s", path);
        return NULL;
    }
    if (asprintf(&plain, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) < 0)
        abort();
    return plain;
}

static bool inspect_file(struct database *database, const char *file, struct error *error)
{
    struct stat status;
    const char *path = database->path;
    if (lstat(file, &status) != 0)
        return error_set_errno(error, "cannot look at the store %.120s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(error, "the store %.120s is not a regular file", path);
    if (status.st_uid != geteuid())
        return error_set(error, "the store %.120s belongs to user %u; run this as that user, not as %u", path,
                         (unsigned)status.st_uid, (unsigned)geteuid());
    if (status.st_mode & 077)
        return error_set(error,
                         "the store %.120s has mode %04o and must not be open to others, expected 0600", path,
                         (unsigned)(status.st_mode & 07777));
    database->device = status.st_dev;
    database->file = status.st_ino;
    return true;
}

/* ---- the schema */

static bool run(struct database *database, const char *sql, struct error *error)
{
    return sqlite3_exec(database->handle, sql, NULL, NULL, NULL) == SQLITE_OK ||
           database_failed(database, error);
}

/* The first value that a statement gives: a number in `number`, or a text that must be `expected`. */
static bool ask(struct database *database, const char *sql, int64_t *number, const char *expected,
                bool *as_expected, struct error *error)
{
    sqlite3_stmt *statement = NULL;
    bool done = sqlite3_prepare_v2(database->handle, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW;
    const char *text = done && expected ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    if (!done)
        database_failed(database, error);
    else if (expected)
        *as_expected = text && strcmp(text, expected) == 0;
    else
        *number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return done;
}

static bool read_number(struct database *database, const char *sql, int64_t *number, struct error *error)
{
    return ask(database, sql, number, NULL, NULL, error);
}

static bool migrate_locked(struct database *database, const struct schema *schema, struct error *error)
{
    int64_t version, application, objects;
    if (!read_number(database, "PRAGMA user_version", &version, error) ||
        !read_number(database, "PRAGMA application_id", &application, error) ||
        !read_number(database, "SELECT count(*) FROM sqlite_schema", &objects, error))
        return false;
    if (application != schema->application && (application != 0 || version != 0 || objects != 0))
        return error_set(error, "%.120s is the database of another program", database->path);
    if (version > schema->version || version < 0)
        return error_set(error,
                         "the store %.120s was made by a newer fcgiguard (version %lld, this one knows %d)",
                         database->path, (long long)version, schema->version);
    if (version == schema->version)
        return true;
    for (int64_t from = version; from < schema->version; from++)
        if (!run(database, schema->migrations[from], error))
            return false;
    char pragmas[128];
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             schema->application, schema->version);
    return run(database, pragmas, error);
}

/* Within a transaction where there is something to do, so that two who open a
 * new file do not both make its tables. */
static bool migrate(struct database *database, const struct schema *schema, struct error *error)
{
    int64_t version;
    if (!read_number(database, "PRAGMA user_version", &version, error))
        return false;
    if (version == schema->version)
        return migrate_locked(database, schema, error);
    if (!database_begin(database, error))
        return false;
    return database_end(database, migrate_locked(database, schema, error), error);
}

/* A damaged page would otherwise be met by the one key it is about. */
static bool is_sound(struct database *database, struct error *error)
{
    bool sound = false;
    if (!ask(database, "PRAGMA quick_check(1)", NULL, "ok", &sound, error))
        return false;
    if (!sound)
        database->damaged = true;
    return sound || database_damaged(database, error);
}

static bool use_wal(struct database *database, struct error *error)
{
    bool is_wal = false;
    if (!ask(database, "PRAGMA journal_mode = WAL", NULL, "wal", &is_wal, error))
        return false;
    return is_wal ||
           error_set(error, "the store %.120s is on a file system without shared memory", database->path);
}

/* ---- opening */

static bool prepare_statements(struct database *database, const struct schema *schema, struct error *error)
{
    database->statements = calloc(schema->statement_count, sizeof *database->statements);
    if (!database->statements)
        abort();
    database->statement_count = schema->statement_count;
    for (size_t i = 0; i < schema->statement_count; i++)
        if (sqlite3_prepare_v3(database->handle, schema->statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &database->statements[i], NULL) != SQLITE_OK)
            return database_failed(database, error);
    return true;
}

static bool connect_to(struct database *database, const char *file, const struct schema *schema,
                       struct error *error)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                      SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    if (!inspect_file(database, file, error))
        return false;
    if (sqlite3_open_v2(file, &database->handle, flags, schema->vfs) != SQLITE_OK)
        return database_failed(database, error);
    /* Where it cannot write, SQLite opens to read, without a word. */
    if (sqlite3_db_readonly(database->handle, "main") != 0)
        return unwritable(database, error);
    sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_busy_timeout(database->handle, DATABASE_BUSY_MS);
    return run(database, "PRAGMA trusted_schema = 0; PRAGMA cell_size_check = 1; PRAGMA temp_store = MEMORY;",
               error);
}

static bool connect_writer(struct database *database, const char *file, const struct schema *schema,
                           struct error *error)
{
    /* synchronous = FULL: a revocation that was reported as done survives a power cut. */
    static const char safe[] = "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;"
                               "PRAGMA max_page_count = 1048576;";
    if (!connect_to(database, file, schema, error))
        return false;
    sqlite3_busy_timeout(database->handle, schema->busy_ms > 0 ? schema->busy_ms : DATABASE_BUSY_MS);
    return run(database, schema->settings ? schema->settings : safe, error) && use_wal(database, error) &&
           migrate(database, schema, error);
}

static void disconnect(struct database *database)
{
    int result = sqlite3_close(database->handle);
    assert(result == SQLITE_OK);
    (void)result;
    database->handle = NULL;
}

/* A file with that name and all that SQLite puts beside it. */
static void remove_file(const char *file)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char name[PATH_MAX];
        if (snprintf(name, sizeof name, "%s%s", file, ends[i]) < (int)sizeof name)
            (void)unlink(name);
    }
}

/* Makes a file that is not there under another name and gives it its own when
 * it is complete: of several who do so at once, SQLite would fail some. Its
 * mode is 0600, where SQLite would leave it to umask. */
static bool make_file(struct database *database, const struct schema *schema, struct error *error)
{
    char name[PATH_MAX];
    struct stat status;
    if (lstat(database->path, &status) == 0)
        return true;
    if (snprintf(name, sizeof name, "%s.XXXXXX", database->path) >= (int)sizeof name)
        return error_set(error, "the name of the store %.120s is too long", database->path);
    int file = mkostemp(name, O_CLOEXEC);
    if (file < 0)
        return error_set_errno(error, "user %u cannot make the store %.120s", (unsigned)geteuid(),
                               database->path);
    (void)close(file); /* nobody has it open yet, so no lock is lost (fcntl(2)) */
    bool done = connect_writer(database, name, schema, error);
    disconnect(database);
    if (done && link(name, database->path) != 0 && errno != EEXIST)
        done = error_set_errno(error, "cannot make the store %.120s", database->path);
    remove_file(name);
    return done;
}

static bool start(struct database *database, const char *path, struct error *error)
{
    *database = (struct database){0};
    if (pthread_mutex_init(&database->lock, NULL) != 0)
        abort();
    database->path = plain_path(path, error);
    return database->path != NULL;
}

bool database_open(struct database *database, const char *path, const struct schema *schema,
                   struct error *error)
{
    return start(database, path, error) && make_file(database, schema, error) &&
           connect_writer(database, database->path, schema, error) &&
           (schema->unchecked || is_sound(database, error)) && prepare_statements(database, schema, error) &&
           database_is_there(database, error);
}

bool database_open_reader(struct database *database, const char *path, const struct schema *schema,
                          struct error *error)
{
    return start(database, path, error) && connect_to(database, database->path, schema, error) &&
           run(database, "PRAGMA query_only = 1", error) && prepare_statements(database, schema, error) &&
           database_is_there(database, error);
}

void database_close(struct database *database)
{
    for (size_t i = 0; i < database->statement_count; i++)
        sqlite3_finalize(database->statements[i]);
    disconnect(database);
    pthread_mutex_destroy(&database->lock);
    free(database->statements);
    free(database->path);
}

/* ---- using it */

bool database_enter(struct database *database, struct error *error)
{
    if (!database_is_there(database, error))
        return false;
    pthread_mutex_lock(&database->lock);
    return true;
}

void database_leave(struct database *database)
{
    pthread_mutex_unlock(&database->lock);
}

bool database_begin(struct database *database, struct error *error)
{
    return run(database, "BEGIN IMMEDIATE", error);
}

bool database_end(struct database *database, bool keep, struct error *error)
{
    if (keep && run(database, "COMMIT", error))
        return true;
    /* Fails where the statement's own failure has rolled back already. */
    sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

void database_bind(sqlite3_stmt *statement, int place, struct text text)
{
    int result = sqlite3_bind_text64(statement, place, text.at ? text.at : "", text.length, SQLITE_STATIC,
                                     SQLITE_UTF8);
    assert(result == SQLITE_OK);
    (void)result;
}

int database_change(struct database *database, sqlite3_stmt *statement, struct error *error)
{
    int changed = -1;
    if (sqlite3_step(statement) == SQLITE_DONE)
        changed = sqlite3_changes(database->handle);
    else
        database_failed(database, error);
    database_reset(statement);
    return changed;
}

void database_reset(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}
