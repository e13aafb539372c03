/*
 * FastCGI front: connections of web servers in, exchanges to serve.c.
 */
#ifndef FRONT_FASTCGI_H
#define FRONT_FASTCGI_H

#include "policy/policy.h"

/* Serves requests from `listener` (non-blocking, listening) until SIGTERM has
 * been taken from the worker's blocked signals and the last request is
 * answered. The result is the worker's exit status. */
int fastcgi_serve(const struct policy *, int listener, struct launcher *);

#endif
