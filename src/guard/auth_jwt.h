/*
 * What the way `jwt` makes of a token, for who has no request: the command line.
 */
#ifndef GUARD_AUTH_JWT_H
#define GUARD_AUTH_JWT_H

#include "guard/auth_method.h"
#include "identity/jwt_verify.h"

/* Judges a token by the rules of a method of this kind, without the store;
 * the token is the caller's to release when it is good. */
enum jwt_fault auth_jwt_verify(const void *rules, struct text token, struct arena *, struct jwt **);

extern const struct auth_kind auth_jwt;

#endif
