/*
 * Quota: the arithmetic of limits. From a rule, what a counter holds and the
 * time comes whether so much may be taken, and what the counter holds then.
 * Pure functions of integers: no clock is read and nothing is kept here.
 *
 * Times are microseconds of the counter's own clock (store/counters.h), which
 * has to be below 2^61; sums that would not fit stay at the greatest number.
 */
#ifndef STORE_QUOTA_H
#define STORE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum quota_algorithm {
    /* At most `limit` units in a window that begins with its first request and
     * is followed by a new one (as express-rate-limit counts). */
    QUOTA_FIXED,
    /* At most `limit` units in any span as long as the window. Units are kept
     * by sixteenths of it, so each counts for up to a sixteenth longer: sixteen
     * that are whole, and the one that the window begins in. */
    QUOTA_SLIDING,
    /* A unit every window / limit, and `burst` units ahead of that: the generic
     * cell rate algorithm (ITU-T I.371), as nginx's limit_req counts. */
    QUOTA_GCRA,
};

enum { QUOTA_SEGMENTS = 17, QUOTA_COST_MOST = 1000000, QUOTA_LIMIT_MOST = 1000000000 };
#define QUOTA_TIME_MOST (UINT64_C(366) * 24 * 3600 * 1000000) /* windows, delays, bans */

struct quota {
    enum quota_algorithm algorithm;
    uint64_t limit;    /* units a window, to QUOTA_LIMIT_MOST; 0: nothing is ever admitted */
    uint64_t window;   /* microseconds, 1 to QUOTA_TIME_MOST */
    uint64_t burst;    /* gcra, to QUOTA_LIMIT_MOST: units that may be taken ahead of the rate */
    uint64_t delay;    /* gcra, microseconds: what is ahead of the rate waits, at most so long; 0: never */
    uint64_t ban;      /* microseconds that a refusal bans for; 0: none */
    uint64_t ban_most; /* each further ban doubles up to this; at most `ban`: none does */
};

/* What a counter holds; all zero: nothing was ever taken. */
struct quota_state {
    uint64_t time; /* fixed: begin of the window; sliding: begin of the newest segment;
                      gcra: the theoretical arrival time of the next unit */
    uint64_t part; /* fixed: units taken; gcra: fraction of `time` in 1/limit microseconds */
    uint32_t segments[QUOTA_SEGMENTS]; /* sliding: units taken, newest first */
    uint64_t banned;                   /* until when; 0: never was */
    uint32_t bans;                     /* in a row */
};

struct quota_answer {
    bool admitted;
    bool banned;
    uint64_t wait;      /* admitted: microseconds until it may go on */
    uint64_t remaining; /* units that could be taken now, once this is taken or refused */
    uint64_t reset;     /* microseconds until all units can be taken again */
    uint64_t retry;     /* refused: microseconds until so much could be admitted; UINT64_MAX: never */
};

/* Whether `cost` units (0 to QUOTA_COST_MOST) can be taken at `now`; the state stays. A
 * time before that of the state, which no clock of ours gives, never admits more. A cost
 * of 0 takes nothing, waits for nothing, and is refused by a ban and by a limit of 0 alone. */
struct quota_answer quota_judge(const struct quota *, const struct quota_state *, uint64_t now,
                                uint64_t cost);

/* Takes what quota_judge() has admitted; what it has not is taken too, as if there were room. */
void quota_take(const struct quota *, struct quota_state *, uint64_t now, uint64_t cost);

/* After a refusal by this very quota: bans where the rule says so, and a ban that is on is
 * not made longer. True where the state has changed: judging again gives the answer
 * with the ban. A refusal changes nothing else. A rule without `ban` knows of no ban. */
bool quota_refuse(const struct quota *, struct quota_state *, uint64_t now);

/* Gives back what was taken at `taken`; what has expired since is not given twice. gcra
 * gives back as much as is ahead of the rate: never more units than were taken, but
 * what was held for long comes on top of the burst. The rate holds all the same,
 * because what was held was not there for others meanwhile. */
void quota_give_back(const struct quota *, struct quota_state *, uint64_t taken, uint64_t now, uint64_t cost);

/* From when on the state is worth as much as none. */
uint64_t quota_expiry(const struct quota *, const struct quota_state *);

/* A state as bytes, short where it can be, and back; false where the bytes are
 * none of ours. Little-endian, and the same for all versions of one schema. */
enum { QUOTA_BYTES = 128 };
size_t quota_write(const struct quota_state *, enum quota_algorithm, unsigned char to[QUOTA_BYTES]);
bool quota_read(struct quota_state *, enum quota_algorithm, const unsigned char *from, size_t length);

#endif
