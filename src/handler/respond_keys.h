/*
 * Keys for callers by themselves: POST makes an API key of the caller's, GET
 * lists his, DELETE revokes one. Nobody reaches those of others, and no key
 * may more, or lasts longer, than who asks for it.
 */
#ifndef HANDLER_RESPOND_KEYS_H
#define HANDLER_RESPOND_KEYS_H

#include "guard/auth_method.h"

struct respond_settings {
    int with;
    uint64_t limit;
    const char *prefix;
    const struct auth_methods *methods; /* with the store, once that is open */
};

/* PASS with status and body of the reply (in the exchange's arena, empty for
 * 204), or what is answered instead: 400 validation_error with
 * exchange->details, 401, 404, 405, 409 too_many_keys, 503 store_failed. */
struct verdict respond_keys(const struct respond_settings *, struct exchange *, struct text *body);

#endif
