/*
 * Tests of headers that browsers act upon: what a policy file may say of them,
 * what is made of that, and what leaves when a handler says something, too.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "data/file.h"
#include "respond/cache_control.h"
#include "respond/content_policy.h"
#include "respond/header_values.h"
#include "respond/permissions.h"
#include "respond/secure_headers.h"
#include "respond/set_cookie.h"
#include "respond/stricter.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { TOLD_SIZE = 8192 };

static struct arena *arena;
static struct exchange exchange;
static char told[TOLD_SIZE];

static void set_up(void)
{
    arena = arena_new();
    exchange = (struct exchange){.arena = arena, .reply = {.status = 200, .from_handler = true}};
    exchange.request.method = TEXT("GET");
    exchange.request.secure = true;
}

static void tear_down(void)
{
    arena_free(arena);
}

static const char *string(struct text text)
{
    return arena_copy(arena, text.at, text.length);
}

/* Decodes a `headers`; what is wrong, or with `advice` what is risky, is in `told`. */
static bool decode(const char *policy, struct secure_headers *headers, bool advice)
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/"};
    const struct node *node = file_parse(text_of(policy), false, &findings);
    ck_assert_msg(node != NULL, "cannot be parsed: %s", policy);
    *headers = (struct secure_headers){0};
    bool good = secure_headers_decode(&decoder, node, headers);
    ck_assert_msg(good == (findings.errors == 0), "%s", policy);
    if (good && advice)
        secure_headers_advise(&findings, node, headers);
    memset(told, 0, sizeof told);
    FILE *stream = fmemopen(told, sizeof told - 1, "w");
    findings_print(&findings, advice ? FINDING_ADVICE : FINDING_ERROR, stream);
    fclose(stream);
    return good;
}

static struct secure_headers decode_good(const char *policy)
{
    struct secure_headers headers;
    ck_assert_msg(decode(policy, &headers, false), "%s: %s", policy, told);
    return headers;
}

/* All headers of the reply, as "Name: value" lines, a nonce as NONCE. */
static const char *reply_lines(void)
{
    const char *lines = "";
    for (size_t i = 0; i < exchange.reply.headers.count; i++) {
        const struct header *header = &exchange.reply.headers.items[i];
        const char *value = string(header->value);
        const char *place = exchange.nonce[0] ? strstr(value, exchange.nonce) : NULL;
        if (place)
            value = arena_printf(arena, "%.*sNONCE%s", (int)(place - value), value, place + NONCE_SIZE - 1);
        lines = arena_printf(arena, "%s%.*s: %s\n", lines, TEXT_ARGUMENTS(header->name), value);
    }
    return lines;
}

static void set_reply(const char *lines)
{
    struct text rest = text_of(lines), line;
    while (text_next(&rest, '\n', &line)) {
        size_t colon = text_find(line, ':');
        headers_add(&exchange.reply.headers, arena, (struct text){line.at, colon},
                    text_from(line, colon + 2));
    }
}

/* ================ values that stand in a policy file */

/* {preset: off, NAME: VALUE} gives this value. */
static const struct {
    const char *name, *value, *made; /* NULL: the value as it is */
} good_values[] = {
    /* Policies of content: maps. */
    {CONTENT_POLICY, "{default-src: self}", "default-src 'self'"},
    {CONTENT_POLICY, "{default-src: [none]}", "default-src 'none'"},
    {CONTENT_POLICY, "{default-src: [\"'self'\"]}", "default-src 'self'"},
    {CONTENT_POLICY,
     "{default-src: [self], script-src: [self, nonce], style-src: [self, unsafe-inline],"
     " img-src: [self, 'data:', 'https:'], upgrade-insecure-requests: true}",
     "default-src 'self'; script-src 'self' 'nonce'; style-src 'self' 'unsafe-inline'; "
     "img-src 'self' data: https:; upgrade-insecure-requests"},
    {CONTENT_POLICY, "{script-src: [strict-dynamic, sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc=]}",
     "script-src 'strict-dynamic' 'sha256-RFWPLDbv2BY+rCkDzsE+0fr8ylGr2R2faWMhq4lfEQc='"},
    {CONTENT_POLICY,
     "{default-src: [https://self, 'self:443', example.com, '*.example.com:8443', 'https://x.example/a/b?'] "
     "}",
     NULL},
    {CONTENT_POLICY,
     "{default-src: [https://self, 'self:443', example.com, '*.example.com:*', 'https://x.example/a/b', "
     "localhost, 'localhost:80', 127.0.0.1]}",
     "default-src https://self self:443 example.com *.example.com:* https://x.example/a/b localhost "
     "localhost:80 127.0.0.1"},
    {CONTENT_POLICY, "{img-src: ['*', 'blob:'], upgrade-insecure-requests: false, font-src: off}",
     "img-src * blob:"},
    {CONTENT_POLICY, "{sandbox: true}", "sandbox"},
    {CONTENT_POLICY, "{sandbox: [allow-forms, allow-scripts]}", "sandbox allow-forms allow-scripts"},
    {CONTENT_POLICY, "{require-trusted-types-for: script, trusted-types: [default, allow-duplicates]}",
     "require-trusted-types-for 'script'; trusted-types default 'allow-duplicates'"},
    {CONTENT_POLICY, "{trusted-types: []}", "trusted-types"},
    {CONTENT_POLICY, "{webrtc: block, report-to: csp, report-uri: [/report, 'https://r.example/?a=b']}",
     "webrtc 'block'; report-to csp; report-uri /report https://r.example/?a=b"},
    {CONTENT_POLICY, "{frame-ancestors: [self, 'https://app.example']}",
     "frame-ancestors 'self' https://app.example"},
    {CONTENT_POLICY, "\n  img-src:\n    - self\n    - https:\n", "img-src 'self' https:"},
    {CONTENT_POLICY_REPORTS, "{default-src: none, report-to: csp}", "default-src 'none'; report-to csp"},
    /* And texts, which stay as they are. */
    {CONTENT_POLICY, "\"default-src 'self';base-uri 'self';img-src  'self' data:\"",
     "default-src 'self';base-uri 'self';img-src  'self' data:"},
    {CONTENT_POLICY, "\"script-src 'nonce' 'strict-dynamic'\"", "script-src 'nonce' 'strict-dynamic'"},
    /* Strict-Transport-Security. */
    {TRANSPORT_SECURITY, "{max_age: 365d}", "max-age=31536000"},
    {TRANSPORT_SECURITY, "{max_age: 365d, include_subdomains: true}", "max-age=31536000; includeSubDomains"},
    {TRANSPORT_SECURITY, "{max_age: 730d, include_subdomains: true, preload: true}",
     "max-age=63072000; includeSubDomains; preload"},
    {TRANSPORT_SECURITY, "max-age=0", "max-age=0"},
    {TRANSPORT_SECURITY, "'Max-Age=\"60\" ;includesubdomains;'", "Max-Age=\"60\" ;includesubdomains;"},
    {TRANSPORT_SECURITY, "max-age=31536000; includeSubDomains; preload",
     "max-age=31536000; includeSubDomains; preload"},
    /* Permissions-Policy. */
    {PERMISSIONS_POLICY, "{geolocation: [], camera: [self, 'https://x.example'], fullscreen: '*', usb: self}",
     "geolocation=(), camera=(self \"https://x.example\"), fullscreen=*, usb=(self)"},
    {PERMISSIONS_POLICY, "geolocation=(), camera=(self \"https://*.x.example:8443\"), usb=*, midi=self",
     "geolocation=(), camera=(self \"https://*.x.example:8443\"), usb=*, midi=self"},
    {PERMISSIONS_POLICY, "{ch-ua-arch: [], brand-new-thing: []}", "ch-ua-arch=(), brand-new-thing=()"},
    {PERMISSIONS_POLICY, "usb=();report-to=x", "usb=();report-to=x"},
    /* Clear-Site-Data. */
    {CLEAR_SITE_DATA, "[cache, cookies, storage]", "\"cache\", \"cookies\", \"storage\""},
    {CLEAR_SITE_DATA, "cookies", "\"cookies\""},
    {CLEAR_SITE_DATA, "'*'", "\"*\""},
    {CLEAR_SITE_DATA, "'\"cache\",\"cookies\"'", "\"cache\",\"cookies\""},
    /* Words. */
    {"X-Frame-Options", "sameorigin", "sameorigin"},
    {"Referrer-Policy", "no-referrer, strict-origin-when-cross-origin",
     "no-referrer, strict-origin-when-cross-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin-allow-popups"},
    {"Cross-Origin-Embedder-Policy", "'require-corp; report-to=\"coep\"'",
     "require-corp; report-to=\"coep\""},
    {"Cross-Origin-Resource-Policy", "cross-origin", "cross-origin"},
    {"X-XSS-Protection", "1; mode=block", "1; mode=block"},
    {"X-DNS-Prefetch-Control", "'off'", "off"},
    {"X-Own", "anything, 'at' all; *", "anything, 'at' all; *"},
};

