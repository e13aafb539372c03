/*
 * Signatures of our own (RFC 7518, 3).
 */
#include "config.h"

#include "identity/jwt_sign.h"

#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "identity/base64url.h"
#include "identity/signature.h"

enum { SIGNATURE_LIMIT = 2048 };

static bool sign_secret(const struct jose_algorithm *algorithm, struct text secret, struct text content,
                        struct text *signature)
{
    unsigned length = 0;
    unsigned char *at = (unsigned char *)(uintptr_t)signature->at;
    if (!HMAC(EVP_get_digestbyname(algorithm->digest), secret.at, (int)secret.length,
              (const unsigned char *)content.at, content.length, at, &length))
        return false;
    signature->length = length;
    return true;
}

/* ECDSA: from DER to r and s, each as long as the curve's order (RFC 7518, 3.4). */
static bool flatten(const struct jose_algorithm *algorithm, struct text *signature)
{
    const unsigned char *der = (const unsigned char *)signature->at;
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &der, (long)signature->length);
    size_t half = algorithm->signature_size / 2;
    unsigned char *at = (unsigned char *)(uintptr_t)signature->at;
    bool good = numbers && BN_bn2binpad(ECDSA_SIG_get0_r(numbers), at, (int)half) > 0 &&
                BN_bn2binpad(ECDSA_SIG_get0_s(numbers), at + half, (int)half) > 0;
    ECDSA_SIG_free(numbers);
    signature->length = 2 * half;
    return good;
}

static bool sign_key(const struct jose_algorithm *algorithm, EVP_PKEY *key, struct text content,
                     struct text *signature)
{
    EVP_PKEY_CTX *settings;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    signature->length = SIGNATURE_LIMIT;
    bool good =
        context && EVP_DigestSignInit_ex(context, &settings, algorithm->digest, NULL, NULL, key, NULL) == 1 &&
        (!algorithm->pss || (EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) > 0 &&
                             EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) > 0)) &&
        EVP_DigestSign(context, (unsigned char *)(uintptr_t)signature->at, &signature->length,
                       (const unsigned char *)content.at, content.length) == 1;
    EVP_MD_CTX_free(context);
    return good && (algorithm->type != JOSE_EC || flatten(algorithm, signature));
}

bool jwt_sign(const struct jose_algorithm *algorithm, EVP_PKEY *key, struct text secret, struct text header,
              struct text claims, struct arena *arena, struct text *token, struct error *error)
{
    struct text signature = {arena_alloc(arena, SIGNATURE_LIMIT), 0};
    if (algorithm->type == JOSE_OCT && secret.length < algorithm->digest_size)
        return error_set(error, "the secret is shorter than the %zu bytes of %s", algorithm->digest_size,
                         algorithm->name);
    if (algorithm->type != JOSE_OCT && (!key || !signature_key_fits(algorithm, key)))
        return error_set(error, "the key is not one for %s", algorithm->name);
    header = base64url_encode(arena, header.at, header.length);
    claims = base64url_encode(arena, claims.at, claims.length);
    struct text content =
        text_of(arena_printf(arena, "%.*s.%.*s", TEXT_ARGUMENTS(header), TEXT_ARGUMENTS(claims)));
    if (!(algorithm->type == JOSE_OCT ? sign_secret(algorithm, secret, content, &signature)
                                      : sign_key(algorithm, key, content, &signature)))
        return error_set(error, "OpenSSL cannot sign with this key");
    signature = base64url_encode(arena, signature.at, signature.length);
    *token = text_of(arena_printf(arena, "%.*s.%.*s", TEXT_ARGUMENTS(content), TEXT_ARGUMENTS(signature)));
    return true;
}
