/*
 * Counters in SQLite: what its five files share, and nobody else includes.
 * counters_sqlite_file.c has the file, its clock and its transactions,
 * counters_sqlite_log.c how it is written, counters_sqlite_keeper.c a thread that tends
 * it, counters_sqlite_batch.c what jobs do within a transaction, counters_sqlite.c the rest.
 */
#ifndef STORE_COUNTERS_SQLITE_H
#define STORE_COUNTERS_SQLITE_H

#include "store/counters_backend.h"
#include "store/database.h"
#include "store/turn.h"

enum counters_statement {
    BEGIN,
    BEGIN_WRITING,
    COMMIT,
    READ_STORE,
    WRITE_STORE,
    FIND_STATE,
    PUT,
    FIND,
    LIST,
    FORGET,
    LAST_OF_STEP,
    PRUNE,
    STATEMENTS
};

enum { BOOT_SIZE = 40 };

/* What a boot of the machine is known by, and how far the tests have turned its clocks. */
struct boot {
    char id[BOOT_SIZE];
    int64_t wall_shift, shift; /* microseconds */
};

struct batch;

struct counters_file {
    char *path, *turn_path;
    uint64_t rows_most;
    unsigned patience; /* milliseconds for each of: one's turn, the file's own lock */
    char settings[256];
    struct boot boot;

    struct database database;
    bool is_open;
    bool healthy;     /* nothing has failed since it was opened */
    unsigned suspect; /* failures in a row that were for what is in the file */
    ino_t log, index; /* of the -wal and -shm */
    struct turn turn;
    size_t frames, frames_told; /* of the -wal: now, and when the keeper was woken */
    struct keeper *keeper;      /* NULL: was not needed yet */
    bool syncs;                 /* durability is not off */

    /* within a transaction */
    bool writing, has_turn, wrote;
    int64_t offset, newest, rows; /* as the file has them */
    int64_t rows_now;
    uint64_t now;

    int64_t pruned;  /* the last number that was looked at */
    uint64_t wanted; /* counters made, or refused a place, since then */
    bool quiet;      /* the last batch changed nothing */
    struct batch *batch;
};

/* Connects, makes the file, moves a damaged one aside. */
bool counters_file_connect(struct counters_file *, struct error *);
void counters_file_disconnect(struct counters_file *);

/* A transaction that sees one state of the file, at the time `now`. For writing it waits for
 * its turn. False with an error, and none. */
bool counters_file_begin(struct counters_file *, bool writing, struct error *);

/* Ends it: keeps what was changed, leaves it out, or leaves it out because something
 * failed, after which the file is connected to again; that is always false. */
bool counters_file_end(struct counters_file *, struct error *);
void counters_file_leave(struct counters_file *);
bool counters_file_fail(struct counters_file *);

/* Forgets what has expired in the next PRUNE_STEP rows; within a transaction. */
enum { PRUNE_STEP = 200 };
bool counters_file_prune(struct counters_file *, struct error *);

static inline sqlite3_stmt *counters_statement(const struct counters_file *file,
                                               enum counters_statement which)
{
    return file->database.statements[which];
}

/* A keeper for a file that is open; NULL when there cannot be one. */
struct keeper *keeper_start(const char *path, const char *turn_path, const char *settings, bool syncs,
                            unsigned patience);
void keeper_wake(struct keeper *);
void keeper_stop(struct keeper *);

/* The name of a VFS that writes the -wal once a transaction, for a connection with cache_spill = OFF;
 * NULL when SQLite has none to build on. */
const char *counters_log_vfs(void);

struct batch *batch_new(void);
void batch_free(struct batch *);

/* Carries out jobs within a transaction, in memory; whether a counter has changed. */
bool batch_run(struct counters_file *, struct job *const jobs[], size_t count, bool *changed, struct error *);

/* Writes the counters that have changed. */
bool batch_write(struct counters_file *, struct error *);

#endif
