/*
 * CPU time of one verification: nothing but OpenSSL with a parsed key ("bare"),
 * fcgiguard with a token it has not seen ("miss") and with one it has ("hit"),
 * and its peers where they are installed: libjwt, and jsonwebtoken and jose on
 * Node. All of them verify the same tokens. Each round measures all in a new
 * order; ratios are taken within a round.
 */
#include "config.h"

#include <math.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "identity/base64url.h"
#include "identity/jwt_cache.h"
#include "identity/jwt_verify.h"
#include "node_peers.h"
#include "token_signer.h"

#ifdef HAVE_LIBJWT
#include <jwt.h>
#endif

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOW          INT64_C(1700000000000)

/* Four times as many tokens as the small cache has places: asked in turn, each
 * has always been driven out. */
enum { TOKENS = 32, SMALL_CACHE = 8, WAYS_TO_VERIFY = 7, ROUNDS_MOST = 99, SLICE_MICROSECONDS = 100000 };

enum way { BARE, MISS, HIT, LIBJWT, NODE_PARSED, NODE_TEXT, NODE_JOSE };

struct subject {
    const char *name;
    const char *type, *group; /* of the key; NULL: a secret */
    struct signer signer;
    bool libjwt; /* knows it (1.10) */
    struct text tokens[TOKENS], contents[TOKENS], signatures[TOKENS];
    struct jwt_keys *keys;
    struct jwt_cache *small, *large;
    struct text pem;                                  /* NUL-terminated */
    double microseconds[WAYS_TO_VERIFY][ROUNDS_MOST]; /* NAN: not measured */
};

static struct subject subjects[] = {
    {.name = "HS256", .signer = {.digest = "SHA256"}, .libjwt = true},
    {.name = "HS384", .signer = {.digest = "SHA384"}, .libjwt = true},
    {.name = "HS512", .signer = {.digest = "SHA512"}, .libjwt = true},
    {.name = "RS256", .type = "RSA", .signer = {.digest = "SHA256"}, .libjwt = true},
    {.name = "RS384", .type = "RSA", .signer = {.digest = "SHA384"}, .libjwt = true},
    {.name = "RS512", .type = "RSA", .signer = {.digest = "SHA512"}, .libjwt = true},
    {.name = "PS256", .type = "RSA", .signer = {.digest = "SHA256", .pss = true}},
    {.name = "ES256",
     .type = "EC",
     .group = "P-256",
     .signer = {.digest = "SHA256", .half = 32},
     .libjwt = true},
    {.name = "ES384",
     .type = "EC",
     .group = "P-384",
     .signer = {.digest = "SHA384", .half = 48},
     .libjwt = true},
    {.name = "ES512",
     .type = "EC",
     .group = "P-521",
     .signer = {.digest = "SHA512", .half = 66},
     .libjwt = true},
    {.name = "EdDSA", .type = "ED25519", .group = "Ed25519"},
};

static const char secret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
static const struct jwt_rules rules = {.any_audience = true};

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "verify: %s: %s\n", name, what);
    exit(EXIT_FAILURE);
}

static double cpu_microseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* What OpenSSL is given: the signed bytes, and the signature as it wants it. */
static void prepare_bare(struct subject *subject, struct arena *arena, size_t i)
{
    struct text token = subject->tokens[i];
    size_t dot = (size_t)((char *)memrchr(token.at, '.', token.length) - token.at);
    struct text raw;
    base64url_decode(arena, text_from(token, dot + 1), &raw);
    subject->contents[i] = (struct text){token.at, dot};
    subject->signatures[i] = raw;
    if (subject->signer.half) {
        ECDSA_SIG *numbers = ECDSA_SIG_new();
        unsigned char *der = NULL;
        int half = (int)subject->signer.half;
        ECDSA_SIG_set0(numbers, BN_bin2bn((const unsigned char *)raw.at, half, NULL),
                       BN_bin2bn((const unsigned char *)raw.at + half, half, NULL));
        int length = i2d_ECDSA_SIG(numbers, &der);
        subject->signatures[i] = (struct text){(char *)der, (size_t)length};
        ECDSA_SIG_free(numbers);
    }
}

static void tell_node(const struct subject *subject)
{
    struct text key = subject->type ? subject->pem : subject->signer.secret;
    json_t *list = json_array();
    for (size_t i = 0; i < TOKENS; i++)
        json_array_append_new(list, json_stringn(subject->tokens[i].at, subject->tokens[i].length));
    node_add(json_pack("{s:s, s:b, s:s%, s:o}", "name", subject->name, "secret", !subject->type, "key",
                       key.at, key.length, "tokens", list));
}

