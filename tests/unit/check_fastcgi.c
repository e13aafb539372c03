/*
 * Tests of the pure parts of the fastcgi handler, by tables: what is written and
 * read on the wire, which script a path names, what is an address.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "handler/fastcgi.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct arena *arena;

static void set_up(void)
{
    arena = arena_new();
}

static void tear_down(void)
{
    arena_free(arena);
}

/* ================ records */

START_TEST(begin_and_end)
{
    unsigned char begin[RECORD_BEGIN_SIZE];
    static const unsigned char wanted[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0};
    record_write_begin(begin, FASTCGI_REQUEST, ROLE_RESPONDER, RECORD_KEEP_CONNECTION);
    ck_assert_mem_eq(begin, wanted, sizeof wanted);
    static const unsigned char content[] = {0x80, 1, 2, 3, 2, 9, 9, 9};
    struct record_end end = record_read_end(content);
    ck_assert_uint_eq(end.application_status, 0x80010203);
    ck_assert_uint_eq(end.protocol_status, END_OVERLOADED);
}
END_TEST

START_TEST(params_are_read_as_written)
{
    static const size_t lengths[] = {0, 1, 126, 127, 128, 129, 255, 256, 65535, 65536, 70000};
    char *at = arena_alloc(arena, 70000);
    memset(at, 'v', 70000);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        for (size_t k = 0; k < COUNT(lengths); k++) {
            struct text name = {at, lengths[i]}, value = {at, lengths[k]};
            size_t size = record_param_size(name, value);
            unsigned char *to = arena_alloc(arena, size);
            struct params params;
            ck_assert_ptr_eq(record_write_param(to, name, value), to + size);
            ck_assert(record_params((struct text){(char *)to, size}, 2, arena, &params));
            ck_assert_uint_eq(params.count, 1);
            ck_assert(text_equal(params.items[0].name, name) && text_equal(params.items[0].value, value));
        }
    }
}
END_TEST

/* ================ replies */

#define OUT(text)      "\1\6\0\1\0" text
#define END_OF_REQUEST "\1\3\0\1\0\10\0\0\0\0\0\0\0\0\0\0"

struct reply_case {
    const char *name;
    struct text bytes;
    enum fastcgi_step step;
    const char *output, *errors, *fault;
    size_t left;
};

static const struct reply_case reply_cases[] = {
    {"nothing", {"", 0}, FASTCGI_MORE, "", "", NULL, 0},
    {"output and end", TEXT(OUT("\3\0\0abc") END_OF_REQUEST), FASTCGI_END, "abc", "", NULL, 0},
    {"two records", TEXT(OUT("\1\0\0a") OUT("\1\0\0b") END_OF_REQUEST), FASTCGI_END, "ab", "", NULL, 0},
    {"padding", TEXT(OUT("\1\2\0axx") OUT("\0\1\0x") END_OF_REQUEST), FASTCGI_END, "a", "", NULL, 0},
    {"errors", TEXT("\1\7\0\1\0\2\0\0no" END_OF_REQUEST), FASTCGI_END, "", "no", NULL, 0},
    {"bytes behind", TEXT(END_OF_REQUEST "xy"), FASTCGI_END, "", "", NULL, 2},
    {"padding of the end", TEXT("\1\3\0\1\0\10\2\0\0\0\0\0\0\0\0\0xx"), FASTCGI_END, "", "", NULL, 0},
    {"padding of the end is missing", TEXT("\1\3\0\1\0\10\2\0\0\0\0\0\0\0\0\0x"), FASTCGI_MORE, "", "", NULL,
     0},
    {"no end", TEXT(OUT("\3\0\0abc") OUT("\0\0\0")), FASTCGI_MORE, "abc", "", NULL, 0},
    {"version", TEXT("\2\6\0\1\0\1\0\0a"), FASTCGI_BROKEN, "", "", "version", 1},
    {"id 2", TEXT("\1\6\0\2\0\1\0\0a"), FASTCGI_BROKEN, "", "", "another request", 1},
    {"id 256", TEXT("\1\6\1\0\0\1\0\0a"), FASTCGI_BROKEN, "", "", "another request", 1},
    {"type", TEXT("\1\5\0\1\0\1\0\0a"), FASTCGI_BROKEN, "", "", "no part of a reply", 1},
    {"long end", TEXT("\1\3\0\1\0\11\0\0"), FASTCGI_BROKEN, "", "", "8 bytes", 0},
    {"behind the end of a stream", TEXT(OUT("\0\0\0") OUT("\1\0\0a")), FASTCGI_BROKEN, "", "",
     "behind the end", 1},
    {"a stream ends twice", TEXT(OUT("\0\0\0") OUT("\0\0\0") END_OF_REQUEST), FASTCGI_END, "", "", NULL, 0},
};

