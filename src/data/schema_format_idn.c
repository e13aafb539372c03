/*
 * Labels of internationalized names: punycode (RFC 3492) and which characters
 * may stand where (RFC 5892). PCRE2's Unicode tables tell what is a letter, so
 * there are no tables of our own. They do not tell of compatibility forms and
 * joining types; the blocks of the former are left out, and the latter are
 * taken for granted between Arabic letters.
 */
#include "config.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <pthread.h>

#include "data/schema_format.h"

enum { LABEL_LIMIT = 63, POINTS_LIMIT = 64 };

#define VIRAMAS                                                                                              \
    "\\x{94d}\\x{9cd}\\x{a4d}\\x{acd}\\x{b4d}\\x{bcd}\\x{c4d}\\x{ccd}\\x{d4d}\\x{dca}\\x{e3a}\\x{f84}"       \
    "\\x{1039}\\x{103a}\\x{1714}\\x{1734}\\x{17d2}\\x{1a60}\\x{1b44}\\x{1baa}\\x{1bab}\\x{1bf2}\\x{1bf3}"    \
    "\\x{a806}\\x{a8c4}\\x{a953}\\x{a9c0}\\x{aaf6}\\x{abed}"
#define DISALLOWED                                                                                           \
    "\\x{640}\\x{7fa}\\x{302e}\\x{302f}\\x{3031}-\\x{3035}\\x{303b}\\x{1100}-\\x{11ff}\\x{a960}-\\x{a97c}"   \
    "\\x{d7b0}-\\x{d7fb}\\x{ff00}-\\x{ffef}\\x{fb00}-\\x{fb06}\\x{2100}-\\x{214f}\\x{1d400}-\\x{1d7ff}"

static const char pattern[] =
    "^(?!-)(?!..--)(?!\\p{M})"
    "(?!.*[\\x{660}-\\x{669}].*[\\x{6f0}-\\x{6f9}])(?!.*[\\x{6f0}-\\x{6f9}].*[\\x{660}-\\x{669}])" /* A.8, A.9
                                                                                                    */
    "(?:(?!.*\\x{30fb})|(?=.*[\\p{sc:Hiragana}\\p{sc:Katakana}\\p{sc:Han}]))"                      /* A.7 */
    "(?:(?![" DISALLOWED
    "])[-\\p{Ll}\\p{Lo}\\p{Lm}\\p{Mn}\\p{Mc}\\p{Nd}\\x{6fd}\\x{6fe}\\x{f0b}\\x{3007}\\x{30fb}]"
    "|(?<=l)\\x{b7}(?=l)"                     /* A.3 */
    "|\\x{375}(?=\\p{Greek})"                 /* A.4 */
    "|(?<=\\p{Hebrew})[\\x{5f3}\\x{5f4}]"     /* A.5, A.6 */
    "|(?<=[" VIRAMAS "])[\\x{200c}\\x{200d}]" /* A.1, A.2 */
    "|(?<=\\p{Arabic})\\x{200c}(?=\\p{Arabic})"
    ")+(?<!-)$";

static pcre2_code *label_code;
static pthread_once_t label_once = PTHREAD_ONCE_INIT;

/* Not by JIT: a sandbox may not allow new code any more. */
static void compile_label(void)
{
    int error;
    PCRE2_SIZE at;
    label_code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY,
                               &error, &at, NULL);
}

/* ---- punycode */

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, FIRST_BIAS = 72, FIRST_POINT = 0x80 };

struct points {
    uint32_t at[POINTS_LIMIT];
    size_t count;
};

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

