/*
 * What a kind of counters has to do, and what is common to them: the queue in
 * which checks of many threads wait for one thread that carries them out,
 * in store/counters_queue.c. It owns threads, time-outs, waiting between attempts to
 * open a failed store, and what is logged of that; a backend owns its connection.
 */
#ifndef STORE_COUNTERS_BACKEND_H
#define STORE_COUNTERS_BACKEND_H

#include "store/counters.h"

enum { BATCH_LIMIT = 256 };

struct job {
    enum job_kind { JOB_TAKE, JOB_GIVE_BACK, JOB_RENEW } kind;
    struct draw draws[DRAWS_LIMIT]; /* the bytes of keys, and quotas, stay while run() has the job */
    int64_t numbers[DRAWS_LIMIT];   /* counter_number() of each, reckoned by the caller's own thread */
    size_t count;
    uint64_t time;      /* give back, renew: when it was taken */
    struct taken taken; /* take: all of it; renew: its `time` */
};

/* All of them are called by one thread at a time, `state` being what open() made. */
struct counters_backend {
    const char *name;

    /* run() waits for nobody longer than the rules' time-out, so a caller may call it himself. */
    bool prompt;

    /* Once, in counters_open(): whether the rules can be used at all. NULL with an error. The rules
     * and what they point to stay until close(). */
    void *(*open)(const struct counters_rules *, struct error *);

    /* Connects, before the first job, or connects again after a failure. */
    bool (*connect)(void *state, struct error *);

    /* Carries out jobs in their order, as one transaction: on false none of
     * them counts for its caller, and connect() is called before the next. */
    bool (*run)(void *state, struct job *const jobs[], size_t count, struct error *);

    /* After run() has failed: whether the jobs were surely not carried out, and may be tried again. */
    bool (*was_undone)(const void *state);

    /* When there was nothing to do for a while, and now and then between: pruning. */
    bool (*tidy)(void *state, struct error *);

    bool (*list)(void *state, struct text key, bool (*each)(void *context, const struct counter *),
                 void *context, struct error *);
    int (*reset)(void *state, struct text key, struct error *);

    void (*close)(void *state);
};

/* What counters_open() does once it has found the backend; it takes whatever place it is given. */
struct counters *counters_open_backend(const struct counters_backend *, const struct counters_rules *,
                                       struct error *);

extern const struct counters_backend counters_sqlite, counters_redis, counters_memory;

/* The number of a counter in a store: its key and algorithm as one of 2^63, from SHA-256. */
int64_t counter_number(struct text key, enum quota_algorithm);

#endif
