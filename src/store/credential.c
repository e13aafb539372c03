/*
 * One credential: judging the key that was presented, and what may be kept.
 */
#include "config.h"

#include "store/credential.h"

int64_t credential_end(const struct credential *credential)
{
    int64_t expires = credential->expires, retires = credential->retires;
    return expires == 0 ? retires : retires == 0 || expires < retires ? expires : retires;
}

enum key_answer credential_judge(const struct api_key *presented, const struct credential *found, int64_t now)
{
    static const struct api_key_digest of_none; /* a digest of zeroes is that of no text anybody knows */
    struct api_key_digest digest = api_key_digest(presented);
    bool equal = api_key_digests_equal(&digest, found ? &found->digest : &of_none);
    if (!equal || !found)
        return KEY_UNKNOWN;
    if (found->prefix.length > 0 && !text_equal(found->prefix, presented->prefix))
        return KEY_UNKNOWN; /* one key has one spelling, which scanners find */
    if (found->revoked != 0)
        return KEY_REVOKED;
    int64_t end = credential_end(found);
    return end != 0 && end <= now ? KEY_EXPIRED : KEY_GOOD;
}

static bool is_line(struct text text)
{
    return text.length <= CREDENTIAL_TEXT_LIMIT && text_is_line(text);
}

bool credential_word_is_valid(struct text word)
{
    for (size_t i = 0; i < word.length; i++)
        if (word.at[i] <= ' ' || word.at[i] >= 0x7f || strchr("\"\\,", word.at[i]))
            return false;
    return word.length > 0 && word.length <= CREDENTIAL_TEXT_LIMIT;
}

static bool are_words(const struct texts *words, const char *name, struct error *error)
{
    if (words->count > CREDENTIAL_WORDS_LIMIT)
        return error_set(error, "%zu %s are too many, at most %d may be given", words->count, name,
                         (int)CREDENTIAL_WORDS_LIMIT);
    for (size_t i = 0; i < words->count; i++)
        if (!credential_word_is_valid(words->items[i]))
            return error_set(error,
                             "one of the %s does not fit, expected 1 to %d printable ASCII characters "
                             "without blanks, commas, quotes and backslashes",
                             name, (int)CREDENTIAL_TEXT_LIMIT);
    return true;
}

bool credential_is_valid(const struct credential *credential, struct error *error)
{
    if (credential->owner.length == 0 || !is_line(credential->owner))
        return error_set(error, "the owner does not fit, expected 1 to %d bytes of UTF-8 on one line",
                         (int)CREDENTIAL_TEXT_LIMIT);
    if (!is_line(credential->note))
        return error_set(error, "the note does not fit, expected at most %d bytes of UTF-8 on one line",
                         (int)CREDENTIAL_TEXT_LIMIT);
    return are_words(&credential->roles, "roles", error) && are_words(&credential->scopes, "scopes", error);
}
