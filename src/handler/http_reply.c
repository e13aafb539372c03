/*
 * The judge of a backend's head: a pure function of the lines it is given. A
 * length that is stated twice, a folded line, a CR inside a line or a name that
 * is no token is where servers disagree, so they are refused (RFC 9112, 11.1).
 */
#include "config.h"

#include "handler/http_reply.h"

#include "base/arena.h"
#include "handler/excerpt.h"

enum { STATUS_DIGITS = 3, SWITCHING_PROTOCOLS = 101, PROXY_AUTHENTICATION = 407 };

struct http_reply http_reply_new(struct arena *arena)
{
    return (struct http_reply){.length = -1, .arena = arena};
}

__attribute__((format(printf, 2, 3))) static enum http_reply_step broken(struct http_reply *reply,
                                                                         const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reply->fault = arena_vprintf(reply->arena, format, arguments);
    va_end(arguments);
    return HTTP_REPLY_BROKEN;
}

/* "HTTP/1.1", "HTTP/1.0" or, made of a pseudo-header by libcurl, "HTTP/2". */
static bool take_version(struct http_reply *reply, struct text *line)
{
    static const struct {
        const char *name;
        bool chunkable;
    } versions[] = {{"HTTP/1.1 ", true}, {"HTTP/1.0 ", false}, {"HTTP/2 ", false}};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        if (text_starts_with(*line, text_of(versions[i].name))) {
            *line = text_from(*line, strlen(versions[i].name));
            reply->chunkable = versions[i].chunkable;
            return true;
        }
    return false;
}

static enum http_reply_step take_status(struct http_reply *reply, struct text line)
{
    uint64_t status = 0;
    struct text rest = line;
    if (!take_version(reply, &rest))
        return broken(reply, "the status line \"%s\" is not one of HTTP/1.1 or HTTP/1.0",
                      excerpt(reply->arena, line));
    struct text digits = {rest.at, rest.length < STATUS_DIGITS ? rest.length : STATUS_DIGITS};
    bool ends =
        rest.length == STATUS_DIGITS || (rest.length > STATUS_DIGITS && rest.at[STATUS_DIGITS] == ' ');
    if (!ends || !text_number(digits, 599, &status) || status < 100)
        return broken(reply, "the status line \"%s\" has no status from 100 to 599",
                      excerpt(reply->arena, line));
    if (status == SWITCHING_PROTOCOLS)
        return broken(reply, "it changes to another protocol, which nobody has asked for");
    if (status == PROXY_AUTHENTICATION) /* RFC 9110, 11.7.1: for the next client, and no other has them */
        return broken(reply, "it wants credentials of us as of a client of a proxy (407)");
    reply->status = (int)status;
    reply->started = true;
    return HTTP_REPLY_MORE;
}

static enum http_reply_step take_length(struct http_reply *reply, struct text value)
{
    uint64_t length = 0;
    if (reply->length >= 0)
        return broken(reply, "a second Content-Length header");
    if (!text_number(value, INT64_MAX, &length))
        return broken(reply, "the Content-Length \"%s\" is not a number", excerpt(reply->arena, value));
    reply->length = (int64_t)length;
    return HTTP_REPLY_MORE;
}

/* RFC 9112, 6.1: there is one that we can undo, and HTTP/1.0 and HTTP/2 have none. */
static enum http_reply_step take_coding(struct http_reply *reply, struct text value)
{
    if (reply->chunked)
        return broken(reply, "a second Transfer-Encoding header");
    if (!reply->chunkable || !text_equal_ignore_case(value, TEXT("chunked")))
        return broken(reply, "the Transfer-Encoding \"%s\" is not chunked, or not in HTTP/1.1",
                      excerpt(reply->arena, value));
    reply->chunked = true;
    return HTTP_REPLY_MORE;
}

static enum http_reply_step take_once(struct http_reply *reply, bool *seen, const char *name)
{
    if (*seen)
        return broken(reply, "a second %s header", name);
    *seen = true;
    return HTTP_REPLY_MORE;
}

static enum http_reply_step take_header(struct http_reply *reply, struct text name, struct text value)
{
    enum http_reply_step step = HTTP_REPLY_MORE;
    if (text_equal_ignore_case(name, TEXT("Content-Length")))
        return take_length(reply, value);
    if (text_equal_ignore_case(name, TEXT("Transfer-Encoding")))
        return take_coding(reply, value);
    if (text_equal_ignore_case(name, TEXT("Content-Type")))
        step = take_once(reply, &reply->has_type, "Content-Type");
    else if (text_equal_ignore_case(name, TEXT("Location")))
        step = take_once(reply, &reply->has_location, "Location");
    if (step != HTTP_REPLY_MORE)
        return step;
    struct text kept_name = {arena_copy(reply->arena, name.at, name.length), name.length};
    struct text kept_value = {arena_copy(reply->arena, value.at, value.length), value.length};
    headers_add(&reply->headers, reply->arena, kept_name, kept_value);
    return HTTP_REPLY_MORE;
}

