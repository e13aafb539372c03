/*
 * The keeper of a file of counters: a thread that carries what has been written
 * from the -wal to its place in the file, while checks go on. It comes to
 * an end only when nobody writes meanwhile: so the bulk is carried beside the
 * others, and the little that they add in a turn of its own. Without it the -wal
 * would grow for as long as requests come.
 */
#include "config.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "store/counters_sqlite.h"

struct keeper {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool wanted, ends;
    struct database database;
    struct turn turn;
    unsigned patience;
    bool syncs;
};

/* False where another process is at it, or nothing can be written. */
static bool carry(struct keeper *keeper)
{
    return sqlite3_wal_checkpoint_v2(keeper->database.handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) ==
           SQLITE_OK;
}

/* So that there is little to wait for when it is done again while nobody writes. */
static void sync_file(struct keeper *keeper)
{
    sqlite3_file *file = NULL;
    if (keeper->syncs && sqlite3_file_control(keeper->database.handle, NULL, SQLITE_FCNTL_FILE_POINTER,
                                              (void *)&file) == SQLITE_OK)
        (void)file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

/* A failure is none of a check: what is in the -wal stays there, and is tried again. */
static void keep(struct keeper *keeper)
{
    if (!database_is_there(&keeper->database, &(struct error){0}) || !carry(keeper) || !carry(keeper))
        return;
    sync_file(keeper);
    if (!turn_take(&keeper->turn, keeper->patience))
        return;
    (void)carry(keeper);
    turn_give(&keeper->turn);
}

static void *work(void *context)
{
    struct keeper *keeper = context;
    pthread_mutex_lock(&keeper->lock);
    while (!keeper->ends) {
        if (!keeper->wanted) {
            pthread_cond_wait(&keeper->changed, &keeper->lock);
            continue;
        }
        keeper->wanted = false;
        pthread_mutex_unlock(&keeper->lock);
        keep(keeper);
        pthread_mutex_lock(&keeper->lock);
    }
    pthread_mutex_unlock(&keeper->lock);
    return NULL;
}

static bool start_thread(struct keeper *keeper)
{
    sigset_t all, before; /* they are for the other threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool done = pthread_create(&keeper->thread, NULL, work, keeper) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return done;
}

static void free_keeper(struct keeper *keeper)
{
    database_close(&keeper->database);
    turn_close(&keeper->turn);
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}

struct keeper *keeper_start(const char *path, const char *turn_path, const char *settings, bool syncs,
                            unsigned patience)
{
    static const struct schema nothing = {.statement_count = 0};
    struct error error = {0};
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        abort();
    keeper->patience = patience;
    keeper->syncs = syncs;
    if (pthread_mutex_init(&keeper->lock, NULL) != 0 || pthread_cond_init(&keeper->changed, NULL) != 0)
        abort();
    (void)turn_open(&keeper->turn, turn_path, &error);
    if (database_open_reader(&keeper->database, path, &nothing, &error) &&
        sqlite3_exec(keeper->database.handle, settings, NULL, NULL, NULL) == SQLITE_OK &&
        start_thread(keeper))
        return keeper;
    free_keeper(keeper);
    return NULL;
}

void keeper_wake(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->wanted = true;
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
}

void keeper_stop(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->ends = true;
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    free_keeper(keeper);
}
