/*
 * Fuzz target: any bytes as a policy, JSON when they begin with a brace, else YAML.
 * What loads without errors must be fit for use: paths are looked up in it.
 */
#include "config.h"

#include <stdlib.h>

#include "policy/policy.h"
#include "policy/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const struct policy *policy)
{
    static const char *const paths[] = {
        "/", "/a", "/a/", "/a/b", "/api/users/7", "/git/x/y/z", "/a/b/c/d/e/f/g/h"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct exchange exchange = {.request = {.method = TEXT("GET"), .path = text_of(paths[i])}};
        if (router_find(policy->router, &exchange).kind != VERDICT_PASS)
            continue;
        if (!exchange.route || !exchange.route->handler || !exchange.route->settings ||
            !exchange.allow.length)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error error = {0};
    struct text content = {(const char *)data, size};
    bool json = size > 0 && data[0] == '{';
    struct policy *policy = policy_parse(content, "/policy.yaml", json, &error);
    if (!policy)
        return 0;
    if (policy->findings.errors == 0)
        look_up(policy);
    policy_free(policy);
    return 0;
}
