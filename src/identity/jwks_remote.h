/*
 * A key set that somebody else publishes: the one in use, and the thread that
 * keeps it fresh. When it is fetched is decided in jwks_schedule.h, how in
 * jwks_fetch.h; which tokens need it is not known here.
 */
#ifndef IDENTITY_JWKS_REMOTE_H
#define IDENTITY_JWKS_REMOTE_H

#include "identity/jwks_fetch.h"
#include "identity/jwks_schedule.h"
#include "identity/jwt_key.h"

enum { JWKS_WAIT_MS = 2000 }; /* from the start of a fetch; nobody waits for it longer */

struct jwks_rules {
    struct jwks_source source;
    struct jwks_times times;
};

/* Told, with no lock held, before a thread begins to wait; may be NULL. */
struct jwks_patience {
    void (*tell)(void *context);
    void *context;
};

struct jwks_remote;

/* Without a set yet, and without a thread. In a process that will be confined:
 * before that. The rules are the caller's, and stay. NULL with an error. */
struct jwks_remote *jwks_remote_new(const struct jwks_rules *, jose_set algorithms, struct error *);

/* Makes the thread, which fetches at once. At most `patient` threads of this
 * process wait for a set at any time, of whatever remote. */
bool jwks_remote_start(struct jwks_remote *, size_t patient, struct error *);

/* Ends the thread, which may take a second; NULL is allowed. */
void jwks_remote_free(struct jwks_remote *);

bool jwks_remote_is_started(const struct jwks_remote *);

/* A reference to the set that serves now; one without keys where there is none. */
struct jwt_keys *jwks_remote_keys(struct jwks_remote *);

/* The set of this generation lacks a key: asks for a newer one, and waits a
 * little when that makes sense. Whether there is another now. */
bool jwks_remote_renew(struct jwks_remote *, uint64_t generation, const struct jwks_patience *);

#endif
