/*
 * Tests of the pure parts of handlers, by tables: of exec, the parser of replies and the
 * environment (programs are run by check_exec.c), and the answers of respond.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "handler/client_side.h"
#include "handler/exec.h"
#include "policy/policy.h"
#include "policy/route.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ================ the parser of replies */

struct reply_case {
    const char *name;
    struct text output;
    int status;          /* 0: broken */
    const char *headers; /* "Name=value|..." */
    int64_t length;
    const char *rest;  /* behind the block */
    const char *fault; /* a part of it */
};

#define GOOD(name_, output_, status_, headers_, length_, rest_)                                              \
    {                                                                                                        \
        (name_), TEXT(output_), (status_), (headers_), (length_), (rest_), NULL                              \
    }
#define BAD(name_, output_, fault_)                                                                          \
    {                                                                                                        \
        (name_), TEXT(output_), 0, NULL, -1, NULL, (fault_)                                                  \
    }

static const struct reply_case reply_cases[] = {
    GOOD("document", "Content-Type: text/plain\r\n\r\nhello", 200, "Content-Type=text/plain|", -1, "hello"),
    GOOD("document, LF", "Content-Type: text/plain\n\nhello", 200, "Content-Type=text/plain|", -1, "hello"),
    GOOD("mixed line ends", "Content-Type: a/b\r\nX-A: c\n\r\nhello", 200, "Content-Type=a/b|X-A=c|", -1,
         "hello"),
    GOOD("no body", "Content-Type: a/b\n\n", 200, "Content-Type=a/b|", -1, ""),
    GOOD("body of newlines", "Content-Type: a/b\n\n\n\r\n", 200, "Content-Type=a/b|", -1, "\n\r\n"),
    GOOD("names ignore case", "CONTENT-TYPE: a/b\nstatus: 201\n\n", 201, "CONTENT-TYPE=a/b|", -1, ""),
    GOOD("no blank after the colon", "Content-Type:a/b\n\n", 200, "Content-Type=a/b|", -1, ""),
    GOOD("blanks around the value", "Content-Type: \t a/b \t\n\n", 200, "Content-Type=a/b|", -1, ""),
    GOOD("tab inside a value", "Content-Type: a/b\nX-A: b\tc\n\n", 200, "Content-Type=a/b|X-A=b\tc|", -1, ""),
    GOOD("empty value", "Content-Type: a/b\nX-A:\n\n", 200, "Content-Type=a/b|X-A=|", -1, ""),
    GOOD("colons in a value", "Content-Type: a/b\nX-A: b:c:d\n\n", 200, "Content-Type=a/b|X-A=b:c:d|", -1,
         ""),
    GOOD("bytes past ASCII", "Content-Type: a/b\nX-A: \xc3\xa9\n\n", 200, "Content-Type=a/b|X-A=\xc3\xa9|",
         -1, ""),
    GOOD("two cookies", "Status: 200\nSet-Cookie: a=1\nSet-Cookie: b=2\n\n", 200,
         "Set-Cookie=a=1|Set-Cookie=b=2|", -1, ""),
    GOOD("status only", "Status: 204\n\n", 204, "", -1, ""),
    GOOD("status with reason", "Status: 404 Not Found\nContent-Type: a/b\n\nx", 404, "Content-Type=a/b|", -1,
         "x"),
    GOOD("status with an odd reason", "Status: 404 : \xff?\n\n", 404, "", -1, ""),
    GOOD("status, blank and no reason", "Status: 404 \n\n", 404, "", -1, ""),
    GOOD("lowest status", "Status: 200\n\n", 200, "", -1, ""),
    GOOD("highest status", "Status: 599\n\n", 599, "", -1, ""),
    GOOD("status last", "Content-Type: a/b\nStatus: 500\n\n", 500, "Content-Type=a/b|", -1, ""),
    GOOD("client redirect", "Location: https://example.org/a?b\n\n", 302, "Location=https://example.org/a?b|",
         -1, ""),
    GOOD("client redirect with document",
         "Status: 301 Moved\nLocation: https://example.org/\nContent-Type: a/b\n\nmoved", 301,
         "Location=https://example.org/|Content-Type=a/b|", -1, "moved"),
    GOOD("created", "Status: 201\nLocation: /new\n\n", 201, "Location=/new|", -1, ""),
    GOOD("local redirect", "Location: /a/b?c\n\n", 302, "Location=/a/b?c|", -1, ""),
    GOOD("relative redirect", "Location: b.cgi\r\n\r\n", 302, "Location=b.cgi|", -1, ""),
    GOOD("length", "Content-Length: 5\nContent-Type: a/b\n\n12345", 200, "Content-Type=a/b|", 5, "12345"),
    GOOD("length 0", "Content-Length: 0\nContent-Type: a/b\n\n", 200, "Content-Type=a/b|", 0, ""),
    GOOD("greatest length", "Content-Length: 9223372036854775807\nStatus: 200\n\n", 200, "", INT64_MAX, ""),
    GOOD("left to the mask", "Status: 200\nTransfer-Encoding: chunked\nConnection: close\n\n", 200,
         "Transfer-Encoding=chunked|Connection=close|", -1, ""),
    GOOD("name that begins like HTTP/", "HTTP-Thing: x\nStatus: 200\n\n", 200, "HTTP-Thing=x|", -1, ""),
    GOOD("CR in the body", "Status: 200\n\na\rb", 200, "", -1, "a\rb"),

    BAD("nothing but an empty line", "\n", "wrote no header"),
    BAD("nothing but CRLF", "\r\n", "wrote no header"),
    BAD("none of the three", "X-A: b\n\nbody", "wrote no header"),
    BAD("length alone", "Content-Length: 3\n\nabc", "wrote no header"),
    BAD("document without header", "<html>\n<body>\n", "\"<html>\" has no colon"),
    BAD("blank line of spaces", "Status: 200\n  \n\n", "begins with a blank"),
    BAD("folded line", "X-A: b\n c\nStatus: 200\n\n", "\" c\" begins with a blank"),
    BAD("folded by a tab", "X-A: b\n\tc\nStatus: 200\n\n", "begins with a blank"),
    BAD("first line begins with a blank", " Content-Type: a/b\n\n", "begins with a blank"),
    BAD("space in a name", "X A: b\nStatus: 200\n\n", "\"X A\" is not a token"),
    BAD("space before the colon", "Status : 200\n\n", "\"Status \" is not a token"),
    BAD("empty name", ": b\n\n", "\"\" is not a token"),
    BAD("name past ASCII", "X-\xc3\xa9: b\n\n", "\"X-\\xc3\\xa9\" is not a token"),
    BAD("NUL in a name", "X\0A: b\n\n", "\"X\\x00A\" is not a token"),
    BAD("NUL in a value", "X-A: b\0c\n\n", "a control character in the header line \"X-A: b\\x00c\""),
    BAD("escape in a value", "X-A: \x1b[31m\n\n", "a control character"),
    BAD("DEL in a value", "X-A: \x7f\n\n", "a control character"),
    BAD("bare CR in a value", "X-A: b\rSet-Cookie: c\nStatus: 200\n\n", "a CR inside"),
    BAD("bare CR in a name", "X\r-A: b\n\n", "a CR inside"),
    BAD("two CR at the end", "Status: 200\r\r\n\r\n", "a CR inside"),
    BAD("CR CR LF for the empty line", "Status: 200\r\n\r\r\n", "a CR inside"),
    BAD("only CR for line ends", "Content-Type: a/b\r\rhello\n", "a CR inside"),
    BAD("no colon", "Status: 200\noops\n\n", "\"oops\" has no colon"),
    BAD("status line", "HTTP/1.1 200 OK\nContent-Type: a/b\n\n", "status line \"HTTP/1.1 200 OK\""),
    BAD("status line with a colon", "HTTP/1.1 200 a:b\n\n", "status line"),
    BAD("status line later on", "Status: 200\nHTTP/1.1 200 OK\n\n", "has no colon"),
    BAD("two status", "Status: 200\nStatus: 500\n\n", "a second Status"),
    BAD("two equal status", "Status: 200\nstatus: 200\n\n", "a second Status"),
    BAD("status 100", "Status: 100 Continue\n\n", "the Status \"100 Continue\""),
    BAD("status 101", "Status: 101\n\n", "the Status"),
    BAD("status 199", "Status: 199\n\n", "the Status"),
    BAD("status 600", "Status: 600\n\n", "the Status"),
    BAD("status of two digits", "Status: 20\n\n", "the Status"),
    BAD("status of four digits", "Status: 2000\n\n", "the Status"),
    BAD("status with a leading zero", "Status: 0200\n\n", "the Status"),
    BAD("signed status", "Status: +20\n\n", "the Status"),
    BAD("status in letters", "Status: OK\n\n", "the Status"),
    BAD("empty status", "Status:\n\n", "the Status \"\""),
    BAD("status and no blank", "Status: 200OK\n\n", "the Status"),
    BAD("status and a tab", "Status: 200\tOK\n\n", "the Status"),
    BAD("two lengths", "Content-Length: 5\nContent-Length: 5\nStatus: 200\n\n", "a second Content-Length"),
    BAD("list of lengths", "Content-Length: 5, 5\nStatus: 200\n\n", "the Content-Length"),
    BAD("negative length", "Content-Length: -1\nStatus: 200\n\n", "the Content-Length"),
    BAD("signed length", "Content-Length: +1\nStatus: 200\n\n", "the Content-Length"),
    BAD("hexadecimal length", "Content-Length: 0x5\nStatus: 200\n\n", "the Content-Length"),
    BAD("empty length", "Content-Length:\nStatus: 200\n\n", "the Content-Length"),
    BAD("length past 63 bits", "Content-Length: 9223372036854775808\nStatus: 200\n\n", "the Content-Length"),
    BAD("two types", "Content-Type: a/b\nContent-Type: a/b\n\n", "a second Content-Type"),
    BAD("empty type", "Content-Type: \n\n", "an empty Content-Type"),
    BAD("two locations", "Location: /a\nlocation: /b\n\n", "a second Location"),
    BAD("empty location", "Location:\n\n", "an empty Location"),
    BAD("long rubbish is cut",
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "\n",
        "\"01234567890123456789012345678901234567890123456789012345678901234567890123456789...\""),
    BAD("an escape is not cut in two",
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678\xff\n",
        "0123456789012345678901234567890123456789012345678901234567890123456789012345678...\""),
    BAD("quotes are escaped", "a\"b\\c\n", "\"a\\x22b\\x5cc\""),
};