static void prepare(struct subject *subject, struct arena *arena)
{
    struct error error = {0};
    struct signer *signer = &subject->signer;
    subject->keys = jwt_keys_new(jose_bit(jose_find(text_of(subject->name))));
    if (!subject->type) {
        signer->secret = text_of(secret);
        jwt_keys_add_secret(subject->keys, signer->secret, TEXT("2026-01"), &error);
    } else {
        signer->key = strcmp(subject->type, "RSA") == 0  ? EVP_RSA_gen(2048)
                      : strcmp(subject->type, "EC") == 0 ? EVP_EC_gen(subject->group)
                                                         : EVP_PKEY_Q_keygen(NULL, NULL, subject->type);
        struct text pem = signer_pem(signer->key, arena);
        subject->pem = (struct text){arena_copy(arena, pem.at, pem.length), pem.length};
        jwt_keys_add_pem(subject->keys, pem, TEXT("2026-01"), &error);
    }
    if (error.set)
        fail(error.message, subject->name);
    subject->small = jwt_cache_new(SMALL_CACHE);
    subject->large = jwt_cache_new(JWT_CACHE_ENTRIES);
    for (size_t i = 0; i < TOKENS; i++) {
        const char *header =
            arena_printf(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"2026-01\"}", subject->name);
        const char *claims = arena_printf(
            arena,
            "{\"iss\":\"https://login.example.com/\",\"sub\":\"user-%zu\",\"aud\":\"api.example.com\","
            "\"iat\":1699999990,\"exp\":1700003600,\"jti\":\"%032zu\",\"roles\":[\"admin\",\"editor\"]}",
            i, i);
        subject->tokens[i] = signer_token(signer, arena, text_of(header), text_of(claims), NULL);
        prepare_bare(subject, arena, i);
    }
    tell_node(subject);
}

static bool run_bare(const struct subject *subject, size_t i)
{
    struct text content = subject->contents[i], signature = subject->signatures[i];
    const unsigned char *at = (const unsigned char *)content.at;
    if (!subject->type) {
        unsigned char code[EVP_MAX_MD_SIZE];
        unsigned length;
        return HMAC(EVP_get_digestbyname(subject->signer.digest), secret, sizeof secret - 1, at,
                    content.length, code, &length) &&
               length == signature.length && CRYPTO_memcmp(code, signature.at, length) == 0;
    }
    EVP_PKEY_CTX *settings;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = EVP_DigestVerifyInit_ex(context, &settings, subject->signer.digest, NULL, NULL,
                                        subject->signer.key, NULL) == 1;
    if (good && subject->signer.pss)
        good = EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) > 0;
    good = good && EVP_DigestVerify(context, (const unsigned char *)signature.at, signature.length, at,
                                    content.length) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static bool run_ours(const struct subject *subject, struct jwt_cache *cache, size_t i)
{
    static struct arena *arena;
    struct jwt_verifier verifier = {&rules, cache};
    struct jwt *jwt;
    if (!arena)
        arena = arena_new();
    enum jwt_fault fault = jwt_verifier_check(&verifier, subject->keys, subject->tokens[i], NOW, arena, &jwt);
    jwt_release(jwt);
    arena_reset(arena);
    return fault == JWT_GOOD;
}

static bool run_libjwt(const struct subject *subject, size_t i)
{
#ifdef HAVE_LIBJWT
    jwt_t *jwt = NULL;
    const char *key = subject->type ? subject->pem.at : secret;
    size_t length = subject->type ? subject->pem.length : sizeof secret - 1;
    int result = jwt_decode(&jwt, subject->tokens[i].at, (const unsigned char *)key, (int)length);
    if (result == 0)
        jwt_free(jwt);
    return result == 0;
#else
    return subject && i && false;
#endif
}

static bool is_installed(enum way way)
{
#ifndef HAVE_LIBJWT
    if (way == LIBJWT)
        return false;
#endif
    return way < NODE_PARSED || node_versions();
}

static bool run(const struct subject *subject, enum way way, size_t i)
{
    switch (way) {
    case BARE:
        return run_bare(subject, i);
    case MISS:
        return run_ours(subject, subject->small, i);
    case HIT:
        return run_ours(subject, subject->large, i);
    case LIBJWT:
        return run_libjwt(subject, i);
    case NODE_PARSED:
    case NODE_TEXT:
    case NODE_JOSE:
        break; /* in a process of its own */
    }
    return false;
}

