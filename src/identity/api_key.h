/*
 * API keys: PREFIX_ID_SECRET, from bytes to parts and from random numbers to
 * bytes. Who a key belongs to, and whether it is still good, is not known here.
 *
 *   PREFIX  a lower-case letter, then up to 15 of a-z and 0-9: says whose keys these are
 *   ID      16 characters, 80 random bits: names the key, no secret
 *   SECRET  52 characters, 256 random bits, then 7 characters of checksum
 *
 * ID and SECRET are in Crockford's base32 in lower case (no i, l, o, u), the
 * surplus bits of SECRET's last character are 0, so that a key has one
 * spelling. The checksum is the CRC-32 (ISO 3309) of all that stands before
 * it, most significant bits first: it tells a typo from a wrong key, and lets
 * scanners of leaked secrets tell a key from what only looks like one.
 */
#ifndef IDENTITY_API_KEY_H
#define IDENTITY_API_KEY_H

#include "base/error.h"
#include "base/text.h"

enum {
    API_KEY_PREFIX_LIMIT = 16,
    API_KEY_ID_LENGTH = 16,
    API_KEY_SECRET_LENGTH = 52,
    API_KEY_CHECKSUM_LENGTH = 7,
    API_KEY_LIMIT =
        API_KEY_PREFIX_LIMIT + API_KEY_ID_LENGTH + API_KEY_SECRET_LENGTH + API_KEY_CHECKSUM_LENGTH + 2,
    API_KEY_SIZE = API_KEY_LIMIT + 1, /* with its NUL */
    API_KEY_DIGEST_SIZE = 32,
    API_KEY_DIGEST_TEXT_SIZE = 72, /* "sha256:", 64 hexadecimal digits, NUL */
};

/* The parts of a key; they point into the bytes it was parsed from. */
struct api_key {
    struct text prefix, id, secret; /* the secret without its checksum */
};

/* What is kept of a secret: its SHA-256. 256 random bits need no salt and no slow hash. */
struct api_key_digest {
    unsigned char bytes[API_KEY_DIGEST_SIZE];
};

enum api_key_form {
    API_KEY_GOOD,      /* a key of this form; whether anybody has issued it is another question */
    API_KEY_MALFORMED, /* no key at all */
    API_KEY_MISTYPED,  /* the form of a key, but the checksum is that of another one */
};

/* Takes a key apart; `key` is filled only when the form is good. */
enum api_key_form api_key_parse(struct text, struct api_key *key);

bool api_key_prefix_is_valid(struct text);
bool api_key_id_is_valid(struct text);

/* Makes a new key, NUL-terminated, and parses it into `key`, which points into
 * `to`. Wipe `to` when it was shown. False with an error when the system has
 * no random numbers. `prefix` must be valid. */
bool api_key_generate(struct text prefix, char to[API_KEY_SIZE], struct api_key *key, struct error *);

/* The digest of a key's secret: the SHA-256 of its 52 characters. */
struct api_key_digest api_key_digest(const struct api_key *);

/* Whether two digests are the same, in a time that does not tell where they differ. */
bool api_key_digests_equal(const struct api_key_digest *, const struct api_key_digest *);

/* "sha256:" and 64 lower-case hexadecimal digits, both ways; parsing takes nothing else. */
char *api_key_digest_format(const struct api_key_digest *, char to[API_KEY_DIGEST_TEXT_SIZE]);
bool api_key_digest_parse(struct text, struct api_key_digest *);

#endif