static enum cgi_reply_step feed_in_pieces(struct cgi_reply *reply, struct text output, size_t piece,
                                          size_t *used)
{
    enum cgi_reply_step step = CGI_REPLY_MORE;
    for (*used = 0; *used < output.length && step == CGI_REPLY_MORE;) {
        struct text next = text_from(output, *used);
        size_t taken;
        if (next.length > piece)
            next.length = piece;
        step = cgi_reply_feed(reply, next, &taken);
        *used += taken;
    }
    return step;
}

static const char *headers_line(const struct headers *headers, struct arena *arena)
{
    struct bytes line = bytes_new(arena, 1 << 20);
    for (size_t i = 0; i < headers->count; i++) {
        bytes_add_text(&line, headers->items[i].name);
        bytes_add(&line, "=", 1);
        bytes_add_text(&line, headers->items[i].value);
        bytes_add(&line, "|", 1);
    }
    bytes_add(&line, "", 1);
    return line.at;
}

static void check_reply(const struct reply_case *c, size_t piece)
{
    struct arena *arena = arena_new();
    struct cgi_reply reply = cgi_reply_new(arena);
    size_t used;
    enum cgi_reply_step step = feed_in_pieces(&reply, c->output, piece, &used);
    if (c->status) {
        ck_assert_msg(step == CGI_REPLY_COMPLETE, "%s: %s", c->name, reply.fault ? reply.fault : "no end");
        ck_assert_msg(reply.status == c->status, "%s: status %d", c->name, reply.status);
        ck_assert_msg(reply.length == c->length, "%s: length %lld", c->name, (long long)reply.length);
        ck_assert_str_eq(headers_line(&reply.headers, arena), c->headers);
        ck_assert_msg(text_equal(text_from(c->output, used), text_of(c->rest)), "%s: rest", c->name);
    } else {
        ck_assert_msg(step == CGI_REPLY_BROKEN, "%s: was taken", c->name);
        ck_assert_msg(strstr(reply.fault, c->fault) != NULL, "%s: %s", c->name, reply.fault);
    }
    arena_free(arena);
}

