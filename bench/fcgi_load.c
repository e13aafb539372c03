/*
 * A load driver for FastCGI responders on a unix socket: so many connections,
 * each with one request under way, for so many seconds. An answer counts when
 * its output begins as expected and its END_REQUEST says that it is complete.
 *
 *   fcgi_load [-k] [-c CONNECTIONS] [-d SECONDS] [-u URI] [-x BEGINNING] SOCKET
 *     -k  connections are kept (FCGI_KEEP_CONN); otherwise one a request
 *     -u  REQUEST_URI (/)
 *     -x  how the output of every answer begins (any)
 *
 * Prints one JSON object; latencies are microseconds, from the first byte of a
 * connect(2) or request to END_REQUEST.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6, HEADER = 8 };
enum { CONNECTIONS_LIMIT = 4096, REQUEST_SIZE = 4096, READ_SIZE = 16384, EVENTS = 64, START_SIZE = 256 };

struct connection {
    int descriptor;
    uint64_t started; /* nanoseconds */
    unsigned char header[HEADER];
    size_t header_length, content_left, padding_left;
    char start[START_SIZE]; /* of the output */
    size_t start_length;
    unsigned char end[8];
    size_t end_length;
};

/* Latencies, as their highest 7 bits and an exponent: off by 1% at most. */
enum { STEPS = 64, BUCKETS = 64 * STEPS };

static struct {
    bool keep;
    struct sockaddr_un address;
    unsigned char request[REQUEST_SIZE];
    size_t request_length;
    const char *expected;
    int events;
    uint64_t answers, wrong, broken, slowest, buckets[BUCKETS];
} load;

static void fail(const char *what)
{
    fprintf(stderr, "fcgi_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- latencies */

static size_t bucket_of(uint64_t nanoseconds)
{
    unsigned exponent = 0;
    while (nanoseconds >= 2 * STEPS) {
        nanoseconds >>= 1;
        exponent++;
    }
    return exponent * STEPS + (size_t)nanoseconds;
}

static double microseconds_of(size_t bucket)
{
    size_t exponent = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
    return (double)((uint64_t)(bucket - exponent * STEPS) << exponent) / 1000;
}

static double percentile(double share)
{
    uint64_t wanted = (uint64_t)(share * (double)load.answers), seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += load.buckets[i];
        if (seen > wanted)
            return microseconds_of(i);
    }
    return (double)load.slowest / 1000;
}

/* ---- the request */

static void add_bytes(const void *at, size_t length)
{
    if (length > REQUEST_SIZE - load.request_length) {
        fputs("fcgi_load: the request is too long\n", stderr);
        exit(2);
    }
    memcpy(load.request + load.request_length, at, length);
    load.request_length += length;
}

static void add_header(unsigned type, size_t length)
{
    unsigned char header[HEADER] = {1, (unsigned char)type, 0, 1, (unsigned char)(length >> 8), (unsigned char)length};
    add_bytes(header, sizeof header);
}

/* Names and values are shorter than 128 bytes, so one byte tells each length. */
static void add_param(const char *name, const char *value)
{
    size_t name_length = strlen(name), value_length = strlen(value);
    if (name_length > 127 || value_length > 127) {
        fputs("fcgi_load: a parameter has more than 127 bytes\n", stderr);
        exit(2);
    }
    unsigned char lengths[] = {(unsigned char)name_length, (unsigned char)value_length};
    add_bytes(lengths, sizeof lengths);
    add_bytes(name, name_length);
    add_bytes(value, value_length);
}

/* What nginx sends with its stock fastcgi_params for a GET of curl's kind. */
static void make_request(const char *uri)
{
    const char *const params[][2] = {
        {"QUERY_STRING", ""},          {"REQUEST_METHOD", "GET"},        {"CONTENT_TYPE", ""},
        {"CONTENT_LENGTH", ""},        {"SCRIPT_NAME", uri},             {"REQUEST_URI", uri},
        {"DOCUMENT_URI", uri},         {"DOCUMENT_ROOT", "/var/www"},    {"SERVER_PROTOCOL", "HTTP/1.1"},
        {"REQUEST_SCHEME", "http"},    {"GATEWAY_INTERFACE", "CGI/1.1"}, {"SERVER_SOFTWARE", "nginx/1.22.1"},
        {"REMOTE_ADDR", "127.0.0.1"},  {"REMOTE_PORT", "40000"},         {"SERVER_ADDR", "127.0.0.1"},
        {"SERVER_PORT", "80"},         {"SERVER_NAME", "localhost"},     {"REDIRECT_STATUS", "200"},
        {"HTTP_HOST", "localhost"},    {"HTTP_USER_AGENT", "fcgi_load"}, {"HTTP_ACCEPT", "*/*"},
    };
    unsigned char begin[8] = {0, 1, load.keep};
    add_header(BEGIN_REQUEST, sizeof begin);
    add_bytes(begin, sizeof begin);
    size_t at = load.request_length;
    add_header(PARAMS, 0);
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        add_param(params[i][0], params[i][1]);
    size_t length = load.request_length - at - HEADER;
    load.request[at + 4] = (unsigned char)(length >> 8);
    load.request[at + 5] = (unsigned char)length;
    add_header(PARAMS, 0);
    add_header(STDIN, 0);
}

/* ---- connections */

static void send_request(struct connection *connection)
{
    connection->header_length = connection->content_left = connection->padding_left = 0;
    connection->start_length = connection->end_length = 0;
    /* It fits in an empty socket buffer. */
    ssize_t sent = send(connection->descriptor, load.request, load.request_length, MSG_NOSIGNAL);
    if (sent != (ssize_t)load.request_length && errno != EPIPE && errno != ECONNRESET)
        fail("send");
}

static void open_connection(struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->started = now();
    connection->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->descriptor < 0)
        fail("socket");
    if (connect(connection->descriptor, (struct sockaddr *)&load.address, sizeof load.address) != 0)
        fail(load.address.sun_path);
    if (epoll_ctl(load.events, EPOLL_CTL_ADD, connection->descriptor, &event) != 0)
        fail("epoll_ctl");
    send_request(connection);
}

