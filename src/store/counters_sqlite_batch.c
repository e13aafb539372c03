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
    bool exists;            /* as a row */
    bool claimed, excluded; /* is to be one; there was no room for it */
    bool changed, shared;
};

struct batch {
    size_t count, claimed;   /* entries; those of them that are to be new rows */
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
    batch->count = batch->claimed = 0;
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
    return (uint64_t)file->rows_now + file->batch->claimed >= file->rows_most;
}

/* Whether there is room for it as a row; asked once for all of a batch. */
static bool claim(struct counters_file *file, struct entry *entry)
{
    if (entry->exists || entry->claimed || entry->excluded)
        return !entry->excluded;
    file->wanted++;
    entry->claimed = !is_full(file);
    entry->excluded = !entry->claimed;
    if (entry->claimed)
        file->batch->claimed++;
    return entry->claimed;
}

static struct entry *find_own(struct counters_file *file, const struct job *job, size_t i,
                              struct error *error)
{
    return load(file, &job->draws[i], job->numbers[i], false, error);
}

/* The counter to take from: the draw's own, or the shared one. */
static struct entry *find(struct counters_file *file, const struct job *job, size_t i, struct error *error)
{
    char key[COUNTER_KEY_SIZE];
    const struct draw *draw = &job->draws[i];
    struct entry *entry = find_own(file, job, i, error);
    if (!entry || claim(file, entry))
        return entry;
    struct text shared = shared_key(draw->key, key);
    return load(file, draw, counter_number(shared, draw->quota->algorithm), true, error);
}

/* ---- jobs */

static bool find_all(struct counters_file *file, const struct job *job, struct entry *found[DRAWS_LIMIT],
                     struct error *error)
{
    for (size_t i = 0; i < job->count; i++) {
        found[i] = find(file, job, i, error);
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
    job->taken.admitted = take_all(job, found, now);
    for (size_t i = 0; i < job->count; i++) {
        if (!job->taken.admitted)
            changed |= refuse(&job->draws[i], found[i], &job->taken.answers[i], now);
        else if (job->draws[i].cost > 0)
            changed = found[i]->changed = true;
    }
    return changed;
}

static bool is_same(const struct quota_state *a, const struct quota_state *b, enum quota_algorithm algorithm)
{
    unsigned char bytes[2][QUOTA_BYTES];
    size_t length = quota_write(a, algorithm, bytes[0]);
    return quota_write(b, algorithm, bytes[1]) == length && memcmp(bytes[0], bytes[1], length) == 0;
}

/* What was taken from a shared counter stays there until it expires: whose it is
 * can no longer be told. */
static bool give_back(struct counters_file *file, const struct job *job, bool *changed, struct error *error)
{
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        struct entry *entry = find_own(file, job, i, error);
        if (!entry)
            return false;
        if (!entry->exists && !entry->claimed)
            continue;
        struct quota_state before = entry->state;
        quota_give_back(draw->quota, &entry->state, job->time, file->now, draw->cost);
        if (!is_same(&before, &entry->state, draw->quota->algorithm))
            *changed = entry->changed = true;
    }
    return true;
}

static bool take_again(struct job *job, struct entry *const found[], uint64_t now)
{
    bool changed = false;
    for (size_t i = 0; i < job->count; i++) {
        quota_take(job->draws[i].quota, &found[i]->state, now, job->draws[i].cost);
        if (job->draws[i].cost > 0)
            changed = found[i]->changed = true;
    }
    return changed;
}

static bool carry_out(struct counters_file *file, struct job *job, bool *changed, struct error *error)
{
    struct entry *found[DRAWS_LIMIT];
    assert(job->count > 0 && job->count <= DRAWS_LIMIT);
    job->taken.time = file->now;
    if (job->kind != JOB_TAKE && !give_back(file, job, changed, error))
        return false;
    if (job->kind == JOB_GIVE_BACK)
        return true;
    if (!find_all(file, job, found, error))
        return false;
    bool by_this = job->kind == JOB_TAKE ? take(job, found, file->now) : take_again(job, found, file->now);
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
