/*
 * Header values: what the policy file may say of the headers that browsers act
 * upon. A browser is silent about a value it does not know, so it is told here.
 */
#ifndef RESPOND_HEADER_VALUES_H
#define RESPOND_HEADER_VALUES_H

#include "data/decode.h"
#include "http/headers.h"

#define CONTENT_POLICY         "Content-Security-Policy"
#define CONTENT_POLICY_REPORTS "Content-Security-Policy-Report-Only"
#define TRANSPORT_SECURITY     "Strict-Transport-Security"
#define PERMISSIONS_POLICY     "Permissions-Policy"
#define CLEAR_SITE_DATA        "Clear-Site-Data"

/* Decodes the value of the header that the node is named after: one line of text, which for
 * headers that are known must be a value that browsers know, and a map or list for some.
 * `policy`: the preset's policy of content; empty: it has none. */
bool header_value_decode(struct decoder *, const struct node *, struct text policy, struct text *value);

/* Whether it is the name of a policy of content, enforced or only reported. */
bool header_value_is_policy(struct text name);

/* The word that is the value of such a header, without a parameter behind it; empty where browsers would
 * not know it. */
struct text header_value_word(struct text name, struct text value);

/* Adds advice on a value that has been decoded. */
void header_value_advise(struct findings *, const struct node *, struct text policy);

/* Strict-Transport-Security (RFC 6797, 6.1), as a browser reads it. */
struct transport_security {
    uint64_t max_age; /* seconds */
    bool include_subdomains, preload;
};

/* False where a browser would ignore it. What is not known, the first of it, is in `unknown`. */
bool transport_security_parse(struct text, struct transport_security *, struct text *unknown);

#endif
