/*
 * Permissions value: the header's value as a browser reads it, a dictionary of
 * structured fields (RFC 9651, 3.2); private to permissions*.c.
 */
#ifndef RESPOND_PERMISSIONS_VALUE_H
#define RESPOND_PERMISSIONS_VALUE_H

#include "base/arena.h"
#include "base/text.h"

enum { PERMISSIONS_LIMIT = 128 }; /* features in one value */

struct feature {
    struct text name;
    struct text value; /* as it stands, without parameters */
    bool all;          /* "*" */
    struct texts members;
};

struct dictionary {
    struct feature *items;
    size_t count;
};

/* False where a browser would ignore it all. In the arena. */
bool permissions_read(struct text value, struct dictionary *, struct arena *);

/* The one of that name that counts, the last; NULL: there is none. */
const struct feature *permissions_find(const struct dictionary *, struct text name);

/* Takes a feature's name off the front; empty when there is none. */
struct text permissions_take_name(struct text *rest);

#endif
