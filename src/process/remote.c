/*
 * The table of a worker's runs. A place in it is taken by remote_start() and
 * free again when the parent has answered and nobody waits for that any more.
 * Each use of a place has a number of its own, so that no answer, and no stop
 * that crosses one on its way, is ever taken for another run's.
 */
#include "config.h"

#include "process/remote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "process/message.h"

enum {
    PLACES_LIMIT = 2048,      /* twice the threads that a policy may ask for; divides 2^32 */
    LEFT_LIMIT = 16,          /* runs that are left to end by themselves at once */
    SEND_BUFFER = 512 * 1024, /* two of the largest messages; the kernel may allow less */
    SEND_PATIENCE_S = 10,     /* a parent that takes no message for so long is stuck */
};

enum state {
    PLACE_FREE,
    PLACE_HELD,    /* somebody waits for its end, or will */
    PLACE_LEFT,    /* it is to end by itself, until `deadline` */
    PLACE_STOPPED, /* its end interests nobody */
};

struct place {
    struct place *next; /* of the free ones */
    struct remote *remote;
    uint32_t number; /* of the run: the place's index, and a multiple of PLACES_LIMIT for each use of it */
    enum state state;
    bool ended, rung;
    int bell; /* an eventfd, made with the place and kept */
    uint64_t deadline;
    struct program_end end;
    char request[LAUNCH_REQUEST_SIZE];
};

struct remote {
    int socket, timer; /* the timer is for the deadlines of what is left */
    pthread_t thread;
    bool hears; /* the thread was made */

    pthread_mutex_t hearing; /* of who takes messages from the socket */
    int log;                 /* passed and not yet taken, or -1 */

    pthread_mutex_t lock; /* of what follows */
    bool gone;            /* the parent */
    bool closing, timed;  /* timed: the timer is set */
    size_t left, used;    /* places that are left; that were ever made */
    struct place *unused;
    struct place *places[PLACES_LIMIT];
};

struct remote *remote_new(int socket)
{
    const int size = SEND_BUFFER;
    const struct timeval patience = {.tv_sec = SEND_PATIENCE_S};
    struct remote *remote = calloc(1, sizeof *remote);
    if (!remote)
        abort();
    remote->socket = socket;
    remote->log = -1;
    remote->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    pthread_mutex_init(&remote->hearing, NULL);
    pthread_mutex_init(&remote->lock, NULL);
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return remote;
}

/* ---- places; all with the lock held */

static struct place *make_place(struct remote *remote, struct error *error)
{
    if (remote->used == PLACES_LIMIT) {
        error_set(error, "too many programs are running");
        return NULL;
    }
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        abort();
    place->remote = remote;
    place->number = (uint32_t)remote->used;
    place->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (place->bell < 0) {
        error_set_errno(error, "no descriptor to wait for a program");
        free(place);
        return NULL;
    }
    remote->places[remote->used++] = place;
    return place;
}

static struct place *take_place(struct remote *remote, struct error *error)
{
    struct place *place = remote->unused;
    if (place)
        remote->unused = place->next;
    else
        place = make_place(remote, error);
    if (!place)
        return NULL;
    place->state = PLACE_HELD;
    place->number += PLACES_LIMIT;
    if (place->number == MESSAGE_NO_RUN)
        place->number += PLACES_LIMIT;
    return place;
}

static void free_place(struct place *place)
{
    struct remote *remote = place->remote;
    uint64_t dropped;
    if (place->rung)
        (void)!read(place->bell, &dropped, sizeof dropped);
    place->ended = place->rung = false;
    place->state = PLACE_FREE;
    place->next = remote->unused;
    remote->unused = place;
}

static void ring(struct place *place)
{
    const uint64_t one = 1;
    place->rung = true;
    (void)!write(place->bell, &one, sizeof one);
}

static void set_timer(struct remote *remote, uint64_t milliseconds)
{
    const struct itimerspec once = {.it_value = {.tv_sec = (time_t)(milliseconds / 1000),
                                                 .tv_nsec = (long)(milliseconds % 1000) * 1000000 + 1}};
    remote->timed = true;
    (void)timerfd_settime(remote->timer, 0, &once, NULL);
}

