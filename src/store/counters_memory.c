/*
 * Counters in the memory of this process: a table of a bounded number of rows,
 * found by their number, in chains. When it is full, those that have expired go;
 * new keys then share one counter for each limit, named by the first word of
 * the key, so that no caller can push out another's counter or escape the limit.
 * Its clock is CLOCK_BOOTTIME unless one is played. One thread at a time, as with every backend.
 */
#include "config.h"

#include <stdlib.h>
#include <time.h>

#include "store/counters_backend.h"

enum {
    ROWS_MOST = 100000000,
    SHARED = 1024,      /* rows beyond the bound, for counters that are shared */
    LOOK_FOR_ROOM = 64, /* rows that a new key may cost when the table is full */
    TIDY_ROWS = 20000,
};

#define IN_USE UINT64_MAX /* expires: not while its job is carried out */

struct row {
    uint64_t number;       /* counter_number() */
    char *key;             /* NULL: the row is free */
    uint32_t length, next; /* in its chain, or of free ones; 0: the last */
    enum quota_algorithm algorithm;
    uint64_t expires;
    struct quota_state state;
};

struct memory {
    uint32_t bound, size; /* rows for keys of their own, and all */
    uint32_t used, fresh, free, cursor;
    uint64_t mask;
    const uint64_t *clock;           /* NULL: the system's */
    uint32_t *chains;                /* indices of rows, from 1 */
    struct row *rows;                /* [0] is nobody's */
    struct row rest[QUOTA_GCRA + 1]; /* where there are too many even to share */
};

static uint64_t read_clock(const struct memory *memory)
{
    struct timespec now;
    if (memory->clock)
        return *memory->clock;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* ---- rows */

static uint32_t *find_link(struct memory *memory, uint64_t number)
{
    uint32_t *link = &memory->chains[number & memory->mask];
    while (*link > 0 && memory->rows[*link].number != number)
        link = &memory->rows[*link].next;
    return link;
}

static struct row *find(struct memory *memory, uint64_t number)
{
    uint32_t index = *find_link(memory, number);
    return index > 0 ? &memory->rows[index] : NULL;
}

static void remove_row(struct memory *memory, uint64_t number)
{
    uint32_t *link = find_link(memory, number), index = *link;
    struct row *row = &memory->rows[index];
    *link = row->next;
    free(row->key);
    *row = (struct row){.next = memory->free};
    memory->free = index;
    memory->used--;
}

/* Looks at some rows for what has expired, going on where it stopped. */
static void sweep(struct memory *memory, uint32_t count, uint64_t now)
{
    for (; count > 0 && memory->fresh > 0; count--) {
        memory->cursor = memory->cursor < memory->fresh ? memory->cursor + 1 : 1;
        const struct row *row = &memory->rows[memory->cursor];
        if (row->key && row->expires <= now)
            remove_row(memory, row->number);
    }
}

static struct row *add(struct memory *memory, struct text key, enum quota_algorithm algorithm,
                       uint64_t number)
{
    uint32_t *link = find_link(memory, number);
    uint32_t index = memory->free;
    if (index > 0)
        memory->free = memory->rows[index].next;
    else
        index = ++memory->fresh;
    struct row *row = &memory->rows[index];
    *row = (struct row){.number = number, .length = (uint32_t)key.length, .algorithm = algorithm};
    row->key = malloc(key.length);
    if (!row->key)
        abort(); /* as an arena would */
    memcpy(row->key, key.at, key.length);
    *link = index;
    memory->used++;
    return row;
}

static struct row *find_shared(struct memory *memory, struct text key, enum quota_algorithm algorithm)
{
    char name[COUNTER_KEY_SIZE];
    size_t length = text_find(key, ' ');
    if (length > sizeof name - 2)
        length = sizeof name - 2;
    memcpy(name, key.at, length);
    memcpy(name + length, " *", 2);
    const struct text shared = {name, length + 2};
    const uint64_t number = (uint64_t)counter_number(shared, algorithm);
    struct row *row = find(memory, number);
    if (row)
        return row;
    return memory->used < memory->size ? add(memory, shared, algorithm, number) : &memory->rest[algorithm];
}

static struct row *find_or_add(struct memory *memory, const struct job *job, size_t i, uint64_t now)
{
    const struct draw *draw = &job->draws[i];
    const uint64_t number = (uint64_t)job->numbers[i];
    struct row *row = find(memory, number);
    if (row)
        return row;
    if (memory->used >= memory->bound)
        sweep(memory, LOOK_FOR_ROOM, now);
    if (memory->used < memory->bound)
        return add(memory, draw->key, draw->quota->algorithm, number);
    return find_shared(memory, draw->key, draw->quota->algorithm);
}

/* ---- jobs */

/* The rows are found before any is changed: making room removes rows. */
static void find_rows(struct memory *memory, const struct job *job, uint64_t now, struct row *rows[])
{
    for (size_t i = 0; i < job->count; i++) {
        rows[i] = find_or_add(memory, job, i, now);
        rows[i]->expires = IN_USE;
    }
}

static void release_rows(const struct job *job, struct row *rows[])
{
    for (size_t i = 0; i < job->count; i++)
        rows[i]->expires = quota_expiry(job->draws[i].quota, &rows[i]->state);
}

/* A draw sees what the one before it has taken, which matters where they share a counter. */
static bool take_all(struct job *job, struct row *rows[], uint64_t now)
{
    struct quota_state before[DRAWS_LIMIT];
    bool admitted = true;
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        before[i] = rows[i]->state;
        job->taken.answers[i] = quota_judge(draw->quota, &rows[i]->state, now, draw->cost);
        if (job->taken.answers[i].admitted)
            quota_take(draw->quota, &rows[i]->state, now, draw->cost);
        admitted = admitted && job->taken.answers[i].admitted;
    }
    for (size_t i = job->count; !admitted && i-- > 0;)
        rows[i]->state = before[i];
    return admitted;
}

