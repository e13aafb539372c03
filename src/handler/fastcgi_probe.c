/*
 * What an application is asked without a request: a path of the policy, to find
 * out how it is, in the way that php-fpm knows its ping.path by.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "handler/cgi_reply.h"
#include "handler/fastcgi.h"

enum { STATUS_BAD = 400 };

struct probe {
    struct arena *arena;
    int descriptor;
    uint64_t deadline;
    struct fastcgi_reply reply;
    struct cgi_reply head;
    enum cgi_reply_step step;
    bool answered; /* with anything at all */
    struct error *error;
};

static enum backend_outcome fail(struct probe *probe, const char *detail)
{
    error_set(probe->error, "a probe: %s", detail);
    return BACKEND_FAILED;
}

static struct text make_request(const char *path, struct arena *arena)
{
    const struct text whole = text_of(path);
    const size_t mark = text_find(whole, '?');
    const char *name = arena_copy(arena, path, mark);
    char *const variables[] = {
        "GATEWAY_INTERFACE=CGI/1.1",
        "SERVER_SOFTWARE=fcgiguard",
        "SERVER_PROTOCOL=HTTP/1.1",
        "REQUEST_METHOD=GET",
        "CONTENT_LENGTH=0",
        arena_printf(arena, "REQUEST_URI=%.*s", TEXT_ARGUMENTS(whole)),
        arena_printf(arena, "QUERY_STRING=%.*s", TEXT_ARGUMENTS(text_from(whole, mark + 1))),
        arena_printf(arena, "SCRIPT_NAME=%s", name),
        arena_printf(arena, "SCRIPT_FILENAME=%s", name),
        NULL};
    unsigned char input[RECORD_HEADER_SIZE];
    struct text head = fastcgi_make_head(variables, true, arena);
    record_write(input, RECORD_STDIN, FASTCGI_REQUEST, 0, 0);
    char *request = arena_alloc(arena, head.length + sizeof input);
    memcpy(request, head.at, head.length);
    memcpy(request + head.length, input, sizeof input);
    return (struct text){request, head.length + sizeof input};
}

static bool wait_for(const struct probe *probe, short events)
{
    struct pollfd item = {.fd = probe->descriptor, .events = events};
    for (uint64_t now; (now = clock_milliseconds()) < probe->deadline;) {
        uint64_t left = probe->deadline - now;
        if (poll(&item, 1, left > INT_MAX ? INT_MAX : (int)left) > 0)
            return true;
    }
    return false;
}

static enum backend_outcome send_request(struct probe *probe, struct text request)
{
    while (request.length > 0) {
        ssize_t length = send(probe->descriptor, request.at, request.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (length < 0 && errno != EAGAIN && errno != EINTR)
            return fail(probe, "the application closed the connection");
        if (length < 0 && !wait_for(probe, POLLOUT))
            return BACKEND_LATE;
        request = text_from(request, length < 0 ? 0 : (size_t)length);
    }
    return BACKEND_GOOD;
}

static enum backend_outcome judge(struct probe *probe)
{
    if (probe->reply.end.protocol_status != END_COMPLETE || probe->step != CGI_REPLY_COMPLETE)
        return fail(probe, probe->step == CGI_REPLY_BROKEN ? probe->head.fault : "it was not answered");
    if (probe->head.status >= STATUS_BAD)
        return fail(probe, arena_printf(probe->arena, "it was answered with status %d", probe->head.status));
    return BACKEND_GOOD;
}

/* BACKEND_UNTOLD: more must come. */
static enum backend_outcome take_records(struct probe *probe, struct text rest)
{
    struct text piece;
    for (;;) {
        size_t used;
        switch (fastcgi_reply_take(&probe->reply, &rest, &piece)) {
        case FASTCGI_MORE:
            return BACKEND_UNTOLD;
        case FASTCGI_OUTPUT:
            if (probe->step == CGI_REPLY_MORE)
                probe->step = cgi_reply_feed(&probe->head, piece, &used);
            break;
        case FASTCGI_ERRORS:
            break;
        case FASTCGI_END:
            return rest.length > 0 ? fail(probe, "bytes came behind the reply") : judge(probe);
        case FASTCGI_BROKEN:
            return fail(probe, probe->reply.fault);
        }
    }
}

static enum backend_outcome receive_reply(struct probe *probe)
{
    char buffer[4096];
    enum backend_outcome outcome = BACKEND_UNTOLD;
    while (outcome == BACKEND_UNTOLD) {
        if (!wait_for(probe, POLLIN))
            return BACKEND_LATE;
        ssize_t length = recv(probe->descriptor, buffer, sizeof buffer, MSG_DONTWAIT);
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (length <= 0)
            return fail(probe, "the application closed the connection");
        probe->answered = true;
        outcome = take_records(probe, (struct text){buffer, (size_t)length});
    }
    return outcome;
}

static enum backend_outcome ask_on(struct probe *probe, const char *path)
{
    probe->reply = (struct fastcgi_reply){0};
    probe->head = cgi_reply_new(probe->arena);
    probe->head.may_be_bare = true;
    probe->step = CGI_REPLY_MORE;
    probe->answered = false;
    enum backend_outcome outcome = send_request(probe, make_request(path, probe->arena));
    if (outcome == BACKEND_GOOD)
        outcome = receive_reply(probe);
    if (outcome == BACKEND_LATE)
        error_set(probe->error, "a probe was not answered in time");
    return outcome;
}

static enum backend_outcome ask_anew(struct probe *probe, const struct backend_address *address,
                                     const char *path)
{
    probe->descriptor = backend_address_connect(address, probe->deadline, probe->error);
    if (probe->descriptor < 0)
        return fastcgi_connect_outcome(probe->error);
    return ask_on(probe, path);
}

static enum backend_outcome fastcgi_probe(const void *target, const struct backend_watch_rules *rules,
                                          struct backend_connection *connection, struct error *error)
{
    struct error stale = {0};
    struct probe probe = {.arena = arena_new(),
                          .descriptor = connection->descriptor,
                          .deadline = clock_milliseconds() + rules->timeout,
                          .error = &stale};
    enum backend_outcome outcome = BACKEND_FAILED;
    if (probe.descriptor >= 0)
        outcome = ask_on(&probe, rules->probe);
    bool again = probe.descriptor < 0 || (outcome == BACKEND_FAILED && !probe.answered);
    if (again && probe.descriptor >= 0)
        (void)close(probe.descriptor);
    probe.error = error;
    if (again)
        outcome = ask_anew(&probe, target, rules->probe);
    else if (stale.set)
        error_set(error, "%s", stale.message);
    if (outcome != BACKEND_GOOD && probe.descriptor >= 0) {
        (void)close(probe.descriptor);
        probe.descriptor = -1;
    }
    *connection = (struct backend_connection){.descriptor = probe.descriptor};
    arena_free(probe.arena);
    return outcome;
}

static struct backend_connection fastcgi_open(const void *target, uint64_t deadline, struct error *error)
{
    return (struct backend_connection){.descriptor = backend_address_connect(target, deadline, error)};
}

static bool fastcgi_reach(const void *target, uint64_t deadline, struct error *error)
{
    return backend_address_reach(target, deadline, error);
}

const struct backend_calls fastcgi_calls = {
    .probe = fastcgi_probe, .reach = fastcgi_reach, .open = fastcgi_open};
