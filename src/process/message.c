/*
 * Messages: those of the worker, then those of the parent. What reads a
 * worker's is the narrow door of privilege separation: it takes bytes and
 * descriptors from a process that may have been taken over.
 */
#include "config.h"

#include "process/message.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "process/environment.h"

union control {
    struct cmsghdr header; /* for its alignment */
    char room[CMSG_SPACE(MESSAGE_DESCRIPTORS * sizeof(int))];
};

enum { FIXED_PARTS = 3 }; /* header, script, script name */

/* ---- the rules of both sides */

static bool has_nul(struct text text)
{
    return text_find(text, '\0') < text.length;
}

/* A path that program_open() takes further; what it may name is decided there. */
static bool script_fits(struct text script)
{
    return script.length == 0 || (script.at[0] == '/' && !has_nul(script));
}

static bool variable_fits(struct text variable)
{
    size_t name = text_find(variable, '=');
    return name < variable.length && environment_name_allowed((struct text){variable.at, name});
}

/* ---- the worker's side */

static bool unfit(struct error *error, int number, const char *what)
{
    errno = number;
    return error_set_errno(error, "the program's %s", what);
}

static bool environment_fits(char *const *variables, struct error *error)
{
    size_t bytes = 0;
    for (size_t count = 0; variables[count]; count++) {
        struct text variable = text_of(variables[count]);
        bytes += variable.length + 1;
        if (bytes > LAUNCH_ENVIRONMENT_LIMIT || count == LAUNCH_VARIABLES_LIMIT)
            return unfit(error, E2BIG, "environment is too large");
        if (!variable_fits(variable))
            return unfit(error, EINVAL, "environment has a name that is not allowed");
    }
    return true;
}

bool message_fits(const struct launch *launch, struct error *error)
{
    if (launch->script.length > LAUNCH_SCRIPT_LIMIT ||
        launch->script_name.length > LAUNCH_SCRIPT_LIMIT - launch->script.length)
        return unfit(error, E2BIG, "path is too long");
    if (!script_fits(launch->script) || has_nul(launch->script_name))
        return unfit(error, EINVAL, "path is none");
    return environment_fits(launch->environment, error);
}

static struct iovec part(const void *at, size_t length)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)at, .iov_len = length};
}

/* One part a variable, with its NUL: nothing is copied before the kernel does. */
static size_t add_environment(char *const *variables, struct iovec *parts, uint32_t *bytes)
{
    size_t count = 0;
    for (; variables[count]; count++) {
        parts[count] = part(variables[count], strlen(variables[count]) + 1);
        *bytes += (uint32_t)parts[count].iov_len;
    }
    return count;
}

static void attach(struct msghdr *message, union control *control, const int descriptors[], size_t count)
{
    *control = (union control){.header = {.cmsg_level = SOL_SOCKET,
                                          .cmsg_type = SCM_RIGHTS,
                                          .cmsg_len = CMSG_LEN(count * sizeof descriptors[0])}};
    memcpy(CMSG_DATA(&control->header), descriptors, count * sizeof descriptors[0]);
    message->msg_control = control->room;
    message->msg_controllen = CMSG_SPACE(count * sizeof descriptors[0]);
}

