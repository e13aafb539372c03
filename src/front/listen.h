/*
 * Listen: the sockets a worker accepts on, however the program was started.
 */
#ifndef FRONT_LISTEN_H
#define FRONT_LISTEN_H

#include "policy/policy.h"

/* The listening socket, CLOEXEC and non-blocking: descriptor 0 when it is one
 * (mod_fcgid, lighttpd bin-path, spawn-fcgi), the one of systemd (LISTEN_FDS),
 * else a new one by the policy. A unix socket file somebody answers on is
 * never taken; a dead one is replaced; anything else at the path is refused.
 * A new one gets its mode, owner and group before the first connection can be
 * made. -1 with an error. */
int listen_open(const struct listen_rules *, struct error *);

/* Removes the socket file if it is still the one listen_open() made. */
void listen_close(const struct listen_rules *, int listener);

#endif
