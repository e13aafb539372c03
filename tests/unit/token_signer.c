/*
 * The signer, by OpenSSL and without a line of what it tests but base64url.
 */
#include "config.h"

#include "token_signer.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "identity/base64url.h"

enum { SIGNATURE_LIMIT = 2048, NUMBER_LIMIT = 2048, TOKEN_LIMIT = 64 << 20, PEM_LIMIT = 16 * 1024 };

static void need(bool good)
{
    if (good)
        return;
    fprintf(stderr, "token_signer: OpenSSL cannot do what a test wants\n");
    abort();
}

static struct text sides(const struct signer *signer, struct arena *arena, const unsigned char *der,
                         size_t length)
{
    ECDSA_SIG *numbers = d2i_ECDSA_SIG(NULL, &der, (long)length);
    unsigned char *at = arena_alloc(arena, 2 * signer->half);
    need(numbers && BN_bn2binpad(ECDSA_SIG_get0_r(numbers), at, (int)signer->half) > 0 &&
         BN_bn2binpad(ECDSA_SIG_get0_s(numbers), at + signer->half, (int)signer->half) > 0);
    ECDSA_SIG_free(numbers);
    return (struct text){(const char *)at, 2 * signer->half};
}

static struct text sign_secret(const struct signer *signer, struct arena *arena, struct text content)
{
    unsigned char *at = arena_alloc(arena, EVP_MAX_MD_SIZE);
    unsigned length = 0;
    need(HMAC(EVP_get_digestbyname(signer->digest), signer->secret.at, (int)signer->secret.length,
              (const unsigned char *)content.at, content.length, at, &length) != NULL);
    return (struct text){(const char *)at, length};
}

struct text signer_sign(const struct signer *signer, struct arena *arena, struct text content)
{
    size_t length = SIGNATURE_LIMIT;
    unsigned char *at = arena_alloc(arena, length);
    EVP_PKEY_CTX *settings;
    if (!signer->key)
        return sign_secret(signer, arena, content);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    need(EVP_DigestSignInit_ex(context, &settings, signer->digest, NULL, NULL, signer->key, NULL) == 1);
    if (signer->pss)
        need(EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) > 0 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(settings,
                                              signer->salt ? signer->salt : RSA_PSS_SALTLEN_DIGEST) > 0);
    need(EVP_DigestSign(context, at, &length, (const unsigned char *)content.at, content.length) == 1);
    EVP_MD_CTX_free(context);
    return signer->half ? sides(signer, arena, at, length) : (struct text){(const char *)at, length};
}

/* The last letter's unused bits are set: the same bytes, another spelling. */
static struct text respell(struct arena *arena, struct text encoded)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    need(encoded.length % 4 != 0);
    char *copy = arena_copy(arena, encoded.at, encoded.length);
    char *last = copy + encoded.length - 1;
    *last = letters[(strchr(letters, *last) - letters) | 1];
    return (struct text){copy, encoded.length};
}

static void expand(struct bytes *token, const struct signer *signer, const char *shape, struct text header,
                   struct text payload, struct text content)
{
    for (const char *at = shape; *at; at++) {
        char letter = *at == '%' ? *++at : 0;
        struct text signature = {0};
        if (letter == 's' || letter == 'n') {
            signature = signer_sign(signer, token->arena, content);
            signature = base64url_encode(token->arena, signature.at, signature.length);
        }
        if (letter == '%')
            bytes_add(token, "%", 1);
        else if (letter == 'h')
            bytes_add_text(token, header);
        else if (letter == 'p')
            bytes_add_text(token, payload);
        else if (letter)
            bytes_add_text(token, letter == 'n' ? respell(token->arena, signature) : signature);
        else
            bytes_add(token, at, 1);
    }
}

struct text signer_token(const struct signer *signer, struct arena *arena, struct text header,
                         struct text payload, const char *shape)
{
    shape = shape ? shape : "%h.%p.%s";
    header = base64url_encode(arena, header.at, header.length);
    payload = base64url_encode(arena, payload.at, payload.length);
    struct bytes content = bytes_new(arena, TOKEN_LIMIT), token = bytes_new(arena, TOKEN_LIMIT);
    const char *dot = strrchr(shape, '.');
    const char *front = arena_copy(arena, shape, dot ? (size_t)(dot - shape) : 0);
    expand(&content, signer, front, header, payload, (struct text){0});
    expand(&token, signer, shape, header, payload, bytes_text(&content));
    assert(!token.full);
    return bytes_text(&token);
}

struct text signer_pem(EVP_PKEY *key, struct arena *arena)
{
    char *at = arena_alloc(arena, PEM_LIMIT);
    BIO *sink = BIO_new(BIO_s_mem());
    need(sink && PEM_write_bio_PUBKEY(sink, key) == 1);
    int length = BIO_read(sink, at, PEM_LIMIT);
    BIO_free(sink);
    need(length > 0);
    return (struct text){at, (size_t)length};
}

static const char *number(EVP_PKEY *key, struct arena *arena, const char *name, int size)
{
    unsigned char bytes[NUMBER_LIMIT];
    BIGNUM *value = NULL;
    need(EVP_PKEY_get_bn_param(key, name, &value) == 1);
    int length = size ? size : BN_num_bytes(value);
    need(BN_bn2binpad(value, bytes, length) == length);
    BN_free(value);
    struct text encoded = base64url_encode(arena, bytes, (size_t)length);
    return arena_copy(arena, encoded.at, encoded.length);
}

const char *signer_jwk(EVP_PKEY *key, struct arena *arena)
{
    unsigned char raw[NUMBER_LIMIT];
    size_t length = sizeof raw;
    if (EVP_PKEY_is_a(key, "RSA"))
        return arena_printf(arena, "\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"", number(key, arena, "n", 0),
                            number(key, arena, "e", 0));
    if (EVP_PKEY_is_a(key, "EC")) {
        int bits = EVP_PKEY_get_bits(key), size = (bits + 7) / 8;
        return arena_printf(arena, "\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"", bits,
                            number(key, arena, OSSL_PKEY_PARAM_EC_PUB_X, size),
                            number(key, arena, OSSL_PKEY_PARAM_EC_PUB_Y, size));
    }
    need(EVP_PKEY_get_raw_public_key(key, raw, &length) == 1);
    struct text encoded = base64url_encode(arena, raw, length);
    return arena_printf(arena, "\"kty\":\"OKP\",\"crv\":\"%s\",\"x\":\"%.*s\"",
                        EVP_PKEY_is_a(key, "Ed25519") ? "Ed25519" : "Ed448", TEXT_ARGUMENTS(encoded));
}
