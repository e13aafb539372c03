/*
 * Header names: what is nearly one that browsers and caches act upon, and so is most
 * likely meant to be it. Any other name is a policy's own affair.
 */
#ifndef RESPOND_HEADER_NAMES_H
#define RESPOND_HEADER_NAMES_H

#include "data/decode.h"

/* Adds advice on the header that the node is named after, and on the directives of a Cache-Control. */
void header_name_advise(struct findings *, const struct node *);

#endif
