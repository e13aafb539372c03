/*
 * Why a token is refused: one value a check, with a stable word for logs and
 * tests and a sentence for people. The client is told less (RFC 6750, 3.1).
 */
#ifndef IDENTITY_JWT_FAULT_H
#define IDENTITY_JWT_FAULT_H

#include <stdbool.h>

enum jwt_fault {
    JWT_GOOD,
    /* the form (RFC 7515, 7.1) */
    JWT_TOO_LONG,
    JWT_PARTS,
    JWT_ENCODING,
    JWT_HEADER,
    JWT_CRITICAL,
    JWT_UNENCODED,
    /* algorithm and key */
    JWT_ALGORITHM_MISSING,
    JWT_ALGORITHM_UNKNOWN,
    JWT_ALGORITHM_REFUSED,
    JWT_KEY_ID_INVALID,
    JWT_KEY_ID_NEEDED,
    JWT_KEY_UNKNOWN,
    JWT_KEY_UNFIT,
    JWT_SIGNATURE,
    /* the claims (RFC 7519, 4.1), all of them signed */
    JWT_PAYLOAD,
    JWT_TYPE_INVALID,
    JWT_TYPE_REFUSED,
    JWT_ISSUER_INVALID,
    JWT_ISSUER_MISSING,
    JWT_ISSUER_REFUSED,
    JWT_AUDIENCE_INVALID,
    JWT_AUDIENCE_MISSING,
    JWT_AUDIENCE_REFUSED,
    JWT_SUBJECT_INVALID,
    JWT_SUBJECT_MISSING,
    JWT_ID_INVALID,
    JWT_EXPIRY_INVALID,
    JWT_EXPIRY_MISSING,
    JWT_NOT_BEFORE_INVALID,
    JWT_ISSUED_INVALID,
    JWT_ISSUED_MISSING,
    JWT_LIFETIME,
    JWT_TOO_EARLY,
    JWT_ISSUED_LATER,
    JWT_EXPIRED,
    JWT_FAULTS
};

/* "bad_signature": lower-case words, never changed once released. */
const char *jwt_fault_word(enum jwt_fault);

/* "its signature is not by any key that may serve it", without a full stop. */
const char *jwt_fault_text(enum jwt_fault);

/* What the client is told: "token_expired" or "invalid_token". */
const char *jwt_fault_code(enum jwt_fault);

#endif
