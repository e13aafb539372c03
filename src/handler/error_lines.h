/*
 * Error lines: standard error of what a handler has asked, line by line for the
 * log. No line is longer than ERROR_LINE_SIZE, and no request has more of them
 * than ERROR_LINES_LIMIT.
 */
#ifndef HANDLER_ERROR_LINES_H
#define HANDLER_ERROR_LINES_H

#include "http/exchange.h"

enum { ERROR_LINE_SIZE = 1000, ERROR_LINES_LIMIT = 200 };

struct error_lines {
    const char *handler; /* its name, for the log */
    uint64_t lines;
    size_t length; /* of the line that has not ended yet, also what no longer fitted in */
    char line[ERROR_LINE_SIZE];
};

/* Takes a piece of standard error and hands whole lines to the exchange. */
void error_lines_take(struct error_lines *, const struct exchange *, struct text piece);

/* Hands over what has no end, and how many lines were left out. */
void error_lines_end(struct error_lines *, const struct exchange *);

#endif
