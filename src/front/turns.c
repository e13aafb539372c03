/*
 * Whose turn it is: which thread leads, which may run, which are parked, and the
 * queue of requests that no thread could take. Everything here is under the
 * front's lock; what a thread does with its turn is not known here.
 */
#include "config.h"

#include <assert.h>

#include "front/front.h"

/* Whoever is woken wants the lock first of all: it is free by then. */
void turns_call(struct front *front)
{
    bool has_work = front->queued + (front->leaders == 0) > front->called;
    bool parked = front->parked > 0;
    /* A keeper that knows hears of all that comes in, and asks again, under this lock, before it stops to. */
    bool known = front->leaders == 0 && front->relieved;
    bool calls =
        has_work && front->parked > front->called && front->active + front->called < front->processors;
    front->called += calls;
    pthread_mutex_unlock(&front->lock);
    if (calls)
        pthread_cond_signal(&front->work);
    else if (has_work && !parked && !known)
        events_ring(front->alarm); /* the keeper where nobody leads, else the leader */
}

/* With the lock held. */
static void put(struct front *front, struct connection *connection)
{
    connection->next = NULL;
    if (front->queue_first)
        front->queue_last->next = connection;
    else
        front->queue_first = connection;
    front->queue_last = connection;
    front->queued++;
}

bool turns_queue(struct front *front, struct connection *connection)
{
    pthread_mutex_lock(&front->lock);
    bool room = front->queued < front->policy->server.queue + front->parked + front->leaders;
    if (room) {
        put(front, connection);
        turns_call(front);
    } else {
        pthread_mutex_unlock(&front->lock);
    }
    return room;
}

void turns_put_back(struct front *front, struct connection *connection)
{
    pthread_mutex_lock(&front->lock);
    put(front, connection);
    turns_call(front);
}

struct connection *turns_next(struct turn *turn)
{
    struct connection *connection = turn->batch;
    if (connection)
        turn->batch = connection->next;
    return connection;
}

/* With the lock held. */
void turns_leave_lead(struct turn *turn)
{
    if (turn->leads)
        turn->front->leaders--;
    turn->leads = false;
}

/* The exchange begins to wait for a handler or a body: another thread's turn. */
void turns_wait(struct exchange *exchange)
{
    struct turn *turn = exchange->owner;
    struct front *front = turn->front;
    if (turn->waits)
        return;
    turn->waits = true;
    pthread_mutex_lock(&front->lock);
    assert(front->active > 0);
    front->active--;
    turns_leave_lead(turn);
    /* These few are let in whatever the queue's limit is: they were accepted. */
    for (struct connection *connection; (connection = turns_next(turn));)
        put(front, connection);
    turns_call(front);
}

bool turns_have_queue(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    bool has = front->queue_first != NULL;
    pthread_mutex_unlock(&front->lock);
    return has;
}

bool turns_have_room(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    bool have = front->parked > front->queued && 2 * (front->parked - front->queued) >= front->threads;
    pthread_mutex_unlock(&front->lock);
    return have;
}

/* With the lock held. */
static struct connection *dequeue(struct front *front)
{
    struct connection *connection = front->queue_first;
    if (connection) {
        assert(front->queued > 0);
        front->queue_first = connection->next;
        front->queued--;
    }
    return connection;
}

/* Whether nobody reads what comes in, and nobody can but the keeper. */
bool turns_need_relief(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    bool needed = front->leaders == 0 && (front->parked == 0 || front->active >= front->processors);
    front->relieved = needed;
    pthread_mutex_unlock(&front->lock);
    return needed;
}

void turns_call_again(struct front *front)
{
    pthread_mutex_lock(&front->lock);
    bool called = front->called > 0;
    pthread_mutex_unlock(&front->lock);
    if (called)
        pthread_cond_broadcast(&front->work);
}

/* With the lock held: finds a queued request, or the lead, or a place to park. */
static void find(struct turn *turn)
{
    struct front *front = turn->front;
    while (!atomic_load(&front->over)) {
        bool may_run = front->active < front->processors;
        if (may_run && (turn->batch = dequeue(front))) {
            turn->batch->next = NULL;
            front->active++;
            return;
        }
        if (may_run && front->leaders < (turn->stands_by ? 2 : 1)) {
            turn->leads = true;
            front->leaders++;
            return;
        }
        front->parked++;
        pthread_cond_wait(&front->work, &front->lock);
        front->parked--;
        if (front->called > 0)
            front->called--;
    }
}

void turns_find(struct turn *turn)
{
    struct front *front = turn->front;
    find(turn);
    if (turn->batch && front->parked > 0)
        turns_call(front); /* there may be work for one more */
    else
        pthread_mutex_unlock(&front->lock);
}

/* With the lock held. */
void turns_end(struct turn *turn)
{
    struct front *front = turn->front;
    turns_leave_lead(turn);
    if (turn->waits)
        return;
    assert(front->active > 0);
    front->active--;
}
