/*
 * Equality of JSON values as JSON Schema means it: 1 and 1.0 are the same
 * number, the order of an object's members says nothing.
 */
#ifndef DATA_SCHEMA_VALUE_H
#define DATA_SCHEMA_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

bool schema_value_equal(const json_t *, const json_t *);

/* A hash that is the same for equal values. With a secret seed nobody can find
 * values that collide. `count` goes up by how many values it looked at. */
uint64_t schema_value_hash(const json_t *, const uint64_t seed[2], size_t *count);

#endif
