/*
 * Counters in Redis: jobs become the words of one call of a script, and its
 * reply becomes their answers. Nothing is kept here but the connection.
 */
#include "config.h"

#include "store/counters_redis.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "store/redis.h"

__extension__ typedef unsigned __int128 wide;

#define PREFIX "fcgiguard:{limits}:"
/* What may be ahead of the rate, so that all sums stay below 2^53 for a century and a half. */
#define AHEAD_MOST (UINT64_C(1) << 51)
#define UNITS_MOST (UINT64_C(1) << 30)
#define TIME_MOST  (UINT64_C(1) << 53)

enum {
    NUMBER_SIZE = 22,
    KEY_SIZE = sizeof PREFIX + COUNTER_KEY_SIZE + 4,
    RUN_WORDS = 3,
    JOB_WORDS = 3,
    DRAW_WORDS = 3,
    ANSWER_NUMBERS = 5,
    FLAG_ADMITTED = 1,
    FLAG_BANNED = 2,
    SHOWN_AT_ONCE = 1000,
    STATE_NUMBERS = 5,
};

static const char letters[] = {[QUOTA_FIXED] = 'f', [QUOTA_SLIDING] = 's', [QUOTA_GCRA] = 'g'};

struct backend {
    struct redis *redis;
    struct redis_script script;
    uint64_t rows;
    struct arena *arena; /* of one batch */
};

/* ---- rules as numbers: what quota.c makes of a rule, with its names */

static wide tolerance(const struct quota *quota)
{
    wide burst = (wide)quota->burst * quota->window, delay = (wide)quota->delay * quota->limit;
    return quota->delay == 0 || (quota->burst > 0 && burst < delay) ? burst : delay;
}

bool counters_redis_fits(const struct quota *quota, struct error *error)
{
    if (quota->algorithm != QUOTA_GCRA || quota->limit == 0)
        return true;
    return (tolerance(quota) / quota->limit <= AHEAD_MOST && tolerance(quota) / quota->window < UNITS_MOST) ||
           error_set(error,
                     "a burst or delay this long cannot be counted exactly in Redis, where a caller can "
                     "be 71 years ahead of the rate, and take 2^30 units at once, at most");
}

static void count_rule(const struct quota *quota, uint64_t numbers[QUOTA_NUMBERS])
{
    bool gcra = quota->algorithm == QUOTA_GCRA && quota->limit > 0;
    memset(numbers, 0, QUOTA_NUMBERS * sizeof *numbers);
    numbers[NUMBER_ALGORITHM] = quota->algorithm;
    numbers[NUMBER_LIMIT] = quota->limit;
    numbers[NUMBER_WINDOW] = quota->window;
    numbers[NUMBER_BAN] = quota->ban;
    numbers[NUMBER_BAN_MOST] = quota->ban_most;
    numbers[NUMBER_MOST] = quota->algorithm == QUOTA_GCRA ? 0 : quota->limit;
    numbers[NUMBER_SEGMENT] = (quota->window + QUOTA_SEGMENTS - 2) / (QUOTA_SEGMENTS - 1);
    if (!gcra)
        return;
    numbers[NUMBER_MOST] = (uint64_t)(tolerance(quota) / quota->window) + 1;
    numbers[NUMBER_TOLERANCE] = (uint64_t)(tolerance(quota) / quota->limit);
    numbers[NUMBER_TOLERANCE_REST] = (uint64_t)(tolerance(quota) % quota->limit);
    numbers[NUMBER_UNIT] = quota->window / quota->limit;
    numbers[NUMBER_UNIT_REST] = quota->window % quota->limit;
    numbers[NUMBER_DELAYS] = quota->delay > 0;
}

/* ---- jobs as words */

struct batch {
    struct text *words;
    size_t count;
    char *digits, *digits_end; /* room for all numbers */
    const struct quota **rules;
    size_t rule_count, key_count;
    int64_t *numbers;       /* of the keys */
    struct text *names;     /* of the keys, too */
    uint32_t *places, mask; /* where the key of a number is, from 1 */
};