START_TEST(reply_whole)
{
    check_reply(&reply_cases[_i], SIZE_MAX);
}
END_TEST

START_TEST(reply_in_pieces)
{
    for (size_t piece = 1; piece < 12; piece++)
        check_reply(&reply_cases[_i], piece);
}
END_TEST

START_TEST(reply_that_has_not_ended)
{
    static const char *const outputs[] = {"", "C", "Content-Type: a/b", "Content-Type: a/b\n",
                                          "Content-Type: a/b\r\n\r"};
    for (size_t i = 0; i < COUNT(outputs); i++) {
        struct arena *arena = arena_new();
        struct cgi_reply reply = cgi_reply_new(arena);
        size_t used;
        ck_assert_int_eq(feed_in_pieces(&reply, text_of(outputs[i]), SIZE_MAX, &used), CGI_REPLY_MORE);
        ck_assert_uint_eq(used, strlen(outputs[i]));
        arena_free(arena);
    }
}
END_TEST

START_TEST(reply_that_may_be_bare)
{
    static const char *const outputs[] = {"\n", "\r\nbody", "X-A: b\n\n"};
    for (size_t i = 0; i < COUNT(outputs); i++)
        for (int may = 0; may < 2; may++) {
            struct arena *arena = arena_new();
            struct cgi_reply reply = cgi_reply_new(arena);
            size_t used;
            reply.may_be_bare = may;
            ck_assert_int_eq(feed_in_pieces(&reply, text_of(outputs[i]), 1, &used),
                             may ? CGI_REPLY_COMPLETE : CGI_REPLY_BROKEN);
            ck_assert_int_eq(reply.status, may ? 200 : 0);
            arena_free(arena);
        }
}
END_TEST

/* A block of exactly `size` bytes, in lines of about 1000 or in one. */
static struct text block_of(struct arena *arena, size_t size, bool one_line)
{
    struct bytes block = bytes_new(arena, size + 100);
    static const char last[] = "\n\n";
    bytes_printf(&block, "Content-Type: a/b\nX:");
    while (block.length < size - 2)
        bytes_add(&block, !one_line && block.length % 1000 == 0 && block.length < size - 10 ? "\nX:" : "xxx",
                  size - 2 - block.length < 3 ? size - 2 - block.length : 3);
    bytes_add(&block, last, 2);
    ck_assert_uint_eq(block.length, size);
    return bytes_text(&block);
}

START_TEST(reply_size_limit)
{
    static const size_t pieces[] = {SIZE_MAX, 1, 4096, 65535, 65536, 65537};
    for (size_t i = 0; i < COUNT(pieces) * 2; i++) {
        struct arena *arena = arena_new();
        struct cgi_reply fits = cgi_reply_new(arena), over = cgi_reply_new(arena);
        size_t used, piece = pieces[i / 2];
        ck_assert_int_eq(feed_in_pieces(&fits, block_of(arena, CGI_REPLY_SIZE_LIMIT, i % 2), piece, &used),
                         CGI_REPLY_COMPLETE);
        ck_assert_int_eq(
            feed_in_pieces(&over, block_of(arena, CGI_REPLY_SIZE_LIMIT + 1, i % 2), piece, &used),
            CGI_REPLY_BROKEN);
        ck_assert_ptr_nonnull(strstr(over.fault, "larger than 65536"));
        arena_free(arena);
    }
}
END_TEST

START_TEST(reply_header_count)
{
    for (size_t count = CGI_REPLY_HEADERS_LIMIT; count <= CGI_REPLY_HEADERS_LIMIT + 1; count++) {
        struct arena *arena = arena_new();
        struct bytes block = bytes_new(arena, CGI_REPLY_SIZE_LIMIT);
        struct cgi_reply reply = cgi_reply_new(arena);
        size_t used;
        bytes_printf(&block, "Status: 200\n");
        for (size_t i = 1; i < count; i++)
            bytes_printf(&block, "X-%zu: a\n", i);
        bytes_printf(&block, "\n");
        bool fits = count == CGI_REPLY_HEADERS_LIMIT;
        ck_assert_int_eq(feed_in_pieces(&reply, bytes_text(&block), SIZE_MAX, &used),
                         fits ? CGI_REPLY_COMPLETE : CGI_REPLY_BROKEN);
        arena_free(arena);
    }
}
END_TEST

/* ================ the environment */

struct environment_case {
    const char *name;
    void (*arrange)(struct exchange *, struct exec_settings *);
    const char *there[8];  /* "NAME=value" */
    const char *absent[8]; /* "NAME" */
};

static struct arena *arena;

static void add_param(struct exchange *exchange, const char *name, const char *value)
{
    static struct param params[32];
    struct params *server = &exchange->request.server;
    server->items = params;
    params[server->count++] = (struct param){text_of(name), text_of(value)};
}

static void add_header(struct exchange *exchange, const char *name, struct text value)
{
    headers_add(&exchange->request.headers, arena, text_of(name), value);
}

static void arrange_plain(struct exchange *exchange, struct exec_settings *settings)
{
    (void)exchange;
    (void)settings;
}

