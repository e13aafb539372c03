/*
 * The words and sentences of the faults.
 */
#include "config.h"

#include "identity/jwt_fault.h"

#include <assert.h>

static const struct {
    const char *word, *text;
} faults[JWT_FAULTS] = {
    [JWT_GOOD] = {"good", "nothing is wrong with it"},
    [JWT_TOO_LONG] = {"token_too_long", "it is longer than 16 KiB"},
    [JWT_PARTS] = {"not_three_parts", "it is not three parts with a dot between them"},
    [JWT_ENCODING] = {"not_base64url", "a part of it is not base64url in its one spelling without padding"},
    [JWT_HEADER] = {"bad_header", "its header is not one JSON object with each member once"},
    [JWT_CRITICAL] = {"critical_header", "its header has a \"crit\", and no extension is understood"},
    [JWT_UNENCODED] = {"unencoded_payload", "its header has a \"b64\""},
    [JWT_ALGORITHM_MISSING] = {"alg_missing", "its header has no \"alg\", or one that is no string"},
    [JWT_ALGORITHM_UNKNOWN] = {"alg_unknown", "its \"alg\" is no signature algorithm that is known"},
    [JWT_ALGORITHM_REFUSED] = {"alg_not_allowed", "its \"alg\" is not among the algorithms that are allowed"},
    [JWT_KEY_ID_INVALID] = {"kid_invalid", "its \"kid\" is no string of at most 256 bytes"},
    [JWT_KEY_ID_NEEDED] = {"kid_needed", "no \"kid\" tells which of too many keys to try"},
    [JWT_KEY_UNKNOWN] = {"kid_unknown", "no key has its \"kid\""},
    [JWT_KEY_UNFIT] = {"key_unfit", "the key it names may not serve its \"alg\", or no key may"},
    [JWT_SIGNATURE] = {"bad_signature", "its signature is not that of a key that is trusted"},
    [JWT_PAYLOAD] = {"bad_payload", "its payload is not one JSON object with each member once"},
    [JWT_TYPE_INVALID] = {"typ_invalid", "its \"typ\" is no string"},
    [JWT_TYPE_REFUSED] = {"typ_not_allowed", "its \"typ\" is missing or not among those that are allowed"},
    [JWT_ISSUER_INVALID] = {"iss_invalid", "its \"iss\" is no string"},
    [JWT_ISSUER_MISSING] = {"iss_missing", "it has no \"iss\""},
    [JWT_ISSUER_REFUSED] = {"iss_not_allowed", "its \"iss\" is not an issuer that is allowed"},
    [JWT_AUDIENCE_INVALID] = {"aud_invalid", "its \"aud\" is neither a string nor a list of strings"},
    [JWT_AUDIENCE_MISSING] = {"aud_missing", "it has no \"aud\""},
    [JWT_AUDIENCE_REFUSED] = {"aud_not_allowed", "it is meant for another audience"},
    [JWT_SUBJECT_INVALID] = {"sub_invalid", "its \"sub\" is no string, or empty"},
    [JWT_SUBJECT_MISSING] = {"sub_missing", "it has no \"sub\""},
    [JWT_ID_INVALID] = {"jti_invalid", "its \"jti\" is no string"},
    [JWT_EXPIRY_INVALID] = {"exp_invalid", "its \"exp\" is no number from 0 to below 2^53"},
    [JWT_EXPIRY_MISSING] = {"exp_missing", "it has no \"exp\""},
    [JWT_NOT_BEFORE_INVALID] = {"nbf_invalid", "its \"nbf\" is no number from 0 to below 2^53"},
    [JWT_ISSUED_INVALID] = {"iat_invalid", "its \"iat\" is no number from 0 to below 2^53"},
    [JWT_ISSUED_MISSING] = {"iat_missing", "it has no \"iat\", which the limit of its lifetime needs"},
    [JWT_LIFETIME] = {"lifetime_too_long", "it is valid for longer than is allowed"},
    [JWT_TOO_EARLY] = {"not_yet_valid", "its \"nbf\" is in the future"},
    [JWT_ISSUED_LATER] = {"issued_in_future", "its \"iat\" is in the future"},
    [JWT_EXPIRED] = {"expired", "its \"exp\" is in the past"},
};

const char *jwt_fault_word(enum jwt_fault fault)
{
    assert(fault < JWT_FAULTS && faults[fault].word);
    return faults[fault].word;
}

const char *jwt_fault_text(enum jwt_fault fault)
{
    assert(fault < JWT_FAULTS && faults[fault].text);
    return faults[fault].text;
}

const char *jwt_fault_code(enum jwt_fault fault)
{
    assert(fault != JWT_GOOD);
    return fault == JWT_EXPIRED ? "token_expired" : "invalid_token";
}
