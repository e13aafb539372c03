/*
 * What the scan has taken, jansson takes, but for names that occur twice.
 */
#include "config.h"

#include <limits.h>

#include "data/json_body.h"

static void refuse(const json_error_t *error, struct defect *defect)
{
    uint64_t offset = error->position > 0 ? (uint64_t)error->position : 0;
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        defect_set(defect, offset, "json_duplicate", "has an object with the same name twice");
        break;
    case json_error_numeric_overflow:
        defect_set(defect, offset, "json_number_range", "has a number that is out of range");
        break;
    default: /* the scan has taken it: there is no memory */
        defect_set_failure(defect, offset, "json_failed", "could not be read");
    }
}

json_t *json_body_read(struct text text, const struct json_limits *limits, struct defect *defect)
{
    json_error_t error;
    if (text.length > INT_MAX) { /* jansson counts in int */
        defect_set(defect, INT_MAX, "json_values", "has too many values");
        return NULL;
    }
    if (!json_scan(text, limits, defect))
        return NULL;
    /* Without JSON_ALLOW_NUL a string cannot hold one. */
    json_t *value = json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!value)
        refuse(&error, defect);
    return value;
}
