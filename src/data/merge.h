/*
 * Merge: what a map of a file says where defaults have said something already.
 */
#ifndef DATA_MERGE_H
#define DATA_MERGE_H

#include "base/arena.h"
#include "data/decode.h"

/* The map that says what `over` says and, for the rest, what `under` (NULL: nothing) says; names are those of
 * headers, without case. Where `under` is a scalar, it is the map of the one key `bare`. */
const struct node *merge_maps(const struct node *under, const struct node *over, struct text bare,
                              struct arena *);

/* `over` and, of the keys in `kept` (ended by NULL), those that it leaves to `under`. A short form is the
 * first key of the section. Either may be NULL. */
const struct node *merge_kept(const struct node *under, const struct node *over, const char *const *kept,
                              const struct section *, struct arena *);

#endif