static void add_number(struct batch *batch, uint64_t number)
{
    char digits[NUMBER_SIZE], *end = digits + sizeof digits, *at = end;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    size_t length = (size_t)(end - at);
    assert(length <= (size_t)(batch->digits_end - batch->digits));
    memcpy(batch->digits, at, length);
    batch->words[batch->count++] = (struct text){batch->digits, length};
    batch->digits += length;
}

/* The place of a rule, from 1 as Lua counts. There are few in a batch. */
static size_t place_of_rule(struct batch *batch, const struct quota *quota)
{
    for (size_t i = 0; i < batch->rule_count; i++)
        if (batch->rules[i] == quota)
            return i + 1;
    batch->rules[batch->rule_count++] = quota;
    return batch->rule_count;
}

static uint32_t place_of_key(struct batch *batch, int64_t number, struct text name)
{
    uint32_t slot = (uint32_t)number & batch->mask;
    while (batch->places[slot] > 0 && batch->numbers[batch->places[slot] - 1] != number)
        slot = (slot + 1) & batch->mask;
    if (batch->places[slot] == 0) {
        batch->numbers[batch->key_count] = number;
        batch->names[batch->key_count] = name;
        batch->places[slot] = (uint32_t)++batch->key_count;
    }
    return batch->places[slot];
}

static size_t count_draws(struct job *const jobs[], size_t count)
{
    size_t draws = 0;
    for (size_t i = 0; i < count; i++)
        draws += jobs[i]->count;
    return draws;
}

static struct batch new_batch(struct arena *arena, size_t jobs, size_t draws)
{
    size_t words = 1 + RUN_WORDS + JOB_WORDS * jobs + (2 + DRAW_WORDS + QUOTA_NUMBERS) * draws;
    struct batch batch = {.words = arena_array(arena, words, sizeof *batch.words),
                          .digits = arena_array(arena, words, NUMBER_SIZE),
                          .rules = arena_array(arena, draws, sizeof *batch.rules),
                          .numbers = arena_array(arena, draws, sizeof *batch.numbers),
                          .names = arena_array(arena, draws, sizeof *batch.names),
                          .mask = 1};
    batch.digits_end = batch.digits + words * NUMBER_SIZE;
    while (batch.mask < 2 * draws)
        batch.mask = 2 * batch.mask + 1;
    batch.places = arena_array(arena, (size_t)batch.mask + 1, sizeof *batch.places);
    return batch;
}

static bool find_rules_and_keys(struct batch *batch, struct job *const jobs[], size_t count,
                                struct error *error)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < jobs[i]->count; j++) {
            const struct draw *draw = &jobs[i]->draws[j];
            if (!counters_redis_fits(draw->quota, error))
                return false;
            place_of_rule(batch, draw->quota);
            place_of_key(batch, jobs[i]->numbers[j], draw->key);
        }
    return true;
}

static struct text key_of_number(struct arena *arena, int64_t number)
{
    char *key = arena_printf(arena, PREFIX "%016" PRIx64, (uint64_t)number);
    return text_of(key);
}

static void add_keys(struct batch *batch, struct arena *arena)
{
    batch->words[batch->count++] = TEXT(PREFIX "clock");
    for (size_t i = 0; i < batch->key_count; i++)
        batch->words[batch->count++] = key_of_number(arena, batch->numbers[i]);
}

static void add_rules(struct batch *batch)
{
    uint64_t numbers[QUOTA_NUMBERS];
    add_number(batch, batch->rule_count);
    for (size_t i = 0; i < batch->rule_count; i++) {
        count_rule(batch->rules[i], numbers);
        for (size_t j = 0; j < QUOTA_NUMBERS; j++)
            add_number(batch, numbers[j]);
    }
}