START_TEST(replies)
{
    const struct reply_case *c = &reply_cases[_i];
    for (size_t size = 1; size <= c->bytes.length + 1; size++) {
        struct fastcgi_reply reply = {0};
        struct bytes output = bytes_new(arena, 1000), errors = bytes_new(arena, 1000);
        struct text all = c->bytes, piece;
        enum fastcgi_step step = FASTCGI_MORE;
        while (all.length > 0 && step != FASTCGI_END && step != FASTCGI_BROKEN) {
            struct text rest = {all.at, all.length < size ? all.length : size};
            size_t before = rest.length;
            while ((step = fastcgi_reply_take(&reply, &rest, &piece)) == FASTCGI_OUTPUT ||
                   step == FASTCGI_ERRORS)
                bytes_add_text(step == FASTCGI_OUTPUT ? &output : &errors, piece);
            all = text_from(all, before - rest.length);
        }
        ck_assert_msg(step == c->step, "%s: step %d", c->name, step);
        ck_assert_msg(text_equal(bytes_text(&output), text_of(c->output)), "%s: output", c->name);
        ck_assert_msg(text_equal(bytes_text(&errors), text_of(c->errors)), "%s: errors", c->name);
        ck_assert_msg(!c->fault || strstr(reply.fault, c->fault), "%s: %s", c->name, reply.fault);
        ck_assert_uint_eq(all.length, c->left);
    }
}
END_TEST

START_TEST(empty_records)
{
    struct fastcgi_reply reply = {0};
    struct text piece, one = TEXT("\1\7\0\1\0\0\0\0");
    for (size_t i = 0; i < FASTCGI_EMPTY_LIMIT; i++) {
        struct text rest = one;
        ck_assert_int_eq(fastcgi_reply_take(&reply, &rest, &piece), FASTCGI_MORE);
    }
    ck_assert_int_eq(fastcgi_reply_take(&reply, &one, &piece), FASTCGI_BROKEN);
}
END_TEST

/* ================ scripts */

struct script_case {
    const char *path, *script, *path_info; /* script NULL: there is none */
    const char *unchecked;                 /* the same where nobody looks; NULL: there is none */
};

static const struct script_case script_cases[] = {
    {"", "/index.php", "", "/index.php"},
    {"/", "/index.php", "", "/index.php"},
    {"/a.php", "/a.php", "", "/a.php"},
    {"/a.php/", "/a.php", "/", "/a.php"},
    {"/a.php/b/c", "/a.php", "/b/c", "/a.php"},
    {"/a.php/a.php", "/a.php", "/a.php", "/a.php"},
    {"/sub/", "/sub/index.php", "", "/sub/index.php"},
    {"/sub", NULL, NULL, NULL},
    {"/sub/a.php", NULL, NULL, "/sub/a.php"},
    {"/dir.php/in.php/x", "/dir.php/in.php", "/x", "/dir.php"},
    {"/dir.php", NULL, NULL, "/dir.php"},
    {"/up.jpg/x.php", NULL, NULL, "/up.jpg/x.php"},
    {"/up.jpg/", NULL, NULL, "/up.jpg/index.php"},
    {"/up.jpg", NULL, NULL, NULL},
    {"/a.PHP", NULL, NULL, NULL},
    {"/a.php5", NULL, NULL, NULL},
    {"/.php", NULL, NULL, NULL},
    {"/sub/.php", NULL, NULL, NULL},
    {"/out.php", NULL, NULL, "/out.php"},
    {"/in.php", "/in.php", "", "/in.php"},
    {"/none.php", NULL, NULL, "/none.php"},
};

static char root[] = "/tmp/fcgiguard-check-XXXXXX";

