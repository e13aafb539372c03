/*
 * JSON of strangers: built (json_build.h) after a scan has found it to be JSON of
 * a size that may be read, and of one meaning.
 */
#ifndef DATA_JSON_BODY_H
#define DATA_JSON_BODY_H

#include <jansson.h>

#include "data/json_scan.h"

/* A new reference to the value, of any type; NULL with a defect: those of
 * json_scan(), and
 *   json_duplicate      an object has a name twice; the offset is behind the second
 *   json_number_range   also of a real number, where they may be rounded
 *   json_failed         there is no memory (a failure)
 * jansson's values take up to 50 bytes of memory a byte of text: that is what the limit
 * on values is for, and the one on members is for its hash table, as good as its
 * seed (json_object_seed). */
json_t *json_body_read(struct text, const struct json_limits *, struct defect *);

#endif
