/*
 * Fuzz target: a JSON body. The scan and jansson must agree on what JSON is,
 * the scan must count what jansson then builds, and a number that is taken
 * must be the one that was written.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/json_body.h"
#include "data/json_number.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

enum { NUMBER_LIMIT = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What jansson built, counted. */
static void count(const json_t *value, size_t depth, struct json_limits *counted)
{
    const char *key;
    size_t index, length;
    json_t *member;
    counted->values++;
    if (json_is_string(value))
        counted->string = larger(counted->string, json_string_length(value));
    if (json_is_array(value) || json_is_object(value))
        counted->depth = larger(counted->depth, depth + 1);
    if (json_is_object(value))
        counted->members = larger(counted->members, json_object_size(value));
    json_array_foreach(value, index, member)
    {
        count(member, depth + 1, counted);
    }
    json_object_keylen_foreach((json_t *)value, key, length, member)
    {
        counted->string = larger(counted->string, length);
        count(member, depth + 1, counted);
    }
}

static void must_refuse(struct text text, struct json_limits limits, const char *word)
{
    struct defect defect = {0};
    MUST(!json_scan(text, &limits, &defect) && strcmp(defect.word, word) == 0);
    MUST(defect.offset < text.length);
}

static void check_counts(struct text text, const json_t *value)
{
    struct json_limits exact = {.rounded = true}, less;
    struct defect defect = {0};
    count(value, 0, &exact);
    MUST(json_scan(text, &exact, &defect));
    less = exact;
    if (less.depth-- > 0)
        must_refuse(text, less, "json_depth");
    less = exact;
    if (less.values-- > 0)
        must_refuse(text, less, "json_values");
    less = exact;
    if (less.members-- > 0)
        must_refuse(text, less, "json_members");
    less = exact;
    if (less.string-- > 0)
        must_refuse(text, less, "json_string");
}

/* What is built is what jansson's own parser makes of it, which alone is asked whether a name occurs twice.
 */
static void check_built(struct text text, const struct json_limits *limits)
{
    struct defect defect = {0};
    json_t *value = json_body_read(text, limits, &defect);
    json_t *other = json_loadb(text.at, text.length, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    MUST(value ? json_equal(value, other) : !other && defect.word && !defect.failed);
    if (value)
        check_counts(text, value);
    json_decref(value);
    json_decref(other);
}

/* The scan must not take what jansson refuses, and take all else but a NUL behind
 * a number, which jansson loses. */
static void check_agreement(struct text text)
{
    struct json_limits limits = {JSON_DEPTH_MOST, SIZE_MAX, SIZE_MAX, SIZE_MAX, true};
    struct defect defect = {0};
    json_error_t error;
    bool taken = json_scan(text, &limits, &defect);
    json_t *value = json_loadb(text.at, text.length, JSON_DECODE_ANY, &error);
    if (taken)
        MUST(value || json_error_code(&error) == json_error_numeric_overflow);
    else if (value)
        MUST(strcmp(defect.word, "json_depth") == 0 || text_find(text, '\0') < text.length);
    if (!taken)
        MUST(defect.message && defect.offset <= text.length && !defect.failed);
    json_decref(value);
    if (taken)
        check_built(text, &limits);
}

/* Digits and exponent of a number as it is written: "-123e4", without zeros at the ends. */
static void normalize(const char *number, char *to)
{
    size_t length = 0, start = *number == '-';
    long exponent = 0;
    if (start)
        to[length++] = *number++;
    for (bool point = false; *number && *number != 'e' && *number != 'E'; number++) {
        point |= *number == '.';
        if (*number == '.' || (*number == '0' && length == start && !point))
            continue;
        exponent -= point;
        if (*number != '0' || length > start)
            to[length++] = *number;
    }
    long stated = *number ? strtol(number + 1, NULL, 10) : 0;
    exponent += stated > 99999 ? 99999 : stated < -99999 ? -99999 : stated;
    for (; length > start && to[length - 1] == '0'; length--)
        exponent++;
    snprintf(to + length, 32, "e%ld", length > start ? exponent : 0);
}

static void check_number(struct text text)
{
    char copy[NUMBER_LIMIT + 1], written[NUMBER_LIMIT + 64], kept[128], shortest[64];
    size_t length;
    enum json_number judged = json_number_judge(text, false, &length);
    MUST(length <= text.length);
    if (judged == JSON_NUMBER_MALFORMED || length > NUMBER_LIMIT)
        return;
    memcpy(copy, text.at, length);
    copy[length] = '\0';
    json_t *value = json_loads(copy, JSON_DECODE_ANY, NULL);
    if (judged == JSON_NUMBER_GOOD)
        MUST(value);
    if (!value) {
        MUST(judged == JSON_NUMBER_RANGE || judged == JSON_NUMBER_PRECISION);
        return;
    }
    if (json_is_integer(value)) {
        MUST(judged == JSON_NUMBER_GOOD);
        snprintf(shortest, sizeof shortest, "%lld", (long long)json_integer_value(value));
    }
    for (int precision = 1; json_is_real(value) && precision <= 17; precision++) {
        snprintf(shortest, sizeof shortest, "%.*g", precision, json_real_value(value));
        if (strtod(shortest, NULL) == json_real_value(value))
            break;
    }
    normalize(copy, written);
    normalize(shortest, kept);
    bool zero = json_number_value(value) == 0 && strspn(copy, "-0.") >= strcspn(copy, "eE");
    if (zero)
        MUST(judged == JSON_NUMBER_GOOD);
    else if (json_is_real(value) && fabs(json_real_value(value)) < DBL_MIN)
        MUST(judged == JSON_NUMBER_RANGE || judged == JSON_NUMBER_PRECISION);
    else
        MUST((strcmp(written, kept) == 0) == (judged == JSON_NUMBER_GOOD));
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {(const char *)data, size};
    check_agreement(text);
    check_number(text);
    return 0;
}
