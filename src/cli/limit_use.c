/*
 * What a counter says of its limit, and how that is printed. The arithmetic is
 * store/quota.c's; times are spans of the store's clock and never dates.
 */
#include "config.h"

#include "cli/limit_use.h"

#include "base/bytes.h"
#include "base/clock.h"

enum { JSON_LIMIT = 4096, TEXT_SIZE = 48 };
#define SECOND UINT64_C(1000000)

/* ---- counters */

static uint64_t span(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

/* Units, as if nothing were banned. */
static uint64_t units_left(const struct limit *limit, const struct quota_state *state, uint64_t now)
{
    struct quota quota = limit->quota;
    quota.ban = 0;
    return quota_judge(&quota, state, now, 0).remaining;
}

static void apply_rule(struct limit_use *use, const struct counter *counter)
{
    const struct limit *limit = use->limit;
    struct quota_answer answer = quota_judge(&limit->quota, &counter->state, counter->now, 0);
    use->units = units_left(limit, &(struct quota_state){0}, counter->now);
    use->used = use->units - units_left(limit, &counter->state, counter->now);
    use->left = answer.remaining;
    use->reset = answer.reset;
    if (limit->quota.ban == 0)
        use->banned = 0;
}

struct limit_use limit_use_of(const struct counter *counter, const struct limits *limits, struct arena *arena)
{
    struct limit_use use = {.algorithm = counter->algorithm,
                            .banned = span(counter->now, counter->state.banned),
                            .expires = span(counter->now, counter->expires)};
    use.key = (struct text){arena_copy(arena, counter->key.at, counter->key.length), counter->key.length};
    use.limit = limits ? limits_find(limits, use.key, use.algorithm) : NULL;
    if (use.limit)
        apply_rule(&use, counter);
    return use;
}

struct text limit_use_name(const struct limit_use *use)
{
    return (struct text){use->key.at, text_find(use->key, ' ')};
}

int limit_use_compare(const void *left, const void *right)
{
    const struct limit_use *a = left, *b = right;
    size_t length = a->key.length < b->key.length ? a->key.length : b->key.length;
    int order = memcmp(a->key.at, b->key.at, length);
    if (order == 0)
        order = (a->key.length > b->key.length) - (a->key.length < b->key.length);
    return order != 0 ? order : (int)a->algorithm - (int)b->algorithm;
}

/* ---- text */

static uint64_t seconds(uint64_t microseconds)
{
    return microseconds / SECOND + (microseconds % SECOND != 0);
}

static const char *algorithm_name(const struct limit_use *use)
{
    static const char *const names[] = {
        [QUOTA_FIXED] = "fixed", [QUOTA_SLIDING] = "sliding", [QUOTA_GCRA] = "gcra"};
    return use->limit && use->limit->slots ? "concurrency" : names[use->algorithm];
}

/* "in 14m 3s": the two greatest units are enough for people. */
static const char *format_span(const char *word, uint64_t microseconds, char to[TEXT_SIZE])
{
    char span[CLOCK_SPAN_SIZE];
    snprintf(to, TEXT_SIZE, "%s %s", word, clock_span(seconds(microseconds), span));
    return to;
}

static const char *format_used(const struct limit_use *use, char to[TEXT_SIZE])
{
    if (!use->limit)
        return "-";
    snprintf(to, TEXT_SIZE, "%llu of %llu", (unsigned long long)use->used, (unsigned long long)use->units);
    return to;
}

static const char *format_left(const struct limit_use *use, char to[TEXT_SIZE])
{
    if (!use->limit)
        return "-";
    snprintf(to, TEXT_SIZE, "%llu", (unsigned long long)use->left);
    return to;
}

/* Nobody knows when requests end that are under way. */
static const char *format_reset(const struct limit_use *use, char to[TEXT_SIZE])
{
    if (use->limit && use->limit->slots)
        return "-";
    uint64_t time = use->limit ? use->reset : use->expires;
    return time > 0 ? format_span("in", time, to) : "now";
}

static const char *format_ban(const struct limit_use *use, char to[TEXT_SIZE])
{
    return use->banned > 0 ? format_span("for", use->banned, to) : "-";
}

static const char *rule_of(const struct limit_use *use)
{
    return use->limit ? use->limit->rule : "-";
}

void limit_use_print(FILE *stream, const struct limit_use *use)
{
    static const char line[] = "%-10s %s\n";
    char text[TEXT_SIZE];
    fprintf(stream, "%-10s %.*s\n%-10s %.*s\n", "key", TEXT_ARGUMENTS(use->key), "limit",
            TEXT_ARGUMENTS(limit_use_name(use)));
    fprintf(stream, line, "rule", use->limit ? use->limit->rule : "not in the policy");
    fprintf(stream, line, "algorithm", algorithm_name(use));
    if (use->limit) {
        fprintf(stream, line, "used", format_used(use, text));
        fprintf(stream, line, "left", format_left(use, text));
    }
    if (use->limit && !use->limit->slots)
        fprintf(stream, line, "all back", format_reset(use, text));
    fprintf(stream, line, "banned", use->banned > 0 ? format_ban(use, text) : "no");
    fprintf(stream, line, "forgotten", format_span("in", use->expires, text));
}

static void print_columns(FILE *stream, const char *used, const char *left, const char *reset,
                          const char *banned, const char *rule, struct text key)
{
    fprintf(stream, "%-14s %-8s %-12s %-12s %-12s %.*s\n", used, left, reset, banned, rule,
            TEXT_ARGUMENTS(key));
}

void limit_use_print_header(FILE *stream)
{
    print_columns(stream, "USED", "LEFT", "ALL BACK", "BANNED", "RULE", TEXT("KEY"));
}

/* The key is the last, because it may be long. */
void limit_use_print_row(FILE *stream, const struct limit_use *use)
{
    char used[TEXT_SIZE], left[TEXT_SIZE], reset[TEXT_SIZE], banned[TEXT_SIZE];
    print_columns(stream, format_used(use, used), format_left(use, left), format_reset(use, reset),
                  format_ban(use, banned), rule_of(use), use->key);
}

/* ---- JSON */

static void add_text(struct bytes *json, const char *name, struct text value)
{
    bytes_printf(json, "\"%s\":", name);
    bytes_add_json(json, value);
    bytes_printf(json, ",");
}

static void add_number(struct bytes *json, const char *name, bool known, uint64_t number)
{
    if (known)
        bytes_printf(json, "\"%s\":%llu,", name, (unsigned long long)number);
    else
        bytes_printf(json, "\"%s\":null,", name);
}

void limit_use_print_json(FILE *stream, const struct limit_use *use, struct arena *arena)
{
    const bool known = use->limit != NULL;
    struct bytes json = bytes_new(arena, JSON_LIMIT);
    bytes_printf(&json, "{");
    add_text(&json, "key", use->key);
    add_text(&json, "limit", limit_use_name(use));
    if (known)
        add_text(&json, "rule", text_of(use->limit->rule));
    else
        bytes_printf(&json, "\"rule\":null,");
    add_text(&json, "algorithm", text_of(algorithm_name(use)));
    add_number(&json, "used", known, use->used);
    add_number(&json, "remaining", known, use->left);
    add_number(&json, "limit_units", known, use->units);
    add_number(&json, "reset_seconds", known && !use->limit->slots, seconds(use->reset));
    add_number(&json, "banned_seconds", use->banned > 0, seconds(use->banned));
    bytes_printf(&json, "\"expires_seconds\":%llu}\n", (unsigned long long)seconds(use->expires));
    fwrite(json.at, 1, json.length, stream);
}
