/*
 * Backends, private to backends*.c: what there is behind the names of
 * backends.h. All but the first lines of each struct is of the registry's lock,
 * which is held for no system call. The time is asked for with the lock: what has
 * happened is never later than now.
 */
#ifndef HANDLER_BACKENDS_OWN_H
#define HANDLER_BACKENDS_OWN_H

#include <pthread.h>

#include "handler/backends.h"

struct kept_connection {
    struct backend_connection connection;
    uint64_t until; /* clock_milliseconds */
};

struct backend {
    struct backend *next;
    struct backend_registry *registry;
    const char *place, *manner;
    size_t number; /* in the registry */
    size_t most;   /* places that anybody will ever take */

    /* By whose rules it is probed or kept warm; NULL: by nobody's. */
    struct backends *probing, *warming;
    const void *target; /* of theirs */
    const struct backend_calls *calls;

    struct backend_health health;
    size_t used;
    struct kept_connection *kept; /* the oldest first; of `most` */
    size_t kept_count;
    char reason[BACKEND_REASON_SIZE]; /* of the last failure */
};

struct backend_registry {
    struct arena *arena;
    struct backend *first;
    size_t count; /* of backends */
    struct backends *groups;

    pthread_mutex_t lock;
    struct waiter *waiting; /* who waits longest is the first */
    pthread_cond_t aging;   /* one grows old earlier than `swept_at` */
    bool swept;             /* a thread closes what grows old */
    uint64_t swept_at;      /* when it will look */
};

struct member {
    struct backend *backend;
    const void *target;
    uint64_t seed; /* of its place */

    int64_t credit; /* of its turn */
};

struct backends {
    struct backends *next;
    struct backend_registry *registry;
    const struct backends_rules *rules;
    size_t count, own; /* the first of them are `address`, the rest `backup` */

    uint64_t reserve; /* of retries, in hundredths */
    struct member members[BACKENDS_MOST];
};

enum { RESERVE_MOST = 100 * 100 };

/* ---- backends_choose.c; with the lock */

enum choice { CHOICE_PLACE, CHOICE_WAIT, CHOICE_NONE };

/* Which of those that the lease has not tried its request goes to; CHOICE_WAIT: all that it could go to
 * are full. One that is not up then is to have its trial. */
enum choice backends_choose(const struct backend_lease *, uint64_t now, size_t *member);

/* Whether one of those that it has not tried is in service. */
bool backends_another_is_up(const struct backend_lease *, uint64_t now);

uint64_t backends_hash(struct text);

/* ---- backends_kept.c */

/* The one that was used last, or none; with the lock. */
struct backend_connection backend_take_kept(struct backend *);

/* The one that was not used for the longest time, or none; with the lock. */
struct backend_connection backend_take_oldest(struct backend *);

/* Keeps one until then; with the lock. */
void backend_keep(struct backend *, struct backend_connection, uint64_t until);

/* Those of a backend that is not up; without the lock. */
void backend_drop_kept(struct backend *);

void backend_connection_close(struct backend_connection);

/* Whether nothing can be read from it: that were its end, or no answer to anything. */
bool backend_connection_is_silent(struct backend_connection);

#endif
