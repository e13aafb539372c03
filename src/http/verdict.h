/*
 * Verdict: what a check makes of a request.
 */
#ifndef HTTP_VERDICT_H
#define HTTP_VERDICT_H

struct verdict {
    enum verdict_kind {
        VERDICT_PASS,
        VERDICT_ANSWER, /* answered without the handler (a redirect): no refusal */
        VERDICT_DENY,
        VERDICT_FAULT, /* could not decide, or something of ours failed: so refuse */
    } kind;
    int status;         /* HTTP status, 300 to 599, of all but PASS */
    const char *guard;  /* who: the guard's policy key, "request", "path", "route" or a handler's name */
    const char *code;   /* a stable word for clients: "body_too_large" */
    const char *detail; /* for the log and for explain, never for the client; may be NULL */
};

#define PASS ((struct verdict){.kind = VERDICT_PASS})
#define DENY(status_, guard_, code_, detail_)                                                                \
    ((struct verdict){VERDICT_DENY, (status_), (guard_), (code_), (detail_)})
#define FAULT(status_, guard_, code_, detail_)                                                               \
    ((struct verdict){VERDICT_FAULT, (status_), (guard_), (code_), (detail_)})

#endif
