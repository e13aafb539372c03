/*
 * Set-Cookie: a handler's cookies, made as safe as the policy asks. They are read
 * as browsers read them (RFC 6265bis, 5.6), so that what is added here is what
 * counts there, and what every browser would drop does not go out.
 */
#ifndef RESPOND_SET_COOKIE_H
#define RESPOND_SET_COOKIE_H

#include "data/decode.h"
#include "http/exchange.h"

enum same_site { SAME_SITE_OFF, SAME_SITE_LAX, SAME_SITE_STRICT };

struct cookie_rules { /* policy key `cookies` */
    bool given;       /* without it cookies go out as they are */
    bool secure, http_only;
    int same_site;       /* enum same_site: at least */
    struct texts script; /* names of cookies that scripts may read */
    struct texts cross;  /* names of cookies that other sites' requests bring, too */
};
extern const struct section cookie_section; /* of a struct cookie_rules */

/* Decodes the key. */
bool set_cookie_decode(struct decoder *, const struct node *, void *member);

/* One value by the rules, in the arena; the empty text, and in `*fault` why, when it is not to go out. */
struct text set_cookie_harden(const struct cookie_rules *, struct text value, struct arena *,
                              const char **fault);

/* All of a reply's. Those that are dropped are told to `dropped`, which may be NULL. */
void set_cookie_apply(const struct cookie_rules *, struct exchange *,
                      void (*dropped)(struct exchange *, struct verdict));

#endif
