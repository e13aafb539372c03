/*
 * The headers of the backend's request: those of the canonical request, but
 * what is for one hop only (RFC 9110, 7.6.1); then what fcgiguard says itself,
 * under names in which nobody else is believed.
 */
#include "config.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "guard/version.h"
#include "handler/http.h"
#include "http/reserved.h"
#include "identity/caller.h"

enum { NAME_LIMIT = 256 };

struct builder {
    const struct http_settings *settings;
    const struct http_backend *backend;
    const struct exchange *exchange;
    struct headers headers;
};

/* Hop by hop, or made anew of what was judged. Content-Type has a member of its own in a request. */
static const char *const framing[] = {"connection",
                                      "content-length",
                                      "content-type",
                                      "expect",
                                      "host",
                                      "http2-settings",
                                      "keep-alive",
                                      "proxy-connection",
                                      "proxy-authorization",
                                      "te",
                                      "trailer",
                                      "transfer-encoding",
                                      "upgrade",
                                      "x-request-id",
                                      NULL};

/* The variables that programs are told, and their headers. */
static const struct told {
    const char *variable, *header;
} told[] = {
    {"REMOTE_USER", "Remote-User"}, {"AUTH_TYPE", "Auth-Type"},     {"AUTH_METHOD", "Auth-Method"},
    {"AUTH_ROLES", "Auth-Roles"},   {"AUTH_SCOPES", "Auth-Scopes"}, {"API_VERSION", "API-Version"},
    {"CSP_NONCE", "CSP-Nonce"},
};

static bool is_one_of(struct text name, const char *const names[])
{
    for (size_t i = 0; names[i]; i++)
        if (text_equal_ignore_case(name, text_of(names[i])))
            return true;
    return false;
}

bool http_header_is_ours(struct text name)
{
    if (is_one_of(name, framing) || reserved_is_identity(name) || reserved_is_forwarding(name))
        return !text_equal(name, TEXT("content-type"));
    return text_equal(name, TEXT("via")) || text_equal(name, TEXT("api-version"));
}

static bool names_option(struct text options, struct text name)
{
    struct text option;
    while (text_next(&options, ',', &option))
        if (text_equal_ignore_case(text_trim(option), name))
            return true;
    return false;
}

/* Whether it is the name of a claim that the route's callers are told by. */
static bool is_told(const struct exchange *exchange, struct text name)
{
    for (size_t i = 0; exchange->authenticates && i < exchange->told.count; i++) {
        struct text variable = exchange->told.items[i];
        bool same = variable.length == name.length;
        for (size_t k = 0; same && k < name.length; k++) {
            char byte = variable.at[k] == '_' ? '-' : variable.at[k];
            same = text_equal_ignore_case((struct text){&byte, 1}, (struct text){&name.at[k], 1});
        }
        if (same)
            return true;
    }
    return false;
}

/* Values with an end of line are left out, as they are of a program's environment. */
static void add(struct builder *builder, struct text name, struct text value)
{
    if (text_is_token(name) && header_value_is_safe(value))
        headers_add(&builder->headers, builder->exchange->arena, name, value);
}

static void add_known(struct builder *builder, const char *name, struct text value)
{
    if (value.length > 0)
        add(builder, text_of(name), value);
}

static void add_clients(struct builder *builder)
{
    const struct exchange *exchange = builder->exchange;
    const struct headers *headers = &exchange->request.headers;
    const struct text *options = headers_get(headers, "connection");
    for (size_t i = 0; i < headers->count; i++) {
        struct text name = headers->items[i].name;
        bool version = exchange->version && text_equal(name, TEXT("api-version"));
        if (is_one_of(name, framing) || reserved_is_forwarding(name) || reserved_is_identity(name) ||
            (options && names_option(*options, name)) || version || is_told(exchange, name) ||
            text_equal(name, TEXT("via")))
            continue;
        add(builder, name, headers->items[i].value);
    }
    add_known(builder, "Content-Type", exchange->request.content_type);
}

/* RFC 9110, 7.6.3, behind what the hops before have said. */
static void add_via(struct builder *builder)
{
    const struct request *request = &builder->exchange->request;
    const struct text *before = headers_get(&request->headers, "via");
    struct text protocol = request_server_param(request, "SERVER_PROTOCOL");
    struct text version = text_from(protocol, strlen("HTTP/"));
    if (!text_starts_with(protocol, TEXT("HTTP/")) || !text_is_token(version))
        version = TEXT("1.1");
    add(builder, TEXT("Via"),
        text_of(arena_printf(builder->exchange->arena, "%.*s%s%.*s fcgiguard",
                             before ? (int)before->length : 0, before ? before->at : "",
                             before && before->length > 0 ? ", " : "", TEXT_ARGUMENTS(version))));
}

