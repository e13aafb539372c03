/*
 * Whether limits are exact: 8 processes of 8 threads make 50,000 checks each of
 * one counter and of 100,000 counters, and what was admitted in all must be the
 * limit, no more and no less. exact STORE [CHECKS]; exits with 1 where it is not.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/counters.h"

enum { PROCESSES = 8, THREADS = 8, KEYS = 100000 };

struct totals {
    atomic_ullong admitted, refused, failed;
    atomic_uint per_key[KEYS];
};

static struct totals *totals;
static struct counters *counters;
static struct quota quota = {.algorithm = QUOTA_FIXED, .window = UINT64_C(86400) * 1000000};
static unsigned long checks = 50000, keys;
static const char *place;
static char run[32];

static void *work(void *context)
{
    unsigned long begin = (unsigned long)(size_t)context * checks; /* all keys as often as each other */
    for (unsigned long i = 0; i < checks; i++) {
        char key[64];
        struct taken taken;
        struct error error = {0};
        unsigned long number = (begin + i) % keys;
        int length = snprintf(key, sizeof key, "exact run=%s key=%lu", run, number);
        struct draw draw = {.key = {key, (size_t)length}, .quota = &quota, .cost = 1};
        if (!counters_take(counters, &draw, 1, &taken, &error)) {
            if (atomic_fetch_add(&totals->failed, 1) == 0)
                fprintf(stderr, "exact: %s\n", error.message);
        } else if (taken.admitted) {
            atomic_fetch_add(&totals->admitted, 1);
            atomic_fetch_add(&totals->per_key[number], 1);
        } else {
            atomic_fetch_add(&totals->refused, 1);
        }
    }
    return NULL;
}

static void one_process(unsigned process)
{
    const struct counters_rules rules = {.place = place, .timeout = 30000, .rows = 1000000};
    struct error error = {0};
    pthread_t threads[THREADS];
    counters = counters_open(&rules, &error);
    if (!counters || !counters_start(counters, &error)) {
        fprintf(stderr, "exact: %s\n", error.message);
        _exit(1);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, work, (void *)(process * THREADS + i));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    counters_close(counters);
    _exit(0);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool try(const char *name, unsigned long many, uint64_t limit)
{
    const unsigned long all = checks * PROCESSES * THREADS;
    double begin = now();
    memset(totals, 0, sizeof *totals);
    keys = many;
    quota.limit = limit;
    snprintf(run, sizeof run, "%s-%ld", name, (long)getpid());
    for (unsigned i = 0; i < PROCESSES; i++)
        if (fork() == 0)
            one_process(i);
    while (wait(NULL) > 0)
        ;
    unsigned long wrong = 0;
    for (unsigned long i = 0; i < many; i++) {
        unsigned long asked = all / many + (i < all % many);
        wrong += totals->per_key[i] != (asked < limit ? asked : limit);
    }
    printf("%-8s %lu checks in %.1f s: %llu admitted, %llu refused, %llu failed; %lu of %lu counters wrong\n",
           name, all, now() - begin, totals->admitted, totals->refused, totals->failed, wrong, many);
    return wrong == 0 && totals->failed == 0 && totals->admitted + totals->refused == all;
}

int main(int count, char **arguments)
{
    if (count < 2)
        return 2;
    place = arguments[1];
    if (count > 2)
        checks = strtoul(arguments[2], NULL, 10);
    totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED)
        return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    bool hot = try("hot", 1, checks * PROCESSES * THREADS / 3);
    bool spread = try("spread", checks * PROCESSES * THREADS < 2 * KEYS ? 1000 : KEYS,
                      checks * PROCESSES * THREADS < 2 * KEYS ? 2 : 20);
    return hot && spread ? 0 : 1;
}
