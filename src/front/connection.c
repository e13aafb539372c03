/*
 * What comes in on a FastCGI connection, record by record (FastCGI
 * specification, 3), and what becomes of the connection after a reply. One
 * request at a time: the bytes behind a request are only looked at when it has
 * been answered and its body has been read to the end, so no part of a body
 * can ever be taken for a record.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front/intake.h"

enum {
    HEAD_KEPT = 64 * 1024, /* a larger head buffer is not kept for the next request */
    READS_LIMIT = 16,      /* at a time: a peer that never stops sending must not keep a thread */
    ANSWERS_LIMIT = INTAKE_OUT_SIZE / 2, /* bytes that may be pending when the peer asks for more */
};

static ssize_t intake_receive(struct channel *channel, void *to, size_t size);

static void fatal_memory(void)
{
    static const char message[] = "fcgiguard: out of memory\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
        _exit(1);
    _exit(1);
}

static void begin_intake(struct intake *intake, const struct connection_limits *limits)
{
    intake->limits = limits;
    intake->id = 0;
    intake->keep = intake->params_done = intake->stdin_done = intake->head_too_large = false;
    intake->discard = intake->broken = intake->begun = intake->finished = intake->aborted = false;
    intake->channel.holds = false;
    intake->discarded = 0;
    if (intake->head)
        explicit_bzero(intake->head, intake->head_length); /* it held credentials */
    intake->head_length = 0;
    intake->channel.gone = false;
    intake->channel.pending_limit = limits->reply_spool;
}

static struct intake *take_intake(struct connection *connection, const struct connection_limits *limits,
                                  struct intake **spare)
{
    struct intake *intake = *spare;
    *spare = NULL;
    if (!intake) {
        /* The buffers need not be cleared. */
        intake = malloc(sizeof *intake);
        if (!intake)
            fatal_memory();
        memset(intake, 0, offsetof(struct intake, in));
        intake->arena = arena_new();
        intake->spool.file = -1;
    }
    intake->connection = connection;
    intake->descriptor = connection->descriptor;
    intake->channel.input = intake->channel.output = connection->descriptor;
    intake->channel.receive = intake_receive;
    intake->channel.send = outbox_send;
    intake->channel.flush = outbox_flush;
    intake->channel.pending = outbox_pending;
    intake->channel.finish = outbox_finish;
    intake->channel.abort = outbox_abort;
    intake->header_length = intake->content_left = intake->padding_left = 0;
    intake->body_start = intake->body_end = intake->raw_start = intake->raw_end = 0;
    intake->out_start = intake->out_end = 0;
    intake->open_record = SIZE_MAX;
    begin_intake(intake, limits);
    outbox_open(intake);
    return intake;
}

/* Requests hold credentials. */
static void wipe(struct intake *intake)
{
    explicit_bzero(intake->in, intake->in_used);
    intake->in_used = 0;
    if (intake->head)
        explicit_bzero(intake->head, intake->head_length);
    intake->head_length = 0;
}

void intake_free(struct intake *intake)
{
    if (!intake)
        return;
    spool_close(&intake->spool);
    arena_free(intake->arena);
    wipe(intake);
    free(intake->head);
    free(intake);
}

static void release_intake(struct connection *connection, struct intake **spare)
{
    struct intake *intake = connection->intake;
    connection->intake = NULL;
    if (!intake)
        return;
    if (*spare || intake->head_capacity > HEAD_KEPT) {
        intake_free(intake);
        return;
    }
    wipe(intake);
    /* A spool that was used may be large, and its file is on a disk. */
    spool_close(&intake->spool);
    *spare = intake;
}

/* The peer does not speak FastCGI, or not as the specification says. */
static void break_off(struct intake *intake)
{
    intake->broken = true;
    intake->raw_start = intake->raw_end;
}

static void add_to_head(struct intake *intake, const unsigned char *at, size_t length)
{
    if (intake->head_too_large || length > intake->limits->head - intake->head_length) {
        intake->head_too_large = true;
        return;
    }
    if (intake->head_length + length > intake->head_capacity) {
        size_t capacity = intake->head_capacity ? intake->head_capacity : INTAKE_HEAD_SIZE;
        while (capacity < intake->head_length + length)
            capacity *= 2;
        /* Not realloc(): the old block may hold credentials. */
        char *larger = malloc(capacity);
        if (!larger)
            fatal_memory();
        if (intake->head) {
            memcpy(larger, intake->head, intake->head_length);
            explicit_bzero(intake->head, intake->head_length);
            free(intake->head);
        }
        intake->head = larger;
        intake->head_capacity = capacity;
    }
    memcpy(intake->head + intake->head_length, at, length);
    intake->head_length += length;
}