static void make_file(const char *name)
{
    FILE *file = fopen(arena_printf(arena, "%s/%s", root, name), "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
}

static void make_root(void)
{
    set_up();
    memcpy(root + sizeof root - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(mkdir(arena_printf(arena, "%s/sub", root), 0700), 0);
    ck_assert_int_eq(mkdir(arena_printf(arena, "%s/dir.php", root), 0700), 0);
    static const char *const files[] = {"index.php",      "a.php",  "sub/index.php",
                                        "dir.php/in.php", "up.jpg", ".php"};
    for (size_t i = 0; i < COUNT(files); i++)
        make_file(files[i]);
    ck_assert_int_eq(symlink("/etc/passwd", arena_printf(arena, "%s/out.php", root)), 0);
    ck_assert_int_eq(symlink("a.php", arena_printf(arena, "%s/in.php", root)), 0);
}

static void remove_root(void)
{
    static const char *const names[] = {
        "index.php", "a.php",  "sub/index.php", "dir.php/in.php", "up.jpg", ".php",
        "out.php",   "in.php", "sub",           "dir.php",        ""};
    for (size_t i = 0; i < COUNT(names); i++)
        ck_assert_int_eq(remove(arena_printf(arena, "%s/%s", root, names[i])), 0);
    tear_down();
}

START_TEST(scripts)
{
    struct text extension = TEXT(".php");
    for (int check = 0; check < 2; check++) {
        const struct script_rules rules = {
            .root = root, .index = "index.php", .extensions = {&extension, 1}, .check = check};
        for (size_t i = 0; i < COUNT(script_cases); i++) {
            const struct script_case *c = &script_cases[i];
            const char *wanted = check ? c->script : c->unchecked, *detail = NULL;
            struct script script = {0};
            enum script_found found = fastcgi_script_find(&rules, text_of(c->path), arena, &script, &detail);
            ck_assert_msg(found == (wanted ? SCRIPT_FOUND : SCRIPT_NOT_FOUND), "%s: %d", c->path, found);
            ck_assert_msg(!wanted || text_equal(script.name, text_of(wanted)), "%s: %.*s", c->path,
                          TEXT_ARGUMENTS(script.name));
            ck_assert(!check || !wanted || text_equal(script.path_info, text_of(c->path_info)));
            ck_assert(wanted || detail);
        }
    }
}
END_TEST

START_TEST(scripts_by_other_rules)
{
    struct script script;
    const char *detail;
    struct script_rules any = {.root = root, .check = true};
    ck_assert_int_eq(fastcgi_script_find(&any, TEXT("/up.jpg/x.php"), arena, &script, &detail), SCRIPT_FOUND);
    ck_assert(text_equal(script.name, TEXT("/up.jpg")) && text_equal(script.path_info, TEXT("/x.php")));
    ck_assert_int_eq(fastcgi_script_find(&any, TEXT("/sub/"), arena, &script, &detail), SCRIPT_NOT_FOUND);
    struct script_rules one = {.root = "/elsewhere", .script = "app/main.php", .check = true};
    ck_assert_int_eq(fastcgi_script_find(&one, TEXT("/x/y"), arena, &script, &detail), SCRIPT_FOUND);
    ck_assert(text_equal(script.name, TEXT("/app/main.php")) && script.path_info.length == 0);
    struct script_rules lost = {.root = "/no/such/folder", .check = true};
    ck_assert_int_eq(fastcgi_script_find(&lost, TEXT("/a.php"), arena, &script, &detail), SCRIPT_FAILED);
}
END_TEST

/* As a user whom modes stop. */
START_TEST(closed_folders_have_no_scripts)
{
    static const char *const paths[] = {"/sub/a.php", "/sub/", "/sub/index.php/x"};
    static struct text extension = TEXT(".php");
    const char *sub = arena_printf(arena, "%s/sub", root), *detail = NULL;
    const struct script_rules rules = {
        .root = root, .index = "index.php", .extensions = {&extension, 1}, .check = true};
    bool is_root = geteuid() == 0;
    struct script script;
    ck_assert(chmod(root, 0755) == 0 && chmod(sub, 0) == 0);
    ck_assert(!is_root || seteuid(65534) == 0);
    for (size_t i = 0; i < COUNT(paths); i++) {
        enum script_found found = fastcgi_script_find(&rules, text_of(paths[i]), arena, &script, &detail);
        ck_assert_msg(found == SCRIPT_NOT_FOUND, "%s: %d", paths[i], found);
        ck_assert(strstr(detail, "may not be searched"));
    }
    ck_assert_int_eq(fastcgi_script_find(&rules, TEXT("/a.php"), arena, &script, &detail), SCRIPT_FOUND);
    ck_assert(!is_root || seteuid(0) == 0);
    ck_assert_int_eq(chmod(sub, 0700), 0);
}
END_TEST

/* ================ addresses */

struct address_case {
    const char *text;
    int family; /* 0: none; -1: a name */
};

static const struct address_case address_cases[] = {
    {"unix:/run/a.sock", AF_UNIX},
    {"unix:run/a.sock", 0},
    {"unix:", 0},
    {"127.0.0.1:9000", AF_INET},
    {"tcp:127.0.0.1:1", AF_INET},
    {"[::1]:9000", AF_INET6},
    {"::1:9000", 0},
    {"[::1]", 0},
    {"[x]:1", 0},
    {"php:9000", -1},
    {"a-b.example.:80", -1},
    {"php", 0},
    {"php:", 0},
    {"php:0", 0},
    {"php:65536", 0},
    {"php:http", 0},
    {":9000", 0},
    {"a b:1", 0},
    {"256.1.1.1:80", 0},
    {"1.2.3:80", 0},
    {"a..b:80", 0},
    {".:80", 0},
    {"9.example:80", -1},
    {"http://a:80", 0},
    {"", 0},
};

START_TEST(addresses)
{
    const struct address_case *c = &address_cases[_i];
    struct backend_address address;
    struct error error = {0};
    bool good = backend_address_parse(text_of(c->text), arena, &address, &error);
    ck_assert_msg(good == (c->family != 0), "%s: %s", c->text, error.message);
    if (!good) {
        ck_assert_ptr_nonnull(strstr(error.message, "expected"));
        return;
    }
    ck_assert_int_eq(address.name ? -1 : address.at.any.sa_family, c->family);
    ck_assert(backend_address_needs_network(&address) == (c->family != AF_UNIX));
}
END_TEST

START_TEST(one_place_for_each_address)
{
    static const char *const cases[][2] = {{"tcp:127.0.0.1:09000", "127.0.0.1:9000"},
                                           {"[0:0::0001]:9000", "[::1]:9000"},
                                           {"[2001:DB8::A]:9000", "[2001:db8::a]:9000"},
                                           {"PHP.example:9000", "php.example:9000"},
                                           {"unix:/run/A.sock", "unix:/run/A.sock"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend_address address;
        struct error error = {0};
        ck_assert(backend_address_parse(text_of(cases[i][0]), arena, &address, &error));
        ck_assert_str_eq(address.place, cases[i][1]);
    }
}
END_TEST

START_TEST(path_that_is_too_long)
{
    struct backend_address address;
    struct error error = {0};
    char text[200] = "unix:/";
    memset(text + 6, 'a', sizeof text - 7);
    ck_assert(!backend_address_parse(text_of(text), arena, &address, &error));
}
END_TEST

/* ================ */

static TCase *add_case(Suite *suite, const char *name, void (*before)(void), void (*after)(void))
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, before, after);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static Suite *fastcgi_suite(void)
{
    Suite *suite = suite_create("fastcgi");
    TCase *wire = add_case(suite, "wire", set_up, tear_down);
    tcase_add_test(wire, begin_and_end);
    tcase_add_test(wire, params_are_read_as_written);
    tcase_add_loop_test(wire, replies, 0, COUNT(reply_cases));
    tcase_add_test(wire, empty_records);
    TCase *found = add_case(suite, "scripts", make_root, remove_root);
    tcase_add_test(found, scripts);
    tcase_add_test(found, scripts_by_other_rules);
    tcase_add_test(found, closed_folders_have_no_scripts);
    TCase *named = add_case(suite, "addresses", set_up, tear_down);
    tcase_add_loop_test(named, addresses, 0, COUNT(address_cases));
    tcase_add_test(named, one_place_for_each_address);
    tcase_add_test(named, path_that_is_too_long);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(fastcgi_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
