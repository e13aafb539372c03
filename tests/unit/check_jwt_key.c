/*
 * Tests of the keys that tokens are verified with, of what a file of keys may
 * and may not hold, and of the memory of tokens that were good.
 */
#include "config.h"

#include <check.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "identity/base64url.h"
#include "identity/jwt_cache.h"
#include "identity/jwt_verify.h"
#include "token_signer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SECOND       INT64_C(1000)
#define NOW          (INT64_C(1700000000) * SECOND)

enum { TEXT_LIMIT = 64 * 1024 };

static struct arena *arena;
static EVP_PKEY *rsa, *short_rsa, *p256, *p224, *ed25519, *x25519;

static void make_keys(void)
{
    rsa = EVP_RSA_gen(2048);
    short_rsa = EVP_RSA_gen(1024);
    p256 = EVP_EC_gen("P-256");
    p224 = EVP_EC_gen("P-224");
    ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    if (!rsa || !short_rsa || !p256 || !p224 || !ed25519 || !x25519)
        abort();
}

static void free_keys(void)
{
    EVP_PKEY *all[] = {rsa, short_rsa, p256, p224, ed25519, x25519};
    for (size_t i = 0; i < COUNT(all); i++)
        EVP_PKEY_free(all[i]);
}

static void set_up(void)
{
    arena = arena_new();
}

static void tear_down(void)
{
    arena_free(arena);
}

static jose_set set_of(const char *names)
{
    jose_set set = 0;
    struct text rest = text_of(names), name;
    while (text_next(&rest, ' ', &name))
        set |= jose_bit(jose_find(name));
    return set;
}

static bool has(const char *message, const char *part)
{
    return strstr(message, part) != NULL;
}

/* ================ secrets */

#define BYTES_16 "0123456789abcdef"
#define BYTES_32 BYTES_16 BYTES_16

static const struct {
    const char *algorithms, *secret, *error; /* NULL: good */
} secrets[] = {
    {"HS256", BYTES_32, NULL},
    {"HS256", BYTES_32 "x", NULL},
    {"HS384", BYTES_32 BYTES_16, NULL},
    {"HS512", BYTES_32 BYTES_32, NULL},
    {"HS256 HS384 HS512", BYTES_32 BYTES_32, NULL},
    {"HS256 RS256", BYTES_32, NULL},
    {"HS256", "", "HS256 needs at least 32"},
    {"HS256", "x", "it is a secret of 1 bytes"},
    {"HS256", "your-secret-key", "HS256 needs at least 32"},
    {"HS256", BYTES_16 "0123456789abcde", "31 bytes"},
    {"HS384", BYTES_32 "0123456789abcde", "HS384 needs at least 48"},
    {"HS512", BYTES_32 BYTES_16 "0123456789abcde", "HS512 needs at least 64"},
    {"HS256 HS512", BYTES_32, "HS512 needs at least 64"},
    {"RS256 ES256", BYTES_32, "none of the algorithms"},
    {"HS256", "-----BEGIN PUBLIC KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "PEM"},
    {"HS256", "# key\n-----BEGIN CERTIFICATE-----\nAAAAAAAAAAAAAAAAAAAA", "PEM"},
};

START_TEST(secrets_have_a_length)
{
    struct error error = {0};
    struct jwt_keys *keys = jwt_keys_new(set_of(secrets[_i].algorithms));
    bool good = jwt_keys_add_secret(keys, text_of(secrets[_i].secret), TEXT(""), &error);
    ck_assert_msg(good == !secrets[_i].error, "%s, %s: %s", secrets[_i].algorithms, secrets[_i].secret,
                  error.message);
    ck_assert_msg(good || has(error.message, secrets[_i].error), "%s", error.message);
    ck_assert_uint_eq(jwt_keys_count(keys), good);
    jwt_keys_release(keys);
}
END_TEST

/* ================ PEM */

static struct text drain(BIO *sink)
{
    char *at = arena_alloc(arena, TEXT_LIMIT);
    int length = BIO_read(sink, at, TEXT_LIMIT);
    BIO_free(sink);
    return (struct text){at, length > 0 ? (size_t)length : 0};
}

static struct text private_pem(EVP_PKEY *key, bool encrypted)
{
    BIO *sink = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PKCS8PrivateKey(sink, key, encrypted ? EVP_aes_128_cbc() : NULL,
                                                   encrypted ? "pass" : NULL, encrypted ? 4 : 0, NULL, NULL),
                     1);
    return drain(sink);
}

static struct text traditional_pem(EVP_PKEY *key)
{
    BIO *sink = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PrivateKey_traditional(sink, key, NULL, NULL, 0, NULL, NULL), 1);
    return drain(sink);
}

