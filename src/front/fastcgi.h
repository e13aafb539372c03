/*
 * FastCGI front: connections of web servers in, exchanges to serve.c.
 */
#ifndef FRONT_FASTCGI_H
#define FRONT_FASTCGI_H

#include "policy/policy.h"

/* Serves requests from `listener` (non-blocking, listening) until SIGTERM has
 * been taken from the worker's blocked signals and the last request is
 * answered. The parent is told by launcher_ready() once all threads are there;
 * without them nothing is accepted. When no thread uses the launcher any more
 * it is closed, which gives programs that were left their time. The result is
 * the worker's exit status; the caller is to exit with it, and to free nothing:
 * after timeouts.drain, threads may still be at work. */
int fastcgi_serve(const struct policy *, int listener, struct launcher *);

#endif
