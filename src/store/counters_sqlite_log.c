/*
 * The -wal of a file of counters, written once a transaction. SQLite writes two
 * pieces for each page that has changed, and a batch of many callers changes as
 * many pages: here they are joined until the frame that commits them is whole
 * (https://www.sqlite.org/walformat.html). Nobody reads a frame before it is
 * committed, so nobody misses those that wait in memory. All else is done by
 * the system's own VFS (https://www.sqlite.org/vfs.html).
 *
 * It needs a connection that writes only when it commits (cache_spill = OFF): what
 * has been put aside by a transaction that is rolled back must not be written later.
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/counters_sqlite.h"

enum { FRAME_HEADER = 24, COMMIT_FIELD = 4, COMMIT_SIZE = 4 };
enum { WAITING_MOST = 64 * 1024 }; /* bytes; SQLite's own VFS fails to write a multiple of 128 KiB */

struct log {
    sqlite3_file base; /* first: what SQLite has */
    sqlite3_file *file;
    bool joins, commits; /* the frame that is being written is the last of a transaction */
    char *waiting;
    size_t length;
    sqlite3_int64 from; /* where in the file */
};

static sqlite3_vfs *standard;

static struct log *log_of(sqlite3_file *file)
{
    return (struct log *)file;
}

/* ---- what waits */

static int flush(struct log *log)
{
    size_t length = log->length;
    log->length = 0; /* what cannot be written is part of nothing */
    return length == 0 ? SQLITE_OK
                       : log->file->pMethods->xWrite(log->file, log->waiting, (int)length, log->from);
}

/* Adds it to what waits. */
static bool join(struct log *log, const void *at, size_t size, sqlite3_int64 offset)
{
    if (size > WAITING_MOST - log->length || (!log->waiting && !(log->waiting = malloc(WAITING_MOST))))
        return false;
    if (log->length == 0)
        log->from = offset;
    memcpy(log->waiting + log->length, at, size);
    log->length += size;
    return true;
}

/* ---- the file that SQLite sees */

static int write_log(sqlite3_file *file, const void *at, int size, sqlite3_int64 offset)
{
    static const char nothing[COMMIT_SIZE];
    struct log *log = log_of(file);
    if (log->length > 0 && offset != log->from + (sqlite3_int64)log->length) {
        log->length = 0; /* left by a transaction that was not committed */
        return SQLITE_IOERR_WRITE;
    }
    bool is_header = size == FRAME_HEADER;
    if (is_header)
        log->commits = memcmp((const char *)at + COMMIT_FIELD, nothing, COMMIT_SIZE) != 0;
    bool is_frame = is_header || log->length > 0;
    bool joined = log->joins && is_frame && join(log, at, (size_t)size, offset);
    if (joined && (is_header || !log->commits))
        return SQLITE_OK;
    int result = flush(log);
    return joined || result != SQLITE_OK ? result : log->file->pMethods->xWrite(log->file, at, size, offset);
}

static int read_log(sqlite3_file *file, void *to, int size, sqlite3_int64 offset)
{
    int result = flush(log_of(file));
    return result != SQLITE_OK ? result
                               : log_of(file)->file->pMethods->xRead(log_of(file)->file, to, size, offset);
}

static int truncate_log(sqlite3_file *file, sqlite3_int64 size)
{
    int result = flush(log_of(file));
    return result != SQLITE_OK ? result : log_of(file)->file->pMethods->xTruncate(log_of(file)->file, size);
}

static int sync_log(sqlite3_file *file, int flags)
{
    int result = flush(log_of(file));
    return result != SQLITE_OK ? result : log_of(file)->file->pMethods->xSync(log_of(file)->file, flags);
}

static int size_log(sqlite3_file *file, sqlite3_int64 *size)
{
    int result = flush(log_of(file));
    return result != SQLITE_OK ? result : log_of(file)->file->pMethods->xFileSize(log_of(file)->file, size);
}

static int lock_log(sqlite3_file *file, int level)
{
    return log_of(file)->file->pMethods->xLock(log_of(file)->file, level);
}

static int unlock_log(sqlite3_file *file, int level)
{
    return log_of(file)->file->pMethods->xUnlock(log_of(file)->file, level);
}

static int look_at_lock(sqlite3_file *file, int *locked)
{
    return log_of(file)->file->pMethods->xCheckReservedLock(log_of(file)->file, locked);
}

static int control_log(sqlite3_file *file, int what, void *argument)
{
    return log_of(file)->file->pMethods->xFileControl(log_of(file)->file, what, argument);
}

static int sector_size(sqlite3_file *file)
{
    return log_of(file)->file->pMethods->xSectorSize(log_of(file)->file);
}

static int characteristics(sqlite3_file *file)
{
    return log_of(file)->file->pMethods->xDeviceCharacteristics(log_of(file)->file);
}

static int close_log(sqlite3_file *file)
{
    struct log *log = log_of(file);
    free(log->waiting);
    return log->file->pMethods->xClose(log->file);
}

static const sqlite3_io_methods methods = {
    .iVersion = 1,
    .xClose = close_log,
    .xRead = read_log,
    .xWrite = write_log,
    .xTruncate = truncate_log,
    .xSync = sync_log,
    .xFileSize = size_log,
    .xLock = lock_log,
    .xUnlock = unlock_log,
    .xCheckReservedLock = look_at_lock,
    .xFileControl = control_log,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
};

/* ---- the VFS */

/* Where a power cut may harm what is beside a write, SQLite writes in pieces of sectors,
 * which are not told from frames. */
static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    (void)vfs;
    if (!(flags & SQLITE_OPEN_WAL))
        return standard->xOpen(standard, path, file, flags, out);
    struct log *log = log_of(file);
    *log = (struct log){.file = (sqlite3_file *)(log + 1)};
    int result = standard->xOpen(standard, path, log->file, flags, out);
    if (!log->file->pMethods)
        return result;
    log->base.pMethods = &methods;
    log->joins = (characteristics(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0;
    return result;
}

static void make(void)
{
    static sqlite3_vfs own;
    standard = sqlite3_vfs_find(NULL);
    if (!standard)
        return;
    own = *standard;
    own.zName = "fcgiguard-counters";
    own.pNext = NULL;
    own.iVersion = own.iVersion < 3 ? own.iVersion : 3; /* of a later one there is no copy */
    own.xOpen = open_file;
    own.szOsFile += (int)sizeof(struct log);
    if (sqlite3_vfs_register(&own, 0) != SQLITE_OK)
        standard = NULL;
}

const char *counters_log_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make);
    return standard ? "fcgiguard-counters" : NULL;
}
