/*
 * Nearly all numbers have few digits, and are judged by counting these; for
 * the others the decimal is read and written again.
 */
#include "config.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/json_number.h"

enum {
    INTEGER_DIGITS = 18, /* any number of so many fits in 64 bits */
    REAL_DIGITS = 15,    /* any decimal of so many survives a double (DBL_DIG) */
    DOUBLE_DIGITS = 17,  /* the most that a double needs */
    SURE_EXPONENT = 250, /* with 15 digits at either side of the point, far from the ends of the range */
    EXPONENT_LIMIT = 99999,
};

struct number {
    struct text digits; /* of both sides, with the point */
    size_t whole, fraction;
    long exponent;
    bool negative, real;
};

static size_t digit_run(struct text text, size_t from)
{
    size_t end = from;
    while (end < text.length && text.at[end] >= '0' && text.at[end] <= '9')
        end++;
    return end - from;
}

static bool has(struct text text, size_t at, char byte)
{
    return at < text.length && text.at[at] == byte;
}

/* RFC 8259, 6: exp. False when there are no digits. */
static bool read_exponent(struct text text, size_t *at, struct number *number)
{
    bool negative = has(text, ++*at, '-');
    if (negative || has(text, *at, '+'))
        ++*at;
    size_t digits = digit_run(text, *at);
    for (size_t i = 0; i < digits && number->exponent <= EXPONENT_LIMIT; i++)
        number->exponent = number->exponent * 10 + (text.at[*at + i] - '0');
    if (negative)
        number->exponent = -number->exponent;
    *at += digits;
    return digits > 0;
}

/* RFC 8259, 6. */
static bool read(struct text text, struct number *number, size_t *length)
{
    size_t at = number->negative = has(text, 0, '-'), start = at;
    *length = at;
    number->whole = has(text, at, '0') ? 1 : digit_run(text, at);
    *length = at += number->whole;
    if (number->whole == 0)
        return false;
    if (has(text, at, '.')) {
        number->real = true;
        number->fraction = digit_run(text, at + 1);
        *length = at += 1 + number->fraction;
        if (number->fraction == 0)
            return false;
    }
    number->digits = (struct text){text.at + start, at - start};
    if (has(text, at, 'e') || has(text, at, 'E')) {
        number->real = true;
        bool good = read_exponent(text, &at, number);
        *length = at;
        return good;
    }
    return true;
}

static enum json_number judge_integer(const struct number *number)
{
    const char *most = number->negative ? "9223372036854775808" : "9223372036854775807";
    bool fits = number->whole <= INTEGER_DIGITS ||
                (number->whole == INTEGER_DIGITS + 1 && memcmp(number->digits.at, most, number->whole) <= 0);
    return fits ? JSON_NUMBER_GOOD : JSON_NUMBER_RANGE;
}

/* The significant digits, of which `count` may be more than were copied; what is
 * returned is the exponent of the first one. */
static long take_digits(const struct number *number, char digits[DOUBLE_DIGITS], size_t *count)
{
    long first = (long)number->whole - 1 + number->exponent;
    size_t zeros = 0; /* seen behind a digit, and perhaps before another */
    *count = 0;
    for (size_t i = 0; i < number->digits.length; i++) {
        char digit = number->digits.at[i];
        if (digit == '.')
            continue;
        if (digit == '0') {
            first -= *count == 0;
            zeros += *count > 0;
            continue;
        }
        for (; zeros > 0; zeros--, ++*count)
            if (*count < DOUBLE_DIGITS)
                digits[*count] = '0';
        if (*count < DOUBLE_DIGITS)
            digits[*count] = digit;
        ++*count;
    }
    return first;
}

/* Whether the decimal is the shortest one that reads as its double. */
static enum json_number judge_decimal(const char *digits, int count, long exponent)
{
    char written[48], again[48];
    snprintf(written, sizeof written, "%c%s%.*se%c%02ld", digits[0], count > 1 ? "." : "", count - 1,
             digits + 1, exponent < 0 ? '-' : '+', labs(exponent));
    double value = strtod(written, NULL);
    if (isinf(value) || value < DBL_MIN) /* below it a double has fewer digits, down to one bit */
        return JSON_NUMBER_RANGE;
    if (count <= REAL_DIGITS)
        return JSON_NUMBER_GOOD;
    snprintf(again, sizeof again, "%.*e", count - 1, value);
    if (strcmp(written, again) != 0)
        return JSON_NUMBER_PRECISION;
    snprintf(again, sizeof again, "%.*e", count - 2, value);
    return strtod(again, NULL) == value ? JSON_NUMBER_PRECISION : JSON_NUMBER_GOOD;
}

static enum json_number judge_real(const struct number *number)
{
    char digits[DOUBLE_DIGITS];
    size_t count;
    if (number->whole + number->fraction <= REAL_DIGITS && labs(number->exponent) <= SURE_EXPONENT)
        return JSON_NUMBER_GOOD;
    long exponent = take_digits(number, digits, &count);
    if (count == 0)
        return JSON_NUMBER_GOOD;
    if (labs(exponent) > 2 * DBL_MAX_10_EXP)
        return JSON_NUMBER_RANGE;
    if (count > DOUBLE_DIGITS)
        return JSON_NUMBER_PRECISION;
    return judge_decimal(digits, (int)count, exponent);
}

enum json_number json_number_judge(struct text text, bool rounded, size_t *length)
{
    struct number number = {0};
    if (!read(text, &number, length))
        return JSON_NUMBER_MALFORMED;
    if (!number.real)
        return judge_integer(&number);
    return rounded ? JSON_NUMBER_GOOD : judge_real(&number);
}