static void add_job(struct batch *batch, const struct job *job)
{
    add_number(batch, job->kind);
    add_number(batch, job->count);
    add_number(batch, job->time < TIME_MOST ? job->time : TIME_MOST);
    for (size_t i = 0; i < job->count; i++) {
        add_number(batch, place_of_key(batch, job->numbers[i], job->draws[i].key));
        add_number(batch, place_of_rule(batch, job->draws[i].quota));
        add_number(batch, job->draws[i].cost);
    }
}

/* ---- the reply as answers */

struct reading {
    const redisReply *reply;
    size_t next;
    bool strange;
};

static uint64_t read_number(struct reading *reading)
{
    const redisReply *reply = reading->reply;
    if (reading->next < reply->elements && reply->element[reading->next]->type == REDIS_REPLY_INTEGER)
        return (uint64_t)reply->element[reading->next++]->integer; /* -1: never, UINT64_MAX */
    reading->strange = true;
    return 0;
}

static void read_taken(struct reading *reading, struct job *job)
{
    job->taken.admitted = read_number(reading) == 1;
    for (size_t i = 0; i < job->count; i++) {
        struct quota_answer *answer = &job->taken.answers[i];
        uint64_t flags = read_number(reading);
        answer->admitted = flags & FLAG_ADMITTED;
        answer->banned = flags & FLAG_BANNED;
        answer->wait = read_number(reading);
        answer->remaining = read_number(reading);
        answer->reset = read_number(reading);
        answer->retry = read_number(reading);
    }
}

static bool read_answers(const redisReply *reply, struct job *const jobs[], size_t count, uint64_t *time)
{
    struct reading reading = {.reply = reply, .strange = reply->type != REDIS_REPLY_ARRAY};
    if (reading.strange)
        return false;
    *time = read_number(&reading);
    for (size_t i = 0; i < count; i++) {
        jobs[i]->taken.time = *time;
        if (jobs[i]->kind == JOB_TAKE)
            read_taken(&reading, jobs[i]);
    }
    return !reading.strange && reading.next == reply->elements;
}

static bool run_script(struct backend *backend, const struct batch *batch, struct job *const jobs[],
                       size_t count, uint64_t *time, struct error *error)
{
    redisReply *reply =
        redis_run(backend->redis, &backend->script, batch->words, batch->count, 1 + batch->key_count, error);
    if (!reply)
        return false;
    bool good = read_answers(reply, jobs, count, time) || redis_is_strange(backend->redis, error);
    freeReplyObject(reply);
    return good;
}

static bool run_at(struct backend *backend, struct job *const jobs[], size_t count, uint64_t forced,
                   uint64_t *time, struct error *error)
{
    struct batch batch = new_batch(backend->arena, count, count_draws(jobs, count));
    bool good = find_rules_and_keys(&batch, jobs, count, error);
    if (good) {
        add_keys(&batch, backend->arena);
        add_number(&batch, forced);
        add_number(&batch, backend->rows);
        for (size_t i = 0; i < batch.key_count; i++)
            batch.words[batch.count++] = batch.names[i];
        add_rules(&batch);
        for (size_t i = 0; i < count; i++)
            add_job(&batch, jobs[i]);
        good = run_script(backend, &batch, jobs, count, time, error);
    }
    arena_reset(backend->arena);
    return good;
}

bool counters_redis_run(void *state, struct job *const jobs[], size_t count, uint64_t time,
                        struct error *error)
{
    uint64_t now;
    return run_at(state, jobs, count, time, &now, error);
}

static bool run(void *state, struct job *const jobs[], size_t count, struct error *error)
{
    return counters_redis_run(state, jobs, count, 0, error);
}

static bool was_undone(const void *state)
{
    const struct backend *backend = state;
    return !redis_may_have_run(backend->redis);
}

/* ---- showing and forgetting */

/* All counters of a key: three algorithms, and the shared ones of a limit. */
enum { KEYS_OF_ONE = 2 * (QUOTA_GCRA + 1) };

