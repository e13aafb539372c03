/*
 * Access log: one JSON line a request, once it is answered. No secret, no
 * token, no cookie, no query value, no body.
 */
#ifndef WATCH_ACCESS_LOG_H
#define WATCH_ACCESS_LOG_H

#include "http/exchange.h"

/* {"time","level","event":"request","requestId","method","path","status",
 * "duration" (ms, three decimals),"address","userAgent","route","sent", and for
 * refusals "guard","code","detail"}. Level: info; notice for 401, 403, 429 and
 * what a guard refused; warning for faults and 5xx. Fields are cut so that the line fits. */
void access_log_write(const struct exchange *);

/* A security event that did not end the request: a guard that only reports. */
void access_log_reported(struct exchange *, struct verdict);

/* A line of a program's standard error, with the request's id. Control
 * characters are escaped; long lines are cut and marked. */
void access_log_program(const struct exchange *, const char *handler, struct text line);

/* What a handler said of its own failure, whose reply went out without it: level debug, and not read for any
 * other. Cut to fit and marked ("truncated"), also where it was not `whole` before. */
void access_log_original(const struct exchange *, const char *handler, struct text body, bool whole);
bool access_log_wants_original(void);

#endif
