/*
 * Tests of tokens: a table of what is wrong with each, and which check must
 * find it. Unless the signature itself is the point, each is truly signed, so
 * that nothing is refused for another reason than the one in the table.
 */
#include "config.h"

#include <check.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "identity/base64url.h"
#include "identity/jwt_cache.h"
#include "identity/jwt_verify.h"
#include "identity/strict_json.h"
#include "token_signer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LITERAL(string)                                                                                      \
    {                                                                                                        \
        string, sizeof(string) - 1                                                                           \
    }

#define SECOND INT64_C(1000)
#define NOW    (INT64_C(1700000000) * SECOND)

static struct arena *arena;
static EVP_PKEY *rsa, *other_rsa, *pss, *p256, *p384, *p521, *ed25519, *ed448;

static const struct text secret = LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
static const struct text other_secret =
    LITERAL("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");

static void make_keys(void)
{
    rsa = EVP_RSA_gen(2048);
    other_rsa = EVP_RSA_gen(2048);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    if (EVP_PKEY_keygen_init(context) != 1 || EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) != 1 ||
        EVP_PKEY_generate(context, &pss) != 1)
        abort();
    EVP_PKEY_CTX_free(context);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    p521 = EVP_EC_gen("P-521");
    ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    if (!rsa || !other_rsa || !pss || !p256 || !p384 || !p521 || !ed25519 || !ed448)
        abort();
}

static void free_keys(void)
{
    EVP_PKEY *all[] = {rsa, other_rsa, pss, p256, p384, p521, ed25519, ed448};
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

/* ================ who signs */

enum who {
    NOBODY, /* an empty secret */
    SECRET,
    SECRET_384,
    SECRET_512,
    OTHER_SECRET,
    RSA_PEM_AS_SECRET,
    RSA_DER_AS_SECRET,
    EC_PEM_AS_SECRET,
    RSA_256,
    RSA_384,
    RSA_512,
    OTHER_RSA,
    PSS_256,
    PSS_384,
    PSS_512,
    PSS_256_LONG_SALT,
    PSS_256_SHORT_SALT,
    EC_256,
    EC_256_DER,
    EC_256_WIDE,
    EC_384,
    EC_384_SHA256,
    EC_512,
    EC_521_SHA256,
    ED_25519,
    ED_448
};

static struct text rsa_der(void)
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(rsa, &der);
    struct text copy = {arena_copy(arena, der, (size_t)length), (size_t)length};
    OPENSSL_free(der);
    return copy;
}

static struct signer signer_of(enum who who)
{
    switch (who) {
    case NOBODY:
        return (struct signer){.secret = TEXT(""), .digest = "SHA256"};
    case SECRET:
        return (struct signer){.secret = secret, .digest = "SHA256"};
    case SECRET_384:
        return (struct signer){.secret = secret, .digest = "SHA384"};
    case SECRET_512:
        return (struct signer){.secret = secret, .digest = "SHA512"};
    case OTHER_SECRET:
        return (struct signer){.secret = other_secret, .digest = "SHA256"};
    case RSA_PEM_AS_SECRET:
        return (struct signer){.secret = signer_pem(rsa, arena), .digest = "SHA256"};
    case RSA_DER_AS_SECRET:
        return (struct signer){.secret = rsa_der(), .digest = "SHA256"};
    case EC_PEM_AS_SECRET:
        return (struct signer){.secret = signer_pem(p256, arena), .digest = "SHA256"};
    case RSA_256:
        return (struct signer){.key = rsa, .digest = "SHA256"};
    case RSA_384:
        return (struct signer){.key = rsa, .digest = "SHA384"};
    case RSA_512:
        return (struct signer){.key = rsa, .digest = "SHA512"};
    case OTHER_RSA:
        return (struct signer){.key = other_rsa, .digest = "SHA256"};
    case PSS_256:
        return (struct signer){.key = rsa, .digest = "SHA256", .pss = true};
    case PSS_384:
        return (struct signer){.key = rsa, .digest = "SHA384", .pss = true};
    case PSS_512:
        return (struct signer){.key = rsa, .digest = "SHA512", .pss = true};
    case PSS_256_LONG_SALT:
        return (struct signer){.key = rsa, .digest = "SHA256", .pss = true, .salt = RSA_PSS_SALTLEN_MAX};
    case PSS_256_SHORT_SALT:
        return (struct signer){.key = rsa, .digest = "SHA256", .pss = true, .salt = 16};
    case EC_256_WIDE:
        return (struct signer){.key = p256, .digest = "SHA256", .half = 33};
    case EC_256:
        return (struct signer){.key = p256, .digest = "SHA256", .half = 32};
    case EC_256_DER:
        return (struct signer){.key = p256, .digest = "SHA256"};
    case EC_384:
        return (struct signer){.key = p384, .digest = "SHA384", .half = 48};
    case EC_384_SHA256:
        return (struct signer){.key = p384, .digest = "SHA256", .half = 48};
    case EC_512:
        return (struct signer){.key = p521, .digest = "SHA512", .half = 66};
    case EC_521_SHA256:
        return (struct signer){.key = p521, .digest = "SHA256", .half = 66};
    case ED_25519:
        return (struct signer){.key = ed25519};
    case ED_448:
        return (struct signer){.key = ed448};
    }
    abort();
}

/* ================ which keys verify */

static jose_set algorithms_of(const char *names)
{
    jose_set set = 0;
    struct text rest = text_of(names), name;
    while (text_next(&rest, ' ', &name)) {
        ck_assert_msg(jose_find(name) != NULL, "%s", names);
        set |= jose_bit(jose_find(name));
    }
    return set;
}

/* "secret:KID", "rsa:", ...: the keys of a set, and behind them its algorithms. */
static void add_key(struct jwt_keys *keys, struct text name, struct text id)
{
    const struct {
        const char *name;
        EVP_PKEY *key;
    } named[] = {{"rsa", rsa},   {"other_rsa", other_rsa}, {"pss", pss},         {"p256", p256},
                 {"p384", p384}, {"p521", p521},           {"ed25519", ed25519}, {"ed448", ed448}};
    struct error error = {0};
    bool added = false;
    if (text_equal(name, TEXT("secret")))
        added = jwt_keys_add_secret(keys, secret, id, &error);
    for (size_t i = 0; i < COUNT(named); i++)
        if (text_equal(name, text_of(named[i].name)))
            added = jwt_keys_add_pem(keys, signer_pem(named[i].key, arena), id, &error);
    ck_assert_msg(added, "%.*s: %s", TEXT_ARGUMENTS(name), error.message);
}

static struct jwt_keys *keys_of(const char *algorithms, const char *names)
{
    struct jwt_keys *keys = jwt_keys_new(algorithms_of(algorithms));
    struct text rest = text_of(names), name;
    while (text_next(&rest, ' ', &name)) {
        size_t colon = text_find(name, ':');
        add_key(keys, (struct text){name.at, colon}, text_from(name, colon + 1));
    }
    return keys;
}

static const char every_algorithm[] =
    "HS256 HS384 HS512 RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 Ed448";
static const char every_key[] = "secret: rsa: p256: p384: p521: ed25519: ed448:";

static void expect(enum jwt_fault expected, const struct jwt_keys *keys, const struct jwt_rules *rules,
                   struct text token, const char *name)
{
    struct jwt *jwt;
    enum jwt_fault fault = jwt_verify(keys, rules, token, NOW, arena, &jwt);
    ck_assert_msg(fault == expected, "%s: %s, expected %s: %.*s", name, jwt_fault_word(fault),
                  jwt_fault_word(expected), (int)(token.length < 400 ? token.length : 400), token.at);
    ck_assert_msg((jwt != NULL) == (fault == JWT_GOOD), "%s", name);
    jwt_release(jwt);
}

