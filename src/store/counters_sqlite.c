/*
 * Counters in a SQLite file beside the store of keys: what the queue and the
 * command line want, as transactions on that file.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/counters_sqlite.h"

/* ---- opening */

/* Read before the sandbox is entered, where there is no /proc. */
static bool read_boot(struct boot *boot, struct error *error)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, boot->id, BOOT_SIZE - 1);
    int number = errno;
    if (file >= 0)
        (void)close(file);
    errno = number;
    if (length <= 0)
        return error_set_errno(error, "cannot tell this boot from others by %s", path);
    boot->id[length] = '\0';
    boot->id[strcspn(boot->id, "\n")] = '\0';
    return true;
}

/* One page a row is room even where all keys are as long as they may be. Small
 * pages, because a check that changes a few bytes writes a whole one. */
static void set_settings(struct counters_file *file, const struct counters_rules *rules)
{
    static const char *const synchronous[] = {
        [DURABILITY_NORMAL] = "NORMAL", [DURABILITY_FULL] = "FULL", [DURABILITY_OFF] = "OFF"};
    unsigned long long rows = rules->rows < INT32_MAX / 2 ? rules->rows : INT32_MAX / 2;
    int length = snprintf(file->settings, sizeof file->settings,
                          "PRAGMA page_size = 512; PRAGMA synchronous = %s; PRAGMA cache_size = -16384;"
                          "PRAGMA cache_spill = OFF;"
                          "PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 33554432;"
                          "PRAGMA max_page_count = %llu;",
                          synchronous[rules->durability], rows + rows / 8 + 1024);
    assert(length > 0 && length < (int)sizeof file->settings);
    (void)length;
}

static void end(void *state)
{
    struct counters_file *file = state;
    counters_file_disconnect(file);
    turn_close(&file->turn);
    batch_free(file->batch);
    free(file->path);
    free(file->turn_path);
    free(file);
}

static void *begin(const struct counters_rules *rules, struct error *error)
{
    struct counters_file *file = calloc(1, sizeof *file);
    if (!file || !(file->path = strdup(rules->place)) ||
        asprintf(&file->turn_path, "%s.turn", rules->place) < 0)
        abort();
    file->batch = batch_new();
    file->turn.file = -1;
    file->pruned = -1;
    file->rows_most = rules->rows;
    /* for one's turn, for the file and for the work itself */
    file->patience = (unsigned)(rules->timeout < 4 ? 1 : rules->timeout > 20000 ? 5000 : rules->timeout / 4);
    file->syncs = rules->durability != DURABILITY_OFF;
    set_settings(file, rules);
    if (!read_boot(&file->boot, error)) {
        end(file);
        return NULL;
    }
    /* One that cannot be opened now may be later, and not all requests need it. */
    (void)counters_file_connect(file, &(struct error){0});
    return file;
}

static bool connect(void *state, struct error *error)
{
    return counters_file_connect(state, error);
}

/* ---- checks */

/* Two rows are looked at for each one that is new, so that what has expired is never more than
 * half of all; near the bound more, because there others lose by it. */
static bool is_prune_due(const struct counters_file *file)
{
    uint64_t looks = (uint64_t)file->rows_now > file->rows_most - file->rows_most / 8 ? 8 : 2;
    return file->wanted * looks >= PRUNE_STEP;
}

static bool prune_if_due(struct counters_file *file, struct error *error)
{
    if (!is_prune_due(file))
        return true;
    file->wanted = 0;
    return counters_file_prune(file, error);
}

/* One transaction. Without the intention to write, nothing is done where something has changed. */
static bool run_once(struct counters_file *file, bool writing, struct job *const jobs[], size_t count,
                     bool *changed, struct error *error)
{
    if (!counters_file_begin(file, writing, error))
        return false;
    if (!batch_run(file, jobs, count, changed, error))
        return counters_file_fail(file);
    if (!writing) {
        counters_file_leave(file);
        return true;
    }
    if ((*changed && !batch_write(file, error)) || !prune_if_due(file, error))
        return counters_file_fail(file);
    return counters_file_end(file, error);
}

/* Refusals change nothing, and who is refused comes in bursts: after a batch without change the
 * next one is tried without waiting for a turn, beside all who write. */
static bool run(void *state, struct job *const jobs[], size_t count, struct error *error)
{
    struct counters_file *file = state;
    bool changed = true;
    if (file->quiet && !is_prune_due(file) && !run_once(file, false, jobs, count, &changed, error))
        return false;
    if (changed && !run_once(file, true, jobs, count, &changed, error))
        return false;
    file->quiet = !changed;
    return true;
}

/* What is not committed is not there. */
static bool was_undone(const void *state)
{
    (void)state;
    return true;
}

static bool tidy(void *state, struct error *error)
{
    struct counters_file *file = state;
    if (!counters_file_begin(file, true, error))
        return false;
    return counters_file_prune(file, error) ? counters_file_end(file, error) : counters_file_fail(file);
}

/* ---- the command line */

enum column { NUMBER, KEY, ALGORITHM, EXPIRES, STATE };

