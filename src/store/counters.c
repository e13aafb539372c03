/*
 * Counters, as the rest of the program sees them: which kind of store a place
 * names, and who carries out a job: the caller itself, one at a time, until
 * counters_start() has made a queue and its thread (store/counters_queue.h).
 */
#include "config.h"

#include <assert.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/counters_queue.h"
#include "store/counters_redis.h"

enum { TIDY_MS = 1000, TIDY_ONE_IN = 32 };

struct counters {
    struct counters_link link;
    struct counters_rules rules;
    char *place, *password;
    struct counters_queue *queue; /* NULL: callers ask by themselves */
    pthread_mutex_t lock;         /* of the link, while there is no queue */
    uint64_t tidied;
};

/* ---- numbers */

static EVP_MD *sha256;

static void fetch_digest(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

int64_t counter_number(struct text key, enum quota_algorithm algorithm)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    unsigned char bytes[1 + COUNTER_KEY_SIZE], digest[EVP_MAX_MD_SIZE];
    uint64_t number = 0;
    assert(key.length >= 1 && key.length <= COUNTER_KEY_SIZE);
    pthread_once(&once, fetch_digest);
    bytes[0] = (unsigned char)algorithm;
    memcpy(bytes + 1, key.at, key.length);
    if (!sha256 || EVP_Digest(bytes, 1 + key.length, digest, NULL, sha256, NULL) != 1)
        abort(); /* nothing works without it */
    for (size_t i = 0; i < sizeof number; i++)
        number = number << 8 | digest[i];
    return (int64_t)(number & INT64_MAX);
}

/* ---- opening */

static const struct kind {
    const char *begin; /* of the place */
    const struct counters_backend *backend;
    const char *end; /* what is added to it */
} kinds[] = {
    {"memory:", &counters_memory, ""},
    {"/", &counters_sqlite, ".limits"}, /* beside the keys, which must neither be lost nor fill up with it */
    {"redis:", &counters_redis, ""},
    {"rediss:", &counters_redis, ""},
    {"redis+unix:", &counters_redis, ""},
};

static const struct kind *kind_of(const char *place)
{
    for (const struct kind *kind = kinds; kind < kinds + sizeof kinds / sizeof *kinds; kind++)
        if (text_starts_with(text_of(place), text_of(kind->begin)))
            return kind;
    return NULL;
}

bool counters_fit(const char *place, const struct quota *quota, struct error *error)
{
    const struct kind *kind = kind_of(place);
    return !kind || kind->backend != &counters_redis || counters_redis_fits(quota, error);
}

static char *copy(const char *string, const char *end)
{
    char *made = NULL;
    if (string && asprintf(&made, "%s%s", string, end) < 0)
        abort();
    return made;
}

static void free_counters(void *context)
{
    struct counters *counters = context;
    if (counters->password)
        explicit_bzero(counters->password, strlen(counters->password));
    free(counters->password);
    free(counters->place);
    pthread_mutex_destroy(&counters->lock);
    free(counters);
}

static struct counters *open_at(const struct counters_backend *backend, const struct counters_rules *rules,
                                const char *end, struct error *error)
{
    struct counters *counters = calloc(1, sizeof *counters);
    if (!counters)
        abort();
    pthread_mutex_init(&counters->lock, NULL);
    counters->place = copy(rules->place, end);
    counters->password = copy(rules->password, "");
    counters->rules = *rules;
    counters->rules.place = counters->place;
    counters->rules.password = counters->password;
    counters->link.backend = backend;
    counters->link.state = backend->open(&counters->rules, error);
    /* A CGI program ends long before a second is over: one in so many tidies at once. */
    if (clock_microseconds() % TIDY_ONE_IN > 0)
        counters->tidied = clock_milliseconds();
    if (counters->link.state)
        return counters;
    free_counters(counters);
    return NULL;
}

struct counters *counters_open_backend(const struct counters_backend *backend,
                                       const struct counters_rules *rules, struct error *error)
{
    return open_at(backend, rules, "", error);
}

static const struct kind *find_kind(const struct counters_rules *rules, struct error *error)
{
    const struct kind *kind = kind_of(rules->place);
    if (kind)
        return kind;
    error_set(error, "\"%.120s\" is no place for counters", rules->place);
    return NULL;
}

struct counters *counters_open(const struct counters_rules *rules, struct error *error)
{
    const struct kind *kind = find_kind(rules, error);
    return kind ? open_at(kind->backend, rules, kind->end, error) : NULL;
}

