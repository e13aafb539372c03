/*
 * The records of a reply (FastCGI specification, 3 and 5.5). An application that
 * is confused about whose request it answers, or where a record ends, must not
 * be believed about anything that follows.
 */
#include "config.h"

#include "handler/fastcgi_reply.h"

static enum fastcgi_step refuse(struct fastcgi_reply *reply, const char *fault)
{
    reply->fault = fault;
    return FASTCGI_BROKEN;
}

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Whether a header or the content of END_REQUEST, both of 8 bytes, is whole. */
static bool gather(struct fastcgi_reply *reply, struct text *rest)
{
    size_t taken = least(sizeof reply->bytes - reply->have, rest->length);
    if (taken > 0)
        memcpy(reply->bytes + reply->have, rest->at, taken);
    *rest = text_from(*rest, taken);
    reply->have += taken;
    return reply->have == sizeof reply->bytes;
}

static bool is_stream(unsigned type)
{
    return type == RECORD_STDOUT || type == RECORD_STDERR;
}

/* php-fpm ends no stream but by END_REQUEST, others end each by an empty record. */
static const char *fault_of_stream(struct fastcgi_reply *reply)
{
    bool *ended = reply->record.type == RECORD_STDOUT ? &reply->output_ended : &reply->errors_ended;
    if (reply->record.content > 0 && *ended)
        return "the application goes on behind the end of a stream";
    *ended = *ended || reply->record.content == 0;
    reply->empty = reply->record.content > 0 ? 0 : reply->empty + 1;
    return reply->empty > FASTCGI_EMPTY_LIMIT ? "the application sends one empty record after another" : NULL;
}

static const char *begin_record(struct fastcgi_reply *reply)
{
    reply->record = record_read(reply->bytes);
    reply->have = 0;
    reply->in_record = true;
    if (reply->record.version != 1)
        return "the application speaks another version of FastCGI";
    if (reply->record.id != FASTCGI_REQUEST)
        return "the application answers another request";
    if (is_stream(reply->record.type))
        return fault_of_stream(reply);
    if (reply->record.type != RECORD_END_REQUEST)
        return "the application sends a record that is no part of a reply";
    return reply->record.content == RECORD_END_CONTENT ? NULL : "END_REQUEST is not 8 bytes long";
}

static enum fastcgi_step take_content(struct fastcgi_reply *reply, struct text *rest, struct text *piece)
{
    *piece = (struct text){rest->at, least(reply->record.content, rest->length)};
    *rest = text_from(*rest, piece->length);
    reply->record.content -= piece->length;
    return reply->record.type == RECORD_STDOUT ? FASTCGI_OUTPUT : FASTCGI_ERRORS;
}

/* The part of a record that is left, without its padding; false when more must come. */
static bool skip_padding(struct fastcgi_reply *reply, struct text *rest)
{
    size_t taken = least(reply->record.padding, rest->length);
    *rest = text_from(*rest, taken);
    reply->record.padding -= taken;
    return reply->record.padding == 0;
}

enum fastcgi_step fastcgi_reply_take(struct fastcgi_reply *reply, struct text *rest, struct text *piece)
{
    for (;;) {
        if (!reply->in_record) {
            if (!gather(reply, rest))
                return FASTCGI_MORE;
            const char *fault = begin_record(reply);
            if (fault)
                return refuse(reply, fault);
        }
        bool ends = reply->record.type == RECORD_END_REQUEST;
        if (reply->record.content > 0 && rest->length == 0)
            return FASTCGI_MORE;
        if (reply->record.content > 0 && !ends)
            return take_content(reply, rest, piece);
        if (reply->record.content > 0) {
            if (!gather(reply, rest))
                return FASTCGI_MORE;
            reply->end = record_read_end(reply->bytes);
            reply->record.content = reply->have = 0;
        }
        if (!skip_padding(reply, rest))
            return FASTCGI_MORE;
        reply->in_record = false;
        if (ends)
            return FASTCGI_END;
    }
}
