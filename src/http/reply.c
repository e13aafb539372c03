/*
 * The head of a reply as a web server reads it from a CGI program. What it
 * writes is safe whatever it is given: a header with a name that is no token,
 * or a value that would end its line, is left out.
 */
#include "config.h"

#include <assert.h>

#include "http/reply.h"

enum { STATUS_FIRST = 200, STATUS_LAST = 599 };

/* IANA, HTTP Status Code Registry. */
static const char *const reasons[STATUS_LAST + 1] = {
    [200] = "OK",
    [201] = "Created",
    [202] = "Accepted",
    [203] = "Non-Authoritative Information",
    [204] = "No Content",
    [205] = "Reset Content",
    [206] = "Partial Content",
    [207] = "Multi-Status",
    [208] = "Already Reported",
    [226] = "IM Used",
    [300] = "Multiple Choices",
    [301] = "Moved Permanently",
    [302] = "Found",
    [303] = "See Other",
    [304] = "Not Modified",
    [305] = "Use Proxy",
    [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [402] = "Payment Required",
    [403] = "Forbidden",
    [404] = "Not Found",
    [405] = "Method Not Allowed",
    [406] = "Not Acceptable",
    [407] = "Proxy Authentication Required",
    [408] = "Request Timeout",
    [409] = "Conflict",
    [410] = "Gone",
    [411] = "Length Required",
    [412] = "Precondition Failed",
    [413] = "Content Too Large",
    [414] = "URI Too Long",
    [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable",
    [417] = "Expectation Failed",
    [421] = "Misdirected Request",
    [422] = "Unprocessable Content",
    [423] = "Locked",
    [424] = "Failed Dependency",
    [425] = "Too Early",
    [426] = "Upgrade Required",
    [428] = "Precondition Required",
    [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [451] = "Unavailable For Legal Reasons",
    [500] = "Internal Server Error",
    [501] = "Not Implemented",
    [502] = "Bad Gateway",
    [503] = "Service Unavailable",
    [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [506] = "Variant Also Negotiates",
    [507] = "Insufficient Storage",
    [508] = "Loop Detected",
    [510] = "Not Extended",
    [511] = "Network Authentication Required",
};

const char *reply_reason(int status)
{
    bool known = status >= STATUS_FIRST && status <= STATUS_LAST && reasons[status];
    return known ? reasons[status] : "";
}

bool reply_has_body(const struct reply *reply, struct text method)
{
    return reply->status != 204 && reply->status != 304 && !text_equal(method, TEXT("HEAD"));
}

/* Whether it goes out as it stands. Status and Content-Length are written from
 * the reply's own members, so that there is one of each. */
static bool is_written(const struct header *header)
{
    return text_is_token(header->name) && header_value_is_safe(header->value) &&
           !text_equal_ignore_case(header->name, TEXT("status")) &&
           !text_equal_ignore_case(header->name, TEXT("content-length"));
}

static char *write_text(char *to, struct text text)
{
    if (text.length > 0)
        memcpy(to, text.at, text.length);
    return to + text.length;
}

enum { NUMBERS_SIZE = 128 }; /* "Status", its longest reason, "Content-Length", the empty line */

struct text reply_head(const struct reply *reply, struct arena *arena)
{
    assert(reply->status >= STATUS_FIRST && reply->status <= STATUS_LAST);
    size_t size = NUMBERS_SIZE;
    for (size_t i = 0; i < reply->headers.count; i++)
        size += reply->headers.items[i].name.length + reply->headers.items[i].value.length + 4;
    char *head = arena_alloc(arena, size), *end = head;
    char digits[TEXT_DIGITS];
    const char *reason = reply_reason(reply->status);
    end = write_text(end, TEXT("Status: "));
    end = write_text(end, text_digits((uint64_t)reply->status, digits));
    end = write_text(end, *reason ? TEXT(" ") : TEXT(""));
    end = write_text(end, text_of(reason));
    end = write_text(end, TEXT("\r\n"));
    for (size_t i = 0; i < reply->headers.count; i++) {
        const struct header *header = &reply->headers.items[i];
        if (!is_written(header))
            continue;
        end = write_text(end, header->name);
        end = write_text(end, TEXT(": "));
        end = write_text(end, header->value);
        end = write_text(end, TEXT("\r\n"));
    }
    /* RFC 9110, 8.6: never with 204. */
    if (reply->length >= 0 && reply->status != 204) {
        end = write_text(end, TEXT("Content-Length: "));
        end = write_text(end, text_digits((uint64_t)reply->length, digits));
        end = write_text(end, TEXT("\r\n"));
    }
    end = write_text(end, TEXT("\r\n"));
    assert((size_t)(end - head) <= size);
    return (struct text){head, (size_t)(end - head)};
}