static struct text pkcs1_pem(void)
{
    unsigned char *der = NULL;
    int length = i2d_PublicKey(rsa, &der);
    BIO *sink = BIO_new(BIO_s_mem());
    PEM_write_bio(sink, PEM_STRING_RSA_PUBLIC, "", der, length);
    OPENSSL_free(der);
    return drain(sink);
}

static struct text certificate_pem(EVP_PKEY *key, const char *usage)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), -3600); /* expired: it is a container of a key */
    X509_set_pubkey(certificate, key);
    if (usage) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, usage);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    ck_assert_int_gt(X509_sign(certificate, rsa, EVP_sha256()), 0);
    BIO *sink = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(sink, certificate);
    X509_free(certificate);
    return drain(sink);
}

static struct text join(struct text first, struct text second)
{
    return text_of(arena_printf(arena, "%.*s%.*s", TEXT_ARGUMENTS(first), TEXT_ARGUMENTS(second)));
}

static void expect_pem(const char *name, const char *algorithms, struct text pem, const char *expected)
{
    struct error error = {0};
    struct jwt_keys *keys = jwt_keys_new(set_of(algorithms));
    bool good = jwt_keys_add_pem(keys, pem, TEXT("id"), &error);
    ck_assert_msg(good == !expected, "%s: %s", name, good ? "was taken" : error.message);
    ck_assert_msg(good || has(error.message, expected), "%s: %s", name, error.message);
    ck_assert_uint_eq(jwt_keys_count(keys), good);
    jwt_keys_release(keys);
}

START_TEST(pem_of_public_keys)
{
    expect_pem("RSA", "RS256", signer_pem(rsa, arena), NULL);
    expect_pem("RSA for PSS", "PS512", signer_pem(rsa, arena), NULL);
    expect_pem("PKCS#1", "RS256", pkcs1_pem(), NULL);
    expect_pem("P-256", "ES256", signer_pem(p256, arena), NULL);
    expect_pem("Ed25519", "EdDSA", signer_pem(ed25519, arena), NULL);
    expect_pem("text before", "ES256", join(TEXT("a key:\n"), signer_pem(p256, arena)), NULL);
    expect_pem("certificate", "RS256", certificate_pem(rsa, NULL), NULL);
    expect_pem("certificate of P-256", "ES256", certificate_pem(p256, "digitalSignature"), NULL);
    expect_pem("certificate of an authority", "RS256", certificate_pem(rsa, "keyCertSign,cRLSign"),
               "not for signatures");
    expect_pem("short RSA", "RS256", signer_pem(short_rsa, arena), "1024 bits");
    expect_pem("certificate of a short RSA key", "RS256", certificate_pem(short_rsa, NULL), "1024 bits");
    expect_pem("RSA for ES256", "ES256 HS256", signer_pem(rsa, arena), "none of the algorithms");
    expect_pem("P-256 for ES384", "ES384", signer_pem(p256, arena), "none of the algorithms");
    expect_pem("P-224", "ES256 ES384 ES512", signer_pem(p224, arena), "none of the algorithms");
    expect_pem("X25519", "EdDSA", signer_pem(x25519, arena), "none of the algorithms");
}
END_TEST

