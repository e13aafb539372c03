/*
 * The thread of a remote key set, and what it shares with those that verify.
 */
#include "config.h"

#include "identity/jwks_remote.h"

#include <errno.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"

struct jwks_remote {
    const struct jwks_rules *rules;
    jose_set algorithms;
    bool started;
    size_t patient;
    pthread_t thread;
    atomic_bool stop;

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;  /* the thread: somebody asks, or it shall end */
    pthread_cond_t done;  /* those who wait: a fetch is over */
    struct jwks_schedule schedule;
    struct jwt_keys *keys; /* never NULL; without keys: no set serves */
    uint64_t fetches;      /* that are over */

    /* the thread's own */
    struct jwks_answer answer;
    char *last; /* what `keys` was made of; NULL where it has none */
    size_t last_length;
};

static atomic_size_t waiting; /* threads of this process, for whatever remote */

/* ---- waiting */

static struct timespec until(uint64_t milliseconds)
{
    return (struct timespec){.tv_sec = (time_t)(milliseconds / 1000),
                             .tv_nsec = (long)(milliseconds % 1000) * 1000000};
}

static void wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t milliseconds)
{
    const struct timespec end = until(milliseconds);
    (void)pthread_cond_timedwait(condition, lock, &end);
}

static void make_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* ---- the thread */

static uint32_t chance(void)
{
    uint32_t number = 0;
    (void)RAND_bytes((unsigned char *)&number, sizeof number); /* without it: no jitter */
    return number;
}

static struct jwt_keys *swap(struct jwks_remote *remote, struct jwt_keys *keys)
{
    struct jwt_keys *old = remote->keys;
    remote->keys = keys;
    return old;
}

static void keep_answer(struct jwks_remote *remote)
{
    free(remote->last);
    remote->last = malloc(remote->answer.length + 1);
    remote->last_length = remote->answer.length;
    if (remote->last)
        memcpy(remote->last, remote->answer.body, remote->answer.length);
}

/* The same bytes are the same set, so that tokens which were verified by it
 * stay remembered. */
static bool is_unchanged(const struct jwks_remote *remote)
{
    return remote->last && remote->last_length == remote->answer.length &&
           memcmp(remote->last, remote->answer.body, remote->last_length) == 0;
}

/* A reference to the set that the provider has now; NULL with an error. */
static struct jwt_keys *fetch(struct jwks_remote *remote, struct error *error)
{
    if (!jwks_fetch(&remote->rules->source, &remote->stop, &remote->answer, error))
        return NULL;
    if (is_unchanged(remote)) /* nobody else changes `keys` */
        return jwt_keys_hold(remote->keys);
    struct jwt_keys *keys = jwt_keys_new(remote->algorithms);
    if (jwt_keys_add_jwks(keys, (struct text){remote->answer.body, remote->answer.length}, error)) {
        keep_answer(remote);
        return keys;
    }
    jwt_keys_release(keys);
    return NULL;
}

static void tell(const struct jwks_remote *remote, const struct jwt_keys *keys, const struct error *error)
{
    const char *url = remote->rules->source.url, *reason;
    if (!keys) {
        log_event(SEVERITY_WARNING, "jwks_failed", "%s: %s", url, error->message);
        return;
    }
    size_t count = jwt_keys_count(keys), skipped = jwt_keys_skipped(keys, &reason);
    if (skipped > 0)
        log_event(SEVERITY_NOTICE, "jwks_fetched", "%s: %zu keys, and %zu that are not used (%s)", url, count,
                  skipped, reason);
    else
        log_event(SEVERITY_NOTICE, "jwks_fetched", "%s: %zu keys", url, count);
}

/* With the lock held, which it gives back for the time of the transfer. */
static void refresh(struct jwks_remote *remote)
{
    struct error error = {0};
    pthread_mutex_unlock(&remote->lock);
    struct jwt_keys *keys = fetch(remote, &error), *old = NULL;
    if (!atomic_load(&remote->stop))
        tell(remote, keys, &error);
    pthread_mutex_lock(&remote->lock);
    if (keys) {
        old = swap(remote, keys);
        jwks_schedule_succeed(&remote->schedule, clock_milliseconds(), remote->answer.age, chance());
    } else
        jwks_schedule_fail(&remote->schedule, clock_milliseconds(), chance());
    remote->fetches++;
    pthread_cond_broadcast(&remote->done);
    jwt_keys_release(old);
}

