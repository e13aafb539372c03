/*
 * The file of counters: how it is opened, given up and made anew, what time it
 * is in it, and its transactions. What is lost with it is what callers
 * have used of their limits, so a damaged one is set aside and the service
 * goes on; what is not ours, or is newer, is never touched.
 */
#include "config.h"

#include "store/counters_sqlite.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { SCHEMA_VERSION = 1, APPLICATION_ID = 0x6663676c };
enum { KEEPER_FRAMES = 24000 }; /* of the -wal, until it is to be tended */

/* The newest time is in the file at least so often: after a power cut and in a boot whose
 * clock is wrong, the clock goes on from there. */
#define NEWEST_STEP INT64_C(1000000)

static const char *const migrations[SCHEMA_VERSION] = {
    "CREATE TABLE counters ("
    " number INTEGER PRIMARY KEY,"
    " key TEXT NOT NULL,"
    " algorithm INTEGER NOT NULL,"
    " expires INTEGER NOT NULL,"
    " state BLOB NOT NULL"
    ") STRICT;"
    "CREATE TABLE store (" /* one row: microseconds of the clock, and how many counters there are */
    " id INTEGER PRIMARY KEY CHECK (id = 1),"
    " boot TEXT NOT NULL,"
    " offset INTEGER NOT NULL," /* to be added to the time since that boot */
    " newest INTEGER NOT NULL," /* a second from it was never reached */
    " counters INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO store VALUES (1, '', 0, 0, 0);",
};

#define COLUMNS "number, key, algorithm, expires, state"

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN",
    [BEGIN_WRITING] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [READ_STORE] = "SELECT boot, offset, newest, counters FROM store WHERE id = 1",
    [WRITE_STORE] = "UPDATE store SET boot = ?1, offset = ?2, newest = ?3, counters = ?4 WHERE id = 1",
    [FIND_STATE] = "SELECT state FROM counters WHERE number = ?1",
    [PUT] = "REPLACE INTO counters (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5)",
    [FIND] = "SELECT " COLUMNS " FROM counters WHERE number = ?1",
    [LIST] = "SELECT " COLUMNS " FROM counters WHERE number > ?1 ORDER BY number LIMIT ?2",
    [FORGET] = "DELETE FROM counters WHERE number = ?1",
    [LAST_OF_STEP] = ("SELECT max(number), count(*) FROM"
                      " (SELECT number FROM counters WHERE number > ?1 ORDER BY number LIMIT ?2)"),
    [PRUNE] = "DELETE FROM counters WHERE number > ?1 AND number <= ?2 AND expires <= ?3",
};

/* ---- the files */

static bool name(char to[PATH_MAX], const struct counters_file *file, const char *end)
{
    return snprintf(to, PATH_MAX, "%s%s", file->path, end) < PATH_MAX;
}

static ino_t find_beside(const struct counters_file *file, const char *end)
{
    char path[PATH_MAX];
    struct stat status;
    return name(path, file, end) && stat(path, &status) == 0 ? status.st_ino : 0;
}

/* Without its -wal, or with another one, a file is written to past those who open it now. */
static bool files_are_there(const struct counters_file *file, struct error *error)
{
    return database_is_there(&file->database, error) &&
           ((find_beside(file, "-wal") == file->log && find_beside(file, "-shm") == file->index) ||
            error_set(error, "the -wal or -shm of the store %.120s is gone", file->path));
}

/* What a file that was deleted has left would be taken for a part of the new one. */
static void remove_beside(const struct counters_file *file)
{
    static const char *const ends[] = {"-wal", "-shm", "-journal"};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (name(path, file, ends[i]))
            (void)unlink(path);
}

static bool is_missing(const struct counters_file *file)
{
    struct stat status;
    return lstat(file->path, &status) != 0 && errno == ENOENT;
}

static bool is_ours(const struct counters_file *file)
{
    struct stat status;
    return lstat(file->path, &status) != 0 || status.st_uid == geteuid();
}

/* ---- the clock */

static int64_t since_boot(const struct counters_file *file)
{
    struct timespec now; /* goes on while the machine sleeps, and nobody sets it */
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 + file->boot.shift;
}

static bool read_store(struct counters_file *file, bool *is_boot, struct error *error)
{
    sqlite3_stmt *statement = counters_statement(file, READ_STORE);
    int result = sqlite3_step(statement);
    bool found = result == SQLITE_ROW;
    if (found) {
        const char *boot = (const char *)sqlite3_column_text(statement, 0);
        *is_boot = boot && strcmp(boot, file->boot.id) == 0;
        file->offset = sqlite3_column_int64(statement, 1);
        file->newest = sqlite3_column_int64(statement, 2);
        file->rows = file->rows_now = sqlite3_column_int64(statement, 3);
        found = file->offset >= 0 && file->newest >= 0 && file->newest < INT64_MAX / 2;
    }
    if (!found && result != SQLITE_ROW && result != SQLITE_DONE)
        database_failed(&file->database, error);
    else if (!found && !database_damaged(&file->database, error))
        file->database.damaged = true;
    sqlite3_reset(statement);
    return found;
}

