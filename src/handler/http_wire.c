/*
 * What stands between libcurl and a connection while a body is sent on it. The
 * number of libcurl's descriptor leads to one end of a pair of sockets then,
 * whose other end is ours, and the connection has a number of its own.
 */
#include "config.h"

#include "handler/http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECE = 32 * 1024 };

struct queue {
    size_t start, end;
    char bytes[PIECE];
};

struct http_wire {
    curl_socket_t place; /* libcurl's descriptor */
    int near, far;       /* our end of the pair; the connection */
    bool heard;          /* something has come on the connection */
    bool ended;          /* nothing more will come */
    bool told;           /* libcurl can see that */
    bool deaf;           /* nothing more can be sent */
    struct queue out, in;
};

static bool is_empty(const struct queue *queue)
{
    return queue->start == queue->end;
}

static bool is_for_later(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

static ssize_t fill(struct queue *queue, int from)
{
    ssize_t length = recv(from, queue->bytes, sizeof queue->bytes, MSG_DONTWAIT);
    queue->start = 0;
    queue->end = length > 0 ? (size_t)length : 0;
    return length;
}

static ssize_t empty(struct queue *queue, int into)
{
    ssize_t length =
        send(into, queue->bytes + queue->start, queue->end - queue->start, MSG_DONTWAIT | MSG_NOSIGNAL);
    queue->start += length > 0 ? (size_t)length : 0;
    return length;
}

/* EPIPE is what a socket says whose peer has ended its side before. */
static void take_error(struct http_client *client)
{
    client->wire->deaf = true;
    client->reset = client->reset || errno != EPIPE;
}

static bool send_on(struct http_client *client)
{
    struct http_wire *wire = client->wire;
    if (wire->deaf)
        return false;
    if (is_empty(&wire->out) && fill(&wire->out, wire->near) <= 0)
        return false;
    ssize_t sent = empty(&wire->out, wire->far);
    if (sent < 0 && !is_for_later())
        take_error(client);
    return sent > 0;
}

static bool take_in(struct http_client *client)
{
    struct http_wire *wire = client->wire;
    ssize_t length = 0;
    if (is_empty(&wire->in) && !wire->ended) {
        length = fill(&wire->in, wire->far);
        wire->ended = length == 0 || (length < 0 && !is_for_later());
        if (length < 0 && wire->ended)
            take_error(client);
        wire->heard = wire->heard || length > 0;
    }
    if (!is_empty(&wire->in))
        (void)empty(&wire->in, wire->near);
    if (wire->ended && !wire->told && is_empty(&wire->in))
        wire->told = shutdown(wire->near, SHUT_WR) == 0;
    return length > 0;
}

static void release(struct http_client *client)
{
    close(client->wire->near);
    close(client->wire->far);
    explicit_bzero(&client->wire->out, sizeof client->wire->out); /* it held credentials */
    free(client->wire);
    client->wire = NULL;
}

void http_wire_begin(struct http_client *client)
{
    int pair[2];
    http_wire_end(client);
    client->reset = client->unread = client->stuck = false;
    if (client->opened_count != 1)
        return;
    curl_socket_t connection = client->opened[0];
    struct http_wire *wire = malloc(sizeof *wire);
    int far = wire ? fcntl(connection, F_DUPFD_CLOEXEC, 3) : -1;
    if (far < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        if (far >= 0)
            close(far);
        free(wire);
        return;
    }
    wire->place = connection;
    wire->near = pair[0];
    wire->far = far;
    wire->heard = wire->ended = wire->told = wire->deaf = false;
    wire->out.start = wire->out.end = wire->in.start = wire->in.end = 0;
    client->wire = wire;
    if (dup3(pair[1], connection, O_CLOEXEC) < 0)
        release(client);
    close(pair[1]);
}

void http_wire_watch(const struct http_client *client, struct pollfd slots[HTTP_WIRE_SLOTS])
{
    const struct http_wire *wire = client->wire;
    slots[HTTP_WIRE_NEAR] = slots[HTTP_WIRE_FAR] = (struct pollfd){.fd = -1};
    if (!wire)
        return;
    bool sends = !is_empty(&wire->out), reads = !is_empty(&wire->in);
    int near = (!sends && !wire->deaf ? POLLIN : 0) | (reads ? POLLOUT : 0);
    int far = (!reads && !wire->ended ? POLLIN : 0) | (sends && !wire->deaf ? POLLOUT : 0);
    slots[HTTP_WIRE_NEAR] = (struct pollfd){near ? wire->near : -1, (short)near, 0};
    slots[HTTP_WIRE_FAR] = (struct pollfd){far ? wire->far : -1, (short)far, 0};
}

/* Whether the connection ended before a byte came: what that means is for libcurl to find out. */
static bool ends_unheard(const struct http_wire *wire, short events)
{
    int length = 0;
    return !wire->heard && (events & ~POLLOUT) && ioctl(wire->far, FIONREAD, &length) == 0 && length == 0;
}

bool http_wire_take(struct http_client *client, const struct pollfd slots[HTTP_WIRE_SLOTS])
{
    struct http_wire *wire = client->wire;
    short far = slots[HTTP_WIRE_FAR].revents;
    if (!wire || (!far && !slots[HTTP_WIRE_NEAR].revents))
        return false;
    if (!ends_unheard(wire, far))
        return take_in(client);
    wire->deaf = true; /* libcurl is to see the error that sending would meet */
    http_wire_end(client);
    return false;
}

bool http_wire_send(struct http_client *client)
{
    bool sent = false;
    while (client->wire && send_on(client))
        sent = true;
    return sent;
}

bool http_wire_has_ended(const struct http_client *client)
{
    return client->wire && client->wire->told;
}

bool http_wire_is_dead(const struct http_client *client)
{
    return http_wire_has_ended(client) && client->wire->deaf;
}

static bool has_bytes(int descriptor)
{
    char byte;
    return recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool http_wire_end(struct http_client *client)
{
    struct http_wire *wire = client->wire;
    if (!wire)
        return true;
    (void)http_wire_send(client);
    client->unread = !is_empty(&wire->in) || has_bytes(wire->place);
    bool lost = !is_empty(&wire->out) || has_bytes(wire->near);
    if (lost)
        shutdown(wire->far, SHUT_WR); /* what libcurl might still send does not follow what it has sent */
    bool clean = !lost && !client->unread && !wire->ended;
    clean = dup3(wire->far, wire->place, O_CLOEXEC) >= 0 && clean;
    release(client);
    return clean;
}

void http_wire_close(struct http_client *client, curl_socket_t descriptor)
{
    if (!client->wire || client->wire->place != descriptor)
        return;
    (void)http_wire_send(client);
    release(client);
}