/* Rows that were read, and are shown once the file is left: whoever looks at them slowly
 * keeps nobody from writing, nor the -wal from beginning again. */
enum { LISTING_SIZE = 200 };
struct listing {
    size_t count;
    bool is_end;
    int64_t last; /* number */
    struct counter counters[LISTING_SIZE];
    char keys[LISTING_SIZE][COUNTER_KEY_SIZE];
};

/* What has expired, or was written by hand, is passed over. */
static void note(const struct counters_file *file, sqlite3_stmt *row, struct listing *listing)
{
    struct counter *counter = &listing->counters[listing->count];
    const char *key = (const char *)sqlite3_column_text(row, KEY);
    struct text text = {key, (size_t)sqlite3_column_bytes(row, KEY)};
    int algorithm = sqlite3_column_int(row, ALGORITHM);
    int64_t expires = sqlite3_column_int64(row, EXPIRES);
    if (algorithm < 0 || algorithm > QUOTA_GCRA || text.length > COUNTER_KEY_SIZE || !text_is_line(text) ||
        expires <= (int64_t)file->now ||
        !quota_read(&counter->state, (enum quota_algorithm)algorithm, sqlite3_column_blob(row, STATE),
                    (size_t)sqlite3_column_bytes(row, STATE)))
        return;
    memcpy(listing->keys[listing->count], text.at, text.length);
    counter->key = (struct text){listing->keys[listing->count++], text.length};
    counter->algorithm = (enum quota_algorithm)algorithm;
    counter->expires = (uint64_t)expires;
    counter->now = file->now;
}

/* How many rows a statement gives; -1 with an error. */
static int note_rows(struct counters_file *file, sqlite3_stmt *statement, struct listing *listing,
                     struct error *error)
{
    int rows = 0, result;
    for (; (result = sqlite3_step(statement)) == SQLITE_ROW; rows++) {
        listing->last = sqlite3_column_int64(statement, NUMBER);
        note(file, statement, listing);
    }
    if (result != SQLITE_DONE)
        database_failed(&file->database, error);
    database_reset(statement);
    return result == SQLITE_DONE ? rows : -1;
}

static bool note_key(struct counters_file *file, struct text key, struct listing *listing,
                     struct error *error)
{
    sqlite3_stmt *statement = counters_statement(file, FIND);
    for (int algorithm = QUOTA_FIXED; algorithm <= QUOTA_GCRA; algorithm++) {
        sqlite3_bind_int64(statement, 1, counter_number(key, (enum quota_algorithm)algorithm));
        if (note_rows(file, statement, listing, error) < 0)
            return false;
    }
    listing->is_end = true;
    return true;
}

static bool note_some(struct counters_file *file, struct listing *listing, struct error *error)
{
    sqlite3_stmt *statement = counters_statement(file, LIST);
    sqlite3_bind_int64(statement, 1, listing->last);
    sqlite3_bind_int(statement, 2, LISTING_SIZE);
    int rows = note_rows(file, statement, listing, error);
    listing->is_end = rows < LISTING_SIZE;
    return rows >= 0;
}

static bool read_listing(struct counters_file *file, struct text key, struct listing *listing,
                         struct error *error)
{
    listing->count = 0;
    if (!counters_file_begin(file, false, error))
        return false;
    bool done = key.length > 0 ? note_key(file, key, listing, error) : note_some(file, listing, error);
    if (!done)
        return counters_file_fail(file);
    counters_file_leave(file);
    return true;
}

static bool list(void *state, struct text key, bool (*each)(void *context, const struct counter *),
                 void *context, struct error *error)
{
    bool done = true, more = true;
    struct listing *listing = calloc(1, sizeof *listing);
    if (!listing)
        abort();
    for (listing->last = -1; done && more && !listing->is_end;) {
        done = read_listing(state, key, listing, error);
        for (size_t i = 0; done && more && i < listing->count; i++)
            more = each(context, &listing->counters[i]);
    }
    free(listing);
    return done;
}

static int reset(void *state, struct text key, struct error *error)
{
    struct counters_file *file = state;
    sqlite3_stmt *statement;
    int count = 0;
    if (!counters_file_begin(file, true, error))
        return -1;
    statement = counters_statement(file, FORGET);
    for (int algorithm = QUOTA_FIXED; algorithm <= QUOTA_GCRA; algorithm++) {
        sqlite3_bind_int64(statement, 1, counter_number(key, (enum quota_algorithm)algorithm));
        int changed = database_change(&file->database, statement, error);
        if (changed < 0) {
            (void)counters_file_fail(file);
            return -1;
        }
        count += changed;
    }
    file->rows_now -= count;
    file->wrote = count > 0;
    return counters_file_end(file, error) ? count : -1;
}

const struct counters_backend counters_sqlite = {.name = "sqlite",
                                                 .prompt = true,
                                                 .open = begin,
                                                 .connect = connect,
                                                 .run = run,
                                                 .was_undone = was_undone,
                                                 .tidy = tidy,
                                                 .list = list,
                                                 .reset = reset,
                                                 .close = end};