static bool write_store(struct counters_file *file, struct error *error)
{
    sqlite3_stmt *statement = counters_statement(file, WRITE_STORE);
    database_bind(statement, 1, text_of(file->boot.id));
    sqlite3_bind_int64(statement, 2, file->offset);
    sqlite3_bind_int64(statement, 3, file->newest);
    sqlite3_bind_int64(statement, 4, file->rows_now);
    return database_change(&file->database, statement, error) >= 0;
}

/* Read once the state of the file is fixed, so that no time is later than one that follows it.
 * The newest holds up a process whose boot began at another time (time_namespaces(7)). */
static void read_clock(struct counters_file *file)
{
    int64_t now = file->offset + since_boot(file);
    file->now = (uint64_t)(now > file->newest ? now : file->newest);
}

/* In a new boot the clock is the wall's, unless that were a step back. Writes in any
 * case: a file that cannot be written is not open. */
static bool set_clock(struct counters_file *file, struct error *error)
{
    bool is_boot = false;
    if (!database_begin(&file->database, error))
        return false;
    bool done = read_store(file, &is_boot, error);
    int64_t wall = clock_wall_milliseconds() * 1000 + file->boot.wall_shift;
    if (done && !is_boot) {
        int64_t least = file->newest + NEWEST_STEP;
        file->offset = (wall > least ? wall : least) - since_boot(file);
        file->offset = file->offset > 0 ? file->offset : 0;
    }
    if (done) {
        read_clock(file);
        file->newest = (int64_t)file->now;
    }
    return database_end(&file->database, done && write_store(file, error), error);
}

/* ---- opening */

static int note_frames(void *context, sqlite3 *handle, const char *schema, int frames)
{
    struct counters_file *file = context;
    (void)handle;
    (void)schema;
    file->frames = (size_t)frames;
    return SQLITE_OK;
}

