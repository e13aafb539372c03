/*
 * Callers append to a list under one lock and sleep; the thread takes all that
 * waits, hands it to the backend, and wakes those it was for by one system call,
 * because all who came between two batches sleep on one word. So the more
 * callers there are the larger a batch grows, and no one wakes in vain. The
 * words are futexes: a condition variable would have all who are woken fight for its
 * mutex (a third of the throughput with 64 callers; one semaphore each: two thirds).
 *
 * A job is in memory of the queue's own, the keys and quotas included: a caller
 * who does not want to wait any longer leaves, whatever the backend does with it.
 */
#include "config.h"

#include "store/counters_queue.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    WORDS = 64,           /* batches until one is used again; more often would only wake somebody in vain */
    FREE_MOST = 512,      /* jobs kept for later */
    TIDY_MS = 1000,       /* from one tidying to the next, while there is work */
    TIDY_MOST_MS = 64000, /* and when there is none for long */
    STOP_MS = 1000,
};

#define NEVER UINT64_MAX

typedef _Atomic uint32_t word;

enum stage { WAITING, RUNNING, DONE, FAILED };

struct slot {
    struct job job; /* first: the backend gives back its address */
    struct slot *next, *previous;
    word *word;               /* the caller sleeps on it */
    _Atomic enum stage stage; /* changed under the lock */
    bool awaited;             /* a caller will come for it */
    struct error error;
    struct quota quotas[DRAWS_LIMIT];
    char keys[DRAWS_LIMIT][COUNTER_KEY_SIZE];
};

struct counters_queue {
    struct counters_link *link; /* the thread's */
    uint64_t timeout;
    void (*orphan)(void *);
    void *context;
    pthread_t thread;

    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t changed; /* for who stops it: the thread has ended, or a caller has left */
    struct slot *first, *last, *free;
    size_t used, free_count, callers;
    size_t on_word; /* who sleeps on the newest word */
    size_t newest;
    word words[WORDS];
    word bell; /* the thread sleeps on it */
    bool asleep;
    uint64_t begun; /* clock_milliseconds() when the backend was called last; 0: it is not at work */
    bool out;       /* with `error`: nobody waits for a store that is known to be out */
    struct error error;
    bool stopping;               /* no new jobs; those who wait have failed */
    atomic_bool stopped;         /* callers leave whatever the backend does */
    bool ended;                  /* the thread touches nothing any more */
    bool left;                   /* nobody will come for the thread */
    uint64_t tidied, tidy_pause; /* the thread's */
};

/* ---- sleeping */

/* Until the word is no longer `value`, at most until `end`; may come back earlier. */
static void sleep_on(word *at, uint32_t value, uint64_t end)
{
    struct timespec until = {.tv_sec = (time_t)(end / 1000), .tv_nsec = (long)(end % 1000) * 1000000};
    /* With an absolute time of CLOCK_MONOTONIC, which FUTEX_WAIT has not. */
    (void)syscall(SYS_futex, at, FUTEX_WAIT_BITSET_PRIVATE, value, end == NEVER ? NULL : &until, NULL,
                  FUTEX_BITSET_MATCH_ANY);
}