/* ---- the thread */

/* What the log is to be told, without the lock: the log may have to wait. */
struct ill {
    bool told;
    int status;
    char request[LAUNCH_REQUEST_SIZE];
};

static void end_unheld(struct place *place, struct ill *ill)
{
    if (place->state == PLACE_LEFT) {
        place->remote->left--;
        ill->told = place->end.status != 0;
        ill->status = place->end.status;
        memcpy(ill->request, place->request, sizeof ill->request);
    }
    free_place(place);
}

static void take_answer(struct remote *remote, const struct message_news *news)
{
    char how[LAUNCH_HOW_SIZE];
    struct ill ill = {0};
    pthread_mutex_lock(&remote->lock);
    struct place *place = remote->places[news->run % PLACES_LIMIT]; /* NULL where none was made */
    if (place && place->number == news->run && place->state != PLACE_FREE) {
        place->end = news->end;
        place->ended = true;
        if (place->state == PLACE_HELD)
            ring(place);
        else
            end_unheld(place, &ill);
    }
    pthread_mutex_unlock(&remote->lock);
    if (ill.told)
        log_event(SEVERITY_WARNING, "program_end", "request %s: the program %s", ill.request,
                  launcher_how_it_ended(ill.status, how));
}

static void take_end(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    if (!remote->gone) {
        remote->gone = true;
        for (size_t i = 0; i < remote->used; i++)
            ring(remote->places[i]);
    }
    pthread_mutex_unlock(&remote->lock);
}

/* Takes what has come. False when nothing will come any more. */
static bool hear(struct remote *remote)
{
    struct message_news news;
    int result;
    pthread_mutex_lock(&remote->hearing);
    while ((result = message_hear(remote->socket, &news)) > 0) {
        if (news.descriptor < 0) {
            take_answer(remote, &news);
        } else {
            if (remote->log >= 0)
                (void)close(remote->log);
            remote->log = news.descriptor;
        }
    }
    pthread_mutex_unlock(&remote->hearing);
    if (result < 0)
        take_end(remote);
    return result == 0;
}

/* One that is past its time, taken out of those that are left; NULL and the
 * timer set for the next when there is none. With the lock held. */
static struct place *take_late(struct remote *remote)
{
    uint64_t now = clock_milliseconds(), next = UINT64_MAX;
    for (size_t i = 0; i < remote->used && remote->left > 0; i++) {
        struct place *place = remote->places[i];
        if (place->state != PLACE_LEFT)
            continue;
        if (place->deadline <= now) {
            place->state = PLACE_STOPPED;
            remote->left--;
            return place;
        }
        if (place->deadline < next)
            next = place->deadline;
    }
    if (next != UINT64_MAX)
        set_timer(remote, next - now);
    return NULL;
}

static void stop_late(struct remote *remote)
{
    struct error error = {0};
    uint64_t dropped;
    (void)!read(remote->timer, &dropped, sizeof dropped);
    pthread_mutex_lock(&remote->lock);
    remote->timed = false;
    for (struct place *place; (place = take_late(remote));) {
        char request[LAUNCH_REQUEST_SIZE];
        uint32_t number = place->number;
        memcpy(request, place->request, sizeof request);
        pthread_mutex_unlock(&remote->lock);
        (void)message_send_stop(remote->socket, number, &error);
        log_event(SEVERITY_WARNING, "program_end",
                  "request %s: the program still ran %d ms after its reply, and was stopped", request,
                  LAUNCH_LEFT_MS);
        pthread_mutex_lock(&remote->lock);
    }
    pthread_mutex_unlock(&remote->lock);
}

static bool is_done(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    bool done = remote->closing && remote->left == 0;
    pthread_mutex_unlock(&remote->lock);
    return done;
}

