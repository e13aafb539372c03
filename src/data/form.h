/*
 * Forms: application/x-www-form-urlencoded (WHATWG URL Standard, 5.1), as
 * bodies and queries have it. Pairs keep their order, and a name may occur more
 * than once. What the pairs mean is not known here.
 */
#ifndef DATA_FORM_H
#define DATA_FORM_H

#include "base/arena.h"
#include "data/defect.h"

struct form_limits {
    size_t pairs;
    size_t name, value; /* bytes of one, decoded */
};

struct form_pair {
    struct text name, value; /* "a" is as "a=": a name without a value */
    struct text raw;         /* the value as it was written; empty in forms that have no escapes */
    size_t offset;           /* in what was read */
};

struct form {
    struct form_pair *items;
    size_t count;
};

/* Reads all pairs into the arena. "&" separates, ";" does not, empty pieces are
 * passed over, "+" is a blank. False with one of these defects, of which those
 * of a value tell its name:
 *   form_pairs               too many pairs
 *   form_name, form_value    too long
 *   form_escape              "%" without two hexadecimal digits
 *   form_nul                 NUL, raw or escaped
 *   form_control_character   another one, raw; escaped they may stand
 *   form_utf8                not UTF-8 when decoded; the offset is that of the name or value */
bool form_read(struct text, const struct form_limits *, struct arena *, struct form *, struct defect *);

#endif
