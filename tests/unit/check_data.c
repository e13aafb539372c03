/*
 * Tests of src/data: YAML and JSON into nodes with positions, what is refused
 * and in which words, and nodes into members by tables of fields.
 */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "data/decode.h"
#include "data/file.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;
static struct findings findings;

static void begin(void)
{
    arena = arena_new();
    findings = findings_new(arena, "f");
}

static void end(void)
{
    arena_free(arena);
}

/* Starts over within a test. */
/* Of this process, whatever else the machine is busy with. */
static uint64_t processor_milliseconds(void)
{
    return (uint64_t)clock() / (CLOCKS_PER_SEC / 1000);
}

static void again(void)
{
    arena_reset(arena);
    findings = findings_new(arena, "f");
}

/* What findings_print() writes of one kind, in the arena. */
static const char *printed_kind(enum finding_kind kind)
{
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    ck_assert_ptr_nonnull(memory);
    findings_print(&findings, kind, memory);
    ck_assert_int_eq(fclose(memory), 0);
    const char *copy = arena_copy(arena, text, length);
    free(text);
    return copy;
}

static const char *printed(void)
{
    return printed_kind(FINDING_ERROR);
}

/* One line for a whole tree: kinds, texts, and where each piece stands. */
static void describe(struct bytes *to, const struct node *node)
{
    if (node->name_line)
        bytes_printf(to, "%u:%u ", node->name_line, node->name_column);
    if (node->name.at)
        bytes_printf(to, "%s=", node->name.at);
    bytes_printf(to, "%u:%u ", node->line, node->column);
    if (node->kind == NODE_NULL)
        bytes_printf(to, "null");
    else if (node->kind == NODE_SCALAR)
        bytes_printf(to, node->plain ? "%s" : "'%s'", node->text.at);
    if (node->kind == NODE_NULL || node->kind == NODE_SCALAR)
        return;
    bytes_printf(to, node->kind == NODE_LIST ? "[" : "{");
    for (size_t i = 0; i < node->count; i++) {
        ck_assert_ptr_eq(node->items[i]->parent, node);
        ck_assert_uint_eq(node->items[i]->index, i);
        bytes_printf(to, i ? ", " : "");
        describe(to, node->items[i]);
    }
    bytes_printf(to, node->kind == NODE_LIST ? "]" : "}");
}

static const char *described(const struct node *node)
{
    struct bytes text = bytes_new(arena, 100000);
    describe(&text, node);
    return arena_copy(arena, text.at, text.length);
}

static const struct node *yaml(const char *content)
{
    const struct node *node = file_parse(text_of(content), false, &findings);
    ck_assert_msg(node != NULL && findings.errors == 0, "%s: %s", content, printed());
    return node;
}

