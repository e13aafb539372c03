/*
 * The line in which jobs wait for the thread of the queue, and the words on which
 * their callers sleep. All of it is used under the queue's lock but for sleeping
 * and waking. It knows nothing of stores or threads.
 */
#ifndef STORE_COUNTERS_LINE_H
#define STORE_COUNTERS_LINE_H

#include <stdatomic.h>

#include "store/counters_backend.h"

/* A futex: who sleeps on it is woken by changing it. */
typedef _Atomic uint32_t counters_word;

#define COUNTERS_NEVER UINT64_MAX

/* Until the word is no longer `value`, at most until `end` of clock_milliseconds(); may come back earlier. */
void counters_word_sleep(counters_word *, uint32_t value, uint64_t end);

/* Changes it and wakes all who sleep on it, by one system call. */
void counters_word_wake(counters_word *);

enum counters_stage { JOB_WAITING, JOB_RUNNING, JOB_DONE, JOB_FAILED };

/* A job with all that it points to, so that it may stay when its caller has gone. */
struct counters_slot {
    struct job job; /* first: the backend gives back its address */
    struct counters_slot *next, *previous;
    counters_word *word;               /* its caller sleeps on it; NULL: he does not sleep */
    _Atomic enum counters_stage stage; /* changed under the lock */
    bool awaited;                      /* a caller will come for it */
    struct error error;
    struct quota quotas[DRAWS_LIMIT];
    char keys[DRAWS_LIMIT][COUNTER_KEY_SIZE];
};

enum { COUNTERS_JOBS_MOST = 4096 }; /* waiting, under way or being read */

enum { COUNTERS_WORDS = 64 }; /* batches until one is used again; before that it would wake some in vain */

struct counters_line { /* all zero: empty */
    struct counters_slot *first, *last, *free;
    size_t used, free_count;  /* slots */
    size_t newest, on_newest; /* the word for who comes now, and how many have come */
    counters_word words[COUNTERS_WORDS];
};

/* A copy of the job at the end of the line; NULL where there are COUNTERS_JOBS_MOST already. */
struct counters_slot *counters_line_enter(struct counters_line *, const struct job *, bool awaited);

/* Takes one out, wherever it stands; it is still in use. */
void counters_line_leave(struct counters_line *, struct counters_slot *);

/* Puts one that counters_line_take() took at the end again. */
void counters_line_return(struct counters_line *, struct counters_slot *);

/* What is no longer in line is no longer in use. */
void counters_line_give(struct counters_line *, struct counters_slot *);

/* Takes the first out, at most BATCH_LIMIT, to be run; how many. */
size_t counters_line_take(struct counters_line *, struct job *jobs[BATCH_LIMIT]);

/* The words on which the callers of a batch sleep, each once; how many. */
size_t counters_line_words(struct job *const jobs[], size_t count, counters_word *words[BATCH_LIMIT]);

/* Wakes all callers there are. */
void counters_line_wake(struct counters_line *);

/* Frees what is not in use. */
void counters_line_free(struct counters_line *);

#endif
