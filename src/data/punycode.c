/*
 * Punycode, in both directions (RFC 3492, 6).
 */
#include "config.h"

#include "data/punycode.h"

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, FIRST_BIAS = 72, FIRST_POINT = 0x80 };

static uint32_t adapt(uint32_t delta, uint32_t count, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / count;
    for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
    return k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

/* One number of variable length (RFC 3492, 3.3), added to `i`. */
static bool take_number(struct text *rest, uint32_t bias, uint32_t *i)
{
    uint32_t weight = 1;
    for (uint32_t k = BASE;; k += BASE) {
        if (rest->length == 0)
            return false;
        char c = (char)(rest->at[0] | 0x20);
        bool digit = rest->at[0] >= '0' && rest->at[0] <= '9';
        if (!digit && (c < 'a' || c > 'z'))
            return false;
        uint32_t value = digit ? (uint32_t)(rest->at[0] - '0') + 26 : (uint32_t)(c - 'a'), step;
        *rest = text_from(*rest, 1);
        if (__builtin_mul_overflow(value, weight, &step) || __builtin_add_overflow(*i, step, i))
            return false;
        uint32_t t = threshold(k, bias);
        if (value < t)
            return true;
        if (__builtin_mul_overflow(weight, BASE - t, &weight))
            return false;
    }
}

static bool insert(struct punycode_points *points, size_t place, uint32_t point)
{
    if (points->count == PUNYCODE_LIMIT || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return false;
    memmove(points->at + place + 1, points->at + place, (points->count - place) * sizeof *points->at);
    points->at[place] = point;
    points->count++;
    return true;
}

bool punycode_decode(struct text text, struct punycode_points *points)
{
    points->count = 0;
    uint32_t point = FIRST_POINT, bias = FIRST_BIAS, i = 0;
    size_t basic = text.length;
    while (basic > 0 && text.at[basic - 1] != '-')
        basic--;
    for (size_t k = 0; k + 1 < basic; k++)
        if ((unsigned char)text.at[k] >= 0x80 || !insert(points, points->count, (unsigned char)text.at[k]))
            return false;
    text = text_from(text, basic);
    if (text.length == 0)
        return false;
    while (text.length > 0) {
        uint32_t before = i, count = (uint32_t)points->count + 1;
        if (!take_number(&text, bias, &i))
            return false;
        bias = adapt(i - before, count, before == 0);
        if (__builtin_add_overflow(point, i / count, &point) || !insert(points, i % count, point))
            return false;
        i = i % count + 1;
    }
    return true;
}

/* A number of variable length (RFC 3492, 3.3); the length behind it. */
static size_t put_number(uint32_t number, uint32_t bias, char *to, size_t length)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (uint32_t k = BASE; length < PUNYCODE_LIMIT; k += BASE) {
        uint32_t t = threshold(k, bias);
        if (number < t) {
            to[length] = digits[number];
            return length + 1;
        }
        to[length++] = digits[t + (number - t) % (BASE - t)];
        number = (number - t) / (BASE - t);
    }
    return SIZE_MAX;
}

static uint32_t least_from(const struct punycode_points *points, uint32_t point)
{
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < points->count; i++)
        if (points->at[i] >= point && points->at[i] < least)
            least = points->at[i];
    return least;
}

static size_t put_basic(const struct punycode_points *points, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < points->count; i++)
        if (points->at[i] < FIRST_POINT)
            to[length++] = (char)points->at[i];
    return length;
}

size_t punycode_encode(const struct punycode_points *points, char *to)
{
    uint32_t point = FIRST_POINT, bias = FIRST_BIAS, delta = 0;
    size_t basic = put_basic(points, to), done = basic, length = basic;
    if (basic == PUNYCODE_LIMIT)
        return SIZE_MAX;
    if (basic > 0)
        to[length++] = '-';
    for (; done < points->count; delta++, point++) {
        uint32_t next = least_from(points, point), step;
        if (__builtin_mul_overflow(next - point, (uint32_t)done + 1, &step) ||
            __builtin_add_overflow(delta, step, &delta))
            return SIZE_MAX;
        point = next;
        for (size_t i = 0; i < points->count; i++) {
            delta += points->at[i] < point;
            if (points->at[i] != point)
                continue;
            length = put_number(delta, bias, to, length);
            if (length == SIZE_MAX)
                return SIZE_MAX;
            bias = adapt(delta, (uint32_t)done + 1, done == basic);
            delta = 0;
            done++;
        }
    }
    return length;
}