static bool is_management(const struct record *record)
{
    return record->id == 0;
}

static bool is_ours(const struct intake *intake)
{
    return intake->id != 0 && intake->record.id == intake->id;
}

/* What a record's header alone decides. */
static void begin_record(struct intake *intake)
{
    const struct record *record = &intake->record;
    intake->content_left = record->content;
    intake->padding_left = record->padding;
    intake->values_length = 0;
    if (record->version != 1)
        break_off(intake);
    else if (is_management(record) && record->content > INTAKE_VALUES_SIZE)
        break_off(intake);
    else if (record->type == RECORD_BEGIN_REQUEST && (record->content != 8 || is_ours(intake)))
        break_off(intake);
    else if (is_ours(intake) && record->type == RECORD_PARAMS && intake->params_done)
        break_off(intake);
    else if (is_ours(intake) && record->type == RECORD_STDIN && (!intake->params_done || intake->stdin_done))
        break_off(intake);
    else if (is_ours(intake) && record->type != RECORD_PARAMS && record->type != RECORD_STDIN &&
             record->type != RECORD_ABORT_REQUEST)
        break_off(intake);
}

/* Whoever asks again and again must read the answers: nothing is kept aside for them. */
static void answer_peer(struct intake *intake, const unsigned char *record, size_t length)
{
    if (outbox_pending(&intake->channel) > ANSWERS_LIMIT)
        outbox_flush(&intake->channel);
    if (outbox_pending(&intake->channel) > ANSWERS_LIMIT)
        break_off(intake);
    else
        outbox_record(intake, record, length);
}

static void refuse_request(struct intake *intake, unsigned id, unsigned status)
{
    unsigned char end[RECORD_END_SIZE];
    record_write_end(end, id, status);
    answer_peer(intake, end, sizeof end);
}

static void begin_request(struct intake *intake)
{
    unsigned role = (unsigned)intake->values[0] << 8 | intake->values[1];
    if (intake->id != 0) {
        refuse_request(intake, intake->record.id, END_CANT_MULTIPLEX);
    } else if (role != ROLE_RESPONDER) {
        /* Its other records belong to no request and are passed over (3.3). */
        refuse_request(intake, intake->record.id, END_UNKNOWN_ROLE);
        if (!(intake->values[2] & RECORD_KEEP_CONNECTION))
            break_off(intake);
    } else {
        intake->id = intake->record.id;
        intake->keep = intake->values[2] & RECORD_KEEP_CONNECTION;
    }
}

static void answer_management(struct intake *intake)
{
    unsigned char answer[RECORD_VALUES_SIZE] = {0};
    size_t length = 0;
    if (intake->record.type == RECORD_GET_VALUES) {
        struct text content = {(const char *)intake->values, intake->values_length};
        length = record_values(content, intake->limits->connections, answer);
    } else {
        record_write(answer, RECORD_UNKNOWN_TYPE, 0, 8, 0);
        answer[RECORD_HEADER_SIZE] = (unsigned char)intake->record.type;
        length = RECORD_HEADER_SIZE + 8;
    }
    if (length == 0)
        break_off(intake);
    else
        answer_peer(intake, answer, length);
}

/* What a record means once all of its content is there. */
static void end_record(struct intake *intake)
{
    const struct record *record = &intake->record;
    if (is_management(record))
        answer_management(intake);
    else if (record->type == RECORD_BEGIN_REQUEST)
        begin_request(intake);
    else if (!is_ours(intake))
        return;
    else if (record->type == RECORD_PARAMS && record->content == 0)
        intake->params_done = true;
    else if (record->type == RECORD_STDIN && record->content == 0)
        intake->stdin_done = true;
    else if (record->type == RECORD_ABORT_REQUEST)
        intake->channel.gone = true;
}

static void take_content(struct intake *intake)
{
    size_t length = intake->raw_end - intake->raw_start;
    if (length > intake->content_left)
        length = intake->content_left;
    const unsigned char *at = intake->in + intake->raw_start;
    if (is_management(&intake->record) || intake->record.type == RECORD_BEGIN_REQUEST) {
        memcpy(intake->values + intake->values_length, at, length);
        intake->values_length += length;
    } else if (is_ours(intake) && intake->record.type == RECORD_PARAMS) {
        add_to_head(intake, at, length);
    } else if (is_ours(intake) && intake->record.type == RECORD_STDIN && !intake->discard) {
        /* Down to the body that is there already: the header's room is free. */
        memmove(intake->in + intake->body_end, at, length);
        intake->body_end += length;
    } else {
        intake->discarded += length;
    }
    intake->raw_start += length;
    intake->content_left -= length;
    if (intake->discarded > CHANNEL_DISCARD_LIMIT)
        break_off(intake);
}