static void wake_all(word *at)
{
    atomic_fetch_add(at, 1);
    (void)syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void wake_everybody(struct counters_queue *queue)
{
    for (size_t i = 0; i < WORDS; i++)
        wake_all(&queue->words[i]);
}

/* ---- jobs, under the lock */

static struct slot *take_slot(struct counters_queue *queue)
{
    struct slot *slot = queue->free;
    if (queue->used >= COUNTERS_JOBS_MOST)
        return NULL;
    if (slot) {
        queue->free = slot->next;
        queue->free_count--;
    } else {
        slot = malloc(sizeof *slot);
        if (!slot)
            abort(); /* as an arena would */
    }
    queue->used++;
    return slot;
}

static void give_slot(struct counters_queue *queue, struct slot *slot)
{
    queue->used--;
    if (queue->free_count >= FREE_MOST) {
        free(slot);
        return;
    }
    slot->next = queue->free;
    queue->free = slot;
    queue->free_count++;
}

static void fill(struct slot *slot, const struct job *job)
{
    struct job *copy = &slot->job;
    copy->kind = job->kind;
    copy->count = job->count;
    copy->time = job->time;
    for (size_t i = 0; i < job->count; i++) {
        const struct draw *draw = &job->draws[i];
        memcpy(slot->keys[i], draw->key.at, draw->key.length);
        slot->quotas[i] = *draw->quota;
        copy->draws[i] = (struct draw){{slot->keys[i], draw->key.length}, &slot->quotas[i], draw->cost};
        copy->numbers[i] = job->numbers[i];
    }
    slot->error.set = false;
}

static void next_word(struct counters_queue *queue)
{
    queue->newest = (queue->newest + 1) % WORDS;
    queue->on_word = 0;
}

static void append(struct counters_queue *queue, struct slot *slot)
{
    if (queue->on_word++ >= BATCH_LIMIT)
        next_word(queue);
    slot->word = &queue->words[queue->newest];
    slot->next = NULL;
    slot->previous = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = slot;
    queue->last = slot;
    atomic_store_explicit(&slot->stage, WAITING, memory_order_relaxed);
}

static void unlink_slot(struct counters_queue *queue, struct slot *slot)
{
    *(slot->previous ? &slot->previous->next : &queue->first) = slot->next;
    *(slot->next ? &slot->next->previous : &queue->last) = slot->previous;
}

/* What became of it is there for its caller, or for nobody. */
static void finish(struct counters_queue *queue, struct slot *slot, const struct error *error)
{
    if (error && slot->job.kind == JOB_GIVE_BACK)
        counters_link_lose(queue->link, 1);
    if (!slot->awaited) {
        give_slot(queue, slot);
        return;
    }
    if (error)
        slot->error = *error;
    atomic_store(&slot->stage, error ? FAILED : DONE);
}

/* All that waits, or only that for which somebody does. */
static void fail_waiting(struct counters_queue *queue, bool awaited, const struct error *error)
{
    for (struct slot *slot = queue->first, *next; slot; slot = next) {
        next = slot->next;
        if (awaited && !slot->awaited)
            continue;
        unlink_slot(queue, slot);
        finish(queue, slot, error);
    }
    wake_everybody(queue);
}

/* ---- callers */

static bool is_stalled(const struct counters_queue *queue, uint64_t now)
{
    return queue->begun > 0 && now >= queue->begun + queue->timeout;
}

static bool fail_stalled(struct counters_queue *queue, struct error *error)
{
    error_set(error, "the store of limits has not answered for %llu ms", (unsigned long long)queue->timeout);
    /* Under the lock, so that the thread does not say before that it is back. */
    counters_link_report(queue->link, error->message);
    return false;
}

static bool may_enter(struct counters_queue *queue, uint64_t now, struct error *error)
{
    if (queue->stopping)
        return error_set(error, "the store of limits is closed");
    if (queue->out)
        return error_set(error, "%s", queue->error.message);
    return !is_stalled(queue, now) || fail_stalled(queue, error);
}

/* With the lock held; the job's slot, or NULL with an error. `ring` is whether the thread has to be woken. */
static struct slot *enter(struct counters_queue *queue, const struct job *job, bool awaited, bool *ring,
                          struct error *error)
{
    struct slot *slot = take_slot(queue);
    if (!slot) {
        error_set(error, "the store of limits is overloaded");
        return NULL;
    }
    fill(slot, job);
    slot->awaited = awaited;
    append(queue, slot);
    *ring = queue->asleep;
    queue->asleep = false;
    return slot;
}

static bool is_over(const struct slot *slot)
{
    return atomic_load(&slot->stage) >= DONE;
}

static void await(const struct counters_queue *queue, const struct slot *slot, word *at, uint64_t end)
{
    do {
        uint32_t value = atomic_load(at);
        if (is_over(slot) || atomic_load(&queue->stopped))
            return;
        sleep_on(at, value, end);
    } while (!is_over(slot) && clock_milliseconds() < end);
}

/* With the lock held: takes what came of it, or leaves it to itself. */
static bool leave(struct counters_queue *queue, struct slot *slot, struct taken *taken, struct error *error)
{
    switch (atomic_load(&slot->stage)) {
    case DONE:
        *taken = slot->job.taken;
        give_slot(queue, slot);
        return true;
    case FAILED:
        *error = slot->error;
        give_slot(queue, slot);
        return false;
    case WAITING:
        unlink_slot(queue, slot);
        give_slot(queue, slot);
        if (is_stalled(queue, clock_milliseconds()))
            return fail_stalled(queue, error);
        break;
    case RUNNING:
        slot->awaited = false; /* the thread will throw it away */
        /* Who has waited in line for half of the time was late, not the store. */
        if (!queue->stopped && clock_milliseconds() >= queue->begun + queue->timeout / 2)
            return fail_stalled(queue, error);
        break;
    }
    return error_set(error, "the store of limits has not answered within %llu ms",
                     (unsigned long long)queue->timeout);
}

bool counters_queue_ask(struct counters_queue *queue, const struct job *job, struct taken *taken,
                        struct error *error)
{
    const uint64_t now = clock_milliseconds();
    bool ring = false;
    pthread_mutex_lock(&queue->lock);
    struct slot *slot = may_enter(queue, now, error) ? enter(queue, job, true, &ring, error) : NULL;
    word *at = slot ? slot->word : NULL;
    if (slot)
        queue->callers++;
    pthread_mutex_unlock(&queue->lock);
    if (!slot)
        return false;
    if (ring)
        wake_all(&queue->bell);
    await(queue, slot, at, now + queue->timeout);
    pthread_mutex_lock(&queue->lock);
    bool done = leave(queue, slot, taken, error);
    queue->callers--;
    if (queue->stopping)
        pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
    return done;
}

void counters_queue_tell(struct counters_queue *queue, const struct job *job)
{
    struct error ignored = {0};
    bool ring = false;
    pthread_mutex_lock(&queue->lock);
    bool told = !queue->stopping && !queue->out && enter(queue, job, false, &ring, &ignored);
    pthread_mutex_unlock(&queue->lock);
    if (!told)
        counters_link_lose(queue->link, 1);
    if (ring)
        wake_all(&queue->bell);
}

/* ---- the thread */

static void rest(struct counters_queue *queue, uint64_t end)
{
    uint32_t value = atomic_load(&queue->bell);
    queue->asleep = true;
    pthread_mutex_unlock(&queue->lock);
    sleep_on(&queue->bell, value, end);
    pthread_mutex_lock(&queue->lock);
    queue->asleep = false;
}

static void begin(struct counters_queue *queue)
{
    queue->begun = clock_milliseconds();
    pthread_mutex_unlock(&queue->lock);
}

/* With what came of calling the backend. */
static void end(struct counters_queue *queue, bool done, const struct error *error)
{
    pthread_mutex_lock(&queue->lock);
    queue->begun = 0;
    queue->out = !done;
    if (done)
        return;
    queue->error = *error;
    fail_waiting(queue, false, error);
}

static void reconnect(struct counters_queue *queue)
{
    struct error error = {0};
    if (clock_milliseconds() < queue->link->retry) {
        rest(queue, queue->link->retry);
        return;
    }
    begin(queue);
    bool done = counters_link_open(queue->link, &error);
    end(queue, done, &error);
    queue->tidied = clock_milliseconds(); /* when it has proved itself for a while */
    queue->tidy_pause = TIDY_MS;
}

static void tidy(struct counters_queue *queue)
{
    struct error error = {0};
    begin(queue);
    bool done = counters_link_tidy(queue->link, &error);
    end(queue, done, &error);
    queue->tidied = clock_milliseconds();
    queue->tidy_pause = queue->tidy_pause < TIDY_MOST_MS ? queue->tidy_pause * 2 : TIDY_MOST_MS;
}

static size_t take_batch(struct counters_queue *queue, struct job *jobs[])
{
    size_t count = 0;
    for (struct slot *slot; count < BATCH_LIMIT && (slot = queue->first); count++) {
        unlink_slot(queue, slot);
        atomic_store_explicit(&slot->stage, RUNNING, memory_order_relaxed);
        jobs[count] = &slot->job;
    }
    next_word(queue);
    return count;
}

/* The words on which they sleep, each once: what is in line is in the order of words. */
static size_t find_words(struct job *const jobs[], size_t count, word *words[])
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = (const struct slot *)jobs[i];
        if (slot->awaited && (found == 0 || words[found - 1] != slot->word))
            words[found++] = slot->word;
    }
    return found;
}