static const struct jwt_rules strictest;

/* ================ every algorithm, good */

static const struct {
    const char *algorithm;
    enum who who;
} good_signers[] = {
    {"HS256", SECRET},   {"HS384", SECRET_384}, {"HS512", SECRET_512}, {"RS256", RSA_256},
    {"RS384", RSA_384},  {"RS512", RSA_512},    {"PS256", PSS_256},    {"PS384", PSS_384},
    {"PS512", PSS_512},  {"ES256", EC_256},     {"ES384", EC_384},     {"ES512", EC_512},
    {"EdDSA", ED_25519}, {"EdDSA", ED_448},     {"Ed25519", ED_25519}, {"Ed448", ED_448},
};

static struct text token_by(enum who who, const char *algorithm, const char *payload)
{
    struct signer signer = signer_of(who);
    return signer_token(&signer, arena, text_of(arena_printf(arena, "{\"alg\":\"%s\"}", algorithm)),
                        text_of(payload), NULL);
}

/* Each name against each signer: only its own is good. */
START_TEST(algorithms_take_their_own_signatures_only)
{
    struct jwt_keys *keys = keys_of(every_algorithm, every_key);
    const char *algorithm = good_signers[_i].algorithm;
    for (size_t i = 0; i < COUNT(good_signers); i++) {
        enum who who = good_signers[i].who;
        bool same = who == good_signers[_i].who ||
                    (strcmp(algorithm, "EdDSA") == 0 && (who == ED_25519 || who == ED_448));
        expect(same ? JWT_GOOD : JWT_SIGNATURE, keys, &strictest,
               token_by(who, algorithm, "{\"exp\":1700000600}"),
               arena_printf(arena, "%s signed as %s", algorithm, good_signers[i].algorithm));
    }
    jwt_keys_release(keys);
}
END_TEST

/* One bit of the content or of the signature, wherever it is. */
START_TEST(algorithms_find_every_changed_bit)
{
    struct jwt_keys *keys = keys_of(every_algorithm, every_key);
    struct signer signer = signer_of(good_signers[_i].who);
    const struct signature_check *check = NULL;
    size_t index = jose_index(jose_find(text_of(good_signers[_i].algorithm)));
    struct text content = TEXT("content"), signature = signer_sign(&signer, arena, content);
    for (size_t i = 0; i < jwt_keys_count(keys); i++) {
        const struct signature_check *candidate = jwt_keys_get(keys, i)->checks[index];
        if (candidate && signature_check_run(candidate, content, signature))
            check = candidate;
    }
    ck_assert_ptr_nonnull(check);
    for (size_t bit = 0; bit<signature.length * 8; bit += signature.length> 64 ? 7 : 1) {
        char *copy = arena_copy(arena, signature.at, signature.length);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
        ck_assert_msg(!signature_check_run(check, content, (struct text){copy, signature.length}), "bit %zu",
                      bit);
    }
    ck_assert(!signature_check_run(check, TEXT("contenu"), signature));
    ck_assert(!signature_check_run(check, TEXT(""), signature));
    ck_assert(!signature_check_run(check, content, (struct text){signature.at, signature.length - 1}));
    ck_assert(!signature_check_run(check, content, TEXT("")));
    ck_assert(signature_check_run(check, content, signature));
    jwt_keys_release(keys);
}
END_TEST

/* ================ form, algorithm and key */

#define EXP          "\"exp\":1700000600"
#define GOOD_PAYLOAD "{" EXP "}"
#define LONG_ID                                                                                              \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"                                       \
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DEEP_8  "[[[[[[[["
#define DEEP_32 DEEP_8 DEEP_8 DEEP_8 DEEP_8
#define UP_8    "]]]]]]]]"
#define UP_32   UP_8 UP_8 UP_8 UP_8

