/*
 * A batch of jobs within one transaction: each counter is read once, when the
 * first job wants it, and written once, when the last has changed it. When
 * there are as many counters as there may be, those that are not there yet
 * share one for each limit: so many callers at once neither fill the disk nor
 * push out others, nor are they without a limit.
 */
#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "store/counters_sqlite.h"

enum { ENTRIES = 2 * BATCH_LIMIT * DRAWS_LIMIT, PLACES = 2 * ENTRIES };
_Static_assert(ENTRIES < UINT16_MAX, "an entry's index and one");

struct entry {
    int64_t number;
    struct text key; /* of the draw; for the shared counter only its first word counts */
    const struct quota *quota;
    struct quota_state state;
    bool exists, changed, shared;
};

struct batch {
    size_t count, missing;   /* entries; those of them that are no rows yet */
    uint16_t places[PLACES]; /* by number: an entry's index and one, or 0 */
    struct entry entries[ENTRIES];
};

struct batch *batch_new(void)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        abort();
    return batch;
}

void batch_free(struct batch *batch)
{
    free(batch);
}

static void clear(struct batch *batch)
{
    batch->count = batch->missing = 0;
    memset(batch->places, 0, sizeof batch->places);
}

/* ---- finding counters */

/* "login *" for "login address=192.0.2.7". */
static struct text shared_key(struct text key, char to[COUNTER_KEY_SIZE])
{
    static const char end[] = " *";
    struct text word = text_cut((struct text){key.at, text_find(key, ' ')}, COUNTER_KEY_SIZE - 2);
    memcpy(to, word.at, word.length);
    memcpy(to + word.length, end, 2);
    return (struct text){to, word.length + 2};
}

static bool read_state(struct counters_file *file, struct entry *entry, struct error *error)
{
    sqlite3_stmt *statement = counters_statement(file, FIND_STATE);
    sqlite3_bind_int64(statement, 1, entry->number);
    int result = sqlite3_step(statement);
    entry->exists = result == SQLITE_ROW;
    /* What is none of our states has been written by hand, and counts as none. */
    if (entry->exists)
        (void)quota_read(&entry->state, entry->quota->algorithm, sqlite3_column_blob(statement, 0),
                         (size_t)sqlite3_column_bytes(statement, 0));
    bool done = entry->exists || result == SQLITE_DONE || database_failed(&file->database, error);
    sqlite3_reset(statement);
    return done;
}

/* The entry of a number, new ones read from the file; NULL with an error. */
static struct entry *load(struct counters_file *file, const struct draw *draw, int64_t number, bool shared,
                          struct error *error)
{
    struct batch *batch = file->batch;
    size_t place = (uint64_t)number % PLACES;
    for (; batch->places[place] != 0; place = (place + 1) % PLACES) {
        struct entry *entry = &batch->entries[batch->places[place] - 1];
        if (entry->number == number) {
            entry->quota = draw->quota;
            return entry;
        }
    }
    assert(batch->count < ENTRIES);
    struct entry *entry = &batch->entries[batch->count];
    *entry = (struct entry){.number = number, .key = draw->key, .quota = draw->quota, .shared = shared};
    if (!read_state(file, entry, error))
        return NULL;
    batch->places[place] = (uint16_t)++batch->count;
    return entry;
}

static bool is_full(const struct counters_file *file)
{
    return (uint64_t)file->rows_now + file->batch->missing >= file->rows_most;
}

/* The counter that a draw is on: its own, or the shared one. */
static struct entry *find(struct counters_file *file, const struct draw *draw, struct error *error)
{
    char key[COUNTER_KEY_SIZE];
    size_t known = file->batch->count;
    struct entry *entry = load(file, draw, counter_number(draw->key, draw->quota->algorithm), false, error);
    if (!entry || entry->exists)
        return entry;
    bool is_new = file->batch->count > known;
    if (is_new)
        file->wanted++;
    if (is_new && !is_full(file))
        file->batch->missing++;
    else if (is_new)
        entry->shared = true; /* stays so for the whole batch */
    if (!entry->shared)
        return entry;
    struct text shared = shared_key(draw->key, key);
    return load(file, draw, counter_number(shared, draw->quota->algorithm), true, error);
}

/* ---- jobs */

static bool find_all(struct counters_file *file, const struct job *job, struct entry *found[DRAWS_LIMIT],
                     struct error *error)
{
    for (size_t i = 0; i < job->count; i++) {
        found[i] = find(file, &job->draws[i], error);
        if (!found[i])
            return false;
    }
    return true;
}