START_TEST(values_are_made)
{
    const char *name = good_values[_i].name, *made = good_values[_i].made;
    struct secure_headers headers;
    bool good =
        decode(arena_printf(arena, "preset: off\n%s: %s", name, good_values[_i].value), &headers, false);
    ck_assert_msg(good == (made != NULL), "%s: %s", good_values[_i].value, told);
    if (made)
        ck_assert_str_eq(string(headers.set.items[0].value), made);
}
END_TEST

/* NAME: VALUE is refused with this, behind "p:2:C: NAME". */
static const struct {
    const char *name, *value, *finding;
} bad_values[] = {
    {CONTENT_POLICY, "{scrip-src: self}",
     ".scrip-src: \"scrip-src\" is not a directive; did you mean script-src?"},
    {CONTENT_POLICY, "{Script-Src: self}",
     ".Script-Src: \"Script-Src\" is not a directive; did you mean script-src?"},
    {CONTENT_POLICY, "{prefetch-src: off}", ".prefetch-src: \"prefetch-src\" is not a directive"},
    {CONTENT_POLICY, "{default-src: [self, none]}", ".default-src: none stands alone"},
    {CONTENT_POLICY, "{default-src: []}", ".default-src: default-src has no value"},
    {CONTENT_POLICY, "{default-src: true}", ".default-src: default-src stands alone, expected"},
    {CONTENT_POLICY, "{default-src: {a: b}}", ".default-src: this does not fit"},
    {CONTENT_POLICY, "{default-src: }", ".default-src: this does not fit"},
    {CONTENT_POLICY, "{img-src: 'self;'}", ".img-src: there is a \";\", which would end it; write %3B"},
    {CONTENT_POLICY, "{img-src: ['a,b']}", ".img-src[0]: there is a \",\", which would end it; write %2C"},
    {CONTENT_POLICY, "{img-src: ['self https://x.example']}", ".img-src[0]: there is a blank"},
    {CONTENT_POLICY, "{img-src: [\"a\\nb\"]}", ".img-src[0]: there is a character"},
    {CONTENT_POLICY, "{img-src: [\"x\\u00e4.example\"]}", ".img-src[0]: there is a character"},
    {CONTENT_POLICY, "{img-src: ['']}", ".img-src[0]: it is empty"},
    {CONTENT_POLICY, "{img-src: selff}", ".img-src: \"selff\" is a host's name here; did you mean self?"},
    {CONTENT_POLICY, "{script-src: unsafe-inlin}",
     ".script-src: \"unsafe-inlin\" is a host's name here; did you mean unsafe-inline?"},
    {CONTENT_POLICY, "{img-src: data}", ".img-src: \"data\" is a host's name here; did you mean \"data:\"?"},
    {CONTENT_POLICY, "{img-src: \"'sefl'\"}",
     ".img-src: \"sefl\" is not a keyword of img-src; did you mean self?"},
    {CONTENT_POLICY, "{img-src: unsafe-inline}", ".img-src: \"unsafe-inline\" has no effect in img-src"},
    {CONTENT_POLICY, "{img-src: nonce}", ".img-src: \"nonce\" has no effect in img-src"},
    {CONTENT_POLICY, "{script-src-attr: nonce}", ".script-src-attr: \"nonce\" has no effect"},
    {CONTENT_POLICY, "{frame-ancestors: unsafe-inline}", ".frame-ancestors: \"unsafe-inline\" has no effect"},
    {CONTENT_POLICY, "{script-src: nonce-abc}",
     ".script-src: \"nonce-abc\" would be the same in every reply"},
    {CONTENT_POLICY, "{script-src: sha256-abc}",
     ".script-src: \"sha256-abc\" is no hash, expected sha256- and 43"},
    {CONTENT_POLICY, "{script-src: 'https://[::1]/'}", ".script-src: \"https://[::1]/\" is not a source"},
    {CONTENT_POLICY, "{script-src: 'x.example:99999'}", ".script-src: \"x.example:99999\" is not a source"},
    {CONTENT_POLICY, "{script-src: 'a.*.example'}", ".script-src: \"a.*.example\" is not a source"},
    {CONTENT_POLICY, "{sandbox: allow-form}",
     ".sandbox: \"allow-form\" is not known to a sandbox, expected words such as allow-forms; did"},
    {CONTENT_POLICY, "{upgrade-insecure-requests: self}",
     ".upgrade-insecure-requests: upgrade-insecure-requests stands alone"},
    {CONTENT_POLICY, "{report-to: [a, b]}", ".report-to: report-to has one word"},
    {CONTENT_POLICY, "{require-trusted-types-for: style}",
     ".require-trusted-types-for: \"style\" is not known, expected script"},
    {CONTENT_POLICY, "{webrtc: maybe}", ".webrtc: \"maybe\" is not known, expected allow or block"},
    {CONTENT_POLICY, "{}", ": there is no directive"},
    {CONTENT_POLICY, "[self]", ": this does not fit, expected a map of directives"},
    {CONTENT_POLICY, "''", ": this does not fit, expected a map of directives"},
    {CONTENT_POLICY, "\"default-src 'self'\\nX: y\"", ": this does not fit"},
    {CONTENT_POLICY, "default-src self",
     ": default-src: \"self\" without quotes is a host's name; did you mean 'self'?"},
    {CONTENT_POLICY, "script-src unsafe-inline",
     ": script-src: \"unsafe-inline\" without quotes is a host's name"},
    {CONTENT_POLICY, "script-src sha256-abc", ": script-src: \"sha256-abc\" without quotes is a host's name"},
    {CONTENT_POLICY, "trusted-types none", ": trusted-types: \"none\" without quotes is a policy's name"},
    {CONTENT_POLICY, "\"default-src 'self';\"", ": there is a \";\" that ends nothing"},
    {CONTENT_POLICY, "\"default-src 'self';; img-src *\"", ": there is a \";\" that ends nothing"},
    {CONTENT_POLICY, "\"default-src 'self', img-src *\"",
     ": there is a \",\", which would begin another policy"},
    {CONTENT_POLICY, "\"default-src 'self'; default-src *\"", ": default-src stands here already"},
    {CONTENT_POLICY, "\"default-src 'none' *\"", ": default-src: none stands alone"},
    {CONTENT_POLICY, "\"script-src 'nonce-abc'\"", ": script-src: \"nonce-abc\" would be the same"},
    {CONTENT_POLICY_REPORTS, "{sandbox: true}",
     ".sandbox: sandbox has no effect in a policy that only reports"},
    {CONTENT_POLICY_REPORTS, "\"upgrade-insecure-requests\"", ": upgrade-insecure-requests has no effect"},
    {TRANSPORT_SECURITY, "{include_subdomains: true}", ": the key `max_age` is missing"},
    {TRANSPORT_SECURITY, "{max_age: 500ms}", ".max_age: expected whole seconds"},
    {TRANSPORT_SECURITY, "{max_age: 365d, preload: true}",
     ": the preload lists of browsers take no host without"},
    {TRANSPORT_SECURITY, "{max_age: 364d, include_subdomains: true, preload: true}",
     ": the preload lists of browsers want"},
    {TRANSPORT_SECURITY, "{max_age: 365d, includeSubDomains: true}",
     ".includeSubDomains: this key is not known"},
    {TRANSPORT_SECURITY, "max-age=31536000; preload", ": the preload lists of browsers take no host"},
    {TRANSPORT_SECURITY, "max-age=31535999; includeSubDomains; preload",
     ": the preload lists of browsers want"},
    {TRANSPORT_SECURITY, "max-age=60; includeSubdomain",
     ": \"includeSubdomain\" does not fit here; did you mean includeSubDomains?"},
    {TRANSPORT_SECURITY, "max-age=60; max-age=70", ": \"max-age=70\" does not fit here"},
    {TRANSPORT_SECURITY, "includeSubDomains", ": max-age is missing"},
    {TRANSPORT_SECURITY, "max-age=1y", ": \"max-age=1y\" does not fit here"},
    {PERMISSIONS_POLICY, "{camra: []}", ".camra: \"camra\" is not a feature; did you mean camera?"},
    {PERMISSIONS_POLICY, "{'New Thing': []}", ".New Thing: \"New Thing\" is not a feature's name"},
    {PERMISSIONS_POLICY, "{camera: none}", ".camera: \"none\" does not fit: nobody is an empty list"},
    {PERMISSIONS_POLICY, "{camera: [x.example]}", ".camera[0]: \"x.example\" does not fit: expected self"},
    {PERMISSIONS_POLICY, "{camera: ['htps://x.example']}",
     ".camera[0]: \"htps://x.example\" does not fit: expected self"},
    {PERMISSIONS_POLICY, "{camera: [\"https\\r\\nX://x.example\"]}", ".camera[0]: "},
    {PERMISSIONS_POLICY, "{camera: ['x\" https://x.example']}", ".camera[0]: "},
    {PERMISSIONS_POLICY, "{camera: ['https://x.example:port']}", ".camera[0]: "},
    {PERMISSIONS_POLICY, "{camera: {a: b}}", ".camera: this does not fit"},
    {PERMISSIONS_POLICY, "{}", ": this does not fit"},
    {PERMISSIONS_POLICY, "camera 'none'", ": browsers cannot read this"},
    {PERMISSIONS_POLICY, "camera=(), ", ": browsers cannot read this"},
    {PERMISSIONS_POLICY, "camera=(self", ": browsers cannot read this"},
    {PERMISSIONS_POLICY, "camera=(https://x.example)",
     ": camera: https://x.example does not fit: an origin stands in"},
    {PERMISSIONS_POLICY, "camera=(\"self\")", ": camera: \"self\" does not fit"},
    {PERMISSIONS_POLICY, "camera=(), camera=*", ": camera stands here more than once"},
    {CLEAR_SITE_DATA, "[cookie]",
     "[0]: browsers do not know \"cookie\", expected cache, cookies, storage or *; did you mean cookies?"},
    {CLEAR_SITE_DATA, "[]", ": the list is empty"},
    {CLEAR_SITE_DATA, "cache, cookies", ": browsers do not know \"cache, cookies\""},
    {CLEAR_SITE_DATA, "'\"cache\", cookies'", ": \"cookies\" has no quotes"},
    {CLEAR_SITE_DATA, "{a: b}", ": this is not a header's value"},
    {"X-Frame-Options", "'off'", ": browsers do not know \"off\", expected one of DENY, SAMEORIGIN"},
    {"X-Frame-Options", "ALLOW-FROM https://x.example", ": browsers ignore ALLOW-FROM"},
    {"X-Frame-Options", "DENNY",
     ": browsers do not know \"DENNY\", expected one of DENY, SAMEORIGIN; did you mean \"DENY\"?"},
    {"x-content-type-options", "sniff", ": browsers do not know \"sniff\", expected nosniff"},
    {"Referrer-Policy", "no-referer", ": browsers do not know \"no-referer\""},
    {"Referrer-Policy", "no-referrer, never", ": browsers do not know \"never\""},
    {"Cross-Origin-Opener-Policy", "same-orign", ": browsers do not know \"same-orign\""},
    {"Cross-Origin-Opener-Policy", "same-origin; report-to=\"a\"b\"", ": only report-to"},
    {"Cross-Origin-Opener-Policy", "same-origin; report=x", ": only report-to=\"group\" may stand"},
    {"Cross-Origin-Embedder-Policy", "Require-Corp", ": browsers do not know \"Require-Corp\""},
    {"Cross-Origin-Resource-Policy", "same-origin; report-to=\"x\"", ": browsers do not know"},
};