static void *listen_to_parent(void *context)
{
    struct remote *remote = context;
    struct pollfd both[] = {{remote->socket, POLLIN, 0}, {remote->timer, POLLIN, 0}};
    while (!is_done(remote)) {
        if (poll(both, 2, -1) < 0)
            continue;
        if (both[1].revents)
            stop_late(remote);
        if (both[0].revents && !hear(remote))
            break;
    }
    return NULL;
}

/* ---- for the others */

bool remote_ready(struct remote *remote, struct error *error)
{
    errno = remote->timer < 0 ? EMFILE : pthread_create(&remote->thread, NULL, listen_to_parent, remote);
    if (errno != 0)
        return error_set_errno(error, "cannot make a thread");
    remote->hears = true;
    return message_send_ready(remote->socket, error);
}

bool remote_start(struct remote *remote, const struct launch *launch, struct run *run, struct error *error)
{
    pthread_mutex_lock(&remote->lock);
    struct place *place = take_place(remote, error);
    pthread_mutex_unlock(&remote->lock);
    if (!place)
        return false;
    if (message_send(remote->socket, launch, place->number, error)) {
        *run = (struct run){.descriptor = place->bell, .place = place};
        return true;
    }
    pthread_mutex_lock(&remote->lock);
    free_place(place);
    pthread_mutex_unlock(&remote->lock);
    return false;
}

int remote_end(struct run *run, struct program_end *end)
{
    struct place *place = run->place;
    pthread_mutex_lock(&place->remote->lock);
    int known = place->ended ? 1 : place->remote->gone ? -1 : 0;
    if (known > 0)
        *end = place->end;
    pthread_mutex_unlock(&place->remote->lock);
    return known;
}

bool remote_leave(struct run *run, const char *request)
{
    struct place *place = run->place;
    struct remote *remote = place->remote;
    pthread_mutex_lock(&remote->lock);
    bool left = !place->ended && !remote->gone && !remote->closing && remote->left < LEFT_LIMIT;
    if (left) {
        place->state = PLACE_LEFT;
        place->deadline = clock_milliseconds() + LAUNCH_LEFT_MS;
        (void)snprintf(place->request, sizeof place->request, "%s", request);
        remote->left++;
        if (!remote->timed)
            set_timer(remote, LAUNCH_LEFT_MS);
    }
    pthread_mutex_unlock(&remote->lock);
    return left;
}

void remote_stop(struct run *run)
{
    struct place *place = run->place;
    struct remote *remote = place->remote;
    struct error error = {0};
    pthread_mutex_lock(&remote->lock);
    bool stops = !place->ended;
    if (stops)
        place->state = PLACE_STOPPED;
    else
        free_place(place);
    uint32_t number = place->number;
    pthread_mutex_unlock(&remote->lock);
    if (stops) /* where it cannot be told, the parent is gone or stuck, and the program ends with us */
        (void)message_send_stop(remote->socket, number, &error);
}

int remote_take_log(struct remote *remote, struct error *error)
{
    (void)hear(remote); /* what was sent before a signal has come before it */
    pthread_mutex_lock(&remote->hearing);
    int log = remote->log;
    remote->log = -1;
    pthread_mutex_unlock(&remote->hearing);
    if (log < 0)
        error_set(error, "the parent has passed no descriptor");
    return log;
}

static void end_thread(struct remote *remote)
{
    pthread_mutex_lock(&remote->lock);
    remote->closing = true;
    if (remote->left == 0)
        set_timer(remote, 0);
    pthread_mutex_unlock(&remote->lock);
    pthread_join(remote->thread, NULL);
}

void remote_close(struct remote *remote)
{
    if (remote->hears)
        end_thread(remote);
    for (size_t i = 0; i < remote->used; i++) {
        (void)close(remote->places[i]->bell);
        free(remote->places[i]);
    }
    if (remote->log >= 0)
        (void)close(remote->log);
    if (remote->timer >= 0)
        (void)close(remote->timer);
    (void)close(remote->socket);
    pthread_mutex_destroy(&remote->hearing);
    pthread_mutex_destroy(&remote->lock);
    free(remote);
}
