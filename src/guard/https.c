/*
 * https: whether a request must have come by HTTPS. A token or a form sent in
 * the clear has leaked already, so only a request without a body or a credential
 * of its own is ever redirected: its sender is told, and does not go on.
 */
#include "config.h"

#include "guard/auth_method.h"
#include "guard/guard.h"

enum https_policy { HTTPS_OFF, HTTPS_REQUIRE, HTTPS_REDIRECT };

struct https_rules {
    int policy;
    const struct auth_methods *methods; /* of the file; NULL: there are none */
};

static const struct field fields[] = {
    {FIELD(FIELD_CHOICE, https_rules, policy, "policy"), .fallback = "off", .choices = "off|require|redirect",
     .help = "what becomes of a request that did not come by HTTPS"},
    {0},
};

static bool prepare(void *settings, struct decoder *decoder, const struct node *node)
{
    struct https_rules *rules = settings;
    (void)node;
    rules->methods = decoder->auth;
    return true;
}

/* What its sender put there, and could keep from putting there. Browsers add a cookie by
 * themselves, and whoever sits before one can do nothing about a refusal. */
static bool has_credential(const struct https_rules *rules, const struct exchange *exchange)
{
    struct text credential;
    bool found = headers_get(&exchange->request.headers, "authorization") != NULL;
    for (size_t i = 0; rules->methods && !found && i < rules->methods->count; i++) {
        const struct auth_method *method = &rules->methods->items[i];
        struct places places = *method->kind->places(method->rules);
        places.cookie = NULL;
        found = presented_find(&places, exchange, &credential) != PRESENTED_NOT;
    }
    return found;
}

static struct verdict check(const void *settings, struct exchange *exchange)
{
    const struct https_rules *rules = settings;
    const struct request *request = &exchange->request;
    bool safe = text_equal(request->method, TEXT("GET")) || text_equal(request->method, TEXT("HEAD"));
    if (rules->policy == HTTPS_OFF || request->secure)
        return PASS;
    if (rules->policy == HTTPS_REDIRECT && safe && has_credential(rules, exchange))
        return DENY(403, "https", "https_required", "a credential came by HTTP, and has leaked");
    if (rules->policy == HTTPS_REDIRECT && safe && request->host.length > 0)
        return (struct verdict){VERDICT_ANSWER, 308, "https", "https_redirect", "the request came by HTTP"};
    return DENY(403, "https", "https_required", "the request came by HTTP");
}

const struct guard guard_https = {
    .name = "https",
    .help = "whether a request must come by HTTPS",
    .stage = ON_HEAD,
    .section = {sizeof(struct https_rules), fields},
    .prepare = prepare,
    .check = check,
};
