/*
 * Merge: what a map of a file says where defaults have said something already.
 */
#ifndef DATA_MERGE_H
#define DATA_MERGE_H

#include "base/arena.h"
#include "data/decode.h"

/* A null that somebody has written, and not a value that was forgotten: it takes away what is beneath it. */
bool merge_is_null(const struct node *);

/* The map that says what `over` says and, for the rest, what `under` (NULL: nothing) says, header by header;
 * names are without case. Where `under` is a scalar, it is the map of the one key `bare`; what is no map
 * takes its place. */
const struct node *merge_headers(const struct node *under, const struct node *over, struct text bare,
                                 struct arena *);

/* The map of a section that says what `over` says and, for the rest, what `under` says, in the maps within
 * it likewise; a short form is the first key of the section. Keys of `under` that those of `over` displace
 * (struct field) are left out. Either may be NULL: the other says nothing. */
const struct node *merge_section(const struct node *under, const struct node *over, const struct section *,
                                 struct arena *);

#endif
