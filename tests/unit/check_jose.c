/*
 * Tokens of another implementation: tests/data/jwt/jose.json has what npm's jose
 * has signed, and what was made wrong from it, each with the check that must find
 * it. How the file is made is said in make_jose.mjs beside it.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "identity/jwt_cache.h"
#include "identity/jwt_verify.h"

#define VECTORS TEST_FOLDER "/data/jwt/jose.json"

enum { VECTORS_LEAST = 600 };

static struct arena *arena;
static json_t *file;

static void set_up(void)
{
    json_error_t error;
    arena = arena_new();
    file = json_load_file(VECTORS, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(file != NULL, "%s: %s", VECTORS, error.text);
}

static void tear_down(void)
{
    json_decref(file);
    arena_free(arena);
}

static const char *string_of(const json_t *object, const char *name)
{
    const char *string = json_string_value(json_object_get(object, name));
    ck_assert_msg(string != NULL, "a vector has no \"%s\"", name);
    return string;
}

static int64_t now(void)
{
    int64_t seconds = json_integer_value(json_object_get(file, "now"));
    ck_assert_int_gt(seconds, 0);
    return seconds * 1000;
}

/* The keys of a set, all of which must be usable. */
static struct jwt_keys *keys_of(const char *name)
{
    struct error error = {0};
    size_t index;
    const json_t *set = json_object_get(json_object_get(file, "sets"), name), *algorithm;
    jose_set algorithms = 0;
    json_array_foreach(json_object_get(set, "algorithms"), index, algorithm)
    {
        const struct jose_algorithm *known = jose_find(text_of(json_string_value(algorithm)));
        ck_assert_msg(known != NULL, "%s", json_string_value(algorithm));
        algorithms |= jose_bit(known);
    }
    char *jwks = json_dumps(json_object_get(set, "jwks"), 0);
    ck_assert_ptr_nonnull(jwks);
    struct jwt_keys *keys = jwt_keys_new(algorithms);
    ck_assert_msg(jwt_keys_add_jwks(keys, text_of(jwks), &error), "%s: %s", name, error.message);
    free(jwks);
    const char *reason;
    ck_assert_msg(jwt_keys_skipped(keys, &reason) == 0, "%s: %s", name, reason);
    return keys;
}

static void judge(const struct jwt_verifier *verifier, const struct jwt_keys *keys, const json_t *vector)
{
    struct jwt *jwt;
    const char *expected = string_of(vector, "expect"), *name = string_of(vector, "name");
    struct text token = text_of(string_of(vector, "token"));
    enum jwt_fault fault = jwt_verifier_check(verifier, keys, token, now(), arena, &jwt);
    ck_assert_msg(strcmp(jwt_fault_word(fault), expected) == 0, "%s, %s, %s: %s, expected %s",
                  string_of(vector, "set"), string_of(vector, "algorithm"), name, jwt_fault_word(fault),
                  expected);
    ck_assert((jwt != NULL) == (fault == JWT_GOOD));
    if (jwt) {
        ck_assert_str_eq(jwt->algorithm->name, string_of(vector, "algorithm"));
        ck_assert(text_equal(jwt->facts.subject, TEXT("user-7")));
    }
    jwt_release(jwt);
    arena_reset(arena);
}

static void judge_set(const char *name, struct jwt_cache *cache)
{
    size_t index;
    const json_t *vector;
    struct text issuer = text_of(string_of(file, "issuer")), audience = text_of(string_of(file, "audience"));
    struct jwt_rules rules = {.issuers = {&issuer, 1}, .audiences = {&audience, 1}};
    struct jwt_verifier verifier = {&rules, cache};
    struct jwt_keys *keys = keys_of(name);
    json_array_foreach(json_object_get(file, "vectors"), index, vector)
    {
        if (strcmp(string_of(vector, "set"), name) == 0)
            judge(&verifier, keys, vector);
    }
    jwt_keys_release(keys);
}

static const char *const sets[] = {"secret", "public", "both"};

START_TEST(tokens_of_jose_are_judged)
{
    judge_set(sets[_i], NULL);
}
END_TEST

/* Twice: the second time, those that are good are remembered. */
START_TEST(tokens_of_jose_are_judged_with_a_cache)
{
    struct jwt_cache *cache = jwt_cache_new(JWT_CACHE_ENTRIES);
    judge_set(sets[_i], cache);
    judge_set(sets[_i], cache);
    jwt_cache_free(cache);
}
END_TEST

/* A file that has lost half of itself would be good, too. */
START_TEST(every_algorithm_is_there)
{
    bool good[JOSE_ALGORITHMS] = {false}, bad[JOSE_ALGORITHMS] = {false};
    size_t index;
    const json_t *vector, *all = json_object_get(file, "vectors");
    ck_assert_uint_ge(json_array_size(all), VECTORS_LEAST);
    json_array_foreach(all, index, vector)
    {
        const struct jose_algorithm *algorithm = jose_find(text_of(string_of(vector, "algorithm")));
        ck_assert_ptr_nonnull(algorithm);
        bool is_good = strcmp(string_of(vector, "expect"), "good") == 0;
        (is_good ? good : bad)[jose_index(algorithm)] = true;
        const json_t *set = json_object_get(json_object_get(file, "sets"), string_of(vector, "set"));
        ck_assert_msg(set != NULL, "%s", string_of(vector, "set"));
    }
    for (size_t i = 0; i < JOSE_ALGORITHMS; i++)
        ck_assert_msg(good[i] && bad[i], "%s", jose_algorithms[i].name);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("jose");
    TCase *cases = tcase_create("vectors");
    int count = (int)(sizeof sets / sizeof *sets);
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_loop_test(cases, tokens_of_jose_are_judged, 0, count);
    tcase_add_loop_test(cases, tokens_of_jose_are_judged_with_a_cache, 0, count);
    tcase_add_test(cases, every_algorithm_is_there);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