static void count_answer(const struct connection *connection)
{
    uint64_t took = now() - connection->started;
    size_t length = load.expected ? strlen(load.expected) : 0;
    load.answers++;
    load.buckets[bucket_of(took)]++;
    if (took > load.slowest)
        load.slowest = took;
    if (connection->start_length < length || memcmp(connection->start, load.expected, length) != 0 ||
        connection->end_length != 8 || connection->end[4] != 0)
        load.wrong++;
}

static void keep_content(struct connection *connection, const unsigned char *at, size_t length)
{
    if (connection->header[1] == END_REQUEST) {
        for (size_t i = 0; i < length && connection->end_length < sizeof connection->end; i++)
            connection->end[connection->end_length++] = at[i];
        return;
    }
    if (connection->header[1] != STDOUT)
        return;
    for (size_t i = 0; i < length && connection->start_length < START_SIZE; i++)
        connection->start[connection->start_length++] = (char)at[i];
}

/* Whether the answer is complete. */
static bool take(struct connection *connection, const unsigned char *at, size_t length)
{
    const unsigned char *end = at + length;
    while (at < end) {
        size_t left = (size_t)(end - at), piece;
        if (connection->header_length < HEADER) {
            connection->header[connection->header_length++] = *at++;
            if (connection->header_length < HEADER)
                continue;
            connection->content_left = (size_t)connection->header[4] << 8 | connection->header[5];
            connection->padding_left = connection->header[6];
        } else if (connection->content_left > 0) {
            piece = left < connection->content_left ? left : connection->content_left;
            keep_content(connection, at, piece);
            at += piece;
            connection->content_left -= piece;
        } else {
            piece = left < connection->padding_left ? left : connection->padding_left;
            at += piece;
            connection->padding_left -= piece;
        }
        if (connection->content_left == 0 && connection->padding_left == 0) {
            if (connection->header[1] == END_REQUEST)
                return true;
            connection->header_length = 0;
        }
    }
    return false;
}

static void handle(struct connection *connection)
{
    unsigned char buffer[READ_SIZE];
    ssize_t length = recv(connection->descriptor, buffer, sizeof buffer, 0);
    bool complete = length > 0 && take(connection, buffer, (size_t)length);
    if (length > 0 && !complete)
        return;
    if (complete)
        count_answer(connection);
    else
        load.broken++;
    if (complete && load.keep) {
        connection->started = now();
        send_request(connection);
        return;
    }
    close(connection->descriptor);
    open_connection(connection);
}

static unsigned long number(const char *text, unsigned long limit)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end || value < 1 || value > limit) {
        fprintf(stderr, "fcgi_load: \"%s\" is not a number from 1 to %lu\n", text, limit);
        exit(2);
    }
    return value;
}

int main(int count, char **arguments)
{
    static struct connection connections[CONNECTIONS_LIMIT];
    unsigned long open = 1, seconds = 2;
    const char *uri = "/";
    for (int option; (option = getopt(count, arguments, "kc:d:u:x:")) != -1;) {
        switch (option) {
        case 'k': load.keep = true; break;
        case 'c': open = number(optarg, CONNECTIONS_LIMIT); break;
        case 'd': seconds = number(optarg, 3600); break;
        case 'u': uri = optarg; break;
        case 'x': load.expected = optarg; break;
        default: return 2;
        }
    }
    if (optind != count - 1 || strlen(arguments[optind]) >= sizeof load.address.sun_path ||
        (load.expected && strlen(load.expected) > START_SIZE)) {
        fputs("usage: fcgi_load [-k] [-c CONNECTIONS] [-d SECONDS] [-u URI] [-x BEGINNING] SOCKET\n", stderr);
        return 2;
    }
    load.address.sun_family = AF_UNIX;
    strncpy(load.address.sun_path, arguments[optind], sizeof load.address.sun_path - 1);
    make_request(uri);
    load.events = epoll_create1(EPOLL_CLOEXEC);
    if (load.events < 0)
        fail("epoll_create1");
    uint64_t began = now(), until = began + seconds * 1000000000ull;
    for (unsigned long i = 0; i < open; i++)
        open_connection(&connections[i]);
    while (now() < until) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(load.events, events, EVENTS, 100);
        for (int i = 0; i < ready; i++)
            handle(events[i].data.ptr);
    }
    double took = (double)(now() - began) / 1e9;
    printf("{\"answers\": %llu, \"wrong\": %llu, \"broken\": %llu, \"rate\": %.1f, \"p50\": %.1f, \"p99\": %.1f, "
           "\"slowest\": %.1f}\n",
           (unsigned long long)load.answers, (unsigned long long)load.wrong, (unsigned long long)load.broken,
           (double)load.answers / took, percentile(0.5), percentile(0.99), (double)load.slowest / 1000);
    return 0;
}