static bool insert(struct points *points, size_t place, uint32_t point)
{
    if (points->count == POINTS_LIMIT || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return false;
    memmove(points->at + place + 1, points->at + place, (points->count - place) * sizeof *points->at);
    points->at[place] = point;
    points->count++;
    return true;
}

static bool decode(struct text text, struct points *points)
{
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

/* How many characters the punycode of these points takes, or SIZE_MAX. */
static size_t encoded_length(const struct points *points)
{
    uint32_t point = FIRST_POINT, bias = FIRST_BIAS, delta = 0;
    size_t done = 0, length = 0;
    for (size_t i = 0; i < points->count; i++)
        done += points->at[i] < FIRST_POINT;
    length = done + (done > 0);
    for (size_t basic = done; done < points->count; delta++, point++) {
        uint32_t next = UINT32_MAX, step;
        for (size_t i = 0; i < points->count; i++)
            if (points->at[i] >= point && points->at[i] < next)
                next = points->at[i];
        if (__builtin_mul_overflow(next - point, (uint32_t)done + 1, &step) ||
            __builtin_add_overflow(delta, step, &delta))
            return SIZE_MAX;
        point = next;
        for (size_t i = 0; i < points->count; i++) {
            delta += points->at[i] < point;
            if (points->at[i] != point)
                continue;
            uint32_t rest = delta;
            for (uint32_t k = BASE;; k += BASE) {
                uint32_t t = threshold(k, bias);
                length++;
                if (rest < t)
                    break;
                rest = (rest - t) / (BASE - t);
            }
            bias = adapt(delta, (uint32_t)done + 1, done == basic);
            delta = 0;
            done++;
        }
    }
    return length;
}

/* ---- labels */

static bool read_points(struct text text, struct points *points)
{
    while (text.length > 0) {
        size_t length = text_utf8_sequence(text);
        if (length == 0 || points->count == POINTS_LIMIT)
            return false;
        uint32_t point = (unsigned char)text.at[0];
        if (length > 1)
            point &= 0xffu >> (length + 1);
        for (size_t i = 1; i < length; i++)
            point = point << 6 | ((unsigned char)text.at[i] & 0x3f);
        points->at[points->count++] = point;
        text = text_from(text, length);
    }
    return true;
}

static size_t write_points(const struct points *points, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < points->count; i++) {
        uint32_t point = points->at[i];
        int more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
        static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
        to[length++] = (char)(lead[more] | point >> 6 * more);
        while (more-- > 0)
            to[length++] = (char)(0x80 | (point >> 6 * more & 0x3f));
    }
    return length;
}

/* A label in Unicode that is not all ASCII. */
static bool is_u_label(struct text text)
{
    struct points points = {.count = 0};
    pthread_once(&label_once, compile_label);
    if (!label_code || !read_points(text, &points) || encoded_length(&points) > LABEL_LIMIT - 4)
        return false;
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int result = data ? pcre2_match(label_code, (PCRE2_SPTR)text.at, text.length, 0, 0, data, NULL) : -1;
    pcre2_match_data_free(data);
    return result >= 0;
}

static bool is_a_label(struct text text)
{
    struct points points = {.count = 0};
    char unicode[4 * POINTS_LIMIT] = "";
    bool ascii = true;
    if (!decode(text_from(text, 4), &points))
        return false;
    for (size_t i = 0; i < points.count; i++)
        ascii &= points.at[i] < 0x80;
    size_t length = write_points(&points, unicode);
    return !ascii && is_u_label((struct text){unicode, length});
}

static bool is_ascii_label(struct text text)
{
    if (text.length > LABEL_LIMIT || text.at[0] == '-' || text.at[text.length - 1] == '-')
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char c = text.at[i];
        if (c != '-' && !(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
            return false;
    }
    /* RFC 5891, 4.2.3.1: other prefixes of this form are kept back */
    return text.length < 4 || text.at[2] != '-' || text.at[3] != '-' ||
           ((text.at[0] | 0x20) == 'x' && (text.at[1] | 0x20) == 'n' && is_a_label(text));
}

bool schema_format_is_label(struct text text)
{
    if (text.length == 0)
        return false;
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return is_u_label(text);
    return is_ascii_label(text);
}