static void carry_out(struct counters_queue *queue)
{
    struct job *jobs[BATCH_LIMIT];
    word *words[BATCH_LIMIT];
    struct error error = {0};
    size_t count = take_batch(queue, jobs), sleepers = find_words(jobs, count, words);
    begin(queue);
    bool done = counters_link_run(queue->link, jobs, count, &error);
    end(queue, done, &error);
    for (size_t i = 0; i < count; i++)
        finish(queue, (struct slot *)jobs[i], done ? NULL : &error);
    queue->tidy_pause = TIDY_MS;
    pthread_mutex_unlock(&queue->lock);
    for (size_t i = 0; i < sleepers; i++)
        wake_all(words[i]);
    pthread_mutex_lock(&queue->lock);
}

static void work_once(struct counters_queue *queue)
{
    uint64_t tidy_due = queue->tidied + queue->tidy_pause;
    if (!queue->link->connected)
        reconnect(queue);
    else if (clock_milliseconds() >= tidy_due)
        tidy(queue);
    else if (queue->first)
        carry_out(queue);
    else
        rest(queue, tidy_due);
}

static void free_queue(struct counters_queue *queue)
{
    for (struct slot *slot = queue->free, *next; slot; slot = next) {
        next = slot->next;
        free(slot);
    }
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

static void *work(void *context)
{
    struct counters_queue *queue = context;
    pthread_mutex_lock(&queue->lock);
    while (!queue->stopping)
        work_once(queue);
    while (!queue->stopped && queue->link->connected && queue->first)
        carry_out(queue);
    begin(queue);
    counters_link_close(queue->link);
    pthread_mutex_lock(&queue->lock);
    queue->ended = true;
    pthread_cond_signal(&queue->changed);
    bool left = queue->left;
    pthread_mutex_unlock(&queue->lock);
    if (left) {
        void (*orphan)(void *) = queue->orphan;
        void *whose = queue->context;
        free_queue(queue);
        orphan(whose);
    }
    return NULL;
}

/* ---- life */

struct counters_queue *counters_queue_start(struct counters_link *link, uint64_t timeout_ms,
                                            void (*orphan)(void *), void *context, struct error *error)
{
    sigset_t all, before;
    pthread_condattr_t attributes;
    struct counters_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        abort();
    queue->link = link;
    queue->timeout = timeout_ms;
    queue->orphan = orphan;
    queue->context = context;
    queue->tidied = clock_milliseconds();
    queue->tidy_pause = TIDY_MS;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    /* Signals are for the thread that takes them by signalfd(2). */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&queue->thread, NULL, work, queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errno == 0)
        return queue;
    error_set_errno(error, "cannot make the thread that asks the store of limits");
    free_queue(queue);
    return NULL;
}

static void wait_for_end(struct counters_queue *queue)
{
    const uint64_t end_ms = clock_milliseconds() + STOP_MS;
    const struct timespec until = {.tv_sec = (time_t)(end_ms / 1000),
                                   .tv_nsec = (long)(end_ms % 1000) * 1000000};
    while (!queue->ended && pthread_cond_timedwait(&queue->changed, &queue->lock, &until) == 0)
        ;
}

bool counters_queue_stop(struct counters_queue *queue)
{
    struct error closed = {0};
    error_set(&closed, "the store of limits is closed");
    pthread_mutex_lock(&queue->lock);
    queue->stopping = true;
    fail_waiting(queue, true, &closed);
    wake_all(&queue->bell);
    wait_for_end(queue);
    queue->stopped = true;
    wake_everybody(queue);
    while (queue->callers > 0)
        pthread_cond_wait(&queue->changed, &queue->lock);
    fail_waiting(queue, false, &closed);
    bool ended = queue->ended;
    queue->left = !ended;
    pthread_mutex_unlock(&queue->lock);
    if (!ended) {
        pthread_detach(queue->thread);
        return false;
    }
    pthread_join(queue->thread, NULL);
    free_queue(queue);
    return true;
}