static struct text clients_host(const struct exchange *exchange)
{
    const struct text *host = headers_get(&exchange->request.headers, "host");
    return host ? *host : TEXT("");
}

static struct text choose_host(const struct builder *builder)
{
    const struct http_settings *settings = builder->settings;
    struct text client = clients_host(builder->exchange), own = text_of(builder->backend->authority);
    if (strcmp(settings->host, "client") == 0)
        return client.length > 0 ? client : own;
    return strcmp(settings->host, "backend") == 0 ? own : text_of(settings->host);
}

/* RFC 7239: an IPv6 address is in brackets, and in quotes like all that is no token. */
static void add_forwarded(struct builder *builder, const char *address, const char *scheme)
{
    struct arena *arena = builder->exchange->arena;
    struct text host = clients_host(builder->exchange);
    const char *node = strchr(address, ':') ? arena_printf(arena, "\"[%s]\"", address) : address;
    const char *named = host.length > 0 ? arena_printf(arena, ";host=\"%.*s\"", TEXT_ARGUMENTS(host)) : "";
    add(builder, TEXT("Forwarded"), text_of(arena_printf(arena, "for=%s;proto=%s%s", node, scheme, named)));
}

/* One client, as it was judged: what stands left of it in a chain is hearsay. */
static void add_way(struct builder *builder)
{
    const struct request *request = &builder->exchange->request;
    const char *scheme = request->secure ? "https" : "http";
    char buffer[ADDRESS_TEXT_SIZE];
    const char *formatted = address_format(&request->client, buffer);
    const char *address = arena_printf(builder->exchange->arena, "%s", formatted);
    if (request->client.known) {
        add(builder, TEXT("X-Forwarded-For"), text_of(address));
        add(builder, TEXT("X-Real-IP"), text_of(address));
    }
    add(builder, TEXT("X-Forwarded-Proto"), text_of(scheme));
    add_known(builder, "X-Forwarded-Host", clients_host(builder->exchange));
    add_known(builder, "X-Forwarded-Prefix", text_of(builder->settings->strip_prefix));
    add_forwarded(builder, address, scheme);
    add(builder, TEXT("X-Request-ID"), text_of(builder->exchange->id));
}

static struct text value_of(const struct exchange *exchange, const char *variable)
{
    const struct caller *caller = exchange->caller;
    if (strcmp(variable, "API_VERSION") == 0)
        return text_of(exchange->version ? exchange->version->name : NULL);
    if (strcmp(variable, "CSP_NONCE") == 0)
        return text_of(exchange->nonce);
    if (!caller)
        return TEXT("");
    if (strcmp(variable, "REMOTE_USER") == 0)
        return caller->name;
    if (strcmp(variable, "AUTH_TYPE") == 0)
        return text_of(caller->scheme);
    if (strcmp(variable, "AUTH_METHOD") == 0)
        return text_of(caller->method);
    return caller_join(strcmp(variable, "AUTH_ROLES") == 0 ? &caller->roles : &caller->scopes,
                       exchange->arena);
}

static void add_told(struct builder *builder)
{
    const struct exchange *exchange = builder->exchange;
    const struct caller *caller = exchange->caller;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        add_known(builder, told[i].header, value_of(exchange, told[i].variable));
    for (size_t i = 0; caller && i < caller->variable_count; i++) {
        struct text header = header_of_variable(caller->variables[i].name, exchange->arena);
        struct text lower = text_lower(exchange->arena, header);
        /* A claim under such a name would say what is not its to say. */
        if (!http_header_is_ours(lower) && !headers_get(&builder->headers, lower.at))
            add(builder, header, caller->variables[i].value);
    }
}

struct headers http_headers(const struct http_settings *settings, const struct http_backend *backend,
                            const struct exchange *exchange)
{
    struct builder builder = {.settings = settings, .backend = backend, .exchange = exchange};
    add(&builder, TEXT("Host"), choose_host(&builder));
    add_clients(&builder);
    add_via(&builder);
    add_way(&builder);
    add_told(&builder);
    for (size_t i = 0; i < settings->set.count; i++)
        headers_set(&builder.headers, exchange->arena, settings->set.items[i].name,
                    settings->set.items[i].value);
    return builder.headers;
}
