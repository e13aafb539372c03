/*
 * Callers put their jobs in line under one lock and sleep; the thread takes all that
 * waits, hands it to the backend, and wakes those it was for. So the more callers
 * there are the larger a batch grows. A job is in memory of the queue's own: a caller
 * who does not want to wait any longer leaves, whatever the backend does with it.
 *
 * Who finds nobody in line and the thread asleep leads: he calls the backend himself,
 * for waking and being woken takes longer than a check. What comes meanwhile is the
 * thread's. That is for a prompt backend: he cannot leave.
 */
#include "config.h"

#include "store/counters_queue.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "store/counters_line.h"

enum {
    TIDY_MS = 1000,       /* from one tidying to the next, while there is work */
    TIDY_MOST_MS = 64000, /* and when there is none for long */
    STOP_MS = 1000,
    OWED_MOST = COUNTERS_JOBS_MOST / 2, /* kept to be given back while the store is out */
};

struct counters_queue {
    struct counters_link *link; /* the thread's */
    uint64_t timeout;
    void (*orphan)(void *);
    void *context;
    pthread_t thread;

    pthread_mutex_t lock;   /* of all that follows */
    pthread_cond_t changed; /* for who stops it: the thread has ended, or a caller has left */
    struct counters_line line;
    size_t callers;     /* who have a slot */
    counters_word bell; /* the thread sleeps on it */
    bool asleep;
    bool led;       /* a caller calls the backend, in the thread's place */
    uint64_t begun; /* clock_milliseconds() when the backend was called last; 0: it is not at work */
    bool out;       /* with `error`: nobody waits for a store that is known to be out */
    struct error error;
    bool stopping;               /* no new jobs; those who wait have failed */
    atomic_bool stopped;         /* callers leave whatever the backend does */
    bool ended;                  /* the thread touches nothing any more */
    bool left;                   /* nobody will come for the thread */
    uint64_t tidied, tidy_pause; /* the thread's */
};

/* Twice given back would be more than the limit. */
static bool may_try_again(const struct counters_queue *queue, const struct counters_slot *slot)
{
    const struct counters_link *link = queue->link;
    return slot->job.kind == JOB_GIVE_BACK && !queue->stopped && link->backend->was_undone(link->state);
}

/* What became of it is there for its caller, or for nobody. */
static void finish(struct counters_queue *queue, struct counters_slot *slot, const struct error *error)
{
    if (error && may_try_again(queue, slot)) {
        counters_line_return(&queue->line, slot);
        return;
    }
    if (error && slot->job.kind == JOB_GIVE_BACK)
        counters_link_lose(queue->link, 1);
    if (!slot->awaited) {
        counters_line_give(&queue->line, slot);
        return;
    }
    if (error)
        slot->error = *error;
    atomic_store(&slot->stage, error ? JOB_FAILED : JOB_DONE);
}

/* All that waits, or only that for which somebody does: what is to be given back can wait. */
static void fail_waiting(struct counters_queue *queue, bool awaited, const struct error *error)
{
    for (struct counters_slot *slot = queue->line.first, *next; slot; slot = next) {
        next = slot->next;
        if (awaited && !slot->awaited)
            continue;
        counters_line_leave(&queue->line, slot);
        finish(queue, slot, error);
    }
    counters_line_wake(&queue->line);
}

/* ---- the backend, for the thread or for a caller who leads */

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
    fail_waiting(queue, true, error);
}

