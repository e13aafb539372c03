/*
 * The settings of the http handler: its policy keys, and what is wrong or risky
 * about their values. Nothing is connected to while a policy is read.
 */
#include "config.h"

#include "handler/http.h"
#include "handler/pass.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
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
    {FIELD(FIELD_TEXTS, http_settings, backends.addresses, "url"), .required = true, .least = 1,
     .displaces = "backup headers steering",
     .help = "where the application listens: http://, https:// or unix:/PATH; a list for several"},
    BACKENDS_FIELDS(http_settings, backends),
    {FIELD(FIELD_TEXT, http_settings, host, "host"), .fallback = "client",
     .help = "the Host it is told: client, backend, or a name"},
    {FIELD(FIELD_TEXT, http_settings, strip_prefix, "strip_prefix"), .displaces = "rewrite",
     .help = "the front of the path that it is not told"},
    {FIELD(FIELD_TEXT, http_settings, rewrite, "rewrite"), .displaces = "strip_prefix",
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
    {FIELD(FIELD_NUMBER, http_settings, backends.connections, "connections"), .fallback = "100", .least = 1,
     .most = 100000, .help = "requests at once to each, and connections that are kept"},
    {FIELD(FIELD_DURATION, http_settings, backends.idle, "idle"), .fallback = "4s", .most = IDLE_MOST,
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

/* The item of a list, or the only value. */
static const struct node *item(const struct node *value, size_t index)
{
    return value->kind == NODE_LIST && index < value->count ? value->items[index] : value;
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

static const char *read_socket(struct http_backend *backend, struct text url, struct arena *arena)
{
    struct error error = {0};
    if (!backend_address_parse(url, arena, &backend->address, &error))
        return arena_printf(arena, "%s", error.message);
    backend->socket = backend->address.at.unix_path.sun_path;
    backend->authority = "localhost";
    backend->origin = "http://localhost";
    return NULL;
}

static const char *read_address(struct http_backend *backend, const struct host *host, struct arena *arena)
{
    struct error error = {0};
    struct text port = host->port.length > 0 ? host->port : backend->secure ? TEXT("443") : TEXT("80");
    const char *bracket = text_find(host->name, ':') < host->name.length ? "[]" : "";
    backend->looked_up = arena_printf(arena, "%.1s%.*s%.1s:%.*s", bracket, TEXT_ARGUMENTS(host->name),
                                      *bracket ? bracket + 1 : "", TEXT_ARGUMENTS(port));
    return backend_address_parse(text_of(backend->looked_up), arena, &backend->address, &error)
               ? NULL
               : "has a host that cannot be one, expected one such as http://127.0.0.1:3000";
}

static const char *read_authority(struct http_backend *backend, struct text authority, struct arena *arena)
{
    struct host host;
    if (!host_parse(authority, arena, &host))
        return "has no host, expected one such as http://127.0.0.1:3000";
    struct text formatted = host_format(&host, arena);
    backend->authority = arena_copy(arena, formatted.at, formatted.length);
    backend->origin = arena_printf(arena, "%s://%s", backend->secure ? "https" : "http", backend->authority);
    return read_address(backend, &host, arena);
}

/* http://HOST[:PORT][/PREFIX] */
static const char *read_url(struct http_backend *backend, struct text url, struct arena *arena)
{
    backend->secure = text_starts_with(url, TEXT("https://"));
    if (!backend->secure && !text_starts_with(url, TEXT("http://")))
        return "is no address, expected http://, https:// or unix:/PATH";
    struct text rest = text_from(url, backend->secure ? strlen("https://") : strlen("http://"));
    size_t slash = text_find(rest, '/');
    struct text path = text_from(rest, slash);
    if (text_find(url, '?') < url.length || text_find(url, '#') < url.length)
        return "has a query or a fragment, which requests bring themselves";
    if (path.length > 0 && path_canonical(path, arena, &backend->prefix))
        return "has a path that no request can have";
    while (text_ends_with(backend->prefix, TEXT("/")))
        backend->prefix.length--;
    return read_authority(backend, (struct text){rest.at, slash}, arena);
}

struct making {
    struct arena *arena;
    const struct http_settings *settings;
    const char *secure, *plain; /* manners */
};

static bool parse_backend(void *context, struct text text, struct backend_named *named, struct error *error)
{
    const struct making *making = context;
    struct http_backend *backend = arena_alloc(making->arena, sizeof *backend);
    struct text url = {arena_copy(making->arena, text.at, text.length), text.length};
    const char *fault;
    *backend = (struct http_backend){.settings = making->settings};
    if (url.length > URL_LIMIT)
        fault = "is too long";
    else if (text_starts_with(url, TEXT("unix:")))
        fault = read_socket(backend, url, making->arena);
    else
        fault = read_url(backend, url, making->arena);
    *named = (struct backend_named){.place = backend->socket ? url.at : backend->origin,
                                    .manner = backend->secure ? making->secure : making->plain,
                                    .target = backend,
                                    .calls = &http_calls};
    return !fault || error_set(error, "%s", fault);
}

/* A connection that was made for other authorities or another protocol is not for these settings. */
static const char *manner_of(const struct http_settings *settings, struct arena *arena)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    const char *manner = settings->http2 ? "https/2" : "https/1.1";
    if (EVP_Digest(settings->ca.at, settings->ca.length, digest, &length, EVP_sha256(), NULL) != 1)
        abort();
    for (unsigned i = 0; settings->ca.length > 0 && i < length; i++)
        manner = arena_printf(arena, "%s %02x", manner, digest[i]);
    return manner;
}

static bool has_password(struct text url)
{
    size_t scheme = strlen("https://"), at = text_find(url, '@');
    return text_starts_with(url, TEXT("http")) && scheme < url.length && at < url.length &&
           at < scheme + text_find(text_from(url, scheme), '/');
}

/* Findings repeat other mistakes, but no password. */
static bool check_passwords(const struct texts *urls, struct decoder *decoder, const struct node *value)
{
    bool good = true;
    for (size_t i = 0; i < urls->count; i++)
        if (has_password(urls->items[i]))
            good = findings_add(decoder->findings, FINDING_ERROR, item(value, i),
                                "has a user or password, expected `headers: {Authorization: file:PATH}`");
    return good;
}

static bool prepare_backends(struct http_settings *settings, struct decoder *decoder, const struct node *node)
{
    bool good = check_passwords(&settings->backends.addresses, decoder, place(node, "url"));
    if (!check_passwords(&settings->backends.backups, decoder, place(node, "backup")) || !good)
        return false;
    struct making making = {decoder->arena, settings, manner_of(settings, decoder->arena), HTTP_NAME};
    settings->group = backends_prepare(decoder, &settings->backends, node, "url", parse_backend, &making);
    return settings->group != NULL;
}

static bool is_any_secure(const struct backends *group)
{
    const struct http_backend *backend;
    for (size_t i = 0; (backend = backends_target(group, i)); i++)
        if (backend->secure)
            return true;
    return false;
}

static bool prepare_ca(const struct http_settings *settings, struct decoder *decoder, const struct node *node)
{
    const struct node *ca = node->kind == NODE_MAP ? node_get(node, "ca_file") : NULL;
    if (ca && settings->group && !is_any_secure(settings->group))
        return findings_add(decoder->findings, FINDING_ERROR, ca,
                            "there is no certificate to check, expected it with a https:// url only");
    return settings->ca.length == 0 || has_certificate(settings->ca) ||
           findings_add(decoder->findings, FINDING_ERROR, ca, "has no certificate in PEM");
}

/* ---- the rest */

static bool prepare_host(const struct http_settings *settings, struct decoder *decoder,
                         const struct node *node)
{
    static const char *const words[] = {"client", "backend"};
    struct host host;
    struct text name = text_of(settings->host);
    for (size_t i = 0; settings->host && i < sizeof words / sizeof *words; i++)
        if (text_equal_ignore_case(name, text_of(words[i])) && !text_equal(name, text_of(words[i])))
            return findings_add(decoder->findings, FINDING_ERROR, place(node, "host"),
                                "is no host; did you mean \"%s\"?", words[i]);
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
    if (http_header_is_ours(header_of_variable(lower, decoder->arena))) /* to many, X_Y is X-Y */
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
    bool good = prepare_backends(settings, decoder, node);
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

static void advise_url(const struct http_backend *backend, struct findings *findings, const struct node *node)
{
    if (!backend->secure && !backend->socket && !is_loopback(backend->authority))
        findings_add(findings, FINDING_ADVICE, node,
                     "whoever is on the way to this backend can read and change what passes, and who is "
                     "calling; https:// would keep it");
}

void http_advise(const void *target, struct findings *findings, const struct node *node)
{
    const struct http_settings *settings = target;
    const struct http_backend *backend;
    size_t own = settings->backends.addresses.count;
    for (size_t i = 0; (backend = backends_target(settings->group, i)); i++)
        advise_url(backend, findings,
                   i < own ? item(place(node, "url"), i) : item(place(node, "backup"), i - own));
    if (settings->steering.count > 0)
        findings_add(findings, FINDING_ADVICE, place(node, "steering"),
                     "the application can have the web server send any file that it may read");
}
