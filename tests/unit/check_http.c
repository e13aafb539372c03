/*
 * Tests of src/http: what a request becomes, and what is refused. Most are
 * tables; a row is a case.
 */
#include "config.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "http/exchange.h"
#include "http/forwarded.h"
#include "http/host.h"
#include "http/path.h"
#include "http/record.h"
#include "http/reserved.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static struct arena *arena;

static void make_arena(void)
{
    arena = arena_new();
}

static void free_arena(void)
{
    arena_free(arena);
}

static const char *string(struct text text)
{
    return arena_copy(arena, text.at ? text.at : "", text.length);
}

#define ck_text_eq(text, expected) ck_assert_str_eq(string(text), (expected))

/* ---- paths */

static const struct {
    const char *target, *path; /* a path with "/", or the code of the refusal */
    size_t length;             /* of a target with NUL bytes; else 0 */
} paths[] = {
    {"/", "/", 0},
    {"/a", "/a", 0},
    {"/a/", "/a/", 0},
    {"/a/b/c", "/a/b/c", 0},
    {"//", "/", 0},
    {"///", "/", 0},
    {"//a", "/a", 0},
    {"/a//b", "/a/b", 0},
    {"/a//", "/a/", 0},
    {"/.", "/", 0},
    {"/./", "/", 0},
    {"/a/.", "/a/", 0},
    {"/a/./b", "/a/b", 0},
    {"/a/././b/", "/a/b/", 0},
    {"/a/..", "/", 0},
    {"/a/../", "/", 0},
    {"/a/../b", "/b", 0},
    {"/a/b/..", "/a/", 0},
    {"/a/b/../", "/a/", 0},
    {"/a/b/../c", "/a/c", 0},
    {"/a/b/c/../../d", "/a/d", 0},
    {"/a/b//../c", "/a/c", 0},
    {"/abc/../abc/../x", "/x", 0},
    {"/...", "/...", 0},
    {"/..a", "/..a", 0},
    {"/a..", "/a..", 0},
    {"/.a/.b", "/.a/.b", 0},
    {"/a/..b/c", "/a/..b/c", 0},
    {"/%2e", "/", 0},
    {"/a/%2e%2e/b", "/b", 0},
    {"/a/.%2E/b", "/b", 0},
    {"/a/%2e./b", "/b", 0},
    {"/a%20b", "/a b", 0},
    {"/%41%42", "/AB", 0},
    {"/%7E", "/~", 0},
    {"/%25", "/%", 0},
    {"/%2525", "/%25", 0},
    {"/%252e%252e/", "/%2e%2e/", 0},
    {"/%252f", "/%2f", 0},
    {"/a%3Fb", "/a?b", 0},
    {"/a%23b", "/a#b", 0},
    {"/a;b=c", "/a;b=c", 0},
    {"/a+b", "/a+b", 0},
    {"/a:b@c", "/a:b@c", 0},
    {"/\"<>^`{|}", "/\"<>^`{|}", 0},
    {"/%C3%A9", "/\xc3\xa9", 0},
    {"/\xc3\xa9", "/\xc3\xa9", 0},
    {"/%E2%82%AC", "/\xe2\x82\xac", 0},
    {"/%F0%9F%98%80", "/\xf0\x9f\x98\x80", 0},
    {"/%C2%A0", "/\xc2\xa0", 0},
    {"/?", "/", 0},
    {"/a?b", "/a", 0},
    {"/a?b/../c%00%zz#", "/a", 0},
    {"/a/?x/..", "/a/", 0},
    {"/..?x", "path_above_root", 0},
    {"", "path_not_absolute", 0},
    {"a", "path_not_absolute", 0},
    {"?a", "path_not_absolute", 0},
    {"*", "path_not_absolute", 0},
    {"%2Fa", "path_not_absolute", 0},
    {"\\a", "path_not_absolute", 0},
    {"http://h/a", "path_not_absolute", 0},
    {"/%", "path_bad_escape", 0},
    {"/%2", "path_bad_escape", 0},
    {"/%zz", "path_bad_escape", 0},
    {"/%2g", "path_bad_escape", 0},
    {"/%g2", "path_bad_escape", 0},
    {"/%%20", "path_bad_escape", 0},
    {"/%?20", "path_bad_escape", 0},
    {"/%u002e", "path_bad_escape", 0},
    {"/%+1", "path_bad_escape", 0},
    {"/%00", "path_nul", 0},
    {"/a%00.txt", "path_nul", 0},
    {"/a\0b", "path_nul", 4},
    {"/%0a", "path_control_character", 0},
    {"/%0d%0aX:y", "path_control_character", 0},
    {"/%1f", "path_control_character", 0},
    {"/%7f", "path_control_character", 0},
    {"/\x7f", "path_control_character", 0},
    {"/a\tb", "path_control_character", 0},
    {"/a\r\nb", "path_control_character", 0},
    {"/%C2%85", "path_control_character", 0},
    {"/%C2%9f", "path_control_character", 0},
    {"/a%2Fb", "path_encoded_slash", 0},
    {"/a%2fb", "path_encoded_slash", 0},
    {"/..%2f..%2f", "path_encoded_slash", 0},
    {"/a%5Cb", "path_encoded_slash", 0},
    {"/a%5cb", "path_encoded_slash", 0},
    {"/a\\b", "path_encoded_slash", 0},
    {"/a/..\\b", "path_encoded_slash", 0},
    {"/%ff", "path_bad_utf8", 0},
    {"/\xff", "path_bad_utf8", 0},
    {"/%c0%af", "path_bad_utf8", 0},
    {"/%c0%ae%c0%ae/", "path_bad_utf8", 0},
    {"/%e0%80%af", "path_bad_utf8", 0},
    {"/%c3", "path_bad_utf8", 0},
    {"/%c3/%a9", "path_bad_utf8", 0},
    {"/%ed%a0%80", "path_bad_utf8", 0},
    {"/%f4%90%80%80", "path_bad_utf8", 0},
    {"/%ff/../a", "path_bad_utf8", 0},
    {"/..", "path_above_root", 0},
    {"/../", "path_above_root", 0},
    {"/../a", "path_above_root", 0},
    {"/a/../..", "path_above_root", 0},
    {"/a/../../b", "path_above_root", 0},
    {"/%2e%2e/etc/passwd", "path_above_root", 0},
    {"/./../a", "path_above_root", 0},
    {"//../a", "path_above_root", 0},
    {"/a#b", "path_fragment", 0},
    {"/#", "path_fragment", 0},
};

START_TEST(path_is_canonical)
{
    struct text target = text_of(paths[_i].target), path;
    if (paths[_i].length)
        target.length = paths[_i].length;
    const char *code = path_canonical(target, arena, &path);
    if (paths[_i].path[0] == '/') {
        ck_assert_msg(!code, "%s is refused: %s", paths[_i].target, code);
        ck_text_eq(path, paths[_i].path);
        ck_assert_int_eq(path.at[path.length], '\0');
    } else {
        ck_assert_msg(code, "%s is let in as %s", paths[_i].target, string(path));
        ck_assert_str_eq(code, paths[_i].path);
        ck_assert_uint_eq(path.length, 0);
    }
}
END_TEST

START_TEST(path_of_any_length)
{
    enum { DEPTH = 100000 };
    char *target = arena_alloc(arena, 3 * DEPTH + 1);
    struct text path;
    for (size_t i = 0; i < DEPTH; i++)
        memcpy(target + 2 * i, "/a", 2);
    ck_assert_ptr_null(path_canonical((struct text){target, 2 * DEPTH}, arena, &path));
    ck_assert_uint_eq(path.length, 2 * DEPTH);
    for (size_t i = 0; i < DEPTH; i++)
        memcpy(target + 3 * i, i < DEPTH / 2 ? "/aa" : "/..", 3);
    ck_assert_ptr_null(path_canonical((struct text){target, 3 * DEPTH}, arena, &path));
    ck_text_eq(path, "/");
}
END_TEST

static const struct {
    const char *path, *encoded;
} encodings[] = {
    {"/", "/"},
    {"/a/b", "/a/b"},
    {"/a b", "/a%20b"},
    {"/a%b", "/a%25b"},
    {"/a?b#c", "/a%3Fb%23c"},
    {"/\xc3\xa9", "/%C3%A9"},
    {"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@"},
    {"/\"<>[]^`{|}", "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D"},
    {"/a\r\nb", "/a%0D%0Ab"},
};

START_TEST(path_is_encoded)
{
    ck_text_eq(path_encode(text_of(encodings[_i].path), arena), encodings[_i].encoded);
}
END_TEST

/* ---- addresses */

