/*
 * The list of all handlers. A new one is a file of its own and a line here.
 */
#include "config.h"

#include "handler/exec.h"
#include "handler/fastcgi.h"
#include "handler/handler.h"
#include "handler/http.h"

extern const struct handler handler_respond;

const struct handler *const handlers[] = {
    &handler_exec, &handler_fastcgi, &handler_http, &handler_respond, NULL,
};
