/*
 * Tests of the front: FastCGI connections over a socket pair, record by
 * record, the listening socket, and the threads, by a front of its own process
 * that has no handler. What needs one is tested end to end.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "front/connection.h"
#include "front/fastcgi.h"
#include "front/front.h"
#include "front/listen.h"
#include "process/message.h"

static struct connection_limits limits = {
    .head = 16 * 1024, .reply_spool = 8 << 20, .folder = "/tmp", .write_timeout = 1000, .connections = 100};
static struct connection connection;
static struct intake *spare;
static int peer;

static unsigned char wire[4 << 20];
static size_t wire_length;

static void open_pair(void)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    connection = (struct connection){.descriptor = pair[0]};
    peer = pair[1];
    wire_length = 0;
}

static void close_pair(void)
{
    connection_close(&connection, &spare);
    intake_free(spare);
    spare = NULL;
    close(peer);
}

static void put(unsigned type, unsigned id, const void *content, size_t length)
{
    record_write(wire + wire_length, type, id, length, 0);
    wire_length += RECORD_HEADER_SIZE;
    if (length)
        memcpy(wire + wire_length, content, length);
    wire_length += length;
}

static void put_begin(unsigned id, unsigned role, unsigned flags)
{
    unsigned char content[8] = {(unsigned char)(role >> 8), (unsigned char)role, (unsigned char)flags};
    put(RECORD_BEGIN_REQUEST, id, content, sizeof content);
}

static void put_body(unsigned id, const char *body, size_t length)
{
    while (length > 0) {
        size_t piece = length < 60000 ? length : 60000;
        put(RECORD_STDIN, id, body, piece);
        body += piece;
        length -= piece;
    }
    put(RECORD_STDIN, id, NULL, 0);
}

static void put_request(const char *uri, const char *body, size_t length)
{
    char pair[300];
    int size = snprintf(pair, sizeof pair, "%c%cREQUEST_URI%s", 11, (int)strlen(uri), uri);
    put_begin(1, ROLE_RESPONDER, RECORD_KEEP_CONNECTION);
    put(RECORD_PARAMS, 1, pair, (size_t)size);
    put(RECORD_PARAMS, 1, NULL, 0);
    put_body(1, body, length);
}

static enum connection_step advance(void)
{
    return connection_advance(&connection, &limits, &spare);
}

/* Sends all that was put, letting the connection read whenever the socket is full. */
static enum connection_step deliver(void)
{
    enum connection_step step = CONNECTION_READ;
    size_t sent = 0;
    while (sent < wire_length) {
        ssize_t length = send(peer, wire + sent, wire_length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (length > 0)
            sent += (size_t)length;
        else
            break;
    }
    wire_length -= sent;
    memmove(wire, wire + sent, wire_length);
    step = advance();
    return step;
}

static void reply(const char *text)
{
    struct channel *channel = connection_channel(&connection);
    ck_assert(channel->send(channel, text_of(text)));
    channel->finish(channel);
}

static enum connection_step settle(void)
{
    return connection_settle(&connection, &limits, &spare);
}

/* What came back: STDOUT content, and the last record's type. */
static char output[9 << 20];
static size_t output_length;
static unsigned last_type, last_status;

static void collect(void)
{
    static unsigned char raw[9 << 20];
    static size_t raw_length;
    ssize_t length;
    raw_length = 0;
    output_length = 0;
    last_type = 0;
    do {
        while ((length = recv(peer, raw + raw_length, sizeof raw - raw_length, MSG_DONTWAIT)) > 0)
            raw_length += (size_t)length;
    } while (connection.descriptor >= 0 && connection.intake && !connection_channel(&connection)->holds &&
             connection_channel(&connection)->pending(connection_channel(&connection)) > 0 &&
             connection_channel(&connection)->flush(connection_channel(&connection)));
    while ((length = recv(peer, raw + raw_length, sizeof raw - raw_length, MSG_DONTWAIT)) > 0)
        raw_length += (size_t)length;
    for (size_t at = 0; at < raw_length;) {
        ck_assert_uint_le(at + RECORD_HEADER_SIZE, raw_length);
        struct record record = record_read(raw + at);
        at += RECORD_HEADER_SIZE;
        ck_assert_uint_eq(record.version, 1);
        ck_assert_uint_le(at + record.content + record.padding, raw_length);
        if (record.type == RECORD_STDOUT) {
            memcpy(output + output_length, raw + at, record.content);
            output_length += record.content;
        }
        last_type = record.type;
        last_status = record.type == RECORD_END_REQUEST ? raw[at + 4] : 0;
        at += record.content + record.padding;
    }
    output[output_length] = '\0';
}

static const char *uri(void)
{
    static struct params params;
    ck_assert(connection_params(&connection, 100, &params));
    ck_assert_uint_eq(params.count, 1);
    return arena_copy(connection_arena(&connection), params.items[0].value.at, params.items[0].value.length);
}

static size_t read_body(char *to, size_t size)
{
    struct channel *channel = connection_channel(&connection);
    size_t total = 0;
    ssize_t length;
    for (;;) {
        length = channel->receive(channel, to + total, size - total);
        if (length > 0)
            total += (size_t)length;
        else if (length < 0 && errno == EAGAIN && wire_length > 0)
            deliver();
        else
            break;
    }
    ck_assert_int_eq(length, 0);
    return total;
}

/* Whether a handler that polls the client would take it for gone. */
static bool seems_gone(void)
{
    const struct channel *channel = connection_channel(&connection);
    struct pollfd item = {.fd = channel->output, .events = channel->half_closes ? 0 : POLLRDHUP};
    return poll(&item, 1, 0) == 1 || connection_is_abandoned(&connection);
}

START_TEST(test_request_in_one_piece)
{
    char body[100];
    open_pair();
    put_request("/a", "hello", 5);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/a");
    ck_assert_uint_eq(read_body(body, sizeof body), 5);
    ck_assert_mem_eq(body, "hello", 5);
    reply("Status: 200 OK\r\n\r\nyes");
    ck_assert_int_eq(settle(), CONNECTION_READ);
    ck_assert(connection_is_idle(&connection));
    collect();
    ck_assert_str_eq(output, "Status: 200 OK\r\n\r\nyes");
    ck_assert_uint_eq(last_type, RECORD_END_REQUEST);
    ck_assert_uint_eq(last_status, END_COMPLETE);
    close_pair();
}
END_TEST

START_TEST(test_request_byte_by_byte)
{
    open_pair();
    put_request("/slow", "abc", 3);
    for (size_t i = 0; i < wire_length; i++) {
        ck_assert_int_eq(send(peer, wire + i, 1, 0), 1);
        ck_assert_int_eq(advance(), i + 1 < wire_length ? CONNECTION_READ : CONNECTION_READY);
    }
    ck_assert_str_eq(uri(), "/slow");
    wire_length = 0;
    char body[10];
    ck_assert_uint_eq(read_body(body, sizeof body), 3);
    close_pair();
}
END_TEST

START_TEST(test_large_body_is_streamed)
{
    static char body[1 << 20], got[2 << 20];
    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7 + i / 1000);
    open_pair();
    put_request("/large", body, sizeof body);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert_uint_eq(read_body(got, sizeof got), sizeof body);
    ck_assert_mem_eq(got, body, sizeof body);
    reply("ok");
    ck_assert_int_eq(settle(), CONNECTION_READ);
    close_pair();
}
END_TEST

