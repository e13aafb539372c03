/*
 * JWK into keys. x5c, x5u and x5t are not looked at: the key is in the other
 * members, and who vouches for it is the policy.
 */
#include "config.h"

#include "identity/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "identity/base64url.h"
#include "identity/strict_json.h"

enum { NUMBER_SIZE_LIMIT = RSA_BITS_MOST / 8, POINT_SIZE_LIMIT = 1 + 2 * 66 };

/* A base64url member of at most `limit` bytes. */
static bool read_bytes(const json_t *object, const char *member, size_t limit, struct arena *arena,
                       struct text *bytes, struct error *error)
{
    struct text encoded;
    if (!strict_json_string(object, member, &encoded) || encoded.length == 0)
        return error_set(error, "its \"%s\" is missing or no string", member);
    if (encoded.length > (limit + 2) / 3 * 4)
        return error_set(error, "its \"%s\" is longer than %zu bytes", member, limit);
    if (!base64url_decode(arena, encoded, bytes) || bytes->length == 0)
        return error_set(error, "its \"%s\" is not base64url", member);
    return true;
}

/* The key that the parameters make, or NULL. */
static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters && context && EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

static EVP_PKEY *make_rsa(struct text modulus, struct text exponent)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *n = BN_bin2bn((const unsigned char *)modulus.at, (int)modulus.length, NULL);
    BIGNUM *e = BN_bin2bn((const unsigned char *)exponent.at, (int)exponent.length, NULL);
    EVP_PKEY *key = NULL;
    if (builder && n && e && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = make_key("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return key;
}

static bool read_rsa(const json_t *object, struct arena *arena, EVP_PKEY **key, struct error *error)
{
    struct text modulus = {0}, exponent = {0};
    if (!read_bytes(object, "n", NUMBER_SIZE_LIMIT, arena, &modulus, error) ||
        !read_bytes(object, "e", NUMBER_SIZE_LIMIT, arena, &exponent, error))
        return false;
    *key = make_rsa(modulus, exponent);
    return *key || error_set(error, "it is no RSA key");
}

static EVP_PKEY *make_ec(const char *curve, const char *point, size_t length)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, length) == 1)
        key = make_key("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

/* A coordinate is as long as the curve's field (RFC 7518, 6.2.1.2), but some
 * writers of keys leave out the zeros in front. They are put back, which makes
 * no other point: that it is on the curve is checked as always. */
static bool read_coordinate(const json_t *object, const char *member, size_t size, struct arena *arena,
                            char *to, struct error *error)
{
    struct text bytes = TEXT("");
    if (!read_bytes(object, member, size, arena, &bytes, error))
        return false;
    if (bytes.length > size)
        return error_set(error, "its \"%s\" is longer than %zu bytes", member, size);
    memset(to, 0, size - bytes.length);
    memcpy(to + size - bytes.length, bytes.at, bytes.length);
    return true;
}

static bool read_ec(const json_t *object, struct text curve, struct arena *arena, EVP_PKEY **key,
                    struct error *error)
{
    static const struct {
        const char *name;
        size_t size;
    } curves[] = {{"P-256", 32}, {"P-384", 48}, {"P-521", 66}};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++) {
        size_t size = curves[i].size;
        char point[POINT_SIZE_LIMIT];
        if (!text_equal(curve, text_of(curves[i].name)))
            continue;
        point[0] = 4; /* uncompressed (SEC 1, 2.3.3) */
        if (!read_coordinate(object, "x", size, arena, point + 1, error) ||
            !read_coordinate(object, "y", size, arena, point + 1 + size, error))
            return false;
        *key = make_ec(curves[i].name, point, 1 + 2 * size);
        return *key || error_set(error, "its point is not on %s", curves[i].name);
    }
    return error_set(error, "its \"crv\" is none of P-256, P-384 and P-521");
}

static bool read_okp(const json_t *object, struct text curve, struct arena *arena, EVP_PKEY **key,
                     struct error *error)
{
    bool small = text_equal(curve, TEXT("Ed25519"));
    if (!small && !text_equal(curve, TEXT("Ed448")))
        return error_set(error, "its \"crv\" is neither Ed25519 nor Ed448");
    const char *name = small ? "Ed25519" : "Ed448";
    size_t size = small ? 32 : 57;
    struct text x = {0};
    if (!read_bytes(object, "x", size, arena, &x, error))
        return false;
    if (x.length == size)
        *key = EVP_PKEY_new_raw_public_key_ex(NULL, name, NULL, (const unsigned char *)x.at, size);
    return *key || error_set(error, "it is no %s key", name);
}

