/*
 * Backend health: whether one backend is in service, as a circuit breaker says.
 * A pure function of what its requests came to and of the time: it reads no
 * clock, takes no lock and knows no socket. Times are milliseconds of one clock.
 *
 * UP -> OUT after so many failures in a row; OUT -> TRIAL by one request, at the
 * earliest after a pause; TRIAL -> UP, or OUT again for twice the pause. So is one that fails again
 * before it has been up for the longest pause.
 */
#ifndef HANDLER_BACKEND_HEALTH_H
#define HANDLER_BACKEND_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum { BACKEND_PAUSE_FIRST = 500 };  /* the first time out; each one after it is twice as long */
enum { BACKEND_PROBE_OUT = 1000 };   /* between probes of one that is out */
enum { BACKEND_SHARE_WHOLE = 1000 }; /* of requests; slow start begins with a tenth of it */

/* Policy key `health`, as far as it is about this. */
struct backend_health_rules {
    uint64_t failures;   /* in a row, at least 1 */
    uint64_t out;        /* the longest time out */
    uint64_t slow_start; /* until its share is whole; 0: at once */
};

enum backend_state { BACKEND_UP, BACKEND_OUT, BACKEND_TRIAL };

/* All zero: up, and so from the beginning. */
struct backend_health {
    enum backend_state state;
    bool refuses;      /* no connection could be made when it was last asked */
    bool quick;        /* so, or it failed at once: trying it costs nobody any time */
    bool eases;        /* it came back, so that slow start is due */
    bool asked;        /* a request that it took has failed, and none was good since it is out or back */
    bool early;        /* the trial did not wait for its time */
    uint64_t failures; /* in a row */
    uint64_t since;    /* of being out, or of being up again */
    uint64_t pause;    /* the last time out; 0: there was none */
    uint64_t trial_at; /* while out: when a trial is due */
    int64_t balance;   /* of requests: those that came to good, less those that were late */
};

/* What a request says of a backend. */
enum backend_outcome {
    BACKEND_UNTOLD, /* nothing: the client went away, the time of the request was up */
    BACKEND_GOOD,
    BACKEND_REFUSED, /* no connection could be made, at once */
    BACKEND_FAILED,  /* it broke off, or answered what it must not */
    BACKEND_LATE,    /* it did not answer in time */
};

enum backend_change { BACKEND_SAME, BACKEND_WENT_OUT, BACKEND_CAME_BACK };

/* Whether it is out and its time for a trial has come. */
bool backend_health_is_due(const struct backend_health *, uint64_t now);

/* Makes it a TRIAL. It must be OUT. Before its time it is an early one, which puts off
 * the next only where nothing came of it in time. */
void backend_health_begin_trial(struct backend_health *, uint64_t now);

/* The connection of the trial has been made. One that was out because it refused them is up by that,
 * for everybody, and one failure away from being out. */
enum backend_change backend_health_connected(struct backend_health *, const struct backend_health_rules *,
                                             uint64_t now);

/* What comes of a request. */
struct backend_report {
    enum backend_outcome outcome;
    bool trial;      /* it is the one that has the trial, which ends by this whatever it says */
    int64_t balance; /* as it began: BACKEND_LATE says nothing where more others came to good since than were
                        late */
};

/* Takes what a request came to. While the backend is out, what others than the trial come to says nothing. */
enum backend_change backend_health_report(struct backend_health *, const struct backend_health_rules *,
                                          struct backend_report, uint64_t now);

/* Takes what a probe came to. One that is good says nothing of what requests have failed at: what they
 * sent out is up by it at the earliest after its pause, and one failure away from being out. */
enum backend_change backend_health_probed(struct backend_health *, const struct backend_health_rules *,
                                          struct backend_report, uint64_t now);

/* The share of its requests that it is to have while up, in thousandths: 100 to BACKEND_SHARE_WHOLE. */
unsigned backend_health_share(const struct backend_health *, const struct backend_health_rules *,
                              uint64_t now);

#endif
