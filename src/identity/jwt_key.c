/*
 * The set of keys: secrets, and what a JWKS holds. PEM is read in jwt_pem.c.
 */
#include "config.h"

#include "identity/jwt_key.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "identity/jwk.h"
#include "identity/strict_json.h"

struct jwt_keys {
    struct arena *arena;
    jose_set algorithms;
    uint64_t generation;
    atomic_uint references;
    size_t count, skipped;
    struct error first_skipped;
    struct jwt_key keys[JWT_KEYS_LIMIT];
};

struct jwt_keys *jwt_keys_new(jose_set algorithms)
{
    static _Atomic uint64_t generations;
    struct arena *arena = arena_new();
    struct jwt_keys *keys = arena_alloc(arena, sizeof *keys);
    keys->arena = arena;
    keys->algorithms = algorithms;
    keys->generation = atomic_fetch_add(&generations, 1) + 1;
    atomic_init(&keys->references, 1);
    json_object_seed(0); /* it would read /dev/urandom later, and need not be thread-safe */
    return keys;
}

struct jwt_keys *jwt_keys_hold(struct jwt_keys *keys)
{
    atomic_fetch_add_explicit(&keys->references, 1, memory_order_relaxed);
    return keys;
}

static void free_key(struct jwt_key *key)
{
    for (size_t i = 0; i < JOSE_ALGORITHMS; i++)
        signature_check_free(key->checks[i]);
    *key = (struct jwt_key){0};
}

void jwt_keys_release(struct jwt_keys *keys)
{
    if (!keys || atomic_fetch_sub_explicit(&keys->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < keys->count; i++)
        free_key(&keys->keys[i]);
    arena_free(keys->arena);
}

/* The next free place, named; NULL with an error when there is none. */
static struct jwt_key *next_key(struct jwt_keys *keys, struct text id, struct error *error)
{
    if (keys->count == JWT_KEYS_LIMIT) {
        error_set(error, "there are more than %d keys", JWT_KEYS_LIMIT);
        return NULL;
    }
    struct jwt_key *key = &keys->keys[keys->count];
    key->id = (struct text){arena_copy(keys->arena, id.at, id.length), id.length};
    return key;
}

/* Keeps the key when all went well and it serves something. */
static bool keep_key(struct jwt_keys *keys, struct jwt_key *key, bool good, size_t served,
                     struct error *error)
{
    if (good && served > 0) {
        keys->count++;
        return true;
    }
    free_key(key);
    return error_set(error, good ? "it serves none of the algorithms that are allowed"
                                 : "OpenSSL cannot use it for the algorithms that are allowed");
}

static bool is_wanted(const struct jwt_keys *keys, jose_set wanted, size_t algorithm)
{
    return (keys->algorithms & wanted & jose_bit(&jose_algorithms[algorithm])) != 0;
}

static bool add_secret(struct jwt_keys *keys, jose_set wanted, struct text secret, struct text id,
                       struct error *error)
{
    size_t served = 0;
    bool good = true;
    struct jwt_key *key = next_key(keys, id, error);
    if (!key)
        return false;
    for (size_t i = 0; i < JOSE_ALGORITHMS && good; i++) {
        const struct jose_algorithm *algorithm = &jose_algorithms[i];
        if (algorithm->type != JOSE_OCT || !is_wanted(keys, wanted, i))
            continue;
        if (secret.length < algorithm->digest_size) {
            free_key(key);
            return error_set(error, "it is a secret of %zu bytes, and %s needs at least %zu", secret.length,
                             algorithm->name, algorithm->digest_size);
        }
        good = (key->checks[i] = signature_check_new_secret(algorithm, secret)) != NULL;
        served++;
    }
    return keep_key(keys, key, good, served, error);
}

static bool add_public(struct jwt_keys *keys, jose_set wanted, EVP_PKEY *public, struct text id,
                       struct error *error)
{
    size_t served = 0;
    bool good = true;
    struct jwt_key *key = next_key(keys, id, error);
    if (!key)
        return false;
    for (size_t i = 0; i < JOSE_ALGORITHMS && good; i++)
        if (is_wanted(keys, wanted, i) && signature_key_fits(&jose_algorithms[i], public)) {
            good = (key->checks[i] = signature_check_new(&jose_algorithms[i], public)) != NULL;
            served++;
        }
    return keep_key(keys, key, good, served, error);
}

bool jwt_keys_add_secret(struct jwt_keys *keys, struct text secret, struct text id, struct error *error)
{
    if (memmem(secret.at, secret.length, "-----BEGIN ", 11))
        return error_set(error, "it is PEM and no secret");
    return add_secret(keys, ~(jose_set)0, secret, id, error);
}

bool jwt_keys_add_public(struct jwt_keys *keys, EVP_PKEY *public, struct text id, struct error *error)
{
    return jwk_check_public(public, error) && add_public(keys, ~(jose_set)0, public, id, error);
}

static void add_jwk(struct jwt_keys *keys, const json_t *object, size_t index)
{
    struct jwk jwk;
    struct error error = {0};
    bool good = jwk_read(object, keys->arena, &jwk, &error);
    if (good && jwk.public)
        good = add_public(keys, jwk.algorithms, jwk.public, jwk.id, &error);
    else if (good)
        good = add_secret(keys, jwk.algorithms, jwk.secret, jwk.id, &error);
    EVP_PKEY_free(jwk.public);
    if (!good && keys->skipped++ == 0)
        error_set(&keys->first_skipped, "keys[%zu]: %s", index, error.message);
}

static bool add_list(struct jwt_keys *keys, const json_t *list, struct error *error)
{
    size_t index, before = keys->count;
    const json_t *object;
    if (!json_is_array(list))
        return error_set(error, "it is a JWKS without a list of \"keys\"");
    if (json_array_size(list) > JWKS_COUNT_LIMIT)
        return error_set(error, "there are more than %d keys", JWKS_COUNT_LIMIT);
    json_array_foreach(list, index, object)
    {
        if (jwk_is_private(object))
            return error_set(error, "keys[%zu] is a private key, and only public keys belong here", index);
    }
    json_array_foreach(list, index, object)
    {
        add_jwk(keys, object, index);
    }
    if (keys->count > before)
        return true;
    return error_set(error, "no key of the JWKS can be used%s%s", keys->skipped ? "; " : "",
                     keys->first_skipped.message);
}

bool jwt_keys_add_jwks(struct jwt_keys *keys, struct text json, struct error *error)
{
    if (json.length > JWT_KEY_FILE_LIMIT)
        return error_set(error, "it is larger than %d bytes", JWT_KEY_FILE_LIMIT);
    json_t *set = strict_json_object(json);
    if (!set)
        return error_set(error, "it is no JWKS: not one JSON object, or a member is there twice");
    bool good = add_list(keys, json_object_get(set, "keys"), error);
    strict_json_wipe(set);
    return good;
}

size_t jwt_keys_count(const struct jwt_keys *keys)
{
    return keys->count;
}

const struct jwt_key *jwt_keys_get(const struct jwt_keys *keys, size_t index)
{
    assert(index < keys->count);
    return &keys->keys[index];
}

size_t jwt_keys_skipped(const struct jwt_keys *keys, const char **reason)
{
    *reason = keys->first_skipped.message;
    return keys->skipped;
}

jose_set jwt_keys_algorithms(const struct jwt_keys *keys)
{
    return keys->algorithms;
}

uint64_t jwt_keys_generation(const struct jwt_keys *keys)
{
    return keys->generation;
}
