/*
 * A Node process that measures its own peers (node_peers.mjs) with the tokens it
 * is given. It knows nothing of rounds, or of what others take.
 */
#ifndef BENCH_NODE_PEERS_H
#define BENCH_NODE_PEERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

/* Starts it; without a script nothing is measured. Ends the process when there
 * is one and it fails, now or later. */
void node_start(const char *script);
void node_stop(void);

/* Whom it measures, with versions; NULL: nobody. */
const char *node_versions(void);

/* The key (PEM, or the secret itself) and the tokens of an algorithm. */
void node_add(const char *name, bool secret, struct text key, const struct text *tokens, size_t count);

/* Microseconds of CPU for one token; NAN where it does not know the algorithm.
 * The ways are "parsed" and "text" (jsonwebtoken), and "jose". */
double node_measure(const char *name, const char *way);

#endif
