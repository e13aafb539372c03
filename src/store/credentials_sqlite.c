/*
 * Credentials in SQLite: the schema, and the rows of API keys. Who may do what
 * is not known here, and no secret ever comes here but to be judged.
 */
#include "config.h"

#include "store/credentials_sqlite.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { SCHEMA_VERSION = 1, APPLICATION_ID = 0x66636767 };

/* What to do to a store of version i to make it one of version i + 1. */
static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE api_keys ("
    " id TEXT PRIMARY KEY NOT NULL,"
    " prefix TEXT NOT NULL,"
    " digest BLOB NOT NULL CHECK (length(digest) = 32),"
    " owner TEXT NOT NULL,"
    " roles TEXT NOT NULL," /* each with a line feed behind it */
    " scopes TEXT NOT NULL,"
    " note TEXT NOT NULL,"
    " created INTEGER NOT NULL,"
    " expires INTEGER NOT NULL,"
    " retires INTEGER NOT NULL,"
    " revoked INTEGER NOT NULL,"
    " rotated_from TEXT NOT NULL,"
    " last_used INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX api_keys_owner ON api_keys (owner, created, id);"
    "CREATE TABLE revoked_tokens ("
    " jti TEXT PRIMARY KEY NOT NULL,"
    " until INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX revoked_tokens_until ON revoked_tokens (until);"
    "CREATE TABLE revoked_subjects ("
    " sub TEXT PRIMARY KEY NOT NULL,"
    " issued_before INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
};

#define COLUMNS                                                                                              \
    "id, prefix, digest, owner, roles, scopes, note, created, expires, retires, revoked, rotated_from, "     \
    "last_used"
enum column {
    ID,
    PREFIX,
    DIGEST,
    OWNER,
    ROLES,
    SCOPES,
    NOTE,
    CREATED,
    EXPIRES,
    RETIRES,
    REVOKED,
    ROTATED_FROM,
    LAST_USED
};

static const char *const statements[STATEMENTS] = {
    [FIND] = "SELECT " COLUMNS " FROM api_keys WHERE id = ?1",
    [LIST] = "SELECT " COLUMNS " FROM api_keys WHERE ?1 = '' OR owner = ?1 ORDER BY created, id",
    [COUNT] = "SELECT count(*), count(*) FILTER (WHERE revoked = 0 AND (expires = 0 OR expires > ?2)"
              " AND (retires = 0 OR retires > ?2)) FROM api_keys WHERE owner = ?1",
    [ADD] =
        "INSERT INTO api_keys (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [REVOKE] = "UPDATE api_keys SET revoked = CASE revoked WHEN 0 THEN ?2 ELSE revoked END WHERE id = ?1",
    [RETIRE] = "UPDATE api_keys SET retires = CASE WHEN retires = 0 OR retires > ?2 THEN ?2 ELSE retires END"
               " WHERE id = ?1",
    [USED] = "UPDATE api_keys SET last_used = ?2 WHERE id = ?1 AND last_used <= ?3",
    [REVOKE_TOKEN] = "INSERT INTO revoked_tokens (jti, until) VALUES (?1, ?2)"
                     " ON CONFLICT (jti) DO UPDATE SET until = max(until, excluded.until)",
    [FORGET_TOKENS] = "DELETE FROM revoked_tokens WHERE until < ?1",
    [REVOKE_SUBJECT] = "INSERT INTO revoked_subjects (sub, issued_before) VALUES (?1, ?2)"
                       " ON CONFLICT (sub) DO UPDATE SET"
                       " issued_before = max(issued_before, excluded.issued_before)",
    [LOOK_AT_TOKEN] = "SELECT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = ?1)"
                      " OR EXISTS (SELECT 1 FROM revoked_subjects WHERE sub = ?2 AND issued_before > ?3)",
};

static const struct schema schema = {.application = APPLICATION_ID,
                                     .version = SCHEMA_VERSION,
                                     .migrations = migrations,
                                     .statements = statements,
                                     .statement_count = STATEMENTS};

static void close_store(struct credentials *credentials)
{
    struct sqlite *store = sqlite_of(credentials);
    database_close(&store->reader);
    database_close(&store->writer);
    free(store);
}

static struct credentials *open_store(const char *path, const char *password, struct error *error)
{
    struct sqlite *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    (void)password;
    store->credentials.backend = &credentials_sqlite;
    if (database_open(&store->writer, path, &schema, error) &&
        database_open_reader(&store->reader, path, &schema, error))
        return &store->credentials;
    close_store(&store->credentials);
    return NULL;
}

/* ---- rows */

