/*
 * What others ask of the guard `csrf`.
 */
#ifndef GUARD_CSRF_H
#define GUARD_CSRF_H

#include "guard/cors.h"

/* Whether its rules are about callers alone whom browsers tell by themselves, or about nobody. */
bool csrf_is_auto(const void *rules);
bool csrf_is_off(const void *rules);

/* The rules for one route, in the arena: whose scripts may send credentials by its CORS (NULL: it has
 * none), their pages may send requests. */
void *csrf_bind(const void *settings, const struct cors *, struct arena *);

#endif
