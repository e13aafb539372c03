/*
 * Tests of inputs: names and values out of forms, cookies and JSON, how they are
 * written again with some of them changed, and which names are one.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "data/inputs.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct form_limits form_limits = {.pairs = 20, .name = 50, .value = 100};
static const struct json_limits json_limits = {
    .depth = 20, .values = 50, .members = 20, .string = 100, .rounded = true};

static struct arena *arena;

static void begin(void)
{
    arena = arena_new();
}

static void end(void)
{
    arena_free(arena);
}

static struct inputs read(enum inputs_kind kind, const char *text)
{
    struct inputs inputs;
    struct defect defect = {0};
    bool good = true;
    if (kind == INPUTS_JSON)
        good = inputs_read_json(text_of(text), &json_limits, arena, &inputs, &defect);
    else if (kind == INPUTS_FORM)
        good = inputs_read_form(text_of(text), &form_limits, arena, &inputs, &defect);
    else
        inputs_read_cookies(text_of(text), arena, &inputs);
    ck_assert_msg(good, "%s: %s", text, defect.word);
    return inputs;
}

/* "name=value" of all, with the number of what holds it in front. */
static const char *list(const struct inputs *inputs)
{
    struct bytes bytes = bytes_new(arena, 10000);
    for (size_t i = 0; i < inputs->count; i++) {
        const struct input *item = &inputs->items[i];
        if (item->parent != INPUT_TOP)
            bytes_printf(&bytes, "%u.%u:", item->parent, item->index);
        bytes_printf(&bytes, "%.*s%s%.*s|", TEXT_ARGUMENTS(item->name), item->is_named ? "=" : "",
                     TEXT_ARGUMENTS(item->is_text ? item->value : TEXT("?")));
    }
    bytes_add(&bytes, "", 1);
    return bytes.at;
}

static const struct {
    enum inputs_kind kind;
    const char *text, *list;
} reads[] = {
    {INPUTS_FORM, "", ""},
    {INPUTS_FORM, "a=1&&b&=x&%61+=%26", "a=1|b=|=x|a =&|"},
    {INPUTS_COOKIES, "", ""},
    {INPUTS_COOKIES, "a=1; b = \"x, $c=2\";;d;%24e=%3C;f=a=b", "a=1|b=\"x|$c=2\"|d|$e=<|f=a=b|"},
    {INPUTS_COOKIES, "a=%zz%4;=x", "a=%zz%4|=x|"},
    {INPUTS_JSON, "1", "?|"},
    {INPUTS_JSON, " \"a\\u0024\\ud83d\\ude00\\u00e9\\u20ac\\/\\n\" ",
     "a$\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac/\n|"},
    {INPUTS_JSON, "[]", "?|"},
    {INPUTS_JSON, " [ ] ", "?|"},
    {INPUTS_JSON, "[1 , [ ], {}, {\"a\" : \"x\" ,\"b\":[null,-1.5e3]}, true]",
     "?|0.0:?|0.1:?|0.2:?|0.3:?|4.0:a=x|4.1:b=?|6.0:?|6.1:?|0.4:?|"},
    {INPUTS_JSON, "{\"\\\"\":\"\\\\\",\"a\":1,\"a\":2}", "?|0.0:\"=\\|0.1:a=?|0.2:a=?|"},
};

START_TEST(names_and_values_are_found)
{
    struct inputs inputs = read(reads[_i].kind, reads[_i].text);
    ck_assert_str_eq(list(&inputs), reads[_i].list);
}
END_TEST

START_TEST(cookies_are_reread_as_perl_and_python_do)
{
    static const char *const texts[][2] = {
        {"", ""},     {"a+b", "a b"}, {"\"\\074b\\\"\\\\\"", "\"<b\"\\\""},
        {"\\", "\\"}, {"\\07", "07"}, {"\\1011\\8\\377", "A18\377"},
    };
    for (size_t i = 0; i < COUNT(texts); i++)
        ck_assert(text_equal(inputs_reread_cookie(text_of(texts[i][0]), arena), text_of(texts[i][1])));
}
END_TEST

