/*
 * Error telling: what is told of one refusal, whatever its form; private to
 * src/respond/error_*.c.
 */
#ifndef RESPOND_ERROR_TELLING_H
#define RESPOND_ERROR_TELLING_H

#include "base/bytes.h"
#include "http/exchange.h"
#include "respond/error_rules.h"

struct error_telling {
    const struct error_rules *rules;
    const struct exchange *exchange;
    struct preferences languages; /* of the client */
    struct error_sentence sentence;
    struct text retry_after; /* as in the header; may be empty */
    bool limited;            /* by a limit that says when to come back */
};

/* The body in JSON, in the profile's form; with how it is called in a Content-Type. */
void error_json_add(struct bytes *, const struct error_telling *);
struct text error_json_type(const struct error_rules *);

/* The page. */
void error_page_add(struct bytes *, const struct error_telling *);

#endif