static struct text repeated(const char *piece, size_t count)
{
    size_t length = strlen(piece);
    char *all = arena_alloc(arena, length * count + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(all + i * length, piece, length);
    return (struct text){all, length * count};
}

/* ---- readers */

struct tree_row {
    const char *content, *tree;
};

static const struct tree_row yaml_trees[] = {
    {"a: b", "1:1 {1:1 a=1:4 b}"},
    {"a:\n  b: c\n  d: [e, 'f']\n", "1:1 {1:1 a=2:3 {2:3 b=2:6 c, 3:3 d=3:6 [3:7 e, 3:10 'f']}}"},
    {"- a\n-   - b\n", "1:1 [1:3 a, 2:5 [2:7 b]]"},
    {"# remark\n\na: b # c\n", "3:1 {3:1 a=3:4 b}"},
    {"---\na: b\n...\n", "2:1 {2:1 a=2:4 b}"},
    {"%YAML 1.2\n---\na: b\n", "3:1 {3:1 a=3:4 b}"},
    {"\xef\xbb\xbf"
     "a: b",
     "1:1 {1:1 a=1:4 b}"},
    {"a: b\r\nc: d\r\n", "1:1 {1:1 a=1:4 b, 2:1 c=2:4 d}"},
    {"\xc3\xa4: [\xe2\x82\xac, x]",
     "1:1 {1:1 \xc3\xa4=1:4 [1:5 \xe2\x82\xac, 1:8 x]}"}, /* columns are characters */
    {"text", "1:1 text"},
    {"[]", "1:1 []"},
    {"{}", "1:1 {}"},
    /* the core schema's null, and what is not */
    {"[~, null, Null, NULL]", "1:1 [1:2 null, 1:5 null, 1:11 null, 1:17 null]"},
    {"['~', \"null\", nULL, '']", "1:1 [1:2 '~', 1:7 'null', 1:15 nULL, 1:21 '']"},
    {"a:\nb: 1\n", "1:1 {1:1 a=1:3 null, 2:1 b=2:4 1}"},
    {"null: 1", "1:1 {1:1 null=1:7 1}"},
    /* no other plain scalar is anything but its text */
    {"[yes, no, on, 0o17, 012, 1_000, .inf, 2001-01-01]",
     "1:1 [1:2 yes, 1:7 no, 1:11 on, 1:15 0o17, 1:21 012, 1:26 1_000, 1:33 .inf, 1:39 2001-01-01]"},
    {"a: |\n  x\n  y\nb: >\n  x\n  y\n", "1:1 {1:1 a=1:4 'x\ny\n', 4:1 b=4:4 'x y\n'}"},
    {"\"a\": \"\\x41\\u00e4\\\\\"", "1:1 {1:1 a=1:6 'A\xc3\xa4\\'}"},
    /* the core schema's tags */
    {"[!!str 1, ! 1, !!int '1', !!bool \"true\", !!null '', !!float 1]",
     "1:1 [1:2 '1', 1:11 '1', 1:16 1, 1:27 true, 1:42 null, 1:53 1]"},
    {"!!map {a: !!seq [b]}", "1:1 {1:8 a=1:11 [1:18 b]}"},
    /* an alias is a copy that stands where it is used */
    {"a: &x 1\nb: *x\n", "1:1 {1:1 a=1:4 1, 2:1 b=2:4 1}"},
    {"a: &x {k: [v]}\nb: *x\nc: [*x]\n",
     "1:1 {1:1 a=1:4 {1:8 k=1:11 [1:12 v]}, 2:1 b=2:4 {1:8 k=1:11 [1:12 v]}, "
     "3:1 c=3:4 [3:5 {1:8 k=1:11 [1:12 v]}]}"},
    {"[&x 1, &x 2, *x]", "1:1 [1:2 1, 1:8 2, 1:14 2]"},
    {"[<<, '<<']", "1:1 [1:2 <<, 1:6 '<<']"},
    {"'<<': 1", "1:1 {1:1 <<=1:7 1}"},
};

START_TEST(yaml_becomes_nodes)
{
    const struct tree_row *row = &yaml_trees[_i];
    ck_assert_str_eq(described(yaml(row->content)), row->tree);
}
END_TEST

static const struct tree_row json_trees[] = {
    {"{\"a\": \"b\"}", "1:1 {1:2 a=1:7 'b'}"},
    {"\n {\n\t\"a\" :\r\n [ 1 , -2.5e3,true ,false,null ] }\n",
     "2:2 {3:2 a=4:2 [4:4 1, 4:8 -2.5e3, 4:15 true, 4:21 false, 4:27 null]}"},
    {"[]", "1:1 []"},
    {"\xef\xbb\xbf[1]", "1:1 [1:2 1]"},
    {"[ ]", "1:1 []"},
    {"{ }", "1:1 {}"},
    {"[[], [[]], {}, {\"a\":{}}]", "1:1 [1:2 [], 1:6 [1:7 []], 1:12 {}, 1:16 {1:17 a=1:21 {}}]"},
    {"[\"\\\"\", \"\\\\\", \"]\", \"a\\u00e4\\/\"]", "1:1 [1:2 '\"', 1:8 '\\', 1:14 ']', 1:19 'a\xc3\xa4/']"},
    {"[\"\\ud83d\\ude00\", 1]", "1:1 [1:2 '\xf0\x9f\x98\x80', 1:18 1]"},
    {"{\"z\": 1, \"a\": 2, \"m\\\"\": 3}", "1:1 {1:2 z=1:7 1, 1:10 a=1:15 2, 1:18 m\"=1:25 3}"},
    {"[\"\xe2\x82\xac\", 1]", "1:1 [1:2 '\xe2\x82\xac', 1:7 1]"},
    {"[\"null\", \"\", 1.50]", "1:1 [1:2 'null', 1:10 '', 1:14 1.50]"},
};

START_TEST(json_becomes_nodes)
{
    const struct tree_row *row = &json_trees[_i];
    const struct node *node = file_parse(text_of(row->content), true, &findings);
    ck_assert_msg(node != NULL, "%s: %s", row->content, printed());
    ck_assert_str_eq(described(node), row->tree);
}
END_TEST

struct refusal_row {
    const char *content, *findings;
};

static const struct refusal_row yaml_refusals[] = {
    {"", "f:1:1: is empty\n"},
    {"# only a remark\n", "f:1:1: is empty\n"},
    /* rules of our own, all told in one run */
    {"a: 1\nb: 2\na: 3\n", "f:3:1: the key \"a\" stands here already, in line 1\n"},
    {"a: {b: 1, 'b': 2}\na: 3\n<<: {}\n", "f:1:11: the key \"b\" stands here already, in line 1\n"
                                          "f:2:1: the key \"a\" stands here already, in line 1\n"
                                          "f:3:1: merge keys (<<) are not known here\n"},
    {"a: &x {b: 1}\nc:\n  <<: *x\n", "f:3:3: merge keys (<<) are not known here\n"},
    {"? [a]\n: b\n", "f:1:3: a key must be a word\n"},
    {"{{a: 1}: b}", "f:1:2: a key must be a word\n"},
    {"a: &x 1\n*x : 2\n", "f:2:1: a key must be a word\n"},
    {"a: 1\n---\nb: 2\n", "f:2:1: a second document begins here\n"},
    {"a: *\n", "f:1:5: quote a text that begins with * or &\n"},
    {"a: *x\n", "f:1:4: this alias has no anchor before it\n"},
    {"a: &x [*x]\n", "f:1:8: this alias has no anchor before it\n"},
    {"a: &x {b: {c: *x}}\n", "f:1:15: this alias has no anchor before it\n"},
    {"a: \"x\\0y\"\n", "f:1:4: a value holds a NUL character\n"},
    {"\"x\\0y\": 1\n", "f:1:1: a value holds a NUL character\n"},
    {"a: !x 1\nb: !!binary YQ==\nc: !!set {}\nd: !!map []\n",
     "f:1:4: this tag is not known, expected one of the core schema such as !!str\n"
     "f:2:4: this tag is not known, expected one of the core schema such as !!str\n"
     "f:3:4: this tag is not known, expected one of the core schema such as !!map\n"
     "f:4:4: this tag is not known, expected one of the core schema such as !!map\n"},
    {"a: !!null x\n", "f:1:4: this is not null\n"},
    /* libyaml's, in other words */
    {"a: b: c\n",
     "f:1:5: a \":\" does not fit here; quote a text that holds \": \", and begin the keys of a map in "
     "one column\n"},
    {"a: @x\n", "f:1:4: no value begins with this character; quote it, and use spaces instead of tabs\n"},
    {"a: `x`\n", "f:1:4: no value begins with this character; quote it, and use spaces instead of tabs\n"},
    {"a: b\n\tc: d\n", "f:2:1: a tab does not indent, expected spaces\n"},
    {"a: |\n\tx\n", "f:2:1: a tab does not indent, expected spaces\n"},
    {"a: - b\n", "f:1:4: a list entry does not fit here, expected \"- \" on a line of its own\n"},
    {"a: ]\n", "f:1:4: expected a value\n"},
    {"a: 'x'y\n", "f:1:7: expected a key; the keys of a map begin in one column\n"},
    {"{a: 1}}\n", "f:1:7: nothing more was expected\n"},
    {"a: !h!x y\n", "f:1:4: tags are not known here\n"},
    {"a: 1\nb: \"x\nc: 2\n", "f:2:4: this quote does not end\n"},
    {"a: 'x\n---\n", "f:1:4: this quote does not end\n"},
    {"a: \"\\q\"\n", "f:1:5: this escape is not known; within '' a backslash is only a backslash\n"},
    {"a: [1, 2\nb: 3\n", "f:2:2: expected \",\" or the \"]\" of a list\n"},
    {"a: {b c: 1, d\n", "f:2:1: expected \",\" or the \"}\" of a map\n"},
    {"%YAML 2.0\n---\na: 1\n", "f:1:1: expected YAML 1.1 or 1.2\n"},
    {"- a\nb: 1\n",
     "f:2:1: is not YAML: did not find expected '-' indicator, while parsing a block collection\n"},
    /* bytes */
    {"a: 1\nb: \xc3\xa4 \xff\n", "f:2:6: is not YAML: this is not UTF-8\n"},
    {"a: 1\nb: \xc3\xa4 \x01\n",
     "f:2:6: is not YAML: a control character must be written as an escape in \"\"\n"},
    {"\xff\xfe"
     "a",
     "f:1:1: is not YAML: this is not UTF-8\n"},
};

START_TEST(yaml_is_refused_with_a_reason)
{
    const struct refusal_row *row = &yaml_refusals[_i];
    ck_assert_ptr_null(file_parse(text_of(row->content), false, &findings));
    ck_assert_str_eq(printed(), row->findings);
}
END_TEST

static const struct refusal_row json_refusals[] = {
    {"", "f:1:1: is not JSON: '[' or '{' expected near end of file\n"},
    {"1", "f:1:1: is not JSON: '[' or '{' expected near '1'\n"},
    {"{\"a\": 1,\n \"a\": 2}", "f:2:4: is not JSON: duplicate object key near '\"a\"'\n"},
    {"{\"a\": 1,}", "f:1:9: is not JSON: string or '}' expected near '}'\n"},
    {"[1 2]", "f:1:4: is not JSON: ']' expected near '2'\n"},
    {"[1] x", "f:1:5: is not JSON: end of file expected near 'x'\n"},
    {"['a']", "f:1:2: is not JSON: invalid token near '''\n"},
    {"[01]", "f:1:2: is not JSON: invalid token near '0'\n"},
    {"[0660]", "f:1:2: is not JSON: invalid token near '0'\n"},
    {"// x\n[]", "f:1:1: is not JSON: '[' or '{' expected near '/'\n"},
};

START_TEST(json_is_refused_with_a_reason)
{
    const struct refusal_row *row = &json_refusals[_i];
    ck_assert_ptr_null(file_parse(text_of(row->content), true, &findings));
    ck_assert_str_eq(printed(), row->findings);
}
END_TEST

START_TEST(other_bad_json_is_refused)
{
    static const struct text bad[] = {
        {"[\"\\u0000\"]", 10},
        {"{\"\\u0000\": 1}", 13},
        {"[\"a\0b\"]", 7},
        {"[1]\0", 4},
        {"[\"\xff\"]", 5},
        {"[\"\\ud83d\"]", 10},
        {"[\"a\nb\"]", 7},
        {"[1e400]", 7},
        {"[NaN]", 5},
        {"[+1]", 4},
        {"[.5]", 4},
        {"[tru]", 5},
        {"[", 1},
        {"{\"a\"", 4},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        again();
        ck_assert_msg(!file_parse(bad[i], true, &findings), "row %zu", i);
        ck_assert_uint_eq(findings.errors, 1);
        ck_assert_msg(strstr(printed(), "is not JSON: ") != NULL, "%s", printed());
    }
}
END_TEST

START_TEST(depth_is_limited)
{
    static const struct {
        const char *open, *close;
        size_t most; /* that is taken */
        bool json;
    } rows[] = {
        {"[", "]", FILE_DEPTH_LIMIT, false},          {"{a: ", "}", FILE_DEPTH_LIMIT, false},
        {"- ", "", FILE_DEPTH_LIMIT, false},          {"[", "]", FILE_DEPTH_LIMIT, true},
        {"{\"a\":", "}", FILE_DEPTH_LIMIT - 1, true},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t over = 0; over < 2; over++) {
            again();
            struct bytes content = bytes_new(arena, FILE_SIZE_LIMIT);
            bytes_add_text(&content, repeated(rows[i].open, rows[i].most + over));
            bytes_add_text(&content, rows[i].json && rows[i].open[0] == '{' ? TEXT("{}") : TEXT(""));
            bytes_add_text(&content, repeated(rows[i].close, rows[i].most + over));
            const struct node *node = file_parse(bytes_text(&content), rows[i].json, &findings);
            ck_assert_msg((node != NULL) == (over == 0), "row %zu, %zu over: %s", i, over, printed());
            if (over)
                ck_assert_msg(strstr(printed(), "is nested too deeply") != NULL, "%s", printed());
        }
    }
}
END_TEST

