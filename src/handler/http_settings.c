/*
 * The settings of the http handler: its policy keys, and what is wrong or risky
 * about their values. Nothing is connected to while a policy is read.
 */
#include "config.h"

#include "handler/http.h"
#include "handler/pass.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/un.h>

#include "base/arena.h"
#include "http/address.h"
#include "http/host.h"
#include "http/path.h"

#define DURATION_LEAST 100
#define DURATION_MOST  (24 * 60 * 60 * 1000ull)
#define IDLE_MOST      (60 * 60 * 1000ull)

enum { URL_LIMIT = 2048, CA_LIMIT = 1 << 20 };

static bool decode_authorities(struct decoder *decoder, const struct node *node, void *member)
{
    return decode_is_elsewhere(decoder, node) || decode_file(decoder, node, CA_LIMIT, member);
}

const struct field http_fields[] = {
    {FIELD(FIELD_TEXT, http_settings, url, "url"), .required = true,
     .help = "where the application listens: http://, https:// or unix:/PATH"},
    {FIELD(FIELD_TEXT, http_settings, host, "host"), .fallback = "client",
     .help = "the Host it is told: client, backend, or a name"},
    {FIELD(FIELD_TEXT, http_settings, strip_prefix, "strip_prefix"),
     .help = "the front of the path that it is not told"},
    {FIELD(FIELD_TEXT, http_settings, rewrite, "rewrite"),
     .help = "the path that it is told instead, as /v2/{id}/**"},
    {FIELD(FIELD_PAIRS, http_settings, headers, "headers"),
     .help = "headers of every request; a value may be file:PATH or env:NAME"},
    {FIELD(FIELD_CHOICE, http_settings, input, "input"), .fallback = "stream", .choices = "stream|spool",
     .help = "whether the body is handed on as it comes, or once it is complete"},
    {FIELD(FIELD_DURATION, http_settings, connect_timeout, "connect_timeout"), .fallback = "5s",
     .least = DURATION_LEAST, .most = DURATION_MOST, .help = "how long a connection may take"},
    {FIELD(FIELD_DURATION, http_settings, first_byte, "first_byte"), .fallback = "60s",
     .least = DURATION_LEAST, .most = DURATION_MOST, .help = "how long until the application's first line"},
    {FIELD(FIELD_DURATION, http_settings, timeout, "timeout"), .fallback = "5m", .least = DURATION_LEAST,
     .most = DURATION_MOST, .help = "how long a request may take"},
    {FIELD(FIELD_DURATION, http_settings, silence, "silence"), .fallback = "60s", .least = DURATION_LEAST,
     .most = DURATION_MOST, .help = "how long it may go without a byte either way after that"},
    {FIELD(FIELD_SIZE, http_settings, max_output, "max_output"), .fallback = "4gb", .least = 1,
     .help = "the largest body of a reply"},
    {FIELD(FIELD_NUMBER, http_settings, connections, "connections"), .fallback = "100", .least = 1,
     .most = 100000, .help = "requests at once, and connections that are kept"},
    {FIELD(FIELD_DURATION, http_settings, idle, "idle"), .fallback = "4s", .most = IDLE_MOST,
     .help = "how long a connection is kept without a request; 0: not at all"},
    {FIELD(FIELD_BOOL, http_settings, http2, "http2"), .fallback = "true",
     .help = "whether HTTP/2 is spoken where a https:// backend offers it"},
    {FIELD(FIELD_OWN, http_settings, ca, "ca_file"), .own = decode_authorities,
     .expects = "a file with certificates in PEM",
     .help = "authorities that are trusted instead of the system's"},
    {FIELD(FIELD_TEXTS, http_settings, steering, "steering"),
     .help = "reply headers of the X-Sendfile kind that are let through"},
    {0},
};

/* Where a finding about a key belongs: the key's value, or the section. */
static const struct node *place(const struct node *node, const char *key)
{
    const struct node *value = node->kind == NODE_MAP ? node_get(node, key) : NULL;
    return value ? value : node;
}

/* ---- url */

/* libcurl would pass over what is no certificate, and then trust nobody. */
static bool has_certificate(struct text pem)
{
    BIO *reader = BIO_new_mem_buf(pem.at, (int)pem.length);
    X509 *first = reader ? PEM_read_bio_X509(reader, NULL, NULL, NULL) : NULL;
    X509_free(first);
    BIO_free(reader);
    ERR_clear_error();
    return first != NULL;
}

static const char *read_socket(struct http_settings *settings, struct text path)
{
    if (path.length == 0 || path.at[0] != '/')
        return "is no unix socket, expected unix: and an absolute path";
    if (path.length >= sizeof((struct sockaddr_un *)0)->sun_path)
        return "has a longer path than a unix socket can have";
    settings->socket = path.at;
    settings->authority = "localhost";
    settings->origin = "http://localhost";
    return NULL;
}

static const char *read_authority(struct http_settings *settings, struct text authority, struct arena *arena)
{
    struct host host;
    if (text_find(authority, '@') < authority.length)
        return "has a user or password, expected `headers: {Authorization: file:PATH}`";
    if (!host_parse(authority, arena, &host))
        return "has no host, expected one such as http://127.0.0.1:3000";
    struct text formatted = host_format(&host, arena);
    settings->authority = arena_copy(arena, formatted.at, formatted.length);
    settings->origin =
        arena_printf(arena, "%s://%s", settings->secure ? "https" : "http", settings->authority);
    return NULL;
}

