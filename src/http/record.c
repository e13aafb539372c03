/*
 * FastCGI records as bytes. A length that a peer states is compared with what
 * is there before it is used, and never added to anything first. Which record
 * may follow which is the connection's business.
 */
#include "config.h"

#include <assert.h>
#include <stdio.h>

#include "base/arena.h"
#include "http/record.h"

struct record record_read(const unsigned char header[RECORD_HEADER_SIZE])
{
    return (struct record){
        .version = header[0],
        .type = header[1],
        .id = (unsigned)header[2] << 8 | header[3],
        .content = (size_t)header[4] << 8 | header[5],
        .padding = header[6],
    };
}

void record_write(unsigned char header[RECORD_HEADER_SIZE], unsigned type, unsigned id, size_t content,
                  size_t padding)
{
    assert(type <= 0xff && id <= 0xffff && content <= RECORD_CONTENT_LIMIT && padding <= 0xff);
    header[0] = 1;
    header[1] = (unsigned char)type;
    header[2] = (unsigned char)(id >> 8);
    header[3] = (unsigned char)(id & 0xff);
    header[4] = (unsigned char)(content >> 8);
    header[5] = (unsigned char)(content & 0xff);
    header[6] = (unsigned char)padding;
    header[7] = 0;
}

void record_write_end(unsigned char to[RECORD_END_SIZE], unsigned id, unsigned protocol_status)
{
    assert(protocol_status <= 0xff);
    memset(to, 0, RECORD_END_SIZE);
    record_write(to, RECORD_END_REQUEST, id, RECORD_END_SIZE - RECORD_HEADER_SIZE, 0);
    to[RECORD_HEADER_SIZE + 4] = (unsigned char)protocol_status;
}

void record_write_begin(unsigned char to[RECORD_BEGIN_SIZE], unsigned id, unsigned role, unsigned flags)
{
    assert(role <= 0xffff && flags <= 0xff);
    memset(to, 0, RECORD_BEGIN_SIZE);
    record_write(to, RECORD_BEGIN_REQUEST, id, RECORD_BEGIN_SIZE - RECORD_HEADER_SIZE, 0);
    to[RECORD_HEADER_SIZE] = (unsigned char)(role >> 8);
    to[RECORD_HEADER_SIZE + 1] = (unsigned char)(role & 0xff);
    to[RECORD_HEADER_SIZE + 2] = (unsigned char)flags;
}

struct record_end record_read_end(const unsigned char content[RECORD_END_CONTENT])
{
    return (struct record_end){
        .application_status = (uint32_t)content[0] << 24 | (uint32_t)content[1] << 16 |
                              (uint32_t)content[2] << 8 | (uint32_t)content[3],
        .protocol_status = content[4],
    };
}

enum { SHORT_LENGTH_MOST = 127 };

static size_t length_size(size_t length)
{
    return length <= SHORT_LENGTH_MOST ? 1 : 4;
}

static unsigned char *write_length(unsigned char *to, size_t length)
{
    assert(length <= INT32_MAX);
    if (length > SHORT_LENGTH_MOST) {
        *to++ = (unsigned char)(length >> 24 | 0x80);
        *to++ = (unsigned char)(length >> 16 & 0xff);
        *to++ = (unsigned char)(length >> 8 & 0xff);
    }
    *to++ = (unsigned char)(length & 0xff);
    return to;
}

static unsigned char *write_text(unsigned char *to, struct text text)
{
    if (text.length > 0)
        memcpy(to, text.at, text.length);
    return to + text.length;
}

size_t record_param_size(struct text name, struct text value)
{
    return length_size(name.length) + length_size(value.length) + name.length + value.length;
}

unsigned char *record_write_param(unsigned char *to, struct text name, struct text value)
{
    to = write_length(write_length(to, name.length), value.length);
    return write_text(write_text(to, name), value);
}

/* A length of one byte, or of four with the highest bit set (3.4). */
static bool take_length(struct text *rest, size_t *length)
{
    const unsigned char *at = (const unsigned char *)rest->at;
    if (rest->length < 1)
        return false;
    size_t size = at[0] & 0x80 ? 4 : 1;
    if (rest->length < size)
        return false;
    *length = at[0];
    if (size == 4)
        *length = (size_t)(at[0] & 0x7f) << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
    *rest = text_from(*rest, size);
    return true;
}

static bool take_text(struct text *rest, size_t length, struct text *piece)
{
    if (length > rest->length)
        return false;
    *piece = (struct text){rest->at, length};
    *rest = text_from(*rest, length);
    return true;
}

static bool take_param(struct text *rest, struct param *param)
{
    size_t name, value;
    return take_length(rest, &name) && take_length(rest, &value) && take_text(rest, name, &param->name) &&
           take_text(rest, value, &param->value);
}

/* How many pairs there are; false as record_params(). */
static bool count_params(struct text content, size_t limit, size_t *count)
{
    struct param param;
    for (*count = 0; content.length > 0; ++*count)
        if (*count == limit || !take_param(&content, &param))
            return false;
    return true;
}

bool record_params(struct text content, size_t limit, struct arena *arena, struct params *params)
{
    size_t count;
    *params = (struct params){0};
    if (!count_params(content, limit, &count))
        return false;
    params->items = arena_array(arena, count, sizeof *params->items);
    for (params->count = 0; params->count < count; params->count++)
        take_param(&content, &params->items[params->count]);
    return true;
}

/* The values FastCGI defines (4.1). One request at a time on each connection,
 * so as many requests as connections. */
enum { VALUE_CONNECTIONS, VALUE_REQUESTS, VALUE_MULTIPLEX, VALUES };
static const char *const value_names[VALUES] = {"FCGI_MAX_CONNS", "FCGI_MAX_REQS", "FCGI_MPXS_CONNS"};

static unsigned char *write_number(unsigned char *to, const char *name, unsigned number)
{
    char value[16];
    snprintf(value, sizeof value, "%u", number);
    return record_write_param(to, text_of(name), text_of(value));
}

bool record_asks(struct text content, struct text name)
{
    struct param param;
    bool asked = false;
    while (content.length > 0 && take_param(&content, &param))
        asked = asked || text_equal(param.name, name);
    return asked;
}

size_t record_values(struct text content, unsigned connections, struct text status, unsigned char *to)
{
    bool wanted[VALUES] = {false};
    struct param param;
    while (content.length > 0) {
        if (!take_param(&content, &param))
            return 0;
        for (size_t i = 0; i < VALUES; i++)
            wanted[i] |= text_equal(param.name, text_of(value_names[i]));
    }
    /* A name asked for twice is answered once: the answer has a known size. */
    unsigned char *end = to + RECORD_HEADER_SIZE;
    for (size_t i = 0; i < VALUES; i++)
        if (wanted[i])
            end = write_number(end, value_names[i], i == VALUE_MULTIPLEX ? 0 : connections);
    if (status.length > 0)
        end = record_write_param(end, text_of(RECORD_STATUS), status);
    size_t length = (size_t)(end - to);
    record_write(to, RECORD_GET_VALUES_RESULT, 0, length - RECORD_HEADER_SIZE, 0);
    assert(length <= RECORD_VALUES_SIZE + status.length);
    return length;
}
