/*
 * Tests of src/identity/api_key.c: what is a key and what is not, byte by byte,
 * and the digest of a secret. The keys here were made by another program
 * (Python's zlib.crc32 and hashlib).
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "identity/api_key.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define KEY          "fcg_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn"
#define KEY_DIGEST   "sha256:22c58995ed0380bf770041f0371013b92b5bb0f0c207eeaea788d5dec5d88dc8"

START_TEST(a_key_has_three_parts)
{
    struct api_key key;
    ck_assert_int_eq(api_key_parse(TEXT(KEY), &key), API_KEY_GOOD);
    ck_assert(text_equal(key.prefix, TEXT("fcg")));
    ck_assert(text_equal(key.id, TEXT("000g40r40m30e209")));
    ck_assert(text_equal(key.secret, TEXT("000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg")));
}
END_TEST

static const struct {
    const char *text;
    enum api_key_form form;
} forms[] = {
    {"a_zzzzzzzzzzzzzzzz_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzg0nst7jm", API_KEY_GOOD},
    {"", API_KEY_MALFORMED},
    {"_", API_KEY_MALFORMED},
    {"fcg", API_KEY_MALFORMED},
    {"fcg_000g40r40m30e209", API_KEY_MALFORMED},
    {"fcg_000g40r40m30e209_", API_KEY_MALFORMED},
    {KEY "\n", API_KEY_MALFORMED},
    {" " KEY, API_KEY_MALFORMED},
    {KEY "0", API_KEY_MALFORMED},
    {KEY "," KEY, API_KEY_MALFORMED},
    {"Bearer " KEY, API_KEY_MALFORMED},
    {"FCG_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MALFORMED},
    {"3cg_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MALFORMED},
    {"_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MALFORMED},
    /* capitals, and the characters that look like others */
    {"fcg_000G40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MALFORMED},
    {"fcg_o00g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MALFORMED},
    {"fcg_000g40r40m30e209_00lg40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MALFORMED},
    {"fcg_000g40r40m30e209_00ig40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MALFORMED},
    {"fcg_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpun", API_KEY_MALFORMED},
    /* two neighbours changed places; one character is another one; the prefix is another one */
    {"fcg_000g40r40m30e209_00g040r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MISTYPED},
    {"fcg_000g40r40m30e208_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MISTYPED},
    {"fcg_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxm", API_KEY_MISTYPED},
    {"fch_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rfg1bvvpxn", API_KEY_MISTYPED},
    /* the checksum is right, but the surplus bits of the secret are not 0 */
    {"fcg_000g40r40m30e209_000g40r40m30e209185gr38e1w8124gk2gahc5rr34d1p70x3rf13avabvm", API_KEY_MALFORMED},
};

START_TEST(what_is_no_key_is_told_from_a_typo)
{
    struct api_key key;
    ck_assert_msg(api_key_parse(text_of(forms[_i].text), &key) == forms[_i].form, "%s", forms[_i].text);
}
END_TEST

START_TEST(bytes_that_are_no_text_are_no_key)
{
    struct api_key key;
    char bytes[sizeof KEY - 1];
    for (size_t at = 0; at < sizeof bytes; at++) {
        static const char bad[] = {'\0', '\x80', '\xff', '\r', '_', '-', '\x7f'};
        for (size_t i = 0; i < COUNT(bad); i++) {
            memcpy(bytes, KEY, sizeof bytes);
            if (bytes[at] == bad[i])
                continue;
            bytes[at] = bad[i];
            ck_assert_int_eq(api_key_parse((struct text){bytes, sizeof bytes}, &key), API_KEY_MALFORMED);
        }
    }
    static char huge[1 << 20];
    memset(huge, 'a', sizeof huge);
    ck_assert_int_eq(api_key_parse((struct text){huge, sizeof huge}, &key), API_KEY_MALFORMED);
    ck_assert_int_eq(api_key_parse((struct text){NULL, 0}, &key), API_KEY_MALFORMED);
}
END_TEST

/* A CRC-32 finds every error of one character, and of two neighbours. */
START_TEST(every_typo_is_found)
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    struct api_key key;
    char bytes[sizeof KEY - 1];
    for (size_t at = 4; at < sizeof bytes; at++)
        for (size_t i = 0; i < sizeof alphabet - 1; i++) {
            memcpy(bytes, KEY, sizeof bytes);
            bytes[at] = alphabet[i];
            if (KEY[at] != '_' && KEY[at] != alphabet[i])
                ck_assert_int_eq(api_key_parse((struct text){bytes, sizeof bytes}, &key), API_KEY_MISTYPED);
        }
    for (size_t at = 21; at + 1 < sizeof bytes; at++) {
        memcpy(bytes, KEY, sizeof bytes);
        bytes[at] = KEY[at + 1];
        bytes[at + 1] = KEY[at];
        if (KEY[at] != KEY[at + 1])
            ck_assert_int_eq(api_key_parse((struct text){bytes, sizeof bytes}, &key), API_KEY_MISTYPED);
    }
}
END_TEST

START_TEST(what_is_made_can_be_read)
{
    enum { KEYS = 500 };
    static char made[KEYS][API_KEY_SIZE];
    struct error error = {0};
    for (size_t i = 0; i < KEYS; i++) {
        struct api_key key, again;
        ck_assert(api_key_generate(TEXT("shop2"), made[i], &key, &error));
        ck_assert_int_eq(api_key_parse(text_of(made[i]), &again), API_KEY_GOOD);
        ck_assert(text_equal(again.secret, key.secret) && text_equal(again.id, key.id));
        ck_assert(text_equal(key.prefix, TEXT("shop2")));
        ck_assert(!text_equal(key.id, (struct text){key.secret.at, API_KEY_ID_LENGTH}));
        for (size_t other = 0; other < i; other++)
            ck_assert_str_ne(made[i], made[other]);
    }
    struct api_key key;
    ck_assert(api_key_generate(TEXT("abcdefghijklmnop"), made[0], &key, &error));
    ck_assert_uint_eq(strlen(made[0]), API_KEY_LIMIT);
}
END_TEST

START_TEST(prefixes_are_words)
{
    static const char *const good[] = {"a", "fcg", "shop2", "abcdefghijklmnop"};
    static const char *const bad[] = {"",           "2shop", "Shop", "shop_a", "shop-a", "abcdefghijklmnopq",
                                      "sh\xc3\xb6p"};
    for (size_t i = 0; i < COUNT(good); i++)
        ck_assert_msg(api_key_prefix_is_valid(text_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!api_key_prefix_is_valid(text_of(bad[i])), "%s", bad[i]);
}
END_TEST

START_TEST(digests_are_those_of_others)
{
    struct api_key key;
    char text[API_KEY_DIGEST_TEXT_SIZE];
    ck_assert_int_eq(api_key_parse(TEXT(KEY), &key), API_KEY_GOOD);
    struct api_key_digest digest = api_key_digest(&key), other;
    ck_assert_str_eq(api_key_digest_format(&digest, text), KEY_DIGEST);
    ck_assert(api_key_digest_parse(TEXT(KEY_DIGEST), &other));
    ck_assert(api_key_digests_equal(&digest, &other));
    for (size_t i = 0; i < sizeof other.bytes; i++) {
        other.bytes[i] ^= 1;
        ck_assert(!api_key_digests_equal(&digest, &other));
        other.bytes[i] ^= 1;
    }
}
END_TEST

START_TEST(other_texts_are_no_digest)
{
    static const char *const bad[] = {
        "",
        "sha256:",
        "sha256:22c58995ed0380bf770041f0371013b92b5bb0f0c207eeaea788d5dec5d88dc",
        KEY_DIGEST "0",
        KEY_DIGEST "\n",
        "SHA256:22c58995ed0380bf770041f0371013b92b5bb0f0c207eeaea788d5dec5d88dc8",
        "sha256:22C58995ed0380bf770041f0371013b92b5bb0f0c207eeaea788d5dec5d88dc8",
        "sha256:g2c58995ed0380bf770041f0371013b92b5bb0f0c207eeaea788d5dec5d88dc8",
        "sha512:22c58995ed0380bf770041f0371013b92b5bb0f0c207eeaea788d5dec5d88dc8",
        KEY,
    };
    struct api_key_digest digest;
    for (size_t i = 0; i < COUNT(bad); i++)
        ck_assert_msg(!api_key_digest_parse(text_of(bad[i]), &digest), "%s", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_key");
    TCase *tests = tcase_create("api_key");
    tcase_add_test(tests, a_key_has_three_parts);
    tcase_add_loop_test(tests, what_is_no_key_is_told_from_a_typo, 0, (int)COUNT(forms));
    tcase_add_test(tests, bytes_that_are_no_text_are_no_key);
    tcase_add_test(tests, every_typo_is_found);
    tcase_add_test(tests, what_is_made_can_be_read);
    tcase_add_test(tests, prefixes_are_words);
    tcase_add_test(tests, digests_are_those_of_others);
    tcase_add_test(tests, other_texts_are_no_digest);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