START_TEST(pem_of_anything_else)
{
    struct text good = signer_pem(p256, arena);
    expect_pem("nothing", "ES256", (struct text){0}, "no PEM block");
    expect_pem("text", "ES256", TEXT("hello"), "no PEM block");
    expect_pem("cut", "ES256", (struct text){good.at, good.length / 2}, "no PEM block");
    expect_pem("private key", "ES256", private_pem(p256, false), "private key");
    expect_pem("encrypted private key", "ES256", private_pem(p256, true), "private key");
    expect_pem("traditional EC key", "ES256", traditional_pem(p256), "private key");
    expect_pem("traditional RSA key", "RS256", traditional_pem(rsa), "private key");
    expect_pem("two keys", "ES256", join(good, good), "more than one");
    expect_pem("public and private", "ES256", join(good, private_pem(p256, false)), "more than one");
    expect_pem("a chain", "RS256", join(certificate_pem(rsa, NULL), certificate_pem(rsa, NULL)),
               "more than one");
    expect_pem("rubbish", "ES256", TEXT("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
               "malformed");
    expect_pem("parameters", "ES256",
               TEXT("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"),
               "neither");
    char *large = arena_alloc(arena, JWT_KEY_FILE_LIMIT + 1);
    memset(large, '\n', JWT_KEY_FILE_LIMIT + 1);
    expect_pem("large", "ES256", (struct text){large, JWT_KEY_FILE_LIMIT + 1}, "larger");
}
END_TEST

/* ================ JWKS; RSA, SHORT, EC and ED stand for the members of such keys */

static const struct {
    const char *name, *algorithms, *json;
    size_t count, skipped;
    const char *error; /* or the reason of the first one that is skipped */
} jwks[] = {
    {"one key", "RS256", "{'keys':[{RSA}]}", 1, 0, NULL},
    {"several", "RS256 ES256 EdDSA", "{'keys':[{RSA,'kid':'a'},{EC,'kid':'b'},{ED,'kid':'c'}]}", 3, 0, NULL},
    {"unknown members", "RS256", "{'keys':[{RSA,'x5t':'x','ext':true,'x5u':'http://x/','x5c':[]}],'more':1}",
     1, 0, NULL},
    {"unknown kty", "RS256", "{'keys':[{'kty':'AKP','pub':'x'},{RSA}]}", 1, 1, "kty"},
    {"kty in lower case", "RS256", "{'keys':[{'kty':'rsa'},{RSA}]}", 1, 1, "kty"},
    {"kty missing", "RS256", "{'keys':[{},{RSA}]}", 1, 1, "kty"},
    {"kty a number", "RS256", "{'keys':[{'kty':1},{RSA}]}", 1, 1, "kty"},
    {"no object", "RS256", "{'keys':[1,null,'x',[],{RSA}]}", 1, 4, "kty"},
    {"for encryption", "RS256", "{'keys':[{RSA,'use':'enc'},{RSA,'use':'sig'}]}", 1, 1, "use"},
    {"use null", "RS256", "{'keys':[{RSA,'use':null},{RSA}]}", 1, 1, "use"},
    {"operations", "RS256", "{'keys':[{RSA,'key_ops':['sign']},{RSA,'key_ops':['x','verify']}]}", 1, 1,
     "key_ops"},
    {"operations empty", "RS256", "{'keys':[{RSA,'key_ops':[]},{RSA}]}", 1, 1, "key_ops"},
    {"operations no list", "RS256", "{'keys':[{RSA,'key_ops':'verify'},{RSA}]}", 1, 1, "key_ops"},
    {"alg", "RS256 PS256", "{'keys':[{RSA,'alg':'PS256'}]}", 1, 0, NULL},
    {"alg not allowed", "RS256", "{'keys':[{RSA,'alg':'RS512'},{RSA}]}", 1, 1, "none of the algorithms"},
    {"alg of another type", "RS256 ES256", "{'keys':[{RSA,'alg':'ES256'},{RSA}]}", 1, 1,
     "none of the algorithms"},
    {"alg for encryption", "RS256", "{'keys':[{RSA,'alg':'RSA-OAEP'},{RSA}]}", 1, 1, "alg"},
    {"alg none", "RS256", "{'keys':[{RSA,'alg':'none'},{RSA}]}", 1, 1, "alg"},
    {"alg a number", "RS256", "{'keys':[{RSA,'alg':1},{RSA}]}", 1, 1, "alg"},
    {"kid a number", "RS256", "{'keys':[{RSA,'kid':1},{RSA}]}", 1, 1, "kid"},
    {"one kid twice", "RS256 ES256", "{'keys':[{RSA,'kid':'a'},{EC,'kid':'a'}]}", 2, 0, NULL},
    {"short RSA", "RS256", "{'keys':[{SHORT},{RSA}]}", 1, 1, "1024 bits"},
    {"RSA without n", "RS256", "{'keys':[{'kty':'RSA','e':'AQAB'},{RSA}]}", 1, 1, "\"n\""},
    {"RSA without e", "RS256", "{'keys':[{'kty':'RSA','n':'AQAB'},{RSA}]}", 1, 1, "\"e\""},
    {"RSA n padded", "RS256", "{'keys':[{'kty':'RSA','n':'AQ==','e':'AQAB'},{RSA}]}", 1, 1, "base64url"},
    {"RSA exponent 1", "RS256", "{'keys':[{RSA_N,'e':'AQ'},{RSA}]}", 1, 1, "exponent"},
    {"RSA exponent even", "RS256", "{'keys':[{RSA_N,'e':'Ag'},{RSA}]}", 1, 1, "exponent"},
    {"RSA exponent 0", "RS256", "{'keys':[{RSA_N,'e':'AA'},{RSA}]}", 1, 1, NULL},
    {"RSA exponent long", "RS256", "{'keys':[{RSA_N,'e':'AQAAAAAAAAAB'},{RSA}]}", 1, 1, "exponent"},
    {"EC off the curve", "ES256",
     "{'keys':[{'kty':'EC','crv':'P-256','x':'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',"
     "'y':'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4'},{EC}]}",
     1, 1, "not on P-256"},
    {"EC x of one byte", "ES256", "{'keys':[{'kty':'EC','crv':'P-256','x':'AQ','y':'AQ'},{EC}]}", 1, 1,
     "not on P-256"},
    {"EC x of 33 bytes", "ES256",
     "{'keys':[{'kty':'EC','crv':'P-256','x':'AH_Nzidw9sRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF','y':'AQ'},{EC}]}",
     1, 1, "\"x\" is longer than 32"},
    {"EC x of 34 bytes", "ES256",
     "{'keys':[{'kty':'EC','crv':'P-256','x':'AAB_zc4ncPbEXUGDy-5v20t7WAczNXvp7xO6z248e9FURQ','y':'AQ'},{EC}]"
     "}",
     1, 1, "\"x\" is longer than 32"},
    {"EC x empty", "ES256", "{'keys':[{'kty':'EC','crv':'P-256','x':'','y':'AQ'},{EC}]}", 1, 1,
     "\"x\" is missing"},
    {"EC of all zeros", "ES256",
     "{'keys':[{'kty':'EC','crv':'P-256','x':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',"
     "'y':'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'},{EC}]}",
     1, 1, "not on P-256"},
    {"EC of another curve", "ES256", "{'keys':[{'kty':'EC','crv':'secp256k1','x':'AA','y':'AA'},{EC}]}", 1, 1,
     "crv"},
    {"EC without crv", "ES256", "{'keys':[{'kty':'EC','x':'AA','y':'AA'},{EC}]}", 1, 1, "crv"},
    {"OKP for agreement", "EdDSA", "{'keys':[{'kty':'OKP','crv':'X25519','x':'AA'},{ED}]}", 1, 1, "crv"},
    {"OKP short", "EdDSA", "{'keys':[{'kty':'OKP','crv':'Ed25519','x':'AAAA'},{ED}]}", 1, 1, "Ed25519"},
    {"secret where HS is allowed", "HS256",
     "{'keys':[{'kty':'oct','k':'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY'}]}", 1, 0, NULL},
    {"secret where it is not", "RS256",
     "{'keys':[{'kty':'oct','k':'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY'},{RSA}]}", 1, 1,
     "none of the algorithms"},
    {"secret short", "HS256 RS256", "{'keys':[{'kty':'oct','k':'MDEyMzQ1'},{RSA}]}", 1, 1, "HS256 needs"},

    {"none can be used", "RS256", "{'keys':[{EC},{'kty':'AKP'}]}", 0, 2,
     "keys[0]: it serves none of the algorithms"},
    {"no keys", "RS256", "{'keys':[]}", 0, 0, "no key of the JWKS can be used"},
    {"no list", "RS256", "{'keys':{RSA}}", 0, 0, "without a list"},
    {"no member", "RS256", "{}", 0, 0, "without a list"},
    {"a bare key", "RS256", "{RSA}", 0, 0, "without a list"},
    {"a list", "RS256", "[{RSA}]", 0, 0, "no JWKS"},
    {"no JSON", "RS256", "keys", 0, 0, "no JWKS"},
    {"nothing", "RS256", "", 0, 0, "no JWKS"},
    {"a member twice", "RS256", "{'keys':[{RSA,'kid':'a','kid':'b'}]}", 0, 0, "no JWKS"},
    {"keys twice", "RS256", "{'keys':[{RSA}],'keys':[]}", 0, 0, "no JWKS"},
    {"private RSA", "RS256", "{'keys':[{RSA,'d':'AQAB'}]}", 0, 0, "keys[0] is a private key"},
    {"private EC", "RS256", "{'keys':[{RSA},{EC,'d':'AQAB'}]}", 0, 0, "keys[1] is a private key"},
};

static struct text expand(const char *json)
{
    const char *rsa_jwk = signer_jwk(rsa, arena), *end = strstr(rsa_jwk, ",\"e\"");
    const struct {
        const char *word, *members;
    } words[] = {
        {"RSA_N", arena_copy(arena, rsa_jwk, (size_t)(end - rsa_jwk))},
        {"RSA", rsa_jwk},
        {"SHORT", signer_jwk(short_rsa, arena)},
        {"EC", signer_jwk(p256, arena)},
        {"ED", signer_jwk(ed25519, arena)},
    };
    const char *result = "";
    char before = 0;
    while (*json) {
        const char *piece = *json == '\'' ? "\"" : arena_copy(arena, json, 1);
        size_t length = 1;
        for (size_t i = 0; i < COUNT(words) && before == '{' && length == 1; i++)
            if (text_starts_with(text_of(json), text_of(words[i].word))) {
                piece = words[i].members;
                length = strlen(words[i].word);
            }
        result = arena_printf(arena, "%s%s", result, piece);
        before = *json;
        json += length;
    }
    return text_of(result);
}

START_TEST(jwks_are_read)
{
    struct error error = {0};
    const char *reason;
    struct jwt_keys *keys = jwt_keys_new(set_of(jwks[_i].algorithms));
    bool good = jwt_keys_add_jwks(keys, expand(jwks[_i].json), &error);
    size_t skipped = jwt_keys_skipped(keys, &reason);
    ck_assert_msg(good == (jwks[_i].count > 0), "%s: %s", jwks[_i].name, error.message);
    ck_assert_msg(jwt_keys_count(keys) == jwks[_i].count, "%s: %zu keys, %s", jwks[_i].name,
                  jwt_keys_count(keys), reason);
    ck_assert_msg(skipped == jwks[_i].skipped, "%s: %zu skipped, %s", jwks[_i].name, skipped, reason);
    const char *told = good ? reason : error.message;
    ck_assert_msg(!jwks[_i].error || has(told, jwks[_i].error), "%s: %s", jwks[_i].name, told);
    ck_assert_msg((skipped > 0) == (reason[0] != 0), "%s: %s", jwks[_i].name, reason);
    jwt_keys_release(keys);
}
END_TEST

static struct text many_keys(size_t count)
{
    const char *member = signer_jwk(ed25519, arena), *list = "";
    for (size_t i = 0; i < count; i++)
        list = arena_printf(arena, "%s%s{%s,\"kid\":\"%zu\"}", list, i ? "," : "", member, i);
    return text_of(arena_printf(arena, "{\"keys\":[%s]}", list));
}

START_TEST(jwks_are_limited)
{
    struct error error = {0};
    const char *reason;
    struct jwt_keys *keys = jwt_keys_new(set_of("EdDSA"));
    ck_assert(jwt_keys_add_jwks(keys, many_keys(JWT_KEYS_LIMIT + 1), &error));
    ck_assert_uint_eq(jwt_keys_count(keys), JWT_KEYS_LIMIT);
    ck_assert_uint_eq(jwt_keys_skipped(keys, &reason), 1);
    ck_assert(has(reason, "more than 64 keys"));
    ck_assert(!jwt_keys_add_pem(keys, signer_pem(ed25519, arena), TEXT(""), &error));
    jwt_keys_release(keys);

    keys = jwt_keys_new(set_of("EdDSA"));
    error = (struct error){0};
    ck_assert(!jwt_keys_add_jwks(keys, many_keys(JWKS_COUNT_LIMIT + 1), &error));
    ck_assert_msg(has(error.message, "more than 512"), "%s", error.message);
    char *large = arena_alloc(arena, JWT_KEY_FILE_LIMIT + 1);
    memset(large, ' ', JWT_KEY_FILE_LIMIT + 1);
    error = (struct error){0};
    ck_assert(!jwt_keys_add_jwks(keys, (struct text){large, JWT_KEY_FILE_LIMIT + 1}, &error));
    ck_assert_msg(has(error.message, "larger"), "%s", error.message);
    jwt_keys_release(keys);
}
END_TEST

/* Every other key on P-521 has a coordinate that begins with a zero byte. */
START_TEST(jwks_may_leave_out_zeros)
{
    struct error error = {0};
    EVP_PKEY *key = NULL;
    const char *member = "";
    size_t zero;
    struct text x;
    do {
        EVP_PKEY_free(key);
        key = EVP_EC_gen("P-521");
        member = signer_jwk(key, arena);
        x = text_of(strstr(member, "\"x\":\"") + 5);
        x.length = 88;
        ck_assert(base64url_decode(arena, x, &x));
        for (zero = 0; x.at[zero] == 0; zero++)
            ;
    } while (zero == 0);
    x = base64url_encode(arena, x.at + zero, x.length - zero);
    struct jwt_keys *keys = jwt_keys_new(set_of("ES512"));
    struct text json =
        text_of(arena_printf(arena, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"%.*s\",%s}]}",
                             TEXT_ARGUMENTS(x), strstr(member, "\"y\":")));
    ck_assert_msg(jwt_keys_add_jwks(keys, json, &error), "%s", error.message);
    struct signer signer = {.key = key, .digest = "SHA512", .half = 66};
    struct text token =
        signer_token(&signer, arena, TEXT("{\"alg\":\"ES512\"}"), TEXT("{\"exp\":1700000600}"), NULL);
    struct jwt_rules none = {0};
    struct jwt *jwt;
    ck_assert_int_eq(jwt_verify(keys, &none, token, NOW, arena, &jwt), JWT_GOOD);
    jwt_release(jwt);
    jwt_keys_release(keys);
    EVP_PKEY_free(key);
}
END_TEST

START_TEST(keys_serve_only_their_algorithms)
{
    struct error error = {0};
    struct jwt_keys *keys = jwt_keys_new(set_of("HS256 RS256 PS256 ES256"));
    struct text json = expand("{'keys':[{RSA,'kid':'any'},{RSA,'kid':'ps','alg':'PS256'},{EC,'kid':'ec'}]}");
    ck_assert_msg(jwt_keys_add_jwks(keys, json, &error), "%s", error.message);
    const jose_set wanted[] = {set_of("RS256 PS256"), set_of("PS256"), set_of("ES256")};
    for (size_t i = 0; i < COUNT(wanted); i++)
        for (size_t j = 0; j < JOSE_ALGORITHMS; j++)
            ck_assert_int_eq(jwt_keys_get(keys, i)->checks[j] != NULL, (wanted[i] >> j & 1) != 0);
    jwt_keys_release(keys);
}
END_TEST

/* ================ the cache */

static struct jwt_rules rules;
static struct jwt_keys *cache_keys;

static const struct text secret = {BYTES_32, 32};

static void set_up_cache(void)
{
    struct error error = {0};
    arena = arena_new();
    cache_keys = jwt_keys_new(set_of("HS256"));
    ck_assert(jwt_keys_add_secret(cache_keys, secret, TEXT(""), &error));
    rules = (struct jwt_rules){0};
}

static void tear_down_cache(void)
{
    jwt_keys_release(cache_keys);
    arena_free(arena);
}

static struct text make_token(const char *claims)
{
    struct signer signer = {.secret = secret, .digest = "SHA256"};
    return signer_token(&signer, arena, TEXT("{\"alg\":\"HS256\"}"), text_of(claims), NULL);
}

/* The verdict, and which token it was, which stays valid while the cache has it. */
static enum jwt_fault ask(struct jwt_cache *cache, struct text token, int64_t now, const void **which)
{
    struct jwt_verifier verifier = {&rules, cache};
    struct jwt *jwt;
    enum jwt_fault fault = jwt_verifier_check(&verifier, cache_keys, token, now, arena, &jwt);
    *which = jwt;
    jwt_release(jwt);
    return fault;
}

static bool knows(struct jwt_cache *cache, struct text token, int64_t now)
{
    struct jwt_cache_key key;
    ck_assert(jwt_cache_key(token, jwt_keys_generation(cache_keys), &key));
    struct jwt *jwt = jwt_cache_find(cache, &key, now);
    jwt_release(jwt);
    return jwt != NULL;
}

START_TEST(cache_remembers)
{
    struct jwt_cache *cache = jwt_cache_new(JWT_CACHE_ENTRIES);
    struct text token = make_token("{\"exp\":1700000600,\"sub\":\"s\"}");
    const void *first, *second;
    ck_assert(!knows(cache, token, NOW));
    ck_assert_int_eq(ask(cache, token, NOW, &first), JWT_GOOD);
    ck_assert(knows(cache, token, NOW));
    ck_assert_int_eq(ask(cache, token, NOW, &second), JWT_GOOD);
    ck_assert_ptr_eq(first, second);
    jwt_cache_clear(cache);
    ck_assert(!knows(cache, token, NOW));
    jwt_cache_free(cache);
    jwt_cache_free(NULL);
}
END_TEST

/* Around every boundary of time, a hit says what a miss says. */
START_TEST(cache_agrees_with_verification)
{
    static const char *const tokens[] = {
        "{\"exp\":1700000600}",
        "{\"exp\":1700000600,\"nbf\":1700000300,\"iat\":1700000200}",
        "{\"exp\":1700000600.5,\"nbf\":1700000300.5}",
    };
    const void *which;
    for (size_t i = 0; i < COUNT(tokens); i++)
        for (int64_t leeway = 0; leeway <= 60; leeway += 60) {
            struct jwt_cache *cache = jwt_cache_new(1);
            struct text token = make_token(tokens[i]);
            rules.leeway = leeway * SECOND;
            ck_assert_int_eq(ask(cache, token, NOW + 400 * SECOND, &which), JWT_GOOD);
            for (int64_t now = NOW; now < NOW + 700 * SECOND; now += 499) {
                enum jwt_fault without = ask(NULL, token, now, &which), with = ask(cache, token, now, &which);
                ck_assert_msg(without == with, "%s at %lld: %s, %s", tokens[i], (long long)(now - NOW),
                              jwt_fault_word(without), jwt_fault_word(with));
            }
            jwt_cache_free(cache);
        }
}
END_TEST

START_TEST(cache_forgets_at_expiry)
{
    struct jwt_cache *cache = jwt_cache_new(1);
    struct text token = make_token("{\"exp\":1700000600}");
    const void *which;
    rules.leeway = 60 * SECOND;
    ask(cache, token, NOW, &which);
    ck_assert(knows(cache, token, NOW + 600 * SECOND - 1));
    ck_assert(!knows(cache, token, NOW + 600 * SECOND));
    ck_assert(!knows(cache, token, NOW)); /* it is gone, and not only hidden */
    ck_assert_int_eq(ask(cache, token, NOW + 630 * SECOND, &which), JWT_GOOD);
    ck_assert(!knows(cache, token, NOW));
    ck_assert_int_eq(ask(cache, token, NOW + 660 * SECOND, &which), JWT_EXPIRED);
    jwt_cache_free(cache);
}
END_TEST

/* The token's bytes are the key, to the last one. */
START_TEST(cache_knows_exact_bytes_only)
{
    struct jwt_cache *cache = jwt_cache_new(JWT_CACHE_ENTRIES);
    struct text token = make_token("{\"exp\":1700000600}");
    const void *which;
    ask(cache, token, NOW, &which);
    for (size_t i = 0; i < token.length; i++) {
        char *copy = arena_copy(arena, token.at, token.length);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        ck_assert_msg(token.at[i] == copy[i] ||
                          ask(cache, (struct text){copy, token.length}, NOW, &which) != JWT_GOOD,
                      "byte %zu", i);
    }
    ck_assert_int_ne(ask(cache, (struct text){token.at, token.length - 1}, NOW, &which), JWT_GOOD);
    ck_assert_int_eq(ask(cache, token, NOW, &which), JWT_GOOD);
    jwt_cache_free(cache);
}
END_TEST

START_TEST(cache_keeps_nothing_bad)
{
    static const char *const tokens[] = {"{\"exp\":1}", "{}", "{\"exp\":1700000600,\"aud\":\"x\"}",
                                         "{\"exp\":1700000600,\"nbf\":1700000001}"};
    struct jwt_cache *cache = jwt_cache_new(JWT_CACHE_ENTRIES);
    const void *which;
    for (size_t i = 0; i < COUNT(tokens); i++) {
        struct text token = make_token(tokens[i]);
        ck_assert_int_ne(ask(cache, token, NOW, &which), JWT_GOOD);
        ck_assert(!knows(cache, token, NOW));
    }
    jwt_cache_free(cache);
}
END_TEST

/* Other keys, other generation: what they verified does not count any more. */
START_TEST(cache_ends_with_its_keys)
{
    struct error error = {0};
    struct jwt_cache *cache = jwt_cache_new(JWT_CACHE_ENTRIES);
    struct text token = make_token("{\"exp\":1700000600}");
    const void *which;
    ck_assert_int_eq(ask(cache, token, NOW, &which), JWT_GOOD);
    jwt_keys_release(cache_keys);
    cache_keys = jwt_keys_new(set_of("HS256"));
    ck_assert(
        jwt_keys_add_secret(cache_keys, TEXT("another secret, and long enough for it"), TEXT(""), &error));
    ck_assert_int_eq(ask(cache, token, NOW, &which), JWT_SIGNATURE);
    jwt_cache_free(cache);
}
END_TEST

START_TEST(cache_is_bounded)
{
    enum { ENTRIES = 64, TOKENS = 2000 };
    struct jwt_cache *cache = jwt_cache_new(ENTRIES);
    struct text tokens[TOKENS], favourite = make_token("{\"exp\":1700000600,\"sub\":\"favourite\"}");
    const void *which;
    size_t known = 0;
    ck_assert_int_eq(ask(cache, favourite, NOW, &which), JWT_GOOD);
    for (size_t i = 0; i < TOKENS; i++) {
        tokens[i] = make_token(arena_printf(arena, "{\"exp\":1700000600,\"sub\":\"%zu\"}", i));
        ck_assert_int_eq(ask(cache, tokens[i], NOW, &which), JWT_GOOD);
        ck_assert(knows(cache, favourite, NOW)); /* asked for all the time, it is never the oldest */
    }
    for (size_t i = 0; i < TOKENS; i++)
        known += knows(cache, tokens[i], NOW);
    ck_assert_uint_ge(known, ENTRIES / 2);
    ck_assert_uint_lt(known, ENTRIES);
    jwt_cache_free(cache);
}
END_TEST

START_TEST(cache_leaves_out_long_tokens)
{
    struct jwt_cache *cache = jwt_cache_new(JWT_CACHE_ENTRIES);
    char *filler = arena_alloc(arena, JWT_CACHE_TOKEN_LIMIT + 1);
    memset(filler, 'x', JWT_CACHE_TOKEN_LIMIT);
    struct text token = make_token(arena_printf(arena, "{\"exp\":1700000600,\"x\":\"%s\"}", filler));
    const void *which;
    ck_assert_int_eq(ask(cache, token, NOW, &which), JWT_GOOD);
    ck_assert(!knows(cache, token, NOW));
    jwt_cache_free(cache);
}
END_TEST

/* A token that somebody still reads outlives its place. */
START_TEST(cache_leaves_held_tokens_alone)
{
    struct jwt_cache *cache = jwt_cache_new(1);
    struct jwt_verifier verifier = {&rules, cache};
    struct jwt *jwt;
    struct text token = make_token("{\"exp\":1700000600,\"sub\":\"s\"}");
    ck_assert_int_eq(jwt_verifier_check(&verifier, cache_keys, token, NOW, arena, &jwt), JWT_GOOD);
    jwt_cache_free(cache);
    ck_assert(text_equal(jwt->facts.subject, TEXT("s")));
    jwt_release(jwt);
}
END_TEST

enum { THREADS = 8, THREAD_TOKENS = 64, THREAD_ROUNDS = 4000 };

struct crowd {
    struct jwt_cache *cache;
    struct text tokens[THREAD_TOKENS];
    int wrong[THREADS];
};

static void *jostle(void *context)
{
    static atomic_int numbers;
    struct crowd *crowd = context;
    struct jwt_verifier verifier = {&rules, crowd->cache};
    struct arena *own = arena_new();
    int number = atomic_fetch_add(&numbers, 1) % THREADS;
    for (size_t i = 0; i < THREAD_ROUNDS; i++) {
        size_t index = (i * 7 + (size_t)number) % THREAD_TOKENS;
        struct jwt *jwt;
        int64_t now = NOW + (int64_t)(i % 3) * SECOND;
        enum jwt_fault fault =
            jwt_verifier_check(&verifier, cache_keys, crowd->tokens[index], now, own, &jwt);
        bool late = index % 2 == 1 && now >= NOW + SECOND; /* the odd ones expire after one second */
        if (fault != (late ? JWT_EXPIRED : JWT_GOOD))
            crowd->wrong[number]++;
        if (jwt && strtoul(jwt->facts.subject.at, NULL, 10) != index)
            crowd->wrong[number]++;
        jwt_release(jwt);
        arena_reset(own);
    }
    arena_free(own);
    return NULL;
}

START_TEST(cache_is_for_threads)
{
    struct crowd crowd = {.cache = jwt_cache_new(16)};
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREAD_TOKENS; i++)
        crowd.tokens[i] = make_token(
            arena_printf(arena, "{\"exp\":%d,\"sub\":\"%zu\"}", i % 2 ? 1700000001 : 1700000600, i));
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, jostle, &crowd), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(crowd.wrong[i], 0);
    jwt_cache_free(crowd.cache);
}
END_TEST

