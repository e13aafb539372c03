/*
 * The claims of a token against what a policy asks of them (RFC 7519, 4.1;
 * RFC 8725, 3.8 to 3.11; RFC 9068, 4). A pure function of claims, rules and
 * time. All zero, the rules are the strictest: exp is required, and a token
 * that names an audience is for somebody else.
 */
#ifndef IDENTITY_JWT_CLAIMS_H
#define IDENTITY_JWT_CLAIMS_H

#include <jansson.h>

#include "base/text.h"
#include "identity/jwt_fault.h"

/* Milliseconds that leeway and lifetime may have at most: 100 years. */
#define JWT_PERIOD_MOST (INT64_C(100) * 366 * 86400 * 1000)

struct jwt_rules {
    struct texts issuers;   /* one of these; empty: any or none */
    struct texts audiences; /* one of these; empty: the token may name none */
    struct texts types;     /* "at+jwt", ...; empty: "JWT", "at+jwt" or no "typ" at all */
    bool any_audience;      /* with no audiences: the token may name any */
    bool expiry_optional;
    bool subject_required;
    int64_t leeway;         /* milliseconds that clocks may differ */
    int64_t lifetime_limit; /* milliseconds from iat to exp, 0: no limit */
};

#define JWT_NO_TIME INT64_MIN

/* What the checks have read. Times are milliseconds since 1970 or JWT_NO_TIME;
 * texts live as long as the claims, and are empty with NULL when missing. */
struct jwt_facts {
    int64_t expires, not_before, issued;
    struct text issuer, subject, id;
};

/* Whether the header's "typ" and the claims are as the rules want them. The
 * times come last and expiry last of all, so that JWT_EXPIRED is said only of
 * a token that was good once. */
enum jwt_fault jwt_claims_check(const struct jwt_rules *, const json_t *header, const json_t *claims,
                                int64_t now, struct jwt_facts *);

/* The checks of that which depend on the time. */
enum jwt_fault jwt_claims_check_times(const struct jwt_rules *, const struct jwt_facts *, int64_t now);

#endif