START_TEST(it_is_written_as_it_was)
{
    struct inputs inputs = read(reads[_i].kind, reads[_i].text);
    ck_assert(text_equal(inputs_write(&inputs, arena), text_of(reads[_i].text)));
}
END_TEST

START_TEST(what_is_wrong_stays_wrong)
{
    struct inputs inputs;
    struct defect defect = {0};
    ck_assert(!inputs_read_json(TEXT("{\"a\":[1,}"), &json_limits, arena, &inputs, &defect));
    ck_assert_str_eq(defect.word, "json_syntax");
    defect = (struct defect){0};
    ck_assert(!inputs_read_form(TEXT("a=%"), &form_limits, arena, &inputs, &defect));
    ck_assert_str_eq(defect.word, "form_escape");
}
END_TEST

/* Those whose name is "x" go, "y" becomes "z<", and a value of "v" becomes "w&". */
static const struct {
    enum inputs_kind kind;
    const char *text, *written;
} writes[] = {
    {INPUTS_FORM, "x=1", ""},
    {INPUTS_FORM, "x=1&a=2", "a=2"},
    {INPUTS_FORM, "a=2&x=1", "a=2"},
    {INPUTS_FORM, "a=%31&x=1&b=+%2f&x&c", "a=%31&b=+%2f&c"},
    {INPUTS_FORM, "&&x=1&&a=2&", "&&a=2&"},
    {INPUTS_FORM, "x&x&x", ""},
    {INPUTS_FORM, "y=v&%79=+v", "z%3C=w%26&z%3C=+v"},
    {INPUTS_FORM, "y", "z%3C"},
    {INPUTS_COOKIES, "x=1; a=2; x=3", "a=2"},
    {INPUTS_COOKIES, "a=1; y=v; b=\"2\"", "a=1; z%3C=w%26; b=\"2\""},
    {INPUTS_JSON, "{\"x\":1}", "{}"},
    {INPUTS_JSON, "{ \"x\" : 1 }", "{  }"},
    {INPUTS_JSON, "{\"x\":1, \"a\":1.50}", "{\"a\":1.50}"},
    {INPUTS_JSON, "{\"a\":1e0 , \"x\":[{\"y\":\"v\"}]}", "{\"a\":1e0}"},
    {INPUTS_JSON, "{\"a\":1,\"x\":2,\"x\":3,\"b\":4}", "{\"a\":1,\"b\":4}"},
    {INPUTS_JSON, "{\"x\":2,\"x\":3,\"b\":4}", "{\"b\":4}"},
    {INPUTS_JSON, "[{\"x\":1},{\"y\":[\"v\",\"\\u0076\"]},\"x\"]", "[{},{\"z<\":[\"w&\",\"w&\"]},\"x\"]"},
    {INPUTS_JSON, "\"v\"", "\"w&\""},
    {INPUTS_JSON, "{\"a\":{\"x\":1,\"b\":{\"x\":{}}},\"x\":[]}", "{\"a\":{\"b\":{}}}"},
};

START_TEST(changes_leave_the_rest_as_it_was)
{
    struct inputs inputs = read(writes[_i].kind, writes[_i].text);
    for (size_t i = 0; i < inputs.count; i++) {
        struct input *item = &inputs.items[i];
        item->dropped = item->is_named && text_equal(item->name, TEXT("x"));
        item->renamed = item->is_named && text_equal(item->name, TEXT("y"));
        item->changed = item->is_text && text_equal(item->value, TEXT("v"));
        item->name = item->renamed ? TEXT("z<") : item->name;
        item->value = item->changed ? TEXT("w&") : item->value;
    }
    struct text written = inputs_write(&inputs, arena);
    ck_assert_msg(text_equal(written, text_of(writes[_i].written)), "%.*s", TEXT_ARGUMENTS(written));
    read(writes[_i].kind, arena_copy(arena, written.at, written.length));
}
END_TEST