static struct text column_text(sqlite3_stmt *row, enum column column, struct arena *arena)
{
    const void *at = sqlite3_column_text(row, (int)column);
    size_t length = (size_t)sqlite3_column_bytes(row, (int)column);
    return (struct text){arena_copy(arena, at ? at : "", length), length};
}

static struct texts column_words(sqlite3_stmt *row, enum column column, struct arena *arena)
{
    struct text rest = column_text(row, column, arena), word;
    struct texts words = {0};
    size_t lines = 0;
    for (size_t i = 0; i < rest.length; i++)
        lines += rest.at[i] == '\n';
    words.items = arena_array(arena, lines + 1, sizeof *words.items);
    while (words.count <= lines && text_next(&rest, '\n', &word))
        words.items[words.count++] = word;
    return words;
}

/* What a key is judged by. False when the row cannot be one of ours: SQLite
 * checks the digest's length on writing only. */
static bool read_facts(sqlite3_stmt *row, struct credential *credential)
{
    const void *digest = sqlite3_column_blob(row, DIGEST);
    if (!digest || sqlite3_column_bytes(row, DIGEST) != API_KEY_DIGEST_SIZE)
        return false;
    *credential = (struct credential){.created = sqlite3_column_int64(row, CREATED),
                                      .expires = sqlite3_column_int64(row, EXPIRES),
                                      .retires = sqlite3_column_int64(row, RETIRES),
                                      .revoked = sqlite3_column_int64(row, REVOKED),
                                      .last_used = sqlite3_column_int64(row, LAST_USED)};
    memcpy(credential->digest.bytes, digest, API_KEY_DIGEST_SIZE);
    return true;
}

static void read_texts(sqlite3_stmt *row, struct arena *arena, struct credential *credential)
{
    credential->id = column_text(row, ID, arena);
    credential->prefix = column_text(row, PREFIX, arena);
    credential->owner = column_text(row, OWNER, arena);
    credential->note = column_text(row, NOTE, arena);
    credential->roles = column_words(row, ROLES, arena);
    credential->scopes = column_words(row, SCOPES, arena);
    credential->rotated_from = column_text(row, ROTATED_FROM, arena);
}

static bool read_row(sqlite3_stmt *row, struct arena *arena, struct credential *credential)
{
    if (!read_facts(row, credential))
        return false;
    read_texts(row, arena, credential);
    return true;
}

static struct text join_words(const struct texts *words, struct arena *arena)
{
    struct bytes lines = bytes_new(arena, CREDENTIAL_WORDS_LIMIT * (CREDENTIAL_TEXT_LIMIT + 1));
    for (size_t i = 0; i < words->count; i++) {
        bytes_add_text(&lines, words->items[i]);
        bytes_add(&lines, "\n", 1);
    }
    assert(!lines.full);
    return bytes_text(&lines);
}

static void bind_credential(sqlite3_stmt *statement, const struct credential *credential, struct arena *arena)
{
    database_bind(statement, ID + 1, credential->id);
    database_bind(statement, PREFIX + 1, credential->prefix);
    sqlite3_bind_blob(statement, DIGEST + 1, credential->digest.bytes, API_KEY_DIGEST_SIZE, SQLITE_STATIC);
    database_bind(statement, OWNER + 1, credential->owner);
    database_bind(statement, ROLES + 1, join_words(&credential->roles, arena));
    database_bind(statement, SCOPES + 1, join_words(&credential->scopes, arena));
    database_bind(statement, NOTE + 1, credential->note);
    sqlite3_bind_int64(statement, CREATED + 1, credential->created);
    sqlite3_bind_int64(statement, EXPIRES + 1, credential->expires);
    sqlite3_bind_int64(statement, RETIRES + 1, credential->retires);
    sqlite3_bind_int64(statement, REVOKED + 1, credential->revoked);
    database_bind(statement, ROTATED_FROM + 1, credential->rotated_from);
    sqlite3_bind_int64(statement, LAST_USED + 1, credential->last_used);
}

/* ---- looking */

static enum credentials_result find_locked(struct database *database, struct text id, struct arena *arena,
                                           struct credential *credential, struct error *error)
{
    sqlite3_stmt *statement = database->statements[FIND];
    enum credentials_result result = CREDENTIALS_FAILED;
    database_bind(statement, 1, id);
    int step = sqlite3_step(statement);
    if (step == SQLITE_DONE)
        result = CREDENTIALS_MISSING;
    else if (step != SQLITE_ROW)
        database_failed(database, error);
    else if (read_row(statement, arena, credential))
        result = CREDENTIALS_DONE;
    else
        database_damaged(database, error);
    database_reset(statement);
    return result;
}

static enum credentials_result find(struct credentials *credentials, struct text id, struct arena *arena,
                                    struct credential *credential, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    if (!database_enter(&store->reader, error))
        return CREDENTIALS_FAILED;
    enum credentials_result result = find_locked(&store->reader, id, arena, credential, error);
    database_leave(&store->reader);
    return result;
}