static void take(struct job *job, struct row *rows[], uint64_t now)
{
    job->taken.admitted = take_all(job, rows, now);
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        struct quota_answer *answer = &job->taken.answers[i];
        if (!answer->admitted && quota_refuse(draw->quota, &rows[i]->state, now))
            *answer = quota_judge(draw->quota, &rows[i]->state, now, draw->cost); /* with the ban */
    }
}

/* What was taken from a shared counter stays there until it expires: whose it is
 * can no longer be told. */
static void give_back(struct memory *memory, const struct job *job, uint64_t now)
{
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        struct row *row = find(memory, (uint64_t)job->numbers[i]);
        if (!row)
            continue;
        quota_give_back(draw->quota, &row->state, job->time, now, draw->cost);
        row->expires = quota_expiry(draw->quota, &row->state);
    }
}

static void take_again(const struct job *job, struct row *rows[], uint64_t now)
{
    for (size_t i = 0; i < job->count; i++)
        quota_take(job->draws[i].quota, &rows[i]->state, now, job->draws[i].cost);
}

static void run_one(struct memory *memory, struct job *job, uint64_t now)
{
    struct row *rows[DRAWS_LIMIT];
    job->taken.time = now;
    if (job->kind != JOB_TAKE)
        give_back(memory, job, now);
    if (job->kind == JOB_GIVE_BACK)
        return;
    find_rows(memory, job, now, rows);
    if (job->kind == JOB_TAKE)
        take(job, rows, now);
    else
        take_again(job, rows, now);
    release_rows(job, rows);
}

static bool run(void *state, struct job *const jobs[], size_t count, struct error *error)
{
    uint64_t now = read_clock(state);
    (void)error;
    for (size_t i = 0; i < count; i++)
        run_one(state, jobs[i], now);
    return true;
}

/* ---- the rest of a backend */

static bool was_undone(const void *state) /* it never fails */
{
    (void)state;
    return true;
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (!memory)
        abort();
    return memory;
}

static void *open_memory(const struct counters_rules *rules, struct error *error)
{
    if (rules->rows < 1 || rules->rows > ROWS_MOST) {
        error_set(error, "there may be 1 to %d counters in memory, not %llu", ROWS_MOST,
                  (unsigned long long)rules->rows);
        return NULL;
    }
    struct memory *memory = allocate(1, sizeof *memory);
    memory->clock = rules->clock;
    memory->bound = (uint32_t)rules->rows;
    memory->size = memory->bound + SHARED;
    memory->mask = 1;
    while (memory->mask < memory->size)
        memory->mask = memory->mask * 2 + 1;
    memory->chains = allocate((size_t)memory->mask + 1, sizeof *memory->chains);
    memory->rows = allocate((size_t)memory->size + 1, sizeof *memory->rows);
    return memory;
}

static bool connect(void *state, struct error *error)
{
    (void)state;
    (void)error;
    return true;
}

static bool tidy(void *state, struct error *error)
{
    struct memory *memory = state;
    (void)error;
    sweep(memory, memory->fresh < TIDY_ROWS ? memory->fresh : TIDY_ROWS, read_clock(memory));
    return true;
}

static bool is_meant(const struct row *row, struct text key)
{
    return row->key && (key.length == 0 || text_equal(key, (struct text){row->key, row->length}));
}

static bool list(void *state, struct text key, bool (*each)(void *context, const struct counter *),
                 void *context, struct error *error)
{
    struct memory *memory = state;
    uint64_t now = read_clock(memory);
    bool more = true;
    (void)error;
    for (uint32_t i = 1; more && i <= memory->fresh; i++) {
        const struct row *row = &memory->rows[i];
        if (is_meant(row, key) && row->expires > now)
            more = each(context, &(struct counter){.key = {row->key, row->length},
                                                   .algorithm = row->algorithm,
                                                   .state = row->state,
                                                   .expires = row->expires,
                                                   .now = now});
    }
    return true;
}

static int reset(void *state, struct text key, struct error *error)
{
    struct memory *memory = state;
    int count = 0;
    (void)error;
    for (uint32_t i = 1; key.length > 0 && i <= memory->fresh; i++)
        if (is_meant(&memory->rows[i], key)) {
            remove_row(memory, memory->rows[i].number);
            count++;
        }
    return count;
}

static void close_memory(void *state)
{
    struct memory *memory = state;
    for (uint32_t i = 1; i <= memory->fresh; i++)
        free(memory->rows[i].key);
    free(memory->rows);
    free(memory->chains);
    free(memory);
}

const struct counters_backend counters_memory = {
    .name = "memory",
    .open = open_memory,
    .connect = connect,
    .run = run,
    .was_undone = was_undone,
    .tidy = tidy,
    .list = list,
    .reset = reset,
    .close = close_memory,
};
