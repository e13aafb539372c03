/*
 * Signatures by OpenSSL's EVP. A context is initialised once for each key and
 * algorithm and copied for each verification, which spares the look-ups that
 * OpenSSL 3 makes on each initialisation.
 */
#include "config.h"

#include "identity/signature.h"

#include <assert.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>

struct signature_check {
    const struct jose_algorithm *algorithm;
    EVP_MAC_CTX *mac;      /* JOSE_OCT */
    EVP_MD_CTX *digest;    /* all others */
    size_t signature_size; /* exact */
};

enum { CURVE_NAME_SIZE = 32, DIGEST_SIZE_LIMIT = 64, DER_SIZE_LIMIT = 256 };

/* OpenSSL's names of the curves of RFC 7518, 6.2.1.1. */
static const struct {
    const char *jose, *openssl;
} curves[] = {{"P-256", "prime256v1"}, {"P-384", "secp384r1"}, {"P-521", "secp521r1"}};

static bool curve_fits(const char *curve, EVP_PKEY *key)
{
    char name[CURVE_NAME_SIZE] = "";
    if (EVP_PKEY_get_group_name(key, name, sizeof name, NULL) != 1)
        return false;
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (strcmp(curves[i].openssl, name) == 0)
            return strcmp(curves[i].jose, curve) == 0;
    return false;
}

bool signature_key_fits(const struct jose_algorithm *algorithm, EVP_PKEY *key)
{
    switch (algorithm->type) {
    case JOSE_RSA: /* a key that says it is for PSS serves nothing else (RFC 4055, 1.2) */
        return EVP_PKEY_is_a(key, "RSA") || (algorithm->pss && EVP_PKEY_is_a(key, "RSA-PSS"));
    case JOSE_EC:
        return EVP_PKEY_is_a(key, "EC") && curve_fits(algorithm->curve, key);
    case JOSE_OKP:
        if (algorithm->curve)
            return EVP_PKEY_is_a(key, algorithm->curve);
        return EVP_PKEY_is_a(key, "Ed25519") || EVP_PKEY_is_a(key, "Ed448");
    case JOSE_OCT:
        break;
    }
    return false;
}

/* The salt is as long as the digest (RFC 7518, 3.5). */
static bool set_padding(const struct jose_algorithm *algorithm, EVP_PKEY_CTX *key)
{
    if (algorithm->type != JOSE_RSA || !algorithm->pss)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_DIGEST) > 0;
}

static struct signature_check *new_check(const struct jose_algorithm *algorithm, size_t signature_size)
{
    struct signature_check *check = calloc(1, sizeof *check);
    if (check) {
        check->algorithm = algorithm;
        check->signature_size = signature_size;
    }
    return check;
}

/* The check, or NULL with nothing left behind. */
static struct signature_check *finish(struct signature_check *check, bool good)
{
    if (good)
        return check;
    signature_check_free(check);
    ERR_clear_error();
    return NULL;
}

struct signature_check *signature_check_new(const struct jose_algorithm *algorithm, EVP_PKEY *key)
{
    assert(signature_key_fits(algorithm, key));
    int size = EVP_PKEY_get_size(key); /* for EC, that of DER, which varies */
    size_t signature_size =
        algorithm->signature_size ? algorithm->signature_size : (size_t)(size > 0 ? size : 0);
    struct signature_check *check = new_check(algorithm, signature_size);
    EVP_PKEY_CTX *settings = NULL; /* owned by check->digest */
    return finish(check, check && signature_size > 0 && (check->digest = EVP_MD_CTX_new()) != NULL &&
                             EVP_DigestVerifyInit_ex(check->digest, &settings, algorithm->digest, NULL, NULL,
                                                     key, NULL) == 1 &&
                             set_padding(algorithm, settings));
}

struct signature_check *signature_check_new_secret(const struct jose_algorithm *algorithm, struct text secret)
{
    assert(algorithm->type == JOSE_OCT && secret.length >= algorithm->digest_size);
    struct signature_check *check = new_check(algorithm, algorithm->signature_size);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)algorithm->digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    bool good = check && mac && (check->mac = EVP_MAC_CTX_new(mac)) != NULL &&
                EVP_MAC_init(check->mac, (const unsigned char *)secret.at, secret.length, parameters) == 1;
    EVP_MAC_free(mac); /* the context has a reference of its own */
    return finish(check, good);
}

static bool run_mac(const struct signature_check *check, struct text content, struct text signature)
{
    unsigned char expected[DIGEST_SIZE_LIMIT];
    size_t length = 0;
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(check->mac);
    bool good = mac && EVP_MAC_update(mac, (const unsigned char *)content.at, content.length) == 1 &&
                EVP_MAC_final(mac, expected, &length, sizeof expected) == 1 && length == signature.length &&
                CRYPTO_memcmp(expected, signature.at, length) == 0;
    EVP_MAC_CTX_free(mac);
    explicit_bzero(expected, sizeof expected); /* what an attacker would have had to send */
    return good;
}

/* OpenSSL wants the two numbers in DER, JOSE has them side by side (RFC 7518, 3.4). */
static int encode_ecdsa(struct text signature, unsigned char der[DER_SIZE_LIMIT])
{
    int half = (int)(signature.length / 2), length = -1;
    const unsigned char *at = (const unsigned char *)signature.at;
    ECDSA_SIG *numbers = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(at, half, NULL), *s = BN_bin2bn(at + half, half, NULL);
    if (numbers && r && s && ECDSA_SIG_set0(numbers, r, s) == 1) {
        r = s = NULL; /* owned by numbers */
        if (i2d_ECDSA_SIG(numbers, NULL) <= DER_SIZE_LIMIT)
            length = i2d_ECDSA_SIG(numbers, &der);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(numbers);
    return length;
}

static bool run_digest(const struct signature_check *check, struct text content, struct text signature)
{
    unsigned char der[DER_SIZE_LIMIT];
    const unsigned char *at = (const unsigned char *)signature.at;
    size_t length = signature.length;
    if (check->algorithm->type == JOSE_EC) {
        int encoded = encode_ecdsa(signature, der);
        at = der;
        length = encoded > 0 ? (size_t)encoded : 0;
    }
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good = length > 0 && digest && EVP_MD_CTX_copy_ex(digest, check->digest) == 1 &&
                EVP_DigestVerify(digest, at, length, (const unsigned char *)content.at, content.length) == 1;
    EVP_MD_CTX_free(digest);
    return good;
}

bool signature_check_run(const struct signature_check *check, struct text content, struct text signature)
{
    if (signature.length != check->signature_size || content.length > INT_MAX)
        return false;
    bool good = check->mac ? run_mac(check, content, signature) : run_digest(check, content, signature);
    if (!good)
        ERR_clear_error();
    return good;
}

void signature_check_free(struct signature_check *check)
{
    if (!check)
        return;
    EVP_MAC_CTX_free(check->mac);
    EVP_MD_CTX_free(check->digest);
    free(check);
}
