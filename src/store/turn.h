/*
 * Turn: several processes that write to one file take turns, in the order in
 * which they came. A courtesy and no lock: who waited too long goes on without
 * and has to leave it to the file's own lock that nothing is mixed up.
 */
#ifndef STORE_TURN_H
#define STORE_TURN_H

#include <stdint.h>

#include "base/error.h"

struct turn {
    int file;         /* -1: none; then there are no turns */
    int64_t number;   /* drawn last */
    uint64_t patient; /* clock_milliseconds() from when on it is waited for again */
};

enum { TURN_SULK_MS = 1000 };

/* Makes the file where it is not there. False with an error; turn_close() in both cases. */
bool turn_open(struct turn *, const char *path, struct error *);

/* Waits at most so long; false when it is still another's. Who has waited in vain
 * does not wait again for TURN_SULK_MS: a stopped process would cost everybody
 * that long each time. A process that ends gives its turn up. */
bool turn_take(struct turn *, unsigned milliseconds);
void turn_give(struct turn *);

void turn_close(struct turn *);

#endif