static const struct token_case {
    const char *name;
    enum jwt_fault fault;
    const char *algorithms, *keys; /* NULL: HS256 with the secret */
    enum who who;
    struct text header, payload; /* NULL: HS256 and a good payload */
    const char *shape;
} token_cases[] = {
    {.name = "plain", .who = SECRET},

    /* the form */
    {.name = "no part", .fault = JWT_PARTS, .who = SECRET, .shape = ""},
    {.name = "one part", .fault = JWT_PARTS, .who = SECRET, .shape = "%h"},
    {.name = "two parts", .fault = JWT_PARTS, .who = SECRET, .shape = "%h.%p"},
    {.name = "four parts", .fault = JWT_PARTS, .who = SECRET, .shape = "%h.%p.%s.%s"},
    {.name = "five parts, as a JWE", .fault = JWT_PARTS, .who = SECRET, .shape = "%h.%p.%p.%p.%s"},
    {.name = "dots only", .fault = JWT_HEADER, .who = SECRET, .shape = ".."},
    {.name = "empty header", .fault = JWT_HEADER, .who = SECRET, .shape = ".%p.%s"},
    {.name = "empty payload", .fault = JWT_PAYLOAD, .who = SECRET, .shape = "%h..%s"},
    {.name = "empty signature", .fault = JWT_SIGNATURE, .who = SECRET, .shape = "%h.%p."},
    {.name = "detached payload", .fault = JWT_SIGNATURE, .who = SECRET, .shape = "%h..%h"},
    {.name = "padded signature", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.%s="},
    {.name = "padded payload", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p=.%s"},
    {.name = "padded header", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h=.%p.%s"},
    {.name = "blank before", .fault = JWT_ENCODING, .who = SECRET, .shape = " %h.%p.%s"},
    {.name = "blank behind", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.%s "},
    {.name = "newline behind", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.%s\n"},
    {.name = "newline in the payload", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.\r\n%p.%s"},
    {.name = "blank beside a dot", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h .%p.%s"},
    {.name = "rubbish behind the signature", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.%s!!"},
    {.name = "letters behind the signature", .fault = JWT_SIGNATURE, .who = SECRET, .shape = "%h.%p.%sAAAA"},
    {.name = "one letter behind it", .fault = JWT_SIGNATURE, .who = SECRET, .shape = "%h.%p.%sA"},
    {.name = "impossible length", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.%sAA"},
    {.name = "plus of base64", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.+%s"},
    {.name = "slash of base64", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p./%s"},
    {.name = "not canonical, 2 bits", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.%n"},
    {.name = "not canonical, 4 bits",
     .fault = JWT_ENCODING,
     .who = RSA_256,
     .algorithms = "RS256",
     .keys = "rsa:",
     .header = LITERAL("{\"alg\":\"RS256\"}"),
     .shape = "%h.%p.%n"},
    {.name = "percent-encoded dot", .fault = JWT_PARTS, .who = SECRET, .shape = "%h.%p%%2E%s"},
    {.name = "high byte", .fault = JWT_ENCODING, .who = SECRET, .shape = "%h.%p.\xc3\xa9%s"},

    /* the header as JSON */
    {.name = "header is no JSON", .fault = JWT_HEADER, .who = SECRET, .header = LITERAL("alg=HS256")},
    {.name = "header is a list",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("[{\"alg\":\"HS256\"}]")},
    {.name = "header is a string", .fault = JWT_HEADER, .who = SECRET, .header = LITERAL("\"HS256\"")},
    {.name = "header is null", .fault = JWT_HEADER, .who = SECRET, .header = LITERAL("null")},
    {.name = "header ends early",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\"")},
    {.name = "header twice",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\"}{\"alg\":\"HS256\"}")},
    {.name = "header with rubbish behind",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\"}x")},
    {.name = "header with NUL behind",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\"}\0")},
    {.name = "header with a mark of byte order",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("\xef\xbb\xbf{\"alg\":\"HS256\"}")},
    {.name = "header in UTF-16", .fault = JWT_HEADER, .who = SECRET, .header = LITERAL("{\0\"\0a\0")},
    {.name = "header not in UTF-8",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"x\":\"\xff\"}")},
    {.name = "header with U+0000",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\\u0000\"}")},
    {.name = "header with a comma too many",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",}")},
    {.name = "header with a comment",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\"/**/}")},
    {.name = "alg twice, good last",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"none\",\"alg\":\"HS256\"}")},
    {.name = "alg twice, good first",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"alg\":\"none\"}")},
    {.name = "alg twice, one escaped",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}")},
    {.name = "kid twice",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"a\",\"kid\":\"b\"}")},
    {.name = "header too deep",
     .fault = JWT_HEADER,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"x\":" DEEP_32 UP_32 "}")},
    {.name = "blanks and escapes in the header",
     .who = SECRET,
     .header = LITERAL(" {\r\n\t\"\\u0061lg\" : \"HS\\u003256\" } ")},
    {.name = "unknown header members",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"x\":1,\"ppt\":[],\"zip\":\"DEF\"}")},

    /* crit and b64 */
    {.name = "crit of something unknown",
     .fault = JWT_CRITICAL,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"crit\":[\"x\"],\"x\":1}")},
    {.name = "crit of exp",
     .fault = JWT_CRITICAL,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}")},
    {.name = "crit empty",
     .fault = JWT_CRITICAL,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"crit\":[]}")},
    {.name = "crit null",
     .fault = JWT_CRITICAL,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"crit\":null}")},
    {.name = "crit of b64",
     .fault = JWT_CRITICAL,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}")},
    {.name = "b64 false",
     .fault = JWT_UNENCODED,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"b64\":false}")},
    {.name = "b64 true",
     .fault = JWT_UNENCODED,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"b64\":true}")},

    /* alg: none, in every spelling, unsigned and signed */
    {.name = "none",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .header = LITERAL("{\"alg\":\"none\"}"),
     .shape = "%h.%p."},
    {.name = "none with a signature",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"none\"}")},
    {.name = "None",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .header = LITERAL("{\"alg\":\"None\"}"),
     .shape = "%h.%p."},
    {.name = "NONE",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .header = LITERAL("{\"alg\":\"NONE\"}"),
     .shape = "%h.%p."},
    {.name = "nOnE",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .header = LITERAL("{\"alg\":\"nOnE\"}"),
     .shape = "%h.%p."},
    {.name = "none and a blank",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .header = LITERAL("{\"alg\":\"none \"}"),
     .shape = "%h.%p."},
    {.name = "none, escaped",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .header = LITERAL("{\"alg\":\"n\\u006fne\"}"),
     .shape = "%h.%p."},
    {.name = "alg empty",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .header = LITERAL("{\"alg\":\"\"}"),
     .shape = "%h.%p."},
    {.name = "alg null",
     .fault = JWT_ALGORITHM_MISSING,
     .header = LITERAL("{\"alg\":null}"),
     .shape = "%h.%p."},
    {.name = "alg missing",
     .fault = JWT_ALGORITHM_MISSING,
     .who = SECRET,
     .header = LITERAL("{\"typ\":\"JWT\"}")},
    {.name = "alg in another case of the name",
     .fault = JWT_ALGORITHM_MISSING,
     .who = SECRET,
     .header = LITERAL("{\"ALG\":\"HS256\"}")},
    {.name = "alg false",
     .fault = JWT_ALGORITHM_MISSING,
     .header = LITERAL("{\"alg\":false}"),
     .shape = "%h.%p."},
    {.name = "alg a list",
     .fault = JWT_ALGORITHM_MISSING,
     .who = SECRET,
     .header = LITERAL("{\"alg\":[\"HS256\"]}")},
    {.name = "alg a number",
     .fault = JWT_ALGORITHM_MISSING,
     .who = SECRET,
     .header = LITERAL("{\"alg\":256}")},
    {.name = "hs256",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"hs256\"}")},
    {.name = "Hs256",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"Hs256\"}")},
    {.name = "HS256 and a blank",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256 \"}")},
    {.name = "HS1", .fault = JWT_ALGORITHM_UNKNOWN, .who = SECRET, .header = LITERAL("{\"alg\":\"HS1\"}")},
    {.name = "ES256K",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .who = EC_256,
     .header = LITERAL("{\"alg\":\"ES256K\"}")},
    {.name = "dir of JWE",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"dir\"}")},
    {.name = "a long alg",
     .fault = JWT_ALGORITHM_UNKNOWN,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"" LONG_ID "\"}")},

    /* algorithms that are not allowed, and keys for something else */
    {.name = "HS384 where HS256 is allowed",
     .fault = JWT_ALGORITHM_REFUSED,
     .who = SECRET_384,
     .header = LITERAL("{\"alg\":\"HS384\"}")},
    {.name = "HS256 by the RSA key's PEM",
     .fault = JWT_ALGORITHM_REFUSED,
     .algorithms = "RS256",
     .keys = "rsa:",
     .who = RSA_PEM_AS_SECRET},
    {.name = "the same where HS256 is allowed, too",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "HS256 RS256",
     .keys = "rsa:",
     .who = RSA_PEM_AS_SECRET},
    {.name = "and where there is a secret, too",
     .fault = JWT_SIGNATURE,
     .algorithms = "HS256 RS256",
     .keys = "secret: rsa:",
     .who = RSA_PEM_AS_SECRET},
    {.name = "HS256 by the RSA key's DER",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "HS256 RS256",
     .keys = "rsa:",
     .who = RSA_DER_AS_SECRET},
    {.name = "HS256 by the EC key's PEM",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "HS256 ES256",
     .keys = "p256:",
     .who = EC_PEM_AS_SECRET},
    {.name = "RS256 where HS256 is allowed",
     .fault = JWT_ALGORITHM_REFUSED,
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "RS256 by a key that nobody trusts",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "HS256 RS256",
     .keys = "secret:",
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "a secret named by kid, for RS256",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "HS256 RS256",
     .keys = "secret:s rsa:r",
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\",\"kid\":\"s\"}")},
    {.name = "an RSA key named by kid, for HS256",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "HS256 RS256",
     .keys = "secret:s rsa:r",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"r\"}")},
    {.name = "an RSA key for ES256",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "RS256 ES256",
     .keys = "rsa:",
     .who = EC_256,
     .header = LITERAL("{\"alg\":\"ES256\"}")},
    {.name = "PS256 where RS256 is allowed",
     .fault = JWT_ALGORITHM_REFUSED,
     .algorithms = "RS256",
     .keys = "rsa:",
     .who = PSS_256,
     .header = LITERAL("{\"alg\":\"PS256\"}")},
    {.name = "PS256 named RS256",
     .fault = JWT_SIGNATURE,
     .algorithms = "RS256 PS256",
     .keys = "rsa:",
     .who = PSS_256,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "RS256 with a key for PSS",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "RS256 PS256",
     .keys = "pss:",
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "ES256 with a key on P-384",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "ES256 ES384",
     .keys = "p384:",
     .who = EC_384_SHA256,
     .header = LITERAL("{\"alg\":\"ES256\"}")},
    {.name = "ES256 with a key on P-521",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "ES256 ES512",
     .keys = "p521:",
     .who = EC_521_SHA256,
     .header = LITERAL("{\"alg\":\"ES256\"}")},
    {.name = "ES384 with a key on P-256",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "ES256 ES384",
     .keys = "p256:",
     .who = EC_256,
     .header = LITERAL("{\"alg\":\"ES384\"}")},
    {.name = "ES256 in DER",
     .fault = JWT_SIGNATURE,
     .algorithms = "ES256",
     .keys = "p256:",
     .who = EC_256_DER,
     .header = LITERAL("{\"alg\":\"ES256\"}")},
    {.name = "ES256 with a zero before each number",
     .fault = JWT_SIGNATURE,
     .algorithms = "ES256",
     .keys = "p256:",
     .who = EC_256_WIDE,
     .header = LITERAL("{\"alg\":\"ES256\"}")},
    {.name = "PS256 with the longest salt",
     .fault = JWT_SIGNATURE,
     .algorithms = "PS256",
     .keys = "rsa:",
     .who = PSS_256_LONG_SALT,
     .header = LITERAL("{\"alg\":\"PS256\"}")},
    {.name = "PS256 with a short salt",
     .fault = JWT_SIGNATURE,
     .algorithms = "PS256",
     .keys = "rsa:",
     .who = PSS_256_SHORT_SALT,
     .header = LITERAL("{\"alg\":\"PS256\"}")},
    {.name = "ES256 of zeros",
     .fault = JWT_SIGNATURE,
     .algorithms = "ES256",
     .keys = "p256:",
     .who = EC_256,
     .header = LITERAL("{\"alg\":\"ES256\"}"),
     .shape = "%h.%p.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    {.name = "ES256 of the group's order",
     .fault = JWT_SIGNATURE,
     .algorithms = "ES256",
     .keys = "p256:",
     .who = EC_256,
     .header = LITERAL("{\"alg\":\"ES256\"}"),
     .shape = "%h.%p._____wAAAAD__________7zm-q2nF56E87nKwvxjJVH_____AAAAAP__________vOb6racXnoTzucrC_GMlUQ"},
    {.name = "Ed448 named Ed25519",
     .fault = JWT_KEY_UNFIT,
     .algorithms = "Ed25519 Ed448",
     .keys = "ed448:",
     .who = ED_448,
     .header = LITERAL("{\"alg\":\"Ed25519\"}")},
    {.name = "another RSA key",
     .fault = JWT_SIGNATURE,
     .algorithms = "RS256",
     .keys = "rsa:",
     .who = OTHER_RSA,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "another secret", .fault = JWT_SIGNATURE, .who = OTHER_SECRET},
    {.name = "an empty secret", .fault = JWT_SIGNATURE, .who = NOBODY},
    {.name = "no keys at all", .fault = JWT_KEY_UNFIT, .algorithms = "HS256", .keys = "", .who = SECRET},
    {.name = "signature of another token",
     .fault = JWT_SIGNATURE,
     .who = SECRET,
     .shape = "%h.%p.cfQzQ4cT3-3Y6bRQwqgH3m7AyXF1ZS4bd6PU4ZQcp-E"},

    /* kid */
    {.name = "kid of the key",
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"a\"}")},
    {.name = "no kid, and a key with one", .keys = "secret:a", .who = SECRET},
    {.name = "kid, and a key without", .who = SECRET, .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"a\"}")},
    {.name = "kid of another key",
     .fault = JWT_SIGNATURE,
     .algorithms = "RS256",
     .keys = "rsa:a other_rsa:b",
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\",\"kid\":\"b\"}")},
    {.name = "kid of the second key",
     .algorithms = "RS256",
     .keys = "rsa:a other_rsa:b",
     .who = OTHER_RSA,
     .header = LITERAL("{\"alg\":\"RS256\",\"kid\":\"b\"}")},
    {.name = "no kid, the second key",
     .algorithms = "RS256",
     .keys = "rsa:a other_rsa:b",
     .who = OTHER_RSA,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "one kid for two keys",
     .algorithms = "RS256",
     .keys = "rsa:a other_rsa:a",
     .who = OTHER_RSA,
     .header = LITERAL("{\"alg\":\"RS256\",\"kid\":\"a\"}")},
    {.name = "kid unknown",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"b\"}")},
    {.name = "kid in another case",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"A\"}")},
    {.name = "kid empty",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"\"}")},
    {.name = "kid a path",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = NOBODY,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"../../../../dev/null\"}")},
    {.name = "kid a file of zeros",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = NOBODY,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"/proc/sys/kernel/randomize_va_space\"}")},
    {.name = "kid an SQL injection",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"x' UNION SELECT 'key';--\"}")},
    {.name = "kid a command",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"a|id\"}")},
    {.name = "kid with NUL",
     .fault = JWT_HEADER,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"a\\u0000\"}")},
    {.name = "kid of 256 bytes",
     .fault = JWT_KEY_UNKNOWN,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"" LONG_ID LONG_ID "\"}")},
    {.name = "kid of 257 bytes",
     .fault = JWT_KEY_ID_INVALID,
     .keys = "secret:a",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":\"" LONG_ID LONG_ID "x\"}")},
    {.name = "kid a number",
     .fault = JWT_KEY_ID_INVALID,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":1}")},
    {.name = "kid null",
     .fault = JWT_KEY_ID_INVALID,
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"kid\":null}")},
    {.name = "eight keys to try",
     .algorithms = "RS256",
     .keys = "other_rsa:1 other_rsa:2 other_rsa:3 other_rsa:4 other_rsa:5 other_rsa:6 other_rsa:7 rsa:8",
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "nine keys to try",
     .fault = JWT_KEY_ID_NEEDED,
     .algorithms = "RS256",
     .keys = "other_rsa:1 other_rsa:2 other_rsa:3 other_rsa:4 other_rsa:5 other_rsa:6 other_rsa:7 "
             "other_rsa:8 rsa:9",
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\"}")},
    {.name = "nine keys, and kid",
     .algorithms = "RS256",
     .keys = "other_rsa:1 other_rsa:2 other_rsa:3 other_rsa:4 other_rsa:5 other_rsa:6 other_rsa:7 "
             "other_rsa:8 rsa:9",
     .who = RSA_256,
     .header = LITERAL("{\"alg\":\"RS256\",\"kid\":\"9\"}")},

    /* keys that a token brings along: never used, and no reason to refuse a good one */
    {.name = "jku, x5u and x5c beside a good signature",
     .who = SECRET,
     .header = LITERAL("{\"alg\":\"HS256\",\"jku\":\"https://evil.example/\",\"x5u\":\"file:///etc/"
                       "passwd\",\"x5c\":[\"AA\"]}")},
    {.name = "jku and another key",
     .fault = JWT_SIGNATURE,
     .algorithms = "RS256",
     .keys = "rsa:",
     .who = OTHER_RSA,
     .header = LITERAL("{\"alg\":\"RS256\",\"jku\":\"https://evil.example/jwks.json\"}")},
    {.name = "x5u and another key",
     .fault = JWT_SIGNATURE,
     .algorithms = "RS256",
     .keys = "rsa:",
     .who = OTHER_RSA,
     .header = LITERAL("{\"alg\":\"RS256\",\"x5u\":\"https://evil.example/cert.pem\"}")},

    /* the payload as JSON */
    {.name = "payload is a list",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("[" GOOD_PAYLOAD "]")},
    {.name = "payload is an empty list", .fault = JWT_PAYLOAD, .who = SECRET, .payload = LITERAL("[]")},
    {.name = "payload is a number", .fault = JWT_PAYLOAD, .who = SECRET, .payload = LITERAL("1700000600")},
    {.name = "payload is text", .fault = JWT_PAYLOAD, .who = SECRET, .payload = LITERAL("Payload")},
    {.name = "payload is null", .fault = JWT_PAYLOAD, .who = SECRET, .payload = LITERAL("null")},
    {.name = "payload with NUL and rubbish behind",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL(GOOD_PAYLOAD "\0garbage")},
    {.name = "payload with rubbish behind",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL(GOOD_PAYLOAD "garbage")},
    {.name = "payload twice",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL(GOOD_PAYLOAD GOOD_PAYLOAD)},
    {.name = "payload ends early", .fault = JWT_PAYLOAD, .who = SECRET, .payload = LITERAL("{" EXP)},
    {.name = "exp twice", .fault = JWT_PAYLOAD, .who = SECRET, .payload = LITERAL("{" EXP ",\"exp\":1}")},
    {.name = "exp twice, one escaped",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{\"exp\":1,\"e\\u0078p\":1700000600}")},
    {.name = "sub twice",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"sub\":\"user\",\"sub\":\"admin\"}")},
    {.name = "a member twice, deep inside",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"a\":[{\"role\":\"user\",\"role\":\"admin\"}]}")},
    {.name = "payload as deep as may be",
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"x\":" DEEP_8 DEEP_8 DEEP_8 "[[[[[[["
                        "]]]]]]]" UP_8 UP_8 UP_8 "}")},
    {.name = "payload too deep",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"x\":" DEEP_32 UP_32 "}")},
    {.name = "brackets in a string",
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"x\":\"" DEEP_32 "\\\"" DEEP_32 "\\\\\"}")},
    {.name = "payload not in UTF-8",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"sub\":\"\xc3\"}")},
    {.name = "payload with half a surrogate pair",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"sub\":\"\\ud800\"}")},
    {.name = "payload with U+0000",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{" EXP ",\"sub\":\"admin\\u0000x\"}")},
    {.name = "payload with NaN", .fault = JWT_PAYLOAD, .who = SECRET, .payload = LITERAL("{\"exp\":NaN}")},
    {.name = "payload with Infinity",
     .fault = JWT_PAYLOAD,
     .who = SECRET,
     .payload = LITERAL("{\"exp\":Infinity}")},
    {.name = "wrong signature and expired",
     .fault = JWT_SIGNATURE,
     .who = OTHER_SECRET,
     .payload = LITERAL("{\"exp\":1}")},
    {.name = "wrong signature and no JSON",
     .fault = JWT_SIGNATURE,
     .who = OTHER_SECRET,
     .payload = LITERAL("{")},
};

