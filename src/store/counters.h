/*
 * Counters: what callers have used of their limits, shared by all threads and
 * processes, and by all machines where the store is. Several draws are taken
 * together or not at all. Where counters are is known to their kinds alone:
 * counters_sqlite.c, counters_redis.c, counters_memory.c.
 *
 * Each store has one clock that all who use it agree on and that never runs
 * backwards. SQLite: CLOCK_BOOTTIME and an offset that the file keeps for each
 * boot. Redis: the server's, held back by the newest time it has ever said, which
 * it goes on from where it was set back by more than a minute.
 */
#ifndef STORE_COUNTERS_H
#define STORE_COUNTERS_H

#include "base/error.h"
#include "base/text.h"
#include "store/quota.h"

enum { DRAWS_LIMIT = 8, COUNTER_KEY_SIZE = 256 };

/* So much from one counter. `key` is what people read: the limit's name and by
 * whom, "login address=192.0.2.7"; UTF-8 on one line, 1 to COUNTER_KEY_SIZE bytes. */
struct draw {
    struct text key;
    const struct quota *quota;
    uint64_t cost;
};

struct taken {
    bool admitted;                            /* all of them, or none was taken */
    uint64_t time;                            /* of the store's clock, for giving back */
    struct quota_answer answers[DRAWS_LIMIT]; /* of each draw, as if it stood alone */
};

struct counter { /* as the command line shows it */
    struct text key;
    enum quota_algorithm algorithm;
    struct quota_state state;
    uint64_t expires, now; /* of the store's clock */
};

enum durability {
    DURABILITY_NORMAL, /* a power cut may lose the last moments, a crash nothing */
    DURABILITY_FULL,   /* what was answered is on the disk */
    DURABILITY_OFF,    /* a power cut may lose all; the system writes when it likes */
};

struct counters_rules {
    const char *place;     /* absolute path of a file, or a redis:, rediss: or redis+unix: URL */
    const char *password;  /* of Redis; NULL: none */
    uint64_t timeout;      /* milliseconds after which a check has failed */
    uint64_t rows;         /* counters there may be */
    int durability;        /* enum durability */
    const uint64_t *clock; /* of counters in memory: microseconds that are played; NULL: the system's */
};

/* A failed store is opened again by itself, in the background, ever more
 * slowly to once in so many milliseconds. That it failed and that it is back are
 * logged, once each (store_failed, store_back). */
enum { COUNTERS_RETRY_MOST_MS = 5000 };

struct counters;

/* Whether a store at this place can count by a rule exactly; false with an error. */
bool counters_fit(const char *place, const struct quota *, struct error *);

/* Opens the store in this process, after its last fork and before it is confined, without a
 * thread. NULL with an error where the rules are wrong; a file or server that cannot
 * be used is no error, because it may be soon. */
struct counters *counters_open(const struct counters_rules *, struct error *);

/* Whether there are counters already, so that counters_open() makes none; a server always
 * counts as there. False with an error. */
bool counters_are_there(const struct counters_rules *, struct error *);

/* Makes the thread that collects checks and carries them out by many at once. */
bool counters_start(struct counters *, struct error *);

/* In the memory of this process alone, for while a store is out. `rows` is a bound. */
struct counters *counters_open_memory(uint64_t rows);

/* The same by a clock that is played: `*microseconds`, which the caller sets and never back. */
struct counters *counters_open_played(uint64_t rows, const uint64_t *microseconds);

/* Takes all of the draws (1 to DRAWS_LIMIT, no two of one key) or none. False with an error when the store
 * could not say within its time-out; then nothing was taken, or will be given
 * back by expiring alone. Any thread; it waits. */
bool counters_take(struct counters *, const struct draw draws[], size_t count, struct taken *,
                   struct error *);

/* Gives back what was taken at `time`, soon: it does not wait. Where the store is out it is done
 * when that is back, unless there are too many or nobody knows whether it was done. */
void counters_give_back(struct counters *, const struct draw draws[], size_t count, uint64_t time);

/* Takes again now what was taken at `time`, for who holds it longer than a
 * window; the result is its new time, or the old one when the store is out. It waits
 * as counters_take() does. */
uint64_t counters_renew(struct counters *, const struct draw draws[], size_t count, uint64_t time);

/* For the command line, without a thread: calls `each` with those whose key is `key`, or
 * with all where it is empty, until it says false. */
bool counters_list(struct counters *, struct text key, bool (*each)(void *context, const struct counter *),
                   void *context, struct error *);

/* Forgets the counters of a key; how many there were, or -1 with an error. */
int counters_reset(struct counters *, struct text key, struct error *);

/* Ends the thread and what it has open, once what was given back is; those who wait fail. A
 * store that hangs is left behind after a second, with its thread. */
void counters_close(struct counters *);

#endif
