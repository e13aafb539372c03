/*
 * The steps of RFC 7515, 5.2, those that cost least first.
 */
#include "config.h"

#include "identity/jws.h"

#include "identity/base64url.h"
#include "identity/jwk.h"
#include "identity/strict_json.h"

struct parts {
    struct text header, payload, signature;
    struct text signed_part; /* the first two, as they came */
};

static bool split(struct text token, struct parts *parts)
{
    size_t first = text_find(token, '.');
    struct text rest = text_from(token, first + 1);
    size_t second = text_find(rest, '.');
    parts->header = (struct text){token.at, first};
    parts->payload = (struct text){rest.at, second};
    parts->signature = text_from(rest, second + 1);
    if (first == token.length || second == rest.length)
        return false;
    parts->signed_part = (struct text){token.at, first + 1 + second};
    return text_find(parts->signature, '.') == parts->signature.length;
}

/* RFC 8725, 3.1: the token's word for its algorithm counts only where the
 * policy has said the same. */
static enum jwt_fault pick_algorithm(const struct jwt_keys *keys, struct jws *jws)
{
    struct text name;
    if (!strict_json_string(jws->header, "alg", &name) || !name.at)
        return JWT_ALGORITHM_MISSING;
    jws->algorithm = jose_find(name);
    if (!jws->algorithm)
        return JWT_ALGORITHM_UNKNOWN;
    return jwt_keys_algorithms(keys) & jose_bit(jws->algorithm) ? JWT_GOOD : JWT_ALGORITHM_REFUSED;
}

static enum jwt_fault judge_header(const struct jwt_keys *keys, struct jws *jws, struct text *id)
{
    if (json_object_get(jws->header, "crit"))
        return JWT_CRITICAL;
    if (json_object_get(jws->header, "b64")) /* RFC 7797, and not asked for by "crit" */
        return JWT_UNENCODED;
    if (!strict_json_string(jws->header, "kid", id) || id->length > JWK_ID_LIMIT)
        return JWT_KEY_ID_INVALID;
    return pick_algorithm(keys, jws);
}

struct candidates {
    const struct jwt_key *keys[JWS_TRIES_LIMIT];
    size_t count;
    bool named; /* some key has the wanted name, fitting or not */
};

/* All keys of that name that serve the algorithm; false when they are too many. */
static bool collect(const struct jwt_keys *keys, size_t algorithm, struct text id, struct candidates *found)
{
    *found = (struct candidates){0};
    for (size_t i = 0; i < jwt_keys_count(keys); i++) {
        const struct jwt_key *key = jwt_keys_get(keys, i);
        if (id.at && !text_equal(key->id, id))
            continue;
        found->named = true;
        if (!key->checks[algorithm])
            continue;
        if (found->count == JWS_TRIES_LIMIT)
            return false;
        found->keys[found->count++] = key;
    }
    return true;
}

/* A "kid" selects the keys of that name; where there are none, those without a
 * name, because a PEM file has none. Without a "kid" all are tried. */
static enum jwt_fault pick_keys(const struct jwt_keys *keys, struct jws *jws, struct text id,
                                struct candidates *found)
{
    size_t algorithm = jose_index(jws->algorithm);
    bool few = collect(keys, algorithm, id, found);
    if (few && !found->named && id.at)
        few = collect(keys, algorithm, TEXT(""), found);
    if (!few)
        return JWT_KEY_ID_NEEDED;
    if (!found->named)
        return id.at ? JWT_KEY_UNKNOWN : JWT_KEY_UNFIT;
    return found->count > 0 ? JWT_GOOD : JWT_KEY_UNFIT;
}

static enum jwt_fault verify(const struct jwt_keys *keys, const struct parts *parts, struct text id,
                             struct arena *arena, struct jws *jws)
{
    struct candidates found;
    struct text signature;
    enum jwt_fault fault = pick_keys(keys, jws, id, &found);
    if (fault != JWT_GOOD)
        return fault;
    if (!base64url_decode(arena, parts->signature, &signature) ||
        !base64url_decode(arena, parts->payload, &jws->payload))
        return JWT_ENCODING;
    for (size_t i = 0; i < found.count; i++)
        if (signature_check_run(found.keys[i]->checks[jose_index(jws->algorithm)], parts->signed_part,
                                signature)) {
            jws->key = found.keys[i];
            return JWT_GOOD;
        }
    return JWT_SIGNATURE;
}

static enum jwt_fault read_header(const struct parts *parts, struct arena *arena, struct jws *jws)
{
    struct text header;
    if (!base64url_decode(arena, parts->header, &header))
        return JWT_ENCODING;
    jws->header = strict_json_object(header);
    return jws->header ? JWT_GOOD : JWT_HEADER;
}

enum jwt_fault jws_verify(const struct jwt_keys *keys, struct text token, struct arena *arena,
                          struct jws *jws)
{
    struct parts parts;
    struct text id = {0};
    *jws = (struct jws){0};
    if (token.length > JWS_SIZE_LIMIT)
        return JWT_TOO_LONG;
    if (!split(token, &parts))
        return JWT_PARTS;
    enum jwt_fault fault = read_header(&parts, arena, jws);
    if (fault == JWT_GOOD)
        fault = judge_header(keys, jws, &id);
    if (fault == JWT_GOOD)
        fault = verify(keys, &parts, id, arena, jws);
    if (fault != JWT_GOOD) {
        json_decref(jws->header);
        *jws = (struct jws){0};
    }
    return fault;
}