START_TEST(neighbours_are_not_depth)
{
    static const char *const rows[] = {"- []\n", "- {}\n", "- - a\n", "- a: {b: [c]}\n"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        again();
        const struct node *node = file_parse(repeated(rows[i], 2 * FILE_DEPTH_LIMIT), false, &findings);
        ck_assert_msg(node != NULL, "%s", printed());
        ck_assert_uint_eq(node->count, 2 * FILE_DEPTH_LIMIT);
    }
}
END_TEST

START_TEST(deep_nesting_is_refused_at_once)
{
    static const char *const openings[] = {"[", "{a: ", "- ", "? ", "[{a: ", "- - a: ", "&a [", "!!seq ["};
    for (size_t i = 0; i < COUNT(openings); i++) {
        again();
        uint64_t before = processor_milliseconds();
        ck_assert_ptr_null(file_parse(repeated(openings[i], 100000), false, &findings));
        ck_assert_uint_lt(processor_milliseconds() - before, 2000);
        ck_assert_uint_eq(findings.errors, 1);
    }
    again();
    uint64_t before = processor_milliseconds();
    ck_assert_ptr_null(file_parse(repeated("[", 100000), true, &findings));
    ck_assert_uint_lt(processor_milliseconds() - before, 2000);
    ck_assert_str_eq(printed(), "f:1:2049: is not JSON: maximum parsing depth reached near '['\n");
}
END_TEST

START_TEST(size_and_count_are_limited)
{
    ck_assert_ptr_null(file_parse(repeated(" ", FILE_SIZE_LIMIT + 1), false, &findings));
    ck_assert_str_eq(printed(), "f: is larger than 4194304 bytes\n");
    again();
    ck_assert_ptr_null(file_parse(repeated(" ", FILE_SIZE_LIMIT + 1), true, &findings));
    again();
    ck_assert_ptr_null(file_parse(repeated("- a\n", FILE_NODE_LIMIT), false, &findings));
    ck_assert_str_eq(printed(), "f:500000:3: there are too many values\n");
    again();
    ck_assert_ptr_nonnull(file_parse(repeated("- a\n", FILE_NODE_LIMIT - 1), false, &findings));
    again();
    struct bytes json = bytes_new(arena, FILE_SIZE_LIMIT);
    bytes_add_text(&json, TEXT("[0"));
    bytes_add_text(&json, repeated(",0", FILE_NODE_LIMIT - 1));
    bytes_add_text(&json, TEXT("]"));
    ck_assert_ptr_null(file_parse(bytes_text(&json), true, &findings));
    ck_assert_str_eq(printed(), "f:1:1000000: there are too many values\n");
}
END_TEST

START_TEST(many_keys_are_read_fast)
{
    struct bytes content = bytes_new(arena, FILE_SIZE_LIMIT);
    for (int i = 0; i < 100000; i++)
        bytes_printf(&content, "key%d: x\n", i);
    uint64_t before = processor_milliseconds();
    const struct node *node = file_parse(bytes_text(&content), false, &findings);
    ck_assert_ptr_nonnull(node);
    ck_assert_uint_eq(node->count, 100000);
    ck_assert_uint_lt(processor_milliseconds() - before, 5000);
    ck_assert_ptr_nonnull(node_get(node, "key99999"));
}
END_TEST

START_TEST(aliases_are_limited)
{
    /* each line has nine times the values of the one before */
    struct bytes content = bytes_new(arena, FILE_SIZE_LIMIT);
    bytes_printf(&content, "a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 20; i++) {
        bytes_printf(&content, "a%d: &a%d [", i, i);
        for (int j = 0; j < 9; j++)
            bytes_printf(&content, "%s*a%d", j ? ", " : "", i - 1);
        bytes_printf(&content, "]\n");
    }
    uint64_t before = processor_milliseconds();
    ck_assert_ptr_null(file_parse(bytes_text(&content), false, &findings));
    ck_assert_uint_lt(processor_milliseconds() - before, 5000);
    ck_assert_msg(strstr(printed(), "there are too many values") != NULL, "%s", printed());

    again();
    content = bytes_new(arena, FILE_SIZE_LIMIT);
    bytes_printf(&content, "- &x 1\n");
    for (int i = 0; i < FILE_ALIAS_LIMIT; i++)
        bytes_printf(&content, "- *x\n");
    ck_assert_ptr_null(file_parse(bytes_text(&content), false, &findings));
    ck_assert_str_eq(printed(), "f:1001:3: there are too many aliases\n");

    again();
    content = bytes_new(arena, FILE_SIZE_LIMIT);
    for (int i = 0; i <= FILE_ALIAS_LIMIT; i++)
        bytes_printf(&content, "- &x%d 1\n", i);
    ck_assert_ptr_null(file_parse(bytes_text(&content), false, &findings));
    ck_assert_str_eq(printed(), "f:1001:3: there are too many anchors\n");

    again();
    content = bytes_new(arena, FILE_SIZE_LIMIT);
    bytes_add_text(&content, TEXT("a: &x "));
    bytes_add_text(&content, repeated("[", 40));
    bytes_add_text(&content, repeated("]", 40));
    bytes_add_text(&content, TEXT("\nb: "));
    bytes_add_text(&content, repeated("[", 40));
    bytes_add_text(&content, TEXT("*x"));
    bytes_add_text(&content, repeated("]", 40));
    ck_assert_ptr_null(file_parse(bytes_text(&content), false, &findings));
    ck_assert_msg(strstr(printed(), "is nested too deeply") != NULL, "%s", printed());
}
END_TEST

/* Any cut of a good file, and any byte of it changed, is read or refused. */
START_TEST(broken_files_have_findings)
{
    static const char *const good[] = {
        "a: &x [1, 'two', \"th\\u0072ee\", ~]\nb: {c: *x, d: |\n    text\n  , e: !!str 5}\n? f\n: - g\n  - "
        "h: i\n",
        "{\"a\": [1, -2.5e3, true, null, \"b\\\"\\u00e4\"], \"c\": {\"d\": {}, \"e\": []}, \"f\": "
        "\"\xc3\xa4\"}",
    };
    static const char changes[] = "[]{}:,\"'&*!|>#%@- \n\t\\\0\xff";
    for (size_t i = 0; i < COUNT(good); i++) {
        size_t length = strlen(good[i]);
        for (size_t at = 0; at < length; at++) {
            for (size_t change = 0; change < sizeof changes; change++) {
                again();
                char *content = arena_copy(arena, good[i], length);
                bool cut = change == sizeof changes - 1;
                if (!cut)
                    content[at] = changes[change];
                const struct node *node =
                    file_parse((struct text){content, cut ? at : length}, i == 1, &findings);
                ck_assert((node == NULL) == (findings.errors > 0));
                if (!node)
                    ck_assert_mem_eq(printed(), "f:", 2);
            }
        }
    }
}
END_TEST

