/*
 * A responder of libfcgi that hands each request without a body on to another,
 * on a connection that each thread keeps: no limits, no time limits, no guards.
 *   libfcgi_forward SOCKET THREADS BACKEND
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER = 8, PARAMS_MOST = 32 * 1024, REPLY_SIZE = 128 * 1024 };
enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };

static int listener;
static const char *backend;

static void end_badly(const char *what)
{
    fprintf(stderr, "libfcgi_forward: %s\n", what);
    exit(1);
}

static int open_backend(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", backend);
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    if (descriptor < 0 || connect(descriptor, (const struct sockaddr *)&address, sizeof address) != 0)
        end_badly("cannot reach the backend");
    return descriptor;
}

/* php-fpm closes what was idle for some seconds. */
static bool is_closed(int descriptor)
{
    char byte;
    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static unsigned char *put_header(unsigned char *at, int type, size_t length)
{
    const unsigned char header[HEADER] = {1, (unsigned char)type, 0, 1, (unsigned char)(length >> 8), (unsigned char)length};
    memcpy(at, header, HEADER);
    return at + HEADER;
}

static unsigned char *put_length(unsigned char *at, size_t length)
{
    if (length >= 128) {
        *at++ = (unsigned char)(length >> 24 | 128);
        *at++ = (unsigned char)(length >> 16);
        *at++ = (unsigned char)(length >> 8);
    }
    *at++ = (unsigned char)length;
    return at;
}

static void send_request(int descriptor, unsigned char *request, char **variables)
{
    static const unsigned char begin[] = {0, 1, 1, 0, 0, 0, 0, 0}; /* a responder, on a connection that is kept */
    unsigned char *params = put_header(request, BEGIN_REQUEST, sizeof begin), *at;
    memcpy(params, begin, sizeof begin);
    params += sizeof begin;
    at = params + HEADER;
    for (; *variables; variables++) {
        size_t name = strcspn(*variables, "="), value = strlen(*variables) - name - 1;
        if ((size_t)(at - params) + name + value > PARAMS_MOST)
            end_badly("too many parameters");
        at = put_length(put_length(at, name), value);
        memcpy(at, *variables, name);
        memcpy(at + name, *variables + name + 1, value);
        at += name + value;
    }
    put_header(params, PARAMS, (size_t)(at - params) - HEADER);
    at = put_header(put_header(at, PARAMS, 0), STDIN, 0);
    if (send(descriptor, request, (size_t)(at - request), MSG_NOSIGNAL) != at - request)
        end_badly("the backend takes no request");
}

static void relay_reply(int descriptor, unsigned char *reply, FCGX_Stream *out)
{
    size_t length = 0;
    for (;;) {
        ssize_t got = recv(descriptor, reply + length, REPLY_SIZE - length, 0);
        if (got <= 0)
            end_badly("the backend closed a connection");
        length += (size_t)got;
        size_t at = 0;
        while (length - at >= HEADER) {
            const unsigned char *record = reply + at;
            size_t content = (size_t)record[4] << 8 | record[5], whole = HEADER + content + record[6];
            if (length - at < whole)
                break;
            if (record[1] == STDOUT)
                FCGX_PutStr((const char *)record + HEADER, (int)content, out);
            if (record[1] == END_REQUEST)
                return;
            at += whole;
        }
        memmove(reply, reply + at, length - at);
        length -= at;
    }
}

static void *serve(void *unused)
{
    FCGX_Request request;
    unsigned char *out = malloc(PARAMS_MOST + 1024), *in = malloc(REPLY_SIZE);
    int descriptor = open_backend();
    (void)unused;
    if (!out || !in)
        end_badly("no memory");
    FCGX_InitRequest(&request, listener, 0);
    while (FCGX_Accept_r(&request) == 0) {
        if (is_closed(descriptor)) {
            close(descriptor);
            descriptor = open_backend();
        }
        send_request(descriptor, out, request.envp);
        relay_reply(descriptor, in, request.out);
        FCGX_Finish_r(&request);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    char *end;
    unsigned long threads = count == 4 ? strtoul(arguments[2], &end, 10) : 0;
    if (threads < 1 || threads > 1024 || *end) {
        fputs("usage: libfcgi_forward SOCKET THREADS BACKEND\n", stderr);
        return 2;
    }
    backend = arguments[3];
    if (FCGX_Init() != 0 || (listener = FCGX_OpenSocket(arguments[1], 511)) < 0)
        end_badly("cannot listen");
    for (unsigned long i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, NULL) != 0)
            end_badly("cannot start a thread");
    }
    serve(NULL);
    return 0;
}