static size_t keys_of(struct arena *arena, struct text key, struct text keys[KEYS_OF_ONE])
{
    size_t count = 0;
    for (int algorithm = QUOTA_FIXED; algorithm <= QUOTA_GCRA; algorithm++)
        keys[count++] = key_of_number(arena, counter_number(key, (enum quota_algorithm)algorithm));
    for (int algorithm = QUOTA_FIXED; algorithm <= QUOTA_GCRA && text_ends_with(key, TEXT(" *")); algorithm++)
        keys[count++] =
            text_of(arena_printf(arena, PREFIX "%c %.*s", letters[algorithm], TEXT_ARGUMENTS(key)));
    return count;
}

static bool parse_state(struct text *rest, struct counter *counter)
{
    uint64_t numbers[STATE_NUMBERS + QUOTA_SEGMENTS];
    size_t count = 0;
    struct text word;
    const char *letter = memchr(letters, rest->at[0], sizeof letters);
    struct text line = {rest->at, text_find(*rest, '\n')};
    if (!letter || line.length < 2 || line.length == rest->length)
        return false;
    counter->algorithm = (enum quota_algorithm)(letter - letters);
    *rest = text_from(*rest, line.length + 1);
    line = text_from(line, 2);
    while (text_next(&line, ' ', &word)) {
        if (count == STATE_NUMBERS + QUOTA_SEGMENTS || !text_number(word, TIME_MOST, &numbers[count++]))
            return false;
    }
    if (count != STATE_NUMBERS + (counter->algorithm == QUOTA_SLIDING ? QUOTA_SEGMENTS : 0))
        return false;
    counter->state = (struct quota_state){
        .time = numbers[0], .part = numbers[1], .banned = numbers[2], .bans = (uint32_t)numbers[3]};
    counter->expires = numbers[4];
    for (size_t i = STATE_NUMBERS; i < count; i++)
        counter->state.segments[i - STATE_NUMBERS] = (uint32_t)numbers[i];
    return true;
}

struct listing {
    struct backend *backend;
    uint64_t now;
    bool (*each)(void *context, const struct counter *);
    void *context;
    bool more;
};

/* What has expired meanwhile is not there, which is no fault. */
static bool show(struct listing *listing, const redisReply *reply)
{
    struct counter counter = {.now = listing->now};
    if (reply->type != REDIS_REPLY_STRING)
        return reply->type == REDIS_REPLY_NIL;
    counter.key = (struct text){reply->str, reply->len};
    if (counter.key.length == 0 || !parse_state(&counter.key, &counter))
        return false;
    if (counter.expires > counter.now)
        listing->more = listing->each(listing->context, &counter);
    return true;
}

static bool show_some(struct listing *listing, const struct text words[], size_t count, struct error *error)
{
    redisReply *reply = redis_call(listing->backend->redis, words, count, error);
    if (!reply)
        return false;
    bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == count - 1;
    for (size_t i = 0; good && listing->more && i < reply->elements; i++)
        good = show(listing, reply->element[i]);
    freeReplyObject(reply);
    return good || redis_is_strange(listing->backend->redis, error);
}

static int compare_texts(const void *one, const void *other)
{
    const struct text *a = one, *b = other;
    size_t least = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->at, b->at, least);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

struct found {
    struct text *keys;
    size_t count, capacity;
};

static void add_found(struct found *found, struct arena *arena, const redisReply *keys)
{
    if (found->count + keys->elements > found->capacity) {
        size_t capacity = 2 * found->capacity + keys->elements;
        struct text *grown = arena_array(arena, capacity, sizeof *grown);
        if (found->count)
            memcpy(grown, found->keys, found->count * sizeof *grown);
        found->keys = grown;
        found->capacity = capacity;
    }
    for (size_t i = 0; i < keys->elements; i++)
        if (keys->element[i]->type == REDIS_REPLY_STRING &&
            !text_equal((struct text){keys->element[i]->str, keys->element[i]->len}, TEXT(PREFIX "clock")))
            found->keys[found->count++] = (struct text){
                arena_copy(arena, keys->element[i]->str, keys->element[i]->len), keys->element[i]->len};
}

