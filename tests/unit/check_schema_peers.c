/*
 * Schemas and instances made by chance, and the verdicts of another validator:
 * tests/data/schema/ajv.json has what npm's ajv says of them, or "-" where it
 * differs for a reason. How the file is made is said in tests/peers/schema.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "data/schema.h"

#define VERDICTS TEST_FOLDER "/data/schema/ajv.json"

enum { LEAST_OF_EACH = 900, DIFFERENT_MOST = 30, FILE_MOST = 1 << 20 };

static json_t *read_pairs(void)
{
    static char text[FILE_MOST];
    json_error_t problem;
    FILE *file = fopen(VERDICTS, "r");
    ck_assert_ptr_nonnull(file);
    size_t length = fread(text, 1, sizeof text, file);
    ck_assert_uint_lt(length, sizeof text);
    fclose(file);
    json_t *value = schema_json((struct text){text, length}, &problem);
    ck_assert_msg(value, "%s:%d: %s", VERDICTS, problem.line, problem.text);
    return value;
}

static void judge(const json_t *pair, size_t counts[256])
{
    struct schema_fault fault;
    json_t *instances = json_object_get(pair, "instances"), *instance;
    const char *verdicts = json_string_value(json_object_get(pair, "verdicts"));
    struct schema *schema = schema_compile(json_object_get(pair, "schema"), NULL, &fault);
    size_t index;
    ck_assert_msg(schema, "%s", fault.error.message);
    ck_assert_uint_eq(json_array_size(instances), strlen(verdicts));
    json_array_foreach(instances, index, instance)
    {
        counts[(unsigned char)verdicts[index]]++;
        if (verdicts[index] == '-' || schema_validate(schema, instance, NULL) == (verdicts[index] == '1'))
            continue;
        char *text = json_dumps(pair, JSON_COMPACT);
        ck_abort_msg("ajv says %c of instance %zu: %s", verdicts[index], index, text);
    }
    schema_free(schema);
}

START_TEST(test_ajv)
{
    json_t *file = read_pairs(), *pair;
    size_t counts[256] = {0}, index;
    json_array_foreach(json_object_get(file, "pairs"), index, pair) judge(pair, counts);
    ck_assert_uint_gt(counts['1'], LEAST_OF_EACH);
    ck_assert_uint_gt(counts['0'], LEAST_OF_EACH);
    ck_assert_uint_lt(counts['-'], DIFFERENT_MOST);
    ck_assert_uint_eq(counts['0'] + counts['1'] + counts['-'],
                      json_array_size(json_object_get(file, "pairs")) * 8);
    json_decref(file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schema_peers");
    TCase *tcase = tcase_create("pairs");
    tcase_add_test(tcase, test_ajv);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
