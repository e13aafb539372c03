/*
 * What a program or an application says on standard error, cut into lines for the log. How a line gets
 * there is the exchange's affair; here is only that it cannot be flooded.
 */
#include "config.h"

#include <stdio.h>

#include "base/log.h"
#include "handler/error_lines.h"

static const char cut_mark[] = "...";

static void hand_over(const struct error_lines *errors, const struct exchange *exchange, struct text line)
{
    if (exchange->program_line)
        exchange->program_line(exchange, errors->handler, line);
    else
        log_event(SEVERITY_WARNING, "program", "%.*s", TEXT_ARGUMENTS(line));
}

static void add(struct error_lines *errors, struct text piece)
{
    size_t room =
        sizeof errors->line - (errors->length < sizeof errors->line ? errors->length : sizeof errors->line);
    size_t kept = piece.length < room ? piece.length : room;
    if (kept > 0)
        memcpy(errors->line + errors->length, piece.at, kept);
    errors->length += piece.length;
}

static void end_line(struct error_lines *errors, const struct exchange *exchange)
{
    struct text line = {errors->line, errors->length};
    if (line.length > sizeof errors->line) {
        line.length = sizeof errors->line;
        memcpy(errors->line + line.length - (sizeof cut_mark - 1), cut_mark, sizeof cut_mark - 1);
    }
    errors->length = 0;
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    if (line.length > 0 && ++errors->lines <= ERROR_LINES_LIMIT)
        hand_over(errors, exchange, line);
}

void error_lines_take(struct error_lines *errors, const struct exchange *exchange, struct text piece)
{
    while (piece.length > 0) {
        size_t end = text_find(piece, '\n');
        add(errors, (struct text){piece.at, end});
        if (end < piece.length)
            end_line(errors, exchange);
        piece = text_from(piece, end + 1);
    }
}

void error_lines_end(struct error_lines *errors, const struct exchange *exchange)
{
    if (errors->length > 0)
        end_line(errors, exchange);
    if (errors->lines <= ERROR_LINES_LIMIT)
        return;
    char message[80];
    int length = snprintf(message, sizeof message, "%llu further lines of this program were left out",
                          (unsigned long long)(errors->lines - ERROR_LINES_LIMIT));
    hand_over(errors, exchange, (struct text){message, (size_t)length});
}
