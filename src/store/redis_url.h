/*
 * Redis URLs: from the text of a URL to where the server is and how to speak
 * with it. A pure function: no name is looked up and no file is read here.
 *
 *   redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]
 *   rediss://…[?ca=PATH]           TLS; the server must have a certificate for HOST
 *   redis+unix://[USER[:PASSWORD]@]/PATH[?db=DATABASE]
 */
#ifndef STORE_REDIS_URL_H
#define STORE_REDIS_URL_H

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

struct redis_url {
    bool tls;
    const char *host; /* a name or a bare address; NULL where `path` is */
    const char *port;
    const char *path;            /* of a unix socket */
    const char *user, *password; /* NULL: none */
    const char *ca;              /* file of certificates to trust instead of the system's; NULL: those */
    uint64_t database;
    const char *place; /* the URL again without user and password, for messages */
};

/* Whether it begins as one of these URLs; then it is one, or a wrong one. */
bool redis_url_is(struct text);

/* Texts are in the arena. False with an error that says what is wrong, and
 * shows no part of a URL that may hold a password. */
bool redis_url_parse(struct text, struct arena *, struct redis_url *, struct error *);

#endif
