/*
 * Bytes by sockets that never block: poll(2) waits, until the deadline. TLS has
 * a BIO of its own, because OpenSSL's would raise SIGPIPE.
 */
#include "config.h"

#include "store/redis_stream.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

/* ---- waiting */

static int time_left(uint64_t deadline)
{
    uint64_t now = clock_milliseconds();
    uint64_t left = deadline > now ? deadline - now : 0;
    return left > INT32_MAX ? INT32_MAX : (int)left;
}

static bool timed_out(const struct redis_stream *stream, struct error *error)
{
    return error_set(error, "the server %.120s did not answer in time", stream->url->place);
}

static bool wait_for(const struct redis_stream *stream, short events, uint64_t deadline, struct error *error)
{
    struct pollfd poll_for = {.fd = stream->descriptor, .events = events};
    int ready;
    do
        ready = poll(&poll_for, 1, time_left(deadline));
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return timed_out(stream, error);
    return ready > 0 || error_set_errno(error, "cannot wait for the server %.120s", stream->url->place);
}

static bool gone(const struct redis_stream *stream, struct error *error)
{
    return error_set(error, "the server %.120s has closed the connection", stream->url->place);
}

/* ---- TLS */

static int bio_write(BIO *bio, const char *at, int length)
{
    const struct redis_stream *stream = BIO_get_data(bio);
    ssize_t written = send(stream->descriptor, at, (size_t)length, MSG_NOSIGNAL);
    BIO_clear_retry_flags(bio);
    if (written < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)written;
}

static int bio_read(BIO *bio, char *to, int size)
{
    const struct redis_stream *stream = BIO_get_data(bio);
    ssize_t count = recv(stream->descriptor, to, (size_t)size, 0);
    BIO_clear_retry_flags(bio);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)count;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO *new_bio(struct redis_stream *stream)
{
    static BIO_METHOD *method; /* for the life of the process; two threads at once would lose one */
    BIO_METHOD *made = __atomic_load_n(&method, __ATOMIC_ACQUIRE);
    if (!made) {
        made = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "redis");
        if (!made || !BIO_meth_set_write(made, bio_write) || !BIO_meth_set_read(made, bio_read) ||
            !BIO_meth_set_ctrl(made, bio_control))
            abort();
        BIO_METHOD *none = NULL;
        if (!__atomic_compare_exchange_n(&method, &none, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            BIO_meth_free(made);
            made = none;
        }
    }
    BIO *bio = BIO_new(made);
    if (!bio)
        abort();
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    return bio;
}

