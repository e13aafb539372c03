/*
 * Two tables and a search. A name that a policy wants dropped besides these
 * stands in its `request.drop`.
 */
#include "config.h"

#include "http/reserved.h"

/* Sorted; a "*" at the end stands for anything, nothing included. No entry
 * begins with the part before another one's "*". */
static const char *const identities[] = {
    "auth-method",
    "auth-password",
    "auth-role*",
    "auth-scope*",
    "auth-type", /* CGI's AUTH_TYPE, and so on: RFC 3875, 4.1 */
    "auth-user*",
    "authenticated-*",
    "cert-*",       /* IIS: CERT_SUBJECT */
    "cf-access-*",  /* Cloudflare Access */
    "client-cert*", /* RFC 9440 */
    "csp-nonce",    /* HTTP_CSP_NONCE, beside our CSP_NONCE */
    "eppn",
    "fcgiguard-*",
    "gap-*", /* oauth2-proxy */
    "iv-*",  /* WebSEAL: iv-user, iv-groups, iv-creds */
    "logon-user",
    "mellon-*", /* mod_auth_mellon */
    "oam-*",    /* Oracle Access Manager */
    "oidc-*",   /* mod_auth_openidc: OIDC_CLAIM_sub */
    "osso-*",
    "proxy", /* httpoxy: HTTP_PROXY */
    "proxy-user",
    "redirect-remote-*", /* Apache's REDIRECT_REMOTE_USER */
    "remote-*",          /* REMOTE_USER, REMOTE_ADDR; Authelia's Remote-Groups */
    "shib-*",            /* Shibboleth */
    "sm-*",              /* SiteMinder: SM_USER */
    "ssl-*",             /* SSL_CLIENT_S_DN, and what nginx examples make of it */
    "unmapped-remote-user",
    "user-dn",
    "x-accel-*", /* Rack::Sendfile builds paths from X-Accel-Mapping */
    "x-amzn-mtls-*",
    "x-amzn-oidc-*", /* AWS load balancers */
    "x-anonymous-consumer",
    "x-apigateway-api-userinfo",
    "x-arr-clientcert", /* Azure */
    "x-arr-ssl",
    "x-auth-email",
    "x-auth-groups",
    "x-auth-name",
    "x-auth-request-*", /* oauth2-proxy */
    "x-auth-role*",
    "x-auth-user*",
    "x-authenticated-*", /* Kong, Envoy */
    "x-authentik-*",
    "x-certificate-*",
    "x-client-cert*",
    "x-client-dn",
    "x-client-s-dn",
    "x-client-ssl-*",
    "x-client-verif*",
    "x-consumer-*", /* Kong */
    "x-credential-*",
    "x-csp-nonce",
    "x-endpoint-api-userinfo",
    "x-fcgiguard-*",
    "x-forwarded-access-token",
    "x-forwarded-client-cert*", /* Envoy */
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-tls-client-cert*", /* Traefik */
    "x-forwarded-user*",
    "x-goog-authenticated-user-*",
    "x-goog-iap-*",
    "x-http-method*", /* X-HTTP-Method-Override: a method that nobody has judged */
    "x-iisnode-*",
    "x-jwt-assertion",
    "x-method-override",
    "x-ms-client-principal*", /* Azure */
    "x-ms-token-*",
    "x-pomerium-*",
    "x-proxy-user*",
    "x-remote-*",      /* Kubernetes and many others: X-Remote-User */
    "x-sendfile-type", /* Rack::Sendfile */
    "x-ssl-*",         /* X-SSL-Client-Verify */
    "x-tls-client-*",
    "x-token-claim*",
    "x-userinfo",
    "x-vouch-*",
    "x-webauth-*", /* Grafana, Gitea */
};

static const char *const forwardings[] = {
    "cf-connecting-*",
    "client-ip", /* PHP programs read HTTP_CLIENT_IP */
    "cluster-client-ip",
    "fastly-client-ip",
    "forwarded*", /* RFC 7239; Forwarded-For */
    "front-end-https",
    "https", /* HTTP_HTTPS */
    "true-client-ip",
    "x-azure-clientip",
    "x-azure-socketip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded*",
    "x-host",
    "x-original-*", /* X-Original-URL makes some frameworks route elsewhere */
    "x-originating-ip",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-rewrite-url",
    "x-scheme",
    "x-script-name",
    "x-url-scheme",
};

/* As strcmp(), of the name and the entry without its "*". */
static int compare(struct text name, const char *entry, size_t length)
{
    size_t common = name.length < length ? name.length : length;
    int order = memcmp(name.at, entry, common);
    if (order == 0 && name.length != length)
        order = name.length < length ? -1 : 1;
    return order;
}

static bool matches(struct text name, const char *entry)
{
    size_t length = strlen(entry);
    if (length > 0 && entry[length - 1] == '*')
        return text_starts_with(name, (struct text){entry, length - 1});
    return text_equal(name, (struct text){entry, length});
}

static bool is_in(struct text name, const char *const entries[], size_t count)
{
    size_t low = 0, high = count; /* the last entry not behind `name` is below `high` */
    if (name.length == 0)
        return false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        size_t length = strlen(entries[middle]);
        if (entries[middle][length - 1] == '*')
            length--;
        if (compare(name, entries[middle], length) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low > 0 && matches(name, entries[low - 1]);
}

bool reserved_is_identity(struct text name)
{
    return is_in(name, identities, sizeof identities / sizeof *identities);
}

bool reserved_is_forwarding(struct text name)
{
    return is_in(name, forwardings, sizeof forwardings / sizeof *forwardings);
}
