/*
 * Turns are a turnstile of two locks on bytes of a file: who comes waits for
 * NEXT, with it for NOW, and then leaves NEXT to those behind. The kernel wakes
 * those who wait for one lock in their order, but who has just given it back
 * may be faster than who is woken; with two of them he stands behind.
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

enum { NEXT, NOW };
enum { AGAIN_MS = 2 }; /* a signal that comes just before the wait would be lost */

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
static bool change(const struct turn *turn, int command, short type, int byte)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    return fcntl(turn->file, command, &range) == 0;
}

static bool try(const struct turn *turn, int byte)
{
    return change(turn, F_OFD_SETLK, F_WRLCK, byte);
}

static void leave(const struct turn *turn, int byte)
{
    (void)change(turn, F_OFD_SETLK, F_UNLCK, byte);
}

static bool wait_for(const struct turn *turn, int byte, uint64_t until)
{
    while (!change(turn, F_OFD_SETLKW, F_WRLCK, byte))
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

/* ---- turns */

/* `have_next` is whether NEXT is locked, before and after. */
static bool stand_in_line(const struct turn *turn, bool *have_next, unsigned milliseconds)
{
    timer_t timer;
    uint64_t until = clock_milliseconds() + milliseconds;
    if (!begin_alarm(&timer, milliseconds))
        return false;
    listen_to_alarm(SIG_UNBLOCK);
    *have_next = *have_next || wait_for(turn, NEXT, until);
    bool have = *have_next && wait_for(turn, NOW, until);
    timer_delete(timer);
    listen_to_alarm(SIG_BLOCK);
    return have;
}

bool turn_take(struct turn *turn, unsigned milliseconds)
{
    if (turn->file < 0)
        return false;
    bool wait = milliseconds > 0 && clock_milliseconds() >= turn->patient;
    bool have_next = try(turn, NEXT);
    bool have = have_next && try(turn, NOW);
    if (!have && wait) {
        have = stand_in_line(turn, &have_next, milliseconds);
        turn->patient = have ? 0 : clock_milliseconds() + TURN_SULK_MS;
    }
    if (have_next)
        leave(turn, NEXT);
    return have;
}

void turn_give(struct turn *turn)
{
    leave(turn, NOW);
}
