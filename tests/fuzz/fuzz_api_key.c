/*
 * Fuzz target: an API key as a client may send it. What is taken for a key has
 * one spelling and parts that lie in it; the text of a digest comes back as it was.
 */
#include "config.h"

#include <stdlib.h>

#include "identity/api_key.h"

#define MUST(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_key(struct text text)
{
    struct api_key key;
    if (api_key_parse(text, &key) != API_KEY_GOOD)
        return;
    MUST(text.length <= API_KEY_LIMIT);
    MUST(key.prefix.at == text.at && api_key_prefix_is_valid(key.prefix));
    MUST(key.id.at == key.prefix.at + key.prefix.length + 1 && api_key_id_is_valid(key.id));
    MUST(key.secret.at == key.id.at + API_KEY_ID_LENGTH + 1 && key.secret.length == API_KEY_SECRET_LENGTH);
    MUST(key.secret.at + key.secret.length + API_KEY_CHECKSUM_LENGTH == text.at + text.length);
    struct api_key_digest one = api_key_digest(&key), other = api_key_digest(&key);
    MUST(api_key_digests_equal(&one, &other));
}

/* One changed byte never leaves a good key. */
static void check_typo(struct text text)
{
    struct api_key key;
    char changed[API_KEY_LIMIT];
    if (api_key_parse(text, &key) != API_KEY_GOOD)
        return;
    for (size_t i = 0; i < text.length; i++) {
        memcpy(changed, text.at, text.length);
        changed[i] = (char)(changed[i] == '7' ? '8' : '7');
        MUST(api_key_parse((struct text){changed, text.length}, &key) != API_KEY_GOOD);
    }
}

static void check_digest(struct text text)
{
    struct api_key_digest digest;
    char again[API_KEY_DIGEST_TEXT_SIZE];
    if (api_key_digest_parse(text, &digest))
        MUST(text_equal(text_of(api_key_digest_format(&digest, again)), text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {(const char *)data, size};
    check_key(text);
    check_typo(text);
    check_digest(text);
    return 0;
}