static void take_header(struct intake *intake)
{
    while (intake->header_length < RECORD_HEADER_SIZE && intake->raw_start < intake->raw_end)
        intake->header[intake->header_length++] = intake->in[intake->raw_start++];
    if (intake->header_length < RECORD_HEADER_SIZE)
        return;
    intake->record = record_read(intake->header);
    begin_record(intake);
    if (!intake->broken && intake->content_left == 0)
        end_record(intake);
}

static bool request_has_ended(const struct intake *intake)
{
    return intake->stdin_done && intake->padding_left == 0;
}

/* Reads the records in the buffer, up to the end of the request at most. */
static void parse(struct intake *intake)
{
    while (!intake->broken && intake->raw_start < intake->raw_end && !request_has_ended(intake)) {
        if (intake->header_length < RECORD_HEADER_SIZE) {
            take_header(intake);
        } else if (intake->content_left > 0) {
            take_content(intake);
            if (intake->content_left == 0)
                end_record(intake);
        } else {
            size_t length = intake->raw_end - intake->raw_start;
            if (length > intake->padding_left)
                length = intake->padding_left;
            intake->raw_start += length;
            intake->padding_left -= length;
        }
        if (intake->header_length == RECORD_HEADER_SIZE && intake->content_left == 0 &&
            intake->padding_left == 0)
            intake->header_length = 0;
    }
}

static size_t make_room(struct intake *intake)
{
    if (intake->body_start == intake->body_end)
        intake->body_start = intake->body_end = 0;
    if (intake->raw_start == intake->raw_end)
        intake->raw_start = intake->raw_end = intake->body_end;
    return INTAKE_IN_SIZE - intake->raw_end;
}

/* One read from the socket; false when nothing came (errno EAGAIN) or nothing
 * more will come (broken). */
static bool fill(struct intake *intake)
{
    size_t room = make_room(intake);
    intake->connection->may_have_more = true;
    if (room == 0) {
        errno = EAGAIN;
        return false;
    }
    ssize_t length;
    do
        length = recv(intake->descriptor, intake->in + intake->raw_end, room, MSG_DONTWAIT);
    while (length < 0 && errno == EINTR);
    intake->connection->may_have_more =
        length == (ssize_t)room || (length > 0 && intake->connection->hung_up);
    if (length > 0) {
        intake->raw_end += (size_t)length;
        if (intake->in_used < intake->raw_end)
            intake->in_used = intake->raw_end;
        parse(intake);
        return true;
    }
    if (length < 0 && errno == EAGAIN)
        return false;
    intake->broken = true;
    return false;
}

/* Whether the next record takes the request back (5.4). It stays unread. */
static void look_for_abort(struct intake *intake)
{
    unsigned char header[RECORD_HEADER_SIZE];
    if (intake->raw_start < intake->raw_end ||
        recv(intake->descriptor, header, sizeof header, MSG_PEEK | MSG_DONTWAIT) != sizeof header)
        return;
    struct record record = record_read(header);
    if (record.version == 1 && record.type == RECORD_ABORT_REQUEST && record.id == intake->id)
        intake->channel.gone = true;
}

static ssize_t intake_receive(struct channel *channel, void *to, size_t size)
{
    struct intake *intake = (struct intake *)channel;
    bool more = true;
    while (intake->body_start == intake->body_end && !intake->stdin_done && !channel->gone &&
           !intake->broken && more)
        more = fill(intake);
    size_t length = intake->body_end - intake->body_start;
    if (length > 0) {
        length = length < size ? length : size;
        memcpy(to, intake->in + intake->body_start, length);
        intake->body_start += length;
        return (ssize_t)length;
    }
    if (intake->stdin_done && channel->holds)
        outbox_flush(channel); /* what was held back for the body's sake */
    if (intake->stdin_done)
        look_for_abort(intake);
    if (intake->stdin_done && !channel->gone)
        return 0;
    if (more && intake->broken && !channel->gone)
        errno = EPROTO;
    else
        errno = channel->gone || intake->broken ? ECONNABORTED : EAGAIN;
    return -1;
}

/* Whether so much of the request is here that a thread need not wait for it. */
static bool is_ready(const struct intake *intake)
{
    return intake->params_done && (intake->stdin_done || intake->raw_end == INTAKE_IN_SIZE);
}