static enum http_reply_step take_end(struct http_reply *reply)
{
    if (reply->status < 200) { /* RFC 9110, 15.2: the final one is still to come */
        reply->started = false;
        return HTTP_REPLY_MORE;
    }
    if (reply->chunked && reply->length >= 0)
        return broken(reply, "Content-Length together with Transfer-Encoding");
    if (reply->chunked && reply->status == 204)
        return broken(reply, "Transfer-Encoding with a status of 204, which has no body");
    return HTTP_REPLY_COMPLETE;
}

static enum http_reply_step take_line(struct http_reply *reply, struct text line)
{
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return broken(reply, "the header line \"%s\" begins with a blank", excerpt(reply->arena, line));
    size_t colon = text_find(line, ':');
    if (colon == line.length)
        return broken(reply, "the header line \"%s\" has no colon", excerpt(reply->arena, line));
    struct text name = {line.at, colon}, value = text_trim(text_from(line, colon + 1));
    if (!text_is_token(name))
        return broken(reply, "the header name \"%s\" is not a token", excerpt(reply->arena, name));
    if (++reply->count > HTTP_REPLY_HEADERS_LIMIT)
        return broken(reply, "more than %d headers", HTTP_REPLY_HEADERS_LIMIT);
    return reply->status < 200 ? HTTP_REPLY_MORE : take_header(reply, name, value);
}

enum http_reply_step http_reply_line(struct http_reply *reply, struct text line)
{
    if (line.length > HTTP_REPLY_SIZE_LIMIT - reply->size)
        return broken(reply, "the head is larger than %d bytes", HTTP_REPLY_SIZE_LIMIT);
    reply->size += line.length;
    if (line.length > 0 && line.at[line.length - 1] == '\n')
        line.length--;
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    if (!header_value_is_safe(line))
        return broken(reply, "a control character in the line \"%s\"", excerpt(reply->arena, line));
    if (!reply->started)
        return take_status(reply, line);
    return line.length == 0 ? take_end(reply) : take_line(reply, line);
}

/* They are for nobody (RFC 9110, 6.5.1), but libcurl keeps them. */
bool http_reply_trailer(struct http_reply *reply, struct text line)
{
    bool fits = line.length <= HTTP_REPLY_SIZE_LIMIT - reply->size && reply->count < HTTP_REPLY_HEADERS_LIMIT;
    if (!fits) {
        broken(reply, "the trailers and the head are larger than %d bytes or %d lines", HTTP_REPLY_SIZE_LIMIT,
               HTTP_REPLY_HEADERS_LIMIT);
        return false;
    }
    reply->size += line.length;
    reply->count++;
    return true;
}

static void take_size(struct http_reply *reply, char c)
{
    int digit = text_hex_value(c);
    if (c == '\n')
        reply->part = reply->part_size ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER;
    else if (digit >= 0 && reply->part == HTTP_CHUNK_SIZE)
        reply->part_size = reply->part_size << 4 | (unsigned)digit;
    else
        reply->part = HTTP_CHUNK_EXTENSION;
}

/* Of the data, and of the line's end behind them. */
static size_t take_data(struct http_reply *reply, struct text piece)
{
    size_t length = piece.length < reply->part_size ? piece.length : (size_t)reply->part_size;
    reply->part_size -= length;
    if (length > 0)
        return length;
    if (*piece.at == '\n')
        reply->part = HTTP_CHUNK_SIZE;
    return 1;
}

static void take_trailer(struct http_reply *reply, char c)
{
    if (c != '\n')
        reply->part_size += c != '\r';
    else if (reply->part_size > 0)
        reply->part_size = 0;
    else
        reply->part = HTTP_CHUNK_NONE;
}

void http_reply_chunks(struct http_reply *reply, struct text piece)
{
    while (piece.length > 0 && reply->part != HTTP_CHUNK_NONE) {
        size_t length = 1;
        if (reply->part == HTTP_CHUNK_DATA)
            length = take_data(reply, piece);
        else if (reply->part == HTTP_CHUNK_TRAILER)
            take_trailer(reply, *piece.at);
        else
            take_size(reply, *piece.at);
        piece = (struct text){piece.at + length, piece.length - length};
    }
}