static struct text make_token(const struct token_case *row)
{
    static const struct text header = LITERAL("{\"alg\":\"HS256\"}"), payload = LITERAL(GOOD_PAYLOAD);
    struct signer signer = signer_of(row->who);
    return signer_token(&signer, arena, row->header.at ? row->header : header,
                        row->payload.at ? row->payload : payload, row->shape);
}

START_TEST(tokens_are_judged)
{
    const struct token_case *row = &token_cases[_i];
    struct jwt_keys *keys =
        keys_of(row->algorithms ? row->algorithms : "HS256", row->keys ? row->keys : "secret:");
    expect(row->fault, keys, &strictest, make_token(row), row->name);
    jwt_keys_release(keys);
}
END_TEST

/* ================ claims */

static struct text names_a[] = {LITERAL("a")}, names_ab[] = {LITERAL("a"), LITERAL("b")};
static struct text names_access[] = {LITERAL("at+jwt")}, names_long[] = {LITERAL("application/at+jwt")};
static struct text names_text[] = {LITERAL("text/x")};

static const struct jwt_rules rules_issuer = {.issuers = {names_ab, 2}};
static const struct jwt_rules rules_audience = {.audiences = {names_a, 1}};
static const struct jwt_rules rules_audiences = {.audiences = {names_ab, 2}};
static const struct jwt_rules rules_any_audience = {.any_audience = true};
static const struct jwt_rules rules_audience_first = {.audiences = {names_a, 1}, .any_audience = true};
static const struct jwt_rules rules_text_type = {.types = {names_text, 1}};
static const struct jwt_rules rules_access = {.types = {names_access, 1}};
static const struct jwt_rules rules_access_long = {.types = {names_long, 1}};
static const struct jwt_rules rules_subject = {.subject_required = true};
static const struct jwt_rules rules_optional = {.expiry_optional = true};
static const struct jwt_rules rules_leeway = {.leeway = 60 * SECOND};
static const struct jwt_rules rules_lifetime = {.lifetime_limit = 3600 * SECOND};
static const struct jwt_rules rules_lifetime_optional = {.lifetime_limit = 3600 * SECOND,
                                                         .expiry_optional = true};
