/*
 * Excerpts: what a backend wrote, cut and escaped so that a log line may hold it.
 */
#ifndef HANDLER_EXCERPT_H
#define HANDLER_EXCERPT_H

#include "base/text.h"

/* At most 80 characters of printable ASCII, with "..." behind them where it was cut. In the arena. */
const char *excerpt(struct arena *, struct text);

#endif