/* ---- nodes */

START_TEST(nodes_have_paths)
{
    const struct node *root = yaml("routes: [{}, {}, {body: {max: 1}, l: [[x]]}]");
    const struct node *routes = node_get(root, "routes");
    const struct node *body = node_get(routes->items[2], "body");
    ck_assert_str_eq(node_path(root, arena), "");
    ck_assert_str_eq(node_path(routes, arena), "routes");
    ck_assert_str_eq(node_path(routes->items[1], arena), "routes[1]");
    ck_assert_str_eq(node_path(node_get(body, "max"), arena), "routes[2].body.max");
    ck_assert_str_eq(node_path(node_get(routes->items[2], "l")->items[0]->items[0], arena),
                     "routes[2].l[0][0]");
    ck_assert_str_eq(node_path(yaml("[[a]]")->items[0], arena), "[0]");
    ck_assert_ptr_null(node_get(root, "route"));
    ck_assert_ptr_null(node_get(root, ""));
    ck_assert_ptr_null(node_get(routes, "routes")); /* not a map */
    ck_assert_ptr_null(node_get(NULL, "x"));
}
END_TEST

/* ---- findings */

START_TEST(findings_are_sorted)
{
    const struct node *root = yaml("a: 1\nb:\n  c: 2\n");
    const struct node *b = node_get(root, "b");
    ck_assert(!findings_add(&findings, FINDING_ERROR, node_get(b, "c"), "number %d", 1));
    ck_assert(!findings_add_key(&findings, FINDING_ERROR, node_get(b, "c"), "number %d", 2));
    ck_assert(!findings_add_key(&findings, FINDING_ERROR, root, "number %d", 3));
    ck_assert(!findings_add_at(&findings, FINDING_ERROR, 0, 0, "number %d", 4));
    ck_assert(!findings_add_at(&findings, FINDING_ERROR, 2, 9, "number %d", 5));
    ck_assert(!findings_add(&findings, FINDING_ADVICE, node_get(root, "a"), "number %d", 6));
    ck_assert(!findings_add(&findings, FINDING_ERROR, root, "number %d", 7));
    ck_assert_uint_eq(findings.errors, 6);
    ck_assert_uint_eq(findings.advice, 1);
    ck_assert_str_eq(printed(), "f: number 4\n"
                                "f:1:1: number 3\n"
                                "f:1:1: number 7\n"
                                "f:2:9: number 5\n"
                                "f:3:3: b.c: number 2\n"
                                "f:3:6: b.c: number 1\n");
    ck_assert_str_eq(printed_kind(FINDING_ADVICE), "f:1:4: a: number 6\n");
}
END_TEST

START_TEST(findings_are_taken_over)
{
    struct arena *other = arena_new();
    struct findings more = findings_new(other, "g");
    findings_add_at(&findings, FINDING_ERROR, 3, 1, "own");
    findings_add_at(&more, FINDING_ERROR, 2, 1, "second");
    findings_add_at(&more, FINDING_ERROR, 1, 1, "first");
    findings_add_at(&more, FINDING_ADVICE, 1, 1, "advice");
    more.file = "e";
    findings_add_at(&more, FINDING_ERROR, 9, 1, "of another file");
    findings_take(&findings, &more);
    arena_free(other);
    ck_assert_uint_eq(findings.errors, 4);
    ck_assert_uint_eq(findings.advice, 1);
    ck_assert_str_eq(printed(), "e:9:1: of another file\nf:3:1: own\ng:1:1: first\ng:2:1: second\n");
    ck_assert_str_eq(printed_kind(FINDING_ADVICE), "g:1:1: advice\n");
}
END_TEST

START_TEST(findings_are_limited)
{
    for (unsigned i = 1; i <= FINDINGS_LIMIT + 7; i++) {
        findings_add_at(&findings, FINDING_ERROR, i, 1, "x");
        findings_add_at(&findings, FINDING_ADVICE, i, 2, "y");
    }
    ck_assert_uint_eq(findings.errors, FINDINGS_LIMIT + 7);
    ck_assert_uint_eq(findings.advice, FINDINGS_LIMIT + 7);
    const char *errors = printed();
    ck_assert_mem_eq(errors, "f:1:1: x\nf:2:1: x\n", 18);
    ck_assert_str_eq(errors + strlen(errors) - strlen("f:100:1: x\nf: and 7 more\n"),
                     "f:100:1: x\nf: and 7 more\n");
}
END_TEST

START_TEST(findings_are_safe_to_print)
{
    const struct node *root = yaml("\"\\e[31m\": \"\\x9b31m\\u00e4\\n\"");
    findings_add(&findings, FINDING_ERROR, root->items[0], "\"%s\" \x7f \xff", root->items[0]->text.at);
    ck_assert_str_eq(printed(), "f:1:11: ?[31m: \"??31m\xc3\xa4?\" ? ?\n");
    again(); /* what turns the direction of text or ends a line; U+2027 and U+2030 do not */
    root = yaml("a: \"\\u200e\\u2028\\u202e\\u2066\\u2069\\u2027\\u2030\"");
    findings_add(&findings, FINDING_ERROR, root, "%s", root->items[0]->text.at);
    ck_assert_str_eq(printed(), "f:1:1: ???????????????\xe2\x80\xa7\xe2\x80\xb0\n");
    again();
    findings_add_at(&findings, FINDING_ERROR, 1, 1, "%s", repeated("\xc3\xa4", 100000).at);
    ck_assert_uint_eq(strlen(printed()), strlen("f:1:1: ...\n") + 2000);
}
END_TEST

