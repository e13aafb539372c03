/*
 * JSON that identities are made of: one object, read as strangers' bodies are
 * (data/json_body.h), and wiped. It knows nothing of tokens or keys.
 */
#ifndef IDENTITY_STRICT_JSON_H
#define IDENTITY_STRICT_JSON_H

#include <jansson.h>

#include "base/text.h"

enum { STRICT_JSON_DEPTH_LIMIT = 32 };

/* A new reference to the object; NULL when the text is not exactly one JSON
 * object in UTF-8 (RFC 8259), has a member twice at any depth, holds U+0000,
 * is nested deeper than the limit or has a number that overflows. */
json_t *strict_json_object(struct text);

/* The string under `key`: true and the text (valid as long as the object), or
 * true and an empty text with NULL when there is no such member; false when
 * the member is not a string. */
bool strict_json_string(const json_t *object, const char *key, struct text *string);

/* Gives back a reference that is the last, with its strings wiped; NULL is allowed. */
void strict_json_wipe(json_t *);

#endif