static bool send_whole(int socket, const struct msghdr *message, int flags)
{
    ssize_t sent;
    do {
        sent = sendmsg(socket, message, flags | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

bool message_send(int socket, const struct launch *launch, uint32_t run, struct error *error)
{
    struct message_header header = {
        .version = MESSAGE_LAUNCH_VERSION, .run = run, .program = launch->program};
    struct iovec parts[FIXED_PARTS + LAUNCH_VARIABLES_LIMIT];
    union control control;
    if (!message_fits(launch, error))
        return false;
    header.script = (uint32_t)launch->script.length;
    header.script_name = (uint32_t)launch->script_name.length;
    size_t count =
        FIXED_PARTS + add_environment(launch->environment, parts + FIXED_PARTS, &header.environment);
    parts[0] = part(&header, sizeof header);
    parts[1] = part(launch->script.at, launch->script.length);
    parts[2] = part(launch->script_name.at, launch->script_name.length);

    const int descriptors[MESSAGE_DESCRIPTORS] = {launch->input, launch->output, launch->errors};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    attach(&message, &control, descriptors, MESSAGE_DESCRIPTORS);
    return send_whole(socket, &message, 0) ||
           error_set_errno(error, "cannot ask the parent to start a program");
}

static bool send_bytes(int socket, const void *bytes, size_t length, int flags)
{
    struct iovec whole = part(bytes, length);
    const struct msghdr message = {.msg_iov = &whole, .msg_iovlen = 1};
    return send_whole(socket, &message, flags);
}

bool message_send_stop(int socket, uint32_t run, struct error *error)
{
    const struct message_header header = {.version = MESSAGE_STOP_VERSION, .run = run};
    return send_bytes(socket, &header, sizeof header, 0) ||
           error_set_errno(error, "cannot ask the parent to stop a program");
}

bool message_send_ready(int socket, struct error *error)
{
    const struct message_header header = {.version = MESSAGE_READY_VERSION};
    return send_bytes(socket, &header, sizeof header, 0) ||
           error_set_errno(error, "cannot tell the parent of the start");
}

/* ---- the way back */

/* Of an answer, as much of the reason as there is, with its NUL. */
struct answer {
    uint32_t run;
    struct program_end end;
};

enum { ANSWER_LEAST = offsetof(struct answer, end.reason) + 1 };

bool message_answer(int socket, uint32_t run, const struct program_end *end, struct error *error)
{
    struct answer answer = {.run = run, .end = {.started = end->started, .status = end->status}};
    size_t length = text_of(end->reason).length;
    memcpy(answer.end.reason, end->reason, length);
    return send_bytes(socket, &answer, ANSWER_LEAST + length, MSG_DONTWAIT) ||
           error_set_errno(error, "cannot answer the worker");
}

bool message_pass(int socket, int descriptor, struct error *error)
{
    union control control;
    char byte = 0;
    struct iovec whole = part(&byte, sizeof byte);
    struct msghdr message = {.msg_iov = &whole, .msg_iovlen = 1};
    attach(&message, &control, &descriptor, 1);
    return send_whole(socket, &message, MSG_DONTWAIT) ||
           error_set_errno(error, "cannot pass a descriptor to the worker");
}

static int descriptor_of(struct msghdr *received)
{
    int descriptor = -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(received);
    if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof descriptor))
        memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
}

int message_hear(int socket, struct message_news *news)
{
    union control control;
    struct answer answer = {0};
    struct iovec whole = {.iov_base = &answer, .iov_len = sizeof answer};
    struct msghdr received = {.msg_iov = &whole,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof control.room};
    ssize_t length = recvmsg(socket, &received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    news->descriptor = descriptor_of(&received);
    news->run = length >= (ssize_t)ANSWER_LEAST ? answer.run : MESSAGE_NO_RUN;
    news->end = answer.end;
    news->end.reason[sizeof news->end.reason - 1] = '\0';
    return length > 0 ? 1 : -1;
}

/* ---- the parent's side */

static bool bad(struct error *error, const char *what)
{
    return error_set(error, "%s", what);
}

static bool parse_environment(struct message *message, char *block, size_t length, struct error *error)
{
    size_t count = 0;
    if (length > 0 && block[length - 1] != '\0')
        return bad(error, "the environment does not end in a NUL");
    for (size_t at = 0; at < length;) {
        struct text variable = text_of(block + at);
        if (count == LAUNCH_VARIABLES_LIMIT)
            return bad(error, "too many variables");
        if (!variable_fits(variable))
            return bad(error, "a variable whose name is not allowed");
        message->environment[count++] = block + at;
        at += variable.length + 1;
    }
    message->environment[count] = NULL;
    return true;
}

bool message_parse(struct message *message, size_t length, struct error *error)
{
    struct message_header header;
    if (length < sizeof header || length > sizeof message->buffer)
        return bad(error, "no header");
    memcpy(&header, message->buffer, sizeof header);
    if (header.version != MESSAGE_LAUNCH_VERSION)
        return bad(error, "an unknown version");
    /* Sums of 64 bits cannot wrap for three lengths of 32. */
    uint64_t scripts = (uint64_t)header.script + header.script_name;
    if (scripts > LAUNCH_SCRIPT_LIMIT || header.environment > LAUNCH_ENVIRONMENT_LIMIT ||
        sizeof header + scripts + header.environment != length)
        return bad(error, "lengths that do not fit");

    char *at = message->buffer + sizeof header;
    struct launch *launch = &message->launch;
    message->run = header.run;
    launch->program = header.program;
    launch->script = (struct text){at, header.script};
    launch->script_name = (struct text){at + header.script, header.script_name};
    launch->environment = message->environment;
    if (!script_fits(launch->script) || has_nul(launch->script_name))
        return bad(error, "a script that is no path");
    return parse_environment(message, at + scripts, header.environment, error);
}

/* Takes the descriptors over before anything is judged, so that none is lost. */
static size_t take_descriptors(struct message *message, struct msghdr *received)
{
    int *const places[MESSAGE_DESCRIPTORS] = {&message->launch.input, &message->launch.output,
                                              &message->launch.errors};
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(received); c; c = CMSG_NXTHDR(received, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
            assert(count < MESSAGE_DESCRIPTORS);
            memcpy(places[count++], CMSG_DATA(c) + at, sizeof(int));
        }
    }
    return count;
}

/* A socket, if it is one, must be local: closing the last copy of another may
 * wait as long as its owner pleases (SO_LINGER), and the parent never waits.
 * defuse() undoes that for the ones that came all the same. */
static bool is_harmless(int descriptor)
{
    int domain;
    socklen_t size = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0)
        return errno == ENOTSOCK;
    return domain == AF_UNIX;
}

