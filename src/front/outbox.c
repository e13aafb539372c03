/*
 * What goes out on a FastCGI connection: STDOUT records, gathered so that a
 * small reply is one system call, and kept aside in a spool when the web
 * server reads more slowly than the handler writes.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "front/intake.h"

enum { SPOOL_PIECE = 16 * 1024, SPOOL_MEMORY = 64 * 1024, DIRECT_SIZE = 32 * 1024 };

static uint64_t spooled(const struct intake *intake)
{
    return intake->spool.length - intake->spool.read;
}

void outbox_open(struct intake *intake)
{
    /* What is relayed while the limit is being noticed must fit as well. */
    intake->spool =
        spool_new(SPOOL_MEMORY, intake->limits->reply_spool + 4 * INTAKE_OUT_SIZE, intake->limits->folder);
    intake->spool_broken = intake->limits->reply_spool == 0;
}

/* Completes the header of the record that is being filled. */
static void seal(struct intake *intake)
{
    if (intake->open_record == SIZE_MAX)
        return;
    size_t content = intake->out_end - intake->open_record - RECORD_HEADER_SIZE;
    record_write(intake->out + intake->open_record, RECORD_STDOUT, intake->id, content, 0);
    intake->open_record = SIZE_MAX;
}

/* Bytes sent, 0 when the socket is full; -1 when the client is gone. */
static ssize_t transmit(struct intake *intake, struct iovec *pieces, size_t count)
{
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    ssize_t sent;
    do
        sent = sendmsg(intake->descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    intake->channel.gone = true;
    return -1;
}

/* True when nothing is left in the spool. */
static bool flush_spool(struct intake *intake)
{
    char piece[SPOOL_PIECE];
    while (spooled(intake) > 0) {
        ssize_t length = spool_read(&intake->spool, piece, sizeof piece);
        if (length <= 0) {
            intake->channel.gone = true; /* what is lost cannot be sent: the reply is broken */
            return false;
        }
        struct iovec all = {piece, (size_t)length};
        ssize_t sent = transmit(intake, &all, 1);
        if (sent < length)
            intake->spool.read -= (uint64_t)(length - (sent > 0 ? sent : 0));
        if (sent < length)
            return false;
    }
    if (intake->spool.length > 0) {
        spool_close(&intake->spool);
        outbox_open(intake);
    }
    return true;
}

/* nginx stops sending a body once it has seen the head of a reply, and a
 * program that writes before it reads would wait for the rest for ever. So a
 * reply is held back until the body is in, as long as there is room for it. */
static bool hold(struct intake *intake)
{
    intake->channel.holds = intake->begun && !intake->finished && !intake->stdin_done && !intake->broken &&
                            !intake->channel.gone && !intake->spool_broken &&
                            outbox_pending(&intake->channel) <= intake->channel.pending_limit;
    return intake->channel.holds;
}

bool outbox_flush(struct channel *channel)
{
    struct intake *intake = (struct intake *)channel;
    seal(intake);
    if (hold(intake))
        return true;
    while (!channel->gone && flush_spool(intake) && intake->out_start < intake->out_end) {
        struct iovec all = {intake->out + intake->out_start, intake->out_end - intake->out_start};
        ssize_t sent = transmit(intake, &all, 1);
        if (sent <= 0)
            break;
        intake->out_start += (size_t)sent;
    }
    if (intake->out_start == intake->out_end)
        intake->out_start = intake->out_end = 0;
    return !channel->gone;
}

uint64_t outbox_pending(const struct channel *channel)
{
    const struct intake *intake = (const struct intake *)channel;
    return spooled(intake) + (intake->out_end - intake->out_start);
}

/* Last resort, when nothing more can be kept aside: waits for the client. */
static void wait_for_room(struct intake *intake)
{
    struct pollfd client = {.fd = intake->descriptor, .events = POLLOUT};
    uint64_t before = outbox_pending(&intake->channel);
    int timeout = intake->limits->write_timeout > INT32_MAX ? INT32_MAX : (int)intake->limits->write_timeout;
    while (!intake->channel.gone && outbox_pending(&intake->channel) == before) {
        int ready = poll(&client, 1, timeout);
        if (ready == 0 || (ready < 0 && errno != EINTR))
            intake->channel.gone = true;
        else
            outbox_flush(&intake->channel);
    }
}

/* Makes room for `size` bytes (of at most half the buffer): sends, else spools, else waits. */
static bool make_room(struct intake *intake, size_t size)
{
    while (!intake->channel.gone && INTAKE_OUT_SIZE - intake->out_end < size) {
        outbox_flush(&intake->channel);
        size_t length = intake->out_end - intake->out_start;
        if (INTAKE_OUT_SIZE - intake->out_end >= size || intake->channel.gone)
            break;
        struct error error = {0};
        if (!intake->spool_broken &&
            spool_write(&intake->spool, intake->out + intake->out_start, length, &error)) {
            intake->out_start = intake->out_end = 0;
        } else if (intake->out_start >= INTAKE_OUT_SIZE / 2) {
            memmove(intake->out, intake->out + intake->out_start, length);
            intake->out_start = 0;
            intake->out_end = length;
        } else {
            intake->spool_broken = true;
            wait_for_room(intake);
        }
    }
    return !intake->channel.gone;
}

void outbox_record(struct intake *intake, const unsigned char *record, size_t length)
{
    seal(intake);
    if (!make_room(intake, length))
        return;
    memcpy(intake->out + intake->out_end, record, length);
    intake->out_end += length;
}

static bool gather(struct intake *intake, struct text *data)
{
    if (intake->open_record == SIZE_MAX) {
        if (!make_room(intake, RECORD_HEADER_SIZE + 1))
            return false;
        intake->open_record = intake->out_end;
        intake->out_end += RECORD_HEADER_SIZE;
    }
    size_t content = intake->out_end - intake->open_record - RECORD_HEADER_SIZE;
    size_t room = INTAKE_OUT_SIZE - intake->out_end;
    if (room > RECORD_CONTENT_LIMIT - content)
        room = RECORD_CONTENT_LIMIT - content;
    size_t piece = data->length < room ? data->length : room;
    memcpy(intake->out + intake->out_end, data->at, piece);
    intake->out_end += piece;
    *data = text_from(*data, piece);
    if (piece == room)
        seal(intake);
    return true;
}

/* A large piece goes out from where it lies, as long as the client takes it;
 * what it did not take is left in `data`, inside an open record. */
static bool send_directly(struct intake *intake, struct text *data)
{
    seal(intake);
    if (!make_room(intake, RECORD_HEADER_SIZE))
        return false;
    if (spooled(intake) > 0) /* by now, and it goes first */
        return gather(intake, data);
    size_t content = data->length < RECORD_CONTENT_LIMIT ? data->length : RECORD_CONTENT_LIMIT;
    unsigned char *header = intake->out + intake->out_end;
    record_write(header, RECORD_STDOUT, intake->id, content, 0);
    intake->out_end += RECORD_HEADER_SIZE;
    size_t before = intake->out_end - intake->out_start;
    struct iovec pieces[] = {{intake->out + intake->out_start, before}, {(void *)data->at, content}};
    ssize_t sent = transmit(intake, pieces, 2);
    if (sent < 0)
        return false;
    size_t of_header = (size_t)sent < before ? (size_t)sent : before;
    size_t of_content = (size_t)sent - of_header;
    intake->out_start += of_header;
    if (intake->out_start == intake->out_end)
        intake->out_start = intake->out_end = 0;
    /* The rest of this record must follow its header at once. */
    struct text rest = {data->at + of_content, content - of_content};
    while (rest.length > 0) {
        size_t piece = rest.length < INTAKE_OUT_SIZE / 2 ? rest.length : INTAKE_OUT_SIZE / 2;
        if (!make_room(intake, piece))
            return false;
        memcpy(intake->out + intake->out_end, rest.at, piece);
        intake->out_end += piece;
        rest = text_from(rest, piece);
    }
    *data = text_from(*data, content);
    return true;
}

bool outbox_send(struct channel *channel, struct text data)
{
    struct intake *intake = (struct intake *)channel;
    intake->begun = true;
    bool held = hold(intake);
    while (data.length > 0 && !channel->gone)
        if (!(data.length >= DIRECT_SIZE && !held && spooled(intake) == 0 ? send_directly(intake, &data)
                                                                          : gather(intake, &data)))
            return false;
    return !channel->gone;
}

void outbox_finish(struct channel *channel)
{
    struct intake *intake = (struct intake *)channel;
    unsigned char end[RECORD_HEADER_SIZE + RECORD_END_SIZE];
    /* Before the peer can have read this reply and written its next request. */
    if (atomic_load(&intake->limits->stopping) && intake->stdin_done)
        connection_shut(intake->connection);
    record_write(end, RECORD_STDOUT, intake->id, 0, 0);
    record_write_end(end + RECORD_HEADER_SIZE, intake->id, END_COMPLETE);
    outbox_record(intake, end, sizeof end);
    intake->finished = true;
    outbox_flush(channel);
}

void outbox_abort(struct channel *channel)
{
    struct intake *intake = (struct intake *)channel;
    if (channel->counts) {
        unsigned char end[RECORD_END_SIZE];
        record_write_end(end, intake->id, END_COMPLETE);
        outbox_record(intake, end, sizeof end);
    }
    intake->aborted = intake->finished = true;
    outbox_flush(channel);
}