static double measure(const struct subject *subject, enum way way)
{
    static const char *const node_ways[] = {
        [NODE_PARSED] = "parsed", [NODE_TEXT] = "text", [NODE_JOSE] = "jose"};
    if (way >= NODE_PARSED)
        return node_measure(subject->name, node_ways[way]);
    if (way == LIBJWT && (!is_installed(way) || !subject->libjwt))
        return NAN;
    double start = cpu_microseconds(), end = start;
    size_t count = 0;
    while (end - start < SLICE_MICROSECONDS) {
        for (size_t i = 0; i < TOKENS; i++)
            if (!run(subject, way, i))
                fail("a good token was refused", subject->name);
        count += TOKENS;
        end = cpu_microseconds();
    }
    return (end - start) / (double)count;
}

static void run_round(size_t round)
{
    size_t order[COUNT(subjects) * WAYS_TO_VERIFY];
    for (size_t i = 0; i < COUNT(order); i++) {
        size_t other = (size_t)rand() % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (size_t i = 0; i < COUNT(order); i++) {
        struct subject *subject = &subjects[order[i] / WAYS_TO_VERIFY];
        enum way way = (enum way)(order[i] % WAYS_TO_VERIFY);
        subject->microseconds[way][round] = measure(subject, way);
    }
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const double *values, size_t count)
{
    double sorted[ROUNDS_MOST];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted[count / 2];
}

static void print(const struct subject *subject, size_t rounds)
{
    double ratios[ROUNDS_MOST];
    for (size_t i = 0; i < rounds; i++)
        ratios[i] = subject->microseconds[MISS][i] / subject->microseconds[BARE][i];
    double middle = median(ratios, rounds);
    qsort(ratios, rounds, sizeof *ratios, compare);
    printf("%-6s %8.2f %8.2f %8.2f ", subject->name, median(subject->microseconds[BARE], rounds),
           median(subject->microseconds[MISS], rounds), median(subject->microseconds[HIT], rounds));
    printf("  %5.2f (%.2f to %.2f)\n", middle, ratios[0], ratios[rounds - 1]);
}

static void print_peer(const struct subject *subject, enum way way, const char *name, size_t rounds)
{
    const double *peer = subject->microseconds[way];
    printf("%-6s %-24s ", subject->name, name);
    if (isnan(peer[0])) {
        printf(is_installed(way) ? "does not know it\n" : "not measured: not installed\n");
        return;
    }
    double miss[ROUNDS_MOST], hit[ROUNDS_MOST];
    for (size_t i = 0; i < rounds; i++) {
        miss[i] = peer[i] / subject->microseconds[MISS][i];
        hit[i] = peer[i] / subject->microseconds[HIT][i];
    }
    double middle = median(miss, rounds);
    qsort(miss, rounds, sizeof *miss, compare);
    printf("%8.2f   %6.2f (%.2f to %.2f)   %8.1f\n", median(peer, rounds), middle, miss[0], miss[rounds - 1],
           median(hit, rounds));
}

static void print_peers(const struct subject *subject, size_t rounds)
{
    print_peer(subject, LIBJWT, "libjwt", rounds);
    print_peer(subject, NODE_PARSED, "jsonwebtoken, KeyObject", rounds);
    print_peer(subject, NODE_TEXT, subject->type ? "jsonwebtoken, PEM" : "jsonwebtoken, text", rounds);
    print_peer(subject, NODE_JOSE, "jose, KeyObject", rounds);
}

int main(int count, char **arguments)
{
    size_t rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 5;
    if (rounds < 1 || rounds > ROUNDS_MOST)
        fail("expected a number of rounds from 1 to 99", count > 1 ? arguments[1] : "");
    struct arena *arena = arena_new();
    srand((unsigned)time(NULL));
    node_start(count > 2 ? arguments[2] : NULL);
    for (size_t i = 0; i < COUNT(subjects); i++)
        prepare(&subjects[i], arena);
    for (size_t i = 0; i < rounds; i++)
        run_round(i);
    printf("microseconds of CPU a token of %zu bytes (HS256); medians of %zu rounds\n\n",
           subjects[0].tokens[0].length, rounds);
    printf("%-6s %8s %8s %8s  %s\n", "", "bare", "miss", "hit", "miss / bare (least to largest)");
    for (size_t i = 0; i < COUNT(subjects); i++)
        print(&subjects[i], rounds);
    printf("\nits peers%s%s\n\n", node_versions() ? ": " : "", node_versions() ? node_versions() : "");
    printf("%-6s %-24s %8s   %s   %s\n", "", "", "peer", "peer / miss (least to largest)", "peer / hit");
    for (size_t i = 0; i < COUNT(subjects); i++)
        print_peers(&subjects[i], rounds);
    node_stop();
    return EXIT_SUCCESS;
}