static enum connection_step next_step(const struct intake *intake)
{
    bool pending = outbox_pending(&intake->channel) > 0;
    if (intake->channel.gone)
        return CONNECTION_CLOSE;
    if (intake->broken || intake->aborted)
        return pending ? CONNECTION_WRITE : CONNECTION_CLOSE;
    if (intake->head_too_large && !intake->discard)
        return CONNECTION_TOO_LARGE;
    if (!intake->discard && is_ready(intake))
        return CONNECTION_READY;
    return pending ? CONNECTION_WRITE : CONNECTION_READ;
}

/* The next step; a connection that holds nothing gives its intake back. */
static enum connection_step rest(struct connection *connection, struct intake **spare)
{
    struct intake *intake = connection->intake;
    enum connection_step step = next_step(intake);
    if (step == CONNECTION_READ && intake->id == 0 && intake->header_length == 0)
        release_intake(connection, spare);
    return step;
}

/* The request is behind us, its reply sent and its body read: on to the next. */
static enum connection_step turn_over(struct connection *connection, const struct connection_limits *limits,
                                      struct intake **spare)
{
    struct intake *intake = connection->intake;
    if (!intake->keep)
        return CONNECTION_CLOSE;
    begin_intake(intake, limits);
    parse(intake);
    outbox_flush(&intake->channel);
    return rest(connection, spare);
}

static bool is_behind(const struct intake *intake)
{
    return intake->discard && request_has_ended(intake) && !intake->broken && !intake->aborted &&
           !intake->channel.gone && outbox_pending(&intake->channel) == 0;
}

static bool wants_more(const struct intake *intake)
{
    if (intake->broken || intake->channel.gone || request_has_ended(intake))
        return false;
    return intake->discard || (!is_ready(intake) && !intake->head_too_large);
}

enum connection_step connection_advance(struct connection *connection, const struct connection_limits *limits,
                                        struct intake **spare)
{
    if (!connection->intake)
        connection->intake = take_intake(connection, limits, spare);
    struct intake *intake = connection->intake;
    for (size_t reads = 0; reads < READS_LIMIT && wants_more(intake) && fill(intake); reads++)
        continue;
    /* Once: what this sends decides whether the request is behind us. */
    outbox_flush(&intake->channel);
    return is_behind(intake) ? turn_over(connection, limits, spare) : rest(connection, spare);
}

enum connection_step connection_settle(struct connection *connection, const struct connection_limits *limits,
                                       struct intake **spare)
{
    struct intake *intake = connection->intake;
    arena_reset(intake->arena);
    intake->discard = true;
    intake->keep = intake->keep && !intake->head_too_large;
    intake->body_start = intake->body_end;
    parse(intake);
    return connection_advance(connection, limits, spare);
}

void connection_shut(struct connection *connection)
{
    connection->retired = true;
    shutdown(connection->descriptor, SHUT_RD);
}

static bool has_input(const struct connection *connection)
{
    char byte;
    return recv(connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool connection_retire(struct connection *connection)
{
    if (has_input(connection)) /* and the rest of it must get through as well */
        return false;
    connection_shut(connection);
    return !has_input(connection);
}

bool connection_awaits_reply(const struct connection *connection)
{
    const struct intake *intake = connection->intake;
    return intake && intake->id != 0 && !intake->discard && !intake->broken;
}

bool connection_is_complete(const struct connection *connection)
{
    return connection->intake && connection->intake->stdin_done;
}

bool connection_takes_input(const struct connection *connection)
{
    const struct intake *intake = connection->intake;
    return !intake || !(intake->broken || intake->aborted || request_has_ended(intake));
}

bool connection_is_abandoned(const struct connection *connection)
{
    char byte;
    return !connection->retired && recv(connection->descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

bool connection_is_idle(const struct connection *connection)
{
    return connection->intake == NULL;
}

void connection_close(struct connection *connection, struct intake **spare)
{
    release_intake(connection, spare);
    close(connection->descriptor);
    connection->descriptor = -1;
}

struct channel *connection_channel(struct connection *connection)
{
    struct intake *intake = connection->intake;
    intake->channel.half_closes = connection->retired; /* its end is our doing, and no sign that it is gone */
    intake->channel.body_length = intake->stdin_done ? (int64_t)(intake->body_end - intake->body_start) : -1;
    return &intake->channel;
}

struct arena *connection_arena(struct connection *connection)
{
    return connection->intake->arena;
}

bool connection_params(struct connection *connection, size_t limit, struct params *params)
{
    struct intake *intake = connection->intake;
    struct text head = {intake->head, intake->head_length};
    return record_params(head, limit, intake->arena, params);
}