/* "use" and "key_ops": whether it may verify (RFC 7517, 4.2 and 4.3). */
static bool read_use(const json_t *object, struct error *error)
{
    struct text use;
    size_t index;
    const json_t *operations = json_object_get(object, "key_ops"), *operation;
    if (!strict_json_string(object, "use", &use) || (use.at && !text_equal(use, TEXT("sig"))))
        return error_set(error, "its \"use\" is not \"sig\"");
    if (!operations)
        return true;
    json_array_foreach(operations, index, operation)
    {
        if (json_is_string(operation) && strcmp(json_string_value(operation), "verify") == 0)
            return true;
    }
    return error_set(error, "its \"key_ops\" are without \"verify\"");
}

static bool read_labels(const json_t *object, struct arena *arena, struct jwk *jwk, struct error *error)
{
    struct text id, algorithm;
    jwk->algorithms = ~(jose_set)0;
    if (!strict_json_string(object, "kid", &id) || id.length > JWK_ID_LIMIT)
        return error_set(error, "its \"kid\" is no string of at most %d bytes", JWK_ID_LIMIT);
    jwk->id = (struct text){arena_copy(arena, id.at, id.length), id.length};
    if (!strict_json_string(object, "alg", &algorithm))
        return error_set(error, "its \"alg\" is no string");
    if (algorithm.at) {
        const struct jose_algorithm *named = jose_find(algorithm);
        if (!named)
            return error_set(error, "its \"alg\" is none for signatures");
        jwk->algorithms = jose_bit(named);
    }
    return read_use(object, error);
}

bool jwk_is_private(const json_t *object)
{
    return json_object_get(object, "d") != NULL; /* RSA, EC and OKP have this in common */
}

/* With an exponent of 1 every signature would be good. */
static bool check_rsa(EVP_PKEY *key, struct error *error)
{
    int bits = EVP_PKEY_get_bits(key);
    BIGNUM *n = NULL, *e = NULL;
    if (bits < RSA_BITS_LEAST || bits > RSA_BITS_MOST)
        return error_set(error, "it is an RSA key of %d bits, which must be %d to %d", bits, RSA_BITS_LEAST,
                         RSA_BITS_MOST);
    bool good = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
                EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(n) && BN_is_odd(e) &&
                !BN_is_one(e) && BN_num_bits(e) <= RSA_EXPONENT_BITS_MOST;
    BN_free(n);
    BN_free(e);
    return good ||
           error_set(error, "its modulus or exponent is even, or its exponent is 1 or over %d bits long",
                     RSA_EXPONENT_BITS_MOST);
}

bool jwk_check_public(EVP_PKEY *key, struct error *error)
{
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        return check_rsa(key, error);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool good = context && EVP_PKEY_public_check_quick(context) == 1;
    EVP_PKEY_CTX_free(context);
    return good || error_set(error, "its point is not on its curve");
}

static bool read_key(const json_t *object, struct text type, struct arena *arena, struct jwk *jwk,
                     struct error *error)
{
    struct text curve;
    if (text_equal(type, TEXT("oct")))
        return read_bytes(object, "k", JWK_SECRET_LIMIT, arena, &jwk->secret, error);
    if (text_equal(type, TEXT("RSA")))
        return read_rsa(object, arena, &jwk->public, error);
    if (!strict_json_string(object, "crv", &curve))
        return error_set(error, "its \"crv\" is no string");
    if (text_equal(type, TEXT("EC")))
        return read_ec(object, curve, arena, &jwk->public, error);
    if (text_equal(type, TEXT("OKP")))
        return read_okp(object, curve, arena, &jwk->public, error);
    return error_set(error, "its \"kty\" is none of RSA, EC, OKP and oct");
}

bool jwk_read(const json_t *object, struct arena *arena, struct jwk *jwk, struct error *error)
{
    struct text type;
    *jwk = (struct jwk){0};
    if (!json_is_object(object) || !strict_json_string(object, "kty", &type))
        return error_set(error, "it is no object with a \"kty\"");
    bool good = read_labels(object, arena, jwk, error) && read_key(object, type, arena, jwk, error) &&
                (!jwk->public || jwk_check_public(jwk->public, error));
    ERR_clear_error();
    if (!good) {
        EVP_PKEY_free(jwk->public);
        jwk->public = NULL;
    }
    return good;
}