static bool are_harmless(const struct message *message, struct error *error)
{
    const struct launch *launch = &message->launch;
    if (is_harmless(launch->input) && is_harmless(launch->output) && is_harmless(launch->errors))
        return true;
    return bad(error, "a descriptor that a program is not given");
}

static void defuse(const struct message *message)
{
    const int all[] = {message->launch.input, message->launch.output, message->launch.errors};
    const struct linger none = {0};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i] >= 0)
            (void)setsockopt(all[i], SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
}

/* What is a header alone; MESSAGE_NONE for anything else. */
static enum message_result read_short(struct message *message, size_t length, size_t descriptors)
{
    struct message_header header;
    if (length != sizeof header || descriptors > 0)
        return MESSAGE_NONE;
    memcpy(&header, message->buffer, sizeof header);
    message->run = header.run;
    if (header.program != 0 || header.script != 0 || header.script_name != 0 || header.environment != 0)
        return MESSAGE_NONE;
    if (header.version == MESSAGE_READY_VERSION && header.run == 0)
        return MESSAGE_READY;
    return header.version == MESSAGE_STOP_VERSION ? MESSAGE_STOP : MESSAGE_NONE;
}

static enum message_result judge(struct message *message, size_t length, size_t count, int flags,
                                 struct error *error)
{
    if (flags & MSG_TRUNC)
        return bad(error, "a message that is too long"), MESSAGE_BAD;
    enum message_result result = read_short(message, length, count);
    if (result != MESSAGE_NONE)
        return result;
    if (!message_parse(message, length, error))
        return MESSAGE_BAD;
    /* Cut off with fewer than were asked for: we had no room for more. With all
     * of them there: more were sent. */
    if ((flags & MSG_CTRUNC) && count < MESSAGE_DESCRIPTORS)
        return MESSAGE_STARVED;
    if ((flags & MSG_CTRUNC) || count != MESSAGE_DESCRIPTORS)
        return bad(error, "not the three descriptors"), MESSAGE_BAD;
    return are_harmless(message, error) ? MESSAGE_LAUNCH : MESSAGE_BAD;
}

enum message_result message_receive(int socket, struct message *message, struct error *error)
{
    union control control;
    struct iovec whole = {.iov_base = message->buffer, .iov_len = sizeof message->buffer};
    struct msghdr received = {.msg_iov = &whole,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              /* Without the padding, into which one more would fit. */
                              .msg_controllen = CMSG_LEN(MESSAGE_DESCRIPTORS * sizeof(int))};
    message->launch.input = message->launch.output = message->launch.errors = -1;
    message->length = 0;
    ssize_t length = recvmsg(socket, &received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? MESSAGE_NONE : MESSAGE_END;
    message->length = (size_t)length;
    size_t count = take_descriptors(message, &received);
    if (length == 0 && count == 0)
        return MESSAGE_END;
    enum message_result result = judge(message, (size_t)length, count, received.msg_flags, error);
    if (result != MESSAGE_LAUNCH && count > 0)
        defuse(message);
    return result;
}

static void close_one(int *descriptor)
{
    if (*descriptor >= 0)
        (void)close(*descriptor);
    *descriptor = -1;
}

void message_wipe(struct message *message)
{
    explicit_bzero(message->buffer, message->length);
    message->length = 0;
}

void message_close(struct message *message)
{
    close_one(&message->launch.input);
    close_one(&message->launch.output);
    close_one(&message->launch.errors);
}
