/*
 * The form of API keys: base32, checksum, digest. Pure functions but for
 * api_key_generate(), which draws random numbers.
 */
#include "config.h"

#include "identity/api_key.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>

enum { ID_BYTES = 10, SECRET_BYTES = 32, BITS = 5 };

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char hexadecimal[] = "0123456789abcdef";
static const char digest_prefix[] = "sha256:";

/* Writes the bits of `from`, most significant first, zeroes behind the last. */
static char *encode(const unsigned char *from, size_t length, char *to)
{
    unsigned bits = 0, value = 0;
    for (size_t i = 0; i < length; i++) {
        value = (value << 8 | from[i]) & 0xfffff; /* at most 4 bits are left over, and 8 new */
        for (bits += 8; bits >= BITS; bits -= BITS)
            *to++ = alphabet[value >> (bits - BITS) & 31];
    }
    if (bits > 0)
        *to++ = alphabet[value << (BITS - bits) & 31];
    OPENSSL_cleanse(&value, sizeof value);
    return to;
}

static bool is_in(struct text text, const char *characters)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.at[i] == '\0' || !strchr(characters, text.at[i]))
            return false;
    return true;
}

/* CRC-32 of ISO 3309, as zlib's crc32(). A key has some 80 bytes: no table. */
static uint32_t crc32_of(struct text text)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < text.length; i++) {
        crc ^= (unsigned char)text.at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

static void write_checksum(struct text text, char to[API_KEY_CHECKSUM_LENGTH])
{
    uint32_t crc = crc32_of(text);
    for (size_t i = API_KEY_CHECKSUM_LENGTH; i-- > 0; crc >>= BITS)
        to[i] = alphabet[crc & 31];
}

bool api_key_prefix_is_valid(struct text prefix)
{
    return prefix.length > 0 && prefix.length <= API_KEY_PREFIX_LIMIT && prefix.at[0] >= 'a' &&
           prefix.at[0] <= 'z' && is_in(prefix, "abcdefghijklmnopqrstuvwxyz0123456789");
}

bool api_key_id_is_valid(struct text id)
{
    return id.length == API_KEY_ID_LENGTH && is_in(id, alphabet);
}

/* The last character holds the last bit of 256 and four surplus ones. */
static bool is_canonical(struct text secret)
{
    char last = secret.at[secret.length - 1];
    return last == alphabet[0] || last == alphabet[16];
}

enum api_key_form api_key_parse(struct text text, struct api_key *key)
{
    const size_t tail = API_KEY_SECRET_LENGTH + API_KEY_CHECKSUM_LENGTH;
    char checksum[API_KEY_CHECKSUM_LENGTH];
    if (text.length > API_KEY_LIMIT)
        return API_KEY_MALFORMED;
    size_t first = text_find(text, '_');
    struct text prefix = {text.at, first}, rest = text_from(text, first + 1);
    size_t second = text_find(rest, '_');
    struct text id = {rest.at, second}, last = text_from(rest, second + 1);
    if (!api_key_prefix_is_valid(prefix) || !api_key_id_is_valid(id) || last.length != tail ||
        !is_in(last, alphabet))
        return API_KEY_MALFORMED;
    struct text secret = {last.at, API_KEY_SECRET_LENGTH};
    write_checksum((struct text){text.at, text.length - API_KEY_CHECKSUM_LENGTH}, checksum);
    if (memcmp(checksum, last.at + API_KEY_SECRET_LENGTH, sizeof checksum) != 0)
        return API_KEY_MISTYPED;
    if (!is_canonical(secret))
        return API_KEY_MALFORMED;
    *key = (struct api_key){prefix, id, secret};
    return API_KEY_GOOD;
}

bool api_key_generate(struct text prefix, char to[API_KEY_SIZE], struct api_key *key, struct error *error)
{
    unsigned char id[ID_BYTES], secret[SECRET_BYTES];
    assert(api_key_prefix_is_valid(prefix));
    if (RAND_bytes(id, sizeof id) != 1 || RAND_priv_bytes(secret, sizeof secret) != 1) {
        OPENSSL_cleanse(secret, sizeof secret);
        return error_set(error, "the system has no random numbers for a key");
    }
    memcpy(to, prefix.at, prefix.length);
    char *end = to + prefix.length;
    *end++ = '_';
    end = encode(id, sizeof id, end);
    *end++ = '_';
    end = encode(secret, sizeof secret, end);
    OPENSSL_cleanse(secret, sizeof secret);
    write_checksum((struct text){to, (size_t)(end - to)}, end);
    end += API_KEY_CHECKSUM_LENGTH;
    *end = '\0';
    enum api_key_form form = api_key_parse((struct text){to, (size_t)(end - to)}, key);
    assert(form == API_KEY_GOOD);
    return form == API_KEY_GOOD;
}

struct api_key_digest api_key_digest(const struct api_key *key)
{
    struct api_key_digest digest;
    if (!SHA256((const unsigned char *)key->secret.at, key->secret.length, digest.bytes))
        abort(); /* OpenSSL is configured without SHA-256: nothing here can be done, or told apart */
    return digest;
}

bool api_key_digests_equal(const struct api_key_digest *one, const struct api_key_digest *other)
{
    return CRYPTO_memcmp(one->bytes, other->bytes, sizeof one->bytes) == 0;
}

char *api_key_digest_format(const struct api_key_digest *digest, char to[API_KEY_DIGEST_TEXT_SIZE])
{
    char *end = to + sizeof digest_prefix - 1;
    memcpy(to, digest_prefix, sizeof digest_prefix - 1);
    for (size_t i = 0; i < sizeof digest->bytes; i++) {
        *end++ = hexadecimal[digest->bytes[i] >> 4];
        *end++ = hexadecimal[digest->bytes[i] & 15];
    }
    *end = '\0';
    return to;
}

bool api_key_digest_parse(struct text text, struct api_key_digest *digest)
{
    const struct text prefix = {digest_prefix, sizeof digest_prefix - 1};
    struct text digits = text_from(text, prefix.length);
    if (!text_starts_with(text, prefix) || digits.length != 2 * sizeof digest->bytes ||
        !is_in(digits, hexadecimal))
        return false;
    for (size_t i = 0; i < digits.length; i++) {
        unsigned char digit = (unsigned char)(strchr(hexadecimal, digits.at[i]) - hexadecimal);
        unsigned char *byte = &digest->bytes[i / 2];
        *byte = (unsigned char)(i % 2 ? *byte << 4 | digit : digit);
    }
    return true;
}
