/*
 * Clock: the two clocks of the program, so that no other file picks one.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

#include "base/text.h"

/* Milliseconds of a clock that never jumps (CLOCK_MONOTONIC): for time-outs. */
uint64_t clock_milliseconds(void);

/* Microseconds of the same clock: for durations in the log. */
uint64_t clock_microseconds(void);

/* Milliseconds since 1970 (CLOCK_REALTIME): for what leaves the process. */
int64_t clock_wall_milliseconds(void);

#define CLOCK_RFC3339_SIZE 25
/* Writes "2026-01-31T12:00:00.000Z" (RFC 3339) and returns `to`. */
char *clock_rfc3339(int64_t wall_milliseconds, char to[CLOCK_RFC3339_SIZE]);

#define CLOCK_SPAN_SIZE 32
/* Writes a time for people, by its two largest units: "3h 12m", "45s". Returns `to`. */
char *clock_span(uint64_t seconds, char to[CLOCK_SPAN_SIZE]);

/* Reads "2026-01-31", the day's first second, or "2026-01-31T12:00:00Z": seconds since 1970, after 0.
 * False for anything else, and for days that are in no calendar. */
bool clock_parse_utc(struct text, int64_t *seconds);

#endif