/* A draw sees what the one before it has taken, which matters where they share a counter. */
static bool take_all(struct job *job, struct entry *const found[], uint64_t now)
{
    struct quota_state before[DRAWS_LIMIT];
    bool admitted = true;
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        before[i] = found[i]->state;
        job->taken.answers[i] = quota_judge(draw->quota, &found[i]->state, now, draw->cost);
        if (job->taken.answers[i].admitted)
            quota_take(draw->quota, &found[i]->state, now, draw->cost);
        admitted = admitted && job->taken.answers[i].admitted;
    }
    for (size_t i = job->count; !admitted && i-- > 0;)
        found[i]->state = before[i];
    return admitted;
}

static bool refuse(const struct draw *draw, struct entry *entry, struct quota_answer *answer, uint64_t now)
{
    if (answer->admitted || !quota_refuse(draw->quota, &entry->state, now))
        return false;
    *answer = quota_judge(draw->quota, &entry->state, now, draw->cost);
    return entry->changed = true;
}

static bool take(struct job *job, struct entry *const found[], uint64_t now)
{
    bool changed = false;
    job->taken.time = now;
    job->taken.admitted = take_all(job, found, now);
    for (size_t i = 0; i < job->count; i++) {
        if (!job->taken.admitted)
            changed |= refuse(&job->draws[i], found[i], &job->taken.answers[i], now);
        else if (job->draws[i].cost > 0)
            changed = found[i]->changed = true;
    }
    return changed;
}

static bool give_back(struct job *job, struct entry *const found[], uint64_t now)
{
    bool changed = false;
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        struct quota_state before = found[i]->state;
        quota_give_back(draw->quota, &found[i]->state, job->time, now, draw->cost);
        if (memcmp(&before, &found[i]->state, sizeof before) != 0)
            changed = found[i]->changed = true;
    }
    return changed;
}

static bool renew(struct job *job, struct entry *const found[], uint64_t now)
{
    bool changed = give_back(job, found, now);
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        quota_take(draw->quota, &found[i]->state, now, draw->cost);
        if (draw->cost > 0)
            changed = found[i]->changed = true;
    }
    job->taken.admitted = true;
    job->taken.time = now;
    return changed;
}

static bool carry_out(struct counters_file *file, struct job *job, bool *changed, struct error *error)
{
    struct entry *found[DRAWS_LIMIT];
    assert(job->count > 0 && job->count <= DRAWS_LIMIT);
    if (!find_all(file, job, found, error))
        return false;
    bool by_this = job->kind == JOB_TAKE        ? take(job, found, file->now)
                   : job->kind == JOB_GIVE_BACK ? give_back(job, found, file->now)
                                                : renew(job, found, file->now);
    *changed = *changed || by_this;
    return true;
}

bool batch_run(struct counters_file *file, struct job *const jobs[], size_t count, bool *changed,
               struct error *error)
{
    assert(count <= BATCH_LIMIT);
    *changed = false;
    clear(file->batch);
    for (size_t i = 0; i < count; i++)
        if (!carry_out(file, jobs[i], changed, error))
            return false;
    return true;
}

/* ---- writing */

static bool put(struct counters_file *file, const struct entry *entry, struct error *error)
{
    char key[COUNTER_KEY_SIZE];
    unsigned char state[QUOTA_BYTES];
    sqlite3_stmt *statement = counters_statement(file, PUT);
    uint64_t expires = quota_expiry(entry->quota, &entry->state);
    size_t length = quota_write(&entry->state, entry->quota->algorithm, state);
    sqlite3_bind_int64(statement, 1, entry->number);
    database_bind(statement, 2, entry->shared ? shared_key(entry->key, key) : entry->key);
    sqlite3_bind_int(statement, 3, (int)entry->quota->algorithm);
    sqlite3_bind_int64(statement, 4, expires < INT64_MAX ? (int64_t)expires : INT64_MAX);
    sqlite3_bind_blob64(statement, 5, state, length, SQLITE_STATIC);
    bool done = sqlite3_step(statement) == SQLITE_DONE || database_failed(&file->database, error);
    sqlite3_reset(statement); /* its bindings are not read again before they are bound again */
    if (done && !entry->exists)
        file->rows_now++;
    return done;
}

bool batch_write(struct counters_file *file, struct error *error)
{
    struct batch *batch = file->batch;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->entries[i].changed && !put(file, &batch->entries[i], error))
            return false;
    file->wrote = true;
    return true;
}