static const struct jwt_rules rules_all = {
    .issuers = {names_a, 1}, .audiences = {names_a, 1}, .subject_required = true};

static const struct claims_case {
    enum jwt_fault fault;
    const struct jwt_rules *rules;
    const char *typ; /* JSON; NULL: none */
    const char *claims;
} claims_cases[] = {
    /* exp */
    {JWT_EXPIRY_MISSING, &strictest, NULL, "{}"},
    {JWT_GOOD, &rules_optional, NULL, "{}"},
    {JWT_GOOD, &strictest, NULL, "{\"exp\":1700000001}"},
    {JWT_EXPIRED, &strictest, NULL, "{\"exp\":1700000000}"},
    {JWT_EXPIRED, &strictest, NULL, "{\"exp\":1699999999}"},
    {JWT_EXPIRED, &strictest, NULL, "{\"exp\":0}"},
    {JWT_EXPIRED, &rules_optional, NULL, "{\"exp\":0}"},
    {JWT_EXPIRED, &strictest, NULL, "{\"exp\":-0.0}"},
    {JWT_EXPIRED, &strictest, NULL, "{\"exp\":1e-400}"},
    {JWT_GOOD, &strictest, NULL, "{\"exp\":1700000000.5}"},
    {JWT_EXPIRED, &strictest, NULL, "{\"exp\":1699999999.9}"},
    {JWT_GOOD, &strictest, NULL, "{\"exp\":1.7000006e9}"},
    {JWT_GOOD, &strictest, NULL, "{\"exp\":9007199254740991}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":9007199254740992}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":9007199254740993}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":9223372036854775807}"},
    {JWT_PAYLOAD, &strictest, NULL, "{\"exp\":9223372036854775808}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":9007199254740992.0}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":1e300}"},
    {JWT_PAYLOAD, &strictest, NULL, "{\"exp\":1e400}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":-1}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":-0.5}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":-9223372036854775808}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":\"1700000600\"}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":\"2026-01-01T00:00:00Z\"}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":\"\"}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":null}"},
    {JWT_EXPIRY_INVALID, &rules_optional, NULL, "{\"exp\":null}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":true}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":[1700000600]}"},
    {JWT_EXPIRY_INVALID, &strictest, NULL, "{\"exp\":{}}"},
    {JWT_EXPIRY_MISSING, &strictest, NULL, "{\"EXP\":1700000600}"},
    {JWT_PAYLOAD, &strictest, NULL, "{\"exp\":01700000600}"},
    {JWT_PAYLOAD, &strictest, NULL, "{\"exp\":+1700000600}"},
    {JWT_PAYLOAD, &strictest, NULL, "{\"exp\":0x6553f100}"},
    {JWT_GOOD, &rules_leeway, NULL, "{\"exp\":1699999941}"},
    {JWT_EXPIRED, &rules_leeway, NULL, "{\"exp\":1699999940}"},

    /* nbf and iat */
    {JWT_GOOD, &strictest, NULL, "{" EXP ",\"nbf\":1700000000}"},
    {JWT_TOO_EARLY, &strictest, NULL, "{" EXP ",\"nbf\":1700000001}"},
    {JWT_TOO_EARLY, &strictest, NULL, "{" EXP ",\"nbf\":1700000000.5}"},
    {JWT_GOOD, &rules_leeway, NULL, "{" EXP ",\"nbf\":1700000060}"},
    {JWT_TOO_EARLY, &rules_leeway, NULL, "{" EXP ",\"nbf\":1700000061}"},
    {JWT_TOO_EARLY, &strictest, NULL, "{" EXP ",\"nbf\":9007199254740991}"},
    {JWT_NOT_BEFORE_INVALID, &strictest, NULL, "{" EXP ",\"nbf\":9007199254740992}"},
    {JWT_NOT_BEFORE_INVALID, &strictest, NULL, "{" EXP ",\"nbf\":\"1700000000\"}"},
    {JWT_NOT_BEFORE_INVALID, &strictest, NULL, "{" EXP ",\"nbf\":-1}"},
    {JWT_NOT_BEFORE_INVALID, &strictest, NULL, "{" EXP ",\"nbf\":null}"},
    {JWT_NOT_BEFORE_INVALID, &strictest, NULL, "{" EXP ",\"nbf\":[]}"},
    {JWT_PAYLOAD, &strictest, NULL, "{" EXP ",\"nbf\":1e400}"},
    {JWT_GOOD, &strictest, NULL, "{" EXP ",\"iat\":1700000000}"},
    {JWT_ISSUED_LATER, &strictest, NULL, "{" EXP ",\"iat\":1700000001}"},
    {JWT_GOOD, &rules_leeway, NULL, "{" EXP ",\"iat\":1700000060}"},
    {JWT_ISSUED_INVALID, &strictest, NULL, "{" EXP ",\"iat\":\"1700000000\"}"},
    {JWT_ISSUED_INVALID, &strictest, NULL, "{" EXP ",\"iat\":-1}"},
    {JWT_ISSUED_INVALID, &strictest, NULL, "{" EXP ",\"iat\":false}"},

    /* lifetime */
    {JWT_ISSUED_MISSING, &rules_lifetime, NULL, GOOD_PAYLOAD},
    {JWT_GOOD, &rules_lifetime, NULL, "{\"iat\":1700000000,\"exp\":1700003600}"},
    {JWT_LIFETIME, &rules_lifetime, NULL, "{\"iat\":1700000000,\"exp\":1700003601}"},
    {JWT_LIFETIME, &rules_lifetime, NULL, "{\"iat\":0,\"exp\":9007199254740991}"},
    {JWT_EXPIRY_MISSING, &rules_lifetime, NULL, "{\"iat\":1700000000}"},
    {JWT_GOOD, &rules_lifetime_optional, NULL, "{\"iat\":1699996401}"},
    {JWT_EXPIRED, &rules_lifetime_optional, NULL, "{\"iat\":1699996400}"},
    {JWT_ISSUED_MISSING, &rules_lifetime_optional, NULL, "{}"},
    {JWT_ISSUED_LATER, &rules_lifetime_optional, NULL, "{\"iat\":9007199254740991}"},

    /* iss */
    {JWT_GOOD, &strictest, NULL, "{" EXP ",\"iss\":\"anybody\"}"},
    {JWT_GOOD, &rules_issuer, NULL, "{" EXP ",\"iss\":\"a\"}"},
    {JWT_GOOD, &rules_issuer, NULL, "{" EXP ",\"iss\":\"b\"}"},
    {JWT_ISSUER_REFUSED, &rules_issuer, NULL, "{" EXP ",\"iss\":\"A\"}"},
    {JWT_ISSUER_REFUSED, &rules_issuer, NULL, "{" EXP ",\"iss\":\"ab\"}"},
    {JWT_ISSUER_REFUSED, &rules_issuer, NULL, "{" EXP ",\"iss\":\"\"}"},
    {JWT_ISSUER_REFUSED, &rules_issuer, NULL, "{" EXP ",\"iss\":\"a/\"}"},
    {JWT_ISSUER_MISSING, &rules_issuer, NULL, GOOD_PAYLOAD},
    {JWT_ISSUER_INVALID, &rules_issuer, NULL, "{" EXP ",\"iss\":[\"a\"]}"},
    {JWT_ISSUER_INVALID, &rules_issuer, NULL, "{" EXP ",\"iss\":null}"},
    {JWT_ISSUER_INVALID, &strictest, NULL, "{" EXP ",\"iss\":1}"},

    /* aud */
    {JWT_GOOD, &rules_audience, NULL, "{" EXP ",\"aud\":\"a\"}"},
    {JWT_GOOD, &rules_audience, NULL, "{" EXP ",\"aud\":[\"a\"]}"},
    {JWT_GOOD, &rules_audience, NULL, "{" EXP ",\"aud\":[\"x\",\"a\"]}"},
    {JWT_GOOD, &rules_audiences, NULL, "{" EXP ",\"aud\":[\"x\",\"b\"]}"},
    {JWT_AUDIENCE_REFUSED, &rules_audience, NULL, "{" EXP ",\"aud\":\"b\"}"},
    {JWT_AUDIENCE_REFUSED, &rules_audience, NULL, "{" EXP ",\"aud\":\"aa\"}"},
    {JWT_AUDIENCE_REFUSED, &rules_audience, NULL, "{" EXP ",\"aud\":\"A\"}"},
    {JWT_AUDIENCE_REFUSED, &rules_audience, NULL, "{" EXP ",\"aud\":\"\"}"},
    {JWT_AUDIENCE_REFUSED, &rules_audience, NULL, "{" EXP ",\"aud\":\"x a\"}"},
    {JWT_AUDIENCE_REFUSED, &rules_audience, NULL, "{" EXP ",\"aud\":[\"b\",\"c\"]}"},
    {JWT_AUDIENCE_INVALID, &rules_audience, NULL, "{" EXP ",\"aud\":[]}"},
    {JWT_AUDIENCE_INVALID, &rules_audience, NULL, "{" EXP ",\"aud\":[\"a\",1]}"},
    {JWT_AUDIENCE_INVALID, &rules_audience, NULL, "{" EXP ",\"aud\":[[\"a\"]]}"},
    {JWT_AUDIENCE_INVALID, &rules_audience, NULL, "{" EXP ",\"aud\":{\"a\":1}}"},
    {JWT_AUDIENCE_INVALID, &rules_audience, NULL, "{" EXP ",\"aud\":1}"},
    {JWT_AUDIENCE_INVALID, &rules_audience, NULL, "{" EXP ",\"aud\":null}"},
    {JWT_AUDIENCE_MISSING, &rules_audience, NULL, GOOD_PAYLOAD},
    {JWT_AUDIENCE_REFUSED, &strictest, NULL, "{" EXP ",\"aud\":\"a\"}"},
    {JWT_GOOD, &rules_any_audience, NULL, "{" EXP ",\"aud\":\"whoever\"}"},
    {JWT_AUDIENCE_REFUSED, &rules_audience_first, NULL, "{" EXP ",\"aud\":\"whoever\"}"},
    {JWT_GOOD, &rules_any_audience, NULL, GOOD_PAYLOAD},
    {JWT_AUDIENCE_INVALID, &rules_any_audience, NULL, "{" EXP ",\"aud\":[]}"},

    /* sub and jti */
    {JWT_GOOD, &rules_subject, NULL, "{" EXP ",\"sub\":\"7\"}"},
    {JWT_SUBJECT_MISSING, &rules_subject, NULL, GOOD_PAYLOAD},
    {JWT_SUBJECT_INVALID, &rules_subject, NULL, "{" EXP ",\"sub\":\"\"}"},
    {JWT_SUBJECT_INVALID, &strictest, NULL, "{" EXP ",\"sub\":7}"},
    {JWT_SUBJECT_INVALID, &strictest, NULL, "{" EXP ",\"sub\":null}"},
    {JWT_SUBJECT_INVALID, &strictest, NULL, "{" EXP ",\"sub\":[\"admin\"]}"},
    {JWT_GOOD, &strictest, NULL, "{" EXP ",\"jti\":\"x\"}"},
    {JWT_ID_INVALID, &strictest, NULL, "{" EXP ",\"jti\":1}"},

    /* typ */
    {JWT_GOOD, &strictest, "\"JWT\"", GOOD_PAYLOAD},
    {JWT_GOOD, &strictest, "\"jwt\"", GOOD_PAYLOAD},
    {JWT_GOOD, &strictest, "\"application/jwt\"", GOOD_PAYLOAD},
    {JWT_GOOD, &strictest, "\"at+jwt\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &strictest, "\"logout+jwt\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &strictest, "\"secevent+jwt\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &strictest, "\"\"", GOOD_PAYLOAD},
    {JWT_TYPE_INVALID, &strictest, "null", GOOD_PAYLOAD},
    {JWT_TYPE_INVALID, &strictest, "[\"JWT\"]", GOOD_PAYLOAD},
    {JWT_GOOD, &rules_access, "\"at+jwt\"", GOOD_PAYLOAD},
    {JWT_GOOD, &rules_access, "\"AT+JWT\"", GOOD_PAYLOAD},
    {JWT_GOOD, &rules_access, "\"Application/at+jwt\"", GOOD_PAYLOAD},
    {JWT_GOOD, &rules_access_long, "\"at+jwt\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &rules_access, NULL, GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &rules_access, "\"JWT\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &rules_access, "\"at+jw\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &rules_access, "\"text/at+jwt\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &rules_access, "\"application/application/at+jwt\"", GOOD_PAYLOAD},
    {JWT_GOOD, &rules_text_type, "\"text/x\"", GOOD_PAYLOAD},
    {JWT_TYPE_REFUSED, &rules_text_type, "\"application/text/x\"", GOOD_PAYLOAD},

    /* expiry is told last */
    {JWT_ISSUER_REFUSED, &rules_all, NULL, "{\"exp\":1,\"iss\":\"x\",\"aud\":\"a\",\"sub\":\"s\"}"},
    {JWT_AUDIENCE_REFUSED, &rules_all, NULL, "{\"exp\":1,\"iss\":\"a\",\"aud\":\"x\",\"sub\":\"s\"}"},
    {JWT_SUBJECT_MISSING, &rules_all, NULL, "{\"exp\":1,\"iss\":\"a\",\"aud\":\"a\"}"},
    {JWT_TOO_EARLY, &rules_all, NULL,
     "{\"exp\":1,\"nbf\":1700000001,\"iss\":\"a\",\"aud\":\"a\",\"sub\":\"s\"}"},
    {JWT_EXPIRED, &rules_all, NULL, "{\"exp\":1,\"iss\":\"a\",\"aud\":\"a\",\"sub\":\"s\"}"},
    {JWT_GOOD, &rules_all, NULL, "{" EXP ",\"iss\":\"a\",\"aud\":\"a\",\"sub\":\"s\"}"},
};