static void arrange_server(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    add_param(exchange, "SERVER_NAME", "www.example.org");
    add_param(exchange, "SERVER_PORT", "8080");
    add_param(exchange, "SERVER_ADDR", "192.0.2.9");
    add_param(exchange, "SERVER_SOFTWARE", "lighttpd/1.4");
    add_param(exchange, "SERVER_PROTOCOL", "HTTP/2.0");
    add_param(exchange, "DOCUMENT_ROOT", "/srv/www");
}

static void arrange_strange_parameters(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    add_param(exchange, "REMOTE_USER", "forged");
    add_param(exchange, "PHP_VALUE", "auto_prepend_file=/etc/passwd");
    add_param(exchange, "SCRIPT_NAME", "/other");
    add_param(exchange, "REMOTE_ADDR", "198.51.100.1");
    add_param(exchange, "SCRIPT_FILENAME", "/etc/passwd");
    add_param(exchange, "BASH_FUNC_ls%%", "() { id; }");
    add_param(exchange, "LD_PRELOAD", "/tmp/x.so");
    add_param(exchange, "CONTENT_LENGTH", "77");
}

static void arrange_pass(struct exchange *exchange, struct exec_settings *settings)
{
    static struct text names[] = {TEXT("REMOTE_USER"), TEXT("SSL_CLIENT_S_DN"), TEXT("ABSENT"),
                                  TEXT("LD_PRELOAD"),  TEXT("QUERY_STRING"),    TEXT("lower")};
    settings->pass = (struct texts){names, COUNT(names)};
    arrange_strange_parameters(exchange, settings);
    add_param(exchange, "SSL_CLIENT_S_DN", "CN=a\nX=b");
    add_param(exchange, "QUERY_STRING", "forged=1");
    add_param(exchange, "lower", "x");
}

static void arrange_headers(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    add_header(exchange, "authorization", TEXT("Basic eA=="));
    add_header(exchange, "user-agent", TEXT("a b"));
    add_header(exchange, "x-a-1", TEXT(""));
    add_header(exchange, "host", TEXT("example.org:81"));
    add_header(exchange, "x-request-id", TEXT("forged"));
    add_header(exchange, "content-length", TEXT("77"));
    add_header(exchange, "content-type", TEXT("a/b"));
    add_header(exchange, "proxy", TEXT("http://evil/"));
    add_header(exchange, "connection", TEXT("close"));
    add_header(exchange, "transfer-encoding", TEXT("chunked"));
    add_header(exchange, "upgrade", TEXT("websocket"));
    add_header(exchange, "te", TEXT("trailers"));
}

static void arrange_bad_headers(struct exchange *exchange, struct exec_settings *settings)
{
    static char long_name[400];
    (void)settings;
    memset(long_name, 'a', sizeof long_name - 1);
    add_header(exchange, "x%%", TEXT("() { id; }"));
    add_header(exchange, "x=y", TEXT("b"));
    add_header(exchange, "x-newline", TEXT("a\nb"));
    add_header(exchange, "x-return", TEXT("a\rb"));
    add_header(exchange, "x-nul", TEXT("a\0b"));
    add_header(exchange, long_name, TEXT("b"));
    add_header(exchange, "x-good", TEXT("a=b"));
}

static void arrange_secure(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    exchange->request.secure = true;
}

static void arrange_proxy(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    exchange->request.through_proxy = true;
    ck_assert(address_parse(TEXT("2001:db8::1"), &exchange->request.client));
    add_param(exchange, "REMOTE_PORT", "1234");
}

static void arrange_port(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    add_param(exchange, "REMOTE_PORT", "1234");
}

static void arrange_unknown_client(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    exchange->request.client = exchange->request.peer = (struct address){0};
    add_param(exchange, "REMOTE_PORT", "1234");
    add_param(exchange, "REMOTE_ADDR", "unix:");
}

static void arrange_stated_body(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    exchange->request.method = TEXT("POST");
    exchange->request.content_length = 42;
    exchange->request.content_type = TEXT("text/plain");
}

static void arrange_spooled_body(struct exchange *exchange, struct exec_settings *settings)
{
    arrange_stated_body(exchange, settings);
    exchange->request.content_length = -1;
    exchange->body.spooled = true;
    exchange->body.spool.length = 7;
}

static void arrange_unknown_body(struct exchange *exchange, struct exec_settings *settings)
{
    arrange_stated_body(exchange, settings);
    exchange->request.content_length = -1;
}

static void arrange_root(struct exchange *exchange, struct exec_settings *settings)
{
    (void)exchange;
    settings->program.root = "/srv/cgi";
    settings->program.path = NULL;
}

static void arrange_query(struct exchange *exchange, struct exec_settings *settings)
{
    (void)settings;
    exchange->request.query = TEXT("a=%20&b");
    exchange->request.target = TEXT("/cgi/a?a=%20&b");
    exchange->path_info = TEXT("/with blank/\xc3\xa9");
}