START_TEST(near_names_are_suggested)
{
    static const char *const names[] = {"listen", "routes", "threads", "timeouts", "user", "on", "body"};
    static const struct {
        const char *word, *nearest;
    } rows[] = {
        {"listne", "listen"},
        {"route", "routes"},
        {"roots", "routes"},
        {"Threads", "threads"},
        {"THREADS", "threads"},
        {"BDOY", "body"},
        {"ON", "on"},
        {"timeout", "timeouts"},
        {"usr", "user"},
        {"bodi", "body"},
        {"bdoy", "body"},
        {"no", NULL},
        {"o", NULL},
        {"", NULL},
        {"uzzr", NULL},
        {"completely", NULL},
        {"routesssss", NULL},
        {"listenlistenlistenlistenlistenlistenlistenlisten", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *found = findings_nearest(rows[i].word, names, COUNT(names));
        ck_assert_msg((found == NULL) == (rows[i].nearest == NULL) &&
                          (!found || strcmp(found, rows[i].nearest) == 0),
                      "%s: %s", rows[i].word, found ? found : "nothing");
    }
    ck_assert_ptr_null(findings_nearest("listen", NULL, 0));
}
END_TEST

/* ---- files */

static char folder[64];

static void begin_folder(void)
{
    begin();
    snprintf(folder, sizeof folder, "/tmp/check_data.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end_folder(void)
{
    static const char *const names[] = {"a.yaml", "a.json", "a.JSON", "key", "fifo", "large"};
    for (size_t i = 0; i < COUNT(names); i++)
        unlink(arena_printf(arena, "%s/%s", folder, names[i]));
    rmdir(folder);
    end();
}

static const char *write_file(const char *name, struct text content, mode_t mode)
{
    const char *path = arena_printf(arena, "%s/%s", folder, name);
    unlink(path);
    int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(fchmod(file, mode), 0);
    ck_assert_int_eq(write(file, content.at, content.length), (ssize_t)content.length);
    close(file);
    return path;
}

START_TEST(files_are_read_by_name)
{
    const struct node *node = file_read(write_file("a.yaml", TEXT("a: [b]"), 0600), &findings);
    ck_assert_ptr_nonnull(node);
    ck_assert_str_eq(described(node), "1:1 {1:1 a=1:4 [1:5 b]}");
    node = file_read(write_file("a.json", TEXT("{\"a\": \"b\"}"), 0600), &findings);
    ck_assert_ptr_nonnull(node);
    ck_assert_ptr_null(file_read(write_file("a.json", TEXT("a: b"), 0600), &findings));
    ck_assert_ptr_nonnull(file_read(write_file("a.JSON", TEXT("a: b"), 0600), &findings));
}
END_TEST

START_TEST(files_that_cannot_be_read_are_told)
{
    const char *path = arena_printf(arena, "%s/a.yaml", folder);
    ck_assert_ptr_null(file_read(path, &findings));
    ck_assert_str_eq(printed(), "f: cannot be opened: No such file or directory\n");
    again();
    ck_assert_ptr_null(file_read(folder, &findings));
    ck_assert_str_eq(printed(), "f: is not a regular file\n");
    again();
    ck_assert_ptr_null(file_read(write_file("a.yaml", TEXT(""), 0600), &findings));
    ck_assert_str_eq(printed(), "f:1:1: is empty\n");
    again();
    path = arena_printf(arena, "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_ptr_null(file_read(path, &findings)); /* and does not wait */
    ck_assert_str_eq(printed(), "f: is not a regular file\n");
    again();
    path = write_file("large", TEXT("x"), 0600);
    ck_assert_int_eq(truncate(path, FILE_SIZE_LIMIT + 1), 0);
    ck_assert_ptr_null(file_read(path, &findings));
    ck_assert_str_eq(printed(), "f: is larger than 4194304 bytes\n");
}
END_TEST

/* ---- decoding */

struct inner {
    const char *name;
    uint64_t size;
    bool flag;
};

struct needy {
    const char *key;
};

struct sample {
    const char *text, *file, *quiet;
    bool flag;
    uint64_t number, size, duration, free;
    unsigned mode;
    int choice;
    struct texts texts;
    struct pairs pairs;
    struct inner inner;
    struct needy needy;
    char own;
};

static bool decode_letter(struct decoder *decoder, const struct node *node, void *member)
{
    if (node->kind != NODE_SCALAR || node->text.length != 1)
        return findings_add(decoder->findings, FINDING_ERROR, node, "this is no letter");
    *(char *)member = node->text.at[0];
    return true;
}

static const struct field inner_fields[] = {
    {FIELD(FIELD_TEXT, inner, name, "name"), .fallback = "nobody"},
    {FIELD(FIELD_SIZE, inner, size, "size"), .fallback = "1kb"},
    {FIELD(FIELD_BOOL, inner, flag, "flag"), .fallback = "true"},
    {0},
};
static const struct section inner_section = {sizeof(struct inner), inner_fields};

static const struct field needy_fields[] = {
    {FIELD(FIELD_TEXT, needy, key, "key"), .required = true},
    {0},
};
static const struct section needy_section = {sizeof(struct needy), needy_fields};

static const struct field sample_fields[] = {
    {FIELD(FIELD_TEXT, sample, text, "text"), .fallback = "standard"},
    {FIELD(FIELD_FILE, sample, file, "file"), .fallback = "a/b"},
    {FIELD(FIELD_TEXT, sample, quiet, "quiet")},
    {FIELD(FIELD_BOOL, sample, flag, "flag"), .fallback = "true"},
    {FIELD(FIELD_NUMBER, sample, number, "number"), .fallback = "16", .least = 1, .most = 100},
    {FIELD(FIELD_SIZE, sample, size, "size"), .fallback = "10kb", .least = 1024, .most = 1 << 30},
    {FIELD(FIELD_DURATION, sample, duration, "duration"), .fallback = "1m", .least = 100, .most = 86400000},
    {FIELD(FIELD_NUMBER, sample, free, "free"), .least = 5},
    {FIELD(FIELD_MODE, sample, mode, "mode"), .fallback = "0660"},
    {FIELD(FIELD_CHOICE, sample, choice, "choice"), .fallback = "redirect",
     .choices = "off|require|redirect"},
    {FIELD(FIELD_TEXTS, sample, texts, "texts"), .fallback = "[GET, HEAD]"},
    {FIELD(FIELD_PAIRS, sample, pairs, "pairs"), .fallback = "{A: b}"},
    {FIELD(FIELD_SECTION, sample, inner, "inner"), .section = &inner_section},
    {FIELD(FIELD_SECTION, sample, needy, "needy"), .section = &needy_section},
    {FIELD(FIELD_OWN, sample, own, "own"), .own = decode_letter, .fallback = "x", .expects = "a letter"},
    {0},
};
static const struct section sample_section = {sizeof(struct sample), sample_fields};

static struct decoder decoder(void)
{
    return (struct decoder){.arena = arena, .findings = &findings, .folder = "/policy"};
}

static bool decode(const char *content, struct sample *sample)
{
    struct decoder own = decoder();
    memset(sample, 0, sizeof *sample);
    return decode_section(&own, &sample_section, content ? yaml(content) : NULL, sample);
}

static void assert_defaults(const struct sample *sample)
{
    ck_assert_str_eq(sample->text, "standard");
    ck_assert_str_eq(sample->file, "/policy/a/b");
    ck_assert_ptr_null(sample->quiet);
    ck_assert(sample->flag);
    ck_assert_uint_eq(sample->number, 16);
    ck_assert_uint_eq(sample->size, 10240);
    ck_assert_uint_eq(sample->duration, 60000);
    ck_assert_uint_eq(sample->free, 0);
    ck_assert_uint_eq(sample->mode, 0660);
    ck_assert_int_eq(sample->choice, 2);
    ck_assert_uint_eq(sample->texts.count, 2);
    ck_assert(text_equal(sample->texts.items[1], TEXT("HEAD")));
    ck_assert_uint_eq(sample->pairs.count, 1);
    ck_assert(text_equal(sample->pairs.items[0].name, TEXT("A")));
    ck_assert_str_eq(sample->inner.name, "nobody");
    ck_assert_uint_eq(sample->inner.size, 1024);
    ck_assert(sample->inner.flag);
    ck_assert_ptr_null(sample->needy.key); /* needed only where its section is there */
    ck_assert_int_eq(sample->own, 'x');
}

START_TEST(defaults_are_filled_in)
{
    struct sample sample;
    ck_assert_msg(decode("{}", &sample), "%s", printed());
    assert_defaults(&sample);
    ck_assert_msg(decode(NULL, &sample), "%s", printed());
    assert_defaults(&sample);
}
END_TEST

START_TEST(values_are_decoded)
{
    struct sample sample;
    ck_assert_msg(
        decode("text: 12\nfile: /x/../y\nquiet: 'q'\nflag: false\nnumber: 100\nsize: 1gb\nduration: '1d'\n"
               "free: 18446744073709551615\nmode: \"0644\"\nchoice: off\ntexts: [a, '1', 2]\n"
               "pairs: {A: '', B: 2}\ninner: {flag: false}\nneedy: k\nown: y\n",
               &sample),
        "%s", printed());
    ck_assert_str_eq(sample.text, "12");
    ck_assert_str_eq(sample.file, "/x/../y");
    ck_assert_str_eq(sample.quiet, "q");
    ck_assert(!sample.flag);
    ck_assert_uint_eq(sample.number, 100);
    ck_assert_uint_eq(sample.size, 1 << 30);
    ck_assert_uint_eq(sample.duration, 86400000);
    ck_assert_uint_eq(sample.free, UINT64_MAX);
    ck_assert_uint_eq(sample.mode, 0644);
    ck_assert_int_eq(sample.choice, 0);
    ck_assert_uint_eq(sample.texts.count, 3);
    ck_assert(text_equal(sample.texts.items[2], TEXT("2")));
    ck_assert_uint_eq(sample.pairs.count, 2);
    ck_assert_uint_eq(sample.pairs.items[0].value.length, 0);
    ck_assert(text_equal(sample.pairs.items[1].value, TEXT("2")));
    ck_assert_uint_eq(sample.pairs.items[1].node->line, 12);
    ck_assert_str_eq(sample.inner.name, "nobody"); /* the others keep their defaults */
    ck_assert(!sample.inner.flag);
    ck_assert_str_eq(sample.needy.key, "k");
    ck_assert_int_eq(sample.own, 'y');
}
END_TEST

START_TEST(bounds_are_within)
{
    struct sample sample;
    ck_assert_msg(decode("number: 1\nsize: 1024b\nduration: 100ms\nfree: 5\nmode: 0", &sample), "%s",
                  printed());
    ck_assert_uint_eq(sample.number, 1);
    ck_assert_uint_eq(sample.size, 1024);
    ck_assert_uint_eq(sample.duration, 100);
    ck_assert_uint_eq(sample.free, 5);
    ck_assert_uint_eq(sample.mode, 0);
    ck_assert_msg(decode("number: 100\nsize: 1024mb\nduration: 24h\nmode: 777", &sample), "%s", printed());
    ck_assert_uint_eq(sample.mode, 0777);
}
END_TEST

START_TEST(json_decodes_alike)
{
    struct sample sample = {0};
    struct decoder own = decoder();
    const struct node *node =
        file_parse(TEXT("{\"number\": 5, \"flag\": false, \"mode\": \"0600\", \"inner\": \"me\", "
                        "\"duration\": \"2s\", \"texts\": \"a\"}"),
                   true, &findings);
    ck_assert_msg(node && decode_section(&own, &sample_section, node, &sample), "%s", printed());
    ck_assert_uint_eq(sample.number, 5);
    ck_assert(!sample.flag);
    ck_assert_uint_eq(sample.mode, 0600);
    ck_assert_str_eq(sample.inner.name, "me");
    ck_assert_uint_eq(sample.inner.size, 1024);
    ck_assert_uint_eq(sample.duration, 2000);
    ck_assert_uint_eq(sample.texts.count, 1);
    again();
    node = file_parse(TEXT("{\"number\": \"5\", \"flag\": \"false\", \"size\": 2048, \"text\": null}"), true,
                      &findings);
    ck_assert(!decode_section(&own, &sample_section, node, &sample));
    ck_assert_uint_eq(findings.errors, 4);
}
END_TEST

START_TEST(short_forms_are_the_first_field)
{
    struct sample sample;
    ck_assert(decode("inner: me", &sample));
    ck_assert_str_eq(sample.inner.name, "me");
    ck_assert_uint_eq(sample.inner.size, 1024);
    ck_assert(decode("texts: one", &sample));
    ck_assert_uint_eq(sample.texts.count, 1);
    ck_assert(text_equal(sample.texts.items[0], TEXT("one")));
    ck_assert(decode("texts: []", &sample));
    ck_assert_uint_eq(sample.texts.count, 0);
    ck_assert(decode("hello", &sample)); /* a whole file */
    ck_assert_str_eq(sample.text, "hello");
    ck_assert_uint_eq(sample.number, 16);
}
END_TEST

#define SIZE     "a size such as 512b, 10kb, 4mb or 1gb, 1kb to 1gb"
#define DURATION "a duration such as 500ms, 30s, 15m, 1h or 7d, 100ms to 1d"
#define NUMBER   "a whole number, 1 to 100"
#define CHOICE   "one of off, require, redirect"
#define KEYS                                                                                                 \
    "text, file, quiet, flag, number, size, duration, free, mode, choice, texts, pairs, inner, needy, own"

static const struct refusal_row decode_refusals[] = {
    /* no value */
    {"text:", "f:1:6: text: there is no value, expected a text\n"},
    {"file: ~", "f:1:7: file: there is no value, expected a file's path\n"},
    {"flag: null", "f:1:7: flag: there is no value, expected true or false\n"},
    {"number:", "f:1:8: number: there is no value, expected " NUMBER "\n"},
    {"mode:", "f:1:6: mode: there is no value, expected an octal file mode such as 0660\n"},
    {"choice:", "f:1:8: choice: there is no value, expected " CHOICE "\n"},
    {"texts:", "f:1:7: texts: there is no value, expected a list of texts\n"},
    {"pairs:", "f:1:7: pairs: there is no value, expected a map of texts\n"},
    {"own:", "f:1:5: own: there is no value, expected a letter\n"},
    {"inner:", "f:1:7: inner: there is no value, expected a map with name, size, flag, or a text\n"},
    {"inner: {name: }", "f:1:15: inner.name: there is no value, expected a text\n"},
    /* a value of the wrong kind */
    {"text: [a]", "f:1:7: text: a list does not fit here, expected a text\n"},
    {"text: {a: b}", "f:1:7: text: a map does not fit here, expected a text\n"},
    {"text: ''", "f:1:7: text: \"\" is empty, expected a text\n"},
    {"file: ''", "f:1:7: file: \"\" is empty, expected a file's path\n"},
    {"number: [1]", "f:1:9: number: a list does not fit here, expected " NUMBER "\n"},
    {"texts: {a: b}", "f:1:8: texts: a map does not fit here, expected a list of texts\n"},
    {"pairs: [a]", "f:1:8: pairs: a list does not fit here, expected a map of texts\n"},
    {"pairs: a", "f:1:8: pairs: \"a\" does not fit, expected a map of texts\n"},
    {"inner: [a]", "f:1:8: inner: a list does not fit here, expected a text\n"},
    /* entries */
    {"texts: [a, '', ~, [b]]", "f:1:12: texts[1]: \"\" is empty, expected a text\n"
                               "f:1:16: texts[2]: there is no value, expected a text\n"
                               "f:1:19: texts[3]: a list does not fit here, expected a text\n"},
    {"pairs: {a: b, c: [d], e: }", "f:1:18: pairs.c: a list does not fit here, expected a text\n"
                                   "f:1:26: pairs.e: there is no value, expected a text\n"},
    /* booleans and numbers are written without quotes */
    {"flag: 'true'", "f:1:7: flag: \"true\" is neither, expected true or false\n"},
    {"flag: yes", "f:1:7: flag: \"yes\" is neither, expected true or false\n"},
    {"flag: True", "f:1:7: flag: \"True\" is neither, expected true or false\n"},
    {"number: '10'", "f:1:9: number: \"10\" does not fit, expected " NUMBER "\n"},
    {"number: 1.0", "f:1:9: number: \"1.0\" does not fit, expected " NUMBER "\n"},
    {"number: -1", "f:1:9: number: \"-1\" does not fit, expected " NUMBER "\n"},
    {"number: 0x10", "f:1:9: number: \"0x10\" does not fit, expected " NUMBER "\n"},
    {"number: 99999999999999999999",
     "f:1:9: number: \"99999999999999999999\" does not fit, expected " NUMBER "\n"},
    /* bounds */
    {"number: 0", "f:1:9: number: \"0\" is too small, expected " NUMBER "\n"},
    {"number: 101", "f:1:9: number: \"101\" is too large, expected " NUMBER "\n"},
    {"free: 4", "f:1:7: free: \"4\" is too small, expected a whole number, at least 5\n"},
    {"size: 1023b", "f:1:7: size: \"1023b\" is too small, expected " SIZE "\n"},
    {"size: 2gb", "f:1:7: size: \"2gb\" is too large, expected " SIZE "\n"},
    {"size: 0", "f:1:7: size: \"0\" is too small, expected " SIZE "\n"},
    {"duration: 99ms", "f:1:11: duration: \"99ms\" is too small, expected " DURATION "\n"},
    {"duration: 25h", "f:1:11: duration: \"25h\" is too large, expected " DURATION "\n"},
    /* units */
    {"size: 2048", "f:1:7: size: \"2048\" does not fit, expected " SIZE "\n"},
    {"size: 10kg", "f:1:7: size: \"10kg\" does not fit, expected " SIZE "\n"},
    {"duration: 30", "f:1:11: duration: \"30\" does not fit, expected " DURATION "\n"},
    {"mode: 0888", "f:1:7: mode: \"0888\" is not one, expected an octal file mode such as 0660\n"},
    {"mode: 1777", "f:1:7: mode: \"1777\" is not one, expected an octal file mode such as 0660\n"},
    {"mode: rw-r--r--", "f:1:7: mode: \"rw-r--r--\" is not one, expected an octal file mode such as 0660\n"},
    /* near misses */
    {"choice: reqire",
     "f:1:9: choice: \"reqire\" is not known, expected " CHOICE "; did you mean \"require\"?\n"},
    {"choice: Off", "f:1:9: choice: \"Off\" is not known, expected " CHOICE "; did you mean \"off\"?\n"},
    {"choice: always", "f:1:9: choice: \"always\" is not known, expected " CHOICE "\n"},
    {"choice: off|require", "f:1:9: choice: \"off|require\" is not known, expected " CHOICE "\n"},
    {"choice: ''", "f:1:9: choice: \"\" is not known, expected " CHOICE "\n"},
    {"txet: a", "f:1:1: txet: this key is not known, expected one of " KEYS "; did you mean \"text\"?\n"},
    {"zebra: a", "f:1:1: zebra: this key is not known, expected one of " KEYS "\n"},
    {"inner: {sise: 1kb}",
     "f:1:9: inner.sise: this key is not known, expected one of name, size, flag; did you mean \"size\"?\n"},
    /* what is required */
    {"needy: {}", "f:1:8: needy: the key `key` is missing, expected a text\n"},
    {"needy:", "f:1:7: needy: there is no value, expected a map with key, or a text\n"},
    /* own types speak for themselves */
    {"own: xx", "f:1:6: own: this is no letter\n"},
    /* all of it in one run, in the file's order */
    {"own: xx\nnumber: many\ninner:\n  size: x\n  flg: true\nneedy: {}\n",
     "f:1:6: own: this is no letter\n"
     "f:2:9: number: \"many\" does not fit, expected " NUMBER "\n"
     "f:4:9: inner.size: \"x\" does not fit, expected a size such as 512b, 10kb, 4mb or 1gb\n"
     "f:5:3: inner.flg: this key is not known, expected one of name, size, flag; did you mean \"flag\"?\n"
     "f:6:8: needy: the key `key` is missing, expected a text\n"},
    /* a long value is cut, between characters */
    {"number: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xe2\x82\xac",
     "f:1:9: number: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" does not fit, "
     "expected " NUMBER "\n"},
};

START_TEST(values_are_refused_with_a_reason)
{
    const struct refusal_row *row = &decode_refusals[_i];
    struct sample sample;
    ck_assert(!decode(row->content, &sample));
    ck_assert_str_eq(printed(), row->findings);
}
END_TEST

START_TEST(nothing_written_misses_what_is_required)
{
    struct needy needy = {0};
    struct decoder own = decoder();
    ck_assert(!decode_section(&own, &needy_section, NULL, &needy));
    ck_assert_str_eq(printed(), "f:1:1: the key `key` is missing, expected a text\n");
}
END_TEST

START_TEST(units_are_read)
{
    static const struct {
        const char *text;
        bool is_size, is_duration;
        uint64_t size, duration;
    } rows[] = {
        {"0", true, true, 0, 0},
        {"1b", true, false, 1, 0},
        {"10kb", true, false, 10240, 0},
        {"4mb", true, false, UINT64_C(4) << 20, 0},
        {"1gb", true, false, UINT64_C(1) << 30, 0},
        {"2tb", true, false, UINT64_C(2) << 40, 0},
        {"16777215tb", true, false, UINT64_C(16777215) << 40, 0},
        {"16777216tb", false, false, 0, 0}, /* 2^64 */
        {"18446744073709551616b", false, false, 0, 0},
        {"500ms", false, true, 0, 500},
        {"30s", false, true, 0, 30000},
        {"15m", false, true, 0, 900000},
        {"1h", false, true, 0, 3600000},
        {"7d", false, true, 0, 604800000},
        {"0s", false, true, 0, 0},
        {"213503982334d", false, true, 0, UINT64_C(213503982334) * 86400000},
        {"213503982335d", false, false, 0, 0},
        {"1", false, false, 0, 0},
        {"", false, false, 0, 0},
        {"b", false, false, 0, 0},
        {"10KB", false, false, 0, 0},
        {"10 kb", false, false, 0, 0},
        {"1.5mb", false, false, 0, 0},
        {"-1kb", false, false, 0, 0},
        {"+1kb", false, false, 0, 0},
        {"1kb ", false, false, 0, 0},
        {"1h30m", false, false, 0, 0},
        {"0x1kb", false, false, 0, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 0;
        ck_assert_msg(decode_size(text_of(rows[i].text), &value) == rows[i].is_size, "%s", rows[i].text);
        ck_assert(!rows[i].is_size || value == rows[i].size);
        ck_assert_msg(decode_duration(text_of(rows[i].text), &value) == rows[i].is_duration, "%s",
                      rows[i].text);
        ck_assert(!rows[i].is_duration || value == rows[i].duration);
    }
}
END_TEST

START_TEST(expectations_are_worded)
{
    static const struct {
        struct field field;
        const char *words;
    } rows[] = {
        {{.type = FIELD_TEXT}, "a text"},
        {{.type = FIELD_NUMBER}, "a whole number"},
        {{.type = FIELD_NUMBER, .most = 10}, "a whole number, 0 to 10"},
        {{.type = FIELD_NUMBER, .least = 3}, "a whole number, at least 3"},
        {{.type = FIELD_SIZE, .least = 1536, .most = UINT64_C(1) << 40},
         "a size such as 512b, 10kb, 4mb or 1gb, 1536b to 1tb"},
        {{.type = FIELD_DURATION, .least = 1500, .most = 90000},
         "a duration such as 500ms, 30s, 15m, 1h or 7d, 1500ms to 90s"},
        {{.type = FIELD_CHOICE, .choices = "one"}, "one of one"},
        {{.type = FIELD_SECTION, .section = &inner_section}, "a map with name, size, flag, or a text"},
        {{.type = FIELD_OWN, .expects = "a letter"}, "a letter"},
        {{.type = FIELD_OWN}, "a value"},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        ck_assert_str_eq(decode_expectation(&rows[i].field, arena), rows[i].words);
}
END_TEST

/* ---- secrets */

static bool decode_secret_of(const char *content, struct text *secret)
{
    struct decoder own = decoder();
    own.folder = folder;
    *secret = (struct text){0};
    return decode_secret(&own, yaml(content), secret);
}

START_TEST(secrets_are_read)
{
    static const struct {
        struct text content, secret;
    } rows[] = {
        {{"hunter2", 7}, {"hunter2", 7}}, {{"hunter2\n", 8}, {"hunter2", 7}}, {{"a\n\n", 3}, {"a\n", 2}},
        {{"a\r\n", 3}, {"a", 1}},         {{"a\r", 2}, {"a\r", 2}},           {{" a ", 3}, {" a ", 3}},
        {{"\0\xff\n", 3}, {"\0\xff", 2}},
    };
    struct text secret;
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_file("key", rows[i].content, 0640);
        ck_assert_msg(decode_secret_of("file:key", &secret), "%s", printed());
        ck_assert_msg(text_equal(secret, rows[i].secret), "row %zu", i);
    }
    ck_assert(decode_secret_of(arena_printf(arena, "file:%s/key", folder), &secret));
    ck_assert_int_eq(setenv("CHECK_DATA_SECRET", "from outside\n", 1), 0);
    ck_assert(decode_secret_of("'env:CHECK_DATA_SECRET'", &secret));
    ck_assert(text_equal(secret, TEXT("from outside\n")));
}
END_TEST

START_TEST(bad_secrets_are_told)
{
    struct text secret;
    setenv("CHECK_DATA_EMPTY", "", 1);
    unsetenv("CHECK_DATA_MISSING");
    write_file("key", TEXT("hunter2"), 0644);
    ck_assert(!decode_secret_of("file:key", &secret));
    ck_assert_str_eq(printed(),
                     arena_printf(arena,
                                  "f:1:1: %s/key can be read or written by everybody, expected mode 0640 or "
                                  "0600\n",
                                  folder));
    static const struct {
        const char *name, *finding;
        struct text content;
    } rows[] = {
        {"file:missing", "cannot be read: No such file or directory", {"", 0}},
        {"file:.", "is not a regular file", {"", 0}},
        {"file:key", "key is empty", {"", 0}},
        {"file:key", "key is empty", {"\n", 1}},
        {"file:key", "key is empty", {"\r\n", 2}},
        {"env:CHECK_DATA_MISSING", "CHECK_DATA_MISSING is not in the environment", {"", 0}},
        {"env:CHECK_DATA_EMPTY", "CHECK_DATA_EMPTY is empty in the environment", {"", 0}},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        again();
        write_file("key", rows[i].content, 0600);
        ck_assert_msg(!decode_secret_of(rows[i].name, &secret), "%s", rows[i].name);
        ck_assert_uint_eq(findings.errors, 1);
        ck_assert_msg(strstr(printed(), rows[i].finding) != NULL, "%s", printed());
    }
    again();
    write_file("key", repeated("x", 64 * 1024 + 1), 0600);
    ck_assert(!decode_secret_of("file:key", &secret));
    ck_assert_msg(strstr(printed(), "key is larger than 64kb") != NULL, "%s", printed());
    again();
    write_file("key", repeated("x", 64 * 1024), 0600);
    ck_assert(decode_secret_of("file:key", &secret));
    ck_assert_uint_eq(secret.length, 64 * 1024);
}
END_TEST

static bool secret_elsewhere(const char *content, bool elsewhere, struct text *secret)
{
    again();
    struct decoder own = decoder();
    own.folder = folder;
    own.elsewhere = elsewhere;
    *secret = (struct text){0};
    return decode_secret(&own, yaml(content), secret);
}

static bool file_is_elsewhere(const char *path)
{
    again();
    struct decoder own = decoder();
    own.folder = folder;
    own.elsewhere = true;
    return decode_is_elsewhere(&own, yaml(path));
}

/* What is here is judged as ever, also where it need not be. */
START_TEST(what_is_elsewhere_need_not_be_here)
{
    static const char *const missing[] = {"file:missing", "env:CHECK_DATA_MISSING", "file:/none/key"};
    static const char *const wrong[] = {"file:key", "file:.", "file:", "'env:'", "hunter2", "missing"};
    struct text secret;
    unsetenv("CHECK_DATA_MISSING");
    write_file("key", TEXT("hunter2"), 0644);
    for (size_t i = 0; i < COUNT(missing); i++) {
        ck_assert_msg(!secret_elsewhere(missing[i], false, &secret), "%s", missing[i]);
        ck_assert_msg(secret_elsewhere(missing[i], true, &secret), "%s", missing[i]);
        ck_assert_uint_eq(secret.length, 0);
        ck_assert_uint_eq(findings.errors, 0);
    }
    for (size_t i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(!secret_elsewhere(wrong[i], true, &secret), "%s", wrong[i]);
    ck_assert(file_is_elsewhere("missing") && !file_is_elsewhere("key"));
    write_file("key", TEXT("hunter2"), 0600);
    ck_assert(secret_elsewhere("file:key", true, &secret) && text_equal(secret, TEXT("hunter2")));
}
END_TEST

START_TEST(a_secret_written_out_is_not_repeated)
{
    static const char *const rows[] = {"hunter2", "file:",           "'env:'", "[hunter2]",
                                       "~",       "{file: hunter2}", "''"};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct text secret;
        again();
        ck_assert(!decode_secret_of(rows[i], &secret));
        ck_assert_str_eq(printed(),
                         "f:1:1: this is not the name of a secret, expected file:PATH or env:NAME\n");
    }
}
END_TEST

/* ---- suite */

static TCase *new_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_add_checked_fixture(tests, begin, end);
    suite_add_tcase(suite, tests);
    return tests;
}

static void add_reader_tests(Suite *suite)
{
    TCase *readers = new_case(suite, "readers");
    tcase_add_loop_test(readers, yaml_becomes_nodes, 0, COUNT(yaml_trees));
    tcase_add_loop_test(readers, json_becomes_nodes, 0, COUNT(json_trees));
    tcase_add_loop_test(readers, yaml_is_refused_with_a_reason, 0, COUNT(yaml_refusals));
    tcase_add_loop_test(readers, json_is_refused_with_a_reason, 0, COUNT(json_refusals));
    tcase_add_test(readers, other_bad_json_is_refused);
    tcase_add_test(readers, depth_is_limited);
    tcase_add_test(readers, neighbours_are_not_depth);
    tcase_add_test(readers, deep_nesting_is_refused_at_once);
    tcase_add_test(readers, size_and_count_are_limited);
    tcase_add_test(readers, many_keys_are_read_fast);
    tcase_add_test(readers, aliases_are_limited);
    tcase_add_test(readers, broken_files_have_findings);
}

static void add_finding_tests(Suite *suite)
{
    TCase *tests = new_case(suite, "nodes and findings");
    tcase_add_test(tests, nodes_have_paths);
    tcase_add_test(tests, findings_are_sorted);
    tcase_add_test(tests, findings_are_taken_over);
    tcase_add_test(tests, findings_are_limited);
    tcase_add_test(tests, findings_are_safe_to_print);
    tcase_add_test(tests, near_names_are_suggested);
}

static void add_decode_tests(Suite *suite)
{
    TCase *tests = new_case(suite, "decode");
    tcase_add_test(tests, defaults_are_filled_in);
    tcase_add_test(tests, values_are_decoded);
    tcase_add_test(tests, bounds_are_within);
    tcase_add_test(tests, json_decodes_alike);
    tcase_add_test(tests, short_forms_are_the_first_field);
    tcase_add_loop_test(tests, values_are_refused_with_a_reason, 0, COUNT(decode_refusals));
    tcase_add_test(tests, nothing_written_misses_what_is_required);
    tcase_add_test(tests, units_are_read);
    tcase_add_test(tests, expectations_are_worded);
}

static void add_file_tests(Suite *suite)
{
    TCase *tests = tcase_create("files");
    tcase_add_checked_fixture(tests, begin_folder, end_folder);
    tcase_add_test(tests, files_are_read_by_name);
    tcase_add_test(tests, files_that_cannot_be_read_are_told);
    tcase_add_test(tests, secrets_are_read);
    tcase_add_test(tests, bad_secrets_are_told);
    tcase_add_test(tests, what_is_elsewhere_need_not_be_here);
    tcase_add_test(tests, a_secret_written_out_is_not_repeated);
    suite_add_tcase(suite, tests);
}

int main(void)
{
    Suite *suite = suite_create("data");
    add_reader_tests(suite);
    add_finding_tests(suite);
    add_decode_tests(suite);
    add_file_tests(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
