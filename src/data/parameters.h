/*
 * Parameters: a header's value with what stands behind its semicolons
 * (RFC 9110, 5.6.6), as Content-Type and Content-Disposition have it. What
 * readers of these headers read differently is refused.
 */
#ifndef DATA_PARAMETERS_H
#define DATA_PARAMETERS_H

#include "base/text.h"

enum { PARAMETERS_LIMIT = 8 };

struct parameters {
    struct text value; /* before the first semicolon */
    struct parameter {
        struct text name, value; /* without quotes */
    } items[PARAMETERS_LIMIT];
    size_t count;
};

/* NULL, or what is wrong, such as "has a parameter twice". Everything lies in
 * the text, which is on one line. No parameter is twice (ignoring case), none is
 * without a value, and a value is a token or is quoted: no backslash, which some
 * readers take for itself, and no single quote but in quotes. */
const char *parameters_read(struct text, struct parameters *);

/* The parameter's value (its name ignoring case), or NULL. */
const struct text *parameters_get(const struct parameters *, const char *name);

#endif
