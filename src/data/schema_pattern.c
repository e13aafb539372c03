/*
 * Patterns through PCRE2. The text is rewritten first (schema_pattern_ecma.c),
 * since the two languages differ in what "." and "\s" are and PCRE2 knows
 * constructs that a pattern of a schema must not use.
 */
#include "config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "data/schema_map.h"
#include "data/schema_pattern.h"
#include "data/schema_pattern_ecma.h"

/* A match begins with a limit by the length of the text, which patterns that do not
 * backtrack much keep; how many may go on to the full one is bounded, for a body
 * can hold many strings that are just below it. */
enum {
    FIRST_LIMIT = 1000,
    LIMIT_PER_BYTE = 8,
    RETRY_LIMIT = 50,
    MATCH_LIMIT = 100000,
    DEPTH_LIMIT = 10000,
    HEAP_KIBIBYTES = 20000,
    PATTERN_LENGTH_LIMIT = 64 * 1024
};

struct schema_pattern {
    pcre2_code *code;
    bool fast; /* it is machine code */
    struct schema_pattern *next;
};

struct schema_patterns {
    struct schema_pattern *first;
    struct schema_map by_text;
};

struct schema_patterns *schema_patterns_new(struct arena *arena)
{
    return arena_alloc(arena, sizeof(struct schema_patterns));
}

void schema_patterns_free(struct schema_patterns *patterns)
{
    if (!patterns)
        return;
    for (struct schema_pattern *pattern = patterns->first; pattern; pattern = pattern->next)
        pcre2_code_free(pattern->code);
}

static pcre2_code *compile(struct text text, struct error *error)
{
    int number;
    PCRE2_SIZE at;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!context) {
        error_set(error, "there is no memory for the pattern");
        return NULL;
    }
    pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text.at, text.length,
                      PCRE2_UTF | PCRE2_ALT_BSUX | PCRE2_MATCH_UNSET_BACKREF | PCRE2_DOLLAR_ENDONLY |
                          PCRE2_ALLOW_EMPTY_CLASS | PCRE2_NEVER_BACKSLASH_C,
                      &number, &at, context);
    pcre2_compile_context_free(context);
    if (!code) {
        PCRE2_UCHAR message[128];
        pcre2_get_error_message(number, message, sizeof message);
        error_set(error, "the pattern does not compile: %s", (const char *)message);
        return NULL;
    }
    return code;
}

static pcre2_code *compile_ecma(struct arena *arena, struct text text, struct error *error)
{
    struct text rewritten;
    if (text.length > PATTERN_LENGTH_LIMIT) {
        error_set(error, "the pattern is longer than %d bytes", PATTERN_LENGTH_LIMIT);
        return NULL;
    }
    return schema_pattern_rewrite(arena, text, &rewritten, error) ? compile(rewritten, error) : NULL;
}

const struct schema_pattern *schema_pattern_compile(struct schema_patterns *patterns, struct arena *arena,
                                                    struct text text, struct error *error)
{
    struct schema_pattern *pattern = schema_map_get(&patterns->by_text, text);
    if (pattern)
        return pattern;
    pcre2_code *code = compile_ecma(arena, text, error);
    if (!code)
        return NULL;
    bool fast = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
    pattern = arena_alloc(arena, sizeof *pattern);
    *pattern = (struct schema_pattern){code, fast, patterns->first};
    patterns->first = pattern;
    struct text key = {arena_copy(arena, text.at, text.length), text.length};
    schema_map_set(&patterns->by_text, arena, key, pattern);
    return pattern;
}

static bool begin_work(struct schema_pattern_work *work)
{
    if (work->context)
        return true;
    if (!work->data)
        work->data = pcre2_match_data_create(1, NULL);
    work->context = pcre2_match_context_create(NULL);
    if (!work->context)
        return false;
    pcre2_set_depth_limit(work->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(work->context, HEAP_KIBIBYTES);
    return true;
}

static int match_within(const struct schema_pattern *pattern, struct schema_pattern_work *work,
                        struct text text, uint32_t limit)
{
    PCRE2_SPTR at = (PCRE2_SPTR)(text.at ? text.at : "");
    int result = PCRE2_ERROR_JIT_STACKLIMIT; /* its 32 KiB are less than the limits allow */
    pcre2_set_match_limit(work->context, limit);
    if (pattern->fast)
        result = pcre2_jit_match(pattern->code, at, text.length, 0, 0, work->data, work->context);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT)
        result = pcre2_match(pattern->code, at, text.length, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, work->data,
                             work->context);
    return result;
}

enum pattern_result schema_pattern_match(const struct schema_pattern *pattern,
                                         struct schema_pattern_work *work, struct text text)
{
    uint32_t first = MATCH_LIMIT;
    if (!begin_work(work) || !work->data)
        return PATTERN_EXHAUSTED;
    if (text.length < (MATCH_LIMIT - FIRST_LIMIT) / LIMIT_PER_BYTE)
        first = FIRST_LIMIT + LIMIT_PER_BYTE * (uint32_t)text.length;
    int result = match_within(pattern, work, text, first);
    if (result == PCRE2_ERROR_MATCHLIMIT && first < MATCH_LIMIT && work->retries++ < RETRY_LIMIT)
        result = match_within(pattern, work, text, MATCH_LIMIT);
    if (result >= 0)
        return PATTERN_MATCHES;
    return result == PCRE2_ERROR_NOMATCH ? PATTERN_DIFFERS : PATTERN_EXHAUSTED;
}

void schema_pattern_work_free(struct schema_pattern_work *work)
{
    pcre2_match_data_free(work->data);
    pcre2_match_context_free(work->context);
    *work = (struct schema_pattern_work){0};
}

bool schema_pattern_is_valid(struct text text)
{
    struct error error = {0};
    struct arena *arena = arena_new();
    /* Not by JIT: a sandbox may not allow new code any more. */
    pcre2_code *code = compile_ecma(arena, text, &error);
    pcre2_code_free(code);
    arena_free(arena);
    return code != NULL;
}
