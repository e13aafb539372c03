/*
 * The process's one log. A single write(2) keeps lines apart, those of several
 * threads and processes alike; only where a write may wait, threads wait in
 * line for it.
 */
#include "config.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/clock.h"

enum { MESSAGE_SIZE = 512 }; /* six times as long in JSON at worst, and still within a line */

static struct {
    pthread_mutex_t lock;
    char *path;             /* of a file, else NULL */
    int descriptor;         /* -1: syslog */
    _Atomic bool may_block; /* not a regular file */
    _Atomic bool torn;      /* the last line broke off: a full disk */
    enum severity least;
    _Atomic uint64_t dropped;
    int (*fetch)(void *context, struct error *); /* NULL: the file is opened again */
    void *context;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .descriptor = STDERR_FILENO,
           .may_block = true,
           .least = SEVERITY_INFO};

const char *severity_name(enum severity severity)
{
    static const char *const names[] = {"debug", "info", "notice", "warning", "error"};
    return names[severity];
}

static int syslog_priority(enum severity severity)
{
    static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING, LOG_ERR};
    return priorities[severity];
}

static bool is_regular(int descriptor)
{
    struct stat file;
    return fstat(descriptor, &file) == 0 && S_ISREG(file.st_mode);
}

static int open_file(const char *path, struct error *error)
{
    /* O_NONBLOCK: a FIFO without a reader is an error, and one that is full no reason to wait. */
    int descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (descriptor < 0)
        error_set_errno(error, "cannot open the log file %s", path);
    return descriptor;
}

bool log_open(const char *target, enum severity least, struct error *error)
{
    int descriptor = STDERR_FILENO;
    char *path = NULL;
    if (strncmp(target, "file:", 5) == 0) {
        descriptor = open_file(target + 5, error);
        if (descriptor < 0)
            return false;
        path = strdup(target + 5);
        if (!path) {
            close(descriptor);
            return error_set(error, "out of memory");
        }
    } else if (strcmp(target, "syslog") == 0) {
        openlog("fcgiguard", LOG_PID | LOG_NDELAY, LOG_DAEMON);
        descriptor = -1;
    } else if (strcmp(target, "stderr") != 0) {
        return error_set(error, "log: \"%s\" is none of stderr, syslog and file:PATH", target);
    }
    pthread_mutex_lock(&state.lock);
    if (state.path)
        close(state.descriptor);
    free(state.path);
    state.path = path;
    state.descriptor = descriptor;
    state.may_block = descriptor >= 0 && !is_regular(descriptor);
    state.least = least;
    pthread_mutex_unlock(&state.lock);
    return true;
}

void log_reopen_by(int (*fetch)(void *context, struct error *), void *context)
{
    state.fetch = fetch;
    state.context = context;
}

bool log_reopen(struct error *error)
{
    /* Outside the lock: who fetches may log. */
    int fetched = state.path && state.fetch ? state.fetch(state.context, error) : -1;
    pthread_mutex_lock(&state.lock);
    bool done = true;
    if (state.path) {
        int descriptor = state.fetch ? fetched : open_file(state.path, error);
        /* In one step, under the same number: threads may be writing. */
        done = descriptor >= 0 && dup3(descriptor, state.descriptor, O_CLOEXEC) >= 0;
        if (descriptor >= 0 && !done)
            error_set_errno(error, "cannot reopen the log file %s", state.path);
        if (done)
            state.may_block = !is_regular(descriptor);
        if (descriptor >= 0)
            close(descriptor);
    }
    pthread_mutex_unlock(&state.lock);
    return done;
}

int log_descriptor(void)
{
    return state.descriptor;
}

bool log_wants(enum severity severity)
{
    return severity >= state.least;
}

/* One line by one system call; false when it was not taken in time. A pipe
 * that polls writable takes a whole page, and a line is no longer than one. */
static bool write_line(const char *line, size_t length, int patience)
{
    struct pollfd log = {.fd = state.descriptor, .events = POLLOUT};
    ssize_t written;
    if (state.may_block && (poll(&log, 1, patience) != 1 || !(log.revents & POLLOUT)))
        return false;
    do
        written = write(state.descriptor, line, length);
    while (written < 0 && errno == EINTR);
    if (written > 0 && written < (ssize_t)length)
        state.torn = true;
    return written == (ssize_t)length;
}

/* Tells of lines that are missing; false when that is not taken either. */
static bool confess(void)
{
    char line[256], time[CLOCK_RFC3339_SIZE];
    uint64_t dropped = atomic_exchange(&state.dropped, 0);
    if (dropped == 0)
        return true;
    bool torn = atomic_exchange(&state.torn, false);
    int length = snprintf(
        line, sizeof line,
        "%s{\"time\":\"%s\",\"level\":\"warning\",\"event\":\"lines_dropped\",\"count\":%llu}\n",
        torn ? "\n" : "", clock_rfc3339(clock_wall_milliseconds(), time), (unsigned long long)dropped);
    /* Once a line was dropped nobody waits any more, until the reader is back. */
    if (write_line(line, (size_t)length, 0))
        return true;
    atomic_fetch_add(&state.dropped, dropped);
    if (torn)
        state.torn = true;
    return false;
}

static void write_or_drop(const char *line, size_t length)
{
    if ((atomic_load_explicit(&state.dropped, memory_order_relaxed) > 0 && !confess()) ||
        !write_line(line, length, LOG_PATIENCE_MS))
        atomic_fetch_add(&state.dropped, 1);
}

void log_line(enum severity severity, struct text object)
{
    char line[LOG_LINE_SIZE];
    assert(object.length < sizeof line);
    if (!log_wants(severity))
        return;
    if (state.descriptor < 0) {
        syslog(syslog_priority(severity), "%.*s", TEXT_ARGUMENTS(object));
        return;
    }
    memcpy(line, object.at, object.length);
    line[object.length] = '\n';
    if (!state.may_block) {
        write_or_drop(line, object.length + 1);
        return;
    }
    pthread_mutex_lock(&state.lock);
    write_or_drop(line, object.length + 1);
    pthread_mutex_unlock(&state.lock);
}

void log_event(enum severity severity, const char *event, const char *format, ...)
{
    char message[MESSAGE_SIZE], time[CLOCK_RFC3339_SIZE];
    va_list arguments;
    if (!log_wants(severity))
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct arena *arena = arena_new();
    struct bytes line = bytes_new(arena, LOG_LINE_SIZE - 1);
    bytes_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"message\":",
                 clock_rfc3339(clock_wall_milliseconds(), time), severity_name(severity), event);
    bytes_add_json(&line, text_of(message));
    bytes_add(&line, "}", 1);
    log_line(severity, bytes_text(&line));
    arena_free(arena);
}
