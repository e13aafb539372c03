/*
 * Reserved: names of request headers in which nobody believes a client. All
 * names are in lower case with dashes; X_Y and X-Y are one name here, as they
 * are to a program that reads HTTP_X_Y.
 */
#ifndef HTTP_RESERVED_H
#define HTTP_RESERVED_H

#include "base/text.h"

/* Whether programs take the header for something the web server has found out
 * (who the caller is, where a file lies), or it harms as an HTTP_ variable.
 * Such headers are dropped, whoever sent them. */
bool reserved_is_identity(struct text name);

/* Whether it tells of the way a request took: only trusted proxies may. */
bool reserved_is_forwarding(struct text name);

#endif