#define HELMET_REST                                                                                          \
    "base-uri 'self'; font-src 'self' https: data:; form-action 'self'; frame-ancestors 'self'; "

static const struct {
    const char *headers, *name, *made; /* `made` NULL: `name` is in the finding */
} begun_values[] = {
    {"{preset: helmet, Content-Security-Policy: {preset: true, img-src: [self, 'https:']}}",
     "content-security-policy",
     "img-src 'self' https:; default-src 'self'; " HELMET_REST
     "object-src 'none'; script-src 'self'; script-src-attr 'none'; style-src 'self' https: 'unsafe-inline'; "
     "upgrade-insecure-requests"},
    {"{preset: helmet, Content-Security-Policy: {style-src: false, upgrade-insecure-requests: off, preset: "
     "true}}",
     "content-security-policy",
     "default-src 'self'; " HELMET_REST "img-src 'self' data:; object-src 'none'; script-src 'self'; "
     "script-src-attr 'none'"},
    {"{Content-Security-Policy: {preset: true}}", "content-security-policy",
     "default-src 'none'; frame-ancestors 'none'"},
    {"{preset: nginx, Content-Security-Policy: {preset: true, script-src: [self, nonce]}}",
     "content-security-policy", "script-src 'self' 'nonce'; default-src 'self'"},
    {"{preset: nginx, Content-Security-Policy: {preset: false, img-src: self}}", "content-security-policy",
     "img-src 'self'"},
    {"{preset: helmet, Content-Security-Policy-Report-Only: {preset: true, default-src: none, report-to: x}}",
     "content-security-policy-report-only",
     "default-src 'none'; report-to x; " HELMET_REST
     "img-src 'self' data:; object-src 'none'; script-src 'self'; "
     "script-src-attr 'none'; style-src 'self' https: 'unsafe-inline'"},
    {"{preset: off, Content-Security-Policy: {preset: true, img-src: self}}", "has no policy to begin with",
     NULL},
    {"{preset: helmet, Content-Security-Policy: {preset: helmet}}", "expected true or false", NULL},
    {"{preset: nginx, Content-Security-Policy: {preset: true, default-src: false}}", "there is no directive",
     NULL},
};