bool counters_are_there(const struct counters_rules *rules, struct error *error)
{
    const struct kind *kind = find_kind(rules, error);
    if (!kind || *kind->begin != '/')
        return kind != NULL;
    char *path = copy(rules->place, kind->end);
    bool found = access(path, F_OK) == 0 || error_set_errno(error, "cannot find the counters %.200s", path);
    free(path);
    return found;
}

struct counters *counters_open_played(uint64_t rows, const uint64_t *microseconds)
{
    struct error error = {0};
    const struct counters_rules rules = {
        .place = "memory:", .timeout = COUNTERS_RETRY_MOST_MS, .rows = rows, .clock = microseconds};
    struct counters *counters = open_at(&counters_memory, &rules, "", &error);
    if (!counters)
        abort();
    return counters;
}

struct counters *counters_open_memory(uint64_t rows)
{
    return counters_open_played(rows, NULL);
}

bool counters_start(struct counters *counters, struct error *error)
{
    assert(!counters->queue);
    counters->queue =
        counters_queue_start(&counters->link, counters->rules.timeout, free_counters, counters, error);
    return counters->queue != NULL;
}

void counters_close(struct counters *counters)
{
    if (!counters || (counters->queue && !counters_queue_stop(counters->queue)))
        return;
    if (!counters->queue)
        counters_link_close(&counters->link);
    free_counters(counters);
}

/* ---- asking by oneself */

static bool enter(struct counters *counters, struct error *error)
{
    struct counters_link *link = &counters->link;
    assert(!counters->queue);
    pthread_mutex_lock(&counters->lock);
    if (link->connected || (clock_milliseconds() >= link->retry && counters_link_open(link, error)))
        return true;
    error_set(error, "%s", link->error.message);
    pthread_mutex_unlock(&counters->lock);
    return false;
}

static void leave(struct counters *counters)
{
    const uint64_t now = clock_milliseconds();
    struct error ignored = {0}; /* the link has reported it */
    if (counters->link.connected && now - counters->tidied >= TIDY_MS) {
        counters_link_tidy(&counters->link, &ignored);
        counters->tidied = now;
    }
    pthread_mutex_unlock(&counters->lock);
}

static bool ask(struct counters *counters, struct job *job, struct error *error)
{
    struct job *const jobs[] = {job};
    if (counters->queue)
        return counters_queue_ask(counters->queue, job, &job->taken, error);
    if (!enter(counters, error))
        return false;
    bool done = counters_link_run(&counters->link, jobs, 1, error);
    leave(counters);
    return done;
}

/* ---- jobs */

static void make_job(struct job *job, enum job_kind kind, const struct draw draws[], size_t count,
                     uint64_t time)
{
    assert(count >= 1 && count <= DRAWS_LIMIT);
    job->kind = kind;
    job->count = count;
    job->time = job->taken.time = time;
    for (size_t i = 0; i < count; i++) {
        assert(draws[i].cost <= QUOTA_COST_MOST);
        job->draws[i] = draws[i];
        job->numbers[i] = counter_number(draws[i].key, draws[i].quota->algorithm);
    }
}

bool counters_take(struct counters *counters, const struct draw draws[], size_t count, struct taken *taken,
                   struct error *error)
{
    struct job job;
    make_job(&job, JOB_TAKE, draws, count, 0);
    if (!ask(counters, &job, error))
        return false;
    *taken = job.taken;
    return true;
}

void counters_give_back(struct counters *counters, const struct draw draws[], size_t count, uint64_t time)
{
    struct job job;
    struct error ignored = {0};
    make_job(&job, JOB_GIVE_BACK, draws, count, time);
    if (counters->queue)
        counters_queue_tell(counters->queue, &job);
    else if (!ask(counters, &job, &ignored))
        counters_link_lose(&counters->link, 1);
}

uint64_t counters_renew(struct counters *counters, const struct draw draws[], size_t count, uint64_t time)
{
    struct job job;
    struct error ignored = {0};
    make_job(&job, JOB_RENEW, draws, count, time);
    return ask(counters, &job, &ignored) ? job.taken.time : time;
}

/* ---- for people */

bool counters_list(struct counters *counters, struct text key,
                   bool (*each)(void *context, const struct counter *), void *context, struct error *error)
{
    if (!enter(counters, error))
        return false;
    bool done = counters->link.backend->list(counters->link.state, key, each, context, error);
    pthread_mutex_unlock(&counters->lock);
    return done;
}

int counters_reset(struct counters *counters, struct text key, struct error *error)
{
    if (!enter(counters, error))
        return -1;
    int count = counters->link.backend->reset(counters->link.state, key, error);
    pthread_mutex_unlock(&counters->lock);
    return count;
}
