/*
 * One function for each claim, in the order in which they are judged.
 */
#include "config.h"

#include "identity/jwt_claims.h"

#include <assert.h>
#include <math.h>

#include "identity/strict_json.h"

static bool list_has(const struct texts *list, struct text wanted)
{
    for (size_t i = 0; i < list->count; i++)
        if (text_equal(list->items[i], wanted))
            return true;
    return false;
}

/* Media types: in any case, and "application/" may be left out (RFC 7515, 4.1.9). */
static struct text short_type(struct text type)
{
    static const struct text prefix = {"application/", 12};
    struct text front = {type.at, type.length < prefix.length ? type.length : prefix.length};
    struct text rest = text_from(type, prefix.length);
    if (text_equal_ignore_case(front, prefix) && text_find(rest, '/') == rest.length)
        return rest;
    return type;
}

/* RFC 8725, 3.11: without a list, a token that says it is something else than
 * a JWT or an access token (a logout token, a security event) is none for us. */
static enum jwt_fault check_type(const struct jwt_rules *rules, const json_t *header)
{
    struct text usual[] = {TEXT("JWT"), TEXT("at+jwt")}, type;
    struct texts types = rules->types;
    if (!strict_json_string(header, "typ", &type))
        return JWT_TYPE_INVALID;
    if (types.count == 0) {
        if (!type.at)
            return JWT_GOOD;
        types = (struct texts){usual, 2};
    }
    for (size_t i = 0; type.at && i < types.count; i++)
        if (text_equal_ignore_case(short_type(type), short_type(types.items[i])))
            return JWT_GOOD;
    return JWT_TYPE_REFUSED;
}

static enum jwt_fault check_issuer(const struct jwt_rules *rules, const json_t *claims,
                                   struct jwt_facts *facts)
{
    if (!strict_json_string(claims, "iss", &facts->issuer))
        return JWT_ISSUER_INVALID;
    if (rules->issuers.count == 0)
        return JWT_GOOD;
    if (!facts->issuer.at)
        return JWT_ISSUER_MISSING;
    return list_has(&rules->issuers, facts->issuer) ? JWT_GOOD : JWT_ISSUER_REFUSED;
}

/* A string, or a list of strings that is not empty; `match` when one of them is wanted. */
static bool read_audience(const struct jwt_rules *rules, const json_t *audience, bool *match)
{
    size_t index;
    const json_t *item;
    *match = false;
    if (json_is_string(audience)) {
        *match = list_has(&rules->audiences, text_of(json_string_value(audience)));
        return true;
    }
    json_array_foreach(audience, index, item)
    {
        if (!json_is_string(item))
            return false;
        *match |= list_has(&rules->audiences, text_of(json_string_value(item)));
    }
    return json_array_size(audience) > 0;
}

/* RFC 7519, 4.1.3: who does not find itself in an audience must refuse. */
static enum jwt_fault check_audience(const struct jwt_rules *rules, const json_t *claims)
{
    bool match;
    const json_t *audience = json_object_get(claims, "aud");
    if (!audience)
        return rules->audiences.count > 0 ? JWT_AUDIENCE_MISSING : JWT_GOOD;
    if (!read_audience(rules, audience, &match))
        return JWT_AUDIENCE_INVALID;
    if (match || (rules->audiences.count == 0 && rules->any_audience))
        return JWT_GOOD;
    return JWT_AUDIENCE_REFUSED;
}

static enum jwt_fault check_names(const struct jwt_rules *rules, const json_t *claims,
                                  struct jwt_facts *facts)
{
    if (!strict_json_string(claims, "sub", &facts->subject) ||
        (facts->subject.at && facts->subject.length == 0))
        return JWT_SUBJECT_INVALID;
    if (rules->subject_required && !facts->subject.at)
        return JWT_SUBJECT_MISSING;
    return strict_json_string(claims, "jti", &facts->id) ? JWT_GOOD : JWT_ID_INVALID;
}

/* A NumericDate (RFC 7519, 2): a JSON number, also with a fraction. Below 2^53
 * every second is exact in any reader, and the milliseconds fit 63 bits. */
static bool read_time(const json_t *claims, const char *name, int64_t *time)
{
    const json_t *value = json_object_get(claims, name);
    double seconds = json_number_value(value);
    *time = JWT_NO_TIME;
    if (!value)
        return true;
    if (!json_is_number(value) || !isfinite(seconds) || seconds < 0 || seconds >= 0x1p53)
        return false;
    if (json_is_integer(value))
        *time = json_integer_value(value) * 1000;
    else
        *time = (int64_t)seconds * 1000 + (int64_t)((seconds - (double)(int64_t)seconds) * 1000);
    return true;
}

static enum jwt_fault read_times(const struct jwt_rules *rules, const json_t *claims, struct jwt_facts *facts)
{
    if (!read_time(claims, "exp", &facts->expires))
        return JWT_EXPIRY_INVALID;
    if (!read_time(claims, "nbf", &facts->not_before))
        return JWT_NOT_BEFORE_INVALID;
    if (!read_time(claims, "iat", &facts->issued))
        return JWT_ISSUED_INVALID;
    if (facts->expires == JWT_NO_TIME && !rules->expiry_optional)
        return JWT_EXPIRY_MISSING;
    if (rules->lifetime_limit == 0)
        return JWT_GOOD;
    if (facts->issued == JWT_NO_TIME)
        return JWT_ISSUED_MISSING;
    if (facts->expires == JWT_NO_TIME) /* then the limit is its expiry */
        facts->expires = facts->issued + rules->lifetime_limit;
    return facts->expires - facts->issued > rules->lifetime_limit ? JWT_LIFETIME : JWT_GOOD;
}

enum jwt_fault jwt_claims_check_times(const struct jwt_rules *rules, const struct jwt_facts *facts,
                                      int64_t now)
{
    if (facts->not_before != JWT_NO_TIME && now + rules->leeway < facts->not_before)
        return JWT_TOO_EARLY;
    if (facts->issued != JWT_NO_TIME && now + rules->leeway < facts->issued)
        return JWT_ISSUED_LATER;
    if (facts->expires != JWT_NO_TIME && now - rules->leeway >= facts->expires)
        return JWT_EXPIRED;
    return JWT_GOOD;
}

enum jwt_fault jwt_claims_check(const struct jwt_rules *rules, const json_t *header, const json_t *claims,
                                int64_t now, struct jwt_facts *facts)
{
    assert(rules->leeway >= 0 && rules->leeway <= JWT_PERIOD_MOST);
    assert(rules->lifetime_limit >= 0 && rules->lifetime_limit <= JWT_PERIOD_MOST);
    *facts = (struct jwt_facts){.expires = JWT_NO_TIME, .not_before = JWT_NO_TIME, .issued = JWT_NO_TIME};
    enum jwt_fault fault = check_type(rules, header);
    if (fault == JWT_GOOD)
        fault = check_issuer(rules, claims, facts);
    if (fault == JWT_GOOD)
        fault = check_audience(rules, claims);
    if (fault == JWT_GOOD)
        fault = check_names(rules, claims, facts);
    if (fault == JWT_GOOD)
        fault = read_times(rules, claims, facts);
    return fault == JWT_GOOD ? jwt_claims_check_times(rules, facts, now) : fault;
}
