/*
 * body: how large a request's body may be: judged by its Content-Length here,
 * and by its bytes while it is read (http/body.h).
 */
#include "config.h"

#include "guard/guard.h"

#define LARGE (UINT64_C(100) << 20)

struct body_rules {
    uint64_t max;
};

static const struct field fields[] = {
    {FIELD(FIELD_SIZE, body_rules, max, "max"), .fallback = "1mb", .help = "bytes of a request's body"},
    {0},
};

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct body_rules *rules = settings;
    int64_t length = exchange->request.content_length;
    exchange->body.limit = rules->max;
    if (length > 0 && (uint64_t)length > rules->max)
        return DENY(413, "body", "body_too_large", "its Content-Length is over body.max");
    return PASS;
}

static void advise(const void *settings, struct findings *findings, const struct node *node)
{
    const struct body_rules *rules = settings;
    if (rules->max > LARGE)
        findings_add(
            findings, FINDING_ADVICE, node,
            "bodies of more than 100mb are let through, and a few of them at once fill memory or disk");
}

const struct guard guard_body = {
    .name = "body",
    .help = "how large a request's body may be",
    .stage = ON_HEAD,
    .always = true,
    .section = {sizeof(struct body_rules), fields},
    .check = check,
    .advise = advise,
};