static void carry_out(struct counters_queue *queue)
{
    struct job *jobs[BATCH_LIMIT];
    counters_word *words[BATCH_LIMIT];
    struct error error = {0};
    size_t count = counters_line_take(&queue->line, jobs), sleepers = counters_line_words(jobs, count, words);
    begin(queue);
    bool done = counters_link_run(queue->link, jobs, count, &error);
    end(queue, done, &error);
    for (size_t i = 0; i < count; i++)
        finish(queue, (struct counters_slot *)jobs[i], done ? NULL : &error);
    queue->tidy_pause = TIDY_MS;
    pthread_mutex_unlock(&queue->lock);
    for (size_t i = 0; i < sleepers; i++)
        counters_word_wake(words[i]);
    pthread_mutex_lock(&queue->lock);
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
static struct counters_slot *enter(struct counters_queue *queue, const struct job *job, bool awaited,
                                   bool *ring, struct error *error)
{
    struct counters_slot *slot = counters_line_enter(&queue->line, job, awaited);
    if (!slot) {
        error_set(error, "the store of limits is overloaded");
        return NULL;
    }
    *ring = queue->asleep && !queue->led;
    queue->asleep = queue->asleep && !*ring;
    return slot;
}

static uint64_t tidy_due(const struct counters_queue *queue)
{
    return queue->tidied + queue->tidy_pause;
}

static bool may_lead(const struct counters_queue *queue, const struct counters_slot *slot, bool ring,
                     uint64_t now)
{
    return ring && queue->line.first == slot && queue->link->connected && queue->link->backend->prompt &&
           now < tidy_due(queue);
}

/* With the lock held; the job is over then. The thread, which was not woken, is where it has work. */
static void lead(struct counters_queue *queue, struct counters_slot *slot)
{
    queue->asleep = queue->led = true;
    slot->word = NULL;
    bool was_idle = queue->tidy_pause > TIDY_MS; /* the thread sleeps longer than it may now */
    carry_out(queue);
    queue->led = false;
    if (was_idle || queue->stopping || queue->line.first || !queue->link->connected ||
        clock_milliseconds() >= tidy_due(queue)) {
        queue->asleep = false;
        counters_word_wake(&queue->bell);
    }
}

static bool is_over(const struct counters_slot *slot)
{
    return atomic_load(&slot->stage) >= JOB_DONE;
}

static void await(const struct counters_queue *queue, const struct counters_slot *slot, counters_word *at,
                  uint64_t end)
{
    do {
        uint32_t value = atomic_load(at);
        if (is_over(slot) || atomic_load(&queue->stopped))
            return;
        counters_word_sleep(at, value, end);
    } while (!is_over(slot) && clock_milliseconds() < end);
}

/* With the lock held: takes what came of it, or leaves it to itself. */
static bool leave(struct counters_queue *queue, struct counters_slot *slot, struct taken *taken,
                  struct error *error)
{
    switch (atomic_load(&slot->stage)) {
    case JOB_DONE:
        *taken = slot->job.taken;
        counters_line_give(&queue->line, slot);
        return true;
    case JOB_FAILED:
        *error = slot->error;
        counters_line_give(&queue->line, slot);
        return false;
    case JOB_WAITING:
        counters_line_leave(&queue->line, slot);
        counters_line_give(&queue->line, slot);
        if (is_stalled(queue, clock_milliseconds()))
            return fail_stalled(queue, error);
        break;
    case JOB_RUNNING:
        slot->awaited = false; /* the thread will throw it away */
        /* Who has waited in line for half of the time was late, not the store. */
        if (!queue->stopped && clock_milliseconds() >= queue->begun + queue->timeout / 2)
            return fail_stalled(queue, error);
        break;
    }
    return error_set(error, "the store of limits has not answered within %llu ms",
                     (unsigned long long)queue->timeout);
}

/* With the lock held, but while it waits. */
static void follow(struct counters_queue *queue, const struct counters_slot *slot, bool ring, uint64_t end)
{
    counters_word *at = slot->word;
    queue->callers++;
    pthread_mutex_unlock(&queue->lock);
    if (ring)
        counters_word_wake(&queue->bell);
    await(queue, slot, at, end);
    pthread_mutex_lock(&queue->lock);
    queue->callers--;
    if (queue->stopping)
        pthread_cond_signal(&queue->changed);
}

bool counters_queue_ask(struct counters_queue *queue, const struct job *job, struct taken *taken,
                        struct error *error)
{
    const uint64_t now = clock_milliseconds();
    bool ring = false, done = false;
    pthread_mutex_lock(&queue->lock);
    struct counters_slot *slot = may_enter(queue, now, error) ? enter(queue, job, true, &ring, error) : NULL;
    if (slot && may_lead(queue, slot, ring, now))
        lead(queue, slot);
    else if (slot)
        follow(queue, slot, ring, now + queue->timeout);
    if (slot)
        done = leave(queue, slot, taken, error);
    pthread_mutex_unlock(&queue->lock);
    return done;
}

void counters_queue_tell(struct counters_queue *queue, const struct job *job)
{
    struct error ignored = {0};
    bool ring = false;
    pthread_mutex_lock(&queue->lock);
    bool told = !queue->stopping && (!queue->out || queue->line.used < OWED_MOST) &&
                enter(queue, job, false, &ring, &ignored);
    pthread_mutex_unlock(&queue->lock);
    if (!told)
        counters_link_lose(queue->link, 1);
    if (ring)
        counters_word_wake(&queue->bell);
}

/* ---- the thread */

static void rest(struct counters_queue *queue, uint64_t end)
{
    uint32_t value = atomic_load(&queue->bell);
    queue->asleep = true;
    pthread_mutex_unlock(&queue->lock);
    counters_word_sleep(&queue->bell, value, end);
    pthread_mutex_lock(&queue->lock);
    queue->asleep = false;
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

static void work_once(struct counters_queue *queue)
{
    uint64_t now = clock_milliseconds(), due = tidy_due(queue);
    if (queue->led)
        rest(queue, now < due ? due : COUNTERS_NEVER); /* who leads rings where there is work */
    else if (!queue->link->connected)
        reconnect(queue);
    else if (now >= due)
        tidy(queue);
    else if (queue->line.first)
        carry_out(queue);
    else
        rest(queue, due);
}

static void free_queue(struct counters_queue *queue)
{
    counters_line_free(&queue->line);
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
    while (queue->led)
        rest(queue, COUNTERS_NEVER);
    if (!queue->link->connected && clock_milliseconds() >= queue->link->retry && queue->line.first)
        reconnect(queue);
    while (!queue->stopped && queue->link->connected && queue->line.first)
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
    counters_word_wake(&queue->bell);
    wait_for_end(queue);
    queue->stopped = true;
    counters_line_wake(&queue->line);
    while (queue->callers > 0)
        pthread_cond_wait(&queue->changed, &queue->lock);
    fail_waiting(queue, false, &closed);
    bool ended = queue->ended;
    pthread_t thread = queue->thread; /* the queue may be freed once the lock is given */
    queue->left = !ended;
    pthread_mutex_unlock(&queue->lock);
    if (!ended) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    free_queue(queue);
    return true;
}
