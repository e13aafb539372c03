/*
 * Database: a SQLite file of ours and one connection to it. Owns how a file is
 * made, opened and distrusted, and the words for what can be wrong with it.
 * Knows no table; statements belong to whoever opened it.
 */
#ifndef STORE_DATABASE_H
#define STORE_DATABASE_H

#include <pthread.h>
#include <sqlite3.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/text.h"

struct schema {
    int application;               /* PRAGMA application_id, by which a file is known to be ours */
    int version;                   /* PRAGMA user_version */
    const char *const *migrations; /* what makes version i + 1 of version i */
    const char *const *statements; /* prepared at the opening, `statement_count` of them */
    size_t statement_count;
    const char *settings; /* pragmas of a writer's connection; NULL: safe ones for a small store */
    int busy_ms;          /* to wait for other writers; 0: DATABASE_BUSY_MS */
    const char *vfs;      /* of SQLite; NULL: the standard one */
    bool unchecked;       /* the pages are not looked at in the opening, which takes time in large files */
};

struct database {
    char *path;
    dev_t device; /* of the file that was opened */
    ino_t file;
    sqlite3 *handle;
    bool damaged;         /* by what a failure said of the file; no later failure hides it */
    pthread_mutex_t lock; /* around each use of statements */
    sqlite3_stmt **statements;
    size_t statement_count;
};

enum { DATABASE_BUSY_MS = 5000 };

/* Opens a connection, and makes the file and its schema when it is not there.
 * False with an error; end it with database_close() in both cases. */
bool database_open(struct database *, const char *path, const struct schema *, struct error *);

/* A further connection to the same file that only reads, and so never waits for writers. */
bool database_open_reader(struct database *, const char *path, const struct schema *, struct error *);

void database_close(struct database *);

/* Locks the connection once the file is known to be the one that was opened;
 * false with an error, and no lock, when it is gone or replaced. */
bool database_enter(struct database *, struct error *);
void database_leave(struct database *);

/* Whether the file is still the one that was opened; false with an error. */
bool database_is_there(const struct database *, struct error *);

/* Begins a change (the write lock is taken at once, because a reader that
 * turns writer fails where another has written meanwhile) and ends it: `keep`
 * commits, and the result is whether it is committed. */
bool database_begin(struct database *, struct error *);
bool database_end(struct database *, bool keep, struct error *);

/* Whether the last failure is that another process is writing. */
bool database_is_busy(const struct database *);

/* Sets the error to what SQLite has just failed at; always false. */
bool database_failed(struct database *, struct error *);
bool database_damaged(const struct database *, struct error *);

/* Binds a text; its bytes must stay until the statement is reset. */
void database_bind(sqlite3_stmt *, int place, struct text);

/* Runs a statement without rows and resets it; how many rows changed, or -1 with an error. */
int database_change(struct database *, sqlite3_stmt *, struct error *);

/* Makes a statement ready for its next use. */
void database_reset(sqlite3_stmt *);

#endif
