/*
 * Headers: field names in one spelling (lower case, dashes) with one value
 * each. In requests, made from HTTP_* parameters; in replies, in any order.
 */
#ifndef HTTP_HEADERS_H
#define HTTP_HEADERS_H

#include "base/text.h"

struct header {
    struct text name, value;
};
struct headers {
    struct header *items;
    size_t count, capacity;
};

/* The value, or NULL when there is none. `name` in lower case. */
const struct text *headers_get(const struct headers *, const char *name);

/* Adds one, also if the name is there already (Set-Cookie). */
void headers_add(struct headers *, struct arena *, struct text name, struct text value);

/* Replaces all of that name by one, case ignored. */
void headers_set(struct headers *, struct arena *, struct text name, struct text value);

/* Makes one Vary of all there are, with these names in it, too: none twice, and where "*" is one
 * of them, or there are 100 or more, that alone (RFC 9110, 12.5.5). */
void headers_vary(struct headers *, struct arena *, const char *const names[], size_t count);

/* The header that tells what a variable does, as REMOTE_USER is Remote-User; in the arena. */
struct text header_of_variable(struct text variable, struct arena *);

/* Removes all of that name, case ignored; how many there were. */
size_t headers_remove(struct headers *, struct text name);

/* Whether a value may stand in a field line: no control character but the tab
 * (RFC 9110, 5.5). */
bool header_value_is_safe(struct text);

/* Whether repeated lines of this request header (lower case) may be joined
 * with ", " (RFC 9110, 5.3); "cookie" is joined with "; " (RFC 9113, 8.2.3). */
bool header_is_list(struct text name);

/* Of replies: whether it makes some web server send a file, ask another address, or
 * change how it treats the reply. */
bool header_steers(struct text name);

/* Of replies: whether it is about the connection or the head itself, and for nobody behind it. */
bool header_is_of_connection(struct text name);

#endif
