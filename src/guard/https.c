/*
 * https: whether a request must have come by HTTPS. A token or a form sent in
 * the clear has leaked already, so only a request without a body of its own is
 * ever redirected.
 */
#include "config.h"

#include "guard/guard.h"

enum https_policy { HTTPS_OFF, HTTPS_REQUIRE, HTTPS_REDIRECT };

struct https_rules {
    int policy;
};

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, https_rules, policy, "policy"), .fallback = "off", .choices = "off|require|redirect",
     .help = "what becomes of a request that did not come by HTTPS"},
    {0},
};

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct https_rules *rules = settings;
    const struct request *request = &exchange->request;
    bool safe = text_equal(request->method, TEXT("GET")) || text_equal(request->method, TEXT("HEAD"));
    if (rules->policy == HTTPS_OFF || request->secure)
        return PASS;
    if (rules->policy == HTTPS_REDIRECT && safe && request->host.length > 0)
        return (struct verdict){VERDICT_ANSWER, 308, "https", "https_redirect", "the request came by HTTP"};
    return DENY(403, "https", "https_required", "the request came by HTTP");
}

const struct guard guard_https = {
    .name = "https",
    .help = "whether a request must come by HTTPS",
    .stage = ON_HEAD,
    .section = {sizeof(struct https_rules), fields},
    .check = check,
};