/* Texts are only read of a key that is good: until then, an id that is there
 * and one that is not cost the same but for the step itself. */
static enum key_answer check_locked(struct database *database, const struct api_key *key, int64_t now,
                                    struct arena *arena, struct credential *credential, struct error *error)
{
    sqlite3_stmt *statement = database->statements[FIND];
    enum key_answer answer = KEY_UNDECIDED;
    struct credential found;
    database_bind(statement, 1, key->id);
    int step = sqlite3_step(statement);
    if (step == SQLITE_DONE)
        answer = credential_judge(key, NULL, now);
    else if (step != SQLITE_ROW)
        database_failed(database, error);
    else if (read_facts(statement, &found))
        answer = credential_judge(key, &found, now);
    else
        database_damaged(database, error);
    if (answer == KEY_GOOD) {
        read_texts(statement, arena, &found);
        *credential = found;
    }
    database_reset(statement);
    return answer;
}

static enum key_answer check(struct credentials *credentials, const struct api_key *key, int64_t now,
                             struct arena *arena, struct credential *credential, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    if (!database_enter(&store->reader, error))
        return KEY_UNDECIDED;
    enum key_answer answer = check_locked(&store->reader, key, now, arena, credential, error);
    database_leave(&store->reader);
    return answer;
}

struct list {
    struct credential *items;
    size_t count, capacity;
};

static struct credential *next_item(struct list *list, struct arena *arena)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 16;
        struct credential *grown = arena_array(arena, capacity, sizeof *grown);
        if (list->count)
            memcpy(grown, list->items, list->count * sizeof *grown);
        list->items = grown;
        list->capacity = capacity;
    }
    return &list->items[list->count++];
}

static enum credentials_result list_locked(struct database *database, struct text owner, struct arena *arena,
                                           struct list *list, struct error *error)
{
    sqlite3_stmt *statement = database->statements[LIST];
    int step;
    bool good = true;
    database_bind(statement, 1, owner);
    while (good && (step = sqlite3_step(statement)) != SQLITE_DONE) {
        if (step != SQLITE_ROW)
            good = database_failed(database, error);
        else if (!read_row(statement, arena, next_item(list, arena)))
            good = database_damaged(database, error);
    }
    database_reset(statement);
    return good ? CREDENTIALS_DONE : CREDENTIALS_FAILED;
}

static enum credentials_result list(struct credentials *credentials, struct text owner, struct arena *arena,
                                    struct credential **items, size_t *count, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    struct list list = {0};
    if (!database_enter(&store->reader, error))
        return CREDENTIALS_FAILED;
    enum credentials_result result = list_locked(&store->reader, owner, arena, &list, error);
    database_leave(&store->reader);
    *items = list.items;
    *count = list.count;
    return result;
}

/* ---- changing */

static enum credentials_result add_locked(struct database *database, const struct credential *credential,
                                          struct error *error)
{
    sqlite3_stmt *statement = database->statements[ADD];
    enum credentials_result result = CREDENTIALS_FAILED;
    struct arena *arena = arena_new();
    bind_credential(statement, credential, arena);
    int step = sqlite3_step(statement);
    if (step == SQLITE_DONE)
        result = CREDENTIALS_DONE;
    else if (step == SQLITE_CONSTRAINT_PRIMARYKEY)
        result = CREDENTIALS_TAKEN;
    else
        database_failed(database, error);
    database_reset(statement);
    arena_free(arena);
    return result;
}

/* Begins a change that goes on until end(). */
static bool begin(struct database *database, struct error *error)
{
    if (!database_enter(database, error))
        return false;
    if (database_begin(database, error))
        return true;
    database_leave(database);
    return false;
}

static enum credentials_result end(struct database *database, enum credentials_result result,
                                   struct error *error)
{
    bool kept = database_end(database, result == CREDENTIALS_DONE, error);
    database_leave(database);
    return result == CREDENTIALS_DONE && !kept ? CREDENTIALS_FAILED : result;
}

static enum credentials_result add(struct credentials *credentials, const struct credential *items,
                                   size_t count, size_t *taken, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    enum credentials_result result = CREDENTIALS_DONE;
    if (!begin(&store->writer, error))
        return CREDENTIALS_FAILED;
    for (size_t i = 0; i < count && result == CREDENTIALS_DONE; i++) {
        result = add_locked(&store->writer, &items[i], error);
        if (result == CREDENTIALS_TAKEN && taken)
            *taken = i;
    }
    return end(&store->writer, result, error);
}

