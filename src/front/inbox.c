/*
 * What comes in on a FastCGI connection, record by record (FastCGI
 * specification, 3). One request at a time: the bytes behind a request are only
 * looked at when it has been answered and its body has been read to the end, so
 * no part of a body can ever be taken for a record.
 */
#include "config.h"

#include <errno.h>
#include <sys/socket.h>

#include "front/intake.h"

enum {
    ANSWERS_LIMIT = INTAKE_OUT_SIZE / 2, /* bytes that may be pending when the peer asks for more */
};

/* The peer does not speak FastCGI, or not as the specification says. */
static void break_off(struct intake *intake)
{
    intake->broken = true;
    intake->raw_start = intake->raw_end;
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
    } else if (role != ROLE_RESPONDER && !(role == ROLE_AUTHORIZER && intake->limits->authorizer)) {
        /* Its other records belong to no request and are passed over (3.3). */
        refuse_request(intake, intake->record.id, END_UNKNOWN_ROLE);
        if (!(intake->values[2] & RECORD_KEEP_CONNECTION))
            break_off(intake);
    } else {
        intake->id = intake->record.id;
        intake->authorizer = role == ROLE_AUTHORIZER;
        intake->keep = intake->values[2] & RECORD_KEEP_CONNECTION;
    }
}

/* An authorizer gets no STDIN (6.3). One that comes all the same is behind the
 * request, where records of no request are passed over. */
static void end_params(struct intake *intake)
{
    intake->params_done = true;
    intake->stdin_done = intake->authorizer;
}

/* False when the question is malformed. */
static bool answer_values(struct intake *intake)
{
    const struct connection_limits *limits = intake->limits;
    struct text content = {(const char *)intake->values, intake->values_length}, status = {0};
    struct arena *arena = arena_new();
    if (record_asks(content, TEXT(RECORD_STATUS)))
        status = limits->tell_status(limits->teller, arena);
    unsigned char *answer = arena_alloc(arena, RECORD_VALUES_SIZE + status.length);
    size_t length = record_values(content, limits->connections, status, answer);
    if (length > 0)
        answer_peer(intake, answer, length);
    arena_free(arena);
    return length > 0;
}

static void answer_management(struct intake *intake)
{
    unsigned char answer[RECORD_HEADER_SIZE + 8] = {0};
    if (intake->record.type == RECORD_GET_VALUES) {
        if (!answer_values(intake))
            break_off(intake);
        return;
    }
    record_write(answer, RECORD_UNKNOWN_TYPE, 0, 8, 0);
    answer[RECORD_HEADER_SIZE] = (unsigned char)intake->record.type;
    answer_peer(intake, answer, sizeof answer);
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
        end_params(intake);
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
        intake_add_to_head(intake, at, length);
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

bool inbox_has_ended(const struct intake *intake)
{
    return intake->stdin_done && intake->padding_left == 0;
}

void inbox_parse(struct intake *intake)
{
    while (!intake->broken && intake->raw_start < intake->raw_end && !inbox_has_ended(intake)) {
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

bool inbox_fill(struct intake *intake)
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
        inbox_parse(intake);
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

ssize_t inbox_receive(struct channel *channel, void *to, size_t size)
{
    struct intake *intake = (struct intake *)channel;
    bool more = true;
    while (intake->body_start == intake->body_end && !intake->stdin_done && !channel->gone &&
           !intake->broken && more)
        more = inbox_fill(intake);
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