START_TEST(policies_begin_with_the_presets)
{
    struct secure_headers headers;
    bool good = decode(begun_values[_i].headers, &headers, false);
    ck_assert_msg(good == (begun_values[_i].made != NULL), "%s: %s", begun_values[_i].headers, told);
    if (!good) {
        ck_assert_msg(strstr(told, begun_values[_i].name) != NULL, "%s", told);
        return;
    }
    const struct text *value = headers_get(&headers.set, begun_values[_i].name);
    ck_assert(value);
    ck_assert_str_eq(string(*value), begun_values[_i].made);
}
END_TEST

START_TEST(values_are_refused)
{
    struct secure_headers headers;
    const char *name = bad_values[_i].name, *value = bad_values[_i].value;
    ck_assert_msg(!decode(arena_printf(arena, "preset: off\n%s: %s", name, value), &headers, false),
                  "taken: %s", value);
    const char *path = strstr(told, name), *finding = bad_values[_i].finding;
    ck_assert_msg(strncmp(told, "p:2:", 4) == 0 && path, "%s", told);
    ck_assert_msg(strncmp(path + strlen(name), finding, strlen(finding)) == 0, "%s: said %s", value, told);
}
END_TEST

/* What is said of a policy that is taken; NULL: nothing. */
static const struct {
    const char *name, *value, *advice;
} advices[] = {
    {CONTENT_POLICY, "{default-src: self}", NULL},
    {CONTENT_POLICY, "{default-src: self, script-src: [self, nonce], base-uri: none}", NULL},
    {CONTENT_POLICY, "{default-src: self, script-src: [unsafe-inline, nonce], base-uri: none}", NULL},
    {CONTENT_POLICY, "{default-src: self, style-src: [self, unsafe-inline]}", NULL},
    {CONTENT_POLICY, "{script-src: [self], object-src: none}", NULL},
    {CONTENT_POLICY, "{default-src: self, script-src: ['https:', strict-dynamic, nonce], base-uri: self}",
     NULL},
    {CONTENT_POLICY, "{default-src: [self, unsafe-inline]}", "whoever can write into a page"},
    {CONTENT_POLICY, "\"default-src 'self' 'unsafe-inline'\"", "default-src: whoever can write into a page"},
    {CONTENT_POLICY, "{default-src: self, script-src: unsafe-inline}", "whoever can write into a page"},
    {CONTENT_POLICY, "{default-src: '*'}", "* admits scripts from everywhere"},
    {CONTENT_POLICY, "{default-src: 'https:'}", "https: admits scripts from everywhere"},
    {CONTENT_POLICY, "{script-src: self}", "plug-ins are not limited"},
    {CONTENT_POLICY, "{default-src: self, script-src: nonce}", "a <base> could turn"},
    {CONTENT_POLICY, "{default-src: self, script-src: strict-dynamic, base-uri: none}",
     "lets no script run at all"},
    {CONTENT_POLICY_REPORTS, "{default-src: self}", "nobody hears"},
    {CONTENT_POLICY_REPORTS, "{default-src: self, report-to: csp}", "is in no Reporting-Endpoints"},
    {CONTENT_POLICY_REPORTS,
     "{default-src: self, report-to: c}\nReporting-Endpoints: c=\"https://r.example/\"", NULL},
    {"Cross-Origin-Opener-Policy", "same-origin; report-to=\"c\"", "is in no Reporting-Endpoints"},
    {CONTENT_POLICY_REPORTS, "{default-src: self, report-uri: /reports}", NULL},
    {PERMISSIONS_POLICY, "{camera: []}", NULL},
    {PERMISSIONS_POLICY, "{brand-new-thing: []}", "no browser is known to have the feature"},
    {PERMISSIONS_POLICY, "brand-new-thing=()", "no browser is known to have the feature"},
    {CONTENT_POLICY, "off", NULL},
    {"X-Frame-Option", "DENY", "no browser heeds this header; did you mean X-Frame-Options?"},
    {"content_security_policy", "x", "did you mean Content-Security-Policy?"},
    {"Referer-Policy", "no-referrer", "did you mean Referrer-Policy?"},
    {"cache_control", "no-store", "did you mean Cache-Control?"},
    {"referrer-policy", "no-referrer", NULL},
    {"X-Own", "a", NULL},
    {"Cache-Control", "private, no-stroe", "no cache knows \"no-stroe\"; did you mean no-store?"},
    {"Cache-Control", "private, max_age=60", "no cache knows \"max_age\"; did you mean max-age?"},
    {"Cache-Control", "No-Store, max-age=0, x-own=\"a\"", NULL},
};

START_TEST(risks_are_told)
{
    struct secure_headers headers;
    const char *value = advices[_i].value, *advice = advices[_i].advice;
    ck_assert(decode(arena_printf(arena, "%s: %s", advices[_i].name, value), &headers, true));
    if (advice)
        ck_assert_msg(strstr(told, advice) != NULL, "%s: said %s", value, told);
    else
        ck_assert_msg(told[0] == '\0', "%s: said %s", value, told);
}
END_TEST

/* ================ nonces */

static const struct {
    const char *value, *with, *without;
} fills[] = {
    {"default-src 'self'", "default-src 'self'", "default-src 'self'"},
    {"script-src 'nonce'", "script-src 'nonce-N'", "script-src"},
    {"script-src 'self' 'nonce'; style-src 'nonce' a", "script-src 'self' 'nonce-N'; style-src 'nonce-N' a",
     "script-src 'self'; style-src a"},
    {"script-src  'nonce'", "script-src  'nonce-N'", "script-src "},
};

START_TEST(nonces_are_filled_in)
{
    struct text value = text_of(fills[_i].value);
    ck_assert_int_eq(content_policy_has_nonce(value), strcmp(fills[_i].value, fills[_i].with) != 0);
    ck_assert_str_eq(string(content_policy_fill(value, "N", arena)), fills[_i].with);
    ck_assert_str_eq(string(content_policy_fill(value, NULL, arena)), fills[_i].without);
}
END_TEST

START_TEST(nonces_are_new_in_each_reply)
{
    char before[NONCE_SIZE];
    for (int i = 0; i < 200; i++) {
        exchange.nonce[0] = '\0';
        const char *nonce = exchange_nonce(&exchange);
        ck_assert_uint_eq(strlen(nonce), 32);
        ck_assert_uint_eq(strspn(nonce, "0123456789abcdef"), 32);
        ck_assert_str_eq(exchange_nonce(&exchange), nonce);
        ck_assert_str_ne(nonce, i ? before : "");
        memcpy(before, nonce, NONCE_SIZE);
    }
}
END_TEST

#define NONCE_POLICY "{preset: off, " CONTENT_POLICY ": {script-src: [self, nonce]}, Cache-Control: off}"

/* Which replies get the nonce, and which the policy without it. */
static const struct {
    int status;
    const char *reply, *policy; /* NULL: none at all */
} documents[] = {
    {200, "Content-Type: text/html\n", "script-src 'self' 'nonce-NONCE'"},
    {200, "content-type: Text/HTML ; charset=utf-8\n", "script-src 'self' 'nonce-NONCE'"},
    {200, "Content-Type: image/svg+xml\n", "script-src 'self' 'nonce-NONCE'"},
    {404, "Content-Type: application/xhtml+xml\n", "script-src 'self' 'nonce-NONCE'"},
    {200, "", "script-src 'self' 'nonce-NONCE'"},
    {204, "", "script-src 'self' 'nonce-NONCE'"},
    {303, "Location: /\n", "script-src 'self' 'nonce-NONCE'"},
    {200, "Content-Type: application/json\n", "script-src 'self'"},
    {200, "Content-Type: text/css\n", "script-src 'self'"},
    {304, "", NULL},
    {304, "Content-Type: text/html\n", NULL},
};