static const struct {
    const char *text, *formatted; /* NULL: no address */
} addresses[] = {
    {"192.0.2.1", "192.0.2.1"},
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"192.0.2.1:80", "192.0.2.1"},
    {"192.0.2.1:0", "192.0.2.1"},
    {"192.0.2.1:65535", "192.0.2.1"},
    {"::1", "::1"},
    {"::", "::"},
    {"[::1]", "::1"},
    {"[::1]:443", "::1"},
    {"2001:DB8::1", "2001:db8::1"},
    {"[2001:db8::1]:65535", "2001:db8::1"},
    {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"1:2:3:4:5:6::", "1:2:3:4:5:6::"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
    {"fe80:0000:0000:0000:0204:61ff:fe9d:f156", "fe80::204:61ff:fe9d:f156"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {"::ffff:192.0.2.1", "192.0.2.1"},
    {"::FFFF:c000:0201", "192.0.2.1"},
    {"[::ffff:192.0.2.1]:80", "192.0.2.1"},
    {"::192.0.2.1", "::c000:201"},
    {"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
    {"", NULL},
    {" 192.0.2.1", NULL},
    {"192.0.2.1 ", NULL},
    {"192.0.2", NULL},
    {"192.0.2.1.1", NULL},
    {"192.0.2.256", NULL},
    {"192.0.2.01", NULL},
    {"0300.0.2.1", NULL},
    {"0xc0.0.2.1", NULL},
    {"3221225985", NULL},
    {"127.1", NULL},
    {"192.0.2.-1", NULL},
    {"192.0.2.1/24", NULL},
    {"192.0.2.1:", NULL},
    {"192.0.2.1:65536", NULL},
    {"192.0.2.1:http", NULL},
    {"192.0.2.1:_x", NULL},
    {"192.0.2.1:000080", NULL},
    {"[192.0.2.1]", NULL},
    {"[192.0.2.1]:80", NULL},
    {"[]", NULL},
    {"[::1", NULL},
    {"::1]", NULL},
    {"[::1]80", NULL},
    {"[::1]:", NULL},
    {"[::1]:x", NULL},
    {"[[::1]]", NULL},
    {"fe80::1%eth0", NULL},
    {"[fe80::1%25eth0]", NULL},
    {":::", NULL},
    {"1::2::3", NULL},
    {"1:2:3:4:5:6:7", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"12345::", NULL},
    {"g::", NULL},
    {":1", NULL},
    {"1:", NULL},
    {":80", NULL},
    {"unknown", NULL},
    {"_hidden", NULL},
    {"unix:", NULL},
    {"localhost", NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc", NULL},
};

START_TEST(address_is_read)
{
    struct address address;
    char text[ADDRESS_TEXT_SIZE];
    bool good = address_parse(text_of(addresses[_i].text), &address);
    ck_assert_msg(good == (addresses[_i].formatted != NULL), "%s", addresses[_i].text);
    ck_assert_int_eq(address.known, good);
    ck_assert_str_eq(address_format(&address, text), good ? addresses[_i].formatted : "unknown");
}
END_TEST

START_TEST(address_with_nul)
{
    struct address address;
    ck_assert(!address_parse((struct text){"192.0.2.1\0x", 11}, &address));
    ck_assert(!address_parse((struct text){NULL, 0}, &address));
}
END_TEST

START_TEST(address_compares)
{
    struct address one, other, unknown = {0};
    address_parse(TEXT("::ffff:192.0.2.1"), &one);
    address_parse(TEXT("192.0.2.1:7"), &other);
    ck_assert(address_equal(&one, &other));
    address_parse(TEXT("192.0.2.2"), &other);
    ck_assert(!address_equal(&one, &other));
    ck_assert(!address_equal(&unknown, &unknown));
}
END_TEST

static const struct {
    const char *network; /* NULL in `in` and `out`: not parsed */
    const char *in, *out;
} networks[] = {
    {"192.0.2.0/24", "192.0.2.0", "192.0.3.0"},
    {"192.0.2.0/24", "192.0.2.255", "192.0.1.255"},
    {"192.0.2.0/24", "::ffff:192.0.2.9", "::192.0.2.9"},
    {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
    {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
    {"172.16.0.0/12", "172.31.255.255", "172.32.0.0"},
    {"192.0.2.7/32", "192.0.2.7", "192.0.2.6"},
    {"192.0.2.7", "192.0.2.7", "192.0.2.8"},
    {"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
    {"0.0.0.0/0", "255.1.2.3", "::1"},
    {"128.0.0.0/1", "200.0.0.1", "127.0.0.1"},
    {"::/0", "2001:db8::1", "192.0.2.1"},
    {"::/80", "::1", "192.0.2.1"},
    {"::ffff:0:0/96", "192.0.2.1", "::1"},
    {"::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"},
    {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
    {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
    {"fe80::/10", "febf::1", "fec0::1"},
    {"::1", "::1", "::2"},
    {"::1/128", "::1", "::"},
    {"2001:db8::4/127", "2001:db8::5", "2001:db8::6"},
    {"", NULL, NULL},
    {"/", NULL, NULL},
    {"/8", NULL, NULL},
    {"10.0.0.0/", NULL, NULL},
    {"10.0.0.0/33", NULL, NULL},
    {"10.0.0.0/-1", NULL, NULL},
    {"10.0.0.0/08", NULL, NULL},
    {"10.0.0.0/+8", NULL, NULL},
    {"10.0.0.0/8 ", NULL, NULL},
    {"10.0.0.0/8/8", NULL, NULL},
    {"10.0.0.0/255.0.0.0", NULL, NULL},
    {"10.0.0.1/8", NULL, NULL},
    {"192.0.2.1/31", NULL, NULL},
    {"10.0.0/8", NULL, NULL},
    {"10.0.0.0:80", NULL, NULL},
    {"10.0.0.0:80/8", NULL, NULL},
    {"[::1]", NULL, NULL},
    {"[::]/0", NULL, NULL},
    {"::/129", NULL, NULL},
    {"2001:db8::1/64", NULL, NULL},
    {"::1/0", NULL, NULL},
    {"10.0.0.0/99999999999999999999", NULL, NULL},
    {"localhost", NULL, NULL},
};

START_TEST(network_is_read)
{
    struct network network;
    struct address address;
    bool good = network_parse(text_of(networks[_i].network), &network);
    ck_assert_msg(good == (networks[_i].in != NULL), "%s", networks[_i].network);
    if (!good)
        return;
    struct networks list = {&network, 1};
    ck_assert(address_parse(text_of(networks[_i].in), &address));
    ck_assert_msg(networks_hold(&list, &address), "%s in %s", networks[_i].in, networks[_i].network);
    ck_assert(address_parse(text_of(networks[_i].out), &address));
    ck_assert_msg(!networks_hold(&list, &address), "%s not in %s", networks[_i].out, networks[_i].network);
    ck_assert(!networks_hold(&list, &(struct address){0}));
}
END_TEST

/* ---- hosts */

static const struct {
    const char *text, *name, *port, *formatted; /* NULL: refused */
} hosts[] = {
    {"example.com", "example.com", "", "example.com"},
    {"EXAMPLE.Com", "example.com", "", "example.com"},
    {"example.com.", "example.com", "", "example.com"},
    {"example.com.:8080", "example.com", "8080", "example.com:8080"},
    {"example.com:1", "example.com", "1", "example.com:1"},
    {"example.com:65535", "example.com", "65535", "example.com:65535"},
    {"a_b-c.example", "a_b-c.example", "", "a_b-c.example"},
    {"xn--bcher-kva.example", "xn--bcher-kva.example", "", "xn--bcher-kva.example"},
    {"localhost", "localhost", "", "localhost"},
    {"1.example", "1.example", "", "1.example"},
    {"192.0.2.1", "192.0.2.1", "", "192.0.2.1"},
    {"192.0.2.1.:80", "192.0.2.1", "80", "192.0.2.1:80"},
    {"[::1]", "::1", "", "[::1]"},
    {"[2001:DB8:0:0::1]:443", "2001:db8::1", "443", "[2001:db8::1]:443"},
    {"[::ffff:192.0.2.1]", "192.0.2.1", "", "192.0.2.1"},
    {"", NULL, NULL, NULL},
    {".", NULL, NULL, NULL},
    {"..", NULL, NULL, NULL},
    {".example.com", NULL, NULL, NULL},
    {"example.com..", NULL, NULL, NULL},
    {"example..com", NULL, NULL, NULL},
    {"example.com:", NULL, NULL, NULL},
    {"example.com:0", NULL, NULL, NULL},
    {"example.com:080", NULL, NULL, NULL},
    {"example.com:65536", NULL, NULL, NULL},
    {"example.com:http", NULL, NULL, NULL},
    {"example.com:80:80", NULL, NULL, NULL},
    {":80", NULL, NULL, NULL},
    {"exa mple", NULL, NULL, NULL},
    {"user@example.com", NULL, NULL, NULL},
    {"example.com/x", NULL, NULL, NULL},
    {"example.com?x", NULL, NULL, NULL},
    {"example.com#x", NULL, NULL, NULL},
    {"example.com, other.com", NULL, NULL, NULL},
    {"a%41.example", NULL, NULL, NULL},
    {"b\xc3\xbc"
     "cher.example",
     NULL, NULL, NULL},
    {"a'b", NULL, NULL, NULL},
    {"a;b", NULL, NULL, NULL},
    {"*.example.com", NULL, NULL, NULL},
    {"127.1", NULL, NULL, NULL},
    {"0300.0.2.1", NULL, NULL, NULL},
    {"256.1.1.1", NULL, NULL, NULL},
    {"1.2.3.4.5", NULL, NULL, NULL},
    {"2130706433", NULL, NULL, NULL},
    {"example.1", NULL, NULL, NULL},
    {"::1", NULL, NULL, NULL},
    {"[::1", NULL, NULL, NULL},
    {"[::1]x", NULL, NULL, NULL},
    {"[::1]:", NULL, NULL, NULL},
    {"[::1]:80:80", NULL, NULL, NULL},
    {"[192.0.2.1]", NULL, NULL, NULL},
    {"[v1.x]", NULL, NULL, NULL},
    {"[fe80::1%25lo]", NULL, NULL, NULL},
    {"[]", NULL, NULL, NULL},
};

START_TEST(host_is_read)
{
    struct host host;
    bool good = host_parse(text_of(hosts[_i].text), arena, &host);
    ck_assert_msg(good == (hosts[_i].name != NULL), "%s", hosts[_i].text);
    if (!good)
        return;
    ck_text_eq(host.name, hosts[_i].name);
    ck_text_eq(host.port, hosts[_i].port);
    ck_text_eq(host_format(&host, arena), hosts[_i].formatted);
}
END_TEST

START_TEST(host_has_limits)
{
    struct host host;
    char name[260];
    memset(name, 'a', sizeof name);
    ck_assert(host_parse((struct text){name, 63}, arena, &host));
    ck_assert(!host_parse((struct text){name, 64}, arena, &host));
    for (size_t i = 50; i < sizeof name; i += 50)
        name[i] = '.';
    ck_assert(host_parse((struct text){name, 253}, arena, &host));
    ck_assert(!host_parse((struct text){name, 254}, arena, &host));
    ck_assert(!host_parse((struct text){"a\0b", 3}, arena, &host));
}
END_TEST

/* ---- headers and names */

START_TEST(headers_are_a_list)
{
    struct headers headers = {0};
    ck_assert_ptr_null(headers_get(&headers, "a"));
    for (int i = 0; i < 40; i++)
        headers_add(&headers, arena, TEXT("Set-Cookie"), text_of(arena_printf(arena, "%d", i)));
    headers_add(&headers, arena, TEXT("X-One"), TEXT("1"));
    headers_set(&headers, arena, TEXT("x-one"), TEXT("2"));
    headers_set(&headers, arena, TEXT("X-Two"), TEXT("3"));
    ck_assert_uint_eq(headers.count, 42);
    ck_text_eq(*headers_get(&headers, "set-cookie"), "0");
    ck_text_eq(*headers_get(&headers, "x-one"), "2");
    headers_set(&headers, arena, TEXT("SET-COOKIE"), TEXT("one"));
    ck_assert_uint_eq(headers.count, 3);
    ck_text_eq(headers.items[0].value, "one");
    ck_assert_uint_eq(headers_remove(&headers, TEXT("X-TWO")), 1);
    ck_assert_uint_eq(headers_remove(&headers, TEXT("x-two")), 0);
    ck_assert_ptr_null(headers_get(&headers, "x-two"));
    ck_assert_uint_eq(headers.count, 2);
}
END_TEST

START_TEST(header_values)
{
    ck_assert(header_value_is_safe(TEXT("")));
    ck_assert(header_value_is_safe(TEXT("a b\tc \x80\xff~")));
    for (int byte = 0; byte < 0x100; byte++) {
        char value[] = {'a', (char)byte, 'b'};
        bool control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
        ck_assert_int_eq(header_value_is_safe((struct text){value, 3}), !control);
    }
}
END_TEST

START_TEST(header_lists)
{
    static const char *const lists[] = {"accept",
                                        "accept-language",
                                        "cookie",
                                        "x-forwarded-for",
                                        "x-forwarded-proto",
                                        "forwarded",
                                        "te",
                                        "via",
                                        "warning",
                                        "if-none-match",
                                        "cache-control"};
    static const char *const others[] = {"",
                                         "a",
                                         "accep",
                                         "acceptt",
                                         "accept-",
                                         "host",
                                         "authorization",
                                         "content-type",
                                         "content-length",
                                         "transfer-encoding",
                                         "x-forwarded",
                                         "user-agent",
                                         "origin",
                                         "zzz",
                                         "Accept"};
    for (int i = 0; i < COUNT(lists); i++)
        ck_assert_msg(header_is_list(text_of(lists[i])), "%s", lists[i]);
    for (int i = 0; i < COUNT(others); i++)
        ck_assert_msg(!header_is_list(text_of(others[i])), "%s", others[i]);
}
END_TEST

/* Both tables must be sorted for the search to find all: each entry is here, as
 * the end of its range and past it. */
static const char *const identities[] = {
    "auth-password",
    "auth-type",
    "auth-user",
    "auth-user-x",
    "authenticated-userid",
    "cert-subject",
    "cf-access-jwt-assertion",
    "client-cert",
    "client-cert-chain",
    "eppn",
    "fcgiguard-x",
    "gap-auth",
    "iv-user",
    "logon-user",
    "mellon-x",
    "oam-remote-user",
    "oidc-claim-sub",
    "osso-x",
    "proxy",
    "proxy-user",
    "redirect-remote-user",
    "remote-user",
    "remote-addr",
    "remote-host",
    "remote-ident",
    "remote-groups",
    "shib-session-id",
    "sm-user",
    "ssl-client-s-dn",
    "ssl-client-verify",
    "unmapped-remote-user",
    "user-dn",
    "x-accel-mapping",
    "x-amzn-mtls-clientcert",
    "x-amzn-oidc-data",
    "x-anonymous-consumer",
    "x-apigateway-api-userinfo",
    "x-arr-clientcert",
    "x-arr-ssl",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-name",
    "x-auth-request-user",
    "x-auth-request-email",
    "x-auth-role",
    "x-auth-roles",
    "x-auth-user",
    "x-auth-username",
    "x-authenticated-user",
    "x-authentik-email",
    "x-certificate-dn",
    "x-client-cert",
    "x-client-cert-dn",
    "x-client-certificate",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-ssl-dn",
    "x-client-verify",
    "x-consumer-id",
    "x-credential-identifier",
    "x-endpoint-api-userinfo",
    "x-fcgiguard-user",
    "x-forwarded-access-token",
    "x-forwarded-client-cert",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-tls-client-cert-info",
    "x-forwarded-user",
    "x-goog-authenticated-user-email",
    "x-goog-iap-jwt-assertion",
    "x-http-method",
    "x-http-method-override",
    "x-iisnode-auth-user",
    "x-jwt-assertion",
    "x-method-override",
    "x-ms-client-principal-name",
    "x-ms-token-aad-id-token",
    "x-pomerium-claim-email",
    "x-proxy-user",
    "x-remote-user",
    "x-remote-group",
    "x-sendfile-type",
    "x-ssl-client-verify",
    "x-ssl-cert",
    "x-tls-client-cert",
    "x-token-claims",
    "x-userinfo",
    "x-vouch-user",
    "x-webauth-user",
};

static const char *const forwardings[] = {
    "cf-connecting-ip",
    "client-ip",
    "cluster-client-ip",
    "fastly-client-ip",
    "forwarded",
    "forwarded-for",
    "front-end-https",
    "https",
    "true-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-host",
    "x-original-url",
    "x-original-forwarded-for",
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-url-scheme",
};

static const char *const free_names[] = {
    "",
    "a",
    "accept",
    "authorization",
    "auth",
    "auth-typ",
    "auth-types",
    "cookie",
    "content-type",
    "date",
    "expect",
    "from",
    "host",
    "if-match",
    "origin",
    "proxy-authorization",
    "proxy-connection",
    "prox",
    "referer",
    "remote",
    "range",
    "shibboleth",
    "ssl",
    "te",
    "upgrade-insecure-requests",
    "user-agent",
    "user",
    "via",
    "x",
    "x-api-key",
    "x-auth-token",
    "x-auth",
    "x-csrf-token",
    "x-request-id",
    "x-requested-with",
    "x-remote",
    "x-userinfo2",
    "x-hub-signature-256",
    "x-ssl",
    "zzz",
    "~",
};

START_TEST(reserved_names)
{
    for (int i = 0; i < COUNT(identities); i++)
        ck_assert_msg(reserved_is_identity(text_of(identities[i])), "%s", identities[i]);
    for (int i = 0; i < COUNT(forwardings); i++)
        ck_assert_msg(reserved_is_forwarding(text_of(forwardings[i])), "%s", forwardings[i]);
    for (int i = 0; i < COUNT(free_names); i++) {
        ck_assert_msg(!reserved_is_identity(text_of(free_names[i])), "%s", free_names[i]);
        ck_assert_msg(!reserved_is_forwarding(text_of(free_names[i])), "%s", free_names[i]);
    }
}
END_TEST

/* ---- forwarded */

static struct networks networks_of(const char *list)
{
    struct networks made = {arena_array(arena, 16, sizeof(struct network)), 0};
    struct text rest = text_of(list), piece;
    while (text_next(&rest, ' ', &piece))
        ck_assert(network_parse(piece, &made.items[made.count++]));
    return made;
}

/* The peer is 10.0.0.1; trusted are 10.0.0.0/8 and 2001:db8:1::/48. */
static const struct {
    const char *list, *proto, *elements; /* X-Forwarded-For, -Proto, Forwarded; NULL: absent */
    const char *client;
    int scheme;
} hops[] = {
    {NULL, NULL, NULL, "10.0.0.1", FORWARDED_SILENT},
    {"", "", "", "10.0.0.1", FORWARDED_SILENT},
    {"192.0.2.1", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"192.0.2.1:4711", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {" 192.0.2.1 ", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"198.51.100.1, 192.0.2.1", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"198.51.100.1, 192.0.2.1, 10.0.0.2", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"198.51.100.1,192.0.2.1,10.0.0.2,10.0.0.3", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"10.0.0.9, 192.0.2.1, 10.0.0.2", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"::ffff:192.0.2.1, ::ffff:10.0.0.2", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"[2001:db8::7]:99, 2001:db8:1::1", NULL, NULL, "2001:db8::7", FORWARDED_SILENT},
    {"10.0.0.3, 10.0.0.2", NULL, NULL, "10.0.0.3", FORWARDED_SILENT},
    {"10.0.0.3", NULL, NULL, "10.0.0.3", FORWARDED_SILENT},
    {"garbage, 192.0.2.1", NULL, NULL, "192.0.2.1", FORWARDED_SILENT},
    {"garbage, 10.0.0.2", NULL, NULL, "unknown", FORWARDED_SILENT},
    {"192.0.2.1, garbage, 10.0.0.2", NULL, NULL, "unknown", FORWARDED_SILENT},
    {"192.0.2.1, unknown", NULL, NULL, "unknown", FORWARDED_SILENT},
    {"192.0.2.1, , 10.0.0.2", NULL, NULL, "unknown", FORWARDED_SILENT},
    {"192.0.2.1 10.0.0.2", NULL, NULL, "unknown", FORWARDED_SILENT},
    {NULL, "https", NULL, "10.0.0.1", FORWARDED_SECURE},
    {NULL, "HTTPS", NULL, "10.0.0.1", FORWARDED_SECURE},
    {NULL, "http", NULL, "10.0.0.1", FORWARDED_PLAIN},
    {NULL, "http, https", NULL, "10.0.0.1", FORWARDED_SECURE},
    {NULL, "https, http", NULL, "10.0.0.1", FORWARDED_PLAIN},
    {NULL, "httpsx", NULL, "10.0.0.1", FORWARDED_PLAIN},
    {NULL, NULL, "for=192.0.2.1", "192.0.2.1", FORWARDED_SILENT},
    {NULL, NULL, "For=192.0.2.1;Proto=HTTPS;by=10.0.0.1", "192.0.2.1", FORWARDED_SECURE},
    {NULL, NULL, "for=192.0.2.1; proto=http; host=\"a;b,c\"", "192.0.2.1", FORWARDED_PLAIN},
    {NULL, NULL, "for=\"192.0.2.1:80\"", "192.0.2.1", FORWARDED_SILENT},
    {NULL, NULL, "for=\"[2001:db8::7]:80\"", "2001:db8::7", FORWARDED_SILENT},
    {NULL, NULL, "for=\"[2001:db8::7]\" , for=10.0.0.2", "2001:db8::7", FORWARDED_SILENT},
    {NULL, NULL, "for=198.51.100.1, for=192.0.2.1;proto=https", "192.0.2.1", FORWARDED_SECURE},
    {NULL, NULL, "for=198.51.100.1;proto=https, for=192.0.2.1", "192.0.2.1", FORWARDED_SILENT},
    {NULL, NULL, "for=198.51.100.1,for=192.0.2.1,for=10.0.0.2", "192.0.2.1", FORWARDED_SILENT},
    {NULL, NULL, "for=unknown", "unknown", FORWARDED_SILENT},
    {NULL, NULL, "for=_hidden, for=10.0.0.2", "unknown", FORWARDED_SILENT},
    {NULL, NULL, "for=_hidden, for=192.0.2.1", "192.0.2.1", FORWARDED_SILENT},
    {NULL, NULL, "proto=https", "unknown", FORWARDED_SECURE},
    {NULL, NULL, "by=10.0.0.1, for=192.0.2.1", "192.0.2.1", FORWARDED_SILENT},
    {NULL, NULL, "for=192.0.2.1;for=198.51.100.1", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=192.0.2.1;proto=https;proto=https", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=\"198.51.100.1, for=192.0.2.1", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=\"198.51.100.1, for=\"[2001:db8::7]\"", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=\"198.51.100.1\\\", for=192.0.2.1", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=\"x\\", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=[2001:db8::7]", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for =192.0.2.1", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=192.0.2.1,", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, ",for=192.0.2.1", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=192.0.2.1;", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "192.0.2.1", "unknown", FORWARDED_PLAIN},
    {NULL, NULL, "for=192.0.2.1 for=192.0.2.2", "unknown", FORWARDED_PLAIN},
    {"192.0.2.1", NULL, "for=192.0.2.1", "192.0.2.1", FORWARDED_SILENT},
    {"192.0.2.1", NULL, "for=192.0.2.2", "unknown", FORWARDED_SILENT},
    {"10.0.0.3", NULL, "for=192.0.2.2", "unknown", FORWARDED_SILENT},
    {"192.0.2.1", "http", "for=192.0.2.1;proto=https", "192.0.2.1", FORWARDED_PLAIN},
    {"192.0.2.1", "https", "for=192.0.2.1;proto=http", "192.0.2.1", FORWARDED_PLAIN},
    {"192.0.2.1", "https", "for=192.0.2.1;proto=https", "192.0.2.1", FORWARDED_SECURE},
    {"garbage", NULL, "for=garbage", "unknown", FORWARDED_SILENT},
};

START_TEST(forwarded_is_read)
{
    struct headers headers = {0};
    struct networks proxies = networks_of("10.0.0.0/8 2001:db8:1::/48");
    struct address peer;
    char text[ADDRESS_TEXT_SIZE];
    address_parse(TEXT("10.0.0.1"), &peer);
    if (hops[_i].list)
        headers_add(&headers, arena, TEXT("x-forwarded-for"), text_of(hops[_i].list));
    if (hops[_i].proto)
        headers_add(&headers, arena, TEXT("x-forwarded-proto"), text_of(hops[_i].proto));
    if (hops[_i].elements)
        headers_add(&headers, arena, TEXT("forwarded"), text_of(hops[_i].elements));
    struct forwarded forwarded = forwarded_read(&headers, &proxies, &peer);
    ck_assert_str_eq(address_format(&forwarded.client, text), hops[_i].client);
    ck_assert_int_eq(forwarded.scheme, hops[_i].scheme);
}
END_TEST

/* ---- requests */

static struct params params_of(const char *const list[])
{
    struct params params = {arena_array(arena, 64, sizeof(struct param)), 0};
    for (size_t i = 0; list[i]; i++) {
        size_t name = text_find(text_of(list[i]), '=');
        struct text value = text_from(text_of(list[i]), name + 1);
        /* "\x01" at the end stands for a NUL. */
        if (value.length > 0 && value.at[value.length - 1] == '\x01') {
            char *copy = arena_copy(arena, value.at, value.length);
            copy[value.length - 1] = '\0';
            value.at = copy;
        }
        params.items[params.count++] = (struct param){{list[i], name}, value};
    }
    return params;
}

static struct request_rules rules_for_tests(void)
{
    static struct text dropped[] = {{"x-drop-me", 9}};
    return (struct request_rules){
        .head = 65536,
        .headers = 10,
        .header = 64,
        .target = 100,
        .proxies = networks_of("10.0.0.0/8"),
        .drop = {dropped, 1},
    };
}

/* Everything a request says, in one line. */
static const char *describe(const struct request *request)
{
    char peer[ADDRESS_TEXT_SIZE], client[ADDRESS_TEXT_SIZE];
    const char *line =
        arena_printf(arena, "%.*s %s%s%s host=%s port=%s %s%s peer=%s client=%s type=%s length=%lld;",
                     TEXT_ARGUMENTS(request->method), string(request->path), request->has_query ? "?" : "",
                     string(request->query), string(request->host), string(request->host_port),
                     request->secure ? "secure" : "plain", request->through_proxy ? " proxied" : "",
                     address_format(&request->peer, peer), address_format(&request->client, client),
                     string(request->content_type), (long long)request->content_length);
    for (size_t i = 0; i < request->headers.count; i++)
        line = arena_printf(arena, "%s %s: %s;", line, string(request->headers.items[i].name),
                            string(request->headers.items[i].value));
    return line;
}

#define GET(uri)              "REQUEST_METHOD=GET", "REQUEST_URI=" uri
#define POST(uri)             "REQUEST_METHOD=POST", "REQUEST_URI=" uri
#define PLAIN                 "REQUEST_METHOD=GET", "REQUEST_URI=/"
#define PROXY                 PLAIN, "REMOTE_ADDR=10.0.0.1"
#define NGINX                 PLAIN, "SERVER_SOFTWARE=nginx/1.22.1"
#define REFUSED(status, code) (status), (code), NULL, NULL

static const struct {
    const char *params[14];
    int status; /* 0: passes */
    const char *code;
    const char *has, *has_not; /* in describe() */
} requests[] = {
    /* method */
    {{PLAIN}, 0, NULL, "GET / host= port= plain peer=unknown client=unknown type= length=-1;", NULL},
    {{"REQUEST_METHOD=M-SEARCH", "REQUEST_URI=/"}, 0, NULL, "M-SEARCH /", NULL},
    {{"REQUEST_METHOD=get", "REQUEST_URI=/"}, 0, NULL, "get /", NULL},
    {{"REQUEST_URI=/"}, REFUSED(400, "method_invalid")},
    {{"REQUEST_METHOD=", "REQUEST_URI=/"}, REFUSED(400, "method_invalid")},
    {{"REQUEST_METHOD=GET ", "REQUEST_URI=/"}, REFUSED(400, "method_invalid")},
    {{"REQUEST_METHOD=GE\nT", "REQUEST_URI=/"}, REFUSED(400, "method_invalid")},
    {{"REQUEST_METHOD=GET\x01", "REQUEST_URI=/"}, REFUSED(400, "method_invalid")},
    {{"REQUEST_METHOD=G\xc3\x89T", "REQUEST_URI=/"}, REFUSED(400, "method_invalid")},
    {{PLAIN, "REQUEST_METHOD=POST"}, 0, NULL, "GET /", NULL},
    /* target */
    {{"REQUEST_METHOD=GET"}, REFUSED(400, "target_missing")},
    {{"REQUEST_METHOD=GET", "SCRIPT_NAME=/a", "PATH_INFO=/b"}, REFUSED(400, "target_missing")},
    {{GET("")}, REFUSED(400, "target_missing")},
    {{GET("/a%20b?x=1&y")}, 0, NULL, "GET /a b?x=1&y host", NULL},
    {{GET("/a?")}, 0, NULL, "GET /a? host", NULL},
    {{GET("/a?b?c")}, 0, NULL, "GET /a?b?c host", NULL},
    {{GET("/a?%0d%0a%00")}, 0, NULL, "/a?%0d%0a%00 host", NULL},
    {{GET("/a?b c\xff")}, 0, NULL, "/a?b c\xff host", NULL},
    {{GET("//a//b")}, 0, NULL, "GET /a/b host", NULL},
    {{GET("/x/../a"), "PATH_INFO=/evil", "SCRIPT_NAME=/evil"}, 0, NULL, "GET /a host", NULL},
    {{GET("/a?b\rc")}, REFUSED(400, "target_invalid")},
    {{GET("/a?b\tc")}, REFUSED(400, "target_invalid")},
    {{GET("/a?b#c")}, REFUSED(400, "target_invalid")},
    {{GET("/a?b\x01")}, REFUSED(400, "target_invalid")},
    {{GET("/a#c")}, REFUSED(400, "path_fragment")},
    {{GET("/%00")}, REFUSED(400, "path_nul")},
    {{GET("/a\x01")}, REFUSED(400, "path_nul")},
    {{GET("/%0a")}, REFUSED(400, "path_control_character")},
    {{GET("/%2f")}, REFUSED(400, "path_encoded_slash")},
    {{GET("/%ff")}, REFUSED(400, "path_bad_utf8")},
    {{GET("/%f")}, REFUSED(400, "path_bad_escape")},
    {{GET("/..")}, REFUSED(400, "path_above_root")},
    {{GET("a")}, REFUSED(400, "path_not_absolute")},
    {{GET("*")}, REFUSED(400, "path_not_absolute")},
    {{"REQUEST_METHOD=OPTIONS", "REQUEST_URI=*"}, 0, NULL, "OPTIONS * host", NULL},
    {{"REQUEST_METHOD=OPTIONS", "REQUEST_URI=**"}, REFUSED(400, "path_not_absolute")},
    {{"REQUEST_METHOD=CONNECT", "REQUEST_URI=h:443"}, REFUSED(400, "path_not_absolute")},
    {{GET("http://h.example:81/a?b"), "HTTP_HOST=other"}, 0, NULL, "GET /a?b host=h.example port=81", NULL},
    {{GET("http://h/a"), "HTTP_HOST=other"}, 0, NULL, "host: h;", "other"},
    {{GET("HTTPS://H")}, 0, NULL, "GET / host=h port= plain", NULL},
    {{GET("http://h?x")}, 0, NULL, "GET /?x host=h", NULL},
    {{GET("http://h?\x01")}, REFUSED(400, "target_invalid")},
    {{GET("http://[::1]:8/x")}, 0, NULL, "GET /x host=::1 port=8", NULL},
    {{GET("http://h/../x")}, REFUSED(400, "path_above_root")},
    {{GET("http://u@h/")}, REFUSED(400, "host_invalid")},
    {{GET("http://h:0/")}, REFUSED(400, "host_invalid")},
    {{GET("http://h/"), "HTTP_HOST=a b"}, REFUSED(400, "host_invalid")},
    {{GET("http:///x")}, REFUSED(400, "path_not_absolute")},
    {{GET("http:/x")}, REFUSED(400, "path_not_absolute")},
    {{GET("http://h#x")}, REFUSED(400, "path_not_absolute")},
    {{GET("ftp://h/x")}, REFUSED(400, "path_not_absolute")},
    {{GET("file:///etc/passwd")}, REFUSED(400, "path_not_absolute")},
    {{GET("/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
          "78")},
     0,
     NULL,
     "GET /0",
     NULL},
    {{GET("/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
          "789")},
     REFUSED(414, "target_too_long")},
    /* names and values */
    {{PLAIN, "HTTP_X_NAME=v"}, 0, NULL, " x-name: v;", NULL},
    {{PLAIN, "HTTP_X9=v", "HTTP_9=w", "HTTP___=u"}, 0, NULL, " x9: v; 9: w; --: u;", NULL},
    {{PLAIN, "HTTP_X="}, 0, NULL, " x: ;", NULL},
    {{PLAIN, "HTTP_X=a\tb \xe9"}, 0, NULL, " x: a\tb \xe9;", NULL},
    {{PLAIN, "HTTP_=v"}, REFUSED(400, "header_name")},
    {{PLAIN, "HTTP_x=v"}, REFUSED(400, "header_name")},
    {{PLAIN, "HTTP_X-Y=v"}, REFUSED(400, "header_name")},
    {{PLAIN, "HTTP_X.Y=v"}, REFUSED(400, "header_name")},
    {{PLAIN, "HTTP_X Y=v"}, REFUSED(400, "header_name")},
    {{PLAIN, "HTTP_X%%=v"}, REFUSED(400, "header_name")},
    {{PLAIN, "HTTP_X=a\rb"}, REFUSED(400, "header_value")},
    {{PLAIN, "HTTP_X=a\nb"}, REFUSED(400, "header_value")},
    {{PLAIN, "HTTP_X=\x01"}, REFUSED(400, "header_value")},
    {{PLAIN, "HTTP_X=a\x7f"}, REFUSED(400, "header_value")},
    {{PLAIN, "HTTP_PROXY=a\nb"}, REFUSED(400, "header_value")},
    {{NGINX, "HTTP_COOKIE=a", "HTTP_COOKIE=\x1b"}, REFUSED(400, "header_value")},
    {{PLAIN, "HTTP_X=0123456789012345678901234567890123456789012345678901234567890123"},
     0,
     NULL,
     "x: 0",
     NULL},
    {{PLAIN, "HTTP_X=01234567890123456789012345678901234567890123456789012345678901234"},
     REFUSED(431, "header_too_large")},
    {{NGINX, "HTTP_COOKIE=0123456789012345678901234567890", "HTTP_COOKIE=0123456789012345678901234567890"},
     0,
     NULL,
     "0; 0",
     NULL},
    {{NGINX, "HTTP_COOKIE=01234567890123456789012345678901", "HTTP_COOKIE=0123456789012345678901234567890"},
     REFUSED(431, "header_too_large")},
    {{PLAIN, "HTTP_A=1", "HTTP_B=1", "HTTP_C=1", "HTTP_D=1", "HTTP_E=1", "HTTP_F=1", "HTTP_G=1", "HTTP_H=1",
      "HTTP_I=1", "HTTP_J=1"},
     0,
     NULL,
     " j: 1;",
     NULL},
    {{PLAIN, "HTTP_A=1", "HTTP_B=1", "HTTP_C=1", "HTTP_D=1", "HTTP_E=1", "HTTP_F=1", "HTTP_G=1", "HTTP_H=1",
      "HTTP_I=1", "HTTP_J=1", "HTTP_K=1"},
     REFUSED(431, "headers_too_many")},
    /* twice */
    {{NGINX, "HTTP_ACCEPT=a", "HTTP_B=b", "HTTP_ACCEPT=c", "HTTP_ACCEPT="},
     0,
     NULL,
     " accept: a, c, ; b: b;",
     NULL},
    {{NGINX, "HTTP_COOKIE=a=1", "HTTP_COOKIE=b=2"}, 0, NULL, " cookie: a=1; b=2;", NULL},
    {{PLAIN, "HTTP_ACCEPT=a", "HTTP_ACCEPT=b"}, 0, NULL, " accept: a, b;", NULL},
    {{NGINX, "HTTP_X=a", "HTTP_X=a"}, REFUSED(400, "header_duplicate")},
    {{NGINX, "HTTP_AUTHORIZATION=a", "HTTP_AUTHORIZATION=b"}, REFUSED(400, "header_duplicate")},
    {{NGINX, "HTTP_USER_AGENT=a", "HTTP_USER_AGENT=b"}, REFUSED(400, "header_duplicate")},
    {{PLAIN, "SERVER_SOFTWARE=lighttpd/1.4.69", "HTTP_ACCEPT=a", "HTTP_ACCEPT=b"},
     REFUSED(400, "header_duplicate")},
    {{PLAIN, "SERVER_SOFTWARE=Apache", "HTTP_COOKIE=a", "HTTP_COOKIE=b"}, REFUSED(400, "header_duplicate")},
    {{PLAIN, "SERVER_SOFTWARE=Caddy/2.6.2", "HTTP_VIA=a", "HTTP_VIA=b"}, REFUSED(400, "header_duplicate")},
    {{PROXY, "HTTP_X_FORWARDED_FOR=192.0.2.1", "HTTP_X_FORWARDED_FOR=192.0.2.2"},
     REFUSED(400, "header_duplicate")},
    {{NGINX, "HTTP_HOST=a", "HTTP_HOST=a"}, REFUSED(400, "host_duplicate")},
    {{GET("http://a/"), "HTTP_HOST=a", "HTTP_HOST=a"}, REFUSED(400, "host_duplicate")},
    /* dropped */
    {{PLAIN, "HTTP_PROXY=http://evil/", "HTTP_A=b"}, 0, NULL, " a: b;", "proxy"},
    {{PLAIN, "HTTP_REMOTE_USER=admin", "HTTP_REMOTE_USER=root"}, 0, NULL, "length=-1;", "remote"},
    {{PROXY, "HTTP_X_FORWARDED_USER=admin", "HTTP_AUTH_TYPE=Basic", "HTTP_SSL_CLIENT_VERIFY=SUCCESS"},
     0,
     NULL,
     "length=-1;",
     "length=-1; "},
    {{PLAIN, "HTTP_X_DROP_ME=1", "HTTP_X_DROP_MEN=2"}, 0, NULL, "x-drop-men: 2;", "x-drop-me:"},
    {{PLAIN, "REMOTE_ADDR=192.0.2.9", "HTTP_X_FORWARDED_FOR=192.0.2.1", "HTTP_FORWARDED=for=192.0.2.1",
      "HTTP_X_REAL_IP=192.0.2.1"},
     0,
     NULL,
     "plain peer=192.0.2.9 client=192.0.2.9 type= length=-1;",
     "length=-1; "},
    {{PLAIN, "HTTP_X_FORWARDED_FOR=192.0.2.1"}, 0, NULL, "peer=unknown client=unknown", "x-forwarded"},
    {{PLAIN, "REMOTE_ADDR=unix:", "HTTP_X_FORWARDED_FOR=192.0.2.1"},
     0,
     NULL,
     "client=unknown",
     "x-forwarded"},
    /* caller */
    {{PROXY}, 0, NULL, "plain proxied peer=10.0.0.1 client=10.0.0.1", NULL},
    {{PROXY, "HTTP_X_FORWARDED_FOR=192.0.2.1"},
     0,
     NULL,
     "client=192.0.2.1 type= length=-1; x-forwarded-for: 192.0.2.1;",
     NULL},
    {{PROXY, "SERVER_SOFTWARE=nginx", "HTTP_X_FORWARDED_FOR=192.0.2.1", "HTTP_X_FORWARDED_FOR=192.0.2.2"},
     0,
     NULL,
     "client=192.0.2.2",
     NULL},
    {{PROXY, "HTTP_X_FORWARDED_FOR=192.0.2.1", "HTTP_FORWARDED=for=10.0.0.7"},
     0,
     NULL,
     "client=unknown",
     NULL},
    {{PROXY, "HTTP_X_FORWARDED_FOR=192.0.2.1", "HTTP_X=\n"}, 400, "header_value", "client=unknown", NULL},
    {{GET("/%00"), "REMOTE_ADDR=10.0.0.1", "HTTP_X_FORWARDED_FOR=192.0.2.1"},
     400,
     "path_nul",
     "client=192.0.2.1",
     NULL},
    {{PLAIN, "REMOTE_ADDR=::ffff:10.0.0.1", "HTTP_X_FORWARDED_FOR=::ffff:192.0.2.1"},
     0,
     NULL,
     "peer=10.0.0.1 client=192.0.2.1",
     NULL},
    /* scheme */
    {{PLAIN, "HTTPS=on"}, 0, NULL, " secure ", NULL},
    {{PLAIN, "HTTPS=ON"}, 0, NULL, " secure ", NULL},
    {{PLAIN, "HTTPS=1"}, 0, NULL, " secure ", NULL},
    {{PLAIN, "HTTPS=off"}, 0, NULL, " plain ", NULL},
    {{PLAIN, "HTTPS="}, 0, NULL, " plain ", NULL},
    {{PLAIN, "HTTPS=", "REQUEST_SCHEME=https"}, 0, NULL, " secure ", NULL},
    {{PLAIN, "REQUEST_SCHEME=http", "SERVER_PORT=443"}, 0, NULL, " plain ", NULL},
    {{PLAIN, "HTTP_HTTPS=on", "HTTP_X_FORWARDED_PROTO=https"}, 0, NULL, " plain ", "https:"},
    {{PROXY, "HTTP_X_FORWARDED_PROTO=https"}, 0, NULL, " secure proxied", NULL},
    {{PROXY, "HTTP_X_FORWARDED_PROTO=https, http"}, 0, NULL, " plain proxied", NULL},
    {{PROXY, "HTTPS=on", "HTTP_X_FORWARDED_PROTO=http"}, 0, NULL, " plain proxied", NULL},
    {{PROXY, "HTTP_FORWARDED=for=192.0.2.1;proto=https"},
     0,
     NULL,
     " secure proxied peer=10.0.0.1 client=192.0.2.1",
     NULL},
    /* host */
    {{PLAIN, "HTTP_HOST=Example.COM.:8080"}, 0, NULL, "host=example.com port=8080", NULL},
    {{PLAIN, "HTTP_HOST=Example.COM.:8080"}, 0, NULL, " host: example.com:8080;", NULL},
    {{PLAIN, "HTTP_HOST=[::0001]:8080"}, 0, NULL, " host: [::1]:8080;", NULL},
    {{PLAIN, "HTTP_HOST="}, 0, NULL, "host= port=", "host:"},
    {{PLAIN, "SERVER_NAME=example.com"}, 0, NULL, "host= port=", "host:"},
    {{PLAIN, "HTTP_HOST=a b"}, REFUSED(400, "host_invalid")},
    {{PLAIN, "HTTP_HOST=a, b"}, REFUSED(400, "host_invalid")},
    {{PLAIN, "HTTP_HOST=a:99999"}, REFUSED(400, "host_invalid")},
    {{PLAIN, "HTTP_HOST=a/b"}, REFUSED(400, "host_invalid")},
    /* body */
    {{POST("/"), "CONTENT_LENGTH=5", "HTTP_CONTENT_LENGTH=5", "CONTENT_TYPE=a/b", "HTTP_CONTENT_TYPE=a/b"},
     0,
     NULL,
     "type=a/b length=5;",
     "content-"},
    {{POST("/"), "CONTENT_LENGTH=0"}, 0, NULL, "length=0;", NULL},
    {{POST("/"), "CONTENT_LENGTH="}, 0, NULL, "length=-1;", NULL},
    {{POST("/"), "CONTENT_LENGTH=-1"}, 0, NULL, "length=-1;", NULL},
    {{POST("/"), "CONTENT_LENGTH=9223372036854775807"}, 0, NULL, "length=9223372036854775807;", NULL},
    {{POST("/"), "CONTENT_LENGTH=", "HTTP_CONTENT_LENGTH=5"}, 0, NULL, "length=-1;", NULL},
    {{POST("/"), "CONTENT_LENGTH=5", "CONTENT_LENGTH=5"}, 0, NULL, "length=5;", NULL},
    {{POST("/"), "CONTENT_LENGTH=9223372036854775808"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=5x"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH= 5"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=+5"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=0x5"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=-2"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=5\x01"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=5", "CONTENT_LENGTH=6"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=5", "HTTP_CONTENT_LENGTH=6"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=5", "HTTP_CONTENT_LENGTH=5, 5"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "CONTENT_LENGTH=5", "HTTP_CONTENT_LENGTH=5", "HTTP_CONTENT_LENGTH=6"},
     REFUSED(400, "content_length_invalid")},
    {{POST("/"), "HTTP_CONTENT_LENGTH=-1"}, REFUSED(400, "content_length_invalid")},
    {{POST("/"), "HTTP_TRANSFER_ENCODING=chunked"}, 0, NULL, "length=-1;", "transfer"},
    {{POST("/"), "CONTENT_LENGTH=5", "HTTP_TRANSFER_ENCODING=Chunked"}, 0, NULL, "length=5;", "transfer"},
    {{POST("/"), "CONTENT_LENGTH=5", "HTTP_CONTENT_LENGTH=5", "HTTP_TRANSFER_ENCODING=chunked"},
     REFUSED(400, "transfer_encoding")},
    {{POST("/"), "HTTP_TRANSFER_ENCODING=gzip, chunked"}, REFUSED(400, "transfer_encoding")},
    {{POST("/"), "HTTP_TRANSFER_ENCODING="}, REFUSED(400, "transfer_encoding")},
    {{POST("/"), "HTTP_TRANSFER_ENCODING=chunked", "HTTP_TRANSFER_ENCODING=chunked"},
     REFUSED(400, "transfer_encoding")},
    {{POST("/"), "HTTP_CONTENT_TYPE=a/b"}, 0, NULL, "type=a/b ", NULL},
    {{POST("/"), "CONTENT_TYPE=a/b", "HTTP_CONTENT_TYPE=c/d"}, REFUSED(400, "header_duplicate")},
    {{POST("/"), "HTTP_CONTENT_TYPE=a/b", "HTTP_CONTENT_TYPE=a/b"}, REFUSED(400, "header_duplicate")},
    {{POST("/"), "CONTENT_TYPE=a/b\r\nX: y"}, REFUSED(400, "header_value")},
    {{POST("/"), "CONTENT_TYPE=a/b\x01"}, REFUSED(400, "header_value")},
    {{POST("/"), "CONTENT_TYPE=0123456789012345678901234567890123456789012345678901234567890123456789"},
     REFUSED(431, "header_too_large")},
};

START_TEST(request_is_read)
{
    struct params params = params_of(requests[_i].params);
    struct request_rules rules = rules_for_tests();
    struct request request;
    memset(&request, 0xa5, sizeof request);
    struct verdict verdict = request_read(&request, &params, &rules, arena);
    const char *line = describe(&request);
    if (requests[_i].status) {
        ck_assert_msg(verdict.kind == VERDICT_DENY, "%s is let in: %s", requests[_i].params[1], line);
        ck_assert_str_eq(verdict.code, requests[_i].code);
        ck_assert_int_eq(verdict.status, requests[_i].status);
        bool path = strncmp(verdict.code, "path_", 5) == 0;
        ck_assert_str_eq(verdict.guard, path ? "path" : "request");
    } else {
        ck_assert_msg(verdict.kind == VERDICT_PASS, "%s is refused: %s", requests[_i].params[1],
                      verdict.code);
    }
    if (requests[_i].has)
        ck_assert_msg(strstr(line, requests[_i].has), "%s\nin: %s", requests[_i].has, line);
    if (requests[_i].has_not)
        ck_assert_msg(!strstr(line, requests[_i].has_not), "%s\nin: %s", requests[_i].has_not, line);
}
END_TEST

START_TEST(request_keeps_server_params)
{
    static const char *const list[] = {PLAIN,
                                       "SERVER_NAME=one",
                                       "SERVER_NAME=two",
                                       "REMOTE_USER=a\nb",
                                       "REMOTE_USER=c",
                                       "SSL_CLIENT_CERT=-----BEGIN\nX\n",
                                       "SSL_BAD=\x01",
                                       "BASH_FUNC_ls%%=() { :; }",
                                       "lower=x",
                                       "=y",
                                       "HTTP_X=z",
                                       NULL};
    struct params params = params_of(list);
    struct request_rules rules = rules_for_tests();
    struct request request;
    ck_assert_int_eq(request_read(&request, &params, &rules, arena).kind, VERDICT_PASS);
    ck_text_eq(request_server_param(&request, "SERVER_NAME"), "one");
    ck_text_eq(request_server_param(&request, "REMOTE_USER"), "");
    ck_text_eq(request_server_param(&request, "SSL_CLIENT_CERT"), "-----BEGIN\nX\n");
    ck_text_eq(request_server_param(&request, "SSL_BAD"), "");
    ck_text_eq(request_server_param(&request, "HTTP_X"), "");
    ck_text_eq(request_server_param(&request, "NONE"), "");
    ck_assert_uint_eq(request.server.count, 4);
}
END_TEST

/* Neither many parameters nor many of one name may take more than linear time. */
START_TEST(request_with_many_params)
{
    enum { MANY = 200000 };
    struct params params = {arena_array(arena, MANY + 2, sizeof(struct param)), MANY};
    struct request_rules rules = rules_for_tests();
    struct request request;
    rules.headers = 2 * MANY;
    rules.header = 1 << 30;
    params.items[0] = (struct param){TEXT("REQUEST_METHOD"), TEXT("GET")};
    params.items[1] = (struct param){TEXT("REQUEST_URI"), TEXT("/")};
    for (size_t i = 2; i < MANY; i++) {
        bool same = i % 2;
        params.items[i].name = same ? TEXT("HTTP_ACCEPT") : text_of(arena_printf(arena, "HTTP_N%zu", i));
        params.items[i].value = TEXT("v");
    }
    clock_t before = clock(); /* of the processor, which others use at the same time */
    ck_assert_int_eq(request_read(&request, &params, &rules, arena).kind, VERDICT_PASS);
    ck_assert_uint_eq(request.headers.count, MANY / 2);
    ck_assert_uint_eq(headers_get(&request.headers, "accept")->length, 3 * (MANY / 2 - 1) - 2);
    ck_assert_int_lt(clock() - before, 2 * CLOCKS_PER_SEC);
}
END_TEST

/* ---- records */

START_TEST(record_header_both_ways)
{
    unsigned char header[RECORD_HEADER_SIZE];
    record_write(header, RECORD_STDOUT, 0x1234, 0xfedc, 7);
    ck_assert_mem_eq(header, "\x01\x06\x12\x34\xfe\xdc\x07\x00", 8);
    struct record record = record_read(header);
    ck_assert_uint_eq(record.version, 1);
    ck_assert_uint_eq(record.type, RECORD_STDOUT);
    ck_assert_uint_eq(record.id, 0x1234);
    ck_assert_uint_eq(record.content, 0xfedc);
    ck_assert_uint_eq(record.padding, 7);
    unsigned char end[RECORD_END_SIZE];
    record_write_end(end, 258, END_OVERLOADED);
    ck_assert_mem_eq(end, "\x01\x03\x01\x02\x00\x08\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00", 16);
}
END_TEST

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        literal, sizeof(literal) - 1                                                                         \
    }
static const struct {
    struct text content;
    size_t limit;
    int count; /* -1: refused */
} streams[] = {
    {BYTES(""), 0, 0},
    {BYTES("\x00\x00"), 1, 1},
    {BYTES("\x01\x02"
           "abb"),
     1, 1},
    {BYTES("\x01\x00"
           "a\x01\x00"
           "b"),
     2, 2},
    {BYTES("\x01\x00"
           "a\x01\x00"
           "b"),
     1, -1},
    {BYTES("\x00\x00"), 0, -1},
    {BYTES("\x80\x00\x00\x01\x80\x00\x00\x02"
           "abb"),
     9, 1},
    {BYTES("\x01\x80\x00\x00\x02"
           "abb"),
     9, 1},
    {BYTES("\x01"), 9, -1},
    {BYTES("\x01\x01"
           "a"),
     9, -1},
    {BYTES("\x05\x00"
           "abcd"),
     9, -1},
    {BYTES("\x80\x00\x00"), 9, -1},
    {BYTES("\x80\x00\x00\x01"), 9, -1},
    {BYTES("\x01\x80\x00\x00"), 9, -1},
    {BYTES("\xff\xff\xff\xff\x00"
           "a"),
     9, -1},
    {BYTES("\xff\xff\xff\xff\xff\xff\xff\xff"
           "a"),
     9, -1},
    {BYTES("\xbf\xff\xff\xff\xbf\xff\xff\xff"
           "a"),
     9, -1},
    {BYTES("\x01\x01"
           "ab\x01"),
     9, -1},
};

START_TEST(record_params_are_split)
{
    struct params params;
    /* A copy of exactly this size, so that reading past it is seen. */
    size_t length = streams[_i].content.length;
    char *copy = malloc(length + !length);
    memcpy(copy, streams[_i].content.at, length);
    bool good = record_params((struct text){copy, length}, streams[_i].limit, arena, &params);
    ck_assert_int_eq(good, streams[_i].count >= 0);
    if (good)
        ck_assert_uint_eq(params.count, (size_t)streams[_i].count);
    else
        ck_assert_uint_eq(params.count, 0);
    free(copy);
}
END_TEST

START_TEST(record_params_point_into_content)
{
    struct text content = TEXT("\x04\x03NAMEval\x00\x00\x01\x80\x00\x00\x01XY");
    struct params params;
    ck_assert(record_params(content, 10, arena, &params));
    ck_assert_uint_eq(params.count, 3);
    ck_assert_ptr_eq(params.items[0].name.at, content.at + 2);
    ck_text_eq(params.items[0].name, "NAME");
    ck_text_eq(params.items[0].value, "val");
    ck_assert_uint_eq(params.items[1].name.length + params.items[1].value.length, 0);
    ck_text_eq(params.items[2].name, "X");
    ck_text_eq(params.items[2].value, "Y");
}
END_TEST

START_TEST(record_values_are_answered)
{
    unsigned char to[RECORD_VALUES_SIZE];
    struct text all = TEXT("\x0e\x00"
                           "FCGI_MAX_CONNS\x0d\x00"
                           "FCGI_MAX_REQS\x0f\x00"
                           "FCGI_MPXS_CONNS");
    static const char expected[] = "\x01\x0a\x00\x00\x00\x42\x00\x00\x0e\x0a"
                                   "FCGI_MAX_CONNS4294967295\x0d\x0a"
                                   "FCGI_MAX_REQS4294967295\x0f\x01"
                                   "FCGI_MPXS_CONNS0";
    size_t length = record_values(all, UINT32_MAX, TEXT(""), to);
    ck_assert_uint_eq(length, sizeof expected - 1 + 0);
    ck_assert_uint_eq((size_t)(to[4] << 8 | to[5]), length - 8);
    ck_assert_mem_eq(to + 8, expected + 8, length - 8);
    ck_assert_uint_eq(record_values(TEXT(""), 5, TEXT(""), to), 8);
    ck_assert_mem_eq(to, "\x01\x0a\x00\x00\x00\x00\x00\x00", 8);
    ck_assert_uint_eq(record_values(TEXT("\x01\x00X"), 5, TEXT(""), to), 8);
    ck_assert_uint_eq(record_values(TEXT("\x0f\x00"
                                         "FCGI_MPXS_CONN"),
                                    5, TEXT(""), to),
                      0);
    ck_assert_uint_eq(record_values(TEXT("\xff\xff\xff\xff\x00"), 5, TEXT(""), to), 0);
}
END_TEST

START_TEST(record_values_tell_a_status)
{
    unsigned char to[RECORD_VALUES_SIZE + 200];
    struct text asked = TEXT("\x10\x00"
                             "FCGIGUARD_STATUS\x0d\x00"
                             "FCGI_MAX_REQS");
    char status[200];
    memset(status, 's', sizeof status);
    ck_assert(record_asks(asked, TEXT(RECORD_STATUS)));
    ck_assert(record_asks(asked, TEXT("FCGI_MAX_REQS")));
    ck_assert(!record_asks(asked, TEXT("FCGI_MAX_CONNS")));
    ck_assert(!record_asks(TEXT("\x10\x00"
                                "FCGIGUARD_STATU"),
                           TEXT(RECORD_STATUS)));
    size_t length = record_values(asked, 5, (struct text){status, sizeof status}, to);
    ck_assert_uint_eq(length, 8 + 2 + 13 + 1 + 5 + 16 + 200);
    ck_assert_mem_eq(to + 8,
                     "\x0d\x01"
                     "FCGI_MAX_REQS5\x10\x80\x00\x00\xc8"
                     "FCGIGUARD_STATUSsss",
                     40);
}
END_TEST

/* A name asked for again and again once overflowed other programs' buffers. */
START_TEST(record_values_do_not_grow)
{
    unsigned char to[RECORD_VALUES_SIZE];
    char *many = arena_alloc(arena, 1000 * 16);
    for (size_t i = 0; i < 1000; i++)
        memcpy(many + 16 * i,
               "\x0e\x00"
               "FCGI_MAX_CONNS",
               16);
    size_t once = record_values((struct text){many, 16}, 7, TEXT(""), to);
    ck_assert_uint_eq(record_values((struct text){many, 16000}, 7, TEXT(""), to), once);
    ck_assert_uint_eq(once, 8 + 2 + 14 + 1);
}
END_TEST

/* ---- replies */

START_TEST(reply_head_is_safe)
{
    struct reply reply = {.status = 404, .length = 3};
    struct headers *headers = &reply.headers;
    headers_add(headers, arena, TEXT("X-Good"), TEXT("a\tb"));
    headers_add(headers, arena, TEXT("Set-Cookie"), TEXT("a"));
    headers_add(headers, arena, TEXT("Set-Cookie"), TEXT("b"));
    headers_add(headers, arena, TEXT("X-Cr"), TEXT("a\rb"));
    headers_add(headers, arena, TEXT("X-Lf"), TEXT("a\nX-Evil: b"));
    headers_add(headers, arena, TEXT("X-Nul"), TEXT("a\0b"));
    headers_add(headers, arena, TEXT("X Space"), TEXT("a"));
    headers_add(headers, arena, TEXT("X-Colon:"), TEXT("a"));
    headers_add(headers, arena, TEXT("X\r\nY"), TEXT("a"));
    headers_add(headers, arena, TEXT(""), TEXT("a"));
    headers_add(headers, arena, TEXT("STATUS"), TEXT("200"));
    headers_add(headers, arena, TEXT("content-Length"), TEXT("4"));
    headers_add(headers, arena, TEXT("X-Empty"), TEXT(""));
    ck_text_eq(reply_head(&reply, arena), "Status: 404 Not Found\r\nX-Good: a\tb\r\nSet-Cookie: a\r\n"
                                          "Set-Cookie: b\r\nX-Empty: \r\nContent-Length: 3\r\n\r\n");
}
END_TEST

START_TEST(reply_heads)
{
    struct reply reply = {.status = 200, .length = -1};
    ck_text_eq(reply_head(&reply, arena), "Status: 200 OK\r\n\r\n");
    reply = (struct reply){.status = 599, .length = INT64_MAX};
    ck_text_eq(reply_head(&reply, arena), "Status: 599\r\nContent-Length: 9223372036854775807\r\n\r\n");
    reply = (struct reply){.status = 204, .length = 0};
    ck_text_eq(reply_head(&reply, arena), "Status: 204 No Content\r\n\r\n");
    reply = (struct reply){.status = 431, .length = 0};
    ck_text_eq(reply_head(&reply, arena),
               "Status: 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n\r\n");
}
END_TEST

START_TEST(reply_reasons)
{
    ck_assert_str_eq(reply_reason(503), "Service Unavailable");
    ck_assert_str_eq(reply_reason(299), "");
    ck_assert_str_eq(reply_reason(199), "");
    ck_assert_str_eq(reply_reason(600), "");
    ck_assert_str_eq(reply_reason(-1), "");
}
END_TEST

START_TEST(reply_bodies)
{
    struct reply reply = {.status = 200};
    ck_assert(reply_has_body(&reply, TEXT("GET")));
    ck_assert(!reply_has_body(&reply, TEXT("HEAD")));
    ck_assert(reply_has_body(&reply, TEXT("head")));
    reply.status = 204;
    ck_assert(!reply_has_body(&reply, TEXT("GET")));
    reply.status = 304;
    ck_assert(!reply_has_body(&reply, TEXT("GET")));
    reply.status = 500;
    ck_assert(reply_has_body(&reply, TEXT("")));
}
END_TEST

/* ---- spools */

static struct spool spool = {.file = -1};
static const char *spool_folder;

static void make_spool_folder(void)
{
    make_arena();
    char *folder = arena_printf(arena, "/tmp/check_http.XXXXXX");
    spool_folder = mkdtemp(folder);
    ck_assert_ptr_nonnull(spool_folder);
}

static int files_in(const char *folder)
{
    DIR *listing = opendir(folder);
    int count = 0;
    while (readdir(listing))
        count++;
    closedir(listing);
    return count - 2;
}

static void free_spool_folder(void)
{
    spool_close(&spool);
    ck_assert_int_eq(files_in(spool_folder), 0);
    ck_assert_int_eq(rmdir(spool_folder), 0);
    free_arena();
}

/* Memory limit; what is written in pieces of 7 bytes, 100 in all, and read in pieces. */
static const struct {
    uint64_t memory;
    size_t piece;
} spools[] = {{0, 100}, {0, 1}, {1, 3}, {6, 7}, {7, 7}, {8, 100}, {50, 13}, {99, 100}, {100, 100}, {4096, 9}};

START_TEST(spool_gives_back)
{
    struct error error = {0};
    char content[100], copy[100];
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (char)i;
    spool = spool_new(spools[_i].memory, 100, spool_folder);
    for (size_t i = 0; i < sizeof content; i += 7)
        ck_assert_msg(spool_write(&spool, content + i, i + 7 > 100 ? 100 - i : 7, &error), "%s",
                      error.message);
    ck_assert_int_eq(spool.file >= 0, spools[_i].memory < 100);
    ck_assert_int_eq(files_in(spool_folder), 0);
    for (int round = 0; round < 2; round++) {
        size_t length = 0;
        ssize_t piece;
        memset(copy, 0xff, sizeof copy);
        while ((piece = spool_read(&spool, copy + length, spools[_i].piece)) > 0)
            length += (size_t)piece;
        ck_assert_int_eq(piece, 0);
        ck_assert_uint_eq(length, 100);
        ck_assert_mem_eq(copy, content, 100);
        spool_rewind(&spool);
    }
    ck_assert(!spool_write(&spool, "x", 1, &error));
    ck_assert_int_eq(error.number, EFBIG);
    ck_assert_uint_eq(spool.length, 100);
}
END_TEST

START_TEST(spool_reads_while_written)
{
    struct error error = {0};
    char got[8];
    spool = spool_new(4, 1000, spool_folder);
    ck_assert_int_eq(spool_read(&spool, got, 8), 0);
    ck_assert(spool_write(&spool, "abc", 3, &error));
    ck_assert_int_eq(spool_read(&spool, got, 2), 2);
    ck_assert(spool_write(&spool, "defg", 4, &error));
    ck_assert_int_eq(spool_read(&spool, got, 8), 2);
    ck_assert_mem_eq(got, "cd", 2);
    ck_assert_int_eq(spool_read(&spool, got, 8), 3);
    ck_assert_mem_eq(got, "efg", 3);
    ck_assert_int_eq(spool_read(&spool, got, 8), 0);
}
END_TEST

START_TEST(spool_is_all_or_nothing)
{
    struct error error = {0};
    char got[8];
    spool = spool_new(4, 1000, "/nonexistent/folder");
    ck_assert(spool_write(&spool, "ab", 2, &error));
    ck_assert(!spool_write(&spool, "cdefgh", 6, &error));
    ck_assert_int_eq(error.number, ENOENT);
    ck_assert_uint_eq(spool.length, 2);
    ck_assert_int_eq(spool_read(&spool, got, 8), 2);
    ck_assert_mem_eq(got, "ab", 2);
    error = (struct error){0};
    ck_assert(!spool_write(&spool, "x", SIZE_MAX, &error));
    ck_assert_int_eq(error.number, EFBIG);
}
END_TEST

START_TEST(spool_tells_of_failures)
{
    struct error error = {0};
    char got[4];
    spool = spool_new(0, 1000, NULL);
    ck_assert(!spool_write(&spool, "a", 1, &error));
    ck_assert(error.set);
    spool = spool_new(0, 1000, spool_folder);
    error = (struct error){0};
    ck_assert(spool_write(&spool, "abc", 3, &error));
    ck_assert_int_eq(ftruncate(spool.file, 1), 0);
    ck_assert_int_eq(spool_read(&spool, got, 4), 1);
    ck_assert_int_eq(spool_read(&spool, got, 4), -1);
    ck_assert_int_eq(errno, EIO);
    ck_assert_int_eq(fcntl(spool.file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

START_TEST(spool_closes_twice)
{
    struct error error = {0};
    struct spool none = {.file = -1};
    spool_close(&none);
    spool = spool_new(2, 1000, spool_folder);
    ck_assert(spool_write(&spool, "abc", 3, &error));
    int file = spool.file;
    spool_close(&spool);
    ck_assert_int_eq(spool.file, -1);
    ck_assert_ptr_null(spool.memory);
    ck_assert_int_eq(fcntl(file, F_GETFD), -1);
}
END_TEST

/* ---- bodies */

/* A channel that gives one piece after the other: text, "" for the end, or an
 * error; and that keeps what is sent. */
struct piece {
    const char *text;
    int error;
};
struct script {
    struct channel channel;
    const struct piece *next;
    size_t offset;
    char sent[512];
    size_t sent_length;
    int sends;
};

static ssize_t script_receive(struct channel *channel, void *to, size_t size)
{
    struct script *script = (struct script *)channel;
    const struct piece *piece = script->next;
    if (!piece->text) {
        if (piece->error == EAGAIN)
            script->next++;
        errno = piece->error;
        return -1;
    }
    size_t length = strlen(piece->text + script->offset);
    if (length > size)
        length = size;
    memcpy(to, piece->text + script->offset, length);
    script->offset += length;
    if (length > 0 && !piece->text[script->offset]) {
        script->next++;
        script->offset = 0;
    }
    return (ssize_t)length;
}

static bool script_send(struct channel *channel, struct text data)
{
    struct script *script = (struct script *)channel;
    ck_assert_uint_le(script->sent_length + data.length, sizeof script->sent);
    memcpy(script->sent + script->sent_length, data.at, data.length);
    script->sent_length += data.length;
    script->sends++;
    return !channel->gone;
}

static struct script script_of(const struct piece *pieces)
{
    return (struct script){
        .channel = {.input = -1, .output = -1, .receive = script_receive, .send = script_send},
        .next = pieces,
    };
}

static struct body body_of(struct script *script, int64_t stated, uint64_t limit)
{
    return (struct body){
        .channel = &script->channel, .stated = stated, .limit = limit, .spool = {.file = -1}};
}

static const struct {
    struct piece pieces[8];
    int64_t stated;
    uint64_t limit;
    const char *body;
    ssize_t result; /* the last of body_read(), waits left out */
    const char *code;
} bodies[] = {
    {{{"", 0}}, -1, 100, "", 0, NULL},
    {{{"", 0}}, 0, 100, "", 0, NULL},
    {{{"abc", 0}, {"def", 0}, {"", 0}}, -1, 100, "abcdef", 0, NULL},
    {{{"abc", 0}, {NULL, EAGAIN}, {"def", 0}, {NULL, EAGAIN}, {"", 0}}, 6, 100, "abcdef", 0, NULL},
    {{{"abcdef", 0}, {"", 0}}, 6, 6, "abcdef", 0, NULL},
    {{{"abcdef", 0}, {"", 0}}, -1, 6, "abcdef", 0, NULL},
    {{{"abcdef", 0}, {"g", 0}, {"", 0}}, -1, 6, NULL, BODY_OVER, "body_too_large"},
    {{{"abcdefg", 0}, {"", 0}}, -1, 6, NULL, BODY_OVER, "body_too_large"},
    {{{"abcdefg", 0}, {"", 0}}, 7, 6, NULL, BODY_OVER, "body_too_large"},
    {{{"a", 0}, {"", 0}}, -1, 0, NULL, BODY_OVER, "body_too_large"},
    {{{"abc", 0}, {"", 0}}, 4, 100, NULL, BODY_BROKEN, "body_invalid"},
    {{{"", 0}}, 1, 100, NULL, BODY_BROKEN, "body_invalid"},
    {{{"abcde", 0}, {"", 0}}, 4, 100, NULL, BODY_BROKEN, "body_invalid"},
    {{{"abcd", 0}, {"e", 0}, {"", 0}}, 4, 100, NULL, BODY_BROKEN, "body_invalid"},
    {{{"a", 0}, {"", 0}}, 0, 100, NULL, BODY_BROKEN, "body_invalid"},
    {{{"abc", 0}, {NULL, EPROTO}}, -1, 100, NULL, BODY_BROKEN, "body_invalid"},
    {{{"abc", 0}, {NULL, ECONNABORTED}}, -1, 100, NULL, BODY_GONE, "body_incomplete"},
    {{{NULL, ECONNABORTED}}, 3, 100, NULL, BODY_GONE, "body_incomplete"},
};

static ssize_t read_all(struct body *body, size_t size, char *to, size_t *length)
{
    ssize_t piece;
    *length = 0;
    while ((piece = body_read(body, to + *length, size)) > 0 || piece == BODY_WAIT)
        if (piece > 0)
            *length += (size_t)piece;
    return piece;
}

START_TEST(body_is_read)
{
    for (size_t size = 1; size < 10; size += 4)
        for (int peek = 0; peek < 2; peek++) {
            char got[64];
            size_t length;
            struct script script = script_of(bodies[_i].pieces);
            struct body body = body_of(&script, bodies[_i].stated, bodies[_i].limit);
            if (peek)
                body_is_empty(&body);
            ck_assert_int_eq(read_all(&body, size, got, &length), bodies[_i].result);
            /* What was said once stays so. */
            ck_assert_int_eq(body_read(&body, got + length, size), bodies[_i].result);
            if (!bodies[_i].body)
                continue;
            ck_assert_uint_eq(length, strlen(bodies[_i].body));
            ck_assert_mem_eq(got, bodies[_i].body, length);
            ck_assert_int_eq(body_length(&body), (int64_t)length);
        }
}
END_TEST

START_TEST(body_is_collected)
{
    for (uint64_t memory = 0; memory < 10; memory += 3) {
        char got[64];
        size_t length;
        struct script script = script_of(bodies[_i].pieces);
        struct body body = body_of(&script, bodies[_i].stated, bodies[_i].limit);
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC); /* always readable */
        script.channel.input = null;
        struct verdict verdict = body_collect(&body, memory, spool_folder, 1000, clock_milliseconds() + 5000);
        if (bodies[_i].code) {
            ck_assert_int_eq(verdict.kind, VERDICT_DENY);
            ck_assert_str_eq(verdict.code, bodies[_i].code);
            ck_assert_str_eq(verdict.guard, "body");
        } else {
            ck_assert_int_eq(verdict.kind, VERDICT_PASS);
            ck_assert_int_eq(body_length(&body), (int64_t)strlen(bodies[_i].body));
            ck_assert_int_eq(body_is_empty(&body), bodies[_i].body[0] == '\0');
            ck_assert_int_eq(read_all(&body, 5, got, &length), 0);
            ck_assert_uint_eq(length, strlen(bodies[_i].body));
            ck_assert_mem_eq(got, bodies[_i].body, length);
            ck_assert_int_eq(body_collect(&body, memory, spool_folder, 0, 0).kind, VERDICT_PASS);
        }
        body_close(&body);
        close(null);
    }
}
END_TEST

START_TEST(body_collect_does_not_wait_for_ever)
{
    static const struct piece pieces[] = {{"abc", 0}, {NULL, EAGAIN}, {"", 0}};
    static const struct {
        uint64_t silence, deadline;
    } limits[] = {{30, 60000}, {60000, 30}, {60000, 0}};
    for (int i = 0; i < COUNT(limits); i++) {
        int ends[2];
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        struct script script = script_of(pieces);
        struct body body = body_of(&script, -1, 100);
        script.channel.input = ends[0];
        uint64_t start = clock_milliseconds();
        struct verdict verdict =
            body_collect(&body, 10, spool_folder, limits[i].silence, start + limits[i].deadline);
        uint64_t took = clock_milliseconds() - start;
        ck_assert_int_eq(verdict.status, 408);
        ck_assert_str_eq(verdict.code, "body_timeout");
        ck_assert_uint_lt(took, 40000);
        ck_assert(i == 2 || took >= 30);
        body_close(&body);
        close(ends[0]);
        close(ends[1]);
    }
}
END_TEST

START_TEST(body_collect_needs_its_folder)
{
    static const struct piece pieces[] = {{"abcdef", 0}, {"", 0}};
    struct script script = script_of(pieces);
    struct body body = body_of(&script, -1, 100);
    struct verdict verdict = body_collect(&body, 2, "/nonexistent", 1000, clock_milliseconds() + 1000);
    ck_assert_int_eq(verdict.kind, VERDICT_FAULT);
    ck_assert_int_eq(verdict.status, 500);
    ck_assert_str_eq(verdict.code, "spool_failed");
    body_close(&body);
}
END_TEST

START_TEST(body_emptiness)
{
    static const struct piece none[] = {{"", 0}}, some[] = {{"x", 0}, {"", 0}};
    static const struct piece later[] = {{NULL, EAGAIN}, {"", 0}};
    struct script script = script_of(none);
    struct body body = body_of(&script, -1, 100);
    ck_assert_int_eq(body_length(&body), -1);
    ck_assert(body_is_empty(&body) && body_is_empty(&body));
    ck_assert_int_eq(body_length(&body), 0);
    script = script_of(some);
    body = body_of(&script, -1, 100);
    ck_assert(!body_is_empty(&body) && !body_is_empty(&body));
    ck_assert_int_eq(body_length(&body), -1);
    script = script_of(later);
    body = body_of(&script, -1, 100);
    ck_assert(!body_is_empty(&body));
    ck_assert(body_is_empty(&body));
    script = script_of(some);
    body = body_of(&script, 0, 100);
    ck_assert(body_is_empty(&body));
    body = body_of(&script, 1, 100);
    ck_assert(!body_is_empty(&body));
    ck_assert_int_eq(body_length(&body), 1);
}
END_TEST

/* ---- exchanges */

static struct exchange exchange_of(struct script *script, const char *method, int status, int64_t length)
{
    return (struct exchange){
        .arena = arena,
        .channel = &script->channel,
        .request = {.method = text_of(method)},
        .reply = {.status = status, .length = length},
    };
}

static const struct {
    const char *method;
    int status;
    int64_t length;
    const char *pieces[3];
    const char *body;
} exchanges[] = {
    {"GET", 200, -1, {"abc", "def", NULL}, "abcdef"},
    {"GET", 200, 6, {"abc", "def", NULL}, "abcdef"},
    {"GET", 200, 5, {"abc", "def", NULL}, "abcde"},
    {"GET", 200, 3, {"abc", "def", NULL}, "abc"},
    {"GET", 200, 0, {"abc", "def", NULL}, ""},
    {"GET", 200, 9, {"abc", "", NULL}, "abc"},
    {"HEAD", 200, 6, {"abc", "def", NULL}, ""},
    {"HEAD", 404, -1, {"abc", "def", NULL}, ""},
    {"GET", 204, -1, {"abc", "def", NULL}, ""},
    {"GET", 304, -1, {"abc", "def", NULL}, ""},
    {"", 400, 3, {"abc", NULL}, "abc"},
};

START_TEST(exchange_sends)
{
    struct script script = script_of(NULL);
    struct exchange exchange =
        exchange_of(&script, exchanges[_i].method, exchanges[_i].status, exchanges[_i].length);
    ck_assert(exchange_send_head(&exchange));
    ck_assert(exchange.head_sent);
    size_t head = script.sent_length;
    ck_assert_mem_eq(script.sent + head - 4, "\r\n\r\n", 4);
    for (int i = 0; exchanges[_i].pieces[i]; i++)
        ck_assert(exchange_send(&exchange, text_of(exchanges[_i].pieces[i])));
    size_t length = strlen(exchanges[_i].body);
    ck_assert_uint_eq(script.sent_length - head, length);
    ck_assert_mem_eq(script.sent + head, exchanges[_i].body, length);
    ck_assert_uint_eq(exchange.sent, length);
    script.channel.gone = true;
    ck_assert(!exchange_send(&exchange, TEXT("x")));
}
END_TEST

static int compare_ids(const void *one, const void *other)
{
    return memcmp(one, other, REQUEST_ID_SIZE);
}

START_TEST(the_time_can_be_played)
{
    struct exchange exchange = {0};
    int64_t before = clock_wall_milliseconds(), time = exchange_time(&exchange);
    ck_assert(before <= time && time <= clock_wall_milliseconds());
    exchange.played_time = 1;
    ck_assert_int_eq(exchange_time(&exchange), 1);
}
END_TEST

START_TEST(exchange_ids)
{
    enum { MANY = 1000 };
    static char ids[MANY][REQUEST_ID_SIZE];
    for (int i = 0; i < MANY; i++) {
        struct exchange exchange = {0};
        exchange_make_id(&exchange);
        memcpy(ids[i], exchange.id, REQUEST_ID_SIZE);
        ck_assert_uint_eq(strlen(ids[i]), 36);
        ck_assert_uint_eq(strspn(ids[i], "0123456789abcdef-"), 36);
        ck_assert(ids[i][8] == '-' && ids[i][13] == '-' && ids[i][18] == '-' && ids[i][23] == '-');
        ck_assert_int_eq(ids[i][14], '4');
        ck_assert(strchr("89ab", ids[i][19]));
    }
    qsort(ids, MANY, REQUEST_ID_SIZE, compare_ids);
    for (int i = 1; i < MANY; i++)
        ck_assert_str_ne(ids[i - 1], ids[i]);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name, SFun setup, SFun teardown)
{
    TCase *made = tcase_create(name);
    tcase_add_checked_fixture(made, setup, teardown);
    suite_add_tcase(suite, made);
    return made;
}

static void add_input_cases(Suite *suite)
{
    TCase *made = add_case(suite, "path", make_arena, free_arena);
    tcase_add_loop_test(made, path_is_canonical, 0, COUNT(paths));
    tcase_add_loop_test(made, path_is_encoded, 0, COUNT(encodings));
    tcase_add_test(made, path_of_any_length);
    made = add_case(suite, "address", make_arena, free_arena);
    tcase_add_loop_test(made, address_is_read, 0, COUNT(addresses));
    tcase_add_loop_test(made, network_is_read, 0, COUNT(networks));
    tcase_add_test(made, address_with_nul);
    tcase_add_test(made, address_compares);
    made = add_case(suite, "host", make_arena, free_arena);
    tcase_add_loop_test(made, host_is_read, 0, COUNT(hosts));
    tcase_add_test(made, host_has_limits);
    made = add_case(suite, "headers", make_arena, free_arena);
    tcase_add_test(made, headers_are_a_list);
    tcase_add_test(made, header_values);
    tcase_add_test(made, header_lists);
    tcase_add_test(made, reserved_names);
    made = add_case(suite, "request", make_arena, free_arena);
    tcase_add_loop_test(made, forwarded_is_read, 0, COUNT(hops));
    tcase_add_loop_test(made, request_is_read, 0, COUNT(requests));
    tcase_add_test(made, request_keeps_server_params);
    tcase_add_test(made, request_with_many_params);
}

static void add_transport_cases(Suite *suite)
{
    TCase *made = add_case(suite, "record", make_arena, free_arena);
    tcase_add_test(made, record_header_both_ways);
    tcase_add_loop_test(made, record_params_are_split, 0, COUNT(streams));
    tcase_add_test(made, record_params_point_into_content);
    tcase_add_test(made, record_values_are_answered);
    tcase_add_test(made, record_values_tell_a_status);
    tcase_add_test(made, record_values_do_not_grow);
    made = add_case(suite, "reply", make_arena, free_arena);
    tcase_add_test(made, reply_head_is_safe);
    tcase_add_test(made, reply_heads);
    tcase_add_test(made, reply_reasons);
    tcase_add_test(made, reply_bodies);
    made = add_case(suite, "spool", make_spool_folder, free_spool_folder);
    tcase_add_loop_test(made, spool_gives_back, 0, COUNT(spools));
    tcase_add_test(made, spool_reads_while_written);
    tcase_add_test(made, spool_is_all_or_nothing);
    tcase_add_test(made, spool_tells_of_failures);
    tcase_add_test(made, spool_closes_twice);
    made = add_case(suite, "body", make_spool_folder, free_spool_folder);
    tcase_add_loop_test(made, body_is_read, 0, COUNT(bodies));
    tcase_add_loop_test(made, body_is_collected, 0, COUNT(bodies));
    tcase_add_test(made, body_collect_does_not_wait_for_ever);
    tcase_add_test(made, body_collect_needs_its_folder);
    tcase_add_test(made, body_emptiness);
    made = add_case(suite, "exchange", make_arena, free_arena);
    tcase_add_loop_test(made, exchange_sends, 0, COUNT(exchanges));
    tcase_add_test(made, the_time_can_be_played);
    tcase_add_test(made, exchange_ids);
}

int main(void)
{
    Suite *suite = suite_create("http");
    add_input_cases(suite);
    add_transport_cases(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