static const struct environment_case environment_cases[] = {
    {"plain",
     arrange_plain,
     {"GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=GET", "REQUEST_SCHEME=http",
      "QUERY_STRING=", "REMOTE_ADDR=192.0.2.1", "REDIRECT_STATUS=200", "PATH=/usr/local/bin:/usr/bin:/bin",
      "REQUEST_URI=/cgi/a"},
     {"HTTPS", "CONTENT_LENGTH", "CONTENT_TYPE", "REMOTE_PORT", "SERVER_ADDR", "DOCUMENT_ROOT",
      "REMOTE_USER"}},
    {"defaults of the server",
     arrange_plain,
     {"SERVER_PROTOCOL=HTTP/1.1", "SERVER_NAME=example.org", "SERVER_PORT=80", "SERVER_SOFTWARE=fcgiguard",
      "SCRIPT_NAME=/cgi", "PATH_INFO=/a", "REQUEST_ID=the-id", "HTTP_X_REQUEST_ID=the-id"},
     {0}},
    {"server",
     arrange_server,
     {"SERVER_NAME=www.example.org", "SERVER_PORT=8080", "SERVER_ADDR=192.0.2.9",
      "SERVER_SOFTWARE=lighttpd/1.4", "SERVER_PROTOCOL=HTTP/2.0", "DOCUMENT_ROOT=/srv/www"},
     {0}},
    {"raw parameters do not get through",
     arrange_strange_parameters,
     {"SCRIPT_NAME=/cgi", "REMOTE_ADDR=192.0.2.1"},
     {"REMOTE_USER", "PHP_VALUE", "SCRIPT_FILENAME", "BASH_FUNC_ls%%", "LD_PRELOAD", "CONTENT_LENGTH"}},
    {"pass",
     arrange_pass,
     {"REMOTE_USER=forged", "QUERY_STRING="},
     {"ABSENT", "LD_PRELOAD", "PHP_VALUE", "SSL_CLIENT_S_DN", "lower"}},
    {"headers",
     arrange_headers,
     {"HTTP_AUTHORIZATION=Basic eA==", "HTTP_USER_AGENT=a b", "HTTP_X_A_1=", "HTTP_HOST=example.org:81",
      "HTTP_X_REQUEST_ID=the-id"},
     {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_PROXY", "HTTP_CONNECTION", "HTTP_TRANSFER_ENCODING",
      "HTTP_UPGRADE", "HTTP_TE"}},
    {"bad headers",
     arrange_bad_headers,
     {"HTTP_X_GOOD=a=b"},
     {"HTTP_X%%", "HTTP_X", "HTTP_X_NEWLINE", "HTTP_X_RETURN", "HTTP_X_NUL"}},
    {"secure", arrange_secure, {"HTTPS=on", "REQUEST_SCHEME=https", "SERVER_PORT=443"}, {0}},
    {"through a proxy", arrange_proxy, {"REMOTE_ADDR=2001:db8::1"}, {"REMOTE_PORT"}},
    {"port", arrange_port, {"REMOTE_ADDR=192.0.2.1", "REMOTE_PORT=1234"}, {0}},
    {"unknown client", arrange_unknown_client, {0}, {"REMOTE_ADDR", "REMOTE_PORT"}},
    {"stated body",
     arrange_stated_body,
     {"CONTENT_LENGTH=42", "CONTENT_TYPE=text/plain", "REQUEST_METHOD=POST"},
     {0}},
    {"spooled body", arrange_spooled_body, {"CONTENT_LENGTH=7"}, {0}},
    {"body of unknown length", arrange_unknown_body, {"CONTENT_TYPE=text/plain"}, {"CONTENT_LENGTH"}},
    {"root", arrange_root, {"QUERY_STRING="}, {"SCRIPT_NAME", "PATH_INFO", "SCRIPT_FILENAME"}},
    {"query",
     arrange_query,
     {"QUERY_STRING=a=%20&b", "REQUEST_URI=/cgi/a?a=%20&b", "PATH_INFO=/with blank/\xc3\xa9",
      "SCRIPT_NAME=/cgi"},
     {0}},
};

static void prepare_request(struct exchange *exchange)
{
    *exchange = (struct exchange){.arena = arena, .id = "the-id"};
    exchange->request = (struct request){.method = TEXT("GET"),
                                         .target = TEXT("/cgi/a"),
                                         .path = TEXT("/cgi/a"),
                                         .host = TEXT("example.org"),
                                         .content_length = -1};
    ck_assert(address_parse(TEXT("192.0.2.1"), &exchange->request.peer));
    exchange->request.client = exchange->request.peer;
    exchange->script_name = TEXT("/cgi");
    exchange->path_info = TEXT("/a");
    exchange->body.spool.file = -1;
}

/* The index of a variable of this name, and how many there are. */
static size_t find_variable(char *const *variables, const char *name, size_t length, size_t *found)
{
    size_t count = 0;
    for (size_t i = 0; variables[i]; i++) {
        if (strncmp(variables[i], name, length) == 0 && variables[i][length] == '=') {
            *found = i;
            count++;
        }
    }
    return count;
}

