/*
 * A responder with nothing but libfcgi: the floor for the front.
 *   libfcgi_hello SOCKET THREADS
 */
#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static int listener;

static void *serve(void *unused)
{
    FCGX_Request request;
    (void)unused;
    FCGX_InitRequest(&request, listener, 0);
    while (FCGX_Accept_r(&request) == 0) {
        FCGX_PutS("Content-Type: text/plain\r\n\r\nhello\n", request.out);
        FCGX_Finish_r(&request);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    char *end;
    unsigned long threads = count == 3 ? strtoul(arguments[2], &end, 10) : 0;
    if (threads < 1 || threads > 1024 || *end) {
        fputs("usage: libfcgi_hello SOCKET THREADS\n", stderr);
        return 2;
    }
    if (FCGX_Init() != 0 || (listener = FCGX_OpenSocket(arguments[1], 511)) < 0) {
        fprintf(stderr, "libfcgi_hello: cannot listen on %s\n", arguments[1]);
        return 1;
    }
    for (unsigned long i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, NULL) != 0) {
            fputs("libfcgi_hello: cannot start a thread\n", stderr);
            return 1;
        }
    }
    serve(NULL);
    return 0;
}
