/*
 * CGI front: this very process is the CGI program (RFC 3875): one exchange,
 * from environment and standard input to standard output.
 */
#ifndef FRONT_CGI_H
#define FRONT_CGI_H

#include "policy/policy.h"

/* Whether this process was started as a CGI program: GATEWAY_INTERFACE is set
 * and descriptor 0 is not a listening socket. */
bool cgi_is_wanted(void);

/* Serves it; the result is the exit status. */
int cgi_serve(const struct policy *, struct launcher *);

#endif