/* http://HOST[:PORT][/PREFIX] */
static const char *read_url(struct http_settings *settings, struct text url, struct arena *arena)
{
    settings->secure = text_starts_with(url, TEXT("https://"));
    if (!settings->secure && !text_starts_with(url, TEXT("http://")))
        return "is no address, expected http://, https:// or unix:/PATH";
    struct text rest = text_from(url, settings->secure ? strlen("https://") : strlen("http://"));
    size_t slash = text_find(rest, '/');
    struct text path = text_from(rest, slash);
    if (text_find(url, '?') < url.length || text_find(url, '#') < url.length)
        return "has a query or a fragment, which requests bring themselves";
    if (path.length > 0 && path_canonical(path, arena, &settings->prefix))
        return "has a path that no request can have";
    while (text_ends_with(settings->prefix, TEXT("/")))
        settings->prefix.length--;
    return read_authority(settings, (struct text){rest.at, slash}, arena);
}

static bool prepare_url(struct http_settings *settings, struct decoder *decoder, const struct node *node)
{
    struct text url = text_of(settings->url);
    const char *fault = NULL;
    if (!settings->url)
        return false; /* is a finding already */
    if (url.length > URL_LIMIT)
        fault = "is too long";
    else if (text_starts_with(url, TEXT("unix:")))
        fault = read_socket(settings, text_from(url, strlen("unix:")));
    else
        fault = read_url(settings, url, decoder->arena);
    return !fault || findings_add(decoder->findings, FINDING_ERROR, place(node, "url"), "%s", fault);
}

static bool prepare_ca(const struct http_settings *settings, struct decoder *decoder, const struct node *node)
{
    const struct node *ca = node->kind == NODE_MAP ? node_get(node, "ca_file") : NULL;
    if (ca && settings->url && !settings->secure)
        return findings_add(decoder->findings, FINDING_ERROR, ca,
                            "there is no certificate to check, expected it with a https:// url only");
    return settings->ca.length == 0 || has_certificate(settings->ca) ||
           findings_add(decoder->findings, FINDING_ERROR, ca, "has no certificate in PEM");
}

/* ---- the rest */

static bool prepare_host(const struct http_settings *settings, struct decoder *decoder,
                         const struct node *node)
{
    struct host host;
    struct text name = text_of(settings->host);
    return !settings->host || host_parse(name, decoder->arena, &host) ||
           findings_add(decoder->findings, FINDING_ERROR, place(node, "host"),
                        "is no host, expected client, backend, or a name such as app.example.com");
}

static bool prepare_value(struct decoder *decoder, const struct pair *pair, struct text *value)
{
    *value = pair->value;
    bool secret = text_starts_with(*value, TEXT("file:")) || text_starts_with(*value, TEXT("env:"));
    if (secret && !decode_secret(decoder, pair->node, value))
        return false;
    return header_value_is_safe(*value) ||
           findings_add(decoder->findings, FINDING_ERROR, pair->node, "has a control character");
}

static bool prepare_header(struct http_settings *settings, struct decoder *decoder, const struct pair *pair)
{
    struct text value, lower = text_lower(decoder->arena, pair->name);
    if (!text_is_token(pair->name))
        return findings_add(decoder->findings, FINDING_ERROR, pair->node,
                            "\"%.*s\" is not the name of a header, expected one such as X-Tenant",
                            TEXT_ARGUMENTS(pair->name));
    if (text_equal(lower, TEXT("host")))
        return findings_add(decoder->findings, FINDING_ERROR, pair->node, "this is what `host` says");
    if (http_header_is_ours(lower))
        return findings_add(decoder->findings, FINDING_ERROR, pair->node,
                            "fcgiguard sets or removes this header itself");
    if (headers_get(&settings->set, lower.at))
        return findings_add(decoder->findings, FINDING_ERROR, pair->node, "is there already");
    if (!prepare_value(decoder, pair, &value))
        return false;
    headers_add(&settings->set, decoder->arena, pair->name, value);
    return true;
}

static bool prepare_target(const struct http_settings *settings, struct decoder *decoder,
                           const struct node *node)
{
    const char *fault = http_target_fault(settings, decoder->path, decoder->arena);
    const struct node *at = place(node, settings->rewrite ? "rewrite" : "strip_prefix");
    return !fault || findings_add(decoder->findings, FINDING_ERROR, at, "%s", fault);
}

bool http_prepare(void *target, struct decoder *decoder, const struct node *node)
{
    struct http_settings *settings = target;
    bool good = prepare_url(settings, decoder, node);
    good = prepare_ca(settings, decoder, node) && good;
    good = prepare_host(settings, decoder, node) && good;
    good = prepare_target(settings, decoder, node) && good;
    good = steering_check(&settings->steering, decoder, node) && good;
    for (size_t i = 0; i < settings->headers.count; i++)
        good = prepare_header(settings, decoder, &settings->headers.items[i]) && good;
    return good;
}

static bool is_loopback(const char *authority)
{
    struct address address;
    struct text text = text_of(authority);
    struct text name = {text.at, text_find(text, ':')};
    struct network loopback;
    if (text_equal(name, TEXT("localhost")))
        return true;
    if (!address_parse(text, &address))
        return false;
    const struct networks networks = {&loopback, 1};
    return (network_parse(TEXT("127.0.0.0/8"), &loopback) && networks_hold(&networks, &address)) ||
           (network_parse(TEXT("::1"), &loopback) && networks_hold(&networks, &address));
}

void http_advise(const void *target, struct findings *findings, const struct node *node)
{
    const struct http_settings *settings = target;
    if (!settings->secure && !settings->socket && !is_loopback(settings->authority))
        findings_add(findings, FINDING_ADVICE, place(node, "url"),
                     "whoever is on the way to this backend can read and change what passes, and who is "
                     "calling; https:// would keep it");
    if (settings->steering.count > 0)
        findings_add(findings, FINDING_ADVICE, place(node, "steering"),
                     "the application can have the web server send any file that it may read");
}