START_TEST(claims_are_judged)
{
    const struct claims_case *row = &claims_cases[_i];
    struct jwt_keys *keys = keys_of("HS256", "secret:");
    struct signer signer = signer_of(SECRET);
    const char *header =
        row->typ ? arena_printf(arena, "{\"typ\":%s,\"alg\":\"HS256\"}", row->typ) : "{\"alg\":\"HS256\"}";
    struct text token = signer_token(&signer, arena, text_of(header), text_of(row->claims), NULL);
    expect(row->fault, keys, row->rules, token, arena_printf(arena, "typ %s, %s", row->typ, row->claims));
    jwt_keys_release(keys);
}
END_TEST

START_TEST(claims_are_handed_over)
{
    struct jwt_keys *keys = keys_of("HS256", "secret:");
    struct text token =
        token_by(SECRET, "HS256",
                 "{\"exp\":1700000600.25,\"nbf\":1,\"iat\":2,\"sub\":\"s\",\"iss\":\"i\",\"jti\":\"j\","
                 "\"roles\":[\"admin\"]}");
    struct jwt *jwt;
    ck_assert_int_eq(jwt_verify(keys, &strictest, token, NOW, arena, &jwt), JWT_GOOD);
    ck_assert_int_eq(jwt->facts.expires, INT64_C(1700000600250));
    ck_assert_int_eq(jwt->facts.not_before, SECOND);
    ck_assert_int_eq(jwt->facts.issued, 2 * SECOND);
    ck_assert(text_equal(jwt->facts.subject, TEXT("s")));
    ck_assert(text_equal(jwt->facts.issuer, TEXT("i")));
    ck_assert(text_equal(jwt->facts.id, TEXT("j")));
    ck_assert_str_eq(jwt->algorithm->name, "HS256");
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(jwt->claims, "roles"), 0)), "admin");
    jwt_release(jwt);
    jwt_keys_release(keys);
}
END_TEST

