/*
 * The front for one exchange by plain CGI (RFC 3875): parameters from the
 * environment, the body from standard input, the reply to standard output.
 */
#include "config.h"

#include "front/cgi.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "front/serve.h"

extern char **environ;

enum { OUT_SIZE = 256 * 1024, OUT_LIMIT = 64 * 1024, DISCARD_SIZE = 16 * 1024 };

struct cgi_channel {
    struct channel channel; /* first: a channel is its cgi_channel */
    uint64_t left;          /* of the body; UINT64_MAX: to the end of the file */
    uint64_t write_timeout;
    bool aborted;
    size_t start, end;
    char out[OUT_SIZE];
};

static struct cgi_channel cgi_only; /* where a signal handler finds it */

/* The web server wants no more: the client has gone, or had to wait too long.
 * What the handler started must end, too, and the log line must be written. */
static void give_up(int number)
{
    (void)number;
    *(volatile bool *)&cgi_only.channel.gone = true;
}

static void take_signals(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    struct sigaction action = {.sa_handler = give_up};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

static int poll_limit(uint64_t milliseconds)
{
    return milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;
}

static int poll_one(int descriptor, short events, uint64_t milliseconds)
{
    struct pollfd item = {.fd = descriptor, .events = events};
    return poll(&item, 1, poll_limit(milliseconds));
}

static ssize_t cgi_receive(struct channel *channel, void *to, size_t size)
{
    struct cgi_channel *cgi = (struct cgi_channel *)channel;
    if (channel->gone) {
        errno = ECONNABORTED;
        return -1;
    }
    if (cgi->left == 0)
        return 0;
    if (poll_one(channel->input, POLLIN, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t length = read(channel->input, to, size < cgi->left ? size : (size_t)cgi->left);
    if (length < 0 && errno == EINTR)
        errno = EAGAIN;
    if (length < 0 && errno != EAGAIN)
        errno = ECONNABORTED;
    if (length <= 0 && cgi->left == UINT64_MAX)
        return length;
    if (length == 0) { /* shorter than CONTENT_LENGTH: the client is gone */
        errno = ECONNABORTED;
        return -1;
    }
    if (length > 0 && cgi->left != UINT64_MAX)
        cgi->left -= (uint64_t)length;
    return length;
}

static bool cgi_flush(struct channel *channel)
{
    struct cgi_channel *cgi = (struct cgi_channel *)channel;
    while (cgi->start < cgi->end && !channel->gone) {
        ssize_t length = write(channel->output, cgi->out + cgi->start, cgi->end - cgi->start);
        if (length > 0)
            cgi->start += (size_t)length;
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            channel->gone = true;
    }
    if (cgi->start == cgi->end)
        cgi->start = cgi->end = 0;
    return !channel->gone;
}

/* Waits until at most `most` bytes are pending. */
static bool drain_to(struct cgi_channel *cgi, size_t most)
{
    struct channel *channel = &cgi->channel;
    while (cgi_flush(channel) && cgi->end - cgi->start > most) {
        int ready = poll_one(channel->output, POLLOUT, cgi->write_timeout);
        if (ready == 0 || (ready < 0 && errno != EINTR))
            channel->gone = true;
    }
    return !channel->gone;
}

static bool cgi_send(struct channel *channel, struct text data)
{
    struct cgi_channel *cgi = (struct cgi_channel *)channel;
    while (data.length > 0) {
        if (cgi->end == OUT_SIZE) {
            if (!drain_to(cgi, OUT_SIZE / 2))
                return false;
            memmove(cgi->out, cgi->out + cgi->start, cgi->end - cgi->start);
            cgi->end -= cgi->start;
            cgi->start = 0;
        }
        size_t room = OUT_SIZE - cgi->end;
        size_t piece = data.length < room ? data.length : room;
        memcpy(cgi->out + cgi->end, data.at, piece);
        cgi->end += piece;
        data = text_from(data, piece);
    }
    return !channel->gone;
}

static uint64_t cgi_pending(const struct channel *channel)
{
    const struct cgi_channel *cgi = (const struct cgi_channel *)channel;
    return cgi->end - cgi->start;
}

/* Reads and drops what is left of the body, if there is some. */
static void discard(struct cgi_channel *cgi, uint64_t *discarded)
{
    char sink[DISCARD_SIZE];
    ssize_t length = cgi_receive(&cgi->channel, sink, sizeof sink);
    if (length > 0)
        *discarded += (uint64_t)length;
    if (length == 0 || (length < 0 && errno != EAGAIN) || *discarded > CHANNEL_DISCARD_LIMIT)
        cgi->left = 0;
}

/* Some servers send all of a body before they read the reply, and lose it if
 * this end closes with a part of the body unread. The end of the reply is this
 * process's own end, since some kill it as soon as they have seen the former. */
static void cgi_finish(struct channel *channel)
{
    struct cgi_channel *cgi = (struct cgi_channel *)channel;
    uint64_t discarded = 0;
    while (cgi_flush(channel) && (cgi->end > cgi->start || cgi->left > 0)) {
        struct pollfd items[] = {{.fd = cgi->left > 0 ? channel->input : -1, .events = POLLIN},
                                 {.fd = cgi->end > cgi->start ? channel->output : -1, .events = POLLOUT}};
        int ready = poll(items, 2, poll_limit(cgi->write_timeout));
        if (ready == 0 || (ready < 0 && errno != EINTR))
            break;
        if (items[0].revents)
            discard(cgi, &discarded);
    }
}

/* Plain CGI has no way to say that a reply broke off, but to fail. */
static void cgi_abort(struct channel *channel)
{
    struct cgi_channel *cgi = (struct cgi_channel *)channel;
    cgi->aborted = true;
    cgi_finish(channel);
}

static struct params environment_params(struct arena *arena)
{
    size_t count = 0;
    while (environ[count])
        count++;
    struct params params = {.items = arena_array(arena, count, sizeof *params.items)};
    for (size_t i = 0; i < count; i++) {
        struct text entry = text_of(environ[i]);
        size_t equals = text_find(entry, '=');
        if (equals < entry.length)
            params.items[params.count++] = (struct param){{entry.at, equals}, text_from(entry, equals + 1)};
    }
    return params;
}

/* RFC 3875, 4.1.2 and 4.2: no more than CONTENT_LENGTH may be read. Without
 * one there is a body only where the server says it was chunked. */
static uint64_t body_left(void)
{
    const char *length = getenv("CONTENT_LENGTH");
    uint64_t number;
    if (length && text_number(text_of(length), INT64_MAX, &number))
        return number;
    return getenv("HTTP_TRANSFER_ENCODING") ? UINT64_MAX : 0;
}

bool cgi_is_wanted(void)
{
    int listening = 0;
    socklen_t size = sizeof listening;
    return getenv("GATEWAY_INTERFACE") &&
           !(getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening);
}

int cgi_serve(const struct policy *policy, struct launcher *launcher)
{
    struct cgi_channel *cgi = &cgi_only;
    struct arena *arena = arena_new();
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (flags >= 0)
        fcntl(STDOUT_FILENO, F_SETFL, flags | O_NONBLOCK);
    *cgi = (struct cgi_channel){
        .channel = {.input = STDIN_FILENO,
                    .output = STDOUT_FILENO,
                    .half_closes = true,
                    .receive = cgi_receive,
                    .send = cgi_send,
                    .flush = cgi_flush,
                    .pending = cgi_pending,
                    .pending_limit = OUT_LIMIT,
                    .finish = cgi_finish,
                    .abort = cgi_abort},
        .left = body_left(),
        .write_timeout = policy->server.timeouts.write,
    };
    struct exchange exchange = {.arena = arena,
                                .channel = &cgi->channel,
                                .started = clock_microseconds(),
                                .launcher = launcher,
                                .single = true,
                                .spool_folder = policy->server.spool,
                                .read_timeout = policy->server.timeouts.read,
                                .write_timeout = policy->server.timeouts.write};
    cgi->channel.body_length = cgi->left == UINT64_MAX ? -1 : (int64_t)cgi->left;
    take_signals();
    struct params params = environment_params(arena);
    serve_exchange(policy, &exchange, &params);
    arena_free(arena);
    return cgi->aborted || cgi->channel.gone ? 1 : 0;
}
