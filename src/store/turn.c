/*
 * Who comes draws a number, locks the byte of the file at that number, and
 * waits for the locks of all bytes before it. So the order is that of the
 * numbers, where processes that wait for one lock would race for it each time,
 * and those that sleep would lose to the one that has just given it back. A
 * process that ends loses its locks, whether it waited or had its turn.
 *
 * fcntl(2) has no lock with a time-out. A timer's signal to the waiting thread
 * ends the wait; it is blocked everywhere else, and does nothing.
 */
#include "config.h"

#include "store/turn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { DRAWING, FIRST }; /* the byte that is locked while a number is drawn; the first number */
enum { AGAIN_MS = 2 };   /* a signal that comes just before the wait would be lost */

#define LAST (INT64_C(1) << 62)

static void wake(int number)
{
    (void)number;
}

bool turn_open(struct turn *turn, const char *path, struct error *error)
{
    *turn = (struct turn){.file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)};
    struct sigaction action = {.sa_handler = wake}; /* without SA_RESTART */
    if (turn->file < 0 || sigaction(SIGRTMIN, &action, NULL) != 0)
        return error_set_errno(error, "cannot open the lock file %.120s", path);
    return true;
}

void turn_close(struct turn *turn)
{
    if (turn->file >= 0)
        (void)close(turn->file);
    turn->file = -1;
}

/* Locks of the open file, not of the process: closing another descriptor of it loses none (fcntl(2)). */
static bool change(const struct turn *turn, int command, short type, int64_t from, int64_t to)
{
    struct flock range = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)from, .l_len = (off_t)(to - from + 1)};
    return fcntl(turn->file, command, &range) == 0;
}

static bool try(const struct turn *turn, int64_t from, int64_t to)
{
    return change(turn, F_OFD_SETLK, F_WRLCK, from, to);
}

static void leave(const struct turn *turn, int64_t from, int64_t to)
{
    (void)change(turn, F_OFD_SETLK, F_UNLCK, from, to);
}

static bool wait_for(const struct turn *turn, int64_t from, int64_t to, uint64_t until)
{
    while (!change(turn, F_OFD_SETLKW, F_WRLCK, from, to))
        if (errno != EINTR || clock_milliseconds() >= until)
            return false;
    return true;
}

/* ---- the alarm */

static struct timespec span(unsigned milliseconds)
{
    return (struct timespec){.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
}

static bool begin_alarm(timer_t *timer, unsigned milliseconds)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    event.sigev_notify_thread_id = gettid();
    const struct itimerspec times = {.it_value = span(milliseconds), .it_interval = span(AGAIN_MS)};
    if (timer_create(CLOCK_MONOTONIC, &event, timer) != 0)
        return false;
    if (timer_settime(*timer, 0, &times, NULL) == 0)
        return true;
    timer_delete(*timer);
    return false;
}

static void listen_to_alarm(int how)
{
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGRTMIN);
    pthread_sigmask(how, &alarm, NULL);
}

/* ---- numbers, while DRAWING is locked */

/* False where the file cannot be read or written. Whatever else it holds, numbers begin again. */
static bool draw(struct turn *turn)
{
    int64_t last = 0;
    ssize_t length = pread(turn->file, &last, sizeof last, 0);
    turn->number = length == sizeof last && last >= FIRST && last < LAST ? last + 1 : FIRST;
    return length >= 0 && pwrite(turn->file, &turn->number, sizeof turn->number, 0) == sizeof turn->number;
}

/* `have` is whether all before have had their turns. */
static bool join(struct turn *turn, bool *have)
{
    bool done = draw(turn);
    *have = done && try(turn, FIRST, turn->number);
    done = *have || (done && try(turn, turn->number, turn->number));
    leave(turn, DRAWING, DRAWING);
    return done;
}

/* ---- turns */

static bool stand_in_line(struct turn *turn, bool joined, unsigned milliseconds)
{
    timer_t timer;
    bool have = false;
    uint64_t until = clock_milliseconds() + milliseconds;
    if (!begin_alarm(&timer, milliseconds))
        return false;
    listen_to_alarm(SIG_UNBLOCK);
    joined = joined || (wait_for(turn, DRAWING, DRAWING, until) && join(turn, &have));
    have = have || (joined && wait_for(turn, FIRST, turn->number, until));
    timer_delete(timer);
    listen_to_alarm(SIG_BLOCK);
    return have;
}

bool turn_take(struct turn *turn, unsigned milliseconds)
{
    bool have = false;
    if (turn->file < 0)
        return false;
    bool wait = milliseconds > 0 && clock_milliseconds() >= turn->patient;
    turn->number = FIRST;
    bool joined = try(turn, DRAWING, DRAWING) && join(turn, &have);
    if (!have && wait) {
        have = stand_in_line(turn, joined, milliseconds);
        turn->patient = have ? 0 : clock_milliseconds() + TURN_SULK_MS;
    }
    if (!have)
        turn_give(turn);
    return have;
}

void turn_give(struct turn *turn)
{
    leave(turn, FIRST, turn->number);
}
