/*
 * A Node process that measures its own peers with the subjects it is given. It
 * knows nothing of rounds, or of what others take.
 */
#ifndef BENCH_NODE_PEERS_H
#define BENCH_NODE_PEERS_H

#include <jansson.h>

/* Starts the script; without one nothing is measured. Ends the process when there
 * is one and it fails, now or later. */
void node_start(const char *script);
void node_stop(void);

/* Whom it measures, with versions; NULL: nobody. */
const char *node_versions(void);

/* What there is to measure; the script knows its members, of which "name" is one. Takes over the reference.
 */
void node_add(json_t *subject);

/* Microseconds of CPU for one piece of the subject's, in one of the script's ways;
 * NAN where the script does not know it. */
double node_measure(const char *name, const char *way);

#endif
