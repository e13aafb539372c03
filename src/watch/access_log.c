/*
 * Log lines of exchanges, built on the stack. Each field has a budget, in
 * bytes as they are written, so that a line always fits and what a client
 * sends can never push out what we have to say.
 */
#include "config.h"

#include "watch/access_log.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "guard/version.h"
#include "identity/caller.h"

enum {
    PATH_BUDGET = 1024,
    AGENT_BUDGET = 256,
    DETAIL_BUDGET = 512,
    ROUTE_BUDGET = 256,
    CALLER_BUDGET = 256,
    BACKEND_BUDGET = 256,
    WORD_BUDGET = 64,
    PROGRAM_BUDGET = 2048,
};

/* With 512 bytes for names, numbers and the time. */
_Static_assert(7 * WORD_BUDGET + CALLER_BUDGET + BACKEND_BUDGET + PATH_BUDGET + ROUTE_BUDGET + AGENT_BUDGET +
                           DETAIL_BUDGET + 512 <
                       LOG_LINE_SIZE &&
                   WORD_BUDGET + PROGRAM_BUDGET + 512 < LOG_LINE_SIZE,
               "a line fits, whatever is in it");

struct line {
    size_t length;
    char at[LOG_LINE_SIZE];
};

static void add(struct line *line, const char *at, size_t length)
{
    if (length < sizeof line->at - line->length) {
        memcpy(line->at + line->length, at, length);
        line->length += length;
    }
}

static void add_word(struct line *line, const char *word)
{
    add(line, word, strlen(word));
}

static void add_number(struct line *line, uint64_t number)
{
    char buffer[TEXT_DIGITS];
    struct text digits = text_digits(number, buffer);
    add(line, digits.at, digits.length);
}

/* Milliseconds with three decimals. */
static void add_duration(struct line *line, uint64_t microseconds)
{
    char buffer[TEXT_DIGITS];
    struct text decimals = text_digits(1000 + microseconds % 1000, buffer);
    add_number(line, microseconds / 1000);
    add_word(line, ".");
    add(line, decimals.at + 1, decimals.length - 1);
}

/* The JSON escape of the character at the front (RFC 8259, 7), or NULL. */
static const char *escape(struct text rest, size_t length, char buffer[8])
{
    unsigned char c = (unsigned char)rest.at[0];
    if (length == 0)
        return "\\ufffd";
    if (length == 2 && c == 0xc2 && (unsigned char)rest.at[1] < 0xa0) /* C1: terminals obey these too */
        snprintf(buffer, 8, "\\u%04x", (unsigned)(unsigned char)rest.at[1]);
    else if (length == 1 && (c == '"' || c == '\\'))
        snprintf(buffer, 8, "\\%c", c);
    else if (length == 1 && (c < 0x20 || c == 0x7f))
        snprintf(buffer, 8, "\\u%04x", (unsigned)c);
    else
        return NULL;
    return buffer;
}

/* A JSON string of at most `budget` bytes between its quotes; a cut one, for which it is false, ends in "…".
 */
static bool add_string(struct line *line, struct text text, size_t budget)
{
    static const char cut[] = "\xe2\x80\xa6";
    char buffer[8];
    size_t used = 0;
    bool fits = true;
    add(line, "\"", 1);
    while (fits && text.length > 0) {
        size_t run = text_plain_run(text), room = budget - (sizeof cut - 1) - used;
        if (run > room)
            run = room;
        add(line, text.at, run);
        used += run;
        text = text_from(text, run);
        if (text.length == 0)
            break;
        size_t length = text_utf8_sequence(text);
        const char *escaped = escape(text, length, buffer);
        size_t size = escaped ? strlen(escaped) : length;
        if (used + size > budget - (sizeof cut - 1)) {
            add_word(line, cut);
            fits = false;
        } else {
            add(line, escaped ? escaped : text.at, size);
            used += size;
            text = text_from(text, length ? length : 1);
        }
    }
    add(line, "\"", 1);
    return fits;
}

static bool add_field(struct line *line, const char *name, struct text value, size_t budget)
{
    add_word(line, ",\"");
    add_word(line, name);
    add_word(line, "\":");
    return add_string(line, value, budget);
}

static void begin(struct line *line, enum severity severity, const char *event,
                  const struct exchange *exchange)
{
    char time[CLOCK_RFC3339_SIZE];
    line->length = 0;
    add_word(line, "{\"time\":\"");
    add_word(line, clock_rfc3339(clock_wall_milliseconds(), time));
    add_word(line, "\",\"level\":\"");
    add_word(line, severity_name(severity));
    add_word(line, "\",\"event\":\"");
    add_word(line, event);
    add_word(line, "\",\"requestId\":\"");
    add_word(line, exchange->id);
    add_word(line, "\"");
}

