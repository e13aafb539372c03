/*
 * The table of algorithms.
 */
#include "config.h"

#include "identity/jose.h"

#include <assert.h>

const struct jose_algorithm jose_algorithms[JOSE_ALGORITHMS] = {
    {.name = "HS256", .type = JOSE_OCT, .digest = "SHA256", .digest_size = 32, .signature_size = 32},
    {.name = "HS384", .type = JOSE_OCT, .digest = "SHA384", .digest_size = 48, .signature_size = 48},
    {.name = "HS512", .type = JOSE_OCT, .digest = "SHA512", .digest_size = 64, .signature_size = 64},
    {.name = "RS256", .type = JOSE_RSA, .digest = "SHA256", .digest_size = 32},
    {.name = "RS384", .type = JOSE_RSA, .digest = "SHA384", .digest_size = 48},
    {.name = "RS512", .type = JOSE_RSA, .digest = "SHA512", .digest_size = 64},
    {.name = "PS256", .type = JOSE_RSA, .digest = "SHA256", .digest_size = 32, .pss = true},
    {.name = "PS384", .type = JOSE_RSA, .digest = "SHA384", .digest_size = 48, .pss = true},
    {.name = "PS512", .type = JOSE_RSA, .digest = "SHA512", .digest_size = 64, .pss = true},
    {"ES256", JOSE_EC, "P-256", "SHA256", 32, 64, false},
    {"ES384", JOSE_EC, "P-384", "SHA384", 48, 96, false},
    {"ES512", JOSE_EC, "P-521", "SHA512", 64, 132, false},
    {.name = "EdDSA", .type = JOSE_OKP},
    {.name = "Ed25519", .type = JOSE_OKP, .curve = "Ed25519", .signature_size = 64},
    {.name = "Ed448", .type = JOSE_OKP, .curve = "Ed448", .signature_size = 114},
};

const struct jose_algorithm *jose_find(struct text name)
{
    for (size_t i = 0; i < JOSE_ALGORITHMS; i++)
        if (text_equal(name, text_of(jose_algorithms[i].name)))
            return &jose_algorithms[i];
    return NULL;
}

size_t jose_index(const struct jose_algorithm *algorithm)
{
    assert(algorithm >= jose_algorithms && algorithm < jose_algorithms + JOSE_ALGORITHMS);
    return (size_t)(algorithm - jose_algorithms);
}

jose_set jose_bit(const struct jose_algorithm *algorithm)
{
    return (jose_set)1 << jose_index(algorithm);
}

jose_set jose_symmetric(void)
{
    jose_set set = 0;
    for (size_t i = 0; i < JOSE_ALGORITHMS; i++)
        if (jose_algorithms[i].type == JOSE_OCT)
            set |= (jose_set)1 << i;
    return set;
}

const char *jose_key_type_name(enum jose_key_type type)
{
    static const char *const names[] = {"oct", "RSA", "EC", "OKP"};
    return names[type];
}