START_TEST(environment)
{
    const struct environment_case *c = &environment_cases[_i];
    struct exchange exchange;
    struct exec_settings settings = {.program = {.path = "/srv/cgi/x"}};
    arena = arena_new();
    prepare_request(&exchange);
    c->arrange(&exchange, &settings);
    char *const *variables = exec_environment(&settings, &exchange);
    for (size_t i = 0; i < COUNT(c->there) && c->there[i]; i++) {
        size_t at = 0, length = text_find(text_of(c->there[i]), '=');
        ck_assert_msg(find_variable(variables, c->there[i], length, &at) == 1, "%s: %s", c->name,
                      c->there[i]);
        ck_assert_str_eq(variables[at], c->there[i]);
    }
    for (size_t i = 0; i < COUNT(c->absent) && c->absent[i]; i++) {
        size_t at;
        ck_assert_msg(find_variable(variables, c->absent[i], strlen(c->absent[i]), &at) == 0,
                      "%s: %s is there", c->name, c->absent[i]);
    }
    for (size_t i = 0; variables[i]; i++) {
        size_t at, length = text_find(text_of(variables[i]), '=');
        ck_assert_msg(find_variable(variables, variables[i], length, &at) == 1, "%s twice", variables[i]);
        ck_assert_uint_eq(strspn(variables[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"), length);
    }
    arena_free(arena);
}
END_TEST

/* ================ answers of our own */

static struct policy *policy;
static struct exchange exchange;

static void load(const char *routes)
{
    struct error error = {0};
    policy = policy_parse(text_of(routes), TEST_FOLDER "/data/policies/policy.yaml", false, &error);
    ck_assert_msg(policy != NULL, "%s", error.message);
    findings_print(&policy->findings, FINDING_ERROR, stderr);
    ck_assert_uint_eq(policy->findings.errors, 0);
}

static void unload(void)
{
    arena_free(exchange.arena);
    exchange = (struct exchange){0};
    policy_free(policy);
    policy = NULL;
}

/* The body; `name` NULL: no such header. */
static struct text ask(const char *method, const char *target, const char *name, const char *value)
{
    struct param items[] = {{TEXT("REQUEST_METHOD"), text_of(method)},
                            {TEXT("REQUEST_URI"), text_of(target)},
                            {text_of(name), text_of(value)}};
    struct params params = {items, name ? 3 : 2};
    arena_free(exchange.arena);
    exchange = (struct exchange){.arena = arena_new()};
    struct verdict verdict =
        request_read(&exchange.request, &params, &policy->server.request, exchange.arena);
    ck_assert_msg(verdict.kind == VERDICT_PASS, "%s: %s", target, verdict.code);
    ck_assert_int_eq(router_find(policy->router, &exchange).kind, VERDICT_PASS);
    const struct route *route = exchange.route;
    const struct text *body = route->handler->begin(route->settings, &exchange, &exchange.verdict);
    ck_assert_int_eq(body == NULL, exchange.verdict.kind != VERDICT_PASS);
    return body ? *body : TEXT("");
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < exchange.reply.headers.count; i++) {
        const struct header *item = &exchange.reply.headers.items[i];
        if (text_equal_ignore_case(item->name, text_of(name)))
            return arena_copy(exchange.arena, item->value.at, item->value.length);
    }
    return "";
}

static void expect(const char *method, const char *target, int status, const char *type, const char *body)
{
    struct text found = ask(method, target, NULL, NULL);
    ck_assert_msg(text_equal(found, text_of(body)), "%s: %.*s", target, TEXT_ARGUMENTS(found));
    ck_assert_int_eq(exchange.reply.status, status);
    ck_assert_str_eq(header("content-type"), type);
    ck_assert_int_eq(exchange.reply.length, (int64_t)found.length);
    ck_assert(!exchange.reply.from_handler);
}

START_TEST(fixed_answers)
{
    load("defaults: {auth: none}\n"
         "routes:\n"
         "  - {path: /text, respond: {body: hello}}\n"
         "  - {path: /json, respond: {status: 418, body: {a: [1, true, null, '1'], b: {}}}}\n"
         "  - {path: /list, respond: {body: [], type: application/problem+json}}\n"
         "  - {path: /status, respond: {status: 404}}\n"
         "  - {path: /out, respond: {status: 503, headers: {Retry-After: 120, X-A: b}, body: <p>, type: "
         "text/html}}\n"
         "  - {path: /health, respond: health}\n"
         "  - {path: /live, respond: live}\n"
         "  - {path: /ready, respond: ready}\n");
    expect("GET", "/text", 200, "text/plain; charset=utf-8", "hello");
    expect("GET", "/json", 418, "application/json", "{\"a\":[1,true,null,\"1\"],\"b\":{}}");
    ck_assert_str_eq(header("etag"), "");
    expect("GET", "/list", 200, "application/problem+json", "[]");
    expect("GET", "/status", 404, "", "");
    expect("POST", "/out", 503, "text/html", "<p>");
    ck_assert_str_eq(header("retry-after"), "120");
    ck_assert_str_eq(header("x-a"), "b");
    for (size_t i = 0; i < 3; i++) {
        static const char *const paths[] = {"/health", "/live", "/ready"};
        expect("GET", paths[i], 200, "application/json", "{\"status\":\"healthy\"}");
        ck_assert_str_eq(header("cache-control"), "no-store");
    }
    unload();
}
END_TEST

/* No body where there must be none, and no length beside 304. */
START_TEST(empty_answers)
{
    load("defaults: {auth: none, methods: [GET, POST]}\n"
         "routes:\n"
         "  - {path: /204, respond: {status: 204}}\n"
         "  - {path: /205, respond: {status: 205}}\n"
         "  - {path: /304, respond: {status: 304}}\n");
    expect("GET", "/204", 204, "", "");
    expect("GET", "/205", 205, "", "");
    ask("GET", "/304", NULL, NULL);
    ck_assert_int_eq(exchange.reply.status, 304);
    ck_assert_int_eq(exchange.reply.length, -1);
    unload();
}
END_TEST

static int status_with(const char *method, const char *target, const char *name, const char *value)
{
    struct text body = ask(method, target, name, value);
    ck_assert_int_eq(exchange.reply.status == 304, body.length == 0);
    ck_assert_int_eq(exchange.reply.status == 304, exchange.reply.length == -1);
    return exchange.reply.status;
}

START_TEST(content_that_the_client_has)
{
    load("defaults: {auth: none, methods: [GET, POST]}\n"
         "routes:\n"
         "  - {path: /file, respond: {file: answers.txt, headers: {Cache-Control: max-age=60}}}\n"
         "  - {path: /other, respond: {file: answers.txt, type: text/html}}\n"
         "  - {path: /body, respond: {body: hello}}\n"
         "  - {path: /gone, respond: {status: 410, file: answers.txt}}\n");
    ask("GET", "/file", NULL, NULL);
    char tag[100], weak[200], many[200], date[100];
    snprintf(tag, sizeof tag, "%s", header("etag"));
    snprintf(date, sizeof date, "%s", header("last-modified"));
    snprintf(weak, sizeof weak, "W/%s", tag);
    snprintf(many, sizeof many, "\"a\", W/\"b\" ,%s", tag);
    ck_assert_uint_eq(strlen(tag), 34);
    ck_assert_uint_eq(strlen(date), 29);
    ck_assert_int_eq(status_with("GET", "/file", "HTTP_IF_NONE_MATCH", tag), 304);
    ck_assert_str_eq(header("etag"), tag);
    ck_assert_str_eq(header("cache-control"), "max-age=60");
    ck_assert_str_eq(header("content-type"), "");
    ck_assert_int_eq(status_with("HEAD", "/file", "HTTP_IF_NONE_MATCH", weak), 304);
    ck_assert_int_eq(status_with("GET", "/file", "HTTP_IF_NONE_MATCH", many), 304);
    ck_assert_int_eq(status_with("GET", "/file", "HTTP_IF_NONE_MATCH", "*"), 304);
    ck_assert_int_eq(status_with("GET", "/file", "HTTP_IF_NONE_MATCH", "\"a\""), 200);
    ck_assert_int_eq(status_with("GET", "/file", "HTTP_IF_NONE_MATCH", ""), 200);
    ck_assert_int_eq(status_with("POST", "/file", "HTTP_IF_NONE_MATCH", tag), 200);
    ck_assert_int_eq(status_with("GET", "/other", "HTTP_IF_NONE_MATCH", tag), 200);
    ck_assert_int_eq(status_with("GET", "/gone", "HTTP_IF_NONE_MATCH", "*"), 410);
    ck_assert_int_eq(status_with("GET", "/gone", "HTTP_IF_MODIFIED_SINCE", date), 410);
    ck_assert_int_eq(status_with("GET", "/file", "HTTP_IF_MODIFIED_SINCE", date), 304);
    ck_assert_int_eq(status_with("POST", "/file", "HTTP_IF_MODIFIED_SINCE", date), 200);
    static const char *const later[] = {"Tue, 01 Jan 2199 00:00:00 GMT", "Tue Jan  1 00:00:00 2199"};
    static const char *const not_later[] = {
        "Sat, 01 Jan 2000 00:00:00 GMT",          "Saturday, 01-Jan-00 00:00:00 GMT", "",          "never",
        "Tue, 01 Jan 2199 00:00:00 GMT and more", "Tue, 01 Jan 2199 00:00:00 +0000",  "4102444800"};
    for (size_t i = 0; i < COUNT(later); i++)
        ck_assert_msg(status_with("GET", "/file", "HTTP_IF_MODIFIED_SINCE", later[i]) == 304, "%s", later[i]);
    for (size_t i = 0; i < COUNT(not_later); i++)
        ck_assert_msg(status_with("GET", "/file", "HTTP_IF_MODIFIED_SINCE", not_later[i]) == 200, "%s",
                      not_later[i]);
    ask("GET", "/body", NULL, NULL);
    ck_assert_str_eq(header("last-modified"), "");
    snprintf(tag, sizeof tag, "%s", header("etag"));
    ck_assert_int_eq(status_with("GET", "/body", "HTTP_IF_NONE_MATCH", tag), 304);
    ck_assert_int_eq(status_with("GET", "/body", "HTTP_IF_MODIFIED_SINCE", later[0]), 200);
    unload();
}
END_TEST

struct redirect_case {
    const char *path, *to, *query; /* of the route; NULL: drop */
    const char *target, *location;
};

static const struct redirect_case redirect_cases[] = {
    {"/a", "https://www.example.com", NULL, "/a?x=1", "https://www.example.com"},
    {"/a", "https://www.example.com", "keep", "/a?x=1", "https://www.example.com?x=1"},
    {"/a", "http://[2001:db8::1]:8080/b?c=d#e", "keep", "/a?x=1&y",
     "http://[2001:db8::1]:8080/b?c=d&x=1&y#e"},
    {"/a", "/b#c", "keep", "/a?x=1", "/b?x=1#c"},
    {"/a", "/b", "keep", "/a?", "/b"},
    {"/a", "/b%2Fc", NULL, "/a", "/b%2Fc"},
    {"/{id}", "https://www.example.com/new/{id}.html", NULL, "/a%20b%C3%BC",
     "https://www.example.com/new/a%20b%C3%BC.html"},
    {"/{id}/{name}", "/{name}/{id}/{name}", NULL, "/1/2", "/2/1/2"},
    {"/{id}", "/b?id={id}&x=1", NULL, "/1%26admin=2%3D+;%23%3F", "/b?id=1%26admin%3D2%3D%2B%3B%23%3F&x=1"},
    {"/{id}", "/b?x=1#y", "keep", "/1?z=%23%0d%0a", "/b?x=1&z=%23%0d%0a#y"},
    {"/{id}", "/u/{id}", NULL, "/@evil.example", "/u/@evil.example"},
    {"/{id}", "https://www.example.com/{id}", NULL, "/x%25%32%66y%3F%23%22%3C",
     "https://www.example.com/x%252fy%3F%23%22%3C"},
    {"/{id}", "/b", "keep", "/1?%0\x7f", NULL},
    {"/{id}", "/b", "keep", "/1?a%&b%zz&c[]=\xc3\xbc|'\"<>", "/b?a%25&b%25zz&c%5B%5D=%C3%BC%7C'%22%3C%3E"},
    {"/old/**", "https://www.example.com/new/**", NULL, "/old/a/b%20c/",
     "https://www.example.com/new/a/b%20c/"},
    {"/old/**", "https://www.example.com/new/**", NULL, "/old", "https://www.example.com/new"},
    {"/old/**", "https://www.example.com/**", NULL, "/old", "https://www.example.com"},
    {"/old/**", "/**", NULL, "/old", "/"},
    {"/old/**", "/**", NULL, "/old/", "/"},
    {"/old/**", "/**", NULL, "/old//evil.example/x", "/evil.example/x"},
    {"/old/**", "/**", NULL, "/old/../old/%2e%2e/old/x", "/x"},
    {"/old/**", "/new/**?a=b", "keep", "/old/x?c", "/new/x?a=b&c"},
    {"/{id}/**", "/{id}/x/**", NULL, "/1/2/3", "/1/x/2/3"},
};

START_TEST(redirect)
{
    const struct redirect_case *c = &redirect_cases[_i];
    char routes[1000];
    snprintf(routes, sizeof routes,
             "defaults: {auth: none}\nroutes:\n  - {path: '%s', respond: {redirect: '%s', query: %s}}\n",
             c->path, c->to, c->query ? c->query : "drop");
    load(routes);
    if (!c->location) { /* refused before there is a handler */
        struct param items[] = {{TEXT("REQUEST_METHOD"), TEXT("GET")},
                                {TEXT("REQUEST_URI"), text_of(c->target)}};
        exchange.arena = arena_new();
        ck_assert_int_ne(request_read(&exchange.request, &(struct params){items, 2}, &policy->server.request,
                                      exchange.arena)
                             .kind,
                         VERDICT_PASS);
        unload();
        return;
    }
    ask("GET", c->target, NULL, NULL);
    ck_assert_int_eq(exchange.reply.status, 308);
    ck_assert_str_eq(header("location"), c->location);
    ck_assert_int_eq(exchange.reply.length, 0);
    unload();
}
END_TEST

START_TEST(redirect_too_long)
{
    char target[9000];
    load("defaults: {auth: none}\nrequest: {target: 16kb}\n"
         "routes: [{path: '/{id}', respond: {status: 302, headers: {Cache-Control: no-store}, redirect: "
         "'/b?{id}{id}{id}'}}]\n");
    snprintf(target, sizeof target, "/%0*d", 2700, 1);
    ask("GET", target, NULL, NULL);
    ck_assert_int_eq(exchange.reply.status, 302);
    ck_assert_str_eq(header("cache-control"), "no-store");
    snprintf(target, sizeof target, "/%0*d", 2800, 1);
    ask("GET", target, NULL, NULL);
    ck_assert_int_eq(exchange.verdict.status, 414);
    ck_assert_str_eq(exchange.verdict.code, "target_too_long");
    unload();
}
END_TEST

/* What depends on where the policy lies. */
START_TEST(files_that_are_not_good)
{
    static const struct {
        const char *file, *fault;
    } cases[] = {{"missing.txt", "cannot be read: No such file"},
                 {".", "is not a regular file"},
                 {"/dev/null", "is not a regular file"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct error error = {0};
        char routes[200];
        snprintf(routes, sizeof routes, "defaults: {auth: none}\nroutes: [{path: /a, respond: {file: %s}}]\n",
                 cases[i].file);
        policy = policy_parse(text_of(routes), TEST_FOLDER "/data/policies/policy.yaml", false, &error);
        ck_assert_uint_eq(policy->findings.errors, 1);
        char *told = NULL;
        size_t size;
        FILE *to = open_memstream(&told, &size);
        findings_print(&policy->findings, FINDING_ERROR, to);
        fclose(to);
        ck_assert_msg(strstr(told, cases[i].fault) != NULL, "%s", told);
        free(told);
        unload();
    }
}
END_TEST

/* ================ */

/* ---- clients that fall behind */

static uint64_t left; /* by the client */

static uint64_t pending_left(const struct channel *channel)
{
    (void)channel;
    return left;
}

static struct channel slow = {.output = -1, .pending = pending_left, .pending_limit = 1 << 20};
static struct exchange slow_exchange = {.channel = &slow};

START_TEST(client_that_is_waited_for)
{
    struct client_side side = {.exchange = &slow_exchange};
    const struct pollfd nothing[CLIENT_SLOTS] = {{.fd = -1}, {.fd = -1}};
    side.stuck = true;
    left = 100 * 1024;
    client_side_sent(&side, 1000);
    ck_assert(!client_side_has_room(&side));
    uint64_t until = client_side_limit(&side, false);
    ck_assert_uint_gt(until, 1000);
    ck_assert_uint_lt(until, 2000);
    ck_assert(client_side_serve(&side, true, nothing, until - 1));
    ck_assert(!client_side_has_room(&side));
    /* It is slow, and the rest is kept aside for it. */
    ck_assert(client_side_serve(&side, true, nothing, until));
    ck_assert(client_side_has_room(&side));
    ck_assert_uint_eq(client_side_limit(&side, false), UINT64_MAX);
    left = (1 << 20) + 1;
    client_side_sent(&side, until);
    ck_assert(!client_side_has_room(&side));
}
END_TEST

START_TEST(client_that_catches_up)
{
    struct client_side side = {.exchange = &slow_exchange};
    const struct pollfd nothing[CLIENT_SLOTS] = {{.fd = -1}, {.fd = -1}};
    left = 100 * 1024;
    client_side_sent(&side, 1000);
    ck_assert(!client_side_has_room(&side));
    left = 1024;
    side.gathering = false;
    ck_assert(client_side_serve(&side, true, nothing, 1001));
    ck_assert(client_side_has_room(&side));
    left = 100 * 1024;
    client_side_sent(&side, 5000);
    ck_assert(!client_side_has_room(&side));
}
END_TEST

/* What is held back on purpose goes out for no waiting. */
START_TEST(client_that_has_to_send_first)
{
    struct client_side side = {.exchange = &slow_exchange};
    left = 100 * 1024;
    slow.holds = true;
    client_side_sent(&side, 1000);
    slow.holds = false;
    ck_assert(client_side_has_room(&side));
}
END_TEST

static Suite *handler_suite(void)
{
    Suite *suite = suite_create("handler");
    TCase *reply = tcase_create("reply"), *told = tcase_create("environment");
    tcase_add_loop_test(reply, reply_whole, 0, COUNT(reply_cases));
    tcase_add_loop_test(reply, reply_in_pieces, 0, COUNT(reply_cases));
    tcase_add_test(reply, reply_that_has_not_ended);
    tcase_add_test(reply, reply_that_may_be_bare);
    tcase_add_test(reply, reply_size_limit);
    tcase_add_test(reply, reply_header_count);
    tcase_add_loop_test(told, environment, 0, COUNT(environment_cases));
    suite_add_tcase(suite, reply);
    suite_add_tcase(suite, told);
    TCase *answers = tcase_create("answers");
    tcase_add_test(answers, fixed_answers);
    tcase_add_test(answers, empty_answers);
    tcase_add_test(answers, content_that_the_client_has);
    tcase_add_loop_test(answers, redirect, 0, COUNT(redirect_cases));
    tcase_add_test(answers, redirect_too_long);
    tcase_add_test(answers, files_that_are_not_good);
    suite_add_tcase(suite, answers);
    TCase *clients = tcase_create("clients");
    tcase_add_test(clients, client_that_is_waited_for);
    tcase_add_test(clients, client_that_catches_up);
    tcase_add_test(clients, client_that_has_to_send_first);
    suite_add_tcase(suite, clients);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(handler_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