static void end(struct line *line, enum severity severity)
{
    add(line, "}", 1);
    log_line(severity, (struct text){line->at, line->length});
}

/* The canonical path; where there is none, what was sent, up to its query. */
static struct text path_of(const struct request *request)
{
    if (request->path.length > 0)
        return request->path;
    return (struct text){request->target.at, text_find(request->target, '?')};
}

static void add_verdict(struct line *line, const struct verdict *verdict)
{
    add_field(line, "guard", text_of(verdict->guard), WORD_BUDGET);
    add_field(line, "code", text_of(verdict->code), WORD_BUDGET);
    if (verdict->detail)
        add_field(line, "detail", text_of(verdict->detail), DETAIL_BUDGET);
}

static void add_request(struct line *line, const struct exchange *exchange)
{
    char address[ADDRESS_TEXT_SIZE];
    const struct request *request = &exchange->request;
    add_field(line, "method", request->method, WORD_BUDGET);
    add_field(line, "path", path_of(request), PATH_BUDGET);
    add_field(line, "address", text_of(address_format(&request->client, address)), WORD_BUDGET);
    if (exchange->route_path)
        add_field(line, "route", text_of(exchange->route_path), ROUTE_BUDGET);
    if (exchange->version)
        add_field(line, "version", text_of(exchange->version->name), WORD_BUDGET);
    if (!exchange->caller)
        return;
    add_field(line, "caller", exchange->caller->name, CALLER_BUDGET);
    add_field(line, "auth", text_of(exchange->caller->method), WORD_BUDGET);
    if (exchange->caller->key.length > 0)
        add_field(line, "key", exchange->caller->key, WORD_BUDGET);
}

static enum severity severity_of(const struct exchange *exchange)
{
    if (exchange->verdict.kind == VERDICT_FAULT || exchange->reply.status >= 500)
        return SEVERITY_WARNING;
    int status = exchange->reply.status;
    if (exchange->verdict.kind == VERDICT_DENY || status == 401 || status == 403 || status == 429)
        return SEVERITY_NOTICE;
    return SEVERITY_INFO;
}

void access_log_write(const struct exchange *exchange)
{
    struct line line;
    enum severity severity = severity_of(exchange);
    if (!log_wants(severity))
        return;
    uint64_t duration = clock_microseconds() - exchange->started;
    const struct text *agent = headers_get(&exchange->request.headers, "user-agent");
    begin(&line, severity, "request", exchange);
    add_request(&line, exchange);
    add_word(&line, ",\"status\":");
    add_number(&line, (uint64_t)exchange->reply.status);
    add_word(&line, ",\"duration\":");
    add_duration(&line, duration);
    add_word(&line, ",\"sent\":");
    add_number(&line, exchange->sent);
    if (agent)
        add_field(&line, "userAgent", *agent, AGENT_BUDGET);
    if (exchange->backend)
        add_field(&line, "backend", text_of(exchange->backend), BACKEND_BUDGET);
    if (exchange->verdict.kind != VERDICT_PASS)
        add_verdict(&line, &exchange->verdict);
    end(&line, severity);
}

void access_log_reported(struct exchange *exchange, struct verdict verdict)
{
    struct line line;
    if (!log_wants(SEVERITY_NOTICE))
        return;
    begin(&line, SEVERITY_NOTICE, "reported", exchange);
    add_request(&line, exchange);
    add_verdict(&line, &verdict);
    end(&line, SEVERITY_NOTICE);
}

void access_log_program(const struct exchange *exchange, const char *handler, struct text line)
{
    struct line object;
    if (!log_wants(SEVERITY_WARNING))
        return;
    begin(&object, SEVERITY_WARNING, "program", exchange);
    add_field(&object, "handler", text_of(handler), WORD_BUDGET);
    add_field(&object, "line", line, PROGRAM_BUDGET);
    end(&object, SEVERITY_WARNING);
}

bool access_log_wants_original(void)
{
    return log_wants(SEVERITY_DEBUG);
}

void access_log_original(const struct exchange *exchange, const char *handler, struct text body, bool whole)
{
    struct line line;
    char status[32];
    if (!access_log_wants_original())
        return;
    begin(&line, SEVERITY_DEBUG, "handler_error", exchange);
    add_field(&line, "handler", text_of(handler), WORD_BUDGET);
    snprintf(status, sizeof status, ",\"status\":%d", exchange->reply.status);
    add_word(&line, status);
    bool fits = add_field(&line, "body", body, PROGRAM_BUDGET);
    add_word(&line, fits && whole ? ",\"truncated\":false" : ",\"truncated\":true");
    end(&line, SEVERITY_DEBUG);
}
