/*
 * Health: whether somebody answers, and whether what we need does. Each part is
 * a row below. They are asked at most once a second, by one thread at a time: the
 * others tell what was said before, so that a store that hangs holds one thread,
 * and nobody can wear it out from outside.
 */
#include "config.h"

#include "handler/respond.h"

#include <pthread.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "handler/backends.h"

enum { KEPT_MS = 1000, ANSWER_MOST = 1024, BACKEND_PATIENCE_MS = 500 };

enum state { STATE_UNUSED, STATE_OK, STATE_FAILED };

/* Whether the part answers; false with an error. */
static bool counts(const struct respond_settings *settings, struct arena *arena, struct error *error)
{
    (void)arena;
    return limits_reach(settings->limits, error);
}

static bool uses_counters(const struct respond_settings *settings)
{
    return settings->limits && settings->limits->counters;
}

/* An id that is nobody's. */
static bool finds_keys(const struct respond_settings *settings, struct arena *arena, struct error *error)
{
    struct credential key;
    return credentials_find(settings->methods->store, TEXT("0000000000000000"), arena, &key, error) !=
           CREDENTIALS_FAILED;
}

static bool uses_keys(const struct respond_settings *settings)
{
    return settings->methods && settings->methods->store;
}

static bool reaches_backends(const struct respond_settings *settings, struct arena *arena,
                             struct error *error)
{
    return backends_reach(settings->backends, BACKEND_PATIENCE_MS, arena, error);
}

static bool uses_backends(const struct respond_settings *settings)
{
    return backends_look(settings->backends, NULL, 0) > 0;
}

static const struct part {
    const char *name;
    bool (*is_used)(const struct respond_settings *);
    bool (*answers)(const struct respond_settings *, struct arena *, struct error *);
} parts[] = {
    {"limits", uses_counters, counts},
    {"keys", uses_keys, finds_keys},
    {"backends", uses_backends, reaches_backends},
};
enum { PARTS = sizeof parts / sizeof *parts };

struct states {
    enum state of[PARTS];
};

struct respond_checks {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool known, asking;
    uint64_t at; /* clock_milliseconds() of the answer */
    struct states states;
};

struct respond_checks *respond_checks_new(struct arena *arena)
{
    struct respond_checks *checks = arena_alloc(arena, sizeof *checks);
    *checks = (struct respond_checks){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    return checks;
}

/* What is out is logged once, until it is back. */
static struct states ask(const struct respond_settings *settings, const struct states *before,
                         struct exchange *exchange)
{
    struct states states = {0};
    exchange_begin_to_wait(exchange);
    for (size_t i = 0; i < PARTS; i++) {
        struct error error = {0};
        if (!parts[i].is_used(settings))
            continue;
        states.of[i] = parts[i].answers(settings, exchange->arena, &error) ? STATE_OK : STATE_FAILED;
        if (states.of[i] == STATE_FAILED && before->of[i] != STATE_FAILED)
            log_event(SEVERITY_WARNING, "not_ready", "%s: %s", parts[i].name, error.message);
    }
    return states;
}

/* Whether there is nothing to ask for: with an answer, or with none yet, for which others wait. */
static bool is_settled(const struct respond_checks *checks)
{
    return checks->known && (checks->asking || clock_milliseconds() - checks->at < KEPT_MS);
}

static struct states find_states(const struct respond_settings *settings, struct exchange *exchange)
{
    struct respond_checks *checks = settings->checks;
    pthread_mutex_lock(&checks->lock);
    if (!checks->known && checks->asking)
        exchange_begin_to_wait(exchange);
    while (!checks->known && checks->asking)
        pthread_cond_wait(&checks->changed, &checks->lock);
    if (!is_settled(checks)) {
        const struct states before = checks->states;
        checks->asking = true;
        pthread_mutex_unlock(&checks->lock);
        struct states states = ask(settings, &before, exchange);
        pthread_mutex_lock(&checks->lock);
        checks->states = states;
        checks->at = clock_milliseconds();
        checks->known = true;
        checks->asking = false;
        pthread_cond_broadcast(&checks->changed);
    }
    struct states states = checks->states;
    pthread_mutex_unlock(&checks->lock);
    return states;
}

/* False when a part is out. */
static bool add_states(struct bytes *body, const struct states *states)
{
    bool good = true;
    const char *separator = "";
    for (size_t i = 0; i < PARTS; i++) {
        if (states->of[i] == STATE_UNUSED)
            continue;
        bytes_printf(body, "%s\"%s\":\"%s\"", separator, parts[i].name,
                     states->of[i] == STATE_OK ? "ok" : "failed");
        good = good && states->of[i] == STATE_OK;
        separator = ",";
    }
    return good;
}

struct text respond_health(const struct respond_settings *settings, struct exchange *exchange)
{
    struct bytes told = bytes_new(exchange->arena, ANSWER_MOST),
                 body = bytes_new(exchange->arena, ANSWER_MOST);
    struct reply *reply = &exchange->reply;
    bool good = true;
    if (settings->kind == RESPOND_READY) {
        struct states states = find_states(settings, exchange);
        good = add_states(&told, &states);
    }
    bytes_printf(&body, "{\"status\":\"%s\"", good ? "healthy" : "unavailable");
    if (told.length > 0)
        bytes_printf(&body, ",\"checks\":{%.*s}", TEXT_ARGUMENTS(bytes_text(&told)));
    bytes_printf(&body, "}");
    *reply = (struct reply){.status = good ? 200 : 503, .length = (int64_t)body.length};
    headers_add(&reply->headers, exchange->arena, TEXT("Content-Type"), TEXT("application/json"));
    headers_add(&reply->headers, exchange->arena, TEXT("Cache-Control"), TEXT("no-store"));
    return bytes_text(&body);
}