START_TEST(faults_have_words)
{
    for (size_t i = 0; i < JWT_FAULTS; i++) {
        struct text word = text_of(jwt_fault_word((enum jwt_fault)i)), other;
        ck_assert_uint_ge(strlen(jwt_fault_text((enum jwt_fault)i)), 10);
        for (size_t j = 0; j < i; j++) {
            other = text_of(jwt_fault_word((enum jwt_fault)j));
            ck_assert_msg(!text_equal(word, other), "%s", word.at);
        }
        for (size_t j = 0; j < word.length; j++)
            ck_assert(strchr("abcdefghijklmnopqrstuvwxyz0123456789_", word.at[j]));
    }
    ck_assert_str_eq(jwt_fault_code(JWT_EXPIRED), "token_expired");
    ck_assert_str_eq(jwt_fault_code(JWT_SIGNATURE), "invalid_token");
    ck_assert_str_eq(jwt_fault_code(JWT_TOO_EARLY), "invalid_token");
}
END_TEST

/* ================ size */

/* A good token of exactly that many bytes. */
static struct text token_of_size(size_t size)
{
    struct signer signer = signer_of(SECRET);
    struct text header = TEXT("{\"alg\":\"HS256\"}"), token = {0};
    for (size_t room = size / 4 * 3; room > 0 && token.length != size; room--) {
        char *payload = arena_alloc(arena, room + 1);
        int length = snprintf(payload, room + 1, "{" EXP ",\"x\":\"");
        memset(payload + length, 'x', room - (size_t)length);
        memcpy(payload + room - 2, "\"}", 2);
        token = signer_token(&signer, arena, header, (struct text){payload, room}, NULL);
        if (token.length < size) /* one length in four cannot be; a header with a blank makes it so */
            header = TEXT("{\"alg\":\"HS256\" }"), room += 3;
    }
    ck_assert_uint_eq(token.length, size);
    return token;
}

START_TEST(size_is_limited)
{
    struct jwt_keys *keys = keys_of("HS256", "secret:");
    expect(JWT_GOOD, keys, &strictest, token_of_size(JWS_SIZE_LIMIT), "16 KiB");
    struct text more = token_of_size(JWS_SIZE_LIMIT + 1);
    expect(JWT_TOO_LONG, keys, &strictest, more, "16 KiB and one byte");
    jwt_keys_release(keys);
}
END_TEST