static enum credentials_result count_locked(struct database *database, struct text owner, int64_t now,
                                            const struct credentials_limit *limit, struct error *error)
{
    sqlite3_stmt *statement = database->statements[COUNT];
    enum credentials_result result = CREDENTIALS_DONE;
    database_bind(statement, 1, owner);
    sqlite3_bind_int64(statement, 2, now);
    if (sqlite3_step(statement) != SQLITE_ROW) {
        database_failed(database, error);
        result = CREDENTIALS_FAILED;
    } else if ((uint64_t)sqlite3_column_int64(statement, 0) >= limit->all ||
               (uint64_t)sqlite3_column_int64(statement, 1) >= limit->usable) {
        result = CREDENTIALS_FULL;
    }
    database_reset(statement);
    return result;
}

static enum credentials_result add_within(struct credentials *credentials,
                                          const struct credential *credential, int64_t now,
                                          const struct credentials_limit *limit, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    if (!begin(&store->writer, error))
        return CREDENTIALS_FAILED;
    enum credentials_result result = count_locked(&store->writer, credential->owner, now, limit, error);
    if (result == CREDENTIALS_DONE)
        result = add_locked(&store->writer, credential, error);
    return end(&store->writer, result, error);
}

static enum credentials_result set_time(struct database *database, enum statement which, struct text id,
                                        int64_t time, struct error *error)
{
    sqlite3_stmt *statement = database->statements[which];
    database_bind(statement, 1, id);
    sqlite3_bind_int64(statement, 2, time);
    int changed = database_change(database, statement, error);
    return changed < 0 ? CREDENTIALS_FAILED : changed ? CREDENTIALS_DONE : CREDENTIALS_MISSING;
}

static enum credentials_result revoke(struct credentials *credentials, struct text id, int64_t now,
                                      struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    if (!database_enter(&store->writer, error))
        return CREDENTIALS_FAILED;
    enum credentials_result result = set_time(&store->writer, REVOKE, id, now, error);
    database_leave(&store->writer);
    return result;
}

static enum credentials_result rotate_locked(struct database *database, struct text id, int64_t now,
                                             int64_t until, struct arena *arena, struct credential *next,
                                             struct error *error)
{
    struct credential old;
    enum credentials_result result = find_locked(database, id, arena, &old, error);
    if (result != CREDENTIALS_DONE)
        return result;
    int64_t ends = credential_end(&old);
    if (old.revoked || (ends && ends <= now))
        return CREDENTIALS_ENDED;
    credentials_take_over(next, &old);
    result = set_time(database, RETIRE, id, until, error);
    return result == CREDENTIALS_DONE ? add_locked(database, next, error) : result;
}

static enum credentials_result rotate(struct credentials *credentials, struct text id, int64_t now,
                                      int64_t until, struct arena *arena, struct credential *next,
                                      struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    if (!begin(&store->writer, error))
        return CREDENTIALS_FAILED;
    return end(&store->writer, rotate_locked(&store->writer, id, now, until, arena, next, error), error);
}

/* Nobody waits for this note: the next request brings the next chance. */
static enum credentials_result note_use(struct database *database, struct text id, int64_t now,
                                        struct error *error)
{
    sqlite3_stmt *statement = database->statements[USED];
    struct error failure = {0};
    sqlite3_busy_timeout(database->handle, 0);
    sqlite3_bind_int64(statement, 3, now - LAST_USED_SECONDS);
    enum credentials_result result = set_time(database, USED, id, now, &failure);
    if (result == CREDENTIALS_MISSING || (result == CREDENTIALS_FAILED && database_is_busy(database)))
        result = CREDENTIALS_DONE; /* another process was faster, or writes just now */
    else if (result == CREDENTIALS_FAILED)
        error_set(error, "%s", failure.message);
    sqlite3_busy_timeout(database->handle, DATABASE_BUSY_MS);
    return result;
}

static enum credentials_result used(struct credentials *credentials, const struct credential *credential,
                                    int64_t now, struct error *error)
{
    struct sqlite *store = sqlite_of(credentials);
    if (!database_is_there(&store->writer, error))
        return CREDENTIALS_FAILED;
    if (pthread_mutex_trylock(&store->writer.lock) != 0)
        return CREDENTIALS_DONE;
    enum credentials_result result = note_use(&store->writer, credential->id, now, error);
    database_leave(&store->writer);
    return result;
}

const struct credentials_backend credentials_sqlite = {
    .open = open_store,
    .close = close_store,
    .check = check,
    .find = find,
    .list = list,
    .add = add,
    .add_within = add_within,
    .revoke = revoke,
    .rotate = rotate,
    .used = used,
    .revoke_token = revocations_sqlite_revoke_token,
    .revoke_subject = revocations_sqlite_revoke_subject,
    .token_is_revoked = revocations_sqlite_token_is_revoked,
};