#define ADD_TABLE(name, table) tcase_add_loop_test(cases, name, 0, (int)COUNT(table))

static void add_keys(Suite *suite)
{
    TCase *cases = tcase_create("keys");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD_TABLE(secrets_have_a_length, secrets);
    tcase_add_test(cases, pem_of_public_keys);
    tcase_add_test(cases, pem_of_anything_else);
    ADD_TABLE(jwks_are_read, jwks);
    tcase_add_test(cases, jwks_are_limited);
    tcase_add_test(cases, jwks_may_leave_out_zeros);
    tcase_add_test(cases, keys_serve_only_their_algorithms);
    suite_add_tcase(suite, cases);
}

static void add_cache(Suite *suite)
{
    TCase *cases = tcase_create("cache");
    tcase_add_checked_fixture(cases, set_up_cache, tear_down_cache);
    tcase_add_test(cases, cache_remembers);
    tcase_add_test(cases, cache_agrees_with_verification);
    tcase_add_test(cases, cache_forgets_at_expiry);
    tcase_add_test(cases, cache_knows_exact_bytes_only);
    tcase_add_test(cases, cache_keeps_nothing_bad);
    tcase_add_test(cases, cache_ends_with_its_keys);
    tcase_add_test(cases, cache_is_bounded);
    tcase_add_test(cases, cache_leaves_out_long_tokens);
    tcase_add_test(cases, cache_leaves_held_tokens_alone);
    tcase_add_test(cases, cache_is_for_threads);
    suite_add_tcase(suite, cases);
}

int main(void)
{
    make_keys();
    Suite *suite = suite_create("jwt keys");
    add_keys(suite);
    add_cache(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    free_keys();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
