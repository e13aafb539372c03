/*
 * The parser of a CGI program's header block: a pure function of the bytes it
 * is given. Lines end in LF or CRLF, as RFC 3875, 6.2 has it; a CR anywhere
 * else, a folded line or a name that is no token is where servers disagree, so
 * they are refused.
 */
#include "config.h"

#include "handler/cgi_reply.h"

#include "base/arena.h"
#include "handler/excerpt.h"

enum { STATUS_DIGITS = 3 };

struct cgi_reply cgi_reply_new(struct arena *arena)
{
    return (struct cgi_reply){.length = -1, .arena = arena, .line = bytes_new(arena, CGI_REPLY_SIZE_LIMIT)};
}

__attribute__((format(printf, 2, 3))) static enum cgi_reply_step broken(struct cgi_reply *reply,
                                                                        const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    reply->fault = arena_vprintf(reply->arena, format, arguments);
    va_end(arguments);
    return CGI_REPLY_BROKEN;
}

static enum cgi_reply_step take_status(struct cgi_reply *reply, struct text value)
{
    uint64_t status = 0;
    struct text digits = value;
    if (digits.length > STATUS_DIGITS && digits.at[STATUS_DIGITS] == ' ')
        digits.length = STATUS_DIGITS;
    if (reply->status)
        return broken(reply, "a second Status header");
    if (digits.length != STATUS_DIGITS || !text_number(digits, 599, &status) || status < 200)
        return broken(reply, "the Status \"%s\" is not a number from 200 to 599",
                      excerpt(reply->arena, value));
    reply->status = (int)status;
    return CGI_REPLY_MORE;
}

static enum cgi_reply_step take_length(struct cgi_reply *reply, struct text value)
{
    uint64_t length = 0;
    if (reply->length >= 0)
        return broken(reply, "a second Content-Length header");
    if (!text_number(value, INT64_MAX, &length))
        return broken(reply, "the Content-Length \"%s\" is not a number", excerpt(reply->arena, value));
    reply->length = (int64_t)length;
    return CGI_REPLY_MORE;
}

/* RFC 3875, 6.3: a CGI field must not appear more than once. */
static enum cgi_reply_step take_once(struct cgi_reply *reply, bool *seen, const char *name, struct text value)
{
    if (*seen)
        return broken(reply, "a second %s header", name);
    if (value.length == 0)
        return broken(reply, "an empty %s header", name);
    *seen = true;
    return CGI_REPLY_MORE;
}

static enum cgi_reply_step take_header(struct cgi_reply *reply, struct text name, struct text value)
{
    enum cgi_reply_step step = CGI_REPLY_MORE;
    if (text_equal_ignore_case(name, TEXT("Status")))
        return take_status(reply, value);
    if (text_equal_ignore_case(name, TEXT("Content-Length")))
        return take_length(reply, value);
    if (text_equal_ignore_case(name, TEXT("Content-Type")))
        step = take_once(reply, &reply->has_type, "Content-Type", value);
    else if (text_equal_ignore_case(name, TEXT("Location")))
        step = take_once(reply, &reply->has_location, "Location", value);
    if (step != CGI_REPLY_MORE)
        return step;
    struct text kept_name = {arena_copy(reply->arena, name.at, name.length), name.length};
    struct text kept_value = {arena_copy(reply->arena, value.at, value.length), value.length};
    headers_add(&reply->headers, reply->arena, kept_name, kept_value);
    return CGI_REPLY_MORE;
}

static enum cgi_reply_step take_end(struct cgi_reply *reply)
{
    if (!reply->may_be_bare && !reply->has_type && !reply->has_location && !reply->status)
        return broken(reply,
                      "the program wrote no header: one of Content-Type, Location and Status is needed");
    /* A local redirect (RFC 3875, 6.2.2) is left to the client to follow, as every redirect is. */
    if (!reply->status)
        reply->status = reply->has_location ? 302 : 200;
    return CGI_REPLY_COMPLETE;
}

static enum cgi_reply_step take_line(struct cgi_reply *reply, struct text line)
{
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    if (line.length == 0)
        return take_end(reply);
    if (text_find(line, '\r') < line.length)
        return broken(reply, "a CR inside the header line \"%s\"", excerpt(reply->arena, line));
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return broken(reply, "the header line \"%s\" begins with a blank", excerpt(reply->arena, line));
    if (reply->count == 0 && text_starts_with(line, TEXT("HTTP/")))
        return broken(reply,
                      "the output begins with the status line \"%s\", which only a non-parsed-header "
                      "program writes",
                      excerpt(reply->arena, line));
    size_t colon = text_find(line, ':');
    if (colon == line.length)
        return broken(reply, "the header line \"%s\" has no colon", excerpt(reply->arena, line));
    struct text name = {line.at, colon}, value = text_trim(text_from(line, colon + 1));
    if (!text_is_token(name))
        return broken(reply, "the header name \"%s\" is not a token", excerpt(reply->arena, name));
    if (!header_value_is_safe(value))
        return broken(reply, "a control character in the header line \"%s\"", excerpt(reply->arena, line));
    if (++reply->count > CGI_REPLY_HEADERS_LIMIT)
        return broken(reply, "more than %d headers", CGI_REPLY_HEADERS_LIMIT);
    return take_header(reply, name, value);
}

enum cgi_reply_step cgi_reply_feed(struct cgi_reply *reply, struct text piece, size_t *used)
{
    enum cgi_reply_step step = CGI_REPLY_MORE;
    for (*used = 0; *used < piece.length && step == CGI_REPLY_MORE;) {
        struct text rest = text_from(piece, *used);
        size_t end = text_find(rest, '\n');
        bool ended = end < rest.length;
        size_t taken = ended ? end + 1 : end;
        if (taken > CGI_REPLY_SIZE_LIMIT - reply->size)
            return broken(reply, "the header block is larger than %d bytes", CGI_REPLY_SIZE_LIMIT);
        *used += taken;
        reply->size += taken;
        struct text line = {rest.at, end};
        if (!ended || reply->line.length > 0) {
            bytes_add_text(&reply->line, line);
            line = bytes_text(&reply->line);
        }
        if (ended) {
            reply->line.length = 0;
            step = take_line(reply, line);
        }
    }
    return step;
}
