/*
 * Front: what the threads of the FastCGI front share; private to fastcgi.c and
 * the files that are declared below.
 */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

#include "front/connection.h"
#include "http/exchange.h"
#include "policy/policy.h"

struct front {
    const struct policy *policy;
    struct launcher *launcher;
    struct connection_limits limits;
    int listener;
    int events; /* epoll: listener, connections */
    int alarm;  /* wakes the keeper, and the thread that leads if there is one */
    struct connection *table;
    size_t threads, capacity, processors;
    uint64_t started; /* clock_milliseconds */
    uint64_t stopped; /* when it began to drain, for the keeper alone; clock_milliseconds */
    atomic_bool over, accept_paused;
    _Atomic uint64_t pause_told; /* when that was last logged; clock_milliseconds */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t work;  /* something is queued, or nobody leads */
    struct connection *unused;
    struct connection *queue_first, *queue_last;
    size_t queued, open, used; /* used: slots of the table ever taken */
    size_t parked;             /* threads without work */
    size_t called;             /* those of them that have been woken, and do not run yet */
    size_t active;             /* threads that run, as far as they have not begun to wait for a handler */
    size_t leaders;            /* threads that wait for events, or will when they have answered */
    bool relieved;             /* the keeper knows that it is to read in their place */
};

/* A thread's place among the others while it serves. */
struct turn {
    struct front *front;
    bool leads, waits;
    bool stands_by;           /* it may wait for events beside one that leads */
    struct connection *batch; /* complete requests it will answer next, unless it has to wait */
};

/* events.c: epoll, and who has a connection. */
void events_ring(int alarm); /* wakes whoever waits for it */
void events_watch(const struct front *, int operation, int descriptor, uint32_t events, void *what);
bool events_claim(struct connection *);

/* Claims a connection for an event, or else tells whoever has it. One of both
 * happens even if it begins to wait meanwhile: an edge comes only once. */
bool events_claim_or_tell(struct connection *, bool hung_up);

/* Tells epoll what to wait for on a connection that is claimed. */
void events_arm(struct front *, struct connection *, uint32_t events);

/* Lets a claimed connection wait; false when an event has come already, so
 * that whoever claimed it must go on. */
bool events_await(struct front *, struct connection *, enum connection_step);

/* places.c: the table of open connections. */
size_t places_count(struct front *);
void places_close(struct front *, struct connection *, struct intake **spare);
void places_resume(struct front *); /* accepting, if it was paused */

/* The next connection that waits, claimed; NULL when there is none, or no place
 * for it: then it stays in the backlog. */
struct connection *places_accept(struct front *);

/* turns.c: whose turn it is. Those marked so are called with the lock held; the first two release it. */
void turns_find(struct turn *);               /* locked: a queued request, the lead, or neither: it is over */
void turns_call(struct front *);              /* locked: lets another thread run where there is work for it */
void turns_end(struct turn *);                /* locked */
void turns_leave_lead(struct turn *);         /* locked */
void turns_wait(struct exchange *);           /* the exchange begins to wait: another thread's turn */
struct connection *turns_next(struct turn *); /* of its batch */
bool turns_queue(struct front *, struct connection *); /* false: the queue is full */
bool turns_have_queue(struct front *);
bool turns_have_room(struct front *);   /* half of the threads have no work */
bool turns_need_relief(struct front *); /* nobody reads what comes in, and nobody can but the keeper */

/* Now and then: glibc before 2.41 may lose the signal that wakes a thread (its bug 25847), which would be
 * counted as on its way for ever, and no other woken in its place. */
void turns_call_again(struct front *);

/* Of a thread that takes the next of its batch or of the queue instead, so that no more wait than before:
 * it is let in whatever the limit is. */
void turns_put_back(struct front *, struct connection *);

/* steps.c: a claimed connection. True, or a connection, when there is a request
 * to be served; otherwise it waits again or is closed. */
bool steps_follow(struct front *, struct connection *, enum connection_step, struct intake **spare);
bool steps_advance(struct front *, struct connection *, struct intake **spare);
struct connection *steps_accept(struct front *, struct intake **spare);
struct connection *steps_take_event(struct front *, const struct epoll_event *, struct intake **spare);

/* For a request that is to be served: by this thread, by another, or by a
 * refusal, behind which the connection has a next step. */
void steps_serve(struct turn *, struct connection *, struct intake **spare);
void steps_queue(struct front *, struct connection *, struct intake **spare);
enum connection_step steps_refuse(struct front *, struct connection *, struct verdict, struct intake **spare);

/* Of a request whose parameters are here: whether it is served while its body is coming. */
bool steps_take_bodies(struct front *, struct connection *);

/* keeper.c: the first thread. */
int keeper_open_signals(void);                /* -1 on failure */
bool keeper_run(struct front *, int signals); /* true when everything was answered */

#endif
