/*
 * Equal values and their hashes: SipHash-1-3 of each scalar, mixed by place in
 * a list and by name in an object.
 */
#include "config.h"

#include "data/schema_value.h"

#include "data/schema_number.h"

static bool equal_members(const json_t *a, const json_t *b)
{
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_t *object = (json_t *)a; /* jansson's iterators want it so */
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const json_t *other = json_object_getn(b, json_object_iter_key(at), json_object_iter_key_len(at));
        if (!other || !schema_value_equal(json_object_iter_value(at), other))
            return false;
    }
    return true;
}

static bool equal_items(const json_t *a, const json_t *b)
{
    size_t count = json_array_size(a);
    if (count != json_array_size(b))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!schema_value_equal(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return true;
}

bool schema_value_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return schema_number_compare(schema_number_of(a), schema_number_of(b)) == 0;
    if (json_typeof(a) != json_typeof(b))
        return false;
    switch (json_typeof(a)) {
    case JSON_OBJECT:
        return equal_members(a, b);
    case JSON_ARRAY:
        return equal_items(a, b);
    case JSON_STRING:
        return json_string_length(a) == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b), json_string_length(a)) == 0;
    default:
        return true;
    }
}

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

static uint64_t sip(const void *at, size_t length, const uint64_t seed[2])
{
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d, seed[0] ^ 0x6c7967656e657261,
                     seed[1] ^ 0x7465646279746573};
    const unsigned char *bytes = at;
    for (size_t left = length;; left -= 8, bytes += 8) {
        uint64_t word = left < 8 ? (uint64_t)length << 56 : 0;
        memcpy(&word, bytes, left < 8 ? left : 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
        if (left < 8)
            break;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t hash_members(const json_t *value, const uint64_t seed[2], size_t *count)
{
    json_t *object = (json_t *)value;
    uint64_t sum = json_object_size(object); /* a sum, for the order says nothing */
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        uint64_t pair[2] = {sip(json_object_iter_key(at), json_object_iter_key_len(at), seed),
                            schema_value_hash(json_object_iter_value(at), seed, count)};
        sum += sip(pair, sizeof pair, seed);
    }
    return sum;
}

static uint64_t hash_items(const json_t *value, const uint64_t seed[2], size_t *count)
{
    uint64_t pair[2] = {JSON_ARRAY, 0};
    for (size_t i = 0; i < json_array_size(value); i++) {
        pair[1] = schema_value_hash(json_array_get(value, i), seed, count);
        pair[0] = sip(pair, sizeof pair, seed);
    }
    return pair[0];
}

static uint64_t hash_number(const json_t *value, const uint64_t seed[2])
{
    struct schema_number number = schema_number_of(value);
    uint64_t parts[3] = {number.digits, (uint64_t)(int64_t)number.exponent, number.negative};
    return sip(parts, sizeof parts, seed);
}

uint64_t schema_value_hash(const json_t *value, const uint64_t seed[2], size_t *count)
{
    ++*count;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return hash_members(value, seed, count);
    case JSON_ARRAY:
        return hash_items(value, seed, count);
    case JSON_STRING:
        return sip(json_string_value(value), json_string_length(value), seed);
    case JSON_INTEGER:
    case JSON_REAL:
        return hash_number(value, seed);
    default:
        return (uint64_t)json_typeof(value);
    }
}
