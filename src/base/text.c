/*
 * Text: comparing, cutting and checking runs of bytes.
 */
#include "config.h"

#include "base/text.h"

#include "base/arena.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool texts_have(const struct texts *texts, struct text text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (text_equal(texts->items[i], text))
            return true;
    return false;
}

bool text_equal_ignore_case(struct text a, struct text b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

bool texts_have_ignore_case(const struct texts *texts, struct text text)
{
    for (size_t i = 0; i < texts->count; i++)
        if (text_equal_ignore_case(texts->items[i], text))
            return true;
    return false;
}

bool text_ends_with(struct text text, struct text suffix)
{
    return text.length >= suffix.length && text_equal(text_from(text, text.length - suffix.length), suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct text text_trim(struct text text)
{
    while (text.length > 0 && is_blank(text.at[0]))
        text = text_from(text, 1);
    while (text.length > 0 && is_blank(text.at[text.length - 1]))
        text.length--;
    return text;
}

struct text text_cut(struct text text, size_t limit)
{
    if (text.length <= limit)
        return text;
    while (limit > 0 && ((unsigned char)text.at[limit] & 0xc0) == 0x80)
        limit--;
    return (struct text){text.at, limit};
}

bool text_next(struct text *rest, char separator, struct text *piece)
{
    if (rest->length == 0)
        return false;
    size_t length = text_find(*rest, separator);
    *piece = (struct text){rest->at, length};
    *rest = text_from(*rest, length + 1);
    return true;
}

struct text text_lower(struct arena *arena, struct text text)
{
    char *copy = arena_copy(arena, text.at, text.length);
    for (size_t i = 0; i < text.length; i++)
        copy[i] = lower(copy[i]);
    return (struct text){copy, text.length};
}

bool text_number(struct text text, uint64_t limit, uint64_t *number)
{
    uint64_t value = 0;
    if (text.length == 0)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.at[i] - '0'), &value) || value > limit)
            return false;
    }
    *number = value;
    return true;
}

struct text text_digits(uint64_t number, char buffer[TEXT_DIGITS])
{
    size_t from = TEXT_DIGITS;
    do {
        buffer[--from] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return (struct text){buffer + from, TEXT_DIGITS - from};
}

int text_hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return -1;
}

/* One bit for each ASCII character of "!#$%&'*+-.^_`|~", the digits and the letters. */
static bool is_token_character(unsigned char c)
{
    static const uint64_t sets[4] = {UINT64_C(0x03ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)};
    return sets[c / 64] >> c % 64 & 1;
}

bool text_is_token(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_token_character((unsigned char)text.at[i]))
            return false;
    return text.length > 0;
}

size_t text_plain_run(struct text text)
{
    size_t length = 0;
    while (length < text.length && text.at[length] >= 0x20 && text.at[length] < 0x7f &&
           text.at[length] != '"' && text.at[length] != '\\')
        length++;
    return length;
}

/* Eight bytes at a time: the high bit of each is set where it is below 0x20 or
 * 0x7f, and perhaps where it is not ASCII, which the slow way then decides. */
static bool has_suspect(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t deleted = word ^ (ones * 0x7f);
    return (((word - ones * 0x20) | (deleted - ones) | word) & highs) != 0;
}

bool text_is_printable(struct text text)
{
    size_t i = 0;
    while (i + sizeof(uint64_t) <= text.length && !has_suspect(text.at + i))
        i += sizeof(uint64_t);
    for (; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* Unicode 15, table 3-7. */
size_t text_utf8_sequence(struct text text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t left = text.length;
    if (left == 0)
        return 0;
    unsigned char first = at[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xc2 ? 0
                    : first < 0xe0 ? 2
                    : first < 0xf0 ? 3
                    : first < 0xf5 ? 4
                                   : 0;
    unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (length == 0 || length > left || (length > 1 && (at[1] < least || at[1] > most)))
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool text_is_utf8(struct text text)
{
    for (size_t i = 0; i < text.length;) {
        size_t length = text_utf8_sequence(text_from(text, i));
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

bool text_is_control(struct text sequence)
{
    const unsigned char *byte = (const unsigned char *)sequence.at;
    size_t length = sequence.length;
    if (length == 3 && byte[0] == 0xe2 && byte[1] == 0x80) /* U+200E, U+200F, U+2028 to U+202E */
        return byte[2] == 0x8e || byte[2] == 0x8f || (byte[2] >= 0xa8 && byte[2] <= 0xae);
    if (length == 3 && byte[0] == 0xe2 && byte[1] == 0x81) /* U+2066 to U+2069 */
        return byte[2] >= 0xa6 && byte[2] <= 0xa9;
    return length > 0 &&
           (byte[0] < 0x20 || byte[0] == 0x7f || (length == 2 && byte[0] == 0xc2 && byte[1] < 0xa0));
}

bool text_is_line(struct text text)
{
    while (text.length > 0) {
        size_t length = text_utf8_sequence(text);
        if (length == 0 || text_is_control((struct text){text.at, length}))
            return false;
        text = text_from(text, length);
    }
    return true;
}
