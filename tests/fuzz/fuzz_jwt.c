/*
 * Fuzzing of tokens and keys; the first byte says what the rest is: a token, a
 * header and a payload (between them a newline) that are signed here so that
 * the claims are reached, a JWKS, PEM, or base64url. What is accepted must have
 * one spelling only, and a cache must not change a verdict.
 */
#include "config.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "identity/base64url.h"
#include "identity/jwt_cache.h"
#include "identity/jwt_verify.h"

#define NOW    INT64_C(1700000000000)
#define SECRET "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct jwt_keys *verification_keys(void)
{
    static struct jwt_keys *keys;
    static const char jwks[] =
        "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"e\",\"crv\":\"P-256\",\"x\":"
        "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    struct error error = {0};
    if (keys)
        return keys;
    keys = jwt_keys_new(~(jose_set)0);
    bool good = jwt_keys_add_jwks(keys, text_of(jwks), &error);
    assert(good);
    /* All HS algorithms are allowed, so the secret is as long as HS512 wants it. */
    good = jwt_keys_add_secret(keys, TEXT(SECRET SECRET), TEXT("s"), &error);
    assert(good);
    return keys;
}

static void check_spelling(struct arena *arena, struct text token)
{
    struct text part, decoded;
    size_t parts = 0;
    while (text_next(&token, '.', &part)) {
        bool good = base64url_decode(arena, part, &decoded);
        assert(good && text_equal(base64url_encode(arena, decoded.at, decoded.length), part));
        parts++;
    }
    assert(parts == 3);
}

static void check_token(struct arena *arena, struct text token, const struct jwt_rules *rules)
{
    struct jwt_cache *cache = jwt_cache_new(1);
    struct jwt_verifier verifier = {rules, cache};
    struct jwt *jwt, *again;
    enum jwt_fault fault = jwt_verifier_check(&verifier, verification_keys(), token, NOW, arena, &jwt);
    for (int64_t later = 0; later <= 2000; later += 1000) {
        enum jwt_fault without = jwt_verify(verification_keys(), rules, token, NOW + later, arena, &again);
        jwt_release(again);
        enum jwt_fault with =
            jwt_verifier_check(&verifier, verification_keys(), token, NOW + later, arena, &again);
        jwt_release(again);
        assert(with == without && (later > 0 || with == fault));
    }
    assert((jwt != NULL) == (fault == JWT_GOOD) && jwt_fault_word(fault)[0]);
    if (jwt) {
        check_spelling(arena, token);
        assert(json_is_object(jwt->claims) && jwt->facts.expires > NOW - rules->leeway);
        assert(!json_object_get(jwt->header, "crit"));
    }
    jwt_release(jwt);
    jwt_cache_free(cache);
}

static void sign_and_check(struct arena *arena, struct text input)
{
    struct text names[] = {TEXT("a"), TEXT("b")};
    struct jwt_rules wide = {.any_audience = true, .leeway = 1000};
    struct jwt_rules narrow = {
        .issuers = {names, 2}, .audiences = {names, 2}, .types = {names, 1}, .lifetime_limit = 60000};
    size_t line = text_find(input, '\n');
    struct text header = base64url_encode(arena, input.at, line), payload = text_from(input, line + 1);
    payload = base64url_encode(arena, payload.at, payload.length);
    char *content = arena_printf(arena, "%.*s.%.*s", TEXT_ARGUMENTS(header), TEXT_ARGUMENTS(payload));
    unsigned char code[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    HMAC(EVP_sha256(), SECRET SECRET, sizeof SECRET SECRET - 1, (unsigned char *)content, strlen(content),
         code, &length);
    struct text signature = base64url_encode(arena, code, length);
    struct text token = text_of(arena_printf(arena, "%s.%.*s", content, TEXT_ARGUMENTS(signature)));
    check_token(arena, token, &wide);
    check_token(arena, token, &narrow);
}

static void check_keys(struct text input, bool pem)
{
    struct error error = {0};
    struct jwt_keys *keys = jwt_keys_new(~(jose_set)0);
    bool good =
        pem ? jwt_keys_add_pem(keys, input, TEXT(""), &error) : jwt_keys_add_jwks(keys, input, &error);
    assert(good == (jwt_keys_count(keys) > 0) && good == !error.set);
    for (size_t i = 0; i < jwt_keys_count(keys); i++)
        for (size_t j = 0; j < JOSE_ALGORITHMS; j++) {
            const struct signature_check *check = jwt_keys_get(keys, i)->checks[j];
            assert(!check || !signature_check_run(check, TEXT("content"), TEXT("signature")));
        }
    jwt_keys_release(keys);
}

static void check_base64url(struct arena *arena, struct text input)
{
    struct text decoded;
    if (base64url_decode(arena, input, &decoded))
        assert(text_equal(base64url_encode(arena, decoded.at, decoded.length), input));
    struct text encoded = base64url_encode(arena, input.at, input.length);
    bool good = base64url_decode(arena, encoded, &decoded);
    assert(good && text_equal(decoded, input));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct jwt_rules rules = {.any_audience = true};
    if (size < 1)
        return 0;
    struct text input = {(const char *)data + 1, size - 1};
    struct arena *arena = arena_new();
    switch (data[0]) {
    case 't':
        check_token(arena, input, &rules);
        break;
    case 'c':
        sign_and_check(arena, input);
        break;
    case 'k':
    case 'p':
        check_keys(input, data[0] == 'p');
        break;
    default:
        check_base64url(arena, input);
    }
    arena_free(arena);
    return 0;
}