/* An early reply leaves the body unread: it is dropped, whatever it looks like. */
START_TEST(test_body_is_never_taken_for_records)
{
    static char forged[200000];
    open_pair();
    put_request("/FORGED", NULL, 0);
    size_t one = wire_length;
    for (size_t at = 0; at + one <= sizeof forged; at += one)
        memcpy(forged + at, wire, one);
    wire_length = 0;
    put_request("/first", forged, sizeof forged);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/first");
    reply("Status: 413\r\n\r\n");
    enum connection_step step = settle();
    while (wire_length > 0) {
        ck_assert_int_eq(step, CONNECTION_READ);
        ck_assert(!connection_awaits_reply(&connection));
        step = deliver();
    }
    ck_assert_int_eq(step, CONNECTION_READ);
    ck_assert(connection_is_idle(&connection));
    collect();
    ck_assert_str_eq(output, "Status: 413\r\n\r\n");
    put_request("/second", "x", 1);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/second");
    close_pair();
}
END_TEST

START_TEST(test_pipelined_requests_are_served_in_turn)
{
    open_pair();
    put_request("/one", "1", 1);
    put_request("/two", "2", 1);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/one");
    reply("1");
    ck_assert_int_eq(settle(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/two");
    reply("2");
    ck_assert_int_eq(settle(), CONNECTION_READ);
    ck_assert(connection_is_idle(&connection));
    collect();
    ck_assert_str_eq(output, "12");
    close_pair();
}
END_TEST

START_TEST(test_connection_is_closed_when_it_is_not_kept)
{
    open_pair();
    put_request("/one", NULL, 0);
    wire[RECORD_HEADER_SIZE + 2] = 0; /* the flags of BEGIN_REQUEST */
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    reply("1");
    ck_assert_int_eq(settle(), CONNECTION_CLOSE);
    close_pair();
}
END_TEST

/* Who has read it cannot write another request; what was written is served. */
START_TEST(test_last_reply_of_a_connection)
{
    open_pair();
    put_request("/one", NULL, 0);
    put_request("/two", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    limits.stopping = true;
    reply("1");
    ck_assert_int_eq(send(peer, "x", 1, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_int_eq(settle(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/two");
    ck_assert(!seems_gone());
    reply("2");
    ck_assert_int_eq(settle(), CONNECTION_READ);
    ck_assert(connection_retire(&connection));
    limits.stopping = false;
    collect();
    ck_assert_str_eq(output, "12");
    close_pair();
}
END_TEST

START_TEST(test_management_records_are_answered)
{
    static const char names[] = "\x0e\x00"
                                "FCGI_MAX_CONNS"
                                "\x0d\x00"
                                "FCGI_MAX_REQS"
                                "\x0f\x00"
                                "FCGI_MPXS_CONNS"
                                "\x0e\x00"
                                "FCGI_MAX_CONNS";
    open_pair();
    put(RECORD_GET_VALUES, 0, names, sizeof names - 1);
    ck_assert_int_eq(deliver(), CONNECTION_READ);
    ck_assert(connection_is_idle(&connection));
    collect();
    ck_assert_uint_eq(last_type, RECORD_GET_VALUES_RESULT);
    put(77, 0, "?", 1);
    ck_assert_int_eq(deliver(), CONNECTION_READ);
    collect();
    ck_assert_uint_eq(last_type, RECORD_UNKNOWN_TYPE);
    /* In the middle of a request's parameters and body. */
    put_begin(1, ROLE_RESPONDER, 0);
    put(RECORD_GET_VALUES, 0, names, sizeof names - 1);
    put(RECORD_PARAMS, 1, NULL, 0);
    put(RECORD_STDIN, 1, "ab", 2);
    put(RECORD_GET_VALUES, 0, names, sizeof names - 1);
    put(RECORD_STDIN, 1, "cd", 2);
    put(RECORD_STDIN, 1, NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    char body[10];
    ck_assert_uint_eq(read_body(body, sizeof body), 4);
    ck_assert_mem_eq(body, "abcd", 4);
    reply("done");
    settle();
    collect();
    ck_assert_str_eq(output, "done");
    close_pair();
}
END_TEST

START_TEST(test_lengths_that_lie)
{
    static const unsigned char pairs[] = {0xbf, 0xff, 0xff, 0xff, 0xbf, 0xff, 0xff, 0xff, 'A', 'B'};
    struct params params;
    open_pair();
    put_begin(1, ROLE_RESPONDER, 0);
    put(RECORD_PARAMS, 1, pairs, sizeof pairs);
    put(RECORD_PARAMS, 1, NULL, 0);
    put(RECORD_STDIN, 1, NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert(!connection_params(&connection, 100, &params));
    close_pair();
}
END_TEST

START_TEST(test_roles)
{
    open_pair();
    put_begin(1, ROLE_AUTHORIZER, RECORD_KEEP_CONNECTION);
    put(RECORD_PARAMS, 1,
        "\x01\x01"
        "AB",
        4);
    put(RECORD_PARAMS, 1, NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READ);
    collect();
    ck_assert_uint_eq(last_type, RECORD_END_REQUEST);
    ck_assert_uint_eq(last_status, END_UNKNOWN_ROLE);
    put_request("/after", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/after");
    close_pair();
    open_pair();
    put_begin(1, 99, 0);
    ck_assert_int_eq(deliver(), CONNECTION_CLOSE);
    close_pair();
}
END_TEST

START_TEST(test_a_second_request_id_is_refused)
{
    open_pair();
    put_begin(1, ROLE_RESPONDER, RECORD_KEEP_CONNECTION);
    put_begin(2, ROLE_RESPONDER, RECORD_KEEP_CONNECTION);
    put(RECORD_PARAMS, 2, "x", 1);
    put(RECORD_STDIN, 2, "forged", 6);
    ck_assert_int_eq(deliver(), CONNECTION_READ);
    collect();
    ck_assert_uint_eq(last_status, END_CANT_MULTIPLEX);
    put(RECORD_PARAMS, 1, NULL, 0);
    put_body(1, "mine", 4);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    char body[10];
    ck_assert_uint_eq(read_body(body, sizeof body), 4);
    ck_assert_mem_eq(body, "mine", 4);
    close_pair();
}
END_TEST

static void put_version_2(void)
{
    put_begin(1, ROLE_RESPONDER, 0);
    wire[0] = 2;
}
static void put_short_begin(void)
{
    put(RECORD_BEGIN_REQUEST, 1, "\0\1", 2);
}
static void put_begin_twice(void)
{
    put_begin(1, ROLE_RESPONDER, 0);
    put_begin(1, ROLE_RESPONDER, 0);
}
static void put_stdin_before_params_end(void)
{
    put_begin(1, ROLE_RESPONDER, 0);
    put(RECORD_STDIN, 1, "x", 1);
}
static void put_params_after_end(void)
{
    put_begin(1, ROLE_RESPONDER, 0);
    put(RECORD_PARAMS, 1, NULL, 0);
    put(RECORD_PARAMS, 1, "\1\1AB", 4);
}
static void put_data(void)
{
    put_begin(1, ROLE_RESPONDER, 0);
    put(RECORD_DATA, 1, "x", 1);
}
static void put_large_management(void)
{
    static const char zeros[1000];
    put(RECORD_GET_VALUES, 0, zeros, sizeof zeros);
}
static void put_bad_values(void)
{
    put(RECORD_GET_VALUES, 0, "\x50", 1);
}

START_TEST(test_protocol_errors_close)
{
    static void (*const cases[])(void) = {
        put_version_2,        put_short_begin, put_begin_twice,      put_stdin_before_params_end,
        put_params_after_end, put_data,        put_large_management, put_bad_values};
    open_pair();
    cases[_i]();
    ck_assert_int_eq(deliver(), CONNECTION_CLOSE);
    close_pair();
}
END_TEST

START_TEST(test_head_over_the_limit)
{
    static char value[17 * 1024];
    open_pair();
    put_begin(1, ROLE_RESPONDER, RECORD_KEEP_CONNECTION);
    put(RECORD_PARAMS, 1, value, sizeof value);
    ck_assert_int_eq(deliver(), CONNECTION_TOO_LARGE);
    reply("431");
    ck_assert_int_eq(settle(), CONNECTION_READ);
    put(RECORD_PARAMS, 1, value, sizeof value);
    put(RECORD_PARAMS, 1, NULL, 0);
    put(RECORD_STDIN, 1, NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_CLOSE);
    collect();
    ck_assert_str_eq(output, "431");
    close_pair();
}
END_TEST

START_TEST(test_peer_goes_away)
{
    struct channel *channel;
    open_pair();
    put_begin(1, ROLE_RESPONDER, 0);
    put(RECORD_PARAMS, 1, "\1\1AB", 4); /* ends on a pair's boundary, yet is not complete */
    deliver();
    shutdown(peer, SHUT_WR);
    ck_assert_int_eq(advance(), CONNECTION_CLOSE);
    close_pair();

    static char large[100000];
    open_pair();
    put_request("/cut", large, sizeof large);
    wire_length -= 20000; /* the body stops short */
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    shutdown(peer, SHUT_WR);
    channel = connection_channel(&connection);
    ssize_t length;
    static char sink[200000];
    while ((length = channel->receive(channel, sink, sizeof sink)) > 0)
        continue;
    ck_assert_int_eq(length, -1);
    ck_assert_int_eq(errno, ECONNABORTED);
    close_pair();

    open_pair();
    put_begin(1, ROLE_RESPONDER, 0);
    put(RECORD_PARAMS, 1, NULL, 0);
    put(RECORD_ABORT_REQUEST, 1, NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_CLOSE);
    close_pair();
}
END_TEST

START_TEST(test_reply_to_a_client_that_does_not_read)
{
    static char piece[100000];
    size_t total = 0;
    open_pair();
    put_request("/download", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    struct channel *channel = connection_channel(&connection);
    for (size_t i = 0; i < sizeof piece; i++)
        piece[i] = (char)(i % 251);
    for (size_t round = 0; round < 60; round++) {
        size_t length = round % 3 ? sizeof piece - round * 17 : 100 + round;
        ck_assert(channel->send(channel, (struct text){piece, length}));
        if (round % 5 == 0)
            ck_assert(channel->flush(channel));
        total += length;
    }
    channel->finish(channel);
    ck_assert_uint_gt(channel->pending(channel), 1 << 20);
    ck_assert_int_eq(settle(), CONNECTION_WRITE);
    collect();
    ck_assert_uint_eq(output_length, total);
    ck_assert_uint_eq(last_type, RECORD_END_REQUEST);
    size_t at = 0;
    for (size_t round = 0; round < 60; round++) {
        size_t length = round % 3 ? sizeof piece - round * 17 : 100 + round;
        ck_assert_mem_eq(output + at, piece, length);
        at += length;
    }
    ck_assert_int_eq(advance(), CONNECTION_READ);
    ck_assert(connection_is_idle(&connection));
    close_pair();
}
END_TEST

/* nginx would stop sending the body if it saw the head of the reply. */
START_TEST(test_reply_is_held_until_the_body_is_in)
{
    static char body[300000], got[300000];
    open_pair();
    put_request("/early", body, sizeof body);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    struct channel *channel = connection_channel(&connection);
    ck_assert(channel->send(channel, TEXT("Status: 200\r\n\r\n")));
    ck_assert(channel->flush(channel));
    ck_assert(channel->holds);
    collect();
    ck_assert_uint_eq(output_length, 0);
    ck_assert_uint_eq(read_body(got, sizeof got), sizeof body);
    ck_assert(!channel->holds);
    collect();
    ck_assert_str_eq(output, "Status: 200\r\n\r\n");
    channel->finish(channel);
    close_pair();
}
END_TEST

/* Without a spool it waits for the client, and gives up on one that never reads. */
START_TEST(test_reply_without_a_spool)
{
    static char piece[1 << 20];
    struct connection_limits saved = limits;
    limits.reply_spool = 0;
    limits.write_timeout = 50;
    open_pair();
    put_request("/download", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    struct channel *channel = connection_channel(&connection);
    ck_assert(!channel->send(channel, (struct text){piece, sizeof piece}));
    ck_assert(channel->gone);
    ck_assert_int_eq(settle(), CONNECTION_CLOSE);
    close_pair();
    limits = saved;
}
END_TEST

START_TEST(test_aborted_reply_has_no_end)
{
    open_pair();
    put_request("/broken", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    struct channel *channel = connection_channel(&connection);
    channel->send(channel, TEXT("half"));
    channel->abort(channel);
    ck_assert_int_eq(settle(), CONNECTION_CLOSE);
    collect();
    ck_assert_str_eq(output, "half");
    ck_assert_uint_eq(last_type, RECORD_STDOUT);
    close_pair();
}
END_TEST

static bool sends_at_last; /* the peer sends what was put just when it is shut out */

/* In place of the C library's. */
int shutdown(int descriptor, int how)
{
    if (sends_at_last)
        ck_assert_int_eq(send(peer, wire, wire_length, MSG_NOSIGNAL), (ssize_t)wire_length);
    sends_at_last = false;
    return (int)syscall(SYS_shutdown, descriptor, how);
}

/* That its side was ended by us must not look as if the peer had gone. */
START_TEST(test_a_request_at_the_last_moment)
{
    open_pair();
    put_request("/at-last", NULL, 0);
    sends_at_last = true;
    ck_assert(!connection_retire(&connection));
    ck_assert_int_eq(send(peer, "x", 1, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(advance(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/at-last");
    ck_assert(!seems_gone());
    reply("ok");
    ck_assert_int_eq(settle(), CONNECTION_READ);
    ck_assert(connection_retire(&connection));
    collect();
    ck_assert_uint_eq(last_type, RECORD_END_REQUEST);
    close_pair();
    open_pair();
    put_request("/gone", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert(!seems_gone());
    shutdown(peer, SHUT_WR);
    ck_assert(seems_gone());
    close_pair();
}
END_TEST

START_TEST(test_retiring_loses_no_request)
{
    open_pair();
    ck_assert(connection_retire(&connection));
    ck_assert_int_eq(send(peer, "x", 1, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, EPIPE);
    close_pair();
    open_pair();
    put_request("/just-in-time", NULL, 0);
    ck_assert_int_eq(send(peer, wire, wire_length, 0), (ssize_t)wire_length);
    ck_assert(!connection_retire(&connection));
    ck_assert_int_eq(advance(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/just-in-time");
    close_pair();
    open_pair();
    put_request("/in-two-pieces", NULL, 0);
    ck_assert_int_eq(send(peer, wire, 10, 0), 10);
    ck_assert(!connection_retire(&connection));
    ck_assert_int_eq(send(peer, wire + 10, wire_length - 10, MSG_NOSIGNAL), (ssize_t)wire_length - 10);
    ck_assert_int_eq(advance(), CONNECTION_READY);
    ck_assert_str_eq(uri(), "/in-two-pieces");
    close_pair();
}
END_TEST

/* ---- what a peer does meanwhile */

static bool reads_when_full; /* the peer reads just when the socket has turned out to be full */

/* In place of the C library's. */
ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    static char sink[1 << 20];
    ssize_t sent = syscall(SYS_sendmsg, descriptor, message, flags);
    if (sent >= 0 || errno != EAGAIN || !reads_when_full)
        return sent;
    reads_when_full = false;
    while (recv(peer, sink, sizeof sink, MSG_DONTWAIT) > 0)
        continue;
    errno = EAGAIN;
    return -1;
}

/* Leaves a little that the peer has not taken. */
static void reply_until_full(void)
{
    static char piece[10000];
    struct channel *channel = connection_channel(&connection);
    while (channel->pending(channel) == 0)
        ck_assert(channel->send(channel, (struct text){piece, sizeof piece}) && channel->flush(channel));
    channel->finish(channel);
}

/* A wait for what has come already would never end. */
START_TEST(test_reply_leaves_between_two_looks)
{
    open_pair();
    put_request("/download", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    reply_until_full();
    reads_when_full = true;
    ck_assert_int_eq(settle(), CONNECTION_WRITE);
    ck_assert(!reads_when_full);
    ck_assert_int_eq(advance(), CONNECTION_READ);
    ck_assert(connection_is_idle(&connection));
    close_pair();
}
END_TEST

START_TEST(test_input_is_waited_for_only_where_it_is_read)
{
    open_pair();
    ck_assert(connection_takes_input(&connection));
    put_request("/download", NULL, 0);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    reply_until_full();
    ck_assert_int_eq(settle(), CONNECTION_WRITE);
    ck_assert(!connection_takes_input(&connection)); /* the next request must wait */
    close_pair();

    open_pair();
    put_request("/upload", output, 400000);
    ck_assert_int_eq(deliver(), CONNECTION_READY);
    ck_assert_uint_gt(wire_length, 0);
    struct channel *channel = connection_channel(&connection);
    ck_assert(channel->send(channel, (struct text){output, 1 << 20}));
    channel->finish(channel);
    ck_assert_int_eq(settle(), CONNECTION_WRITE);
    ck_assert(connection_takes_input(&connection)); /* the rest of its body */
    close_pair();
}
END_TEST

/* It costs neither memory nor a thread's time. */
START_TEST(test_questions_without_reading_the_answers)
{
    struct connection_limits saved = limits;
    limits.reply_spool = 0;
    limits.write_timeout = 60000;
    open_pair();
    for (size_t round = 0; connection_takes_input(&connection) && round < 1000; round++) {
        while (wire_length < 8000)
            put(77, 0, NULL, 0);
        deliver();
    }
    ck_assert(!connection_takes_input(&connection));
    ck_assert_int_eq(advance(), CONNECTION_WRITE);
    struct channel *channel = connection_channel(&connection);
    ck_assert_uint_lt(channel->pending(channel), 64 * 1024);
    close_pair();
    limits = saved;
}
END_TEST

START_TEST(test_questions_with_reading_the_answers)
{
    open_pair();
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < 1000; i++)
            put(77, 0, NULL, 0);
        ck_assert_int_eq(deliver(), CONNECTION_READ);
        ck_assert_uint_eq(wire_length, 0);
        collect();
        ck_assert_uint_eq(last_type, RECORD_UNKNOWN_TYPE);
    }
    close_pair();
}
END_TEST

/* What was told together with the last bytes is not told again. */
START_TEST(test_end_behind_the_last_bytes)
{
    open_pair();
    put_request("/last", NULL, 0);
    ck_assert_int_eq(send(peer, wire, wire_length, 0), (ssize_t)wire_length);
    shutdown(peer, SHUT_WR);
    connection.hung_up = true;
    ck_assert_int_eq(advance(), CONNECTION_READY);
    reply("ok");
    ck_assert_int_eq(settle(), CONNECTION_READ);
    ck_assert(connection.may_have_more);
    ck_assert_int_eq(advance(), CONNECTION_CLOSE);
    close_pair();
}
END_TEST

/* A body around the sizes of the buffers, in records of all sizes. */
START_TEST(test_sizes_around_the_buffers)
{
    static const size_t sizes[] = {32767, 32768, 32769, 65535, 65536, 65537, 32768 - 8, 32768 - 64};
    static const size_t records[] = {65535, 32768, 8192, 1021};
    static char body[70000], got[140000];
    static const char padding[255];
    size_t length = sizes[_i % 8], record = records[_i / 8];
    for (size_t i = 0; i < length; i++)
        body[i] = (char)(i * 31 + i / 256);
    open_pair();
    for (size_t round = 0; round < 2; round++) { /* pipelined */
        put_begin(1, ROLE_RESPONDER, RECORD_KEEP_CONNECTION);
        put(RECORD_PARAMS, 1, "\x0b\x02REQUEST_URI/x", 15);
        put(RECORD_PARAMS, 1, NULL, 0);
        for (size_t at = 0; at < length; at += record) {
            size_t piece = record < length - at ? record : length - at;
            put(RECORD_STDIN, 1, body + at, piece);
            wire[wire_length - piece - 2] = 255; /* its padding */
            memcpy(wire + wire_length, padding, sizeof padding);
            wire_length += sizeof padding;
        }
        put(RECORD_STDIN, 1, NULL, 0);
    }
    enum connection_step step = deliver();
    for (size_t round = 0; round < 2; round++) {
        ck_assert_int_eq(step, CONNECTION_READY);
        ck_assert_str_eq(uri(), "/x");
        ck_assert_uint_eq(read_body(got, sizeof got), length);
        ck_assert_mem_eq(got, body, length);
        reply("ok");
        step = settle();
        while (round == 0 && step == CONNECTION_READ && wire_length > 0)
            step = deliver();
    }
    ck_assert_int_eq(step, CONNECTION_READ);
    ck_assert(connection_is_idle(&connection));
    close_pair();
}
END_TEST

/* ---- the listening socket */

static char folder[] = "/tmp/check_front.XXXXXX";
static char socket_path[64], address[80];

static void make_folder(void)
{
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(socket_path, sizeof socket_path, "%s/s", folder);
    snprintf(address, sizeof address, "unix:%s", socket_path);
}

static void remove_folder(void)
{
    unlink(socket_path);
    ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(test_unix_socket_gets_its_mode)
{
    struct listen_rules rules = {.address = address, .mode = 0640, .backlog = 5};
    struct error error = {0};
    struct stat file;
    make_folder();
    int listener = listen_open(&rules, &error);
    ck_assert_msg(listener > 2, "%s", error.message);
    ck_assert_int_eq(stat(socket_path, &file), 0);
    ck_assert_uint_eq(file.st_mode & 07777, 0640);
    ck_assert(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    listen_close(&rules, listener);
    ck_assert_int_eq(stat(socket_path, &file), -1);
    remove_folder();
}
END_TEST

START_TEST(test_live_socket_is_not_stolen)
{
    struct listen_rules rules = {.address = address, .mode = 0660, .backlog = 5};
    struct error error = {0};
    make_folder();
    int listener = listen_open(&rules, &error);
    ck_assert_int_gt(listener, 2);
    ck_assert_int_eq(listen_open(&rules, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.message, "in use"));
    close(listener); /* and now it is stale */
    error = (struct error){0};
    listener = listen_open(&rules, &error);
    ck_assert_msg(listener > 2, "%s", error.message);
    listen_close(&rules, listener);
    remove_folder();
}
END_TEST

START_TEST(test_other_files_are_not_removed)
{
    struct listen_rules rules = {.address = address, .mode = 0660, .backlog = 5};
    struct error error = {0};
    struct stat file;
    make_folder();
    close(open(socket_path, O_CREAT | O_WRONLY, 0600));
    ck_assert_int_eq(listen_open(&rules, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.message, "is not a socket"));
    ck_assert_int_eq(stat(socket_path, &file), 0);
    remove_folder();
}
END_TEST

START_TEST(test_addresses)
{
    static const struct {
        const char *address, *message;
    } cases[] = {
        {"tcp:127.0.0.1:0", NULL},
        {"tcp:[::1]:0", NULL},
        {"tcp:localhost:0", "is not tcp:ADDRESS:PORT"},
        {"tcp:127.0.0.1", "is not tcp:ADDRESS:PORT"},
        {"tcp:127.0.0.1:http", "is not tcp:ADDRESS:PORT"},
        {"tcp::9000", "is not tcp:ADDRESS:PORT"},
        {"tcp:[]:9000", "is not tcp:ADDRESS:PORT"},
        {"unix:relative", "is not an absolute path"},
        {"unix:/a-name-that-is-far-too-long/and-longer-still-than-that/"
         "0123456789012345678901234567890123456789012345678901234567890123456789012345",
         "is not an absolute path"},
        {"unix:/no/such/folder/s", "No such file"},
        {"/run/x", "is neither"},
        {NULL, "nothing to listen on"},
    };
    struct listen_rules rules = {.address = cases[_i].address, .mode = 0660, .backlog = 5};
    struct error error = {0};
    int listener = listen_open(&rules, &error);
    if (cases[_i].message) {
        ck_assert_int_eq(listener, -1);
        ck_assert_msg(strstr(error.message, cases[_i].message) != NULL, "%s", error.message);
    } else {
        ck_assert_msg(listener > 2, "%s", error.message);
        listen_close(&rules, listener);
    }
}
END_TEST

/* ---- the threads */

static pid_t front;
static int parent; /* the parent's end of what the front's launcher sends */

/* Root has no such limit, so root becomes a user that has no other process. */
static void limit_threads(void)
{
    struct rlimit few = {.rlim_cur = geteuid() == 0 ? 4 : 0};
    few.rlim_max = few.rlim_cur;
    if (setrlimit(RLIMIT_NPROC, &few) != 0 || (geteuid() == 0 && setuid(54321) != 0))
        _exit(9);
}

/* The front as a process; `limited`: it must not have as many threads as it wants. */
static int fork_front(const char *rules, bool limited)
{
    int ends[2];
    char file[80];
    struct error error = {0};
    make_folder();
    snprintf(file, sizeof file, "%s/policy.yaml", folder);
    FILE *policy = fopen(file, "w");
    ck_assert_ptr_nonnull(policy);
    fprintf(policy,
            "listen: \"%s\"\nspool: /tmp\n%s\n"
            "routes: [{path: /only, auth: none, exec: /bin/true}]\n",
            address, rules);
    fclose(policy);
    struct policy *loaded = policy_load(file, &error);
    ck_assert_msg(loaded && loaded->findings.errors == 0, "%s", error.message);
    unlink(file);
    int listener = listen_open(&loaded->server.listen, &error);
    ck_assert_msg(listener > 2, "%s", error.message);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    front = fork();
    ck_assert_int_ge(front, 0);
    if (front == 0) {
        close(ends[0]);
        log_open("file:/dev/null", SEVERITY_ERROR, &error);
        if (limited)
            limit_threads();
        _exit(fastcgi_serve(loaded, listener, launcher_remote(ends[1])));
    }
    close(ends[1]);
    parent = ends[0];
    policy_free(loaded);
    return listener;
}

/* Whether the front has said that it serves, rather than ended. */
static bool is_ready(void)
{
    uint32_t version = 0;
    bool ready = recv(parent, &version, sizeof version, 0) == sizeof version;
    ck_assert(!ready || version == MESSAGE_READY_VERSION);
    return ready;
}

static void start_front(const char *rules)
{
    close(fork_front(rules, false));
    ck_assert(is_ready());
}

/* It must end at once, as nothing is open any more. */
static void stop_front(void)
{
    int status = -1;
    uint64_t start = clock_milliseconds();
    ck_assert_int_eq(kill(front, SIGTERM), 0);
    ck_assert_int_eq(waitpid(front, &status, 0), front);
    ck_assert_int_eq(status, 0);
    ck_assert_uint_lt(clock_milliseconds() - start, 15000);
    close(parent);
    remove_folder();
}

static int dial(void)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, socket_path, strlen(socket_path));
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    return client;
}

static void send_wire(int client)
{
    ck_assert_int_eq(send(client, wire, wire_length, MSG_NOSIGNAL), (ssize_t)wire_length);
    wire_length = 0;
}

/* Whether something, or the end, comes in time. */
static bool hears(int client, int milliseconds)
{
    struct pollfd item = {.fd = client, .events = POLLIN};
    return poll(&item, 1, milliseconds) == 1;
}

/* True when a whole reply came, false at the end of the connection. */
static bool take_reply(int client)
{
    static unsigned char raw[65536];
    struct record record = {0};
    while (record.type != RECORD_END_REQUEST) {
        ck_assert_msg(hears(client, 10000), "nothing came");
        if (recv(client, raw, RECORD_HEADER_SIZE, MSG_WAITALL) != RECORD_HEADER_SIZE)
            return false;
        record = record_read(raw);
        ssize_t length = (ssize_t)(record.content + record.padding);
        ck_assert_int_eq(recv(client, raw, (size_t)length, MSG_WAITALL), length);
    }
    return true;
}

static void ask(int client)
{
    wire_length = 0;
    put_request("/none", NULL, 0);
    send_wire(client);
    ck_assert(take_reply(client));
}

/* A client goes while the rest of a body is dropped, or with half of its next
 * request: end and bytes are one event. */
START_TEST(test_clients_that_go_are_noticed)
{
    static char body[100000];
    start_front("threads: 3");
    for (size_t round = 0; round < 300; round++) {
        int client = dial();
        wire_length = 0;
        put_request("/none", body, round % 2 ? sizeof body : 0);
        put_request("/none", NULL, 0);
        size_t cut = round % 3 ? 20 : 0, length = wire_length - cut;
        size_t first = round % 2 ? 90000 : 30;
        ck_assert_int_eq(send(client, wire, first, MSG_NOSIGNAL), (ssize_t)first);
        if (round % 2)
            ck_assert(take_reply(client));
        send(client, wire + first, length - first, MSG_NOSIGNAL);
        close(client);
    }
    int client = dial();
    ask(client);
    close(client);
    stop_front();
}
END_TEST

/* More than `connections` wait in the backlog, and get their turn. */
START_TEST(test_connections_over_the_limit_wait)
{
    int clients[40];
    start_front("threads: 2\nconnections: 16");
    for (size_t i = 0; i < 40; i++) {
        clients[i] = dial();
        wire_length = 0;
        put_request("/none", NULL, 0);
        send_wire(clients[i]);
    }
    for (size_t i = 0; i < 16; i++)
        ck_assert(take_reply(clients[i]));
    ck_assert(!hears(clients[16], 200));
    for (size_t i = 0; i < 40; i++) {
        if (i >= 16)
            ck_assert_msg(take_reply(clients[i]), "connection %zu was dropped", i);
        close(clients[i]);
    }
    stop_front();
}
END_TEST

/* One that asks without end and one that never reads: others are served. */
START_TEST(test_hostile_peers_keep_no_thread)
{
    static char body[60000];
    start_front("threads: 1\nreply_spool: 0\ntimeouts: {read: 20s, write: 20s, idle: 20s}");
    pid_t flood = fork();
    if (flood == 0) { /* records of a request that never began */
        int client = dial();
        wire_length = 0;
        while (wire_length < sizeof wire - 70000)
            put(RECORD_STDIN, 9, body, sizeof body);
        while (send(client, wire, wire_length, MSG_NOSIGNAL) > 0)
            continue;
        _exit(0);
    }
    int deaf = dial();
    fcntl(deaf, F_SETFL, O_NONBLOCK);
    wire_length = 0;
    for (size_t i = 0; i < 1000; i++)
        put(77, 0, NULL, 0);
    for (size_t i = 0; i < 1000 && send(deaf, wire, wire_length, MSG_NOSIGNAL) > 0; i++)
        continue;
    uint64_t start = clock_milliseconds();
    for (size_t i = 0; i < 20; i++) {
        int client = dial();
        ask(client);
        close(client);
    }
    ck_assert_uint_lt(clock_milliseconds() - start, 30000);
    kill(flood, SIGKILL);
    waitpid(flood, NULL, 0);
    close(deaf);
    stop_front();
}
END_TEST

/* Silence is told after the deadline, and an idle connection just closed. */
START_TEST(test_deadlines)
{
    char byte;
    start_front("threads: 1\ntimeouts: {read: 200ms, write: 200ms, idle: 200ms}");
    int idle = dial(), begun = dial(), half = dial();
    ask(idle);
    wire_length = 0;
    put_begin(1, ROLE_RESPONDER, RECORD_KEEP_CONNECTION);
    send_wire(begun);
    ck_assert_int_eq(send(half, "\1\1\0", 3, MSG_NOSIGNAL), 3);
    ck_assert(hears(idle, 5000));
    ck_assert_int_eq(recv(idle, &byte, 1, 0), 0);
    ck_assert(hears(half, 5000));
    ck_assert_int_eq(recv(half, &byte, 1, 0), 0);
    ck_assert(take_reply(begun)); /* 408 */
    ck_assert(hears(begun, 5000));
    ck_assert_int_eq(recv(begun, &byte, 1, 0), 0);
    close(idle);
    close(begun);
    close(half);
    stop_front();
}
END_TEST

static void *find_turn(void *turn)
{
    struct front *own = ((struct turn *)turn)->front;
    pthread_mutex_lock(&own->lock);
    turns_find(turn);
    return NULL;
}

static size_t count_parked(struct front *own)
{
    pthread_mutex_lock(&own->lock);
    size_t parked = own->parked;
    pthread_mutex_unlock(&own->lock);
    return parked;
}

/* One that was called when nobody led any more, and was not woken. */
START_TEST(test_a_call_that_was_lost)
{
    static struct front own = {
        .processors = 1, .leaders = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};
    static struct turn turn = {.front = &own};
    const struct timespec moment = {.tv_nsec = 1000000};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, find_turn, &turn), 0);
    while (count_parked(&own) == 0)
        nanosleep(&moment, NULL);
    pthread_mutex_lock(&own.lock);
    own.leaders = 0;
    own.called = 1;
    pthread_mutex_unlock(&own.lock);
    turns_call_again(&own);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(turn.leads);
    ck_assert_uint_eq(own.leaders, 1);
    ck_assert_uint_eq(own.called + own.parked, 0);
}
END_TEST

/* A worker that lacks a thread does not say that it serves, and leaves what
 * waits to others. */
START_TEST(test_without_its_threads_nothing_is_taken)
{
    int status = -1;
    int listener = fork_front("threads: 20", true);
    int client = dial();
    wire_length = 0;
    put_request("/none", NULL, 0);
    send_wire(client);
    ck_assert(!is_ready());
    ck_assert_int_eq(waitpid(front, &status, 0), front);
    ck_assert_int_eq(status, 1 << 8);
    int taken = accept(listener, NULL, NULL);
    ck_assert_int_ge(taken, 0);
    close(taken);
    close(client);
    close(listener);
    close(parent);
    remove_folder();
}
END_TEST

/* When it drains, what has never sent a byte has a moment to begin; what has
 * begun has its time-out, and what is between two requests has nothing. */
START_TEST(test_draining_waits_for_first_bytes)
{
    char byte;
    start_front("threads: 2\ntimeouts: {idle: 20s, read: 20s, drain: 20s}");
    int silent = dial(), late = dial(), begun = dial(), idle = dial();
    wire_length = 0;
    put_request("/none", NULL, 0);
    ck_assert_int_eq(send(begun, wire, 10, MSG_NOSIGNAL), 10);
    ask(idle);
    uint64_t start = clock_milliseconds();
    ck_assert_int_eq(kill(front, SIGTERM), 0);
    ck_assert(hears(idle, 10000));
    ck_assert_int_eq(recv(idle, &byte, 1, 0), 0);
    ck_assert(!hears(silent, 500) || clock_milliseconds() - start >= 1000);
    wire_length = 0;
    put_request("/none", NULL, 0);
    (void)!send(late, wire, wire_length, MSG_NOSIGNAL);
    bool in_time = clock_milliseconds() - start < 1000;
    ck_assert(take_reply(late) || !in_time);
    ck_assert(hears(silent, 20000));
    ck_assert_int_eq(recv(silent, &byte, 1, 0), 0);
    ck_assert_uint_ge(clock_milliseconds() - start, 900);
    ck_assert(!hears(begun, 500));
    wire_length = 0;
    put_request("/none", NULL, 0);
    ck_assert_int_eq(send(begun, wire + 10, wire_length - 10, MSG_NOSIGNAL), (ssize_t)wire_length - 10);
    ck_assert(take_reply(begun));
    close(silent);
    close(late);
    close(begun);
    close(idle);
    stop_front();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("front");
    TCase *records = tcase_create("connection");
    TCase *sockets = tcase_create("listen");
    TCase *threads = tcase_create("threads");
    tcase_add_test(records, test_request_in_one_piece);
    tcase_add_test(records, test_request_byte_by_byte);
    tcase_add_test(records, test_large_body_is_streamed);
    tcase_add_test(records, test_body_is_never_taken_for_records);
    tcase_add_test(records, test_pipelined_requests_are_served_in_turn);
    tcase_add_test(records, test_connection_is_closed_when_it_is_not_kept);
    tcase_add_test(records, test_last_reply_of_a_connection);
    tcase_add_test(records, test_management_records_are_answered);
    tcase_add_test(records, test_lengths_that_lie);
    tcase_add_test(records, test_roles);
    tcase_add_test(records, test_a_second_request_id_is_refused);
    tcase_add_loop_test(records, test_protocol_errors_close, 0, 8);
    tcase_add_test(records, test_head_over_the_limit);
    tcase_add_test(records, test_peer_goes_away);
    tcase_add_test(records, test_reply_to_a_client_that_does_not_read);
    tcase_add_test(records, test_reply_is_held_until_the_body_is_in);
    tcase_add_test(records, test_reply_without_a_spool);
    tcase_add_test(records, test_aborted_reply_has_no_end);
    tcase_add_test(records, test_retiring_loses_no_request);
    tcase_add_test(records, test_a_request_at_the_last_moment);
    tcase_add_test(records, test_reply_leaves_between_two_looks);
    tcase_add_test(records, test_input_is_waited_for_only_where_it_is_read);
    tcase_add_test(records, test_questions_without_reading_the_answers);
    tcase_add_test(records, test_questions_with_reading_the_answers);
    tcase_add_test(records, test_end_behind_the_last_bytes);
    tcase_add_loop_test(records, test_sizes_around_the_buffers, 0, 32);
    tcase_add_test(sockets, test_unix_socket_gets_its_mode);
    tcase_add_test(sockets, test_live_socket_is_not_stolen);
    tcase_add_test(sockets, test_other_files_are_not_removed);
    tcase_add_loop_test(sockets, test_addresses, 0, 12);
    suite_add_tcase(suite, records);
    tcase_add_test(threads, test_clients_that_go_are_noticed);
    tcase_add_test(threads, test_connections_over_the_limit_wait);
    tcase_add_test(threads, test_hostile_peers_keep_no_thread);
    tcase_add_test(threads, test_deadlines);
    tcase_add_test(threads, test_without_its_threads_nothing_is_taken);
    tcase_add_test(threads, test_a_call_that_was_lost);
    tcase_add_test(threads, test_draining_waits_for_first_bytes);
    suite_add_tcase(suite, sockets);
    suite_add_tcase(suite, threads);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