void counters_file_disconnect(struct counters_file *file)
{
    if (!file->is_open)
        return;
    if (file->keeper)
        keeper_stop(file->keeper);
    file->keeper = NULL;
    if (file->database.handle && !files_are_there(file, &(struct error){0})) {
        /* What is in a -wal that has no name any more is read by nobody after us. Once there is
         * another one, it would be written over what that one has. */
        if (file->log != 0 && find_beside(file, "-wal") == 0 &&
            database_is_there(&file->database, &(struct error){0}))
            sqlite3_wal_checkpoint_v2(file->database.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        sqlite3_db_config(file->database.handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    }
    database_close(&file->database);
    file->is_open = file->healthy = false;
}

static bool open_file(struct counters_file *file, struct error *error)
{
    const struct schema schema = {.application = APPLICATION_ID,
                                  .version = SCHEMA_VERSION,
                                  .migrations = migrations,
                                  .statements = statements,
                                  .statement_count = STATEMENTS,
                                  .settings = file->settings,
                                  .busy_ms = (int)file->patience,
                                  .vfs = counters_log_vfs(),
                                  .unchecked = file->suspect == 0};
    file->is_open = true;
    file->log = file->index = 0;
    if (!database_open(&file->database, file->path, &schema, error) || !set_clock(file, error))
        return false;
    sqlite3_wal_hook(file->database.handle, note_frames, file);
    file->log = find_beside(file, "-wal");
    file->index = find_beside(file, "-shm");
    file->frames = file->frames_told = 0;
    file->quiet = false;
    return files_are_there(file, error);
}

/* Whoever comes first does it; the others find another file there. */
static bool set_aside(const struct counters_file *file, struct error *error)
{
    char to[PATH_MAX], from[PATH_MAX], log[PATH_MAX];
    long long now = clock_wall_milliseconds() / 1000;
    if (snprintf(to, sizeof to, "%s.damaged-%lld", file->path, now) >= (int)sizeof to ||
        snprintf(log, sizeof log, "%s.damaged-%lld-wal", file->path, now) >= (int)sizeof log ||
        !name(from, file, "-wal"))
        return error_set(error, "the name of the store %.120s is too long", file->path);
    if (rename(file->path, to) != 0)
        return error_set_errno(error, "cannot move the damaged store %.120s aside", file->path);
    (void)rename(from, log);
    log_event(SEVERITY_ERROR, "counters_damaged", "the store %s was damaged and begins anew; it is now %s",
              file->path, to);
    return true;
}

/* In one's turn alone, by which nobody else does it at the same time. */
static bool make_anew(struct counters_file *file, struct error *error)
{
    dev_t device = file->database.device;
    ino_t inode = file->database.file;
    struct stat status;
    counters_file_disconnect(file);
    bool is_that = lstat(file->path, &status) == 0 && status.st_dev == device && status.st_ino == inode;
    if (is_that && !set_aside(file, error))
        return false;
    if (is_missing(file))
        remove_beside(file);
    file->suspect = 0;
    return open_file(file, error);
}

static bool open_in_turn(struct counters_file *file, bool has_turn, struct error *error)
{
    struct error first = {0};
    if (is_missing(file)) {
        if (!has_turn)
            return error_set(error, "the store %.120s is gone, and another process is in the way",
                             file->path);
        remove_beside(file);
    }
    bool done = open_file(file, &first);
    /* Damage that a look at all pages does not find, but requests do, is damage. */
    bool damaged = done ? file->suspect > 1 : file->database.damaged;
    if (damaged && has_turn)
        return make_anew(file, error);
    return (done && !damaged) || error_set(error, "%s", first.message);
}

bool counters_file_connect(struct counters_file *file, struct error *error)
{
    if (file->is_open && file->healthy && files_are_there(file, &(struct error){0}))
        return true;
    turn_close(&file->turn);
    /* Where there is no turn the file can be opened all the same, but not made. Nor is
     * anything made beside another user's file, who could not use it. */
    bool has_turn = is_ours(file) && turn_open(&file->turn, file->turn_path, &(struct error){0}) &&
                    turn_take(&file->turn, file->patience);
    counters_file_disconnect(file);
    file->healthy = open_in_turn(file, has_turn, error);
    if (!file->healthy)
        counters_file_disconnect(file);
    if (has_turn)
        turn_give(&file->turn);
    return file->is_open && file->healthy;
}

/* ---- transactions */

static bool step(struct counters_file *file, enum counters_statement which, struct error *error)
{
    return database_change(&file->database, counters_statement(file, which), error) >= 0;
}

static void tend(struct counters_file *file)
{
    if (file->frames < file->frames_told)
        file->frames_told = 0; /* the -wal has begun from its front */
    if (file->frames < file->frames_told + KEEPER_FRAMES)
        return;
    file->frames_told = file->frames;
    if (!file->keeper)
        file->keeper = keeper_start(file->path, file->turn_path, file->settings, file->syncs, file->patience);
    if (file->keeper)
        keeper_wake(file->keeper);
}

void counters_file_leave(struct counters_file *file)
{
    sqlite3_exec(file->database.handle, "ROLLBACK", NULL, NULL, NULL);
    if (file->has_turn)
        turn_give(&file->turn);
    file->has_turn = false;
}

bool counters_file_fail(struct counters_file *file)
{
    counters_file_leave(file);
    file->healthy = false;
    if (file->database.damaged)
        file->suspect++;
    return false;
}

bool counters_file_begin(struct counters_file *file, bool writing, struct error *error)
{
    bool is_boot = false;
    if (!file->is_open)
        return error_set(error, "the store %.120s is not open", file->path);
    file->writing = writing;
    file->wrote = false;
    file->has_turn = writing && turn_take(&file->turn, file->patience);
    if (!files_are_there(file, error) || !step(file, writing ? BEGIN_WRITING : BEGIN, error) ||
        !read_store(file, &is_boot, error))
        return counters_file_fail(file);
    if (!is_boot) {
        error_set(error, "the clock of the store %.120s was set by another machine", file->path);
        return counters_file_fail(file);
    }
    read_clock(file);
    return true;
}

/* The row is written when it says something new, and not with each batch. */
static bool finish(struct counters_file *file, struct error *error)
{
    bool is_time = file->wrote && (int64_t)file->now >= file->newest + NEWEST_STEP;
    if (is_time)
        file->newest = (int64_t)file->now;
    return ((!is_time && file->rows_now == file->rows) || write_store(file, error)) &&
           step(file, COMMIT, error);
}

bool counters_file_end(struct counters_file *file, struct error *error)
{
    if (!finish(file, error))
        return counters_file_fail(file);
    if (file->wrote)
        file->suspect = 0;
    if (file->has_turn)
        turn_give(&file->turn);
    file->has_turn = false;
    tend(file);
    return true;
}

/* ---- pruning */

bool counters_file_prune(struct counters_file *file, struct error *error)
{
    sqlite3_stmt *look = counters_statement(file, LAST_OF_STEP), *prune = counters_statement(file, PRUNE);
    sqlite3_bind_int64(look, 1, file->pruned);
    sqlite3_bind_int(look, 2, PRUNE_STEP);
    if (sqlite3_step(look) != SQLITE_ROW) {
        database_failed(&file->database, error);
        database_reset(look);
        return false;
    }
    int64_t last = sqlite3_column_int64(look, 0);
    bool is_end = sqlite3_column_int(look, 1) < PRUNE_STEP;
    database_reset(look);
    sqlite3_bind_int64(prune, 1, file->pruned);
    sqlite3_bind_int64(prune, 2, is_end ? INT64_MAX : last);
    sqlite3_bind_int64(prune, 3, (int64_t)file->now);
    int count = database_change(&file->database, prune, error);
    if (count < 0)
        return false;
    file->pruned = is_end ? -1 : last;
    file->rows_now -= count;
    file->wrote = file->wrote || count > 0;
    return true;
}