static void drop(struct jwks_remote *remote)
{
    struct jwt_keys *old = swap(remote, jwt_keys_new(remote->algorithms));
    free(remote->last);
    remote->last = NULL;
    jwt_keys_release(old);
    log_event(SEVERITY_WARNING, "jwks_too_old", "%s: the set could not be fetched anew for too long",
              remote->rules->source.url);
}

static void *keep_fresh(void *context)
{
    struct jwks_remote *remote = context;
    pthread_mutex_lock(&remote->lock);
    while (!atomic_load(&remote->stop)) {
        uint64_t now = clock_milliseconds();
        if (jwks_schedule_expire(&remote->schedule, now))
            drop(remote);
        if (jwks_schedule_begin(&remote->schedule, now))
            refresh(remote);
        else
            wait_until(&remote->wake, &remote->lock, jwks_schedule_next(&remote->schedule));
    }
    pthread_mutex_unlock(&remote->lock);
    return NULL;
}

/* ---- life */

struct jwks_remote *jwks_remote_new(const struct jwks_rules *rules, jose_set algorithms, struct error *error)
{
    if (!jwks_fetch_open(error))
        return NULL;
    struct jwks_remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        abort(); /* as an arena would */
    remote->rules = rules;
    remote->algorithms = algorithms;
    remote->keys = jwt_keys_new(algorithms);
    pthread_mutex_init(&remote->lock, NULL);
    make_condition(&remote->wake);
    make_condition(&remote->done);
    return remote;
}

bool jwks_remote_start(struct jwks_remote *remote, size_t patient, struct error *error)
{
    sigset_t all, before;
    remote->patient = patient;
    jwks_schedule_start(&remote->schedule, &remote->rules->times, clock_milliseconds());
    /* Signals are for the thread that takes them by signalfd(2); the resolver's
     * threads inherit this. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&remote->thread, NULL, keep_fresh, remote);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    remote->started = errno == 0;
    return remote->started || error_set_errno(error, "cannot make the thread that fetches keys");
}

void jwks_remote_free(struct jwks_remote *remote)
{
    if (!remote)
        return;
    if (remote->started) {
        pthread_mutex_lock(&remote->lock);
        atomic_store(&remote->stop, true);
        pthread_cond_signal(&remote->wake);
        pthread_mutex_unlock(&remote->lock);
        pthread_join(remote->thread, NULL);
    }
    jwt_keys_release(remote->keys);
    pthread_cond_destroy(&remote->done);
    pthread_cond_destroy(&remote->wake);
    pthread_mutex_destroy(&remote->lock);
    free(remote->last);
    free(remote);
    jwks_fetch_close();
}

/* ---- those who verify */

bool jwks_remote_is_started(const struct jwks_remote *remote)
{
    return remote->started;
}

struct jwt_keys *jwks_remote_keys(struct jwks_remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    struct jwt_keys *keys = jwt_keys_hold(remote->keys);
    pthread_mutex_unlock(&remote->lock);
    return keys;
}

static bool has_other(const struct jwks_remote *remote, uint64_t generation)
{
    return jwt_keys_generation(remote->keys) != generation;
}

/* The fetch that is under way, or the one that will begin now. */
static void await(struct jwks_remote *remote, uint64_t generation, const struct jwks_patience *patience)
{
    uint64_t begun = remote->schedule.running ? remote->schedule.begun : clock_milliseconds();
    uint64_t end = begun + JWKS_WAIT_MS, before = remote->fetches;
    pthread_mutex_unlock(&remote->lock);
    if (patience->tell)
        patience->tell(patience->context);
    pthread_mutex_lock(&remote->lock);
    while (remote->fetches == before && !has_other(remote, generation) && clock_milliseconds() < end)
        wait_until(&remote->done, &remote->lock, end);
}

bool jwks_remote_renew(struct jwks_remote *remote, uint64_t generation, const struct jwks_patience *patience)
{
    if (!remote->started)
        return false;
    pthread_mutex_lock(&remote->lock);
    if (!has_other(remote, generation) && jwks_schedule_want(&remote->schedule, clock_milliseconds())) {
        pthread_cond_signal(&remote->wake);
        /* Threads that wait serve nobody. */
        if (atomic_fetch_add(&waiting, 1) < remote->patient)
            await(remote, generation, patience);
        atomic_fetch_sub(&waiting, 1);
    }
    bool renewed = has_other(remote, generation);
    pthread_mutex_unlock(&remote->lock);
    return renewed;
}