static const struct {
    const char *name, *understood; /* NULL: not clear; "/" is NUL */
} names[] = {
    {"", ""},         {"a", "a"},        {"a[]", "a"},       {"a[0]", "a"},     {"a[12][]", "a"},
    {"a[x]", "a/x"},  {"a[x][]", "a/x"}, {"a[0][x]", "a/x"}, {"a.b", "a_b"},    {"a b", "a_b"},
    {"a_b", "a_b"},   {" a", "a"},       {"  a.", "a_"},     {"a[ x]", "a/x"},  {"a[x.y]", "a/x.y"},
    {"a[", NULL},     {"a]", NULL},      {"[a]", NULL},      {"a[b", NULL},     {"a[b]c", NULL},
    {"a[[b]]", NULL}, {"a[b]]", NULL},   {"a[b][", NULL},    {"a[0x]", "a/0x"}, {"$a[$b]", "$a/$b"},
};

START_TEST(names_are_understood_as_programs_do)
{
    struct text understood;
    bool clear = inputs_understand(INPUTS_FORM, text_of(names[_i].name), arena, &understood);
    ck_assert_msg(clear == (names[_i].understood != NULL), "%s", names[_i].name);
    if (!clear)
        return;
    char *shown = arena_copy(arena, understood.at, understood.length);
    for (size_t i = 0; i < understood.length; i++)
        shown[i] = shown[i] ? shown[i] : '/';
    ck_assert_str_eq(shown, names[_i].understood);
    ck_assert(inputs_understand(INPUTS_JSON, text_of(names[_i].name), arena, &understood));
    ck_assert(text_equal(understood, text_of(names[_i].name)));
}
END_TEST

static struct nameds sort(struct inputs *inputs)
{
    struct nameds nameds = {arena_array(arena, inputs->count, sizeof *nameds.items), 0};
    for (size_t i = 0; i < inputs->count; i++) {
        struct named *named = &nameds.items[nameds.count];
        *named = (struct named){.in = inputs, .input = &inputs->items[i]};
        if (!inputs->items[i].is_named)
            continue;
        ck_assert(inputs_understand(inputs->kind, inputs->items[i].name, arena, &named->name));
        nameds.count++;
    }
    nameds_sort(&nameds);
    return nameds;
}

START_TEST(kin_stand_side_by_side)
{
    struct inputs form = read(INPUTS_FORM, "b=1&a[x]=2&a-=3&a=4&c=5&b[]=6");
    struct nameds nameds = sort(&form);
    static const enum kinship kinships[] = {KIN_WITHIN, KIN_NONE, KIN_NONE, KIN_SAME, KIN_NONE};
    for (size_t i = 0; i < COUNT(kinships); i++)
        ck_assert_int_eq(named_kinship(&nameds.items[i], &nameds.items[i + 1]), kinships[i]);
    ck_assert(text_equal(nameds.items[3].input->value, TEXT("1")));
    ck_assert(text_equal(nameds.items[4].input->value, TEXT("6")));

    struct inputs json = read(INPUTS_JSON, "{\"a\":{\"a\":1,\"b\":[{\"a\":1},{\"a\":1}]},\"b\":2,\"a\":3}");
    size_t same = 0;
    nameds = sort(&json);
    for (size_t i = 0; i + 1 < nameds.count; i++)
        same += named_kinship(&nameds.items[i], &nameds.items[i + 1]) == KIN_SAME;
    ck_assert_uint_eq(same, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inputs");
    TCase *cases = tcase_create("inputs");
    tcase_add_checked_fixture(cases, begin, end);
    tcase_add_loop_test(cases, names_and_values_are_found, 0, COUNT(reads));
    tcase_add_loop_test(cases, it_is_written_as_it_was, 0, COUNT(reads));
    tcase_add_test(cases, cookies_are_reread_as_perl_and_python_do);
    tcase_add_test(cases, what_is_wrong_stays_wrong);
    tcase_add_loop_test(cases, changes_leave_the_rest_as_it_was, 0, COUNT(writes));
    tcase_add_loop_test(cases, names_are_understood_as_programs_do, 0, COUNT(names));
    tcase_add_test(cases, kin_stand_side_by_side);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
