/*
 * Errors: something failed and says why. The first one set wins, so that the
 * cause is not hidden by what followed from it. A bug is an assert(), and a
 * refused request is a verdict (http/verdict.h), never an error.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

struct error {
    bool set;
    int number; /* errno where one is the cause, else 0 */
    char message[256];
};

/* Sets the message unless one is set; always false, for `return error_set(...)`.
 * A message is one sentence without a full stop, and never holds a secret. */
bool error_set(struct error *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same with ": " and the text of errno behind it; keeps errno in `number`. */
bool error_set_errno(struct error *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
