/*
 * Log: one JSON object a line, to standard error, a file or syslog. A line is
 * written by one system call, so lines of several threads and processes never
 * mix. A reader that has stopped reading costs a request at most
 * LOG_PATIENCE_MS; then the line is dropped and counted, and the next line
 * that gets through is preceded by one that tells how many are missing.
 * The log knows nothing of requests: watch/access_log.c does.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/error.h"
#include "base/text.h"

enum severity { SEVERITY_DEBUG, SEVERITY_INFO, SEVERITY_NOTICE, SEVERITY_WARNING, SEVERITY_ERROR };

enum { LOG_LINE_SIZE = 4096, LOG_PATIENCE_MS = 100 };

/* "debug", "info", "notice", "warning" or "error". */
const char *severity_name(enum severity);

/* Opens the process's log: "stderr", "syslog" or "file:PATH" (created with
 * mode 0640, opened to append, CLOEXEC). Lines below `least` are left out.
 * False, with the old log kept, when the file cannot be opened. */
bool log_open(const char *target, enum severity least, struct error *);

/* Opens the same file again, after a rotation; keeps the old one on failure. */
bool log_reopen(struct error *);

/* From now on log_reopen() takes over what `fetch` returns (-1 with an error:
 * nothing) instead of opening the file, which this process may not do itself. */
void log_reopen_by(int (*fetch)(void *context, struct error *), void *context);

/* The descriptor lines go to, or -1 for syslog: a sandbox must leave it usable. */
int log_descriptor(void);

bool log_wants(enum severity);

/* Writes one line: `object` is a complete JSON object without a newline, at
 * most LOG_LINE_SIZE - 1 bytes; a longer one is a bug. Safe from any thread. */
void log_line(enum severity, struct text object);

/* Writes {"time", "level", "event", "message"}: what the program has to say of
 * itself. `event` is a stable word. The message is cut to fit. Before
 * log_open() it goes to standard error. */
void log_event(enum severity, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