START_TEST(documents_get_nonces)
{
    struct secure_headers headers = decode_good(NONCE_POLICY);
    exchange.reply.status = documents[_i].status;
    set_reply(documents[_i].reply);
    secure_headers_prepare(&headers, &exchange);
    secure_headers_apply(&headers, &exchange);
    const char *line = documents[_i].policy ? arena_printf(arena, "%s" CONTENT_POLICY ": %s\n",
                                                           documents[_i].reply, documents[_i].policy)
                                            : documents[_i].reply;
    ck_assert_str_eq(reply_lines(), line);
}
END_TEST

START_TEST(nonces_are_made_before_handlers)
{
    struct secure_headers headers = decode_good("{preset: api}");
    secure_headers_prepare(&headers, &exchange);
    ck_assert_str_eq(exchange.nonce, "");
    headers = decode_good("{" CONTENT_POLICY_REPORTS ": \"script-src 'nonce'\"}");
    secure_headers_prepare(&headers, &exchange);
    ck_assert_uint_eq(strlen(exchange.nonce), 32);
}
END_TEST

/* ================ which value leaves */

static const struct {
    const char *name, *ours, *theirs;
    enum stricter choice;
} choices[] = {
    {"X-Frame-Options", "SAMEORIGIN", "DENY", STRICTER_THEIRS},
    {"x-frame-options", "SAMEORIGIN", " deny ", STRICTER_THEIRS},
    {"X-Frame-Options", "DENY", "SAMEORIGIN", STRICTER_OURS},
    {"X-Frame-Options", "DENY", "DENY", STRICTER_OURS},
    {"X-Frame-Options", "SAMEORIGIN", "DENY, DENY", STRICTER_OURS},
    {"X-Frame-Options", "SAMEORIGIN", "ALLOWALL", STRICTER_OURS},
    {"X-Frame-Options", "SAMEORIGIN", "", STRICTER_OURS},
    {"X-Frame-Options", "SAMEORIGIN", "DENY; x", STRICTER_OURS},
    {"X-Content-Type-Options", "nosniff", "nosniff", STRICTER_OURS},
    {"Referrer-Policy", "strict-origin-when-cross-origin", "no-referrer", STRICTER_THEIRS},
    {"Referrer-Policy", "strict-origin-when-cross-origin", "NO-REFERRER", STRICTER_THEIRS},
    {"Referrer-Policy", "strict-origin-when-cross-origin", "same-origin", STRICTER_THEIRS},
    {"Referrer-Policy", "strict-origin-when-cross-origin", "strict-origin", STRICTER_THEIRS},
    {"Referrer-Policy", "strict-origin-when-cross-origin", "origin", STRICTER_OURS},
    {"Referrer-Policy", "origin-when-cross-origin", "strict-origin-when-cross-origin", STRICTER_THEIRS},
    {"Referrer-Policy", "origin", "strict-origin", STRICTER_THEIRS},
    {"Referrer-Policy", "strict-origin", "same-origin", STRICTER_OURS},
    {"Referrer-Policy", "same-origin", "strict-origin", STRICTER_OURS},
    {"Referrer-Policy", "no-referrer", "same-origin", STRICTER_OURS},
    {"Referrer-Policy", "no-referrer-when-downgrade", "strict-origin-when-cross-origin", STRICTER_THEIRS},
    {"Referrer-Policy", "unsafe-url", "no-referrer-when-downgrade", STRICTER_THEIRS},
    {"Referrer-Policy", "no-referrer-when-downgrade", "origin", STRICTER_OURS},
    {"Referrer-Policy", "origin", "unsafe-url, no-referrer", STRICTER_THEIRS},
    {"Referrer-Policy", "origin", "no-referrer, unsafe-url", STRICTER_OURS},
    {"Referrer-Policy", "origin", "no-referrer, newer-policy", STRICTER_THEIRS},
    {"Referrer-Policy", "origin", "newer-policy", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=61", STRICTER_THEIRS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=60; includeSubDomains", STRICTER_THEIRS},
    {TRANSPORT_SECURITY, "max-age=60; includeSubDomains", "max-age=31536000", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60; includeSubDomains", "max-age=59; includeSubDomains; preload",
     STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60; includeSubDomains; preload", "max-age=99; includeSubDomains",
     STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=0", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=0", "max-age=60", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "includeSubDomains", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=70, max-age=70", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=99999999999999999999999", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=1; max-age=2; max-age=70", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=70; includeSubDomains; includeSubDomains", STRICTER_OURS},
    {TRANSPORT_SECURITY, "max-age=60", "max-age=70; preload=1", STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin", STRICTER_THEIRS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin; report-to=\"x\"",
     STRICTER_THEIRS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "Same-Origin", STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin; (", STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin ; report-to=\"x\"",
     STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin;\treport-to=\"x\"",
     STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin; report-to=\"\xe9\"",
     STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin;report-to=\"x\" ",
     STRICTER_THEIRS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "same-origin; report-to=\"x\"y\"",
     STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin", "same-origin-allow-popups", STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin", "unsafe-none", STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "same-origin-allow-popups", "noopener-allow-popups", STRICTER_OURS},
    {"Cross-Origin-Opener-Policy", "unsafe-none", "noopener-allow-popups", STRICTER_THEIRS},
    {"Cross-Origin-Embedder-Policy", "credentialless", "require-corp", STRICTER_THEIRS},
    {"Cross-Origin-Embedder-Policy", "credentialless", "REQUIRE-CORP", STRICTER_OURS},
    {"Cross-Origin-Embedder-Policy", "require-corp", "credentialless", STRICTER_OURS},
    {"Cross-Origin-Embedder-Policy", "unsafe-none", "credentialless", STRICTER_THEIRS},
    {"Cross-Origin-Resource-Policy", "same-site", "same-origin", STRICTER_THEIRS},
    {"Cross-Origin-Resource-Policy", "same-site", "Same-Origin", STRICTER_OURS},
    {"Cross-Origin-Resource-Policy", "same-site", "same-origin; x", STRICTER_OURS},
    {"Cross-Origin-Resource-Policy", "same-site", "cross-origin", STRICTER_OURS},
    {"Cross-Origin-Resource-Policy", "cross-origin", "same-site", STRICTER_THEIRS},
    {"Origin-Agent-Cluster", "?1", "?0", STRICTER_OURS},
    {"Origin-Agent-Cluster", "?0", "?1", STRICTER_THEIRS},
    {"X-DNS-Prefetch-Control", "off", "on", STRICTER_OURS},
    {"X-DNS-Prefetch-Control", "on", "off", STRICTER_THEIRS},
    {"X-Permitted-Cross-Domain-Policies", "master-only", "none", STRICTER_THEIRS},
    {"X-Permitted-Cross-Domain-Policies", "all", "by-content-type", STRICTER_THEIRS},
    {"X-Permitted-Cross-Domain-Policies", "by-content-type", "by-ftp-filename", STRICTER_OURS},
    {"Cache-Control", "private", "no-store", STRICTER_THEIRS},
    {"Cache-Control", "private", "max-age=60, No-Store", STRICTER_THEIRS},
    {"Cache-Control", "private", "x=\"a,no-store,b\"", STRICTER_OURS},
    {"Cache-Control", "private", "x=\"a\\\",no-store,b\"", STRICTER_OURS},
    {"Cache-Control", "no-store", "private", STRICTER_OURS},
    {CONTENT_POLICY, "default-src 'self'", "default-src *", STRICTER_BOTH},
    {CONTENT_POLICY_REPORTS, "default-src 'self'", "default-src *", STRICTER_BOTH},
    {CLEAR_SITE_DATA, "\"cookies\"", "\"cache\"", STRICTER_BOTH},
    {"X-XSS-Protection", "0", "1; mode=block", STRICTER_OURS},
    {"X-Own", "a", "b", STRICTER_OURS},
};

START_TEST(stricter_values_stay)
{
    ck_assert_int_eq(
        stricter_choose(text_of(choices[_i].name), text_of(choices[_i].ours), text_of(choices[_i].theirs)),
        choices[_i].choice);
}
END_TEST

static const struct {
    const char *ours, *theirs, *both;
} permissions[] = {
    {"camera=()", "camera=*", "camera=()"},
    {"camera=(self)", "camera=()", "camera=()"},
    {"camera=*", "camera=(self)", "camera=(self)"},
    {"camera=*", "camera=self", "camera=self"},
    {"camera=(self \"https://a.example\")", "camera=(self)", "camera=(self)"},
    {"camera=(self)", "camera=(self \"https://a.example\")", "camera=(self)"},
    {"camera=(self)", "camera=(\"https://a.example\")", "camera=(self)"},
    {"camera=()", "usb=(self)", "camera=(), usb=(self)"},
    {"camera=(), midi=*", "usb=*, midi=(), camera=*", "camera=(), midi=(), usb=*"},
    {"camera=()", "camera=(), usb=*, usb=()", "camera=(), usb=()"},
    {"camera=(self)", "camera=*, camera=()", "camera=()"},
    {"camera=(self)", "camera=();report-to=x", "camera=()"},
    {"camera=(self)", "camera=() usb=()", "camera=(self)"},
    {"camera=(self)", "camera 'none'", "camera=(self)"},
    {"camera=(self)", "", "camera=(self)"},
    {"camera=(self)", "camera=(\"\\\"", "camera=(self)"},
    {"camera=(self)", "camera", "camera=(self)"},
    {"geolocation=(),camera=()", "camera=()", "geolocation=(),camera=()"},
};

START_TEST(permissions_are_joined)
{
    struct text both =
        permissions_join(text_of(permissions[_i].ours), text_of(permissions[_i].theirs), arena);
    ck_assert_str_eq(string(both), permissions[_i].both);
}
END_TEST

/* What a reply has, and what leaves, in whole. */
static const struct {
    const char *policy, *reply, *leaves;
} replies[] = {
    {"{preset: off, X-Frame-Options: SAMEORIGIN}", "X-Frame-Options: DENY\n", "X-Frame-Options: DENY\n"},
    {"{preset: off, X-Frame-Options: SAMEORIGIN}", "X-Frame-Options: DENY\nX-Frame-Options: DENY\n",
     "X-Frame-Options: SAMEORIGIN\n"},
    {"{preset: off, Referrer-Policy: origin}", "Referrer-Policy: unsafe-url\nReferrer-Policy: no-referrer\n",
     "Referrer-Policy: unsafe-url\nReferrer-Policy: no-referrer\n"},
    {"{preset: off, Content-Security-Policy: {default-src: none}}",
     "content-security-policy: default-src *\n",
     "content-security-policy: default-src *\nContent-Security-Policy: default-src 'none'\n"},
    {"{preset: off, Content-Security-Policy: {default-src: none}}",
     "Content-Security-Policy: default-src 'none'\n", "Content-Security-Policy: default-src 'none'\n"},
    {"{preset: off, Content-Security-Policy: {default-src: none}, Content-Security-Policy-Report-Only: "
     "{img-src: none}}",
     "Content-Security-Policy-Report-Only: default-src a.example\n",
     "Content-Security-Policy-Report-Only: default-src a.example\nContent-Security-Policy: default-src "
     "'none'\n"
     "Content-Security-Policy-Report-Only: img-src 'none'\n"},
    {"{preset: off, Permissions-Policy: {camera: []}}",
     "Permissions-Policy: usb=()\nPermissions-Policy: camera=*\n", "Permissions-Policy: camera=(), usb=()\n"},
    {"{preset: off, Clear-Site-Data: cookies}", "Clear-Site-Data: \"cache\"\n",
     "Clear-Site-Data: \"cache\"\nClear-Site-Data: \"cookies\"\n"},
    {"{preset: off, X-Own: a}", "X-Own: b\nx-own: c\n", "X-Own: a\n"},
    {"{preset: off, Vary: 'Accept, cookie'}", "Vary: Cookie\nVary: X-A\n", "Vary: Cookie, X-A, Accept\n"},
    {"{preset: off, vary: '*'}", "Vary: Cookie\n", "Vary: *\n"},
    {"{preset: off, Vary: Accept}", "", "Vary: Accept\n"},
    {"off", "X-Frame-Options: ALLOWALL\n", "X-Frame-Options: ALLOWALL\n"},
};

START_TEST(replies_leave)
{
    struct secure_headers headers = decode_good(replies[_i].policy);
    set_reply(replies[_i].reply);
    secure_headers_apply(&headers, &exchange);
    ck_assert_str_eq(reply_lines(), replies[_i].leaves);
    secure_headers_apply(&headers, &exchange);
    ck_assert_str_eq(reply_lines(), replies[_i].leaves);
}
END_TEST

/* A page of ours has a policy of its own, alone; a program's has not. */
START_TEST(own_pages_keep_their_policy)
{
    struct secure_headers headers =
        decode_good("{preset: api, Content-Security-Policy-Report-Only: {default-src: none, report-to: x}}");
    set_reply("Content-Security-Policy: default-src 'none'; style-src 'nonce-x'\n");
    exchange.reply.from_handler = false;
    secure_headers_apply(&headers, &exchange);
    const char *lines = reply_lines();
    ck_assert(strstr(lines, CONTENT_POLICY ": ") ==
              strstr(lines, CONTENT_POLICY ": default-src 'none'; style-src"));
    ck_assert_ptr_null(strstr(strstr(lines, CONTENT_POLICY) + 1, "Content-Security"));
    ck_assert_ptr_nonnull(strstr(lines, "X-Frame-Options: DENY"));
    exchange.reply.from_handler = true;
    secure_headers_apply(&headers, &exchange);
    ck_assert_ptr_nonnull(
        strstr(reply_lines(), CONTENT_POLICY ": default-src 'none'; frame-ancestors 'none'"));
}
END_TEST

static const struct {
    int status;
    bool secure, sent;
} clearings[] = {{200, true, true},  {204, true, true},   {303, true, true},  {302, true, true},
                 {304, true, false}, {200, false, false}, {401, true, false}, {500, true, false}};

/* A preflight is no logout. */
START_TEST(answers_of_guards_clear_nothing)
{
    struct secure_headers headers = decode_good("{preset: off, Clear-Site-Data: [cookies]}");
    exchange.reply = (struct reply){.status = 204};
    exchange.verdict = (struct verdict){VERDICT_ANSWER, 204, "cors", "preflight", NULL};
    secure_headers_apply(&headers, &exchange);
    ck_assert_str_eq(reply_lines(), "");
}
END_TEST

START_TEST(site_data_is_cleared)
{
    struct secure_headers headers = decode_good("{preset: off, Clear-Site-Data: [cookies]}");
    exchange.reply.status = clearings[_i].status;
    exchange.request.secure = clearings[_i].secure;
    secure_headers_apply(&headers, &exchange);
    ck_assert_str_eq(reply_lines(), clearings[_i].sent ? "Clear-Site-Data: \"cookies\"\n" : "");
}
END_TEST

/* ================ caches */

static const struct {
    const char *policy, *before, *after; /* as lines */
    bool authenticates;
} caches[] = {
    {"{preset: nginx}", "", "no-store", true},
    {"{preset: nginx}", "", NULL, false},
    {"off", "", NULL, true},
    {"{preset: nginx, Cache-Control: off}", "", NULL, true},
    {"{preset: nginx, Cache-Control: off}", "Cache-Control: max-age=1\n", "max-age=1", true},
    {"{preset: nginx, Cache-Control: no-cache}", "", "no-cache", true},
    {"{preset: nginx, Cache-Control: no-cache}", "Cache-Control: max-age=1\n", "no-cache", true},
    {"{preset: nginx, Cache-Control: no-cache}", "Cache-Control: no-store\n", "no-store", true},
    {"{preset: nginx}", "cache-control: max-age=60\n", "private, max-age=60", true},
    {"{preset: nginx}", "Cache-Control: max-age=60, must-revalidate\n",
     "private, max-age=60, must-revalidate", true},
    {"{preset: nginx}", "Cache-Control: no-cache\n", "private, no-cache", true},
    {"{preset: nginx}", "Cache-Control: max-age=60, Private\n", "max-age=60, Private", true},
    {"{preset: nginx}", "Cache-Control: public, max-age=60\n", "public, max-age=60", true},
    {"{preset: nginx}", "Cache-Control: s-maxage=60\n", "s-maxage=60", true},
    {"{preset: nginx}", "Cache-Control: max-age=60\nCache-Control: public\n", "max-age=60", true},
    {"{preset: nginx}", "Cache-Control: private=\"Set-Cookie\"\n", "private, private=\"Set-Cookie\"", true},
    {"{preset: nginx}", "Cache-Control: x=\"a, public\"\n", "private, x=\"a, public\"", true},
    {"{preset: nginx}", "Cache-Control: \n", "no-store", true},
    {"{preset: nginx}", "Cache-Control: x=\"a,no-store\n", "private, x=\"a,no-store", true},
    {"{preset: nginx}", "Cache-Control: a\nCache-Control: b\n", "private, a", true},
    {"{preset: nginx}", "Cache-Control: max-age=60\n", "max-age=60", false},
    {"{preset: nginx, Content-Security-Policy: {script-src: nonce}}", "Content-Type: text/html\n", "private",
     false},
    {"{preset: nginx, Content-Security-Policy: {script-src: nonce}}", "Content-Type: text/css\n", NULL,
     false},
    {"{preset: nginx, Content-Security-Policy: {script-src: nonce}}",
     "Content-Type: text/html\nCache-Control: max-age=9\n", "private, max-age=9", false},
    {"{preset: nginx, Content-Security-Policy: {script-src: nonce}}", "Content-Type: text/html\n", "no-store",
     true},
    {"{preset: off, Content-Security-Policy: {script-src: nonce}}", "Content-Type: text/html\n", "private",
     false},
    {"{preset: off, Content-Security-Policy: {script-src: nonce}}",
     "Content-Type: text/html\nCache-Control: max-age=9\n", "private, max-age=9", true},
    {"{preset: off, Cache-Control: off, Content-Security-Policy: {script-src: nonce}}",
     "Content-Type: text/html\n", NULL, false},
};

START_TEST(caches_are_told)
{
    struct secure_headers headers = decode_good(caches[_i].policy);
    exchange.authenticates = caches[_i].authenticates;
    set_reply(caches[_i].before);
    secure_headers_apply(&headers, &exchange);
    const struct text *value = headers_get(&exchange.reply.headers, "cache-control");
    const char *expected = caches[_i].after;
    ck_assert_msg((value != NULL) == (expected != NULL), "%s %s", caches[_i].policy, caches[_i].before);
    if (expected)
        ck_assert_str_eq(string(*value), expected);
}
END_TEST

/* ================ cookies */

#define ALL "secure: true"

static const struct {
    const char *rules, *before, *after; /* NULL: dropped */
} cookies[] = {
    {ALL, "a=b", "a=b; SameSite=Lax; Secure; HttpOnly"},
    {"true", "a=b", "a=b; SameSite=Lax; Secure; HttpOnly"},
    {"{}", "a=b", "a=b; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=", "a=; SameSite=Lax; Secure; HttpOnly"},
    {ALL, " a = b c ;Path=/ ", "a=b c; Path=/; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=b=c; secure; httponly; samesite=lax", "a=b=c; Secure; HttpOnly; samesite=lax"},
    {ALL, "a=b; Secure=no; HttpOnly=0", "a=b; Secure; HttpOnly; SameSite=Lax"},
    {ALL, "a=b; Secure; Secure; SECURE", "a=b; Secure; SameSite=Lax; HttpOnly"},
    {ALL, "a=b; SameSite=Strict", "a=b; SameSite=Strict; Secure; HttpOnly"},
    {ALL, "a=b; SameSite=Strict; SameSite=None", "a=b; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=b; SameSite=None; SameSite=Strict", "a=b; SameSite=Strict; Secure; HttpOnly"},
    {ALL, "a=b; SameSite=Nonsense", "a=b; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=b; SameSite", "a=b; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=b;;  ; =x; Max-Age=60", "a=b; Max-Age=60; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=b; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Path=/x",
     "a=b; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Path=/x; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=b; Path=/x; Path=/y", "a=b; Path=/y; SameSite=Lax; Secure; HttpOnly"},
    {ALL, "a=\"b; Secure\"", "a=\"b; Secure\"; SameSite=Lax; Secure; HttpOnly"},
    {"same_site: strict", "a=b; SameSite=Lax", "a=b; SameSite=Strict; Secure; HttpOnly"},
    {"same_site: off", "a=b; SameSite=Lax", "a=b; SameSite=Lax; Secure; HttpOnly"},
    {"same_site: off", "a=b", "a=b; Secure; HttpOnly"},
    {"{secure: false, http_only: false, same_site: off}", "a=b; Path=/", "a=b; Path=/"},
    {"{secure: false, http_only: false, same_site: off}", "a=b; SameSite=None", "a=b; SameSite=None; Secure"},
    {"{secure: false, http_only: false, same_site: off}", "a=b; Partitioned", "a=b; Partitioned; Secure"},
    {"{secure: false, http_only: false, same_site: off}", "__Secure-a=b", "__Secure-a=b; Secure"},
    {"{secure: false, http_only: false, same_site: off}", "__secure-a=b", "__secure-a=b; Secure"},
    {"{secure: false, http_only: false, same_site: off}", "__Host-a=b; Path=/", "__Host-a=b; Path=/; Secure"},
    {"{secure: false, http_only: false, same_site: off}", "__Http-a=b", "__Http-a=b; Secure; HttpOnly"},
    {"{secure: false, http_only: false, same_site: off}", "__Host-Http-a=b; Path=/",
     "__Host-Http-a=b; Path=/; Secure; HttpOnly"},
    {"script: [xsrf]", "xsrf=b", "xsrf=b; SameSite=Lax; Secure"},
    {"script: [xsrf]", "xsrf2=b", "xsrf2=b; SameSite=Lax; Secure; HttpOnly"},
    {"script: [xsrf]", "Xsrf=b", "Xsrf=b; SameSite=Lax; Secure; HttpOnly"},
    {"script: [xsrf]", "xsrf=b; HttpOnly", "xsrf=b; HttpOnly; SameSite=Lax; Secure"},
    {"cross: [sso]", "sso=b; SameSite=None", "sso=b; SameSite=None; Secure; HttpOnly"},
    {"{cross: sso, secure: false}", "sso=b; SameSite=None", "sso=b; SameSite=None; Secure; HttpOnly"},
    {ALL, "", NULL},
    {ALL, "a", NULL},
    {ALL, "=a", NULL},
    {ALL, "; Secure", NULL},
    {ALL, "=__Host-a=b; Path=/", NULL},
    {ALL, "a=b\x01", NULL},
    {ALL, "a=b\x7f; Path=/", NULL},
    {ALL, "__Host-a=b", NULL},
    {ALL, "__Host-a=b; Path=/x", NULL},
    {ALL, "__Host-a=b; Path=/; Path=/x", NULL},
    {ALL, "__HOST-a=b; Path=/; Domain=x.example", NULL},
    {ALL, "__Host-a=b; Path=/; Domain=", NULL},
};

static struct cookie_rules decode_cookies(const char *policy)
{
    struct findings findings = findings_new(arena, "p");
    struct decoder decoder = {.arena = arena, .findings = &findings, .folder = "/"};
    struct cookie_rules rules;
    bool good = set_cookie_decode(&decoder, file_parse(text_of(policy), false, &findings), &rules);
    memset(told, 0, sizeof told);
    FILE *stream = fmemopen(told, sizeof told - 1, "w");
    findings_print(&findings, FINDING_ERROR, stream);
    fclose(stream);
    ck_assert_int_eq(good, told[0] == '\0');
    return rules;
}

START_TEST(cookies_are_hardened)
{
    struct cookie_rules rules = decode_cookies(cookies[_i].rules);
    const char *fault, *again, *expected = cookies[_i].after;
    ck_assert_str_eq(told, "");
    struct text made = set_cookie_harden(&rules, text_of(cookies[_i].before), arena, &fault);
    ck_assert_int_eq(fault == NULL, expected != NULL);
    ck_assert_str_eq(string(made), expected ? expected : "");
    if (expected)
        ck_assert_str_eq(string(set_cookie_harden(&rules, made, arena, &again)), expected);
}
END_TEST

START_TEST(cookies_are_limited)
{
    struct cookie_rules rules = decode_cookies(ALL);
    const char *fault;
    char *value = arena_alloc(arena, 8192);
    memset(value, 'a', 8191);
    value[1] = '=';
    ck_assert_uint_gt(set_cookie_harden(&rules, (struct text){value, 4097}, arena, &fault).length, 4097);
    ck_assert_uint_eq(set_cookie_harden(&rules, (struct text){value, 4098}, arena, &fault).length, 0);
    ck_assert_ptr_nonnull(fault);
    memcpy(value, "a=b; Path=", 10);
    struct text made = set_cookie_harden(&rules, (struct text){value, 10 + 1024}, arena, &fault);
    ck_assert_uint_gt(made.length, 1034);
    made = set_cookie_harden(&rules, (struct text){value, 10 + 1025}, arena, &fault);
    ck_assert_str_eq(string(made), "a=b; SameSite=Lax; Secure; HttpOnly");
    const char *many = "a=b";
    for (int i = 0; i < 33; i++) {
        made = set_cookie_harden(&rules, text_of(many), arena, &fault);
        ck_assert_msg(fault == NULL, "%d attributes", i);
        many = arena_printf(arena, "%s; x%d", many, i);
    }
    set_cookie_harden(&rules, text_of(many), arena, &fault);
    ck_assert_ptr_nonnull(fault);
}
END_TEST

static struct verdict last;

static void keep_verdict(struct exchange *of, struct verdict verdict)
{
    ck_assert_ptr_eq(of, &exchange);
    last = verdict;
}

START_TEST(cookies_of_a_reply)
{
    struct cookie_rules rules = decode_cookies("off");
    set_reply("Set-Cookie: a=b\nX: y\nset-cookie: c\nSet-Cookie: d=e\n");
    set_cookie_apply(&rules, &exchange, keep_verdict);
    ck_assert_str_eq(reply_lines(), "Set-Cookie: a=b\nX: y\nset-cookie: c\nSet-Cookie: d=e\n");
    rules = decode_cookies("false");
    ck_assert(!rules.given);
    rules = decode_cookies("{secure: false, same_site: off}");
    set_cookie_apply(&rules, &exchange, keep_verdict);
    ck_assert_str_eq(reply_lines(), "Set-Cookie: a=b; HttpOnly\nX: y\nSet-Cookie: d=e; HttpOnly\n");
    ck_assert_str_eq(last.code, "cookie_dropped");
    ck_assert_str_eq(last.detail, "it has no name");
    set_cookie_apply(&rules, &exchange, NULL);
    ck_assert_str_eq(reply_lines(), "Set-Cookie: a=b; HttpOnly\nX: y\nSet-Cookie: d=e; HttpOnly\n");
}
END_TEST

static const struct {
    const char *rules, *finding;
} bad_cookies[] = {
    {"on", "p:1:1: this does not fit, expected true, off, or a map"},
    {"[a]", "p:1:1: this does not fit"},
    {"'off'", "p:1:1: this does not fit"},
    {"secure: maybe", "p:1:9: secure: "},
    {"same_site: none", "p:1:12: same_site: \"none\" is not known, expected one of off, lax, strict"},
    {"httponly: true", "p:1:1: httponly: this key is not known"},
    {"script: ['a b']", "p:1:9: script: \"a b\" is not a cookie's name"},
    {"{http_only: false, script: [a]}", "p:1:28: script: there is nothing that these would be spared from"},
    {"{same_site: off, cross: [a]}", "p:1:25: cross: there is nothing that these"},
};

START_TEST(cookie_rules_are_refused)
{
    decode_cookies(bad_cookies[_i].rules);
    ck_assert_msg(strncmp(told, bad_cookies[_i].finding, strlen(bad_cookies[_i].finding)) == 0, "%s: said %s",
                  bad_cookies[_i].rules, told);
}
END_TEST

#define ADD_TABLE(test, table) tcase_add_loop_test(cases, test, 0, (int)COUNT(table))

int main(void)
{
    Suite *suite = suite_create("headers");
    TCase *cases = tcase_create("headers");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    ADD_TABLE(policies_begin_with_the_presets, begun_values);
    ADD_TABLE(values_are_made, good_values);
    ADD_TABLE(values_are_refused, bad_values);
    ADD_TABLE(risks_are_told, advices);
    ADD_TABLE(nonces_are_filled_in, fills);
    tcase_add_test(cases, nonces_are_new_in_each_reply);
    ADD_TABLE(documents_get_nonces, documents);
    tcase_add_test(cases, nonces_are_made_before_handlers);
    ADD_TABLE(stricter_values_stay, choices);
    ADD_TABLE(permissions_are_joined, permissions);
    ADD_TABLE(replies_leave, replies);
    tcase_add_test(cases, own_pages_keep_their_policy);
    ADD_TABLE(site_data_is_cleared, clearings);
    tcase_add_test(cases, answers_of_guards_clear_nothing);
    ADD_TABLE(caches_are_told, caches);
    ADD_TABLE(cookies_are_hardened, cookies);
    tcase_add_test(cases, cookies_are_limited);
    tcase_add_test(cases, cookies_of_a_reply);
    ADD_TABLE(cookie_rules_are_refused, bad_cookies);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
