/*
 * Formats: what a string must look like to be a date, an address or a URI.
 */
#ifndef DATA_SCHEMA_FORMAT_H
#define DATA_SCHEMA_FORMAT_H

#include "base/text.h"

struct schema_format {
    const char *name;
    const char *phrase; /* for "is not ...": "an e-mail address" */
    bool (*fits)(struct text);
};

/* The format of that name, or NULL: a name that is not known asserts nothing. */
const struct schema_format *schema_format_find(struct text name);

#endif
