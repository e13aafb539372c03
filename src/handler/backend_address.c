/*
 * Sockets that never block, but for one case: a unix socket whose queue is full
 * cannot be polled for, so connect(2) itself waits there, up to the deadline.
 */
#include "config.h"

#include "handler/backend_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"

enum { PORT_MOST = 65535, HOST_MOST = 253 };

/* ---- what the policy says */

static bool is_strange(struct error *error)
{
    return error_set(error, "is no address, expected unix:/PATH, HOST:PORT or [IPV6]:PORT");
}

static bool parse_path(struct text path, struct backend_address *address, struct error *error)
{
    struct sockaddr_un *to = &address->at.unix_path;
    if (path.length == 0 || path.at[0] != '/')
        return error_set(error, "is no path from the root, expected unix:/PATH");
    if (path.length >= sizeof to->sun_path)
        return error_set(error, "is too long for a socket's path, expected at most %zu bytes",
                         sizeof to->sun_path - 1);
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, path.at, path.length);
    address->length = sizeof *to;
    return true;
}

static bool is_label(struct text label)
{
    for (size_t i = 0; i < label.length; i++) {
        char byte = label.at[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && !(byte >= '0' && byte <= '9') && byte != '-' && byte != '_')
            return false;
    }
    return label.length > 0;
}

/* One that ends in a number is an address with a slip in it (RFC 1123, 2.1). */
static bool is_host_name(struct text name)
{
    struct text rest = name, label = {0};
    uint64_t number;
    bool good = name.length > 0 && name.length <= HOST_MOST;
    while (good && text_next(&rest, '.', &label))
        good = is_label(label);
    return good && !text_number(label, UINT64_MAX, &number);
}

static bool parse_v6(const char *host, uint16_t port, struct backend_address *address, struct arena *arena)
{
    struct sockaddr_in6 *to = &address->at.v6;
    char text[INET6_ADDRSTRLEN];
    address->length = sizeof *to;
    to->sin6_family = AF_INET6;
    to->sin6_port = htons(port);
    if (inet_pton(AF_INET6, host, &to->sin6_addr) != 1)
        return false;
    address->place = arena_printf(arena, "[%s]:%u", inet_ntop(AF_INET6, &to->sin6_addr, text, sizeof text),
                                  (unsigned)port);
    return true;
}

static bool parse_host(const char *host, bool bracketed, uint16_t port, struct backend_address *address,
                       struct arena *arena)
{
    if (bracketed)
        return parse_v6(host, port, address, arena);
    address->place = arena_printf(arena, "%s:%u", host, (unsigned)port);
    if (inet_pton(AF_INET, host, &address->at.v4.sin_addr) == 1) {
        address->length = sizeof address->at.v4;
        address->at.v4.sin_family = AF_INET;
        address->at.v4.sin_port = htons(port);
        return true;
    }
    if (!is_host_name(text_of(host)))
        return false;
    address->name = host_name_new(host, port, arena);
    return true;
}

static bool parse_host_and_port(struct text text, struct arena *arena, struct backend_address *address,
                                struct error *error)
{
    size_t colon = text.length;
    uint64_t port;
    while (colon > 0 && text.at[colon - 1] != ':')
        colon--;
    if (colon == 0 || !text_number(text_from(text, colon), PORT_MOST, &port) || port == 0)
        return is_strange(error);
    struct text host = {text.at, colon - 1};
    bool bracketed = host.length > 2 && host.at[0] == '[' && host.at[host.length - 1] == ']';
    if (bracketed)
        host = (struct text){host.at + 1, host.length - 2};
    host = text_lower(arena, host);
    return parse_host(host.at, bracketed, (uint16_t)port, address, arena) || is_strange(error);
}

bool backend_address_parse(struct text text, struct arena *arena, struct backend_address *address,
                           struct error *error)
{
    static const struct text path = {"unix:", 5}, host = {"tcp:", 4};
    const bool is_path = text_starts_with(text, path);
    if (text_starts_with(text, host))
        text = text_from(text, host.length);
    *address = (struct backend_address){.place = arena_copy(arena, text.at, text.length)};
    if (text_find(text, '\0') < text.length)
        return is_strange(error);
    if (is_path)
        return parse_path(text_from(text, path.length), address, error);
    return parse_host_and_port(text, arena, address, error);
}