static bool trust(struct redis_stream *stream, struct error *error)
{
    const char *ca = stream->url->ca;
    stream->trust = SSL_CTX_new(TLS_client_method());
    if (!stream->trust)
        abort();
    SSL_CTX_set_verify(stream->trust, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(stream->trust, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    bool good =
        SSL_CTX_set_min_proto_version(stream->trust, TLS1_2_VERSION) &&
        (ca ? SSL_CTX_load_verify_file(stream->trust, ca) : SSL_CTX_set_default_verify_paths(stream->trust));
    ERR_clear_error();
    return good || error_set(error, "cannot read certificates from %.160s", ca ? ca : "the system's store");
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom the certificate has to be for; names are sent (RFC 6066, 3), addresses must not be. */
static bool expect_host(SSL *tls, const char *host)
{
    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host);
    return SSL_set1_host(tls, host) && SSL_set_tlsext_host_name(tls, host);
}

/* Waits for what OpenSSL has not got yet; false when it was no waiting that stopped it. */
static bool tls_wait(const struct redis_stream *stream, int result, uint64_t deadline, struct error *error)
{
    switch (SSL_get_error(stream->tls, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(stream, POLLIN, deadline, error);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(stream, POLLOUT, deadline, error);
    default:
        return gone(stream, error);
    }
}

static bool handshake(struct redis_stream *stream, uint64_t deadline, struct error *error)
{
    struct error failure = {0};
    int result;
    stream->tls = SSL_new(stream->trust);
    if (!stream->tls || !expect_host(stream->tls, stream->url->host))
        abort();
    BIO *bio = new_bio(stream);
    SSL_set_bio(stream->tls, bio, bio);
    ERR_clear_error();
    while ((result = SSL_connect(stream->tls)) != 1) {
        if (tls_wait(stream, result, deadline, &failure))
            continue;
        long verdict = SSL_get_verify_result(stream->tls);
        if (verdict != X509_V_OK)
            return error_set(error, "the certificate of the server %.120s is not trusted: %.80s",
                             stream->url->place, X509_verify_cert_error_string(verdict));
        return error_set(error, "%s, while TLS was agreed on", failure.message);
    }
    return true;
}

/* ---- connecting */

/* A name server's time-out is no deadline of ours, so it is asked in another thread (getaddrinfo_a(3)). A
 * question that cannot be waited for any longer is waited for by the next attempt. */
struct lookup {
    struct gaicb question;
    char host[256], port[8]; /* which outlive whoever has asked */
};

static bool begin_lookup(struct redis_stream *stream, struct error *error)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct lookup *lookup = calloc(1, sizeof *lookup);
    struct gaicb *const questions[] = {&lookup->question};
    if (!lookup)
        abort();
    snprintf(lookup->host, sizeof lookup->host, "%s", stream->url->host);
    snprintf(lookup->port, sizeof lookup->port, "%s", stream->url->port);
    lookup->question =
        (struct gaicb){.ar_name = lookup->host, .ar_service = lookup->port, .ar_request = &hints};
    int status = getaddrinfo_a(GAI_NOWAIT, (struct gaicb **)questions, 1, NULL);
    if (status == 0) {
        stream->lookup = lookup;
        return true;
    }
    free(lookup);
    return error_set(error, "cannot look up %.100s: %s", stream->url->host, gai_strerror(status));
}

static bool look_up(struct redis_stream *stream, uint64_t deadline, struct error *error)
{
    int status;
    if (!stream->lookup && !begin_lookup(stream, error))
        return false;
    const struct gaicb *const questions[] = {&stream->lookup->question};
    while ((status = gai_error(&stream->lookup->question)) == EAI_INPROGRESS && time_left(deadline) > 0) {
        int left = time_left(deadline);
        const struct timespec time = {left / 1000, left % 1000 * 1000000L};
        gai_suspend(questions, 1, &time);
    }
    if (status == EAI_INPROGRESS)
        return error_set(error, "the name %.120s could not be looked up in time", stream->url->host);
    return status == 0 ||
           error_set(error, "cannot look up %.120s: %s", stream->url->host, gai_strerror(status));
}

static void forget_lookup(struct redis_stream *stream)
{
    struct lookup *lookup = stream->lookup;
    if (!lookup || gai_error(&lookup->question) == EAI_INPROGRESS)
        return;
    if (lookup->question.ar_result)
        freeaddrinfo(lookup->question.ar_result);
    free(lookup);
    stream->lookup = NULL;
}

static bool connect_to(struct redis_stream *stream, int family, const void *address, socklen_t length,
                       uint64_t deadline, struct error *error)
{
    const char *place = stream->url->place;
    int cause = 0, one = 1;
    socklen_t size = sizeof cause;
    stream->descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (stream->descriptor < 0)
        return error_set_errno(error, "cannot make a socket for %.120s", place);
    if (family != AF_UNIX)
        setsockopt(stream->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(stream->descriptor, address, length) == 0)
        return true;
    if (errno == EINPROGRESS) {
        if (!wait_for(stream, POLLOUT, deadline, error))
            return false;
        if (getsockopt(stream->descriptor, SOL_SOCKET, SO_ERROR, &cause, &size) == 0 && cause == 0)
            return true;
        errno = cause;
    }
    /* EAGAIN: a unix socket whose queue of connections is full */
    return error_set_errno(error, "cannot connect to the server %.120s", place);
}

static bool connect_path(struct redis_stream *stream, uint64_t deadline, struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(stream->url->path);
    assert(length < sizeof address.sun_path);
    memcpy(address.sun_path, stream->url->path, length);
    return connect_to(stream, AF_UNIX, &address, sizeof address, deadline, error);
}

/* All addresses of the name, each with an even share of the time that is left. */
static bool connect_host(struct redis_stream *stream, uint64_t deadline, struct error *error)
{
    size_t count = 0;
    struct error failure = {0};
    if (!look_up(stream, deadline, error))
        return false;
    for (const struct addrinfo *one = stream->lookup->question.ar_result; one; one = one->ai_next)
        count++;
    for (const struct addrinfo *one = stream->lookup->question.ar_result; one; one = one->ai_next) {
        uint64_t share = (uint64_t)time_left(deadline) / count--;
        failure = (struct error){0};
        if (connect_to(stream, one->ai_family, one->ai_addr, one->ai_addrlen, clock_milliseconds() + share,
                       &failure))
            return true;
        redis_stream_close(stream);
    }
    return error_set(error, "%s", failure.message);
}

bool redis_stream_connect(struct redis_stream *stream, uint64_t deadline, struct error *error)
{
    assert(stream->descriptor < 0);
    bool good =
        stream->url->path ? connect_path(stream, deadline, error) : connect_host(stream, deadline, error);
    forget_lookup(stream);
    good = good && (!stream->url->tls || handshake(stream, deadline, error));
    if (!good)
        redis_stream_close(stream);
    return good;
}

bool redis_stream_is_idle(const struct redis_stream *stream)
{
    char byte;
    return stream->descriptor >= 0 && recv(stream->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           errno == EAGAIN;
}

/* ---- bytes */

bool redis_stream_write(struct redis_stream *stream, const void *at, size_t length, uint64_t deadline,
                        struct error *error)
{
    const char *next = at;
    while (length > 0) {
        size_t written = 0;
        if (stream->tls) {
            ERR_clear_error();
            int result = SSL_write_ex(stream->tls, next, length, &written);
            if (result != 1 && !tls_wait(stream, result, deadline, error))
                return false;
        } else {
            ssize_t result = send(stream->descriptor, next, length, MSG_NOSIGNAL);
            if (result < 0 && errno != EAGAIN && errno != EINTR)
                return gone(stream, error);
            if (result < 0 && !wait_for(stream, POLLOUT, deadline, error))
                return false;
            written = result < 0 ? 0 : (size_t)result;
        }
        next += written;
        length -= written;
    }
    return true;
}

size_t redis_stream_read(struct redis_stream *stream, void *to, size_t size, uint64_t deadline,
                         struct error *error)
{
    for (;;) {
        if (stream->tls) {
            size_t count = 0;
            ERR_clear_error();
            int result = SSL_read_ex(stream->tls, to, size, &count);
            if (result == 1)
                return count;
            if (!tls_wait(stream, result, deadline, error))
                return 0;
        } else {
            ssize_t count = recv(stream->descriptor, to, size, 0);
            if (count > 0)
                return (size_t)count;
            if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
                gone(stream, error);
                return 0;
            }
            if (!wait_for(stream, POLLIN, deadline, error))
                return 0;
        }
    }
}

/* ---- beginning and end */

bool redis_stream_new(struct redis_stream *stream, const struct redis_url *url, struct error *error)
{
    *stream = (struct redis_stream){.url = url, .descriptor = -1};
    return !url->tls || trust(stream, error);
}

void redis_stream_share(struct redis_stream *stream, const struct redis_stream *first,
                        const struct redis_url *url)
{
    *stream = (struct redis_stream){.url = url, .descriptor = -1, .trust = first->trust};
    if (stream->trust)
        SSL_CTX_up_ref(stream->trust);
}

void redis_stream_close(struct redis_stream *stream)
{
    SSL_free(stream->tls);
    stream->tls = NULL;
    if (stream->descriptor >= 0)
        (void)close(stream->descriptor);
    stream->descriptor = -1;
}

void redis_stream_free(struct redis_stream *stream)
{
    redis_stream_close(stream);
    if (stream->lookup)
        gai_cancel(&stream->lookup->question);
    forget_lookup(stream); /* one that cannot be called back keeps its memory */
    SSL_CTX_free(stream->trust);
    stream->trust = NULL;
}
