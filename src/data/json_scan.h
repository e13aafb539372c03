/*
 * A pass over JSON before anything is allocated for it: whether it is JSON
 * (RFC 8259), how much of it there is, and whether it says the same to every
 * reader. It builds nothing, and does not see names that occur twice.
 */
#ifndef DATA_JSON_SCAN_H
#define DATA_JSON_SCAN_H

#include "data/defect.h"

enum { JSON_DEPTH_MOST = 512 };

struct json_limits {
    size_t depth;   /* arrays and objects within each other, at most JSON_DEPTH_MOST */
    size_t values;  /* all of them, arrays and objects included */
    size_t members; /* of one object */
    size_t string;  /* bytes of a string or name without its escapes */
    bool rounded;   /* real numbers may lose digits; else such are refused */
};

/* Whether the text is one JSON value within the limits, in UTF-8. Else false
 * with one of these defects, at the byte that shows it:
 *   json_empty              there is nothing, or nothing but blanks
 *   json_bom                a byte order mark, which some readers skip (8.1)
 *   json_syntax             what cannot stand there (a comment, a trailing comma ...)
 *   json_incomplete         ends too early
 *   json_trailing           something behind the value
 *   json_utf8               not UTF-8, raw surrogates and overlong forms included
 *   json_control_character  raw, in a string
 *   json_escape             an escape that JSON does not have
 *   json_surrogate          half a surrogate pair (8.2)
 *   json_nul                \u0000
 *   json_number             not a number of JSON (01, +1, .5, 1., NaN)
 *   json_number_range       an integer over 64 bits, or a real number too large or too small for a double
 *   json_number_precision   a real number with more digits than are kept
 *   json_depth, json_values, json_members, json_string   over a limit */
bool json_scan(struct text, const struct json_limits *, struct defect *);

#endif
