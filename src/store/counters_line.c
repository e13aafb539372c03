/*
 * The line of jobs: a list, and slots that are used again. All who come between two
 * batches sleep on one word, because their jobs are done at the same moment: one
 * system call wakes them all, and nobody in vain. The words are futexes: behind a
 * condition variable all who are woken fight for its mutex (a third of the
 * throughput with 64 callers), and a semaphore for each is a call for each (two thirds).
 */
#include "config.h"

#include "store/counters_line.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FREE_MOST = 512 }; /* slots kept for later */

/* ---- sleeping */

void counters_word_sleep(counters_word *at, uint32_t value, uint64_t end)
{
    struct timespec until = {.tv_sec = (time_t)(end / 1000), .tv_nsec = (long)(end % 1000) * 1000000};
    /* With an absolute time of CLOCK_MONOTONIC, which FUTEX_WAIT has not. */
    (void)syscall(SYS_futex, at, FUTEX_WAIT_BITSET_PRIVATE, value, end == COUNTERS_NEVER ? NULL : &until,
                  NULL, FUTEX_BITSET_MATCH_ANY);
}

void counters_word_wake(counters_word *at)
{
    atomic_fetch_add(at, 1);
    (void)syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- slots */

static struct counters_slot *take_slot(struct counters_line *line)
{
    struct counters_slot *slot = line->free;
    if (line->used >= COUNTERS_JOBS_MOST)
        return NULL;
    if (slot) {
        line->free = slot->next;
        line->free_count--;
    } else {
        slot = malloc(sizeof *slot);
        if (!slot)
            abort(); /* as an arena would */
    }
    line->used++;
    return slot;
}

void counters_line_give(struct counters_line *line, struct counters_slot *slot)
{
    line->used--;
    if (line->free_count >= FREE_MOST) {
        free(slot);
        return;
    }
    slot->next = line->free;
    line->free = slot;
    line->free_count++;
}

static void fill(struct counters_slot *slot, const struct job *job)
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

static void next_word(struct counters_line *line)
{
    line->newest = (line->newest + 1) % COUNTERS_WORDS;
    line->on_newest = 0;
}

static void append(struct counters_line *line, struct counters_slot *slot)
{
    if (line->on_newest++ >= BATCH_LIMIT)
        next_word(line);
    slot->word = &line->words[line->newest];
    slot->next = NULL;
    slot->previous = line->last;
    *(line->last ? &line->last->next : &line->first) = slot;
    line->last = slot;
    atomic_store_explicit(&slot->stage, JOB_WAITING, memory_order_relaxed);
}

/* ---- the line */

void counters_line_leave(struct counters_line *line, struct counters_slot *slot)
{
    *(slot->previous ? &slot->previous->next : &line->first) = slot->next;
    *(slot->next ? &slot->next->previous : &line->last) = slot->previous;
}

struct counters_slot *counters_line_enter(struct counters_line *line, const struct job *job, bool awaited)
{
    struct counters_slot *slot = take_slot(line);
    if (!slot)
        return NULL;
    fill(slot, job);
    slot->awaited = awaited;
    append(line, slot);
    return slot;
}

void counters_line_return(struct counters_line *line, struct counters_slot *slot)
{
    append(line, slot);
}

size_t counters_line_take(struct counters_line *line, struct job *jobs[BATCH_LIMIT])
{
    size_t count = 0;
    for (struct counters_slot *slot; count < BATCH_LIMIT && (slot = line->first); count++) {
        counters_line_leave(line, slot);
        atomic_store_explicit(&slot->stage, JOB_RUNNING, memory_order_relaxed);
        jobs[count] = &slot->job;
    }
    next_word(line);
    return count;
}

/* What is in line is in the order of words. */
size_t counters_line_words(struct job *const jobs[], size_t count, counters_word *words[BATCH_LIMIT])
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        const struct counters_slot *slot = (const struct counters_slot *)jobs[i];
        if (slot->awaited && slot->word && (found == 0 || words[found - 1] != slot->word))
            words[found++] = slot->word;
    }
    return found;
}

void counters_line_wake(struct counters_line *line)
{
    for (size_t i = 0; i < COUNTERS_WORDS; i++)
        counters_word_wake(&line->words[i]);
}

void counters_line_free(struct counters_line *line)
{
    for (struct counters_slot *slot = line->free, *next; slot; slot = next) {
        next = slot->next;
        free(slot);
    }
}