/* SCAN may tell of a key twice, so all are collected first. */
static bool scan(struct backend *backend, struct arena *arena, struct found *found, struct error *error)
{
    const char *cursor = "0";
    do {
        const struct text words[] = {TEXT("SCAN"),     text_of(cursor), TEXT("MATCH"),
                                     TEXT(PREFIX "*"), TEXT("COUNT"),   TEXT("1000")};
        redisReply *reply = redis_call(backend->redis, words, 6, error);
        if (!reply)
            return false;
        bool good = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                    reply->element[0]->type == REDIS_REPLY_STRING &&
                    reply->element[1]->type == REDIS_REPLY_ARRAY;
        if (good) {
            cursor = arena_copy(arena, reply->element[0]->str, reply->element[0]->len);
            add_found(found, arena, reply->element[1]);
        }
        freeReplyObject(reply);
        if (!good)
            return redis_is_strange(backend->redis, error);
    } while (strcmp(cursor, "0") != 0);
    if (found->count)
        qsort(found->keys, found->count, sizeof *found->keys, compare_texts);
    return true;
}

static bool list(void *state, struct text key, bool (*each)(void *context, const struct counter *),
                 void *context, struct error *error)
{
    struct listing listing = {.backend = state, .each = each, .context = context, .more = true};
    struct text keys[KEYS_OF_ONE], words[1 + SHOWN_AT_ONCE] = {TEXT("MGET")};
    struct found found = {.keys = keys};
    struct arena *arena = arena_new();
    bool good = run_at(state, NULL, 0, 0, &listing.now, error);
    if (key.length > 0)
        found.count = key.length <= COUNTER_KEY_SIZE ? keys_of(arena, key, keys) : 0;
    else
        good = good && scan(state, arena, &found, error);
    for (size_t i = 0, count = 1; good && listing.more && i < found.count; i++) {
        if (i == 0 || !text_equal(found.keys[i], found.keys[i - 1]))
            words[count++] = found.keys[i];
        if (count == 1 + SHOWN_AT_ONCE || i == found.count - 1) {
            good = show_some(&listing, words, count, error);
            count = 1;
        }
    }
    arena_free(arena);
    return good;
}

static int reset(void *state, struct text key, struct error *error)
{
    struct backend *backend = state;
    struct text words[1 + KEYS_OF_ONE] = {TEXT("DEL")};
    int removed = -1;
    if (key.length == 0 || key.length > COUNTER_KEY_SIZE)
        return 0;
    struct arena *arena = arena_new();
    size_t count = keys_of(arena, key, words + 1);
    redisReply *reply = redis_call(backend->redis, words, 1 + count, error);
    if (reply && reply->type == REDIS_REPLY_INTEGER)
        removed = (int)reply->integer;
    else if (reply)
        redis_is_strange(backend->redis, error);
    freeReplyObject(reply);
    arena_free(arena);
    return removed;
}

/* ---- beginning and end */

static void close_redis(void *state)
{
    struct backend *backend = state;
    redis_free(backend->redis);
    arena_free(backend->arena);
    free(backend);
}

static void *open_redis(const struct counters_rules *rules, struct error *error)
{
    struct redis *redis = redis_new(rules->place, rules->password, rules->timeout, error);
    if (!redis)
        return NULL;
    struct backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        abort();
    *backend = (struct backend){.redis = redis,
                                .script = redis_script(counters_redis_script),
                                .rows = rules->rows < TIME_MOST ? rules->rows : TIME_MOST,
                                .arena = arena_new()};
    return backend;
}

static bool connect_redis(void *state, struct error *error)
{
    struct backend *backend = state;
    return redis_connect(backend->redis, error);
}

/* The server removes what has expired. */
static bool tidy(void *state, struct error *error)
{
    (void)state;
    (void)error;
    return true;
}

const struct counters_backend counters_redis = {
    .name = "redis",
    .prompt = true,
    .open = open_redis,
    .connect = connect_redis,
    .run = run,
    .was_undone = was_undone,
    .tidy = tidy,
    .list = list,
    .reset = reset,
    .close = close_redis,
};
