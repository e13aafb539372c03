/*
 * Decimals of 64 bits: how they are read from jansson's numbers, compared and
 * divided. See the header for why that is enough.
 */
#include "config.h"

#include "data/schema_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { EXPONENT_LIMIT = 9999 };

static struct schema_number normal(bool negative, uint64_t digits, int exponent)
{
    if (digits == 0)
        return (struct schema_number){0};
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct schema_number){digits, exponent, negative};
}

static bool read_exponent(struct text text, int *exponent)
{
    bool negative = text.length > 0 && text.at[0] == '-';
    uint64_t size;
    if (text.length > 0 && (text.at[0] == '-' || text.at[0] == '+'))
        text = text_from(text, 1);
    if (!text_number(text, EXPONENT_LIMIT, &size))
        return false;
    *exponent += negative ? -(int)size : (int)size;
    return true;
}

bool schema_number_read(struct text text, struct schema_number *number)
{
    bool negative = text.length > 0 && text.at[0] == '-', point = false;
    uint64_t digits = 0;
    int exponent = 0;
    size_t zeros = 0; /* held back, since at the end they are no digits but an exponent */
    for (size_t i = negative; i < text.length; i++) {
        char c = text.at[i];
        if (c == 'e' || c == 'E') {
            if (!read_exponent(text_from(text, i + 1), &exponent))
                return false;
            break;
        }
        if (c < '0' || c > '9') { /* whatever the locale's point is */
            point = true;
            continue;
        }
        if (point && exponent-- <= -EXPONENT_LIMIT)
            return false;
        if (c == '0') {
            zeros += digits > 0;
            continue;
        }
        for (zeros++; zeros > 0; zeros--)
            if (__builtin_mul_overflow(digits, 10u, &digits))
                return false;
        if (__builtin_add_overflow(digits, (uint64_t)(c - '0'), &digits))
            return false;
    }
    if (zeros > EXPONENT_LIMIT)
        return false;
    *number = normal(negative, digits, exponent + (int)zeros);
    return true;
}

/* By division, which rounds as reading a decimal does: no more than 15 digits
 * are the number of one decimal only (C11, 5.2.4.2.2: DBL_DIG). */
static bool of_short_real(double size, struct schema_number *number)
{
    double power = 1;
    for (int places = 0; places <= 15 && size * power < 1e15; places++) {
        uint64_t digits = (uint64_t)(size * power + 0.5);
        if ((double)digits / power == size) {
            *number = normal(false, digits, -places);
            return true;
        }
        power *= 10;
    }
    return false;
}

static struct schema_number of_real(double real)
{
    struct schema_number number = {0};
    if (of_short_real(fabs(real), &number)) {
        number.negative = real < 0;
        return number;
    }
    char text[32];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*g", precision, real);
        if (strtod(text, NULL) == real)
            break;
    }
    schema_number_read(text_of(text), &number);
    return number;
}

struct schema_number schema_number_of(const json_t *value)
{
    if (json_is_real(value))
        return of_real(json_real_value(value));
    json_int_t integer = json_integer_value(value);
    uint64_t size = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    return normal(integer < 0, size, 0);
}

static int count_digits(uint64_t digits)
{
    int count = 0;
    for (; digits > 0; digits /= 10)
        count++;
    return count;
}

/* Of two positive numbers. */
static int compare_size(struct schema_number a, struct schema_number b)
{
    int top_a = count_digits(a.digits) + a.exponent, top_b = count_digits(b.digits) + b.exponent;
    if (top_a != top_b)
        return top_a < top_b ? -1 : 1;
    unsigned __int128 left = a.digits, right = b.digits;
    for (; a.exponent > b.exponent; a.exponent--) /* at most 19 times, as the tops are equal */
        left *= 10;
    for (; b.exponent > a.exponent; b.exponent--)
        right *= 10;
    return left < right ? -1 : left > right;
}

int schema_number_compare(struct schema_number a, struct schema_number b)
{
    int sign_a = a.digits == 0 ? 0 : a.negative ? -1 : 1, sign_b = b.digits == 0 ? 0 : b.negative ? -1 : 1;
    if (sign_a != sign_b)
        return sign_a < sign_b ? -1 : 1;
    if (sign_a == 0)
        return 0;
    return sign_a > 0 ? compare_size(a, b) : compare_size(b, a);
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t modulus)
{
    return (uint64_t)((unsigned __int128)a * b % modulus);
}

bool schema_number_is_multiple(struct schema_number a, struct schema_number b)
{
    if (a.digits == 0)
        return true;
    int shift = a.exponent - b.exponent;
    if (shift < 0) /* a's digits end in no zero, so no power of ten divides them */
        return false;
    uint64_t rest = a.digits % b.digits, power = 10 % b.digits;
    for (; shift > 0; shift /= 2) {
        if (shift % 2)
            rest = multiply(rest, power, b.digits);
        power = multiply(power, power, b.digits);
    }
    return rest == 0;
}

bool schema_number_is_integer(struct schema_number number)
{
    return number.exponent >= 0;
}

static bool fits_integer(struct schema_number number)
{
    uint64_t size = number.digits, limit = (uint64_t)INT64_MAX + number.negative;
    for (int i = 0; i < number.exponent; i++)
        if (__builtin_mul_overflow(size, 10u, &size))
            return false;
    return size <= limit;
}

bool schema_number_survives(struct text text)
{
    struct schema_number written;
    char copy[64];
    if (text.length >= sizeof copy || !schema_number_read(text, &written))
        return false;
    memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    if (strcspn(copy, ".eE") == text.length)
        return fits_integer(written);
    double real = strtod(copy, NULL);
    return isfinite(real) && schema_number_compare(written, of_real(real)) == 0;
}