START_TEST(size_of_nine_megabytes)
{
    struct jwt_keys *keys = keys_of("HS256", "secret:");
    size_t length = 9 << 20;
    char *payload = arena_alloc(arena, length);
    memset(payload, '[', length);
    struct signer signer = signer_of(SECRET);
    struct text token =
        signer_token(&signer, arena, TEXT("{\"alg\":\"HS256\"}"), (struct text){payload, length}, NULL);
    ck_assert_uint_gt(token.length, length);
    expect(JWT_TOO_LONG, keys, &strictest, token, "9 MB of brackets");
    memset(payload, '.', length);
    expect(JWT_TOO_LONG, keys, &strictest, (struct text){payload, length}, "9 MB of dots");
    expect(JWT_PARTS, keys, &strictest, (struct text){payload, JWS_SIZE_LIMIT}, "16 KiB of dots");
    expect(JWT_PARTS, keys, &strictest, (struct text){0}, "no bytes");
    jwt_keys_release(keys);
}
END_TEST

/* A token cut anywhere is no token. */
START_TEST(size_is_whole)
{
    struct jwt_keys *keys = keys_of("HS256", "secret:");
    struct text token = token_by(SECRET, "HS256", GOOD_PAYLOAD);
    struct jwt *jwt;
    for (size_t length = 0; length < token.length; length++) {
        char *exact = malloc(length ? length : 1); /* a sanitizer sees one byte too many */
        memcpy(exact, token.at, length);
        ck_assert_int_ne(jwt_verify(keys, &strictest, (struct text){exact, length}, NOW, arena, &jwt),
                         JWT_GOOD);
        ck_assert_ptr_null(jwt);
        free(exact);
    }
    expect(JWT_GOOD, keys, &strictest, token, "whole");
    jwt_keys_release(keys);
}
END_TEST

/* ================ published vectors */

#define RFC_7515_PAYLOAD                                                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"

static const struct {
    const char *name, *algorithm, *jwk, *token;
} vectors[] = {
    {"RFC 7515, A.1", "HS256",
     "\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
     "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." RFC_7515_PAYLOAD
     ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RFC 7515, A.2", "RS256",
     "\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
     "4qPCJrcS2mJPMEzP1Pt0B"
     "m4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
     "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQ"
     "OS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
     "h9iaGNj8q2ethFkMLs"
     "91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"",
     "eyJhbGciOiJSUzI1NiJ9." RFC_7515_PAYLOAD
     ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
     "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
     "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS"
     "jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
     "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6"
     "LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"RFC 7515, A.3", "ES256",
     "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"",
     "eyJhbGciOiJFUzI1NiJ9." RFC_7515_PAYLOAD
     ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"RFC 7515, A.4", "ES512",
     "\"kty\":\"EC\",\"crv\":\"P-521\","
     "\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\","
     "\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"",
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-"
     "KGDKB34XO0"
     "aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"},
    {"RFC 8037, A.4", "EdDSA",
     "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
     "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

/* A.5 is "none", and refused. */
START_TEST(vectors_of_the_standards)
{
    struct error error = {0};
    struct jws jws;
    struct jwt_keys *keys = jwt_keys_new(algorithms_of(vectors[_i].algorithm));
    struct text json = text_of(arena_printf(arena, "{\"keys\":[{%s}]}", vectors[_i].jwk));
    ck_assert_msg(jwt_keys_add_jwks(keys, json, &error), "%s: %s", vectors[_i].name, error.message);
    enum jwt_fault fault = jws_verify(keys, text_of(vectors[_i].token), arena, &jws);
    ck_assert_msg(fault == JWT_GOOD, "%s: %s", vectors[_i].name, jwt_fault_word(fault));
    ck_assert_str_eq(jws.algorithm->name, vectors[_i].algorithm);
    json_decref(jws.header);
    fault = jws_verify(keys, TEXT("eyJhbGciOiJub25lIn0." RFC_7515_PAYLOAD "."), arena, &jws);
    ck_assert_int_eq(fault, JWT_ALGORITHM_UNKNOWN);
    jwt_keys_release(keys);
}
END_TEST

/* ================ base64url */

static const struct {
    const char *encoded, *decoded; /* NULL: refused */
} encodings[] = {
    {"", ""},
    {"Zg", "f"},
    {"Zm8", "fo"},
    {"Zm9v", "foo"},
    {"Zm9vYg", "foob"},
    {"Zm9vYmE", "fooba"},
    {"Zm9vYmFy", "foobar"},
    {"-_-_", "\xfb\xff\xbf"},
    {"Zh", NULL},
    {"Zm9", NULL},
    {"Z", NULL},
    {"Zm9vY", NULL},
    {"Zg==", NULL},
    {"Zm8=", NULL},
    {"Zm9v=", NULL},
    {"=", NULL},
    {"Zm+v", NULL},
    {"Zm/v", NULL},
    {"Zm 9v", NULL},
    {"Zm9v\n", NULL},
    {"Zm\x80v", NULL},
    {"Zm9v.", NULL},
};

START_TEST(base64url_has_one_spelling)
{
    struct text encoded = text_of(encodings[_i].encoded), decoded;
    bool good = base64url_decode(arena, encoded, &decoded);
    ck_assert_msg(good == (encodings[_i].decoded != NULL), "%s", encodings[_i].encoded);
    if (!good)
        return;
    ck_assert(text_equal(decoded, text_of(encodings[_i].decoded)));
    ck_assert(text_equal(base64url_encode(arena, decoded.at, decoded.length), encoded));
}
END_TEST

/* All pairs and triples of letters: one spelling for each value. */
START_TEST(base64url_is_one_to_one)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t pairs = 0, triples = 0;
    struct text decoded;
    for (size_t i = 0; i < 64 * 64 * 64; i++) {
        char encoded[] = {letters[i >> 12], letters[i >> 6 & 63], letters[i & 63]};
        arena_reset(arena);
        if (i < 64 * 64 && base64url_decode(arena, (struct text){encoded + 1, 2}, &decoded))
            pairs++;
        if (base64url_decode(arena, (struct text){encoded, 3}, &decoded))
            triples++;
    }
    ck_assert_uint_eq(pairs, 1 << 8);
    ck_assert_uint_eq(triples, 1 << 16);
}
END_TEST

#define ADD_TABLE(name, table) tcase_add_loop_test(cases, name, 0, (int)COUNT(table))

static Suite *make_suite(void)
{
    Suite *suite = suite_create("jwt");
    TCase *cases = tcase_create("tokens");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD_TABLE(algorithms_take_their_own_signatures_only, good_signers);
    ADD_TABLE(algorithms_find_every_changed_bit, good_signers);
    ADD_TABLE(tokens_are_judged, token_cases);
    ADD_TABLE(claims_are_judged, claims_cases);
    tcase_add_test(cases, claims_are_handed_over);
    tcase_add_test(cases, faults_have_words);
    tcase_add_test(cases, size_is_limited);
    tcase_add_test(cases, size_of_nine_megabytes);
    tcase_add_test(cases, size_is_whole);
    ADD_TABLE(vectors_of_the_standards, vectors);
    ADD_TABLE(base64url_has_one_spelling, encodings);
    tcase_add_test(cases, base64url_is_one_to_one);
    suite_add_tcase(suite, cases);
    return suite;
}

int main(void)
{
    make_keys();
    SRunner *runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    free_keys();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