bool backend_address_needs_network(const struct backend_address *address)
{
    return address->name || address->at.any.sa_family != AF_UNIX;
}

/* ---- connecting */

static uint64_t time_left(uint64_t deadline)
{
    uint64_t now = clock_milliseconds();
    return deadline > now ? deadline - now : 0;
}

static bool is_late(const struct backend_address *address, struct error *error)
{
    error_set(error, "%.120s could not be reached in time", address->place);
    error->number = ETIMEDOUT;
    return false;
}

static bool wait_for_room(int descriptor, const struct backend_address *address, uint64_t deadline)
{
    uint64_t left = time_left(deadline);
    const struct timeval time = {(time_t)(left / 1000), (suseconds_t)(left % 1000) * 1000};
    int on = 1, off = 0;
    if (left == 0 || setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) != 0 ||
        ioctl(descriptor, FIONBIO, &off) != 0)
        return false;
    return connect(descriptor, &address->at.any, address->length) == 0 &&
           ioctl(descriptor, FIONBIO, &on) == 0;
}

/* 0, or an errno. */
static int wait_for_answer(int descriptor, uint64_t deadline)
{
    struct pollfd item = {.fd = descriptor, .events = POLLOUT};
    int cause = 0, ready;
    socklen_t size = sizeof cause;
    do
        ready = poll(&item, 1, (int)(time_left(deadline) > INT32_MAX ? INT32_MAX : time_left(deadline)));
    while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return ETIMEDOUT;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &cause, &size) == 0 ? cause : errno;
}

static int connect_to(const struct backend_address *address, uint64_t deadline, struct error *error)
{
    int family = address->at.any.sa_family, one = 1, cause = 0;
    int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) {
        error_set_errno(error, "cannot make a socket for %.120s", address->place);
        return -1;
    }
    if (family != AF_UNIX)
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(descriptor, &address->at.any, address->length) != 0)
        cause = errno;
    if (cause == EINPROGRESS)
        cause = wait_for_answer(descriptor, deadline);
    else if (cause == EAGAIN)
        cause = wait_for_room(descriptor, address, deadline) ? 0 : errno == EAGAIN ? ETIMEDOUT : errno;
    if (cause == 0)
        return descriptor;
    (void)close(descriptor);
    errno = cause;
    if (cause == ETIMEDOUT)
        is_late(address, error);
    else
        error_set_errno(error, "cannot connect to %.120s", address->place);
    return -1;
}

/* All addresses of the name, each with an even share of the time that is left. */
static int connect_name(const struct backend_address *address, uint64_t deadline, struct error *error)
{
    struct host_addresses found;
    struct error failure = {0};
    int descriptor = -1;
    if (!host_name_find(address->name, deadline, &found, error))
        return -1;
    for (size_t i = 0; i < found.count && descriptor < 0; i++) {
        const struct host_address *one = &found.items[i];
        struct backend_address known = {.place = address->place, .length = one->length};
        memcpy(&known.at, &one->at, one->length);
        failure = (struct error){0};
        descriptor =
            connect_to(&known, clock_milliseconds() + time_left(deadline) / (found.count - i), &failure);
    }
    if (descriptor < 0) {
        error_set(error, "%s", failure.message);
        error->number = failure.number;
    }
    return descriptor;
}

int backend_address_connect(const struct backend_address *address, uint64_t deadline, struct error *error)
{
    return address->name ? connect_name(address, deadline, error) : connect_to(address, deadline, error);
}

bool backend_address_reach(const struct backend_address *address, uint64_t deadline, struct error *error)
{
    int descriptor = backend_address_connect(address, deadline, error);
    if (descriptor >= 0)
        (void)close(descriptor);
    return descriptor >= 0;
}

bool backend_address_is_at(const struct backend_address *address, int descriptor, uint64_t deadline)
{
    return !address->name || host_name_leads_to(address->name, descriptor, deadline);
}
