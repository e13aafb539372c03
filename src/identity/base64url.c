/*
 * base64url, four letters to three bytes at a time. It is not constant in
 * time, and need not be: what it reads came in over the wire.
 */
#include "config.h"

#include "identity/base64url.h"

static const char alphabet[64] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

enum { NO_LETTER = 0x40 };

/* The value of a letter, or NO_LETTER: the row of RFC 4648, table 2, reversed. */
#define N NO_LETTER
static const uint8_t values[256] = {
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0x00 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0x10 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  62, N,  N,  /* 0x20 */
    52, 53, 54, 55, 56, 57, 58, 59, 60, 61, N,  N,  N,  N,  N,  N,  /* 0x30 */
    N,  0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, /* 0x40 */
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, N,  N,  N,  N,  63, /* 0x50 */
    N,  26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, /* 0x60 */
    41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, N,  N,  N,  N,  N,  /* 0x70 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0x80 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0x90 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0xa0 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0xb0 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0xc0 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0xd0 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0xe0 */
    N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  N,  /* 0xf0 */
};
#undef N

/* Two or three letters at the end; the bits that no byte takes must be zero
 * (RFC 4648, 3.5), or one value would have several spellings. */
static bool decode_rest(const uint8_t *in, size_t count, uint8_t *out, size_t *length)
{
    if (count == 0)
        return true;
    if (count == 1)
        return false;
    uint32_t a = values[in[0]], b = values[in[1]], c = count == 3 ? values[in[2]] : 0;
    if ((a | b | c) & NO_LETTER)
        return false;
    uint32_t bits = a << 18 | b << 12 | c << 6;
    out[(*length)++] = (uint8_t)(bits >> 16);
    if (count == 3)
        out[(*length)++] = (uint8_t)(bits >> 8);
    return (bits & (count == 3 ? 0xff : 0xffff)) == 0;
}

bool base64url_decode(struct arena *arena, struct text encoded, struct text *decoded)
{
    const uint8_t *in = (const uint8_t *)encoded.at;
    uint8_t *out = arena_alloc(arena, encoded.length / 4 * 3 + 3);
    size_t length = 0, at = 0;
    for (; encoded.length - at >= 4; at += 4) {
        uint32_t a = values[in[at]], b = values[in[at + 1]], c = values[in[at + 2]], d = values[in[at + 3]];
        if ((a | b | c | d) & NO_LETTER)
            return false;
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;
        out[length++] = (uint8_t)(bits >> 16);
        out[length++] = (uint8_t)(bits >> 8);
        out[length++] = (uint8_t)bits;
    }
    if (at < encoded.length && !decode_rest(in + at, encoded.length - at, out, &length))
        return false;
    *decoded = (struct text){(const char *)out, length};
    return true;
}

struct text base64url_encode(struct arena *arena, const void *at, size_t length)
{
    const uint8_t *in = at;
    size_t size, written = 0;
    bool overflow = __builtin_add_overflow(length / 3 * 4, 5, &size) || length / 3 > SIZE_MAX / 4;
    char *out = arena_alloc(arena, overflow ? SIZE_MAX : size); /* SIZE_MAX: the arena ends the process */
    for (size_t i = 0; i < length; i += 3) {
        uint32_t bits = (uint32_t)in[i] << 16;
        bits |= i + 1 < length ? (uint32_t)in[i + 1] << 8 : 0;
        bits |= i + 2 < length ? in[i + 2] : 0;
        out[written++] = alphabet[bits >> 18 & 63];
        out[written++] = alphabet[bits >> 12 & 63];
        if (i + 1 < length)
            out[written++] = alphabet[bits >> 6 & 63];
        if (i + 2 < length)
            out[written++] = alphabet[bits & 63];
    }
    return (struct text){out, written};
}
