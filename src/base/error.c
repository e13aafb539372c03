/*
 * The first error wins.
 */
#include "config.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *error, const char *format, ...)
{
    va_list arguments;
    if (error->set)
        return false;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->set = true;
    return false;
}

bool error_set_errno(struct error *error, const char *format, ...)
{
    int number = errno;
    va_list arguments;
    if (error->set)
        return false;
    va_start(arguments, format);
    int length = vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < sizeof error->message)
        snprintf(error->message + length, sizeof error->message - (size_t)length, ": %s",
                 strerrordesc_np(number) ? strerrordesc_np(number) : "unknown error");
    error->number = number;
    error->set = true;
    return false;
}
